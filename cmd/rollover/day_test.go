package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// An operator's day on a real PowerDNS: every command, in the order in which it
// is needed, and what it must say.
func TestOperatorsDay(t *testing.T) {
	t.Parallel()
	const zone = "day.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	before := h.calls0(zone)
	expect(t, h.must("plan", zone, "--type", "ksk"), "[ ] switch", "settled(DS has new)", "held for 1 x 1 s + 2 s", "activate-zone-key day.lab.test NEW", "add-zone-key day.lab.test ksk inactive published 256 ecdsa256")
	expect(t, h.must("start", zone, "--type", "ksk", "--dry-run"), "[ ] publish", "at the earliest")
	for _, call := range h.calls(zone)[before:] {
		if !strings.Contains(call, "show-zone") && !strings.Contains(call, "list-zone") {
			t.Errorf("a dry run called %q", call)
		}
	}
	if o := h.rollover("status", zone); o.code != 1 {
		t.Errorf("a dry run left a rollover behind: %v", o)
	}
	expect(t, h.must("start", zone, "--type", "ksk"), "publish: publish new", "now waits for")
	if o := h.rollover("start", zone, "--type", "zsk"); o.code != 1 || !strings.Contains(o.stderr, "is active already") {
		t.Errorf("a second start: %v", o)
	}
	h.must("pause", zone, "--reason", "lunch")
	expect(t, h.must("status", zone), "KSK rollover (double-ds), paused", "rollover resume --zone day.lab.test.")
	h.must("resume", zone)
	h.late[zone] = true
	h.until("asked for a DS", []string{zone}, h.advance, at("submit"))
	h.formats(zone)
	expect(t, h.must("status", zone), "at the registrar: add DS", "add     day.lab.test. IN DS", "do not remove DS", "ok parent", "ok child", "old key", "does not sign")
	expect(t, h.must("status"), "ZONE", "day.lab.test.  ksk", "yes")
	if o := h.rollover("exclude-server", zone, h.lab.ChildServers()[1]); o.code != exitUsage {
		t.Errorf("exclude-server without a reason: %v", o)
	}
	h.must("exclude-server", zone, h.lab.ChildServers()[1], "--reason", "test")
	expect(t, h.must("status", zone), "-- excluded "+h.lab.ChildServers()[1])
	h.must("exclude-server", zone, h.lab.ChildServers()[1], "--undo", "--reason", "test over")
	h.late[zone] = false
	h.waits(zone)
	expect(t, h.must("history", zone, "-v"), "server-excluded", "(reason: lunch)", "settled(DS has new), needed 1 x 1 s + 2 s", "earned", "ksk rollover done in")
	var history struct{ Events []rollover.Event }
	if err := json.Unmarshal([]byte(h.must("history", "--json").stdout), &history); err != nil || len(history.Events) < 10 {
		t.Errorf("history --json: %v, %d events", err, len(history.Events))
	}
	if o := h.rollover("cancel", zone); o.code != 1 || !strings.Contains(o.stderr, "nothing to cancel") {
		t.Errorf("cancel of a rollover that is done: %v", o)
	}
	h.cancelled(zone)
}

// calls0 is how many calls there were so far.
func (h *harness) calls0(zone string) int {
	if _, err := os.Stat(h.log); err != nil {
		return 0
	}
	return len(h.calls(zone))
}

func expect(t *testing.T, o outcome, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(o.stdout, text) {
			t.Errorf("expected %q in\n%s", text, o.stdout)
		}
	}
}

// formats checks the DS records in all formats.
func (h *harness) formats(zone string) {
	t := h.t.(*testing.T)
	t.Helper()
	s := h.status(zone)
	add := s.OperatorAction.Add[0]
	digest := add[strings.LastIndex(add, " ")+1:]
	expect(t, h.must("ds", zone), "; add\n"+zone+" IN DS "+add, "; keep\n")
	expect(t, h.must("ds", zone, "--format", "dnskey"), "; add\n"+zone+" IN DNSKEY "+s.NewKeys[0].Record)
	expect(t, h.must("ds", zone, "--format", "json"), `"digest": "`+digest+`"`, `"public_key": "`+s.NewKeys[0].PublicKey)
	expect(t, h.must("ds", zone, "--format", "epp"), "<secDNS:add>", "<secDNS:digest>"+digest+"</secDNS:digest>")
	if o := h.rollover("ds", zone, "--format", "xml"); o.code != exitUsage {
		t.Errorf("an unknown format: %v", o)
	}
}

