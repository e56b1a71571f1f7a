package lab

import (
	"slices"

	"github.com/miekg/dns"
)

// Torn says whether a violation is an answer that a secondary of PowerDNS has put
// together from two transfers: the records of one with the signature of another,
// by a key that is there. Every change of a zone can do that, whatever it changes.
func (v Violation) Torn(seen []Version) bool {
	return v.tornSOA(seen) || v.tornKeys(seen)
}

// tornSOA is that with an SOA record: the signature verifies another one that a
// server of the zone has shown, however many serials later.
func (v Violation) tornSOA(seen []Version) bool {
	for _, sig := range of[*dns.RRSIG](v.Lower[0]) {
		for _, key := range of[*dns.DNSKEY](v.Upper[0]) {
			verifies := func(o Version) bool {
				return o.Zone == v.Zone && slices.ContainsFunc(of[*dns.SOA](o), func(soa *dns.SOA) bool { return sig.Verify(key, []dns.RR{soa}) == nil })
			}
			if sig.TypeCovered == dns.TypeSOA && sig.KeyTag == key.KeyTag() && !verifies(v.Lower[0]) && slices.ContainsFunc(seen, verifies) {
				return true
			}
		}
	}
	return false
}

// tornKeys is that with a DNSKEY set: the signature verifies another set that a
// server of the zone has shown.
func (v Violation) tornKeys(seen []Version) bool {
	for _, sig := range of[*dns.RRSIG](v.Lower[0]) {
		for _, key := range of[*dns.DNSKEY](v.Lower[0]) {
			verifies := func(o Version) bool { return o.Zone == v.Zone && sig.Verify(key, keySetOf(o)) == nil }
			if sig.KeyTag == key.KeyTag() && !verifies(v.Lower[0]) && slices.ContainsFunc(seen, verifies) {
				return true
			}
		}
	}
	return false
}

func keySetOf(v Version) (out []dns.RR) {
	for _, key := range of[*dns.DNSKEY](v) {
		out = append(out, key)
	}
	return out
}

// of is the records of one type in a version.
func of[T dns.RR](v Version) []T {
	var out []T
	for _, rr := range v.Records {
		if r, ok := rr.(T); ok {
			out = append(out, r)
		}
	}
	return out
}
