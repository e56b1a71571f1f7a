package main

import (
	"encoding/hex"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// registry is a parent that follows CDS records, with BIND's dnssec-cds. It
// looks when it is told to by NOTIFY(CDS), and now and then by itself.
type registry struct {
	h      *harness
	script string
	server *dns.Server

	mu   sync.Mutex
	told map[string]int
}

// follow is what such a parent does: fetch the records of the child, check them
// against the DS set, and make an update of what comes out. PowerDNS' signatures
// are up to two weeks old, which dnssec-cds must be told (-s).
const follow = `#!/bin/sh
set -e
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
dig @"$CHILD_IP" -p "$PORT" +noall +answer +dnssec +tcp "$ZONE" DNSKEY "$ZONE" CDNSKEY "$ZONE" CDS >child
dig @127.0.0.1 -p "$PORT" +noall +answer +tcp "$ZONE" DS >dsset
grep -q CDS child || exit 0
dnssec-cds -u -T 2 -s -2592000 -f child -d dsset "$ZONE" >update
[ -s update ] || exit 0
{ echo "server 127.0.0.1 $PORT"; echo zone lab.test; cat update; } | nsupdate -k "$KEY"
`

func newRegistry(t *testing.T) (*registry, []string) {
	t.Helper()
	r := &registry{told: map[string]int{}}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.server = &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(r.notified)}
	go func() { _ = r.server.ActivateAndServe() }() // ends with Shutdown
	t.Cleanup(func() {
		if err := r.server.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	target := make([]byte, 64)
	n, err := dns.PackDomainName("registry.lab.test.", target, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	port := socket.LocalAddr().(*net.UDPAddr).Port
	data := append([]byte{0, byte(dns.TypeCDS), 1, byte(port >> 8), byte(port)}, target[:n]...)
	return r, []string{
		fmt.Sprintf(`*._dsync.lab.test. TYPE66 \# %d %s`, len(data), hex.EncodeToString(data)),
		"registry.lab.test. A 127.0.0.1",
	}
}

// notified takes a NOTIFY(CDS).
func (r *registry) notified(w dns.ResponseWriter, m *dns.Msg) {
	answer := new(dns.Msg).SetReply(m)
	if m.Opcode != dns.OpcodeNotify || len(m.Question) != 1 || m.Question[0].Qtype != dns.TypeCDS {
		answer.Rcode = dns.RcodeRefused
	} else {
		r.mu.Lock()
		r.told[m.Question[0].Name]++
		r.mu.Unlock()
	}
	_ = w.WriteMsg(answer) // the sender sees it if not
}

// follows looks at the CDS of a zone and updates its DS set.
func (r *registry) follows(zone string) {
	r.h.t.Helper()
	host, port, err := net.SplitHostPort(r.h.lab.ChildServers()[0])
	if err != nil {
		r.h.t.Fatal(err)
	}
	cmd := exec.Command(r.script)
	cmd.Env = append(cmd.Environ(), "CHILD_IP="+host, "PORT="+port, "ZONE="+strings.TrimSuffix(zone, "."), "KEY="+r.h.lab.UpdateKeyFile())
	if out, err := cmd.CombinedOutput(); err != nil {
		r.h.t.Errorf("following the CDS of %s: %v\n%s", zone, err, out)
	}
}

// due says whether a zone was told of since the last time, and forgets it.
func (r *registry) due(zone string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.told[zone]
	r.told[zone] = 0
	return n > 0
}

// A parent that follows CDS: told by NOTIFY(CDS) for one zone, by polling all
// the time for the other. The old DS leaves only after the old key.
func TestCDSDriver(t *testing.T) {
	t.Parallel()
	needsBIND(t)
	r, extra := newRegistry(t)
	o, types := pair()
	o.BIND, o.Extra = true, extra
	h := newHarness(t, "2s", o)
	r.h, r.script = h, h.write("follow", follow, 0o700)
	h.configure("[ds]\ndriver = \"cds\"\ncds.private_targets = [\"127.0.0.1\"]\n")
	all := names(types)
	h.witnessed(all, func() {
		h.start(types)
		h.until("done", all, func() {
			h.advance()
			if r.due("ksk.lab.test.") {
				r.follows("ksk.lab.test.")
			}
			r.follows("csk.lab.test.")
		}, done)
	})
	h.told("ksk.lab.test.", "NOTIFY(CDS) sent to registry.lab.test", "remove old, then ask parent for DS of new only", "NOTIFY(CDS) sent to registry.lab.test", "rollover done")
	for _, zone := range all {
		h.finished(zone)
		h.told(zone, "ask parent for DS of old and new", "remove old, then ask parent for DS of new only", "rollover done")
		if s := h.status(zone); !strings.HasSuffix(s.Method, "-cds") {
			t.Errorf("%s was rolled by %s", zone, s.Method)
		}
	}
	cancelledByCDS(t, h, r)
}

// cancelledByCDS takes a rollover back when the parent has both DS records: it
// drops the new one after the new key is gone.
func cancelledByCDS(t *testing.T, h *harness, r *registry) {
	t.Helper()
	zone := []string{"ksk.lab.test."}
	advance := func() {
		h.advance()
		r.follows(zone[0])
	}
	h.witnessed(zone, func() {
		h.must("start", zone[0], "--type", "ksk", "--method", "double-signature")
		h.until("at the parent", zone, advance, func(s rollover.Status) bool {
			set, err := h.lab.DS(t.Context(), zone[0])
			return err == nil && len(set) == 2
		})
		h.must("cancel", zone[0], "--reason", "changed my mind")
		h.until("cancelled", zone, advance, func(s rollover.Status) bool { return s.State == rollover.StateCancelled })
	})
	set, err := h.lab.DS(t.Context(), zone[0])
	if old := h.status(zone[0]).OldKeys[0]; err != nil || len(set) != 1 || !strings.HasPrefix(set[0], fmt.Sprint(old.Tag, " ")) {
		t.Errorf("after the way back the parent has %q, %v", set, err)
	}
}
