package chain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// MaxZones is how many zones a chain may have.
const MaxZones = 16

// Ask gets the answers to a question about a record that a zone has: one reply
// from every server that is asked, or from one resolver with checking disabled.
// No reply at all is possible.
type Ask func(ctx context.Context, zone, name string, rrtype uint16) []Reply

// Reply is what one server said.
type Reply struct {
	Server  string   // for people
	Message *dns.Msg // nil when there is none that can be used
	Code    Code     // why not: CodeLame or CodeNoAnswer
	Why     string   // in words
}

// Walk follows chains of trust.
type Walk struct {
	Ask     Ask
	Anchors Anchors
	Now     time.Time
}

// Zone is a zone with proven keys.
type Zone struct {
	Name    string
	Keys    []rollover.DNSKEY
	Expires time.Time // until when they are proven, at most
	TTL     uint32    // seconds; of the DNSKEY set
}

// Pool is the keys of the zone, to try on signatures at a moment.
func (z Zone) Pool(now time.Time) *Pool { return NewPool(z.Name, now, z.Keys...) }

// Zone proves the keys of a zone.
func (w Walk) Zone(ctx context.Context, name string) (Zone, Verdict) {
	d := w.descend(ctx, name)
	switch {
	case d.verdict.Security != rollover.Secure:
		return Zone{}, d.verdict
	case d.zone.Name != name && d.doubt != nil:
		return Zone{}, *d.doubt
	case d.zone.Name != name:
		return Zone{}, bogus(CodeSigner, fmt.Sprintf("%s is no zone: it belongs to %s", name, d.zone.Name))
	}
	return d.zone, d.verdict
}

// Above is the zone with proven keys that a name is in. A verdict that is insecure
// says that some zone on the way is proven to be unsigned.
func (w Walk) Above(ctx context.Context, name string) (Zone, Verdict) {
	d := w.descend(ctx, name)
	return d.zone, d.verdict
}

// descent is how far a chain was followed.
type descent struct {
	walk    Walk
	zone    Zone // the lowest one with proven keys
	links   []Link
	verdict Verdict // secure: the chain holds down to zone, and the name is in it
	broken  string  // the zone below, where the chain ends
	noName  bool
	told    string   // what is proven not to be there, in words; empty when it is there
	doubt   *Verdict // why it is not proven that a name in between is no delegation
}

// descend follows the chain from the closest anchor down to the zone that a
// name is in.
func (w Walk) descend(ctx context.Context, to string) *descent {
	d := &descent{walk: w}
	zone, trust, ok := w.Anchors.above(to)
	if !ok {
		d.verdict = indeterminate(CodeNoAnchor, "no trust anchor is above "+to)
		return d
	}
	d.links = append(d.links, anchorLink(zone, trust))
	if !d.enter(ctx, zone, trust) {
		return d
	}
	for _, name := range path(zone, to) {
		if !d.step(ctx, name) {
			return d
		}
	}
	return d
}

// path is the names below a zone down to a name, the upper ones first.
func path(zone, name string) []string {
	if !below(zone, name) {
		return nil
	}
	out := []string{name}
	for _, above := range enclosers(zone, name) {
		if above != zone {
			out = append(out, above)
		}
	}
	slices.Reverse(out)
	return out
}

// step asks the present zone about the next name; false ends the descent.
func (d *descent) step(ctx context.Context, name string) bool {
	if d.noName {
		return true
	}
	found, link := d.delegation(ctx, name)
	if found.Security == rollover.Bogus && found.Cut != CutSigned {
		d.suspect(found.Verdict, link)
		return true
	}
	if found.Cut != CutNone && found.Cut != CutNoName || found.Security != rollover.Secure {
		d.links = append(d.links, link)
	}
	if found.Security != rollover.Secure {
		d.verdict, d.broken = found.Verdict, name
		return false
	}
	d.noName = found.Cut == CutNoName
	if found.Cut != CutSigned {
		return true
	}
	return d.enter(ctx, name, Trust{DS: found.DS})
}

// suspect notes that it is not proven whether a name is delegated. If the zone
// itself has signed what is below, it need not be: validators do not ask.
func (d *descent) suspect(v Verdict, link Link) {
	link.Mark = MarkWarning
	d.links = append(d.links, link)
	if d.doubt == nil {
		d.doubt, d.broken = &v, link.Name
	}
}

// enter proves the keys of the next zone; false when they are not.
func (d *descent) enter(ctx context.Context, zone string, trust Trust) bool {
	if len(d.links) > 2*MaxZones {
		d.verdict = indeterminate(CodeTooMuch, fmt.Sprintf("more than %d zones in one chain", MaxZones))
		return false
	}
	keys, link := d.keys(ctx, zone, trust)
	d.links = append(d.links, link)
	d.verdict = keys.Verdict
	if keys.Security != rollover.Secure {
		d.broken = zone
		return false
	}
	until := keys.Expires
	if !d.zone.Expires.IsZero() && d.zone.Expires.Before(until) {
		until = d.zone.Expires
	}
	d.zone = Zone{Name: zone, Keys: keys.Keys, Expires: until, TTL: keys.TTL}
	return true
}

