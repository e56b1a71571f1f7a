package rollover

import "time"

// Due says whether a zone is to be looked at now. Next is what its last tick set,
// furthest the furthest that the wall clock of any tick has ever been. A tick
// sets no look further away than the check interval: what is further away was set
// by a clock that was ahead, and means nothing.
func (p Policy) Due(next, furthest, now time.Time) bool {
	away := next.Sub(now)
	switch {
	case away <= 0:
		return true
	case furthest.After(now):
		return away > p.CheckInterval
	}
	return away > p.CheckInterval+doubtful
}

// doubtful is how far beyond the check interval a next look must be for it to be
// meaningless although no clock that was ahead is on record: the interval may
// have been longer when it was set, and older states kept no such record.
const doubtful = 2 * 24 * time.Hour
