package probe

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Bounds on the work that one answer can cause ("KeyTrap", CVE-2023-50387).
const (
	maxChecks     = 8   // signature verifications for one RRset
	maxKeysPerTag = 4   // keys with the tag and algorithm of one signature
	maxSignatures = 64  // signatures on one RRset
	maxSets       = 64  // RRsets in one answer
	maxKeyLength  = 520 // octets; RSA of 4096 bits, the most that DNSSEC has (RFC 5702 section 2)
)

// set is one RRset with the signatures that came with it.
type set struct {
	owner  string
	rrtype uint16
	rrs    []dns.RR
	sigs   []*dns.RRSIG
}

// String names the set as reports do: "www.example.com. A".
func (s set) String() string { return s.owner + " " + dns.Type(s.rrtype).String() }

// ttl is how long caches may keep the set, in seconds. A validating cache
// takes the original TTL when that is less (RFC 4035 section 5.3.3); others
// do not, so the larger one counts.
func (s set) ttl() uint32 {
	var out uint32
	for _, rr := range s.rrs {
		out = max(out, rr.Header().Ttl)
	}
	for _, sig := range s.sigs {
		out = max(out, sig.OrigTtl)
	}
	return out
}

// setsOf groups the records of an answer by owner and type. Signatures
// without records are dropped. More than maxSets or maxSignatures is an error.
func setsOf(sections ...[]dns.RR) ([]set, error) {
	g := grouping{at: map[setID]int{}}
	for _, section := range sections {
		for _, rr := range section {
			if rr.Header().Class == dns.ClassINET {
				g.add(rr)
			}
		}
	}
	if len(g.sets) > maxSets {
		return nil, fmt.Errorf("more than %d record sets in one answer", maxSets)
	}
	for _, s := range g.sets {
		if len(s.sigs) > maxSignatures {
			return nil, fmt.Errorf("more than %d signatures on %s", maxSignatures, s)
		}
	}
	return slices.DeleteFunc(g.sets, func(s set) bool { return len(s.rrs) == 0 }), nil
}

type setID struct {
	owner  string
	rrtype uint16
}

type grouping struct {
	sets []set
	at   map[setID]int
}

func (g *grouping) add(rr dns.RR) {
	h := rr.Header()
	sig, isSig := rr.(*dns.RRSIG)
	id := setID{h.Name, h.Rrtype}
	if isSig {
		id.rrtype = sig.TypeCovered
	}
	i, ok := g.at[id]
	if !ok {
		i = len(g.sets)
		g.at[id] = i
		g.sets = append(g.sets, set{owner: id.owner, rrtype: id.rrtype})
	}
	if isSig {
		g.sets[i].sigs = append(g.sets[i].sigs, sig)
	} else if h.Rrtype != dns.TypeRRSIG {
		g.sets[i].rrs = append(g.sets[i].rrs, rr)
	}
}

// pool is the keys to try on signatures.
type pool struct {
	zone string
	now  time.Time
	keys map[keyID][]rollover.DNSKEY
}

type keyID struct {
	tag       uint16
	algorithm uint8
}

// newPool takes keys in the order of trust: with more than maxKeysPerTag of
// one tag, the first ones are tried.
func newPool(zone string, now time.Time, keys ...rollover.DNSKEY) *pool {
	p := &pool{zone: zone, now: now, keys: map[keyID][]rollover.DNSKEY{}}
	for _, k := range keys {
		id := keyID{record(zone, k).KeyTag(), k.Algorithm}
		if len(p.keys[id]) < maxKeysPerTag && !slices.Contains(p.keys[id], k) {
			p.keys[id] = append(p.keys[id], k)
		}
	}
	return p
}

// record is the key as a record of the zone.
func record(zone string, k rollover.DNSKEY) *dns.DNSKEY {
	return &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET},
		Flags: k.Flags, Protocol: 3, Algorithm: k.Algorithm, PublicKey: k.PublicKey,
	}
}

// proof is who signed a set, and what is wrong with its signatures.
type proof struct {
	signers []rollover.DNSKEY
	faults  []rollover.Signature
}

// prove checks every signature on a set, within maxChecks.
func (p *pool) prove(s set) proof {
	var out proof
	if len(s.sigs) == 0 {
		out.faults = append(out.faults, rollover.Signature{On: s.String(), Fault: "unsigned"})
	}
	checks := maxChecks
	for _, sig := range s.sigs {
		signers, fault := p.signersOf(s, sig, &checks)
		out.signers = append(out.signers, signers...)
		if fault != nil {
			out.faults = append(out.faults, rollover.Signature{Tag: sig.KeyTag, Algorithm: sig.Algorithm, On: s.String(), Fault: fault.Error()})
		}
	}
	out.signers = distinct(out.signers)
	return out
}

