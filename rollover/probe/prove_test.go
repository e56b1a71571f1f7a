package probe

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

var proving = rollover.Question{Records: []rollover.Record{rollover.RecordDS}, Validate: true}

func keysOf(name string) func(q *dns.Msg) bool {
	return func(q *dns.Msg) bool {
		return q.RecursionDesired && q.Question[0].Qtype == dns.TypeDNSKEY && q.Question[0].Name == name
	}
}

func isDS(q *dns.Msg) bool { return !q.RecursionDesired && q.Question[0].Qtype == dns.TypeDS }

func ownKeys(q *dns.Msg) bool {
	return !q.RecursionDesired && q.Question[0].Qtype == dns.TypeDNSKEY
}

// unsign takes the signatures out of an answer.
func unsign(m *dns.Msg) { m.Answer, m.Ns = bare(m.Answer), bare(m.Ns) }

func fails(m *dns.Msg) { m.Rcode, m.Answer, m.Ns = dns.RcodeServerFailure, nil, nil }

// What the parent says is secure by signatures that hold up to the anchor and by
// nothing less; where the resolvers kept something back, that is told with it.
func TestStandingOfWhatTheParentSays(t *testing.T) {
	type spoil struct {
		of   func(q *dns.Msg) bool
		with func(m *dns.Msg)
	}
	cases := map[string]struct {
		spoils   []spoil
		arrange  func(s *street, c *Client)
		is       rollover.Security
		why      string
		resolver string
	}{
		"all is well": {is: rollover.Secure},
		"no DS, which is proven": {arrange: func(s *street, _ *Client) {
			s.parent.Records = without(s.parent.Records, func(r dns.RR) bool { return r.Header().Rrtype == dns.TypeDS })
		}, is: rollover.Secure},
		"no anchor": {arrange: func(_ *street, c *Client) { c.Anchors = nil }, is: rollover.Indeterminate, why: "the keys of example. are not proven: no trust anchor is above example."},
		"another anchor": {arrange: func(s *street, c *Client) {
			c.Anchors = chain.Anchors{".": {Keys: []rollover.DNSKEY{s.child.Key.Ours()}}}
		}, is: rollover.Bogus, why: "the keys of example. are not proven: "},
		"a forged set": {spoils: []spoil{{isDS, func(m *dns.Msg) { m.Answer[0] = rr(t, "zone.example. 3600 IN DS 1 13 2 AB") }}}, is: rollover.Bogus, why: "does not verify"},
		"a signer that is not above": {spoils: []spoil{{isDS, func(m *dns.Msg) { claim(m, "other.") }}}, is: rollover.Bogus,
			why: "the answer of the parent is not signed by a zone above zone.example., and example. is signed"},
		"a signer that is no zone":  {spoils: []spoil{{isDS, func(m *dns.Msg) { claim(m, ".") }}}, is: rollover.Bogus, why: "zone.example."},
		"no keys from the resolver": {spoils: []spoil{{keysOf("example."), fails}}, is: rollover.Secure},
		"keys without signatures":   {spoils: []spoil{{keysOf("example."), unsign}}, is: rollover.Secure},
		"nor of the root": {spoils: []spoil{{keysOf("."), unsign}}, is: rollover.Bogus, why: "the keys of example. are not proven: ",
			resolver: "resolver AT gave . DNSKEY without signatures"},
		"no keys of the root": {spoils: []spoil{{keysOf("."), fails}}, is: rollover.Indeterminate, why: "the keys of example. are not proven: ",
			resolver: "the resolvers gave no answer about . DNSKEY: SERVFAIL from AT"},
		"the root's keys and those below": {spoils: []spoil{{keysOf("."), fails}, {keysOf("example."), unsign}}, is: rollover.Indeterminate, why: "not proven",
			resolver: "the resolvers gave no answer about . DNSKEY: SERVFAIL from AT"},
		"a DS set without signatures on the way":         {spoils: []spoil{{func(q *dns.Msg) bool { return q.RecursionDesired && q.Question[0].Qtype == dns.TypeDS }, unsign}}, is: rollover.Bogus, why: "not proven"},
		"no DNSKEY records of the root":                  {spoils: []spoil{{keysOf("."), func(m *dns.Msg) { m.Answer = nil }}}, is: rollover.Bogus, why: "not proven"},
		"unsigned keys, and not from the resolver alone": {spoils: []spoil{{keysOf("example."), unsign}, {ownKeys, unsign}}, is: rollover.Bogus, why: "not proven"},
		"no keys from anybody": {spoils: []spoil{{keysOf("example."), fails}, {ownKeys, fails}}, is: rollover.Indeterminate, why: "not proven",
			resolver: "the resolvers gave no answer about example. DNSKEY: SERVFAIL from AT"},
		"unsigned": {spoils: []spoil{{isDS, unsign}}, is: rollover.Bogus,
			why: "the answer of the parent is not signed by a zone above zone.example., and example. is signed"},
		"unsigned, and no keys of the root": {spoils: []spoil{{isDS, unsign}, {keysOf("."), fails}}, is: rollover.Indeterminate,
			why: "the answer of the parent is not signed by a zone above zone.example., and whether it must be cannot be told: ", resolver: "the resolvers gave no answer about . DNSKEY: SERVFAIL from AT"},
		"unsigned, and keys without signatures": {spoils: []spoil{{isDS, unsign}, {keysOf("example."), unsign}}, is: rollover.Bogus, resolver: "resolver AT gave example. DNSKEY without signatures"},
		"unsigned, below what is not signed": {spoils: []spoil{{isDS, unsign}}, arrange: func(s *street, _ *Client) {
			s.root.Records = without(s.root.Records, func(r dns.RR) bool { return r.Header().Rrtype == dns.TypeDS })
		}, is: rollover.Insecure, why: "a zone above zone.example. is not signed ("},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			c := s.client(t)
			if tc.arrange != nil {
				tc.arrange(s, c)
			}
			s.set(func(q, m *dns.Msg) {
				for _, spoil := range tc.spoils {
					if spoil.of(q) {
						spoil.with(m)
					}
				}
			})
			got := lookWith(t, c, s.at, proving)
			if got.Unknown != "" || got.DS == nil || got.DS.Standing == nil {
				t.Fatalf("expected a standing, got %+v", got)
			}
			standing := got.DS.Standing
			same(t, "security", standing.Security, tc.is)
			same(t, "resolver", standing.Resolver, strings.ReplaceAll(tc.resolver, "AT", s.at.String()))
			if !strings.Contains(standing.Why, tc.why) || tc.is == rollover.Secure && standing.Why != "" {
				t.Errorf("expected %q in %q", tc.why, standing.Why)
			}
			if secure := tc.is == rollover.Secure; secure != standing.Signed.Equal(now.Add(-time.Hour)) || secure != standing.Expires.Equal(now.Add(time.Hour)) {
				t.Errorf("signed %s, expires %s", standing.Signed, standing.Expires)
			}
		})
	}
}

