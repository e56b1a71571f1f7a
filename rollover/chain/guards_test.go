package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

// Proofs of absence made by hand, that a server of good will would never send:
// each breaks one rule, and only that one.

// negative is an answer without records, each of its proofs signed by a zone.
func negative(t *testing.T, key chaintest.Key, rcode int, proofs []string) *dns.Msg {
	t.Helper()
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true, Rcode: rcode}}
	for _, rr := range chaintest.RRs(t, proofs...) {
		m.Ns = append(m.Ns, rr, key.Sign(t, []dns.RR{rr}))
	}
	return m
}

// hashes makes NSEC3 records of a zone by hand.
type hashes struct {
	zone, salt string
	rounds     uint16
	algorithm  int
	flags      int
}

// exists is the record of a name; nothing lies between it and the next.
func (h hashes) exists(name, types string) string {
	own := dns.HashName(name, dns.SHA1, h.rounds, h.salt)
	return h.record(own, moved(own, 1), types)
}

// covers is a record between whose ends a name lies alone.
func (h hashes) covers(name string) string {
	own := dns.HashName(name, dns.SHA1, h.rounds, h.salt)
	return h.record(moved(own, -1), moved(own, 1), "A RRSIG")
}

func (h hashes) record(owner, next, types string) string {
	salt := h.salt
	if salt == "" {
		salt = "-"
	}
	return fmt.Sprintf("%s.%s 300 IN NSEC3 %d %d %d %s %s %s", strings.ToLower(owner), h.zone, max(h.algorithm, 1), h.flags, h.rounds, salt, next, types)
}

// moved is the hash before (-1) or after another (1).
func moved(hash string, by int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	out := []byte(hash)
	for i := len(out) - 1; i >= 0; i-- {
		n := strings.IndexByte(digits, out[i]) + by
		out[i] = digits[(n+len(digits))%len(digits)]
		if n >= 0 && n < len(digits) {
			break
		}
	}
	return string(out)
}

type proofCase struct {
	name   string
	rrtype uint16
	rcode  int
	proofs []string
	expect rollover.Security
	code   Code
}

func (c proofCase) run(t *testing.T, zone string) {
	t.Helper()
	key := chaintest.FixedKey(zone, 257, 1)
	got := ProveAnswer(NewPool(zone, now, key.Ours()), c.name, c.rrtype, negative(t, key, c.rcode, c.proofs))
	if got.Security != c.expect || got.Code != c.code {
		t.Errorf("%s: expected %s %q, got %s %q: %s", c.name, c.expect, c.code, got.Security, got.Code, got.Text)
	}
	if got.Security == rollover.Secure && !got.Expires.After(now) {
		t.Errorf("%s: the proof expires at %s", c.name, got.Expires)
	}
}

