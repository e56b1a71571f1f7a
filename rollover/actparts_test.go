package rollover

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"
)

// What a command ends at the source: who was published is not, who signed does
// not, and only what the statement speaks of. What never held ends nothing.
func TestWhatACommandEnds(t *testing.T) {
	ksk, zsk, csk := aKey(1, KSK), aKey(2, ZSK), aKey(3, CSK)
	hidden, idle := zsk, zsk
	hidden.Published, idle.Active = false, false
	split := []Key{ksk, zsk}
	gone, unsigned := Statement{RecordDNSKEY, []Property{{lacks, Old}}}, Statement{RecordDNSKEY, []Property{{notSignedBy, Old}}}
	data, there := Statement{RecordData, []Property{{notSignedBy, Old}}}, Statement{RecordDNSKEY, []Property{{has, Old}}}
	ds, two := Statement{RecordDS, []Property{{lacks, Old}}}, Statement{RecordDNSKEY, []Property{{has, New}, {lacks, Old}}}
	dsSigned := Statement{RecordDS, []Property{{notSignedBy, Old}}}
	for _, c := range []struct {
		name   string
		st     Statement
		verb   Verb
		key    Key
		before []Key
		want   bool
	}{
		{"unpublished", gone, VerbUnpublish, zsk, split, true},
		{"removed", gone, VerbRemove, zsk, split, true},
		{"deactivated, still there", gone, VerbDeactivate, zsk, split, false},
		{"published", gone, VerbPublish, zsk, split, false},
		{"was not there", gone, VerbRemove, hidden, []Key{ksk, hidden}, false},
		{"one property of two", two, VerbRemove, zsk, split, true},
		{"another key", gone, VerbRemove, csk, split, false},
		{"it is there", there, VerbRemove, zsk, split, false},
		{"the parent's", ds, VerbRemove, ksk, split, false},
		{"the parent's signatures", dsSigned, VerbRemove, ksk, split, false},
		{"a KSK signs no more", unsigned, VerbDeactivate, ksk, split, true},
		{"a KSK is removed", unsigned, VerbRemove, ksk, split, true},
		{"a KSK is unpublished", unsigned, VerbUnpublish, ksk, split, false},
		{"a ZSK signs no more", data, VerbDeactivate, zsk, split, true},
		{"a ZSK is removed", data, VerbRemove, zsk, split, true},
		{"a ZSK is unpublished", data, VerbUnpublish, zsk, split, false},
		{"it did not sign", data, VerbRemove, idle, []Key{ksk, idle}, false},
		{"a KSK beside a ZSK signs no data", data, VerbDeactivate, ksk, split, false},
		{"a KSK alone signs data", data, VerbDeactivate, ksk, []Key{ksk}, true},
	} {
		r := &Roll{Old: split, New: []Key{csk}, Keys: c.before}
		if got := r.ends(c.st, Command{c.verb, c.key}, c.before); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		was := map[string]map[string]Holding{c.st.String(): {"c1": {Earned: 1}}, "other": {"c1": {Earned: 2}}}
		r.Held = was
		r.restart([]Statement{c.st}, Intent{Commands: []Command{{VerbPublish, csk}, {c.verb, c.key}}, Before: c.before})
		if _, kept := r.Held[c.st.String()]; kept == c.want || r.Held["other"] == nil || len(was) != 2 {
			t.Errorf("%s: kept %v, of %v", c.name, r.Held, was)
		}
	}
}

// A side has the states that its keys have now; of a key that is gone, or whose
// number another key has, the last state stands, without what it did.
func TestASideFollowsTheKeys(t *testing.T) {
	one, two, three := aKey(1, KSK), aKey(2, ZSK), aKey(3, ZSK)
	off := two
	off.Active = false
	bare := off
	bare.Role = ""
	lost := one
	lost.Active, lost.Published = false, false
	other := aKey(9, KSK)
	other.ID, other.Active = three.ID, false
	twin := off
	twin.ID, twin.Active = 8, true // another key with the tag of two
	side := []Key{one, two, three}
	if got, want := current(side, []Key{bare, other, twin}), []Key{lost, off, three}; !slices.Equal(got, want) || side[0] != one {
		t.Errorf("%+v, expected %+v", got, want)
	}
	ksk, zsk, young := aKey(1, ""), aKey(2, ZSK), aKey(3, "")
	zsk.Role, young.Algorithm = "", 15
	specs := []Key{{Flags: FlagsKSK, Algorithm: 13, Role: KSK}, {Flags: FlagsZSK, Algorithm: 13, Role: ZSK}, {Flags: FlagsKSK, Algorithm: 15, Role: CSK}}
	if got := withRole([]Key{ksk, zsk, young}, specs); got[0].Role != KSK || got[1].Role != ZSK || got[2].Role != CSK {
		t.Errorf("%+v", got)
	}
	for want, i := range map[Side][]*Intent{
		Old: {{Commands: []Command{{VerbActivate, lost}}}},
		New: {nil, {}, {Commands: []Command{{VerbActivate, three}}}, {Commands: []Command{{VerbActivate, three}, {VerbActivate, one}}}},
	} {
		for _, one := range i {
			if got := (&Roll{Old: []Key{aKey(1, KSK)}, New: []Key{three}, Intent: one}).lent(); got != want {
				t.Errorf("%+v lends %s, expected %s", one, got, want)
			}
		}
	}
}

