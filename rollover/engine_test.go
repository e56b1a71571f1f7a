package rollover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// unequal are TTLs that a wait on the wrong record would betray.
var unequal = rollovertest.TTLs{DS: 7 * unit, DNSKEY: 4 * unit, Data: 11 * unit}

// drive ticks a world, as cron would, until the rollover ends or n units have
// passed, and fails on the first combination that some resolver could not
// validate. A killed program is started again by the next tick.
func drive(t *testing.T, w *rollovertest.World, p rollover.Policy, n int) {
	t.Helper()
	for range n {
		tick(t, w, p)
		if bad := w.Advance(0); bad != "" {
			t.Fatalf("after the tick: %s", bad)
		}
		if r := w.Roll(); r == nil || r.State != rollover.StateActive {
			break
		}
		w.ServeParent(p)
		if bad := w.Advance(unit); bad != "" {
			t.Fatalf("while time passed: %s", bad)
		}
	}
	if bad := w.Advance(40 * unit); bad != "" {
		t.Fatalf("afterwards: %s", bad)
	}
}

// tick is one run of advance. Failures of zones are part of the report, and
// the death of the program is part of life.
func tick(t testing.TB, w *rollovertest.World, p rollover.Policy) rollover.Report {
	t.Helper()
	r := w.Roll()
	if r == nil || r.State != rollover.StateActive || r.NextCheck.After(w.Clock().Wall) {
		return rollover.Report{}
	}
	report, err := w.Engine(p).Tick(context.Background(), []string{rollovertest.Zone})
	if err != nil && !w.Dead {
		t.Fatalf("tick: %v", err)
	}
	if w.Dead {
		w.Revive()
	}
	return report
}

func start(t testing.TB, w *rollovertest.World, p rollover.Policy, o rollover.Order) {
	t.Helper()
	o.Zone = rollovertest.Zone
	if _, err := w.Engine(p).Start(context.Background(), o); err != nil && !w.Dead {
		t.Fatalf("start: %v", err)
	}
	if w.Dead {
		w.Revive()
	}
}

func finished(t *testing.T, w *rollovertest.World) *rollover.Roll {
	t.Helper()
	r := w.Roll()
	if r.State != rollover.StateDone {
		t.Fatalf("the rollover is %s at step %q, need %+v, block %+v, trouble %+v", r.State, r.Step, r.Need, r.Block, r.Trouble)
	}
	if len(w.Keys) != len(r.Keys) {
		t.Errorf("%d keys in the end, expected %d", len(w.Keys), len(r.Keys))
	}
	for _, k := range w.Keys {
		old := slices.ContainsFunc(r.Old, func(o rollover.Key) bool { return k.ID == o.ID && k.Tag == o.Tag })
		if !k.Active || !k.Published || old {
			t.Errorf("key %v in the end", k)
		}
	}
	return r
}

type rolling struct {
	name, layout string
	order        rollover.Order
}

func rollings() []rolling {
	return []rolling{
		{"zsk", "split", rollover.Order{Type: "zsk"}},
		{"ksk", "split", rollover.Order{Type: "ksk"}},
		{"csk", "csk", rollover.Order{Type: "csk"}},
		{"ksk double-signature", "split", rollover.Order{Type: "ksk", Method: "double-signature"}},
		{"csk double-signature", "csk", rollover.Order{Type: "csk", Method: "double-signature"}},
		{"default of a split zone", "split", rollover.Order{}},
		{"default of a csk zone", "csk", rollover.Order{}},
	}
}

func TestWholeRolls(t *testing.T) {
	for _, c := range rollings() {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New(c.layout, unequal)
			w.Lag = map[string]time.Duration{"ns2": 3 * unit, "p2": 2 * unit}
			start(t, w, tight(), c.order)
			drive(t, w, tight(), 200)
			finished(t, w)
		})
	}
}

