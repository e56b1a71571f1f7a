package rollover

import "time"

// A server that is not looked at any more, because somebody has excluded it, has
// served what it served until then. Caches hold that for a TTL from the
// exclusion on, whatever the others have shown all the while.

// without is hold times of a statement after some servers are not looked at any
// more: of the others no more counts than what those had earned themselves, which
// is nothing if they did not show the statement last.
func (r *Roll) without(st Statement, held map[string]Holding) map[string]Holding {
	for place, was := range r.Held[st.String()] {
		if _, looked := held[place]; looked {
			continue
		}
		most := time.Duration(0)
		if was.Good {
			most = max(was.Earned, 0)
		}
		for other, h := range held {
			h.Earned = min(h.Earned, most)
			held[other] = h
		}
	}
	return held
}

// leave notes from when on servers are not looked at any more.
func (l *Ledger) leave(s Sighting) {
	for i := range l.Entries {
		e := &l.Entries[i]
		looked, asked := false, false
		for _, v := range s.Servers {
			looked = looked || v.Address == e.Server
			asked = asked || v.Role == e.Record.on()
		}
		switch {
		case looked:
			e.Left = Instant{}
		case asked && e.Left.IsZero():
			e.Left = s.At
		}
	}
}
