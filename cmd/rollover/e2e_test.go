package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// The end-to-end tests: the real program, real PowerDNS servers with
// secondaries over signed AXFR, a real validator. Each asserts on the wire that
// no combination of cacheable versions was ever invalid.

// three is a zone for each type; TTLs are unequal, so that a wait on the wrong
// record would show.
func three() (lab.Options, map[string]string) {
	o := lab.Options{DSTTL: 3, Zones: []lab.Zone{
		{Name: "zsk.lab.test.", Layout: lab.Split, TTL: 4, Minimum: 2, SOATTL: 3},
		{Name: "ksk.lab.test.", Layout: lab.Split, TTL: 1, Minimum: 4, SOATTL: 2},
		{Name: "csk.lab.test.", Layout: lab.CSK, TTL: 3, Minimum: 2, SOATTL: 2},
	}}
	return o, map[string]string{"zsk.lab.test.": "zsk", "ksk.lab.test.": "ksk", "csk.lab.test.": "csk"}
}

func names(types map[string]string) []string {
	var out []string
	for zone := range types {
		out = append(out, zone)
	}
	slices.Sort(out)
	return out
}

func (h *harness) start(types map[string]string) {
	h.t.Helper()
	for _, zone := range names(types) {
		h.must("start", zone, "--type", types[zone])
	}
}

// Whole rolls by advance calls alone, at the least margins.
func TestRollsEndToEnd(t *testing.T) {
	t.Parallel()
	o, types := three()
	h := newHarness(t, "2s", o)
	h.witnessed(names(types), func() {
		h.start(types)
		h.until("done", names(types), h.advance, done)
	})
	for _, zone := range names(types) {
		h.finished(zone)
	}
	if o := h.must("advance"); o.stdout+o.stderr != "" {
		t.Errorf("advance with nothing to do says %v", o)
	}
	countZSK(t, h)
}

// countZSK checks what a whole ZSK roll costs: 11 calls (read, act, read back),
// a list-zone at start, one before old stops signing and one before it is removed, one serial bump before the first key and one per step; a waiting zone's tick costs none.
func countZSK(t *testing.T, h *harness) {
	t.Helper()
	counts := map[string]int{}
	for _, call := range h.calls("zsk.lab.test.") {
		counts[strings.Join(strings.Fields(call)[:2], " ")]++
	}
	want := map[string]int{
		"pdnsutil show-zone": 7, "pdnsutil add-zone-key": 1, "pdnsutil activate-zone-key": 1, "pdnsutil deactivate-zone-key": 1, "pdnsutil remove-zone-key": 1,
		"pdnsutil list-zone": 3, "pdnsutil increase-serial": 4, "pdns_control purge": 3, "pdns_control notify": 3,
	}
	for call, n := range want {
		if counts[call] != n {
			t.Errorf("%s: %d calls, expected %d", call, counts[call], n)
		}
	}
	if len(counts) != len(want) {
		t.Errorf("calls %v, expected only %v", counts, want)
	}
}

// Advance killed with SIGKILL at random moments, and simply called again.
func TestRollsThroughKills(t *testing.T) {
	t.Parallel()
	o, types := three()
	for i := range o.Zones {
		o.Zones[i].TTL += 2
		o.Zones[i].Minimum += 3
	}
	h := newHarness(t, "2s", o)
	h.countKeys()
	kills, rolls := 0, 0
	h.witnessed(names(types), func() {
		for ; kills < 60 && rolls < 4; rolls++ { // more than one on few machines only
			kills += h.rollsThroughKills(types)
		}
	})
	h.madeKeys(rolls * len(types))
	t.Logf("%d kills in %d rollovers of each zone", kills, rolls)
	if kills < 60 {
		t.Errorf("killed only %d times", kills)
	}
}

// rollsThroughKills rolls every zone once, and says how often advance was killed.
// After each time status tells what is awaited and what to type.
func (h *harness) rollsThroughKills(types map[string]string) (kills int) {
	h.t.Helper()
	zones := names(types)
	h.start(types)
	h.until("done", zones, func() {
		for range h.random.IntN(8) {
			if !h.killed(zones) {
				continue
			}
			kills++
			for _, zone := range zones {
				h.explained(zone)
			}
		}
		if h.random.IntN(3) == 0 {
			h.must(append([]string{"advance"}, zones...)...)
		}
	}, done)
	for _, zone := range zones {
		h.finished(zone)
	}
	return kills
}

