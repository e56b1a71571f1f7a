package main

import (
	"bytes"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/pelletier/go-toml/v2"

	"rollover/rollover"
)

// FuzzZoneName: what a person types is refused, or is a name as rollover stores
// it, which stays what it is when it is typed again.
func FuzzZoneName(f *testing.F) {
	for _, s := range []string{"example.com", "bücher.example", "BÜCHER.example.", "xn--bcher-kva.example", "faß.de", "例え.テスト", "a。b", "-ü", "ü.-a", "\u202e.com", "*.ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := parseZone(text)
		if err != nil {
			return
		}
		if stored, err := rollover.ParseZone(name); err != nil || stored != name {
			t.Errorf("%q is %q, which is stored as %q: %v", text, name, stored, err)
		}
		if again, err := parseZone(name); err != nil || again != name {
			t.Errorf("%q is %q, which is %q: %v", text, name, again, err)
		}
		if same, err := rollover.ParseZone(text); err == nil && same != name {
			t.Errorf("%q is %q and not %q", text, name, same)
		}
	})
}

// FuzzDuration: what is accepted is not negative, and is at least what the
// largest number in it says; what is printed of it is accepted and is no more
// than a second longer, and is printed again as the same.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"never", "90d", "6w", "1w2d", "1h30m", "45s", "65535w", "-1ns", "1w-1h", "1d 2h", "w", "0", "1.5h", "16000w"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDuration(text)
		if err != nil {
			return
		}
		if (d == never) != (text == "never") || d < 0 && d != never {
			t.Errorf("%q is %d", text, d)
		}
		again, err := parseDuration(d.String())
		if err != nil || again > d+duration(time.Second) || again.String() != d.String() || again == 0 && d > 0 {
			t.Errorf("%q is %d, printed %q, which is %d: %v", text, d, d, again, err)
		}
		longer, err := parseDuration("1w" + text)
		if err == nil && !strings.Contains(text, "w") && longer != d+duration(week) {
			t.Errorf("%q is %d, and a week more is %d", text, d, longer)
		}
	})
}

// MarshalText writes a duration whole, where String rounds.
func (d duration) MarshalText() ([]byte, error) {
	if d == never {
		return []byte("never"), nil
	}
	return []byte(time.Duration(d).String()), nil
}

// FuzzConfig: whatever a configuration says, reading and checking it ends; and
// one that is accepted gives every zone a policy under which no wait is shorter
// than a TTL, and drivers and digests that exist. Written and read again it is
// the same.
func FuzzConfig(f *testing.F) {
	documented, err := os.ReadFile("../../docs/rollover.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(documented), "example.com.")
	f.Add("policy.x.factor = nan\nzone = [{name = \"*.example\", policy = \"x\"}]\n", "a.example.")
	f.Add("policy.default.margin = \"15250w\"\n[ds]\ndriver = \"cds\"\n", ".")
	f.Add("[[zone]]\nname = \"a.example\"\nds.driver = \"exec\"\nds.exec.command = [\"/x\"]\n[policy.default.ds]\nresubmit = \"never\"", "a.example.")
	f.Fuzz(func(t *testing.T, text, zone string) {
		c := defaults()
		if err := c.decode([]byte(text)); err != nil {
			positioned(err)
			return
		}
		if c.check() != nil {
			return
		}
		for _, name := range append(namesIn(c), zone) {
			checkSetting(t, c, name)
		}
		checkRoundTrip(t, c)
	})
}

func namesIn(c config) []string {
	out := []string{".", "example.com."}
	for _, z := range c.Zone {
		out = append(out, z.Name, strings.Replace(z.Name, "*", "a", 1))
	}
	return out
}

func checkSetting(t *testing.T, c config, zone string) {
	t.Helper()
	s := c.setting(zone)
	const ttl = 7 * day
	if p := s.Policy; time.Duration(p.Factor*float64(ttl))+p.Margin < ttl || p.MaxGap <= 0 || p.CheckInterval <= 0 || p.CheckInterval > p.MaxGap {
		t.Errorf("the policy of %q is %+v", zone, p)
	}
	if s.Resubmit <= 0 || !slices.Contains([]string{driverManual, driverExec, driverNsupdate, driverCDS, driverPdnsutil}, s.Driver) {
		t.Errorf("%q has the driver %q, asked again after %s", zone, s.Driver, s.Resubmit)
	}
	if c.Pdnsutil.Timeout <= 0 || c.DNS.Timeout <= 0 || c.Notify.Repeat <= 0 {
		t.Errorf("a length of time is not above 0: %+v", c)
	}
}

func checkRoundTrip(t *testing.T, c config) {
	t.Helper()
	raw, err := toml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again := defaults()
	if err := again.decode(raw); err != nil {
		t.Fatalf("what was written is not read: %s\n%s", positioned(err), raw)
	}
	twice, err := toml.Marshal(again)
	if err != nil || !bytes.Equal(raw, twice) {
		t.Errorf("%s\nbecame\n%s\n%v", raw, twice, err)
	}
	for _, zone := range namesIn(c) {
		if a, b := c.setting(zone), again.setting(zone); !reflect.DeepEqual(a.Policy, b.Policy) || a.Driver != b.Driver || a.Resubmit != b.Resubmit {
			t.Errorf("%q had %+v and has %+v", zone, a, b)
		}
	}
}

// FuzzResolvers: the resolvers are those that a DNS library finds in the same
// resolv.conf and that are addresses, in that order, each with port 53.
func FuzzResolvers(f *testing.F) {
	f.Add("# x\nsearch example.\nnameserver 192.0.2.1\nnameserver 2001:db8::1\r\n nameserver\tfe80::1%eth0 x\noptions edns0\n")
	f.Add("nameserver\nnameserver resolver.example.\nnameserver 192.0.2.1:53\n;nameserver 192.0.2.2\nnameserver 192.0.2.3")
	f.Fuzz(func(t *testing.T, text string) {
		library, err := dns.ClientConfigFromReader(strings.NewReader(text))
		if err != nil {
			return
		}
		var want []netip.AddrPort
		for _, server := range library.Servers {
			if address, err := netip.ParseAddr(server); err == nil {
				want = append(want, netip.AddrPortFrom(address, 53))
			}
		}
		var got []netip.AddrPort
		for _, resolver := range resolversIn(text) {
			at, err := netip.ParseAddrPort(resolver)
			if err != nil {
				t.Errorf("%q has the resolver %q: %v", text, resolver, err)
			}
			got = append(got, at)
		}
		// The library stops at a line of 64 KiB.
		if !slices.Equal(got, want) && len(text) < 1<<16 {
			t.Errorf("%q has the resolvers %v, not %v", text, got, want)
		}
	})
}
