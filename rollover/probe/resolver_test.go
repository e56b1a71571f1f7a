package probe

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// What is wrong with the resolvers is found by a question that no zone is at fault
// for.
func TestWhatIsWrongWithResolvers(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(query, m *dns.Msg)
		late  time.Duration
		code  string
		says  string
	}{
		"well":       {nil, 0, "", ""},
		"dead":       {func(_, m *dns.Msg) { m.Rcode = dns.RcodeRefused }, 0, rollover.ResolverSilent, "no resolver gives an answer (asked for . DNSKEY: REFUSED from AT)"},
		"unsigned":   {func(_, m *dns.Msg) { m.Answer = bare(m.Answer) }, 0, rollover.ResolverUnsigned, "resolver AT gives no signatures (asked for . DNSKEY: NOERROR, 1 records)"},
		"empty":      {func(_, m *dns.Msg) { m.Answer, m.Rcode = nil, dns.RcodeNameError }, 0, rollover.ResolverUnsigned, "resolver AT gives no signatures (asked for . DNSKEY: NXDOMAIN, 0 records)"},
		"lying":      {forge, 0, rollover.ResolverBogus, "what resolver AT says of . does not verify by the trust anchors: "},
		"slow":       {nil, 3 * time.Second, rollover.ResolverSlow, "resolver AT is slow: it took more than 2.5s to give . DNSKEY, of the 5s that there are"},
		"still fast": {nil, 2 * time.Second, "", ""},
	} {
		s := newStreet(t)
		s.set(c.spoil)
		client := s.client(t)
		at := now
		client.Now = func() rollover.Instant { // each reading later than the one before
			at = at.Add(c.late)
			return rollover.Instant{Wall: at}
		}
		f := client.Resolver(context.Background())
		if f == nil {
			f = &rollover.ResolverFault{}
		}
		if says := strings.ReplaceAll(c.says, "AT", s.at.String()); f.Code != c.code || !strings.HasPrefix(f.Text, says) {
			t.Errorf("%s: %+v, expected %s: %s", name, f, c.code, says)
		}
	}
}

// forge changes a key, and leaves the signatures.
func forge(_, m *dns.Msg) {
	for _, rr := range m.Answer {
		if key, ok := rr.(*dns.DNSKEY); ok {
			key.Flags ^= 1
		}
	}
}

// A look that fails for want of resolvers says so, as does one that is ended while
// it asks them; one that fails for another reason does not.
func TestLooksThatSuspectTheResolvers(t *testing.T) {
	s := newStreet(t)
	q := rollover.Question{Zone: s.child.Name, Records: []rollover.Record{rollover.RecordDNSKEY}}
	for name, c := range map[string]struct {
		spoil    func(query, m *dns.Msg)
		suspects bool
	}{
		"refused": {func(_, m *dns.Msg) { m.Rcode, m.Answer, m.Ns = dns.RcodeRefused, nil, nil }, true},
		"empty":   {func(_, m *dns.Msg) { m.Answer, m.Ns = nil, nil }, true},
	} {
		s.set(c.spoil)
		if _, err := s.client(t).Look(context.Background(), q); errors.Is(err, rollover.ErrResolver) != c.suspects || !errors.Is(err, rollover.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("not done within 60s"))
	if _, err := s.client(t).Look(ended, q); !errors.Is(err, rollover.ErrResolver) || err.Error() != "not done within 60s" {
		t.Errorf("ended: %v", err)
	}
	q.ServersOnly = true
	if _, err := s.client(t).Look(context.Background(), q); err == nil || errors.Is(err, rollover.ErrResolver) {
		t.Errorf("no servers configured: %v", err)
	}
}
