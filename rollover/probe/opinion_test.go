package probe

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// validator is one that answers as change says.
func validator(t *testing.T, change func(q dns.Question, checkingDisabled bool, m *dns.Msg)) *Client {
	at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := replyTo(q)
		m.Authoritative, m.AuthenticatedData = false, true
		change(q.Question[0], q.CheckingDisabled, m)
		send(t, w, m)
	})
	c := newClient(t)
	c.Validators = []string{at.String()}
	c.Anchors = chain.Anchors{"example.": {DS: []rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: "AB"}}}}
	return c
}

// What a resolver says of the zone is only an opinion when it validates: one that
// finds nothing secure, that has its own copy, or that cannot tell, has none.
func TestOpinions(t *testing.T) {
	type change = func(q dns.Question, checkingDisabled bool, m *dns.Msg)
	servfail := func(unchecked int) change {
		return func(_ dns.Question, checkingDisabled bool, m *dns.Msg) {
			m.AuthenticatedData, m.Rcode = false, dns.RcodeServerFailure
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 9}}
			if checkingDisabled {
				m.Rcode = unchecked
			}
		}
	}
	onlyAnchor := func(with func(m *dns.Msg)) change {
		return func(q dns.Question, _ bool, m *dns.Msg) {
			if m.AuthenticatedData = q.Name != zone; m.AuthenticatedData {
				with(m)
			}
		}
	}
	cases := map[string]struct {
		change change
		expect rollover.ValidatorSighting
		finds  rollover.Security
	}{
		"secure":   {func(dns.Question, bool, *dns.Msg) {}, rollover.ValidatorSighting{AD: true}, rollover.Secure},
		"insecure": {onlyAnchor(func(*dns.Msg) {}), rollover.ValidatorSighting{}, rollover.Insecure},
		"blind":    {func(_ dns.Question, _ bool, m *dns.Msg) { m.AuthenticatedData = false }, rollover.ValidatorSighting{Blind: true}, ""},
		"a copy": {func(_ dns.Question, _ bool, m *dns.Msg) { m.AuthenticatedData, m.Authoritative = false, true },
			rollover.ValidatorSighting{Authoritative: true}, ""},
		"the anchor fails":       {onlyAnchor(func(m *dns.Msg) { m.AuthenticatedData, m.Rcode = false, dns.RcodeRefused }), rollover.ValidatorSighting{}, rollover.Insecure},
		"the anchor is not told": {onlyAnchor(func(m *dns.Msg) { m.AuthenticatedData, m.Truncated = false, true }), rollover.ValidatorSighting{}, rollover.Insecure},
		"bogus":                  {servfail(dns.RcodeSuccess), rollover.ValidatorSighting{Bogus: true, Text: "SERVFAIL (extended error 9, DNSKEY Missing)"}, rollover.Bogus},
		"broken":                 {servfail(dns.RcodeServerFailure), rollover.ValidatorSighting{Unknown: "SERVFAIL (extended error 9, DNSKEY Missing)"}, ""},
		"not told without checking": {func(_ dns.Question, checkingDisabled bool, m *dns.Msg) {
			if m.Truncated = checkingDisabled; !checkingDisabled {
				m.Rcode = dns.RcodeServerFailure
			}
		}, rollover.ValidatorSighting{Unknown: "SERVFAIL"}, ""},
		"secure below what is not": {func(q dns.Question, _ bool, m *dns.Msg) { m.AuthenticatedData = q.Name == zone }, rollover.ValidatorSighting{AD: true}, rollover.Secure},
		"refuses":                  {func(_ dns.Question, _ bool, m *dns.Msg) { m.Rcode = dns.RcodeRefused }, rollover.ValidatorSighting{Unknown: "REFUSED"}, ""},
		"says nothing":             {func(_ dns.Question, _ bool, m *dns.Msg) { m.Truncated = true }, rollover.ValidatorSighting{Unknown: "truncated even over TCP"}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := validator(t, tc.change)
			got := c.askOpinions(t.Context(), zone)
			tc.expect.Address = c.Validators[0]
			same(t, "opinions", got, []rollover.ValidatorSighting{tc.expect})
			same(t, "finds", finds(got[0]), tc.finds)
		})
	}
}

