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

// Scenes that the search of prove_test.go found, each told again in the world
// of the other tests.

// A name server falls back to the set before new signed it, and comes back.
// Caches hold that set now, so the old DS must stay until they have lost it.
func TestWhatFellBackIsEarnedAnew(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	toStep(t, w, p, "withdraw")
	r := w.Roll()
	tickSeeing(t, w, p, func(s *rollover.Sighting) {
		for i := range s.Servers {
			if v := s.Servers[i].DNSKEY; v != nil && s.Servers[i].Name == "ns2" {
				back := *v
				back.Signers = []rollover.DNSKEY{r.Old[0].DNSKEY()}
				s.Servers[i].DNSKEY = &back
			}
		}
	})
	for i := range 4 { // the TTL of the DNSKEY set, in units
		w.Advance(unit)
		tickSeeing(t, w, p, func(*rollover.Sighting) {})
		if n := w.Roll().Need; n == nil || n.Gone || !n.Anew || len(w.Roll().Parent(p).Remove) > 0 {
			t.Fatalf("%d units after it came back: need %+v, to be removed %v", i, n, w.Roll().Parent(p).Remove)
		}
	}
	w.Advance(unit)
	tickSeeing(t, w, p, func(*rollover.Sighting) {})
	if len(w.Roll().Parent(p).Remove) == 0 {
		t.Errorf("it was earned anew, and still nothing is to be removed: %+v", w.Roll().Need)
	}
	w.Operator = nil
	drive(t, w, p, 100)
	finished(t, w)
}

// After a block nobody knows what was served while it lasted: nothing goes at
// the parent before the next look, and before it was earned anew.
func TestNoDSGoesRightAfterResume(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk", Method: "double-signature"})
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	toStep(t, w, p, "submit")
	fresh := w.Roll().New[0]
	w.Apply(rollover.Command{Verb: "deactivate", Key: fresh})
	for range 3 {
		w.Advance(unit)
		tickDue(t, w, p)
	}
	if w.Roll().State != rollover.StateBlocked {
		t.Fatalf("the new key was deactivated by hand, and the rollover is %s", w.Roll().State)
	}
	w.Apply(rollover.Command{Verb: "activate", Key: fresh})
	if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	if todo := w.Roll().Parent(p); len(todo.Remove) > 0 {
		t.Errorf("right after resume: remove %v", todo.Remove)
	}
	w.Operator = nil
	drive(t, w, p, 100)
	finished(t, w)
}

// To ask for the DS of old alone takes the DS of new away. If somebody let new
// sign alone, and no server shows it yet, that breaks the zone: the keys are
// read before it.
func TestCancelReadsTheKeys(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.ServeParent(p)
	whole(t, w, 12*unit)
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	w.Lag = map[string]time.Duration{"ns1": time.Hour, "ns2": time.Hour}
	w.Apply(rollover.Command{Verb: "activate", Key: w.Roll().New[0]})
	w.Apply(rollover.Command{Verb: "deactivate", Key: w.Roll().Old[0]})
	for range 20 {
		tickDue(t, w, p)
		w.Advance(unit)
	}
	if r := w.Roll(); r.State != rollover.StateBlocked || r.Ask != nil {
		t.Errorf("%s at step %q, asked %+v: expected it to be blocked", r.State, r.Step, r.Ask)
	}
}

// Somebody let new sign alone for a while and undid it. Caches hold that set,
// so the DS of new stays until they have lost it.
func TestCancelKeepsTheDSForCaches(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: unit, DNSKEY: 9 * unit, Data: unit})
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.ServeParent(p)
	whole(t, w, 3*unit)
	r := w.Roll()
	w.Apply(rollover.Command{Verb: "activate", Key: r.New[0]})
	w.Apply(rollover.Command{Verb: "deactivate", Key: r.Old[0]})
	whole(t, w, unit)
	w.Apply(rollover.Command{Verb: "activate", Key: r.Old[0]})
	w.Apply(rollover.Command{Verb: "deactivate", Key: r.New[0]})
	whole(t, w, 0)
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		tickDue(t, w, p)
		w.ServeParent(p)
		whole(t, w, unit)
	}
	if w.Roll().State != rollover.StateCancelled {
		t.Errorf("%s: %+v", w.Roll().State, w.Roll().Need)
	}
}