func TestProofsByNSEC(t *testing.T) {
	const nx, ok = dns.RcodeNameError, dns.RcodeSuccess
	apex := zone + " 300 IN NSEC a.zone.example. NS SOA RRSIG NSEC DNSKEY" // covers the wildcard
	mike := "mike.zone.example. 300 IN NSEC october.zone.example. A RRSIG NSEC"
	cases := map[string]proofCase{
		"no name, and no wildcard":                   {"no.zone.example.", dns.TypeA, nx, []string{apex, mike}, rollover.Secure, ""},
		"no name, and nothing of the wildcard":       {"no.zone.example.", dns.TypeA, nx, []string{mike}, rollover.Bogus, CodeDenial},
		"no wildcard, and nothing of the name":       {"www.zone.example.", dns.TypeA, nx, []string{apex, mike}, rollover.Bogus, CodeDenial},
		"there is a wildcard":                        {"no.zone.example.", dns.TypeA, nx, []string{mike, "*.zone.example. 300 IN NSEC a.zone.example. A"}, rollover.Bogus, CodeDenial},
		"the name itself":                            {"mike.zone.example.", dns.TypeA, nx, []string{apex, mike}, rollover.Bogus, CodeDenial},
		"the next name":                              {"october.zone.example.", dns.TypeA, nx, []string{apex, mike}, rollover.Bogus, CodeDenial},
		"behind the last name":                       {"zulu.zone.example.", dns.TypeA, nx, []string{apex, "mike.zone.example. 300 IN NSEC zone.example. A"}, rollover.Secure, ""},
		"before the last name":                       {"lima.zone.example.", dns.TypeA, nx, []string{apex, "mike.zone.example. 300 IN NSEC zone.example. A"}, rollover.Bogus, CodeDenial},
		"the only name of the zone":                  {"no.zone.example.", dns.TypeA, nx, []string{"zone.example. 300 IN NSEC zone.example. NS SOA"}, rollover.Secure, ""},
		"below a delegation":                         {"x.away.zone.example.", dns.TypeA, nx, []string{apex, "away.zone.example. 300 IN NSEC mike.zone.example. NS RRSIG NSEC"}, rollover.Bogus, CodeDenial},
		"beside a delegation":                        {"bravo.zone.example.", dns.TypeA, nx, []string{apex, "away.zone.example. 300 IN NSEC mike.zone.example. NS RRSIG NSEC"}, rollover.Secure, ""},
		"below a DNAME":                              {"x.dn.zone.example.", dns.TypeA, nx, []string{apex, "dn.zone.example. 300 IN NSEC mike.zone.example. DNAME RRSIG NSEC"}, rollover.Bogus, CodeDenial},
		"a name with names below it":                 {"b.zone.example.", dns.TypeA, nx, []string{apex, "a.zone.example. 300 IN NSEC c.b.zone.example. A"}, rollover.Bogus, CodeDenial},
		"below a name with names below it":           {"aa.b.zone.example.", dns.TypeA, nx, []string{"a.zone.example. 300 IN NSEC c.b.zone.example. A"}, rollover.Secure, ""},
		"no data where only names below are":         {"b.zone.example.", dns.TypeA, ok, []string{"a.zone.example. 300 IN NSEC c.b.zone.example. A"}, rollover.Secure, ""},
		"names below, and before":                    {"b.zone.example.", dns.TypeA, ok, []string{"a.b.zone.example. 300 IN NSEC c.b.zone.example. A"}, rollover.Bogus, CodeDenial},
		"no data, of another name":                   {"www.zone.example.", dns.TypeTXT, ok, []string{apex, mike}, rollover.Bogus, CodeDenial},
		"no data, of a name that is not there":       {"no.zone.example.", dns.TypeTXT, ok, []string{apex, mike}, rollover.Bogus, CodeDenial},
		"no data of the wildcard":                    {"no.zone.example.", dns.TypeTXT, ok, []string{mike, "*.zone.example. 300 IN NSEC a.zone.example. A"}, rollover.Secure, ""},
		"the wildcard has data":                      {"no.zone.example.", dns.TypeA, ok, []string{mike, "*.zone.example. 300 IN NSEC a.zone.example. A"}, rollover.Bogus, CodeDenial},
		"no data":                                    {"mike.zone.example.", dns.TypeTXT, ok, []string{mike}, rollover.Secure, ""},
		"there is data":                              {"mike.zone.example.", dns.TypeA, ok, []string{mike}, rollover.Bogus, CodeDenial},
		"there is an alias":                          {"mike.zone.example.", dns.TypeA, ok, []string{"mike.zone.example. 300 IN NSEC october.zone.example. CNAME RRSIG NSEC"}, rollover.Bogus, CodeDenial},
		"no data, by the upper side of a delegation": {"away.zone.example.", dns.TypeA, ok, []string{"away.zone.example. 300 IN NSEC mike.zone.example. NS RRSIG NSEC"}, rollover.Bogus, CodeDenial},
		"no DS, by the upper side of a delegation":   {"away.zone.example.", dns.TypeDS, ok, []string{"away.zone.example. 300 IN NSEC mike.zone.example. NS RRSIG NSEC"}, rollover.Secure, ""},
		"no DS, by the zone itself":                  {zone, dns.TypeDS, ok, []string{apex}, rollover.Bogus, CodeDenial},
		"no DS of a name that is not there":          {"no.zone.example.", dns.TypeDS, ok, []string{apex, mike}, rollover.Bogus, CodeDenial},
		"another code":                               {"no.zone.example.", dns.TypeA, dns.RcodeServerFailure, []string{apex, mike}, rollover.Indeterminate, CodeNoAnswer},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.run(t, zone) })
	}
	t.Run("nothing of the name, in the root", func(t *testing.T) {
		proofCase{"no.", dns.TypeA, nx, []string{". 300 IN NSEC aaa. NS SOA"}, rollover.Bogus, CodeDenial}.run(t, ".")
	})
}

