package probe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
	"rollover/rollover/chain/chaintest"
)

// comparing asks for one answer to compare.
func comparing(name, rrtype string) rollover.Question {
	return rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY}, Answers: []rollover.Sample{{Name: name, Type: rrtype}}}
}

// Every sort of answer is told apart from every other, and one that a validator
// would not believe says why.
func TestAnswersToCompare(t *testing.T) {
	cases := map[string]struct {
		name, rrtype string
		change       func(s *street, m *dns.Msg)
		class        rollover.AnswerClass
		sum          bool
		fault        string
		unknown      string
	}{
		"data":           {name: "www.zone.example.", rrtype: "A", class: rollover.ClassData, sum: true},
		"an alias":       {name: "alias.zone.example.", rrtype: "A", class: rollover.ClassData, sum: true},
		"no such type":   {name: "www.zone.example.", rrtype: "TXT", class: rollover.ClassNoData},
		"no such name":   {name: "none.zone.example.", rrtype: "A", class: rollover.ClassNoName},
		"a forged proof": {name: "none.zone.example.", rrtype: "A", change: func(_ *street, m *dns.Msg) { m.Ns = m.Ns[:2] }, class: rollover.ClassNoName, fault: "no proof that none.zone.example. does not exist"},
		"forged data": {name: "www.zone.example.", rrtype: "A", change: func(_ *street, m *dns.Msg) {
			m.Answer[0] = rr(t, "www.zone.example. 60 IN A 192.0.2.66")
		}, class: rollover.ClassData, sum: true, fault: "does not verify"},
		"data that cannot be checked": {name: "www.zone.example.", rrtype: "A", change: func(_ *street, m *dns.Msg) {
			m.Answer[1] = ed448(dns.Copy(m.Answer[1]).(*dns.RRSIG))
		}, class: rollover.ClassData, sum: true, fault: "16"},
		"a referral": {name: "www.zone.example.", rrtype: "A", change: func(_ *street, m *dns.Msg) {
			m.Authoritative, m.Answer, m.Ns = false, nil, rrs(t, "www.zone.example. 60 IN NS ns.example.")
		}, class: rollover.ClassReferral},
		"a zone below": {name: "www.zone.example.", rrtype: "A", change: func(_ *street, m *dns.Msg) {
			m.Answer, m.Ns = nil, rrs(t, "www.zone.example. 60 IN SOA a. b. 1 2 3 4 5")
		}, class: rollover.ClassForeign},
		"REFUSED": {name: "www.zone.example.", rrtype: "A", change: func(_ *street, m *dns.Msg) { m.Rcode = dns.RcodeRefused }, class: "REFUSED"},
		"without authority": {name: "www.zone.example.", rrtype: "A", change: func(_ *street, m *dns.Msg) { m.Authoritative = false },
			class: rollover.ClassNoData, fault: "lame: answers without authority"},
		"nothing": {name: "www.zone.example.", rrtype: "A", change: func(_ *street, m *dns.Msg) { m.Truncated, m.Answer = true, nil }, unknown: "truncated even over TCP"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.change = func(q *dns.Msg, m *dns.Msg) {
				if tc.change != nil && !q.RecursionDesired && q.Question[0].Name == tc.name {
					tc.change(s, m)
				}
			}
			got := lookWith(t, s.client(t), s.at, comparing(tc.name, tc.rrtype))
			if got.Unknown != "" || len(got.Answers) != 1 {
				t.Fatalf("expected one answer, got %+v", got)
			}
			a := got.Answers[0]
			same(t, "sample", a.Sample, rollover.Sample{Name: tc.name, Type: tc.rrtype})
			same(t, "class", a.Class, tc.class)
			same(t, "sum", a.Sum != "", tc.sum)
			same(t, "unknown", a.Unknown, tc.unknown)
			if !strings.Contains(a.Fault, tc.fault) || tc.fault == "" && a.Fault != "" {
				t.Errorf("expected the fault %q, got %q", tc.fault, a.Fault)
			}
		})
	}
}

