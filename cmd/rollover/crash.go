package main

import (
	"errors"
	"fmt"
	"io"

	"rollover/rollover"
)

// uncrashed is do, whose panic is an error of the zone.
func (w *world) uncrashed(zone string, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = rollover.Caught(zone, p)
			tellStack(w.err, err)
		}
	}()
	return do()
}

// tellStack writes where this program failed, if it is that: whoever mends it needs it.
func tellStack(to io.Writer, err error) {
	var crash rollover.Crash
	if errors.As(err, &crash) {
		fmt.Fprintf(to, "rollover: %v\n%s", crash.Value, crash.Stack)
	}
}

// errCrashed marks a panic that is of no single zone.
var errCrashed = errors.New("rollover itself failed")

// crashed ends a run that panicked. What it had begun goes on as after a kill.
func (m *mouth) crashed(p any) int {
	crash := rollover.Caught("", p)
	tellStack(m.err, crash)
	return m.fail(fmt.Errorf("%w, at %s: %v: no rollover is lost, the next advance goes on; please report it, with the lines above", errCrashed, crash.Where, crash.Value))
}
