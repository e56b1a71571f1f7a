package rollover

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Golden compares a text with the one in testdata, or puts it there.
func Golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, got := strings.Split(string(raw), "\n"), strings.Split(text, "\n")
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Fatalf("%s, line %d: %q, expected %q; go test ./rollover -update, and read the diff", name, i+1, got[i], want[i])
		}
	}
	if len(want) != len(got) {
		t.Errorf("%s: %d lines, expected %d", name, len(got), len(want))
	}
}
