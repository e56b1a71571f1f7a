package rollover

import (
	"fmt"
	"slices"
	"time"
)

// Failing is a zone that fails for validating resolvers, as looks have shown it. It
// is remembered until no cache can hold what was served then.
type Failing struct {
	Since time.Time `json:"since"`          // the first look that showed it
	Text  string    `json:"text"`           // what was seen
	Over  time.Time `json:"over,omitzero"`  // the look that showed it no more
	Until time.Time `json:"until,omitzero"` // until when resolvers may fail at least
	Code  string    `json:"code"`           // of the finding
}

// fails notes after a look whether the zone fails: a DS set and a DNSKEY set, or a
// DNSKEY set and data, that do not validate together on servers that were seen. What
// was served stays in caches for its TTL.
func (v *visit) fails(s Sighting) {
	r, now := v.roll, s.At.Wall
	longest := time.Duration(0)
	for _, record := range []Record{RecordDS, RecordDNSKEY, RecordData} {
		longest = max(longest, v.dossier.Ledger.largest(record, func(LedgerEntry) bool { return false }))
	}
	findings := slices.DeleteFunc(Health(s.believed(v.setting.Policy), v.setting.Policy, DefaultLimits()), func(f Finding) bool {
		return f.Code != FindingChain && f.Code != FindingKeys && f.Code != FindingData
	})
	if len(r.DSSeen) == 0 {
		findings = nil // nobody validates a zone without a DS
	}
	was := r.Failing
	switch {
	case len(findings) > 0:
		f := findings[0]
		f.Remedy = ""
		r.Failing = &Failing{Since: now, Text: f.String(), Code: f.Code, Until: now.Add(longest)}
		if was != nil && was.Over.IsZero() {
			r.Failing.Since = was.Since
			return
		}
		v.gone = true
		v.event(EventFails, r.Step, "the zone fails for validating resolvers: "+r.Failing.Text)
	case was == nil:
	case was.Over.IsZero() && was.Code == FindingData && !slices.Contains(s.Records, RecordData),
		was.Over.IsZero() && was.Code != FindingData && !slices.Contains(s.Records, RecordDS):
		// this look cannot tell
	case was.Over.IsZero():
		over := *was
		over.Over, over.Until = now, now.Add(longest)
		r.Failing = &over
	case !now.Before(was.Until):
		r.Failing = nil
	}
}

// StatusFailing is what status says first of a zone that fails, or may still do so
// for some resolvers.
type StatusFailing struct {
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"` // resolvers may fail until then; if it is not over, at least
	Over    bool      `json:"over"`  // the servers are well again
	Text    string    `json:"text"`
	Command string    `json:"command"`
}

// sentence is the first line of a zone that fails.
func (f *StatusFailing) sentence() string {
	if f == nil {
		return ""
	}
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	if f.Over {
		return fmt.Sprintf("FAILED since %s, and is well again on its servers; some resolvers may fail until %s (%s)", at(f.Since), at(f.Until), f.Text)
	}
	return fmt.Sprintf("FAILS for validating resolvers since %s, and for as long as it is so and the TTL after that, at least until %s: %s: %s", at(f.Since), at(f.Until), f.Text, f.Command)
}

// Sentence is the first line of a zone that fails; empty for nil.
func (f *StatusFailing) Sentence() string { return f.sentence() }

// failing fills in what status says first.
func (s *Status) failing(r *Roll) {
	if r.Failing == nil || r.State.Ended() && !r.Failing.Over.IsZero() {
		return
	}
	command := s.Command
	if s.OperatorAction == nil && s.Blocked == nil && (r.Need == nil || len(r.Need.Findings) == 0) {
		command = "rollover trace " + r.Zone
	}
	f := r.Failing
	s.Failing = &StatusFailing{Since: f.Since, Until: f.Until, Over: !f.Over.IsZero(), Text: f.Text, Command: command}
}

// undated takes out dates that mean nothing: of a rollover that stands still, and of
// one that waits until somebody has mended something.
func (s *Status) undated(r *Roll) {
	waits := r.Need == nil || len(r.Need.Findings) == 0 && !r.Need.Gone
	if r.State == StateActive && waits && (s.Failing == nil || s.Failing.Over) {
		return
	}
	s.NotBefore = nil
	for i := range s.Plan {
		s.Plan[i].Earliest = nil
	}
}
