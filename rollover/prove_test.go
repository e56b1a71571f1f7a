package rollover

import (
	"testing"
	"time"
)

func TestProveTry(t *testing.T) {
	total := 0
	for _, k := range Kinds() {
		if k.Type == "cancel" || k.Role == CSK {
			continue
		}
		for _, f := range circumstances() {
			start := time.Now()
			p := newProof(k, f, tweak{})
			r := p.search(600_000, nil)
			total += len(p.worlds)
			t.Logf("%s %s: %d states, %d edges, %d ticks, %d shapes %d versions, %v: %s", k.Name(), f.name, len(p.worlds), p.edges, len(p.ticks), len(p.shapes), len(p.versions), time.Since(start).Round(time.Millisecond), r)
		}
	}
	t.Log(total)
}
