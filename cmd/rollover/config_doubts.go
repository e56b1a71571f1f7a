package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
)

// doubt is a setting that can hardly be meant, and is not refused: rehearsals
// need it, or it does no harm beyond what it says.
type doubt struct {
	when bool
	text string
}

// doubts is what can hardly be meant of the settings that hold for a zone.
func (c config) doubts(zone string) []string {
	p, ds := c.zonePolicy(zone), c.ds(c.entry(zone))
	timeout, tool, resubmit := time.Duration(c.DNS.Timeout), time.Duration(c.Pdnsutil.Timeout), time.Duration(*ds.Resubmit)
	long := time.Duration(c.Pdnsutil.Long)
	repeat, stuck := time.Duration(c.Notify.Repeat), time.Duration(c.Notify.StuckAfter)
	var out []string
	for _, d := range []doubt{
		{p.Margin < time.Minute, fmt.Sprintf("margin = %q: less than a minute is for rehearsals: a name server may serve an old answer to others for 50 s while it serves the new one here", span(p.Margin))},
		{p.Margin > 30*day, fmt.Sprintf("margin = %q: every wait takes that long", span(p.Margin))},
		{p.Factor > 10, fmt.Sprintf("factor = %g: every wait takes that many times the largest TTL", p.Factor)},
		{p.MaxGap < time.Minute, fmt.Sprintf("max_gap = %q: `rollover advance` must run more often than that, or no wait ends", span(p.MaxGap))},
		{p.MaxGap > day, fmt.Sprintf("max_gap = %q: what comes and goes within that time is not seen, and counts as held", span(p.MaxGap))},
		{timeout < 100*time.Millisecond, fmt.Sprintf("dns.timeout = %q: servers hardly answer within that time", timeout)},
		{timeout > time.Minute, fmt.Sprintf("dns.timeout = %q: a server that does not answer holds every look up for that long, twice", timeout)},
		{tool < time.Second, fmt.Sprintf("pdnsutil.timeout = %q: pdnsutil hardly ends within that time, and is killed", tool)},
		{tool > time.Hour, fmt.Sprintf("pdnsutil.timeout = %q: a pdnsutil that hangs holds everything up for that long", tool)},
		{long < time.Minute, fmt.Sprintf("pdnsutil.long_timeout = %q: reading or ordering a large zone hardly ends within that time, and is killed", long)},
		{long > time.Hour && long > tool, fmt.Sprintf("pdnsutil.long_timeout = %q: a zone whose records cannot be read holds everything up for that long", long)},
		{resubmit < time.Minute, fmt.Sprintf("ds.resubmit = %q: the driver is asked again and again before the parent can show anything", resubmit)},
		{repeat < time.Minute, fmt.Sprintf("notify.repeat = %q: what is not over is told by every run", repeat)},
		{stuck < time.Minute, fmt.Sprintf("notify.stuck_after = %q: every wait is told as stuck", stuck)},
	} {
		if d.when {
			out = append(out, d.text)
		}
	}
	return out
}

// doubt says before a start, and with a plan, which settings can hardly be meant.
func (m *mouth) doubt(c *cli.Context, w *world, zone string) {
	if c.Bool("quiet") {
		return
	}
	for _, text := range w.config.doubts(zone) {
		fmt.Fprintf(m.err, "rollover: warning: %s: %s\n", w.config.path, text)
	}
}
