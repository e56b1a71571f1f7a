package rollover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// Stories of what can go wrong round a rollover. In each the tool once took a
// step too early, or told the operator to; each asserts that it does not.

// eyes changes what a look shows.
type eyes struct {
	*rollovertest.World
	change func(*rollover.Sighting)
}

func (e eyes) Look(ctx context.Context, q rollover.Question) (rollover.Sighting, error) {
	s, err := e.World.Look(ctx, q)
	e.change(&s)
	return s, err
}

// tickSeeing is a tick by eyes.
func tickSeeing(t *testing.T, w *rollovertest.World, p rollover.Policy, change func(*rollover.Sighting)) {
	t.Helper()
	e := w.Engine(p)
	e.Observer = eyes{w, change}
	if _, err := e.Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
}

func dsOfKey(k rollover.Key) rollover.DS {
	d, err := k.DNSKEY().DS(rollovertest.Zone, 2)
	if err != nil {
		panic(err)
	}
	return d
}

// whole lets time pass and fails if some resolver breaks.
func whole(t testing.TB, w *rollovertest.World, d time.Duration) {
	t.Helper()
	if bad := w.Advance(d); bad != "" {
		t.Fatalf("at step %s: %s", w.Roll().Step, bad)
	}
}

// toStep drives a roll until a step is entered.
func toStep(t *testing.T, w *rollovertest.World, p rollover.Policy, step string) {
	t.Helper()
	for range 300 {
		tickDue(t, w, p)
		if w.Roll().Step == step {
			return
		}
		w.ServeParent(p)
		whole(t, w, unit)
	}
	t.Fatalf("step %s was not reached", step)
}

// The parent falls back for a while, and the validator still has the right set
// in its cache: the hold starts anew all the same.
func TestFlapBehindTheValidatorsCache(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: 30 * unit, DNSKEY: 4 * unit, Data: 5 * unit})
	p := tight()
	p.Evidence = rollover.EvidenceResolver
	cached := []rollover.DS{dsOfKey(w.Keys[0])}
	see := func(s *rollover.Sighting) {
		s.Validators = []rollover.ValidatorSighting{{Address: "v", AD: true, Set: cached}}
	}
	e := w.Engine(p)
	e.Observer = eyes{w, see}
	if _, err := e.Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"}); err != nil {
		t.Fatal(err)
	}
	old, both := cached, []rollover.DS{cached[0], dsOfKey(w.Roll().New[0])}
	w.SetDS(both)
	cached = both
	for i := range 90 {
		switch i {
		case 25:
			w.SetDS(old)
		case 28:
			w.SetDS(both)
		}
		tickSeeing(t, w, p, see)
		whole(t, w, unit)
	}
	if w.Roll().Step == "submit" {
		t.Error("the roll never went on")
	}
}

// A validator that has an older set in its cache is waited for, by nobody's hand.
func TestValidatorsCacheIsWaitedFor(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	p.Evidence = rollover.EvidenceResolver
	cached := []rollover.DS{dsOfKey(w.Keys[0])}
	see := func(s *rollover.Sighting) {
		s.Validators = []rollover.ValidatorSighting{{Address: "v", AD: true, Set: cached}}
	}
	e := w.Engine(p)
	e.Observer = eyes{w, see}
	if _, err := e.Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"}); err != nil {
		t.Fatal(err)
	}
	w.SetDS([]rollover.DS{cached[0], dsOfKey(w.Roll().New[0])})
	for range 30 {
		tickSeeing(t, w, p, see)
		whole(t, w, unit)
	}
	r := w.Roll()
	if r.Step != "submit" || r.Need.Actor != rollover.ActorCaches || !strings.Contains(describe(t, w, p).WaitingFor, "perhaps still cached") {
		t.Errorf("step %s, need %+v", r.Step, r.Need)
	}
}

