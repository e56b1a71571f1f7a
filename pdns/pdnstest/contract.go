package pdnstest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rollover/pdns"
	"rollover/rollover"
)

// RunContract is what rollover relies on PowerDNS for, as a sequence of calls
// and read-backs. The fake and every real PowerDNS must pass it.
func RunContract(t *testing.T, start func(t *testing.T, zones ...Zone) World) {
	c := &contract{World: start(t, contractZones()...)}
	for _, clause := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"version", c.version},
		{"a CSK zone", c.cskZone},
		{"a zone with KSK and ZSK", c.splitZone},
		{"a zone without keys", c.plainZone},
		{"a presigned zone has no keys of ours", c.presignedZone},
		{"a zone that is not there", c.unknownZone},
		{"all zones are listed", c.allZones},
		{"contents", c.contents},
		{"a ZSK is made, used, and taken away", c.rollZSK},
		{"a KSK is made active, and removed", c.rollKSK},
		{"keys sign before they are published, and after", c.unpublished},
		{"a zone is rectified", c.rectify},
		{"an id comes back", c.idsReturn},
		{"keys of every algorithm", c.algorithms},
		{"changes of keys that are not there", c.missingKeys},
		{"CDS records are switched on", c.publishCDS},
		{"the serial rises", c.serial},
		{"refresh", c.refresh},
		{"refresh without a server", c.refreshDown},
	} {
		t.Run(clause.name, clause.run)
	}
}

type contract struct{ World }

const presignedKey = "MbTbzwZLz9BlivUAskzyt4SE76gYqF8F6VFl17gjUetqpOhQVuiEwMpasjLkkp63ImcAFPZMwgAEqa58M2H3nw=="

func contractZones() []Zone {
	ksk := rollover.Key{Flags: rollover.FlagsKSK, Active: true, Published: true}
	zsk := rollover.Key{Flags: rollover.FlagsZSK, Active: true, Published: true}
	soa := "ns1.rich.test. hostmaster.rich.test. 41 10800 3600 604800 5400"
	return []Zone{
		{Name: "csk.test", Kind: rollover.KindMaster, Keys: []rollover.Key{ksk}, Metadata: map[string][]string{"X-NOTE": {"a b", "c"}}},
		{Name: "split.test", Keys: []rollover.Key{ksk, zsk}},
		{Name: "plain.test"},
		{Name: "catalog.test", Kind: rollover.KindProducer},
		{Name: "pre.test", Metadata: map[string][]string{"PRESIGNED": {"1"}}, Records: []Record{
			{"pre.test.", 3600, "SOA", "ns1.pre.test. hostmaster.pre.test. 1 10800 3600 604800 3600"},
			{"pre.test.", 3600, "DNSKEY", "257 3 13 " + presignedKey},
		}},
		{Name: "rich.test", Records: []Record{
			{"rich.test.", 3600, "SOA", soa},
			{"rich.test.", 3600, "NS", "ns1.rich.test."},
			{"www.rich.test.", 7200, "A", "192.0.2.1"},
			{"*.wild.rich.test.", 300, "TXT", `"a \"quoted\" text"`},
			{"sub.rich.test.", 86400, "NS", "ns.sub.rich.test."},
			{"ns.sub.rich.test.", 86400, "A", "192.0.2.2"},
			{"alias.rich.test.", 60, "ALIAS", "www.rich.test."},
		}},
	}
}

// read is the inventory of a zone, which must be readable.
func (c *contract) read(t *testing.T, zone string) rollover.Inventory {
	t.Helper()
	inv, err := c.Tool.Inventory(t.Context(), zone)
	must(t, err)
	return inv
}

// do runs one command and returns the keys afterwards.
func (c *contract) do(t *testing.T, zone string, verb rollover.Verb, key rollover.Key) []rollover.Key {
	t.Helper()
	must(t, c.Tool.Do(t.Context(), zone, rollover.Command{Verb: verb, Key: key}))
	return c.read(t, zone).Keys
}

