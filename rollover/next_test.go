package rollover

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func lag(role, name string, bad, unproven bool) Lag {
	return Lag{Server: Server{Role: role, Name: name}, Bad: bad, Unproven: unproven}
}

// Who must act, by which servers lag, and how.
func TestWhoMustAct(t *testing.T) {
	shows := func(name string) ServerSighting {
		return ServerSighting{Server: Server{Role: RoleParent, Name: name}, DS: &DSVersion{}}
	}
	silent := func(name string) ServerSighting {
		return ServerSighting{Server: Server{Role: RoleParent, Name: name}, Unknown: "timed out"}
	}
	child := ServerSighting{Server: Server{Role: RoleChild, Name: "c1"}}
	two := []ServerSighting{child, shows("p1"), shows("p2")}
	for name, c := range map[string]struct {
		lags    []Lag
		servers []ServerSighting
		want    Actor
	}{
		"none":                 {nil, two, ActorCaches},
		"the zone's":           {[]Lag{lag(RoleChild, "c1", true, false)}, two, ActorServers},
		"both sides":           {[]Lag{lag(RoleParent, "p1", true, false), lag(RoleChild, "c1", true, false)}, two, ActorServers},
		"one of the parent":    {[]Lag{lag(RoleParent, "p1", true, false)}, two, ActorParent},
		"one, twice":           {[]Lag{lag(RoleParent, "p1", true, false), lag(RoleParent, "p1", false, false)}, two, ActorParent},
		"the whole parent":     {[]Lag{lag(RoleParent, "p1", true, false), lag(RoleParent, "p2", true, false)}, two, ActorYou},
		"one of it is silent":  {[]Lag{lag(RoleParent, "p1", true, false), lag(RoleParent, "p2", false, false)}, []ServerSighting{shows("p1"), silent("p2")}, ActorYou},
		"all of it are silent": {[]Lag{lag(RoleParent, "p1", false, false), lag(RoleParent, "p2", false, false)}, []ServerSighting{silent("p1"), silent("p2")}, ActorParent},
		"unproven":             {[]Lag{lag(RoleParent, "p1", false, true), lag(RoleParent, "p2", false, true)}, two, ActorCaches},
		"unproven, half":       {[]Lag{lag(RoleParent, "p1", false, true), lag(RoleParent, "p2", true, false)}, two, ActorYou},
		"half, unproven":       {[]Lag{lag(RoleParent, "p1", true, false), lag(RoleParent, "p2", false, true)}, two, ActorYou},
	} {
		n := Need{Lagging: c.lags}
		if got := n.actor(Sighting{Servers: c.servers}); got != c.want {
			t.Errorf("%s: %s, expected %s", name, got, c.want)
		}
	}
}

// waiting is a rollover with a statement that two servers have held for some time.
func waiting(first, second Holding) (Roll, Wait, Sighting, Policy) {
	w := Settled(RecordDNSKEY, Has(New))
	r := Roll{Zone: "example.com.", New: []Key{aKey(2, KSK)}, Held: map[string]map[string]Holding{w.Statement.String(): {"a1": first, "a2": second}}}
	s := Sighting{Records: []Record{RecordDNSKEY}, Servers: []ServerSighting{
		{Server: Server{Role: RoleChild, Name: "c1", Address: "a1"}}, {Server: Server{Role: RoleChild, Name: "c2", Address: "a2"}},
		{Server: Server{Role: RoleParent, Name: "p1", Address: "a3"}},
	}}
	return r, w, s, Policy{Factor: 1, Margin: time.Hour}
}

