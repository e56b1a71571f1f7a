package rollover

import (
	"fmt"
	"slices"
	"testing"
)

// Which key lists are the same: neither the order nor what is not shown counts,
// and all else does.
func TestWhichKeyListsAreTheSame(t *testing.T) {
	one, two := aKey(1, KSK), aKey(2, ZSK)
	expected := []Key{one, two}
	with := func(change func(k *Key)) []Key {
		k := two
		change(&k)
		return []Key{k, one}
	}
	for name, c := range map[string]struct {
		found []Key
		want  []string
	}{
		"the same":           {[]Key{two, one}, nil},
		"no role":            {with(func(k *Key) { k.Role = "" }), nil},
		"no public key":      {with(func(k *Key) { k.PublicKey = "" }), nil},
		"another public key": {with(func(k *Key) { k.PublicKey = one.PublicKey }), []string{two.String() + " was active, published, is now tag " + fmt.Sprint(two.Tag) + ", active, published"}},
		"inactive":           {with(func(k *Key) { k.Active = false }), []string{two.String() + " was active, published, is now tag " + fmt.Sprint(two.Tag) + ", inactive, published"}},
		"unpublished":        {with(func(k *Key) { k.Published = false }), []string{two.String() + " was active, published, is now tag " + fmt.Sprint(two.Tag) + ", active, unpublished"}},
		"one is gone":        {[]Key{one}, []string{two.String() + " is gone"}},
		"one more":           {[]Key{one, two, aKey(3, ZSK)}, []string{aKey(3, ZSK).String() + " (active, published) is not ours"}},
	} {
		if got := diffKeys(expected, c.found); !slices.Equal(got, c.want) || sameKeys(expected, c.found) != (len(c.want) == 0) {
			t.Errorf("%s: %q, expected %q", name, got, c.want)
		}
	}
}

// What is known of public keys and roles is of the same key only.
func TestPublicKeysAreOfTheirKey(t *testing.T) {
	known := aKey(1, ZSK)
	bare := known
	bare.PublicKey, bare.Role = "", ""
	for name, c := range map[string]struct {
		change func(k *Key)
		filled bool
	}{
		"the same":          {func(*Key) {}, true},
		"in another state":  {func(k *Key) { k.Active, k.Published = false, false }, true},
		"another number":    {func(k *Key) { k.ID++ }, false},
		"another tag":       {func(k *Key) { k.Tag++ }, false},
		"another algorithm": {func(k *Key) { k.Algorithm = 8 }, false},
		"other flags":       {func(k *Key) { k.Flags = FlagsKSK }, false},
	} {
		k := bare
		c.change(&k)
		fresh := []Key{k}
		got := withPublicKeys(fresh, []Key{known})[0]
		if (got.PublicKey == known.PublicKey) != c.filled || (got.Role == ZSK) != c.filled || fresh[0] != k {
			t.Errorf("%s: %+v", name, got)
		}
	}
	shown := known
	shown.PublicKey, shown.Role = "c2hvd24=", KSK
	if got := withPublicKeys([]Key{shown}, []Key{known})[0]; got != shown {
		t.Errorf("what was read is overwritten: %+v", got)
	}
}

