package rollover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// digestOf is the DS of a key of a world, of a digest type.
func digestOf(k rollover.Key, digestType uint8) rollover.DS {
	d, err := k.DNSKEY().DS(rollovertest.Zone, digestType)
	if err != nil {
		panic(err) // keys of a world are well-formed
	}
	return d
}

// strange is a DS of nobody's key.
func strange(algorithm, digestType uint8) rollover.DS {
	return rollover.DS{Tag: 4711, Algorithm: algorithm, DigestType: digestType, Digest: strings.Repeat("AB", 32+16*int(digestType/4))}
}

// misfits is what a world's rollover has that start would have refused.
func misfits(t *testing.T, w *rollovertest.World) []rollover.Misfit {
	t.Helper()
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	return d.Misfits
}

// told is how often an event with these words was told.
func told(w *rollovertest.World, event, words string) int {
	n := 0
	for _, e := range w.Events {
		if e.Event == event && strings.Contains(e.Text, words) {
			n++
		}
	}
	return n
}

// heals fails if some resolver may fail for longer than n units from now on.
func heals(t *testing.T, w *rollovertest.World, p rollover.Policy, n int) {
	t.Helper()
	for range n {
		tick(t, w, p)
		w.Advance(unit)
	}
	if bad := w.Broken(); bad != "" {
		t.Fatalf("still broken after %d units: %s", n, bad)
	}
}

// The registry makes other digests of the new key than were asked for:
// validators that count only the strongest fail. Told at once, and new signs
// beside old at once.
func TestRegistryMakesOtherDigests(t *testing.T) {
	for name, types := range map[string][]uint8{"2 and 4": {2, 4}, "4 alone": {4}} {
		for _, c := range []rolling{
			{"ksk", "split", rollover.Order{Type: "ksk"}}, {"csk", "csk", rollover.Order{Type: "csk"}},
			{"conversion", "csk", rollover.Order{Type: "csk", To: rollover.LayoutSplit}},
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				perform(t, func(t *testing.T, world stage) {
					w, p := world.started(t, c.layout, unequal, c.order)
					toStep(t, w, p, "submit")
					whole(t, w, 5*unit)
					entry := w.Roll().New[0]
					set := w.DSSet()
					for _, digestType := range types {
						set = append(set, digestOf(entry, digestType))
					}
					w.Operator = func(*rollovertest.World, []rollover.DS) {}
					w.SetDS(set)
					w.Advance(unit)
					tickDue(t, w, p)
					r := w.Roll()
					if !strings.Contains(r.Kind, "double-signature") || !r.New[0].Active || !r.Old[0].Active {
						t.Fatalf("kind %s, new %v, old %v: expected both to sign", r.Kind, r.New, r.Old)
					}
					if told(w, rollover.EventUnfit, "count only the strongest digest type") == 0 || told(w, rollover.EventRescued, "stronger digest type") != 1 {
						t.Errorf("not told: %+v", w.Events)
					}
					heals(t, w, p, 12)
					says(t, w, p, "") // status can be told
					if len(misfits(t, w)) > 0 || told(w, rollover.EventFit, "over: ") == 0 {
						t.Errorf("it is not over: %+v", misfits(t, w))
					}
					if types[0] == 4 {
						drive(t, w, p, 60)
						says(t, w, p, "the parent has the right key with digest type 4: set ds_digests, or ask for type 2")
					}
					w.Operator = nil
					goesOn(t, w, p)
				})
			})
		}
	}
}

// A DS of old with a stronger digest comes while new is waited for: the switch
// does not come while strict validators would get to old alone.
func TestStrongerDigestOfOldHoldsTheSwitch(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "ksk"})
		toStep(t, w, p, "submit")
		w.ServeParent(p)
		set := append(w.DSSet(), digestOf(w.Roll().Old[0], 4))
		w.Operator = func(*rollovertest.World, []rollover.DS) {}
		w.SetDS(set)
		stays(t, w, p, 60, asItIs)
		says(t, w, p, "weaker digest type than DS")
		if told(w, rollover.EventUnfit, "ds_digests = [2]") == 0 {
			t.Errorf("not told: %+v", w.Events)
		}
		w.SetDS(set[:2])
		w.Operator = nil
		goesOn(t, w, p)
	})
}

