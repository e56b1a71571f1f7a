package probe

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxInFlight is how many questions one server is asked at once. More gain
	// nothing: the default receive buffer of a server's socket (208 KiB) holds
	// some 200 small packets, and what does not fit is lost until a timeout.
	maxInFlight = 64
	// maxStreams is how many TCP connections one server gets at once, well
	// below the 20 that PowerDNS serves by default (max-tcp-connections).
	maxStreams = 8
	// A server that let so many tries in a row go unanswered is not asked for
	// a while: otherwise one dead server that many zones share would make each
	// of them wait in turn.
	maxUnanswered = 32
	quietPeriod   = 30 * time.Second
	// packetSize is more than any server may send to our EDNS buffer size.
	packetSize = 4096
)

// line is one connected UDP socket to one server, shared by all questions to it.
type line struct {
	conn    net.Conn
	slots   chan struct{} // one for every question in flight
	streams chan struct{} // one for every TCP connection
	stopped chan struct{} // closed when nothing reads any more

	mu         sync.Mutex
	waiting    map[uint16]*waiter // by message id
	unanswered int                // tries since the last answer
	quietUntil time.Time
	ended      error // why nothing reads from the socket any more
}

// waiter is one try that waits for its answer.
type waiter struct {
	query *dns.Msg
	done  chan outcome // holds one
	stray error        // guarded by line.mu; the last answer with this id that did not fit
}

type outcome struct {
	answer *dns.Msg
	err    error
}

// line is the open socket to a server; it opens one when there is none.
func (c *Client) line(ctx context.Context, to netip.AddrPort) (*line, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.lines[to]; l != nil && l.open() {
		return l, nil
	}
	conn, err := c.dialContext(ctx, "udp", to)
	if err != nil {
		return nil, dialFault(to, err)
	}
	l := &line{
		conn: conn, waiting: map[uint16]*waiter{}, stopped: make(chan struct{}),
		slots: make(chan struct{}, maxInFlight), streams: make(chan struct{}, maxStreams),
	}
	if c.lines == nil {
		c.lines = map[netip.AddrPort]*line{}
	}
	c.lines[to] = l
	go l.read()
	return l, nil
}

// dialFault tells a machine without IPv6 from other failures to open a
// socket. Only what the own kernel says at that moment counts: an ICMP message
// that arrives later may come from anyone.
func dialFault(to netip.AddrPort, err error) error {
	noRoute := errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
	switch {
	case noRoute && to.Addr().Is6():
		return errNoRoute
	case errors.Is(err, syscall.ECONNREFUSED):
		return errRefused
	}
	return fmt.Errorf("no socket: %w", err)
}

func (l *line) open() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended == nil
}

// close fails all that wait, closes the socket, and waits for the reader.
func (l *line) close() error {
	l.end(errClosed)
	err := l.conn.Close()
	<-l.stopped
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// read hands packets to those who wait for them until the socket is closed.
// ICMP errors arrive here too; on a connected socket they can only mean this
// one server, so they fail all tries under way, but not the socket.
func (l *line) read() {
	defer close(l.stopped)
	defer l.conn.Close()
	buffer := make([]byte, packetSize)
	for {
		n, err := l.conn.Read(buffer)
		switch {
		case err == nil:
			l.deliver(buffer[:n])
		case errors.Is(err, syscall.ECONNREFUSED):
			l.fail(errRefused)
		case errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH):
			l.fail(errUnreachable)
		default:
			l.end(fmt.Errorf("reading from the socket: %w", err))
			return
		}
	}
}

// deliver gives a packet to the try that waits for its id. One that does not
// fit the question is dropped, and waiting goes on: it may be forged, and the
// true answer still be on its way.
func (l *line) deliver(packet []byte) {
	if len(packet) < 2 {
		return
	}
	id := binary.BigEndian.Uint16(packet)
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.waiting[id]
	if w == nil {
		return
	}
	answer, err := parse(packet, w.query)
	if err != nil {
		w.stray = err
		return
	}
	l.unanswered, l.quietUntil = 0, time.Time{}
	delete(l.waiting, id)
	w.done <- outcome{answer: answer}
}

// fail ends all tries under way.
func (l *line) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, w := range l.waiting {
		delete(l.waiting, id)
		w.done <- outcome{err: err}
	}
}

func (l *line) end(err error) {
	l.mu.Lock()
	if l.ended == nil {
		l.ended = err
	}
	l.mu.Unlock()
	l.fail(err)
}

// exchange is one try: it sends the query under a fresh id and waits for the
// answer to it.
func (l *line) exchange(ctx context.Context, query *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	w, err := l.register(query)
	if err != nil {
		return nil, err
	}
	defer l.forget(w)
	packet, err := w.query.Pack()
	if err != nil {
		return nil, fmt.Errorf("packing the question: %w", err)
	}
	if _, err := l.conn.Write(packet); err != nil {
		return nil, l.writeFault(err)
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case out := <-w.done:
		return out.answer, out.err
	case <-timer.C:
		return nil, l.timedOut(w)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// writeFault: a write may report what ICMP said of an earlier packet, and then
// has sent nothing. The reader will not hear of it any more, so those who wait
// are told here.
func (l *line) writeFault(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		l.fail(errRefused)
		return errRefused
	}
	return fmt.Errorf("sending: %w", err)
}

// register takes a random id that no other question in flight has. With at
// most maxInFlight of 65536 taken, the search ends.
func (l *line) register(query *dns.Msg) (*waiter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return nil, l.ended
	}
	id := randomID()
	for l.waiting[id] != nil {
		id = randomID()
	}
	w := &waiter{query: query.Copy(), done: make(chan outcome, 1)}
	w.query.Id = id
	l.waiting[id] = w
	return w, nil
}

// forget frees the id, unless it was freed before and is another's by now.
func (l *line) forget(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[w.query.Id] == w {
		delete(l.waiting, w.query.Id)
	}
}

func (l *line) timedOut(w *waiter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unanswered++
	if l.unanswered >= maxUnanswered {
		l.quietUntil = time.Now().Add(quietPeriod)
	}
	if w.stray != nil {
		return fmt.Errorf("%w; ignored an answer that did not fit: %w", errTimedOut, w.stray)
	}
	return errTimedOut
}

// quiet says whether the server is given a rest.
func (l *line) quiet() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.quietUntil)
}

// take waits for a free place in a semaphore.
func take(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// randomID is unpredictable, as a guard against forged answers (RFC 5452 section 9.2).
func randomID() uint16 {
	var b [2]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return binary.BigEndian.Uint16(b[:])
}
