package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

const childZone = `$ORIGIN zone.example.
$TTL 3600
@ IN SOA ns1 hostmaster 2026010101 3600 600 86400 600
@ IN NS ns1
@ IN NS ns2
@ IN NS ns4.elsewhere.
ns1 IN A 127.0.0.3
ns2 IN A 127.0.0.4
www 60 IN A 192.0.2.1
*.wild 120 IN TXT "wild"
sub IN NS ns.sub
ns.sub IN A 192.0.2.2
alias IN CNAME www
`

const parentZone = `$ORIGIN example.
$TTL 3600
@ IN SOA ns.example. hostmaster.example. 1 3600 600 86400 300
@ IN NS ns
ns IN A 127.0.0.2
zone 1800 IN NS ns1.zone
zone 1800 IN NS ns3.zone
zone 1800 IN NS gone.example.
ns1.zone IN A 127.0.0.3
`

var everything = []rollover.Sample{
	{Name: "www.zone.example.", Type: "A"}, {Name: "www.zone.example.", Type: "MX"}, {Name: "x.wild.zone.example.", Type: "TXT"},
	{Name: "sub.zone.example.", Type: "NS"}, {Name: "ns.sub.zone.example.", Type: "A"}, {Name: "alias.zone.example.", Type: "A"},
	{Name: "wild.zone.example.", Type: "A"}, {Name: "*.wild.zone.example.", Type: "TXT"}, {Name: "deleted.zone.example.", Type: "A"},
}

// roles finds the KSK and the ZSK of a signed zone in its DNSKEY set.
func roles(t *testing.T, v *rollover.KeyVersion) (ksk, zsk rollover.DNSKEY) {
	t.Helper()
	if v == nil || len(v.Keys) != 2 || v.Keys[0].Flags != 257 || v.Keys[1].Flags != 256 {
		t.Fatalf("expected a KSK and a ZSK, got %+v", v)
	}
	return v.Keys[0], v.Keys[1]
}

// A zone signed by PowerDNS, with a wildcard, a delegation with glue, an alias
// and an empty non-terminal, in each of its ways to deny.
func TestLookAtPowerDNS(t *testing.T) {
	variants := map[string][]string{
		"NSEC": nil, "NSEC3": {"set-nsec3", zone, "1 0 0 ab"}, "NSEC3 narrow": {"set-nsec3", zone, "1 0 0 ab", "narrow"},
		"NSEC3 opt-out": {"set-nsec3", zone, "1 1 0 -"},
	}
	for name, command := range variants {
		t.Run(name, func(t *testing.T) {
			p := newPowerDNS(t, map[string]string{"zone.example": childZone})
			if command != nil {
				p.util(command...)
			}
			p.sign("zone.example")
			at := p.start("127.0.0.3", freePort(t, "127.0.0.3"), zone)
			got := lookWith(t, realClient(t), at, rollover.Question{
				Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}, Samples: everything,
			})
			same(t, "unknown", got.Unknown, "")
			ksk, zsk := roles(t, got.DNSKEY)
			same(t, "signers of DNSKEY", got.DNSKEY.Signers, []rollover.DNSKEY{ksk})
			same(t, "faults of DNSKEY", got.DNSKEY.Faults, []rollover.Signature(nil))
			same(t, "TTL of DNSKEY, which is the SOA minimum", got.DNSKEY.TTL, uint32(600))
			same(t, "serial", got.Serial, uint32(2026010101))
			if got.Data.Expires.Before(time.Now().Add(24 * time.Hour)) { // PowerDNS signs for one to two weeks
				t.Errorf("signatures expire at %s", got.Data.Expires)
			}
			got.Data.Expires = time.Time{}
			same(t, "data", *got.Data, rollover.DataVersion{
				Signers: []rollover.DNSKEY{zsk}, TTL: 3600, Traces: []rollover.Signature{{Tag: zsk.Tag(), Algorithm: 13}},
			})
		})
	}
}