// publishCDS sets metadata that nothing else reports, of a zone that is there.
func (c *contract) publishCDS(t *testing.T) {
	ctx, zone := t.Context(), "split.test."
	list := func(digests []uint8, cdnskey bool) error {
		return second(c.Tool.PublishCDS(ctx, zone, digests, cdnskey))
	}
	remove := func(cdnskey bool) error { return second(c.Tool.PublishDelete(ctx, zone, cdnskey)) }
	retract := func() error { return c.Tool.RetractCDS(ctx, zone) }
	for i, step := range []struct {
		do           func() error
		cds, cdnskey string
	}{
		{func() error { return list([]uint8{2}, true) }, "2", "1"},
		{func() error { return list([]uint8{4, 2}, false) }, "2,4", ""},
		{func() error { return remove(true) }, "0", "0"},
		{func() error { return remove(false) }, "0", ""},
		{retract, "", ""},
		{retract, "", ""},
		{func() error { return list([]uint8{2}, true) }, "2", "1"},
	} {
		must(t, step.do())
		must(t, c.Tool.ShowCDS(ctx, zone))
		meta := c.read(t, zone).Metadata
		if cds, cdnskey := strings.Join(meta["PUBLISH-CDS"], " "), strings.Join(meta["PUBLISH-CDNSKEY"], " "); cds != step.cds || cdnskey != step.cdnskey {
			t.Errorf("after change %d: metadata %v", i, meta)
		}
	}
	if err := list([]uint8{3}, true); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("digest type 3, which breaks transfers: %v", err)
	}
	if _, err := c.Tool.PublishDelete(ctx, "plain.test.", true); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("a zone without keys: %v", err)
	}
	for _, err := range []error{
		second(c.Tool.PublishCDS(ctx, "nowhere.test.", []uint8{2}, true)), second(c.Tool.PublishDelete(ctx, "nowhere.test.", true)),
		c.Tool.RetractCDS(ctx, "nowhere.test."), c.Tool.ShowCDS(ctx, "nowhere.test."),
	} {
		if !errors.Is(err, rollover.ErrUnknownZone) {
			t.Errorf("a zone that is not there: %v", err)
		}
	}
}

func second(_ bool, err error) error { return err }

func (c *contract) version(t *testing.T) {
	version, err := c.Tool.Version(t.Context())
	must(t, err)
	if version == "" || version[0] < '0' || version[0] > '9' {
		t.Errorf("version is %q, not a number", version)
	}
}

func (c *contract) cskZone(t *testing.T) {
	inv := c.read(t, "csk.test.")
	if inv.Zone != "csk.test." || inv.Kind != rollover.KindMaster || inv.Presigned {
		t.Errorf("zone %q, kind %q, presigned %v", inv.Zone, inv.Kind, inv.Presigned)
	}
	if got := inv.Metadata["X-NOTE"]; !slices.Equal(got, []string{"a b", "c"}) {
		t.Errorf("metadata X-NOTE is %q", got)
	}
	if len(inv.Keys) != 1 {
		t.Fatalf("keys are %v, not one", inv.Keys)
	}
	k := inv.Keys[0]
	if k.Flags != rollover.FlagsKSK || k.Algorithm != 13 || k.Bits != 256 || !k.Active || !k.Published {
		t.Errorf("key is %+v", k)
	}
	if k.PublicKey == "" || k.DNSKEY().Tag() != k.Tag || rollover.RoleOf(inv.Keys, k) != rollover.CSK {
		t.Errorf("key is not a CSK with a public key that has its tag: %+v", k)
	}
}

func (c *contract) splitZone(t *testing.T) {
	keys := c.read(t, "SPLIT.test").Keys
	if len(keys) != 2 {
		t.Fatalf("keys are %v, not two", keys)
	}
	zsk, ksk := keys[0], keys[1] // pdnsutil lists KSKs last
	if zsk.Flags != rollover.FlagsZSK || zsk.PublicKey != "" {
		t.Errorf("first key is %+v, not a ZSK without public key", zsk)
	}
	if ksk.Flags != rollover.FlagsKSK || ksk.DNSKEY().Tag() != ksk.Tag {
		t.Errorf("second key is %+v, not a KSK with public key", ksk)
	}
}