// waits lets `advance --wait` and `watch` follow the roll to its end; both
// print a line per change when they are not on a terminal.
func (h *harness) waits(zone string) {
	t := h.t.(*testing.T)
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	registrar := make(chan struct{})
	go func() {
		defer close(registrar)
		for ctx.Err() == nil {
			h.registrar(zone)
			_ = pause(ctx, 100*time.Millisecond) // ends the loop by ctx
		}
	}()
	watch, watched, _ := h.command("watch", zone)
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	o := h.must("advance", "--wait")
	stop()
	<-registrar
	expect(t, o, "step submit, next switch", "step switch, next withdraw", "ksk: done")
	if err := watch.Wait(); err != nil || !strings.Contains(watched.String(), "ksk: done") {
		t.Errorf("watch: %v, %s", err, watched)
	}
	h.finished(zone)
}

// cancelled takes a roll back that was just started, in mid-wait.
func (h *harness) cancelled(zone string) {
	h.t.Helper()
	h.must("start", zone)
	h.must("cancel", zone, "--reason", "test")
	h.until("cancelled", []string{zone}, h.advance, func(s rollover.Status) bool { return s.State == rollover.StateCancelled })
	out, err := h.lab.Pdnsutil(context.Background(), "show-zone", strings.TrimSuffix(zone, "."))
	if err != nil || strings.Count(out, "ID = ") != 2 || strings.Contains(out, "Inactive") {
		h.t.Errorf("after cancel: %v\n%s", err, out)
	}
}

// Ctrl-C ends the view, not the rollover.
func TestWatchInterrupted(t *testing.T) {
	t.Parallel()
	h := bare(t)
	roll := &rollover.Roll{Zone: "example.com.", Type: "zsk", Method: "pre-publish", Kind: "zsk/pre-publish", State: rollover.StateActive, Step: "publish"}
	save(t, h, roll)
	cmd, _, stderr := h.command("watch")
	cmd.Stdout = nil
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 200)
	n, err := pipe.Read(first)
	if err != nil || !strings.Contains(string(first[:n]), "example.com. zsk: active") {
		t.Errorf("watch says %q, %v", first[:n], err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code is what counts
	if code := cmd.ProcessState.ExitCode(); code != exitTryLater || !strings.Contains(stderr.String(), "no rollover is stopped by that") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if s := h.status("example.com."); s.State != rollover.StateActive {
		t.Errorf("the rollover is %s", s.State)
	}
}

// On a terminal the view is drawn over itself, with a countdown and the reason.
func TestLiveViewOnATerminal(t *testing.T) {
	var out bytes.Buffer
	v := &live{mouth: &mouth{out: &out}, terminal: true, width: 60, said: map[string]string{}}
	soon := time.Now().Add(90 * time.Minute)
	s := rollover.Status{Zone: "example.com.", Type: "ksk", State: rollover.StateActive, Step: "submit", NextStep: "switch", Actor: rollover.ActorCaches, NotBefore: &soon, WaitingFor: "caches: a \x1b[31mred\x1b[0m lie"}
	v.draw(v.lines(s))
	first := out.String()
	if !strings.Contains(first, "1h30m left for caches, before switch") || strings.Contains(first, "\x1b[31m") {
		t.Errorf("drawn %q", first)
	}
	out.Reset()
	v.draw(v.lines(s))
	if !strings.HasPrefix(out.String(), "\x1b[4A\r\x1b[2K") {
		t.Errorf("drawn over with %q", out.String())
	}
	out.Reset()
	s.State = rollover.StateDone
	v.draw(v.lines(s))
	if !strings.Contains(out.String(), "example.com.  ksk  done") || !strings.HasSuffix(out.String(), "\x1b[J") {
		t.Errorf("at the end %q", out.String())
	}
}

// The sample under docs has every setting, with its default.
func TestSampleConfiguration(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "rollover.toml")
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	if !reflect.DeepEqual(c.Pdnsutil, want.Pdnsutil) && len(c.Pdnsutil.Command) > 0 || c.State != want.State || !reflect.DeepEqual(c.DS, want.DS) || !reflect.DeepEqual(c.Notify, want.Notify) || c.DNS.Timeout != want.DNS.Timeout {
		t.Errorf("the sample says %+v, the defaults are %+v", c, want)
	}
	if got := c.setting("any.example.").Policy; !reflect.DeepEqual(got, rollover.DefaultPolicy()) {
		t.Errorf("the sample's policy is %+v, the default %+v", got, rollover.DefaultPolicy())
	}
	for _, kind := range []reflect.Type{reflect.TypeFor[config](), reflect.TypeFor[pdnsutilConfig](), reflect.TypeFor[dnsConfig](), reflect.TypeFor[policyConfig](), reflect.TypeFor[dsConfig](), reflect.TypeFor[execConfig](), reflect.TypeFor[nsupdateConfig](), reflect.TypeFor[cdsConfig](), reflect.TypeFor[parentConfig](), reflect.TypeFor[notifyConfig](), reflect.TypeFor[webhookConfig](), reflect.TypeFor[sendmailConfig](), reflect.TypeFor[zoneConfig]()} {
		for i := range kind.NumField() {
			if name := kind.Field(i).Tag.Get("toml"); name != "" && !strings.Contains(string(raw), name) {
				t.Errorf("docs/rollover.toml does not have %q", name)
			}
		}
	}
}

