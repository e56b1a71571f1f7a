package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// errNothing says that there is no state yet; it never leaves the package.
var errNothing = errors.New("no state yet")

// schema is the version of the layout in the package comment. A version that
// this rollover does not know is not touched.
const schema = 1

// view runs fn in a read-only transaction, after a look at the pages behind
// what it is going to read. Without a file, or with one that holds nothing
// yet, fn is not called and there is no error.
func (d *DB) view(fn func(*bbolt.Tx) error, reads ...span) error {
	err := d.inTurn(d.ReadTimeout, func(left time.Duration) error {
		if err := privateDir(filepath.Dir(d.path)); err != nil {
			return err
		}
		return d.open(true, left, func(db *bbolt.DB, file *os.File) error {
			return db.View(func(tx *bbolt.Tx) error {
				if err := d.examine(tx, file, false, append(reads, whole(bucketMeta))); err != nil {
					return err
				}
				return fn(tx)
			})
		})
	})
	if errors.Is(err, errNothing) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// update runs fn in one transaction that is synced to disk when update returns
// nil, and leaves no trace when it returns an error. Damage must not be copied
// on, so the first update of a process looks at all pages before.
func (d *DB) update(fn func(*bbolt.Tx) error) error {
	return d.inTurn(d.WriteTimeout, func(left time.Duration) error {
		if err := d.create(); err != nil {
			return err
		}
		if err := d.inspect(left); err != nil {
			return err
		}
		return d.open(false, left, func(db *bbolt.DB, _ *os.File) error { return d.commit(db, fn) })
	})
}

// inspect looks at all pages, once. It takes 1 ms for each 4 MiB or so.
func (d *DB) inspect(left time.Duration) error {
	if d.sound {
		return nil
	}
	err := d.open(true, left, func(db *bbolt.DB, file *os.File) error {
		return db.View(func(tx *bbolt.Tx) error { return d.examine(tx, file, true, nil) })
	})
	d.sound = err == nil
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

func (d *DB) commit(db *bbolt.DB, fn func(*bbolt.Tx) error) error {
	var ours error
	err := db.Update(func(tx *bbolt.Tx) error {
		ours = d.examineSchema(tx)
		if errors.Is(ours, errNothing) {
			ours = layOut(tx)
		}
		if ours == nil {
			ours = fn(tx)
		}
		return ours
	})
	if err == nil || ours != nil {
		return ours
	}
	return ofSaving(d.path, err)
}

// inTurn calls fn when no other goroutine is in a transaction, with what is
// left of the time to wait for other processes.
func (d *DB) inTurn(timeout time.Duration, fn func(left time.Duration) error) error {
	started := time.Now()
	patience := time.NewTimer(timeout)
	defer patience.Stop()
	select {
	case d.turn <- struct{}{}:
	default:
		select {
		case d.turn <- struct{}{}:
		case <-patience.C:
			return locked(d.path, timeout)
		}
	}
	defer func() { <-d.turn }()
	// bbolt takes 0 for "wait forever" (treefmt#408), and tries once for
	// anything below its retry interval of 50 ms.
	return fn(max(timeout-time.Since(started), time.Nanosecond))
}

// open opens the file, calls fn with it, and closes it, whatever happens. bbolt reads through a memory map: touching a page beyond
// the end of a truncated file raises SIGBUS, which ends the process unless
// faults are made panics in this goroutine. Other damage makes it panic too.
func (d *DB) open(readOnly bool, timeout time.Duration, fn func(*bbolt.DB, *os.File) error) (err error) {
	var file *os.File
	// After its own Close this does nothing. After a panic bbolt may hold its
	// mutexes for good, so that its Close must not be called; the memory map
	// stays until the process ends.
	defer func() { release(file) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged(d.path, p)
		}
	}()
	options := &bbolt.Options{Timeout: timeout, ReadOnly: readOnly, NoStatistics: true}
	options.OpenFile = func(path string, flag int, _ os.FileMode) (*os.File, error) {
		opened, err := openPrivate(path, flag&^os.O_CREATE, readOnly)
		file = opened
		return opened, err
	}
	db, err := bbolt.Open(d.path, 0o600, options)
	if err != nil {
		return ofOpening(d.path, timeout, err)
	}
	err = fn(db, file)
	// What was committed is on disk; a close that fails takes nothing back.
	_ = db.Close()
	return err
}

// release unlocks and closes a file that may be closed, or nil. Closing would
// not unlock it while a memory map of it is left: that keeps the open file
// description, and so its flock, alive.
func release(file *os.File) {
	raw, err := file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = syscall.Flock(int(fd), syscall.LOCK_UN) })
	_ = file.Close()
}

