package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// The resolver is what all zones share. Whatever is wrong with it is told once, as
// the cause, by every command, and once a day by advance; the zones are counted.
func TestResolverIsToldOnce(t *testing.T) {
	t.Parallel()
	var zones []string
	o := lab.Options{DSTTL: 1}
	for i := range 3 {
		zones = append(zones, fmt.Sprintf("z%d.lab.test.", i))
		o.Zones = append(o.Zones, lab.Zone{Name: zones[i], Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1})
	}
	h := newHarness(t, "1h", o)
	for _, zone := range zones {
		h.must("start", zone, "--type", "ksk")
	}
	good, err := os.ReadFile(h.config)
	if err != nil {
		t.Fatal(err)
	}
	anchors := h.write("anchors", ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n", 0o600)
	for name, c := range map[string]struct{ resolver, code, says string }{
		"dead":               {deadResolver(t), rollover.ResolverSilent, "no resolver gives an answer"},
		"without signatures": {stripping(t, false), rollover.ResolverUnsigned, "gives no signatures"},
		"lying":              {stripping(t, true), rollover.ResolverBogus, "does not verify by the trust anchors"},
	} {
		h.set("trust_anchors", strconv.Quote(anchors)) // so that there is a chain above the parent
		h.set("resolvers", tomlList([]string{c.resolver}))
		h.configure(fmt.Sprintf("[[zone]]\nname = \"z0.lab.test\"\nservers = %s\nparent_servers = %s\n", tomlList(h.lab.ChildServers()), tomlList(h.lab.ParentServers()))) // resolvers find more of its servers
		told := h.toldOfResolver(zones)
		if told.code != 1 || strings.Count(told.stderr, "\n") != 1 || !strings.Contains(told.stderr, c.says) || !strings.Contains(told.stderr, c.resolver) ||
			!strings.Contains(told.stderr, "set `resolvers` in the configuration") || strings.Contains(told.stderr, "lab.test.") {
			t.Errorf("%s: advance: %v", name, told)
		}
		if again := h.toldOfResolver(zones); again.code != 1 || again.stderr != "" {
			t.Errorf("%s: advance says it again: %v", name, again)
		}
		h.resolverInViews(name, c.code, c.says, zones)
		if err := os.WriteFile(h.config, good, 0o600); err != nil {
			t.Fatal(err)
		}
		h.must("advance", zones[0])
		if o := h.must("status"); strings.Contains(o.stdout, "TROUBLE") {
			t.Errorf("%s: status, mended: %v", name, o)
		}
	}
}

// toldOfResolver is an advance over all zones, which are due by then.
func (h *harness) toldOfResolver(zones []string) outcome {
	h.t.Helper()
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for deadline := time.Now().Add(patience); ; <-pace.C {
		due := 0
		for _, zone := range zones {
			if s := h.status(zone); s.NextCheckAt != nil && !s.NextCheckAt.After(time.Now()) {
				due++
			}
		}
		if due == len(zones) {
			return h.rollover("advance")
		}
		if time.Now().After(deadline) {
			h.t.Fatal("the zones do not fall due")
		}
	}
}

func (h *harness) resolverInViews(name, code, says string, zones []string) {
	h.t.Helper()
	var status struct {
		Resolver *rollover.ResolverFault
	}
	if err := json.Unmarshal([]byte(h.must("status", "--json").stdout), &status); err != nil || status.Resolver == nil || status.Resolver.Code != code || status.Resolver.Zones != len(zones) {
		h.t.Errorf("%s: status --json: %v, %+v", name, err, status.Resolver)
	}
	if o := h.must("status"); strings.Count(o.stdout, says) != 1 || !strings.HasPrefix(o.stdout, "TROUBLE of this machine since ") {
		h.t.Errorf("%s: status: %v", name, o)
	}
	o := h.rollover("check")
	first, _, _ := strings.Cut(o.stdout, "\n")
	if o.code == 0 || strings.Count(o.stdout, says) != 2 || !strings.Contains(first, says) || !strings.Contains(first, "3 zones") {
		h.t.Errorf("%s: check: %v", name, o)
	}
	var check struct {
		Resolver struct{ Code string }
		Zones    []rollover.Checkup
	}
	if err := json.Unmarshal([]byte(h.rollover("check", "--json").stdout), &check); err != nil || check.Resolver.Code != code || len(check.Zones) != len(zones) {
		h.t.Errorf("%s: check --json: %v, %+v", name, err, check)
	}
	for _, c := range check.Zones {
		if !has(c, rollover.FindingUnjudged, c.Severity) || has(c, rollover.FindingUnproven, c.Severity) {
			h.t.Errorf("%s: %+v", name, c.Findings)
		}
	}
	path := filepath.Join(h.t.TempDir(), "prom")
	h.rollover("check", "--format", "prometheus", "--output", path)
	raw, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(raw), "\nrollover_resolver_fault 1\n") || !strings.Contains(string(raw), "\nrollover_resolver_zones 3\n") {
		h.t.Errorf("%s: prometheus: %v\n%s", name, err, raw)
	}
}

// forgedSignature is a signature that nobody made.
func forgedSignature(t *testing.T, name string) dns.RR {
	t.Helper()
	from, until := time.Now().Add(-time.Hour).UTC().Format("20060102150405"), time.Now().Add(time.Hour).UTC().Format("20060102150405")
	rr, err := dns.NewRR(fmt.Sprintf("%s 60 IN RRSIG DNSKEY 13 0 60 %s %s 4711 %s %s", name, until, from, name, strings.Repeat("A", 86)+"=="))
	if err != nil {
		t.Error(err)
	}
	return rr
}
