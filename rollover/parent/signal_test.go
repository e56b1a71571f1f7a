package parent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// signaller is a world in which a zone has these name servers, and a resolver
// finds records at signalling names.
type signaller struct {
	*nameServer
	by       signer
	stored   map[string][]string // data by name and type
	insecure bool
	calls    []string // of Signal
	fails    error
}

func newSignaller(t *testing.T, hosts ...string) *signaller {
	s := &signaller{nameServer: serve(t, nil, nil), by: newSigner(t), stored: map[string][]string{}}
	answer := func(m, reply *dns.Msg) {
		q := m.Question[0]
		records := s.stored[q.Name+" "+dns.Type(q.Qtype).String()]
		if q.Name == zone {
			switch q.Qtype {
			case dns.TypeNS:
				records = hosts
			case dns.TypeCDS:
				records = []string{dsOf(t, s.by.Key).String()}
			case dns.TypeCDNSKEY:
				records = []string{s.by.Key.DNSKEY().String()}
			}
		}
		for _, data := range records {
			reply.Answer = append(reply.Answer, rr(t, fmt.Sprintf("%s 60 IN %s %s", q.Name, dns.Type(q.Qtype), data)))
		}
		if q.Name == zone && len(reply.Answer) > 0 {
			reply.Answer = append(reply.Answer, s.by.sign(t, reply.Answer))
		}
		reply.AuthenticatedData = !s.insecure
	}
	s.set(func() { s.answer = answer })
	return s
}

// signal stores the records that a driver writes, for names below hosts.example.
func (s *signaller) signal(_ context.Context, name string, cds, cdnskey []string) (string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	if !strings.HasSuffix(name, ".hosts.example.") {
		return "", false, rollover.ErrUnknownZone
	}
	if s.fails != nil {
		return "hosts.example.", false, s.fails
	}
	changed := !slices.Equal(s.stored[name+" CDS"], cds)
	s.stored[name+" CDS"], s.stored[name+" CDNSKEY"] = cds, cdnskey
	return "hosts.example.", changed, nil
}

func (s *signaller) driver(t *testing.T, writes bool) *CDS {
	d := &CDS{
		CDNSKEY: true, Validators: []string{s.address}, Ask: eyes(t).Ask,
		ProvenBy: func(ctx context.Context, server, name string, _ []rollover.DNSKEY, rrtype uint16) ([]dns.RR, error) {
			m, err := eyes(t).Ask(ctx, server, new(dns.Msg).SetQuestion(name, rrtype))
			if err != nil {
				return nil, err
			}
			return m.Answer, nil
		},
		Publish: func(context.Context, string, []uint8, bool) (bool, error) { return false, nil },
		Delete:  func(context.Context, string, bool) (bool, error) { return false, nil },
	}
	if writes {
		d.Signal = s.signal
	}
	return d
}

func (s *signaller) change(t *testing.T) rollover.Change {
	set := []rollover.DS{dsOf(t, s.by.Key)}
	return rollover.Change{
		CDS: true, Zone: zone, Keys: []rollover.Key{s.by.Key}, Digests: []uint8{2}, Add: set, Set: set,
		Servers: []rollover.Server{{Role: rollover.RoleChild, Name: "ns1", Address: s.address}},
	}
}

func (s *signaller) submit(t *testing.T, d *CDS, c rollover.Change, state rollover.SubmissionState, says string, missing int) {
	t.Helper()
	a := d.Submit(context.Background(), c)
	if a.State != state || !strings.Contains(a.Text, says) || len(a.Missing) != missing {
		t.Errorf("%+v, expected %s with %q and %d missing records", a, state, says, missing)
	}
}

