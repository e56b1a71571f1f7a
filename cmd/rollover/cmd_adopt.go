package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

func (m *mouth) adoptCommand() *cli.Command {
	return &cli.Command{
		Name:      "adopt",
		Usage:     "take over a rollover that was begun by hand",
		ArgsUsage: "[ZONE]",
		Description: "Recognises it by the states of the keys and by the DS set at the parent, and goes on from there; all waits start anew.\n" +
			"Where the same keys and DS set come from several kinds, it takes the one that is safe for all of them (docs/kinds/adopt.md).\n" +
			"What fits no step of a rollover is refused, with what was seen and what helps. --dry-run prints the plan and changes nothing.",
		Flags:  append([]cli.Flag{zoneFlag()}, &cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "print the plan and change nothing"}),
		Action: m.adopt,
	}
}

func (m *mouth) adopt(c *cli.Context) error {
	name, err := zone(c)
	if err != nil {
		return err
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	m.doubt(c, w, name)
	if c.Bool("dry-run") {
		d, err := w.engine.PrepareAdoption(c.Context, name)
		if err != nil {
			return err
		}
		return m.planOf(c, w, d)
	}
	w.engine.Tell, w.engine.By = m.transitions(c), who()
	var report rollover.Report
	err = w.locked(c.Context, func() error {
		report, err = w.engine.Adopt(c.Context, name)
		return err
	})
	if err != nil {
		return err
	}
	if err := m.tell(report); err != nil {
		return err
	}
	return m.started(c, w, name)
}

// planOf prints the dated plan of a rollover.
func (m *mouth) planOf(c *cli.Context, w *world, d rollover.Dossier) error {
	s, err := w.describe(d)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return m.json(map[string]any{"schema": 1, "zone": s.Zone, "type": s.Type, "method": s.Method, "plan": s.Plan, "accepted": s.Accepted})
	}
	fmt.Fprintf(m.out, "%s: %s rollover by %s\n", s.Zone, s.Type, s.Method)
	for _, name := range s.Accepted {
		fmt.Fprintf(m.out, "  %-12s %s\n", "accepted", name)
	}
	m.planText(s, w.config.setting(s.Zone).Policy)
	return nil
}