// examine says whether the file is one that this rollover may use: errNothing
// when it holds nothing yet. It looks at the pages behind the spans, or all.
func (d *DB) examine(tx *bbolt.Tx, file *os.File, all bool, spans []span) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("looking at state file %s: %w", d.path, err)
	}
	// bbolt grows the file before it writes the meta page that needs it, so a
	// file shorter than that was truncated. Without this check a write would
	// fill the gap with zeros.
	if info.Size() < tx.Size() {
		return damaged(d.path, fmt.Sprintf("it has %d octets and should have %d at least", info.Size(), tx.Size()))
	}
	if err := look(tx, file, all, spans); err != nil {
		return damaged(d.path, err)
	}
	return d.examineSchema(tx)
}

func (d *DB) examineSchema(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(bucketMeta))
	if meta == nil {
		if first, _ := tx.Cursor().First(); first != nil {
			return damaged(d.path, "it has no schema version")
		}
		return errNothing
	}
	return d.checkSchema(meta.Get([]byte(keySchema)))
}

// checkSchema takes only the text that a rollover writes: "01" or "+1" is damage.
func (d *DB) checkSchema(text []byte) error {
	found, err := strconv.Atoi(string(text[:min(len(text), 20)]))
	switch {
	case err != nil || found < 1 || strconv.Itoa(found) != string(text):
		return damaged(d.path, fmt.Sprintf("its schema version is %.20q", text))
	case found != schema:
		return fmt.Errorf("%w: %s has schema version %d, this rollover knows %d: use the rollover that wrote it; it was left as it is", ErrSchema, d.path, found, schema)
	}
	return nil
}

// layOut makes the buckets and says which layout they are.
func layOut(tx *bbolt.Tx) error {
	for _, name := range []string{bucketMeta, bucketRollovers, bucketLedger, bucketHeaders, bucketDue, bucketHistory, bucketClock} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return fmt.Errorf("making bucket %s: %w", name, err)
		}
	}
	return tx.Bucket([]byte(bucketMeta)).Put([]byte(keySchema), []byte(strconv.Itoa(schema)))
}

// create makes the directory (its last element only) and an empty file where
// they are missing. The file is made under another name and linked into place,
// so that a full disk or a crash cannot leave half of one; and the directory
// is synced, because a new name is not on disk by syncing the file.
func (d *DB) create() error {
	dir := filepath.Dir(d.path)
	if err := makeDir(dir); err != nil {
		return err
	}
	if _, err := os.Lstat(d.path); !errors.Is(err, fs.ErrNotExist) {
		return nil // open will tell what is wrong with it, if anything
	}
	name, err := makeEmpty(dir, filepath.Base(d.path))
	if name != "" {
		defer func() { _ = os.Remove(name) }()
	}
	if err != nil {
		return ofSaving(d.path, err)
	}
	if err := place(name, d.path); err != nil {
		return ofSaving(d.path, err)
	}
	return syncDir(dir)
}

// place gives a file its name; one that another process has put there stays.
func place(name, path string) error {
	if err := os.Link(name, path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// makeEmpty makes an empty bbolt file with a name of its own, which is
// returned also with an error once there is something to remove.
func makeEmpty(dir, base string) (string, error) {
	file, err := os.CreateTemp(dir, "."+base+".new-*") // 0600
	if err != nil {
		return "", err
	}
	if err := file.Close(); err != nil {
		return file.Name(), err
	}
	db, err := bbolt.Open(file.Name(), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return file.Name(), err
	}
	return file.Name(), db.Close()
}

func makeDir(dir string) error {
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("making state directory: %w: make the directories above it first", err)
	case !errors.Is(err, fs.ErrExist):
		if _, missing := os.Stat(dir); missing != nil {
			return fmt.Errorf("making state directory: %w", err)
		}
	}
	return privateDir(dir)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing directory: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing directory: %w", err)
	}
	return nil
}

// openPrivate opens a file that nobody else can get at. A reader of a file of
// 0 octets gets errNothing: a crash of an earlier process may have left it,
// and bbolt cannot read it ("bad file descriptor").
func openPrivate(path string, flag int, readOnly bool) (*os.File, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = private(path, info, os.Geteuid())
	}
	if err == nil && readOnly && info.Size() == 0 {
		err = errNothing
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func privateDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("looking at state directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory: give another file with --state", dir)
	}
	return private(dir, info, os.Geteuid())
}

// private refuses what others could write, or read: whoever writes the state
// decides when keys are taken away.
func private(path string, info fs.FileInfo, user int) error {
	if !info.IsDir() && !info.Mode().IsRegular() {
		return exposed{fmt.Sprintf("%s is not a regular file: give another file with --state", path)}
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != user {
		return exposed{fmt.Sprintf("%s belongs to user id %d, and this is user id %d: run rollover as the user who owns it", path, stat.Uid, user)}
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return exposed{fmt.Sprintf("%s is open to other users (mode %04o): chmod %o %s", path, mode, mode&0o700, path)}
	}
	return nil
}
