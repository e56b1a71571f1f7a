package chain

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

// A zone's keys are handed out only when the chain to them holds, and only for
// a zone; else the verdict is that of the link that does not hold.
func TestZone(t *testing.T) {
	cases := map[string]struct {
		name   string
		spoil  func(*world, string, string, uint16, *dns.Msg) *dns.Msg
		expect rollover.Security
		code   Code
	}{
		"a zone":                        {"zone.example.", nil, rollover.Secure, ""},
		"a name in a zone":              {"www.zone.example.", nil, rollover.Bogus, CodeSigner},
		"an unsigned zone":              {"open.example.", nil, rollover.Insecure, CodeUnsecured},
		"keys that nobody signed":       {"zone.example.", at("zone.example.", dns.TypeDNSKEY, func(_ *world, m *dns.Msg) { unsign(m) }), rollover.Bogus, CodeUnsigned},
		"keys above that nobody signed": {"zone.example.", at("example.", dns.TypeDNSKEY, func(_ *world, m *dns.Msg) { unsign(m) }), rollover.Bogus, CodeUnsigned},
		"root keys that nobody signed":  {"zone.example.", at(".", dns.TypeDNSKEY, func(_ *world, m *dns.Msg) { unsign(m) }), rollover.Bogus, CodeUnsigned},
		"no proof of a delegation":      {"www.zone.example.", at("www.zone.example.", dns.TypeDS, func(_ *world, m *dns.Msg) { unsign(m) }), rollover.Bogus, CodeUnsigned},
		"a parent that says nothing":    {"zone.example.", func(*world, string, string, uint16, *dns.Msg) *dns.Msg { return nil }, rollover.Indeterminate, CodeNoAnswer},
		"a zone behind a doubtful one":  {"zone.example.", at("example.", dns.TypeDS, func(_ *world, m *dns.Msg) { unsign(m) }), rollover.Bogus, CodeUnsigned},
	}
	for name, c := range cases {
		w := newWorld(t)
		if c.spoil != nil {
			w.spoil = func(zone, name string, rrtype uint16, m *dns.Msg) *dns.Msg { return c.spoil(w, zone, name, rrtype, m) }
		}
		zone, got := w.walk().Zone(context.Background(), c.name)
		if got.Security != c.expect || got.Code != c.code {
			t.Errorf("%s: expected %s %q, got %s %q: %s", name, c.expect, c.code, got.Security, got.Code, got.Text)
		}
		if keys := len(zone.Keys) > 0; keys != (c.expect == rollover.Secure) {
			t.Errorf("%s: keys %v", name, zone.Keys)
		}
	}
}

// An answer with more sets than are looked at cannot be judged, whatever is asked.
func TestAnswersThatAreTooLarge(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	var many []dns.RR
	for i := range MaxSets + 1 {
		many = append(many, chaintest.RR(t, fmt.Sprintf("n%d.zone.example. 1 IN A 192.0.2.1", i)))
	}
	pool := NewPool(zone, now, key.Ours())
	expanded, sig := key.Expanded(t, "x.zone.example.", "A 192.0.2.1")
	for name, got := range map[string]Verdict{
		"keys":                   ProveKeys(zone, Trust{Keys: []rollover.DNSKEY{key.Ours()}}, &dns.Msg{Answer: many}, now).Verdict,
		"a delegation":           ProveDelegation(pool, "x.zone.example.", &dns.Msg{Answer: many}).Verdict,
		"a delegation denied":    ProveDelegation(pool, "x.zone.example.", &dns.Msg{Ns: many}).Verdict,
		"an answer":              ProveAnswer(pool, "x.zone.example.", dns.TypeA, &dns.Msg{Answer: many}).Verdict,
		"an answer denied":       ProveAnswer(pool, "x.zone.example.", dns.TypeA, &dns.Msg{Ns: many}).Verdict,
		"an answer by wildcard":  ProveAnswer(pool, "x.zone.example.", dns.TypeA, &dns.Msg{Answer: append(expanded, sig), Ns: many}).Verdict,
		"a delegation by CNAME":  ProveDelegation(pool, "x.zone.example.", &dns.Msg{Answer: many[:MaxSets+1]}).Verdict,
		"keys of another answer": ProveKeys("n1.zone.example.", Trust{}, &dns.Msg{Answer: many}, now).Verdict,
	} {
		if got.Security != rollover.Indeterminate || got.Code != CodeTooMuch {
			t.Errorf("%s: %s %q: %s", name, got.Security, got.Code, got.Text)
		}
	}
}

