package probe

import (
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// FuzzAnswers: whatever comes from the network is either not an answer to the
// question or is interpreted to the end; what counts as signed by a key is, for a
// DNS library, verified by that key; and text from it stays quoted.
func FuzzAnswers(f *testing.F) {
	z := fixedZone(f)
	for _, q := range []struct {
		name   string
		rrtype uint16
	}{{zone, dns.TypeDNSKEY}, {zone, dns.TypeSOA}, {zone, dns.TypeDS}, {"www.zone.example.", dns.TypeA}, {"no.zone.example.", dns.TypeA}} {
		asked := direct(q.name, q.rrtype)
		asked.Id = 4711
		raw, err := z.respond(asked).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, q.name, q.rrtype)
	}
	for _, raw := range spoilt(f, z) {
		f.Add(raw, "www.zone.example.", dns.TypeA)
	}
	keys := []rollover.DNSKEY{z.ksk.Ours(), z.zsk.Ours()}
	f.Fuzz(func(t *testing.T, raw []byte, name string, rrtype uint16) {
		name = dns.CanonicalName(name)
		if _, ok := dns.IsDomainName(name); !ok {
			return
		}
		asked := direct(name, rrtype)
		asked.Id = 4711
		m, err := parse(raw, asked)
		if err != nil {
			return
		}
		if v, err := readKeys(zone, m, now, nil); err == nil {
			checkSigners(t, m, zone, dns.TypeDNSKEY, v.Signers)
			if len(v.Signers) > len(v.Keys) {
				t.Errorf("more signers than keys: %+v", v)
			}
		}
		if v, err := readDS(zone, m); err == nil && len(v.Set) > maxDS {
			t.Errorf("too many DS: %d", len(v.Set))
		}
		d := newDataReader(rollover.Question{Zone: zone, Keys: keys}, nil, now, nil)
		if d.read(inquiry{label: "x", name: name, rrtype: rrtype}, m) == nil {
			checkData(t, m, name, rrtype, d.version().Signers)
		}
		readDelegation(zone, m)
		for _, c := range rcode(m) {
			if c < ' ' || c > '~' {
				t.Errorf("unquoted text: %q", rcode(m))
			}
		}
	})
}

// spoilt is answers to a question for www.zone.example. A: one that was signed
// of another address, one with an address more, one after the signature has
// expired, and two sets of which one is unsigned.
func spoilt(f *testing.F, z *fakeZone) [][]byte {
	f.Helper()
	good := z.signed("www.zone.example. 60 IN A 192.0.2.1")
	other := rr(f, "www.zone.example. 60 IN A 192.0.2.2")
	late := z.zsk.Sign(f, good[:1], between(now.Add(-2*time.Hour), now.Add(-time.Hour)))
	var out [][]byte
	for _, answer := range [][]dns.RR{
		{other, good[1]},
		{good[0], other, good[1]},
		{good[0], late},
		append(z.signed("www.zone.example. 60 IN TXT x"), good[0]),
	} {
		asked := direct("www.zone.example.", dns.TypeA)
		asked.Id = 4711
		raw, err := replyTo(asked, answer...).Pack()
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, raw)
	}
	return out
}

// checkSigners: the set is verified by each of the keys.
func checkSigners(t *testing.T, m *dns.Msg, owner string, rrtype uint16, keys []rollover.DNSKEY) {
	t.Helper()
	set, signatures := setOf(m, owner, rrtype)
	for _, k := range keys {
		if !verifies(k, set, signatures) {
			t.Errorf("%v did not sign %v", k, set)
		}
	}
}

// checkData: what was asked for is verified by each of the keys, unless it is of
// another zone or not to be signed; and so is at least something of the answer.
func checkData(t *testing.T, m *dns.Msg, name string, rrtype uint16, keys []rollover.DNSKEY) {
	t.Helper()
	set, signatures := setOf(m, name, rrtype)
	other := len(signatures) > 0 && !slices.ContainsFunc(signatures, func(s *dns.RRSIG) bool {
		signer := dns.CanonicalName(s.SignerName)
		return signer == zone || !dns.IsSubDomain(zone, signer)
	})
	if len(set) > 0 && dns.IsSubDomain(zone, name) && !ofKeys(rrtype) && rrtype != dns.TypeCNAME && (rrtype != dns.TypeNS || name == zone) && !other {
		checkSigners(t, m, name, rrtype, keys)
	}
	for _, k := range keys {
		if !slices.ContainsFunc(slices.Concat(m.Answer, m.Ns), func(record dns.RR) bool {
			set, signatures := setOf(m, dns.CanonicalName(record.Header().Name), record.Header().Rrtype)
			return verifies(k, set, signatures)
		}) {
			t.Errorf("%v has signed nothing of %v", k, m)
		}
	}
}

// setOf is the records of this owner and type, and what signatures there are of
// them, with the owner in lower case, since the library compares octets.
func setOf(m *dns.Msg, owner string, rrtype uint16) (set []dns.RR, signatures []*dns.RRSIG) {
	for _, record := range slices.Concat(m.Answer, m.Ns) {
		if h := record.Header(); h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != owner {
			continue
		}
		record = dns.Copy(record)
		record.Header().Name = owner
		if sig, ok := record.(*dns.RRSIG); ok && sig.TypeCovered == rrtype {
			signatures = append(signatures, sig)
		} else if !ok && record.Header().Rrtype == rrtype {
			set = append(set, record)
		}
	}
	return set, signatures
}

func verifies(k rollover.DNSKEY, set []dns.RR, signatures []*dns.RRSIG) bool {
	key := &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET}, Flags: k.Flags, Protocol: 3, Algorithm: k.Algorithm, PublicKey: k.PublicKey}
	return slices.ContainsFunc(signatures, func(s *dns.RRSIG) bool { return s.ValidityPeriod(now) && s.Verify(key, set) == nil })
}
