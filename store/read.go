package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"rollover/rollover"
)

// Values of bbolt are gone when the transaction ends, and nobody else gets at
// the file before it does. So the methods here copy octets, and decode them
// afterwards.

// stored is all that is stored of one zone, as it is in the file.
type stored struct{ header, roll, ledger []byte }

// Load returns the zone's dossier, one with only its name if there is none
// (ErrLocked, ErrDamaged, ErrSchema).
func (d *DB) Load(zone string) (rollover.Dossier, error) {
	var s stored
	err := d.view(func(tx *bbolt.Tx) error {
		rollovers, err1 := d.bucket(tx, bucketRollovers)
		ledger, err2 := d.bucket(tx, bucketLedger)
		headers, err3 := d.bucket(tx, bucketHeaders)
		if err := cmp.Or(err1, err2, err3); err != nil {
			return err
		}
		key := []byte(zone)
		s.header, s.roll, s.ledger = bytes.Clone(headers.Get(key)), bytes.Clone(rollovers.Get(key)), bytes.Clone(ledger.Get(key))
		return nil
	}, only(bucketRollovers, zone), only(bucketLedger, zone), only(bucketHeaders, zone))
	if err != nil {
		return rollover.Dossier{}, fmt.Errorf("loading zone %s: %w", zone, err)
	}
	out, err := s.decode(zone)
	if err != nil {
		return rollover.Dossier{}, fmt.Errorf("loading zone %s: %w", zone, d.damagedZone(zone, err))
	}
	return out, nil
}

// decode makes a dossier of it. Fields that this version does not know are
// left out; a value that does not fit its checksum is not believed.
func (s stored) decode(zone string) (rollover.Dossier, error) {
	out := rollover.Dossier{Zone: zone}
	if s.header == nil && s.roll == nil && s.ledger == nil {
		return out, nil
	}
	if _, err := decodeHeader(zone, string(s.header)); err != nil {
		return out, err
	}
	if binary.BigEndian.Uint32(s.header[headerSum:]) != checksum(zone, s.header, s.roll, s.ledger) {
		return out, errors.New("its checksum does not fit")
	}
	if err := json.Unmarshal(s.ledger, &out); err != nil {
		return out, fmt.Errorf("its ledger does not decode: %w", err)
	}
	out.Zone, out.Roll = zone, nil
	if s.roll == nil {
		return out, nil
	}
	if err := json.Unmarshal(s.roll, &out.Roll); err != nil {
		return out, fmt.Errorf("its rollover does not decode: %w", err)
	}
	return out, out.Sound()
}

