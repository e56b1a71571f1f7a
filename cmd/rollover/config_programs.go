package main

import (
	"fmt"

	"rollover/rollover/guard"
)

// checkPrograms refuses a program that acts on keys and that others can change,
// before anything is done. One that is missing is told by who needs it. Programs
// that only tell or hand over (rollover/hook) are checked when they are run:
// they must not hold a rollover up.
func (c config) checkPrograms() error {
	if err := checkCommands("pdnsutil", c.Pdnsutil.Command, c.Pdnsutil.Control, append(c.Pdnsutil.Controls[:len(c.Pdnsutil.Controls):len(c.Pdnsutil.Controls)], c.Pdnsutil.Serial)); err != nil {
		return err
	}
	entries := append([]zoneConfig{{}}, c.Zone...)
	for name := range c.Policy {
		entries = append(entries, zoneConfig{Policy: name})
	}
	for _, z := range entries {
		p := c.ds(z).Pdnsutil
		if err := checkCommands("ds.pdnsutil", p.Command, p.Control, p.Controls); err != nil {
			return err
		}
	}
	return nil
}

func checkCommands(table string, command, control []string, controls [][]string) error {
	for _, words := range append([][]string{command, control}, controls...) {
		if len(words) == 0 {
			continue
		}
		if path, err := guard.Program(words[0]); path != "" && err != nil {
			return fmt.Errorf("configuration: %s: %q is not run: %w", table, words[0], err)
		}
	}
	return nil
}
