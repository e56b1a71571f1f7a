package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// A zone that is its own trust anchor and that no parent is asked for, on real
// servers: check and trace find it well, its ZSK is rolled to the end, its KSK is
// refused with the reason; with the anchor of another key it is broken, and said
// to be.
func TestZoneThatIsItsOwnAnchor(t *testing.T) {
	t.Parallel()
	const zone, bare = "apart.lab.test.", "apart.lab.test"
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	exported, err := h.lab.Pdnsutil(context.Background(), "export-zone-ds", bare)
	if err != nil {
		t.Fatal(err)
	}
	anchor := ""
	for line := range strings.Lines(exported) {
		if words := strings.Fields(line); len(words) > 6 && words[5] == "2" {
			anchor = zone + " IN DS " + strings.Join(words[3:7], " ") + "\n"
		}
	}
	file := filepath.Join(t.TempDir(), "anchors")
	trust := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust(anchor)
	h.edit(fmt.Sprintf("trust_anchors = %q", h.lab.AnchorFile()), fmt.Sprintf("trust_anchors = %q", file))
	h.edit("parent_servers = "+tomlList(h.lab.ParentServers()), "")
	all, code := checkups(t, h.config, zone)
	if c := all[zone]; code != 0 || c.Security != rollover.Secure || len(c.Findings) > 0 {
		t.Errorf("check: exit %d, %+v", code, c)
	}
	if got, code, _ := traced(t, h.config, "www."+bare, "A"); code != 0 || got.Security != rollover.Secure {
		t.Errorf("trace: exit %d: %s; %s", code, got.Sentence, got.Remedy)
	}
	if got, _, _ := traced(t, h.config, bare, "DS"); !strings.Contains(got.Sentence, "its own trust anchor") {
		t.Errorf("trace DS: %s", got.Sentence)
	}
	if o := h.rollover("start", bare, "--type", "ksk"); o.code != exitFailed || !strings.Contains(o.stderr, "RFC 5011") {
		t.Errorf("a KSK: %v", o)
	}
	h.must("start", bare, "--type", "zsk")
	h.until("done", []string{zone}, func() { h.must("advance", zone) }, done)
	words := strings.Fields(anchor)
	trust(strings.Replace(anchor, words[len(words)-1], strings.Repeat("0", 64), 1))
	all, code = checkups(t, h.config, zone)
	if c := all[zone]; code != 2 || !has(c, rollover.FindingChain, rollover.SeverityCritical) || !strings.Contains(fmt.Sprint(c.Findings), "trust_anchors") {
		t.Errorf("check with a wrong anchor: exit %d, %+v", code, c)
	}
}

// edit changes the configuration.
func (h *harness) edit(old, new string) {
	h.t.Helper()
	raw, err := os.ReadFile(h.config)
	if err != nil || !strings.Contains(string(raw), old) {
		h.t.Fatalf("%q is not in the configuration: %v", old, err)
	}
	if err := os.WriteFile(h.config, []byte(strings.Replace(string(raw), old, new, 1)), 0o600); err != nil {
		h.t.Fatal(err)
	}
}
