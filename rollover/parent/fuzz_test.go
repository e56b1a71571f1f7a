package parent

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// FuzzParseKey: what is accepted can sign, and was in the text as it is; no
// error and no way of printing has any of the secret in it.
func FuzzParseKey(f *testing.F) {
	f.Add("key \"k\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0c2VjcmV0c2VjcmV0\";\n};\n")
	f.Add("key k. { algorithm HMAC-SHA512; secret c2VjcmV0c2VjcmV0c2VjcmV0; };")
	f.Add("key k { secret \"c2VjcmV0c2VjcmV0c2VjcmV\"; algorithm hmac-md5; };")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey([]byte(text))
		if err != nil {
			if secret := longestWord(text); len(secret) > 16 && strings.Contains(err.Error(), secret) && !strings.Contains(secret, "-") {
				t.Errorf("the error tells the text: %v", err)
			}
			return
		}
		if !strings.Contains(text, k.secret) || k.secret == "" {
			t.Errorf("the secret %q is not in %q", k.secret, text)
		}
		if told := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); len(k.secret) > len(told) || strings.Contains(told, k.secret) && !strings.Contains(k.String(), k.secret) {
			t.Errorf("printing it tells the secret: %s", told)
		}
		m := new(dns.Msg).SetUpdate("example.")
		m.SetTsig(k.name, k.algorithm, 300, 1)
		if _, ok := dns.IsDomainName(k.name); !ok || k.name == "." {
			t.Errorf("%q is no name of a key", k.name)
		}
		if _, _, err := dns.TsigGenerate(m, k.secret, "", false); err != nil {
			t.Errorf("it cannot sign: %v", err)
		}
	})
}

func longestWord(text string) string {
	longest := ""
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\";{}", r) }) {
		if len(word) > len(longest) {
			longest = word
		}
	}
	return longest
}

// FuzzDSYNC: whatever DSYNC records hold, an endpoint is a host name and a port
// that can be asked, and is what the record says.
func FuzzDSYNC(f *testing.F) {
	f.Add([]byte{0, 59, 1, 0, 53, 2, 'n', 's', 0}, true)
	f.Add([]byte{0, 59, 1, 0, 0, 0}, true)
	f.Add([]byte{0, 59, 1, 1, 1, 0xC0, 5}, false)
	f.Fuzz(func(t *testing.T, rdata []byte, packed bool) {
		m := &dns.Msg{Answer: []dns.RR{&dns.RFC3597{
			Hdr: dns.RR_Header{Name: "a._dsync.example.", Rrtype: typeDSYNC, Class: dns.ClassINET, Rdlength: uint16(len(rdata))}, Rdata: hex.EncodeToString(rdata)}}}
		if packed {
			m = travelled(m)
		}
		for _, e := range dsync(m.Answer) {
			host, _, err := net.SplitHostPort(e.String())
			if _, ok := dns.IsDomainName(e.target); !ok || err != nil || host == "" || e.port == 0 || !dns.IsFqdn(e.target) {
				t.Errorf("%x is the endpoint %q: %v", rdata, e, err)
			}
			if e.port != binary.BigEndian.Uint16(rdata[3:]) || binary.BigEndian.Uint16(rdata) != dns.TypeCDS || rdata[2] != schemeNOTIFY {
				t.Errorf("%x is the endpoint %q", rdata, e)
			}
		}
	})
}

// travelled is a message as it comes out of the network; empty if it cannot.
func travelled(m *dns.Msg) *dns.Msg {
	out := new(dns.Msg)
	raw, err := m.Pack()
	if err != nil || out.Unpack(raw) != nil {
		return new(dns.Msg)
	}
	return out
}

// FuzzWithPort: a server always gets exactly one port, and has it already when
// it is asked again.
func FuzzWithPort(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]", "[2001:db8::1]:53", "2001:db8::1", "ns.example.", "ns.example:53", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, server string) {
		at := withPort(server)
		if _, _, err := net.SplitHostPort(at); err == nil && withPort(at) != at {
			t.Errorf("%q is %q, and that is %q", server, at, withPort(at))
		}
	})
}

// fixedKey is the same in every process, as the worker of a fuzzer is not the
// process that made the seeds. Its signatures are good until 2080.
func fixedKey() (rollover.Key, ed25519.PrivateKey) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
	key := rollover.Key{ID: 1, Flags: rollover.FlagsKSK, Algorithm: dns.ED25519, PublicKey: public, Role: rollover.KSK}
	key.Tag = key.DNSKEY().Tag()
	return key, private
}

