package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// hamlet is one server that is everything: the resolver when recursion is
// desired, and else every authoritative server. All names of servers are at
// its address.
type hamlet struct {
	t       *testing.T
	at      netip.AddrPort
	zone    *fakeZone
	records map[string][]string // "name TYPE" to what the resolver answers
	direct  func(query *dns.Msg) *dns.Msg
	mu      sync.Mutex
	asked   map[string]int // of the authoritative servers
}

func newHamlet(t *testing.T) *hamlet {
	h := &hamlet{t: t, zone: newZone(t), asked: map[string]int{}}
	h.records = map[string][]string{
		"example. SOA":       {"example. 1 IN SOA a. b. 1 2 3 4 5"},
		"example. NS":        {"example. 1 IN NS ns.example."},
		"zone.example. NS":   {"zone.example. 1 IN NS ns.zone.example."},
		"ns.example. A":      {"ns.example. 1 IN A 127.0.0.1"},
		"ns.zone.example. A": {"ns.zone.example. 1 IN A 127.0.0.1"},
	}
	h.direct = h.zone.respond
	h.at = serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		if m := h.answer(query); m != nil {
			send(t, w, m)
		}
	})
	return h
}

// put sets what the resolver answers.
func (h *hamlet) put(key string, texts ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records[key] = texts
}

func (h *hamlet) answer(query *dns.Msg) *dns.Msg {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := query.Question[0]
	key := q.Name + " " + dns.Type(q.Qtype).String()
	if !query.RecursionDesired {
		h.asked[key]++
		return h.direct(query)
	}
	if !query.CheckingDisabled {
		h.t.Errorf("the resolver was asked for %s with checking", key)
	}
	m := replyTo(query)
	texts, ok := h.records[key]
	if ok && len(texts) == 1 && texts[0] == "SERVFAIL" {
		m.Rcode = dns.RcodeServerFailure
		return m
	}
	m.Answer = rrs(h.t, texts...)
	return m
}

func (h *hamlet) client(t *testing.T) *Client {
	c := newClient(t)
	c.Resolvers, c.Port = []string{h.at.String()}, int(h.at.Port())
	return c
}

func (h *hamlet) look(t *testing.T, q rollover.Question) (rollover.Sighting, error) {
	if q.Zone == "" {
		q.Zone = zone
	}
	if q.Records == nil {
		q.Records = []rollover.Record{rollover.RecordDNSKEY}
	}
	return h.client(t).Look(t.Context(), q)
}

func lines(s rollover.Sighting) []string {
	var out []string
	for _, o := range s.Servers {
		out = append(out, strings.TrimSpace(o.Role+" "+o.Name+" "+o.Unknown))
	}
	return out
}

func TestOneServerForEverything(t *testing.T) {
	h := newHamlet(t)
	s, err := h.look(t, rollover.Question{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "servers", lines(s), []string{"child ns.zone.example."})
	same(t, "time", s.At.Wall, now)
	same(t, "zone", s.Zone, zone)
}

// An address of the configuration or of an earlier look gets its name when
// the DNS has one for it, and is asked once.
func TestAnAddressIsAskedOnceUnderItsName(t *testing.T) {
	h := newHamlet(t)
	s, err := h.look(t, rollover.Question{
		Servers: []string{h.at.String()},
		Known:   []rollover.Server{{Role: rollover.RoleChild, Name: "old.example.", Address: h.at.String()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "servers", lines(s), []string{"child old.example."})
	h.mu.Lock()
	defer h.mu.Unlock()
	same(t, "questions for DNSKEY", h.asked["zone.example. DNSKEY"], 1)
}

// The parent zone may be several labels up, and an alias on the way, whose
// SOA belongs elsewhere, does not mislead.
func TestParentZone(t *testing.T) {
	h := newHamlet(t)
	h.put("b.example. SOA", "b.example. 1 IN CNAME x.other.", "other. 1 IN SOA a. b. 1 2 3 4 5")
	f := &finder{client: h.client(t), q: rollover.Question{Zone: "a.b.example."}}
	got, err := f.parentZone(t.Context())
	if err != nil || got != "example." {
		t.Errorf("expected example., got %q, %v", got, err)
	}
	h.put("example. SOA")
	h.put(". SOA", ". 1 IN SOA a. b. 1 2 3 4 5")
	got, err = f.parentZone(t.Context())
	if err != nil || got != "." {
		t.Errorf("expected the root, got %q, %v", got, err)
	}
	h.put(". SOA")
	if got, err = f.parentZone(t.Context()); err == nil || !strings.Contains(err.Error(), "does not tell in which zone example. is: NOERROR, without an SOA") {
		t.Errorf("expected an error, got %q, %v", got, err)
	}
}

func TestNoNameServersOfTheParent(t *testing.T) {
	h := newHamlet(t)
	h.put("example. NS")
	_, err := h.look(t, rollover.Question{Records: []rollover.Record{rollover.RecordDS}})
	if !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), "knows no NS of example.") {
		t.Errorf("got %v", err)
	}
	h.put("example. NS", "SERVFAIL")
	_, err = h.look(t, rollover.Question{Records: []rollover.Record{rollover.RecordDS}})
	if !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), "asking for NS of example.: SERVFAIL from") {
		t.Errorf("got %v", err)
	}
}