// Signalling records are told, name by name, to whoever can put them in, and
// keep nothing from going on.
func TestSignalsAreTold(t *testing.T) {
	s := newSignaller(t, "ns1."+zone, "ns2.hosts.example.", "ns.other.example.")
	d, c := s.driver(t, false), s.change(t)
	s.submit(t, d, c, rollover.SubmissionAccepted, "no good signalling (RFC 9615), which not every parent needs, below ns.other.example. (none) and ns2.hosts.example. (none)", 4)
	a := d.Submit(context.Background(), c)
	if want := "_dsboot.child.example._signal.ns.other.example. IN CDS " + c.Add[0].String(); !slices.Contains(a.Missing, want) {
		t.Errorf("missing %q, expected %q among them", a.Missing, want)
	}
	name := "_dsboot.child.example._signal.ns.other.example."
	s.set(func() { s.stored[name+" CDS"] = []string{c.Add[0].String()} })
	s.submit(t, d, c, rollover.SubmissionAccepted, "ns.other.example. (none)", 4)
	s.set(func() { s.stored[name+" CDNSKEY"] = []string{s.by.Key.DNSKEY().String()} })
	s.submit(t, d, c, rollover.SubmissionAccepted, "validated below ns.other.example.; no good", 2)
	s.set(func() { s.insecure = true })
	s.submit(t, d, c, rollover.SubmissionAccepted, "validators do not find them secure", 4)
	s.set(func() { s.insecure = false })
	s.set(func() { s.stored[name+" CDS"] = []string{dsOf(t, newSigner(t).Key).String()} })
	s.submit(t, d, c, rollover.SubmissionAccepted, "others than those of the zone", 4)
	c.Over = true
	s.submit(t, d, c, rollover.SubmissionAccepted, "can be taken out by hand now: "+name, 0)
	s.set(func() { delete(s.stored, name+" CDS") })
	s.set(func() { delete(s.stored, name+" CDNSKEY") })
	s.submit(t, d, c, rollover.SubmissionAccepted, "", 0)
	d.Validators = nil
	c.Over = false
	s.submit(t, d, c, rollover.SubmissionAccepted, "no validator is configured", 4)
}

// Where they may be written they are, for a first DS, and are taken away when it
// is there, or before the parent is asked for anything else.
func TestSignalsAreWritten(t *testing.T) {
	s := newSignaller(t, "ns1.hosts.example.", "ns2.hosts.example.", "ns.other.example.")
	d, c := s.driver(t, true), s.change(t)
	s.submit(t, d, c, rollover.SubmissionLater, "were written into zone hosts.example.; no good", 2)
	s.submit(t, d, c, rollover.SubmissionAccepted, "validated below ns1.hosts.example. and ns2.hosts.example.; no good signalling (RFC 9615), which not every parent needs, below ns.other.example. (none, and its zone is not on this PowerDNS)", 2)
	over := c
	over.Over = true
	s.fails = errors.New("it is locked")
	s.submit(t, d, over, rollover.SubmissionFailed, "ns1.hosts.example. (CDS and CDNSKEY, and writing them failed: it is locked)", 0)
	s.fails = nil
	s.submit(t, d, over, rollover.SubmissionAccepted, "are removed from zone hosts.example.", 0)
	s.submit(t, d, over, rollover.SubmissionAccepted, "", 0)
	s.submit(t, d, c, rollover.SubmissionLater, "were written", 2)
	roll := c
	roll.Keep, roll.Add = c.Add, nil
	s.submit(t, d, roll, rollover.SubmissionAccepted, "are removed from zone hosts.example.", 0)
	if !slices.Contains(s.calls, "_dsboot.child.example._signal.ns.other.example.") {
		t.Errorf("calls %q", s.calls)
	}
}

// A zone whose name servers are all inside it cannot be signalled for, nor one
// whose name leaves no room.
func TestNothingToSignal(t *testing.T) {
	s := newSignaller(t, "ns1."+zone, "ns2."+zone, strings.Repeat("a.", 115)+"example.")
	s.submit(t, s.driver(t, true), s.change(t), rollover.SubmissionAccepted, "no signalling (RFC 9615) is possible", 0)
	if len(s.calls) > 0 {
		t.Errorf("written: %q", s.calls)
	}
}

