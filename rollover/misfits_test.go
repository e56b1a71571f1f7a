package rollover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// stranger is a DS of nobody's key.
func stranger(algorithm, digestType uint8) DS {
	return DS{Tag: 4711, Algorithm: algorithm, DigestType: digestType, Digest: strings.Repeat("AB", 32+16*int(digestType/4))}
}

// digestsOf is DS records of a key.
func digestsOf(k Key, types ...uint8) (set []DS) {
	for _, one := range types {
		d, err := k.DNSKEY().DS("example.com.", one)
		if err != nil {
			panic(err) // the key is well-formed
		}
		set = append(set, d)
	}
	return set
}

// amid is a rollover by keys in the words of standing, the first n of which are old.
func amid(kind, words string, n int) (*Roll, Kind) {
	kindType, method, _ := strings.Cut(kind, "/")
	k, err := FindKind(kindType, method)
	if err != nil {
		panic(err) // of the table
	}
	keys, _ := standing(words)
	keys = withRoles(keys)
	return &Roll{Zone: "example.com.", Type: kindType, Method: method, Kind: kind, State: StateActive, Old: keys[:n], New: keys[n:], Keys: keys, Steps: []StepRecord{{Step: k.Steps[0].Name}}}, k
}

// What start would have refused of a zone, for rollovers of every sort, word for word.
func TestMisfits(t *testing.T) {
	foreign := DNSKEY{Flags: FlagsZSK, Algorithm: 13, PublicKey: "bm9ib2R5"}
	other := foreign
	other.Algorithm = 15
	type look struct {
		ds   []DS
		more []DNSKEY // in the DNSKEY set
		only bool     // servers_only
	}
	both := func(sets ...[]DS) []DS { return slices.Concat(sets...) }
	var out strings.Builder
	for _, c := range []struct {
		what, kind, words string
		old               int
		change            func(*Roll)
		look              func(*Roll) look
	}{
		{"nothing", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 2)} }},
		{"a foreign DS of the same sort", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: both(digestsOf(r.Old[0], 2), []DS{stranger(13, 2)})} }},
		{"a foreign DS that is stronger", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: both(digestsOf(r.Old[0], 2), []DS{stranger(13, 4)})} }},
		{"a stronger DS of new, which does not sign", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: both(digestsOf(r.Old[0], 2), digestsOf(r.New[0], 4))} }},
		{"a stronger DS of old, which does not sign", "ksk/double-ds", "257- 257", 1, nil, func(r *Roll) look { return look{ds: both(digestsOf(r.New[0], 2), digestsOf(r.Old[0], 4))} }},
		{"old has another type than is asked for", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 4)} }},
		{"old has SHA-1 too", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 1, 2)} }},
		{"the same, and a stronger one of nobody", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: both(digestsOf(r.Old[0], 1), []DS{stranger(13, 4)})} }},
		{"the same, when new signs too", "ksk/double-rrset", "257 257", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 4)} }},
		{"the same, when old signs no more", "ksk/double-ds", "257- 257", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 4)} }},
		{"the same, when nobody signs", "ksk/double-ds", "257- 257-", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 4)} }},
		{"the same, before there is a new key", "ksk/double-ds", "257", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 4)} }},
		{"the same, of a ZSK", "zsk/pre-publish", "256 256-", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 4)} }},
		{"the same, on the way back", "cancel/ksk", "257 257-", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 4)} }},
		{"no DS of old", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.New[0], 4)} }},
		{"a conversion whose new ZSK signs", "csk/convert-double-ds", "257 257- 256", 1, func(r *Roll) { r.Old[0].Role, r.New[0].Role, r.New[1].Role = CSK, KSK, ZSK }, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 4)} }},
		{"an algorithm rollover, another type", "algorithm/conservative", "257 257/15!", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 4)} }},
		{"a foreign DS of the algorithm that leaves", "algorithm/conservative", "257 257/15!", 1, nil, func(r *Roll) look { return look{ds: both(digestsOf(r.Old[0], 2), []DS{stranger(13, 2)})} }},
		{"one of that which comes", "algorithm/conservative", "257 257/15!", 1, nil, func(r *Roll) look { return look{ds: both(digestsOf(r.Old[0], 2), []DS{stranger(15, 1)})} }},
		{"both on the way back", "cancel/algorithm", "257 257/15!", 1, func(r *Roll) { r.Type = "algorithm" }, func(r *Roll) look {
			return look{ds: both(digestsOf(r.Old[0], 2), digestsOf(r.New[0], 2), []DS{stranger(13, 2), stranger(15, 2)})}
		}},
		{"a mistyped DS of old", "algorithm/conservative", "257 257/15!", 1, nil, func(r *Roll) look {
			d := stranger(13, 2)
			d.Tag = r.Old[0].Tag
			return look{ds: both(digestsOf(r.Old[0], 2), []DS{d})}
		}},
		{"the tag of old, and another algorithm", "algorithm/conservative", "257 257/15!", 1, nil, func(r *Roll) look {
			d := stranger(14, 1)
			d.Tag = r.Old[0].Tag
			return look{ds: both(digestsOf(r.Old[0], 2), []DS{d})}
		}},
		{"the tag of new, and the algorithm of old", "algorithm/conservative", "257 257/15!", 1, nil, func(r *Roll) look {
			d := stranger(13, 1)
			d.Tag = r.New[0].Tag
			return look{ds: both(digestsOf(r.Old[0], 2), []DS{d})}
		}},
		{"a foreign key of the algorithm that leaves", "algorithm/conservative", "257 257/15", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 2), more: []DNSKEY{foreign}} }},
		{"one of that which comes, too", "algorithm/conservative", "257 257/15", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 2), more: []DNSKEY{other}} }},
		{"a foreign key otherwise", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 2), more: []DNSKEY{foreign}} }},
		{"a second provider that nobody asks", "zsk/pre-publish", "256 256-", 1, nil, func(*Roll) look { return look{more: []DNSKEY{foreign}, only: true} }},
		{"one that is asked", "zsk/pre-publish", "256 256-", 1, nil, func(*Roll) look { return look{more: []DNSKEY{foreign}} }},
		{"none", "zsk/pre-publish", "256 256-", 1, nil, func(*Roll) look { return look{only: true} }},
		{"the KSK alone", "ksk/double-ds", "257 257-", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 2), more: []DNSKEY{foreign}, only: true} }},
		{"with unsign", "unsign/ds-first", "257", 1, nil, func(r *Roll) look { return look{ds: digestsOf(r.Old[0], 2), more: []DNSKEY{foreign}, only: true} }},
		{"with sign", "sign/ds-last", "257", 0, nil, func(*Roll) look { return look{more: []DNSKEY{foreign}, only: true} }},
		{"a DS before it was asked for", "sign/ds-last", "257", 0, nil, func(r *Roll) look { return look{ds: []DS{stranger(13, 2)}} }},
		{"that of new", "sign/ds-last", "257", 0, nil, func(r *Roll) look { return look{ds: digestsOf(r.New[0], 2)} }},
		{"after it was asked for", "sign/ds-last", "257", 0, func(r *Roll) { r.Ask = &Ask{Sides: []Side{New}} }, func(r *Roll) look { return look{ds: digestsOf(r.New[0], 2)} }},
		{"before the first step", "sign/ds-last", "257", 0, func(r *Roll) { r.Steps = nil }, func(r *Roll) look { return look{ds: digestsOf(r.New[0], 2)} }},
		{"when it is taken back", "cancel/sign", "257", 0, func(r *Roll) { r.Type = "sign" }, func(r *Roll) look { return look{ds: digestsOf(r.New[0], 2)} }},
		{"none at all", "sign/ds-last", "257", 0, nil, func(*Roll) look { return look{} }},
	} {
		r, kind := amid(c.kind, c.words, c.old)
		if c.change != nil {
			c.change(r)
		}
		seen := c.look(r)
		set := KeyVersion{Keys: slices.Clone(seen.more)}
		for _, k := range r.Keys {
			if k.Published {
				set.Keys = append(set.Keys, k.DNSKEY())
			}
			if k.Active && k.Role.SignsKeys() {
				set.Signers = append(set.Signers, k.DNSKEY())
			}
		}
		s := Sighting{Zone: r.Zone, Servers: []ServerSighting{
			{Server: Server{RoleChild, "ns1", "ns1"}, DNSKEY: &set}, {Server: Server{RoleChild, "ns2", "ns2"}, DNSKEY: &set}, {Server: Server{RoleChild, "ns3", "ns3"}, Unknown: "timed out"},
			{Server: Server{RoleParent, "p1", "p1"}, DS: &DSVersion{Set: seen.ds}}, {Server: Server{RoleParent, "p2", "p2"}, Unknown: "timed out"},
		}}
		fmt.Fprintln(&out, c.kind+": "+c.what)
		for _, m := range r.misfits(kind, s, Setting{Policy: DefaultPolicy(), ServersOnly: seen.only}) {
			fmt.Fprintf(&out, "\t%s %s, holds %v: %v\n", m.Severity, m.Code, m.Holds, m)
		}
	}
	Golden(t, "misfits.txt", out.String())
}

