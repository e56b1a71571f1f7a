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

// adoptions are rollovers that can be recognised in the middle.
func adoptions() []rolling {
	all := turns()
	return []rolling{
		{"zsk", "split", rollover.Order{Type: "zsk"}},
		{"zsk double-signature", "split", rollover.Order{Type: "zsk", Method: "double-signature"}},
		{"ksk", "split", rollover.Order{Type: "ksk"}},
		{"ksk double-signature", "split", rollover.Order{Type: "ksk", Method: "double-signature"}},
		{"ksk double-rrset", "split", rollover.Order{Type: "ksk", Method: "double-rrset"}},
		{"csk", "csk", rollover.Order{Type: "csk"}},
		{"csk double-signature", "csk", rollover.Order{Type: "csk", Method: "double-signature"}},
		all[0], all[1], all[3], all[5],
	}
}

func adopt(w *rollovertest.World) error {
	_, err := w.Engine(tight()).Adopt(context.Background(), rollovertest.Zone)
	return err
}

// The state file is lost at every moment of every rollover: adopt finds its step
// again, or refuses and says what it saw; then it goes on and breaks nothing.
func TestAdoptAtEveryMoment(t *testing.T) {
	for _, c := range adoptions() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			steps, refusals := map[string]bool{}, map[string]int{}
			for n := 0; n < 90; n += 4 {
				w := rollovertest.New(c.layout, unequal)
				w.Lag = map[string]time.Duration{"ns2": 2 * unit, "p2": unit}
				start(t, w, tight(), c.order)
				pass(t, w, n)
				was := w.Roll()
				if was.State.Ended() {
					break
				}
				w.Forget()
				err := adopt(w)
				if err != nil {
					refusals[was.Step]++
					if w.Roll() != nil {
						t.Fatal("a refused adoption left a rollover")
					}
					continue
				}
				r := w.Roll()
				steps[was.Step] = true
				if r.Type != was.Type || keyIDs(r.Old) != keyIDs(was.Old) || keyIDs(r.New) != keyIDs(was.New) {
					t.Fatalf("at step %s of %s it adopted a %s by %s from %v to %v", was.Step, was.Kind, r.Type, r.Method, r.Old, r.New)
				}
				drive(t, w, tight(), 300)
				finished(t, w)
			}
			t.Logf("adopted after %v, refused after %v", steps, refusals)
			if len(steps) == 0 {
				t.Errorf("never adopted, refused after %v", refusals)
			}
		})
	}
}

func keyIDs(keys []rollover.Key) string {
	var out []string
	for _, k := range keys {
		out = append(out, k.DNSKEY().String()[:3]+" "+string(k.Role)+" "+strings.Repeat("i", k.ID))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// What adopt refuses: it says what it saw, and touches nothing.
func TestAdoptRefuses(t *testing.T) {
	for _, c := range []struct {
		name, layout, says string
		do                 func(*rollovertest.World)
	}{
		{"nothing half-done", "split", "two keys of one role", nil},
		{"not signed", "unsigned", "has no key", nil},
		{"three ZSKs", "split", "two keys of one role", func(w *rollovertest.World) { w.AddKey(256, true, true); w.AddKey(256, false, true) }},
		{"two rollovers at once", "split", "two keys of one role", func(w *rollovertest.World) { w.AddKey(256, false, true); w.AddKey(257, false, true) }},
		{"a conversion", "csk", "flags 256 and 257", func(w *rollovertest.World) { w.AddKey(256, false, true) }},
		{"an unpublished key", "csk", "not published", func(w *rollovertest.World) { w.AddKey(257, false, false) }},
		{"an inactive key of another algorithm", "csk", "every key does", func(w *rollovertest.World) {
			k := w.AddKey(257, false, true)
			w.Keys[1].Algorithm = 15
			w.Keys[1].Tag = w.Keys[1].DNSKEY().Tag()
			w.Apply(rollover.Command{Verb: rollover.VerbDeactivate, Key: k})
		}},
		{"a DS of the key that does not sign", "csk", "no key that the DS is for has signed", func(w *rollovertest.World) { w.SetDS(w.DSOf(w.AddKey(257, false, true))) }},
		{"no DS", "csk", "no chain to roll", func(w *rollovertest.World) { w.AddKey(257, false, true); w.SetDS(nil) }},
		{"the parent disagrees with itself", "csk", "wait until they agree", func(w *rollovertest.World) {
			w.AddKey(257, false, true)
			w.Lag["p2"] = 100 * unit
			w.SetDS(w.DSOf(w.Keys...))
		}},
		{"an unknown zone", "csk", "no such zone", func(w *rollovertest.World) { w.Gone = true }},
		{"a server is down", "csk", "exclude-server", func(w *rollovertest.World) { w.AddKey(257, false, true); w.Down["ns2"] = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New(c.layout, unequal)
			if c.do != nil {
				c.do(w)
			}
			w.Advance(0)
			keys := slices.Clone(w.Keys)
			if err := adopt(w); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("adopt says %v, expected %q", err, c.says)
			}
			if w.Roll() != nil || !slices.Equal(keys, w.Keys) {
				t.Errorf("a refused adoption changed something: %v, %v", w.Roll(), w.Keys)
			}
		})
	}
}

// What was adopted waits as if it had begun just now.
func TestAdoptedWaitsStartAnew(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	toStep(t, w, tight(), "switch")
	pass(t, w, int(unequal.Data/unit)-1) // one minute before it could end
	w.Forget()
	if err := adopt(w); err != nil {
		t.Fatal(err)
	}
	pass(t, w, int(unequal.Data/unit)-1)
	if r := w.Roll(); r.Step != "switch" {
		t.Errorf("after %s it is at %s already", unequal.Data-unit, r.Step)
	}
	drive(t, w, tight(), 30)
	finished(t, w)
}

func TestAdoptBesideARollover(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	if err := adopt(w); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("adopt beside a running rollover says %v", err)
	}
}
