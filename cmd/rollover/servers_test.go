//go:build linux && amd64

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"rollover/rollover/lab"
)

// fault is something around the program that fails for as long as it lasts.
type fault struct {
	zone  string                      // whose next step it hits
	begin func(*harness) (end func()) // nil: none
	says  string                      // a pattern of what status says as long as it lasts; empty: nothing of it
}

// faults are what can fail on a host with PowerDNS, each with what must be said.
func faults(h *harness) []fault {
	primary, secondary := h.lab.ChildServers()[0], h.lab.ChildServers()[1]
	return []fault{
		{"stopped.lab.test.", paused(primary), primary + " timed out"},
		{"asleep.lab.test.", paused(secondary), secondary + " timed out"},
		{"cut.lab.test.", (*harness).cutSecondary, secondary + " timed out"},
		{"missed.lab.test.", whileActing("missed.lab.test.", (*harness).cutSecondary), secondary + " timed out"},
		{"stuck.lab.test.", whileActing("stuck.lab.test.", paused(primary)), "/pdns_control .* purge .* timed out after 2s and was killed: look whether pdns_server hangs"},
		{"socket.lab.test.", (*harness).hideSocket, "Unable to connect to remote"},
		{"locked.lab.test.", (*harness).lockDatabase, "/pdnsutil .* activate-zone-key .* timed out after 2s and was killed: look for a locked or unreachable database"},
		{"garbage.lab.test.", misbehaving("garbage"), "returned 0, but"},
		{"noise.lab.test.", misbehaving("noise"), ""},
	}
}

// Servers that stop, packets that are dropped, before a step and in it, a control socket that is not
// there, a database that somebody else holds, and a pdnsutil that prints
// garbage, with or without having done its work: nothing breaks, no key is made
// twice, status says what it is, and the rollover goes on when it is over.
func TestServersAndToolsThatFail(t *testing.T) {
	t.Parallel()
	var zones []string
	o := lab.Options{DSTTL: 1, Relayed: true}
	for _, name := range []string{"stopped", "asleep", "cut", "missed", "stuck", "socket", "locked", "garbage", "noise"} {
		zones = append(zones, name+".lab.test.")
		o.Zones = append(o.Zones, lab.Zone{Name: name + ".lab.test.", Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1})
	}
	h := newHarness(t, "2s", o)
	h.setTimeout("2s")
	h.countKeys()
	h.witnessed(zones, func() {
		for _, zone := range zones {
			h.must("start", zone, "--type", "zsk")
		}
		for _, f := range faults(h) {
			h.suffers(f)
		}
		h.until("done", zones, func() { h.must(append([]string{"advance"}, zones...)...) }, done)
	})
	for _, zone := range zones {
		h.finished(zone)
	}
	h.madeKeys(len(zones))
}

// suffers advances a zone during a fault until status tells of it, or, where
// nothing is to be told, until the step was taken all the same.
func (h *harness) suffers(f fault) {
	h.t.Helper()
	end := f.begin(h)
	h.await("word of "+f.says+" about "+f.zone, func() bool {
		h.rollover("advance", f.zone)
		s := h.status(f.zone)
		if f.says == "" {
			return s.Step == "switch"
		}
		return regexp.MustCompile(f.says).MatchString(said(s))
	})
	s := h.explained(f.zone)
	h.t.Logf("%s: %s; %s", f.zone, said(s), s.Command)
	end()
}

// setTimeout gives commands of PowerDNS less time.
func (h *harness) setTimeout(timeout string) {
	h.t.Helper()
	raw, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	raw = bytes.Replace(raw, []byte(`timeout = "5s"`), []byte(`timeout = "`+timeout+`"`), 1)
	if err := os.WriteFile(h.config, raw, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// paused is a server that has stopped: what it is asked meanwhile it answers
// later, when nobody waits for that any more.
func paused(addr string) func(*harness) func() {
	return func(h *harness) func() {
		h.t.Helper()
		if err := h.lab.PauseServer(addr); err != nil {
			h.t.Fatal(err)
		}
		return func() {
			if err := h.lab.ResumeServer(addr); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

// cutSecondary loses all packets to and from the children's secondary: of the
// program, of resolvers, NOTIFYs and transfers.
func (h *harness) cutSecondary() (end func()) {
	h.t.Helper()
	cut := func(cut bool) {
		if err := h.lab.CutChild2(context.Background(), cut); err != nil {
			h.t.Fatal(err)
		}
	}
	cut(true)
	return func() { cut(false) }
}

// whileActing begins a fault between the commands that change keys and serial,
// and the purge and the NOTIFY.
func whileActing(zone string, begin func(*harness) func()) func(*harness) func() {
	return func(h *harness) (end func()) {
		h.t.Helper()
		h.await("purge", func() bool {
			cmd, _, _ := h.command("advance", zone)
			s := h.scene()
			at := func(e edge) fate {
				if s.hear(e); end == nil && e == (edge{"run", false}) && s.last == "after increase-serial" {
					end = begin(h)
				}
				return fate{}
			}
			if _, err := (&tracer{at: at}).run(cmd); err != nil {
				h.t.Fatal(err)
			}
			return end != nil
		})
		return end
	}
}

// hideSocket takes away the control socket of the children's primary.
func (h *harness) hideSocket() (end func()) {
	h.t.Helper()
	socket := filepath.Join(h.lab.ChildConfigDir(), "pdns.controlsocket")
	if err := os.Rename(socket, socket+".hidden"); err != nil {
		h.t.Fatal(err)
	}
	return func() {
		if err := os.Rename(socket+".hidden", socket); err != nil {
			h.t.Fatal(err)
		}
	}
}

// misbehaving is a pdnsutil in another mode.
func misbehaving(mode string) func(*harness) func() {
	return func(h *harness) func() {
		h.misbehave(mode)
		return func() { h.misbehave("") }
	}
}
