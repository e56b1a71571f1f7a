package rollover

import "time"

// A clock that was ahead once leaves times behind that are still to come. What is
// counted from them would not begin until then: a failure that is told once a day
// would be told in two years. Such a time is taken for now, which at worst makes
// something be waited for, or told, once more.

// rewind takes a time that is still to come for now.
func rewind(now time.Time, times ...*time.Time) {
	for _, t := range times {
		if t.After(now) {
			*t = now
		}
	}
}

// rewind takes what a rollover has of a clock that was ahead for now. What it has
// earned was counted by the boot clock, and stays.
func (r *Roll) rewind(now time.Time) {
	if r == nil {
		return
	}
	rewind(now, &r.StartedAt, &r.StepEnteredAt, &r.Creating)
	if r.Ask != nil {
		rewind(now, &r.Ask.Since)
	}
	if r.Trouble != nil {
		rewind(now, &r.Trouble.Since)
		if r.Trouble.ToldAt.After(now) {
			r.Trouble.ToldAt = time.Time{} // it is told again
		}
	}
	if s := r.Submission; s != nil {
		if s.Last.After(now) {
			s.Next, s.ToldAt = now, time.Time{} // when it was handed over is not known
		}
		rewind(now, &s.First, &s.Last)
	}
}

// soonest is what time it is at the earliest: within one boot no more has passed
// since the last look than the boot clock says. A clock that is ahead now must not
// have forgotten what caches hold.
func (v *visit) soonest() time.Time {
	now, was := v.engine.Now(), v.dossier.Clock
	if was.IsZero() || was.BootID == "" || was.BootID != now.BootID {
		return now.Wall
	}
	if known := was.Wall.Add(now.Since(was)); known.Before(now.Wall) {
		return known
	}
	return now.Wall
}

// rewind takes for now what a clock that was ahead, before the machine started
// anew, has left in the ledger: versions that came to an end then would be taken
// for cached until then.
func (l *Ledger) rewind(now Instant) {
	for i := range l.Entries {
		for _, at := range []*Instant{&l.Entries[i].Seen, &l.Entries[i].Until} {
			if !at.IsZero() && at.BootID != now.BootID && at.Wall.After(now.Wall) {
				*at = now
			}
		}
	}
}

// Rewind takes for now what runs with a clock that was ahead have left in the
// notifications; repeat is after how long a condition is told again.
func (o *Outbox) Rewind(now time.Time, repeat time.Duration) {
	for i := range o.Open {
		t := &o.Open[i]
		rewind(now, &t.Notice.At)
		rewind(now.Add(repeat), &t.Next)
	}
	for i := range o.Pending {
		rewind(now, &o.Pending[i].Queued)
		rewind(now.Add(takenTime), &o.Pending[i].Taken)
	}
	for name, c := range o.Channels {
		rewind(now.Add(channelLongest), &c.Next)
		rewind(now, &c.Since)
		if c.ToldAt.After(now) {
			c.ToldAt = time.Time{}
		}
		o.Channels[name] = c
	}
}
