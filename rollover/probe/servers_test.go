package probe

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// Which sides are looked for depends on the records, and on whose servers are
// given; a question for the zone alone does not fail for want of a parent.
func TestWhichSidesAreAsked(t *testing.T) {
	child, parent := []rollover.Record{rollover.RecordDNSKEY}, []rollover.Record{rollover.RecordDS}
	both := slices.Concat(child, parent)
	for name, tc := range map[string]struct {
		records  []rollover.Record
		only     bool
		anchor   bool
		change   func(q, m *dns.Msg)
		expect   []string
		resolved bool // the resolver was asked for the parent
		err      string
	}{
		"both":                          {records: both, expect: []string{"parent ns.example.", "child ns.zone.example."}, resolved: true},
		"the zone":                      {records: child, expect: []string{"child ns.zone.example."}, resolved: true},
		"data":                          {records: []rollover.Record{rollover.RecordData}, expect: []string{"child ns.zone.example."}, resolved: true},
		"the zone, of given servers":    {records: child, only: true, expect: []string{"child 127.0.0.1"}},
		"both, of given servers":        {records: both, only: true, expect: []string{"parent ns.example.", "child 127.0.0.1"}, resolved: true},
		"the parent":                    {records: parent, expect: []string{"parent ns.example."}, resolved: true},
		"nothing":                       {},
		"both, with an anchor":          {records: both, anchor: true, expect: []string{"child ns.zone.example."}},
		"the parent, with an anchor":    {records: parent, anchor: true, expect: []string{"parent ns.example."}, resolved: true},
		"both, without a parent":        {records: both, only: true, change: failing(dns.TypeSOA, "example.", "."), err: "not available", resolved: true},
		"the zone, without a parent":    {records: child, change: failing(dns.TypeSOA, "example.", "."), err: "not available", resolved: true},
		"the zone, with many at parent": {records: child, only: true, change: failing(dns.TypeSOA, "example.", "."), expect: []string{"child 127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.set(tc.change)
			c := s.client(t)
			if tc.anchor {
				c.Anchors[zone] = chain.Trust{Keys: []rollover.DNSKEY{s.child.Key.Ours()}}
			}
			q := rollover.Question{Zone: zone, Records: tc.records, ServersOnly: tc.only}
			if tc.only {
				q.Servers = []string{s.at.String()}
			}
			targets, _, err := c.find(t.Context(), q)
			var got []string
			for _, o := range targets {
				got = append(got, o.Role+" "+o.Name)
			}
			same(t, "servers", got, tc.expect)
			same(t, "looked for the parent", s.times("resolver example. SOA") > 0, tc.resolved)
			if (err == nil) != (tc.err == "") || err != nil && !errors.Is(err, rollover.ErrUnavailable) {
				t.Errorf("expected %q, got %v", tc.err, err)
			}
		})
	}
}

// A server is taken out by its name, its address, or its address and port, and by
// nothing that only looks like it.
func TestExcluded(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:53")
	for _, tc := range []struct {
		text, name string
		at         netip.AddrPort
		expect     bool
	}{
		{"NS.example", "ns.example.", at, true},
		{"ns.example", "ns.other.", at, false},
		{"ns.example", "ns.example.", netip.AddrPort{}, true},
		{"127.0.0.1", "ns.example.", at, true},
		{"127.0.0.1:53", "127.0.0.1", at, true},
		{"127.0.0.1:54", "127.0.0.1", at, false},
		{"127.0.0.2", "127.0.0.1", at, false},
		{"127.0.0.1", "ns.example.", netip.AddrPort{}, false},
		{"0.0.0.0", "ns.example.", netip.AddrPort{}, false},
		{"a b", "ns.example.", at, false},
		{"a b", "ns.example.", netip.AddrPort{}, false},
		{"ns.other", "ns.example.", netip.AddrPort{}, false},
		{"ns.example:53", "127.0.0.1", at, false},
	} {
		f := &finder{q: rollover.Question{Exclude: []string{tc.text}}}
		same(t, tc.text+" excludes "+tc.name, f.excluded(tc.name, tc.at), tc.expect)
	}
}

