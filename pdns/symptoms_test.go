package pdns

import (
	"errors"
	"strings"
	"testing"

	"rollover/rollover"
)

// What each back end said when something was wrong with it: whether trying again
// helps, the sentence that is told, and what the operator can do.
func TestSymptomsOfBackEnds(t *testing.T) {
	const again, never = true, false
	for pattern, want := range map[string]struct {
		again          bool
		says, remedies string
	}{
		"gmysql-readonly-*":       {again, "is running with the --read-only option", "switch-over"},
		"gmysql-lockwait-*":       {again, "Lock wait timeout exceeded", "nothing has to be done"},
		"gmysql-cut-*":            {again, "Lost connection to server during query", "nothing has to be done"},
		"gmysql-toomany-*":        {again, "Too many connections", "nothing has to be done"},
		"gmysql-down-*":           {again, "Can't connect to local server", "check that the database is up"},
		"gmysql-full-*":           {again, "The table 'cryptokeys' is full", "make room"},
		"gmysql-denied-*":         {never, "command denied to user 'pdns'", "grant it SELECT, INSERT, UPDATE and DELETE"},
		"gmysql-password-*":       {never, "Access denied for user 'pdns'", "check the user and the password"},
		"gmysql-noschema-*":       {never, "Table 'empty.domains' doesn't exist", "schema file"},
		"gmysql-dnssecno-*":       {never, "perhaps DNSSEC not enabled", "gmysql-dnssec=yes"},
		"gpgsql-readonly-*":       {again, "in a read-only transaction", "switch-over"},
		"gpgsql-standby-*":        {again, "in a read-only transaction", "connect pdnsutil to the primary database"},
		"gpgsql-starting-*":       {again, "the database system is starting up", "nothing has to be done"},
		"gpgsql-coldstandby-*":    {again, "the database system is not accepting connections", "connect pdnsutil to the primary database"},
		"gpgsql-lockwait-*":       {again, "canceling statement due to lock timeout", "nothing has to be done"},
		"gpgsql-statement-*":      {again, "canceling statement due to statement timeout", "nothing has to be done"},
		"gpgsql-cut-*":            {again, "server closed the connection unexpectedly", "nothing has to be done"},
		"gpgsql-toomany-*":        {again, "too many connections for role", "nothing has to be done"},
		"gpgsql-down-*":           {again, "failed: No such file or directory", "check that the database is up"},
		"gpgsql-full-*":           {again, "could not extend file", "make room"},
		"gpgsql-denied-*":         {never, "permission denied for table", "grant it SELECT, INSERT, UPDATE and DELETE"},
		"gpgsql-role-*":           {never, `role "nobody" does not exist`, "check the user and the password"},
		"gpgsql-nodb-*":           {never, `database "none" does not exist`, "check the name of the database"},
		"gpgsql-noschema-*":       {never, `relation "domains" does not exist`, "schema file"},
		"gpgsql-dnssecno-*":       {never, "perhaps DNSSEC not enabled", "gpgsql-dnssec=yes"},
		"gsqlite3-dnssecunset-a*": {never, "perhaps DNSSEC not enabled", "gsqlite3-dnssec=yes"},
		"gsqlite3-module-*":       {never, "DNSBackend unable to load module in godbc", "pdns-backend-NAME"},
		"bind-nodb-a*":            {never, "perhaps DNSSEC not enabled", "create-bind-db"},
		"bind-ok-increase*":       {never, "did not replace SOA record", "[pdnsutil] serial"},
		"641-db-missing-*":        {again, "does not exist yet", "check that the database is up"},
		"656-perm-db-readonly-*":  {again, "attempt to write a readonly database", "this user may read and write it"},
	} {
		for _, tr := range transcripts(t, pattern) {
			if tr.rc == "0" {
				t.Fatalf("%s: it ended well", tr.name)
			}
			e := call{zone: "m.test.", argv: []string{"pdnsutil"}}.exited(nil, errors.New("exit status 1"), output{[]byte(tr.stdout), []byte(tr.stderr)})
			if errors.Is(e, rollover.ErrUnavailable) != want.again || !strings.Contains(e.Stderr, want.says) || !strings.Contains(e.Remedy, want.remedies) {
				t.Errorf("%s %s: try again %t; %v", tr.version, tr.name, errors.Is(e, rollover.ErrUnavailable), e)
			}
			if len(e.Stderr) > 310 || strings.Contains(e.Stderr, "^") {
				t.Errorf("%s: told as %q", tr.name, e.Stderr)
			}
		}
	}
}

// A back end that cannot have keys is told from output that nobody understands.
func TestBackEndWithoutKeys(t *testing.T) {
	for _, tr := range transcripts(t, "bind-nodb-zone") {
		if _, err := parseInventory("m.test.", []byte(tr.stdout), []byte(tr.stderr)); !errors.Is(err, errKeyless) {
			t.Errorf("%v", err)
		}
	}
	if _, err := parseInventory("m.test.", nil, []byte("something else")); err == nil || errors.Is(err, errKeyless) {
		t.Errorf("%v", err)
	}
}
