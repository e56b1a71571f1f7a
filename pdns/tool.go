// Package pdns is the hands of rollover: it turns a rollover.Command into a
// command line of pdnsutil or pdns_control, runs it, and turns what was
// printed into keys. It decides nothing, logs nothing, and never asks for a
// private key.
//
// The old command names (show-zone, add-zone-key) are used on every version,
// because pdnsutil 4.7 to 5.1 accepts them without a word, and 4.x knows no
// other. Exit codes are not believed: several commands return 0 and do nothing.
package pdns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollover/rollover"
)

// Tool is the pdnsutil and pdns_control of one PowerDNS configuration. It
// holds no state; its methods may be called concurrently, but for one zone
// only one at a time (increase-serial loses updates, pdnsutil 4.7 to 5.1).
type Tool struct {
	// Command is how pdnsutil is started: {"pdnsutil"}, or the argument vector
	// of ssh, docker or kubectl that ends in it. It is looked up in the PATH
	// of this process; no shell is involved on this side.
	Command []string
	// Control is the same for pdns_control; empty when no running server can
	// be reached from here.
	Control []string
	// FrontEnds are the same for further servers on the same database. Each
	// is complete: ConfigDir and ConfigName are not added to it. They are
	// purged like the one of Control, which alone is told to notify.
	FrontEnds [][]string
	// Shells are the programs that join their words with spaces and let a
	// shell take them apart again, such as ssh. What is added to a command
	// with one of them is quoted for that shell.
	Shells []string

	ConfigDir  string // --config-dir of Command and Control, left out when empty
	ConfigName string // --config-name of both, left out when empty

	// Timeout is how long one command may take, 60 s when zero. pdnsutil
	// itself waits for ever on a locked database.
	Timeout time.Duration
	// LongTimeout is the same for list-zone and rectify-zone, which touch every
	// record of a zone: 10 minutes when zero, or Timeout if that is longer.
	LongTimeout time.Duration

	// Serial is a command that raises the SOA serial of a zone where pdnsutil cannot,
	// the zone without a trailing dot added as its last word; empty for none.
	Serial []string

	// Inherit is held open by each command, nil for nothing. With a file that
	// is locked, a command that outlives us, because we were killed, keeps the
	// lock: nobody acts beside it.
	Inherit *os.File

	// After is time.After, for what a command did and does not show at once; nil is
	// no patience.
	After func(time.Duration) <-chan time.Time

	// Slots has room for as many commands as may run at once; nil is no limit.
	Slots chan struct{}
	// LongSlots is the same for list-zone and rectify-zone, which take room in both:
	// with fewer than Slots there is always room for a short command.
	LongSlots chan struct{}

	// Waiting is called from another goroutine, with what is waited for in words and
	// how long so far, when a command takes longer than Patience (5 s when zero), and
	// again every 30 s; nil for nobody.
	Waiting  func(doing string, sofar time.Duration)
	Patience time.Duration
}

var _ rollover.Signer = (*Tool)(nil)

// Limits of what one command may print to one stream, in bytes.
const (
	outputLimit = 1 << 20
	zonesLimit  = 64 << 20 // list-all-zones prints every zone
)

// Version is the version of pdnsutil, "4.7.3". It needs no configuration, so
// it says only that the command can be run.
func (t *Tool) Version(ctx context.Context) (string, error) {
	c := t.pdnsutil("", "--version")
	out, err := t.run(ctx, c, outputLimit)
	if err != nil {
		return "", err
	}
	version, err := parseVersion(out.stdout)
	if err != nil {
		return "", c.misread(err, out)
	}
	return version, nil
}

// Zones runs list-all-zones, which leaves out zones without an SOA. Names that
// rollover takes for no zone come back in odd, with what is not a plain character
// of ASCII as \DDD (RFC 1035, section 5.1).
func (t *Tool) Zones(ctx context.Context) (zones, odd []string, err error) {
	c := t.pdnsutil("", "--", "list-all-zones")
	out, err := t.run(ctx, c, zonesLimit)
	if err != nil {
		return nil, nil, err
	}
	zones, odd = parseZoneList(out.stdout)
	return zones, odd, nil
}

// Catalogs runs list-all-zones for the kinds of catalog zones (RFC 9432): their names are
// delegated nowhere, and nobody is asked for them but PowerDNS itself.
func (t *Tool) Catalogs(ctx context.Context) ([]string, error) {
	var all []string
	for _, kind := range []string{rollover.KindProducer, rollover.KindConsumer} {
		out, err := t.run(ctx, t.pdnsutil("", "--", "list-all-zones", strings.ToLower(kind)), zonesLimit)
		if err != nil {
			return nil, err
		}
		zones, _ := parseZoneList(out.stdout)
		all = append(all, zones...)
	}
	return all, nil
}

// Inventory runs show-zone, the only command that prints flags, algorithm
// numbers, ids and public keys together, and export-zone-dnskey for a ZSK that
// is not published: show-zone does not print its public key, nor does any server.
func (t *Tool) Inventory(ctx context.Context, zone string) (rollover.Inventory, error) {
	name, err := rollover.ParseZone(zone)
	if err != nil {
		return rollover.Inventory{}, err
	}
	c := t.pdnsutil(name, "--", "show-zone", plain(name))
	out, err := t.run(ctx, c, outputLimit)
	if err != nil {
		return rollover.Inventory{}, err
	}
	inv, err := parseInventory(name, out.stdout, out.stderr)
	if err != nil {
		return rollover.Inventory{}, c.misread(err, out)
	}
	for i, k := range inv.Keys {
		if k.PublicKey != "" || k.Published {
			continue
		}
		if inv.Keys[i].PublicKey, err = t.publicKey(ctx, name, k); err != nil {
			return rollover.Inventory{}, err
		}
	}
	return inv, nil
}

