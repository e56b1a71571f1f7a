package rollover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// changed is a world of which every look is seen in another way.
func changed(w *rollovertest.World, change func(*rollover.Sighting)) {
	w.Tune = func(e *rollover.Engine) {
		e.Observer = blinded{w, func(s rollover.Sighting) rollover.Sighting {
			change(&s)
			return s
		}}
	}
}

// alone takes the parent away, and gives the zone the anchor that fits it.
func alone(anchor []rollover.DS) func(*rollover.Sighting) {
	return func(s *rollover.Sighting) {
		s.Alone, s.Anchor = true, anchor
		s.Servers = slices.DeleteFunc(s.Servers, func(v rollover.ServerSighting) bool { return v.Role == rollover.RoleParent })
	}
}

// standing gives what the parent says another worth.
func standing(security rollover.Security, why string) func(*rollover.Sighting) {
	return func(s *rollover.Sighting) {
		for _, name := range []string{"p1", "p2"} {
			server(name, func(v *rollover.ServerSighting) {
				if v.DS != nil {
					v.DS.Standing = &rollover.Standing{Security: security, Why: why}
				}
			})(s)
		}
	}
}

func validated() rollover.Policy {
	p := tight()
	p.Evidence = rollover.EvidenceValidated
	return p
}

// apartCase is a zone without a parent that could be believed.
type apartCase struct {
	change  func(w *rollovertest.World) func(*rollover.Sighting)
	refuses string // why a KSK is not rolled
	finds   string // by check; empty: nothing
	is      rollover.Security
}

func apartCases() map[string]apartCase {
	return map[string]apartCase{
		"its own trust anchor": {func(w *rollovertest.World) func(*rollover.Sighting) { return alone(w.DSSet()) }, "is its own trust anchor", "", rollover.Secure},
		"the root, without an anchor": {func(*rollovertest.World) func(*rollover.Sighting) { return alone(nil) }, "has no parent", rollover.FindingUnproven,
			rollover.Indeterminate},
		"an unsigned parent": {func(*rollovertest.World) func(*rollover.Sighting) {
			return standing(rollover.Insecure, "example is not signed")
		},
			`for a parent that is not signed set evidence to "resolver" or "plain"`, rollover.FindingParent, rollover.Insecure},
		"an unsigned parent with a stale DS": {func(*rollovertest.World) func(*rollover.Sighting) {
			return func(s *rollover.Sighting) {
				for _, name := range []string{"p1", "p2"} {
					server(name, func(v *rollover.ServerSighting) {
						if v.DS != nil {
							v.DS.Set[0].Tag++
						}
					})(s)
				}
				standing(rollover.Insecure, "example is not signed")(s)
			}
		}, "evidence", rollover.FindingParent, rollover.Insecure},
	}
}

// A ZSK is rolled to the end whatever the parent is; a key that a DS or an anchor
// is for is not, and the true reason is told; check cries no wolf.
func TestZonesApart(t *testing.T) {
	for name, c := range apartCases() {
		t.Run(name, func(t *testing.T) {
			w := rollovertest.New("split", unequal)
			changed(w, c.change(w))
			for _, kind := range []string{"ksk", "unsign"} {
				_, err := w.Engine(validated()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: kind})
				if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), c.refuses) {
					t.Errorf("%s: %v", kind, err)
				}
			}
			start(t, w, validated(), rollover.Order{Type: "zsk"})
			drive(t, w, validated(), 200)
			finished(t, w)
			got := rollover.Check(rollover.Dossier{}, seen(t, c.change(rollovertest.New("split", unequal))), validated(), rollover.DefaultLimits(), w.Clock().Wall)
			if got.Security != c.is || c.finds == "" && len(got.Findings) > 0 {
				t.Errorf("check: %s, %v", got.Security, got.Findings)
			}
			if c.finds != "" && (len(got.Findings) != 1 || got.Findings[0].Code != c.finds || got.Severity != rollover.SeverityWarning) {
				t.Errorf("check: %v", got.Findings)
			}
		})
	}
}

