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

// Guards that a second belt hides, each tested without that belt: the gates are
// off in all worlds of this file. See docs/mutants.md.

// bareWorld is a world without gates.
func bareWorld(layout string, ttl rollovertest.TTLs) *rollovertest.World {
	w := rollovertest.New(layout, ttl)
	w.Tune = rollover.Ungate
	return w
}

// keyOfNobody is a key that nobody in a world has.
func keyOfNobody(flags uint16) rollover.DNSKEY {
	return rollover.DNSKEY{Flags: flags, Algorithm: 13, PublicKey: "bm9ib2R5"}
}

// signedByOthers is a DNSKEY set with a key of a stranger, who alone has signed it.
func signedByOthers(o *rollover.ServerSighting) {
	if v := o.DNSKEY; v != nil {
		stranger := keyOfNobody(257)
		o.DNSKEY = &rollover.KeyVersion{Keys: append(slices.Clone(v.Keys), stranger), Signers: []rollover.DNSKEY{stranger}, TTL: v.TTL, Expires: v.Expires}
	}
}

// A DNSKEY set that a stranger signed holds every key that is waited for. It may
// be forged: it earns nothing, loses what was earned, and is named.
func TestSetsThatAStrangerSignedEarnNothing(t *testing.T) {
	for _, kind := range []string{"zsk", "ksk"} {
		w, p := bareWorld("split", unequal), tight()
		start(t, w, p, rollover.Order{Type: kind})
		stays(t, w, p, 60, at("ns2", signedByOthers))
		says(t, w, p, "DNSKEY set is not signed by a key of this zone")
		goesOn(t, w, p)
	}
}

// Nor are public keys learned from it, and what is in it is no surprise.
func TestNothingIsLearnedFromSetsThatAStrangerSigned(t *testing.T) {
	w, p := bareWorld("split", unequal), tight()
	before := len(w.Keys)
	forged := func(s *rollover.Sighting) {
		for i := range s.Servers {
			if len(w.Keys) > before {
				signedByOthers(&s.Servers[i])
			}
			for _, k := range w.Keys[before:] {
				impersonated(k.DNSKEY(), rollovertest.Twin(k.DNSKEY()))(&s.Servers[i])
			}
		}
	}
	mend := sees(w, forged)
	start(t, w, p, rollover.Order{Type: "zsk"})
	stays(t, w, p, 30, forged)
	mend()
	r := w.Roll()
	if len(r.Foreign) > 0 || r.New[0].PublicKey != "" {
		t.Errorf("foreign keys %v, public key %q", r.Foreign, r.New[0].PublicKey)
	}
	goesOn(t, w, p)
}

// A key that is not yet known by its octets vouches for no set, although a key
// with its tag signed it: else the stranger would be taken for ours.
func TestATagAloneVouchesForNothing(t *testing.T) {
	w, p := bareWorld("split", unequal), tight()
	before := len(w.Keys)
	forged := func(s *rollover.Sighting) {
		for i := range s.Servers {
			for _, k := range w.Keys[before:] {
				twin := rollovertest.Twin(k.DNSKEY())
				impersonated(k.DNSKEY(), twin)(&s.Servers[i])
				if v := s.Servers[i].DNSKEY; v != nil {
					v.Signers = []rollover.DNSKEY{twin}
				}
			}
		}
	}
	mend := sees(w, forged)
	start(t, w, p, rollover.Order{Type: "zsk"})
	stays(t, w, p, 30, forged)
	mend()
	if k := w.Roll().New[0].PublicKey; k != "" {
		t.Errorf("it takes %q for ours", k)
	}
	goesOn(t, w, p)
}

// A server without any DNSKEY set does not show that old is gone, as long as
// PowerDNS signs the zone.
func TestNoDNSKEYSetIsNoProofThatOldIsGone(t *testing.T) {
	w, p := bareWorld("split", unequal), tight()
	start(t, w, p, rollover.Order{Type: "zsk"})
	w.Lag["ns2"] = 2 * unit // so that the step is seen before it is done
	toStep(t, w, p, "retire")
	stays(t, w, p, 20, at("ns2", func(o *rollover.ServerSighting) {
		if o.DNSKEY != nil {
			o.DNSKEY = &rollover.KeyVersion{TTL: o.DNSKEY.TTL}
		}
	}))
	says(t, w, p, "has no DNSKEY set")
	goesOn(t, w, p)
}

