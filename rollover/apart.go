package rollover

import (
	"fmt"
	"slices"
)

// soundAnchor checks a zone that has a trust anchor of its own, or no parent at
// all. Its validators hold the key itself: a rollover of a key that signs data
// does not concern them, one of any other cannot be done here.
func (r *Roll) soundAnchor(s Sighting) error {
	switch {
	case len(s.Anchor) > 0 && r.usesParent():
		return fmt.Errorf("%w: %s is its own trust anchor (trust_anchors has key %s): its validators hold the key itself, and no DS at a parent can take them to another: the anchor must be changed on every validator, by hand or by RFC 5011, which rollover does not do; a ZSK can be rolled: `rollover start --zone %s --type zsk`", ErrRefused, r.Zone, tags(s.Anchor), r.Zone)
	case s.Alone && r.usesParent():
		return fmt.Errorf("%w: %s has no parent where a DS of a new key could be: whoever validates it has its key as a trust anchor, which must be changed on every validator, by hand or by RFC 5011, which rollover does not do; a ZSK can be rolled: `rollover start --zone %s --type zsk`", ErrRefused, r.Zone, r.Zone)
	case len(s.Anchor) == 0:
		return nil
	}
	for _, o := range s.relevant(RecordDNSKEY) {
		if !Chained(r.Zone, s.Anchor, *o.DNSKEY) {
			return fmt.Errorf("%w: %s at server %s: expected a DNSKEY set signed by a key that is the trust anchor (%s), found %s, signed by %s: the chain is broken already; or trust_anchors names a file that is out of date", ErrRefused, r.Zone, o.Server, tags(s.Anchor), keyTags(o.DNSKEY.Keys), keyTags(o.DNSKEY.Signers))
		}
	}
	return nil
}

// indifferent says whether nothing of this rollover hangs on what the parent has,
// and what it says is not proven to be wrong: a parent that is not signed, or whose
// answers cannot be proven from here, keeps no ZSK from being rolled.
func (r *Roll) indifferent(o ServerSighting, s Sighting) bool {
	if r.usesParent() || slices.ContainsFunc(s.Validators, func(v ValidatorSighting) bool { return v.Bogus }) {
		return false
	}
	return o.DS.Standing == nil || o.DS.Standing.Security != Bogus
}

// insecure says whether it is proven that a zone above is not signed, so that no
// DS there means anything to anybody.
func (v DSVersion) insecure() bool { return v.Standing != nil && v.Standing.Security == Insecure }

// anchored examines a zone that is its own trust anchor, or that has no parent.
func (e *examination) anchored() {
	s := e.sighting
	if s.Alone && len(s.Anchor) == 0 {
		e.add(FindingUnproven, SeverityWarning, Server{}, "the zone has no parent, and trust_anchors has no anchor for it: whether it validates cannot be told", "name a file with its anchor: trust_anchors in the configuration")
	}
	if len(s.Anchor) == 0 {
		return
	}
	trace := "if the zone is right, correct the file that trust_anchors names; rollover trace " + s.Zone
	for _, v := range s.relevant(RecordDNSKEY) {
		switch {
		case v.DNSKEY == nil:
		case len(v.DNSKEY.Keys) == 0:
			e.add(FindingKeys, SeverityCritical, v.Server, "has no DNSKEY set, while the zone is a trust anchor, with key "+tags(s.Anchor)+": every validator that has it fails there", trace)
		case !Chained(s.Zone, s.Anchor, *v.DNSKEY):
			e.add(FindingChain, SeverityCritical, v.Server, fmt.Sprintf("the trust anchor of the zone is %s, DNSKEY %s signed by %s: no key of the anchor has signed the DNSKEY set", tags(s.Anchor), keyTags(v.DNSKEY.Keys), keyTags(v.DNSKEY.Signers)), trace)
		}
	}
}

// unsignedParent finds that what a parent has cannot be proven, because it or a
// zone above is unsigned: that is no fault, and nobody validates the zone.
func (e *examination) unsignedParent(v ServerSighting) {
	signed := slices.ContainsFunc(e.sighting.relevant(RecordDNSKEY), func(o ServerSighting) bool { return o.DNSKEY != nil && len(o.DNSKEY.Keys) > 0 })
	if signed && len(e.sighting.Anchor) == 0 {
		e.add(FindingParent, SeverityWarning, Server{}, "the parent is not secure, so nobody validates the zone, whatever DS it has: "+v.DS.Standing.Why,
			fmt.Sprintf("nothing is broken; to roll keys that a DS is for set evidence to %q", EvidencePlain))
	}
}

// anchorSecurity is the state of a zone that has a trust anchor of its own.
func (s Sighting) anchorSecurity() Security {
	out := Indeterminate
	for _, o := range s.relevant(RecordDNSKEY) {
		if o.DNSKEY == nil {
			continue
		}
		if !Chained(s.Zone, s.Anchor, *o.DNSKEY) || o.Data != nil && !Covered(*o.DNSKEY, *o.Data) || len(o.Denials) > 0 {
			return Bogus
		}
		out = Secure
	}
	return out
}
