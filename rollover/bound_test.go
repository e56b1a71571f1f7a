package rollover_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// shapeshifter is the sighting of a server that shows another DNSKEY set, other
// signatures and another DS set in each look.
func shapeshifter(n int, at time.Time) rollover.Sighting {
	key := rollover.DNSKEY{Flags: 257, Algorithm: 13, PublicKey: fmt.Sprintf("key%d", n)}
	keys := rollover.KeyVersion{Keys: []rollover.DNSKEY{key}, TTL: uint32(n), Faults: []rollover.Signature{{Fault: strings.Repeat("x", 1000)}}}
	data := rollover.DataVersion{Traces: []rollover.Signature{{Tag: uint16(n), Algorithm: 13, On: strings.Repeat("y", 200)}}, TTL: uint32(n), Faults: keys.Faults}
	ds := rollover.DSVersion{Set: []rollover.DS{{Tag: uint16(n), Algorithm: 13, DigestType: 2}}, TTL: uint32(n), Standing: &rollover.Standing{Security: rollover.Bogus, Why: strings.Repeat("z", 1000)}}
	return rollover.Sighting{Zone: rollovertest.Zone, At: rollover.Instant{Wall: at}, Records: everyRecord(), Servers: []rollover.ServerSighting{
		{Server: rollover.Server{Role: rollover.RoleChild, Address: "192.0.2.1:53"}, DNSKEY: &keys, Data: &data},
		{Server: rollover.Server{Role: rollover.RoleParent, Address: "192.0.2.2:53"}, DS: &ds},
	}}
}

// A server that shows another version in each look costs the ledger a stated number
// of versions, without words; their TTLs are waited for nevertheless.
func TestLedgerIsBounded(t *testing.T) {
	l := rollover.Ledger{}
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	for n := range 400 {
		ttl := n
		if n > 200 {
			ttl = 400 - n
		}
		l.LearnSighting(shapeshifter(ttl+2000*(n%2), now.Add(time.Duration(n)*time.Second)))
	}
	if n := len(l.Entries); n != 3*16 {
		t.Errorf("%d versions are kept, expected 16 of each record", n)
	}
	raw, err := json.Marshal(l)
	if err != nil || len(raw) > 24<<10 {
		t.Errorf("the ledger has %d octets (%v)", len(raw), err)
	}
	for _, word := range []string{"xx", "yy", "zz"} {
		if strings.Contains(string(raw), word) {
			t.Errorf("texts of a server are kept: %s", word)
		}
	}
	for _, record := range everyRecord() {
		if got := l.Largest(record); got != 2199*time.Second {
			t.Errorf("%s: the largest TTL is %s", record, got)
		}
	}
}

// What some validator may believe stays when a server makes up what none believes.
func TestBelievedVersionsStayLongest(t *testing.T) {
	l := rollover.Ledger{}
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	true1 := shapeshifter(7, now)
	true1.Servers[0].DNSKEY.Signers = true1.Servers[0].DNSKEY.Keys
	true1.Servers[1].DS.Standing.Security = rollover.Secure
	l.LearnSighting(true1)
	for n := range 100 {
		l.LearnSighting(shapeshifter(100+n, now.Add(time.Duration(n+1)*time.Second)))
	}
	keys, sets := 0, 0
	for _, e := range l.Entries {
		if e.DNSKEY != nil && len(e.DNSKEY.Signers) > 0 {
			keys++
		}
		if e.DS != nil && e.DS.Standing.Security == rollover.Secure {
			sets++
		}
	}
	if keys != 1 || sets != 1 {
		t.Errorf("believed versions that are kept: %d DNSKEY, %d DS", keys, sets)
	}
}

// Servers that change with every look cost a stated number of versions in all.
func TestLedgerIsBoundedOverServers(t *testing.T) {
	l := rollover.Ledger{}
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	for n := range 900 {
		s := shapeshifter(n, now.Add(time.Duration(n)*time.Second))
		s.Servers[0].Address, s.Servers[1].Address = fmt.Sprintf("child%d", n), fmt.Sprintf("parent%d", n)
		l.LearnSighting(s)
	}
	if len(l.Entries) > 2048 {
		t.Errorf("%d versions are kept", len(l.Entries))
	}
}

// No TTL that anybody claims is waited for longer than caches keep anything.
func TestNoTTLCountsForLongerThanCachesKeep(t *testing.T) {
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	for ttl, want := range map[uint32]time.Duration{
		3600: time.Hour, 604800: 7 * 24 * time.Hour, 604801: 7 * 24 * time.Hour, math.MaxInt32: 7 * 24 * time.Hour,
		math.MaxInt32 + 1: 7 * 24 * time.Hour, math.MaxUint32: 7 * 24 * time.Hour, // 0 by RFC 2181 section 8, if the cache knows it
	} {
		l := rollover.Ledger{}
		s := shapeshifter(1, now)
		s.Servers[0].Data.TTL = ttl
		l.LearnSighting(s)
		if got := l.Largest(rollover.RecordData); got != want {
			t.Errorf("a TTL of %d counts %s", ttl, got)
		}
	}
	l := rollover.Ledger{ZoneTTL: math.MaxInt32}
	if got := l.Largest(rollover.RecordData); got != 7*24*time.Hour {
		t.Errorf("the zone's own TTL counts %s", got)
	}
}