// keys asks for the DNSKEY set of a zone and judges every answer; the best one
// counts, since validators ask another server when one does not verify.
func (d *descent) keys(ctx context.Context, zone string, trust Trust) (Keys, Link) {
	link := Link{Kind: LinkDNSKEY, Zone: zone, Name: zone, Type: "DNSKEY"}
	judge := func(m *dns.Msg) (Keys, Verdict) {
		k := ProveKeys(zone, trust, m, d.walk.Now)
		return k, k.Verdict
	}
	best, v := consider(&link, d.walk.Ask(ctx, zone, zone, dns.TypeDNSKEY), judge)
	best.Verdict = v
	for _, k := range best.Keys {
		signs := slices.ContainsFunc(best.Proof.Checks, func(c Check) bool { return c.Signature.KeyTag == k.Tag() && c.Signature.Algorithm == k.Algorithm })
		link.Keys = append(link.Keys, KeyFact{DNSKEY: k, Tag: k.Tag(), Trusted: slices.Contains(best.Trusted, k), Signs: signs})
	}
	link.Signatures = signatureFacts(best.Proof, d.walk.Now)
	if len(best.Keys) > 0 || v.Code == CodeKeysMissing {
		d.fit(zone, best.Keys)
	}
	return best, link
}

// fit notes on the DS link of a zone which of its records have a key.
func (d *descent) fit(zone string, keys []rollover.DNSKEY) {
	for i := range d.links {
		if l := &d.links[i]; l.Name == zone {
			for j := range l.DS {
				ds := l.DS[j].DS
				l.DS[j].Untried = false
				l.DS[j].Fits = slices.ContainsFunc(keys, func(k rollover.DNSKEY) bool { return ds.Algorithm == k.Algorithm && DigestFits(zone, ds, k) })
			}
		}
	}
}

// delegation asks the present zone for the DS set of a name below it.
func (d *descent) delegation(ctx context.Context, name string) (Delegation, Link) {
	link := Link{Kind: LinkDS, Zone: d.zone.Name, Name: name, Type: "DS"}
	pool := d.zone.Pool(d.walk.Now)
	judge := func(m *dns.Msg) (Delegation, Verdict) {
		found := ProveDelegation(pool, name, m)
		return found, found.Verdict
	}
	heard, replies := hearing{}, d.walk.Ask(ctx, d.zone.Name, name, dns.TypeDS)
	best, v := consider(&link, replies, hear(heard, judge))
	best.Verdict = v
	link.agree(replies, heard)
	for _, ds := range best.DS {
		link.DS = append(link.DS, DSFact{DS: ds, Untried: true})
	}
	link.Signatures = signatureFacts(best.Proof, d.walk.Now)
	return best, link
}

// answer asks the present zone for records and judges what comes.
func (d *descent) answer(ctx context.Context, kind, name string, rrtype uint16) (Answer, Link) {
	link := Link{Kind: kind, Zone: d.zone.Name, Name: name, Type: dns.Type(rrtype).String()}
	pool := d.zone.Pool(d.walk.Now)
	judge := func(m *dns.Msg) (Answer, Verdict) {
		a := ProveAnswer(pool, name, rrtype, m)
		return a, a.Verdict
	}
	heard, replies := hearing{}, d.walk.Ask(ctx, d.zone.Name, name, rrtype)
	best, v := consider(&link, replies, hear(heard, judge))
	best.Verdict = v
	if link.Text == "" && kind == LinkData {
		link.Text = best.told(name)
	}
	link.agree(replies, heard)
	link.Signatures = signatureFacts(best.Proof, d.walk.Now)
	for _, rr := range best.Set.Records {
		link.Records = append(link.Records, rr.String())
	}
	return best, link
}

// consider judges every reply, notes it on the link, and returns the best.
func consider[T any](link *Link, replies []Reply, judge func(*dns.Msg) (T, Verdict)) (T, Verdict) {
	var best T
	v := indeterminate(CodeNoAnswer, "no server could be asked")
	for i, r := range replies {
		got, verdict := *new(T), indeterminate(r.Code, r.Why)
		if r.Message != nil {
			got, verdict = judge(r.Message)
		}
		fact := verdict.fact(r.Server)
		fact.Serial = serialOf(r.Message)
		link.Answers = append(link.Answers, fact)
		if i == 0 || standing(verdict) < standing(v) {
			best, v = got, verdict
		}
	}
	link.Security, link.Code, link.Text = v.Security, v.Code, v.Text
	link.Mark = link.mark()
	return best, v
}

// standing orders verdicts, the best first. An answer that is bogus tells more
// than none.
func standing(v Verdict) int {
	order := []rollover.Security{rollover.Secure, rollover.Insecure, rollover.Bogus, rollover.Indeterminate}
	return slices.Index(order, v.Security)
}

// mark is a tick only if every server gave as good an answer.
func (l Link) mark() Mark {
	switch {
	case l.Security == rollover.Bogus || l.Security == rollover.Indeterminate:
		return MarkBroken
	case slices.ContainsFunc(l.Answers, func(a AnswerFact) bool { return a.Security != l.Security }):
		return MarkWarning
	case l.Code != "" && l.Code != CodeUnsecured:
		return MarkWarning
	}
	return MarkGood
}

// serialOf is the serial of the SOA that an answer carries; 0 without one.
func serialOf(m *dns.Msg) uint32 {
	if m == nil {
		return 0
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			if soa, ok := rr.(*dns.SOA); ok {
				return soa.Serial
			}
		}
	}
	return 0
}

// anchorLink is the beginning of a chain.
func anchorLink(zone string, trust Trust) Link {
	link := Link{Kind: LinkAnchor, Zone: zone, Name: zone, Type: "DS", Mark: MarkGood, Security: rollover.Secure}
	for _, d := range trust.DS {
		link.DS = append(link.DS, DSFact{DS: d, Untried: true})
	}
	for _, k := range trust.Keys {
		link.Keys = append(link.Keys, KeyFact{DNSKEY: k, Tag: k.Tag(), Trusted: true})
	}
	link.Type = cmp.Or(map[bool]string{true: "DNSKEY"}[len(trust.DS) == 0], "DS")
	return link
}
