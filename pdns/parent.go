package pdns

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"rollover/rollover"
)

// Parent is the pdnsutil driver: the parent zone is on a PowerDNS that pdnsutil
// reaches, and the DS records are written into it.
type Parent struct {
	*Tool
	Zone string // the parent zone; empty: the nearest one above that this PowerDNS has
	TTL  uint32 // seconds, of DS records where there are none yet; 3600 if zero
	// Turn is held for the whole of a change: increase-serial loses updates when
	// it is run twice at once for one zone (pdnsutil 4.7 to 5.1).
	Turn sync.Locker
}

var (
	_ rollover.Registrar = (*Parent)(nil)
	_ rollover.Preparer  = (*Parent)(nil)
)

const defaultDSTTL uint32 = 3600

// Submit writes the DS records. Single records are added and removed: what is
// there beside them stays.
func (p *Parent) Submit(ctx context.Context, c rollover.Change) rollover.Answer {
	text, err := p.submit(ctx, c)
	switch {
	case err == nil:
		return rollover.Answer{State: rollover.SubmissionAccepted, Text: text}
	case errors.Is(err, rollover.ErrUnavailable):
		return rollover.Answer{State: rollover.SubmissionLater, Text: err.Error()}
	}
	return rollover.Answer{State: rollover.SubmissionFailed, Text: err.Error()}
}

func (p *Parent) submit(ctx context.Context, c rollover.Change) (string, error) {
	done, err := turn(ctx, p.Turn)
	if err != nil {
		return "", err
	}
	defer done()
	inv, err := p.parentOf(ctx, c.Zone)
	if err != nil {
		return "", err
	}
	was, err := p.readDS(ctx, inv.Zone, c.Zone)
	if err != nil {
		return "", err
	}
	want := was.changed(c)
	// Once begun it is not interrupted: a zone that is changed and not rectified
	// is worse than a late exit.
	ctx = context.WithoutCancel(ctx)
	if !slices.Equal(want, was.set) {
		if err := p.writeDS(ctx, inv.Zone, c.Zone, was.ttl(p.TTL), want); err != nil {
			return "", err
		}
	}
	// The rest is done anew at each try: an earlier one may have died before it.
	return "written into zone " + inv.Zone, p.show(ctx, inv)
}

// Prepare raises the serial of the parent zone, to see whether records can be
// written into it.
func (p *Parent) Prepare(ctx context.Context, zone, _ string) error {
	done, err := turn(ctx, p.Turn)
	if err != nil {
		return err
	}
	defer done()
	inv, err := p.parentOf(ctx, zone)
	if err != nil {
		return err
	}
	return p.Writable(ctx, inv.Zone)
}

// turn waits for the turn of a change, and gives it back with done. A change whose
// time was up meanwhile is not begun: nobody waits for it any more, and it may be
// wanted no more.
func turn(ctx context.Context, of sync.Locker) (done func(), err error) {
	of.Lock()
	if ctx.Err() != nil {
		of.Unlock()
		return nil, fmt.Errorf("%w: %w", rollover.ErrUnavailable, context.Cause(ctx))
	}
	return of.Unlock, nil
}

// parentOf is the parent zone as this PowerDNS has it.
func (p *Parent) parentOf(ctx context.Context, zone string) (rollover.Inventory, error) {
	if p.Zone != "" {
		return changeable(p.Inventory(ctx, p.Zone))
	}
	inv, err := changeable(p.nearest(ctx, parentOf(zone)))
	if errors.Is(err, rollover.ErrUnknownZone) {
		err = fmt.Errorf("%w: this PowerDNS has no zone above it: set pdnsutil.zone", rollover.ErrUnknownZone)
	}
	return inv, err
}

// nearest is the first zone that this PowerDNS has of a name and those above it,
// the root excepted.
func (t *Tool) nearest(ctx context.Context, name string) (rollover.Inventory, error) {
	for ; name != "."; name = parentOf(name) {
		inv, err := t.Inventory(ctx, name)
		if !errors.Is(err, rollover.ErrUnknownZone) {
			return inv, err
		}
	}
	return rollover.Inventory{}, fmt.Errorf("%w: this PowerDNS has no zone for it", rollover.ErrUnknownZone)
}

// changeable lets a zone through whose records can be changed here.
func changeable(inv rollover.Inventory, err error) (rollover.Inventory, error) {
	if err == nil && (inv.Presigned || inv.Kind == rollover.KindSlave || inv.Kind == rollover.KindConsumer) {
		err = fmt.Errorf("%w: the zone %s is presigned or a secondary here: change it on its primary", rollover.ErrRefused, inv.Zone)
	}
	return inv, err
}

// delegation is the DS set of a zone as it is stored at the parent.
type delegation struct {
	set    []rollover.DS // sorted as they are printed
	dsTTL  uint32
	exists bool // there are NS records
}

