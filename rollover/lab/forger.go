package lab

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Forger stands in the way to a server and may change what it answers: an
// attacker on the path, or a parent's server that is not what it should be.
type Forger struct {
	upstream string
	servers  []*dns.Server
	addr     string

	mu    sync.Mutex
	forge Forge
}

// Forge changes an answer; what it returns is sent.
type Forge func(answer *dns.Msg) *dns.Msg

// NewForger relays to the server at upstream, over UDP and TCP, from a free
// port of the same address. It changes nothing until Set.
func (l *Lab) NewForger(upstream string) (*Forger, error) {
	host, _, err := net.SplitHostPort(upstream)
	if err != nil {
		return nil, err
	}
	tcp, udp, err := listenBoth(host)
	if err != nil {
		return nil, fmt.Errorf("making a forger for %s: %w", upstream, err)
	}
	f := &Forger{upstream: upstream, addr: tcp.Addr().String()}
	f.servers = []*dns.Server{{Listener: tcp, Handler: f}, {PacketConn: udp, Handler: f}}
	for _, s := range f.servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }() // ends with Shutdown; a server that dies is seen by its clients
		<-started
	}
	return f, nil
}

// listenBoth finds a port of an address that is free for TCP and UDP.
func listenBoth(host string) (net.Listener, net.PacketConn, error) {
	var last error
	for range 100 {
		tcp, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, nil, err
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp, nil
		}
		last = errors.Join(err, tcp.Close())
	}
	return nil, nil, last
}

// Addr is where the forger listens, "ip:port".
func (f *Forger) Addr() string { return f.addr }

// Set is how answers are changed from now on; nil: not at all.
func (f *Forger) Set(forge Forge) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forge = forge
}

// Close ends the forger.
func (f *Forger) Close() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.Shutdown())
	}
	return errors.Join(errs...)
}

// ServeDNS passes a question on and its answer back.
func (f *Forger) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	client := dns.Client{Net: w.LocalAddr().Network(), Timeout: time.Second, UDPSize: 4096}
	answer, _, err := client.Exchange(query, f.upstream)
	if err != nil {
		return // as silent as the server itself
	}
	f.mu.Lock()
	forge := f.forge
	f.mu.Unlock()
	if forge != nil {
		answer = forge(answer)
	}
	_ = w.WriteMsg(answer) // the client may be gone
}

// SigningKey is a key of a zone of the lab with its private part, of those who
// forge with a stolen key.
type SigningKey struct {
	*dns.DNSKEY
	private crypto.Signer
}

// StealKey takes the first key that signs DNSKEY sets out of the lab's own
// PowerDNS: of the parent zone, or of a child.
func (l *Lab) StealKey(ctx context.Context, zone string) (SigningKey, error) {
	s := l.c1
	if dns.CanonicalName(zone) == l.options.Parent {
		s = l.p1
	}
	out, err := l.util(ctx, s, "show-zone", bare(zone))
	if err != nil {
		return SigningKey{}, err
	}
	var id, record string
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "ID" && strings.Contains(line, "flags = 257") && id == "" {
			id = fields[2]
		}
		if _, rest, ok := strings.Cut(line, "DNSKEY = "); ok && record == "" {
			record, _, _ = strings.Cut(rest, ";")
		}
	}
	return l.stolen(ctx, s, zone, id, record)
}

func (l *Lab) stolen(ctx context.Context, s *server, zone, id, record string) (SigningKey, error) {
	rr, err := dns.NewRR(strings.TrimSpace(record))
	if err != nil {
		return SigningKey{}, fmt.Errorf("reading the key of %s: %w", zone, err)
	}
	key, ok := rr.(*dns.DNSKEY)
	if !ok {
		return SigningKey{}, fmt.Errorf("no key of %s found", zone)
	}
	text, err := l.util(ctx, s, "export-zone-key", bare(zone), id)
	if err != nil {
		return SigningKey{}, err
	}
	private, err := key.NewPrivateKey(text)
	if err != nil {
		return SigningKey{}, fmt.Errorf("reading the private key of %s: %w", zone, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return SigningKey{}, fmt.Errorf("the key of %s cannot sign", zone)
	}
	return SigningKey{key, signer}, nil
}

// Sign signs a set for a period.
func (k SigningKey) Sign(set []dns.RR, inception, expiration time.Time) (*dns.RRSIG, error) {
	sig := &dns.RRSIG{
		Algorithm: k.Algorithm, KeyTag: k.KeyTag(), SignerName: k.Hdr.Name,
		Inception: uint32(inception.Unix()), Expiration: uint32(expiration.Unix()),
	}
	return sig, sig.Sign(k.private, set)
}
