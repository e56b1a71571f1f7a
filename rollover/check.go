package rollover

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Checkup is the state of one zone as check tells it.
type Checkup struct {
	Zone     string    `json:"zone"`
	Severity Severity  `json:"severity"`
	Security Security  `json:"security"`
	Findings []Finding `json:"findings"`
	Servers  int       `json:"servers"` // name servers of the zone and its parent that answered
	// Expires is when the first signature seen expires; nil when none was seen.
	Expires *time.Time      `json:"expires_at"`
	Parent  []ParentDSMatch `json:"parent"`
	// Rollover is the rollover that runs, if one does; what its plan expects is
	// no finding.
	Rollover *RunningRollover `json:"rollover"`
}

// RunningRollover is what check tells of a rollover.
type RunningRollover struct {
	Type          string    `json:"type"`
	State         State     `json:"state"`
	Step          string    `json:"step"`
	StepEnteredAt time.Time `json:"step_entered_at"`
	NextCheckAt   time.Time `json:"next_check_at"`
	NeedsOperator bool      `json:"needs_operator"`
	WaitingFor    string    `json:"waiting_for"`
}

// ParentDSMatch is how the DS set at one server of the parent fits the zone.
type ParentDSMatch struct {
	Server string `json:"server"`
	Match  string `json:"match"` // ok, missing, stale or unreachable
	// NoDS says what the server has in the place of a DS set that is missing;
	// empty where that is not known.
	NoDS NoDS `json:"no_ds,omitempty"`
}

// Check examines a zone by one complete look at it. What the plan of a running
// rollover expects is no finding, and what is wrong with the rollover is one.
func Check(d Dossier, s Sighting, p Policy, l Limits, now time.Time) Checkup {
	findings := slices.Concat(Health(s, p, l), s.opinions(p), strangeDS(s, d.keys()))
	c := Checkup{Zone: s.Zone, Security: s.security(p), Expires: s.expires(), Parent: s.parentMatch(), Servers: s.answering()}
	if r := d.Roll; r != nil && !r.State.Ended() {
		findings = append(slices.DeleteFunc(findings, func(f Finding) bool { return r.expects(f, l, now) }), r.ailments(d.Ledger, p.of(r), l, now)...)
		for _, m := range d.unfitness() {
			findings = append(findings, m.Finding)
		}
		c.Rollover = &RunningRollover{
			Type: r.Type, State: r.State, Step: r.Step, StepEnteredAt: r.StepEnteredAt, NextCheckAt: r.NextCheck,
			NeedsOperator: r.State != StateActive || r.Need != nil && r.Need.Actor == ActorYou,
		}
		if r.Need != nil {
			c.Rollover.WaitingFor = r.Need.sentence()
		}
	}
	c.Findings = list(worstFirst(findings))
	c.Severity = Worst(c.Findings)
	return c
}

// Unseen is the state of a zone that could not be looked at.
func Unseen(zone string, err error) Checkup {
	f := Finding{Code: FindingSilent, Severity: SeverityUnknown, Text: err.Error()}
	if errors.Is(err, ErrResolver) {
		f.Remedy = otherResolver
	}
	return Checkup{Zone: zone, Severity: SeverityUnknown, Security: Indeterminate, Findings: []Finding{f}, Parent: []ParentDSMatch{}}
}

// opinions examines what validating resolvers say of the zone.
func (s Sighting) opinions(p Policy) []Finding {
	var out []Finding
	add := func(code string, severity Severity, v ValidatorSighting, text string) {
		out = append(out, Finding{Code: code, Severity: severity, Server: "validator " + v.Address, Text: text})
	}
	for _, v := range s.Validators {
		switch {
		case v.Bogus:
			add(FindingBogus, SeverityCritical, v, strings.TrimSpace("answers SERVFAIL, and has an answer when it does not check: it takes the zone for bogus "+v.Text))
			out[len(out)-1].Remedy = "rollover trace " + s.Zone
		case v.Unknown != "":
			add(FindingValidator, SeverityWarning, v, v.Unknown)
		case v.Authoritative:
			add(FindingValidator, SeverityWarning, v, "is authoritative for the zone, so it validates nothing: name another resolver in `validators`")
		case !v.AD && v.Blind:
			add(FindingValidator, SeverityWarning, v, "never sets AD, not even for the zone of the trust anchor: it does not validate: name another resolver in `validators`")
		case !v.AD && s.security(p) == Secure:
			add(FindingNoAD, SeverityWarning, v, "answers without AD, while the chain verifies here: it may hold an older DS set")
		}
	}
	return out
}

// security is the state of the zone over all servers: as good as the worst of them.
func (s Sighting) security(p Policy) Security {
	out := Secure
	worse := func(to Security) {
		order := []Security{Bogus, Indeterminate, Insecure, Secure}
		if slices.Index(order, to) < slices.Index(order, out) {
			out = to
		}
	}
	seen := false
	if len(s.Anchor) > 0 {
		return s.anchorSecurity()
	}
	for _, v := range s.relevant(RecordDS) {
		switch {
		case v.DS == nil:
			continue
		case p.Evidence == EvidenceValidated && v.DS.insecure():
			worse(Insecure)
			seen = true
			continue
		case p.Evidence == EvidenceValidated && v.DS.Standing != nil && v.DS.Standing.Security != Secure:
			worse(v.DS.Standing.Security)
		case len(v.DS.Set) == 0 || NobodyKnows(v.DS.Set) != "":
			worse(Insecure)
			seen = true
			continue
		}
		seen = true
		for _, o := range s.relevant(RecordDNSKEY) {
			if o.DNSKEY != nil && len(v.DS.Set) > 0 && (!Chained(s.Zone, v.DS.Set, *o.DNSKEY) || o.Data != nil && !Covered(*o.DNSKEY, *o.Data) || len(o.Denials) > 0) {
				worse(Bogus)
			}
		}
	}
	if !seen {
		return Indeterminate
	}
	return out
}

