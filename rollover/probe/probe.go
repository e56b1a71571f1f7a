// Package probe is the eyes: it finds the name servers of a zone and of its
// parent, asks every one of them directly, checks signatures, and reports what
// each showed. It judges nothing: what an answer means for a rollover is the
// business of package rollover.
//
// A look has two halves. First everything is asked, with nothing but the rules
// of the transport (ask.go, socket.go) and of finding servers (servers.go,
// child.go, parent.go). Then the clock is read once, and the answers are
// interpreted by functions that do no I/O (dnskey.go, data.go, ds.go,
// verify.go).
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"rollover/rollover"
	"rollover/rollover/chain"
)

const (
	defaultTimeout = 5 * time.Second
	defaultPort    = 53
)

// Client looks at zones. Its methods may be called by many goroutines at once;
// the exported fields must not change after the first Look. It keeps one UDP
// socket for every server it has asked until Close.
type Client struct {
	// Resolvers are recursive servers, "address" or "address:port", used in
	// this order and only to find servers. Without a port it is 53.
	Resolvers []string
	// Validators are validating resolvers, "host" or "host:port", whose
	// opinion of the DS set is reported. Without a port it is 53.
	Validators []string
	// Anchors are what chains of trust begin with, for questions that ask for
	// validation; without one above a zone its standing is indeterminate.
	Anchors chain.Anchors
	// Timeout is how long one try waits for its answer; 0 is 5 s.
	Timeout time.Duration
	// LookTimeout is how long one look may take; 0 is 30 s. Who has not answered
	// by then is unknown.
	LookTimeout time.Duration
	// Port is where servers are asked that were found through the DNS, and
	// configured ones without a port; 0 is 53.
	Port int
	// DontQuery are networks that no server is asked in whose address comes from the
	// DNS. Addresses of the question and of the configuration are asked wherever they are.
	DontQuery []netip.Prefix
	// Now is called in a look when everything has been asked. It is
	// Sighting.At and the time at which signatures must be valid. Nil is the
	// wall clock alone, by which no waiting time is ever earned.
	Now func() rollover.Instant

	// dial replaces net.Dialer.DialContext: tests make sure with it that
	// nothing leaves the machine.
	dial dialFunc
	// torn replaces tornPause in tests.
	torn time.Duration

	mu     sync.Mutex
	lines  map[netip.AddrPort]*line
	proven map[string]provenZone
	large  chan struct{} // one for every look that keeps more than usual
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

var _ rollover.Observer = (*Client)(nil)

// Look asks all servers of the zone for the records in q. A server that could
// not be asked or gave no usable answer is in the Sighting with the reason.
// Errors: the cause of ctx when it ends; one that wraps rollover.ErrUnavailable
// when no server of a needed role can be found; one that names the entry when
// the question or the configuration does not make sense.
func (c *Client) Look(ctx context.Context, q rollover.Question) (rollover.Sighting, error) {
	zone, err := rollover.ParseZone(q.Zone)
	if err != nil {
		return rollover.Sighting{}, err
	}
	q.Zone = zone
	kept, end := c.withAllowance(ctx)
	defer end()
	limited, over := context.WithTimeoutCause(kept, c.lookTimeout(q), fmt.Errorf("%w (%s)", errLookOver, c.lookTimeout(q)))
	defer over()
	s := rollover.Sighting{Zone: zone, Records: q.Records}
	asked, err := c.ask(limited, q, &s)
	if ctx.Err() != nil && errors.Is(err, rollover.ErrResolver) {
		return rollover.Sighting{}, suspicion{context.Cause(ctx)}
	}
	if ctx.Err() != nil {
		return rollover.Sighting{}, context.Cause(ctx)
	}
	if err != nil {
		return rollover.Sighting{}, err
	}
	s.At, s.Alone, s.Anchor = c.now(), c.alone(q), c.Anchors.Of(zone)
	budget := budgetOf(kept)
	budget.Expect(len(q.Answers) * len(asked))
	s.Servers = c.whole(limited, q, asked, func(v visit) rollover.ServerSighting { return v.within(budget).read(q, s.At.Wall) })
	if ctx.Err() != nil {
		return rollover.Sighting{}, context.Cause(ctx)
	}
	return s, nil
}

// ask is the half of a look that talks: servers and validators at the same time.
func (c *Client) ask(ctx context.Context, q rollover.Question, s *rollover.Sighting) ([]visit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var others group
	switch {
	case q.Opinions:
		others.Go(func() { s.Validators = c.askOpinions(ctx, q.Zone) })
	case q.Validators:
		others.Go(func() { s.Validators = c.opinions(ctx, q) })
	}
	targets, strangers, err := c.find(ctx, q)
	if err != nil {
		cancel()
		others.Wait()
		return nil, err
	}
	asked := each(targets, func(t target) visit { return c.visit(ctx, t, q) })
	if q.Validate {
		c.parentSerials(ctx, q, asked)
		c.prove(ctx, q, asked)
	}
	others.Wait()
	s.Strangers = strangers
	return asked, nil
}

// Close closes all sockets and waits until nothing reads from them any more.
// Questions still under way fail. The Client may be used again afterwards.
func (c *Client) Close() error {
	c.mu.Lock()
	lines := c.lines
	c.lines = nil
	c.mu.Unlock()
	var errs []error
	for _, l := range lines {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

func (c *Client) now() rollover.Instant {
	if c.Now == nil {
		return rollover.Instant{Wall: time.Now()}
	}
	return c.Now()
}

func (c *Client) timeout() time.Duration {
	if c.Timeout <= 0 {
		return defaultTimeout
	}
	return c.Timeout
}

func (c *Client) port() uint16 {
	if c.Port <= 0 {
		return defaultPort
	}
	return uint16(c.Port)
}

func (c *Client) dialContext(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	if c.dial != nil {
		return c.dial(ctx, network, to.String())
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to.String())
}

// each does the same with all items at once and returns the results in their
// order. A panic in one of them comes up here, where somebody can recover it.
func each[T, R any](items []T, do func(T) R) []R {
	out := make([]R, len(items))
	var running group
	for i, item := range items {
		running.Go(func() { out[i] = do(item) })
	}
	running.Wait()
	return out
}

// group is a WaitGroup that hands a panic of its goroutines over to who waits.
type group struct {
	sync.WaitGroup
	once  sync.Once
	crash any
}

func (g *group) Go(do func()) {
	g.WaitGroup.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				g.once.Do(func() { g.crash = rollover.Caught("", p) })
			}
		}()
		do()
	})
}

func (g *group) Wait() {
	g.WaitGroup.Wait()
	if g.crash != nil {
		panic(g.crash)
	}
}