// What is waited for: the servers that do not show it, and the longest time that
// is left on any.
func TestWhatIsWaitedFor(t *testing.T) {
	held := func(d time.Duration) Holding { return Holding{Good: true, Earned: d} }
	silent := Holding{Detail: "timed out", Earned: 2 * time.Hour}
	for name, c := range map[string]struct {
		first, second Holding
		seen          bool // the wait is for this look alone
		courtesy      bool
		record        Record
		want          Need
	}{
		"held": {held(time.Hour), held(2 * time.Hour), false, false, RecordDNSKEY, Need{}},
		"too short": {held(2 * time.Hour), held(59 * time.Minute), false, false, RecordDNSKEY,
			Need{Waits: []string{"settled(DNSKEY has new)"}, Records: []Record{RecordDNSKEY}, Remaining: time.Minute, Anew: true, Hollow: true}},
		"negative": {held(2 * time.Hour), held(-time.Hour), false, false, RecordDNSKEY,
			Need{Waits: []string{"settled(DNSKEY has new)"}, Records: []Record{RecordDNSKEY}, Remaining: time.Hour, Anew: true, Hollow: true}},
		"a short courtesy": {held(2 * time.Hour), held(59 * time.Minute), false, true, RecordDNSKEY, Need{}},
		"silent": {held(2 * time.Hour), silent, false, false, RecordDNSKEY,
			Need{Waits: []string{"settled(DNSKEY has new)"}, Records: []Record{RecordDNSKEY}, Lagging: []Lag{{Detail: "timed out"}}}},
		"gone": {held(2 * time.Hour), Holding{Bad: true, Detail: "has none"}, true, false, RecordDNSKEY,
			Need{Waits: []string{"seen(DNSKEY has new)"}, Records: []Record{RecordDNSKEY}, Lagging: []Lag{{Detail: "has none", Bad: true}}, Gone: true, Hollow: true}},
		"a courtesy gone": {held(2 * time.Hour), Holding{Bad: true, Detail: "has none"}, false, true, RecordDNSKEY,
			Need{Waits: []string{"courtesy seen(DNSKEY has new)"}, Records: []Record{RecordDNSKEY}, Lagging: []Lag{{Detail: "has none", Bad: true}}, Gone: true}},
		"not looked at": {held(2 * time.Hour), held(2 * time.Hour), true, false, RecordDS,
			Need{Waits: []string{"seen(DNSKEY has new)"}, Records: []Record{RecordDNSKEY}, Lagging: []Lag{{Detail: "DNSKEY was not looked at"}}}},
	} {
		r, w, s, p := waiting(c.first, c.second)
		s.Records = []Record{c.record}
		w.Courtesy = c.courtesy
		if c.seen {
			w.Strength = StrengthSeen
		}
		for i := range c.want.Lagging {
			if c.record == RecordDNSKEY {
				c.want.Lagging[i].Server = s.Servers[1].Server
			}
		}
		var got Need
		for range 2 { // each once
			got.watch(&r, w, Ledger{}, s, p)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v\nexpected %+v", name, got, c.want)
		}
	}
}

// What a DS has to do with the zone's own servers is not hollow.
func TestHollowIsOfTheZone(t *testing.T) {
	w := Settled(RecordDS, Has(New))
	r := Roll{Held: map[string]map[string]Holding{w.Statement.String(): {"p1": {Bad: true}}}}
	s := Sighting{Records: []Record{RecordDS}, Servers: []ServerSighting{{Server: Server{Role: RoleParent, Name: "p1"}}}}
	var n Need
	if n.watch(&r, w, Ledger{}, s, Policy{Factor: 1, Margin: time.Hour}); !n.Gone || !n.Anew || n.Hollow {
		t.Errorf("need %+v", n)
	}
}

// Nobody to ask is nobody who agrees.
func TestNobodyLagsOnlyIfSomebodyWasAsked(t *testing.T) {
	r, w, s, _ := waiting(Holding{Good: true}, Holding{Good: true})
	if lags := r.lagging(w.Statement, s); len(lags) != 0 {
		t.Errorf("%+v lag", lags)
	}
	s.Servers = s.Servers[2:]
	if lags := r.lagging(w.Statement, s); len(lags) != 1 || lags[0].Role != RoleChild || lags[0].Detail != "no server could be asked" {
		t.Errorf("%+v lag", lags)
	}
}