// An answer made from a wildcard needs the proof that the name itself is not
// there; that the next name is the name proves the contrary.
func TestAnswersByWildcard(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	for proof, expect := range map[string]rollover.Security{
		"mike.zone.example. 300 IN NSEC papa.zone.example. A":    rollover.Secure,
		"mike.zone.example. 300 IN NSEC october.zone.example. A": rollover.Bogus,
		"october.zone.example. 300 IN NSEC papa.zone.example. A": rollover.Bogus,
		"papa.zone.example. 300 IN NSEC quebec.zone.example. A":  rollover.Bogus,
	} {
		set, sig := key.Expanded(t, "october.zone.example.", "A 192.0.2.1")
		m := negative(t, key, dns.RcodeSuccess, []string{proof})
		m.Answer = append(set, sig)
		if got := ProveAnswer(NewPool(zone, now, key.Ours()), "october.zone.example.", dns.TypeA, m); got.Security != expect {
			t.Errorf("%s: %s: %s", proof, got.Security, got.Text)
		}
	}
}

// A denial with a bad SOA is bad, whatever proves it; its kind is told.
func TestDenialsNeedTheirSOA(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	const soa = zone + " 3600 IN SOA ns.zone.example. host.zone.example. 1 2 3 4 300"
	proofs := []string{zone + " 300 IN NSEC a.zone.example. NS SOA", "mike.zone.example. 300 IN NSEC october.zone.example. A"}
	for _, spoiled := range []bool{false, true} {
		m := negative(t, key, dns.RcodeNameError, append([]string{soa}, proofs...))
		if spoiled {
			m.Ns[0] = chaintest.RR(t, strings.Replace(soa, "1 2 3", "9 2 3", 1))
		}
		got := ProveAnswer(NewPool(zone, now, key.Ours()), "no.zone.example.", dns.TypeA, m)
		if want := map[bool]rollover.Security{false: rollover.Secure, true: rollover.Bogus}[spoiled]; got.Security != want {
			t.Errorf("spoiled %v: %s: %s", spoiled, got.Security, got.Text)
		}
		if !spoiled && (got.Kind != AnswerNoName || got.TTL != 300) {
			t.Errorf("it is %s for %d s", got.Kind, got.TTL)
		}
	}
}

// Where an alias sends a name, by itself or by a DNAME above.
func TestTargets(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	long := strings.Repeat(strings.Repeat("a", 60)+".", 3) + "dn.zone.example."
	for name, c := range map[string]struct{ name, record, want string }{
		"a CNAME":                   {"x.zone.example.", "x.zone.example. 300 IN CNAME WWW.zone.example.", "www.zone.example."},
		"a DNAME":                   {"x.y.dn.zone.example.", "dn.zone.example. 300 IN DNAME Elsewhere.example.", "x.y.elsewhere.example."},
		"a DNAME to a name as long": {long, "dn.zone.example. 300 IN DNAME elsewhere.example.", strings.TrimSuffix(long, "dn.zone.example.") + "elsewhere.example."},
		"a DNAME to a longer name":  {long, "dn.zone.example. 300 IN DNAME " + strings.Repeat("b", 60) + "." + strings.Repeat("c", 30) + ".example.", ""},
	} {
		set := chaintest.RRs(t, c.record)
		got := ProveAnswer(NewPool(zone, now, key.Ours()), c.name, dns.TypeA, &dns.Msg{Answer: append(set, key.Sign(t, set))})
		if got.Security != rollover.Secure || got.Kind != AnswerAlias || got.Alias != c.want {
			t.Errorf("%s: %s, %s to %q, expected %q", name, got.Security, got.Kind, got.Alias, c.want)
		}
	}
}

