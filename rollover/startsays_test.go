package rollover_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// register changes what PowerDNS is said to have.
type register struct {
	*rollovertest.World
	change func(*rollover.Inventory)
}

func (r register) Inventory(ctx context.Context, zone string) (rollover.Inventory, error) {
	inv, err := r.World.Inventory(ctx, zone)
	r.change(&inv)
	return inv, err
}

// asking is an order to start in a world of its own.
type asking struct {
	what, layout string
	order        rollover.Order
	world        func(*rollovertest.World)
	sees         func(*rollover.Sighting)
	inventory    func(*rollover.Inventory)
	policy       func(*rollover.Policy)
}

func askings() []asking {
	zsk, ksk, csk, sign := rollover.Order{Type: "zsk"}, rollover.Order{Type: "ksk"}, rollover.Order{Type: "csk"}, rollover.Order{Type: "sign"}
	unsign, algorithm := rollover.Order{Type: "unsign"}, rollover.Order{Type: "algorithm", Algorithm: 15}
	none := func(role string) func(*rollover.Sighting) {
		return func(s *rollover.Sighting) {
			s.Servers = slices.DeleteFunc(s.Servers, func(o rollover.ServerSighting) bool { return o.Role == role })
		}
	}
	meta := func(name string, values ...string) func(*rollovertest.World) {
		return func(w *rollovertest.World) { w.Metadata = map[string][]string{name: values} }
	}
	kind := func(name string) func(*rollovertest.World) {
		return func(w *rollovertest.World) { w.ZoneKind = name }
	}
	algorithms := func(one uint8) func(*rollovertest.World) {
		return func(w *rollovertest.World) {
			for i := range w.Keys {
				w.Keys[i].Algorithm = one
				w.Keys[i].Tag = w.Keys[i].DNSKEY().Tag()
			}
			w.SetTTL(unequal)
			w.SetDS(w.DSOf(w.Keys...))
			w.Advance(40 * unit)
		}
	}
	dsTypes := func(types ...uint8) func(*rollovertest.World) {
		return func(w *rollovertest.World) {
			var set []rollover.DS
			for _, one := range types {
				set = append(set, digestOf(w.Keys[0], one))
			}
			w.SetDS(set)
			w.Advance(40 * unit)
		}
	}
	dsBeside := func(d rollover.DS) func(*rollovertest.World) {
		return func(w *rollovertest.World) { w.SetDS(append(w.DSSet(), d)); w.Advance(40 * unit) }
	}
	asked := func(types ...uint8) func(*rollover.Policy) {
		return func(p *rollover.Policy) { p.DSDigests = types }
	}
	evidence := func(e rollover.Evidence) func(*rollover.Policy) {
		return func(p *rollover.Policy) { p.Evidence = e }
	}
	standing := func(security rollover.Security) func(*rollover.Sighting) {
		return func(s *rollover.Sighting) {
			for _, name := range []string{"p1", "p2"} {
				server(name, func(o *rollover.ServerSighting) {
					o.DS.Standing = &rollover.Standing{Security: security, Why: "com. is not signed"}
				})(s)
			}
		}
	}
	both := func(changes ...func(*rollover.Sighting)) func(*rollover.Sighting) {
		return func(s *rollover.Sighting) {
			for _, change := range changes {
				change(s)
			}
		}
	}
	alone := both(none(rollover.RoleParent), func(s *rollover.Sighting) { s.Alone = true })
	anchor := func(s *rollover.Sighting) { s.Anchor = []rollover.DS{digestOfFirst(2)} }
	noDS := func(w *rollovertest.World) { w.SetDS(nil); w.Advance(40 * unit) }
	undelegated := func(w *rollovertest.World) { noDS(w); w.Undelegated = rollover.AbsentDelegation }
	ns2 := func(change func(*rollover.ServerSighting)) func(*rollover.Sighting) { return server("ns2", change) }
	return []asking{
		{"presigned", "split", zsk, nil, nil, func(i *rollover.Inventory) { i.Presigned = true }, nil},
		{"kind Slave", "split", zsk, kind(rollover.KindSlave), nil, nil, nil},
		{"kind Consumer", "split", zsk, kind(rollover.KindConsumer), nil, nil, nil},
		{"kind Producer", "split", zsk, kind(rollover.KindProducer), nil, nil, nil},
		{"kind Native", "split", zsk, kind(rollover.KindNative), nil, nil, nil},
		{"another roller", "split", zsk, meta("X-ROLLOVER", "1"), nil, nil, nil},
		{"the other roller", "split", zsk, meta("X-PDNSKEYROLLER-STATE", "1"), nil, nil, nil},
		{"an empty marker", "split", zsk, meta("X-ROLLOVER"), nil, nil, nil},
		{"PUBLISH-CDS, a ZSK", "split", zsk, meta("PUBLISH-CDS", "2"), nil, nil, nil},
		{"PUBLISH-CDS, a KSK", "split", ksk, meta("PUBLISH-CDS", "2"), nil, nil, nil},
		{"PUBLISH-CDNSKEY of nothing", "split", ksk, meta("PUBLISH-CDNSKEY", "0"), nil, nil, nil},
		{"algorithm 7", "split", zsk, algorithms(7), nil, nil, nil},
		{"algorithm 8", "split", zsk, algorithms(8), nil, nil, nil},
		{"algorithm 10", "split", zsk, algorithms(10), nil, nil, nil},
		{"algorithm 12", "split", zsk, algorithms(12), nil, nil, nil},
		{"algorithm 14", "split", zsk, algorithms(14), nil, nil, nil},
		{"algorithm 15", "split", zsk, algorithms(15), nil, nil, nil},
		{"algorithm 16", "split", zsk, algorithms(16), nil, nil, nil},
		{"no key", "unsigned", zsk, nil, nil, nil, nil},
		{"no name server", "split", zsk, nil, none(rollover.RoleChild), nil, nil},
		{"no parent", "split", zsk, nil, none(rollover.RoleParent), nil, nil},
		{"no parent that counts, a ZSK", "split", zsk, nil, alone, nil, nil},
		{"no parent that counts, a KSK", "split", ksk, nil, alone, nil, nil},
		{"an anchor, a ZSK", "split", zsk, nil, both(alone, anchor), nil, nil},
		{"an anchor and a parent, a ZSK", "split", zsk, nil, anchor, nil, nil},
		{"an anchor, a KSK", "split", ksk, nil, both(alone, anchor), nil, nil},
		{"an anchor that signs nothing", "split", zsk, nil, both(alone, func(s *rollover.Sighting) { s.Anchor = []rollover.DS{strange(13, 2)} }), nil, nil},
		{"ns2 silent", "split", zsk, nil, ns2(func(o *rollover.ServerSighting) { o.Unknown, o.DNSKEY, o.Data = "timed out", nil, nil }), nil, nil},
		{"ns2 without an answer for data", "split", zsk, nil, ns2(func(o *rollover.ServerSighting) { o.Data = nil }), nil, nil},
		{"p2 silent", "split", zsk, nil, server("p2", func(o *rollover.ServerSighting) { o.Unknown, o.DS = "timed out", nil }), nil, nil},
		{"ns2 without a route", "split", zsk, nil, ns2(func(o *rollover.ServerSighting) {
			*o = rollover.ServerSighting{Server: o.Server, Unchecked: "no IPv6 route from here"}
		}), nil, nil},
		{"ns2 signed by a stranger", "split", zsk, nil, ns2(signedByOthers), nil, nil},
		{"ns2 not signed", "split", zsk, nil, ns2(func(o *rollover.ServerSighting) {
			o.DNSKEY.Signers, o.DNSKEY.Faults = nil, []rollover.Signature{{Tag: 7, Fault: "expired"}}
		}), nil, nil},
		{"ns2 without a key", "split", zsk, nil, ns2(func(o *rollover.ServerSighting) { o.DNSKEY.Keys = o.DNSKEY.Keys[:1] }), nil, nil},
		{"ns2 with data that is not signed", "split", zsk, nil, ns2(func(o *rollover.ServerSighting) {
			o.Data.Signers, o.Data.Faults = nil, []rollover.Signature{{On: "www.example.com. A", Fault: "unsigned"}}
		}), nil, nil},
		{"ns2 with data by the KSK", "split", zsk, nil, ns2(func(o *rollover.ServerSighting) { o.Data.Signers = o.DNSKEY.Keys[:1] }), nil, nil},
		{"ns2 bare", "split", zsk, nil, ns2(func(o *rollover.ServerSighting) {
			o.DNSKEY, o.Data = &rollover.KeyVersion{}, &rollover.DataVersion{}
		}), nil, nil},
		{"an expiring signature", "split", zsk, nil, ns2(func(o *rollover.ServerSighting) { o.Data.Expires = o.Data.Expires.Add(-8 * 24 * time.Hour) }), nil, nil},
		{"evidence that nobody knows", "split", ksk, nil, nil, nil, evidence("magic")},
		{"evidence validated, secure", "split", ksk, nil, nil, nil, evidence(rollover.EvidenceValidated)},
		{"evidence validated, bogus, a KSK", "split", ksk, nil, standing(rollover.Bogus), nil, evidence(rollover.EvidenceValidated)},
		{"evidence validated, bogus, a ZSK", "split", zsk, nil, standing(rollover.Bogus), nil, evidence(rollover.EvidenceValidated)},
		{"evidence validated, insecure, a KSK", "split", ksk, nil, standing(rollover.Insecure), nil, evidence(rollover.EvidenceValidated)},
		{"evidence validated, insecure, a ZSK", "split", zsk, nil, standing(rollover.Insecure), nil, evidence(rollover.EvidenceValidated)},
		{"evidence validated, insecure, sign", "unsigned", sign, nil, standing(rollover.Insecure), nil, evidence(rollover.EvidenceValidated)},
		{"evidence validated, indeterminate, sign", "unsigned", sign, nil, standing(rollover.Indeterminate), nil, evidence(rollover.EvidenceValidated)},
		{"a DS of nobody with an insecure parent, a ZSK", "split", zsk, func(w *rollovertest.World) { w.SetDS([]rollover.DS{strange(13, 2)}); w.Advance(40 * unit) }, standing(rollover.Insecure), nil, evidence(rollover.EvidenceValidated)},
		{"evidence resolver, nobody asked", "split", ksk, nil, nil, nil, evidence(rollover.EvidenceResolver)},
		{"no DS, a ZSK", "split", zsk, noDS, nil, nil, nil},
		{"no DS, a KSK", "split", ksk, noDS, nil, nil, nil},
		{"no DS, unsign", "split", unsign, noDS, nil, nil, nil},
		{"no DS, an algorithm", "split", algorithm, noDS, nil, nil, nil},
		{"not delegated, a KSK", "split", ksk, undelegated, nil, nil, nil},
		{"not delegated, sign", "unsigned", sign, undelegated, nil, nil, nil},
		{"a DS, sign", "unsigned", sign, func(w *rollovertest.World) { w.SetDS([]rollover.DS{strange(13, 2)}); w.Advance(40 * unit) }, nil, nil, nil},
		{"a DS of nobody, a ZSK", "split", zsk, func(w *rollovertest.World) { w.SetDS([]rollover.DS{strange(13, 2)}); w.Advance(40 * unit) }, nil, nil, nil},
		{"a DS of the ZSK", "split", zsk, func(w *rollovertest.World) { w.SetDS([]rollover.DS{digestOf(w.Keys[1], 2)}); w.Advance(40 * unit) }, nil, nil, nil},
		{"a DS of the ZSK beside that of the KSK", "split", ksk, func(w *rollovertest.World) {
			w.SetDS([]rollover.DS{digestOf(w.Keys[0], 2), digestOf(w.Keys[1], 2)})
			w.Advance(40 * unit)
		}, nil, nil, nil},
		{"DS of type 1, a KSK", "split", ksk, dsTypes(1), nil, nil, nil},
		{"DS of type 1, asked for", "split", ksk, dsTypes(1), nil, nil, asked(1)},
		{"DS of type 1, a ZSK", "split", zsk, dsTypes(1), nil, nil, nil},
		{"DS of type 1, unsign", "csk", unsign, dsTypes(1), nil, nil, nil},
		{"DS of type 1, an algorithm", "split", algorithm, dsTypes(1), nil, nil, nil},
		{"DS of types 1 and 2", "split", ksk, dsTypes(1, 2), nil, nil, nil},
		{"DS of types 2 and 4", "split", ksk, dsTypes(2, 4), nil, nil, nil},
		{"DS of types 2 and 4, asked for", "split", ksk, dsTypes(2, 4), nil, nil, asked(4, 2)},
		{"DS of type 2, both asked for", "split", ksk, dsTypes(2), nil, nil, asked(4, 2)},
		{"DS of types 1, 2 and 4, asked for", "split", ksk, dsTypes(1, 2, 4), nil, nil, asked(2, 4)},
		{"CDS served", "csk", csk, func(w *rollovertest.World) { w.Announces = map[string][]string{"ns2": {"CDS 1 13 2 AB"}} }, nil, nil, nil},
		{"a foreign key", "split", zsk, nil, foreignKeys(keyOfNobody(256)), nil, nil},
		{"a stronger DS of nobody, a KSK", "split", ksk, dsBeside(strange(13, 4)), nil, nil, nil},
		{"a stronger DS of nobody, a ZSK", "split", zsk, dsBeside(strange(13, 4)), nil, nil, nil},
		{"a stronger DS of nobody, unsign", "split", unsign, dsBeside(strange(13, 4)), nil, nil, nil},
		{"a DS of nobody of the algorithm that leaves", "split", algorithm, dsBeside(strange(13, 2)), nil, nil, nil},
		{"another signer that nobody asks", "split", zsk, servedByTwo, foreignKeys(keyOfNobody(256)), nil, nil},
		{"an unknown zone", "split", zsk, func(w *rollovertest.World) { w.Gone = true }, nil, nil, nil},
		{"urgent", "split", rollover.Order{Type: "zsk", Urgent: true}, nil, nil, nil, nil},
		{"split, nothing said", "split", rollover.Order{}, nil, nil, nil, nil},
		{"csk, nothing said", "csk", rollover.Order{}, nil, nil, nil, nil},
		{"conversion", "csk", rollover.Order{Type: "csk", To: rollover.LayoutSplit}, nil, nil, nil, nil},
		{"sign", "unsigned", sign, nil, nil, nil, nil},
		{"unsign", "split", unsign, nil, nil, nil, nil},
	}
}

