package rollover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What a notice rests on. What one of them found the other does not call over.
const (
	SourceRollover = "rollover" // a rollover: the runs of advance, and orders
	SourceCheck    = "check"    // check --notify, which looks at zones with and without one
)

// checkNotices is how many notices one run of check queues at most; the next one
// queues more. If the network of this machine is gone, all zones are ill at once.
const checkNotices = 100

// SettleCheckups compares what check found with what was told of it. Findings
// that are new or other ones than before are to be told, the same ones again
// after repeat, and once that all is well. A zone that could not be looked at
// leaves open what is open: nobody knows better. Looked is when check began to
// look; what was told after that rests on a newer look.
func (o *Outbox) SettleCheckups(checkups []Checkup, looked time.Time, repeat time.Duration) []Notice {
	found := map[string]Checkup{}
	for _, c := range checkups {
		found[c.Zone] = c
	}
	s := settling{looked: looked, repeat: repeat, room: min(checkNotices, deliveries/2-len(o.Pending))}
	for _, t := range o.Open {
		c, seen := found[t.Notice.Zone]
		switch {
		case !t.Notice.fromCheck():
			s.open = append(s.open, t)
		case seen:
			delete(found, t.Notice.Zone)
			s.again(t, c)
		case looked.Sub(t.Next) < deliveryTime:
			s.open = append(s.open, t)
		default: // it has not been checked for long: nothing is known of it
		}
	}
	for _, c := range slices.SortedStableFunc(slices.Values(checkups), worseFirst) {
		if _, left := found[c.Zone]; left && c.worthTelling() {
			s.begin(c)
		}
	}
	o.Open = s.open
	return s.told
}

func worseFirst(a, b Checkup) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) }

// settling is the work of SettleCheckups.
type settling struct {
	looked time.Time
	repeat time.Duration
	room   int // how many notices may be told yet
	open   []Told
	told   []Notice
}

// again compares what was told of a zone with what was found now.
func (s *settling) again(t Told, c Checkup) {
	same := c.unjudged() || slices.Equal(marks(t.Notice.Findings), marks(c.tellable()))
	switch {
	case t.Notice.At.After(s.looked), s.room <= 0, same && s.looked.Before(t.Next):
		s.open = append(s.open, t)
	case same:
		n := t.Notice
		if !c.unjudged() {
			n = c.notice(s.looked)
			n.ID, n.At = t.Notice.ID, t.Notice.At
		}
		n.Repeat = t.Notice.Repeat + 1
		s.tell(n)
	case c.worthTelling():
		s.begin(c)
	default:
		s.room--
		s.told = append(s.told, t.Notice.over(s.looked))
	}
}

// begin tells of a zone for the first time.
func (s *settling) begin(c Checkup) {
	if s.room > 0 {
		s.tell(c.notice(s.looked))
	}
}

func (s *settling) tell(n Notice) {
	s.room--
	s.told = append(s.told, n)
	s.open = append(s.open, Told{n, s.looked.Add(s.repeat)})
}

func (n Notice) fromCheck() bool { return n.Source == SourceCheck }

// worthTelling says whether check has something to tell of a zone.
func (c Checkup) worthTelling() bool { return len(c.tellable()) > 0 }

// tellable is the findings that are told, the worst first: not what is well, not
// what is told of this machine, and not what advance tells of a rollover and repeats.
func (c Checkup) tellable() []Finding {
	return slices.DeleteFunc(slices.Clone(c.Findings), func(f Finding) bool {
		return f.Severity == SeverityOK || slices.Contains([]string{FindingBlocked, FindingPending, FindingTrouble, FindingUnjudged}, f.Code)
	})
}

// marks is what makes findings the same ones; their words, with times and
// serials in them, change from look to look.
func marks(findings []Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, f.Code+" "+string(f.Severity)+" "+f.Server)
	}
	return unique(out)
}

// notice is what is told of a zone.
func (c Checkup) notice(at time.Time) Notice {
	findings := c.tellable()
	n := Notice{Event: NoticeCheckFailed, Source: SourceCheck, At: at, Severity: Worst(findings), Findings: findings, Text: sentences(findings), Command: findings[0].Remedy}
	n.of(c.Zone, nil, at)
	return n
}

// sentences is findings in one line, the first ones if there are many.
func sentences(findings []Finding) string {
	const most = 5
	var parts []string
	for _, f := range findings[:min(most, len(findings))] {
		f.Remedy = ""
		parts = append(parts, strings.ToUpper(string(f.Severity))+": "+f.String())
	}
	if more := len(findings) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}
