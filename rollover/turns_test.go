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

// Rollovers in which a set of keys takes the place of another set: algorithm
// rollovers and conversions, through the whole engine.

func turns() []rolling {
	var out []rolling
	for _, from := range []string{"split", "csk"} {
		for _, to := range []rollover.Layout{"", rollover.LayoutCSK, rollover.LayoutSplit} {
			out = append(out, rolling{fmt.Sprintf("algorithm, %s to %q", from, to), from, rollover.Order{Type: "algorithm", Algorithm: 15, To: to}})
		}
	}
	for _, method := range []string{"", "double-signature"} {
		out = append(out,
			rolling{"to csk " + method, "split", rollover.Order{Method: method, To: rollover.LayoutCSK}},
			rolling{"to split " + method, "csk", rollover.Order{Type: "csk", Method: method, To: rollover.LayoutSplit}})
	}
	return out
}

func TestWholeTurns(t *testing.T) {
	for _, c := range turns() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := rollovertest.New(c.layout, unequal)
			w.Lag = map[string]time.Duration{"ns2": 3 * unit, "p2": 2 * unit}
			start(t, w, tight(), c.order)
			drive(t, w, tight(), 300)
			r := finished(t, w)
			arrived(t, w, r, c)
		})
	}
}

// arrived checks that the zone has the keys that were asked for.
func arrived(t *testing.T, w *rollovertest.World, r *rollover.Roll, c rolling) {
	t.Helper()
	to := string(c.order.To)
	if to == "" {
		to = c.layout
	}
	want := map[string]string{"csk": "257 CSK", "split": "256 ZSK, 257 KSK"}[to]
	var got []string
	for _, k := range w.Keys {
		got = append(got, fmt.Sprint(k.Flags, " ", rollover.RoleOf(w.Keys, k)))
		if c.order.Algorithm != 0 && k.Algorithm != c.order.Algorithm {
			t.Errorf("key %v has algorithm %d", k, k.Algorithm)
		}
	}
	slices.Sort(got)
	if strings.Join(got, ", ") != want || len(r.New) != len(w.Keys) {
		t.Errorf("keys are %q, expected %s; new side %v", got, want, r.New)
	}
	for _, k := range r.New {
		if k.Role != rollover.RoleOf(w.Keys, k) {
			t.Errorf("new key %v has role %s", k, rollover.RoleOf(w.Keys, k))
		}
	}
}

// A kill at every single input or output, before and after its effect.
func TestTurnsKilledAnywhere(t *testing.T) {
	all := turns()
	for _, c := range []rolling{all[0], all[9]} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after the effect %v", c.name, after), func(t *testing.T) {
				t.Parallel()
				n := 1
				for killedTurning(t, c, n, after) {
					n++
				}
				t.Logf("%d places", n-1)
			})
		}
	}
}

func killedTurning(t *testing.T, c rolling, n int, after bool) bool {
	w := rollovertest.New(c.layout, unequal)
	w.KillAt, w.KillAfterEffect = n, after
	start(t, w, tight(), c.order)
	if w.Roll() == nil {
		start(t, w, tight(), c.order)
	}
	drive(t, w, tight(), 300)
	arrived(t, w, finished(t, w), c)
	return w.Ops >= n
}

// Cancelled at every moment until something was taken away, the zone has its
// old keys again; after that, cancel is refused and the rollover ends.
func TestTurnsCancelledAtEveryStep(t *testing.T) {
	for _, c := range turns() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cancelled, refused := 0, 0
			for n := 0; n < 60; n += 4 {
				w := rollovertest.New(c.layout, unequal)
				before := slices.Clone(w.Keys)
				start(t, w, tight(), c.order)
				drive(t, w, tight(), n)
				if w.Roll().State.Ended() {
					break
				}
				if err := w.Engine(tight()).Cancel(context.Background(), rollovertest.Zone, "changed my mind"); err != nil {
					refused++
					drive(t, w, tight(), 300)
					arrived(t, w, finished(t, w), c)
					continue
				}
				cancelled++
				drive(t, w, tight(), 300)
				if w.Roll().State != rollover.StateCancelled || !slices.Equal(w.Keys, before) {
					t.Fatalf("cancelled after %d units: %s, keys %v, need %+v", n, w.Roll().State, w.Keys, w.Roll().Need)
				}
			}
			if cancelled == 0 || refused == 0 {
				t.Errorf("%d cancelled, %d refused", cancelled, refused)
			}
		})
	}
}

// Lowering a TTL in mid-roll must not shorten a wait.
func TestTurnsWithLoweredTTL(t *testing.T) {
	for _, c := range turns() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for lowered := 0; lowered < 60; lowered += 11 {
				w := rollovertest.New(c.layout, unequal)
				start(t, w, tight(), c.order)
				drive(t, w, tight(), lowered)
				w.SetTTL(rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: unit})
				drive(t, w, tight(), 300)
				finished(t, w)
			}
		})
	}
}

