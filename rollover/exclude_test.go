package rollover_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// A server is excluded only if the zone or its parent has it, by name or address;
// with and without a rollover. The refusal names those that there are.
func TestExcludeOnlyWhatIsThere(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	e := w.Engine(tight())
	for _, named := range []string{"ns3", "192.0.2.1", "", "ns"} {
		err := e.Exclude(rollovertest.Zone, named, "typo")
		if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "ns2") {
			t.Errorf("%q: %v", named, err)
		}
	}
	if d, err := w.Load(rollovertest.Zone); err != nil || len(d.Excluded) > 0 {
		t.Errorf("excluded are %v, %v", d.Excluded, err)
	}
	if err := e.Exclude(rollovertest.Zone, "NS2.", "by name"); err != nil {
		t.Error(err)
	}
	start(t, w, tight(), rollover.Order{Zone: rollovertest.Zone, Type: "zsk"})
	e.By = "alice as pdns"
	if err := e.Exclude(rollovertest.Zone, "p1", "in the last look"); err != nil {
		t.Error(err)
	}
	if last := w.Events[len(w.Events)-1]; last.By != "alice as pdns" {
		t.Errorf("the history does not say who: %+v", last)
	}
	e.Observer = blind{}
	if err := e.Exclude(rollovertest.Zone, "ns9", "nobody can look"); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "cannot be found out") {
		t.Errorf("without a look: %v", err)
	}
}

// What somebody may type for a server.
func TestServerByAnyName(t *testing.T) {
	setting := func(servers ...string) func(string) rollover.Setting {
		return func(string) rollover.Setting { return rollover.Setting{Policy: tight(), Servers: servers} }
	}
	for _, c := range []struct {
		has, named string
		ok         bool
	}{
		{"192.0.2.1:5300", "192.0.2.1", true}, {"192.0.2.1:5300", "192.0.2.1:5300", true}, {"192.0.2.1:5300", "192.0.2.1:53", false}, {"192.0.2.1", "192.0.2.1", true},
		{"[2001:db8::1]:53", "2001:db8::1", true}, {"[2001:db8::1]:53", "[2001:db8::1]", true}, {"2001:db8::1", "2001:db8::1", true}, {"ns.example.com", "NS.example.com.", true},
		{"192.0.2.11", "192.0.2.1", false}, {"ns.example.com", "example.com", false},
	} {
		w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
		e := w.Engine(tight())
		e.Setting = setting(c.has)
		if err := e.Exclude(rollovertest.Zone, c.named, "x"); (err == nil) != c.ok {
			t.Errorf("%s for %s: %v", c.named, c.has, err)
		}
	}
}

// Who gave an order is in the history; what advance does by itself names nobody.
func TestWhoGaveTheOrder(t *testing.T) {
	w := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: time.Hour})
	w.Tune = func(e *rollover.Engine) { e.By = "alice" }
	p := tight()
	start(t, w, p, rollover.Order{Zone: rollovertest.Zone, Type: "zsk"})
	if err := errors.Join(w.Engine(p).Pause(rollovertest.Zone, ""), w.Engine(p).Resume(t.Context(), rollovertest.Zone, ""), w.Engine(p).Cancel(t.Context(), rollovertest.Zone, "")); err != nil {
		t.Fatal(err)
	}
	by := map[string]string{}
	for _, e := range w.Events {
		by[e.Event] = e.By
	}
	for _, event := range []string{rollover.EventStarted, rollover.EventPaused, rollover.EventResumed, rollover.EventCancel} {
		if by[event] != "alice" {
			t.Errorf("%s is by %q", event, by[event])
		}
	}
	if by[rollover.EventEntered] != "" {
		t.Errorf("a step is by %q", by[rollover.EventEntered])
	}
}
