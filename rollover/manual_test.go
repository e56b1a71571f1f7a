package rollover_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"rollover/rollover"
)

var update = flag.Bool("update", false, "write docs/kinds.md anew from the table")

// The manual is the table: docs/kinds.md is made from it.
func TestManualIsTheTable(t *testing.T) {
	path := filepath.Join("..", "docs", "kinds.md")
	if *update {
		if err := os.WriteFile(path, []byte(rollover.Manual()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != rollover.Manual() {
		t.Error("docs/kinds.md is not what the table says: go test ./rollover -run Manual -update, and read the diff")
	}
}
