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

// beacon is a driver that publishes what a parent takes by CDS, later.
type beacon struct {
	*clerk
	said rollover.Change // what the CDS records say
	deaf bool            // the name servers do not follow
}

func newBeacon(w *rollovertest.World) *beacon {
	b := &beacon{clerk: &clerk{world: w}}
	b.says = func(c rollover.Change) rollover.Answer {
		switch {
		case c.Over:
			return rollover.Answer{State: rollover.SubmissionAccepted, Text: "tidied"}
		case b.deaf:
			return rollover.Answer{State: rollover.SubmissionLater, Text: "ns2 is behind"}
		}
		b.said = c
		return rollover.Answer{State: rollover.SubmissionAccepted, Text: "served", Missing: []string{"a record\x1b"}}
	}
	return b
}

// follow is the parent that takes what the records say.
func (b *beacon) follow() {
	switch {
	case b.said.Delete:
		b.world.SetDS(nil)
	case b.said.Key != "":
		b.world.SetDS(b.said.Set)
	}
}

func (b *beacon) engine() *rollover.Engine {
	e := driven(b.world, b.clerk)
	setting := e.Setting
	e.Setting = func(zone string) rollover.Setting {
		s := setting(zone)
		s.Policy.CDS, s.Driver = true, "cds"
		return s
	}
	return e
}

func (b *beacon) start(t *testing.T, o rollover.Order) {
	t.Helper()
	o.Zone = rollovertest.Zone
	if _, err := b.engine().Start(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}

// goOn lets time pass, with a tick at each unit and no broken cache, until a
// condition holds.
func (b *beacon) goOn(t *testing.T, n int, follows bool, until func(*rollover.Roll) bool) *rollover.Roll {
	t.Helper()
	for range n {
		if _, err := b.engine().Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
			t.Fatal(err)
		}
		if follows {
			b.follow()
		}
		if until(b.world.Roll()) {
			break
		}
		if bad := b.world.Advance(unit); bad != "" {
			t.Fatal(bad)
		}
	}
	return b.world.Roll()
}

func ended(r *rollover.Roll) bool { return r.State.Ended() }

// The first DS and the last one, with a parent that follows CDS: whatever was
// published is gone with the last key.
func TestSigningsByCDS(t *testing.T) {
	for _, c := range signings() {
		w := rollovertest.New(c.layout, unequal)
		w.Lag = map[string]time.Duration{"ns2": 3 * unit, "p2": 2 * unit}
		b := newBeacon(w)
		b.start(t, c.order)
		w.Metadata = map[string][]string{"PUBLISH-CDS": {"2"}} // as the driver does it
		r := b.goOn(t, 200, true, ended)
		signedAs(t, w, c)
		over := slices.ContainsFunc(b.changes, func(c rollover.Change) bool { return c.Over })
		first := b.changes[0]
		if signs := c.order.Type == "sign"; over != signs || first.Delete == signs || !first.CDS || (len(w.Metadata) > 0) != signs {
			t.Errorf("%s: changes %+v, metadata %v", c.name, b.changes, w.Metadata)
		} else if signs && r.Submission.Text != "tidied" {
			t.Errorf("%s: in the end %+v", c.name, r.Submission)
		}
	}
}

// What is missing is kept for status, one line each, until it is not any more.
func TestMissingRecordsAreTold(t *testing.T) {
	w := rollovertest.New("unsigned", unequal)
	b := newBeacon(w)
	b.start(t, rollover.Order{Type: "sign"})
	r := b.goOn(t, 60, false, func(r *rollover.Roll) bool { return r.Submission != nil })
	if r.Step != "submit" || !slices.Equal(r.Submission.Missing, []string{"a record"}) || r.NeedsOperator() {
		t.Fatalf("at %s: %+v", r.Step, r.Submission)
	}
	if r = b.goOn(t, 60, true, ended); r.State != rollover.StateDone || r.Submission.Missing != nil {
		t.Errorf("%s: %+v", r.State, r.Submission)
	}
}

