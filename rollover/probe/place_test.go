package probe

import (
	"net"
	"strconv"
	"testing"

	"github.com/miekg/dns"
)

// FuzzParsePlace: what is accepted is one address or one host name with one
// port; written with its port it is the same place, whatever port is usual.
func FuzzParsePlace(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]", "[2001:db8::1]:53", "2001:db8::1", "ns.example.", "NS.example:53", "", ":53", "ns:0", "fe80::1%lo"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlace(text, 53)
		if err != nil {
			return
		}
		host := p.host
		if p.addr.IsValid() == (host != "") || p.port == 0 {
			t.Fatalf("%q is %+v", text, p)
		}
		if host == "" {
			host = p.addr.String()
		} else if _, ok := dns.IsDomainName(host); !ok || dns.CanonicalName(host) != host {
			t.Errorf("%q has the host %q", text, host)
		}
		if again, err := parsePlace(net.JoinHostPort(host, strconv.Itoa(int(p.port))), 1); err != nil || again != p {
			t.Errorf("%q is %+v, which is %+v: %v", text, p, again, err)
		}
	})
}
