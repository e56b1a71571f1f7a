package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// checked runs check in this process.
func checked(t *testing.T, config string, args ...string) (stdout string, code int) {
	t.Helper()
	var out, errs strings.Builder
	args = append([]string{"--sntp", timeServer(t, 0), "--config", config}, args...)
	code = run(context.Background(), append([]string{"rollover", "check"}, args...), &out, &errs)
	if errs.Len() > 0 {
		t.Errorf("check %q says on stderr: %s", args, errs.String())
	}
	return out.String(), code
}

func checkups(t *testing.T, config string, args ...string) (map[string]rollover.Checkup, int) {
	t.Helper()
	stdout, code := checked(t, config, append(args, "--json")...)
	var out struct{ Zones []rollover.Checkup }
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		t.Fatalf("check --json: %v in %s", err, stdout)
	}
	byZone := map[string]rollover.Checkup{}
	for _, c := range out.Zones {
		byZone[c.Zone] = c
	}
	return byZone, code
}

func has(c rollover.Checkup, code string, severity rollover.Severity) bool {
	return slices.ContainsFunc(c.Findings, func(f rollover.Finding) bool { return f.Code == code && f.Severity == severity })
}

// What check says of zones that are broken on real servers, and of healthy ones.
func TestCheckOfBrokenZones(t *testing.T) {
	t.Parallel()
	_, seeds, config := brokenLab(t)
	type verdict struct {
		severity rollover.Severity
		code     string
	}
	const ok, warning, critical = rollover.SeverityOK, rollover.SeverityWarning, rollover.SeverityCritical
	expected := map[string]verdict{
		"split": {ok, ""}, "csk": {ok, ""}, "nsec3": {ok, ""}, "rsasha256": {ok, ""}, "ed25519": {ok, ""}, "unsigned": {ok, rollover.FindingUnsigned},
		"ds-without-dnskey": {critical, rollover.FindingChain}, "ds-missing": {warning, rollover.FindingNoDS}, "ds-algorithm-typed": {critical, rollover.FindingChain},
		"ds-digest-typo": {critical, rollover.FindingChain}, "unsigned-with-ds": {critical, rollover.FindingKeys}, "zsk-unpublished": {critical, rollover.FindingData},
		"ksk-inactive": {critical, rollover.FindingChain}, "expired-data": {critical, rollover.FindingData}, "expired-all": {critical, rollover.FindingChain},
		"future-data": {critical, rollover.FindingData}, "secondary-unsigned": {critical, rollover.FindingKeys}, "secondary-lagging": {critical, rollover.FindingChain},
		"secondary-lame": {warning, rollover.FindingSilent}, "secondary-silent": {warning, rollover.FindingSilent}, "expiring-soon": {critical, rollover.FindingExpiry},
		"rsasha1": {warning, rollover.FindingWeak}, "ds-sha1": {warning, rollover.FindingWeak}, "ds-of-two-algorithms": {warning, rollover.FindingAlgorithm},
		"nsec3-salted": {ok, ""}, "nsec3-optout": {ok, ""}, "nsec3-narrow": {ok, ""}, "names": {ok, ""}, "island.unsigned.delegations": {warning, rollover.FindingParent}, "delegations": {ok, ""}, "presigned": {ok, ""},
		"denial-unrectified": {critical, rollover.FindingDenial}, "denial-nsec3-unrectified": {critical, rollover.FindingDenial},
	}
	var zones []string
	for _, s := range seeds {
		if _, ok := expected[s.Code]; ok {
			zones = append(zones, s.Zone)
		}
	}
	got, code := checkups(t, config, zones...)
	if code != 2 {
		t.Errorf("expected exit code 2 for CRITICAL, got %d", code)
	}
	for _, s := range seeds {
		want, ok := expected[s.Code]
		c := got[s.Zone]
		if ok && (c.Severity != want.severity || want.code != "" && !has(c, want.code, want.severity)) {
			t.Errorf("%s: expected %s with %q, got %s: %+v", s.Code, want.severity, want.code, c.Severity, c.Findings)
		}
		bogus := slices.ContainsFunc(c.Findings, func(f rollover.Finding) bool { return f.Code == rollover.FindingBogus })
		everywhere := len(s.Servers) == 0 && c.Severity == rollover.SeverityCritical && s.Code != "expiring-soon" && want.code != rollover.FindingDenial
		if ok && bogus != everywhere {
			t.Errorf("%s: the validator finds it bogus: %t, expected %t: %+v", s.Code, bogus, everywhere, c.Findings)
		}
	}
	checkFirstLine(t, config, "split.lab.test.", 0, `^ROLLOVER OK - 1 zone well \| zones=1 warning=0 critical=0 unknown=0 rrsig_expiry=\d+s;432000:;259200:$`)
	checkFirstLine(t, config, "ds-missing.lab.test.", 1, `^ROLLOVER WARNING - ds-missing\.lab\.test\.: the zone is signed, and the parent has no DS`)
	checkFirstLine(t, config, "expired-all.lab.test.", 2, `^ROLLOVER CRITICAL - expired-all\.lab\.test\.: `)
	checkPrometheus(t, config)
	usesOfValidators(t, config)
}

