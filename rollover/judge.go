package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// shown is what one server's answer says of one statement.
type shown int

const (
	shownUnknown  shown = iota // no usable answer: earns nothing, loses nothing
	shownUnproven              // it shows it, but nobody confirms that: the same
	shownNot                   // it shows something else
	shownGood
)

// judge says whether a server showed a statement in this look, and if not,
// what it showed instead.
func (r *Roll) judge(st Statement, v ServerSighting, s Sighting, p Policy) (shown, string) {
	if v.missing(st.Record) {
		if v.Unknown == "" {
			return shownUnknown, "was not asked for " + string(st.Record)
		}
		return shownUnknown, v.Unknown
	}
	if st.Record == RecordDNSKEY && !r.authentic(*v.DNSKEY) {
		return shownNot, r.unsignedSet(*v.DNSKEY)
	}
	for _, property := range st.Properties {
		if detail := r.breaks(property, st.Record, v, p); detail != "" {
			return shownNot, detail
		}
	}
	if st.Record == RecordDS && v.DS.replayed() {
		return shownNot, v.DS.Standing.Why
	}
	// A bad look can only delay, so it needs no proof; a good one does. In this
	// order a parent that falls back is not taken for one that nobody confirms.
	if fault := r.unproven(st.Record, v, s, p); fault != "" {
		return shownUnproven, fault
	}
	if st.has(foundSecure) {
		if fault := s.insecureAt(); fault != "" {
			return shownUnproven, fault
		}
	}
	return shownGood, ""
}

func (v ServerSighting) missing(record Record) bool {
	switch record {
	case RecordDNSKEY:
		return v.DNSKEY == nil
	case RecordData:
		return v.Data == nil
	}
	return v.DS == nil
}

// breaks says how the version that a server showed breaks a property; empty
// when it has it. A side without keys has nothing and signs nothing: a new key
// that vanished must never look like one that is everywhere. Nor must a key of which
// only the tag is known: that is so only while servers show several with that tag.
func (r *Roll) breaks(p Property, record Record, v ServerSighting, policy Policy) string {
	if p.Verb == empty {
		return emptyBreaks(record, v)
	}
	keys := r.sideFor(p, record)
	if len(keys) == 0 && (p.Verb == has || p.Verb == signedBy) {
		return fmt.Sprintf("there is no key on the %s side", p.Side)
	}
	for _, k := range keys {
		var detail string
		switch record {
		case RecordDNSKEY:
			detail = keyBreaks(p.Verb, k, *v.DNSKEY)
		case RecordData:
			detail = dataBreaks(p.Verb, k, *v.Data)
		case RecordDS:
			detail = dsBreaks(p.Verb, k, r.Zone, *v.DS, policy.DSDigests)
		}
		if detail == "" && k.PublicKey == "" && (p.Verb == has || p.Verb == signedBy) {
			detail = fmt.Sprintf("shows a key with tag %d, as other servers do, but not the same one: which of them is ours is not known", k.Tag)
		}
		if detail != "" {
			return detail
		}
	}
	return ""
}

// emptyBreaks says what there is of a record where there should be nothing.
func emptyBreaks(record Record, v ServerSighting) string {
	switch {
	case record == RecordDS && len(v.DS.Set) > 0:
		return "still has DS " + tags(v.DS.Set)
	case record == RecordDNSKEY && len(v.DNSKEY.Keys) > 0:
		return "still has DNSKEY " + keyTags(v.DNSKEY.Keys)
	}
	return ""
}

// sideFor is the keys of the property's side that the record is about: a DS
// points to keys that sign the DNSKEY set, data is signed by those that sign data.
// That data is not signed by a side is said of all its keys: any of them may have
// signed it while no ZSK was active.
func (r *Roll) sideFor(p Property, record Record) []Key {
	about := func(k Key) bool { return true }
	switch {
	case record == RecordDS, record == RecordDNSKEY && p.Verb == signedBy:
		about = func(k Key) bool { return k.Role.SignsKeys() }
	case p.Verb == signedBy:
		about = func(k Key) bool { return k.Role.SignsData() }
	}
	var out []Key
	for _, k := range r.side(p.Side) {
		if about(k) {
			out = append(out, k)
		}
	}
	return out
}

