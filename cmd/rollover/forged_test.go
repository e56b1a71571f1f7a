package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// forgery is an answer about the DS set that somebody on the path, or a server
// of the parent, made up; and what status must say of it.
type forgery struct {
	name   string
	reason string
	forge  func(f *forgers, set []dns.RR, answer *dns.Msg) *dns.Msg
}

// forgers stand before every server of the parent.
type forgers struct {
	h      *harness
	all    []*lab.Forger
	parent lab.SigningKey
	child  map[string]lab.SigningKey
	other  *dns.Msg // a genuine proof that another name has no DS
}

func newForgers(h *harness, zones []string) *forgers {
	h.t.Helper()
	f := &forgers{h: h, child: map[string]lab.SigningKey{}, other: askParent(h, "other."+h.lab.Parent())}
	for _, server := range h.lab.ParentServers() {
		one, err := h.lab.NewForger(server)
		if err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() {
			if err := one.Close(); err != nil {
				h.t.Errorf("closing a forger: %v", err)
			}
		})
		f.all = append(f.all, one)
	}
	f.parent = f.steal(h.lab.Parent())
	for _, zone := range zones {
		f.child[zone] = f.steal(zone)
	}
	return f
}

func (f *forgers) steal(zone string) lab.SigningKey {
	f.h.t.Helper()
	key, err := f.h.lab.StealKey(context.Background(), zone)
	if err != nil {
		f.h.t.Fatal(err)
	}
	return key
}

func (f *forgers) addrs() []string {
	var out []string
	for _, one := range f.all {
		out = append(out, one.Addr())
	}
	return out
}

// set makes all of them forge the answers about the DS sets of zones.
func (f *forgers) set(forges map[string]lab.Forge) {
	for _, one := range f.all {
		one.Set(func(answer *dns.Msg) *dns.Msg {
			q := answer.Question[0]
			if forge := forges[strings.ToLower(q.Name)]; forge != nil && q.Qtype == dns.TypeDS {
				return forge(answer.Copy())
			}
			return answer
		})
	}
}

func (f *forgers) sign(key lab.SigningKey, set []dns.RR, from, to time.Duration) []dns.RR {
	now := time.Now()
	sig, err := key.Sign(set, now.Add(from), now.Add(to))
	if err != nil {
		f.h.t.Errorf("signing a forgery: %v", err)
	}
	return append(append([]dns.RR{}, set...), sig)
}

func answering(answer *dns.Msg, records []dns.RR) *dns.Msg {
	answer.Rcode, answer.Answer, answer.Ns = dns.RcodeSuccess, records, nil
	return answer
}

// forgeries of a DS set, and of there being none.
func forgeries() []forgery {
	return []forgery{
		{"unsigned", "is not signed by a zone above", func(_ *forgers, set []dns.RR, m *dns.Msg) *dns.Msg { return answering(m, set) }},
		{"child", "answers as the child zone", func(f *forgers, set []dns.RR, m *dns.Msg) *dns.Msg {
			return answering(m, f.sign(f.child[m.Question[0].Name], set, -day, day))
		}},
		{"wrong", "does not verify", func(f *forgers, set []dns.RR, m *dns.Msg) *dns.Msg {
			other := dns.Copy(set[0]).(*dns.DS)
			other.Digest = strings.Repeat("0", 64)
			signed := f.sign(f.parent, append([]dns.RR{other}, set[1:]...), -day, day)
			return answering(m, append(append([]dns.RR{}, set...), signed[len(signed)-1]))
		}},
		{"stranger", "no such key", func(f *forgers, set []dns.RR, m *dns.Msg) *dns.Msg {
			thief := f.child[m.Question[0].Name]
			key := *thief.DNSKEY
			key.Hdr.Name = f.parent.Hdr.Name
			thief.DNSKEY = &key
			return answering(m, f.sign(thief, set, -day, day))
		}},
		{"expired", "expired at", func(f *forgers, set []dns.RR, m *dns.Msg) *dns.Msg {
			return answering(m, f.sign(f.parent, set, -3*day, -day))
		}},
		{"future", "not valid before", func(f *forgers, set []dns.RR, m *dns.Msg) *dns.Msg {
			return answering(m, f.sign(f.parent, set, day, 3*day))
		}},
		{"replayed", "replays an older DS set", func(f *forgers, set []dns.RR, m *dns.Msg) *dns.Msg {
			return answering(m, f.sign(f.parent, set, -60*day, day))
		}},
		{"empty", "", func(_ *forgers, _ []dns.RR, m *dns.Msg) *dns.Msg { return answering(m, nil) }},
		{"elsewhere", "", func(f *forgers, _ []dns.RR, m *dns.Msg) *dns.Msg {
			m.Rcode, m.Answer, m.Ns = f.other.Rcode, nil, f.other.Ns // the proof of another name
			return m
		}},
	}
}

