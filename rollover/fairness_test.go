package rollover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/product"
	"rollover/rollover/rollovertest"
)

// street is several zones, each in a world of its own, behind one engine.
type street struct {
	worlds map[string]*rollovertest.World
	// look, load and save come before those of the world, if set.
	look func(ctx context.Context, zone string) error
	load func(zone string) error
	save func(zones []string) error

	late  chan time.Time // when patience is at its end
	mu    sync.Mutex
	saved map[string]int // times
}

func newStreet(t testing.TB, zones ...string) *street {
	t.Helper()
	s := &street{worlds: map[string]*rollovertest.World{}, saved: map[string]int{}}
	for _, zone := range zones {
		w := rollovertest.New("split", unequal)
		start(t, w, tight(), rollover.Order{Type: "zsk"})
		pass(t, w, 4)
		s.worlds[zone] = w
	}
	return s
}

func (s *street) engine() *rollover.Engine {
	clock := s.worlds["a.example."].Clock
	return &rollover.Engine{
		Signer: byZone{s}, Observer: s, Journal: s, Now: clock, Workers: 2, Looks: 4, After: func(time.Duration) <-chan time.Time { return s.late },
		Product: func(c rollover.Cached) []string { c.Zone = rollovertest.Zone; return product.Check(c) },
		Setting: func(string) rollover.Setting { return rollover.Setting{Policy: tight()} },
	}
}

func (s *street) Look(ctx context.Context, q rollover.Question) (rollover.Sighting, error) {
	zone := q.Zone
	if s.look != nil {
		if err := s.look(ctx, zone); err != nil {
			return rollover.Sighting{}, err
		}
	}
	q.Zone = rollovertest.Zone
	return s.worlds[zone].Look(ctx, q)
}

func (s *street) Load(zone string) (rollover.Dossier, error) {
	if s.load != nil {
		if err := s.load(zone); err != nil {
			return rollover.Dossier{}, err
		}
	}
	d, err := s.worlds[zone].Load(rollovertest.Zone)
	d.Zone = zone
	return d, err
}