// The serial is raised, then the cache purged, then the secondaries told, after
// the keys have changed: in any other order secondaries stay behind.
func TestOrderOfServing(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	want := []string{"show-zone", "list-zone", "increase-serial", "create 0", "show-zone", "increase-serial", "purge [example.com.] notify [example.com.]"}
	if !slices.Equal(w.Log, want) {
		t.Errorf("start did %q, expected %q", w.Log, want)
	}
}

// A native zone has no secondaries that compare serials.
func TestNativeZoneNeedsNoSerial(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.ZoneKind = rollover.KindNative
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	drive(t, w, tight(), 200)
	finished(t, w)
	for _, line := range w.Log {
		if strings.Contains(line, "increase-serial") || strings.Contains(line, "notify [example") {
			t.Errorf("a native zone got %q", line)
		}
	}
}

// Eleven calls of pdnsutil for a whole ZSK roll (3, 5, 3), and a list-zone before
// the first change, before old stops signing, and before it is removed.
func TestCallsOfAWholeZSKRoll(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	drive(t, w, tight(), 200)
	finished(t, w)
	counts := map[string]int{}
	for _, line := range w.Log {
		counts[strings.Fields(line)[0]]++
	}
	calls := counts["show-zone"] + counts["create"] + counts["activate"] + counts["deactivate"] + counts["remove"]
	if calls != 11 || counts["list-zone"] != 3 || counts["increase-serial"] != 4 || counts["purge"] != 3 {
		t.Errorf("%d calls, %v; expected 11, 3 list-zone, 4 increase-serial, 3 purges", calls, counts)
	}
}

// A kill at every single input or output, before and after its effect: called
// again, advance takes it up, and nothing is lost or made twice.
func TestKilledAnywhere(t *testing.T) {
	for _, c := range rollings()[:5] {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after the effect %v", c.name, after), func(t *testing.T) {
				for n := 1; ; n++ {
					if !killed(t, c, n, after) {
						t.Logf("%d places", n-1)
						return
					}
				}
			})
		}
	}
}

// killed rolls with a kill at the n-th input or output; false if there is none.
func killed(t *testing.T, c rolling, n int, after bool) bool {
	w := rollovertest.New(c.layout, unequal)
	w.KillAt, w.KillAfterEffect = n, after
	w.Lag = map[string]time.Duration{"ns2": unit}
	start(t, w, tight(), c.order)
	if w.Roll() == nil {
		start(t, w, tight(), c.order)
	}
	drive(t, w, tight(), 300)
	r := finished(t, w)
	if made := len(r.Keys); made != map[string]int{"split": 2, "csk": 1}[c.layout] {
		t.Fatalf("killed at %d: %d keys in the end", n, made)
	}
	return w.Ops >= n
}

