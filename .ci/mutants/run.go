package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tested is a package whose guards are broken, and the tests of it that are not run for that.
type tested struct{ dir, skip string }

func packages() []tested {
	return []tested{
		{"rollover", "^(TestProof|TestPredicatesAgainstReality)"}, // the proof of the table is not asked to do this work
		{"rollover/chain", ""},
		{"rollover/product", ""},
		{"rollover/probe", ""},
		{"rollover/parent", ""},
		{"rollover/hook", ""},
		{"pdns", ""},
		{"store", ""},
	}
}

// bench is one package, built with all its mutants asleep.
type bench struct {
	root    string // of the module
	scratch string
	pkg     tested
	only    string // tests, all if it is empty
	mutants []Mutant
	tests   []*test // quickest first
}

// test is one test of the package, and the mutants that it comes by.
type test struct {
	name   string
	takes  time.Duration
	visits map[int]bool
}

func (b *bench) program() string { return filepath.Join(b.scratch, "tests") }

// build makes the test program by an overlay: no file of the module is touched.
// Mutants on a line that the compiler does not take are left out, and returned.
func (b *bench) build(ctx context.Context) ([]Mutant, error) {
	var refused []Mutant
	for {
		if err := b.overlay(); err != nil {
			return nil, err
		}
		build := exec.CommandContext(ctx, "go", "test", "-c", "-gcflags=-e", "-vet=off", "-overlay", filepath.Join(b.scratch, "overlay.json"), "-o", b.program(), "./"+b.pkg.dir)
		build.Dir = b.root
		out, err := build.CombinedOutput()
		if err == nil {
			return refused, nil
		}
		before := len(b.mutants)
		b.mutants = slices.DeleteFunc(b.mutants, func(m Mutant) bool {
			bad := bytes.Contains(out, fmt.Appendf(nil, "%s:%d:", filepath.Base(m.File), m.Line))
			if bad {
				refused = append(refused, m)
			}
			return bad
		})
		if len(b.mutants) == before {
			return nil, fmt.Errorf("building the tests of %s: %w\n%s", b.pkg.dir, err, out)
		}
	}
}

func (b *bench) overlay() error {
	replace := map[string]string{}
	files := map[string][]Mutant{}
	most := 0
	for _, m := range b.mutants {
		files[m.File] = append(files[m.File], m)
		most = max(most, m.ID)
	}
	for i, file := range slices.Sorted(maps.Keys(files)) {
		source, err := os.ReadFile(filepath.Join(b.root, file))
		if err != nil {
			return err
		}
		armed := filepath.Join(b.scratch, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(armed, Arm(source, files[file]), 0o600); err != nil {
			return err
		}
		replace[filepath.Join(b.root, file)] = armed
	}
	board := filepath.Join(b.scratch, "board.go")
	if err := os.WriteFile(board, []byte(switchboard(filepath.Base(b.pkg.dir), most)), 0o600); err != nil {
		return err
	}
	replace[filepath.Join(b.root, b.pkg.dir, "mutants_board.go")] = board
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.scratch, "overlay.json"), list, 0o600)
}

// survey runs each test alone with all mutants asleep: it must pass, and it is
// noted what it comes by.
func (b *bench) survey(ctx context.Context) error {
	list := exec.CommandContext(ctx, b.program(), "-test.list", "^(Test|Fuzz|Example)")
	list.Dir = filepath.Join(b.root, b.pkg.dir)
	out, err := list.Output()
	if err != nil {
		return err
	}
	skip, only := regexp.MustCompile(b.pkg.skip), regexp.MustCompile(b.only)
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if b.pkg.skip != "" && skip.MatchString(name) || !only.MatchString(name) {
			continue
		}
		t := &test{name: name, visits: map[int]bool{}}
		visits := filepath.Join(b.scratch, "visits")
		_ = os.Remove(visits) // of the test before, if it came by anything
		begun := time.Now()
		verdict, why, err := b.exec(ctx, 20*time.Minute, []string{"MUTANT_VISITS=" + visits}, name)
		if err != nil {
			return err
		}
		if verdict != Survived {
			return fmt.Errorf("%s: %s fails without a mutant: %s %s", b.pkg.dir, name, verdict, why)
		}
		t.takes = time.Since(begun)
		if err := t.came(visits); err != nil {
			return err
		}
		b.tests = append(b.tests, t)
	}
	slices.SortFunc(b.tests, func(a, b *test) int { return cmp.Compare(a.takes, b.takes) })
	return nil
}

