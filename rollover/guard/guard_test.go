package guard_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollover/rollover/guard"
)

const stranger = 12345 // a user that is neither root nor us

// attack is a way to a file, what another user can do on it, and what that is
// answered with; empty if it is let pass.
type attack struct {
	name string
	do   func(t *testing.T, dir string)
	says string // DIR is the folder
	root bool   // only root can make it
}

func attacks() []attack {
	chmod := func(name string, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, name), mode)) }
	}
	chown := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { must(t, os.Lchown(filepath.Join(dir, name), stranger, stranger)) }
	}
	return []attack{
		{"nothing", func(*testing.T, string) {}, "", false},
		{"a file of another user", chown("real/deep/file"), "DIR/real/deep/file belongs to user 12345: it must belong to root or to the user that runs rollover: chown root DIR/real/deep/file", true},
		{"a file that a group writes", chmod("real/deep/file", 0o775), "chmod go-w DIR/real/deep/file", false},
		{"a file that anybody writes", chmod("real/deep/file", 0o757), "chmod go-w DIR/real/deep/file", false},
		{"a folder of another user", chown("real/deep"), "chown root DIR/real/deep", true},
		{"a folder above it of another user", chown("real"), "chown root DIR/real", true},
		{"a folder that a group writes", chmod("real/deep", 0o775), "chmod go-w DIR/real/deep", false},
		{"a folder above it that anybody writes", chmod("real", 0o757), "chmod go-w DIR/real", false},
		{"a sticky folder", chmod("real", 0o777|os.ModeSticky), "", false},
		{"a link of another user", chown("link"), "chown root DIR/link", true},
		{"a link in a folder of another user", chown("."), "chown root DIR", true},
		{"a group behind a closed folder", func(t *testing.T, dir string) {
			chmod("real", 0o700)(t, dir)
			chmod("real/deep", 0o770)(t, dir)
		}, "", false},
		{"anybody behind a closed folder", func(t *testing.T, dir string) {
			chmod("real", 0o700)(t, dir)
			chmod("real/deep", 0o707)(t, dir)
		}, "chmod go-w DIR/real/deep", false},
		{"out of a closed folder again", func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "closed"), 0o700))
			must(t, os.Symlink("../real", filepath.Join(dir, "closed", "out")))
			must(t, os.Remove(filepath.Join(dir, "link")))
			must(t, os.Symlink("closed/out/deep/file", filepath.Join(dir, "link")))
			chmod("real", 0o775)(t, dir)
		}, "chmod go-w DIR/real", false},
		{"links in a circle", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "real", "deep", "file")))
			must(t, os.Symlink(filepath.Join(dir, "link"), filepath.Join(dir, "real", "deep", "file")))
		}, "too many levels of symbolic links", false},
	}
}

// A path that another user could have put in place, or can change, is refused at
// the place where he can, with what helps; a link is judged, and where it leads.
func TestPathsOfOthers(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			if a.root && os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			dir := open(t)
			must(t, os.MkdirAll(filepath.Join(dir, "real", "deep"), 0o755))
			must(t, os.WriteFile(filepath.Join(dir, "real", "deep", "file"), []byte("#!/bin/sh\n"), 0o755))
			must(t, os.Symlink("real/../real/deep/file", filepath.Join(dir, "link")))
			a.do(t, dir)
			err := guard.Trusted(filepath.Join(dir, "link"))
			says := strings.ReplaceAll(a.says, "DIR", dir)
			if (err != nil) != (says != "") || err != nil && !strings.HasSuffix(err.Error(), says) {
				t.Fatalf("it says %v, expected %q", err, says)
			}
			if strings.Contains(says, "ch") && !strings.Contains(says, "many") && !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%v is no permission error", err)
			}
			if path, err := guard.Program(filepath.Join(dir, "link")); says != "" && !strings.Contains(says, "many") && (path == "" || err == nil) {
				t.Errorf("as a program: %q, %v", path, err)
			}
		})
	}
}

// A program is looked for in the PATH; what is nowhere is no matter of trust.
func TestProgramsByName(t *testing.T) {
	dir := open(t)
	must(t, os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\n"), 0o755))
	t.Setenv("PATH", dir)
	if path, err := guard.Program("tool"); err != nil || path != filepath.Join(dir, "tool") {
		t.Errorf("%q, %v", path, err)
	}
	must(t, os.Chmod(dir, 0o777))
	if path, err := guard.Program("tool"); path == "" || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("in a folder that anybody writes: %q, %v", path, err)
	}
	if path, err := guard.Program("none"); path != "" || err == nil {
		t.Errorf("a missing program: %q, %v", path, err)
	}
	if err := guard.Trusted(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := guard.Trusted(os.DevNull); err != nil {
		t.Error(err)
	}
}

// open is a folder that others can enter.
func open(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
