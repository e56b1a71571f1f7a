package rollover_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// deaf is hands that nobody listens to: the server cannot be reached.
type deaf struct {
	*rollovertest.World
	kill bool // when the serial was raised
}

var errDeaf = errors.New("the server does not listen")

// BumpSerial is the Signer's.
func (d deaf) BumpSerial(ctx context.Context, zone string) (uint32, error) {
	serial, err := d.World.BumpSerial(ctx, zone)
	d.Dead = d.Dead || d.kill
	return serial, err
}

// Refresh is the Signer's.
func (deaf) Refresh(context.Context, []string, []string) error { return errDeaf }

// deafen lets no server be reached until hear is called.
func deafen(w *rollovertest.World) (hear func()) {
	w.Tune = func(e *rollover.Engine) { e.Signer = deaf{w, false} }
	return func() { w.Tune = nil }
}

// fails ticks until the server could not be reached n times.
func fails(t *testing.T, w *rollovertest.World, p rollover.Policy, n int) {
	t.Helper()
	for try := range n {
		whole(t, w, unit)
		report, err := w.Engine(p).Tick(t.Context(), []string{rollovertest.Zone})
		if err != nil || !errors.Is(report.Failed[rollovertest.Zone], errDeaf) {
			t.Fatalf("try %d: %v, %v", try+1, report.Failed, err)
		}
	}
}

// While a server cannot be told of a step, its serial is raised once, and once more
// only by who was killed before that was on disk.
func TestAStepCostsOneSerial(t *testing.T) {
	for name, c := range map[string]struct {
		killed bool
		want   int
	}{"tries": {false, 1}, "tries, the first of which was killed": {true, 2}} {
		w, p := aboutToSwitch(t)
		before := logged(w, "increase-serial")
		hear := deafen(w)
		if c.killed {
			killAfterRaise(t, w, p)
		}
		fails(t, w, p, 5)
		if n := logged(w, "increase-serial") - before; n != c.want {
			t.Errorf("%s: the serial was raised %d times, expected %d", name, n, c.want)
		}
		hear()
		told := logged(w, "purge")
		tickSeeing(t, w, p, asItIs)
		if n := logged(w, "increase-serial") - before; n != c.want || logged(w, "purge") == told || w.Roll().Intent != nil {
			t.Errorf("%s: when it listens, the serial was raised %d times, and it was told %d times: %+v", name, n, logged(w, "purge")-told, w.Roll().Intent)
		}
		drive(t, w, p, 400)
		finished(t, w)
		if n := logged(w, "increase-serial") - before; n != c.want+1 {
			t.Errorf("%s: all of it cost %d serials, expected one more for the last step", name, n)
		}
	}
}

// aboutToSwitch is a rollover whose next tick enters the step that lets new sign.
func aboutToSwitch(t *testing.T) (*rollovertest.World, rollover.Policy) {
	t.Helper()
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	p := tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	for range 100 {
		next := w.Clone()
		if tick(t, next, p); next.Roll().Step == "switch" {
			return w, p
		}
		tick(t, w, p)
		whole(t, w, unit)
	}
	t.Fatalf("it stays at %s: %+v", w.Roll().Step, w.Roll().Need)
	return nil, p
}

// killAfterRaise ticks once, and is killed when the serial was raised.
func killAfterRaise(t *testing.T, w *rollovertest.World, p rollover.Policy) {
	t.Helper()
	whole(t, w, unit)
	e := w.Engine(p)
	e.Signer = deaf{w, true}
	if _, err := e.Tick(t.Context(), []string{rollovertest.Zone}); err == nil || !w.Dead {
		t.Fatalf("it was not killed: %v", err)
	}
	w.Revive()
}

// The same of keys that were taken over as they were found.
func TestServingAnewCostsOneSerial(t *testing.T) {
	w, p := transferring(t, "zsk")
	byHand(w)
	if err := w.Engine(p).Cancel(t.Context(), rollovertest.Zone, "by hand"); err != nil {
		t.Fatal(err)
	}
	before := logged(w, "increase-serial")
	hear := deafen(w)
	fails(t, w, p, 5)
	if n := logged(w, "increase-serial") - before; n != 1 {
		t.Errorf("the serial was raised %d times, expected once", n)
	}
	// Who gives an order may have changed the keys once more.
	if err := errors.Join(w.Engine(p).Pause(rollovertest.Zone, ""), w.Engine(p).Resume(t.Context(), rollovertest.Zone, "")); err != nil {
		t.Fatal(err)
	}
	fails(t, w, p, 3)
	if n := logged(w, "increase-serial") - before; n != 2 {
		t.Errorf("after an order the serial was raised %d times, expected twice", n)
	}
	hear()
	tickSeeing(t, w, p, asItIs)
	if r := w.Roll(); r.Unserved || r.Raised != "" || logged(w, "increase-serial")-before != 2 {
		t.Errorf("when it listens: unserved %v, raised %q, %d serials", r.Unserved, r.Raised, logged(w, "increase-serial")-before)
	}
}