// Due lists the zones whose next check is not after now, the oldest first; at
// most limit of them, all if limit is 0. It reads the schema version and the
// due index, and nothing of the zones that are not due.
func (d *DB) Due(now time.Time, limit int) ([]string, error) {
	var out []string
	last := stamp(now)
	err := d.walkDue(binary.BigEndian.AppendUint64(nil, last+1), func(at uint64, zone string) bool {
		if at > last || limit > 0 && len(out) == limit {
			return false
		}
		out = append(out, zone)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("reading what is due: %w", err)
	}
	return out, nil
}

// Beyond calls yield with each zone whose next check is after a time, the nearest
// first, and with the furthest that the wall clock of any saved dossier ever was
// (zero if none was saved), until it says false. It reads the due index from that
// time on, and nothing of the zones.
func (d *DB) Beyond(after time.Time, yield func(zone string, next, furthest time.Time) bool) error {
	type check struct {
		zone string
		next uint64
	}
	var found []check
	var clock []byte
	first := binary.BigEndian.AppendUint64(nil, stamp(after)+1)
	err := d.view(func(tx *bbolt.Tx) error {
		clocks, err := d.bucket(tx, bucketClock)
		if err != nil {
			return err
		}
		clock = bytes.Clone(clocks.Get([]byte(keyAhead)))
		return d.walk(tx, first, func(at uint64, zone string) bool {
			found = append(found, check{zone, at})
			return true
		})
	}, whole(bucketClock), span{bucket: bucketDue, low: first})
	if err != nil {
		return fmt.Errorf("reading what is due later: %w", err)
	}
	furthest, err := d.decodeClock(clock)
	if err != nil {
		return fmt.Errorf("reading the furthest clock: %w", err)
	}
	for _, c := range found {
		if !yield(c.zone, time.Unix(0, int64(c.next)).UTC(), furthest.Wall) {
			return nil
		}
	}
	return nil
}

// NextDue is when the next zone is due, false if none will be.
func (d *DB) NextDue() (time.Time, bool, error) {
	var next time.Time
	found := false
	err := d.walkDue([]byte{}, func(at uint64, _ string) bool {
		found = true
		if at > 0 {
			next = time.Unix(0, int64(at)).UTC()
		}
		return false
	})
	if err != nil {
		return time.Time{}, false, fmt.Errorf("reading what is due next: %w", err)
	}
	return next, found, nil
}

// walkDue goes through the due index, oldest first, until yield says false,
// which it must do at the first key after last.
func (d *DB) walkDue(last []byte, yield func(at uint64, zone string) bool) error {
	return d.view(func(tx *bbolt.Tx) error { return d.walk(tx, nil, yield) }, span{bucket: bucketDue, high: last})
}

// walk goes through the due index from a key on, until yield says false.
func (d *DB) walk(tx *bbolt.Tx, first []byte, yield func(at uint64, zone string) bool) error {
	due, err := d.bucket(tx, bucketDue)
	if err != nil {
		return err
	}
	c := due.Cursor()
	for k, _ := c.Seek(first); k != nil; k, _ = c.Next() {
		if len(k) < 9 || len(k) > 8+longestZone || k[0] > 0x7F {
			return damaged(d.path, "a key of its due index does not decode")
		}
		if !yield(binary.BigEndian.Uint64(k), string(k[8:])) {
			return nil
		}
	}
	return nil
}

// Headers calls yield with the header of each zone that is remembered, in the
// order of their names, until it says false. The file is closed by then, so
// that yield may take its time (a pager) and may call methods of the DB.
func (d *DB) Headers(yield func(Header) bool) error {
	lines, err := d.rawHeaders()
	if err != nil {
		return fmt.Errorf("reading headers: %w", err)
	}
	for lines != "" {
		var zone, value string
		zone, value, lines = cutHeader(lines)
		h, err := decodeHeader(zone, value)
		if err != nil {
			return fmt.Errorf("reading headers: %w", d.damagedZone(zone, err))
		}
		if !yield(h) {
			return nil
		}
	}
	return nil
}

// rawHeaders is all headers in one piece, so that 100,000 of them are a few
// allocations: for each an octet with the length of the zone, two with that of
// the value, the zone, the value.
func (d *DB) rawHeaders() (string, error) {
	var out strings.Builder
	err := d.view(func(tx *bbolt.Tx) error {
		headers, err := d.bucket(tx, bucketHeaders)
		if err != nil {
			return err
		}
		return headers.ForEach(func(zone, value []byte) error {
			if len(zone) > longestZone || len(value) > 0xFFFF {
				return damaged(d.path, "a header is too long")
			}
			out.Write([]byte{byte(len(zone)), byte(len(value) >> 8), byte(len(value))})
			out.Write(zone)
			out.Write(value)
			return nil
		})
	}, whole(bucketHeaders))
	return out.String(), err
}

func cutHeader(lines string) (zone, value, rest string) {
	end := 3 + int(lines[0])
	last := end + int(lines[1])<<8 + int(lines[2])
	return lines[3:end], lines[end:last], lines[last:]
}

// Zones lists the zones that are remembered, in the order of their names.
func (d *DB) Zones() ([]string, error) {
	var out []string
	err := d.Headers(func(h Header) bool {
		out = append(out, h.Zone)
		return true
	})
	return out, err
}

// History lists what happened to a zone, or to all zones if zone is empty, in
// the order in which it was saved.
func (d *DB) History(zone string) ([]rollover.Event, error) {
	found, err := d.rawHistory(zone)
	if err != nil {
		return nil, fmt.Errorf("reading history: %w", err)
	}
	out, err := decodeEvents(found)
	if err != nil {
		return nil, fmt.Errorf("reading history: %w", damaged(d.path, err))
	}
	return out, nil
}

// decodeEvents is the events in the order of their places.
func decodeEvents(found []line) ([]rollover.Event, error) {
	slices.SortFunc(found, func(x, y line) int { return cmp.Compare(x.place, y.place) })
	out := make([]rollover.Event, len(found))
	for i, l := range found {
		if err := json.Unmarshal(l.value, &out[i]); err != nil {
			return nil, fmt.Errorf("event %d does not decode: %w", l.place, err)
		}
	}
	return out, nil
}

func (d *DB) rawHistory(zone string) ([]line, error) {
	prefix, reads := []byte(nil), whole(bucketHistory)
	if zone != "" {
		prefix = historyPrefix(zone)
		reads = span{bucket: bucketHistory, low: prefix, high: append([]byte(zone), 1)}
	}
	var out []line
	err := d.view(func(tx *bbolt.Tx) error {
		history, err := d.bucket(tx, bucketHistory)
		if err != nil {
			return err
		}
		c := history.Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			sequence, err := sequenceOf(k)
			if err != nil {
				return damaged(d.path, err)
			}
			out = append(out, line{sequence, bytes.Clone(v)})
		}
		return nil
	}, reads)
	return out, err
}

// Clock is the newest Dossier.Clock that was saved, zero if there is none.
func (d *DB) Clock() (rollover.Instant, error) {
	var value []byte
	err := d.view(func(tx *bbolt.Tx) error {
		clock, err := d.bucket(tx, bucketClock)
		if err == nil {
			value = bytes.Clone(clock.Get([]byte(keyLast)))
		}
		return err
	}, whole(bucketClock))
	if err != nil {
		return rollover.Instant{}, fmt.Errorf("reading the clock: %w", err)
	}
	return d.decodeClock(value)
}

// decodeClock takes no empty clock for one: none was ever saved, and it would
// have the next Save set the clock back.
func (d *DB) decodeClock(value []byte) (rollover.Instant, error) {
	var out rollover.Instant
	if value == nil {
		return out, nil
	}
	if err := json.Unmarshal(value, &out); err != nil {
		return rollover.Instant{}, damaged(d.path, fmt.Sprintf("its clock does not decode: %v", err))
	}
	if out.IsZero() {
		return rollover.Instant{}, damaged(d.path, "its clock is empty")
	}
	return out, nil
}
