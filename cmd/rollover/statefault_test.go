//go:build linux && amd64

package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rollover/rollover/lab"
)

// diskFault is an error of the disk under the state file, from one call on: the
// first write of a page or its sync, or those of the meta page, which make a
// transaction count; while the intent is stored, or the result.
type diskFault struct {
	number syscall.Errno
	call   string
	meta   bool
	result bool
}

// String names the fault.
func (f diskFault) String() string {
	return fmt.Sprintf("%v at %s, meta %v, result %v", f.number, f.call, f.meta, f.result)
}

// diskFaults is all of them, in the order in which one step can have them; a
// sync does not say that a disk is full.
func diskFaults() []diskFault {
	var out []diskFault
	for _, result := range []bool{false, true} {
		for _, meta := range []bool{false, true} {
			out = append(out, diskFault{syscall.ENOSPC, "save", meta, result}, diskFault{syscall.EIO, "save", meta, result}, diskFault{syscall.EIO, "sync", meta, result})
		}
	}
	return out
}

// failing is a run whose disk fails.
type failing struct {
	scene
	diskFault
	hit bool
}

func (f *failing) at(e edge) fate {
	f.hear(e)
	before := []string{"after show-zone", "after list-zone"}
	if f.result {
		before = []string{"after notify"}
	}
	synced := f.seen[edge{"sync", true}] > 0
	f.hit = f.hit || e == edge{f.call, false} && slices.Contains(before, f.last) && synced == f.meta
	if f.hit && e == (edge{f.call, false}) {
		return fate{fail: f.number}
	}
	return fate{}
}

// A disk that is full or broken, at every write and sync of the intent and of
// the result, in every step: without a stored intent no key is touched, and
// with it the next advance goes on. No key is made twice.
func TestStateFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	const zone = "disk.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	h.countKeys()
	all := slices.Concat(diskFaults(), diskFaults()) // for two steps
	hits := 0
	h.witnessed([]string{zone}, func() {
		h.must("start", zone, "--type", "zsk")
		h.until("done", []string{zone}, func() {
			for hits < len(all) && h.failsBy(all[hits], zone) {
				hits++
			}
			if hits == len(all) {
				h.advance()
			}
		}, done)
	})
	h.finished(zone)
	h.madeKeys(1)
	if hits < len(all) {
		t.Errorf("the rollover ended without %v", all[hits])
	}
}

// failsBy advances a zone on a disk that fails, and checks what came of it;
// false if nothing was to be stored that it would have hit.
func (h *harness) failsBy(fault diskFault, zone string) bool {
	h.t.Helper()
	before := len(h.commands())
	cmd, _, _ := h.command("advance", zone)
	f := &failing{scene: h.scene(), diskFault: fault}
	o, err := (&tracer{at: f.at}).run(cmd)
	if err != nil {
		h.t.Fatal(err)
	}
	if !f.hit {
		if o.code != 0 {
			h.t.Errorf("advance without a fault: %v", o)
		}
		return false
	}
	says := map[syscall.Errno]string{syscall.ENOSPC: "nothing was changed", syscall.EIO: "whether it was saved is not known"}[fault.number]
	if o.code == 0 || !strings.Contains(o.stderr, "saving the state of "+zone) || !strings.Contains(o.stderr, says) {
		h.t.Errorf("%v: %v", fault, o)
	}
	if did := strings.Join(h.commands()[before:], " "); !fault.result && strings.Contains(did, "-zone-key") {
		h.t.Errorf("%v: without a stored intent it did %s", fault, did)
	}
	if s := h.status(zone); s.WaitingFor == "" || s.Command == "" || s.Blocked != nil {
		h.t.Errorf("%v: status waits for %q, command %q, block %+v", fault, s.WaitingFor, s.Command, s.Blocked)
	}
	return true
}
