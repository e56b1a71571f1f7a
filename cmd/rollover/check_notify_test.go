package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rollover/rollover/lab"
)

// A zone that falls ill, is found by several checks at once, becomes well again,
// and falls ill while the program that tells does not work: it is told once each
// time, a rollover has no part in it, and check says what it says without.
func TestCheckNotifyEndToEnd(t *testing.T) {
	t.Parallel()
	zone := "split.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, TTL: 1, Minimum: 1, SOATTL: 1}}})
	log, broken := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "broken")
	h.configure(fmt.Sprintf("\n[notify]\nexec.command = [%q]\n", h.write("notify", fmt.Sprintf(`#!/bin/sh
[ ! -e %s ] || { echo "no line" >&2; exit 1; }
echo "$ROLLOVER_EVENT $ROLLOVER_ZONE $ROLLOVER_SOURCE $ROLLOVER_SEVERITY $ROLLOVER_REPEAT" >>%s
`, broken, log), 0o700)))
	check := func(more ...string) outcome {
		return h.rollover(append([]string{"check", zone, "--sntp", timeServer(t, 0)}, more...)...)
	}
	until := func(code int, text string) {
		t.Helper()
		h.await(text, func() bool { o := check(); return o.code == code && strings.Contains(o.stdout, text) })
	}
	is := func(want ...string) {
		t.Helper()
		raw, err := os.ReadFile(log)
		if got := strings.TrimSuffix(string(raw), "\n"); got != strings.Join(want, "\n") || err != nil && len(want) > 0 {
			t.Errorf("told %q, expected %q (%v)", got, want, err)
		}
	}
	// told runs check with --notify, which must be like check without.
	told := func(stderr string) {
		t.Helper()
		without, o := check(), check("--notify")
		if o.code != without.code || withoutTimes(o.stdout) != withoutTimes(without.stdout) || !strings.Contains(o.stderr, stderr) || stderr == "" && o.stderr != "" {
			t.Errorf("with --notify: %v\nwithout: %v", o, without)
		}
	}
	ds, err := h.lab.DS(t.Context(), zone)
	if err != nil {
		t.Fatal(err)
	}
	set := func(ds []string) {
		t.Helper()
		if err := h.lab.SetDS(t.Context(), zone, ds); err != nil {
			t.Fatal(err)
		}
	}
	const ill, well = "check-failed split.lab.test. check warning 0", "recovered split.lab.test. check  0"
	state := filepath.Join(filepath.Dir(h.config), "state")
	until(0, "zone well")
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("check without --notify made the state directory: %v", err)
	}
	told("")
	is()
	h.must("advance", "--json") // which does not call over what check finds
	set(nil)
	until(1, "the parent has no DS")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { check("--notify") })
	}
	wg.Wait()
	told("")
	h.must("advance")
	is(ill)
	if o := h.must("notify"); !strings.Contains(o.stdout, "open       split.lab.test. check-failed (warning, by check) since") {
		t.Errorf("notify: %v", o)
	}
	set(ds)
	until(0, "zone well")
	told("")
	told("")
	is(ill, well)
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	set(nil)
	until(1, "the parent has no DS")
	told("rollover: notification by exec failed: exit code 1: no line; it is tried again, and rollovers go on")
	told("") // which is told once a day
	is(ill, well)
	if o := h.must("notify"); !strings.Contains(o.stdout, `waiting    split.lab.test. check-failed for ["exec"]`) {
		t.Errorf("notify: %v", o)
	}
}

// withoutTimes is the output of check without what differs from second to second.
func withoutTimes(text string) string {
	out, _, _ := strings.Cut(text, " rrsig_expiry=")
	return out
}

// A file that cannot be written, nothing to tell
// with: said on stderr, and the verdict stays.
func TestCheckNotifyInTrouble(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct{ notify, want string }{
		"no channel": {"", "no notification is configured"},
		"no event":   {`notify = { events = ["done"], exec.command = ["/bin/true"] }`, "check-failed is not among the events"},
		"no state":   {`notify.exec.command = ["/bin/true"]`, "make the directories above it first"},
	} {
		config := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".toml")
		text := c.notify + "\nstate = \"" + dir + "/no/such/rollover.db\"\ndns.resolvers = [\"127.0.0.1:9\"]\ndns.timeout = \"100ms\"\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var plain, stdout, stderr strings.Builder
		args := func(more ...string) []string {
			return append([]string{"rollover", "check", "example.test", "--config", config, "--sntp", timeServer(t, 0)}, more...)
		}
		without := run(t.Context(), args(), &plain, &stderr)
		code := run(t.Context(), args("--notify"), &stdout, &stderr)
		if code != without || stdout.String() != plain.String() || code == 0 || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; without: %d, %q", name, code, stdout.String(), stderr.String(), without, plain.String())
		}
	}
}
