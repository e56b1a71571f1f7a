// Package guard says of a file who could have put it there, or could change it:
// what configures rollover, and what it runs, must be root's or our own, on every
// step of the way there.
package guard

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// linkLimit is how many symbolic links one path may lead over, as for the kernel.
const linkLimit = 40

// exposed is the refusal of what others can get at. It is fs.ErrPermission to
// callers, though no system call denied it.
type exposed struct{ text string }

func (e exposed) Error() string { return e.text }

// Unwrap makes it fs.ErrPermission.
func (e exposed) Unwrap() error { return fs.ErrPermission }

// way is a path that is gone from the root on, link by link.
type way struct {
	path   string
	parts  []string // still to go
	links  int
	closed bool // nobody else can enter a folder that was passed
}

// Trusted refuses a path that another user than root and us could have put in
// place or can change: the file, the folders above it, the symbolic links in
// between and where these lead. With a sticky folder, as /tmp, only what lies in
// it counts. What is missing is fs.ErrNotExist.
func Trusted(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	w := way{path: "/", parts: strings.Split(path, "/")}
	err = w.check()
	for err == nil && len(w.parts) > 0 {
		w.step()
		err = w.check()
	}
	return err
}

// Program is the file that a command word runs, by the PATH of this process, and
// why that is not to be trusted. Without a path there is no such program.
func Program(word string) (string, error) {
	path, err := exec.LookPath(word)
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	return path, Trusted(path)
}

// step goes one part on. No link is in the path, so that ".." is what it says.
func (w *way) step() {
	part := w.parts[0]
	w.path, w.parts = filepath.Join(w.path, part), w.parts[1:]
	w.closed = w.closed && part != ".."
}

// check judges where the way has come to, and follows a link.
func (w *way) check() error {
	info, err := os.Lstat(w.path)
	if err != nil {
		return err
	}
	if err := owned(w.path, info, os.Geteuid()); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return w.follow()
	}
	return w.writable(info)
}

// follow turns off where a link leads, from the root again.
func (w *way) follow() error {
	target, err := os.Readlink(w.path)
	if err != nil {
		return err
	}
	if w.links++; w.links > linkLimit {
		return &fs.PathError{Op: "open", Path: w.path, Err: syscall.ELOOP}
	}
	if !filepath.IsAbs(target) {
		target = filepath.Dir(w.path) + "/" + target
	}
	w.path, w.closed, w.parts = "/", false, append(strings.Split(target, "/"), w.parts...)
	return nil
}

// writable refuses a file that others may write to, and a folder in which they
// may replace what lies there. What a group may write is let pass behind a folder
// that only its owner can enter: where each user has a group, umask is 002.
func (w *way) writable(info fs.FileInfo) error {
	mode := info.Mode()
	bits := fs.FileMode(0o022)
	if w.closed {
		bits = 0o002
	}
	w.closed = w.closed || mode.IsDir() && mode.Perm()&0o011 == 0
	sticky := mode.IsDir() && mode&fs.ModeSticky != 0
	if mode.Perm()&bits == 0 || sticky || mode&fs.ModeCharDevice != 0 {
		return nil
	}
	return exposed{fmt.Sprintf("%s may be written by others than its owner (mode %04o): chmod go-w %s", w.path, mode.Perm(), w.path)}
}

func owned(path string, info fs.FileInfo, user int) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == user || stat.Uid == 0 {
		return nil
	}
	return exposed{fmt.Sprintf("%s belongs to user %d: it must belong to root or to the user that runs rollover: chown root %s", path, stat.Uid, path)}
}