// Names outside the zone and types that nobody knows are not asked for; a parent
// is not asked at all, nor who was silent before.
func TestWhatIsComparedWithWhom(t *testing.T) {
	s := newStreet(t)
	q := rollover.Question{Zone: zone, Thorough: true, Answers: []rollover.Sample{
		{Name: "WWW.zone.example", Type: "a"}, {Name: "www.other.example.", Type: "A"}, {Name: "www.zone.example.", Type: "NONSENSE"},
	}}
	same(t, "questions", toCompare(q), []inquiry{{"a", "www.zone.example.", dns.TypeA}})
	c := s.client(t)
	for name, tc := range map[string]struct {
		role     string
		silent   error
		thorough bool
		asked    int
		announce int
	}{
		"a server of the zone":        {rollover.RoleChild, nil, true, 1, 2},
		"in a look that is not":       {rollover.RoleChild, nil, false, 1, 0},
		"a server of the parent":      {rollover.RoleParent, nil, true, 0, 0},
		"a server that was silent":    {rollover.RoleChild, errTimedOut, true, 0, 0},
		"one of the parent, as quiet": {rollover.RoleParent, errTimedOut, true, 0, 0},
	} {
		q.Thorough = tc.thorough
		announced, answers := c.extras(t.Context(), target{Server: rollover.Server{Role: tc.role}, at: s.at, silent: tc.silent}, q)
		if len(answers) != tc.asked || len(announced) != tc.announce {
			t.Errorf("%s: %d answers, %d announced", name, len(answers), len(announced))
		}
	}
}

// What a server of the zone announces is told with its type, and only what it
// says itself, of the zone.
func TestAnnounces(t *testing.T) {
	cds := "zone.example. 60 IN CDS 1 13 2 AA"
	for name, tc := range map[string]struct {
		change func(m *dns.Msg)
		expect []string
	}{
		"as it is":          {func(*dns.Msg) {}, []string{"CDS 1 13 2 AA"}},
		"without authority": {func(m *dns.Msg) { m.Authoritative = false }, nil},
		"of another name":   {func(m *dns.Msg) { m.Answer = rrs(t, "www.zone.example. 60 IN CDS 1 13 2 AA") }, nil},
		"of another type":   {func(m *dns.Msg) { m.Answer = rrs(t, "zone.example. 60 IN DS 1 13 2 AA") }, nil},
		"nothing":           {func(m *dns.Msg) { m.Truncated, m.Answer = true, nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			s.child.Add(rr(t, cds))
			s.change = func(q, m *dns.Msg) {
				if q.Question[0].Qtype == dns.TypeCDS {
					tc.change(m)
				}
			}
			got := lookWith(t, s.client(t), s.at, rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY}, Thorough: true})
			same(t, "unknown", got.Unknown, "")
			same(t, "announced", got.Announces, tc.expect)
		})
	}
}

// One sum for the same records in any order and with any TTL, and another for
// others, be it only by their type.
func TestDigest(t *testing.T) {
	set := func(texts ...string) string { return digest(chain.Set{Records: rrs(t, texts...)}) }
	one := set("a. 60 IN TXT x", "a. 60 IN TXT y")
	same(t, "in another order, with another TTL", set("a. 7 IN TXT y", "a. 7 IN TXT x"), one)
	others := []string{one, set("a. 60 IN TXT x"), set("a. 60 IN TXT x", "a. 60 IN TXT z"), set("a. 60 IN SPF x", "a. 60 IN SPF y"), set()}
	slices.Sort(others)
	same(t, "different sums", len(slices.Compact(others)), len(others))
}

// All answers of a zone with hundreds of names are checked, and such a look has the
// time that it needs.
func TestManyAnswersAreCompared(t *testing.T) {
	k := chaintest.FixedKey(zone, 256, 1)
	q := rollover.Question{Zone: zone, Keys: []rollover.DNSKEY{k.Ours()}}
	var v visit
	for n := range chain.MaxVerifications + 50 {
		name := fmt.Sprintf("n%d.%s", n, zone)
		record := rr(t, name+" 60 IN A 192.0.2.1")
		m := replyTo(direct(name, dns.TypeA), record, k.Sign(t, []dns.RR{record}))
		v.answers = append(v.answers, reply{inquiry: inquiry{"A", name, dns.TypeA}, answer: m})
		q.Answers = append(q.Answers, rollover.Sample{Name: name, Type: "A"})
	}
	for _, a := range v.compared(q, &rollover.KeyVersion{Keys: q.Keys}, now) {
		if a.Class != rollover.ClassData || a.Fault != "" {
			t.Fatalf("%+v", a)
		}
	}
	c := newClient(t)
	if c.lookTimeout(q) != 2*defaultLookTimeout || c.lookTimeout(rollover.Question{}) != defaultLookTimeout {
		t.Errorf("%s for many answers, %s for none", c.lookTimeout(q), c.lookTimeout(rollover.Question{}))
	}
}
