package pdns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollover/rollover"
)

// scripted is a Tool whose pdnsutil and pdns_control are a shell script. It
// runs in a folder of its own, which is returned, as $D. The script is an
// operand of sh, because a file just written cannot always be executed while
// other tests fork.
func scripted(t *testing.T, script string) (*Tool, string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "script"), fmt.Sprintf("D=%s\n%s\n", quote(dir), script))
	command := []string{"/bin/sh", filepath.Join(dir, "script")}
	return &Tool{Command: command, Control: command}, dir
}

// replay is a Tool that prints a transcript, whatever it is asked.
func replay(t *testing.T, x transcript) *Tool {
	t.Helper()
	tool, dir := scripted(t, `cat "$D/stdout"; cat "$D/stderr" >&2; exit `+x.rc)
	write(t, filepath.Join(dir, "stdout"), x.stdout)
	write(t, filepath.Join(dir, "stderr"), x.stderr)
	return tool
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The methods, for tables.
func inventory(t *testing.T, tool *Tool) error {
	_, err := tool.Inventory(t.Context(), "example.com.")
	return err
}
func contents(t *testing.T, tool *Tool) error {
	_, err := tool.Contents(t.Context(), "example.com.")
	return err
}
func bump(t *testing.T, tool *Tool) error {
	_, err := tool.BumpSerial(t.Context(), "example.com.")
	return err
}
func create(t *testing.T, tool *Tool) error {
	return tool.Do(t.Context(), "example.com.", created(256, 13, 256, false, true))
}
func activate(t *testing.T, tool *Tool) error {
	return tool.Do(t.Context(), "example.com.", about(rollover.VerbActivate, 1))
}
func remove(t *testing.T, tool *Tool) error {
	return tool.Do(t.Context(), "example.com.", about(rollover.VerbRemove, 9999))
}
func refresh(t *testing.T, tool *Tool) error {
	return tool.Refresh(t.Context(), []string{"example.com."}, nil)
}

// What real PowerDNS says when it fails becomes an error that names the zone,
// the command, what was said, and a remedy.
func TestFailuresOfTranscripts(t *testing.T) {
	for _, c := range []struct {
		pattern string
		method  func(*testing.T, *Tool) error
		is      error // nil for none of ours
		text    string
	}{
		{"123-*", create, rollover.ErrUnknownZone, "printed 0 key ids"},
		{"103-*", create, nil, "requires the size"},
		{"686-*", create, nil, "not stored|0 key ids"},
		{"656-*", create, rollover.ErrUnavailable, "readonly database"},
		{"139-*", activate, nil, "read them again"},
		{"140-*", activate, nil, "read them again"},
		{"151-*", activate, nil, "Invalid KEY-ID"},
		{"634-*", activate, nil, "exit status 1"},
		{"211-*", bump, nil, "its SOA record"},
		{"332-*", bump, rollover.ErrRefused, "presigned"},
		{"305-*", contents, rollover.ErrUnknownZone, "list-all-zones"},
		{"306-*", inventory, rollover.ErrUnknownZone, "list-all-zones"},
		{"601-*", inventory, rollover.ErrUnavailable, "config_dir"},
		{"641-*", inventory, rollover.ErrUnavailable, "does not exist yet"},
		{"928-*", inventory, nil, "unknown algorithm number 0"},
		{"725-*", refresh, rollover.ErrUnavailable, "control socket"},
		{"726-*", refresh, rollover.ErrUnavailable, "control socket"},
		{"764-*", refresh, nil, "not a number"},
	} {
		for _, x := range transcripts(t, c.pattern) {
			checkFailure(t, x, c.method(t, replay(t, x)), c.is, c.text)
		}
	}
}

func checkFailure(t *testing.T, x transcript, err, is error, text string) {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) {
		t.Errorf("%s of %s: %v is not an *Error", x.name, x.version, err)
		return
	}
	for _, sentinel := range []error{rollover.ErrUnknownZone, rollover.ErrUnavailable, rollover.ErrRefused} {
		if errors.Is(err, sentinel) != (sentinel == is) {
			t.Errorf("%s of %s: whether it is %q is %v: %v", x.name, x.version, sentinel, errors.Is(err, sentinel), err)
		}
	}
	said := slices.ContainsFunc(strings.Split(text, "|"), func(s string) bool { return strings.Contains(err.Error(), s) })
	if !said || !strings.Contains(err.Error(), "example.com") || failure.Remedy == "" {
		t.Errorf("%s of %s: want %q, the zone and a remedy in: %v", x.name, x.version, text, err)
	}
	if fmt.Sprint(failure.ExitCode) != x.rc {
		t.Errorf("%s of %s: exit code %d, not %s", x.name, x.version, failure.ExitCode, x.rc)
	}
}

