package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// maxDS bounds the DS set that is looked at.
const maxDS = 50

var errChildSide = errors.New("answers as the child zone, not as the parent")

// readDS interprets the answer of a parent server. An authoritative answer
// that there is no DS, or no such name, is a version without records; it must
// come from a zone above, for a server of the child says the same about a DS
// that it cannot know (RFC 4035 section 3.1.4.1).
func readDS(zone string, m *dns.Msg) (*rollover.DSVersion, error) {
	if err := usable(m); err != nil {
		return nil, err
	}
	sets, err := chain.Sets(m.Answer)
	if err != nil {
		return nil, err
	}
	s, ok := chain.Find(sets, zone, dns.TypeDS)
	if !ok {
		ttl, err := denied(m, func(owner string) bool { return owner != zone && dns.IsSubDomain(owner, zone) })
		if err != nil && ownSOA(zone, m) {
			err = errChildSide
		}
		if err != nil {
			return nil, err
		}
		return &rollover.DSVersion{TTL: ttl}, nil
	}
	if ownSOA(zone, m) || slices.ContainsFunc(s.Signatures, func(sig *dns.RRSIG) bool { return dns.CanonicalName(sig.SignerName) == zone }) {
		return nil, errChildSide
	}
	records, err := dsRecords(s)
	if err != nil {
		return nil, err
	}
	return &rollover.DSVersion{Set: records, TTL: s.TTL()}, nil
}

func ownSOA(zone string, m *dns.Msg) bool {
	return slices.ContainsFunc(m.Ns, func(rr dns.RR) bool {
		soa, ok := rr.(*dns.SOA)
		return ok && soa.Hdr.Name == zone
	})
}

// dsRecords is the set in a fixed order, digests in upper case.
func dsRecords(s chain.Set) ([]rollover.DS, error) {
	if len(s.Records) > maxDS {
		return nil, fmt.Errorf("more than %d DS records", maxDS)
	}
	var out []rollover.DS
	for _, rr := range s.Records {
		if d, ok := rr.(*dns.DS); ok {
			out = append(out, rollover.DS{Tag: d.KeyTag, Algorithm: d.Algorithm, DigestType: d.DigestType, Digest: strings.ToUpper(d.Digest)})
		}
	}
	slices.SortFunc(out, func(a, b rollover.DS) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Algorithm, b.Algorithm), cmp.Compare(a.DigestType, b.DigestType), strings.Compare(a.Digest, b.Digest))
	})
	return slices.Compact(out), nil
}

// askValidators asks every validating resolver for the DS set.
func (c *Client) askValidators(ctx context.Context, zone string) []rollover.ValidatorSighting {
	return each(c.Validators, func(text string) rollover.ValidatorSighting {
		at, err := c.validatorAddress(ctx, text)
		if err != nil {
			return rollover.ValidatorSighting{Address: text, Unknown: err.Error()}
		}
		return c.askValidator(ctx, at, zone)
	})
}

func (c *Client) validatorAddress(ctx context.Context, text string) (netip.AddrPort, error) {
	p, err := parsePlace(text, defaultPort)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if p.host == "" {
		return netip.AddrPortFrom(p.addr, p.port), nil
	}
	found := c.lookUp(ctx, p.host)
	if len(found.addrs) == 0 {
		return netip.AddrPort{}, errors.New(cmp.Or(found.doubt, "no address found for "+p.host))
	}
	return netip.AddrPortFrom(found.addrs[0], p.port), nil
}

// askValidator asks one. SERVFAIL with an answer when checking is disabled
// means that validation failed; any other SERVFAIL means nothing.
func (c *Client) askValidator(ctx context.Context, at netip.AddrPort, zone string) rollover.ValidatorSighting {
	out := rollover.ValidatorSighting{Address: at.String()}
	m, err := c.exchange(ctx, at, validated(zone, dns.TypeDS, false))
	if err == nil && m.Rcode == dns.RcodeServerFailure {
		unchecked, err := c.exchange(ctx, at, validated(zone, dns.TypeDS, true))
		out.Bogus = err == nil && answered(unchecked)
	}
	switch {
	case err != nil:
		out.Unknown = err.Error()
	case out.Bogus:
	case !answered(m):
		out.Unknown = rcode(m)
	default:
		return readValidator(zone, m, out)
	}
	return out
}

func readValidator(zone string, m *dns.Msg, out rollover.ValidatorSighting) rollover.ValidatorSighting {
	sets, err := chain.Sets(m.Answer)
	if err == nil {
		if s, ok := chain.Find(sets, zone, dns.TypeDS); ok {
			out.Set, err = dsRecords(s)
		}
	}
	if err != nil {
		out.Unknown = err.Error()
	}
	out.AD = m.AuthenticatedData
	return out
}

func answered(m *dns.Msg) bool {
	return m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError
}

// validated is a question to a validating resolver. The AD bit asks for the AD
// bit (RFC 6840 section 5.7).
func validated(zone string, rrtype uint16, checkingDisabled bool) *dns.Msg {
	m := question(zone, rrtype)
	m.RecursionDesired, m.AuthenticatedData, m.CheckingDisabled = true, true, checkingDisabled
	m.SetEdns0(ednsSize, true)
	return m
}
