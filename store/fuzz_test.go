package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"rollover/rollover"
)

// FuzzClock: a clock that is accepted says when, and comes back as the same when
// it is saved; of two, not each is newer than the other. With an error, which is
// one of damage, there is none.
func FuzzClock(f *testing.F) {
	clock, err := json.Marshal(sample("a.example.", 1).Dossier.Clock)
	must(f, err)
	f.Add(clock, []byte(`{"wall":"2026-11-23T13:00:00+01:00","boot":-7,"boot_id":"other"}`))
	f.Add(clock, bytes.Replace(clock, []byte(`"boot":1`), []byte(`"boot":2`), 1))
	f.Add([]byte("null"), []byte("{}"))
	f.Add([]byte(`{"boot":1}`), []byte(`{"wall":"0000-01-01T00:00:00Z","boot_id":"\xff"}`))
	db := At("state")
	f.Fuzz(func(t *testing.T, one, two []byte) {
		a, b := decodedClock(t, db, one), decodedClock(t, db, two)
		if newer(a, b) && newer(b, a) || newer(a, a) {
			t.Errorf("%+v and %+v are each newer", a, b)
		}
	})
}

func decodedClock(t *testing.T, db *DB, value []byte) rollover.Instant {
	t.Helper()
	got, err := db.decodeClock(append([]byte{}, value...)) // nil would be no clock
	if err != nil {
		if !errors.Is(err, ErrDamaged) || !got.IsZero() {
			t.Errorf("%q is %+v and %v", value, got, err)
		}
		return got
	}
	raw, err := json.Marshal(got)
	must(t, err)
	again, err := db.decodeClock(raw)
	must(t, err)
	if got.IsZero() || !same(t, again, got) || !again.Wall.Equal(got.Wall) {
		t.Errorf("%q is %+v, which came back as %+v", value, got, again)
	}
	return got
}

// FuzzHistory: events are told in the order of their places, each as what it is
// when it is alone, and come back as the same when they are saved; a key that is
// accepted is the one that a zone's event of this number has.
func FuzzHistory(f *testing.F) {
	event, err := json.Marshal(rollover.Event{At: epoch(), Zone: "a.example.", Event: rollover.EventStarted, Text: "x", Evidence: []string{"y"}})
	must(f, err)
	f.Add(historyKey("a.example.", 7), event, []byte(`{"at":"2026-11-23T12:00:00.5-23:59","text":"\ud800"}`))
	f.Add([]byte("a.\x00b.\x00\x00\x00\x00\x00\x00\x00\x00\x07"), []byte("null"), event)
	f.Fuzz(func(t *testing.T, key, first, second []byte) {
		if n, err := sequenceOf(key); err == nil {
			zone, _, _ := strings.Cut(string(key), "\x00")
			if !bytes.Equal(historyKey(zone, n), key) {
				t.Errorf("%q is event %d of %q", key, n, zone)
			}
		}
		told, err := decodeEvents([]line{{8, second}, {7, first}})
		alone1, err1 := decodeEvents([]line{{7, first}})
		alone2, err2 := decodeEvents([]line{{8, second}})
		if (err == nil) != (err1 == nil && err2 == nil) {
			t.Errorf("%q and %q are events, or not: %v, %v, %v", first, second, err, err1, err2)
		}
		if err != nil {
			return
		}
		if !same(t, told, append(alone1, alone2...)) {
			t.Errorf("%q and %q are told as %+v", first, second, told)
		}
		r, err := newRecord(rollover.Entry{Dossier: rollover.Dossier{Zone: "a.example."}, Events: told}, 0)
		must(t, err)
		again, err := decodeEvents(r.events)
		must(t, err)
		if !same(t, again, told) {
			t.Errorf("%+v came back as %+v", told, again)
		}
	})
}

// FuzzSchema: a file is used if its version is the text that this rollover
// writes, and is of another rollover if it is another number as one writes it;
// all else is damage. What is printed of it has no control characters.
func FuzzSchema(f *testing.F) {
	for _, text := range []string{"1", "2", "", "01", "+1", "0", "-1", "1\n", "00000000000000000001x", "99999999999999999999", "9223372036854775807"} {
		f.Add([]byte(text))
	}
	db, number := At("state"), regexp.MustCompile(`^[1-9][0-9]*$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		err := db.checkSchema(text)
		if (err == nil) != (string(text) == "1") {
			t.Errorf("the version %q: %v", text, err)
		}
		if errors.Is(err, ErrSchema) && (!number.Match(text) || string(text) == "1") || errors.Is(err, ErrDamaged) && number.Match(text) && len(text) < 19 {
			t.Errorf("the version %q: %v", text, err)
		}
		if err != nil && !errors.Is(err, ErrSchema) && !errors.Is(err, ErrDamaged) {
			t.Errorf("the version %q: %v", text, err)
		}
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
			t.Errorf("it prints %q", err)
		}
	})
}

// FuzzHolder: whatever is in the lock file, nobody holds the lock or it is a
// process that can be, which the text begins with; and this one signs so that
// it is read as the same.
func FuzzHolder(f *testing.F) {
	for _, text := range []string{"4711 2026-11-23T12:00:00Z\n", "", "4711", "4711 2026-11-23T12:00", "-1 2026-11-23T12:00:00Z\n", "4294967297 2026-11-23T12:00:00Z\n", "0 2026-11-23T12:00:00Z", "1 2026-11-23T12:00:00.5+01:00 x"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		pid, since := signer(bytes.NewReader(text))
		if pid == 0 {
			if !since.IsZero() {
				t.Errorf("%q is nobody since %v", text, since)
			}
			return
		}
		said := fmt.Sprintf("%d %s", pid, since.Format(time.RFC3339))
		if again, at := signer(strings.NewReader(said + "\n")); pid < 0 || pid > math.MaxInt32 || again != pid || !at.Equal(since.Truncate(time.Second)) {
			t.Errorf("%q is %q, which is %d since %v", text, said, again, at)
		}
		first := strings.FieldsFunc(string(text), unicode.IsSpace)[0]
		if strings.TrimLeft(first, "+0") != fmt.Sprint(pid) {
			t.Errorf("%q does not begin with %d", text, pid)
		}
		if told := (&Busy{PID: pid, Since: since}).Error(); strings.ContainsFunc(told, func(r rune) bool { return r < ' ' }) {
			t.Errorf("it prints %q", told)
		}
	})
}
