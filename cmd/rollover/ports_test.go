package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

// listener is a server that answers nobody and remembers who asked.
type listener struct {
	conn *net.UDPConn
	mu   sync.Mutex
	from map[uint16]bool
}

func listen(t *testing.T) *listener {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{conn: conn, from: map[uint16]bool{}}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			_, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			l.mu.Lock()
			l.from[from.Port()] = true
			l.mu.Unlock()
		}
	}()
	return l
}

func (l *listener) ports() map[uint16]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[uint16]bool{}
	for port := range l.from {
		out[port] = true
	}
	clear(l.from)
	return out
}

// A process that stays, as with --wait, asks from another port in each tick.
func TestEveryTickAsksFromOtherPorts(t *testing.T) {
	t.Parallel()
	resolver, dir := listen(t), t.TempDir()
	text := fmt.Sprintf("state = %q\n[pdnsutil]\ncommand = [\"/bin/false\"]\n[dns]\nresolvers = [%q]\nvalidators = []\ntimeout = \"50ms\"\n",
		filepath.Join(dir, "state", "rollover.db"), resolver.conn.LocalAddr())
	path := filepath.Join(dir, "rollover.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &mouth{ctx: t.Context(), out: io.Discard, err: io.Discard}
	w, err := m.openFile(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	roll := &rollover.Roll{ID: "x", Type: "zsk", Method: "pre-publish", Kind: "zsk/pre-publish", Zone: "example.com.", State: rollover.StateActive, Step: "publish"}
	if err := w.db.Save(rollover.Entry{Dossier: rollover.Dossier{Zone: "example.com.", Roll: roll}}); err != nil {
		t.Fatal(err)
	}
	c := cli.NewContext(cli.NewApp(), flag.NewFlagSet("advance", flag.ContinueOnError), nil)
	c.Context = t.Context()
	all := map[uint16]bool{}
	for n := range 4 {
		if _, err := m.tick(c, w, []string{"example.com."}); err != nil {
			t.Fatal(err)
		}
		ports := resolver.ports()
		if len(ports) == 0 {
			t.Fatalf("tick %d has asked nobody", n)
		}
		maps.Copy(all, ports)
	}
	if len(all) < 2 {
		t.Errorf("every tick asked from %v", all)
	}
}
