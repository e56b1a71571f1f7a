package chain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxIterations is up to how many extra NSEC3 iterations are computed; answers
// with more count as insecure, as resolvers take them (RFC 9276 section 3.2).
const maxIterations = 150

// denial is the NSEC and NSEC3 records of one answer that a zone signed.
type denial struct {
	zone   string
	spans  []span // of NSEC
	hashes []span // of NSEC3: owner and next are hashes
	salt   string
	rounds uint16
	fault  error // why a record does not count; the first one
}

// span is one NSEC or NSEC3 record: a name (or hash) that exists with its
// types, and the next one.
type span struct {
	owner, next string
	types       []uint16
	optOut      bool
	since       time.Time
	expires     time.Time
}

func (s span) has(rrtype uint16) bool { return slices.Contains(s.types, rrtype) }

// cut says whether the span belongs to the upper side of a delegation.
func (s span) cut() bool { return s.has(dns.TypeNS) && !s.has(dns.TypeSOA) }

// gather takes the denial records that verify out of the authority section.
func gather(p *Pool, sets []Set) denial {
	d := denial{zone: p.zone}
	for _, s := range sets {
		if s.Type != dns.TypeNSEC && s.Type != dns.TypeNSEC3 || !dns.IsSubDomain(p.zone, s.Owner) {
			continue
		}
		proof := p.Prove(s)
		if !proof.Good() {
			d.note(proof.fault(s))
			continue
		}
		for _, rr := range s.Records {
			d.add(s.Owner, rr, proof)
		}
	}
	return d
}

func (d *denial) note(err error) {
	if d.fault == nil {
		d.fault = err
	}
}

func (d *denial) add(owner string, rr dns.RR, proof Proof) {
	switch rr := rr.(type) {
	case *dns.NSEC:
		d.spans = append(d.spans, span{owner: owner, next: dns.CanonicalName(rr.NextDomain), types: rr.TypeBitMap, since: proof.Since, expires: proof.Expires})
	case *dns.NSEC3:
		d.addHash(owner, rr, proof)
	}
}

// addHash takes in an NSEC3 record directly below the zone, of a known hash
// (RFC 5155 section 8.1) and of the same parameters as the others.
func (d *denial) addHash(owner string, rr *dns.NSEC3, proof Proof) {
	hash := strings.ToUpper(dns.SplitDomainName(owner)[0])
	switch {
	case rr.Hash != dns.SHA1 || parentOf(owner) != d.zone || rr.Flags > 1:
		d.note(faultf(CodeUncheckable, "NSEC3 of hash %d, flags %d cannot be checked here", rr.Hash, rr.Flags))
	case rr.Iterations > maxIterations:
		d.note(faultf(CodeIterations, "NSEC3 with %d iterations, more than %d, which resolvers take for unsigned (RFC 9276)", rr.Iterations, maxIterations))
	case len(d.hashes) > 0 && (rr.Salt != d.salt || rr.Iterations != d.rounds):
		d.note(faultf(CodeDenial, "NSEC3 records of different parameters in one answer"))
	default:
		d.salt, d.rounds = rr.Salt, rr.Iterations
		d.hashes = append(d.hashes, span{
			owner: hash, next: strings.ToUpper(rr.NextDomain), types: rr.TypeBitMap, optOut: rr.Flags&1 == 1, since: proof.Since, expires: proof.Expires,
		})
	}
}

func (d denial) hash(name string) string {
	return strings.ToUpper(dns.HashName(name, dns.SHA1, d.rounds, d.salt))
}

// match is the record that says which types a name has.
func (d denial) match(name string) (span, bool) {
	for _, s := range d.spans {
		if s.owner == name {
			return s, true
		}
	}
	if len(d.hashes) == 0 {
		return span{}, false
	}
	hash := d.hash(name)
	for _, s := range d.hashes {
		if s.owner == hash {
			return s, true
		}
	}
	return span{}, false
}

// covering is the record that says that a name does not exist. An NSEC of the
// upper side of a delegation, or of a DNAME, says nothing of what is below
// (RFC 6840 section 4.1).
func (d denial) covering(name string) (span, bool) {
	for _, s := range d.spans {
		if between(compare, s.owner, s.next, name) && !d.empty(s, name) && !(below(s.owner, name) && (s.cut() || s.has(dns.TypeDNAME))) {
			return s, true
		}
	}
	if len(d.hashes) == 0 {
		return span{}, false
	}
	hash := d.hash(name)
	for _, s := range d.hashes {
		if between(strings.Compare, s.owner, s.next, hash) {
			return s, true
		}
	}
	return span{}, false
}