// A zone's own entry counts before patterns, a longer pattern before a shorter one.
func TestSettingOfAZone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	text := `
[policy.default]
margin = "2h"
[policy.strict]
factor = 3.0
[[zone]]
name = "*.example"
servers = ["short"]
[[zone]]
name = "*.sub.example"
policy = "strict"
servers = ["long"]
[[zone]]
name = "a.sub.example"
servers = ["own"]
[dns]
resolvers = ["127.0.0.1:9"]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	for zone, want := range map[string]string{"x.example.": "short", "b.sub.example.": "long", "a.sub.example.": "own"} {
		if got := c.setting(zone).Servers; len(got) != 1 || got[0] != want {
			t.Errorf("%s has servers %q, expected %q", zone, got, want)
		}
	}
	if p := c.setting("b.sub.example.").Policy; p.Factor != 3 || p.Margin != 2*time.Hour || p.Name != "strict" {
		t.Errorf("policy strict is %+v", p)
	}
	if s := c.setting("example."); len(s.Servers) != 0 {
		t.Errorf("a pattern fits the name that it is below of: %+v", s)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "6w": 6 * week, "1w2d": 9 * day, "1h30m": 90 * time.Minute, "45s": 45 * time.Second, "1w 3d 2h": 10*day + 2*time.Hour, "0s": 0, "250ms": 250 * time.Millisecond,
	} {
		if got, err := parseDuration(text); err != nil || time.Duration(got) != want {
			t.Errorf("%q is %s, %v; expected %s", text, time.Duration(got), err, want)
		}
	}
	for _, text := range []string{"", "soon", "-1h", "7", "d", "-3d", "1d1w", "1.5d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is taken for %s", text, time.Duration(got))
		}
	}
	if got, err := parseDuration("never"); err != nil || got != never || got.String() != "never" {
		t.Errorf("never is %v, %v", got, err)
	}
	for d, want := range map[time.Duration]string{90 * time.Minute: "1h30m", 9 * day: "1w2d", 1: "1s", 0: "0s", 26 * time.Hour: "1d2h"} {
		if got := span(d); got != want {
			t.Errorf("%s is shown as %q, expected %q", d, got, want)
		}
	}
}

// The README's two commands are what CI runs.
func TestReadmeCommands(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	ci, err := os.ReadFile(filepath.Join("..", "..", ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"make demo", "make test"} {
		if !strings.Contains(string(readme), "\n"+command+"\n") && !strings.Contains(string(readme), "    "+command) {
			t.Errorf("the README does not show the command %q on a line of its own", command)
		}
		if out, err := exec.Command("make", "-n", "-C", filepath.Join("..", ".."), strings.Fields(command)[1]).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", command, err, out)
		}
	}
	if !strings.HasSuffix(strings.TrimSpace(string(ci)), "exec make test") {
		t.Errorf(".ci/run does not end with the README's test command:\n%s", ci)
	}
}