// The switch was written down, and could not be begun for an hour, by a failing
// pdnsutil or a pause; meanwhile the parent lost the DS. It is decided anew.
func TestStaleIntentIsDecidedAnew(t *testing.T) {
	for _, paused := range []bool{false, true} {
		w := rollovertest.New("split", unequal)
		p := tight()
		start(t, w, p, rollover.Order{Type: "ksk"})
		w.OnDo = func(*rollovertest.World, rollover.Command) error { return errors.New("database is locked") }
		w.ServeParent(p)
		for w.Roll().Intent == nil {
			whole(t, w, unit)
			tickDue(t, w, p)
		}
		if paused {
			if err := w.Engine(p).Pause(rollovertest.Zone, ""); err != nil {
				t.Fatal(err)
			}
		}
		w.SetDS([]rollover.DS{dsOfKey(w.Roll().Old[0])})
		whole(t, w, 60*unit)
		w.OnDo = nil
		if paused {
			if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, ""); err != nil {
				t.Fatal(err)
			}
		}
		tickDue(t, w, p)
		whole(t, w, unit)
		drive(t, w, p, 200)
		finished(t, w)
	}
}

// Half done: new was activated, old could not be deactivated, and the parent
// lost the DS of new. It waits half done, which is safe, and goes on later. If
// the parent has new alone, both go on signing.
func TestHalfDoneIntentLooksFirst(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		w := rollovertest.New("split", unequal)
		p := tight()
		start(t, w, p, rollover.Order{Type: "ksk"})
		w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
			if c.Verb == rollover.VerbActivate {
				w.Apply(c)
				return nil
			}
			return errors.New("database is locked")
		}
		w.ServeParent(p)
		for w.Roll().Intent == nil {
			whole(t, w, unit)
			tickDue(t, w, p)
		}
		left := w.Roll().Old[0]
		if replaced {
			left = w.Roll().New[0]
		}
		whole(t, w, 10*unit) // both sign in every cache
		w.SetDS([]rollover.DS{dsOfKey(left)})
		whole(t, w, 60*unit)
		w.OnDo = nil
		tickDue(t, w, p)
		whole(t, w, unit)
		if old := w.Keys[0]; !old.Active {
			t.Errorf("replaced %v: the old key was deactivated: %v", replaced, w.Keys)
		}
		if s := describe(t, w, p); s.WaitingFor == "" {
			t.Errorf("replaced %v: status says nothing", replaced)
		}
		drive(t, w, p, 200)
		finished(t, w)
	}
}

// Half done: the KSK of the old algorithm was unpublished, its ZSK was not yet,
// and a name server has data again that new has not signed. The rest waits.
func TestHalfDoneUnpublishLooksFirst(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "algorithm", Algorithm: 15})
	toStep(t, w, p, "submit")
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		if c.Key.Role == rollover.KSK || w.Roll().Intent.Step != "unpublish" {
			w.Apply(c)
			return nil
		}
		return errors.New("database is locked")
	}
	for w.Keys[0].Published {
		w.ServeParent(p)
		whole(t, w, unit)
		tickDue(t, w, p)
	}
	w.OnDo = nil
	old := w.Roll().Old[1].DNSKEY()
	tickSeeing(t, w, p, func(s *rollover.Sighting) {
		for i := range s.Servers {
			if v := s.Servers[i].Data; v != nil {
				s.Servers[i].Data = &rollover.DataVersion{Signers: []rollover.DNSKEY{old}, Traces: []rollover.Signature{{Tag: old.Tag(), Algorithm: old.Algorithm}}, TTL: v.TTL}
			}
		}
	})
	if s := describe(t, w, p); !w.Keys[1].Published || s.WaitingFor == "" {
		t.Errorf("keys %v; waiting for %q", w.Keys, s.WaitingFor)
	}
	drive(t, w, p, 200)
	finished(t, w)
}

// A rescue that could not be done yet cannot be cancelled: the new key is needed.
func TestNoCancelDuringRescue(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	w.SetDS([]rollover.DS{dsOfKey(w.Roll().New[0])})
	w.OnDo = func(*rollovertest.World, rollover.Command) error { return errors.New("database is locked") }
	tickDue(t, w, p)
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("cancel during a rescue says %v", err)
	}
}

