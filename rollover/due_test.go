package rollover_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// A next look that no schedule could have set is due; one that could is not.
func TestDue(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	p := rollover.DefaultPolicy() // every 5 minutes
	for _, c := range []struct {
		what           string
		next, furthest time.Time
		due            bool
	}{
		{"the time has come", now, now, true},
		{"in a minute, as it was set", now.Add(time.Minute), now, false},
		{"in a minute, and a clock was ahead", now.Add(time.Minute), now.AddDate(2, 0, 0), false},
		{"by a clock that was an hour ahead", now.Add(time.Hour + time.Minute), now.Add(time.Hour), true},
		{"by a clock that was two years ahead", now.AddDate(2, 0, 0), now.AddDate(2, 0, 0), true},
		{"the interval was a day until now", now.Add(24 * time.Hour), now, false},
		{"two years, and of no clock is it known", now.AddDate(2, 0, 0), time.Time{}, true},
	} {
		if got := p.Due(c.next, c.furthest, now); got != c.due {
			t.Errorf("%s: due is %v", c.what, got)
		}
	}
}

// A clock that was two years ahead for one tick: what is told once a day is told
// again after it was set back, and the times of the rollover are not to come.
func TestClockAheadIsForgotten(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	p := rollover.DefaultPolicy()
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "ksk"})
	ahead := 2 * 365 * 24 * time.Hour
	fails := func(when string, told bool) {
		t.Helper()
		w.Tune = func(e *rollover.Engine) { e.Observer = blind{} }
		report, err := w.Engine(p).Tick(context.Background(), []string{rollovertest.Zone})
		if err != nil || len(report.Failed) != 1 || report.Told[rollovertest.Zone] == told {
			t.Errorf("%s: %v, %+v", when, err, report)
		}
	}
	w.Skew = ahead
	fails("ahead", true)
	fails("ahead still", false)
	w.Skew = 0
	fails("set back", true)
	fails("set back still", false)
	r := w.Roll()
	for what, at := range map[string]time.Time{"step": r.StepEnteredAt, "start": r.StartedAt, "trouble": r.Trouble.ToldAt, "next": r.NextCheck} {
		if at.After(w.Now.Wall.Add(p.CheckInterval)) {
			t.Errorf("the %s is at %s, which is to come", what, at)
		}
	}
}

// blind is an Observer that fails.
type blind struct{}

func (blind) Look(context.Context, rollover.Question) (rollover.Sighting, error) {
	return rollover.Sighting{}, errors.New("no network")
}

// Notifications of a run by a clock that was ahead keep none from being told after
// it was set back, neither a condition nor a channel nor what check finds.
func TestOutboxClockAhead(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	ahead, repeat := now.AddDate(2, 0, 0), time.Hour
	var o rollover.Outbox
	stuck := rollover.Notice{ID: "1", Zone: "a.", Event: rollover.NoticeStuck}
	o.Settle("a.", []rollover.Notice{stuck}, ahead, repeat)
	ill := []rollover.Checkup{examined("b.", rollover.Finding{Code: rollover.FindingExpiry, Severity: rollover.SeverityCritical})}
	o.SettleCheckups(ill, ahead, repeat)
	o.Queue(stuck, []string{"mail"}, ahead)
	o.Failed("mail", "refused", ahead)
	later := now.Add(2 * time.Hour)
	for _, at := range []time.Time{now, later} {
		o.Rewind(at, repeat)
	}
	if again := o.Again(later); !slices.Equal(again, []string{"a."}) {
		t.Errorf("told again: %v", again)
	}
	if due := o.Due("mail", later); len(due) != 1 {
		t.Errorf("due to the channel: %v", due)
	}
	if !o.Failed("mail", "refused", later) {
		t.Error("that the channel fails is not told")
	}
	if told := o.SettleCheckups([]rollover.Checkup{examined("b.")}, later, repeat); eventsOf(told) != "recovered" {
		t.Errorf("check tells %v", told)
	}
}

// A clock that is ahead when a rollover starts has nobody forget what caches hold.
func TestClockAheadAtStart(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	p := tight()
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "zsk"})
	drive(t, w, p, 400)
	before := versions(t, w)
	w.Skew = 2 * 365 * 24 * time.Hour
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "zsk"})
	if now := versions(t, w); now < before {
		t.Errorf("of %d versions %d are remembered", before, now)
	}
}

func versions(t *testing.T, w *rollovertest.World) int {
	t.Helper()
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	return len(d.Ledger.Entries)
}

// The machine starts anew after its clock was ahead: what came to an end by that
// clock does not live in caches until then.
func TestClockAheadBeforeARestart(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	p := tight()
	w.Skew = 2 * 365 * 24 * time.Hour
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "zsk"})
	drive(t, w, p, 400)
	w.Skew, w.Now.BootID, w.Now.Boot = 0, "another", time.Minute
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "zsk"})
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range d.Ledger.Entries {
		if e.Until.Wall.After(w.Now.Wall) || e.Seen.Wall.After(w.Now.Wall) {
			t.Errorf("%s of %s lives until %s, now it is %s", e.Record, e.Server, e.Until.Wall, w.Now.Wall)
		}
	}
}