// When the next look is due.
func TestWhenTheNextLookIs(t *testing.T) {
	now := time.Unix(1e9, 0)
	for name, c := range map[string]struct {
		moved bool
		need  *Need
		since time.Duration // the step
		want  time.Duration
	}{
		"moved":              {true, &Need{Remaining: time.Minute}, time.Hour, 0},
		"time alone":         {false, &Need{Remaining: time.Minute}, 0, time.Minute},
		"much time":          {false, &Need{Remaining: 24 * time.Hour}, 0, time.Hour},
		"lagging, just now":  {false, &Need{Lagging: []Lag{{}}, Remaining: time.Minute}, 0, 200 * time.Millisecond},
		"lagging, a while":   {false, &Need{Lagging: []Lag{{}}, Remaining: time.Second}, 40 * time.Minute, 10 * time.Minute},
		"lagging, long":      {false, &Need{Lagging: []Lag{{}}}, 48 * time.Hour, time.Hour},
		"nothing, and short": {false, nil, 4 * time.Second, time.Second},
	} {
		e := &Engine{Now: func() Instant { return Instant{Wall: now} }}
		v := &visit{engine: e, roll: &Roll{Need: c.need, StepEnteredAt: now.Add(-c.since)}, moved: c.moved, setting: Setting{Policy: Policy{CheckInterval: time.Hour}}}
		v.schedule()
		if got := v.roll.NextCheck.Sub(now); got != c.want || !v.dirty {
			t.Errorf("%s: %v, expected %v; saved %v", name, got, c.want, v.dirty)
		}
	}
}

// A failure is told when it is new, and once a day; being interrupted is none.
func TestTroubleIsTold(t *testing.T) {
	now := time.Unix(1e9, 0)
	told := func(text string, ago time.Duration) *Trouble {
		return &Trouble{Text: text, Since: now.Add(-ago), ToldAt: now.Add(-ago)}
	}
	for name, c := range map[string]struct {
		err   error
		was   *Trouble
		state State
		want  *Trouble
		told  bool // it was told already
		next  time.Duration
	}{
		"new":         {errors.New("x"), nil, StateActive, told("x", 0), false, time.Hour},
		"another":     {errors.New("x"), told("y", time.Hour), StateActive, told("x", 0), false, time.Hour},
		"the same":    {errors.New("x"), told("x", 24*time.Hour-1), StateActive, told("x", 24*time.Hour-1), true, time.Hour},
		"a day later": {errors.New("x"), told("x", 24*time.Hour), StateActive, told("x", 0), false, time.Hour},
		"interrupted": {context.Canceled, nil, StateActive, nil, false, 0},
		"none":        {nil, told("x", time.Hour), StateActive, told("x", time.Hour), false, -time.Hour},
		"blocked":     {errors.New("x"), nil, StateBlocked, nil, false, -time.Hour},
	} {
		e := &Engine{Now: func() Instant { return Instant{Wall: now} }}
		r := &Roll{Trouble: c.was, State: c.state, NextCheck: now.Add(-time.Hour), Step: "publish"}
		v := &visit{engine: e, roll: r, err: c.err, setting: Setting{Policy: Policy{CheckInterval: time.Hour}}}
		v.account()
		anew := c.want != nil && c.want.ToldAt.Equal(now)
		if !reflect.DeepEqual(r.Trouble, c.want) || v.told != c.told || r.NextCheck.Sub(now) != c.next || anew != (len(v.events) == 1) || v.dirty != (c.next >= 0) {
			t.Errorf("%s: %+v, told %v, next %v, events %v", name, r.Trouble, v.told, r.NextCheck.Sub(now), v.events)
		}
	}
	(&visit{err: errors.New("x")}).account() // a zone without a rollover
}

