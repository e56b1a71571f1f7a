package rollover

import (
	"maps"
	"slices"
)

// may is how often what may go wrong.
type may = map[fault]uint8

// circumstances are the families that every row of the table goes through, each
// with one sort of fault, on top of what is always so: servers and parent lag
// for as long as they like, and rollover ticks when it likes.
func circumstances() []family {
	return []family{
		{name: "lag", ttl: [3][2]uint8{{1, 1}, {2, 2}, {3, 3}}},
		{name: "lag, other TTLs", ttl: [3][2]uint8{{3, 3}, {2, 2}, {1, 1}}},
		{name: "lag, urgent", urgent: true},
		{name: "kill at any operation", may: may{faultCrash: 1}, broad: true},
		{name: "kill at any operation, lenient validators", may: may{faultCrash: 1}, broad: true, lenient: true},
		{name: "pdnsutil lies", may: may{faultLie: 1}, broad: true},
		{name: "pdnsutil lies, lenient validators", may: may{faultLie: 1}, broad: true, lenient: true},
		{name: "server silent", may: may{faultSilent: 1}, heavy: true},
		{name: "parent falls back", may: may{faultFlap: 1}, broad: true},
		{name: "name server falls back", may: may{faultFallBack: 1}},
		{name: "name server falls back, urgent", may: may{faultFallBack: 1}, urgent: true},
		{name: "registrar replaces", may: may{faultReplace: 1}, heavy: true},
		{name: "registrar mistypes", may: may{faultTypo: 1}, broad: true},
		{name: "the wrong DS is taken out", may: may{faultWrongDS: 1}, heavy: true},
		{name: "killed, and the wrong DS is taken out", may: may{faultCrash: 1, faultWrongDS: 1}, heavy: true},
		{name: "roles changed by hand just before the start", roles: true, broad: true},
		{name: "roles changed by hand just before the start, other TTLs", roles: true, ttl: late, broad: true},
		{name: "nobody looks, and the parent falls back", may: may{faultAway: 1, faultFlap: 1}, heavy: true},
		{name: "nobody looks, and a name server falls back", may: may{faultAway: 1, faultFallBack: 1}, heavy: true},
		{name: "paused, and the parent falls back", may: may{faultPause: 1, faultFlap: 1}, heavy: true},
		{name: "paused, and a name server falls back", may: may{faultPause: 1, faultFallBack: 1}, heavy: true},
		{name: "DS put in early", may: may{faultEarly: 1}, broad: true},
		{name: "TTL of DS lowered", may: may{faultTTLDS: 1}, high: 1 << inDS, heavy: true},
		{name: "TTL of DNSKEY lowered", may: may{faultTTLKeys: 1}, high: 1 << inKeys, heavy: true},
		{name: "TTL of data lowered", may: may{faultTTLData: 1}, high: 1 << inData, heavy: true},
		{name: "TTL of DS raised", may: may{faultTTLDS: 1}, heavy: true},
		{name: "TTL of DNSKEY raised", may: may{faultTTLKeys: 1}, heavy: true},
		{name: "TTL of data raised", may: may{faultTTLData: 1}, heavy: true},
		{name: "clock jumps, reboot", may: may{faultForward: 1, faultReboot: 1}, policy: withMargin, jump: 3, heavy: true},
		{name: "clock jumps by less than counts as absence, reboot", may: may{faultForward: 1, faultReboot: 1}, policy: withMargin, jump: 2, heavy: true},
		{name: "clock falls back, reboot", may: may{faultBack: 1, faultReboot: 1}, policy: withMargin, jump: 3, heavy: true},
		{name: "parent forged, validator asked", may: may{faultForged: 1}, policy: withValidator, heavy: true},
		{name: "keys edited by hand", may: may{faultEdit: 1}, heavy: true},
		{name: "a key of neither side edited by hand", may: may{faultEdit: 1}, aside: true, heavy: true},
		{name: "reverted, and a key of neither side edited by hand", may: may{faultRevert: 1, faultEdit: 1}, aside: true, many: true},
		{name: "cancelled", may: may{faultCancel: 1}, broad: true},
		{name: "reverted", may: may{faultRevert: 1}, broad: true},
		{name: "cancelled after a switch by hand", may: may{faultCancel: 1, faultSwitch: 1}, heavy: true},
		{name: "reverted, and a switch by hand", may: may{faultRevert: 1, faultSwitch: 1}, heavy: true},
		{name: "cancelled, DS put in early", may: may{faultCancel: 1, faultEarly: 1}, heavy: true},
		{name: "cancelled, registrar replaces", may: may{faultCancel: 1, faultReplace: 1}, heavy: true},
		{name: "cancelled, TTL of DNSKEY lowered", may: may{faultCancel: 1, faultTTLKeys: 1}, high: 1 << inKeys, heavy: true},
		{name: "reverted, TTL of DNSKEY lowered", may: may{faultRevert: 1, faultTTLKeys: 1}, high: 1 << inKeys, heavy: true},
		{name: "cancelled after an edit", may: may{faultCancel: 1, faultEdit: 1}, many: true},
		{name: "reverted after an edit", may: may{faultRevert: 1, faultEdit: 1}, many: true},
	}
}

// leniently is families once more, with validators that accept a path by any
// algorithm: histories that a strict one ends go on there.
func leniently(families []family) []family {
	return again(families, "lenient validators", func(f *family) *bool { return &f.lenient })
}

// hurriedly is families once more, with a rollover that is urgent.
func hurriedly(families []family) []family {
	return again(families, "urgent", func(f *family) *bool { return &f.urgent })
}

// again is those families once more that are not of some way, in that way.
func again(families []family, way string, of func(*family) *bool) []family {
	var out []family
	for _, f := range families {
		if f.lenient || f.urgent {
			continue
		}
		f.heavy, f.name, *of(&f) = true, f.name+", "+way, true
		if !slices.ContainsFunc(families, func(o family) bool { return o.name == f.name }) {
			out = append(out, f)
		}
	}
	return out
}

// pairs is every two sorts of faults in one history, but those that
// circumstances have already.
func pairs() []family {
	var out []family
	known := circumstances()
	single := slices.DeleteFunc(circumstances(), func(f family) bool { return f.lenient || f.urgent || len(f.may) != 1 && f.may[faultReboot] == 0 })
	for i, a := range single {
		for _, b := range single[i+1:] {
			both, ok := a.with(b)
			if ok && !slices.ContainsFunc(known, func(f family) bool { return maps.Equal(f.may, both.may) }) {
				out = append(out, both)
			}
		}
	}
	return out
}

// with is two circumstances in one history; false if they are of one sort.
func (f family) with(o family) (family, bool) {
	out := family{name: f.name + " + " + o.name, may: maps.Clone(f.may), high: f.high | o.high, policy: both(f.policy, o.policy), many: true}
	for fault, n := range o.may {
		if out.may[fault] > 0 {
			return family{}, false
		}
		out.may[fault] = n
	}
	return out, true
}

func both(a, b func(*Policy)) func(*Policy) {
	return func(p *Policy) {
		for _, change := range []func(*Policy){a, b} {
			if change != nil {
				change(p)
			}
		}
	}
}

// withMargin is what the default policy has: a margin of max_gap, which is as
// much as one clock that jumped over a reboot can earn wrongly.
func withMargin(p *Policy) { p.Margin = p.MaxGap }

func withValidator(p *Policy) { p.Evidence = EvidenceResolver }
