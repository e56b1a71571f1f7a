package rollover_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// Every order in every state, and with keys as somebody may have left them: what it
// says, or what it makes of the rollover, with what stands in history.
func TestOrdersSay(t *testing.T) {
	ctx, zone, p := context.Background(), rollovertest.Zone, tight()
	zsk, ksk := rollover.Order{Type: "zsk"}, rollover.Order{Type: "ksk"}
	running := func(layout, step string, o rollover.Order) func() *rollovertest.World {
		return func() *rollovertest.World {
			w := rollovertest.New(layout, unequal)
			start(t, w, p, o)
			if step != "" {
				toStep(t, w, p, step)
			}
			return w
		}
	}
	given := func(world func() *rollovertest.World, do ...func(*rollovertest.World)) func() *rollovertest.World {
		return func() *rollovertest.World {
			w := world()
			for _, one := range do {
				one(w)
			}
			return w
		}
	}
	key := func(verb rollover.Verb, i int) func(*rollovertest.World) {
		return func(w *rollovertest.World) { w.Apply(rollover.Command{Verb: verb, Key: w.Keys[i]}) }
	}
	seen := func(w *rollovertest.World) {
		w.Advance(unit)
		tickDue(t, w, p)
	}
	stranger := func(w *rollovertest.World) { w.AddKey(256, true, true) }
	slave := func(w *rollovertest.World) { w.ZoneKind = rollover.KindSlave }
	halfDone := func(w *rollovertest.World) {
		w.OnDo = func(*rollovertest.World, rollover.Command) error { return errBroken }
		for range 40 {
			if r := w.Roll(); r.Intent != nil {
				break
			}
			w.ServeParent(p)
			w.Advance(unit)
			tick(t, w, p)
		}
		w.OnDo = nil
	}
	paused := func(w *rollovertest.World) {
		if err := w.Engine(p).Pause(zone, ""); err != nil {
			t.Fatal(err)
		}
	}
	cancelled := func(w *rollovertest.World) {
		if err := w.Engine(p).Cancel(ctx, zone, ""); err != nil {
			t.Fatal(err)
		}
	}
	ended := func(w *rollovertest.World) { drive(t, w, p, 400) }
	excluded := func(w *rollovertest.World) {
		if err := w.Engine(p).Exclude(zone, "ns2", ""); err != nil {
			t.Fatal(err)
		}
	}
	worlds := []struct {
		what string
		in   func() *rollovertest.World
	}{
		{"no rollover", func() *rollovertest.World { return rollovertest.New("split", unequal) }},
		{"active", running("split", "publish", zsk)},
		{"paused", given(running("split", "publish", zsk), paused)},
		{"done", given(running("split", "publish", zsk), ended)},
		{"cancelled", given(running("split", "publish", zsk), cancelled, ended)},
		{"being cancelled", given(running("split", "publish", zsk), cancelled)},
		{"a step that takes away", running("split", "switch", zsk)},
		{"asked for a DS", running("split", "submit", ksk)},
		{"asked for none of old", running("split", "withdraw", ksk)},
		{"excluded ns2", given(running("split", "publish", zsk), excluded)},
		{"new was let sign, seen", given(running("split", "publish", zsk), key(rollover.VerbActivate, 2), seen)},
		{"new was let sign, unseen", given(running("split", "publish", zsk), key(rollover.VerbActivate, 2))},
		{"that was undone", given(running("split", "publish", zsk), key(rollover.VerbActivate, 2), seen, key(rollover.VerbDeactivate, 2))},
		{"old does not sign", given(running("split", "publish", zsk), key(rollover.VerbDeactivate, 1), seen)},
		{"old is not published", given(running("split", "publish", zsk), key(rollover.VerbUnpublish, 1), seen)},
		{"old was exchanged", given(running("split", "publish", zsk), func(w *rollovertest.World) {
			w.Keys[1].PublicKey = w.Keys[0].PublicKey
			w.Keys[1].Tag = w.Keys[1].DNSKEY().Tag()
		})},
		{"the KSK does not sign", given(running("split", "publish", zsk), key(rollover.VerbDeactivate, 0))},
		{"the KSK is gone", given(running("split", "publish", zsk), key(rollover.VerbRemove, 0))},
		{"half done, and that was undone", given(running("split", "publish", zsk), halfDone, key(rollover.VerbDeactivate, 1), seen, key(rollover.VerbActivate, 1))},
		{"half done, and gone on with by hand", given(running("split", "publish", zsk), halfDone, key(rollover.VerbDeactivate, 1), seen, key(rollover.VerbActivate, 2))},
		{"new is gone", given(running("split", "publish", zsk), key(rollover.VerbRemove, 2), seen)},
		{"a stranger's key", given(running("split", "publish", zsk), stranger, seen)},
		{"a secondary", given(running("split", "publish", zsk), slave, seen)},
		{"half done", given(running("split", "publish", zsk), halfDone)},
		{"half done, and old does not sign", given(running("split", "publish", zsk), halfDone, key(rollover.VerbDeactivate, 1), seen)},
		{"half done, and a stranger's key", given(running("split", "publish", zsk), halfDone, stranger, seen)},
		{"begun, and no key was made", func() *rollovertest.World {
			w := rollovertest.New("split", unequal)
			w.OnDo = func(*rollovertest.World, rollover.Command) error { return errBroken }
			start(t, w, p, zsk)
			w.OnDo = nil
			return w
		}},
		{"begun, and a key was made unnoticed", func() *rollovertest.World {
			w := rollovertest.New("split", unequal)
			w.OnDo = func(w *rollovertest.World, c rollover.Command) error { w.Apply(c); return errBroken }
			start(t, w, p, zsk)
			w.OnDo = nil
			return w
		}},
		{"begun, and a key was made and is not let sign", func() *rollovertest.World {
			w := rollovertest.New("split", unequal)
			w.OnDo = func(*rollovertest.World, rollover.Command) error { return errBroken }
			start(t, w, p, zsk)
			w.OnDo = nil
			w.AddKey(256, false, true)
			return w
		}},
		{"begun, and two keys were made", func() *rollovertest.World {
			w := rollovertest.New("split", unequal)
			w.OnDo = func(*rollovertest.World, rollover.Command) error { return errBroken }
			start(t, w, p, zsk)
			w.OnDo = nil
			w.AddKey(256, false, true)
			w.AddKey(256, false, true)
			return w
		}},
	}
	orders := []struct {
		what string
		do   func(*rollover.Engine) error
	}{
		{"pause", func(e *rollover.Engine) error { return e.Pause(zone, "why") }},
		{"resume", func(e *rollover.Engine) error { return e.Resume(ctx, zone, "why") }},
		{"cancel", func(e *rollover.Engine) error { return e.Cancel(ctx, zone, "why") }},
		{"abandon", func(e *rollover.Engine) error { return e.Abandon(zone, "why") }},
		{"exclude", func(e *rollover.Engine) error { return e.Exclude(zone, "ns2", "why") }},
		{"include", func(e *rollover.Engine) error { return e.Include(zone, "ns2", "why") }},
	}
	var out strings.Builder
	for _, in := range worlds {
		base := in.in()
		fmt.Fprintf(&out, "%s:\n", in.what)
		for _, order := range orders {
			w := base.Clone()
			e := w.Engine(p)
			e.By = "alice"
			err := order.do(e)
			fmt.Fprintf(&out, "\t%s: ", order.what)
			if err != nil {
				fmt.Fprintf(&out, "%v\n", err)
				if !slices.Equal(w.Keys, base.Keys) || asStored(t, w) != asStored(t, base) {
					t.Errorf("%s, %s: what is refused has changed something", in.what, order.what)
				}
				continue
			}
			d, err := w.Load(zone)
			if err != nil {
				t.Fatal(err)
			}
			if r := d.Roll; r != nil {
				fmt.Fprintf(&out, "%s %s at %q, %s, new %v, intent %v, need %v, block %v, ask %v, held %d, unserved %v, servers %d, next %v, ended %v",
					r.Kind, r.State, r.Step, r.Phase, r.New, r.Intent != nil, r.Need != nil, r.Block != nil, r.Ask != nil, len(r.Held), r.Unserved, len(r.Servers), r.NextCheck.Sub(w.Now.Wall), r.EndedAt.Equal(w.Now.Wall))
			}
			fmt.Fprintf(&out, ", excluded %v\n", d.Excluded)
			for _, event := range w.Events[len(base.Events):] {
				fmt.Fprintf(&out, "\t\t%s at %q by %s, since %q: %s\n", event.Event, event.Step, event.By, event.Reason, event.Text)
			}
		}
	}
	rollover.Golden(t, "orders.txt", out.String())
}

