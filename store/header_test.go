package store

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
)

func encoded(t testing.TB, h Header) string {
	t.Helper()
	out, err := h.append(nil)
	must(t, err)
	return string(out)
}

func TestAHeaderIsDecodedWithoutAllocation(t *testing.T) {
	value := encoded(t, headerOf(sample("a.example.", 1).Dossier))
	if n := testing.AllocsPerRun(100, func() {
		if _, err := decodeHeader("a.example.", value); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("it takes %v allocations", n)
	}
}

func TestTheLongestNameFits(t *testing.T) {
	want := Header{Step: strings.Repeat("x", 255), Phase: "y"}
	got, err := decodeHeader("", encoded(t, want))
	must(t, err)
	if got != want {
		t.Errorf("decoded %+v", got)
	}
}

func TestANameThatDoesNotFitIsAnErrorOfSave(t *testing.T) {
	e := sample("a.example.", 1)
	e.Dossier.Roll.Step = strings.Repeat("x", 256)
	if err := At(statePath(t)).Save(e); err == nil || !strings.Contains(err.Error(), "255") {
		t.Errorf("the error is %v", err)
	}
}

func TestStampsSortAsTimesDo(t *testing.T) {
	var last uint64
	for _, c := range []struct {
		at   time.Time
		want uint64
	}{
		{time.Time{}, 0},
		{time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC), 1},
		{time.Unix(0, 0), 1},
		{time.Unix(0, 1), 1},
		{time.Unix(0, 2), 2},
		{epoch(), uint64(epoch().UnixNano())},
		{time.Unix(0, math.MaxInt64), math.MaxInt64},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
	} {
		got := stamp(c.at)
		if got != c.want || got < last {
			t.Errorf("%v is %d, want %d", c.at, got, c.want)
		}
		last = got
	}
}

// Law: what decodes is encoded as the same octets, but for the checksum.
func FuzzHeader(f *testing.F) {
	f.Add("a.example.", encoded(f, headerOf(sample("a.example.", 1).Dossier)))
	f.Add("", encoded(f, Header{NeedsOperator: true}))
	f.Add("", "\x01\x00")
	f.Fuzz(func(t *testing.T, zone, value string) {
		h, err := decodeHeader(zone, value)
		if err != nil {
			return
		}
		again := encoded(t, h)
		if h.Zone != zone || again[:headerSum] != value[:headerSum] || again[headerFixed:] != value[headerFixed:] {
			t.Errorf("%q decodes to %+v, which is %q", value, h, again)
		}
	})
}

// Law: what decodes can be saved, and loads as what it was. With a wrong
// checksum nothing decodes.
func FuzzLoad(f *testing.F) {
	r, err := newRecord(sample("a.example.", 1), 0)
	must(f, err)
	f.Add(r.roll, r.ledger)
	f.Add([]byte(nil), r.ledger)
	f.Add([]byte("null"), []byte(`{"ledger":{"entries":[{"dnskey":null}]}}`))
	f.Fuzz(func(t *testing.T, roll, ledger []byte) {
		first := record{zone: "a.example.", roll: roll, ledger: ledger, header: []byte(encoded(t, Header{}))}
		first.seal()
		d, err := first.stored().decode("a.example.")
		if err != nil {
			return
		}
		second, err := newRecord(entryOf(d), 0)
		if err != nil {
			return // a time that JSON cannot hold, a name that is too long
		}
		again, err := second.stored().decode("a.example.")
		must(t, err)
		if !same(t, again, d) {
			t.Errorf("%+v became %+v", d, again)
		}
		second.header[headerSum]++
		if _, err := second.stored().decode("a.example."); err == nil {
			t.Error("a wrong checksum was believed")
		}
		if !json.Valid(second.ledger) {
			t.Error("what is stored is not JSON")
		}
	})
}

// Law: octets that nobody has sealed are not believed, whatever they are.
func FuzzStored(f *testing.F) {
	r, err := newRecord(sample("a.example.", 1), 0)
	must(f, err)
	f.Add("a.example.", r.header, r.roll, r.ledger)
	f.Add("", []byte{}, []byte("null"), []byte("{}"))
	f.Fuzz(func(t *testing.T, zone string, header, roll, ledger []byte) {
		d, err := stored{header, roll, ledger}.decode(zone)
		if err != nil {
			return
		}
		sealed := record{zone: zone, header: slices.Clone(header), roll: roll, ledger: ledger}
		sealed.seal()
		if d.Zone != zone || !bytes.Equal(sealed.header, header) {
			t.Errorf("%q, %q and %q were believed", header, roll, ledger)
		}
	})
}

// Law: whatever is in the file of the notifications, they can be worked with and
// saved, and come back as what they are; with an error they are empty.
func FuzzOutbox(f *testing.F) {
	var one rollover.Outbox
	one.Queue(rollover.Notice{ID: "1", Zone: "a.example.", Event: rollover.NoticeBlocked}, []string{"exec"}, epoch())
	one.Settle("a.example.", []rollover.Notice{{ID: "2", Zone: "a.example.", Event: rollover.NoticeStuck}}, epoch(), time.Hour)
	one.Failed("exec", "no", epoch())
	raw, err := json.Marshal(one)
	must(f, err)
	f.Add(raw, "a.example.", "exec", "1")
	f.Add([]byte(`{"channels":{"exec":{"failures":-1}}}`), "a.example.", "exec", "1")
	path := statePath(f)
	must(f, os.Mkdir(filepath.Dir(path), 0o700))
	f.Fuzz(func(t *testing.T, raw []byte, zone, channel, id string) {
		for _, text := range []*string{&zone, &channel, &id} {
			*text = strings.ToValidUTF8(*text, "?") // ours are ASCII
		}
		must(t, os.WriteFile(outboxPath(path), raw, 0o600))
		box, err := Outbox(path)
		if err != nil && !same(t, box, rollover.Outbox{}) {
			t.Errorf("with the error %v there is %+v", err, box)
		}
		box.Zones()
		box.Due(channel, epoch())
		box.Settle(zone, []rollover.Notice{{ID: id, Zone: zone, Event: rollover.NoticeStuck}}, epoch(), time.Hour)
		box.Queue(rollover.Notice{ID: id, Zone: zone}, []string{channel}, epoch())
		box.Failed(channel, "no", epoch())
		if next := box.Channels[channel].Next; !next.After(epoch()) {
			t.Errorf("a channel that failed is tried again at once, at %v", next)
		}
		if err := saveOutbox(path, nil, box); err != nil {
			return // a time that JSON cannot hold
		}
		again, err := Outbox(path)
		must(t, err)
		if !same(t, again, box) {
			t.Errorf("%+v came back as %+v", box, again)
		}
		box.Delivered(channel, rollover.Notice{ID: id})
		if slices.ContainsFunc(box.Due(channel, epoch().AddDate(1, 0, 0)), func(n rollover.Notice) bool { return n.ID == id }) {
			t.Error("what was delivered is due again")
		}
	})
}
