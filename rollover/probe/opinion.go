package probe

import (
	"context"
	"net/netip"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// askOpinions asks every validating resolver about the zone itself: its SOA,
// which every zone has.
func (c *Client) askOpinions(ctx context.Context, zone string) []rollover.ValidatorSighting {
	return each(c.Validators, func(text string) rollover.ValidatorSighting {
		at, err := c.validatorAddress(ctx, text)
		if err != nil {
			return rollover.ValidatorSighting{Address: text, Unknown: err.Error()}
		}
		return c.askOpinion(ctx, at, zone)
	})
}

// askOpinion asks one. Without AD it is asked about the zone of the trust
// anchor too, which is secure if anything is: one that has no AD for that
// either does not validate.
func (c *Client) askOpinion(ctx context.Context, at netip.AddrPort, zone string) rollover.ValidatorSighting {
	out := rollover.ValidatorSighting{Address: at.String()}
	m, err := c.exchange(ctx, at, validated(zone, dns.TypeSOA, false))
	switch {
	case err != nil:
		out.Unknown = err.Error()
		return out
	case m.Rcode == dns.RcodeServerFailure:
		unchecked, err := c.exchange(ctx, at, validated(zone, dns.TypeSOA, true))
		out.Bogus = err == nil && answered(unchecked)
		out.Text = rcode(m)
		if !out.Bogus {
			out.Unknown, out.Text = rcode(m), ""
		}
		return out
	case !answered(m):
		out.Unknown = rcode(m)
		return out
	}
	out.AD, out.Authoritative = m.AuthenticatedData, m.Authoritative
	if !out.AD && !out.Authoritative {
		out.Blind = c.blind(ctx, at, zone)
	}
	return out
}

func (c *Client) blind(ctx context.Context, at netip.AddrPort, zone string) bool {
	anchor, ok := c.Anchors.Above(zone)
	if !ok || anchor == zone {
		return false
	}
	m, err := c.exchange(ctx, at, validated(anchor, dns.TypeSOA, false))
	return err == nil && answered(m) && !m.AuthenticatedData
}