// The largest TTL without the statement, in each circumstance.
func TestTheTTLThatIsWaitedFor(t *testing.T) {
	has := &KeyVersion{Keys: dnskeysOf(aKey(2, KSK))}
	r, w, s, p := waiting(Holding{Good: true}, Holding{Good: true})
	entry := func(record Record, ttl uint32, v *KeyVersion) LedgerEntry {
		return LedgerEntry{Record: record, TTL: ttl, DNSKEY: v}
	}
	for name, c := range map[string]struct {
		entries []LedgerEntry
		want    time.Duration
	}{
		"nothing":        {nil, time.Hour},
		"without":        {[]LedgerEntry{entry(RecordDNSKEY, 60, &KeyVersion{}), entry(RecordDNSKEY, 30, &KeyVersion{}), entry(RecordDNSKEY, 600, has)}, time.Hour + time.Minute},
		"with alone":     {[]LedgerEntry{entry(RecordDNSKEY, 300, has), entry(RecordDNSKEY, 600, has), entry(RecordDNSKEY, 60, has)}, time.Hour + 10*time.Minute},
		"another record": {[]LedgerEntry{entry(RecordDS, 600, nil), entry(RecordDNSKEY, 60, &KeyVersion{})}, time.Hour + time.Minute},
	} {
		if got := r.left(w.Statement, Ledger{Entries: c.entries, ZoneTTL: 9000}, s, p); got != c.want {
			t.Errorf("%s: %s, expected %s", name, got, c.want)
		}
	}
	l := Ledger{Entries: []LedgerEntry{entry(RecordData, 60, nil)}, ZoneTTL: 9000}
	if got := l.largest(RecordData, func(LedgerEntry) bool { return false }); got != 9000*time.Second {
		t.Errorf("data: %s", got)
	}
	l.ZoneTTL = 30
	if got := l.largest(RecordData, func(LedgerEntry) bool { return false }); got != time.Minute {
		t.Errorf("data with a larger TTL than any of the zone's records: %s", got)
	}
}

// lending is a KSK rollover after its switch: new signs alone.
func lending() (Kind, Roll, Sighting) {
	old, fresh, zsk := aKey(1, KSK), aKey(2, KSK), aKey(3, ZSK)
	old.Active = false
	r := Roll{Zone: "example.com.", Kind: "ksk/double-ds", Old: []Key{old}, New: []Key{fresh}, Keys: []Key{old, fresh, zsk}}
	s := Sighting{Records: []Record{RecordDS}, Servers: []ServerSighting{
		{Server: Server{Role: RoleParent, Name: "p1"}}, {Server: Server{Role: RoleParent, Name: "p2"}, DS: &DSVersion{Set: []DS{dsRecord(old, 2)}}},
	}}
	return kindOf("ksk/double-ds"), r, s
}

