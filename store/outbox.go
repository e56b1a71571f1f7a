package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"rollover/rollover"
)

// outboxName is the file of the notifications, beside the state file. It is not
// in the state file: it may be lost, and then some things are told again, while
// a write to the state file costs two syncs and the trust in it.
const outboxName = "outbox.json"

// Outbox is the notifications as they were saved for the state file at a path;
// empty if there are none. If the file cannot be read it is empty too, with an
// error that the caller may tell and otherwise go on.
func Outbox(path string) (rollover.Outbox, error) {
	var out rollover.Outbox
	file, err := openPrivate(outboxPath(path), os.O_RDONLY, false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return out, nil
	case err != nil:
		return out, fmt.Errorf("reading the notifications: %w", err)
	}
	defer file.Close()
	raw, err := io.ReadAll(file)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		return rollover.Outbox{}, fmt.Errorf("reading %s: %w: it begins anew", outboxPath(path), err)
	}
	return out, nil
}

func outboxPath(path string) string { return filepath.Join(filepath.Dir(path), outboxName) }

// UpdateOutbox changes what is saved; all or nothing is there after a crash. The
// lock that it holds meanwhile is of its own: whoever holds it does so for
// milliseconds, and no tick waits for somebody who delivers. What was wrong with
// the file is damage; change then finds it empty.
func UpdateOutbox(path string, change func(*rollover.Outbox) error) (damage, err error) {
	unlock, err := lockOutbox(path, outboxWait)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	box, damage := Outbox(path)
	was, err := json.Marshal(box)
	if err != nil {
		return damage, fmt.Errorf("encoding the notifications: %w", err)
	}
	if err := change(&box); err != nil {
		return damage, err
	}
	return damage, saveOutbox(path, was, box)
}

// saveOutbox writes only if something is different from what was.
func saveOutbox(path string, was []byte, box rollover.Outbox) error {
	now, err := json.Marshal(box)
	if err != nil {
		return fmt.Errorf("encoding the notifications: %w", err)
	}
	if bytes.Equal(was, now) {
		return nil
	}
	return replaceFile(outboxPath(path), now)
}

// outboxLock is the name of the lock of the notifications, beside them.
const outboxLock = "outbox.lock"

// The lock of the notifications is waited for: who has it holds it for a write.
// Who is stopped while it has it must not keep rollovers from going on.
const (
	outboxWait = 10 * time.Second
	outboxPoll = 5 * time.Millisecond
)

func lockOutbox(path string, wait time.Duration) (unlock func() error, err error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("locking the notifications: %w", err)
	}
	file, err := openPrivate(filepath.Join(filepath.Dir(path), outboxLock), os.O_RDWR|os.O_CREATE, false)
	if err != nil {
		return nil, fmt.Errorf("locking the notifications: %w", err)
	}
	err = flock(file)
	for begun := time.Now(); errors.Is(err, syscall.EWOULDBLOCK) && time.Since(begun) < wait; err = flock(file) {
		time.Sleep(outboxPoll)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", file.Name(), err), file.Close())
	}
	return file.Close, nil // which releases it
}

// replaceFile writes a file that nobody else can read, and renames it into place.
func replaceFile(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".") // mode 0600
	if err != nil {
		return fmt.Errorf("writing the notifications: %w", err)
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing the notifications: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return syncDir(filepath.Dir(path))
}
