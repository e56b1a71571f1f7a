package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"rollover/rollover"
)

func TestWhatIsSavedIsLoaded(t *testing.T) {
	db := At(statePath(t))
	var _ rollover.Journal = db
	entries := samples(3)
	entries[1].Dossier.Excluded = []rollover.Excluded{{Address: "192.0.2.9:53", Reason: "gone", Since: epoch()}}
	entries[2].Dossier.Roll = nil
	must(t, db.Save(entries...))
	for _, e := range entries {
		got, err := db.Load(e.Dossier.Zone)
		must(t, err)
		if !same(t, got, e.Dossier) {
			t.Errorf("loaded %+v, saved %+v", got, e.Dossier)
		}
	}
	zones, err := db.Zones()
	must(t, err)
	if want := []string{zoneName(0), zoneName(1), zoneName(2)}; !slices.Equal(zones, want) {
		t.Errorf("zones are %v, want %v", zones, want)
	}
}

func TestADossierWithoutRollTakesTheStoredOneAway(t *testing.T) {
	db := filled(t, 1)
	must(t, db.Save(rollover.Entry{Dossier: rollover.Dossier{Zone: zoneName(0)}}))
	got, err := db.Load(zoneName(0))
	must(t, err)
	if got.Roll != nil {
		t.Errorf("there still is %+v", got.Roll)
	}
	expectDue(t, db, epoch().Add(time.Hour))
}

func TestAMissingFileIsAnEmptyStateAndReadingDoesNotMakeIt(t *testing.T) {
	path := statePath(t)
	expectEmpty(t, At(path))
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading made the directory: %v", err)
	}
}

func TestAFileOfNoOctetsIsAnEmptyState(t *testing.T) {
	db := write(t, nil)
	expectEmpty(t, db)
	if got := contents(t, db.path); len(got) != 0 {
		t.Errorf("reading made it %d octets long", len(got))
	}
	must(t, db.Save(sample("example.org.", 1)))
	expectDue(t, db, epoch().Add(time.Hour), "example.org.")
}

func TestABboltFileWithoutBucketsIsAnEmptyState(t *testing.T) {
	db := write(t, nil)
	raw, err := bbolt.Open(db.path, 0o600, nil)
	must(t, err)
	must(t, raw.Close())
	expectEmpty(t, db)
}

func expectEmpty(t *testing.T, db *DB) {
	t.Helper()
	d, err := db.Load("example.org.")
	must(t, err)
	if !same(t, d, rollover.Dossier{Zone: "example.org."}) {
		t.Errorf("loaded %+v", d)
	}
	expectDue(t, db, epoch())
	if _, found, err := db.NextDue(); found || err != nil {
		t.Errorf("something is due next: %v %v", found, err)
	}
	zones, err := db.Zones()
	must(t, err)
	events, err := db.History("")
	must(t, err)
	clock, err := db.Clock()
	must(t, err)
	if len(zones)+len(events) > 0 || !clock.IsZero() {
		t.Errorf("it has %v %v %v", zones, events, clock)
	}
}

func TestTheFirstSaveMakesFileAndDirectoryPrivate(t *testing.T) {
	db := filled(t, 1)
	for path, want := range map[string]os.FileMode{db.path: 0o600, filepath.Dir(db.path): 0o700} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
	left, err := os.ReadDir(filepath.Dir(db.path))
	must(t, err)
	if len(left) != 1 {
		t.Errorf("besides the file there is %v", left)
	}
}

func expectDue(t *testing.T, db *DB, now time.Time, want ...string) {
	t.Helper()
	got, err := db.Due(now, 0)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("due are %v, want %v", got, want)
	}
}

