package chain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// MaxKeys is how many keys of one DNSKEY set are looked at.
const MaxKeys = 64

// Trust is what the keys of a zone are proven by: the DS set at its parent, or
// what a trust anchor says. One match is enough.
type Trust struct {
	DS   []rollover.DS
	Keys []rollover.DNSKEY
}

// Keys is what an answer to a question for a DNSKEY set is worth.
type Keys struct {
	Verdict
	Keys    []rollover.DNSKEY // of the set, in a fixed order, proven or not
	Trusted []rollover.DNSKEY // those that the trust points to
	TTL     uint32            // seconds
	Expires time.Time         // of the signature that decides
	Proof   Proof             // with the trusted keys alone
}

// ProveKeys judges the DNSKEY set that a zone shows: some key in it is what
// the trust points to, and has signed the set (RFC 4035 section 5.2). All keys
// of a proven set are proven.
func ProveKeys(zone string, trust Trust, m *dns.Msg, now time.Time) Keys {
	sets, err := Sets(m.Answer)
	if err != nil {
		return Keys{Verdict: indeterminate(CodeTooMuch, err.Error())}
	}
	s, ok := Find(sets, zone, dns.TypeDNSKEY)
	if !ok {
		return Keys{Verdict: bogus(CodeKeysMissing, "the parent has a DS for "+zone+", but it has no DNSKEY set: it was unsigned while the DS was there")}
	}
	if len(s.Records) > MaxKeys {
		return Keys{Verdict: indeterminate(CodeTooMuch, fmt.Sprintf("more than %d DNSKEY records", MaxKeys))}
	}
	keys := KeysOf(s)
	out := Keys{Keys: keys, Trusted: trust.pick(zone, keys), TTL: s.TTL()}
	out.Proof = NewPool(zone, now, out.Trusted...).Prove(s)
	out.Expires = out.Proof.Expires
	switch {
	case out.Proof.Good():
		out.Verdict = proven(s)
	case len(out.Trusted) == 0:
		out.Verdict = trust.mismatch(zone, keys)
	default:
		out.Verdict = silent(s, out.Trusted, out.Proof)
	}
	return out
}

// KeysOf is the keys of a DNSKEY set in a fixed order. Those of another
// protocol than DNSSEC (RFC 4034 section 2.1.2) are no keys.
func KeysOf(s Set) []rollover.DNSKEY {
	var out []rollover.DNSKEY
	for _, rr := range s.Records {
		if k, ok := rr.(*dns.DNSKEY); ok && k.Protocol == 3 {
			out = append(out, rollover.DNSKEY{Flags: k.Flags, Algorithm: k.Algorithm, PublicKey: k.PublicKey})
		}
	}
	slices.SortFunc(out, func(a, b rollover.DNSKEY) int {
		return cmp.Or(cmp.Compare(b.Flags, a.Flags), cmp.Compare(a.Algorithm, b.Algorithm), strings.Compare(a.PublicKey, b.PublicKey))
	})
	return slices.Compact(out)
}

// pick is the keys that the trust points to.
func (t Trust) pick(zone string, keys []rollover.DNSKEY) []rollover.DNSKEY {
	var out []rollover.DNSKEY
	for _, k := range keys {
		if slices.Contains(t.Keys, k) || t.pointsTo(zone, k) {
			out = append(out, k)
		}
	}
	return out
}

func (t Trust) pointsTo(zone string, k rollover.DNSKEY) bool {
	return slices.ContainsFunc(t.usable(), func(d rollover.DS) bool { return d.Algorithm == k.Algorithm && DigestFits(zone, d, k) })
}

// usable is the DS records that a validator heeds: of algorithms and digests
// that can be checked, at most MaxDS of them, and SHA-1 only where there is
// nothing better (RFC 4035 section 5.2, RFC 4509 section 3).
func (t Trust) usable() []rollover.DS {
	var out []rollover.DS
	strong := false
	for _, d := range t.DS {
		if checkable(d.Algorithm) && (d.DigestType == 1 || d.DigestType == 2 || d.DigestType == 4) {
			out = append(out, d)
			strong = strong || d.DigestType != 1
		}
	}
	out = slices.DeleteFunc(out, func(d rollover.DS) bool { return strong && d.DigestType == 1 })
	return out[:min(len(out), MaxDS)]
}

