package probe

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
	"rollover/rollover/chain/chaintest"
)

// A name server counts that the delegation has, or that a key of the zone has put its
// name to; whom anybody else makes up is told of and never asked, not even looked up.
func TestNamesThatAreMadeUpAreNotAsked(t *testing.T) {
	liar := chaintest.NewKey(t, zone, 257, dns.ECDSAP256SHA256, 256)
	for name, tc := range map[string]struct {
		q      func(s *street) rollover.Question
		say    func(s *street, set []dns.RR) []dns.RR // the NS set at the apex
		keys   func(s *street, m *dns.Msg)            // the DNSKEY answer
		unsign bool                                   // the zone has no DS
		anchor bool
		counts bool
	}{
		"unsigned":               {say: func(_ *street, set []dns.RR) []dns.RR { return set }},
		"signed by a stranger":   {say: func(_ *street, set []dns.RR) []dns.RR { return append(set, liar.Sign(t, set)) }},
		"signed by its own keys": {say: func(s *street, set []dns.RR) []dns.RR { return s.child.Signed(set) }, counts: true},
		"signed by keys that a stranger has put into the set": {
			say:  func(_ *street, set []dns.RR) []dns.RR { return append(set, liar.Sign(t, set)) },
			keys: func(s *street, m *dns.Msg) { m.Answer = append(m.Answer, rr(t, liar.DNSKEY.String())) },
		},
		"signed by a stranger, with keys of his own": {
			say: func(_ *street, set []dns.RR) []dns.RR { return append(set, liar.Sign(t, set)) },
			keys: func(_ *street, m *dns.Msg) {
				set := rrs(t, liar.DNSKEY.String())
				m.Answer = append(set, liar.Sign(t, set))
			},
		},
		"signed by another signer of the zone": {
			say: func(_ *street, set []dns.RR) []dns.RR { return append(set, liar.Sign(t, set)) },
			keys: func(s *street, m *dns.Msg) {
				m.Answer = s.child.Signed(rrs(t, s.child.Key.DNSKEY.String(), liar.DNSKEY.String()))
			},
			counts: true,
		},
		"signed with an expired signature": {say: func(s *street, set []dns.RR) []dns.RR {
			return append(set, s.child.Key.Sign(t, set, chaintest.Between(now.Add(-2*time.Hour), now.Add(-time.Hour))))
		}},
		"unsigned, and nothing in the zone is": {say: func(_ *street, set []dns.RR) []dns.RR { return set }, unsign: true, counts: true},
		"unsigned, the parent has no DS, and the keys are ours": {
			q: func(s *street) rollover.Question {
				return rollover.Question{Keys: []rollover.DNSKEY{s.child.Key.Ours()}}
			},
			say:    func(_ *street, set []dns.RR) []dns.RR { return set },
			unsign: true,
		},
		"signed by a key that is ours": {
			q:   func(*street) rollover.Question { return rollover.Question{Keys: []rollover.DNSKEY{liar.Ours()}} },
			say: func(_ *street, set []dns.RR) []dns.RR { return append(set, liar.Sign(t, set)) }, unsign: true, counts: true,
		},
		"unsigned, in a zone that is its own anchor": {say: func(_ *street, set []dns.RR) []dns.RR { return set }, unsign: true, anchor: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.set(func(q, m *dns.Msg) {
				switch asked := q.Question[0]; {
				case asked.Name != zone:
				case asked.Qtype == dns.TypeDS && tc.unsign:
					m.Answer, m.Ns = nil, rrs(t, "example. 60 IN SOA ns.example. x. 1 1 1 1 60")
				case asked.Qtype == dns.TypeDNSKEY && tc.keys != nil:
					tc.keys(s, m)
				case asked.Qtype == dns.TypeNS && (q.RecursionDesired || s.parentAsked()):
					m.Answer = tc.say(s, rrs(t, "zone.example. 60 IN NS ns.zone.example.", "zone.example. 60 IN NS gone.example."))
				}
			})
			var q rollover.Question
			if tc.q != nil {
				q = tc.q(s)
			}
			c := s.client(t)
			if tc.anchor {
				c.Anchors[zone] = chain.Trust{Keys: []rollover.DNSKEY{s.child.Key.Ours()}}
				q.ParentServers = []string{s.at.String()}
			}
			q.Zone, q.Records = zone, []rollover.Record{rollover.RecordDNSKEY}
			look, err := c.Look(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var servers []string
			for _, o := range look.Servers {
				servers = append(servers, o.Name)
			}
			expect := []string{"ns.zone.example."}
			if tc.counts {
				expect = []string{"gone.example.", "ns.zone.example."}
			}
			same(t, "servers", servers, expect)
			same(t, "looked up", s.times("resolver gone.example. A") > 0, tc.counts)
			told := fmt.Sprint(look.Strangers)
			if tc.counts != (told == "[]") || !tc.counts && (!strings.Contains(told, "gone.example. (named by ns.zone.example. 127.0.0.1") || !strings.Contains(told, "gone.example. (named by resolver 127.0.0.1:")) {
				t.Errorf("told of %s", told)
			}
		})
	}
}

