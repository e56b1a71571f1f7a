package rollover_test

import (
	"strings"
	"testing"

	"rollover/rollover"
)

// A DS set of which nobody knows a number makes the zone insecure for everybody,
// and the number is told; one that somebody may know is another matter.
func TestUnknownNumbers(t *testing.T) {
	good := rollover.DS{Tag: 7, Algorithm: 13, DigestType: 2, Digest: "AB"}
	with := func(algorithm, digest uint8) rollover.DS {
		d := good
		d.Algorithm, d.DigestType = algorithm, digest
		return d
	}
	for name, c := range map[string]struct {
		set  []rollover.DS
		says string
	}{
		"none": {nil, ""}, "good": {[]rollover.DS{good}, ""}, "Ed448": {[]rollover.DS{with(16, 2)}, ""}, "GOST": {[]rollover.DS{with(12, 3)}, ""},
		"algorithm": {[]rollover.DS{with(200, 2)}, "algorithm 200 of the DS 7"}, "digest": {[]rollover.DS{with(13, 99)}, "digest type 99 of the DS 7"},
		"digest 0": {[]rollover.DS{with(13, 0)}, "digest type 0 of the DS 7"}, "beside a good one": {[]rollover.DS{with(200, 2), good}, ""},
		"both": {[]rollover.DS{with(200, 2), with(13, 99)}, "algorithm 200 of the DS 7, digest type 99 of the DS 7"},
	} {
		if got := rollover.NobodyKnows(c.set); got != c.says {
			t.Errorf("%s: %q, expected %q", name, got, c.says)
		}
	}
}

// In check such a set is no broken chain: nobody fails, and nobody validates.
func TestUnknownNumbersInHealth(t *testing.T) {
	s := seen(t, func(s *rollover.Sighting) {
		for _, p := range []string{"p1", "p2"} {
			server(p, func(v *rollover.ServerSighting) { v.DS.Set[0].Algorithm = 200 })(s)
		}
	})
	p := tight()
	findings := rollover.Health(s, p, rollover.DefaultLimits())
	if len(findings) != 1 || findings[0].Code != rollover.FindingUnknownDS || findings[0].Severity != rollover.SeverityWarning || !strings.Contains(findings[0].Text, "algorithm 200 of the DS") {
		t.Errorf("%v", findings)
	}
	if c := rollover.Check(rollover.Dossier{}, s, p, rollover.DefaultLimits(), s.At.Wall); c.Security != rollover.Insecure {
		t.Errorf("%s", c.Security)
	}
}