func (p *Parent) readDS(ctx context.Context, parent, zone string) (delegation, error) {
	records, err := p.records(ctx, parent, func(r record) bool { return r.name == zone && (r.typ == "NS" || r.typ == "DS") })
	if err != nil {
		return delegation{}, err
	}
	var d delegation
	for _, r := range records {
		d.exists = d.exists || r.typ == "NS"
		if r.typ != "DS" {
			continue
		}
		ds, err := parseDS(r.content)
		if err != nil {
			return d, err
		}
		d.set, d.dsTTL = append(d.set, ds), max(d.dsTTL, r.ttl)
	}
	if !d.exists {
		return d, fmt.Errorf("%w: zone %s has no delegation (NS records) of %s", rollover.ErrRefused, parent, zone)
	}
	d.sort()
	return d, nil
}

// parseDS reads a DS record as list-zone prints it.
func parseDS(content string) (rollover.DS, error) {
	fields := strings.Fields(content)
	if len(fields) < 4 {
		return rollover.DS{}, fmt.Errorf("the DS record has %d fields, not 4: %q", len(fields), content)
	}
	tag, err1 := strconv.ParseUint(fields[0], 10, 16)
	algorithm, err2 := strconv.ParseUint(fields[1], 10, 8)
	digestType, err3 := strconv.ParseUint(fields[2], 10, 8)
	if err := errors.Join(err1, err2, err3); err != nil {
		return rollover.DS{}, fmt.Errorf("the DS record has an impossible number: %q: %w", content, err)
	}
	digest := strings.ToUpper(strings.Join(fields[3:], ""))
	if _, err := hex.DecodeString(digest); err != nil {
		return rollover.DS{}, fmt.Errorf("the digest of the DS record is not hex: %q", content)
	}
	return rollover.DS{Tag: uint16(tag), Algorithm: uint8(algorithm), DigestType: uint8(digestType), Digest: digest}, nil
}

func (d *delegation) sort() {
	slices.SortFunc(d.set, func(a, b rollover.DS) int { return strings.Compare(a.String(), b.String()) })
}

// changed is the set as the change wants it.
func (d delegation) changed(c rollover.Change) []rollover.DS {
	out := delegation{set: slices.DeleteFunc(slices.Clone(d.set), func(ds rollover.DS) bool { return slices.Contains(c.Remove, ds) })}
	for _, ds := range c.Add {
		if !slices.Contains(out.set, ds) {
			out.set = append(out.set, ds)
		}
	}
	out.sort()
	return out.set
}

func (d delegation) ttl(usual uint32) uint32 {
	if len(d.set) > 0 {
		return d.dsTTL
	}
	return cmp.Or(usual, defaultDSTTL)
}

// writeDS replaces the DS set and reads it back: exit codes are not believed.
func (p *Parent) writeDS(ctx context.Context, parent, zone string, ttl uint32, set []rollover.DS) error {
	var data []string
	for _, ds := range set {
		data = append(data, ds.String())
	}
	call, err := p.replace(ctx, parent, zone, "DS", ttl, data)
	if err != nil {
		return err
	}
	seen, err := p.shown(func() (bool, error) {
		now, err := p.readDS(ctx, parent, zone)
		return slices.Equal(now.set, set), err
	})
	if err == nil && !seen {
		return call.unseen("list-zone does not show the DS records")
	}
	return err
}

// replace runs replace-rrset, or delete-rrset where there are no data. Whoever
// calls it reads back, and says with the call what was run. ttl is in seconds.
func (t *Tool) replace(ctx context.Context, zone, name, rrtype string, ttl uint32, data []string) (call, error) {
	owner, err := t.owner(ctx, zone, name)
	if err != nil {
		return call{}, err
	}
	args := []string{"--", "delete-rrset", plain(zone), owner, rrtype}
	if len(data) > 0 {
		args[1] = "replace-rrset"
		args = append(append(args, strconv.FormatUint(uint64(ttl), 10)), data...)
	}
	c := t.pdnsutil(zone, args...)
	_, err = t.run(ctx, c, outputLimit)
	return c, err
}

// owner is a name as pdnsutil takes it for a record: relative to the zone up to
// 4.x, absolute from 5.x on; each takes the other for another name.
func (t *Tool) owner(ctx context.Context, parent, name string) (string, error) {
	version, err := t.Version(ctx)
	if err != nil {
		return "", err
	}
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return "", fmt.Errorf("the version of pdnsutil is not understood: %q", version)
	}
	if n >= 5 {
		return name, nil
	}
	if parent == "." {
		return plain(name), nil
	}
	return strings.TrimSuffix(name, "."+parent), nil
}

// show makes the running server and its secondaries show the change.
func (t *Tool) show(ctx context.Context, inv rollover.Inventory) error {
	if err := t.Rectify(ctx, inv.Zone); err != nil {
		return err
	}
	return t.announce(ctx, inv)
}
