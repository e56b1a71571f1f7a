package rollover

import (
	"fmt"
	"time"
)

// Leak is how long it takes until a key that leaks now cannot be used against
// any cache any more, if the rollover begins at once and without margins. The
// registrar's own time comes on top where the parent is concerned.
type Leak struct {
	KSK *LeakTime `json:"ksk,omitempty"` // or CSK
	ZSK *LeakTime `json:"zsk,omitempty"`
}

// LeakTime is the time for one role, and how it comes about.
type LeakTime struct {
	Seconds int64  `json:"seconds"`
	Formula string `json:"formula"`
}

// Leaked computes the times from what the ledger remembers (RFC 6781 section
// 4.2; RFC 7583 3.2.2 and 3.3.3: all that can run side by side does).
//
// A KSK or CSK: the new key signs at once, and the parent is asked at once to add
// its DS; when no cache holds a DNSKEY set without it any more, the parent drops the old DS; the
// old key has lost its power when that is out of the caches too. A CSK, like a
// ZSK, must also be taken out of the DNSKEY set once no cache needs it.
//
// A ZSK: the new key signs beside the old one at once; when no cache needs the
// old one it leaves the DNSKEY set, and its power ends with the old set.
func Leaked(l Ledger, keys []Key) Leak {
	ttl := func(record Record) time.Duration { return l.largest(record, func(LedgerEntry) bool { return false }) }
	ds, dnskey, data := ttl(RecordDS), ttl(RecordDNSKEY), ttl(RecordData)
	var out Leak
	for _, k := range withRoles(keys) {
		switch RoleOf(keys, k) {
		case KSK:
			out.KSK = leakTime(dnskey+ds, fmt.Sprintf("DNSKEY TTL %s + DS TTL %s", dnskey, ds))
		case CSK:
			out.KSK = leakTime(max(dnskey+ds, max(dnskey, ds, data)+dnskey), fmt.Sprintf("the longer of DNSKEY TTL %s + DS TTL %s, and the longest TTL %s + DNSKEY TTL", dnskey, ds, max(dnskey, ds, data)))
		case ZSK:
			out.ZSK = leakTime(max(dnskey, data)+dnskey, fmt.Sprintf("the longer of DNSKEY TTL %s and the largest TTL %s, + DNSKEY TTL", dnskey, data))
		}
	}
	return out
}

func leakTime(d time.Duration, formula string) *LeakTime {
	return &LeakTime{Seconds: int64(d.Seconds()), Formula: formula}
}

// String is the line for people: "if the KSK leaked now: out in 3h (...)".
func (l Leak) String() string {
	out := ""
	for _, part := range []struct {
		name string
		time *LeakTime
	}{{"KSK or CSK", l.KSK}, {"ZSK", l.ZSK}} {
		if part.time == nil {
			continue
		}
		if out != "" {
			out += "; "
		}
		out += fmt.Sprintf("%s out %s after the rollover starts", part.name, time.Duration(part.time.Seconds)*time.Second)
		if part.name != "ZSK" {
			out += " and the registrar has acted"
		}
		out += " (" + part.time.Formula + ")"
	}
	return out
}
