package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// harness runs the real program against a lab of real servers, as cron and an
// operator would.
type harness struct {
	t       testing.TB
	lab     *lab.Lab
	config  string
	backend string // of the children's primary
	log     string // of every call of pdnsutil and pdns_control
	mode    string // file that says how pdnsutil misbehaves: fail, hang, dead, talk, garbage, noise, wait
	random  *rand.Rand

	mu       sync.Mutex
	late     map[string]bool              // zones for which the registrar does nothing
	registry func(want []string) []string // what the registrar makes of a request
	patience time.Duration                // how long until waits
	driven   bool                         // a driver asks the parent, nobody else
}

// newHarness starts a lab. The policy is as tight as can be; of the margin one
// second is for unbound, which counts TTLs in whole seconds and so keeps
// records up to a second longer than they live, and one for answers that were
// being made during a purge and live in the server's packet cache for a second.
func newHarness(t testing.TB, margin string, o lab.Options) *harness {
	t.Helper()
	o.PDNSRoot = os.Getenv("PDNS_ROOT")                      // another version, see docs/versions.md
	o.Backend = cmp.Or(o.Backend, os.Getenv("PDNS_BACKEND")) // another back end, see there
	if missing := lab.Missing(o.Backend); len(missing) > 0 {
		t.Fatalf("Debian packages are missing: apt-get install %s", strings.Join(missing, " "))
	}
	l, err := lab.Start(context.Background(), o)
	if err != nil {
		t.Fatalf("starting the lab: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Errorf("stopping the lab: %v", err)
		}
	})
	h := &harness{t: t, lab: l, backend: cmp.Or(o.Backend, lab.GSQLite3), late: map[string]bool{}, log: filepath.Join(t.TempDir(), "calls"), mode: filepath.Join(t.TempDir(), "mode"), random: rand.New(rand.NewPCG(1, 2)), patience: patience}
	h.config = h.writeConfig(margin, h.counted("pdnsutil", l.ChildPdnsutil()), h.counted("pdns_control", l.ChildControl()))
	return h
}

// counted wraps a command so that each call leaves a line in the log.
func (h *harness) counted(name string, command []string) []string {
	script := filepath.Join(h.t.TempDir(), name)
	text := fmt.Sprintf(`#!/bin/sh
echo %s "$@" >>%s
case " $* " in *-zone-key*) write=write ;; esac
case "$(cat %s 2>/dev/null) $write" in
"fail write") %[4]s "$@"; exit 1 ;;
"hang write") %[4]s "$@"; sleep 600 & sleep 600 ;;
"noise write") %[4]s "$@" >&2; printf '\033[2J%%s\n' "<html>502 Bad Gateway"; exit 0 ;;
"wait write") read gate <%[3]s.gate ;;
"garbage "*) printf '\033[2J%%s\n' "<html>502 Bad Gateway"; exit 0 ;;
"dead "*) echo "Error: Unable to launch gsqlite3 connection" >&2; exit 1 ;;
"talk "*) echo "Nov 23 12:48:30 gsqlite3: connection successful" ;;
esac
exec %[4]s "$@"
`, name, h.log, h.mode, strings.Join(command, " "))
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		h.t.Fatal(err)
	}
	return []string{script}
}

