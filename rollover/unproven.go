package rollover

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// denials finds servers whose answers that there is nothing do not prove it:
// each such answer is SERVFAIL at a validator, also where the name exists and
// only a type is asked for that it has not.
func (e *examination) denials() {
	for _, v := range e.sighting.relevant(RecordDNSKEY) {
		if len(v.Denials) == 0 {
			continue
		}
		words := make([]string, min(3, len(v.Denials)))
		for i := range words {
			words[i] = v.Denials[i].On + ": " + v.Denials[i].Fault
		}
		text := "says that there is nothing, and does not prove it: " + strings.Join(words, "; ")
		if more := len(v.Denials) - len(words); more > 0 {
			text += fmt.Sprintf("; and %d more", more)
		}
		e.add(FindingDenial, SeverityCritical, v.Server, text, e.rechain(v))
	}
}

// rechain is the remedy for a proof that does not hold: the NSEC or NSEC3 chain
// of the zone made anew where it is signed. A server that alone is at fault may
// be one that transfers it.
func (e *examination) rechain(v ServerSighting) string {
	zone := bare(e.sighting.Zone)
	out := fmt.Sprintf("have the chain of its names made anew where it is signed: `pdnsutil rectify-zone %s`, `pdnsutil increase-serial %s`, `pdns_control purge %s$`, `pdns_control notify %s`", zone, zone, zone, zone)
	if slices.ContainsFunc(e.sighting.relevant(RecordDNSKEY), func(o ServerSighting) bool { return o.Data != nil && len(o.Denials) == 0 }) {
		out += fmt.Sprintf("; if this server only transfers it, there: `pdns_control retrieve %s`", zone)
	}
	return out
}

// proves looks at everything before a step that asks for a first DS, which adds:
// until then nobody validates, and an answer that does not prove what it says
// harms nobody.
func (v *visit) proves(ctx context.Context, step Step) *Need {
	s, err := v.engine.Observer.Look(ctx, v.thorough())
	if err != nil {
		v.fail(fmt.Errorf("looking at the name servers of %s before step %q: %w", v.dossier.Zone, step.Name, err))
		return nil
	}
	s = v.dossier.Ledger.unmask(s)
	v.learn(s)
	findings := slices.DeleteFunc(Health(s, v.setting.Policy, DefaultLimits()), func(f Finding) bool { return f.Code != FindingDenial })
	if len(findings) == 0 {
		return nil
	}
	return &Need{Next: step.Name, Waits: []string{}, Findings: findings, Actor: ActorYou, Adds: true, Records: []Record{RecordDNSKEY, RecordData, RecordDS}}
}

// adds says whether a step asks for a first DS.
func (s Step) adds() bool {
	return slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Adds })
}
