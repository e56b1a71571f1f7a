package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The demo of the README, with a shorter TTL: it rolls both keys under the
// validator's eyes, and leaves nothing behind.
func TestLabCommand(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	cmd := exec.Command("rollover", "lab", "--ttl", "1")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("rollover lab: %v\n%s", err, out)
	}
	for _, want := range []string{"zsk   retire", "ksk   withdraw", "SERVFAIL 0", "do not validate: 0"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("rollover lab does not say %q:\n%s", want, out)
		}
	}
	nothingLeft(t, tmp)
}

// Ctrl-C ends the lab, and leaves nothing behind either.
func TestLabInterrupted(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	cmd := exec.Command("rollover", "lab")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.Contains(lines.Text(), "publish new") {
		continue
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		continue
	}
	_ = cmd.Wait() // the exit code is what counts
	if code := cmd.ProcessState.ExitCode(); code != exitTryLater {
		t.Errorf("an interrupted lab exits with %d, expected %d", code, exitTryLater)
	}
	nothingLeft(t, tmp)
}

// nothingLeft checks that no file of the lab and no process with a file of it
// on its command line is left.
func nothingLeft(t *testing.T, tmp string) {
	t.Helper()
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v, %v", tmp, left, err)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), tmp) {
			t.Errorf("still running: %s %q", path, text)
		}
	}
}
