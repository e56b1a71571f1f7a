package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// askOnce sends one question for the A record of www to a server.
func askOnce(t *testing.T, c *Client, at netip.AddrPort) (*dns.Msg, error) {
	t.Helper()
	return c.exchange(t.Context(), at, direct("www.zone.example.", dns.TypeA))
}

func TestWhatIsSent(t *testing.T) {
	seen := make(chan *dns.Msg, 1)
	at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		seen <- q.Copy()
		send(t, w, replyTo(q))
	})
	if _, err := askOnce(t, newClient(t), at); err != nil {
		t.Fatal(err)
	}
	got := <-seen
	opt := got.IsEdns0()
	if got.RecursionDesired || opt == nil || !opt.Do() || opt.UDPSize() != 1232 {
		t.Errorf("question to an authoritative server: expected RD=0, DO=1, EDNS 1232, got %v", got)
	}
}

// A packet that does not fit the question is ignored, and waiting goes on.
func TestStrayAnswersAreIgnored(t *testing.T) {
	cases := map[string]func(m *dns.Msg){
		"another id":             func(m *dns.Msg) { m.Id++ },
		"another name":           func(m *dns.Msg) { m.Question[0].Name = "evil.example." },
		"another type":           func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT },
		"another class":          func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
		"no question":            func(m *dns.Msg) { m.Question = nil },
		"no question, NXDOMAIN":  func(m *dns.Msg) { m.Question, m.Rcode = nil, dns.RcodeNameError },
		"another name, REFUSED":  func(m *dns.Msg) { m.Question[0].Name, m.Rcode = "evil.example.", dns.RcodeRefused },
		"two questions":          func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
		"a query, not an answer": func(m *dns.Msg) { m.Response = false },
		"another opcode":         func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
				bad := replyTo(q, rr(t, "www.zone.example. 1 IN A 192.0.2.66"))
				bad.Question = append([]dns.Question(nil), bad.Question...)
				spoil(bad)
				send(t, w, bad)
				send(t, w, replyTo(q, rr(t, "WWW.Zone.example. 1 IN A 192.0.2.1")))
			})
			m, err := askOnce(t, newClient(t), at)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Answer[0].String(); got != "www.zone.example.\t1\tIN\tA\t192.0.2.1" {
				t.Errorf("took %q", got)
			}
		})
	}
}

// The library takes a message that is shorter than its header says.
func TestMalformedAnswersAreIgnored(t *testing.T) {
	cases := map[string]func(packet []byte) []byte{
		"cut in a record":             func(p []byte) []byte { return p[:len(p)-13] },
		"counts a record too many":    func(p []byte) []byte { p[7]++; return p },
		"one octet":                   func(p []byte) []byte { return p[:1] },
		"header alone, without error": func(p []byte) []byte { return p[:12] },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
				good := replyTo(q, rr(t, "www.zone.example. 1 IN A 192.0.2.1"))
				packet, err := good.Pack()
				if err != nil {
					t.Error(err)
				}
				if _, err := w.Write(spoil(packet)); err != nil {
					t.Error(err)
				}
				send(t, w, good)
			})
			m, err := askOnce(t, newClient(t), at)
			if err != nil || len(m.Answer) != 1 || m.IsEdns0() == nil {
				t.Errorf("expected the whole answer, got %v, %v", m, err)
			}
		})
	}
}

func TestOnlyStrayAnswersTimeOutAndSayWhy(t *testing.T) {
	at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		bad := replyTo(q)
		bad.Question = []dns.Question{{Name: "bad\001name.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET}}
		send(t, w, bad)
	})
	c := newClient(t)
	c.Timeout = 50 * time.Millisecond
	_, err := askOnce(t, c, at)
	if !errors.Is(err, errTimedOut) || !strings.Contains(fmt.Sprint(err), `it is about bad\001name.example. A`) {
		t.Errorf("expected a timeout that names the stray answer, escaped, got %v", err)
	}
}

