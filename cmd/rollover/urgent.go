package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"rollover/rollover"
)

// confirm prints what an urgent rollover gives up for speed, and asks back: on a
// terminal for the name of the zone, elsewhere for --yes.
func (m *mouth) confirm(c *cli.Context, w *world, o rollover.Order) error {
	d, err := w.engine.Prepare(c.Context, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(m.err, "an urgent %s rollover of %s by %s:\n", d.Roll.Type, o.Zone, d.Roll.Method)
	for _, text := range d.Roll.TradeOff() {
		fmt.Fprintf(m.err, "  - %s\n", text)
	}
	switch {
	case c.Bool("yes"):
		return nil
	case !term.IsTerminal(int(os.Stdin.Fd())):
		return usage("an urgent rollover needs --yes when nobody can be asked")
	}
	return m.agreed(os.Stdin, o.Zone)
}

// assent asks back before what cannot be taken back: on a terminal for the name of
// the zone, elsewhere for --yes.
func (m *mouth) assent(c *cli.Context, what, doing, zone, means string) error {
	switch {
	case c.Bool("yes"):
		return nil
	case !term.IsTerminal(int(os.Stdin.Fd())):
		return usage("%s %s needs --yes when nobody can be asked: %s", doing, zone, means)
	}
	fmt.Fprintf(m.err, "%s: %s\n", what, means)
	return m.agreed(os.Stdin, zone)
}

// agreed asks for the name of the zone, which nobody types by accident.
func (m *mouth) agreed(in io.Reader, zone string) error {
	fmt.Fprintf(m.err, "type the name of the zone to go on: ")
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && line == "" {
		return fmt.Errorf("%w: nothing was typed: nothing is changed", rollover.ErrRefused)
	}
	if typed, err := parseZone(strings.TrimSpace(line)); err != nil || typed != zone {
		return fmt.Errorf("%w: %q is not %s: nothing is changed", rollover.ErrRefused, strings.TrimSpace(line), zone)
	}
	return nil
}
