package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// ednsSize keeps answers below the MTU of any path, so that none is
	// fragmented (DNS flag day 2020).
	ednsSize = 1232
	tries    = 2
)

// Failures to get an answer at all.
var (
	errTimedOut    = errors.New("timed out")
	errRefused     = errors.New("connection refused")
	errUnreachable = errors.New("no route to this host")
	errNoRoute     = errors.New("no IPv6 route from here")
	errClosed      = errors.New("the look was ended")
	errTruncated   = errors.New("truncated even over TCP")
)

// unchecked is a question to a resolver for records with their signatures,
// which it need not check: we do.
func unchecked(name string, rrtype uint16) *dns.Msg {
	m := recursive(name, rrtype)
	m.IsEdns0().SetDo()
	return m
}

// direct is a question to an authoritative server.
func direct(name string, rrtype uint16) *dns.Msg {
	m := question(name, rrtype)
	m.SetEdns0(ednsSize, true)
	return m
}

// recursive is a question to a resolver that only finds servers. Checking is
// disabled so that a broken chain of trust, which may be what we are here to
// see, does not hide the servers; nothing but addresses is taken from it.
func recursive(name string, rrtype uint16) *dns.Msg {
	m := question(name, rrtype)
	m.RecursionDesired, m.CheckingDisabled = true, true
	m.SetEdns0(ednsSize, false)
	return m
}

func question(name string, rrtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.Question = []dns.Question{{Name: name, Qtype: rrtype, Qclass: dns.ClassINET}}
	return m
}

// exchange asks one server: twice over UDP, and over TCP when the answer did
// not fit. Whatever answers the question is returned, also with an error RCODE.
func (c *Client) exchange(ctx context.Context, to netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	answer, err := c.converse(ctx, to, query)
	return kept(ctx, answer, err)
}

// kept counts an answer that is larger, written out, than any packet. That may take a
// wait, in which the server can be asked by others.
func kept(ctx context.Context, answer *dns.Msg, err error) (*dns.Msg, error) {
	if err != nil {
		return nil, err
	}
	if octets := answer.Len(); octets > packetSize {
		if err := allowanceOf(ctx).spend(ctx, octets); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func (c *Client) converse(ctx context.Context, to netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	l, err := c.line(ctx, to)
	if err != nil {
		return nil, err
	}
	if err := take(ctx, l.slots); err != nil {
		return nil, err
	}
	defer func() { <-l.slots }()
	answer, err := c.overUDP(ctx, l, query)
	if err != nil || !answer.Truncated {
		return answer, err
	}
	if err := take(ctx, l.streams); err != nil {
		return nil, err
	}
	defer func() { <-l.streams }()
	return c.overTCP(ctx, to, query)
}

func (c *Client) overUDP(ctx context.Context, l *line, query *dns.Msg) (*dns.Msg, error) {
	var err error
	for range tries {
		if l.quiet() {
			return nil, fmt.Errorf("%w: did not answer the last %d packets", errTimedOut, maxUnanswered)
		}
		var answer *dns.Msg
		if answer, err = l.exchange(ctx, query, c.timeout()); err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return nil, err
}

// stream asks one server over TCP, twice if need be: nobody off the path can
// forge such an answer (RFC 5452), and none is cut short.
func (c *Client) stream(ctx context.Context, to netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	answer, err := c.streamed(ctx, to, query)
	return kept(ctx, answer, err)
}

func (c *Client) streamed(ctx context.Context, to netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	l, err := c.line(ctx, to)
	if err != nil {
		return nil, err
	}
	if err := take(ctx, l.streams); err != nil {
		return nil, err
	}
	defer func() { <-l.streams }()
	for range tries {
		var answer *dns.Msg
		if answer, err = c.overTCP(ctx, to, query); err == nil || ctx.Err() != nil {
			return answer, err
		}
	}
	return nil, err
}

// overTCP asks on a connection of its own. The library does not heed ctx while
// it reads, so the end of ctx moves the deadline into the past.
func (c *Client) overTCP(ctx context.Context, to netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout(), fmt.Errorf("%w over TCP", errTimedOut))
	defer cancel()
	conn, err := c.dialContext(ctx, "tcp", to)
	if err != nil {
		return nil, tcpFault(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // an error means that it is closed
	answer, err := ask(&dns.Conn{Conn: conn}, query)
	if errors.Is(err, errTooMuch) {
		return nil, err
	}
	if err != nil {
		return nil, tcpFault(ctx, err)
	}
	if answer.Truncated {
		return nil, errTruncated
	}
	return answer, nil
}

func tcpFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("over TCP: %w", err)
}

// ask sends the query and reads until something fits it; the deadline of
// the connection ends that.
func ask(conn *dns.Conn, query *dns.Msg) (*dns.Msg, error) {
	query = query.Copy()
	query.Id = randomID()
	if err := conn.WriteMsg(query); err != nil {
		return nil, err
	}
	for {
		packet, err := conn.ReadMsgHeader(nil)
		if err != nil {
			return nil, err
		}
		answer, err := parse(packet, query)
		if err == nil || errors.Is(err, errTooMuch) {
			return answer, err
		}
	}
}

// parse reads an answer and checks that it is one to the query. The library
// checks the id alone, and takes a message that is shorter than its header
// says. Owner names come out in lower case, because the library groups records
// into sets byte by byte.
func parse(packet []byte, query *dns.Msg) (*dns.Msg, error) {
	if err := fewRecords(packet); err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	if err := unpack(m, packet); err != nil && !m.Truncated {
		return nil, fmt.Errorf("malformed: %w", err)
	}
	if !m.Response || m.Opcode != query.Opcode || m.Id != query.Id {
		return nil, errors.New("not an answer to this query")
	}
	if err := matches(m, query.Question[0]); err != nil {
		return nil, err
	}
	if !m.Truncated && !complete(packet, m) {
		return nil, errors.New("malformed: shorter than its header says")
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			rr.Header().Name = dns.CanonicalName(rr.Header().Name)
		}
	}
	return m, nil
}

// unpack is Unpack of the library, of which a packet must not be able to end the
// program, whatever is in it.
func unpack(m *dns.Msg, packet []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be taken apart: %v", p)
		}
	}()
	return m.Unpack(packet)
}

