package pdns

import (
	"bytes"
	"fmt"

	"rollover/rollover"
)

// symptom is a text of pdnsutil, pdns_control or the database behind them that has a
// known meaning. There is no other way to tell: the exit code is 1 for all of them,
// or 0. All of stderr is searched; of several symptoms the last in the list counts.
type symptom struct {
	text   string
	err    error
	remedy string
}

// What is known of PowerDNS 4.7 to 5.1, MariaDB 10.11 and PostgreSQL 15; what is in
// testdata was seen, the rest is from the sources of the servers.
func symptoms() []symptom {
	const (
		unknownZone = "check the spelling; `pdnsutil list-all-zones` prints the zones of this PowerDNS"
		elsewhere   = "change the zone where it is signed"
	)
	return append([]symptom{
		{"No such zone in the database", rollover.ErrUnknownZone, unknownZone},
		{"' not found!", rollover.ErrUnknownZone, unknownZone},     // list-zone
		{"No SOA known for", rollover.ErrUnknownZone, unknownZone}, // rectify-zone
		{"Rectify presigned zone", rollover.ErrRefused, elsewhere},
		{"No SOA for zone", nil, "check that the zone exists and that its SOA record is not disabled"},
		{"Serial increase of presigned zone", rollover.ErrRefused, elsewhere},
		{"not allowed unless --force", rollover.ErrRefused, "a secondary gets its serial from its primary: sign there, or use SOA-EDIT"},
		{"Can't find a key with id", nil, "the keys have changed: read them again"},
		{"did not replace SOA record", errNoRecords, remedyNoRecords},
		{"did not accept the new RRset", errNoRecords, remedyNoRecords},
		{"perhaps DNSSEC not enabled", rollover.ErrRefused, "PowerDNS keeps no keys in the back end of this zone: set gsqlite3-dnssec=yes, gmysql-dnssec=yes or gpgsql-dnssec=yes in pdns.conf, for bind bind-dnssec-db=FILE (`pdnsutil create-bind-db FILE`), and start pdns_server anew"},
		{"No database backends configured", rollover.ErrUnavailable, "check config_dir and config_name, and that this user may read pdns.conf"},
		{"nable to load module", nil, "a back end that pdns.conf names with `launch` is not installed: install its package (Debian: pdns-backend-NAME), or correct `launch` and `module-dir`"},
		{"Unable to connect to remote", rollover.ErrUnavailable, "start pdns_server, check socket-dir and the rights on the control socket, or leave the control command empty"},
	}, databaseSymptoms()...)
}

// databaseSymptoms begins with what any failure to connect says, so that what the
// database itself says counts.
func databaseSymptoms() []symptom {
	const (
		up       = "check that the database is up, and that this user may read and write it; `rollover advance` goes on by itself then"
		soon     = "the database was busy, or cut the connection: nothing has to be done but to try again, as `rollover advance` does by itself; if it lasts, look at the database"
		readOnly = "the database takes no changes, as a replica does, or any during a switch-over: if this lasts, connect pdnsutil to the primary database; the next `rollover advance` tries again"
		full     = "make room for the database; the next `rollover advance` tries again"
		login    = "check the user and the password of the back end in pdns.conf, and the rights of that user in the database"
		rights   = "the user of the back end may not change this table: grant it SELECT, INSERT, UPDATE and DELETE"
		schema   = "the database has not the tables of this version of PowerDNS: make them with the schema file of the back end, or upgrade them as the upgrade notes of PowerDNS say"
	)
	out := []symptom{{"Unable to launch", rollover.ErrUnavailable, up}}
	for _, group := range []struct {
		err    error
		remedy string
		texts  []string
	}{
		{rollover.ErrUnavailable, soon, []string{
			"Lock wait timeout exceeded", "Deadlock found", "Lost connection to", "server has gone away", "Too many connections", "WSREP has not yet prepared",
			"due to lock timeout", "due to statement timeout", "due to conflict with recovery", "deadlock detected", "could not serialize access",
			"server closed the connection unexpectedly", "terminating connection due to", "connection has been closed unexpectedly",
			"too many connections", "too many clients already", "connection slots are reserved",
			"the database system is starting up", "the database system is shutting down", "the database system is in recovery", "the database system is not yet accepting connections",
			"database is locked", "mdb_txn_begin failed", "Unable to start RW transaction", "Unable to start RO transaction",
		}},
		{rollover.ErrUnavailable, readOnly, []string{"--read-only option", "read-only transaction", "Hot standby mode is disabled"}},
		{rollover.ErrUnavailable, full, []string{"No space left on device", "' is full", "disk is full", "MDB_MAP_FULL"}},
		{nil, login, []string{"Access denied for user", "authentication failed", "no pg_hba.conf entry", "FATAL:  role "}},
		{nil, "check the name of the database in pdns.conf", []string{"Unknown database", "FATAL:  database "}},
		{nil, rights, []string{"command denied to user", "permission denied for table"}},
		{nil, schema, []string{"doesn't exist", "ERROR:  relation ", "ERROR:  column ", "no such table", "Unknown column"}},
	} {
		for _, text := range group.texts {
			out = append(out, symptom{text, group.err, group.remedy})
		}
	}
	return out
}

// errNoRecords is a back end that does not store the records of a zone, so that
// pdnsutil cannot change them.
var errNoRecords = fmt.Errorf("%w: the back end of this zone does not store its records", rollover.ErrRefused)

const remedyNoRecords = "the bind back end reads records from files: set `[pdnsutil] serial` to a program that raises the SOA serial there, or make the zone native if no secondary transfers it from here; DS and signalling records must be put in by another driver, or by hand"

// sentence is the line of stderr that says what is wrong: the last one, or the last
// that begins with Error, since PostgreSQL adds the place in the statement, a caret
// and a hint in lines of their own.
func sentence(stderr []byte) string {
	line := ""
	for _, text := range bytes.Split(stderr, []byte("\n")) {
		if bytes.HasPrefix(text, []byte("Error")) {
			line = string(bytes.TrimSpace(text))
		}
	}
	if line == "" {
		return lastLine(stderr)
	}
	return shortened(line)
}

// shortened leaves out the middle of a long line: what was tried stands at its
// beginning, and what the database said at its end.
func shortened(line string) string {
	const longest, head = 300, 120
	if len(line) <= longest {
		return line
	}
	return line[:head] + " ... " + line[len(line)-(longest-head):]
}
