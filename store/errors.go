package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	bolterrors "go.etcd.io/bbolt/errors"
)

// exposed is the refusal of a file or directory that others can get at. It is
// fs.ErrPermission to callers, though no system call denied it.
type exposed struct{ text string }

func (e exposed) Error() string { return e.text }

// Unwrap makes it fs.ErrPermission.
func (e exposed) Unwrap() error { return fs.ErrPermission }

func damaged(path string, detail any) error {
	return fmt.Errorf("%w: %s (%v): it was left as it is and is never deleted: move it away (mv %s %s.damaged), put a copy from a backup in its place, and run the command again; the keys in PowerDNS are untouched",
		ErrDamaged, path, detail, path, path)
}

func locked(path string, waited time.Duration) error {
	return fmt.Errorf("%w: %s was held by another process for all of %v: run the command again; if that does not help, `fuser -v %s` shows who holds it",
		ErrLocked, path, waited.Round(time.Millisecond), path)
}

// ofOpening explains an error of bbolt.Open. What is neither a timeout, nor
// ours, nor a system call that failed is bbolt complaining about the content:
// "invalid database", "version mismatch", "checksum error", "file size too
// small" (the last one is not a value that could be compared).
func ofOpening(path string, waited time.Duration, err error) error {
	var number syscall.Errno
	var refused exposed
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return locked(path, waited)
	case errors.As(err, &refused), errors.Is(err, errNothing):
		return err
	case !errors.As(err, &number):
		return damaged(path, err)
	}
	return ofSystem("opening", path, number, err)
}

// ofSaving explains an error of bbolt.DB.Update that did not come from our own
// function. bbolt drops the error number when it cannot grow the file, and
// grows it before it writes anything that counts; with other numbers than
// those of a full disk (EIO) it may be the last sync that failed, after which
// nobody knows what is on the disk.
func ofSaving(path string, err error) error {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return full(path, err)
	}
	return ofSystem("saving to", path, number, err)
}

func ofSystem(doing, path string, number syscall.Errno, err error) error {
	switch number {
	case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
		return full(path, err)
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		return fmt.Errorf("%s state file %s: %w: run rollover as the user who owns it", doing, path, err)
	case syscall.ELOOP:
		return fmt.Errorf("%s state file %s: %w: it is a symbolic link: give the file itself with --state", doing, path, err)
	case syscall.EIO:
		return fmt.Errorf("%s state file %s: %w: whether it was saved is not known: look at the disk (dmesg), then run the command again", doing, path, err)
	}
	return fmt.Errorf("%s state file %s: %w", doing, path, err)
}

func full(path string, err error) error {
	return fmt.Errorf("saving to state file %s: %w: nothing was changed: make room there (df, quota, ulimit -f), then run the command again", path, err)
}
