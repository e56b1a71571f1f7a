package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// extras asks a server of the zone what is no part of a rollover's records: what
// it announces to the parent, and answers to compare.
func (c *Client) extras(ctx context.Context, t target, q rollover.Question) (announced, answers []reply) {
	if t.Role != rollover.RoleChild || t.silent != nil {
		return nil, nil
	}
	ask := func(i inquiry) reply {
		answer, err := c.exchange(ctx, t.at, direct(i.name, i.rrtype))
		return reply{inquiry: i, answer: answer, err: err}
	}
	if q.Thorough {
		announced = each([]inquiry{{"CDS", q.Zone, dns.TypeCDS}, {"CDNSKEY", q.Zone, dns.TypeCDNSKEY}}, ask)
	}
	return announced, each(toCompare(q), ask)
}

// toCompare is the questions whose answers are compared: those that this library
// can ask.
func toCompare(q rollover.Question) []inquiry {
	var out []inquiry
	for _, s := range q.Answers {
		rrtype, ok := typeOf(s.Type)
		if name := dns.CanonicalName(s.Name); ok && dns.IsSubDomain(q.Zone, name) {
			out = append(out, inquiry{s.Type, name, rrtype})
		}
	}
	return out
}

// announces is the CDS and CDNSKEY records that the server serves.
func (v visit) announces(zone string) []string {
	var out []string
	for _, r := range v.announced {
		if r.err != nil || usable(r.answer) != nil {
			continue
		}
		for _, rr := range r.answer.Answer {
			if h := rr.Header(); h.Rrtype == r.rrtype && h.Name == zone {
				out = append(out, r.label+" "+strings.TrimPrefix(rr.String(), h.String()))
			}
		}
	}
	return out
}

// compared interprets the answers that are compared, by the zone's own keys.
func (v visit) compared(q rollover.Question, served *rollover.KeyVersion, now time.Time) []rollover.AnswerSighting {
	d := newDataReader(q, served, now, v.budget)
	d.pool.Expect(len(v.answers))
	out := make([]rollover.AnswerSighting, len(v.answers))
	for i, r := range v.answers {
		out[i] = rollover.AnswerSighting{Sample: rollover.Sample{Name: r.name, Type: r.label}}
		if r.err != nil {
			out[i].Unknown = r.err.Error()
			continue
		}
		d.compare(r, &out[i])
	}
	return out
}

// compare interprets one answer.
func (d *dataReader) compare(r reply, out *rollover.AnswerSighting) {
	m := r.answer
	switch {
	case d.referral(r.inquiry, m):
		out.Class = rollover.ClassReferral
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		out.Class = rollover.AnswerClass(dns.RcodeToString[m.Rcode])
	case usable(m) != nil:
		out.Class, out.Fault = rollover.ClassNoData, usable(m).Error()
	case d.foreign(m):
		out.Class = rollover.ClassForeign
	default:
		d.prove(r, out)
	}
}

// prove says what an answer is worth to a validator that trusts the zone's keys.
func (d *dataReader) prove(r reply, out *rollover.AnswerSighting) {
	a := chain.ProveAnswer(d.pool, r.name, r.rrtype, r.answer)
	switch a.Kind {
	case chain.AnswerData, chain.AnswerAlias:
		out.Class, out.Sum = rollover.ClassData, digest(a.Set)
	default:
		out.Class = rollover.ClassNoData
		if r.answer.Rcode == dns.RcodeNameError {
			out.Class = rollover.ClassNoName
		}
	}
	if a.Security == rollover.Bogus || a.Security == rollover.Indeterminate {
		out.Fault = a.Text
	}
}

// digest is one of the records of a set, whatever their order and TTL.
func digest(s chain.Set) string {
	var lines []string
	for _, rr := range s.Records {
		lines = append(lines, dns.Type(rr.Header().Rrtype).String()+" "+strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}