func (h *harness) writeConfig(margin string, pdnsutil, control []string) string {
	dir := h.t.TempDir()
	text := fmt.Sprintf(`
state = "%s/state/rollover.db"
[pdnsutil]
command = %s
control = %s
config_dir = "%s"
timeout = "5s"
max_lag = "0s"
[dns]
resolvers = ["%s"]
validators = ["%s"]
trust_anchors = "%s"
timeout = "500ms"
dont_query = []
[policy.default]
factor = 1.0
margin = "%s"
max_gap = "10s"
check_interval = "300ms"
[[zone]]
name = "*.lab.test"
servers = %s
servers_only = true
parent_servers = %s
`, dir, tomlList(pdnsutil), tomlList(control), h.lab.ChildConfigDir(), h.lab.Validator(), h.lab.Validator(), h.lab.AnchorFile(), margin,
		tomlList(h.lab.ChildServers()), tomlList(h.lab.ParentServers()))
	path := filepath.Join(dir, "rollover.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// setParents has the program ask other servers for the parent's.
func (h *harness) setParents(servers []string) {
	h.t.Helper()
	raw, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	text := strings.Replace(string(raw), "parent_servers = "+tomlList(h.lab.ParentServers()), "parent_servers = "+tomlList(servers), 1)
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

type outcome struct {
	stdout, stderr string
	code           int
}

func (o outcome) String() string {
	return fmt.Sprintf("exit %d\nstdout: %s\nstderr: %s", o.code, o.stdout, o.stderr)
}

func (h *harness) command(args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	cmd := exec.Command("rollover", append(args, "--config", h.config)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return cmd, &stdout, &stderr
}

// rollover runs the program to its end.
func (h *harness) rollover(args ...string) outcome {
	h.t.Helper()
	cmd, stdout, stderr := h.command(args...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatalf("running rollover %q: %v", args, err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs the program and fails the test unless it ends well.
func (h *harness) must(args ...string) outcome {
	h.t.Helper()
	o := h.rollover(args...)
	if o.code != 0 {
		h.t.Fatalf("rollover %s: %v", strings.Join(args, " "), o)
	}
	return o
}

// killed runs advance over zones and kills it with SIGKILL after a random time;
// false if it had ended by then.
func (h *harness) killed(zones []string) bool {
	h.t.Helper()
	cmd, _, _ := h.command(append([]string{"advance"}, zones...)...)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	timer := time.AfterFunc(time.Duration(5+h.random.IntN(120))*time.Millisecond, func() {
		_ = cmd.Process.Kill() // it may have ended by itself
	})
	err := cmd.Wait()
	timer.Stop()
	ended, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return err != nil && ok && ended.Signal() == syscall.SIGKILL
}

func (h *harness) status(zone string) rollover.Status {
	h.t.Helper()
	var out struct{ Rollovers []rollover.Status }
	o := h.must("status", zone, "--json")
	if err := json.Unmarshal([]byte(o.stdout), &out); err != nil {
		h.t.Fatalf("status --json: %v in %s", err, o.stdout)
	}
	return out.Rollovers[0]
}

// explained checks that status tells, between two advances, what is awaited and
// what to type.
func (h *harness) explained(zone string) rollover.Status {
	h.t.Helper()
	s := h.status(zone)
	if s.WaitingFor == "" || s.Command == "" && !s.State.Ended() || s.Blocked != nil {
		h.t.Errorf("%s at step %q: waiting for %q, command %q, trouble %+v, block %+v", zone, s.Step, s.WaitingFor, s.Command, s.Trouble, s.Blocked)
	}
	return s
}

// said is what status says of why it does not go on.
func said(s rollover.Status) string {
	if s.Trouble != nil {
		return s.Trouble.Text
	}
	return s.WaitingFor
}

// registrar does at the parent what ds asks for, unless it is late for the zone.
func (h *harness) registrar(zone string) {
	h.t.Helper()
	h.mu.Lock()
	late := h.late[zone]
	h.mu.Unlock()
	if h.driven || late || h.status(zone).OperatorAction == nil {
		return
	}
	var todo struct{ Add, Keep, Remove []struct{ DS string } }
	o := h.must("ds", zone, "--json")
	if err := json.Unmarshal([]byte(o.stdout), &todo); err != nil {
		h.t.Fatal(err)
	}
	var want []string
	for _, d := range slices.Concat(todo.Keep, todo.Add) {
		want = append(want, d.DS)
	}
	if h.registry != nil {
		want = h.registry(want)
	}
	now, err := h.lab.DS(context.Background(), zone)
	if err != nil {
		h.t.Fatal(err)
	}
	if equalDS(now, want) {
		return
	}
	if err := h.lab.SetDS(context.Background(), zone, want); err != nil {
		h.t.Fatal(err)
	}
}

const patience = 4 * time.Minute

// until advances, with the registrar doing its part, until a condition holds
// for every zone.
func (h *harness) until(what string, zones []string, advance func(), holds func(rollover.Status) bool) {
	h.t.Helper()
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for deadline := time.Now().Add(h.patience); ; <-pace.C {
		advance()
		all := true
		for _, zone := range zones {
			h.registrar(zone)
			all = all && holds(h.status(zone))
		}
		if all {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("not %s after %s: %v", what, h.patience, h.rollover(append([]string{"status"}, zones...)...))
		}
	}
}

func (h *harness) advance() { h.must("advance") }

func done(s rollover.Status) bool { return s.State == rollover.StateDone }

func at(step string) func(rollover.Status) bool {
	return func(s rollover.Status) bool { return s.Step == step }
}

// witnessed records the wire and asks the validator during f, and fails on any
// combination that a cache could have held and that does not validate, and on
// any SERVFAIL.
func (h *harness) witnessed(zones []string, f func()) {
	h.t.Helper()
	ctx := context.Background()
	recorder := h.lab.Record(ctx, zones...)
	askers := map[string]*lab.Asker{}
	for _, zone := range zones {
		askers[zone] = h.lab.Ask(ctx, zone)
	}
	f()
	findings := recorder.Stop()
	for _, v := range lab.Check(findings.Versions) {
		if v.Torn(findings.Versions) {
			h.t.Logf("not of our making: a secondary answered in the middle of a transfer: %v", v)
			continue
		}
		h.t.Errorf("a cache could have broken: %v", v)
	}
	if findings.Polls == 0 || len(findings.Versions) < 10*len(zones) {
		h.t.Errorf("the recorder saw too little: %d polls, %d versions", findings.Polls, len(findings.Versions))
	}
	for zone, asker := range askers {
		answers := asker.Stop()
		h.t.Logf("%s: %d answers of the validator, %d AD", zone, answers.Total, answers.AD)
		if answers.ServFail > 0 || answers.AD == 0 {
			h.t.Errorf("%s: %d SERVFAIL of %d answers, %d with AD; the first: %v", zone, answers.ServFail, answers.Total, answers.AD, answers.FirstServFail)
		}
	}
}

// calls is the lines of the log that fit a zone, without what is before the command.
func (h *harness) calls(zone string) []string {
	h.t.Helper()
	raw, err := os.ReadFile(h.log)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		_, rest, _ = strings.Cut(rest, "-- ")
		if strings.Contains(" "+rest+" ", " "+strings.TrimSuffix(zone, ".")+" ") || strings.Contains(rest, strings.TrimSuffix(zone, ".")+"$") {
			out = append(out, name+" "+rest)
		}
	}
	return out
}

// finished checks that a zone has only its new key beside the others, signing.
func (h *harness) finished(zone string) {
	h.t.Helper()
	s := h.status(zone)
	if s.State != rollover.StateDone || len(s.NewKeys) != 1 {
		h.t.Fatalf("%s is %s at %s", zone, s.State, s.Step)
	}
	out, err := h.lab.Pdnsutil(context.Background(), "show-zone", strings.TrimSuffix(zone, "."))
	if err != nil {
		h.t.Fatal(err)
	}
	if strings.Contains(out, fmt.Sprintf("tag = %d,", s.OldKeys[0].Tag)) || !strings.Contains(out, fmt.Sprintf("tag = %d,", s.NewKeys[0].Tag)) || strings.Contains(out, "Inactive") {
		h.t.Errorf("%s: old key %d, new key %d, but show-zone says:\n%s", zone, s.OldKeys[0].Tag, s.NewKeys[0].Tag, out)
	}
}
