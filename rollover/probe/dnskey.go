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
	"rollover/rollover/chain"
)

// readKeys interprets the answer to a question for the DNSKEY set at the apex.
// An authoritative answer that there is none is a version without keys.
func readKeys(zone string, m *dns.Msg, now time.Time, budget *chain.Budget) (*rollover.KeyVersion, error) {
	if err := usable(m); err != nil {
		return nil, err
	}
	if m.Rcode == dns.RcodeNameError {
		return nil, errors.New("NXDOMAIN: does not know the zone")
	}
	sets, err := chain.Sets(m.Answer)
	if err != nil {
		return nil, err
	}
	s, ok := chain.Find(sets, zone, dns.TypeDNSKEY)
	if !ok {
		ttl, err := denied(m, func(owner string) bool { return owner == zone })
		if err != nil {
			return nil, err
		}
		return &rollover.KeyVersion{TTL: ttl}, nil
	}
	return readKeySet(zone, s, now, budget)
}

func readKeySet(zone string, s chain.Set, now time.Time, budget *chain.Budget) (*rollover.KeyVersion, error) {
	if len(s.Records) > chain.MaxKeys {
		return nil, fmt.Errorf("more than %d DNSKEY records", chain.MaxKeys)
	}
	keys := chain.KeysOf(s)
	proof := chain.NewPool(zone, now, keys...).Within(budget).Prove(s)
	return &rollover.KeyVersion{Keys: keys, Signers: distinct(proof.Signers), Faults: distinctFaults(faultsOf(s, proof)), TTL: s.TTL(), Expires: proof.Expires}, nil
}

// faultsOf is what is wrong with the signatures on a set.
func faultsOf(s chain.Set, p chain.Proof) []rollover.Signature {
	if len(p.Checks) == 0 {
		return []rollover.Signature{{On: s.String(), Fault: "unsigned"}}
	}
	var out []rollover.Signature
	for _, c := range p.Checks {
		if c.Fault != nil {
			out = append(out, rollover.Signature{Tag: c.Signature.KeyTag, Algorithm: c.Signature.Algorithm, On: s.String(), Fault: c.Fault.Error()})
		}
	}
	return out
}

// sooner is the earlier of two moments, of which one may not be known.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
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
