package rollover

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Verdict is what a rollover may do now: enter a step, go to the rescue, wait
// for a need, or stop because something does not fit.
type Verdict struct {
	Enter  *Step
	GoOn   string // name of the kind to go on as, after a rescue
	Need   *Need
	Block  *Block
	Ending bool // the step entered is the last one
}

// RescueStep is the name under which a rescue is recorded.
const RescueStep = "rescue"

// Next is the only place that decides. It learns from one look how long each
// statement has held, and says what the rollover may do now. It is a pure
// function: same roll, ledger, sighting and policy, same verdict.
func (k Kind) Next(r Roll, l Ledger, s Sighting, p Policy) (Roll, Verdict) {
	at, err := k.index(r.Step)
	if err != nil {
		return r, Verdict{Block: &Block{Code: BlockUnknownVersion, Reason: err.Error(), Remedy: "use the version of rollover that wrote this state"}}
	}
	r = k.look(r, s, p)
	if v, ok := k.rescue(r, at, s.believed(p)); ok {
		return r, v
	}
	if at+1 == len(k.Steps) {
		return r, Verdict{Ending: true}
	}
	step := k.Steps[at+1]
	need := k.unmet(&r, at, l, s, p)
	if need == nil {
		return r, Verdict{Enter: &step, Ending: at+2 == len(k.Steps)}
	}
	return r, Verdict{Need: need}
}

// look advances the hold times of every statement of the kind whose record was
// looked at.
func (k Kind) look(r Roll, s Sighting, p Policy) Roll {
	held := map[string]map[string]Holding{}
	maps.Copy(held, r.Held)
	for _, st := range k.statements() {
		if slices.Contains(s.Records, st.Record) {
			held[st.String()] = r.hold(st, s, p)
		}
	}
	r.Absence = r.Absence.after(r.LastLook, s.At, p)
	if !r.LastLook.IsZero() {
		r.LastGap = s.At.Since(r.LastLook)
	}
	r.Held, r.LastLook = held, s.At
	return r
}

// hold is the hold times of one statement after this look. Servers that are
// not in the sighting are forgotten: if they come back, they start anew.
func (r *Roll) hold(st Statement, s Sighting, p Policy) map[string]Holding {
	out := map[string]Holding{}
	for _, v := range r.counting(st.Record, s) {
		was := r.Held[st.String()][v.place()]
		if p.unwatched(was.shown(), s.At) {
			was = Holding{}
		}
		verdict, detail := r.judge(st, v, s, p)
		out[v.place()] = was.after(verdict, detail, s.At, p.counts(was.Last, s.At))
	}
	return r.without(st, out)
}

// after is a holding after one more look. A good look earns the gap to the
// look before if that was good too, at most maxGap. A bad look loses all. No
// answer earns nothing and loses nothing, and the gap round it is not counted.
func (h Holding) after(v shown, detail string, at Instant, maxGap time.Duration) Holding {
	switch v {
	case shownUnknown, shownUnproven:
		h.Last, h.Detail = Instant{}, detail
		h.Good, h.Bad, h.Unproven = false, false, v == shownUnproven
		return h
	case shownNot:
		return Holding{Detail: detail, Bad: true}
	}
	switch {
	case h.Since.IsZero():
		h.Since = at.Wall
	case !h.Last.IsZero():
		h.Earned += min(at.Since(h.Last), maxGap)
	}
	h.Good, h.Bad, h.Unproven, h.Last, h.Shown, h.Detail = true, false, false, at, at, ""
	return h
}

// shown is the last look at which the server showed the statement.
func (h Holding) shown() Instant {
	if h.Shown.IsZero() {
		return h.Last
	}
	return h.Shown
}

// rescue says whether the parent shows the DS of one side alone while only the
// other signs: a registrar that replaced instead of added, or an operator who took
// the wrong DS out. Then the zone is breaking, and letting both sign is valid under
// either DS. It only adds.
//
// Since it only adds, it is generous: any digest type that points to a side
// counts, and a mistyped DS does not point to its key. What must be proven
// and is not does not count: no validator believes it either.
func (k Kind) rescue(r Roll, at int, s Sighting) (Verdict, bool) {
	if k.Rescue.Kind == "" || !slices.Contains(s.Records, RecordDS) {
		return Verdict{}, false
	}
	for _, v := range s.relevant(RecordDS) {
		if v.DS == nil {
			continue
		}
		for _, side := range []Side{New, Old} {
			if !r.pointsTo(side, v.DS.Set) || r.pointsTo(side.other(), v.DS.Set) && !r.overshadowed(side.other(), side, v.DS.Set) {
				continue
			}
			if actions := k.lends(&r, at, side); len(actions) > 0 {
				return Verdict{Enter: &Step{Name: RescueStep, Actions: actions}, GoOn: k.Rescue.Kind}, true
			}
		}
	}
	return Verdict{}, false
}

// lends is what lets a side sign the DNSKEY set, published, that a DS may point to
// and that does not: sooner than planned, or again. Nothing while its keys
// are not there, or do so already. A side that was never published is not published
// for it: caches may not have what it has signed.
func (k Kind) lends(r *Roll, at int, side Side) []Action {
	for _, key := range r.Keys {
		ours := slices.ContainsFunc(r.side(side), func(o Key) bool { return o.Role.SignsKeys() && o.isThe(key) })
		switch {
		case !ours, key.Active && key.Published:
		case key.Published:
			return []Action{ActivateEntry(side)}
		case key.Active && k.unpublished(at, side):
			return []Action{Publish(side)}
		}
	}
	return nil
}

// unpublished says whether a step up to at has taken the side out of the DNSKEY set.
func (k Kind) unpublished(at int, side Side) bool {
	return slices.ContainsFunc(k.Steps[:at+1], func(s Step) bool {
		return slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb == unpublish && a.Sides[0] == side })
	})
}