// Numbers are given away again: a key that the operator made under the number
// of ours is not ours to remove.
func TestCancelLeavesAStrangersKey(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	r := w.Roll()
	w.Apply(rollover.Command{Verb: "remove", Key: r.New[0]})
	his := w.AddKey(257, true, true)
	if his.ID != r.New[0].ID {
		t.Fatalf("the world does not reuse numbers: %v, %v", his, r.New[0])
	}
	for range 5 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	if r = w.Roll(); r.State != rollover.StateBlocked {
		t.Fatalf("%s at %s", r.State, r.Step)
	}
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	drive(t, w, p, 200)
	if !slices.ContainsFunc(w.Keys, func(k rollover.Key) bool { return k.PublicKey == his.PublicKey }) {
		t.Errorf("the operator's key is gone: %v", w.Keys)
	}
}

// TTLs are lowered, and then the wall clock jumps by two weeks, or nobody looks
// for as long: the old TTL still counts.
func TestLedgerForgetsNothingInARoll(t *testing.T) {
	for _, jump := range []bool{false, true} {
		w := rollovertest.New("split", rollovertest.TTLs{DS: 60 * unit, DNSKEY: 5 * unit, Data: 6 * unit})
		p := tight()
		start(t, w, p, rollover.Order{Type: "ksk"})
		r := w.Roll()
		if !jump {
			whole(t, w, 15*24*time.Hour)
		}
		w.TTL.DS = unit
		w.SetDS([]rollover.DS{dsOfKey(r.Old[0]), dsOfKey(r.New[0])})
		whole(t, w, unit)
		if jump {
			tickDue(t, w, p)
			w.Skew = 15 * 24 * time.Hour
		}
		for range 90 {
			tickDue(t, w, p)
			whole(t, w, unit)
		}
		if w.Roll().Step == "submit" {
			t.Error("the roll never went on")
		}
	}
}

// This machine loses its IPv6 route for a moment while a server that it had
// asked lags: that server still counts.
func TestLostRouteDoesNotHideAServer(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	w.Lag["ns2"] = 200 * unit
	start(t, w, p, rollover.Order{Type: "zsk"})
	for i := range 60 {
		tickSeeing(t, w, p, func(s *rollover.Sighting) {
			for j := range s.Servers {
				if i == 40 && s.Servers[j].Name == "ns2" {
					s.Servers[j] = rollover.ServerSighting{Server: s.Servers[j].Server, Unchecked: "no IPv6 route from here"}
				}
			}
		})
		whole(t, w, unit)
	}
	if w.Roll().Step != "publish" {
		t.Errorf("went on to %s", w.Roll().Step)
	}
}

// An address that cannot be reached from here at all does not count.
func TestServerWithoutRouteDoesNotCount(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	see := func(s *rollover.Sighting) {
		s.Servers = append(s.Servers, rollover.ServerSighting{
			Server: rollover.Server{Role: rollover.RoleChild, Name: "ns6", Address: "[2001:db8::1]:53"}, Unchecked: "no IPv6 route from here",
		})
	}
	e := w.Engine(p)
	e.Observer = eyes{w, see}
	if _, err := e.Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "zsk"}); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		tickSeeing(t, w, p, see)
		whole(t, w, unit)
	}
	finished(t, w)
	if s := describe(t, w, p); !slices.ContainsFunc(s.Servers, func(o rollover.ServerState) bool { return strings.Contains(o.Detail, "not checked") }) {
		t.Errorf("status does not tell of the server that was not checked: %+v", s.Servers)
	}
}

// A remedy is typed as it stands: first what lets a key sign.
func TestRemedyActivatesFirst(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	r := w.Roll()
	w.Apply(rollover.Command{Verb: "activate", Key: r.Old[0]})
	w.Apply(rollover.Command{Verb: "deactivate", Key: r.New[0]})
	w.Advance(0)
	for range 5 {
		tickDue(t, w, p)
		w.Advance(unit)
	}
	b := w.Roll().Block
	if b == nil || strings.Index(b.Remedy, "pdnsutil activate") > strings.Index(b.Remedy, "pdnsutil deactivate") || !strings.Contains(b.Remedy, "pdnsutil activate") {
		t.Errorf("block %+v", b)
	}
}

