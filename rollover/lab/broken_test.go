package lab

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// What the seeds say is what real validators say, server by server.
func TestSeeds(t *testing.T) {
	t.Parallel()
	l, seeds := startBroken(t)
	slots := make(chan struct{}, 4)
	var wg sync.WaitGroup
	later := func(do func()) {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			do()
		})
	}
	for _, seed := range seeds {
		for i, q := range seed.Questions {
			for j, server := range seed.NameServers {
				later(func() { verdictOf(t, "Unbound", l.Unbound, server, q, seed.ExpectUnbound(q, server)) })
				// delv takes its time to start. Where all servers show the
				// fault they take turns.
				if len(seed.Servers) > 0 || i%len(seed.NameServers) == j {
					later(func() { verdictOf(t, "delv", l.Delv, server, q, seed.ExpectDelv(q, server)) })
				}
			}
		}
	}
	wg.Wait()
	t.Run("any server", func(t *testing.T) { testAnyServer(t, l, seeds) })
	t.Run("strict", func(t *testing.T) { testStrict(t, l, seeds) })
	t.Run("repair", func(t *testing.T) { testRepair(t, l, seeds) })
}

func startBroken(t *testing.T) (*Lab, []Seed) {
	t.Helper()
	l, seeds, err := StartBroken(t.Context(), os.Getenv("PDNS_ROOT"))
	must(t, err)
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	return l, seeds
}

type oracle func(ctx context.Context, server, name string, qtype uint16) (Verdict, string, error)

func verdictOf(t *testing.T, who string, ask oracle, server string, q Question, want Verdict) {
	t.Helper()
	verdict, text, err := ask(t.Context(), server, q.Name, q.Type)
	if err != nil || verdict != want {
		t.Errorf("%s via %q says of %s %s: %s, want %s: %v\n%s", who, server, q.Name, dns.TypeToString[q.Type], verdict, want, err, text)
	}
}

// A resolver that may choose its server goes round the fault of one.
func testAnyServer(t *testing.T, l *Lab, seeds []Seed) {
	for _, seed := range seeds {
		if len(seed.Servers) > 0 {
			verdictOf(t, "Unbound", l.Unbound, "", seed.Questions[0], Secure)
		}
	}
	verdictOf(t, "delv", l.Delv, "", bySeed(t, seeds, "split").Questions[0], Secure)
}

// Some validators want signatures of every algorithm in the DS set.
func testStrict(t *testing.T, l *Lab, seeds []Seed) {
	strict := func(ctx context.Context, _, name string, qtype uint16) (Verdict, string, error) {
		return UnboundAt(ctx, l.StrictResolver(), name, qtype)
	}
	verdictOf(t, "a strict Unbound", strict, "", bySeed(t, seeds, "split").Questions[0], Secure)
	verdictOf(t, "a strict Unbound", strict, "", bySeed(t, seeds, "ds-of-two-algorithms").Questions[0], Bogus)
}

// A seed can be repaired at the parent, and every resolver notices.
func testRepair(t *testing.T, l *Lab, seeds []Seed) {
	seed := bySeed(t, seeds, "ds-digest-typo")
	right, err := l.exportDS(t.Context(), l.c1, seed.Zone)
	must(t, err)
	must(t, l.SetDS(t.Context(), seed.Zone, right))
	must(t, l.FlushValidator(t.Context()))
	for _, server := range append(seed.NameServers, "") {
		verdictOf(t, "Unbound", l.Unbound, server, seed.Questions[0], Secure)
		verdictOf(t, "delv", l.Delv, server, seed.Questions[0], Secure)
	}
}

func bySeed(t *testing.T, seeds []Seed, code string) Seed {
	t.Helper()
	i := slices.IndexFunc(seeds, func(s Seed) bool { return s.Code == code })
	if i < 0 {
		t.Fatalf("no seed %s", code)
	}
	return seeds[i]
}

// Every seed tells its story and says why an oracle differs, if one does.
func TestRecipes(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	for _, r := range recipes() {
		if r.story == "" || len(r.questions) == 0 || known[r.code] {
			t.Errorf("seed %s has no story or no question, or is there twice", r.code)
		}
		known[r.code] = true
		for _, q := range r.questions {
			if q.Type == 0 || (q.Delv+q.Unbound != "") != (q.Why != "") {
				t.Errorf("seed %s: question %s has no type, or a difference without reason", r.code, q.Name)
			}
		}
		for _, order := range append(r.orders, r.later...) {
			if r.second == twin && strings.Contains(strings.Join(order, " "), "$0") {
				t.Errorf("seed %s: the ids of keys are others on the second server", r.code)
			}
		}
	}
}

func TestDelvVerdict(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]Verdict{
		"; fully validated\nwww.a.test. 300 IN A 192.0.2.1\n":                             Secure,
		"; unsigned answer\nwww.a.test. 300 IN A 192.0.2.1\n":                             Insecure,
		"; fully validated\nb CNAME c\n; unsigned answer\nc A 192.0.2.1\n":                Insecure,
		";; resolution failed: ncache nxdomain\n; negative response, fully validated\n":   Secure,
		";; resolution failed: ncache nxrrset\n; negative response, unsigned answer\n":    Insecure,
		";; broken trust chain resolving 'x'\n;; resolution failed: broken trust chain\n": Bogus,
		";; no valid RRSIG resolving 'x'\n;; resolution failed: no valid RRSIG\n":         Bogus,
		";; resolution failed: failure\n":                                                 Indeterminate,
		";; connection refused resolving 'x'\n;; resolution failed: timed out\n":          Indeterminate,
	} {
		if got, err := delvVerdict(out); err != nil || got != want {
			t.Errorf("%q is %s, %v, want %s", out, got, err, want)
		}
	}
	if verdict, err := delvVerdict("delv: Couldn't parse port number\n"); err == nil {
		t.Errorf("an error of delv is taken for %s", verdict)
	}
}
