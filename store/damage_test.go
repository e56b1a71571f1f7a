package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"rollover/rollover"
)

// everyRead calls every method that reads, and returns their errors.
func everyRead(db *DB, zones int) []error {
	var out []error
	for i := range zones {
		_, err := db.Load(zoneName(i))
		out = append(out, err)
	}
	_, err1 := db.Due(epoch().Add(time.Hour), 0)
	_, _, err2 := db.NextDue()
	_, err3 := db.Zones()
	_, err4 := db.History("")
	_, err5 := db.Clock()
	return append(out, err1, err2, err3, err4, err5)
}

func TestATruncatedFileIsReportedAndLeftAlone(t *testing.T) {
	const zones = 40
	whole := contents(t, filled(t, zones).path)
	for _, size := range []int{1, 100, 4095, 4096, 8192, 12288, 16384, len(whole) / 2, len(whole) / 4, 3 * len(whole) / 4, len(whole) - 4096, len(whole) - 1} {
		db := write(t, whole[:size])
		failed := false
		for _, err := range append(everyRead(db, zones), db.Save(sample("new.example.", 1))) {
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("%d octets: %v", size, err)
			}
			failed = failed || err != nil
		}
		if size < len(whole)/2 && !failed {
			t.Errorf("%d octets of %d: nobody noticed", size, len(whole))
		}
		if failed && !bytes.Equal(contents(t, db.path), whole[:size]) {
			t.Errorf("%d octets: the file was altered", size)
		}
	}
}

func TestWhatAnErrorOfDamageSays(t *testing.T) {
	db := write(t, make([]byte, 1<<15))
	_, err := db.Load("example.org.")
	for _, want := range []string{db.path, "never deleted", "mv ", "copy from a backup", "keys in PowerDNS are untouched"} {
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
}

// Damaged octets must not end the process, and no dossier that was never saved
// may come out.
func TestRandomDamageIsNeverBelieved(t *testing.T) {
	const zones = 60
	original := filled(t, zones)
	must(t, original.Save(sample("other.example.", 1))) // so that the transaction before has the zones too
	whole := contents(t, original.path)
	db := write(t, whole)
	noticed := 0
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		broken := bytes.Clone(whole)
		for range 1 << random.IntN(8) {
			broken[random.IntN(len(broken))] ^= byte(1 + random.IntN(255))
		}
		must(t, os.WriteFile(db.path, broken, 0o600))
		db = At(db.path) // as in another process
		for _, err := range everyRead(db, 0) {
			expectSound(t, seed, err)
		}
		for i := range zones {
			d, err := db.Load(zoneName(i))
			expectSound(t, seed, err)
			if err != nil {
				noticed++
			} else if !same(t, d, sample(zoneName(i), i).Dossier) {
				t.Errorf("seed %d: zone %d is %+v", seed, i, d)
			}
		}
		if !bytes.Equal(contents(t, db.path), broken) {
			t.Errorf("seed %d: reading altered the file", seed)
		}
		expectSound(t, seed, db.Save(sample(zoneName(int(seed)%zones), 7)))
	}
	if noticed == 0 {
		t.Error("no damage was noticed: the test tests nothing")
	}
}

func expectSound(t *testing.T, seed uint64, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrSchema) {
		t.Errorf("seed %d: %v", seed, err)
	}
}

// alter changes the file behind the back of the store.
func alter(t *testing.T, db *DB, fn func(*bbolt.Tx) error) {
	t.Helper()
	raw, err := bbolt.Open(db.path, 0o600, nil)
	must(t, err)
	must(t, raw.Update(fn))
	must(t, raw.Close())
}

func put1(bucket, key, value string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte(value)) }
}

func TestAFileOfANewerRolloverIsNotTouched(t *testing.T) {
	db := filled(t, 2)
	alter(t, db, put1(bucketMeta, keySchema, "2"))
	before := contents(t, db.path)
	for _, err := range append(everyRead(db, 2), db.Save(sample(zoneName(0), 1))) {
		if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), db.path+" has schema version 2, this rollover knows 1") {
			t.Errorf("the error is %v", err)
		}
	}
	if !bytes.Equal(contents(t, db.path), before) {
		t.Error("the file was altered")
	}
}

func TestValuesThatDoNotFitAreDamageOfTheirZone(t *testing.T) {
	flipped := func(bucket string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(bucket))
			value := bytes.Clone(b.Get([]byte(zoneName(1))))
			value[len(value)/2] ^= 1
			return b.Put([]byte(zoneName(1)), value)
		}
	}
	gone := func(bucket string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Delete([]byte(zoneName(1))) }
	}
	for name, fn := range map[string]func(*bbolt.Tx) error{
		"an octet of the rollover is flipped": flipped(bucketRollovers),
		"an octet of the ledger is flipped":   flipped(bucketLedger),
		"an octet of the header is flipped":   flipped(bucketHeaders),
		"the rollover is gone":                gone(bucketRollovers),
		"the ledger is gone":                  gone(bucketLedger),
		"the header is gone":                  gone(bucketHeaders),
	} {
		db := filled(t, 3)
		alter(t, db, fn)
		if _, err := db.Load(zoneName(1)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), zoneName(1)) {
			t.Errorf("%s: %v", name, err)
		}
		for _, other := range []int{0, 2} {
			_, err := db.Load(zoneName(other))
			must(t, err)
		}
	}
}

