package rollover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// revertings are rollovers that can be reverted, one of each row.
func revertings() []rolling {
	all := turns()
	return []rolling{
		{"zsk", "split", rollover.Order{Type: "zsk"}},
		{"ksk", "split", rollover.Order{Type: "ksk"}},
		{"ksk double-signature", "split", rollover.Order{Type: "ksk", Method: "double-signature"}},
		{"csk", "csk", rollover.Order{Type: "csk"}},
		{"csk double-signature", "csk", rollover.Order{Type: "csk", Method: "double-signature"}},
		all[0], all[4], all[6], all[7], all[8], all[9],
		{"unsign", "split", rollover.Order{Type: "unsign"}},
	}
}

func revert(w *rollovertest.World, unchanged bool) error {
	return w.Engine(tight()).Revert(context.Background(), rollover.Back{Zone: rollovertest.Zone, Reason: "the new key is no good", Unchanged: unchanged})
}

// Reverted at every moment at which that is allowed, with servers that lag, the
// zone has its old keys and its old DS again, and no cache was ever broken.
func TestRevertAtEveryMoment(t *testing.T) {
	for _, c := range revertings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reverted, refusals := 0, map[string]int{}
			for n := 0; n < 90; n += 3 {
				w := rollovertest.New(c.layout, unequal)
				w.Lag = map[string]time.Duration{"ns2": 3 * unit, "p2": 2 * unit}
				before, ds := slices.Clone(w.Keys), w.DSSet()
				start(t, w, tight(), c.order)
				pass(t, w, n)
				if w.Roll().State.Ended() {
					break
				}
				if err := revert(w, false); err != nil {
					refusals[w.Roll().Step]++
					drive(t, w, tight(), 300)
					if w.Roll().State != rollover.StateDone {
						t.Fatalf("after a refused revert: %s, need %+v", w.Roll().State, w.Roll().Need)
					}
					continue
				}
				reverted++
				drive(t, w, tight(), 300)
				if w.Roll().State != rollover.StateCancelled || !slices.Equal(w.Keys, before) || !slices.Equal(w.DSSet(), ds) {
					t.Fatalf("reverted after %d units: %s, keys %v, DS %v, need %+v, block %+v", n, w.Roll().State, w.Keys, w.DSSet(), w.Roll().Need, w.Roll().Block)
				}
			}
			if reverted == 0 || len(refusals) == 0 {
				t.Errorf("%d reverted, refused at %v", reverted, refusals)
			}
			t.Logf("%d reverted, refused at %v", reverted, refusals)
		})
	}
}

// pass lets n units pass, with ticks and a registrar, and looks at no more.
func pass(t testing.TB, w *rollovertest.World, n int) {
	t.Helper()
	for range n {
		tick(t, w, tight())
		w.ServeParent(tight())
		whole(t, w, unit)
	}
}

// What is on its way would arrive after the way back was gone, so nothing goes
// back before it is there; unless the operator knows that nothing is on its way.
func TestRevertWaitsUntilAllHasArrived(t *testing.T) {
	for _, c := range []struct {
		name string
		lag  map[string]time.Duration
		says string
	}{
		{"a secondary is behind", map[string]time.Duration{"ns2": 100 * unit}, "tell it once more with `pdnsutil increase-serial example.com.`"},
		{"the parent has not done it", nil, "--parent-unchanged"},
		{"a parent server is behind", map[string]time.Duration{"p2": 100 * unit}, "p2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New("split", unequal)
			p := tight()
			o := rollover.Order{Type: "ksk", Method: "double-signature"}
			if c.name == "a secondary is behind" {
				o.Method = "double-ds"
			}
			start(t, w, p, o)
			step := map[string]string{"double-ds": "switch", "double-signature": "submit"}[o.Method]
			for range 100 {
				if next := w.Roll().Need; next != nil && next.Next == step {
					w.Lag = c.lag
				}
				tickDue(t, w, p)
				if w.Roll().Step == step {
					break
				}
				w.ServeParent(p)
				whole(t, w, unit)
			}
			if strings.HasPrefix(c.name, "a parent") {
				w.ServeParent(p)
				whole(t, w, unit)
			}
			before := w.Roll()
			err := revert(w, false)
			if err == nil || !strings.Contains(err.Error(), c.says) || w.Roll().Kind != before.Kind {
				t.Errorf("revert says %v, expected %q; kind %s", err, c.says, w.Roll().Kind)
			}
			if c.name != "the parent has not done it" {
				return
			}
			if err := revert(w, true); err != nil {
				t.Fatal(err)
			}
			drive(t, w, p, 200)
			if w.Roll().State != rollover.StateCancelled {
				t.Errorf("it is %s, need %+v", w.Roll().State, w.Roll().Need)
			}
		})
	}
}

