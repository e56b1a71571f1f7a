package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// The old ZSK stands as a DNSKEY record in the zone too, and PowerDNS serves it
// (direct-dnskey): no rollover begins, and one that runs says at its end what is in
// the way. Done as told, it goes on.
func TestStoredDNSKEYRecord(t *testing.T) {
	t.Parallel()
	const zone = "stored.lab.test."
	ctx := context.Background()
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Direct: true, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	key := h.zsk(zone)
	set := func(content string) {
		t.Helper()
		if err := h.lab.SetRecord(ctx, zone, zone, "DNSKEY", 1, content); err != nil {
			t.Fatal(err)
		}
	}
	remedy := h.deletion(zone, "DNSKEY")
	set(key)
	if o := h.rollover("start", zone, "--type", "zsk"); o.code != exitFailed || !strings.Contains(o.stderr, remedy) || strings.Contains(o.stderr, "exclude-server") {
		t.Fatalf("start with the key of the ZSK as a record, expected %q: %v", remedy, o)
	}
	set("")
	h.must("start", zone, "--type", "zsk")
	set(key)
	h.until("told of the record", []string{zone}, h.advance, func(s rollover.Status) bool {
		if strings.Contains(s.Command, "exclude-server") {
			t.Errorf("the advice at %q: %s", s.Step, s.Command)
		}
		return s.Step == "retire" && strings.Contains(s.Command, remedy)
	})
	set("")
	h.until("done", []string{zone}, h.advance, done)
	h.finished(zone)
}

// A record that PowerDNS cannot read came into its database: asked for it is
// SERVFAIL, and it ends every transfer. It is named before a rollover begins, by
// check, and while a secondary waits for the transfer.
func TestRecordThatCannotBeServed(t *testing.T) {
	t.Parallel()
	const zone = "h33a.lab.test."
	ctx := context.Background()
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	for n := range 20 { // more names than are asked for
		h.sql(h.insertion(zone, fmt.Sprintf("a%d", n), "A", "192.0.2.1") + ";" + h.insertion(zone, fmt.Sprintf("z%d", n), "A", "192.0.2.1"))
	}
	if err := h.lab.Publish(ctx, zone); err != nil {
		t.Fatal(err)
	}
	breakIt := func() { h.sql(h.insertion(zone, "h33a", "TXT", `"site-verification"content="abc"`)) }
	const named = "PowerDNS cannot serve h33a.h33a.lab.test. TXT (SERVFAIL): pdnsutil check-zone h33a.lab.test"
	says := func(what, text string) {
		t.Helper()
		if !strings.Contains(text, named) || !strings.Contains(text, "ends every transfer") || strings.Contains(text, "exclude-server") {
			t.Errorf("%s, expected %q: %s", what, named, text)
		}
	}
	breakIt()
	says("start", h.rollover("start", zone, "--type", "zsk").stderr)
	all, _ := checkups(t, h.config, zone)
	says("check", fmt.Sprint(all[zone].Findings))
	h.sql("DELETE FROM records WHERE name = 'h33a.h33a.lab.test'")
	if err := h.lab.HoldChild2(ctx, true); err != nil {
		t.Fatal(err)
	}
	h.await("a rollover that begins", func() bool { return h.rollover("start", zone, "--type", "zsk").code == 0 })
	breakIt()
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := h.lab.HoldChild2(short, false); err == nil {
		t.Fatal("the transfer arrived")
	}
	h.until("told of the record", []string{zone}, h.advance, func(s rollover.Status) bool {
		return strings.Contains(s.Command, "h33a.h33a.lab.test. TXT") && strings.Contains(s.Command, "pdnsutil check-zone h33a.lab.test")
	})
	if s := h.status(zone); s.Step != "publish" || strings.Contains(s.Command, "exclude-server") {
		t.Errorf("at %q: %s", s.Step, s.Command)
	}
	h.sql("DELETE FROM records WHERE name = 'h33a.h33a.lab.test'")
	if err := h.lab.Publish(ctx, zone); err != nil {
		t.Fatal(err)
	}
	h.until("going on", []string{zone}, h.advance, at("switch"))
}

// The primary was restored from an old copy, and its serial is behind that of the
// secondary, which takes no transfer: status names that.
func TestSerialAheadOfThePrimary(t *testing.T) {
	t.Parallel()
	const zone = "ahead.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, Layout: lab.Split, TTL: 1, Minimum: 1, SOATTL: 1}}})
	soa := h.sql("SELECT content FROM records WHERE type = 'SOA' AND name = 'ahead.lab.test'")
	reset := func(serial uint64) {
		f := strings.Fields(soa)
		f[2] = fmt.Sprint(serial)
		h.sql("UPDATE records SET content = '" + strings.Join(f, " ") + "' WHERE type = 'SOA' AND name = 'ahead.lab.test'")
	}
	serial, err := strconv.ParseUint(strings.Fields(soa)[2], 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	reset(serial + 100)
	if err := h.lab.Publish(context.Background(), zone); err != nil {
		t.Fatal(err)
	}
	reset(serial)
	h.must("start", zone, "--type", "zsk")
	h.until("told of the serial", []string{zone}, h.advance, func(s rollover.Status) bool {
		return strings.Contains(s.Command, "takes no transfer until the primary has a larger one: there pdnsutil edit-zone ahead.lab.test")
	})
	reset(serial + 200)
	if err := h.lab.Publish(context.Background(), zone); err != nil {
		t.Fatal(err)
	}
	h.until("going on", []string{zone}, h.advance, at("switch"))
}

// insertion is a statement that puts a record into the database, as it is.
func (h *harness) insertion(zone, label, rrtype, content string) string {
	bare := strings.TrimSuffix(zone, ".")
	return fmt.Sprintf("INSERT INTO records (domain_id, name, type, content, ttl, prio, auth, disabled) SELECT id, '%s.%s', '%s', '%s', 1, 0, 1, 0 FROM domains WHERE name = '%s'",
		label, bare, rrtype, content, bare)
}

// zsk is the DNSKEY record of the zone's ZSK.
func (h *harness) zsk(zone string) string {
	h.t.Helper()
	bare := strings.TrimSuffix(zone, ".")
	id := h.sql("SELECT c.id FROM cryptokeys c JOIN domains d ON d.id = c.domain_id WHERE c.flags = 256 AND d.name = '" + bare + "'")
	out, err := h.lab.Pdnsutil(context.Background(), "export-zone-dnskey", bare, id)
	_, record, found := strings.Cut(strings.TrimSpace(out), " IN DNSKEY ")
	if err != nil || !found {
		h.t.Fatalf("export-zone-dnskey: %v, %s", err, out)
	}
	return record
}

// deletion is how an RRset at the top of a zone is deleted with the pdnsutil that is here.
func (h *harness) deletion(zone, rrtype string) string {
	bare := strings.TrimSuffix(zone, ".")
	command := append(h.lab.ChildPdnsutil(), "--version")
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		h.t.Fatal(err)
	}
	apex := "@"
	if !strings.Contains(string(out), "pdnsutil 4.") {
		apex = bare
	}
	return fmt.Sprintf("pdnsutil delete-rrset %s %s %s", bare, apex, rrtype)
}
