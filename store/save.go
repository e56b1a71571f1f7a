package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"rollover/rollover"
)

// longestDossier is how many octets of one zone are kept. A dossier has some ten
// thousand; one that has millions must not fill the disk that all zones share.
const longestDossier = 4 << 20

// record is one entry, ready to be written.
type record struct {
	zone   string
	roll   []byte // nil for none
	ledger []byte
	header []byte
	due    []byte // nil for none
	events []line
}

// line is one event. Its place is its position in the whole Save, from 0.
type line struct {
	place uint64
	value []byte
}

// batch is one Save.
type batch struct {
	records []record // one for each zone, in the order of zones
	lines   uint64
	clock   rollover.Instant // the newest of the entries
	ahead   rollover.Instant // the one with the latest wall clock
}

// Save stores the dossiers and appends their events, all in one transaction:
// when it returns nil all of it is on disk, when it returns an error none of
// it (ErrLocked, ErrDamaged, ErrSchema, a full disk; rollover.Unsavable for what is the
// matter with one zone alone: a name that is none, a state that is too large).
// If a zone is there twice, its later dossier is kept and all its events. The
// clock goes on to the newest Dossier.Clock.
func (d *DB) Save(entries ...rollover.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	b, err := newBatch(entries) // before the file is locked: it may be megabytes of JSON
	if err != nil {
		return err
	}
	return d.update(func(tx *bbolt.Tx) error { return d.write(tx, b) })
}

func newBatch(entries []rollover.Entry) (batch, error) {
	b := batch{records: make([]record, 0, len(entries))}
	for _, e := range entries {
		r, err := newRecord(e, b.lines)
		if err != nil {
			return batch{}, rollover.Unsavable{Zone: e.Dossier.Zone, Err: err}
		}
		b.lines += uint64(len(e.Events))
		b.records = append(b.records, r)
		if newer(e.Dossier.Clock, b.clock) {
			b.clock = e.Dossier.Clock
		}
		if further(e.Dossier.Clock, b.ahead) {
			b.ahead = e.Dossier.Clock
		}
	}
	// Within a transaction bbolt does not split its nodes: a key that comes
	// not in order moves all that are behind it, which is 100,000 times
	// 100,000 for a large first Save.
	slices.SortStableFunc(b.records, func(x, y record) int { return cmp.Compare(x.zone, y.zone) })
	b.records = merged(b.records)
	return b, nil
}

// merged makes records of the same zone one.
func merged(records []record) []record {
	out := records[:0]
	for _, r := range records {
		if last := len(out) - 1; last >= 0 && out[last].zone == r.zone {
			r.events = append(out[last].events, r.events...)
			out[last] = r
			continue
		}
		out = append(out, r)
	}
	return out
}

func newRecord(e rollover.Entry, place uint64) (record, error) {
	d := e.Dossier
	r := record{zone: d.Zone}
	if err := checkZone(d.Zone); err != nil {
		return r, err
	}
	var err error
	if d.Roll != nil {
		if r.roll, err = json.Marshal(d.Roll); err != nil {
			return r, fmt.Errorf("encoding its rollover: %w", err)
		}
	}
	h := headerOf(d)
	d.Roll = nil
	if r.ledger, err = json.Marshal(d); err != nil {
		return r, fmt.Errorf("encoding its ledger: %w", err)
	}
	if r.header, err = h.append(make([]byte, 0, 64)); err != nil {
		return r, fmt.Errorf("encoding its header: %w", err)
	}
	if size := len(r.roll) + len(r.ledger); size > longestDossier {
		return r, fmt.Errorf("it has %d octets, and %d is the most that is kept of a zone", size, longestDossier)
	}
	r.seal()
	r.due = dueKey(h)
	for i, event := range e.Events {
		value, err := json.Marshal(event)
		if err != nil {
			return r, fmt.Errorf("encoding an event: %w", err)
		}
		r.events = append(r.events, line{place + uint64(i), value})
	}
	return r, nil
}

