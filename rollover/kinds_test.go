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

// rowCase is a row of the table in a zone that it can be used for.
type rowCase struct {
	kind rollover.Kind
	from string // layout of the zone
	new  []rollover.Key
	name string
}

// rows are the kinds that an operator can start, each in every zone that it is for.
func rows() []rowCase {
	var out []rowCase
	add := func(k rollover.Kind, from string, to rollover.Layout, algorithm uint8) {
		c := rowCase{kind: k, from: from, name: k.Name()}
		switch {
		case k.Type == "unsign":
			c.name = k.Name() + " " + from
		case to != "":
			c.new, c.name = rollover.Specs(to, algorithm), fmt.Sprintf("%s %s to %s", k.Name(), from, to)
		case k.Role == rollover.ZSK:
			c.new = rollover.Specs(rollover.LayoutSplit, algorithm)[1:]
		default:
			c.new = rollover.Specs(rollover.LayoutCSK, algorithm)
			c.new[0].Role = k.Role
		}
		out = append(out, c)
	}
	for _, k := range rollover.Kinds() {
		switch {
		case k.Type == "cancel" || k.Type == "revert":
		case k.Type == "algorithm":
			for _, from := range []string{"csk", "split"} {
				add(k, from, rollover.LayoutCSK, 15)
				add(k, from, rollover.LayoutSplit, 15)
			}
		case k.Type == "sign":
			add(k, "unsigned", rollover.LayoutCSK, 13)
			add(k, "unsigned", rollover.LayoutSplit, 13)
		case k.Type == "unsign":
			add(k, "csk", "", 13)
			add(k, "split", "", 13)
		case k.Role == "":
			add(k, "csk", rollover.LayoutSplit, 13)
			add(k, "split", rollover.LayoutCSK, 13)
		case k.Role == rollover.CSK:
			add(k, "csk", "", 13)
		default:
			add(k, "split", "", 13)
		}
	}
	return out
}

// run rolls a zone by a table, tick by tick, through Next alone, and returns
// how it ended: "" for done and never broken.
func run(c rowCase, at circumstance, p rollover.Policy) string {
	w := rollovertest.New(c.from, at.ttl)
	w.Lag = at.lag
	r, l := begin(w, c)
	return play(w, c.kind, &r, &l, p, "")
}

// play goes on with a rollover until it is done, or until a step was entered.
func play(w *rollovertest.World, k rollover.Kind, r *rollover.Roll, l *rollover.Ledger, p rollover.Policy, until string) string {
	for range 400 {
		for range len(k.Steps) + 1 {
			s, err := w.Look(context.Background(), rollover.Question{Zone: rollovertest.Zone, Records: []rollover.Record{rollover.RecordDS, rollover.RecordDNSKEY, rollover.RecordData}})
			if err != nil {
				return err.Error()
			}
			l.LearnSighting(s)
			var v rollover.Verdict
			*r, v = k.Next(*r, *l, s, p)
			if v.Enter == nil {
				break
			}
			if bad := enter(w, r, *v.Enter, p); bad != "" {
				return bad
			}
			if v.Ending {
				return w.Advance(40 * unit)
			}
			if r.Step == until {
				return ""
			}
		}
		if bad := w.Advance(unit); bad != "" {
			return bad
		}
	}
	return "not done after 400 ticks, waiting for: " + fmt.Sprint(r.Step)
}

func begin(w *rollovertest.World, c rowCase) (rollover.Roll, rollover.Ledger) {
	r := rollover.Roll{Zone: rollovertest.Zone, Type: c.kind.Type, Kind: c.kind.Name(), State: rollover.StateActive, Keys: w.Keys, SpecNew: c.new}
	for _, key := range w.Keys {
		if key.Role = rollover.RoleOf(w.Keys, key); c.kind.Role == "" || key.Role == c.kind.Role {
			r.Old = append(r.Old, key)
		}
	}
	return r, rollover.Ledger{}
}

