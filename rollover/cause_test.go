package rollover

import (
	"strings"
	"testing"
)

// A remedy goes by what is wrong: the only server and one that answers are never
// proposed for exclusion, a left-over DNSKEY record and a record that cannot be
// served are named with the command.
func TestRemediesByCause(t *testing.T) {
	one := Server{RoleChild, "ns1.example.com.", "192.0.2.1:53"}
	two := Server{RoleChild, "ns2.example.com.", "192.0.2.2:53"}
	state := func(s Server, ok bool) ServerState { return ServerState{Server: s, OK: ok} }
	for _, c := range []struct {
		what    string
		servers []ServerState
		lags    []Lag
		says    string
		not     string
	}{
		{"the only server is dead", []ServerState{state(one, false)}, []Lag{{Server: one, Detail: "timed out"}}, "look at that server", "exclude-server"},
		{"one of two is dead", []ServerState{state(one, true), state(two, false)}, []Lag{{Server: two, Detail: "timed out"}}, "exclude-server --zone example.com. 192.0.2.2:53", ""},
		{"one of two lags", []ServerState{state(one, true), state(two, true)}, []Lag{{Server: two, Detail: "has no DNSKEY 5", Bad: true}}, "rollover check example.com.", "exclude-server"},
		{"all are dead", []ServerState{state(one, false), state(two, false)}, []Lag{{Server: one, Detail: "timed out"}, {Server: two, Detail: "timed out"}}, "look at that server", "exclude-server"},
		{"a key that is gone stays everywhere", []ServerState{state(one, true), state(two, true)}, []Lag{{Server: one, Detail: "still has DNSKEY 5", Bad: true}, {Server: two, Detail: "still has DNSKEY 5", Bad: true}}, "pdnsutil delete-rrset example.com @ DNSKEY", "exclude-server"},
		{"a key that is gone stays on one", []ServerState{state(one, true), state(two, true)}, []Lag{{Server: two, Detail: "still has DNSKEY 5", Bad: true}}, "transfers take a moment", "delete-rrset"},
		{"a key that is there", []ServerState{state(one, true)}, []Lag{{Server: one, Detail: "still has DNSKEY 7", Bad: true}}, "transfers take a moment", "delete-rrset"},
		{"a record that cannot be served", []ServerState{state(one, false)}, []Lag{{Server: one, Detail: "h33a.example.com. TXT: SERVFAIL"}}, "PowerDNS cannot serve h33a.example.com. TXT (SERVFAIL): pdnsutil check-zone example.com", "exclude-server"},
		{"the zone is gone", []ServerState{state(one, false)}, []Lag{{Server: one, Detail: "REFUSED"}}, "does not serve the zone", "exclude-server"},
	} {
		r := &Roll{Zone: "example.com.", Servers: c.servers, Keys: []Key{{Tag: 7, Published: true}}}
		got := Need{Actor: ActorServers, Lagging: c.lags}.command(r, nil)
		if !strings.Contains(got, c.says) || c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s: %q", c.what, got)
		}
	}
	parent := Server{RoleParent, "p1.", "192.0.2.3:53"}
	r := &Roll{Zone: "example.com.", Servers: []ServerState{state(parent, false), state(one, true)}}
	if got := (Need{Actor: ActorParent, Lagging: []Lag{{Server: parent, Detail: "timed out"}}}).command(r, nil); strings.Contains(got, "exclude-server") {
		t.Errorf("the only server of the parent: %q", got)
	}
}

// A secondary whose serial is ahead of the primary's takes no transfer. Serials
// wrap around (RFC 1982).
func TestSerialAheadIsTheCause(t *testing.T) {
	one, two := Server{RoleChild, "ns1.example.com.", "192.0.2.1:53"}, Server{RoleChild, "ns2.example.com.", "192.0.2.2:53"}
	for _, c := range []struct {
		good, late uint32
		named      bool
	}{{7, 9, true}, {9, 7, false}, {7, 7, false}, {4294967290, 5, true}, {5, 4294967290, false}, {0, 9, false}} {
		r := &Roll{Zone: "example.com.", Servers: []ServerState{{Server: one, OK: true, Serial: c.good}, {Server: two, OK: true, Serial: c.late}}}
		n := Need{Actor: ActorServers, Lagging: []Lag{{Server: two, Detail: "has no DNSKEY 5", Bad: true}}}
		if got := n.command(r, nil); c.named != strings.Contains(got, "takes no transfer until the primary has a larger one: there pdnsutil edit-zone example.com") {
			t.Errorf("%d at one that has it, %d at one that lags: %q", c.good, c.late, got)
		}
	}
}

// Start and check name the same causes.
func TestSilentServersByCause(t *testing.T) {
	s := Sighting{Zone: "example.com.", Servers: []ServerSighting{{Server: Server{RoleChild, "ns1.", "192.0.2.1:53"}, Unknown: "h33a.example.com. TXT: SERVFAIL"}, {Server: Server{RoleParent, "p1.", "192.0.2.3:53"}, Unknown: "SERVFAIL"}}}
	for _, f := range Health(s, DefaultPolicy(), DefaultLimits()) {
		child := strings.HasPrefix(f.Server, RoleChild)
		if f.Code == FindingSilent && child != strings.Contains(f.Remedy, "pdnsutil check-zone example.com says what") {
			t.Errorf("%+v", f)
		}
	}
}