// A finding names its server by its side, if it has one.
func TestMisfitsNameTheirServer(t *testing.T) {
	for server, want := range map[Server]string{
		{}: "", {Role: RoleChild}: "", {Address: "a"}: (Server{Address: "a"}).String(), {Role: RoleParent, Name: "p", Address: "a"}: "parent " + (Server{Name: "p", Address: "a"}).String(),
	} {
		if got := misfit(FindingCDS, server, "", "", false).Server; got != want {
			t.Errorf("%+v is %q, expected %q", server, got, want)
		}
		e := examination{}
		e.add(FindingCDS, SeverityWarning, server, "", "")
		if got := e.findings[0].Server; got != want {
			t.Errorf("%+v is %q, expected %q", server, got, want)
		}
	}
}

// A DS of the tag and algorithm of a key that some server shows, or a rollover has, is
// no stranger's; nor is any told of where no server follows the set.
func TestStrangeDS(t *testing.T) {
	keys, set := standing("257*")
	k := keys[0].DNSKEY()
	shown := &KeyVersion{Keys: []DNSKEY{k}, Signers: []DNSKEY{k}}
	other := Key{Tag: 4711, Algorithm: 13}
	typo := DS{Tag: k.Tag(), Algorithm: 13, DigestType: 2, Digest: "AB"}
	elsewhere := DS{Tag: k.Tag(), Algorithm: 8, DigestType: 2, Digest: "AB"}
	for _, c := range []struct {
		what  string
		set   []DS
		shown *KeyVersion
		known []Key
		want  int
	}{
		{"its own", set, shown, nil, 0},
		{"mistyped", append(slices.Clone(set), typo), shown, nil, 0},
		{"of another algorithm", append(slices.Clone(set), elsewhere), shown, nil, 1},
		{"of nobody", append(slices.Clone(set), stranger(13, 2)), shown, nil, 1},
		{"of a rollover", append(slices.Clone(set), stranger(13, 2)), shown, []Key{other}, 0},
		{"of a rollover, by its tag alone", append(slices.Clone(set), stranger(14, 2)), shown, []Key{other}, 1},
		{"of nobody, beside another key of its algorithm", append(slices.Clone(set), stranger(13, 2)), shown, []Key{{Tag: 1, Algorithm: 13}}, 1},
		{"alone", []DS{stranger(13, 2)}, shown, nil, 0},
		{"nobody shows keys", append(slices.Clone(set), stranger(13, 2)), nil, nil, 0},
	} {
		s := Sighting{Zone: "example.com.", Servers: []ServerSighting{
			{Server: Server{RoleChild, "ns1", "ns1"}, DNSKEY: c.shown}, {Server: Server{RoleParent, "p1", "p1"}, DS: &DSVersion{Set: c.set}}, {Server: Server{RoleParent, "p2", "p2"}},
		}}
		got := strangeDS(s, c.known)
		if len(got) != c.want || len(got) > 0 && (got[0].Severity != SeverityWarning || got[0].Server == "") {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// What a strict validator makes of the digest types of a DS set.
func TestDigestTypesThatCount(t *testing.T) {
	r, _ := amid("ksk/double-ds", "257 257-", 1)
	old, young := r.Old[0], r.New[0]
	both := func(sets ...[]DS) []DS { return slices.Concat(sets...) }
	for _, c := range []struct {
		what                string
		set                 []DS
		asked               []uint8
		outranked, other    string // of new; empty: it says nothing
		overshadows, behind bool   // new overshadows old, and old new
	}{
		{"none", nil, []uint8{2}, "", "", false, false},
		{"one type of each", both(digestsOf(old, 2), digestsOf(young, 2)), []uint8{2}, "", "", false, false},
		{"old alone", digestsOf(old, 2), []uint8{2}, "weaker digest type than DS", "", false, true},
		{"old has a stronger one", both(digestsOf(old, 4), digestsOf(young, 2)), []uint8{2}, "weaker digest type than DS", "", false, true},
		{"new has a stronger one", both(digestsOf(old, 2), digestsOf(young, 4)), []uint8{2}, "", "digest type 4: set ds_digests, or ask for type 2", true, false},
		{"new has that too", both(digestsOf(old, 2), digestsOf(young, 2, 4)), []uint8{2, 4}, "", "", true, false},
		{"one of nobody", []DS{stranger(13, 4)}, []uint8{2}, "weaker digest type than DS", "", false, false},
		{"a type that nobody knows", []DS{stranger(13, 200)}, []uint8{2}, "", "", false, false},
	} {
		if got := outranked(young, r.Zone, c.set); (got != "") != (c.outranked != "") || !strings.Contains(got, c.outranked) {
			t.Errorf("%s: %q", c.what, got)
		}
		if got := otherType(young, r.Zone, c.set, c.asked); (got != "") != (c.other != "") || !strings.Contains(got, c.other) {
			t.Errorf("%s: %q", c.what, got)
		}
		if got := r.overshadowed(Old, New, c.set); got != c.overshadows {
			t.Errorf("%s: new overshadows old: %v", c.what, got)
		}
		if got := r.overshadowed(New, Old, c.set); got != c.behind {
			t.Errorf("%s: old overshadows new: %v", c.what, got)
		}
	}
	r.DSSeen = digestsOf(young, 2)
	if got := r.missed(Old); !strings.Contains(got, "has the DS of the old key with a stronger digest type than that of the new one") {
		t.Error(got)
	}
	r.DSSeen = digestsOf(old, 2)
	if got := r.missed(Old); !strings.Contains(got, "has the DS of the old key without that of the new one") {
		t.Error(got)
	}
}

// What is unfit is dated by the look that first showed it, told once, and over when a
// look shows that: not while the server that showed it is silent, and what the key list
// showed is over by the key list alone.
func TestMisfitsFromLookToLook(t *testing.T) {
	r, kind := amid("algorithm/conservative", "257 257/15!", 1)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	e := &Engine{Now: func() Instant { return Instant{Wall: now} }}
	v := &visit{engine: e, dossier: Dossier{Zone: r.Zone, Roll: r}, roll: r, setting: Setting{Policy: DefaultPolicy()}}
	v.setting.Policy.Evidence = EvidencePlain
	begun := now
	look := func(answers bool, set ...DS) (events []string) {
		p1 := ServerSighting{Server: Server{RoleParent, "p1", "p1"}}
		if p1.Unknown = "timed out"; answers {
			p1.Unknown, p1.DS = "", &DSVersion{Set: append(digestsOf(r.Old[0], 2), set...)}
		}
		keys := &KeyVersion{Keys: []DNSKEY{r.Old[0].DNSKEY()}, Signers: []DNSKEY{r.Old[0].DNSKEY()}}
		now = now.Add(time.Minute)
		v.events = nil
		v.watch(kind, Sighting{Zone: r.Zone, At: Instant{Wall: now}, Servers: []ServerSighting{{Server: Server{RoleChild, "ns1", "ns1"}, DNSKEY: keys}, p1, {Server: Server{RoleParent, "p2", "p2"}, Unknown: "timed out"}}})
		for _, event := range v.events {
			events = append(events, event.Event)
		}
		return events
	}
	step := Step{Actions: []Action{{Verb: remove, Sides: []Side{Old}}}}
	says := func(what string, got, want []string, misfits int, holds bool) {
		t.Helper()
		if !slices.Equal(got, want) || len(v.dossier.Misfits) != misfits || r.Unfit != holds {
			t.Errorf("%s: told %q, %+v, unfit %v", what, got, v.dossier.Misfits, r.Unfit)
		}
		if need := v.heldBack(step); (need != nil) != holds || holds && (len(need.Findings) != 1 || need.Actor != ActorYou) {
			t.Errorf("%s: it is held back by %+v", what, need)
		}
		if need := v.heldBack(Step{Actions: []Action{{Verb: askParent, Sides: []Side{Old, New}}}}); (need != nil) != holds {
			t.Errorf("%s: what asks the parent is held back by %+v", what, need)
		}
		if need := v.heldBack(Step{Actions: []Action{{Verb: publish, Sides: []Side{New}}}}); need != nil {
			t.Errorf("%s: what only adds is held back by %+v", what, need)
		}
	}
	says("nothing", look(true), nil, 0, false)
	says("a DS of nobody", look(true, stranger(13, 2)), []string{EventUnfit}, 1, true)
	says("it is so", look(true, stranger(13, 2)), nil, 1, true)
	if since := v.dossier.Misfits[0].Since; !since.Equal(begun.Add(2 * time.Minute)) {
		t.Errorf("it is so since %s", since)
	}
	says("nobody knows better", look(false), nil, 1, true)
	says("it is so", look(true, stranger(13, 2)), nil, 1, true)
	says("it is over", look(true), []string{EventFit}, 0, false)

	harmless := misfit(FindingCDS, Server{}, "CDS", "", false)
	v.dossier.Misfits = []Misfit{harmless}
	says("of the key list", look(true), nil, 1, false)
	says("and one of the parent", look(true, stranger(13, 2)), []string{EventUnfit}, 2, true)
	d := v.dossier
	if words := d.misfitting(); len(words) != 2 || !strings.HasPrefix(words[0], "since 2026-11-23T12:") {
		t.Errorf("it tells %q", words)
	}
	r.State = StateDone
	if words := d.misfitting(); len(words) != 0 || len(d.keys()) != 0 {
		t.Errorf("of one that is done it tells %q", words)
	}
	r.State = StateActive
	if len(d.keys()) == 0 || (Dossier{}).keys() != nil || (Dossier{}).unfitness() != nil {
		t.Errorf("keys are %v", d.keys())
	}
}

// CDS records that PowerDNS makes while the parent is asked otherwise hold every step,
// told once, until they are gone; a rescue, a first signing, and a parent that follows
// them are not held.
func TestCDSRecordsHoldEachStep(t *testing.T) {
	served, none := map[string][]string{"PUBLISH-CDS": {"2"}}, map[string][]string(nil)
	for _, c := range []struct {
		what, kind string
		change     func(*visit)
		meta       map[string][]string
		goes       bool
		events     []string
	}{
		{"by hand", "ksk/double-ds", nil, served, false, []string{EventUnfit}},
		{"again", "ksk/double-ds", func(v *visit) {
			v.publishes(Inventory{Zone: "example.com.", Metadata: served}, Step{Name: "submit"})
			v.events = nil
		}, served, false, nil},
		{"no more", "ksk/double-ds", func(v *visit) {
			v.publishes(Inventory{Zone: "example.com.", Metadata: served}, Step{Name: "submit"})
			v.events = nil
		}, none, true, []string{EventFit}},
		{"none", "ksk/double-ds", nil, none, true, nil},
		{"a ZSK", "zsk/pre-publish", nil, served, true, nil},
		{"a parent that follows", "ksk/double-ds", func(v *visit) { v.setting.Policy.CDS = true }, served, true, nil},
		{"a rescue", "ksk/double-ds", func(v *visit) { v.entering.GoOn = "the parent did something else" }, served, true, nil},
		{"one that follows, to nothing", "ksk/double-ds", func(v *visit) { v.setting.Policy.CDS = true }, map[string][]string{"PUBLISH-CDS": {"0"}}, true, nil},
		{"a first signing", "sign/ds-last", nil, served, true, nil},
		{"another version's", "ksk/double-ds", func(v *visit) { v.roll.Kind = "ksk/magic" }, served, true, nil},
	} {
		r, _ := amid(c.kind, "257 257-", 1)
		other := misfit(FindingForeign, Server{}, "a DS of nobody", "", true)
		v := &visit{engine: &Engine{Now: func() Instant { return Instant{} }}, dossier: Dossier{Zone: r.Zone, Roll: r, Misfits: []Misfit{other}}, roll: r, setting: Setting{Policy: DefaultPolicy()}}
		if c.change != nil {
			c.change(v)
		}
		r.Need, r.Phase = nil, ""
		goes := v.publishes(Inventory{Zone: r.Zone, Metadata: c.meta}, Step{Name: "submit"})
		var events []string
		for _, e := range v.events {
			events = append(events, e.Event)
		}
		want := 1
		if !c.goes {
			want = 2
		}
		if goes != c.goes || !slices.Equal(events, c.events) || len(v.dossier.Misfits) != want {
			t.Errorf("%s: goes on %v, told %q, misfits %+v", c.what, goes, events, v.dossier.Misfits)
		}
		if held := r.Need != nil && r.Need.Next == "submit" && len(r.Need.Findings) == 1 && r.Need.Actor == ActorYou && r.Phase == PhaseHolding; held == c.goes {
			t.Errorf("%s: need %+v, phase %s", c.what, r.Need, r.Phase)
		}
		if !c.goes && (v.dossier.Misfits[1].Code != FindingCDS || strings.HasPrefix(v.dossier.Misfits[1].Text, ErrRefused.Error())) {
			t.Errorf("%s: %+v", c.what, v.dossier.Misfits[1])
		}
	}
}

// Algorithms that validators verify, all of them.
func TestCheckedAlgorithms(t *testing.T) {
	for a := range 256 {
		if got := checkedAlgorithm(uint8(a)); got != slices.Contains([]int{8, 10, 13, 14, 15}, a) {
			t.Errorf("algorithm %d: %v", a, got)
		}
	}
}

// A zone as pdnsutil prints it; the root has nothing but its dot.
func TestBareNames(t *testing.T) {
	for zone, want := range map[string]string{"example.com.": "example.com", ".": "."} {
		if got := bare(zone); got != want {
			t.Errorf("%s: %q", zone, got)
		}
	}
}
