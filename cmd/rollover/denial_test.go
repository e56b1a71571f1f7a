package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/chain"
	"rollover/rollover/lab"
)

// Records come into the database of a signed zone behind PowerDNS' back, and
// nobody rectifies it (a web interface did so): check and trace say it, no
// rollover begins, and the remedy is about the zone. Then it is done as told.
func TestRecordsWithoutRectify(t *testing.T) {
	t.Parallel()
	const zone = "gaps.lab.test."
	ctx := context.Background()
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	checkup := func() rollover.Checkup {
		all, _ := checkups(t, h.config, zone)
		return all[zone]
	}
	util := func(args ...string) {
		t.Helper()
		if out, err := h.lab.Pdnsutil(ctx, args...); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	healthy := func(when string) {
		t.Helper()
		h.await("a zone without findings "+when, func() bool { return len(checkup().Findings) == 0 })
	}
	healthy("at first")
	if got, code, _ := traced(t, h.config, "nosuchname."+zone, "A"); code != 0 || got.Security != rollover.Secure || !strings.Contains(got.Sentence, "there is no such name, proven") {
		t.Errorf("a name that does not exist: %+v", got)
	}
	if o := h.must("trace", zone, "DS"); strings.Contains(o.stdout, "no such key") || strings.Contains(h.must("trace", zone, "DS", "--json").stdout, `"fits": false`) {
		t.Errorf("keys that were not asked for: %v", o)
	}
	for _, record := range []string{"'mike.gaps.lab.test', 'A', '192.0.2.7'", "'kid.gaps.lab.test', 'NS', 'ns.example.net'"} {
		util("backend-cmd", "gsqlite3", "INSERT INTO records (domain_id, name, type, content, ttl, prio, auth, disabled) SELECT id, "+record+", 1, 0, 1, 0 FROM domains WHERE name = 'gaps.lab.test'")
	}
	h.await("check to find it", func() bool { return has(checkup(), rollover.FindingDenial, rollover.SeverityCritical) })
	text := fmt.Sprint(checkup().Findings)
	if !strings.Contains(text, "pdnsutil rectify-zone gaps.lab.test`") || strings.Contains(text, "rectify-zone mike") {
		t.Errorf("check: %s", text)
	}
	if got, code, _ := traced(t, h.config, "mike."+zone, "A"); got.Code != chain.CodeContradiction || code != exitFailed {
		t.Errorf("the primary has a name, the secondary proves that there is none: %s: %s", got.Code, got.Sentence)
	}
	for _, q := range [][]string{{"mike.gaps.lab.test", "AAAA"}, {"mike.gaps.lab.test", "MX"}, {"kid.gaps.lab.test", "DS"}} {
		got, code, _ := traced(t, h.config, q...)
		if got.Code != chain.CodeDenial || code != exitFailed || !strings.Contains(got.Remedy, "pdnsutil rectify-zone gaps.lab.test,") {
			t.Errorf("trace %v: %s: %s; %s", q, got.Code, got.Sentence, got.Remedy)
		}
	}
	if o := h.rollover("start", zone); o.code != exitFailed || !strings.Contains(o.stderr, "does not prove it") {
		t.Errorf("start: %v", o)
	}
	util("rectify-zone", "gaps.lab.test")
	if err := h.lab.Publish(ctx, zone); err != nil {
		t.Fatal(err)
	}
	healthy("after rectify")
	if o := h.rollover("start", zone); o.code != 0 {
		t.Errorf("start: %v", o)
	}
}
