package rollover

import "errors"

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
)