// What start says to each, word for word, or with what it would begin.
func TestStartSays(t *testing.T) {
	var out strings.Builder
	for _, a := range askings() {
		w, p := rollovertest.New(a.layout, unequal), tight()
		if a.world != nil {
			a.world(w)
		}
		if a.policy != nil {
			a.policy(&p)
		}
		e := w.Engine(p)
		if a.sees != nil {
			e.Observer = eyes{w, a.sees}
		}
		if a.inventory != nil {
			e.Signer = register{w, a.inventory}
		}
		a.order.Zone = rollovertest.Zone
		d, err := e.Prepare(context.Background(), a.order)
		if err != nil {
			fmt.Fprintf(&out, "%s: %v\n", a.what, err)
			continue
		}
		r := d.Roll
		fmt.Fprintf(&out, "%s begins: %s by %s from %v to %v with %v, strangers %v\n", a.what, r.ID, r.Kind, r.Old, r.New, r.SpecNew, r.Foreign)
		if a.what == "urgent" {
			text, err := json.MarshalIndent(r, "\t", "\t")
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "\t%s\n", text)
		}
	}
	rollover.Golden(t, "start.txt", out.String())
}

// What adopt makes of rollovers in the middle: what it remembers of each.
func TestAdoptTakesOver(t *testing.T) {
	var out strings.Builder
	followed := func(p *rollover.Policy) { p.CDS = true }
	for _, c := range []struct {
		words  string
		world  func(*rollovertest.World)
		sees   func(*rollover.Sighting)
		policy func(*rollover.Policy)
	}{
		{"257* 256 256-", nil, nil, nil},
		{"257* 257- 256", nil, nil, nil},
		{"257* 257*", nil, nil, nil},
		{"257* 257-*", nil, nil, nil},
		{"257* 257* 256", nil, nil, nil},
		{"257* 257!/15", nil, nil, nil},
		{"257", nil, nil, nil},
		{"257* 257*", nil, nil, followed},
		{"257* 257-*", nil, nil, followed},
		{"257-* 257*", nil, nil, followed},
		{"257- 257*", nil, nil, followed},
		{"257* 257!/15", nil, nil, followed},
		{"257* 257* 256", nil, nil, followed},
		{"257", nil, nil, followed},
		{"257* 256 256-", func(w *rollovertest.World) { w.Metadata = map[string][]string{"PUBLISH-CDS": {"2"}} }, nil, nil},
		{"257* 257-", func(w *rollovertest.World) { w.Metadata = map[string][]string{"PUBLISH-CDS": {"2"}} }, nil, nil},
		{"257* 257-", func(w *rollovertest.World) { w.Announces = map[string][]string{"ns1": {"CDS 1 13 2 AB"}} }, nil, nil},
		{"257* 257-", func(w *rollovertest.World) { w.ZoneKind = rollover.KindSlave }, nil, nil},
		{"257* 257-", func(w *rollovertest.World) { w.ZoneKind = rollover.KindNative }, nil, nil},
		{"257* 257-", nil, func(s *rollover.Sighting) {
			s.Alone = true
			s.Servers = slices.DeleteFunc(s.Servers, func(o rollover.ServerSighting) bool { return o.Role == rollover.RoleParent })
		}, nil},
		{"257* 257-", nil, foreignKeys(keyOfNobody(256)), nil},
		{"257* 257-", nil, nil, func(p *rollover.Policy) { p.DSDigests = []uint8{4} }},
		{"257-", nil, nil, nil},
		{"257* 256 256-", func(w *rollovertest.World) { w.SetDS(append(w.DSSet(), strange(13, 4))); w.Advance(40 * unit) }, nil, nil},
	} {
		w, p := keyed(c.words), tight()
		if c.world != nil {
			c.world(w)
		}
		if c.policy != nil {
			c.policy(&p)
		}
		e := w.Engine(p)
		if c.sees != nil {
			e.Observer = eyes{w, c.sees}
		}
		d, err := e.PrepareAdoption(context.Background(), rollovertest.Zone)
		if err != nil {
			fmt.Fprintf(&out, "%s: %v\n", c.words, err)
			continue
		}
		r := *d.Roll
		fmt.Fprintf(&out, "%s: %s after %q from %v to %v, %d keys, %d servers, DS of %d, foreign %v, steps %v, asked %+v, intent %v\n",
			c.words, r.Kind, r.Step, r.Old, r.New, len(r.Keys), len(r.Servers), len(r.DSSeen), r.Foreign, len(r.Steps), r.Ask, r.Intent != nil)
		if r.Intent != nil || r.Step == "" {
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "\t%s\n", text)
		}
	}
	rollover.Golden(t, "adopted.txt", out.String())
}

