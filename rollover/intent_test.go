package rollover

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// state is a key in a state: "AP" active and published, "A", "P" or "".
func state(k Key, s string) Key {
	k.Active, k.Published = strings.Contains(s, "A"), strings.Contains(s, "P")
	return k
}

// How far an intent has come is told by the key list alone.
func TestHowFarAnIntentHasCome(t *testing.T) {
	old, fresh, other := aKey(1, KSK), aKey(2, KSK), aKey(3, ZSK)
	spec := Key{Flags: FlagsKSK, Algorithm: 13, Bits: 256, Published: true}
	fresh.PublicKey, old.Role, fresh.Role = "", "", ""
	turn := Intent{Before: []Key{old, state(fresh, "P"), other}, Commands: []Command{{VerbActivate, fresh}, {VerbDeactivate, old}}}
	making := Intent{Before: []Key{old}, Commands: []Command{{VerbCreate, spec}, {VerbActivate, spec}}}
	twins := Intent{Before: []Key{old}, Commands: []Command{{VerbCreate, spec}, {VerbCreate, spec}}}
	for name, c := range map[string]struct {
		intent Intent
		found  []Key
		done   int
		made   []Key
		ok     bool
	}{
		"nothing":           {turn, []Key{old, state(fresh, "P"), other}, 0, nil, true},
		"half":              {turn, []Key{old, fresh, other}, 1, nil, true},
		"all, any order":    {turn, []Key{other, fresh, state(old, "P")}, 2, nil, true},
		"the second alone":  {turn, []Key{state(old, "P"), state(fresh, "P"), other}, 0, nil, false},
		"one is missing":    {turn, []Key{old, fresh}, 0, nil, false},
		"one too many":      {turn, []Key{old, fresh, other, aKey(4, ZSK)}, 0, nil, false},
		"another in place":  {turn, []Key{old, fresh, aKey(4, ZSK)}, 0, nil, false},
		"another's number":  {turn, []Key{old, fresh, {ID: 3, Tag: other.Tag + 1, Flags: 256, Algorithm: 13, Bits: 256, Active: true, Published: true}}, 0, nil, false},
		"to be made":        {making, []Key{old}, 0, nil, true},
		"made":              {making, []Key{old, state(fresh, "P")}, 1, []Key{state(fresh, "P")}, true},
		"made, signs":       {making, []Key{fresh, old}, 2, []Key{fresh}, true},
		"two, made":         {twins, []Key{old, state(fresh, "P"), state(aKey(4, ""), "P")}, 2, []Key{state(fresh, "P"), state(aKey(4, ""), "P")}, true},
		"two, one made":     {twins, []Key{old, state(fresh, "P"), aKey(4, "")}, 0, nil, false},
		"made otherwise":    {making, []Key{old, state(fresh, "")}, 0, nil, false},
		"of other flags":    {making, []Key{old, other}, 0, nil, false},
		"of other size":     {making, []Key{old, {ID: 2, Flags: 257, Algorithm: 13, Bits: 384, Published: true}}, 0, nil, false},
		"another algorithm": {making, []Key{old, {ID: 2, Flags: 257, Algorithm: 15, Bits: 256, Published: true}}, 0, nil, false},
	} {
		done, made, ok := c.intent.progress(c.found)
		if done != c.done || ok != c.ok || !reflect.DeepEqual(made, c.made) {
			t.Errorf("%s: %d %v %v", name, done, made, ok)
		}
	}
}

// What each command makes of a key list; none of them changes another key.
func TestWhatACommandMakes(t *testing.T) {
	for verb, c := range map[Verb]struct{ from, to string }{
		VerbActivate: {"P", "AP"}, VerbDeactivate: {"AP", "P"}, VerbPublish: {"A", "AP"}, VerbUnpublish: {"AP", "A"},
	} {
		k, o := state(aKey(1, KSK), c.from), state(aKey(2, KSK), c.from)
		before := []Key{o, k}
		if got := apply(before, Command{verb, k}); !slices.Equal(got, []Key{o, state(k, c.to)}) || before[1] != k {
			t.Errorf("%s: %v", verb, got)
		}
	}
	k, o := aKey(1, KSK), aKey(2, KSK)
	if got := apply([]Key{o, k}, Command{VerbRemove, k}); !slices.Equal(got, []Key{o}) {
		t.Errorf("removed: %v", got)
	}
	if got := apply([]Key{o}, Command{VerbCreate, k}); !slices.Equal(got, []Key{o, k}) {
		t.Errorf("created: %v", got)
	}
	for name, other := range map[string]Key{
		"number": {ID: 9, Tag: k.Tag, Flags: k.Flags, Algorithm: 13}, "tag": {ID: 1, Tag: k.Tag + 1, Flags: k.Flags, Algorithm: 13},
		"flags": {ID: 1, Tag: k.Tag, Flags: 256, Algorithm: 13}, "algorithm": {ID: 1, Tag: k.Tag, Flags: k.Flags, Algorithm: 8},
	} {
		if (Command{VerbRemove, k}).concerns(other) {
			t.Errorf("it concerns a key with another %s", name)
		}
	}
	spec := Key{Flags: 257, Algorithm: 13}
	if made := (Key{Tag: 77, Flags: 257, Algorithm: 13}); !(Command{VerbActivate, spec}).concerns(made) {
		t.Error("a key that is still to be made is known by its algorithm and flags")
	}
}

