package parent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// firstDS is a change that asks for the first DS of a zone with one key.
func firstDS(t *testing.T, by signer, server string) rollover.Change {
	set := []rollover.DS{dsOf(t, by.Key)}
	return rollover.Change{
		CDS: true, Zone: zone, Keys: []rollover.Key{by.Key}, Digests: []uint8{2}, Add: set, Set: set,
		Servers: []rollover.Server{{Role: rollover.RoleChild, Name: "ns1", Address: server}},
	}
}

func publisher(t *testing.T, changed bool) *CDS {
	return &CDS{
		CDNSKEY: true, Ask: eyes(t).Ask, ProvenBy: inside,
		Publish: func(context.Context, string, []uint8, bool) (bool, error) { return changed, nil },
		Show:    func(context.Context, string) error { return errors.New("it is down") },
	}
}

// inside is a zone whose name server has its name inside it.
func inside(_ context.Context, _, name string, _ []rollover.DNSKEY, _ uint16) ([]dns.RR, error) {
	return []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: name}, Ns: "ns1." + name}}, nil
}

// A server's records count if they are the zone's own, of an authority, and
// signed now by a key that counts; else the parent is not told.
func TestRecordsThatTheParentCannotTake(t *testing.T) {
	by := newSigner(t)
	good := func(reply *dns.Msg, owner string) {
		reply.Answer = []dns.RR{rr(t, owner+" 60 IN CDS "+dsOf(t, by.Key).String())}
		if reply.Question[0].Qtype == dns.TypeCDNSKEY {
			reply.Answer = []dns.RR{rr(t, owner+" 60 IN CDNSKEY "+by.Key.DNSKEY().String())}
		}
		reply.Answer = append(reply.Answer, by.sign(t, reply.Answer))
	}
	late := func(reply *dns.Msg) {
		sig := reply.Answer[1].(*dns.RRSIG)
		sig.Expiration = uint32(time.Now().Add(-time.Minute).Unix())
		if err := sig.Sign(by.private, reply.Answer[:1]); err != nil {
			t.Error(err)
		}
	}
	onlyKeys := func(spoil func(*dns.Msg)) func(*dns.Msg) {
		return func(reply *dns.Msg) {
			if reply.Question[0].Qtype == dns.TypeCDNSKEY {
				spoil(reply)
			}
		}
	}
	for _, c := range []struct {
		name, owner string
		spoil       func(*dns.Msg)
		state       rollover.SubmissionState
		says        string
	}{
		{"good", zone, func(*dns.Msg) {}, rollover.SubmissionAccepted, "1 servers serve the CDS records; no signalling"},
		{"of a name below", "www." + zone, func(*dns.Msg) {}, rollover.SubmissionLater, "they are those of www." + zone},
		{"refused", zone, func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, rollover.SubmissionLater, "it answers REFUSED, authoritative true"},
		{"from a cache", zone, func(m *dns.Msg) { m.Authoritative = false }, rollover.SubmissionLater, "it answers NOERROR, authoritative false"},
		{"expired", zone, late, rollover.SubmissionLater, "serves no CDS records that the parent can take: they are not signed by a key"},
		{"CDNSKEY expired", zone, onlyKeys(late), rollover.SubmissionLater, "serves no CDNSKEY records that the parent can take: they are not signed by a key"},
		{"no CDNSKEY", zone, onlyKeys(func(m *dns.Msg) { m.Answer = nil }), rollover.SubmissionLater, "serves no CDNSKEY records that the parent can take: there are none"},
	} {
		n := serve(t, nil, func(m, reply *dns.Msg) {
			if q := m.Question[0].Qtype; q != dns.TypeCDS && q != dns.TypeCDNSKEY {
				return
			}
			if opt := m.IsEdns0(); m.RecursionDesired || opt == nil || !opt.Do() || opt.UDPSize() != 1232 {
				t.Errorf("%s: the question is %v", c.name, m)
			}
			good(reply, c.owner)
			c.spoil(reply)
		})
		for _, changed := range []bool{false, true} {
			a := publisher(t, changed).Submit(context.Background(), firstDS(t, by, n.address))
			if a.State != c.state || !strings.Contains(a.Text, c.says) {
				t.Errorf("%s: %+v, expected %s with %q", c.name, a, c.state, c.says)
			}
			if again := strings.HasSuffix(a.Text, "; and they cannot be shown again: it is down"); again != (!changed && c.state != rollover.SubmissionAccepted) {
				t.Errorf("%s, changed %v: shown again: %v", c.name, changed, again)
			}
		}
	}
}

