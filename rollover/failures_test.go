package rollover_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

var errBroken = errors.New("it is broken")

// broken is a world of which one call fails, counted from 1, once, and does nothing.
type broken struct {
	*rollovertest.World
	at, n *int
	hit   func(call string)
}

func (b broken) fails(call string) error {
	*b.n++
	if *b.n != *b.at {
		return nil
	}
	b.hit(call)
	return errBroken
}

func (b broken) Inventory(ctx context.Context, zone string) (rollover.Inventory, error) {
	if err := b.fails("Inventory"); err != nil {
		return rollover.Inventory{}, err
	}
	return b.World.Inventory(ctx, zone)
}

func (b broken) Contents(ctx context.Context, zone string) (rollover.Contents, error) {
	if err := b.fails("Contents"); err != nil {
		return rollover.Contents{}, err
	}
	return b.World.Contents(ctx, zone)
}

func (b broken) Surroundings(ctx context.Context, zone string) (rollover.Surroundings, error) {
	if err := b.fails("Surroundings"); err != nil {
		return rollover.Surroundings{}, err
	}
	return b.World.Surroundings(ctx, zone)
}

func (b broken) Do(ctx context.Context, zone string, c rollover.Command) error {
	if err := b.fails("Do"); err != nil {
		return err
	}
	return b.World.Do(ctx, zone, c)
}

func (b broken) Rectify(ctx context.Context, zone string) error {
	if err := b.fails("Rectify"); err != nil {
		return err
	}
	return b.World.Rectify(ctx, zone)
}

func (b broken) RetractCDS(ctx context.Context, zone string) error {
	if err := b.fails("RetractCDS"); err != nil {
		return err
	}
	return b.World.RetractCDS(ctx, zone)
}

func (b broken) BumpSerial(ctx context.Context, zone string) (uint32, error) {
	if err := b.fails("BumpSerial"); err != nil {
		return 0, err
	}
	return b.World.BumpSerial(ctx, zone)
}

func (b broken) Refresh(ctx context.Context, zones, notify []string) error {
	if err := b.fails("Refresh"); err != nil {
		return err
	}
	return b.World.Refresh(ctx, zones, notify)
}

func (b broken) Look(ctx context.Context, q rollover.Question) (rollover.Sighting, error) {
	if err := b.fails("Look"); err != nil {
		return rollover.Sighting{}, err
	}
	return b.World.Look(ctx, q)
}

func (b broken) Load(zone string) (rollover.Dossier, error) {
	if err := b.fails("Load"); err != nil {
		return rollover.Dossier{}, err
	}
	return b.World.Load(zone)
}

func (b broken) Save(entries ...rollover.Entry) error {
	if err := b.fails("Save"); err != nil {
		return err
	}
	return b.World.Save(entries...)
}

// ordering is something that an operator may ask for, in a world where it is done.
type ordering struct {
	in *rollovertest.World
	do func(*rollover.Engine) (rollover.Report, error)
}

