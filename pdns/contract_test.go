package pdns_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rollover/pdns/pdnstest"
	"rollover/rollover"
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "pdnsutil", "pdns_control":
		pdnstest.Exit()
	}
	os.Exit(m.Run())
}

func TestContractOfFake(t *testing.T) {
	t.Parallel()
	pdnstest.RunContract(t, pdnstest.Fake)
}

func TestContractOfPowerDNS(t *testing.T) {
	t.Parallel()
	pdnstest.RunContract(t, pdnstest.Real)
}

// A running server forgets what it has cached, which it would otherwise keep
// for 20 s, and answers with the new data.
func TestRefreshReachesTheServer(t *testing.T) {
	t.Parallel()
	w := pdnstest.Real(t, pdnstest.Zone{Name: "a.test", Kind: rollover.KindMaster})
	if got := lookup(t, w, "www.a.test."); got != "" {
		t.Fatalf("the name exists already: %q", got)
	}
	for _, text := range []string{"one", "two"} {
		before := lookup(t, w, "www.a.test.")
		w.Util("replace-rrset", "a.test", "www", "TXT", `"`+text+`"`)
		if got := lookup(t, w, "www.a.test."); got != before {
			t.Fatalf("without a refresh the answer went from %q to %q: this test proves nothing", before, got)
		}
		if err := w.Tool.Refresh(t.Context(), []string{"a.test."}, []string{"a.test."}); err != nil {
			t.Fatal(err)
		}
		if got := lookup(t, w, "www.a.test."); got != text {
			t.Errorf("after the refresh the answer is %q, want %q", got, text)
		}
	}
}

// lookup asks the server for a TXT record; empty when there is none.
func lookup(t *testing.T, w pdnstest.World, name string) string {
	t.Helper()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", strconv.Itoa(w.Port)))
	}}
	texts, err := resolver.LookupTXT(t.Context(), name)
	if missing := (*net.DNSError)(nil); errors.As(err, &missing) && missing.IsNotFound {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(texts, " ")
}

// --config-name=two is DIR/pdns-two.conf.
func TestConfigName(t *testing.T) {
	t.Parallel()
	w := pdnstest.Real(t, pdnstest.Zone{Name: "a.test"})
	tool := *w.Tool
	tool.ConfigName = "two"
	if _, err := tool.Inventory(t.Context(), "a.test."); !errors.Is(err, rollover.ErrUnavailable) {
		t.Errorf("without the file: %v, want ErrUnavailable", err)
	}
	if err := os.Rename(filepath.Join(w.Dir, "pdns.conf"), filepath.Join(w.Dir, "pdns-two.conf")); err != nil {
		t.Fatal(err)
	}
	if _, err := tool.Inventory(t.Context(), "a.test."); err != nil {
		t.Error(err)
	}
}

// Text that PowerDNS prints raw, from a real one: what a metadata value or a
// TXT record holds is no key, no SOA and no name to ask.
func TestRawTextOfPowerDNS(t *testing.T) {
	t.Parallel()
	w := pdnstest.Real(t, pdnstest.Zone{Name: "a.test", Keys: []rollover.Key{{Flags: rollover.FlagsKSK, Active: true, Published: true}}})
	w.Util("set-meta", "a.test", "X-EVIL", "a\nID = 99 (ZSK), flags = 256, tag = 1, algo = 13, bits = 256\t  Active\t Published  ( ECDSAP256SHA256 ) \n")
	w.Util("replace-rrset", "a.test", "txt", "TXT", "\"a\nevil.a.test\t86400\tIN\tA\t192.0.2.1\n\\\" b\"")
	inv, err := w.Tool.Inventory(t.Context(), "a.test.")
	if err != nil || len(inv.Keys) != 1 || inv.Keys[0].ID == 99 {
		t.Errorf("keys are %v, %v", inv.Keys, err)
	}
	contents, err := w.Tool.Contents(t.Context(), "a.test.")
	want := []rollover.Sample{{Name: "txt.a.test.", Type: "TXT"}}
	if err != nil || !slices.Equal(contents.Samples, want) {
		t.Errorf("samples are %v, %v, want %v", contents.Samples, err, want)
	}
	w.Util("set-meta", "a.test", "X-EVIL", "a\nkeys: \nb")
	if inv, err := w.Tool.Inventory(t.Context(), "a.test."); err == nil {
		t.Errorf("two headings for keys gave %+v, want an error", inv)
	}
}