// What revert refuses, and that nothing is touched.
func TestRevertRefused(t *testing.T) {
	world := func(step string) *rollovertest.World {
		w := rollovertest.New("split", unequal)
		w.Lag["ns2"] = 2 * unit
		start(t, w, tight(), rollover.Order{Type: "ksk"})
		if step != "" {
			toStep(t, w, tight(), step)
		}
		return w
	}
	for _, c := range []struct {
		name, step, says string
		do               func(*rollovertest.World)
	}{
		{"nothing taken away", "submit", "rollover cancel", nil},
		{"old is removed", "retire", "is gone", nil},
		{"keys changed by hand", "switch", "`rollover advance --zone example.com.` stops the rollover", func(w *rollovertest.World) { w.AddKey(256, false, true) }},
		{"old is not published", "switch", "is not published any more: `pdnsutil publish", func(w *rollovertest.World) {
			meddle(t, w, rollover.Command{Verb: "unpublish", Key: w.Roll().Old[0]})
		}},
		{"new does not sign", "switch", "was deactivated by somebody else: `pdnsutil activate", func(w *rollovertest.World) {
			meddle(t, w, rollover.Command{Verb: "activate", Key: w.Roll().Old[0]}, rollover.Command{Verb: "deactivate", Key: w.Roll().New[0]})
		}},
		{"it is being reverted", "switch", "taken back already", func(w *rollovertest.World) {
			if err := revert(w, false); err != nil {
				t.Fatal(err)
			}
		}},
		{"it is done", "finish", "nothing to revert", nil},
		{"a server is down", "switch", "ns1", func(w *rollovertest.World) { w.Down["ns1"] = true }},
		{"the zone is gone", "switch", "no such zone", func(w *rollovertest.World) { w.Gone = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := world(c.step)
			whole(t, w, 2*unit)
			if c.do != nil {
				c.do(w)
			}
			keys, kind := slices.Clone(w.Keys), w.Roll().Kind
			if err := revert(w, false); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("revert says %v, expected %q", err, c.says)
			}
			if !slices.Equal(keys, w.Keys) || w.Roll().Kind != kind {
				t.Errorf("a refused revert changed something: %v, %s", w.Keys, w.Roll().Kind)
			}
		})
	}
}

// The parent was asked to remove the DS set, and has not done it everywhere.
func TestRevertOfAnUnsignWaitsForTheParent(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "unsign"})
	toStep(t, w, tight(), "withdraw")
	w.SetDSAt("p1", nil, 0)
	whole(t, w, unit)
	err := revert(w, false)
	if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "was asked for no DS, and p2 has DS") || !strings.Contains(err.Error(), "--parent-unchanged") {
		t.Fatalf("revert says %v", err)
	}
	if err := revert(w, true); err != nil {
		t.Fatal(err)
	}
}

// Old was stopped, and could not be removed: validators that want every
// algorithm would miss its signatures, so there is no way back.
func TestNoRevertOfAnAlgorithmThatHasStopped(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "algorithm", Algorithm: 15})
	toStep(t, w, tight(), "unpublish")
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		if c.Verb == rollover.VerbRemove {
			return errors.New("database is locked")
		}
		w.Apply(c)
		return nil
	}
	for range 60 {
		w.ServeParent(tight())
		whole(t, w, unit)
		tickDue(t, w, tight())
	}
	if err := revert(w, true); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "has stopped signing: only going on is safe: `rollover advance --zone example.com.`") {
		t.Errorf("revert says %v; keys %v", err, w.Keys)
	}
}

// meddle changes keys by hand, and lets rollover find out.
func meddle(t *testing.T, w *rollovertest.World, commands ...rollover.Command) {
	t.Helper()
	for _, c := range commands {
		w.Apply(c)
	}
	for range 30 {
		whole(t, w, unit)
		tickDue(t, w, tight())
		if w.Roll().State == rollover.StateBlocked {
			return
		}
	}
	t.Fatalf("it is %s, not blocked: %+v", w.Roll().State, w.Roll().Need)
}

// Until the parent is asked, nothing is to be changed there, whatever it has.
func TestRevertAsksTheParentInTime(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "withdraw")
	w.ServeParent(p)
	whole(t, w, unit)
	if err := revert(w, false); err != nil {
		t.Fatal(err)
	}
	tickDue(t, w, p)
	r := w.Roll()
	if todo := r.Parent(p); r.Step != "activate" || len(todo.Add)+len(todo.Remove) > 0 {
		t.Errorf("at %s the parent is to change: %+v", r.Step, todo)
	}
	toStep(t, w, p, "submit")
	if todo := w.Roll().Parent(p); len(todo.Add) != 1 || len(todo.Remove) != 1 {
		t.Errorf("at submit the parent is to change: %+v", todo)
	}
}
