package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Which servers of the zone there are, is told by the parent, by the zone, by
// earlier looks and by the configuration; who cannot be asked about it is an error,
// unless somebody else is known.
func TestWhoServesTheZone(t *testing.T) {
	s := newStreet(t)
	knowsChild := []rollover.Server{{Role: rollover.RoleChild, Name: "old.example.", Address: "127.0.0.1:9"}}
	knowsParent := []rollover.Server{{Role: rollover.RoleParent, Name: "old.example.", Address: "127.0.0.1:9"}}
	delegation := func(with func(m *dns.Msg)) func(q, m *dns.Msg) {
		return func(q, m *dns.Msg) {
			if !q.RecursionDesired && q.Question[0].Qtype == dns.TypeNS {
				with(m)
			}
		}
	}
	silent := func(q, m *dns.Msg) {
		if !q.RecursionDesired && q.Question[0].Qtype == dns.TypeNS {
			m.Truncated = true
		}
	}
	many := func(m *dns.Msg) {
		m.Answer = nil
		for i := range maxServers + 1 {
			m.Answer = append(m.Answer, rr(t, fmt.Sprintf("zone.example. 1 IN NS n%d.zone.example.", i)))
		}
		m.Answer = s.child.Signed(m.Answer)
	}
	ours := []string{"ns.zone.example."}
	cases := map[string]struct {
		q      rollover.Question
		change func(q, m *dns.Msg)
		expect []string
		err    string
	}{
		"as delegated":               {expect: ours},
		"known ones too":             {q: rollover.Question{Known: knowsChild}, expect: []string{"ns.zone.example.", "old.example."}},
		"no parent":                  {change: failing(dns.TypeSOA, "example.", "."), err: "`parent_servers`"},
		"no parent, and a known one": {q: rollover.Question{Known: knowsChild}, change: failing(dns.TypeSOA, "example.", "."), expect: []string{"ns.zone.example.", "old.example."}},
		"the parent says nothing":    {change: silent, err: "no server of the parent tells to which name servers zone.example. is delegated (asking ns.example. for the delegation: truncated even over TCP)"},
		"the parent says nothing, and one of it is known": {q: rollover.Question{Known: knowsParent}, change: silent,
			err: "no server of the parent tells to which name servers zone.example. is delegated"},
		"the parent says nothing, and one is known": {q: rollover.Question{Known: knowsChild}, change: silent, expect: []string{"ns.zone.example.", "old.example."}},
		"the zone names another": {change: func() func(q, m *dns.Msg) {
			asked := 0
			return delegation(func(m *dns.Msg) {
				if asked++; asked > 1 { // the parent is asked first
					m.Answer = s.child.Signed(rrs(t, "zone.example. 1 IN NS gone.example."))
				}
			})
		}(), expect: []string{"gone.example.", "ns.zone.example."}},
		"the resolvers know none": {change: failing(dns.TypeNS, zone), expect: ours},
		"nor does the parent": {change: func(q, m *dns.Msg) {
			if failing(dns.TypeNS, zone)(q, m); !q.RecursionDesired && q.Question[0].Qtype == dns.TypeNS {
				m.Answer = nil
			}
		}, err: "SERVFAIL from"},
		"the resolvers have none": {change: func(q, m *dns.Msg) {
			if q.Question[0].Name == zone && q.Question[0].Qtype == dns.TypeNS {
				m.Answer = nil
			}
		}, err: "knows no NS of zone.example.: NOERROR"},
		"more than there can be, by the resolvers": {change: func(q, m *dns.Msg) {
			if q.RecursionDesired && q.Question[0].Name == zone && q.Question[0].Qtype == dns.TypeNS {
				many(m)
			}
		}, err: "more than 64 name servers"},
		"more than there can be, by the zone": {change: func() func(q, m *dns.Msg) {
			asked := 0
			return delegation(func(m *dns.Msg) {
				if asked++; asked > 1 { // the parent is asked first
					many(m)
				}
			})
		}(), err: "more than 64 name servers"},
		"only those given, and none is":          {q: rollover.Question{ServersOnly: true}, err: "`servers_only` is set, but `servers` is empty"},
		"only those given, and all are excluded": {q: rollover.Question{ServersOnly: true, Servers: []string{"AT"}, Exclude: []string{"127.0.0.1"}}, err: "all of them are excluded"},
		"none given, all are excluded":           {q: rollover.Question{Exclude: []string{"ns.zone.example"}}, err: "set `servers` for the zone"},
		"one given by its name":                  {q: rollover.Question{ServersOnly: true, Servers: []string{"NS.zone.example"}}, expect: ours},
		"too many known ones beside those given": {q: rollover.Question{ServersOnly: true, Servers: []string{"AT"}, Known: manyKnown()}, err: "more than 64 name servers"},
		"only known ones, and none is given":     {q: rollover.Question{ServersOnly: true, Known: knowsChild}, expect: []string{"old.example."}},
		"too many known ones":                    {q: rollover.Question{Known: manyKnown()}, err: "more than 64 name servers"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s.set(tc.change)
			for i, text := range tc.q.Servers {
				tc.q.Servers[i] = strings.ReplaceAll(text, "AT", s.at.String())
			}
			tc.q.Zone, tc.q.Records = zone, []rollover.Record{rollover.RecordDNSKEY}
			got, err := s.client(t).Look(t.Context(), tc.q)
			var names []string
			for _, o := range got.Servers {
				names = append(names, o.Name)
			}
			same(t, "servers", names, tc.expect)
			if (err == nil) != (tc.err == "") || err != nil && (!errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("expected %q, got %v", tc.err, err)
			}
		})
	}
}

