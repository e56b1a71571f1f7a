package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// The back ends of the children's primary, by the words of PowerDNS' setting
// launch. GMySQL and GPgSQL have a database server of the lab's own.
const (
	GSQLite3 = "gsqlite3"
	GMySQL   = "gmysql"
	GPgSQL   = "gpgsql"
	LMDB     = "lmdb"
	Bind     = "bind"
)

// backend is where a PowerDNS of the lab keeps its zones.
type backend struct {
	launch   string
	settings []string // lines of pdns.conf, launch included
	schema   string   // the SQL that makes an empty database; empty: it makes its own
}

// packages is what Debian calls the packages of each back end.
func packages(launch string) (module, server string) {
	switch launch {
	case GMySQL:
		return "pdns-backend-mysql", "mariadb-server"
	case GPgSQL:
		return "pdns-backend-pgsql", "postgresql"
	case LMDB:
		return "pdns-backend-lmdb", ""
	case Bind:
		return "pdns-backend-bind", ""
	}
	return "pdns-backend-sqlite3", ""
}

// backendOf is the back end of the children's primary as the options want it.
func (l *Lab) backendOf(s *server) backend {
	switch l.options.Backend {
	case GMySQL, GPgSQL:
		return l.sqlBackend()
	case LMDB:
		return backend{launch: LMDB, settings: []string{
			"launch=lmdb",
			"lmdb-filename=" + filepath.Join(s.dir, "pdns.lmdb"),
			"lmdb-sync-mode=nosync",
		}}
	case Bind:
		return backend{launch: Bind, settings: []string{
			"launch=bind",
			"bind-config=" + filepath.Join(s.dir, namedConf),
			"bind-dnssec-db=" + filepath.Join(s.dir, "dnssec.sqlite3"),
		}}
	}
	return l.sqliteBackend(s)
}

func (l *Lab) sqliteBackend(s *server) backend {
	return backend{launch: GSQLite3, schema: l.programs.schema, settings: []string{
		"launch=gsqlite3",
		"gsqlite3-dnssec=yes",
		"gsqlite3-database=" + filepath.Join(s.dir, "pdns.sqlite3"),
		"gsqlite3-pragma-synchronous=0",
	}}
}

// sqlBackend reaches its database through the relay.
func (l *Lab) sqlBackend() backend {
	launch := l.options.Backend
	host, port, _ := net.SplitHostPort(l.database.addr) // built by us
	b := backend{launch: launch, schema: l.programs.backendSchema, settings: []string{"launch=" + launch}}
	for _, setting := range []string{"dnssec=yes", "host=" + host, "port=" + port, "dbname=" + databaseName, "user=" + databaseUser} {
		b.settings = append(b.settings, launch+"-"+setting)
	}
	return b
}

// createDatabase makes an empty database. pdnsutil does it itself, so that no
// client program is needed.
func (l *Lab) createDatabase(ctx context.Context, s *server) error {
	if s.backend.launch == Bind {
		return l.createFiles(ctx, s)
	}
	if s.backend.schema == "" {
		return nil
	}
	schema, err := os.ReadFile(s.backend.schema)
	if err != nil {
		return fmt.Errorf("reading the schema of the database: %w", err)
	}
	if s.backend.launch == GSQLite3 { // takes an empty file for an empty database
		if err := writeFile(filepath.Join(s.dir, "pdns.sqlite3"), ""); err != nil {
			return err
		}
	}
	if err := l.awaitDatabase(ctx, s); err != nil {
		return err
	}
	args := []string{"backend-cmd", s.backend.launch}
	for statement := range strings.SplitSeq(string(schema), ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			args = append(args, statement)
		}
	}
	_, err = l.util(ctx, s, args...)
	return err
}
