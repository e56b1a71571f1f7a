package rollover_test

import (
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollover/rollover"
)

var update = flag.Bool("update", false, "write what docs/kinds.md, docs/kinds/*.md and docs/kinds/*.svg have of the table anew")

// The manual is the table: what stands between marks in docs/kinds.md and in the
// pages of docs/kinds is made from it, and each row has a place in the page of
// its type.
func TestManualIsTheTable(t *testing.T) {
	docs := filepath.Join("..", "docs")
	parts := rollover.Manual()
	comparePart(t, filepath.Join(docs, "kinds.md"), "kinds", parts["kinds"])
	for _, k := range rollover.Kinds() {
		comparePart(t, filepath.Join(docs, "kinds", k.Type+".md"), k.Name(), parts[k.Name()])
	}
}

// comparePart compares what a page has between the marks of a part, or puts it there.
func comparePart(t *testing.T, path, name, want string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- from the table: "+name+" -->\n", "<!-- end -->\n"
	before, rest, found := strings.Cut(string(raw), begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for %s: %s%s", path, name, begin, end)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("%s of %s is not what the table says: go test ./rollover -run Manual -update, and read the diff", name, path)
	}
}

// So are the drawings: docs/kinds/*.svg are made from it, one for each row, and
// no other is there.
func TestDrawingsAreTheTable(t *testing.T) {
	dir := filepath.Join("..", "docs", "kinds")
	for _, k := range rollover.Kinds() {
		path := filepath.Join(dir, k.DrawingName())
		if *update {
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
	if drawings, err := filepath.Glob(filepath.Join(dir, "*.svg")); err != nil || len(drawings) != len(rollover.Kinds()) {
		t.Errorf("%d drawings for %d rows, %v", len(drawings), len(rollover.Kinds()), err)
	}
}