// Which steps read the records again, and what a larger TTL does to the verdict.
func TestALargerTTLHoldsAStepBack(t *testing.T) {
	kind := kindOf("zsk/pre-publish")
	old, fresh, key := aKey(1, ZSK), aKey(2, ZSK), aKey(3, KSK)
	fresh.Active = false
	step := func(name string) *Step {
		at, err := kind.index(name)
		if err != nil {
			t.Fatal(err)
		}
		return &kind.Steps[at]
	}
	enters := func(name, goOn string) Verdict { return Verdict{Enter: step(name), GoOn: goOn} }
	failed := errors.New("no database")
	for name, c := range map[string]struct {
		verdict     Verdict
		ttl         uint32
		change      func(r *Roll, b *reader, v *visit)
		reads, held bool
		err         error
	}{
		"switch, a larger TTL": {enters("switch", ""), 7200, nil, true, true, nil},
		"switch, the same":     {enters("switch", ""), 3600, nil, true, false, nil},
		"retire, a larger TTL": {enters("retire", ""), 7200, nil, true, true, nil},
		"publish":              {enters("publish", ""), 7200, nil, false, false, nil},
		"a rescue":             {enters("switch", "zsk/pre-publish"), 7200, nil, true, false, nil},
		"nothing to enter":     {Verdict{}, 7200, nil, false, false, nil},
		"no key signs data": {enters("switch", ""), 7200, func(r *Roll, _ *reader, _ *visit) {
			r.Old, r.New, r.SpecNew = []Key{key}, []Key{key}, nil
		}, false, false, nil},
		"the old one signs data": {enters("switch", ""), 3600, func(r *Roll, _ *reader, _ *visit) { r.New, r.SpecNew = nil, nil }, true, false, nil},
		"one to be made does":    {enters("switch", ""), 3600, func(r *Roll, _ *reader, _ *visit) { r.Old, r.New = nil, nil }, true, false, nil},
		"it cannot be read":      {enters("switch", ""), 7200, func(_ *Roll, b *reader, _ *visit) { b.fails = failed }, true, false, failed},
		"failed before":          {enters("switch", ""), 7200, func(_ *Roll, _ *reader, v *visit) { v.err = failed }, false, false, failed},
		"it was long enough": {enters("switch", ""), 7200, func(r *Roll, _ *reader, _ *visit) {
			r.Held = map[string]map[string]Holding{"DNSKEY has new": {"c1": {Good: true, Earned: 100 * time.Hour, Since: time.Unix(1, 0)}}}
		}, true, false, nil},
		"a step of another time": {enters("switch", ""), 7200, func(r *Roll, _ *reader, _ *visit) { r.Step = "leap" }, true, false, nil},
	} {
		b := &reader{ttl: c.ttl}
		at := Instant{Wall: time.Unix(1e9, 0), BootID: "a"}
		before := "publish"
		if c.verdict.Enter != nil && c.verdict.Enter.Name == "retire" {
			before = "switch"
		}
		r := &Roll{Zone: "example.com.", Step: before, Old: []Key{old}, New: []Key{fresh}, SpecNew: []Key{fresh}, Keys: []Key{old, fresh, key}, LastLook: at}
		v := &visit{engine: &Engine{Signer: b, Now: func() Instant { return at }}, roll: r, dossier: Dossier{Zone: r.Zone, Roll: r, Ledger: Ledger{ZoneTTL: 3600}}}
		if c.change != nil {
			c.change(r, b, v)
		}
		sighting := Sighting{At: at, Records: []Record{RecordDNSKEY, RecordData}, Servers: []ServerSighting{{
			Server: Server{Role: RoleChild, Name: "c1", Address: "c1"}, DNSKEY: &KeyVersion{Keys: dnskeysOf(old, fresh, key), Signers: dnskeysOf(key)},
		}}}
		got := v.reread(context.Background(), kind, sighting, c.verdict)
		held := got.Need != nil && got.Enter == nil
		if b.read != c.reads || held != c.held || !errors.Is(v.err, c.err) || !held && !reflect.DeepEqual(got, c.verdict) {
			t.Errorf("%s: read %v, held back %v, %v", name, b.read, held, v.err)
		}
		if strays := r.Strays.Absolute; c.reads && c.err == nil && (!strays || v.dossier.Ledger.ZoneTTL != max(3600, c.ttl)) {
			t.Errorf("%s: the ledger has %d, strays %+v", name, v.dossier.Ledger.ZoneTTL, r.Strays)
		}
	}
}

// A step concerns data when it changes who signs, or when caches must have data.
func TestWhichStepsConcernData(t *testing.T) {
	for name, c := range map[string]struct {
		step Step
		want bool
	}{
		"activate":        {Step{Actions: do{Publish(New), Activate(New)}}, true},
		"activate entry":  {Step{Actions: []Action{{Verb: activateEntry}}}, true},
		"deactivate":      {Step{Actions: do{Deactivate(Old)}}, true},
		"publish, remove": {Step{Actions: do{Publish(New), Unpublish(Old), Remove(Old), AskParent(New)}}, false},
		"data settled":    {Step{Waits: after{Settled(RecordData, SignedBy(New))}}, true},
		"data seen":       {Step{Waits: after{Seen(RecordData, SignedBy(New))}}, false},
		"keys settled":    {Step{Waits: after{Settled(RecordDNSKEY, Has(New))}}, false},
	} {
		if got := c.step.concernsData(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// reader is a signer that shows records.
type reader struct {
	Signer
	ttl   uint32
	fails error
	read  bool
}

func (b *reader) Contents(context.Context, string) (Contents, error) {
	b.read = true
	return Contents{LargestTTL: b.ttl, Strays: Strays{Absolute: true}}, b.fails
}
