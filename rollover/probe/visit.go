package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// inquiry is one thing to ask of a server.
type inquiry struct {
	label  string // how reports name it, the same in every look
	name   string
	rrtype uint16
}

// reply is what came back.
type reply struct {
	inquiry
	answer *dns.Msg
	err    error // why there is no answer, or none that can be used
}

// visit is one server with all its replies, not yet interpreted.
type visit struct {
	target
	replies []reply
	overTCP error  // why there was no answer over TCP; nil when there was, or it was not asked for
	serial  uint32 // of the parent zone, where a server of the parent told it
	budget  *chain.Budget
	proofs  *proofs // of the zones that signed what the parent's servers said; nil when not asked for

	announced, answers []reply // CDS and CDNSKEY, and answers to compare; none when not asked for
}

// visit asks one server everything at once.
func (c *Client) visit(ctx context.Context, t target, q rollover.Question) visit {
	if !t.at.IsValid() {
		return visit{target: t}
	}
	replies := each(inquiries(q, t.Role), func(i inquiry) reply {
		if t.silent != nil {
			return reply{inquiry: i, err: t.silent}
		}
		ask := c.exchange
		if t.Role == rollover.RoleParent {
			ask = c.stream
		}
		answer, err := ask(ctx, t.at, direct(i.name, i.rrtype))
		return reply{inquiry: i, answer: answer, err: err}
	})
	v := visit{target: t, replies: replies, overTCP: c.overTCPToo(ctx, t, q)}
	v.announced, v.answers = c.extras(ctx, t, q)
	return v
}

// overTCPToo asks a server of the child over TCP, which resolvers need when an
// answer does not fit (RFC 7766).
func (c *Client) overTCPToo(ctx context.Context, t target, q rollover.Question) error {
	if !q.Thorough || t.Role != rollover.RoleChild || t.silent != nil {
		return nil
	}
	answer, err := c.stream(ctx, t.at, direct(q.Zone, dns.TypeDNSKEY))
	if err == nil {
		err = usable(answer)
	}
	return err
}

// inquiries is what a server of the role is asked. Data is judged with the
// help of the server's own DNSKEY set, so that is asked for too.
func inquiries(q rollover.Question, role string) []inquiry {
	if role == rollover.RoleParent {
		return []inquiry{{"DS", q.Zone, dns.TypeDS}}
	}
	out := []inquiry{{"DNSKEY", q.Zone, dns.TypeDNSKEY}}
	if !slices.Contains(q.Records, rollover.RecordData) {
		return out
	}
	out = append(out, inquiry{"SOA", q.Zone, dns.TypeSOA}, inquiry{"NS", q.Zone, dns.TypeNS})
	if name, ok := randomName(q.Zone); ok {
		out = append(out, inquiry{"a name that does not exist", name, dns.TypeA})
	}
	out = append(out, samples(q)...)
	if q.Thorough {
		out = append(out, absences(q)...)
	}
	return out
}

// samples are the names asked beside the fixed ones. A type that this library
// does not know is asked for by its number or not at all, because PowerDNS may
// know types that we do not.
func samples(q rollover.Question) []inquiry {
	var out []inquiry
	for _, s := range q.Samples {
		rrtype, ok := typeOf(s.Type)
		name := dns.CanonicalName(s.Name)
		if !ok || !dns.IsSubDomain(q.Zone, name) || ofKeys(rrtype) {
			continue
		}
		out = append(out, inquiry{name + " " + dns.Type(rrtype).String(), name, rrtype})
	}
	return out
}

func typeOf(text string) (uint16, bool) {
	if rrtype, ok := dns.StringToType[strings.ToUpper(text)]; ok {
		return rrtype, true
	}
	var rrtype uint16
	_, err := fmt.Sscanf(strings.ToUpper(text), "TYPE%d", &rrtype)
	return rrtype, err == nil
}

