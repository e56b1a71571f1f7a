package main

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollover/rollover/lab"
)

// A pdnsutil that waits for its database outlives the advance that started it,
// when that is killed with SIGKILL. As long as it may still act, no other
// advance does anything: it would not see the key that is about to be made,
// and make another.
func TestPdnsutilThatOutlivesAKill(t *testing.T) {
	t.Parallel()
	const zone = "orphan.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	h.countKeys()
	h.gate()
	h.witnessed([]string{zone}, func() {
		h.misbehave("wait")
		h.orphan("start", zone, "--type", "zsk")
		if o := h.must("advance", zone); !strings.Contains(o.stderr, "still runs") {
			t.Errorf("advance beside a pdnsutil of an advance that was killed: %v", o)
		}
		if s := h.status(zone); !strings.Contains(s.WaitingFor, "under way") || s.Command == "" {
			t.Errorf("status does not tell of the step under way: %q, %q", s.WaitingFor, s.Command)
		}
		h.misbehave("")
		h.release()
		h.until("done", []string{zone}, h.advance, done)
	})
	h.finished(zone)
	h.madeKeys(1)
}

// orphan runs the program and kills it as soon as its pdnsutil, told to wait,
// has been started to make a key.
func (h *harness) orphan(args ...string) {
	h.t.Helper()
	cmd, stdout, stderr := h.command(args...)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.await("a pdnsutil that makes a key", func() bool {
		raw, err := os.ReadFile(h.log)
		return err == nil && strings.Contains(string(raw), "add-zone-key")
	})
	if err := cmd.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		h.t.Fatalf("it was not killed: %s%s", stdout, stderr)
	}
}

// gate makes the gate at which a pdnsutil waits in mode wait. It is opened at
// the end of the test at the latest, for nobody else would end who waits there.
func (h *harness) gate() {
	h.t.Helper()
	if err := syscall.Mkfifo(h.mode+".gate", 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(h.release)
}

// release lets the pdnsutil that waits go on.
func (h *harness) release() {
	h.t.Helper()
	gate, err := os.OpenFile(h.mode+".gate", os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) {
		return // nobody waits
	}
	if err != nil {
		h.t.Fatal(err)
	}
	if err := gate.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// await looks again and again until something holds.
func (h *harness) await(what string, holds func() bool) {
	h.t.Helper()
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-pace.C {
		if time.Now().After(deadline) {
			h.t.Fatalf("no %s within %s", what, patience)
		}
	}
}