func TestTries(t *testing.T) {
	for answersFrom, expected := range map[int]error{1: nil, 2: nil, 3: errTimedOut} {
		var mu sync.Mutex
		ids := map[uint16]bool{}
		seen := 0
		at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
			mu.Lock()
			seen++
			ids[q.Id] = true
			answer := seen >= answersFrom
			mu.Unlock()
			if answer {
				send(t, w, replyTo(q))
			}
		})
		c := newClient(t)
		if answersFrom > 1 {
			c.Timeout = 50 * time.Millisecond
		}
		_, err := askOnce(t, c, at)
		mu.Lock()
		if !errors.Is(err, expected) || seen != min(answersFrom, tries) {
			t.Errorf("answers from packet %d on: expected %v after %d packets, got %v after %d", answersFrom, expected, min(answersFrom, tries), err, seen)
		}
		mu.Unlock()
	}
}

func TestTruncatedAnswersAreAskedForOverTCP(t *testing.T) {
	at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := replyTo(q)
		if !isTCP(w) {
			m.Truncated = true
			send(t, w, m)
			return
		}
		stray := m.Copy()
		stray.Id++
		send(t, w, stray)
		for i := range 200 {
			m.Answer = append(m.Answer, rr(t, fmt.Sprintf("www.zone.example. 1 IN A 192.0.2.%d", i)))
		}
		send(t, w, m)
	})
	m, err := askOnce(t, newClient(t), at)
	if err != nil || len(m.Answer) != 200 {
		t.Errorf("expected 200 records, got %v, %v", m, err)
	}
}

// Some servers cut a truncated answer in the middle of a record.
func TestTruncatedInTheMiddleOfARecord(t *testing.T) {
	at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := replyTo(q, rr(t, "www.zone.example. 1 IN A 192.0.2.1"))
		if isTCP(w) {
			send(t, w, m)
			return
		}
		m.Truncated = true
		packet, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		if _, err := w.Write(packet[:len(packet)-13]); err != nil {
			t.Error(err)
		}
	})
	if m, err := askOnce(t, newClient(t), at); err != nil || len(m.Answer) != 1 {
		t.Errorf("expected the answer over TCP, got %v, %v", m, err)
	}
}

func TestFailuresOverTCP(t *testing.T) {
	cases := map[string]struct {
		answer func(w dns.ResponseWriter, q *dns.Msg)
		expect string
	}{
		"truncated":      {func(w dns.ResponseWriter, q *dns.Msg) { m := replyTo(q); m.Truncated = true; send(t, w, m) }, "truncated even over TCP"},
		"says nothing":   {func(dns.ResponseWriter, *dns.Msg) {}, "timed out over TCP"},
		"closes at once": {func(w dns.ResponseWriter, _ *dns.Msg) { w.Close() }, "over TCP: EOF"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
				if isTCP(w) {
					tc.answer(w, q)
					return
				}
				m := replyTo(q)
				m.Truncated = true
				send(t, w, m)
			})
			c := newClient(t)
			c.Timeout = 300 * time.Millisecond
			if _, err := askOnce(t, c, at); err == nil || err.Error() != tc.expect {
				t.Errorf("expected %q, got %v", tc.expect, err)
			}
		})
	}
}

