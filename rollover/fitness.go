package rollover

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What start refuses of the DS set, the DNSKEY set and the way the zone is
// looked at stays under watch while a rollover runs: it is told at once, and
// where going on would make it worse, no step that takes something away is
// entered.

// Misfit is something with a running rollover that start would have refused.
type Misfit struct {
	Finding
	Since time.Time `json:"since"`
	// Holds says that nothing is taken away, neither from the zone nor at the
	// parent, while it is so.
	Holds bool `json:"holds,omitempty"`
}

// Names of events about what start would have refused.
const (
	EventUnfit = "unfit" // it is so
	EventFit   = "fit"   // it is over
)

// misfits is what start refuses with what one look showed.
func (r *Roll) misfits(kind Kind, s Sighting, setting Setting) []Misfit {
	var out []Misfit
	add := func(m Misfit) {
		if !slices.ContainsFunc(out, func(o Misfit) bool { return o.Finding == m.Finding }) {
			out = append(out, m)
		}
	}
	for _, child := range s.relevant(RecordDNSKEY) {
		if child.DNSKEY == nil {
			continue
		}
		for _, parent := range s.relevant(RecordDS) {
			if text, remedy := r.strictly(parent, *child.DNSKEY); text != "" {
				add(misfit(FindingDigest, parent.Server, text, remedy, false))
			}
		}
		for _, d := range r.leavingKeys(kind, *child.DNSKEY) {
			add(r.foreignKey(child.Server, d))
		}
		if d := r.unasked(kind, *child.DNSKEY, setting); d != nil {
			add(r.otherSigner(child.Server, *d))
		}
	}
	for _, parent := range s.relevant(RecordDS) {
		if parent.DS != nil {
			r.atParent(kind, parent, setting.Policy, add)
		}
	}
	return out
}

func misfit(code string, server Server, text, remedy string, holds bool) Misfit {
	name := server.String()
	if server.Role != "" && name != "" {
		name = server.Role + " " + name
	}
	return Misfit{Finding: Finding{Code: code, Severity: SeverityCritical, Server: name, Text: text, Remedy: remedy}, Holds: holds}
}

// atParent is what one DS set shows that start refuses.
func (r *Roll) atParent(kind Kind, o ServerSighting, p Policy, add func(Misfit)) {
	for _, d := range r.foreign(o.DS.Set) {
		if leaving := r.leaving(kind); r.Type == "algorithm" && slices.ContainsFunc(leaving, func(k Key) bool { return k.Algorithm == d.Algorithm }) {
			add(misfit(FindingForeign, o.Server,
				fmt.Sprintf("DS %v is of no key of %s, and of algorithm %d, which leaves: when the DS of %v is gone, validators that insist on every algorithm of the DS set (unbound with harden-algo-downgrade) fail, for ever",
					d, r.Zone, d.Algorithm, leaving[0]),
				fmt.Sprintf("at the registrar: remove DS %v, and keep all others", d), true))
		}
	}
	switch {
	case r.Type == "sign" && r.Ask == nil && !kind.back() && len(r.Steps) > 0 && len(o.DS.Set) > 0:
		add(misfit(FindingForeign, o.Server,
			fmt.Sprintf("has DS %s before any was asked for: data without signatures that caches hold is bogus with it", tags(o.DS.Set)),
			fmt.Sprintf("at the registrar: remove DS %s; rollover asks for it when caches are ready", records(o.DS.Set)[0]), !r.pointsTo(New, o.DS.Set)))
	case r.onlyOld(kind):
		if err := r.soundDigests(o, p); err != nil && r.pointsTo(Old, o.DS.Set) && len(r.foreignStronger(o.DS.Set)) == 0 {
			add(misfit(FindingDigest, o.Server, err.Error(), "rollover ds --zone "+r.Zone, false))
		}
	}
}

// onlyOld says whether old alone signs the DNSKEY set, so that the DS of old and
// new must be alike.
func (r *Roll) onlyOld(kind Kind) bool {
	signs := func(side Side) bool {
		return slices.ContainsFunc(r.Keys, func(k Key) bool {
			return k.Active && slices.ContainsFunc(r.side(side), func(o Key) bool { return o.Role.SignsKeys() && o.isThe(k) })
		})
	}
	return kind.signsKeys() && !kind.back() && len(r.New) > 0 && signs(Old) && !signs(New)
}

// foreignStronger is the foreign records that outrank all others.
func (r *Roll) foreignStronger(set []DS) []DS {
	foreign := r.foreign(set)
	return slices.DeleteFunc(counted(set), func(d DS) bool { return !slices.Contains(foreign, d) })
}

