package chain

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

var update = flag.Bool("update", false, "write testdata/traces.txt anew")

// fixedWorld is a root, a top-level zone and a zone in that, with the same keys
// in every process.
func fixedWorld(t *testing.T) *world {
	t.Helper()
	root := chaintest.KeyedZone(t, chaintest.FixedKey(".", 257, 1))
	top := chaintest.KeyedZone(t, chaintest.FixedKey("example.", 257, 2))
	child := chaintest.KeyedZone(t, chaintest.FixedKey("zone.example.", 257, 3), "www.zone.example. 60 IN A 192.0.2.1", "alias.zone.example. 60 IN CNAME www.zone.example.", "loop.zone.example. 60 IN CNAME loop.zone.example.", "a.b.zone.example. 60 IN A 192.0.2.1")
	child.Add(chaintest.FixedKey("zone.example.", 256, 4).DNSKEY)
	root.Delegate(top)
	top.Delegate(child)
	top.Add(chaintest.RR(t, "open.example. 3600 IN NS ns.open.example."))
	w := &world{t: t, zones: map[string]*chaintest.Zone{}}
	for _, z := range []*chaintest.Zone{root, top, child} {
		w.zones[z.Name] = z
	}
	return w
}

// told is all that a trace has, a line for each fact. A link that was told before
// is told by its number.
func told(t Trace, before map[string]int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s %s, sound %v: %s\n", t.Name, t.Type, t.Security, t.Code, t.Sound(), t.Sentence)
	if t.Remedy != "" {
		fmt.Fprintf(&b, "  remedy: %s\n", t.Remedy)
	}
	for _, l := range t.Links {
		facts := factsOf(l)
		if number := before[facts]; number > 0 {
			fmt.Fprintf(&b, "  %s of %s: %s %s: as %d\n", l.Kind, l.Zone, l.Name, l.Type, number)
			continue
		}
		before[facts] = len(before) + 1
		fmt.Fprintf(&b, "  %d: %s", len(before), facts)
	}
	return b.String()
}

func factsOf(l Link) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
	line("%s of %s: %s %s: %s, %s %s: %s", l.Kind, l.Zone, l.Name, l.Type, l.Mark, l.Security, l.Code, l.Text)
	for _, d := range l.DS {
		line("    DS %d %d %d: fits %v, untried %v", d.Tag, d.Algorithm, d.DigestType, d.Fits, d.Untried)
	}
	for _, k := range l.Keys {
		line("    key %d %d: trusted %v, signs %v", k.Flags, k.Tag, k.Trusted, k.Signs)
	}
	for _, s := range l.Signatures {
		line("    signature %d %d from %s until %s: %s", s.Tag, s.Algorithm, s.Inception.Format("15:04"), s.Expiration.Format("15:04"), s.Fault)
	}
	for _, r := range l.Records {
		line("    %s", strings.ReplaceAll(r, "\t", " "))
	}
	for _, a := range l.Answers {
		line("    %s: %s %s, serial %d: %s", a.Server, a.Security, a.Code, a.Serial, a.Text)
	}
	return b.String()
}

