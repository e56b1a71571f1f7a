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

// SaveOutbox replaces what was saved; all or nothing is there after a crash. It
// writes only if something is different from before.
func SaveOutbox(path string, before, after rollover.Outbox) error {
	was, err1 := json.Marshal(before)
	now, err2 := json.Marshal(after)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("encoding the notifications: %w", err)
	}
	if bytes.Equal(was, now) {
		return nil
	}
	return replaceFile(outboxPath(path), now)
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
