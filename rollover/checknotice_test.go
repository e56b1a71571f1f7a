package rollover_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
)

// examined is what check found of a zone; without findings it is well.
func examined(zone string, findings ...rollover.Finding) rollover.Checkup {
	return rollover.Checkup{Zone: zone, Severity: rollover.Worst(findings), Findings: findings}
}

func finding(code string, severity rollover.Severity, text string) rollover.Finding {
	return rollover.Finding{Code: code, Severity: severity, Server: "child ns1", Text: text, Remedy: "mend it"}
}

// The same findings are told once and then at the pace, in whatever words;
// others at once; that all is well, once. A zone that could not be looked at is
// told of, and calls nothing over.
func TestCheckupsAreTold(t *testing.T) {
	const warning, critical = rollover.SeverityWarning, rollover.SeverityCritical
	silent := examined("a.", finding(rollover.FindingSilent, warning, "timed out"))
	words := examined("a.", finding(rollover.FindingSilent, warning, "refused"))
	broken := examined("a.", finding(rollover.FindingChain, critical, "broken"), finding(rollover.FindingSilent, warning, "timed out"))
	unseen := rollover.Unseen("a.", errors.New("no time"))
	well := examined("a.", finding(rollover.FindingUnsigned, rollover.SeverityOK, "not signed"))
	advances := examined("a.", finding(rollover.FindingBlocked, critical, "blocked"), finding(rollover.FindingTrouble, warning, "failed"), finding(rollover.FindingPending, warning, "waits"))
	var o rollover.Outbox
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		after time.Duration
		found rollover.Checkup
		told  string
		text  string
	}{
		{0, well, "", ""},
		{0, advances, "", ""},
		{time.Minute, silent, "check-failed", "WARNING: child ns1: timed out"},
		{time.Minute, silent, "", ""},
		{time.Minute, words, "", ""},
		{time.Minute, unseen, "", ""},
		{24 * time.Hour, words, "check-failed/1", "WARNING: child ns1: refused"},
		{24 * time.Hour, unseen, "check-failed/2", "WARNING: child ns1: refused"},
		{time.Minute, broken, "check-failed", "CRITICAL: child ns1: broken; WARNING: child ns1: timed out"},
		{time.Minute, broken, "", ""},
		{time.Minute, silent, "check-failed", "WARNING: child ns1: timed out"},
		{time.Minute, well, "recovered", "over: check-failed (WARNING: child ns1: timed out)"},
		{time.Minute, well, "", ""},
		{time.Minute, unseen, "check-failed", "UNKNOWN: no time"},
		{time.Minute, unseen, "", ""},
		{time.Minute, silent, "check-failed", "WARNING: child ns1: timed out"},
		{time.Minute, advances, "recovered", "over: check-failed (WARNING: child ns1: timed out)"},
	} {
		at = at.Add(c.after)
		told := o.SettleCheckups([]rollover.Checkup{c.found}, at, 24*time.Hour)
		if got := strings.Join(toldOf(told), " "); got != c.told || len(told) == 1 && told[0].Text != c.text {
			t.Errorf("%d: told %q %+v, expected %q", i, got, told, c.told)
		}
	}
}

func toldOf(list []rollover.Notice) []string {
	var out []string
	for _, n := range list {
		text := n.Event
		if n.Repeat > 0 {
			text = fmt.Sprintf("%s/%d", n.Event, n.Repeat)
		}
		out = append(out, text)
	}
	return out
}

// What is told of a zone by check says so, and bears one name until it is over.
func TestCheckNotice(t *testing.T) {
	var o rollover.Outbox
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	ill := []rollover.Checkup{examined("a.", finding(rollover.FindingChain, rollover.SeverityCritical, "broken"))}
	first := o.SettleCheckups(ill, at, time.Hour)[0]
	if first.Schema != 1 || first.Source != rollover.SourceCheck || first.Severity != rollover.SeverityCritical || len(first.Findings) != 1 || first.Command != "mend it" || !first.At.Equal(at) || first.Add == nil {
		t.Errorf("told %+v", first)
	}
	if next := o.SettleCheckups(ill, at.Add(time.Hour), time.Hour)[0]; next.ID != first.ID || !next.At.Equal(at) || next.Repeat != 1 {
		t.Errorf("again: %+v", next)
	}
	over := o.SettleCheckups([]rollover.Checkup{examined("a.")}, at.Add(2*time.Hour), time.Hour)[0]
	if over.ID != first.ID+"/recovered" || over.Source != rollover.SourceCheck || over.Severity != "" || over.Findings == nil || len(over.Findings) > 0 {
		t.Errorf("over: %+v", over)
	}
}