// What others have put at the parent may be in the CDS set, and need not; what
// leaves may be there still.
func TestWhatMustBeServed(t *testing.T) {
	one, two, other := newSigner(t).Key, newSigner(t).Key, newSigner(t).Key
	a, b, foreign := dsOf(t, one), dsOf(t, two), dsOf(t, other)
	broken := rollover.Key{Flags: 257, Algorithm: 13, PublicKey: "!"}
	c := rollover.Change{Zone: zone, Keys: []rollover.Key{one, two, broken}, Digests: []uint8{2, 99}, Add: []rollover.DS{a}, Set: []rollover.DS{a, b, foreign}}
	want := expectation{cds: []string{a.String()}, cdnskey: []string{one.DNSKEY().String()}, leaving: []string{deleteCDS, b.String()}, foreign: []string{foreign.String()}}
	got := wanted(c)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, expected %+v", got, want)
	}
	twice := c
	twice.Digests, twice.Add = []uint8{2, 4}, append(c.Add, strong(t, one))
	if got := wanted(twice); len(got.cds) != 2 || len(got.cdnskey) != 1 {
		t.Errorf("two digests of one key: %+v", got)
	}
	if got := allOf(c); !slices.Equal(got, []string{a.String(), strong(t, one).String(), b.String(), strong(t, two).String()}) {
		t.Errorf("all are %q", got)
	}
	alone := want
	alone.foreign = nil
	key, alien := one.DNSKEY().String(), other.DNSKEY().String()
	for _, x := range []struct {
		name         string
		e            expectation
		cds, cdnskey []string
		both         bool
		says         string
	}{
		{"all", alone, alone.cds, []string{key}, true, ""},
		{"all and the foreign one", want, append(want.cds, foreign.String()), []string{key, alien}, true, ""},
		{"all without the foreign one", want, want.cds, []string{key}, true, ""},
		{"without CDNSKEY, which is not used", alone, alone.cds, nil, false, ""},
		{"without CDNSKEY", alone, alone.cds, nil, true, "CDNSKEY records of the same keys"},
		{"with another CDNSKEY", alone, alone.cds, []string{key, alien}, true, "CDNSKEY records of the same keys"},
		{"without CDS", alone, nil, []string{key}, true, "does not serve CDS " + a.String() + " yet"},
		{"with what leaves", alone, []string{a.String(), b.String()}, []string{key}, true, "still serves CDS " + b.String()},
	} {
		if err := x.e.lacking(x.cds, x.cdnskey, x.both); (err == nil) != (x.says == "") || err != nil && !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v, expected %q", x.name, err, x.says)
		}
	}
}

func strong(t *testing.T, k rollover.Key) rollover.DS {
	t.Helper()
	d, err := k.DNSKEY().DS(zone, 4)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Which keys a parent can check a signature with: those that its DS name, those
// of a first DS where it has none, and any where none is to go.
func TestKeysThatAParentTrusts(t *testing.T) {
	key, another := newSigner(t).Key, newSigner(t).Key
	own, other := []rollover.DS{dsOf(t, key)}, []rollover.DS{dsOf(t, another)}
	foreign := []rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("0", 64)}}
	for name, c := range map[string]struct {
		change         rollover.Change
		first, trusted bool
	}{
		"first":                            {rollover.Change{Add: own, Set: own}, true, true},
		"first of another":                 {rollover.Change{Add: other, Set: other}, true, false},
		"beside a foreign one":             {rollover.Change{Add: own, Set: slices.Concat(own, foreign)}, false, false},
		"beside one that stays":            {rollover.Change{Add: other, Keep: own, Set: slices.Concat(own, other)}, false, true},
		"in the place of one":              {rollover.Change{Add: own, Remove: other, Set: own}, false, false},
		"in the place of this one":         {rollover.Change{Add: other, Remove: own, Set: other}, false, true},
		"none, and there is none":          {rollover.Change{Delete: true}, false, true},
		"none, of no removal":              {rollover.Change{}, false, false},
		"none, where this one is":          {rollover.Change{Delete: true, Remove: own}, false, true},
		"none, where another is":           {rollover.Change{Delete: true, Remove: other}, false, false},
		"the last one stays, with nothing": {rollover.Change{Keep: other, Set: other}, false, false},
	} {
		c.change.Zone = zone
		if first(c.change) != c.first || trusted(c.change, key) != c.trusted {
			t.Errorf("%s: first %v, trusted %v", name, first(c.change), trusted(c.change, key))
		}
	}
	for _, digestType := range []uint8{1, 2, 4} {
		d, err := key.DNSKEY().DS(zone, digestType)
		if err != nil || !pointed(rollover.Change{Zone: zone}, key, []rollover.DS{d}) {
			t.Errorf("digest type %d does not point: %v", digestType, err)
		}
	}
	if pointed(rollover.Change{Zone: zone}, rollover.Key{PublicKey: "!"}, []rollover.DS{{}}) {
		t.Error("a key that has no DS is pointed at")
	}
}