// A key that was unpublished, or published, by hand: the command that undoes it.
func TestRemedyPublishesAgain(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	fresh := w.Roll().New[0]
	w.Apply(rollover.Command{Verb: "unpublish", Key: fresh})
	w.Apply(rollover.Command{Verb: "activate", Key: fresh})
	w.Advance(0)
	for range 5 {
		tickDue(t, w, p)
		w.Advance(unit)
	}
	b := w.Roll().Block
	if b == nil || !strings.Contains(b.Remedy, "undo it, in this order: "+fmt.Sprintf("pdnsutil publish %s %d; pdnsutil deactivate", rollovertest.Zone, fresh.ID)) {
		t.Fatalf("block %+v", b)
	}
	w.Apply(rollover.Command{Verb: "publish", Key: fresh})
	w.Apply(rollover.Command{Verb: "deactivate", Key: fresh})
	if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Errorf("after the remedy: %v", err)
	}
}

// The last key that signs is never advised to be removed, whatever its number.
func TestRemedyNeverRemovesWhatSigns(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	p := tight()
	start(t, w, p, rollover.Order{})
	toStep(t, w, p, "switch")
	r := w.Roll()
	w.AddKey(257, true, true)
	w.Apply(rollover.Command{Verb: "remove", Key: r.New[0]})
	w.Apply(rollover.Command{Verb: "remove", Key: rollover.Key{ID: 3}})
	w.AddKey(257, true, true)
	w.Advance(0)
	for range 5 {
		tickDue(t, w, p)
		w.Advance(unit)
	}
	if b := w.Roll().Block; b == nil || strings.Contains(b.Remedy, "pdnsutil remove") || !strings.Contains(b.Remedy, "backup") {
		t.Errorf("block %+v", b)
	}
}

// Where both a DS is missing and another one too many, the operator must act.
func TestActorOfADoubleSignature(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	start(t, w, p, rollover.Order{Type: "ksk", Method: "double-signature"})
	drive(t, w, p, 40)
	if s := describe(t, w, p); s.Actor != rollover.ActorYou || s.OperatorAction == nil || s.OperatorAction.Action != "replace-ds" || !strings.Contains(s.Command, "at the registrar") {
		t.Errorf("actor %s, action %+v, command %s", s.Actor, s.OperatorAction, s.Command)
	}
}

// The parent points to new alone, in ways that are not as asked: another digest
// type, or the DS of old mangled. New signs at once.
func TestRescueIsGenerous(t *testing.T) {
	for _, mangled := range []bool{false, true} {
		w := rollovertest.New("split", rollovertest.TTLs{DS: 600 * unit, DNSKEY: 5 * unit, Data: 6 * unit})
		p := tight()
		start(t, w, p, rollover.Order{Type: "ksk"})
		r := w.Roll()
		other, err := r.New[0].DNSKEY().DS(rollovertest.Zone, 4)
		if err != nil {
			t.Fatal(err)
		}
		set := []rollover.DS{other}
		if mangled {
			bad := dsOfKey(r.Old[0])
			bad.Digest = strings.Repeat("0", 64)
			set = []rollover.DS{bad, dsOfKey(r.New[0])}
		}
		w.SetDS(set)
		tickDue(t, w, p)
		w.Advance(20 * unit)
		if bad := w.Broken(); bad != "" || !w.Roll().New[0].Active || !w.Roll().Old[0].Active {
			t.Errorf("mangled %v: not rescued: %s", mangled, bad)
		}
	}
}

// Cancel asks whether caches need the new key before it takes it out: the
// operator replaced the DS early, or let it sign by hand for a minute.
func TestCancelWaitsForCaches(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: 30 * unit, DNSKEY: 10 * unit, Data: 5 * unit})
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk", Method: "double-signature"})
	old := w.Roll().Parent(p).Keep
	for range 9 {
		whole(t, w, unit)
		tickDue(t, w, p)
	}
	whole(t, w, 2*unit)
	w.SetDS([]rollover.DS{dsOfKey(w.Roll().New[0])})
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	for range 12 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	if s := describe(t, w, p); s.OperatorAction == nil || s.OperatorAction.Action != "replace-ds" {
		t.Errorf("cancel with the wrong DS at the parent says %+v", s.OperatorAction)
	}
	w.SetDS(old)
	for range 60 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	if w.Roll().State != rollover.StateCancelled || len(w.Keys) != 2 {
		t.Errorf("%s, keys %v", w.Roll().State, w.Keys)
	}
}