// The new key is taken away before any server showed it: that looks like lag,
// and is told within max_gap all the same.
func TestLostBeforeItWasSeen(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.Lag = map[string]time.Duration{"ns1": 2 * unit, "ns2": 2 * unit}
	p := tight()
	p.MaxGap = 10 * unit
	start(t, w, p, rollover.Order{Type: "zsk"})
	w.Apply(rollover.Command{Verb: "remove", Key: w.Roll().New[0]})
	for range 12 {
		whole(t, w, unit)
		tickDue(t, w, p)
	}
	if r := w.Roll(); r.State != rollover.StateBlocked {
		t.Errorf("the rollover is %s at step %q, and waits for %+v", r.State, r.Step, r.Need)
	}
}

// Killed between start and the first change, and the TTL of the data is raised
// before it is taken up again: it is read before new signs data as well, and
// where there is no key yet.
func TestTTLRaisedBeforeNewSigns(t *testing.T) {
	for _, c := range []rolling{
		{"csk", "csk", rollover.Order{Method: "double-signature"}},
		{"first signing", "unsigned", rollover.Order{Type: "sign"}},
	} {
		tried := 0
		for n := range 12 {
			w := rollovertest.New(c.layout, rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: unit})
			before := len(w.Keys)
			w.KillAt = n + 1
			start(t, w, tight(), c.order)
			if w.Roll() == nil || len(w.Keys) > before {
				continue
			}
			tried++
			w.SetTTL(rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: 30 * unit})
			whole(t, w, unit)
			for range 60 {
				tickSeeing(t, w, tight(), sampleSmall)
				w.ServeParent(tight())
				whole(t, w, unit)
			}
			finished(t, w)
		}
		if tried == 0 {
			t.Errorf("%s: no kill left a rollover that had changed nothing", c.name)
		}
	}
}

// Somebody unpublished old while both sign, and undid it. Caches hold a DNSKEY
// set without it, which needs the signatures of new: cancel leaves them.
func TestCancelKeepsNewForCachesWithoutOld(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: unit, DNSKEY: 9 * unit, Data: unit})
	p := tight()
	start(t, w, p, rollover.Order{Type: "zsk", Method: "double-signature"})
	for range 3 {
		whole(t, w, unit)
		tickDue(t, w, p)
	}
	old := w.Roll().Old[0]
	w.Apply(rollover.Command{Verb: "unpublish", Key: old})
	whole(t, w, unit)
	w.Apply(rollover.Command{Verb: "publish", Key: old})
	whole(t, w, 0)
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	if w.Roll().State != rollover.StateCancelled {
		t.Errorf("%s: %+v", w.Roll().State, w.Roll().Need)
	}
}

// A parent that shows, or is made to show, the DS of the old algorithm when its
// key is out of the DNSKEY set already is never asked to keep it: validators that
// want every algorithm of the DS set would refuse the zone.
func TestNoDSOfAnOldAlgorithmIsKept(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "algorithm", Algorithm: 15})
	toStep(t, w, p, "unpublish")
	old := w.Roll().Old[0]
	tickSeeing(t, w, p, func(s *rollover.Sighting) {
		for i := range s.Servers {
			if v := s.Servers[i].DS; v != nil {
				d, err := old.DNSKEY().DS(rollovertest.Zone, 2)
				if err != nil {
					t.Fatal(err)
				}
				s.Servers[i].DS = &rollover.DSVersion{Set: append([]rollover.DS{d}, v.Set...), TTL: v.TTL}
			}
		}
	})
	todo := w.Roll().Parent(p)
	if n := w.Roll().Need; n == nil || !n.Gone || len(todo.Keep) != 1 || len(todo.Add) != 0 || len(todo.Remove) != 1 || todo.Remove[0].Tag != old.Tag {
		t.Errorf("need %+v; at the parent keep %v, add %v, remove %v", n, todo.Keep, todo.Add, todo.Remove)
	}
}