func keyBreaks(verb propertyVerb, k Key, v KeyVersion) string {
	switch in := slices.ContainsFunc(v.Keys, k.Matches); {
	case verb == has && !in:
		return fmt.Sprintf("has no DNSKEY %d", k.Tag)
	case verb == lacks && in:
		return fmt.Sprintf("still has DNSKEY %d", k.Tag)
	case verb == signedBy && !slices.ContainsFunc(v.Signers, k.Matches):
		return fmt.Sprintf("DNSKEY set is not signed by %d%s", k.Tag, faultOf(v.Faults, k))
	}
	return ""
}

func dataBreaks(verb propertyVerb, k Key, v DataVersion) string {
	trace := func(t Signature) bool { return t.Tag == k.Tag && t.Algorithm == k.Algorithm }
	switch {
	case verb == signedBy && !slices.ContainsFunc(v.Signers, k.Matches):
		return fmt.Sprintf("not all data is signed by %d%s", k.Tag, faultOf(v.Faults, k))
	case verb == notSignedBy && slices.ContainsFunc(v.Traces, trace):
		return fmt.Sprintf("still has signatures by %d", k.Tag)
	}
	return ""
}

func faultOf(faults []Signature, k Key) string {
	for _, f := range faults {
		if f.Tag == k.Tag && f.Algorithm == k.Algorithm || f.Tag == 0 {
			return fmt.Sprintf(" (%s: %s)", strings.TrimSpace(f.On+" signature"), f.Fault)
		}
	}
	return ""
}

// dsBreaks compares digests byte by byte, so that a typo never counts and is
// named. Without "has", a DS with the tag and algorithm of the key is enough
// to be there: a mistyped digest of an old key is still its DS.
func dsBreaks(verb propertyVerb, k Key, zone string, v DSVersion, digests []uint8) string {
	near := slices.IndexFunc(v.Set, func(d DS) bool { return d.Tag == k.Tag && d.Algorithm == k.Algorithm })
	if verb == lacks {
		if near >= 0 {
			return fmt.Sprintf("still has DS %d", k.Tag)
		}
		return ""
	}
	for _, digestType := range digests {
		want, err := k.DNSKEY().DS(zone, digestType)
		if err != nil {
			return err.Error()
		}
		if !slices.Contains(v.Set, want) {
			return strings.TrimSuffix(missingDS(want, v.Set)+otherType(k, zone, v.Set, digests)+": "+v.undelegated(zone), ": ")
		}
	}
	return outranked(k, zone, v.Set)
}

func missingDS(want DS, set []DS) string {
	for _, d := range set {
		if d.Tag == want.Tag && d.DigestType == want.DigestType {
			return fmt.Sprintf("has a wrong DS %d: expected %v, found %v: correct it at the registrar", want.Tag, want, d)
		}
	}
	return fmt.Sprintf("has no DS %d %d %d", want.Tag, want.Algorithm, want.DigestType)
}

// authentic says whether a DNSKEY set is signed by a key that PowerDNS showed
// us. Anything else may be forged; a forged set can only delay. That there is no
// set at all is right for a zone without active keys, which PowerDNS does not
// sign, and counts for no other.
func (r *Roll) authentic(v KeyVersion) bool {
	if len(v.Keys) == 0 && !r.signs() {
		return true
	}
	return slices.ContainsFunc(v.Signers, func(d DNSKEY) bool {
		return slices.ContainsFunc(r.allKeys(), func(k Key) bool { return k.PublicKey != "" && k.Matches(d) })
	})
}

// signs says whether PowerDNS signs the zone, by the last reading of its keys.
func (r *Roll) signs() bool { return slices.ContainsFunc(r.Keys, func(k Key) bool { return k.Active }) }

func (r *Roll) unsignedSet(v KeyVersion) string {
	if len(v.Keys) == 0 {
		return "has no DNSKEY set"
	}
	for _, f := range v.Faults {
		return fmt.Sprintf("DNSKEY set is not signed by a key of this zone (signature by %d: %s)", f.Tag, f.Fault)
	}
	return "DNSKEY set is not signed by a key of this zone"
}

// allKeys is every key the rollover knows of: those of now and of both sides.
func (r *Roll) allKeys() []Key { return slices.Concat(r.Keys, r.Old, r.New) }

// unproven says why an answer of the parent does not count at the level of
// evidence asked for; empty when it does, and for other records.
func (r *Roll) unproven(record Record, v ServerSighting, s Sighting, p Policy) string {
	if record != RecordDS {
		return ""
	}
	switch p.Evidence {
	case EvidencePlain:
		return ""
	case EvidenceResolver:
		return confirmed(v.DS.Set, s.Validators)
	case EvidenceValidated:
		return v.DS.unvalidated()
	}
	return fmt.Sprintf("evidence %q is not known: it must be %q, %q or %q", p.Evidence, EvidenceValidated, EvidenceResolver, EvidencePlain)
}

