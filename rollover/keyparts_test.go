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

// What the parent is to have: what is asked for and not there comes, what is of a
// side that is not asked for goes, and neither while the keys are in doubt.
func TestWhatTheParentIsToHave(t *testing.T) {
	old, fresh, zsk := aKey(1, KSK), aKey(2, KSK), aKey(3, ZSK)
	of, to, more, foreign := dsRecord(old, 2), dsRecord(fresh, 2), dsRecord(fresh, 4), stranger(13, 2)
	wrong := to
	wrong.Digest = foreign.Digest
	p := Policy{DSDigests: []uint8{2}}
	earned := map[string]map[string]Holding{"DS has new": {}}
	ask := func(sides ...Side) *Ask { return &Ask{Sides: sides} }
	for name, c := range map[string]struct {
		change            func(r *Roll)
		add, keep, remove []DS
	}{
		"nothing asked yet":      {func(r *Roll) { r.DSSeen = []DS{of, to, foreign} }, nil, []DS{of}, nil},
		"both":                   {func(r *Roll) { r.Ask = ask(Old, New) }, []DS{to}, []DS{of}, nil},
		"both, there":            {func(r *Roll) { r.Ask, r.DSSeen = ask(Old, New), []DS{of, to, more} }, nil, []DS{of, to, more}, nil},
		"new":                    {func(r *Roll) { r.Ask, r.DSSeen = ask(New), []DS{of, to, foreign} }, nil, []DS{to}, []DS{of}},
		"a wrong digest":         {func(r *Roll) { r.Ask, r.DSSeen = ask(Old, New), []DS{of, wrong} }, []DS{to}, []DS{of}, []DS{wrong}},
		"none":                   {func(r *Roll) { r.Type, r.Ask, r.DSSeen = "unsign", ask(), []DS{of, foreign} }, nil, nil, []DS{of, foreign}},
		"old stopped":            {func(r *Roll) { r.Ask, r.Old[0].Active, r.DSSeen = ask(Old, New), false, nil }, []DS{to}, nil, nil},
		"old stopped, there":     {func(r *Roll) { r.Ask, r.Old[0].Active = ask(Old, New), false }, []DS{to}, []DS{of}, nil},
		"blocked":                {func(r *Roll) { r.Ask, r.DSSeen, r.State = ask(New), []DS{of}, StateBlocked }, nil, []DS{of}, nil},
		"after resume":           {func(r *Roll) { r.Ask, r.DSSeen, r.Held = ask(New), []DS{of}, nil }, []DS{to}, []DS{of}, nil},
		"unfit":                  {func(r *Roll) { r.Ask, r.DSSeen, r.Unfit = ask(New), []DS{of}, true }, []DS{to}, []DS{of}, nil},
		"gone":                   {func(r *Roll) { r.Ask, r.DSSeen, r.Need = ask(New), []DS{of}, &Need{Gone: true} }, []DS{to}, []DS{of}, nil},
		"anew":                   {func(r *Roll) { r.Ask, r.DSSeen, r.Need = ask(New), []DS{of}, &Need{Anew: true} }, []DS{to}, []DS{of}, nil},
		"hollow, of another row": {func(r *Roll) { r.Ask, r.DSSeen, r.Need = ask(New), []DS{of}, &Need{Hollow: true} }, []DS{to}, nil, []DS{of}},
		"algorithm, hollow":      {func(r *Roll) { r.Type, r.Ask, r.Need = "algorithm", ask(New), &Need{Hollow: true} }, nil, []DS{of}, nil},
		"algorithm, gone":        {func(r *Roll) { r.Type, r.Ask, r.Need = "algorithm", ask(New), &Need{Gone: true} }, []DS{to}, nil, []DS{of}},
		"sign, hollow":           {func(r *Roll) { r.Type, r.Ask, r.DSSeen, r.Need = "sign", ask(New), nil, &Need{Hollow: true} }, nil, nil, nil},
		"sign, after resume":     {func(r *Roll) { r.Type, r.Ask, r.DSSeen, r.Held = "sign", ask(New), nil, nil }, nil, nil, nil},
		"sign":                   {func(r *Roll) { r.Type, r.Ask, r.DSSeen, r.Need = "sign", ask(New), nil, &Need{} }, []DS{to}, nil, nil},
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
