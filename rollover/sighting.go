package rollover

import (
	"fmt"
	"time"
)

// Question is what the eyes are asked to look at: one zone, the records that
// matter now, and where to find its servers.
type Question struct {
	Zone    string
	Records []Record
	// Keys are public keys to try on signatures, beside those that a server
	// itself publishes.
	Keys    []DNSKEY
	Samples []Sample // names asked for the record data, beside SOA, NS and an NXDOMAIN
	// Servers and ParentServers are "host", "address", "host:port" or
	// "address:port"; they are asked as well as those found through the
	// resolvers, or instead of them (ServersOnly; for the parent, whenever
	// there are any).
	Servers       []string
	ServersOnly   bool
	ParentServers []string
	Known         []Server // servers of earlier looks: still asked when no delegation names them any more
	Exclude       []string // host names or addresses (with or without port) that are not asked
	Validators    bool     // ask the validating resolvers for the DS set too
	Opinions      bool     // ask them about the zone itself, and whether they validate at all
	Resolve       bool     // ask them for the zone itself too
	Thorough      bool     // ask for the DNSKEY set over TCP as well, and for more that is not there
	Validate      bool     // prove what the parent's servers say, from a trust anchor down
	Answers       []Sample // what every server of the zone is asked as a resolver would, to compare its answers
}

// Sample is one RRset of the zone to look at on every server.
type Sample struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Sides of the delegation a server stands on.
const (
	RoleChild  = "child"
	RoleParent = "parent"
)

// Server is one address of one authoritative name server.
type Server struct {
	Role    string `json:"role"` // RoleChild or RoleParent
	Name    string `json:"name"`
	Address string `json:"address"` // address:port
}

// Sighting is what one look at the world showed, server by server. Eyes fill
// it and judge nothing. At is the moment when the look was complete.
type Sighting struct {
	Zone       string
	At         Instant
	Records    []Record // what was looked at
	Servers    []ServerSighting
	Validators []ValidatorSighting
	// Alone: the zone has no parent that counts, so none was asked: it is the root,
	// or its own trust anchor.
	Alone bool
	// Anchor is the keys of the zone that are trust anchors, as DS records.
	Anchor []DS
	// Strangers are who was named as a name server of the zone and was not asked.
	Strangers []Stranger
}

// Stranger is a host that somebody named as a name server of a signed zone, in an NS
// set that no key of the zone has signed and that the delegation does not bear out.
type Stranger struct {
	Name string `json:"name"`
	By   string `json:"by"` // the server that named it, or "resolver 192.0.2.53:53"
}

func (s Stranger) String() string { return s.Name + " (named by " + s.By + ")" }

// ServerSighting is what one server showed in one look. A version is nil when
// the record was not asked for, or not answered; Unknown then says why.
type ServerSighting struct {
	Server
	// Unknown is why this server gave no usable answer ("timed out", "lame:
	// not authoritative", "REFUSED"); empty when it answered all questions.
	Unknown string
	// Unchecked is why this address was not asked at all and does not count:
	// no IPv6 route from here. Empty for all others.
	Unchecked string
	// OverTCP is why there was no answer over TCP, where that was asked for;
	// empty when there was.
	OverTCP string
	Serial  uint32 // of the SOA, of the parent zone where a server of the parent proves its answers; 0 when not asked
	DNSKEY  *KeyVersion
	Data    *DataVersion
	DS      *DSVersion
	// Denials are the answers of a signed zone that there is nothing, or that a
	// wildcard stands in, and that do not prove it: validators answer SERVFAIL.
	Denials []Denial
	Answers []AnswerSighting // to the Answers of the question
	// Announces is the CDS and CDNSKEY records that a server of the zone serves,
	// which are asked for in a thorough look: "CDS 12345 13 2 ...".
	Announces []string
}

// Denial is an answer that does not prove what it denies.
type Denial struct {
	On    string // what was asked for, the same words in every look
	Fault string // what is wrong with the proof
}

// KeyVersion is one version of a DNSKEY set as a server showed it.
type KeyVersion struct {
	Keys    []DNSKEY    `json:"keys"`
	Signers []DNSKEY    `json:"signers"` // keys of the set whose signature over the set verifies and is in its validity period
	Faults  []Signature `json:"faults,omitempty"`
	TTL     uint32      `json:"ttl"`              // seconds; the larger of record TTL and RRSIG original TTL
	Expires time.Time   `json:"expires,omitzero"` // when its last good signature expires
}

// DataVersion is what the looked-at names of a zone showed together.
type DataVersion struct {
	Signers []DNSKEY    `json:"signers"` // keys with a verified signature over every RRset looked at
	Traces  []Signature `json:"traces"`  // every signature seen on any of them, each signer once
	Faults  []Signature `json:"faults,omitempty"`
	TTL     uint32      `json:"ttl"`              // seconds; the largest seen
	Expires time.Time   `json:"expires,omitzero"` // when the first RRset looked at has no good signature any more
}

// Signature is one RRSIG, by what it claims. Fault says why it does not
// verify ("expired at ...", "no such key", "does not verify"), or that an
// RRset has none ("unsigned"); empty for a good one.
type Signature struct {
	Tag       uint16 `json:"tag"`
	Algorithm uint8  `json:"algorithm"`
	On        string `json:"on,omitempty"` // the RRset, "www.example.com. A"
	Fault     string `json:"fault,omitempty"`
}

// DSVersion is the DS set as one parent server showed it; an authoritative
// answer that there is none has no records and the negative TTL.
type DSVersion struct {
	Set []DS   `json:"set"`
	TTL uint32 `json:"ttl"` // seconds; the larger of record TTL and RRSIG original TTL
	// NoDS says of an empty set what its server has in its place, and Parent is
	// the zone that said so; Denied, that its keys prove it.
	NoDS   NoDS   `json:"no_ds,omitempty"`
	Parent string `json:"parent,omitempty"`
	Denied bool   `json:"denied,omitempty"`
	// Standing is what a chain from a trust anchor says of the answer; nil when
	// it was not asked for.
	Standing *Standing `json:"standing,omitempty"`
}

// ValidatorSighting is what one validating resolver says of the DS set.
type ValidatorSighting struct {
	Address string `json:"address"`
	Unknown string `json:"unknown,omitempty"` // why it gave no usable answer
	AD      bool   `json:"ad"`                // it says that it validated the answer
	Bogus   bool   `json:"bogus,omitempty"`   // SERVFAIL, with an answer when checking is disabled
	Text    string `json:"text,omitempty"`    // what it says of that (RFC 8914), quoted
	// Authoritative: it answers from a copy of its own, and validates nothing.
	Authoritative bool `json:"authoritative,omitempty"`
	// Blind: it has no AD for the zone of the trust anchor either.
	Blind bool `json:"blind,omitempty"`
	Set   []DS `json:"set"`
	// Finds is how the resolver finds the zone itself, empty if it was not asked
	// or could not tell.
	Finds Security `json:"finds,omitempty"`
}

// insecureAt names a validator that does not find the zone secure.
func (s Sighting) insecureAt() string {
	for _, v := range s.Validators {
		if v.Finds != "" && v.Finds != Secure {
			return fmt.Sprintf("validator %s finds the zone %s, perhaps still by what it has cached", v.Address, v.Finds)
		}
	}
	return ""
}