func manyKnown() []rollover.Server {
	var out []rollover.Server
	for i := range maxServers + 1 {
		out = append(out, rollover.Server{Role: rollover.RoleChild, Name: fmt.Sprintf("n%d.zone.example.", i)})
	}
	return out
}

// The name servers that the zone names are those of servers that have authority,
// each once and in a fixed order.
func TestApexNamesAreOfServersWithAuthority(t *testing.T) {
	server := func(authority bool, names ...string) target {
		return target{at: serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
			m := replyTo(q)
			for _, n := range names {
				m.Answer = append(m.Answer, rr(t, "zone.example. 1 IN NS "+n))
			}
			m.Authoritative = authority
			send(t, w, m)
		})}
	}
	c := newClient(t)
	f := &finder{client: c, q: rollover.Question{Zone: zone}}
	var got []string
	for _, n := range f.apex(t.Context(), []target{server(true, "b.", "c."), server(false, "lame."), {at: netip.AddrPort{}}, server(true, "a.", "b.")}) {
		got = append(got, nameServers(n.answer.Answer, zone)...)
	}
	same(t, "names", got, []string{"b.", "c.", "a.", "b."})
}

// A server that the zone names is asked which servers there are too.
func TestServersNameFurtherServers(t *testing.T) {
	s := newStreet(t)
	s.child.Add(rr(t, "ns2.zone.example. 60 IN A 127.0.0.2"), rr(t, "ns3.zone.example. 60 IN A 127.0.0.3"))
	names := func(name string) func(q, m *dns.Msg) {
		return func(q, m *dns.Msg) {
			if !q.RecursionDesired && q.Question[0].Qtype == dns.TypeNS {
				m.Answer = s.child.Signed(rrs(t, "zone.example. 1 IN NS ns.zone.example.", "zone.example. 1 IN NS "+name))
			}
		}
	}
	s.set(names("ns2.zone.example."))
	other := newStreet(t)
	other.set(names("ns3.zone.example."))
	c := s.client(t)
	there := c.dial
	c.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if !strings.HasPrefix(address, "127.0.0.1:") {
			address = other.at.String()
		}
		return there(ctx, network, address)
	}
	got, _, err := c.find(t.Context(), rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY}})
	var found []string
	for _, o := range got {
		found = append(found, o.Name)
	}
	same(t, "servers", found, []string{"ns.zone.example.", "ns2.zone.example.", "ns3.zone.example."})
	same(t, "error", err, nil)
}