// An answer that cannot be used proves nothing.
func TestNoStandingOfWhatIsNotSaid(t *testing.T) {
	s := newStreet(t)
	s.set(func(q, m *dns.Msg) {
		if isDS(q) {
			m.Rcode = dns.RcodeRefused
		}
	})
	got := lookWith(t, s.client(t), s.at, proving)
	same(t, "unknown", got.Unknown, "REFUSED")
	same(t, "DS", got.DS, (*rollover.DSVersion)(nil))
}

func claim(m *dns.Msg, signer string) {
	for i, record := range m.Answer {
		if sig, ok := record.(*dns.RRSIG); ok {
			sig = dns.Copy(sig).(*dns.RRSIG)
			sig.SignerName = signer
			m.Answer[i] = sig
		}
	}
}

func without(records []dns.RR, drop func(dns.RR) bool) []dns.RR {
	var out []dns.RR
	for _, r := range records {
		if !drop(r) {
			out = append(out, r)
		}
	}
	return out
}

// A server of the parent tells how far it is in the zone that signed, and nothing
// else hangs on that.
func TestSerialOfTheParent(t *testing.T) {
	cases := map[string]struct {
		change func(q *dns.Msg, m *dns.Msg)
		serial uint32
	}{
		"told":              {func(_, _ *dns.Msg) {}, 1},
		"without authority": {func(q, m *dns.Msg) { m.Authoritative = q.Question[0].Qtype != dns.TypeSOA }, 0},
		"of another zone": {func(q, m *dns.Msg) {
			if q.Question[0].Qtype == dns.TypeSOA {
				m.Answer = rrs(t, "zone.example. 1 IN SOA a. b. 77 2 3 4 5")
			}
		}, 0},
		"in capitals, behind another record": {func(q, m *dns.Msg) {
			if q.Question[0].Qtype == dns.TypeSOA {
				m.Answer = rrs(t, "example. 1 IN A 192.0.2.1", "Example. 1 IN SOA a. b. 78 2 3 4 5")
			}
		}, 78},
		"cut off": {func(q, m *dns.Msg) { m.Truncated = q.Question[0].Qtype == dns.TypeSOA }, 0},
		"nobody signed": {func(q, m *dns.Msg) {
			if isDS(q) {
				unsign(m)
			}
		}, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.change = tc.change
			got := lookWith(t, s.client(t), s.at, proving)
			same(t, "unknown", got.Unknown, "")
			same(t, "serial", got.Serial, tc.serial)
		})
	}
}

