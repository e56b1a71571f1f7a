package lab

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const testZone = "one.lab.test."

// testStart is when the made-up histories begin.
func testStart() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

// testKey is a key made for a test, able to sign.
type testKey struct {
	*dns.DNSKEY
	private crypto.Signer
}

func newTestKey(t *testing.T, flags uint16) testKey {
	t.Helper()
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: testZone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 5},
		Flags: flags, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	return testKey{key, private.(crypto.Signer)}
}

// signed adds a signature by every key to an RRset.
func signed(t *testing.T, set []dns.RR, keys ...testKey) []dns.RR {
	t.Helper()
	all := slices.Clone(set)
	for _, key := range keys {
		sig := &dns.RRSIG{
			Hdr:        dns.RR_Header{Ttl: set[0].Header().Ttl},
			Algorithm:  key.Algorithm,
			KeyTag:     key.KeyTag(),
			SignerName: testZone,
			Inception:  uint32(testStart().Add(-time.Hour).Unix()),
			Expiration: uint32(testStart().Add(time.Hour).Unix()),
		}
		if err := sig.Sign(key.private, set); err != nil {
			t.Fatal(err)
		}
		all = append(all, sig)
	}
	return all
}

func record(t *testing.T, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// dsSet is the DS set of some keys with one digest type.
func dsSet(digest uint8, keys ...testKey) []dns.RR {
	var set []dns.RR
	for _, key := range keys {
		set = append(set, key.ToDS(digest))
	}
	return set
}

func keySet(keys ...testKey) []dns.RR {
	var set []dns.RR
	for _, key := range keys {
		set = append(set, key.DNSKEY)
	}
	return set
}

// seen is a version seen from one second of the history to another.
func seen(qtype uint16, records []dns.RR, ttl uint32, first, last float64) Version {
	at := func(seconds float64) time.Time {
		return testStart().Add(time.Duration(seconds * float64(time.Second)))
	}
	return Version{
		Zone: testZone, Server: "127.0.53.3:20000", Name: testZone, Type: qtype,
		Records: records, TTL: ttl, First: at(first), Last: at(last),
	}
}

// The table of all DS sets and DNSKEY sets of a KSK rollover: o is the old
// key, n the new one; a DNSKEY set is given as {keys|signers}.
func TestCheckEveryDSWithEveryDNSKEY(t *testing.T) {
	o, n, z := newTestKey(t, 257), newTestKey(t, 257), newTestKey(t, 256)
	both := []testKey{o, n}
	upper := map[string][]dns.RR{
		"{o}": dsSet(dns.SHA256, o), "{o,n}": dsSet(dns.SHA256, both...), "{n}": dsSet(dns.SHA256, n),
	}
	lower := map[string][]dns.RR{
		"{o|o}":   signed(t, keySet(o, z), o),
		"{o,n|o}": signed(t, keySet(o, n, z), o),
		"{o,n|n}": signed(t, keySet(o, n, z), n),
		"{n|n}":   signed(t, keySet(n, z), n),
	}
	bogus := []string{"{o}{o,n|n}", "{o}{n|n}", "{n}{o|o}", "{n}{o,n|o}"}
	for ds, dsRecords := range upper {
		for keys, keyRecords := range lower {
			found := Check([]Version{
				seen(dns.TypeDS, dsRecords, 4, 0, 1),
				seen(dns.TypeDNSKEY, keyRecords, 5, 0, 1),
			})
			if want := slices.Contains(bogus, ds+keys); (len(found) > 0) != want {
				t.Errorf("DS %s with DNSKEY %s: bogus is %t, want %t: %v", ds, keys, !want, want, found)
			}
		}
	}
}

func TestCheckMeasuresTheLifeOfVersions(t *testing.T) {
	o, n := newTestKey(t, 257), newTestKey(t, 257)
	oldDS, newDS := dsSet(dns.SHA256, o), dsSet(dns.SHA256, n)
	oldKeys, newKeys := signed(t, keySet(o), o), signed(t, keySet(n), n)
	for _, test := range []struct {
		name     string
		versions []Version
		bogus    bool
	}{
		{"a new DS set when the last old DNSKEY set has just expired", []Version{
			seen(dns.TypeDNSKEY, oldKeys, 5, 0, 10), seen(dns.TypeDS, newDS, 100, 15, 20)}, false},
		{"a new DS set while the last old DNSKEY set lives for a moment more", []Version{
			seen(dns.TypeDNSKEY, oldKeys, 5, 0, 10), seen(dns.TypeDS, newDS, 100, 14.99, 20)}, true},
		{"the DS TTL counts too", []Version{
			seen(dns.TypeDS, oldDS, 3, 0, 10), seen(dns.TypeDNSKEY, newKeys, 1, 12.5, 20)}, true},
		{"the DS set is gone in time", []Version{
			seen(dns.TypeDS, oldDS, 2, 0, 10), seen(dns.TypeDNSKEY, newKeys, 1, 12.5, 20)}, false},
		{"content that comes back is not cacheable in between", []Version{
			seen(dns.TypeDS, oldDS, 2, 0, 10), seen(dns.TypeDS, oldDS, 2, 30, 40),
			seen(dns.TypeDNSKEY, newKeys, 1, 15, 20)}, false},
		{"content that comes back too early is", []Version{
			seen(dns.TypeDS, oldDS, 2, 0, 10), seen(dns.TypeDS, oldDS, 2, 20.5, 40),
			seen(dns.TypeDNSKEY, newKeys, 1, 15, 20)}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if found := Check(test.versions); (len(found) > 0) != test.bogus {
				t.Errorf("bogus is %t: %v", !test.bogus, found)
			}
		})
	}
}