func checkFirstLine(t *testing.T, config, zone string, code int, pattern string) {
	t.Helper()
	out, got := checked(t, config, zone)
	first, _, _ := strings.Cut(out, "\n")
	if got != code || !regexp.MustCompile(pattern).MatchString(first) {
		t.Errorf("check %s: exit %d, first line %q, expected %d and %s", zone, got, first, code, pattern)
	}
}

// The file of the textfile collector: in the format, whole, and for all to read.
func checkPrometheus(t *testing.T, config string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rollover.prom")
	out, code := checked(t, config, "split.lab.test.", "ds-missing.lab.test.", "--format", "prometheus", "--output", path)
	if code != 1 || !strings.HasPrefix(out, "ROLLOVER WARNING - ") {
		t.Errorf("with --output: exit %d, %q", code, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode %o, expected 0644", info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) rollover_[a-z_]+ .+|rollover_[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? \d+)$`)
	for text := range strings.Lines(string(raw)) {
		if !line.MatchString(strings.TrimSuffix(text, "\n")) {
			t.Errorf("not in the text exposition format: %q", text)
		}
	}
	for _, want := range []string{
		`rollover_chain_status{zone="split.lab.test."} 0`, `rollover_chain_status{zone="ds-missing.lab.test."} 1`, `rollover_chain_secure{zone="split.lab.test."} 1`,
		`rollover_ds_parent_servers{zone="ds-missing.lab.test.",match="missing"} 2`, `rollover_findings{zone="ds-missing.lab.test.",code="ds-missing",severity="warning"} 1`,
		`rollover_active{zone="split.lab.test."} 0`,
	} {
		if !strings.Contains(string(raw), want+"\n") {
			t.Errorf("expected %s in\n%s", want, raw)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A resolver that is authoritative, one that does not validate, and one that is
// dead are named as such.
func usesOfValidators(t *testing.T, config string) {
	t.Helper()
	raw, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`validators = \["(127\.0\.53\.\d+):(\d+)"\]`).FindStringSubmatch(string(raw))
	if address == nil {
		t.Fatal("no validator in the configuration")
	}
	for host, want := range map[string]string{"127.0.53.3": "is authoritative", "127.0.53.13": "never sets AD", "127.0.53.99": "connection refused"} {
		text := regexp.MustCompile(`validators = \["[^"]*"\]`).ReplaceAllString(string(raw), fmt.Sprintf(`validators = ["%s:%s"]`, host, address[2]))
		path := filepath.Join(t.TempDir(), "other.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, code := checkups(t, path, "split.lab.test.")
		c := got["split.lab.test."]
		if code != 1 || len(c.Findings) != 1 || c.Findings[0].Code != rollover.FindingValidator || !strings.Contains(c.Findings[0].Text, want) {
			t.Errorf("validator %s: exit %d, findings %+v, expected %q", host, code, c.Findings, want)
		}
	}
}

// A running rollover: what its plan makes happen is no fault, and what is wrong
// with it is one.
func TestCheckKnowsRollovers(t *testing.T) {
	t.Parallel()
	zone := "known.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Zones: []lab.Zone{{Name: zone, TTL: 2, Minimum: 2, SOATTL: 2}}})
	if err := h.lab.HoldChild2(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	h.must("start", zone, "--type", "ksk")
	if o := h.rollover("check", zone, "--verbose", "--sntp", timeServer(t, 0)); o.code != 0 || !strings.Contains(o.stdout, `ksk rollover at step "publish"`) {
		t.Errorf("while the new key spreads: %v", o)
	}
	if err := h.lab.HoldChild2(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if o := h.must("status", zone, "--verbose"); !strings.Contains(o.stdout, "if leaked    KSK or CSK out 4s after the rollover starts") {
		t.Errorf("status -v does not say how long a leaked key is of use: %v", o)
	}
	h.late[zone] = true
	h.until("asked for a DS", []string{zone}, h.advance, at("submit"))
	h.until("pending for a second", []string{zone}, h.advance, func(rollover.Status) bool {
		o := h.rollover("check", "--pending", "1s", "--sntp", timeServer(t, 0))
		return o.code == 1 && strings.Contains(o.stdout, "waits for you since")
	})
	h.pdnsutil(t.Context(), "add-zone-key", "known.lab.test", "zsk", "256", "inactive", "published", "ecdsa256")
	h.until("blocked", []string{zone}, h.lenient, func(s rollover.Status) bool { return s.State == rollover.StateBlocked })
	if o := h.rollover("check", zone); o.code != 2 || !strings.Contains(o.stdout, "rollover is blocked") {
		t.Errorf("blocked: %v", o)
	}
	for _, words := range [][]string{{"create-zone", "catalog.invalid"}, {"create-zone", "closed.invalid"}, {"set-kind", "catalog.invalid", "producer"}} {
		if out, err := h.lab.Pdnsutil(t.Context(), words...); err != nil {
			t.Fatalf("pdnsutil %q: %v %s", words, err, out)
		}
	}
	if o := h.rollover("check", "--all"); o.code != 2 || !strings.Contains(o.stdout, "| zones=2 ") || strings.Contains(o.stdout, "catalog.invalid") {
		t.Errorf("check --all: %v", o)
	}
	h.append("[[zone]]\nname = \"closed.invalid\"\ncheck = false\n")
	if o := h.rollover("check", "--all"); o.code != 2 || !strings.Contains(o.stdout, "| zones=1 ") {
		t.Errorf("check --all without one of check = false: %v", o)
	}
	if o := h.rollover("check", "closed.invalid"); !strings.Contains(o.stdout, "| zones=1 ") {
		t.Errorf("check of one of check = false, by its name: %v", o)
	}
}

// Failures of check itself are UNKNOWN, with a first line, never a usage text.
func TestCheckOfNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "rollover.toml")
	text := fmt.Sprintf("state = %q\n[dns]\nresolvers = [\"127.0.0.1:9\"]\nvalidators = []\ntimeout = \"100ms\"\n", filepath.Join(dir, "state", "rollover.db"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"example.com"}, {}, {"--bogus"}, {"--format", "xml", "example.com"}, {"-w", "2", "-c", "3", "example.com"}, {"-t", "soon", "example.com"},
		{"--all", "example.com"}, {"a..b"}, {"--config", "/nowhere.toml", "example.com"},
	} {
		out, code := checked(t, config, args...)
		if code != 3 || !strings.HasPrefix(out, "ROLLOVER UNKNOWN - ") {
			t.Errorf("check %q: exit %d, %q", args, code, out)
		}
	}
}

// timeServer answers one SNTP question (RFC 4330) with a clock that is off.
func timeServer(t *testing.T, offset time.Duration) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		packet := make([]byte, 48)
		n, from, err := conn.ReadFrom(packet)
		if err != nil || n < 48 {
			return // the test is over
		}
		now := uint64(time.Now().Add(offset).Unix()+2208988800) << 32
		copy(packet[24:32], packet[40:48]) // originate
		packet[0], packet[1] = 4<<3|4, 1   // version 4, server; stratum 1
		copy(packet[12:16], "TEST")
		binary.BigEndian.PutUint64(packet[16:], now)
		binary.BigEndian.PutUint64(packet[32:], now)
		binary.BigEndian.PutUint64(packet[40:], now)
		_, _ = conn.WriteTo(packet, from) // a lost answer fails the test
	}()
	return conn.LocalAddr().String()
}

func TestClockAgainstATimeServer(t *testing.T) {
	t.Parallel()
	for offset, want := range map[time.Duration]rollover.Severity{0: "", 2 * time.Minute: rollover.SeverityWarning, -time.Hour: rollover.SeverityCritical} {
		got := clockFindings(t.Context(), timeServer(t, offset))
		if want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Severity != want || got[0].Code != rollover.FindingClock {
			t.Errorf("off by %s: %+v", offset, got)
		}
	}
	for _, f := range clockFindings(t.Context(), "") { // this machine may be anything, but never a critical one
		if f.Severity != rollover.SeverityWarning {
			t.Errorf("by the kernel alone: %+v", f)
		}
	}
}