// A DNSKEY record is a key of ours by its public key, and by its tag only while
// that is not known.
func TestWhichRecordIsAKey(t *testing.T) {
	k := aKey(1, KSK)
	bare, foreign := k, aKey(2, KSK).DNSKEY()
	bare.PublicKey = ""
	flags, algorithm, tag := k.DNSKEY(), k.DNSKEY(), k
	flags.Flags, algorithm.Algorithm = FlagsZSK, 8
	tag.Tag++
	unknown := bare
	unknown.Tag = algorithm.Tag()
	zone := bare
	zone.Tag = flags.Tag()
	for name, c := range map[string]struct {
		key    Key
		record DNSKEY
		want   bool
	}{
		"ours": {k, k.DNSKEY(), true}, "another": {k, foreign, false}, "by its key, whatever the tag": {tag, k.DNSKEY(), true},
		"other flags": {k, flags, false}, "another algorithm": {k, algorithm, false}, "by its tag": {bare, k.DNSKEY(), true},
		"another tag": {bare, foreign, false}, "the tag, another algorithm": {unknown, algorithm, false}, "the tag, other flags": {zone, flags, false},
	} {
		if got := c.key.Matches(c.record); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The role of a key, as PowerDNS derives it: only active keys of its algorithm count.
func TestTheRoleOfAKey(t *testing.T) {
	ksk, zsk := aKey(1, KSK), aKey(2, ZSK)
	idleKSK, idleZSK, other := ksk, zsk, zsk
	idleKSK.Active, idleZSK.Active, other.Algorithm = false, false, 8
	for name, c := range map[string]struct {
		keys []Key
		key  Key
		want Role
	}{
		"KSK": {[]Key{ksk, zsk}, ksk, KSK}, "ZSK": {[]Key{ksk, zsk}, zsk, ZSK}, "a lone KSK": {[]Key{ksk}, ksk, CSK}, "a lone ZSK": {[]Key{zsk}, zsk, CSK},
		"the ZSK is idle": {[]Key{ksk, idleZSK}, ksk, CSK}, "the KSK is idle": {[]Key{idleKSK, zsk}, zsk, CSK}, "another algorithm": {[]Key{ksk, other}, ksk, CSK},
		"an idle one beside both": {[]Key{ksk, zsk, idleKSK}, idleKSK, KSK}, "none": {nil, ksk, CSK},
		"in another order": {[]Key{zsk, ksk}, zsk, ZSK},
	} {
		if got := RoleOf(c.keys, c.key); got != c.want {
			t.Errorf("%s: %s, expected %s", name, got, c.want)
		}
	}
	for role, want := range map[Role][2]bool{KSK: {true, false}, ZSK: {false, true}, CSK: {true, true}, "": {false, false}} {
		if role.SignsKeys() != want[0] || role.SignsData() != want[1] {
			t.Errorf("%q: %v, %v", role, role.SignsKeys(), role.SignsData())
		}
	}
}

// A tag is that of RFC 4034, appendix B; 0 of what is no key. A DS needs a key, a
// name and a digest that can be made.
func TestTagsAndDigests(t *testing.T) {
	root := DNSKEY{Flags: FlagsKSK, Algorithm: 8, PublicKey: rootKey}
	if tag := root.Tag(); tag != 20326 {
		t.Errorf("the key of the root has tag %d", tag)
	}
	if d, err := root.DS(".", 2); err != nil || d != (DS{20326, 8, 2, "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"}) {
		t.Errorf("%v, %v", d, err)
	}
	bad := root
	bad.PublicKey = "%"
	for name, c := range map[string]struct {
		key  DNSKEY
		zone string
		kind uint8
	}{"no key": {bad, ".", 2}, "no name": {root, "a..b", 2}, "no digest": {root, ".", 3}} {
		if d, err := c.key.DS(c.zone, c.kind); err == nil || d != (DS{}) {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
	if (DS{}).isOf(".", bad) {
		t.Error("no DS is of what is no key")
	}
	if bad.Tag() != 0 {
		t.Errorf("what is no key has tag %d", bad.Tag())
	}
	high := DNSKEY{Flags: 0xFFFF, Algorithm: 0xFF, PublicKey: "//8="} // the sum has a carry
	if high.Tag() != 0x03FF {
		t.Errorf("tag %#x", high.Tag())
	}
	if got := (Key{ID: 3, Tag: 7}).String(); got != "key 7 (id 3)" {
		t.Error(got)
	}
}

// rootKey is the public key of the root from 2017 on.
const rootKey = "AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU="

// What is to do at the parent, in words.
func TestWhatIsToDoAtTheParent(t *testing.T) {
	a, b, c := DS{1, 13, 2, "AA"}, DS{2, 13, 2, "BB"}, DS{3, 13, 2, "CC"}
	for want, sets := range map[string][3][]DS{
		"at the parent: add DS 1 13 2 AA; remove DS 2 13 2 BB; keep DS 3 13 2 CC": {{a}, {b}, {c}},
		"at the parent: remove DS 2 13 2 BB":                                      {nil, {b}, nil},
		"the parent has the DS set as it must be":                                 {nil, nil, {c}},
	} {
		if got := todoText(sets[0], sets[1], sets[2]); got != want {
			t.Errorf("%s, expected %s", got, want)
		}
	}
}

// What the parent is to have: what is asked for and not there comes, what is of a
// side that is not asked for goes, and neither while the keys are in doubt.
func TestWhatTheParentIsToHave(t *testing.T) {
	old, fresh, zsk := aKey(1, KSK), aKey(2, KSK), aKey(3, ZSK)
	of, to, more, foreign := dsRecord(old, 2), dsRecord(fresh, 2), dsRecord(fresh, 4), stranger(13, 2)
	wrong := to
	wrong.Digest = foreign.Digest
	like := func(k Key, algorithm uint8) DS {
		return DS{Tag: k.Tag, Algorithm: algorithm, DigestType: 2, Digest: foreign.Digest}
	}
	odd := func(digestType, algorithm uint8) DS {
		return DS{Tag: fresh.Tag, Algorithm: algorithm, DigestType: digestType, Digest: foreign.Digest}
	}
	lame := like(old, 13)
	p := Policy{DSDigests: []uint8{2}}
	earned := map[string]map[string]Holding{"DS has new": {}}
	ask := func(sides ...Side) *Ask { return &Ask{Sides: sides} }
	for name, c := range map[string]struct {
		change            func(r *Roll)
		add, keep, remove []DS
	}{
		"nothing asked yet":          {func(r *Roll) { r.DSSeen = []DS{of, to, foreign} }, nil, []DS{of}, nil},
		"both":                       {func(r *Roll) { r.Ask = ask(Old, New) }, []DS{to}, []DS{of}, nil},
		"both, there":                {func(r *Roll) { r.Ask, r.DSSeen = ask(Old, New), []DS{of, to, more} }, nil, []DS{of, to, more}, nil},
		"new":                        {func(r *Roll) { r.Ask, r.DSSeen = ask(New), []DS{of, to, foreign} }, nil, []DS{to}, []DS{of}},
		"a wrong digest":             {func(r *Roll) { r.Ask, r.DSSeen = ask(Old, New), []DS{of, wrong} }, []DS{to}, []DS{of}, []DS{wrong}},
		"none":                       {func(r *Roll) { r.Type, r.Ask, r.DSSeen = "unsign", ask(), []DS{of, foreign} }, nil, nil, []DS{of, foreign}},
		"old stopped":                {func(r *Roll) { r.Ask, r.Old[0].Active, r.DSSeen = ask(Old, New), false, nil }, []DS{to}, nil, nil},
		"old stopped, there":         {func(r *Roll) { r.Ask, r.Old[0].Active = ask(Old, New), false }, []DS{to}, []DS{of}, nil},
		"blocked":                    {func(r *Roll) { r.Ask, r.DSSeen, r.State = ask(New), []DS{of}, StateBlocked }, nil, []DS{of}, nil},
		"after resume":               {func(r *Roll) { r.Ask, r.DSSeen, r.Held = ask(New), []DS{of}, nil }, []DS{to}, []DS{of}, nil},
		"unfit":                      {func(r *Roll) { r.Ask, r.DSSeen, r.Unfit = ask(New), []DS{of}, true }, []DS{to}, []DS{of}, nil},
		"gone":                       {func(r *Roll) { r.Ask, r.DSSeen, r.Need = ask(New), []DS{of}, &Need{Gone: true} }, []DS{to}, []DS{of}, nil},
		"anew":                       {func(r *Roll) { r.Ask, r.DSSeen, r.Need = ask(New), []DS{of}, &Need{Anew: true} }, []DS{to}, []DS{of}, nil},
		"hollow, of another row":     {func(r *Roll) { r.Ask, r.DSSeen, r.Need = ask(New), []DS{of}, &Need{Hollow: true} }, []DS{to}, nil, []DS{of}},
		"algorithm, hollow":          {func(r *Roll) { r.Type, r.Ask, r.Need = "algorithm", ask(New), &Need{Hollow: true} }, nil, []DS{of}, nil},
		"algorithm, gone":            {func(r *Roll) { r.Type, r.Ask, r.Need = "algorithm", ask(New), &Need{Gone: true} }, []DS{to}, nil, []DS{of}},
		"sign, hollow":               {func(r *Roll) { r.Type, r.Ask, r.DSSeen, r.Need = "sign", ask(New), nil, &Need{Hollow: true} }, nil, nil, nil},
		"sign, after resume":         {func(r *Roll) { r.Type, r.Ask, r.DSSeen, r.Held = "sign", ask(New), nil, nil }, nil, nil, nil},
		"sign":                       {func(r *Roll) { r.Type, r.Ask, r.DSSeen, r.Need = "sign", ask(New), nil, &Need{} }, []DS{to}, nil, nil},
		"old, lost at the parent":    {func(r *Roll) { r.Ask, r.DSSeen = ask(Old, New), nil }, []DS{of, to}, nil, nil},
		"nothing asked yet, lost":    {func(r *Roll) { r.DSSeen = nil }, []DS{of}, nil, nil},
		"mistyped before it begins":  {func(r *Roll) { r.DSSeen, r.Held = []DS{lame}, nil }, []DS{of}, nil, []DS{lame}},
		"other digests stay":         {func(r *Roll) { r.Ask, r.DSSeen = ask(Old, New), []DS{of, odd(4, 13), odd(2, 8)} }, []DS{to}, []DS{of}, nil},
		"not of old":                 {func(r *Roll) { r.Ask, r.DSSeen = ask(New), []DS{to, like(old, 8), like(zsk, 13)} }, nil, []DS{to}, nil},
		"of old, in some way":        {func(r *Roll) { r.Ask, r.DSSeen = ask(New), []DS{to, like(old, 13)} }, nil, []DS{to}, []DS{like(old, 13)}},
		"algorithm, nothing asked":   {func(r *Roll) { r.Type, r.DSSeen, r.Need = "algorithm", nil, &Need{Hollow: true} }, []DS{of}, nil, nil},
		"unsign, hollow":             {func(r *Roll) { r.Type, r.Ask, r.DSSeen, r.Need = "unsign", ask(Old), nil, &Need{Hollow: true} }, nil, nil, nil},
		"a key that does not decode": {func(r *Roll) { r.Ask, r.New[0].PublicKey = ask(Old, New), "%" }, nil, []DS{of}, nil},
		"reverting":                  {func(r *Roll) { r.Kind, r.DSSeen = "revert/ksk", []DS{to} }, nil, []DS{to}, nil},
		"reverting, asked":           {func(r *Roll) { r.Kind, r.Ask, r.DSSeen = "revert/ksk", ask(Old), []DS{to} }, []DS{of}, nil, []DS{to}},
		"rescued, and asked": {func(r *Roll) {
			r.Steps, r.Ask, r.DSSeen = []StepRecord{{Step: RescueStep}}, ask(New), []DS{of}
		}, []DS{to}, nil, []DS{of}},
		"by its own terms": {func(r *Roll) {
			r.Ask, r.DSSeen, r.Terms = ask(New), nil, &Terms{DSDigests: []int{4}, Evidence: EvidencePlain}
		}, []DS{more}, nil, nil},
		"after a rescue": {func(r *Roll) {
			r.Steps, r.DSSeen = []StepRecord{{Step: RescueStep}}, []DS{to, foreign}
		}, nil, []DS{to, foreign}, nil},
	} {
		r := &Roll{
			Zone: "example.com.", Type: "ksk", Kind: "ksk/double-ds", State: StateActive, Held: earned,
			Old: []Key{old, zsk}, New: []Key{fresh}, Keys: []Key{old, zsk, fresh}, DSSeen: []DS{of},
		}
		c.change(r)
		got := r.Parent(p)
		for what, sets := range map[string][2][]DS{"add": {got.Add, c.add}, "keep": {got.Keep, c.keep}, "remove": {got.Remove, c.remove}} {
			if !slices.Equal(sorted(sets[0]), sorted(sets[1])) {
				t.Errorf("%s: %s %v, expected %v", name, what, sets[0], sets[1])
			}
		}
		add, del := r.parentTodo(p)
		if r.Ask == nil && (add != nil || del != nil) || r.Ask != nil && (!slices.Equal(add, got.Add) || !slices.Equal(del, got.Remove)) {
			t.Errorf("%s: to do are %v, %v", name, add, del)
		}
	}
}
