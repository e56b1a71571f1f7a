package rollover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// days are TTLs of a real parent, unequal to those of the zone.
var days = rollovertest.TTLs{DS: 24 * time.Hour, DNSKEY: time.Hour, Data: 2 * time.Hour}

// held brings a ksk rollover to where most of the hold of the DS is earned, and
// returns what is left of it.
func held(t *testing.T, w *rollovertest.World, p rollover.Policy) time.Duration {
	t.Helper()
	start(t, w, p, rollover.Order{Type: "ksk", Method: "double-ds"})
	for range 12 * 24 * 4 {
		if bad := w.Advance(5 * time.Minute); bad != "" {
			t.Fatal(bad)
		}
		tick(t, w, p)
		w.ServeParent(p)
		r := w.Roll()
		if r.Step == "submit" && r.Need != nil && r.Need.Remaining > 0 && r.Need.Remaining <= 50*time.Minute && len(r.Need.Lagging) == 0 {
			return r.Need.Remaining
		}
	}
	t.Fatalf("never came near the switch: %+v", w.Roll().Need)
	return 0
}

// flap lets the parent lose the DS of new for two days, and have it back.
func flap(w *rollovertest.World, between time.Duration) {
	both, r := w.DSSet(), w.Roll()
	w.Advance(between)
	w.SetDS(w.DSOf(r.Old...))
	w.Advance(48 * time.Hour)
	w.SetDS(both)
	w.Advance(time.Minute)
}

// anew says that a rollover stands where it stood, with the whole hold before it.
func anew(t *testing.T, w *rollovertest.World, whole time.Duration) {
	t.Helper()
	r := w.Roll()
	if r.Step != "submit" || r.Need == nil || r.Need.Remaining != whole {
		t.Fatalf("step %s, need %+v: expected submit, and %s still to be held", r.Step, r.Need, whole)
	}
	if bad := w.Advance(time.Minute); bad != "" {
		t.Fatal(bad)
	}
}

// Paused for three days; in them the parent loses the DS of new for two, and has
// it back at resume.
func TestPauseEarnsNothing(t *testing.T) {
	w, p := rollovertest.New("split", days), rollover.DefaultPolicy()
	held(t, w, p)
	if err := w.Engine(p).Pause(rollovertest.Zone, "holiday"); err != nil {
		t.Fatal(err)
	}
	flap(w, time.Hour)
	if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, "back"); err != nil {
		t.Fatal(err)
	}
	tick(t, w, p)
	anew(t, w, 49*time.Hour)
}

// The same with a cron that was dead, and told.
func TestDeadCronEarnsNothing(t *testing.T) {
	w, p := rollovertest.New("split", days), rollover.DefaultPolicy()
	held(t, w, p)
	flap(w, time.Hour)
	tick(t, w, p)
	anew(t, w, 49*time.Hour)
	if s := describe(t, w, p); !strings.Contains(strings.Join(s.Warnings, "\n"), "nobody looked for 49h") {
		t.Errorf("warnings are %q: expected that nobody looked for 49 h, and that all began anew", s.Warnings)
	}
}

// A gap of up to twice max_gap loses nothing, and earns max_gap.
func TestShortAbsenceLosesNothing(t *testing.T) {
	w, p := rollovertest.New("split", days), rollover.DefaultPolicy()
	left := held(t, w, p)
	if left <= 5*time.Minute {
		t.Fatalf("only %s left", left)
	}
	p.MaxGap = 5 * time.Minute
	w.Advance(10 * time.Minute)
	tick(t, w, p)
	if r := w.Roll(); r.Step != "submit" || r.Need.Remaining != left-5*time.Minute || !r.Absence.IsZero() {
		t.Fatalf("step %s, need %+v, absence %+v: expected %s to be left", r.Step, r.Need, r.Absence, left-5*time.Minute)
	}
}

// Only one server is silent, for longer than twice max_gap: what it served
// meanwhile nobody knows.
func TestSilentServerStartsAnew(t *testing.T) {
	w, p := rollovertest.New("split", days), rollover.DefaultPolicy()
	held(t, w, p)
	w.Down["p1"] = true
	for range 30 {
		w.Advance(5 * time.Minute)
		tick(t, w, p)
	}
	delete(w.Down, "p1")
	tick(t, w, p)
	anew(t, w, 49*time.Hour)
}

