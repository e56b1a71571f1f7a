package rollover_test

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// Every part of what a server shows may be missing, in whatever combination: a
// server that answers for its SOA and gives no usable DNSKEY set is one of them.
type mutilation struct {
	name string
	of   func(*rollover.ServerSighting)
}

// mutilations are all combinations of the parts that a server of a side shows.
func mutilations(role string) []mutilation {
	if role == rollover.RoleParent {
		return combined(parentParts(), doubts())
	}
	return combined(childParts(), doubts())
}

func childParts() []mutilation {
	keys := []mutilation{
		{"keys", func(*rollover.ServerSighting) {}}, {"no DNSKEY", func(v *rollover.ServerSighting) { v.DNSKEY = nil }},
		{"an empty DNSKEY set", func(v *rollover.ServerSighting) { v.DNSKEY = &rollover.KeyVersion{} }},
		{"keys, none signs", func(v *rollover.ServerSighting) { v.DNSKEY = &rollover.KeyVersion{Keys: keysOf(v.DNSKEY)} }},
	}
	data := []mutilation{
		{"data", func(*rollover.ServerSighting) {}}, {"no data", func(v *rollover.ServerSighting) { v.Data = nil }},
		{"data without anything", func(v *rollover.ServerSighting) { v.Data = &rollover.DataVersion{} }},
	}
	serials := []mutilation{
		{"a serial", func(v *rollover.ServerSighting) { v.Serial = 7 }}, {"an older serial", func(v *rollover.ServerSighting) { v.Serial = 3 }},
		{"no serial", func(v *rollover.ServerSighting) { v.Serial = 0 }},
	}
	return combined(keys, data, serials)
}

// combined is every choice of one of each list.
func combined(lists ...[]mutilation) []mutilation {
	out := []mutilation{{"", func(*rollover.ServerSighting) {}}}
	for _, choices := range lists {
		var next []mutilation
		for _, before := range out {
			for _, c := range choices {
				next = append(next, mutilation{before.name + ", " + c.name, func(v *rollover.ServerSighting) { before.of(v); c.of(v) }})
			}
		}
		out = next
	}
	return out
}

func keysOf(v *rollover.KeyVersion) []rollover.DNSKEY {
	if v == nil {
		return nil
	}
	return v.Keys
}

func parentParts() []mutilation {
	standing := func(s rollover.Security) func(*rollover.ServerSighting) {
		return func(v *rollover.ServerSighting) {
			if v.DS != nil {
				v.DS = &rollover.DSVersion{Set: v.DS.Set, TTL: v.DS.TTL, Standing: &rollover.Standing{Security: s}}
			}
		}
	}
	return []mutilation{
		{"DS", func(*rollover.ServerSighting) {}}, {"no DS answer", func(v *rollover.ServerSighting) { v.DS = nil }},
		{"an empty DS set", func(v *rollover.ServerSighting) { v.DS = &rollover.DSVersion{} }},
		{"secure", standing(rollover.Secure)}, {"bogus", standing(rollover.Bogus)}, {"insecure", standing(rollover.Insecure)},
	}
}

func doubts() []mutilation {
	return []mutilation{
		{"", func(*rollover.ServerSighting) {}}, {"unknown", func(v *rollover.ServerSighting) { v.Unknown = "timed out" }},
		{"unchecked", func(v *rollover.ServerSighting) { v.Unchecked = "no IPv6 route from here" }},
	}
}

// maimed are the sightings in which the servers of one side show all pairs of
// what they can lack, and those in which a side has no server at all.
func maimed(s rollover.Sighting, visit func(name string, s rollover.Sighting)) {
	for _, role := range []string{rollover.RoleChild, rollover.RoleParent} {
		all := mutilations(role)
		for _, one := range all {
			for _, other := range all {
				visit(role+":"+one.name+" |"+other.name, mutilated(s, role, one, other))
			}
		}
		gone := s
		gone.Servers = slices.DeleteFunc(slices.Clone(s.Servers), func(v rollover.ServerSighting) bool { return v.Role == role })
		visit("no "+role+" at all", gone)
	}
	s.Servers = nil
	visit("no server at all", s)
}

// alike are those in which all servers of one side lack the same, or one does.
func alike(s rollover.Sighting, visit func(name string, s rollover.Sighting)) {
	whole := mutilation{"whole", func(*rollover.ServerSighting) {}}
	for _, role := range []string{rollover.RoleChild, rollover.RoleParent} {
		for _, one := range mutilations(role) {
			visit(role+":"+one.name, mutilated(s, role, one))
			visit(role+":"+one.name+" | whole", mutilated(s, role, one, whole))
		}
	}
}

// mutilated is a sighting in which the two servers of a side lack something.
func mutilated(s rollover.Sighting, role string, each ...mutilation) rollover.Sighting {
	s.Servers = slices.Clone(s.Servers)
	n := 0
	for i := range s.Servers {
		if s.Servers[i].Role == role {
			each[n%len(each)].of(&s.Servers[i])
			n++
		}
	}
	return s
}

// unhurt fails the test with the name of the scene if f panics.
func unhurt(t *testing.T, scene string, f func()) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%s: panic: %v\n%s", scene, p, debug.Stack())
		}
	}()
	f()
}

