package rollover

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Registrar is a way to ask the parent for another DS set: a driver. Whatever
// it claims, only DNS is believed: it neither advances a rollover nor blocks it.
type Registrar interface {
	// Submit hands over one change. The same change may come again, with the
	// same key, until the parent's servers show it.
	Submit(ctx context.Context, c Change) Answer
}

// Preparer is a Registrar that can tell before a rollover begins that it could not
// do what it will be asked for.
type Preparer interface {
	// Prepare says why not, for a rollover of a type; it wraps ErrRefused or
	// ErrUnavailable.
	Prepare(ctx context.Context, zone, rollType string) error
}

// Change is what the parent must have, compared with what its servers show.
type Change struct {
	Zone    string
	Roll    string // id of the rollover
	Type    string
	Method  string
	Step    string // last step entered
	Key     string // the same for each try of the same change
	Attempt int    // counted from 1 for each key
	Add     []DS
	Keep    []DS // of the keys of this rollover
	Remove  []DS
	Set     []DS // all that the parent must have in the end, foreign records included
	Keys    []Key
	CDS     bool     // CDS records can have the DS sets that the rollover asks for
	Delete  bool     // no DS at all is asked for, foreign ones included
	Over    bool     // the rollover has ended: what was put elsewhere for the change can go; sent to a parent that follows CDS alone
	Digests []uint8  // digest types of the policy
	Servers []Server // of the zone and of its parent, as the last look found them
}

// SubmissionState is what a driver said to a change.
type SubmissionState string

// The states of a submission.
const (
	SubmissionAccepted SubmissionState = "accepted"
	SubmissionLater    SubmissionState = "try-later"
	SubmissionFailed   SubmissionState = "failed"
)

// Names of events about what a driver said.
const (
	EventDSAccepted = "ds-accepted"
	EventDSLater    = "ds-try-later"
	EventDSFailed   = "ds-failed"
)

// Answer is what a driver says to a change.
type Answer struct {
	State SubmissionState
	Text  string // for people, one line
	// Missing is records, as a zone file has them, that somebody could put in for
	// the parent to take the change, or to take it sooner. Nothing waits for them.
	Missing []string
}

// Submission is what became of the last change that was handed to a driver.
type Submission struct {
	Driver   string          `json:"driver"`
	Key      string          `json:"key"`
	State    SubmissionState `json:"state"`
	Text     string          `json:"text"`
	Attempts int             `json:"attempts"`
	Misses   int             `json:"misses"` // attempts since it was last accepted
	First    time.Time       `json:"first"`
	Last     time.Time       `json:"last"`
	Next     time.Time       `json:"next"`    // not again before
	ToldAt   time.Time       `json:"told_at"` // an unchanged answer is told once a day
	Missing  []string        `json:"missing,omitempty"`
}

const (
	// submitBudget is how long the drivers of one tick may take together
	// before the zones that are left wait for the next tick: registrars that
	// hang must not keep others from being looked at. What was begun by then
	// has its own time.
	submitBudget = 2 * time.Minute
	// submitPause is the longest pause after a change that was not accepted.
	submitPause = time.Hour
	// answerLength is how much of what a driver says is kept.
	answerLength = 500
	// missingMost is how many of the records that a driver misses are kept.
	missingMost = 100
)

// submit hands the open changes of a tick to their drivers. It comes when all
// zones were acted upon, so that a slow driver delays no step.
func (e *Engine) submit(ctx context.Context, visits []*visit) error {
	begun := e.Now()
	inTime := func() bool { return ctx.Err() == nil && e.Now().Since(begun) < submitBudget }
	for _, v := range visits {
		switch {
		case !v.ended || ctx.Err() != nil:
		case inTime():
			v.safely(func() { v.tidy(ctx) })
		default:
			v.untidied()
		}
	}
	e.each(byMisses(visits), func(v *visit) {
		if inTime() {
			v.submit(ctx)
		}
	})
	return e.save(visits)
}

