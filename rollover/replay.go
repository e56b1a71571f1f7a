package rollover

import (
	"fmt"
	"slices"
	"time"
)

// A genuine answer of yesterday can be replayed as long as its signature is
// valid, and a server that lags gives answers of yesterday too. Both show in
// the inception: it is older than one that the same server has shown before. So
// does a parent that has changed to a signer with older inceptions, for as long
// as those are behind; then all its servers say the same, look after look, from
// a zone that has moved forward.

// Proven is the newest proven answer of one server of the parent.
type Proven struct {
	Signed  time.Time `json:"signed"`
	Expires time.Time `json:"expires,omitzero"`
	Serial  uint32    `json:"serial,omitempty"` // of the parent zone then; 0 if it was not told
	Set     []DS      `json:"set"`
}

// Doubt is a DS set with an older signature that all servers of the parent show.
type Doubt struct {
	Set    []DS          `json:"set"`
	Since  time.Time     `json:"since"`
	Last   Instant       `json:"last"`
	Earned time.Duration `json:"earned"`
}

const (
	// doubtTime is how long all servers of the parent must show a DS set with older
	// signatures, in successive looks, before it is taken for that of a new signer.
	doubtTime = time.Hour
	// doubtGap is the most that the time between two of these looks counts, so
	// that there are several.
	doubtGap = 20 * time.Minute
)

// unmask marks answers of the parent that are older than one that the same
// server has given before, and may be replayed. It returns a sighting of its own.
func (l *Ledger) unmask(s Sighting) Sighting {
	s.Servers = slices.Clone(s.Servers)
	var older []int
	for i, v := range s.Servers {
		switch {
		case !v.signed():
		case !v.DS.Standing.Signed.Before(l.Signed[v.Address]):
			l.note(v)
		default:
			older = append(older, i)
		}
	}
	if len(older) > 0 && l.newSigner(s) {
		for _, i := range older {
			l.note(s.Servers[i])
		}
		return s
	}
	if len(older) == 0 && slices.ContainsFunc(s.Servers, ServerSighting.signed) {
		l.Doubt = nil
	}
	for _, i := range older {
		s.Servers[i].DS = l.replay(s.Servers[i])
	}
	return s
}

// signed says whether a server's DS set is proven by a signature of known age.
func (v ServerSighting) signed() bool {
	return v.DS != nil && v.DS.Standing != nil && v.DS.Standing.Security == Secure && !v.DS.Standing.Signed.IsZero()
}

// repeats says whether an answer says the same as the newest one, which is valid
// still: whoever could replay the older one could replay that as well.
func (l *Ledger) repeats(v ServerSighting, now time.Time) bool {
	newest := l.Proven[v.Address]
	return newest.Signed.Equal(l.Signed[v.Address]) && now.Before(newest.Expires) && sameSet(newest.Set, v.DS.Set)
}

// newSigner says whether the parent has changed to a signer with older
// inceptions: all its servers answer, show the same set, the one that
// was seen with the newer signature or one that was never seen, and are further in
// the parent zone than then; and that for doubtTime. Any other set that was seen
// before is never taken for news: it is what could be replayed.
func (l *Ledger) newSigner(s Sighting) bool {
	var set []DS
	for i, v := range s.relevant(RecordDS) {
		if !v.signed() || i > 0 && !sameSet(v.DS.Set, set) || !l.movedOn(v) || l.seen(v) && !l.repeats(v, s.At.Wall) {
			l.Doubt = nil
			return false
		}
		set = v.DS.Set
	}
	d := l.Doubt
	if d == nil || !sameSet(d.Set, set) {
		l.Doubt = &Doubt{Set: slices.Clone(set), Since: s.At.Wall, Last: s.At}
		return false
	}
	d.Earned, d.Last = d.Earned+min(s.At.Since(d.Last), doubtGap), s.At
	if d.Earned < doubtTime {
		return false
	}
	l.Doubt = nil
	return true
}

// seen says whether a server has given an answer with this set that was proven
// and not replayed.
func (l *Ledger) seen(v ServerSighting) bool {
	return slices.ContainsFunc(l.Entries, func(e LedgerEntry) bool {
		return e.DS != nil && e.Server == v.Address && e.DS.Standing != nil && e.DS.Standing.Security == Secure && sameSet(e.DS.Set, v.DS.Set)
	})
}

// movedOn says whether a server is further in the parent zone than when it gave
// the newest answer (RFC 1982), or gives a newer one now.
func (l *Ledger) movedOn(v ServerSighting) bool {
	then := l.Proven[v.Address].Serial
	return !v.DS.Standing.Signed.Before(l.Signed[v.Address]) || v.Serial != 0 && then != 0 && int32(v.Serial-then) > 0
}

// note keeps the newest proven answer of a server.
func (l *Ledger) note(v ServerSighting) {
	if l.Signed == nil {
		l.Signed = map[string]time.Time{}
	}
	if l.Proven == nil {
		l.Proven = map[string]Proven{}
	}
	signed := v.DS.Standing.Signed
	l.Signed[v.Address] = signed
	l.Proven[v.Address] = Proven{Signed: signed, Expires: v.DS.Standing.Expires, Serial: v.Serial, Set: v.DS.Set}
}

// replay is a DS set marked as one that may be replayed.
func (l *Ledger) replay(v ServerSighting) *DSVersion {
	version, standing := *v.DS, *v.DS.Standing
	standing.Security, standing.Replayed = Bogus, true
	standing.Why = fmt.Sprintf("replays an older DS set: it was signed at %s, and one signed at %s was seen there before%s",
		standing.Signed.UTC().Format(time.RFC3339), l.Signed[v.Address].UTC().Format(time.RFC3339), l.suspicion(v))
	version.Standing = &standing
	return &version
}

// suspicion is what an older answer may come from, by the serial of the parent zone.
func (l *Ledger) suspicion(v ServerSighting) string {
	then := l.Proven[v.Address].Serial
	switch d := l.Doubt; {
	case d != nil:
		return fmt.Sprintf("; all servers of the parent show it since %s, and its zone has moved on (serial %d, then %d): perhaps its signer has changed; it is believed when they have shown it for %s more",
			d.Since.UTC().Format(time.RFC3339), v.Serial, then, (doubtTime - d.Earned).Round(time.Second))
	case v.Serial == 0 || then == 0:
		return ""
	case int32(v.Serial-then) < 0:
		return fmt.Sprintf("; this server of the parent is behind: it has serial %d, and had %d", v.Serial, then)
	case v.Serial == then:
		return fmt.Sprintf("; the parent zone has not changed since (serial %d)", v.Serial)
	}
	return fmt.Sprintf("; the parent zone has moved on (serial %d, then %d), so perhaps its signer has changed; but this set was seen there before, or not all of its servers show it: it is believed when it is signed later than that",
		v.Serial, then)
}
