package chain

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Bounds on the work that one RRset can cause ("KeyTrap", CVE-2023-50387).
const (
	MaxChecks     = 8 // signature verifications for one RRset
	MaxKeysPerTag = 4 // keys with the tag and algorithm of one signature
	// MaxVerifications is signature verifications by one pool, for all sets. What a
	// server shows of a zone in one look needs some fifty.
	MaxVerifications = 512
	maxKeyLength     = 520 // octets; RSA of 4096 bits, the most that DNSSEC has (RFC 5702 section 2)
)

// Pool is the keys of one zone to try on signatures, at one moment. It is not
// for several goroutines at once.
type Pool struct {
	zone string
	now  time.Time
	keys map[keyID][]rollover.DNSKEY
	// known is the outcome for sets that were checked before: the SOA and the
	// NSEC of a zone come with every answer that there is nothing.
	known map[[sha256.Size]byte]error
	left  int // verifications
	// budget is what is left for this pool and others.
	budget *Budget
}

type keyID struct {
	tag       uint16
	algorithm uint8
}

// NewPool takes keys in the order of trust: with more than MaxKeysPerTag of
// one tag, the first ones are tried.
func NewPool(zone string, now time.Time, keys ...rollover.DNSKEY) *Pool {
	p := &Pool{zone: zone, now: now, keys: map[keyID][]rollover.DNSKEY{}, known: map[[sha256.Size]byte]error{}, left: MaxVerifications}
	for _, k := range keys {
		id := keyID{record(zone, k).KeyTag(), k.Algorithm}
		if len(p.keys[id]) < MaxKeysPerTag && !slices.Contains(p.keys[id], k) {
			p.keys[id] = append(p.keys[id], k)
		}
	}
	return p
}

// Expect lets the pool verify more: for so many answers that were asked for, beside
// what a server shows in one look.
func (p *Pool) Expect(answers int) { p.left += answers * MaxChecks }

// record is the key as a record of the zone.
func record(zone string, k rollover.DNSKEY) *dns.DNSKEY {
	return &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET},
		Flags: k.Flags, Protocol: 3, Algorithm: k.Algorithm, PublicKey: k.PublicKey,
	}
}

// Proof is what the signatures on one set are worth.
type Proof struct {
	Signers []rollover.DNSKEY // keys with a signature that verifies and is in its validity period
	Checks  []Check           // every signature, in the order of the answer; none: the set is unsigned
	Expires time.Time         // when the last good signature expires; zero without one
	Since   time.Time         // inception of the newest good signature; zero without one
}

// Check is one signature and what is wrong with it; nil when it is good.
type Check struct {
	Signature *dns.RRSIG
	Fault     error
}

// Good says whether one signature at least holds: one valid path is enough
// (RFC 6840 section 5.11).
func (p Proof) Good() bool { return len(p.Signers) > 0 }

// Prove checks every signature on a set, within MaxChecks.
func (p *Pool) Prove(s Set) Proof {
	var out Proof
	checks := MaxChecks
	set := digestOf(s)
	for _, sig := range s.Signatures {
		signer, fault := p.signerOf(s, set, sig, &checks)
		out.Checks = append(out.Checks, Check{sig, fault})
		if fault != nil {
			continue
		}
		if !slices.Contains(out.Signers, signer) {
			out.Signers = append(out.Signers, signer)
		}
		if expires := near(sig.Expiration, p.now); expires.After(out.Expires) {
			out.Expires = expires
		}
		if since := near(sig.Inception, p.now); out.Since.IsZero() || since.After(out.Since) {
			out.Since = since
		}
	}
	return out
}

// signerOf is the key that one signature was made with, or the reason why
// none of the pool is it.
func (p *Pool) signerOf(s Set, set [sha256.Size]byte, sig *dns.RRSIG, checks *int) (rollover.DNSKEY, error) {
	if err := acceptable(p.zone, sig, s, p.now); err != nil {
		return rollover.DNSKEY{}, err
	}
	fault := error(fault{CodeKeyMissing, "no such key"})
	for _, k := range p.keys[keyID{sig.KeyTag, sig.Algorithm}] {
		if *checks == 0 {
			return k, faultf(CodeTooMuch, "not checked: more than %d signatures to check on one record set", MaxChecks)
		}
		*checks--
		if fault = p.verify(sig, k, s, set); fault == nil {
			return k, nil
		}
	}
	return rollover.DNSKEY{}, fault
}

// verify is verifyStrict, once for each signature, key and set, within
// MaxVerifications (KeyTrap, CVE-2023-50387).
func (p *Pool) verify(sig *dns.RRSIG, k rollover.DNSKEY, s Set, set [sha256.Size]byte) error {
	id := identity(sig, k, set)
	fault, known := p.known[id]
	if !known && p.left == 0 {
		return faultf(CodeTooMuch, "not checked: more signatures to check in what one server shows than %d, and %d for each answer that is compared", MaxVerifications, MaxChecks)
	}
	if known {
		return fault
	}
	key := record(p.zone, k)
	if err := p.budget.spend(key); err != nil {
		return err
	}
	p.left--
	fault = verifyStrict(p.zone, sig, key, s, p.now)
	p.known[id] = fault
	return fault
}

