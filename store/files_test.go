package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"rollover/rollover"
)

// What makes bbolt panic, or faults in its memory map, is damage, and leaves no
// lock behind.
func TestPanicsAndFaultsAreDamage(t *testing.T) {
	for name, fn := range map[string]func(*bbolt.DB, string) error{
		"panic": func(*bbolt.DB, string) error { panic("page 7 is lost") },
		"fault": func(db *bbolt.DB, path string) error {
			return db.View(func(tx *bbolt.Tx) error {
				must(t, os.Truncate(path, 0))
				_, _ = tx.Cursor().First()
				return nil
			})
		},
	} {
		db := filled(t, 1)
		err := db.open(true, time.Second, func(raw *bbolt.DB, _ *os.File) error { return fn(raw, db.path) })
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		file, err := os.OpenFile(db.path, os.O_RDWR, 0)
		must(t, err)
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			t.Errorf("%s: it is locked: %v", name, err)
		}
		must(t, file.Close())
	}
}

// A file that lacks pages which are free is a truncated one too.
func TestAFileThatLacksFreePagesIsDamaged(t *testing.T) {
	db := filled(t, 1)
	must(t, db.open(false, time.Second, func(raw *bbolt.DB, _ *os.File) error {
		return errors.Join(
			raw.Update(put1(bucketMeta, "x", strings.Repeat("x", 1<<18))),
			raw.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucketMeta)).Delete([]byte("x")) }),
			raw.Update(put1(bucketMeta, "y", "")))
	}))
	_, err := db.Clock()
	must(t, err)
	size := int64(0)
	must(t, db.open(true, time.Second, func(raw *bbolt.DB, _ *os.File) error {
		return raw.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	}))
	for _, c := range []struct {
		octets int64
		sound  bool
	}{{size, true}, {size - 1, false}} {
		must(t, os.Truncate(db.path, c.octets))
		if _, err := db.Clock(); (err == nil) != c.sound || err != nil && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "octets and should have")) {
			t.Errorf("%d of %d octets: %v", c.octets, size, err)
		}
	}
}

func TestAFileThatCannotBeLookedAtIsNotUsed(t *testing.T) {
	db := filled(t, 1)
	err := db.open(true, time.Second, func(raw *bbolt.DB, file *os.File) error {
		closed, err := os.Open(db.path)
		must(t, err)
		must(t, closed.Close())
		return raw.View(func(tx *bbolt.Tx) error { return db.examine(tx, closed, false, nil) })
	})
	if !errors.Is(err, fs.ErrClosed) || !strings.Contains(err.Error(), "looking at state file") {
		t.Errorf("the error is %v", err)
	}
}

// Each way in which the place of the state file is wrong is told as it is.
func TestWrongPlacesAreTold(t *testing.T) {
	dir := filepath.Dir(filled(t, 1).path)
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	open := filepath.Join(dir, "open.db")
	must(t, os.WriteFile(open, nil, 0o600))
	must(t, os.Chmod(open, 0o644))
	for _, c := range []struct{ path, read, write string }{
		{filepath.Join(file, "rollover.db"), file + " is not a directory: give another file", file + " is not a directory: give another file"},
		{filepath.Join(file, "sub", "rollover.db"), "looking at state directory: stat ", "making state directory: mkdir "},
		{filepath.Join(dir, "no", "such", "rollover.db"), "", "make the directories above it first"},
		{open, open + " is open to other users", open + " is open to other users"},
	} {
		_, read := At(c.path).Load("example.org.")
		write := At(c.path).Save(sample("example.org.", 1))
		_, locked := Lock(c.path)
		for what, e := range map[string]struct {
			err  error
			says string
		}{"reading": {read, c.read}, "writing": {write, c.write}, "locking": {locked, c.write}} {
			if c.path == open && what == "locking" {
				continue // its own file is good
			}
			if (e.err == nil) != (e.says == "") || e.err != nil && !strings.Contains(e.err.Error(), e.says) {
				t.Errorf("%s %s: %v, expected %q", what, c.path, e.err, e.says)
			}
		}
	}
	null, err := os.Stat(os.DevNull)
	must(t, err)
	if err := private(os.DevNull, null, 0); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("a device: %v", err)
	}
	if err := syncDir(filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "syncing directory") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// Of two processes that make the file the first one's stays.
func TestAFileThatIsThereStays(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
		must(t, place(filepath.Join(dir, name), filepath.Join(dir, "state")))
	}
	if got := contents(t, filepath.Join(dir, "state")); string(got) != "one" {
		t.Errorf("it is %q", got)
	}
	if name, err := makeEmpty(filepath.Join(dir, "no"), "state"); !errors.Is(err, fs.ErrNotExist) || name != "" {
		t.Errorf("an empty file %q without a directory: %v", name, err)
	}
	if err := place(filepath.Join(dir, "one"), filepath.Join(dir, "no", "state")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
}

func TestALayoutIsNotLaidOverAnother(t *testing.T) {
	db := write(t, nil)
	raw, err := bbolt.Open(db.path, 0o600, nil)
	must(t, err)
	err = raw.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte(bucketLedger))
		must(t, err)
		return layOut(tx)
	})
	if err == nil || !strings.Contains(err.Error(), "making bucket ledger") {
		t.Errorf("the error is %v", err)
	}
	must(t, raw.Close())
}

