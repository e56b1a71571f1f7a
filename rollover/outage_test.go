package rollover_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// The history of outages as tests: what happened to others, told again with
// this tool in their place. docs/outages.md is made from this list.

// outage is one entry. What the tool does is what the scene shows, and the
// tests named in also, by their file, where the scene cannot.
type outage struct {
	who, when string
	happened  string
	does      string
	scene     func(*testing.T)
	also      []string
	source    string
}

func outages() []outage {
	return []outage{
		{".de", "2026-05-05", "three new keys had one tag; one of them was published, the others signed", "a key is known by its public key: another one with its tag, published or signing in its place, does not count as it. That of a ZSK is learned from DNSKEY sets that the zone's KSK signed, since pdnsutil does not print it: an impostor that all servers show from the beginning is taken for it", TestOutage_de2026, nil, "blog.denic.de, final report"},
		{".ru", "2024-01-30", "the new key collided with another", "a new key with the tag of another key of the zone, or of a DS at the parent, is deleted and made again before it is used", TestOutage_ru2024, nil, "www1.ru, domainersmagazine.com"},
		{".nz second levels", "2023-05-29", "signatures of the old KSK were removed while the old DS was cached", "*switch* waits factor x the TTL that the parent's servers showed, after the last of them has the new DS", TestOutage_nz2023, nil, "internetnz.nz, technical incident report"},
		{".au", "2023-09-18 and 2022-03-22", "wrong signatures after signing anew", "no step while a server's signatures do not verify", TestOutage_au2023, nil, "domainincite.com, ianix.com"},
		{".se", "2022-02-04", "wrong signatures on some of the records", "data counts as signed only if every RRset looked at is (SOA, NS, an NXDOMAIN, up to 8 more; which ones those are, and that one bad one is enough, is shown by the tests of the probe): a record that is not looked at is not noticed", TestOutage_se2022, []string{"rollover/probe/read_test.go:TestSignaturesOnData", "rollover/probe/read_test.go:TestDenials"}, "dns-operations, February 2022; internetstiftelsen.se"},
		{".fj", "2022-03-08", "signed with a key that was not published", "a key signs only after it was published on every server for factor x the TTL of the DNSKEY set", TestOutage_fj2022, nil, "domainincite.com, ianix.com"},
		{".na", "2022-10-04 and 2019-07-08", "a DS at the root, and no DNSKEY served", "start refuses; in a rollover no step is taken, and it is told that something is gone", TestOutage_na2022, nil, "ianix.com"},
		{"Slack", "2021-09-30", "DNSSEC was switched off while the DS was cached for a day", "back to unsigned (type unsign): no key goes before every server of the parent has no DS, and then for factor x the TTL that it had; until then `rollover revert` brings the DS back", TestOutage_slack2021, nil, "slack.engineering"},
		{".xn--qxam", "2021-08-01", "delegated as signed, served unsigned", "start refuses if one server is unsigned", TestOutage_qxam2021, nil, "ianix.com"},
		{"dnsops.gov, dotat.at, .mm", "2018, 2017, 2016", "signatures expired", "cannot be prevented: PowerDNS signs. Start refuses, and no step is taken, while a server's signatures are expired; start refuses also three days before, and `check` warns five days before", TestOutage_dnsops2018, nil, "ianix.com"},
		{"iastate.edu", "2017-05-12", "the DS matched no DNSKEY", "start refuses; the DS is computed from the key and compared octet by octet: a typo never counts, and is named", TestOutage_iastate2017, nil, "ianix.com"},
		{".red", "2014-01-20", "no signatures from some of the servers", "all servers count, not one", TestOutage_red2014, nil, "ianix.com"},
		{".gov", "2013-08-14", "only one of two algorithms was published", "keys of several algorithms are refused at start; in an algorithm rollover the new one is published only after both sign on every server for factor x the largest TTL of the zone", TestOutage_gov2013, nil, "internetsociety.org, isc.sans.edu 16367"},
		{"nasa.gov", "2012-01-18", "old key material was gone while caches still had it", "nothing is taken away before it has left every cache", TestOutage_nasa2012, nil, "internetsociety.org, circleid.com"},
		{"APNIC reverse zones", "2012-12-07", "a stand-by signer had other ZSKs", "a key list that is not what rollover left blocks the rollover, and is never adopted", TestOutage_apnic2012, nil, "apnic.net, service announcement"},
		{"e164.arpa", "2011-02-15", "the signature of the current KSK was missing after the DS was published", "every wait is looked at again in the tick that acts", TestOutage_e164arpa2011, nil, "RIPE dns-wg"},
		{"dlv.isc.org", "2009-04-06", "the script had no access to the KSK, and did not fail", "exit codes are not believed: the key list is read back", TestOutage_dlv2009, nil, "dns-operations, April 2009"},
		{"ripe.net", "1 November", "a TTL of 864,000 by a typo stopped signing anew; the monitor looked at the SOA only", "expiry cannot be prevented. `check` warns of a TTL of more than a day on what it looks at; the hold follows the largest TTL of the zone (list-zone), looked at or not, so the typo delays and does not break", TestOutage_ripe, nil, "status.ripe.net/incidents/5pl1dpp2kvmz"},
		{"RIPE NCC", "2010-06-14", "the ZSK was not published on the new signers", "*switch* needs the new key in the DNSKEY set of every server", TestOutage_ripencc2010, nil, "dns-operations, June 2010"},
		{"C-root", "2024-05-18", "one server was four days behind", "every server of the parent must show the DS; no delay is assumed", TestOutage_croot2024, nil, "circleid.com"},
		{"change of provider", "undated", "stale DS, and an NS set for five minutes", "a server that joins starts at zero; one that has left the NS set is asked on and waited for until it is excluded; a DS of others is left alone, and nobody is asked to remove it. That the NS set changes does not stop a rollover", TestOutage_provider, []string{"rollover/probe/real_test.go:TestKnownServersReplaceASilentParent"}, "serveraide.com"},
		{"domainincite.com", "2022", "the registrar kept the DS after DNSSEC was dropped", "back to unsigned: while the parent shows any DS, whosever it is, or shows none without proof, the keys stay and sign, and the DS to remove is named", TestOutage_domainincite2022, nil, "domainincite.com"},
		{".se", "2009-10-12", "a bad zone file, then an emergency zone without signatures", "cannot be prevented: zone contents are not rollover's. `check` calls an unsigned zone with a DS critical, on each server that serves it; start and sign refuse it", TestOutage_se2009, nil, "iis.se"},
		{"PowerDNS how-to", "since 2022", "no wait for the TTL of the DS", "as .nz: settled(DS has new) before *switch*", TestOutage_nz2023, nil, "PowerDNS issue 11865"},
		{"domain, dnst", "2026", "a wait used the timestamp of another record; another the TTL of the new record", "a wait is a statement about one record, and its TTL a high-water mark", TestOutage_dnst2026, nil, "their code; dnst issue 187"},
		{"Cascade, dnst", "2026", "an old DS that stays blocks the rollover for ever", "\"has\" and \"lacks\" instead of equality: strangers' DS records are tolerated", TestOutage_cascade2026, nil, "Cascade issues 282 and 283"},
		{"Hopbox", "undated", "clock skew; a DS that never came; a forgotten serial", "time is earned, not read: by the boot clock, across a reboot at most max_gap; no timeout acts; the serial is raised after each change, and a server that did not get it is waited for by name", TestOutage_hopbox, nil, "blog"},
	}
}