// A server that lags, and whose route was lost at the very look that counts, is
// waited for by the waits themselves.
func TestLostRouteIsWaitedForByTheWaits(t *testing.T) {
	w, p := bareWorld("split", unequal), tight()
	w.Lag["ns2"] = 200 * unit
	start(t, w, p, rollover.Order{Type: "zsk"})
	stays(t, w, p, 60, func(s *rollover.Sighting) {
		at("ns2", func(o *rollover.ServerSighting) {
			*o = rollover.ServerSighting{Server: o.Server, Unchecked: "no IPv6 route from here"}
		})(s)
	})
	says(t, w, p, "no IPv6 route from here")
}

// The same of a server of the parent.
func TestLostRouteToTheParentIsWaitedForByTheWaits(t *testing.T) {
	w, p := bareWorld("split", unequal), tight()
	w.Lag["p2"] = 200 * unit
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	stays(t, w, p, 60, at("p2", func(o *rollover.ServerSighting) {
		*o = rollover.ServerSighting{Server: o.Server, Unchecked: "no IPv6 route from here"}
	}))
	says(t, w, p, "no IPv6 route from here")
}

// When no server of the zone, or none of its parent, can be asked from here,
// nothing holds.
func TestNobodyToAskIsNotEverybody(t *testing.T) {
	for role, kind := range map[string]string{rollover.RoleChild: "zsk", rollover.RoleParent: "ksk"} {
		w, p := bareWorld("split", unequal), tight()
		start(t, w, p, rollover.Order{Type: kind})
		step := "publish"
		if kind == "ksk" {
			step = "submit"
		}
		toStep(t, w, p, step)
		stays(t, w, p, 60, func(s *rollover.Sighting) {
			s.Servers = slices.DeleteFunc(s.Servers, func(o rollover.ServerSighting) bool { return o.Role == role })
		})
		says(t, w, p, "no server could be asked")
		goesOn(t, w, p)
	}
}

// A server that was silent while the TTL was lowered may have served what it
// shows now with the TTL of before.
func TestTheTTLOfBeforeOutlivesASilence(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for record, version := range map[rollover.Record]func(ttl uint32) rollover.ServerSighting{
		rollover.RecordDNSKEY: func(ttl uint32) rollover.ServerSighting {
			return rollover.ServerSighting{DNSKEY: &rollover.KeyVersion{Keys: []rollover.DNSKEY{{Flags: uint16(ttl)}}, TTL: ttl}}
		},
		rollover.RecordData: func(ttl uint32) rollover.ServerSighting {
			return rollover.ServerSighting{Data: &rollover.DataVersion{Signers: []rollover.DNSKEY{{Flags: uint16(ttl)}}, TTL: ttl}}
		},
		rollover.RecordDS: func(ttl uint32) rollover.ServerSighting {
			return rollover.ServerSighting{DS: &rollover.DSVersion{Set: []rollover.DS{{Tag: uint16(ttl)}}, TTL: ttl}}
		},
	} {
		role := rollover.RoleChild
		if record == rollover.RecordDS {
			role = rollover.RoleParent
		}
		var l rollover.Ledger
		look := func(shown ...rollover.ServerSighting) {
			for i := range shown {
				shown[i].Server = rollover.Server{Role: role, Address: fmt.Sprint("s", i)}
			}
			l.LearnSighting(rollover.Sighting{At: rollover.Instant{Wall: at}, Records: []rollover.Record{record}, Servers: shown})
		}
		look(version(9000), version(9000))
		look(version(300), rollover.ServerSighting{Unknown: "timed out"})
		look(version(300), version(301))
		last := l.Entries[len(l.Entries)-1]
		if last.Server != "s1" || last.TTL != 9000 {
			t.Errorf("%s: what %s shows after its silence counts for %d s, expected 9000", record, last.Server, last.TTL)
		}
		look(version(300), version(302))
		if last := l.Entries[len(l.Entries)-1]; last.TTL != 302 {
			t.Errorf("%s: one look later %d s", record, last.TTL)
		}
	}
}

