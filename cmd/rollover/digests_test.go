package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// A registry that makes other digests of the new key than were asked for, and a
// validator that counts only the strongest: it is told at once, new signs beside
// old at once, and what the registry has made instead is taken over by name.
func TestRegistryMakesOtherDigestsEndToEnd(t *testing.T) {
	t.Parallel()
	zone := func(name string) lab.Zone {
		return lab.Zone{Name: name + ".lab.test.", Layout: lab.Split, TTL: 1, Minimum: 2, SOATTL: 1}
	}
	h := newHarness(t, "2s", lab.Options{DSTTL: 2, Strict: true, Zones: []lab.Zone{zone("both"), zone("other")}})
	h.makesOther("both.lab.test.", true)
	asker := h.lab.Ask(context.Background(), "both.lab.test.")
	h.until("done", []string{"both.lab.test."}, h.advance, done)
	if answers := asker.Stop(); answers.ServFail > 0 || answers.AD == 0 {
		t.Errorf("%d SERVFAIL of %d answers, %d with AD", answers.ServFail, answers.Total, answers.AD)
	}
	h.finished("both.lab.test.")

	h.makesOther("other.lab.test.", false)
	said := func(s rollover.Status) bool {
		return strings.Contains(s.WaitingFor, "the parent has the right key with digest type 4: set ds_digests, or ask for type 2")
	}
	h.until("told that another type is there", []string{"other.lab.test."}, h.advance, said)
	h.setPolicy(`ds_digests = [4]`)
	h.until("told that the configuration differs", []string{"other.lab.test."}, h.advance, func(s rollover.Status) bool {
		return strings.Contains(strings.Join(s.Warnings, "\n"), "rollover resume --zone other.lab.test. --accept-policy --reason WHY")
	})
	if o := h.rollover("resume", "other.lab.test.", "--accept-policy"); o.code != exitUsage {
		t.Errorf("without a reason: %v", o)
	}
	h.must("resume", "other.lab.test.", "--accept-policy", "--reason", "this registry makes SHA-384")
	h.until("done", []string{"other.lab.test."}, h.advance, done)
	h.finished("other.lab.test.")
	if o := h.must("history", "other.lab.test."); !strings.Contains(o.stdout, rollover.EventPolicyAccepted) || !strings.Contains(o.stdout, rollover.EventUnfit) {
		t.Errorf("history says %v", o)
	}
}

// makesOther rolls a KSK at a registry that adds a DS of type 4, beside the one
// that it was asked for or instead of it, until both keys sign and a strict
// validator finds the zone secure.
func (h *harness) makesOther(zone string, beside bool) {
	h.t.Helper()
	h.registry = func(want []string) []string {
		new := h.digest(zone, 4)
		tag, _, _ := strings.Cut(new, " ")
		out := []string{}
		for _, d := range want {
			if beside || !strings.HasPrefix(d, tag+" ") {
				out = append(out, d)
			}
		}
		return append(out, new)
	}
	h.must("start", zone, "--type", "ksk")
	h.until("rescued", []string{zone}, h.advance, func(s rollover.Status) bool { return s.Kind == "ksk/double-signature" })
	o := h.must("history", zone)
	for _, words := range []string{"count only the strongest digest type", "with a stronger digest type than that of the old one"} {
		if !strings.Contains(o.stdout, words) {
			h.t.Errorf("history does not say %q: %v", words, o)
		}
	}
	// What the validator has cached is the registry's doing; then it must be well.
	h.until("secure to a strict validator", []string{zone}, h.advance, func(rollover.Status) bool {
		verdict, _, err := lab.UnboundAt(context.Background(), h.lab.Validator(), "long-after."+zone, dns.TypeA)
		return err == nil && verdict == lab.Secure
	})
}

// digest is the DS of the new key of a zone, of a type.
func (h *harness) digest(zone string, digestType uint8) string {
	h.t.Helper()
	rr, err := dns.NewRR(zone + " DNSKEY " + h.status(zone).NewKeys[0].Record)
	if err != nil {
		h.t.Fatal(err)
	}
	ds := rr.(*dns.DNSKEY).ToDS(digestType)
	return strings.ToUpper(strings.Join(strings.Fields(strings.TrimPrefix(ds.String(), ds.Hdr.String())), " "))
}

// setPolicy adds a line to the default policy.
func (h *harness) setPolicy(line string) {
	h.t.Helper()
	raw, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	text := strings.Replace(string(raw), "[policy.default]\n", "[policy.default]\n"+line+"\n", 1)
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}
