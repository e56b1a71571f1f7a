package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/store"
)

// crowd fills a state file with rollovers that wait for something tomorrow.
func crowd(t testing.TB, db *store.DB, n int) {
	t.Helper()
	entries := make([]rollover.Entry, n)
	now := time.Now()
	for i := range entries {
		zone := fmt.Sprintf("zone%06d.example.", i)
		key := rollover.Key{ID: i + 1, Tag: uint16(i), Flags: 257, Algorithm: 13, Bits: 256, Active: true, Published: true, PublicKey: strings.Repeat("A", 88)}
		entries[i].Dossier = rollover.Dossier{Zone: zone, Roll: &rollover.Roll{
			ID: zone, Zone: zone, Type: "csk", Method: "double-ds", Kind: "csk/double-ds", State: rollover.StateActive, Step: "submit", Phase: rollover.PhaseHolding,
			StartedAt: now, StepEnteredAt: now, NextCheck: now.Add(24 * time.Hour), Old: []rollover.Key{key}, New: []rollover.Key{key}, Keys: []rollover.Key{key, key},
			Need: &rollover.Need{Next: "switch", Waits: []string{"settled(DS has new)"}, Actor: rollover.ActorCaches, Remaining: time.Hour},
		}}
	}
	if err := db.Save(entries...); err != nil {
		t.Fatal(err)
	}
}

// A tick with nothing due starts no process, sends no packet, and syncs
// nothing to disk.
func TestIdleTickTouchesNothing(t *testing.T) {
	t.Parallel()
	h := bare(t)
	crowd(t, store.At(h.state()), 1000)
	trace := filepath.Join(t.TempDir(), "trace")
	path, err := exec.LookPath("rollover")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("strace", "-f", "-o", trace, "-e", "trace=execve,fork,vfork,socket,connect,sendto,sendmsg,sendmmsg,fsync,fdatasync,openat",
		path, "advance", "--config", h.config)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("advance with nothing due under strace: %v, %s", err, out)
	}
	raw, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, call := range []string{"socket(", "connect(", "sendto(", "sendmsg(", "sendmmsg(", "fsync(", "fdatasync(", "fork("} {
		if strings.Contains(text, call) {
			t.Errorf("a tick with nothing due calls %s", call)
		}
	}
	if n := strings.Count(text, "execve("); n != 1 {
		t.Errorf("%d execve, expected that of advance alone", n)
	}
	if !strings.Contains(text, "rollover.db") {
		t.Error("the trace does not even show the state file: it proves nothing")
	}
}
