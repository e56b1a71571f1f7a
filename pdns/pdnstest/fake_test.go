package pdnstest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rollover/pdns/pdnstest"
	"rollover/rollover"
)

// transcript is what 4.7.3 printed for a command: exit code, stdout, stderr.
func transcript(t *testing.T, name string) (rc, stdout, stderr string) {
	t.Helper()
	paths, err := filepath.Glob("../testdata/" + pdnstest.Version + "/" + name + "-*.txt")
	if err != nil || len(paths) != 1 {
		t.Fatalf("transcript %s: found %q, %v", name, paths, err)
	}
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`(?m)^-- \w+ --\n`).Split(string(text), -1)
	return strings.TrimSpace(parts[1]), parts[2], parts[3]
}

// run runs the fake as a function.
func run(dir, program string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = pdnstest.Run(program, append([]string{"--config-dir=" + dir, "--"}, args...), &out, &err)
	return code, out.String(), err.String()
}

// check compares a command of the fake with a transcript, byte by byte.
func check(t *testing.T, dir, name, line string) {
	t.Helper()
	rc, stdout, stderr := transcript(t, name)
	code, out, errs := run(dir, "pdnsutil", strings.Fields(line)...)
	if strconv.Itoa(code) != rc || out != stdout || errs != stderr {
		t.Errorf("%s:\ngot  %d %q %q\nwant %s %q %q", line, code, out, errs, rc, stdout, stderr)
	}
}

// listed is the keys that a transcript of show-zone lists with public key.
func listed(t *testing.T, name string) []rollover.Key {
	t.Helper()
	_, stdout, _ := transcript(t, name)
	pattern := regexp.MustCompile(`ID = (\d+) \(CSK\), flags = (\d+), .* algo = (\d+), bits = (\d+)\t *(\w+)\t *(\w+) .*\nCSK DNSKEY = \S+ IN DNSKEY \d+ 3 \d+ (\S+) `)
	var out []rollover.Key
	for _, m := range pattern.FindAllStringSubmatch(stdout, -1) {
		var k rollover.Key
		if _, err := fmt.Sscan(strings.Join(m[1:5], " "), &k.ID, &k.Flags, &k.Algorithm, &k.Bits); err != nil {
			t.Fatal(err)
		}
		k.Active, k.Published, k.PublicKey = m[5] == "Active", m[6] == "Published", m[7]
		out = append(out, k)
	}
	return out
}

func soa(zone string, serial int) pdnstest.Record {
	return pdnstest.Record{Name: zone, TTL: 3600, Type: "SOA", Content: fmt.Sprintf("a.misconfigured.dns.server.invalid. hostmaster.%s. %d 10800 3600 604800 3600", zone, serial)}
}

// The fake prints exactly what 4.7.3 printed for the same keys.
func TestShowZoneAsPowerDNS(t *testing.T) {
	for _, c := range []struct {
		name string
		zone pdnstest.Zone
	}{
		{"066", pdnstest.Zone{Name: "example.com"}},
		{"073", pdnstest.Zone{Name: "example.com"}},
		{"084", pdnstest.Zone{Name: "zonly.test"}},
		{"092", pdnstest.Zone{Name: "mixed.test"}},
		{"195", pdnstest.Zone{Name: "state.test"}},
		{"300", pdnstest.Zone{Name: "imp.test"}},
		{"320", pdnstest.Zone{Name: "example.com", Kind: rollover.KindMaster, Records: []pdnstest.Record{soa("example.com", 2026115276)}}},
		{"325", pdnstest.Zone{Name: "pre.test", Metadata: map[string][]string{"PRESIGNED": {"1"}}}},
		{"338", pdnstest.Zone{Name: "sec.test", Kind: rollover.KindSlave, NoSOA: true, Primaries: []string{"127.0.0.1:5499", "127.0.0.2:53"}}},
		{"341", pdnstest.Zone{Name: "sec.test", Kind: rollover.KindSlave, NoSOA: true, Primaries: []string{"127.0.0.1:5499", "127.0.0.2:53"}}},
		{"347", pdnstest.Zone{Name: "sec.test", Kind: rollover.KindSlave, Primaries: []string{"127.0.0.1:5499", "127.0.0.2:53"}, Records: []pdnstest.Record{soa("sec.test", 7)}}},
		{"412", pdnstest.Zone{Name: "."}},
		{"902", pdnstest.Zone{Name: "ids.test"}},
	} {
		dir := t.TempDir()
		c.zone.Keys = listed(t, c.name)
		if err := pdnstest.Init(dir, c.zone); err != nil {
			t.Fatal(err)
		}
		check(t, dir, c.name, "show-zone "+c.zone.Name)
	}
}

