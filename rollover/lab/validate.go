package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// verified remembers the outcome of every signature check.
type verified map[string]bool

// usableDS are the DS records that a validator heeds: of digests and
// algorithms that it knows (RFC 4035 section 5.2), and SHA-1 only if there is
// nothing better (RFC 4509 section 3).
func usableDS(v Version) []*dns.DS {
	var records []*dns.DS
	strong := false
	for _, rr := range v.Records {
		ds, ok := rr.(*dns.DS)
		if !ok || !knownAlgorithm(ds.Algorithm) || !knownDigest(ds.DigestType) {
			continue
		}
		strong = strong || ds.DigestType != dns.SHA1
		records = append(records, ds)
	}
	return slices.DeleteFunc(records, func(ds *dns.DS) bool { return strong && ds.DigestType == dns.SHA1 })
}

func knownDigest(digest uint8) bool {
	return digest == dns.SHA1 || digest == dns.SHA256 || digest == dns.SHA384
}

func knownAlgorithm(algorithm uint8) bool {
	_, known := dns.AlgorithmToHash[algorithm]
	return known && algorithm != dns.RSAMD5 && algorithm != dns.DSA
}

// refuseKeys says why no validator that holds this DS set accepts this DNSKEY
// set, or nothing if one does. One good path is enough (RFC 6840 section 5.11).
func (m verified) refuseKeys(ds, keys Version) string {
	usable := usableDS(ds)
	if len(usable) == 0 {
		return ""
	}
	matched := false
	for _, key := range zoneKeys(keys) {
		if !slices.ContainsFunc(usable, func(ds *dns.DS) bool { return matches(ds, key) }) {
			continue
		}
		matched = true
		if m.signedBy([]*dns.DNSKEY{key}, plain(keys.Records), keys) {
			return ""
		}
	}
	if matched {
		return "no key that matches a DS record signs the DNSKEY set"
	}
	return "no key in the DNSKEY set matches a DS record"
}

func matches(ds *dns.DS, key *dns.DNSKEY) bool {
	if ds.KeyTag != key.KeyTag() || ds.Algorithm != key.Algorithm {
		return false
	}
	own := key.ToDS(ds.DigestType)
	return own != nil && strings.EqualFold(own.Digest, ds.Digest)
}

// refuseData says why these data are bogus to a validator that has accepted
// this DNSKEY set, or nothing. In a denial every RRset counts.
func (m verified) refuseData(keys, data Version) string {
	sets := rrsets(data.Records)
	if len(sets) == 0 {
		return "the denial is empty and proves nothing"
	}
	for _, set := range sets {
		if !m.signedBy(zoneKeys(keys), set, data) {
			head := set[0].Header()
			return fmt.Sprintf("no key in the DNSKEY set verifies a signature of %s %s", head.Name, dns.TypeToString[head.Rrtype])
		}
	}
	return ""
}

// signedBy says whether one of the keys verifies one of the signatures that a
// version holds for one of its RRsets, at the time the version was seen.
func (m verified) signedBy(keys []*dns.DNSKEY, set []dns.RR, v Version) bool {
	for _, rr := range v.Records {
		sig, ok := rr.(*dns.RRSIG)
		if !ok || sig.TypeCovered != set[0].Header().Rrtype || !strings.EqualFold(sig.Hdr.Name, set[0].Header().Name) {
			continue
		}
		for _, key := range keys {
			if m.verify(sig, key, set, v.First) {
				return true
			}
		}
	}
	return false
}

func (m verified) verify(sig *dns.RRSIG, key *dns.DNSKEY, set []dns.RR, at time.Time) bool {
	if sig.KeyTag != key.KeyTag() || !sig.ValidityPeriod(at) {
		return false
	}
	id := fmt.Sprint(sig, key, set)
	good, known := m[id]
	if !known {
		good = sig.Verify(key, set) == nil
		m[id] = good
	}
	return good
}

// zoneKeys are the keys of a DNSKEY set that may sign a zone: not those
// without the zone flag, nor revoked ones.
func zoneKeys(v Version) []*dns.DNSKEY {
	var keys []*dns.DNSKEY
	for _, rr := range v.Records {
		key, ok := rr.(*dns.DNSKEY)
		if ok && key.Flags&dns.ZONE != 0 && key.Flags&dns.REVOKE == 0 && key.Protocol == 3 {
			keys = append(keys, key)
		}
	}
	return keys
}

// plain is the records without the signatures.
func plain(records []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(records), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
}

// rrsets sorts records into RRsets.
func rrsets(records []dns.RR) [][]dns.RR {
	var sets [][]dns.RR
	for _, rr := range plain(records) {
		head := rr.Header()
		i := slices.IndexFunc(sets, func(set []dns.RR) bool {
			return set[0].Header().Rrtype == head.Rrtype && strings.EqualFold(set[0].Header().Name, head.Name)
		})
		if i < 0 {
			sets = append(sets, []dns.RR{rr})
			continue
		}
		sets[i] = append(sets[i], rr)
	}
	return sets
}
