// Package store is the memory of rollover: one bbolt file, and nothing else
// knows that it is one.
//
// # Durability
//
// The file is opened for one transaction and closed again, never across a DNS
// query or a child process, so that no command waits for another for longer
// than milliseconds. bbolt writes data pages before its meta page and syncs
// both: when Save returns nil, a power cut does not forget it, and when it
// returns an error because the disk is full, nothing was changed.
//
// # What is in the file
//
//	bucket     key                               value
//	meta       "schema"                          "1"
//	rollovers  zone                              JSON of rollover.Roll
//	ledger     zone                              JSON of rollover.Dossier without the Roll
//	headers    zone                              Header, see Header for its octets
//	due        NextCheck (8 octets, ns), zone    nothing
//	history    zone, 0x00, sequence (8 octets)   JSON of rollover.Event
//	clock      "last", "furthest"                JSON of rollover.Instant
//
// The furthest clock is the one with the latest wall clock that was ever saved: it is
// how a tick by a clock that was ahead stays known whatever is saved afterwards.
//
// Numbers are big-endian, so that keys sort as numbers do. Only zones whose
// rollover is active are in due. A header carries a checksum of all that is
// stored of its zone, because bbolt has none for its data pages, and a single
// flipped bit in a hold time could take a key away too early.
//
// # A damaged file
//
// It is reported with ErrDamaged and never altered or deleted. The pages that
// a read needs are examined before bbolt sees them, and all pages before the
// first write, because bbolt believes them; what is left makes it fault or
// panic, which is recovered.
package store

import (
	"errors"
	"time"
)

// Errors that callers branch on.
var (
	// ErrLocked: another process holds the file; trying again may help.
	ErrLocked = errors.New("state file is in use")
	// ErrDamaged: the file is not what rollover wrote. It was left as it is.
	ErrDamaged = errors.New("state file is damaged")
	// ErrSchema: a newer rollover wrote the file. It was left as it is.
	ErrSchema = errors.New("state file is of another version")
	// ErrBusy: another tick is running. See Busy for which.
	ErrBusy = errors.New("another advance is running")
)

// How long to wait for the file. A transaction takes milliseconds, so whoever
// holds it for seconds is stuck; a tick can wait longer than a person.
const (
	defaultReadTimeout  = 2 * time.Second
	defaultWriteTimeout = 5 * time.Second
)

// DB is the state file. Its methods may be called from several goroutines at
// once; they take turns. Made by At.
type DB struct {
	ReadTimeout  time.Duration // how long a read waits for its turn and the lock; 0 is one try
	WriteTimeout time.Duration // the same for Save

	path string
	// turn has room for the one transaction that may run in this process.
	// bbolt's own lock would do, but it is tried only every 50 ms, which would
	// let the workers of one tick sleep most of the time, or starve.
	turn  chan struct{}
	sound bool // all pages were looked at; belongs to whose turn it is
}

// At is the state file at this path. Nothing is opened or made yet: a missing
// file is an empty state, and the first Save makes it.
func At(path string) *DB {
	return &DB{
		ReadTimeout:  defaultReadTimeout,
		WriteTimeout: defaultWriteTimeout,
		path:         path,
		turn:         make(chan struct{}, 1),
	}
}

// Path is where the file is, as given to At.
func (d *DB) Path() string { return d.path }
