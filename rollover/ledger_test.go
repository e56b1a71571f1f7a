package rollover

import (
	"maps"
	"testing"
	"time"
)

// What is one version of a record, and what is another.
func TestWhatIsOneVersion(t *testing.T) {
	a, b := aKey(1, KSK), aKey(2, ZSK)
	keys := func(set, signers []DNSKEY, ttl uint32) LedgerEntry {
		return LedgerEntry{TTL: ttl, DNSKEY: &KeyVersion{Keys: set, Signers: signers, TTL: ttl}}
	}
	data := func(signers []DNSKEY, traces ...Signature) LedgerEntry {
		return LedgerEntry{Data: &DataVersion{Signers: signers, Traces: traces}}
	}
	ds := func(set ...DS) LedgerEntry { return LedgerEntry{DS: &DSVersion{Set: set}} }
	one, other := dsRecord(a, 2), dsRecord(a, 4)
	trace := func(tag uint16, on string) Signature { return Signature{Tag: tag, Algorithm: 13, On: on, Fault: on} }
	for name, c := range map[string]struct {
		first, second LedgerEntry
		want          bool
	}{
		"keys, any order, any TTL": {keys(dnskeysOf(a, b), dnskeysOf(a), 1), keys(dnskeysOf(b, a), dnskeysOf(a), 2), true},
		"other keys":               {keys(dnskeysOf(a, b), dnskeysOf(a), 1), keys(dnskeysOf(a), dnskeysOf(a), 1), false},
		"other signers":            {keys(dnskeysOf(a, b), dnskeysOf(a), 1), keys(dnskeysOf(a, b), dnskeysOf(b), 1), false},
		"data":                     {data(dnskeysOf(a, b), trace(1, "x"), trace(2, "x")), data(dnskeysOf(b, a), trace(2, "y"), trace(1, "y")), true},
		"data by others":           {data(dnskeysOf(a), trace(1, "")), data(dnskeysOf(b), trace(1, "")), false},
		"other traces":             {data(dnskeysOf(a), trace(1, "")), data(dnskeysOf(a), trace(2, "")), false},
		"DS, any order":            {ds(one, other), ds(other, one), true},
		"another DS":               {ds(one), ds(other), false},
		"keys and data":            {keys(nil, nil, 1), data(nil), false},
		"data and DS":              {data(nil), ds(), false},
		"DS and keys":              {ds(), keys(nil, nil, 1), false},
		"nothing":                  {LedgerEntry{}, LedgerEntry{}, false},
	} {
		if got := c.first.sameVersion(c.second); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if got := c.second.sameVersion(c.first); got != c.want {
			t.Errorf("%s, the other way: %v", name, got)
		}
	}
}

// A version that is seen again keeps the largest TTL, and lives on; another one
// ends it, once, at that server alone.
func TestVersionsComeAndGo(t *testing.T) {
	at := func(n int) Instant { return Instant{Wall: time.Unix(int64(n), 0), BootID: "a"} }
	entry := func(n int, server string, tag uint16, ttl uint32, standing *Standing) LedgerEntry {
		return LedgerEntry{Record: RecordDS, Server: server, TTL: ttl, First: at(n).Wall, Last: at(n).Wall, Seen: at(n), DS: &DSVersion{Set: []DS{{Tag: tag}}, Standing: standing}}
	}
	var l Ledger
	secure, bogus := &Standing{Security: Secure}, &Standing{Security: Bogus}
	for _, e := range []LedgerEntry{
		entry(1, "p1", 1, 60, bogus), entry(1, "p2", 1, 60, nil), {Record: RecordDNSKEY, Server: "p1", DNSKEY: &KeyVersion{}},
		entry(2, "p1", 1, 30, secure), entry(3, "p1", 1, 90, bogus), entry(4, "p1", 2, 10, nil), entry(5, "p1", 3, 10, nil), entry(6, "p1", 2, 10, nil),
	} {
		l.add(e)
	}
	if len(l.Entries) != 5 {
		t.Fatalf("%d entries: %+v", len(l.Entries), l.Entries)
	}
	first, other, keys, second, third := l.Entries[0], l.Entries[1], l.Entries[2], l.Entries[3], l.Entries[4]
	if first.TTL != 90 || !first.First.Equal(at(1).Wall) || !first.Last.Equal(at(3).Wall) || first.Seen != at(3) || first.Until != at(4) || first.DS.Standing != secure {
		t.Errorf("the first: %+v", first)
	}
	if !other.Until.IsZero() || !keys.Until.IsZero() {
		t.Errorf("another server or record has ended: %+v %+v", other, keys)
	}
	if !second.Until.IsZero() || second.Seen != at(6) || third.Until != at(6) {
		t.Errorf("the one that came back: %+v; in between %+v", second, third)
	}
}

