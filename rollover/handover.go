package rollover

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// handOverTime is how long a driver may take for one change, if nothing else
	// is configured.
	handOverTime = 90 * time.Second
	// handOversLeft is how many drivers that did not come back in time may still
	// be at it: the next zones wait until one of them has ended.
	handOversLeft = 64
)

// handOvers is the zones whose drivers are at it.
type handOvers struct {
	mu   sync.Mutex
	open map[string]bool
}

// begin notes a zone; false if its driver has not come back from the last time,
// or too many have not.
func (h *handOvers) begin(zone string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[zone] || len(h.open) >= handOversLeft {
		return false
	}
	if h.open == nil {
		h.open = map[string]bool{}
	}
	h.open[zone] = true
	return true
}

func (h *handOvers) end(zone string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, zone)
}

// handedOver is how a hand-over ended.
type handedOver struct {
	answer Answer
	panics any
}

// handOver gives a change to the driver, and waits for its answer until the time
// for that is up, and a fifth of it longer for what it then has to end. A driver
// that does not come back is left alone, for the others wait.
func (v *visit) handOver(ctx context.Context, c Change) Answer {
	open := &v.engine.handOvers
	if !open.begin(c.Zone) {
		return Answer{State: SubmissionLater, Text: "it was not asked: it has not come back from an earlier change yet, or too many others have not"}
	}
	limit := v.setting.HandOver
	if limit <= 0 {
		limit = handOverTime
	}
	inTime, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it was given %s (ds.deadline)", limit))
	defer stop()
	patience, leave := context.WithTimeout(context.WithoutCancel(ctx), limit+limit/5)
	defer leave()
	said, registrar := make(chan handedOver, 1), v.setting.Registrar
	go func() {
		var out handedOver
		defer func() {
			if p := recover(); p != nil {
				out.panics = Caught(c.Zone, p)
			}
			open.end(c.Zone)
			said <- out
		}()
		out.answer = registrar.Submit(inTime, c)
	}()
	select {
	case out := <-said:
		if out.panics != nil {
			panic(out.panics) // where the work on this zone is guarded
		}
		return unended(inTime, out.answer)
	case <-patience.Done():
		return Answer{State: SubmissionLater, Text: fmt.Sprintf("it did not come back in time: %v", context.Cause(inTime))}
	}
}

// unended is the answer of a driver, which can only be asked again if it did not
// get to its end in time.
func unended(inTime context.Context, a Answer) Answer {
	if inTime.Err() == nil || a.State == SubmissionAccepted {
		return a
	}
	text := fmt.Sprintf("it did not end in time: %v", context.Cause(inTime))
	if a.Text != "" {
		text += "; it said: " + a.Text
	}
	return Answer{State: SubmissionLater, Text: text, Missing: a.Missing}
}

// byMisses is the visits with those first whose driver was asked in vain least
// often: one that never ends stands before nobody twice.
func byMisses(visits []*visit) []*visit {
	misses := func(v *visit) int {
		if v.roll == nil || v.roll.Submission == nil {
			return 0
		}
		return v.roll.Submission.Misses
	}
	return slices.SortedStableFunc(slices.Values(visits), func(a, b *visit) int { return misses(a) - misses(b) })
}
