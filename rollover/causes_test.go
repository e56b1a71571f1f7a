package rollover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is to be done, by what is wrong, word for word.
func TestRemediesWordForWord(t *testing.T) {
	one, two, three := Server{RoleChild, "ns1.", "192.0.2.1:53"}, Server{RoleChild, "ns2.", "192.0.2.2:53"}, Server{RoleChild, "ns3.", "192.0.2.3:53"}
	p1, p2 := Server{RoleParent, "p1.", "192.0.2.4:53"}, Server{RoleParent, "p2.", "192.0.2.5:53"}
	ok, bad := func(s Server) ServerState { return ServerState{Server: s, OK: true} }, func(s Server) ServerState { return ServerState{Server: s} }
	routeless := func(s Server) ServerState { return ServerState{Server: s, OK: true, Unchecked: true} }
	serial := func(s Server, n uint32) ServerState { return ServerState{Server: s, OK: true, Serial: n} }
	lag := func(s Server, detail string) Lag { return Lag{Server: s, Detail: detail} }
	still := func(s Server, tag int) Lag {
		return Lag{Server: s, Detail: fmt.Sprintf("still has DNSKEY %d", tag), Bad: true}
	}
	var out strings.Builder
	for _, c := range []struct {
		what    string
		actor   Actor
		servers []ServerState
		lags    []Lag
	}{
		{"one of two is dead", ActorServers, []ServerState{ok(one), bad(two)}, []Lag{lag(two, "timed out")}},
		{"the other has no route", ActorServers, []ServerState{routeless(one), bad(two)}, []Lag{lag(two, "timed out")}},
		{"the other is dead too, and seen", ActorServers, []ServerState{bad(one), bad(two)}, []Lag{lag(two, "timed out")}},
		{"the other lags", ActorServers, []ServerState{ok(one), bad(two)}, []Lag{lag(two, "timed out"), lag(one, "has no DNSKEY 5")}},
		{"the other is the parent's", ActorServers, []ServerState{ok(p1), bad(two)}, []Lag{lag(two, "timed out")}},
		{"one that is well is named, another is dead", ActorServers, []ServerState{ok(one), bad(two), ok(three)}, []Lag{lag(one, "has no DNSKEY 5")}},
		{"one of the parent's is dead", ActorParent, []ServerState{ok(p1), bad(p2)}, []Lag{lag(p2, "timed out")}},
		{"everywhere still", ActorServers, []ServerState{ok(one), ok(two)}, []Lag{still(one, 5), still(two, 5)}},
		{"everywhere but where nobody asks", ActorServers, []ServerState{ok(one), ok(two), routeless(three), ok(p1)}, []Lag{still(one, 5), still(two, 5)}},
		{"on one of two still", ActorServers, []ServerState{ok(one), ok(two)}, []Lag{still(one, 5)}},
		{"each another", ActorServers, []ServerState{ok(one), ok(two)}, []Lag{still(one, 5), still(two, 6)}},
		{"one still, one something else", ActorServers, []ServerState{ok(one), ok(two)}, []Lag{still(one, 5), lag(two, "has no DNSKEY 6")}},
		{"one something else, one still", ActorServers, []ServerState{ok(one), ok(two)}, []Lag{lag(two, "has no DNSKEY 6"), still(one, 5)}},
		{"of the parent still", ActorServers, []ServerState{ok(one)}, []Lag{still(p1, 5)}},
		{"of a key that is published", ActorServers, []ServerState{ok(one)}, []Lag{still(one, 7)}},
		{"of one that is not", ActorServers, []ServerState{ok(one)}, []Lag{still(one, 8)}},
		{"nobody lags", ActorServers, nil, nil},
		{"ahead", ActorServers, []ServerState{serial(one, 7), serial(two, 9)}, []Lag{lag(two, "has no DNSKEY 5")}},
		{"ahead, and not late", ActorServers, []ServerState{serial(one, 9), serial(two, 7)}, []Lag{lag(two, "has no DNSKEY 5")}},
		{"ahead of one that is late too", ActorServers, []ServerState{serial(one, 7), serial(two, 9)}, []Lag{lag(two, "has no DNSKEY 5"), lag(one, "has no DNSKEY 5")}},
		{"two that are well differ", ActorServers, []ServerState{serial(one, 7), serial(three, 9), serial(two, 5)}, []Lag{lag(two, "has no DNSKEY 5")}},
		{"ahead of one without a serial", ActorServers, []ServerState{serial(one, 0), serial(two, 9)}, []Lag{lag(two, "has no DNSKEY 5")}},
		{"late without a serial", ActorServers, []ServerState{serial(one, 4294967295), serial(two, 0)}, []Lag{lag(two, "has no DNSKEY 5")}},
		{"ahead of the parent's", ActorServers, []ServerState{serial(p1, 7), serial(two, 9)}, []Lag{lag(two, "has no DNSKEY 5")}},
		{"the parent's ahead", ActorServers, []ServerState{serial(one, 7), serial(p2, 9)}, []Lag{lag(p2, "has no DS 5")}},
		{"SERVFAIL", ActorServers, []ServerState{bad(one)}, []Lag{lag(one, "SERVFAIL")}},
		{"SERVFAIL of the parent", ActorServers, []ServerState{bad(p1)}, []Lag{lag(p1, "SERVFAIL")}},
		{"lame", ActorServers, []ServerState{bad(one)}, []Lag{lag(one, "lame: not authoritative")}},
		{"NOTAUTH", ActorServers, []ServerState{bad(one)}, []Lag{lag(one, "NOTAUTH")}},
		{"an answer that says REFUSED", ActorServers, []ServerState{ok(one)}, []Lag{{Server: one, Detail: "data is REFUSED", Bad: true}}},
	} {
		r := &Roll{Zone: "example.com.", Servers: c.servers, Keys: []Key{{Tag: 7, Published: true}, {Tag: 8}}}
		fmt.Fprintf(&out, "%s: %s\n", c.what, Need{Actor: c.actor, Lagging: c.lags}.command(r, nil))
	}
	r := &Roll{Zone: "example.com.", Servers: []ServerState{ok(one)}, Strays: Strays{Keys: []DNSKEY{{Flags: 256, Algorithm: 13, PublicKey: "bm9ib2R5"}, {Flags: 256, Algorithm: 13, PublicKey: "AAAA"}}}}
	tag := int(r.Strays.Keys[0].Tag())
	fmt.Fprintf(&out, "a record of two: %s\n", Need{Actor: ActorServers, Lagging: []Lag{still(one, tag)}}.command(r, nil))

	answering := ServerSighting{Server: one, DNSKEY: &KeyVersion{}}
	for _, c := range []struct {
		what  string
		other ServerSighting
	}{
		{"another answers", ServerSighting{Server: two, DNSKEY: &KeyVersion{}}},
		{"another is silent", ServerSighting{Server: two, Unknown: "timed out"}},
		{"another has no route", ServerSighting{Server: two, Unchecked: "no IPv6 route from here", DNSKEY: &KeyVersion{}}},
		{"the parent answers", ServerSighting{Server: p1, DS: &DSVersion{}}},
		{"it answers itself", answering},
	} {
		s := Sighting{Zone: "example.com.", Records: []Record{RecordDNSKEY}, Servers: []ServerSighting{{Server: one, Unknown: "timed out"}, c.other}}
		fmt.Fprintf(&out, "mending, %s: %s\n", c.what, s.mending(ServerSighting{Server: one}, "timed out"))
		fmt.Fprintf(&out, "\tREFUSED: %s\n", s.mending(ServerSighting{Server: one}, "REFUSED"))
	}
	Golden(t, "causes.txt", out.String())
}

