package main

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// End to end, on real servers: rollovers in which the keys of a zone become
// other ones than before.

// turnZone is a zone whose keys turn into others, and how.
type turnZone struct {
	lab  lab.Zone
	args []string // of start
	want string   // the keys in the end, as show-zone prints them
}

func runTurns(t *testing.T, zones []turnZone) *harness {
	t.Helper()
	o := lab.Options{DSTTL: 2, Strict: true}
	var names []string
	for _, z := range zones {
		o.Zones = append(o.Zones, z.lab)
		names = append(names, z.lab.Name)
	}
	h := newHarness(t, "2s", o)
	h.witnessed(names, func() {
		for _, z := range zones {
			h.must(append([]string{"start", z.lab.Name}, z.args...)...)
		}
		h.until("done", names, h.advance, done)
	})
	for _, z := range zones {
		h.hasKeys(z.lab.Name, z.want)
	}
	return h
}

// hasKeys compares the keys that show-zone lists, as "257/13 256/13" sorted;
// all of them must sign and be published.
func (h *harness) hasKeys(zone, want string) {
	h.t.Helper()
	out, err := h.lab.Pdnsutil(context.Background(), "show-zone", strings.TrimSuffix(zone, "."))
	if err != nil {
		h.t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^ID = .* flags = (\d+), .* algo = (\d+),`).FindAllStringSubmatch(out, -1) {
		got = append(got, m[1]+"/"+m[2])
	}
	slices.Sort(got)
	if strings.Join(got, " ") != want || strings.Contains(out, "Inactive") || strings.Contains(out, "Unpublished") {
		h.t.Errorf("%s has keys %q, expected %q:\n%s", zone, got, want, out)
	}
}

// RSA to ECDSA and Ed25519, pairs and single keys, and one layout to the other.
func TestAlgorithmRollsEndToEnd(t *testing.T) {
	t.Parallel()
	runTurns(t, []turnZone{
		{lab.Zone{Name: "pair.lab.test.", Layout: lab.Split, Key: "rsasha256 2048", TTL: 3, Minimum: 2, SOATTL: 1},
			[]string{"--type", "algorithm", "--algorithm", "ecdsa256"}, "256/13 257/13"},
		{lab.Zone{Name: "single.lab.test.", Layout: lab.CSK, TTL: 1, Minimum: 2, SOATTL: 2},
			[]string{"--type", "algorithm", "--algorithm", "ed25519"}, "257/15"},
		{lab.Zone{Name: "joined.lab.test.", Layout: lab.Split, Key: "rsasha256 2048", TTL: 2, Minimum: 1, SOATTL: 1},
			[]string{"--type", "algorithm", "--algorithm", "15", "--to", "csk"}, "257/15"},
	})
}

// One key becomes two, and two become one.
func TestConversionsEndToEnd(t *testing.T) {
	t.Parallel()
	h := runTurns(t, []turnZone{
		{lab.Zone{Name: "tosplit.lab.test.", Layout: lab.CSK, TTL: 3, Minimum: 2, SOATTL: 2}, []string{"--to", "split"}, "256/13 257/13"},
		{lab.Zone{Name: "tocsk.lab.test.", Layout: lab.Split, TTL: 2, Minimum: 3, SOATTL: 1}, []string{"--to", "csk"}, "257/13"},
		{lab.Zone{Name: "replaced.lab.test.", Layout: lab.CSK, TTL: 2, Minimum: 1, SOATTL: 1}, []string{"--to", "split", "--method", "double-signature"}, "256/13 257/13"},
	})
	if s := h.status("tosplit.lab.test."); s.Kind != "csk/convert-double-ds" || len(s.OldKeys) != 1 || len(s.NewKeys) != 2 || s.NewKeys[1].Role != rollover.ZSK {
		t.Errorf("status: kind %s, old %v, new %v", s.Kind, s.OldKeys, s.NewKeys)
	}
}

// Zones are signed for the first time, and others unsigned, under the eyes of
// a validator that must never fail.
func TestSigningsEndToEnd(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Strict: true, Zones: []lab.Zone{
		{Name: "first.lab.test.", Layout: lab.Unsigned, TTL: 3, Minimum: 1, SOATTL: 2},
		{Name: "firstpair.lab.test.", Layout: lab.Unsigned, TTL: 1, Minimum: 3, SOATTL: 3},
		{Name: "last.lab.test.", Layout: lab.CSK, TTL: 2, Minimum: 1, SOATTL: 1},
		{Name: "lastpair.lab.test.", Layout: lab.Split, TTL: 1, Minimum: 3, SOATTL: 1},
	}})
	all := []string{"first.lab.test.", "firstpair.lab.test.", "last.lab.test.", "lastpair.lab.test."}
	h.witnessed(all, func() {
		h.must("sign", all[0])
		h.must("sign", all[1], "--to", "split", "--algorithm", "ed25519")
		h.must("unsign", all[2], "--yes")
		h.must("unsign", all[3], "--yes")
		h.until("done", all, h.advance, done)
	})
	for i, want := range []string{"257/13", "256/15 257/15", "", ""} {
		h.hasKeys(all[i], want)
	}
	for _, zone := range all[2:] {
		if ds, err := h.lab.DS(context.Background(), zone); err != nil || len(ds) > 0 {
			t.Errorf("%s has the DS records %q in the end, %v", zone, ds, err)
		}
	}
}

// Rollovers of each type are taken back after the switch.
func TestRevertsEndToEnd(t *testing.T) {
	t.Parallel()
	zones := []struct {
		lab  lab.Zone
		args []string
		step string // after which it is reverted
		want string
	}{
		{lab.Zone{Name: "zsk.lab.test.", TTL: 3, Minimum: 1, SOATTL: 1}, []string{"--type", "zsk"}, "switch", "256/13 257/13"},
		{lab.Zone{Name: "ksk.lab.test.", TTL: 1, Minimum: 2, SOATTL: 1}, []string{"--type", "ksk"}, "withdraw", "256/13 257/13"},
		{lab.Zone{Name: "csk.lab.test.", Layout: lab.CSK, TTL: 2, Minimum: 1, SOATTL: 1}, nil, "switch", "257/13"},
		{lab.Zone{Name: "conv.lab.test.", Layout: lab.CSK, TTL: 2, Minimum: 1, SOATTL: 1}, []string{"--to", "split"}, "withdraw", "257/13"},
		{lab.Zone{Name: "algo.lab.test.", TTL: 1, Minimum: 2, SOATTL: 1}, []string{"--type", "algorithm", "--algorithm", "15"}, "unpublish", "256/13 257/13"},
	}
	o := lab.Options{DSTTL: 2, Strict: true}
	var names []string
	for _, z := range zones {
		o.Zones = append(o.Zones, z.lab)
		names = append(names, z.lab.Name)
	}
	h := newHarness(t, "2s", o)
	reverted := map[string]bool{}
	h.witnessed(names, func() {
		for _, z := range zones {
			h.must(append([]string{"start", z.lab.Name}, z.args...)...)
		}
		h.until("reverted", names, func() {
			h.advance()
			for _, z := range zones {
				if s := h.status(z.lab.Name); s.Step == z.step && !reverted[z.lab.Name] {
					o := h.rollover("revert", z.lab.Name, "--reason", "the new key is no good")
					reverted[z.lab.Name] = o.code == 0
					if o.code != 0 && !strings.Contains(o.stderr, "is behind") && !strings.Contains(o.stderr, "--parent-unchanged") {
						t.Fatalf("revert of %s: %v", z.lab.Name, o)
					}
				}
			}
		}, func(s rollover.Status) bool { return s.State == rollover.StateCancelled })
	})
	for _, z := range zones {
		h.hasKeys(z.lab.Name, z.want)
		s := h.status(z.lab.Name)
		if !strings.HasPrefix(s.Kind, "revert/") || s.Step != "finish" {
			t.Errorf("%s ended as %s at %s", z.lab.Name, s.Kind, s.Step)
		}
	}
}

// Urgent rollovers, without margins: what they may break, they break for no
// longer than what they say they do, packet caches and rounded TTLs.
func TestUrgentEndToEnd(t *testing.T) {
	t.Parallel()
	types := map[string]string{"zsk.lab.test.": "zsk", "ksk.lab.test.": "ksk", "csk.lab.test.": "csk"}
	h := newHarness(t, "1h", lab.Options{DSTTL: 3, Zones: []lab.Zone{
		{Name: "zsk.lab.test.", TTL: 4, Minimum: 2, SOATTL: 3},
		{Name: "ksk.lab.test.", TTL: 1, Minimum: 4, SOATTL: 2},
		{Name: "csk.lab.test.", Layout: lab.CSK, TTL: 3, Minimum: 2, SOATTL: 2},
	}})
	if o := h.rollover("start", "ksk.lab.test.", "--type", "ksk", "--urgent"); o.code != 64 || !strings.Contains(o.stderr, "must ADD") || !strings.Contains(o.stderr, "--yes") {
		t.Errorf("without --yes: %v", o)
	}
	recorder := h.lab.Record(context.Background(), names(types)...)
	for _, zone := range names(types) {
		h.must("start", zone, "--type", types[zone], "--urgent", "--yes")
	}
	h.until("done", names(types), h.advance, done)
	for _, v := range lab.Check(recorder.Stop().Versions) {
		if v.Until.Sub(v.From) > 3*time.Second {
			t.Errorf("a cache could have broken for too long: %v", v)
		}
	}
	for _, zone := range names(types) {
		h.finished(zone)
		if s := h.status(zone); !s.Urgent || s.EndedAt.Sub(s.StartedAt) > time.Minute {
			t.Errorf("%s: urgent %v, took %s", zone, s.Urgent, s.EndedAt.Sub(s.StartedAt))
		}
	}
}

// Rollovers that somebody began by hand are taken over.
func TestAdoptionsEndToEnd(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Zones: []lab.Zone{
		{Name: "zsk.lab.test.", TTL: 2, Minimum: 1, SOATTL: 1},
		{Name: "ksk.lab.test.", TTL: 1, Minimum: 2, SOATTL: 1},
		{Name: "none.lab.test.", TTL: 1, Minimum: 1, SOATTL: 1},
	}})
	ctx := context.Background()
	all := []string{"ksk.lab.test.", "zsk.lab.test."}
	h.witnessed(all, func() {
		h.pdnsutil(ctx, "add-zone-key", "zsk.lab.test", "zsk", "inactive", "published", "256", "ecdsa256")
		h.pdnsutil(ctx, "add-zone-key", "ksk.lab.test", "ksk", "active", "published", "256", "ecdsa256")
		if o := h.must("adopt", "zsk.lab.test.", "--dry-run"); !strings.Contains(o.stdout, "ZSK rollover by pre-publish") && !strings.Contains(o.stdout, "zsk rollover by pre-publish") {
			t.Errorf("adopt --dry-run says %v", o)
		}
		if o := h.rollover("adopt", "none.lab.test."); o.code != 1 || !strings.Contains(o.stderr, "in the middle of no rollover") || !strings.Contains(o.stderr, "active, published") {
			t.Errorf("adopt of a zone at rest: %v", o)
		}
		for _, zone := range all {
			h.must("adopt", zone)
		}
		h.until("done", all, h.advance, done)
	})
	for _, zone := range all {
		h.finished(zone)
	}
	if s := h.status("ksk.lab.test."); s.Method != "double-signature" {
		t.Errorf("it was adopted as %s", s.Method)
	}
}
