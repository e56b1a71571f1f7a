package rollover

import "testing"

// A server that is not asked, as over IPv6 from a machine without, is no server
// that a driver has to see the CDS records at: it would wait for it for ever.
func TestDriversSkipUncheckedServers(t *testing.T) {
	asked, unchecked := Server{Role: RoleChild, Name: "ns1", Address: "192.0.2.1:53"}, Server{Role: RoleChild, Name: "ns1", Address: "[2001:db8::1]:53"}
	r := &Roll{Zone: "example.com.", Type: "sign", Method: "ds-last", Kind: "sign/ds-last"}
	r.Servers = []ServerState{
		r.serverState(ServerSighting{Server: asked}), r.serverState(ServerSighting{Server: unchecked, Unchecked: "no IPv6 route"}),
	}
	if c := r.change(DefaultPolicy()); len(c.Servers) != 1 || c.Servers[0] != asked {
		t.Errorf("servers of the change: %v", c.Servers)
	}
}
