package lab

import (
	"bytes"
	"net"
)

// snap is where a relay is to break: in the connection in which a client says a
// text, some pieces later.
type snap struct {
	text    []byte
	further int
	conn    net.Conn // in which the text was said; nil: not yet
	done    chan struct{}
}

// snapAt has the relay break there, once.
func (r *relay) snapAt(text string, further int) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snap = &snap{text: []byte(text), further: further, done: make(chan struct{})}
	return r.snap.done
}

// pass is told of each piece after it was carried, and breaks all connections
// if this was the one.
func (r *relay) pass(to net.Conn, piece []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.snap
	switch {
	case s == nil:
		return
	case s.conn == nil && bytes.Contains(piece, s.text):
		s.conn = to
	case s.conn == to:
		s.further--
	}
	if s.conn != nil && s.further <= 0 {
		r.hangUp()
		r.snap = nil
		close(s.done)
	}
}
