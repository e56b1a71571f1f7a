package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// Names that a first signing would take away, or make bogus.

// byHand runs commands on the primary of the children, each a line of words.
func (h *harness) byHand(commands ...string) {
	h.t.Helper()
	for _, line := range commands {
		if out, err := h.lab.Pdnsutil(context.Background(), strings.Split(line, "|")...); err != nil {
			h.t.Fatalf("pdnsutil %s: %v\n%s", line, err, out)
		}
	}
}

// show makes both servers serve what is stored, without rectify-zone, and waits
// for the secondary.
func (h *harness) show(zone string) {
	h.t.Helper()
	bare := strings.TrimSuffix(zone, ".")
	h.byHand("increase-serial|" + bare)
	for _, words := range [][]string{{"purge", bare + "$"}, {"notify", bare}} {
		args := append(h.lab.ChildControl(), append([]string{"--config-dir=" + h.lab.ChildConfigDir()}, words...)...)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			h.t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for deadline := time.Now().Add(patience); h.serial(h.lab.ChildServers()[0], zone) != h.serial(h.lab.ChildServers()[1], zone); <-pace.C {
		if time.Now().After(deadline) {
			h.t.Fatalf("the secondary does not transfer %s", zone)
		}
	}
}

func (h *harness) serial(server, zone string) uint32 {
	h.t.Helper()
	m := new(dns.Msg).SetQuestion(zone, dns.TypeSOA)
	answer, _, err := new(dns.Client).Exchange(m, server)
	if err != nil || len(answer.Answer) == 0 {
		h.t.Fatalf("no SOA of %s at %s: %v", zone, server, err)
	}
	return answer.Answer[0].(*dns.SOA).Serial
}

// answer is the code and the number of records with which a server answers.
func (h *harness) answer(server, name string, qtype uint16) (string, int) {
	h.t.Helper()
	m := new(dns.Msg).SetQuestion(name, qtype)
	answer, _, err := new(dns.Client).Exchange(m, server)
	if err != nil {
		h.t.Fatal(err)
	}
	return dns.RcodeToString[answer.Rcode], len(answer.Answer)
}

func unsigned(names ...string) []lab.Zone {
	var out []lab.Zone
	for _, name := range names {
		out = append(out, lab.Zone{Name: name, Layout: lab.Unsigned, TTL: 1, Minimum: 1, SOATTL: 1})
	}
	return out
}

// wildcards fills a zone record by record, and never rectifies it.
func (h *harness) wildcards(zone string) {
	h.t.Helper()
	h.byHand("add-record|"+zone+"|*|A|1|192.0.2.7", "add-record|"+zone+"|_443._tcp.shop|TLSA|1|3 1 1 "+strings.Repeat("ab", 32), "add-record|"+zone+"|test.two|A|1|192.0.2.9")
	h.show(zone + ".")
}

// Before its first step, and in --dry-run, sign tells by name what signing would
// change, and changes nothing.
func TestSignTellsWhatItWouldTakeAway(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Settings: []string{"expand-alias=yes", "resolver=$validator", "enable-lua-records=yes"},
		Zones: append(unsigned("alias.lab.test.", "wild.lab.test.", "below.lab.test.", "lua.lab.test.", "good.lab.test."), lab.Zone{Name: "other.lab.test."})})
	h.byHand("add-record|alias.lab.test||ALIAS|1|www.other.lab.test.", `add-record|lua.lab.test|up|LUA|1|A "'192.0.2.4'"`,
		"create-zone|inner.below.lab.test|ns1.below.lab.test")
	h.wildcards("wild.lab.test")
	for zone, want := range map[string][]string{
		"alias.lab.test.": {"alias.lab.test./ALIAS", "does not sign what it makes of an ALIAS"},
		"lua.lab.test.":   {"up.lua.lab.test./LUA", "secondar"},
		"below.lab.test.": {"inner.below.lab.test./ZONE", "add NS records for inner.below.lab.test. to below.lab.test."},
		"wild.lab.test.": {"shop.wild.lab.test./WILDCARD", "_tcp.shop.wild.lab.test./WILDCARD", "two.wild.lab.test./WILDCARD",
			"*.wild.lab.test.", "rectify-zone"},
	} {
		for _, args := range [][]string{{"sign", zone, "--dry-run"}, {"sign", zone}} {
			o := h.rollover(args...)
			for _, text := range append(want, "--accept") {
				if o.code != 1 || !strings.Contains(o.stderr, text) {
					t.Errorf("%q does not say %q: %v", args, text, o)
				}
			}
		}
		h.hasKeys(zone, "")
	}
	if code, n := h.answer(h.lab.ChildServers()[0], "shop.wild.lab.test.", dns.TypeA); code != "NOERROR" || n != 1 {
		t.Errorf("shop answers %s with %d records although nothing was to be changed", code, n)
	}
	h.must("sign", "good.lab.test.", "--dry-run")
}