// Foreign DS of every sort, for every kind that hangs on the parent: refused
// where a strict validator fails or will fail, and no matter where none does.
func TestStartWithForeignDS(t *testing.T) {
	orders := map[string]rolling{
		"zsk":       {"", "split", rollover.Order{Type: "zsk"}},
		"ksk":       {"", "split", rollover.Order{Type: "ksk"}},
		"csk":       {"", "csk", rollover.Order{Type: "csk"}},
		"convert":   {"", "csk", rollover.Order{Type: "csk", To: rollover.LayoutSplit}},
		"algorithm": {"", "split", rollover.Order{Type: "algorithm", Algorithm: 15}},
		"unsign":    {"", "split", rollover.Order{Type: "unsign"}},
	}
	cases := []struct {
		name    string
		ds      rollover.DS
		refused []string
		says    string
	}{
		{"stand-by, same algorithm and type", strange(13, 2), []string{"algorithm"}, "which leaves"},
		{"stand-by, same algorithm, SHA-1", strange(13, 1), []string{"algorithm"}, "which leaves"},
		{"stand-by, a stronger digest", strange(13, 4), []string{"ksk", "csk", "convert", "algorithm"}, "remove DS 4711 13 4"},
		{"another algorithm", strange(8, 2), []string{"ksk", "csk", "convert", "algorithm"}, "remove DS 4711 8 2"},
		{"the new algorithm", strange(15, 2), []string{"ksk", "csk", "convert", "algorithm"}, "remove DS 4711 15 2"},
		{"another algorithm, SHA-1", strange(8, 1), nil, ""},
		{"an algorithm that nobody knows", strange(200, 2), nil, ""},
		{"a digest that nobody knows", strange(8, 200), nil, ""},
	}
	for _, c := range cases {
		for name, o := range orders {
			t.Run(c.name+" "+name, func(t *testing.T) {
				w, p := rollovertest.New(o.layout, unequal), tight()
				w.SetDS(append(w.DSSet(), c.ds))
				if slices.Contains(c.refused, name) {
					if err := startRefused(t, w, o.order, c.says); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(fmt.Sprint(err), "example.com") {
						t.Errorf("start says %v", err)
					}
					return
				}
				start(t, w, p, o.order)
				if c.says == "" || name != "zsk" && name != "unsign" { // else strict validators fail before and after, and nothing of it is ours
					drive(t, w, p, 400)
				} else {
					for range 400 {
						tick(t, w, p)
						w.ServeParent(p)
						w.Advance(unit)
					}
				}
				if r := w.Roll(); r.State != rollover.StateDone {
					t.Errorf("it is %s at %s, need %+v", r.State, r.Step, r.Need)
				}
			})
		}
	}
}

// A foreign DS of the algorithm that leaves comes while an algorithm rollover
// runs: told, nothing is asked for or taken away, and nobody is told to remove
// the DS of old; it goes on when that is gone.
func TestForeignDSInAnAlgorithmRollover(t *testing.T) {
	for _, step := range []string{"publish", "submit"} {
		t.Run(step, func(t *testing.T) {
			perform(t, func(t *testing.T, world stage) {
				w, p := world.started(t, "split", unequal, rollover.Order{Type: "algorithm", Algorithm: 15})
				w.Operator = func(*rollovertest.World, []rollover.DS) {}
				toStep(t, w, p, step)
				set := w.DSSet()
				w.SetDS(append(slices.Clone(set), strange(13, 2)))
				w.Advance(unit)
				tickDue(t, w, p)
				w.Operator = func(w *rollovertest.World, want []rollover.DS) { w.SetDS(append(want, strange(13, 2))) }
				stays(t, w, p, 60, asItIs)
				says(t, w, p, "which leaves")
				if n := told(w, rollover.EventUnfit, "DS 4711"); n != 2 { // each of the parent's servers
					t.Errorf("told %d times", n)
				}
				if del := w.Roll().Parent(p).Remove; len(del) > 0 {
					t.Errorf("asks to remove %v", del)
				}
				if c := checkup(t, w, 0); !slices.Contains(codes(c), rollover.FindingForeign) || c.Severity != rollover.SeverityCritical {
					t.Errorf("check says %s, %v", c.Severity, c.Findings)
				}
				w.Operator = nil
				w.SetDS(slices.DeleteFunc(w.DSSet(), func(d rollover.DS) bool { return d.Tag == 4711 }))
				goesOn(t, w, p)
			})
		})
	}
}

