package chain

import (
	"time"

	"rollover/rollover"
)

// Trace is a chain of trust followed from an anchor down to a name, link by
// link, and the one sentence that says where it breaks. It holds no types of
// the DNS library, so that views need not know it.
type Trace struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	At       time.Time         `json:"at"`
	Security rollover.Security `json:"security"`
	Code     Code              `json:"code,omitempty"` // of the first fault; empty when there is none
	Sentence string            `json:"sentence"`
	Remedy   string            `json:"remedy,omitempty"`
	Links    []Link            `json:"links"`
}

// Sound says whether nothing has to be done: the chain is secure, or proven to
// be insecure on purpose, and no server is at fault.
func (t Trace) Sound() bool {
	return t.Code == "" && (t.Security == rollover.Secure || t.Security == rollover.Insecure)
}

// Mark is how a link is told at a glance.
type Mark string

// The marks.
const (
	MarkGood    Mark = "ok"
	MarkWarning Mark = "warning"
	MarkBroken  Mark = "broken"
)

// What a link is.
const (
	LinkAnchor = "anchor" // what is trusted without proof
	LinkDS     = "ds"     // the DS set of a zone at its parent, or the proof that there is none
	LinkDNSKEY = "dnskey" // the DNSKEY set of a zone
	LinkData   = "data"   // the records asked for
	LinkDenial = "denial" // the proof that a name does not exist
)

// Link is one RRset of the chain with what proves it.
type Link struct {
	Kind       string            `json:"kind"`
	Zone       string            `json:"zone"` // whose keys sign it
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Mark       Mark              `json:"mark"`
	Security   rollover.Security `json:"security"`
	Code       Code              `json:"code,omitempty"`
	Text       string            `json:"text"`
	DS         []DSFact          `json:"ds,omitempty"`
	Keys       []KeyFact         `json:"keys,omitempty"`
	Signatures []SignatureFact   `json:"signatures,omitempty"`
	Records    []string          `json:"records,omitempty"` // of data, in presentation form
	Answers    []AnswerFact      `json:"answers"`           // of every server asked
}

// DSFact is one DS record.
type DSFact struct {
	rollover.DS
	Fits bool `json:"fits"` // a key of the zone below has this digest; not in JSON when Untried
	// Untried: the keys of the zone below were not asked for, or not answered.
	Untried bool `json:"-"`
}

// KeyFact is one DNSKEY.
type KeyFact struct {
	rollover.DNSKEY
	Tag     uint16 `json:"tag"`
	Trusted bool   `json:"trusted"` // a DS or an anchor points to it
	Signs   bool   `json:"signs"`   // it signed the DNSKEY set
}

// SignatureFact is one RRSIG over the set of a link.
type SignatureFact struct {
	Tag        uint16    `json:"tag"`
	Algorithm  uint8     `json:"algorithm"`
	Inception  time.Time `json:"inception"`
	Expiration time.Time `json:"expiration"`
	Fault      string    `json:"fault,omitempty"`
}

// AnswerFact is what one server answered.
type AnswerFact struct {
	Server   string            `json:"server"`
	Security rollover.Security `json:"security"`
	Code     Code              `json:"code,omitempty"`
	Text     string            `json:"text,omitempty"`
	Serial   uint32            `json:"serial,omitempty"`
}

func (v Verdict) fact(server string) AnswerFact {
	return AnswerFact{Server: server, Security: v.Security, Code: v.Code, Text: v.Text}
}

// signatureFacts is the signatures that were checked on a set.
func signatureFacts(p Proof, now time.Time) []SignatureFact {
	var out []SignatureFact
	for _, c := range p.Checks {
		f := SignatureFact{
			Tag: c.Signature.KeyTag, Algorithm: c.Signature.Algorithm,
			Inception: near(c.Signature.Inception, now), Expiration: near(c.Signature.Expiration, now),
		}
		if c.Fault != nil {
			f.Fault = c.Fault.Error()
		}
		out = append(out, f)
	}
	return out
}
