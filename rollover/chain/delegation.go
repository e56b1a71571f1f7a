package chain

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// MaxDS is how many DS records of one set are tried.
const MaxDS = 16

// Cut is what a zone says of a name below it.
type Cut string

// The cuts.
const (
	CutSigned   Cut = "signed"   // a delegation with a DS set
	CutUnsigned Cut = "unsigned" // a delegation without DS; below it nothing is signed for us
	CutNone     Cut = "none"     // no delegation: the name belongs to the zone
	CutNoName   Cut = "no-name"  // the name does not exist, and nothing below it
)

// Delegation is what an answer to a question for the DS set of a name is worth.
type Delegation struct {
	Verdict
	Cut     Cut
	DS      []rollover.DS // in a fixed order; empty unless CutSigned
	TTL     uint32        // seconds; of the DS set, or of the denial
	Since   time.Time     // inception of the signature that decides
	Expires time.Time     // of the signature that decides
	Proof   Proof         // of the DS set
	OptOut  bool          // it is proven only that there is no signed delegation
}

// ProveDelegation judges the answer of a parent zone, whose keys are in the
// pool, about the DS set of a name below it (RFC 4035 section 5.2). Anything
// that does not prove the one or the other is bogus or indeterminate.
func ProveDelegation(p *Pool, name string, m *dns.Msg) Delegation {
	sets, err := Sets(m.Answer)
	if err != nil {
		return Delegation{Verdict: indeterminate(CodeTooMuch, err.Error())}
	}
	if s, ok := Find(sets, name, dns.TypeDS); ok {
		return signedDelegation(p, s)
	}
	if alias, ok := aliasOf(sets, name); ok {
		return aliased(p, alias, m)
	}
	return deniedDelegation(p, name, m)
}

func signedDelegation(p *Pool, s Set) Delegation {
	proof := p.Prove(s)
	out := Delegation{Cut: CutSigned, DS: dsOf(s), TTL: s.TTL(), Since: proof.Since, Expires: proof.Expires, Proof: proof}
	if !proof.Good() {
		out.Verdict = refused(proof.fault(s))
		return out
	}
	out.Verdict = proven(s)
	return out
}

// dsOf is the records in a fixed order, digests in upper case.
func dsOf(s Set) []rollover.DS {
	var out []rollover.DS
	for _, rr := range s.Records {
		if d, ok := rr.(*dns.DS); ok {
			out = append(out, rollover.DS{Tag: d.KeyTag, Algorithm: d.Algorithm, DigestType: d.DigestType, Digest: strings.ToUpper(d.Digest)})
		}
	}
	slices.SortFunc(out, func(a, b rollover.DS) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Algorithm, b.Algorithm), cmp.Compare(a.DigestType, b.DigestType), strings.Compare(a.Digest, b.Digest))
	})
	return slices.Compact(out)
}

// aliasOf is the alias that an answer has for a name: a DNAME above it, whose
// CNAME is made by the server and not signed (RFC 6672 section 5.3.1), or else
// a CNAME.
func aliasOf(sets []Set, name string) (Set, bool) {
	for _, s := range sets {
		if s.Type == dns.TypeDNAME && below(s.Owner, name) {
			return s, true
		}
	}
	return Find(sets, name, dns.TypeCNAME)
}

// aliased: where an alias is, or stands in, there is no delegation.
func aliased(p *Pool, alias Set, m *dns.Msg) Delegation {
	v, proof := prove(p, alias, m)
	return Delegation{Verdict: v, Cut: CutNone, TTL: alias.TTL(), Since: proof.Since, Expires: proof.Expires}
}

// deniedDelegation judges an answer without DS records.
func deniedDelegation(p *Pool, name string, m *dns.Msg) Delegation {
	sets, err := Sets(m.Ns)
	if err != nil {
		return Delegation{Verdict: indeterminate(CodeTooMuch, err.Error())}
	}
	d := gather(p, sets)
	out := Delegation{Cut: CutNoName, TTL: negativeTTL(m)}
	s, err := d.noName(name)
	if m.Rcode != dns.RcodeNameError || err != nil {
		out.Cut = CutNone
		s, err = d.noData(name, dns.TypeDS)
	}
	out.Since, out.Expires = s.since, s.expires
	if err != nil {
		out.Verdict = refused(err)
		return out
	}
	out.Verdict = secure()
	own, there := d.match(name)
	if there && own.has(dns.TypeNS) || !there && s.optOut {
		out.Cut, out.OptOut = CutUnsigned, !there
		out.Verdict = insecure(CodeUnsecured, "proven: there is no DS for "+name)
	}
	return out
}

// negativeTTL is how long caches keep an answer without records, in seconds
// (RFC 2308 section 5, RFC 9077).
func negativeTTL(m *dns.Msg) uint32 {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(soa.Hdr.Ttl, soa.Minttl)
		}
	}
	return 0
}
