package rollover_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
)

// A fault of the resolvers is told when it begins, when it is another one, and
// once a day; it is since when it began, whatever the clock does.
func TestResolverFaultIsToldOnceADay(t *testing.T) {
	begun := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	silent, bogus := &rollover.ResolverFault{Code: rollover.ResolverSilent}, &rollover.ResolverFault{Code: rollover.ResolverBogus}
	var box rollover.Outbox
	for i, c := range []struct {
		fault *rollover.ResolverFault
		after time.Duration
		tell  bool
		since time.Duration
	}{
		{nil, 0, false, 0}, {silent, 0, true, 0}, {silent, time.Hour, false, 0}, {silent, 24*time.Hour - 1, false, 0}, {silent, 24 * time.Hour, true, 0},
		{silent, 47 * time.Hour, false, 0}, {bogus, 47 * time.Hour, true, 0}, {bogus, 46 * time.Hour, true, 0}, {nil, 48 * time.Hour, false, 0},
		{silent, 49 * time.Hour, true, 49 * time.Hour}, {silent, time.Hour, true, time.Hour},
	} {
		if tell := box.Blame(c.fault, nil, begun.Add(c.after)); tell != c.tell {
			t.Errorf("%d: told: %t, expected %t", i, tell, c.tell)
		}
		if (box.Resolver == nil) != (c.fault == nil) || c.fault != nil && (!box.Resolver.Since.Equal(begun.Add(c.since))) {
			t.Errorf("%d: kept %+v", i, box.Resolver)
		}
	}
}

// The zones that wait are counted over all runs, though each looks at those that
// are due alone.
func TestResolverFaultCountsZones(t *testing.T) {
	var box rollover.Outbox
	for i, c := range []struct{ looked, waits, want string }{
		{"a. b. c.", "c. a.", "a. c."}, {"d.", "d.", "a. c. d."}, {"a. b. e.", "b.", "b. c. d."}, {"", "", "b. c. d."}, {"b. c. d.", "", ""},
	} {
		box.Blame(&rollover.ResolverFault{Code: rollover.ResolverSilent, Waiting: strings.Fields(c.waits)}, strings.Fields(c.looked), time.Now())
		if got := strings.Join(box.Resolver.Waiting, " "); got != c.want || box.Resolver.Zones != len(strings.Fields(c.want)) {
			t.Errorf("%d: %q, %d", i, got, box.Resolver.Zones)
		}
	}
}

// What comes of the resolvers is one finding of a zone, as bad as it was; all else
// that is wrong with it stays.
func TestResolverFaultIsGathered(t *testing.T) {
	remedy := "set `resolvers` in the configuration to one that answers, with signatures"
	own := finding(rollover.FindingChain, rollover.SeverityCritical, "does not validate")
	unproven := finding(rollover.FindingUnproven, rollover.SeverityWarning, "shows it, but cannot be believed (indeterminate): no answer")
	insecure := finding(rollover.FindingUnproven, rollover.SeverityWarning, "the answer was not validated")
	unfound := finding(rollover.FindingSilent, rollover.SeverityWarning, "no AAAA found for ns1.example. (timed out)")
	silent := finding(rollover.FindingSilent, rollover.SeverityWarning, "timed out")
	list := []rollover.Checkup{
		examined("a.", own, unproven), examined("b.", unproven, unfound, silent), examined("c."), examined("d.", insecure, silent),
		rollover.Unseen("e.", fmt.Errorf("found none: %w", rollover.ErrResolver)), rollover.Unseen("f.", fmt.Errorf("the state is damaged")),
	}
	fault := rollover.ResolverFault{Code: rollover.ResolverSilent, Text: "no resolver answers"}
	if worst := fault.Gather(list); worst != rollover.SeverityUnknown || fault.Zones != 3 {
		t.Errorf("%s for %d zones", worst, fault.Zones)
	}
	want := map[string]string{
		"a.": "critical chain-broken, warning not-judged", "b.": "warning server-silent, warning not-judged", "c.": "",
		"d.": "warning ds-unproven, warning server-silent", "e.": "unknown not-judged", "f.": "unknown server-silent",
	}
	for _, c := range list {
		var got []string
		for _, f := range c.Findings {
			got = append(got, string(f.Severity)+" "+f.Code)
			if f.Unjudged() && (f.Remedy != remedy || !strings.Contains(f.Text, fault.Text)) {
				t.Errorf("%s %+v", c.Zone, f)
			}
		}
		if text := strings.Join(got, ", "); text != want[c.Zone] {
			t.Errorf("%s %s, expected %s", c.Zone, text, want[c.Zone])
		}
	}
}

// Outside, check tells of the resolvers once, and of zones what is their own. What
// is open of a zone that cannot be judged stays open.
func TestResolverFaultIsOneNotice(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	var box rollover.Outbox
	broken := finding(rollover.FindingChain, rollover.SeverityCritical, "does not validate")
	tell := func(list ...rollover.Checkup) string {
		at = at.Add(time.Hour)
		var out []string
		for _, n := range box.SettleCheckups(list, at, 24*time.Hour) {
			out = append(out, n.Zone+" "+n.Event)
		}
		return strings.Join(out, ", ")
	}
	unjudged := finding(rollover.FindingUnjudged, rollover.SeverityWarning, "cannot be judged")
	fault := (&rollover.ResolverFault{Code: rollover.ResolverBogus, Text: "it lies", Zones: 3}).Finding(rollover.SeverityWarning)
	for i, c := range []struct{ got, want string }{
		{tell(examined("a.", broken), examined("b."), rollover.MachineCheckup()), "a. check-failed"},
		{tell(examined("a.", unjudged), examined("b.", unjudged), examined("c.", unjudged), rollover.MachineCheckup(fault)), "resolver check-failed"},
		{tell(examined("a.", unjudged), examined("b.", unjudged), examined("c.", unjudged), rollover.MachineCheckup(fault)), ""},
		{tell(examined("a.", broken), examined("b."), examined("c."), rollover.MachineCheckup()), "resolver recovered"},
		{tell(examined("a."), examined("b."), examined("c.")), "a. recovered"},
	} {
		if c.got != c.want {
			t.Errorf("%d: told %q, expected %q", i, c.got, c.want)
		}
	}
}