// Neither calls over what the other found, nor tells it again, nor thinks that
// it was told.
func TestCheckAndRolloverTellForThemselves(t *testing.T) {
	var o rollover.Outbox
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	failed := []rollover.Notice{{ID: "1", Event: rollover.NoticeCheckFailed, Zone: "a.", Source: rollover.SourceRollover}}
	ill := []rollover.Checkup{examined("a.", finding(rollover.FindingChain, rollover.SeverityCritical, "broken"))}
	well := []rollover.Checkup{examined("a.")}
	is := func(what string, told []rollover.Notice, want string) {
		t.Helper()
		if got := strings.Join(toldOf(told), " "); got != want {
			t.Errorf("%s: told %q, expected %q", what, got, want)
		}
	}
	is("check finds", o.SettleCheckups(ill, at, time.Hour), "check-failed")
	if zones := o.Zones(); len(zones) > 0 {
		t.Errorf("open of rollovers: %q", zones)
	}
	is("advance finds nothing", o.Settle("a.", nil, at, time.Hour), "")
	is("advance finds", o.Settle("a.", failed, at, time.Hour), "check-failed")
	is("check finds nothing", o.SettleCheckups(well, at.Add(time.Minute), time.Hour), "recovered")
	is("check finds again", o.SettleCheckups(ill, at.Add(2*time.Minute), time.Hour), "check-failed")
	if again := o.Again(at.Add(2 * time.Hour)); !slices.Equal(again, []string{"a."}) {
		t.Errorf("to be told again by advance: %q", again)
	}
	is("advance is well", o.Settle("a.", nil, at.Add(3*time.Minute), time.Hour), "recovered")
	if again := o.Again(at.Add(2 * time.Hour)); len(again) > 0 {
		t.Errorf("to be told again by advance: %q", again)
	}
}

// One run does not flood: the worst first, the rest by the next runs, and room
// is left for what rollovers have to tell. An older look says nothing of what a
// newer one found, and what is checked no more is forgotten.
func TestManyCheckups(t *testing.T) {
	var ill []rollover.Checkup
	for i := range 250 {
		ill = append(ill, examined(fmt.Sprintf("z%03d.", i), finding(rollover.FindingSilent, rollover.SeverityWarning, "timed out")))
	}
	ill = append(ill, examined("worst.", finding(rollover.FindingChain, rollover.SeverityCritical, "broken")))
	var o rollover.Outbox
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	told := map[string]int{}
	for i, want := range []int{100, 100, 51, 0} {
		list := o.SettleCheckups(ill, at.Add(time.Duration(i)*time.Minute), 24*time.Hour)
		if len(list) != want || i == 0 && list[0].Zone != "worst." {
			t.Errorf("run %d told %d things, expected %d: %+v", i, len(list), want, list)
		}
		for _, n := range list {
			told[n.Zone]++
			o.Queue(n, []string{"mail"}, at)
		}
	}
	if len(told) != len(ill) {
		t.Errorf("told of %d zones of %d", len(told), len(ill))
	}
	if list := o.SettleCheckups([]rollover.Checkup{examined("worst.")}, at.Add(-time.Second), time.Hour); len(list) > 0 {
		t.Errorf("an older look told %+v", list)
	}
	for i := range 250 {
		o.Queue(rollover.Notice{ID: fmt.Sprint(i)}, []string{"mail"}, at)
	}
	if list := o.SettleCheckups(ill, at.Add(25*time.Hour), time.Hour); len(list) > 0 {
		t.Errorf("with %d waiting it told %d more", len(o.Pending), len(list))
	}
	o.Pending = nil
	if o.SettleCheckups([]rollover.Checkup{examined("other.")}, at.Add(10*24*time.Hour), time.Hour); len(o.Open) > 0 {
		t.Errorf("%d are open for ever", len(o.Open))
	}
}
