package rollover_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// moment is a place at which a rollover was stopped and its state lost: after a
// step, after one single command of a step, or when the parent has changed.
type moment struct {
	kind  string // of the row that was in force
	where string
	world *rollovertest.World
	p     rollover.Policy
}

// history is one rollover that is run, and all the moments of it.
type history struct {
	t       *testing.T
	p       rollover.Policy
	moments []moment
	w       *rollovertest.World
	saw     string                // step and DS set of the last moment
	state   string                // of the world at the last moment
	steps   []*rollovertest.World // after each step of the way there
}

// stoppable are all rollovers that can be ordered, in every zone that they are for.
func stoppable() []rolling {
	out := []rolling{
		{"zsk", "split", rollover.Order{Type: "zsk"}},
		{"zsk double-signature", "split", rollover.Order{Type: "zsk", Method: "double-signature"}},
		{"ksk", "split", rollover.Order{Type: "ksk"}},
		{"ksk double-signature", "split", rollover.Order{Type: "ksk", Method: "double-signature"}},
		{"ksk double-rrset", "split", rollover.Order{Type: "ksk", Method: "double-rrset"}},
		{"csk", "csk", rollover.Order{Type: "csk"}},
		{"csk double-signature", "csk", rollover.Order{Type: "csk", Method: "double-signature"}},
		{"csk double-rrset", "csk", rollover.Order{Type: "csk", Method: "double-rrset"}},
	}
	return slices.DeleteFunc(slices.Concat(out, turns(), signings()), func(c rolling) bool {
		return c.order.Type == "algorithm" && c.order.To == "" // to the layout that it has, which the others say by name
	})
}

// record runs a rollover to its end and keeps every moment of it, and those of
// the ways back from each of its steps.
func record(t *testing.T, c rolling, p rollover.Policy, in circumstance) []moment {
	t.Helper()
	w := rollovertest.New(c.layout, in.ttl)
	w.Lag = maps.Clone(in.lag)
	h := &history{t: t, p: p, w: w}
	h.watch(w)
	start(t, w, p, c.order)
	h.note()
	for range 300 {
		if w.Roll().State.Ended() {
			break
		}
		h.pass()
	}
	if w.Roll().State != rollover.StateDone {
		t.Fatalf("%s is %s at %s, need %+v", c.name, w.Roll().State, w.Roll().Step, w.Roll().Need)
	}
	for _, step := range h.steps {
		h.back(step)
	}
	return h.moments
}

// watch keeps the moment after each single command.
func (h *history) watch(w *rollovertest.World) {
	h.w, h.saw, h.state = w, "", ""
	w.Operator = addFirst
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		w.Apply(c)
		r := w.Roll()
		h.keep(r, fmt.Sprintf("in step %s, after %s", r.Intent.Step, c.Verb))
		return nil
	}
}

// addFirst is an operator who first adds at the parent, and removes at the next visit.
func addFirst(w *rollovertest.World, want []rollover.DS) {
	set := w.DSSet()
	for _, d := range want {
		if !slices.Contains(set, d) {
			set = append(set, d)
		}
	}
	if len(set) > len(w.DSSet()) {
		w.SetDS(set)
		return
	}
	w.SetDS(want)
}

func (h *history) keep(r *rollover.Roll, where string) {
	clone := h.w.Clone()
	clone.OnDo = nil
	state := fmt.Sprint(h.w.Now.Wall, seenState(h.w))
	if n := len(h.moments); n > 0 && state == h.state {
		h.moments[n-1].where = where // the last command of a step, and the step
		return
	}
	h.state = state
	h.moments = append(h.moments, moment{r.Kind, where, clone, h.p})
}

// note keeps a moment if a step was entered or the parent has changed.
func (h *history) note() {
	r := h.w.Roll()
	step := fmt.Sprint(r.Kind, r.Step)
	saw := fmt.Sprint(step, h.w.DSSet())
	if saw == h.saw || r.State.Ended() || r.Step == "" {
		return
	}
	entered := !strings.HasPrefix(h.saw, step)
	where := "after step " + r.Step
	if !entered {
		where += ", when the parent has changed"
	}
	h.keep(r, where)
	h.saw = saw
	if entered && !strings.HasPrefix(r.Kind, "cancel/") && !strings.HasPrefix(r.Kind, "revert/") {
		h.steps = append(h.steps, h.w.Clone())
	}
}

func (h *history) pass() {
	h.t.Helper()
	tick(h.t, h.w, h.p)
	if bad := h.w.Advance(0); bad != "" {
		h.t.Fatal(bad)
	}
	h.note()
	h.parent()
	if bad := h.w.Advance(unit); bad != "" {
		h.t.Fatal(bad)
	}
}

