package probe

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

func encode(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

func same(t *testing.T, what string, got, expected any) {
	t.Helper()
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("%s:\nexpected %+v\ngot      %+v", what, expected, got)
	}
}

var (
	keysOnly = rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY}}
	dataOnly = rollover.Question{Records: []rollover.Record{rollover.RecordData}, Samples: []rollover.Sample{
		{Name: "www.zone.example.", Type: "A"}, {Name: "WWW.zone.example", Type: "TXT"},
	}}
)

func TestDNSKEY(t *testing.T) {
	z := newZone(t)
	got := look(t, z.serve(t), keysOnly)
	same(t, "unknown", got.Unknown, "")
	same(t, "data", got.Data, (*rollover.DataVersion)(nil))
	same(t, "version", *got.DNSKEY, rollover.KeyVersion{
		Keys: []rollover.DNSKEY{z.ksk.Ours(), z.zsk.Ours()}, Signers: []rollover.DNSKEY{z.ksk.Ours()}, TTL: 3600, Expires: now.Add(time.Hour),
	})
}

func TestDNSKEYFaults(t *testing.T) {
	day := 24 * time.Hour
	cases := map[string]struct {
		change func(z *fakeZone, m *dns.Msg)
		faults []string // "who: why"
		signer bool
	}{
		"unsigned": {func(_ *fakeZone, m *dns.Msg) { m.Answer = m.Answer[:2] }, []string{": unsigned"}, false},
		"expired": {func(z *fakeZone, m *dns.Msg) {
			m.Answer[2] = z.ksk.Sign(t, m.Answer[:2], between(now.Add(-2*day), now.Add(-day)))
		}, []string{"ksk: expired at 2026-02-28T12:00:00Z"}, false},
		"a key more":   {func(z *fakeZone, m *dns.Msg) { m.Answer = append(m.Answer, newKey(t, zone, 257, 13, 256).DNSKEY) }, []string{"ksk: does not verify"}, false},
		"unknown key":  {func(z *fakeZone, m *dns.Msg) { m.Answer = append(m.Answer, stranger(z.ksk.Sign(t, m.Answer[:2]))) }, []string{"1: no such key"}, true},
		"Ed448 beside": {func(z *fakeZone, m *dns.Msg) { m.Answer = append(m.Answer, ed448(z.ksk.Sign(t, m.Answer[:2]))) }, []string{"ksk: algorithm 16 cannot be checked here"}, true},
		"larger TTL":   {func(z *fakeZone, m *dns.Msg) { m.Answer[0].(*dns.DNSKEY).Hdr.Ttl = 1 }, nil, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			z := newZone(t)
			z.change = func(q dns.Question, m *dns.Msg) {
				for i := range m.Answer {
					m.Answer[i] = dns.Copy(m.Answer[i])
				}
				tc.change(z, m)
			}
			got := look(t, z.serve(t), keysOnly)
			if got.Unknown != "" {
				t.Fatalf("unknown: %s", got.Unknown)
			}
			var faults []string
			for _, f := range got.DNSKEY.Faults {
				who := fmt.Sprint(f.Tag)
				switch f.Tag {
				case 0:
					who = ""
				case z.ksk.KeyTag():
					who = "ksk"
				}
				same(t, "on", f.On, "zone.example. DNSKEY")
				faults = append(faults, who+": "+f.Fault)
			}
			same(t, "faults", faults, tc.faults)
			same(t, "signed by the KSK", slices.Contains(got.DNSKEY.Signers, z.ksk.Ours()), tc.signer)
			same(t, "TTL", got.DNSKEY.TTL, uint32(3600))
		})
	}
}

func stranger(sig *dns.RRSIG) *dns.RRSIG {
	sig.KeyTag = 1
	return sig
}

func ed448(sig *dns.RRSIG) *dns.RRSIG {
	sig.Algorithm = dns.ED448
	return sig
}

// TTLs: the larger of record and original TTL counts, whichever it is.
func TestTTLs(t *testing.T) {
	for _, ttl := range []uint32{1, 86400} {
		z := newZone(t)
		z.change = func(_ dns.Question, m *dns.Msg) {
			for i := range m.Answer {
				m.Answer[i] = dns.Copy(m.Answer[i])
				m.Answer[i].Header().Ttl = ttl
			}
		}
		got := look(t, z.serve(t), rollover.Question{Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}})
		same(t, "TTL of DNSKEY", got.DNSKEY.TTL, max(ttl, 3600))
		same(t, "TTL of data", got.Data.TTL, max(ttl, 7200))
	}
}

