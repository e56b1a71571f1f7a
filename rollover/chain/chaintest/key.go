// Package chaintest makes keys, signatures and records for tests of whatever
// checks signatures.
package chaintest

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Now is when all signatures are made and checked.
func Now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// Key is a key that signs.
type Key struct {
	*dns.DNSKEY
	private crypto.Signer
}

// NewKey makes a key of a zone.
func NewKey(t testing.TB, zone string, flags uint16, algorithm uint8, bits int) Key {
	t.Helper()
	k := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: flags, Protocol: 3, Algorithm: algorithm,
	}
	private, err := k.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	return Key{k, private.(crypto.Signer)}
}

// FixedKey is the same key in every process, for fuzzers: the one that tries a
// seed is not the one that made it. Each number is another key.
func FixedKey(zone string, flags uint16, number byte) Key {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{number}, ed25519.SeedSize))
	return Key{&dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: flags, Protocol: 3, Algorithm: dns.ED25519, PublicKey: base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)),
	}, private}
}

// Ours is the key as the mind names it.
func (k Key) Ours() rollover.DNSKEY {
	return rollover.DNSKEY{Flags: k.Flags, Algorithm: k.Algorithm, PublicKey: k.PublicKey}
}

// Sign signs a set for two hours around Now; change alters the signature's
// claims before it is made.
func (k Key) Sign(t testing.TB, set []dns.RR, change ...func(*dns.RRSIG)) *dns.RRSIG {
	t.Helper()
	sig := &dns.RRSIG{
		Algorithm: k.Algorithm, KeyTag: k.KeyTag(), SignerName: k.Hdr.Name,
		Inception: uint32(Now().Add(-time.Hour).Unix()), Expiration: uint32(Now().Add(time.Hour).Unix()),
	}
	for _, c := range change {
		c(sig)
	}
	if err := sig.Sign(k.private, set); err != nil {
		t.Fatal(err)
	}
	return sig
}

// Between sets the validity period of a signature.
func Between(inception, expiration time.Time) func(*dns.RRSIG) {
	return func(sig *dns.RRSIG) {
		sig.Inception, sig.Expiration = uint32(inception.Unix()), uint32(expiration.Unix())
	}
}

// RR is one record in presentation form.
func RR(t testing.TB, text string) dns.RR {
	t.Helper()
	out, err := dns.NewRR(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

// RRs is several records.
func RRs(t testing.TB, texts ...string) []dns.RR {
	t.Helper()
	out := make([]dns.RR, len(texts))
	for i, text := range texts {
		out[i] = RR(t, text)
	}
	return out
}

// Expanded is a record of an owner made from the wildcard below the key's zone,
// with its signature.
func (k Key) Expanded(t testing.TB, owner, rdata string) ([]dns.RR, *dns.RRSIG) {
	t.Helper()
	sig := k.Sign(t, RRs(t, "*."+k.Hdr.Name+" 60 IN "+rdata))
	sig.Hdr.Name = owner
	return RRs(t, owner+" 60 IN "+rdata), sig
}

// TrySign completes a signature over a set, or says why it cannot.
func (k Key) TrySign(sig *dns.RRSIG, set []dns.RR) error { return sig.Sign(k.private, set) }