// Only a server of the parent that answered its one question is asked for it.
func TestWhoIsAskedForTheSerialOfTheParent(t *testing.T) {
	s := newStreet(t)
	told := []reply{{answer: s.parent.Answer(zone, dns.TypeDS)}}
	of := func(role string, silent error, replies []reply) visit {
		return visit{target: target{Server: rollover.Server{Role: role}, at: s.at, silent: silent}, replies: replies}
	}
	asked := []visit{
		of(rollover.RoleParent, nil, told), of(rollover.RoleChild, nil, told), of(rollover.RoleParent, errTimedOut, told),
		of(rollover.RoleParent, nil, nil), of(rollover.RoleParent, nil, []reply{{answer: told[0].answer, err: errTimedOut}}),
	}
	s.client(t).parentSerials(t.Context(), rollover.Question{Zone: zone}, asked)
	var got []uint32
	for _, v := range asked {
		got = append(got, v.serial)
	}
	same(t, "serials", got, []uint32{1, 0, 0, 0, 0})
	same(t, "questions", s.times("example. SOA over TCP"), 1)
}

// Proven keys serve other looks for as long as their TTL, the first signature, and
// five minutes allow, and only while they fit.
func TestProvenKeysAreKept(t *testing.T) {
	second := time.Second
	for name, tc := range map[string]struct {
		ttl     uint32
		expires time.Duration
		until   time.Duration
	}{
		"five minutes":  {86400, time.Hour, keepProven},
		"the TTL":       {60, time.Hour, time.Minute},
		"the signature": {86400, time.Minute, time.Minute},
	} {
		c := &Client{}
		c.remember(chain.Zone{Name: "example.", TTL: tc.ttl, Expires: now.Add(tc.expires)}, now)
		if z, ok := c.recall("example.", now.Add(tc.until-second)); !ok || z.Name != "example." {
			t.Errorf("%s: not known any more before", name)
		}
		if _, ok := c.recall("example.", now.Add(tc.until)); ok {
			t.Errorf("%s: still known after", name)
		}
		if _, ok := c.recall("other.", now); ok {
			t.Errorf("%s: another zone is known", name)
		}
	}
	s := newStreet(t)
	c := s.client(t)
	at := now
	c.Now = func() rollover.Instant { return rollover.Instant{Wall: at} }
	lookWith(t, c, s.at, proving)
	same(t, "standing by kept keys", lookWith(t, c, s.at, proving).DS.Standing.Security, rollover.Secure)
	same(t, "questions for the parent's keys in two looks", s.times("resolver example. DNSKEY"), 1)
	at = now.Add(keepProven)
	lookWith(t, c, s.at, proving)
	same(t, "questions when they are not kept any more", s.times("resolver example. DNSKEY"), 2)
	other := newStreet(t)
	s.mu.Lock()
	s.parent.Key = other.parent.Key // a KSK rollover at the parent, which the keys of before do not fit
	s.parent.Records = append(without(s.parent.Records, func(r dns.RR) bool { return r.Header().Rrtype == dns.TypeDNSKEY }), s.parent.Key.DNSKEY)
	s.root.Records = without(s.root.Records, func(r dns.RR) bool { return r.Header().Name == "example." })
	s.root.Delegate(s.parent)
	s.mu.Unlock()
	same(t, "standing by the new keys", lookWith(t, c, s.at, proving).DS.Standing.Security, rollover.Secure)
	same(t, "questions for them", s.times("resolver example. DNSKEY"), 3)
	s.mu.Lock()
	s.parent.NSEC3, s.parent.OptOut = true, true
	s.parent.Records = without(s.parent.Records, func(r dns.RR) bool { return dns.IsSubDomain(zone, r.Header().Name) })
	s.mu.Unlock()
	same(t, "standing by opt-out", lookWith(t, c, s.at, proving).DS.Standing.Security, rollover.Secure)
	same(t, "questions for that", s.times("resolver example. DNSKEY"), 3)
}