// A registrar that replaces instead of adds, when a zone is converted: only the
// new key that the DS points to may sign in haste.
func TestConversionIsRescued(t *testing.T) {
	for _, c := range turns() {
		if c.order.Algorithm != 0 || c.order.Method != "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New(c.layout, unequal)
			p := tight()
			w.Operator = func(w *rollovertest.World, want []rollover.DS) {
				w.SetDS(slices.DeleteFunc(slices.Clone(want), func(d rollover.DS) bool { return slices.Contains(w.DSOf(w.Roll().Old...), d) }))
			}
			start(t, w, p, c.order)
			broke := false
			for range 300 {
				tick(t, w, p)
				w.ServeParent(p)
				broke = w.Advance(unit) != "" || broke
				if w.Roll().State != rollover.StateActive {
					break
				}
				if r := w.Roll(); r.Kind == "csk/convert-double-signature" {
					for _, k := range w.Keys {
						if k.Flags == rollover.FlagsZSK && k.Active != (c.layout == "split") && r.Step == "publish" {
							t.Fatalf("after the rescue, key %v", k)
						}
					}
				}
			}
			if r := finished(t, w); r.Kind != "csk/convert-double-signature" {
				t.Errorf("it went on as %s", r.Kind)
			}
			arrived(t, w, w.Roll(), c)
			t.Logf("some cache was broken meanwhile: %v", broke)
		})
	}
}

// What an order for a set of keys is refused for, and that nothing is touched.
func TestTurnsRefused(t *testing.T) {
	for _, c := range []struct {
		name, layout string
		do           func(*rollovertest.World)
		order        rollover.Order
		says         string
	}{
		{"no algorithm", "csk", nil, rollover.Order{Type: "algorithm"}, "--algorithm"},
		{"the same algorithm", "csk", nil, rollover.Order{Type: "algorithm", Algorithm: 13}, "already"},
		{"RSASHA1", "csk", nil, rollover.Order{Type: "algorithm", Algorithm: 7}, "RFC 9905"},
		{"Ed448", "csk", nil, rollover.Order{Type: "algorithm", Algorithm: 16}, "cannot verify"},
		{"a size that does not exist", "csk", nil, rollover.Order{Type: "algorithm", Algorithm: 15, Bits: 512}, "it has 256"},
		{"a size too small", "csk", nil, rollover.Order{Type: "algorithm", Algorithm: 8, Bits: 512}, "1024 to 4096"},
		{"an algorithm for a zsk", "split", nil, rollover.Order{Type: "zsk", Algorithm: 15}, "--type algorithm"},
		{"a layout for a ksk", "split", nil, rollover.Order{Type: "ksk", To: rollover.LayoutCSK}, "target layout"},
		{"an unknown layout", "split", nil, rollover.Order{Type: "algorithm", Algorithm: 15, To: "both"}, "no layout"},
		{"a conversion to what it is", "split", nil, rollover.Order{Type: "csk", To: rollover.LayoutSplit}, "does not change which keys"},
		{"csk without saying to what", "split", nil, rollover.Order{Type: "csk"}, "--to csk"},
		{"a leftover key", "csk", func(w *rollovertest.World) { w.AddKey(257, false, true) }, rollover.Order{Type: "algorithm", Algorithm: 15}, "remove-zone-key"},
		{"two ZSKs", "split", func(w *rollovertest.World) { w.AddKey(256, true, true) }, rollover.Order{Type: "algorithm", Algorithm: 15}, "2 active keys"},
		{"no DS", "split", func(w *rollovertest.World) { w.SetDS(nil) }, rollover.Order{Type: "algorithm", Algorithm: 15}, "no chain to roll"},
		{"an unknown method", "split", nil, rollover.Order{Type: "algorithm", Algorithm: 15, Method: "liberal"}, "types are"},
		{"no way of double signing beside", "split", nil, rollover.Order{Type: "csk", To: rollover.LayoutCSK, Method: "pre-publish"}, "types are"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New(c.layout, unequal)
			if c.do != nil {
				c.do(w)
			}
			startRefused(t, w, c.order, c.says)
		})
	}
}

// While a wait of an algorithm rollover does not hold, it is refused, and each
// step names what it waits for.
func TestAlgorithmWaits(t *testing.T) {
	for _, c := range []struct {
		step, says string
		stop       func(*rollovertest.World)
	}{
		{"sign", "data signed by new", func(w *rollovertest.World) { w.Lag["ns2"] = 1000 * unit }},
		{"publish", "DNSKEY has new", func(w *rollovertest.World) { w.Lag["ns1"] = 1000 * unit }},
		{"submit", "DS has new, lacks old", func(w *rollovertest.World) {
			w.Operator = func(w *rollovertest.World, _ []rollover.DS) { w.SetDS(w.DSOf(w.Keys...)) } // adds, and removes nothing
		}},
		{"unpublish", "DNSKEY lacks old", func(w *rollovertest.World) { w.Lag["ns2"] = 1000 * unit }},
	} {
		t.Run(c.step, func(t *testing.T) {
			w := rollovertest.New("split", unequal)
			p := tight()
			before := map[string]string{"publish": "sign", "submit": "publish", "unpublish": "submit"}[c.step]
			o := rollover.Order{Zone: rollovertest.Zone, Type: "algorithm", Algorithm: 15}
			if before == "" {
				begun(t, w, p, o, c.stop)
			} else {
				start(t, w, p, o)
				toStep(t, w, p, before)
				c.stop(w)
			}
			drive(t, w, p, 100)
			if r := w.Roll(); r.Need == nil || !strings.Contains(strings.Join(r.Need.Waits, " "), c.says) {
				t.Errorf("at step %s it waits for %+v, expected %q", r.Step, r.Need, c.says)
			}
		})
	}
}