func TestProofsByNSEC3(t *testing.T) {
	const nx, ok = dns.RcodeNameError, dns.RcodeSuccess
	const no, wild, away = "no.zone.example.", "*.zone.example.", "away.zone.example."
	plain := hashes{zone: zone}
	full := func(h hashes) []string { return []string{h.exists(zone, "NS SOA"), h.covers(no), h.covers(wild)} }
	below := func(types string) []string {
		return []string{plain.exists(away, types), plain.exists(zone, "NS SOA"), plain.covers("x." + away), plain.covers("*." + away), plain.covers(wild)}
	}
	loose := hashes{zone: zone, flags: 1}
	cases := map[string]proofCase{
		"no name":                                  {no, dns.TypeA, nx, full(plain), rollover.Secure, ""},
		"with salt":                                {no, dns.TypeA, nx, full(hashes{zone: zone, salt: "AB12", rounds: 5}), rollover.Secure, ""},
		"150 iterations":                           {no, dns.TypeA, nx, full(hashes{zone: zone, rounds: 150}), rollover.Secure, ""},
		"151 iterations":                           {no, dns.TypeA, nx, full(hashes{zone: zone, rounds: 151}), rollover.Insecure, CodeIterations},
		"a hash that nobody knows":                 {no, dns.TypeA, nx, full(hashes{zone: zone, algorithm: 2}), rollover.Indeterminate, CodeUncheckable},
		"flags that nobody knows":                  {no, dns.TypeA, nx, full(hashes{zone: zone, flags: 2}), rollover.Indeterminate, CodeUncheckable},
		"of a zone below":                          {no, dns.TypeA, nx, full(hashes{zone: "sub.zone.example."}), rollover.Indeterminate, CodeUncheckable},
		"two salts":                                {no, dns.TypeA, nx, []string{plain.exists(zone, "NS SOA"), plain.covers(no), hashes{zone: zone, salt: "AB"}.covers(wild)}, rollover.Bogus, CodeDenial},
		"two counts of iterations":                 {no, dns.TypeA, nx, []string{plain.exists(zone, "NS SOA"), plain.covers(no), hashes{zone: zone, rounds: 1}.covers(wild)}, rollover.Bogus, CodeDenial},
		"nothing of the name":                      {no, dns.TypeA, nx, []string{plain.exists(zone, "NS SOA"), plain.covers(wild)}, rollover.Bogus, CodeDenial},
		"nothing of the wildcard":                  {no, dns.TypeA, nx, []string{plain.exists(zone, "NS SOA"), plain.covers(no)}, rollover.Bogus, CodeDenial},
		"nothing of what exists above":             {no, dns.TypeA, nx, []string{plain.covers(no), plain.covers(wild)}, rollover.Bogus, CodeDenial},
		"below a name":                             {"x." + away, dns.TypeA, nx, below("A"), rollover.Secure, ""},
		"below a delegation":                       {"x." + away, dns.TypeA, nx, below("NS"), rollover.Bogus, CodeDenial},
		"below a DNAME":                            {"x." + away, dns.TypeA, nx, below("DNAME"), rollover.Bogus, CodeDenial},
		"no name, with opt-out":                    {no, dns.TypeA, nx, full(loose), rollover.Insecure, CodeUnsecured},
		"no data":                                  {away, dns.TypeTXT, ok, []string{plain.exists(away, "A")}, rollover.Secure, ""},
		"no data, with opt-out, of this very name": {away, dns.TypeTXT, ok, []string{loose.exists(away, "A")}, rollover.Secure, ""},
		"no DS, with opt-out":                      {away, dns.TypeDS, ok, []string{loose.exists(zone, "NS SOA"), loose.covers(away)}, rollover.Insecure, CodeUnsecured},
		"no DS, without opt-out":                   {away, dns.TypeDS, ok, []string{plain.exists(zone, "NS SOA"), plain.covers(away)}, rollover.Bogus, CodeDenial},
		"no other type, with opt-out":              {away, dns.TypeA, ok, []string{loose.exists(zone, "NS SOA"), loose.covers(away)}, rollover.Bogus, CodeDenial},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { c.run(t, zone) })
	}
}

