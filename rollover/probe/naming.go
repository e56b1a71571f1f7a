package probe

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// maxStrangers is how many name servers that do not count are told of.
const maxStrangers = 16

// naming is an answer that names the name servers of the zone, and whose it is.
// Anybody can make one up, and have us ask a server of his for weeks: a name
// counts that the delegation has or somebody has named to us, or if a key of
// the zone has signed the set.
type naming struct {
	by     string
	answer *dns.Msg
}

// addNamings takes in the names that count, and notes who else was named.
func (f *finder) addNamings(ctx context.Context, r *roster, namings []naming) error {
	var names []string
	counts := sync.OnceValue(func() func(naming) bool { return f.prover(ctx, r) })
	for _, c := range namings {
		fresh := slices.DeleteFunc(nameServers(c.answer.Answer, f.q.Zone), func(n string) bool { return r.has(n) || f.excluded(n, netip.AddrPort{}) })
		switch {
		case len(fresh) == 0:
		case counts()(c):
			names = append(names, fresh...)
		default:
			f.strange(fresh, c.by)
		}
	}
	slices.Sort(names)
	return r.addNames(ctx, slices.Compact(names), nil)
}

// strange notes names that do not count.
func (f *finder) strange(names []string, by string) {
	for _, n := range names {
		s := rollover.Stranger{Name: n, By: by}
		if len(f.strangers) < maxStrangers && !slices.Contains(f.strangers, s) {
			f.strangers = append(f.strangers, s)
		}
	}
}

// prover says of an answer whether a key of the zone has signed it. Of a zone that has
// no keys all count: nobody can prove more.
func (f *finder) prover(ctx context.Context, r *roster) func(naming) bool {
	if f.trust == nil {
		trust := f.trusted(ctx)
		f.trust = &trust
	}
	trust := *f.trust
	if len(trust.Keys)+len(trust.DS) == 0 {
		return func(naming) bool { return true }
	}
	pool := f.pool(ctx, r, trust)
	return func(c naming) bool {
		sets, err := chain.Sets(c.answer.Answer)
		if err != nil {
			return false
		}
		s, ok := chain.Find(sets, f.q.Zone, dns.TypeNS)
		return ok && pool.Prove(s).Good()
	}
}

// trusted is what the keys of the zone are known by: those that are ours, its trust
// anchor, or else the DS set that its parent shows; nothing if it has none of these.
func (f *finder) trusted(ctx context.Context) chain.Trust {
	trust := f.client.Anchors[f.q.Zone]
	trust.Keys = slices.Concat(f.q.Keys, trust.Keys)
	if len(trust.Keys)+len(trust.DS) > 0 {
		return trust
	}
	for _, ds := range each(f.delegators, func(t target) []rollover.DS { return f.dsAt(ctx, t) }) {
		trust.DS = append(trust.DS, ds...)
	}
	return trust
}

// dsAt is the DS set at one server of the parent, nothing if it does not tell.
func (f *finder) dsAt(ctx context.Context, t target) []rollover.DS {
	if !t.at.IsValid() || t.silent != nil {
		return nil
	}
	answer, err := f.client.stream(ctx, t.at, direct(f.q.Zone, dns.TypeDS))
	if err != nil {
		return nil
	}
	version, err := readDS(f.q.Zone, answer)
	if err != nil {
		return nil
	}
	return version.Set
}

// pool is the keys of the zone: those that are known, and all of the DNSKEY sets that
// one of those has signed. In a zone of several signers each lists the keys of all
// (RFC 8901 section 3).
func (f *finder) pool(ctx context.Context, r *roster, trust chain.Trust) *chain.Pool {
	now := f.client.now().Wall
	fresh := r.targets[f.learned:] // a roster only grows
	sets := each(fresh, func(t target) []rollover.DNSKEY {
		if !t.at.IsValid() || t.silent != nil {
			return nil
		}
		answer, err := f.client.exchange(ctx, t.at, direct(f.q.Zone, dns.TypeDNSKEY))
		if err != nil {
			return nil
		}
		return f.keysOf(trust, answer, now)
	})
	if f.learned == 0 {
		if answer, _, err := f.client.askResolvers(ctx, unchecked(f.q.Zone, dns.TypeDNSKEY)); err == nil {
			sets = append(sets, f.keysOf(trust, answer, now))
		}
	}
	f.learned = len(r.targets)
	for _, set := range sets {
		f.keys = append(f.keys, set...)
	}
	return chain.NewPool(f.q.Zone, now, slices.Concat(trust.Keys, f.keys)...).Within(budgetOf(ctx))
}

// keysOf is the keys of an answer, if the trust proves them.
func (f *finder) keysOf(trust chain.Trust, answer *dns.Msg, now time.Time) []rollover.DNSKEY {
	if proven := chain.ProveKeys(f.q.Zone, trust, answer, now); proven.Security == rollover.Secure {
		return proven.Keys
	}
	return nil
}
