package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

func (m *mouth) advanceCommand() *cli.Command {
	return &cli.Command{
		Name:      "advance",
		Usage:     "take every rollover as far as it can go now; for cron",
		ArgsUsage: "[ZONE]",
		Description: "Silent when nothing changed, a line per step entered. A failure that does not change is told once a day.\n" +
			"With --zone that zone is looked at now, due or not. With --wait it stays until all rollovers have ended;\n" +
			"ending it (Ctrl-C) never stops a rollover.",
		Flags:  []cli.Flag{zoneFlag(), &cli.BoolFlag{Name: "wait", Usage: "stay until done, with a live view"}},
		Action: m.advance,
	}
}

func (m *mouth) advance(c *cli.Context) error {
	names, err := zones(c)
	if err != nil {
		return err
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	if c.Bool("wait") {
		return m.stay(c, w, names)
	}
	report, err := m.linger(c, w, names)
	if busy := busyText(err); busy != "" {
		fmt.Fprintf(m.err, "rollover: %s\n", busy)
		return nil
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = m.json(map[string]any{"schema": 1, "changed": report.Changed, "blocked": list(report.Blocked), "gone": list(report.Gone), "failed": failures(report),
			"resolver": resolverJSON(w.resolver)})
	}
	err = errors.Join(err, m.tell(report))
	if err == nil && len(w.spared) > 0 {
		return errTold
	}
	return err
}

// What falls due within aMoment is waited for, for lingerMost in all: a wait
// that is over in half a second must not cost another period of cron.
const (
	aMoment    = time.Second
	lingerMost = 2 * time.Second
)

// linger ticks, and ticks again while something falls due in a moment.
func (m *mouth) linger(c *cli.Context, w *world, names []string) (rollover.Report, error) {
	begun := time.Now()
	all, err := m.tick(c, w, names)
	for err == nil && len(names) == 0 && time.Since(begun) < lingerMost {
		next, ok, dueErr := w.db.NextDue()
		if dueErr != nil || !ok || time.Until(next) > aMoment {
			return all, dueErr
		}
		if err = pause(c.Context, time.Until(next)); err != nil {
			return all, err
		}
		var more rollover.Report
		more, err = m.tick(c, w, nil)
		all.Add(more)
	}
	return all, err
}

// busyText is what a second advance says, which is no failure: the first one
// does the work.
func busyText(err error) string {
	if isBusy(err) {
		return err.Error()
	}
	return ""
}

// list is never null in JSON.
func list(in []string) []string {
	if in == nil {
		return []string{}
	}
	return in
}

func failures(r rollover.Report) map[string]string {
	out := map[string]string{}
	for zone, err := range r.Failed {
		out[zone] = err.Error()
	}
	return out
}

// tick is one run over what is due, or over the zones named.
func (m *mouth) tick(c *cli.Context, w *world, names []string) (report rollover.Report, err error) {
	unlock, err := w.lock()
	if err != nil {
		return report, err
	}
	defer func() {
		if unlocked := unlock(); err == nil {
			err = unlocked
		}
	}()
	due, err := w.named(names)
	if err != nil {
		return report, err
	}
	if len(due) > 0 {
		w.engine.Tell = m.hear(c, w)
		report, err = w.engine.Tick(c.Context, due)
		tell, blameErr := w.blame(c.Context, due, &report)
		if tell {
			fmt.Fprintf(m.err, "rollover: %s\n", w.resolver.Sentence())
		}
		// The next tick asks from other ports: who has found one out by then has found nothing.
		err = errors.Join(err, blameErr, w.probe.Close())
	}
	m.deliver(c, w, due)
	return report, err
}

// named is the zones named, which must have a rollover, or else what is due.
func (w *world) named(names []string) ([]string, error) {
	if len(names) == 0 {
		return w.due()
	}
	_, err := w.dossiers(names)
	return names, err
}

// due is the zones whose next look is due: by what was set for them, or because
// that was set by a clock that was ahead.
func (w *world) due() ([]string, error) {
	now := time.Now()
	due, err := w.db.Due(now, 0)
	if err != nil {
		return nil, err
	}
	err = w.db.Beyond(now.Add(w.config.soonestLook()), func(zone string, next, furthest time.Time) bool {
		if w.config.zonePolicy(zone).Due(next, furthest, now) {
			due = append(due, zone)
		}
		return true
	})
	return due, err
}

// transitions prints a line for each thing that happened.
func (m *mouth) transitions(c *cli.Context) func(rollover.Event) {
	return func(e rollover.Event) {
		switch e.Event {
		case rollover.EventBlocked:
			fmt.Fprintf(m.err, "%s blocked at step %s: %s\n", e.Zone, orNone(e.Step), plain(e.Text))
		case rollover.EventDSFailed:
			fmt.Fprintf(m.err, "%s %s\n", e.Zone, plain(e.Text))
		case rollover.EventGone, rollover.EventFails:
			fmt.Fprintf(m.err, "%s %s\n", e.Zone, plain(e.Text))
		case rollover.EventTrouble:
			// told as the failure of the tick
		default:
			if !c.Bool("json") {
				m.say(c, "%s %s", e.Zone, plain(e.Text))
			}
		}
	}
}

func orNone(step string) string {
	if step == "" {
		return "(none)"
	}
	return step
}

// tell says which zones failed, those that were told within a day not again,
// and returns an error for the exit code.
func (m *mouth) tell(r rollover.Report) error {
	var worst error
	names := make([]string, 0, len(r.Failed))
	for zone := range r.Failed {
		names = append(names, zone)
	}
	slices.Sort(names)
	for _, zone := range names {
		if !r.Told[zone] {
			fmt.Fprintf(m.err, "rollover: %v\n", r.Failed[zone])
			tellStack(m.err, r.Failed[zone])
		}
		if worst == nil || errors.Is(r.Failed[zone], context.Canceled) {
			worst = r.Failed[zone]
		}
	}
	if worst == nil && len(r.Blocked)+len(r.Gone) > 0 {
		worst = rollover.ErrRefused
	}
	if worst == nil {
		return nil
	}
	return errors.Join(errTold, worst)
}

// stay ticks until no rollover of those named, or of all, is active, and shows
// what is awaited.
func (m *mouth) stay(c *cli.Context, w *world, names []string) error {
	w.tool.Waiting = nil // it would tear the view
	view := m.live(c)
	for {
		report, err := m.tick(c, w, nil)
		if err != nil && !isBusy(err) {
			return err
		}
		if err := m.tell(report); err != nil && errors.Is(err, context.Canceled) {
			return err
		}
		active, err := view.show(w, names)
		if err != nil || !active {
			return err
		}
		if err := pause(c.Context, w.untilDue()); err != nil {
			return err
		}
	}
}

// untilDue is how long to wait for the next tick: until something is due, and
// at most a second, for the countdown.
func (w *world) untilDue() time.Duration {
	next, ok, err := w.db.NextDue()
	if err != nil || !ok {
		return time.Second
	}
	return min(max(time.Until(next), 10*time.Millisecond), time.Second)
}
