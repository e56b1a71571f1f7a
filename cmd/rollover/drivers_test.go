package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// The drivers against real parents. Nobody but the driver changes a DS set, and
// the wire and a validator are watched as in all end-to-end tests.

// configure adds to the configuration; a driver asks the parent from now on.
func (h *harness) configure(text string) {
	h.t.Helper()
	h.driven = true
	file, err := os.OpenFile(h.config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("\n" + text); err != nil {
		h.t.Fatal(err)
	}
}

// write makes a file of the test's own.
func (h *harness) write(name, text string, mode os.FileMode) string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// told checks that the history of a zone tells these things in this order.
func (h *harness) told(zone string, want ...string) {
	h.t.Helper()
	text := h.must("history", zone).stdout
	rest := text
	for _, w := range want {
		_, after, found := strings.Cut(rest, w)
		if !found {
			h.t.Fatalf("the history of %s does not tell %q in its place:\n%s", zone, w, text)
		}
		rest = after
	}
}

// pair is a zone for each type of rollover that a parent takes part in.
func pair() (lab.Options, map[string]string) {
	o := lab.Options{DSTTL: 2, Zones: []lab.Zone{
		{Name: "ksk.lab.test.", Layout: lab.Split, TTL: 1, Minimum: 2, SOATTL: 1},
		{Name: "csk.lab.test.", Layout: lab.CSK, TTL: 2, Minimum: 1, SOATTL: 1},
	}}
	return o, map[string]string{"ksk.lab.test.": "ksk", "csk.lab.test.": "csk"}
}

// A program that is told to come back later, fails, hangs, claims to have done
// what it has not, and at last does it on the parent's PowerDNS.
func TestExecDriver(t *testing.T) {
	t.Parallel()
	o, types := pair()
	h := newHarness(t, "2s", o)
	util := strings.Join(h.lab.ChildPdnsutil(), " ") + " --config-dir=" + h.lab.ParentConfigDir()
	control := strings.Join(h.lab.ChildControl(), " ") + " --config-dir=" + h.lab.ParentConfigDir()
	keys := filepath.Join(t.TempDir(), "keys")
	program := h.write("registrar", fmt.Sprintf(`#!/bin/sh
echo "$ROLLOVER_ZONE $ROLLOVER_ATTEMPT $ROLLOVER_IDEMPOTENCY_KEY" >>%[4]s
case $ROLLOVER_ATTEMPT in
1) echo maintenance; exit 75 ;;
2) echo bad password >&2; exit 1 ;;
3) sleep 600 ;;
4) echo order 4711; exit 0 ;;
esac
util() { %[2]s "$@"; }
control() { %[3]s "$@"; }
rest="$ROLLOVER_DS_SET
"
set --
while [ -n "$rest" ]; do
  set -- "$@" "${rest%%%%
*}"
  rest="${rest#*
}"
done
case $(util --version) in
*" 4."*) owner="${ROLLOVER_ZONE%%.%[1]s}" ;;
*) owner="$ROLLOVER_ZONE" ;;
esac
util replace-rrset lab.test "$owner" DS 2 "$@" && util rectify-zone lab.test && util increase-serial lab.test &&
control purge 'lab.test$' && control notify lab.test
`, h.lab.Parent(), util, control, keys), 0o700)
	h.configure(fmt.Sprintf(`
[ds]
driver = "exec"
resubmit = "1s"
exec.command = ["%s"]
exec.timeout = "1s"
`, program))
	all := names(types)
	h.witnessed(all, func() {
		h.start(types)
		h.until("done", all, h.lenient, done)
	})
	raw, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	distinct := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		distinct[strings.Fields(line)[2]] = true
	}
	if len(distinct) != 4 {
		t.Errorf("%d idempotency keys for two changes of two zones:\n%s", len(distinct), raw)
	}
	for _, zone := range all {
		h.finished(zone)
		h.told(zone, "add DS", "exec will be asked again: maintenance", "exec failed: exit code 1: bad password", "exec failed: timed out and was killed",
			"exec accepted the change: order 4711", "remove DS", "exec accepted the change: order 4711", "rollover done")
	}
}

// needsBIND fails the test where BIND is not installed.
func needsBIND(t *testing.T) {
	t.Helper()
	if missing := lab.MissingBIND(); len(missing) > 0 {
		t.Fatalf("Debian packages are missing: apt-get install %s", strings.Join(missing, " "))
	}
}

// Dynamic updates signed with TSIG, at a BIND that signs the parent zone.
func TestNsupdateDriver(t *testing.T) {
	t.Parallel()
	needsBIND(t)
	o, types := pair()
	o.BIND = true
	h := newHarness(t, "2s", o)
	wrong := h.write("wrong.key", "key \"rollover\" { algorithm hmac-sha256; secret \"d3Jvbmcgd3Jvbmcgd3Jvbmc=\"; };\n", 0o600)
	h.configure(fmt.Sprintf(`
[ds]
driver = "nsupdate"
nsupdate.server = "%s"
nsupdate.key_file = "%s"
`, h.lab.ParentServers()[0], wrong))
	all := names(types)
	h.witnessed(all, func() {
		h.start(types)
		h.until("refused", all, h.lenient, func(s rollover.Status) bool {
			return s.Submission != nil && s.Submission.State == rollover.SubmissionFailed && strings.Contains(s.WaitingFor, "the TSIG key does not fit")
		})
		secret, err := os.ReadFile(h.lab.UpdateKeyFile())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(wrong, secret, 0o600); err != nil {
			t.Fatal(err)
		}
		h.until("done", all, h.lenient, done)
	})
	for _, zone := range all {
		h.finished(zone)
		h.told(zone, "the driver nsupdate failed: refused", "the driver nsupdate accepted the change: updated at", "rollover done")
	}
}

// DS records written with pdnsutil into the parent zone of a PowerDNS; a DS of
// somebody else at the same name stays.
func TestPdnsutilDriver(t *testing.T) {
	t.Parallel()
	o, types := pair()
	h := newHarness(t, "2s", o)
	h.configure(fmt.Sprintf(`
[ds]
driver = "pdnsutil"
pdnsutil.config_dir = "%s"
`, h.lab.ParentConfigDir()))
	ctx := context.Background()
	foreign := "4711 13 2 " + strings.Repeat("ab", 32)
	all := names(types)
	for _, zone := range all {
		set, err := h.lab.DS(ctx, zone)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.lab.SetDS(ctx, zone, append(set, foreign)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.lab.FlushValidator(ctx); err != nil {
		t.Fatal(err)
	}
	h.witnessed(all, func() {
		h.start(types)
		h.until("done", all, h.advance, done)
	})
	for _, zone := range all {
		h.finished(zone)
		h.told(zone, "the driver pdnsutil accepted the change: written into zone lab.test.", "rollover done")
		set, err := h.lab.DS(ctx, zone)
		if err != nil || len(set) != 2 || !slices.ContainsFunc(set, func(d string) bool { return strings.EqualFold(d, foreign) }) {
			t.Errorf("%s: DS %q, %v: the foreign one must stay, beside the new one", zone, set, err)
		}
	}
}