// In history stands what was adopted, and by whom; what could be done at once was done.
func TestAdoptIsInHistory(t *testing.T) {
	for words, says := range map[string]string{
		"257* 256 256-": "adopted a zsk rollover by pre-publish after step publish, from ZSK %d (id 2) to ZSK %d (id 3); all waits start anew",
		"257* 257*":     "adopted a csk rollover by double-rrset after step publish, from CSK %d (id 1) to CSK %d (id 2); all waits start anew",
	} {
		w := keyed(words)
		e := w.Engine(tight())
		e.By = "alice"
		report, err := e.Adopt(context.Background(), rollovertest.Zone)
		if err != nil || len(report.Failed) > 0 {
			t.Fatal(err, report.Failed)
		}
		n := len(w.Keys)
		says = fmt.Sprintf(says, w.Keys[n-2].Tag, w.Keys[n-1].Tag)
		first := w.Events[0]
		if first.Event != rollover.EventAdopted || first.By != "alice" || first.Text != says {
			t.Errorf("%s: history has %+v, expected %q", words, first, says)
		}
		if r := w.Roll(); r.LastLook.Wall.IsZero() || r.Need == nil {
			t.Errorf("%s: nobody has looked: %+v", words, r)
		}
	}
	w := keyed("257* 257* 256")
	e := w.Engine(tight())
	w.OnDo = func(*rollovertest.World, rollover.Command) error { return errBroken }
	report, err := e.Adopt(context.Background(), rollovertest.Zone)
	if first := w.Events[0]; !strings.Contains(first.Text, " in the middle of step switch, ") {
		t.Errorf("history has %q, %v, %+v", first.Text, err, report)
	}
	w = keyed("257")
	if report, err := w.Engine(tight()).Adopt(context.Background(), rollovertest.Zone); err != nil || report.Changed != 1 || !strings.Contains(w.Events[0].Text, " before its first step, ") {
		t.Errorf("%+v, %v: %q", report, err, w.Events[0].Text)
	}
	w = rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	goesOn(t, w, tight())
	w.AddKey(256, false, true)
	w.Advance(40 * unit)
	if err := adopt(w); err != nil {
		t.Errorf("after one that is done: %v", err)
	}
}
