package rollover_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// conditions is what must be told of the zone of a world now.
func conditions(t *testing.T, w *rollovertest.World, stuck time.Duration) []rollover.Notice {
	t.Helper()
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rollover.Describe(d, tight(), w.Clock().Wall, func(rollover.Command) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return rollover.Conditions(d, s, stuck, w.Clock().Wall)
}

func eventsOf(list []rollover.Notice) string {
	var out []string
	for _, n := range list {
		out = append(out, n.Event)
	}
	return strings.Join(out, " ")
}

// What must be told while a rollover goes through its troubles.
func TestConditions(t *testing.T) {
	w := rollovertest.New("split", unequal)
	k := &clerk{world: w, says: func(rollover.Change) rollover.Answer { return rollover.Answer{State: rollover.SubmissionAccepted} }}
	startDriven(t, w, k, rollover.Order{Type: "ksk"})
	is := func(want string) []rollover.Notice {
		t.Helper()
		got := conditions(t, w, 100*unit)
		if eventsOf(got) != want {
			t.Errorf("at step %q: conditions %q, expected %q", w.Roll().Step, eventsOf(got), want)
		}
		return got
	}
	is("")
	ticks(t, w, k, 20, func(r *rollover.Roll) bool { return r.Submission != nil })
	is("")
	ticks(t, w, k, 102, never)
	if n := is("stuck"); !strings.Contains(n[0].Text, "accepted") {
		t.Errorf("stuck: %+v", n)
	}
	k.says = func(rollover.Change) rollover.Answer {
		return rollover.Answer{State: rollover.SubmissionFailed, Text: "no"}
	}
	ticks(t, w, k, 100, func(r *rollover.Roll) bool { return r.NeedsOperator() })
	if n := is("ds-needed"); len(n[0].Add) != 1 || n[0].Command == "" || n[0].Schema != 1 {
		t.Errorf("ds-needed: %+v", n)
	}
	w.AddKey(257, false, true)
	ticks(t, w, k, 20, func(r *rollover.Roll) bool { return r.State == rollover.StateBlocked })
	if n := is("blocked"); n[0].Command == "" || n[0].Roll != w.Roll().ID {
		t.Errorf("blocked: %+v", n)
	}
}

// A condition is told once, again after a while, and then that it is over; what
// somebody was asked for and did is not announced to them.
func TestToldUntilItIsOver(t *testing.T) {
	var o rollover.Outbox
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	blocked := rollover.Notice{ID: "1", Event: rollover.NoticeBlocked, Zone: "a."}
	needed := rollover.Notice{ID: "2", Event: rollover.NoticeDSNeeded, Zone: "a."}
	for i, c := range []struct {
		after time.Duration
		now   []rollover.Notice
		told  string
	}{
		{0, []rollover.Notice{blocked, needed}, "blocked ds-needed"},
		{time.Minute, []rollover.Notice{blocked, needed}, ""},
		{23 * time.Hour, []rollover.Notice{blocked, needed}, ""},
		{time.Hour, []rollover.Notice{blocked, needed}, "blocked ds-needed"},
		{time.Minute, []rollover.Notice{needed}, "recovered"},
		{time.Minute, nil, ""},
		{time.Minute, []rollover.Notice{blocked}, "blocked"},
	} {
		at = at.Add(c.after)
		told := o.Settle("a.", c.now, at, 24*time.Hour)
		if eventsOf(told) != c.told {
			t.Errorf("%d: told %q, expected %q", i, eventsOf(told), c.told)
		}
		if i == 3 && told[0].Repeat != 1 {
			t.Errorf("the repetition is %+v", told[0])
		}
		if other := o.Settle("b.", nil, at, time.Hour); len(other) > 0 {
			t.Errorf("%d: told of another zone: %v", i, other)
		}
	}
	if zones := o.Zones(); !slices.Equal(zones, []string{"a."}) {
		t.Errorf("open zones %q", zones)
	}
}

// A failure whose words change is one failure.
func TestChangingFailureIsOne(t *testing.T) {
	var o rollover.Outbox
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	failed := func(id string) []rollover.Notice {
		return []rollover.Notice{{ID: id, Event: rollover.NoticeCheckFailed, Zone: "a.", Roll: "r", Text: id}}
	}
	o.Settle("a.", failed("timed out"), at, time.Hour)
	if told := o.Settle("a.", failed("refused"), at.Add(time.Minute), time.Hour); len(told) > 0 {
		t.Errorf("told %+v", told)
	}
	if told := o.Settle("a.", failed("lame"), at.Add(2*time.Hour), time.Hour); len(told) != 1 || told[0].ID != "timed out" || told[0].Text != "lame" || told[0].Repeat != 1 {
		t.Errorf("told %+v", told)
	}
	if told := o.Settle("a.", nil, at.Add(3*time.Hour), time.Hour); eventsOf(told) != "recovered" {
		t.Errorf("told %+v", told)
	}
}

// A channel that fails is left alone ever longer, and gets everything in the
// end, each thing once; the other channels do not wait for it.
func TestDeliveries(t *testing.T) {
	var o rollover.Outbox
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	both := []string{"mail", "web"}
	o.Queue(rollover.Notice{ID: "1"}, both, now)
	o.Queue(rollover.Notice{ID: "1", Text: "newer"}, both, now)
	o.Queue(rollover.Notice{ID: "2"}, both, now)
	if due := o.Due("web", now); len(due) != 2 || due[0].Text != "newer" {
		t.Errorf("due %+v", due)
	}
	for _, n := range o.Due("mail", now) {
		o.Delivered("mail", n)
	}
	for i, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if news := o.Failed("web", "refused\n", now); news != (i == 0) {
			t.Errorf("failure %d is news: %v", i, news)
		}
		if now = now.Add(pause*time.Minute - 1); len(o.Due("web", now)) > 0 {
			t.Errorf("after failure %d it is tried within %d min", i, pause)
		}
		now = now.Add(1)
	}
	if len(o.Due("mail", now)) != 0 || len(o.Due("web", now)) != 2 {
		t.Errorf("due %v, %v", o.Due("mail", now), o.Due("web", now))
	}
	o.Delivered("web", rollover.Notice{ID: "1"})
	o.Delivered("web", rollover.Notice{ID: "2"})
	if len(o.Pending) != 0 || len(o.Channels) != 0 {
		t.Errorf("left over: %+v", o)
	}
	for range 1200 {
		o.Queue(rollover.Notice{ID: now.String()}, both, now)
		now = now.Add(time.Second)
	}
	if len(o.Pending) != 1000 {
		t.Errorf("%d wait for a channel that never works", len(o.Pending))
	}
	if o.Queue(rollover.Notice{ID: "late"}, both, now.Add(8*24*time.Hour)); len(o.Pending) != 1 {
		t.Errorf("%d wait for more than a week", len(o.Pending))
	}
}