// While a wait does not hold, nothing is changed: each of these conditions
// stops the step named, and lifting it lets the rollover end.
func TestRefusesToGoOn(t *testing.T) {
	cases := []struct {
		name, layout string
		order        rollover.Order
		stop         func(w *rollovertest.World)
		lift         func(w *rollovertest.World)
		step         string
		actor        rollover.Actor
		says         string
	}{
		{"a secondary is down", "split", rollover.Order{Type: "zsk"},
			func(w *rollovertest.World) { w.Down["ns2"] = true }, func(w *rollovertest.World) { w.Down["ns2"] = false },
			"publish", rollover.ActorServers, "ns2 timed out"},
		{"a secondary lags", "split", rollover.Order{Type: "zsk"},
			func(w *rollovertest.World) { w.Lag["ns2"] = 100 * unit }, nil,
			"publish", rollover.ActorServers, "ns2 has no DNSKEY"},
		{"a parent server is down", "split", rollover.Order{Type: "ksk"},
			func(w *rollovertest.World) { w.Down["p1"] = true }, func(w *rollovertest.World) { w.Down["p1"] = false },
			"submit", rollover.ActorParent, "p1 timed out"},
		{"a parent server lags", "split", rollover.Order{Type: "ksk"},
			func(w *rollovertest.World) { w.Lag["p2"] = 100 * unit }, nil,
			"submit", rollover.ActorParent, "p2 has no DS"},
		{"the operator does nothing", "csk", rollover.Order{Type: "csk"},
			func(w *rollovertest.World) { w.Operator = func(*rollovertest.World, []rollover.DS) {} }, func(w *rollovertest.World) { w.Operator = nil },
			"submit", rollover.ActorYou, "has no DS"},
		{"the registrar mistypes the digest", "csk", rollover.Order{Type: "csk"},
			func(w *rollovertest.World) { w.Operator = mistype }, func(w *rollovertest.World) { w.Operator = nil },
			"submit", rollover.ActorYou, "wrong DS"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New(c.layout, unequal)
			p := tight()
			if c.actor == rollover.ActorServers {
				begun(t, w, p, c.order, c.stop)
			} else {
				c.stop(w)
				if len(w.Down) > 0 {
					w.Down = map[string]bool{}
					begun(t, w, p, c.order, c.stop)
				} else {
					start(t, w, p, c.order)
				}
			}
			drive(t, w, p, 60)
			r := w.Roll()
			if r.Step != c.step || r.Need == nil || r.Need.Actor != c.actor || len(r.Need.Lagging) == 0 {
				t.Fatalf("at step %q with need %+v, expected to wait after %q for %s", r.Step, r.Need, c.step, c.actor)
			}
			status := describe(t, w, p)
			if !strings.Contains(status.WaitingFor, c.says) || status.Command == "" {
				t.Errorf("status says %q (%q), expected it to name %q", status.WaitingFor, status.Command, c.says)
			}
			if c.lift != nil {
				c.lift(w)
			}
			drive(t, w, p, 300)
			finished(t, w)
		})
	}
}

// begun starts with all servers well, and then lets something happen.
func begun(t *testing.T, w *rollovertest.World, p rollover.Policy, o rollover.Order, happen func(*rollovertest.World)) {
	t.Helper()
	if lag := w.Lag; lag != nil {
		happen(w)
		down := w.Down
		w.Down = map[string]bool{}
		start(t, w, p, o)
		w.Down = down
	}
}

func mistype(w *rollovertest.World, want []rollover.DS) {
	wrong := slices.Clone(want)
	for i := range wrong {
		if wrong[i].Tag == w.Roll().New[0].Tag {
			wrong[i].Digest = strings.Repeat("00", 32)
		}
	}
	w.SetDS(wrong)
}