// test is the name of the scene.
func (o outage) test() string {
	name := runtime.FuncForPC(reflect.ValueOf(o.scene).Pointer()).Name()
	return name[strings.LastIndex(name, ".")+1:]
}

// tests is the column of the page: the scene, and what else shows it.
func (o outage) tests() string {
	names := []string{"`" + o.test() + "`"}
	for _, also := range o.also {
		_, name, _ := strings.Cut(also, ":")
		names = append(names, "`"+name+"` ("+filepath.Dir(also)+")")
	}
	return strings.Join(names, ", ")
}

// The page is the list.
func TestOutagesPage(t *testing.T) {
	var out strings.Builder
	out.WriteString("# Outages of others, and what rollover does\n\n")
	out.WriteString("Made from the list in `rollover/outage_test.go`; each row has a test that plays it. Scenes with waits are played twice, with the gates before steps that take something away and without them,\n")
	out.WriteString("so that neither hides that the other is missing. What rollover cannot prevent is called so; the test then shows that it is noticed.\n\n")
	out.WriteString("| who | when | what happened | what rollover does | test | source |\n|---|---|---|---|---|---|\n")
	for _, o := range outages() {
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s |\n", o.who, o.when, o.happened, o.does, o.tests(), o.source)
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

// Every scene is in the list, and every other test that the list names exists.
func TestOutagesAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, o := range outages() {
		listed[o.test()] = true
		for _, also := range o.also {
			file, name, _ := strings.Cut(also, ":")
			text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
			if err != nil || !bytes.Contains(text, []byte("func "+name+"(")) {
				t.Errorf("%s has no test %s (%v)", file, name, err)
			}
		}
	}
	text, err := os.ReadFile("outage_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "func "), "(")
		if strings.HasPrefix(line, "func TestOutage_") && !listed[name] {
			t.Errorf("%s is in no row of the list", name)
		}
	}
}

// stage makes the world of a scene.
type stage func(layout string, ttl rollovertest.TTLs) *rollovertest.World

// perform plays a scene twice: as the tool is, and by the waits alone, since the
// gates would stop most of what a missing wait lets through.
func perform(t *testing.T, scene func(*testing.T, stage)) {
	t.Helper()
	t.Run("with gates", func(t *testing.T) { scene(t, rollovertest.New) })
	t.Run("by waits alone", func(t *testing.T) {
		scene(t, func(layout string, ttl rollovertest.TTLs) *rollovertest.World {
			w := rollovertest.New(layout, ttl)
			w.Tune = rollover.Ungate
			return w
		})
	})
}

// started is a world in which a rollover was started.
func (world stage) started(t *testing.T, layout string, ttl rollovertest.TTLs, o rollover.Order) (*rollovertest.World, rollover.Policy) {
	t.Helper()
	w := world(layout, ttl)
	start(t, w, tight(), o)
	return w, tight()
}

// sees changes every look from now on, until the function that it returns is called.
func sees(w *rollovertest.World, change func(*rollover.Sighting)) (mend func()) {
	tune := w.Tune
	w.Tune = func(e *rollover.Engine) {
		if tune != nil {
			tune(e)
		}
		e.Observer = eyes{w, change}
	}
	return func() { w.Tune = tune }
}

func asItIs(*rollover.Sighting) {}

// stays ticks n times, each look changed, and fails if a step is entered.
func stays(t *testing.T, w *rollovertest.World, p rollover.Policy, n int, change func(*rollover.Sighting)) {
	t.Helper()
	before := w.Roll().Step
	for i := range n {
		w.ServeParent(p)
		whole(t, w, unit)
		tickSeeing(t, w, p, change)
		if r := w.Roll(); r.Step != before || r.State != rollover.StateActive {
			t.Fatalf("it is %s at step %s after %d of %d, expected to stay at %s", r.State, r.Step, i+1, n, before)
		}
	}
}

// goesOn drives the rollover to its end.
func goesOn(t *testing.T, w *rollovertest.World, p rollover.Policy) {
	t.Helper()
	drive(t, w, p, 400)
	finished(t, w)
}

// unsigned drives a world to where it has no keys and no DS.
func unsigned(t *testing.T, w *rollovertest.World, p rollover.Policy) {
	t.Helper()
	drive(t, w, p, 400)
	if w.Roll().State != rollover.StateDone || len(w.Keys)+len(w.DSSet()) > 0 {
		t.Errorf("it is %s with keys %v and DS %v, need %+v", w.Roll().State, w.Keys, w.DSSet(), w.Roll().Need)
	}
}

// says fails unless status names something.
func says(t *testing.T, w *rollovertest.World, p rollover.Policy, words string) {
	t.Helper()
	if s := describe(t, w, p); !strings.Contains(fmt.Sprintf("%+v", s), words) {
		t.Errorf("status does not say %q: %+v", words, s)
	}
}

// finds fails unless check has a finding, and is as severe as that.
func finds(t *testing.T, c rollover.Checkup, code string, severity rollover.Severity) {
	t.Helper()
	if !slices.Contains(codes(c), code) || c.Severity != severity {
		t.Errorf("check says %s, %v; expected %s, %s", c.Severity, c.Findings, severity, code)
	}
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

// impersonated puts one key in the place of another wherever a server shows it.
func impersonated(from, to rollover.DNSKEY) func(*rollover.ServerSighting) {
	swap := func(keys []rollover.DNSKEY) []rollover.DNSKEY {
		keys = slices.Clone(keys)
		for i, k := range keys {
			if k == from {
				keys[i] = to
			}
		}
		return keys
	}
	return func(o *rollover.ServerSighting) {
		if v := o.DNSKEY; v != nil {
			o.DNSKEY = &rollover.KeyVersion{Keys: swap(v.Keys), Signers: swap(v.Signers), TTL: v.TTL, Expires: v.Expires}
		}
		if v := o.Data; v != nil {
			data := *v
			data.Signers, o.Data = swap(v.Signers), &data
		}
	}
}

// refusesStart starts under eyes that see something wrong; it must be refused
// for that and not for anything else.
func refusesStart(t *testing.T, w *rollovertest.World, kind, reason string, change func(*rollover.Sighting)) {
	t.Helper()
	defer sees(w, change)()
	if err := startRefused(t, w, rollover.Order{Type: kind}, reason); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("start says %v: it is not a refusal", err)
	}
}

// The impostor has the tag, the flags and the algorithm of a key: it must not
// count as it where it is published instead, nor where it signs.
func TestOutage_de2026(t *testing.T) {
	t.Run("published", func(t *testing.T) { perform(t, impostorPublished) })
	t.Run("signing keys", func(t *testing.T) { perform(t, impostorSigning("ksk", "switch")) })
	t.Run("signing data", func(t *testing.T) { perform(t, impostorSigning("zsk", "switch")) })
}

// From the first look on, so that nobody has told yet which of the two is the
// key: show-zone does not print the public key of a ZSK.
func impostorPublished(t *testing.T, world stage) {
	w, p := world("split", unequal), tight()
	before := len(w.Keys)
	impostor := func(s *rollover.Sighting) {
		for _, k := range w.Keys[before:] {
			at("ns2", impersonated(k.DNSKEY(), rollovertest.Twin(k.DNSKEY())))(s)
		}
	}
	mend := sees(w, impostor)
	start(t, w, p, rollover.Order{Type: "zsk"})
	stays(t, w, p, 20, impostor)
	mend()
	goesOn(t, w, p)
}

func impostorSigning(kind, step string) func(*testing.T, stage) {
	return func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: kind})
		toStep(t, w, p, step)
		key := w.Keys[len(w.Keys)-1].DNSKEY()
		twin := rollovertest.Twin(key)
		if twin.Tag() != key.Tag() || twin == key {
			t.Fatalf("%v is no twin of %v", twin, key)
		}
		stays(t, w, p, 20, at("ns2", func(o *rollover.ServerSighting) {
			published := o.DNSKEY
			impersonated(key, twin)(o)
			if published != nil {
				o.DNSKEY = &rollover.KeyVersion{Keys: published.Keys, Signers: o.DNSKEY.Signers, TTL: published.TTL}
			}
		}))
		goesOn(t, w, p)
	}
}

