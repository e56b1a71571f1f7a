package pdns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each command holds the file that it is to inherit open, so that a lock
// on it outlives us with the command; without
// one it holds nothing of ours.
func TestCommandsHoldTheLockOpen(t *testing.T) {
	tool, dir := scripted(t, `ls -l /proc/self/fd > "$D/open"; exit 1`)
	lock, err := os.Create(filepath.Join(dir, "tick.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for name, do := range map[string]func(*testing.T, *Tool) error{
		"show-zone": inventory, "list-zone": contents, "increase-serial": bump, "add-zone-key": create, "activate-zone-key": activate, "remove-zone-key": remove, "purge": refresh,
		"rectify-zone":      func(t *testing.T, tool *Tool) error { return tool.Rectify(t.Context(), "example.com.") },
		"unset-publish-cds": func(t *testing.T, tool *Tool) error { return tool.RetractCDS(t.Context(), "example.com.") },
	} {
		for _, file := range []*os.File{lock, nil} {
			tool.Inherit = file
			_ = os.Remove(filepath.Join(dir, "open"))
			_ = do(t, tool) // the script fails, whatever it is asked
			if open := strings.Contains(read(t, filepath.Join(dir, "open")), lock.Name()); open != (file != nil) {
				t.Errorf("%s: the lock is open: %v, expected %v", name, open, file != nil)
			}
		}
	}
}
