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

// reconfigured changes what the configuration says from now on.
func reconfigured(w *rollovertest.World, change func(*rollover.Setting)) {
	tune := w.Tune
	w.Tune = func(e *rollover.Engine) {
		if tune != nil {
			tune(e)
		}
		setting := e.Setting
		e.Setting = func(zone string) rollover.Setting {
			s := setting(zone)
			change(&s)
			return s
		}
	}
}

func accept(w *rollovertest.World, p rollover.Policy) error {
	return w.Engine(p).AcceptPolicy(context.Background(), rollovertest.Zone, "I know")
}

// untilStep is how long a roll takes to get to a step.
func untilStep(t *testing.T, w *rollovertest.World, p rollover.Policy, step string) time.Duration {
	t.Helper()
	since := w.Now.Wall
	toStep(t, w, p, step)
	return w.Now.Wall.Sub(since)
}

// Each setting that makes waits shorter, changed in the middle of a rollover: it
// goes on as it was started, says so once, and takes it over when told to.
func TestLessCarefulPolicyIsNotTakenOver(t *testing.T) {
	careful := func() rollover.Policy {
		p := tight()
		p.Factor, p.Margin = 3, 20*unit
		return p
	}
	world := func() (*rollovertest.World, rollover.Policy) {
		w, p := rollovertest.New("split", unequal), careful()
		start(t, w, p, rollover.Order{Type: "zsk"})
		return w, p
	}
	w, p := world()
	asStarted := untilStep(t, w, p, "switch")
	for name, change := range map[string]func(*rollover.Policy){
		"factor": func(p *rollover.Policy) { p.Factor = 1 },
		"margin": func(p *rollover.Policy) { p.Margin = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			w, p := world()
			change(&p)
			if took := untilStep(t, w, p, "switch"); took < asStarted {
				t.Errorf("switch after %s, before the change it was %s", took, asStarted)
			}
			says(t, w, p, "the configuration says "+name)
			says(t, w, p, "rollover resume --zone example.com. --accept-policy --reason WHY")
			if n := told(w, rollover.EventPolicyDiffers, name); n != 1 {
				t.Errorf("told %d times", n)
			}
			w, p = world()
			change(&p)
			tickDue(t, w, p)
			if err := accept(w, p); err != nil {
				t.Fatal(err)
			}
			if took := untilStep(t, w, p, "switch"); took >= asStarted {
				t.Errorf("accepted, and switch after %s as before", took)
			}
			if s := fmt.Sprint(describe(t, w, p)); strings.Contains(s, "the configuration says") || told(w, rollover.EventPolicyAccepted, name) != 1 {
				t.Errorf("status says %s", s)
			}
			if err := accept(w, p); !errors.Is(err, rollover.ErrRefused) {
				t.Errorf("accepted twice: %v", err)
			}
			goesOn(t, w, p)
		})
	}
}

// What is more careful is taken at once, and comes with nothing to accept.
func TestMoreCarefulPolicyIsTakenOver(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	p.Margin = 30 * unit
	if took := untilStep(t, w, p, "switch"); took < 30*unit {
		t.Errorf("switch after %s", took)
	}
	if told(w, rollover.EventPolicyDiffers, "") > 0 {
		t.Errorf("told: %+v", w.Events)
	}
	goesOn(t, w, p)
}

// A max_gap that is raised lets a cron that is hardly ever run earn more.
func TestLargerMaxGapIsNotTakenOver(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	p.MaxGap = unit
	start(t, w, p, rollover.Order{Type: "zsk"})
	p.MaxGap = 100 * unit
	w.Advance(unit)
	tickDue(t, w, p)
	w.Advance(3 * unit)
	if _, err := w.Engine(p).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
	if n := w.Roll().Need; n == nil || n.Next != "switch" || n.Remaining < 2*unit {
		t.Errorf("need %+v: a gap counted for more than max_gap at the start", n)
	}
	says(t, w, p, "the configuration says max_gap")
}

