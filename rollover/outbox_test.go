package rollover

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Events that are told once, and what is said of them.
func TestNoticesOfEvents(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := &Roll{ID: "a.zsk-1", Zone: "a.", Type: "zsk", Method: "pre-publish", State: StateActive, Step: "switch"}
	for event, name := range map[string]string{
		EventStarted: NoticeStarted, EventEntered: NoticeStep, EventRescued: NoticeRescued, EventDone: NoticeDone, EventCancelled: NoticeDone,
		EventPaused: "", EventUnfit: "", EventDSNeeded: "", EventBlocked: "",
	} {
		n, ok := NoticeOf(Event{At: at, Zone: "a.", Event: event, Step: "publish", Text: "two\nlines"}, r)
		if ok != (name != "") || n.Event != name {
			t.Errorf("%s is told as %q, %v", event, n.Event, ok)
		}
		if !ok {
			continue
		}
		want := fmt.Sprintf("a.zsk-1/%s/20261123T120000.000Z/publish", name)
		if n.ID != want || n.Step != "publish" || n.Schema != 1 || n.Source != SourceRollover || n.Zone != "a." || n.Roll != r.ID || n.Type != "zsk" || n.Method != "pre-publish" || n.State != StateActive ||
			!n.At.Equal(at) || n.Text == "two\nlines" || n.Add == nil || n.Remove == nil || n.Keep == nil || n.Findings == nil {
			t.Errorf("%s: %+v", event, n)
		}
	}
	n, _ := NoticeOf(Event{At: at, Zone: "a.", Event: EventDone}, nil)
	if n.ID != "a./done/20261123T120000.000Z/" || n.Roll != "" {
		t.Errorf("without a rollover: %+v", n)
	}
}

// What waits for a channel: each notice once, not for longer than a week, and no more
// than a thousand.
func TestOutboxForgets(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var o Outbox
	ids := func() (out []string) {
		for _, d := range o.Pending {
			out = append(out, d.Notice.ID+d.Notice.Text)
		}
		return out
	}
	o.Queue(Notice{ID: "1", Text: "a"}, []string{"mail"}, at)
	o.Queue(Notice{ID: "2"}, []string{"mail"}, at.Add(time.Hour))
	o.Queue(Notice{ID: "1", Text: "b"}, []string{"mail"}, at.Add(2*time.Hour))
	if got := ids(); !slices.Equal(got, []string{"2", "1b"}) {
		t.Errorf("waiting are %q", got)
	}
	o.Queue(Notice{ID: "3"}, nil, at.Add(time.Hour+deliveryTime))
	if got := ids(); !slices.Equal(got, []string{"2", "1b", "3"}) {
		t.Errorf("after a week %q", got)
	}
	o.Queue(Notice{ID: "4"}, nil, at.Add(time.Hour+deliveryTime+1))
	if got := ids(); !slices.Equal(got, []string{"1b", "3", "4"}) {
		t.Errorf("after more than a week %q", got)
	}
	for i := range deliveries {
		o.Queue(Notice{ID: fmt.Sprint("n", i)}, nil, at.Add(time.Hour+deliveryTime+1))
	}
	if len(o.Pending) != deliveries || o.Pending[0].Notice.ID != "n0" {
		t.Errorf("%d wait, the first is %s", len(o.Pending), o.Pending[0].Notice.ID)
	}
}

// Who took a notice has a minute; a clock that was put back keeps it from nobody.
func TestTakenNotices(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for left, want := range map[time.Duration]bool{-time.Second: false, 0: false, 1: true, takenTime: true, takenTime + 1: false} {
		if got := (Delivery{Taken: at.Add(left)}).taken(at); got != want {
			t.Errorf("%s before its end: %v", left, got)
		}
	}
	n, other := Notice{ID: "1"}, Notice{ID: "2"}
	o := Outbox{Pending: []Delivery{{Notice: n, Channels: []string{"mail", "web"}}, {Notice: other, Channels: []string{"web"}}}}
	if got := o.Take([]string{"mail"}, at); len(got["mail"]) != 1 || len(o.Due("mail", at)) != 0 || len(o.Due("web", at)) != 1 {
		t.Errorf("taken %+v, due %+v", got, o.Due("web", at))
	}
	again := n
	again.Repeat = 1
	o.Give(map[string][]Notice{"mail": {again, {ID: "9"}}})
	if len(o.Due("mail", at)) != 0 {
		t.Error("another telling gave it back")
	}
	o.Give(map[string][]Notice{"mail": {n}})
	if len(o.Due("mail", at)) != 1 {
		t.Error("what was given back is not due")
	}
	o.Delivered("mail", again)
	o.Delivered("mail", other)
	if len(o.Due("mail", at)) != 1 {
		t.Error("another was delivered")
	}
	o.Channels = map[string]Channel{"mail": {Failures: 1}}
	o.Delivered("mail", n)
	if _, failed := o.Channels["mail"]; failed || len(o.Due("mail", at)) != 0 || len(o.Due("web", at)) != 2 || len(o.Pending) != 2 {
		t.Errorf("delivered by mail: %+v", o)
	}
	o.Delivered("web", n)
	if len(o.Pending) != 1 || o.Pending[0].Notice.ID != "2" {
		t.Errorf("delivered to all: %+v", o.Pending)
	}
}