// A TTL that counts in part only is told, with its server and record and what to type.
func TestTTLThatCountsInPartIsTold(t *testing.T) {
	s := shapeshifter(1, time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC))
	s.Servers[0].DNSKEY.TTL, s.Servers[1].DS.TTL = 604800, 604801
	var told []string
	for _, f := range rollover.Health(s, tight(), rollover.DefaultLimits()) {
		if f.Code == rollover.FindingTTL {
			told = append(told, f.Server+": "+f.Text+" ("+f.Remedy+")")
		}
	}
	want := "parent 192.0.2.2:53: a TTL of 604801 s of DS: rollover waits for 604800 s of it, which is the most that resolvers keep anything" +
		" (lower it, if it is yours; if the server made it up: rollover forget example.com. --record DS --reason WHY)"
	if len(told) != 1 || told[0] != want {
		t.Errorf("%q", told)
	}
}

// So it is in status, and so where a rollover begins, until it is forgotten.
func TestStatusWarnsOfTTLsOfAWeek(t *testing.T) {
	warned := func(ttl uint32) string {
		w := rollovertest.New("split", unequal)
		start(t, w, tight(), rollover.Order{Type: "zsk"})
		d, err := w.Load(rollovertest.Zone)
		if err != nil {
			t.Fatal(err)
		}
		s := shapeshifter(1, w.Now.Wall)
		s.Servers[0].Data.TTL = ttl
		d.Ledger.LearnSighting(s)
		status, err := rollover.Describe(d, tight(), w.Now.Wall, func(c rollover.Command) string { return w.Explain(d.Zone, c) })
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(status.Warnings, "\n")
	}
	const want = "192.0.2.1:53 has shown a TTL of data of a week or more, and each wait for that lasts as long as for a week; if a server made it up: rollover forget example.com. --record data --reason WHY; if it is yours, lower it"
	if got := warned(604799); strings.Contains(got, "a week") {
		t.Errorf("below a week: %s", got)
	}
	for _, ttl := range []uint32{604800, math.MaxUint32} {
		if got := warned(ttl); !strings.Contains(got, want) {
			t.Errorf("%d: %s", ttl, got)
		}
	}
}

// What a server made up can be forgotten, by its name or address, and is not waited
// for any more; the order is in the history, and all waits start anew.
func TestForget(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	pass(t, w, 4)
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	lie := shapeshifter(1, w.Clock().Wall)
	lie.Servers[0].Data.TTL, lie.Servers[0].Address = 500000, "192.0.2.66:53"
	d.Ledger.LearnSighting(lie)
	if err := w.Save(rollover.Entry{Dossier: d}); err != nil {
		t.Fatal(err)
	}
	e := w.Engine(tight())
	e.By = "ann"
	if n, err := e.Forget(rollover.Oblivion{Zone: rollovertest.Zone, Server: "192.0.2.66", Record: rollover.RecordData, Reason: "it lied"}); n != 1 || err != nil {
		t.Fatalf("%d versions forgotten, %v", n, err)
	}
	after, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Ledger.Largest(rollover.RecordData); got >= 500000*time.Second || got == 0 {
		t.Errorf("data is waited for %s", got)
	}
	if len(after.Roll.Held) > 0 {
		t.Error("what was earned stands")
	}
	last := w.Events[len(w.Events)-1]
	if last.Event != rollover.EventForgot || last.By != "ann" || last.Reason != "it lied" || !strings.Contains(last.Text, "data of example.com. at 192.0.2.66: 1 version") {
		t.Errorf("history: %+v", last)
	}
	if _, err := e.Forget(rollover.Oblivion{Zone: rollovertest.Zone, Server: "192.0.2.99"}); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("a server that showed nothing: %v", err)
	}
	if n, err := e.Forget(rollover.Oblivion{Zone: rollovertest.Zone}); err != nil || n < 4 {
		t.Errorf("all: %d, %v", n, err)
	}
	finishedIn(t, w)
}

// finishedIn takes a rollover to its end; the world watches that nothing breaks.
func finishedIn(t *testing.T, w *rollovertest.World) {
	t.Helper()
	for range 2000 {
		if w.Roll().State != rollover.StateActive {
			break
		}
		pass(t, w, 1)
	}
	finished(t, w)
}