// unvalidated says why an answer is not proven up to a trust anchor; empty
// when it is.
func (v DSVersion) unvalidated() string {
	switch {
	case v.Standing == nil:
		return "the answer was not validated"
	case v.Standing.Security == Secure:
		return ""
	case v.Standing.Security == Insecure:
		return fmt.Sprintf("shows it, but cannot be believed: %s: for a parent that is not signed set evidence to %q or %q", v.Standing.Why, EvidenceResolver, EvidencePlain)
	case v.Standing.Resolver != "":
		return fmt.Sprintf(unproven+"%s: %s): not this server is at fault, the resolver is: %s: %s", v.Standing.Security, v.Standing.Why, v.Standing.Resolver, otherResolver)
	}
	return fmt.Sprintf(unproven+"%s): %s", v.Standing.Security, v.Standing.Why)
}

func (v DSVersion) replayed() bool { return v.Standing != nil && v.Standing.Replayed }

// confirmed says why no trusted validating resolver confirms a DS set. One
// that calls the zone bogus is doubt, and so is one that does not validate;
// one that still has an older set in its cache is not.
func confirmed(set []DS, validators []ValidatorSighting) string {
	reason := "no validator was asked: set validators in the configuration, or evidence to \"plain\""
	found := false
	for _, v := range validators {
		switch {
		case v.Bogus:
			return fmt.Sprintf("unproven: validator %s says the DS set is bogus", v.Address)
		case v.Unknown != "":
			reason = fmt.Sprintf("validator %s: %s", v.Address, v.Unknown)
		case !v.AD:
			return fmt.Sprintf("unproven: validator %s did not validate the DS set (no AD flag)", v.Address)
		case !slices.Equal(sorted(v.Set), sorted(set)):
			reason = fmt.Sprintf("validator %s has another DS set, perhaps still cached: %s", v.Address, tags(v.Set))
		default:
			found = true
		}
	}
	if found {
		return ""
	}
	return "unproven: " + reason
}

func tags(set []DS) string {
	if len(set) == 0 {
		return "none"
	}
	out := make([]string, len(set))
	for i, d := range sorted(set) {
		out[i] = fmt.Sprintf("%d/%d", d.Tag, d.DigestType)
	}
	return strings.Join(out, ", ")
}

// holdsIn says whether a version in the ledger has all properties of a
// statement. An entry without a version has none.
func (r *Roll) holdsIn(st Statement, e LedgerEntry, p Policy) bool {
	v := ServerSighting{DNSKEY: e.DNSKEY, Data: e.Data, DS: e.DS}
	if v.missing(st.Record) {
		return false
	}
	for _, property := range st.Properties {
		if r.breaks(property, st.Record, v, p) != "" {
			return false
		}
	}
	return true
}

// on says on which side of the delegation a record is served.
func (record Record) on() string {
	if record == RecordDS {
		return RoleParent
	}
	return RoleChild
}

// relevant is the servers of a sighting that a record must be true on.
func (s Sighting) relevant(record Record) []ServerSighting {
	var out []ServerSighting
	for _, v := range s.Servers {
		if v.Role == record.on() && v.Unchecked == "" {
			out = append(out, v)
		}
	}
	return out
}

// counting is the servers that a record must be true on. One that cannot be
// reached from here (no IPv6 route) does not count, unless this rollover has
// asked it before: then the route is gone, and what it serves is unknown.
func (r *Roll) counting(record Record, s Sighting) []ServerSighting {
	out := s.relevant(record)
	for _, v := range s.Servers {
		if v.Role == record.on() && v.Unchecked != "" && slices.Contains(r.Asked, v.place()) {
			v.Unknown, v.Unchecked = v.Unchecked, ""
			out = append(out, v)
		}
	}
	return out
}

// String names a server for people, once where its name is its address.
func (s Server) String() string {
	if strings.Contains(s.Address, strings.TrimSuffix(s.Name, ".")) {
		return s.Address
	}
	return strings.TrimSpace(s.Name + " " + s.Address)
}

// place is what a server is remembered by: its address, or its name when no
// address was found for it.
func (s Server) place() string {
	if s.Address == "" {
		return s.Name
	}
	return s.Address
}
