package rollover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// adoption is what a half-done rollover was recognised as.
type adoption struct {
	kindType, method string
	step             string // the last one that counts as entered; empty if none does
	begun            string // the next one, if some of its commands are in effect
	old, new         []Key
}

// recogniser holds what there is to see.
type recogniser struct {
	zone string
	keys []Key // by id: the older one first
	set  []DS
}

// recognise finds the rollover that keys and DS set are in the middle of. What
// fits none is refused with what was seen, and with what to do.
//
// Several histories can lead to the same keys and the same DS set: what is taken is
// then what waits for all that any of them has left in caches (docs/kinds/adopt.md).
// Of two keys the one with the larger id is new; a wrong guess is safe, for it only
// decides which one stays.
func recognise(zone string, keys []Key, set []DS) (adoption, error) {
	r := recogniser{zone, slices.Clone(keys), set}
	slices.SortFunc(r.keys, func(a, b Key) int { return cmp.Compare(a.ID, b.ID) })
	for i := range r.keys {
		r.keys[i].Role = RoleOf(keys, r.keys[i])
	}
	groups := map[uint8][]Key{}
	for _, k := range r.keys {
		groups[k.Algorithm] = append(groups[k.Algorithm], k)
	}
	switch len(groups) {
	case 1:
		return r.single()
	case 2:
		older := groups[r.keys[0].Algorithm]
		delete(groups, r.keys[0].Algorithm)
		for _, newer := range groups {
			return r.algorithm(older, newer)
		}
	}
	return adoption{}, r.refuse("its keys have more than two algorithms", "two rollovers at once are ended by hand: docs/recovery.md")
}

// refuse says why nothing is adopted, what was seen, and what helps.
func (r recogniser) refuse(why, help string) error {
	words := make([]string, len(r.keys))
	for i, k := range r.keys {
		words[i] = fmt.Sprintf("%v flags %d algorithm %d %s", k, k.Flags, k.Algorithm, k.state())
	}
	return fmt.Errorf("%w: %s is in the middle of no rollover that is known: %s; PowerDNS has %s, and the parent DS %s (pdnsutil show-zone %s): %s",
		ErrRefused, r.zone, why, strings.Join(words, ", "), tags(r.set), r.zone, help)
}

// command is a pdnsutil command about one key, to be typed.
func (r recogniser) command(verb string, k Key) string {
	return fmt.Sprintf("`pdnsutil %s %s %d`", verb, r.zone, k.ID)
}

// hasDS says whether the parent has a right DS of some key.
func (r recogniser) hasDS(keys ...Key) bool {
	roll := Roll{Zone: r.zone}
	return slices.ContainsFunc(keys, func(k Key) bool { return len(roll.digests(k, r.set)) > 0 })
}

// byFlags is keys with and without the SEP flag (RFC 4034 section 2.1.1).
func byFlags(keys []Key) (seps, plain []Key) {
	for _, k := range keys {
		if k.Flags == FlagsKSK {
			seps = append(seps, k)
		} else {
			plain = append(plain, k)
		}
	}
	return seps, plain
}

// as is keys of one layout, with their roles in it: what they are while they are
// used, whatever PowerDNS makes of them while some of them do not sign.
func as(keys ...Key) []Key {
	seps, plain := byFlags(keys)
	out := slices.Concat(seps, plain)
	for i := range out {
		switch {
		case len(seps) == 0 || len(plain) == 0:
			out[i].Role = CSK
		case out[i].Flags == FlagsKSK:
			out[i].Role = KSK
		default:
			out[i].Role = ZSK
		}
	}
	return out
}

// one is a single key with a role.
func one(k Key, role Role) []Key {
	k.Role = role
	return []Key{k}
}