func TestCommandsAsPowerDNS(t *testing.T) {
	dir := t.TempDir()
	ns := pdnstest.Record{Name: "example.com", TTL: 3600, Type: "NS", Content: "ns1.example.com."}
	presigned := pdnstest.Zone{Name: "pre.test", Metadata: map[string][]string{"PRESIGNED": {"1"}}}
	err := pdnstest.Init(dir, presigned,
		pdnstest.Zone{Name: "example.com", Records: []pdnstest.Record{ns, soa("example.com", 0)}},
		pdnstest.Zone{Name: "wrap.test", Records: []pdnstest.Record{soa("wrap.test", 4294967295)}},
		pdnstest.Zone{Name: "keys.test", Keys: []rollover.Key{{ID: 10}}}, pdnstest.Zone{Name: "state.test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, line string }{
		{"056", "list-zone example.com"},
		{"093", "add-zone-key keys.test zsk inactive published ecdsa256"},
		{"103", "add-zone-key keys.test zsk rsasha256"},
		{"123", "add-zone-key nozone.test zsk"},
		{"139", "activate-zone-key state.test 9999"},
		{"151", "deactivate-zone-key state.test 0"},
		{"175", "remove-zone-key state.test 9999"},
		{"211", "increase-serial nozone.test"},
		{"218", "increase-serial wrap.test"},
		{"305", "list-zone nozone.test"},
		{"306", "show-zone nozone.test"},
		{"332", "increase-serial pre.test"},
	} {
		check(t, dir, c.name, c.line)
	}
}

// Commands that run at the same time each get an id of their own.
func TestConcurrentCommands(t *testing.T) {
	dir := t.TempDir()
	if err := pdnstest.Init(dir, pdnstest.Zone{Name: "a.test"}); err != nil {
		t.Fatal(err)
	}
	const n = 20
	ids := make([]string, n)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() { _, ids[i], _ = run(dir, "pdnsutil", "add-zone-key", "a.test", "zsk") })
	}
	all.Wait()
	slices.Sort(ids)
	if slices.Contains(ids, "") || len(slices.Compact(ids)) != n {
		t.Errorf("ids are %q", ids)
	}
}

func TestMetadata(t *testing.T) {
	dir := t.TempDir()
	if err := pdnstest.Init(dir, pdnstest.Zone{Name: "a.test"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, want string }{
		{"set-meta a.test X-B one two", "Set 'a.test' meta X-B = one, two\n"},
		{"get-meta a.test X-B X-NOPE", "Metadata for 'a.test'\nX-B = one, two\nX-NOPE = \n"},
		{"set-meta a.test X-A 1", "Set 'a.test' meta X-A = 1\n"},
		{"get-meta a.test", "Metadata for 'a.test'\nX-A = 1\nX-B = one, two\n"},
		{"set-meta a.test X-B", "Set 'a.test' meta X-B = \n"},
		{"get-meta a.test", "Metadata for 'a.test'\nX-A = 1\n"},
	} {
		if code, out, errs := run(dir, "pdnsutil", strings.Fields(c.line)...); code != 0 || out != c.want {
			t.Errorf("%s: %d %q %q, want %q", c.line, code, out, errs, c.want)
		}
	}
}

// Tests of others rely on these switches, and on the list of calls.
func TestSwitches(t *testing.T) {
	dir := t.TempDir()
	if err := pdnstest.Init(dir, pdnstest.Zone{Name: "a.test"}); err != nil {
		t.Fatal(err)
	}
	_, queued, _ := run(dir, "pdns_control", "notify", "a.test")
	err := pdnstest.Update(dir, func(s *pdnstest.State) error { s.NotPrimary = true; return nil })
	_, refused, _ := run(dir, "pdns_control", "notify", "a.test")
	if err != nil || queued != "Added to queue\n" || !strings.HasPrefix(refused, "PowerDNS not configured as primary") {
		t.Errorf("%v; notify answers %q, then %q", err, queued, refused)
	}
	stop := errors.New("stop")
	err = pdnstest.Update(dir, func(s *pdnstest.State) error {
		if got, want := s.Calls, []string{"notify a.test", "notify a.test"}; !slices.Equal(got, want) {
			t.Errorf("calls are %q, want %q", got, want)
		}
		s.Zones = nil
		return stop
	})
	if code, _, _ := run(dir, "pdnsutil", "show-zone", "a.test"); code != 0 || !errors.Is(err, stop) {
		t.Errorf("a change that was given up gave %v, and exit code %d afterwards", err, code)
	}
}

// Without a state it fails like PowerDNS without a configuration.
func TestNoState(t *testing.T) {
	code, _, errs := run(t.TempDir(), "pdnsutil", "show-zone", "a.test")
	if code != 1 || !strings.Contains(errs, "No database backends configured for launch") {
		t.Errorf("pdnsutil: %d %q", code, errs)
	}
	code, _, errs = run(t.TempDir(), "pdns_control", "purge", "a.test$")
	if code != 1 || !strings.Contains(errs, "Unable to connect to remote") {
		t.Errorf("pdns_control: %d %q", code, errs)
	}
	if err := pdnstest.Update(t.TempDir(), func(*pdnstest.State) error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Update gave %v", err)
	}
}

// The state file is for people too.
func TestStateIsJSON(t *testing.T) {
	dir := t.TempDir()
	if err := pdnstest.Init(dir, pdnstest.Zone{Name: "A.test", Keys: []rollover.Key{{Flags: rollover.FlagsKSK, Active: true}}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "fake.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s pdnstest.State
	if err := json.Unmarshal(text, &s); err != nil || s.Zones[0].Name != "a.test." || s.Zones[0].Keys[0].PublicKey == "" {
		t.Errorf("state is %+v, %v", s, err)
	}
}
