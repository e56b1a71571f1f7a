package main

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rollover/rollover"
)

// readClocks is the present moment by the wall clock and by CLOCK_BOOTTIME,
// which counts from the start of the machine, sleep included, and which nobody
// can set. Where the kernel does not tell its boot id, the wall clock alone is
// used, which max_gap keeps in bounds.
func readClocks() rollover.Instant {
	now := rollover.Instant{Wall: time.Now()}
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	var boot unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return now
	}
	now.BootID, now.Boot = strings.TrimSpace(string(id)), time.Duration(boot.Nano())
	var timex unix.Timex
	if _, err := unix.Adjtimex(&timex); err == nil {
		now.Unsynchronised = timex.Status&unix.STA_UNSYNC != 0
	}
	return now
}
