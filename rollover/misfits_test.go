package rollover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
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
		{"the tag of old, and another algorithm", "algorithm/conservative", "257 257/15!", 1, func(r *Roll) { r.New[0].Tag++ }, func(r *Roll) look {
			d := stranger(14, 1)
			d.Tag = r.Old[0].Tag
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
