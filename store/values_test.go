package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"rollover/rollover"
)

// A write that bbolt refuses is an error of the whole save.
func TestAWriteThatFailsIsAnErrorOfSave(t *testing.T) {
	e := sample("a.example.", 1)
	e.Events = []rollover.Event{{Zone: "a.example."}}
	b, err := newBatch([]rollover.Entry{e})
	must(t, err)
	for bucket, key := range map[string]string{
		bucketRollovers: "a.example.", bucketLedger: "a.example.", bucketHeaders: "a.example.",
		bucketDue: string(b.records[0].due), bucketHistory: string(historyKey("a.example.", 1)), bucketClock: keyAhead, bucketClock + " ": keyLast,
	} {
		db := filled(t, 1)
		err := db.open(false, time.Second, func(raw *bbolt.DB, _ *os.File) error {
			return db.commit(raw, func(tx *bbolt.Tx) error {
				clocks := tx.Bucket([]byte(bucketClock))
				must(t, errors.Join(clocks.Delete([]byte(keyLast)), clocks.Delete([]byte(keyAhead))))
				// A bucket of this name is in the way of the value.
				_, err := tx.Bucket([]byte(strings.TrimSpace(bucket))).CreateBucket([]byte(key))
				must(t, err)
				return db.write(tx, b)
			})
		})
		if err == nil {
			t.Errorf("%s: no error", bucket)
		}
		if d, err := db.Load("a.example."); err != nil || d.Roll != nil {
			t.Errorf("%s: saved all the same: %+v, %v", bucket, d, err)
		}
	}
}

