package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

func (m *mouth) forgetCommand() *cli.Command {
	return &cli.Command{
		Name:      "forget",
		Usage:     "forget what was seen of a zone, if a server made it up; it is recorded",
		ArgsUsage: "[ZONE]",
		Description: "What servers showed is waited for, with its TTL, until no cache can have it. If it was a lie, as a TTL of a week that no\n" +
			"record of the zone has, this takes it out, and all waits start anew. If it was true, caches may have it still, and\n" +
			"the next steps come too early for them: forget nothing that you cannot explain.",
		Flags: []cli.Flag{
			zoneFlag(), reasonFlag(),
			&cli.StringFlag{Name: "server", Usage: "only what `SERVER` showed, an address or address:port"},
			&cli.StringFlag{Name: "record", Usage: "only `RECORD`: DNSKEY, data or DS"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask back"},
		},
		Action: m.forget,
	}
}

func (m *mouth) forget(c *cli.Context) error {
	name, err := zone(c)
	if err != nil {
		return err
	}
	o := rollover.Oblivion{Zone: name, Server: c.String("server"), Record: rollover.Record(c.String("record")), Reason: c.String("reason")}
	records := []rollover.Record{"", rollover.RecordDNSKEY, rollover.RecordData, rollover.RecordDS}
	switch {
	case o.Reason == "":
		return usage("rollover forget needs --reason WHY: it is kept in the history")
	case !slices.Contains(records, o.Record):
		return usage("--record %q: there are DNSKEY, data and DS", o.Record)
	}
	if err := m.assent(c, "forgetting "+o.String(), "forgetting what was seen of", name, "if it was true, caches may still have it, and the next steps come too early for them"); err != nil {
		return err
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	w.engine.By = who()
	return w.locked(c.Context, func() error {
		n, err := w.engine.Forget(o)
		if err == nil {
			m.say(c, "%s forgot %s: %d versions; all waits start anew", name, o, n)
		}
		return err
	})
}