func TestCancelAfterASwitchByHand(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: 10 * unit, DNSKEY: 5 * unit, Data: 60 * unit})
	p := tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	r := w.Roll()
	for range 4 {
		whole(t, w, unit)
		tickDue(t, w, p)
	}
	whole(t, w, unit)
	for i, c := range []rollover.Verb{rollover.VerbActivate, rollover.VerbDeactivate} {
		w.Apply(rollover.Command{Verb: c, Key: []rollover.Key{r.New[0], r.Old[0]}[i]})
	}
	whole(t, w, unit)
	for i, c := range []rollover.Verb{rollover.VerbActivate, rollover.VerbDeactivate} {
		w.Apply(rollover.Command{Verb: c, Key: []rollover.Key{r.Old[0], r.New[0]}[i]})
	}
	whole(t, w, unit)
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	if w.Roll().State != rollover.StateCancelled {
		t.Errorf("%s: %+v", w.Roll().State, w.Roll().Need)
	}
}

// After cancel the registrar's replacement lands: new signs at once, and goes
// when the parent points to old again.
func TestCancelIsRescuedToo(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	p := tight()
	start(t, w, p, rollover.Order{})
	old := w.Roll().Parent(p).Keep
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	w.SetDS([]rollover.DS{dsOfKey(w.Roll().New[0])})
	tickDue(t, w, p)
	w.Advance(20 * unit)
	if bad := w.Broken(); bad != "" {
		t.Fatalf("not rescued: %s", bad)
	}
	w.SetDS(old)
	for range 60 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	if w.Roll().State != rollover.StateCancelled || len(w.Keys) != 1 {
		t.Errorf("%s, keys %v", w.Roll().State, w.Keys)
	}
}

// While the zone is not as it was when the parent was asked, nothing is to go
// at the parent.
func TestNoDSIsToGoWhileUnsettled(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	toStep(t, w, p, "withdraw")
	r := w.Roll()
	if s := describe(t, w, p); s.OperatorAction == nil || s.OperatorAction.Action != "remove-ds" {
		t.Fatalf("after withdraw: %+v", s.OperatorAction)
	}
	tickSeeing(t, w, p, func(s *rollover.Sighting) {
		for i := range s.Servers {
			if v := s.Servers[i].DNSKEY; v != nil && s.Servers[i].Name == "ns2" {
				back := *v
				back.Signers = []rollover.DNSKEY{r.Old[0].DNSKEY()}
				s.Servers[i].DNSKEY = &back
			}
		}
	})
	for _, blocked := range []bool{false, true} {
		if blocked {
			w.Apply(rollover.Command{Verb: "activate", Key: r.Old[0]})
			w.Apply(rollover.Command{Verb: "deactivate", Key: r.New[0]})
			for range 5 {
				tickDue(t, w, p)
				w.Advance(unit)
			}
		}
		s := describe(t, w, p)
		if s.OperatorAction != nil && len(s.OperatorAction.Remove) > 0 || !slices.ContainsFunc(s.Warnings, func(x string) bool { return strings.Contains(x, "at the parent now") }) {
			t.Errorf("blocked %v: %+v, warnings %q", blocked, s.OperatorAction, s.Warnings)
		}
	}
}

// Withdraw asks for something that cannot be taken back quickly: the keys are
// read before it.
func TestWithdrawReadsTheKeys(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	w.Lag["ns1"], w.Lag["ns2"] = 100*unit, 100*unit
	w.AddKey(257, true, false)
	for range 30 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	if r := w.Roll(); r.State != rollover.StateBlocked || r.Step != "switch" {
		t.Errorf("%s at %s", r.State, r.Step)
	}
}

// A TTL is raised before the switch, on a record that is no sample and without
// a new serial: it counts.
type hands struct {
	*rollovertest.World
	largest *uint32
}

func (h hands) Contents(ctx context.Context, zone string) (rollover.Contents, error) {
	c, err := h.World.Contents(ctx, zone)
	c.LargestTTL = *h.largest
	return c, err
}