// What is stored of a zone is all there and fits, or it is damage.
func TestPartsOfAZoneAreDamage(t *testing.T) {
	r, err := newRecord(sample("a.example.", 1), 0)
	must(t, err)
	if bytes.Contains(r.ledger, []byte("pre-publish")) {
		t.Errorf("the rollover is in the ledger too: %s", r.ledger)
	}
	sealed := func(roll, ledger string) stored {
		r := record{zone: r.zone, header: bytes.Clone(r.header), ledger: []byte(ledger)}
		if roll != "" {
			r.roll = []byte(roll)
		}
		r.seal()
		return r.stored()
	}
	for name, c := range map[string]struct {
		s    stored
		good bool
	}{
		"nothing":                 {stored{}, true},
		"all":                     {r.stored(), true},
		"the header alone":        {stored{header: r.header}, false},
		"the rollover alone":      {stored{roll: r.roll}, false},
		"the ledger alone":        {stored{ledger: r.ledger}, false},
		"a ledger that is none":   {sealed("", "{"), false},
		"a rollover that is none": {sealed("{", "{}"), false},
		"another zone in it":      {sealed("", `{"zone":"b.example.","Zone":"b.example.","roll":{},"Roll":{}}`), true},
	} {
		d, err := c.s.decode("a.example.")
		if (err == nil) != c.good || err == nil && d.Zone != "a.example." || (d.Roll != nil) != (name == "all") && c.good {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// Beyond tells what is due after a time, the nearest first, and the furthest
// clock that there ever was, also of a dossier that is older.
func TestBeyond(t *testing.T) {
	db := At(statePath(t))
	at := func(wall, boot time.Duration) rollover.Instant {
		return rollover.Instant{Wall: epoch().Add(wall), Boot: boot, BootID: "boot"}
	}
	save := func(zone string, i int, clock rollover.Instant) {
		e := sample(zone, i)
		e.Dossier.Clock = clock
		must(t, db.Save(e))
	}
	beyond := func(after time.Duration, limit int) string {
		said := ""
		must(t, db.Beyond(epoch().Add(after), func(zone string, next, furthest time.Time) bool {
			said += fmt.Sprint(zone, next.Sub(epoch()), " ")
			if !furthest.Equal(epoch().Add(time.Hour)) {
				t.Errorf("the furthest clock is %v", furthest)
			}
			limit--
			return limit > 0
		}))
		return said
	}
	if got := beyond(0, 9); got != "" {
		t.Errorf("without a file: %s", got)
	}
	save("c.example.", 5, at(0, 1))
	save("b.example.", 7, at(time.Hour, 2))
	save("a.example.", 3, at(1, 3))
	for _, c := range []struct {
		after time.Duration
		limit int
		want  string
	}{
		{0, 9, "a.example.3s c.example.5s b.example.7s "},
		{3 * time.Second, 9, "c.example.5s b.example.7s "},
		{3 * time.Second, 1, "c.example.5s "},
		{7 * time.Second, 9, ""},
	} {
		if got := beyond(c.after, c.limit); got != c.want {
			t.Errorf("after %v: %s, expected %s", c.after, got, c.want)
		}
	}
	alter(t, db, put1(bucketClock, keyAhead, "{"))
	if err := db.Beyond(epoch(), func(string, time.Time, time.Time) bool { t.Error("something is told"); return true }); !errors.Is(err, ErrDamaged) {
		t.Errorf("with a clock that is none: %v", err)
	}
	if err := At(db.path).Save(sample("d.example.", 1)); !errors.Is(err, ErrDamaged) {
		t.Errorf("saving with a clock that is none: %v", err)
	}
}

// Keys and values that rollover does not write are damage, those at the limits
// of what it writes are not.
func TestKeysAndValuesAtTheLimits(t *testing.T) {
	zone := strings.Repeat(strings.Repeat("a", 49)+".", 5) + "abc."
	stamp := "\x7f\xff\xff\xff\xff\xff\xff\xff"
	for _, c := range []struct {
		bucket, key, value string
		says               string
	}{
		{bucketDue, stamp + ".", "", ""},
		{bucketDue, stamp + zone, "", ""},
		{bucketDue, stamp + zone + "a", "", "a key of its due index does not decode"},
		{bucketDue, stamp, "", "a key of its due index does not decode"},
		{bucketDue, "\x80" + stamp[1:] + ".", "", "a key of its due index does not decode"},
		{bucketHeaders, zone, encoded(t, Header{}), ""},
		{bucketHeaders, zone + "a", encoded(t, Header{}), "a header is too long"},
		{bucketHeaders, zone, strings.Repeat("x", 0xFFFF), "its header does not decode"},
		{bucketHeaders, zone, strings.Repeat("x", 0x10000), "a header is too long"},
		{bucketHistory, "a.example.\x00\x00\x00\x00\x00\x00\x00\x00\x01", "{", "event 1 does not decode"},
		{bucketClock, keyLast, `{"wall":"2026-11-23T12:00:00Z","boot":"x"}`, "its clock does not decode"},
	} {
		db := filled(t, 1)
		alter(t, db, put1(c.bucket, c.key, c.value))
		_, err1 := db.Due(epoch().AddDate(300, 0, 0), 0)
		_, err2 := db.Zones()
		_, err3 := db.History("")
		_, err4 := db.Clock()
		err := errors.Join(err1, err2, err3, err4)
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s %.20q: %v, expected %q", c.bucket, c.key, err, c.says)
		}
	}
	db := filled(t, 1)
	alter(t, db, put1(bucketHeaders, zoneName(0), "x"))
	if err := db.Save(sample(zoneName(0), 1)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "its header does not decode") {
		t.Errorf("saving over a header that is none: %v", err)
	}
}

// A check that is due at once has no time; one in the far future has one.
func TestTimesOfWhatIsDueNext(t *testing.T) {
	for _, c := range []struct{ next, want time.Time }{
		{time.Time{}, time.Time{}},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(0, 1<<63-1)},
	} {
		db := At(statePath(t))
		e := sample("a.example.", 1)
		e.Dossier.Roll.NextCheck = c.next
		must(t, db.Save(e))
		if next, found, err := db.NextDue(); err != nil || !found || !next.Equal(c.want) {
			t.Errorf("%v: %v, %v, %v", c.next, next, found, err)
		}
	}
}

// Of a zone that is in a save more than once the last place in the due index is
// the only one; a save of nothing makes no file.
func TestAZoneIsDueOnce(t *testing.T) {
	db := At(statePath(t))
	must(t, db.Save())
	if _, err := os.Stat(db.path); !os.IsNotExist(err) {
		t.Errorf("a save of nothing made a file: %v", err)
	}
	must(t, db.Save(sample("b.example.", 1), sample("a.example.", 2), sample("b.example.", 50)))
	expectDue(t, db, epoch().Add(49*time.Second), "a.example.")
	expectDue(t, db, epoch().Add(50*time.Second), "a.example.", "b.example.")
}

// What JSON cannot have is refused, and nothing is saved.
func TestTimesThatCannotBeSaved(t *testing.T) {
	far := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for says, spoil := range map[string]func(*rollover.Entry){
		"encoding its rollover": func(e *rollover.Entry) { e.Dossier.Roll.StartedAt = far },
		"encoding its ledger":   func(e *rollover.Entry) { e.Dossier.Clock.Wall = far },
		"encoding an event":     func(e *rollover.Entry) { e.Events = []rollover.Event{{At: far}} },
	} {
		db := At(statePath(t))
		e := sample("a.example.", 1)
		spoil(&e)
		if err := db.Save(sample("b.example.", 1), e); err == nil || !strings.Contains(err.Error(), "a.example.: "+says) {
			t.Errorf("%v, expected %q", err, says)
		}
		expectEmpty(t, db)
	}
}

// Which of two clocks is newer, and which is further.
func TestOrderOfClocks(t *testing.T) {
	at := func(wall, boot int, id string) rollover.Instant {
		return rollover.Instant{Wall: epoch().Add(time.Duration(wall)), Boot: time.Duration(boot), BootID: id}
	}
	none := rollover.Instant{}
	for _, c := range []struct {
		a, b           rollover.Instant
		newer, further bool
	}{
		{none, none, false, false},
		{none, at(1, 1, "a"), false, false},
		{at(1, 1, "a"), none, true, true},
		{at(-1<<62, -1, ""), none, true, true},
		{at(1, 2, "a"), at(2, 1, "a"), true, false},
		{at(2, 1, "a"), at(1, 2, "a"), false, true},
		{at(1, 1, "a"), at(1, 1, "a"), false, false},
		{at(2, 1, "a"), at(1, 2, "b"), true, true},
		{at(1, 2, "a"), at(2, 1, "b"), false, false},
	} {
		if newer(c.a, c.b) != c.newer || further(c.a, c.b) != c.further {
			t.Errorf("%+v and %+v: newer %v, further %v", c.a, c.b, newer(c.a, c.b), further(c.a, c.b))
		}
	}
}
