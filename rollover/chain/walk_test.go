package chain

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

// world is a root with a top-level zone, and below that a zone of every sort.
type world struct {
	t     *testing.T
	zones map[string]*chaintest.Zone
	spoil func(zone, name string, rrtype uint16, m *dns.Msg) *dns.Msg
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, top := chaintest.NewZone(t, "."), chaintest.NewZone(t, "example.")
	child := chaintest.NewZone(t, "zone.example.",
		"www.zone.example. 60 IN A 192.0.2.1", "a.b.zone.example. 60 IN A 192.0.2.1", "alias.zone.example. 60 IN CNAME www.zone.example.",
		"*.wild.zone.example. 60 IN A 192.0.2.2", "away.zone.example. 60 IN NS ns.elsewhere.")
	hashed := chaintest.NewZone(t, "hashed.example.", "www.hashed.example. 60 IN A 192.0.2.1", "a.b.hashed.example. 60 IN A 192.0.2.1", "*.wild.hashed.example. 60 IN A 192.0.2.2", "away.hashed.example. 60 IN NS ns.elsewhere.")
	hashed.NSEC3 = true
	loose := chaintest.NewZone(t, "loose.example.", "www.loose.example. 60 IN A 192.0.2.1", "away.loose.example. 60 IN NS ns.elsewhere.")
	loose.NSEC3, loose.OptOut = true, true
	root.Delegate(top)
	for _, z := range []*chaintest.Zone{child, hashed, loose} {
		top.Delegate(z)
	}
	top.Add(chaintest.RR(t, "open.example. 3600 IN NS ns.open.example."))
	w := &world{t: t, zones: map[string]*chaintest.Zone{}}
	for _, z := range []*chaintest.Zone{root, top, child, hashed, loose} {
		w.zones[z.Name] = z
	}
	return w
}

func (w *world) ask(_ context.Context, zone, name string, rrtype uint16) []Reply {
	z := w.zones[zone]
	if z == nil {
		return nil
	}
	m := z.Answer(name, rrtype)
	if w.spoil != nil {
		m = w.spoil(zone, name, rrtype, m)
	}
	if m == nil {
		return []Reply{{Server: "ns1", Code: CodeNoAnswer, Why: "timed out"}}
	}
	return []Reply{{Server: "ns1", Message: m}}
}

func (w *world) walk() Walk {
	root := w.zones["."]
	return Walk{Ask: w.ask, Anchors: Anchors{".": {Keys: []rollover.DNSKEY{root.Key.Ours()}}}, Now: now}
}

func (w *world) trace(name string, rrtype uint16) Trace {
	return w.walk().Follow(context.Background(), Goal{Name: name, Type: rrtype})
}

// Every sort of name in zones with NSEC, NSEC3 and opt-out.
func TestFollow(t *testing.T) {
	w := newWorld(t)
	cases := []struct {
		name   string
		rrtype uint16
		expect rollover.Security
	}{
		{".", dns.TypeSOA, rollover.Secure},
		{"example.", dns.TypeSOA, rollover.Secure},
		{"zone.example.", dns.TypeDNSKEY, rollover.Secure},
		{"zone.example.", dns.TypeDS, rollover.Secure},
		{"zone.example.", dns.TypeMX, rollover.Secure},
		{"www.zone.example.", dns.TypeA, rollover.Secure},
		{"www.zone.example.", dns.TypeDS, rollover.Secure},
		{"www.zone.example.", dns.TypeTXT, rollover.Secure},
		{"alias.zone.example.", dns.TypeA, rollover.Secure},
		{"b.zone.example.", dns.TypeA, rollover.Secure},
		{"no.zone.example.", dns.TypeA, rollover.Secure},
		{"no.no.zone.example.", dns.TypeA, rollover.Secure},
		{"x.wild.zone.example.", dns.TypeA, rollover.Secure},
		{"x.y.wild.zone.example.", dns.TypeA, rollover.Secure},
		{"x.wild.zone.example.", dns.TypeTXT, rollover.Secure},
		{"away.zone.example.", dns.TypeDS, rollover.Secure}, // proven that there is none
		{"x.away.zone.example.", dns.TypeA, rollover.Insecure},
		{"open.example.", dns.TypeSOA, rollover.Insecure},
		{"www.hashed.example.", dns.TypeA, rollover.Secure},
		{"www.hashed.example.", dns.TypeTXT, rollover.Secure},
		{"b.hashed.example.", dns.TypeA, rollover.Secure},
		{"no.hashed.example.", dns.TypeA, rollover.Secure},
		{"no.no.hashed.example.", dns.TypeA, rollover.Secure},
		{"x.wild.hashed.example.", dns.TypeA, rollover.Secure},
		{"x.y.wild.hashed.example.", dns.TypeA, rollover.Secure},
		{"x.wild.hashed.example.", dns.TypeTXT, rollover.Secure},
		{"x.away.hashed.example.", dns.TypeA, rollover.Insecure},
		{"www.loose.example.", dns.TypeA, rollover.Secure},
		{"www.loose.example.", dns.TypeTXT, rollover.Secure},
		{"x.away.loose.example.", dns.TypeA, rollover.Insecure},
		{"away.loose.example.", dns.TypeDS, rollover.Insecure}, // not denied by name
		{"no.loose.example.", dns.TypeA, rollover.Insecure},    // it may be an unsigned delegation
	}
	for _, tc := range cases {
		got := w.trace(tc.name, tc.rrtype)
		if got.Security != tc.expect || got.Code != "" {
			t.Errorf("%s %s: expected %s, got %s: %s", tc.name, dns.Type(tc.rrtype), tc.expect, got.Security, got.Sentence)
		}
	}
}

