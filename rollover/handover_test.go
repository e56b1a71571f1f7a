package rollover_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// sloth is a driver that does not come back before it is let go, or only when
// its time is up.
type sloth struct {
	obeys bool
	state rollover.SubmissionState

	mu    sync.Mutex
	asked int
	free  chan struct{}
}

func (s *sloth) Submit(ctx context.Context, _ rollover.Change) rollover.Answer {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	if s.obeys {
		<-ctx.Done()
		return rollover.Answer{State: s.state, Text: context.Cause(ctx).Error()}
	}
	<-s.free
	return rollover.Answer{State: rollover.SubmissionAccepted}
}

func (s *sloth) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// slothful is an engine with that driver.
func slothful(w *rollovertest.World, s *sloth) *rollover.Engine {
	e := w.Engine(tight())
	setting := e.Setting
	e.Setting = func(zone string) rollover.Setting {
		out := setting(zone)
		out.Driver, out.Registrar, out.Resubmit, out.HandOver = "sloth", s, 30*unit, time.Minute
		return out
	}
	return e
}

// A driver that does not end in time is asked again later, whether it heeds its
// deadline or not; that names the deadline. What it did in time after all counts.
func TestHandOverHasADeadline(t *testing.T) {
	for _, c := range []struct {
		name  string
		obeys bool
		said  rollover.SubmissionState
		state rollover.SubmissionState
		says  string
	}{
		{"it fails when its time is up", true, rollover.SubmissionFailed, rollover.SubmissionLater, "it did not end in time: it was given 1m0s (ds.deadline); it said: it was given 1m0s"},
		{"it is done when its time is up", true, rollover.SubmissionAccepted, rollover.SubmissionAccepted, "it was given 1m0s"},
		{"it does not come back", false, "", rollover.SubmissionLater, "it did not come back in time: it was given 1m0s (ds.deadline)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := rollovertest.New("split", unequal)
			s := &sloth{obeys: c.obeys, state: c.said, free: make(chan struct{})}
			defer close(s.free)
			e, began := slothful(w, s), time.Now()
			tickUntil(t, w, e, func(r *rollover.Roll) bool { return r.Submission != nil })
			if got := w.Roll().Submission; got.State != c.state || !strings.Contains(got.Text, c.says) {
				t.Errorf("%s: %s, %q", c.name, got.State, got.Text)
			}
			if took := time.Since(began); took > 72*time.Second {
				t.Errorf("%s: the tick took %s", c.name, took)
			}
		})
	}
}

// tickUntil starts a rollover and lets time pass, with a tick at each unit, until a condition holds.
func tickUntil(t *testing.T, w *rollovertest.World, e *rollover.Engine, holds func(*rollover.Roll) bool) {
	t.Helper()
	if _, err := e.Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"}); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if _, err := e.Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
			t.Fatal(err)
		}
		if holds(w.Roll()) {
			return
		}
		if bad := w.Advance(unit); bad != "" {
			t.Fatal(bad)
		}
	}
	t.Fatal("40 ticks were not enough")
}

// A driver that is still at a change is not given another one of the same zone.
func TestHandOverIsNotDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := rollovertest.New("split", unequal)
		s := &sloth{free: make(chan struct{})}
		defer close(s.free)
		tickUntil(t, w, slothful(w, s), func(r *rollover.Roll) bool { return r.Submission != nil && r.Submission.Attempts >= 3 })
		if text := w.Roll().Submission.Text; s.times() != 1 || !strings.Contains(text, "has not come back from an earlier change") {
			t.Errorf("asked %d times, %q", s.times(), text)
		}
	})
}

// The zone whose driver was asked in vain least often comes first.
func TestHandOverOrder(t *testing.T) {
	got := rollover.OrderOfHandOvers(3, 0, -1, 1, 0)
	if want := []int{1, 2, 4, 3, 0}; !slices.Equal(got, want) {
		t.Errorf("order %v, expected %v", got, want)
	}
}

// No more drivers than a stated number are left running, and each zone has one.
func TestHandOversThatAreLeftAreCounted(t *testing.T) {
	if n := rollover.BegunHandOvers(1000); n != 64 {
		t.Errorf("%d of 1000 were begun while none ended", n)
	}
}

// faulty is a driver with a mistake in it.
type faulty struct{}

func (faulty) Submit(context.Context, rollover.Change) rollover.Answer { panic("a mistake") }

// A driver that panics does so where the work on its zone is guarded, and not
// beside it; the zone has its driver back.
func TestDriverThatPanics(t *testing.T) {
	done := &sloth{obeys: true, state: rollover.SubmissionAccepted}
	if a := rollover.HandOver(t.Context(), time.Hour, faulty{}); !strings.Contains(a.Text, "panic: ") || !strings.Contains(a.Text, "at handover_test.go:") || !strings.Contains(a.Text, "a mistake") {
		t.Errorf("%+v", a)
	}
	synctest.Test(t, func(t *testing.T) {
		if a := rollover.HandOver(t.Context(), time.Minute, faulty{}, done); a.State != rollover.SubmissionAccepted {
			t.Errorf("the next time: %+v", a)
		}
	})
}

// When the run is ended a driver that heeds it is waited for: it may be in the
// middle of a change.
func TestEndedRunWaitsForItsDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		end()
		s := &sloth{obeys: true, state: rollover.SubmissionAccepted}
		if a := rollover.HandOver(ctx, time.Minute, s); a.State != rollover.SubmissionAccepted || s.times() != 1 {
			t.Errorf("%+v after %d times", a, s.times())
		}
	})
}
