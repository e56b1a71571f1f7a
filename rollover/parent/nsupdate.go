package parent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

const (
	defaultTimeout = 10 * time.Second
	defaultTTL     = 3600
	maxAbove       = 16  // names above a zone that are looked at for its parent
	fudge          = 300 // seconds by which clocks may differ (RFC 8945 section 5.2.3)
	portDNS        = "53"
)

// Nsupdate is the nsupdate driver: it changes the DS records at the parent's
// primary by a dynamic update (RFC 2136) signed with TSIG (RFC 8945).
type Nsupdate struct {
	Server  string               // "address", "address:port" or "host:port" of the primary
	Zone    string               // the parent zone; empty: found by asking the server
	TTL     uint32               // seconds, of DS records where there are none yet; 3600 if zero
	Timeout time.Duration        // of one exchange; 10 s if zero
	Key     func() (*Key, error) // read anew for each change, so that it can be replaced
	// Ask is how the primary is asked, over TCP, with TSIG where the question has it.
	Ask func(ctx context.Context, server string, m *dns.Msg, secrets map[string]string) (*dns.Msg, error)
}

var _ rollover.Registrar = (*Nsupdate)(nil)

// errGaveUp is an answer after which only a person can help.
var errGaveUp = errors.New("refused")

// Submit sends one update that adds and removes single records, so that what
// others have put there stays. It does nothing if sent twice.
func (n *Nsupdate) Submit(ctx context.Context, c rollover.Change) rollover.Answer {
	text, err := n.update(ctx, c)
	switch {
	case errors.Is(err, errGaveUp):
		return rollover.Answer{State: rollover.SubmissionFailed, Text: err.Error()}
	case err != nil:
		return rollover.Answer{State: rollover.SubmissionLater, Text: err.Error()}
	}
	return rollover.Answer{State: rollover.SubmissionAccepted, Text: text}
}

func (n *Nsupdate) update(ctx context.Context, c rollover.Change) (string, error) {
	key, err := n.Key()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errGaveUp, err)
	}
	zone, err := n.parentZone(ctx, c.Zone)
	if err != nil {
		return "", err
	}
	ttl, err := n.ttl(ctx, c.Zone)
	if err != nil {
		return "", err
	}
	m, err := message(zone, c, ttl)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errGaveUp, err)
	}
	m.SetTsig(key.name, key.algorithm, fudge, time.Now().Unix())
	answer, err := n.exchange(ctx, m, map[string]string{key.name: key.secret})
	if err != nil {
		return "", err
	}
	return n.judge(answer, zone)
}

// message is the update. It has the delegation as its prerequisite, for a DS
// set without NS records beside it would be no DS set (RFC 4035 section 2.4).
func message(zone string, c rollover.Change, ttl uint32) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetUpdate(zone)
	m.RRsetUsed([]dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: c.Zone, Rrtype: dns.TypeNS, Class: dns.ClassINET}}})
	add, err := records(c.Zone, ttl, c.Add)
	if err != nil {
		return nil, err
	}
	del, err := records(c.Zone, 0, c.Remove)
	if err != nil {
		return nil, err
	}
	m.Insert(add) // add before taking away: the set is never empty in between
	m.Remove(del)
	return m, nil
}

func records(zone string, ttl uint32, set []rollover.DS) ([]dns.RR, error) {
	var out []dns.RR
	for _, d := range set {
		rr, err := dns.NewRR(fmt.Sprintf("%s %d IN DS %s", zone, ttl, d))
		if err != nil {
			return nil, fmt.Errorf("reading the DS record %q: %w", d, err)
		}
		out = append(out, rr)
	}
	return out, nil
}