func orderings(t *testing.T) map[string]ordering {
	t.Helper()
	ctx, zone, p := context.Background(), rollovertest.Zone, tight()
	running := func(layout, step string, o rollover.Order, then ...func(*rollovertest.World)) *rollovertest.World {
		w := rollovertest.New(layout, unequal)
		if layout == "unsigned" {
			w = toSign(stored("www."+zone, "A"))
		}
		start(t, w, p, o)
		toStep(t, w, p, step)
		for _, f := range then {
			f(w)
		}
		return w
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	paused := func(w *rollovertest.World) { must(w.Engine(p).Pause(zone, "")) }
	plain := func(do func(*rollover.Engine) error) func(*rollover.Engine) (rollover.Report, error) {
		return func(e *rollover.Engine) (rollover.Report, error) { return rollover.Report{}, do(e) }
	}
	begin := func(o rollover.Order) func(*rollover.Engine) (rollover.Report, error) {
		o.Zone = zone
		return func(e *rollover.Engine) (rollover.Report, error) { return e.Start(ctx, o) }
	}
	blocked := running("split", "publish", rollover.Order{Type: "zsk"}, func(w *rollovertest.World) {
		key := w.Keys[2]
		w.Apply(rollover.Command{Verb: rollover.VerbActivate, Key: key})
		drive(t, w, p, 60)
		w.Apply(rollover.Command{Verb: rollover.VerbDeactivate, Key: key})
		if w.Roll().State != rollover.StateBlocked {
			t.Fatalf("it is %s", w.Roll().State)
		}
	})
	excluded := running("split", "publish", rollover.Order{Type: "zsk"}, func(w *rollovertest.World) { must(w.Engine(p).Exclude(zone, "ns2", "")) })
	return map[string]ordering{
		"start":              {rollovertest.New("split", unequal), begin(rollover.Order{Type: "zsk"})},
		"prepare":            {rollovertest.New("split", unequal), plain(func(e *rollover.Engine) error { _, err := e.Prepare(ctx, rollover.Order{Zone: zone}); return err })},
		"sign":               {toSign(stored("www."+zone, "A")), begin(rollover.Order{Type: "sign"})},
		"accept":             {running("unsigned", "sign", rollover.Order{Type: "sign"}), begin(rollover.Order{Type: "sign", Accept: []string{zone}})},
		"adopt":              {keyed("257* 256 256-"), func(e *rollover.Engine) (rollover.Report, error) { return e.Adopt(ctx, zone) }},
		"prepare adoption":   {keyed("257* 256 256-"), plain(func(e *rollover.Engine) error { _, err := e.PrepareAdoption(ctx, zone); return err })},
		"pause":              {running("split", "publish", rollover.Order{Type: "zsk"}), plain(func(e *rollover.Engine) error { return e.Pause(zone, "") })},
		"resume":             {running("split", "publish", rollover.Order{Type: "zsk"}, paused), plain(func(e *rollover.Engine) error { return e.Resume(ctx, zone, "") })},
		"unblock":            {blocked, plain(func(e *rollover.Engine) error { return e.Resume(ctx, zone, "") })},
		"cancel":             {running("split", "publish", rollover.Order{Type: "zsk"}), plain(func(e *rollover.Engine) error { return e.Cancel(ctx, zone, "") })},
		"abandon":            {running("split", "publish", rollover.Order{Type: "zsk"}), plain(func(e *rollover.Engine) error { return e.Abandon(zone, "") })},
		"exclude":            {running("split", "publish", rollover.Order{Type: "zsk"}), plain(func(e *rollover.Engine) error { return e.Exclude(zone, "ns2", "") })},
		"exclude, by a look": {rollovertest.New("split", unequal), plain(func(e *rollover.Engine) error { return e.Exclude(zone, "ns2", "") })},
		"include":            {excluded, plain(func(e *rollover.Engine) error { return e.Include(zone, "ns2", "") })},
		"revert":             {running("split", "switch", rollover.Order{Type: "zsk"}), plain(func(e *rollover.Engine) error { return e.Revert(ctx, rollover.Back{Zone: zone}) })},
	}
}

func asStored(t *testing.T, w *rollovertest.World) string {
	t.Helper()
	out, err := json.Marshal(w.Roll())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Whichever call of an order fails, it is told; what fails before the order is
// saved has changed nothing.
func TestEveryFailureOfAnOrderIsTold(t *testing.T) {
	for name, order := range orderings(t) {
		for at := 1; ; at++ {
			w, n := order.in.Clone(), 0
			b := broken{w, &at, &n, func(string) {}}
			e := w.Engine(tight())
			e.Signer, e.Observer, e.Journal = b, b, b
			var heard []rollover.Event
			e.Tell = func(event rollover.Event) { heard = append(heard, event) }
			report, err := order.do(e)
			if n < at {
				if err != nil {
					t.Errorf("%s, with nothing broken: %v", name, err)
				}
				if fresh := w.Events[len(order.in.Events):]; fmt.Sprint(heard) != fmt.Sprint(fresh) {
					t.Errorf("%s tells %v, and saved %v", name, heard, fresh)
				}
				break
			}
			if !errors.Is(err, errBroken) && !errors.Is(report.Failed[rollovertest.Zone], errBroken) {
				t.Errorf("%s, call %d broken: %v, failed %v", name, at, err, report.Failed)
			}
			if len(w.Events) == len(order.in.Events) && (!slices.Equal(w.Keys, order.in.Keys) || asStored(t, w) != asStored(t, order.in)) {
				t.Errorf("%s, call %d broken, has changed something: %v, %s", name, at, w.Keys, asStored(t, w))
			}
		}
	}
}

// forgetful is a journal that has never heard of any zone.
type forgetful struct{ *rollovertest.World }

func (f forgetful) Load(string) (rollover.Dossier, error) { return rollover.Dossier{}, nil }

// A dossier is of its zone, also when the journal had none.
func TestNewDossiersAreOfTheirZone(t *testing.T) {
	zone := rollovertest.Zone
	for name, do := range map[string]func(*rollover.Engine) error{
		"start": func(e *rollover.Engine) error {
			d, err := e.Prepare(context.Background(), rollover.Order{Zone: zone})
			if err == nil && d.Zone != zone {
				return fmt.Errorf("the dossier is of %q", d.Zone)
			}
			return err
		},
		"adopt": func(e *rollover.Engine) error {
			d, err := e.PrepareAdoption(context.Background(), zone)
			if err == nil && d.Zone != zone {
				return fmt.Errorf("the dossier is of %q", d.Zone)
			}
			return err
		},
		"exclude": func(e *rollover.Engine) error { return e.Exclude(zone, "ns2", "") },
	} {
		w := rollovertest.New("split", unequal)
		if name == "adopt" {
			w = keyed("257* 256 256-")
		}
		e := w.Engine(tight())
		e.Journal = forgetful{w}
		if err := do(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d, err := w.Load(zone); name == "exclude" && (err != nil || len(d.Excluded) != 1 || d.Zone != zone) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}