// A lock file that others can get at is none, and a text that is not as it is
// signed names nobody.
func TestLockFiles(t *testing.T) {
	path := statePath(t)
	l, err := Lock(path)
	must(t, err)
	must(t, os.WriteFile(l.file.Name(), []byte("x"), 0o600))
	var busy *Busy
	if _, err := Lock(path); !errors.As(err, &busy) || *busy != (Busy{}) {
		t.Errorf("held by nobody who can be read: %+v", err)
	}
	must(t, l.Unlock())
	must(t, os.Chmod(l.file.Name(), 0o644))
	if _, err := Lock(path); !isPermission(err) || !strings.HasPrefix(err.Error(), "locking: ") {
		t.Errorf("open to others: %v", err)
	}
	since := "2026-11-23T12:00:00Z"
	for text, want := range map[string]int{"4711 " + since + "\n": 4711, "2147483647 " + since: 2147483647, "2147483648 " + since: 0, "4711 " + since + " x\n": 0} {
		if pid, _ := signer(strings.NewReader(text)); pid != want {
			t.Errorf("%q is %d", text, pid)
		}
	}
	at, err := time.Parse(time.RFC3339, since)
	must(t, err)
	for _, c := range []struct {
		busy Busy
		want string
	}{
		{Busy{}, "another advance is running"},
		{Busy{PID: 7, Since: at}, "another advance is running (pid 7, since " + since + ")"},
		{Busy{PID: 7, Since: at, Killed: true, path: "p"}, "an advance (pid 7, since " + since + ") was killed, and a command that it started still runs: nothing is done until that has ended: fuser -v p"},
	} {
		if got := c.busy.Error(); got != c.want {
			t.Errorf("%q, expected %q", got, c.want)
		}
	}
}

// Notifications that cannot be read, locked or written are told, and what was
// saved before stays.
func TestOutboxThatFails(t *testing.T) {
	path := statePath(t)
	queue := func(id string, at time.Time, fails error) (error, error) {
		return UpdateOutbox(path, func(box *rollover.Outbox) error {
			box.Queue(rollover.Notice{ID: id, At: at}, []string{"exec"}, epoch())
			return fails
		})
	}
	_, err := queue("1", epoch(), nil)
	must(t, err)
	file, lock := outboxPath(path), filepath.Join(filepath.Dir(path), outboxLock)
	before := contents(t, file)
	no := errors.New("no")
	if _, err := queue("2", epoch(), no); !errors.Is(err, no) {
		t.Errorf("a change that fails: %v", err)
	}
	if _, err := queue("2", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), nil); err == nil || !strings.Contains(err.Error(), "encoding the notifications") {
		t.Errorf("a time that JSON cannot have: %v", err)
	}
	must(t, os.Chmod(lock, 0o644))
	if _, err := queue("2", epoch(), nil); !isPermission(err) || !strings.HasPrefix(err.Error(), "locking the notifications: ") {
		t.Errorf("a lock that is open to others: %v", err)
	}
	must(t, os.Chmod(lock, 0o600))
	unlock, err := lockOutbox(path, 0)
	must(t, err)
	if _, err := lockOutbox(path, 0); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("a lock that is held: %v", err)
	}
	must(t, unlock())
	if string(contents(t, file)) != string(before) {
		t.Error("what failed was saved")
	}
	must(t, os.Chmod(file, 0o644))
	if box, err := Outbox(path); !isPermission(err) || !strings.HasPrefix(err.Error(), "reading the notifications: ") || len(box.Pending) > 0 {
		t.Errorf("a file that is open to others: %+v, %v", box, err)
	}
	must(t, os.Remove(file))
	must(t, os.Mkdir(file, 0o700))
	if _, err := queue("2", epoch(), nil); err == nil || !strings.HasPrefix(err.Error(), "writing the notifications: ") {
		t.Errorf("a directory in its place: %v", err)
	}
	if left, err := filepath.Glob(file + "*"); err != nil || len(left) != 1 {
		t.Errorf("there is %q, %v", left, err)
	}
	nowhere := filepath.Join(filepath.Dir(path), "no", "such", "rollover.db")
	if _, err := UpdateOutbox(nowhere, func(*rollover.Outbox) error { return nil }); err == nil || !strings.Contains(err.Error(), "make the directories above it first") {
		t.Errorf("without a directory above: %v", err)
	}
	if err := replaceFile(nowhere, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
}

// A header has one encoding, and a key of the history one form.
func TestOctetsThatAreNoHeader(t *testing.T) {
	h := headerOf(sample("a.example.", 1).Dossier)
	h.NextCheck = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) // the greatest stamp
	good := encoded(t, h)
	with := func(at int, octet byte) string { return good[:at] + string([]byte{octet}) + good[at+1:] }
	last := len(good) - len(h.Phase) - 1
	for name, c := range map[string]struct {
		value string
		good  bool
	}{
		"good":                     {good, true},
		"another version":          {with(0, 2), false},
		"an unknown flag":          {with(1, 2), false},
		"a check before 1970":      {with(2, 0x80), false},
		"a start before 1970":      {with(10, 0x80), false},
		"one octet more":           {good + "x", false},
		"one octet less":           {good[:len(good)-1], false},
		"a text longer than it is": {with(last, byte(len(h.Phase)+1)), false},
		"no texts":                 {good[:headerFixed], false},
		"half of what is fixed":    {good[:headerFixed-1], false},
	} {
		if _, err := decodeHeader("a.example.", c.value); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	for key, good := range map[string]bool{"a\x0012345678": true, "\x0012345678": false, "a\x00b\x001234567": false, "a": false, "a\x001234567": false} {
		if _, err := sequenceOf([]byte(key)); (err == nil) != good {
			t.Errorf("%q: %v", key, err)
		}
	}
}
