package rollover_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// The history of outages as tests: what happened to others, told again with
// this tool in their place. docs/outages.md is made from this list.

// outage is one entry. An entry without a scene is one that the tool neither
// prevents nor detects, or not with what it can do today; does says so.
type outage struct {
	who, when string
	happened  string
	does      string
	scene     func(*testing.T)
	test      string
}

func outages() []outage {
	return []outage{
		{".de", "2026-05-05", "three new keys had one tag; one of them was published, the others signed", "a new key whose tag is taken is deleted and made again; a key is known by its public key, and signatures count only when they verify", TestOutage_de2026, "TestOutage_de2026"},
		{".ru", "2024-01-30", "the new key collided with another", "as above: tags are compared with all keys and DS records before the key is used", TestOutage_ru2024, "TestOutage_ru2024"},
		{".nz second levels", "2023-05-29", "signatures of the old KSK were removed while the old DS was cached", "*switch* waits factor x the TTL that the parent's servers showed, after the last of them has the new DS", TestOutage_nz2023, "TestOutage_nz2023"},
		{".au", "2023-09-18 and 2022-03-22", "wrong signatures after signing anew", "no step while a server's signatures do not verify", TestOutage_au2023, "TestOutage_au2023"},
		{".se", "2022-02-04", "wrong signatures on some of the records", "data counts as signed only if every RRset looked at is (SOA, NS, an NXDOMAIN, up to 8 more): a record that is not looked at is not noticed", TestOutage_se2022, "TestOutage_se2022"},
		{".fj", "2022-03-08", "signed with a key that was not published", "a key signs only after it was published on every server for factor x the TTL of the DNSKEY set", TestOutage_fj2022, "TestOutage_fj2022"},
		{".na", "2022-10-04 and 2019-07-08", "a DS at the root, and no DNSKEY served", "start refuses; in a rollover no step is taken, and it is told that something is gone", TestOutage_na2022, "TestOutage_na2022"},
		{"Slack", "2021-09-30", "DNSSEC was switched off while the DS was cached for a day", "not done by rollover today: nothing that it does takes the last key away", nil, ""},
		{".xn--qxam", "2021-08-01", "delegated as signed, served unsigned", "start refuses if one server is unsigned", TestOutage_qxam2021, "TestOutage_qxam2021"},
		{"dnsops.gov, dotat.at, .mm", "2018, 2017, 2016", "signatures expired", "cannot be prevented: PowerDNS signs. Start refuses, and no step is taken, while a server's signatures are expired", TestOutage_dnsops2018, "TestOutage_dnsops2018"},
		{"iastate.edu", "2017-05-12", "the DS matched no DNSKEY", "the DS is computed from the key and compared octet by octet: a typo never counts, and is named", TestOutage_iastate2017, "TestOutage_iastate2017"},
		{".red", "2014-01-20", "no signatures from some of the servers", "all servers count, not one", TestOutage_red2014, "TestOutage_red2014"},
		{".gov", "2013-08-14", "only one of two algorithms was published", "keys of several algorithms are refused at start", TestOutage_gov2013, "TestOutage_gov2013"},
		{"nasa.gov", "2012-01-18", "old key material was gone while caches still had it", "nothing is taken away before it has left every cache", TestOutage_nasa2012, "TestOutage_nasa2012"},
		{"APNIC reverse zones", "2012-12-07", "a stand-by signer had other ZSKs", "a key list that is not what rollover left blocks the rollover, and is never adopted", TestOutage_apnic2012, "TestOutage_apnic2012"},
		{"e164.arpa", "2011-02-15", "the signature of the current KSK was missing after the DS was published", "every wait is looked at again in the tick that acts", TestOutage_e164arpa2011, "TestOutage_e164arpa2011"},
		{"dlv.isc.org", "2009-04-06", "the script had no access to the KSK, and did not fail", "exit codes are not believed: the key list is read back", TestOutage_dlv2009, "TestOutage_dlv2009"},
		{"ripe.net", "1 November", "a TTL of 864,000 by a typo stopped signing anew; the monitor looked at the SOA only", "expiry cannot be prevented; the hold follows the largest TTL of the zone, so the typo delays and does not break", TestOutage_ripe, "TestOutage_ripe"},
		{"RIPE NCC", "2010-06-14", "the ZSK was not published on the new signers", "*switch* needs the new key in the DNSKEY set of every server", TestOutage_ripencc2010, "TestOutage_ripencc2010"},
		{"C-root", "2024-05-18", "one server was four days behind", "every server of the parent must show the DS; no delay is assumed", TestOutage_croot2024, "TestOutage_croot2024"},
		{"change of provider", "undated", "stale DS, and an NS set for five minutes", "a server that joins starts at zero; one that has been asked is still asked. The DS that nobody asked to remove is not removed by rollover", TestOutage_provider, "TestOutage_provider"},
		{"domainincite.com", "2022", "the registrar kept the DS after DNSSEC was dropped", "not done by rollover today: it does not take DNSSEC away", nil, ""},
		{".se", "2009-10-12", "a bad zone file, then an emergency zone without signatures", "cannot be prevented: zone contents are not rollover's. Start refuses a zone that is served unsigned", TestOutage_qxam2021, "TestOutage_qxam2021"},
		{"PowerDNS how-to", "since 2022", "no wait for the TTL of the DS", "as .nz: settled(DS has new) before *switch*", TestOutage_nz2023, "TestOutage_nz2023"},
		{"domain, dnst", "2026", "a wait used the timestamp of another record; another the TTL of the new record", "a wait is a statement about one record, and its TTL a high-water mark", TestOutage_dnst2026, "TestOutage_dnst2026"},
		{"Cascade, dnst", "2026", "an old DS that stays blocks the rollover for ever", "\"has\" and \"lacks\" instead of equality: strangers' DS records are tolerated", TestOutage_cascade2026, "TestOutage_cascade2026"},
		{"Hopbox", "undated", "clock skew; a DS that never came; a forgotten serial", "time is earned, not read; no timeout acts; the serial is raised after each change, and each server's signatures are looked at", TestOutage_hopbox, "TestOutage_hopbox"},
	}
}

