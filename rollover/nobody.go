package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// knownAlgorithm and knownDigest are what is assigned (IANA, DNS Security
// Algorithm Numbers, DS RR Type Digest Algorithms): somebody may know them. A DS of
// any other is ignored by everybody, and where there is no other DS the zone
// counts as unsigned (RFC 4035 section 5.2, RFC 4509 section 3).
func knownAlgorithm(a uint8) bool {
	return slices.Contains([]uint8{1, 3, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16, 17, 23, 253, 254}, a)
}

func knownDigest(t uint8) bool { return t >= 1 && t <= 6 }

// NobodyKnows is the numbers that keep every validator from using a DS set, in words;
// empty when somebody may use one of its records.
func NobodyKnows(set []DS) string {
	var words []string
	for _, d := range set {
		word := ""
		switch {
		case !knownAlgorithm(d.Algorithm):
			word = fmt.Sprintf("algorithm %d of the DS %d", d.Algorithm, d.Tag)
		case !knownDigest(d.DigestType):
			word = fmt.Sprintf("digest type %d of the DS %d", d.DigestType, d.Tag)
		default:
			return ""
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

// useless says whether a DS set protects nobody, and finds that.
func (e *examination) useless(set []DS) bool {
	why := NobodyKnows(set)
	if why != "" {
		e.add(FindingUnknownDS, SeverityWarning, Server{}, "the zone is insecure to every validator: nobody knows "+why, "replace the DS at the registrar: pdnsutil export-zone-ds "+bare(e.sighting.Zone))
	}
	return why != ""
}