// spoiled is one way to break the chain to www.zone.example. A, and what is
// made of it.
type spoiled struct {
	expect rollover.Security
	code   Code
	spoil  func(w *world, zone, name string, rrtype uint16, m *dns.Msg) *dns.Msg
}

// at changes the answer to one question.
func at(name string, rrtype uint16, change func(w *world, m *dns.Msg)) func(*world, string, string, uint16, *dns.Msg) *dns.Msg {
	return func(w *world, _, gotName string, gotType uint16, m *dns.Msg) *dns.Msg {
		if gotName == name && gotType == rrtype {
			change(w, m)
		}
		return m
	}
}

func unsign(m *dns.Msg) {
	for _, section := range []*[]dns.RR{&m.Answer, &m.Ns} {
		var out []dns.RR
		for _, rr := range *section {
			if rr.Header().Rrtype != dns.TypeRRSIG {
				out = append(out, rr)
			}
		}
		*section = out
	}
}

// Every way to break or to forge a chain, with its name.
func TestBrokenChains(t *testing.T) {
	day := 24 * time.Hour
	child := "zone.example."
	cases := map[string]spoiled{
		"DS of another key": {rollover.Bogus, CodeDSMismatch, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			other := chaintest.NewKey(t, child, 257, dns.ECDSAP256SHA256, 256)
			m.Answer = w.zones["example."].Signed([]dns.RR{other.ToDS(dns.SHA256)})
		})},
		"a digit wrong in the DS": {rollover.Bogus, CodeDigest, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			ds := w.zones[child].Key.ToDS(dns.SHA256)
			ds.Digest = strings.Repeat("0", 64)
			m.Answer = w.zones["example."].Signed([]dns.RR{ds})
		})},
		"DS of another algorithm": {rollover.Bogus, CodeAlgorithm, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			ds := w.zones[child].Key.ToDS(dns.SHA256)
			ds.Algorithm = dns.RSASHA256
			m.Answer = w.zones["example."].Signed([]dns.RR{ds})
		})},
		"DS of an algorithm that cannot be checked": {rollover.Indeterminate, CodeUncheckable, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			ds := w.zones[child].Key.ToDS(dns.SHA256)
			ds.Algorithm = dns.ED448
			m.Answer = w.zones["example."].Signed([]dns.RR{ds})
		})},
		"DS of a digest that cannot be checked": {rollover.Indeterminate, CodeUncheckable, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			ds := w.zones[child].Key.ToDS(dns.SHA256)
			ds.DigestType = 3 // GOST
			m.Answer = w.zones["example."].Signed([]dns.RR{ds})
		})},
		"DS of a digest that nobody knows": {rollover.Insecure, CodeUnknownDS, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			ds := w.zones[child].Key.ToDS(dns.SHA256)
			ds.DigestType = 200
			m.Answer = w.zones["example."].Signed([]dns.RR{ds})
		})},
		"SHA-1 does not count beside SHA-256": {rollover.Bogus, CodeDSMismatch, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			other := chaintest.NewKey(t, child, 257, dns.ECDSAP256SHA256, 256)
			m.Answer = w.zones["example."].Signed([]dns.RR{w.zones[child].Key.ToDS(dns.SHA1), other.ToDS(dns.SHA256)})
		})},
		"forged DS, unsigned": {rollover.Bogus, CodeUnsigned, at(child, dns.TypeDS, func(_ *world, m *dns.Msg) { unsign(m) })},
		"forged DS, signed by the child": {rollover.Bogus, CodeSigner, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			m.Answer = w.zones[child].Signed([]dns.RR{w.zones[child].Key.ToDS(dns.SHA256)})
		})},
		"forged DS, signed by a key that the parent does not have": {rollover.Bogus, CodeKeyMissing, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			m.Answer = chaintest.NewZone(t, "example.").Signed([]dns.RR{w.zones[child].Key.ToDS(dns.SHA256)})
		})},
		"DS changed after it was signed": {rollover.Bogus, CodeSignature, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			m.Answer[0] = dns.Copy(m.Answer[0])
			m.Answer[0].(*dns.DS).KeyTag++
		})},
		"DS expired": {rollover.Bogus, CodeExpired, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			m.Answer[1] = w.zones["example."].Key.Sign(t, m.Answer[:1], chaintest.Between(now.Add(-2*day), now.Add(-day)))
		})},
		"DS gone, without proof": {rollover.Bogus, CodeDenial, at(child, dns.TypeDS, func(_ *world, m *dns.Msg) { m.Answer = nil })},
		"DS gone, with a forged proof": {rollover.Bogus, CodeKeyMissing, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			forger := chaintest.NewZone(t, "example.", "zone.example. 3600 IN NS ns.zone.example.")
			m.Answer, m.Ns = nil, forger.Answer(child, dns.TypeDS).Ns
		})},
		"DS gone, with the proof of another name": {rollover.Bogus, CodeDenial, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			m.Answer, m.Ns = nil, w.zones["example."].Answer("open.example.", dns.TypeDS).Ns
		})},
		"DS gone, with the proof of the zone itself": {rollover.Bogus, CodeSigner, at(child, dns.TypeDS, func(w *world, m *dns.Msg) {
			m.Answer, m.Ns = nil, w.zones[child].Answer(child, dns.TypeMX).Ns
		})},
		"no DNSKEY":       {rollover.Bogus, CodeKeysMissing, at(child, dns.TypeDNSKEY, func(_ *world, m *dns.Msg) { m.Answer = nil })},
		"DNSKEY unsigned": {rollover.Bogus, CodeUnsigned, at(child, dns.TypeDNSKEY, func(_ *world, m *dns.Msg) { unsign(m) })},
		"DNSKEY signed by another key": {rollover.Bogus, CodeDSKeySilent, at(child, dns.TypeDNSKEY, func(w *world, m *dns.Msg) {
			other := chaintest.NewKey(t, child, 257, dns.ECDSAP256SHA256, 256)
			set := []dns.RR{w.zones[child].Key.DNSKEY, other.DNSKEY}
			m.Answer = append(set, other.Sign(t, set))
		})},
		"DNSKEY expired": {rollover.Bogus, CodeExpired, at(child, dns.TypeDNSKEY, func(w *world, m *dns.Msg) {
			m.Answer[1] = w.zones[child].Key.Sign(t, m.Answer[:1], chaintest.Between(now.Add(-2*day), now.Add(-day)))
		})},
		"revoked key": {rollover.Bogus, CodeDSMismatch, at(child, dns.TypeDNSKEY, func(w *world, m *dns.Msg) {
			k := dns.Copy(w.zones[child].Key.DNSKEY).(*dns.DNSKEY)
			k.Flags |= dns.REVOKE
			m.Answer[0] = k
		})},
		"data unsigned": {rollover.Bogus, CodeUnsigned, at("www.zone.example.", dns.TypeA, func(_ *world, m *dns.Msg) { unsign(m) })},
		"data from the future": {rollover.Bogus, CodeFuture, at("www.zone.example.", dns.TypeA, func(w *world, m *dns.Msg) {
			m.Answer[1] = w.zones[child].Key.Sign(t, m.Answer[:1], chaintest.Between(now.Add(day), now.Add(2*day)))
		})},
		"data signed by a key that is not published": {rollover.Bogus, CodeKeyMissing, at("www.zone.example.", dns.TypeA, func(_ *world, m *dns.Msg) {
			other := chaintest.NewKey(t, child, 256, dns.ECDSAP256SHA256, 256)
			m.Answer[1] = other.Sign(t, m.Answer[:1])
		})},
		"a wildcard in the place of a name that exists": {rollover.Bogus, CodeDenial, at("www.zone.example.", dns.TypeA, func(w *world, m *dns.Msg) {
			rrs, sig := w.zones[child].Key.Expanded(t, "www.zone.example.", "A 192.0.2.66")
			m.Answer = append(rrs, sig)
		})},
		"data denied without proof": {rollover.Bogus, CodeDenial, at("www.zone.example.", dns.TypeA, func(_ *world, m *dns.Msg) { m.Answer = nil })},
		"name denied by the proof of another": {rollover.Bogus, CodeDenial, at("www.zone.example.", dns.TypeA, func(w *world, m *dns.Msg) {
			*m = *w.zones[child].Answer("no.zone.example.", dns.TypeA)
		})},
		"a TTL above the one that was signed": {rollover.Secure, CodeTTL, at("www.zone.example.", dns.TypeA, func(_ *world, m *dns.Msg) {
			m.Answer[0] = dns.Copy(m.Answer[0])
			m.Answer[0].Header().Ttl = 86400
		})},
		"no answer of the parent": {rollover.Indeterminate, CodeNoAnswer, func(_ *world, _, name string, rrtype uint16, m *dns.Msg) *dns.Msg {
			if name == child && rrtype == dns.TypeDS {
				return nil
			}
			return m
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.spoil = func(zone, name string, rrtype uint16, m *dns.Msg) *dns.Msg { return tc.spoil(w, zone, name, rrtype, m) }
			got := w.trace("www.zone.example.", dns.TypeA)
			if got.Security != tc.expect || got.Code != tc.code {
				t.Errorf("expected %s (%s), got %s (%s): %s", tc.expect, tc.code, got.Security, got.Code, got.Sentence)
			}
			if got.Sentence == "" || got.Remedy == "" {
				t.Errorf("expected a sentence and a remedy, got %q, %q", got.Sentence, got.Remedy)
			}
		})
	}
}

