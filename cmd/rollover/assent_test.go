package main

import (
	"strings"
	"testing"

	"rollover/rollover"
)

// What cannot be taken back is asked for twice: without a terminal and without --yes
// it is refused, and nothing is changed.
func TestAskedBack(t *testing.T) {
	t.Parallel()
	h := bare(t)
	save(t, h, &rollover.Roll{Zone: "example.com.", Type: "zsk", Method: "pre-publish", Kind: "zsk/pre-publish", State: rollover.StatePaused, Step: "publish"})
	for _, args := range [][]string{{"cancel", "example.com", "--abandon"}, {"unsign", "other.example.com"}} {
		o := h.rollover(args...)
		if o.code != exitUsage || !strings.Contains(o.stderr, "--yes") || !strings.Contains(o.stderr, "example.com.") {
			t.Errorf("%q: %v", args, o)
		}
	}
	if s := h.status("example.com."); s.State != rollover.StatePaused {
		t.Errorf("it is %s", s.State)
	}
	h.must("cancel", "example.com", "--abandon", "--yes", "--reason", "test")
	if o := h.must("history"); !strings.Contains(o.stdout, "(by ") || !strings.Contains(o.stdout, "(reason: test)") {
		t.Errorf("history does not say who: %v", o)
	}
}

func TestWho(t *testing.T) {
	for _, c := range []struct{ caller, says string }{{"", "pdns"}, {"pdns", "pdns"}, {"alice", "alice as pdns"}, {"a\x1b[2J", "a?[2J as pdns"}, {strings.Repeat("x", 100), strings.Repeat("x", 64) + " as pdns"}} {
		if got := throughSudo("pdns", c.caller); got != c.says {
			t.Errorf("%q: %q", c.caller, got)
		}
	}
}