func TestOutage_ru2024(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w := world("split", unequal)
		stranger := rollover.DS{Tag: 4711, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
		w.SetDS(append(w.DSSet(), stranger))
		w.Advance(unequal.DS)
		taken := []uint16{w.Keys[1].Tag, stranger.Tag} // of the ZSK, which has no DS
		w.OnDo = func(w *rollovertest.World, c rollover.Command) error {
			w.Apply(c)
			if c.Verb == "create" && len(taken) > 0 {
				w.Keys[len(w.Keys)-1].Tag, taken = taken[0], taken[1:]
			}
			return nil
		}
		start(t, w, tight(), rollover.Order{Type: "zsk"})
		if r := w.Roll(); len(r.New) != 1 || r.New[0].Tag == w.Keys[1].Tag || r.New[0].Tag == stranger.Tag || len(taken) > 0 {
			t.Fatalf("the new key is %v beside %v", r.New, w.Keys)
		}
		goesOn(t, w, tight())
	})
}

func TestOutage_nz2023(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", rollovertest.TTLs{DS: 24 * unit, DNSKEY: unit, Data: unit}, rollover.Order{Type: "ksk"})
		toStep(t, w, p, "submit")
		w.Lag["p2"] = 5 * unit
		w.ServeParent(p)
		stays(t, w, p, 5+24-1, asItIs)
		goesOn(t, w, p)
	})
}