// The parent has no DS, but the zone is signed: told, with the DS to hand over.
func TestMissingDSIsTold(t *testing.T) {
	w := newWorld(t)
	top := chaintest.NewZone(t, "example.", "zone.example. 3600 IN NS ns.zone.example.")
	w.zones["example."] = top
	w.zones["."] = chaintest.NewZone(t, ".")
	w.zones["."].Delegate(top)
	got := w.trace("www.zone.example.", dns.TypeA)
	digest := strings.ToUpper(w.zones["zone.example."].Key.ToDS(dns.SHA256).Digest)
	if got.Security != rollover.Insecure || got.Code != CodeDSMissing || !strings.Contains(got.Remedy, digest) || got.Sound() {
		t.Errorf("expected the DS to hand over, got %s %s: %s; %s", got.Security, got.Code, got.Sentence, got.Remedy)
	}
}

// A chain begins at the closest anchor, and one without is indeterminate.
func TestAnchors(t *testing.T) {
	w := newWorld(t)
	walk := w.walk()
	walk.Anchors = Anchors{"zone.example.": {DS: dsOf(Set{Records: []dns.RR{w.zones["zone.example."].Key.ToDS(dns.SHA256)}})}}
	if got := walk.Follow(context.Background(), Goal{Name: "www.zone.example.", Type: dns.TypeA}); got.Security != rollover.Secure || len(got.Links) != 3 {
		t.Errorf("from the anchor of the zone: got %s in %d links: %s", got.Security, len(got.Links), got.Sentence)
	}
	if got := walk.Follow(context.Background(), Goal{Name: "example.", Type: dns.TypeSOA}); got.Security != rollover.Indeterminate || got.Code != CodeNoAnchor {
		t.Errorf("above the only anchor: got %s (%s)", got.Security, got.Code)
	}
}

