package probe

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
	"rollover/rollover/chain/chaintest"
	"rollover/rollover/lab"
)

// registry is a parent with DSYNC records, seen through a resolver that may
// change what it passes on, and a client that trusts the parent's key.
func registry(t *testing.T, change func(m *dns.Msg)) *Client {
	z := chaintest.NewZone(t, "example.", "alias._dsync.example. 60 IN CNAME child._dsync.example.", "child.example. 60 IN NS ns.child.example.")
	z.Add(lab.DSYNC("child._dsync.example.", "listener.example.", 5300))
	for range 300 {
		z.Add(lab.DSYNC("many._dsync.example.", strings.Repeat("x", len(z.Records)%50+1)+".example.", uint16(len(z.Records))))
	}
	at := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		m := z.Answer(query.Question[0].Name, query.Question[0].Qtype)
		m.Id = query.Id
		change(m)
		if !isTCP(w) && m.Len() > ednsSize {
			m.Answer, m.Ns, m.Truncated = nil, nil, true
		}
		send(t, w, m)
	})
	c := newClient(t)
	c.Resolvers, c.Anchors = []string{at.String()}, chain.Anchors{"example.": {Keys: []rollover.DNSKEY{z.Key.Ours()}}}
	return c
}

// What a driver is to rely on is proven from an anchor down, or it is an error;
// that there is nothing is proven too.
func TestProven(t *testing.T) {
	as := func(m *dns.Msg) {}
	bare := func(m *dns.Msg) {
		if m.Question[0].Qtype == lab.TypeDSYNC {
			m.Answer = m.Answer[:len(m.Answer)-1]
		}
	}
	forged := func(m *dns.Msg) {
		if m.Question[0].Qtype == lab.TypeDSYNC && len(m.Answer) > 0 {
			m.Answer[0] = lab.DSYNC(m.Question[0].Name, "ns1.internal.example.", 6379)
		}
	}
	denied := func(m *dns.Msg) {
		if m.Question[0].Qtype == lab.TypeDSYNC {
			m.Answer, m.Rcode = nil, dns.RcodeNameError
		}
	}
	for _, c := range []struct {
		name   string
		asks   string
		change func(*dns.Msg)
		finds  int
		says   string
	}{
		{"as it is", "child._dsync.example.", as, 1, ""},
		{"there is none", "other._dsync.example.", as, 0, ""},
		{"without signature", "child._dsync.example.", bare, 0, "does not validate"},
		{"another target", "child._dsync.example.", forged, 0, "does not validate"},
		{"denied without proof", "child._dsync.example.", denied, 0, "does not validate"},
		{"an alias", "alias._dsync.example.", as, 0, "is an alias"},
		{"too many", "many._dsync.example.", as, 0, "too much"},
		{"in a zone without keys", "a._dsync.child.example.", as, 0, "cannot be proven"},
		{"below no anchor", "child._dsync.test.", as, 0, "no trust anchor"},
	} {
		records, zone, err := registry(t, c.change).Proven(t.Context(), c.asks, lab.TypeDSYNC)
		if len(records) != c.finds || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %d records, %v", c.name, len(records), err)
		}
		if err == nil && zone != "example." {
			t.Errorf("%s: in the zone %q", c.name, zone)
		}
	}
}

// What a zone has is proven by its own keys before its parent has a DS; what a
// name server makes up, and what others have signed, is not.
func TestProvenBy(t *testing.T) {
	z, stranger := newZone(t), newKey(t, zone, 257, dns.ECDSAP256SHA256, 256)
	dropper, err := lab.NewNameDropper("ns.victim.example.")
	if err != nil {
		t.Fatal(err)
	}
	defer dropper.Close()
	theirs := newZone(t)
	theirs.change = func(q dns.Question, m *dns.Msg) {
		if q.Qtype == dns.TypeDNSKEY {
			m.Answer = z.respond(new(dns.Msg).SetQuestion(zone, dns.TypeDNSKEY)).Answer
		}
	}
	for _, c := range []struct {
		name   string
		server string
		key    keypair
		says   string
	}{
		{"its own", z.serve(t).String(), z.ksk, ""},
		{"of other keys", z.serve(t).String(), stranger, "cannot be proven"},
		{"made up", dropper.Addr(), z.ksk, "cannot be proven"},
		{"the right keys, and a set that another has signed", theirs.serve(t).String(), z.ksk, "does not validate"},
	} {
		records, err := newClient(t).ProvenBy(t.Context(), c.server, zone, []rollover.DNSKEY{c.key.Ours()}, dns.TypeNS)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || err == nil && len(records) != 1 {
			t.Errorf("%s: %v, %v", c.name, records, err)
		}
	}
}

// A driver's question has the guards of any other: what does not answer it is not
// heard, what is cut short comes over TCP, and each has a port of its own.
func TestAsk(t *testing.T) {
	parrot, err := lab.NewParrot("other.example.")
	if err != nil {
		t.Fatal(err)
	}
	defer parrot.Close()
	var mu sync.Mutex
	ports, ids := map[string]bool{}, map[uint16]bool{}
	at := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if !isTCP(w) {
			ports[w.RemoteAddr().String()], ids[query.Id] = true, true
		}
		m := new(dns.Msg).SetReply(query)
		m.Truncated = query.Question[0].Qtype == dns.TypeTXT && !isTCP(w)
		if !m.Truncated {
			m.Answer = []dns.RR{rr(t, query.Question[0].Name+" 60 IN TXT there")}
		}
		send(t, w, m)
	})
	c := newClient(t)
	notify := new(dns.Msg).SetNotify(zone)
	for range 4 {
		if m, err := c.Ask(t.Context(), at.String(), notify); err != nil || m.Opcode != dns.OpcodeNotify {
			t.Fatalf("NOTIFY: %v, %v", m, err)
		}
	}
	mu.Lock()
	if len(ports) < 3 || len(ids) < 2 {
		t.Errorf("4 questions came from %d ports with %d ids", len(ports), len(ids))
	}
	mu.Unlock()
	if m, err := c.Ask(t.Context(), at.String(), new(dns.Msg).SetQuestion(zone, dns.TypeTXT)); err != nil || len(m.Answer) != 1 {
		t.Errorf("over TCP: %v, %v", m, err)
	}
	c.Timeout = 50 * time.Millisecond
	if m, err := c.Ask(t.Context(), parrot.Addr(), new(dns.Msg).SetQuestion(zone, dns.TypeTXT)); !errors.Is(err, errTimedOut) {
		t.Errorf("of the parrot: %v, %v", m, err)
	}
	over, stop := context.WithCancelCause(t.Context())
	stop(errors.New("time is up"))
	if _, err := c.Ask(over, at.String(), notify); err == nil || !strings.Contains(err.Error(), "time is up") {
		t.Errorf("after the end: %v", err)
	}
}

// A server that is asked with a signature may say no more than others.
func TestASignedAnswerWithTooManyRecords(t *testing.T) {
	for records, fits := range map[int]bool{maxRecords - 1: true, maxRecords + 1: false} { // and the OPT record
		at := babbler(t, records)
		_, err := newClient(t).AskSigned(t.Context(), at.String(), direct(zone, dns.TypeNS), nil)
		if fits != (err == nil) || !fits && !errors.Is(err, errTooMuch) {
			t.Errorf("%d records: %v", records, err)
		}
	}
}