func TestWhatIsNotAStateFileIsDamage(t *testing.T) {
	for name, fn := range map[string]func(*bbolt.Tx) error{
		"a bucket is missing":       func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(bucketDue)) },
		"there is no version":       func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(bucketMeta)) },
		"the version is no number":  put1(bucketMeta, keySchema, "one"),
		"the version is too low":    put1(bucketMeta, keySchema, "0"),
		"a due key is too short":    put1(bucketDue, "\x00short", ""),
		"a due key is out of range": put1(bucketDue, "\xff1234567a.example.", ""),
	} {
		db := filled(t, 1)
		alter(t, db, fn)
		if _, err := db.Due(epoch().AddDate(300, 0, 0), 0); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	db := filled(t, 1)
	alter(t, db, put1(bucketClock, keyLast, "{"))
	alter(t, db, put1(bucketHistory, "a.example.", "{}"))
	_, err1 := db.Clock()
	_, err2 := db.History("")
	for _, err := range []error{err1, err2, db.Save(sample(zoneName(0), 1))} {
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestFieldsOfALaterVersionAreLeftOut(t *testing.T) {
	db := filled(t, 1)
	want := sample(zoneName(0), 0)
	alter(t, db, func(tx *bbolt.Tx) error {
		r, err := newRecord(want, 0)
		must(t, err)
		r.roll = bytes.Replace(r.roll, []byte("{"), []byte(`{"of a later version":[1],`), 1)
		r.seal()
		return errors.Join(
			tx.Bucket([]byte(bucketRollovers)).Put([]byte(r.zone), r.roll),
			tx.Bucket([]byte(bucketHeaders)).Put([]byte(r.zone), r.header))
	})
	got, err := db.Load(zoneName(0))
	must(t, err)
	if !same(t, got, want.Dossier) {
		t.Errorf("loaded %+v", got)
	}
}

func TestAFileThatOthersCanGetAtIsRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		break_ func(db *DB) error
		remedy string
	}{
		{"the file is readable by others", func(db *DB) error { return os.Chmod(db.path, 0o644) }, "chmod 600 "},
		{"the file is writable by the group", func(db *DB) error { return os.Chmod(db.path, 0o620) }, "chmod 600 "},
		{"the directory is open to others", func(db *DB) error { return os.Chmod(filepath.Dir(db.path), 0o755) }, "chmod 700 "},
	} {
		db := filled(t, 1)
		must(t, c.break_(db))
		before := contents(t, db.path)
		for _, err := range append(everyRead(db, 1), db.Save(sample(zoneName(0), 1))) {
			if !isPermission(err) || !strings.Contains(err.Error(), c.remedy) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if !bytes.Equal(contents(t, db.path), before) {
			t.Errorf("%s: the file was altered", c.name)
		}
	}
}

func TestAFileOfSomebodyElseIsRefused(t *testing.T) {
	db := filled(t, 1)
	info, err := os.Stat(db.path)
	must(t, err)
	must(t, private(db.path, info, os.Geteuid()))
	if err := private(db.path, info, os.Geteuid()+1); !isPermission(err) || !strings.Contains(err.Error(), "belongs to user id") {
		t.Errorf("the error is %v", err)
	}
}

func TestOddPathsAreExplained(t *testing.T) {
	link := filled(t, 1)
	must(t, os.Rename(link.path, link.path+".real"))
	must(t, os.Symlink(link.path+".real", link.path))
	dir := At(filepath.Join(filepath.Dir(link.path), "dir"))
	must(t, os.Mkdir(dir.path, 0o700))
	for _, c := range []struct {
		db   *DB
		want string
	}{
		{link, "symbolic link"},
		{At(link.path + ".real/rollover.db"), "not a directory"},
		{At(filepath.Join(filepath.Dir(link.path), "no", "such", "rollover.db")), "make the directories above it first"},
	} {
		if err := c.db.Save(sample("example.org.", 1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.db.path, err)
		}
	}
	if _, err := dir.Load("example.org."); err == nil {
		t.Error("a directory was read as a file")
	}
	if err := dir.Save(rollover.Entry{Dossier: rollover.Dossier{Zone: "example.org."}}); err == nil {
		t.Error("a directory was written as a file")
	}
}
