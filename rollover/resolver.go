package rollover

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The resolvers are what all zones share. What is wrong with them is one cause,
// whatever zone it was found by, and is told once.

// ErrResolver is wrapped by a look that failed because the resolvers did not give
// what finds the servers. It is a suspicion: the fault may be the zone's.
var ErrResolver = errors.New("the resolvers do not help")

// MachineZone stands in the place of a zone in what is told of this machine; no
// zone has that name, for it ends in no dot.
const MachineZone = "resolver"

// What can be wrong with resolvers.
const (
	ResolverSilent   = "silent"   // none gives an answer
	ResolverSlow     = "slow"     // an answer takes most of the time there is
	ResolverUnsigned = "unsigned" // it takes out the signatures
	ResolverBogus    = "bogus"    // what it says of the trust anchor's zone does not verify
)

// ResolverFault is what is wrong with the resolvers, whatever they are asked.
type ResolverFault struct {
	Code   string    `json:"code"`
	Text   string    `json:"text"`
	Since  time.Time `json:"since,omitzero"`
	ToldAt time.Time `json:"told_at,omitzero"`
	Zones  int       `json:"zones"` // that cannot be looked at, or proven, for want of them
	// Waiting is those zones, as far as rollovers of them wait for it.
	Waiting []string `json:"waiting,omitempty"`
}

// Sentence is the cause, what it keeps from what, and what to do.
func (f *ResolverFault) Sentence() string {
	zones := fmt.Sprintf("%d zones", f.Zones)
	if f.Zones == 1 {
		zones = "1 zone"
	}
	return fmt.Sprintf("%s; %s cannot be looked at or proven, and waits: %s", f.Text, zones, f.remedy())
}

func (f *ResolverFault) remedy() string {
	if f.Code == ResolverBogus {
		return otherResolver + "; or the trust anchors are old: see `trust_anchors`"
	}
	return otherResolver
}

// Finding is the fault as check tells it.
func (f *ResolverFault) Finding(s Severity) Finding {
	return Finding{Code: FindingResolver, Severity: s, Text: strings.TrimSuffix(f.Sentence(), ": "+f.remedy()), Remedy: f.remedy()}
}

// machineRepeat is how often an unchanged fault is told.
const machineRepeat = 24 * time.Hour

// Blame takes in what is wrong with the resolvers now, nil for nothing, and which
// of the zones that were looked at wait for it. It says whether that is to be told:
// what is new, and once a day.
func (o *Outbox) Blame(f *ResolverFault, looked []string, now time.Time) bool {
	was := o.Resolver
	if f == nil {
		o.Resolver = nil
		return false
	}
	next := *f
	if was != nil {
		next.Waiting = append(slices.Clone(f.Waiting), slices.DeleteFunc(slices.Clone(was.Waiting), func(zone string) bool { return slices.Contains(looked, zone) })...)
	}
	next.Waiting = unique(next.Waiting)
	next.Zones = len(next.Waiting)
	next.Since, next.ToldAt = now, now
	again := was != nil && was.Code == f.Code && !was.ToldAt.After(now) && now.Sub(was.ToldAt) < machineRepeat
	if was != nil && !was.Since.After(now) {
		next.Since = was.Since
	}
	if again {
		next.ToldAt = was.ToldAt
	}
	o.Resolver = &next
	return !again
}

// Notice is the fault as it is told outside.
func (f *ResolverFault) Notice() Notice {
	n := Notice{Event: NoticeCheckFailed, At: f.Since, Text: strings.TrimSuffix(f.Sentence(), ": "+f.remedy()), Command: f.remedy()}
	n.of(MachineZone, nil, f.Since)
	return n
}

// unproven begins what is said of a DS set whose proof was looked for and not found.
const unproven = "shows it, but cannot be believed ("

// unproven says whether something that a parent's server says was to be proven,
// and was not.
func (s Sighting) unproven() bool {
	return slices.ContainsFunc(s.Servers, func(v ServerSighting) bool {
		return v.DS != nil && v.DS.Standing != nil && v.DS.Standing.Security != Secure && v.DS.Standing.Security != Insecure
	})
}

// unfound is what is said of a host name whose address is not known.
var unfound = regexp.MustCompile(`^no (address|A|AAAA) found for `)

// suspects says whether a finding may come of what resolvers do not give.
func (f Finding) suspects() bool {
	switch f.Code {
	case FindingUnproven:
		return strings.HasPrefix(f.Text, unproven)
	case FindingSilent:
		return f.Remedy == otherResolver || unfound.MatchString(f.Text)
	}
	return false
}

// Suspects says whether a zone has findings that may come of what resolvers do
// not give.
func (c Checkup) Suspects() bool { return slices.ContainsFunc(c.Findings, Finding.suspects) }

// Gather takes the findings that come of a fault of the resolvers out of each
// zone, puts one in their place that says so, and counts those zones.
func (f *ResolverFault) Gather(checkups []Checkup) Severity {
	f.Zones = 0
	worst := SeverityOK
	for i := range checkups {
		if checkups[i].Suspects() {
			f.Zones++
			worst = Worst([]Finding{{Severity: worst}, {Severity: f.gather(&checkups[i])}})
		}
	}
	return worst
}

func (f *ResolverFault) gather(c *Checkup) Severity {
	var theirs, own []Finding
	for _, found := range c.Findings {
		if found.suspects() {
			theirs = append(theirs, found)
		} else {
			own = append(own, found)
		}
	}
	s := Worst(theirs)
	c.Findings = worstFirst(append(own, Finding{Code: FindingUnjudged, Severity: s, Text: "cannot be judged: " + f.Text, Remedy: f.remedy()}))
	return s
}

// Unjudged says whether a finding only counts a zone that a fault of the
// resolvers keeps from being judged.
func (f Finding) Unjudged() bool { return f.Code == FindingUnjudged }

// unjudged says whether something of a zone is not known for want of resolvers.
func (c Checkup) unjudged() bool {
	return c.Severity == SeverityUnknown || slices.ContainsFunc(c.Findings, Finding.Unjudged)
}

// MachineCheckup is what check found of the resolvers, in the form of a zone.
func MachineCheckup(findings ...Finding) Checkup {
	return Checkup{Zone: MachineZone, Severity: Worst(findings), Security: Indeterminate, Findings: list(findings), Parent: []ParentDSMatch{}}
}