func TestTTLRaisedWithoutASerial(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	largest := uint32(660)
	engine := func() *rollover.Engine {
		e := w.Engine(p)
		e.Signer = hands{w, &largest}
		return e
	}
	if _, err := engine().Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "zsk"}); err != nil {
		t.Fatal(err)
	}
	largest = 7200
	for w.Roll().State == rollover.StateActive {
		if _, err := engine().Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
			t.Fatal(err)
		}
		whole(t, w, unit)
	}
	steps := w.Roll().Steps
	if waited := steps[2].At.Sub(steps[1].At); waited < 2*time.Hour {
		t.Errorf("%s after %s: %s, though data may be cached for two hours", steps[2].Step, steps[1].Step, waited)
	}
}

// A zone that is named twice in one tick is worked on once.
func TestSameZoneTwice(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	p := tight()
	w.KillAt = 6
	start(t, w, p, rollover.Order{})
	if w.Roll() == nil || len(w.Keys) != 1 {
		t.Fatalf("not killed between the first save and the first key: %v %v", w.Roll(), w.Keys)
	}
	if _, err := w.Engine(p).Tick(context.Background(), []string{rollovertest.Zone, rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
	if r := w.Roll(); r.State != rollover.StateActive || len(w.Keys) != 2 {
		t.Errorf("%s, keys %v", r.State, w.Keys)
	}
}

// Nobody runs advance: status says so.
func TestDeadCronIsTold(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	whole(t, w, 3*24*time.Hour)
	if s := describe(t, w, p); len(s.Warnings) == 0 || !strings.Contains(s.Warnings[0], "in cron") {
		t.Errorf("warnings %q", s.Warnings)
	}
}

// When no server of the parent answers, the operator is not told to add what
// was there in the last look that was answered.
func TestSilentParentIsNotAnEmptyOne(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	drive(t, w, p, 3)
	w.Down["p1"], w.Down["p2"] = true, true
	tickDue(t, w, p)
	if todo := w.Roll().Parent(p); len(todo.Keep) != 2 || len(todo.Add) != 0 {
		t.Errorf("with a silent parent: %+v", todo)
	}
	if n := w.Roll().Need; n.Actor != rollover.ActorParent {
		t.Errorf("with a silent parent %s must act", n.Actor)
	}
}

// Our new key was replaced by hand under its number, the rollover cancelled,
// and the parent points to the lost key alone: nothing can rescue, and the tick
// ends all the same.
func TestNoRescueByALostKey(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	r := w.Roll()
	w.Apply(rollover.Command{Verb: "remove", Key: r.New[0]})
	w.AddKey(257, true, true)
	for range 5 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	w.SetDS([]rollover.DS{dsOfKey(r.New[0])})
	w.Advance(unit)
	w.KillAt = w.Ops + 300 // a tick that does not end is killed here
	if _, err := w.Engine(p).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Errorf("the tick does not end: %v, %d steps", err, len(w.Roll().Steps))
	}
}

// New was let down by hand, the rollover cancelled, and the parent points to new
// alone: it signs again at once.
func TestCancelKnowsWhoSigns(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: 60 * unit, DNSKEY: 4 * unit, Data: 5 * unit})
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk", Method: "double-signature"})
	for range 3 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	r := w.Roll()
	w.Apply(rollover.Command{Verb: "deactivate", Key: r.New[0]})
	for range 5 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	tickDue(t, w, p)
	w.SetDS([]rollover.DS{dsOfKey(r.New[0])})
	for range 20 {
		tickDue(t, w, p)
		w.Advance(unit)
	}
	if bad := w.Broken(); bad != "" {
		t.Errorf("not rescued: %s", bad)
	}
}

// The registrar replaced, and the operator let new sign before rollover could:
// that is the rescue, not a change to be undone.
func TestRescueByHandIsARescue(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	for range 6 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	r := w.Roll()
	w.SetDS([]rollover.DS{dsOfKey(r.New[0])})
	w.Apply(rollover.Command{Verb: "activate", Key: r.New[0]})
	w.Advance(12 * unit)
	tickDue(t, w, p)
	if r = w.Roll(); r.State != rollover.StateActive || r.Kind != "ksk/double-signature" {
		t.Errorf("%s as %s, block %+v", r.State, r.Kind, r.Block)
	}
	drive(t, w, p, 200)
	finished(t, w)
}

