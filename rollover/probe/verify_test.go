package probe

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

func setOf(rrs []dns.RR, sigs ...*dns.RRSIG) set {
	h := rrs[0].Header()
	return set{owner: h.Name, rrtype: h.Rrtype, rrs: rrs, sigs: sigs}
}

func TestGoodSignatures(t *testing.T) {
	keys := map[string]keypair{
		"RSASHA256": newKey(t, zone, 256, dns.RSASHA256, 2048), "RSASHA1": newKey(t, zone, 257, dns.RSASHA1, 1024),
		"ECDSAP256": newKey(t, zone, 256, dns.ECDSAP256SHA256, 256), "ECDSAP384": newKey(t, zone, 256, dns.ECDSAP384SHA384, 384),
		"ED25519": newKey(t, zone, 256, dns.ED25519, 256),
	}
	for name, key := range keys {
		for _, owner := range []string{zone, "a.b.zone.example.", "*.zone.example.", `x\.y.zone.example.`} {
			a := rrs(t, owner+" 60 IN A 192.0.2.1", owner+" 60 IN A 192.0.2.2")
			if err := verifyStrict(zone, key.sign(t, a), key.DNSKEY, setOf(a), now); err != nil {
				t.Errorf("%s over %s: %v", name, owner, err)
			}
		}
	}
}

// wildcard is a set expanded from *.zone.example. and its signature.
func wildcard(t *testing.T, key keypair, owner, rdata string) (set, *dns.RRSIG) {
	t.Helper()
	sig := key.sign(t, rrs(t, "*.zone.example. 60 IN "+rdata))
	sig.Hdr.Name = owner
	return setOf(rrs(t, owner+" 60 IN "+rdata), sig), sig
}

// forgery is a signature that must not count, or must, and why.
type forgery struct {
	zone   string
	sig    *dns.RRSIG
	key    *dns.DNSKEY
	set    set
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
	key := newKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	revoked := newKey(t, zone, 256|dns.REVOKE, dns.ECDSAP256SHA256, 256)
	small := newKey(t, "one.example.", 256, dns.ECDSAP256SHA256, 256)
	a := rrs(t, "www.zone.example. 60 IN A 192.0.2.1")
	suffix := rrs(t, "notone.example. 60 IN A 192.0.2.1")
	long, longSig := wildcard(t, key, "a.b.zone.example.", "A 192.0.2.1")
	soa, soaSig := wildcard(t, key, "a.zone.example.", "SOA a. b. 1 2 3 4 5")
	above, aboveSig := func() (set, *dns.RRSIG) {
		sig := key.sign(t, rrs(t, "*.example. 60 IN A 192.0.2.1"), func(s *dns.RRSIG) { s.SignerName = zone })
		sig.Hdr.Name = "www.zone.example."
		return setOf(a), sig
	}()
	day := 24 * time.Hour
	cases := map[string]forgery{
		"expired":                  {zone, key.sign(t, a, between(now.Add(-2*day), now.Add(-day))), key.DNSKEY, setOf(a), "expired at 2026-02-28T12:00:00Z"},
		"not valid yet":            {zone, key.sign(t, a, between(now.Add(day), now.Add(2*day))), key.DNSKEY, setOf(a), "not valid before 2026-03-02T12:00:00Z"},
		"expires before it begins": {zone, key.sign(t, a, between(now.Add(time.Minute), now.Add(-time.Minute))), key.DNSKEY, setOf(a), "expired at 2026-03-01T11:59:00Z"},
		"signer by text only":      {"one.example.", small.sign(t, suffix), small.DNSKEY, setOf(suffix), "notone.example. is not in the zone"},
		"revoked key":              {zone, revoked.sign(t, a), revoked.DNSKEY, setOf(a), "the key is revoked"},
		"wildcard over an SOA":     {zone, soaSig, key.DNSKEY, soa, "made for 2 labels, where the owner has 3"},
		"wildcard above the zone":  {zone, aboveSig, key.DNSKEY, above, "made for 1 labels, where the owner has 3"},
		"wildcard of the zone":     {zone, longSig, key.DNSKEY, long, ""}, // its own server may expand it
	}
	for name, f := range cases {
		if err := f.sig.Verify(f.key, f.set.rrs); err != nil {
			t.Errorf("%s: the library accepts that no more: %v", name, err)
		}
		t.Run(name, f.run)
	}
}

