package pdns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of time, where Tool has none.
const (
	defaultTimeout = 60 * time.Second
	defaultLong    = 10 * time.Minute
)

// What is waited for is told after patience, and then again each repeated.
const (
	patience = 5 * time.Second
	repeated = 30 * time.Second
)

// word is the command of pdnsutil or pdns_control, such as "list-zone"; empty for
// one without.
func (c call) word() string {
	for i, word := range slices.Backward(c.argv[:max(0, len(c.argv)-1)]) {
		if word == "--" {
			return c.argv[i+1]
		}
	}
	return ""
}

// long says whether a command touches every record of its zone, which takes minutes
// for a hundred thousand of them on a database without statistics.
func (c call) long() bool {
	word := c.word()
	return word == "list-zone" || word == "rectify-zone"
}

func (t *Tool) timeout(c call) time.Duration {
	switch {
	case c.long() && t.LongTimeout > 0:
		return t.LongTimeout
	case c.long():
		return max(defaultLong, t.Timeout)
	case t.Timeout > 0:
		return t.Timeout
	}
	return defaultTimeout
}

// remedySlow is what to do when it takes too long.
func (c call) remedySlow() string {
	if c.long() {
		return "if the zone is that large, have the database gather statistics (ANALYZE), or set a longer `long_timeout` in [pdnsutil]; else " + c.slow
	}
	return c.slow
}

// slot waits for room among the commands that run at once, and gives it back with
// done. One that may take long waits for room among those first.
func (t *Tool) slot(ctx context.Context, c call) (done func(), err error) {
	var of []chan struct{}
	if c.long() && t.LongSlots != nil {
		of = append(of, t.LongSlots)
	}
	if t.Slots != nil {
		of = append(of, t.Slots)
	}
	taken := 0
	done = func() {
		for _, slots := range of[:taken] {
			<-slots
		}
	}
	for _, slots := range of {
		select {
		case slots <- struct{}{}:
			taken++
		case <-ctx.Done():
			done()
			return nil, context.Cause(ctx)
		}
	}
	return done, nil
}

// doing is what a command does, in words.
func (c call) doing() string {
	zone := strings.TrimSuffix(c.zone, ".")
	switch word := c.word(); {
	case word == "list-zone":
		return fmt.Sprintf("reading the records of %s (%s)", zone, word)
	case word == "rectify-zone":
		return fmt.Sprintf("ordering the names of %s (%s)", zone, word)
	case zone == "":
		return "waiting for " + word
	default:
		return fmt.Sprintf("waiting for %s of %s", word, zone)
	}
}

// tellWaiting tells what is waited for until done is called, which waits for what is
// just being told.
func (t *Tool) tellWaiting(c call) (done func()) {
	if t.Waiting == nil {
		return func() {}
	}
	first := t.Patience
	if first <= 0 {
		first = patience
	}
	over, begun := make(chan struct{}), time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		timer := time.NewTimer(first)
		defer timer.Stop()
		for {
			select {
			case <-over:
				return
			case <-timer.C:
				t.Waiting(c.doing(), time.Since(begun))
				timer.Reset(repeated)
			}
		}
	})
	return func() { close(over); wg.Wait() }
}
