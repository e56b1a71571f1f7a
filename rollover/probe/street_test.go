package probe

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
	"rollover/rollover/chain/chaintest"
)

// street is a signed chain from the root down to the zone, in one process and at
// one address: the resolver, where recursion is desired, and else every
// authoritative server.
type street struct {
	at                  netip.AddrPort
	root, parent, child *chaintest.Zone
	change              func(query, m *dns.Msg) // spoils an answer; one without a question is not sent

	mu    sync.Mutex
	asked []string // "name TYPE", with "resolver " before it, or " over TCP" behind
}

func newStreet(t *testing.T) *street {
	s := &street{root: chaintest.NewZone(t, "."), parent: chaintest.NewZone(t, "example."), change: func(_, _ *dns.Msg) {}}
	s.child = chaintest.NewZone(t, zone, "www.zone.example. 60 IN A 192.0.2.1", "alias.zone.example. 60 IN CNAME www.zone.example.", "ns.zone.example. 60 IN A 127.0.0.1")
	s.root.Delegate(s.parent)
	s.parent.Delegate(s.child)
	s.root.Add(rr(t, "ns. 60 IN A 127.0.0.1"))
	s.parent.Add(rr(t, "ns.example. 60 IN A 127.0.0.1"))
	s.at = serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		if m := s.answer(query, isTCP(w)); len(m.Question) > 0 {
			send(t, w, m)
		}
	})
	return s
}

func (s *street) answer(query *dns.Msg, tcp bool) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := query.Question[0]
	note := q.Name + " " + dns.Type(q.Qtype).String()
	if query.RecursionDesired {
		note = "resolver " + note
	} else if tcp {
		note += " over TCP"
	}
	s.asked = append(s.asked, note)
	m := s.zoneOf(q).Answer(q.Name, q.Qtype)
	m.Id, m.RecursionDesired, m.Question = query.Id, query.RecursionDesired, query.Question
	if opt := query.IsEdns0(); opt == nil || !opt.Do() {
		unsign(m)
	}
	s.change(query, m)
	return m
}

// set is what spoils the answers from now on; nil spoils none.
func (s *street) set(change func(query, m *dns.Msg)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = change
	if change == nil {
		s.change = func(_, _ *dns.Msg) {}
	}
}

// zoneOf is the zone that answers: for a DS set the one above.
func (s *street) zoneOf(q dns.Question) *chaintest.Zone {
	for _, z := range []*chaintest.Zone{s.child, s.parent} {
		if dns.IsSubDomain(z.Name, q.Name) && (q.Qtype != dns.TypeDS || q.Name != z.Name) {
			return z
		}
	}
	return s.root
}

// times is how often something was asked.
func (s *street) times(note string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, a := range s.asked {
		if a == note {
			n++
		}
	}
	return n
}

func (s *street) anchors() chain.Anchors {
	return chain.Anchors{".": chain.Trust{Keys: []rollover.DNSKEY{s.root.Key.Ours()}}}
}

// client is one for the street as it is now; what changes later is set.
func (s *street) client(t *testing.T) *Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := newClient(t)
	c.Resolvers, c.Port, c.Anchors, c.Timeout = []string{s.at.String()}, int(s.at.Port()), s.anchors(), 5*time.Second
	return c
}

// bare takes the signatures away.
func bare(records []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(records), isSignature)
}
