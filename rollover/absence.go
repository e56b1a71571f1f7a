package rollover

import (
	"fmt"
	"time"
)

// Absence is when nobody looked for longer than counts, so that every wait had
// to start anew, and how often that has happened without a time of regular looks
// in between.
type Absence struct {
	Times int           `json:"times"`
	Gap   time.Duration `json:"gap"`   // the last of them
	Until Instant       `json:"until"` // the look that ended it
}

// IsZero says that there was none.
func (a Absence) IsZero() bool { return a.Times == 0 }

// after is the absences after one more look. They are forgotten when advance has
// run often enough for longer than twice max_gap.
func (a Absence) after(last, at Instant, p Policy) Absence {
	switch {
	case last.IsZero():
		return a
	case p.unwatched(last, at):
		return Absence{a.Times + 1, at.Since(last), at}
	case a.Times > 0 && at.Since(a.Until)/2 > p.MaxGap:
		return Absence{}
	}
	return a
}

// sentence says that a wait started anew, or that none can ever end; empty if
// neither is so.
func (a Absence) sentence(p Policy) string {
	gap := a.Gap.Round(time.Second)
	switch {
	case a.Times > 1:
		return fmt.Sprintf("advance runs every %s, max_gap is %s: no wait can ever end; run it more often, or raise max_gap", gap, p.MaxGap)
	case a.Times == 1:
		return fmt.Sprintf("nobody looked for %s, which is more than twice max_gap (%s): anything may have come and gone, so every wait began anew at %s",
			gap, p.MaxGap, a.Until.Wall.UTC().Format(time.RFC3339))
	}
	return ""
}
