package chain

import (
	"fmt"

	"rollover/rollover"
)

// Code names a fault of a chain. Scripts may branch on it; it never changes.
type Code string

// The codes.
const (
	CodeDSMissing     Code = "ds-missing"         // the zone is signed, and the parent has no DS for it
	CodeDSMismatch    Code = "ds-without-dnskey"  // no DS points to a key of the zone (a KSK rollover gone wrong)
	CodeAlgorithm     Code = "algorithm-mismatch" // the DS names an algorithm that no key of the zone has
	CodeDigest        Code = "digest-mismatch"    // the DS has tag and algorithm of a key and another digest: a typo
	CodeKeysMissing   Code = "dnskey-missing"     // the parent has a DS, the zone has no keys (unsigned too early)
	CodeDSKeySilent   Code = "ds-key-not-signing" // the key that the DS points to does not sign the DNSKEY set
	CodeKeyMissing    Code = "key-not-published"  // signed by a key that is not in the DNSKEY set
	CodeExpired       Code = "signature-expired"
	CodeFuture        Code = "signature-in-future" // the clock of the signer, or of this machine, is wrong
	CodeSignature     Code = "signature-invalid"   // the signature does not fit the data
	CodeSigner        Code = "signer-wrong"        // signed by another zone
	CodeKeyUnfit      Code = "key-unfit"           // revoked, or no zone key
	CodeUnsigned      Code = "unsigned"            // no signature where there must be one
	CodeTTL           Code = "ttl-above-signed"    // secure, but served with a TTL above the one that was signed
	CodeDenial        Code = "denial-missing"      // "there is none" without a proof that holds
	CodeUncheckable   Code = "uncheckable"         // an algorithm, digest or key that cannot be checked here
	CodeIterations    Code = "nsec3-iterations"    // so many that resolvers take the answer for unsigned (RFC 9276)
	CodeTooMuch       Code = "too-much-work"       // more keys, signatures or records than are looked at
	CodeUnsecured     Code = "insecure-delegation" // proven: no DS, and the zone below is not signed
	CodeLame          Code = "lame"                // the server does not serve the zone
	CodeNoAnswer      Code = "no-answer"
	CodeLagging       Code = "lagging"       // the server has an older version of the zone
	CodeContradiction Code = "contradiction" // one server has what another proves not to be there
	CodeUnknownDS     Code = "ds-unknown"    // every DS is of an algorithm or digest that nobody knows: insecure to all
	CodeNoAnchor      Code = "no-anchor"     // no trust anchor is above the name
	CodeUndelegated   Code = "not-delegated" // the zone is served, and the one above proves that it does not delegate it
)

// Verdict is the security state of one answer, and why.
type Verdict struct {
	Security rollover.Security
	Code     Code   // empty when secure
	Text     string // in words, without the name of the server; empty when secure
}

func secure() Verdict { return Verdict{Security: rollover.Secure} }

// proven is secure; what is odd all the same is told.
func proven(s Set) Verdict {
	v := secure()
	for _, sig := range s.Signatures {
		if ttl := s.TTL(); ttl > sig.OrigTtl {
			v.Code, v.Text = CodeTTL, fmt.Sprintf("served with a TTL of %d s, which is more than the %d s that was signed", ttl, sig.OrigTtl)
		}
	}
	return v
}

func insecure(code Code, text string) Verdict { return Verdict{rollover.Insecure, code, text} }

func bogus(code Code, text string) Verdict { return Verdict{rollover.Bogus, code, text} }

func indeterminate(code Code, text string) Verdict {
	return Verdict{rollover.Indeterminate, code, text}
}

// refused is the verdict for a fault: what cannot be checked may be right.
func refused(err error) Verdict {
	switch code := codeOf(err); code {
	case CodeUncheckable, CodeTooMuch, CodeNoAnswer, CodeLame:
		return indeterminate(code, err.Error())
	case CodeIterations:
		return insecure(code, err.Error())
	default:
		return bogus(code, err.Error())
	}
}

// severity orders faults of the signatures on one set: the one that tells most
// comes first.
func severity(code Code) int {
	for i, c := range []Code{CodeUncheckable, CodeIterations, CodeTooMuch, CodeExpired, CodeFuture, CodeSignature, CodeKeyUnfit, CodeKeyMissing, CodeSigner} {
		if c == code {
			return i
		}
	}
	return 100
}