// Weaker evidence is not taken over, stronger is, and what was earned without it
// is earned anew.
func TestEvidenceInTheMiddle(t *testing.T) {
	forged := &rollover.Standing{Security: rollover.Bogus, Why: "unsigned"}
	both := func(r *rollover.Roll) []rollover.DS { return []rollover.DS{dsOfKey(r.Old[0]), dsOfKey(r.New[0])} }
	t.Run("weaker", func(t *testing.T) {
		w, p := rollovertest.New("split", unequal), tight()
		p.Evidence = rollover.EvidenceValidated
		start(t, w, p, rollover.Order{Type: "ksk"})
		toStep(t, w, p, "submit")
		w.Operator = func(*rollovertest.World, []rollover.DS) {}
		p.Evidence = rollover.EvidencePlain
		stays(t, w, p, 40, claiming(both, w, forged))
		says(t, w, p, "the configuration says evidence = plain")
		if err := accept(w, p); err != nil {
			t.Fatal(err)
		}
		w.Operator = nil
		goesOn(t, w, p)
	})
	t.Run("stronger", func(t *testing.T) {
		w, p := rollovertest.New("split", unequal), tight()
		toGate(t, w, p)
		p.Evidence = rollover.EvidenceValidated
		if _, err := w.Engine(p).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
			t.Fatal(err)
		}
		if r := w.Roll(); r.Step != "submit" || r.Need.Remaining < unequal.DS-unit {
			t.Errorf("at %s, need %+v", r.Step, r.Need)
		}
		goesOn(t, w, p)
	})
}

// Other digests and another driver are asked for by name, and start's conditions
// on them are asked again.
func TestDigestsInTheMiddle(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	p.DSDigests = []uint8{2, 4}
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	toStep(t, w, p, "submit")
	if add := w.Roll().Parent(p).Add; len(add) != 1 || add[0].DigestType != 2 {
		t.Errorf("asks for %v", add)
	}
	says(t, w, p, "the configuration says ds_digests = [2 4], and this rollover goes on with [2]")
	if err := accept(w, p); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "found types [2]") {
		t.Errorf("accepted though the old key has other digests: %v", err)
	}
	w.SetDS(append(w.DSSet(), digestOf(w.Roll().Old[0], 4)))
	w.Advance(10 * unit)
	if err := accept(w, p); err != nil {
		t.Fatal(err)
	}
	tickDue(t, w, p)
	if add := w.Roll().Parent(p).Add; len(add) != 2 {
		t.Errorf("asks for %v", add)
	}
	w.Operator = nil
	goesOn(t, w, p)
}

func TestDriverInTheMiddle(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	idle := func(rollover.Change) rollover.Answer { return rollover.Answer{State: rollover.SubmissionLater} }
	mine, other := &clerk{world: w, says: idle}, &clerk{world: w, says: idle}
	byName := func(s *rollover.Setting) {
		s.Driver, s.Registrar, s.Resubmit = "exec", mine, time.Hour
	}
	tune := w.Tune
	reconfigured(w, byName)
	start(t, w, p, rollover.Order{Type: "ksk"})
	w.Tune = tune
	cds := false
	reconfigured(w, func(s *rollover.Setting) {
		s.Driver, s.Registrar, s.Resubmit, s.Policy.CDS = "nsupdate", other, time.Hour, cds
		s.Drivers = func(name string) rollover.Registrar {
			if name == "exec" {
				return mine
			}
			return nil
		}
	})
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	toStep(t, w, p, "submit")
	w.Advance(unit)
	tickDue(t, w, p)
	if len(mine.changes) == 0 || len(other.changes) > 0 {
		t.Errorf("the driver of the start was asked %d times, the other %d", len(mine.changes), len(other.changes))
	}
	says(t, w, p, "the configuration says driver = nsupdate, and this rollover goes on with exec")
	q := p
	if q.CDS = true; q.For(w.Roll()).CDS {
		t.Error("it goes by CDS, as the driver of now does")
	}
	cds = true
	if err := accept(w, p); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "CDS") {
		t.Errorf("accepted a driver that cannot do it: %v", err)
	}
	cds = false
	if err := accept(w, p); err != nil {
		t.Fatal(err)
	}
	w.Advance(unit)
	tickDue(t, w, p)
	if len(other.changes) == 0 {
		t.Error("the accepted driver was not asked")
	}
	w.Operator = nil
	goesOn(t, w, p)
}

