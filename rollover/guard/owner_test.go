package guard

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAFileBelongsToRootOrToUs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.Stat("/")
	if err != nil {
		t.Fatal(err)
	}
	stat := *info.Sys().(*syscall.Stat_t)
	stat.Uid = 4711
	theirs := owner{info, &stat}
	for _, c := range []struct {
		info os.FileInfo
		user int
		good bool
	}{{theirs, 4711, true}, {theirs, 4712, false}, {theirs, 0, false}, {root, 4711, true}} {
		if err := owned(path, c.info, c.user); (err == nil) != c.good {
			t.Errorf("user %d: %v", c.user, err)
		}
	}
}

// owner is a file with another owner.
type owner struct {
	os.FileInfo
	stat *syscall.Stat_t
}

func (o owner) Sys() any { return o.stat }