// matches compares the question section (RFC 5452 section 9.1). Servers that
// did not understand or do not want to answer may leave it out.
func matches(m *dns.Msg, want dns.Question) error {
	if len(m.Question) == 0 && m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil
	}
	if len(m.Question) != 1 {
		return fmt.Errorf("it has %d questions", len(m.Question))
	}
	got := m.Question[0]
	if !strings.EqualFold(got.Name, want.Name) || got.Qtype != want.Qtype || got.Qclass != want.Qclass {
		return fmt.Errorf("it is about %s %s", got.Name, dns.Type(got.Qtype))
	}
	return nil
}

// complete compares the counts in the header (RFC 1035 section 4.1.1) with
// what was read. A bare header is how some servers refuse.
func complete(packet []byte, m *dns.Msg) bool {
	if len(packet) == 12 && m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return true
	}
	count := func(at int) int { return int(packet[at])<<8 | int(packet[at+1]) }
	return count(4) == len(m.Question) && count(6) == len(m.Answer) && count(8) == len(m.Ns) && count(10) == len(m.Extra)
}

// usable says why an answer of an authoritative server cannot be used.
func usable(m *dns.Msg) error {
	switch {
	case m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented:
		return fmt.Errorf("does not understand EDNS: %s", rcode(m))
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return errors.New(rcode(m))
	case m.IsEdns0() == nil:
		return errors.New("does not understand EDNS: the answer has no OPT record, so signatures may be missing from it")
	case !m.Authoritative:
		return errors.New("lame: answers without authority")
	}
	return nil
}

// rcode is the response code in words, with what the server says of it (RFC
// 8914), quoted.
func rcode(m *dns.Msg) string {
	text, ok := dns.RcodeToString[m.Rcode]
	if !ok {
		text = "RCODE " + strconv.Itoa(m.Rcode)
	}
	opt := m.IsEdns0()
	if opt == nil {
		return text
	}
	for _, option := range opt.Option {
		if e, ok := option.(*dns.EDNS0_EDE); ok {
			return text + " (" + extended(e) + ")"
		}
	}
	return text
}

// maxText bounds the free text of a server that gets into our reports.
const maxText = 120

func extended(e *dns.EDNS0_EDE) string {
	out := fmt.Sprintf("extended error %d", e.InfoCode)
	if name := dns.ExtendedErrorCodeToString[e.InfoCode]; name != "" {
		out += ", " + name
	}
	if e.ExtraText != "" {
		out += ": " + strconv.QuoteToASCII(e.ExtraText[:min(len(e.ExtraText), maxText)])
	}
	return out
}
