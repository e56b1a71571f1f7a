package rollover

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// What PowerDNS makes of a key list: published keys are in the set, active ones
// sign, each by its role, and what is foreign stays.
func TestWhatIsPredicted(t *testing.T) {
	ksk, zsk, idle := aKey(1, KSK), aKey(2, ZSK), aKey(3, ZSK)
	idle.Active = false
	unseen, off := aKey(4, ZSK), aKey(5, ZSK)
	unseen.Published = false
	off.Active, off.Published, off.PublicKey = false, false, ""
	foreign := aKey(9, ZSK).DNSKEY()
	r := &Roll{Foreign: []DNSKEY{foreign}}
	keys, data, err := r.predict([]Key{ksk, zsk, idle, unseen, off})
	want := KeyVersion{Keys: append(dnskeysOf(ksk, zsk, idle), foreign), Signers: dnskeysOf(ksk)}
	if err != nil || !reflect.DeepEqual(keys, want) || !reflect.DeepEqual(data, DataVersion{Signers: dnskeysOf(zsk, unseen)}) {
		t.Errorf("%+v, %+v, %v", keys, data, err)
	}
	if keys, data, err := r.predict([]Key{ksk}); err != nil || !slices.Equal(keys.Signers, dnskeysOf(ksk)) || !slices.Equal(data.Signers, dnskeysOf(ksk)) {
		t.Errorf("a lone key: %+v, %+v, %v", keys, data, err)
	}
	for _, k := range []Key{idle, unseen} {
		k.PublicKey = ""
		if _, _, err := r.predict([]Key{ksk, zsk, k}); err == nil || !strings.Contains(err.Error(), "is not known yet") {
			t.Errorf("%v: %v", k, err)
		}
	}
}

// What the parent has when it does as it is asked: foreign DS records stay, those
// of a side that is not asked for go, and each is there once.
func TestWhatIsPredictedOfTheParent(t *testing.T) {
	old, fresh := aKey(1, KSK), aKey(2, KSK)
	p := Policy{DSDigests: []uint8{2}}
	r := &Roll{Zone: "example.com.", Old: []Key{old}, New: []Key{fresh}, DSSeen: []DS{dsRecord(old, 2), dsRecord(old, 4), stranger(13, 2)}}
	for name, c := range map[string]struct {
		sides []Side
		want  []DS
	}{
		"none": {nil, nil},
		"both": {[]Side{Old, New}, []DS{dsRecord(old, 2), dsRecord(fresh, 2), dsRecord(old, 4), stranger(13, 2)}},
		"new":  {[]Side{New}, []DS{dsRecord(fresh, 2), stranger(13, 2)}},
		"old":  {[]Side{Old}, []DS{dsRecord(old, 2), dsRecord(old, 4), stranger(13, 2)}},
	} {
		if got := r.predictDS(c.sides, p).Set; !slices.Equal(sorted(got), sorted(c.want)) {
			t.Errorf("%s: %v, expected %v", name, got, c.want)
		}
	}
	if r.Ask != nil {
		t.Error("the rollover itself asks for it now")
	}
}

