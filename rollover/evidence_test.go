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

// claiming makes every server of the parent show a DS set of a standing.
func claiming(set func(*rollover.Roll) []rollover.DS, w *rollovertest.World, standing *rollover.Standing) func(*rollover.Sighting) {
	return func(s *rollover.Sighting) {
		for i, v := range s.Servers {
			if v.DS != nil {
				s.Servers[i].DS = &rollover.DSVersion{Set: set(w.Roll()), TTL: v.DS.TTL, Standing: standing}
			}
		}
	}
}

// unbelievable is every standing that an answer may have and not count.
func unbelievable(w *rollovertest.World) map[string]*rollover.Standing {
	return map[string]*rollover.Standing{
		"not validated":    nil,
		"bogus":            {Security: rollover.Bogus, Why: "the signature of example.com. DS by key 1 (algorithm 13): expired"},
		"indeterminate":    {Security: rollover.Indeterminate, Why: "no answer: timed out"},
		"parent insecure":  {Security: rollover.Insecure, Why: "proven: there is no DS for com."},
		"of last year":     {Security: rollover.Secure, Signed: w.Now.Wall.Add(-365 * 24 * time.Hour), Expires: w.Now.Wall.Add(time.Hour)},
		"of a second less": {Security: rollover.Secure, Signed: w.Now.Wall.Add(-time.Minute), Expires: w.Now.Wall.Add(time.Hour)},
	}
}

// "The new DS is everywhere", said without proof, is worth nothing for as long
// as it is said, and the reason is told; it calls no rescue either.
func TestUnprovenAnswersDoNotCount(t *testing.T) {
	both := func(r *rollover.Roll) []rollover.DS { return []rollover.DS{dsOfKey(r.Old[0]), dsOfKey(r.New[0])} }
	alone := func(r *rollover.Roll) []rollover.DS { return []rollover.DS{dsOfKey(r.New[0])} }
	for claim, set := range map[string]func(*rollover.Roll) []rollover.DS{"old and new": both, "new alone": alone} {
		for name := range unbelievable(rollovertest.New("split", unequal)) {
			t.Run(claim+" "+name, func(t *testing.T) {
				w, p := rollovertest.New("split", unequal), tight()
				p.Evidence = rollover.EvidenceValidated
				start(t, w, p, rollover.Order{Type: "ksk"})
				w.Operator = func(*rollovertest.World, []rollover.DS) {}
				toStep(t, w, p, "submit")
				standing := unbelievable(w)[name]
				for range 60 {
					whole(t, w, unit)
					if w.Roll().NextCheck.After(w.Clock().Wall) {
						continue
					}
					tickSeeing(t, w, p, claiming(set, w, standing))
					if r := w.Roll(); r.Step != "submit" || r.State != rollover.StateActive {
						t.Fatalf("moved on to %q, %s", r.Step, r.State)
					}
				}
				s := describe(t, w, p)
				if standing != nil && standing.Why != "" && !strings.Contains(s.WaitingFor, standing.Why) || s.WaitingFor == "" {
					t.Errorf("status says %q", s.WaitingFor)
				}
				if standing != nil && standing.Security == rollover.Secure && !strings.Contains(s.WaitingFor, "replays an older DS set") {
					t.Errorf("a replay is not named: %q", s.WaitingFor)
				}
				w.Operator = nil
				drive(t, w, p, 300)
				finished(t, w)
			})
		}
	}
}

// Start believes nothing that is not proven.
func TestStartNeedsProof(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	p.Evidence = rollover.EvidenceValidated
	e := w.Engine(p)
	e.Observer = eyes{w, func(s *rollover.Sighting) {
		for i, v := range s.Servers {
			if v.DS != nil {
				ds := *v.DS
				ds.Standing = &rollover.Standing{Security: rollover.Insecure, Why: "proven: there is no DS for com."}
				s.Servers[i].DS = &ds
			}
		}
	}}
	_, err := e.Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"})
	if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), `set evidence to "resolver" or "plain"`) {
		t.Errorf("start says %v", err)
	}
}

// An older genuine set loses what was earned: it may be what caches get.
func TestReplayIsABadLook(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	p.Evidence = rollover.EvidenceValidated
	toGate(t, w, p)
	old := &rollover.Standing{Security: rollover.Secure, Signed: w.Now.Wall.Add(-48 * time.Hour)}
	both := func(r *rollover.Roll) []rollover.DS { return []rollover.DS{dsOfKey(r.Old[0]), dsOfKey(r.New[0])} }
	tickSeeing(t, w, p, claiming(both, w, old))
	r := w.Roll()
	if r.Step != "submit" || r.Need == nil || r.Need.Remaining == 0 {
		t.Errorf("step %q, need %+v", r.Step, r.Need)
	}
	if !slices.ContainsFunc(r.Need.Lagging, func(l rollover.Lag) bool { return l.Bad }) {
		t.Errorf("expected a bad look, got %+v", r.Need.Lagging)
	}
	drive(t, w, p, 300)
	finished(t, w)
}

// "The parent has done what it was asked for", said without proof, begins no
// way back: the removal of the DS of old may still be under way.
func TestRevertNeedsProof(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	p.Evidence = rollover.EvidenceValidated
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "withdraw")
	whole(t, w, 3*unit)
	alone := func(r *rollover.Roll) []rollover.DS { return []rollover.DS{dsOfKey(r.New[0])} }
	for _, name := range []string{"not validated", "bogus", "indeterminate", "parent insecure"} {
		e := w.Engine(p)
		e.Observer = eyes{w, claiming(alone, w, unbelievable(w)[name])}
		err := e.Revert(context.Background(), rollover.Back{Zone: rollovertest.Zone})
		if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "cannot be believed") || !strings.Contains(err.Error(), "rollover advance --zone") {
			t.Errorf("%s: %v", name, err)
		}
		if r := w.Roll(); r.Kind != "ksk/double-ds" || r.Step != "withdraw" {
			t.Errorf("%s: a refused revert left it as %s at %s", name, r.Kind, r.Step)
		}
	}
}