func describe(t *testing.T, w *rollovertest.World, p rollover.Policy) rollover.Status {
	t.Helper()
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rollover.Describe(d, p, w.Now.Wall, func(c rollover.Command) string { return w.Explain(d.Zone, c) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Lowering a TTL in mid-roll must not shorten a wait: what was cached before
// with the old one is still there.
func TestLoweredTTLDoesNotShortenWaits(t *testing.T) {
	for _, c := range rollings()[:5] {
		for lowered := range 30 {
			w := rollovertest.New(c.layout, unequal)
			start(t, w, tight(), c.order)
			drive(t, w, tight(), lowered)
			w.SetTTL(rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: unit})
			drive(t, w, tight(), 300)
			finished(t, w)
		}
	}
}

// A jump of the wall clock earns nothing, in either direction.
func TestClockJumpEarnsNothing(t *testing.T) {
	for _, skew := range []time.Duration{30 * 24 * time.Hour, -30 * 24 * time.Hour} {
		w := rollovertest.New("csk", unequal)
		start(t, w, tight(), rollover.Order{})
		w.ServeParent(tight())
		if bad := w.Advance(unit); bad != "" {
			t.Fatal(bad)
		}
		w.Skew = skew
		for range 200 {
			if _, err := w.Engine(tight()).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
				t.Fatal(err)
			}
			w.ServeParent(tight())
			if bad := w.Advance(unit); bad != "" {
				t.Fatalf("skew %s: %s", skew, bad)
			}
			if w.Roll().State != rollover.StateActive {
				break
			}
		}
		finished(t, w)
		if !slices.ContainsFunc(w.Events, func(e rollover.Event) bool { return e.Event == rollover.EventClock }) {
			t.Errorf("skew %s: no event says that the clock moved", skew)
		}
	}
}

// A machine that slept, or a cron that was dead, earns at most max_gap.
func TestLongGapEarnsMaxGap(t *testing.T) {
	p := rollover.DefaultPolicy()
	at := rollover.Instant{Wall: time.Unix(1e9, 0), BootID: "a"}
	h := rollover.Holding{}.After("good", at, p)
	at.Wall, at.Boot = at.Wall.Add(72*time.Hour), at.Boot+72*time.Hour
	if h = h.After("good", at, p); h.Earned != p.MaxGap {
		t.Errorf("three days without a look earned %s, expected max_gap = %s", h.Earned, p.MaxGap)
	}
	if h = h.After("no answer", at, p); h.Earned != p.MaxGap {
		t.Errorf("no answer changed what was earned to %s", h.Earned)
	}
	at.Boot += time.Hour
	if h = h.After("good", at, p); h.Earned != p.MaxGap {
		t.Errorf("the gap round a missing answer earned something: %s", h.Earned)
	}
	if h = h.After("bad", at, p); h.Earned != 0 || h.Good {
		t.Errorf("a bad look left %+v", h)
	}
	at = rollover.Instant{Wall: time.Unix(2e9, 0), BootID: "b"}
	h = rollover.Holding{}.After("good", at, p)
	at = rollover.Instant{Wall: time.Unix(1e9, 0), BootID: "c"}
	if h = h.After("good", at, p); h.Earned != 0 {
		t.Errorf("a clock that went back across a reboot earned %s", h.Earned)
	}
	for margin, earned := range map[time.Duration]time.Duration{0: 0, time.Minute: time.Minute, 100 * time.Hour: p.MaxGap} {
		at, p.Margin = rollover.Instant{Wall: time.Unix(1e9, 0), BootID: "a"}, margin
		h = rollover.Holding{}.After("good", at, p)
		at = rollover.Instant{Wall: time.Unix(1e9, 0).Add(3 * time.Hour), BootID: "b"}
		if h = h.After("good", at, p); h.Earned != earned {
			t.Errorf("with margin %s, a reboot and three hours earned %s, expected %s", margin, h.Earned, earned)
		}
	}
}

// The parent that showed the DS, lost it, and shows it again starts anew, and
// while it is lost no step is taken.
func TestParentThatFlaps(t *testing.T) {
	for lost := 1; lost < 12; lost++ {
		w := rollovertest.New("split", unequal)
		start(t, w, tight(), rollover.Order{Type: "ksk"})
		old := w.Roll().Parent(tight()).Keep
		drive(t, w, tight(), lost)
		if w.Roll().Step != "submit" {
			break
		}
		w.SetDSAt("p2", old, 0)
		before := w.Roll().Step
		tickDue(t, w, tight())
		if r := w.Roll(); r.Step != before || r.Need.Actor != rollover.ActorParent && r.Need.Actor != rollover.ActorYou {
			t.Fatalf("lost at %d: step %q, need %+v", lost, r.Step, r.Need)
		}
		if bad := w.Advance(unit); bad != "" {
			t.Fatal(bad)
		}
		add := w.Roll().Parent(tight())
		w.SetDS(slices.Concat(add.Keep, add.Add))
		drive(t, w, tight(), 300)
		finished(t, w)
	}
}

func tickDue(t *testing.T, w *rollovertest.World, p rollover.Policy) {
	t.Helper()
	if _, err := w.Engine(p).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
}

// After the switch the chain hangs on the new DS. If the parent loses it again,
// nothing that takes something away is done, and status says so.
func TestWhatWasSettledStaysUnderWatch(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	for w.Roll().Step != "switch" {
		drive(t, w, p, 1)
	}
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	w.SetDS(nil)
	for range 40 { // nobody validates the zone any more; the tool must not make it worse
		tickDue(t, w, p)
		w.Advance(unit)
	}
	r := w.Roll()
	if r.Step != "switch" || r.Need == nil || !r.Need.Gone {
		t.Fatalf("at step %q with need %+v, expected to stay after switch because the DS is gone", r.Step, r.Need)
	}
	if s := describe(t, w, p); !strings.Contains(s.WaitingFor, "an earlier step relied on") {
		t.Errorf("status says %q", s.WaitingFor)
	}
}

// Rescue: a registrar that replaces instead of adds. The new key signs at once.
func TestRescueFromAReplacingRegistrar(t *testing.T) {
	for _, c := range rollings()[1:3] {
		w := rollovertest.New(c.layout, unequal)
		p := tight()
		w.Operator = func(w *rollovertest.World, want []rollover.DS) {
			w.SetDS(slices.DeleteFunc(slices.Clone(want), func(d rollover.DS) bool { return d.Tag == w.Roll().Old[0].Tag }))
		}
		start(t, w, p, c.order)
		w.ServeParent(p)
		tickDue(t, w, p)
		r := w.Roll()
		if r.Kind != c.order.Type+"/double-signature" || r.Step != "publish" || !r.New[0].Active || !r.Old[0].Active {
			t.Fatalf("%s: kind %s, step %s, new %v, old %v: expected both to sign", c.name, r.Kind, r.Step, r.New, r.Old)
		}
		if s := describe(t, w, p); s.OperatorAction != nil {
			t.Errorf("%s: after the rescue the operator is asked for %+v, though the DS set is right as it is", c.name, s.OperatorAction)
		}
		for range 200 { // what was cached before is the registrar's doing
			w.Advance(unit)
			tick(t, w, p)
			w.ServeParent(p)
		}
		finished(t, w)
		if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, "no"); !errors.Is(err, rollover.ErrRefused) {
			t.Errorf("cancel after the end: %v", err)
		}
	}
}

