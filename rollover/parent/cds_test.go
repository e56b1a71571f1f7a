package parent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// dsyncData is the data of a DSYNC record in the form of RFC 3597.
func dsyncData(t *testing.T, qtype uint16, scheme byte, port int, target string) string {
	t.Helper()
	name := make([]byte, 255)
	n, err := dns.PackDomainName(target, name, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	data := append([]byte{byte(qtype >> 8), byte(qtype), scheme, byte(port >> 8), byte(port)}, name[:n]...)
	return fmt.Sprintf(`\# %d %s`, len(data), hex.EncodeToString(data))
}

// The questions of RFC 9859 section 4.1, for a parent one and two labels up, and
// for one that has its record at _dsync itself.
func TestWhereTheParentWantsToBeTold(t *testing.T) {
	for _, c := range []struct {
		zone, apex, owner, asked string
	}{
		{"child.example.", "example.", "child._dsync.example.", "child._dsync.example. TYPE66"},
		{"child.example.", "example.", "_dsync.example.", "child._dsync.example. TYPE66, _dsync.example. TYPE66"},
		{"a.b.example.", "example.", "a.b._dsync.example.", "a._dsync.b.example. TYPE66, a.b._dsync.example. TYPE66"},
		{"a.b.example.", "example.", "_dsync.example.", "a._dsync.b.example. TYPE66, a.b._dsync.example. TYPE66, _dsync.example. TYPE66"},
		{"child.example.", "example.", "", "child._dsync.example. TYPE66, _dsync.example. TYPE66"},
	} {
		n := serve(t, nil, func(m, reply *dns.Msg) {
			if m.Question[0].Name == c.owner {
				reply.Answer = []dns.RR{
					rr(t, c.owner+" 60 IN TYPE66 "+dsyncData(t, dns.TypeCSYNC, 1, 53, "wrong.example.")),
					rr(t, c.owner+" 60 IN TYPE66 "+dsyncData(t, dns.TypeCDS, 2, 53, "wrong.example.")),
					rr(t, c.owner+" 60 IN TYPE66 "+dsyncData(t, dns.TypeCDS, 1, 5300, "listener.example.")),
				}
				return
			}
			reply.Rcode = dns.RcodeNameError
			reply.Ns = []dns.RR{rr(t, c.apex+" 60 IN SOA ns. host. 1 2 3 4 5")}
		})
		ask := eyes(t).Ask
		d := &CDS{Ask: ask, Proven: trusting(ask, n.address)}
		found, err := d.endpoints(context.Background(), c.zone)
		want := "[listener.example:5300]"
		if c.owner == "" {
			want = "[]"
		}
		if err != nil || fmt.Sprint(found) != want || n.questions() != c.asked {
			t.Errorf("%+v: found %v, %v, asked %s", c, found, err, n.questions())
		}
	}
}

// world is one server that is everything: the zone's, the resolver, and where
// NOTIFY(CDS) goes.
func world(t *testing.T, by signer, records ...string) *nameServer {
	n := serve(t, nil, nil)
	answer := func(m, reply *dns.Msg) {
		q := m.Question[0]
		_, text, _ := net.SplitHostPort(n.address)
		port, _ := strconv.Atoi(text)
		switch {
		case q.Qtype == typeDSYNC:
			reply.Answer = []dns.RR{rr(t, q.Name+" 60 IN TYPE66 "+dsyncData(t, dns.TypeCDS, 1, port, "listener.example."))}
		case q.Name == "listener.example." && q.Qtype == dns.TypeA:
			reply.Answer = []dns.RR{rr(t, q.Name+" 60 IN A 127.0.0.1")}
		case m.Opcode == dns.OpcodeNotify && q.Qtype != dns.TypeCDS:
			reply.Rcode = dns.RcodeRefused
		}
		for _, record := range records {
			if parsed := rr(t, record); m.Opcode == dns.OpcodeQuery && parsed.Header().Rrtype == q.Qtype && q.Name == zone {
				reply.Answer = append(reply.Answer, parsed)
			}
		}
		if q.Name == zone && len(reply.Answer) > 0 {
			reply.Answer = append(reply.Answer, by.sign(t, reply.Answer))
		}
	}
	n.set(func() { n.answer = answer })
	return n
}

// unprovenBy is a zone that cannot prove its name servers.
func unprovenBy(context.Context, string, string, []rollover.DNSKEY, uint16) ([]dns.RR, error) {
	return nil, errors.New("not signed")
}

func TestCDS(t *testing.T) {
	cds := func(k rollover.Key) string { return zone + " 60 IN CDS " + dsOf(t, k).String() }
	cdnskey := func(k rollover.Key) string { return zone + " 60 IN CDNSKEY " + k.DNSKEY().String() }
	oldSigner, newSigner, stranger := newSigner(t), newSigner(t), newSigner(t)
	oldKey, newKey := oldSigner.Key, newSigner.Key
	leaked := rollover.Key{Flags: 256, Algorithm: 13, PublicKey: oldKey.PublicKey}
	both := []string{cds(oldKey), cds(newKey), cdnskey(oldKey), cdnskey(newKey)}
	submit := rollover.Change{
		CDS: true, Zone: zone, Keys: []rollover.Key{newKey, oldKey}, Digests: []uint8{2},
		Add: []rollover.DS{dsOf(t, newKey)}, Keep: []rollover.DS{dsOf(t, oldKey)}, Set: []rollover.DS{dsOf(t, newKey), dsOf(t, oldKey)},
	}
	withdraw := rollover.Change{
		CDS: true, Zone: zone, Keys: submit.Keys, Digests: submit.Digests,
		Keep: []rollover.DS{dsOf(t, newKey)}, Remove: []rollover.DS{dsOf(t, oldKey)}, Set: []rollover.DS{dsOf(t, newKey)},
	}
	for _, c := range []struct {
		name    string
		change  rollover.Change
		records []string
		by      signer
		state   rollover.SubmissionState
		says    string
	}{
		{"both", submit, both, oldSigner, rollover.SubmissionAccepted, "2 servers serve the CDS records; NOTIFY(CDS) sent to listener.example"},
		{"not yet", submit, []string{cds(oldKey), cdnskey(oldKey)}, oldSigner, rollover.SubmissionLater, "does not serve CDS"},
		{"CDNSKEY not yet", submit, both[:3], oldSigner, rollover.SubmissionLater, "does not serve the CDNSKEY"},
		{"a leak", submit, append(both, cds(leaked)), oldSigner, rollover.SubmissionFailed, "nobody asked for"},
		{"none", submit, nil, oldSigner, rollover.SubmissionLater, "there are none"},
		{"signed by new alone", submit, both, newSigner, rollover.SubmissionLater, "not signed by a key that has its DS at the parent"},
		{"signed by a stranger", submit, both, stranger, rollover.SubmissionLater, "not signed by a key that has its DS at the parent"},
		{"old still there", withdraw, both, newSigner, rollover.SubmissionLater, "still serves CDS"},
		{"old gone", withdraw, []string{cds(newKey), cdnskey(newKey)}, newSigner, rollover.SubmissionAccepted, "NOTIFY(CDS) sent"},
	} {
		n := world(t, c.by, c.records...)
		published, shown := 0, 0
		d := &CDS{
			Show:    func(context.Context, string) error { shown++; return nil },
			CDNSKEY: true, Notify: true, Resolvers: []string{"127.0.0.1:1", n.address}, Private: loopback(), Ask: eyes(t).Ask,
			Publish: func(context.Context, string, []uint8, bool) (bool, error) { published++; return false, nil },
		}
		d.Proven, d.ProvenBy = trusting(d.Ask, n.address), unprovenBy
		c.change.Servers = []rollover.Server{
			{Role: rollover.RoleChild, Name: "ns1", Address: n.address}, {Role: rollover.RoleChild, Name: "ns2", Address: n.address},
			{Role: rollover.RoleParent, Name: "p", Address: "127.0.0.1:1"},
		}
		a := d.Submit(context.Background(), c.change)
		if a.State != c.state || !strings.Contains(a.Text, c.says) || published != 1 {
			t.Errorf("%s: %+v, expected %s with %q", c.name, a, c.state, c.says)
		}
		if again := c.state != rollover.SubmissionAccepted; again != (shown == 1) {
			t.Errorf("%s: shown again %d times", c.name, shown)
		}
		if told := strings.Contains(n.questions(), "TYPE66"); told != (c.state == rollover.SubmissionAccepted) {
			t.Errorf("%s: the parent was told: %v", c.name, told)
		}
	}
}

// What cannot be published is not announced; a parent that cannot be told is no
// failure, for it may poll.
func TestCDSWithTrouble(t *testing.T) {
	change := rollover.Change{CDS: true, Zone: zone}
	for err, state := range map[error]rollover.SubmissionState{
		rollover.ErrUnavailable: rollover.SubmissionLater, errors.New("no"): rollover.SubmissionFailed,
	} {
		d := &CDS{Publish: func(context.Context, string, []uint8, bool) (bool, error) { return false, err }}
		if a := d.Submit(context.Background(), change); a.State != state {
			t.Errorf("%v: %+v", err, a)
		}
	}
	if a := new(CDS).Submit(context.Background(), rollover.Change{Method: "double-ds"}); a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "another driver (double-ds)") {
		t.Errorf("a rollover in another order: %+v", a)
	}
	deaf := &CDS{Publish: func(context.Context, string, []uint8, bool) (bool, error) { return false, nil }, Notify: true, Ask: eyes(t).Ask,
		Proven: func(context.Context, string, uint16) ([]dns.RR, string, error) {
			return nil, "", errors.New("no resolver answers")
		},
		Show: func(context.Context, string) error { t.Error("shown again, though nobody answered"); return nil }}
	if a := deaf.Submit(context.Background(), change); a.State != rollover.SubmissionAccepted || !strings.Contains(a.Text, "must poll") {
		t.Errorf("without a resolver: %+v", a)
	}
	change.Servers = []rollover.Server{{Role: rollover.RoleChild, Name: "ns1", Address: "127.0.0.1:1"}}
	if a := deaf.Submit(context.Background(), change); a.State != rollover.SubmissionLater || !strings.Contains(a.Text, "serves no CDS records") {
		t.Errorf("with a server that is down: %+v", a)
	}
}

