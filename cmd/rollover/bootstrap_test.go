package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// The first DS of a zone and its last, with a parent that follows CDS.

// announced is the data of the records of one type, sorted, and whether the
// server vouches for them (AD).
func (r *registry) announced(server, name string, qtype uint16) (data []string, validated bool) {
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.SetEdns0(1232, true)
	answer, _, err := new(dns.Client).Exchange(m, server)
	if err != nil {
		return nil, false
	}
	for _, rr := range answer.Answer {
		if rr.Header().Rrtype == qtype {
			data = append(data, strings.ToUpper(strings.TrimPrefix(rr.String(), rr.Header().String())))
		}
	}
	slices.Sort(data)
	return data, answer.AuthenticatedData
}

// consistent is the CDS records of a zone if every server of it has the same, and
// CDNSKEY records that are the same everywhere too; else none (RFC 9615 section
// 4.2, steps 2 and 4).
func (r *registry) consistent(zone string) (cds, cdnskey []string) {
	servers := r.h.lab.ChildServers()
	cds, _ = r.announced(servers[0], zone, dns.TypeCDS)
	cdnskey, _ = r.announced(servers[0], zone, dns.TypeCDNSKEY)
	for _, server := range servers[1:] {
		one, _ := r.announced(server, zone, dns.TypeCDS)
		two, _ := r.announced(server, zone, dns.TypeCDNSKEY)
		if !slices.Equal(one, cds) || !slices.Equal(two, cdnskey) {
			return nil, nil
		}
	}
	return cds, cdnskey
}

// authenticated says whether validated signalling records below the names of
// all name servers are those of the zone (RFC 9615 section 4.2, steps 3 and 4).
func (r *registry) authenticated(zone string, hosts, cds, cdnskey []string) bool {
	for _, host := range hosts {
		name := "_dsboot." + zone + "_signal." + host
		for qtype, want := range map[uint16][]string{dns.TypeCDS: cds, dns.TypeCDNSKEY: cdnskey} {
			if got, validated := r.announced(r.h.lab.Validator(), name, qtype); !validated || !slices.Equal(got, want) {
				return false
			}
		}
	}
	return len(hosts) > 0
}

// bootstraps puts in the first DS of a zone if all its servers ask for the same,
// and, where hosts are given, if those confirm it. Without them it is a parent
// that accepts what it is asked for (RFC 8078 section 3).
func (r *registry) bootstraps(zone string, hosts ...string) bool {
	r.h.t.Helper()
	set, err := r.h.lab.DS(context.Background(), zone)
	if err != nil {
		r.h.t.Fatal(err)
	}
	cds, cdnskey := r.consistent(zone)
	if len(set) > 0 || len(cds) == 0 || slices.Contains(cds, "0 0 0 00") || len(hosts) > 0 && !r.authenticated(zone, hosts, cds, cdnskey) {
		return false
	}
	var lines []string
	for _, ds := range cds {
		lines = append(lines, fmt.Sprintf("update add %s 2 DS %s", zone, ds))
	}
	r.update(lines...)
	return true
}

// deletes removes the DS set of a zone if all its servers ask for that, and a
// validator finds that they may (RFC 8078 section 4). BIND's dnssec-cds does not
// know these records (9.18): it makes a DS of the CDNSKEY record.
func (r *registry) deletes(zone string) {
	r.h.t.Helper()
	cds, cdnskey := r.consistent(zone)
	if _, validated := r.announced(r.h.lab.Validator(), zone, dns.TypeCDS); validated && slices.Equal(cds, []string{"0 0 0 00"}) && slices.Equal(cdnskey, []string{"0 3 0 AA=="}) {
		r.update(fmt.Sprintf("update delete %s DS", zone))
	}
}

// update changes the parent zone.
func (r *registry) update(lines ...string) {
	r.h.t.Helper()
	host, port, err := net.SplitHostPort(r.h.lab.ParentServers()[0])
	if err != nil {
		r.h.t.Fatal(err)
	}
	cmd := exec.Command("nsupdate", "-k", r.h.lab.UpdateKeyFile())
	cmd.Stdin = strings.NewReader(fmt.Sprintf("server %s %s\nzone lab.test\n%s\nsend\n", host, port, strings.Join(lines, "\n")))
	if out, err := cmd.CombinedOutput(); err != nil {
		r.h.t.Fatalf("%q: %v\n%s", lines, err, out)
	}
}

// newlySigned is a lab with zones that have no DS yet, below a parent that
// follows CDS, and a zone in which name servers have their names.
func newlySigned(t *testing.T, zones ...lab.Zone) *registry {
	t.Helper()
	needsBIND(t)
	r, extra := newRegistry(t)
	hosts := lab.Zone{Name: "hosts.lab.test.", Layout: lab.CSK, TTL: 1, Minimum: 1, SOATTL: 1}
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, BIND: true, Direct: true, Extra: extra, Zones: append(zones, hosts)})
	r.h = h
	return r
}

