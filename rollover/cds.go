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
		Lagging: []Lag{{Detail: "the name servers may still serve the CDS records from before, which the parent could take; if one of several will never answer again, and no secondary transfers from it: rollover exclude-server --zone " + zone + " ADDRESS --reason WHY"}},
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
		value := inv.Metadata[meta]
		if len(value) == 0 {
			continue
		}
		why := p.harmfulCDS(kind, slices.Contains(value, "0"))
		if why == "" {
			continue
		}
		return fmt.Errorf("%w: %s has %s set, %s: `pdnsutil unset-%s %s` first", ErrRefused, inv.Zone, meta, why, strings.ToLower(meta), inv.Zone)
	}
	return nil
}

// harmfulCDS is why CDS records must not be served when a kind begins; empty if
// they may. removes says that they ask for no DS at all.
func (p Policy) harmfulCDS(kind Kind, removes bool) string {
	switch {
	case kind.Type == "sign":
		return "so the parent may take a first DS from the zone before caches are ready for it"
	case removes && kind.Type != "unsign":
		return "to 0, which asks the parent to remove the DS set (RFC 8078 section 4)"
	case !p.CDS:
		return "so the parent may change the DS set by itself while it is also changed by hand"
	}
	return ""
}

// unannounced refuses to begin where a name server serves CDS or CDNSKEY records
// that would have the parent do what nobody wants, whatever PowerDNS was told for
// the zone: by default for all zones, or by records in the zone itself.
func (p Policy) unannounced(s Sighting, kind Kind) error {
	if !kind.signsKeys() {
		return nil
	}
	for _, o := range s.relevant(RecordDNSKEY) {
		for _, record := range o.Announces {
			removes := strings.HasSuffix(record, " 0 0 0 00") || strings.HasSuffix(record, " 0 3 0 AA==")
			if why := p.harmfulCDS(kind, removes); why != "" {
				return fmt.Errorf("%w: %s serves %s of %s, %s, and the zone has no metadata for that: look for default-publish-cds and default-publish-cdnskey in pdns.conf, take them out and restart pdns_server, or for such a record in the zone's own (pdnsutil list-zone %s); or set driver = \"cds\" if the parent follows them",
					ErrRefused, o.Server, record, s.Zone, why, bare(s.Zone))
			}
		}
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