// enter does what a step says, as the engine would, one command at a time, and
// looks at all caches after each.
func enter(w *rollovertest.World, r *rollover.Roll, step rollover.Step, p rollover.Policy) string {
	for _, c := range r.Commands(step) {
		if c.Verb != rollover.VerbCreate && c.Key.ID == 0 {
			c.Key = w.Keys[slices.IndexFunc(w.Keys, func(k rollover.Key) bool {
				return k.Flags == c.Key.Flags && k.Algorithm == c.Key.Algorithm && !slices.ContainsFunc(r.Old, func(o rollover.Key) bool { return o.ID == k.ID })
			})]
		}
		w.Apply(c)
		if bad := w.Advance(0); bad != "" {
			return fmt.Sprintf("after %s %v of step %s: %s", c.Verb, c.Key, step.Name, bad)
		}
	}
	if len(r.New) == 0 {
		for _, key := range w.Keys {
			for _, spec := range r.SpecNew {
				if spec.Flags == key.Flags && spec.Algorithm == key.Algorithm && !slices.ContainsFunc(r.Keys, func(o rollover.Key) bool { return o.ID == key.ID }) {
					key.Role = spec.Role
					r.New = append(r.New, key)
				}
			}
		}
	}
	r.Keys, r.Step = slices.Clone(w.Keys), step.Name
	for i := range r.Old {
		r.Old[i] = stateOf(w, r.Old[i])
	}
	for _, a := range step.Actions {
		if a.Verb == "ask parent" {
			r.Ask = &rollover.Ask{Sides: a.Sides}
			todo := r.Parent(p)
			w.SetDS(slices.Concat(todo.Keep, todo.Add))
		}
	}
	return w.Advance(0)
}

func TestEveryKindIsSafe(t *testing.T) {
	for _, c := range rows() {
		t.Run(c.name, func(t *testing.T) { safe(t, c) })
		c.kind = without(c.kind, func(w rollover.Wait) bool { return w.Courtesy })
		t.Run(c.name+" without courtesies", func(t *testing.T) { safe(t, c) })
	}
}

func safe(t *testing.T, row rowCase) {
	t.Helper()
	t.Parallel()
	for _, c := range circumstances() {
		if bad := run(row, c, tight()); bad != "" {
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
	for _, row := range rows() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.kind = without(row.kind, func(w rollover.Wait) bool { return w.Courtesy })
			row.kind.Rescue = rollover.Place{} // nor does a rescue hide one
			for _, m := range mutants(row.kind) {
				if againstHands(row.kind, m) {
					continue
				}
				needed(t, m, func(k rollover.Kind, c circumstance) string {
					row.kind = k
					return run(row, c, tight())
				})
			}
		})
	}
}

// wayBack is a row of the table that takes another one back, from a step that
// was entered just now.
type wayBack struct {
	rowCase
	back rollover.Kind
	at   string
}

func (b wayBack) run(c circumstance, p rollover.Policy) string {
	w := rollovertest.New(b.from, c.ttl)
	w.Lag = c.lag
	r, l := begin(w, b.rowCase)
	if bad := play(w, b.kind, &r, &l, p, b.at); bad != "" {
		return bad
	}
	// Nothing goes back while a change is still on its way (TestRevertWaitsUntilAllHasArrived).
	if bad := w.Advance(4 * unit); bad != "" {
		return bad
	}
	r.Kind, r.Step, r.Ask, r.Held = b.back.Name(), "", nil, nil
	for i := range r.Old {
		r.Old[i] = stateOf(w, r.Old[i])
	}
	return play(w, b.back, &r, &l, p, "")
}

func stateOf(w *rollovertest.World, k rollover.Key) rollover.Key {
	for _, o := range w.Keys {
		if o.ID == k.ID {
			k.Active, k.Published = o.Active, o.Published
		}
	}
	return k
}

// waysBack is every way back from every step that it can be taken from: cancel
// until something is taken away, revert then until an old key is removed.
func waysBack(t *testing.T) []wayBack {
	var out []wayBack
	add := func(row rowCase, back, method, step string) {
		k, err := rollover.FindKind(back, method)
		if err != nil {
			t.Fatal(err)
		}
		b := wayBack{row, k, step}
		b.name = fmt.Sprintf("%s from %s of %s", k.Name(), step, row.name)
		out = append(out, b)
	}
	for _, row := range rows() {
		taken, removed := false, false
		for _, s := range row.kind.Steps[:len(row.kind.Steps)-1] {
			taken = taken || s.TakesAway()
			removed = removed || slices.ContainsFunc(s.Actions, func(a rollover.Action) bool { return a.Verb == "remove" })
			if !taken && row.kind.Cancel != "" {
				add(row, "cancel", row.kind.Cancel, s.Name)
			}
			if taken && !removed && row.kind.Revert != "" {
				add(row, "revert", row.kind.Revert, s.Name)
			}
		}
	}
	return out
}

