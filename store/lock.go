package store

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockName is the name of the lock file, beside the state file.
const lockName = "tick.lock"

// TickLock says that a tick is running. It is held for all of the tick, while
// the state file is only open for milliseconds, so that others can read it.
type TickLock struct{ file *os.File }

// Busy is the error when another tick is running; it wraps ErrBusy. PID is 0
// while the other one has not yet said who it is.
type Busy struct {
	PID    int
	Since  time.Time
	Killed bool // it is gone, but a process that it gave the lock to is not
	path   string
}

// Error names the other process.
func (b *Busy) Error() string {
	switch {
	case b.PID == 0:
		return ErrBusy.Error()
	case b.Killed:
		return fmt.Sprintf("an advance (pid %d, since %s) was killed, and a command that it started still runs: nothing is done until that has ended: fuser -v %s", b.PID, b.Since.Format(time.RFC3339), b.path)
	}
	return fmt.Sprintf("%v (pid %d, since %s)", ErrBusy, b.PID, b.Since.Format(time.RFC3339))
}

// Unwrap makes it ErrBusy.
func (b *Busy) Unwrap() error { return ErrBusy }

// Lock takes the lock of the state file at path: tick.lock in its directory,
// which is made if it is missing. It never waits: if the lock is taken the
// error is a *Busy. The kernel releases it when the process dies, and those
// that it gave File to; other children do not inherit it (Go opens files
// close-on-exec).
func Lock(path string) (*TickLock, error) {
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	file, err := openPrivate(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, false)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if err := flock(file); err != nil {
		defer func() { _ = file.Close() }()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, holder(file)
		}
		return nil, fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	// The lock holds with or without the text, so that a full disk does not
	// keep a tick from running as far as it can.
	_ = sign(file)
	return &TickLock{file}, nil
}

// flock is tried again after a signal, which Go sends to itself (preemption).
func flock(file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// sign says who holds the lock. It is only for people, so it is not synced.
func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt(fmt.Appendf(nil, "%d %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339)), 0)
	return err
}

// holder says who holds the lock. Whatever is wrong with the text, the lock
// is taken.
func holder(file *os.File) error {
	pid, since := signer(file)
	if pid == 0 {
		return &Busy{}
	}
	killed := errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	return &Busy{PID: pid, Since: since, Killed: killed, path: file.Name()}
}

// signer reads what sign has written, 0 if it is anything else. The kernel takes
// 32 bits of a pid, so that a larger one would be asked about as another.
func signer(text io.Reader) (pid int, since time.Time) {
	var at string
	if _, err := fmt.Fscanf(text, "%d %s\n", &pid, &at); err != nil || pid <= 0 || pid > math.MaxInt32 {
		return 0, time.Time{}
	}
	since, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return 0, time.Time{}
	}
	return pid, since
}

// File is for children that must not outlive the lock: one that has inherited
// it keeps the lock, should we be killed.
func (l *TickLock) File() *os.File { return l.file }

// Unlock releases the lock, also from children that have inherited it. The
// file stays, empty: were it removed, two processes could each lock a file of
// this name.
func (l *TickLock) Unlock() error {
	return errors.Join(l.file.Truncate(0), syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}