// A known server without an address is looked up by its name, once, if it has one;
// it is of its own side.
func TestKnownServers(t *testing.T) {
	s := newStreet(t)
	c := s.client(t)
	r := &roster{finder: &finder{client: c, q: rollover.Question{Zone: zone, Known: []rollover.Server{
		{Role: rollover.RoleChild, Name: "127.0.0.1", Address: ""}, {Role: rollover.RoleChild, Name: "a b"},
		{Role: rollover.RoleChild, Name: "NS.zone.example"}, {Role: rollover.RoleChild, Name: "gone.zone.example."},
		{Role: rollover.RoleParent, Name: "ns.example."}, {Role: rollover.RoleChild, Name: "x", Address: s.at.String()},
	}}, hosts: &hosts{client: c}}, role: rollover.RoleChild, hosts: []place{{host: "ns.zone.example.", port: 1}}}
	if err := r.addKnown(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range r.targets {
		got = append(got, o.Name)
	}
	same(t, "servers", got, []string{"x", "127.0.0.1.", "gone.zone.example."})
}

// The bounds: 64 of each are let pass.
func TestAsManyServersAsThereMayBe(t *testing.T) {
	for _, n := range []int{maxServers, maxServers + 1} {
		names := make([]string, n)
		glue := map[string][]netip.Addr{}
		for i := range names {
			names[i] = "n" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".example."
		}
		f := &finder{client: &Client{}, q: rollover.Question{Zone: zone}}
		f.hosts = &hosts{client: f.client}
		r := &roster{finder: f, role: rollover.RoleChild}
		same(t, "host names pass", r.addNames(t.Context(), names, glue) == nil, n == maxServers)
		addrs := make([]netip.Addr, n-1) // and the doubt about what the resolvers know
		for i := range addrs {
			addrs[i] = netip.AddrFrom4([4]byte{127, 0, 1, byte(i)})
		}
		r = &roster{finder: f, role: rollover.RoleChild}
		same(t, "addresses pass", r.addNames(t.Context(), names[:1], map[string][]netip.Addr{names[0]: addrs}) == nil, n == maxServers)
	}
}

// A name counts once, and one that is taken out is no doubt either.
func TestNamesAreTakenInOnce(t *testing.T) {
	c := &Client{}
	r := &roster{finder: &finder{client: c, q: rollover.Question{Zone: zone, Exclude: []string{"out.example"}}, hosts: &hosts{client: c}}, role: rollover.RoleChild}
	names := append(slices.Repeat([]string{"in.example."}, maxServers+1), "out.example.")
	if err := r.addNames(t.Context(), names, nil); err != nil || len(r.targets) != 1 || r.targets[0].Name != "in.example." {
		t.Errorf("got %+v, %v", r.targets, err)
	}
}

// A host name is asked for once in a look; one kind of address, or both, may fail.
func TestHosts(t *testing.T) {
	s := newStreet(t)
	s.root.Add(rr(t, "six. 60 IN AAAA ::1"), rr(t, "txt. 60 IN TXT x"))
	answers := map[string]string{}
	s.set(func(q, m *dns.Msg) {
		name := q.Question[0].Name
		if answers[name] == dns.Type(q.Question[0].Qtype).String() || answers[name] == "both" {
			fails(m)
		}
		if answers[name] == "NX" {
			m.Rcode, m.Answer = dns.RcodeNameError, nil
		}
	})
	at := " (SERVFAIL from " + s.at.String() + ")"
	for _, tc := range []struct {
		name, fails string
		addrs       int
		doubt       string
		failed      bool
	}{
		{"ns.", "", 1, "", false},
		{"six.", "", 1, "", false},
		{"txt.", "", 0, "", false},
		{"ns.", "A", 0, "no A found for ns." + at, true},
		{"ns.", "AAAA", 1, "no AAAA found for ns." + at, true},
		{"six.", "A", 1, "no A found for six." + at, true},
		{"ns.", "both", 0, "no address found for ns." + at, true},
		{"ns.", "NX", 0, "no address found for ns. (NXDOMAIN from " + s.at.String() + ")", false},
	} {
		s.mu.Lock()
		answers[tc.name] = tc.fails
		s.mu.Unlock()
		got := s.client(t).lookUp(t.Context(), tc.name)
		same(t, "addresses of "+tc.name+tc.fails, len(got.addrs), tc.addrs)
		same(t, "doubt about "+tc.name+tc.fails, got.doubt, tc.doubt)
		same(t, "failed: "+tc.name+tc.fails, got.failed, tc.failed)
	}
	before := s.times("resolver six. A")
	h := &hosts{client: s.client(t)}
	h.lookUp(t.Context(), "six.")
	h.lookUp(t.Context(), "six.")
	same(t, "questions", s.times("resolver six. A")-before, 1)
}

// Resolvers are addresses; the next one is asked when one does not answer or says
// that it cannot, and all failures are told.
func TestResolvers(t *testing.T) {
	s := newStreet(t)
	s.set(func(_, m *dns.Msg) { m.Rcode = dns.RcodeNameError })
	c := s.client(t)
	c.Resolvers = []string{"localhost", "a b", s.at.String()}
	m, at, err := c.resolve(t.Context(), zone, dns.TypeSOA)
	if err != nil || at != s.at || m.Rcode != dns.RcodeNameError {
		t.Errorf("expected NXDOMAIN of the last, got %v from %s, %v", m, at, err)
	}
	same(t, "questions", s.times("resolver zone.example. SOA"), 1)
	s.set(func(_, m *dns.Msg) { fails(m) })
	_, _, err = c.resolve(t.Context(), zone, dns.TypeSOA)
	if expect := `resolver "localhost" is not an address, resolver "a b" is not an address, SERVFAIL from ` + s.at.String(); err == nil || err.Error() != expect {
		t.Errorf("expected %q, got %v", expect, err)
	}
}

func TestIsHost(t *testing.T) {
	for name, expect := range map[string]bool{
		"ns.example": true, "": false, ".": false, "a b": false, "a\x7fb": false, "aéb": false, "a~b": true, "a:b": false, "a[b": false, `a\b`: false, "a/b": false, "a..b": false,
	} {
		same(t, name, isHost(name), expect)
	}
}

func TestNameServersAreOfTheNameAndTheClass(t *testing.T) {
	section := rrs(t, "zone.example. 1 IN NS b.", "zone.example. 1 IN NS A.", "zone.example. 1 IN NS a.", "zone.example. 1 CH NS c.", "other. 1 IN NS d.", "zone.example. 1 IN A 192.0.2.1")
	same(t, "name servers", nameServers(section, zone), []string{"a.", "b."})
}

// A server of the zone alone, that was not silent, is asked over TCP in a thorough
// look; what is wrong there is told, unless the server is unknown anyway.
func TestOverTCPToo(t *testing.T) {
	for name, tc := range map[string]struct {
		role     string
		silent   error
		thorough bool
		change   func(q, m *dns.Msg)
		expect   string
		asked    int
	}{
		"in a thorough look":     {rollover.RoleChild, nil, true, nil, "", 1},
		"in another":             {rollover.RoleChild, nil, false, nil, "", 0},
		"of the parent":          {rollover.RoleParent, nil, true, nil, "", 0},
		"silent before":          {rollover.RoleChild, errTimedOut, true, nil, "", 0},
		"of the parent, silent":  {rollover.RoleParent, errTimedOut, true, nil, "", 0},
		"that refuses":           {rollover.RoleChild, nil, true, func(_, m *dns.Msg) { m.Rcode = dns.RcodeRefused }, "REFUSED", 1},
		"that cuts it off there": {rollover.RoleChild, nil, true, func(_, m *dns.Msg) { m.Truncated = true }, "truncated even over TCP", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.set(tc.change)
			err := s.client(t).overTCPToo(t.Context(), target{Server: rollover.Server{Role: tc.role}, at: s.at, silent: tc.silent}, rollover.Question{Zone: zone, Thorough: tc.thorough})
			got := ""
			if err != nil {
				got = err.Error()
			}
			same(t, "fault", got, tc.expect)
			same(t, "questions", s.times("zone.example. DNSKEY over TCP"), tc.asked)
		})
	}
	tcp := errors.New("refused over TCP")
	v := visit{target: target{Server: rollover.Server{Role: rollover.RoleChild}, at: netip.MustParseAddrPort("127.0.0.1:53")}, replies: []reply{{err: errTimedOut}}, overTCP: tcp}
	got := v.read(rollover.Question{Zone: zone}, now)
	same(t, "over TCP, of one that is unknown", got.OverTCP, "")
	same(t, "why it is", got.Unknown, "timed out")
	v.replies[0] = reply{answer: newZone(t).respond(direct(zone, dns.TypeDNSKEY))}
	got = v.read(rollover.Question{Zone: zone}, now)
	same(t, "over TCP", got.OverTCP, "refused over TCP")
	same(t, "unknown", got.Unknown, "")
	same(t, "answers, which were not asked for", got.Answers, []rollover.AnswerSighting(nil))
}

