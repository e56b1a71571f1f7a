package parent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/miekg/dns"
)

// atOnce is how many servers are asked at the same time.
const atOnce = 64

// Ask puts a question to a server, "host" or "host:port", within its own time.
type Ask func(ctx context.Context, server string, m *dns.Msg) (*dns.Msg, error)

// resolver asks recursive servers, one after the other.
type resolver struct {
	put     Ask
	servers []string
}

func (r resolver) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	err := errors.New("no resolver is configured")
	for _, server := range r.servers {
		var answer *dns.Msg
		m := new(dns.Msg).SetQuestion(name, qtype)
		m.SetEdns0(1232, true)
		if answer, err = r.put(ctx, server, m); err == nil && (answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError) {
			return answer, nil
		}
		if err == nil {
			err = fmt.Errorf("%s answers %s", server, rcode(answer.Rcode))
		}
	}
	return nil, fmt.Errorf("asking for %s %s: %w", name, dns.Type(qtype), err)
}

// rcode is the name of a response code, its number if it has none.
func rcode(code int) string {
	if text, ok := dns.RcodeToString[code]; ok {
		return text
	}
	return fmt.Sprintf("RCODE %d", code)
}

// each does the same with all items, atOnce of them at a time, and returns the
// results in their order.
func each[T, R any](items []T, do func(T) R) []R {
	out := make([]R, len(items))
	slots := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, item := range items {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			out[i] = do(item)
		})
	}
	running.Wait()
	return out
}
