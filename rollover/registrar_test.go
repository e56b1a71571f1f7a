package rollover_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// clerk is a driver under the control of a test.
type clerk struct {
	world   *rollovertest.World
	says    func(c rollover.Change) rollover.Answer // nil: does it and accepts
	changes []rollover.Change
	at      []time.Time
}

func (k *clerk) Submit(_ context.Context, c rollover.Change) rollover.Answer {
	k.changes, k.at = append(k.changes, c), append(k.at, k.world.Clock().Wall)
	if k.says != nil {
		return k.says(c)
	}
	k.world.SetDS(c.Set)
	return rollover.Answer{State: rollover.SubmissionAccepted, Text: "order 1\x1b[31m\n"}
}

func (k *clerk) keys() []string {
	var out []string
	for _, c := range k.changes {
		out = append(out, c.Key)
	}
	return slices.Compact(out)
}

// driven is an engine whose parent is asked by a driver.
func driven(w *rollovertest.World, k *clerk) *rollover.Engine {
	e := w.Engine(tight())
	setting := e.Setting
	e.Setting = func(zone string) rollover.Setting {
		s := setting(zone)
		s.Driver, s.Registrar, s.Resubmit = "test", k, 30*unit
		return s
	}
	return e
}

func startDriven(t *testing.T, w *rollovertest.World, k *clerk, o rollover.Order) {
	t.Helper()
	o.Zone = rollovertest.Zone
	if _, err := driven(w, k).Start(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}

// ticks lets time pass, with a tick at each unit, until a condition holds.
func ticks(t *testing.T, w *rollovertest.World, k *clerk, n int, until func(*rollover.Roll) bool) *rollover.Roll {
	t.Helper()
	for range n {
		if _, err := driven(w, k).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
			t.Fatal(err)
		}
		if until(w.Roll()) {
			break
		}
		if bad := w.Advance(unit); bad != "" {
			t.Fatal(bad)
		}
	}
	return w.Roll()
}

func never(*rollover.Roll) bool { return false }

func isDone(r *rollover.Roll) bool { return r.State == rollover.StateDone }

// A driver does all that the operator would, once for each request, and leaves
// foreign records alone.
func TestDriverDoesTheOperatorsPart(t *testing.T) {
	foreign := rollover.DS{Tag: 4711, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
	for _, c := range rollings() {
		w := rollovertest.New(c.layout, unequal)
		w.Lag = map[string]time.Duration{"ns2": 3 * unit, "p2": 2 * unit}
		k := &clerk{world: w}
		startDriven(t, w, k, c.order)
		if r := ticks(t, w, k, 1, never); r.Old[0].Role.SignsKeys() {
			w.SetDS(append(r.DSSeen, foreign))
		}
		ticks(t, w, k, 200, isDone)
		r := finished(t, w)
		wants := 0
		if r.Old[0].Role.SignsKeys() {
			wants = 2
			if r.Method == "double-signature" {
				wants = 1
			}
		}
		if len(k.changes) != wants || len(k.keys()) != wants {
			t.Errorf("%s: %d changes with keys %q, expected %d", c.name, len(k.changes), k.keys(), wants)
		}
		if wants > 0 && !slices.Contains(r.DSSeen, foreign) {
			t.Errorf("%s: the foreign DS is gone: %v", c.name, r.DSSeen)
		}
	}
}

// Whatever a driver says, the rollover stands still until DNS shows the change;
// a change is tried again with the same key, ever more rarely.
func TestDriverThatDoesNothing(t *testing.T) {
	for _, c := range []struct {
		state rollover.SubmissionState
		gaps  []time.Duration
		needs bool
		actor rollover.Actor
		event string
	}{
		{rollover.SubmissionAccepted, []time.Duration{30, 30, 30}, false, rollover.ActorParent, rollover.EventDSAccepted},
		{rollover.SubmissionLater, []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}, false, rollover.ActorDriver, rollover.EventDSLater},
		{rollover.SubmissionFailed, []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}, true, rollover.ActorYou, rollover.EventDSFailed},
	} {
		w := rollovertest.New("split", unequal)
		k := &clerk{world: w, says: func(rollover.Change) rollover.Answer { return rollover.Answer{State: c.state, Text: "so it is"} }}
		startDriven(t, w, k, rollover.Order{Type: "ksk"})
		r := ticks(t, w, k, 200, never)
		if r.Step != "submit" || r.State != rollover.StateActive || len(k.keys()) != 1 {
			t.Errorf("%s: at step %q, %s, keys %q", c.state, r.Step, r.State, k.keys())
		}
		for i, gap := range c.gaps {
			if got := k.at[i+1].Sub(k.at[i]); got != gap*unit || k.changes[i].Attempt != i+1 {
				t.Errorf("%s: attempt %d came after %s, expected %s", c.state, k.changes[i+1].Attempt, got, gap*unit)
			}
		}
		d, err := w.Load(rollovertest.Zone)
		if err != nil {
			t.Fatal(err)
		}
		s, err := rollover.Describe(d, tight(), w.Clock().Wall, func(rollover.Command) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		if r.NeedsOperator() != c.needs || s.Actor != c.actor || !strings.Contains(s.WaitingFor, "so it is") || s.Submission == nil {
			t.Errorf("%s: needs the operator %v, actor %q, waits for %q, submission %+v", c.state, r.NeedsOperator(), s.Actor, s.WaitingFor, s.Submission)
		}
		told := slices.DeleteFunc(slices.Clone(w.Events), func(e rollover.Event) bool { return e.Event != c.event })
		if len(told) != 1 {
			t.Errorf("%s: an unchanged answer was told %d times within hours", c.state, len(told))
		}
		k.says = nil
		ticks(t, w, k, 300, isDone)
		finished(t, w)
	}
}

