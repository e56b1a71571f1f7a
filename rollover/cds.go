package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// PowerDNS makes CDS and CDNSKEY records of every published KSK and CSK, active
// or not (pdnsutil 4.7 to 5.1). A parent that follows them (RFC 7344) can have
// the DS set of old and new, and of new alone only after old is unpublished.
// The kinds with this suffix are made for that; the others could never end.
const cdsSuffix = "-cds"

// oneSided says whether a kind knows the keys of one side only: the first ones of
// a zone, or its last. What PowerDNS lists while they are published is all that
// such a kind asks the parent for, and for no DS at all there is a record of its
// own (RFC 8078 section 4). So it fits parents that follow CDS, and others.
func (k Kind) oneSided() bool {
	var sides []Side
	for _, step := range k.Steps {
		for _, a := range step.Actions {
			sides = append(sides, a.Sides...)
		}
	}
	return len(slices.Compact(sides)) <= 1
}

// asksParent says whether some action of the step asks the parent.
func (s Step) asksParent() bool {
	return slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb == askParent })
}

// retracts says whether a way back takes back what the CDS records asked the
// parent for, and not every name server is known to serve the others yet. The
// parent may take those from before at any time, whatever it shows until then.
func (r *Roll) retracts(p Policy) bool {
	if !p.CDS || r.Ask == nil || !r.askedBefore() {
		return false
	}
	kind, err := r.kind()
	if err != nil || !kind.back() || !kind.oneSided() || !kind.signsKeys() {
		return false
	}
	if at, err := kind.index(r.Step); err != nil || at < 0 || !kind.Steps[at].asksParent() {
		return false // the parent has done it, and what came after was entered
	}
	s := r.submission(p)
	return s == nil || s.State != SubmissionAccepted
}

// askedBefore says whether the parent was asked for anything before a rollover
// was taken back.
func (r *Roll) askedBefore() bool {
	kind, err := FindKind(r.Type, r.Method)
	return err == nil && slices.ContainsFunc(kind.Steps, func(s Step) bool { return s.asksParent() && r.entered(s.Name) })
}

// retracting is why a way back stands still until the CDS records are those of
// what is asked for now. Nobody but the driver knows, and it has asked them all.
func retracting(zone string, step Step) *Need {
	return &Need{
		Next: step.Name, Waits: []string{"seen(CDS as asked for now)"}, Actor: ActorYou, Records: []Record{RecordDS},
		Lagging: []Lag{{Detail: "the name servers may still serve the CDS records from before, which the parent could take; if one will never answer again: rollover exclude-server --zone " + zone + " ADDRESS --reason WHY"}},
	}
}

// fitsCDS refuses to begin where the CDS records that PowerDNS makes already
// would have the parent do what nobody wants: put in the old DS again after it
// was changed by hand, put in a first one before caches are ready for it, or
// remove all.
func (p Policy) fitsCDS(inv Inventory, kind Kind) error {
	if !kind.signsKeys() {
		return nil
	}
	for _, meta := range []string{"PUBLISH-CDS", "PUBLISH-CDNSKEY"} {
		why := ""
		switch value := inv.Metadata[meta]; {
		case len(value) == 0:
			continue
		case kind.Type == "sign":
			why = "so the parent may take a first DS from the zone before caches are ready for it"
		case slices.Contains(value, "0") && kind.Type != "unsign":
			why = "to 0, which asks the parent to remove the DS set (RFC 8078 section 4)"
		case !p.CDS:
			why = "so the parent may change the DS set by itself while it is also changed by hand"
		default:
			continue
		}
		return fmt.Errorf("%w: %s has %s set, %s: `pdnsutil unset-%s %s` first", ErrRefused, inv.Zone, meta, why, strings.ToLower(meta), inv.Zone)
	}
	return nil
}

// methodFor is the method to roll keys of a type by, where the parent follows
// CDS records and there is such a method.
func (p Policy) methodFor(kindType, method string) string {
	if _, err := FindKind(kindType, method+cdsSuffix); !p.CDS || err != nil {
		return method
	}
	return method + cdsSuffix
}

// drives says why a kind does not fit the way in which the parent is asked.
func (p Policy) drives(k Kind) error {
	switch {
	case !k.signsKeys() || k.CDS == p.CDS || k.oneSided():
		return nil
	case k.CDS:
		return fmt.Errorf("%w: %s is for parents that follow CDS records: set driver = \"cds\", or use --method %s", ErrRefused, k.Name(), strings.TrimSuffix(k.Method, cdsSuffix))
	}
	return fmt.Errorf("%w: %s asks for DS sets that CDS records cannot express, since PowerDNS lists every published key in them: use another driver for this rollover", ErrRefused, k.Name())
}