// Two ZSKs have one tag, and only the tag of ours is known: whichever server is
// asked first, none is taken for ours until the other is gone.
func TestOfTwoKeysWithOneTagNoneIsOurs(t *testing.T) {
	both := func(k rollover.DNSKEY) func(*rollover.ServerSighting) {
		return func(o *rollover.ServerSighting) {
			if v := o.DNSKEY; v != nil && slices.Contains(v.Keys, k) {
				o.DNSKEY = &rollover.KeyVersion{Keys: append([]rollover.DNSKEY{rollovertest.Twin(k)}, v.Keys...), Signers: v.Signers, TTL: v.TTL, Expires: v.Expires}
			}
		}
	}
	swapped := func(k rollover.DNSKEY) func(*rollover.ServerSighting) { return impersonated(k, rollovertest.Twin(k)) }
	for name, c := range map[string]struct {
		server string
		twin   func(rollover.DNSKEY) func(*rollover.ServerSighting)
	}{"on the first server": {"ns1", swapped}, "on the second": {"ns2", swapped}, "in one set": {"ns1", both}} {
		t.Run(name, func(t *testing.T) {
			w, p := bareWorld("split", unequal), tight()
			before := len(w.Keys)
			impostor := func(s *rollover.Sighting) {
				for _, k := range w.Keys[before:] {
					at(c.server, c.twin(k.DNSKEY()))(s)
				}
			}
			mend := sees(w, impostor)
			start(t, w, p, rollover.Order{Type: "zsk"})
			stays(t, w, p, 20, impostor)
			if k := w.Roll().New[0]; k.PublicKey != "" {
				t.Errorf("it takes %q for ours, which is %q", k.PublicKey, w.Keys[before].PublicKey)
			}
			mend()
			goesOn(t, w, p)
		})
	}
}

// A zone that became a secondary, presigned, or another roller's in the middle of
// a rollover is not touched: blocked at the next reading, for each kind of
// zone; resume is refused until that was undone.
func TestZoneThatMustNotBeRolledAnyMore(t *testing.T) {
	for name, change := range map[string]func(w *rollovertest.World, undo bool){
		"a secondary": func(w *rollovertest.World, undo bool) {
			w.ZoneKind = map[bool]string{false: rollover.KindSlave, true: rollover.KindMaster}[undo]
		},
		"a consumer": func(w *rollovertest.World, undo bool) {
			w.ZoneKind = map[bool]string{false: rollover.KindConsumer, true: rollover.KindMaster}[undo]
		},
		"of another roller": func(w *rollovertest.World, undo bool) {
			w.Metadata = map[bool]map[string][]string{false: {"X-ROLLOVER": {"1"}}}[undo]
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := bareWorld("split", unequal), tight()
			start(t, w, p, rollover.Order{Type: "ksk"})
			change(w, false)
			keys := fmt.Sprint(w.Keys)
			for range 60 {
				tickDue(t, w, p)
				w.ServeParent(p)
				whole(t, w, unit)
			}
			r := w.Roll()
			if r.State != rollover.StateBlocked || r.Block.Code != rollover.BlockZoneChanged || fmt.Sprint(w.Keys) != keys {
				t.Fatalf("it is %s at step %s, block %+v, keys %v", r.State, r.Step, r.Block, w.Keys)
			}
			for order, f := range map[string]func() error{
				"resume": func() error { return w.Engine(p).Resume(context.Background(), rollovertest.Zone, "") },
				"cancel": func() error { return w.Engine(p).Cancel(context.Background(), rollovertest.Zone, "") },
				"revert": func() error { return revert(w, false) },
			} {
				if err := f(); !errors.Is(err, rollover.ErrRefused) {
					t.Errorf("%s says %v", order, err)
				}
			}
			change(w, true)
			if err := w.Engine(p).Resume(context.Background(), rollovertest.Zone, ""); err != nil {
				t.Fatal(err)
			}
			goesOn(t, w, p)
		})
	}
}