// signedBy is an answer of records with their signature by the fixed key.
func signedBy(f *testing.F, texts ...string) *dns.Msg {
	f.Helper()
	key, private := fixedKey()
	m := &dns.Msg{}
	for _, text := range texts {
		record, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, record)
	}
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Ttl: 60}, KeyTag: key.Tag, SignerName: zone, Algorithm: key.Algorithm,
		Inception: uint32(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Unix()), Expiration: uint32(time.Date(2080, 1, 1, 0, 0, 0, 0, time.UTC).Unix())}
	if err := sig.Sign(private, m.Answer); err != nil {
		f.Fatal(err)
	}
	m.Answer = append(m.Answer, sig)
	return m
}

func packed(f *testing.F, m *dns.Msg) []byte {
	f.Helper()
	raw, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	return raw
}

// FuzzAnnounced: the text of every CDS and CDNSKEY record is, for a DNS library,
// that record, and none is left out; and a set that counts as signed is one of
// those that the key of the zone did sign for the zone, the whole of it.
func FuzzAnnounced(f *testing.F) {
	key, _ := fixedKey()
	ds, err := key.DNSKEY().DS(zone, 2)
	if err != nil {
		f.Fatal(err)
	}
	genuine := [][]string{
		{ds.String()}, {ds.String(), "1 13 4 00FF"}, {key.DNSKEY().String()}, {deleteCDS}, {deleteCDNSKEY},
	}
	for i, set := range genuine {
		var texts []string
		for _, data := range set {
			texts = append(texts, zone+" 60 IN "+[]string{"CDS ", "CDS ", "CDNSKEY ", "CDS ", "CDNSKEY "}[i]+data)
		}
		f.Add(packed(f, signedBy(f, texts...)))
	}
	f.Add(packed(f, signedBy(f, "below."+zone+" 60 IN CDS "+ds.String()))) // for another name
	half := signedBy(f, zone+" 60 IN CDS 1 13 2 00", zone+" 60 IN CDS 2 13 2 00", zone+" 60 IN CDNSKEY 257 4 15 AAAA")
	f.Add(packed(f, half))
	half.Answer = half.Answer[1:] // without a record that was signed
	f.Add(packed(f, half))
	c := rollover.Change{Zone: zone, Keys: []rollover.Key{key}, Keep: []rollover.DS{ds}, Set: []rollover.DS{ds}, CDS: true}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(dns.Msg)
		if m.Unpack(raw) != nil {
			return
		}
		data, set, signatures := announced(m)
		checkData(t, m, data)
		if len(set) == 0 || signed(c, set, signatures) != nil {
			return
		}
		slices.Sort(data)
		data = slices.Compact(data)
		if !slices.ContainsFunc(genuine, func(g []string) bool { return slices.Equal(sorted(g), data) }) || !strings.EqualFold(set[0].Header().Name, zone) {
			t.Errorf("it counts as signed: %v", set)
		}
	})
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

// checkData: the texts are those of all CDS and CDNSKEY records of the answer,
// as a DNS library reads them. It reads none without a digest or a key.
func checkData(t *testing.T, m *dns.Msg, data []string) {
	t.Helper()
	for _, record := range m.Answer {
		h := record.Header()
		if h.Rrtype != dns.TypeCDS && h.Rrtype != dns.TypeCDNSKEY {
			continue
		}
		if len(data) == 0 {
			t.Errorf("%v was left out", record)
			return
		}
		read, err := dns.NewRR(". IN " + dns.Type(h.Rrtype).String() + " " + data[0])
		if err == nil {
			*read.Header() = *h
			if !bytesEqual(read, record) {
				t.Errorf("%v is told as %q, which is %v", record, data[0], read)
			}
		} else if !strings.HasSuffix(data[0], " ") {
			t.Errorf("%v is told as %q: %v", record, data[0], err)
		}
		data = data[1:]
	}
	if len(data) > 0 {
		t.Errorf("nobody serves %q", data)
	}
}

func bytesEqual(a, b dns.RR) bool {
	return hex.EncodeToString(wire(a)) == hex.EncodeToString(wire(b))
}

func wire(record dns.RR) []byte {
	out := make([]byte, dns.MaxMsgSize)
	n, err := dns.PackRR(record, out, 0, nil, false)
	if err != nil {
		return nil
	}
	return out[:n]
}