// Keys are changed by hand just before a step is due, and changed back as the
// remedy says: what the step waits for is earned anew.
func TestResumeEarnsAnew(t *testing.T) {
	for _, typ := range []string{"zsk", "ksk"} {
		w := rollovertest.New("split", rollovertest.TTLs{DS: 7 * unit, DNSKEY: 14 * unit, Data: 11 * unit})
		p := tight()
		start(t, w, p, rollover.Order{Type: typ})
		toStep(t, w, p, "switch")
		r := w.Roll()
		for range 40 {
			if n := w.Roll().Need; n != nil && len(n.Lagging) == 0 && n.Remaining <= unit {
				break
			}
			tickDue(t, w, p)
			whole(t, w, unit)
		}
		whole(t, w, w.Roll().Need.Remaining)
		w.Lag["ns1"], w.Lag["ns2"] = time.Second, time.Second // they show it a moment later
		w.Apply(rollover.Command{Verb: "activate", Key: r.Old[0]})
		w.Apply(rollover.Command{Verb: "deactivate", Key: r.New[0]})
		tickDue(t, w, p)
		if w.Roll().State != rollover.StateBlocked {
			t.Fatalf("%s: %s at %s", typ, w.Roll().State, w.Roll().Step)
		}
		whole(t, w, 3*unit)
		w.Apply(rollover.Command{Verb: "activate", Key: r.New[0]})
		w.Apply(rollover.Command{Verb: "deactivate", Key: r.Old[0]})
		whole(t, w, unit)
		if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, ""); err != nil {
			t.Fatal(err)
		}
		tickDue(t, w, p)
		w.ServeParent(p)
		whole(t, w, 9*unit)
		drive(t, w, p, 200)
		finished(t, w)
	}
}

// A step that is half done and waits tells what for.
func TestHalfDoneTellsItsNeed(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		if c.Verb == rollover.VerbActivate {
			w.Apply(c)
			return nil
		}
		return errors.New("database is locked")
	}
	w.ServeParent(p)
	for w.Roll().Intent == nil {
		whole(t, w, unit)
		tickDue(t, w, p)
	}
	w.SetDS([]rollover.DS{dsOfKey(w.Roll().Old[0])})
	whole(t, w, unit)
	w.OnDo = nil
	tickDue(t, w, p)
	if s := describe(t, w, p); s.Actor != rollover.ActorYou || !strings.Contains(s.WaitingFor, "has no DS") {
		t.Errorf("actor %q, waiting for %s", s.Actor, s.WaitingFor)
	}
}

// Cancel before the new key was even made.
func TestCancelBeforeTheKeyIsMade(t *testing.T) {
	for _, typ := range []string{"zsk", "ksk"} {
		w := rollovertest.New("split", unequal)
		p := tight()
		w.OnDo = func(*rollovertest.World, rollover.Command) error { return errors.New("database is locked") }
		start(t, w, p, rollover.Order{Type: typ})
		w.OnDo = nil
		if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
			t.Fatal(err)
		}
		drive(t, w, p, 100)
		if r := w.Roll(); r.State != rollover.StateCancelled || len(w.Keys) != 2 {
			t.Errorf("%s: %s, need %+v, keys %v", typ, r.State, r.Need, w.Keys)
		}
	}
}

// What an earlier step relied on is gone: it is told at once, and once.
func TestGoneIsToldOnce(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	w.SetDS(nil)
	told := 0
	for range 10 {
		w.Advance(unit)
		report, err := w.Engine(p).Tick(context.Background(), []string{rollovertest.Zone})
		if err != nil {
			t.Fatal(err)
		}
		told += len(report.Gone)
	}
	events := 0
	for _, e := range w.Events {
		if e.Event == rollover.EventGone {
			events++
		}
	}
	if told != 1 || events != 1 {
		t.Errorf("told %d times, %d events", told, events)
	}
}

// A server that does not answer holds a step up, and is no alarm.
func TestSilenceIsNotGone(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	w.Down["p1"] = true
	for range 40 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	r := w.Roll()
	if r.Step != "switch" || r.Need == nil || r.Need.Gone || len(r.Need.Lagging) == 0 {
		t.Errorf("step %s, need %+v", r.Step, r.Need)
	}
	w.Down["p1"] = false
	drive(t, w, p, 200)
	finished(t, w)
}