// A validator that says bogus is doubt, whoever else is content, in any order;
// so is one that does not validate. One that gives no answer is no veto.
func TestOneValidatorThatDoubtsIsEnough(t *testing.T) {
	doubts := map[string]struct {
		v    rollover.ValidatorSighting
		veto bool
	}{
		"bogus":   {rollover.ValidatorSighting{Address: "192.0.2.2", Bogus: true, AD: true}, true},
		"no AD":   {rollover.ValidatorSighting{Address: "192.0.2.2"}, true},
		"unknown": {rollover.ValidatorSighting{Address: "192.0.2.2", Unknown: "timed out"}, false},
	}
	for name, c := range doubts {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", first ", first), func(t *testing.T) {
				w, p := bareWorld("split", unequal), tight()
				p.Evidence = rollover.EvidenceResolver
				see := func(with bool) func(s *rollover.Sighting) {
					return func(s *rollover.Sighting) {
						list := []rollover.ValidatorSighting{{Address: "192.0.2.1", AD: true, Set: w.DSSet()}}
						switch {
						case with && first:
							list = append([]rollover.ValidatorSighting{c.v}, list...)
						case with:
							list = append(list, c.v)
						}
						if with && c.v.Unknown == "" {
							list[slices.IndexFunc(list, func(v rollover.ValidatorSighting) bool { return v.Address == c.v.Address })].Set = w.DSSet()
						}
						s.Validators = list
					}
				}
				sees(w, see(false))
				start(t, w, p, rollover.Order{Type: "ksk"})
				toStep(t, w, p, "submit")
				w.ServeParent(p)
				for range 60 {
					tickSeeing(t, w, p, see(true))
					whole(t, w, unit)
				}
				if stayed := w.Roll().Step == "submit"; stayed != c.veto {
					t.Errorf("it is at step %s, need %+v", w.Roll().Step, w.Roll().Need)
				}
				if c.veto {
					says(t, w, p, "validator 192.0.2.2")
				}
				goesOn(t, w, p)
			})
		}
	}
}

// predicted is what the product was asked about before a step.
func predicted(t *testing.T, layout string, p rollover.Policy, o rollover.Order, step string) (*rollovertest.World, rollover.Cached) {
	t.Helper()
	w := rollovertest.New(layout, unequal)
	var asked []rollover.Cached
	w.Tune = func(e *rollover.Engine) {
		product := e.Product
		e.Product = func(c rollover.Cached) []string {
			asked = append(asked, c)
			return product(c)
		}
	}
	start(t, w, p, o)
	toStep(t, w, p, step)
	if len(asked) == 0 {
		t.Fatalf("nobody asked the product before %s", step)
	}
	return w, asked[len(asked)-1]
}

// Before a step the product is asked about what each of its commands makes, one
// after the other: PowerDNS serves what is between two of them.
func TestTheProductSeesWhatIsBetweenTwoCommands(t *testing.T) {
	w, c := predicted(t, "split", tight(), rollover.Order{Type: "ksk"}, "switch")
	r := w.Roll()
	old, made := r.Old[0].DNSKEY(), r.New[0].DNSKEY()
	signers := func(want ...rollover.DNSKEY) bool {
		return slices.ContainsFunc(c.Keys, func(v rollover.KeyVersion) bool {
			return len(v.Signers) == len(want) && !slices.ContainsFunc(want, func(k rollover.DNSKEY) bool { return !slices.Contains(v.Signers, k) })
		})
	}
	if !signers(old) || !signers(old, made) || !signers(made) {
		t.Errorf("not all of old, both and new are foreseen as signers: %+v", c.Keys)
	}
	zsk := w.Keys[1].DNSKEY()
	if n := len(c.Data); n == 0 || slices.ContainsFunc(c.Data, func(d rollover.DataVersion) bool { return !slices.Equal(d.Signers, []rollover.DNSKEY{zsk}) }) {
		t.Errorf("data is foreseen as %+v", c.Data)
	}
}