// A validator of the DS set that answers neither with checking nor without is
// unknown, and so is one that says nothing.
func TestOpinionsOfTheDSSet(t *testing.T) {
	var many []dns.RR
	for i := range maxDS + 1 {
		many = append(many, rr(t, fmt.Sprintf("zone.example. 1 IN DS %d 13 2 AB", i)))
	}
	for name, tc := range map[string]struct {
		change func(q dns.Question, checkingDisabled bool, m *dns.Msg)
		expect rollover.ValidatorSighting
	}{
		"says nothing": {func(_ dns.Question, _ bool, m *dns.Msg) { m.Truncated = true }, rollover.ValidatorSighting{Unknown: "truncated even over TCP"}},
		"says nothing without checking": {func(_ dns.Question, checkingDisabled bool, m *dns.Msg) {
			if m.Truncated = checkingDisabled; !checkingDisabled {
				m.Rcode = dns.RcodeServerFailure
			}
		}, rollover.ValidatorSighting{Unknown: "SERVFAIL"}},
		"no such name": {func(_ dns.Question, _ bool, m *dns.Msg) { m.Rcode = dns.RcodeNameError }, rollover.ValidatorSighting{AD: true}},
		"too many":     {func(_ dns.Question, _ bool, m *dns.Msg) { m.Answer = many }, rollover.ValidatorSighting{Unknown: "more than 50 DS records", AD: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c := validator(t, tc.change)
			tc.expect.Address = c.Validators[0]
			same(t, "validators", c.askValidators(t.Context(), zone), []rollover.ValidatorSighting{tc.expect})
		})
	}
}

// Only what is asked for is asked of the validators.
func TestWhatValidatorsAreAsked(t *testing.T) {
	secure := rollover.ValidatorSighting{AD: true}
	found := rollover.ValidatorSighting{AD: true, Finds: rollover.Secure}
	for name, tc := range map[string]struct {
		q      rollover.Question
		expect []rollover.ValidatorSighting
	}{
		"nothing":      {rollover.Question{}, nil},
		"the DS set":   {rollover.Question{Validators: true}, []rollover.ValidatorSighting{secure}},
		"the zone too": {rollover.Question{Validators: true, Resolve: true}, []rollover.ValidatorSighting{found}},
		"the zone":     {rollover.Question{Opinions: true}, []rollover.ValidatorSighting{secure}},
	} {
		t.Run(name, func(t *testing.T) {
			c := validator(t, func(dns.Question, bool, *dns.Msg) {})
			z := newZone(t)
			tc.q.Zone, tc.q.Records, tc.q.ServersOnly = zone, []rollover.Record{rollover.RecordDNSKEY}, true
			tc.q.Servers = []string{z.serve(t).String()}
			s, err := c.Look(t.Context(), tc.q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range tc.expect {
				tc.expect[i].Address = c.Validators[0]
			}
			same(t, "validators", s.Validators, tc.expect)
		})
	}
	c := validator(t, func(dns.Question, bool, *dns.Msg) { t.Error("asked about the zone of the anchor") })
	at, err := c.validatorAddress(t.Context(), c.Validators[0])
	if err != nil || c.blind(t.Context(), at, "example.") || c.blind(t.Context(), at, "other.") {
		t.Errorf("blind at the anchor itself, or without one: %v", err)
	}
	c.Validators = []string{"bad name"}
	same(t, "one that cannot be asked", c.askOpinions(t.Context(), zone),
		[]rollover.ValidatorSighting{{Address: "bad name", Unknown: `server "bad name" is neither a host name nor an address, with or without :port`}})
}