// came reads what a test came by; no file is nothing.
func (t *test) came(visits string) error {
	text, err := os.ReadFile(visits)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			t.visits[n] = true
		}
	}
	return nil
}

// Verdict is what the tests made of a mutant.
type Verdict string

// The verdicts on a mutant. One that makes tests hang is noticed too.
const (
	Killed    Verdict = "killed"
	Hung      Verdict = "ran out of time"
	Survived  Verdict = "survived"
	Unvisited Verdict = "survived, no test comes by"
)

// lives says whether no test noticed.
func (v Verdict) lives() bool { return v == Survived || v == Unvisited }

// batch is how long the tests of one run may take together.
const batch = 2 * time.Second

// try wakes one mutant and runs the tests that come by it, the quickest first,
// until one fails.
func (b *bench) try(ctx context.Context, m Mutant) (Verdict, string, error) {
	verdict := Unvisited
	var names []string
	var takes time.Duration
	flush := func() (string, error) {
		if len(names) == 0 {
			return "", nil
		}
		var why string
		var err error
		verdict, why, err = b.exec(ctx, 20*time.Second+10*takes, []string{"MUTANT=" + strconv.Itoa(m.ID)}, names...)
		names, takes = nil, 0
		return why, err
	}
	for _, t := range b.tests {
		if !t.visits[m.ID] {
			continue
		}
		if len(names) > 0 && takes+t.takes > batch {
			if why, err := flush(); err != nil || !verdict.lives() {
				return verdict, why, err
			}
		}
		names, takes = append(names, t.name), takes+t.takes
	}
	why, err := flush()
	return verdict, why, err
}

// memory is how much, in KiB, a test may take: a broken loop must not take the machine's.
const memory = "8000000"

// exec runs some tests until the first that fails, which it names. What they
// started ends with them.
func (b *bench) exec(ctx context.Context, limit time.Duration, env []string, names ...string) (Verdict, string, error) {
	limited, cancel := context.WithTimeout(ctx, limit+10*time.Second)
	defer cancel()
	run := exec.CommandContext(limited, "sh", "-c", "ulimit -v "+memory+"; exec \"$@\"", "sh",
		b.program(), "-test.run", "^("+strings.Join(names, "|")+")$", "-test.failfast", "-test.timeout", limit.String())
	run.Dir = filepath.Join(b.root, b.pkg.dir)
	run.Env = append(os.Environ(), env...)
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	run.Cancel = func() error { return syscall.Kill(-run.Process.Pid, syscall.SIGKILL) }
	run.WaitDelay = 5 * time.Second
	out, err := run.CombinedOutput()
	if run.Process != nil {
		_ = syscall.Kill(-run.Process.Pid, syscall.SIGKILL) // servers that a dead test left; mostly there are none
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", "", ctx.Err()
	case err == nil:
		return Survived, "", nil
	case limited.Err() != nil, bytes.Contains(out, []byte("panic: test timed out")):
		return Hung, names[0], nil
	case errors.As(err, &exit), errors.Is(err, exec.ErrWaitDelay):
		return Killed, failure(out), nil
	}
	return "", "", fmt.Errorf("running the tests of %s: %w", b.pkg.dir, err)
}

// failure is the first line that says what failed.
func failure(out []byte) string {
	for line := range bytes.Lines(out) {
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("--- FAIL: ")) || bytes.HasPrefix(line, []byte("panic: ")) {
			return string(line)
		}
	}
	return ""
}
