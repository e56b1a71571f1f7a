package pdns

import (
	"bytes"
	"errors"
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
	Stderr   string   // the line of stderr that says what is wrong, shortened in its middle
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

// unseen is the error of a command that ended well and whose effect does not show.
func (c call) unseen(what string) error {
	e := c.misread(errors.New(what), output{})
	e.Err = rollover.ErrUnavailable
	e.Remedy = "what pdnsutil reads may be behind what it writes: connect it to the primary database, with no proxy that sends reads to a replica; else run the command by hand and look"
	return e
}

// refusedNotify is the error of a notify that was not queued; pdns_control
// says so on stdout and returns 0 (PowerDNS 4.7 to 5.1).
func (c call) refusedNotify(out output) *Error {
	e := c.fail(nil, fmt.Sprintf("returned 0, but answered %q", lastLine(out.stdout)),
		"set primary=yes in pdns.conf, check that the zone is served, then notify by hand; secondaries that poll will find the new serial themselves")
	e.ExitCode = 0
	return e
}

// diagnose adds the line of stderr that says it, and what it is known to mean.
func (e *Error) diagnose(out output) *Error {
	e.Stderr = sentence(out.stderr)
	for _, s := range symptoms() {
		if bytes.Contains(out.stderr, []byte(s.text)) {
			e.Err, e.Remedy = s.err, s.remedy
		}
	}
	return e
}

// lastLine is the last line with something on it: log lines and progress come
// first, the error last. It is cut to what fits into an error.
func lastLine(text []byte) string {
	const longest = 300
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	line := bytes.TrimSpace(lines[len(lines)-1])
	return string(line[:min(len(line), longest)])
}