// What signs data is foreseen as well, and a key that is published without
// signing does not count as a signer.
func TestTheProductSeesWhoWillSignData(t *testing.T) {
	w, c := predicted(t, "split", tight(), rollover.Order{Type: "zsk"}, "switch")
	r := w.Roll()
	old, made := r.Old[0].DNSKEY(), r.New[0].DNSKEY()
	var got []string
	for _, d := range c.Data[len(c.Data)-2:] {
		got = append(got, fmt.Sprint(slices.Contains(d.Signers, old), slices.Contains(d.Signers, made)))
	}
	if want := []string{"true true", "false true"}; !slices.Equal(got, want) {
		t.Errorf("old and new sign, after each command: %q, expected %q", got, want)
	}
	ksk := w.Keys[0].DNSKEY()
	if slices.ContainsFunc(c.Data, func(d rollover.DataVersion) bool { return slices.Contains(d.Signers, ksk) }) {
		t.Errorf("the KSK is foreseen to sign data: %+v", c.Data)
	}
}

// Keys of others in the DNSKEY set stay there, whatever a step does.
func TestTheProductSeesForeignKeysStay(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	foreign := keyOfNobody(256)
	var asked []rollover.Cached
	w.Tune = func(e *rollover.Engine) {
		product := e.Product
		e.Product = func(c rollover.Cached) []string { asked = append(asked, c); return product(c) }
	}
	sees(w, func(s *rollover.Sighting) {
		for i := range s.Servers {
			if v := s.Servers[i].DNSKEY; v != nil {
				keys := *v
				keys.Keys = append(slices.Clone(v.Keys), foreign)
				s.Servers[i].DNSKEY = &keys
			}
		}
	})
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	if len(asked) == 0 {
		t.Fatal("nobody asked the product")
	}
	for _, v := range asked[len(asked)-1].Keys {
		if !slices.Contains(v.Keys, foreign) {
			t.Errorf("a set without the foreign key is foreseen: %+v", v)
		}
	}
}

