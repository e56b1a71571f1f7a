package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"rollover/rollover"
	"rollover/rollover/lab"
	"rollover/store"
)

// A pdnsutil that applies and then fails, that applies and then hangs, that
// talks on stdout, or that cannot reach its database; a full disk; a parent that
// replaces instead of adds. Nothing is lost, and no key is made twice.
func TestTroubleEndToEnd(t *testing.T) {
	t.Parallel()
	zone := func(name, layout string) lab.Zone {
		return lab.Zone{Name: name + ".lab.test.", Layout: layout, TTL: 1, Minimum: 1, SOATTL: 1}
	}
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{zone("pdnsutil", lab.Split), zone("replaced", lab.Split)}})
	h.countKeys()
	modes := []string{"fail", "hang", "talk"}
	h.witnessed([]string{"pdnsutil.lab.test."}, func() {
		for _, mode := range modes {
			h.rollsAlthough(mode, "pdnsutil.lab.test.")
		}
		h.misbehave("")
		h.must("start", "pdnsutil.lab.test.", "--type", "zsk")
		h.fullDisk("pdnsutil.lab.test.")
		h.unreachable("pdnsutil.lab.test.")
		h.until("done", []string{"pdnsutil.lab.test."}, h.advance, done)
		h.finished("pdnsutil.lab.test.")
	})
	h.replacing("replaced.lab.test.")
	h.madeKeys(len(modes) + 2)
}

// rollsAlthough rolls a key while pdnsutil does its work and misbehaves. What it
// did counts, not what it said of it: status has no trouble that is none, and
// tells before each step, and while pdnsutil hangs, what is awaited.
func (h *harness) rollsAlthough(mode, zone string) {
	h.t.Helper()
	h.misbehave(mode)
	h.must("start", zone, "--type", "zsk")
	told := map[string]bool{}
	h.until("done while pdnsutil does "+mode, []string{zone}, func() {
		h.watched(func() {
			s := h.explained(zone)
			if s.Trouble != nil {
				h.t.Errorf("pdnsutil did its work and does %s: trouble %q", mode, s.Trouble.Text)
			}
			_, awaits, _ := strings.Cut(s.WaitingFor, ", before step ")
			step, awaits, _ := strings.Cut(awaits, ": ")
			told[step] = told[step] || awaits != ""
			told["under way"] = told["under way"] || strings.Contains(s.WaitingFor, "is under way")
		})
	}, done)
	for _, step := range []string{`"switch"`, `"retire"`} {
		if !told[step] {
			h.t.Errorf("pdnsutil does %s: status never told what is awaited before step %s", mode, step)
		}
	}
	if mode == "hang" && !told["under way"] {
		h.t.Error("while pdnsutil hung, status never told of the step under way")
	}
	h.finished(zone)
}

// watched advances, and looks meanwhile and afterwards.
func (h *harness) watched(look func()) {
	h.t.Helper()
	cmd, stdout, stderr := h.command("advance")
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		look()
		select {
		case err := <-ended:
			if err != nil {
				h.t.Fatalf("advance: %v, %s%s", err, stdout, stderr)
			}
			look()
			return
		default:
		}
	}
}

