package lab

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// window is when the signatures of a zone are valid, counted from now.
type window struct{ from, until time.Duration }

const day = 24 * time.Hour

// The windows of a signer that works, of one that stopped and will soon show
// it, of one that stopped long ago, and of one whose clock is ahead.
var (
	present = window{-10 * day, 20 * day}
	soon    = window{-30 * day, time.Hour}
	past    = window{-40 * day, -10 * day}
	future  = window{10 * day, 40 * day}
)

// presigning says that a zone comes signed from elsewhere, and when the
// signatures over its keys and those over all else are valid. pdnsutil signs
// for now, always.
type presigning struct{ keys, data window }

// plantPresigned puts a zone with its signatures into the primary's database.
// PowerDNS makes the NSEC records itself, from the order of the names.
func (b *seedbed) plantPresigned(ctx context.Context, r recipe) error {
	ksk, err := newKey(r.zone, 257, dns.ECDSAP256SHA256)
	zsk, err2 := newKey(r.zone, 256, dns.ECDSAP256SHA256)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	text := b.text(r)
	signatures, err := presign(text, r.zone, ksk, zsk, *r.presigned, time.Now())
	if err != nil {
		return err
	}
	if err := b.loadZone(ctx, b.c1, r, text+signatures); err != nil {
		return err
	}
	// Names are put in order only where there are keys.
	orders := [][]string{{"add-zone-key", "$zone", "ksk", "active", "ecdsa256", "256"}, {"rectify-zone", "$zone"}, {"remove-zone-key", "$zone", "$0"}, {"set-presigned", "$zone"}}
	if err := b.give(ctx, b.c1, r, orders); err != nil {
		return err
	}
	b.delegateWith(r, ksk.DNSKEY)
	return errors.Join(b.plantSecond(ctx, r, ""), b.give(ctx, b.c1, r, r.orders))
}

// signingKey is a key with its private half.
type signingKey struct {
	*dns.DNSKEY
	private crypto.Signer
}

// newKey makes a key of an algorithm whose keys have 256 bits.
func newKey(zone string, flags uint16, algorithm uint8) (signingKey, error) {
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: defaultTTL},
		Flags: flags, Protocol: 3, Algorithm: algorithm,
	}
	private, err := key.Generate(256)
	if err != nil {
		return signingKey{}, fmt.Errorf("making a key: %w", err)
	}
	return signingKey{key, private.(crypto.Signer)}, nil // every private key is one
}

// presign returns the keys and signatures of a zone, to be added to its file.
func presign(text, zone string, ksk, zsk signingKey, p presigning, now time.Time) (string, error) {
	records, err := parseZone(text)
	if err != nil {
		return "", err
	}
	keys := []dns.RR{ksk.DNSKEY, zsk.DNSKEY}
	var b strings.Builder
	for _, set := range rrsets(append(append(authoritative(records, zone), keys...), denials(append(records, keys...), zone)...)) {
		signer, valid := zsk, p.data
		if set[0].Header().Rrtype == dns.TypeDNSKEY {
			signer, valid = ksk, p.keys
		}
		sig, err := signature(set, zone, signer, valid, now)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, sig)
	}
	fmt.Fprintf(&b, "%s\n%s\n", ksk, zsk)
	return b.String(), nil
}

func parseZone(text string) ([]dns.RR, error) {
	var records []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(text), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("reading a zone file: %w", err)
	}
	return records, nil
}

// authoritative leaves out delegations and what is below them.
func authoritative(records []dns.RR, zone string) []dns.RR {
	return slices.DeleteFunc(slices.Clone(records), func(rr dns.RR) bool {
		cut := delegation(records, zone, rr.Header().Name)
		return cut != "" && rr.Header().Rrtype != dns.TypeDS
	})
}

// delegation is the delegation that a name is at or below, if any.
func delegation(records []dns.RR, zone, name string) string {
	for _, rr := range records {
		owner := rr.Header().Name
		if rr.Header().Rrtype == dns.TypeNS && owner != zone && dns.IsSubDomain(owner, name) {
			return owner
		}
	}
	return ""
}

// denials is the NSEC chain of a zone.
func denials(records []dns.RR, zone string) []dns.RR {
	types := make(map[string][]uint16)
	for _, rr := range records {
		name := rr.Header().Name
		if cut := delegation(records, zone, name); cut == "" || cut == name {
			types[name] = append(types[name], rr.Header().Rrtype)
		}
	}
	var names []string
	for name := range types {
		names = append(names, name)
	}
	slices.SortFunc(names, canonically)
	var chain []dns.RR
	for i, name := range names {
		bitmap := append(types[name], dns.TypeRRSIG, dns.TypeNSEC)
		slices.Sort(bitmap)
		chain = append(chain, &dns.NSEC{
			Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: defaultTTL},
			NextDomain: names[(i+1)%len(names)], TypeBitMap: slices.Compact(bitmap),
		})
	}
	return chain
}

// canonically orders names as RFC 4034 section 6.1 does: by label, the last
// one first.
func canonically(a, b string) int {
	as, bs := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(as)
	slices.Reverse(bs)
	return slices.CompareFunc(as, bs, cmp.Compare[string])
}

func signature(set []dns.RR, zone string, signer signingKey, valid window, now time.Time) (*dns.RRSIG, error) {
	sig := &dns.RRSIG{
		Hdr:        dns.RR_Header{Name: set[0].Header().Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: set[0].Header().Ttl},
		Inception:  uint32(now.Add(valid.from).Unix()),
		Expiration: uint32(now.Add(valid.until).Unix()),
		KeyTag:     signer.KeyTag(), SignerName: zone, Algorithm: signer.Algorithm,
	}
	if err := sig.Sign(signer.private, set); err != nil {
		return nil, fmt.Errorf("signing %s: %w", set[0].Header().Name, err)
	}
	return sig, nil
}