// The parent shows the DS of a side that does not sign, and that alone.
func TestWhenASideIsLent(t *testing.T) {
	k, r, s := lending()
	old, fresh := r.Old[0], r.New[0]
	show := func(s *Sighting, set ...DS) { s.Servers[1].DS = &DSVersion{Set: set} }
	for name, c := range map[string]struct {
		change func(k *Kind, r *Roll, s *Sighting)
		want   []Action
	}{
		"old alone":           {func(*Kind, *Roll, *Sighting) {}, []Action{ActivateEntry(Old)}},
		"old by SHA-1":        {func(_ *Kind, _ *Roll, s *Sighting) { show(s, dsRecord(old, 1)) }, []Action{ActivateEntry(Old)}},
		"both":                {func(_ *Kind, _ *Roll, s *Sighting) { show(s, dsRecord(old, 2), dsRecord(fresh, 2)) }, nil},
		"old outranks":        {func(_ *Kind, _ *Roll, s *Sighting) { show(s, dsRecord(old, 4), dsRecord(fresh, 2)) }, []Action{ActivateEntry(Old)}},
		"a stranger outranks": {func(_ *Kind, _ *Roll, s *Sighting) { show(s, dsRecord(old, 2), dsRecord(aKey(9, KSK), 4)) }, []Action{ActivateEntry(Old)}},
		"new outranks":        {func(_ *Kind, _ *Roll, s *Sighting) { show(s, dsRecord(old, 2), dsRecord(fresh, 4)) }, nil},
		"new alone, signs":    {func(_ *Kind, _ *Roll, s *Sighting) { show(s, dsRecord(fresh, 2)) }, nil},
		"none":                {func(_ *Kind, _ *Roll, s *Sighting) { show(s) }, nil},
		"mistyped": {func(_ *Kind, _ *Roll, s *Sighting) {
			show(s, DS{Tag: old.Tag, Algorithm: 13, DigestType: 2, Digest: "AB"})
		}, nil},
		"a kind without":           {func(k *Kind, _ *Roll, _ *Sighting) { k.Rescue = Place{} }, nil},
		"DS not looked at":         {func(_ *Kind, _ *Roll, s *Sighting) { s.Records = []Record{RecordDNSKEY} }, nil},
		"a server of the zone":     {func(_ *Kind, _ *Roll, s *Sighting) { s.Servers[1].Role = RoleChild }, nil},
		"not checked":              {func(_ *Kind, _ *Roll, s *Sighting) { s.Servers[1].Unchecked = "no route" }, nil},
		"signs already":            {func(_ *Kind, r *Roll, _ *Sighting) { r.Keys[0].Active = true }, nil},
		"is not there":             {func(_ *Kind, r *Roll, _ *Sighting) { r.Keys = r.Keys[1:] }, nil},
		"another has its id":       {func(_ *Kind, r *Roll, _ *Sighting) { r.Keys[0].Tag++ }, nil},
		"out of the set, inactive": {func(_ *Kind, r *Roll, _ *Sighting) { r.Keys[0].Published = false }, nil},
		"never published":          {func(_ *Kind, r *Roll, _ *Sighting) { r.Keys[0].Published, r.Keys[0].Active = false, true }, nil},
		"a ZSK is no entry": {func(_ *Kind, r *Roll, s *Sighting) {
			r.Old[0].Role = ZSK
		}, nil},
	} {
		k, r, s := k, r, s
		r.Keys, r.Old, s.Servers = slices.Clone(r.Keys), slices.Clone(r.Old), slices.Clone(s.Servers)
		c.change(&k, &r, &s)
		v, ok := k.rescue(r, 3, s)
		var got []Action
		if v.Enter != nil {
			got = v.Enter.Actions
		}
		if ok != (c.want != nil) || !reflect.DeepEqual(got, c.want) || ok && (v.GoOn != "ksk/double-signature" || v.Enter.Name != RescueStep) {
			t.Errorf("%s: %v %+v", name, ok, v)
		}
	}
}

// What signs, and was taken out of the DNSKEY set by a step, comes back into it;
// what no step has taken out was never in it.
func TestOnlyWhatWasPublishedIsPublishedAgain(t *testing.T) {
	k := kindOf("algorithm/conservative")
	_, r, _ := lending()
	r.Keys[0].Active, r.Keys[0].Published = true, false
	for step, want := range map[string][]Action{"submit": nil, "unpublish": {Publish(Old)}, "retire": {Publish(Old)}} {
		at, err := k.index(step)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.lends(&r, at, Old); !reflect.DeepEqual(got, want) {
			t.Errorf("after %s: %v", step, got)
		}
		if got := k.lends(&r, at, New); got != nil {
			t.Errorf("after %s, new: %v", step, got)
		}
	}
	r.Keys[0].Active = false
	if got := k.lends(&r, len(k.Steps)-1, Old); got != nil {
		t.Errorf("old, which does not sign: %v", got)
	}
	r.Old = append(r.Old, aKey(3, ZSK))
	r.Keys[2].Active = false
	if got := k.lends(&r, len(k.Steps)-1, Old); got != nil {
		t.Errorf("a ZSK, to which no DS points: %v", got)
	}
	if r.pointsTo(Old, []DS{dsRecord(r.Old[1], 2)}) {
		t.Error("the DS of a ZSK counts")
	}
	r.Keys[1].Published = false
	if got := k.lends(&r, len(k.Steps)-1, New); got != nil {
		t.Errorf("new, which no step takes out: %v", got)
	}
}

