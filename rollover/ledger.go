package rollover

import (
	"maps"
	"slices"
	"time"
)

// Ledger is what may still be in caches: which versions of each record were
// seen on which server, with the largest TTL and first and last sighting. It
// is kept also while no rollover runs.
type Ledger struct {
	Entries []LedgerEntry `json:"entries"`
	// ZoneTTL is the largest TTL of any record that the zone was seen to have
	// (pdnsutil list-zone), SOA minimum included; a high-water mark.
	ZoneTTL   uint32    `json:"zone_ttl"` // seconds
	ZoneTTLAt time.Time `json:"zone_ttl_at,omitzero"`
	Minimum   uint32    `json:"minimum"` // seconds; SOA minimum
	Samples   []Sample  `json:"samples"`
	// Signed is, for each server of the parent, the inception of the newest
	// signature that a proven answer of it had: an older one is a replay.
	Signed map[string]time.Time `json:"signed,omitempty"`
	// Proven is that answer, for each server of the parent; Doubt is what they all
	// show with an older signature.
	Proven map[string]Proven `json:"proven,omitempty"`
	Doubt  *Doubt            `json:"doubt,omitempty"`
	// Recent is, for each record, the largest TTL in seconds that any server showed
	// in the last look: what came in since may have been served with it.
	Recent map[Record]uint32 `json:"recent,omitempty"`
	// Beyond is the versions that were too many to be kept, of each record.
	Beyond map[Record]Beyond `json:"beyond,omitempty"`
}

// Beyond sums up versions that are not kept one by one.
type Beyond struct {
	Count int       `json:"count"`
	TTL   uint32    `json:"ttl"` // seconds; the largest of them
	Last  time.Time `json:"last"`
}

// LedgerEntry is one version of one record on one server. Exactly one of
// DNSKEY, Data and DS is set.
type LedgerEntry struct {
	Record Record       `json:"record"`
	Server string       `json:"server"` // address
	TTL    uint32       `json:"ttl"`    // seconds; the largest this version was served with
	First  time.Time    `json:"first"`
	Last   time.Time    `json:"last"`
	Seen   Instant      `json:"seen"`           // Last by both clocks
	Until  Instant      `json:"until,omitzero"` // the first look at which the server showed another version; zero while it shows this one
	Left   Instant      `json:"left,omitzero"`  // the first look that did not ask the server any more; zero while it is asked
	DNSKEY *KeyVersion  `json:"dnskey,omitempty"`
	Data   *DataVersion `json:"data,omitempty"`
	DS     *DSVersion   `json:"ds,omitempty"`
}

// keepLedger is how long a version is remembered after it was last seen, or
// twice its TTL if that is longer (RFC 8767 caches aside, nothing lives longer).
const keepLedger = 14 * 24 * time.Hour

// learn adds what one look showed. A version may have been served since the
// look before with the TTL of then, if that was lowered before this one.
func (l *Ledger) learn(s Sighting) {
	recent := map[Record]uint32{}
	for _, record := range []Record{RecordDNSKEY, RecordData, RecordDS} {
		before := l.Recent[record]
		var now []uint32
		for _, v := range s.Servers {
			ttl, shown := v.ttl(record)
			switch {
			case shown:
				e := LedgerEntry{Server: v.Address, First: s.At.Wall, Last: s.At.Wall, Seen: s.At}
				l.add(e.of(record, max(ttl, before), v))
			case v.Role == record.on():
				ttl = before // it did not answer, or was not asked
			default:
				continue
			}
			now = append(now, ttl)
		}
		recent[record] = before
		if len(now) > 0 {
			recent[record] = slices.Max(now)
		}
	}
	l.Recent = recent
	l.leave(s)
}

// ttl is for how many seconds caches keep what a server showed of a record.
func (v ServerSighting) ttl(record Record) (ttl uint32, shown bool) {
	ttl, shown = v.claimed(record)
	return cachedFor(ttl), shown
}

// claimed is the TTL in seconds of what a server showed of a record, as it says.
func (v ServerSighting) claimed(record Record) (ttl uint32, shown bool) {
	switch {
	case v.missing(record):
		return 0, false
	case record == RecordDNSKEY:
		return v.DNSKEY.TTL, true
	case record == RecordData:
		return v.Data.TTL, true
	}
	return v.DS.TTL, true
}