func TestDNSKEYMissing(t *testing.T) {
	z := newZone(t)
	z.put(dns.TypeDNSKEY, zone, nil, rrs(t, "zone.example. 7200 IN SOA ns.zone.example. h.zone.example. 42 1 2 3 300"))
	got := look(t, z.serve(t), keysOnly)
	same(t, "unknown", got.Unknown, "")
	same(t, "version", *got.DNSKEY, rollover.KeyVersion{TTL: 300})
}

func TestKeysOfAnotherProtocolAreNoKeys(t *testing.T) {
	z := newZone(t)
	odd := *z.zsk.DNSKEY
	odd.Protocol = 1
	z.put(dns.TypeDNSKEY, zone, []dns.RR{&odd, z.ksk.DNSKEY}, nil)
	got := look(t, z.serve(t), keysOnly)
	same(t, "keys", got.DNSKEY.Keys, []rollover.DNSKEY{z.ksk.Ours()})
}

func TestData(t *testing.T) {
	z := newZone(t)
	got := look(t, z.serve(t), dataOnly)
	same(t, "unknown", got.Unknown, "")
	same(t, "DNSKEY, which was not asked for", got.DNSKEY, (*rollover.KeyVersion)(nil))
	same(t, "serial", got.Serial, uint32(42))
	same(t, "data", *got.Data, rollover.DataVersion{
		Signers: []rollover.DNSKEY{z.zsk.Ours()}, TTL: 7200, Expires: now.Add(time.Hour),
		Traces: []rollover.Signature{{Tag: z.zsk.KeyTag(), Algorithm: 13}},
	})
}

// Keys of the question count too: the server does not show the key any more
// that made these signatures.
func TestDataSignedByAKeyThatOnlyTheQuestionHas(t *testing.T) {
	z := newZone(t)
	z.put(dns.TypeDNSKEY, zone, []dns.RR{z.ksk.DNSKEY, z.ksk.Sign(t, []dns.RR{z.ksk.DNSKEY})}, nil)
	at := z.serve(t)
	q := dataOnly
	got := look(t, at, q)
	same(t, "signers without it", got.Data.Signers, []rollover.DNSKEY(nil))
	same(t, "traces without it", len(got.Data.Traces), 1)
	same(t, "fault without it", got.Data.Faults[0].Fault, "no such key")
	q.Keys = []rollover.DNSKEY{z.zsk.Ours()}
	got = look(t, at, q)
	same(t, "signers with it", got.Data.Signers, []rollover.DNSKEY{z.zsk.Ours()})
	same(t, "faults with it", got.Data.Faults, []rollover.Signature(nil))
}

// Two keys sign in the middle of a rollover, but not everything yet.
func TestDataSignersAreThoseOfEverySet(t *testing.T) {
	z := newZone(t)
	second := newKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	z.change = func(q dns.Question, m *dns.Msg) {
		if q.Qtype == dns.TypeNS || q.Qtype == dns.TypeSOA {
			m.Answer = append(m.Answer, second.Sign(t, m.Answer[:1]))
		}
	}
	q := dataOnly
	q.Keys = []rollover.DNSKEY{second.Ours()}
	got := look(t, z.serve(t), q)
	same(t, "signers", got.Data.Signers, []rollover.DNSKEY{z.zsk.Ours()})
	same(t, "traces", len(got.Data.Traces), 2)
}

// dataCase spoils the answers of a good zone.
type dataCase struct {
	change func(z *fakeZone, q dns.Question, m *dns.Msg)
	faults []string // "RRset: why"
	signed bool     // the ZSK still counts as a signer of everything
}

func isA(q dns.Question) bool { return q.Name == "www.zone.example." && q.Qtype == dns.TypeA }

func (tc dataCase) run(t *testing.T) {
	z := newZone(t)
	z.change = func(q dns.Question, m *dns.Msg) { tc.change(z, q, m) }
	got := look(t, z.serve(t), dataOnly)
	if got.Data == nil {
		t.Fatalf("unknown: %s", got.Unknown)
	}
	var faults []string
	for _, f := range got.Data.Faults {
		faults = append(faults, f.On+": "+f.Fault)
	}
	same(t, "faults", faults, tc.faults)
	same(t, "signed", slices.Contains(got.Data.Signers, z.zsk.Ours()), tc.signed)
}