func TestOutage_au2023(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "zsk"})
		toStep(t, w, p, "switch")
		stays(t, w, p, 30, at("ns1", badData("does not verify")))
		goesOn(t, w, p)
	})
}

func TestOutage_se2022(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "csk", unequal, rollover.Order{Type: "csk"})
		toStep(t, w, p, "withdraw")
		stays(t, w, p, 30, at("ns2", badData("does not verify")))
		goesOn(t, w, p)
	})
}

func TestOutage_fj2022(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w := world("split", unequal)
		w.Lag["ns2"] = 50 * unit
		start(t, w, tight(), rollover.Order{Type: "zsk"})
		stays(t, w, tight(), 50+4-1, asItIs) // 4 is the TTL of the DNSKEY set
		w.Lag["ns2"] = 0
		goesOn(t, w, tight())
	})
}

func TestOutage_na2022(t *testing.T) {
	none := func(o *rollover.ServerSighting) {
		if o.DNSKEY != nil {
			o.DNSKEY = &rollover.KeyVersion{TTL: 60}
		}
	}
	refusesStart(t, rollovertest.New("split", unequal), "ksk", "has no DNSKEY set", at("ns1", none))
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "ksk"})
		toStep(t, w, p, "withdraw")
		stays(t, w, p, 20, at("ns1", none))
		if n := w.Roll().Need; n == nil || !n.Gone {
			t.Errorf("the need is %+v: expected it to say that something is gone", n)
		}
		goesOn(t, w, p)
	})
}