// leaves says whether a rollover that has ended may leave something behind that
// the driver has put elsewhere.
func (v *visit) leaves() bool {
	r := v.roll
	kind, err := r.kind()
	return err == nil && kind.oneSided() && v.setting.Policy.CDS && v.setting.Registrar != nil && r.Submission != nil && r.Ask != nil && len(r.Ask.Sides) > 0
}

// untidied tells that there was no time to have it taken away.
func (v *visit) untidied() {
	if v.leaves() {
		v.submitted(*v.roll.Submission, Answer{State: SubmissionFailed, Text: "no time was left to look for what was put elsewhere for this change (signalling records): look for it by hand"})
	}
}

// tidy has the driver take away what it has put elsewhere for a first DS. What
// it cannot take away it tells; nothing waits for that.
func (v *visit) tidy(ctx context.Context) {
	if !v.leaves() {
		return
	}
	was := v.roll.Submission
	change := v.roll.change(v.setting.Policy)
	change.Attempt, change.Over = was.Attempts+1, true
	if answer := v.handOver(ctx, change); answer.Text != "" && ctx.Err() == nil {
		v.submitted(*was, answer)
	}
}

func (v *visit) submit(ctx context.Context) {
	r, now := v.roll, v.engine.Now().Wall
	if v.setting.Registrar == nil {
		v.dirty = v.dirty || r.Submission != nil
		r.Submission = nil
		return
	}
	retracts := r.retracts(v.setting.Policy)
	if r.Intent != nil || r.Need == nil || r.Need.Actor != ActorYou && !retracts {
		return
	}
	change := r.change(v.setting.Policy)
	if len(change.Add)+len(change.Remove) == 0 && !retracts {
		return
	}
	was := r.Submission
	if was == nil || was.Key != change.Key {
		was = &Submission{Key: change.Key, First: now}
	} else if now.Before(was.Next) && !now.Before(was.Last) { // a clock that was set back must not silence it
		return
	}
	change.Attempt = was.Attempts + 1
	answer := v.handOver(ctx, change)
	if ctx.Err() != nil {
		return
	}
	v.submitted(*was, answer)
	if retracts && answer.State == SubmissionAccepted {
		r.Held = map[string]map[string]Holding{} // the parent may have taken the records from before until now
	}
}

// submitted records what a driver said.
func (v *visit) submitted(was Submission, a Answer) {
	now, text := v.engine.Now().Wall, oneLine(a.Text)
	s := was
	s.Driver, s.State, s.Text, s.Last, s.Missing = v.setting.Driver, a.State, text, now, nil
	for _, record := range a.Missing[:min(len(a.Missing), missingMost)] {
		s.Missing = append(s.Missing, oneLine(record))
	}
	s.Attempts++
	s.Misses++
	pause := min(v.setting.Policy.CheckInterval<<min(s.Misses-1, 16), max(submitPause, v.setting.Policy.CheckInterval))
	if a.State == SubmissionAccepted {
		s.Misses, pause = 0, v.setting.Resubmit
	}
	s.Next = now.Add(pause)
	v.roll.Submission, v.dirty = &s, true
	if was.State == s.State && was.Text == text && now.Sub(was.ToldAt) < 24*time.Hour {
		return
	}
	v.roll.Submission.ToldAt = now
	v.event(s.event(), v.roll.Step, s.sentence())
}

func (s Submission) event() string {
	switch s.State {
	case SubmissionAccepted:
		return EventDSAccepted
	case SubmissionLater:
		return EventDSLater
	}
	return EventDSFailed
}

// sentence is what a driver said, for people.
func (s Submission) sentence() string {
	said := ""
	if s.Text != "" {
		said = ": " + s.Text
	}
	switch s.State {
	case SubmissionAccepted:
		return fmt.Sprintf("the driver %s accepted the change%s", s.Driver, said)
	case SubmissionLater:
		return fmt.Sprintf("the driver %s will be asked again%s", s.Driver, said)
	}
	return fmt.Sprintf("the driver %s failed%s", s.Driver, said)
}

// oneLine is text of a program or server fit to be stored and shown.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	out := []rune(strings.Join(strings.Fields(text), " "))
	if len(out) > answerLength {
		out = append(out[:answerLength], []rune("...")...)
	}
	return string(out)
}

