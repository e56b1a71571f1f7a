package rollover_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// unprovenAt lets some servers of a world deny without a proof, while bad says so.
func unprovenAt(w *rollovertest.World, bad *bool, servers ...string) {
	w.Tune = func(e *rollover.Engine) {
		e.Observer = blinded{w, func(s rollover.Sighting) rollover.Sighting {
			for _, name := range servers {
				server(name, func(v *rollover.ServerSighting) {
					if *bad {
						v.Denials = []rollover.Denial{{On: "a type that is not there, at mike.example.com.", Fault: "no proof"}}
					}
				})(&s)
			}
			return s
		}}
	}
}

// A server that denies without a proof is at fault, and is told what to do: the
// zone made anew, or transferred, if others have it right.
func TestDenialsInHealth(t *testing.T) {
	bad := []rollover.Denial{{On: "a", Fault: "f"}, {On: "b", Fault: "g"}, {On: "c", Fault: "h"}, {On: "d", Fault: "i"}}
	for name, c := range map[string]struct {
		servers []string
		says    string
	}{
		"everywhere": {[]string{"ns1", "ns2"}, "`pdnsutil rectify-zone example.com`, `pdnsutil increase-serial example.com`"},
		"on one":     {[]string{"ns2"}, "`pdns_control retrieve example.com`"},
	} {
		s := seen(t, func(s *rollover.Sighting) {
			for _, one := range c.servers {
				server(one, func(v *rollover.ServerSighting) { v.Denials = bad })(s)
			}
		})
		findings := rollover.Health(s, tight(), rollover.DefaultLimits())
		if len(findings) != len(c.servers) {
			t.Fatalf("%s: %v", name, findings)
		}
		for _, f := range findings {
			if f.Code != rollover.FindingDenial || f.Severity != rollover.SeverityCritical || !strings.Contains(f.Remedy, c.says) || !strings.Contains(f.Text, "a: f; b: g; c: h; and 1 more") {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if c := rollover.Check(rollover.Dossier{}, s, tight(), rollover.DefaultLimits(), s.At.Wall); c.Security != rollover.Bogus {
			t.Errorf("%s: %s", name, c.Security)
		}
	}
}

// No rollover begins, none takes anything away, and no first DS is asked for while
// a server denies without a proof; when it does not any more they go on.
func TestDenialsHoldBack(t *testing.T) {
	bad := true
	w := rollovertest.New("split", unequal)
	unprovenAt(w, &bad, "ns2")
	if _, err := w.Engine(tight()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "zsk"}); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "does not prove it") {
		t.Errorf("start: %v", err)
	}
	for _, c := range []struct{ layout, kind, step, says string }{
		{"split", "zsk", "publish", `before step "switch", which takes something away`}, {"unsigned", "sign", "sign", `before step "submit", which asks for the first DS`},
	} {
		bad = false
		w := rollovertest.New(c.layout, unequal)
		start(t, w, tight(), rollover.Order{Type: c.kind})
		bad = true
		unprovenAt(w, &bad, "ns2")
		drive(t, w, tight(), 60)
		r := w.Roll()
		if r.Step != c.step || r.Need == nil || len(r.Need.Findings) == 0 || r.Need.Findings[0].Code != rollover.FindingDenial {
			t.Fatalf("%s: at step %q, need %+v", c.kind, r.Step, r.Need)
		}
		if told := w.Events[len(w.Events)-1].Text; !strings.Contains(told, c.says) {
			t.Errorf("%s: %q", c.kind, told)
		}
		bad = false
		drive(t, w, tight(), 300)
		finished(t, w)
	}
}
