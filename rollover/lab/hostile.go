package lab

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Hostile is a server on loopback, no part of a Lab, that harms whoever asks it.
// It needs no program but this one.
type Hostile struct {
	addr    string
	servers []*dns.Server
	answer  func(query *dns.Msg) *dns.Msg

	mu    sync.Mutex
	asked []dns.Question
}

// NewHostile serves over UDP and TCP from a free port of 127.0.0.1 whatever
// answer makes of a question; nil is silence.
func NewHostile(answer func(query *dns.Msg) *dns.Msg) (*Hostile, error) {
	tcp, udp, err := listenBoth("127.0.0.1")
	if err != nil {
		return nil, fmt.Errorf("making a hostile server: %w", err)
	}
	h := &Hostile{addr: tcp.Addr().String(), answer: answer}
	h.servers = []*dns.Server{{Listener: tcp, Handler: h}, {PacketConn: udp, Handler: h}}
	for _, s := range h.servers {
		started := make(chan struct{})
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }() // ends with Shutdown; a server that dies is seen by its clients
		<-started
	}
	return h, nil
}

// NewMute is a server that takes every question and answers none: it costs who
// asks all the time there is.
func NewMute() (*Hostile, error) {
	return NewHostile(func(*dns.Msg) *dns.Msg { return nil })
}

// NewParrot is a server that answers every question with an answer to another.
func NewParrot(name string) (*Hostile, error) {
	return NewHostile(func(query *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(query)
		m.Question[0].Name = name
		return m
	})
}

// NewCrier is the resolver of a parent that wants to be told of CDS records (RFC
// 9859) at n targets, whatever the zone is, and gives each of them this address:
// whoever believes it sends packets there for the crier.
func NewCrier(n int, address net.IP, port uint16) (*Hostile, error) {
	return NewHostile(func(query *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(query)
		q := query.Question[0]
		switch header := (dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 60}); {
		case q.Qtype == dns.TypeA && address.To4() != nil:
			m.Answer = []dns.RR{&dns.A{Hdr: header, A: address}}
		case q.Qtype == dns.TypeAAAA && address.To4() == nil:
			m.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: address}}
		case q.Qtype == TypeDSYNC:
			for i := range n {
				m.Answer = append(m.Answer, DSYNC(q.Name, fmt.Sprintf("t%d.example.", i), port))
			}
		}
		return m
	})
}

// TypeDSYNC is that of DSYNC records (RFC 9859), which the library does not know.
const TypeDSYNC uint16 = 66

// DSYNC is a record that asks for NOTIFY(CDS) at a target. It panics at what is
// no name.
func DSYNC(owner, target string, port uint16) dns.RR {
	name := make([]byte, 255)
	n, err := dns.PackDomainName(target, name, 0, nil, false)
	if err != nil {
		panic(fmt.Sprintf("%q is no name: %v", target, err))
	}
	data := append([]byte{byte(dns.TypeCDS >> 8), byte(dns.TypeCDS), 1, byte(port >> 8), byte(port)}, name[:n]...)
	return &dns.RFC3597{Hdr: dns.RR_Header{Name: owner, Rrtype: TypeDSYNC, Class: dns.ClassINET, Ttl: 60, Rdlength: uint16(len(data))}, Rdata: hex.EncodeToString(data)}
}

// NewNameDropper is a name server of a zone that says, unsigned, that these are
// the name servers of every zone it is asked about: whoever believes it writes
// records below their names.
func NewNameDropper(hosts ...string) (*Hostile, error) {
	return NewHostile(func(query *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(query)
		m.Authoritative = true
		m.SetEdns0(1232, true)
		if q := query.Question[0]; q.Qtype == dns.TypeNS {
			for _, host := range hosts {
				m.Answer = append(m.Answer, &dns.NS{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60}, Ns: host})
			}
		}
		return m
	})
}

// Turncoat is a name server that says what an honest one says, and from Turn on what
// a hostile one does.
type Turncoat struct {
	*Hostile
	into   *Hostile
	turned atomic.Bool
}

// NewTurncoat is one, honest as yet.
func NewTurncoat(honest string, into *Hostile) (*Turncoat, error) {
	t := &Turncoat{into: into}
	var err error
	t.Hostile, err = NewHostile(func(query *dns.Msg) *dns.Msg {
		if t.turned.Load() {
			return into.answer(query)
		}
		answer, _, err := (&dns.Client{Net: "tcp", Timeout: time.Second}).Exchange(query, honest)
		if err != nil {
			return nil
		}
		return answer
	})
	return t, err
}

// Turn makes it hostile.
func (t *Turncoat) Turn() { t.turned.Store(true) }

// Close ends it and the one that it has become.
func (t *Turncoat) Close() error { return errors.Join(t.Hostile.Close(), t.into.Close()) }