// What a parent says of a name below it: each sort of cut, and what proves it.
func TestCuts(t *testing.T) {
	const nx, ok = dns.RcodeNameError, dns.RcodeSuccess
	apex := zone + " 300 IN NSEC a.zone.example. NS SOA RRSIG NSEC DNSKEY"
	soa := zone + " 3600 IN SOA ns.zone.example. host.zone.example. 1 2 3 4 300"
	long := zone + " 60 IN SOA ns.zone.example. host.zone.example. 1 2 3 4 300"
	loose := hashes{zone: zone, flags: 1}
	cases := map[string]struct {
		name   string
		rcode  int
		proofs []string
		expect rollover.Security
		cut    Cut
		optOut bool
		ttl    uint32
	}{
		"a delegation":             {"away.zone.example.", ok, []string{soa, "away.zone.example. 300 IN NSEC mike.zone.example. NS"}, rollover.Insecure, CutUnsigned, false, 300},
		"no delegation":            {"mike.zone.example.", ok, []string{long, "mike.zone.example. 300 IN NSEC october.zone.example. A"}, rollover.Secure, CutNone, false, 60},
		"no name":                  {"no.zone.example.", nx, []string{soa, apex, "mike.zone.example. 300 IN NSEC october.zone.example. A"}, rollover.Secure, CutNoName, false, 300},
		"no name, not proven":      {"no.zone.example.", nx, []string{soa, apex}, rollover.Bogus, CutNone, false, 300},
		"a name that says NOERROR": {"no.zone.example.", ok, []string{soa, apex, "mike.zone.example. 300 IN NSEC october.zone.example. A"}, rollover.Bogus, CutNone, false, 300},
		"no signed delegation":     {"away.zone.example.", ok, []string{soa, loose.exists(zone, "NS SOA"), loose.covers("away.zone.example.")}, rollover.Insecure, CutUnsigned, true, 300},
		"opt-out of this very one": {"away.zone.example.", ok, []string{soa, loose.exists("away.zone.example.", "NS")}, rollover.Insecure, CutUnsigned, false, 300},
		"opt-out of another name":  {"mike.zone.example.", ok, []string{soa, loose.exists("mike.zone.example.", "A")}, rollover.Secure, CutNone, false, 300},
		"no SOA":                   {"away.zone.example.", ok, []string{"away.zone.example. 300 IN NSEC mike.zone.example. NS"}, rollover.Insecure, CutUnsigned, false, 0},
	}
	key := chaintest.FixedKey(zone, 257, 1)
	for name, c := range cases {
		got := ProveDelegation(NewPool(zone, now, key.Ours()), c.name, negative(t, key, c.rcode, c.proofs))
		if got.Security != c.expect || got.Cut != c.cut || got.OptOut != c.optOut || got.TTL != c.ttl {
			t.Errorf("%s: %s, %s, opt-out %v, TTL %d: %s; expected %s, %s, %v, %d", name, got.Security, got.Cut, got.OptOut, got.TTL, got.Text, c.expect, c.cut, c.optOut, c.ttl)
		}
		if c.expect != rollover.Bogus && (!got.Since.Before(now) || !got.Expires.After(now)) {
			t.Errorf("%s: from %s to %s", name, got.Since, got.Expires)
		}
	}
}

