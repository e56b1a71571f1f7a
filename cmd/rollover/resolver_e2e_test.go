package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover/lab"
)

// A resolver that is dead, or that gives no signatures, is no fault of the parent:
// start and check name the resolver and the setting.
func TestResolverAtFault(t *testing.T) {
	t.Parallel()
	const zone = "resolver.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	anchors := filepath.Join(t.TempDir(), "anchors")
	if err := os.WriteFile(anchors, []byte(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.set("trust_anchors", strconv.Quote(anchors)) // so that there is a chain above the parent
	for what, resolver := range map[string]string{"dead": deadResolver(t), "without signatures": stripping(t, false)} {
		h.set("resolvers", tomlList([]string{resolver}))
		all, _ := checkups(t, h.config, zone)
		for place, text := range map[string]string{"start": h.rollover("start", zone, "--type", "ksk").stderr, "check": fmt.Sprint(all[zone].Findings)} {
			t.Logf("%s, %s: %s", what, place, text)
			if !strings.Contains(text, resolver) || !strings.Contains(text, "`resolvers` in the configuration") || strings.Contains(text, "exclude-server") {
				t.Errorf("%s, %s: %s", what, place, text)
			}
		}
	}
}

// set changes one line of the configuration.
func (h *harness) set(name, value string) {
	h.t.Helper()
	raw, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, name+" = ") {
			lines[i] = name + " = " + value
		}
	}
	if err := os.WriteFile(h.config, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// deadResolver is an address where nobody answers.
func deadResolver(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.LocalAddr().String()
}

// stripping is a resolver that has taken all signatures out of what it says, or
// forges them.
func stripping(t *testing.T, forges bool) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	key := "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeDNSKEY {
			rr, err := dns.NewRR(q.Question[0].Name + " 60 IN DNSKEY " + key)
			if err != nil {
				t.Error(err)
			}
			m.Answer = append(m.Answer, rr)
			if forges {
				m.Answer = append(m.Answer, forgedSignature(t, q.Question[0].Name))
			}
		}
		_ = w.WriteMsg(m) // it may have gone away
	})}
	ready := make(chan struct{})
	server.NotifyStartedFunc = func() { close(ready) }
	go func() { _ = server.ActivateAndServe() }() // ends with the shutdown
	<-ready
	t.Cleanup(func() { _ = server.Shutdown() })
	return conn.LocalAddr().String()
}
