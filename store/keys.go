package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"rollover/rollover"
)

// The buckets and fixed keys; see the package comment.
const (
	bucketMeta      = "meta"
	bucketRollovers = "rollovers"
	bucketLedger    = "ledger"
	bucketHeaders   = "headers"
	bucketDue       = "due"
	bucketHistory   = "history"
	bucketClock     = "clock"

	keySchema = "schema"
	keyLast   = "last"
	keyAhead  = "furthest"
)

// longestZone is the longest key that is a zone: 253 octets and a dot.
const longestZone = 254

// checkZone refuses what rollover.ParseZone would not have returned; the keys
// of the history rely on zones without 0x00.
func checkZone(zone string) error {
	name, err := rollover.ParseZone(zone)
	if err != nil {
		return err
	}
	if name != zone {
		return fmt.Errorf("%w: it is stored as %q, not as %q", rollover.ErrZoneName, name, zone)
	}
	return nil
}

// dueKey is the place of an active rollover in the due index, nil for others.
func dueKey(h Header) []byte {
	if h.State != rollover.StateActive {
		return nil
	}
	return append(binary.BigEndian.AppendUint64(nil, stamp(h.NextCheck)), h.Zone...)
}

func historyPrefix(zone string) []byte { return append([]byte(zone), 0) }

func historyKey(zone string, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(historyPrefix(zone), sequence)
}

// sequenceOf is the sequence number in a key of the history.
func sequenceOf(key []byte) (uint64, error) {
	if len(key) < 10 || bytes.IndexByte(key, 0) != len(key)-9 {
		return 0, errors.New("a key of its history does not decode")
	}
	return binary.BigEndian.Uint64(key[len(key)-8:]), nil
}

// bucket is a bucket that every file has.
func (d *DB) bucket(tx *bbolt.Tx, name string) (*bbolt.Bucket, error) {
	b := tx.Bucket([]byte(name))
	if b == nil {
		return nil, damaged(d.path, fmt.Sprintf("bucket %s is missing", name))
	}
	return b, nil
}

func (d *DB) damagedZone(zone string, detail any) error {
	return damaged(d.path, fmt.Sprintf("zone %.260q: %v", zone, detail))
}
