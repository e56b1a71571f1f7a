package rollover_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// toGate drives a KSK roll until its switch waits for caches alone, and then to
// the moment when it is due.
func toGate(t *testing.T, w *rollovertest.World, p rollover.Policy) {
	t.Helper()
	start(t, w, p, rollover.Order{Type: "ksk"})
	for range 300 {
		n := w.Roll().Need
		if n != nil && n.Next == "switch" && len(n.Lagging) == 0 && n.Remaining <= p.CheckInterval {
			whole(t, w, n.Remaining)
			return
		}
		tickDue(t, w, p)
		w.ServeParent(p)
		whole(t, w, unit)
	}
	t.Fatalf("the switch was never near: %+v", w.Roll().Need)
}

// While a gate holds a step up, the zone is not read in full at each tick.
func TestGatesComeBeforeTheZoneIsRead(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	for range 60 {
		tickSeeing(t, w, p, func(s *rollover.Sighting) {
			for i, v := range s.Servers {
				if v.DNSKEY != nil {
					keys := *v.DNSKEY
					keys.Expires = keys.Expires.Add(-8 * 24 * time.Hour)
					s.Servers[i].DNSKEY = &keys
				}
			}
		})
		whole(t, w, unit)
	}
	r, log := w.Roll(), strings.Join(w.Log, "\n")
	if n := strings.Count(log, "list-zone"); n != 1 || r.Step != "publish" || len(r.Need.Findings) == 0 {
		t.Errorf("at %s, need %+v: %d times list-zone, expected 1 at start", r.Step, r.Need, n)
	}
	drive(t, w, p, 200)
	finished(t, w)
}

// What stops a step that takes something away although its waits hold, each
// with the finding that status tells, and each mended by itself.
func TestGatesStopAStep(t *testing.T) {
	children := func(change func(*rollover.ServerSighting)) func(*rollover.Sighting) {
		return func(s *rollover.Sighting) {
			for i := range s.Servers {
				if s.Servers[i].Role == rollover.RoleChild {
					change(&s.Servers[i])
				}
			}
		}
	}
	cases := map[string]struct {
		change func(*rollover.Sighting)
		expect string
	}{
		"signatures that expire within three days": {children(func(v *rollover.ServerSighting) {
			keys := *v.DNSKEY
			keys.Expires = keys.Expires.Add(-8 * 24 * time.Hour)
			v.DNSKEY = &keys
		}), "signatures expire at"},
		"data that nobody signed": {children(func(v *rollover.ServerSighting) {
			if v.Data != nil {
				v.Data = &rollover.DataVersion{Faults: []rollover.Signature{{On: "www.example.com. A", Fault: "unsigned"}}, TTL: v.Data.TTL}
			}
		}), "data that no key of its DNSKEY set has signed"},
		"a server of the zone that is silent about data alone": {func(s *rollover.Sighting) {
			for i, v := range s.Servers {
				if v.Name == "ns2" {
					s.Servers[i].Unknown = "SERVFAIL"
				}
			}
		}, "SERVFAIL"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w, p := rollovertest.New("split", unequal), tight()
			toGate(t, w, p)
			tickSeeing(t, w, p, tc.change)
			r := w.Roll()
			if r.Step != "submit" || r.State != rollover.StateActive {
				t.Fatalf("the rollover is %s at step %q", r.State, r.Step)
			}
			s := describe(t, w, p)
			if !strings.Contains(s.WaitingFor, tc.expect) || s.Actor == "" {
				t.Errorf("expected %q, status says %q, actor %q", tc.expect, s.WaitingFor, s.Actor)
			}
			drive(t, w, p, 200)
			finished(t, w)
		})
	}
}

