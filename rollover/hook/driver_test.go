package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/hook"
)

// script is a shell script with this text.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func change(t *testing.T) rollover.Change {
	t.Helper()
	key := rollover.Key{ID: 7, Flags: 257, Algorithm: 13, PublicKey: "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==", Role: rollover.KSK}
	d, err := key.DNSKEY().DS("example.com.", 2)
	if err != nil {
		t.Fatal(err)
	}
	old := rollover.DS{Tag: 4711, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
	return rollover.Change{
		Zone: "example.com.", Roll: "example.com.ksk-1", Type: "ksk", Method: "double-ds", Step: "submit", Key: "example.com.ksk-1/submit/0011", Attempt: 2,
		Add: []rollover.DS{d}, Keep: []rollover.DS{old}, Set: []rollover.DS{old, d}, Keys: []rollover.Key{key},
	}
}

func submit(t *testing.T, text string, timeout time.Duration) rollover.Answer {
	t.Helper()
	d := hook.Driver{Program: hook.Program{Command: []string{script(t, text), "an operand"}, Timeout: timeout}}
	return d.Submit(context.Background(), change(t))
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		text  string
		state rollover.SubmissionState
		says  string
	}{
		{"echo order 4711; echo more", rollover.SubmissionAccepted, "order 4711"},
		{"true", rollover.SubmissionAccepted, ""},
		{"echo no >&2; echo maintenance until noon >&2; exit 75", rollover.SubmissionLater, "maintenance until noon"},
		{"echo one; echo bad password >&2; exit 1", rollover.SubmissionFailed, "exit code 1: bad password"},
		{"echo quota exceeded; exit 3", rollover.SubmissionFailed, "exit code 3: quota exceeded"},
		{"exit 9", rollover.SubmissionFailed, "exit code 9"},
		{"kill -9 $$", rollover.SubmissionFailed, "exit code -1"},
		{"head -c 10000000 /dev/zero; echo well >&2; exit 1", rollover.SubmissionFailed, "well"},
		{"sleep 600 & echo accepted", rollover.SubmissionAccepted, "accepted"},
	} {
		a := submit(t, c.text, 0)
		if a.State != c.state || !strings.Contains(a.Text, c.says) {
			t.Errorf("%q: %+v, expected %s with %q", c.text, a, c.state, c.says)
		}
	}
}

// What the program gets: operands as configured, JSON, and an environment that
// holds nothing of ours.
func TestWhatTheProgramGets(t *testing.T) {
	t.Setenv("SECRET_OF_OURS", "hunter2")
	dir := t.TempDir()
	a := submit(t, fmt.Sprintf(`cat >%[1]s/stdin; env -0 >%[1]s/env; printf '%%s' "$#:$1" >%[1]s/argv`, dir), 0)
	if a.State != rollover.SubmissionAccepted {
		t.Fatal(a)
	}
	read := func(name string) string {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if argv := read("argv"); argv != "1:an operand" {
		t.Errorf("operands %q", argv)
	}
	env := map[string]string{}
	for _, line := range strings.Split(read("env"), "\x00") {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	c := change(t)
	for name, want := range map[string]string{
		"SECRET_OF_OURS": "", "ROLLOVER_ZONE": "example.com.", "ROLLOVER_IDEMPOTENCY_KEY": c.Key, "ROLLOVER_ATTEMPT": "2",
		"ROLLOVER_DS_ADD": c.Add[0].String(), "ROLLOVER_DS_REMOVE": "", "ROLLOVER_DS_SET": c.Keep[0].String() + "\n" + c.Add[0].String(),
		"ROLLOVER_DNSKEY_ADD": c.Keys[0].DNSKEY().String(), "ROLLOVER_DNSKEY_SET": c.Keys[0].DNSKEY().String(), "LC_ALL": "C",
	} {
		if env[name] != want {
			t.Errorf("%s=%q, expected %q", name, env[name], want)
		}
	}
	var in struct {
		Schema int
		Event  string
		Key    string `json:"idempotency_key"`
		Add    []struct {
			DS, Digest string
			PublicKey  string `json:"public_key"`
		}
		Keep, Remove, Set []struct{ DS string }
	}
	if err := json.Unmarshal([]byte(read("stdin")), &in); err != nil {
		t.Fatal(err)
	}
	if in.Schema != 1 || in.Event != "ds-needed" || in.Key != c.Key || len(in.Add) != 1 || in.Add[0].PublicKey != c.Keys[0].PublicKey || len(in.Set) != 2 || in.Remove == nil {
		t.Errorf("JSON %+v", in)
	}
}

// A program that does not end is ended, and so is all that it started, even if
// it does not listen.
func TestTimeOut(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	a := submit(t, fmt.Sprintf("trap '' TERM; (trap '' TERM; exec sleep 600) & echo $! >%s; sleep 600; sleep 600; sleep 600", pids), 300*time.Millisecond)
	if a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "timed out and was killed (after 300ms)") {
		t.Errorf("answer %+v", a)
	}
	raw, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); syscall.Kill(pid, 0) == nil && !zombie(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d still lives", pid)
		}
	}
}

// zombie says whether a process has ended and only its parent has not looked.
func zombie(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(raw), ") Z ")
}

// An interrupted run ends the program too.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d := hook.Driver{Program: hook.Program{Command: []string{script(t, "sleep 600")}}}
	if a := d.Submit(ctx, change(t)); a.State != rollover.SubmissionFailed {
		t.Errorf("answer %+v", a)
	}
}

// A program that others could have put there is not run.
func TestTrust(t *testing.T) {
	path := script(t, "echo ran")
	run := func() rollover.Answer {
		d := hook.Driver{Program: hook.Program{Command: []string{path}}}
		return d.Submit(context.Background(), change(t))
	}
	chmod := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if a := run(); a.State != rollover.SubmissionAccepted {
		t.Fatal(a)
	}
	chmod(path, 0o722)
	if a := run(); a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "chmod go-w") {
		t.Errorf("a program that the world may write: %+v", a)
	}
	chmod(path, 0o700)
	chmod(filepath.Dir(path), 0o777)
	if a := run(); a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "chmod go-w "+filepath.Dir(path)) {
		t.Errorf("a program in a folder that the world may write: %+v", a)
	}
	chmod(filepath.Dir(path), 0o700)
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if a := run(); a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "belongs to user 12345") {
			t.Errorf("a program of somebody else: %+v", a)
		}
		if err := errors.Join(os.Chown(path, 0, 0), os.Chown(filepath.Dir(path), 12345, 12345)); err != nil {
			t.Fatal(err)
		}
		if a := run(); a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "chown root "+filepath.Dir(path)) {
			t.Errorf("a program in the folder of somebody else: %+v", a)
		}
	}
	for _, command := range [][]string{nil, {"true"}, {"/nonexistent/program"}, {filepath.Dir(path)}} {
		d := hook.Driver{Program: hook.Program{Command: command}}
		if a := d.Submit(context.Background(), change(t)); a.State != rollover.SubmissionFailed {
			t.Errorf("%q: %+v", command, a)
		}
	}
}
