package rollover_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// The proof of the table: every kind is safe in every circumstance tried, and
// every wait that is not a courtesy is needed in at least one of them. All TTLs
// are unequal somewhere, or a wait on the wrong record would not be noticed.

const unit = time.Minute

type circumstance struct {
	ttl rollovertest.TTLs
	lag map[string]time.Duration
}

func (c circumstance) String() string {
	return fmt.Sprintf("TTL DS %s, DNSKEY %s, data %s, lag %v", c.ttl.DS, c.ttl.DNSKEY, c.ttl.Data, c.lag)
}

func circumstances() []circumstance {
	var out []circumstance
	lags := []map[string]time.Duration{
		{},
		{"ns2": 3 * unit, "p2": 2 * unit},
		{"ns1": 2 * unit, "p1": 4 * unit},
	}
	for _, ds := range []time.Duration{1, 4, 9} {
		for _, dnskey := range []time.Duration{2, 5, 11} {
			for _, data := range []time.Duration{1, 6, 25} {
				for _, lag := range lags {
					out = append(out, circumstance{rollovertest.TTLs{DS: ds * unit, DNSKEY: dnskey * unit, Data: data * unit}, lag})
				}
			}
		}
	}
	return out
}

func tight() rollover.Policy {
	p := rollover.DefaultPolicy()
	p.Factor, p.Margin, p.CheckInterval, p.Evidence = 1, 0, unit, rollover.EvidencePlain
	return p
}

// startable are the kinds that an operator can start, with the layout of zone
// they are for.
func startable() map[string]rollover.Kind {
	out := map[string]rollover.Kind{}
	for _, k := range rollover.Kinds() {
		if k.Type != "cancel" {
			out[k.Name()] = k
		}
	}
	return out
}

func layoutFor(k rollover.Kind) string {
	if k.Role == rollover.CSK {
		return "csk"
	}
	return "split"
}

// run rolls a zone by a table, tick by tick, through Next alone, and returns
// how it ended: "" for done and never broken.
func run(k rollover.Kind, c circumstance, p rollover.Policy) string {
	w := rollovertest.New(layoutFor(k), c.ttl)
	w.Lag = c.lag
	r, l := begin(w, k)
	for range 400 {
		for range len(k.Steps) + 1 {
			s, err := w.Look(context.Background(), rollover.Question{Zone: rollovertest.Zone, Records: []rollover.Record{rollover.RecordDS, rollover.RecordDNSKEY, rollover.RecordData}})
			if err != nil {
				return err.Error()
			}
			l.LearnSighting(s)
			var v rollover.Verdict
			r, v = k.Next(r, l, s, p)
			if v.Enter == nil {
				break
			}
			enter(w, &r, *v.Enter, p)
			if bad := w.Advance(0); bad != "" {
				return bad
			}
			if v.Ending {
				return w.Advance(40 * unit)
			}
		}
		if bad := w.Advance(unit); bad != "" {
			return bad
		}
	}
	return "not done after 400 ticks, waiting for: " + fmt.Sprint(r.Step)
}

func begin(w *rollovertest.World, k rollover.Kind) (rollover.Roll, rollover.Ledger) {
	r := rollover.Roll{Zone: rollovertest.Zone, Kind: k.Name(), State: rollover.StateActive, Keys: w.Keys}
	for _, key := range w.Keys {
		if key.Role = rollover.RoleOf(w.Keys, key); key.Role == k.Role {
			r.Old = append(r.Old, key)
			r.SpecNew = append(r.SpecNew, rollover.Key{Flags: key.Flags, Algorithm: 13, Bits: 256, Published: true, Role: k.Role})
		}
	}
	return r, rollover.Ledger{}
}

// enter does what a step says, as the engine would.
func enter(w *rollovertest.World, r *rollover.Roll, step rollover.Step, p rollover.Policy) {
	for _, c := range r.Commands(step) {
		if c.Verb != rollover.VerbCreate && c.Key.ID == 0 {
			c.Key = w.Keys[len(w.Keys)-1]
		}
		w.Apply(c)
	}
	for _, key := range w.Keys {
		if !slices.ContainsFunc(r.Keys, func(o rollover.Key) bool { return o.ID == key.ID }) {
			key.Role = r.SpecNew[0].Role
			r.New = append(r.New, key)
		}
	}
	r.Keys, r.Step = slices.Clone(w.Keys), step.Name
	for _, a := range step.Actions {
		if a.Verb == "ask parent" {
			r.Ask = &rollover.Ask{Sides: a.Sides}
			todo := r.Parent(p)
			w.SetDS(slices.Concat(todo.Keep, todo.Add))
		}
	}
}