// Servers are left out by name, and not by a line in the configuration.
func TestServersInTheMiddle(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	w.Lag["ns2"] = 1000 * unit
	toStep(t, w, p, "switch")
	reconfigured(w, func(s *rollover.Setting) { s.Exclude, s.ServersOnly = []string{"ns2"}, true })
	stays(t, w, p, 60, asItIs)
	says(t, w, p, "the configuration excludes ns2")
	says(t, w, p, "the configuration says servers_only = true")
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	if w.Engine(p).Question(d).ServersOnly {
		t.Error("it does not ask the servers of the delegation any more")
	}
	if err := accept(w, p); err != nil {
		t.Fatal(err)
	}
	w.SwitchOff("ns2")
	since := w.Now.Wall
	toStep(t, w, p, "finish") // with retire, in one tick
	if took := w.Now.Wall.Sub(since); took < unequal.Data {
		t.Errorf("retired %s after the exclusion, while caches hold what it served", took)
	}
}

// A state that does not know what it was started with goes by the configuration.
func TestStateWithoutTerms(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	p.Margin = 50 * unit
	start(t, w, p, rollover.Order{Type: "zsk"})
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	d.Roll.Terms = nil
	if err := w.Save(rollover.Entry{Dossier: d}); err != nil {
		t.Fatal(err)
	}
	if took := untilStep(t, w, tight(), "switch"); took > 20*unit {
		t.Errorf("switch after %s", took)
	}
	if err := accept(w, tight()); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("accepted: %v", err)
	}
}

// A policy is accepted for a rollover that ended by none.
func TestAcceptWithoutARollover(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	goesOn(t, w, p)
	p.Margin = time.Hour
	if err := accept(w, p); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("accepted: %v", err)
	}
}

// What accept asks of servers and other signers.
func TestAcceptLooksFirst(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	servedByTwo(w)
	k := rollovertest.Twin(w.Keys[0].DNSKEY())
	mend := sees(w, foreignKeys(k))
	if err := accept(w, p); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "servers_only") {
		t.Errorf("accepted beside another signer: %v", err)
	}
	mend()
	w.Down["ns2"] = true
	if err := accept(w, p); !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), "exclude-server") {
		t.Errorf("accepted while a server is silent: %v", err)
	}
	w.Down["ns2"] = false
	if err := accept(w, p); err != nil {
		t.Error(err)
	}
}

// What an excluded server served lives on in caches from the exclusion: the
// others have shown the new data for long.
func TestExcludedServerLivesOnInCaches(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "zsk"})
		w.Lag["ns2"] = 1000 * unit // serves what old has signed, and goes on
		toStep(t, w, p, "switch")
		for range 60 {
			tick(t, w, p)
			whole(t, w, unit)
		}
		if r := w.Roll(); r.Step != "switch" {
			t.Fatalf("at %s", r.Step)
		}
		if err := w.Engine(p).Exclude(rollovertest.Zone, "ns2", "switched off"); err != nil {
			t.Fatal(err)
		}
		w.SwitchOff("ns2")
		goesOn(t, w, p)
	})
}

// The product gate by itself knows that too.
func TestLedgerOfAnExcludedServer(t *testing.T) {
	var l rollover.Ledger
	at := rollover.Instant{Wall: time.Unix(1e9, 0), BootID: "a"}
	look := func(servers ...string) {
		s := rollover.Sighting{At: at}
		for _, name := range servers {
			s.Servers = append(s.Servers, rollover.ServerSighting{Server: rollover.Server{Role: rollover.RoleChild, Address: name}, DNSKEY: &rollover.KeyVersion{TTL: 3600}})
		}
		l.LearnSighting(s)
	}
	later := func(d time.Duration) { at.Wall, at.Boot = at.Wall.Add(d), at.Boot+d }
	look("ns1", "ns2")
	later(5 * time.Hour)
	look("ns1") // ns2 was excluded by now
	i := slices.IndexFunc(l.Entries, func(e rollover.LedgerEntry) bool { return e.Server == "ns2" })
	later(59 * time.Minute)
	if !l.Entries[i].Lives(at, false) {
		t.Error("forgotten within its TTL from the exclusion")
	}
	later(2 * time.Minute)
	if l.Entries[i].Lives(at, false) {
		t.Error("it lives for longer than its TTL")
	}
	look("ns1", "ns2")
	later(5 * time.Hour)
	if !l.Entries[i].Lives(at, true) {
		t.Error("what a server shows does not live")
	}
	look("ns1")
	later(59 * time.Minute)
	if !l.Entries[i].Lives(at, false) {
		t.Error("excluded again, it is forgotten within its TTL")
	}
}
