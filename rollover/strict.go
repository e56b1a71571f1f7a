package rollover

import "slices"

// A validator may accept any one path from the DS set to the keys (RFC 6840
// section 5.11), and there are some that do not: they count the records of the
// strongest digest type alone, and want a path for every algorithm that those
// have (unbound with harden-algo-downgrade). What nobody knows, neither counts:
// an algorithm or a digest type without a validator for it is as if it were not
// there (RFC 4035 section 5.2).

// counted is the records of a DS set that a strict validator counts.
func counted(set []DS) []DS {
	known := slices.DeleteFunc(slices.Clone(set), func(d DS) bool {
		return !slices.Contains([]uint8{1, 2, 4}, d.DigestType) || !slices.Contains([]uint8{5, 7, 8, 10, 13, 14, 15, 16}, d.Algorithm)
	})
	strongest := uint8(0)
	for _, d := range known {
		strongest = max(strongest, d.DigestType)
	}
	return slices.DeleteFunc(known, func(d DS) bool { return d.DigestType != strongest })
}

// Unfollowed is the records of a DS set for whose sake a strict validator
// refuses a DNSKEY set: those that it counts, of each algorithm that no path
// begins with. None: it accepts the set, or there is nothing that it knows.
func Unfollowed(zone string, set []DS, keys KeyVersion) []DS {
	counts := counted(set)
	var followed []uint8
	for _, d := range counts {
		if slices.ContainsFunc(keys.Signers, func(k DNSKEY) bool { return slices.Contains(keys.Keys, k) && d.isOf(zone, k) }) {
			followed = append(followed, d.Algorithm)
		}
	}
	return slices.DeleteFunc(counts, func(d DS) bool { return slices.Contains(followed, d.Algorithm) })
}

// isOf says whether a DS is a right one of a key.
func (d DS) isOf(zone string, k DNSKEY) bool {
	want, err := k.DS(zone, d.DigestType)
	return err == nil && want == d
}