// single recognises a rollover within one algorithm.
func (r recogniser) single() (adoption, error) {
	for _, k := range r.keys {
		switch {
		case !k.Published && k.Active:
			return adoption{}, r.refuse(fmt.Sprintf("%v signs and is not published", k), "publish it, which only adds, and try again: "+r.command("publish-zone-key", k))
		case !k.Published:
			return adoption{}, r.refuse(fmt.Sprintf("%v is not published", k), "it is in no answer, so nothing needs it: "+r.command("remove-zone-key", k))
		}
	}
	switch seps, plain := byFlags(r.keys); {
	case len(seps) == 0 && len(r.set) == 0:
		return adoption{}, r.refuse("none of its keys has the SEP flag (flags 257), and the parent has no DS", "if it is to be unsigned, when there was no DS for twice its TTL and an hour: "+r.command("remove-zone-key", r.keys[0]))
	case len(seps) == 0:
		return adoption{}, r.refuse("none of its keys has the SEP flag (flags 257)", "only an algorithm rollover leads from there to a key that may be the entry point: `rollover start "+r.zone+" --type algorithm --algorithm NAME`")
	case len(seps) == 1 && len(plain) < 2:
		return r.settled(seps[0], plain)
	case len(seps) == 1 && len(plain) == 2:
		return r.zsks(seps[0], plain[0], plain[1])
	case len(seps) == 2 && len(plain) == 0:
		return r.entries(CSK, seps[0], seps[1])
	case len(seps) == 2 && len(plain) == 1:
		return r.three(seps[0], seps[1], plain[0])
	}
	return adoption{}, r.refuse("a rollover in the middle has two keys of one role, once", "two rollovers at once are ended by hand: docs/recovery.md")
}

// settled is a zone with one key for everything, or a KSK and a ZSK: nothing is in
// the middle, but a first signing whose DS is not at the parent.
func (r recogniser) settled(sep Key, plain []Key) (adoption, error) {
	idle := slices.DeleteFunc(slices.Clone(r.keys), func(k Key) bool { return k.Active })
	switch {
	case len(idle) == 0 && len(r.set) == 0:
		return adoption{kindType: "sign", method: "ds-last", new: as(r.keys...)}, nil
	case len(idle) == 0:
		return adoption{}, r.refuse("nothing is half done: a rollover in the middle has two keys of one role", "to begin one: `rollover start "+r.zone+"`")
	case sep.Active:
		return adoption{}, r.refuse(fmt.Sprintf("keys with flags 256 and 257 that are all CSKs, by the rule of PowerDNS: %v does not sign, and nobody can say whether a conversion begins or ends with it", plain[0]),
			fmt.Sprintf("when it has not signed for twice the largest TTL of the zone and an hour: %s; to convert the zone: `rollover start %s --to split`", r.command("remove-zone-key", plain[0]), r.zone))
	case r.hasDS(sep):
		return adoption{}, r.refuse(fmt.Sprintf("%v, without the SEP flag, signs alone, and the DS is of %v", plain[0], sep), "let that one sign again: "+r.command("activate-zone-key", sep))
	}
	return adoption{}, r.refuse(fmt.Sprintf("%v, without the SEP flag, signs alone: it never becomes the only entry point, and with another active key PowerDNS makes it a ZSK", plain[0]),
		fmt.Sprintf("when %v has not signed for twice the largest TTL of the zone and an hour: %s, and then `rollover start %s --type algorithm --algorithm NAME`", sep, r.command("remove-zone-key", sep), r.zone))
}

func (r recogniser) zsks(sep, older, newer Key) (adoption, error) {
	found := adoption{kindType: "zsk", method: "pre-publish", step: "publish", old: one(older, ZSK), new: one(newer, ZSK)}
	switch {
	case !sep.Active:
		return found, r.refuse(fmt.Sprintf("%v, the only key with the SEP flag, does not sign", sep), "let it sign again: "+r.command("activate-zone-key", sep))
	case older.Active && newer.Active:
		found.method = "double-signature"
	case newer.Active:
		found.step = "switch"
	case !older.Active:
		return found, r.refuse("no ZSK signs, so the KSK signs everything", fmt.Sprintf("let the one sign again that did: %s or %s", r.command("activate-zone-key", older), r.command("activate-zone-key", newer)))
	}
	return found, nil
}