func (s Sighting) expires() *time.Time {
	var out time.Time
	for _, v := range s.relevant(RecordDNSKEY) {
		if v.DNSKEY == nil {
			continue
		}
		for _, t := range []time.Time{v.DNSKEY.Expires, v.Data.expires()} {
			if !t.IsZero() && (out.IsZero() || t.Before(out)) {
				out = t
			}
		}
	}
	return date(out)
}

func (s Sighting) answering() int {
	n := 0
	for _, v := range s.Servers {
		if v.Unknown == "" && v.Unchecked == "" {
			n++
		}
	}
	return n
}

// parentMatch says for each server of the parent how its DS set fits the zone.
func (s Sighting) parentMatch() []ParentDSMatch {
	out := []ParentDSMatch{}
	for _, v := range s.relevant(RecordDS) {
		m := ParentDSMatch{Server: v.Server.String(), Match: "ok"}
		switch {
		case v.DS == nil:
			m.Match = "unreachable"
		case len(v.DS.Set) == 0:
			m.Match, m.NoDS = "missing", v.DS.NoDS
		case slices.ContainsFunc(s.relevant(RecordDNSKEY), func(o ServerSighting) bool { return o.DNSKEY != nil && !Chained(s.Zone, v.DS.Set, *o.DNSKEY) }):
			m.Match = "stale"
		}
		out = append(out, m)
	}
	return out
}

// expects says whether a finding is what the plan of a rollover makes happen:
// while a change spreads, servers differ; while the parent is asked, its do.
func (r *Roll) expects(f Finding, l Limits, now time.Time) bool {
	fresh := now.Sub(r.StepEnteredAt) < l.Stuck
	switch f.Code {
	case FindingSerial, FindingKeysDiffer:
		return fresh
	case FindingDSDiffers:
		return r.Ask != nil
	case FindingAlgorithm:
		return len(algorithmsOfKeys(r.Old, r.New, r.SpecNew)) > 1
	case FindingNoDS, FindingUnsigned, FindingNoAD:
		return r.Type == "sign" || r.Type == "unsign"
	}
	return false
}

func algorithmsOfKeys(lists ...[]Key) []uint8 {
	var out []uint8
	for _, k := range slices.Concat(lists...) {
		if !slices.Contains(out, k.Algorithm) {
			out = append(out, k.Algorithm)
		}
	}
	return out
}

// ailments is what is wrong with a rollover itself.
func (r *Roll) ailments(led Ledger, p Policy, l Limits, now time.Time) []Finding {
	var out []Finding
	status := "rollover status " + r.Zone
	add := func(code string, severity Severity, text, remedy string) {
		out = append(out, Finding{Code: code, Severity: severity, Text: text, Remedy: remedy})
	}
	if r.State == StateBlocked {
		add(FindingBlocked, SeverityCritical, "the "+r.Type+" rollover is blocked: "+r.Block.Reason, r.Block.Remedy)
	}
	if r.State == StatePaused && now.Sub(r.LastLook.Wall) > l.Pending {
		add(FindingPending, SeverityWarning, "the "+r.Type+" rollover has been paused since "+r.LastLook.Wall.UTC().Format(time.DateOnly), "rollover resume --zone "+r.Zone)
	}
	if a := r.operatorAction(p); a != nil && now.Sub(a.Since) > l.Pending {
		add(FindingPending, SeverityWarning, fmt.Sprintf("waits for you since %s: %s", a.Since.UTC().Format(time.DateOnly), a.sentence()), "rollover ds --zone "+r.Zone)
	}
	if r.Need != nil && r.Need.Gone {
		add(FindingStuck, SeverityCritical, "the zone may be breaking: waiting for "+r.Need.sentence(), status)
	} else if text := r.stuck(led, p, l, now); text != "" {
		add(FindingStuck, SeverityWarning, text, status)
	}
	if r.Trouble != nil {
		add(FindingTrouble, SeverityWarning, "the last tick failed: "+r.Trouble.Text, status)
	}
	for _, text := range r.unattended(p, now) {
		add(FindingUnattended, SeverityWarning, text, "put `rollover advance` into cron")
	}
	if r.State == StateActive && r.Absence.Times > 1 {
		add(FindingUnattended, SeverityWarning, r.Absence.sentence(p), "run `rollover advance` at least once in max_gap")
	}
	return out
}

// stuck says that a step takes longer than its plan, while it is not the
// operator who is waited for: a quarter more than the longest of its holds,
// and the limit on top.
func (r *Roll) stuck(led Ledger, p Policy, l Limits, now time.Time) string {
	if r.State != StateActive || r.Need == nil || r.Need.Actor == ActorYou && len(r.Need.Findings) == 0 {
		return ""
	}
	kind, err := r.kind()
	if err != nil {
		return ""
	}
	at, err := kind.index(r.Step)
	if err != nil || at+1 >= len(kind.Steps) {
		return ""
	}
	planned := r.longest(kind.Steps[at+1], led, p, func(Wait) bool { return true })
	since := r.StepEnteredAt
	if r.Ask != nil && r.Ask.Since.After(since) {
		since = r.Ask.Since
	}
	if now.Sub(since) <= planned+planned/4+l.Stuck {
		return ""
	}
	return fmt.Sprintf("step %q was entered at %s, and the next was to come within %s: waiting for %s", r.Step, since.UTC().Format(time.RFC3339), planned.Round(time.Second), r.Need.sentence())
}