// says checks what every server of a zone serves as CDS and CDNSKEY.
func (r *registry) says(zone, cds, cdnskey string) {
	r.h.t.Helper()
	for _, server := range r.h.lab.ChildServers() {
		one, _ := r.announced(server, zone, dns.TypeCDS)
		two, _ := r.announced(server, zone, dns.TypeCDNSKEY)
		if strings.Join(one, "; ") != cds || strings.Join(two, "; ") != cdnskey {
			r.h.t.Errorf("%s serves CDS %q and CDNSKEY %q of %s, expected %q and %q", server, one, two, zone, cds, cdnskey)
		}
	}
}

func accepted(s rollover.Status) bool {
	return s.Submission != nil && s.Submission.State == rollover.SubmissionAccepted
}

// A zone is signed for the first time, with a parent that wants the DS confirmed
// below the names of the name servers, and another with one that needs no more
// than CDS records. Then both are taken back to unsigned, one of them in two goes.
func TestBootstrapAndDelete(t *testing.T) {
	t.Parallel()
	boot, plain := "boot.lab.test.", "plain.lab.test."
	r := newlySigned(t, lab.Zone{Name: boot, Layout: lab.Unsigned, Hosts: "hosts.lab.test.", TTL: 1, Minimum: 1, SOATTL: 1},
		lab.Zone{Name: plain, Layout: lab.Unsigned, TTL: 1, Minimum: 1, SOATTL: 1})
	h, all := r.h, []string{boot, plain}
	h.configure("[ds]\ndriver = \"cds\"\ncds.private_targets = [\"127.0.0.1\"]\ncds.signal = true\ncds.signal_zones = [\"hosts.lab.test\"]\n")
	hosts := []string{"ns1.hosts.lab.test.", "ns2.hosts.lab.test."}
	h.witnessed(all, func() {
		h.must("sign", boot)
		h.must("sign", plain, "--to", "split")
		h.until("done", all, func() {
			h.advance()
			if r.due(boot) && !r.bootstraps(boot, hosts...) {
				t.Error("the parent was told before all servers and all signals had the records")
			}
			r.bootstraps(plain)
		}, done)
	})
	h.told(boot, "were written into zone hosts.lab.test.", "signalled (RFC 9615) and validated below ns1.hosts.lab.test. and ns2.hosts.lab.test.; NOTIFY(CDS) sent",
		"rollover done", "are removed from zone hosts.lab.test.")
	h.told(plain, "rollover done")
	r.signalsNothing(hosts)
	takenBack(t, r, all)
}

// signalsNothing waits until no server signals any more.
func (r *registry) signalsNothing(hosts []string) {
	r.h.t.Helper()
	r.h.until("without signals", []string{"boot.lab.test."}, r.h.advance, func(rollover.Status) bool {
		for _, host := range hosts {
			for _, server := range r.h.lab.ChildServers() {
				if data, _ := r.announced(server, "_dsboot.boot.lab.test._signal."+host, dns.TypeCDS); len(data) > 0 {
					return false
				}
			}
		}
		return true
	})
	if out, err := r.h.lab.Pdnsutil(context.Background(), "list-zone", "hosts.lab.test"); err != nil || strings.Contains(out, "_dsboot") {
		r.h.t.Errorf("%v, hosts.lab.test has signalling records: %s", err, out)
	}
}

// takenBack unsigns zones; the second changes its mind before the parent has
// looked, and changes it again.
func takenBack(t *testing.T, r *registry, all []string) {
	t.Helper()
	h, ctx := r.h, context.Background()
	ours, _ := r.consistent(all[1])
	keys, err := h.lab.DS(ctx, all[1])
	if err != nil || len(ours) != 1 || len(keys) != 1 {
		t.Fatalf("CDS %q, DS %q, %v", ours, keys, err)
	}
	_, cdnskey := r.consistent(all[1])
	h.witnessed(all, func() {
		h.must("unsign", all[1], "--yes")
		h.until("asked for none", all[1:], h.advance, accepted)
		r.says(all[1], "0 0 0 00", "0 3 0 AA==")
		h.must("revert", all[1])
		h.until("back", all[1:], h.advance, func(s rollover.Status) bool { return s.State == rollover.StateCancelled })
		r.says(all[1], ours[0], cdnskey[0])
		for _, zone := range all {
			h.must("unsign", zone, "--yes")
		}
		h.until("unsigned", all, func() {
			h.advance()
			for _, zone := range all {
				r.deletes(zone)
			}
		}, done)
	})
	for _, zone := range all {
		h.hasKeys(zone, "")
		r.says(zone, "", "")
		out, err := h.lab.Pdnsutil(ctx, "get-meta", strings.TrimSuffix(zone, "."))
		if set, dsErr := h.lab.DS(ctx, zone); err != nil || dsErr != nil || len(set) > 0 || strings.Contains(out, "PUBLISH-") {
			t.Errorf("%s in the end: DS %q, metadata %s, %v, %v", zone, set, out, err, dsErr)
		}
		h.must("sign", zone, "--dry-run")
	}
}