func TestSuccessOfTranscripts(t *testing.T) {
	for _, c := range []struct {
		pattern string
		method  func(*testing.T, *Tool) error
	}{
		{"073-*", inventory}, {"056-*", contents}, {"209-*", bump}, {"093-*", create}, {"102-*", create},
		{"175-*", remove}, {"704-*", refresh},
	} {
		for _, x := range transcripts(t, c.pattern) {
			if err := c.method(t, replay(t, x)); err != nil {
				t.Errorf("%s of %s: %v", x.name, x.version, err)
			}
		}
	}
	for _, x := range transcripts(t, "001-*") {
		got, err := replay(t, x).Version(t.Context())
		if err != nil || got != x.version {
			t.Errorf("version %q, %v, want %q", got, err, x.version)
		}
	}
}

// notify answers in words, with exit code 0.
func TestNotifyOfTranscripts(t *testing.T) {
	for _, c := range []struct {
		pattern string
		ok      bool
	}{{"762-*", true}, {"766-*", true}, {"712-*", false}, {"764-*", false}, {"704-*", false}} {
		for _, x := range transcripts(t, c.pattern) {
			if err := replay(t, x).notify(t.Context(), "x1.test."); (err == nil) != c.ok {
				t.Errorf("%s of %s: %v, want success to be %v", x.name, x.version, err, c.ok)
			}
		}
	}
}

// Each method runs one command, with exactly these operands.
func TestArgumentVectors(t *testing.T) {
	const record = `printf '%s\n' "$@" >> "$D/argv"`
	for _, c := range []struct {
		method func(*testing.T, *Tool) error
		want   string
	}{
		{inventory, "-- show-zone example.com"}, {contents, "-- list-zone example.com"}, {bump, "-- increase-serial example.com"},
		{create, "-- add-zone-key example.com zsk inactive published 256 ecdsa256"},
		{activate, "-- activate-zone-key example.com 1"}, {remove, "-- remove-zone-key example.com 9999"},
		{refresh, "-- purge example.com$"},
	} {
		tool, dir := scripted(t, record)
		tool.ConfigDir, tool.ConfigName = "/etc/p d", "two"
		_ = c.method(t, tool) // the script prints nothing, so most fail
		want := "--config-dir=/etc/p d\n--config-name=two\n" + strings.ReplaceAll(c.want, " ", "\n") + "\n"
		if got := read(t, filepath.Join(dir, "argv")); got != want {
			t.Errorf("arguments are %q, want %q", got, want)
		}
	}
}

// A name that is an option never reaches a command line.
func TestNothingRunsForABadName(t *testing.T) {
	tool, dir := scripted(t, `touch "$D/ran"`)
	const bad = "--config-dir=/x"
	ctx := t.Context()
	_, inventory := tool.Inventory(ctx, bad)
	_, contents := tool.Contents(ctx, bad)
	_, bump := tool.BumpSerial(ctx, bad)
	for name, err := range map[string]error{
		"Inventory": inventory, "Contents": contents, "BumpSerial": bump,
		"Do":      tool.Do(ctx, bad, about(rollover.VerbRemove, 1)),
		"Refresh": tool.Refresh(ctx, []string{"a.test.", bad}, nil),
		"notify":  tool.Refresh(ctx, []string{"a.test."}, []string{bad}),
	} {
		if !errors.Is(err, rollover.ErrZoneName) {
			t.Errorf("%s gave %v, not ErrZoneName", name, err)
		}
	}
	// Nor for no name at all: a purge without one would empty the whole cache.
	if err := tool.Refresh(ctx, nil, nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("a command was run")
	}
}

