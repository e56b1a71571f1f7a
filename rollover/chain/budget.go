package chain

import (
	"context"
	"encoding/base64"
	"sync/atomic"

	"github.com/miekg/dns"
)

// MaxEffort is what all pools of one look may verify together: 6,144 signatures by
// keys of the usual kinds, or a quarter of that by long ones. It is about a second
// of a processor.
const MaxEffort = 6144

// dear is the effort of one signature by a long key, beside 1 of any other.
const dear = 4

// Budget is an effort that several pools share, which may be at work side by side.
// When it is used up, or the context has ended, nothing more is verified.
type Budget struct {
	ctx  context.Context // of whoever waits for the look: what verifies knows of no other end
	left atomic.Int64
}

// NewBudget is a budget of MaxEffort.
func NewBudget(ctx context.Context) *Budget {
	b := &Budget{ctx: ctx}
	b.left.Store(MaxEffort)
	return b
}

// Expect adds MaxChecks signatures for each answer that is compared.
func (b *Budget) Expect(answers int) { b.left.Add(int64(answers) * MaxChecks) }

// spend says why a signature by a key is not verified any more; nil if it is.
func (b *Budget) spend(key *dns.DNSKEY) error {
	switch {
	case b == nil:
		return nil
	case b.ctx.Err() != nil:
		return faultf(CodeTooMuch, "not checked: %v", context.Cause(b.ctx))
	case b.left.Add(-effort(key)) < 0:
		return faultf(CodeTooMuch, "not checked: more signatures to check in what all servers show than are checked in one look")
	}
	return nil
}

// effort is how much longer than usual it takes to verify by a key.
func effort(key *dns.DNSKEY) int64 {
	if key.Algorithm == dns.ECDSAP384SHA384 || base64.StdEncoding.DecodedLen(len(key.PublicKey)) > 264 { // RSA of 2048 bits and its exponent
		return dear
	}
	return 1
}

// Within has the pool share a budget; nil is none.
func (p *Pool) Within(b *Budget) *Pool {
	p.budget = b
	return p
}