// A zone below an unsigned one is not signed: no DS could ever be believed.
func TestSignBelowAnUnsignedZone(t *testing.T) {
	w := rollovertest.New("unsigned", unequal)
	changed(w, standing(rollover.Insecure, "example is not signed"))
	_, err := w.Engine(validated()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "sign"})
	if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "example is not signed") {
		t.Errorf("sign: %v", err)
	}
}

// An anchor that fits no key is a broken chain: for check, and for a rollover.
func TestAnchorThatDoesNotFit(t *testing.T) {
	w := rollovertest.New("split", unequal)
	wrong := w.DSSet()
	wrong[0].Digest = strings.Repeat("0", 64)
	changed(w, alone(wrong))
	if _, err := w.Engine(validated()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "zsk"}); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "trust_anchors names a file that is out of date") {
		t.Errorf("start: %v", err)
	}
	got := rollover.Check(rollover.Dossier{}, seen(t, alone(wrong)), validated(), rollover.DefaultLimits(), w.Clock().Wall)
	if got.Security != rollover.Bogus || got.Severity != rollover.SeverityCritical || got.Findings[0].Code != rollover.FindingChain {
		t.Errorf("check: %+v", got)
	}
}

// A parent whose answers are bogus keeps a ZSK from being rolled all the same: the
// chain is broken, or somebody forges it.
func TestBogusParentStopsAZSK(t *testing.T) {
	w := rollovertest.New("split", unequal)
	changed(w, standing(rollover.Bogus, "forged"))
	if _, err := w.Engine(validated()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "zsk"}); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "DS of example.com. at ") || !strings.Contains(err.Error(), "forged") {
		t.Errorf("start: %v", err)
	}
}

// thoroughly changes only the looks of gates.
type thoroughly struct {
	*rollovertest.World
	change func(*rollover.Sighting)
}

func (o thoroughly) Look(ctx context.Context, q rollover.Question) (rollover.Sighting, error) {
	s, err := o.World.Look(ctx, q)
	standing(rollover.Secure, "")(&s)
	if q.Thorough {
		o.change(&s)
	}
	return s, err
}

// A parent that is found insecure at the last look stops a KSK before anything is
// taken away.
func TestGateOfAParentThatBecomesInsecure(t *testing.T) {
	w := rollovertest.New("split", unequal)
	changing := func(*rollover.Sighting) {}
	w.Tune = func(e *rollover.Engine) {
		e.Observer = thoroughly{w, func(s *rollover.Sighting) { changing(s) }}
	}
	start(t, w, validated(), rollover.Order{Type: "ksk"})
	changing = standing(rollover.Insecure, "example is not signed any more")
	drive(t, w, validated(), 60)
	if r := w.Roll(); r.Need == nil || len(r.Need.Findings) == 0 || r.Need.Findings[0].Code != rollover.FindingParent {
		t.Fatalf("%s at %q: %+v", r.State, r.Step, r.Need)
	}
	changing = func(*rollover.Sighting) {}
	drive(t, w, validated(), 200)
	finished(t, w)
}

// Caches of validators that hold the anchor count before something is taken away.
func TestAnchorIsInTheProduct(t *testing.T) {
	w := rollovertest.New("split", unequal)
	anchor := w.DSSet()
	w.Tune = func(e *rollover.Engine) {
		e.Observer = blinded{w, func(s rollover.Sighting) rollover.Sighting {
			alone(anchor)(&s)
			return s
		}}
		e.Product = func(c rollover.Cached) []string {
			if len(c.DS) == 1 && slices.Equal(c.DS[0].Set, anchor) {
				return []string{"the anchor is looked at"}
			}
			return nil
		}
	}
	start(t, w, validated(), rollover.Order{Type: "zsk"})
	drive(t, w, validated(), 100)
	if r := w.Roll(); r.Need == nil || len(r.Need.Findings) != 1 || !strings.Contains(r.Need.Findings[0].Text, "the anchor is looked at") {
		t.Errorf("%s at %q: %+v", r.State, r.Step, r.Need)
	}
}
