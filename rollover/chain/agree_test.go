package chain

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain/chaintest"
)

// What is proven not to be there is told as such.
func TestWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name   string
		rrtype uint16
		says   string // empty: it is there
	}{
		{"www.zone.example.", dns.TypeA, ""}, {"alias.zone.example.", dns.TypeA, ""}, {"zone.example.", dns.TypeDS, ""}, {"x.wild.zone.example.", dns.TypeA, ""},
		{"no.zone.example.", dns.TypeA, "no.zone.example. A: there is no such name, proven"},
		{"no.hashed.example.", dns.TypeA, "there is no such name, proven"}, {"no.no.zone.example.", dns.TypeSOA, "there is no such name, proven"},
		{"no.zone.example.", dns.TypeDS, "no.zone.example. DS: there is no such name, proven"},
		{"www.zone.example.", dns.TypeTXT, "www.zone.example. exists and has no such records, proven"},
		{"b.zone.example.", dns.TypeA, "exists and has no such records, proven"},
	} {
		got := w.trace(c.name, c.rrtype)
		last := got.Links[len(got.Links)-1]
		if got.Security != rollover.Secure || !got.Sound() || !strings.Contains(got.Sentence, c.says) || c.says != "" && last.Text == "" {
			t.Errorf("%s %s: %s: %s; %+v", c.name, dns.Type(c.rrtype), got.Security, got.Sentence, last)
		}
		if c.says == "" && strings.Contains(got.Sentence, "proven") {
			t.Errorf("%s %s is there, and the trace says: %s", c.name, dns.Type(c.rrtype), got.Sentence)
		}
	}
}

// An alias to a name that does not exist: the name that is missing is told.
func TestAliasToNothing(t *testing.T) {
	w := newWorld(t)
	w.zones["zone.example."].Add(chaintest.RR(t, "dangling.zone.example. 60 IN CNAME gone.zone.example."))
	if got := w.trace("dangling.zone.example.", dns.TypeA); got.Security != rollover.Secure || !strings.Contains(got.Sentence, "gone.zone.example. A: there is no such name") {
		t.Errorf("%s: %s", got.Security, got.Sentence)
	}
}

// Nothing is said of keys that were not asked for, or not answered.
func TestKeysThatWereNotAskedFor(t *testing.T) {
	fits := func(trace Trace, zone string) []string {
		var out []string
		for _, l := range trace.Links {
			if l.Name != zone || l.Kind != LinkDS && l.Kind != LinkAnchor {
				continue
			}
			for _, d := range l.DS {
				raw, err := json.Marshal(d)
				if err != nil {
					t.Fatal(err)
				}
				_, after, found := strings.Cut(string(raw), `"fits":`)
				out = append(out, map[bool]string{true: strings.TrimSuffix(after, "}"), false: "unsaid"}[found])
			}
		}
		return out
	}
	w := newWorld(t)
	if got := fits(w.trace("zone.example.", dns.TypeDS), "zone.example."); len(got) != 1 || got[0] != "unsaid" {
		t.Errorf("the keys were not asked for: %v", got)
	}
	if got := fits(w.trace("zone.example.", dns.TypeSOA), "zone.example."); len(got) != 1 || got[0] != "true" {
		t.Errorf("the keys fit: %v", got)
	}
	w.spoil = func(zone, _ string, rrtype uint16, m *dns.Msg) *dns.Msg {
		if zone == "zone.example." && rrtype == dns.TypeDNSKEY {
			return nil
		}
		return m
	}
	if got := fits(w.trace("zone.example.", dns.TypeSOA), "zone.example."); len(got) != 1 || got[0] != "unsaid" {
		t.Errorf("the keys were not answered: %v", got)
	}
}

// Two servers of which one has what the other proves not to be there, both with
// good signatures: resolvers take turns, and the trace says so.
func TestContradictions(t *testing.T) {
	w := newWorld(t)
	zone := w.zones["zone.example."]
	poor := chaintest.NewZone(t, "zone.example.", "other.zone.example. 60 IN A 192.0.2.1")
	poor.Key = zone.Key
	childless := chaintest.NewZone(t, "example.")
	childless.Key = w.zones["example."].Key
	walk := w.walk()
	walk.Ask = func(ctx context.Context, name, owner string, rrtype uint16) []Reply {
		replies := w.ask(ctx, name, owner, rrtype)
		switch {
		case name == "zone.example." && rrtype == dns.TypeA:
			replies = append(replies, Reply{Server: "ns2", Message: poor.Answer(owner, rrtype)})
		case name == "example." && owner == "hashed.example." && rrtype == dns.TypeDS:
			replies = append(replies, Reply{Server: "ns2", Message: childless.Answer(owner, rrtype)})
		}
		return replies
	}
	for _, c := range []struct {
		name string
		says []string
	}{
		{"www.zone.example.", []string{"www.zone.example. A", "ns1: it is there", "ns2: there is none"}}, {"no.zone.example.", nil},
		{"www.hashed.example.", []string{"hashed.example. DS", "ns1: it is there", "ns2: there is none"}},
		{"other.zone.example.", []string{"ns2: it is there", "ns1: there is none"}},
	} {
		got := walk.Follow(context.Background(), Goal{Name: c.name, Type: dns.TypeA})
		if (got.Code == CodeContradiction) != (c.says != nil) || got.Sound() != (c.says == nil) || (got.Remedy == "") != (c.says == nil) {
			t.Errorf("%s: %s: %s; %s", c.name, got.Code, got.Sentence, got.Remedy)
		}
		for _, part := range c.says {
			if !strings.Contains(got.Sentence, part) {
				t.Errorf("%s: expected %q in: %s", c.name, part, got.Sentence)
			}
		}
	}
}