// foreignKeys puts a key of nobody into every DNSKEY set.
func foreignKeys(k rollover.DNSKEY) func(*rollover.Sighting) {
	return func(s *rollover.Sighting) {
		for i, o := range s.Servers {
			if o.DNSKEY != nil {
				v := *o.DNSKEY
				v.Keys = append(slices.Clone(v.Keys), k)
				s.Servers[i].DNSKEY = &v
			}
		}
	}
}

// Foreign DNSKEY: harmless for keys of one algorithm, refused and held where
// their algorithm leaves.
func TestForeignDNSKEY(t *testing.T) {
	stranger := func(algorithm uint8) func(*rollover.Sighting) {
		k := rollovertest.Twin(rollovertest.New("csk", unequal).Keys[0].DNSKEY())
		k.Algorithm = algorithm
		return foreignKeys(k)
	}
	t.Run("start", func(t *testing.T) {
		for _, kind := range []string{"zsk", "ksk"} {
			w, p := rollovertest.New("split", unequal), tight()
			sees(w, stranger(13))
			start(t, w, p, rollover.Order{Type: kind})
			goesOn(t, w, p)
		}
		w := rollovertest.New("split", unequal)
		sees(w, stranger(13))
		startRefused(t, w, rollover.Order{Type: "algorithm", Algorithm: 15}, "pdnsutil delete-rrset example.com @ DNSKEY")
	})
	t.Run("running", func(t *testing.T) {
		perform(t, func(t *testing.T, world stage) {
			w, p := world.started(t, "split", unequal, rollover.Order{Type: "algorithm", Algorithm: 15})
			toStep(t, w, p, "submit")
			stays(t, w, p, 60, stranger(13))
			says(t, w, p, "delete-rrset")
			goesOn(t, w, p)
		})
	})
}

// A DS comes during a first signing before any is asked for.
func TestDSBeforeAFirstSigningAsks(t *testing.T) {
	w, p := rollovertest.New("unsigned", unequal), tight()
	start(t, w, p, rollover.Order{Type: "sign"})
	w.SetDS([]rollover.DS{strange(13, 2)})
	w.Advance(unit)
	for range 60 {
		tick(t, w, p)
		w.Advance(unit)
	}
	if r := w.Roll(); r.Step != "sign" || told(w, rollover.EventUnfit, "before any was asked for") != 2 {
		t.Errorf("at %s, %+v", r.Step, w.Events)
	}
	says(t, w, p, "remove DS 4711 13 2")
	w.SetDS(nil)
	w.Advance(40 * unit)
	goesOn(t, w, p)
}

// two makes an engine ask only what is configured, in a zone of two providers.
func servedByTwo(w *rollovertest.World) {
	tune := w.Tune
	w.Tune = func(e *rollover.Engine) {
		if tune != nil {
			tune(e)
		}
		setting := e.Setting
		e.Setting = func(zone string) rollover.Setting {
			s := setting(zone)
			s.ServersOnly = true
			return s
		}
	}
}

// With servers_only the servers of a second provider are not looked at, and
// nobody sees whether they publish the new key.
func TestTwoProvidersAndServersOnly(t *testing.T) {
	k := rollovertest.Twin(rollovertest.New("csk", unequal).Keys[0].DNSKEY())
	for kind, layout := range map[string]string{"zsk": "split", "csk": "csk"} {
		w := rollovertest.New(layout, unequal)
		servedByTwo(w)
		mend := sees(w, foreignKeys(k))
		startRefused(t, w, rollover.Order{Type: kind}, "servers_only")
		mend()
		p := tight()
		start(t, w, p, rollover.Order{Type: kind})
		stays(t, w, p, 60, foreignKeys(k))
		says(t, w, p, "servers_only")
		goesOn(t, w, p)
	}
	w := rollovertest.New("split", unequal)
	servedByTwo(w)
	sees(w, foreignKeys(k))
	start(t, w, tight(), rollover.Order{Type: "ksk"}) // their data is theirs
}

