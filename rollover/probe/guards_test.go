package probe

import (
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// The parent is believed in what it says of the DS set, so it is asked where
// nobody off the path can answer in its place: over TCP, and never over UDP. The
// zone's own servers are asked over UDP.
func TestTheParentIsAskedOverTCP(t *testing.T) {
	var packets atomic.Int32
	at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := replyTo(q, rr(t, "zone.example. 100 IN DS 1 13 2 ABCD"))
		if q.Question[0].Qtype == dns.TypeDS && !isTCP(w) {
			packets.Add(1)
			m = replyTo(q, rr(t, "zone.example. 100 IN DS 666 13 2 FF"))
		}
		send(t, w, m)
	})
	got := look(t, at, dsOnly)
	same(t, "version", got.DS, &rollover.DSVersion{Set: []rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: "ABCD"}}, TTL: 100})
	if n := packets.Load(); n > 0 {
		t.Errorf("%d questions for the DS set over UDP", n)
	}
}
