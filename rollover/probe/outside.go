package probe

import (
	"context"

	"rollover/rollover"
)

// opinions is what the validating resolvers say of the DS set, and of the zone
// itself where that is asked for.
func (c *Client) opinions(ctx context.Context, q rollover.Question) []rollover.ValidatorSighting {
	out := c.askValidators(ctx, q.Zone)
	if !q.Resolve {
		return out
	}
	for i, opinion := range c.askOpinions(ctx, q.Zone) {
		out[i].Finds = finds(opinion)
	}
	return out
}

// finds is how a resolver finds a zone; empty for one that does not validate
// what it answers.
func finds(v rollover.ValidatorSighting) rollover.Security {
	switch {
	case v.Bogus:
		return rollover.Bogus
	case v.AD:
		return rollover.Secure
	case v.Unknown != "" || v.Authoritative || v.Blind:
		return ""
	}
	return rollover.Insecure
}