// The manual mistakes of an operator block with a reason and lose nothing.
func TestManualMistakesBlock(t *testing.T) {
	cases := []struct {
		name string
		do   func(w *rollovertest.World)
		undo func(w *rollovertest.World)
		says string
	}{
		{"a third key", func(w *rollovertest.World) { w.AddKey(256, true, true) },
			func(w *rollovertest.World) { w.Apply(rollover.Command{Verb: "remove", Key: w.Keys[len(w.Keys)-1]}) }, "is not ours"},
		{"a third key that is not published", func(w *rollovertest.World) { w.AddKey(257, false, false) },
			func(w *rollovertest.World) { w.Apply(rollover.Command{Verb: "remove", Key: w.Keys[len(w.Keys)-1]}) }, "is not ours"},
		{"the new key is removed", func(w *rollovertest.World) { w.Apply(rollover.Command{Verb: "remove", Key: w.Keys[len(w.Keys)-1]}) }, nil, "is gone"},
		{"the new key is activated", func(w *rollovertest.World) { w.Apply(rollover.Command{Verb: "activate", Key: w.Keys[len(w.Keys)-1]}) },
			func(w *rollovertest.World) { w.Apply(rollover.Command{Verb: "deactivate", Key: w.Keys[len(w.Keys)-1]}) }, "was inactive"},
		{"the zone is gone", func(w *rollovertest.World) { w.Gone = true }, func(w *rollovertest.World) { w.Gone = false }, "does not have the zone"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New("split", unequal)
			p := tight()
			start(t, w, p, rollover.Order{Type: "zsk"})
			drive(t, w, p, 2)
			c.do(w)
			for range 30 {
				tick(t, w, p)
				w.Advance(unit)
			}
			r := w.Roll()
			if r.State != rollover.StateBlocked || !strings.Contains(r.Block.Reason, c.says) || r.Block.Remedy == "" {
				t.Fatalf("state %s, block %+v: expected blocked because %q", r.State, r.Block, c.says)
			}
			if c.undo == nil {
				cancelBlocked(t, w, p)
				return
			}
			if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, "too soon"); !errors.Is(err, rollover.ErrRefused) && !errors.Is(err, rollover.ErrUnknownZone) {
				t.Errorf("resume before it was undone: %v", err)
			}
			c.undo(w)
			if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, "undone"); err != nil {
				t.Fatalf("resume: %v", err)
			}
			for range 200 {
				tick(t, w, p)
				w.Advance(unit)
			}
			finished(t, w)
		})
	}
}

