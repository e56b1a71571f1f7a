package main

import (
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"rollover/rollover/lab"
)

// database is that of the children's primary.
func (h *harness) database() string { return filepath.Join(h.lab.ChildConfigDir(), "pdns.sqlite3") }

// sql runs statements on the database of the children's primary.
func (h *harness) sql(statements string) string {
	h.t.Helper()
	out, err := exec.Command("sqlite3", "-cmd", ".timeout 20000", h.database(), statements).CombinedOutput()
	if err != nil {
		h.t.Fatalf("sqlite3: %v, %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// countKeys has the database itself count the keys that are made from now on:
// PowerDNS gives their numbers away again, so that a key that was made and
// removed would leave no trace.
func (h *harness) countKeys() {
	h.t.Helper()
	if h.backend != lab.GSQLite3 {
		h.countKeysOn()
		return
	}
	h.sql("CREATE TABLE made (id INTEGER); CREATE TRIGGER made AFTER INSERT ON cryptokeys BEGIN INSERT INTO made VALUES (NEW.id); END")
}

func (h *harness) made() []string {
	h.t.Helper()
	if h.backend != lab.GSQLite3 {
		return h.madeOn()
	}
	return strings.Fields(h.sql("SELECT id FROM made"))
}

// madeKeys checks how many keys were made since countKeys.
func (h *harness) madeKeys(n int) {
	h.t.Helper()
	if ids := h.made(); h.backend != lab.LMDB && len(ids) != n {
		h.t.Errorf("%d keys were made, with ids %v; expected %d", len(ids), ids, n)
	}
}

// lockDatabase is another writer that holds the database until release is called.
func (h *harness) lockDatabase() (release func()) {
	h.t.Helper()
	cmd := exec.Command("sqlite3", "-cmd", ".timeout 20000", h.database())
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		h.t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	said := make([]byte, len("locked"))
	_, err1 = io.WriteString(stdin, "BEGIN IMMEDIATE;\nSELECT 'locked';\n")
	if _, err2 = io.ReadFull(stdout, said); err1 != nil || err2 != nil {
		h.t.Fatalf("locking the database: %v, %v, %q", err1, err2, said)
	}
	return func() {
		_ = stdin.Close() // and with it the transaction, which holds nothing
		if err := cmd.Wait(); err != nil {
			h.t.Error(err)
		}
	}
}
