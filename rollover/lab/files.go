package lab

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/miekg/dns"
)

// namedConf is where the bind back end reads which zones there are.
const namedConf = "named.conf"

// createFiles makes a bind back end without zones: pdnsutil keeps keys and metadata
// in a database, and reads the records from files.
func (l *Lab) createFiles(ctx context.Context, s *server) error {
	if err := writeFile(filepath.Join(s.dir, namedConf), ""); err != nil {
		return err
	}
	_, err := l.util(ctx, s, "create-bind-db", filepath.Join(s.dir, "dnssec.sqlite3"))
	return err
}

// addFile adds a zone that secondaries transfer.
func (s *server) addFile(zone, text string) error {
	file := s.zoneFile(zone)
	if err := writeFile(file, text); err != nil {
		return err
	}
	return appendFile(filepath.Join(s.dir, namedConf), fmt.Sprintf("zone %q { type master; file %q; };\n", bare(zone), file))
}

func (s *server) zoneFile(zone string) string { return filepath.Join(s.dir, bare(zone)+".zone") }

// ZoneFile is the file with the records of a child zone, on the back end Bind.
func (l *Lab) ZoneFile(zone string) string { return l.c1.zoneFile(dns.CanonicalName(zone)) }