// cancelBlocked takes a rollover back whose new key was removed by hand.
func cancelBlocked(t *testing.T, w *rollovertest.World, p rollover.Policy) {
	t.Helper()
	if !strings.Contains(w.Roll().Block.Remedy, "rollover cancel --zone") {
		t.Errorf("remedy: %s", w.Roll().Block.Remedy)
	}
	if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, "removed by hand"); err != nil {
		t.Fatalf("cancel: %v", err)
	}
	for range 30 {
		tick(t, w, p)
		w.Advance(unit)
	}
	if r := w.Roll(); r.State != rollover.StateCancelled {
		t.Errorf("after cancel: %s, %+v", r.State, r.Need)
	}
}

// Cancel is possible at any time before something was taken away, with the DS
// withdrawn first, and never after; the zone stays whole.
func TestCancelAtEveryStep(t *testing.T) {
	for _, c := range rollings()[:5] {
		for n := range 40 {
			w := rollovertest.New(c.layout, unequal)
			p := tight()
			start(t, w, p, c.order)
			drive(t, w, p, n)
			step, ended := w.Roll().Step, w.Roll().State.Ended()
			err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, "test")
			possible := !ended && (step == "publish" || step == "submit" && c.order.Method == "")
			if possible != (err == nil) {
				t.Fatalf("%s after %d ticks at step %q: cancel says %v", c.name, n, step, err)
			}
			drive(t, w, p, 200)
			r := w.Roll()
			if possible && (r.State != rollover.StateCancelled || slices.ContainsFunc(w.Keys, func(k rollover.Key) bool { return !k.Active })) {
				t.Fatalf("%s cancelled at %q: %s, keys %v", c.name, step, r.State, w.Keys)
			}
			if !possible {
				finished(t, w)
			}
		}
	}
}

// Pdnsutil's exit code is never believed, the key list is.
func TestPdnsutilThatLies(t *testing.T) {
	cases := []struct {
		name  string
		do    func(w *rollovertest.World, c rollover.Command) error
		stays bool
		says  string
	}{
		{"applies and then fails", func(w *rollovertest.World, c rollover.Command) error { w.Apply(c); return errors.New("exit status 1") }, false, ""},
		{"does nothing and says it worked", func(*rollovertest.World, rollover.Command) error { return nil }, true, "does not show its effect"},
		{"fails", func(*rollovertest.World, rollover.Command) error { return errors.New("database is locked") }, true, "database is locked"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New("csk", unequal)
			p := tight()
			w.OnDo = c.do
			start(t, w, p, rollover.Order{})
			for range 5 {
				tick(t, w, p)
				w.Advance(unit)
			}
			r := w.Roll()
			if c.stays && (r.Intent == nil || r.Trouble == nil || !strings.Contains(r.Trouble.Text, c.says)) {
				t.Fatalf("intent %v, trouble %+v: expected to say %q", r.Intent, r.Trouble, c.says)
			}
			w.OnDo = nil
			drive(t, w, p, 200)
			finished(t, w)
		})
	}
}

// Somebody else may have added a key just before ours: with two that fit,
// neither is guessed to be ours.
func TestTwoNewKeysAreNotGuessed(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	p := tight()
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		w.Apply(c)
		w.AddKey(257, false, true)
		return nil
	}
	start(t, w, p, rollover.Order{})
	r := w.Roll()
	if r.State != rollover.StateBlocked || !strings.Contains(r.Block.Remedy, "remove") {
		t.Fatalf("state %s, block %+v", r.State, r.Block)
	}
}

