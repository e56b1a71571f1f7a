package chain

import (
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// Answer is what an answer with data, or a denial of it, is worth.
type Answer struct {
	Verdict
	Kind    AnswerKind
	Alias   string    // where an alias points to
	Proof   Proof     // of the set that answers
	Set     Set       // that answers; empty for a denial
	TTL     uint32    // seconds
	Expires time.Time // when the first of the signatures that are needed expires
}

// AnswerKind says what an answer says, if it is true.
type AnswerKind string

// The kinds of answers.
const (
	AnswerData   AnswerKind = "data"
	AnswerAlias  AnswerKind = "alias"   // a CNAME, or a DNAME above the name
	AnswerNoData AnswerKind = "no-data" // the name has no such records
	AnswerNoName AnswerKind = "no-name" // the name does not exist
)

// ProveAnswer judges the answer of a zone, whose keys are in the pool, about
// records that are its own.
func ProveAnswer(p *Pool, name string, rrtype uint16, m *dns.Msg) Answer {
	sets, err := Sets(m.Answer)
	if err != nil {
		return Answer{Verdict: indeterminate(CodeTooMuch, err.Error())}
	}
	if s, ok := Find(sets, name, rrtype); ok {
		v, proof := prove(p, s, m)
		return Answer{Verdict: v, Kind: AnswerData, Proof: proof, Set: s, TTL: s.TTL(), Expires: proof.Expires}
	}
	if s, ok := aliasOf(sets, name); ok {
		v, proof := prove(p, s, m)
		return Answer{Verdict: v, Kind: AnswerAlias, Alias: target(name, s), Proof: proof, Set: s, TTL: s.TTL(), Expires: proof.Expires}
	}
	return denied(p, name, rrtype, m)
}

// target is where an alias sends a name (RFC 6672 section 2.2); empty when the
// result is too long to be one.
func target(name string, s Set) string {
	if c, ok := s.Records[0].(*dns.CNAME); ok {
		return dns.CanonicalName(c.Target)
	}
	d, ok := s.Records[0].(*dns.DNAME)
	if !ok {
		return ""
	}
	out := name[:len(name)-len(s.Owner)] + dns.CanonicalName(d.Target)
	if _, ok := dns.IsDomainName(out); !ok {
		return ""
	}
	return out
}

// prove judges a set in the answer section. One that was made from a wildcard
// needs the proof that the name itself does not exist.
func prove(p *Pool, s Set, m *dns.Msg) (Verdict, Proof) {
	proof := p.Prove(s)
	if !proof.Good() {
		return refused(proof.fault(s)), proof
	}
	labels := proof.labels()
	if labels >= ownLabels(s.Owner) {
		return proven(s), proof
	}
	sets, err := Sets(m.Ns)
	if err != nil {
		return indeterminate(CodeTooMuch, err.Error()), proof
	}
	d := gather(p, sets)
	if err := d.noCloser(s.Owner, labels); err != nil {
		return refused(err), proof
	}
	return secure(), proof
}

// labels is the most labels that a good signature claims.
func (p Proof) labels() int {
	most := 0
	for _, c := range p.Checks {
		if c.Fault == nil {
			most = max(most, int(c.Signature.Labels))
		}
	}
	return most
}

// denied judges an answer without the records asked for.
func denied(p *Pool, name string, rrtype uint16, m *dns.Msg) Answer {
	out := Answer{Kind: AnswerNoData, TTL: negativeTTL(m)}
	sets, err := Sets(m.Ns)
	if err != nil {
		out.Verdict = indeterminate(CodeTooMuch, err.Error())
		return out
	}
	if soa, ok := Find(sets, p.zone, dns.TypeSOA); ok {
		if proof := p.Prove(soa); !proof.Good() {
			out.Verdict = refused(proof.fault(soa))
			return out
		}
	}
	d := gather(p, sets)
	var s span
	switch m.Rcode {
	case dns.RcodeNameError:
		out.Kind = AnswerNoName
		s, err = d.noName(name)
	case dns.RcodeSuccess:
		s, err = d.noData(name, rrtype)
	default:
		err = faultf(CodeNoAnswer, "%s", dns.RcodeToString[m.Rcode])
	}
	out.Expires = s.expires
	switch {
	case err != nil:
		out.Verdict = refused(err)
	case s.optOut:
		out.Verdict = insecure(CodeUnsecured, fmt.Sprintf("proven only that no signed name %s exists (NSEC3 opt-out)", name))
	default:
		out.Verdict = secure()
	}
	return out
}
