package parent

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Generalized NOTIFY (RFC 9859): a parent that wants to be told of new CDS
// records says so in DSYNC records.
const (
	typeDSYNC    uint16 = 66
	schemeNOTIFY        = 1
	dsyncLabel          = "_dsync"
)

// endpoint is where a parent wants NOTIFY(CDS) sent.
type endpoint struct {
	target string
	port   uint16
}

// String is "target:port".
func (e endpoint) String() string {
	return net.JoinHostPort(strings.TrimSuffix(e.target, "."), strconv.Itoa(int(e.port)))
}

// resolver asks recursive servers, one after the other.
type resolver struct {
	servers []string
	timeout time.Duration
}

func (r resolver) ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	err := errors.New("no resolver is configured")
	for _, server := range r.servers {
		var answer *dns.Msg
		m := new(dns.Msg).SetQuestion(name, qtype)
		m.SetEdns0(1232, true)
		if answer, err = exchange(ctx, m, withPort(server), r.timeout); err == nil && (answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError) {
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

// exchange asks a server over UDP, and over TCP if the answer is truncated.
func exchange(ctx context.Context, m *dns.Msg, server string, timeout time.Duration) (*dns.Msg, error) {
	client := dns.Client{Timeout: timeout}
	answer, _, err := client.ExchangeContext(ctx, m, server)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, m, server)
	}
	return answer, err
}

// endpoints finds where the parent of a zone wants NOTIFY(CDS), as RFC 9859
// section 4.1 says; none if it does not.
func (r resolver) endpoints(ctx context.Context, zone string) ([]endpoint, error) {
	labels := dns.SplitDomainName(zone)
	if len(labels) < 2 {
		return nil, nil // the root has no DSYNC records for top level domains here
	}
	cut := 1 // labels in front of _dsync
	for range len(labels) {
		answer, err := r.ask(ctx, dsyncName(labels, cut), typeDSYNC)
		if err != nil {
			return nil, err
		}
		if found := dsync(answer); len(found) > 0 {
			return found, nil
		}
		more := false
		if labels, cut, more = further(labels, cut, soaOf(answer)); !more {
			return nil, nil
		}
	}
	return nil, nil
}

// further is where to look next, from the zone above that answered, if it is
// one: first behind all labels that it does not have, then at it, then no more.
func further(labels []string, cut int, apex string) (next []string, at int, more bool) {
	inferred := len(labels) - dns.CountLabel(apex)
	switch {
	case cut > 0 && inferred > cut && dns.IsSubDomain(apex, dns.Fqdn(strings.Join(labels, "."))):
		return labels, inferred, true
	case cut > 0:
		return labels[cut:], 0, true
	}
	return nil, 0, false
}

// dsyncName is the name with _dsync after the first labels.
func dsyncName(labels []string, cut int) string {
	parts := append(append([]string{}, labels[:cut]...), dsyncLabel)
	return dns.Fqdn(strings.Join(append(parts, labels[cut:]...), "."))
}

func soaOf(m *dns.Msg) string {
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			return dns.CanonicalName(rr.Header().Name)
		}
	}
	return ""
}

// dsync reads the DSYNC records for CDS of an answer; the library does not know
// the type (66), so its data comes as octets: type 2, scheme 1, port 2, target.
func dsync(m *dns.Msg) []endpoint {
	var out []endpoint
	for _, rr := range m.Answer {
		raw, ok := rr.(*dns.RFC3597)
		if !ok || raw.Hdr.Rrtype != typeDSYNC {
			continue
		}
		data, err := hex.DecodeString(raw.Rdata)
		if err != nil || len(data) < 6 || binary.BigEndian.Uint16(data) != dns.TypeCDS || data[2] != schemeNOTIFY {
			continue
		}
		target, _, err := dns.UnpackDomainName(data, 5)
		if err == nil {
			target, err = rollover.ParseZone(target) // which has the letters that host names have
		}
		if port := binary.BigEndian.Uint16(data[3:]); err == nil && target != "." && port > 0 {
			out = append(out, endpoint{target, port})
		}
	}
	return out
}

// notify sends NOTIFY(CDS) to an endpoint; one address that takes it is enough.
func (r resolver) notify(ctx context.Context, zone string, e endpoint) error {
	addresses, err := r.addresses(ctx, e.target)
	if err != nil {
		return err
	}
	err = fmt.Errorf("%s has no address", e.target)
	for _, address := range addresses {
		m := new(dns.Msg).SetNotify(zone)
		m.Question[0].Qtype = dns.TypeCDS
		var answer *dns.Msg
		answer, err = exchange(ctx, m, net.JoinHostPort(address, strconv.Itoa(int(e.port))), r.timeout)
		if err == nil && answer.Rcode == dns.RcodeSuccess {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%s answers %s", address, rcode(answer.Rcode))
		}
	}
	return err
}

func (r resolver) addresses(ctx context.Context, name string) ([]string, error) {
	var out []string
	var failed error
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := r.ask(ctx, name, qtype)
		if err != nil {
			failed = err
			continue
		}
		for _, rr := range answer.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				out = append(out, rr.A.String())
			case *dns.AAAA:
				out = append(out, rr.AAAA.String())
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, failed
}