// A first DS (RFC 8078 section 3): no key has its DS at the parent yet, so the one
// that it will name must have signed; and no DS at all (section 4), which the
// keys that have one must ask for.
func TestFirstAndLastDSByCDS(t *testing.T) {
	one, other := newSigner(t), newSigner(t)
	cds := zone + " 60 IN CDS " + dsOf(t, one.Key).String()
	cdnskey := zone + " 60 IN CDNSKEY " + one.Key.DNSKEY().String()
	gone := []string{zone + " 60 IN CDS 0 0 0 00", zone + " 60 IN CDNSKEY 0 3 0 AA=="}
	keys := rollover.Change{CDS: true, Zone: zone, Keys: []rollover.Key{one.Key}, Digests: []uint8{2}}
	first, last, none := keys, keys, keys
	first.Add = []rollover.DS{dsOf(t, one.Key)}
	first.Set = first.Add
	last.Delete, last.Remove = true, first.Add
	none.Delete = true // a first DS that is taken back before the parent has it
	again := keys
	again.Keep, again.Set = first.Add, first.Add
	for _, c := range []struct {
		name    string
		change  rollover.Change
		records []string
		by      signer
		state   rollover.SubmissionState
		says    string
	}{
		{"first", first, []string{cds, cdnskey}, one, rollover.SubmissionAccepted, "NOTIFY(CDS) sent"},
		{"first, signed by another key", first, []string{cds, cdnskey}, other, rollover.SubmissionLater, "a key that the first DS is to name"},
		{"first, behind", first, gone, one, rollover.SubmissionLater, "still serves CDS 0 0 0 00"},
		{"first, and another", first, []string{cds, cdnskey, zone + " 60 IN CDS " + dsOf(t, other.Key).String()}, one, rollover.SubmissionFailed, "nobody asked for"},
		{"last", last, gone, one, rollover.SubmissionAccepted, "NOTIFY(CDS) sent"},
		{"last, signed by a stranger", last, gone, other, rollover.SubmissionLater, "a key that has its DS at the parent"},
		{"last, behind", last, []string{cds, cdnskey}, one, rollover.SubmissionLater, "still serves CDS"},
		{"last, half", last, []string{gone[0], cdnskey}, one, rollover.SubmissionLater, "CDNSKEY"},
		{"last, and another", last, append([]string{zone + " 60 IN CDS " + dsOf(t, other.Key).String()}, gone...), one, rollover.SubmissionFailed, "nobody asked for"},
		{"taken back", none, gone, one, rollover.SubmissionAccepted, "NOTIFY(CDS) sent"},
		{"reverted", again, []string{cds, cdnskey}, one, rollover.SubmissionAccepted, "NOTIFY(CDS) sent"},
		{"reverted, behind", again, gone, one, rollover.SubmissionLater, "still serves CDS 0 0 0 00"},
	} {
		n := world(t, c.by, c.records...)
		asked := ""
		d := &CDS{
			Show:    func(context.Context, string) error { return nil },
			CDNSKEY: true, Notify: true, Resolvers: []string{"127.0.0.1:1", n.address}, Private: loopback(), Ask: eyes(t).Ask,
			Publish: func(context.Context, string, []uint8, bool) (bool, error) { asked += "publish"; return false, nil },
			Delete:  func(context.Context, string, bool) (bool, error) { asked += "delete"; return false, nil },
		}
		d.Proven, d.ProvenBy = trusting(d.Ask, n.address), unprovenBy
		c.change.Servers = []rollover.Server{{Role: rollover.RoleChild, Name: "ns1", Address: n.address}}
		a := d.Submit(context.Background(), c.change)
		if a.State != c.state || !strings.Contains(a.Text, c.says) {
			t.Errorf("%s: %+v, expected %s with %q", c.name, a, c.state, c.says)
		}
		if want := map[bool]string{true: "delete", false: "publish"}[c.change.Delete]; asked != want {
			t.Errorf("%s: PowerDNS was asked to %s", c.name, asked)
		}
	}
}