func TestParseAnchors(t *testing.T) {
	good := ". IN DS 20326 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d ; a comment\n" +
		"Lab.Test. 3600 IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n"
	got, err := ParseAnchors(strings.NewReader(good), "root.ds")
	if err != nil || len(got) != 2 || got["."].DS[0] != RootAnchors()["."].DS[0] || len(got["lab.test."].Keys) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":                   "expected DS or DNSKEY records, found none",
		"; nothing\n":        "found none",
		". IN A 192.0.2.1\n": "expected DS and DNSKEY records only, found A",
		". IN DS 1 8 2\n":    "trust anchors",
		". IN DNSKEY 385 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n": "is revoked",
	} {
		if _, err := ParseAnchors(strings.NewReader(text), "root.ds"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: expected an error with %q, got %v", text, want, err)
		}
	}
}

// What a hostile zone can cause is bounded.
func TestChainsAreBounded(t *testing.T) {
	w := newWorld(t)
	var many []dns.RR
	for range MaxDS {
		other := chaintest.NewKey(t, "zone.example.", 257, dns.ECDSAP256SHA256, 256)
		many = append(many, other.ToDS(dns.SHA256))
	}
	many = append(many, w.zones["zone.example."].Key.ToDS(dns.SHA256))
	trust := Trust{DS: dsOf(Set{Records: many})}
	if n := len(trust.usable()); n != MaxDS {
		t.Errorf("expected %d DS records to be tried, got %d", MaxDS, n)
	}
	deep := "example."
	for i := range MaxZones + 2 {
		child := chaintest.NewZone(t, string(rune('a'+i))+"."+deep)
		w.zones[deep].Delegate(child)
		w.zones[child.Name] = child
		deep = child.Name
	}
	if got := w.trace(deep, dns.TypeSOA); got.Security != rollover.Indeterminate || got.Code != CodeTooMuch {
		t.Errorf("a chain of %d zones: got %s (%s)", MaxZones+4, got.Security, got.Code)
	}
}