func TestLookAtAnUnsignedZone(t *testing.T) {
	p := newPowerDNS(t, map[string]string{"zone.example": childZone})
	at := p.start("127.0.0.3", freePort(t, "127.0.0.3"), zone)
	got := lookWith(t, realClient(t), at, rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}})
	same(t, "unknown", got.Unknown, "")
	same(t, "DNSKEY", *got.DNSKEY, rollover.KeyVersion{TTL: 600})
	if d := got.Data; len(d.Signers) != 0 || len(d.Traces) != 0 || !slices.ContainsFunc(d.Faults, func(f rollover.Signature) bool { return f.Fault == "unsigned" }) {
		t.Errorf("data: expected nothing signed, got %+v", d)
	}
}

// village is a parent and a child zone on four servers, with resolvers.
type village struct {
	port     int
	parent   *powerDNS
	child    *powerDNS
	anchor   string
	resolver netip.AddrPort
	stubs    map[string][]netip.AddrPort
}

func newVillage(t *testing.T) *village {
	t.Helper()
	v6 := hasIPv6()
	addresses := []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"}
	childText := childZone
	if v6 {
		addresses = append(addresses, "::1")
	}
	childText += "ns1 IN AAAA ::1\n"
	v := &village{port: freePort(t, addresses...)}
	v.child = newPowerDNS(t, map[string]string{"zone.example": childText})
	v.child.sign("zone.example")
	parentText := parentZone
	for _, ds := range v.child.ds("zone.example") {
		parentText += "zone 900 IN DS " + ds + "\n"
	}
	v.parent = newPowerDNS(t, map[string]string{"example": parentText})
	v.parent.sign("example")
	v.anchor = "example. DS " + v.parent.ds("example")[0]
	first := v.child.clone().start("127.0.0.3", v.port, zone)
	second := v.child.clone().start("127.0.0.4", v.port, zone)
	if v6 {
		v.child.clone().start("::1", v.port, zone)
	}
	v.stubs = map[string][]netip.AddrPort{
		"example.": {v.parent.start("127.0.0.2", v.port, "example.")}, "zone.example.": {first, second},
	}
	v.resolver = startUnbound(t, v.stubs)
	return v
}

func (v *village) client(t *testing.T) *Client {
	c := realClient(t)
	c.Resolvers, c.Port = []string{v.resolver.String()}, v.port
	return c
}

// describe puts a sighting's servers into lines.
func (v *village) describe(s rollover.Sighting) []string {
	var out []string
	for _, o := range s.Servers {
		line := strings.TrimSpace(strings.Join([]string{o.Role, o.Name, strings.TrimSuffix(o.Address, fmt.Sprintf(":%d", v.port)), o.Unchecked + o.Unknown}, " "))
		out = append(out, strings.ReplaceAll(line, v.resolver.String(), "RESOLVER"))
	}
	return out
}

// expectedChildren is all servers of the child: ns1 and ns3 of the delegation,
// ns2 of the apex, and names that do not resolve, or perhaps not.
func expectedChildren() []string {
	out := []string{
		"child gone.example.  no address found for gone.example. (NXDOMAIN from RESOLVER)",
		"child ns1.zone.example. 127.0.0.3",
		"child ns2.zone.example. 127.0.0.4",
		"child ns3.zone.example.  no address found for ns3.zone.example. (NXDOMAIN from RESOLVER)",
		"child ns4.elsewhere.  no address found for ns4.elsewhere. (SERVFAIL from RESOLVER)",
	}
	if hasIPv6() {
		return slices.Insert(out, 2, "child ns1.zone.example. [::1]")
	}
	return slices.Insert(out, 2, "child ns1.zone.example. [::1] no IPv6 route from here")
}