// DigestFits says whether a DS is that of a key, by its digest and tag; the
// algorithm number is not looked at.
func DigestFits(zone string, d rollover.DS, k rollover.DNSKEY) bool {
	if d.Tag != k.Tag() {
		return false
	}
	want := record(zone, k).ToDS(d.DigestType)
	return want != nil && strings.EqualFold(want.Digest, d.Digest)
}

// mismatch says why the trust points to no key of the set.
func (t Trust) mismatch(zone string, keys []rollover.DNSKEY) Verdict {
	usable := t.usable()
	switch {
	case len(t.Keys) > 0 || len(t.DS) == 0:
		return bogus(CodeDSMismatch, fmt.Sprintf("the trust anchor is for keys %s, and the DNSKEY set has keys %s", tagsOf(t.Keys), tagsOf(keys)))
	case rollover.NobodyKnows(t.DS) != "":
		return insecure(CodeUnknownDS, "insecure to every validator: nobody knows "+rollover.NobodyKnows(t.DS))
	case len(usable) == 0:
		return indeterminate(CodeUncheckable, fmt.Sprintf("no DS of %s has an algorithm and digest that can be checked here (%s)", zone, dsList(t.DS)))
	case len(t.DS) > MaxDS:
		return indeterminate(CodeTooMuch, fmt.Sprintf("%d DS records, of which %d were tried", len(t.DS), MaxDS))
	}
	for _, d := range usable {
		if v, ok := nearMiss(zone, d, keys); ok {
			return v
		}
	}
	return bogus(CodeDSMismatch, fmt.Sprintf("the DS is for key %s, and the DNSKEY set has keys %s", dsList(usable), tagsOf(keys)))
}

// nearMiss recognises a DS that was meant for a key of the set.
func nearMiss(zone string, d rollover.DS, keys []rollover.DNSKEY) (Verdict, bool) {
	for _, k := range keys {
		if k.Tag() != d.Tag {
			continue
		}
		if k.Algorithm != d.Algorithm {
			return bogus(CodeAlgorithm, fmt.Sprintf("the DS of key %d has algorithm %d, the key has algorithm %d", d.Tag, d.Algorithm, k.Algorithm)), true
		}
		want := record(zone, k).ToDS(d.DigestType)
		if want == nil {
			continue
		}
		return bogus(CodeDigest, fmt.Sprintf("the DS of key %d has digest %s, the key has digest %s", d.Tag, d.Digest, strings.ToUpper(want.Digest))), true
	}
	if !slices.ContainsFunc(keys, func(k rollover.DNSKEY) bool { return k.Algorithm == d.Algorithm }) {
		return bogus(CodeAlgorithm, fmt.Sprintf("the DS has algorithm %d, and no key of the zone has (%s)", d.Algorithm, tagsOf(keys))), true
	}
	return Verdict{}, false
}

// silent says why the key that the trust points to does not prove the set.
func silent(s Set, trusted []rollover.DNSKEY, proof Proof) Verdict {
	if len(s.Signatures) == 0 {
		return bogus(CodeUnsigned, "the DNSKEY set has no signature")
	}
	var own Proof
	for _, c := range proof.Checks {
		if slices.ContainsFunc(trusted, func(k rollover.DNSKEY) bool {
			return k.Tag() == c.Signature.KeyTag && k.Algorithm == c.Signature.Algorithm
		}) {
			own.Checks = append(own.Checks, c)
		}
	}
	if len(own.Checks) > 0 {
		return refused(own.fault(s))
	}
	return bogus(CodeDSKeySilent, fmt.Sprintf("key %s, which the DS is for, is in the DNSKEY set and has not signed it (signed by %s)", tagsOf(trusted), signersOf(s)))
}

func tagsOf(keys []rollover.DNSKEY) string {
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = fmt.Sprintf("%d/%d", k.Tag(), k.Algorithm)
	}
	return orNone(words)
}

func dsList(set []rollover.DS) string {
	words := make([]string, len(set))
	for i, d := range set {
		words[i] = fmt.Sprintf("%d/%d digest type %d", d.Tag, d.Algorithm, d.DigestType)
	}
	return orNone(words)
}

func signersOf(s Set) string {
	words := make([]string, len(s.Signatures))
	for i, sig := range s.Signatures {
		words[i] = fmt.Sprintf("%d/%d", sig.KeyTag, sig.Algorithm)
	}
	return orNone(words)
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