// Where one kind of address cannot be told, servers may be hidden.
func TestHalfAnAddressIsADoubt(t *testing.T) {
	h := newHamlet(t)
	h.put("ns.zone.example. AAAA", "SERVFAIL")
	s, err := h.look(t, rollover.Question{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "servers", lines(s), []string{
		fmt.Sprintf("child ns.zone.example. no AAAA found for ns.zone.example. (SERVFAIL from %s)", h.at), "child ns.zone.example.",
	})
	same(t, "address of the doubt", s.Servers[0].Address, "")
}

func TestNeitherKindOfAddress(t *testing.T) {
	h := newHamlet(t)
	h.put("zone.example. NS", "zone.example. 1 IN NS ns.zone.example.", "zone.example. 1 IN NS empty.example.")
	s, err := h.look(t, rollover.Question{Servers: []string{"empty.example:5300"}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "servers", lines(s), []string{
		"child empty.example. no address found for empty.example. (it has neither A nor AAAA)", "child ns.zone.example.",
	})
}

func TestTheNextResolverIsAskedWhenOneFails(t *testing.T) {
	h := newHamlet(t)
	broken := serve(t, func(w dns.ResponseWriter, q *dns.Msg) { send(t, w, new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)) })
	c := h.client(t)
	c.Resolvers = []string{broken.String(), h.at.String()}
	s, err := c.Look(t.Context(), rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "servers", lines(s), []string{"child ns.zone.example."})
}

// A delegation that names more servers than there can be is hostile.
func TestTooManyServers(t *testing.T) {
	names, addresses := newHamlet(t), newHamlet(t)
	var ns, a []string
	for i := range maxServers + 1 {
		ns = append(ns, fmt.Sprintf("zone.example. 1 IN NS n%d.example.", i))
		a = append(a, fmt.Sprintf("ns.zone.example. 1 IN A 127.0.1.%d", i))
	}
	names.put("zone.example. NS", ns...)
	addresses.put("ns.zone.example. A", a...)
	for expect, h := range map[string]*hamlet{"more than 64 name servers": names, "more than 64 server addresses": addresses} {
		if _, err := h.look(t, rollover.Question{}); !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), expect) {
			t.Errorf("expected %q, got %v", expect, err)
		}
	}
	if _, err := names.look(t, rollover.Question{Records: []rollover.Record{rollover.RecordDS}}); err != nil {
		t.Errorf("the parent is not concerned, got %v", err)
	}
}

// What the operator wrote is named as wrong, not as unavailable.
func TestWrongConfiguration(t *testing.T) {
	h := newHamlet(t)
	cases := map[string]rollover.Question{
		`child servers of zone.example.: server "a b"`:          {Servers: []string{"a b"}},
		`parent servers of zone.example.: server "ns:nonsense"`: {ParentServers: []string{"ns:nonsense"}, Known: []rollover.Server{{Role: rollover.RoleChild, Name: "ns.zone.example."}}},
		"not a zone name": {Zone: "-x"},
	}
	for expect, q := range cases {
		_, err := h.look(t, q)
		if err == nil || errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), expect) {
			t.Errorf("expected %q, got %v", expect, err)
		}
	}
}

// A server that did not answer while servers were being found is not waited
// for once more, and stays in the sighting.
func TestASilentServerIsWaitedForOnce(t *testing.T) {
	h := newHamlet(t)
	var packets sync.WaitGroup // of the silent server's one question
	packets.Add(tries)
	silent := serve(t, func(dns.ResponseWriter, *dns.Msg) { packets.Done() })
	c := h.client(t)
	c.Timeout = 300 * time.Millisecond
	s, err := c.Look(t.Context(), rollover.Question{
		Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}, Servers: []string{silent.String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	packets.Wait()
	same(t, "servers", lines(s), []string{"child 127.0.0.1 timed out", "child ns.zone.example."})
}

// Cancelled while servers are being found, the look ends with the cause too.
func TestCancelWhileFinding(t *testing.T) {
	h := newHamlet(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	h.mu.Lock()
	h.direct = func(*dns.Msg) *dns.Msg {
		cancel(errStop)
		return nil
	}
	h.mu.Unlock()
	c := h.client(t)
	c.Timeout = time.Minute
	if _, err := c.Look(ctx, rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY}}); !errors.Is(err, errStop) {
		t.Errorf("expected the cause, got %v", err)
	}
}

// A validator may be given by name; the resolvers know its address.
func TestValidatorByName(t *testing.T) {
	h := newHamlet(t)
	c := h.client(t)
	c.Validators = []string{"ns.example:5300"}
	at, err := c.validatorAddress(t.Context(), c.Validators[0])
	if err != nil || at.String() != "127.0.0.1:5300" {
		t.Errorf("expected 127.0.0.1:5300, got %s, %v", at, err)
	}
}

// Many looks at once share the sockets and do not mix their answers.
func TestManyZonesAtOnce(t *testing.T) {
	h := newHamlet(t)
	c := h.client(t)
	c.Timeout = 20 * time.Second
	looks := each(make([]int, 50), func(int) error {
		s, err := c.Look(t.Context(), rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}})
		if err == nil && (s.Servers[0].Unknown != "" || s.Servers[0].Data == nil) {
			err = fmt.Errorf("unknown: %s", s.Servers[0].Unknown)
		}
		return err
	})
	if err := errors.Join(looks...); err != nil {
		t.Error(err)
	}
	if len(c.lines) != 1 {
		t.Errorf("expected one socket, got %d", len(c.lines))
	}
}