func TestCheckDataWithKeys(t *testing.T) {
	k, z, y := newTestKey(t, 257), newTestKey(t, 256), newTestKey(t, 256)
	www := []dns.RR{record(t, "www.one.lab.test. 7 IN A 192.0.2.1")}
	soa := []dns.RR{record(t, "one.lab.test. 3 IN SOA ns1.one.lab.test. h.one.lab.test. 1 10800 3600 604800 3")}
	nsec := []dns.RR{record(t, "one.lab.test. 3 IN NSEC www.one.lab.test. NS SOA RRSIG NSEC DNSKEY")}
	wild := signed(t, []dns.RR{record(t, "*.wild.one.lab.test. 7 IN A 192.0.2.2")}, z)
	for _, rr := range wild {
		rr.Header().Name = "a.b.wild.one.lab.test."
	}
	keys := seen(dns.TypeDNSKEY, signed(t, keySet(k, z), k), 5, 0, 10)
	denial := func(records ...[]dns.RR) Version {
		v := seen(dns.TypeA, slices.Concat(records...), 3, 0, 10)
		v.Negative = true
		return v
	}
	late := seen(dns.TypeA, signed(t, www, z), 7, 7200, 7300)
	for _, test := range []struct {
		name string
		keys Version
		data Version
		why  string // part of it; empty: good
	}{
		{"signed by a key of the set", keys, seen(dns.TypeA, signed(t, www, z), 7, 0, 10), ""},
		{"one good signature is enough", keys, seen(dns.TypeA, signed(t, www, y, z), 7, 0, 10), ""},
		{"signed by another key", keys, seen(dns.TypeA, signed(t, www, y), 7, 0, 10), "www.one.lab.test. A"},
		{"unsigned", keys, seen(dns.TypeA, www, 7, 0, 10), "www.one.lab.test. A"},
		{"signed by a key that has just left all caches", keys, seen(dns.TypeA, signed(t, www, y), 7, 15, 20), ""},
		{"made from a wildcard", keys, seen(dns.TypeA, wild, 7, 0, 10), ""},
		{"a signature that is not valid any more", seen(dns.TypeDNSKEY, keys.Records, 5, 0, 8000), late, "www.one.lab.test. A"},
		{"a denial", keys, denial(signed(t, soa, z), signed(t, nsec, z)), ""},
		{"a denial with an unsigned NSEC", keys, denial(signed(t, soa, z), nsec), "NSEC"},
		{"a denial with an SOA signed by another key", keys, denial(signed(t, soa, y), signed(t, nsec, z)), "SOA"},
		{"a denial of nothing", keys, denial(), "proves nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := Check([]Version{test.keys, test.data})
			switch {
			case (len(found) > 0) != (test.why != ""):
				t.Errorf("got %v, want %q", found, test.why)
			case len(found) > 0 && !strings.Contains(found[0].Why, test.why):
				t.Errorf("refused because %q, want %q", found[0].Why, test.why)
			}
		})
	}
}

