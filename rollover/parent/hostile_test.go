package parent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
	"rollover/rollover/lab"
)

// hostile starts a hostile server of the lab.
func hostile(t *testing.T, h *lab.Hostile, err error) *lab.Hostile {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// victim is a server that nobody has any business with, and its port.
func victim(t *testing.T) (*lab.Hostile, uint16) {
	h, err := lab.NewHostile(func(m *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(m) })
	return hostile(t, h, err), netip.MustParseAddrPort(h.Addr()).Port()
}

// notifier is a driver that believes a resolver, and where it sends NOTIFY.
func notifier(t *testing.T, resolver string) (d *CDS, sent func() []string) {
	var mu sync.Mutex
	var to []string
	ask := eyes(t).Ask
	d = &CDS{Notify: true, Resolvers: []string{resolver}, Proven: trusting(ask, resolver)}
	d.Ask = func(ctx context.Context, server string, m *dns.Msg) (*dns.Msg, error) {
		if m.Opcode == dns.OpcodeNotify {
			mu.Lock()
			to = append(to, server)
			mu.Unlock()
		}
		if !netip.MustParseAddrPort(server).Addr().IsLoopback() {
			return nil, errors.New("not asked: it is not on this machine")
		}
		return ask(ctx, server, m)
	}
	return d, func() []string { return to }
}

// A parent that names an address of this machine, of its network or of nobody has
// no packet sent there, unless the configuration names it.
func TestNotifyGoesToPublicAddressesOnly(t *testing.T) {
	for _, c := range []struct {
		address string
		public  bool
	}{
		{"127.0.0.1", false}, {"127.8.8.8", false}, {"169.254.169.254", false}, {"10.1.2.3", false}, {"172.31.0.1", false}, {"192.168.1.1", false}, {"100.64.0.1", false},
		{"0.0.0.0", false}, {"224.0.0.1", false}, {"255.255.255.255", false}, {"198.18.0.1", false}, {"192.0.2.1", false}, {"203.0.113.1", false},
		{"::", false}, {"::1", false}, {"fe80::1", false}, {"fd00::1", false}, {"ff02::1", false}, {"fec0::1", false}, {"2001:db8::1", false},
		{"64:ff9b::a9fe:a9fe", false}, {"2002:7f00:1::1", false}, {"2001:0:7f00:1::1", false}, {"::7f00:1", false}, {"100::1", false}, {"3fff::1", false},
		{"8.8.8.8", true}, {"172.32.0.1", true}, {"100.128.0.1", true}, {"2001:4860:4860::8888", true}, {"2a01:4f8::1", true},
	} {
		_, port := victim(t)
		h, err := lab.NewCrier(1, net.ParseIP(c.address), port)
		d, sent := notifier(t, hostile(t, h, err).Addr())
		text := d.tell(t.Context(), zone)
		if got := len(sent()) > 0; got != c.public || !c.public && !strings.Contains(text, "is not a public address: cds.private_targets may allow it") {
			t.Errorf("%s: sent to %v, %s", c.address, sent(), text)
		}
	}
	if public(netip.MustParseAddr("::ffff:10.0.0.1")) || public(netip.Addr{}) {
		t.Error("an address in another dress, or none, is public")
	}
	v, port := victim(t)
	h, err := lab.NewCrier(1, net.ParseIP("127.0.0.1"), port)
	d, sent := notifier(t, hostile(t, h, err).Addr())
	d.Private = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	if d.tell(t.Context(), zone); len(sent()) > 0 || len(v.Asked()) > 0 {
		t.Errorf("another address is allowed, and it was sent to %v", sent())
	}
	d.Private = loopback()
	if text := d.tell(t.Context(), zone); !strings.Contains(text, "NOTIFY(CDS) sent to t0.example") || len(v.Asked()) != 1 {
		t.Errorf("where it is allowed: %s", text)
	}
}

// A parent with thousands of DSYNC records, and targets with many addresses, costs
// a few packets.
func TestDSYNCRecordsWithoutNumber(t *testing.T) {
	v, port := victim(t)
	h, err := lab.NewCrier(10_000, net.ParseIP("127.0.0.1"), port)
	d, sent := notifier(t, hostile(t, h, err).Addr())
	d.Private = loopback()
	if text := d.tell(t.Context(), zone); len(sent()) > 0 || !strings.Contains(text, "too much") {
		t.Errorf("with more than is read: sent to %v, %s", sent(), text)
	}
	h, err = lab.NewCrier(400, net.ParseIP("127.0.0.1"), port)
	d, sent = notifier(t, hostile(t, h, err).Addr())
	d.Private = loopback()
	text := d.tell(t.Context(), zone)
	if len(sent()) != maxEndpoints || len(v.Asked()) != maxEndpoints || !strings.Contains(text, "more of its DSYNC records were left out") {
		t.Errorf("%d packets, %d arrived: %s", len(sent()), len(v.Asked()), text)
	}
	crowd, err := lab.NewHostile(func(m *dns.Msg) *dns.Msg {
		reply := new(dns.Msg).SetReply(m)
		for i := range 200 {
			reply.Answer = append(reply.Answer, rr(t, fmt.Sprintf("%s 60 IN A 127.0.3.%d", m.Question[0].Name, i)))
		}
		return reply
	})
	hostile(t, crowd, err)
	d, sent = notifier(t, crowd.Addr())
	d.Private = []netip.Prefix{netip.MustParsePrefix("127.0.3.0/24")}
	if err := d.notify(t.Context(), zone, endpoint{"t0.example.", 1}); err == nil || len(sent()) != maxAddresses {
		t.Errorf("%d packets to one target, %v", len(sent()), err)
	}
}

// What nobody proves is no place to send packets to.
func TestUnprovenDSYNCRecordsAreNotBelieved(t *testing.T) {
	v, port := victim(t)
	h, err := lab.NewCrier(1, net.ParseIP("127.0.0.1"), port)
	resolver := hostile(t, h, err).Addr()
	d, sent := notifier(t, resolver)
	d.Private = loopback()
	if d.tell(t.Context(), zone); len(v.Asked()) != 1 {
		t.Fatal("the attack does not work where it is believed")
	}
	c := eyes(t)
	c.Resolvers, c.Anchors = []string{resolver}, chain.Anchors{"example.": {Keys: []rollover.DNSKEY{newSigner(t).Key.DNSKEY()}}}
	d.Proven = c.Proven
	if text := d.tell(t.Context(), zone); len(sent()) != 1 || !strings.Contains(text, "the parent must poll them: looking for its DSYNC records failed: child._dsync.example. cannot be proven") {
		t.Errorf("sent to %v: %s", sent(), text)
	}
}

// asked is a change whose zone has these servers.
func asked(t *testing.T, by signer, servers ...string) (*CDS, rollover.Change) {
	c := rollover.Change{
		CDS: true, Zone: zone, Keys: []rollover.Key{by.Key}, Digests: []uint8{2}, Keep: []rollover.DS{dsOf(t, by.Key)}, Set: []rollover.DS{dsOf(t, by.Key)},
	}
	for i, s := range servers {
		c.Servers = append(c.Servers, rollover.Server{Role: rollover.RoleChild, Name: fmt.Sprintf("ns%d", i), Address: s})
	}
	return &CDS{
		Ask:     eyes(t).Ask,
		Publish: func(context.Context, string, []uint8, bool) (bool, error) { return true, nil },
	}, c
}

// The servers of a zone are asked side by side: here none answers before all are
// asked.
func TestCDSServersAreAskedSideBySide(t *testing.T) {
	const n = 64
	var all sync.WaitGroup
	all.Add(n)
	var servers []string
	for range n {
		var once sync.Once
		h, err := lab.NewHostile(func(m *dns.Msg) *dns.Msg {
			once.Do(all.Done)
			all.Wait()
			return new(dns.Msg).SetRcode(m, dns.RcodeRefused)
		})
		servers = append(servers, hostile(t, h, err).Addr())
	}
	d, c := asked(t, newSigner(t), servers...)
	patient := eyes(t)
	patient.Timeout = time.Minute
	d.Ask = patient.Ask
	if a := d.Submit(t.Context(), c); a.State != rollover.SubmissionLater || !strings.Contains(a.Text, "it answers REFUSED") {
		t.Errorf("%+v", a)
	}
}

// 64 servers that answer nothing cost the time of the hand-over, and no more.
func TestMuteCDSServersEndWithTheHandOver(t *testing.T) {
	var servers []string
	for range 64 {
		h, err := lab.NewMute()
		servers = append(servers, hostile(t, h, err).Addr())
	}
	d, c := asked(t, newSigner(t), servers...)
	patient := eyes(t)
	patient.Timeout = time.Hour
	d.Ask = patient.Ask
	ctx, stop := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("it was given 100ms"))
	defer stop()
	if a := d.Submit(ctx, c); a.State != rollover.SubmissionLater || !strings.Contains(a.Text, "it was given 100ms") {
		t.Errorf("%+v", a)
	}
	d, c = asked(t, newSigner(t), make([]string, maxServers+1)...)
	if a := d.Submit(t.Context(), c); a.State != rollover.SubmissionLater || !strings.Contains(a.Text, "too much: the zone has 257 servers") {
		t.Errorf("%+v", a)
	}
}

