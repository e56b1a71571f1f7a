package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// oddLayout names keys that a zone can have for good and that are no half-done
// rollover: all sign and are published, and those of some algorithm have no SEP
// flag, as with a KSK of one algorithm and a ZSK of another. It says what PowerDNS
// makes of them (RoleOf), and how to get out; empty for all other keys.
func oddLayout(zone string, keys []Key) string {
	if slices.ContainsFunc(keys, func(k Key) bool { return !k.Active || !k.Published }) {
		return ""
	}
	var stray, entries []Key
	for _, k := range keys {
		if k.Flags == FlagsKSK {
			entries = append(entries, k)
		}
		if !slices.ContainsFunc(keys, func(o Key) bool { return o.Algorithm == k.Algorithm && o.Flags == FlagsKSK }) {
			stray = append(stray, k)
		}
	}
	if len(stray) == 0 || len(entries) == 0 {
		return ""
	}
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = k.byAlgorithm()
	}
	out := fmt.Sprintf("its keys have several algorithms, %s: with no KSK of its algorithm beside it PowerDNS uses a ZSK as a CSK, which signs everything, and that is a layout of its own, no half-done algorithm rollover; "+
		"to have keys of one algorithm, if the parent has a DS of %s", strings.Join(words, " and "), keyNames(entries))
	for _, k := range stray {
		out += ": " + unpublishing(zone, k)
	}
	return out
}

// byAlgorithm names a key by what it was made as, its flags, and its algorithm.
func (k Key) byAlgorithm() string {
	as := map[uint16]string{FlagsKSK: "KSK", FlagsZSK: "ZSK"}[k.Flags]
	return fmt.Sprintf("a %s of algorithm %d (tag %d, id %d, flags %d)", as, k.Algorithm, k.Tag, k.ID, k.Flags)
}

// unpublishing is how a key of an algorithm that is to go is taken out by hand, in
// the order of an algorithm rollover: out of the DNSKEY set first.
func unpublishing(zone string, k Key) string {
	return fmt.Sprintf("`pdnsutil unpublish-zone-key %s %d`; `pdnsutil increase-serial %s`; when every name server has shown the DNSKEY set without it for twice its TTL and an hour, `pdnsutil remove-zone-key %s %d`", zone, k.ID, zone, zone, k.ID)
}

// withoutSEP refuses to go on from a CSK without the SEP flag by keys of the same
// algorithm: beside an active key that has the flag PowerDNS takes it for a ZSK, in
// the middle of the rollover; and a new key like it would be the only entry point.
func withoutSEP(zone string, k Key) error {
	if k.Flags == FlagsKSK {
		return nil
	}
	return fmt.Errorf("%w: %v of %s has flags %d, without the SEP flag: a key like it never becomes the only entry point, and beside a key with flags 257 PowerDNS takes it for a ZSK: use another algorithm, by which it is left safely: `rollover start %s --type algorithm --algorithm NAME`", ErrRefused, k, zone, k.Flags, zone)
}
