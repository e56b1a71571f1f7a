package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	askEvery = 20 * time.Millisecond
	// resolveTime is how long a user waits for the validator, which may first
	// have to give up on a server that is down.
	resolveTime = 10 * time.Second
)

// Asker is a user of the validator who asks without pause. Mind when waits
// are computed for it: Unbound counts in whole seconds and so keeps an RRset
// up to a second longer than its TTL.
type Asker struct {
	answers Answers
	cancel  context.CancelFunc
	done    chan struct{}
}

// Answers counts what an Asker got: Total = AD + ServFail + Other.
type Answers struct {
	Total    int
	AD       int // proven by the validator, existing or not
	ServFail int
	Other    int // unproven, another rcode, or no answer at all

	FirstServFail *Failure // nil if there was none
	FirstOther    *Failure
}

// Failure is one answer that was not as it should be.
type Failure struct {
	At       time.Time
	Question string
	Reason   string // rcode and extended error, or why there was no answer
}

// String tells the failure in one line.
func (f *Failure) String() string {
	return fmt.Sprintf("%s %s: %s", f.At.Format(clock), f.Question, f.Reason)
}

// Ask starts an Asker for a child zone. It ends with ctx or Stop.
func (l *Lab) Ask(ctx context.Context, zone string) *Asker {
	ctx, cancel := context.WithCancel(ctx)
	a := &Asker{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.run(ctx, l.validator.addr, dns.CanonicalName(zone))
	}()
	return a
}

// Stop ends the asking and returns the counts.
func (a *Asker) Stop() Answers {
	a.cancel()
	<-a.done
	return a.answers
}

func (a *Asker) run(ctx context.Context, addr, zone string) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		name, qtype := userQuestion(turn, zone)
		answer, err := askWithin(ctx, resolveTime, addr, name, qtype)
		if ctx.Err() != nil {
			return // the answer may be missing only because we were told to stop
		}
		a.answers.count(name+" "+dns.TypeToString[qtype], answer, err)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// userQuestion goes round: a name that all caches know, one that exists only
// by wildcard, one that does not exist, and the apex.
func userQuestion(turn int, zone string) (string, uint16) {
	random := fmt.Sprintf("r%08x", rand.Uint32())
	switch turn % 4 {
	case 0:
		return "www." + zone, dns.TypeA
	case 1:
		return random + ".wild." + zone, dns.TypeA
	case 2:
		return random + "." + zone, dns.TypeA
	}
	return zone, dns.TypeSOA
}

func (a *Answers) count(question string, answer *dns.Msg, err error) {
	a.Total++
	switch {
	case err != nil:
		a.Other++
		a.FirstOther = first(a.FirstOther, question, err.Error())
	case answer.Rcode == dns.RcodeServerFailure:
		a.ServFail++
		a.FirstServFail = first(a.FirstServFail, question, reason(answer))
	case answer.AuthenticatedData:
		a.AD++
	default:
		a.Other++
		a.FirstOther = first(a.FirstOther, question, reason(answer))
	}
}

func first(known *Failure, question, reason string) *Failure {
	if known != nil {
		return known
	}
	return &Failure{At: time.Now(), Question: question, Reason: reason}
}

// reason is the rcode of an answer with its extended errors (RFC 8914).
func reason(answer *dns.Msg) string {
	words := []string{dns.RcodeToString[answer.Rcode]}
	if opt := answer.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if ede, ok := option.(*dns.EDNS0_EDE); ok {
				words = append(words, "EDE "+ede.String())
			}
		}
	}
	return strings.Join(words, ", ")
}
