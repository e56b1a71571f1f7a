package lab

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
)

// A primary on each back end serves signed zones; its end leaves nothing.
func TestBackends(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{GMySQL, GPgSQL, LMDB} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			l := startLab(t, Options{Backend: backend, Zones: []Zone{{Name: "one.lab.test"}}})
			must(t, l.SetRecord(t.Context(), "one.lab.test", "www.one.lab.test", "A", 5, "192.0.2.7"))
			if backend == LMDB {
				if err := l.KillDatabase(); !errors.Is(err, errNoDatabase) {
					t.Errorf("killing the database of lmdb: %v", err)
				}
				return
			}
			d := l.database
			must(t, l.KillDatabase())
			if out, err := l.Pdnsutil(t.Context(), "list-all-zones"); err == nil {
				t.Errorf("a dead database says %q", out)
			}
			must(t, l.StartDatabase(t.Context()))
			must(t, l.CutDatabase(true))
			if out, err := l.Pdnsutil(t.Context(), "list-all-zones"); err == nil {
				t.Errorf("a database that is cut off says %q", out)
			}
			must(t, l.CutDatabase(false))
			out, err := l.Pdnsutil(t.Context(), "list-all-zones")
			if err != nil || !strings.Contains(out, "one.lab.test") {
				t.Errorf("list-all-zones: %q, %v", out, err)
			}
			must(t, l.Stop())
			if _, err := os.Stat(d.dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder of the database is still there: %v", err)
			}
			if conn, err := net.Dial("tcp", d.behind); err == nil {
				t.Errorf("the database still answers at %s: %v", conn.RemoteAddr(), conn.Close())
			}
		})
	}
}

// A primary whose zones are in files serves them, signed.
func TestZonesInFiles(t *testing.T) {
	t.Parallel()
	l := startLab(t, Options{Backend: Bind, Zones: []Zone{{Name: "one.lab.test"}}})
	if text, err := os.ReadFile(l.ZoneFile("one.lab.test")); err != nil || !strings.Contains(string(text), "SOA") {
		t.Errorf("%v in %q", err, text)
	}
}

func TestUnknownBackend(t *testing.T) {
	if _, err := Start(t.Context(), Options{Backend: "oracle"}); err == nil || !strings.Contains(err.Error(), "oracle") {
		t.Errorf("a back end that does not exist: %v", err)
	}
}
