package rollover

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Strays are what stands in a zone's own records and gets in the way of a rollover.
type Strays struct {
	// Keys are DNSKEY records: with direct-dnskey=yes PowerDNS serves them beside
	// the keys that it has, and they stay when a key goes.
	Keys []DNSKEY `json:"keys,omitempty"`
	// Unreadable are RRsets with content that PowerDNS cannot read: asked for one
	// it answers SERVFAIL, and every transfer of the zone ends there.
	Unreadable []Sample `json:"unreadable,omitempty"`
	// Absolute: pdnsutil takes the names of records absolute (from 5.0 on), not
	// relative to the zone.
	Absolute bool `json:"absolute,omitempty"`
}

// of is the DNSKEY records that are of one of the keys.
func (s Strays) of(keys []Key) []DNSKEY {
	var out []DNSKEY
	for _, d := range s.Keys {
		if slices.ContainsFunc(keys, func(k Key) bool { return k.Matches(d) }) {
			out = append(out, d)
		}
	}
	return out
}

// takeOut is the commands that take DNSKEY records out of a zone and leave the
// others, which another signer may need.
func (s Strays) takeOut(zone string, unwanted []DNSKEY) string {
	zone = bare(zone)
	apex := "@"
	if s.Absolute {
		apex = zone
	}
	command := fmt.Sprintf("pdnsutil delete-rrset %s %s DNSKEY", zone, apex)
	rest := slices.DeleteFunc(slices.Clone(s.Keys), func(d DNSKEY) bool { return slices.Contains(unwanted, d) })
	if len(rest) > 0 {
		command = fmt.Sprintf("pdnsutil replace-rrset %s %s DNSKEY", zone, apex)
		for _, d := range rest {
			command += fmt.Sprintf(" '%v'", d)
		}
	}
	return fmt.Sprintf("%s; pdnsutil increase-serial %[2]s; pdns_control purge %[2]s$; pdns_control notify %[2]s", command, zone)
}

// leftBehind says that a key which goes would stay as a record, so that no server
// ever stops to show it.
func (r *Roll) leftBehind(s Strays) error {
	found := s.of(r.Old)
	if r.Type == "unsign" {
		found = s.Keys // nothing is to be left
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s: expected no DNSKEY record of a key that goes in the zone's own records, found DNSKEY %s in PowerDNS' database: with direct-dnskey=yes it is served for ever: %s",
		ErrRefused, r.Zone, keyTags(found), s.takeOut(r.Zone, found))
}

// recount reads the zone's records again while a server is behind for long: what
// came in since may be why.
func (v *visit) recount(ctx context.Context) {
	c, err := v.engine.Signer.Contents(ctx, v.dossier.Zone)
	if err != nil {
		v.fail(fmt.Errorf("reading the records of %s to see why a server is behind: %w", v.dossier.Zone, err))
		return
	}
	v.roll.Strays, v.dirty = c.Strays, true
}

// unreadable is what to do about records that PowerDNS cannot read, and empty
// when there are none.
func (s Strays) unreadable(zone string) string {
	if len(s.Unreadable) == 0 {
		return ""
	}
	var names []string
	for _, u := range s.Unreadable[:min(3, len(s.Unreadable))] {
		names = append(names, u.Name+" "+u.Type)
	}
	return cannotServe(zone, strings.Join(names, ", "))
}

// cannotServe is what to do about records that are answered with SERVFAIL.
func cannotServe(zone, records string) string {
	return fmt.Sprintf("PowerDNS cannot serve %s (SERVFAIL): pdnsutil check-zone %s says what is wrong with it; mend or delete it: such a record ends every transfer", records, bare(zone))
}
