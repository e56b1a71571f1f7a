package chain

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"
)

// Bounds on the size of one answer.
const (
	MaxSignatures = 64 // signatures on one RRset
	MaxSets       = 64 // RRsets in one answer
)

// Set is one RRset with the signatures that came with it.
type Set struct {
	Owner      string // lower case, fully qualified
	Type       uint16
	Records    []dns.RR
	Signatures []*dns.RRSIG
}

// String names the set as reports do: "www.example.com. A".
func (s Set) String() string { return s.Owner + " " + dns.Type(s.Type).String() }

// TTL is how long caches may keep the set, in seconds. A validating cache
// takes the original TTL when that is less (RFC 4035 section 5.3.3); others
// do not, so the larger one counts.
func (s Set) TTL() uint32 {
	var out uint32
	for _, rr := range s.Records {
		out = max(out, rr.Header().Ttl)
	}
	for _, sig := range s.Signatures {
		out = max(out, sig.OrigTtl)
	}
	return out
}

// Sets groups the records of an answer by owner and type. Signatures without
// records are dropped. More than MaxSets or MaxSignatures is an error.
func Sets(sections ...[]dns.RR) ([]Set, error) {
	g := grouping{at: map[setID]int{}}
	for _, section := range sections {
		for _, rr := range section {
			if rr.Header().Class == dns.ClassINET {
				g.add(rr)
			}
		}
	}
	if len(g.sets) > MaxSets {
		return nil, fmt.Errorf("more than %d record sets in one answer", MaxSets)
	}
	for _, s := range g.sets {
		if len(s.Signatures) > MaxSignatures {
			return nil, fmt.Errorf("more than %d signatures on %s", MaxSignatures, s)
		}
	}
	return slices.DeleteFunc(g.sets, func(s Set) bool { return len(s.Records) == 0 }), nil
}

// Find is the set of an owner and type.
func Find(sets []Set, owner string, rrtype uint16) (Set, bool) {
	i := slices.IndexFunc(sets, func(s Set) bool { return s.Owner == owner && s.Type == rrtype })
	if i < 0 {
		return Set{}, false
	}
	return sets[i], true
}

type setID struct {
	owner  string
	rrtype uint16
}

type grouping struct {
	sets []Set
	at   map[setID]int
}

// add takes in one record. The library takes owner names byte by byte, so they
// are compared in their canonical form (RFC 4034 section 6.2).
func (g *grouping) add(rr dns.RR) {
	h := rr.Header()
	sig, isSig := rr.(*dns.RRSIG)
	id := setID{dns.CanonicalName(h.Name), h.Rrtype}
	if isSig {
		id.rrtype = sig.TypeCovered
	}
	i, ok := g.at[id]
	if !ok {
		i = len(g.sets)
		g.at[id] = i
		g.sets = append(g.sets, Set{Owner: id.owner, Type: id.rrtype})
	}
	if isSig {
		g.sets[i].Signatures = append(g.sets[i].Signatures, sig)
	} else if h.Rrtype != dns.TypeRRSIG {
		g.sets[i].Records = append(g.sets[i].Records, rr)
	}
}
