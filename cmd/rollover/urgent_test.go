package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"rollover/rollover"
)

// Only the name of the zone, in any spelling of it, lets an urgent rollover begin.
func TestAgreed(t *testing.T) {
	for typed, want := range map[string]bool{
		"example.com\n": true, "Example.COM.\n": true, "  example.com  ": true,
		"": false, "\n": false, "yes\n": false, "y\n": false, "example.org\n": false,
	} {
		var out bytes.Buffer
		m := &mouth{err: &out}
		err := m.agreed(strings.NewReader(typed), "example.com.")
		if (err == nil) != want || err != nil && !errors.Is(err, rollover.ErrRefused) {
			t.Errorf("typed %q: %v, want %v", typed, err, want)
		}
	}
}