// A signalling name is good only if every validator that answers finds there
// what is wanted; CDNSKEY records count where they are used.
func TestWhatValidatorsFind(t *testing.T) {
	const host = "ns.other.example."
	name := signalName(zone, host)
	one, two := newSignaller(t), newSignaller(t)
	cds, cdnskey := []string{dsOf(t, one.by.Key).String()}, []string{one.by.Key.DNSKEY().String()}
	want := expectation{cds: cds, cdnskey: cdnskey}
	dead := "127.0.0.1:1"
	for _, c := range []struct {
		name       string
		validators []string
		cds        [2][]string // that each has
		cdnskey    [2][]string
		want       expectation
		both       bool
		insecure   bool
		says       string
	}{
		{"good at both", []string{one.address, two.address}, [2][]string{cds, cds}, [2][]string{cdnskey, cdnskey}, want, true, false, ""},
		{"none at the second", []string{one.address, two.address}, [2][]string{cds, nil}, [2][]string{cdnskey, nil}, want, true, false, "none"},
		{"others at the second", []string{one.address, two.address}, [2][]string{cds, {deleteCDS}}, [2][]string{cdnskey, cdnskey}, want, true, false, othersThere},
		{"the first is silent", []string{dead, one.address}, [2][]string{cds}, [2][]string{cdnskey}, want, true, false, ""},
		{"the second is silent", []string{one.address, dead}, [2][]string{cds}, [2][]string{cdnskey}, want, true, false, ""},
		{"all are silent", []string{dead}, [2][]string{cds}, [2][]string{cdnskey}, want, true, false, "asking for " + name},
		{"without CDNSKEY, which is used", []string{one.address}, [2][]string{cds}, [2][]string{}, want, true, false, "none"},
		{"without CDNSKEY, which is not used", []string{one.address}, [2][]string{cds}, [2][]string{}, want, false, false, ""},
		{"with CDNSKEY, which is not used", []string{one.address}, [2][]string{cds}, [2][]string{{deleteCDNSKEY}}, want, false, false, ""},
		{"without CDS, where CDNSKEY is not used", []string{one.address}, [2][]string{}, [2][]string{}, want, false, false, "none"},
		{"insecure", []string{one.address}, [2][]string{cds}, [2][]string{cdnskey}, want, true, true, "there, and validators do not find them secure"},
		{"none, as it must be", []string{one.address}, [2][]string{}, [2][]string{}, expectation{}, true, false, ""},
		{"none, as it must be, insecure", []string{one.address}, [2][]string{}, [2][]string{}, expectation{}, true, true, ""},
		{"some that must not be", []string{one.address}, [2][]string{cds}, [2][]string{}, expectation{}, true, true, othersThere},
	} {
		for i, s := range []*signaller{one, two} {
			s.set(func() {
				s.stored, s.insecure = map[string][]string{name + " CDS": c.cds[i], name + " CDNSKEY": c.cdnskey[i]}, c.insecure
			})
		}
		d := &CDS{CDNSKEY: c.both, Validators: c.validators, Ask: eyes(t).Ask}
		if got := d.signalled(context.Background(), zone, host, c.want); !strings.HasPrefix(got, c.says) || c.says == "" && got != "" {
			t.Errorf("%s: %q, expected %q", c.name, got, c.says)
		}
	}
}

// What is left at signalling names is told to whoever can take it out; that is a
// failure only where PowerDNS should have.
func TestWhatIsLeftOfSignals(t *testing.T) {
	s := newSignaller(t, "ns1.hosts.example.", "ns.other.example.")
	c := s.change(t)
	other := signalName(zone, "ns.other.example.")
	s.set(func() { s.stored[other+" CDS"] = []string{deleteCDS} })
	over, roll := c, c
	over.Over = true
	roll.Keep, roll.Add = c.Add, nil
	s.submit(t, s.driver(t, true), over, rollover.SubmissionAccepted, "can be taken out by hand now: "+other+" (CDS and CDNSKEY, and its zone is not on this PowerDNS)", 0)
	if a := s.driver(t, false).Submit(t.Context(), roll); a.State != rollover.SubmissionAccepted || strings.Contains(a.Text, "signalling") {
		t.Errorf("before another change, by a driver that writes none: %+v", a)
	}
	s = newSignaller(t, "ns1.hosts.example.")
	s.set(func() { s.stored[signalName(zone, "ns1.hosts.example.")+" CDS"] = []string{deleteCDS} })
	d := s.driver(t, true)
	d.Signal = func(context.Context, string, []string, []string) (string, bool, error) {
		return "hosts.example.", false, nil
	}
	if a := d.Submit(t.Context(), over); a.State != rollover.SubmissionAccepted || a.Text != "" {
		t.Errorf("taken out, and still in a cache: %+v", a)
	}
}

// The records that are missing are those that are used, at each name once; the
// names are those that a server of the zone tells of the zone.
func TestNamesThatCanSignal(t *testing.T) {
	s := newSignaller(t, "ns.other.example.")
	c := s.change(t)
	c.Servers = slices.Concat(c.Servers, c.Servers)
	d := s.driver(t, false)
	d.CDNSKEY = false
	s.submit(t, d, c, rollover.SubmissionAccepted, "below ns.other.example. (none)", 1)
	n := serve(t, nil, func(m, reply *dns.Msg) {
		if m.RecursionDesired {
			t.Error("a name server is asked to ask others")
		}
		reply.Answer = []dns.RR{rr(t, "CHILD.example. 60 IN NS NS.other.example."), rr(t, "example. 60 IN NS ns.example.")}
		reply.Ns = []dns.RR{rr(t, zone+" 60 IN NS ns2.other.example.")} // of a delegation, which nobody signs
	})
	for address, want := range map[string]string{n.address: "[ns.other.example.]", "127.0.0.1:1": "[]"} {
		if got := fmt.Sprint(d.told(t.Context(), firstDS(t, s.by, address))); got != want {
			t.Errorf("%s tells %s", address, got)
		}
	}
}
