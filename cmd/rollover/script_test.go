package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"rollover/pdns/pdnstest"
	"rollover/rollover"
)

// The scripts show what an operator sees: the exact sentence, the exit code,
// and that nothing was changed. PowerDNS is the fake that passes the contract of
// the real one; no name server is there, and none is asked outside loopback.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error { return setUp(env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"keys":  keyList,
		},
	})
}

// setUp makes a PowerDNS with one zone of each sort and a configuration.
func setUp(env *testscript.Env) error {
	pdns := filepath.Join(env.WorkDir, "pdns")
	if err := os.Mkdir(pdns, 0o700); err != nil {
		return err
	}
	split := []rollover.Key{
		{Flags: 257, Algorithm: 13, Bits: 256, Active: true, Published: true},
		{Flags: 256, Algorithm: 13, Bits: 256, Active: true, Published: true},
	}
	err := pdnstest.Init(pdns,
		pdnstest.Zone{Name: "split.test", Kind: "Master", Keys: split},
		pdnstest.Zone{Name: "csk.test", Kind: "Native", Keys: split[:1]},
		pdnstest.Zone{Name: "unsigned.test", Kind: "Master"},
		pdnstest.Zone{Name: "xn--bcher-kva.test", Kind: "Master"},
		pdnstest.Zone{Name: "presigned.test", Kind: "Master", Metadata: map[string][]string{"PRESIGNED": {"1"}}, Keys: split},
		pdnstest.Zone{Name: "secondary.test", Kind: "Slave", Keys: split, Primaries: []string{"127.0.0.1"}},
		pdnstest.Zone{Name: "taken.test", Kind: "Master", Keys: split, Metadata: map[string][]string{"X-PDNSKEYROLLER-STATE": {"{}"}}},
		pdnstest.Zone{Name: "cds.test", Kind: "Master", Keys: split, Metadata: map[string][]string{"PUBLISH-CDS": {"2"}}},
	)
	if err != nil {
		return err
	}
	return writeScriptConfig(env, pdns)
}

func writeScriptConfig(env *testscript.Env, pdns string) error {
	programs := map[string]string{}
	for _, name := range []string{"fake-pdnsutil", "fake-pdns_control"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		programs[name] = path
	}
	env.Setenv("PDNSUTIL", programs["fake-pdnsutil"])
	env.Setenv("PDNS", pdns)
	env.Setenv("ESC", "\x1b")
	text := fmt.Sprintf(`state = "%s/state/rollover.db"
[pdnsutil]
command = ["%s"]
control = ["%s"]
config_dir = "%s"
timeout = "3s"
[dns]
resolvers = ["127.0.0.1:9"]
validators = ["127.0.0.1:9"]
timeout = "200ms"
[policy.default]
evidence = "plain"
[[zone]]
name = "*.test"
servers = ["127.0.0.1:9"]
servers_only = true
parent_servers = ["127.0.0.1:9"]
`, env.WorkDir, programs["fake-pdnsutil"], programs["fake-pdns_control"], pdns)
	return os.WriteFile(filepath.Join(env.WorkDir, "conf.toml"), []byte(text), 0o600)
}

// exits runs rollover and checks its exit code: exits CODE ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARG...")
	}
	err := ts.Exec("sh", append([]string{"-c", `rollover "$@"; code=$?; echo "exit $code" >&2; [ $code = ` + args[0] + ` ]`, "sh"}, args[1:]...)...)
	if err != nil {
		ts.Fatalf("rollover %s: expected exit code %s", strings.Join(args[1:], " "), args[0])
	}
}

// keyList compares the tags, states and number of a zone's keys in the fake
// PowerDNS: keys ZONE N.
func keyList(ts *testscript.TestScript, neg bool, args []string) {
	var zone pdnstest.Zone
	err := pdnstest.Update(ts.Getenv("PDNS"), func(s *pdnstest.State) error {
		for _, z := range s.Zones {
			if strings.TrimSuffix(z.Name, ".") == args[0] {
				zone = z
			}
		}
		return nil
	})
	ts.Check(err)
	if got := fmt.Sprint(len(zone.Keys)); (got == args[1]) == neg {
		ts.Fatalf("%s has %s keys, expected %s", args[0], got, args[1])
	}
}
