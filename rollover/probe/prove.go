package probe

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// keepProven is how long the proven keys of a zone are used again at most,
// whatever their TTL says: many zones have one parent.
const keepProven = 5 * time.Minute

// maxSigners is how many zones that claim to be the parent are followed to
// their anchors in one look.
const maxSigners = 2

// provenZone is a zone whose keys were proven, and until when that counts.
type provenZone struct {
	chain.Zone
	until time.Time
}

// proofs is what is known of the zones that signed the answers of one look.
type proofs struct {
	zones    map[string]chain.Zone
	verdicts map[string]chain.Verdict
	unsigned *chain.Verdict // why an answer has no signature of a zone above; nil when every one has
	// resolver is what the resolvers did not give that a proof needs; empty if
	// they gave it all.
	resolver string
	budget   *chain.Budget // of the look; nil while the zones themselves are proven
}

// asking asks the resolvers, and notes where they give nothing, or keys that they
// took the signatures from: a DNSKEY set that is asked for hangs on a trust anchor
// or a proven DS, so it is signed.
func (p *proofs) asking(c *Client) func(ctx context.Context, zone, name string, rrtype uint16) []chain.Reply {
	return func(ctx context.Context, zone, name string, rrtype uint16) []chain.Reply {
		replies := c.askAnybody(ctx, zone, name, rrtype)
		for _, r := range replies {
			question := name + " " + dns.Type(rrtype).String()
			switch {
			case p.resolver != "":
			case r.Message == nil:
				p.resolver = fmt.Sprintf("%s gave no answer about %s: %s", r.Server, question, strings.TrimPrefix(r.Why, "no answer: "))
			case rrtype == dns.TypeDNSKEY && len(r.Message.Answer) > 0 && !slices.ContainsFunc(r.Message.Answer, isSignature):
				p.resolver = fmt.Sprintf("%s gave %s without signatures", r.Server, question)
			}
		}
		return replies
	}
}

func isSignature(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }

// blame names the resolvers in what could not be proven for want of their answers.
func (p *proofs) blame(s *rollover.Standing) *rollover.Standing {
	if s.Security == rollover.Bogus || s.Security == rollover.Indeterminate {
		s.Resolver = p.resolver
	}
	return s
}

// prove follows the zones that signed what the parent's servers said up to a
// trust anchor, and hands the result to the visits.
func (c *Client) prove(ctx context.Context, q rollover.Question, asked []visit) {
	p := &proofs{zones: map[string]chain.Zone{}, verdicts: map[string]chain.Verdict{}}
	var parents []netip.AddrPort
	for _, v := range asked {
		if v.Role == rollover.RoleParent && v.at.IsValid() && v.silent == nil {
			parents = append(parents, v.at)
		}
	}
	for i := range asked {
		if asked[i].Role != rollover.RoleParent {
			continue
		}
		asked[i].proofs = p
		for _, r := range asked[i].replies {
			if r.err == nil {
				c.proveSigner(ctx, q.Zone, r.answer, parents, p)
			}
		}
	}
}

// proveSigner proves the zone that signed one answer. Keys that were proven
// before and do not fit any more are proven anew.
func (c *Client) proveSigner(ctx context.Context, zone string, m *dns.Msg, parents []netip.AddrPort, p *proofs) {
	signer, ok := signerOf(zone, m)
	if !ok {
		c.proveUnsigned(ctx, zone, p)
		return
	}
	now := c.now().Wall
	if _, tried := p.verdicts[signer]; tried || len(p.verdicts) >= maxSigners {
		return
	}
	if known, ok := c.recall(signer, now); ok && fits(zone, known, m, now) {
		p.zones[signer] = known
		return
	}
	p.zones[signer], p.verdicts[signer] = c.proveZone(ctx, signer, parents, p, now)
}

func fits(zone string, parent chain.Zone, m *dns.Msg, now time.Time) bool {
	v := chain.ProveDelegation(parent.Pool(now), zone, m)
	return v.Security == rollover.Secure || v.Security == rollover.Insecure
}

