package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

// shelf is a server of many zones whose answers were made and signed before,
// so that it costs as little as a server can.
type shelf struct {
	answers map[string]*dns.Msg // by name and type
	absent  map[string]*dns.Msg // by zone: for every name that does not exist
	bare    map[string]*dns.Msg // by zone: for every type that its apex does not have
	asked   [2]atomic.Int64     // over UDP, over TCP
	addr    string
}

func key(name string, rrtype uint16) string { return name + " " + dns.Type(rrtype).String() }

func (s *shelf) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	over := 0
	if w.LocalAddr().Network() == "tcp" {
		over = 1
	}
	s.asked[over].Add(1)
	q := query.Question[0]
	found := s.answers[key(q.Name, q.Qtype)]
	for zone := q.Name; found == nil && zone != ""; {
		if found = s.bare[zone]; zone != q.Name {
			found = s.absent[zone]
		}
		_, zone, _ = strings.Cut(zone, ".")
	}
	if found == nil {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(query, dns.RcodeRefused))
		return
	}
	m := *found
	m.Id, m.Question = query.Id, query.Question
	_ = w.WriteMsg(&m) // who asked sees what is missing
}

// newShelf is n zones below bench., on a free port of loopback.
func newShelf(b *testing.B, n int, sepKeys func(anchor string)) (*shelf, []string) {
	b.Helper()
	s := &shelf{answers: map[string]*dns.Msg{}, absent: map[string]*dns.Msg{}, bare: map[string]*dns.Msg{}}
	parent := chaintest.NewZone(b, "bench.")
	var zones []string
	for i := range n {
		child := chaintest.NewZone(b, fmt.Sprintf("z%d.bench.", i))
		parent.Add(child.Key.ToDS(dns.SHA256))
		for _, rrtype := range []uint16{dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeA, dns.TypeMX, dns.TypeTXT} {
			s.answers[key(child.Name, rrtype)] = child.Answer(child.Name, rrtype)
		}
		s.bare[child.Name] = child.Answer(child.Name, dns.TypeNULL)
		s.absent[child.Name] = child.Answer("absent."+child.Name, dns.TypeA)
		zones = append(zones, child.Name)
	}
	for _, zone := range zones {
		s.answers[key(zone, dns.TypeDS)] = parent.Answer(zone, dns.TypeDS)
	}
	s.answers[key("bench.", dns.TypeDNSKEY)] = parent.Answer("bench.", dns.TypeDNSKEY)
	sepKeys(parent.Key.DNSKEY.String())
	s.serve(b)
	return s, zones
}

func (s *shelf) serve(b *testing.B) {
	b.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	s.addr = tcp.Addr().String()
	for _, server := range []*dns.Server{{Listener: tcp, Handler: s}, {PacketConn: udp, Handler: s}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }() // ends with Shutdown
		<-started
		b.Cleanup(func() { _ = server.Shutdown() })
	}
}

// check over 1,000 zones, against the same number of questions asked by a plain
// client: the cost of a zone is near that of its questions.
func BenchmarkCheck(b *testing.B) {
	const n = 1000
	dir := b.TempDir()
	anchors := filepath.Join(dir, "anchors")
	s, zones := newShelf(b, n, func(anchor string) {
		if err := os.WriteFile(anchors, []byte(anchor+"\n"), 0o600); err != nil {
			b.Fatal(err)
		}
	})
	config := filepath.Join(dir, "rollover.toml")
	text := fmt.Sprintf("state = %q\n[dns]\nresolvers = [%q]\nvalidators = []\ntrust_anchors = %q\n[[zone]]\nname = \"*.bench\"\nservers = [%q]\nservers_only = true\nparent_servers = [%q]\n",
		filepath.Join(dir, "state", "rollover.db"), s.addr, anchors, s.addr, s.addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	m := &mouth{}
	for b.Loop() {
		w, err := m.openFile(config, "")
		if err != nil {
			b.Fatal(err)
		}
		w.probe.Now = func() rollover.Instant { return rollover.Instant{Wall: chaintest.Now()} } // when all was signed
		s.asked[0].Store(0)
		s.asked[1].Store(0)
		begin := time.Now()
		checkups := w.checkAll(b.Context(), zones, rollover.Limits{Pending: day, Stuck: day}) // they expire in an hour
		whole := time.Since(begin)
		w.close()
		for _, c := range checkups {
			if c.Severity != rollover.SeverityOK {
				b.Fatalf("%s: %+v", c.Zone, c.Findings)
			}
		}
		udp, tcp := s.asked[0].Load(), s.asked[1].Load()
		alone := s.plain(b, udp, "udp") + s.plain(b, tcp, "tcp")
		b.ReportMetric(float64(whole)/float64(alone), "x-questions-alone")
		b.ReportMetric(float64(udp+tcp)/n, "questions/zone")
		b.ReportMetric(float64(whole.Microseconds())/n, "us/zone")
	}
}

// plain asks a number of questions with the library's client alone, as many
// side by side as check does.
func (s *shelf) plain(b *testing.B, count int64, network string) time.Duration {
	b.Helper()
	begin := time.Now()
	var left atomic.Int64
	left.Store(count)
	var wg sync.WaitGroup
	for range looksAtOnce {
		wg.Go(func() {
			client := dns.Client{Net: network, Timeout: 5 * time.Second, UDPSize: 1232}
			query := new(dns.Msg).SetQuestion("z0.bench.", dns.TypeDNSKEY)
			query.SetEdns0(1232, true)
			for left.Add(-1) >= 0 {
				if _, _, err := client.ExchangeContext(b.Context(), query, s.addr); err != nil {
					b.Errorf("asking: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}
