package probe

import (
	"context"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// parentSerials asks each server of the parent how far it is in the zone that
// signed what it said. What it does not tell stays 0; nothing else depends on it.
func (c *Client) parentSerials(ctx context.Context, q rollover.Question, asked []visit) {
	serials := each(asked, func(v visit) uint32 {
		if v.Role != rollover.RoleParent || v.silent != nil || len(v.replies) != 1 || v.replies[0].err != nil {
			return 0
		}
		signer, ok := signerOf(q.Zone, v.replies[0].answer)
		if !ok {
			return 0
		}
		answer, err := c.stream(ctx, v.at, direct(signer, dns.TypeSOA))
		if err != nil || usable(answer) != nil {
			return 0
		}
		return serialOf(signer, answer)
	})
	for i := range asked {
		asked[i].serial = serials[i]
	}
}

func serialOf(zone string, m *dns.Msg) uint32 {
	for _, rr := range m.Answer {
		if soa, ok := rr.(*dns.SOA); ok && dns.CanonicalName(soa.Hdr.Name) == zone {
			return soa.Serial
		}
	}
	return 0
}