// strictly says why a strict validator refuses what others accept, and what
// mends it; empty where both are of one mind.
func (r *Roll) strictly(o ServerSighting, keys KeyVersion) (text, remedy string) {
	if o.DS == nil || !Chained(r.Zone, o.DS.Set, keys) {
		return "", "" // not looked at, or broken for everybody, which is told elsewhere
	}
	lost := Unfollowed(r.Zone, o.DS.Set, keys)
	if len(lost) == 0 {
		return "", ""
	}
	d := lost[0]
	text = fmt.Sprintf("DS %s with a DNSKEY set signed by %s: validators that count only the strongest digest type, and want every algorithm of it (unbound with harden-algo-downgrade), answer SERVFAIL: %s",
		tags(o.DS.Set), keyTags(keys.Signers), r.whose(d))
	return text, fmt.Sprintf("at the registrar: remove DS %v, and keep all others", d)
}

// whose says what a DS that nobody follows points to.
func (r *Roll) whose(d DS) string {
	has := func(side Side) bool {
		return slices.ContainsFunc(r.side(side), func(k Key) bool { return d.isOf(r.Zone, k.DNSKEY()) })
	}
	switch {
	case has(New):
		return fmt.Sprintf("DS %d/%d is of the new key, which does not sign", d.Tag, d.DigestType)
	case has(Old):
		return fmt.Sprintf("DS %d/%d is of the old key, which does not sign", d.Tag, d.DigestType)
	}
	return fmt.Sprintf("DS %d/%d of algorithm %d leads to no key that signs", d.Tag, d.DigestType, d.Algorithm)
}

// foreign is the records of a DS set that are of no key that is known. One with
// the tag and algorithm of a known key is that key's, mistyped.
func (r *Roll) foreign(set []DS) []DS {
	return slices.DeleteFunc(slices.Clone(set), func(d DS) bool {
		return slices.ContainsFunc(r.allKeys(), func(k Key) bool { return k.Tag == d.Tag && k.Algorithm == d.Algorithm })
	})
}

// leaving is the keys that go: old ones, or on the way back the new ones.
func (r *Roll) leaving(kind Kind) []Key {
	if kind.back() {
		return r.New
	}
	return r.Old
}

// leavingKeys is the foreign keys in a DNSKEY set whose algorithm leaves. The
// zone must be signed with every algorithm of its set (RFC 4035 section 2.2).
func (r *Roll) leavingKeys(kind Kind, v KeyVersion) []DNSKEY {
	if r.Type != "algorithm" {
		return nil
	}
	return slices.DeleteFunc(r.strangers(v), func(d DNSKEY) bool {
		return !slices.ContainsFunc(r.leaving(kind), func(k Key) bool { return k.Algorithm == d.Algorithm })
	})
}

// strangers is the keys in a DNSKEY set that PowerDNS does not list.
func (r *Roll) strangers(v KeyVersion) []DNSKEY {
	return slices.DeleteFunc(slices.Clone(v.Keys), func(d DNSKEY) bool {
		return slices.ContainsFunc(r.allKeys(), func(k Key) bool { return k.Matches(d) })
	})
}

func (r *Roll) foreignKey(server Server, d DNSKEY) Misfit {
	return misfit(FindingForeign, server,
		fmt.Sprintf("DNSKEY %d of algorithm %d, which leaves, is no key of %s in PowerDNS: when that algorithm does not sign any more, the DNSKEY set still announces it (RFC 4035 section 2.2)", d.Tag(), d.Algorithm, r.Zone),
		fmt.Sprintf("take it out: that of another signer there; a DNSKEY record in the zone's own records (`pdnsutil list-zone %s`) with `pdnsutil delete-rrset %s @ DNSKEY`", bare(r.Zone), bare(r.Zone)), true)
}

// unasked is a key in a DNSKEY set that is another signer's, whose servers are
// not looked at although the rollover changes who signs data: nil if there is none.
func (r *Roll) unasked(kind Kind, v KeyVersion, setting Setting) *DNSKEY {
	if !setting.ServersOnly || !kind.signsData() || r.Type == "unsign" || r.Type == "sign" {
		return nil
	}
	if others := r.strangers(v); len(others) > 0 {
		return &others[0]
	}
	return nil
}

func (r *Roll) otherSigner(server Server, d DNSKEY) Misfit {
	return misfit(FindingForeign, server,
		fmt.Sprintf("DNSKEY %d is no key of %s in PowerDNS, perhaps of a second provider, and servers_only leaves its servers out: nobody sees whether they publish the new key before it signs (RFC 8901)", d.Tag(), r.Zone),
		"set servers_only to false, or name the servers of both in `servers`; if it is of nobody, take it out", true)
}

// overshadowed says whether the parent shows the DS of a side that does not
// sign with a stronger digest type than that of the side that does: a strict
// validator counts the former alone, and fails.
func (r *Roll) overshadowed(signs, idle Side, set []DS) bool {
	counts := counted(set)
	return r.pointsTo(idle, counts) && !r.pointsTo(signs, counts)
}

