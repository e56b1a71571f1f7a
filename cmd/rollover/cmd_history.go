package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

func (m *mouth) historyCommand() *cli.Command {
	return &cli.Command{
		Name:        "history",
		Usage:       "what happened, with the evidence of each step; never changed once written",
		ArgsUsage:   "[ZONE]",
		Description: "Without a zone, of all zones.",
		Flags:       []cli.Flag{zoneFlag(), &cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "with the evidence"}},
		Action:      m.history,
	}
}

func (m *mouth) history(c *cli.Context) error {
	names, err := zones(c)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = []string{""}
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	events := []rollover.Event{}
	for _, name := range names {
		part, err := w.db.History(name)
		if err != nil {
			return err
		}
		events = append(events, part...)
	}
	if c.Bool("json") {
		return m.json(map[string]any{"schema": 1, "events": events})
	}
	for _, e := range events {
		m.eventText(e, c.Bool("verbose"))
	}
	return nil
}

func (m *mouth) eventText(e rollover.Event, verbose bool) {
	reason := ""
	if e.By != "" {
		reason = " (by " + e.By + ")"
	}
	if e.Reason != "" {
		reason += " (reason: " + e.Reason + ")"
	}
	fmt.Fprintf(m.out, "%s %s %-15s %s\n", stamp(e.At), e.Zone, e.Event, plain(e.Text+reason))
	if verbose {
		for _, line := range e.Evidence {
			fmt.Fprintf(m.out, "    %s\n", plain(line))
		}
	}
}
