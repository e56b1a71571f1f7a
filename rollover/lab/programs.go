package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// programs are the programs and files of one installation. A program is a
// list of words, because one below PDNSRoot is started through its own loader.
type programs struct {
	server, util, control     []string
	schema                    string   // the SQL that makes an empty database
	backendSchema             string   // the same for the back end that is asked for, if it needs one
	database                  []string // the database server of that back end; nil: needs none
	modules                   string   // PowerDNS' module-dir; empty: as compiled in
	validator, validatorAgent []string
	delv                      []string // nil: not installed; only oracles need it
}

// Missing names the Debian packages that must be installed for a lab with a back
// end, the default if that is empty; none if all is there.
func Missing(backend string) []string {
	_, missing := findPrograms("", backend)
	return missing
}

func findPrograms(root, backend string) (programs, []string) {
	var p programs
	var missing []string
	need := func(pkg string, found bool) {
		if !found && !slices.Contains(missing, pkg) {
			missing = append(missing, pkg)
		}
	}
	p.server = findProgram(root, "pdns_server")
	p.util = findProgram(root, "pdnsutil")
	p.control = findProgram(root, "pdns_control")
	p.schema = findSchema(root)
	p.modules = findModules(root)
	p.validator = findProgram("", "unbound")
	p.validatorAgent = findProgram("", "unbound-control")
	p.delv = findProgram("", "delv")
	need("pdns-server", p.server != nil && p.util != nil && p.control != nil)
	need("pdns-backend-sqlite3", p.schema != "")
	p.backendSchema, p.database = findBackendSchema(root, backend), findDatabase(backend)
	module, server := packages(backend)
	need(module, backend == "" || backend == GSQLite3 || findModule(root, backend) != "")
	need(module, p.backendSchema != "" || backend != GMySQL && backend != GPgSQL)
	need(server, server == "" || p.database != nil)
	need("unbound", p.validator != nil && p.validatorAgent != nil)
	return p, missing
}

// findProgram finds a program in PATH or where servers live: the PATH of
// Debian's ordinary users lacks the sbin folders.
func findProgram(root, name string) []string {
	if root != "" {
		return findBelow(root, name)
	}
	if path, err := exec.LookPath(name); err == nil {
		if path, err = filepath.Abs(path); err == nil {
			return []string{path}
		}
	}
	for _, folder := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return []string{path}
		}
	}
	return nil
}

// findBelow is the command for a program of another installation: its own
// loader with its own libraries. Unlike chroot this needs no root, and paths
// mean the same to that program as to us.
func findBelow(root, name string) []string {
	path := firstFile(filepath.Join(root, "usr/sbin", name), filepath.Join(root, "usr/bin", name))
	loader := firstFile(
		filepath.Join(root, "usr/lib/*-linux-gnu*/ld-linux*.so.*"),
		filepath.Join(root, "lib/*-linux-gnu*/ld-linux*.so.*"))
	if path == "" || loader == "" {
		return nil
	}
	libraries := []string{filepath.Dir(loader), filepath.Join(root, "usr/lib", filepath.Base(filepath.Dir(loader)))}
	return []string{loader, "--library-path", strings.Join(libraries, ":"), path}
}

// findSchema finds the schema of the SQLite backend: the package's own, since
// it differs from version to version.
func findSchema(root string) string {
	return firstFile(
		filepath.Join(root, "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"),
		filepath.Join(root, "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql"),
		filepath.Join(root, "/usr/share/doc/pdns/schema.sqlite3.sql"),
		filepath.Join(root, "/usr/local/share/doc/pdns/schema.sqlite3.sql"))
}

// findBackendSchema is the same for the other back ends.
func findBackendSchema(root, backend string) string {
	switch backend {
	case GMySQL:
		return firstFile(filepath.Join(root, "/usr/share/pdns-backend-mysql/schema/schema.mysql.sql"))
	case GPgSQL:
		return firstFile(filepath.Join(root, "/usr/share/pdns-backend-pgsql/schema/schema.pgsql.sql"))
	}
	return ""
}

// findDatabase finds the server of a back end's database, always this machine's.
func findDatabase(backend string) []string {
	switch backend {
	case GMySQL:
		return findProgram("", "mariadbd")
	case GPgSQL:
		if path := firstFile("/usr/lib/postgresql/*/bin/postgres"); path != "" {
			return []string{path}
		}
	}
	return nil
}

// findModule finds the library of a back end.
func findModule(root, backend string) string {
	return firstFile(
		filepath.Join(root, "/usr/lib/*/pdns/lib"+backend+"backend.so"),
		filepath.Join(root, "/usr/lib/pdns/lib"+backend+"backend.so"),
		filepath.Join(root, "/usr/local/lib/pdns/lib"+backend+"backend.so"))
}

func findModules(root string) string {
	if root == "" {
		return ""
	}
	return filepath.Dir(firstFile(filepath.Join(root, "usr/lib/*/pdns/libgsqlite3backend.so")))
}

// firstFile is the first file that one of the patterns matches.
func firstFile(patterns ...string) string {
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err == nil && len(matches) > 0 {
			return matches[0]
		}
	}
	return ""
}

// unconfined gives the lab its own copy of a program where the system's is tied
// by AppArmor to the folders of the system's own service: Debian's profiles let
// it read nothing in a temporary folder.
func unconfined(program []string, own, profile string) ([]string, error) {
	if _, err := os.Stat(profile); errors.Is(err, os.ErrNotExist) {
		return program, nil
	}
	text, err := os.ReadFile(program[0])
	if err != nil {
		return nil, fmt.Errorf("reading a program to copy it: %w", err)
	}
	if err := os.WriteFile(own, text, 0o700); err != nil {
		return nil, fmt.Errorf("copying a program: %w", err)
	}
	return []string{own}, nil
}
