package rollover

import (
	"fmt"
	"slices"
	"time"
)

// Events that are told outside, beside those of a history that bear the same
// names. A condition is repeated until it is over; the others are told once.
const (
	NoticeStarted     = "started"
	NoticeStep        = "step-entered"
	NoticeRescued     = "rescued"      // the parent did something else than was asked, and another key signs at once
	NoticeDSNeeded    = "ds-needed"    // a condition: the operator must change the DS set
	NoticeStuck       = "stuck"        // a condition: it should have gone on by now
	NoticeBlocked     = "blocked"      // a condition
	NoticeCheckFailed = "check-failed" // a condition: a look or an act failed, or what was there is gone
	NoticeDone        = "done"         // done, cancelled or abandoned
	NoticeRecovered   = "recovered"    // a condition that was told is over
	NoticeTest        = "test"         // asked for by a person
)

// NoticeNames are the events that can be chosen in the configuration.
func NoticeNames() []string {
	return []string{NoticeStarted, NoticeStep, NoticeRescued, NoticeDSNeeded, NoticeStuck, NoticeBlocked, NoticeDone, NoticeCheckFailed, NoticeRecovered}
}

// Notice is one thing to be told outside. Its JSON is schema 1: fields are
// added, never renamed.
type Notice struct {
	Schema  int       `json:"schema"`
	ID      string    `json:"id"` // the same each time the same thing is told
	Event   string    `json:"event"`
	Zone    string    `json:"zone"`
	Roll    string    `json:"rollover"`
	Type    string    `json:"type"`
	Method  string    `json:"method"`
	State   State     `json:"state"`
	Step    string    `json:"step"`
	At      time.Time `json:"at"`     // when it began to be so
	Repeat  int       `json:"repeat"` // how often it was told before
	Text    string    `json:"text"`
	Command string    `json:"command"` // what to type, if somebody must
	Add     []string  `json:"add"`
	Remove  []string  `json:"remove"`
	Keep    []string  `json:"keep"` // what must stay at the parent
	// Source is what it rests on. What check found has no rollover, and has a
	// severity and findings.
	Source   string    `json:"source"`
	Severity Severity  `json:"severity"`
	Findings []Finding `json:"findings"`
}

// NoticeOf is the notice of an event that is told once, false for others.
func NoticeOf(e Event, r *Roll) (Notice, bool) {
	name := ""
	switch e.Event {
	case EventStarted:
		name = NoticeStarted
	case EventEntered:
		name = NoticeStep
	case EventRescued:
		name = NoticeRescued
	case EventDone, EventCancelled:
		name = NoticeDone
	default:
		return Notice{}, false
	}
	n := Notice{Event: name, At: e.At, Text: e.Text}
	n.of(e.Zone, r, e.At)
	n.Step = e.Step
	n.ID += "/" + e.Step // several may come in one moment
	return n, true
}

// of fills in what a notice says of a rollover.
func (n *Notice) of(zone string, r *Roll, since time.Time) {
	n.Schema, n.Zone, n.Add, n.Remove, n.Keep, n.Findings = 1, zone, list(n.Add), list(n.Remove), list(n.Keep), list(n.Findings)
	n.Text = oneLine(n.Text)
	if n.Source == "" {
		n.Source = SourceRollover
	}
	if r != nil {
		n.Roll, n.Type, n.Method, n.State, n.Step = r.ID, r.Type, r.Method, r.State, r.Step
	}
	about := zone
	if r != nil {
		about = r.ID
	}
	n.ID = fmt.Sprintf("%s/%s/%s", about, n.Event, since.UTC().Format("20060102T150405.000Z"))
}

