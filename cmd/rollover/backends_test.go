package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollover/rollover/lab"
)

// Whole rollovers on the other back ends of PowerDNS, at the least margins.
func TestRollsOnBackEnds(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{lab.GMySQL, lab.GPgSQL, lab.LMDB} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			o, types := three()
			o.Backend = backend
			h := newHarness(t, "2s", o)
			h.countKeys()
			h.witnessed(names(types), func() {
				h.start(types)
				h.until("done", names(types), h.advance, done)
			})
			for _, zone := range names(types) {
				h.finished(zone)
			}
			h.madeKeys(len(types))
		})
	}
}

// Zones in files, on the bind back end: what cannot work is refused before the first
// key, and with a program that raises the serial in the file it works.
func TestRollsOfZonesInFiles(t *testing.T) {
	t.Parallel()
	o, types := three()
	o.Backend = lab.Bind
	h := newHarness(t, "2s", o)
	ctx := context.Background()
	before := map[string]string{}
	shown := func(zone string) string {
		out, err := h.lab.Pdnsutil(ctx, "show-zone", strings.TrimSuffix(zone, "."))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, zone := range names(types) {
		before[zone] = shown(zone)
		for _, order := range [][]string{{"start", zone, "--type", types[zone]}, {"adopt", zone}} {
			if o := h.rollover(order...); o.code != 1 || order[0] == "start" && (!strings.Contains(o.stderr, "no key of "+zone+" was touched") || !strings.Contains(o.stderr, "[pdnsutil] serial")) {
				t.Errorf("%q: %v", order, o)
			}
		}
		if now := shown(zone); now != before[zone] {
			t.Errorf("refused, and yet it was\n%sand is\n%s", before[zone], now)
		}
	}
	h.raises()
	h.witnessed(names(types), func() {
		h.start(types)
		h.until("done", names(types), h.advance, done)
	})
	for _, zone := range names(types) {
		h.finished(zone)
	}
}

// raises gives the program a command that raises the serial in a zone file, as an
// operator would write one.
func (h *harness) raises() {
	h.t.Helper()
	file := h.lab.ZoneFile("$1")
	script := filepath.Join(h.t.TempDir(), "raise-serial")
	text := fmt.Sprintf(`#!/bin/sh -e
serial=$(sed -n 's/.* SOA [^ ]* [^ ]* \([0-9]*\) .*/\1/p' "%[1]s")
sed "s/\( SOA [^ ]* [^ ]* \)[0-9]*/\1$((serial + 1))/" "%[1]s" >"%[1]s.new"
mv "%[1]s.new" "%[1]s"
%[2]s --config-dir=%[3]s bind-reload-now "$1"
`, file, strings.Join(h.lab.ChildControl(), " "), h.lab.ChildConfigDir())
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		h.t.Fatal(err)
	}
	raw, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	set := strings.Replace(string(raw), "max_lag =", fmt.Sprintf("serial = [%q]\nmax_lag =", script), 1)
	if err := os.WriteFile(h.config, []byte(set), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// countKeysOn has a database that is no file count the keys. LMDB knows no triggers.
func (h *harness) countKeysOn() {
	h.t.Helper()
	statements := []string{"CREATE TABLE made (id INT)"}
	switch h.backend {
	case lab.GMySQL:
		statements = append(statements, "CREATE TRIGGER made AFTER INSERT ON cryptokeys FOR EACH ROW INSERT INTO made VALUES (NEW.id)")
	case lab.GPgSQL:
		statements = append(statements,
			"CREATE FUNCTION made() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO made VALUES (NEW.id); RETURN NEW; END $$",
			"CREATE TRIGGER made AFTER INSERT ON cryptokeys FOR EACH ROW EXECUTE FUNCTION made()")
	default:
		return
	}
	h.query(statements...)
}

func (h *harness) madeOn() []string {
	h.t.Helper()
	if h.backend == lab.LMDB {
		return nil
	}
	return strings.Fields(h.query("SELECT id FROM made"))
}

// query runs statements on the database of the children's primary, by pdnsutil.
func (h *harness) query(statements ...string) string {
	h.t.Helper()
	out, err := h.lab.Pdnsutil(context.Background(), append([]string{"backend-cmd", h.backend}, statements...)...)
	if err != nil {
		h.t.Fatal(fmt.Errorf("%w: %s", err, out))
	}
	return out
}
