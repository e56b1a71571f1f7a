package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
	"rollover/rollover/chain/chaintest"
)

// Where the servers of a zone could not be found, what the resolvers say is
// never all that a trace rests on.
func TestTraceTellsUnfoundServers(t *testing.T) {
	s := &scene{client: &Client{}, name: "www.example.", rrtype: dns.TypeA, unfound: errors.New("timed out")}
	replies := s.ask(context.Background(), "example.", "www.example.", dns.TypeA)
	last := replies[len(replies)-1]
	if len(replies) != 2 || last.Code != chain.CodeNoAnswer || last.Why != "not found: timed out" {
		t.Errorf("expected the resolvers and the doubt, got %+v", replies)
	}
	if replies := s.ask(context.Background(), "example.", "example.", dns.TypeDNSKEY); len(replies) != 1 {
		t.Errorf("expected the resolvers alone for a link above, got %+v", replies)
	}
}

// The same for the servers of the parent, which are asked for the DS set.
func TestTraceTellsUnfoundParents(t *testing.T) {
	s := &scene{client: &Client{}, name: "www.example.", rrtype: dns.TypeA, zone: "example.", orphaned: errors.New("timed out")}
	replies := s.ask(context.Background(), ".", "example.", dns.TypeDS)
	last := replies[len(replies)-1]
	if len(replies) != 2 || last.Code != chain.CodeNoAnswer || last.Server != "the servers of the parent" || last.Why != "not found: timed out" {
		t.Errorf("expected the resolvers and the doubt, got %+v", replies)
	}
	if replies := s.ask(context.Background(), ".", "test.", dns.TypeDS); len(replies) != 1 {
		t.Errorf("expected the resolvers alone for another link, got %+v", replies)
	}
}

// Servers that were given are asked although the zone could not be found.
func TestTraceAsksGivenServersOfUnfoundZone(t *testing.T) {
	s := &scene{client: &Client{}, name: "www.example.", rrtype: dns.TypeA, given: true, unfound: errors.New("timed out")}
	s.children = []target{{at: netip.AddrPort{}, doubt: "no address"}}
	replies := s.ask(context.Background(), "example.", "www.example.", dns.TypeA)
	if len(replies) != 1 || replies[0].Why != "no address" {
		t.Errorf("expected the given server alone, got %+v", replies)
	}
}

