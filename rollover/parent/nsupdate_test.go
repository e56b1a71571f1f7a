package parent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/probe"
)

const secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ="

func keyFile() []byte {
	return fmt.Appendf(nil, "# made by tsig-keygen\nkey \"Update.\" {\n\talgorithm hmac-sha256;\n\tsecret \"%s\";\n};\n", secret)
}

// A key file is read as BIND's tools write it; no error and no formatting tells
// the secret.
func TestParseKey(t *testing.T) {
	k, err := ParseKey(keyFile())
	if err != nil || k.name != "update." || k.algorithm != dns.HmacSHA256 || k.secret != secret {
		t.Fatalf("%v, %v", k, err)
	}
	for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
		if text := fmt.Sprintf(format, k); strings.Contains(text, secret) {
			t.Errorf("%s tells the secret", format)
		}
	}
	for _, c := range []struct{ text, says string }{
		{"", "not a TSIG key"},
		{secret, "not a TSIG key"},
		{"key x { algorithm hmac-md5; secret \"" + secret + "\"; };", "hmac-md5. is not one of"},
		{"key x { algorithm hmac-sha512; secret \"" + secret + "A\"; };", "not base64"},
		{"key x { secret \"" + secret + "\"; };", "not a TSIG key"},
	} {
		if _, err := ParseKey([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v, expected %q", c.text, err, c.says)
		}
	}
}

// primary is a parent's primary: example. with a delegation and one DS, which
// answers updates with a code and keeps the last one.
func primary(t *testing.T, old rollover.Key, rcode *int, last **dns.Msg) *nameServer {
	return serve(t, map[string]string{"update.": secret}, func(m, reply *dns.Msg) {
		switch {
		case m.Opcode == dns.OpcodeUpdate:
			*last, reply.Rcode = m, *rcode
		case m.Question[0].Qtype == dns.TypeSOA && m.Question[0].Name == "example.":
			reply.Answer = []dns.RR{rr(t, "example. 60 IN SOA ns. host. 1 2 3 4 5")}
		case m.Question[0].Qtype == dns.TypeDS && m.Question[0].Name == zone:
			reply.Answer = []dns.RR{rr(t, zone+" 77 IN DS "+dsOf(t, old).String())}
		}
	})
}

func driver(server string) *Nsupdate {
	return &Nsupdate{Ask: new(probe.Client).AskSigned, Server: server, Timeout: 2 * time.Second, Key: func() (*Key, error) { return ParseKey(keyFile()) }}
}

func TestNsupdate(t *testing.T) {
	rcode := dns.RcodeSuccess
	var last *dns.Msg
	oldKey, newKey := newSigner(t).Key, newSigner(t).Key
	n := driver(primary(t, oldKey, &rcode, &last).address)
	c := rollover.Change{Zone: zone, Add: []rollover.DS{dsOf(t, newKey)}, Remove: []rollover.DS{dsOf(t, oldKey)}}
	if a := n.Submit(context.Background(), c); a.State != rollover.SubmissionAccepted {
		t.Fatal(a)
	}
	if last.Question[0].Name != "example." || len(last.Answer) != 1 || last.Answer[0].Header().Rrtype != dns.TypeNS || last.Answer[0].Header().Class != dns.ClassANY || len(last.Ns) != 2 {
		t.Fatalf("update %v", last)
	}
	add, del := last.Ns[0].Header(), last.Ns[1].Header()
	if add.Class != dns.ClassINET || add.Ttl != 77 || del.Class != dns.ClassNONE || add.Name != zone {
		t.Errorf("update %v", last)
	}
	for code, state := range map[int]rollover.SubmissionState{
		dns.RcodeServerFailure: rollover.SubmissionLater,
		dns.RcodeRefused:       rollover.SubmissionFailed,
		dns.RcodeNotAuth:       rollover.SubmissionFailed,
		dns.RcodeNXRrset:       rollover.SubmissionFailed,
	} {
		rcode = code
		if a := n.Submit(context.Background(), c); a.State != state || strings.Contains(a.Text, secret) {
			t.Errorf("%s: %+v, expected %s", dns.RcodeToString[code], a, state)
		}
	}
}

// Without a good key, a server, or a parent zone there, nothing is claimed.
func TestNsupdateThatCannot(t *testing.T) {
	unsigned := serve(t, nil, func(m, reply *dns.Msg) {
		if m.Question[0].Qtype == dns.TypeSOA {
			reply.Answer = []dns.RR{rr(t, m.Question[0].Name+" 60 IN SOA ns. host. 1 2 3 4 5")}
		}
	})
	empty := serve(t, nil, func(*dns.Msg, *dns.Msg) {})
	closed := driver("127.0.0.1:1")
	nokey := driver(empty.address)
	nokey.Key = func() (*Key, error) { return nil, errors.New("the key may be read by others") }
	for name, c := range map[string]struct {
		n     *Nsupdate
		state rollover.SubmissionState
		says  string
	}{
		"unsigned answer": {driver(unsigned.address), rollover.SubmissionFailed, "TSIG"},
		"no parent zone":  {driver(empty.address), rollover.SubmissionFailed, "serves no zone above"},
		"closed port":     {closed, rollover.SubmissionLater, "refused"},
		"no key":          {nokey, rollover.SubmissionFailed, "may be read by others"},
	} {
		a := c.n.Submit(context.Background(), rollover.Change{Zone: zone, Add: []rollover.DS{dsOf(t, newSigner(t).Key)}})
		if a.State != c.state || !strings.Contains(a.Text, c.says) {
			t.Errorf("%s: %+v, expected %s with %q", name, a, c.state, c.says)
		}
	}
}
