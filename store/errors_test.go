package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"rollover/rollover"
)

// What an error of the system means, and what helps: only what bbolt says of the
// content is damage, and only where it is known that nothing was changed is it told.
func TestWhatErrorsOfFilesSay(t *testing.T) {
	system := func(number syscall.Errno) error { return &fs.PathError{Op: "write", Path: "x", Err: number} }
	opening := func(err error) error { return ofOpening("p.db", time.Second, err) }
	saving := func(err error) error { return ofSaving("p.db", err) }
	grow := errors.New("file resize error") // of bbolt, without its number
	for _, c := range []struct {
		of   func(error) error
		err  error
		is   error
		says string // after the path
	}{
		{opening, bolterrors.ErrTimeout, ErrLocked, "was held by another process for all of 1s: "},
		{opening, bolterrors.ErrInvalid, ErrDamaged, "never deleted"},
		{opening, exposed{"p.db is open"}, fs.ErrPermission, "p.db is open"},
		{opening, errNothing, errNothing, "no state yet"},
		{opening, system(syscall.ENOSPC), syscall.ENOSPC, "nothing was changed: make room there"},
		{opening, system(syscall.EACCES), fs.ErrPermission, "run rollover as the user who owns it"},
		{opening, system(syscall.ELOOP), syscall.ELOOP, "it is a symbolic link"},
		{opening, system(syscall.EISDIR), syscall.EISDIR, "opening state file p.db: write x: is a directory"},
		{saving, grow, grow, "nothing was changed: make room there"},
		{saving, system(syscall.ENOSPC), syscall.ENOSPC, "nothing was changed: make room there"},
		{saving, system(syscall.EDQUOT), syscall.EDQUOT, "nothing was changed: make room there"},
		{saving, system(syscall.EFBIG), syscall.EFBIG, "nothing was changed: make room there"},
		{saving, system(syscall.EPERM), fs.ErrPermission, "run rollover as the user who owns it"},
		{saving, system(syscall.EROFS), syscall.EROFS, "run rollover as the user who owns it"},
		{saving, system(syscall.EIO), syscall.EIO, "whether it was saved is not known"},
		{saving, system(syscall.EBADF), syscall.EBADF, "saving to state file p.db: write x: bad file descriptor"},
	} {
		got := c.of(c.err)
		if !errors.Is(got, c.is) || !strings.Contains(got.Error(), c.says) || errors.Is(got, ErrDamaged) != (c.is == ErrDamaged) {
			t.Errorf("%v is %v, expected %q", c.err, got, c.says)
		}
		if room := strings.Contains(got.Error(), "nothing was changed"); room != strings.HasPrefix(c.says, "nothing was changed") {
			t.Errorf("%v: nothing was changed: %v", c.err, room)
		}
	}
}

// All pages are looked at until once they were sound.
func TestAFileIsInspectedUntilItIsSound(t *testing.T) {
	db := filled(t, 1)
	must(t, db.Save(sample(zoneName(0), 1)))
	if !db.sound {
		t.Error("a sound file is inspected again")
	}
	broken := write(t, contents(t, db.path)[:3*os.Getpagesize()])
	if err := broken.Save(sample(zoneName(0), 1)); !errors.Is(err, ErrDamaged) || broken.sound {
		t.Errorf("sound %v, %v", broken.sound, err)
	}
}

// What is wrong with the content is no want of room.
func TestDamageIsNoFullDisk(t *testing.T) {
	for _, bucket := range []string{bucketRollovers, bucketLedger, bucketHeaders, bucketDue, bucketHistory, bucketClock} {
		db := filled(t, 2)
		alter(t, db, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(bucket)) })
		before := contents(t, db.path)
		e := sample(zoneName(0), 1)
		e.Events = []rollover.Event{{Zone: e.Dossier.Zone}}
		err := db.Save(e)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprintf("(bucket %s is missing)", bucket)) || strings.Contains(err.Error(), "make room") {
			t.Errorf("%s: %v", bucket, err)
		}
		if string(before) != string(contents(t, db.path)) {
			t.Errorf("%s: the file was altered", bucket)
		}
		_, err1 := db.Load(zoneName(0))
		_, err2 := db.Due(epoch(), 0)
		err3 := db.Headers(func(Header) bool { return true })
		_, err4 := db.History("")
		_, err5 := db.Clock()
		err6 := db.Beyond(epoch(), func(string, time.Time, time.Time) bool { return true })
		_, _, err7 := db.NextDue()
		got := ""
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
			if errors.Is(err, ErrDamaged) && strings.Contains(err.Error(), "bucket "+bucket+" is missing") {
				got += fmt.Sprint(i + 1)
			}
		}
		want := map[string]string{bucketRollovers: "1", bucketLedger: "1", bucketHeaders: "13", bucketDue: "267", bucketHistory: "4", bucketClock: "56"}
		if got != want[bucket] {
			t.Errorf("%s: damage is seen by %s, expected %s", bucket, got, want[bucket])
		}
	}
}
