package pdns_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rollover/pdns"
	"rollover/pdns/pdnstest"
	"rollover/rollover"
)

// command is an executable script.
func command(t *testing.T, format string, args ...any) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "command")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+fmt.Sprintf(format, args...)), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{path}
}

// The bind back end has keys and no records: what cannot work is refused, with what
// helps, and a command of the operator's does it.
func TestZonesInFiles(t *testing.T) {
	t.Parallel()
	w := pdnstest.Files(t, map[string]string{"a.test": "master", "b.test": "native"})
	refused := func(err error) {
		t.Helper()
		if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "[pdnsutil] serial") || !strings.Contains(err.Error(), "native") {
			t.Errorf("expected a refusal with its remedy, got %v", err)
		}
	}
	_, err := w.Tool.BumpSerial(t.Context(), "a.test.")
	refused(err)
	refused(w.Tool.Writable(t.Context(), "a.test."))
	refused(w.Tool.Writable(t.Context(), "b.test."))
	var turn sync.Mutex
	refused((&pdns.Parent{Tool: w.Tool, Turn: &turn}).Prepare(t.Context(), "child.a.test.", "ksk"))
	refused((&pdns.Signals{Tool: w.Tool, Turn: &turn, Zones: []string{"none.test.", "b.test."}}).Prepare(t.Context()))
	if err := (&pdns.Signals{Tool: w.Tool, Turn: &turn, Zones: []string{"none.test."}}).Prepare(t.Context()); err != nil {
		t.Errorf("a zone that is elsewhere: %v", err)
	}
	answer := (&pdns.Parent{Tool: w.Tool, Turn: &turn}).Submit(t.Context(), rollover.Change{Zone: "child.a.test.", Add: []rollover.DS{ds(2)}})
	if answer.State != rollover.SubmissionFailed || !strings.Contains(answer.Text, "reads records from files") {
		t.Errorf("submit: %+v", answer)
	}

	w.Tool.Serial = command(t, `cd %q && read serial rest <count 2>/dev/null; serial=$((${serial:-1} + 1)); echo $serial >count
sed -i "s/host [0-9]*/host $serial/" $1.zone`, w.Dir)
	for want := uint32(2); want < 5; want++ {
		if got, err := w.Tool.BumpSerial(t.Context(), "a.test."); err != nil || got != want {
			t.Errorf("serial %d, expected %d: %v", got, want, err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(w.Dir, "a.test.zone")); err != nil || !strings.Contains(string(text), "host 4 ") {
		t.Errorf("%v in\n%s", err, text)
	}
	refused(w.Tool.Writable(t.Context(), "a.test."))

	for _, c := range []struct{ text, says string }{
		{"exit 0", "list-zone shows serial 4, and 4 before"},
		{"echo no such file >&2; exit 3", "no such file"},
		{"sed -i 's/host 4/host 2/' " + w.Dir + "/$1.zone", "list-zone shows serial 2, and 4 before"},
	} {
		w.Tool.Serial = command(t, "%s", c.text)
		if _, err := w.Tool.BumpSerial(t.Context(), "a.test."); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// Where increase-serial works nobody calls another command.
func TestSerialCommandIsForFilesOnly(t *testing.T) {
	t.Parallel()
	w := pdnstest.Real(t, pdnstest.Zone{Name: "a.test", Kind: rollover.KindMaster})
	w.Tool.Serial = command(t, "exit 1")
	if serial, err := w.Tool.BumpSerial(t.Context(), "a.test."); err != nil || serial == 0 {
		t.Errorf("serial %d: %v", serial, err)
	}
	if err := w.Tool.Writable(t.Context(), "a.test."); err != nil {
		t.Error(err)
	}
}
