package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rollover/rollover"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func isPermission(err error) bool { return errors.Is(err, fs.ErrPermission) }

// statePath is where a state file can be; its directory is not there yet.
func statePath(t testing.TB) string {
	return filepath.Join(t.TempDir(), "state", "rollover.db")
}

func epoch() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func zoneName(i int) string { return fmt.Sprintf("zone-%06d.example.org.", i) }

// sample is an active rollover of a zone, due i seconds after epoch, of about
// 2 KiB of JSON.
func sample(zone string, i int) rollover.Entry {
	key := rollover.Key{ID: i, Tag: uint16(i), Flags: rollover.FlagsZSK, Algorithm: 13, Bits: 256, Active: true, Published: true, Role: rollover.ZSK,
		PublicKey: "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="}
	at := rollover.Instant{Wall: epoch().Add(time.Duration(i)), Boot: time.Duration(i), BootID: "boot"}
	server := rollover.Server{Role: rollover.RoleChild, Name: "ns1.example.org.", Address: "192.0.2.1:53"}
	return rollover.Entry{
		Dossier: rollover.Dossier{
			Zone: zone,
			Roll: &rollover.Roll{
				ID: fmt.Sprint("roll-", i), Zone: zone, Type: "zsk", Method: "pre-publish", Kind: "zsk/pre-publish",
				State: rollover.StateActive, Step: "publish", Phase: rollover.PhaseHolding,
				StartedAt: epoch(), StepEnteredAt: epoch(), NextCheck: epoch().Add(time.Duration(i) * time.Second),
				Old: []rollover.Key{key}, New: []rollover.Key{key}, Keys: []rollover.Key{key, key},
				Held:     map[string]map[string]rollover.Holding{"DNSKEY has new": {"192.0.2.1:53": {Good: true, Earned: time.Hour, Last: at}}},
				LastLook: at, Servers: []rollover.ServerState{{Server: server, OK: true}},
			},
			Ledger: rollover.Ledger{ZoneTTL: 3600, Entries: []rollover.LedgerEntry{{Record: rollover.RecordDNSKEY, Server: "192.0.2.1:53", TTL: 3600, First: epoch(), Last: epoch()}}},
			Clock:  at,
		},
	}
}

func samples(n int) []rollover.Entry {
	out := make([]rollover.Entry, n)
	for i := range out {
		out[i] = sample(zoneName(i), i)
	}
	return out
}

// filled is a file with this many zones, made in one Save.
func filled(t testing.TB, zones int) *DB {
	t.Helper()
	db := At(statePath(t))
	must(t, db.Save(samples(zones)...))
	return db
}

// same compares as JSON, which is what is stored.
func same(t testing.TB, got, want any) bool {
	t.Helper()
	g, err := json.Marshal(got)
	must(t, err)
	w, err := json.Marshal(want)
	must(t, err)
	return string(g) == string(w)
}

func contents(t testing.TB, path string) []byte {
	t.Helper()
	out, err := os.ReadFile(path)
	must(t, err)
	return out
}

// write puts a file where a state file can be, and returns its DB.
func write(t testing.TB, content []byte) *DB {
	t.Helper()
	path := statePath(t)
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, content, 0o600))
	return At(path)
}

func (r record) stored() stored { return stored{r.header, r.roll, r.ledger} }

func entryOf(d rollover.Dossier) rollover.Entry { return rollover.Entry{Dossier: d} }