// A channel that fails is left alone for ever longer, up to an hour, and that is news
// once a day.
func TestChannelsThatFail(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var o Outbox
	for i, minutes := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		news := o.Failed("mail", "no\nroute", at)
		c := o.Channels["mail"]
		if news != (i == 0) || !c.Next.Equal(at.Add(time.Duration(minutes)*time.Minute)) || c.Failures != i+1 || !c.Since.Equal(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)) || c.Text == "no\nroute" || c.Text == "" {
			t.Errorf("failure %d: news %v, %+v", i+1, news, c)
		}
		at = at.Add(time.Minute)
	}
	o.Pending = []Delivery{{Notice: Notice{ID: "1"}, Channels: []string{"mail"}}}
	next := o.Channels["mail"].Next
	if len(o.Due("mail", next.Add(-1))) != 0 || len(o.Due("mail", next)) != 1 {
		t.Error("it is not left alone until its time")
	}
	told := o.Channels["mail"].ToldAt
	if o.Failed("mail", "x", told.Add(24*time.Hour-1)) || !o.Failed("mail", "x", told.Add(24*time.Hour)) || o.Failed("mail", "x", told.Add(24*time.Hour+time.Minute)) {
		t.Error("it is not told once a day")
	}
	o.Channels["mail"] = Channel{Failures: 1000}
	if o.Failed("mail", "x", at); !o.Channels["mail"].Next.Equal(at.Add(time.Hour)) {
		t.Errorf("after a thousand failures %+v", o.Channels["mail"])
	}
	o.Channels["mail"] = Channel{Failures: -5}
	if o.Failed("mail", "x", at); !o.Channels["mail"].Next.Equal(at.Add(time.Minute)) {
		t.Errorf("after what nobody wrote %+v", o.Channels["mail"])
	}
}

// Conditions: new ones are told, old ones again when it is time, and what is over is
// told, except that somebody did what was asked.
func TestSettling(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	cond := func(zone, event, id string) Notice {
		return Notice{ID: id, Event: event, Zone: zone, Roll: zone + "1", Text: event, At: at, Source: SourceRollover}
	}
	told := func(list []Notice) (out []string) {
		for _, n := range list {
			out = append(out, fmt.Sprintf("%s %s %d", n.ID, n.Event, n.Repeat))
		}
		return out
	}
	var o Outbox
	for _, c := range []struct {
		what  string
		zone  string
		now   []Notice
		after time.Duration
		wants []string
		open  int
	}{
		{"stuck", "a.", []Notice{cond("a.", NoticeStuck, "1")}, 0, []string{"1 stuck 0"}, 1},
		{"still", "a.", []Notice{cond("a.", NoticeStuck, "1")}, time.Hour - 1, nil, 1},
		{"again", "a.", []Notice{cond("a.", NoticeStuck, "1")}, time.Hour, []string{"1 stuck 1"}, 1},
		{"another zone", "b.", []Notice{cond("b.", NoticeDSNeeded, "2")}, time.Hour, []string{"2 ds-needed 0"}, 2},
		{"over", "a.", nil, 2 * time.Hour, []string{"1/recovered recovered 0"}, 1},
		{"done as asked", "b.", nil, 2 * time.Hour, nil, 0},
		{"a failure", "a.", []Notice{cond("a.", NoticeCheckFailed, "3")}, 3 * time.Hour, []string{"3 check-failed 0"}, 1},
		{"another of the same rollover", "a.", []Notice{cond("a.", NoticeCheckFailed, "4")}, 3 * time.Hour, nil, 1},
		{"one of another rollover", "a.", []Notice{{ID: "5", Event: NoticeCheckFailed, Zone: "a.", Roll: "a.2", Source: SourceRollover}}, 3 * time.Hour, []string{"3/recovered recovered 0", "5 check-failed 0"}, 1},
		{"two that are the same", "a.", []Notice{cond("a.", NoticeStuck, "6"), cond("a.", NoticeStuck, "6")}, 3 * time.Hour, []string{"5/recovered recovered 0", "6 stuck 0"}, 1},
	} {
		given := slices.Clone(c.now)
		got := o.Settle(c.zone, c.now, at.Add(c.after), time.Hour)
		if !slices.Equal(told(got), c.wants) || len(o.Open) != c.open {
			t.Errorf("%s: told %q, expected %q, open %d", c.what, told(got), c.wants, len(o.Open))
		}
		for i := range given {
			if given[i].ID != c.now[i].ID {
				t.Errorf("%s: what was given is changed", c.what)
			}
		}
		for _, n := range got {
			if n.Event == NoticeRecovered && (n.Text == "" || !n.At.Equal(at.Add(c.after)) || n.Command != "" || n.Severity != "" || n.Findings == nil) {
				t.Errorf("%s: %+v", c.what, n)
			}
		}
	}
	o.Open = append(o.Open, Told{Notice: Notice{ID: "9", Zone: "c.", Source: SourceCheck}}, Told{Notice: Notice{ID: "10", Zone: "b.", Source: SourceRollover}, Next: at.Add(time.Hour)})
	if got := o.Settle("c.", nil, at, time.Hour); len(got) != 0 || len(o.Open) != 3 {
		t.Errorf("what check found is settled: %v, %+v", got, o.Open)
	}
	if got := o.Zones(); !slices.Equal(got, []string{"a.", "b."}) {
		t.Errorf("open in %q", got)
	}
	if got := o.Again(at.Add(time.Hour - 1)); len(got) != 0 {
		t.Errorf("again in %q", got)
	}
	if got := o.Again(at.Add(time.Hour)); !slices.Equal(got, []string{"b."}) {
		t.Errorf("again in %q", got)
	}
}