// More records or signatures than any zone has are not looked at.
func TestTooManyCDSRecords(t *testing.T) {
	by := newSigner(t)
	for name, c := range map[string]struct{ records, signatures int }{"records": {maxAnnounced + 1, 1}, "signatures": {1, maxSignatures + 1}} {
		h, err := lab.NewHostile(func(m *dns.Msg) *dns.Msg {
			reply := new(dns.Msg).SetReply(m)
			reply.Authoritative = true
			for i := range c.records {
				reply.Answer = append(reply.Answer, rr(t, fmt.Sprintf("%s 60 IN CDS %d 13 2 %s", zone, i, strings.Repeat("00", 32))))
			}
			for range c.signatures {
				reply.Answer = append(reply.Answer, by.sign(t, reply.Answer[:c.records]))
			}
			return reply
		})
		d, change := asked(t, by, hostile(t, h, err).Addr())
		if a := d.Submit(t.Context(), change); a.State != rollover.SubmissionLater || !strings.Contains(a.Text, "too much: there are") {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// One record that nobody asked for counts more than a server that is behind, and
// that more than one that is mute.
func TestGravestOfAllServers(t *testing.T) {
	failed := served{rollover.Answer{State: rollover.SubmissionFailed, Text: "failed"}, errors.New("x")}
	behind := served{rollover.Answer{State: rollover.SubmissionLater, Text: "behind"}, errors.New("x")}
	deaf := served{rollover.Answer{State: rollover.SubmissionLater, Text: "deaf"}, &deafError{errors.New("x")}}
	for _, c := range []struct {
		all  []served
		want string
	}{{nil, ""}, {[]served{{}, {}}, ""}, {[]served{{}, deaf}, "deaf"}, {[]served{deaf, behind, {}}, "behind"}, {[]served{deaf, behind, failed}, "failed"}} {
		if got := gravest(c.all).answer.Text; got != c.want {
			t.Errorf("%v: %q", c.all, got)
		}
	}
}

// A name server that names others as name servers has nothing written below their
// names; nor has a zone with names without number.
func TestSignalsBelowProvenNamesOnly(t *testing.T) {
	by := newSigner(t)
	h, err := lab.NewNameDropper("ns.victim.example.")
	d, c := asked(t, by, hostile(t, h, err).Addr())
	c.Keep, c.Add = nil, c.Keep
	var calls []string
	d.Signal = func(_ context.Context, name string, _, _ []string) (string, bool, error) {
		calls = append(calls, name)
		return "victim.example.", true, nil
	}
	d.ProvenBy = eyes(t).ProvenBy
	s := d.signal(t.Context(), c)
	if len(calls) > 0 || s.spreading || !strings.Contains(s.text, "the NS records of the zone are not proven: child.example. cannot be proven") {
		t.Errorf("written %q, %+v", calls, s)
	}
	d.ProvenBy = func(context.Context, string, string, []rollover.DNSKEY, uint16) ([]dns.RR, error) {
		var out []dns.RR
		for i := range 1000 {
			out = append(out, rr(t, fmt.Sprintf("%s 60 IN NS ns%d.victim.example.", zone, i)))
		}
		return out, nil
	}
	if d.signal(t.Context(), c); len(calls) != maxHosts {
		t.Errorf("%d names were written", len(calls))
	}
}

// A primary that answers something else, or nothing at all, is asked again later;
// nothing is believed, and nothing waited for beyond the time that it has.
func TestPrimaryThatIsHostile(t *testing.T) {
	parrot, err := lab.NewParrot("other.example.")
	hostile(t, parrot, err)
	mute, err := lab.NewMute()
	hostile(t, mute, err)
	var names int
	deep, err := lab.NewHostile(func(m *dns.Msg) *dns.Msg { names++; return new(dns.Msg).SetReply(m) })
	hostile(t, deep, err)
	add := []rollover.DS{dsOf(t, newSigner(t).Key)}
	for _, c := range []struct {
		server  *lab.Hostile
		zone    string
		timeout time.Duration
		state   rollover.SubmissionState
		says    string
	}{
		{parrot, zone, time.Minute, rollover.SubmissionLater, "what came is not an answer to this question: it is about other.example."},
		{mute, zone, 50 * time.Millisecond, rollover.SubmissionLater, "no answer within 50ms (nsupdate.timeout)"},
		{deep, strings.Repeat("a.", 100) + zone, time.Minute, rollover.SubmissionFailed, "set nsupdate.zone"},
	} {
		n := driver(c.server.Addr())
		n.Timeout = c.timeout
		if a := n.Submit(t.Context(), rollover.Change{Zone: c.zone, Add: add}); a.State != c.state || !strings.Contains(a.Text, c.says) {
			t.Errorf("%+v", a)
		}
	}
	if names != maxAbove {
		t.Errorf("%d names above were asked for", names)
	}
}
