package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/lab"
	"rollover/store"
)

// The benchmarks print ratios of one run, because machines are noisy:
// docs/benchmarks.md says what each means.

// built is the program as it is installed, and an empty Go program (unit G).
func built(b *testing.B) (program, empty string) {
	b.Helper()
	dir := b.TempDir()
	source := filepath.Join(dir, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	program, empty = filepath.Join(dir, "rollover"), filepath.Join(dir, "empty")
	for out, what := range map[string]string{program: ".", empty: source} {
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "urfave_cli_no_docs", "-o", out, what)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("building %s: %v %s", what, err, text)
		}
	}
	return program, empty
}

// median runs a command n times and returns the median wall time.
func median(b *testing.B, n int, name string, args ...string) time.Duration {
	b.Helper()
	times := make([]time.Duration, n)
	for i := range times {
		begin := time.Now()
		if out, err := exec.Command(name, args...).Output(); err != nil {
			b.Fatalf("%s %q: %v %s", name, args, err, out)
		}
		times[i] = time.Since(begin)
	}
	slices.Sort(times)
	return times[n/2]
}

// A tick with nothing due, at 1,000 and at 100,000 zones (P1, P2), and status
// over all of them (P9).
func BenchmarkIdleTick(b *testing.B) {
	program, empty := built(b)
	small, large := bare(b), bare(b)
	crowd(b, store.At(small.state()), 1_000)
	crowd(b, store.At(large.state()), 100_000)
	for b.Loop() {
		g := median(b, 40, empty)
		few := median(b, 40, program, "advance", "--config", small.config)
		many := median(b, 40, program, "advance", "--config", large.config)
		status := median(b, 5, program, "status", "--config", large.config)
		b.ReportMetric(float64(many)/float64(few), "x-100k/1k")
		b.ReportMetric(float64(many)/float64(g), "x-G")
		b.ReportMetric(float64(status)/float64(g), "x-G-status")
		b.ReportMetric(float64(many.Microseconds())/1000, "ms/tick")
		b.ReportMetric(float64(status.Microseconds())/1000, "ms/status")
	}
}

// Twenty ZSK rolls with factor 1 and margin 0, advance each second (P13):
// bound <= elapsed <= bound + waits x (tick + 0.5 s), the bound being the sum
// of RFC 7583 section 3.2.1, Dprp + TTLkey + Dprp + TTLsig, with the TTLs that
// are served and the propagation that was seen on the wire.
func BenchmarkZSKElapsed(b *testing.B) {
	const ttl, rounds, tick = 5, 5, time.Second
	var zones []string
	o := lab.Options{DSTTL: ttl}
	for i := range 4 {
		zones = append(zones, fmt.Sprintf("zone%d.lab.test.", i))
		o.Zones = append(o.Zones, lab.Zone{Name: zones[i], TTL: ttl, Minimum: ttl, SOATTL: ttl})
	}
	h := newHarness(b, "0s", o)
	h.replaceConfig(`check_interval = "300ms"`, `check_interval = "1s"`)
	for b.Loop() {
		var ratios []float64
		for range rounds {
			for _, r := range rollAll(h, zones, tick) {
				ratios = append(ratios, float64(r.elapsed)/float64(r.bound))
				if most := r.bound + 2*(tick+500*time.Millisecond); r.elapsed < r.bound || r.elapsed > most {
					b.Errorf("a roll took %s; the bound is %s, the most allowed %s", r.elapsed, r.bound, most)
				}
			}
		}
		b.ReportMetric(slices.Min(ratios), "x-bound-min")
		b.ReportMetric(slices.Max(ratios), "x-bound-max")
		b.ReportMetric(float64(len(ratios)), "rolls")
	}
}

func (h *harness) replaceConfig(old, with string) {
	h.t.Helper()
	text, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.config, []byte(strings.Replace(string(text), old, with, 1)), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// timing is how long one roll took on the wire, and how long it had to take.
type timing struct{ elapsed, bound time.Duration }

// rollAll rolls the ZSK of all zones.
func rollAll(h *harness, zones []string, tick time.Duration) []timing {
	h.t.Helper()
	recorder := h.lab.Record(h.t.Context(), zones...)
	for _, zone := range zones {
		h.must("start", zone, "--type", "zsk")
	}
	pace := time.NewTicker(tick)
	defer pace.Stop()
	for open := true; open; {
		<-pace.C
		h.must("advance")
		open = slices.ContainsFunc(zones, func(zone string) bool { return !done(h.status(zone)) })
	}
	findings := recorder.Stop()
	var out []timing
	for _, zone := range zones {
		out = append(out, wire(findings.Versions, zone, h.status(zone)))
	}
	return out
}

// wire reads the timing of a ZSK roll off the versions that were recorded:
// elapsed from the first sight of the new DNSKEY to the moment when the first
// server drops the old one; the bound from when the last server had the new
// DNSKEY, and the last RRset the new signature alone, and the TTLs served.
func wire(versions []lab.Version, zone string, s rollover.Status) timing {
	var ttlKey, ttlData uint32
	published, switched, dropped := map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}
	for _, v := range versions {
		place := v.Server + v.Name + dns.TypeToString[v.Type]
		switch {
		case v.Zone != zone || v.Type == dns.TypeDS:
		case v.Type == dns.TypeDNSKEY:
			ttlKey = max(ttlKey, v.TTL)
			if hasKey(v, s.NewKeys[0]) {
				earliest(published, place, v.First)
			}
			if hasKey(v, s.OldKeys[0]) && v.Last.After(dropped[place]) {
				dropped[place] = v.Last
			}
		case signer(v) == s.NewKeys[0].Tag:
			earliest(switched, place, v.First)
		default:
			ttlData = max(ttlData, v.TTL)
		}
	}
	first, publishedAll := spread(published)
	firstSwitched, switchedAll := spread(switched)
	end, _ := spread(dropped)
	return timing{end.Sub(first), publishedAll.Sub(first) + switchedAll.Sub(firstSwitched) + time.Duration(ttlKey+ttlData)*time.Second}
}

func earliest(in map[string]time.Time, place string, at time.Time) {
	if t, ok := in[place]; !ok || at.Before(t) {
		in[place] = at
	}
}

// spread is the first and the last of some moments.
func spread(in map[string]time.Time) (first, last time.Time) {
	for _, t := range in {
		if first.IsZero() || t.Before(first) {
			first = t
		}
		if t.After(last) {
			last = t
		}
	}
	return first, last
}

func hasKey(v lab.Version, k rollover.StatusKey) bool {
	return slices.ContainsFunc(v.Records, func(rr dns.RR) bool {
		key, ok := rr.(*dns.DNSKEY)
		return ok && key.PublicKey == k.PublicKey
	})
}

// signer is the key tag of the signatures of a version, 0 if there are several.
func signer(v lab.Version) uint16 {
	var out []uint16
	for _, rr := range v.Records {
		if sig, ok := rr.(*dns.RRSIG); ok && !slices.Contains(out, sig.KeyTag) {
			out = append(out, sig.KeyTag)
		}
	}
	if len(out) != 1 {
		return 0
	}
	return out[0]
}
