package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// replaceable refuses a place where something else is than a file: a device, a
// pipe or a folder would be gone, and behind a link lies the file of somebody else.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("writing %s: %w", path, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("writing %s: it is a symbolic link: name the file itself", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("writing %s: it is not a regular file, and only those are replaced: name another one", path)
	}
	return nil
}

// writeWhole puts a file in place at once, so that who reads it never sees
// half of it, and readable for everybody: the textfile collector of Prometheus
// runs as another user.
func writeWhole(path string, raw []byte) (err error) {
	if err := replaceable(path); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(raw)
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
