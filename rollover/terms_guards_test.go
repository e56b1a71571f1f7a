package rollover

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func careful() *Terms {
	return &Terms{Factor: 2, Margin: time.Hour, MaxGap: time.Hour, Evidence: EvidenceResolver, DSDigests: []int{2}, Driver: "exec", Exclude: []string{"ns1", "ns2"}}
}

// The more careful of what a rollover was started with and what the
// configuration says now holds, for each setting by itself.
func TestTheMoreCarefulHolds(t *testing.T) {
	asStarted := Policy{Factor: 2, Margin: time.Hour, MaxGap: time.Hour, Evidence: EvidenceResolver, DSDigests: []uint8{2}}
	for name, c := range map[string]struct{ now, want func(p *Policy) }{
		"the same":        {func(*Policy) {}, func(*Policy) {}},
		"less factor":     {func(p *Policy) { p.Factor = 1 }, func(*Policy) {}},
		"more factor":     {func(p *Policy) { p.Factor = 3 }, func(p *Policy) { p.Factor = 3 }},
		"less margin":     {func(p *Policy) { p.Margin = 1 }, func(*Policy) {}},
		"more margin":     {func(p *Policy) { p.Margin = 2 * time.Hour }, func(p *Policy) { p.Margin = 2 * time.Hour }},
		"more max_gap":    {func(p *Policy) { p.MaxGap = 2 * time.Hour }, func(*Policy) {}},
		"less max_gap":    {func(p *Policy) { p.MaxGap = 1 }, func(p *Policy) { p.MaxGap = 1 }},
		"weaker evidence": {func(p *Policy) { p.Evidence = EvidencePlain }, func(*Policy) {}},
		"stronger":        {func(p *Policy) { p.Evidence = EvidenceValidated }, func(p *Policy) { p.Evidence = EvidenceValidated }},
		"no evidence":     {func(p *Policy) { p.Evidence = "hearsay" }, func(p *Policy) { p.Evidence = "hearsay" }}, // which proves nothing
		"CDS":             {func(p *Policy) { p.CDS = true }, func(*Policy) {}},
		"digests":         {func(p *Policy) { p.DSDigests = []uint8{4} }, func(*Policy) {}},
	} {
		now, want := asStarted, asStarted
		now.DSDigests, want.DSDigests = []uint8{2}, []uint8{2}
		c.now(&now)
		c.want(&want)
		if got := careful().bind(now); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, expected %+v", name, got, want)
		}
	}
}

// What goes on as it was started is told, each setting by its name, and what is
// more careful is not.
func TestWhatTheConfigurationSaysOtherwise(t *testing.T) {
	says := func(text string) []string {
		return []string{"the configuration says " + text + ", as it was started"}
	}
	for name, c := range map[string]struct {
		now    func(s *Setting)
		urgent bool
		want   []string
	}{
		"the same":       {func(*Setting) {}, false, nil},
		"less factor":    {func(s *Setting) { s.Policy.Factor = 1 }, false, says("factor = 1, and this rollover goes on with 2")},
		"urgent, factor": {func(s *Setting) { s.Policy.Factor = 1 }, true, nil},
		"more factor":    {func(s *Setting) { s.Policy.Factor = 3 }, false, nil},
		"less margin":    {func(s *Setting) { s.Policy.Margin = time.Minute }, false, says("margin = 1m0s, and this rollover goes on with 1h0m0s")},
		"urgent, margin": {func(s *Setting) { s.Policy.Margin = time.Minute }, true, nil},
		"more margin":    {func(s *Setting) { s.Policy.Margin = 2 * time.Hour }, false, nil},
		"more max_gap":   {func(s *Setting) { s.Policy.MaxGap = 2 * time.Hour }, true, says("max_gap = 2h0m0s, and this rollover goes on with 1h0m0s")},
		"less max_gap":   {func(s *Setting) { s.Policy.MaxGap = 1 }, false, nil},
		"evidence":       {func(s *Setting) { s.Policy.Evidence = EvidencePlain }, false, says("evidence = plain, and this rollover goes on with resolver")},
		"more evidence":  {func(s *Setting) { s.Policy.Evidence = EvidenceValidated }, false, nil},
		"digests":        {func(s *Setting) { s.Policy.DSDigests = []uint8{2, 4} }, false, says("ds_digests = [2 4], and this rollover goes on with [2]")},
		"driver":         {func(s *Setting) { s.Driver = "" }, false, says("driver = , and this rollover goes on with exec")},
		"servers only":   {func(s *Setting) { s.ServersOnly = true }, false, says("servers_only = true, and this rollover goes on with false")},
		"excludes less":  {func(s *Setting) { s.Exclude = s.Exclude[:1] }, false, nil},
		"excludes more": {func(s *Setting) { s.Exclude = append(s.Exclude, "ns3") }, false,
			[]string{"the configuration excludes ns3, and this rollover asks it on, as it was started"}},
	} {
		p := careful().bind(Policy{Evidence: EvidencePlain, MaxGap: 2 * time.Hour})
		s := Setting{Policy: p, Driver: "exec", Exclude: []string{"ns1", "ns2"}}
		c.now(&s)
		if got := careful().differs(s, c.urgent); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, expected %q", name, got, c.want)
		}
	}
	only := careful()
	only.ServersOnly = true
	if got := only.differs(Setting{Policy: only.bind(Policy{MaxGap: 1, Evidence: EvidencePlain}), Driver: "exec", ServersOnly: true}, false); got != nil {
		t.Errorf("servers_only from the start: %q", got)
	}
}

