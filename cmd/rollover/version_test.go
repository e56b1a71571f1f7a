package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// The version says of which commit it is, and of which day; and if neither is known.
func TestVersionNamesTheCommit(t *testing.T) {
	setting := func(pairs ...string) (out []debug.BuildSetting) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return out
	}
	for _, c := range []struct {
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.2.3", setting("vcs.revision", "abc123", "vcs.time", "2026-11-29T12:00:00Z", "vcs.modified", "false"), "v1.2.3 (commit abc123, 2026-11-29T12:00:00Z, GO)"},
		{"(devel)", setting("vcs.revision", "abc123", "vcs.time", "2026-11-29T12:00:00Z", "vcs.modified", "true"), "(devel) (commit abc123, 2026-11-29T12:00:00Z, modified, GO)"},
		{"", setting("-trimpath", "true"), "unknown (commit not known, GO)"},
	} {
		got := buildOf(&debug.BuildInfo{Main: debug.Module{Version: c.version}, Settings: c.settings}).String()
		if want := strings.ReplaceAll(c.want, "GO", runtime.Version()); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}
