package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// Only an answer without records, that points down to a zone below which the name
// is in, is a referral; it needs no authority.
func TestReferral(t *testing.T) {
	d := &dataReader{zone: zone}
	ns := rrs(t, "www.zone.example. 9 IN NS ns.example.")
	for name, tc := range map[string]struct {
		asked  string
		change func(m *dns.Msg)
		expect bool
	}{
		"one":               {"www.zone.example.", func(*dns.Msg) {}, true},
		"of a name below":   {"a.www.zone.example.", func(*dns.Msg) {}, true},
		"of a name beside":  {"a.zone.example.", func(*dns.Msg) {}, false},
		"with an error":     {"www.zone.example.", func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }, false},
		"without EDNS":      {"www.zone.example.", func(m *dns.Msg) { m.Extra = nil }, false},
		"with records":      {"www.zone.example.", func(m *dns.Msg) { m.Answer = ns }, false},
		"of the zone":       {"www.zone.example.", func(m *dns.Msg) { m.Ns = rrs(t, "zone.example. 9 IN NS ns.example.") }, false},
		"upwards":           {"www.zone.example.", func(m *dns.Msg) { m.Ns = rrs(t, "example. 9 IN NS ns.example.") }, false},
		"without NS":        {"www.zone.example.", func(m *dns.Msg) { m.Ns = rrs(t, "www.zone.example. 9 IN DS 1 13 2 AB") }, false},
		"behind other ones": {"www.zone.example.", func(m *dns.Msg) { m.Ns = append(rrs(t, "www.zone.example. 9 IN DS 1 13 2 AB"), ns...) }, true},
	} {
		m := replyTo(direct(tc.asked, dns.TypeA))
		m.Authoritative, m.Ns = false, ns
		tc.change(m)
		same(t, name, d.referral(inquiry{"x", tc.asked, dns.TypeA}, m), tc.expect)
	}
}

// What every zone has at its apex must be in the answer itself; nothing else must.
func TestApexOfTheData(t *testing.T) {
	soa, ns := "zone.example. 1 IN SOA a. b. 7 2 3 4 5", "zone.example. 1 IN NS a."
	for name, tc := range map[string]struct {
		asked      inquiry
		answer, ns []dns.RR
		serial     uint32
		fault      string
	}{
		"SOA":             {inquiry{"x", zone, dns.TypeSOA}, rrs(t, soa), nil, 7, ""},
		"NS":              {inquiry{"x", zone, dns.TypeNS}, rrs(t, ns), nil, 0, ""},
		"no NS":           {inquiry{"x", zone, dns.TypeNS}, nil, rrs(t, soa), 0, "does not serve the zone: NOERROR without the record"},
		"SOA beside":      {inquiry{"x", zone, dns.TypeSOA}, nil, rrs(t, soa), 0, "does not serve the zone: NOERROR without the record"},
		"another SOA":     {inquiry{"x", zone, dns.TypeSOA}, rrs(t, "other. 1 IN SOA a. b. 7 2 3 4 5"), nil, 0, "does not serve the zone: NOERROR without the record"},
		"another type":    {inquiry{"x", zone, dns.TypeTXT}, nil, rrs(t, soa), 0, ""},
		"SOA of www":      {inquiry{"x", "www." + zone, dns.TypeSOA}, nil, rrs(t, soa), 0, ""},
		"NS of www":       {inquiry{"x", "www." + zone, dns.TypeNS}, nil, rrs(t, soa), 0, ""},
		"NS, with an SOA": {inquiry{"x", zone, dns.TypeNS}, rrs(t, ns), rrs(t, soa), 0, ""},
	} {
		d := &dataReader{zone: zone}
		m := replyTo(direct(tc.asked.name, tc.asked.rrtype), tc.answer...)
		m.Ns = tc.ns
		sets, err := chain.Sets(m.Answer, m.Ns)
		if err != nil {
			t.Fatal(err)
		}
		fault := ""
		if err := d.apex(tc.asked, sets, m); err != nil {
			fault = err.Error()
		}
		same(t, name, fault, tc.fault)
		same(t, "serial, "+name, d.serial, tc.serial)
	}
}

