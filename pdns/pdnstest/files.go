package pdnstest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollover/pdns"
)

// Files is a PowerDNS with the bind back end: each zone is a file NAME.zone in Dir,
// with serial 1, and only keys and metadata are in a database. No server runs. kinds
// says of each zone how named.conf calls its type: master, native. It needs the
// Debian package pdns-backend-bind.
func Files(t *testing.T, kinds map[string]string) World {
	t.Helper()
	dir := t.TempDir()
	i := findInstalled(t)
	w := World{Dir: dir, installed: i, Tool: &pdns.Tool{Command: i.program("pdnsutil"), ConfigDir: dir}}
	var named strings.Builder
	for zone, kind := range kinds {
		file := filepath.Join(dir, zone+".zone")
		fmt.Fprintf(&named, "zone %q { type %s; file %q; };\n", zone, kind, file)
		must(t, os.WriteFile(file, []byte(fmt.Sprintf("$ORIGIN %s.\n$TTL 300\n@ IN SOA ns1 host 1 300 300 300 300\n@ IN NS ns1\nns1 IN A 192.0.2.1\nchild IN NS ns1\nchild IN DS 1 13 2 %s\n", zone, strings.Repeat("ab", 32))), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(dir, "named.conf"), []byte(named.String()), 0o600))
	conf := fmt.Sprintf("launch=bind\nbind-config=%[1]s/named.conf\nbind-dnssec-db=%[1]s/dnssec.sqlite3\n", dir) + i.setting()
	must(t, os.WriteFile(filepath.Join(dir, "pdns.conf"), []byte(conf), 0o600))
	var err error
	w.version, err = w.Tool.Version(t.Context())
	must(t, err)
	w.Util = w.util(t)
	w.Util("create-bind-db", filepath.Join(dir, "dnssec.sqlite3"))
	return w
}