// A secondary that lags, a parent server that lags, a registrar that is late,
// and TTLs lowered in mid-roll: each stops the rolls for as long as it lasts,
// with the reason in status, and breaks nothing.
func TestRollsWithLaggards(t *testing.T) {
	t.Parallel()
	o, types := three()
	h := newHarness(t, "2s", o)
	ctx := context.Background()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	all := names(types)
	h.countKeys()
	h.witnessed(all, func() {
		check(h.lab.HoldChild2(ctx, true))
		h.start(types)
		h.stays(all, 4*time.Second, func(s rollover.Status) string {
			if s.Step != "publish" || s.Actor != rollover.ActorServers || !strings.Contains(s.WaitingFor, h.lab.ChildServers()[1]) {
				return "expected to wait after publish for " + h.lab.ChildServers()[1]
			}
			return ""
		})
		check(h.lab.HoldParent2(ctx, true))
		for zone := range types {
			h.late[zone] = true
		}
		check(h.lab.HoldChild2(ctx, false))
		parents := []string{"csk.lab.test.", "ksk.lab.test."}
		h.until("asked for a DS", parents, h.advance, at("submit"))
		h.stays(parents, 3*time.Second, func(s rollover.Status) string {
			if s.Step != "submit" || s.Actor != rollover.ActorYou || s.OperatorAction == nil || s.OperatorAction.Action != "add-ds" {
				return "expected to wait after submit for the operator to add a DS"
			}
			return ""
		})
		clear(h.late)
		h.until("seen at one parent server", parents, h.advance, func(s rollover.Status) bool { return s.Actor == rollover.ActorParent })
		h.stays(parents, 5*time.Second, func(s rollover.Status) string {
			if s.Step != "submit" || !strings.Contains(s.WaitingFor, h.lab.ParentServers()[1]) {
				return "expected to wait after submit for " + h.lab.ParentServers()[1]
			}
			return ""
		})
		check(h.lab.HoldParent2(ctx, false))
		for zone := range types {
			check(h.lab.SetMinimum(ctx, zone, 1))
			check(h.lab.SetRecord(ctx, zone, "www."+zone, "A", 1, "192.0.2.1"))
		}
		h.until("done", all, h.advance, done)
	})
	for _, zone := range all {
		h.finished(zone)
	}
	h.madeKeys(len(all))
}

// stays advances for some time and fails as soon as a zone is not as it should be.
func (h *harness) stays(zones []string, d time.Duration, wrong func(rollover.Status) string) {
	h.t.Helper()
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	h.advance()
	for end := time.Now().Add(d); time.Now().Before(end); <-pace.C {
		h.advance()
		for _, zone := range zones {
			h.registrar(zone)
			s := h.explained(zone)
			if text := wrong(s); text != "" {
				h.t.Fatalf("%s: %s; it is at step %q, %s, waiting for %s", zone, text, s.Step, s.Phase, s.WaitingFor)
			}
		}
	}
}