// who is what a trace asked, in the order of the question, without the address.
func (s *street) who(t *testing.T, c *Client, q TraceQuestion) (chain.Trace, []string) {
	t.Helper()
	trace, err := c.Trace(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range trace.Links {
		for _, a := range l.Answers {
			name := l.Name
			if strings.HasPrefix(name, "_rollover-") {
				name = "MADE-UP"
			}
			line := fmt.Sprintf("%s %s: %s %s", name, l.Type, a.Server, a.Security)
			out = append(out, strings.ReplaceAll(line, s.at.String(), "AT"))
		}
	}
	return trace, out
}

// chainAbove is what every trace in the zone asks on the way to its data.
func chainAbove(more ...string) []string {
	return append([]string{
		". DNSKEY: resolver AT secure", "example. DS: resolver AT secure", "example. DNSKEY: resolver AT secure", "zone.example. DS: ns.example. AT secure",
	}, more...)
}

// The zone that a name is in is asked at each of its servers, its DS set at each
// server of the parent, and all above at the resolvers; servers that are given
// stand in for those of the zone, and need no authority.
func TestWhomATraceAsks(t *testing.T) {
	s := newStreet(t)
	at := s.at.String()
	soa := func(name string, with func(m *dns.Msg)) func(q, m *dns.Msg) {
		return func(q, m *dns.Msg) {
			if asked := q.Question[0]; q.RecursionDesired && asked.Qtype == dns.TypeSOA && asked.Name == name {
				with(m)
			}
		}
	}
	only := func(setting rollover.Setting) func(string) rollover.Setting {
		return func(name string) rollover.Setting {
			same(t, "the zone of the setting", name, zone)
			return setting
		}
	}
	here := "AT secure"
	cases := map[string]struct {
		q       TraceQuestion
		arrange func(c *Client)
		change  func(q, m *dns.Msg)
		expect  []string
		is      rollover.Security
		code    chain.Code
	}{
		"a name": {q: TraceQuestion{Name: "WWW.zone.example", Type: "a"}, is: rollover.Secure,
			expect: chainAbove("zone.example. DNSKEY: ns.zone.example. AT secure", "www.zone.example. A: ns.zone.example. AT secure", "MADE-UP A: ns.zone.example. AT secure")},
		"without a type": {q: TraceQuestion{Name: zone}, is: rollover.Secure,
			expect: chainAbove("zone.example. DNSKEY: ns.zone.example. AT secure", "zone.example. SOA: ns.zone.example. AT secure", "MADE-UP A: ns.zone.example. AT secure")},
		"a DS set": {q: TraceQuestion{Name: zone, Type: "DS"}, is: rollover.Secure, expect: chainAbove()},
		"a DS set of a zone that nobody serves": {q: TraceQuestion{Name: zone, Type: "DS"}, is: rollover.Secure, change: soa(zone, fails),
			expect: []string{". DNSKEY: resolver AT secure", "example. DS: ns. AT secure", "example. DNSKEY: ns.example. AT secure", "zone.example. DS: ns.example. AT secure"}},
		"given servers": {q: TraceQuestion{Name: "www.zone.example.", Type: "A", Servers: []string{at}}, is: rollover.Secure,
			change: func(q, m *dns.Msg) {
				m.Authoritative = q.Question[0].Qtype == dns.TypeDS
				failing(dns.TypeDS, zone)(q, m)
			},
			expect: chainAbove("zone.example. DNSKEY: AT secure", "www.zone.example. A: AT secure", "MADE-UP A: AT secure")},
		"a setting": {q: TraceQuestion{Name: zone, Setting: only(rollover.Setting{Servers: []string{at}, ServersOnly: true, ParentServers: []string{at}})}, is: rollover.Secure,
			expect: []string{". DNSKEY: resolver AT secure", "example. DS: resolver AT secure", "example. DNSKEY: resolver AT secure", "zone.example. DS: " + here,
				"zone.example. DNSKEY: " + here, "zone.example. SOA: " + here, "MADE-UP A: " + here}},
		"a server without authority": {q: TraceQuestion{Name: zone}, is: rollover.Indeterminate, code: chain.CodeLame,
			change: func(q, m *dns.Msg) { m.Authoritative = q.Question[0].Qtype == dns.TypeDS },
			expect: chainAbove("zone.example. DNSKEY: ns.zone.example. AT indeterminate")},
		"an anchor of its own": {q: TraceQuestion{Name: zone}, is: rollover.Secure,
			arrange: func(c *Client) { c.Anchors = chain.Anchors{zone: {Keys: []rollover.DNSKEY{s.child.Key.Ours()}}} },
			expect:  []string{"zone.example. DNSKEY: ns.zone.example. AT secure", "zone.example. SOA: ns.zone.example. AT secure", "MADE-UP A: ns.zone.example. AT secure"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s.set(tc.change)
			c := s.client(t)
			if tc.arrange != nil {
				tc.arrange(c)
			}
			trace, who := s.who(t, c, tc.q)
			same(t, "asked", who, tc.expect)
			same(t, "security", trace.Security, tc.is)
			same(t, "code", trace.Code, tc.code)
			same(t, "time", trace.At, now)
		})
	}
	if s.times("zone.example. DS over TCP") == 0 || s.times("www.zone.example. A over TCP") > 0 {
		t.Error("the parent is to be asked over TCP, and the zone not")
	}
}

// Who is asked for a record depends on the zone that has it, and on what of the
// zone and its parent was found.
func TestWhoIsAskedInATrace(t *testing.T) {
	servers := func(who string) []target { return []target{{doubt: who}} }
	unfound := errors.New("no zone")
	found := scene{zone: zone, name: zone, rrtype: dns.TypeA, children: servers("child"), parents: servers("parent")}
	orphan := scene{zone: zone, name: zone, rrtype: dns.TypeA, orphaned: unfound}
	given := scene{name: zone, rrtype: dns.TypeA, given: true, unfound: unfound, children: servers("given")}
	half := found
	half.given = true
	lost := given
	lost.given = false
	for _, tc := range []struct {
		is     scene
		of     string
		name   string
		rrtype uint16
		expect string
	}{
		{found, zone, "www." + zone, dns.TypeTXT, "child"},
		{found, "example.", zone, dns.TypeDS, "parent"},
		{found, "example.", zone, dns.TypeA, "the resolvers"},
		{scene{zone: zone}, "example.", zone, dns.TypeDS, "the resolvers"},
		{found, "example.", "other.example.", dns.TypeDS, "the resolvers"},
		{half, "example.", zone, dns.TypeA, "the resolvers"},
		{given, "example.", zone, dns.TypeA, "given"},
		{given, "example.", zone, dns.TypeDS, "the resolvers"},
		{given, "example.", "www." + zone, dns.TypeA, "the resolvers"},
		{lost, "example.", zone, dns.TypeA, "the resolvers, the name servers of the zone"},
		{lost, "example.", zone, dns.TypeTXT, "the resolvers"},
		{lost, "example.", "www." + zone, dns.TypeA, "the resolvers"},
		{orphan, "example.", zone, dns.TypeDS, "the resolvers, the servers of the parent"},
		{orphan, "example.", zone, dns.TypeA, "the resolvers"},
		{orphan, "example.", "www." + zone, dns.TypeDS, "the resolvers"},
	} {
		tc.is.client = &Client{}
		var who []string
		for _, r := range tc.is.ask(t.Context(), tc.of, tc.name, tc.rrtype) {
			if r.Server == "" || strings.HasPrefix(r.Server, " ") {
				r.Server = r.Why
			}
			who = append(who, r.Server)
		}
		same(t, fmt.Sprintf("%s %s of %s", tc.name, dns.Type(tc.rrtype), tc.of), strings.Join(who, ", "), tc.expect)
	}
}

// failing makes the resolvers fail for some names.
func failing(rrtype uint16, names ...string) func(q, m *dns.Msg) {
	return func(q, m *dns.Msg) {
		if q.RecursionDesired && q.Question[0].Qtype == rrtype && slices.Contains(names, q.Question[0].Name) {
			fails(m)
		}
	}
}

// Where servers could not be found a trace never ends sound, and says which.
func TestATraceWithoutItsServers(t *testing.T) {
	www := TraceQuestion{Name: "www.zone.example.", Type: "A"}
	excluded := func(string) rollover.Setting { return rollover.Setting{Exclude: []string{"ns.zone.example"}} }
	cases := map[string]struct {
		q      TraceQuestion
		given  bool
		change func(q, m *dns.Msg)
		expect string // among what was asked; sound if it is empty
		last   string
	}{
		"the zone":    {q: www, change: failing(dns.TypeSOA, "www.zone.example."), expect: "www.zone.example. A: the name servers of the zone indeterminate", last: "www.zone.example. A: resolver AT secure"},
		"its address": {q: www, change: failing(dns.TypeA, "ns.zone.example."), expect: "zone.example. DNSKEY: ns.zone.example. indeterminate"},
		"its servers": {q: TraceQuestion{Name: "www.zone.example.", Type: "A", Setting: excluded}, expect: "www.zone.example. A: the name servers of the zone indeterminate",
			last: "zone.example. DS: ns.example. AT secure"},
		"the parent":                 {q: www, change: failing(dns.TypeSOA, "example.", "."), expect: "zone.example. DS: the servers of the parent indeterminate", last: "zone.example. DNSKEY: resolver AT secure"},
		"the zone of a DS set":       {q: TraceQuestion{Name: zone, Type: "DS"}, change: failing(dns.TypeSOA, zone, "example."), expect: "zone.example. DS: the name servers of the zone indeterminate"},
		"the zone of the root's DS":  {q: TraceQuestion{Name: ".", Type: "DS"}, change: failing(dns.TypeSOA, "."), expect: ". DS: the name servers of the zone indeterminate"},
		"the zone, of given servers": {q: www, given: true, change: failing(dns.TypeSOA, "www.zone.example."), last: "www.zone.example. A: AT secure"},
		"the parent, with given servers": {q: www, given: true, change: failing(dns.TypeSOA, "example.", "."),
			expect: "zone.example. DS: the servers of the parent indeterminate", last: "www.zone.example. A: AT secure"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.set(tc.change)
			if tc.given {
				tc.q.Servers = []string{s.at.String()}
			}
			trace, who := s.who(t, s.client(t), tc.q)
			if trace.Sound() != (tc.expect == "") || tc.expect != "" && !slices.Contains(who, tc.expect) || tc.last != "" && !slices.Contains(who, tc.last) {
				t.Errorf("sound: %v, %s: %s", trace.Sound(), trace.Sentence, strings.Join(who, "\n"))
			}
		})
	}
}