// The page is the list.
func TestOutagesPage(t *testing.T) {
	var out strings.Builder
	out.WriteString("# Outages of others, and what rollover does\n\n")
	out.WriteString("Made from the list in `rollover/outage_test.go`, where each is a test; sources are named there and in the post-mortems of those concerned.\n")
	out.WriteString("Entries without a test are those that rollover does not prevent.\n\n")
	out.WriteString("| who | when | what happened | what rollover does | test |\n|---|---|---|---|---|\n")
	for _, o := range outages() {
		test := "-"
		if o.scene != nil {
			test = "`" + o.test + "`"
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", o.who, o.when, o.happened, o.does, test)
	}
	path := filepath.Join("..", "docs", "outages.md")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != out.String() {
		t.Error("docs/outages.md is not what the list says: go test ./rollover -run OutagesPage -update, and read the diff")
	}
}

// stays ticks n times, each look changed, and fails if a step is entered.
func stays(t *testing.T, w *rollovertest.World, p rollover.Policy, n int, change func(*rollover.Sighting)) {
	t.Helper()
	before := w.Roll().Step
	for range n {
		w.ServeParent(p)
		whole(t, w, unit)
		tickSeeing(t, w, p, change)
		if r := w.Roll(); r.Step != before {
			t.Fatalf("step %s was entered", r.Step)
		}
	}
}

// goesOn drives the rollover to its end.
func goesOn(t *testing.T, w *rollovertest.World, p rollover.Policy) {
	t.Helper()
	drive(t, w, p, 400)
	finished(t, w)
}

// at changes what one server shows.
func at(server string, change func(*rollover.ServerSighting)) func(*rollover.Sighting) {
	return func(s *rollover.Sighting) {
		for i := range s.Servers {
			if s.Servers[i].Name == server {
				change(&s.Servers[i])
			}
		}
	}
}

// badKeys is a DNSKEY set of which no signature verifies.
func badKeys(fault string) func(*rollover.ServerSighting) {
	return func(o *rollover.ServerSighting) {
		if v := o.DNSKEY; v != nil {
			o.DNSKEY = &rollover.KeyVersion{Keys: v.Keys, TTL: v.TTL, Faults: []rollover.Signature{{Tag: v.Keys[0].Tag(), Algorithm: 13, Fault: fault}}}
		}
	}
}

// badData is data of which not every RRset has a signature that verifies.
func badData(fault string) func(*rollover.ServerSighting) {
	return func(o *rollover.ServerSighting) {
		if v := o.Data; v != nil {
			bad := *v
			bad.Signers, bad.Faults = nil, []rollover.Signature{{Tag: 0, On: "www.example.com. A", Fault: fault}}
			o.Data = &bad
		}
	}
}

// refusesStart starts under eyes that see something wrong.
func refusesStart(t *testing.T, w *rollovertest.World, kind string, change func(*rollover.Sighting)) {
	t.Helper()
	e := w.Engine(tight())
	e.Observer = eyes{w, change}
	keys := len(w.Keys)
	_, err := e.Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: kind})
	if !errors.Is(err, rollover.ErrRefused) || len(w.Keys) != keys {
		t.Errorf("start says %v, %d keys: expected it to be refused", err, len(w.Keys))
	}
}