func (s *street) Save(entries ...rollover.Entry) error {
	var zones []string
	for _, e := range entries {
		zones = append(zones, e.Dossier.Zone)
	}
	if s.save != nil {
		if err := s.save(zones); err != nil {
			return err
		}
	}
	for _, e := range entries {
		zone := e.Dossier.Zone
		e.Dossier.Zone = rollovertest.Zone
		if err := s.worlds[zone].Save(e); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, zone := range zones {
		s.saved[zone]++
	}
	return nil
}

// byZone is the Signer of a street.
type byZone struct{ s *street }

func (b byZone) of(zone string) *rollovertest.World { return b.s.worlds[zone] }

func (b byZone) Inventory(ctx context.Context, zone string) (rollover.Inventory, error) {
	return b.of(zone).Inventory(ctx, rollovertest.Zone)
}

func (b byZone) Contents(ctx context.Context, zone string) (rollover.Contents, error) {
	return b.of(zone).Contents(ctx, rollovertest.Zone)
}

func (b byZone) Surroundings(ctx context.Context, zone string) (rollover.Surroundings, error) {
	return b.of(zone).Surroundings(ctx, rollovertest.Zone)
}

func (b byZone) Do(ctx context.Context, zone string, c rollover.Command) error {
	return b.of(zone).Do(ctx, rollovertest.Zone, c)
}

func (b byZone) Rectify(ctx context.Context, zone string) error {
	return b.of(zone).Rectify(ctx, rollovertest.Zone)
}

func (b byZone) RetractCDS(ctx context.Context, zone string) error {
	return b.of(zone).RetractCDS(ctx, rollovertest.Zone)
}

func (b byZone) BumpSerial(ctx context.Context, zone string) (uint32, error) {
	return b.of(zone).BumpSerial(ctx, rollovertest.Zone)
}

func (b byZone) Refresh(ctx context.Context, zones, notify []string) error {
	for _, zone := range zones {
		var told []string
		if slices.Contains(notify, zone) {
			told = []string{rollovertest.Zone}
		}
		if err := b.of(zone).Refresh(ctx, []string{rollovertest.Zone}, told); err != nil {
			return err
		}
	}
	return nil
}

func (b byZone) Explain(_ string, c rollover.Command) string {
	return b.of("a.example.").Explain(rollovertest.Zone, c)
}

// threeZones are zones of people who do not know each other. The one in the
// middle is the bad one.
func threeZones() []string { return []string{"a.example.", "bad.example.", "c.example."} }

// wentOn fails the test unless the honest zones entered a step.
func (s *street) wentOn(t *testing.T, steps map[string]string) {
	t.Helper()
	for _, zone := range []string{"a.example.", "c.example."} {
		if got := s.worlds[zone].Roll().Step; got == steps[zone] {
			t.Errorf("%s is at %q still", zone, got)
		}
	}
}

func (s *street) steps() map[string]string {
	out := map[string]string{}
	for zone, w := range s.worlds {
		out[zone] = w.Roll().Step
	}
	return out
}

// ripe lets time pass until the next step of every zone is due.
func (s *street) ripe(t testing.TB) {
	t.Helper()
	was := s.steps()
	for range 400 {
		next := map[string]*rollovertest.World{}
		for zone, w := range s.worlds {
			c := w.Clone()
			tick(t, c, tight())
			if c.Roll().Step != was[zone] {
				return // the worlds are alike
			}
			tick(t, w, tight())
			w.Advance(unit)
			next[zone] = w
		}
		s.worlds = next
	}
	t.Fatal("no step ever came due")
}

// A panic in the work on one zone, wherever it is, ends the tick of that zone
// alone: it is told with its place, once a day, and the zone goes on when the
// cause is gone.
func TestPanicHarmsNoOtherZone(t *testing.T) {
	for name, spoil := range map[string]func(*street, *rollover.Engine){
		"in a look": func(s *street, _ *rollover.Engine) {
			s.look = func(_ context.Context, zone string) error {
				if zone == "bad.example." {
					var nothing *rollover.Roll
					nothing.Step = "x"
				}
				return nil
			}
		},
		"in a decision": func(_ *street, e *rollover.Engine) {
			e.Signer = panicking{e.Signer}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t, threeZones()...)
			s.ripe(t)
			steps := s.steps()
			e := s.engine()
			spoil(s, e)
			report, err := e.Tick(t.Context(), threeZones())
			if err != nil {
				t.Fatal(err)
			}
			s.wentOn(t, steps)
			var crash rollover.Crash
			if !errors.As(report.Failed["bad.example."], &crash) || len(report.Failed) != 1 {
				t.Fatalf("failed: %v", report.Failed)
			}
			if !strings.Contains(crash.Error(), "fairness_test.go:") || !strings.Contains(crash.Stack, "fairness_test.go") {
				t.Errorf("the place is not told: %v\n%s", crash, crash.Stack)
			}
			if report.Told["bad.example."] || s.worlds["bad.example."].Roll().Trouble == nil {
				t.Error("it is no trouble of the zone")
			}
			again, err := e.Tick(t.Context(), []string{"bad.example."})
			if err != nil || !again.Told["bad.example."] {
				t.Errorf("it is told in each tick: %v %v", again, err)
			}
			if report, err = s.sober().Tick(t.Context(), []string{"bad.example."}); err != nil || len(report.Failed) > 0 {
				t.Errorf("it does not go on: %v %v", report.Failed, err)
			}
			s.worlds["a.example."] = s.worlds["bad.example."]
			s.wentOn(t, map[string]string{"a.example.": steps["bad.example."], "c.example.": steps["c.example."]})
		})
	}
}

// sober is an engine to which nothing was done.
func (s *street) sober() *rollover.Engine {
	s.look = nil
	return s.engine()
}

// panicking panics when it is to read the keys of the bad zone.
type panicking struct{ rollover.Signer }

func (p panicking) Inventory(ctx context.Context, zone string) (rollover.Inventory, error) {
	if zone == "bad.example." {
		panic("what a database said")
	}
	return p.Signer.Inventory(ctx, zone)
}