func TestOutage_slack2021(t *testing.T) {
	ttl := rollovertest.TTLs{DS: 24 * unit, DNSKEY: unit, Data: unit}
	withdrawn := func(t *testing.T, world stage) (*rollovertest.World, rollover.Policy) {
		w, p := world.started(t, "csk", ttl, rollover.Order{Type: "unsign"})
		toStep(t, w, p, "withdraw")
		w.Lag["p2"] = 5 * unit
		w.ServeParent(p)
		return w, p
	}
	t.Run("to the end", func(t *testing.T) {
		perform(t, func(t *testing.T, world stage) {
			w, p := withdrawn(t, world)
			stays(t, w, p, 5+24-1, asItIs)
			unsigned(t, w, p)
		})
	})
	t.Run("back", func(t *testing.T) {
		perform(t, func(t *testing.T, world stage) {
			w, p := withdrawn(t, world)
			keys := slices.Clone(w.Keys)
			stays(t, w, p, 20, asItIs)
			if err := revert(w, false); err != nil {
				t.Fatal(err)
			}
			drive(t, w, p, 400)
			if w.Roll().State != rollover.StateCancelled || !slices.Equal(w.Keys, keys) || !slices.Equal(w.DSSet(), w.DSOf(keys...)) {
				t.Errorf("it is %s with keys %v and DS %v, need %+v", w.Roll().State, w.Keys, w.DSSet(), w.Roll().Need)
			}
		})
	})
}

func TestOutage_qxam2021(t *testing.T) {
	refusesStart(t, rollovertest.New("split", unequal), "ksk", "at server ns2: expected a DNSKEY set signed by a key of", at("ns2", func(o *rollover.ServerSighting) {
		o.DNSKEY, o.Data = &rollover.KeyVersion{TTL: 60}, &rollover.DataVersion{TTL: 60}
	}))
}

func TestOutage_dnsops2018(t *testing.T) {
	ends := func(days time.Duration) func(*rollover.Sighting) {
		return server("ns2", func(o *rollover.ServerSighting) {
			if o.Data != nil {
				o.Data.Expires = o.Data.Expires.Add((days - 10) * 24 * time.Hour) // worlds sign for ten days
			}
		})
	}
	refusesStart(t, rollovertest.New("split", unequal), "ksk", "expired at 2018-09-08", at("ns2", badKeys("expired at 2018-09-08")))
	refusesStart(t, rollovertest.New("split", unequal), "ksk", "signatures expire at", ends(2))
	w := rollovertest.New("split", unequal)
	finds(t, rollover.Check(rollover.Dossier{Zone: rollovertest.Zone}, seen(t, ends(4)), tight(), rollover.DefaultLimits(), w.Now.Wall), rollover.FindingExpiry, rollover.SeverityWarning)
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "zsk"})
		toStep(t, w, p, "switch")
		stays(t, w, p, 20, at("ns2", badData("expired at 2018-09-08")))
		goesOn(t, w, p)
	})
}

func TestOutage_iastate2017(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.SetDS([]rollover.DS{{Tag: 1, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}})
	refusesStart(t, w, "ksk", "the chain is broken already", asItIs)
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "ksk"})
		toStep(t, w, p, "submit")
		w.Operator = func(w *rollovertest.World, want []rollover.DS) {
			want[len(want)-1].Digest = strings.Repeat("0", 64)
			w.SetDS(want)
		}
		stays(t, w, p, 30, asItIs)
		says(t, w, p, "wrong DS")
		w.Operator = nil
		goesOn(t, w, p)
	})
}