// entries recognises a rollover of keys that a DS points to. While both sign it
// does not matter by which way that came about: the DS set says what comes next.
func (r recogniser) entries(role Role, older, newer Key) (adoption, error) {
	found := adoption{kindType: strings.ToLower(string(role)), method: "double-ds", old: one(older, role), new: one(newer, role)}
	hasOld, hasNew := r.hasDS(older), r.hasDS(newer)
	switch {
	case len(r.set) == 0:
		return found, r.chainless()
	case older.Active && newer.Active && hasOld && hasNew:
		found.method, found.step = "double-rrset", "publish"
	case older.Active && newer.Active && hasNew:
		found.method, found.step = "double-signature", "submit"
	case older.Active && newer.Active:
		found.method, found.step = "double-signature", "publish"
	case older.Active && hasOld && hasNew:
		found.step = "submit"
	case older.Active && hasOld:
		found.step = "publish"
	case newer.Active && hasNew && hasOld:
		found.step = "switch"
	case newer.Active && hasNew:
		found.step = "withdraw"
	default:
		return found, r.refuse("the parent has no DS of the key that signs", r.mute(older, newer))
	}
	return found, nil
}

// mute is what to type when no key signs that the parent has a DS of.
func (r recogniser) mute(keys ...Key) string {
	for _, k := range keys {
		if r.hasDS(k) {
			return "the zone is breaking; let the key sign that the DS is of, which only adds: " + r.command("activate-zone-key", k)
		}
	}
	return "mend the DS set at the parent first: `pdnsutil export-zone-ds " + r.zone + "`"
}

func (r recogniser) chainless() error {
	return r.refuse("it has no DS there, so there is no chain to roll", fmt.Sprintf("submit the DS of the key that stays first (`pdnsutil export-zone-ds %s`), or remove the other key", r.zone))
}

// three recognises what two keys with the SEP flag and one without are in the
// middle of: a KSK rollover, or a conversion. While the ZSK signs, the keys are
// the same in both. A ZSK that is younger than both keys came with the newer one,
// so the older one has been a CSK, and caches may hold data by it.
func (r recogniser) three(older, newer, zsk Key) (adoption, error) {
	youngest := zsk.ID > newer.ID
	switch {
	case len(r.set) == 0:
		return adoption{}, r.chainless()
	case !older.Active && !newer.Active:
		return adoption{}, r.refuse("no key with the SEP flag signs", r.mute(older, newer))
	case zsk.Active && (!youngest || !newer.Active):
		return r.entries(KSK, older, newer)
	case newer.Active && !older.Active && !zsk.Active && youngest:
		return adoption{}, r.refuse(fmt.Sprintf("%v signs alone, and of the others %v is older and %v is younger", newer, older, zsk), "two rollovers at once are ended by hand: docs/recovery.md")
	case newer.Active && !older.Active && !zsk.Active:
		return r.conversion(as(older, zsk), as(newer))
	case older.Active && newer.Active && !zsk.Active && zsk.ID > older.ID && !youngest:
		return r.conversion(as(newer), as(older, zsk)) // the KSK and the ZSK were there first: it goes back
	}
	return r.conversion(as(older), as(newer, zsk))
}

// conversion recognises how far a conversion has come.
func (r recogniser) conversion(old, new []Key) (adoption, error) {
	found := adoption{kindType: "csk", method: "convert-double-ds", old: old, new: new}
	from, to := old[0], new[0] // as lists the key with the SEP flag first
	hasOld, hasNew := r.hasDS(from), r.hasDS(to)
	switch {
	case from.Active && to.Active && hasOld && !hasNew && !slices.ContainsFunc(new, func(k Key) bool { return k.Active && k.Role == ZSK }):
		found.method, found.step = "convert-double-signature", "publish"
	case from.Active && to.Active && hasOld:
		found.step, found.begun = "submit", "switch"
	case from.Active && to.Active && hasNew:
		found.method, found.step = "convert-double-signature", "submit"
		if slices.ContainsFunc(new, func(k Key) bool { return k.Active && k.Role == ZSK }) {
			found.begun = "switch"
		}
	case from.Active && hasOld && hasNew:
		found.step = "submit"
	case from.Active && hasOld:
		found.step = "publish"
	case to.Active && hasOld && hasNew:
		found.step = "switch"
	case to.Active && hasNew:
		found.step = "withdraw"
	default:
		return found, r.refuse("the parent has no DS of the key that signs", r.mute(from, to))
	}
	return found, nil
}