// The number of a key that was made is filled in, and no other.
func TestTheNumberOfAKeyThatWasMade(t *testing.T) {
	ksk, zsk := aKey(5, KSK), aKey(6, ZSK)
	made := []Key{ksk, zsk}
	spec := Key{Flags: 256, Algorithm: 13}
	for name, c := range map[string]struct{ command, want Command }{
		"made":              {Command{VerbActivate, spec}, Command{VerbActivate, zsk}},
		"made, the other":   {Command{VerbActivate, Key{Flags: 257, Algorithm: 13}}, Command{VerbActivate, ksk}},
		"to be made":        {Command{VerbCreate, spec}, Command{VerbCreate, spec}},
		"known":             {Command{VerbActivate, Key{ID: 9, Flags: 256, Algorithm: 13}}, Command{VerbActivate, Key{ID: 9, Flags: 256, Algorithm: 13}}},
		"another algorithm": {Command{VerbActivate, Key{Flags: 256, Algorithm: 8}}, Command{VerbActivate, Key{Flags: 256, Algorithm: 8}}},
	} {
		if got := c.command.resolve(made); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A tag is taken by any key, DS or foreign key but the new key itself.
func TestTagsThatAreTaken(t *testing.T) {
	made, other := aKey(5, KSK), aKey(6, KSK)
	same := Key{ID: 7, Tag: made.Tag}
	for name, c := range map[string]struct {
		roll Roll
		keys []Key
		want bool
	}{
		"free":      {Roll{Old: []Key{other}, DSSeen: []DS{{Tag: other.Tag}}, Foreign: dnskeysOf(other)}, []Key{made, other}, false},
		"a key":     {Roll{}, []Key{made, same}, true},
		"old, gone": {Roll{Old: []Key{same}}, []Key{made}, true},
		"a DS":      {Roll{DSSeen: []DS{{Tag: 1}, {Tag: made.Tag}}}, nil, true},
		"foreign":   {Roll{Foreign: dnskeysOf(other, made)}, nil, true},
	} {
		if got := c.roll.collides(made, c.keys); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The order in which a change by hand is undone: what signs and shows comes first.
func TestHowAChangeByHandIsUndone(t *testing.T) {
	a, b, c := aKey(1, KSK), aKey(2, KSK), aKey(3, ZSK)
	expected := []Key{a, state(b, ""), state(c, "P")}
	for name, x := range map[string]struct {
		found []Key
		want  []Command
	}{
		"nothing": {expected, nil},
		"all at once": {[]Key{aKey(8, ZSK), state(aKey(9, ZSK), "P"), state(b, "AP"), state(c, ""), state(a, "")},
			[]Command{{VerbPublish, state(c, "")}, {VerbPublish, state(a, "")}, {VerbActivate, state(a, "")},
				{VerbDeactivate, aKey(8, ZSK)}, {VerbDeactivate, state(b, "AP")}, {VerbRemove, state(aKey(9, ZSK), "P")}, {VerbUnpublish, state(b, "AP")}}},
	} {
		if got := undoing(expected, x.found); !slices.Equal(got, x.want) {
			t.Errorf("%s: %v\nexpected %v", name, got, x.want)
		}
	}
	for verb, says := range map[Verb]string{
		VerbDeactivate: "after every parent server has shown the DS", VerbRemove: "only after the largest TTL", VerbUnpublish: "twice the largest TTL", VerbActivate: "",
	} {
		if got := caution(Command{Verb: verb}); !strings.Contains(got, says) || says == "" && got != "" {
			t.Errorf("%s: %q", verb, got)
		}
	}
}

// What helps when a key is lost: taking it back where old still signs, and else
// the backup.
func TestWhatHelpsWhenAKeyIsLost(t *testing.T) {
	old, fresh := aKey(1, KSK), aKey(2, KSK)
	explain := func(c Command) string { return string(c.Verb) }
	r := Roll{Zone: "example.com.", Type: "ksk", Kind: "ksk/double-ds", Old: []Key{old}, New: []Key{fresh}, Steps: []StepRecord{{Step: "publish"}}}
	later := r
	later.Steps = append(later.Steps, StepRecord{Step: "switch"})
	for name, c := range map[string]struct {
		roll            Roll
		expected, found []Key
		says            string
	}{
		"new":          {r, []Key{old, fresh}, []Key{old}, "the old key still signs"},
		"old":          {r, []Key{old, fresh}, []Key{fresh}, "restore key"},
		"new, later":   {later, []Key{old, fresh}, []Key{old}, "restore key"},
		"never made":   {r, []Key{old, {}}, []Key{old}, "look with `pdnsutil show-zone example.com.`"},
		"changed back": {r, []Key{old}, []Key{state(old, "P")}, "undo it, in this order: activate; then: rollover resume --zone example.com."},
		"in order":     {r, []Key{old}, []Key{state(old, ""), state(fresh, "")}, "publish; activate; remove (if it has signed"},
	} {
		if got := c.roll.remedyForKeys(c.expected, c.found, explain); !strings.Contains(got, c.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Until when a rollover can be taken back.
func TestUntilWhenARolloverIsTakenBack(t *testing.T) {
	steps := func(names ...string) (out []StepRecord) {
		for _, n := range names {
			out = append(out, StepRecord{Step: n})
		}
		return out
	}
	for name, c := range map[string]struct {
		roll Roll
		says string
	}{
		"at once":           {Roll{Kind: "ksk/double-ds"}, ""},
		"before the switch": {Roll{Kind: "ksk/double-ds", Steps: steps("publish", "submit"), Intent: &Intent{Step: "submit"}}, ""},
		"begun":             {Roll{Kind: "ksk/double-ds", Intent: &Intent{Step: "switch"}}, `step "switch"`},
		"after":             {Roll{Kind: "ksk/double-ds", Steps: steps("publish", "submit", "switch")}, `step "switch"`},
		"rescued":           {Roll{Kind: "ksk/double-signature", Steps: steps(RescueStep)}, "was rescued"},
		"being rescued":     {Roll{Kind: "ksk/double-ds", Intent: &Intent{Step: RescueStep}}, "was rescued"},
		"back already":      {Roll{Kind: "cancel/ksk"}, "is being taken back already"},
		"unsign":            {Roll{Kind: "unsign/ds-first", Type: "unsign"}, "cannot be cancelled"},
		"unknown":           {Roll{Kind: "ksk/leap"}, "does not have"},
	} {
		err := c.roll.cancellable()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || err != nil && name != "unknown" && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the actions of a step mean for the keys as they are.
func TestTheCommandsOfAStep(t *testing.T) {
	old, fresh, zsk := aKey(1, KSK), aKey(2, KSK), aKey(3, ZSK)
	spec := Key{Flags: FlagsKSK, Algorithm: 13, Bits: 256, Role: KSK}
	begun := Roll{Old: []Key{old}, SpecNew: []Key{spec}, Keys: []Key{old}}
	made := Roll{Old: []Key{old}, New: []Key{fresh, zsk}, SpecNew: []Key{spec}, Keys: []Key{old, fresh, zsk}}
	gone := made
	gone.Keys = []Key{fresh, zsk}
	for name, c := range map[string]struct {
		roll    Roll
		actions []Action
		want    []Command
	}{
		"made, published":    {begun, []Action{Publish(New)}, []Command{{VerbCreate, state(spec, "P")}}},
		"made, signing":      {begun, []Action{Activate(New)}, []Command{{VerbCreate, state(spec, "A")}}},
		"made, then signing": {begun, []Action{Publish(New), Activate(New)}, []Command{{VerbCreate, state(spec, "P")}, {VerbActivate, spec}}},
		"old is not made":    {begun, []Action{Activate(Old)}, []Command{{VerbActivate, old}}},
		"there already":      {made, []Action{Publish(New)}, []Command{{VerbPublish, fresh}, {VerbPublish, zsk}}},
		"the entry point":    {made, []Action{ActivateEntry(New)}, []Command{{VerbActivate, fresh}}},
		"taken away":         {made, []Action{Unpublish(Old), Deactivate(Old), Remove(Old)}, []Command{{VerbUnpublish, old}, {VerbDeactivate, old}, {VerbRemove, old}}},
		"gone already":       {gone, []Action{Deactivate(Old), Remove(Old)}, []Command{{VerbDeactivate, old}}},
		"nobody":             {Roll{SpecNew: []Key{spec}}, []Action{Activate(Old)}, nil},
		"not made, removed":  {begun, []Action{Remove(New)}, []Command{{VerbRemove, spec}}},
		"no keys":            {made, []Action{AskParent(New), Rectify()}, nil},
	} {
		if got := c.roll.commands(Step{Actions: c.actions}); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v\nexpected %v", name, got, c.want)
		}
	}
}