func TestOutage_red2014(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "csk", unequal, rollover.Order{Type: "csk", Method: "double-signature"})
		stays(t, w, p, 30, at("ns2", badKeys("unsigned")))
		goesOn(t, w, p)
	})
}

func TestOutage_gov2013(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.Keys[1].Algorithm = 8
	refusesStart(t, w, "csk", "several algorithms", asItIs)
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "csk", rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: 24 * unit}, rollover.Order{Type: "algorithm", Algorithm: 15})
		made := w.Keys[1].DNSKEY()
		stays(t, w, p, 30, at("ns2", func(o *rollover.ServerSighting) {
			if v := o.Data; v != nil {
				without := *v
				without.Signers = slices.DeleteFunc(slices.Clone(v.Signers), func(k rollover.DNSKEY) bool { return k == made })
				o.Data = &without
			}
		}))
		stays(t, w, p, 24, asItIs)
		if r := w.Roll(); r.Step != "sign" || w.Keys[1].Published || !w.Keys[1].Active {
			t.Errorf("at %s with %+v: expected the new key to sign, and not to be published", r.Step, w.Keys[1])
		}
		goesOn(t, w, p)
	})
}

func TestOutage_nasa2012(t *testing.T) { perform(t, cachedKeys) }

func cachedKeys(t *testing.T, world stage) {
	w, p := world.started(t, "split", rollovertest.TTLs{DS: unit, DNSKEY: 24 * unit, Data: unit}, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "switch")
	w.ServeParent(p)
	stays(t, w, p, 24-1, asItIs)
	goesOn(t, w, p)
}

func TestOutage_apnic2012(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "zsk"})
		w.AddKey(256, false, true)
		for range 20 {
			whole(t, w, unit)
			tickDue(t, w, p)
		}
		if r := w.Roll(); r.State != rollover.StateBlocked || len(r.New) != 1 {
			t.Errorf("%s with new keys %v: expected it to be blocked", r.State, r.New)
		}
	})
}

func TestOutage_e164arpa2011(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "ksk", Method: "double-signature"})
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
	})
}

func TestOutage_dlv2009(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "ksk"})
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
	})
}

// The record with the typo is not among those that are looked at: only the
// list of all records shows it.
func TestOutage_ripe(t *testing.T) {
	typo := rollovertest.New("split", rollovertest.TTLs{DS: time.Hour, DNSKEY: time.Hour, Data: 864000 * time.Second})
	finds(t, checkup(t, typo, 0), rollover.FindingTTL, rollover.SeverityWarning)
	perform(t, func(t *testing.T, world stage) {
		w, p := world("split", rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: 240 * unit}), tight()
		unsampled := func(s *rollover.Sighting) {
			for i := range s.Servers {
				if v := s.Servers[i].Data; v != nil {
					data := *v
					data.TTL, s.Servers[i].Data = 60, &data
				}
			}
		}
		mend := sees(w, unsampled)
		start(t, w, p, rollover.Order{Type: "zsk"})
		toStep(t, w, p, "switch")
		stays(t, w, p, 239, unsampled)
		mend()
		goesOn(t, w, p)
	})
}

func TestOutage_ripencc2010(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "zsk"})
		old := w.Roll().Old[0].DNSKEY()
		ksk := w.Keys[0].DNSKEY()
		stays(t, w, p, 30, at("ns2", func(o *rollover.ServerSighting) {
			if o.DNSKEY != nil {
				o.DNSKEY = &rollover.KeyVersion{Keys: []rollover.DNSKEY{ksk, old}, Signers: []rollover.DNSKEY{ksk}, TTL: o.DNSKEY.TTL}
			}
		}))
		goesOn(t, w, p)
	})
}

func TestOutage_croot2024(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world.started(t, "split", unequal, rollover.Order{Type: "ksk"})
		toStep(t, w, p, "submit")
		w.Lag["p2"] = 4 * 24 * time.Hour / 60 // four days, at a minute for an hour
		w.ServeParent(p)
		stays(t, w, p, 95, asItIs)
		w.Lag["p2"] = 0
		goesOn(t, w, p)
	})
}

func TestOutage_provider(t *testing.T) {
	t.Run("a server joins", func(t *testing.T) { perform(t, serverJoins) })
	t.Run("a server leaves", func(t *testing.T) { perform(t, serverLeaves) })
	t.Run("the DS of the one before stays", func(t *testing.T) { perform(t, staleDS) })
}

