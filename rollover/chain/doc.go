// Package chain is the law of DNSSEC: it says what an answer is worth under
// the keys of a zone, and follows the chain of trust from an anchor down to a
// name (RFC 4033, 4034, 4035, 5155, 6840). It believes nothing but signatures,
// so it does not matter where the answers come from: from a resolver with
// checking disabled, from the authoritative servers, or from a forger.
//
// It has no input or output and no clock: answers come in through Ask, the
// time as an argument. What it finds are four states, secure, insecure, bogus
// and indeterminate, each with the link that decided it and a Code that
// remedies branch on.
//
// An algorithm or digest that cannot be checked here is indeterminate and
// never bogus. Work is capped against hostile zones: MaxChecks signature
// verifications for a set, MaxKeysPerTag, MaxDS, MaxZones, maxIterations.
package chain
