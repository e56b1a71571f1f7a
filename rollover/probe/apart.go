package probe

import (
	"context"
	"fmt"
	"slices"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// alone says whether a zone has no parent that counts: the root, and a zone that
// is its own trust anchor, unless servers of a parent are configured or known.
func (c *Client) alone(q rollover.Question) bool {
	known := slices.ContainsFunc(q.Known, func(s rollover.Server) bool { return s.Role == rollover.RoleParent })
	if len(q.ParentServers) > 0 || known {
		return false
	}
	return q.Zone == "." || len(c.Anchors.Of(q.Zone)) > 0
}

func (f *finder) alone() bool { return f.client.alone(f.q) }

// proveUnsigned looks why an answer of the parent has no signature: a zone above
// may be proven to be unsigned, and then it needs none. Only where the parent is
// proven to be signed is such an answer bogus. It is looked for once in a look.
func (c *Client) proveUnsigned(ctx context.Context, zone string, p *proofs) {
	if p.unsigned != nil || zone == "." {
		return
	}
	walk := chain.Walk{Ask: p.asking(c), Anchors: c.Anchors, Now: c.now().Wall}
	z, v := walk.Above(ctx, above(zone))
	if v.Security == rollover.Secure {
		v = chain.Verdict{Security: rollover.Bogus, Text: fmt.Sprintf("the answer of the parent is not signed by a zone above %s, and %s is signed", zone, z.Name)}
	}
	p.unsigned = &v
}

// unsignedStanding is what an answer is worth that no zone above has signed.
func (p *proofs) unsignedStanding(zone string) *rollover.Standing {
	if p.unsigned == nil {
		return &rollover.Standing{Security: rollover.Bogus, Why: "the answer of the parent is not signed by a zone above " + zone}
	}
	return p.blame(&rollover.Standing{Security: p.unsigned.Security, Why: unsignedWhy(zone, *p.unsigned)})
}

func unsignedWhy(zone string, v chain.Verdict) string {
	switch v.Security {
	case rollover.Insecure:
		return "a zone above " + zone + " is not signed (" + v.Text + ")"
	case rollover.Bogus:
		return v.Text
	}
	return "the answer of the parent is not signed by a zone above " + zone + ", and whether it must be cannot be told: " + v.Text
}