func serverJoins(t *testing.T, world stage) {
	w, p := world.started(t, "split", rollovertest.TTLs{DS: unit, DNSKEY: 24 * unit, Data: unit}, rollover.Order{Type: "zsk"})
	joined := func(s *rollover.Sighting) {
		ns3 := s.Servers[0]
		ns3.Name, ns3.Address = "ns3", "ns3"
		s.Servers = append(s.Servers, ns3)
	}
	stale := func(s *rollover.Sighting) {
		joined(s)
		at("ns3", func(o *rollover.ServerSighting) {
			if v := o.DNSKEY; v != nil {
				o.DNSKEY = &rollover.KeyVersion{Keys: v.Keys[:2], Signers: v.Signers, TTL: v.TTL}
			}
		})(s)
	}
	stays(t, w, p, 20, asItIs)
	stays(t, w, p, 24, joined)
	stays(t, w, p, 20, stale)
	goesOn(t, w, p)
}

// What a server served that nobody is sent to any more is in caches still, and
// they may go on asking it for as long as they remember the NS set.
func serverLeaves(t *testing.T, world stage) {
	w := world("split", unequal)
	w.Lag["ns2"] = 40 * unit
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	w.Delegated = []string{"ns1"}
	stays(t, w, tight(), 40+4-1, asItIs)
	w.Lag["ns2"] = 0
	goesOn(t, w, tight())
}

func staleDS(t *testing.T, world stage) {
	w, p := world("split", unequal), tight()
	stale := rollover.DS{Tag: 4711, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
	w.SetDS(append(w.DSSet(), stale))
	w.Advance(unequal.DS)
	w.Operator = func(w *rollovertest.World, want []rollover.DS) {
		if todo := w.Roll().Parent(p); slices.Contains(todo.Remove, stale) {
			t.Errorf("at %s the parent is asked to remove %v", w.Roll().Step, todo.Remove)
		}
		w.SetDS(append(want, stale))
	}
	start(t, w, p, rollover.Order{Type: "ksk"})
	goesOn(t, w, p)
	if !slices.Contains(w.DSSet(), stale) {
		t.Errorf("in the end the DS set is %v", w.DSSet())
	}
}

func TestOutage_domainincite2022(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w, p := world("csk", unequal), tight()
		p.Evidence = rollover.EvidenceValidated
		stray := rollover.DS{Tag: 4711, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
		w.SetDS(append(w.DSSet(), stray))
		w.Advance(unequal.DS)
		w.Operator = func(*rollovertest.World, []rollover.DS) {}
		start(t, w, p, rollover.Order{Type: "unsign"})
		toStep(t, w, p, "withdraw")
		stays(t, w, p, 30, asItIs)
		for _, d := range w.DSSet() {
			says(t, w, p, d.String())
		}
		none := func(*rollover.Roll) []rollover.DS { return nil }
		for name, standing := range unbelievable(w) {
			t.Log("no DS, ", name)
			stays(t, w, p, 20, claiming(none, w, standing))
		}
		keepsStray(t, w, p, stray)
		w.Operator = nil
		w.SetDS(nil)
		unsigned(t, w, p)
	})
}

// keepsStray lets the registrar remove only what it knows: the zone is broken by
// that for who needs the other one, and the keys stay all the same.
func keepsStray(t *testing.T, w *rollovertest.World, p rollover.Policy, stray rollover.DS) {
	t.Helper()
	look := func(s *rollover.Sighting) {
		for i := range s.Servers {
			if v := s.Servers[i].DS; v != nil {
				s.Servers[i].DS = &rollover.DSVersion{Set: []rollover.DS{stray}, TTL: v.TTL, Standing: v.Standing}
			}
		}
	}
	stays(t, w, p, 20, look)
}

func TestOutage_se2009(t *testing.T) {
	w := rollovertest.New("split", unequal)
	for _, k := range slices.Clone(w.Keys) {
		w.Apply(rollover.Command{Verb: rollover.VerbRemove, Key: k})
	}
	w.Advance(0)
	c := checkup(t, w, 0)
	finds(t, c, rollover.FindingKeys, rollover.SeverityCritical)
	if n := len(slices.DeleteFunc(codes(c), func(code string) bool { return code != rollover.FindingKeys })); n != 2 || c.Security != rollover.Bogus {
		t.Errorf("the zone is %s, and %d servers are named: expected both", c.Security, n)
	}
	refusesStart(t, w, "zsk", "is not signed", asItIs)
	refusesStart(t, w, "sign", "it is broken already", asItIs)
}

