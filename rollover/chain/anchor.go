package chain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Anchors is what is trusted without proof: keys, or DS records of keys, by
// the zone they belong to, in lower case.
type Anchors map[string]Trust

// ParseAnchors reads DS and DNSKEY records in zone-file form (RFC 1035 section
// 5); other records are errors, and so is a file without any. name is for
// error messages.
func ParseAnchors(text io.Reader, name string) (Anchors, error) {
	raw, err := io.ReadAll(text)
	if err != nil {
		return nil, fmt.Errorf("reading trust anchors from %s: %w", name, err)
	}
	out := Anchors{}
	parser := dns.NewZoneParser(bytes.NewReader(raw), ".", name)
	parser.SetDefaultTTL(3600)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if err := out.add(rr); err != nil {
			return nil, fmt.Errorf("trust anchors in %s: %w", name, err)
		}
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("trust anchors: %w", err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("trust anchors in %s: expected DS or DNSKEY records, found none", name)
	}
	return out, nil
}

func (a Anchors) add(rr dns.RR) error {
	zone := dns.CanonicalName(rr.Header().Name)
	t := a[zone]
	switch rr := rr.(type) {
	case *dns.DS:
		if rr.Digest == "" {
			return fmt.Errorf("the DS %d of %s has no digest", rr.KeyTag, zone)
		}
		t.DS = append(t.DS, dsOf(Set{Records: []dns.RR{rr}})...)
	case *dns.DNSKEY:
		if rr.Flags&dns.ZONE == 0 || rr.Flags&dns.REVOKE != 0 || rr.Protocol != 3 || rr.PublicKey == "" {
			return fmt.Errorf("the DNSKEY %d of %s is revoked, or is no zone key, or is empty", rr.KeyTag(), zone)
		}
		t.Keys = append(t.Keys, rollover.DNSKEY{Flags: rr.Flags, Algorithm: rr.Algorithm, PublicKey: rr.PublicKey})
	default:
		return errors.New("expected DS and DNSKEY records only, found " + dns.Type(rr.Header().Rrtype).String())
	}
	a[zone] = t
	return nil
}

// RootAnchors is the trust anchors of the root zone as IANA publishes them
// (RFC 9718, root-anchors.xml): KSK-2017 and KSK-2024.
func RootAnchors() Anchors {
	return Anchors{".": Trust{DS: []rollover.DS{
		{Tag: 20326, Algorithm: 8, DigestType: 2, Digest: "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"},
		{Tag: 38696, Algorithm: 8, DigestType: 2, Digest: "683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"},
	}}}
}

// Above is the closest zone with an anchor that a name is in.
func (a Anchors) Above(name string) (string, bool) {
	zone, _, ok := a.above(name)
	return zone, ok
}

// Of is the keys of a zone that are trusted without proof, as DS records of digest
// type 2, or of the type that the anchor has; none for a zone without an anchor.
func (a Anchors) Of(zone string) []rollover.DS {
	out := slices.Clone(a[zone].DS)
	for _, k := range a[zone].Keys {
		if d, err := k.DS(zone, 2); err == nil && !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// above is the closest zone with an anchor that a name is in.
func (a Anchors) above(name string) (string, Trust, bool) {
	for _, zone := range append([]string{name}, enclosers(".", name)...) {
		if t, ok := a[zone]; ok {
			return zone, t, true
		}
	}
	return "", Trust{}, false
}
