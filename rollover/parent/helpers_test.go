package parent

import (
	"context"
	"crypto"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/probe"
)

// nameServer is a server on loopback that answers as a test says.
type nameServer struct {
	address string

	mu     sync.Mutex
	asked  []string // "name TYPE"
	answer func(m, reply *dns.Msg)
}

func serve(t *testing.T, secrets map[string]string, answer func(m, reply *dns.Msg)) *nameServer {
	t.Helper()
	socket, listener := listen(t)
	n := &nameServer{address: socket.LocalAddr().String(), answer: answer}
	for _, s := range []*dns.Server{{PacketConn: socket}, {Listener: listener}} {
		s.Handler, s.TsigSecret = dns.HandlerFunc(n.handle), secrets
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		go func() { _ = s.ActivateAndServe() }() // ends with Shutdown
		t.Cleanup(func() { _ = s.Shutdown() })   // it may not have begun
	}
	return n
}

// listen finds a port that is free for UDP and TCP.
func listen(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 100 {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if listener, err := net.Listen("tcp", socket.LocalAddr().String()); err == nil {
			return socket, listener
		}
		_ = socket.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

func (n *nameServer) handle(w dns.ResponseWriter, m *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, m.Question[0].Name+" "+dns.Type(m.Question[0].Qtype).String())
	reply := new(dns.Msg).SetReply(m)
	reply.Authoritative = true
	n.answer(m, reply)
	if tsig := m.IsTsig(); tsig != nil && w.TsigStatus() == nil && reply.Rcode != dns.RcodeNotAuth {
		reply.SetTsig(tsig.Hdr.Name, tsig.Algorithm, fudge, int64(tsig.TimeSigned))
	}
	_ = w.WriteMsg(reply) // the client sees it if not
}

// set changes what an answer is made of, while none is being made.
func (n *nameServer) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *nameServer) questions() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.asked, ", ")
}

// eyes is what asks for the driver, as in the program.
func eyes(t *testing.T) *probe.Client {
	t.Helper()
	c := &probe.Client{Timeout: 2 * time.Second}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// trusting takes what a resolver answers as proven.
func trusting(ask Ask, server string) func(ctx context.Context, name string, rrtype uint16) ([]dns.RR, string, error) {
	return func(ctx context.Context, name string, rrtype uint16) ([]dns.RR, string, error) {
		m, err := resolver{ask, []string{server}}.ask(ctx, name, rrtype)
		if err != nil {
			return nil, "", err
		}
		for _, rr := range m.Ns {
			if rr.Header().Rrtype == dns.TypeSOA {
				return m.Answer, rr.Header().Name, nil
			}
		}
		return m.Answer, "", nil
	}
}

// loopback is what a test lets NOTIFY go to.
func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func rr(t *testing.T, text string) dns.RR {
	t.Helper()
	out, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// signer is a key of the zone with its private half.
type signer struct {
	rollover.Key
	record  *dns.DNSKEY
	private crypto.Signer
}

func newSigner(t *testing.T) signer {
	t.Helper()
	record := &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET}, Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	private, err := record.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	key := rollover.Key{Flags: 257, Algorithm: 13, Tag: record.KeyTag(), PublicKey: record.PublicKey, Role: rollover.KSK}
	return signer{key, record, private.(crypto.Signer)}
}

// sign is the signature of a set by the key, valid now.
func (s signer) sign(t *testing.T, set []dns.RR) dns.RR {
	t.Helper()
	now := time.Now()
	sig := &dns.RRSIG{
		Hdr: dns.RR_Header{Ttl: 60}, KeyTag: s.record.KeyTag(), SignerName: zone, Algorithm: s.record.Algorithm,
		Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(time.Hour).Unix()),
	}
	if err := sig.Sign(s.private, set); err != nil {
		t.Fatal(err)
	}
	return sig
}

const zone = "child.example."

func dsOf(t *testing.T, k rollover.Key) rollover.DS {
	t.Helper()
	d, err := k.DNSKEY().DS(zone, 2)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