// The manual mistakes of an operator: they block, or wait, with a reason, and
// lose nothing; undone, the roll ends.
func TestManualMistakesEndToEnd(t *testing.T) {
	t.Parallel()
	zone := func(name, layout string) lab.Zone {
		return lab.Zone{Name: name + ".lab.test.", Layout: layout, TTL: 2, Minimum: 3, SOATTL: 2}
	}
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Zones: []lab.Zone{zone("removed", lab.Split), zone("third", lab.CSK), zone("wrongds", lab.Split)}})
	types := map[string]string{"removed.lab.test.": "zsk", "third.lab.test.": "csk", "wrongds.lab.test.": "ksk"}
	ctx := context.Background()
	h.witnessed(names(types), func() {
		h.registry = func(want []string) []string { // a digest typed wrong
			for i := range want {
				if strings.HasPrefix(want[i], fmt.Sprint(h.newTag("wrongds.lab.test."), " ")) {
					want[i] = want[i][:len(want[i])-4] + "0000"
				}
			}
			return want
		}
		h.start(types)
		key := h.status("removed.lab.test.").NewKeys[0]
		h.pdnsutil(ctx, "remove-zone-key", "removed.lab.test", fmt.Sprint(key.ID))
		h.pdnsutil(ctx, "add-zone-key", "third.lab.test", "zsk", "256", "inactive", "published", "ecdsa256")
		blocked := func(s rollover.Status) bool { return s.State == rollover.StateBlocked }
		h.until("blocked", []string{"removed.lab.test.", "third.lab.test."}, h.lenient, blocked)
		h.says("removed.lab.test.", "keys-changed", "rollover cancel --zone removed.lab.test.")
		h.says("third.lab.test.", "keys-changed", "remove-zone-key third.lab.test")
		h.until("waiting for the DS", []string{"wrongds.lab.test."}, h.lenient, func(s rollover.Status) bool {
			return s.Step == "submit" && strings.Contains(s.WaitingFor, "wrong DS") && s.OperatorAction != nil && s.OperatorAction.Action == "replace-ds"
		})
		h.registry = func(want []string) []string { // the DS of another key, with the right ones of old
			return slices.DeleteFunc(append(slices.Clone(want), "4711 13 2 "+strings.Repeat("AB", 32)), func(d string) bool {
				return strings.HasPrefix(d, fmt.Sprint(h.newTag("wrongds.lab.test."), " "))
			})
		}
		h.until("waiting for the right DS", []string{"wrongds.lab.test."}, h.lenient, func(s rollover.Status) bool {
			return s.Step == "submit" && strings.Contains(s.WaitingFor, "has no DS") && s.OperatorAction != nil && s.OperatorAction.Action == "add-ds"
		})
		h.registry = nil
		if o := h.rollover("resume", "third.lab.test."); o.code != 1 || !strings.Contains(o.stderr, "stays blocked") {
			t.Errorf("resume of a zone whose keys are still changed: %v", o)
		}
		h.pdnsutil(ctx, strings.Fields(h.undo("third.lab.test."))...)
		h.must("resume", "third.lab.test.", "--reason", "removed it again")
		h.must("cancel", "removed.lab.test.", "--reason", "the new key is gone")
		h.until("cancelled", []string{"removed.lab.test."}, h.lenient, func(s rollover.Status) bool { return s.State == rollover.StateCancelled })
		h.must("start", "removed.lab.test.", "--type", "zsk")
		h.until("done", names(types), h.advance, done)
	})
	for _, zone := range names(types) {
		h.finished(zone)
	}
}

// lenient is an advance that may say that a zone became blocked.
func (h *harness) lenient() { h.rollover("advance") }

func (h *harness) newTag(zone string) uint16 {
	s := h.status(zone)
	if len(s.NewKeys) == 0 {
		return 0
	}
	return s.NewKeys[0].Tag
}

func (h *harness) pdnsutil(ctx context.Context, args ...string) {
	h.t.Helper()
	if out, err := h.lab.Pdnsutil(ctx, args...); err != nil {
		h.t.Fatalf("pdnsutil %q: %v %s", args, err, out)
	}
	if err := h.lab.Publish(ctx, args[1]); err != nil {
		h.t.Fatal(err)
	}
}

// says checks the code and the remedy of a block.
func (h *harness) says(zone, code, remedy string) {
	h.t.Helper()
	s := h.status(zone)
	if s.Blocked == nil || s.Blocked.Code != code || !strings.Contains(s.Blocked.Remedy, remedy) || s.Blocked.Reason == "" {
		h.t.Errorf("%s: block %+v, expected code %s and a remedy with %q", zone, s.Blocked, code, remedy)
	}
}

// undo is the pdnsutil operands of the remedy that status prints.
func (h *harness) undo(zone string) string {
	remedy := h.status(zone).Blocked.Remedy
	_, rest, _ := strings.Cut(remedy, "-- ")
	command, _, _ := strings.Cut(rest, ";")
	return command
}

// Zones that change in the same tick share one purge.
func TestOnePurgeForTheTick(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "0s", lab.Options{DSTTL: 2, Zones: []lab.Zone{{Name: "one.lab.test.", TTL: 5, Minimum: 5}, {Name: "two.lab.test.", TTL: 5, Minimum: 5}}})
	both := []string{"one.lab.test.", "two.lab.test."}
	for _, zone := range both {
		h.must("start", zone)
	}
	h.until("seen", both, func() { h.must("advance", both[0], both[1]) }, func(s rollover.Status) bool { return s.Phase == rollover.PhaseHolding })
	if err := os.Truncate(h.log, 0); err != nil {
		t.Fatal(err)
	}
	wait := time.NewTimer(7 * time.Second) // longer than the hold: the next look earns it for both
	<-wait.C
	h.must("advance", both[0], both[1])
	raw, err := os.ReadFile(h.log)
	if err != nil {
		t.Fatal(err)
	}
	// On a slow machine the step in which both wait may be a later one.
	changes := strings.Count(string(raw), "activate-zone-key") + 2*strings.Count(string(raw), "remove-zone-key")
	if n := strings.Count(string(raw), "purge"); n != 1 || changes != 4 {
		t.Errorf("%d purges for two zones in one tick:\n%s", n, raw)
	}
}
