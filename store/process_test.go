package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAFileThatAnotherProcessHoldsIsLockedAndThenIsNot(t *testing.T) {
	db := filled(t, 1)
	holder := startChild(t, "hold file", db.path)
	holder.line(t)
	db.ReadTimeout, db.WriteTimeout = 120*time.Millisecond, 120*time.Millisecond
	started := time.Now()
	_, err := db.Due(epoch(), 0)
	expectLocked(t, err)
	expectLocked(t, db.Save(sample(zoneName(0), 1)))
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("that took %v", took)
	}
	must(t, holder.stdin.Close())
	must(t, holder.cmd.Wait())
	must(t, db.Save(sample(zoneName(0), 1)))
}

func expectLocked(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "run the command again") {
		t.Errorf("the error is %v", err)
	}
}

func TestAGoroutineWaitsForItsTurnNoLongerThanAllowed(t *testing.T) {
	db := filled(t, 1)
	db.turn <- struct{}{}
	db.ReadTimeout = time.Millisecond
	_, err := db.Load(zoneName(0))
	expectLocked(t, err)
	<-db.turn
	_, err = db.Load(zoneName(0))
	must(t, err)
}

func TestASaveThatReturnedSurvivesKill(t *testing.T) {
	path := statePath(t)
	for round := range 20 {
		saver := startChild(t, "save for ever", path)
		for range 3 + 2*round {
			saver.line(t)
		}
		must(t, saver.cmd.Process.Kill())
		acknowledged, err := strconv.Atoi(saver.lines.Text())
		must(t, err)
		for saver.lines.Scan() { // what was printed before it died
			acknowledged, err = strconv.Atoi(saver.lines.Text())
			must(t, err)
		}
		_ = saver.cmd.Wait() // "signal: killed"
		expectSaved(t, At(path), acknowledged)
	}
}

// expectSaved says that saves 1 to n are there, and at most one more.
func expectSaved(t *testing.T, db *DB, n int) {
	t.Helper()
	d, err := db.Load("example.org.")
	must(t, err)
	found, err := strconv.Atoi(d.Roll.Step)
	must(t, err)
	if found != n && found != n+1 {
		t.Fatalf("save %d is there, %d was acknowledged", found, n)
	}
	events, err := db.History("example.org.")
	must(t, err)
	for i, e := range events {
		if e.Step != strconv.Itoa(i+1) {
			t.Fatalf("event %d is %q", i+1, e.Step)
		}
	}
	if len(events) != found {
		t.Fatalf("%d events with save %d", len(events), found)
	}
	expectDue(t, db, epoch().Add(time.Hour*24), "example.org.")
}

func TestAFullDiskChangesNothing(t *testing.T) {
	path := statePath(t)
	saver := startChild(t, "save with little room", path)
	saved, err := strconv.Atoi(saver.line(t))
	must(t, err)
	if text := saver.line(t); !strings.Contains(text, "nothing was changed") {
		t.Errorf("the error is %q", text)
	}
	if saver.lines.Scan() {
		t.Errorf("afterwards: %s", saver.lines.Text())
	}
	must(t, saver.cmd.Wait())
	db := At(path)
	for i := range saved {
		d, err := db.Load(zoneName(i))
		must(t, err)
		if !same(t, d, sample(zoneName(i), i).Dossier) {
			t.Errorf("zone %d is %+v", i, d)
		}
	}
	zones, err := db.Zones()
	must(t, err)
	if saved == 0 || len(zones) != saved {
		t.Errorf("%d zones are there, %d were saved", len(zones), saved)
	}
	must(t, db.Save(samples(100)...))
}

func TestADiskFullFromTheStartLeavesNoFile(t *testing.T) {
	path := statePath(t)
	saver := startChild(t, "save without room", path)
	if n := saver.line(t); n != "0" {
		t.Errorf("%s saves were acknowledged", n)
	}
	if text := saver.line(t); !strings.Contains(text, "nothing was changed") {
		t.Errorf("the error is %q", text)
	}
	must(t, saver.cmd.Wait())
	left, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(left) != 0 {
		t.Errorf("it left %v", left)
	}
	must(t, At(path).Save(sample("example.org.", 1)))
}

func TestAUserWhoMayNotIsToldSo(t *testing.T) {
	db := filled(t, 1)
	dir := filepath.Dir(db.path)
	must(t, os.Chmod(dir, 0))
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	nobody := startChild(t, "be nobody", db.path)
	for _, what := range []string{"Load", "Save", "Lock"} {
		if nobody.line(t) != "true" {
			t.Errorf("%s: the error is not fs.ErrPermission", what)
		}
	}
	must(t, nobody.cmd.Wait())
}

func TestTheSecondTickIsToldWhoRunsTheFirst(t *testing.T) {
	path := statePath(t)
	first := startChild(t, "hold lock", path)
	first.line(t)
	_, err := Lock(path)
	var busy *Busy
	if !errors.Is(err, ErrBusy) || !errors.As(err, &busy) {
		t.Fatalf("the error is %v", err)
	}
	if busy.PID != first.cmd.Process.Pid || time.Since(busy.Since) > time.Hour || time.Since(busy.Since) < -time.Second {
		t.Errorf("it says pid %d since %v, and is pid %d", busy.PID, busy.Since, first.cmd.Process.Pid)
	}
	if want := fmt.Sprintf("another advance is running (pid %d, since ", busy.PID); !strings.HasPrefix(err.Error(), want) {
		t.Errorf("the error is %q, want %q", err, want)
	}
	must(t, first.cmd.Process.Kill())
	_ = first.cmd.Wait() // "signal: killed"
	second, err := Lock(path)
	must(t, err)
	must(t, second.Unlock())
}

func TestTheLockIsTakenAndGivenBackInOneProcess(t *testing.T) {
	path := statePath(t)
	for range 2 {
		l, err := Lock(path)
		must(t, err)
		if _, err := Lock(path); !errors.Is(err, ErrBusy) {
			t.Errorf("a second one: %v", err)
		}
		must(t, At(path).Save(sample("example.org.", 1))) // which the lock does not keep from
		must(t, l.Unlock())
	}
}

func TestALockFileWithoutNameIsStillALock(t *testing.T) {
	path := statePath(t)
	l, err := Lock(path)
	must(t, err)
	for _, text := range []string{"", "x", "12", "12 yesterday", "-4 2026-11-23T12:00:00Z"} {
		must(t, os.WriteFile(l.file.Name(), []byte(text), 0o600))
		if _, err := Lock(path); !errors.Is(err, ErrBusy) || err.Error() != ErrBusy.Error() {
			t.Errorf("with %q in it: %v", text, err)
		}
	}
	must(t, l.Unlock())
}