func TestOutage_dnst2026(t *testing.T) {
	t.Run("of another record", func(t *testing.T) { perform(t, cachedKeys) }) // by that of the DS its second wait would be over
	t.Run("of the new version", func(t *testing.T) { perform(t, loweredTTL) })
}

// The TTL is large in one look only, and small again in the set that follows.
func loweredTTL(t *testing.T, world stage) {
	w, p := world.started(t, "split", rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: unit}, rollover.Order{Type: "ksk"})
	w.SetTTL(rollovertest.TTLs{DS: unit, DNSKEY: 24 * unit, Data: unit})
	whole(t, w, unit)
	tickDue(t, w, p)
	w.SetTTL(rollovertest.TTLs{DS: unit, DNSKEY: unit, Data: unit})
	toStep(t, w, p, "switch")
	w.ServeParent(p)
	stays(t, w, p, 24-1, asItIs)
	goesOn(t, w, p)
}

func TestOutage_cascade2026(t *testing.T) {
	perform(t, func(t *testing.T, world stage) {
		w := world("split", unequal)
		stranger := rollover.DS{Tag: 1, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
		w.SetDS([]rollover.DS{dsOf(w, 2), stranger})
		w.Operator = func(w *rollovertest.World, want []rollover.DS) { w.SetDS(append(want, stranger)) }
		start(t, w, tight(), rollover.Order{Type: "ksk"})
		goesOn(t, w, tight())
	})
}

func TestOutage_hopbox(t *testing.T) {
	t.Run("the clock jumps", func(t *testing.T) { perform(t, clockJumps) })
	t.Run("the clock jumps across a reboot", func(t *testing.T) { perform(t, clockJumpsAcrossReboot) })
	t.Run("the DS never comes", func(t *testing.T) { perform(t, noDS) })
	t.Run("the serial is raised", func(t *testing.T) { perform(t, serialRaised) })
	t.Run("the serial is forgotten", func(t *testing.T) { perform(t, serialForgotten) })
}

// slowDS is a KSK rollover at the moment when its DS begins to settle, for a day
// of minutes.
func slowDS(t *testing.T, world stage, p rollover.Policy) *rollovertest.World {
	t.Helper()
	w := world("split", rollovertest.TTLs{DS: 24 * unit, DNSKEY: unit, Data: unit})
	start(t, w, p, rollover.Order{Type: "ksk"})
	toStep(t, w, p, "submit")
	w.ServeParent(p)
	stays(t, w, p, 5, asItIs)
	return w
}

func clockJumps(t *testing.T, world stage) {
	p := tight()
	w := slowDS(t, world, p)
	w.Skew = 1000 * time.Hour
	stays(t, w, p, 24-5, asItIs)
	goesOn(t, w, p)
}

// Across a reboot there is only the wall clock, and no more of it counts than max_gap.
func clockJumpsAcrossReboot(t *testing.T, world stage) {
	p := tight()
	p.MaxGap = 2 * unit
	w := slowDS(t, world, p)
	w.Skew, w.Now.BootID, w.Now.Boot = 1000*time.Hour, "boot-2", 0
	stays(t, w, p, 24-5-1, asItIs)
	goesOn(t, w, p)
}

func noDS(t *testing.T, world stage) {
	w, p := world.started(t, "split", unequal, rollover.Order{Type: "ksk"})
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	toStep(t, w, p, "submit")
	stays(t, w, p, 200, asItIs)
	finds(t, checkup(t, w, 8*24*time.Hour), rollover.FindingPending, rollover.SeverityWarning)
	w.Operator = nil
	goesOn(t, w, p)
}

// A secondary takes over what the serial announces, and nothing else.
func serialRaised(t *testing.T, world stage) {
	w := world("split", unequal)
	w.Transfers = true
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	goesOn(t, w, tight())
}

// In a zone of kind Native the serial is nobody's business, or should be.
func serialForgotten(t *testing.T, world stage) {
	w, p := world("split", unequal), tight()
	w.Transfers, w.ZoneKind = true, rollover.KindNative
	start(t, w, p, rollover.Order{Type: "zsk"})
	stays(t, w, p, 30, asItIs)
	says(t, w, p, "ns2 has no DNSKEY")
	w.ZoneKind = rollover.KindMaster
	if _, err := w.BumpSerial(context.Background(), rollovertest.Zone); err != nil {
		t.Fatal(err)
	}
	goesOn(t, w, p)
}