// An alias needs no signature only where a DNAME above it made it.
func TestWhatIsSigned(t *testing.T) {
	d := &dataReader{zone: zone}
	set := func(signer string, texts ...string) chain.Set {
		records := rrs(t, texts...)
		s := chain.Set{Owner: records[0].Header().Name, Type: records[0].Header().Rrtype, Records: records}
		if signer != "" {
			s.Signatures = []*dns.RRSIG{{Hdr: *records[0].Header(), TypeCovered: s.Type, SignerName: signer}}
		}
		return s
	}
	alias := "www.zone.example. 60 IN CNAME www.other.example."
	dname := set("", "zone.example. 60 IN DNAME other.example.")
	for name, tc := range map[string]struct {
		s      chain.Set
		beside []chain.Set
		expect bool
	}{
		"an alias":                              {set("", alias), nil, true},
		"made by a DNAME":                       {set("", alias), []chain.Set{dname}, false},
		"signed, with a DNAME":                  {set(zone, alias), []chain.Set{dname}, true},
		"data with a DNAME":                     {set("", "www.zone.example. 60 IN A 192.0.2.1"), []chain.Set{dname}, true},
		"with a DNAME beside":                   {set("", alias), []chain.Set{set("", "a.zone.example. 60 IN DNAME other.example.")}, true},
		"with a DNAME at itself":                {set("", alias), []chain.Set{set("", "www.zone.example. 60 IN DNAME other.example.")}, true},
		"with other records above":              {set("", alias), []chain.Set{set("", "zone.example. 60 IN A 192.0.2.1")}, true},
		"NS of the zone":                        {set("", "zone.example. 60 IN NS a."), nil, true},
		"NS of a delegation":                    {set("", "www.zone.example. 60 IN NS a."), nil, false},
		"signed by a zone below":                {set("www.zone.example.", alias), nil, false},
		"signed by one above":                   {set("example.", alias), nil, true},
		"a record of another zone":              {set("", "www.other.example. 60 IN A 192.0.2.1"), nil, false},
		"a DNSKEY, which is the business of it": {set("", "zone.example. 60 IN CDS 1 13 2 AB"), nil, false},
	} {
		same(t, name, d.signed(tc.s, append(tc.beside, tc.s)), tc.expect)
	}
}

// An answer that there is nothing must have an NSEC or NSEC3 of the zone, and stays
// in caches for as long as its SOA says, if that is of the zone.
func TestAnswersThatThereIsNothing(t *testing.T) {
	nsec3 := "b4um86eghhds6nea196smvmlo4ors995.zone.example. 300 IN NSEC3 1 0 0 - b4um86eghhds6nea196smvmlo4ors996 A"
	for name, tc := range map[string]struct {
		ns     []string
		proven bool
		ttl    uint32
	}{
		"NSEC":             {[]string{"zone.example. 900 IN SOA a. b. 1 2 3 4 300", "www.zone.example. 300 IN NSEC zone.example. A"}, true, 300},
		"NSEC3":            {[]string{"zone.example. 90 IN SOA a. b. 1 2 3 4 300", nsec3}, true, 90},
		"none":             {[]string{"zone.example. 900 IN SOA a. b. 1 2 3 4 300"}, false, 300},
		"NSEC of another":  {[]string{"zone.example. 900 IN SOA a. b. 1 2 3 4 300", "other. 300 IN NSEC other. A"}, false, 300},
		"SOA of another":   {[]string{"example. 900 IN SOA a. b. 1 2 3 4 300", "www.zone.example. 300 IN NSEC zone.example. A"}, true, 10},
		"another class":    {[]string{"zone.example. 900 CH SOA a. b. 1 2 3 4 300", "www.zone.example. 300 IN NSEC zone.example. A"}, true, 10},
		"SOA behind NSEC3": {[]string{nsec3, "zone.example. 900 IN SOA a. b. 1 2 3 4 300"}, true, 300},
	} {
		d := &dataReader{zone: zone, ttl: 10, signers: []rollover.DNSKEY{{}}}
		m := replyTo(direct("none."+zone, dns.TypeA))
		m.Ns = rrs(t, tc.ns...)
		sets, err := chain.Sets(m.Ns)
		if err != nil {
			t.Fatal(err)
		}
		d.denial(inquiry{label: "x"}, sets, m)
		same(t, "signers, "+name, len(d.signers) == 1, tc.proven)
		same(t, "faults, "+name, len(d.faults) == 0, tc.proven)
		same(t, "TTL, "+name, d.ttl, tc.ttl)
	}
}