// An unsign is reverted before the parent has dropped the DS, which it could
// still do: it is not over before every name server has the records of the key.
func TestRevertedUnsignTakesTheDeleteBack(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	b := newBeacon(w)
	b.start(t, rollover.Order{Type: "unsign"})
	b.goOn(t, 3, false, never)
	if !b.said.Delete {
		t.Fatalf("unsign said %+v", b.said)
	}
	b.deaf = true
	w.Metadata = map[string][]string{"PUBLISH-CDS": {"0"}} // as the driver does it
	if err := b.engine().Revert(context.Background(), rollover.Back{Zone: rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
	if len(w.Metadata) > 0 || !strings.Contains(w.Log[len(w.Log)-1], "purge") {
		t.Errorf("after the order the zone has %v, and the last thing done is %q", w.Metadata, w.Log[len(w.Log)-1])
	}
	r := b.goOn(t, 40, false, ended)
	if r.State != rollover.StateActive || r.Step != "submit" || r.Need == nil || r.Need.Next != "finish" {
		t.Fatalf("%s at %s, need %+v", r.State, r.Step, r.Need)
	}
	if s := describe(t, w, byCDS()); !strings.Contains(s.WaitingFor, "CDS records from before") || !strings.Contains(s.WaitingFor, "ns2 is behind") || s.Actor != rollover.ActorDriver {
		t.Errorf("status says %q, %s", s.WaitingFor, s.Actor)
	}
	b.deaf = false
	if r = b.goOn(t, 80, false, ended); r.State != rollover.StateCancelled || b.said.Delete || len(b.said.Keep) != 1 || len(w.DSSet()) != 1 {
		t.Errorf("%s at %s, said %+v", r.State, r.Step, b.said)
	}
}

// A sign is cancelled when the parent may be about to take the DS: the keys stay
// until every name server asks for none, and from then on for as long as caches
// and the margin need.
func TestCancelledSignTakesTheFirstDSBack(t *testing.T) {
	w := rollovertest.New("unsigned", unequal)
	b := newBeacon(w)
	b.start(t, rollover.Order{Type: "sign"})
	b.goOn(t, 60, false, func(r *rollover.Roll) bool { return r.Step == "submit" && r.Submission != nil })
	first := b.said
	back := rollover.Back{Zone: rollovertest.Zone}
	if err := b.engine().CancelOrder(context.Background(), back); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "does not follow CDS") {
		t.Fatalf("cancelled while the DS may be on its way: %v", err)
	}
	b.deaf, back.Unchanged = true, true
	if err := b.engine().CancelOrder(context.Background(), back); err != nil {
		t.Fatal(err)
	}
	if r := b.goOn(t, 40, false, ended); r.State != rollover.StateActive || len(w.Keys) != 1 {
		t.Fatalf("%s, keys %v", r.State, w.Keys)
	}
	w.SetDS(first.Set) // after all
	if r := b.goOn(t, 10, false, ended); len(w.Keys) != 1 {
		t.Fatalf("%s, keys %v", r.State, w.Keys)
	}
	b.deaf = false
	r := b.goOn(t, 200, true, ended)
	if r.State != rollover.StateCancelled || len(w.Keys) != 0 || len(w.DSSet()) != 0 || !b.said.Delete || len(b.keys()) != 2 {
		t.Errorf("%s at %s, keys %v, DS %v, said %+v", r.State, r.Step, w.Keys, w.DSSet(), b.said)
	}
}

// A sign that was cancelled before the parent was asked for anything has nothing
// to take back.
func TestEarlyCancelSaysNothing(t *testing.T) {
	w := rollovertest.New("unsigned", unequal)
	b := newBeacon(w)
	b.start(t, rollover.Order{Type: "sign"})
	b.goOn(t, 2, false, never)
	if err := b.engine().Cancel(context.Background(), rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	if r := b.goOn(t, 100, true, ended); r.State != rollover.StateCancelled || len(b.changes) != 0 {
		t.Errorf("%s at %s, changes %+v", r.State, r.Step, b.changes)
	}
}

// Records that are published already and would have the parent do what nobody
// wants are refused; those of an earlier rollover by CDS are welcome.
func TestCDSThatIsPublishedAlready(t *testing.T) {
	for _, c := range []struct {
		layout, kind, meta, value, says string
		cds                             bool
	}{
		{"unsigned", "sign", "PUBLISH-CDS", "2", "before caches are ready", true},
		{"unsigned", "sign", "PUBLISH-CDNSKEY", "0", "unset-publish-cdnskey", true},
		{"unsigned", "sign", "PUBLISH-CDS", "2", "before caches are ready", false},
		{"csk", "csk", "PUBLISH-CDS", "0", "asks the parent to remove", true},
		{"csk", "csk", "PUBLISH-CDS", "2", "", true},
		{"csk", "csk", "PUBLISH-CDS", "2", "by itself", false},
		{"csk", "unsign", "PUBLISH-CDS", "2", "", true},
		{"csk", "unsign", "PUBLISH-CDS", "0", "", true},
		{"csk", "unsign", "PUBLISH-CDS", "0", "by itself", false},
		{"csk", "algorithm", "PUBLISH-CDS", "", "another driver", true},
	} {
		w := rollovertest.New(c.layout, unequal)
		if c.value != "" {
			w.Metadata = map[string][]string{c.meta: {c.value}}
		}
		p := tight()
		p.CDS = c.cds
		o := rollover.Order{Zone: rollovertest.Zone, Type: c.kind}
		if c.kind == "algorithm" {
			o.Algorithm = 15
		}
		_, err := w.Engine(p).Prepare(context.Background(), o)
		if (err != nil) != (c.says != "") || err != nil && (!errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s with %s %q, cds %v: %v, expected %q", c.kind, c.meta, c.value, c.cds, err, c.says)
		}
	}
}
