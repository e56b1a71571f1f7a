package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// relay stands between a primary and its secondary, so that transfers can be
// cut off at an instant. PowerDNS alone offers no such instant: a check that
// was queued by an earlier NOTIFY still goes to the old place a second later.
type relay struct {
	primary, secondary string // ip:port

	tcp net.Listener
	udp net.PacketConn

	mu      sync.Mutex
	held    bool
	open    map[net.Conn]bool
	refused int // attempts while held
}

// newRelay listens at the primary's own address, from where the secondary
// expects NOTIFYs, on another port.
func newRelay(primary, secondary string) (*relay, error) {
	host, _, err := net.SplitHostPort(primary)
	if err != nil {
		return nil, fmt.Errorf("making a relay: %w", err)
	}
	r := &relay{primary: primary, secondary: secondary, open: make(map[net.Conn]bool)}
	for range 100 { // the port that TCP gives may be taken for UDP
		if r.tcp, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			break
		}
		if r.udp, err = net.ListenPacket("udp", r.addr()); err == nil {
			go r.relayTCP()
			go r.relayUDP()
			return r, nil
		}
		r.tcp.Close()
	}
	return nil, fmt.Errorf("making a relay for %s: %w", primary, err)
}

func (r *relay) addr() string { return r.tcp.Addr().String() }

func (r *relay) close() error {
	r.hold(true)
	return errors.Join(r.tcp.Close(), r.udp.Close())
}

// hold cuts the relay off, with everything that is under way, or joins it.
func (r *relay) hold(held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = held
	for conn := range r.open {
		conn.Close()
	}
}

// admit registers a connection to the primary. While the relay is held there
// is none, except that questions for the serial are answered by the secondary
// itself, which so finds that it is up to date: one that waits in vain for an
// answer does nothing else for seconds, and would be late after the release.
func (r *relay) admit(network string) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	target := r.primary
	if r.held {
		r.refused++
		if network == "tcp" {
			return nil, errors.New("the relay is held")
		}
		target = r.secondary
	}
	conn, err := net.DialTimeout(network, target, answerTime) // loopback: immediate
	if err == nil {
		r.open[conn] = true
	}
	return conn, err
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
	defer client.Close()
	primary, err := r.admit("tcp")
	if err != nil {
		return
	}
	defer r.leave(primary)
	done := make(chan error, 2)
	for _, way := range [][2]net.Conn{{client, primary}, {primary, client}} {
		go func() {
			_, err := io.Copy(way[0], way[1])
			done <- err
		}()
	}
	<-done
}

func (r *relay) relayUDP() {
	for {
		packet := make([]byte, 65535)
		n, client, err := r.udp.ReadFrom(packet)
		if err != nil {
			return // closed
		}
		go r.serveUDP(client, packet[:n])
	}
}

// serveUDP carries one question and its answer. What fails is lost, as UDP
// may be.
func (r *relay) serveUDP(client net.Addr, packet []byte) {
	conn, err := r.admit("udp")
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
	if err != nil {
		return
	}
	_, _ = r.udp.WriteTo(answer[:n], client) // lost, if it cannot be sent
}