// Conditions is what is so with a rollover and must be told until it is over.
// A rollover that waits for caches is never stuck: that time is known.
func Conditions(d Dossier, s Status, stuckAfter time.Duration, now time.Time) []Notice {
	r := d.Roll
	var out []Notice
	add := func(event string, since time.Time, text, command string) {
		if s.Failing != nil && text != s.Failing.sentence() { // that comes first
			text = s.Failing.sentence() + "; " + text
		}
		n := Notice{Event: event, At: since, Text: text, Command: command}
		if s.OperatorAction != nil {
			n.Add, n.Remove, n.Keep = s.OperatorAction.Add, s.OperatorAction.Remove, s.OperatorAction.Keep
		}
		n.of(d.Zone, r, since)
		out = append(out, n)
	}
	switch {
	case r.State == StateBlocked:
		add(NoticeBlocked, r.Block.Since, r.Block.Reason, r.Block.Remedy)
	case r.State != StateActive:
	case s.OperatorAction != nil && r.NeedsOperator():
		add(NoticeDSNeeded, r.Ask.Since, s.WaitingFor, s.Command)
	case s.Actor != ActorCaches && now.Sub(r.StepEnteredAt) > stuckAfter:
		add(NoticeStuck, r.StepEnteredAt, s.WaitingFor, s.Command)
	}
	if r.State == StateActive && r.Trouble != nil {
		add(NoticeCheckFailed, r.Trouble.Since, r.Trouble.Text, "")
	} else if r.State == StateActive && len(d.unfitness()) > 0 {
		m := d.unfitness()[0]
		add(NoticeCheckFailed, m.Since, m.String(), m.Remedy)
	} else if r.State == StateActive && r.Need != nil && r.Need.Gone {
		add(NoticeCheckFailed, r.StepEnteredAt, s.WaitingFor, s.Command)
	} else if s.Failing != nil && !s.Failing.Over {
		add(NoticeCheckFailed, s.Failing.Since, s.Failing.sentence(), s.Failing.Command)
	}
	return out
}

// Outbox is what is being told outside: what is open, what is still to be
// delivered, and how the channels do. Losing it costs a repetition.
type Outbox struct {
	Open     []Told             `json:"open"`
	Pending  []Delivery         `json:"pending"`
	Channels map[string]Channel `json:"channels"`
	// Resolver is what is wrong with the resolvers of this machine; nil for nothing.
	Resolver *ResolverFault `json:"resolver,omitempty"`
}

// Told is a condition that was told and is not over.
type Told struct {
	Notice Notice    `json:"notice"`
	Next   time.Time `json:"next"` // when it is told again
}

// Delivery is a notice that some channels have not got yet.
type Delivery struct {
	Notice   Notice    `json:"notice"`
	Channels []string  `json:"channels"`
	Queued   time.Time `json:"queued"`
	// Taken is until when a process that took it may be delivering it.
	Taken time.Time `json:"taken,omitzero"`
}

// Channel is how a way of telling does: after a failure it is left alone for
// some time, ever longer.
type Channel struct {
	Failures int       `json:"failures"`
	Text     string    `json:"text"`
	Since    time.Time `json:"since"`
	Next     time.Time `json:"next"`
	ToldAt   time.Time `json:"told_at"`
}

const (
	channelPause   = time.Minute        // after the first failure, doubled with each
	channelLongest = time.Hour          // the longest pause
	deliveryTime   = 7 * 24 * time.Hour // after which nobody wants to know any more
	deliveries     = 1000               // the most that wait for a channel
	takenTime      = time.Minute        // after which who took a notice has died: one run delivers for less
)

// Queue takes in a notice for all channels. One that is waiting already is
// replaced.
func (o *Outbox) Queue(n Notice, channels []string, now time.Time) {
	o.Pending = slices.DeleteFunc(o.Pending, func(d Delivery) bool {
		return d.Notice.ID == n.ID || now.Sub(d.Queued) > deliveryTime
	})
	o.Pending = append(o.Pending, Delivery{Notice: n, Channels: slices.Clone(channels), Queued: now})
	o.Pending = o.Pending[max(0, len(o.Pending)-deliveries):]
}

// Settle compares the conditions of a zone's rollover with what was told of it:
// new ones are to be told, old ones again after repeat, and of those that are
// over it is told that they are, except that somebody did what was asked.
func (o *Outbox) Settle(zone string, now []Notice, at time.Time, repeat time.Duration) []Notice {
	var out []Notice
	var open []Told
	now = slices.Clone(now)
	for _, t := range o.Open {
		if t.Notice.fromCheck() {
			open = append(open, t)
			continue
		}
		i := slices.IndexFunc(now, t.Notice.same)
		if i >= 0 {
			now[i].ID, now[i].At = t.Notice.ID, t.Notice.At
		}
		switch {
		case t.Notice.Zone != zone:
			open = append(open, t)
		case i < 0 && t.Notice.Event != NoticeDSNeeded:
			out = append(out, t.Notice.over(at))
		case i >= 0 && !at.Before(t.Next):
			n := now[i]
			n.Repeat = t.Notice.Repeat + 1
			open, out = append(open, Told{n, at.Add(repeat)}), append(out, n)
		case i >= 0:
			open = append(open, t)
		}
	}
	for _, n := range now {
		if !slices.ContainsFunc(open, func(t Told) bool { return t.Notice.ID == n.ID }) {
			open, out = append(open, Told{n, at.Add(repeat)}), append(out, n)
		}
	}
	o.Open = open
	return out
}

