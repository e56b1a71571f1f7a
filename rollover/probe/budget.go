package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"rollover/rollover"
	"rollover/rollover/chain"
)

const (
	// maxRecords is how many records one answer may have: its names are written out
	// when it is read, and 64 KiB of compressed ones are a hundred times that.
	maxRecords = 512
	// maxKept is how many octets, written out, all answers in one look may have: those
	// over TCP, and those over UDP that are larger than any packet.
	maxKept = 4 << 20
	// usuallyKept is how many a look may have while any number of others has as many,
	// and maxLarge how many looks may have more at the same time.
	usuallyKept = 512 << 10
	maxLarge    = 4
	// maxFollowed is how often servers of a zone are asked for further servers.
	maxFollowed = 4
	// defaultLookTimeout is how long a look may take in all: two dead servers, one
	// after the other, and something over.
	defaultLookTimeout = 30 * time.Second
)

var (
	errTooMuch  = errors.New("too much")
	errLookOver = errors.New("the time for one look was over")
)

// fewRecords refuses an answer by the counts in its header (RFC 1035 section 4.1.1),
// before anything is made of it.
func fewRecords(packet []byte) error {
	if len(packet) < 12 {
		return nil
	}
	n := 0
	for at := 6; at < 12; at += 2 {
		n += int(binary.BigEndian.Uint16(packet[at:]))
	}
	if n > maxRecords {
		return fmt.Errorf("%w: an answer with %d records, and %d is the most that is read", errTooMuch, n, maxRecords)
	}
	return nil
}

// allowance is what is left of maxKept for one look. A look that keeps more than
// usual has one of a few places, until its end.
type allowance struct {
	mu     sync.Mutex
	kept   int
	places chan struct{}
	placed bool
	budget *chain.Budget
}

type allowanceKey struct{}

// withAllowance begins a look; end gives back what it has.
func (c *Client) withAllowance(ctx context.Context) (look context.Context, end func()) {
	c.mu.Lock()
	if c.large == nil {
		c.large = make(chan struct{}, maxLarge)
	}
	a := &allowance{places: c.large, budget: chain.NewBudget(ctx)}
	c.mu.Unlock()
	return context.WithValue(ctx, allowanceKey{}, a), a.end
}

// allowanceOf is the allowance of the look; nil outside of one, which is no limit.
func allowanceOf(ctx context.Context) *allowance {
	a, _ := ctx.Value(allowanceKey{}).(*allowance)
	return a
}

// budgetOf is what the look may verify; nil outside of one, which is no limit.
func budgetOf(ctx context.Context) *chain.Budget {
	if a := allowanceOf(ctx); a != nil {
		return a.budget
	}
	return nil
}

// spend takes octets, and waits for a place where that is needed.
func (a *allowance) spend(ctx context.Context, octets int) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept += octets; a.kept > maxKept {
		return fmt.Errorf("%w: the answers of all servers have more than %d MiB", errTooMuch, maxKept>>20)
	}
	if a.kept <= usuallyKept || a.placed {
		return nil
	}
	err := take(ctx, a.places)
	a.placed = err == nil
	return err
}

func (a *allowance) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.placed {
		<-a.places
		a.placed = false
	}
}

// perLook is how many answers to compare are asked for in the time of one look; a
// question with more has so many times as long.
const perLook = 500

// lookTimeout is how long the look for a question may take.
func (c *Client) lookTimeout(q rollover.Question) time.Duration {
	one := c.LookTimeout
	if one <= 0 {
		one = defaultLookTimeout
	}
	return one * time.Duration(1+len(q.Answers)/perLook)
}
