package pdns

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"rollover/rollover"
)

// Error is a command that did not do what was asked, as far as it can be told.
// It wraps rollover.ErrUnknownZone or rollover.ErrUnavailable where they apply.
type Error struct {
	Zone     string   // "example.com.", several for purge, empty for none
	Argv     []string // the whole command line
	ExitCode int      // -1 when the command did not exit by itself
	What     string   // what happened, in words
	Stderr   string   // last useful line that was printed to stderr, as it came
	Remedy   string   // what the operator can do
	Err      error    // may be nil
}

// Error names the zone, the command, what happened, and a remedy.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Zone != "" {
		fmt.Fprintf(&b, "zone %s: ", e.Zone)
	}
	fmt.Fprintf(&b, "`%s` %s", quoteAll(e.Argv), e.What)
	if e.Stderr != "" {
		fmt.Fprintf(&b, ", saying %q", e.Stderr)
	}
	fmt.Fprintf(&b, ": %s", e.Remedy)
	return b.String()
}

// Unwrap is the cause that callers may branch on.
func (e *Error) Unwrap() error { return e.Err }

func (c call) fail(cause error, what, remedy string) *Error {
	return &Error{Zone: c.zone, Argv: c.argv, ExitCode: -1, What: what, Remedy: remedy, Err: cause}
}

// exited is the error of a command that ended with another code than 0, or by
// a signal that we did not send.
func (c call) exited(state *os.ProcessState, err error, out output) *Error {
	e := c.fail(nil, "ended with "+err.Error(), "run it by hand and correct what it complains about")
	if state != nil {
		e.ExitCode = state.ExitCode()
	}
	return e.diagnose(out)
}

// misread is the error of a command that returned 0 and did not print what it
// prints when it succeeds.
func (c call) misread(cause error, out output) *Error {
	e := c.fail(nil, fmt.Sprintf("returned 0, but %v", cause), "run it by hand; a new version of PowerDNS may print something else")
	e.ExitCode = 0
	return e.diagnose(out)
}

// refusedNotify is the error of a notify that was not queued; pdns_control
// says so on stdout and returns 0 (PowerDNS 4.7 to 5.1).
func (c call) refusedNotify(out output) *Error {
	e := c.fail(nil, fmt.Sprintf("returned 0, but answered %q", lastLine(out.stdout)),
		"set primary=yes in pdns.conf, check that the zone is served, then notify by hand; secondaries that poll will find the new serial themselves")
	e.ExitCode = 0
	return e
}

// diagnose adds the last useful line of stderr, and what it is known to mean.
func (e *Error) diagnose(out output) *Error {
	e.Stderr = lastLine(out.stderr)
	for _, s := range symptoms() {
		if strings.Contains(e.Stderr, s.text) {
			e.Err, e.Remedy = s.err, s.remedy
		}
	}
	return e
}

// symptom is a text of pdnsutil or pdns_control 4.7 to 5.1 that has a known
// meaning. There is no other way to tell: the exit code is 1 for all of them,
// or 0.
type symptom struct {
	text   string
	err    error
	remedy string
}

func symptoms() []symptom {
	const unknownZone = "check the spelling; `pdnsutil list-all-zones` prints the zones of this PowerDNS"
	return []symptom{
		{"No such zone in the database", rollover.ErrUnknownZone, unknownZone},
		{"' not found!", rollover.ErrUnknownZone, unknownZone},     // list-zone
		{"No SOA known for", rollover.ErrUnknownZone, unknownZone}, // rectify-zone
		{"Rectify presigned zone", rollover.ErrRefused, "change the zone where it is signed"},
		{"No SOA for zone", nil, "check that the zone exists and that its SOA record is not disabled"},
		{"Serial increase of presigned zone", rollover.ErrRefused, "change the zone where it is signed"},
		{"not allowed unless --force", rollover.ErrRefused, "a secondary gets its serial from its primary: sign there, or use SOA-EDIT"},
		{"did not replace SOA record", errNoRecords, remedyNoRecords},
		{"did not accept the new RRset", errNoRecords, remedyNoRecords},
		{"Can't find a key with id", nil, "the keys have changed: read them again"},
		{"perhaps DNSSEC not enabled", nil, "set gsqlite3-dnssec=yes (or the like for your backend) in pdns.conf"},
		{"No database backends configured", rollover.ErrUnavailable, "check config_dir and config_name, and that this user may read pdns.conf"},
		{"Unable to launch", rollover.ErrUnavailable, "check that the database is up, and that this user may read and write it"},
		{"Unable to connect to remote", rollover.ErrUnavailable, "start pdns_server, check socket-dir and the rights on the control socket, or leave the control command empty"},
	}
}

// lastLine is the last line with something on it: log lines and progress come
// first, the error last. It is cut to what fits into an error.
func lastLine(text []byte) string {
	const longest = 300
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	line := bytes.TrimSpace(lines[len(lines)-1])
	return string(line[:min(len(line), longest)])
}

// errNoRecords is a back end that does not store the records of a zone, so that
// pdnsutil cannot change them.
var errNoRecords = fmt.Errorf("%w: the back end of this zone does not store its records", rollover.ErrRefused)

const remedyNoRecords = "the bind back end reads records from files: set `[pdnsutil] serial` to a program that raises the SOA serial there, or make the zone native if no secondary transfers it from here; DS and signalling records must be put in by another driver, or by hand"
