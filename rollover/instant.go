package rollover

import "time"

// Instant is a moment by two clocks, so that a jump of one of them earns no
// time: the wall clock, and the boot clock, which counts from the start of
// the machine and cannot be set. Boot is comparable only within one BootID.
type Instant struct {
	Wall           time.Time     `json:"wall"`
	Boot           time.Duration `json:"boot"`
	BootID         string        `json:"boot_id"`
	Unsynchronised bool          `json:"unsynchronised,omitempty"` // the kernel says that no time service keeps the wall clock
}

// IsZero says that no moment was recorded.
func (i Instant) IsZero() bool { return i.Wall.IsZero() && i.BootID == "" }

// Since is the time that has passed from an earlier instant: by the boot clock
// within one boot, by the wall clock across boots, and never negative.
func (i Instant) Since(earlier Instant) time.Duration {
	passed := i.Wall.Round(0).Sub(earlier.Wall.Round(0))
	if i.BootID == earlier.BootID && i.BootID != "" {
		passed = i.Boot - earlier.Boot
	}
	return max(passed, 0)
}

// maxDrift is how far wall and boot clock may part between two ticks of one
// boot before it is reported.
const maxDrift = 5 * time.Second

// drift is how much further the wall clock went than the boot clock since an
// earlier instant of the same boot; 0 across boots, where only a wall clock
// that went backwards can be told.
func (i Instant) drift(earlier Instant) time.Duration {
	wall := i.Wall.Round(0).Sub(earlier.Wall.Round(0))
	if i.BootID != earlier.BootID {
		return min(wall, 0)
	}
	return wall - (i.Boot - earlier.Boot)
}
