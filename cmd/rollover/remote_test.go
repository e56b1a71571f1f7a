package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// keysAt is how many keys a server has in the DNSKEY set of a zone.
func keysAt(t *testing.T, server, zone string) int {
	t.Helper()
	client := dns.Client{Timeout: 5 * time.Second, Net: "tcp"}
	answer, _, err := client.Exchange(new(dns.Msg).SetQuestion(zone, dns.TypeDNSKEY), server)
	if err != nil {
		t.Fatal(err)
	}
	return len(answer.Answer)
}

// Two servers on one database show a change at once, since both are purged;
// one that is left out goes on with the keys that it has cached. While one of
// them is down nobody is notified, and the rest is done when it is back.
func TestFrontEndsEndToEnd(t *testing.T) {
	t.Parallel()
	zone := func(name string) lab.Zone { return lab.Zone{Name: name + ".lab.test.", TTL: 1, Minimum: 1} }
	h := newHarness(t, "0s", lab.Options{DSTTL: 2, Zones: []lab.Zone{zone("left-out"), zone("both"), zone("down")}})
	other, err := h.lab.StartFrontEnd(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	shown := func(name string) (first, second int) {
		return keysAt(t, h.lab.ChildServers()[0], name), keysAt(t, other.Address, name)
	}
	shown("left-out.lab.test.") // now both have them cached
	h.must("start", "left-out.lab.test.")
	if first, second := shown("left-out.lab.test."); first != 3 || second != 2 {
		t.Errorf("not purged: %d keys on the first server, expected 3, %d on the second, expected 2", first, second)
	}
	control := append(h.counted("pdns_control_2", h.lab.ChildControl()), "--config-dir="+other.ConfigDir)
	h.replaceConfig("config_dir", "controls = ["+tomlList(control)+"]\nconfig_dir")
	shown("both.lab.test.")
	h.must("start", "both.lab.test.")
	if first, second := shown("both.lab.test."); first != 3 || second != 3 {
		t.Errorf("both purged: %d and %d keys, expected 3 and 3", first, second)
	}
	if got := h.controls("both.lab.test."); !slices.Equal(got, []string{"pdns_control purge", "pdns_control_2 purge", "pdns_control notify"}) {
		t.Errorf("calls %q", got)
	}
	h.frontEndDown(other)
}

// frontEndDown starts a rollover while the second front end is down.
func (h *harness) frontEndDown(other lab.FrontEnd) {
	h.t.Helper()
	const zone = "down.lab.test."
	if err := h.lab.StopServer(other.Address); err != nil {
		h.t.Fatal(err)
	}
	if o := h.rollover("start", zone); o.code != 69 || !strings.Contains(o.stderr+o.stdout, "start pdns_server") || !strings.Contains(o.stderr+o.stdout, other.ConfigDir) {
		h.t.Errorf("a front end is down: %v", o)
	}
	if got := h.controls(zone); !slices.Equal(got, []string{"pdns_control purge", "pdns_control_2 purge"}) {
		h.t.Errorf("while it is down: calls %q", got)
	}
	if err := h.lab.StartServer(context.Background(), other.Address); err != nil {
		h.t.Fatal(err)
	}
	h.until("done", []string{zone}, h.lenient, done)
	if got := h.controls(zone); got[len(got)-1] != "pdns_control notify" {
		h.t.Errorf("when it was back: calls %q", got)
	}
	h.finished(zone)
}

// controls is the calls of pdns_control about a zone, in order.
func (h *harness) controls(zone string) []string {
	h.t.Helper()
	var out []string
	for _, call := range h.calls(zone) {
		if words := strings.Fields(call); strings.HasPrefix(call, "pdns_control") {
			out = append(out, strings.Join(words[:2], " "))
		}
	}
	return out
}

// A primary that no delegation names is looked at where servers lists it, and
// not asked where nothing does. Zones are rolled through it either way.
func TestHiddenPrimary(t *testing.T) {
	t.Parallel()
	const zone = "hidden.lab.test."
	h := newHarness(t, "1h", lab.Options{DSTTL: 2, Zones: []lab.Zone{{Name: zone, TTL: 1, Minimum: 1}}}) // it waits to be looked at
	both := h.lab.ChildServers()
	primary, public := both[0], both[1]
	h.replaceConfig("\nservers = "+tomlList(both), "\nservers = "+tomlList([]string{public}))
	h.must("start", zone)
	h.until("seen", []string{zone}, h.advance, func(s rollover.Status) bool { return len(s.Servers) > 0 })
	if got := children(h.status(zone)); !slices.Equal(got, []string{public}) {
		t.Errorf("the primary is not listed: servers %q, expected only %s", got, public)
	}
	h.replaceConfig("\nservers = "+tomlList([]string{public}), "\nservers = "+tomlList(both))
	h.until("looked at", []string{zone}, h.advance, func(s rollover.Status) bool { return slices.Contains(children(s), primary) })
	h.replaceConfig("\nservers = "+tomlList(both), fmt.Sprintf("\nexclude = [%q]\nservers = %s", primary, tomlList(both)))
	h.advance()
	if s := h.status(zone); !slices.Contains(children(s), primary) {
		t.Errorf("servers %q: what is excluded in the middle is asked until that is taken over by name", children(s))
	}
	h.must("resume", zone, "--accept-policy", "--reason", "the primary is hidden")
	h.until("left out", []string{zone}, h.advance, func(s rollover.Status) bool { return !slices.Contains(children(s), primary) })
	h.replaceConfig(`margin = "1h"`, `margin = "0s"`)
	h.must("resume", zone, "--accept-policy", "--reason", "it is only a test")
	h.until("done", []string{zone}, h.advance, done)
	h.finished(zone)
}

func children(s rollover.Status) []string {
	var out []string
	for _, server := range s.Servers {
		if server.Role == rollover.RoleChild {
			out = append(out, server.Address)
		}
	}
	return out
}

// A roll over an ssh that does to its words what ssh does, from a folder in
// which patterns fit files.
func TestRollOverSSH(t *testing.T) {
	t.Parallel()
	const zone = "0/25.lab.test."
	h := newHarness(t, "0s", lab.Options{DSTTL: 2, Zones: []lab.Zone{{Name: zone, TTL: 1, Minimum: 1}}})
	home := t.TempDir()
	ssh := filepath.Join(t.TempDir(), "ssh")
	text := fmt.Sprintf("#!/bin/sh\nwhile case $1 in -*) ;; *) false ;; esac do shift; done\nshift\ncd %s && exec sh -c \"$*\"\n", home)
	if err := os.WriteFile(ssh, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	over := func(command []string) string {
		return tomlList(append([]string{ssh, "-oBatchMode=yes", "-T", "ns1"}, command...))
	}
	h.config = h.writeConfig("0s", nil, nil)
	h.replaceConfig("command = []", "command = "+over(h.counted("pdnsutil", h.lab.ChildPdnsutil())))
	h.replaceConfig("control = []", "control = "+over(h.counted("pdns_control", h.lab.ChildControl())))
	h.must("start", zone, "--type", "ksk")
	h.until("done", []string{zone}, h.advance, done)
	h.finished(zone)
}

// Further front ends without a first one, or without a program, are refused;
// those of the zones are not those of another PowerDNS.
func TestFrontEndsOfConfiguration(t *testing.T) {
	load := func(text string) (*world, error) {
		path := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return new(mouth).openFile(path, "")
	}
	const two = "[pdnsutil]\ncontrols = [['ssh', 'ns2', 'pdns_control'], ['pdns_control', '--config-name=three']]\n"
	for text, want := range map[string]string{
		"[pdnsutil]\ncontrol = []\ncontrols = [['pdns_control']]\n":                                      "control has none",
		"[pdnsutil]\ncontrols = [[]]\n":                                                                  "one of them is empty",
		"[pdnsutil]\ncontrols = ['pdns_control']\n":                                                      "controls",
		two + "[ds]\ndriver = 'pdnsutil'\n[ds.pdnsutil]\ncontrols = [['pdns_control']]\n":                "control has none",
		"[[zone]]\nname = 'a.test'\nds.driver = 'pdnsutil'\nds.pdnsutil.controls = [['pdns_control']]\n": "control has none",
	} {
		if _, err := load(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngave %v, expected %q", text, err, want)
		}
	}
	w, err := load(two)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if len(w.tool.FrontEnds) != 2 || len(w.tool.Control) != 1 || !slices.Equal(w.tool.Shells, []string{"ssh"}) {
		t.Errorf("the tool is %+v", w.tool)
	}
	if p := w.parentTool(parentConfig{Zone: "test"}); len(p.FrontEnds) != 2 {
		t.Errorf("the same PowerDNS has front ends %q", p.FrontEnds)
	}
	if p := w.parentTool(parentConfig{ConfigDir: "/etc/parent"}); len(p.FrontEnds) != 0 || len(p.Control) != 1 {
		t.Errorf("another PowerDNS has front ends %q", p.FrontEnds)
	}
	if p := w.parentTool(parentConfig{Control: []string{"a"}, Controls: [][]string{{"b"}}}); !slices.Equal(p.FrontEnds[0], []string{"b"}) {
		t.Errorf("another PowerDNS with front ends of its own has %q", p.FrontEnds)
	}
}
