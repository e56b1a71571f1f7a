package rollover

import (
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// Crash is an error of this program itself, in the work on one zone. The other
// zones go on.
type Crash struct {
	Zone  string
	Value any
	Where string // file:line
	Stack string
}

// Error is the same text each time, so that it is told once a day.
func (c Crash) Error() string {
	return fmt.Sprintf("rollover itself failed in the work on %s, at %s: %v: nothing more was done for this zone, the others go on; please report it, with the lines that `rollover advance --zone %s` prints", c.Zone, c.Where, c.Value, c.Zone)
}

// Caught is a panic as the error that it is for a zone; to be called where it is
// recovered. One that was caught elsewhere before keeps its stack.
func Caught(zone string, value any) Crash {
	if c, ok := value.(Crash); ok {
		c.Zone = zone
		return c
	}
	return Crash{Zone: zone, Value: value, Where: origin(), Stack: string(debug.Stack())}
}

// origin is the line of the program that panicked.
func origin() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	panicking := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// safely does a part of the work on a zone. If it panics, the zone is as it was
// saved last, as if the program had been killed, and its tick has failed.
func (v *visit) safely(do func()) {
	defer func() {
		if p := recover(); p != nil {
			v.crashed(Caught(v.dossier.Zone, p))
		}
	}()
	do()
}

func (v *visit) crashed(c Crash) {
	d, err := v.engine.Journal.Load(v.dossier.Zone)
	v.events, v.dirty, v.entering, v.anew = nil, false, Verdict{}, ""
	if err != nil || d.Roll == nil {
		v.err = c // there is nothing that could be saved
		return
	}
	d.Zone = v.dossier.Zone
	v.dossier, v.roll = d, d.Roll
	v.err = nil
	v.fail(c)
}
