package lab

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// relay stands before a server and carries what others send it, and its
// answers, so that this can end at an instant. PowerDNS alone offers no such
// instant: a check that was queued by an earlier NOTIFY still goes to the old
// place a second later. The server sees whom it really talks to: the relay
// speaks from the address of its client.
type relay struct {
	target string // ip:port of the server behind it
	stale  string // who answers in its place while the relay is held

	tcp net.Listener
	udp net.PacketConn

	mu      sync.Mutex
	held    bool
	cut     chan struct{} // while all is dropped; closed when that ends
	open    map[net.Conn]bool
	snap    *snap // where to break; nil: nowhere
	refused int   // attempts while held
	dropped int   // datagrams, connections and pieces of them while cut off
}

// errCut says that there is no way through a relay.
var errCut = errors.New("the relay is cut off")

// newTransferRelay stands before a primary, for its secondary: at the primary's
// own address, from where the secondary expects NOTIFYs, on another port.
func newTransferRelay(primary, secondary string) (*relay, error) {
	host, _, err := net.SplitHostPort(primary)
	if err != nil {
		return nil, fmt.Errorf("making a relay: %w", err)
	}
	tcp, udp, err := listenBoth(host)
	if err != nil {
		return nil, fmt.Errorf("making a relay for %s: %w", primary, err)
	}
	return newRelay(tcp, udp, primary, secondary), nil
}

// newFrontRelay stands at the address of a server that itself listens elsewhere.
func newFrontRelay(addr, target string) (*relay, error) {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("making a relay at %s: %w", addr, err)
	}
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a relay at %s: %w", addr, err), tcp.Close())
	}
	return newRelay(tcp, udp, target, target), nil
}

func newRelay(tcp net.Listener, udp net.PacketConn, target, stale string) *relay {
	r := &relay{target: target, stale: stale, tcp: tcp, udp: udp, open: make(map[net.Conn]bool)}
	go r.relayTCP()
	go r.relayUDP()
	return r
}

func (r *relay) addr() string { return r.tcp.Addr().String() }

func (r *relay) close() error {
	if r == nil {
		return nil
	}
	r.drop(false)
	r.hold(true)
	return errors.Join(r.tcp.Close(), r.udp.Close())
}

// hold refuses connections from now on, and ends those that there are; or
// lets them be again.
func (r *relay) hold(held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = held
	r.hangUp()
}

// drop loses all that arrives from now on, from either side, without a word to
// anybody: datagrams, and what is said in connections. One that is made
// meanwhile is taken by our kernel, and nothing is ever said in it. When that
// ends, connections that it has hit are closed, since octets are missing in them.
func (r *relay) drop(all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case all && r.cut == nil:
		r.cut = make(chan struct{})
	case !all:
		if r.cut != nil {
			close(r.cut)
		}
		r.cut = nil
		r.hangUp()
	}
}

func (r *relay) hangUp() {
	for conn := range r.open {
		conn.Close()
	}
}

// lost is to be asked for whatever arrives: nil if it goes through, else it is
// lost, and the channel is closed when the relay carries again.
func (r *relay) lost() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut != nil {
		r.dropped++
	}
	return r.cut
}

// admit registers a connection to the server, from the address of a client.
// While the relay is held there is none, except that questions for the serial
// are answered by the secondary itself, which so finds that it is up to date:
// one that waits in vain for an answer does nothing else for seconds, and would
// be late after the release.
func (r *relay) admit(client net.Addr) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	target := r.target
	switch {
	case r.cut != nil:
		return nil, errCut
	case r.held:
		r.refused++
		if client.Network() == "tcp" {
			return nil, errors.New("the relay is held")
		}
		target = r.stale
	}
	dialer := net.Dialer{Timeout: answerTime, LocalAddr: portless(client)} // loopback: immediate
	conn, err := dialer.Dial(client.Network(), target)
	if err == nil {
		r.open[conn] = true
	}
	return conn, err
}

// portless is an address with any port.
func portless(addr net.Addr) net.Addr {
	switch a := addr.(type) {
	case *net.UDPAddr:
		return &net.UDPAddr{IP: a.IP}
	case *net.TCPAddr:
		return &net.TCPAddr{IP: a.IP}
	}
	return nil
}

func (r *relay) enter(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[conn] = true
}

func (r *relay) leave(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, conn)
	conn.Close()
}

func (r *relay) relayTCP() {
	for {
		client, err := r.tcp.Accept()
		if err != nil {
			return // closed
		}
		go r.serveTCP(client)
	}
}

// serveTCP copies until either side has enough: a secondary hangs up when it
// has the last record.
func (r *relay) serveTCP(client net.Conn) {
	r.enter(client)
	defer r.leave(client)
	if ended := r.lost(); ended != nil {
		<-ended
		return
	}
	server, err := r.admit(client.RemoteAddr())
	if err != nil {
		return
	}
	defer r.leave(server)
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			r.carry(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
}

// carry copies one way of a connection. That one side hangs up is not carried
// either while the relay is cut off.
func (r *relay) carry(to, from net.Conn) {
	buffer := make([]byte, 65535)
	for {
		n, err := from.Read(buffer)
		if ended := r.lost(); ended != nil {
			<-ended
			return
		}
		if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
			return
		}
		r.pass(to, buffer[:n])
	}
}

func (r *relay) relayUDP() {
	for {
		packet := make([]byte, 65535)
		n, client, err := r.udp.ReadFrom(packet)
		if err != nil {
			return // closed
		}
		if r.lost() == nil {
			go r.serveUDP(client, packet[:n])
		}
	}
}

// serveUDP carries one question and its answer. What fails is lost, as UDP
// may be.
func (r *relay) serveUDP(client net.Addr, packet []byte) {
	conn, err := r.admit(client)
	if err != nil {
		return
	}
	defer r.leave(conn)
	if err := conn.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return
	}
	if _, err := conn.Write(packet); err != nil {
		return
	}
	answer := make([]byte, 65535)
	n, err := conn.Read(answer)
	if err != nil || r.lost() != nil {
		return
	}
	_, _ = r.udp.WriteTo(answer[:n], client) // lost, if it cannot be sent
}
