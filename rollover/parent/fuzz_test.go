package parent

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
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
		for _, e := range dsync(m) {
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
