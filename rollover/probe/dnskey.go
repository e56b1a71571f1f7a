package probe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// maxKeys bounds the DNSKEY set that is looked at.
const maxKeys = 64

// readKeys interprets the answer to a question for the DNSKEY set at the apex.
// An authoritative answer that there is none is a version without keys.
func readKeys(zone string, m *dns.Msg, now time.Time) (*rollover.KeyVersion, error) {
	if err := usable(m); err != nil {
		return nil, err
	}
	if m.Rcode == dns.RcodeNameError {
		return nil, errors.New("NXDOMAIN: does not know the zone")
	}
	sets, err := setsOf(m.Answer)
	if err != nil {
		return nil, err
	}
	s, ok := find(sets, zone, dns.TypeDNSKEY)
	if !ok {
		ttl, err := denied(m, func(owner string) bool { return owner == zone })
		if err != nil {
			return nil, err
		}
		return &rollover.KeyVersion{TTL: ttl}, nil
	}
	return readKeySet(zone, s, now)
}

func readKeySet(zone string, s set, now time.Time) (*rollover.KeyVersion, error) {
	if len(s.rrs) > maxKeys {
		return nil, fmt.Errorf("more than %d DNSKEY records", maxKeys)
	}
	keys := keysOf(s)
	proof := newPool(zone, now, keys...).prove(s)
	return &rollover.KeyVersion{Keys: keys, Signers: proof.signers, Faults: distinctFaults(proof.faults), TTL: s.ttl()}, nil
}

// keysOf is the keys of the set in a fixed order. Those of another protocol
// than DNSSEC (RFC 4034 section 2.1.2) are no keys.
func keysOf(s set) []rollover.DNSKEY {
	var out []rollover.DNSKEY
	for _, rr := range s.rrs {
		if k, ok := rr.(*dns.DNSKEY); ok && k.Protocol == 3 {
			out = append(out, rollover.DNSKEY{Flags: k.Flags, Algorithm: k.Algorithm, PublicKey: k.PublicKey})
		}
	}
	return distinct(out)
}

func find(sets []set, owner string, rrtype uint16) (set, bool) {
	i := slices.IndexFunc(sets, func(s set) bool { return s.owner == owner && s.rrtype == rrtype })
	if i < 0 {
		return set{}, false
	}
	return sets[i], true
}

// denied is how long caches keep an answer without records: the lesser of the
// SOA's TTL and its minimum (RFC 2308 section 5), in seconds. The SOA must be
// that of a zone that may give such an answer.
func denied(m *dns.Msg, entitled func(owner string) bool) (uint32, error) {
	for _, rr := range m.Ns {
		soa, ok := rr.(*dns.SOA)
		switch {
		case !ok || soa.Hdr.Class != dns.ClassINET:
		case entitled(soa.Hdr.Name):
			return min(soa.Hdr.Ttl, soa.Minttl), nil
		default:
			return 0, fmt.Errorf("answers from the zone %s", soa.Hdr.Name)
		}
	}
	return 0, errors.New("the answer has neither records nor an SOA")
}

// distinct sorts and removes doubles.
func distinct(keys []rollover.DNSKEY) []rollover.DNSKEY {
	slices.SortFunc(keys, func(a, b rollover.DNSKEY) int {
		return cmp.Or(cmp.Compare(b.Flags, a.Flags), cmp.Compare(a.Algorithm, b.Algorithm), strings.Compare(a.PublicKey, b.PublicKey))
	})
	return slices.Compact(keys)
}

func distinctFaults(faults []rollover.Signature) []rollover.Signature {
	slices.SortFunc(faults, func(a, b rollover.Signature) int {
		return cmp.Or(strings.Compare(a.On, b.On), cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Algorithm, b.Algorithm), strings.Compare(a.Fault, b.Fault))
	})
	return slices.Compact(faults)
}