func started(t *testing.T, layout string, ttl rollovertest.TTLs, o rollover.Order) (*rollovertest.World, rollover.Policy) {
	t.Helper()
	w := rollovertest.New(layout, ttl)
	start(t, w, tight(), o)
	return w, tight()
}

func TestOutage_de2026(t *testing.T) {
	w, p := started(t, "split", unequal, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	impostor := rollover.DNSKEY{Flags: 257, Algorithm: 13, PublicKey: w.Roll().Old[0].PublicKey}
	impostor.PublicKey = "AAAA" + impostor.PublicKey[4:]
	stays(t, w, p, 20, at("ns2", func(o *rollover.ServerSighting) {
		if o.DNSKEY != nil {
			set := *o.DNSKEY
			set.Signers = []rollover.DNSKEY{impostor}
			o.DNSKEY = &set
		}
	}))
	goesOn(t, w, p)
}

func TestOutage_ru2024(t *testing.T) {
	w := rollovertest.New("split", unequal)
	collide := true
	w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
		w.Apply(c)
		if c.Verb == "create" && collide {
			collide = false
			w.Keys[len(w.Keys)-1].Tag = w.Keys[0].Tag
		}
		return nil
	}
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	if r := w.Roll(); len(r.New) != 1 || r.New[0].Tag == w.Keys[0].Tag {
		t.Fatalf("the new key is %v beside %v", r.New, w.Keys)
	}
	goesOn(t, w, tight())
}