// A proof that does not hold is told of a server that shows keys, and nothing else
// that is wrong with an answer, nor of a referral, which is not denied.
func TestDenialsThatDoNotHold(t *testing.T) {
	for name, tc := range map[string]struct {
		keyless bool
		asked   string
		change  func(m *dns.Msg)
		expect  int
	}{
		"one that holds":           {false, "none.zone.example.", func(*dns.Msg) {}, 0},
		"one that does not":        {false, "none.zone.example.", func(m *dns.Msg) { m.Ns = m.Ns[:2] }, 1},
		"of a server without keys": {true, "none.zone.example.", func(m *dns.Msg) { m.Ns = m.Ns[:2] }, 0},
		"forged data":              {false, "www.zone.example.", func(m *dns.Msg) { m.Answer[0] = rr(t, "www.zone.example. 60 IN A 192.0.2.66") }, 0},
		"a signature that cannot be checked": {false, "none.zone.example.", func(m *dns.Msg) {
			for i := range m.Ns {
				if sig, ok := m.Ns[i].(*dns.RRSIG); ok {
					m.Ns[i] = ed448(dns.Copy(sig).(*dns.RRSIG))
				}
			}
		}, 0},
		"a referral": {false, "www.zone.example.", func(m *dns.Msg) {
			m.Authoritative, m.Answer, m.Ns = false, nil, rrs(t, "www.zone.example. 60 IN NS ns.example.")
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreet(t)
			m := s.child.Answer(tc.asked, dns.TypeA)
			tc.change(m)
			served := &rollover.KeyVersion{Keys: []rollover.DNSKEY{s.child.Key.Ours()}}
			if tc.keyless {
				served.Keys = nil
			}
			d := newDataReader(rollover.Question{Zone: zone, Keys: []rollover.DNSKEY{s.child.Key.Ours()}}, served, now, nil)
			if err := d.read(inquiry{"it", tc.asked, dns.TypeA}, m); err != nil {
				t.Fatal(err)
			}
			same(t, "denials", len(d.denials), tc.expect)
			if tc.expect > 0 && (d.denials[0].On != "it" || !strings.HasPrefix(d.denials[0].Fault, "no proof that none.zone.example. does not exist")) {
				t.Errorf("got %+v", d.denials)
			}
		})
	}
}

// More sets than are looked at are an error, of each sort of answer.
func TestTooManySets(t *testing.T) {
	m := replyTo(direct(zone, dns.TypeSOA))
	for i := range chain.MaxSets + 1 {
		m.Answer = append(m.Answer, rr(t, strings.Repeat("a", i%60+1)+strings.Repeat("b", i/60)+".zone.example. 1 IN A 192.0.2.1"))
	}
	_, keys := readKeys(zone, m, now, nil)
	_, ds := readDS(zone, m)
	data := newDataReader(rollover.Question{Zone: zone}, nil, now, nil).read(inquiry{"x", zone, dns.TypeA}, m)
	for what, err := range map[string]error{"DNSKEY": keys, "DS": ds, "data": data} {
		if err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if v := readValidator(zone, m, rollover.ValidatorSighting{}); !strings.Contains(v.Unknown, "more than") {
		t.Errorf("validator: %+v", v)
	}
}

func TestSooner(t *testing.T) {
	var none time.Time
	later := now.Add(time.Hour)
	for _, tc := range []struct{ a, b, expect time.Time }{{none, now, now}, {now, none, now}, {none, none, none}, {now, later, now}, {later, now, now}} {
		same(t, "the sooner", sooner(tc.a, tc.b), tc.expect)
	}
}

// A made-up name must fit: a label of 63 octets, and into a name.
func TestNamed(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	long := x(63) + "." + x(63) + "." + x(63) + "."
	for _, tc := range []struct {
		label, name string
		ok          bool
	}{{x(63), zone, true}, {x(64), zone, false}, {x(61), long, true}, {x(62), long, false}, {"a", ".", true}} {
		if _, ok := named(tc.label, tc.name); ok != tc.ok {
			t.Errorf("%d octets before %d: %v", len(tc.label), len(tc.name), ok)
		}
	}
	if first, second := randomHex(), randomHex(); first == second {
		t.Error("the same name twice")
	}
	if got, ok := justBefore(zone, `a\.b.zone.example.`); ok {
		t.Errorf("before a name with an escape: %s", got)
	}
}