func TestEveryWayBackIsSafe(t *testing.T) {
	for _, b := range waysBack(t) {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			hasty := b
			hasty.kind = without(b.kind, func(w rollover.Wait) bool { return w.Courtesy })
			hasty.back = without(b.back, func(w rollover.Wait) bool { return w.Courtesy })
			for i, c := range circumstances() {
				way := []wayBack{b, hasty}[i%2]
				if i%4 > 1 {
					continue // there are many ways
				}
				if bad := way.run(c, tight()); bad != "" {
					t.Fatalf("with %v: %s", c, bad)
				}
			}
		})
	}
}

// Each settled wait of a revert, left out or weakened, breaks some resolver on
// some way back. Those of a cancel also guard against what somebody did by hand
// (TestCancelAfterASwitchByHand).
func TestEveryWaitOfARevertIsNeeded(t *testing.T) {
	for _, k := range rollover.Kinds() {
		if k.Type != "revert" {
			continue
		}
		t.Run(k.Name(), func(t *testing.T) {
			t.Parallel()
			var ways []wayBack
			for _, b := range waysBack(t) {
				if b.back.Name() == k.Name() {
					b.kind = without(b.kind, func(w rollover.Wait) bool { return w.Courtesy })
					ways = append(ways, b)
				}
			}
			for _, m := range mutants(without(k, func(w rollover.Wait) bool { return w.Courtesy })) {
				if againstHands(k, m) {
					continue
				}
				needed(t, m, func(k rollover.Kind, c circumstance) string {
					for _, b := range ways {
						b.back = k
						if bad := b.run(c, tight()); bad != "" {
							return bad
						}
					}
					return ""
				})
			}
		})
	}
}

// againstHands says whether a wait guards only against what somebody did by
// hand in the middle, which this world does not do; the search of TestProof does.
func againstHands(k rollover.Kind, m mutant) bool {
	role := k.Role == rollover.KSK && strings.Contains(m.what, "data not signed by")
	return role || k.Name() == "revert/unsign" || k.Name() == "revert/zsk" && strings.Contains(m.what, "DNSKEY has old") ||
		k.Name() == "revert/algorithm" && strings.Contains(m.what, "data signed by old")
}

// mutant is a kind with one wait left out, or weakened to seen.
type mutant struct {
	kind rollover.Kind
	what string
}

func mutants(k rollover.Kind) []mutant {
	var out []mutant
	for _, s := range k.Steps {
		for _, w := range s.Waits {
			if w.Strength != rollover.StrengthSettled {
				continue
			}
			change := func(keep bool) rollover.Kind {
				return mapWaits(k, func(at string, o rollover.Wait) (rollover.Wait, bool) {
					if at != s.Name || o.String() != w.String() {
						return o, true
					}
					o.Strength = rollover.StrengthSeen
					return o, keep
				})
			}
			name := fmt.Sprintf("%s, step %s: %v", k.Name(), s.Name, w)
			out = append(out, mutant{change(false), name + " left out"}, mutant{change(true), name + " weakened to seen"})
		}
	}
	return out
}

func needed(t *testing.T, m mutant, run func(rollover.Kind, circumstance) string) {
	t.Helper()
	for _, c := range circumstances() {
		if bad := run(m.kind, c); strings.Contains(bad, "a resolver may hold") {
			t.Logf("%s: with %v: %s", m.what, c, bad)
			return
		}
	}
	t.Errorf("%s breaks nothing: it is not needed, or not tested", m.what)
}

// Activate before deactivate, always: the other order leaves a role without an
// active key for a moment (and PowerDNS then lets the other key sign).
func TestOrderOfActionsMatters(t *testing.T) {
	for _, k := range rollover.Kinds() {
		for i, s := range k.Steps {
			if len(s.Actions) < 2 {
				continue
			}
			for j := range s.Actions {
				for l := range s.Actions[:j] {
					if s.Actions[l].Verb == "deactivate" && s.Actions[j].Verb == "activate" {
						t.Errorf("%s: step %d (%s) deactivates before it activates", k.Name(), i, s.Name)
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
		if k.Rescue.Kind != "" {
			kindType, method, _ := strings.Cut(k.Rescue.Kind, "/")
			to, err := rollover.FindKind(kindType, method)
			if err != nil || k.Rescue.Step != "" && !slices.ContainsFunc(to.Steps, func(s rollover.Step) bool { return s.Name == k.Rescue.Step }) {
				t.Errorf("kind %s: rescue leads to %v: %v", k.Name(), k.Rescue, err)
			}
		}
		for back, method := range map[string]string{"cancel": k.Cancel, "revert": k.Revert} {
			if _, err := rollover.FindKind(back, method); method != "" && err != nil {
				t.Errorf("kind %s: %v", k.Name(), err)
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
