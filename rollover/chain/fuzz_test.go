package chain

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

// seedMessages are answers of every sort, packed, for the fuzzers to begin with.
func seedMessages(f *testing.F) (packed [][]byte) {
	f.Helper()
	zone := chaintest.NewZone(f, "zone.example.", "www.zone.example. 60 IN A 192.0.2.1", "*.wild.zone.example. 60 IN A 192.0.2.2",
		"alias.zone.example. 60 IN CNAME www.zone.example.", "sub.zone.example. 60 IN NS ns.sub.zone.example.")
	for _, hashed := range []bool{false, true} {
		zone.NSEC3 = hashed
		for _, q := range []struct {
			name   string
			rrtype uint16
		}{{"www.zone.example.", dns.TypeA}, {"no.zone.example.", dns.TypeA}, {"x.wild.zone.example.", dns.TypeA}, {"alias.zone.example.", dns.TypeA},
			{"sub.zone.example.", dns.TypeDS}, {"zone.example.", dns.TypeDNSKEY}} {
			raw, err := zone.Answer(q.name, q.rrtype).Pack()
			if err != nil {
				f.Fatal(err)
			}
			packed = append(packed, raw)
		}
	}
	return packed
}

// FuzzVerdicts: whatever an answer says, judging it ends, and nothing is secure
// that was not signed: with keys that signed nothing of it, no verdict is.
func FuzzVerdicts(f *testing.F) {
	packed := seedMessages(f)
	for _, raw := range packed {
		f.Add(raw, "www.zone.example.", uint16(dns.TypeA))
	}
	stranger := NewPool("zone.example.", now, chaintest.NewKey(f, "zone.example.", 257, dns.ECDSAP256SHA256, 256).Ours())
	f.Fuzz(func(t *testing.T, raw []byte, name string, rrtype uint16) {
		name = dns.CanonicalName(name)
		m := new(dns.Msg)
		if _, ok := dns.IsDomainName(name); !ok || m.Unpack(raw) != nil {
			return
		}
		if a := ProveAnswer(stranger, name, rrtype, m); a.Security == rollover.Secure {
			t.Errorf("secure by a key that signed nothing: %+v", a)
		}
		if d := ProveDelegation(stranger, name, m); d.Security == rollover.Secure || d.Cut == CutUnsigned {
			t.Errorf("a delegation proven by a key that signed nothing: %+v", d)
		}
		trust := Trust{DS: RootAnchors()["."].DS}
		if k := ProveKeys(name, trust, m, now); k.Security == rollover.Secure {
			t.Errorf("keys proven by the DS of others: %+v", k)
		}
	})
}

// FuzzDenials: whatever NSEC and NSEC3 records say, even signed by the zone, the
// judge ends; and no name that one of them names is denied.
func FuzzDenials(f *testing.F) {
	f.Add("a.zone.example.", "c.zone.example.", "b.zone.example.", []byte{1, 2, 6}, false, uint16(0))
	f.Add("zone.example.", "zone.example.", "x.y.zone.example.", []byte{6, 48}, true, uint16(10))
	key := chaintest.NewKey(f, "zone.example.", 257, dns.ED25519, 256)
	pool := NewPool("zone.example.", now, key.Ours())
	f.Fuzz(func(t *testing.T, owner, next, name string, types []byte, hashed bool, rounds uint16) {
		owner, next, name = dns.CanonicalName(owner), dns.CanonicalName(next), dns.CanonicalName(name)
		for _, n := range []string{owner, next, name} {
			if _, ok := dns.IsDomainName(n); !ok || !dns.IsSubDomain("zone.example.", n) {
				return
			}
		}
		var rr dns.RR = &dns.NSEC{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 1}, NextDomain: next, TypeBitMap: bitmap(types)}
		if hashed {
			rr = &dns.NSEC3{
				Hdr:  dns.RR_Header{Name: strings.ToLower(dns.HashName(owner, dns.SHA1, rounds%200, "")) + ".zone.example.", Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 1},
				Hash: dns.SHA1, Flags: uint8(len(types) % 2), Iterations: rounds % 200, HashLength: 20, NextDomain: dns.HashName(next, dns.SHA1, rounds%200, ""), TypeBitMap: bitmap(types),
			}
		}
		sig := &dns.RRSIG{Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: "zone.example.", Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(time.Hour).Unix())}
		if key.TrySign(sig, []dns.RR{rr}) != nil {
			return
		}
		m := &dns.Msg{Ns: []dns.RR{rr, sig}}
		m.Rcode = dns.RcodeNameError
		if a := ProveAnswer(pool, owner, dns.TypeA, m); a.Security == rollover.Secure && a.Kind == AnswerNoName {
			t.Errorf("%s is denied by its own record %v", owner, rr)
		}
		if a := ProveAnswer(pool, next, dns.TypeA, m); a.Security == rollover.Secure && a.Kind == AnswerNoName {
			t.Errorf("%s is denied by the record that names it next, %v", next, rr)
		}
		ProveAnswer(pool, name, dns.TypeA, m)
		ProveDelegation(pool, name, m)
	})
}

// bitmap is types in order, each once, as a record must have them.
func bitmap(types []byte) []uint16 {
	var seen [256]bool
	for _, t := range types {
		seen[t] = true
	}
	var out []uint16
	for t, yes := range seen {
		if yes {
			out = append(out, uint16(t))
		}
	}
	return out
}

// FuzzAnchors: what is read is what was meant: written again and read again it
// is the same.
func FuzzAnchors(f *testing.F) {
	f.Add(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
	f.Add("a.test. 1 IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n")
	f.Fuzz(func(t *testing.T, text string) {
		anchors, err := ParseAnchors(strings.NewReader(text), "anchors")
		if err != nil {
			return
		}
		var again strings.Builder
		for zone, trust := range anchors {
			for _, d := range trust.DS {
				again.WriteString(zone + " 3600 IN DS " + d.String() + "\n")
			}
			for _, k := range trust.Keys {
				again.WriteString(zone + " 3600 IN DNSKEY " + k.String() + "\n")
			}
		}
		twice, err := ParseAnchors(strings.NewReader(again.String()), "anchors")
		if err != nil || len(twice) != len(anchors) {
			t.Errorf("%q became %q: %v", text, again.String(), err)
		}
	})
}

// FuzzNames: the canonical order is an order, and agrees with equality.
func FuzzNames(f *testing.F) {
	f.Add("a.example.", "b.example.", "*.example.")
	f.Add(`\001.example.`, "z.a.example.", "example.")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, n := range []*string{&a, &b, &c} {
			*n = dns.CanonicalName(*n)
			if _, ok := dns.IsDomainName(*n); !ok || len(labelsOf(*n)) == 0 && *n != "." {
				return
			}
		}
		if compare(a, b) != -compare(b, a) || compare(a, a) != 0 {
			t.Errorf("order of %q and %q", a, b)
		}
		if compare(a, b) <= 0 && compare(b, c) <= 0 && compare(a, c) > 0 {
			t.Errorf("not transitive: %q, %q, %q", a, b, c)
		}
	})
}
