package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"rollover/rollover"
)

const (
	// maxRecords is how many records one answer may have: its names are written out
	// when it is read, and 64 KiB of compressed ones are a hundred times that.
	maxRecords = 512
	// maxKept is how many octets, written out, all answers over TCP in one look may
	// have. What came over UDP is small.
	maxKept = 4 << 20
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

// allowance is what is left of maxKept.
type allowance struct{ left atomic.Int64 }

type allowanceKey struct{}

func withAllowance(ctx context.Context) context.Context {
	a := new(allowance)
	a.left.Store(maxKept)
	return context.WithValue(ctx, allowanceKey{}, a)
}

// allowanceOf is the allowance of the look; nil outside of one, which is no limit.
func allowanceOf(ctx context.Context) *allowance {
	a, _ := ctx.Value(allowanceKey{}).(*allowance)
	return a
}

func (a *allowance) spend(octets int) error {
	if a != nil && a.left.Add(-int64(octets)) < 0 {
		return fmt.Errorf("%w: the answers of all servers have more than %d MiB", errTooMuch, maxKept>>20)
	}
	return nil
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