// check names a DS that points to no key, and not those of a running rollover.
func TestCheckNamesAStrangeDS(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "ksk"})
	goesOn(t, w, p)
	if c := checkup(t, w, 0); c.Severity != rollover.SeverityOK {
		t.Errorf("check says %v", c.Findings)
	}
	w.SetDS(append(w.DSSet(), strange(13, 2)))
	w.Advance(unit)
	c := checkup(t, w, 0)
	finds(t, c, rollover.FindingForeign, rollover.SeverityWarning)
	if !strings.Contains(fmt.Sprint(c.Findings), "remove DS 4711 13 2") {
		t.Errorf("check says %v", c.Findings)
	}
	w.SetDS(append(w.DSSet()[:1], strange(13, 4)))
	w.Advance(unit)
	finds(t, checkup(t, w, 0), rollover.FindingDigest, rollover.SeverityWarning)
}

// A server that is silent now has not said that it is over.
func TestSilenceDoesNotMakeItFit(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "algorithm", Algorithm: 15})
	w.SetDSAt("p2", append(w.DSSet(), strange(13, 2)), 0)
	w.Advance(unit)
	toStep(t, w, p, "publish")
	w.Down["p2"] = true
	w.Advance(unit)
	tickDue(t, w, p)
	if m := misfits(t, w); len(m) != 1 || told(w, rollover.EventFit, "") > 0 {
		t.Errorf("misfits %+v", m)
	}
	w.Down["p2"] = false
	w.SetDS(w.DSSet())
	w.Advance(unit)
	tickDue(t, w, p)
	if m := misfits(t, w); len(m) > 0 || told(w, rollover.EventFit, "DS 4711") != 1 {
		t.Errorf("misfits %+v", m)
	}
}

// On the way back it is the new algorithm that leaves.
func TestForeignDSOfTheNewAlgorithmOnTheWayBack(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "algorithm", Algorithm: 15})
		toStep(t, w, p, "publish")
		whole(t, w, 5*unit)
		w.Operator = func(*rollovertest.World, []rollover.DS) {}
		if err := w.Engine(p).Cancel(context.Background(), rollovertest.Zone, "no"); err != nil {
			t.Fatal(err)
		}
		old := w.DSSet()
		set := append(slices.Clone(old), dsOfKey(w.Roll().New[0]))
		w.SetDS(append(slices.Clone(set), strange(15, 2)))
		w.Advance(unit)
		stays(t, w, p, 60, asItIs)
		says(t, w, p, "remove DS 4711 15 2")
		w.SetDS(set)
		w.Operator = nil
		drive(t, w, p, 400)
		if r := w.Roll(); r.State != rollover.StateCancelled {
			t.Errorf("it is %s at %s, need %+v", r.State, r.Step, r.Need)
		}
	})
}

// The mirror: old stopped, and the registry makes a stronger digest of it.
func TestStrongerDigestOfOldAfterTheSwitch(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "ksk"})
		toStep(t, w, p, "switch")
		w.Operator = func(*rollovertest.World, []rollover.DS) {}
		w.SetDS(append(w.DSSet(), digestOf(w.Roll().Old[0], 4)))
		w.Advance(unit)
		tickDue(t, w, p)
		if r := w.Roll(); !r.Old[0].Active || !r.New[0].Active {
			t.Fatalf("old %v, new %v: expected both to sign", r.Old, r.New)
		}
		heals(t, w, p, 12)
		w.Operator = nil
		goesOn(t, w, p)
	})
}

// CDS records that PowerDNS is made to publish in the middle of a rollover whose
// parent is asked by hand: start refuses them, and so no step that changes keys
// is entered while they are there.
func TestCDSInTheMiddle(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "ksk"})
		toStep(t, w, p, "submit")
		w.Metadata = map[string][]string{"PUBLISH-CDS": {"2"}}
		stays(t, w, p, 60, asItIs)
		says(t, w, p, "pdnsutil unset-publish-cds example.com")
		if n := told(w, rollover.EventUnfit, "PUBLISH-CDS"); n != 1 {
			t.Errorf("told %d times", n)
		}
		w.Metadata = nil
		goesOn(t, w, p)
		if n := told(w, rollover.EventFit, "PUBLISH-CDS"); n != 1 {
			t.Errorf("that it is over was told %d times", n)
		}
	})
}