// Anchors that no validator would take are refused, each for itself; a TTL may
// be missing.
func TestAnchorsThatAreNone(t *testing.T) {
	const public = "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
	for text, good := range map[string]bool{
		". IN DNSKEY 257 3 13 " + public + "\n":            true,
		". IN DNSKEY 256 3 13 " + public + "\n":            true,
		". IN DNSKEY 1 3 13 " + public + "\n":              false,
		". IN DNSKEY 257 2 13 " + public + "\n":            false,
		". IN DNSKEY 385 3 13 " + public + "\n":            false,
		". DNSKEY nothing\n":                               false,
		". IN DNSKEY 257 3 13 " + public + "\n. IN DS x\n": false,
	} {
		if got, err := ParseAnchors(strings.NewReader(text), "root.key"); (err == nil) != good {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// In canonical order a name comes before those below it, octets count in lower
// case, and a shorter label comes first (RFC 4034 section 6.1).
func TestCanonicalOrder(t *testing.T) {
	ordered := []string{".", "example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := compare(a, b), min(1, max(-1, i-j)); got != want {
				t.Errorf("%s and %s: %d, expected %d", a, b, got, want)
			}
		}
	}
	for _, c := range [][3]string{{"a.b.example.", "c.b.example.", "b.example."}, {"a.example.", "b.test.", "."}, {"a.example.", "x.a.example.", "a.example."}, {".", "a.", "."}, {"a.example.", ".", "."}} {
		if got := common(c[0], c[1]); got != c[2] {
			t.Errorf("%s and %s have %s in common, expected %s", c[0], c[1], got, c[2])
		}
	}
	for labels, want := range map[int]string{0: "example.", 1: "b.example.", 2: "a.b.example.", 3: "a.b.example.", 4: "a.b.example."} {
		if got := nextCloser("a.b.example.", labels); got != want {
			t.Errorf("%d labels: %s, expected %s", labels, got, want)
		}
	}
}

// A TTL counts as the larger of what is served and what was signed.
func TestTTLOfASet(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	set := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	sig := key.Sign(t, set)
	for served, want := range map[uint32]uint32{30: 60, 60: 60, 90: 90} {
		set[0].Header().Ttl = served
		if got := setOf(set, sig).TTL(); got != want {
			t.Errorf("served with %d: %d, expected %d", served, got, want)
		}
	}
}

// What was wrong with a proof is told.
func TestWordsAboutProofs(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	plain := hashes{zone: zone}
	for want, proofs := range map[string][]string{
		"the answer has no signed NSEC or NSEC3 record":              {},
		"the NSEC or NSEC3 records in the answer do not say so":      {"papa.zone.example. 300 IN NSEC quebec.zone.example. A"},
		"NSEC3 records of different parameters in one answer":        {plain.exists(zone, "NS SOA"), hashes{zone: zone, salt: "AB"}.covers("no.zone.example.")},
		"NSEC3 records of different parameters in one answer ":       {plain.exists(zone, "NS SOA"), hashes{zone: zone, rounds: 1}.covers("no.zone.example.")},
		"does not exist: NSEC3 of hash 1, flags 2 cannot be checked": {hashes{zone: zone, flags: 2}.covers("no.zone.example.")},
	} {
		got := ProveAnswer(NewPool(zone, now, key.Ours()), "no.zone.example.", dns.TypeA, negative(t, key, dns.RcodeNameError, proofs))
		if !strings.Contains(got.Text, strings.TrimSpace(want)) {
			t.Errorf("%q does not say %q", got.Text, want)
		}
	}
	proofCase{".", dns.TypeDS, dns.RcodeSuccess, []string{". 300 IN NSEC aaa. NS SOA"}, rollover.Secure, ""}.run(t, ".")
	proofCase{"mike.zone.example.", dns.TypeNSEC, dns.RcodeSuccess, []string{plain.exists("mike.zone.example.", "CNAME")}, rollover.Secure, ""}.run(t, zone)
}

// RSA keys of 520 octets, as long as DNSSEC has them, are tried.
func TestTheLongestKeys(t *testing.T) {
	signer := chaintest.NewKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	a := chaintest.RRs(t, "www.zone.example. 60 IN A 192.0.2.1")
	k := *signer.DNSKEY
	k.Algorithm, k.PublicKey = dns.RSASHA256, encode(append([]byte{7, 0, 0, 0, 0, 1, 0, 1}, make([]byte, 512)...))
	sig := signer.Sign(t, a)
	sig.KeyTag, sig.Algorithm = k.KeyTag(), k.Algorithm
	if err := verifyStrict(zone, sig, &k, setOf(a), now); err == nil || strings.Contains(err.Error(), "longer than") {
		t.Errorf("%v", err)
	}
}
