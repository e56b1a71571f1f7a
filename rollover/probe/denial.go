package probe

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

const (
	// absentType is for private use (RFC 6895 section 3.1): no name has it, so
	// every name must prove that.
	absentType = 65280
	// maxNeighbours is at how many names of the samples a thorough look asks for
	// names on both sides; at each of them, and at the apex, for absentType. With
	// the eight samples that package pdns picks these are 2*5 names that do not
	// exist and up to nine types, some twenty questions to each server: enough to
	// meet what most mistakes break, and below what servers limit (RRL).
	maxNeighbours = 4
)

// absences are what a server is asked that it can only deny. An NSEC zone denies a
// name by the gap that the name is in, so one made-up name would only show one
// gap: the names are next to real ones, on both sides.
func absences(q rollover.Question) []inquiry {
	var out []inquiry
	for i, owner := range owners(q) {
		out = append(out, inquiry{"a type that is not there, at " + owner, owner, absentType})
		if i > maxNeighbours {
			continue
		}
		if name, ok := justBelow(owner); ok {
			out = append(out, inquiry{"a name just after " + owner, name, dns.TypeA})
		}
		if name, ok := justBefore(q.Zone, owner); ok {
			out = append(out, inquiry{"a name just before " + owner, name, dns.TypeA})
		}
	}
	return out
}

// owners are the apex and the names of the samples that belong to the zone, each
// once. What a delegation is asked for is its DS: all else is below it.
func owners(q rollover.Question) []string {
	out := []string{q.Zone}
	for _, s := range samples(q) {
		if s.rrtype != dns.TypeDS && !slices.Contains(out, s.name) {
			out = append(out, s.name)
		}
	}
	return out
}

// justBelow is a name that comes right after another in canonical order (RFC
// 4034 section 6.1): one below it, with a label that sorts before others.
func justBelow(owner string) (string, bool) {
	return named("-rollover-"+randomHex(), owner)
}

// justBefore is a name that comes right before another in canonical order, unless
// the zone has one in between: its first label with the last octet one less, and
// longer. Before the apex comes the end of the zone.
func justBefore(zone, owner string) (string, bool) {
	if owner == zone {
		return named("zzzz-rollover-"+randomHex(), zone)
	}
	labels := dns.SplitDomainName(owner)
	first := labels[0]
	at := strings.IndexByte(plainOctets, first[len(first)-1])
	if at < 1 || strings.Contains(first, `\`) {
		return "", false
	}
	return named(first[:len(first)-1]+plainOctets[at-1:at]+"zzzz"+randomHex(), strings.Join(labels[1:], ".")+".")
}

// plainOctets are those that every server takes in a name, in canonical order:
// PowerDNS answers SERVFAIL to most others.
const plainOctets = "-0123456789_abcdefghijklmnopqrstuvwxyz"

func randomHex() string {
	var b [4]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// named is a label put before a name; false where that is too long, of which the
// library lets some pass.
func named(label, name string) (string, bool) {
	out := label + "." + strings.TrimPrefix(name, ".")
	return out, len(label) <= 63 && len(out) <= 254
}

// verify takes in whether an answer that there is nothing, or one made from a
// wildcard, proves that (RFC 4035 section 5.4, RFC 5155 section 8). What cannot be
// checked here, and a proof with opt-out, are no faults; nor has a zone to prove
// anything that is not signed.
func (d *dataReader) verify(i inquiry, m *dns.Msg) {
	if !d.signs {
		return
	}
	a := chain.ProveAnswer(d.pool, i.name, i.rrtype, m)
	if a.Security == rollover.Bogus && a.Code == chain.CodeDenial {
		d.denials = append(d.denials, rollover.Denial{On: i.label, Fault: a.Text})
	}
}