// between says whether a name lies strictly between two neighbours of the ring.
func between(order func(a, b string) int, owner, next, name string) bool {
	after, before := order(owner, name) < 0, order(name, next) < 0
	if order(owner, next) < 0 {
		return after && before
	}
	return (after || before) && order(name, owner) != 0
}

// empty says whether an NSEC shows that a name exists without records of its
// own: the next name is below it.
func (d denial) empty(s span, name string) bool { return below(name, s.next) }

func (d denial) emptyNonTerminal(name string) (span, bool) {
	for _, s := range d.spans {
		if between(compare, s.owner, s.next, name) && d.empty(s, name) {
			return s, true
		}
	}
	return span{}, false
}

// encloser is the closest name above a name that exists, and the record that
// proves that nothing closer does (RFC 5155 section 8.3).
func (d denial) encloser(name string) (closest string, cover span, ok bool) {
	if s, ok := d.covering(name); ok && len(d.hashes) == 0 {
		left, right := common(name, s.owner), common(name, s.next)
		if dns.CountLabel(right) > dns.CountLabel(left) {
			left = right
		}
		return left, s, dns.IsSubDomain(d.zone, left)
	}
	for _, above := range enclosers(d.zone, name) {
		s, ok := d.match(above)
		if !ok {
			continue
		}
		if s.cut() || s.has(dns.TypeDNAME) {
			return "", span{}, false
		}
		cover, ok := d.covering(nextCloser(name, dns.CountLabel(above)))
		return above, cover, ok
	}
	return "", span{}, false
}

// noName proves that a name does not exist and no wildcard stands in for it
// (RFC 4035 section 5.4, RFC 5155 section 8.4). A cover with opt-out leaves room
// for an unsigned delegation.
func (d denial) noName(name string) (cover span, err error) {
	closest, cover, ok := d.encloser(name)
	if !ok {
		return cover, d.unproven("that %s does not exist", name)
	}
	if _, ok := d.covering(wildcardOf(closest)); !ok {
		return cover, d.unproven("that no wildcard %s stands in for %s", wildcardOf(closest), name)
	}
	return cover, nil
}

// noData proves that a name has no records of a type (RFC 4035 section 5.4,
// RFC 5155 sections 8.5 to 8.7).
func (d denial) noData(name string, rrtype uint16) (span, error) {
	if s, ok := d.match(name); ok {
		s.optOut = false // it speaks of this very name
		return s, lacks(s, name, rrtype)
	}
	if s, ok := d.emptyNonTerminal(name); ok {
		return s, nil
	}
	closest, cover, ok := d.encloser(name)
	if !ok {
		return cover, d.unproven("that %s has no %s", name, dns.Type(rrtype))
	}
	if s, ok := d.match(wildcardOf(closest)); ok {
		return cover, lacks(s, wildcardOf(closest), rrtype)
	}
	if rrtype == dns.TypeDS && cover.optOut {
		return cover, nil
	}
	return cover, d.unproven("that %s has no %s", name, dns.Type(rrtype))
}

// lacks says why a record does not deny a type at its name. Above a
// delegation only the DS can be denied by the upper side, and only by it.
func lacks(s span, name string, rrtype uint16) error {
	switch {
	case s.has(rrtype) || s.has(dns.TypeCNAME) && rrtype != dns.TypeNSEC:
		return faultf(CodeDenial, "the proof says that %s has %s, or an alias, and the answer that it has not", name, dns.Type(rrtype))
	case rrtype == dns.TypeDS && s.has(dns.TypeSOA) && name != ".":
		return faultf(CodeDenial, "the proof about the DS of %s comes from the zone itself, not from its parent", name)
	case rrtype != dns.TypeDS && s.cut():
		return faultf(CodeDenial, "the proof about %s comes from the parent of the zone that %s is delegated to", name, name)
	}
	return nil
}

// noCloser proves that an answer made from a wildcard of so many labels is
// right: the name itself does not exist (RFC 4035 section 5.3.4).
func (d denial) noCloser(name string, labels int) error {
	if _, ok := d.covering(nextCloser(name, labels)); !ok {
		return d.unproven("that %s does not exist, so that a wildcard may stand in for it", nextCloser(name, labels))
	}
	return nil
}

// unproven is the fault of a proof that is not there; what was wrong with the
// records that came is told rather than that there are none.
func (d denial) unproven(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if d.fault != nil {
		return faultf(codeOf(d.fault), "no proof %s: %v", what, d.fault)
	}
	if len(d.spans)+len(d.hashes) == 0 {
		return faultf(CodeDenial, "no proof %s: the answer has no signed NSEC or NSEC3 record", what)
	}
	return faultf(CodeDenial, "no proof %s: the NSEC or NSEC3 records in the answer do not say so", what)
}