// RFC 4509 section 3: a SHA-1 DS record is as if it were not there once there
// is one with SHA-256. Without any usable DS record a zone is insecure.
func TestCheckHeedsOnlyUsableDS(t *testing.T) {
	o, n := newTestKey(t, 257), newTestKey(t, 257)
	unknown := record(t, "one.lab.test. 4 IN DS 1 13 99 AB")
	www := []dns.RR{record(t, "www.one.lab.test. 7 IN A 192.0.2.1")}
	byOld := seen(dns.TypeDNSKEY, signed(t, keySet(o, n), o), 5, 0, 10)
	for _, test := range []struct {
		name  string
		ds    []dns.RR
		bogus bool
	}{
		{"only SHA-1", dsSet(dns.SHA1, o), false},
		{"SHA-1 of the signer, SHA-256 of the other key", slices.Concat(dsSet(dns.SHA1, o), dsSet(dns.SHA256, n)), true},
		{"SHA-256 of the signer, SHA-384 of the other key", slices.Concat(dsSet(dns.SHA256, o), dsSet(dns.SHA384, n)), false},
		{"a digest type that nobody knows", []dns.RR{unknown}, false},
		{"no DS record at all", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if found := Check([]Version{seen(dns.TypeDS, test.ds, 4, 0, 10), byOld}); (len(found) > 0) != test.bogus {
				t.Errorf("bogus is %t: %v", !test.bogus, found)
			}
		})
	}
	t.Run("unsigned data are bogus only while a DS set may be in caches", func(t *testing.T) {
		data := seen(dns.TypeA, www, 7, 11, 20)
		insecure := seen(dns.TypeDS, nil, 4, 11, 30)
		for last, bogus := range map[float64]bool{6: false, 8: true} {
			found := Check([]Version{seen(dns.TypeDS, dsSet(dns.SHA256, o), 4, 0, last), insecure, byOld, data})
			if (len(found) > 0) != bogus {
				t.Errorf("DS set last seen at %v: bogus is %t: %v", last, !bogus, found)
			}
		}
	})
}

func TestViolationTellsAStory(t *testing.T) {
	o, n := newTestKey(t, 257), newTestKey(t, 257)
	second := seen(dns.TypeDS, dsSet(dns.SHA256, o), 4, 1, 12)
	second.Server = "127.0.53.4:20000"
	found := Check([]Version{
		seen(dns.TypeDS, dsSet(dns.SHA256, o), 4, 0, 10), second,
		seen(dns.TypeDNSKEY, signed(t, keySet(n), n), 5, 13, 20),
	})
	if len(found) != 1 {
		t.Fatalf("found %d violations, want 1: %v", len(found), found)
	}
	story := found[0].String()
	for _, part := range []string{
		"one.lab.test. from 12:00:13.000 to 12:00:16.000 (3s)",
		fmt.Sprintf("DS %d/SHA256", o.KeyTag()),
		fmt.Sprintf("DNSKEY 257/%d signed by %d", n.KeyTag(), n.KeyTag()),
		"at 127.0.53.3:20000 from", "at 127.0.53.4:20000 from", "cacheable until 12:00:16.000", "cacheable until 12:00:25.000",
		"no key in the DNSKEY set matches a DS record",
	} {
		if !strings.Contains(story, part) {
			t.Errorf("the story lacks %q:\n%s", part, story)
		}
	}
}

func TestNewVersion(t *testing.T) {
	z := newTestKey(t, 256)
	soa := record(t, "one.lab.test. 60 IN SOA ns1.one.lab.test. h.one.lab.test. 1 10800 3600 604800 3")
	answer := func(rcode int, ns, an []dns.RR) *dns.Msg {
		m := newQuestion("www.one.lab.test.", dns.TypeA)
		m.Authoritative, m.Rcode, m.Ns, m.Answer = true, rcode, ns, an
		return m
	}
	www := signed(t, []dns.RR{record(t, "www.one.lab.test. 7 IN A 192.0.2.1")}, z)
	www[0].Header().Ttl, www[1].Header().Ttl = 2, 2 // only the signature still knows of 7
	for _, test := range []struct {
		name     string
		msg      *dns.Msg
		ttl      uint32
		negative bool
	}{
		{"an answer lives as long as its signature says", answer(0, nil, www), 7, false},
		{"a denial lives as long as the SOA minimum says", answer(dns.RcodeNameError, []dns.RR{soa}, nil), 3, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := newVersion(testZone, "s", test.msg, testStart())
			if err != nil || v.TTL != test.ttl || v.Negative != test.negative {
				t.Errorf("got TTL %d, negative %t, error %v", v.TTL, v.Negative, err)
			}
		})
	}
	if _, err := newVersion(testZone, "s", answer(dns.RcodeServerFailure, nil, nil), testStart()); err == nil {
		t.Error("SERVFAIL is taken for data")
	}
}