func TestSignaturesOnData(t *testing.T) {
	day := 24 * time.Hour
	cases := map[string]dataCase{
		"unsigned and forged": {func(_ *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Answer = rrs(t, "www.zone.example. 60 IN A 192.0.2.66")
			}
		}, []string{"www.zone.example. A: unsigned"}, false},
		"forged under a true signature": {func(_ *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Answer[0] = rr(t, "www.zone.example. 60 IN A 192.0.2.66")
			}
		}, []string{"www.zone.example. A: does not verify"}, false},
		"expired": {func(z *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Answer[1] = z.zsk.Sign(t, m.Answer[:1], between(now.Add(-2*day), now.Add(-day)))
			}
		}, []string{"www.zone.example. A: expired at 2026-02-28T12:00:00Z"}, false},
		"signed by the parent": {func(_ *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Answer[1] = dns.Copy(m.Answer[1])
				m.Answer[1].(*dns.RRSIG).SignerName = "example."
			}
		}, []string{"www.zone.example. A: signer is example., not the zone"}, false},
		"expanded from a wildcard": {func(z *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				_, sig := z.zsk.Expanded(t, "www.zone.example.", "A 192.0.2.1")
				m.Answer[1] = sig
			}
		}, nil, true},
		"CDS, which the KSK signs": {func(z *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				cds := rrs(t, "www.zone.example. 60 IN CDS 1 13 2 AA")
				m.Answer = append(m.Answer, cds[0], z.ksk.Sign(t, cds))
			}
		}, nil, true},
		"the letters of names in any case": {func(z *fakeZone, q dns.Question, m *dns.Msg) {
			for i, record := range m.Answer {
				m.Answer[i] = dns.Copy(record)
				m.Answer[i].Header().Name = strings.ToUpper(record.Header().Name)
			}
		}, nil, true},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// What does not exist must be proven not to (RFC 4035 section 3.1.3).
func TestDenials(t *testing.T) {
	cases := map[string]dataCase{
		"denial without proof": {func(_ *fakeZone, q dns.Question, m *dns.Msg) {
			if q.Qtype == dns.TypeTXT {
				m.Ns = m.Ns[:2]
			}
		}, []string{"www.zone.example. TXT: unsigned"}, false},
		"denial with nothing": {func(_ *fakeZone, q dns.Question, m *dns.Msg) {
			if strings.HasPrefix(q.Name, "_rollover-") {
				m.Ns = nil
			}
		}, []string{"a name that does not exist: unsigned"}, false},
		"denial with an unsigned NSEC": {func(_ *fakeZone, q dns.Question, m *dns.Msg) {
			if q.Qtype == dns.TypeTXT {
				m.Ns = m.Ns[:3]
			}
		}, []string{"www.zone.example. NSEC: unsigned"}, false},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// Not everything in an answer is signed by the zone (RFC 4035 section 2.2).
func TestWhatTheZoneMustSign(t *testing.T) {
	cases := map[string]dataCase{
		"alias made by a DNAME": {func(z *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Answer = append(z.signed("zone.example. 60 IN DNAME other.example."), rr(t, "www.zone.example. 60 IN CNAME www.other.example."))
			}
		}, nil, true},
		"alias that no DNAME made": {func(z *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Answer = rrs(t, "www.zone.example. 60 IN CNAME www.other.example.")
			}
		}, []string{"www.zone.example. CNAME: unsigned"}, false},
		"records of other zones": {func(_ *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Answer = append(m.Answer, rr(t, "www.other.example. 60 IN A 192.0.2.66"))
			}
		}, nil, true},
		"referral to a signed child": {func(z *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Authoritative, m.Answer = false, nil
				m.Ns = append(rrs(t, "www.zone.example. 9 IN NS ns.example."), z.signed("www.zone.example. 9 IN DS 1 13 2 AA")...)
			}
		}, nil, true},
		"referral with an unsigned DS": {func(z *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Authoritative, m.Answer = false, nil
				m.Ns = rrs(t, "www.zone.example. 9 IN NS ns.example.", "www.zone.example. 9 IN DS 1 13 2 AA")
			}
		}, []string{"www.zone.example. DS: unsigned"}, false},
		"a child zone on the same server": {func(_ *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Answer, m.Ns = nil, rrs(t, "www.zone.example. 9 IN SOA a. b. 1 2 3 4 5")
			}
		}, nil, true},
		"a signed child zone on the same server": {func(_ *fakeZone, q dns.Question, m *dns.Msg) {
			if isA(q) {
				m.Answer[1] = dns.Copy(m.Answer[1])
				m.Answer[1].(*dns.RRSIG).SignerName = "www.zone.example."
			}
		}, nil, true},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// One question without a usable answer: the data is unknown, the rest is not.
