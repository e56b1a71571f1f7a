package rollover

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A change that rollover makes is served: serial, purge, notify. One that somebody
// else made may not have been: then secondaries have the serial of the primary and
// another key set, and keep it for ever. So the zone is served anew whenever its keys
// were taken over as somebody left them, and whenever servers are seen that have one
// serial and different key sets, at whatever step.

// changesKeys says whether a step has anything to do with keys, even if it turns
// out to be done already.
func (s Step) changesKeys() bool {
	return slices.ContainsFunc(s.Actions, func(a Action) bool { return verbOf(a.Verb) != "" || a.Verb == activateEntry })
}

// serveAnew has the zone served anew if that is needed: at once when keys were taken
// over, and else not more often than once in max_gap. A secondary that is asked in
// the middle of a transfer shows one serial and other keys too, so two looks in
// succession must show the same.
func (v *visit) serveAnew(ctx context.Context, s Sighting) {
	r := v.roll
	before := r.Unlike
	r.Unlike = s.unlike()
	lasts := r.Unlike != "" && r.Unlike == before
	recent := !r.ServedAnew.IsZero() && s.At.Since(r.ServedAnew) < v.setting.Policy.MaxGap
	if v.err != nil || r.State != StateActive || r.Intent != nil || !r.Unserved && (!lasts || recent) {
		return
	}
	why := "the keys were taken over as they were found"
	if !r.Unserved {
		if why = v.sameSerial(ctx, s); why == "" {
			return
		}
	}
	inv, err := v.read(ctx)
	if err != nil {
		return
	}
	if !sameKeys(r.Keys, inv.Keys) {
		v.block(r.changed(r.Keys, inv.Keys, v.explain))
		return
	}
	v.anew, v.anewKind = why, inv.Kind
}

// servedAnew records that it was done.
func (v *visit) servedAnew() {
	if v.anew == "" {
		return
	}
	v.roll.Unserved, v.roll.Unlike, v.roll.Raised, v.roll.ServedAnew = false, "", "", v.engine.Now()
	v.event(EventServed, v.roll.Step, "served anew, with a new serial where secondaries transfer it: "+v.anew)
	v.anew = ""
}

// sameSerial says which servers have one serial and different key sets. Where the
// look has not asked for the serial, it is asked for.
func (v *visit) sameSerial(ctx context.Context, s Sighting) string {
	if !slices.Contains(s.Records, RecordData) {
		var err error
		if s, err = v.engine.Observer.Look(ctx, v.question(RecordDNSKEY, RecordData)); err != nil {
			return "" // the next look tells
		}
	}
	return s.sameSerial()
}

// sameSerial says which servers have one serial and different key sets; empty if
// there are none.
func (s Sighting) sameSerial() string {
	servers := s.relevant(RecordDNSKEY)
	for i, o := range servers {
		for _, other := range servers[:i] {
			if o.DNSKEY != nil && other.DNSKEY != nil && o.Serial != 0 && o.Serial == other.Serial && !sameSet(o.DNSKEY.Keys, other.DNSKEY.Keys) {
				return fmt.Sprintf("%s has DNSKEY %s and %s has %s, and both have serial %d", o.Server, keyTags(o.DNSKEY.Keys), other.Server, keyTags(other.DNSKEY.Keys), o.Serial)
			}
		}
	}
	return ""
}

// unlike is what the zone's servers show of the DNSKEY set, if they do not agree.
func (s Sighting) unlike() string {
	var out []string
	differ := false
	var first *KeyVersion
	for _, o := range s.relevant(RecordDNSKEY) {
		if o.DNSKEY == nil {
			continue
		}
		if first == nil {
			first = o.DNSKEY
		}
		differ = differ || !sameSet(first.Keys, o.DNSKEY.Keys)
		out = append(out, o.place()+" "+keyTags(o.DNSKEY.Keys))
	}
	if !differ {
		return ""
	}
	return strings.Join(out, "; ")
}

// unlike finds a server with another DNSKEY set than the first one has. With the
// same serial no transfer will ever mend that.
func (e *examination) unlike(v, first ServerSighting) {
	text := fmt.Sprintf("has DNSKEY %s, where %s has %s", keyTags(v.DNSKEY.Keys), first.Server, keyTags(first.DNSKEY.Keys))
	zone := bare(e.sighting.Zone)
	if v.Serial == 0 || v.Serial != first.Serial {
		e.add(FindingKeysDiffer, SeverityWarning, v.Server, text, "pdns_control notify "+zone)
		return
	}
	e.add(FindingKeysDiffer, SeverityWarning, v.Server, fmt.Sprintf("%s, and both have serial %d: no transfer will change that", text, v.Serial),
		fmt.Sprintf("pdnsutil increase-serial %[1]s; pdns_control purge %[1]s$; pdns_control notify %[1]s", zone))
}