// parentAsked says whether the servers of the parent were asked for the delegation,
// which is the first such question.
func (s *street) parentAsked() bool {
	n := 0
	for _, a := range s.asked {
		if a == zone+" NS" {
			n++
		}
	}
	return n > 1
}

// However many are made up, few are told of, and one answer is no reason to ask for
// the keys again and again.
func TestManyThatAreMadeUp(t *testing.T) {
	s := newStreet(t)
	s.set(func(q, m *dns.Msg) {
		if q.Question[0].Name == zone && q.Question[0].Qtype == dns.TypeNS && (q.RecursionDesired || s.parentAsked()) {
			for i := range 100 {
				m.Answer = append(m.Answer, rr(t, fmt.Sprintf("zone.example. 60 IN NS n%d.example.", i)))
			}
		}
	})
	look, err := s.client(t).Look(t.Context(), rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY}})
	same(t, "error", err, nil)
	same(t, "told of", len(look.Strangers), maxStrangers)
	if n := s.times(zone + " DNSKEY"); n > 3 {
		t.Errorf("the server was asked %d times for its keys", n)
	}
}

// An address that means this machine, its link or a cloud's own is not asked when the
// DNS has it, in whatever dress, as glue, and as what an earlier look has brought; the
// server is unknown, with the setting. Asked is what the operator has written down.
func TestAddressesThatAreNotAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		dont    []string
		known   []rollover.Server
		servers bool // the address is in the configuration
		glue    bool
		asked   bool
		unknown string
	}{
		"all may be asked": {asked: true},
		"others may not":   {dont: []string{"169.254.0.0/16", "::/127"}, asked: true},
		"its network":      {dont: []string{"10.0.0.0/8", "127.0.0.0/8"}, unknown: "its address 127.0.0.1 is not asked: 127.0.0.0/8 is in `dns.dont_query`"},
		"itself":           {dont: []string{"127.0.0.1/32"}, unknown: "its address 127.0.0.1 is not asked: 127.0.0.1/32 is in `dns.dont_query`"},
		"as glue":          {dont: []string{"127.0.0.0/8"}, glue: true, unknown: "127.0.0.1 is not asked"},
		"from before": {dont: []string{"127.0.0.0/8"}, unknown: "127.0.0.1 is not asked",
			known: []rollover.Server{{Role: rollover.RoleChild, Name: "ns.zone.example.", Address: "127.0.0.1:9"}}},
		"configured": {dont: []string{"127.0.0.0/8"}, servers: true, asked: true, unknown: "127.0.0.1 is not asked"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.set(func(q, m *dns.Msg) {
				switch asked := q.Question[0]; {
				case tc.glue && asked.Qtype == dns.TypeA:
					m.Answer = nil
				case tc.glue && asked.Qtype == dns.TypeNS && asked.Name == zone:
					m.Extra = append(m.Extra, rr(t, "ns.zone.example. 60 IN A 127.0.0.1"))
				}
			})
			c := s.client(t)
			for _, text := range tc.dont {
				c.DontQuery = append(c.DontQuery, netip.MustParsePrefix(text))
			}
			q := rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY}, Known: tc.known, ParentServers: []string{s.at.String()}}
			if tc.servers {
				q.Servers = []string{s.at.String()}
			}
			look, err := c.Look(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			asked, unknown := false, ""
			for _, o := range look.Servers {
				asked = asked || o.DNSKEY != nil
				unknown += o.Unknown
			}
			same(t, "asked", asked, tc.asked)
			if (unknown == "") != (tc.unknown == "") || !strings.Contains(unknown, tc.unknown) {
				t.Errorf("expected %q, got %q", tc.unknown, unknown)
			}
		})
	}
}

// A mapped address is the one that it maps.
func TestAddressesInAnotherDress(t *testing.T) {
	c := &Client{DontQuery: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}}
	for text, ok := range map[string]bool{"::ffff:127.0.0.1": false, "fe80::1": false, "2001:db8::1": true, "::ffff:192.0.2.1": true} {
		record := rr(t, "x. 60 IN AAAA "+text)
		a, _ := address(record)
		same(t, text, len(c.permitted([]netip.Addr{a}).addrs) == 1, ok)
	}
}

// What proves a name is counted in the budget of the look, and asked for once.
func TestProvingNamesIsBounded(t *testing.T) {
	for spent, want := range map[bool]int{false: 0, true: 2} {
		s := newStreet(t)
		s.set(func(q, m *dns.Msg) {
			if q.Question[0].Name == zone && q.Question[0].Qtype == dns.TypeNS && (q.RecursionDesired || s.parentAsked()) {
				m.Answer = s.child.Signed(rrs(t, "zone.example. 60 IN NS ns.zone.example.", "zone.example. 60 IN NS gone.example."))
			}
		})
		c := s.client(t)
		ctx, end := c.withAllowance(t.Context())
		if spent {
			budgetOf(ctx).Expect(-chain.MaxEffort / chain.MaxChecks)
		}
		_, strangers, err := c.find(ctx, rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY}})
		end()
		if err != nil || len(strangers) != want {
			t.Errorf("spent %t: %v, %v", spent, strangers, err)
		}
	}
}
