package probe

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover/chain"
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
