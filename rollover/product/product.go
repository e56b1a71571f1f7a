// Package product asks the last question before a step that takes something
// away: of everything that caches may hold at the same moment, is there a
// combination that does not validate? RRsets are cached one by one, from any
// server, so it is the full product of all versions that may live
// (docs/decides.md). It knows nothing of rollovers, steps, waits or time, so a
// mistake there cannot by itself break a zone.
package product

import (
	"fmt"
	"slices"
	"strings"

	"rollover/rollover"
)

// Check is the combinations that fail, in words, the most telling first; none
// when any DS set, any DNSKEY set and any data may meet. Without a DS set
// nothing in the zone can be bogus (RFC 4035 section 5.2).
// What a strict validator follows to some of the DNSKEY sets it must follow to
// all; a DS set that it follows to none is nothing that waiting would mend.
func Check(c rollover.Cached) []string {
	sets := slices.DeleteFunc(slices.Clone(c.DS), func(v rollover.DSVersion) bool { return len(v.Set) == 0 })
	if len(sets) == 0 {
		return nil
	}
	var out []string
	for _, ds := range sets {
		followed := slices.ContainsFunc(c.Keys, func(keys rollover.KeyVersion) bool { return len(rollover.Unfollowed(c.Zone, ds.Set, keys)) == 0 })
		for _, keys := range c.Keys {
			switch {
			case !rollover.Chained(c.Zone, ds.Set, keys):
				out = add(out, fmt.Sprintf("DS %s with %s", dsWords(ds), keyWords(keys)))
			case followed && len(rollover.Unfollowed(c.Zone, ds.Set, keys)) > 0:
				out = add(out, fmt.Sprintf("DS %s with %s, for validators that count only the strongest digest type and want every algorithm of it", dsWords(ds), keyWords(keys)))
			}
		}
	}
	for _, keys := range c.Keys {
		for _, data := range c.Data {
			if !rollover.Covered(keys, data) {
				out = add(out, fmt.Sprintf("%s with data %s", keyWords(keys), dataWords(data)))
			}
		}
	}
	if len(c.Keys) == 0 || len(c.Data) == 0 {
		out = add(out, "nothing is known of the DNSKEY set or of data, while there is a DS")
	}
	return out
}

func add(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

func dsWords(v rollover.DSVersion) string {
	words := make([]string, len(v.Set))
	for i, d := range v.Set {
		words[i] = fmt.Sprintf("%d/%d", d.Tag, d.DigestType)
	}
	return "{" + strings.Join(words, ", ") + "}"
}

func keyWords(v rollover.KeyVersion) string {
	return fmt.Sprintf("DNSKEY {%s, signed by %s}", tags(v.Keys), tags(v.Signers))
}

func dataWords(v rollover.DataVersion) string {
	signers := tags(v.Signers)
	if len(v.Signers) == 0 && len(v.Traces) > 0 {
		words := make([]string, len(v.Traces))
		for i, t := range v.Traces {
			words[i] = fmt.Sprint(t.Tag)
		}
		signers = strings.Join(words, ", ") + " in part"
	}
	return "signed by " + signers
}

func tags(keys []rollover.DNSKEY) string {
	if len(keys) == 0 {
		return "none"
	}
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = fmt.Sprint(k.Tag())
	}
	return strings.Join(words, ", ")
}