// A registrar that accepts and then forgets: the change comes again.
func TestParentThatLosesTheChange(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	k := &clerk{world: w}
	startDriven(t, w, k, rollover.Order{})
	r := ticks(t, w, k, 40, func(r *rollover.Roll) bool { return len(r.DSSeen) == 2 })
	w.SetDS(slices.DeleteFunc(slices.Clone(r.DSSeen), func(d rollover.DS) bool { return d.Tag == r.New[0].Tag }))
	ticks(t, w, k, 300, isDone)
	finished(t, w)
	if k.changes[0].Key != k.changes[1].Key || k.changes[1].Attempt != 2 {
		t.Errorf("the lost change came again as %+v, first %+v", k.changes[1], k.changes[0])
	}
}

// The driver is not asked while the rollover is paused or blocked, nor for what
// must not be touched now; without a driver its last answer is forgotten.
func TestDriverIsNotAskedInVain(t *testing.T) {
	w := rollovertest.New("split", unequal)
	k := &clerk{world: w, says: func(rollover.Change) rollover.Answer {
		return rollover.Answer{State: rollover.SubmissionLater, Text: "\x1b[2Jcome back " + strings.Repeat("x", 1000)}
	}}
	startDriven(t, w, k, rollover.Order{Type: "ksk"})
	r := ticks(t, w, k, 10, func(r *rollover.Roll) bool { return r.Submission != nil })
	if text := r.Submission.Text; strings.Contains(text, "\x1b") || len(text) > 510 {
		t.Errorf("the text of the driver was kept as %q", text)
	}
	if err := driven(w, k).Pause(rollovertest.Zone, "test"); err != nil {
		t.Fatal(err)
	}
	n := len(k.changes)
	ticks(t, w, k, 60, never)
	if len(k.changes) != n {
		t.Errorf("%d changes while paused", len(k.changes)-n)
	}
	if err := w.Engine(tight()).Resume(context.Background(), rollovertest.Zone, "by hand"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Engine(tight()).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
	if r := w.Roll(); r.Submission != nil || !r.NeedsOperator() {
		t.Errorf("without a driver: submission %+v, needs the operator %v", r.Submission, r.NeedsOperator())
	}
}

func revive(w *rollovertest.World) {
	if w.Dead {
		w.Revive()
	}
}

// A kill at every input and output of a rollover with a driver, before its effect
// at one and after it at the next: a change that
// comes again has the key that it had, and the rollover ends.
func TestKilledWithADriver(t *testing.T) {
	for first, after := range []bool{false, true} {
		for n := first + 1; ; n += 2 {
			w := rollovertest.New("split", unequal)
			w.KillAt, w.KillAfterEffect = n, after
			k := &clerk{world: w}
			for w.Roll() == nil {
				if _, err := driven(w, k).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"}); err != nil && !w.Dead {
					t.Fatal(err)
				}
				revive(w)
			}
			for i := 0; i < 300 && !isDone(w.Roll()); i++ {
				if _, err := driven(w, k).Tick(context.Background(), []string{rollovertest.Zone}); err != nil && !w.Dead {
					t.Fatal(err)
				}
				revive(w)
				if bad := w.Advance(unit); bad != "" {
					t.Fatal(bad)
				}
			}
			finished(t, w)
			if keys := k.keys(); len(keys) != 2 || len(k.changes) > 3 {
				t.Fatalf("killed at %d: %d changes with keys %q", n, len(k.changes), keys)
			}
			if w.Ops < n {
				t.Logf("%d places", n-1)
				break
			}
		}
	}
}
