package probe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// suspicion is an error that the resolvers may be at fault for.
type suspicion struct{ error }

// Is makes it rollover.ErrResolver.
func (suspicion) Is(target error) bool { return target == rollover.ErrResolver }

// Unwrap is what happened.
func (s suspicion) Unwrap() error { return s.error }

// Resolver examines the resolvers by a question that no zone is at fault for: the
// keys of the zone of the trust anchor, which must verify. Nil when they do.
func (c *Client) Resolver(ctx context.Context) *rollover.ResolverFault {
	name := c.anchored()
	begun := c.now().Wall
	answer, from, err := c.askResolvers(ctx, unchecked(name, dns.TypeDNSKEY))
	took := c.now().Wall.Sub(begun)
	fault := func(code, format string, args ...any) *rollover.ResolverFault {
		return &rollover.ResolverFault{Code: code, Text: fmt.Sprintf(format, args...)}
	}
	if err != nil {
		return fault(rollover.ResolverSilent, "no resolver gives an answer (asked for %s DNSKEY: %v)", name, err)
	}
	if !slices.ContainsFunc(answer.Answer, isSignature) {
		return fault(rollover.ResolverUnsigned, "resolver %s gives no signatures (asked for %s DNSKEY: %s, %d records)", from, name, rcode(answer), len(answer.Answer))
	}
	if _, v := c.walkBy(answer, from.String()).Zone(ctx, name); v.Security == rollover.Bogus {
		return fault(rollover.ResolverBogus, "what resolver %s says of %s does not verify by the trust anchors: %s", from, name, v.Text)
	}
	if took > c.timeout()/2 {
		return fault(rollover.ResolverSlow, "resolver %s is slow: it took more than %s to give %s DNSKEY, of the %s that there are", from, c.timeout()/2, name, c.timeout())
	}
	return nil
}

// walkBy judges the keys in one answer.
func (c *Client) walkBy(answer *dns.Msg, from string) chain.Walk {
	replies := []chain.Reply{{Server: "resolver " + from, Message: answer}}
	return chain.Walk{Anchors: c.Anchors, Now: c.now().Wall, Ask: func(context.Context, string, string, uint16) []chain.Reply { return replies }}
}

// anchored is the highest zone with a trust anchor, the root if there is none.
func (c *Client) anchored() string {
	names := slices.Sorted(maps.Keys(c.Anchors))
	if len(names) == 0 {
		return "."
	}
	return slices.MinFunc(names, func(a, b string) int { return strings.Count(a, ".") - strings.Count(b, ".") })
}