// FuzzFurther: whatever zone has the names, the search for DSYNC records goes on to
// another name that is made of the zone's, and ends after three at most: at the
// zone that has them if it is above, else one label up.
func FuzzFurther(f *testing.F) {
	for _, apex := range []string{"example.", ".", "child.example.", "b.a.child.example.", "com.", ""} {
		f.Add(apex, "a.b.child.example.")
	}
	f.Add("", "a.b.")
	f.Fuzz(func(t *testing.T, apex, zone string) {
		zone, err := rollover.ParseZone(zone)
		if err != nil || dns.CountLabel(zone) < 2 {
			return
		}
		if apex, err = rollover.ParseZone(apex); err != nil {
			apex = ""
		}
		var asked []string
		labels, cut, more := dns.SplitDomainName(zone), 1, true
		for more {
			name := dsyncName(labels, cut)
			if slices.Contains(asked, name) || !isDsyncOf(name, zone) || len(asked) == 3 {
				t.Errorf("of %s, %q is asked after %q", zone, name, asked)
				return
			}
			asked = append(asked, name)
			labels, cut, more = further(labels, cut, apex)
		}
		_, above, _ := strings.Cut(zone, ".")
		if apex != "" && apex != zone && dns.IsSubDomain(apex, zone) {
			above = apex
		}
		if last := asked[len(asked)-1]; last != dns.Fqdn(dsyncLabel+"."+strings.TrimSuffix(above, ".")) {
			t.Errorf("of %s below %s, %q is asked last", zone, above, last)
		}
	})
}

// isDsyncOf says whether a name without a label _dsync is the zone, or above it.
func isDsyncOf(name, zone string) bool {
	labels := dns.SplitDomainName(name)
	for i, label := range labels {
		rest := slices.Delete(slices.Clone(labels), i, i+1)
		if label == dsyncLabel && dns.IsSubDomain(dns.Fqdn(strings.Join(rest, ".")), zone) {
			return true
		}
	}
	return false
}

// FuzzPrimary: whatever the primary answers, an update counts as done only if it
// says so and has signed that, may be tried again only after SERVFAIL, and else
// there is a reason; the TTL of the DS set is that of a DS record of the zone, or
// as configured; and a zone is served only by who says it with authority.
func FuzzPrimary(f *testing.F) {
	tsig := &dns.TSIG{Hdr: dns.RR_Header{Name: "k.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: dns.HmacSHA256}
	refused := *tsig
	refused.Error = dns.RcodeBadTime
	for code := range 24 {
		for _, extra := range [][]dns.RR{nil, {tsig}, {&refused}, {&dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}, tsig}} {
			m := &dns.Msg{Extra: extra}
			if m.Rcode = code; code < 16 || len(extra) == 2 {
				f.Add(packed(f, m), zone)
			}
		}
	}
	for _, text := range []string{"child.example. 77 IN DS 1 13 2 00", "other.example. 77 IN DS 1 13 2 00", "Child.Example. 60 IN SOA . . 1 2 3 4 5", "child.example. 77 CH DS 1 13 2 00"} {
		record, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed(f, &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Answer: []dns.RR{record}}), zone)
		f.Add(packed(f, &dns.Msg{Answer: []dns.RR{record}}), zone)
	}
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		m := new(dns.Msg)
		name, err := rollover.ParseZone(name)
		if err != nil || m.Unpack(raw) != nil {
			return
		}
		checkJudgement(t, m)
		n := &Nsupdate{TTL: 4711}
		isOurs := func(record dns.RR, rrtype uint16) bool {
			h := record.Header()
			return h.Rrtype == rrtype && h.Class == dns.ClassINET && dns.CanonicalName(h.Name) == name
		}
		ttl := n.ttlOf(m, name)
		isSet := slices.ContainsFunc(m.Answer, func(record dns.RR) bool { return isOurs(record, dns.TypeDS) })
		of := func(record dns.RR) bool { return isOurs(record, dns.TypeDS) && record.Header().Ttl == ttl }
		if isSet && !slices.ContainsFunc(m.Answer, of) || !isSet && ttl != n.TTL {
			t.Errorf("the TTL is %d in %v", ttl, m)
		}
		served := slices.ContainsFunc(m.Answer, func(record dns.RR) bool { return isOurs(record, dns.TypeSOA) })
		if isApex(m, name) != (served && m.Authoritative) {
			t.Errorf("%s is a zone, or not: %v", name, m)
		}
	})
}

func checkJudgement(t *testing.T, m *dns.Msg) {
	t.Helper()
	n := &Nsupdate{Server: "s"}
	text, err := n.judge(m, zone)
	tsig := m.IsTsig()
	done := m.Rcode == dns.RcodeSuccess && tsig != nil && tsig.Error == dns.RcodeSuccess
	if (err == nil) != done || (text != "") != done {
		t.Errorf("%v counts as %q, %v", m, text, err)
	}
	if err == nil {
		return
	}
	if !errors.Is(err, errGaveUp) && m.Rcode != dns.RcodeServerFailure || strings.HasSuffix(err.Error(), ": ") || strings.Contains(err.Error(), ": :") {
		t.Errorf("%v counts as %v", m, err)
	}
}
