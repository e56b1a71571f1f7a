package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// secretLimit is far more than a key file holds.
const secretLimit = 64 << 10

// readSecret reads a file that nobody else may read: owned by us or by root,
// mode 0600 or less, no symbolic link. Its text goes nowhere but to whom it is for.
func readSecret(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return nil, fmt.Errorf("%s belongs to user %d: it must belong to the user that runs rollover, or to root", path, stat.Uid)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s may be read by others (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(file, secretLimit))
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	return text, nil
}