// The parent was asked to drop the DS of old, and still shows it: what comes
// yet would take away what a way back rests on.
func TestRevertWaitsForTheDSOfOldToGo(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	w.Operator = func(w *rollovertest.World, want []rollover.DS) {
		if len(want) > 1 {
			w.SetDS(want)
		}
	}
	toStep(t, w, p, "withdraw")
	whole(t, w, 3*unit)
	if err := revert(w, false); err == nil || !strings.Contains(err.Error(), "--parent-unchanged") {
		t.Fatalf("revert says %v", err)
	}
	if err := revert(w, true); err != nil {
		t.Fatal(err)
	}
	w.Operator = nil
	drive(t, w, p, 200)
	if w.Roll().State != rollover.StateCancelled {
		t.Errorf("%s: %+v", w.Roll().State, w.Roll().Need)
	}
}

// An unsigned zone with a key that does not sign has no DNSKEY set, and that
// is how it must be: a cancelled first signing comes to its end.
func TestCancelledSigningBesideAnIdleKey(t *testing.T) {
	w := rollovertest.New("unsigned", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "sign"})
	w.AddKey(257, false, true)
	w.Metadata = map[string][]string{"PUBLISH-CDS": {"0"}} // what a driver has asked the parent for by CDS
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	drive(t, w, p, 100)
	if w.Roll().State != rollover.StateCancelled || len(w.Metadata) > 0 {
		t.Errorf("%s: %+v, metadata %v", w.Roll().State, w.Roll().Need, w.Metadata)
	}
}

// Somebody stopped old from signing for a while before the way back of an
// algorithm rollover: caches hold data that it has not signed.
func TestRevertedAlgorithmWaitsForData(t *testing.T) {
	w := rollovertest.New("csk", rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: 30 * unit})
	p := tight()
	start(t, w, p, rollover.Order{Type: "algorithm", Algorithm: 15})
	toStep(t, w, p, "unpublish")
	whole(t, w, 3*unit)
	old := w.Roll().Old[0]
	w.Apply(rollover.Command{Verb: "deactivate", Key: old})
	whole(t, w, unit)
	w.Apply(rollover.Command{Verb: "activate", Key: old})
	whole(t, w, 0)
	if err := revert(w, false); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		tickDue(t, w, p)
		w.ServeParent(p)
		whole(t, w, unit)
	}
	if w.Roll().State != rollover.StateCancelled {
		t.Errorf("%s: %+v", w.Roll().State, w.Roll().Need)
	}
}

// sampleSmall makes the names looked at have a smaller TTL than others of the zone.
func sampleSmall(s *rollover.Sighting) {
	for i := range s.Servers {
		if v := s.Servers[i].Data; v != nil {
			small := *v
			small.TTL = 1
			s.Servers[i].Data = &small
		}
	}
}

// A plan that is printed before anything was made makes the new key once, and
// speaks of it as NEW afterwards.
func TestPlanMakesTheNewKeyOnce(t *testing.T) {
	for _, order := range []rollover.Order{{Type: "ksk"}, {Type: "algorithm", Algorithm: 15}} {
		w := rollovertest.New("split", unequal)
		order.Zone = rollovertest.Zone
		d, err := w.Engine(tight()).Prepare(context.Background(), order)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := rollover.Plan(*d.Roll, d.Ledger, tight(), w.Clock().Wall, func(c rollover.Command) string { return w.Explain(rollovertest.Zone, c) })
		if err != nil {
			t.Fatal(err)
		}
		var commands []string
		for _, s := range plan {
			commands = append(commands, s.Commands...)
		}
		all := strings.Join(commands, "\n")
		if n := strings.Count(all, "create"); n != len(d.Roll.SpecNew) || !strings.Contains(all, "NEW") {
			t.Errorf("%s: %d keys are made, expected %d:\n%s", order.Type, n, len(d.Roll.SpecNew), all)
		}
	}
}

// The TTL of the DNSKEY set is lowered after the switch, before anybody has
// looked: caches may hold what new alone signed for as long as the TTL was before.
func TestRevertAfterTheTTLWasLowered(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: unit, DNSKEY: 30 * unit, Data: unit})
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.Lag = map[string]time.Duration{"ns1": 2 * unit, "ns2": 2 * unit}
	toStep(t, w, p, "switch")
	whole(t, w, 3*unit)
	w.Lag = map[string]time.Duration{}
	w.SetTTL(rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: unit})
	whole(t, w, unit)
	if err := revert(w, false); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		ungated(t, w, p)
		w.ServeParent(p)
		whole(t, w, unit)
	}
	if w.Roll().State != rollover.StateCancelled {
		t.Errorf("%s: %+v", w.Roll().State, w.Roll().Need)
	}
}