func TestDueIsInTheOrderOfTimeAndCutAtTheLimit(t *testing.T) {
	db := At(statePath(t))
	a, b, c, later := sample("a.example.", 3), sample("b.example.", 1), sample("c.example.", 2), sample("d.example.", 60)
	never := sample("e.example.", 0)
	never.Dossier.Roll.NextCheck = time.Time{}
	must(t, db.Save(a, b, c, later, never))
	now := epoch().Add(3 * time.Second)
	expectDue(t, db, now, "e.example.", "b.example.", "c.example.", "a.example.")
	got, err := db.Due(now, 2)
	must(t, err)
	if want := []string{"e.example.", "b.example."}; !slices.Equal(got, want) {
		t.Errorf("the first two due are %v, want %v", got, want)
	}
}

func TestASaveReplacesThePlaceInTheDueIndex(t *testing.T) {
	db := At(statePath(t))
	must(t, db.Save(sample("a.example.", 1)))
	must(t, db.Save(sample("a.example.", 50)))
	expectDue(t, db, epoch().Add(49*time.Second))
	expectDue(t, db, epoch().Add(50*time.Second), "a.example.")
	next, found, err := db.NextDue()
	must(t, err)
	if !found || !next.Equal(epoch().Add(50*time.Second)) {
		t.Errorf("next due is %v %v", next, found)
	}
	must(t, db.Save(sample("a.example.", 7), sample("a.example.", 8)))
	expectDue(t, db, epoch().Add(time.Hour), "a.example.")
}

func TestOnlyActiveRolloversAreDue(t *testing.T) {
	db := At(statePath(t))
	for _, state := range []rollover.State{rollover.StatePaused, rollover.StateBlocked, rollover.StateDone, rollover.StateCancelled} {
		must(t, db.Save(sample("a.example.", 1)))
		expectDue(t, db, epoch().Add(time.Hour), "a.example.")
		e := sample("a.example.", 1)
		e.Dossier.Roll.State = state
		must(t, db.Save(e))
		expectDue(t, db, epoch().Add(time.Hour))
	}
}

func TestHeadersSayWhatTheDossierSays(t *testing.T) {
	db := At(statePath(t))
	waiting, blocked, bare := sample("a.example.", 1), sample("b.example.", 2), sample("c.example.", 3)
	waiting.Dossier.Roll.Need = &rollover.Need{Actor: rollover.ActorYou}
	blocked.Dossier.Roll.State, blocked.Dossier.Roll.Block = rollover.StateBlocked, &rollover.Block{Code: rollover.BlockKeysChanged}
	bare.Dossier.Roll = nil
	must(t, db.Save(waiting, blocked, bare))
	var got []Header
	must(t, db.Headers(func(h Header) bool {
		_, err := db.Load(h.Zone) // allowed: the file is closed
		must(t, err)
		got = append(got, h)
		return true
	}))
	want := []Header{
		{"a.example.", "active", "zsk", "pre-publish", "publish", "holding", epoch().Add(time.Second), epoch(), true},
		{"b.example.", "blocked", "zsk", "pre-publish", "publish", "holding", epoch().Add(2 * time.Second), epoch(), true},
		{Zone: "c.example."},
	}
	if !slices.Equal(got, want) {
		t.Errorf("headers are %+v, want %+v", got, want)
	}
}

func TestHistoryIsInTheOrderOfSaving(t *testing.T) {
	db := At(statePath(t))
	event := func(zone, text string) rollover.Event { return rollover.Event{Zone: zone, Text: text} }
	with := func(zone string, texts ...string) rollover.Entry {
		e := sample(zone, 1)
		for _, text := range texts {
			e.Events = append(e.Events, event(zone, text))
		}
		return e
	}
	must(t, db.Save(with("b.example.", "1", "2"), with("a.example.", "3"), with("b.example.", "4")))
	must(t, db.Save(with("a.example.", "5"), with("aa.example.")))
	for zone, want := range map[string]string{"": "12345", "a.example.": "35", "b.example.": "124", "aa.example.": "", "example.": ""} {
		events, err := db.History(zone)
		must(t, err)
		got := ""
		for _, e := range events {
			got += e.Text
		}
		if got != want {
			t.Errorf("history of %q is %q, want %q", zone, got, want)
		}
	}
}