// of is an entry for one record of what a server showed, without words.
func (e LedgerEntry) of(record Record, ttl uint32, v ServerSighting) LedgerEntry {
	e.Record, e.TTL = record, ttl
	switch record {
	case RecordDNSKEY:
		if e.DNSKEY = v.DNSKEY; len(v.DNSKEY.Faults) > 0 {
			short := *v.DNSKEY
			short.Faults, e.DNSKEY = nil, &short
		}
	case RecordData:
		worded := func(t Signature) bool { return t.On != "" || t.Fault != "" }
		if e.Data = v.Data; len(v.Data.Faults) > 0 || slices.ContainsFunc(v.Data.Traces, worded) {
			short := *v.Data
			short.Faults, short.Traces, e.Data = nil, signersOf(v.Data.Traces), &short
		}
	case RecordDS:
		if e.DS = v.DS; v.DS.Standing != nil && v.DS.Standing.Why != "" {
			short, standing := *v.DS, *v.DS.Standing
			standing.Why, short.Standing, e.DS = "", &standing, &short
		}
	}
	return e
}

// forget drops what no cache can hold any more. It is called before a rollover
// begins and never while one runs: a clock that jumps, or a cron that was
// dead for weeks, must not take a high-water mark away.
func (l *Ledger) forget(now time.Time) {
	l.Entries = slices.DeleteFunc(l.Entries, func(e LedgerEntry) bool {
		return now.Sub(e.Last) > max(keepLedger, 2*seconds(e.TTL))
	})
	maps.DeleteFunc(l.Beyond, func(_ Record, b Beyond) bool { return now.Sub(b.Last) > max(keepLedger, 2*seconds(b.TTL)) })
	maps.DeleteFunc(l.Recent, func(record Record, _ uint32) bool {
		return !slices.ContainsFunc(l.Entries, func(e LedgerEntry) bool { return e.Record == record })
	})
	if now.Sub(l.ZoneTTLAt) > max(keepLedger, 2*seconds(l.ZoneTTL)) {
		l.ZoneTTL = 0
	}
}

func (l *Ledger) add(e LedgerEntry) {
	known := false
	for i := range l.Entries {
		old := &l.Entries[i]
		switch {
		case old.Record != e.Record || old.Server != e.Server:
		case old.sameVersion(e):
			old.TTL, old.Last, old.Seen, old.Until, known = max(old.TTL, e.TTL), e.Last, e.Seen, Instant{}, true
			if e.DS != nil && !old.DS.believable() {
				old.DS = e.DS // a look that proves it comes after one that could not
			}
		case old.Until.IsZero():
			old.Until = e.Seen
		}
	}
	if !known {
		l.Entries = append(l.Entries, e)
		l.bound(e)
	}
}

// sameVersion says whether two entries of one record are one version: what
// they hold and who signed them count, their TTL does not.
func (e LedgerEntry) sameVersion(o LedgerEntry) bool {
	switch {
	case e.DNSKEY != nil && o.DNSKEY != nil:
		return sameSet(e.DNSKEY.Keys, o.DNSKEY.Keys) && sameSet(e.DNSKEY.Signers, o.DNSKEY.Signers)
	case e.Data != nil && o.Data != nil:
		return sameSet(e.Data.Signers, o.Data.Signers) && sameSet(signersOf(e.Data.Traces), signersOf(o.Data.Traces))
	case e.DS != nil && o.DS != nil:
		return sameSet(e.DS.Set, o.DS.Set)
	}
	return false
}

// sameSet says whether two lists hold the same, in whatever order.
func sameSet[T comparable](a, b []T) bool {
	return slices.Equal(a, b) || len(a) == len(b) && slices.Equal(sorted(a), sorted(b))
}

// signersOf reduces signatures to who made them.
func signersOf(traces []Signature) []Signature {
	out := make([]Signature, len(traces))
	for i, t := range traces {
		out[i] = Signature{Tag: t.Tag, Algorithm: t.Algorithm}
	}
	return out
}

// largest is the largest TTL with which a version of the record without the
// property was ever seen on any server: what caches may still hold against
// it. With no such version on record, every version counts.
func (l Ledger) largest(record Record, holds func(LedgerEntry) bool) time.Duration {
	var without, any uint32
	for _, e := range l.Entries {
		if e.Record != record {
			continue
		}
		any = max(any, e.TTL)
		if !holds(e) {
			without = max(without, e.TTL)
		}
	}
	if without == 0 {
		without = any
	}
	without = max(without, l.Beyond[record].TTL)
	if record == RecordData {
		without = max(without, cachedFor(l.ZoneTTL))
	}
	return seconds(without)
}

// learnContents takes in what the zone's records are.
func (l *Ledger) learnContents(c Contents, now time.Time) {
	l.ZoneTTL, l.ZoneTTLAt = max(l.ZoneTTL, c.LargestTTL), now
	l.Minimum, l.Samples = c.Minimum, c.Samples
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }
