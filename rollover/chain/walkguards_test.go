package chain

import (
	"context"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

// several is the replies of servers of which one sends something else, or nothing.
func (w *world) several(good, first bool, other func(m *dns.Msg)) Walk {
	walk := w.walk()
	walk.Ask = func(ctx context.Context, zone, name string, rrtype uint16) []Reply {
		out := w.ask(ctx, zone, name, rrtype)
		if !good {
			out = nil
		}
		bad := Reply{Server: "ns2", Code: CodeNoAnswer, Why: "timed out"}
		if other != nil {
			bad = Reply{Server: "ns2", Message: w.ask(ctx, zone, name, rrtype)[0].Message}
			other(bad.Message)
		}
		if first {
			return append([]Reply{bad}, out...)
		}
		return append(out, bad)
	}
	return walk
}

// Of several servers the best answer counts, wherever it stands: validators ask
// another one too. The link is marked all the same.
func TestOneGoodServerIsEnough(t *testing.T) {
	for name, other := range map[string]func(*dns.Msg){"silent": nil, "unsigned": unsign} {
		for _, first := range []bool{true, false} {
			w := newWorld(t)
			walk := w.several(true, first, other)
			zone, v := walk.Zone(context.Background(), "zone.example.")
			if v.Security != rollover.Secure || len(zone.Keys) != 1 {
				t.Errorf("%s, first %v: %s: %s", name, first, v.Security, v.Text)
			}
			trace := walk.Follow(context.Background(), Goal{Name: "www.zone.example.", Type: dns.TypeA})
			if trace.Security != rollover.Secure {
				t.Errorf("%s, first %v: %s: %s", name, first, trace.Security, trace.Sentence)
			}
			for _, l := range trace.Links {
				if l.Kind != LinkAnchor && (l.Mark != MarkWarning || len(l.Answers) != 2) {
					t.Errorf("%s, first %v: the link %s %s has mark %q and %d answers", name, first, l.Name, l.Type, l.Mark, len(l.Answers))
				}
			}
			if zone, v := w.several(false, first, other).Zone(context.Background(), "zone.example."); v.Security == rollover.Secure || len(zone.Keys) > 0 {
				t.Errorf("%s alone: %s, keys %v", name, v.Security, zone.Keys)
			}
		}
	}
}

// Keys are proven for no longer than any link above them, nor than their own.
func TestAZoneIsProvenUntilTheFirstLinkEnds(t *testing.T) {
	for _, early := range []string{".", "example.", "zone.example."} {
		w := newWorld(t)
		w.spoil = func(zone, name string, rrtype uint16, m *dns.Msg) *dns.Msg {
			if rrtype == dns.TypeDNSKEY && name == early {
				set := w.zones[early].Answer(name, rrtype).Answer[:1]
				m.Answer = append(set, w.zones[early].Key.Sign(t, set, chaintest.Between(now.Add(-time.Hour), now.Add(20*time.Minute))))
			}
			return m
		}
		zone, v := w.walk().Zone(context.Background(), "zone.example.")
		if v.Security != rollover.Secure || !zone.Expires.Equal(now.Add(20*time.Minute)) || zone.TTL != 3600 {
			t.Errorf("%s ends early: %s, until %s, TTL %d", early, v.Security, zone.Expires, zone.TTL)
		}
	}
}

// A trace says of a DS which key it is for, and of a key whether it is trusted
// and signs.
func TestFactsOfATrace(t *testing.T) {
	w := newWorld(t)
	z := w.zones["zone.example."]
	idle := chaintest.NewKey(t, z.Name, 256, dns.ECDSAP256SHA256, 256)
	z.Add(idle.DNSKEY)
	stray := *idle.ToDS(dns.SHA256)
	stray.KeyTag++
	w.zones["example."].Add(&stray)
	trace := w.trace("zone.example.", dns.TypeDNSKEY)
	seen := 0
	for _, l := range trace.Links {
		for _, d := range l.DS {
			seen++
			if fits := d.DS.Tag != stray.KeyTag; d.Fits != fits && l.Kind == LinkDS {
				t.Errorf("the DS %d of %s fits: %v", d.DS.Tag, l.Name, d.Fits)
			}
		}
		for _, k := range l.Keys {
			seen++
			if own := k.Tag != idle.KeyTag(); l.Kind == LinkDNSKEY && (k.Trusted != own || k.Signs != own) {
				t.Errorf("the key %d of %s: trusted %v, signs %v", k.Tag, l.Zone, k.Trusted, k.Signs)
			}
		}
		if l.Kind == LinkDNSKEY && len(l.Signatures) == 0 {
			t.Errorf("no signature on the keys of %s is told", l.Zone)
		}
	}
	if trace.Security != rollover.Secure || seen < 8 {
		t.Errorf("%s: %d facts: %s", trace.Security, seen, trace.Sentence)
	}
}

// A set is found by its owner and its type.
func TestFind(t *testing.T) {
	sets, err := Sets(chaintest.RRs(t, "a.example. 1 IN A 192.0.2.1", "b.example. 1 IN A 192.0.2.2", "b.example. 1 IN TXT x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		owner  string
		rrtype uint16
		there  bool
	}{{"a.example.", dns.TypeA, true}, {"b.example.", dns.TypeA, true}, {"b.example.", dns.TypeTXT, true}, {"a.example.", dns.TypeTXT, false}, {"c.example.", dns.TypeA, false}} {
		s, ok := Find(sets, c.owner, c.rrtype)
		if ok != c.there || ok && (s.Owner != c.owner || s.Type != c.rrtype) {
			t.Errorf("%s %d: %v, %v", c.owner, c.rrtype, s, ok)
		}
	}
}
