package rollover

import (
	"slices"
	"strings"
)

// moment is which sides do what from one step on.
type moment struct {
	published, keys, data, ds []Side
}

// edition is one version of a record: which sides are in it, and which sign it.
type edition struct {
	sides, by []Side
}

// editions is what caches may hold of each record.
type editions map[Record][]edition

// story is what a kind makes of a zone, and of what caches hold of it, if all
// goes well: before the first step, and after each.
type story struct {
	moments []moment
	held    []editions
	settled []editions // when the waits of each step hold, before its actions
}

// story tells the kind from its beginning. The ways back begin at many places;
// theirs is the last one at which the first kind that has it can be taken back.
func (k Kind) story() story {
	now, held := moment{[]Side{Old}, []Side{Old}, []Side{Old}, []Side{Old}}, editions{}
	if k.Type == "sign" {
		now = moment{}
	}
	for _, r := range eachRecord() {
		held[r] = []edition{k.edition(now, r)}
	}
	if from, step, ok := k.origin(); ok {
		before := from.story()
		now, held = before.moments[step], before.held[step]
	}
	s := story{moments: []moment{now}, held: []editions{held}}
	for _, step := range k.Steps {
		settled := k.settle(held, step.Waits, now)
		for _, a := range step.Actions {
			now = now.after(a)
		}
		held = k.spread(settled, now)
		s.moments, s.held, s.settled = append(s.moments, now), append(s.held, held), append(s.settled, settled)
	}
	return s
}

func eachRecord() []Record { return []Record{RecordDNSKEY, RecordData, RecordDS} }

// origin is where a way back begins: before which step of which kind.
func (k Kind) origin() (from Kind, step int, ok bool) {
	for _, o := range Kinds() {
		switch {
		case k.Type == "cancel" && o.Cancel == k.Method:
			step = slices.IndexFunc(o.Steps, Step.TakesAway)
		case k.Type == "revert" && o.Revert == k.Method:
			step = slices.IndexFunc(o.Steps, func(s Step) bool {
				return slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb == remove && a.Sides[0] == Old })
			})
		default:
			continue
		}
		if step < 0 { // nothing is taken away to the end
			step = len(o.Steps) - 1
		}
		return o, step, true
	}
	return Kind{}, 0, false
}

// settle is what caches hold when waits hold: no version that a settled
// statement is not true of.
func (k Kind) settle(held editions, waits []Wait, now moment) editions {
	out := editions{}
	for _, r := range eachRecord() {
		out[r] = slices.DeleteFunc(slices.Clone(held[r]), func(v edition) bool {
			return slices.ContainsFunc(waits, func(w Wait) bool { return w.Record == r && w.Strength == StrengthSettled && !v.fits(w.Statement) })
		})
		if len(out[r]) == 0 { // what is served now is always there
			out[r] = []edition{k.edition(now, r)}
		}
	}
	return out
}

// spread is what caches hold after a change: what they held, and the new version.
func (k Kind) spread(held editions, now moment) editions {
	out := editions{}
	for _, r := range eachRecord() {
		v := k.edition(now, r)
		out[r] = slices.Clone(held[r])
		if !slices.ContainsFunc(held[r], v.is) {
			out[r] = append(out[r], v)
		}
	}
	return out
}

// edition is the version of a record at a moment. Who signs the DNSKEY set does
// not matter where no key of the kind does.
func (k Kind) edition(m moment, r Record) edition {
	switch {
	case r == RecordDS:
		return edition{sides: m.ds}
	case r == RecordData:
		return edition{by: m.data}
	case k.signsKeys():
		return edition{sides: m.published, by: m.keys}
	}
	return edition{sides: m.published}
}

// fits says whether a statement is true of a version.
func (v edition) fits(s Statement) bool {
	return !slices.ContainsFunc(s.Properties, func(p Property) bool {
		switch p.Verb {
		case has:
			return !slices.Contains(v.sides, p.Side)
		case lacks:
			return slices.Contains(v.sides, p.Side)
		case signedBy:
			return !slices.Contains(v.by, p.Side)
		case notSignedBy:
			return slices.Contains(v.by, p.Side)
		case empty:
			return len(v.sides) > 0
		}
		return false
	})
}

func (v edition) is(o edition) bool {
	return slices.Equal(v.sides, o.sides) && slices.Equal(v.by, o.by)
}

func same(a, b []edition) bool { return slices.EqualFunc(a, b, edition.is) }

// String is a version in words: "old, new by old".
func (v edition) String() string {
	switch {
	case len(v.sides)+len(v.by) == 0:
		return "none"
	case len(v.by) == 0:
		return sideList(v.sides)
	}
	return strings.TrimSpace(sideList(v.sides) + " by " + sideList(v.by))
}

// class is the colour of a version.
func (v edition) class() string {
	sides := v.sides
	if len(sides) == 0 {
		sides = v.by
	}
	switch len(sides) {
	case 0:
		return "none"
	case 1:
		return string(sides[0])
	}
	return "both"
}

// sideList is sides in words, old before new.
func sideList(sides []Side) string {
	words := make([]string, len(sides))
	for i, s := range sides {
		words[len(sides)-1-i] = string(s)
	}
	return strings.Join(words, ", ")
}

// with and less keep sides in one order, so that versions can be compared.
func with(sides []Side, s Side) []Side {
	if slices.Contains(sides, s) {
		return sides
	}
	return slices.Sorted(slices.Values(append(slices.Clone(sides), s)))
}

func less(sides []Side, s Side) []Side {
	return slices.DeleteFunc(slices.Clone(sides), func(o Side) bool { return o == s })
}

func (m moment) after(a Action) moment {
	switch a.Verb {
	case publish:
		m.published = with(m.published, a.Sides[0])
	case unpublish:
		m.published = less(m.published, a.Sides[0])
	case activate:
		m.keys, m.data = with(m.keys, a.Sides[0]), with(m.data, a.Sides[0])
	case activateEntry:
		m.keys = with(m.keys, a.Sides[0])
	case deactivate:
		m.keys, m.data = less(m.keys, a.Sides[0]), less(m.data, a.Sides[0])
	case remove:
		m.published, m.keys, m.data = less(m.published, a.Sides[0]), less(m.keys, a.Sides[0]), less(m.data, a.Sides[0])
	case askParent:
		m.ds = nil
		for _, s := range a.Sides {
			m.ds = with(m.ds, s)
		}
	}
	return m
}