// What the operator accepts by name is signed, and remembered; what cancel does
// not bring back is told, with the commands that do.
func TestSignWithNamesGivenUp(t *testing.T) {
	t.Parallel()
	zone := "wild.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Zones: unsigned(zone)})
	h.wildcards("wild.lab.test")
	words := []string{"sign", zone, "--accept", "wild.wild.lab.test.", "--accept", "shop.wild.lab.test", "--accept", "_tcp.shop.wild.lab.test./wildcard"}
	if o := h.rollover(words...); o.code != 1 || !strings.Contains(o.stderr, "two.wild.lab.test./WILDCARD") || strings.Contains(o.stderr, "shop.wild.lab.test./WILDCARD") {
		t.Errorf("with one name missing: %v", o)
	}
	words = append(words, "--accept", "two.wild.lab.test.")
	if o := h.must(append(words, "--dry-run")...); !strings.Contains(o.stdout, "shop.wild.lab.test.") {
		t.Errorf("the plan does not tell what was accepted: %v", o)
	}
	h.must(words...)
	h.until("asked for the DS", []string{zone}, h.advance, at("submit"))
	h.told(zone, "accepted: _tcp.shop.wild.lab.test./WILDCARD, shop.wild.lab.test., two.wild.lab.test., wild.wild.lab.test.")
	o := h.must("cancel", zone)
	h.until("cancelled", []string{zone}, h.advance, func(s rollover.Status) bool { return s.State == rollover.StateCancelled })
	history := h.must("history", zone).stdout
	for _, text := range []string{"shop.wild.lab.test.", "pdnsutil load-zone wild.lab.test"} {
		if !strings.Contains(o.stdout+o.stderr, text) || !strings.Contains(history[strings.LastIndex(history, "taken back"):], text) {
			t.Errorf("cancel does not say %q: %v\n%s", text, o, history)
		}
	}
	// What it says is true: the names are gone still, and the commands bring them back.
	for server, want := range map[string]int{h.lab.ChildServers()[0]: 0} {
		if code, n := h.answer(server, "shop.wild.lab.test.", dns.TypeA); code != "NOERROR" || n != want {
			t.Errorf("after cancel shop answers %s with %d records", code, n)
		}
	}
	out, err := h.lab.Pdnsutil(context.Background(), "list-zone", "wild.lab.test")
	if err != nil {
		t.Fatal(err)
	}
	h.byHand("load-zone|wild.lab.test|" + h.write("zone", out, 0o600))
	h.show(zone)
	if code, n := h.answer(h.lab.ChildServers()[0], "shop.wild.lab.test.", dns.TypeA); n != 1 {
		t.Errorf("after load-zone shop answers %s with %d records", code, n)
	}
}

// A record that is served unsigned, and no sample of the looks, holds the DS back;
// when it is mended, or accepted by name, the rollover goes on.
func TestSignHoldsTheDSBack(t *testing.T) {
	t.Parallel()
	zones := []string{"late.lab.test.", "given.lab.test."}
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Zones: unsigned(zones...)})
	for _, zone := range zones {
		for n := range 30 {
			h.byHand(fmt.Sprintf("add-record|%s|n%02d|A|1|192.0.2.%d", strings.TrimSuffix(zone, "."), n, n))
		}
		h.show(zone)
		h.must("sign", zone)
		h.byHand(fmt.Sprintf("backend-cmd|gsqlite3|UPDATE records SET auth = 0 WHERE name = 'n07.%s'", strings.TrimSuffix(zone, ".")))
		h.show(zone)
	}
	h.until("held back", zones, h.advance, func(s rollover.Status) bool { return strings.Contains(s.WaitingFor, "n07.") })
	for _, zone := range zones {
		s := h.status(zone)
		if s.Step != "sign" || !strings.Contains(s.WaitingFor, "n07."+zone+" A") || !strings.Contains(s.Command, "--accept") || !slices.ContainsFunc(h.lab.ChildServers(), func(at string) bool { return strings.Contains(s.WaitingFor, at) }) {
			t.Errorf("%s: waits for %q, command %q", zone, s.WaitingFor, s.Command)
		}
	}
	h.byHand("rectify-zone|late.lab.test")
	h.show("late.lab.test.")
	h.must("sign", "given.lab.test.", "--accept", "n07.given.lab.test./A")
	h.until("done", zones, h.advance, done)
	h.told("given.lab.test.", "accepted: n07.given.lab.test./A")
}