// In which zone a name does not exist is not known where the zone is not.
func TestATraceWithoutAZoneAsksForNoNameThatDoesNotExist(t *testing.T) {
	s := newStreet(t)
	s.set(failing(dns.TypeSOA, "ns."))
	_, who := s.who(t, s.client(t), TraceQuestion{Name: "ns.", Type: "A"})
	same(t, "asked", who, []string{". DNSKEY: resolver AT secure", "ns. A: resolver AT secure", "ns. A: the name servers of the zone indeterminate"})
}

// A question or a configuration that makes no sense is an error, and so is the
// end of the trace.
func TestTracesThatCannotBegin(t *testing.T) {
	setting := func(s rollover.Setting) func(string) rollover.Setting {
		return func(string) rollover.Setting { return s }
	}
	for expect, q := range map[string]TraceQuestion{
		`not a zone name: ""`:                           {},
		`not a zone name: "a..b"`:                       {Name: "a..b"},
		`there is no record type "NONSENSE"`:            {Name: zone, Type: "NONSENSE"},
		`child servers of : server "a b"`:               {Name: zone, Servers: []string{"a b"}},
		`child servers of zone.example.: server "a b"`:  {Name: zone, Setting: setting(rollover.Setting{Servers: []string{"a b"}})},
		`parent servers of zone.example.: server "a b"`: {Name: zone, Setting: setting(rollover.Setting{ParentServers: []string{"a b"}})},
	} {
		s := newStreet(t)
		if _, err := s.client(t).Trace(t.Context(), q); err == nil || !strings.Contains(err.Error(), expect) {
			t.Errorf("expected %q, got %v", expect, err)
		}
	}
	s := newStreet(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	s.set(func(q, m *dns.Msg) {
		if q.Question[0].Qtype == dns.TypeDNSKEY {
			cancel(errStop)
		}
	})
	if _, err := s.client(t).Trace(ctx, TraceQuestion{Name: zone}); !errors.Is(err, errStop) {
		t.Errorf("expected the cause, got %v", err)
	}
}

// A zone whose name leaves no room for one below it is traced without a name that
// does not exist.
func TestATraceAsksForNoNameThatIsTooLong(t *testing.T) {
	long := strings.Repeat(strings.Repeat("x", 59)+".", 4)
	s := newStreet(t)
	s.child = chaintest.NewZone(t, long)
	s.child.Records = without(s.child.Records, func(r dns.RR) bool { return r.Header().Rrtype == dns.TypeNS })
	c := s.client(t)
	c.Anchors = chain.Anchors{long: {Keys: []rollover.DNSKEY{s.child.Key.Ours()}}}
	trace, who := s.who(t, c, TraceQuestion{Name: long, Servers: []string{s.at.String()}})
	same(t, "asked", who, []string{long + " DNSKEY: AT secure", long + " SOA: AT secure"})
	same(t, "security", trace.Security, rollover.Secure)
}

// A server that cannot be reached from here is no part of a trace; one that has no
// address is, and one with neither address nor doubt was never there.
func TestATraceLeavesOutWhatHasNoRouteFromHere(t *testing.T) {
	s := newStreet(t)
	c := s.client(t)
	there := c.dial
	c.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "[2001:db8::1]") {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ENETUNREACH}
		}
		return there(ctx, network, address)
	}
	child := func(at netip.AddrPort, doubt string) target {
		return target{Server: rollover.Server{Role: rollover.RoleChild, Name: "ns."}, at: at, doubt: doubt}
	}
	stage := &scene{client: c, zone: zone}
	replies := stage.askTargets(t.Context(), []target{
		child(s.at, ""), child(netip.MustParseAddrPort("[2001:db8::1]:53"), ""), child(netip.AddrPort{}, "no address"), child(netip.AddrPort{}, ""),
	}, zone, dns.TypeSOA)
	if len(replies) != 2 || replies[0].Message == nil || replies[1].Why != "no address" || replies[1].Code != chain.CodeNoAnswer {
		t.Errorf("got %+v", replies)
	}
}

// The zone that a name is in is what the first of the given servers tells that
// knows it, and else what the resolvers tell.
func TestApexByGivenServers(t *testing.T) {
	s := newStreet(t)
	soa := func(owner string) target {
		return target{at: serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
			m := replyTo(q)
			if owner != "" {
				m.Ns = rrs(t, "a. 1 IN NS a.", owner+" 1 IN SOA a. b. 1 2 3 4 5")
			}
			send(t, w, m)
		})}
	}
	cut := target{at: serve(t, func(w dns.ResponseWriter, q *dns.Msg) { m := replyTo(q); m.Truncated = true; send(t, w, m) })}
	c := s.client(t)
	for expect, children := range map[string][]target{"example.": {cut, soa(""), soa("other."), soa("example."), soa(".")}, zone: {cut, soa("")}} {
		got, err := (&scene{client: c, children: children}).apex(t.Context(), "www.zone.example.", &finder{client: c})
		same(t, "apex", got, expect)
		same(t, "error", err, nil)
	}
}

func TestAbove(t *testing.T) {
	for name, expect := range map[string]string{".": ".", "example.": ".", zone: "example."} {
		same(t, name, above(name), expect)
	}
}
