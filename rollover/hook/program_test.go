package hook

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
)

func program(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a program said is told only of one that failed, or to the point.
func TestWhatIsToldOfAnOutcome(t *testing.T) {
	broken := os.ErrPermission
	for _, c := range []struct {
		out       outcome
		said, why string
	}{
		{outcome{}, "", "exit code 0"},
		{outcome{stderr: "a warning"}, "", "exit code 0"},
		{outcome{stdout: "first\nlast", stderr: "a warning"}, "first", "exit code 0: first"},
		{outcome{code: 3, stdout: "first\nlast"}, "last", "exit code 3: last"},
		{outcome{code: 3, stdout: "said", stderr: "first\n last \n\n"}, "last", "exit code 3: last"},
		{outcome{code: -1, err: broken}, "", "permission denied"},
		{outcome{code: -1, err: broken, stderr: "help"}, "help", "permission denied; it said: help"},
	} {
		if c.out.said() != c.said || c.out.why() != c.why {
			t.Errorf("%+v: %q and %q, expected %q and %q", c.out, c.out.said(), c.out.why(), c.said, c.why)
		}
	}
}

// What cannot be run is refused with what is wrong, and is no exit code.
func TestWhatCannotBeRun(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "inner")
	if err := os.Mkdir(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	path := program(t, inner, "true")
	t.Chdir(inner)
	for _, c := range []struct {
		command string
		modes   map[string]os.FileMode
		says    string
	}{
		{path, nil, "exit code 0"},
		{"./program", nil, `"./program" is not an absolute path`},
		{dir + "/missing", nil, "could not be run: lstat " + dir + "/missing"},
		{path, map[string]os.FileMode{path: 0o600}, "could not be run: "},
		{path, map[string]os.FileMode{dir: 0o777}, "could not be run: " + dir + " may be written by others"},
		{path, map[string]os.FileMode{dir: 0o777 | os.ModeSticky}, "exit code 0"},
	} {
		for name, mode := range map[string]os.FileMode{dir: 0o700, inner: 0o700, path: 0o700} {
			if special, ok := c.modes[name]; ok {
				mode = special
			}
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
		}
		out := Program{Command: []string{c.command}}.run(context.Background(), nil, nil)
		if !strings.HasPrefix(out.why(), c.says) || (out.err == nil) != (out.code == 0) {
			t.Errorf("%s with %v: %+v, expected %q", c.command, c.modes, out, c.says)
		}
	}
}

// A program gets our home, if we have one.
func TestHome(t *testing.T) {
	path := program(t, t.TempDir(), `echo "${HOME-none}"`)
	for home, want := range map[string]string{"/var/lib/x": "/var/lib/x", "": "none"} {
		t.Setenv("HOME", home)
		if out := (Program{Command: []string{path}}).run(context.Background(), nil, nil); out.said() != want {
			t.Errorf("with %q: %q", home, out.said())
		}
	}
}

// What a program leaves behind that holds its output is ended with it.
func TestNothingIsLeftOfAProgram(t *testing.T) {
	path := program(t, t.TempDir(), "sleep 600 & echo $!")
	out := Program{Command: []string{path}}.run(context.Background(), nil, nil)
	pid, err := strconv.Atoi(out.said())
	if err != nil || out.code != 0 {
		t.Fatalf("%+v: %v", out, err)
	}
	for deadline := time.Now().Add(10 * time.Second); lives(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d still lives", pid)
		}
	}
}

// A program that is ended may say why, and put away what it has.
func TestAProgramIsToldToEnd(t *testing.T) {
	dir := t.TempDir()
	// A shell heeds a trap while it waits, but not while it runs what came too late for the signal.
	path := program(t, dir, "exec 2>/dev/null; trap 'echo bye; exit' TERM; : >"+dir+"/ready; sleep 600 & wait")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan outcome, 1)
	go func() { ended <- Program{Command: []string{path}}.run(ctx, nil, nil) }()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if _, err := os.Stat(dir + "/ready"); err == nil {
			break
		}
	}
	cancel()
	if out := <-ended; out.why() != "context canceled; it said: bye" {
		t.Errorf("%+v", out)
	}
}

func lives(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(raw), ") Z ")
}

// A DS is told with the key that it is of, a key once, and one that is of no key
// of the rollover without.
func TestKeysBehindDS(t *testing.T) {
	one := rollover.Key{Flags: 257, Algorithm: 13, PublicKey: strings.Repeat("A", 86) + "=="}
	two := rollover.Key{Flags: 257, Algorithm: 13, PublicKey: strings.Repeat("B", 86) + "=="}
	c := rollover.Change{Zone: "a.example.", Keys: []rollover.Key{one, two}}
	ds := func(k rollover.Key, digestType uint8) rollover.DS {
		d, err := k.DNSKEY().DS(c.Zone, digestType)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	foreign := ds(one, 2)
	foreign.Digest = strings.Repeat("0", 64)
	for _, x := range []struct {
		ds   rollover.DS
		want string
	}{{ds(one, 2), one.PublicKey}, {ds(two, 2), two.PublicKey}, {ds(two, 4), two.PublicKey}, {foreign, ""}, {rollover.DS{}, ""}} {
		if k, ok := keyOf(c, x.ds); k.PublicKey != x.want || ok != (x.want != "") {
			t.Errorf("%s: %v, %v", x.ds, k, ok)
		}
	}
	want := two.DNSKEY().String() + "\n" + one.DNSKEY().String()
	if got := keyLines(c, []rollover.DS{ds(two, 2), ds(two, 4), foreign, ds(one, 2)}); got != want {
		t.Errorf("%q, expected %q", got, want)
	}
}

func TestNoControlCharacterIsLeftInALine(t *testing.T) {
	if got := line("\x00a\x1f b~\x7f\u0080c\u009f\u00a0ü\xff"); got != " a  b~  c \u00a0ü?" {
		t.Errorf("%q", got)
	}
}

func TestASubjectCountsWhatWasTold(t *testing.T) {
	for repeat, want := range []string{"[rollover] a. done", "[rollover] a. done (told 1 times before)"} {
		if got := subject(rollover.Notice{Zone: "a.", Event: "done", Repeat: repeat}); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}
