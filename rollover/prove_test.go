package rollover

import (
	"testing"
	"time"
)

// familiesFor is where a mutant of a wait is looked for: in lag alone, with TTLs
// unequal in two ways, and where the operator cancels.
func familiesFor(m mutant) []family {
	if m.family.may != nil || m.family.ttl != [3][2]uint8{} {
		return []family{m.family}
	}
	if m.kind.Type == "cancel" {
		return []family{{may: may{faultCancel: 1, faultSwitch: 1}}, {may: may{faultCancel: 1, faultReplace: 1}}}
	}
	return []family{{ttl: wide}, {ttl: other}}
}

// hunt searches for what a mutant breaks.
func hunt(m mutant, limit int) (*proof, result) {
	kinds := []Kind{m.kind}
	if m.kind.Type == "cancel" {
		kinds = nil
		for _, k := range Kinds() {
			if k.Type == m.kind.Method {
				kinds = append(kinds, k)
			}
		}
	}
	var p *proof
	for _, f := range familiesFor(m) {
		for _, k := range kinds {
			p = newProof(k, f, m.tweak)
			if m.kind.Type == "cancel" {
				p.replace(m.kind)
			}
			if r := p.search(limit, nil); r.bad != "" || m.slow > 0 {
				return p, r
			}
		}
	}
	return p, result{}
}

func TestProveTry(t *testing.T) {
	for _, m := range append(append(guardMutants()[25:], orderMutants()...), waitMutants()[24:]...) {
		start := time.Now()
		p, r := hunt(m, 700_000)
		bad := r.bad
		if m.slow > 0 {
			t.Logf("heals in %d, wanted more than %d", p.heals(), m.slow)
		}
		t.Logf("%s: %d states %v: %s", m.name, len(p.worlds), time.Since(start).Round(time.Millisecond), bad)
		if bad == "" {
			t.Errorf("NOT FOUND %s", m.name)
		}
	}
}