func TestOutage_nz2023(t *testing.T) {
	w, p := started(t, "split", rollovertest.TTLs{DS: 24 * unit, DNSKEY: unit, Data: unit}, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.Lag["p2"] = 5 * unit
	w.ServeParent(p)
	stays(t, w, p, 5+24-1, func(*rollover.Sighting) {})
	goesOn(t, w, p)
}

func TestOutage_au2023(t *testing.T) {
	w, p := started(t, "split", unequal, rollover.Order{Type: "zsk"})
	toStep(t, w, p, "switch")
	stays(t, w, p, 30, at("ns1", badData("does not verify")))
	goesOn(t, w, p)
}

func TestOutage_se2022(t *testing.T) {
	w, p := started(t, "csk", unequal, rollover.Order{Type: "csk"})
	toStep(t, w, p, "withdraw")
	stays(t, w, p, 30, at("ns2", badData("does not verify")))
	goesOn(t, w, p)
}

func TestOutage_fj2022(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.Lag["ns2"] = 50 * unit
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	stays(t, w, tight(), 50, func(*rollover.Sighting) {})
	w.Lag["ns2"] = 0
	goesOn(t, w, tight())
}

func TestOutage_na2022(t *testing.T) {
	none := func(o *rollover.ServerSighting) {
		if o.DNSKEY != nil {
			o.DNSKEY = &rollover.KeyVersion{TTL: 60}
		}
	}
	refusesStart(t, rollovertest.New("split", unequal), "ksk", at("ns1", none))
	w, p := started(t, "split", unequal, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "withdraw")
	stays(t, w, p, 20, at("ns1", none))
	if n := w.Roll().Need; n == nil || !n.Gone {
		t.Errorf("the need is %+v: expected it to say that something is gone", n)
	}
	goesOn(t, w, p)
}

func TestOutage_qxam2021(t *testing.T) {
	refusesStart(t, rollovertest.New("split", unequal), "ksk", at("ns2", func(o *rollover.ServerSighting) {
		o.DNSKEY, o.Data = &rollover.KeyVersion{TTL: 60}, &rollover.DataVersion{TTL: 60}
	}))
}

func TestOutage_dnsops2018(t *testing.T) {
	refusesStart(t, rollovertest.New("split", unequal), "ksk", at("ns2", badKeys("expired at 2018-09-08")))
	w, p := started(t, "split", unequal, rollover.Order{Type: "zsk"})
	toStep(t, w, p, "switch")
	stays(t, w, p, 20, at("ns2", badData("expired at 2018-09-08")))
	goesOn(t, w, p)
}

func TestOutage_iastate2017(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.SetDS([]rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}})
	w.Advance(0)
	refusesStart(t, w, "ksk", func(*rollover.Sighting) {})
	w, p := started(t, "split", unequal, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.Operator = func(w *rollovertest.World, want []rollover.DS) {
		want[len(want)-1].Digest = strings.Repeat("0", 64)
		w.SetDS(want)
	}
	stays(t, w, p, 30, func(*rollover.Sighting) {})
	if s := describe(t, w, p); !strings.Contains(fmt.Sprintf("%+v", s), "wrong DS") {
		t.Errorf("status does not name the typo: %+v", s)
	}
	w.Operator = nil
	goesOn(t, w, p)
}

func TestOutage_red2014(t *testing.T) {
	w, p := started(t, "csk", unequal, rollover.Order{Type: "csk", Method: "double-signature"})
	stays(t, w, p, 30, at("ns2", badKeys("unsigned")))
	goesOn(t, w, p)
}

func TestOutage_gov2013(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.Keys[1].Algorithm = 8
	refusesStart(t, w, "zsk", func(*rollover.Sighting) {})
}