func (c *contract) plainZone(t *testing.T) {
	inv := c.read(t, "plain.test.")
	if inv.Kind != rollover.KindNative || inv.Presigned || len(inv.Keys) != 0 {
		t.Errorf("inventory is %+v", inv)
	}
}

func (c *contract) presignedZone(t *testing.T) {
	inv := c.read(t, "pre.test.")
	if !inv.Presigned || len(inv.Keys) != 0 {
		t.Errorf("inventory is %+v", inv)
	}
	_, err := c.Tool.BumpSerial(t.Context(), "pre.test.")
	if !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("bumping the serial gave %v, not ErrRefused", err)
	}
}

func (c *contract) unknownZone(t *testing.T) {
	_, inventory := c.Tool.Inventory(t.Context(), "nozone.test.")
	_, contents := c.Tool.Contents(t.Context(), "nozone.test.")
	create := c.Tool.Do(t.Context(), "nozone.test.", rollover.Command{Verb: rollover.VerbCreate, Key: newZSK()})
	for name, err := range map[string]error{"Inventory": inventory, "Contents": contents, "Do": create} {
		if !errors.Is(err, rollover.ErrUnknownZone) {
			t.Errorf("%s gave %v, not ErrUnknownZone", name, err)
		}
	}
	if _, err := c.Tool.BumpSerial(t.Context(), "nozone.test."); err == nil {
		t.Error("BumpSerial gave no error")
	}
}

func (c *contract) allZones(t *testing.T) {
	got, odd, err := c.Tool.Zones(t.Context())
	must(t, err)
	slices.Sort(got)
	want := []string{}
	for _, z := range contractZones() {
		want = append(want, z.Name+".")
	}
	slices.Sort(want)
	if !slices.Equal(got, want) || len(odd) > 0 {
		t.Errorf("zones %v and %v, expected %v", got, odd, want)
	}
	catalogs, err := c.Tool.Catalogs(t.Context())
	if must(t, err); !slices.Equal(catalogs, []string{"catalog.test."}) {
		t.Errorf("catalogs %v", catalogs)
	}
}