type idleRegistrar struct{ name string }

func (idleRegistrar) Submit(context.Context, Change) Answer { return Answer{} }

// The setting of a rollover that runs is the one it was started with, of one that
// has ended, or does not know, that of now.
func TestTheSettingOfARollover(t *testing.T) {
	now := Setting{
		Policy: Policy{Factor: 1}, ServersOnly: true, Exclude: []string{"ns2", "ns3"}, Driver: "nsupdate", Registrar: idleRegistrar{"nsupdate"},
		Drivers: func(name string) Registrar { return idleRegistrar{name} },
	}
	running := &Roll{State: StateActive, Terms: careful()}
	got := now.of(running)
	if got.ServersOnly || !slices.Equal(got.Exclude, []string{"ns2"}) || got.Driver != "exec" || got.Registrar != (idleRegistrar{"exec"}) || got.Policy.Factor != 2 {
		t.Errorf("%+v", got)
	}
	if !slices.Equal(now.Exclude, []string{"ns2", "ns3"}) {
		t.Errorf("the configuration itself was changed: %v", now.Exclude)
	}
	without := now
	without.Drivers = nil
	if got := without.of(running); got.Registrar != nil || got.Driver != "exec" {
		t.Errorf("a driver that is not there any more: %+v", got)
	}
	same := now
	same.Driver, same.Drivers = "exec", nil
	if got := same.of(running); got.Registrar == nil {
		t.Error("the driver that is configured is lost")
	}
	bound := &Roll{State: StateActive, Terms: careful()}
	bound.Terms.ServersOnly = true
	if got := now.of(bound); !got.ServersOnly {
		t.Error("servers_only is lost")
	}
	now.ServersOnly = false
	if got := now.of(bound); got.ServersOnly {
		t.Error("it asks fewer servers than the configuration says")
	}
	for name, r := range map[string]*Roll{"none": nil, "done": {State: StateDone, Terms: careful()}, "cancelled": {State: StateCancelled, Terms: careful()}, "old": {State: StateActive}} {
		if got := now.of(r); got.Driver != "nsupdate" || got.Policy.Factor != 1 || len(got.Exclude) != 2 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, state := range []State{StateActive, StatePaused, StateBlocked} {
		if (&Roll{State: state, Terms: careful()}).terms() == nil {
			t.Errorf("%s: no terms", state)
		}
	}
}

// What was earned under other terms is earned anew; under shorter waits it is not.
func TestWhichTermsEarnAnew(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Terms)
		want   bool
	}{
		"factor":       {func(t *Terms) { t.Factor, t.Margin, t.MaxGap = 1, 0, 0 }, false},
		"evidence":     {func(t *Terms) { t.Evidence = EvidencePlain }, true},
		"driver":       {func(t *Terms) { t.Driver = "" }, true},
		"CDS":          {func(t *Terms) { t.CDS = true }, true},
		"servers only": {func(t *Terms) { t.ServersOnly = true }, true},
		"digests":      {func(t *Terms) { t.DSDigests = []int{2, 4} }, true},
		"exclude":      {func(t *Terms) { t.Exclude = nil }, true},
		"order":        {func(t *Terms) { t.Exclude = []string{"ns2", "ns1"} }, false},
	} {
		now := careful()
		c.change(now)
		if got := careful().anew(now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Better proof has all that the parent has shown earned anew, and nothing else.
func TestBetterProofIsEarnedAnew(t *testing.T) {
	kind := kindOf("ksk/double-ds")
	for name, c := range map[string]struct {
		was, now Evidence
		want     bool
	}{
		"better":  {EvidencePlain, EvidenceValidated, true},
		"a bit":   {EvidencePlain, EvidenceResolver, true},
		"same":    {EvidenceValidated, EvidenceValidated, false},
		"worse":   {EvidenceValidated, EvidencePlain, false},
		"unknown": {"", EvidenceValidated, false},
	} {
		before := map[string]map[string]Holding{"DS has new": {"p": {}}, "DS lacks old": {"p": {}}, "DNSKEY has new": {"c": {}}}
		v := &visit{roll: &Roll{Held: before}, dossier: Dossier{Proof: c.was}, setting: Setting{Policy: Policy{Evidence: c.now}}}
		v.proven(kind)
		if forgotten := len(v.roll.Held) == 1; forgotten != c.want || v.roll.Held["DNSKEY has new"] == nil || v.dossier.Proof != c.now || len(before) != 3 {
			t.Errorf("%s: %v, proof %q", name, v.roll.Held, v.dossier.Proof)
		}
	}
}

// Where the configuration differs is told when that changes, and not again.
func TestDifferencesAreToldWhenTheyChange(t *testing.T) {
	at := Instant{Wall: time.Unix(1e9, 0), BootID: "a"}
	s := Setting{Policy: careful().bind(Policy{MaxGap: time.Hour, Evidence: EvidencePlain}), Driver: "exec"}
	e := &Engine{Now: func() Instant { return at }, Setting: func(string) Setting { return s }}
	r := &Roll{Zone: "example.com.", State: StateActive, Terms: careful()}
	v := &visit{engine: e, roll: r, dossier: Dossier{Zone: r.Zone, Roll: r}}
	round := func() (told int, dirty bool) {
		v.events, v.dirty = nil, false
		v.compare()
		return len(v.events), v.dirty
	}
	expect := func(name string, told int, dirty bool, status int) {
		t.Helper()
		if n, d := round(); n != told || d != dirty || len(r.disagreement()) != status {
			t.Errorf("%s: %d events, dirty %v, status %q", name, n, d, r.disagreement())
		}
	}
	expect("the same", 0, false, 0)
	s.Driver = "nsupdate"
	expect("another driver", 1, true, 2)
	expect("still", 0, false, 2)
	s.ServersOnly = true
	expect("one more", 1, true, 3)
	s.Driver, s.ServersOnly = "exec", false
	expect("as before", 0, true, 0)
	r.Differs, r.State = []string{"x"}, StateDone
	if r.disagreement() != nil {
		t.Error("a rollover that has ended disagrees")
	}
}

// broken is hands and eyes that fail.
type broken struct {
	Signer
	Observer
	Journal
	stored          Dossier
	inventory, look error
	zone            Inventory
	sighting        Sighting
	asked           Question
	saved           []Entry
}

func (b *broken) Inventory(context.Context, string) (Inventory, error) { return b.zone, b.inventory }
func (b *broken) Look(_ context.Context, q Question) (Sighting, error) {
	b.asked = q
	return b.sighting, b.look
}
func (b *broken) Load(string) (Dossier, error) { return b.stored, nil }
func (b *broken) Save(entries ...Entry) error  { b.saved = append(b.saved, entries...); return nil }

// What accept asks first: each failure and each doubt refuses, and changes nothing.
func TestAcceptRefuses(t *testing.T) {
	old, fresh := aKey(1, KSK), aKey(2, KSK)
	fresh.Active = false
	sha := func(types ...uint8) *DSVersion {
		v := &DSVersion{}
		for _, digestType := range types {
			v.Set = append(v.Set, dsRecord(old, digestType))
		}
		return v
	}
	parent := func(v ServerSighting) []ServerSighting {
		v.Server = Server{Role: RoleParent, Name: "p1", Address: "p1"}
		return []ServerSighting{v}
	}
	for name, c := range map[string]struct {
		change func(b *broken, s *Setting)
		is     error
		says   string
	}{
		"accepted":        {func(*broken, *Setting) {}, nil, ""},
		"ended":           {func(b *broken, _ *Setting) { b.stored.Roll.State = StateDone }, ErrRefused, "the next one goes by the configuration"},
		"no terms":        {func(b *broken, _ *Setting) { b.stored.Roll.Terms = nil }, ErrRefused, "does not know what it was started with"},
		"nothing differs": {func(_ *broken, s *Setting) { s.Policy.Margin = time.Hour }, ErrRefused, "there is nothing to take over"},
		"no such kind":    {func(b *broken, _ *Setting) { b.stored.Roll.Kind = "ksk/leap" }, nil, "which this version of rollover does not have"},
		"no inventory":    {func(b *broken, _ *Setting) { b.inventory = errors.New("database is locked") }, nil, "database is locked"},
		"no look":         {func(b *broken, _ *Setting) { b.look = errors.New("no sockets") }, nil, "looking at the name servers of example.com.: no sockets"},
		"driven by CDS":   {func(_ *broken, s *Setting) { s.Policy.CDS = true }, ErrRefused, "CDS"},
		"CDS is served":   {func(b *broken, _ *Setting) { b.zone.Metadata = map[string][]string{"PUBLISH-CDS": {"0"}} }, ErrRefused, "unset-publish-cds"},
		"silent":          {func(b *broken, _ *Setting) { b.sighting.Servers = parent(ServerSighting{Unknown: "timed out"}) }, ErrUnavailable, "timed out: what it shows is needed to tell whether the configuration fits"},
		"not checked": {func(b *broken, _ *Setting) {
			b.sighting.Servers = parent(ServerSighting{Unknown: "x", Unchecked: "no route"})
		}, nil, ""},
		"other digests": {func(_ *broken, s *Setting) { s.Policy.DSDigests = []uint8{4} }, ErrRefused, "at the parent server p1: expected DS records"},
		"other digests, both sign": {func(b *broken, s *Setting) {
			s.Policy.DSDigests = []uint8{4}
			b.stored.Roll.Keys[1].Active = true
		}, nil, ""},
		"a DS of nobody": {func(b *broken, s *Setting) {
			s.Policy.DSDigests = []uint8{4}
			b.sighting.Servers = parent(ServerSighting{DS: &DSVersion{}})
		}, nil, ""},
		"a DS that leads nowhere": {func(b *broken, _ *Setting) { // which a rollover does not stop at
			b.sighting.Servers[0].DS.Set = append(b.sighting.Servers[0].DS.Set, DS{Tag: 4711, Algorithm: 8, DigestType: 2, Digest: "AB"})
			b.sighting.Servers = append(b.sighting.Servers, ServerSighting{
				Server: Server{Role: RoleChild, Name: "c1"}, DNSKEY: &KeyVersion{Keys: dnskeysOf(old), Signers: dnskeysOf(old)}, Data: &DataVersion{},
			})
		}, nil, ""},
		"no DS shown": {func(b *broken, s *Setting) {
			s.Policy.DSDigests = []uint8{4}
			b.sighting.Servers = parent(ServerSighting{})
		}, nil, ""},
	} {
		b := &broken{zone: Inventory{Zone: "example.com.", Kind: KindMaster, Keys: []Key{old, fresh}}}
		r := &Roll{
			ID: "1", Zone: "example.com.", Type: "ksk", Method: "double-ds", Kind: "ksk/double-ds", State: StateActive, Step: "publish", Terms: careful(),
			Old: []Key{old}, New: []Key{fresh}, Keys: []Key{old, fresh}, Held: map[string]map[string]Holding{"DS has new": {}}, Submission: &Submission{},
			NextCheck: time.Unix(2e9, 0), Differs: []string{"x"},
		}
		b.stored = Dossier{Zone: r.Zone, Roll: r}
		b.sighting = Sighting{Zone: r.Zone, Records: []Record{RecordDS}, Servers: parent(ServerSighting{DS: sha(2)})}
		s := Setting{Policy: careful().bind(Policy{MaxGap: time.Hour, Evidence: EvidencePlain}), Driver: "exec", Exclude: careful().Exclude}
		s.Policy.Margin = time.Minute
		c.change(b, &s)
		at := Instant{Wall: time.Unix(1e9, 0), BootID: "a"}
		e := &Engine{Signer: b, Observer: b, Journal: b, Setting: func(string) Setting { return s }, Now: func() Instant { return at }}
		err := e.AcceptPolicy(context.Background(), r.Zone, "I know")
		switch refused := c.is != nil || c.says != ""; {
		case !refused && err != nil:
			t.Errorf("%s: %v", name, err)
		case !refused:
			got := b.saved[0].Dossier.Roll
			if got.Terms.Margin != time.Minute || got.Differs != nil || !got.NextCheck.Equal(at.Wall) || !b.asked.Thorough || len(b.saved[0].Events) != 1 {
				t.Errorf("%s: %+v", name, got)
			}
			if anew := s.Policy.DSDigests[0] != 2; anew != (len(got.Held) == 0 && got.Submission == nil) {
				t.Errorf("%s: earned anew %v, held %v", name, anew, got.Held)
			}
		case err == nil, c.is != nil && !errors.Is(err, c.is), !strings.Contains(err.Error(), c.says), len(b.saved) > 0:
			t.Errorf("%s: %v, %d saved", name, err, len(b.saved))
		}
	}
}
