package rollover_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// algorithmOf gives a key of a world another algorithm.
func algorithmOf(w *rollovertest.World, i int, algorithm uint8) {
	w.Keys[i].Algorithm, w.Keys[i].Bits = algorithm, map[uint8]int{13: 256, 14: 384, 15: 256}[algorithm]
	w.Keys[i].Tag = w.Keys[i].DNSKEY().Tag()
}

// oddWorld is a zone with a KSK of algorithm 14 and a ZSK of algorithm 13, for
// good; the ids in either order.
func oddWorld(t *testing.T, turned bool) *rollovertest.World {
	w := rollovertest.New("unsigned", unequal)
	flags := []uint16{rollover.FlagsKSK, rollover.FlagsZSK}
	if turned {
		slices.Reverse(flags)
	}
	for i, f := range flags {
		w.AddKey(f, true, true)
		if f == rollover.FlagsKSK {
			algorithmOf(w, i, 14)
		}
	}
	settle(w)
	return w
}

// settle lets a zone be served as its keys are, with the DS of its keys that have
// the SEP flag, until every cache has that.
func settle(w *rollovertest.World, of ...rollover.Key) {
	if len(of) == 0 {
		of = slices.DeleteFunc(slices.Clone(w.Keys), func(k rollover.Key) bool { return k.Flags != rollover.FlagsKSK })
	}
	w.SetTTL(unequal)
	w.Advance(40 * unit)
	w.SetDS(w.DSOf(of...))
	w.Advance(40 * unit)
}

// A KSK of one algorithm beside a ZSK of another is a layout, and named as one by
// whatever is asked for; nothing is adopted towards the key without the SEP flag.
func TestOddLayoutIsNamed(t *testing.T) {
	for _, turned := range []bool{false, true} {
		w := oddWorld(t, turned)
		ksk, zsk := w.Keys[0], w.Keys[1]
		if turned {
			ksk, zsk = zsk, ksk
		}
		says := []string{
			fmt.Sprintf("a KSK of algorithm 14 (tag %d, id %d, flags 257)", ksk.Tag, ksk.ID), fmt.Sprintf("a ZSK of algorithm 13 (tag %d, id %d, flags 256)", zsk.Tag, zsk.ID),
			"no half-done algorithm rollover", fmt.Sprintf("pdnsutil unpublish-zone-key example.com. %d", zsk.ID), fmt.Sprintf("pdnsutil remove-zone-key example.com. %d", zsk.ID),
		}
		for _, o := range []rollover.Order{{}, {Type: "zsk"}, {Type: "ksk"}, {Type: "csk"}, {Type: "csk", To: rollover.LayoutSplit}, {Type: "algorithm", Algorithm: 15}} {
			if o.Type == "zsk" || o.Type == "ksk" || o.Type == "" {
				startRefused(t, w, o, "example.com.")
			}
			for _, s := range says {
				startRefused(t, w, o, s)
			}
		}
		err := adopt(w)
		for _, s := range says {
			if err == nil || !strings.Contains(err.Error(), s) {
				t.Errorf("adopt says %v, expected %q", err, s)
			}
		}
		if w.Roll() != nil {
			t.Errorf("adopted %+v", w.Roll())
		}
	}
}

// The way out that is named leads to a zone with one key, and breaks nothing.
func TestOddLayoutHasAWayOut(t *testing.T) {
	w := oddWorld(t, false)
	zsk := w.Keys[1]
	w.Apply(rollover.Command{Verb: rollover.VerbUnpublish, Key: zsk})
	if bad := w.Advance(unequal.DNSKEY); bad != "" {
		t.Fatal(bad)
	}
	w.Apply(rollover.Command{Verb: rollover.VerbRemove, Key: zsk})
	if bad := w.Advance(40 * unit); bad != "" {
		t.Fatal(bad)
	}
	start(t, w, tight(), rollover.Order{Type: "csk", To: rollover.LayoutSplit})
	drive(t, w, tight(), 300)
	finished(t, w)
}

// withoutFlag is a zone with a single key that has no SEP flag.
func withoutFlag(t *testing.T) *rollovertest.World {
	w := rollovertest.New("unsigned", unequal)
	settle(w, w.AddKey(rollover.FlagsZSK, true, true))
	return w
}

// A single key without the SEP flag: no key like it takes its place, and none of its
// algorithm that has the flag is put beside it, which would make it a ZSK.
func TestKeyWithoutSEPIsNoTarget(t *testing.T) {
	for _, o := range []rollover.Order{{}, {Type: "csk"}, {Type: "csk", Method: "double-signature"}, {Type: "csk", To: rollover.LayoutSplit}, {Type: "csk", To: rollover.LayoutSplit, Method: "double-signature"}} {
		startRefused(t, withoutFlag(t), o, "without the SEP flag")
		startRefused(t, withoutFlag(t), o, "--type algorithm")
	}
	w := withoutFlag(t)
	if err := adopt(w); err == nil || !strings.Contains(err.Error(), "SEP flag") {
		t.Errorf("adopt says %v", err)
	}
}

// An algorithm rollover leads away from it, to one key and to two, at whatever
// moment the state is lost; it can be cancelled, and is not reverted.
func TestAlgorithmRolloverGetsTheSEPFlag(t *testing.T) {
	for _, to := range []rollover.Layout{rollover.LayoutCSK, rollover.LayoutSplit} {
		w := withoutFlag(t)
		h := &history{t: t, p: tight(), w: w}
		h.watch(w)
		start(t, w, tight(), rollover.Order{Type: "algorithm", Algorithm: 15, To: to})
		for range 300 {
			h.note()
			if w.Roll().State.Ended() {
				break
			}
			err := w.Engine(tight()).Revert(context.Background(), rollover.Back{Zone: rollovertest.Zone})
			if w.Roll().Step == "unpublish" && (err == nil || !strings.Contains(err.Error(), "no SEP flag")) {
				t.Fatalf("revert says %v", err)
			}
			h.pass()
		}
		finished(t, w)
		adopted := 0
		for _, m := range h.moments {
			again := m.world.Clone()
			if m.adopted(t, again) == nil {
				adopted++
				m.end(t, again, taken(again.Roll()))
			}
		}
		if adopted < 4 {
			t.Errorf("adopted at %d of %d moments", adopted, len(h.moments))
		}
	}
}