// A name server serves a CDS that nobody asked for, and then one that is behind:
// the parent is not told, nothing advances, until all are as they must be. The
// signalling records that nobody may write are told, and delay nothing.
func TestFirstDSThatServersDisagreeAbout(t *testing.T) {
	t.Parallel()
	zone := "boot.lab.test."
	r := newlySigned(t, lab.Zone{Name: zone, Layout: lab.Unsigned, Hosts: "hosts.lab.test.", TTL: 1, Minimum: 1, SOATTL: 1})
	h, one, ctx := r.h, []string{zone}, context.Background()
	h.configure("[ds]\ndriver = \"cds\"\ncds.private_targets = [\"127.0.0.1\"]\n")
	h.must("sign", zone)
	h.until("seen everywhere", one, h.advance, func(s rollover.Status) bool { return s.SeenEverywhereAt != nil })
	if _, err := h.lab.Pdnsutil(ctx, "set-publish-cds", "boot.lab.test", "4"); err != nil {
		t.Fatal(err)
	}
	if err := h.lab.Publish(ctx, zone); err != nil {
		t.Fatal(err)
	}
	if err := h.lab.HoldChild2(ctx, true); err != nil {
		t.Fatal(err)
	}
	h.until("found out", one, h.lenient, func(s rollover.Status) bool {
		return s.Step == "submit" && s.Submission != nil && s.Submission.State == rollover.SubmissionFailed && strings.Contains(s.WaitingFor, "nobody asked for")
	})
	if r.bootstraps(zone) || r.due(zone) || h.status(zone).Step != "submit" {
		t.Errorf("with servers that disagree: %v", h.rollover("status", zone))
	}
	if err := h.lab.HoldChild2(ctx, false); err != nil {
		t.Fatal(err)
	}
	h.until("accepted", one, h.advance, accepted)
	want := "_dsboot.boot.lab.test._signal.ns2.hosts.lab.test. IN CDS"
	for _, args := range [][]string{{"status", zone}, {"ds", zone}, {"ds", zone, "--json"}} {
		if o := h.must(args...); !strings.Contains(o.stdout, want) || !strings.Contains(o.stdout, strings.Replace(want, "CDS", "CDNSKEY", 1)) {
			t.Errorf("%q does not tell %q: %v", args, want, o)
		}
	}
	if !r.bootstraps(zone) {
		t.Error("the parent finds servers that disagree still")
	}
	h.until("done", one, h.advance, done)
}

// A first signing is cancelled when the parent has just read the records, and
// puts the DS in after all: the keys stay until it is gone again.
func TestFirstDSThatIsTakenBack(t *testing.T) {
	t.Parallel()
	zone := "boot.lab.test."
	r := newlySigned(t, lab.Zone{Name: zone, Layout: lab.Unsigned, TTL: 1, Minimum: 1, SOATTL: 1})
	h, one, ctx := r.h, []string{zone}, context.Background()
	h.configure("[ds]\ndriver = \"cds\"\ncds.private_targets = [\"127.0.0.1\"]\n")
	recorder := h.lab.Record(ctx, zone)
	h.must("sign", zone)
	h.until("accepted", one, h.advance, accepted)
	if o := h.rollover("cancel", zone); o.code != 1 || !strings.Contains(o.stderr, "does not follow CDS records") {
		t.Errorf("cancelled while the DS may be on its way: %v", o)
	}
	h.must("cancel", zone, "--parent-unchanged")
	if !r.bootstraps(zone) {
		t.Error("the parent finds no records")
	}
	h.until("cancelled", one, func() {
		h.advance()
		r.deletes(zone)
	}, func(s rollover.Status) bool { return s.State == rollover.StateCancelled })
	seen := recorder.Stop().Versions
	for _, v := range lab.Check(seen) {
		if !v.Torn(seen) {
			t.Errorf("a cache could have broken: %v", v)
		}
	}
	set, err := h.lab.DS(ctx, zone)
	if out, metaErr := h.lab.Pdnsutil(ctx, "get-meta", "boot.lab.test"); err != nil || metaErr != nil || len(set) > 0 || strings.Contains(out, "PUBLISH-") {
		t.Errorf("in the end: DS %q, %s, %v, %v", set, out, err, metaErr)
	}
	h.hasKeys(zone, "")
	r.says(zone, "", "")
}
