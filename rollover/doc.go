// Package rollover is the mind of rollover: it decides, and does nothing
// else. It has no input or output and no clock; the standard library is all
// it imports. Eyes (rollover/probe) report, hands (pdns) obey, memory (store)
// remembers, the mouth (cmd/rollover) explains.
//
// # Words
//
// A rollover (Roll) replaces the keys of one Side by those of the other. Its
// Kind is a table of Steps; when all Waits of a step hold, its Actions are
// done in order. A Wait is a Statement about one Record. It is seen when every
// authoritative server shows it, and settled when every cache must: held on
// every server for factor * TTL + margin, the TTL being the largest that any
// version without it ever had (the Ledger remembers). A Sighting is what one
// look showed. A Verdict is a step to enter, or a Need, or done.
//
// # Time
//
// Time is earned by looking, not read off a calendar: only the gaps between
// consecutive good looks count, each at most max_gap, measured by a clock that
// nobody can set. See Holding.
package rollover