// When a zone fails, and when that is over: each look of its sort.
func TestFailingFromLookToLook(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	type state string // of what is remembered: "", "fails: CODE since N until M", "over at N until M"
	all := []Record{RecordDNSKEY, RecordData, RecordDS}
	r, _ := amid("ksk/double-ds", "257 257-", 1)
	key := r.Old[0].DNSKEY()
	set := digestsOf(r.Old[0], 2)
	well := func() Sighting {
		return Sighting{Zone: r.Zone, Records: all, Servers: []ServerSighting{
			{Server: Server{RoleChild, "ns1", "ns1"}, DNSKEY: &KeyVersion{Keys: []DNSKEY{key}, Signers: []DNSKEY{key}, TTL: 600}, Data: &DataVersion{Signers: []DNSKEY{key}, TTL: 600}},
			{Server: Server{RoleParent, "p1", "p1"}, DS: &DSVersion{Set: set, TTL: 600}},
		}}
	}
	ill := map[string]func(*Sighting){
		"":     func(*Sighting) {},
		"set":  func(s *Sighting) { s.Servers[0].DNSKEY.Signers = nil },
		"none": func(s *Sighting) { s.Servers[0].DNSKEY.Keys, s.Servers[0].DNSKEY.Signers = nil, nil },
		"data": func(s *Sighting) { s.Servers[0].Data.Signers = nil },
		"ttl":  func(s *Sighting) { s.Servers[0].Data.TTL = 900000 },
	}
	for _, c := range []struct {
		what  string
		looks []string // what is wrong, and after a slash the records that were looked at; minutes pass between them
		wants []state
		told  int
		noDS  bool
	}{
		{"well", []string{"", ""}, []state{"", ""}, 0, false},
		{"something else", []string{"ttl"}, []state{""}, 0, false},
		{"the set, and over", []string{"set", "set", "", "", "wait", ""}, []state{"fails: chain-broken since 0 until 60", "fails: chain-broken since 0 until 61", "over at 2 until 62", "over at 2 until 62", "over at 2 until 62", ""}, 1, false},
		{"no keys", []string{"none"}, []state{"fails: dnskey-broken since 0 until 60"}, 1, false},
		{"the data, and over", []string{"data", ""}, []state{"fails: data-broken since 0 until 60", "over at 1 until 61"}, 1, false},
		{"again", []string{"set", "", "data"}, []state{"fails: chain-broken since 0 until 60", "over at 1 until 61", "fails: data-broken since 2 until 62"}, 2, false},
		{"the set, and nobody asks the parent", []string{"set", "/keys data"}, []state{"fails: chain-broken since 0 until 60", "fails: chain-broken since 0 until 60"}, 1, false},
		{"the set, and nobody asks for data", []string{"set", "/keys ds"}, []state{"fails: chain-broken since 0 until 60", "over at 1 until 61"}, 1, false},
		{"the data, and nobody asks for them", []string{"data", "/keys ds"}, []state{"fails: data-broken since 0 until 60", "fails: data-broken since 0 until 60"}, 1, false},
		{"the data, and nobody asks the parent", []string{"data", "/keys data"}, []state{"fails: data-broken since 0 until 60", "over at 1 until 61"}, 1, false},
		{"over, and nobody asks", []string{"set", "", "wait", "/keys"}, []state{"fails: chain-broken since 0 until 60", "over at 1 until 61", "over at 1 until 61", ""}, 1, false},
		{"over, and nobody asks, the data", []string{"data", "", "wait", "/keys"}, []state{"fails: data-broken since 0 until 60", "over at 1 until 61", "over at 1 until 61", ""}, 1, false},
		{"nobody validates it", []string{"set", "data"}, []state{"", ""}, 0, true},
	} {
		roll := *r
		roll.DSSeen, roll.Failing = set, nil
		if c.noDS {
			roll.DSSeen = nil
		}
		now := start
		v := &visit{engine: &Engine{Now: func() Instant { return Instant{Wall: now} }}, dossier: Dossier{Zone: r.Zone, Roll: &roll}, roll: &roll, setting: Setting{Policy: DefaultPolicy()}}
		v.setting.Policy.Evidence = EvidencePlain
		v.dossier.Ledger.ZoneTTL = 3600
		minutes := func(at time.Time) int { return int(at.Sub(start) / time.Minute) }
		for i, look := range c.looks {
			wrong, records, some := strings.Cut(look, "/")
			if wrong == "wait" {
				now = now.Add(2 * time.Hour)
				continue
			}
			s := well()
			s.At = Instant{Wall: now}
			ill[wrong](&s)
			if some {
				s.Records = nil
				for word, record := range map[string]Record{"keys": RecordDNSKEY, "data": RecordData, "ds": RecordDS} {
					if strings.Contains(records, word) {
						s.Records = append(s.Records, record)
					}
				}
			}
			v.fails(s)
			got := state("")
			if f := roll.Failing; f != nil && f.Over.IsZero() {
				got = state(fmt.Sprintf("fails: %s since %d until %d", f.Code, minutes(f.Since), minutes(f.Until)))
				if strings.Contains(f.Text, "rollover trace") || f.Text == "" {
					t.Errorf("%s: %q", c.what, f.Text)
				}
			} else if f != nil {
				got = state(fmt.Sprintf("over at %d until %d", minutes(f.Over), minutes(f.Until)))
			}
			if got != c.wants[i] {
				t.Errorf("%s, look %d: %q, expected %q", c.what, i, got, c.wants[i])
			}
			now = now.Add(time.Minute)
		}
		told := len(slices.DeleteFunc(v.events, func(e Event) bool { return e.Event != EventFails }))
		if told != c.told || v.gone != (c.told > 0) {
			t.Errorf("%s: told %d times, gone %v", c.what, told, v.gone)
		}
	}
	var none *StatusFailing
	if none.Sentence() != "" {
		t.Error(none.Sentence())
	}
}
