package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A bare number is refused for every length of time there is, wherever it may
// stand, and the sentence says what to write.
func TestNoBareNumbers(t *testing.T) {
	count := 0
	var walk func(into reflect.Type, path []string, wrap func(string) string)
	walk = func(into reflect.Type, path []string, wrap func(string) string) {
		switch {
		case into == reflect.TypeFor[duration]():
			count++
			name := strings.Join(path, ".")
			for _, number := range []string{"3600", "0", "3.5", "-1"} {
				_, err := configOf(t, wrap(name+" = "+number))
				if err == nil || !strings.Contains(err.Error(), " = "+number+" is a number without a unit: write \""+number+"s\" or ") || !strings.Contains(err.Error(), path[len(path)-1]) {
					t.Errorf("%s = %s: %v", name, number, err)
				}
			}
		case into.Kind() == reflect.Pointer:
			walk(into.Elem(), path, wrap)
		case into.Kind() == reflect.Map:
			walk(into.Elem(), append(path[:len(path):len(path)], "default"), wrap)
		case into.Kind() == reflect.Slice:
			walk(into.Elem(), nil, func(line string) string { return "[[zone]]\nname = \"example.com\"\n" + line })
		case into.Kind() == reflect.Struct:
			for i := range into.NumField() {
				if tag := into.Field(i).Tag.Get("toml"); tag != "" {
					walk(into.Field(i).Type, append(path[:len(path):len(path)], tag), wrap)
				}
			}
		}
	}
	walk(reflect.TypeFor[config](), nil, func(line string) string { return line })
	if count < 20 {
		t.Errorf("only %d lengths of time were tried", count)
	}
}

func configOf(t *testing.T, text string) (config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadConfig(path)
}

// What to write is what the number would have been in seconds.
func TestBareNumberSentence(t *testing.T) {
	for text, says := range map[string]string{
		"[policy.default]\nmargin = 3600": `policy.default.margin = 3600 is a number without a unit: write "3600s" or "1h", whichever is meant, in quotes`,
		"[dns]\ntimeout = 5":              `dns.timeout = 5 is a number without a unit: write "5s" or "5m"`,
		"[policy.x]\nMAX_GAP = 90":        `policy.x.MAX_GAP = 90 is a number without a unit: write "90s" or "1m30s"`,
		"[notify]\nexec = {timeout = 1}":  `notify.exec.timeout = 1 is a number`,
	} {
		if _, err := configOf(t, text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if c, err := configOf(t, "[policy.default]\nfactor = 3\nds_digests = [4]\nmargin = \"0s\""); err != nil || *c.Policy["default"].Factor != 3 {
		t.Errorf("numbers that are numbers: %v", err)
	}
}

// Settings that can hardly be meant are said at each start and plan, and the
// defaults are none.
func TestDoubts(t *testing.T) {
	c, err := configOf(t, "")
	if err != nil || len(c.doubts("example.com.")) > 0 {
		t.Errorf("of the defaults: %v, %q", err, c.doubts("example.com."))
	}
	for _, text := range []string{
		"[policy.default]\nmargin = \"30s\"", "[policy.default]\nmargin = \"6w\"", "[policy.default]\nfactor = 50", "[policy.default]\nmax_gap = \"30s\"\ncheck_interval = \"5s\"",
		"[policy.default]\nmax_gap = \"3d\"", "[dns]\ntimeout = \"1ms\"", "[dns]\ntimeout = \"1h\"", "[pdnsutil]\ntimeout = \"5ms\"", "[pdnsutil]\ntimeout = \"1d\"",
		"[pdnsutil]\ntimeout = \"10s\"\nlong_timeout = \"30s\"", "[pdnsutil]\nlong_timeout = \"1d\"",
		"[ds]\nresubmit = \"1s\"", "[notify]\nrepeat = \"1s\"", "[notify]\nstuck_after = \"1s\"",
		"[[zone]]\nname = \"example.com\"\npolicy = \"fast\"\n[policy.fast]\nmargin = \"0s\"",
	} {
		c, err := configOf(t, text)
		if err != nil {
			t.Errorf("%q is refused: %v", text, err)
			continue
		}
		if d := c.doubts("example.com."); len(d) != 1 {
			t.Errorf("%q: %q", text, d)
		}
	}
}

// Who starts, signs, adopts or plans hears of it before anything is done.
func TestDoubtsAreSaid(t *testing.T) {
	t.Parallel()
	h := bare(t)
	raw, err := os.ReadFile(h.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.config, append(bytes.TrimSpace(raw), []byte("\n[pdnsutil]\ncommand = [\"/bin/false\"]\n[policy.default]\nmargin = \"1s\"\n")...), 0o600); err != nil {
		t.Fatal(err)
	}
	says := fmt.Sprintf("rollover: warning: %s: margin = \"1s\": less than a minute", h.config)
	for _, args := range [][]string{{"start", "example.com"}, {"plan", "example.com"}, {"sign", "example.com"}, {"start", "example.com", "--dry-run"}, {"adopt", "example.com"}, {"adopt", "example.com", "--dry-run"}} {
		if o := h.rollover(args...); strings.Count(o.stderr, says) != 1 {
			t.Errorf("%q: %v", args, o)
		}
		if o := h.rollover(append(args, "--quiet")...); strings.Contains(o.stderr, says) {
			t.Errorf("%q --quiet: %v", args, o)
		}
	}
}