// What one process took no other gets, until it gives it back or has died; a
// repetition is another matter, and a clock that was put back keeps nothing.
func TestTaken(t *testing.T) {
	var o rollover.Outbox
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	o.Queue(rollover.Notice{ID: "1"}, []string{"mail", "web"}, now)
	o.Failed("web", "no", now)
	mine := o.Take([]string{"mail", "web"}, now)
	if len(mine["mail"]) != 1 || len(mine["web"]) != 0 {
		t.Fatalf("taken: %+v", mine)
	}
	o.Queue(rollover.Notice{ID: "2"}, []string{"mail"}, now)
	if other := o.Take([]string{"mail"}, now.Add(time.Second)); len(other["mail"]) != 1 || other["mail"][0].ID != "2" {
		t.Errorf("the other one took %+v", other)
	}
	for _, at := range []time.Time{now.Add(2 * time.Minute), now.Add(-time.Hour)} {
		if due := o.Due("mail", at); len(due) != 2 {
			t.Errorf("at %v: %+v are due", at, due)
		}
	}
	o.Queue(rollover.Notice{ID: "1", Repeat: 1}, []string{"mail"}, now)
	o.Delivered("mail", mine["mail"][0])
	o.Give(mine)
	now = now.Add(time.Second)
	if due := o.Due("mail", now); len(due) != 1 || due[0].Repeat != 1 {
		t.Errorf("after the first was delivered, due: %+v", due)
	}
	mine = o.Take([]string{"mail"}, now)
	o.Give(mine)
	if due := o.Due("mail", now); len(due) != 1 {
		t.Errorf("given back: %+v", due)
	}
}
