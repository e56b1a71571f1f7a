package rollover

import (
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
}

// LedgerEntry is one version of one record on one server. Exactly one of
// DNSKEY, Data and DS is set.
type LedgerEntry struct {
	Record Record       `json:"record"`
	Server string       `json:"server"` // address
	TTL    uint32       `json:"ttl"`    // seconds; the largest this version was served with
	First  time.Time    `json:"first"`
	Last   time.Time    `json:"last"`
	DNSKEY *KeyVersion  `json:"dnskey,omitempty"`
	Data   *DataVersion `json:"data,omitempty"`
	DS     *DSVersion   `json:"ds,omitempty"`
}

// keepLedger is how long a version is remembered after it was last seen, or
// twice its TTL if that is longer (RFC 8767 caches aside, nothing lives longer).
const keepLedger = 14 * 24 * time.Hour

// learn adds what one look showed.
func (l *Ledger) learn(s Sighting) {
	now := s.At.Wall
	for _, v := range s.Servers {
		if v.DNSKEY != nil {
			l.add(LedgerEntry{Record: RecordDNSKEY, Server: v.Address, TTL: v.DNSKEY.TTL, First: now, Last: now, DNSKEY: v.DNSKEY})
		}
		if v.Data != nil {
			l.add(LedgerEntry{Record: RecordData, Server: v.Address, TTL: v.Data.TTL, First: now, Last: now, Data: v.Data})
		}
		if v.DS != nil {
			l.add(LedgerEntry{Record: RecordDS, Server: v.Address, TTL: v.DS.TTL, First: now, Last: now, DS: v.DS})
		}
	}
}

// forget drops what no cache can hold any more. It is called before a rollover
// begins and never while one runs: a clock that jumps, or a cron that was
// dead for weeks, must not take a high-water mark away.
func (l *Ledger) forget(now time.Time) {
	l.Entries = slices.DeleteFunc(l.Entries, func(e LedgerEntry) bool {
		return now.Sub(e.Last) > max(keepLedger, 2*seconds(e.TTL))
	})
	if now.Sub(l.ZoneTTLAt) > max(keepLedger, 2*seconds(l.ZoneTTL)) {
		l.ZoneTTL = 0
	}
}

func (l *Ledger) add(e LedgerEntry) {
	for i := range l.Entries {
		old := &l.Entries[i]
		if old.Record == e.Record && old.Server == e.Server && old.sameVersion(e) {
			old.TTL, old.Last = max(old.TTL, e.TTL), e.Last
			return
		}
	}
	l.Entries = append(l.Entries, e)
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
	if record == RecordData {
		without = max(without, l.ZoneTTL)
	}
	return seconds(without)
}

// learnContents takes in what the zone's records are.
func (l *Ledger) learnContents(c Contents, now time.Time) {
	l.ZoneTTL, l.ZoneTTLAt = max(l.ZoneTTL, c.LargestTTL), now
	l.Minimum, l.Samples = c.Minimum, c.Samples
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }
