package rollover_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// count is how often a line was logged.
func logged(w *rollovertest.World, line string) int {
	n := 0
	for _, l := range w.Log {
		if strings.HasPrefix(l, line) {
			n++
		}
	}
	return n
}

// transferring is a world whose second server takes over what has a new serial,
// with a rollover whose new key is everywhere.
func transferring(t *testing.T, kind string) (*rollovertest.World, rollover.Policy) {
	t.Helper()
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	w.Transfers = true
	p := tight()
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: kind})
	whole(t, w, unit)
	tickSeeing(t, w, p, asItIs)
	return w, p
}

// byHand takes the new key out of PowerDNS, and tells no server.
func byHand(w *rollovertest.World) {
	for _, k := range w.Roll().New {
		w.Keys = slices.DeleteFunc(w.Keys, func(o rollover.Key) bool { return o.ID == k.ID })
	}
	w.AddKey(256, false, false) // has the first server show what is there, and no other
	w.Keys = w.Keys[:len(w.Keys)-1]
}

// The new key is removed by hand, and then cancelled as told: the secondary, which
// compares serials, does not keep it for ever.
func TestCancelAfterRemovalByHand(t *testing.T) {
	for _, kind := range []string{"zsk", "ksk"} {
		w, p := transferring(t, kind)
		byHand(w)
		before := logged(w, "increase-serial")
		if err := w.Engine(p).Cancel(t.Context(), rollovertest.Zone, "by hand"); err != nil {
			t.Fatal(err)
		}
		d, err := w.Load(rollovertest.Zone)
		if err != nil || !d.Roll.Unserved {
			t.Errorf("%s: that the keys were taken over is not noted: %v", kind, err)
		}
		if tickSeeing(t, w, p, asItIs); logged(w, "increase-serial") == before {
			t.Errorf("%s: nothing was served in the first tick", kind)
		}
		drive(t, w, p, 400)
		if r := w.Roll(); r.State != rollover.StateCancelled {
			t.Errorf("%s: it is %s at %s: %+v", kind, r.State, r.Step, r.Need)
		}
		if n := logged(w, "increase-serial") - before; n < 1 || n > 2 {
			t.Errorf("%s: the serial was raised %d times", kind, n)
		}
	}
}

// A step that has nothing left to do is served all the same: whoever did it may not
// have told the servers. (The state is one of an older version, which did not note
// that the keys were taken over.)
func TestNothingLeftToDoIsServed(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	w.ZoneKind = rollover.KindNative
	p := tight()
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "zsk"})
	byHand(w)
	if err := w.Engine(p).Cancel(t.Context(), rollovertest.Zone, "by hand"); err != nil {
		t.Fatal(err)
	}
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	d.Roll.Unserved = false
	if err := w.Save(rollover.Entry{Dossier: d}); err != nil {
		t.Fatal(err)
	}
	before := logged(w, "purge")
	drive(t, w, p, 400)
	if r := w.Roll(); r.State != rollover.StateCancelled || logged(w, "purge") != before+1 {
		t.Errorf("it is %s, and was served %d times", r.State, logged(w, "purge")-before)
	}
}

// Servers with one serial and different keys, whoever made that: the zone is served
// anew, once in max_gap, after two looks that show the same.
func TestSameSerialOtherKeys(t *testing.T) {
	for _, kind := range []string{"zsk", "ksk"} {
		w, p := transferring(t, kind)
		stale := rollover.KeyVersion{TTL: 3600}
		for _, k := range w.Keys {
			if k.Active {
				stale.Keys = append(stale.Keys, k.DNSKEY())
			}
		}
		stale.Signers = stale.Keys[:1]
		behind := at("ns2", func(o *rollover.ServerSighting) {
			if o.DNSKEY != nil {
				o.DNSKEY = &stale
			}
		})
		before := logged(w, "increase-serial")
		mend := sees(w, behind)
		tickSeeing(t, w, p, behind)
		if n := logged(w, "increase-serial") - before; n != 0 {
			t.Errorf("%s: after one look the serial was raised %d times", kind, n)
		}
		stays(t, w, p, 4, behind)
		if n := logged(w, "increase-serial") - before; n != 1 {
			t.Errorf("%s: the serial was raised %d times", kind, n)
		}
		if !slices.ContainsFunc(w.Events, func(e rollover.Event) bool {
			return e.Event == rollover.EventServed && strings.Contains(e.Text, "both have serial")
		}) {
			t.Errorf("%s: it is not in the history", kind)
		}
		whole(t, w, p.MaxGap)
		stays(t, w, p, 2, behind)
		if n := logged(w, "increase-serial") - before; n != 2 {
			t.Errorf("%s: after max_gap the serial was raised %d times", kind, n)
		}
		mend()
		drive(t, w, p, 400)
		finished(t, w)
	}
}

// Servers that differ because one of them lags have different serials: that is
// what transfers are for.
func TestLaggingIsNotServedAnew(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	w.Lag["ns2"] = 3 * unit
	p := tight()
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "ksk"})
	drive(t, w, p, 400)
	finished(t, w)
	if n := logged(w, "increase-serial"); n != 4 {
		t.Errorf("the serial was raised %d times, expected once before all and once for each change of keys", n)
	}
}

// A zone whose keys were undone by hand while the rollover was blocked is served
// anew when it goes on.
func TestResumeServesAnew(t *testing.T) {
	w, p := transferring(t, "zsk")
	kept := slices.Clone(w.Keys)
	byHand(w)
	for range 60 {
		if w.Roll().State == rollover.StateBlocked {
			break
		}
		w.Advance(unit)
		tickSeeing(t, w, p, asItIs)
	}
	w.Keys = kept
	w.AddKey(256, false, false)
	w.Keys = w.Keys[:len(w.Keys)-1]
	before := logged(w, "increase-serial")
	if err := w.Engine(p).Resume(t.Context(), rollovertest.Zone, "put back"); err != nil {
		t.Fatal(err)
	}
	tickSeeing(t, w, p, asItIs)
	if n := logged(w, "increase-serial") - before; n != 1 {
		t.Errorf("the serial was raised %d times", n)
	}
}

// Check names servers with one serial and different keys, and says what to type;
// with different serials the transfer is what is looked at.
func TestHealthSameSerial(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	s, err := w.Look(t.Context(), rollover.Question{Zone: rollovertest.Zone, Records: []rollover.Record{rollover.RecordDS, rollover.RecordDNSKEY, rollover.RecordData}})
	if err != nil {
		t.Fatal(err)
	}
	stale := *s.Servers[1].DNSKEY
	stale.Keys = stale.Keys[:1]
	s.Servers[1].DNSKEY = &stale
	for serial, remedy := range map[uint32]string{s.Servers[0].Serial: "pdnsutil increase-serial example.com; ", s.Servers[0].Serial - 1: "pdns_control notify "} {
		s.Servers[1].Serial = serial
		found := rollover.Health(s, rollover.DefaultPolicy(), rollover.DefaultLimits())
		i := slices.IndexFunc(found, func(f rollover.Finding) bool { return f.Code == rollover.FindingKeysDiffer })
		if i < 0 || !strings.HasPrefix(found[i].Remedy, remedy) {
			t.Errorf("serial %d: %v", serial, found)
		}
	}
}