// For how long a version may be in caches.
func TestHowLongAnEntryLives(t *testing.T) {
	at := func(s int) Instant {
		return Instant{Wall: time.Unix(1e9, 0).Add(time.Duration(s) * time.Second), BootID: "a", Boot: time.Duration(s) * time.Second}
	}
	for name, c := range map[string]struct {
		entry  LedgerEntry
		looked bool
		want   bool
	}{
		"shown":                     {LedgerEntry{TTL: 10}, true, true},
		"shown, not looked at":      {LedgerEntry{TTL: 10}, false, true},
		"another, in time":          {LedgerEntry{TTL: 11, Until: at(90)}, true, true},
		"another, at the end":       {LedgerEntry{TTL: 10, Until: at(90)}, true, false},
		"another, not looked at":    {LedgerEntry{TTL: 10, Until: at(90)}, false, false},
		"left, in time":             {LedgerEntry{TTL: 11, Left: at(90)}, false, true},
		"left, over":                {LedgerEntry{TTL: 10, Left: at(90)}, false, false},
		"left, and is back":         {LedgerEntry{TTL: 10, Left: at(90)}, true, true},
		"another, and left later":   {LedgerEntry{TTL: 10, Until: at(90), Left: at(99)}, false, false},
		"another, and left earlier": {LedgerEntry{TTL: 11, Until: at(90), Left: at(1)}, true, true},
	} {
		if got := c.entry.lives(at(100), c.looked); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What is asked about together: what may be in caches, what each command of the
// step makes, and what the parent is asked for.
func TestWhatMayBeCachedTogether(t *testing.T) {
	kind := kindOf("ksk/double-ds")
	old, fresh := aKey(1, KSK), aKey(2, KSK)
	fresh.Active = false
	now := Instant{Wall: time.Unix(1e9, 0), BootID: "a", Boot: time.Hour}
	long := Instant{Wall: now.Wall.Add(-time.Hour), BootID: "a"}
	set := func(k Key) *DSVersion { return &DSVersion{Set: []DS{dsRecord(k, 2)}} }
	s := Sighting{At: now, Servers: []ServerSighting{{Server: Server{Address: "c1"}}, {Server: Server{Address: "p1"}}}}
	step := func(name string) Step {
		at, err := kind.index(name)
		if err != nil {
			t.Fatal(err)
		}
		return kind.Steps[at]
	}
	entries := []LedgerEntry{
		{Server: "p1", TTL: 60, DS: set(old)},
		{Server: "p1", TTL: 60, DS: set(fresh), Until: long},
		{Server: "c1", TTL: 60, DNSKEY: &KeyVersion{Keys: dnskeysOf(old)}},
		{Server: "c1", TTL: 60, Data: &DataVersion{Signers: dnskeysOf(old)}},
		{Server: "c2", TTL: 60, DNSKEY: &KeyVersion{Keys: dnskeysOf(fresh)}, Left: long},
		{Server: "c2", TTL: 7200, Data: &DataVersion{Signers: dnskeysOf(fresh)}, Left: long},
	}
	visitOf := func() *visit {
		r := &Roll{Zone: "example.com.", Kind: kind.Name(), Old: []Key{old}, New: []Key{fresh}, Keys: []Key{old, fresh}}
		return &visit{engine: &Engine{}, roll: r, dossier: Dossier{Zone: r.Zone, Ledger: Ledger{Entries: entries}}, setting: Setting{Policy: Policy{DSDigests: []uint8{2}}}}
	}
	v := visitOf()
	got, err := v.cached(step("switch"), s)
	if err != nil || got.Zone != "example.com." || len(got.DS) != 1 || len(got.Keys) != 3 || len(got.Data) != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, signers := range [][]DNSKEY{nil, dnskeysOf(old, fresh), dnskeysOf(fresh)} {
		if !slices.Equal(got.Keys[i].Signers, signers) {
			t.Errorf("set %d is signed by %v, expected %v", i, got.Keys[i].Signers, signers)
		}
	}
	s.Anchor = []DS{dsRecord(fresh, 4)}
	if got, err := v.cached(step("withdraw"), s); err != nil || len(got.DS) != 3 || got.DS[0].Set[0].DigestType != 4 || !slices.Equal(got.DS[2].Set, []DS{dsRecord(fresh, 2)}) || len(got.Keys) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	v.setting.Policy.Evidence, s.Anchor = EvidenceValidated, nil // the DS sets are not proven
	if got, err := v.cached(step("switch"), s); err != nil || len(got.DS) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	v = visitOf()
	v.engine.Product = func(c Cached) []string { return []string{"one", "two"} }
	if f := v.product(step("switch"), s); len(f) != 2 || f[0].Code != FindingProduct || f[0].Severity != SeverityCritical || !strings.HasSuffix(f[1].Text, "together: two") || !strings.Contains(f[1].Remedy, "rollover trace example.com.") {
		t.Errorf("%+v", f)
	}
	v.roll.Keys[0].PublicKey = ""
	if f := v.product(step("switch"), s); len(f) != 1 || f[0].Severity != SeverityCritical || !strings.Contains(f[0].Text, "is not known yet") {
		t.Errorf("%+v", f)
	}
	v.engine.Product = nil
	if f := v.product(step("switch"), s); len(f) != 1 || f[0].Severity != SeverityCritical || !strings.Contains(f[0].Text, "no product check is wired") {
		t.Errorf("%+v", f)
	}
}

// The sentence of a gate says what kind of step waits, and each finding.
func TestWhatAGateSays(t *testing.T) {
	one, two := Finding{Code: FindingSilent, Text: "ns1 is silent"}, Finding{Code: FindingTCP, Text: "ns2 has no TCP"}
	for want, n := range map[string]Need{
		`you, before step "switch", which takes something away: ` + one.String() + "; " + two.String(): {Next: "switch", Findings: []Finding{one, two}},
		`you, before step "submit", which asks for the first DS: ` + one.String():                      {Next: "submit", Findings: []Finding{one}, Adds: true},
		`you, before step "submit", since answers are not what they were before the zone was signed: ` + Finding{Code: FindingAnswers, Text: "x"}.String(): {Next: "submit", Adds: true,
			Findings: []Finding{{Code: FindingAnswers, Text: "x"}}},
	} {
		if got := n.stopped(); got != want {
			t.Errorf("%s, expected %s", got, want)
		}
	}
}

// A parent that is not signed, or cannot be proven, stops a step of a rollover
// that it has a part in, and no other; a silent server stops each.
func TestWhatStopsAStep(t *testing.T) {
	ksk, zsk := aKey(1, KSK), aKey(2, ZSK)
	keys := &KeyVersion{Keys: dnskeysOf(ksk, zsk), Signers: dnskeysOf(ksk)}
	for name, c := range map[string]struct {
		old      Key
		security Security
		code     string
		want     bool
	}{
		"KSK, not signed": {ksk, Insecure, FindingParent, true}, "ZSK, not signed": {zsk, Insecure, FindingParent, false},
		"KSK, no proof": {ksk, Indeterminate, FindingUnproven, true}, "ZSK, no proof": {zsk, Indeterminate, FindingUnproven, false},
		"KSK, silent": {ksk, Secure, FindingSilent, true}, "ZSK, silent": {zsk, Secure, FindingSilent, true},
	} {
		s := Sighting{Zone: "example.com.", At: Instant{Wall: time.Unix(1e9, 0)}, Records: []Record{RecordDS, RecordDNSKEY, RecordData}, Servers: []ServerSighting{
			{Server: Server{Role: RoleParent, Name: "p1"}, DS: &DSVersion{Set: []DS{dsRecord(ksk, 2)}, Standing: &Standing{Security: c.security, Why: "x"}}},
			{Server: Server{Role: RoleChild, Name: "c1"}, DNSKEY: keys, Data: &DataVersion{Signers: dnskeysOf(zsk)}},
			{Server: Server{Role: RoleChild, Name: "c2"}, Unknown: "timed out"},
		}}
		v := &visit{engine: &Engine{}, roll: &Roll{Old: []Key{c.old}}, setting: Setting{Policy: Policy{Evidence: EvidenceValidated}}}
		if got := slices.ContainsFunc(v.ailing(s), func(f Finding) bool { return f.Code == c.code }); got != c.want {
			t.Errorf("%s: %v, %+v", name, got, v.ailing(s))
		}
	}
}