// In one look a zone is proven once, and no more than two of those that claim to
// be the parent.
func TestSignersAreProvenOnceAndNotAll(t *testing.T) {
	s := newStreet(t)
	c := s.client(t)
	p := &proofs{zones: map[string]chain.Zone{}, verdicts: map[string]chain.Verdict{}}
	ds := func(signer string) *dns.Msg {
		m := s.parent.Answer("a.b."+zone, dns.TypeDS)
		m.Answer = []dns.RR{rr(t, "a.b.zone.example. 1 IN DS 1 13 2 AB"), rr(t, "a.b.zone.example. 1 IN RRSIG DS 13 4 1 20300101000000 20200101000000 1 "+signer+" AAAA")}
		return m
	}
	for _, signer := range []string{"example.", "example.", "zone.example.", "b.zone.example."} {
		c.proveSigner(t.Context(), "a.b."+zone, ds(signer), nil, p)
		if signer == "example." {
			same(t, "questions for the keys of the first", s.times("resolver example. DNSKEY"), 1)
		}
	}
	same(t, "zones proven", len(p.verdicts), maxSigners)
	same(t, "of the third", p.standing("a.b."+zone, ds("b.zone.example."), now),
		&rollover.Standing{Security: rollover.Indeterminate, Why: "the keys of b.zone.example. were not looked for"})
}

// The servers of the parent that are asked for its keys are those that can be.
func TestWhoIsAskedForTheKeysOfTheParent(t *testing.T) {
	s := newStreet(t)
	s.change = func(q, m *dns.Msg) {
		if keysOf("example.")(q) {
			fails(m)
		}
	}
	told := []reply{{answer: s.parent.Answer(zone, dns.TypeDS)}}
	asked := []visit{
		{target: target{Server: rollover.Server{Role: rollover.RoleParent}, at: s.at}, replies: told},
		{target: target{Server: rollover.Server{Role: rollover.RoleParent}, at: s.at, silent: errTimedOut}, replies: []reply{{err: errTimedOut}}},
		{target: target{Server: rollover.Server{Role: rollover.RoleParent}, doubt: "no address"}},
		{target: target{Server: rollover.Server{Role: rollover.RoleChild}, at: s.at}, replies: []reply{{err: errTimedOut}}},
	}
	s.client(t).prove(t.Context(), rollover.Question{Zone: zone}, asked)
	same(t, "questions", s.times("example. DNSKEY over TCP"), 1)
	same(t, "a server of the zone has no proofs", asked[3].proofs, (*proofs)(nil))
	same(t, "standing", asked[0].proofs.standing(zone, told[0].answer, now).Security, rollover.Secure)
}