// pointsTo says whether a DS set has a right DS of some key of a side.
func (r *Roll) pointsTo(side Side, set []DS) bool {
	return slices.ContainsFunc(r.side(side), func(k Key) bool { return k.Role.SignsKeys() && len(r.digests(k, set)) > 0 })
}

// unmet is why the step after at cannot be entered yet, nil if it can. What
// earlier steps relied on stays under watch as long as something is still to be
// taken away; what a DS rests on as long as the parent is told what to have.
func (k Kind) unmet(r *Roll, at int, l Ledger, s Sighting, p Policy) *Need {
	step := k.Steps[at+1]
	need := &Need{Next: step.Name}
	for _, w := range step.Waits {
		need.weigh(r, w, l, s, p)
	}
	takes := step.TakesAway() || k.asksFirst(at)
	for _, done := range k.Steps[:at+1] {
		for _, w := range done.Waits {
			if takes || r.Ask != nil && w.Record != RecordDS && !w.Courtesy {
				need.watch(r, w, l, s, p)
			}
		}
	}
	if len(need.Waits) == 0 {
		return nil
	}
	need.Actor = need.actor(s)
	return need
}

// asksFirst says whether a step up to at has asked for a first DS: until it is
// there, what it rests on stays under watch.
func (k Kind) asksFirst(at int) bool {
	return slices.ContainsFunc(k.Steps[:at+1], func(s Step) bool {
		return slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Adds })
	})
}

// weigh adds a wait to the need if it does not hold.
func (n *Need) weigh(r *Roll, w Wait, l Ledger, s Sighting, p Policy) (lags []Lag, left time.Duration) {
	lags = r.lagging(w.Statement, s)
	if w.Strength == StrengthSettled {
		left = r.left(w.Statement, l, s, p)
	}
	if len(lags) > 0 || left > 0 {
		n.add(w, lags)
		n.Remaining = max(n.Remaining, left)
	}
	return lags, left
}

// watch adds a wait that an earlier step relied on if it does not hold any
// more. It is gone if a server shows something else; no answer, or none that a
// validator confirms yet, holds the step up all the same and is no alarm. When
// it is back, caches may still hold what was served in between: what was
// settled is earned anew.
func (n *Need) watch(r *Roll, w Wait, l Ledger, s Sighting, p Policy) {
	if w.Courtesy {
		w.Strength = StrengthSeen
	}
	lags, left := n.weigh(r, w, l, s, p)
	n.Gone = n.Gone || slices.ContainsFunc(lags, func(l Lag) bool { return l.Bad })
	n.Anew = n.Anew || left > 0
	n.Hollow = n.Hollow || w.Record != RecordDS && !w.Courtesy && (left > 0 || slices.ContainsFunc(lags, func(l Lag) bool { return l.Bad }))
}

func (n *Need) add(w Wait, lags []Lag) {
	if !slices.Contains(n.Waits, w.String()) {
		n.Waits = append(n.Waits, w.String())
	}
	if !slices.Contains(n.Records, w.Record) {
		n.Records = append(n.Records, w.Record)
	}
	for _, lag := range lags {
		if !slices.Contains(n.Lagging, lag) {
			n.Lagging = append(n.Lagging, lag)
		}
	}
}

// lagging is the servers that do not show a statement in this very look.
func (r *Roll) lagging(st Statement, s Sighting) []Lag {
	if !slices.Contains(s.Records, st.Record) {
		return []Lag{{Detail: fmt.Sprintf("%s was not looked at", st.Record)}}
	}
	servers := r.counting(st.Record, s)
	if len(servers) == 0 {
		return []Lag{{Server: Server{Role: st.Record.on()}, Detail: "no server could be asked"}}
	}
	var out []Lag
	for _, v := range servers {
		if h := r.Held[st.String()][v.place()]; !h.Good {
			out = append(out, Lag{v.Server, h.Detail, h.Unproven, h.Bad})
		}
	}
	return out
}

// left is how much longer a statement must be held, on the server that needs
// longest: factor * q + margin less what was earned.
func (r *Roll) left(st Statement, l Ledger, s Sighting, p Policy) time.Duration {
	hold := p.hold(r.ttl(st, l, p))
	left := time.Duration(0)
	for _, v := range r.counting(st.Record, s) {
		left = max(left, hold-max(r.Held[st.String()][v.place()].Earned, 0))
	}
	return left
}

// ttl is q: the largest TTL with which a version without the statement may
// still be in some cache.
func (r *Roll) ttl(st Statement, l Ledger, p Policy) time.Duration {
	return l.largest(st.Record, func(e LedgerEntry) bool { return r.holdsIn(st, e, p) })
}

// actor says who must act: at the parent the operator, until one server shows
// it; then the servers; and when all show it, time. A validator that does not
// confirm yet what the parent shows has an older set in its cache.
func (n *Need) actor(s Sighting) Actor {
	behind := map[Server]bool{}
	unknown, unproven := map[Server]bool{}, true
	for _, lag := range n.Lagging {
		if lag.Role != RoleParent {
			return ActorServers
		}
		behind[lag.Server] = true
		unproven = unproven && lag.Unproven
		if s.unknownAt(lag.Server) {
			unknown[lag.Server] = true
		}
	}
	switch {
	case unproven:
		return ActorCaches
	case len(behind) == len(s.relevant(RecordDS)) && len(unknown) < len(behind):
		return ActorYou
	}
	return ActorParent
}

func (s Sighting) unknownAt(server Server) bool {
	return slices.ContainsFunc(s.Servers, func(v ServerSighting) bool { return v.Server == server && v.DS == nil })
}
