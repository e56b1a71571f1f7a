package chain

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

// What was verified once counts for that very signature, key and set alone: a
// pool is asked about many answers, and a forger may send the same signature
// again over other records.
func TestWhatWasVerifiedCountsForNothingElse(t *testing.T) {
	key, other := chaintest.FixedKey(zone, 256, 1), chaintest.FixedKey(zone, 256, 2)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	sig := key.Sign(t, a)
	good := setOf(a, sig)
	forged := *sig
	forged.Signature = other.Sign(t, a).Signature
	for name, s := range map[string]Set{
		"other records":     setOf(chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.66"), sig),
		"a record more":     setOf(chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1", "www.zone.example. 60 IN A 192.0.2.66"), sig),
		"another signature": setOf(a, &forged),
	} {
		p := NewPool(zone, now, key.Ours())
		if !p.Prove(good).Good() || p.Prove(s).Good() || !p.Prove(good).Good() {
			t.Errorf("%s: the good one and the bad one are not told apart", name)
		}
		p = NewPool(zone, now, key.Ours())
		if p.Prove(s).Good() || !p.Prove(good).Good() {
			t.Errorf("%s first: the good one and the bad one are not told apart", name)
		}
	}
}

// Of keys with one tag the signature counts for the one that made it, in
// whatever order they are tried.
func TestWhatWasVerifiedCountsForNoOtherKey(t *testing.T) {
	key := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	twin := swapped(t, key, 1)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	s := setOf(a, key.Sign(t, a))
	for _, keys := range [][]rollover.DNSKEY{{twin, key.Ours()}, {key.Ours(), twin}} {
		p := NewPool(zone, now, keys...)
		for range 2 {
			if got := p.Prove(s).Signers; !slices.Equal(got, []rollover.DNSKEY{key.Ours()}) {
				t.Errorf("signed by %v", got)
			}
		}
	}
}

// A key that is named again takes no place from the others.
func TestAKeyNamedTwiceIsTriedOnce(t *testing.T) {
	key := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	twin := swapped(t, key, 1)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	if p := NewPool(zone, now, twin, twin, twin, twin, key.Ours()); !p.Prove(setOf(a, key.Sign(t, a))).Good() {
		t.Error("the fifth is not found, which is the second")
	}
}

// Of several good signatures the last to expire and the newest decide; bad ones
// decide nothing.
func TestTheTimesOfAProof(t *testing.T) {
	key, other := chaintest.FixedKey(zone, 256, 1), chaintest.FixedKey(zone, 256, 2)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	period := func(k chaintest.Key, from, to time.Duration) *dns.RRSIG {
		return k.Sign(t, a, chaintest.Between(now.Add(from), now.Add(to)))
	}
	long, short, bad := period(key, -3*time.Hour, 3*time.Hour), period(key, -time.Hour, time.Hour), period(other, -time.Minute, 9*time.Hour)
	for _, sigs := range [][]*dns.RRSIG{{long, short, bad}, {bad, short, long}, {short, long}} {
		got := NewPool(zone, now, key.Ours()).Prove(setOf(a, sigs...))
		if !got.Since.Equal(now.Add(-time.Hour)) || !got.Expires.Equal(now.Add(3*time.Hour)) {
			t.Errorf("from %s to %s", got.Since, got.Expires)
		}
	}
	if got := NewPool(zone, now, key.Ours()).Prove(setOf(a, bad)); !got.Since.IsZero() || !got.Expires.IsZero() {
		t.Errorf("a bad one: from %s to %s", got.Since, got.Expires)
	}
}

// Of several faults the one that tells most is told, wherever it stands.
func TestTheFaultThatTellsMost(t *testing.T) {
	key, other := chaintest.FixedKey(zone, 256, 1), chaintest.FixedKey(zone, 256, 2)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	expired, unknown := key.Sign(t, a, chaintest.Between(now.Add(-2*time.Hour), now.Add(-time.Hour))), other.Sign(t, a)
	for _, sigs := range [][]*dns.RRSIG{{expired, unknown}, {unknown, expired}} {
		s := setOf(a, sigs...)
		if err := NewPool(zone, now, key.Ours()).Prove(s).fault(s); codeOf(err) != CodeExpired {
			t.Errorf("%v", err)
		}
	}
}

// An algorithm that is not the key's is another key, although the tag fits.
func TestASignatureOfAnotherAlgorithmIsNotTheKeys(t *testing.T) {
	key := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	sig := key.Sign(t, a)
	k := *key.DNSKEY
	k.Algorithm = dns.ECDSAP384SHA384
	sig.KeyTag = k.KeyTag()
	forgery{zone, sig, &k, setOf(a), "no such key"}.run(t)
}

// keySet is an answer with a DNSKEY set, signed by some of its keys.
func keySet(t *testing.T, extra []dns.RR, signers ...chaintest.Key) *dns.Msg {
	t.Helper()
	set := slices.Clone(extra)
	for _, k := range signers {
		set = append(set, k.DNSKEY)
	}
	m := &dns.Msg{Answer: set}
	for _, k := range signers {
		m.Answer = append(m.Answer, k.Sign(t, set))
	}
	return m
}

func dsOfKey(t *testing.T, k chaintest.Key, digest uint8) rollover.DS {
	t.Helper()
	d := k.ToDS(digest)
	return rollover.DS{Tag: d.KeyTag, Algorithm: d.Algorithm, DigestType: d.DigestType, Digest: strings.ToUpper(d.Digest)}
}

// What a DS set proves of a DNSKEY set: each digest and each slip by itself.
func TestWhatADSSetProves(t *testing.T) {
	key, other := chaintest.FixedKey(zone, 257, 1), chaintest.FixedKey(zone, 257, 2)
	ds := func(digest uint8, change ...func(*rollover.DS)) rollover.DS {
		d := dsOfKey(t, key, digest)
		for _, c := range change {
			c(&d)
		}
		return d
	}
	typo := func(d *rollover.DS) { d.Digest = strings.Repeat("00", len(d.Digest)/2) }
	many := make([]rollover.DS, MaxDS)
	for i := range many {
		many[i] = rollover.DS{Tag: uint16(i), Algorithm: dns.ED25519, DigestType: 2, Digest: "AB"}
	}
	cases := map[string]struct {
		trust  Trust
		expect rollover.Security
		code   Code
	}{
		"SHA-256":                                 {Trust{DS: []rollover.DS{ds(2)}}, rollover.Secure, ""},
		"SHA-384":                                 {Trust{DS: []rollover.DS{ds(4)}}, rollover.Secure, ""},
		"SHA-1 alone":                             {Trust{DS: []rollover.DS{ds(1)}}, rollover.Secure, ""},
		"SHA-1 beside a wrong SHA-256":            {Trust{DS: []rollover.DS{ds(1), ds(2, typo)}}, rollover.Bogus, CodeDigest},
		"SHA-1 behind a wrong SHA-384":            {Trust{DS: []rollover.DS{ds(4, typo), ds(1)}}, rollover.Bogus, CodeDigest},
		"SHA-256 before a wrong SHA-1":            {Trust{DS: []rollover.DS{ds(2), ds(1, typo)}}, rollover.Secure, ""},
		"a digest that nobody knows":              {Trust{DS: []rollover.DS{ds(2, func(d *rollover.DS) { d.DigestType = 3 })}}, rollover.Indeterminate, CodeUncheckable},
		"SHA-1 beside a digest that nobody knows": {Trust{DS: []rollover.DS{ds(1), ds(2, func(d *rollover.DS) { d.DigestType = 3 })}}, rollover.Secure, ""},
		"an algorithm that nobody knows":          {Trust{DS: []rollover.DS{ds(2, func(d *rollover.DS) { d.Algorithm = 200 })}}, rollover.Insecure, CodeUnknownDS},
		"another tag":                             {Trust{DS: []rollover.DS{ds(2, func(d *rollover.DS) { d.Tag++ })}}, rollover.Bogus, CodeDSMismatch},
		"another algorithm":                       {Trust{DS: []rollover.DS{ds(2, func(d *rollover.DS) { d.Algorithm = dns.RSASHA256 })}}, rollover.Bogus, CodeAlgorithm},
		"another key and algorithm":               {Trust{DS: []rollover.DS{{Tag: 1, Algorithm: dns.RSASHA256, DigestType: 2, Digest: "AB"}}}, rollover.Bogus, CodeAlgorithm},
		"another key":                             {Trust{DS: []rollover.DS{{Tag: 1, Algorithm: dns.ED25519, DigestType: 2, Digest: "AB"}}}, rollover.Bogus, CodeDSMismatch},
		"as many as are tried":                    {Trust{DS: append(slices.Clone(many[1:]), ds(2))}, rollover.Secure, ""},
		"as many as are tried, none":              {Trust{DS: many}, rollover.Bogus, CodeDSMismatch},
		"more than are tried":                     {Trust{DS: append(slices.Clone(many), ds(2))}, rollover.Indeterminate, CodeTooMuch},
		"the key as an anchor":                    {Trust{Keys: []rollover.DNSKEY{key.Ours()}}, rollover.Secure, ""},
		"another key as an anchor":                {Trust{Keys: []rollover.DNSKEY{other.Ours()}}, rollover.Bogus, CodeDSMismatch},
		"nothing":                                 {Trust{}, rollover.Bogus, CodeDSMismatch},
	}
	m := keySet(t, nil, key)
	for name, c := range cases {
		got := ProveKeys(zone, c.trust, m, now)
		if got.Security != c.expect || got.Code != c.code {
			t.Errorf("%s: expected %s %q, got %s %q: %s", name, c.expect, c.code, got.Security, got.Code, got.Text)
		}
		if got.Security == rollover.Secure && !got.Expires.Equal(now.Add(time.Hour)) {
			t.Errorf("%s: expires %s", name, got.Expires)
		}
	}
}

// A set of as many keys as are looked at is looked at; one with more is not.
func TestHowManyKeysAreLookedAt(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	for n, expect := range map[int]rollover.Security{MaxKeys: rollover.Secure, MaxKeys + 1: rollover.Indeterminate} {
		var extra []dns.RR
		for i := range n - 1 {
			extra = append(extra, &dns.DNSKEY{Hdr: key.Hdr, Flags: 256, Protocol: 3, Algorithm: 15, PublicKey: encode([]byte{1, 2, byte(i)})})
		}
		if got := ProveKeys(zone, Trust{Keys: []rollover.DNSKEY{key.Ours()}}, keySet(t, extra, key), now); got.Security != expect {
			t.Errorf("%d keys: %s: %s", n, got.Security, got.Text)
		}
	}
}

// Keys come in one order, entry points first, and those of another protocol are none.
func TestKeysComeInOneOrder(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	made := func(flags uint16, protocol, algorithm uint8, public string) dns.RR {
		return &dns.DNSKEY{Hdr: key.Hdr, Flags: flags, Protocol: protocol, Algorithm: algorithm, PublicKey: public}
	}
	s := setOf([]dns.RR{made(256, 3, 15, "AAAC"), made(256, 3, 15, "AAAB"), made(256, 3, 13, "AAAD"), made(257, 3, 15, "AAAE"), made(257, 2, 13, "AAAF"), made(256, 3, 15, "AAAB")})
	want := []rollover.DNSKEY{{Flags: 257, Algorithm: 15, PublicKey: "AAAE"}, {Flags: 256, Algorithm: 13, PublicKey: "AAAD"}, {Flags: 256, Algorithm: 15, PublicKey: "AAAB"}, {Flags: 256, Algorithm: 15, PublicKey: "AAAC"}}
	if got := KeysOf(s); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// Words of people who have to find the wrong record: keys by tag and algorithm.
func TestWordsAboutKeys(t *testing.T) {
	key, other := chaintest.FixedKey(zone, 257, 1), chaintest.FixedKey(zone, 257, 2)
	tag, tag2 := fmt.Sprintf("%d/15", key.KeyTag()), fmt.Sprintf("%d/15", other.KeyTag())
	both := keySet(t, []dns.RR{key.DNSKEY}, other)
	for want, trust := range map[string]Trust{
		"key " + tag + ", which the DS is for, is in the DNSKEY set and has not signed it (signed by " + tag2 + ")": {DS: []rollover.DS{dsOfKey(t, key, 2)}},
		"the trust anchor is for keys none":                                 {},
		"the DS is for key 1/15 digest type 2, and the DNSKEY set has keys": {DS: []rollover.DS{{Tag: 1, Algorithm: 15, DigestType: 2, Digest: "AB"}}},
	} {
		got := ProveKeys(zone, trust, both, now)
		if !strings.Contains(got.Text, want) {
			t.Errorf("%q does not say %q", got.Text, want)
		}
	}
	if got := ProveKeys(zone, Trust{DS: []rollover.DS{{Tag: 1, Algorithm: 15, DigestType: 2, Digest: "AB"}}}, both, now); !strings.Contains(got.Text, tag) || !strings.Contains(got.Text, tag2) {
		t.Errorf("%q does not name %s and %s", got.Text, tag, tag2)
	}
}
