package probe

import (
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// FuzzAnswers: whatever comes from the network is either not an answer to the
// question or is interpreted to the end; nothing in it counts as signed by a
// key that did not sign, and text from it stays quoted.
func FuzzAnswers(f *testing.F) {
	z := newZone(f)
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
		if v, err := readKeys(zone, m, now); err == nil && len(v.Signers) > len(v.Keys) {
			t.Errorf("more signers than keys: %+v", v)
		}
		if v, err := readDS(zone, m); err == nil && len(v.Set) > maxDS {
			t.Errorf("too many DS: %d", len(v.Set))
		}
		d := newDataReader(rollover.Question{Zone: zone}, nil, now)
		if err := d.read(inquiry{label: "x", name: name, rrtype: rrtype}, m); err == nil && len(d.version().Signers) > 0 {
			t.Errorf("signed by a key that nobody has: %+v", d.version())
		}
		readDelegation(zone, m)
		for _, c := range rcode(m) {
			if c < ' ' || c > '~' {
				t.Errorf("unquoted text: %q", rcode(m))
			}
		}
	})
}
