package main

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/store"
)

// A tick while the wall clock was ahead; it is set back, and before the next run of
// cron somebody gives an order for another zone, whatever order: what the tick set
// keeps no zone from being looked at, and a zone that it did not touch is left alone.
func TestClockAheadThenAnOrder(t *testing.T) {
	now := time.Now()
	dossier := func(zone string, state rollover.State, clock, next time.Time, boot time.Duration) rollover.Dossier {
		return rollover.Dossier{Zone: zone, Clock: rollover.Instant{Wall: clock, Boot: boot, BootID: "b"}, Roll: &rollover.Roll{
			ID: zone + "x", Zone: zone, Type: "zsk", Method: "pre-publish", Kind: "zsk/pre-publish", State: state, Step: "publish", NextCheck: next, StartedAt: clock, StepEnteredAt: clock}}
	}
	active := rollover.StateActive
	excluded := dossier("b.example.", active, now, now.Add(time.Minute), time.Minute)
	excluded.Excluded = []rollover.Excluded{{Address: "192.0.2.1"}}
	orders := map[string]rollover.Dossier{
		"start, advance --zone": dossier("b.example.", active, now, now.Add(time.Minute), time.Hour+time.Minute),
		"pause":                 dossier("b.example.", rollover.StatePaused, now, now.Add(time.Minute), time.Hour+time.Minute),
		"cancel":                dossier("b.example.", rollover.StateCancelled, now, now, time.Hour+time.Minute),
		"exclude-server":        excluded,
		"adopt, first look":     {Zone: "b.example."},
	}
	for _, ahead := range []time.Duration{time.Hour, 2 * 365 * 24 * time.Hour} {
		for name, order := range orders {
			db := store.At(filepath.Join(t.TempDir(), "state", "rollover.db"))
			set := now.Add(ahead)
			for _, d := range []rollover.Dossier{
				dossier("c.example.", active, now.Add(-time.Minute), now.Add(4*time.Minute), time.Hour-time.Minute),
				dossier("a.example.", active, set, set.Add(5*time.Minute), time.Hour), order,
			} {
				if err := db.Save(rollover.Entry{Dossier: d}); err != nil {
					t.Fatal(err)
				}
			}
			w := &world{db: db}
			if due, err := w.due(); err != nil || !slices.Equal(due, []string{"a.example."}) {
				t.Errorf("%s after a clock that was %s ahead: due are %v, %v", name, ahead, due, err)
			}
		}
	}
}

// A zone that is looked at once a day is not due because another one is looked at
// every five minutes.
func TestDueByItsOwnPolicy(t *testing.T) {
	db := store.At(filepath.Join(t.TempDir(), "state", "rollover.db"))
	now := time.Now()
	roll := &rollover.Roll{ID: "x", Zone: "slow.example.", Type: "zsk", Kind: "zsk/pre-publish", State: rollover.StateActive, NextCheck: now.Add(23 * time.Hour)}
	ahead := rollover.Dossier{Zone: "other.example.", Clock: rollover.Instant{Wall: now.AddDate(1, 0, 0), Boot: 1, BootID: "b"}}
	if err := db.Save(rollover.Entry{Dossier: rollover.Dossier{Zone: roll.Zone, Roll: roll}}, rollover.Entry{Dossier: ahead}); err != nil {
		t.Fatal(err)
	}
	slow := duration(day)
	w := &world{db: db, config: config{Policy: map[string]policyConfig{"slow": {CheckInterval: &slow, MaxGap: &slow}}, Zone: []zoneConfig{{Name: "slow.example", Policy: "slow"}}}}
	if due, err := w.due(); err != nil || len(due) > 0 {
		t.Errorf("due: %v, %v", due, err)
	}
	w.config.Zone = nil
	if due, err := w.due(); err != nil || len(due) != 1 {
		t.Errorf("by the default policy due: %v, %v", due, err)
	}
}
