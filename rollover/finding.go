package rollover

import (
	"cmp"
	"slices"
)

// Severity is how bad a finding is, in the words of monitoring plugins.
type Severity string

// The severities.
const (
	SeverityOK       Severity = "ok"
	SeverityWarning  Severity = "warning"
	SeverityCritical Severity = "critical"
	SeverityUnknown  Severity = "unknown"
)

// rank orders severities, the worst first.
func (s Severity) rank() int {
	return slices.Index([]Severity{SeverityCritical, SeverityUnknown, SeverityWarning, SeverityOK}, s)
}

// Finding is one thing that is not as it should be with a zone: what was
// expected and found, where, and what to do.
type Finding struct {
	Code     string   `json:"code"` // see the Finding constants
	Severity Severity `json:"severity"`
	Server   string   `json:"server,omitempty"` // empty: it is about the zone
	Text     string   `json:"text"`
	Remedy   string   `json:"remedy,omitempty"`
}

// Codes of findings; scripts may branch on them.
const (
	FindingSilent      = "server-silent"       // a server gave no usable answer
	FindingTCP         = "no-tcp"              // a server that answers over UDP alone
	FindingUnproven    = "ds-unproven"         // what a parent server says is not proven up to an anchor
	FindingNoDS        = "ds-missing"          // the zone is signed, the parent has no DS
	FindingUnknownDS   = "ds-unknown"          // every DS is of an algorithm or digest that nobody knows
	FindingParent      = "parent-insecure"     // a zone above is not signed, so that nobody validates this one
	FindingDSDiffers   = "ds-differs"          // the parent's servers do not agree
	FindingChain       = "chain-broken"        // a DS set and a DNSKEY set that do not validate together
	FindingKeys        = "dnskey-broken"       // a DNSKEY set that is missing or not signed
	FindingData        = "data-broken"         // data that no key of the DNSKEY set signed
	FindingDenial      = "denial-broken"       // answers that there is nothing, and that do not prove it
	FindingExpiry      = "signature-expiry"    // signatures that expire soon
	FindingSerial      = "serial-differs"      // servers with different SOA serials
	FindingKeysDiffer  = "keys-differ"         // servers with different DNSKEY sets
	FindingAlgorithm   = "algorithm-mismatch"  // an algorithm of DS or DNSKEY that does not sign everything
	FindingDigest      = "digest-mismatch"     // a DS of a stronger digest type than those of the keys that sign
	FindingForeign     = "foreign-record"      // a DS or DNSKEY of no key of the zone, or a DS that nobody asked for
	FindingCDS         = "cds-published"       // CDS records that the parent may follow, while it is asked in another way
	FindingWeak        = "weak-algorithm"      // SHA-1
	FindingTTL         = "ttl-too-long"        // a TTL near the lifetime of signatures
	FindingBogus       = "validator-bogus"     // a validating resolver refuses the zone
	FindingNoAD        = "validator-no-ad"     // a validating resolver answers without AD
	FindingValidator   = "validator-useless"   // it is authoritative, or never sets AD, or does not answer
	FindingClock       = "clock"               // this machine's clock
	FindingBlocked     = "rollover-blocked"    // a rollover that waits for the operator to look
	FindingStuck       = "rollover-stuck"      // a rollover that takes longer than its plan
	FindingPending     = "operator-pending"    // something that the operator was asked for long ago
	FindingTrouble     = "rollover-trouble"    // the last tick failed
	FindingUnattended  = "rollover-unattended" // nobody runs advance
	FindingProduct     = "cache-product"       // versions that caches may hold do not validate together
	FindingUnsigned    = "not-signed"          // neither keys nor DS: there is nothing to check
	FindingAnswers     = "answers-differ"      // answers that are not what they were before the zone was signed
	FindingResolver    = "resolver-fault"      // the resolvers fail, whatever zone they are asked about
	FindingUnjudged    = "not-judged"          // what the resolvers do not give keeps a zone from being judged
	FindingStranger    = "ns-unproven"         // somebody names a name server that neither the delegation nor the keys bear out
	FindingUndelegated = "not-delegated"       // the parent says that it does not delegate the zone
)

// worstFirst orders findings; those of one severity stay as they were.
func worstFirst(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
	return findings
}

// Worst is the severity of a list of findings.
func Worst(findings []Finding) Severity {
	worst := SeverityOK
	for _, f := range findings {
		if f.Severity.rank() < worst.rank() {
			worst = f.Severity
		}
	}
	return worst
}

// String is the finding in one line: what, where, and what to do.
func (f Finding) String() string {
	out := f.Text
	if f.Server != "" {
		out = f.Server + ": " + out
	}
	if f.Remedy != "" {
		out += " (" + f.Remedy + ")"
	}
	return out
}
