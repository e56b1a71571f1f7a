package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// The state file is lost after the switch of a conversion to two keys, whose old
// CSK does not sign any more: data by it is in caches for longer than all else. It is
// adopted as what it is, the old key stays until that is out of them, and no
// validator fails.
func TestLostConversionEndToEnd(t *testing.T) {
	t.Parallel()
	const zone = "turn.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.CSK, TTL: 2, Minimum: 1, SOATTL: 1, LongTTL: 12}}})
	h.witnessed([]string{zone}, func() {
		h.must("start", zone, "--to", "split")
		h.until("switched", []string{zone}, h.advance, at("switch"))
		was, lost := h.status(zone), time.Now()
		if err := os.Remove(h.state()); err != nil {
			t.Fatal(err)
		}
		h.await("the secondary has what PowerDNS has", func() bool {
			o := h.rollover("adopt", zone, "--dry-run")
			if o.code == 0 && !strings.Contains(o.stdout, "csk rollover by convert-double-ds") {
				t.Fatalf("adopt --dry-run says %v", o)
			}
			return o.code == 0
		})
		h.must("adopt", zone)
		s := h.status(zone)
		if s.Kind != was.Kind || len(s.OldKeys) != 1 || s.OldKeys[0].Tag != was.OldKeys[0].Tag || len(s.NewKeys) != 2 {
			t.Errorf("adopted as %s, %v by %v; it was %s, %v by %v", s.Kind, s.OldKeys, s.NewKeys, was.Kind, was.OldKeys, was.NewKeys)
		}
		h.until("done", []string{zone}, h.advance, done)
		if waited := time.Since(lost); waited < 12*time.Second {
			t.Errorf("it was done %s after the state was lost", waited)
		}
	})
	h.hasKeys(zone, "256/13 257/13")
}

// A KSK of one algorithm beside a ZSK of another, for good: every type of start and
// adopt name the layout and the way out, and that leads to one key.
func TestOddLayoutEndToEnd(t *testing.T) {
	t.Parallel()
	const zone = "odd.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.CSK, Key: "ecdsa384 384", TTL: 2, Minimum: 1, SOATTL: 1}}})
	h.pdnsutil(context.Background(), "add-zone-key", "odd.lab.test", "zsk", "active", "published", "256", "ecdsa256")
	h.hasKeys(zone, "256/13 257/14")
	for _, args := range [][]string{
		{"start", zone}, {"start", zone, "--type", "zsk"}, {"start", zone, "--type", "ksk"}, {"start", zone, "--type", "csk"},
		{"start", zone, "--to", "split"}, {"start", zone, "--type", "algorithm", "--algorithm", "ed25519"}, {"adopt", zone, "--dry-run"}, {"adopt", zone},
	} {
		o := h.rollover(args...)
		for _, want := range []string{"a KSK of algorithm 14", "a ZSK of algorithm 13", "no half-done algorithm rollover", "pdnsutil unpublish-zone-key odd.lab.test. 2", "pdnsutil remove-zone-key odd.lab.test. 2"} {
			if o.code != 1 || !strings.Contains(o.stderr, want) {
				t.Errorf("%q exits with %d and says %q, expected %q", args, o.code, o.stderr, want)
			}
		}
	}
	h.witnessed([]string{zone}, func() {
		h.pdnsutil(context.Background(), "unpublish-zone-key", "odd.lab.test", "2")
		pace := time.NewTicker(200 * time.Millisecond)
		defer pace.Stop()
		for end := time.Now().Add(4 * time.Second); time.Now().Before(end); <-pace.C { // the TTL of the DNSKEY set, and packet caches
			if o := h.rollover("adopt", zone); o.code != 1 || !strings.Contains(o.stderr, "pdnsutil remove-zone-key odd.lab.test. 2") {
				t.Fatalf("on the way out: %v", o)
			}
		}
		h.pdnsutil(context.Background(), "remove-zone-key", "odd.lab.test", "2")
		h.must("start", zone, "--to", "split")
		h.until("done", []string{zone}, h.advance, done)
	})
	h.hasKeys(zone, "256/14 257/14")
	if s := h.status(zone); s.State != rollover.StateDone {
		t.Errorf("it is %s", s.State)
	}
}