// Nothing is forgotten that a cache may hold: two weeks, or twice the TTL.
func TestWhatIsForgotten(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	ago := func(record Record, d time.Duration, ttl uint32) LedgerEntry {
		return LedgerEntry{Record: record, Last: now.Add(-d), TTL: ttl}
	}
	week := uint32(8 * 24 * 3600)
	for name, c := range map[string]struct {
		entry LedgerEntry
		kept  bool
	}{
		"two weeks":         {ago(RecordDS, 14*day, 60), true},
		"longer":            {ago(RecordDS, 14*day+1, 60), false},
		"twice a large TTL": {ago(RecordDS, 16*day, week), true},
		"longer than that":  {ago(RecordDS, 16*day+1, week), false},
	} {
		l := Ledger{Entries: []LedgerEntry{c.entry}, Recent: map[Record]uint32{RecordDS: 1, RecordData: 2}, ZoneTTL: c.entry.TTL, ZoneTTLAt: c.entry.Last}
		l.forget(now)
		if kept := len(l.Entries) == 1; kept != c.kept || (l.ZoneTTL != 0) != c.kept || maps.Equal(l.Recent, map[Record]uint32{RecordDS: 1}) != c.kept || l.Recent[RecordData] != 0 {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// The largest TTL of the zone only rises, and its samples are those of now.
func TestTheLargestTTLOnlyRises(t *testing.T) {
	now := time.Unix(1e9, 0)
	var l Ledger
	l.learnContents(Contents{LargestTTL: 600, Minimum: 5, Samples: []Sample{{Name: "a"}}}, now)
	l.learnContents(Contents{LargestTTL: 60, Minimum: 7, Samples: []Sample{{Name: "b"}}}, now.Add(time.Hour))
	if l.ZoneTTL != 600 || !l.ZoneTTLAt.Equal(now.Add(time.Hour)) || l.Minimum != 7 || len(l.Samples) != 1 || l.Samples[0].Name != "b" {
		t.Errorf("%+v", l)
	}
}

// What came in since the last look may have been served with the TTL of then.
func TestTheTTLOfTheLastLook(t *testing.T) {
	var l Ledger
	shows := func(name string, ttl, keys uint32) ServerSighting {
		return ServerSighting{Server: Server{Role: RoleChild, Address: name}, DNSKEY: &KeyVersion{TTL: ttl, Keys: []DNSKEY{{Flags: uint16(keys)}}}}
	}
	silent := ServerSighting{Server: Server{Role: RoleChild, Address: "c2"}}
	parent := ServerSighting{Server: Server{Role: RoleParent, Address: "p1"}}
	for n, c := range []struct {
		servers []ServerSighting
		recent  uint32
		last    uint32 // TTL of the newest entry
	}{
		{[]ServerSighting{shows("c1", 600, 1), shows("c2", 300, 1), parent}, 600, 300},
		{[]ServerSighting{shows("c1", 60, 2), silent}, 600, 600}, // the silent one may serve it with 600 still
		{[]ServerSighting{parent}, 600, 600},
		{[]ServerSighting{shows("c1", 30, 3), shows("c2", 20, 3)}, 30, 600},
		{[]ServerSighting{shows("c1", 40, 4), shows("c2", 20, 4)}, 40, 30},
	} {
		l.learn(Sighting{At: Instant{Wall: time.Unix(int64(n), 0), BootID: "a"}, Servers: c.servers})
		if last := l.Entries[len(l.Entries)-1].TTL; l.Recent[RecordDNSKEY] != c.recent || last != c.last {
			t.Errorf("look %d: recent %d, last %d", n, l.Recent[RecordDNSKEY], last)
		}
	}
	if l.Recent[RecordDS] != 0 || l.Recent[RecordData] != 0 {
		t.Errorf("of other records: %v", l.Recent)
	}
}