func TestFindingServersThroughUnbound(t *testing.T) {
	v := newVillage(t)
	parent := "parent ns.example. 127.0.0.2"
	all := []rollover.Record{rollover.RecordDS, rollover.RecordDNSKEY, rollover.RecordData}
	cases := map[string]struct {
		q      rollover.Question
		expect []string
	}{
		"everything":      {rollover.Question{Records: all}, append([]string{parent}, expectedChildren()...)},
		"the parent only": {rollover.Question{Records: []rollover.Record{rollover.RecordDS}}, []string{parent}},
		"the child only":  {rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY}}, expectedChildren()},
		"excluded by name, address, and both": {rollover.Question{
			Records: all, Exclude: []string{"GONE.example", "ns3.zone.example.", "ns4.elsewhere.", "127.0.0.4", fmt.Sprintf("[::1]:%d", v.port)},
		}, []string{parent, "child ns1.zone.example. 127.0.0.3"}},
		"configured only, one by name": {rollover.Question{
			Records: all, ServersOnly: true, Servers: []string{"NS2.zone.example", fmt.Sprintf("127.0.0.3:%d", v.port)}, ParentServers: []string{"127.0.0.2"},
		}, []string{"parent 127.0.0.2 127.0.0.2", "child 127.0.0.3 127.0.0.3", "child ns2.zone.example. 127.0.0.4"}},
		"a known one that nobody names any more": {rollover.Question{
			Records: []rollover.Record{rollover.RecordDS}, Known: []rollover.Server{
				{Role: rollover.RoleParent, Name: "old.example.", Address: fmt.Sprintf("127.0.0.3:%d", v.port)},
				{Role: rollover.RoleChild, Name: "old.example.", Address: fmt.Sprintf("127.0.0.3:%d", v.port)},
				{Role: rollover.RoleParent, Name: "gone.example."},
			},
		}, []string{
			"parent gone.example.  no address found for gone.example. (NXDOMAIN from RESOLVER)", parent,
			"parent old.example. 127.0.0.3 answers as the child zone, not as the parent",
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.q.Zone = "Zone.Example"
			s, err := v.client(t).Look(t.Context(), tc.q)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "servers", v.describe(s), tc.expect)
			v.checkAnswers(t, s, tc.q)
		})
	}
}

// checkAnswers: whoever was asked and is not unknown has shown what was asked for.
func (v *village) checkAnswers(t *testing.T, s rollover.Sighting, q rollover.Question) {
	t.Helper()
	wants := func(r rollover.Record, role string, o rollover.ServerSighting) bool {
		return slices.Contains(q.Records, r) && o.Role == role && o.Unknown == "" && o.Unchecked == ""
	}
	for _, o := range s.Servers {
		same(t, "DNSKEY of "+o.Address, o.DNSKEY != nil, wants(rollover.RecordDNSKEY, rollover.RoleChild, o))
		same(t, "data of "+o.Address, o.Data != nil && len(o.Data.Signers) == 1, wants(rollover.RecordData, rollover.RoleChild, o))
		same(t, "DS of "+o.Address, o.DS != nil, wants(rollover.RecordDS, rollover.RoleParent, o))
		if o.DS != nil {
			same(t, "TTL of DS", o.DS.TTL, uint32(900))
			same(t, "DS", o.DS.Set[0].String(), strings.ToUpper(v.child.ds("zone.example")[0]))
		}
	}
}

// Two real validators, of which one has the wrong anchor, and a resolver that
// does not validate.
func TestValidatorsThroughUnbound(t *testing.T) {
	v := newVillage(t)
	good := startUnbound(t, v.stubs, v.anchor)
	c := v.client(t)
	wrong := "example. DS 1 13 2 " + strings.Repeat("00", 32)
	bad := startUnbound(t, v.stubs, wrong)
	c.Validators = []string{good.String(), bad.String(), v.resolver.String()}
	s, err := c.Look(t.Context(), rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDS}, Validators: true})
	if err != nil {
		t.Fatal(err)
	}
	set := s.Servers[0].DS.Set
	same(t, "validators", s.Validators, []rollover.ValidatorSighting{
		{Address: good.String(), AD: true, Set: set}, {Address: bad.String(), Bogus: true}, {Address: v.resolver.String(), Set: set},
	})
}