// What a server says in words comes out quoted, and short.
func TestErrorAnswers(t *testing.T) {
	cases := map[string]struct {
		change func(m *dns.Msg)
		expect string
	}{
		"REFUSED":         {func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, "REFUSED"},
		"SERVFAIL":        {func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, "SERVFAIL"},
		"unknown RCODE":   {func(m *dns.Msg) { m.Rcode = 3000 }, "RCODE 3000"},
		"FORMERR":         {func(m *dns.Msg) { m.Rcode = dns.RcodeFormatError; m.Question, m.Extra = nil, nil }, "does not understand EDNS: FORMERR"},
		"NOTIMP":          {func(m *dns.Msg) { m.Rcode = dns.RcodeNotImplemented }, "does not understand EDNS: NOTIMP"},
		"no OPT":          {func(m *dns.Msg) { m.Extra = nil }, "does not understand EDNS: the answer has no OPT record, so signatures may be missing from it"},
		"no AA":           {func(m *dns.Msg) { m.Authoritative = false }, "lame: answers without authority"},
		"NXDOMAIN":        {func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }, "NXDOMAIN: does not know the zone"},
		"nothing at all":  {func(m *dns.Msg) { m.Answer = nil }, "the answer has neither records nor an SOA"},
		"parent's NODATA": {func(m *dns.Msg) { m.Answer, m.Ns = nil, rrs(t, "example. 1 IN SOA a. b. 1 2 3 4 5") }, "answers from the zone example."},
		"extended error": {func(m *dns.Msg) {
			m.Rcode = dns.RcodeServerFailure
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 6, ExtraText: "\x1b[2Jsee " + strings.Repeat("x", 300)}}
		}, `SERVFAIL (extended error 6, DNSSEC Bogus: "\x1b[2Jsee ` + strings.Repeat("x", 112) + `")`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			z := newZone(t)
			z.change = func(_ dns.Question, m *dns.Msg) { tc.change(m) }
			got := look(t, z.serve(t), rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY}})
			if got.Unknown != tc.expect || got.DNSKEY != nil {
				t.Errorf("expected unknown %q, got %q, %v", tc.expect, got.Unknown, got.DNSKEY)
			}
		})
	}
}

func TestHeaderAlone(t *testing.T) {
	at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := replyTo(q)
		m.Rcode = dns.RcodeRefused
		packet, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		if _, err := w.Write(packet[:12]); err != nil {
			t.Error(err)
		}
	})
	m, err := askOnce(t, newClient(t), at)
	if err != nil || m.Rcode != dns.RcodeRefused {
		t.Errorf("expected REFUSED, got %v, %v", m, err)
	}
}

func TestConnectionRefused(t *testing.T) {
	packets, stream := listen(t)
	at := netip.MustParseAddrPort(packets.LocalAddr().String())
	packets.Close()
	stream.Close()
	started := time.Now()
	got := look(t, at, rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}})
	if got.Unknown != "connection refused" || got.Unchecked != "" {
		t.Errorf("expected connection refused, got %+v", got)
	}
	if took := time.Since(started); took > 4*time.Second {
		t.Errorf("took %s: a refusal must not be waited out", took)
	}
}

func TestNoIPv6Route(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT} {
		c := newClient(t)
		c.dial = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "udp", Err: errno}
		}
		got := lookWith(t, c, netip.MustParseAddrPort("[2001:db8::1]:53"), rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY}})
		if got.Unchecked != "no IPv6 route from here" || got.Unknown != "" {
			t.Errorf("%v for an IPv6 address: expected unchecked, got %+v", errno, got)
		}
		got = lookWith(t, c, netip.MustParseAddrPort("192.0.2.1:53"), rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY}})
		if got.Unchecked != "" || !strings.HasPrefix(got.Unknown, "no socket: ") {
			t.Errorf("%v for an IPv4 address: expected unknown, got %+v", errno, got)
		}
	}
}

var errStop = errors.New("enough of it")

func TestCancel(t *testing.T) {
	cases := map[string]func(w dns.ResponseWriter, q *dns.Msg){
		"while waiting for UDP": func(dns.ResponseWriter, *dns.Msg) {},
		"while reading TCP": func(w dns.ResponseWriter, q *dns.Msg) {
			if !isTCP(w) {
				m := replyTo(q)
				m.Truncated = true
				send(t, w, m)
			}
		},
	}
	for name, answer := range cases {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			c.Timeout = time.Minute
			ctx, cancel := context.WithCancelCause(t.Context())
			at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
				answer(w, q)
				if isTCP(w) || name == "while waiting for UDP" {
					cancel(errStop)
				}
			})
			started := time.Now()
			_, err := c.Look(ctx, rollover.Question{
				Zone: zone, Servers: []string{at.String()}, ServersOnly: true, Records: []rollover.Record{rollover.RecordDNSKEY},
			})
			if !errors.Is(err, errStop) {
				t.Errorf("expected the cause, got %v", err)
			}
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("took %s to return", took)
			}
		})
	}
}

