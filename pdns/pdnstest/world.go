package pdnstest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollover/pdns"
	"rollover/rollover"
)

// World is a PowerDNS with some zones, and a running server.
type World struct {
	Tool *pdns.Tool
	Dir  string                      // its --config-dir
	Port int                         // UDP and TCP port of the server on 127.0.0.1; 0 for the fake
	Stop func()                      // stops the server; pdnsutil goes on to work
	Util func(args ...string) string // runs pdnsutil by hand, and fails the test when it returns another code than 0

	installed installed
	version   string
}

// Fake is a World of the fake. The test binary must call Exit when it is
// started as pdnsutil or pdns_control.
func Fake(t *testing.T, zones ...Zone) World {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	must(t, Init(dir, zones...))
	for _, name := range []string{"pdnsutil", "pdns_control"} {
		must(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	w := World{Dir: dir, Tool: &pdns.Tool{
		Command: []string{filepath.Join(dir, "pdnsutil")}, Control: []string{filepath.Join(dir, "pdns_control")}, ConfigDir: dir,
	}}
	w.Util = w.util(t)
	w.Stop = func() {
		must(t, Update(dir, func(s *State) error { s.Down = true; return nil }))
	}
	return w
}

// Real is a World of the PowerDNS under test with a new sqlite database and a
// server on a free port of 127.0.0.1, which ends with the test. It needs the
// Debian packages pdns-server, pdns-backend-sqlite3 and sqlite3.
func Real(t *testing.T, zones ...Zone) World {
	t.Helper()
	// Not t.TempDir: the path of a Unix socket has at most 107 octets.
	dir, err := os.MkdirTemp("", "pdns")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	i := findInstalled(t)
	w := World{Dir: dir, installed: i, Tool: &pdns.Tool{Command: i.program("pdnsutil"), Control: i.program("pdns_control"), ConfigDir: dir}}
	w.version, err = w.Tool.Version(t.Context())
	must(t, err)
	w.Util = w.util(t)
	w.createDatabase(t)
	w.configure(t, 0)
	for _, z := range zones {
		w.load(t, z)
	}
	w.serve(t)
	return w
}

func (w *World) util(t *testing.T) func(args ...string) string {
	return func(args ...string) string {
		t.Helper()
		words := slices.Concat(w.Tool.Command, []string{"--config-dir=" + w.Dir, "--"}, absolute(w.version, args))
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("pdnsutil %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
}

// createDatabase makes an empty database with the schema of the package.
func (w *World) createDatabase(t *testing.T) {
	t.Helper()
	schema, err := os.Open(w.installed.schema())
	if err != nil {
		t.Fatalf("no schema (%v): install pdns-backend-sqlite3", err)
	}
	defer func() { must(t, schema.Close()) }()
	cmd := exec.Command("sqlite3", filepath.Join(w.Dir, "pdns.sqlite3"))
	cmd.Stdin = schema
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making the database: %v (install sqlite3)\n%s", err, out)
	}
}

// configure writes pdns.conf. zone-cache-refresh-interval=0 makes zones that
// are made later known at once; only-notify and resolver keep every packet on
// this machine.
func (w *World) configure(t *testing.T, port int) {
	t.Helper()
	conf := fmt.Sprintf(`launch=gsqlite3
gsqlite3-database=%[1]s/pdns.sqlite3
gsqlite3-dnssec=yes
gsqlite3-pragma-synchronous=0
local-address=127.0.0.1
local-port=%[2]d
socket-dir=%[1]s
daemon=no
guardian=no
primary=yes
only-notify=127.0.0.1/32
resolver=127.0.0.1:1
zone-cache-refresh-interval=0
`, w.Dir, port) + w.installed.setting()
	must(t, os.WriteFile(filepath.Join(w.Dir, "pdns.conf"), []byte(conf), 0o600))
}

// load makes one zone in the real PowerDNS.
func (w *World) load(t *testing.T, z Zone) {
	t.Helper()
	var file strings.Builder
	for _, r := range z.allRecords() {
		fmt.Fprintf(&file, "%s %d IN %s %s\n", r.Name, r.TTL, r.Type, r.Content)
	}
	path := filepath.Join(w.Dir, "zone")
	must(t, os.WriteFile(path, []byte(file.String()), 0o600))
	w.Util("load-zone", z.Name, path)
	if z.Kind != "" {
		w.Util("set-kind", z.Name, z.Kind)
	}
	for _, k := range z.Keys {
		w.addKey(z.Name, k)
	}
	for kind, values := range z.Metadata {
		w.Util(append([]string{"set-meta", z.Name, kind}, values...)...)
	}
}

func (w *World) addKey(zone string, k rollover.Key) {
	args := []string{"add-zone-key", zone, "zsk", "inactive", "unpublished", "256", "ecdsa256"}
	if k.Flags == rollover.FlagsKSK {
		args[2] = "ksk"
	}
	if k.Active {
		args[3] = "active"
	}
	if k.Published {
		args[4] = "published"
	}
	w.Util(args...)
}

// serve starts pdns_server. Another process may take the free port in the
// meantime, so it is tried with more than one.
func (w *World) serve(t *testing.T) {
	t.Helper()
	for range 3 {
		w.Port = freePort(t)
		w.configure(t, w.Port)
		if w.startServer(t) {
			return
		}
	}
	t.Fatal("pdns_server did not start on any of three free ports")
}

// startServer says whether the server came up; it ends with the test.
func (w *World) startServer(t *testing.T) bool {
	t.Helper()
	server := w.installed.program("pdns_server")
	cmd := exec.Command(server[0], append(server[1:], "--config-dir="+w.Dir)...)
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed, so it always fails
	}()
	w.Stop = func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-ended
	}
	t.Cleanup(w.Stop)
	return Eventually(30*time.Second, ended, func() bool {
		words := append(w.installed.program("pdns_control"), "--config-dir="+w.Dir, "--", "rping")
		out, err := exec.Command(words[0], words[1:]...).Output()
		return err == nil && strings.TrimSpace(string(out)) == "PONG"
	})
}

// Eventually asks again and again until ok, and says whether that was so
// before the time was up or the channel (which may be nil) was closed.
func Eventually(limit time.Duration, ended <-chan struct{}, ok func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			return ok()
		case <-ended:
			return false
		case <-again.C:
		}
	}
	return true
}

// freePort is a port of 127.0.0.1 that is free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		port := tcp.Addr().(*net.TCPAddr).Port
		udp, err := net.ListenPacket("udp", "127.0.0.1:"+strconv.Itoa(port))
		must(t, tcp.Close())
		if err == nil {
			must(t, udp.Close())
			return port
		}
	}
	t.Fatal("found no free port")
	return 0
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
