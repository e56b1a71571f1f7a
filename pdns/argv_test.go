package pdns

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
)

// created is a command to make a key.
func created(flags uint16, algorithm uint8, bits int, active, published bool) rollover.Command {
	return rollover.Command{Verb: rollover.VerbCreate, Key: rollover.Key{Flags: flags, Algorithm: algorithm, Bits: bits, Active: active, Published: published}}
}

func about(verb rollover.Verb, id int) rollover.Command {
	return rollover.Command{Verb: verb, Key: rollover.Key{ID: id}}
}

func TestChangeArgs(t *testing.T) {
	for _, c := range []struct {
		zone   string
		change rollover.Command
		want   string
	}{
		{"example.com.", created(256, 13, 256, false, true), "add-zone-key example.com zsk inactive published 256 ecdsa256"},
		{"Example.COM", created(257, 13, 0, true, true), "add-zone-key example.com ksk active published 256 ecdsa256"},
		{".", created(257, 15, 256, true, false), "add-zone-key . ksk active unpublished 256 ed25519"},
		{"a.test.", created(256, 8, 0, false, false), "add-zone-key a.test zsk inactive unpublished 2048 rsasha256"},
		{"a.test.", created(256, 8, 1024, true, true), "add-zone-key a.test zsk active published 1024 rsasha256"},
		{"a.test.", created(257, 10, 4096, true, true), "add-zone-key a.test ksk active published 4096 rsasha512"},
		{"a.test.", created(257, 14, 384, true, true), "add-zone-key a.test ksk active published 384 ecdsa384"},
		{"a.test.", created(257, 16, 0, true, true), "add-zone-key a.test ksk active published 456 ed448"},
		{"0/25.2.0.192.in-addr.arpa.", about(rollover.VerbActivate, 7), "activate-zone-key 0/25.2.0.192.in-addr.arpa 7"},
		{"*.a.test.", about(rollover.VerbDeactivate, 100000), "deactivate-zone-key *.a.test 100000"},
		{"a.test.", about(rollover.VerbPublish, 2), "publish-zone-key a.test 2"},
		{"a.test.", about(rollover.VerbUnpublish, 3), "unpublish-zone-key a.test 3"},
		{"a.test.", about(rollover.VerbRemove, 1), "remove-zone-key a.test 1"},
	} {
		_, args, err := changeArgs(c.zone, c.change)
		if got := strings.Join(args, " "); err != nil || got != c.want {
			t.Errorf("%s %+v: %q, %v\nwant %q", c.zone, c.change, got, err, c.want)
		}
	}
}

func TestChangeArgsRefuses(t *testing.T) {
	good := created(256, 13, 256, false, true)
	for _, c := range []struct {
		zone   string
		change rollover.Command
		is     error
	}{
		{"", good, rollover.ErrZoneName},
		{"--config-dir=/x", good, rollover.ErrZoneName},
		{"-v", good, rollover.ErrZoneName},
		{"a..test", good, rollover.ErrZoneName},
		{"a b.test", good, rollover.ErrZoneName},
		{"a;reboot.test", good, rollover.ErrZoneName},
		{"a.test\x00", good, rollover.ErrZoneName},
		{"a.test.", created(385, 13, 256, false, true), rollover.ErrRefused},
		{"a.test.", created(256, 5, 2048, false, true), rollover.ErrRefused},
		{"a.test.", created(256, 0, 0, false, true), rollover.ErrRefused},
		{"a.test.", created(256, 13, 2048, false, true), rollover.ErrRefused},
		{"a.test.", created(256, 8, 512, false, true), rollover.ErrRefused},
		{"a.test.", created(256, 8, 8192, false, true), rollover.ErrRefused},
		{"a.test.", about(rollover.VerbRemove, 0), rollover.ErrRefused},
		{"a.test.", about(rollover.VerbRemove, -1), rollover.ErrRefused},
		{"a.test.", about(rollover.VerbActivate, 4294967299), rollover.ErrRefused},
		{"a.test.", about("export", 1), rollover.ErrRefused},
	} {
		if _, args, err := changeArgs(c.zone, c.change); !errors.Is(err, c.is) || args != nil {
			t.Errorf("%q %+v: %q, %v, want %v", c.zone, c.change, args, err, c.is)
		}
	}
}

func TestExplain(t *testing.T) {
	tool := &Tool{Command: []string{"ssh", "ns 1", "pdnsutil"}, ConfigDir: "/etc/it's", ConfigName: "two"}
	got := tool.Explain("*.a.test.", about(rollover.VerbRemove, 3))
	want := `ssh 'ns 1' pdnsutil '--config-dir=/etc/it'\''s' --config-name=two -- remove-zone-key '*.a.test' 3`
	if got != want {
		t.Errorf("explained as\n%s\nwant\n%s", got, want)
	}
	if got := tool.Explain("a.test.", about(rollover.VerbRemove, 0)); !strings.HasPrefix(got, "# ") {
		t.Errorf("a refused command is explained as %q, not as a comment", got)
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		tool Tool
		want []string
	}{
		{Tool{Command: []string{"pdnsutil"}}, []string{"pdnsutil", "--", "x"}},
		{Tool{Command: []string{"docker", "exec", "c", "pdnsutil"}, ConfigName: "n"}, []string{"docker", "exec", "c", "pdnsutil", "--config-name=n", "--", "x"}},
		{Tool{Command: []string{"pdnsutil"}, ConfigDir: "/d", ConfigName: "n"}, []string{"pdnsutil", "--config-dir=/d", "--config-name=n", "--", "x"}},
	} {
		if got := c.tool.pdnsutil("", "--", "x").argv; !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.tool, got, c.want)
		}
	}
}

// What a key cannot be is told with what it can be; the largest id is one.
func TestWhatAKeyCanBe(t *testing.T) {
	for want, change := range map[string]rollover.Command{
		"a key of algorithm 13 (ecdsa256) cannot have 2048 bits: use 256":         created(256, 13, 2048, false, true),
		"a key of algorithm 8 (rsasha256) cannot have 512 bits: use 1024 to 4096": created(256, 8, 512, false, true),
		"0 is not a key id: it must be 1 or more":                                 about(rollover.VerbRemove, 0),
	} {
		if _, _, err := changeArgs("a.test.", change); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("expected %q, got %v", want, err)
		}
	}
	if _, args, err := changeArgs("a.test.", about(rollover.VerbRemove, math.MaxInt32)); err != nil || args[2] != "2147483647" {
		t.Errorf("the largest id: %q, %v", args, err)
	}
}

// Only what a shell takes as it is stays unquoted.
func TestQuote(t *testing.T) {
	for _, c := range "azAZ09_@%+=:,./-" {
		if got := quote(string(c)); got != string(c) {
			t.Errorf("%c is quoted: %s", c, got)
		}
	}
	for _, c := range "`{@[/:é ;$*~#&|<>()\\\"!" {
		if harmless := strings.ContainsRune("@/:", c); !harmless && quote(string(c)) != "'"+string(c)+"'" {
			t.Errorf("%c is not quoted", c)
		}
	}
	if quote("") != "''" || quote("it's") != `'it'\''s'` {
		t.Error(quote(""), quote("it's"))
	}
}
