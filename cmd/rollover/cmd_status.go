package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
	"rollover/store"
)

func (m *mouth) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "what is true, what it waits for, who must act, until when, and what to type",
		ArgsUsage: "[ZONE...]",
		Description: "Without a zone: a line for each zone, and the full story of those that are not ended if they are few.\n" +
			"Asks no server and runs no pdnsutil: it tells what the last advance saw.",
		Flags:  []cli.Flag{zoneFlag(), &cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "name the configuration and state file too, and how long a leaked key would be of use"}},
		Action: m.status,
	}
}

// fewEnough is up to how many running rollovers are told in full when no zone
// was named.
const fewEnough = 5

func (m *mouth) status(c *cli.Context) error {
	names, err := zones(c)
	if err != nil {
		return err
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	box, _ := store.Outbox(w.config.State) // without it less is told
	if c.Bool("json") {
		return m.statusJSON(w, names, box.Resolver)
	}
	if c.Bool("verbose") {
		fmt.Fprintf(m.out, "configuration %s, state %s\n\n", w.config.path, w.config.State)
	}
	m.resolverLine(box.Resolver)
	if len(names) == 0 {
		if names, err = m.overview(w); err != nil || len(names) == 0 {
			return err
		}
		fmt.Fprintln(m.out)
	}
	return m.stories(w, names, c.Bool("verbose"))
}

// stories tells zones in full.
func (m *mouth) stories(w *world, names []string, verbose bool) error {
	all, err := w.dossiers(names)
	if err != nil {
		return err
	}
	var failed error
	for i, d := range all {
		s, err := w.describe(d)
		if err != nil { // of another version, perhaps: the others are told all the same
			failed = errors.Join(failed, err)
			continue
		}
		if i > 0 {
			fmt.Fprintln(m.out)
		}
		m.statusText(s, w.config.setting(d.Zone).Policy.For(d.Roll))
		if verbose {
			fmt.Fprintf(m.out, "  %-12s %s\n", "if leaked", rollover.Leaked(d.Ledger, d.Roll.Keys))
		}
	}
	return failed
}

// overview prints a line for each zone from the headers alone, and returns the
// zones to tell in full.
func (m *mouth) overview(w *world) ([]string, error) {
	var running []string
	t := table{columns: []string{"ZONE", "TYPE", "STATE", "STEP", "PHASE", "STARTED", "NEEDS YOU"}}
	err := w.db.Headers(func(h store.Header) bool {
		if h.State == "" {
			return true
		}
		if !h.State.Ended() {
			running = append(running, h.Zone)
		}
		needs := "-"
		if h.NeedsOperator {
			needs = "yes"
		}
		t.add(h.Zone, h.Type, string(h.State), orNone(h.Step), string(h.Phase), stamp(h.StartedAt), needs)
		return true
	})
	if err != nil {
		return nil, err
	}
	if len(t.rows) == 0 {
		fmt.Fprintln(m.out, "no rollover is known: start one with `rollover start --zone ZONE`")
		return nil, nil
	}
	t.print(m.out)
	if len(running) > fewEnough {
		fmt.Fprintf(m.out, "\n%d rollovers have not ended: see one in full with `rollover status ZONE`\n", len(running))
		return nil, nil
	}
	return running, nil
}

func (m *mouth) statusJSON(w *world, names []string, resolver *rollover.ResolverFault) error {
	all, err := w.dossiers(names)
	if err != nil {
		return err
	}
	list := []rollover.Status{}
	var failed error
	for _, d := range all {
		s, err := w.describe(d)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		list = append(list, s)
	}
	return errors.Join(m.json(map[string]any{"schema": 1, "generated_at": time.Now().UTC(), "rollovers": list, "resolver": resolverJSON(resolver)}), failed)
}

// json prints one object.
func (m *mouth) json(value any) error { return writeJSON(m.out, value) }

// writeJSON writes one object. A terminal obeys some characters that JSON lets
// stand as they are: those are escaped too.
func writeJSON(w io.Writer, value any) error {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	text := out.String()
	for c := '\u007f'; c < '\u00a0'; c++ {
		text = strings.ReplaceAll(text, string(c), fmt.Sprintf(`\u%04x`, c))
	}
	_, err := io.WriteString(w, text)
	return err
}
