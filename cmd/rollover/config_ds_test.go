package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollover/pdns"
	"rollover/rollover/hook"
	"rollover/rollover/parent"
)

// A zone takes what it leaves out from its policy, and that from the rest; the
// table of a driver is taken whole.
func TestDriverOfAZone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	text := `
[pdnsutil]
command = ["pdnsutil"]
config_dir = "/etc/child"
[ds]
driver = "exec"
exec.command = ["/bin/general"]
exec.timeout = "7s"
[policy.default.ds]
resubmit = "2h"
[policy.cloud.ds]
driver = "nsupdate"
nsupdate = {server = "192.0.2.1", key_file = "/k", zone = "Example", ttl = "2m"}
[[zone]]
name = "cloud.example"
policy = "cloud"
[[zone]]
name = "own.example"
policy = "cloud"
ds.driver = "exec"
ds.exec.command = ["/bin/own"]
[[zone]]
name = "hand.example"
ds.driver = "manual"
[[zone]]
name = "cds.example"
ds.driver = "cds"
ds.cds.cdnskey = false
[[zone]]
name = "signal.example"
ds.driver = "cds"
ds.deadline = "4m"
ds.cds.signal = true
ds.cds.signal_zones = ["Hosts.Example"]
ds.cds.private_targets = ["10.1.0.0/16", "::1"]
[[zone]]
name = "here.example"
ds.driver = "pdnsutil"
ds.pdnsutil.config_dir = "/etc/parent"
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := new(mouth).openFile(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	program := func(zone string) hook.Program { return w.setting(zone).Registrar.(*hook.Driver).Program }
	if p := program("other.example."); p.Command[0] != "/bin/general" || p.Timeout != 7*time.Second {
		t.Errorf("in general %+v", p)
	}
	if p := program("own.example."); p.Command[0] != "/bin/own" || p.Timeout != 0 {
		t.Errorf("a zone's own table %+v", p)
	}
	n := w.setting("cloud.example.").Registrar.(*parent.Nsupdate)
	if n.Server != "192.0.2.1" || n.Zone != "example." || n.TTL != 120 {
		t.Errorf("by policy %+v", n)
	}
	if s := w.setting("hand.example."); s.Registrar != nil || s.Driver != "manual" || s.Resubmit != 2*time.Hour || s.Policy.CDS {
		t.Errorf("by hand %+v", s)
	}
	s := w.setting("cds.example.")
	if c := s.Registrar.(*parent.CDS); !s.Policy.CDS || c.CDNSKEY || !c.Notify || c.Signal != nil || len(c.Validators) == 0 {
		t.Errorf("by CDS %+v, %+v", s, c)
	}
	if c := w.setting("signal.example.").Registrar.(*parent.CDS); c.Signal == nil || !c.CDNSKEY || fmt.Sprint(c.Private) != "[10.1.0.0/16 ::1/128]" || c.Ask == nil || c.Proven == nil || c.ProvenBy == nil {
		t.Errorf("by CDS with signals %+v", c)
	}
	if long, usual := w.setting("signal.example.").HandOver, s.HandOver; long != 4*time.Minute || usual != 90*time.Second {
		t.Errorf("deadlines %s and %s", long, usual)
	}
	p := w.setting("here.example.").Registrar.(*pdns.Parent)
	if p.ConfigDir != "/etc/parent" || p.Command[0] != "pdnsutil" || w.tool.ConfigDir != "/etc/child" || p.TTL != 0 {
		t.Errorf("by pdnsutil %+v", p)
	}
}

// What a driver may do to others is bounded, and named, before it runs.
func TestDriverThatMustNotRun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rollover.toml")
	for text, says := range map[string]string{
		"driver = \"cds\"\ncds.signal = true":                              "cds.signal = true needs cds.signal_zones",
		"driver = \"cds\"\ncds.signal_zones = [\"a b\"]":                   "cds.signal_zones",
		"driver = \"cds\"\ncds.private_targets = [\"lan\"]":                "cds.private_targets: \"lan\" is neither a network",
		"[dns]\ndont_query = [\"lan\"]":                                    "dns.dont_query: \"lan\" is neither a network",
		"deadline = \"5s\"":                                                "deadline must be from 10s to 10m0s",
		"deadline = \"11m\"":                                               "deadline must be from 10s to 10m0s",
		"driver = \"exec\"\nexec = {command = [\"/x\"], timeout = \"2m\"}": "exec.timeout = 2m0s is longer than the deadline of a change, 1m30s",
	} {
		if err := os.WriteFile(path, []byte("[ds]\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadConfig(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A secret is read from a file that is nobody else's.
func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := readSecret(path); err != nil || string(text) != "s3cret\n" {
		t.Errorf("%q, %v", text, err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{link, dir, filepath.Join(dir, "missing")} {
		if _, err := readSecret(bad); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := readSecret(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if _, err := readSecret(path); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
			t.Errorf("of somebody else: %v", err)
		}
	}
}
