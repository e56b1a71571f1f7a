package probe

import (
	"context"
	"fmt"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// maxErrand is how many records an answer may have that is proven for a driver.
const maxErrand = 256

// Ask puts a question of a driver's to one server, "host" or "host:port", with
// the guards of every look (ask.go, socket.go), and from a port of its own.
func (c *Client) Ask(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	at, err := c.validatorAddress(ctx, server)
	if err != nil {
		return nil, err
	}
	alone := c.alike()
	defer alone.Close()
	answer, err := alone.exchange(ctx, at, query)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return answer, err
}

// alike is a client without sockets.
func (c *Client) alike() *Client { return &Client{Timeout: c.Timeout, dial: c.dial} }

// Proven is the records of a name as the resolvers give them, proven from a
// trust anchor down, and the zone that the name is in. No records and no error
// is proven as well.
func (c *Client) Proven(ctx context.Context, name string, rrtype uint16) (records []dns.RR, zone string, err error) {
	walk := chain.Walk{Ask: c.askAnybody, Anchors: c.Anchors, Now: c.now().Wall}
	return proven(ctx, walk, name, rrtype)
}

// ProvenBy is the records that a zone has at its own name, as one of its servers
// gives them, proven by keys that are known to be those of the zone, whatever its
// parent says.
func (c *Client) ProvenBy(ctx context.Context, server, zone string, keys []rollover.DNSKEY, rrtype uint16) ([]dns.RR, error) {
	walk := chain.Walk{Anchors: chain.Anchors{zone: {Keys: keys}}, Now: c.now().Wall}
	walk.Ask = func(ctx context.Context, _, name string, rrtype uint16) []chain.Reply {
		answer, err := c.Ask(ctx, server, direct(name, rrtype))
		return []chain.Reply{authoritative(server, answer, err)}
	}
	records, _, err := proven(ctx, walk, zone, rrtype)
	return records, err
}

// proven follows the chain to the zone of a name, and judges one answer of it.
func proven(ctx context.Context, walk chain.Walk, name string, rrtype uint16) ([]dns.RR, string, error) {
	z, v := walk.Above(ctx, name)
	if v.Security != rollover.Secure {
		return nil, "", fmt.Errorf("%s cannot be proven: %s", name, v.Text)
	}
	reply := walk.Ask(ctx, z.Name, name, rrtype)[0]
	switch {
	case reply.Message == nil:
		return nil, "", fmt.Errorf("%s %s: %s", name, dns.Type(rrtype), reply.Why)
	case len(reply.Message.Answer) > maxErrand:
		return nil, "", fmt.Errorf("%s %s: too much: the answer has %d records, and at most %d are looked at", name, dns.Type(rrtype), len(reply.Message.Answer), maxErrand)
	}
	a := chain.ProveAnswer(z.Pool(walk.Now), name, rrtype, reply.Message)
	switch {
	case a.Security != rollover.Secure:
		return nil, "", fmt.Errorf("%s %s does not validate: %s", name, dns.Type(rrtype), a.Text)
	case a.Kind == chain.AnswerAlias:
		return nil, "", fmt.Errorf("%s is an alias, which is not followed", name)
	}
	return a.Set.Records, z.Name, nil
}