// A trace tells every fact, every fault and what mends it: testdata/traces.txt
// has them in full.
func TestTracesInFull(t *testing.T) {
	child, www := "zone.example.", "www.zone.example."
	behind := func(unsigned bool) func(w *world) Walk { // the first server, whose DNSKEY set may be unsigned
		return func(w *world) Walk {
			soa := dns.Copy(w.zones[child].Answer(child, dns.TypeSOA).Answer[0]).(*dns.SOA)
			soa.Serial = 3
			newer := w.several(true, false, func(m *dns.Msg) {
				if q := m.Question[0]; q.Qtype == dns.TypeSOA && q.Name == child {
					m.Answer = w.zones[child].Signed([]dns.RR{soa})
				}
			})
			ask := newer.Ask
			newer.Ask = func(ctx context.Context, zone, name string, rrtype uint16) []Reply {
				replies := ask(ctx, zone, name, rrtype)
				if unsigned && rrtype == dns.TypeDNSKEY && name == child {
					unsign(replies[0].Message)
				}
				return replies
			}
			return newer
		}
	}
	stray := func(w *world, change func(*dns.DS)) {
		ds := w.zones[child].Key.ToDS(dns.SHA256)
		change(ds)
		top := w.zones["example."]
		top.Records = slices.DeleteFunc(top.Records, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeDS })
		top.Add(ds)
	}
	second := func(other func(*dns.Msg)) func(w *world) Walk {
		return func(w *world) Walk { return w.several(true, false, other) }
	}
	spoiled := func(name string, rrtype uint16, change func(m *dns.Msg)) func(w *world) Walk {
		return func(w *world) Walk {
			w.spoil = func(_, gotName string, gotType uint16, m *dns.Msg) *dns.Msg {
				if gotName == name && gotType == rrtype {
					change(m)
				}
				return m
			}
			return w.walk()
		}
	}
	silent := func(name string, rrtype uint16) func(w *world) Walk {
		return func(w *world) Walk {
			w.spoil = func(_, gotName string, gotType uint16, m *dns.Msg) *dns.Msg {
				if gotName == name && gotType == rrtype {
					return nil
				}
				return m
			}
			return w.walk()
		}
	}
	undelegated := func(w *world) Walk { // the servers of the zone above have the one below too, and answer from it
		lost := chaintest.KeyedZone(t, chaintest.FixedKey("lost."+child, 257, 6), "www.lost."+child+" 60 IN A 192.0.2.1")
		walk := w.walk()
		walk.Ask = func(ctx context.Context, zone, name string, rrtype uint16) []Reply {
			if dns.IsSubDomain(lost.Name, name) && rrtype != dns.TypeDS {
				return []Reply{{Server: "ns1", Message: lost.Answer(name, rrtype)}}
			}
			return w.ask(ctx, zone, name, rrtype)
		}
		return walk
	}
	ds := func(change func(*dns.DS)) func(w *world) Walk {
		return func(w *world) Walk { stray(w, change); return w.walk() }
	}
	var out strings.Builder
	before := map[string]int{}
	for _, c := range []struct {
		name string
		goal Goal
		walk func(w *world) Walk
	}{
		{"secure", Goal{Name: www, Type: dns.TypeA, Absent: "no." + child}, (*world).walk},
		{"secure, by an alias", Goal{Name: "alias." + child, Type: dns.TypeA}, (*world).walk},
		{"an alias of itself", Goal{Name: "loop." + child, Type: dns.TypeA}, (*world).walk},
		{"an alias that is unsigned", Goal{Name: "alias." + child, Type: dns.TypeA}, spoiled("alias."+child, dns.TypeA, unsign)},
		{"the DS of the root", Goal{Name: ".", Type: dns.TypeDS}, (*world).walk},
		{"a DNSKEY set of no zone", Goal{Name: www, Type: dns.TypeDNSKEY}, (*world).walk},
		{"a denial of a name elsewhere", Goal{Name: www, Type: dns.TypeA, Absent: "no.other."}, (*world).walk},
		{"an alias, and a denial", Goal{Name: "alias." + child, Type: dns.TypeA, Absent: "no." + child}, (*world).walk},
		{"no data", Goal{Name: www, Type: dns.TypeTXT}, (*world).walk},
		{"no name", Goal{Name: "x.y." + child, Type: dns.TypeA}, (*world).walk},
		{"names below alone", Goal{Name: "b." + child, Type: dns.TypeA}, (*world).walk},
		{"a DS set", Goal{Name: child, Type: dns.TypeDS}, (*world).walk},
		{"no DS set", Goal{Name: "open.example.", Type: dns.TypeDS}, (*world).walk},
		{"a DS set of no delegation", Goal{Name: www, Type: dns.TypeDS}, (*world).walk},
		{"a DNSKEY set", Goal{Name: child, Type: dns.TypeDNSKEY}, (*world).walk},
		{"insecure", Goal{Name: "www.open.example.", Type: dns.TypeA}, (*world).walk},
		{"from an anchor that is a DS", Goal{Name: www, Type: dns.TypeA}, func(w *world) Walk {
			walk := w.walk()
			walk.Anchors = Anchors{child: {DS: dsOf(Set{Records: []dns.RR{w.zones[child].Key.ToDS(dns.SHA256)}})}}
			return walk
		}},
		{"the DS above the only anchor", Goal{Name: child, Type: dns.TypeDS}, func(w *world) Walk {
			walk := w.walk()
			walk.Anchors = Anchors{child: {Keys: []rollover.DNSKEY{w.zones[child].Key.Ours()}}}
			return walk
		}},
		{"no anchor", Goal{Name: www, Type: dns.TypeA}, func(w *world) Walk { return Walk{Ask: w.ask, Now: now} }},
		{"no server answers", Goal{Name: www, Type: dns.TypeA}, func(w *world) Walk {
			walk := w.walk()
			walk.Ask = func(context.Context, string, string, uint16) []Reply { return nil }
			return walk
		}},
		{"one server is silent", Goal{Name: www, Type: dns.TypeA}, second(nil)},
		{"one server lags", Goal{Name: child, Type: dns.TypeSOA}, behind(false)},
		{"one server lags, with bad keys", Goal{Name: child, Type: dns.TypeSOA}, behind(true)},
		{"one server is unsigned", Goal{Name: child, Type: dns.TypeSOA}, second(func(m *dns.Msg) { unsign(m) })},
		{"one server has no keys", Goal{Name: www, Type: dns.TypeA}, second(func(m *dns.Msg) {
			if m.Question[0].Qtype == dns.TypeDNSKEY && m.Question[0].Name == child {
				m.Answer = nil
			}
		})},
		{"the DS of another key", Goal{Name: www, Type: dns.TypeA}, ds(func(d *dns.DS) { d.KeyTag++ })},
		{"a digit wrong in the DS", Goal{Name: www, Type: dns.TypeA}, ds(func(d *dns.DS) { d.Digest = strings.Repeat("0", 64) })},
		{"a DS of another algorithm", Goal{Name: www, Type: dns.TypeA}, ds(func(d *dns.DS) { d.Algorithm = dns.RSASHA256 })},
		{"the parent is silent", Goal{Name: www, Type: dns.TypeA}, silent(child, dns.TypeDS)},
		{"the zone is silent", Goal{Name: www, Type: dns.TypeA}, silent(child, dns.TypeDNSKEY)},
		{"no answer for the data", Goal{Name: www, Type: dns.TypeA}, silent(www, dns.TypeA)},
		{"nobody asked for the data", Goal{Name: www, Type: dns.TypeA}, func(w *world) Walk {
			walk := w.walk()
			walk.Ask = func(ctx context.Context, zone, name string, rrtype uint16) []Reply {
				if name == www && rrtype == dns.TypeA {
					return nil
				}
				return w.ask(ctx, zone, name, rrtype)
			}
			return walk
		}},
		{"a DS that nobody knows", Goal{Name: www, Type: dns.TypeA}, ds(func(d *dns.DS) { d.DigestType = 200 })},
		{"no DNSKEY set", Goal{Name: www, Type: dns.TypeA}, spoiled(child, dns.TypeDNSKEY, func(m *dns.Msg) { m.Answer = nil })},
		{"an unsigned DNSKEY set", Goal{Name: www, Type: dns.TypeA}, spoiled(child, dns.TypeDNSKEY, unsign)},
		{"unsigned data", Goal{Name: www, Type: dns.TypeA}, spoiled(www, dns.TypeA, unsign)},
		{"a DS that is not proven", Goal{Name: www, Type: dns.TypeA}, spoiled(child, dns.TypeDS, unsign)},
		{"the DS set itself is not proven", Goal{Name: child, Type: dns.TypeDS}, spoiled(child, dns.TypeDS, unsign)},
		{"a denial that is not proven", Goal{Name: www, Type: dns.TypeA, Absent: "no." + child}, spoiled("no."+child, dns.TypeA, func(m *dns.Msg) { m.Ns = nil })},
		{"no proof that www is no delegation", Goal{Name: www, Type: dns.TypeA}, spoiled(www, dns.TypeDS, func(m *dns.Msg) { m.Ns = nil })},
		{"a proof with too many iterations", Goal{Name: www, Type: dns.TypeA}, func(w *world) Walk {
			return spoiled(www, dns.TypeDS, func(m *dns.Msg) {
				m.Ns = w.zones[child].Signed(chaintest.RRs(t, hashes{zone: child, rounds: 151}.exists(www, "A")))
			})(w)
		}},
		{"no such proof, and no answer", Goal{Name: www, Type: dns.TypeA}, func(w *world) Walk {
			w.spoil = func(_, name string, rrtype uint16, m *dns.Msg) *dns.Msg {
				switch {
				case name == www && rrtype == dns.TypeA:
					return nil
				case name == www:
					m.Ns = nil
				}
				return m
			}
			return w.walk()
		}},
		{"no such proof, and unsigned data", Goal{Name: www, Type: dns.TypeA}, func(w *world) Walk {
			w.spoil = func(_, name string, _ uint16, m *dns.Msg) *dns.Msg {
				if name == www {
					unsign(m)
				}
				return m
			}
			return w.walk()
		}},
		{"a zone that is served and not delegated", Goal{Name: "www.lost." + child, Type: dns.TypeA}, undelegated},
		{"the same, found by its servers", Goal{Name: "lost." + child, Type: dns.TypeSOA, Zone: "lost." + child}, undelegated},
		{"the same, of one server of two", Goal{Name: "www.lost." + child, Type: dns.TypeA}, func(w *world) Walk {
			walk, both := w.walk(), undelegated(w)
			walk.Ask = func(ctx context.Context, zone, name string, rrtype uint16) []Reply {
				replies := w.ask(ctx, zone, name, rrtype)
				second := both.Ask(ctx, zone, name, rrtype)[0]
				second.Server = "ns2"
				return append(replies, second)
			}
			return walk
		}},
		{"no DS, and keys that sign nothing", Goal{Name: www, Type: dns.TypeA}, func(w *world) Walk {
			top := w.zones["example."]
			top.Records = slices.DeleteFunc(top.Records, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeDS })
			return spoiled(child, dns.TypeDNSKEY, unsign)(w)
		}},
		{"the DS is missing", Goal{Name: www, Type: dns.TypeA}, func(w *world) Walk {
			top := w.zones["example."]
			top.Records = slices.DeleteFunc(top.Records, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeDS })
			return w.walk()
		}},
	} {
		w := fixedWorld(t)
		fmt.Fprintf(&out, "%s: %s\n", c.name, told(c.walk(w).Follow(context.Background(), c.goal), before))
	}
	const file = "testdata/traces.txt"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, lines := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(lines)) {
		if i >= len(got) || i >= len(lines) || got[i] != lines[i] {
			t.Fatalf("line %d is not as in %s (go test -update, and look at the difference):\n%s", i+1, file, strings.Join(got[max(0, i-2):min(i+2, len(got))], "\n"))
		}
	}
}

