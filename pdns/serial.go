package pdns

import (
	"context"
	"errors"
	"fmt"

	"rollover/rollover"
)

// BumpSerial raises the zone's SOA serial with increase-serial, or, where the back end
// does not store records (bind), with the command Serial, and returns the new one: the
// serial in the database, before SOA-EDIT. After 4294967295 comes 0. It wraps
// ErrRefused when the back end cannot and there is no command.
func (t *Tool) BumpSerial(ctx context.Context, zone string) (uint32, error) {
	serial, err := t.increaseSerial(ctx, zone)
	if errors.Is(err, errNoRecords) && len(t.Serial) > 0 {
		return t.serialByCommand(ctx, zone)
	}
	return serial, err
}

func (t *Tool) increaseSerial(ctx context.Context, zone string) (uint32, error) {
	name, err := rollover.ParseZone(zone)
	if err != nil {
		return 0, err
	}
	c := t.pdnsutil(name, "--", "increase-serial", plain(name))
	out, err := t.run(ctx, c, outputLimit)
	if err != nil {
		return 0, err
	}
	serial, err := parseSerial(name, out.stdout)
	if err != nil {
		return 0, c.misread(err, out)
	}
	return serial, nil
}

// serialByCommand believes list-zone, not the command.
func (t *Tool) serialByCommand(ctx context.Context, zone string) (uint32, error) {
	before, err := t.Contents(ctx, zone)
	if err != nil {
		return 0, err
	}
	name, err := rollover.ParseZone(zone)
	if err != nil {
		return 0, err
	}
	c := t.call(name, remedyTimeout, t.Serial, []string{plain(name)})
	out, err := t.run(ctx, c, outputLimit)
	if err != nil {
		return 0, err
	}
	after, err := t.Contents(ctx, zone)
	if err != nil {
		return 0, err
	}
	if int32(after.Serial-before.Serial) <= 0 { // RFC 1982 section 3.2
		return 0, c.unraised(fmt.Errorf("list-zone shows serial %d, and %d before", after.Serial, before.Serial), out)
	}
	return after.Serial, nil
}

// unraised is the error of a command Serial that ended well and did nothing.
func (c call) unraised(cause error, out output) *Error {
	e := c.misread(cause, out)
	e.Remedy = "run it by hand: it must raise the SOA serial of the zone in its file, and have pdns_server load it"
	return e
}

// Writable says whether the back end takes records of a zone, by raising its serial
// once. It wraps ErrRefused when it does not.
func (t *Tool) Writable(ctx context.Context, zone string) error {
	_, err := t.increaseSerial(ctx, zone)
	return err
}
