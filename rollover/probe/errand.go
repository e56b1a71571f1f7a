package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

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
	return answer, ended(ctx, err)
}

// AskSigned puts a question to a server over TCP, and checks the signature (TSIG)
// of the answer against that of the question; ctx is all the time that it has. With
// an error that is about signatures there may be an answer. The server may have a
// name that this machine alone knows.
func (c *Client) AskSigned(ctx context.Context, server string, query *dns.Msg, secrets map[string]string) (*dns.Msg, error) {
	dial := c.dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // an error means that it is closed
	stream := &dns.Conn{Conn: &measured{Conn: conn}, TsigSecret: secrets}
	if err = stream.WriteMsg(query); err != nil {
		return nil, ended(ctx, err)
	}
	answer, err := stream.ReadMsg()
	switch {
	case err != nil:
		return answer, ended(ctx, err)
	case !answer.Response || answer.Opcode != query.Opcode || answer.Id != query.Id:
		return nil, errors.New("what came is not an answer to this question")
	case len(answer.Question) == 0 && query.Opcode == dns.OpcodeUpdate: // RFC 2136 section 3.8 leaves that to the server
		return answer, nil
	}
	if err := matches(answer, query.Question[0]); err != nil {
		return nil, fmt.Errorf("what came is not an answer to this question: %w", err)
	}
	return answer, nil
}

// measured is a stream with one message, that ends where more records are announced
// than are read: only the library knows how to check a signature (TSIG) on it, and it
// reads all of it first.
type measured struct {
	net.Conn
	head []byte // the length, and the header of the message
}

// Read implements io.Reader.
func (m *measured) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	const head = 2 + 12
	if len(m.head) < head {
		if m.head = append(m.head, p[:min(n, head-len(m.head))]...); len(m.head) == head {
			if few := fewRecords(m.head[2:]); few != nil {
				return 0, few
			}
		}
	}
	return n, err
}

// ended is why ctx was ended, if that is why something failed.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
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