func (h *history) parent() {
	if h.p.CDS {
		follow(h.w)
		return
	}
	h.w.ServeParent(h.p)
}

// back takes a rollover back and keeps the moments of that.
func (h *history) back(w *rollovertest.World) {
	h.t.Helper()
	w.OnDo = nil
	if !h.orderBack(w) {
		return
	}
	h.watch(w)
	for range 300 {
		h.note()
		if w.Roll().State.Ended() {
			return
		}
		h.pass()
	}
	h.t.Fatalf("going back by %s stands at %s: %+v", w.Roll().Kind, w.Roll().Step, w.Roll().Need)
}

func (h *history) orderBack(w *rollovertest.World) bool {
	for range 20 {
		e := w.Engine(h.p)
		err := e.Cancel(context.Background(), rollovertest.Zone, "changed my mind")
		if err != nil {
			err = w.Engine(h.p).Revert(context.Background(), rollover.Back{Zone: rollovertest.Zone, Reason: "no good"})
		}
		if err == nil {
			return true
		}
		h.parentOf(w)
		if bad := w.Advance(unit); bad != "" {
			h.t.Fatal(bad)
		}
	}
	return false
}

func (h *history) parentOf(w *rollovertest.World) {
	if h.p.CDS {
		follow(w)
		return
	}
	w.ServeParent(h.p)
}

// adopted calls adopt at a moment, with nothing remembered, until it no longer
// says that a server is behind.
func (m moment) adopted(t *testing.T, w *rollovertest.World) error {
	t.Helper()
	w.Forget()
	var err error
	for range 12 {
		if bad := w.Advance(0); bad != "" {
			t.Fatalf("%s, %s: before adopt: %s", m.kind, m.where, bad)
		}
		keys := slices.Clone(w.Keys)
		if _, err = w.Engine(m.p).Adopt(context.Background(), rollovertest.Zone); err == nil {
			return nil
		}
		if !errors.Is(err, rollover.ErrRefused) && !errors.Is(err, rollover.ErrUnavailable) || w.Roll() != nil || !slices.Equal(keys, w.Keys) {
			t.Fatalf("%s, %s: adopt says %v, and left a rollover or other keys", m.kind, m.where, err)
		}
		if len(w.Lag) == 0 {
			return err
		}
		if bad := w.Advance(unit); bad != "" {
			t.Fatalf("%s, %s: after a refused adopt: %s", m.kind, m.where, bad)
		}
	}
	return err
}

// end takes what was adopted to its end.
func (m moment) end(t *testing.T, w *rollovertest.World, took string) {
	t.Helper()
	h := history{t: t, p: m.p, w: w}
	for range 400 {
		tick(t, w, m.p)
		bad := w.Advance(0)
		if bad == "" && !w.Roll().State.Ended() {
			h.parent()
			bad = w.Advance(unit)
		}
		if bad != "" {
			t.Fatalf("%s, %s, taken for %s: at step %s: %s", m.kind, m.where, took, w.Roll().Step, bad)
		}
		if w.Roll().State.Ended() {
			break
		}
	}
	if bad := w.Advance(40 * unit); bad != "" {
		t.Fatalf("%s, %s, taken for %s: afterwards: %s", m.kind, m.where, took, bad)
	}
	if r := w.Roll(); !r.State.Ended() {
		t.Fatalf("%s, %s, taken for %s: it is %s at step %q, need %+v, block %+v, trouble %+v", m.kind, m.where, took, r.State, r.Step, r.Need, r.Block, r.Trouble)
	}
	m.sound(t, w, took)
}

// sound checks that a zone ends as one that start takes: each key signs, all of
// one algorithm, one entry point with the SEP flag, and a DS of it alone.
func (m moment) sound(t *testing.T, w *rollovertest.World, took string) {
	t.Helper()
	flags := map[uint16]int{}
	ok := true
	for _, k := range w.Keys {
		flags[k.Flags]++
		ok = ok && k.Active && k.Published && k.Algorithm == w.Keys[0].Algorithm
	}
	if len(w.Keys) > 0 && (!ok || flags[rollover.FlagsKSK] != 1 || flags[rollover.FlagsZSK] > 1) {
		t.Errorf("%s, %s, taken for %s: in the end the keys are %+v", m.kind, m.where, took, w.Keys)
	}
	if !m.p.CDS && len(w.Keys) > 0 && !slices.Equal(w.DSSet(), w.DSOf(w.Keys...)) {
		t.Errorf("%s, %s, taken for %s: in the end DS %v, keys %v", m.kind, m.where, took, w.DSSet(), w.Keys)
	}
}

