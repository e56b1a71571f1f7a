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

func signings() []rolling {
	return []rolling{
		{"sign as csk", "unsigned", rollover.Order{Type: "sign"}},
		{"sign as split", "unsigned", rollover.Order{Type: "sign", To: rollover.LayoutSplit, Algorithm: 15}},
		{"unsign csk", "csk", rollover.Order{Type: "unsign"}},
		{"unsign split", "split", rollover.Order{Type: "unsign"}},
	}
}

func TestWholeSignings(t *testing.T) {
	for _, c := range signings() {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New(c.layout, unequal)
			w.Lag = map[string]time.Duration{"ns2": 3 * unit, "p2": 2 * unit}
			start(t, w, tight(), c.order)
			drive(t, w, tight(), 200)
			signedAs(t, w, c)
		})
	}
}

func signedAs(t *testing.T, w *rollovertest.World, c rolling) {
	t.Helper()
	r := w.Roll()
	if r.State != rollover.StateDone {
		t.Fatalf("it is %s at %q, need %+v, block %+v, trouble %+v", r.State, r.Step, r.Need, r.Block, r.Trouble)
	}
	want := map[string]int{"sign as csk": 1, "sign as split": 2}[c.name]
	if len(w.Keys) != want {
		t.Errorf("keys %v, expected %d", w.Keys, want)
	}
	for _, k := range w.Keys {
		if !k.Active || !k.Published {
			t.Errorf("key %v is %+v", k, k)
		}
	}
	if set := w.DSSet(); (len(set) > 0) != (want > 0) || len(set) > 1 {
		t.Errorf("DS %v in the end", set)
	}
}

func TestSigningsKilledAnywhere(t *testing.T) {
	for _, c := range signings() {
		for _, after := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					w := rollovertest.New(c.layout, unequal)
					w.KillAt, w.KillAfterEffect = n, after
					start(t, w, tight(), c.order)
					if w.Roll() == nil {
						start(t, w, tight(), c.order)
					}
					drive(t, w, tight(), 200)
					signedAs(t, w, c)
					rectified := slices.Contains(w.Log, "rectify-zone")
					if rectified != (c.order.Type == "sign") {
						t.Fatalf("killed at %d: rectified %v: %q", n, rectified, w.Log)
					}
					if w.Ops < n {
						return
					}
				}
			})
		}
	}
}

// The names are ordered after the keys are there and before the serial rises,
// or a secondary would transfer denials that prove nothing.
func TestFirstKeysAreRectified(t *testing.T) {
	w := rollovertest.New("unsigned", unequal)
	start(t, w, tight(), rollover.Order{Type: "sign"})
	at := func(line string) int { return slices.Index(w.Log[4:], line) } // what is before the first key is not about it
	if !(at("activate 1") < at("rectify-zone") && at("rectify-zone") < at("increase-serial") && at("increase-serial") < at("purge [example.com.] notify [example.com.]")) || at("activate 1") < 0 {
		t.Errorf("sign did %q", w.Log)
	}
}

// The DS is not asked for while a cache may have unsigned data, and the keys
// are not taken away while a cache may have a DS: with each TTL the largest in turn.
func TestSigningsWaitForCaches(t *testing.T) {
	for _, c := range []struct {
		order  rollover.Order
		layout string
		ttl    rollovertest.TTLs
		step   string // that is not left before
		least  time.Duration
	}{
		{rollover.Order{Type: "sign"}, "unsigned", rollovertest.TTLs{DS: unit, DNSKEY: 2 * unit, Data: 20 * unit}, "sign", 20 * unit},
		{rollover.Order{Type: "sign"}, "unsigned", rollovertest.TTLs{DS: unit, DNSKEY: 20 * unit, Data: 2 * unit}, "sign", 20 * unit},
		{rollover.Order{Type: "unsign"}, "csk", rollovertest.TTLs{DS: 20 * unit, DNSKEY: unit, Data: unit}, "withdraw", 20 * unit},
	} {
		w := rollovertest.New(c.layout, c.ttl)
		start(t, w, tight(), c.order)
		drive(t, w, tight(), int(c.least/unit)-1)
		if r := w.Roll(); r.Step != c.step {
			t.Errorf("%s with %+v: step %s after %s, expected to be at %s still", c.order.Type, c.ttl, r.Step, c.least-unit, c.step)
		}
	}
}

