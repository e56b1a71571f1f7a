package probe

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// The schema as Debian and the source ship it.
const schemaPattern = "/usr/share/*pdns-backend-sqlite3/schema/schema.sqlite3.sql"

// run runs a program to its end and returns what it printed.
func run(t *testing.T, stdin string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// log is what a server printed, for when it does not start.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a server until the test ends, and waits until ready is content.
func start(t *testing.T, ready func() error, name string, args ...string) {
	t.Helper()
	out := &log{}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Logf("stopping %s: %v", name, err)
		}
		<-ended
	})
	eventually(t, name+" to answer", func() error {
		if err := ready(); err != nil {
			return fmt.Errorf("%w; it printed:\n%s", err, out)
		}
		return nil
	})
}

// answersSOA says whether a server answers for a zone.
func answersSOA(at netip.AddrPort, zone string) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		client := dns.Client{Timeout: time.Second}
		query := new(dns.Msg).SetQuestion(zone, dns.TypeSOA)
		query.CheckingDisabled = true // a validator with a wrong trust anchor is ready too
		m, _, err := client.ExchangeContext(ctx, query, at.String())
		if err == nil && len(m.Answer) == 0 {
			err = fmt.Errorf("%s has no answer for %s: %s", at, zone, dns.RcodeToString[m.Rcode])
		}
		return err
	}
}

// freePort is a port that is free on all the addresses.
func freePort(t *testing.T, addresses ...string) int {
	t.Helper()
next:
	for range 50 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := packets.LocalAddr().(*net.UDPAddr).Port
		packets.Close()
		for _, a := range addresses {
			at := net.JoinHostPort(a, strconv.Itoa(port))
			p, errUDP := net.ListenPacket("udp", at)
			l, errTCP := net.Listen("tcp", at)
			if errUDP == nil {
				p.Close()
			}
			if errTCP == nil {
				l.Close()
			}
			if errUDP != nil || errTCP != nil {
				continue next
			}
		}
		return port
	}
	t.Fatal("no port is free on all addresses")
	return 0
}

// hasIPv6 asks the kernel whether this machine has ::1.
func hasIPv6() bool {
	p, err := net.ListenPacket("udp", "[::1]:0")
	if err != nil {
		return false
	}
	return p.Close() == nil
}

// powerDNS is a configuration directory with a database.
type powerDNS struct {
	t   *testing.T
	dir string
}

// newPowerDNS makes a database with zones, given in master file form by name.
func newPowerDNS(t *testing.T, zones map[string]string) *powerDNS {
	t.Helper()
	p := &powerDNS{t: t, dir: t.TempDir()}
	found, err := filepath.Glob(schemaPattern)
	if err != nil || len(found) == 0 {
		found = []string{"/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql"}
	}
	schema, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatalf("the schema of pdns-backend-sqlite3 is needed: %v", err)
	}
	run(t, string(schema), "sqlite3", p.database())
	p.configure("127.0.0.1", 0)
	for name, text := range zones {
		file := filepath.Join(p.dir, "zone")
		p.write(file, text)
		p.util("load-zone", name, file)
	}
	return p
}

func (p *powerDNS) database() string { return filepath.Join(p.dir, "pdns.sqlite3") }

func (p *powerDNS) write(file, text string) {
	p.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// configure writes pdns.conf. The empty security-poll-suffix keeps the server
// from asking the world for its own version.
func (p *powerDNS) configure(address string, port int) {
	p.write(filepath.Join(p.dir, "pdns.conf"), fmt.Sprintf(`launch=gsqlite3
gsqlite3-database=%s
gsqlite3-dnssec=yes
local-address=%s
local-port=%d
socket-dir=%s
security-poll-suffix=
write-pid=no
disable-syslog=yes
receiver-threads=1
distributor-threads=1
`, p.database(), address, port, p.dir))
}

func (p *powerDNS) util(args ...string) string {
	p.t.Helper()
	return run(p.t, "", "pdnsutil", append([]string{"--config-dir=" + p.dir}, args...)...)
}

// sign gives a zone a KSK and a ZSK, both active.
func (p *powerDNS) sign(zone string) {
	p.t.Helper()
	p.util("add-zone-key", zone, "ksk", "active", "ecdsa256")
	p.util("add-zone-key", zone, "zsk", "active", "ecdsa256")
	p.util("rectify-zone", zone)
}

// clone is a second server with the same database contents.
func (p *powerDNS) clone() *powerDNS {
	p.t.Helper()
	out := &powerDNS{t: p.t, dir: p.t.TempDir()}
	raw, err := os.ReadFile(p.database())
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(out.database(), string(raw))
	return out
}

func (p *powerDNS) start(address string, port int, zone string) netip.AddrPort {
	p.t.Helper()
	p.configure(address, port)
	at := netip.MustParseAddrPort(net.JoinHostPort(address, strconv.Itoa(port)))
	start(p.t, answersSOA(at, zone), "pdns_server", "--config-dir="+p.dir)
	return at
}

// ds is the DS records of a zone's KSK with digest type 2, as "tag algorithm 2 digest".
func (p *powerDNS) ds(zone string) []string {
	var out []string
	for _, line := range strings.Split(p.util("export-zone-ds", zone), "\n") {
		if fields := strings.Fields(line); len(fields) > 6 && fields[5] == "2" {
			out = append(out, strings.Join(fields[3:7], " "))
		}
	}
	return out
}

// startUnbound runs a resolver that knows only the given zones, and for all
// the rest asks a root server that refuses. It sends from loopback alone.
func startUnbound(t *testing.T, stubs map[string][]netip.AddrPort, anchors ...string) netip.AddrPort {
	t.Helper()
	dir := t.TempDir()
	port := freePort(t, "127.0.0.1")
	root := serve(t, func(w dns.ResponseWriter, q *dns.Msg) { send(t, w, new(dns.Msg).SetRcode(q, dns.RcodeRefused)) })
	modules := "iterator"
	if len(anchors) > 0 {
		modules = "validator iterator"
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "server:\n interface: 127.0.0.1@%d\n outgoing-interface: 127.0.0.1\n", port)
	if hasIPv6() {
		fmt.Fprintf(&conf, " outgoing-interface: ::1\n")
	}
	fmt.Fprintf(&conf, " chroot: \"\"\n username: \"\"\n directory: %q\n pidfile: \"\"\n use-syslog: no\n do-not-query-localhost: no\n module-config: %q\n num-threads: 1\n", dir, modules)
	fmt.Fprintf(&conf, " root-hints: \"\"\n access-control: 127.0.0.0/8 allow\n domain-insecure: \"elsewhere.\"\n")
	for _, a := range anchors {
		fmt.Fprintf(&conf, " trust-anchor: %q\n", a)
	}
	fmt.Fprintf(&conf, "remote-control:\n control-enable: no\nstub-zone:\n name: \".\"\n stub-addr: 127.0.0.1@%d\n", root.Port())
	for name, servers := range stubs {
		fmt.Fprintf(&conf, "stub-zone:\n name: %q\n", name)
		for _, s := range servers {
			fmt.Fprintf(&conf, " stub-addr: %s@%d\n", s.Addr(), s.Port())
		}
	}
	file := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	start(t, answersSOA(at, "example."), "unbound", "-d", "-p", "-c", file)
	return at
}

// realClient is a client with the clock of this machine, since the servers
// sign by it.
func realClient(t *testing.T) *Client {
	c := newClient(t)
	c.Now = func() rollover.Instant { return rollover.Instant{Wall: time.Now()} }
	return c
}