// A zone below that its signed parent does not delegate: each command says so.
func TestSignOfAZoneThatIsNotDelegated(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Settings: []string{"zone-cache-refresh-interval=0"}, Zones: []lab.Zone{{Name: "corp.lab.test.", TTL: 1, Minimum: 1, SOATTL: 1}}})
	one := tomlList(h.lab.ChildServers()[:1])
	h.configure(fmt.Sprintf("[[zone]]\nname = \"*.corp.lab.test\"\nservers = %s\nservers_only = true\nparent_servers = %s\n", one, one))
	h.byHand("create-zone|in.corp.lab.test|ns1.corp.lab.test", "add-record|in.corp.lab.test|www|A|1|192.0.2.1",
		"create-zone|www.corp.lab.test|ns1.corp.lab.test", "add-record|www.corp.lab.test|www|A|1|192.0.2.1")
	for zone, want := range map[string]string{
		"in.corp.lab.test.":  "corp.lab.test. proves that there is no in.corp.lab.test.: add NS records",
		"www.corp.lab.test.": "corp.lab.test. proves that it does not delegate www.corp.lab.test.: add NS records",
	} {
		for _, args := range [][]string{{"sign", zone}, {"sign", zone, "--dry-run"}, {"check", zone}, {"trace", "www." + zone, "A"}, {"trace", zone}, {"trace", "www." + zone, "A", "--server", h.lab.ChildServers()[0]}} {
			if o := h.rollover(args...); o.code == 0 || !strings.Contains(o.stdout+o.stderr, want) {
				t.Errorf("%q does not say %q: %v", args, want, o)
			}
		}
		h.hasKeys(zone, "")
	}
}

// CDS records that no metadata asks for: default-publish-cds.
func TestCDSByDefault(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Settings: []string{"default-publish-cds=2"},
		Zones: append(unsigned("new.lab.test."), lab.Zone{Name: "old.lab.test.", Layout: lab.CSK, TTL: 1, Minimum: 1, SOATTL: 1})})
	if o := h.rollover("start", "old.lab.test."); o.code != 1 || !strings.Contains(o.stderr, "default-publish-cds") || !strings.Contains(o.stderr, h.lab.ChildServers()[0]) {
		t.Errorf("start where CDS records are served: %v", o)
	}
	if o := h.rollover("sign", "new.lab.test."); o.code != 1 || !strings.Contains(o.stderr, "default-publish-cds") {
		t.Errorf("sign where CDS records will be served: %v", o)
	}
	h.hasKeys("new.lab.test.", "")
}

// An ALIAS at the apex of a signed zone, which PowerDNS does not sign: check names
// it whatever the state file holds.
func TestCheckNamesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	zone := "alias.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Settings: []string{"expand-alias=yes", "resolver=$validator"},
		Zones: []lab.Zone{{Name: zone, Layout: lab.CSK, TTL: 1, Minimum: 1, SOATTL: 1}, {Name: "other.lab.test."}}})
	h.byHand("add-record|alias.lab.test||ALIAS|1|www.other.lab.test.")
	h.show(zone)
	for _, when := range []string{"an empty state file", "a rollover that runs"} {
		if o := h.rollover("check", zone); o.code != 2 || !strings.Contains(o.stdout, "alias.lab.test. A") {
			t.Errorf("with %s: %v", when, o)
		}
		if when == "an empty state file" {
			if o := h.rollover("start", zone, "--type", "csk"); o.code != 0 {
				t.Fatalf("start: %v", o)
			}
		}
	}
}
