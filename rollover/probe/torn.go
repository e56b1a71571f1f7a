package probe

import (
	"context"
	"slices"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

const (
	// tornPause is how long an answer that a transfer has torn gets to become whole,
	// and maxTorn how often: measured, it is over within a second.
	tornPause = time.Second
	maxTorn   = 3
	// maxSerialsBack and maxVersions are how many serials before the one shown, and
	// versions that servers show, a signature is tried on.
	maxSerialsBack = 8
	maxVersions    = 32
)

// whole asks again where a server has put an answer together from two versions of the
// zone, the records of one and the signature of another: for a moment in a transfer,
// secondaries of PowerDNS do. Only what is proven to be that is asked for again, and
// what stays torn is told as it is: to a validator it is a broken signature.
func (c *Client) whole(ctx context.Context, q rollover.Question, asked []visit, read func(visit) rollover.ServerSighting) []rollover.ServerSighting {
	out := each(asked, read)
	for range maxTorn {
		torn := tornIn(q, asked, out, c.now().Wall, budgetOf(ctx))
		if len(torn) == 0 || !c.pause(ctx) {
			break
		}
		again := each(torn, func(i int) visit { return c.visit(ctx, asked[i].target, q) })
		for at, i := range torn {
			asked[i], out[i] = again[at], read(again[at])
		}
	}
	return out
}

// pause waits until a torn answer may be whole; false when the look is over before.
func (c *Client) pause(ctx context.Context) bool {
	timer := time.NewTimer(c.tornPause())
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Client) tornPause() time.Duration {
	if c.torn > 0 {
		return c.torn
	}
	return tornPause
}

// tornIn is which visits have an answer that is torn.
func tornIn(q rollover.Question, asked []visit, seen []rollover.ServerSighting, now time.Time, budget *chain.Budget) []int {
	var out []int
	for i, v := range asked {
		if !doubtful(seen[i]) {
			continue
		}
		own := v.versions(q.Zone)
		keys := slices.Clone(q.Keys)
		for _, s := range own {
			keys = append(keys, chain.KeysOf(s)...)
		}
		pool := chain.NewPool(q.Zone, now, keys...).Within(budget)
		if slices.ContainsFunc(own, func(s chain.Set) bool { return torn(pool, s, versions(q.Zone, asked)) }) {
			out = append(out, i)
		}
	}
	return out
}

// doubtful says whether nothing has signed what a server shows.
func doubtful(s rollover.ServerSighting) bool {
	data := s.Data != nil && len(s.Data.Signers) == 0 && len(s.Data.Faults) > 0
	return data || s.DNSKEY != nil && len(s.DNSKEY.Signers) == 0 && len(s.DNSKEY.Faults) > 0
}

// versions is the SOA records and DNSKEY sets that the servers of the zone show. They
// are what a change of keys or of the serial changes; any other set verifies by the
// signature of either version.
func versions(zone string, asked []visit) []chain.Set {
	var out []chain.Set
	for _, v := range asked {
		if v.Role == rollover.RoleChild {
			out = append(out, v.versions(zone)...)
		}
	}
	return out
}

// versions is those of one server, each once.
func (v visit) versions(zone string) []chain.Set {
	var out []chain.Set
	for _, r := range v.replies {
		if r.err != nil {
			continue
		}
		sets, _ := chain.Sets(r.answer.Answer, r.answer.Ns) // without any, the answer is told as unusable
		for _, rrtype := range []uint16{dns.TypeSOA, dns.TypeDNSKEY} {
			s, ok := chain.Find(sets, zone, rrtype)
			if ok && !slices.ContainsFunc(out, func(o chain.Set) bool { return equal(o.Records, s.Records) && equal(o.Signatures, s.Signatures) }) {
				out = append(out, s)
			}
		}
	}
	return out
}

func equal[R dns.RR](a, b []R) bool {
	return slices.EqualFunc(a, b, func(a, b R) bool { return dns.IsDuplicate(a, b) })
}

// torn says whether a signature that does not fit the records it came with fits
// another version of them.
func torn(pool *chain.Pool, s chain.Set, versions []chain.Set) bool {
	if len(s.Signatures) == 0 || pool.Prove(s).Good() {
		return false
	}
	others := slices.DeleteFunc(slices.Clone(versions), func(o chain.Set) bool { return o.Type != s.Type || equal(o.Records, s.Records) })
	return slices.ContainsFunc(append(earlier(s), others[:min(len(others), maxVersions)]...), func(o chain.Set) bool {
		o.Signatures = s.Signatures
		return pool.Prove(o).Good()
	})
}

// earlier is an SOA record with the serials before its own: a signature that is older
// than its record was made for one that no server may show any more.
func earlier(s chain.Set) []chain.Set {
	soa, ok := s.Records[0].(*dns.SOA)
	if !ok {
		return nil
	}
	var out []chain.Set
	for back := range uint32(maxSerialsBack) {
		before := *soa
		before.Serial -= back + 1
		out = append(out, chain.Set{Owner: s.Owner, Type: s.Type, Records: []dns.RR{&before}})
	}
	return out
}