// outranked says why a strict validator does not get to a key by its DS, though
// they are all there; empty if it does.
func outranked(k Key, zone string, set []DS) string {
	counts := counted(set)
	if len(counts) == 0 || slices.ContainsFunc(counts, func(d DS) bool { return d.isOf(zone, k.DNSKEY()) }) {
		return ""
	}
	d := counts[0]
	return fmt.Sprintf("has DS of %d with a weaker digest type than DS %d/%d: validators that count only the strongest would not get to it: add DS of %d with type %d (ds_digests), or take DS %d/%d out",
		k.Tag, d.Tag, d.DigestType, k.Tag, d.DigestType, d.Tag, d.DigestType)
}

// otherType names a right DS of a key with a digest type that was not asked
// for, where none that was asked for is there.
func otherType(k Key, zone string, set []DS, asked []uint8) string {
	for _, d := range set {
		if d.isOf(zone, k.DNSKEY()) && !slices.Contains(asked, d.DigestType) {
			return fmt.Sprintf("; the parent has the right key with digest type %d: set ds_digests, or ask for type %d", d.DigestType, asked[0])
		}
	}
	return ""
}

// fits refuses to begin what would not be gone on with.
func (v *visit) fits(s Sighting) error {
	kind, err := v.kind()
	if err != nil {
		return nil // to be adopted: what it is shows later, and is watched then
	}
	for _, m := range v.roll.misfits(kind, s, v.setting) {
		if m.Holds || kind.signsKeys() && v.roll.Type != "unsign" {
			return fmt.Errorf("%w: %s: %v: mend that first", ErrRefused, v.dossier.Zone, m.Finding)
		}
	}
	return nil
}

// watch notes what start would have refused, and tells what is new of it and
// what is over.
func (v *visit) watch(kind Kind, s Sighting) {
	was := v.dossier.Misfits
	now := v.roll.misfits(kind, s.believed(v.setting.Policy), v.setting)
	for _, m := range was {
		if (m.Code == FindingCDS || s.silent(m.Server)) && !m.in(now) {
			now = append(now, m) // nobody knows better
		}
	}
	v.tellFitness(was, now)
	v.dossier.Misfits, v.roll.Unfit = now, slices.ContainsFunc(now, func(m Misfit) bool { return m.Holds })
}

// tellFitness dates what is unfit, and tells what is new of it and what is over.
func (v *visit) tellFitness(was, now []Misfit) {
	for i, m := range now {
		now[i].Since = v.engine.Now().Wall
		if k := slices.IndexFunc(was, m.same); k >= 0 {
			now[i].Since = was[k].Since
			continue
		}
		v.event(EventUnfit, v.roll.Step, m.String())
	}
	for _, m := range was {
		if !m.in(now) {
			v.event(EventFit, v.roll.Step, "over: "+m.Text)
		}
	}
}

// publishes says whether PowerDNS makes no CDS records while the parent is asked
// in another way: the parent may do by itself what nobody wants. It is asked each
// time the keys are read for a step; a rescue is not held up by it, nor is a zone
// that gets its first keys or loses its last, whose CDS records are retracted.
func (v *visit) publishes(inv Inventory, step Step) bool {
	kind, err := v.kind()
	if err != nil || v.setting.Policy.CDS || kind.oneSided() || v.entering.GoOn != "" {
		return true
	}
	var found []Misfit
	if err := v.setting.Policy.fitsCDS(inv, kind); err != nil {
		text := strings.TrimPrefix(err.Error(), ErrRefused.Error()+": ")
		found = append(found, misfit(FindingCDS, Server{}, text, fmt.Sprintf("pdnsutil unset-publish-cds %s; pdnsutil unset-publish-cdnskey %s", bare(inv.Zone), bare(inv.Zone)), false))
	}
	others := slices.DeleteFunc(slices.Clone(v.dossier.Misfits), func(m Misfit) bool { return m.Code == FindingCDS })
	was := slices.DeleteFunc(slices.Clone(v.dossier.Misfits), func(m Misfit) bool { return m.Code != FindingCDS })
	v.tellFitness(was, found)
	v.dossier.Misfits = append(others, found...)
	if len(found) == 0 {
		return true
	}
	v.roll.Need = &Need{Next: step.Name, Waits: []string{}, Findings: []Finding{found[0].Finding}, Actor: ActorYou, Records: []Record{RecordDS}}
	v.roll.Phase = PhaseHolding
	return false
}

func (m Misfit) same(o Misfit) bool { return m.Finding == o.Finding }

func (m Misfit) in(list []Misfit) bool { return slices.ContainsFunc(list, m.same) }