func TestTimeOuts(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: defaultTimeout, time.Second: time.Second} {
		if got := timeoutOf(given); got != want {
			t.Errorf("%s: %s", given, got)
		}
	}
	n := serve(t, nil, func(*dns.Msg, *dns.Msg) {})
	if _, err := (&Nsupdate{Server: n.address, Ask: eyes(t).AskSigned}).exchange(context.Background(), new(dns.Msg).SetQuestion("a.", dns.TypeSOA), nil); err != nil {
		t.Errorf("with the default: %v", err)
	}
}

// Whatever becomes of a NOTIFY is told.
func TestWhatIsToldOfANotify(t *testing.T) {
	n := serve(t, nil, nil)
	var address string
	var dsyncCode, notifyCode, aCode int
	answer := func(m, reply *dns.Msg) {
		_, text, _ := net.SplitHostPort(n.address)
		port, _ := strconv.Atoi(text)
		switch q := m.Question[0]; {
		case q.Qtype == typeDSYNC:
			if opt := m.IsEdns0(); !m.RecursionDesired || opt == nil || !opt.Do() {
				t.Errorf("the question is %v", m)
			}
			if reply.Rcode = dsyncCode; dsyncCode == dns.RcodeSuccess {
				reply.Answer = []dns.RR{rr(t, q.Name+" 60 IN TYPE66 "+dsyncData(t, dns.TypeCDS, 1, port, "listener.example."))}
			}
		case m.Opcode == dns.OpcodeNotify:
			reply.Rcode = notifyCode
		case q.Qtype == dns.TypeA:
			reply.Rcode = aCode
			for _, a := range strings.Fields(address) {
				reply.Answer = append(reply.Answer, rr(t, q.Name+" 60 IN A "+a))
			}
		case q.Qtype == dns.TypeAAAA:
			reply.Rcode = dns.RcodeNotImplemented
		}
	}
	n.set(func() { n.answer = answer })
	_, port, _ := net.SplitHostPort(n.address)
	for _, c := range []struct {
		off                bool
		dsync, notify, ask int
		address, says      string
	}{
		{off: true, says: "the parent must poll them"},
		{address: "127.0.0.1", says: "NOTIFY(CDS) sent to listener.example:" + port},
		{address: "127.255.255.254 127.0.0.1", says: "NOTIFY(CDS) sent to listener.example:" + port},
		{dsync: dns.RcodeServerFailure, says: "the parent must poll them: looking for its DSYNC records failed: asking for child._dsync.example. TYPE66: " + n.address + " answers SERVFAIL"},
		{dsync: dns.RcodeNameError, says: "the parent must poll them: it has no DSYNC record"},
		{address: "127.0.0.1", notify: dns.RcodeRefused, says: "NOTIFY(CDS) to listener.example:" + port + " failed: 127.0.0.1 answers REFUSED"},
		{address: "", says: "NOTIFY(CDS) to listener.example:" + port + " failed: asking for listener.example. AAAA: " + n.address + " answers NOTIMP"},
		{ask: dns.RcodeServerFailure, says: "NOTIFY(CDS) to listener.example:" + port + " failed: asking for listener.example. AAAA: " + n.address + " answers NOTIMP"},
	} {
		n.set(func() { address, dsyncCode, notifyCode, aCode = c.address, c.dsync, c.notify, c.ask })
		ask := eyes(t).Ask
		d := &CDS{Notify: !c.off, Resolvers: []string{n.address}, Ask: ask, Proven: trusting(ask, n.address), Private: loopback()}
		if got := d.tell(context.Background(), zone); got != c.says {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// A resolver that fails is no answer; the next one is asked.
func TestResolversThatFail(t *testing.T) {
	codes := map[string]int{"a.": dns.RcodeServerFailure, "b.": dns.RcodeNameError}
	bad := serve(t, nil, func(m, reply *dns.Msg) { reply.Rcode = codes[m.Question[0].Name] })
	good := serve(t, nil, func(m, reply *dns.Msg) {
		if m.Question[0].Qtype == dns.TypeAAAA {
			reply.Answer = []dns.RR{rr(t, m.Question[0].Name+" 60 IN AAAA ::1")}
		}
	})
	ask := func(name string, servers ...string) (string, error) {
		answer, err := resolver{eyes(t).Ask, servers}.ask(context.Background(), name, dns.TypeAAAA)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(rcode(answer.Rcode), len(answer.Answer)), nil
	}
	for _, c := range []struct {
		name    string
		servers []string
		want    string
		fails   string
	}{
		{"a.", []string{bad.address, good.address}, "NOERROR1", ""},
		{"b.", []string{bad.address, good.address}, "NXDOMAIN0", ""},
		{"a.", []string{bad.address}, "", "asking for a. AAAA: " + bad.address + " answers SERVFAIL"},
		{"a.", nil, "", "asking for a. AAAA: no resolver is configured"},
	} {
		if got, err := ask(c.name, c.servers...); got != c.want || (err == nil) != (c.fails == "") || err != nil && err.Error() != c.fails {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
	d := &CDS{Ask: eyes(t).Ask, Resolvers: []string{good.address}}
	if got, err := d.addresses(context.Background(), "a."); err != nil || fmt.Sprint(got) != "[::1]" {
		t.Errorf("%v, %v", got, err)
	}
	none := &CDS{Ask: d.Ask, Resolvers: []string{bad.address}}
	if err := none.notify(context.Background(), zone, endpoint{"b.", 53}); err == nil || err.Error() != "b. has no address" {
		t.Errorf("without an address: %v", err)
	}
	if err := none.notify(context.Background(), zone, endpoint{"a.", 53}); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("with a resolver that fails: %v", err)
	}
	if got := rcode(3841); got != "RCODE 3841" {
		t.Error(got)
	}
}

// Where to look for DSYNC records next (RFC 9859 section 4.1).
func TestWhereToLookFurther(t *testing.T) {
	labels := []string{"a", "b", "example"}
	for _, c := range []struct {
		cut  int
		apex string
		want string
	}{
		{1, "example.", "[a b example] 2 true"},
		{1, "b.example.", "[b example] 0 true"},
		{1, "", "[b example] 0 true"},
		{1, "other.", "[b example] 0 true"},
		{2, "example.", "[example] 0 true"},
		{0, "example.", "[] 0 false"},
	} {
		next, at, more := further(labels, c.cut, c.apex)
		if got := fmt.Sprint(next, at, more); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	n := serve(t, nil, func(_, reply *dns.Msg) {
		reply.Rcode = dns.RcodeNameError
		reply.Ns = []dns.RR{rr(t, "x. 60 IN NS ns."), rr(t, "b.example. 60 IN SOA ns. host. 1 2 3 4 5")}
	})
	ask := eyes(t).Ask
	d := &CDS{Ask: ask, Proven: trusting(ask, n.address)}
	if found, err := d.endpoints(context.Background(), "a.b.example."); len(found) > 0 || err != nil || n.questions() != "a._dsync.b.example. TYPE66, _dsync.b.example. TYPE66" {
		t.Errorf("%v, %v, asked %s", found, err, n.questions())
	}
	if found, err := (&CDS{}).endpoints(context.Background(), "example."); len(found) > 0 || err != nil {
		t.Errorf("for a top level domain: %v, %v", found, err)
	}
}

// A DSYNC record that is not for CDS by NOTIFY, or names no host, is none.
func TestDSYNCRecords(t *testing.T) {
	record := func(data string) *dns.RFC3597 {
		return &dns.RFC3597{Hdr: dns.RR_Header{Rrtype: typeDSYNC}, Rdata: data}
	}
	data := func(port uint16, target string) string {
		name := make([]byte, 255)
		end, err := dns.PackDomainName(target, name, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		return "003b01" + fmt.Sprintf("%04x", port) + hex.EncodeToString(name[:end])
	}
	other := record(data(53, "host.example."))
	other.Hdr.Rrtype = 67
	for name, c := range map[string]struct {
		rr   dns.RR
		want string
	}{
		"good":            {record(data(53, "Host.example.")), "[host.example:53]"},
		"another type":    {other, "[]"},
		"no such record":  {rr(t, "a. 1 IN A 192.0.2.1"), "[]"},
		"empty":           {record(""), "[]"},
		"without target":  {record("003b010035"), "[]"},
		"half a target":   {record("003b0100350461"), "[]"},
		"not hexadecimal": {record(data(53, "host.example.") + "zz"), "[]"},
		"port 0":          {record(data(0, "host.example.")), "[]"},
		"the root":        {record(data(53, ".")), "[]"},
		"no host name":    {record(data(53, `ho\032st.example.`)), "[]"},
	} {
		if got := fmt.Sprint(dsync([]dns.RR{c.rr})); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestKeysOfEveryAlgorithm(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{`key "x" { algorithm hmac-sha224; secret "AAAA"; };`, ""},
		{`key "x" { algorithm hmac-sha256; secret "AAAA"; };`, ""},
		{`key "x" { algorithm hmac-sha384; secret "AAAA"; };`, ""},
		{`key "x" { algorithm hmac-sha512; secret "AAAA"; };`, ""},
		{`key "x" { algorithm hmac-sha1; secret "AAAA"; };`, "not one of"},
		{`key "x" { algorithm hmac-sha256; };`, "not a TSIG key"},
		{`key { algorithm hmac-sha256; secret "AAAA"; };`, "not a TSIG key"},
	} {
		if _, err := ParseKey([]byte(c.text)); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// Only a signed answer with success is a success; what a retry may mend is
// tried again.
func TestWhatAPrimarySays(t *testing.T) {
	tsig := func(code uint16) []dns.RR {
		return []dns.RR{&dns.TSIG{Hdr: dns.RR_Header{Name: "update.", Rrtype: dns.TypeTSIG}, Error: code}}
	}
	for _, c := range []struct {
		rcode  int
		extra  []dns.RR
		gaveUp bool
		says   string
	}{
		{dns.RcodeSuccess, tsig(0), false, "updated at p, zone example."},
		{dns.RcodeSuccess, nil, true, "is not signed with the TSIG key"},
		{dns.RcodeSuccess, tsig(dns.RcodeBadTime), true, "BADTIME: the TSIG key does not fit, or a clock is wrong"},
		{dns.RcodeNotAuth, tsig(dns.RcodeBadKey), true, "BADKEY: the TSIG key does not fit, or a clock is wrong"},
		{dns.RcodeNXRrset, tsig(0), true, "it has no delegation (NS records) of this name"},
		{dns.RcodeServerFailure, tsig(0), false, "p, zone example. answers SERVFAIL"},
		{dns.RcodeServerFailure, nil, false, "p, zone example. answers SERVFAIL"},
		{dns.RcodeRefused, tsig(0), true, "refused by p, zone example.: REFUSED"},
	} {
		m := &dns.Msg{Extra: c.extra}
		m.Rcode = c.rcode
		said, err := (&Nsupdate{Server: "p"}).judge(m, "example.")
		if said != "" && err != nil || !strings.Contains(said+fmt.Sprint(err), c.says) || errors.Is(err, errGaveUp) != c.gaveUp {
			t.Errorf("%+v: %q, %v", c, said, err)
		}
	}
}

// The TTL of the DS set is the one that it has, of the very set.
func TestTTLOfAnUpdate(t *testing.T) {
	ds := " IN DS 1 13 2 " + strings.Repeat("0", 64)
	for _, c := range []struct {
		given   uint32
		records []string
		want    uint32
	}{
		{0, nil, 3600},
		{60, nil, 60},
		{60, []string{"CHILD.example. 77" + ds}, 77},
		{60, []string{"other.example. 77" + ds, zone + " 77 CH DS 1 13 2 00", zone + " 77 IN TXT x"}, 60},
	} {
		m := new(dns.Msg)
		for _, text := range c.records {
			m.Answer = append(m.Answer, rr(t, text))
		}
		if got := (&Nsupdate{TTL: c.given}).ttlOf(m, zone); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	soa := rr(t, zone+" 60 IN SOA ns. host. 1 2 3 4 5")
	for _, authority := range []bool{true, false} {
		m := &dns.Msg{Answer: []dns.RR{soa}}
		m.Authoritative = authority
		if isApex(m, zone) != authority || isApex(m, "example.") {
			t.Errorf("authority %v: it serves the zone: %v", authority, isApex(m, zone))
		}
	}
}

func TestPortsOfServers(t *testing.T) {
	for given, want := range map[string]string{"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5300": "192.0.2.1:5300", "2001:db8::1": "[2001:db8::1]:53", "[2001:db8::1]": "[2001:db8::1]:53", "[2001:db8::1]:5300": "[2001:db8::1]:5300", "ns.example": "ns.example:53"} {
		if got := withPort(given); got != want {
			t.Errorf("%s: %s", given, got)
		}
	}
}

// A DS that is none is sent by nobody, and a parent zone that is configured is
// not looked for.
func TestUpdatesThatAreNotSent(t *testing.T) {
	var last *dns.Msg
	rcode := dns.RcodeSuccess
	key := newSigner(t).Key
	p := primary(t, key, &rcode, &last)
	n := driver(p.address)
	bad := []rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: "("}}
	for _, c := range []rollover.Change{{Zone: zone, Add: bad}, {Zone: zone, Remove: bad}} {
		if a := n.Submit(context.Background(), c); a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "reading the DS record") || last != nil {
			t.Errorf("%+v, sent %v", a, last)
		}
	}
	n.Zone = "example."
	before := strings.Count(p.questions(), "SOA")
	a := n.Submit(context.Background(), rollover.Change{Zone: zone, Add: []rollover.DS{dsOf(t, key)}})
	if a.State != rollover.SubmissionAccepted || strings.Count(p.questions(), "SOA") != before+1 { // of the update itself
		t.Errorf("%+v, asked %s", a, p.questions())
	}
}

// An answer that cannot be believed is no success, whatever it says.
func TestAnswersOfAPrimaryThatAreNotBelieved(t *testing.T) {
	key := newSigner(t).Key
	var updates int
	var wrongID bool
	n := driver(serve(t, map[string]string{"update.": "b3RoZXIgc2VjcmV0"}, func(m, reply *dns.Msg) {
		switch {
		case m.Opcode == dns.OpcodeUpdate:
			updates++
			reply.SetTsig("update.", dns.HmacSHA256, fudge, time.Now().Unix()) // with another secret
		case m.Question[0].Qtype == dns.TypeDS && wrongID:
			reply.Id++
		}
	}).address)
	n.Zone = "example."
	c := rollover.Change{Zone: zone, Add: []rollover.DS{dsOf(t, key)}}
	if a := n.Submit(context.Background(), c); a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "has no good TSIG signature") || updates != 1 {
		t.Errorf("with another secret: %+v after %d updates", a, updates)
	}
	wrongID = true
	if a := n.Submit(context.Background(), c); a.State != rollover.SubmissionLater || !strings.Contains(a.Text, "asking ") || updates != 1 {
		t.Errorf("without the TTL of the DS set: %+v after %d updates", a, updates)
	}
	notAuth, other := new(dns.Msg), new(dns.Msg)
	notAuth.Rcode = dns.RcodeNotAuth
	for _, c := range []struct {
		answer *dns.Msg
		err    error
		gaveUp bool
	}{
		{nil, dns.ErrSig, true}, {nil, dns.ErrTime, true}, {nil, dns.ErrKeyAlg, true}, {nil, dns.ErrSecret, true},
		{notAuth, dns.ErrId, true}, {other, dns.ErrId, false}, {nil, dns.ErrId, false},
	} {
		if err := n.failed(c.answer, c.err); errors.Is(err, errGaveUp) != c.gaveUp || !errors.Is(err, c.err) {
			t.Errorf("%v with %v: %v", c.err, c.answer, err)
		}
	}
}
