package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"rollover/rollover"
	"rollover/store"
)

// Exit codes, after sysexits.h. Callers must treat any other code as failure.
const (
	exitFailed      = 1
	exitUsage       = 64
	exitUnavailable = 69 // pdnsutil, pdns_control or a name server
	exitSoftware    = 70 // an error of rollover itself
	exitTryLater    = 75 // another rollover has the lock, or this one was interrupted
	exitPermission  = 77
	exitConfig      = 78
)

// errUsage and errConfig mark errors of the command line and of the
// configuration file. errTold marks what was told already.
var (
	errUsage  = errors.New("usage")
	errConfig = errors.New("configuration")
	errTold   = errors.New("told already")
)

// exitCode is the one table from error to exit code.
func exitCode(err error) int {
	for _, row := range []struct {
		is   error
		code int
	}{
		{errUsage, exitUsage},
		{errConfig, exitConfig},
		{errCrashed, exitSoftware},
		{rollover.ErrZoneName, exitUsage},
		{context.Canceled, exitTryLater},
		{store.ErrBusy, exitTryLater},
		{store.ErrLocked, exitTryLater},
		{fs.ErrPermission, exitPermission},
		{rollover.ErrUnavailable, exitUnavailable},
	} {
		if errors.Is(err, row.is) {
			return row.code
		}
	}
	return exitFailed
}

// fail says what went wrong, in one line on stderr, unless it was said before.
func (m *mouth) fail(err error) int {
	var verdict errVerdict
	switch {
	case errors.As(err, &verdict):
		return exitOf(verdict.severity)
	case errors.Is(err, errUnknownState):
		fmt.Fprintf(m.out, "ROLLOVER UNKNOWN - %s\n", pipeless(err.Error()))
		return exitOf(rollover.SeverityUnknown)
	}
	if !errors.Is(err, errTold) {
		fmt.Fprintf(m.err, "rollover: %v\n", err)
	}
	return exitCode(err)
}

func usage(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}
