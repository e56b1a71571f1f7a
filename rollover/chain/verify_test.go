package chain

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

const zone = "zone.example."

// now is when all signatures are made and checked.
var now = chaintest.Now()

func setOf(rrs []dns.RR, sigs ...*dns.RRSIG) Set {
	h := rrs[0].Header()
	return Set{Owner: h.Name, Type: h.Rrtype, Records: rrs, Signatures: sigs}
}

func TestGoodSignatures(t *testing.T) {
	keys := map[string]chaintest.Key{
		"RSASHA256": chaintest.NewKey(t, zone, 256, dns.RSASHA256, 2048), "RSASHA1": chaintest.NewKey(t, zone, 257, dns.RSASHA1, 1024),
		"ECDSAP256": chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256), "ECDSAP384": chaintest.NewKey(t, zone, 256, dns.ECDSAP384SHA384, 384),
		"ED25519": chaintest.NewKey(t, zone, 256, dns.ED25519, 256),
	}
	for name, key := range keys {
		for _, owner := range []string{zone, "a.b.zone.example.", "*.zone.example.", `x\.y.zone.example.`} {
			a := chaintest.RRs(t, owner+" 60 IN A 192.0.2.1", owner+" 60 IN A 192.0.2.2")
			if err := verifyStrict(zone, key.Sign(t, a), key.DNSKEY, setOf(a), now); err != nil {
				t.Errorf("%s over %s: %v", name, owner, err)
			}
		}
	}
}

// wildcard is a set expanded from *.zone.example. and its signature.
func wildcard(t *testing.T, key chaintest.Key, owner, rdata string) (Set, *dns.RRSIG) {
	t.Helper()
	rrs, sig := key.Expanded(t, owner, rdata)
	return setOf(rrs, sig), sig
}

// forgery is a signature that must not count, or must, and why.
type forgery struct {
	zone   string
	sig    *dns.RRSIG
	key    *dns.DNSKEY
	set    Set
	expect string
}

func (f forgery) run(t *testing.T) {
	got := ""
	if err := verifyStrict(f.zone, f.sig, f.key, f.set, now); err != nil {
		got = err.Error()
	}
	if got != f.expect {
		t.Errorf("expected %q, got %q", f.expect, got)
	}
}

// The library's Verify accepts every one of these.
func TestWhatTheLibraryAccepts(t *testing.T) {
	key := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	revoked := chaintest.NewKey(t, zone, 256|dns.REVOKE, dns.ECDSAP256SHA256, 256)
	small := chaintest.NewKey(t, "one.example.", 256, dns.ECDSAP256SHA256, 256)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	suffix := chaintest.RRs(t, "notone.example. 60 IN A 192.0.2.1")
	long, longSig := wildcard(t, key, "a.b.zone.example.", "A 192.0.2.1")
	soa, soaSig := wildcard(t, key, "a.zone.example.", "SOA a. b. 1 2 3 4 5")
	above, aboveSig := func() (Set, *dns.RRSIG) {
		sig := key.Sign(t, chaintest.RRs(t, "*.example. 60 IN A 192.0.2.1"), func(s *dns.RRSIG) { s.SignerName = zone })
		sig.Hdr.Name = "www.zone.example."
		return setOf(a), sig
	}()
	day := 24 * time.Hour
	cases := map[string]forgery{
		"expired":                  {zone, key.Sign(t, a, chaintest.Between(now.Add(-2*day), now.Add(-day))), key.DNSKEY, setOf(a), "expired at 2026-02-28T12:00:00Z"},
		"not valid yet":            {zone, key.Sign(t, a, chaintest.Between(now.Add(day), now.Add(2*day))), key.DNSKEY, setOf(a), "not valid before 2026-03-02T12:00:00Z"},
		"expires before it begins": {zone, key.Sign(t, a, chaintest.Between(now.Add(time.Minute), now.Add(-time.Minute))), key.DNSKEY, setOf(a), "expired at 2026-03-01T11:59:00Z"},
		"signer by text only":      {"one.example.", small.Sign(t, suffix), small.DNSKEY, setOf(suffix), "notone.example. is not in the zone"},
		"revoked key":              {zone, revoked.Sign(t, a), revoked.DNSKEY, setOf(a), "the key is revoked"},
		"wildcard over an SOA":     {zone, soaSig, key.DNSKEY, soa, "made for 2 labels, where the owner has 3"},
		"wildcard above the zone":  {zone, aboveSig, key.DNSKEY, above, "made for 1 labels, where the owner has 3"},
		"wildcard of the zone":     {zone, longSig, key.DNSKEY, long, ""}, // its own server may expand it
	}
	for name, f := range cases {
		if err := f.sig.Verify(f.key, f.set.Records); err != nil {
			t.Errorf("%s: the library accepts that no more: %v", name, err)
		}
		t.Run(name, f.run)
	}
}