// A new key whose tag is taken is deleted and made again.
func TestTagCollision(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	p := tight()
	collide := 2
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		w.Apply(c)
		if c.Verb == "create" && collide > 0 {
			collide--
			w.Keys[len(w.Keys)-1].Tag = w.Keys[0].Tag
		}
		return nil
	}
	start(t, w, p, rollover.Order{})
	r := w.Roll()
	if len(r.New) != 1 || r.New[0].Tag == r.Old[0].Tag || len(w.Keys) != 2 {
		t.Fatalf("new %v beside old %v, keys %v", r.New, r.Old, w.Keys)
	}
}

// startRefused proves that an order is refused with these words, and that
// nothing was touched.
func startRefused(t *testing.T, w *rollovertest.World, o rollover.Order, says string) error {
	t.Helper()
	w.Advance(0)
	keys := slices.Clone(w.Keys)
	o.Zone = rollovertest.Zone
	_, err := w.Engine(tight()).Start(context.Background(), o)
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("start says %v, expected %q", err, says)
	}
	if !slices.Equal(keys, w.Keys) || w.Roll() != nil {
		t.Errorf("a refused start changed something: %v, %v", w.Keys, w.Roll())
	}
	return err
}

// What start refuses, with the reason and the remedy.
func TestStartRefuses(t *testing.T) {
	cases := []struct {
		name string
		do   func(w *rollovertest.World)
		typ  string
		says string
	}{
		{"not signed", func(w *rollovertest.World) { w.Keys = nil }, "zsk", "rollover sign"},
		{"unknown zone", func(w *rollovertest.World) { w.Gone = true }, "zsk", "no such zone"},
		{"secondary", func(w *rollovertest.World) { w.ZoneKind = rollover.KindSlave }, "zsk", "on its primary"},
		{"an inactive key", func(w *rollovertest.World) { w.AddKey(256, false, true) }, "zsk", "remove-zone-key"},
		{"an active key that is not published", func(w *rollovertest.World) { w.AddKey(256, true, false) }, "zsk", "not published"},
		{"two ZSKs", func(w *rollovertest.World) { w.AddKey(256, true, true) }, "zsk", "2 active keys"},
		{"RSASHA1", func(w *rollovertest.World) {
			for i := range w.Keys {
				w.Keys[i].Algorithm = 5
			}
		}, "zsk", "RFC 9905"},
		{"Ed448", func(w *rollovertest.World) {
			for i := range w.Keys {
				w.Keys[i].Algorithm = 16
			}
		}, "zsk", "cannot verify"},
		{"two algorithms", func(w *rollovertest.World) { w.Keys[1].Algorithm = 15 }, "csk", "several algorithms"},
		{"csk on a split zone", func(*rollovertest.World) {}, "csk", "has no CSK"},
		{"an unknown type", func(*rollovertest.World) {}, "tsk", "types are"},
		{"cancel is no type", func(*rollovertest.World) {}, "cancel", "types are"},
		{"a server is down", func(w *rollovertest.World) { w.Down["ns2"] = true }, "zsk", "exclude-server"},
		{"a parent server is down", func(w *rollovertest.World) { w.Down["p2"] = true }, "zsk", "exclude-server"},
		{"wrong DS", func(w *rollovertest.World) {
			w.SetDS([]rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}})
		}, "zsk", "broken already"},
		{"no DS", func(w *rollovertest.World) { w.SetDS(nil) }, "ksk", "no chain to roll"},
		{"another digest type", func(w *rollovertest.World) { w.SetDS([]rollover.DS{dsOf(w, 4)}) }, "ksk", "ds_digests"},
		{"SHA-1 alone", func(w *rollovertest.World) { w.SetDS([]rollover.DS{dsOf(w, 1)}) }, "ksk", "ds_digests"},
		{"one server behind", func(w *rollovertest.World) {
			w.Lag["ns2"] = 100 * unit
			w.Apply(rollover.Command{Verb: "remove", Key: w.Keys[1]})
			w.AddKey(256, true, true)
		}, "zsk", "expected"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := rollovertest.New("split", unequal)
			c.do(w)
			err := startRefused(t, w, rollover.Order{Type: c.typ}, c.says)
			if err != nil && !strings.Contains(err.Error(), "example.com") && c.says != "types are" {
				t.Errorf("start says %v, without the zone", err)
			}
		})
	}
}

