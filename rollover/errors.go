package rollover

import (
	"errors"
	"fmt"
)

// Errors that callers branch on.
var (
	// ErrUnknownZone: PowerDNS does not have the zone.
	ErrUnknownZone = errors.New("no such zone in PowerDNS")
	// ErrUnavailable: pdnsutil, pdns_control or a name server could not be
	// reached or did not answer in time; trying again may help.
	ErrUnavailable = errors.New("not available")
	// ErrRefused: it was asked for something that would not be safe, or makes
	// no sense in the present state.
	ErrRefused = errors.New("refused")
	// ErrUnnamed: the configuration does not name the zone among those that may
	// be written into.
	ErrUnnamed = errors.New("not named in the configuration")
	// ErrSynthesised: PowerDNS makes the records by itself.
	ErrSynthesised = errors.New("PowerDNS makes them by itself")
)

// Unsavable is one zone whose state cannot be saved, whatever becomes of the
// others, none of which was saved either.
type Unsavable struct {
	Zone string
	Err  error
}

func (u Unsavable) Error() string {
	return fmt.Sprintf("saving the state of %s: %v: nothing is done for this zone until it can be saved", u.Zone, u.Err)
}

// Unwrap is why it cannot be saved.
func (u Unsavable) Unwrap() error { return u.Err }
