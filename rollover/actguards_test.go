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

// failure is the words that each call is told with when it fails.
var failure = map[string]string{
	"Inventory": "reading the keys of example.com.", "Contents": "reading the records of example.com. for their largest TTL", "Do": `step "`,
	"Rectify": "rectifying example.com.", "RetractCDS": "taking out the CDS records of example.com.", "BumpSerial": "raising the SOA serial of example.com.",
	"Refresh": "making the running server show the change of example.com.", "Look": "looking at the name servers of example.com.|comparing the answers of example.com. with those from before",
	"Load": "loading the state of example.com.", "Save": "saving the state of example.com.",
}

// touched is what was done, without what was only read.
func touched(log []string) []string {
	return slices.DeleteFunc(slices.Clone(log), func(line string) bool { return line == "show-zone" || line == "list-zone" })
}

// Whichever call of a tick fails, it is told with what it was for and kept for
// status, no step is entered and nothing is touched after it, and the next tick
// goes as far as this one would have gone.
func TestEveryFailureOfATickIsTold(t *testing.T) {
	p := tight()
	hits := map[string]int{}
	try := func(t *testing.T, w *rollovertest.World, at int) (more bool) {
		n, steps, done, call := 0, 0, 0, ""
		b := broken{w, &at, &n, func(hit string) { call, steps, done = hit, len(w.Roll().Steps), len(touched(w.Log)) }}
		e := w.Engine(p)
		e.Signer, e.Observer, e.Journal = b, b, b
		whole := w.Clone()
		report, ended := e.Tick(context.Background(), []string{rollovertest.Zone})
		if n < at {
			return false
		}
		hits[call]++
		r, err := w.Roll(), errors.Join(report.Failed[rollovertest.Zone], ended)
		if !errors.Is(err, errBroken) || !slices.ContainsFunc(strings.Split(failure[call], "|"), func(words string) bool { return strings.Contains(err.Error(), words) }) {
			t.Errorf("at %q, %s fails: %v", r.Step, call, err)
		}
		if len(r.Steps) != steps || len(touched(w.Log)) != done || r.State != rollover.StateActive {
			t.Errorf("at %q, %s fails: it is %s with %v, and did %q", r.Step, call, r.State, r.Steps, touched(w.Log)[done:])
		}
		if call == "Load" || call == "Save" {
			if ended == nil { // the only zone
				t.Errorf("%s fails, and the tick does not end", call)
			}
		} else if r.Trouble == nil || r.Trouble.Text != report.Failed[rollovertest.Zone].Error() || !r.NextCheck.Equal(w.Now.Wall.Add(unit)) || w.Events[len(w.Events)-1].Event != rollover.EventTrouble {
			t.Errorf("at %q, %s fails: trouble %+v, next look %v", r.Step, call, r.Trouble, r.NextCheck)
		}
		if _, err := whole.Engine(p).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
			t.Fatal(err)
		}
		if bad := w.Advance(unit); bad != "" {
			t.Errorf("at %q, %s failed: %s", r.Step, call, bad)
		}
		tickDue(t, w, p)
		if r, want := w.Roll(), whole.Roll(); r.Trouble != nil || len(r.Steps) < len(want.Steps) || !strings.Contains(strings.Join(touched(w.Log), "\n"), touched(whole.Log)[len(touched(whole.Log))-1]) {
			t.Errorf("at %q, %s failed: then trouble %+v, steps %v, expected %v", r.Step, call, r.Trouble, r.Steps, want.Steps)
		}
		return true
	}
	for _, c := range []struct {
		layout string
		order  rollover.Order
	}{
		{"split", rollover.Order{Type: "zsk"}}, {"split", rollover.Order{Type: "ksk"}}, {"csk", rollover.Order{Type: "csk"}},
		{"csk", rollover.Order{Type: "algorithm", Algorithm: 15}}, {"csk", rollover.Order{Type: "unsign"}}, {"unsigned", rollover.Order{Type: "sign"}},
	} {
		w := rollovertest.New(c.layout, unequal)
		if c.layout == "unsigned" {
			w = toSign(stored("www."+rollovertest.Zone, "A"))
		}
		w.OnDo = func(*rollovertest.World, rollover.Command) error { return rollover.ErrUnavailable }
		start(t, w, p, c.order) // as far as the first command
		w.OnDo = nil
		for range 300 {
			if w.Roll().State != rollover.StateActive {
				break
			}
			next := w.Clone()
			tickDue(t, next, p)
			if next.Roll().Step != w.Roll().Step {
				for at := 1; try(t, w.Clone(), at); at++ {
				}
			}
			w = next
			w.ServeParent(p)
			whole(t, w, unit)
		}
		finished(t, w)
	}
	for call := range failure {
		if hits[call] == 0 {
			t.Errorf("%s was never made to fail", call)
		}
	}
}