// A name server takes the keys of a new algorithm over late, and loses them
// again, all between two looks: that nobody has shown them counts from when
// PowerDNS has them no more.
func TestGoneCountsFromWhenItWasTakenAway(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: unit, DNSKEY: 30 * unit, Data: 3 * unit})
	p := tight()
	start(t, w, p, rollover.Order{Type: "algorithm", Algorithm: 15})
	toStep(t, w, p, "sign")
	whole(t, w, 10*unit) // it has arrived everywhere
	w.Lag = map[string]time.Duration{"ns1": 30*unit - time.Second, "ns2": 30*unit - time.Second}
	toStep(t, w, p, "publish")
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		ungated(t, w, p)
		whole(t, w, unit)
	}
	lose(t, w)
	for range 100 {
		ungated(t, w, p)
		whole(t, w, unit)
	}
	if w.Roll().State != rollover.StateCancelled {
		t.Errorf("%s: %+v", w.Roll().State, w.Roll().Need)
	}
}

// lose lets the name servers go back to what they had without the new keys.
func lose(t *testing.T, w *rollovertest.World) {
	t.Helper()
	now := w.Keys
	w.Keys = slices.Clone(now)
	for i := range w.Keys {
		w.Keys[i].Published = w.Keys[i].Published && w.Keys[i].Algorithm != 15
	}
	w.Lag = map[string]time.Duration{}
	w.SetTTL(w.TTL)
	whole(t, w, 0)
	w.Keys = now
}

// ungated is one tick without the gates, so that the table alone decides.
func ungated(t *testing.T, w *rollovertest.World, p rollover.Policy) {
	t.Helper()
	e := w.Engine(p)
	rollover.Ungate(e)
	if _, err := e.Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
}

// Old has stopped signing, and the parent is seen without its DS: nobody is
// asked to put it back.
func TestNoDSOfAKeyThatStoppedIsAskedFor(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.Lag = map[string]time.Duration{"ns1": 2 * unit, "ns2": 2 * unit} // nothing is earned yet
	toStep(t, w, p, "switch")
	whole(t, w, 40*unit)
	w.SetDS([]rollover.DS{dsOfKey(w.Roll().New[0])})
	whole(t, w, unit)
	tickDue(t, w, p)
	if todo := w.Roll().Parent(p); len(todo.Add)+len(todo.Remove) > 0 || len(todo.Keep) != 1 {
		t.Errorf("at the parent keep %v, add %v, remove %v", todo.Keep, todo.Add, todo.Remove)
	}
	drive(t, w, p, 200)
	finished(t, w)
}

// A TTL of the look before counts for what is seen next; one of a rollover half a
// year ago does not.
func TestTheTTLOfTheLookBefore(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	look := func(l *rollover.Ledger, ttl uint32) {
		v := rollover.ServerSighting{Server: rollover.Server{Role: rollover.RoleChild}, DNSKEY: &rollover.KeyVersion{Keys: []rollover.DNSKEY{{Flags: uint16(ttl)}}, TTL: ttl}}
		l.LearnSighting(rollover.Sighting{At: rollover.Instant{Wall: at}, Records: []rollover.Record{rollover.RecordDNSKEY}, Servers: []rollover.ServerSighting{v}})
	}
	for pause, expected := range map[time.Duration]uint32{time.Hour: 86400, 180 * 24 * time.Hour: 300} {
		var l rollover.Ledger
		look(&l, 86400)
		at = at.Add(pause)
		l.Forget(at)
		look(&l, 300)
		if last := l.Entries[len(l.Entries)-1]; last.TTL != expected {
			t.Errorf("after %s: %d s, expected %d", pause, last.TTL, expected)
		}
		look(&l, 301)
		if last := l.Entries[len(l.Entries)-1]; last.TTL != 301 {
			t.Errorf("one look later: %d s", last.TTL)
		}
	}
}
