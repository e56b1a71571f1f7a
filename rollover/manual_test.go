package rollover_test

import (
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"rollover/rollover"
)

var update = flag.Bool("update", false, "write docs/kinds.md and docs/kinds/*.svg anew from the table")

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

// So are the drawings: docs/kinds/*.svg are made from it, one for each row.
func TestDrawingsAreTheTable(t *testing.T) {
	dir := filepath.Join("..", "docs", "kinds")
	for _, k := range rollover.Kinds() {
		if !k.Drawn() {
			continue
		}
		path := filepath.Join(dir, k.DrawingName())
		if *update {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(k.Drawing()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != k.Drawing() {
			t.Errorf("%s is not what the table says: go test ./rollover -run Drawings -update, and look at it", path)
		}
		if err := xml.Unmarshal(text, new(any)); err != nil {
			t.Errorf("%s is not well-formed: %v", path, err)
		}
	}
}
