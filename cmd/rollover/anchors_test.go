package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Trust anchors that are set are what is read, whatever the file is called; without
// it there is an error that names it, and never those that are built in.
func TestAnchorsThatAreSetAreRead(t *testing.T) {
	dir := t.TempDir()
	missing, wrong := filepath.Join(dir, "root.key"), filepath.Join(dir, "wrong")
	if err := os.WriteFile(wrong, []byte("<html>not found</html>\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{missing, wrong} {
		if anchors, err := loadAnchors(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", path, anchors, err)
		}
	}
	if anchors, err := loadAnchors(""); err != nil || len(anchors) == 0 {
		t.Errorf("none set: %v, %v", anchors, err)
	}
	if _, err := os.Stat(defaultAnchors); err != nil {
		if anchors, err := loadAnchors(defaultAnchors); err == nil {
			t.Errorf("%s is set and not there, and %v are read", defaultAnchors, anchors)
		}
	}
}
