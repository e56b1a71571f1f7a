package rollover

import (
	"math"
	"time"
)

// Evidence is how an answer of the parent must be proven.
type Evidence string

// The levels of evidence.
const (
	EvidenceValidated Evidence = "validated" // signed, and verified by rollover itself up to a trust anchor; absence too
	EvidenceResolver  Evidence = "resolver"  // what the parent's servers say, and a trusted validating resolver says the same, with AD
	EvidencePlain     Evidence = "plain"     // what the parent's servers say, unproven
)

// Policy is how careful a rollover is. The zero value is not valid: take
// DefaultPolicy and change it.
type Policy struct {
	Name          string
	Factor        float64       // times the TTL; never below 1
	Margin        time.Duration // on top of it
	MaxGap        time.Duration // the most that the time between two looks can earn
	CheckInterval time.Duration // how often an unmet condition is looked at again
	Evidence      Evidence
	KSKMethod     string  // method of ksk and csk rollovers unless --method says otherwise
	DSDigests     []uint8 // digest types of the DS records asked for
	CDS           bool    // the parent is driven by CDS records (RFC 7344)
}

// DefaultPolicy is the policy of a zone for which nothing is configured.
func DefaultPolicy() Policy {
	return Policy{
		Name: "default", Factor: 2, Margin: time.Hour, MaxGap: time.Hour, CheckInterval: 5 * time.Minute,
		Evidence: EvidenceValidated, KSKMethod: "double-ds", DSDigests: []uint8{2},
	}
}

// counts is the most that the time from one look to the next counts. Across boots
// only the wall clock tells, and that may have been set in between: it earns no
// more than the margin makes up for.
func (p Policy) counts(last, at Instant) time.Duration {
	if at.BootID != last.BootID || at.BootID == "" {
		return min(p.MaxGap, p.Margin)
	}
	return p.MaxGap
}

// unwatched says whether so much time has passed since a look that what it showed
// earns nothing any more: nobody looked, and anything may have come and gone. That
// is more than twice max_gap; and a wall clock that went back over a reboot, for then
// nobody knows how long it was.
func (p Policy) unwatched(last, at Instant) bool {
	if last.IsZero() {
		return true
	}
	back := at.BootID != last.BootID && at.Wall.Round(0).Before(last.Wall.Round(0))
	return back || at.Since(last)/2 > p.MaxGap
}

// forever is a wait that nobody lives to see the end of.
const forever time.Duration = math.MaxInt64

// hold is how long a statement must be held when the largest TTL of a version
// without it was ttl: factor * TTL + margin. What is no length of time, or more
// than a century, is for ever: numbers that overflow must never make it short.
func (p Policy) hold(ttl time.Duration) time.Duration {
	if wait := p.Factor*float64(ttl) + float64(p.Margin); !(wait < 1<<62) {
		return forever
	}
	return max(time.Duration(p.Factor*float64(ttl)), ttl) + p.Margin
}
