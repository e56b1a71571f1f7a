package pdnstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// installed is the PowerDNS that tests run: this machine's or, where the
// environment names a folder with the packages of another version (PDNS_ROOT,
// see docs/versions.md), that one, started by its own loader.
type installed struct {
	root, loader string // both empty for this machine's
}

func findInstalled(t *testing.T) installed {
	t.Helper()
	root := os.Getenv("PDNS_ROOT")
	if root == "" {
		return installed{}
	}
	i := installed{root: root}
	if i.loader = i.file("usr/lib/*-linux-gnu*/ld-linux*.so.*"); i.loader == "" {
		t.Fatalf("PDNS_ROOT=%s holds no loader of programs: make pdns-roots", root)
	}
	return i
}

// program is the command that starts a program.
func (i installed) program(name string) []string {
	if i.root == "" {
		return []string{name}
	}
	return []string{i.loader, "--library-path", filepath.Dir(i.loader), i.file("usr/sbin/"+name, "usr/bin/"+name)}
}

// schema is the file that makes an empty database.
func (i installed) schema() string {
	return i.file("usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql", "usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql")
}

// setting is what pdns.conf has to say so that the backend is found.
func (i installed) setting() string {
	if i.root == "" {
		return ""
	}
	return "module-dir=" + filepath.Dir(i.file("usr/lib/*/pdns/libgsqlite3backend.so")) + "\n"
}

// file is the first file below the root that one of the patterns matches.
func (i installed) file(patterns ...string) string {
	for _, pattern := range patterns {
		if found, err := filepath.Glob(filepath.Join("/", i.root, pattern)); err == nil && len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// absolute is a line of pdnsutil with the name of a record as the version
// wants it: relative to the zone up to 4.x, absolute from 5.x on.
func absolute(version string, args []string) []string {
	if len(args) < 3 || !strings.HasSuffix(args[0], "-rrset") || strings.HasPrefix(version, "4.") {
		return args
	}
	owner := args[1]
	if args[2] != "@" {
		owner = args[2] + "." + args[1]
	}
	return append([]string{args[0], args[1], owner}, args[3:]...)
}