// Where an alias is, or stands in by a DNAME above, there is no delegation; a
// DNAME at the name itself says nothing of it.
func TestAliasesAreNoDelegations(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	signed := func(text string) []dns.RR {
		set := chaintest.RRs(t, text)
		return append(set, key.Sign(t, set))
	}
	made := chaintest.RR(t, "x.dn.zone.example. 300 IN CNAME x.elsewhere.example.") // by the server, unsigned
	cases := map[string]struct {
		name   string
		answer []dns.RR
		expect rollover.Security
	}{
		"a CNAME":              {"x.zone.example.", signed("x.zone.example. 300 IN CNAME www.zone.example."), rollover.Secure},
		"an unsigned CNAME":    {"x.dn.zone.example.", []dns.RR{made}, rollover.Bogus},
		"by a DNAME above":     {"x.dn.zone.example.", append([]dns.RR{made}, signed("dn.zone.example. 300 IN DNAME elsewhere.example.")...), rollover.Secure},
		"a DNAME of the name":  {"x.dn.zone.example.", append([]dns.RR{made}, signed("x.dn.zone.example. 300 IN DNAME elsewhere.example.")...), rollover.Bogus},
		"another record above": {"x.dn.zone.example.", append([]dns.RR{made}, signed("dn.zone.example. 300 IN TXT x")...), rollover.Bogus},
	}
	for name, c := range cases {
		got := ProveDelegation(NewPool(zone, now, key.Ours()), c.name, &dns.Msg{Answer: c.answer})
		if got.Security != c.expect || got.Security == rollover.Secure && (got.Cut != CutNone || got.TTL != 300) {
			t.Errorf("%s: %s, %s, TTL %d: %s; expected %s", name, got.Security, got.Cut, got.TTL, got.Text, c.expect)
		}
	}
}

// A DS set comes out in one order, digests in upper case, each record once.
func TestDSSetsComeInOneOrder(t *testing.T) {
	key := chaintest.FixedKey(zone, 257, 1)
	set := chaintest.RRs(t, "sub.zone.example. 60 IN DS 2 13 2 ab", "sub.zone.example. 60 IN DS 1 13 4 cd", "sub.zone.example. 60 IN DS 1 13 2 ef", "sub.zone.example. 60 IN DS 1 8 2 ef")
	got := ProveDelegation(NewPool(zone, now, key.Ours()), "sub.zone.example.", &dns.Msg{Answer: append(slices.Clone(set), key.Sign(t, set))})
	want := []rollover.DS{{Tag: 1, Algorithm: 8, DigestType: 2, Digest: "EF"}, {Tag: 1, Algorithm: 13, DigestType: 2, Digest: "EF"}, {Tag: 1, Algorithm: 13, DigestType: 4, Digest: "CD"}, {Tag: 2, Algorithm: 13, DigestType: 2, Digest: "AB"}}
	if got.Security != rollover.Secure || !slices.Equal(got.DS, want) {
		t.Errorf("%s, %v", got.Security, got.DS)
	}
}

// One pool makes a stated number of verifications, over all sets together (KeyTrap).
func TestAPoolIsAtItsEnd(t *testing.T) {
	k := chaintest.FixedKey(zone, 256, 1)
	pool := NewPool(zone, chaintest.Now(), k.Ours())
	proven := func(n int) Proof {
		record := chaintest.RR(t, fmt.Sprintf("n%d.%s 60 IN A 192.0.2.1", n, zone))
		sets, err := Sets([]dns.RR{record, k.Sign(t, []dns.RR{record})})
		if err != nil {
			t.Fatal(err)
		}
		return pool.Prove(sets[0])
	}
	for n := range MaxVerifications {
		if !proven(n).Good() {
			t.Fatalf("set %d is not proven", n)
		}
	}
	last := proven(MaxVerifications)
	if last.Good() || !strings.Contains(last.Checks[0].Fault.Error(), "more signatures to check in what one server shows than 512") {
		t.Errorf("%+v", last)
	}
	if !proven(0).Good() {
		t.Error("what was checked before is not known any more")
	}
	if pool.Expect(1); !proven(MaxVerifications + 1).Good() {
		t.Error("an answer that was expected is not checked")
	}
}

