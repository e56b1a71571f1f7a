package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

const zone = "zone.example."

// now is when all in-process signatures are made and checked.
var now = chaintest.Now()

// newClient is a client that cannot talk to anything but this machine, and is
// checked for goroutines that it leaves behind.
func newClient(t *testing.T) *Client {
	t.Helper()
	before := runtime.NumGoroutine()
	c := &Client{Timeout: 5 * time.Second, dial: loopback(t), Now: func() rollover.Instant { return rollover.Instant{Wall: now} }}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("closing the client: %v", err)
		}
		settle(t, before)
	})
	return c
}

// settle waits until no more goroutines run than before.
func settle(t *testing.T, before int) {
	t.Helper()
	eventually(t, "goroutines to end", func() error {
		if n := runtime.NumGoroutine(); n > before {
			stacks := make([]byte, 1<<16)
			return fmt.Errorf("%d goroutines, %d before:\n%s", n, before, stacks[:runtime.Stack(stacks, true)])
		}
		return nil
	})
}

// eventually polls until check is content.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		<-ticker.C
	}
}

func loopback(t *testing.T) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		at, err := netip.ParseAddrPort(address)
		if err != nil || !at.Addr().IsLoopback() {
			t.Errorf("dialing %s %s, which is not on this machine", network, address)
			return nil, fmt.Errorf("not loopback")
		}
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}

// serve runs a DNS server on a free port of 127.0.0.1, UDP and TCP.
func serve(t *testing.T, answer func(w dns.ResponseWriter, query *dns.Msg)) netip.AddrPort {
	t.Helper()
	packets, stream := listen(t)
	for _, s := range []*dns.Server{{PacketConn: packets}, {Listener: stream}} {
		s.Handler = dns.HandlerFunc(answer)
		started, done := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(started) }
		go func() { done <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Errorf("stopping the server: %v", err)
			}
			<-done
		})
	}
	return netip.MustParseAddrPort(packets.LocalAddr().String())
}

func listen(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		stream, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, stream
		}
		packets.Close()
	}
	t.Fatal("no port free for both UDP and TCP")
	return nil, nil
}

func isTCP(w dns.ResponseWriter) bool { return w.RemoteAddr().Network() == "tcp" }

// replyTo is an authoritative answer with EDNS.
func replyTo(query *dns.Msg, records ...dns.RR) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	m.Authoritative = true
	m.Answer = records
	m.SetEdns0(ednsSize, true)
	return m
}

func send(t *testing.T, w dns.ResponseWriter, m *dns.Msg) {
	if err := w.WriteMsg(m); err != nil {
		t.Errorf("server: %v", err)
	}
}

func rr(t testing.TB, text string) dns.RR {
	t.Helper()
	return chaintest.RR(t, text)
}

func rrs(t testing.TB, texts ...string) []dns.RR {
	t.Helper()
	return chaintest.RRs(t, texts...)
}

// keypair is a key that signs.
type keypair = chaintest.Key

func newKey(t testing.TB, owner string, flags uint16, algorithm uint8, bits int) keypair {
	t.Helper()
	return chaintest.NewKey(t, owner, flags, algorithm, bits)
}

func between(inception, expiration time.Time) func(*dns.RRSIG) {
	return chaintest.Between(inception, expiration)
}

// fakeZone answers as a signed zone does, and then lets change spoil it.
type fakeZone struct {
	t        testing.TB
	ksk, zsk keypair
	answers  map[dns.Question]*dns.Msg
	missing  *dns.Msg // for all other names
	change   func(q dns.Question, m *dns.Msg)
}

func newZone(t testing.TB) *fakeZone {
	return zoneWith(t, newKey(t, zone, 257, dns.ECDSAP256SHA256, 256), newKey(t, zone, 256, dns.ECDSAP256SHA256, 256))
}

// fixedZone is the same octets in every process.
func fixedZone(t testing.TB) *fakeZone {
	return zoneWith(t, chaintest.FixedKey(zone, 257, 1), chaintest.FixedKey(zone, 256, 2))
}

func zoneWith(t testing.TB, ksk, zsk keypair) *fakeZone {
	z := &fakeZone{t: t, answers: map[dns.Question]*dns.Msg{}, change: func(dns.Question, *dns.Msg) {}, ksk: ksk, zsk: zsk}
	keys := []dns.RR{z.ksk.DNSKEY, z.zsk.DNSKEY}
	z.put(dns.TypeDNSKEY, zone, append(keys, z.ksk.Sign(t, keys)), nil)
	soa := z.signed("zone.example. 7200 IN SOA ns.zone.example. host.zone.example. 42 1 2 3 300")
	z.put(dns.TypeSOA, zone, soa, nil)
	z.put(dns.TypeNS, zone, z.signed("zone.example. 600 IN NS ns.zone.example."), nil)
	z.put(dns.TypeA, "www.zone.example.", z.signed("www.zone.example. 60 IN A 192.0.2.1"), nil)
	z.put(dns.TypeTXT, "www.zone.example.", nil, append(soa, z.signed("www.zone.example. 300 IN NSEC zone.example. A RRSIG NSEC")...))
	z.missing = &dns.Msg{Ns: append(soa, z.signed("www.zone.example. 300 IN NSEC zone.example. A RRSIG NSEC")...)}
	z.missing.Rcode = dns.RcodeNameError
	return z
}

func (z *fakeZone) signed(texts ...string) []dns.RR {
	set := rrs(z.t, texts...)
	return append(set, z.zsk.Sign(z.t, set))
}

func (z *fakeZone) put(rrtype uint16, name string, answer, authority []dns.RR) {
	z.answers[dns.Question{Name: name, Qtype: rrtype, Qclass: dns.ClassINET}] = &dns.Msg{Answer: answer, Ns: authority}
}

// respond is the answer of the zone's server.
func (z *fakeZone) respond(query *dns.Msg) *dns.Msg {
	q := query.Question[0]
	found := z.answers[dns.Question{Name: strings.ToLower(q.Name), Qtype: q.Qtype, Qclass: q.Qclass}]
	if found == nil {
		found = z.missing
	}
	m := replyTo(query)
	m.Rcode, m.Answer, m.Ns = found.Rcode, append([]dns.RR(nil), found.Answer...), append([]dns.RR(nil), found.Ns...)
	z.change(q, m)
	return m
}

func (z *fakeZone) serve(t *testing.T) netip.AddrPort {
	return serve(t, func(w dns.ResponseWriter, query *dns.Msg) { send(t, w, z.respond(query)) })
}

// look asks one server of the child alone.
func look(t *testing.T, at netip.AddrPort, q rollover.Question) rollover.ServerSighting {
	t.Helper()
	return lookWith(t, newClient(t), at, q)
}

func lookWith(t *testing.T, c *Client, at netip.AddrPort, q rollover.Question) rollover.ServerSighting {
	t.Helper()
	q.Zone, q.Servers, q.ServersOnly, q.ParentServers = zone, []string{at.String()}, true, []string{at.String()}
	s, err := c.Look(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Servers) != 1 {
		t.Fatalf("servers in the sighting: expected 1, got %+v", s.Servers)
	}
	return s.Servers[0]
}