// What is asked of a server of the zone: more in a thorough look, and nothing that
// the keys alone sign.
func TestInquiriesOfAThoroughLook(t *testing.T) {
	q := rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordData}, Samples: []rollover.Sample{
		{Name: zone, Type: "CDS"}, {Name: zone, Type: "CDNSKEY"}, {Name: zone, Type: "DNSKEY"},
	}}
	few := len(inquiries(q, rollover.RoleChild))
	q.Thorough = true
	same(t, "questions more", len(inquiries(q, rollover.RoleChild))-few, len(absences(q)))
	same(t, "questions", few, 4)
}

// What a server failed to answer is summed up: the one reason for all, or the first.
func TestSummary(t *testing.T) {
	of := func(label, why string) reply { return reply{inquiry: inquiry{label: label}, err: errors.New(why)} }
	for name, tc := range map[string]struct {
		failed []reply
		asked  int
		expect string
	}{
		"none":                     {nil, 2, ""},
		"the one question":         {[]reply{of("a", "x")}, 1, "x"},
		"one of two":               {[]reply{of("a", "x")}, 2, "a: x"},
		"both, for one reason":     {[]reply{of("a", "x"), of("b", "x")}, 2, "x"},
		"both, for two reasons":    {[]reply{of("a", "x"), of("b", "y")}, 2, "a: x (and 1 more of 2 questions)"},
		"two of three, one reason": {[]reply{of("a", "x"), of("b", "x")}, 3, "a: x (and 1 more of 3 questions)"},
	} {
		same(t, name, summary(tc.failed, tc.asked), tc.expect)
	}
}

// A closed client forgets its sockets, and opens new ones for who asks again.
func TestACloseForgetsTheSockets(t *testing.T) {
	s := newStreet(t)
	c := s.client(t)
	if _, err := askOnce(t, c, s.at); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil || len(c.lines) != 0 {
		t.Errorf("%d sockets, %v", len(c.lines), err)
	}
	c.dial = nil
	conn, err := c.dialContext(context.Background(), "udp", s.at)
	if err != nil || conn.RemoteAddr().String() != s.at.String() {
		t.Fatalf("without a dial of its own: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