// same says whether two notices are of the same condition. What fails, and since
// when, can change from look to look.
func (n Notice) same(o Notice) bool {
	return n.ID == o.ID || n.Event == NoticeCheckFailed && o.Event == n.Event && o.Roll == n.Roll && o.Zone == n.Zone
}

// over is the notice that a condition is over.
func (n Notice) over(at time.Time) Notice {
	n.ID += "/" + NoticeRecovered
	n.Text = fmt.Sprintf("over: %s (%s)", n.Event, n.Text)
	n.Event, n.At, n.Repeat, n.Command = NoticeRecovered, at, 0, ""
	n.Severity, n.Findings = "", []Finding{}
	return n
}

// Zones is the zones of whose rollovers something is open.
func (o *Outbox) Zones() []string {
	var out []string
	for _, t := range o.Open {
		if !t.Notice.fromCheck() {
			out = append(out, t.Notice.Zone)
		}
	}
	return unique(out)
}

// Again is the zones of whose rollovers something is to be told again.
func (o *Outbox) Again(now time.Time) []string {
	var out []string
	for _, t := range o.Open {
		if !t.Notice.fromCheck() && !now.Before(t.Next) {
			out = append(out, t.Notice.Zone)
		}
	}
	return unique(out)
}

// Due is the notices that a channel is to be given now, and that nobody is
// giving to it.
func (o *Outbox) Due(channel string, now time.Time) []Notice {
	if now.Before(o.Channels[channel].Next) {
		return nil
	}
	var out []Notice
	for _, d := range o.Pending {
		if slices.Contains(d.Channels, channel) && !d.taken(now) {
			out = append(out, d.Notice)
		}
	}
	return out
}

// taken says whether somebody is delivering it. A clock that was put back must
// not keep it from everybody.
func (d Delivery) taken(now time.Time) bool {
	left := d.Taken.Sub(now)
	return left > 0 && left <= takenTime
}

// Take gives a process what is due to each channel. Until it gives that back,
// or a minute has passed, no other process gets it, so that several can deliver
// side by side while none holds a lock.
func (o *Outbox) Take(channels []string, now time.Time) map[string][]Notice {
	out := map[string][]Notice{}
	given := map[string]bool{}
	for _, channel := range channels {
		out[channel] = o.Due(channel, now)
		for _, n := range out[channel] {
			given[n.ID] = true
		}
	}
	for i, d := range o.Pending {
		if given[d.Notice.ID] {
			o.Pending[i].Taken = now.Add(takenTime)
		}
	}
	return out
}

// Give gives back what Take gave; what was not delivered is due again.
func (o *Outbox) Give(taken map[string][]Notice) {
	for _, notices := range taken {
		for _, n := range notices {
			if i := slices.IndexFunc(o.Pending, func(d Delivery) bool { return d.of(n) }); i >= 0 {
				o.Pending[i].Taken = time.Time{}
			}
		}
	}
}

// of says whether it is the delivery of this very telling of a notice.
func (d Delivery) of(n Notice) bool { return d.Notice.ID == n.ID && d.Notice.Repeat == n.Repeat }

// Delivered notes that a channel has got a notice.
func (o *Outbox) Delivered(channel string, n Notice) {
	delete(o.Channels, channel)
	for i, d := range o.Pending {
		if d.of(n) {
			o.Pending[i].Channels = slices.DeleteFunc(slices.Clone(d.Channels), func(c string) bool { return c == channel })
		}
	}
	o.Pending = slices.DeleteFunc(o.Pending, func(d Delivery) bool { return len(d.Channels) == 0 })
}

// Failed notes that a channel does not work, and says whether that is news: a
// failure that goes on is told once a day.
func (o *Outbox) Failed(channel, text string, now time.Time) bool {
	if o.Channels == nil {
		o.Channels = map[string]Channel{}
	}
	c := o.Channels[channel]
	if c.Failures == 0 {
		c.Since = now
	}
	c.Next = now.Add(min(channelPause<<min(max(c.Failures, 0), 16), channelLongest))
	c.Failures++
	c.Text = oneLine(text)
	news := now.Sub(c.ToldAt) >= 24*time.Hour
	if news {
		c.ToldAt = now
	}
	o.Channels[channel] = c
	return news
}