// change is what must change at the parent now.
func (r *Roll) change(p Policy) Change {
	add, del := r.parentTodo(p)
	c := Change{
		Zone: r.Zone, Roll: r.ID, Type: r.Type, Method: r.Method, Step: r.Step, Key: r.changeKey(p),
		Add: add, Keep: r.Parent(p).Keep, Remove: del, Digests: p.DSDigests,
	}
	for _, d := range slices.Concat(r.DSSeen, add) {
		if !slices.Contains(del, d) && !slices.Contains(c.Set, d) {
			c.Set = append(c.Set, d)
		}
	}
	for _, k := range slices.Concat(r.New, r.Old) {
		if k.Role.SignsKeys() && k.PublicKey != "" {
			c.Keys = append(c.Keys, k)
		}
	}
	if k, err := r.kind(); err == nil {
		c.CDS = k.CDS || k.oneSided()
	}
	c.Delete = r.Ask != nil && len(r.Ask.Sides) == 0
	for _, s := range r.Servers {
		if !s.Unchecked {
			c.Servers = append(c.Servers, s.Server)
		}
	}
	return c
}

// changeKey names the wanted set: rollover, step, and a digest of what is asked
// for. It does not depend on what the parent shows just now.
func (r *Roll) changeKey(p Policy) string {
	if r.Ask == nil {
		return ""
	}
	sum := sha256.New()
	for _, side := range []Side{Old, New} {
		for _, k := range r.side(side) {
			fmt.Fprintln(sum, slices.Contains(r.Ask.Sides, side), k.DNSKEY(), p.DSDigests)
		}
	}
	return fmt.Sprintf("%s/%s/%s", r.ID, r.Step, hex.EncodeToString(sum.Sum(nil)[:8]))
}

// submission is the answer of the driver to what is asked for now, nil if
// there is none.
func (r *Roll) submission(p Policy) *Submission {
	if r.Submission == nil || r.Ask == nil || r.Submission.Key != r.changeKey(p) {
		return nil
	}
	return r.Submission
}

// Missing is the records that the driver misses for what is asked for now, as a
// zone file has them. Nothing waits for them.
func (r *Roll) Missing(p Policy) []string {
	if s := r.submission(p); s != nil && !r.State.Ended() {
		return s.Missing
	}
	return nil
}

// driven is a need of the operator that a driver has taken over.
func (r *Roll) driven(n Need, p Policy) Need {
	switch s := r.submission(p); {
	case n.Actor != ActorYou || s == nil:
	case s.State == SubmissionAccepted:
		n.Actor = ActorParent
	case s.State == SubmissionLater:
		n.Actor = ActorDriver
	}
	return n
}

// told adds to status what the driver said.
func (s *Status) told(r *Roll, p Policy) {
	sub := r.submission(p)
	if sub == nil || r.Need == nil || r.Need.Actor != ActorYou {
		return
	}
	s.WaitingFor += fmt.Sprintf("; at %s %s", sub.Last.UTC().Format(time.RFC3339), sub.sentence())
	switch sub.State {
	case SubmissionAccepted:
		s.WaitingFor += "; the parent's servers do not show it yet"
		s.Command = fmt.Sprintf("nothing, while the parent may still be at it; the change is handed over again after %s", sub.Next.UTC().Format(time.RFC3339))
	case SubmissionLater:
		s.Command = "nothing: advance asks the driver again after " + sub.Next.UTC().Format(time.RFC3339)
	case SubmissionFailed:
		s.Command = fmt.Sprintf("mend the driver %s, which is asked again after %s; or do it by hand, %s", sub.Driver, sub.Next.UTC().Format(time.RFC3339), s.Command)
	}
}

// NeedsOperator says whether somebody must do something, or it stays as it is.
// What a driver is asked to do needs nobody, unless it failed.
func (r *Roll) NeedsOperator() bool {
	switch r.State {
	case StateBlocked, StatePaused:
		return true
	case StateActive:
		driven := r.Submission != nil && r.Submission.State != SubmissionFailed
		return r.Need != nil && r.Need.Actor == ActorYou && r.Intent == nil && !driven
	}
	return false
}