// A zone acts, and is saved, when it was looked at: one that is still looked at
// holds up nobody, and a tick that is ended then keeps what it has.
func TestSlowZoneHoldsUpNoOther(t *testing.T) {
	s := newStreet(t, threeZones()...)
	s.ripe(t)
	steps := s.steps()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the others wait for the slow zone"))
	defer cancel()
	ended, end := context.WithCancel(ctx)
	defer end()
	others := make(chan string, 100)
	s.late = make(chan time.Time, 1)
	s.look = func(ctx context.Context, zone string) error {
		if zone != "bad.example." {
			return nil
		}
		s.late <- time.Time{}
		for entered := map[string]bool{}; len(entered) < 2; {
			select {
			case zone := <-others:
				entered[zone] = true
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		end()
		return ended.Err()
	}
	e := s.engine()
	e.Tell = func(event rollover.Event) {
		if event.Event == rollover.EventEntered {
			others <- event.Zone
		}
	}
	report, err := e.Tick(ended, threeZones())
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal(context.Cause(ctx))
	}
	s.wentOn(t, steps)
	if !errors.Is(report.Failed["bad.example."], context.Canceled) || len(report.Failed) != 1 {
		t.Errorf("failed: %v", report.Failed)
	}
}

// A zone that cannot be saved, or read, fails alone: nothing is done for it, and
// the others are saved.
func TestUnsavableZoneFailsAlone(t *testing.T) {
	s := newStreet(t, threeZones()...)
	s.ripe(t)
	steps := s.steps()
	keys := slices.Clone(s.worlds["bad.example."].Keys)
	s.save = func(zones []string) error {
		if slices.Contains(zones, "bad.example.") {
			return rollover.Unsavable{Zone: "bad.example.", Err: errors.New("it is too large")}
		}
		return nil
	}
	report, err := s.engine().Tick(t.Context(), threeZones())
	if err != nil {
		t.Fatal(err)
	}
	s.wentOn(t, steps)
	if err := report.Failed["bad.example."]; err == nil || !strings.Contains(err.Error(), "it is too large") || len(report.Failed) != 1 {
		t.Errorf("failed: %v", report.Failed)
	}
	if w := s.worlds["bad.example."]; !slices.Equal(w.Keys, keys) {
		t.Errorf("done unsaved: %q", w.Log)
	}
}

func TestUnreadableZoneFailsAlone(t *testing.T) {
	s := newStreet(t, threeZones()...)
	s.ripe(t)
	steps := s.steps()
	s.load = func(zone string) error {
		if zone == "bad.example." {
			return errors.New("its checksum does not fit")
		}
		return nil
	}
	report, err := s.engine().Tick(t.Context(), threeZones())
	if err != nil || report.Failed["bad.example."] == nil || len(report.Failed) != 1 {
		t.Errorf("failed: %v %v", report.Failed, err)
	}
	s.wentOn(t, steps)
	s.load = func(string) error { return errors.New("there is no file") }
	if _, err := s.engine().Tick(t.Context(), threeZones()); err == nil {
		t.Error("no zone can be read, and that is not the state's trouble")
	}
}

// Zones that are looked at together share one purge.
func TestZonesWaitForEachOther(t *testing.T) {
	s := newStreet(t, threeZones()...)
	s.ripe(t)
	steps := s.steps()
	others := make(chan bool, 2)
	s.look = func(_ context.Context, zone string) error {
		if zone != "bad.example." {
			others <- true
			return nil
		}
		<-others
		<-others
		return nil
	}
	e := s.engine()
	purges := purgeCount{Signer: e.Signer}
	e.Signer = &purges
	if _, err := e.Tick(t.Context(), threeZones()); err != nil {
		t.Fatal(err)
	}
	s.wentOn(t, steps)
	if len(purges.zones) != 1 || purges.zones[0] != 3 {
		t.Errorf("zones in each purge: %v", purges.zones)
	}
}

// purgeCount notes how many zones are purged at once.
type purgeCount struct {
	rollover.Signer
	zones []int
}

func (c *purgeCount) Refresh(ctx context.Context, zones, notify []string) error {
	c.zones = append(c.zones, len(zones))
	return c.Signer.Refresh(ctx, zones, notify)
}
