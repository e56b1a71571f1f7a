package pdns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rollover/rollover"
)

// Signals writes signalling records (RFC 9615) into zones of a PowerDNS.
type Signals struct {
	*Tool
	// Zones are those that may be written into, as they are stored; no others.
	Zones []string
	// Turn is held for the whole of a change, see Parent.
	Turn sync.Locker
}

// metaSignaling marks a zone in which PowerDNS 5 makes the signalling records of
// all its zones by itself, when it is asked for them.
const metaSignaling = "SIGNALING-ZONE"

// signalTTL is that of signalling records, in seconds: short, for they are there
// for a short time.
const signalTTL uint32 = 300

// Write makes the CDS and CDNSKEY records of a signalling name those given, none
// if there are none, in the nearest zone that this PowerDNS has for it, and says
// which that is, and whether something had to be changed. It wraps ErrUnknownZone
// when there is none, ErrUnnamed when it is not one of Zones, ErrSynthesised when it
// makes such records by itself, and ErrRefused when it must not or need not be
// changed: it is a secondary here, delegates the name to others, or is not signed.
func (s *Signals) Write(ctx context.Context, name string, cds, cdnskey []string) (zone string, changed bool, err error) {
	if name, err = rollover.ParseZone(name); err != nil {
		return "", false, err
	}
	done, err := turn(ctx, s.Turn)
	if err != nil {
		return "", false, err
	}
	defer done()
	inv, err := s.holder(ctx, name)
	switch {
	case errors.Is(err, rollover.ErrSynthesised):
		return inv.Zone, false, err
	case err != nil:
		return "", false, err
	}
	was, err := s.signals(ctx, inv.Zone, name)
	if err != nil {
		return inv.Zone, false, err
	}
	want := signalSet{"CDS": normal("CDS", cds), "CDNSKEY": normal("CDNSKEY", cdnskey)}
	ctx = context.WithoutCancel(ctx) // see Parent
	for rrtype, data := range want {
		if slices.Equal(was[rrtype], data) {
			continue
		}
		if changed, err = true, s.set(ctx, inv.Zone, name, rrtype, data); err != nil {
			return inv.Zone, true, err
		}
	}
	if !changed && len(cds) == 0 {
		return inv.Zone, false, nil
	}
	// The rest is done anew at each try: an earlier one may have died before it.
	return inv.Zone, changed, s.show(ctx, inv)
}

// holder is the zone that has a signalling name, or is to have it.
func (s *Signals) holder(ctx context.Context, name string) (rollover.Inventory, error) {
	_, domain, found := strings.Cut(name, "._signal.")
	if !found {
		return rollover.Inventory{}, fmt.Errorf("%w: %s is no signalling name", rollover.ErrRefused, name)
	}
	if !slices.ContainsFunc(s.Zones, func(zone string) bool { return strings.HasSuffix("._signal."+domain, "."+zone) }) {
		return rollover.Inventory{}, fmt.Errorf("%w: no zone of %s is", rollover.ErrUnnamed, name)
	}
	inv, err := s.nearest(ctx, "_signal."+domain)
	switch {
	case err != nil:
		return inv, err
	case slices.Contains(inv.Metadata[metaSignaling], "1"):
		return inv, fmt.Errorf("%w: in zone %s", rollover.ErrSynthesised, inv.Zone)
	case !slices.Contains(s.Zones, inv.Zone):
		return rollover.Inventory{}, fmt.Errorf("%w: %s", rollover.ErrUnnamed, inv.Zone)
	}
	inv, err = changeable(inv, nil)
	if err == nil && !slices.ContainsFunc(inv.Keys, func(k rollover.Key) bool { return k.Active && k.Published }) {
		err = fmt.Errorf("%w: the zone %s is not signed, so nobody would believe what it signals", rollover.ErrRefused, inv.Zone)
	}
	return inv, err
}

// Prepare raises the serials of those of Zones that this PowerDNS has, to see whether
// records can be written into them.
func (s *Signals) Prepare(ctx context.Context) error {
	done, err := turn(ctx, s.Turn)
	if err != nil {
		return err
	}
	defer done()
	for _, zone := range s.Zones {
		_, err := s.Inventory(ctx, zone)
		if errors.Is(err, rollover.ErrUnknownZone) {
			continue
		}
		if err == nil {
			err = s.Writable(ctx, zone)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// signalSet is the data of the records of a name by type, sorted.
type signalSet map[string][]string

// signals is the signalling records of a name as they are stored in a zone.
func (s *Signals) signals(ctx context.Context, zone, name string) (signalSet, error) {
	above := func(r record) bool { return r.typ == "NS" && r.name != zone && strings.HasSuffix("."+name, "."+r.name) }
	records, err := s.records(ctx, zone, func(r record) bool { return r.name == name || above(r) })
	if err != nil {
		return nil, err
	}
	out := signalSet{}
	for _, r := range records {
		switch {
		case above(r):
			return nil, fmt.Errorf("%w: the zone %s delegates %s to other servers: put them in there", rollover.ErrRefused, zone, r.name)
		case r.name == name:
			out[r.typ] = append(out[r.typ], r.content)
		}
	}
	for rrtype, data := range out {
		out[rrtype] = normal(rrtype, data)
	}
	return out, nil
}

// normal is record data as they can be compared: digests and keys without white
// space, digests in capitals.
func normal(rrtype string, data []string) []string {
	var out []string
	for _, text := range data {
		fields := strings.Fields(text)
		if len(fields) < 4 {
			out = append(out, text)
			continue
		}
		last := strings.Join(fields[3:], "")
		if ds, err := parseDS(text); err == nil && rrtype == "CDS" {
			last = ds.Digest
		}
		out = append(out, strings.Join(append(fields[:3:3], last), " "))
	}
	slices.Sort(out)
	return out
}

// set replaces one set and reads it back.
func (s *Signals) set(ctx context.Context, zone, name, rrtype string, data []string) error {
	call, err := s.replace(ctx, zone, name, rrtype, signalTTL, data)
	if err != nil {
		return err
	}
	seen, err := s.shown(func() (bool, error) {
		now, err := s.signals(ctx, zone, name)
		return slices.Equal(now[rrtype], data), err
	})
	if err == nil && !seen {
		return call.unseen("list-zone does not show the records")
	}
	return err
}
