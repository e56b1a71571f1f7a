package main

import (
	"errors"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

func orderFlags() []cli.Flag {
	return append([]cli.Flag{
		zoneFlag(),
		&cli.StringFlag{Name: "type", Usage: "`TYPE`: zsk, ksk, csk or algorithm; csk for a zone with a CSK, else zsk"},
		&cli.StringFlag{Name: "method", Usage: "`METHOD`: pre-publish for zsk; double-ds or double-signature for ksk and csk (-cds is added for the driver cds); conservative for algorithm"},
		toFlag("which keys the zone is to have: `LAYOUT` csk (one key) or split (KSK and ZSK); for types csk and algorithm; as now if not given"),
		&cli.BoolFlag{Name: "urgent", Usage: "the old key is in the wrong hands: no margin, no courtesies, steps side by side where that is safe"},
	}, keyFlags("for type algorithm")...)
}

func toFlag(use string) cli.Flag { return &cli.StringFlag{Name: "to", Usage: use} }

// keyFlags say what new keys are made like.
func keyFlags(when string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "algorithm", Usage: "`ALGORITHM` of the new keys, " + when + ": ecdsa256, ed25519, ecdsa384, rsasha256, rsasha512, or its number"},
		&cli.IntFlag{Name: "bits", Usage: "size of the new keys in `BITS`, for RSA; 2048 if not given"},
	}
}

func (m *mouth) startCommand() *cli.Command {
	return &cli.Command{
		Name:      "start",
		Usage:     "start a rollover",
		ArgsUsage: "[ZONE]",
		Description: "Refuses, with the reason and the remedy, whatever does not look as a zone must look before its keys are touched.\n" +
			"--dry-run prints the dated plan and changes nothing.",
		Flags:  append(orderFlags(), beginFlags()...),
		Action: m.ordered(order, m.begin),
	}
}

func beginFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "print the plan and change nothing"},
		&cli.BoolFlag{Name: "wait", Usage: "stay until done, with a live view"},
		&cli.BoolFlag{Name: "yes", Usage: "do not ask back, which an urgent rollover and unsign do"},
	}
}

// ordered is an action that reads an order off the command line.
func (m *mouth) ordered(read func(*cli.Context) (rollover.Order, error), do func(*cli.Context, rollover.Order) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		o, err := read(c)
		if err != nil {
			return err
		}
		return do(c, o)
	}
}

func (m *mouth) planCommand() *cli.Command {
	return &cli.Command{
		Name:        "plan",
		Usage:       "print the dated plan of a rollover without touching anything",
		ArgsUsage:   "[ZONE]",
		Description: "For a zone with a running rollover: what was done and what is to come.",
		Flags:       orderFlags(),
		Action:      m.ordered(order, m.plan),
	}
}

func order(c *cli.Context) (rollover.Order, error) {
	name, err := zone(c)
	if err != nil {
		return rollover.Order{}, err
	}
	algorithm, err := parseAlgorithm(c.String("algorithm"))
	return rollover.Order{
		Zone: name, Type: c.String("type"), Method: c.String("method"),
		Urgent: c.Bool("urgent"), Algorithm: algorithm, Bits: c.Int("bits"), To: rollover.Layout(c.String("to")),
	}, err
}

// begin starts what was ordered, or prints the plan of it.
func (m *mouth) begin(c *cli.Context, o rollover.Order) error {
	if c.Bool("dry-run") {
		return m.plan(c, o)
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	m.doubt(c, w, o.Zone)
	if o.Urgent {
		if err := m.confirm(c, w, o); err != nil {
			return err
		}
	}
	if o.Type == "unsign" {
		if _, err := w.engine.Prepare(c.Context, o); errors.Is(err, rollover.ErrRefused) {
			return err // nothing to ask for
		}
		if err := m.assent(c, "taking "+o.Zone+" back to unsigned", "unsigning", o.Zone, "the DS is asked for to be removed, and then all keys are, for good: to sign again makes new ones"); err != nil {
			return err
		}
	}
	w.engine.Tell, w.engine.By = m.hear(c, w), who()
	var report rollover.Report
	err = w.locked(c.Context, func() error {
		report, err = w.engine.Start(c.Context, o)
		m.deliver(c, w, []string{o.Zone})
		return err
	})
	if err != nil {
		return err
	}
	if err := m.tell(report); err != nil {
		return err
	}
	if c.Bool("wait") {
		return m.stay(c, w, []string{o.Zone})
	}
	return m.started(c, w, o.Zone)
}

// started says how a rollover stands after its start.
func (m *mouth) started(c *cli.Context, w *world, zone string) error {
	if c.Bool("json") {
		return m.status(c)
	}
	d, err := w.db.Load(zone)
	if err != nil {
		return err
	}
	s, err := w.describe(d)
	if err != nil {
		return err
	}
	for _, warning := range s.Warnings {
		m.say(c, "%s warning: %s", zone, plain(warning))
	}
	m.say(c, "%s now waits for %s\nsee: rollover status %s", zone, s.WaitingFor, zone)
	return nil
}

func (m *mouth) plan(c *cli.Context, o rollover.Order) error {
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	m.doubt(c, w, o.Zone)
	d, err := w.db.Load(o.Zone)
	if err != nil {
		return err
	}
	running := d.Roll != nil && !d.Roll.State.Ended()
	if !running || o.Type != "" {
		if d, err = w.engine.Prepare(c.Context, o); err != nil {
			return err
		}
	}
	return m.planOf(c, w, d)
}