// signersOf is the keys that one signature was made with: one, or none and
// the reason.
func (p *pool) signersOf(s set, sig *dns.RRSIG, checks *int) ([]rollover.DNSKEY, error) {
	if err := acceptable(p.zone, sig, s, p.now); err != nil {
		return nil, err
	}
	fault := errors.New("no such key")
	for _, k := range p.keys[keyID{sig.KeyTag, sig.Algorithm}] {
		if *checks == 0 {
			return nil, fmt.Errorf("not checked: more than %d signatures to check on one record set", maxChecks)
		}
		*checks--
		if fault = verifyStrict(p.zone, sig, record(p.zone, k), s, p.now); fault == nil {
			return []rollover.DNSKEY{k}, nil
		}
	}
	return nil, fault
}

// verifyStrict says why a signature by a key does not hold for a set of the
// zone; nil when it does. The library's Verify also accepts what is expired or
// not valid yet, what a wildcard covers, a signer that is only the end of the
// owner's name as text, and revoked keys (RFC 4035 section 5.3, RFC 5011
// section 2.1), so all of that is refused here first.
func verifyStrict(zone string, sig *dns.RRSIG, key *dns.DNSKEY, s set, now time.Time) error {
	if err := acceptable(zone, sig, s, now); err != nil {
		return err
	}
	if err := fitting(zone, sig, key); err != nil {
		return err
	}
	err := sig.Verify(key, s.rrs)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dns.ErrSig) || errors.Is(err, rsa.ErrVerification):
		return errors.New("does not verify")
	case errors.Is(err, dns.ErrKey):
		return errors.New("cannot be checked here: the key has a form that is not understood")
	}
	return fmt.Errorf("cannot be checked here: %w", err)
}

// acceptable is the checks that need no key.
func acceptable(zone string, sig *dns.RRSIG, s set, now time.Time) error {
	switch {
	case !checkable(sig.Algorithm):
		return fmt.Errorf("algorithm %d cannot be checked here", sig.Algorithm)
	case dns.CanonicalName(sig.SignerName) != zone:
		return fmt.Errorf("signer is %s, not the zone", dns.CanonicalName(sig.SignerName))
	case !dns.IsSubDomain(zone, s.owner):
		return fmt.Errorf("%s is not in the zone", s.owner)
	}
	if err := labels(zone, sig, s); err != nil {
		return err
	}
	return valid(sig, now)
}

// checkable are the algorithms that the library can verify. Ed448 (16) is not
// among them.
func checkable(algorithm uint8) bool {
	switch algorithm {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519:
		return true
	}
	return false
}

// labels compares the label count of a signature with its owner (RFC 4035
// section 5.3.1). Fewer labels mean that a wildcard of the zone was expanded.
// That needs no proof here, since the zone's own server was asked; but what
// never comes from a wildcard must not claim so.
func labels(zone string, sig *dns.RRSIG, s set) error {
	owner := dns.CountLabel(s.owner)
	if strings.HasPrefix(s.owner, "*.") {
		owner--
	}
	claimed := int(sig.Labels)
	switch {
	case claimed == owner:
		return nil
	case claimed < owner && claimed >= dns.CountLabel(zone) && expandable(s.rrtype):
		return nil
	}
	return fmt.Errorf("made for %d labels, where the owner has %d", claimed, owner)
}

// expandable says whether records of a type can come from a wildcard.
func expandable(rrtype uint16) bool {
	switch rrtype {
	case dns.TypeSOA, dns.TypeNS, dns.TypeDS, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeDNAME:
		return false
	}
	return true
}

// valid compares the validity period with now, in the serial number arithmetic
// of RFC 4034 section 3.1.5.
func valid(sig *dns.RRSIG, now time.Time) error {
	inception, expiration := near(sig.Inception, now), near(sig.Expiration, now)
	switch at := now.Unix(); {
	case at > expiration.Unix():
		return fmt.Errorf("expired at %s", expiration.Format(time.RFC3339))
	case at < inception.Unix():
		return fmt.Errorf("not valid before %s", inception.Format(time.RFC3339))
	}
	return nil
}

// near is the moment closest to now that a 32-bit time can mean.
func near(stamp uint32, now time.Time) time.Time {
	return time.Unix(now.Unix()+int64(int32(stamp-uint32(now.Unix()))), 0).UTC()
}

// fitting is the checks on the key.
func fitting(zone string, sig *dns.RRSIG, key *dns.DNSKEY) error {
	switch {
	case key.Flags&dns.ZONE == 0:
		return errors.New("the key is not a zone key")
	case key.Flags&dns.REVOKE != 0:
		return errors.New("the key is revoked")
	case key.Protocol != 3:
		return fmt.Errorf("the key has protocol %d, not 3", key.Protocol)
	case key.Algorithm != sig.Algorithm || key.KeyTag() != sig.KeyTag || dns.CanonicalName(key.Hdr.Name) != zone:
		return errors.New("no such key")
	case base64.StdEncoding.DecodedLen(len(key.PublicKey)) > maxKeyLength+2:
		return errors.New("cannot be checked here: the key is longer than 4096 bits")
	}
	return nil
}