// A signature hints at the zone above that made it, and not at the zone itself
// nor at one beside.
func TestSignerOf(t *testing.T) {
	sig := func(signer string) dns.RR {
		return rr(t, "zone.example. 1 IN RRSIG DS 13 2 1 20300101000000 20200101000000 1 "+signer+" AAAA")
	}
	for name, tc := range map[string]struct {
		m      dns.Msg
		expect string
	}{
		"none":       {dns.Msg{Answer: rrs(t, "zone.example. 1 IN DS 1 13 2 AB")}, ""},
		"its parent": {dns.Msg{Answer: []dns.RR{rr(t, "zone.example. 1 IN DS 1 13 2 AB"), sig("Example.")}}, "example."},
		"of a proof": {dns.Msg{Ns: []dns.RR{sig("example.")}}, "example."},
		"itself":     {dns.Msg{Answer: []dns.RR{sig("Zone.example.")}}, ""},
		"one beside": {dns.Msg{Answer: []dns.RR{sig("other.")}}, ""},
		"the second": {dns.Msg{Answer: []dns.RR{sig(zone), sig(".")}}, "."},
	} {
		got, ok := signerOf(zone, &tc.m)
		if got != tc.expect || ok != (tc.expect != "") {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}

// A reply without a message says who gave none, and why.
func TestRepliesWithoutAMessage(t *testing.T) {
	good := replyTo(direct(zone, dns.TypeSOA))
	lame := good.Copy()
	lame.Authoritative = false
	refused := good.Copy()
	refused.Rcode = dns.RcodeRefused
	stop := errors.New("stop")
	same(t, "good", authoritative("x", good, nil), chain.Reply{Server: "x", Message: good})
	same(t, "none", authoritative("x", nil, stop), chain.Reply{Server: "x", Code: chain.CodeNoAnswer, Why: "stop"})
	same(t, "lame", authoritative("x", lame, nil), chain.Reply{Server: "x", Code: chain.CodeLame, Why: "lame: answers without authority"})
	same(t, "of a resolver", recursing("x", lame, nil), chain.Reply{Server: "x", Message: lame})
	same(t, "none of a resolver", recursing("x", nil, stop), chain.Reply{Server: "x", Code: chain.CodeNoAnswer, Why: "stop"})
	same(t, "refused by a resolver", recursing("x", refused, nil), chain.Reply{Server: "x", Code: chain.CodeLame, Why: "REFUSED"})
	c := newClient(t)
	same(t, "no resolver", fmt.Sprint(c.askAnybody(t.Context(), ".", zone, dns.TypeSOA)),
		fmt.Sprint([]chain.Reply{{Server: "the resolvers", Code: chain.CodeNoAnswer, Why: "no answer: no resolver to ask: set `resolvers` in the configuration"}}))
}

// Only what a proof says of an empty set is noted, and by the code where opt-out
// leaves open whether the name is there.
func TestWhatAnEmptySetSays(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(s *street)
		spoil  func(m *dns.Msg)
		expect rollover.NoDS
		denied bool
	}{
		"a delegation without DS":        {func(s *street) { s.parent.Add(rr(t, "zone.example. 60 IN NS ns.zone.example.")) }, nil, rollover.AbsentDS, false},
		"no delegation":                  {func(s *street) { s.parent.Add(rr(t, "zone.example. 60 IN A 192.0.2.1")) }, nil, rollover.AbsentDelegation, true},
		"no name":                        {func(*street) {}, nil, rollover.AbsentName, true},
		"no name, forged":                {func(*street) {}, func(m *dns.Msg) { m.Ns = m.Ns[:2] }, rollover.AbsentName, false},
		"nothing that is signed":         {func(*street) {}, func(m *dns.Msg) { unsign(m); m.Rcode = dns.RcodeSuccess }, "", false},
		"no delegation, forged":          {func(s *street) { s.parent.Add(rr(t, "zone.example. 60 IN A 192.0.2.1")) }, func(m *dns.Msg) { m.Ns = m.Ns[:2] }, "", false},
		"opt-out":                        {func(s *street) { s.parent.NSEC3, s.parent.OptOut = true, true }, nil, rollover.AbsentName, false},
		"opt-out, and the name is there": {func(s *street) { s.parent.NSEC3, s.parent.OptOut = true, true }, func(m *dns.Msg) { m.Rcode = dns.RcodeSuccess }, rollover.AbsentDS, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.parent.Records = without(s.parent.Records, func(r dns.RR) bool { return dns.IsSubDomain(zone, r.Header().Name) })
			tc.change(s)
			s.change = func(q, m *dns.Msg) {
				if isDS(q) && tc.spoil != nil {
					tc.spoil(m)
				}
			}
			got := lookWith(t, s.client(t), s.at, proving)
			if got.DS == nil {
				t.Fatalf("unknown: %s", got.Unknown)
			}
			same(t, "what is in its place", got.DS.NoDS, tc.expect)
			same(t, "proven", got.DS.Denied, tc.denied)
			same(t, "said by", got.DS.Parent, "example.")
		})
	}
}