func dsOf(w *rollovertest.World, digestType uint8) rollover.DS {
	d, err := w.Keys[0].DNSKEY().DS(rollovertest.Zone, digestType)
	if err != nil {
		panic(err)
	}
	return d
}

// A ZSK can be rolled where the parent has no DS, or a SHA-1 one: nothing at
// the parent depends on it.
func TestZSKOfAnIsland(t *testing.T) {
	for _, set := range [][]rollover.DS{nil, {dsOf(rollovertest.New("split", unequal), 1)}} {
		w := rollovertest.New("split", unequal)
		w.SetDS(set)
		start(t, w, tight(), rollover.Order{Type: "zsk"})
		drive(t, w, tight(), 200)
		finished(t, w)
	}
}

func TestOneRolloverAtATime(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	_, err := w.Engine(tight()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"})
	if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "rollover status") {
		t.Errorf("a second start says %v", err)
	}
}

// A paused rollover is left alone, whatever is due.
func TestPauseAndResume(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	if err := w.Engine(p).Pause(rollovertest.Zone, "holidays"); err != nil {
		t.Fatal(err)
	}
	keys := slices.Clone(w.Keys)
	for range 50 {
		tickDue(t, w, p)
		w.Advance(unit)
	}
	if !slices.Equal(keys, w.Keys) {
		t.Errorf("a paused rollover changed the keys to %v", w.Keys)
	}
	if err := w.Engine(p).Pause(rollovertest.Zone, ""); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("pausing twice: %v", err)
	}
	if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, "back"); err != nil {
		t.Fatal(err)
	}
	drive(t, w, p, 200)
	finished(t, w)
}

// An excluded server does not count, and the exclusion is in history.
func TestExcludeServer(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	w.Down["ns2"] = true
	drive(t, w, p, 30)
	if w.Roll().Step != "publish" {
		t.Fatalf("went on without ns2: step %s", w.Roll().Step)
	}
	if err := w.Engine(p).Exclude(rollovertest.Zone, "ns2", "switched off for good"); err != nil {
		t.Fatal(err)
	}
	drive(t, w, p, 200)
	finished(t, w)
	last := w.Events[slices.IndexFunc(w.Events, func(e rollover.Event) bool { return e.Event == rollover.EventExcluded })]
	if last.Reason != "switched off for good" {
		t.Errorf("history says %+v", last)
	}
}

// An unchanged failure is told once, and the rollover goes on when it is over.
func TestTroubleIsToldOnce(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	p := tight()
	start(t, w, p, rollover.Order{})
	w.OnDo = func(*rollovertest.World, rollover.Command) error { return errors.New("no route to host") }
	told := 0
	for range 60 {
		report := tick(t, w, p)
		for zone := range report.Failed {
			if !report.Told[zone] {
				told++
			}
		}
		w.ServeParent(p)
		w.Advance(unit)
	}
	if told != 1 {
		t.Errorf("the same failure was told %d times in an hour, expected once", told)
	}
	w.OnDo = nil
	drive(t, w, p, 200)
	finished(t, w)
}

// Without proof the parent's answer does not count.
func TestEvidenceResolver(t *testing.T) {
	w := rollovertest.New("split", unequal)
	p := tight()
	p.Evidence = rollover.EvidenceResolver
	_, err := w.Engine(p).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"})
	if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "validator") {
		t.Errorf("start without a validator says %v", err)
	}
	p.Evidence = "hearsay"
	_, err = w.Engine(p).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"})
	if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "not known") {
		t.Errorf("start with evidence that is not known says %v", err)
	}
}

// Many zones in one tick share one purge.
func TestOnePurgeForAllZones(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	purges := 0
	for _, line := range w.Log {
		if strings.HasPrefix(line, "purge") {
			purges++
		}
	}
	if purges != 1 {
		t.Errorf("%d purges for one step", purges)
	}
}