// silent says whether the server that a finding names was looked at and gave no
// answer.
func (s Sighting) silent(name string) bool {
	return slices.ContainsFunc(s.Servers, func(v ServerSighting) bool { return v.Unknown != "" && name == v.Role+" "+v.Server.String() })
}

// heldBack is the need of a step that would make a misfit worse; nil if it may
// be entered.
func (v *visit) heldBack(step Step) *Need {
	if !v.roll.Unfit || !step.TakesAway() && !step.asksParent() {
		return nil
	}
	need := &Need{Next: step.Name, Waits: []string{}, Actor: ActorYou, Records: []Record{RecordDNSKEY, RecordDS}}
	for _, m := range v.dossier.Misfits {
		if m.Holds {
			need.Findings = append(need.Findings, m.Finding)
		}
	}
	return need
}

// unfitness is what start would have refused, while a rollover runs.
func (d Dossier) unfitness() []Misfit {
	if d.Roll == nil || d.Roll.State.Ended() {
		return nil
	}
	return d.Misfits
}

// misfitting is that in words.
func (d Dossier) misfitting() []string {
	var out []string
	for _, m := range d.unfitness() {
		out = append(out, "since "+m.Since.UTC().Format(time.RFC3339)+": "+m.String())
	}
	return out
}

// missed is why a side signs beside the other.
func (r *Roll) missed(side Side) string {
	if r.pointsTo(side.other(), r.DSSeen) {
		return fmt.Sprintf("the parent has the DS of the %s key with a stronger digest type than that of the %s one, and validators that count only the strongest would fail", side, side.other())
	}
	return fmt.Sprintf("the parent has the DS of the %s key without that of the %s one", side, side.other())
}

// strangeDS names the records at the parent that point to no key of the zone,
// while others do: they keep their power.
func strangeDS(s Sighting, known []Key) []Finding {
	var out []Finding
	for _, o := range s.relevant(RecordDS) {
		if o.DS == nil {
			continue
		}
		for _, d := range o.DS.Set {
			if s.owns(d, known) || !s.follows(o.DS.Set) {
				continue
			}
			f := misfit(FindingForeign, o.Server, fmt.Sprintf("DS %v points to no key of the zone: it keeps its power, and whoever has that key can sign for the zone", d),
				fmt.Sprintf("if it is of no stand-by key: remove DS %v at the registrar, and keep all others", d), false).Finding
			f.Severity = SeverityWarning
			out = append(out, f)
		}
	}
	return out
}

// owns says whether some server shows a key with the tag and algorithm of a DS,
// or a rollover has one.
func (s Sighting) owns(d DS, known []Key) bool {
	if slices.ContainsFunc(known, func(k Key) bool { return k.Tag == d.Tag && k.Algorithm == d.Algorithm }) {
		return true
	}
	return slices.ContainsFunc(s.relevant(RecordDNSKEY), func(o ServerSighting) bool {
		return o.DNSKEY != nil && slices.ContainsFunc(o.DNSKEY.Keys, func(k DNSKEY) bool { return k.Tag() == d.Tag && k.Algorithm == d.Algorithm })
	})
}

// follows says whether some server's DNSKEY set is chained to a DS set.
func (s Sighting) follows(set []DS) bool {
	return slices.ContainsFunc(s.relevant(RecordDNSKEY), func(o ServerSighting) bool { return o.DNSKEY != nil && Chained(s.Zone, set, *o.DNSKEY) })
}

// strictness finds DS sets that strict validators do not follow to the keys of a
// server, though others do. Algorithms that do not sign at all have a finding of
// their own.
func (e *examination) strictness() {
	for _, v := range e.sighting.relevant(RecordDNSKEY) {
		if v.DNSKEY == nil {
			continue
		}
		for _, set := range e.dsSets() {
			var lost []string
			for _, d := range Unfollowed(e.sighting.Zone, set, *v.DNSKEY) {
				if slices.ContainsFunc(v.DNSKEY.Signers, func(k DNSKEY) bool { return k.Algorithm == d.Algorithm }) {
					lost = append(lost, d.String())
				}
			}
			if len(lost) > 0 && Chained(e.sighting.Zone, set, *v.DNSKEY) {
				e.add(FindingDigest, SeverityWarning, v.Server, fmt.Sprintf("validators that count only the strongest digest type (unbound with harden-algo-downgrade) fail: DS %s leads to no key that signs the DNSKEY set", strings.Join(lost, ", ")),
					"remove that DS at the registrar, or add one of the key that signs with the same digest type; keep all others")
			}
		}
	}
}

// keys is the keys of a running rollover; none if none runs.
func (d Dossier) keys() []Key {
	if d.Roll == nil || d.Roll.State.Ended() {
		return nil
	}
	return d.Roll.allKeys()
}
