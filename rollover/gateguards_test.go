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

// gateEyes changes the look of a gate alone: the one that asks for everything.
type gateEyes struct {
	*rollovertest.World
	change func(*rollover.Sighting) error
	looks  *int
}

func (g gateEyes) Look(ctx context.Context, q rollover.Question) (rollover.Sighting, error) {
	s, err := g.World.Look(ctx, q)
	if !q.Thorough || err != nil {
		return s, err
	}
	*g.looks++
	return s, g.change(&s)
}

// atGate ticks once at the moment when the switch of a rollover is due, and says
// how often a gate looked, and what the tick reported.
func atGate(t *testing.T, w *rollovertest.World, p rollover.Policy, change func(*rollover.Sighting) error) (looks int, report rollover.Report) {
	t.Helper()
	e := w.Engine(p)
	e.Observer = gateEyes{w, change, &looks}
	report, err := e.Tick(context.Background(), []string{rollovertest.Zone})
	if err != nil {
		t.Fatal(err)
	}
	return looks, report
}

func byProof() rollover.Policy {
	p := tight()
	p.Evidence = rollover.EvidenceValidated
	return p
}

// What only the look of a gate shows, right before the step, stops it.
func TestTheLastLookDecides(t *testing.T) {
	parent := func(change func(*rollover.DSVersion)) func(*rollover.Sighting) error {
		return func(s *rollover.Sighting) error {
			at("p2", func(o *rollover.ServerSighting) {
				version, standing := *o.DS, *o.DS.Standing
				version.Standing = &standing
				change(&version)
				o.DS = &version
			})(s)
			return nil
		}
	}
	cases := map[string]struct {
		policy rollover.Policy
		change func(*rollover.Sighting) error
		says   string
	}{
		"a DS set from before": {byProof(), parent(func(v *rollover.DSVersion) { v.Standing.Signed = v.Standing.Signed.Add(-24 * time.Hour) }), "replays an older DS set"},
		"a DS set without proof": {byProof(), parent(func(v *rollover.DSVersion) {
			v.Standing.Security, v.Standing.Why = rollover.Indeterminate, "no answer from the root"
		}), "no answer from the root"},
		"no TCP": {tight(), func(s *rollover.Sighting) error {
			at("ns2", func(o *rollover.ServerSighting) { o.OverTCP = "connection refused" })(s)
			return nil
		}, "not over TCP: connection refused"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := rollovertest.New("split", unequal)
			toGate(t, w, c.policy)
			looks, _ := atGate(t, w, c.policy, c.change)
			if r := w.Roll(); looks == 0 || r.Step != "submit" || r.State != rollover.StateActive {
				t.Fatalf("%d looks of gates; it is %s at step %q", looks, r.State, r.Step)
			}
			says(t, w, c.policy, c.says)
			goesOn(t, w, c.policy)
		})
	}
}

// A look of a gate that fails enters nothing, and is told.
func TestAGateThatCannotLook(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	toGate(t, w, p)
	looks, report := atGate(t, w, p, func(*rollover.Sighting) error { return errors.New("no sockets left") })
	err := report.Failed[rollovertest.Zone]
	if looks == 0 || w.Roll().Step != "submit" || err == nil || !strings.Contains(err.Error(), "no sockets left") {
		t.Fatalf("%d looks; at step %q, %v", looks, w.Roll().Step, err)
	}
	goesOn(t, w, p)
}

// A DS set without proof does not stop a rollover that the parent has no part in.
func TestAGateDoesNotAskTheParentInVain(t *testing.T) {
	w, p := rollovertest.New("split", unequal), byProof()
	start(t, w, p, rollover.Order{Type: "zsk"})
	for range 200 {
		atGate(t, w, p, func(s *rollover.Sighting) error {
			for i := range s.Servers {
				if v := s.Servers[i].DS; v != nil {
					s.Servers[i].DS = &rollover.DSVersion{Set: v.Set, TTL: v.TTL, Standing: &rollover.Standing{Security: rollover.Insecure, Why: "unsigned"}}
				}
			}
			return nil
		})
		whole(t, w, unit)
	}
	finished(t, w)
}

// What the look of a gate shows is remembered: it may be in caches.
func TestAGateRemembersWhatItSaw(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	toGate(t, w, p)
	atGate(t, w, p, func(s *rollover.Sighting) error {
		at("ns2", func(o *rollover.ServerSighting) {
			keys := *o.DNSKEY
			keys.TTL = 7777
			o.DNSKEY = &keys
		})(s)
		return nil
	})
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(d.Ledger.Entries, func(e rollover.LedgerEntry) bool { return e.Server == "ns2" && e.DNSKEY != nil && e.TTL == 7777 }) {
		t.Errorf("the ledger has %+v", d.Ledger.Entries)
	}
}