// seal puts the checksum into the header.
func (r *record) seal() {
	binary.BigEndian.PutUint32(r.header[headerSum:], checksum(r.zone, r.header, r.roll, r.ledger))
}

// newer says whether a was read after b. The wall clock can be set back, so
// within one boot only the boot clock counts.
func newer(a, b rollover.Instant) bool {
	switch {
	case a.IsZero():
		return false
	case b.IsZero():
		return true
	case a.BootID == b.BootID:
		return a.Boot > b.Boot
	}
	return a.Wall.After(b.Wall)
}

// further says whether the wall clock of a was ahead of that of b; the zero time
// is behind all others.
func further(a, b rollover.Instant) bool { return a.Wall.After(b.Wall) }

func (d *DB) write(tx *bbolt.Tx, b batch) error {
	if err := d.writeRecords(tx, b.records); err != nil {
		return err
	}
	if err := d.writeDue(tx, b.records); err != nil {
		return err
	}
	if err := d.writeHistory(tx, b); err != nil {
		return err
	}
	if err := d.writeClock(tx, keyAhead, b.ahead, further); err != nil {
		return err
	}
	return d.writeClock(tx, keyLast, b.clock, newer)
}

// writeRecords takes each zone out of the due index, as the header that was
// stored says where it is, and replaces what is stored of it.
func (d *DB) writeRecords(tx *bbolt.Tx, records []record) error {
	rollovers, err1 := d.bucket(tx, bucketRollovers)
	ledger, err2 := d.bucket(tx, bucketLedger)
	headers, err3 := d.bucket(tx, bucketHeaders)
	due, err4 := d.bucket(tx, bucketDue)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return err
	}
	for _, r := range records {
		if err := d.forgetDue(due, headers, r.zone); err != nil {
			return err
		}
		if err := put(rollovers, []byte(r.zone), r.roll); err != nil {
			return err
		}
		if err := put(ledger, []byte(r.zone), r.ledger); err != nil {
			return err
		}
		if err := put(headers, []byte(r.zone), r.header); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) forgetDue(due, headers *bbolt.Bucket, zone string) error {
	value := headers.Get([]byte(zone))
	if value == nil {
		return nil
	}
	was, err := decodeHeader(zone, string(value))
	if err != nil {
		return d.damagedZone(zone, err)
	}
	if key := dueKey(was); key != nil {
		return due.Delete(key)
	}
	return nil
}

// put stores a value; nil takes it out.
func put(b *bbolt.Bucket, key, value []byte) error {
	if value == nil {
		return b.Delete(key)
	}
	return b.Put(key, value)
}

func (d *DB) writeDue(tx *bbolt.Tx, records []record) error {
	due, err := d.bucket(tx, bucketDue)
	if err != nil {
		return err
	}
	var keys [][]byte
	for _, r := range records {
		if r.due != nil {
			keys = append(keys, r.due)
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	for _, key := range keys {
		if err := due.Put(key, nil); err != nil {
			return err
		}
	}
	return nil
}

// writeHistory appends the events. The sequence counts over all zones, so that
// they can be told in the order in which they were saved.
func (d *DB) writeHistory(tx *bbolt.Tx, b batch) error {
	history, err := d.bucket(tx, bucketHistory)
	if err != nil || b.lines == 0 {
		return err
	}
	first := history.Sequence() + 1
	for _, r := range b.records {
		for _, l := range r.events {
			if err := history.Put(historyKey(r.zone, first+l.place), l.value); err != nil {
				return err
			}
		}
	}
	return history.SetSequence(history.Sequence() + b.lines)
}

// writeClock never goes back: a dossier that is saved for another reason than
// a look still has the clock of its last one.
func (d *DB) writeClock(tx *bbolt.Tx, key string, now rollover.Instant, beyond func(a, b rollover.Instant) bool) error {
	clock, err := d.bucket(tx, bucketClock)
	if err != nil {
		return err
	}
	was, err := d.decodeClock(clock.Get([]byte(key)))
	if err != nil || !beyond(now, was) {
		return err
	}
	value, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("saving the clock: %w", err)
	}
	return clock.Put([]byte(key), value)
}
