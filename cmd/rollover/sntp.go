package main

import (
	"context"
	"fmt"
	"time"

	"github.com/beevik/ntp"

	"rollover/rollover"
)

// A clock that is off by less than maxOffset does not matter to signatures,
// which are valid for days; by more than badOffset they are judged wrongly.
const (
	maxOffset = 30 * time.Second
	badOffset = 10 * time.Minute
)

// clockFindings examines the clock of this machine: by what the kernel says of
// it, or by that of a time server, if one is named; nobody is asked otherwise.
func clockFindings(ctx context.Context, server string) []rollover.Finding {
	finding := rollover.Finding{Code: rollover.FindingClock, Severity: rollover.SeverityWarning, Remedy: "chronyc tracking, or timedatectl; or measure it with --sntp SERVER"}
	if server != "" {
		return measured(ctx, server, finding)
	}
	if !readClocks().Unsynchronised {
		return nil
	}
	finding.Text = "the clock of this machine is not synchronised (adjtimex): signatures may be judged wrongly"
	return []rollover.Finding{finding}
}

// measured compares the clock with that of a time server (RFC 4330).
func measured(ctx context.Context, server string, finding rollover.Finding) []rollover.Finding {
	finding.Server, finding.Remedy = "time server "+server, "chronyc tracking, or timedatectl"
	timeout := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Millisecond, min(timeout, time.Until(deadline)))
	}
	answer, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: timeout})
	if err == nil {
		err = answer.Validate()
	}
	if err != nil {
		finding.Severity, finding.Text, finding.Remedy = rollover.SeverityUnknown, err.Error(), ""
		return []rollover.Finding{finding}
	}
	offset := answer.ClockOffset
	switch {
	case offset.Abs() < maxOffset:
		return nil
	case offset.Abs() >= badOffset:
		finding.Severity = rollover.SeverityCritical
	}
	word := "behind"
	if offset < 0 {
		word = "ahead"
	}
	finding.Text = fmt.Sprintf("the clock of this machine is %s %s: signatures are judged wrongly", offset.Abs().Round(time.Second), word)
	return []rollover.Finding{finding}
}
