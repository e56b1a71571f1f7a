package rollover_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// seen is one complete look at a healthy world, changed.
func seen(t *testing.T, change func(*rollover.Sighting)) rollover.Sighting {
	t.Helper()
	w := rollovertest.New("split", unequal)
	s, err := w.Look(context.Background(), rollover.Question{Zone: rollovertest.Zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData, rollover.RecordDS}})
	if err != nil {
		t.Fatal(err)
	}
	change(&s)
	return s
}

// server changes what one server shows, without changing what others share.
func server(name string, change func(*rollover.ServerSighting)) func(*rollover.Sighting) {
	return func(s *rollover.Sighting) {
		for i := range s.Servers {
			v := &s.Servers[i]
			if v.Name != name {
				continue
			}
			if v.DNSKEY != nil {
				keys := *v.DNSKEY
				v.DNSKEY = &keys
			}
			if v.Data != nil {
				data := *v.Data
				v.Data = &data
			}
			if v.DS != nil {
				ds := *v.DS
				ds.Set = slices.Clone(ds.Set)
				v.DS = &ds
			}
			change(v)
		}
	}
}

func TestHealth(t *testing.T) {
	stranger := rollover.DNSKEY{Flags: 256, Algorithm: 13, PublicKey: strings.Repeat("A", 86) + "=="}
	cases := map[string]struct {
		change   func(*rollover.Sighting)
		code     string
		severity rollover.Severity
	}{
		"well": {func(*rollover.Sighting) {}, "", rollover.SeverityOK},
		"one server is behind": {func(s *rollover.Sighting) {
			server("ns1", func(v *rollover.ServerSighting) { v.Serial = 4294967295 })(s) // serials wrap (RFC 1982)
			server("ns2", func(v *rollover.ServerSighting) { v.Serial = 3 })(s)
		}, rollover.FindingSerial, rollover.SeverityWarning},
		"key sets differ": {server("ns2", func(v *rollover.ServerSighting) { v.DNSKEY.Keys = append(slices.Clone(v.DNSKEY.Keys), stranger) }), rollover.FindingKeysDiffer, rollover.SeverityWarning},
		"the parent's servers differ": {server("p2", func(v *rollover.ServerSighting) {
			v.DS.Set = append(v.DS.Set, rollover.DS{Tag: 1, Algorithm: 13, DigestType: 2, Digest: "AB"})
		}), rollover.FindingDSDiffers, rollover.SeverityWarning},
		"a DS of another algorithm": {server("p1", func(v *rollover.ServerSighting) {
			v.DS.Set = append(v.DS.Set, rollover.DS{Tag: 1, Algorithm: 8, DigestType: 2, Digest: "AB"})
		}), rollover.FindingAlgorithm, rollover.SeverityWarning},
		"a key of an algorithm that signs nothing": {server("ns1", func(v *rollover.ServerSighting) {
			other := stranger
			other.Algorithm = 15
			v.DNSKEY.Keys = append(slices.Clone(v.DNSKEY.Keys), other)
		}), rollover.FindingAlgorithm, rollover.SeverityWarning},
		"a TTL of ten days":    {server("ns1", func(v *rollover.ServerSighting) { v.Data.TTL = 864000 }), rollover.FindingTTL, rollover.SeverityWarning},
		"no TCP":               {server("ns2", func(v *rollover.ServerSighting) { v.OverTCP = "connection refused" }), rollover.FindingTCP, rollover.SeverityWarning},
		"one server is silent": {server("ns2", func(v *rollover.ServerSighting) { v.Unknown, v.DNSKEY, v.Data = "timed out", nil, nil }), rollover.FindingSilent, rollover.SeverityWarning},
		"all serials, and no usable DNSKEY set": {func(s *rollover.Sighting) {
			for _, ns := range []string{"ns1", "ns2"} {
				server(ns, func(v *rollover.ServerSighting) { v.Unknown, v.DNSKEY = "DNSKEY: truncated even over TCP", nil })(s)
			}
		}, rollover.FindingSilent, rollover.SeverityCritical},
		"expiry in four days":       {server("ns1", func(v *rollover.ServerSighting) { v.Data.Expires = v.Data.Expires.Add(-6 * 24 * time.Hour) }), rollover.FindingExpiry, rollover.SeverityWarning},
		"expiry in two days":        {server("ns1", func(v *rollover.ServerSighting) { v.DNSKEY.Expires = v.DNSKEY.Expires.Add(-8 * 24 * time.Hour) }), rollover.FindingExpiry, rollover.SeverityCritical},
		"one server without keys":   {server("ns2", func(v *rollover.ServerSighting) { v.DNSKEY = &rollover.KeyVersion{} }), rollover.FindingKeys, rollover.SeverityCritical},
		"one DNSKEY set not signed": {server("ns2", func(v *rollover.ServerSighting) { v.DNSKEY.Signers = nil }), rollover.FindingChain, rollover.SeverityCritical},
		"data of one server unsigned": {server("ns2", func(v *rollover.ServerSighting) {
			v.Data = &rollover.DataVersion{Faults: []rollover.Signature{{Fault: "unsigned"}}}
		}), rollover.FindingData, rollover.SeverityCritical},
		"SHA-1 only": {func(s *rollover.Sighting) {
			for _, p := range []string{"p1", "p2"} {
				server(p, func(v *rollover.ServerSighting) { v.DS.Set[0].DigestType = 1 })(s)
			}
		}, rollover.FindingWeak, rollover.SeverityWarning},
		"no DS": {func(s *rollover.Sighting) {
			for _, p := range []string{"p1", "p2"} {
				server(p, func(v *rollover.ServerSighting) { v.DS.Set = nil })(s)
			}
		}, rollover.FindingNoDS, rollover.SeverityWarning},
		"a forged DS": {server("p1", func(v *rollover.ServerSighting) {
			v.DS.Standing = &rollover.Standing{Security: rollover.Bogus, Why: "unsigned"}
		}), rollover.FindingUnproven, rollover.SeverityCritical},
	}
	for name, tc := range cases {
		p := tight()
		p.Evidence = rollover.EvidenceValidated
		findings := rollover.Health(seen(t, tc.change), p, rollover.DefaultLimits())
		found := slices.ContainsFunc(findings, func(f rollover.Finding) bool { return f.Code == tc.code && f.Severity == tc.severity })
		if tc.code == "" && len(findings) > 0 || tc.code != "" && !found {
			t.Errorf("%s: expected %q %s, got %v", name, tc.code, tc.severity, findings)
		}
	}
}