// Signatures must outlive what caches hold: where the zone has a TTL of five
// days, four days are not enough, which they are elsewhere.
func TestSignaturesMustOutliveTheLargestTTL(t *testing.T) {
	for ttl, stops := range map[time.Duration]bool{5 * 24 * time.Hour: true, time.Hour: false} {
		w, p := rollovertest.New("split", rollovertest.TTLs{DS: 7 * unit, DNSKEY: 4 * unit, Data: ttl}), tight()
		toGate(t, w, p)
		atGate(t, w, p, func(s *rollover.Sighting) error {
			for i := range s.Servers {
				if v := s.Servers[i].DNSKEY; v != nil {
					keys := *v
					keys.Expires = s.At.Wall.Add(4 * 24 * time.Hour)
					s.Servers[i].DNSKEY = &keys
				}
			}
			return nil
		})
		if stopped := w.Roll().Step == "submit"; stopped != stops {
			t.Errorf("with a TTL of %s it is at step %q, need %+v", ttl, w.Roll().Step, w.Roll().Need)
		}
	}
}

// recorded lets a product say no to all, and keeps what it was asked about.
func recorded(w *rollovertest.World) *[]rollover.Cached {
	asked := &[]rollover.Cached{}
	w.Tune = func(e *rollover.Engine) {
		e.Product = func(c rollover.Cached) []string { *asked = append(*asked, c); return []string{"held up"} }
	}
	return asked
}

func strayDS() rollover.DS {
	return rollover.DS{Tag: 4711, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
}

// showsStray is a look at which p2 has a DS more.
func showsStray(standing *rollover.Standing) func(*rollover.Sighting) error {
	return func(s *rollover.Sighting) error {
		at("p2", func(o *rollover.ServerSighting) {
			o.DS = &rollover.DSVersion{Set: append(slices.Clone(o.DS.Set), strayDS()), TTL: o.DS.TTL, Standing: standing}
		})(s)
		return nil
	}
}

func hasStray(c rollover.Cached) bool {
	return slices.ContainsFunc(c.DS, func(v rollover.DSVersion) bool { return slices.Contains(v.Set, strayDS()) })
}

// Where proof is asked for, a DS set without it is in no cache: a forger must not
// hold a rollover up. One that is replayed was true once. Where no proof is asked
// for, every set counts.
func TestWhichDSSetsMayBeCached(t *testing.T) {
	proven := func(w *rollovertest.World, age time.Duration) *rollover.Standing {
		return &rollover.Standing{Security: rollover.Secure, Signed: w.Now.Wall.Add(-age)}
	}
	for name, c := range map[string]struct {
		policy   rollover.Policy
		standing func(*rollovertest.World) *rollover.Standing
		counts   bool
	}{
		"secure":        {byProof(), func(w *rollovertest.World) *rollover.Standing { return proven(w, 0) }, true},
		"replayed":      {byProof(), func(w *rollovertest.World) *rollover.Standing { return proven(w, 24*time.Hour) }, true},
		"bogus":         {byProof(), func(*rollovertest.World) *rollover.Standing { return &rollover.Standing{Security: rollover.Bogus} }, false},
		"insecure":      {byProof(), func(*rollovertest.World) *rollover.Standing { return &rollover.Standing{Security: rollover.Insecure} }, false},
		"not validated": {byProof(), func(*rollovertest.World) *rollover.Standing { return nil }, false},
		"plain":         {tight(), func(*rollovertest.World) *rollover.Standing { return nil }, true},
	} {
		w := rollovertest.New("split", unequal)
		asked := recorded(w)
		toGate(t, w, c.policy)
		atGate(t, w, c.policy, showsStray(c.standing(w)))
		if len(*asked) == 0 {
			t.Fatalf("%s: nobody asked the product", name)
		}
		if got := hasStray((*asked)[len(*asked)-1]); got != c.counts {
			t.Errorf("%s: it may be cached: %v, expected %v", name, got, c.counts)
		}
	}
}

// A version lives for its TTL: from the look at which its server shows another
// one, or, of a server that was excluded, from the look at which it was not asked.
func TestHowLongAVersionLives(t *testing.T) {
	const lives = 7
	for _, excluded := range []bool{false, true} {
		w, p := rollovertest.New("split", unequal), tight()
		asked := recorded(w)
		toGate(t, w, p)
		atGate(t, w, p, showsStray(nil))
		if excluded {
			if err := w.Engine(p).Exclude(rollovertest.Zone, "p2", "gone"); err != nil {
				t.Fatal(err)
			}
		}
		for n := 1; n < 10; n++ {
			whole(t, w, unit)
			*asked = nil
			tickDue(t, w, p)
			if len(*asked) == 0 {
				t.Fatalf("excluded %v: nobody asked the product after %d", excluded, n)
			}
			if got := hasStray((*asked)[0]); got != (n <= lives) {
				t.Errorf("excluded %v: after %d units it lives: %v", excluded, n, got)
			}
		}
	}
}

// What a server showed before it fell silent lives on as long as it is silent:
// nobody knows what it serves.
func TestAVersionLivesWhileItsServerIsSilent(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	asked := recorded(w)
	start(t, w, p, rollover.Order{Type: "zsk"})
	for range 100 {
		if len(*asked) > 0 {
			break
		}
		whole(t, w, unit)
		atGate(t, w, p, showsStray(nil))
	}
	w.Down["p2"] = true
	for range 10 {
		whole(t, w, unit)
		*asked = nil
		tickDue(t, w, p)
	}
	if len(*asked) == 0 || !hasStray((*asked)[0]) {
		t.Errorf("asked %d times; the version of the silent server is forgotten", len(*asked))
	}
}