// Before a step that asks the parent for another DS set, the product is asked
// about that set too, with the foreign records that stay there, each once.
func TestTheProductSeesTheDSSetThatIsAskedFor(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	stray := rollover.DS{Tag: 4711, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
	w.SetDS(append(w.DSSet(), stray))
	w.Advance(unequal.DS)
	var asked []rollover.Cached
	w.Tune = func(e *rollover.Engine) {
		product := e.Product
		e.Product = func(c rollover.Cached) []string { asked = append(asked, c); return product(c) }
	}
	start(t, w, p, rollover.Order{Type: "ksk", Method: "double-signature"})
	toStep(t, w, p, "submit")
	if len(asked) == 0 {
		t.Fatal("nobody asked the product")
	}
	c, want := asked[len(asked)-1], []rollover.DS{dsOfKey(w.Roll().New[0]), stray}
	if last := c.DS[len(c.DS)-1]; !slices.Equal(last.Set, want) {
		t.Errorf("the DS set is foreseen as %v, expected %v", last.Set, want)
	}
}

// In unsign the set that is asked for is none at all.
func TestTheProductSeesThatNoDSIsAskedFor(t *testing.T) {
	stray := rollover.DS{Tag: 4711, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
	w := rollovertest.New("split", unequal)
	w.SetDS(append(w.DSSet(), stray))
	w.Advance(unequal.DS)
	var asked []rollover.Cached
	w.Tune = func(e *rollover.Engine) {
		e.Product = func(c rollover.Cached) []string { asked = append(asked, c); return nil }
	}
	start(t, w, tight(), rollover.Order{Type: "unsign"})
	if len(asked) == 0 {
		t.Fatal("nobody asked the product")
	}
	if c := asked[0]; !slices.ContainsFunc(c.DS, func(v rollover.DSVersion) bool { return len(v.Set) == 0 }) {
		t.Errorf("no DS at all is not foreseen: %+v", c.DS)
	}
}

// A step is half done, and what is missing waits for the parent: no driver is
// asked for anything before the rest is done.
func TestNothingIsHandedOverWithAnOpenIntent(t *testing.T) {
	w := bareWorld("split", unequal)
	k := &clerk{world: w}
	startDriven(t, w, k, rollover.Order{Type: "ksk"})
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		if c.Verb == rollover.VerbActivate {
			w.Apply(c)
			return nil
		}
		return errors.New("database is locked")
	}
	for range 100 {
		if w.Roll().Intent != nil {
			break
		}
		tickDriven(t, w, k)
		whole(t, w, unit)
	}
	w.SetDS([]rollover.DS{dsOfKey(w.Roll().Old[0])}) // the DS of new is lost
	whole(t, w, 60*unit)
	before := len(k.changes)
	tickDriven(t, w, k)
	r := w.Roll()
	if r.Intent == nil || r.Need == nil || r.Need.Actor != rollover.ActorYou || len(k.changes) != before {
		t.Fatalf("intent %+v, need %+v, %d changes more", r.Intent, r.Need, len(k.changes)-before)
	}
}

func tickDriven(t *testing.T, w *rollovertest.World, k *clerk) {
	t.Helper()
	if _, err := driven(w, k).Tick(context.Background(), []string{rollovertest.Zone}); err != nil {
		t.Fatal(err)
	}
}

// A new key that vanished must never look like one that is everywhere: a side
// without keys has nothing, and signs nothing.
func TestASideWithoutKeysHasNothing(t *testing.T) {
	for _, c := range []struct{ kind, method, step string }{{"zsk", "", "publish"}, {"zsk", "", "switch"}, {"ksk", "", "submit"}, {"ksk", "double-signature", "publish"}} {
		w, p := bareWorld("split", unequal), tight()
		start(t, w, p, rollover.Order{Type: c.kind, Method: c.method})
		toStep(t, w, p, c.step)
		d, err := w.Load(rollovertest.Zone)
		if err != nil {
			t.Fatal(err)
		}
		kind := kindNamed(t, d.Roll.Kind)
		r := *d.Roll
		r.New, r.SpecNew = nil, nil
		for range 40 {
			s, err := w.Look(context.Background(), rollover.Question{Zone: rollovertest.Zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData, rollover.RecordDS}})
			if err != nil {
				t.Fatal(err)
			}
			d.Ledger.LearnSighting(s)
			var v rollover.Verdict
			if r, v = kind.Next(r, d.Ledger, s, p); v.Enter != nil {
				t.Fatalf("%s %s: without a new key it goes on from %s to %s", c.kind, c.method, c.step, v.Enter.Name)
			}
			w.Advance(unit)
		}
	}
}

func kindNamed(t *testing.T, name string) rollover.Kind {
	t.Helper()
	for _, k := range rollover.Kinds() {
		if k.Name() == name {
			return k
		}
	}
	t.Fatalf("there is no kind %q", name)
	return rollover.Kind{}
}

// A replayed DS set loses what was earned, although it has all that is waited
// for: what the server has now is not known.
func TestAReplayLosesWhatWasEarned(t *testing.T) {
	w, p := bareWorld("split", unequal), byProof()
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.ServeParent(p)
	for range 4 {
		tickDue(t, w, p)
		whole(t, w, unit)
	}
	earned := func() (most time.Duration) {
		for statement, servers := range w.Roll().Held {
			if strings.HasPrefix(statement, "DS has new") {
				most = max(most, servers["p2"].Earned)
			}
		}
		return most
	}
	if earned() == 0 {
		t.Fatalf("nothing was earned: %+v", w.Roll().Held)
	}
	tickSeeing(t, w, p, at("p2", func(o *rollover.ServerSighting) {
		version, standing := *o.DS, *o.DS.Standing
		standing.Signed = standing.Signed.Add(-24 * time.Hour)
		version.Standing, o.DS = &standing, &version
	}))
	if earned() > 0 {
		t.Errorf("%s are left: %+v", earned(), w.Roll().Held)
	}
	says(t, w, p, "replays an older DS set")
	goesOn(t, w, p)
}