func TestTheClockNeverGoesBack(t *testing.T) {
	db := At(statePath(t))
	at := func(wall, boot time.Duration, id string) rollover.Instant {
		return rollover.Instant{Wall: epoch().Add(wall), Boot: boot, BootID: id}
	}
	for _, c := range []struct {
		name      string
		save      []rollover.Instant
		wantAfter rollover.Instant
	}{
		{"the newest of a save counts", []rollover.Instant{at(1, 5, "a"), at(9, 7, "a"), {}}, at(9, 7, "a")},
		{"an older dossier does not", []rollover.Instant{at(99, 6, "a")}, at(9, 7, "a")},
		{"nor does one without a look", []rollover.Instant{{}}, at(9, 7, "a")},
		{"within one boot the wall clock may go back", []rollover.Instant{at(2, 8, "a")}, at(2, 8, "a")},
		{"after a boot the wall clock counts", []rollover.Instant{at(3, 1, "b")}, at(3, 1, "b")},
	} {
		var entries []rollover.Entry
		for i, clock := range c.save {
			e := sample(zoneName(i), i)
			e.Dossier.Clock = clock
			entries = append(entries, e)
		}
		must(t, db.Save(entries...))
		got, err := db.Clock()
		must(t, err)
		if !same(t, got, c.wantAfter) {
			t.Errorf("%s: clock is %+v, want %+v", c.name, got, c.wantAfter)
		}
	}
}

func TestNamesThatAreNoZonesAreRefusedAndNothingIsSaved(t *testing.T) {
	db := At(statePath(t))
	for _, zone := range []string{"", "a.example", "A.example.", "a\x00b.", "-a."} {
		if err := db.Save(sample("good.example.", 1), sample(zone, 1)); !errors.Is(err, rollover.ErrZoneName) {
			t.Errorf("saving %q: %v", zone, err)
		}
	}
	expectEmpty(t, db)
	must(t, db.Save())
	must(t, db.Save(sample(".", 1)))
}

func TestGoroutinesTakeTurns(t *testing.T) {
	db := At(statePath(t))
	var group sync.WaitGroup
	const workers, each = 8, 12
	for w := range workers {
		group.Go(func() {
			for i := range each {
				e := sample(zoneName(w*each+i), i)
				e.Events = []rollover.Event{{Zone: e.Dossier.Zone}}
				if err := db.Save(e); err != nil {
					t.Error(err)
				}
				if d, err := db.Load(e.Dossier.Zone); err != nil || d.Roll == nil {
					t.Error("saved and not there", err)
				}
			}
		})
	}
	group.Wait()
	zones, err := db.Zones()
	must(t, err)
	events, err := db.History("")
	must(t, err)
	if len(zones) != workers*each || len(events) != workers*each {
		t.Errorf("%d zones and %d events of %d are there", len(zones), len(events), workers*each)
	}
}

func TestTwoDBsOfOneFileShareIt(t *testing.T) {
	path := statePath(t)
	var group sync.WaitGroup
	for w := range 2 {
		group.Go(func() {
			db := At(path)
			for range 20 {
				if err := db.Save(sample(zoneName(w), 1)); err != nil {
					t.Error(err)
				}
				if _, err := db.Due(epoch(), 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// What is the matter with one zone is told as such, by name, so that the others
// can be saved without it.
func TestAZoneThatIsTooLargeIsNamed(t *testing.T) {
	db := At(statePath(t))
	large, small := sample(zoneName(1), 1), sample(zoneName(2), 1)
	for range 40 {
		large.Dossier.Ledger.Samples = append(large.Dossier.Ledger.Samples, rollover.Sample{Name: strings.Repeat("a", longestDossier/39)})
	}
	var alone rollover.Unsavable
	if err := db.Save(small, large); !errors.As(err, &alone) || alone.Zone != large.Dossier.Zone {
		t.Fatalf("%v", err)
	}
	if zones, err := db.Zones(); err != nil || len(zones) > 0 {
		t.Errorf("saved nevertheless: %v %v", zones, err)
	}
	must(t, db.Save(small))
}