func TestCancelWhileWaitingForAPlace(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	if err := take(ctx, make(chan struct{})); !errors.Is(err, errStop) {
		t.Errorf("expected the cause, got %v", err)
	}
}

// The server answers only when 64 questions are there, and then one for each
// that comes: were it more than 64 at a time, or an id twice, it would see it.
func TestNoMoreThan64InFlight(t *testing.T) {
	const questions = 200
	var mu sync.Mutex
	var most, answered int
	waiting := map[uint16]func(){}
	at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if waiting[q.Id] != nil {
			t.Errorf("id %d is in flight twice", q.Id)
		}
		waiting[q.Id] = func() { send(t, w, replyTo(q)) }
		most = max(most, len(waiting))
		for id, answer := range waiting {
			if len(waiting)+answered < questions && len(waiting) < maxInFlight {
				return
			}
			delete(waiting, id)
			answered++
			answer()
		}
	})
	c := newClient(t)
	c.Timeout = 20 * time.Second
	names := make([]string, questions)
	for i := range names {
		names[i] = fmt.Sprintf("n%d.zone.example.", i)
	}
	got := each(names, func(name string) error {
		m, err := c.exchange(t.Context(), at, direct(name, dns.TypeA))
		if err == nil && m.Question[0].Name != name {
			err = fmt.Errorf("%s got the answer for %s", name, m.Question[0].Name)
		}
		return err
	})
	if err := errors.Join(got...); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if most != maxInFlight || len(c.lines) != 1 {
		t.Errorf("expected %d questions in flight on 1 socket, got %d on %d", maxInFlight, most, len(c.lines))
	}
}

func TestADeadServerIsGivenARest(t *testing.T) {
	var mu sync.Mutex
	packets := 0
	at := serve(t, func(dns.ResponseWriter, *dns.Msg) {
		mu.Lock()
		packets++
		mu.Unlock()
	})
	c := newClient(t)
	c.Timeout = 20 * time.Millisecond
	var err error
	for range maxUnanswered {
		if _, err = askOnce(t, c, at); !errors.Is(err, errTimedOut) {
			t.Fatalf("expected a timeout, got %v", err)
		}
	}
	if expected := "timed out: did not answer the last 32 packets"; err.Error() != expected {
		t.Errorf("expected %q, got %q", expected, err)
	}
	mu.Lock()
	if packets != maxUnanswered {
		t.Errorf("expected %d packets, got %d", maxUnanswered, packets)
	}
	mu.Unlock()
}

func TestCloseEndsQuestionsAndTheClientGoesOn(t *testing.T) {
	var mu sync.Mutex
	silent := true
	asked := make(chan struct{}, 2)
	at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if silent {
			asked <- struct{}{}
			return
		}
		send(t, w, replyTo(q))
	})
	c := newClient(t)
	c.Timeout = time.Minute
	result := make(chan error)
	go func() {
		_, err := askOnce(t, c, at)
		result <- err
	}()
	<-asked
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, errClosed) {
		t.Errorf("expected %v, got %v", errClosed, err)
	}
	mu.Lock()
	silent = false
	mu.Unlock()
	if _, err := askOnce(t, c, at); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestNoGoroutineAndNoSocketStays(t *testing.T) {
	z := newZone(t)
	at := z.serve(t)
	before := runtime.NumGoroutine()
	c := &Client{dial: loopback(t)}
	for range 3 {
		lookWith(t, c, at, rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}})
	}
	if len(c.lines) != 1 {
		t.Errorf("expected one socket, got %d", len(c.lines))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	settle(t, before)
}

func TestDefaults(t *testing.T) {
	c := &Client{}
	if c.port() != 53 || c.timeout() != 5*time.Second {
		t.Errorf("port %d, timeout %s", c.port(), c.timeout())
	}
	if c.Timeout = time.Second; c.timeout() != time.Second {
		t.Errorf("timeout %s", c.timeout())
	}
	if i := c.now(); i.Wall.IsZero() || i.BootID != "" {
		t.Errorf("now %+v", i)
	}
}
