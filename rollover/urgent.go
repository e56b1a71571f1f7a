package rollover

import "slices"

// An urgent rollover is one whose old key is in the wrong hands: every minute
// counts, and the chain must hold all the same. It runs through the same tables
// and the same engine as any other; only the policy is tight (once the TTL, no
// margin) and courtesies do not count.

// Hurried is the policy of an urgent rollover. No TTL is ever left out.
func (p Policy) Hurried() Policy {
	p.Factor, p.Margin = 1, 0
	return p
}

// of is the policy as it holds for a rollover, with what that was started with.
func (p Policy) of(r *Roll) Policy {
	if t := r.terms(); t != nil {
		p = t.bind(p)
	}
	if r != nil && r.Urgent {
		return p.Hurried()
	}
	return p
}

// hurried is a kind without its courtesies.
func (k Kind) hurried() Kind {
	k.Steps = slices.Clone(k.Steps)
	for i, s := range k.Steps {
		k.Steps[i].Waits = slices.DeleteFunc(slices.Clone(s.Waits), func(w Wait) bool { return w.Courtesy })
	}
	return k
}

// urgentMethod is the method of a type that lets its steps run side by side;
// empty where there is none faster than the usual one.
//
// With CDS it is double-signature: the parent adds the DS when it likes.
func (o Order) urgentMethod(kindType string, converts bool, p Policy) string {
	switch {
	case !o.Urgent || converts:
		return ""
	case kindType == "zsk":
		return "double-signature"
	case kindType != "ksk" && kindType != "csk":
		return ""
	case p.CDS:
		return "double-signature"
	}
	return "double-rrset"
}

// TradeOff is what an urgent rollover gives up for speed, in sentences.
func (r *Roll) TradeOff() []string {
	out := []string{
		"no margin: every wait is once the largest TTL. A server that still serves an old answer from its packet cache (PowerDNS for up to 50 s), or a node behind an anycast address that nobody sees, can break the zone for some resolvers for that long",
		"no courtesies: the old key is removed as soon as caches allow, so that there may be no way back",
		"whoever has the old key can forge answers until its signatures and its DS are out of every cache, whatever is done here",
	}
	if r.Method == "double-rrset" {
		out = append(out, "the DS of the new key is asked for at once: the registrar must ADD it. One that replaces the old DS breaks the zone for up to the TTL of the DNSKEY set; with such a registrar use --method double-signature")
	}
	return out
}