func (h *harness) misbehave(mode string) {
	h.t.Helper()
	if err := os.WriteFile(h.mode, []byte(mode), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// fullDisk runs advance where nothing can be written, until it has tried: it
// says so, calls no pdnsutil, and changes nothing.
func (h *harness) fullDisk(zone string) {
	h.t.Helper()
	before := h.calls(zone)
	cmd, stdout, stderr := h.command("advance", zone)
	cmd.Path, cmd.Args[0] = filepath.Join(filepath.Dir(cmd.Path), "rollover-on-full-disk"), "rollover-on-full-disk"
	if err := cmd.Run(); err == nil || !strings.Contains(stderr.String(), "saving the state of "+zone) {
		h.t.Errorf("on a full disk: %v, %s%s", err, stdout, stderr)
	}
	if after := h.calls(zone); len(after) != len(before) {
		h.t.Errorf("on a full disk pdnsutil was called: %q", after[len(before):])
	}
	h.explained(zone)
}

// unreachable lets pdnsutil fail when a step is due: it is told once, with
// exit code 1, and then kept quiet about.
func (h *harness) unreachable(zone string) {
	h.t.Helper()
	h.misbehave("dead")
	told, failed := 0, 0
	h.until("failed three times", []string{zone}, func() {
		o := h.rollover("advance", zone)
		if o.code != 0 {
			failed++
		}
		if strings.Contains(o.stderr, "Unable to launch gsqlite3 connection") {
			told++
		}
	}, func(rollover.Status) bool { return failed >= 3 })
	if told != 1 {
		h.t.Errorf("of %d failures %d were told, expected the first alone", failed, told)
	}
	if s := h.explained(zone); s.Trouble == nil || !strings.Contains(s.Trouble.Text, "gsqlite3") || !strings.Contains(s.Command, "rollover advance") {
		h.t.Errorf("status says nothing of the trouble, or not what to type: %+v, %q", s.Trouble, s.Command)
	}
	h.misbehave("")
}

// replacing plays a registrar that puts the DS of new in place of that of old:
// rollover lets both keys sign at once, and ends the roll the other way.
func (h *harness) replacing(zone string) {
	h.t.Helper()
	h.must("start", zone, "--type", "ksk")
	h.registry = func(want []string) []string { return want[len(want)-1:] } // keep comes first
	h.until("rescued", []string{zone}, h.advanceFailing, func(s rollover.Status) bool { return s.Kind == "ksk/double-signature" })
	if s := h.status(zone); !s.OldKeys[0].Active || !s.NewKeys[0].Active {
		h.t.Errorf("after the rescue old is %+v and new %+v, expected both to sign", s.OldKeys[0], s.NewKeys[0])
	}
	h.registry = nil
	h.until("done", []string{zone}, h.advanceFailing, done)
	h.finished(zone)
	if o := h.must("history", zone); !strings.Contains(o.stdout, "rescued") {
		h.t.Errorf("history does not tell of the rescue: %s", o.stdout)
	}
}

// advanceFailing advances while a zone may fail, which is told once, with exit 1.
func (h *harness) advanceFailing() {
	h.t.Helper()
	if o := h.rollover("advance"); o.code != 0 && (o.code != 1 || !strings.Contains(o.stderr, "the zone fails for validating resolvers")) {
		h.t.Fatalf("advance: %v", o)
	}
}

// bare is a program with a configuration and no servers.
func bare(t testing.TB) *harness {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "rollover.toml")
	text := "state = \"" + dir + "/state/rollover.db\"\n[dns]\nresolvers = [\"127.0.0.1:9\"]\nvalidators = [\"127.0.0.1:9\"]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &harness{t: t, config: config}
}

func (h *harness) state() string {
	return filepath.Join(filepath.Dir(h.config), "state", "rollover.db")
}

// Two ticks at once: the second says so and exits 0; a person's command waits,
// and then exits 75.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	h := bare(t)
	lock, err := store.Lock(h.state())
	if err != nil {
		t.Fatal(err)
	}
	if o := h.rollover("advance"); o.code != 0 || !strings.Contains(o.stderr, "pid") {
		t.Errorf("a second advance: %v", o)
	}
	if o := h.rollover("pause", "example.com"); o.code != exitTryLater || !strings.Contains(o.stderr, "pid") {
		t.Errorf("pause while an advance runs: %v", o)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if o := h.rollover("advance"); o.code != 0 || o.stdout+o.stderr != "" {
		t.Errorf("advance after the other has ended: %v", o)
	}
}

// A state file of a newer rollover is refused and not touched.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	h := bare(t)
	if err := store.At(h.state()).Save(rollover.Entry{Dossier: rollover.Dossier{Zone: "example.com."}}); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(h.state(), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("99")) })
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(h.state())
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"status", "advance", "history"} {
		if o := h.rollover(command); o.code != exitFailed || !strings.Contains(o.stderr, "99") {
			t.Errorf("%s with a newer schema: %v", command, o)
		}
	}
	if after, err := os.ReadFile(h.state()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
}

// A truncated state file is reported, never deleted, and nothing crashes.
func TestTruncatedState(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{100, 4096, 8192, 12288} {
		h := bare(t)
		if err := store.At(h.state()).Save(rollover.Entry{Dossier: rollover.Dossier{Zone: "example.com."}}); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(h.state(), size); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"status", "advance"} {
			if o := h.rollover(command); o.code != exitFailed || !strings.Contains(o.stderr, h.state()) || strings.Contains(o.stderr, "goroutine") {
				t.Errorf("%s with a state file of %d octets: %v", command, size, o)
			}
		}
		if info, err := os.Stat(h.state()); err != nil || info.Size() != size {
			t.Errorf("the file of %d octets was changed: %v, %v", size, info, err)
		}
	}
}

// save puts a rollover into the state file as a tick would.
func save(t *testing.T, h *harness, r *rollover.Roll, clock ...rollover.Instant) {
	t.Helper()
	d := rollover.Dossier{Zone: r.Zone, Roll: r}
	for _, c := range clock {
		d.Clock = c
	}
	if err := store.At(h.state()).Save(rollover.Entry{Dossier: d}); err != nil {
		t.Fatal(err)
	}
}

// The clock was a year ahead for one tick: what that tick set as the next look
// does not keep later ones from looking.
func TestClockWasAhead(t *testing.T) {
	t.Parallel()
	h := bare(t)
	future := rollover.Instant{Wall: time.Now().Add(365 * 24 * time.Hour)}
	roll := &rollover.Roll{Zone: "example.com.", Type: "zsk", Method: "pre-publish", Kind: "zsk/pre-publish", State: rollover.StateActive, Step: "publish", NextCheck: future.Wall}
	save(t, h, roll, future)
	if o := h.rollover("advance"); !strings.Contains(o.stderr, "1 zone cannot be looked at") { // the resolver is dead
		t.Errorf("advance did not look: %v", o)
	}
}