// Which statements are advanced by a look, and what a look notes.
func TestWhatALookAdvances(t *testing.T) {
	k, r, s := lending()
	at := func(d time.Duration) Instant {
		return Instant{Wall: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(d), Boot: d, BootID: "a"}
	}
	before := map[string]map[string]Holding{"DNSKEY has new": {"c1": {Good: true}}, "DS has new": {"p9": {Good: true}}}
	r.Held, s.At = before, at(time.Minute)
	p := Policy{Evidence: EvidencePlain, MaxGap: time.Hour, Margin: time.Hour, DSDigests: []uint8{2}}
	got := k.look(r, s, p)
	if got.LastGap != 0 || got.LastLook != s.At || len(got.Held["DNSKEY has new"]) != 1 || len(before) != 2 {
		t.Errorf("%+v", got)
	}
	if h := got.Held["DS has new"]; len(h) != 2 || !h["p2"].Bad || h["p1"].Bad {
		t.Errorf("held: %+v", h)
	}
	s.At = at(10 * time.Minute)
	if got = k.look(got, s, p); got.LastGap != 9*time.Minute || !got.Absence.IsZero() {
		t.Errorf("gap %s, absence %+v", got.LastGap, got.Absence)
	}
	s.At = at(5 * time.Hour)
	if got = k.look(got, s, p); got.Absence.Times != 1 {
		t.Errorf("absence %+v", got.Absence)
	}
}

// After a time in which nobody looked everything starts anew.
func TestHoldsAreForgottenWhenNobodyLooked(t *testing.T) {
	_, r, s := lending()
	r.New = r.Old // which the parent shows
	st := Seen(RecordDS, Has(New)).Statement
	base := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) Instant { return Instant{Wall: base.Add(d), Boot: d, BootID: "a"} }
	p := Policy{Evidence: EvidencePlain, MaxGap: time.Hour, Margin: time.Hour, DSDigests: []uint8{2}}
	for later, want := range map[time.Duration]time.Duration{30 * time.Minute: 90 * time.Minute, 2 * time.Hour: 2 * time.Hour, 2*time.Hour + 2: 0} {
		r.Held = map[string]map[string]Holding{st.String(): {"p2": {Good: true, Earned: time.Hour, Since: base, Last: at(0)}}}
		s.At = at(later)
		if got := r.hold(st, s, p)["p2"]; got.Earned != want || !got.Good {
			t.Errorf("%s later: %+v, expected %s", later, got, want)
		}
	}
	r.Held = map[string]map[string]Holding{st.String(): {"p2": {Earned: time.Hour, Since: base, Shown: at(0)}}} // silent in between
	s.At = at(30 * time.Minute)
	if got := r.hold(st, s, p)["p2"]; got.Earned != time.Hour || !got.Since.Equal(base) {
		t.Errorf("after silence: %+v", got)
	}
}