// A cron that always comes too late can never end; status and check say why, and
// stop saying it when it comes often enough.
func TestNoWaitCanEverEnd(t *testing.T) {
	w, p := rollovertest.New("split", days), rollover.DefaultPolicy()
	start(t, w, p, rollover.Order{Type: "ksk", Method: "double-ds"})
	says := "advance runs every 26h0m0s, max_gap is 1h0m0s: no wait can ever end; run it more often, or raise max_gap"
	late := func() string {
		for range 5 {
			if bad := w.Advance(26 * time.Hour); bad != "" {
				t.Fatal(bad)
			}
			tick(t, w, p)
			w.ServeParent(p)
		}
		return strings.Join(describe(t, w, p).Warnings, "\n")
	}
	if got := late(); !strings.Contains(got, says) || w.Roll().Step != "submit" {
		t.Fatalf("step %s, warnings %q: expected submit, and %q", w.Roll().Step, got, says)
	}
	if c := checkup(t, w, 0); !slices.ContainsFunc(c.Findings, func(f rollover.Finding) bool {
		return f.Code == rollover.FindingUnattended && strings.Contains(f.Text, says)
	}) {
		t.Errorf("check finds %+v: expected %q", c.Findings, says)
	}
	for range 60 {
		w.Advance(5 * time.Minute)
		tick(t, w, p)
	}
	if got := strings.Join(describe(t, w, p).Warnings, "\n"); strings.Contains(got, "no wait can ever end") {
		t.Errorf("warnings are still %q", got)
	}
}

// A DS version that was first seen unproven, and proven later, is one that
// caches hold: the product counts it.
func TestProvenLaterIsBelieved(t *testing.T) {
	p := rollover.DefaultPolicy()
	w := rollovertest.New("split", days)
	held(t, w, p)
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	version := rollover.DSVersion{Set: w.DSSet(), TTL: 86400, Standing: &rollover.Standing{Security: rollover.Indeterminate, Why: "no answer from the zones above"}}
	server := rollover.ServerSighting{Server: rollover.Server{Role: rollover.RoleParent, Name: "p9", Address: "192.0.2.9:53"}, DS: &version}
	d.Ledger.LearnSighting(rollover.Sighting{At: w.Clock(), Servers: []rollover.ServerSighting{server}})
	proven := version
	proven.Standing = &rollover.Standing{Security: rollover.Secure}
	server.DS = &proven
	d.Ledger.LearnSighting(rollover.Sighting{At: w.Clock(), Servers: []rollover.ServerSighting{server}})
	server.DS = &version // and once more not
	d.Ledger.LearnSighting(rollover.Sighting{At: w.Clock(), Servers: []rollover.ServerSighting{server}})
	for _, e := range d.Ledger.Entries {
		if e.Server == "192.0.2.9:53" && e.DS.Standing.Security != rollover.Secure {
			t.Errorf("the ledger holds it as %q: expected secure, as it was once proven", e.DS.Standing.Security)
		}
	}
}

// At withdraw the operator takes out the wrong DS. Old signs again at once, and
// the rollover comes to its end.
func TestRescueFromTheWrongDS(t *testing.T) {
	for _, c := range rollings()[1:3] {
		t.Run(c.name, func(t *testing.T) {
			w, p := rollovertest.New(c.layout, unequal), tight()
			start(t, w, p, c.order)
			for range 400 {
				w.ServeParent(p)
				tickDue(t, w, p)
				if w.Roll().Step == "withdraw" {
					break
				}
				if bad := w.Advance(unit); bad != "" {
					t.Fatal(bad)
				}
			}
			r := w.Roll()
			if r.Step != "withdraw" || r.Old[0].Active {
				t.Fatalf("step %s, old %v: expected withdraw, and that new signs alone", r.Step, r.Old)
			}
			w.SetDS(w.DSOf(r.Old...))
			w.Advance(unit)
			tickDue(t, w, p)
			r = w.Roll()
			if r.Kind != c.order.Type+"/double-signature" || !r.Old[0].Active || !r.New[0].Active {
				t.Fatalf("kind %s, old %v, new %v: expected both to sign", r.Kind, r.Old, r.New)
			}
			if !slices.ContainsFunc(w.Events, func(e rollover.Event) bool {
				return e.Event == rollover.EventRescued && strings.Contains(e.Text, "the old key signs beside the new one from now on")
			}) {
				t.Errorf("history says %+v", w.Events)
			}
			for range 400 { // what was cached before is the operator's doing
				w.Advance(unit)
				tick(t, w, p)
				w.ServeParent(p)
			}
			finished(t, w)
		})
	}
}