// Whoever forges the parent's answers can delay a rollover, and never advance
// it: not by "the new DS is everywhere", and not by "the old DS is gone".
func TestForgedAnswersNeverAdvance(t *testing.T) {
	t.Parallel()
	o := lab.Options{DSTTL: 1}
	var zones []string
	for _, forgery := range forgeries() {
		zones = append(zones, forgery.name+".lab.test.")
		o.Zones = append(o.Zones, lab.Zone{Name: forgery.name + ".lab.test.", TTL: 1, Minimum: 1, SOATTL: 1})
	}
	h := newHarness(t, "1s", o)
	f := newForgers(h, zones)
	h.setParents(f.addrs())
	h.witnessed(zones, func() {
		for _, zone := range zones {
			h.must("start", zone, "--type", "ksk")
			h.late[zone] = true
		}
		h.until("asked for the new DS", zones, h.lenient, at("submit"))
		f.unmoved(zones, "submit", true)
		clear(h.late)
		h.until("asked to withdraw the old DS", zones, func() {
			h.lenient()
			for _, zone := range zones { // one that is there waits for the others
				if h.status(zone).Step == "withdraw" {
					h.late[zone] = true
				}
			}
		}, at("withdraw"))
		f.unmoved(zones, "withdraw", false)
		clear(h.late)
		h.until("done", zones, h.lenient, done)
	})
	for _, zone := range zones {
		h.finished(zone)
	}
}

// unmoved forges for all zones, for longer than any of their waits takes, that
// the DS of new is there, and that of old or not; and checks that no zone goes
// on and that status says why.
func (f *forgers) unmoved(zones []string, step string, old bool) {
	f.h.t.Helper()
	forges, told := map[string]lab.Forge{}, map[string]bool{}
	for i, forgery := range forgeries() {
		set := f.h.sets(zones[i], old, true)
		forges[zones[i]] = func(m *dns.Msg) *dns.Msg { return forgery.forge(f, set, m) }
	}
	f.set(forges)
	pace := time.NewTicker(300 * time.Millisecond)
	defer pace.Stop()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-pace.C {
		f.h.lenient()
		for i, forgery := range forgeries() {
			s := f.h.status(zones[i])
			told[zones[i]] = told[zones[i]] || strings.Contains(s.WaitingFor, forgery.reason)
			if s.Step != step {
				f.h.t.Fatalf("%s went on to %q by a forgery", zones[i], s.Step)
			}
		}
	}
	for i, forgery := range forgeries() {
		if s := f.h.status(zones[i]); !told[zones[i]] {
			f.h.t.Errorf("%s: expected status to say %q, it says %s", zones[i], forgery.reason, s.WaitingFor)
		}
	}
	f.set(nil)
}

// sets is the DS records that a forger claims.
func (h *harness) sets(zone string, old, fresh bool) []dns.RR {
	h.t.Helper()
	s := h.status(zone)
	var keys []rollover.StatusKey
	if old {
		keys = append(keys, s.OldKeys...)
	}
	if fresh {
		keys = append(keys, s.NewKeys...)
	}
	var out []dns.RR
	for _, k := range keys {
		d, err := k.DNSKEY().DS(zone, 2)
		if err != nil {
			h.t.Fatal(err)
		}
		rr, err := dns.NewRR(zone + " 1 IN DS " + d.String())
		if err != nil {
			h.t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

func askParent(h *harness, name string) *dns.Msg {
	h.t.Helper()
	client := dns.Client{Timeout: time.Second, Net: "tcp"}
	query := new(dns.Msg).SetQuestion(name, dns.TypeDS)
	query.SetEdns0(1232, true)
	m, _, err := client.ExchangeContext(context.Background(), query, h.lab.ParentServers()[0])
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}