// A trace is sound only if it ends well.
func TestSoundTraces(t *testing.T) {
	for security, want := range map[rollover.Security]bool{rollover.Secure: true, rollover.Insecure: true, rollover.Bogus: false, rollover.Indeterminate: false, "": false} {
		if (Trace{Security: security}).Sound() != want || (Trace{Security: security, Code: CodeTTL}).Sound() {
			t.Errorf("%s is not sound, or with a fault", security)
		}
	}
}

// A zone below a name that is not proven to be none is proven by its DS.
func TestADoubtAboveAZoneIsNone(t *testing.T) {
	w := fixedWorld(t)
	deep := chaintest.KeyedZone(t, chaintest.FixedKey("deep.b.zone.example.", 257, 5))
	w.zones["zone.example."].Delegate(deep)
	w.zones[deep.Name] = deep
	w.spoil = func(_, name string, rrtype uint16, m *dns.Msg) *dns.Msg {
		if name == "b.zone.example." && rrtype == dns.TypeDS {
			m.Ns = nil
		}
		return m
	}
	if zone, v := w.walk().Zone(context.Background(), deep.Name); v.Security != rollover.Secure || zone.Name != deep.Name {
		t.Errorf("%s is %s: %s", zone.Name, v.Security, v.Text)
	}
	if zone, v := w.walk().Zone(context.Background(), "b.zone.example."); v.Security != rollover.Bogus || zone.Name != "" {
		t.Errorf("%s is %s: %s", zone.Name, v.Security, v.Text)
	}
}

