package rollover_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// A zone that fails: that comes first in status and notifications, with since when,
// until when and the command; no date of the plan means anything then. When it is
// well again that is said, until no cache can hold what was served.
func TestFailingComesFirst(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	p := tight()
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "ksk"})
	whole(t, w, unit)
	tickSeeing(t, w, p, asItIs)
	if s := describe(t, w, p); s.Failing != nil || s.NotBefore == nil {
		t.Errorf("before: %+v, not before %v", s.Failing, s.NotBefore)
	}
	broken := at("ns1", badKeys("expired"))
	tickSeeing(t, w, p, broken)
	since := w.Now.Wall
	whole(t, w, unit)
	tickSeeing(t, w, p, broken)
	s := describe(t, w, p)
	if s.Failing == nil || s.Failing.Over || !s.Failing.Since.Equal(since) || !strings.Contains(s.Failing.Text, "ns1") || s.Failing.Command == "" || s.Failing.Until.Before(since.Add(time.Hour)) {
		t.Fatalf("it fails, and status says %+v", s.Failing)
	}
	if s.NotBefore != nil || slices.ContainsFunc(s.Plan, func(p rollover.PlanStep) bool { return p.Earliest != nil }) {
		t.Errorf("dates that mean nothing: %v, %+v", s.NotBefore, s.Plan)
	}
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	told := rollover.Conditions(d, s, time.Hour, w.Now.Wall)
	if len(told) == 0 || !slices.ContainsFunc(told, func(n rollover.Notice) bool { return n.Event == rollover.NoticeCheckFailed }) {
		t.Errorf("outside is told %+v", told)
	}
	for _, n := range told {
		if !strings.HasPrefix(n.Text, "FAILS for validating resolvers since ") {
			t.Errorf("%s begins with %q", n.Event, n.Text)
		}
	}
	if n := len(slices.DeleteFunc(slices.Clone(w.Events), func(e rollover.Event) bool { return e.Event != rollover.EventFails })); n != 1 {
		t.Errorf("history has it %d times", n)
	}
	tickSeeing(t, w, p, asItIs)
	if s := describe(t, w, p); s.Failing == nil || !s.Failing.Over || !strings.HasPrefix(s.Failing.Sentence(), "FAILED since ") {
		t.Errorf("well again: %+v", s.Failing)
	}
	whole(t, w, time.Hour+unit)
	tickSeeing(t, w, p, asItIs)
	if s := describe(t, w, p); s.Failing != nil {
		t.Errorf("long over: %+v", s.Failing)
	}
}

// A look that does not ask the parent cannot say that the chain is well again.
func TestFailingIsNotOverUnseen(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	p := tight()
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "zsk"})
	whole(t, w, unit)
	tickSeeing(t, w, p, at("ns1", badData("expired")))
	if r := w.Roll(); r.Failing == nil {
		t.Fatal("it fails unnoticed")
	}
	tickSeeing(t, w, p, func(s *rollover.Sighting) { s.Records = []rollover.Record{rollover.RecordDNSKEY} })
	if r := w.Roll(); r.Failing == nil || !r.Failing.Over.IsZero() {
		t.Errorf("it is %+v", r.Failing)
	}
}

// What asks for a DS names what must stay: in history, status and notifications.
func TestAskingNamesWhatStays(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	p := tight()
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "ksk"})
	for range 20 {
		if w.Roll().Step == "submit" {
			break
		}
		whole(t, w, unit)
		tickSeeing(t, w, p, asItIs)
	}
	keep := "keep DS " + w.DSSet()[0].String()
	s := describe(t, w, p)
	if s.OperatorAction == nil || !strings.Contains(s.Command, keep) || !slices.Equal(s.OperatorAction.Keep, []string{w.DSSet()[0].String()}) {
		t.Errorf("status says %q, %+v", s.Command, s.OperatorAction)
	}
	if !slices.ContainsFunc(w.Events, func(e rollover.Event) bool {
		return e.Event == rollover.EventDSNeeded && strings.Contains(e.Text, keep)
	}) {
		t.Error("history does not say what to keep")
	}
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	if told := rollover.Conditions(d, s, 1000*time.Hour, w.Now.Wall); len(told) != 1 || len(told[0].Keep) != 1 || !strings.Contains(told[0].Command, keep) {
		t.Errorf("outside is told %+v", told)
	}
}

// A rescue is told outside unless it was chosen not to be.
func TestRescueIsTold(t *testing.T) {
	n, ok := rollover.NoticeOf(rollover.Event{Event: rollover.EventRescued, Zone: "a."}, nil)
	if !ok || n.Event != rollover.NoticeRescued || !slices.Contains(rollover.NoticeNames(), n.Event) {
		t.Errorf("%v %+v", ok, n)
	}
}