// judge is what the primary says to an update.
func (n *Nsupdate) judge(answer *dns.Msg, zone string) (string, error) {
	where := fmt.Sprintf("%s, zone %s", n.Server, zone)
	tsig := answer.IsTsig()
	switch {
	case tsig != nil && tsig.Error != dns.RcodeSuccess:
		return "", fmt.Errorf("%w by %s: %s: the TSIG key does not fit, or a clock is wrong", errGaveUp, where, rcode(int(tsig.Error)))
	case answer.Rcode == dns.RcodeSuccess && tsig == nil:
		return "", fmt.Errorf("%w: the answer of %s is not signed with the TSIG key", errGaveUp, where)
	case answer.Rcode == dns.RcodeSuccess:
		return "updated at " + where, nil
	case answer.Rcode == dns.RcodeNXRrset:
		return "", fmt.Errorf("%w by %s: it has no delegation (NS records) of this name", errGaveUp, where)
	case answer.Rcode == dns.RcodeServerFailure:
		return "", fmt.Errorf("%s answers SERVFAIL", where)
	}
	return "", fmt.Errorf("%w by %s: %s", errGaveUp, where, rcode(answer.Rcode))
}

// parentZone is the zone to update: as configured, else the nearest name above
// the zone that the server has a SOA record of.
func (n *Nsupdate) parentZone(ctx context.Context, zone string) (string, error) {
	if n.Zone != "" {
		return n.Zone, nil
	}
	name := zone
	for range maxAbove {
		if name == "." {
			break
		}
		_, rest, _ := strings.Cut(name, ".")
		if name = rest; name == "" {
			name = "."
		}
		answer, err := n.exchange(ctx, new(dns.Msg).SetQuestion(name, dns.TypeSOA), nil)
		if err != nil {
			return "", err
		}
		if isApex(answer, name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: %s serves no zone above %s: set nsupdate.zone", errGaveUp, n.Server, zone)
}

// ttl is the TTL of the DS set as it is, since an update with another one
// changes it for the whole set (RFC 2136 section 7.12, RFC 2181 section 5.2).
func (n *Nsupdate) ttl(ctx context.Context, zone string) (uint32, error) {
	answer, err := n.exchange(ctx, new(dns.Msg).SetQuestion(zone, dns.TypeDS), nil)
	if err != nil {
		return 0, err
	}
	return n.ttlOf(answer, zone), nil
}

func (n *Nsupdate) ttlOf(answer *dns.Msg, zone string) uint32 {
	if ds := find(answer, zone, dns.TypeDS); ds != nil {
		return ds.Header().Ttl
	}
	if n.TTL > 0 {
		return n.TTL
	}
	return defaultTTL
}

// isApex says whether who answers serves a zone of this name.
func isApex(answer *dns.Msg, name string) bool {
	return answer.Authoritative && find(answer, name, dns.TypeSOA) != nil
}

// find is the first record of this name and type in an answer, nil for none.
func find(answer *dns.Msg, name string, rrtype uint16) dns.RR {
	for _, rr := range answer.Answer {
		if h := rr.Header(); h.Rrtype == rrtype && h.Class == dns.ClassINET && strings.EqualFold(h.Name, name) {
			return rr
		}
	}
	return nil
}

// exchange asks the primary over TCP.
func (n *Nsupdate) exchange(ctx context.Context, m *dns.Msg, secrets map[string]string) (*dns.Msg, error) {
	timeout := timeoutOf(n.Timeout)
	ctx, stop := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s (nsupdate.timeout)", timeout))
	defer stop()
	answer, err := n.Ask(ctx, withPort(n.Server), m, secrets)
	if err != nil {
		return nil, n.failed(answer, err)
	}
	return answer, nil
}

// failed says of an exchange that failed whether only a person can help; there
// may be an answer all the same.
func (n *Nsupdate) failed(answer *dns.Msg, err error) error {
	switch {
	case errors.Is(err, dns.ErrSig), errors.Is(err, dns.ErrTime), errors.Is(err, dns.ErrKeyAlg), errors.Is(err, dns.ErrSecret):
		return fmt.Errorf("%w: the answer of %s has no good TSIG signature: %w", errGaveUp, n.Server, err)
	case answer != nil && answer.Rcode == dns.RcodeNotAuth:
		return fmt.Errorf("%w by %s: NOTAUTH: the TSIG key does not fit, or a clock is wrong (%w)", errGaveUp, n.Server, err)
	}
	return fmt.Errorf("asking %s: %w", n.Server, err)
}

// timeoutOf is the time-out of one exchange.
func timeoutOf(configured time.Duration) time.Duration {
	if configured > 0 {
		return configured
	}
	return defaultTimeout
}

// withPort adds port 53 where there is none.
func withPort(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), portDNS)
}