func TestBadSignatures(t *testing.T) {
	key := newKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	other := newKey(t, "other.example.", 256, dns.ECDSAP256SHA256, 256)
	a := rrs(t, "www.zone.example. 60 IN A 192.0.2.1")
	changed := func(change func(k *dns.DNSKEY)) *dns.DNSKEY {
		k := *key.DNSKEY
		change(&k)
		return &k
	}
	labelled := func(labels uint8) *dns.RRSIG {
		sig := key.sign(t, a)
		sig.Labels = labels
		return sig
	}
	cases := map[string]forgery{
		"signer elsewhere": {zone, other.sign(t, a), other.DNSKEY, setOf(a), "signer is other.example., not the zone"},
		"no zone key":      {zone, key.sign(t, a), changed(func(k *dns.DNSKEY) { k.Flags = 0 }), setOf(a), "the key is not a zone key"},
		"protocol":         {zone, key.sign(t, a), changed(func(k *dns.DNSKEY) { k.Protocol = 2 }), setOf(a), "the key has protocol 2, not 3"},
		"key's algorithm":  {zone, key.sign(t, a), changed(func(k *dns.DNSKEY) { k.Algorithm = 14 }), setOf(a), "no such key"},
		"key's tag":        {zone, key.sign(t, a), changed(func(k *dns.DNSKEY) { k.Flags = 257 }), setOf(a), "no such key"},
		"key's owner":      {zone, key.sign(t, a), changed(func(k *dns.DNSKEY) { k.Hdr.Name = "other.example." }), setOf(a), "no such key"},
		"other records":    {zone, key.sign(t, a), key.DNSKEY, setOf(rrs(t, "www.zone.example. 60 IN A 192.0.2.66")), "does not verify"},
		"a record missing": {zone, key.sign(t, append(a, rr(t, "www.zone.example. 60 IN A 192.0.2.2"))), key.DNSKEY, setOf(a), "does not verify"},
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
	a := rrs(t, "www.zone.example. 60 IN A 192.0.2.1")
	rsa := func(bits int) string {
		return encode(append([]byte{3, 1, 0, 1}, bytes.Repeat([]byte{0xA5}, bits/8)...))
	}
	signer := newKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
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
		sig := signer.sign(t, a)
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
		between(tc.inception, tc.expiration)(sig)
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
	key := newKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	a := rrs(t, "www.zone.example. 60 IN A 192.0.2.1")
	s := setOf(a)
	for i := range 20 {
		sig := key.sign(t, a)
		if i < 19 {
			sig.Signature = strings.Repeat("A", 86) + "=="
		}
		s.sigs = append(s.sigs, sig)
	}
	proof := newPool(zone, now, key.ours()).prove(s)
	if len(proof.signers) != 0 || len(proof.faults) != 20 {
		t.Errorf("expected no signer and 20 faults, got %v", proof)
	}
	checked := 0
	for _, f := range proof.faults {
		if f.Fault == "does not verify" {
			checked++
		}
	}
	if last := proof.faults[19].Fault; checked != maxChecks || last != "not checked: more than 8 signatures to check on one record set" {
		t.Errorf("expected %d checks, got %d, then %q", maxChecks, checked, last)
	}
}

// Keys with the same tag: the first four are tried, so ours come first.
func TestKeysWithOneTag(t *testing.T) {
	key := newKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	a := rrs(t, "www.zone.example. 60 IN A 192.0.2.1")
	var twins []rollover.DNSKEY
	for i := range 6 {
		twins = append(twins, swapped(t, key, i))
	}
	first := newPool(zone, now, append([]rollover.DNSKEY{key.ours()}, twins...)...)
	if got := first.prove(setOf(a, key.sign(t, a))); len(got.signers) != 1 {
		t.Errorf("our key first: expected it to be found, got %v", got)
	}
	last := newPool(zone, now, append(twins, key.ours())...)
	if got := last.prove(setOf(a, key.sign(t, a))); len(got.signers) != 0 || len(got.faults) != 1 {
		t.Errorf("our key behind 6 others: expected a fault, got %v", got)
	}
	if n := len(last.keys[keyID{key.KeyTag(), key.Algorithm}]); n != maxKeysPerTag {
		t.Errorf("expected %d keys, got %d", maxKeysPerTag, n)
	}
}

// swapped is another key with the same tag: two octet pairs change places.
func swapped(t *testing.T, key keypair, i int) rollover.DNSKEY {
	t.Helper()
	raw := decode(t, key.PublicKey)
	raw[0], raw[1], raw[2*i+2], raw[2*i+3] = raw[2*i+2], raw[2*i+3], raw[0], raw[1]
	k := key.ours()
	k.PublicKey = encode(raw)
	if k.Tag() != key.KeyTag() {
		t.Fatalf("tag %d, expected %d", k.Tag(), key.KeyTag())
	}
	return k
}

func TestTooManySetsAndSignatures(t *testing.T) {
	var many []dns.RR
	for i := range maxSets + 1 {
		many = append(many, rr(t, fmt.Sprintf("n%d.zone.example. 1 IN A 192.0.2.1", i)))
	}
	if _, err := setsOf(many); err == nil || err.Error() != "more than 64 record sets in one answer" {
		t.Errorf("%d sets: got %v", len(many), err)
	}
	if sets, err := setsOf(many[1:]); err != nil || len(sets) != maxSets {
		t.Errorf("%d sets: got %d, %v", maxSets, len(sets), err)
	}
	key := newKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	signed := many[:1]
	for range maxSignatures + 1 {
		signed = append(signed, key.sign(t, many[:1]))
	}
	if _, err := setsOf(signed); err == nil || err.Error() != "more than 64 signatures on n0.zone.example. A" {
		t.Errorf("too many signatures: got %v", err)
	}
}