// Where the parent follows CDS, abandon says what stays.
func TestAbandonTellsOfCDS(t *testing.T) {
	w, p := rollovertest.New("csk", unequal), tight()
	p.CDS = true
	w.Tune = func(e *rollover.Engine) {
		e.Setting = func(string) rollover.Setting { return rollover.Setting{Policy: p} }
	}
	start(t, w, p, rollover.Order{Type: "csk"})
	if err := w.Engine(p).Abandon(rollovertest.Zone, ""); err != nil {
		t.Fatal(err)
	}
	if last := w.Events[len(w.Events)-1]; !strings.Contains(last.Text, "pdnsutil unset-publish-cds "+rollovertest.Zone) {
		t.Errorf("history says %q", last.Text)
	}
}

// A server that is excluded, by its name or by its address, is in no status any more.
func TestExcludedServersLeaveTheStatus(t *testing.T) {
	for _, named := range []string{"ns2", "192.0.2.2:53"} {
		w, p := rollovertest.New("split", unequal), tight()
		sees(w, func(s *rollover.Sighting) {
			for i := range s.Servers {
				if s.Servers[i].Name == "ns2" {
					s.Servers[i].Address = "192.0.2.2:53"
				}
			}
		})
		start(t, w, p, rollover.Order{Type: "zsk"})
		if err := w.Engine(p).Exclude(rollovertest.Zone, named, ""); err != nil {
			t.Fatal(err)
		}
		if r := w.Roll(); len(r.Servers) != 3 || slices.ContainsFunc(r.Servers, func(s rollover.ServerState) bool { return s.Name == "ns2" }) {
			t.Errorf("%s: servers are %+v", named, r.Servers)
		}
	}
}
