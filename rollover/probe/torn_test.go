package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// A secondary of PowerDNS can put an answer together from two versions of the zone
// while it takes a transfer: the records of one, the signature of the other. That is
// over when it is asked again; what only looks like it is told.
func TestTornAnswers(t *testing.T) {
	const (
		before = "zone.example. 7200 IN SOA ns.zone.example. host.zone.example. 40 1 2 3 300"
		after  = "zone.example. 7200 IN SOA ns.zone.example. host.zone.example. 43 1 2 3 300"
		afar   = "zone.example. 7200 IN SOA ns.zone.example. host.zone.example. 90 1 2 3 300"
	)
	soa := func(text string, only ...uint16) tear {
		return func(z *fakeZone, q dns.Question, m *dns.Msg) {
			if len(only) == 0 || slices.Contains(only, q.Qtype) {
				resign(z.t, m.Answer, z.zsk, rr(z.t, text))
				resign(z.t, m.Ns, z.zsk, rr(z.t, text))
			}
		}
	}
	stranger := newKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	for name, tc := range map[string]struct {
		spoil   tear
		looks   int    // in which it is so
		visits  int    // there are in all
		faulty  bool   // in the end
		another string // SOA record of another server
	}{
		"signature of an earlier serial":         {soa(before), 1, 2, false, ""},
		"in the answer for SOA alone":            {soa(before, dns.TypeSOA), 1, 2, false, ""},
		"in the denial alone":                    {soa(before, dns.TypeA), 1, 2, false, ""},
		"twice":                                  {soa(before), 2, 3, false, ""},
		"for longer":                             {soa(before), 100, 1 + maxTorn, true, ""},
		"signature of what another server shows": {soa(after), 1, 2, false, after},
		"however many serials later":             {soa(afar), 1, 2, false, afar},
		"signature of what nobody shows":         {soa(after), 1, 1, true, ""},
		"the other record has another signature": {soa(afar), 1, 1, true, after},
		"by a key that is not in the DNSKEY set": {func(z *fakeZone, _ dns.Question, m *dns.Msg) {
			resign(z.t, m.Answer, stranger, rr(z.t, before))
		}, 1, 1, true, ""},
		"signature of other records": {func(z *fakeZone, _ dns.Question, m *dns.Msg) {
			resign(z.t, m.Answer, z.zsk, rr(z.t, "zone.example. 600 IN NS other.zone.example."))
		}, 1, 1, true, ""},
		"a zone with all signatures is asked once": {func(*fakeZone, dns.Question, *dns.Msg) {}, 1, 1, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t)
			asked := z.torn(tc.spoil, tc.looks)
			got := lookBeside(t, z, tc.another)
			same(t, "visits", asked.of(zone, dns.TypeSOA), tc.visits)
			same(t, "no key has signed the data", len(got.Data.Signers) == 0, tc.faulty)
		})
	}
}

// The DNSKEY set of one server with the signature of another's; and with one that
// nobody else shows.
func TestTornKeys(t *testing.T) {
	z := newZone(t)
	other := zoneWith(t, z.ksk, newKey(t, zone, 256, dns.ECDSAP256SHA256, 256))
	spoil := func(z *fakeZone, _ dns.Question, m *dns.Msg) {
		resign(t, m.Answer, z.ksk, z.ksk.DNSKEY, other.zsk.DNSKEY)
	}
	asked := z.torn(spoil, 1)
	got := lookAt(t, keysOnly, z.serve(t), other.serve(t))
	same(t, "visits", asked.of(zone, dns.TypeDNSKEY), 2)
	same(t, "signers", got.DNSKEY.Signers, []rollover.DNSKEY{z.ksk.Ours()})
	asked = z.torn(spoil, 1)
	got = lookAt(t, keysOnly, z.serve(t))
	same(t, "visits", asked.of(zone, dns.TypeDNSKEY), 1)
	same(t, "signers", len(got.DNSKEY.Signers), 0)
}

