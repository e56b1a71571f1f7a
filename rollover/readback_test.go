package rollover_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// made counts how often PowerDNS was asked for a key.
func made(w *rollovertest.World) int {
	n := 0
	for _, line := range w.Log {
		if strings.HasPrefix(line, "create") {
			n++
		}
	}
	return n
}

// patient has an engine wait in the world's own time.
func patient(w *rollovertest.World, lag time.Duration) {
	w.Tune = func(e *rollover.Engine) {
		e.MaxLag = lag
		e.After = func(d time.Duration) <-chan time.Time {
			w.Advance(d)
			at := make(chan time.Time, 1)
			at <- w.Now.Wall
			return at
		}
	}
}

// Reads that lag behind writes make no second key: a short lag is waited for in
// one run, a longer one over several, whatever the row.
func TestReadsThatLag(t *testing.T) {
	for name, c := range map[string]struct {
		lag    time.Duration
		atOnce bool
	}{
		"none":       {0, true},
		"3 seconds":  {3 * time.Second, true},
		"40 seconds": {40 * time.Second, false},
	} {
		for _, rolling := range rollings() {
			t.Run(name+", "+rolling.name, func(t *testing.T) {
				w := rollovertest.New(rolling.layout, unequal)
				w.ReadLag = c.lag
				patient(w, time.Minute)
				o := rolling.order
				o.Zone = rollovertest.Zone
				_, err := w.Engine(tight()).Start(context.Background(), o)
				if r := w.Roll(); c.atOnce && (len(r.Steps) == 0 || r.Trouble != nil) {
					t.Errorf("after start: %v, steps %v, trouble %+v", err, r.Steps, r.Trouble)
				}
				drive(t, w, tight(), 300)
				r := finished(t, w)
				if n := made(w); n != len(r.New) {
					t.Errorf("%d keys were asked for, expected %d", n, len(r.New))
				}
			})
		}
	}
}

// A key that was asked for and does not show is waited for by name, with the
// moment from which another one is made; nobody cancels meanwhile, who could not
// see it either.
func TestNoSecondKeyWhileOneMayShow(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.ReadLag = time.Hour
	patient(w, 5*time.Minute)
	begun := w.Now.Wall
	_, err := w.Engine(tight()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"})
	if err != nil {
		t.Fatal(err)
	}
	for w.Now.Wall.Before(begun.Add(4 * time.Minute)) {
		w.Advance(time.Minute)
		report := tick(t, w, tight())
		err := report.Failed[rollovertest.Zone]
		if !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), "no other one is made before 12:05:0") || !strings.Contains(err.Error(), "replica") {
			t.Fatalf("at %v: %v", w.Now.Wall, err)
		}
		if err := w.Engine(tight()).Cancel(context.Background(), rollovertest.Zone, "enough"); !errors.Is(err, rollover.ErrUnavailable) {
			t.Errorf("cancel: %v", err)
		}
	}
	if n := made(w); n != 1 {
		t.Errorf("%d keys were asked for", n)
	}
	w.Advance(2 * time.Minute)
	tick(t, w, tight())
	if n := made(w); n != 2 {
		t.Errorf("afterwards %d keys were asked for", n)
	}
}

// A command that failed has no effect that is waited for, and the next run gives
// it again when the time is over, not before.
func TestFailedCreationIsTriedAgainLater(t *testing.T) {
	w := rollovertest.New("split", unequal)
	patient(w, time.Minute)
	broken := true
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		if broken {
			return rollover.ErrUnavailable
		}
		w.Apply(c)
		return nil
	}
	begun := w.Now.Wall
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	if spent := w.Now.Wall.Sub(begun); spent != 0 {
		t.Errorf("%v were spent on what a command did that failed", spent)
	}
	broken = false
	w.Advance(31 * time.Second)
	tick(t, w, tight())
	if made(w) != 1 {
		t.Errorf("made again after half a minute: %v", w.Log)
	}
	w.Advance(30 * time.Second)
	drive(t, w, tight(), 300)
	finished(t, w)
}

// Two replicas, of which one has the first key that was made and the other has none:
// neither is made again.
func TestReadsThatGoBack(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.ReadLag = time.Millisecond
	patient(w, time.Minute)
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		if w.Apply(c); made(w) == 2 {
			w.ReadLag = 20 * time.Second
		}
		return nil
	}
	start(t, w, tight(), rollover.Order{Type: "algorithm", Algorithm: 15})
	if r := w.Roll(); r.Trouble == nil || !strings.Contains(r.Trouble.Text, "replica") {
		t.Errorf("trouble %+v", r.Trouble)
	}
	drive(t, w, tight(), 300)
	finished(t, w)
	if n := made(w); n != 2 {
		t.Errorf("%d keys were asked for, expected 2: %v", n, w.Log)
	}
}

// A kill at every input or output around the making of keys, in a world whose reads
// lag: no key is made twice, and no rollover ends as blocked.
func TestKilledWhereReadsLag(t *testing.T) {
	for _, c := range []rolling{{"zsk", "split", rollover.Order{Type: "zsk"}}, {"algorithm", "split", rollover.Order{Type: "algorithm", Algorithm: 15}}} {
		for _, after := range []bool{false, true} {
			for n, more := 1, true; more; n++ {
				w := rollovertest.New(c.layout, unequal)
				w.KillAt, w.KillAfterEffect, w.ReadLag = n, after, 10*time.Second
				patient(w, time.Minute)
				start(t, w, tight(), c.order)
				if w.Roll() == nil {
					start(t, w, tight(), c.order)
				}
				drive(t, w, tight(), 400)
				if r := finished(t, w); len(w.Keys) != len(r.Keys) || made(w) > len(r.New)+1 {
					t.Fatalf("%s, killed at %d, %t: %d keys were asked for", c.name, n, after, made(w))
				}
				more = w.Ops >= n && n < 30 // by then the keys are there
			}
		}
	}
}

// stale is a Signer whose increase-serial counts from a replica: what it comes to the
// second time is what it came to the first time, as often as left says.
type stale struct {
	*rollovertest.World
	calls, left *int
	last        *uint32
}

func (s stale) BumpSerial(ctx context.Context, zone string) (uint32, error) {
	if *s.calls++; *s.calls > 1 && *s.left > 0 {
		*s.left--
		return *s.last, nil
	}
	serial, err := s.World.BumpSerial(ctx, zone)
	*s.last = serial
	return serial, err
}

// A serial that did not rise is raised again, with patience, and no step is shown
// with the serial of the one before.
func TestSerialThatDoesNotRise(t *testing.T) {
	for left, trouble := range map[int]bool{0: false, 3: false, 20: true} {
		w := rollovertest.New("split", unequal)
		w.Transfers = true
		calls, rest, last := 0, left, uint32(0)
		patient(w, time.Minute)
		wait := w.Tune
		w.Tune = func(e *rollover.Engine) { wait(e); e.Signer = stale{w, &calls, &rest, &last} }
		start(t, w, tight(), rollover.Order{Type: "zsk"})
		r := w.Roll()
		if trouble != (r.Trouble != nil) || trouble && !strings.Contains(r.Trouble.Text, "as the time before") {
			t.Errorf("%d times the old serial: trouble %+v", left, r.Trouble)
		}
		drive(t, w, tight(), 300)
		finished(t, w)
		for _, e := range w.Events {
			if e.Event == rollover.EventServed {
				t.Errorf("%d times the old serial: %s", left, e.Text)
			}
		}
		if calls != 4+left {
			t.Errorf("%d times the old serial: %d calls, expected %d", left, calls, 4+left)
		}
	}
}