// The same for an algorithm that is out of the DNSKEY set and signs still: it is
// published again.
func TestRescueOfAnAlgorithm(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "algorithm", Algorithm: 15})
	for range 600 {
		w.ServeParent(p)
		tickDue(t, w, p)
		if w.Roll().Step == "unpublish" {
			break
		}
		if bad := w.Advance(unit); bad != "" {
			t.Fatal(bad)
		}
	}
	r := w.Roll()
	if r.Step != "unpublish" || r.Old[0].Published {
		t.Fatalf("step %s, old %v: expected unpublish", r.Step, r.Old)
	}
	w.SetDS(w.DSOf(r.Old...))
	w.Advance(unit)
	tickDue(t, w, p)
	if r = w.Roll(); !r.Old[0].Published || r.Step == "retire" || !slices.ContainsFunc(w.Events, func(e rollover.Event) bool { return e.Event == rollover.EventRescued }) {
		t.Fatalf("step %s, old %v: expected old to be published again", r.Step, r.Old)
	}
	for range 600 {
		w.Advance(unit)
		tick(t, w, p)
		w.ServeParent(p)
	}
	finished(t, w)
}

// The ZSK was activated by hand a moment before the start: until then the KSK
// signed data, and caches hold that for as long as its TTL is.
func TestKSKThatSignedData(t *testing.T) {
	long := rollovertest.TTLs{DS: 2 * unit, DNSKEY: unit, Data: 60 * unit}
	for _, method := range []string{"double-ds", "double-signature"} {
		t.Run(method, func(t *testing.T) {
			w, p := rollovertest.New("split", long), tight()
			zsk := w.Keys[slices.IndexFunc(w.Keys, func(k rollover.Key) bool { return k.Flags == rollover.FlagsZSK })]
			w.Apply(rollover.Command{Verb: rollover.VerbDeactivate, Key: zsk})
			w.Advance(unit)
			w.Apply(rollover.Command{Verb: rollover.VerbActivate, Key: zsk})
			w.Advance(unit)
			start(t, w, p, rollover.Order{Type: "ksk", Method: method})
			for range 400 {
				w.ServeParent(p)
				tickDue(t, w, p)
				if bad := w.Advance(unit); bad != "" {
					t.Fatalf("step %s: %s", w.Roll().Step, bad)
				}
			}
			finished(t, w)
		})
	}
}

// The ZSK was off for a while in the middle of a ksk rollover, and a look has seen
// it: the keys are read, and the rollover is blocked until it is undone.
func TestZSKOffInAKSKRollover(t *testing.T) {
	long := rollovertest.TTLs{DS: 2 * unit, DNSKEY: unit, Data: 30 * unit}
	w, p := rollovertest.New("split", long), tight()
	zsk := w.Keys[slices.IndexFunc(w.Keys, func(k rollover.Key) bool { return k.Flags == rollover.FlagsZSK })]
	start(t, w, p, rollover.Order{Type: "ksk", Method: "double-ds"})
	for w.Roll().Step != "switch" {
		w.ServeParent(p)
		tickDue(t, w, p)
		if bad := w.Advance(unit); bad != "" {
			t.Fatal(bad)
		}
	}
	w.Apply(rollover.Command{Verb: rollover.VerbDeactivate, Key: zsk})
	w.Advance(unit)
	tickDue(t, w, p)
	if r := w.Roll(); r.State != rollover.StateBlocked {
		t.Fatalf("state %s, need %+v: expected blocked, since somebody switched the ZSK off", r.State, r.Need)
	}
	w.Apply(rollover.Command{Verb: rollover.VerbActivate, Key: zsk})
	if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, "it signs again"); err != nil {
		t.Fatal(err)
	}
	for range 400 {
		w.ServeParent(p)
		tickDue(t, w, p)
		if bad := w.Advance(unit); bad != "" {
			t.Fatalf("step %s: %s", w.Roll().Step, bad)
		}
	}
	finished(t, w)
}

// Nothing goes back while the ZSK is off: cancel and revert say what to type.
func TestNoWayBackWhileTheZSKIsOff(t *testing.T) {
	for step, back := range map[string]func(*rollover.Engine) error{
		"submit": func(e *rollover.Engine) error { return e.Cancel(context.Background(), rollovertest.Zone, "no") },
		"switch": func(e *rollover.Engine) error {
			return e.Revert(context.Background(), rollover.Back{Zone: rollovertest.Zone})
		},
	} {
		w, p := rollovertest.New("split", unequal), tight()
		zsk := w.Keys[slices.IndexFunc(w.Keys, func(k rollover.Key) bool { return k.Flags == rollover.FlagsZSK })]
		start(t, w, p, rollover.Order{Type: "ksk", Method: "double-ds"})
		for w.Roll().Step != step {
			w.ServeParent(p)
			tickDue(t, w, p)
			w.Advance(unit)
		}
		w.Advance(4 * unit)
		w.Apply(rollover.Command{Verb: rollover.VerbDeactivate, Key: zsk})
		w.Advance(4 * unit)
		tickDue(t, w, p)
		err := back(w.Engine(p))
		if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "which is no key of this rollover, signed, and was deactivated by somebody else: `pdnsutil activate") {
			t.Errorf("at %s: %v: expected a refusal that says how to let the ZSK sign again", step, err)
		}
	}
}
