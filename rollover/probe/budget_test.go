package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// babbler answers every question over TCP with so many records of long names; over
// UDP it says that this is needed.
func babbler(t *testing.T, records int) netip.AddrPort {
	t.Helper()
	long := strings.Repeat(strings.Repeat("a", 60)+".", 3) + zone
	return serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		m := replyTo(query)
		if !isTCP(w) {
			m.Truncated = true
			send(t, w, m)
			return
		}
		for n := range records {
			m.Answer = append(m.Answer, rr(t, fmt.Sprintf("%s %d IN NS %s", long, n, long)))
		}
		m.Compress = true
		send(t, w, m)
	})
}

// An answer with more records than any has is not read: it says so at once.
func TestTooManyRecords(t *testing.T) {
	c := newClient(t)
	_, err := c.exchange(t.Context(), babbler(t, maxRecords+1), direct(zone, dns.TypeNS))
	if !errors.Is(err, errTooMuch) || !strings.Contains(err.Error(), "514 records") /* and the OPT record */ {
		t.Errorf("%v", err)
	}
	if _, err := c.exchange(t.Context(), babbler(t, maxRecords-1), direct(zone, dns.TypeNS)); err != nil { // and the OPT record
		t.Errorf("as many as may be: %v", err)
	}
}

// What all servers of a look say together is bounded; each answer beyond is "too
// much", and a look later there is room again.
func TestAllAnswersOfALook(t *testing.T) {
	c := newClient(t)
	at := babbler(t, 500)
	ask := func(n int) (failed int) {
		ctx, end := c.withAllowance(t.Context())
		defer end()
		for range n {
			if _, err := c.exchange(ctx, at, direct(zone, dns.TypeNS)); errors.Is(err, errTooMuch) {
				failed++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		return failed
	}
	const octets = 500 * (193 + 10 + 193)
	fit := maxKept / octets
	if failed := ask(fit + 5); failed < 4 || failed > 6 {
		t.Errorf("%d of %d answers were too much", failed, fit+5)
	}
	if failed := ask(1); failed != 0 {
		t.Error("no room in the next look")
	}
}

// A look comes to its end in its time, whatever its servers do; who has not answered
// is unknown, and why is told.
func TestALookHasADeadline(t *testing.T) {
	c := newClient(t)
	c.LookTimeout = 300 * time.Millisecond
	c.Timeout = time.Minute
	silent := serve(t, func(dns.ResponseWriter, *dns.Msg) {})
	s, err := c.Look(t.Context(), rollover.Question{
		Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY}, Servers: []string{silent.String()}, ServersOnly: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Servers) != 1 || !strings.Contains(s.Servers[0].Unknown, "the time for one look was over (300ms)") {
		t.Errorf("%+v", s.Servers)
	}
}

// Name servers that name others are followed a stated number of times.
func TestNameServersAreFollowedToANumber(t *testing.T) {
	c := newClient(t)
	var asked atomic.Int32
	chain := func(w dns.ResponseWriter, query *dns.Msg) {
		q := query.Question[0]
		switch {
		case q.Qtype == dns.TypeNS:
			n := asked.Add(1)
			send(t, w, replyTo(query, rr(t, fmt.Sprintf("%s 60 IN NS ns%d.%s", zone, n, zone))))
		case q.Qtype == dns.TypeA && strings.HasPrefix(q.Name, "ns"):
			var n int
			fmt.Sscanf(q.Name, "ns%d.", &n)
			send(t, w, replyTo(query, rr(t, fmt.Sprintf("%s 60 IN A 127.0.0.%d", q.Name, n+1))))
		default:
			send(t, w, replyTo(query))
		}
	}
	at := serve(t, chain)
	c.Resolvers = []string{at.String()}
	c.Port = int(at.Port())
	c.dial = everywhere(t, at)
	_, err := c.Look(t.Context(), rollover.Question{
		Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY}, Servers: []string{at.String()},
		Known: []rollover.Server{{Role: rollover.RoleChild, Name: "known", Address: at.String()}},
	})
	if !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), "4 times they were followed") {
		t.Errorf("%v", err)
	}
	if n := asked.Load(); n > 12 {
		t.Errorf("%d questions for name servers", n)
	}
}

// everywhere leads every address to one server.
func everywhere(t *testing.T, at netip.AddrPort) dialFunc {
	inner := loopback(t)
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return inner(ctx, network, at.String())
	}
}

// Few looks keep much at the same time; one that waits for its place keeps nobody from
// the servers that it has asked, gets it when another look ends, and ends with its
// context.
func TestFewLooksKeepMuch(t *testing.T) {
	c := newClient(t)
	at := babbler(t, 500)
	usual, ends := usuallyKept/(500*396)+1, []func(){}
	large := func(ctx context.Context) error {
		ctx, end := c.withAllowance(ctx)
		ends = append(ends, end)
		for range usual {
			if _, err := c.exchange(ctx, at, direct(zone, dns.TypeNS)); err != nil {
				return err
			}
		}
		return nil
	}
	for range maxLarge {
		if err := large(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	over, stop := context.WithCancelCause(t.Context())
	stop(errors.New("over"))
	late, endLate := c.withAllowance(over)
	if err := allowanceOf(late).spend(late, usuallyKept); err != nil {
		t.Errorf("as much as usual: %v", err)
	}
	if err := allowanceOf(late).spend(late, 1); err == nil || err.Error() != "over" {
		t.Errorf("more than usual: %v", err)
	}
	endLate()
	waiting := make(chan error)
	go func() {
		ctx, end := c.withAllowance(t.Context())
		err := allowanceOf(ctx).spend(ctx, usuallyKept+1)
		end()
		waiting <- err
	}()
	ctx, end := c.withAllowance(t.Context())
	for range maxStreams {
		if _, err := c.exchange(ctx, at, direct(zone, dns.TypeNS)); err != nil && len(c.large) == maxLarge && !errors.Is(err, errTooMuch) {
			t.Errorf("asked by another: %v", err)
		}
		end()
		ctx, end = c.withAllowance(t.Context())
	}
	end()
	select {
	case err := <-waiting:
		t.Errorf("it did not wait: %v", err)
	default:
	}
	ends[0]()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	for _, end := range ends[1:] {
		end()
	}
	same(t, "places taken at the end", len(c.large), 0)
}

// Names that are pointers count over UDP too.
func TestWhatHasGrownCountsOverUDP(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 60)+".", 3) + zone
	at := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		m := replyTo(query)
		for n := range 20 {
			m.Answer = append(m.Answer, rr(t, fmt.Sprintf("%s %d IN NS %s", long, n, long)))
		}
		m.Compress = true
		send(t, w, m)
	})
	c := newClient(t)
	ctx, end := c.withAllowance(t.Context())
	defer end()
	if _, err := c.exchange(ctx, at, direct(zone, dns.TypeNS)); err != nil {
		t.Fatal(err)
	}
	if got := allowanceOf(ctx).kept; got < 20*390 {
		t.Errorf("%d octets counted", got)
	}
	if _, err := c.exchange(ctx, serve(t, func(w dns.ResponseWriter, query *dns.Msg) { send(t, w, replyTo(query)) }), direct(zone, dns.TypeNS)); err != nil || allowanceOf(ctx).kept > 30*400 {
		t.Errorf("a small one: %v, %d octets", err, allowanceOf(ctx).kept)
	}
}