func TestBadSignatures(t *testing.T) {
	key := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	other := chaintest.NewKey(t, "other.example.", 256, dns.ECDSAP256SHA256, 256)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	changed := func(change func(k *dns.DNSKEY)) *dns.DNSKEY {
		k := *key.DNSKEY
		change(&k)
		return &k
	}
	labelled := func(labels uint8) *dns.RRSIG {
		sig := key.Sign(t, a)
		sig.Labels = labels
		return sig
	}
	cases := map[string]forgery{
		"signer elsewhere": {zone, other.Sign(t, a), other.DNSKEY, setOf(a), "signer is other.example., not the zone"},
		"no zone key":      {zone, key.Sign(t, a), changed(func(k *dns.DNSKEY) { k.Flags = 0 }), setOf(a), "the key is not a zone key"},
		"protocol":         {zone, key.Sign(t, a), changed(func(k *dns.DNSKEY) { k.Protocol = 2 }), setOf(a), "the key has protocol 2, not 3"},
		"key's algorithm":  {zone, key.Sign(t, a), changed(func(k *dns.DNSKEY) { k.Algorithm = 14 }), setOf(a), "no such key"},
		"key's tag":        {zone, key.Sign(t, a), changed(func(k *dns.DNSKEY) { k.Flags = 257 }), setOf(a), "no such key"},
		"key's owner":      {zone, key.Sign(t, a), changed(func(k *dns.DNSKEY) { k.Hdr.Name = "other.example." }), setOf(a), "no such key"},
		"other records":    {zone, key.Sign(t, a), key.DNSKEY, setOf(chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.66")), "does not verify"},
		"a record missing": {zone, key.Sign(t, append(a, chaintest.RR(t, "www.zone.example. 60 IN A 192.0.2.2"))), key.DNSKEY, setOf(a), "does not verify"},
		"too many labels":  {zone, labelled(4), key.DNSKEY, setOf(a), "made for 4 labels, where the owner has 3"},
		"too few labels":   {zone, labelled(2), key.DNSKEY, setOf(a), "does not verify"},
		"Ed448":            {zone, &dns.RRSIG{Algorithm: dns.ED448, SignerName: zone}, key.DNSKEY, setOf(a), "algorithm 16 cannot be checked here"},
		"DSA":              {zone, &dns.RRSIG{Algorithm: dns.DSA, SignerName: zone}, key.DNSKEY, setOf(a), "algorithm 3 cannot be checked here"},
	}
	for name, f := range cases {
		t.Run(name, f.run)
	}
}

// A key that cannot be used here is not one that made a bad signature.
func TestKeysThatCannotBeUsed(t *testing.T) {
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	rsa := func(bits int) string {
		return encode(append([]byte{3, 1, 0, 1}, bytes.Repeat([]byte{0xA5}, bits/8)...))
	}
	signer := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	cases := map[string]struct {
		public    string
		algorithm uint8
		expect    string
	}{
		"ECDSA of three octets": {"AAAA", dns.ECDSAP256SHA256, "cannot be checked here: the key has a form that is not understood"},
		"RSA of 8192 bits":      {rsa(8192), dns.RSASHA256, "cannot be checked here: the key is longer than 4096 bits"},
		"RSA of 4096 bits":      {rsa(4096), dns.RSASHA256, "does not verify"},
		"RSA of 512 bits":       {rsa(512), dns.RSASHA256, "cannot be checked here: crypto/rsa: 512-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"},
	}
	for name, tc := range cases {
		k := *signer.DNSKEY
		k.PublicKey, k.Algorithm = tc.public, tc.algorithm
		sig := signer.Sign(t, a)
		sig.KeyTag, sig.Algorithm = k.KeyTag(), tc.algorithm
		t.Run(name, forgery{zone, sig, &k, setOf(a), tc.expect}.run)
	}
}

// The edges belong to the period, and times wrap in 2106 (RFC 4034 section 3.1.5).
func TestValidityPeriod(t *testing.T) {
	wrap := time.Unix(1<<32, 0)
	cases := []struct {
		at, inception, expiration time.Time
		good                      bool
	}{
		{now, now, now, true},
		{now.Add(time.Second), now, now, false},
		{now.Add(-time.Second), now, now, false},
		{wrap.Add(-time.Hour), wrap.Add(-2 * time.Hour), wrap.Add(2 * time.Hour), true},
		{wrap.Add(time.Hour), wrap.Add(-2 * time.Hour), wrap.Add(2 * time.Hour), true},
		{wrap.Add(3 * time.Hour), wrap.Add(-2 * time.Hour), wrap.Add(2 * time.Hour), false},
	}
	for _, tc := range cases {
		sig := &dns.RRSIG{}
		chaintest.Between(tc.inception, tc.expiration)(sig)
		if err := valid(sig, tc.at); (err == nil) != tc.good {
			t.Errorf("at %s, period %s to %s: expected %t, got %v", tc.at, tc.inception, tc.expiration, tc.good, err)
		}
		if tc.at.Year() < 2100 && sig.ValidityPeriod(tc.at) != tc.good {
			t.Errorf("at %s: the library disagrees", tc.at)
		}
	}
}

// A hostile answer cannot cause more than a few verifications (CVE-2023-50387).
func TestWorkIsBounded(t *testing.T) {
	key := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	s := setOf(a)
	for i := range 20 {
		sig := key.Sign(t, a)
		if i < 19 {
			sig.Signature = strings.Repeat("A", 86) + "=="
		}
		s.Signatures = append(s.Signatures, sig)
	}
	proof := NewPool(zone, now, key.Ours()).Prove(s)
	if len(proof.Signers) != 0 || len(proof.Checks) != 20 {
		t.Errorf("expected no signer and 20 faults, got %v", proof)
	}
	checked := 0
	for _, f := range proof.Checks {
		if f.Fault.Error() == "does not verify" {
			checked++
		}
	}
	if last := proof.Checks[19].Fault.Error(); checked != MaxChecks || last != "not checked: more than 8 signatures to check on one record set" {
		t.Errorf("expected %d checks, got %d, then %q", MaxChecks, checked, last)
	}
}

// Keys with the same tag: the first four are tried, so ours come first.
func TestKeysWithOneTag(t *testing.T) {
	key := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	var twins []rollover.DNSKEY
	for i := range 6 {
		twins = append(twins, swapped(t, key, i))
	}
	first := NewPool(zone, now, append([]rollover.DNSKEY{key.Ours()}, twins...)...)
	if got := first.Prove(setOf(a, key.Sign(t, a))); len(got.Signers) != 1 {
		t.Errorf("our key first: expected it to be found, got %v", got)
	}
	last := NewPool(zone, now, append(twins, key.Ours())...)
	if got := last.Prove(setOf(a, key.Sign(t, a))); len(got.Signers) != 0 || len(got.Checks) != 1 {
		t.Errorf("our key behind 6 others: expected a fault, got %v", got)
	}
	if n := len(last.keys[keyID{key.KeyTag(), key.Algorithm}]); n != MaxKeysPerTag {
		t.Errorf("expected %d keys, got %d", MaxKeysPerTag, n)
	}
}

func encode(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

func decode(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// swapped is another key with the same tag: two octet pairs change places.
func swapped(t *testing.T, key chaintest.Key, i int) rollover.DNSKEY {
	t.Helper()
	raw := decode(t, key.PublicKey)
	raw[0], raw[1], raw[2*i+2], raw[2*i+3] = raw[2*i+2], raw[2*i+3], raw[0], raw[1]
	k := key.Ours()
	k.PublicKey = encode(raw)
	if k.Tag() != key.KeyTag() {
		t.Fatalf("tag %d, expected %d", k.Tag(), key.KeyTag())
	}
	return k
}

func TestTooManySetsAndSignatures(t *testing.T) {
	var many []dns.RR
	for i := range MaxSets + 1 {
		many = append(many, chaintest.RR(t, fmt.Sprintf("n%d.zone.example. 1 IN A 192.0.2.1", i)))
	}
	if _, err := Sets(many); err == nil || err.Error() != "more than 64 record sets in one answer" {
		t.Errorf("%d sets: got %v", len(many), err)
	}
	if sets, err := Sets(many[1:]); err != nil || len(sets) != MaxSets {
		t.Errorf("%d sets: got %d, %v", MaxSets, len(sets), err)
	}
	key := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	signed := many[:1]
	for range MaxSignatures + 1 {
		signed = append(signed, key.Sign(t, many[:1]))
	}
	if _, err := Sets(signed); err == nil || err.Error() != "more than 64 signatures on n0.zone.example. A" {
		t.Errorf("too many signatures: got %v", err)
	}
}