// The DS to hand over is that of a key that signs, with the SEP flag if there is one.
func TestTheRightDS(t *testing.T) {
	fact := func(flags uint16, number byte, signs bool) KeyFact {
		return KeyFact{DNSKEY: chaintest.FixedKey("a.", flags, number).Ours(), Signs: signs}
	}
	of := func(number byte, flags uint16) string {
		d, err := chaintest.FixedKey("a.", flags, number).Ours().DS("a.", 2)
		if err != nil {
			t.Fatal(err)
		}
		return "a. IN DS " + d.String()
	}
	const none = "what `pdnsutil export-zone-ds` prints for an active key"
	other := Link{Kind: LinkDNSKEY, Zone: "b.", Name: "b.", Keys: []KeyFact{fact(257, 9, true)}}
	broken := fact(257, 1, true)
	broken.PublicKey = "!"
	for _, c := range []struct {
		kind string
		keys []KeyFact
		want string
	}{
		{LinkDNSKEY, nil, none},
		{LinkDNSKEY, []KeyFact{fact(257, 1, false), broken}, none},
		{LinkDNSKEY, []KeyFact{fact(256, 1, true), fact(256, 2, true)}, of(1, 256) + "; " + of(2, 256)},
		{LinkDNSKEY, []KeyFact{fact(256, 1, true), fact(257, 2, true), fact(257, 3, false), fact(257, 4, true)}, of(2, 257) + "; " + of(4, 257)},
		{LinkAnchor, []KeyFact{fact(257, 1, true)}, none},
	} {
		trace := Trace{Links: []Link{{Kind: c.kind, Zone: "a.", Name: "a.", Keys: c.keys}, other}}
		if got := trace.rightDS(0); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if got := (Trace{Links: []Link{{Kind: LinkDNSKEY, Zone: "a.", Keys: []KeyFact{fact(257, 1, true)}}}}).rightDS(-1); got != of(1, 257) {
		t.Errorf("of no link: %s", got)
	}
}

// Servers are behind the newest serial, in the order of RFC 1982; one that tells
// none is not.
func TestServersThatLag(t *testing.T) {
	for _, c := range []struct {
		serials []uint32
		behind  string
	}{
		{[]uint32{7, 7}, ""}, {[]uint32{0, 7, 9}, "1"}, {[]uint32{9, 7, 0}, "1"}, {[]uint32{7, 9, 8}, "02"}, {[]uint32{4294967295, 1}, "0"}, {[]uint32{1, 4294967295}, "1"}, {[]uint32{4000000000, 4000000001}, "0"},
	} {
		l := Link{Mark: MarkGood}
		for _, n := range c.serials {
			l.Answers = append(l.Answers, AnswerFact{Serial: n})
		}
		l.laggards()
		got := ""
		for i, a := range l.Answers {
			if a.Code == CodeLagging {
				got += fmt.Sprint(i)
			}
		}
		if got != c.behind || (l.Mark == MarkWarning) != (got != "") {
			t.Errorf("%v: %s are behind, and the mark is %s", c.serials, got, l.Mark)
		}
	}
}

// Aliases of each other are followed so many times, and no more.
func TestAliasesHaveAnEnd(t *testing.T) {
	w := fixedWorld(t)
	w.zones["zone.example."].Add(chaintest.RRs(t, "ping.zone.example. 60 IN CNAME pong.zone.example.", "pong.zone.example. 60 IN CNAME ping.zone.example.")...)
	n := 0
	for _, l := range w.trace("ping.zone.example.", dns.TypeA).Links {
		if l.Kind == LinkData {
			n++
		}
	}
	if n != maxAliases+1 {
		t.Errorf("%d names were asked for", n)
	}
}

// An answer that differs from what counts is at fault, whichever is better.
func TestAnswersAtFault(t *testing.T) {
	l := Link{Security: rollover.Secure, Answers: []AnswerFact{
		{Server: "good", Security: rollover.Secure}, {Server: "unsigned", Security: rollover.Insecure}, {Server: "bad", Security: rollover.Bogus},
		{Server: "silent", Security: rollover.Indeterminate}, {Server: "late", Security: rollover.Secure, Code: CodeLagging},
	}}
	got := ""
	for _, a := range l.faulty() {
		got += a.Server + " "
	}
	if got != "unsigned bad silent late " {
		t.Errorf("at fault: %s", got)
	}
}