// ofKeys says whether a type is signed by the keys that sign the DNSKEY set
// (RFC 7344 section 4.1), and so is no part of the data.
func ofKeys(rrtype uint16) bool {
	return rrtype == dns.TypeDNSKEY || rrtype == dns.TypeCDS || rrtype == dns.TypeCDNSKEY
}

// randomName is a name in the zone that no packet cache has; false in a zone
// whose name leaves no room for one.
func randomName(zone string) (string, bool) {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return named("_rollover-"+hex.EncodeToString(b[:]), zone)
}

// within has everything about a visit verified within a budget.
func (v visit) within(b *chain.Budget) visit {
	v.budget = b
	if v.proofs != nil {
		p := *v.proofs
		p.budget = b
		v.proofs = &p
	}
	return v
}

// read interprets what one server said.
func (v visit) read(q rollover.Question, now time.Time) rollover.ServerSighting {
	out := rollover.ServerSighting{Server: v.Server, Unknown: v.doubt}
	if !v.at.IsValid() {
		return out
	}
	if slices.ContainsFunc(v.replies, func(r reply) bool { return errors.Is(r.err, errNoRoute) }) {
		out.Unchecked = errNoRoute.Error()
		return out
	}
	out.Serial = v.serial
	interpret := v.readDS
	if v.Role == rollover.RoleChild {
		interpret = v.readChild
	}
	failed := interpret(q, now, &out)
	out.Announces = v.announces(q.Zone)
	if len(v.answers) > 0 {
		out.Answers = v.compared(q, out.DNSKEY, now)
	}
	out.Unknown = summary(failed, len(v.replies))
	if v.overTCP != nil && out.Unknown == "" {
		out.OverTCP = v.overTCP.Error()
	}
	return out
}

func (v visit) readDS(q rollover.Question, now time.Time, out *rollover.ServerSighting) []reply {
	var failed []reply
	for _, r := range v.replies {
		if r.err == nil {
			out.DS, r.err = readDS(q.Zone, r.answer)
		}
		if r.err == nil && v.proofs != nil {
			out.DS.Standing = v.proofs.standing(q.Zone, r.answer, now)
		}
		if r.err == nil {
			v.absence(q.Zone, r.answer, now, out.DS)
		}
		if r.err != nil {
			failed = append(failed, r)
		}
	}
	return failed
}

// readChild interprets the DNSKEY set first, because its keys are tried on the data.
func (v visit) readChild(q rollover.Question, now time.Time, out *rollover.ServerSighting) []reply {
	var failed []reply
	keys := v.replies[0]
	var version *rollover.KeyVersion
	if keys.err == nil {
		version, keys.err = readKeys(q.Zone, keys.answer, now, v.budget)
	}
	if keys.err != nil {
		failed = append(failed, keys)
	}
	if slices.Contains(q.Records, rollover.RecordDNSKEY) {
		out.DNSKEY = version
	}
	if len(v.replies) == 1 {
		return failed
	}
	d := newDataReader(q, version, now, v.budget)
	for _, r := range v.replies[1:] {
		if r.err == nil {
			r.err = d.read(r.inquiry, r.answer)
		}
		if r.err != nil {
			failed = append(failed, r)
		}
	}
	out.Serial, out.Denials = d.serial, d.denials
	if len(failed) == 0 {
		out.Data = d.version()
	}
	return failed
}

// summary is why a server counts as unknown: the one reason when nothing was
// answered, else the first question that was not.
func summary(failed []reply, asked int) string {
	if len(failed) == 0 {
		return ""
	}
	first := failed[0]
	same := !slices.ContainsFunc(failed, func(r reply) bool { return r.err.Error() != first.err.Error() })
	switch {
	case same && len(failed) == asked:
		return first.err.Error()
	case len(failed) == 1:
		return fmt.Sprintf("%s: %v", first.label, first.err)
	}
	return fmt.Sprintf("%s: %v (and %d more of %d questions)", first.label, first.err, len(failed)-1, asked)
}