// proveZone follows the chain down to a zone: by what the resolvers say, and if
// that does not do, by what the zone's own servers say of its keys.
func (c *Client) proveZone(ctx context.Context, name string, servers []netip.AddrPort, p *proofs, now time.Time) (chain.Zone, chain.Verdict) {
	walk := chain.Walk{Ask: p.asking(c), Anchors: c.Anchors, Now: now}
	z, v := walk.Zone(ctx, name)
	if v.Security != rollover.Secure {
		walk.Ask = func(ctx context.Context, zone, owner string, rrtype uint16) []chain.Reply {
			if zone == name {
				return c.askServers(ctx, servers, owner, rrtype)
			}
			return p.asking(c)(ctx, zone, owner, rrtype)
		}
		first := p.resolver
		p.resolver = "" // what the zone's own servers say is not the resolvers' fault
		if again, verdict := walk.Zone(ctx, name); verdict.Security != rollover.Indeterminate {
			z, v = again, verdict
		} else {
			p.resolver = first
		}
	}
	if v.Security == rollover.Secure {
		c.remember(z, now)
	}
	return z, v
}

func (c *Client) recall(name string, now time.Time) (chain.Zone, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.proven[name]
	return known.Zone, now.Before(known.until)
}

func (c *Client) remember(z chain.Zone, now time.Time) {
	until := now.Add(min(keepProven, time.Duration(z.TTL)*time.Second))
	if z.Expires.Before(until) {
		until = z.Expires
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proven == nil {
		c.proven = map[string]provenZone{}
	}
	c.proven[z.Name] = provenZone{z, until}
}

// askAnybody gets records with their signatures from the resolvers.
func (c *Client) askAnybody(ctx context.Context, _, name string, rrtype uint16) []chain.Reply {
	answer, from, err := c.askResolvers(ctx, unchecked(name, rrtype))
	if err != nil {
		return []chain.Reply{{Server: "the resolvers", Code: chain.CodeNoAnswer, Why: "no answer: " + err.Error()}}
	}
	return []chain.Reply{{Server: "resolver " + from.String(), Message: answer}}
}

// askServers gets records from authoritative servers, one reply from each.
func (c *Client) askServers(ctx context.Context, servers []netip.AddrPort, name string, rrtype uint16) []chain.Reply {
	return each(servers, func(at netip.AddrPort) chain.Reply {
		answer, err := c.stream(ctx, at, direct(name, rrtype))
		return authoritative(at.String(), answer, err)
	})
}

// authoritative is the reply of a server that must have authority.
func authoritative(server string, answer *dns.Msg, err error) chain.Reply {
	if err != nil {
		return chain.Reply{Server: server, Code: chain.CodeNoAnswer, Why: err.Error()}
	}
	if err := usable(answer); err != nil {
		return chain.Reply{Server: server, Code: chain.CodeLame, Why: err.Error()}
	}
	return chain.Reply{Server: server, Message: answer}
}

// signerOf is the zone above that an answer about a DS set claims to be signed
// by. It is a hint of where to look for keys, and proves nothing.
func signerOf(zone string, m *dns.Msg) (string, bool) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			sig, ok := rr.(*dns.RRSIG)
			if !ok {
				continue
			}
			if signer := dns.CanonicalName(sig.SignerName); signer != zone && dns.IsSubDomain(signer, zone) {
				return signer, true
			}
		}
	}
	return "", false
}

// standing is what one answer of the parent is worth.
func (p *proofs) standing(zone string, m *dns.Msg, now time.Time) *rollover.Standing {
	signer, ok := signerOf(zone, m)
	if !ok {
		return p.unsignedStanding(zone)
	}
	parent, known := p.zones[signer]
	if v, tried := p.verdicts[signer]; tried && v.Security != rollover.Secure {
		return p.blame(&rollover.Standing{Security: v.Security, Why: "the keys of " + signer + " are not proven: " + v.Text})
	}
	if !known {
		return &rollover.Standing{Security: rollover.Indeterminate, Why: "the keys of " + signer + " were not looked for"}
	}
	d := chain.ProveDelegation(parent.Pool(now).Within(p.budget), zone, m)
	if d.Security == rollover.Secure || d.Cut == chain.CutUnsigned {
		return &rollover.Standing{Security: rollover.Secure, Signed: d.Since, Expires: d.Expires} // that there is no DS may be proven as well
	}
	return &rollover.Standing{Security: d.Security, Why: d.Text}
}
