package pdns

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
)

// transcript is what one command of a real PowerDNS printed, see testdata.
type transcript struct {
	version, name  string
	rc             string
	stdout, stderr string
}

// transcripts is those of all versions whose file name matches a pattern.
func transcripts(tb testing.TB, pattern string) []transcript {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "*", pattern+".txt"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no transcript matches %q: %v", pattern, err)
	}
	var out []transcript
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "-- rc --\n")
		rc, rest, _ := strings.Cut(rest, "-- stdout --\n")
		stdout, stderr, ok := strings.Cut(rest, "-- stderr --\n")
		if !ok {
			tb.Fatalf("%s is not a transcript", path)
		}
		out = append(out, transcript{
			version: filepath.Base(filepath.Dir(path)), name: strings.TrimSuffix(filepath.Base(path), ".txt"),
			rc: strings.TrimSpace(rc), stdout: stdout, stderr: stderr,
		})
	}
	return out
}

// summary is an inventory in short, without what differs between versions:
// tags, public keys, and the metadata that 5.x adds to new zones. A "+" says
// that the public key is known.
func summary(inv rollover.Inventory) string {
	parts := []string{inv.Kind}
	if inv.Presigned {
		parts = append(parts, "presigned")
	}
	for _, k := range inv.Keys {
		state := "I"
		if k.Active {
			state = "A"
		}
		if k.Published {
			state += "P"
		} else {
			state += "U"
		}
		if k.PublicKey != "" {
			state += "+"
		}
		parts = append(parts, fmt.Sprintf("%d:%d/%d/%d%s", k.ID, k.Flags, k.Algorithm, k.Bits, state))
	}
	var meta []string
	for kind, values := range inv.Metadata {
		if kind != "SOA-EDIT-API" {
			meta = append(meta, fmt.Sprintf("%s=%q", kind, values))
		}
	}
	slices.Sort(meta)
	return strings.Join(append(parts, meta...), " ")
}
