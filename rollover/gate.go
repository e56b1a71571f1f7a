package rollover

import (
	"context"
	"fmt"
	"slices"
)

// Cached is every version of a zone's records that some cache may hold while a
// step is done: those seen that may still live, and those that the step makes.
type Cached struct {
	Zone string
	DS   []DSVersion
	Keys []KeyVersion
	Data []DataVersion
}

// gate looks at everything again before a step that takes something away, and
// says why it is not entered after all; nil when it may. It is a second,
// independent belt: it knows nothing of waits and hold times.
func (v *visit) gate(ctx context.Context, step Step) *Need {
	s, err := v.engine.Observer.Look(ctx, v.thorough())
	if err != nil {
		v.fail(fmt.Errorf("looking at the name servers of %s before step %q: %w", v.dossier.Zone, step.Name, err))
		return nil
	}
	s = v.dossier.Ledger.unmask(s)
	v.learn(s)
	findings := append(v.ailing(s), v.product(step, s)...)
	if len(findings) == 0 {
		return nil
	}
	return &Need{Next: step.Name, Waits: []string{}, Findings: findings, Actor: ActorYou, Records: []Record{RecordDNSKEY, RecordData, RecordDS}}
}

// thorough is the question before anything is touched, or taken away.
func (v *visit) thorough() Question {
	q := v.question(RecordDNSKEY, RecordData, RecordDS)
	q.Thorough = true
	return q
}

// ailing is the findings that stop a step: whatever is critical, a server that
// does not answer, and signatures that end before caches are through with them.
func (v *visit) ailing(s Sighting) []Finding {
	limits := DefaultLimits()
	limits.ExpiryCritical = max(limits.ExpiryCritical, seconds(cachedFor(v.dossier.Ledger.ZoneTTL)))
	var out []Finding
	for _, f := range Health(s, v.setting.Policy, limits) {
		if f.Severity == SeverityCritical || f.Code == FindingSilent || f.Code == FindingTCP || (f.Code == FindingUnproven || f.Code == FindingParent) && v.roll.usesParent() {
			out = append(out, f)
		}
	}
	return out
}

// product asks whether any versions that caches may hold during and after the
// step would fail together.
func (v *visit) product(step Step, s Sighting) []Finding {
	if v.engine.Product == nil {
		return []Finding{{Code: FindingProduct, Severity: SeverityCritical, Text: "nobody checks what caches hold: no product check is wired into this program"}}
	}
	cached, err := v.cached(step, s)
	if err != nil {
		return []Finding{{Code: FindingProduct, Severity: SeverityCritical, Text: err.Error()}}
	}
	var out []Finding
	for _, text := range v.engine.Product(cached) {
		out = append(out, Finding{Code: FindingProduct, Severity: SeverityCritical, Text: "caches may hold what does not validate together: " + text, Remedy: "wait until it is out of the caches; rollover trace " + v.dossier.Zone})
	}
	return out
}

// cached is the versions in the ledger that may still be in caches, and what
// every command of the step makes of the zone.
func (v *visit) cached(step Step, s Sighting) (Cached, error) {
	out := Cached{Zone: v.dossier.Zone}
	if len(s.Anchor) > 0 {
		out.DS = append(out.DS, DSVersion{Set: s.Anchor}) // what validators hold in the place of a DS set
	}
	for _, e := range v.dossier.Ledger.Entries {
		if !e.lives(s.At, v.roll.serves(e, s)) {
			continue
		}
		switch {
		case e.DS != nil && (v.setting.Policy.Evidence != EvidenceValidated || e.DS.believable()):
			out.DS = append(out.DS, *e.DS)
		case e.DNSKEY != nil:
			out.Keys = append(out.Keys, *e.DNSKEY)
		case e.Data != nil:
			out.Data = append(out.Data, *e.Data)
		}
	}
	commands := v.roll.commands(step)
	for n := range commands {
		keys, data, err := v.roll.predict(applyAll(v.roll.Keys, commands[:n+1]))
		if err != nil {
			return out, err
		}
		out.Keys, out.Data = append(out.Keys, keys), append(out.Data, data)
	}
	for _, a := range step.Actions {
		if a.Verb == askParent {
			out.DS = append(out.DS, v.roll.predictDS(a.Sides, v.setting.Policy))
		}
	}
	return out, nil
}

// believable: a replayed set is one that was served once, so caches may have it.
func (v DSVersion) believable() bool {
	return v.Standing != nil && (v.Standing.Security == Secure || v.Standing.Replayed)
}

// serves says whether the server of an entry is one that is looked at still.
func (r *Roll) serves(e LedgerEntry, s Sighting) bool {
	return slices.ContainsFunc(s.Servers, func(v ServerSighting) bool { return v.Address == e.Server })
}

// lives says whether some cache may hold a version: its server shows it still,
// or has shown another for less than its TTL. What a server that is not looked
// at any more served, lives on from the first look without it.
func (e LedgerEntry) lives(now Instant, looked bool) bool {
	end := e.Until
	if end.IsZero() {
		end = e.Left
	}
	if end.IsZero() || looked && e.Until.IsZero() {
		return true
	}
	return now.Since(end) < seconds(e.TTL)
}

// predict is the DNSKEY set and the data as PowerDNS makes them of a key list:
// published keys are in the set, active ones sign, each by its role.
func (r *Roll) predict(keys []Key) (KeyVersion, DataVersion, error) {
	var set KeyVersion
	var data DataVersion
	for _, k := range keys {
		d := k.DNSKEY()
		if !k.Published && !k.Active {
			continue
		}
		if k.PublicKey == "" {
			return set, data, fmt.Errorf("the public key of %v is not known yet: it was in no DNSKEY set that could be believed", k)
		}
		if k.Published {
			set.Keys = append(set.Keys, d)
		}
		role := RoleOf(keys, k)
		if k.Active && role.SignsKeys() {
			set.Signers = append(set.Signers, d)
		}
		if k.Active && role.SignsData() {
			data.Signers = append(data.Signers, d)
		}
	}
	set.Keys = append(set.Keys, r.Foreign...)
	return set, data, nil
}

// predictDS is the DS set that the parent has when it does as it is asked:
// those of the sides, and the foreign ones that are there.
func (r *Roll) predictDS(sides []Side, p Policy) DSVersion {
	if len(sides) == 0 {
		return DSVersion{} // none at all, foreign ones neither
	}
	asking := *r
	asking.Ask = &Ask{Sides: sides}
	out := DSVersion{Set: asking.wanted(p)}
	for _, d := range r.DSSeen {
		if !slices.Contains(out.Set, d) && !asking.unwanted(d) {
			out.Set = append(out.Set, d)
		}
	}
	return out
}

// stopped is the sentence of a need that a gate made.
func (n Need) stopped() string {
	words := ""
	for i, f := range n.Findings {
		if i > 0 {
			words += "; "
		}
		words += f.String()
	}
	what := "which takes something away"
	switch {
	case n.Findings[0].Code == FindingAnswers:
		what = "since answers are not what they were before the zone was signed"
	case n.Adds:
		what = "which asks for the first DS"
	}
	return fmt.Sprintf("you, before step %q, %s: %s", n.Next, what, words)
}