// A DS that belongs to nobody must be gone as well before a zone is unsigned:
// any DS makes an unsigned zone bogus.
func TestUnsignWaitsForEveryDS(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	p := tight()
	stray := rollover.DS{Tag: 4711, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
	w.SetDS(append(w.DSOf(w.Keys...), stray))
	w.Operator = func(w *rollovertest.World, want []rollover.DS) {
		if len(want) > 0 {
			t.Errorf("the parent is asked for %v", want)
		}
		w.SetDS([]rollover.DS{stray}) // which breaks the zone, and the keys stay
	}
	w.Advance(unequal.DS)
	start(t, w, p, rollover.Order{Type: "unsign"})
	go60 := func() {
		for range 60 {
			tick(t, w, p)
			w.ServeParent(p)
			w.Advance(unit) // broken by the registrar
		}
	}
	go60()
	r := w.Roll()
	if r.Step != "withdraw" || r.Need == nil || r.Need.Actor != rollover.ActorYou || len(w.Keys) != 1 {
		t.Fatalf("at %s with need %+v and keys %v", r.Step, r.Need, w.Keys)
	}
	if s := describe(t, w, p); s.OperatorAction == nil || len(s.OperatorAction.Remove) != 1 || !strings.Contains(s.OperatorAction.Remove[0], "4711") {
		t.Errorf("the operator is asked for %+v", s.OperatorAction)
	}
	w.Operator = nil
	w.SetDS(nil)
	go60()
	if w.Roll().State != rollover.StateDone || len(w.Keys) != 0 {
		t.Errorf("%s with keys %v", w.Roll().State, w.Keys)
	}
}

// A first signing can be taken back to its end.
func TestSignIsCancelled(t *testing.T) {
	refused := 0
	for n := 0; n < 60; n += 2 {
		w := rollovertest.New("unsigned", unequal)
		w.Lag = map[string]time.Duration{"p2": 3 * unit}
		start(t, w, tight(), rollover.Order{Type: "sign", To: rollover.LayoutSplit})
		pass(t, w, n)
		if w.Roll().State.Ended() {
			break
		}
		if err := w.Engine(tight()).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
			if w.Roll().Step != "submit" || !strings.Contains(err.Error(), "--parent-unchanged") {
				t.Fatalf("at step %s: %v", w.Roll().Step, err)
			}
			refused++
			continue
		}
		drive(t, w, tight(), 100)
		if w.Roll().State != rollover.StateCancelled || len(w.Keys) != 0 || len(w.DSSet()) != 0 {
			t.Fatalf("cancelled after %d: %s, keys %v, DS %v, need %+v", n, w.Roll().State, w.Keys, w.DSSet(), w.Roll().Need)
		}
	}
	if refused == 0 {
		t.Error("it was cancelled while the DS was on its way")
	}
}

// What sign and unsign refuse.
func TestSigningsRefused(t *testing.T) {
	for _, c := range []struct {
		name, layout string
		do           func(*rollovertest.World)
		order        rollover.Order
		says         string
	}{
		{"a zone with keys", "csk", nil, rollover.Order{Type: "sign"}, "has keys already"},
		{"a DS without keys", "unsigned", func(w *rollovertest.World) {
			w.SetDS([]rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}})
		}, rollover.Order{Type: "sign"}, "broken already"},
		{"somebody else signs", "unsigned", func(w *rollovertest.World) {
			w.AddKey(257, true, true)
			w.Advance(0)
			w.Keys = nil
		}, rollover.Order{Type: "sign"}, "who signs it"},
		{"a bad algorithm", "unsigned", nil, rollover.Order{Type: "sign", Algorithm: 5}, "RFC 9905"},
		{"no keys to take away", "unsigned", nil, rollover.Order{Type: "unsign"}, "is not signed"},
		{"a layout of nothing", "csk", nil, rollover.Order{Type: "unsign", To: rollover.LayoutCSK}, "no layout"},
		{"a server that is down", "csk", func(w *rollovertest.World) { w.Down["p1"] = true }, rollover.Order{Type: "unsign"}, "exclude-server"},
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

// A first signing ends when validators find the zone secure, not before.
func TestSignAsksValidators(t *testing.T) {
	w := rollovertest.New("unsigned", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "sign"})
	toStep(t, w, p, "submit")
	w.ServeParent(p)
	finds := func(s rollover.Security) {
		for range 5 {
			tickSeeing(t, w, p, func(look *rollover.Sighting) {
				look.Validators = []rollover.ValidatorSighting{{Address: "v1", Finds: s}, {Address: "v2"}}
			})
			whole(t, w, unit)
		}
	}
	finds(rollover.Insecure)
	if r := w.Roll(); r.Step != "submit" || r.Need == nil || !strings.Contains(describe(t, w, p).WaitingFor, "v1 finds the zone insecure") {
		t.Fatalf("at %s with need %+v", r.Step, r.Need)
	}
	finds(rollover.Secure)
	if r := w.Roll(); r.State != rollover.StateDone {
		t.Errorf("it is %s at %s, need %+v", r.State, r.Step, r.Need)
	}
}

// After the DS was asked for, a name server serves the unsigned zone again: until
// it is mended, and caches have forgotten that, nobody is to hand over the DS.
func TestNoFirstDSWhileAServerFellBack(t *testing.T) {
	w := rollovertest.New("unsigned", unequal)
	p := tight()
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	start(t, w, p, rollover.Order{Type: "sign"})
	toStep(t, w, p, "submit")
	look := func(fallen bool) rollover.ParentDS {
		tickSeeing(t, w, p, func(s *rollover.Sighting) {
			for i := range s.Servers {
				if fallen && s.Servers[i].Name == "ns2" && s.Servers[i].DNSKEY != nil {
					s.Servers[i].DNSKEY = &rollover.KeyVersion{TTL: 240}
				}
			}
		})
		whole(t, w, unit)
		return w.Roll().Parent(p)
	}
	if todo := look(false); len(todo.Add) != 1 {
		t.Fatalf("asked to add %v, expected one DS", todo.Add)
	}
	if todo := look(true); len(todo.Add) != 0 {
		t.Errorf("asked to add %v while ns2 is unsigned", todo.Add)
	}
	if need := w.Roll().Need; need == nil || !need.Gone {
		t.Errorf("need %+v, expected it to tell that something is gone", need)
	}
	for range int(unequal.DNSKEY / unit) {
		if todo := look(false); len(todo.Add) != 0 {
			t.Errorf("asked to add %v while caches may hold what ns2 served", todo.Add)
		}
	}
	if todo := look(false); len(todo.Add) != 1 {
		t.Errorf("asked to add %v in the end, need %+v", todo.Add, w.Roll().Need)
	}
	w.Operator = nil
	drive(t, w, p, 60)
	if w.Roll().State != rollover.StateDone {
		t.Errorf("it is %s, need %+v", w.Roll().State, w.Roll().Need)
	}
}
