package rollover

import "time"

// Security is what a chain of signatures from a trust anchor says of an answer
// (RFC 4033 section 5, RFC 4035 section 4.3).
type Security string

// The security states.
const (
	Secure        Security = "secure"        // every link from a trust anchor down verifies
	Insecure      Security = "insecure"      // it is proven that some link above is unsigned on purpose
	Bogus         Security = "bogus"         // it should verify and does not: validators answer SERVFAIL
	Indeterminate Security = "indeterminate" // it cannot be told from here: no answer, no anchor, an algorithm that cannot be checked
)

// Standing is the security state of one answer, as the eyes found it.
type Standing struct {
	Security Security `json:"security"`
	Why      string   `json:"why,omitempty"` // the link that decided it, in words; empty when secure
	// Signed is the inception of the newest signature that proves the answer:
	// an answer older than one seen before is a replay. Zero when not secure.
	Signed  time.Time `json:"signed,omitzero"`
	Expires time.Time `json:"expires,omitzero"` // when that signature expires
	// Replayed says that an answer with a newer signature was seen from this
	// server before. The eyes do not know that; the ledger does.
	Replayed bool `json:"replayed,omitempty"`
	// Resolver is what the resolvers did not give that the proof needs: then the
	// fault is theirs. Empty when they gave it all.
	Resolver string `json:"resolver,omitempty"`
}
