package pdns_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"rollover/pdns"
	"rollover/pdns/pdnstest"
	"rollover/rollover"
)

// Signalling records come and go in the zone that has the name, on the real
// PowerDNS, and nowhere else.
func TestSignals(t *testing.T) {
	t.Parallel()
	key := rollover.Key{Flags: rollover.FlagsKSK, Active: true, Published: true}
	w := pdnstest.Real(t,
		pdnstest.Zone{Name: "hosts.test", Kind: rollover.KindMaster, Keys: []rollover.Key{key}, Records: []pdnstest.Record{
			{Name: "hosts.test.", TTL: 60, Type: "SOA", Content: "ns1.hosts.test. hostmaster.hosts.test. 1 10800 3600 604800 60"},
			{Name: "hosts.test.", TTL: 60, Type: "NS", Content: "ns1.hosts.test."},
			{Name: "else.hosts.test.", TTL: 60, Type: "NS", Content: "ns.else.test."},
		}},
		pdnstest.Zone{Name: "bare.test"},
		pdnstest.Zone{Name: "customer.test", Kind: rollover.KindMaster, Keys: []rollover.Key{key}},
		pdnstest.Zone{Name: "sub.hosts.test", Kind: rollover.KindMaster, Keys: []rollover.Key{key}},
		pdnstest.Zone{Name: "_signal.ns2.hosts.test", Kind: rollover.KindMaster, Keys: []rollover.Key{key}, Metadata: map[string][]string{"SIGNALING-ZONE": {"1"}}},
	)
	s := pdns.Signals{Tool: w.Tool, Turn: new(sync.Mutex), Zones: []string{"hosts.test.", "bare.test.", "nowhere.example."}}
	const name, cdnskey = "_dsboot.child.test._signal.ns1.hosts.test.", "257 3 13 MbTbzwZLz9BlivUAskzyt4SE76gYqF8F6VFl17gjUetqpOhQVuiEwMpasjLkkp63ImcAFPZMwgAEqa58M2H3nw=="
	cds := func(tag uint16) string { return ds(tag).String() }
	for i, c := range []struct {
		name         string
		cds, cdnskey []string
		changed      bool
		is           error
		has          []string // of the records in the zone
	}{
		{name, nil, nil, false, nil, nil},
		{name, []string{cds(1), cds(2)}, []string{cdnskey}, true, nil, []string{"1 13 2", "2 13 2", cdnskey}},
		{name, []string{cds(2), cds(1)}, []string{cdnskey}, false, nil, []string{"1 13 2", "2 13 2", cdnskey}},
		{name, []string{cds(3)}, nil, true, nil, []string{"3 13 2"}},
		{"_dsboot.child.test._signal.ns1.else.hosts.test.", []string{cds(1)}, nil, false, rollover.ErrRefused, []string{"3 13 2"}},
		{"_dsboot.child.test._signal.ns1.bare.test.", []string{cds(1)}, nil, false, rollover.ErrRefused, []string{"3 13 2"}},
		{"_dsboot.child.test._signal.ns1.nowhere.example.", []string{cds(1)}, nil, false, rollover.ErrUnknownZone, []string{"3 13 2"}},
		{"_dsboot.child.test._signal.ns1.customer.test.", []string{cds(1)}, nil, false, rollover.ErrUnnamed, []string{"3 13 2"}},
		{"_dsboot.child.test._signal.ns1.sub.hosts.test.", []string{cds(1)}, nil, false, rollover.ErrUnnamed, []string{"3 13 2"}},
		{"_dsboot.child.test._signal.ns1.xhosts.test.", []string{cds(1)}, nil, false, rollover.ErrUnnamed, []string{"3 13 2"}},
		{"_dsboot.child.test._signal.ns2.hosts.test.", []string{cds(1)}, nil, false, rollover.ErrSynthesised, []string{"3 13 2"}},
		{"--config-dir=/x", []string{cds(1)}, nil, false, rollover.ErrZoneName, []string{"3 13 2"}},
		{"ns1.hosts.test.", []string{cds(1)}, nil, false, rollover.ErrRefused, []string{"3 13 2"}},
		{name, nil, nil, true, nil, nil},
	} {
		zone, changed, err := s.Write(t.Context(), c.name, c.cds, c.cdnskey)
		if changed != c.changed || !errors.Is(err, c.is) || err == nil && zone != "hosts.test." {
			t.Errorf("%d: zone %s, changed %v, %v", i, zone, changed, err)
		}
		out := w.Util("list-zone", "hosts.test")
		if strings.Count(out, "_dsboot") != len(c.has) {
			t.Errorf("%d: expected %q in the zone, which has:\n%s", i, c.has, out)
		}
		for _, other := range []string{"customer.test", "sub.hosts.test", "_signal.ns2.hosts.test"} {
			if strings.Contains(w.Util("list-zone", other), "_dsboot") {
				t.Errorf("%d: written into %s", i, other)
			}
		}
		for _, want := range c.has {
			if !strings.Contains(out, want) {
				t.Errorf("%d: %q is not in the zone:\n%s", i, want, out)
			}
		}
	}
}