func TestDataUnknown(t *testing.T) {
	cases := map[string]struct {
		change func(q dns.Question, m *dns.Msg)
		expect string
	}{
		"REFUSED for a sample": {func(q dns.Question, m *dns.Msg) {
			if q.Qtype == dns.TypeTXT {
				m.Rcode = dns.RcodeRefused
			}
		}, "www.zone.example. TXT: REFUSED"},
		"lame for two": {func(q dns.Question, m *dns.Msg) {
			m.Authoritative = q.Qtype != dns.TypeTXT && q.Qtype != dns.TypeNS
		}, "NS: lame: answers without authority (and 1 more of 6 questions)"},
		"SOA of the parent": {func(q dns.Question, m *dns.Msg) {
			if q.Qtype == dns.TypeSOA {
				m.Answer, m.Ns = nil, rrs(t, "example. 1 IN SOA a. b. 1 2 3 4 5")
			}
		}, "SOA: does not serve the zone: NOERROR without the record"},
		"an answer about something else": {func(q dns.Question, m *dns.Msg) {
			if q.Qtype == dns.TypeA && strings.HasPrefix(q.Name, "www") {
				m.Answer = m.Answer[1:]
			}
		}, "www.zone.example. A: the answer has records, but not those asked for"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			z := newZone(t)
			z.change = tc.change
			q := dataOnly
			q.Records = []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}
			got := look(t, z.serve(t), q)
			same(t, "unknown", got.Unknown, tc.expect)
			same(t, "data", got.Data, (*rollover.DataVersion)(nil))
			same(t, "DNSKEY is known", got.DNSKEY != nil, true)
		})
	}
}

func TestDataWithoutDNSKEY(t *testing.T) {
	z := newZone(t)
	z.change = func(q dns.Question, m *dns.Msg) {
		if q.Qtype == dns.TypeDNSKEY {
			m.Rcode = dns.RcodeServerFailure
		}
	}
	got := look(t, z.serve(t), dataOnly)
	same(t, "unknown", got.Unknown, "DNSKEY: SERVFAIL")
	same(t, "serial", got.Serial, uint32(42))
}

func TestInquiries(t *testing.T) {
	q := rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordData}, Samples: []rollover.Sample{
		{Name: "a.zone.example.", Type: "type65280"}, {Name: "b.zone.example.", Type: "NONSENSE"},
		{Name: "zone.example.", Type: "CDS"}, {Name: "elsewhere.example.", Type: "A"},
	}}
	got := inquiries(q, rollover.RoleChild)
	same(t, "number of questions", len(got), 5)
	same(t, "sample", got[4], inquiry{"a.zone.example. TYPE65280", "a.zone.example.", 65280})
	if again := inquiries(q, rollover.RoleChild); again[3].name == got[3].name {
		t.Errorf("%s was asked for twice", got[3].name)
	}
	long := strings.Repeat(strings.Repeat("x", 59)+".", 4)
	if name, ok := randomName(long); ok {
		t.Errorf("%s is too long a name", name)
	}
	if name, ok := randomName("."); !ok || strings.Contains(name, "..") {
		t.Errorf("in the root: %q", name)
	}
}

var dsOnly = rollover.Question{Records: []rollover.Record{rollover.RecordDS}}

