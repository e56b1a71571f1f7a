package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Which servers of the parent there are, is told by the resolvers, by earlier looks
// or by the configuration.
func TestWhoServesTheParent(t *testing.T) {
	knows := []rollover.Server{{Role: rollover.RoleParent, Name: "old.example.", Address: "127.0.0.1:9"}}
	var many []rollover.Server
	for i := range maxServers + 1 {
		many = append(many, rollover.Server{Role: rollover.RoleParent, Name: fmt.Sprintf("n%d.example.", i)})
	}
	cases := map[string]struct {
		q      rollover.Question
		change func(q, m *dns.Msg)
		expect []string
		err    string
	}{
		"as the resolvers say":                  {expect: []string{"ns.example."}},
		"known ones too":                        {q: rollover.Question{Known: knows}, expect: []string{"ns.example.", "old.example."}},
		"configured ones in its place":          {q: rollover.Question{ParentServers: []string{"127.0.0.1:9"}}, expect: []string{"127.0.0.1"}},
		"no SOA":                                {change: failing(dns.TypeSOA, "example.", "."), err: "asking for SOA of example.: SERVFAIL from"},
		"no SOA of the parent, but of the root": {change: failing(dns.TypeSOA, "example."), expect: []string{"ns."}},
		"no SOA, and a known one":               {q: rollover.Question{Known: knows}, change: failing(dns.TypeSOA, "example.", "."), expect: []string{"old.example."}},
		"no NS":                                 {change: failing(dns.TypeNS, "example."), err: "asking for NS of example.: SERVFAIL from"},
		"more than there can be": {change: func(q, m *dns.Msg) {
			if q.Question[0].Name == "example." && q.Question[0].Qtype == dns.TypeNS {
				for i := range maxServers + 1 {
					m.Answer = append(m.Answer, rr(t, fmt.Sprintf("example. 1 IN NS n%d.example.", i)))
				}
			}
		}, err: "more than 64 name servers"},
		"more known ones than there can be": {q: rollover.Question{Known: many}, err: "more than 64 name servers"},
		"the root":                          {q: rollover.Question{Zone: "."}, err: "the root zone has no parent"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.set(tc.change)
			if tc.q.Records = []rollover.Record{rollover.RecordDS}; tc.q.Zone == "" {
				tc.q.Zone = zone
			}
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

// One server of the parent that tells is enough; what all tell is put together, and
// who is silent is remembered.
func TestDelegation(t *testing.T) {
	tells := func(ns, glue string) target {
		return target{at: serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
			m := replyTo(q)
			m.Ns, m.Extra = rrs(t, "zone.example. 1 IN NS "+ns), append(m.Extra, rr(t, glue))
			send(t, w, m)
		})}
	}
	refuses := target{Server: rollover.Server{Name: "refuses"}, at: serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := replyTo(q)
		m.Rcode = dns.RcodeRefused
		send(t, w, m)
	})}
	packets, stream := listen(t)
	closed := target{Server: rollover.Server{Name: "closed"}, at: netip.MustParseAddrPort(packets.LocalAddr().String())}
	packets.Close()
	stream.Close()
	addr := netip.MustParseAddr
	for name, tc := range map[string]struct {
		targets []target
		names   []string
		glue    map[string][]netip.Addr
		err     string
	}{
		"two": {[]target{tells("a.zone.example.", "a.zone.example. 1 IN A 127.0.0.7"), tells("b.zone.example.", "a.zone.example. 1 IN A 127.0.0.8")},
			[]string{"a.zone.example.", "b.zone.example."}, map[string][]netip.Addr{"a.zone.example.": {addr("127.0.0.7"), addr("127.0.0.8")}}, ""},
		"one of three": {[]target{tells("a.other.", "zone.example. 1 IN TXT x"), closed, {doubt: "no address"}}, []string{"a.other."}, map[string][]netip.Addr{}, ""},
		"refused":      {[]target{refuses}, nil, map[string][]netip.Addr{}, "asking refuses for the delegation: REFUSED"},
		"no address":   {[]target{{Server: rollover.Server{Name: "a."}, doubt: "no address"}}, nil, map[string][]netip.Addr{}, "asking a. for the delegation: no address"},
		"nobody":       {[]target{closed}, nil, map[string][]netip.Addr{}, "asking closed for the delegation: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			parents := &roster{targets: tc.targets}
			got, err := (&finder{client: c, q: rollover.Question{Zone: zone}}).delegation(t.Context(), parents)
			same(t, "names", got.names, tc.names)
			same(t, "glue", got.glue, tc.glue)
			if (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err || !errors.Is(got.err, err) {
				t.Errorf("expected %q, got %v, %v", tc.err, err, got.err)
			}
			for _, s := range parents.targets {
				same(t, "silent, "+s.Name, s.silent, map[string]error{"closed": errRefused}[s.Name])
			}
		})
	}
}

// Only silence is remembered of a server, and no other failure.
func TestNoteSilence(t *testing.T) {
	for _, tc := range []struct {
		err    error
		expect bool
	}{{errTimedOut, true}, {errRefused, true}, {errTruncated, false}, {errUnreachable, false}, {nil, false}} {
		var s target
		s.noteSilence(tc.err)
		same(t, fmt.Sprint(tc.err), s.silent != nil, tc.expect)
	}
}

// A look tells whether the zone is alone, and its anchor; it names the zone in its
// one form.
func TestLookOfAZoneWithAnAnchor(t *testing.T) {
	s := newStreet(t)
	c := s.client(t)
	q := rollover.Question{Zone: "ZONE.example", Servers: []string{s.at.String()}, ServersOnly: true, Records: []rollover.Record{rollover.RecordDNSKEY}}
	got, err := c.Look(t.Context(), q)
	if err != nil || got.Zone != zone || got.Alone || got.Anchor != nil || got.Servers[0].DNSKEY == nil {
		t.Errorf("without an anchor: %+v, %v", got, err)
	}
	c.Anchors[zone] = c.Anchors["."]
	c.Anchors[zone].Keys[0] = s.child.Key.Ours()
	got, err = c.Look(t.Context(), q)
	if err != nil || !got.Alone || len(got.Anchor) != 1 {
		t.Errorf("with an anchor: %+v, %v", got, err)
	}
}

// A look that finds no servers does not wait for the validators, nor leaves
// questions to them behind.
func TestALookWithoutServersEndsAtOnce(t *testing.T) {
	c := newClient(t)
	c.Timeout = time.Minute
	c.Validators = []string{serve(t, func(dns.ResponseWriter, *dns.Msg) {}).String()}
	started := time.Now()
	if _, err := c.Look(t.Context(), rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDS}, Validators: true}); !errors.Is(err, rollover.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(started); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
}
