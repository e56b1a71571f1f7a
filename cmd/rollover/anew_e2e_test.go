package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// On real servers: the new key is removed by hand, as an operator does who changes
// his mind, and the rollover is cancelled as status says. The secondary has the
// serial of the primary and the key that is gone, and
// would keep both for ever: it gets what there is.
func TestSecondaryAfterAChangeByHand(t *testing.T) {
	t.Parallel()
	ctx, zone := context.Background(), "hand.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	pdnsutil := func(args ...string) {
		t.Helper()
		if _, err := h.lab.Pdnsutil(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	everywhere := func(s rollover.Status) bool { return len(s.NewKeys) == 1 && s.Actor == rollover.ActorCaches }
	h.must("start", zone, "--type", "zsk")
	h.until("seen everywhere", []string{zone}, h.advance, everywhere)
	pdnsutil("remove-zone-key", "hand.lab.test", fmt.Sprint(h.status(zone).NewKeys[0].ID))
	h.purge("hand.lab.test$")
	h.must("cancel", zone)
	h.until("cancelled", []string{zone}, h.advance, func(s rollover.Status) bool { return s.State == rollover.StateCancelled })
	if o := h.must("history", zone); !strings.Contains(o.stdout, rollover.EventServed) {
		t.Errorf("history does not tell that it was served anew: %s", o.stdout)
	}
}

// purge has the primary forget what it has cached.
func (h *harness) purge(pattern string) {
	h.t.Helper()
	h.control("purge", pattern)
}

// control gives an order to the primary.
func (h *harness) control(args ...string) {
	h.t.Helper()
	command := append(h.lab.ChildControl(), append([]string{"--config-dir=" + h.lab.ChildConfigDir()}, args...)...)
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		h.t.Fatalf("%q: %v: %s", command, err, out)
	}
}