// Pools that share a budget make a stated effort together, of which long keys take
// more, and none when whoever waits for them has gone away.
func TestPoolsShareABudget(t *testing.T) {
	for name, tc := range map[string]struct {
		algorithm uint8
		bits      int
		answers   int
		most      int
	}{
		"usual keys":             {dns.ECDSAP256SHA256, 256, 0, MaxEffort},
		"usual keys and answers": {dns.ECDSAP256SHA256, 256, 2, MaxEffort + 2*MaxChecks},
		"keys of 384 bits":       {dns.ECDSAP384SHA384, 384, 0, MaxEffort / dear},
		"RSA keys of 2048 bits":  {dns.RSASHA256, 2048, 0, MaxEffort},
		"RSA keys above 2048":    {dns.RSASHA256, 2112, 0, MaxEffort / dear},
	} {
		key := record(zone, chaintest.NewKey(t, zone, 256, tc.algorithm, tc.bits).Ours())
		b, n := NewBudget(t.Context()), 0
		b.Expect(tc.answers)
		for b.spend(key) == nil {
			n++
		}
		if n != tc.most {
			t.Errorf("%s: %d signatures, expected %d", name, n, tc.most)
		}
	}
}

func TestABudgetIsThatOfAllPools(t *testing.T) {
	k := chaintest.FixedKey(zone, 256, 1)
	b := NewBudget(t.Context())
	proven := func(p *Pool, n int) Proof {
		record := chaintest.RR(t, fmt.Sprintf("n%d.%s 60 IN A 192.0.2.1", n, zone))
		sets, err := Sets([]dns.RR{record, k.Sign(t, []dns.RR{record})})
		if err != nil {
			t.Fatal(err)
		}
		return p.Prove(sets[0])
	}
	b.left.Store(3)
	one, other := NewPool(zone, chaintest.Now(), k.Ours()).Within(b), NewPool(zone, chaintest.Now(), k.Ours()).Within(b)
	for n, p := range []*Pool{one, other, one} {
		if !proven(p, n).Good() {
			t.Errorf("set %d is not proven", n)
		}
	}
	if last := proven(other, 3); last.Good() || !strings.Contains(last.Checks[0].Fault.Error(), "more signatures to check in what all servers show") {
		t.Errorf("%+v", last)
	}
	if !proven(one, 0).Good() {
		t.Error("what was checked before is not known any more")
	}
	if !proven(NewPool(zone, chaintest.Now(), k.Ours()).Within(nil), 4).Good() {
		t.Error("without a budget nothing is checked")
	}
}

// A look that nobody waits for any more is not judged to its end.
func TestJudgingEndsWithTheContext(t *testing.T) {
	k := chaintest.FixedKey(zone, 256, 1)
	ctx, end := context.WithCancelCause(t.Context())
	pool := NewPool(zone, chaintest.Now(), k.Ours()).Within(NewBudget(ctx))
	end(errors.New("SIGTERM"))
	record := chaintest.RR(t, "a."+zone+" 60 IN A 192.0.2.1")
	sets, err := Sets([]dns.RR{record, k.Sign(t, []dns.RR{record})})
	if err != nil {
		t.Fatal(err)
	}
	if proof := pool.Prove(sets[0]); proof.Good() || proof.Checks[0].Fault.Error() != "not checked: SIGTERM" || len(pool.known) != 0 {
		t.Errorf("%+v", proof)
	}
}