func everyRecord() []rollover.Record {
	return []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData, rollover.RecordDS}
}

// No function of the mind that reads a sighting falls over what is missing in it.
func TestMissingParts(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "ksk"})
	whole, err := w.Look(context.Background(), rollover.Question{Zone: rollovertest.Zone, Records: everyRecord()})
	if err != nil {
		t.Fatal(err)
	}
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	for _, evidence := range []rollover.Evidence{rollover.EvidencePlain, rollover.EvidenceValidated, rollover.EvidenceResolver} {
		p := tight()
		p.Evidence = evidence
		maimed(whole, func(name string, s rollover.Sighting) {
			unhurt(t, name, func() { rollover.Check(d, s, p, rollover.DefaultLimits(), w.Clock().Wall) })
			l := rollover.Ledger{}
			unhurt(t, name, func() { l.LearnSighting(s) })
		})
		everyStep(d, func(k rollover.Kind, r rollover.Roll) {
			alike(whole, func(name string, s rollover.Sighting) {
				unhurt(t, fmt.Sprint(name, ", ", k.Name(), " at ", r.Step), func() { k.Next(r, d.Ledger, s, p) })
			})
		})
	}
}

// everyStep is the rollover of a dossier at every step of every kind.
func everyStep(d rollover.Dossier, visit func(rollover.Kind, rollover.Roll)) {
	for _, k := range rollover.Kinds() {
		for _, step := range k.Steps {
			r := *d.Roll
			r.Step, r.Kind = step.Name, k.Name()
			visit(k, r)
		}
	}
}

// blinded is a world whose servers lack something in every look.
type blinded struct {
	*rollovertest.World
	change func(rollover.Sighting) rollover.Sighting
}

func (b blinded) Look(ctx context.Context, q rollover.Question) (rollover.Sighting, error) {
	s, err := b.World.Look(ctx, q)
	return b.change(s), err
}

// No command falls over what is missing: it goes on, or says what is missing.
func TestMissingPartsInCommands(t *testing.T) {
	ctx, zone := context.Background(), rollovertest.Zone
	back := rollover.Back{Zone: zone, Reason: "test"}
	rolling := func(kind string, units int) *rollovertest.World {
		w := rollovertest.New("split", unequal)
		start(t, w, tight(), rollover.Order{Type: kind})
		pass(t, w, units)
		return w
	}
	lost := rolling("ksk", 4)
	lost.Forget()
	scenes := map[string]struct {
		w  *rollovertest.World
		do func(*rollover.Engine) error
	}{
		"start zsk": {rollovertest.New("split", unequal), func(e *rollover.Engine) error {
			_, err := e.Start(ctx, rollover.Order{Zone: zone, Type: "zsk"})
			return err
		}},
		"start ksk": {rollovertest.New("split", unequal), func(e *rollover.Engine) error {
			_, err := e.Start(ctx, rollover.Order{Zone: zone, Type: "ksk"})
			return err
		}},
		"sign": {rollovertest.New("unsigned", unequal), func(e *rollover.Engine) error {
			_, err := e.Start(ctx, rollover.Order{Zone: zone, Type: "sign"})
			return err
		}},
		"unsign": {rollovertest.New("split", unequal), func(e *rollover.Engine) error {
			_, err := e.Start(ctx, rollover.Order{Zone: zone, Type: "unsign"})
			return err
		}},
		"adopt":         {lost, func(e *rollover.Engine) error { _, err := e.Adopt(ctx, zone); return err }},
		"tick of ksk":   {rolling("ksk", 12), func(e *rollover.Engine) error { _, err := e.Tick(ctx, []string{zone}); return err }},
		"tick of zsk":   {rolling("zsk", 12), func(e *rollover.Engine) error { _, err := e.Tick(ctx, []string{zone}); return err }},
		"cancel":        {rolling("ksk", 4), func(e *rollover.Engine) error { return e.CancelOrder(ctx, back) }},
		"revert ksk":    {rolling("ksk", 12), func(e *rollover.Engine) error { return e.Revert(ctx, back) }},
		"revert zsk":    {rolling("zsk", 10), func(e *rollover.Engine) error { return e.Revert(ctx, back) }},
		"revert unsign": {rolling("unsign", 4), func(e *rollover.Engine) error { return e.Revert(ctx, back) }},
	}
	for name, scene := range scenes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := scene.do(scene.w.Clone().Engine(tight())); err != nil {
				t.Fatalf("with all there is to see: %v", err)
			}
			for _, role := range []string{rollover.RoleChild, rollover.RoleParent} {
				for _, one := range mutilations(role) {
					for _, each := range [][]mutilation{{one}, {one, {"whole", func(*rollover.ServerSighting) {}}}} {
						w := scene.w.Clone()
						w.Tune = func(e *rollover.Engine) {
							e.Observer = blinded{w, func(s rollover.Sighting) rollover.Sighting { return mutilated(s, role, each...) }}
						}
						unhurt(t, fmt.Sprint(role, ":", one.name, " on one of ", len(each)), func() { _ = scene.do(w.Engine(tight())) })
					}
				}
			}
		})
	}
}
