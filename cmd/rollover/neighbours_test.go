package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// Three zones whose servers have all become hostile in mid-roll: none has a usable
// answer for its keys, or all are full of false signatures and long names, or none
// answers at all. advance goes through a whole rollover of their neighbour, in the time
// of the neighbour; each bad zone waits, and status and check say which server and why.
func TestBadNeighbours(t *testing.T) {
	t.Parallel()
	const good = "good.lab.test."
	bad := map[string][]func() (*lab.Hostile, error){
		"keyless.lab.test.": {lab.NewKeyless, lab.NewKeyless},
		"jammed.lab.test.":  {func() (*lab.Hostile, error) { return lab.NewSigJam("jammed.lab.test.") }, func() (*lab.Hostile, error) { return lab.NewBabbler(600) }},
		"mute.lab.test.":    {lab.NewMute},
	}
	says := map[string]string{"keyless.lab.test.": "SERVFAIL", "jammed.lab.test.": "too much", "mute.lab.test.": "timed out"}
	zones := []lab.Zone{{Name: good, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}
	for name := range bad {
		zones = append(zones, lab.Zone{Name: name, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1})
	}
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: zones})
	var text strings.Builder
	var turncoats []*lab.Turncoat
	for name, servers := range bad {
		var addrs []string
		for _, hostile := range servers {
			s := turncoat(t, h.lab.ChildServers()[0], hostile)
			turncoats, addrs = append(turncoats, s), append(addrs, s.Addr())
		}
		fmt.Fprintf(&text, "[[zone]]\nname = %q\nservers = %s\nservers_only = true\nparent_servers = %s\n", strings.TrimSuffix(name, "."), tomlList(addrs), tomlList(h.lab.ParentServers()))
	}
	h.append(text.String())
	for _, z := range zones {
		h.must("start", z.Name, "--type", "zsk")
	}
	h.advance()
	for _, s := range turncoats {
		s.Turn()
	}
	steps := map[string]string{}
	for name := range bad {
		steps[name] = h.status(name).Step
	}
	h.until("done", []string{good}, func() {
		if o := h.rollover("advance"); o.code > 1 || o.code == 1 && !strings.Contains(o.stderr, "the zone fails for validating resolvers") {
			t.Errorf("advance: %v", o)
		}
	}, done)
	all, _ := checkups(t, h.config, "--all")
	for name := range bad {
		s := h.status(name)
		if s.State != rollover.StateActive || s.Step != steps[name] || !strings.Contains(s.WaitingFor, says[name]) {
			t.Errorf("%s: %s at %s: %s", name, s.State, s.Step, said(s))
		}
		if found := fmt.Sprint(all[name].Findings); all[name].Severity != rollover.SeverityCritical && all[name].Severity != rollover.SeverityUnknown || !strings.Contains(found, says[name]) {
			t.Errorf("check of %s: %s, %s", name, all[name].Severity, found)
		}
	}
	if all[good].Severity == rollover.SeverityCritical || all[good].Severity == rollover.SeverityUnknown {
		t.Errorf("check of the neighbour: %v", all[good].Findings)
	}
}

func turncoat(t *testing.T, honest string, hostile func() (*lab.Hostile, error)) *lab.Turncoat {
	t.Helper()
	into, err := hostile()
	if err != nil {
		t.Fatal(err)
	}
	s, err := lab.NewTurncoat(honest, into)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// append adds to the configuration.
func (h *harness) append(text string) {
	h.t.Helper()
	raw, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.config, append(raw, text...), 0o600); err != nil {
		h.t.Fatal(err)
	}
}