// identity is a digest of everything that the outcome of a verification depends on,
// but the zone and the time; set is that of the set.
func identity(sig *dns.RRSIG, k rollover.DNSKEY, set [sha256.Size]byte) [sha256.Size]byte {
	sum := sha256.New()
	sum.Write(set[:])
	fmt.Fprintf(sum, "%s\x00%s", sig, k)
	return [sha256.Size]byte(sum.Sum(nil))
}

// digestOf is a digest of a set, record by record.
func digestOf(s Set) [sha256.Size]byte {
	sum := sha256.New()
	for _, rr := range s.Records {
		fmt.Fprintf(sum, "%s\x00", rr)
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

// verifyStrict says why a signature by a key does not hold for a set of the
// zone; nil when it does. The library's Verify also accepts what is expired or
// not valid yet, what a wildcard covers, a signer that is only the end of the
// owner's name as text, and revoked keys (RFC 4035 section 5.3, RFC 5011
// section 2.1), so all of that is refused here first.
func verifyStrict(zone string, sig *dns.RRSIG, key *dns.DNSKEY, s Set, now time.Time) error {
	if err := acceptable(zone, sig, s, now); err != nil {
		return err
	}
	if err := fitting(zone, sig, key); err != nil {
		return err
	}
	err := sig.Verify(key, s.Records)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dns.ErrSig) || errors.Is(err, rsa.ErrVerification):
		return fault{CodeSignature, "does not verify"}
	case errors.Is(err, dns.ErrKey):
		return fault{CodeUncheckable, "cannot be checked here: the key has a form that is not understood"}
	}
	return faultf(CodeUncheckable, "cannot be checked here: %v", err)
}

// acceptable is the checks that need no key.
func acceptable(zone string, sig *dns.RRSIG, s Set, now time.Time) error {
	switch {
	case !checkable(sig.Algorithm):
		return faultf(CodeUncheckable, "algorithm %d cannot be checked here", sig.Algorithm)
	case dns.CanonicalName(sig.SignerName) != zone:
		return faultf(CodeSigner, "signer is %s, not the zone", dns.CanonicalName(sig.SignerName))
	case !dns.IsSubDomain(zone, s.Owner):
		return faultf(CodeSigner, "%s is not in the zone", s.Owner)
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
// section 5.3.1). Fewer labels mean that a wildcard of the zone was expanded:
// whoever takes such a set for an answer must have the proof that the name
// itself does not exist (Expanded). What never comes from a wildcard must not
// claim so.
func labels(zone string, sig *dns.RRSIG, s Set) error {
	owner := ownLabels(s.Owner)
	claimed := int(sig.Labels)
	switch {
	case claimed == owner:
		return nil
	case claimed < owner && claimed >= dns.CountLabel(zone) && expandable(s.Type):
		return nil
	}
	return faultf(CodeSignature, "made for %d labels, where the owner has %d", claimed, owner)
}

// ownLabels is the count that a signature has for a name, a leading asterisk
// left out (RFC 4034 section 3.1.3).
func ownLabels(name string) int {
	n := dns.CountLabel(name)
	if strings.HasPrefix(name, "*.") || name == "*." {
		n--
	}
	return n
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
		return faultf(CodeExpired, "expired at %s", expiration.Format(time.RFC3339))
	case at < inception.Unix():
		return faultf(CodeFuture, "not valid before %s", inception.Format(time.RFC3339))
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
		return fault{CodeKeyUnfit, "the key is not a zone key"}
	case key.Flags&dns.REVOKE != 0:
		return fault{CodeKeyUnfit, "the key is revoked"}
	case key.Protocol != 3:
		return faultf(CodeKeyUnfit, "the key has protocol %d, not 3", key.Protocol)
	case key.Algorithm != sig.Algorithm || key.KeyTag() != sig.KeyTag || dns.CanonicalName(key.Hdr.Name) != zone:
		return fault{CodeKeyMissing, "no such key"}
	case base64.StdEncoding.DecodedLen(len(key.PublicKey)) > maxKeyLength+2:
		return fault{CodeUncheckable, "cannot be checked here: the key is longer than 4096 bits"}
	}
	return nil
}

// fault is why something does not count, with the code that scripts and
// remedies branch on.
type fault struct {
	code Code
	text string
}

func (f fault) Error() string { return f.text }

func faultf(code Code, format string, args ...any) error {
	return fault{code, fmt.Sprintf(format, args...)}
}

// codeOf is the code of a fault; empty for nil.
func codeOf(err error) Code {
	var f fault
	if errors.As(err, &f) {
		return f.code
	}
	return ""
}

// fault is why no signature on a set holds.
func (p Proof) fault(s Set) error {
	if len(p.Checks) == 0 {
		return faultf(CodeUnsigned, "%s has no signature", s)
	}
	worst := p.Checks[0]
	for _, c := range p.Checks[1:] {
		if severity(codeOf(c.Fault)) < severity(codeOf(worst.Fault)) {
			worst = c
		}
	}
	return faultf(codeOf(worst.Fault), "the signature of %s by key %d (algorithm %d): %v", s, worst.Signature.KeyTag, worst.Signature.Algorithm, worst.Fault)
}
