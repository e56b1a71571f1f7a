package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// cutting answers over TCP alone.
func cutting(t *testing.T, overTCP func(w dns.ResponseWriter, q *dns.Msg)) netip.AddrPort {
	return serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		if isTCP(w) {
			overTCP(w, q)
			return
		}
		m := replyTo(q)
		m.Truncated = true
		send(t, w, m)
	})
}

// Places are given back: more questions than there are places for, one after the
// other, are all answered, each connection is closed, and their ids cannot be guessed.
func TestPlacesOfStreamsAreGivenBack(t *testing.T) {
	var mu sync.Mutex
	ids := map[uint16]bool{}
	at := cutting(t, func(w dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		ids[q.Id] = true
		mu.Unlock()
		send(t, w, replyTo(q))
	})
	c := newClient(t)
	there := c.dial
	open := 0
	c.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := there(ctx, network, address)
		if network == "tcp" && err == nil {
			open++
			conn = &counted{conn, &open}
		}
		return conn, err
	}
	for range maxStreams + 1 {
		if _, err := askOnce(t, c, at); err != nil {
			t.Fatal(err)
		}
		if _, err := c.stream(t.Context(), at, direct(zone, dns.TypeDS)); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if open != 0 || len(ids) < maxStreams {
		t.Errorf("%d connections are open, and there were %d ids", open, len(ids))
	}
}

// counted is a connection that counts down when it is closed.
type counted struct {
	net.Conn
	open *int
}

func (c *counted) Close() error {
	*c.open--
	return c.Conn.Close()
}

// Who waits for a place when the look ends has none, and gives none back.
func TestWaitingForAPlaceEndsWithTheLook(t *testing.T) {
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	at := cutting(t, func(w dns.ResponseWriter, q *dns.Msg) { send(t, w, replyTo(q)) })
	c := newClient(t)
	l, err := c.line(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	for range maxStreams {
		l.streams <- struct{}{}
	}
	if _, err := c.stream(ended, at, direct(zone, dns.TypeDS)); !errors.Is(err, errStop) || len(l.streams) != maxStreams {
		t.Errorf("%v, %d streams", err, len(l.streams))
	}
	ctx, stop := context.WithCancelCause(t.Context())
	at = serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := replyTo(q)
		m.Truncated = true
		send(t, w, m)
	})
	full, err := c.line(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	for range maxStreams {
		full.streams <- struct{}{}
	}
	result := make(chan error)
	go func() {
		_, err := askOnceIn(ctx, c, at)
		result <- err
	}()
	eventually(t, "the question to have its place", func() error {
		if len(full.slots) == 0 {
			return errors.New("no question")
		}
		return nil
	})
	stop(errStop)
	if err := <-result; !errors.Is(err, errStop) || len(full.streams) != maxStreams {
		t.Errorf("%v, %d streams", err, len(full.streams))
	}
	for range maxInFlight {
		l.slots <- struct{}{}
	}
	if _, err := c.exchange(ended, cuttingAt(l), direct(zone, dns.TypeDS)); !errors.Is(err, errStop) || len(l.slots) != maxInFlight {
		t.Errorf("%v, %d in flight", err, len(l.slots))
	}
}

func askOnceIn(ctx context.Context, c *Client, at netip.AddrPort) (*dns.Msg, error) {
	return c.exchange(ctx, at, direct("www.zone.example.", dns.TypeA))
}

func cuttingAt(l *line) netip.AddrPort { return netip.MustParseAddrPort(l.conn.RemoteAddr().String()) }

// A stream that breaks is tried once more.
func TestAStreamIsTriedTwice(t *testing.T) {
	var mu sync.Mutex
	tried := 0
	at := cutting(t, func(w dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if tried++; tried == 1 {
			w.Close()
			return
		}
		send(t, w, replyTo(q))
	})
	if _, err := newClient(t).stream(t.Context(), at, direct(zone, dns.TypeDS)); err != nil {
		t.Error(err)
	}
}

// A server that cannot be reached over TCP, or not at all, is told as that.
func TestStreamsThatCannotBeOpened(t *testing.T) {
	at := cutting(t, func(dns.ResponseWriter, *dns.Msg) {})
	for network, expect := range map[string]string{"tcp": "over TCP: no luck", "udp": "no socket: no luck"} {
		c := newClient(t)
		there := c.dial
		c.dial = func(ctx context.Context, with, address string) (net.Conn, error) {
			if with == network {
				return nil, errors.New("no luck")
			}
			return there(ctx, with, address)
		}
		_, err := c.stream(t.Context(), at, direct(zone, dns.TypeDS))
		_, same := askOnce(t, c, at)
		if err == nil || err.Error() != expect || same == nil || same.Error() != expect {
			t.Errorf("expected %q, got %v and %v", expect, err, same)
		}
	}
}

// A server that holds a connection and says nothing does not hold a look that has
// ended.
func TestCancelWhileAConnectionIsHeld(t *testing.T) {
	packets, stream := listen(t)
	defer packets.Close()
	defer stream.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	held := make(chan net.Conn, 1)
	go func() {
		conn, err := stream.Accept()
		if err == nil {
			held <- conn
		}
		cancel(errStop)
	}()
	c := newClient(t)
	c.Timeout = time.Hour
	if _, err := c.stream(ctx, netip.MustParseAddrPort(packets.LocalAddr().String()), direct(zone, dns.TypeDS)); !errors.Is(err, errStop) {
		t.Errorf("expected the cause, got %v", err)
	}
	if err := (<-held).Close(); err != nil {
		t.Error(err)
	}
}