// The time of the look ends the patience too, and what was seen is told.
func TestTornUntilTheLookIsOver(t *testing.T) {
	z := newZone(t)
	z.torn(func(z *fakeZone, _ dns.Question, m *dns.Msg) {
		resign(z.t, m.Answer, z.zsk, rr(z.t, "zone.example. 7200 IN SOA ns.zone.example. host.zone.example. 41 1 2 3 300"))
	}, 100)
	c := newClient(t)
	c.torn, c.LookTimeout = time.Hour, 300*time.Millisecond
	got := lookWith(t, c, z.serve(t), dataOnly)
	same(t, "faults", len(got.Data.Faults) > 0, true)
}

// A server that shows very many versions gets a few of them tried.
func TestVersionsTried(t *testing.T) {
	z := newZone(t)
	soa := func(serial int) chain.Set {
		return chain.Set{Owner: zone, Type: dns.TypeSOA, Records: rrs(t, fmt.Sprintf("zone.example. 7200 IN SOA ns.zone.example. host.zone.example. %d 1 2 3 300", serial))}
	}
	shown := soa(40)
	shown.Signatures = []*dns.RRSIG{z.zsk.Sign(t, soa(1000).Records)}
	var versions []chain.Set
	for n := range maxVersions - 1 {
		versions = append(versions, soa(100+n))
	}
	pool := func() *chain.Pool { return chain.NewPool(zone, now, z.zsk.Ours()) }
	same(t, "the last that is tried", torn(pool(), shown, append(versions, soa(1000))), true)
	same(t, "one too far", torn(pool(), shown, append(versions, soa(99), soa(1000))), false)
	same(t, "those with the same records are not counted", torn(pool(), shown, append(versions, soa(40), soa(40), soa(1000))), true)
	for back, want := range map[int]bool{maxSerialsBack: true, maxSerialsBack + 1: false} {
		shown.Signatures = []*dns.RRSIG{z.zsk.Sign(t, soa(40-back).Records)}
		same(t, fmt.Sprintf("%d serials back", back), torn(pool(), shown, nil), want)
	}
}

type tear = func(z *fakeZone, q dns.Question, m *dns.Msg)

// resign replaces the signature on one set by one made for other records.
func resign(t testing.TB, in []dns.RR, key keypair, records ...dns.RR) {
	for i, rr := range in {
		if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == records[0].Header().Rrtype {
			in[i] = key.Sign(t, records)
		}
	}
}

// counts is how often each question came; names that do not exist are one.
type counts struct {
	mu sync.Mutex
	n  map[dns.Question]int
}

func (c *counts) add(q dns.Question) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	q.Name = strings.ToLower(q.Name)
	if strings.HasPrefix(q.Name, "_rollover-") {
		q.Name = "*"
	}
	c.n[q]++
	return c.n[q]
}

func (c *counts) of(name string, rrtype uint16) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[dns.Question{Name: name, Qtype: rrtype, Qclass: dns.ClassINET}]
}

// torn spoils the answers to the first so many times that each question is asked.
func (z *fakeZone) torn(spoil tear, times int) *counts {
	asked := &counts{n: map[dns.Question]int{}}
	z.change = func(q dns.Question, m *dns.Msg) {
		if asked.add(q) <= times {
			spoil(z, q, m)
		}
	}
	return asked
}

// lookBeside asks a server and another that shows an SOA record, if there is one.
func lookBeside(t *testing.T, z *fakeZone, soa string) rollover.ServerSighting {
	t.Helper()
	servers := []netip.AddrPort{z.serve(t)}
	if soa != "" {
		other := zoneWith(t, z.ksk, z.zsk)
		other.put(dns.TypeSOA, zone, other.signed(soa), nil)
		servers = append(servers, other.serve(t))
	}
	return lookAt(t, dataOnly, servers...)
}

// lookAt asks several servers, and returns what the first of them shows.
func lookAt(t *testing.T, q rollover.Question, servers ...netip.AddrPort) rollover.ServerSighting {
	t.Helper()
	c := newClient(t)
	c.torn = time.Millisecond
	q.Zone, q.ServersOnly, q.ParentServers = zone, true, []string{servers[0].String()}
	for _, at := range servers {
		q.Servers = append(q.Servers, at.String())
	}
	s, err := c.Look(t.Context(), q)
	if err != nil || len(s.Servers) != len(servers) {
		t.Fatalf("%v: %+v", err, s.Servers)
	}
	first := slices.IndexFunc(s.Servers, func(v rollover.ServerSighting) bool { return v.Address == servers[0].String() })
	return s.Servers[first]
}
