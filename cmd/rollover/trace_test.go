package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover/chain"
	"rollover/rollover/lab"
)

// brokenLab is a lab of broken zones, and a configuration for it.
func brokenLab(t *testing.T) (*lab.Lab, []lab.Seed, string) {
	t.Helper()
	if missing := lab.MissingForOracles(); len(missing) > 0 {
		t.Fatalf("Debian packages are missing: apt-get install %s", strings.Join(missing, " "))
	}
	l, seeds, err := lab.StartBroken(context.Background(), os.Getenv("PDNS_ROOT"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Errorf("stopping the lab: %v", err)
		}
	})
	resolver, err := l.Resolver("")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "state = %q\n[dns]\nresolvers = [%q]\nvalidators = [%q]\ntrust_anchors = %q\ntimeout = \"1s\"\ndont_query = []\n",
		filepath.Join(t.TempDir(), "state", "rollover.db"), resolver, resolver, l.AnchorFile())
	for _, s := range seeds {
		parents := l.ParentServers()
		if strings.Count(s.Zone, ".") > 3 { // below another seed
			parents = s.NameServers
		}
		fmt.Fprintf(&text, "[[zone]]\nname = %q\nservers = %s\nservers_only = true\nparent_servers = %s\n", strings.TrimSuffix(s.Zone, "."), tomlList(s.NameServers), tomlList(parents))
	}
	path := filepath.Join(t.TempDir(), "rollover.toml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return l, seeds, path
}

// traced runs the program in this process.
func traced(t *testing.T, config string, args ...string) (chain.Trace, int, string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code := run(context.Background(), append([]string{"rollover", "trace", "--json", "--config", config}, args...), &stdout, &stderr)
	var out struct{ Trace chain.Trace }
	if err := json.Unmarshal([]byte(stdout.String()), &out); err != nil {
		t.Fatalf("rollover trace %q: %v; exit %d, stderr %s, stdout %s", args, err, code, stderr.String(), stdout.String())
	}
	return out.Trace, code, stderr.String()
}

// What trace says of zones that are broken on real servers. One lab serves all
// of it.
func TestTraceOfBrokenZones(t *testing.T) {
	t.Parallel()
	_, seeds, config := brokenLab(t)
	for name, test := range map[string]func(*testing.T, []lab.Seed, string){
		"verdicts of delv and Unbound": verdictsOfDelvAndUnbound, "names what is broken": namesWhatIsBroken, "finds missing denials": findsMissingDenials,
	} {
		t.Run(name, func(t *testing.T) { test(t, seeds, config) })
	}
}

// Every seed and question, server by server: the verdict is that of delv and
// of Unbound on the same data, which the tests of the lab establish.
func verdictsOfDelvAndUnbound(t *testing.T, seeds []lab.Seed, config string) {
	compared := 0
	for _, s := range seeds {
		for _, server := range s.NameServers {
			for _, q := range s.Questions {
				got, _, _ := traced(t, config, q.Name, dns.TypeToString[q.Type], "--server", server)
				compared++
				if delv, unbound := s.ExpectDelv(q, server), s.ExpectUnbound(q, server); string(got.Security) != string(delv) && string(got.Security) != string(unbound) && !ownView(s, got) {
					t.Errorf("%s: %s %s at %s: delv says %s, Unbound %s, rollover %s: %s", s.Code, q.Name, dns.TypeToString[q.Type], server, delv, unbound, got.Security, got.Sentence)
				}
			}
		}
	}
	t.Logf("%d verdicts compared", compared)
}

// ownView is where rollover differs on purpose: what it cannot check is
// indeterminate, where others treat it as unsigned, or can check it.
func ownView(s lab.Seed, t chain.Trace) bool {
	return t.Code == chain.CodeUncheckable && s.Code == "ed448"
}

// Each kind of broken chain is told apart, with a sentence and a remedy.
func namesWhatIsBroken(t *testing.T, seeds []lab.Seed, config string) {
	expected := map[string]chain.Code{
		"ds-without-dnskey": chain.CodeDSMismatch, "ds-missing": chain.CodeDSMissing, "ds-algorithm-typed": chain.CodeAlgorithm,
		"ds-algorithm-computed": chain.CodeAlgorithm, "ds-digest-typo": chain.CodeDigest, "expired-data": chain.CodeExpired, "expired-all": chain.CodeExpired,
		"future-data": chain.CodeFuture, "future-all": chain.CodeFuture, "zsk-unpublished": chain.CodeKeyMissing, "ksk-unpublished": chain.CodeDSMismatch,
		"ksk-inactive": chain.CodeDSKeySilent, "keys-inactive": chain.CodeUnsigned, "secondary-unsigned": chain.CodeUnsigned, "secondary-lagging": chain.CodeLagging,
		"secondary-lame": chain.CodeLame, "secondary-silent": chain.CodeNoAnswer, "denial-nsec3-unrectified": chain.CodeDenial, "unsigned-with-ds": chain.CodeKeysMissing,
		"presigned-edited": chain.CodeSignature, "broken.delegations": chain.CodeDigest, "ed448": chain.CodeUncheckable,
		"ds-algorithm-unknown": chain.CodeUnknownDS, "ds-digest-unknown": chain.CodeUnknownDS,
		"split": "", "csk": "", "nsec3": "", "nsec3-narrow": "", "unsigned": "", "names": "", "rsasha256": "", "ed25519": "", "presigned": "",
	}
	for _, s := range seeds {
		want, ok := expected[s.Code]
		if !ok {
			continue
		}
		delete(expected, s.Code)
		got, code, _ := traced(t, config, "www."+s.Zone, "A")
		if got.Code != want || (code == 0) != (want == "") {
			t.Errorf("%s (%s): expected %q, got %q, exit %d: %s", s.Code, s.Story, want, got.Code, code, got.Sentence)
		}
		if want != "" && (got.Remedy == "" || got.Sentence == "") {
			t.Errorf("%s: no remedy: %+v", s.Code, got)
		}
	}
	for code := range expected {
		t.Errorf("there is no seed %s", code)
	}
}

// A denial that proves nothing is told apart from data that does not verify.
func findsMissingDenials(t *testing.T, seeds []lab.Seed, config string) {
	for _, s := range seeds {
		if s.Code != "denial-unrectified" && s.Code != "denial-nsec3-unrectified" {
			continue
		}
		got, code, _ := traced(t, config, "www."+s.Zone, "MX")
		if got.Code != chain.CodeDenial || code != exitFailed || !strings.Contains(got.Remedy, "rectify-zone") {
			t.Errorf("%s: expected %s, got %s: %s; %s", s.Code, chain.CodeDenial, got.Code, got.Sentence, got.Remedy)
		}
	}
}
