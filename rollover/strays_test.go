package rollover_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// A key that goes must not stand as a DNSKEY record in the zone too: it would be
// served for ever. Records of keys that stay, and of others, are no hindrance.
func TestStartWithStoredKeys(t *testing.T) {
	other := rollovertest.New("csk", unequal).Keys[0].DNSKEY()
	other.PublicKey = "b3RoZXI="
	for _, c := range []struct {
		what   string
		stored func(ksk, zsk rollover.DNSKEY) rollover.Strays
		says   string // empty: start goes
	}{
		{"the old ZSK", func(_, zsk rollover.DNSKEY) rollover.Strays { return rollover.Strays{Keys: []rollover.DNSKEY{zsk}} }, "pdnsutil delete-rrset example.com @ DNSKEY; pdnsutil increase-serial example.com; pdns_control purge example.com$"},
		{"the old ZSK, with pdnsutil 5", func(_, zsk rollover.DNSKEY) rollover.Strays {
			return rollover.Strays{Keys: []rollover.DNSKEY{zsk}, Absolute: true}
		}, "pdnsutil delete-rrset example.com example.com DNSKEY;"},
		{"the old ZSK beside another signer's key", func(_, zsk rollover.DNSKEY) rollover.Strays {
			return rollover.Strays{Keys: []rollover.DNSKEY{other, zsk}}
		}, "pdnsutil replace-rrset example.com @ DNSKEY '" + other.String() + "'; "},
		{"the KSK, which stays", func(ksk, _ rollover.DNSKEY) rollover.Strays { return rollover.Strays{Keys: []rollover.DNSKEY{ksk}} }, ""},
		{"another signer's key", func(_, _ rollover.DNSKEY) rollover.Strays { return rollover.Strays{Keys: []rollover.DNSKEY{other}} }, ""},
	} {
		w := rollovertest.New("split", unequal)
		w.Strays = c.stored(w.Keys[0].DNSKEY(), w.Keys[1].DNSKEY())
		if c.says != "" {
			if err := startRefused(t, w, rollover.Order{Type: "zsk"}, c.says); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "direct-dnskey") {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		start(t, w, tight(), rollover.Order{Type: "zsk"})
	}
}

// A zone that is to be unsigned must have no DNSKEY record of anybody.
func TestUnsignWithStoredKeys(t *testing.T) {
	w := rollovertest.New("csk", unequal)
	w.Strays.Keys = []rollover.DNSKEY{{Flags: 256, Algorithm: 13, PublicKey: "b3RoZXI="}}
	startRefused(t, w, rollover.Order{Type: "unsign"}, "pdnsutil delete-rrset example.com @ DNSKEY")
}

// Where the only server, or the only one that answers, is away, nobody is told to
// give it up.
func TestOnlyServerIsNotGivenUp(t *testing.T) {
	for _, c := range []struct {
		down []string
		gone bool // exclude-server is proposed
	}{{[]string{"ns2"}, true}, {[]string{"ns1", "ns2"}, false}, {[]string{"p1", "p2"}, false}} {
		w := rollovertest.New("split", unequal)
		for _, server := range c.down {
			w.Down[server] = true
		}
		if err := startRefused(t, w, rollover.Order{Type: "zsk"}, "repair it"); err != nil && c.gone != strings.Contains(err.Error(), "exclude-server") {
			t.Errorf("without %v: %v", c.down, err)
		}
	}
}

// A record that ends every transfer comes in while a secondary is behind: after a
// while status names it.
func TestUnreadableRecordIsNamed(t *testing.T) {
	w := rollovertest.New("split", unequal)
	w.Lag["ns2"] = 1000 * unit
	policy := tight()
	policy.MaxGap = 2 * unit
	start(t, w, policy, rollover.Order{Type: "zsk"})
	w.Strays.Unreadable = []rollover.Sample{{Name: "h33a.example.com.", Type: "TXT"}}
	drive(t, w, policy, 20)
	if r := w.Roll(); !slices.Equal(r.Strays.Unreadable, w.Strays.Unreadable) {
		t.Fatalf("at %s: %+v", r.Step, r.Strays)
	}
	if s := describe(t, w, policy); !strings.Contains(s.Command, "PowerDNS cannot serve h33a.example.com. TXT (SERVFAIL): pdnsutil check-zone example.com") {
		t.Errorf("status: %q", s.Command)
	}
}