// Versions that caches may still hold, and that the next step would break, stop
// it, whatever the waits say: here a version that the waits do not know of.
func TestProductStopsAStep(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	toGate(t, w, p)
	e := w.Engine(p)
	product := e.Product
	asked := 0
	e.Product = func(c rollover.Cached) []string {
		asked++
		if len(c.DS) == 0 || len(c.Keys) < 3 || len(c.Data) == 0 {
			t.Errorf("too little to judge: %d DS, %d DNSKEY, %d data versions", len(c.DS), len(c.Keys), len(c.Data))
		}
		c.DS = append(c.DS, rollover.DSVersion{Set: c.DS[0].Set[:1]}) // somebody has the old set still
		return product(c)
	}
	if _, err := e.Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
	s := describe(t, w, p)
	if r := w.Roll(); asked != 1 || r.Step != "submit" || !strings.Contains(s.WaitingFor, "caches may hold what does not validate together") {
		t.Errorf("asked %d times, step %q, status says %q", asked, r.Step, s.WaitingFor)
	}
	drive(t, w, p, 200)
	finished(t, w)
}

// Without a product check nothing is taken away.
func TestNoStepWithoutAProductCheck(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	toGate(t, w, p)
	e := w.Engine(p)
	e.Product = nil
	if _, err := e.Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
	if s := describe(t, w, p); w.Roll().Step != "submit" || !strings.Contains(s.WaitingFor, "no product check") {
		t.Errorf("step %q, status says %q", w.Roll().Step, s.WaitingFor)
	}
}

// A half-done step waits at the gates as well.
func TestGatesStopAHalfDoneStep(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	toGate(t, w, p)
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		if c.Verb == rollover.VerbDeactivate {
			return errors.New("the database is locked")
		}
		w.Apply(c)
		return nil
	}
	if _, err := w.Engine(p).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
	w.OnDo = nil
	if in := w.Roll().Intent; in == nil || in.Applied {
		t.Fatalf("expected a half-done step, got %+v", in)
	}
	expiring := func(s *rollover.Sighting) {
		for i, v := range s.Servers {
			if v.DNSKEY != nil {
				keys := *v.DNSKEY
				keys.Expires = s.At.Wall.Add(time.Hour)
				s.Servers[i].DNSKEY = &keys
			}
		}
	}
	whole(t, w, p.CheckInterval)
	tickSeeing(t, w, p, expiring)
	if s := describe(t, w, p); w.Roll().Step != "submit" || !strings.Contains(s.WaitingFor, "signatures expire at") {
		t.Errorf("step %q, status says %q", w.Roll().Step, s.WaitingFor)
	}
	drive(t, w, p, 200)
	finished(t, w)
}

// Start refuses a zone that is ill.
func TestStartRefusesAnIllZone(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	e := w.Engine(p)
	e.Observer = eyes{w, func(s *rollover.Sighting) {
		for i, v := range s.Servers {
			if v.Data != nil {
				data := *v.Data
				data.Expires = s.At.Wall.Add(time.Hour)
				s.Servers[i].Data = &data
			}
		}
	}}
	_, err := e.Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "zsk"})
	if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "signatures expire at") {
		t.Errorf("start says %v", err)
	}
}

// How long a leaked key is of use, by the largest TTLs ever seen.
func TestLeaked(t *testing.T) {
	w, p := rollovertest.New("split", rollovertest.TTLs{DS: 2 * time.Hour, DNSKEY: time.Hour, Data: 6 * time.Hour}), tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	got := rollover.Leaked(d.Ledger, d.Roll.Keys)
	if got.KSK == nil || got.KSK.Seconds != 3*3600 || got.ZSK == nil || got.ZSK.Seconds != 7*3600 {
		t.Errorf("expected 3 h (DNSKEY + DS) and 7 h (data + DNSKEY), got %v", got)
	}
	w.SetTTL(rollovertest.TTLs{DS: time.Minute, DNSKEY: time.Minute, Data: time.Minute})
	whole(t, w, time.Minute)
	tickDue(t, w, p)
	if d, err = w.Load(rollovertest.Zone); err != nil {
		t.Fatal(err)
	}
	if again := rollover.Leaked(d.Ledger, d.Roll.Keys); again.KSK.Seconds != got.KSK.Seconds || again.ZSK.Seconds != got.ZSK.Seconds {
		t.Errorf("lowered TTLs: expected the same as before, got %v", again)
	}
}
