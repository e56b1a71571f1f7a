package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeWhole puts a file in place at once, so that who reads it never sees
// half of it, and readable for everybody: the textfile collector of Prometheus
// runs as another user.
func writeWhole(path string, raw []byte) (err error) {
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