// All zones are purged in one go, before anyone is notified; a failed notify
// does not keep the others from being sent.
func TestRefreshInOrder(t *testing.T) {
	tool, dir := scripted(t, `echo "$*" >> "$D/calls"
case "$2 $3" in purge*) echo 12;; "notify b.test") echo Failed to add to the queue - see log;; *) echo Added to queue;; esac`)
	err := tool.Refresh(t.Context(), []string{"a.test.", ".", "A.test"}, []string{"b.test.", "a.test."})
	var failure *Error
	if !errors.As(err, &failure) || failure.Zone != "b.test." || !strings.Contains(err.Error(), "Failed to add") {
		t.Errorf("got %v, want an error about b.test.", err)
	}
	want := "-- purge a.test$ .$ b.test$\n-- notify b.test\n-- notify a.test\n"
	if got := read(t, filepath.Join(dir, "calls")); got != want {
		t.Errorf("calls are %q, want %q", got, want)
	}
}

func TestNoNotifyWithoutPurge(t *testing.T) {
	tool, dir := scripted(t, `echo "$*" >> "$D/calls"; echo Timeout error >&2; exit 2`)
	if err := tool.Refresh(t.Context(), []string{"a.test."}, []string{"a.test."}); err == nil {
		t.Error("a failed purge gave no error")
	}
	if got, want := read(t, filepath.Join(dir, "calls")), "-- purge a.test$\n"; got != want {
		t.Errorf("calls are %q, want %q", got, want)
	}
}

// Lines around the id do not matter.
func TestNewIDAmongNoise(t *testing.T) {
	tool, _ := scripted(t, `echo 'WARNING: local files have been created'; echo 17; echo 'the authoritative server can use them.'; echo 'Added a ZSK' >&2`)
	if err := create(t, tool); err != nil {
		t.Error(err)
	}
}

// A command that changes something and then fails is an error, and is not
// run again: only a reading of the keys can tell what it did.
func TestAppliedThenFailed(t *testing.T) {
	tool, dir := scripted(t, `echo 5; echo applied >> "$D/applied"; exit 1`)
	var failure *Error
	if err := create(t, tool); !errors.As(err, &failure) || failure.ExitCode != 1 {
		t.Errorf("got %v, want exit code 1", err)
	}
	if got := read(t, filepath.Join(dir, "applied")); got != "applied\n" {
		t.Errorf("it was applied %q", got)
	}
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	t.Parallel()
	tool, dir := scripted(t, `sleep 600 & echo $! > "$D/pid.new"; mv "$D/pid.new" "$D/pid"; wait`)
	tool.Timeout = 3 * time.Second
	err := create(t, tool)
	if !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), "timed out after 3s") {
		t.Errorf("got %v, want a timeout that is ErrUnavailable", err)
	}
	waitDead(t, read(t, filepath.Join(dir, "pid")))
}

// waitDead waits until a process is gone, or is a zombie that init may reap.
func waitDead(t *testing.T, pid string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("process %s is still alive: %s", strings.TrimSpace(pid), stat)
		case <-again.C:
		}
	}
}

// A child that keeps the pipe open after its parent ended well does not hang
// us, does not spoil the result, and is killed.
func TestChildThatHoldsThePipe(t *testing.T) {
	t.Parallel()
	tool, dir := scripted(t, `sleep 600 & echo $! > "$D/pid"; echo 5`)
	if err := create(t, tool); err != nil {
		t.Error(err)
	}
	waitDead(t, read(t, filepath.Join(dir, "pid")))
}

func TestTooMuchOutput(t *testing.T) {
	for _, script := range []string{"exec yes", "exec yes >&2"} {
		tool, _ := scripted(t, script)
		if err := inventory(t, tool); err == nil || !strings.Contains(err.Error(), "printed more than 1048576 bytes") {
			t.Errorf("%s: got %v, want an error about too much output", script, err)
		}
	}
}

