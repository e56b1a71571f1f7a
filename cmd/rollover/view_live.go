package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"rollover/rollover"
)

func (m *mouth) watchCommand() *cli.Command {
	return &cli.Command{
		Name:        "watch",
		Usage:       "live view of what is awaited; ending it never stops a rollover",
		ArgsUsage:   "[ZONE...]",
		Description: "On a terminal a view that is kept up to date, else a line per change. It ends when no rollover is running.",
		Flags:       []cli.Flag{zoneFlag()},
		Action:      m.watch,
	}
}

func (m *mouth) watch(c *cli.Context) error {
	names, err := zones(c)
	if err != nil {
		return err
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	view := m.live(c)
	for {
		active, err := view.show(w, names)
		if err != nil || !active {
			return err
		}
		if err := pause(c.Context, time.Second); err != nil {
			return err
		}
	}
}

// live is a view that is kept up to date: on a terminal by drawing over what
// was drawn, elsewhere by a line per change.
type live struct {
	*mouth
	quiet, terminal bool
	width           int
	drawn           int // lines on the terminal that are drawn over next
	said            map[string]string
}

func (m *mouth) live(c *cli.Context) *live {
	v := &live{mouth: m, quiet: c.Bool("quiet") || c.Bool("json"), said: map[string]string{}, width: 80}
	if f, ok := m.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		v.terminal = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			v.width = width
		}
	}
	return v
}

// show draws the rollovers once, and says whether any of them is active.
func (v *live) show(w *world, names []string) (active bool, err error) {
	all, err := w.dossiers(names)
	if err != nil {
		return false, err
	}
	var lines []string
	for _, d := range all {
		if d.Roll.State.Ended() && v.said[d.Zone] == "" && len(names) == 0 {
			continue
		}
		s, err := w.describe(d)
		if err != nil {
			return false, err
		}
		active = active || s.State == rollover.StateActive
		lines = append(lines, v.lines(s)...)
	}
	if v.terminal && !v.quiet {
		v.draw(lines)
	}
	return active, nil
}

// lines is what is drawn of one rollover; off a terminal, what has changed is
// said at once.
func (v *live) lines(s rollover.Status) []string {
	state := fmt.Sprintf("%s %s: %s, step %s, next %s: waiting for %s", s.Zone, s.Type, s.State, orNone(s.Step), orNone(s.NextStep), waitingFor(s))
	if v.said[s.Zone] != state {
		v.said[s.Zone] = state
		if !v.terminal && !v.quiet {
			fmt.Fprintln(v.out, plain(state))
		}
	}
	head := fmt.Sprintf("%s  %s  %s  step %s", s.Zone, s.Type, s.State, orNone(s.Step))
	if s.State.Ended() {
		return []string{head}
	}
	return []string{head, "  " + countdown(s), "  " + s.WaitingFor, "  " + s.Command}
}

// waitingFor is the sentence without what changes every second.
func waitingFor(s rollover.Status) string {
	if s.Actor == rollover.ActorCaches {
		return "caches"
	}
	return s.WaitingFor
}

// countdown is how long still, with the reason. Waits take hours, so a bar
// that fills would be a lie: others decide how long most of them take.
func countdown(s rollover.Status) string {
	switch {
	case s.State == rollover.StateBlocked || s.State == rollover.StatePaused:
		return string(s.State)
	case s.Actor == rollover.ActorCaches && s.NotBefore != nil:
		return fmt.Sprintf("%s left for caches, before %s", span(time.Until(*s.NotBefore)), s.NextStep)
	case s.NotBefore != nil:
		return fmt.Sprintf("%s must act, then at least %s for caches, before %s", s.Actor, span(time.Until(*s.NotBefore)), s.NextStep)
	}
	return "before " + orNone(s.NextStep)
}

// draw draws lines over those drawn before.
func (v *live) draw(lines []string) {
	var out strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", v.drawn)
	}
	for _, line := range lines {
		runes := []rune(plain(line))
		if len(runes) >= v.width {
			runes = append(runes[:v.width-2], '…')
		}
		fmt.Fprintf(&out, "\r\x1b[2K%s\n", string(runes))
	}
	out.WriteString("\x1b[J")
	v.drawn = len(lines)
	fmt.Fprint(v.out, out.String())
}
