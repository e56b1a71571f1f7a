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

func byCDS() rollover.Policy {
	p := tight()
	p.CDS = true
	return p
}

// follow is a parent that takes the DS set from CDS: every published key of
// role KSK or CSK, whatever the rollover asks for.
func follow(w *rollovertest.World) {
	var set []rollover.DS
	for _, k := range w.Keys {
		if !k.Published || !rollover.RoleOf(w.Keys, k).SignsKeys() {
			continue
		}
		d, err := k.DNSKEY().DS(rollovertest.Zone, 2)
		if err != nil {
			panic(err) // the world made the key
		}
		set = append(set, d)
	}
	w.SetDS(set)
}

// driveCDS is drive with a parent that looks at the CDS every so often.
func driveCDS(t *testing.T, w *rollovertest.World, every, n int) {
	t.Helper()
	for i := range n {
		tick(t, w, byCDS())
		if i%every == 0 {
			follow(w)
		}
		if bad := w.Advance(unit); bad != "" {
			t.Fatal(bad)
		}
		if w.Roll().State.Ended() {
			return
		}
	}
}

func cdsRollings() []rolling {
	return []rolling{
		{"ksk", "split", rollover.Order{Type: "ksk"}},
		{"csk", "csk", rollover.Order{Type: "csk"}},
		{"ksk double-signature", "split", rollover.Order{Type: "ksk", Method: "double-signature"}},
		{"csk double-signature", "csk", rollover.Order{Type: "csk", Method: "double-signature"}},
	}
}

// A parent that follows CDS as soon as it can, or hours late, breaks no roll.
func TestRollsByCDS(t *testing.T) {
	for _, c := range cdsRollings() {
		for _, every := range []int{1, 7, 50} {
			for _, lag := range []map[string]time.Duration{{}, {"ns2": 3 * unit, "p2": 2 * unit}, {"ns1": 2 * unit, "p1": 4 * unit}} {
				t.Run(fmt.Sprintf("%s every %d, lag %v", c.name, every, lag), func(t *testing.T) {
					w := rollovertest.New(c.layout, unequal)
					w.Lag = lag
					start(t, w, byCDS(), c.order)
					driveCDS(t, w, every, 400)
					r := finished(t, w)
					if !strings.HasSuffix(r.Method, "-cds") {
						t.Errorf("method %s", r.Method)
					}
				})
			}
		}
	}
}

// A parent that has the DS of new alone, against the CDS: new signs at once.
func TestRescueByCDS(t *testing.T) {
	for _, c := range cdsRollings()[:2] {
		w := rollovertest.New(c.layout, unequal)
		start(t, w, byCDS(), c.order)
		driveCDS(t, w, 1000, 6)
		d, err := w.Roll().New[0].DNSKEY().DS(rollovertest.Zone, 2)
		if err != nil {
			t.Fatal(err)
		}
		w.SetDS([]rollover.DS{d})
		for range 400 {
			tick(t, w, byCDS())
			w.Advance(unit) // it breaks for a moment, which is the parent's doing
			if w.Roll().Kind == c.order.Type+"/double-signature-cds" {
				follow(w)
			}
		}
		if r := finished(t, w); r.Kind != c.order.Type+"/double-signature-cds" {
			t.Errorf("%s: went on as %s", c.name, r.Kind)
		}
	}
}

// Cancelled at any moment: new leaves the DNSKEY set first, for the parent lets
// go of its DS only then.
func TestCancelByCDS(t *testing.T) {
	for _, c := range cdsRollings() {
		cancelled := 0
		for n := 1; n < 30; n++ {
			w := rollovertest.New(c.layout, unequal)
			start(t, w, byCDS(), c.order)
			driveCDS(t, w, 3, n)
			err := w.Engine(byCDS()).Cancel(context.Background(), rollovertest.Zone, "test")
			driveCDS(t, w, 3, 400)
			if err != nil {
				finished(t, w)
				continue
			}
			cancelled++
			r := w.Roll()
			if r.State != rollover.StateCancelled || slices.ContainsFunc(w.Keys, func(k rollover.Key) bool { return k.ID == r.New[0].ID }) || len(r.DSSeen) != 1 {
				t.Fatalf("%s cancelled after %d ticks: %s, keys %v, DS %v", c.name, n, r.State, w.Keys, r.DSSeen)
			}
		}
		if cancelled == 0 {
			t.Errorf("%s was never cancelled", c.name)
		}
	}
}

// A kind and a parent that do not fit are refused before anything is touched.
func TestKindsFitTheDriver(t *testing.T) {
	w := rollovertest.New("split", unequal)
	_, err := w.Engine(tight()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk", Method: "double-ds-cds"})
	if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "driver = \"cds\"") {
		t.Errorf("a roll by CDS without the driver: %v", err)
	}
	w.Metadata = map[string][]string{"PUBLISH-CDS": {"2"}}
	if _, err := w.Engine(tight()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: "ksk"}); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("a roll by hand beside CDS: %v", err)
	}
	for _, o := range []rollover.Order{{Type: "ksk", Method: "double-rrset"}, {Type: "csk", To: "csk"}, {Type: "algorithm", Algorithm: 15}} {
		o.Zone = rollovertest.Zone
		if _, err := w.Engine(byCDS()).Start(context.Background(), o); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "CDS records cannot express") {
			t.Errorf("%+v with the driver cds: %v", o, err)
		}
	}
	start(t, w, byCDS(), rollover.Order{Type: "ksk"})
}

// Who abandons a rollover with CDS records published is told that they stay.
func TestAbandonTellsOfCDSRecords(t *testing.T) {
	for _, p := range []rollover.Policy{tight(), byCDS()} {
		w := rollovertest.New("split", unequal)
		start(t, w, p, rollover.Order{Type: "ksk"})
		if err := w.Engine(p).Abandon(rollovertest.Zone, ""); err != nil {
			t.Fatal(err)
		}
		last := w.Events[len(w.Events)-1]
		if told := strings.Contains(last.Text, "pdnsutil unset-publish-cds "+rollovertest.Zone); told != p.CDS || last.Event != rollover.EventCancelled {
			t.Errorf("CDS %v: %s: %s", p.CDS, last.Event, last.Text)
		}
	}
}