// forMoments are circumstances in which each record in turn lives much longer
// than the others: a wait for another one does not make up for it.
func forMoments() []circumstance {
	none := map[string]time.Duration{}
	return []circumstance{
		{rollovertest.TTLs{DS: 2 * unit, DNSKEY: 3 * unit, Data: 25 * unit}, none},
		{rollovertest.TTLs{DS: 3 * unit, DNSKEY: 25 * unit, Data: 2 * unit}, none},
		{rollovertest.TTLs{DS: 25 * unit, DNSKEY: 2 * unit, Data: 3 * unit}, none},
		{unequal, map[string]time.Duration{"ns2": 3 * unit, "p2": 2 * unit}},
	}
}

// leisurely looks less often while nothing can change but time, and so is faster to
// run; a hold is still looked at when it ends.
func leisurely() rollover.Policy {
	p := tight()
	p.CheckInterval = 5 * unit
	return p
}

func taken(r *rollover.Roll) string {
	sides := func(keys []rollover.Key) string {
		var out []string
		for _, k := range keys {
			out = append(out, fmt.Sprint(k.Role, " ", k.ID))
		}
		return strings.Join(out, " and ")
	}
	return fmt.Sprintf("%s after %s: %s by %s", r.Kind, r.Step, sides(r.Old), sides(r.New))
}

// The state file is lost at every moment of everything that can be ordered, and
// of every way back from it: adopt takes over or refuses, and whatever it takes
// over comes to its end without a cache that cannot validate, forth and back.
func TestAdoptAtEveryMomentOfEverything(t *testing.T) {
	for _, c := range stoppable() {
		for i, in := range forMoments() {
			t.Run(fmt.Sprintf("%s, %d", c.name, i), func(t *testing.T) {
				t.Parallel()
				for _, m := range record(t, c, leisurely(), in) {
					m.forth(t, nil)
					if i == 0 {
						m.forth(t, func(id, _ int) int { return 100 - id })
						m.forth(t, lastTwo)
						m.andBack(t)
					}
				}
			})
		}
	}
}

// lastTwo is ids with the last two changed: of a KSK and a ZSK made by hand either
// may be the first.
func lastTwo(id, n int) int {
	switch {
	case n < 3 || id < n-1:
		return id
	case id == n:
		return n - 1
	}
	return n
}

// forth adopts at a moment, with the ids as they are or as renumbered, and takes it
// to the end.
func (m moment) forth(t *testing.T, renumber func(id, n int) int) {
	t.Helper()
	w := m.world.Clone()
	for i := range w.Keys {
		if renumber != nil {
			w.Keys[i].ID = renumber(w.Keys[i].ID, len(w.Keys))
		}
	}
	if m.adopted(t, w) == nil {
		m.end(t, w, taken(w.Roll()))
	}
}

// andBack adopts at a moment, and takes it back.
func (m moment) andBack(t *testing.T) {
	t.Helper()
	w := m.world.Clone()
	if m.adopted(t, w) != nil {
		return
	}
	took := taken(w.Roll())
	h := history{t: t, p: m.p}
	if h.orderBack(w) {
		m.end(t, w, took+", and back")
	}
}

// Where the parent follows CDS, what is adopted is what CDS can express.
func TestAdoptWhereTheParentFollowsCDS(t *testing.T) {
	for _, c := range cdsRollings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			adopted := 0
			for _, m := range record(t, c, byCDS(), forMoments()[0]) {
				w := m.world.Clone()
				if err := m.adopted(t, w); err != nil {
					if !strings.Contains(err.Error(), "nothing is half done") {
						t.Errorf("%s, %s: %v", m.kind, m.where, err)
					}
					continue
				}
				adopted++
				if r := w.Roll(); !strings.HasSuffix(r.Kind, "-cds") {
					t.Errorf("%s, %s, taken for %s", m.kind, m.where, taken(r))
				}
				m.end(t, w, taken(w.Roll()))
			}
			if adopted < 4 {
				t.Errorf("adopted %d times", adopted)
			}
		})
	}
	w := rollovertest.New("csk", unequal)
	w.AddKey(257, false, true)
	w.AddKey(256, false, true)
	w.Advance(0)
	if _, err := w.Engine(byCDS()).Adopt(context.Background(), rollovertest.Zone); err == nil || !strings.Contains(err.Error(), "use another driver") {
		t.Errorf("a conversion: adopt says %v", err)
	}
}