func (c *contract) contents(t *testing.T) {
	got, err := c.Tool.Contents(t.Context(), "rich.test.")
	must(t, err)
	want := rollover.Contents{Serial: 41, LargestTTL: 86400, Minimum: 5400, Samples: []rollover.Sample{
		{Name: "*.wild.rich.test.", Type: "TXT"}, {Name: "www.rich.test.", Type: "A"}, {Name: "sub.rich.test.", Type: "DS"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("contents are %+v, want %+v", got, want)
	}
}

func newZSK() rollover.Key {
	return rollover.Key{Flags: rollover.FlagsZSK, Algorithm: 13, Bits: 256, Published: true}
}

// rollZSK does what a ZSK rollover does, and reads back after each command.
func (c *contract) rollZSK(t *testing.T) {
	const zone = "split.test."
	before := c.read(t, zone).Keys
	old := before[0]
	keys := c.do(t, zone, rollover.VerbCreate, newZSK())
	fresh, found := added(before, keys)
	if !found || fresh.Active || !fresh.Published || fresh.Flags != rollover.FlagsZSK || fresh.ID <= 0 {
		t.Fatalf("the new key is %+v (%v) of %v", fresh, found, keys)
	}
	keys = c.do(t, zone, rollover.VerbActivate, fresh)
	if k, _ := byID(keys, fresh.ID); !k.Active || k.Tag != fresh.Tag {
		t.Errorf("the new key is %+v after activation", k)
	}
	c.do(t, zone, rollover.VerbActivate, fresh) // once more does no harm
	keys = c.do(t, zone, rollover.VerbDeactivate, old)
	if k, _ := byID(keys, old.ID); k.Active || !k.Published {
		t.Errorf("the old key is %+v after deactivation", k)
	}
	keys = c.do(t, zone, rollover.VerbRemove, old)
	if _, found := byID(keys, old.ID); found || len(keys) != 2 {
		t.Errorf("keys are %v after the removal of %v", keys, old)
	}
}

// rollKSK also sees that the types of the other keys stay.
func (c *contract) rollKSK(t *testing.T) {
	const zone = "csk.test."
	before := c.read(t, zone).Keys
	spec := rollover.Key{Flags: rollover.FlagsKSK, Algorithm: 13, Active: true, Published: true}
	keys := c.do(t, zone, rollover.VerbCreate, spec)
	fresh, found := added(before, keys)
	if !found || !fresh.Active || fresh.Bits != 256 || fresh.DNSKEY().Tag() != fresh.Tag {
		t.Fatalf("the new key is %+v (%v) of %v", fresh, found, keys)
	}
	keys = c.do(t, zone, rollover.VerbRemove, before[0])
	if !reflect.DeepEqual(keys, []rollover.Key{fresh}) {
		t.Errorf("keys are %v, not only %v", keys, fresh)
	}
}

// unpublished is what an algorithm rollover needs: keys that sign and are not
// in the DNSKEY set, whose public keys are known all the same.
func (c *contract) unpublished(t *testing.T) {
	const zone = "plain.test."
	for _, flags := range []uint16{rollover.FlagsKSK, rollover.FlagsZSK} {
		c.do(t, zone, rollover.VerbCreate, rollover.Key{Flags: flags, Algorithm: 13, Bits: 256, Active: true})
	}
	for _, step := range []struct {
		verb      rollover.Verb
		published bool
	}{{rollover.VerbPublish, true}, {rollover.VerbPublish, true}, {rollover.VerbUnpublish, false}, {rollover.VerbUnpublish, false}} {
		for _, k := range c.read(t, zone).Keys {
			c.do(t, zone, step.verb, k)
		}
		for _, k := range c.read(t, zone).Keys {
			if !k.Active || k.Published != step.published {
				t.Errorf("after %s: %+v", step.verb, k)
			}
			known := k.PublicKey != "" && k.DNSKEY().Tag() == k.Tag
			if wanted := k.Flags == rollover.FlagsKSK || !k.Published; known != wanted {
				t.Errorf("after %s: the public key of %+v is known: %v, want %v", step.verb, k, known, wanted)
			}
		}
	}
	for _, k := range c.read(t, zone).Keys {
		c.do(t, zone, rollover.VerbRemove, k)
	}
}

func (c *contract) rectify(t *testing.T) {
	must(t, c.Tool.Rectify(t.Context(), "plain.test."))
	must(t, c.Tool.Rectify(t.Context(), "plain.test."))
	for zone, want := range map[string]error{"nozone.test.": rollover.ErrUnknownZone, "pre.test.": rollover.ErrRefused} {
		if err := c.Tool.Rectify(t.Context(), zone); !errors.Is(err, want) {
			t.Errorf("rectifying %s gave %v, not %v", zone, err, want)
		}
	}
}

// idsReturn: sqlite gives the id of the removed newest key to the next one,
// so an id alone says nothing.
func (c *contract) idsReturn(t *testing.T) {
	const zone = "plain.test."
	first := c.do(t, zone, rollover.VerbCreate, newZSK())
	c.do(t, zone, rollover.VerbRemove, first[0])
	second := c.do(t, zone, rollover.VerbCreate, newZSK())
	if first[0].ID != second[0].ID || first[0].PublicKey == second[0].PublicKey {
		t.Errorf("first %+v, then %+v: want the same id and another key", first[0], second[0])
	}
	if keys := c.do(t, zone, rollover.VerbRemove, second[0]); len(keys) != 0 {
		t.Errorf("keys are %v, want none", keys)
	}
}

// algorithms makes a key of each, of the usual size; RSA of 1024 bits, so that
// it does not take long.
func (c *contract) algorithms(t *testing.T) {
	const zone = "plain.test."
	for algorithm, bits := range map[uint8]int{8: 1024, 10: 1024, 13: 256, 14: 384, 15: 256, 16: 456} {
		spec := rollover.Key{Flags: rollover.FlagsKSK, Algorithm: algorithm, Bits: bits, Active: true}
		keys := c.do(t, zone, rollover.VerbCreate, spec)
		k := keys[0]
		spec.ID, spec.Tag, spec.PublicKey = k.ID, k.Tag, k.PublicKey
		if len(keys) != 1 || k != spec || k.PublicKey == "" || k.DNSKEY().Tag() != k.Tag {
			t.Errorf("keys are %+v, want one like %+v", keys, spec)
		}
		c.do(t, zone, rollover.VerbRemove, k)
	}
}

// missingKeys: only a reading of the keys tells what a command did.
func (c *contract) missingKeys(t *testing.T) {
	before := c.read(t, "split.test.").Keys
	gone := rollover.Key{ID: 9999}
	for _, verb := range []rollover.Verb{rollover.VerbActivate, rollover.VerbDeactivate, rollover.VerbPublish, rollover.VerbUnpublish} {
		if err := c.Tool.Do(t.Context(), "split.test.", rollover.Command{Verb: verb, Key: gone}); err == nil {
			t.Errorf("%s of a missing key gave no error", verb)
		}
	}
	after := c.do(t, "split.test.", rollover.VerbRemove, gone)
	if !reflect.DeepEqual(before, after) {
		t.Errorf("keys were %v, are %v", before, after)
	}
}

func (c *contract) serial(t *testing.T) {
	before, err := c.Tool.Contents(t.Context(), "rich.test.")
	must(t, err)
	bumped, err := c.Tool.BumpSerial(t.Context(), "rich.test.")
	must(t, err)
	after, err := c.Tool.Contents(t.Context(), "rich.test.")
	must(t, err)
	if bumped != before.Serial+1 || after.Serial != bumped {
		t.Errorf("serial was %d, was told %d, is %d", before.Serial, bumped, after.Serial)
	}
}

func (c *contract) refresh(t *testing.T) {
	must(t, c.Tool.Refresh(t.Context(), nil, nil))
	must(t, c.Tool.Refresh(t.Context(), []string{"csk.test.", "split.test."}, []string{"csk.test."}))
	err := c.Tool.Refresh(t.Context(), []string{"csk.test."}, []string{"nozone.test.", "csk.test."})
	var failure *pdns.Error
	if !errors.As(err, &failure) || failure.Zone != "nozone.test." {
		t.Errorf("notify of an unknown zone gave %v", err)
	}
}

func (c *contract) refreshDown(t *testing.T) {
	c.Stop()
	err := c.Tool.Refresh(t.Context(), []string{"csk.test."}, []string{"csk.test."})
	if !errors.Is(err, rollover.ErrUnavailable) {
		t.Errorf("refresh gave %v, not ErrUnavailable", err)
	}
	without := *c.Tool
	without.Control = nil
	must(t, without.Refresh(context.Background(), []string{"csk.test."}, nil))
}

// added is the one key that is in after and not in before.
func added(before, after []rollover.Key) (rollover.Key, bool) {
	var out []rollover.Key
	for _, k := range after {
		if _, known := byID(before, k.ID); !known {
			out = append(out, k)
		}
	}
	if len(out) != 1 {
		return rollover.Key{}, false
	}
	return out[0], true
}

func byID(keys []rollover.Key, id int) (rollover.Key, bool) {
	i := slices.IndexFunc(keys, func(k rollover.Key) bool { return k.ID == id })
	if i < 0 {
		return rollover.Key{}, false
	}
	return keys[i], true
}