// The steps that a verdict ends with, and what stays under watch.
func TestVerdicts(t *testing.T) {
	old, fresh := aKey(1, ZSK), aKey(2, ZSK)
	k := kindOf("zsk/pre-publish")
	at := Instant{Wall: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), BootID: "a"}
	look := func(keys []Key, signer Key) Sighting {
		return Sighting{At: at, Records: []Record{RecordDNSKEY, RecordData}, Servers: []ServerSighting{{
			Server: Server{Role: RoleChild, Name: "c1"}, DNSKEY: &KeyVersion{Keys: dnskeysOf(keys...), Signers: dnskeysOf(signer)},
			Data: &DataVersion{Signers: dnskeysOf(fresh)},
		}}}
	}
	r := Roll{Zone: "example.com.", Kind: k.Name(), Old: []Key{old}, New: []Key{fresh}, Keys: []Key{old, fresh}}
	p := Policy{Evidence: EvidencePlain, Factor: 1, MaxGap: time.Hour}
	for name, c := range map[string]struct {
		step   string
		s      Sighting
		enter  string
		ending bool
		waits  []string
		block  bool
	}{
		"the beginning":   {"", look([]Key{old}, old), "publish", false, nil, false},
		"not everywhere":  {"publish", look([]Key{old}, old), "", false, []string{"settled(DNSKEY has new)"}, false},
		"everywhere":      {"publish", look([]Key{old, fresh}, old), "switch", false, nil, false},
		"lost again":      {"switch", look([]Key{old}, old), "", false, []string{"settled(DNSKEY has new)"}, false},
		"before the last": {"retire", look([]Key{fresh}, fresh), "finish", true, nil, false},
		"nothing to take": {"retire", look([]Key{old}, old), "", false, []string{"seen(DNSKEY lacks old)"}, false},
		"the end":         {"finish", look([]Key{fresh}, fresh), "", true, nil, false},
		"another version": {"leap", look([]Key{fresh}, fresh), "", false, nil, true},
	} {
		r.Step = c.step
		_, v := k.Next(r, Ledger{}, c.s, p)
		if (v.Enter == nil) != (c.enter == "") || v.Enter != nil && v.Enter.Name != c.enter || v.Ending != c.ending || (v.Block != nil) != c.block {
			t.Errorf("%s: %+v", name, v)
		}
		if (v.Need == nil) != (c.waits == nil) || v.Need != nil && !slices.Equal(v.Need.Waits, c.waits) {
			t.Errorf("%s: need %+v", name, v.Need)
		}
	}
}

// What earlier steps relied on stays under watch while the parent is told what to
// have: what is its own, and courtesies, only before something is taken away.
func TestWhatStaysUnderWatch(t *testing.T) {
	s := Sighting{Records: []Record{RecordDNSKEY, RecordData, RecordDS}, Servers: []ServerSighting{
		{Server: Server{Role: RoleChild, Name: "c1"}}, {Server: Server{Role: RoleParent, Name: "p1"}},
	}}
	for name, c := range map[string]struct {
		kind, step string
		ask        *Ask
		want       []string
	}{
		"nothing is asked": {"ksk/double-ds", "retire", nil, []string{"seen(DNSKEY lacks old)"}},
		"it is asked": {"ksk/double-ds", "retire", &Ask{Sides: []Side{New}},
			[]string{"seen(DNSKEY lacks old)", "settled(DNSKEY has new, signed by new)", "settled(data not signed by old)"}},
		"it takes away": {"ksk/double-ds", "submit", nil,
			[]string{"settled(DS has new)", "courtesy seen(DNSKEY has new)"}},
		"a first DS": {"sign/ds-last", "submit", nil,
			[]string{"seen(DS has new, found secure by validators)", "settled(DNSKEY has new, signed by new)", "settled(data signed by new)"}},
	} {
		k := kindOf(c.kind)
		at, err := k.index(c.step)
		if err != nil {
			t.Fatal(err)
		}
		need := k.unmet(&Roll{Ask: c.ask}, at, Ledger{}, s, Policy{Factor: 1})
		if need == nil || !slices.Equal(need.Waits, c.want) || need.Next != k.Steps[at+1].Name || need.Actor != ActorServers {
			t.Errorf("%s: %+v, expected %q", name, need, c.want)
		}
	}
}

// A wait that holds takes back nothing that another has found.
func TestWhatIsGoneStaysGone(t *testing.T) {
	r, w, s, p := waiting(Holding{Good: true, Earned: 2 * time.Hour}, Holding{Good: true, Earned: 2 * time.Hour})
	n := Need{Gone: true, Anew: true, Hollow: true, Remaining: time.Minute}
	if n.watch(&r, w, Ledger{}, s, p); !n.Gone || !n.Anew || !n.Hollow || n.Remaining != time.Minute || len(n.Waits) != 0 {
		t.Errorf("%+v", n)
	}
}
