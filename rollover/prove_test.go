package rollover

import (
	"testing"
	"time"
)

func TestProveTry(t *testing.T) {
	ttl := [3][2]uint8{{2, 4}, {3, 5}, {4, 6}}
	for _, k := range Kinds() {
		if k.Type == "cancel" {
			continue
		}
		for _, f := range []family{{name: "lag", ttl: ttl}, {name: "crash", ttl: ttl, may: [faults]uint8{faultCrash: 1}}, {name: "flap", ttl: ttl, may: [faults]uint8{faultFlap: 1}}} {
			start := time.Now()
			p := newProof(k, f, tweak{})
			r := p.search(5_000_000, nil)
			t.Logf("%s %s: %d states, %d edges, %d ticks, %d shapes %d versions, %v: %s", k.Name(), f.name, len(p.worlds), p.edges, len(p.ticks), len(p.shapes), len(p.versions), time.Since(start).Round(time.Millisecond), r)
		}
	}
}