func TestDS(t *testing.T) {
	soa := "example. 900 IN SOA a. b. 1 2 3 4 300"
	key := newKey(t, "example.", 256, dns.ECDSAP256SHA256, 256)
	own := newKey(t, zone, 256, dns.ECDSAP256SHA256, 256)
	set := rrs(t, "zone.example. 100 IN DS 2 13 2 abcd", "zone.example. 100 IN DS 1 13 2 EF01", "zone.example. 100 IN DS 2 13 2 ABCD")
	lowered := append([]dns.RR{}, set...)
	for i := range lowered {
		lowered[i] = dns.Copy(lowered[i])
		lowered[i].Header().Ttl = 7
	}
	var many []dns.RR
	for i := range maxDS + 1 {
		many = append(many, rr(t, fmt.Sprintf("zone.example. 1 IN DS %d 13 2 AB", i)))
	}
	two := []rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: "EF01"}, {Tag: 2, Algorithm: 13, DigestType: 2, Digest: "ABCD"}}
	cases := map[string]struct {
		change  func(m *dns.Msg)
		version *rollover.DSVersion
		unknown string
	}{
		"a set":                   {func(m *dns.Msg) { m.Answer = set }, &rollover.DSVersion{Set: two, TTL: 100}, ""},
		"the parent's SOA beside": {func(m *dns.Msg) { m.Answer, m.Ns = set, rrs(t, soa) }, &rollover.DSVersion{Set: two, TTL: 100}, ""},
		"a signed set":            {func(m *dns.Msg) { m.Answer = append(lowered, key.Sign(t, set)) }, &rollover.DSVersion{Set: two, TTL: 100}, ""},
		"NODATA":                  {func(m *dns.Msg) { m.Ns = rrs(t, soa) }, &rollover.DSVersion{TTL: 300, Parent: "example."}, ""},
		"NXDOMAIN":                {func(m *dns.Msg) { m.Ns, m.Rcode = rrs(t, soa), dns.RcodeNameError }, &rollover.DSVersion{TTL: 300, Parent: "example.", NoDS: rollover.AbsentName}, ""},
		"NODATA with a low TTL":   {func(m *dns.Msg) { m.Ns = rrs(t, strings.Replace(soa, "900", "90", 1)) }, &rollover.DSVersion{TTL: 90, Parent: "example."}, ""},
		"NODATA of the child":     {func(m *dns.Msg) { m.Ns = rrs(t, "zone.example. 1 IN SOA a. b. 1 2 3 4 5") }, nil, "answers as the child zone, not as the parent"},
		"NODATA of another zone":  {func(m *dns.Msg) { m.Ns = rrs(t, "other.example. 1 IN SOA a. b. 1 2 3 4 5") }, nil, "answers from the zone other.example."},
		"NODATA without SOA":      {func(m *dns.Msg) {}, nil, "the answer has neither records nor an SOA"},
		"signed by the child":     {func(m *dns.Msg) { m.Answer = append(set, own.Sign(t, set)) }, nil, "answers as the child zone, not as the parent"},
		"the child's SOA beside":  {func(m *dns.Msg) { m.Answer, m.Ns = set, rrs(t, "zone.example. 1 IN SOA a. b. 1 2 3 4 5") }, nil, "answers as the child zone, not as the parent"},
		"a referral":              {func(m *dns.Msg) { m.Authoritative, m.Ns = false, rrs(t, "zone.example. 1 IN NS a.") }, nil, "lame: answers without authority"},
		"an alias":                {func(m *dns.Msg) { m.Answer = rrs(t, "zone.example. 1 IN CNAME a.") }, nil, "the answer has neither records nor an SOA"},
		"DS of another name":      {func(m *dns.Msg) { m.Answer = rrs(t, "other.example. 1 IN DS 1 13 2 AB") }, nil, "the answer has neither records nor an SOA"},
		"of another class":        {func(m *dns.Msg) { m.Answer = rrs(t, "zone.example. 1 CH DS 1 13 2 AB") }, nil, "the answer has neither records nor an SOA"},
		"too many":                {func(m *dns.Msg) { m.Answer = many }, nil, "more than 50 DS records"},
		"REFUSED":                 {func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, nil, "REFUSED"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			at := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
				m := replyTo(query)
				tc.change(m)
				send(t, w, m)
			})
			got := look(t, at, dsOnly)
			same(t, "role", got.Role, rollover.RoleParent)
			same(t, "unknown", got.Unknown, tc.unknown)
			same(t, "version", got.DS, tc.version)
		})
	}
}

func TestTooManyKeys(t *testing.T) {
	z := newZone(t)
	var many []dns.RR
	for i := range chain.MaxKeys + 1 {
		many = append(many, rr(t, fmt.Sprintf("zone.example. 1 IN DNSKEY 256 3 13 %s", encode([]byte{byte(i), 1, 2}))))
	}
	z.put(dns.TypeDNSKEY, zone, many, nil)
	got := look(t, serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		m := z.respond(query)
		if m.Truncated = !isTCP(w); m.Truncated {
			m.Answer = nil
		}
		send(t, w, m)
	}), keysOnly)
	same(t, "unknown", got.Unknown, "more than 64 DNSKEY records")
}