func TestOutage_nasa2012(t *testing.T) {
	w, p := started(t, "split", rollovertest.TTLs{DS: unit, DNSKEY: 24 * unit, Data: unit}, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	w.ServeParent(p)
	stays(t, w, p, 24-1, func(*rollover.Sighting) {})
	goesOn(t, w, p)
}

func TestOutage_apnic2012(t *testing.T) {
	w, p := started(t, "split", unequal, rollover.Order{Type: "zsk"})
	w.AddKey(256, false, true)
	for range 20 {
		whole(t, w, unit)
		tickDue(t, w, p)
	}
	if r := w.Roll(); r.State != rollover.StateBlocked || len(r.New) != 1 {
		t.Errorf("%s with new keys %v: expected it to be blocked", r.State, r.New)
	}
}

func TestOutage_e164arpa2011(t *testing.T) {
	w, p := started(t, "split", unequal, rollover.Order{Type: "ksk", Method: "double-signature"})
	toStep(t, w, p, "submit")
	w.ServeParent(p)
	stays(t, w, p, 30, at("ns1", func(o *rollover.ServerSighting) {
		if v := o.DNSKEY; v != nil {
			set := *v
			set.Signers = []rollover.DNSKEY{w.Roll().Old[0].DNSKEY()}
			o.DNSKEY = &set
		}
	}))
	goesOn(t, w, p)
}

func TestOutage_dlv2009(t *testing.T) {
	w, p := started(t, "split", unequal, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.OnDo = func(*rollovertest.World, rollover.Command) error { return nil }
	for range 20 {
		w.ServeParent(p)
		whole(t, w, unit)
		tick(t, w, p)
	}
	if r := w.Roll(); r.Step != "submit" || r.Trouble == nil {
		t.Fatalf("step %s, trouble %v: expected trouble", r.Step, r.Trouble)
	}
	w.OnDo = nil
	goesOn(t, w, p)
}

func TestOutage_ripe(t *testing.T) {
	w, p := started(t, "split", rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: 240 * unit}, rollover.Order{Type: "zsk"})
	toStep(t, w, p, "switch")
	stays(t, w, p, 239, func(*rollover.Sighting) {})
	goesOn(t, w, p)
}

func TestOutage_ripencc2010(t *testing.T) {
	w, p := started(t, "split", unequal, rollover.Order{Type: "zsk"})
	old := w.Roll().Old[0].DNSKEY()
	ksk := w.Keys[0].DNSKEY()
	stays(t, w, p, 30, at("ns2", func(o *rollover.ServerSighting) {
		if o.DNSKEY != nil {
			o.DNSKEY = &rollover.KeyVersion{Keys: []rollover.DNSKEY{ksk, old}, Signers: []rollover.DNSKEY{ksk}, TTL: o.DNSKEY.TTL}
		}
	}))
	goesOn(t, w, p)
}

func TestOutage_croot2024(t *testing.T) {
	w, p := started(t, "split", unequal, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.Lag["p2"] = 4 * 24 * time.Hour / 60 // four days, at a minute for an hour
	w.ServeParent(p)
	stays(t, w, p, 95, func(*rollover.Sighting) {})
	w.Lag["p2"] = 0
	goesOn(t, w, p)
}

func TestOutage_provider(t *testing.T) {
	w, p := started(t, "split", unequal, rollover.Order{Type: "zsk"})
	stale := func(s *rollover.Sighting) {
		joined := s.Servers[0]
		joined.Name, joined.Address = "ns3", "ns3"
		if v := joined.DNSKEY; v != nil {
			joined.DNSKEY = &rollover.KeyVersion{Keys: v.Keys[:2], Signers: v.Signers, TTL: v.TTL}
		}
		s.Servers = append(s.Servers, joined)
	}
	stays(t, w, p, 20, stale)
	goesOn(t, w, p)
}

func TestOutage_dnst2026(t *testing.T) {
	TestOutage_nasa2012(t) // its second wait would have been zero here: the DS has settled long ago
	w, p := started(t, "split", rollovertest.TTLs{DS: unit, DNSKEY: 24 * unit, Data: unit}, rollover.Order{Type: "ksk"})
	w.SetTTL(rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: unit})
	toStep(t, w, p, "switch")
	w.ServeParent(p)
	stays(t, w, p, 24-1, func(*rollover.Sighting) {})
	goesOn(t, w, p)
}

func TestOutage_cascade2026(t *testing.T) {
	w := rollovertest.New("split", unequal)
	stranger := rollover.DS{Tag: 1, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
	w.SetDS([]rollover.DS{dsOf(w, 2), stranger})
	w.Operator = func(w *rollovertest.World, want []rollover.DS) { w.SetDS(append(want, stranger)) }
	start(t, w, tight(), rollover.Order{Type: "ksk"})
	goesOn(t, w, tight())
}

func TestOutage_hopbox(t *testing.T) {
	w, p := started(t, "split", unequal, rollover.Order{Type: "ksk"})
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	toStep(t, w, p, "submit")
	w.Skew = 1000 * time.Hour
	stays(t, w, p, 200, func(*rollover.Sighting) {})
	w.Operator = nil
	goesOn(t, w, p)
}