// algorithm recognises an algorithm rollover, in which keys sign before they are
// published, and after.
func (r recogniser) algorithm(older, newer []Key) (adoption, error) {
	found := adoption{kindType: "algorithm", method: "conservative", old: as(older...), new: as(newer...)}
	if err := r.algorithmKeys(older, newer); err != nil {
		return found, err
	}
	oldIn, newIn := published(older), published(newer)
	hasOld, hasNew := r.hasDS(older...), r.hasDS(newer...)
	switch {
	case len(r.set) == 0:
		return found, r.chainless()
	case oldIn == allOf && newIn != allOf && hasOld && !hasNew:
		found.step = "sign"
	case oldIn == allOf && newIn == allOf && hasOld && !hasNew:
		found.step = "publish"
	case oldIn == allOf && newIn == allOf && hasNew, oldIn == someOf && newIn == allOf && hasNew && !hasOld:
		found.step = "submit"
	case oldIn == noneOf && newIn == allOf && hasNew && !hasOld:
		found.step = "unpublish"
	default:
		return found, r.refuse("no step of an algorithm rollover leaves keys and DS like this", "publish every key that the parent has a DS of, and try again; or go on by hand: docs/recovery.md")
	}
	return found, nil
}

// algorithmKeys refuses keys of two algorithms that no algorithm rollover has.
func (r recogniser) algorithmKeys(older, newer []Key) error {
	if odd := r.odd(older, newer); odd != nil {
		return odd
	}
	for _, side := range [][]Key{older, newer} {
		if seps, plain := byFlags(side); len(seps) > 1 || len(plain) > 1 {
			return r.refuse("more than a KSK and a ZSK of one algorithm", "two rollovers at once are ended by hand: docs/recovery.md")
		}
	}
	for _, k := range r.keys {
		switch {
		case k.Active, !k.Published && containsID(older, k.ID) && published(older) == noneOf:
		case k.Published:
			return r.refuse(fmt.Sprintf("%v does not sign: in an algorithm rollover every key does, before it is published and after", k), "let it sign, which only adds: "+r.command("activate-zone-key", k))
		case !slices.ContainsFunc(newer, func(o Key) bool { return o.Active }):
			return r.refuse(fmt.Sprintf("%v does not sign: in an algorithm rollover every key does, before it is published and after", k), "it is in no answer, so nothing needs it: "+r.command("remove-zone-key", k))
		default:
			return r.refuse(fmt.Sprintf("%v does not sign, and another key of its algorithm does: in an algorithm rollover every key does", k), "let it sign again, which only adds, adopt, and cancel: "+r.command("activate-zone-key", k))
		}
	}
	return nil
}

// odd refuses to take for an algorithm rollover what is none: a key without the
// SEP flag that is alone in its algorithm, where the parent has no DS of it.
func (r recogniser) odd(older, newer []Key) error {
	if layout := oddLayout(r.zone, r.keys); layout != "" && !(alone(older) && r.hasDS(older...)) {
		return fmt.Errorf("%w: %s is in the middle of no rollover: %s; the parent has DS %s", ErrRefused, r.zone, layout, tags(r.set))
	}
	if alone(newer) {
		return r.refuse(fmt.Sprintf("%v is alone in algorithm %d and has no SEP flag: it never becomes the only entry point", newer[0], newer[0].Algorithm), r.alone(newer[0]))
	}
	return nil
}

func alone(keys []Key) bool {
	seps, _ := byFlags(keys)
	return len(seps) == 0
}

// alone is what to do with a key of another algorithm that leads nowhere.
func (r recogniser) alone(k Key) string {
	if k.Active || k.Published {
		return unpublishing(r.zone, k)
	}
	return "it is in no answer, so nothing needs it: " + r.command("remove-zone-key", k)
}

type share int

const (
	noneOf share = iota
	someOf
	allOf
)

// published says how many of the keys are published.
func published(keys []Key) share {
	n := 0
	for _, k := range keys {
		if k.Published {
			n++
		}
	}
	switch n {
	case 0:
		return noneOf
	case len(keys):
		return allOf
	}
	return someOf
}