// checkup is what check says of a world with a rollover, at some time.
func checkup(t *testing.T, w *rollovertest.World, later time.Duration) rollover.Checkup {
	t.Helper()
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Look(context.Background(), rollover.Question{Zone: rollovertest.Zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData, rollover.RecordDS}})
	if err != nil {
		t.Fatal(err)
	}
	return rollover.Check(d, s, tight(), rollover.DefaultLimits(), w.Clock().Wall.Add(later))
}

func codes(c rollover.Checkup) []string {
	var out []string
	for _, f := range c.Findings {
		out = append(out, f.Code)
	}
	return out
}

// What a plan makes happen is no finding while it is fresh; a rollover that
// gets nowhere is one.
func TestCheckOfARollover(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	w.Lag["ns2"] = 30 * unit
	start(t, w, p, rollover.Order{Type: "ksk"})
	if c := checkup(t, w, 0); len(c.Findings) > 0 || c.Rollover == nil || c.Security != rollover.Secure {
		t.Errorf("while it spreads: %+v", c)
	}
	if c := checkup(t, w, 3*time.Hour); !slices.Contains(codes(c), rollover.FindingKeysDiffer) || !slices.Contains(codes(c), rollover.FindingStuck) || !slices.Contains(codes(c), rollover.FindingUnattended) {
		t.Errorf("three hours later: %v", codes(c))
	}
	w.Lag["ns2"] = 0
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	whole(t, w, 31*unit)
	toStep(t, w, p, "submit")
	if c := checkup(t, w, time.Hour); slices.Contains(codes(c), rollover.FindingPending) || slices.Contains(codes(c), rollover.FindingStuck) {
		t.Errorf("while the operator is waited for: %v", codes(c))
	}
	if c := checkup(t, w, 8*24*time.Hour); !slices.Contains(codes(c), rollover.FindingPending) {
		t.Errorf("a week later: %v", codes(c))
	}
}
