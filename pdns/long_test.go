package pdns

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rollover/rollover"
)

// What touches every record of a zone has a limit of time of its own, with a remedy.
func TestLongTimeout(t *testing.T) {
	tool, _ := scripted(t, "exec sleep 60")
	tool.LongTimeout = 50 * time.Millisecond
	for name, do := range map[string]func() error{
		"list-zone":    func() error { return contents(t, tool) },
		"rectify-zone": func() error { return tool.Rectify(t.Context(), "example.com.") },
	} {
		if err := do(); !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), "after 50ms") || !strings.Contains(err.Error(), "long_timeout") {
			t.Errorf("%s: %v", name, err)
		}
	}
	tool.Timeout, tool.LongTimeout = 50*time.Millisecond, time.Hour
	if err := inventory(t, tool); !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), "after 50ms") || strings.Contains(err.Error(), "long_timeout") {
		t.Errorf("show-zone: %v", err)
	}
}

func TestTimeouts(t *testing.T) {
	list := call{argv: []string{"ssh", "--", "ns1", "pdnsutil", "--", "list-zone", "show-zone"}}
	show := call{argv: []string{"pdnsutil", "--", "show-zone", "list-zone"}}
	for _, c := range []struct{ timeout, long, wantShow, wantList time.Duration }{
		{0, 0, time.Minute, 10 * time.Minute},
		{time.Hour, 0, time.Hour, time.Hour},
		{time.Second, 2 * time.Second, time.Second, 2 * time.Second},
	} {
		tool := Tool{Timeout: c.timeout, LongTimeout: c.long}
		if a, b := tool.timeout(show), tool.timeout(list); a != c.wantShow || b != c.wantList {
			t.Errorf("%v and %v: show-zone may take %v, list-zone %v", c.timeout, c.long, a, b)
		}
	}
	for _, argv := range [][]string{nil, {"pdnsutil"}, {"pdnsutil", "--version"}, {"pdnsutil", "--"}} {
		if word := (call{argv: argv}).word(); word != "" {
			t.Errorf("%q has the command %q", argv, word)
		}
	}
}

// While as many long commands run as may, there is room for a short one.
func TestLongCommandsLeaveRoom(t *testing.T) {
	tool, dir := scripted(t, `[ "$1" = --version ] && { echo "pdnsutil 4.7.3"; exit; }
echo >"$D/begun"; read x <"$D/gate"`)
	for _, name := range []string{"begun", "gate"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tool.Slots, tool.LongSlots = make(chan struct{}, 2), make(chan struct{}, 1)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _ = contents(t, tool) }) // prints nothing, so it fails
	}
	_ = read(t, filepath.Join(dir, "begun"))
	if _, err := tool.Version(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tool.Rectify(ctx, "example.com."); !errors.Is(err, context.Canceled) {
		t.Errorf("who is interrupted while it waits for room gets %v", err)
	}
	write(t, filepath.Join(dir, "gate"), "x\n")
	_ = read(t, filepath.Join(dir, "begun"))
	write(t, filepath.Join(dir, "gate"), "x\n")
	wg.Wait()
	if len(tool.Slots)+len(tool.LongSlots) != 0 {
		t.Errorf("%d and %d places were not given back", len(tool.Slots), len(tool.LongSlots))
	}
}

// What takes its time is told while it runs, and never after.
func TestWaitingIsTold(t *testing.T) {
	tool, dir := scripted(t, `read x <"$D/gate"`)
	gate := filepath.Join(dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, do := range map[string]func(){
		"reading the records of example.com (list-zone)":   func() { _ = contents(t, tool) },
		"ordering the names of example.com (rectify-zone)": func() { _ = tool.Rectify(t.Context(), "example.com.") },
		"waiting for show-zone of example.com":             func() { _ = inventory(t, tool) },
		"waiting for list-all-zones":                       func() { _, _, _ = tool.Zones(t.Context()) },
	} {
		var told []string
		tool.Patience = time.Millisecond
		tool.Waiting = func(doing string, sofar time.Duration) {
			if told = append(told, doing); sofar < tool.Patience {
				t.Errorf("%s: told after %v", doing, sofar)
			}
			write(t, gate, "x\n")
		}
		if do(); len(told) != 1 || told[0] != want {
			t.Errorf("%q was told, expected %q", told, want)
		}
	}
}