// list-zone may print more than other commands.
func TestLargeZone(t *testing.T) {
	tool, dir := scripted(t, `cat "$D/zone"`)
	record := "t.example.com 60 TXT \"" + strings.Repeat("x", 200) + `"`
	write(t, filepath.Join(dir, "zone"), string(zoneText(slices.Repeat([]string{record}, 10_000)...)))
	if err := contents(t, tool); err != nil {
		t.Error(err)
	}
}

func TestNoSuchCommand(t *testing.T) {
	for _, command := range [][]string{{"/nonexistent/pdnsutil"}, {"no-such-pdnsutil-anywhere"}, {"/etc/passwd"}, {""}, nil} {
		err := inventory(t, &Tool{Command: command})
		var failure *Error
		if !errors.Is(err, rollover.ErrUnavailable) || !errors.As(err, &failure) || failure.Remedy == "" {
			t.Errorf("%q: got %v, want ErrUnavailable with a remedy", command, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	tool, dir := scripted(t, `echo $$ > "$D/pid.new"; mv "$D/pid.new" "$D/pid"; exec sleep 600`)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- tool.Do(ctx, "example.com.", about(rollover.VerbRemove, 1)) }()
	waitFor(t, filepath.Join(dir, "pid"))
	cancel()
	err := <-ended
	if !errors.Is(err, context.Canceled) || errors.Is(err, rollover.ErrUnavailable) {
		t.Errorf("got %v, want context.Canceled only", err)
	}
	waitDead(t, read(t, filepath.Join(dir, "pid")))
	if err := inventory(t, &Tool{Command: tool.Command, Timeout: time.Nanosecond}); !errors.Is(err, rollover.ErrUnavailable) {
		t.Errorf("no time at all gave %v, want ErrUnavailable", err)
	}
}

func waitFor(t *testing.T, path string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s never came", path)
		case <-again.C:
		}
	}
}

// The command sees nothing of our environment but HOME, reads nothing, and
// leads a process group of its own.
func TestSurroundings(t *testing.T) {
	t.Setenv("HOME", "/home/of/test")
	t.Setenv("LD_PRELOAD_OF_TEST", "secret")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	tool, dir := scripted(t, `tr '\0' '\n' < /proc/$$/environ > "$D/environ"; readlink /proc/$$/fd/0 > "$D/stdin"
cut -d' ' -f5 /proc/$$/stat > "$D/group"; echo $$ > "$D/pid"`)
	_ = inventory(t, tool) // prints nothing, so it fails
	got := lines([]byte(read(t, filepath.Join(dir, "environ"))))
	slices.Sort(got)
	if want := []string{"HOME=/home/of/test", "LC_ALL=C", "PATH=" + childPath, "TZ=UTC"}; !slices.Equal(got, want) {
		t.Errorf("environment is %q, want %q", got, want)
	}
	if got := read(t, filepath.Join(dir, "stdin")); got != "/dev/null\n" {
		t.Errorf("stdin is %q", got)
	}
	group := strings.TrimSpace(read(t, filepath.Join(dir, "group")))
	if group != strings.TrimSpace(read(t, filepath.Join(dir, "pid"))) || group == strconv.Itoa(syscall.Getpgrp()) {
		t.Errorf("process group is %s, ours is %d", group, syscall.Getpgrp())
	}
}

// What is printed to stderr cannot speak to the terminal, and is not endless.
func TestErrorTextIsHarmless(t *testing.T) {
	tool, _ := scripted(t, `printf 'progress\n\033]0;owned\007\033[31m%s\n\n' `+strings.Repeat("x", 5000)+` >&2; exit 3`)
	err := inventory(t, tool)
	var failure *Error
	if !errors.As(err, &failure) || failure.ExitCode != 3 {
		t.Fatalf("got %v, want exit code 3", err)
	}
	text := err.Error()
	if strings.ContainsAny(text, "\x1b\x07\n") || strings.Contains(text, "progress") || len(text) > 1000 {
		t.Errorf("error is %q", text)
	}
}