func TestServersThatCannotBeFound(t *testing.T) {
	v := newVillage(t)
	child, parent := []rollover.Record{rollover.RecordDNSKEY}, []rollover.Record{rollover.RecordDS}
	cases := map[string]struct {
		q      rollover.Question
		change func(c *Client)
		expect []string
	}{
		"no resolver":          {rollover.Question{Records: child}, func(c *Client) { c.Resolvers = nil }, []string{"no resolver to ask", "`parent_servers`"}},
		"a resolver by name":   {rollover.Question{Records: parent}, func(c *Client) { c.Resolvers = []string{"localhost"} }, []string{`resolver "localhost" is not an address`}},
		"a parent that is not": {rollover.Question{Records: parent, Zone: "zone.elsewhere."}, nil, []string{"SERVFAIL from", "`parent_servers`", "zone.elsewhere."}},
		"the root":             {rollover.Question{Records: parent, Zone: "."}, nil, []string{"the root zone has no parent"}},
		"all excluded":         {rollover.Question{Records: parent, Exclude: []string{"ns.example"}}, nil, []string{"all of them are excluded"}},
		"no delegation":        {rollover.Question{Records: child, Zone: "none.example."}, nil, []string{"knows no NS of none.example.: NXDOMAIN", "`servers`"}},
		"a silent parent":      {rollover.Question{Records: child, ParentServers: []string{"127.0.0.9"}}, nil, []string{"connection refused", "`servers_only`"}},
		"servers_only alone":   {rollover.Question{Records: child, ServersOnly: true}, nil, []string{"`servers` is empty"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := v.client(t)
			if tc.change != nil {
				tc.change(c)
			}
			if tc.q.Zone == "" {
				tc.q.Zone = zone
			}
			_, err := c.Look(t.Context(), tc.q)
			if !errors.Is(err, rollover.ErrUnavailable) {
				t.Fatalf("expected one that wraps ErrUnavailable, got %v", err)
			}
			for _, part := range tc.expect {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("expected %q in: %v", part, err)
				}
			}
		})
	}
}

// With servers of earlier looks the look goes on when the parent tells nothing.
func TestKnownServersReplaceASilentParent(t *testing.T) {
	v := newVillage(t)
	s, err := v.client(t).Look(t.Context(), rollover.Question{
		Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY}, ParentServers: []string{"127.0.0.9"},
		Known:   []rollover.Server{{Role: rollover.RoleChild, Name: "ns1.zone.example.", Address: fmt.Sprintf("127.0.0.3:%d", v.port)}},
		Exclude: []string{"::1", "ns4.elsewhere"},
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "servers", v.describe(s), []string{"child ns1.zone.example. 127.0.0.3", "child ns2.zone.example. 127.0.0.4"})
}

func TestParsePlace(t *testing.T) {
	cases := map[string]string{
		"127.0.0.1": "127.0.0.1:53", "127.0.0.1:5300": "127.0.0.1:5300", "2001:db8::1": "[2001:db8::1]:53", "[2001:db8::1]": "[2001:db8::1]:53",
		"[2001:db8::1]:54": "[2001:db8::1]:54", "::ffff:127.0.0.1": "127.0.0.1:53", "NS.example": "ns.example. 53", "ns.example.:54": "ns.example. 54",
		"": "error", ".": "error", "ns.example:0": "error", "ns.example:65536": "error", "ns example": "error", "127.0.0.1:0": "error", "a..b": "error",
	}
	for text, expect := range cases {
		p, err := parsePlace(text, 53)
		got := netip.AddrPortFrom(p.addr, p.port).String()
		switch {
		case err != nil:
			got = "error"
		case p.host != "":
			got = fmt.Sprintf("%s %d", p.host, p.port)
		}
		same(t, text, got, expect)
	}
}

func TestGlueCountsOnlyInTheZone(t *testing.T) {
	m := replyTo(direct(zone, dns.TypeNS))
	m.Authoritative = false
	m.Ns = rrs(t, "zone.example. 1 IN NS NS.zone.example.", "zone.example. 1 IN NS ns.other.", "other.example. 1 IN NS ns.x.")
	m.Extra = append(m.Extra, rrs(t, "ns.zone.example. 1 IN A 127.0.0.7", "ns.other. 1 IN A 127.0.0.8")...)
	got := readDelegation(zone, m)
	same(t, "names", got.names, []string{"ns.other.", "ns.zone.example."})
	same(t, "glue", got.glue, map[string][]netip.Addr{"ns.zone.example.": {netip.MustParseAddr("127.0.0.7")}})
}