// NewKeyless is a name server of a zone that has an SOA record and is well, but
// answers no question for its keys: a firewall that lets no large answers through.
func NewKeyless() (*Hostile, error) {
	return NewHostile(func(query *dns.Msg) *dns.Msg {
		m := fullReply(query)
		switch q := query.Question[0]; q.Qtype {
		case dns.TypeSOA:
			m.Answer = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 60}, Ns: q.Name, Mbox: q.Name, Serial: 1, Minttl: 60}}
		case dns.TypeDNSKEY:
			m.Rcode = dns.RcodeServerFailure
		}
		return m
	})
}

// NewBabbler is a name server that answers each question with n records that are
// small on the wire and large when they are read: all their names are long, and each
// but the first is a pointer (RFC 1035 section 4.1.4).
func NewBabbler(n int) (*Hostile, error) {
	return NewHostile(func(query *dns.Msg) *dns.Msg {
		q := query.Question[0]
		long := strings.Repeat(strings.Repeat("b", 50)+".", (250-len(q.Name))/51) + q.Name
		m := fullReply(query)
		for i := range n {
			m.Answer = append(m.Answer, &dns.MX{Hdr: dns.RR_Header{Name: long, Rrtype: dns.TypeMX, Class: dns.ClassINET, Ttl: 60}, Preference: uint16(i), Mx: long})
		}
		return m
	})
}

// NewSigJam is a name server of a zone with a key that is slow to verify by, and all
// of whose answers are full of signatures that only trying can tell to be false
// (CVE-2023-50387, "SigJam").
func NewSigJam(zone string) (*Hostile, error) {
	header := func(name string, rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 60}
	}
	key := &dns.DNSKEY{Hdr: header(zone, dns.TypeDNSKEY), Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP384SHA384}
	if _, err := key.Generate(384); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	var more []dns.RR
	for i := range 50 {
		more = append(more, jammed(key, &dns.A{Hdr: header(fmt.Sprintf("n%d.%s", i, zone), dns.TypeA), A: net.IPv4(192, 0, 2, 1)})...)
	}
	return NewHostile(func(query *dns.Msg) *dns.Msg {
		m := fullReply(query)
		switch q := query.Question[0]; q.Qtype {
		case dns.TypeDNSKEY:
			m.Answer = jammed(key, key)
			return m
		case dns.TypeNS:
			m.Answer = []dns.RR{&dns.NS{Hdr: header(q.Name, q.Qtype), Ns: zone}}
		case dns.TypeSOA:
			m.Answer = []dns.RR{&dns.SOA{Hdr: header(q.Name, q.Qtype), Ns: zone, Mbox: zone, Serial: 1, Minttl: 60}}
		case dns.TypeA:
			m.Answer = []dns.RR{&dns.A{Hdr: header(q.Name, q.Qtype), A: net.IPv4(192, 0, 2, 1)}}
		}
		m.Ns = more
		return m
	})
}

// jammed is a set of one record with as many false signatures as are checked.
func jammed(key *dns.DNSKEY, rr dns.RR) []dns.RR {
	out := []dns.RR{rr}
	now := time.Now()
	for i := range 8 {
		raw := make([]byte, 96)
		raw[0], raw[47], raw[95] = 1, byte(i), 1
		out = append(out, &dns.RRSIG{
			Hdr:         dns.RR_Header{Name: rr.Header().Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 60},
			TypeCovered: rr.Header().Rrtype, Algorithm: key.Algorithm, Labels: uint8(dns.CountLabel(rr.Header().Name)), OrigTtl: 60, KeyTag: key.KeyTag(), SignerName: key.Hdr.Name,
			Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(24 * time.Hour).Unix()), Signature: base64.StdEncoding.EncodeToString(raw),
		})
	}
	return out
}

func fullReply(query *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	m.Authoritative, m.Compress = true, true
	m.SetEdns0(1232, true)
	return m
}

// Addr is where it listens, "ip:port".
func (h *Hostile) Addr() string { return h.addr }

// Asked is the questions so far, those sent in a NOTIFY too.
func (h *Hostile) Asked() []dns.Question {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]dns.Question(nil), h.asked...)
}

// Close ends it.
func (h *Hostile) Close() error {
	var errs []error
	for _, s := range h.servers {
		errs = append(errs, s.Shutdown())
	}
	return errors.Join(errs...)
}

// ServeDNS answers as it likes.
func (h *Hostile) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	h.mu.Lock()
	h.asked = append(h.asked, query.Question...)
	h.mu.Unlock()
	m := h.answer(query)
	if m == nil {
		return
	}
	if w.LocalAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if opt := query.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		if m.Len() > size {
			m.Answer, m.Ns, m.Truncated = nil, nil, true
		}
	}
	for m.Len() > dns.MaxMsgSize {
		m.Answer = m.Answer[:len(m.Answer)*9/10] // as much as fits
	}
	_ = w.WriteMsg(m) // whoever asked sees it if not
}