func TestValidators(t *testing.T) {
	ds := rr(t, "zone.example. 100 IN DS 1 13 2 abcd")
	set := []rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: "ABCD"}}
	cases := map[string]struct {
		change func(m *dns.Msg, checkingDisabled bool)
		expect rollover.ValidatorSighting
	}{
		"validated":    {func(m *dns.Msg, _ bool) { m.Answer, m.AuthenticatedData = []dns.RR{ds}, true }, rollover.ValidatorSighting{AD: true, Set: set}},
		"insecure":     {func(m *dns.Msg, _ bool) { m.Answer = []dns.RR{ds} }, rollover.ValidatorSighting{Set: set}},
		"validated no": {func(m *dns.Msg, _ bool) { m.AuthenticatedData = true }, rollover.ValidatorSighting{AD: true}},
		"bogus": {func(m *dns.Msg, cd bool) {
			m.Answer = []dns.RR{ds}
			if !cd {
				m.Answer, m.Rcode = nil, dns.RcodeServerFailure
			}
		}, rollover.ValidatorSighting{Bogus: true}},
		"broken":  {func(m *dns.Msg, _ bool) { m.Rcode = dns.RcodeServerFailure }, rollover.ValidatorSighting{Unknown: "SERVFAIL"}},
		"refuses": {func(m *dns.Msg, _ bool) { m.Rcode = dns.RcodeRefused }, rollover.ValidatorSighting{Unknown: "REFUSED"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			at := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
				if !q.RecursionDesired || !q.AuthenticatedData || !q.IsEdns0().Do() {
					t.Errorf("expected RD, AD and DO, got %v", q)
				}
				m := replyTo(q)
				tc.change(m, q.CheckingDisabled)
				send(t, w, m)
			})
			c := newClient(t)
			c.Validators = []string{at.String()}
			got := c.askValidators(t.Context(), zone)
			tc.expect.Address = at.String()
			same(t, "validators", got, []rollover.ValidatorSighting{tc.expect})
		})
	}
}

func TestValidatorsThatCannotBeAsked(t *testing.T) {
	c := newClient(t)
	c.Validators = []string{"name.example.", "bad name"}
	got := c.askValidators(t.Context(), zone)
	same(t, "validators", got, []rollover.ValidatorSighting{
		{Address: "name.example.", Unknown: "no address found for name.example. (no resolver to ask: set `resolvers` in the configuration)"},
		{Address: "bad name", Unknown: `server "bad name" is neither a host name nor an address, with or without :port`},
	})
}

// FuzzAnswer: whatever the octets, interpreting them neither panics nor takes
// more than the bounded work.
func FuzzAnswer(f *testing.F) {
	z := fixedZone(f)
	for q, m := range z.answers {
		query := direct(q.Name, q.Qtype)
		packet, err := z.respond(query).Pack()
		if err != nil {
			f.Fatal(m, err)
		}
		f.Add(packet)
	}
	parent := replyTo(direct(zone, dns.TypeDS), rr(f, "zone.example. 100 IN DS 1 13 2 abcd"))
	packet, err := parent.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
	q := rollover.Question{Zone: zone, Keys: []rollover.DNSKEY{z.zsk.Ours()}}
	f.Fuzz(func(t *testing.T, packet []byte) {
		m := new(dns.Msg)
		if m.Unpack(packet) != nil || len(m.Question) != 1 {
			return
		}
		query := direct(m.Question[0].Name, m.Question[0].Qtype)
		query.Question[0].Qclass, query.Id = m.Question[0].Qclass, m.Id
		answer, err := parse(packet, query)
		if err != nil {
			return
		}
		interpret(q, answer)
	})
}

func interpret(q rollover.Question, m *dns.Msg) {
	asked := inquiry{"it", dns.CanonicalName(m.Question[0].Name), m.Question[0].Qtype}
	version, _ := readKeys(zone, m, now, nil) // an error is as good as an answer here
	d := newDataReader(q, version, now, nil)
	if d.read(asked, m) == nil {
		d.version()
	}
	if v, err := readDS(zone, m); err == nil && len(v.Set) > maxDS {
		panic("too many DS")
	}
	readValidator(zone, m, rollover.ValidatorSighting{})
	readDelegation(zone, m)
	rcode(m)
}
