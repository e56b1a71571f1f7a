package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// clock is how the lab prints times of day.
const clock = "15:04:05.000"

// Version is one content of one RRset at one server, in one unbroken run:
// content that comes back after another was seen is a new Version, for in
// between nobody could fetch it.
type Version struct {
	Zone   string
	Server string
	Name   string
	Type   uint16 // of the question

	// Records is the RRset with its RRSIGs; for an answer that there is none
	// (Negative), the authority section.
	Records  []dns.RR
	Negative bool

	TTL   uint32    // how long a cache may keep it, in seconds
	First time.Time // when it was first received, and last
	Last  time.Time
}

// newVersion makes a Version of a server's answer. Answers that no cache
// keeps as data are errors.
func newVersion(zone, server string, answer *dns.Msg, at time.Time) (Version, error) {
	question := answer.Question[0]
	v := Version{Zone: zone, Server: server, Name: question.Name, Type: question.Qtype, First: at, Last: at}
	if !answer.Authoritative || answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		return v, fmt.Errorf("%s answers for %s %s: %s, authoritative %t",
			server, v.Name, dns.TypeToString[v.Type], dns.RcodeToString[answer.Rcode], answer.Authoritative)
	}
	for _, rr := range answer.Answer {
		if covered(rr) == v.Type && strings.EqualFold(rr.Header().Name, v.Name) {
			v.Records = append(v.Records, rr)
		}
	}
	if len(v.Records) == 0 {
		v.Records, v.Negative = answer.Ns, true
	}
	v.TTL = lifetime(v.Records, v.Negative)
	return v, nil
}

// covered is the type of the RRset that a record belongs to, be it data or
// signature.
func covered(rr dns.RR) uint16 {
	if sig, ok := rr.(*dns.RRSIG); ok {
		return sig.TypeCovered
	}
	return rr.Header().Rrtype
}

// lifetime is the longest that a cache may keep an RRset, the TTL or what the
// signature says was the TTL; a denial also no longer than the SOA minimum
// says (RFC 2308 section 5).
func lifetime(records []dns.RR, negative bool) uint32 {
	var longest uint32
	limit := ^uint32(0)
	for _, rr := range records {
		longest = max(longest, rr.Header().Ttl)
		switch rr := rr.(type) {
		case *dns.RRSIG:
			longest = max(longest, rr.OrigTtl)
		case *dns.SOA:
			if negative {
				limit = rr.Minttl
			}
		}
	}
	return min(longest, limit)
}

// content identifies what a Version says, whatever the order of the records
// and what is left of their TTLs.
func (v Version) content() string {
	lines := []string{v.Name, dns.TypeToString[v.Type], fmt.Sprint(v.Negative)}
	for _, rr := range v.Records {
		rr = dns.Copy(rr)
		rr.Header().Ttl = 0
		lines = append(lines, rr.String())
	}
	slices.Sort(lines[3:])
	return strings.Join(lines, "\n")
}

// until is when the last cache drops the Version.
func (v Version) until() time.Time { return v.Last.Add(time.Duration(v.TTL) * time.Second) }

// String names the Version by its type, keys and signers.
func (v Version) String() string {
	var what, signers []string
	for _, rr := range v.Records {
		switch rr := rr.(type) {
		case *dns.DS:
			what = append(what, fmt.Sprintf("%d/%s", rr.KeyTag, dns.HashToString[rr.DigestType]))
		case *dns.DNSKEY:
			what = append(what, fmt.Sprintf("%d/%d", rr.Flags, rr.KeyTag()))
		case *dns.SOA:
			what = append(what, fmt.Sprintf("serial %d", rr.Serial))
		case *dns.RRSIG:
			signers = append(signers, fmt.Sprint(rr.KeyTag))
		}
	}
	text := strings.TrimSpace(v.label() + " " + unique(what))
	switch {
	case v.Type == dns.TypeDS: // the parent's signatures are not in question
		return text
	case len(signers) == 0:
		return text + " unsigned"
	}
	return text + " signed by " + unique(signers)
}

func (v Version) label() string {
	label := dns.TypeToString[v.Type]
	if v.Name != v.Zone {
		label = v.Name + " " + label
	}
	if v.Negative {
		return "no " + label
	}
	return label
}

func unique(words []string) string {
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}
