package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"rollover/rollover"
	"rollover/store"
)

// A zone whose state cannot be read is an error, and keeps no other zone from
// being told of.
func TestOneDamagedZoneKeepsNoOtherFromBeingTold(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	w := &world{db: store.At(path)}
	zones := []string{"damaged.example.", "whole.example."}
	for _, zone := range zones {
		if err := w.db.Save(rollover.Entry{Dossier: rollover.Dossier{Zone: zone}}); err != nil {
			t.Fatal(err)
		}
		w.heard = append(w.heard, rollover.Event{At: time.Unix(1e9, 0), Zone: zone, Event: rollover.EventDone})
	}
	raw, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(raw.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("ledger")).Put([]byte(zones[0]), []byte("{"))
	}), raw.Close())
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	err = w.fill(&rollover.Outbox{}, zones, func(n rollover.Notice) { told = append(told, n.Zone) })
	if !errors.Is(err, store.ErrDamaged) || len(told) != 1 || told[0] != zones[1] {
		t.Errorf("told of %v, error %v", told, err)
	}
}
