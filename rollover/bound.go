package rollover

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// mostVersions is how many versions of one record are kept of one server. A
	// rollover makes some eight; more is a server that makes them up.
	mostVersions = 16
	// mostEntries is how many versions are kept of a zone in all: more servers than
	// that have is a zone whose servers change with every look.
	mostEntries = 2048
	// longestCached is how long what was once seen is taken to stay in caches: none
	// in use keeps anything for longer (BIND's max-cache-ttl is a week, unbound's and
	// PowerDNS Recursor's a day), whatever a TTL says.
	longestCached = 7 * 24 * time.Hour
)

// cachedFor is for how long caches keep what has a TTL, both in seconds. One with its
// first bit set means 0 (RFC 2181 section 8), but a cache that does not know that keeps
// it for as long as it keeps anything, so that counts.
func cachedFor(ttl uint32) uint32 { return min(ttl, uint32(longestCached/time.Second)) }

// bound keeps what there is of a new version's server, and of the zone, below its
// number.
func (l *Ledger) bound(fresh LedgerEntry) {
	of := func(e LedgerEntry) bool { return e.Record == fresh.Record && e.Server == fresh.Server }
	if n := count(l.Entries, of); n > mostVersions {
		l.fold(of)
	}
	if len(l.Entries) > mostEntries {
		l.fold(func(LedgerEntry) bool { return true })
	}
}

func count(entries []LedgerEntry, of func(LedgerEntry) bool) int {
	n := 0
	for _, e := range entries {
		if of(e) {
			n++
		}
	}
	return n
}

// fold takes out the version that matters least, and counts it: its TTL goes on to
// be waited for.
func (l *Ledger) fold(of func(LedgerEntry) bool) {
	least := -1
	for i, e := range l.Entries {
		if of(e) && (least < 0 || e.before(l.Entries[least])) {
			least = i
		}
	}
	e := l.Entries[least]
	l.Entries = slices.Delete(slices.Clone(l.Entries), least, least+1)
	l.Beyond = maps.Clone(l.Beyond) // a ledger is copied, and its maps are shared
	if l.Beyond == nil {
		l.Beyond = map[Record]Beyond{}
	}
	b := l.Beyond[e.Record]
	b.Count, b.TTL = b.Count+1, max(b.TTL, e.TTL)
	if e.Last.After(b.Last) {
		b.Last = e.Last
	}
	l.Beyond[e.Record] = b
}

// before says which of two versions goes first: one that no validator can have
// believed before one that some may have, then the one that was seen longest ago.
func (e LedgerEntry) before(o LedgerEntry) bool {
	if e.idle() != o.idle() {
		return e.idle()
	}
	return e.Last.Before(o.Last)
}

// idle says that no validator can have believed a version: keys or a DS set that
// nothing proves.
func (e LedgerEntry) idle() bool {
	switch {
	case e.DNSKEY != nil:
		return len(e.DNSKEY.Keys) > 0 && len(e.DNSKEY.Signers) == 0
	case e.DS != nil:
		return e.DS.Standing != nil && !e.DS.believable()
	}
	return false
}

// lengthy warns of TTLs of which waits count a part, or the most that there is: who has
// shown them, and what takes them out if they are a lie.
func (d Dossier) lengthy() []string {
	var out []string
	for _, record := range []Record{RecordDNSKEY, RecordData, RecordDS} {
		var servers []string
		for _, e := range d.Ledger.Entries {
			if e.Record == record && cachedFor(e.TTL) == uint32(longestCached/time.Second) && !slices.Contains(servers, e.Server) {
				servers = append(servers, e.Server)
			}
		}
		if len(servers) > 0 {
			out = append(out, fmt.Sprintf("%s has shown a TTL of %s of a week or more, and each wait for that lasts as long as for a week; if a server made it up: rollover forget %s --record %s --reason WHY; if it is yours, lower it",
				strings.Join(servers, ", "), record, d.Zone, record))
		}
	}
	return out
}