func TestEveryKindIsSafe(t *testing.T) {
	for name, k := range startable() {
		hasty := without(k, func(w rollover.Wait) bool { return w.Courtesy })
		t.Run(name, func(t *testing.T) { safe(t, k) })
		t.Run(name+" without courtesies", func(t *testing.T) { safe(t, hasty) })
	}
}

func safe(t *testing.T, k rollover.Kind) {
	for _, c := range circumstances() {
		if bad := run(k, c, tight()); bad != "" {
			t.Fatalf("with %v: %s", c, bad)
		}
	}
}

// without is a kind without some of its waits.
func without(k rollover.Kind, drop func(rollover.Wait) bool) rollover.Kind {
	return mapWaits(k, func(_ string, w rollover.Wait) (rollover.Wait, bool) { return w, !drop(w) })
}

func mapWaits(k rollover.Kind, f func(step string, w rollover.Wait) (rollover.Wait, bool)) rollover.Kind {
	steps := slices.Clone(k.Steps)
	for i := range steps {
		var waits []rollover.Wait
		for _, w := range steps[i].Waits {
			if w, keep := f(steps[i].Name, w); keep {
				waits = append(waits, w)
			}
		}
		steps[i].Waits = waits
	}
	k.Steps = steps
	return k
}

// Every settled wait that is no courtesy: left out, or weakened to seen, some
// resolver breaks in some circumstance. Courtesies are left out too, so that
// none of them hides a missing wait.
func TestEveryWaitIsNeeded(t *testing.T) {
	for name, k := range startable() {
		k = without(k, func(w rollover.Wait) bool { return w.Courtesy })
		for _, s := range k.Steps {
			for _, w := range s.Waits {
				if w.Strength != rollover.StrengthSettled {
					continue
				}
				needed(t, name, k, s.Name, w, "left out", func(rollover.Wait) (rollover.Wait, bool) { return w, false })
				needed(t, name, k, s.Name, w, "weakened to seen", func(w rollover.Wait) (rollover.Wait, bool) {
					w.Strength = rollover.StrengthSeen
					return w, true
				})
			}
		}
	}
}

func needed(t *testing.T, name string, k rollover.Kind, step string, w rollover.Wait, how string, change func(rollover.Wait) (rollover.Wait, bool)) {
	t.Helper()
	mutant := mapWaits(k, func(at string, o rollover.Wait) (rollover.Wait, bool) {
		if at == step && o.String() == w.String() {
			return change(o)
		}
		return o, true
	})
	for _, c := range circumstances() {
		if bad := run(mutant, c, tight()); strings.Contains(bad, "a resolver may hold") {
			t.Logf("%s, step %s: %v %s: with %v: %s", name, step, w, how, c, bad)
			return
		}
	}
	t.Errorf("%s, step %s: %v %s breaks nothing: it is not needed, or not tested", name, step, w, how)
}

// Activate before deactivate, always: the other order leaves a role without an
// active key for a moment (and PowerDNS then lets the other key sign).
func TestOrderOfActionsMatters(t *testing.T) {
	for name, k := range startable() {
		for i, s := range k.Steps {
			if len(s.Actions) < 2 {
				continue
			}
			for j := range s.Actions {
				for l := range s.Actions[:j] {
					if s.Actions[l].Verb == "deactivate" && s.Actions[j].Verb == "activate" {
						t.Errorf("%s: step %d (%s) deactivates before it activates", name, i, s.Name)
					}
				}
			}
		}
	}
}

// Names are in state files: they must be unique, and what is stored by them
// must not change its meaning.
func TestNamesInTheStateFile(t *testing.T) {
	kinds := map[string]bool{}
	for _, k := range rollover.Kinds() {
		if kinds[k.Name()] {
			t.Errorf("kind %s is there twice", k.Name())
		}
		kinds[k.Name()] = true
		steps := map[string]bool{}
		for _, s := range k.Steps {
			if steps[s.Name] {
				t.Errorf("kind %s has step %s twice", k.Name(), s.Name)
			}
			steps[s.Name] = true
		}
		if k.Rescue != "" {
			if _, err := rollover.FindKind(k.Type, k.Rescue); err != nil {
				t.Errorf("kind %s: rescue: %v", k.Name(), err)
			}
		}
	}
	for _, want := range []string{"zsk/pre-publish", "ksk/double-ds", "csk/double-ds"} {
		if !kinds[want] {
			t.Errorf("kind %s is missing: state files name it", want)
		}
	}
	k, err := rollover.FindKind("csk", "double-ds")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"DNSKEY has new", "DS has new", "DNSKEY signed by new", "data signed by new, not signed by old", "DS lacks old", "DNSKEY lacks old"}
	if got := k.StatementKeys(); !slices.Equal(got, want) {
		t.Errorf("statements of csk/double-ds are stored as %q, expected %q", got, want)
	}
}
