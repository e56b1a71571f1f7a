package main

import (
	"context"
	"fmt"
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