// publicKey runs export-zone-dnskey, which prints nothing secret.
func (t *Tool) publicKey(ctx context.Context, name string, k rollover.Key) (string, error) {
	c := t.pdnsutil(name, "--", "export-zone-dnskey", plain(name), strconv.Itoa(k.ID))
	out, err := t.run(ctx, c, outputLimit)
	if err != nil {
		return "", err
	}
	public, err := parsePublicKey(name, k, out.stdout)
	if err != nil {
		return "", c.misread(err, out)
	}
	return public, nil
}

// Rectify runs rectify-zone.
func (t *Tool) Rectify(ctx context.Context, zone string) error {
	name, err := rollover.ParseZone(zone)
	if err != nil {
		return err
	}
	_, err = t.run(ctx, t.pdnsutil(name, "--", "rectify-zone", plain(name)), outputLimit)
	return err
}

// Contents runs list-zone. Disabled records are not in it.
func (t *Tool) Contents(ctx context.Context, zone string) (rollover.Contents, error) {
	name, err := rollover.ParseZone(zone)
	if err != nil {
		return rollover.Contents{}, err
	}
	c := newContents(name)
	if err := t.listZone(ctx, name, c); err != nil {
		return rollover.Contents{}, err
	}
	return c.told()
}

// Do runs the one command that changes the key. An error does not say that
// nothing was changed, and nil does not say that something was: Inventory does.
func (t *Tool) Do(ctx context.Context, zone string, change rollover.Command) error {
	name, operands, err := changeArgs(zone, change)
	if err != nil {
		return err
	}
	c := t.pdnsutil(name, append([]string{"--"}, operands...)...)
	out, err := t.run(ctx, c, outputLimit)
	if err != nil || change.Verb != rollover.VerbCreate {
		return err
	}
	// add-zone-key returns 0 for a zone that does not exist; only a printed
	// id says that there is a key (pdnsutil 4.7 to 5.1).
	if _, err := parseNewID(out.stdout); err != nil {
		return c.misread(err, out)
	}
	return nil
}

// Explain is the command line that Do would run, quoted for a shell; a shell
// comment when Do would refuse.
func (t *Tool) Explain(zone string, change rollover.Command) string {
	name, operands, err := changeArgs(zone, change)
	if err != nil {
		return "# " + err.Error()
	}
	return quoteAll(t.pdnsutil(name, append([]string{"--"}, operands...)...).argv)
}

// Refresh runs one `pdns_control purge` for all zones, those in notify
// included, on every front end, and then one `pdns_control notify` for each
// zone in notify on the first. When a purge fails nobody is notified: a
// secondary that reads the old serial from a packet cache misses the change
// until its SOA refresh timer (PowerDNS 4.7 to 5.1), and it may ask any front
// end. A failed purge does not keep the other front ends from being purged, nor
// a failed notify the others from being sent; all failures are returned together.
func (t *Tool) Refresh(ctx context.Context, zones, notify []string) error {
	if len(t.Control) == 0 {
		return nil
	}
	names, err := parseZones(slices.Concat(zones, notify))
	if err != nil {
		return err
	}
	if err := t.purge(ctx, names); err != nil {
		return err
	}
	told, err := parseZones(notify)
	if err != nil {
		return err
	}
	var failed []error
	for _, name := range told {
		failed = append(failed, t.notify(ctx, name))
	}
	return errors.Join(failed...)
}

// purge makes each server forget each zone and everything below it. Without an
// operand pdns_control would empty the whole cache, so none is run.
func (t *Tool) purge(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	operands := []string{"--", "purge"}
	for _, name := range names {
		// The dollar sign means "and below": packets of other names of the
		// zone would live on for up to 20 s without it.
		operands = append(operands, plain(name)+"$")
	}
	about := strings.Join(names, " ")
	failed := []error{t.purgeOne(ctx, t.control(about, operands...))}
	for _, frontEnd := range t.FrontEnds {
		failed = append(failed, t.purgeOne(ctx, t.call(about, remedyDeaf, frontEnd, operands)))
	}
	return errors.Join(failed...)
}

func (t *Tool) purgeOne(ctx context.Context, c call) error {
	out, err := t.run(ctx, c, outputLimit)
	if err != nil {
		return err
	}
	if !isNumber(lastLine(out.stdout)) { // noise of a wrapper may come first
		return c.misread(fmt.Errorf("purge answered %q, not a number", lastLine(out.stdout)), out)
	}
	return nil
}

func (t *Tool) notify(ctx context.Context, name string) error {
	c := t.control(name, "--", "notify", plain(name))
	out, err := t.run(ctx, c, outputLimit)
	if err != nil {
		return err
	}
	if !notifyDone.MatchString(lastLine(out.stdout)) {
		return c.refusedNotify(out)
	}
	return nil
}

// parseZones checks zone names and leaves out repetitions.
func parseZones(zones []string) ([]string, error) {
	var out []string
	for _, zone := range zones {
		name, err := rollover.ParseZone(zone)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
