package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

func (m *mouth) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "the health of zones, seen from outside; a monitoring plugin",
		ArgsUsage: "[ZONE...]",
		Description: "Without a zone: those that rollover knows; --all: every zone of this PowerDNS. Looks at every name server of each zone and\n" +
			"of its parent, validates the chain from each, and asks the validating resolvers. What the plan of a running rollover\n" +
			"expects is no fault. First line and exit code are those of a monitoring plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
		Flags: []cli.Flag{
			zoneFlag(),
			&cli.BoolFlag{Name: "all", Usage: "every zone that pdnsutil lists"},
			&cli.StringFlag{Name: "warning", Aliases: []string{"w", "W"}, Value: "5d", Usage: "`TIME` left of a signature from when on it is a warning; a plain number is days"},
			&cli.StringFlag{Name: "critical", Aliases: []string{"c", "C"}, Value: "3d", Usage: "`TIME` left of a signature from when on it is critical"},
			&cli.StringFlag{Name: "pending", Value: "7d", Usage: "`TIME` that the operator may have something to do before it is a warning"},
			&cli.StringFlag{Name: "timeout", Aliases: []string{"t"}, Value: "60s", Usage: "`TIME` for all of it; a plain number is seconds; what is not done then is UNKNOWN"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "`FORMAT`: text, json or prometheus"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write into `FILE`, at once and readable for all, in the place of standard output"},
			&cli.StringFlag{Name: "sntp", Usage: "compare the clock with that of time `SERVER`"},
			&cli.BoolFlag{Name: "notify", Usage: "tell outside what was found, and what came to be well, by the channels of [notify]"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "a line for zones that are well, too"},
		},
		Action: m.check,
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return unknown(usage("%v", err))
		},
	}
}

// checkOptions is the command line of check.
type checkOptions struct {
	zones   []string
	limits  rollover.Limits
	timeout time.Duration
	format  string
}

// errVerdict is an exit code of a monitoring plugin, which was told already.
type errVerdict struct{ severity rollover.Severity }

func (e errVerdict) Error() string { return "check: " + string(e.severity) }

// errUnknownState marks failures of check itself: exit code 3, and a first line
// that says so.
var errUnknownState = errors.New("check could not be done")

func unknown(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errUnknownState, err)
}

func (m *mouth) check(c *cli.Context) error {
	o, err := checkArgs(c)
	if err != nil {
		return unknown(err)
	}
	w, err := m.open(c)
	if err != nil {
		return unknown(err)
	}
	defer w.close()
	r, odd, err := w.examine(c, o)
	if err != nil {
		return unknown(err)
	}
	seen := append(slices.Clone(r.checkups), r.machine...)
	for _, name := range odd {
		r.checkups = append(r.checkups, rollover.Unseen(name, errors.New("a name that rollover does not take for that of a zone")))
	}
	err = m.publish(c, r)
	if c.Bool("notify") { // after the first line, which must not wait for it
		m.deliverCheckups(c.Context, w, seen, r.at)
	}
	if err != nil {
		return unknown(err)
	}
	if worst := r.worst(); worst != rollover.SeverityOK {
		return errVerdict{worst}
	}
	return nil
}

// examine looks at the zones and at the clock; odd are names that PowerDNS lists
// and that are not those of zones.
func (w *world) examine(c *cli.Context, o checkOptions) (r report, odd []string, err error) {
	ctx, cancel := context.WithTimeoutCause(c.Context, o.timeout, fmt.Errorf("not done within %s (-t)", o.timeout))
	defer cancel()
	zones, odd, err := w.toCheck(ctx, c.Bool("all"), o.zones)
	if err != nil {
		return report{}, nil, err
	}
	r = report{at: time.Now(), options: o, state: w.config.State}
	r.checkups = w.checkAll(ctx, zones, o.limits)
	r.blame(c, w)
	r.clock = clockFindings(ctx, c.String("sntp"))
	return r, odd, nil
}

func checkArgs(c *cli.Context) (checkOptions, error) {
	o := checkOptions{format: c.String("format"), limits: rollover.DefaultLimits()}
	var err error
	if o.zones, err = zones(c); err != nil {
		return o, err
	}
	if c.Bool("json") {
		o.format = "json"
	}
	if !slices.Contains([]string{"text", "json", "prometheus"}, o.format) {
		return o, usage("there is no format %q: there are text, json and prometheus", o.format)
	}
	for _, item := range []struct {
		flag string
		unit time.Duration
		into *time.Duration
	}{
		{"warning", day, &o.limits.ExpiryWarning}, {"critical", day, &o.limits.ExpiryCritical},
		{"pending", day, &o.limits.Pending}, {"timeout", time.Second, &o.timeout},
	} {
		if *item.into, err = lengthOf(c.String(item.flag), item.unit); err != nil {
			return o, usage("--%s: %v", item.flag, err)
		}
	}
	if o.limits.ExpiryCritical > o.limits.ExpiryWarning {
		return o, usage("--critical (%s) is longer than --warning (%s)", o.limits.ExpiryCritical, o.limits.ExpiryWarning)
	}
	return o, nil
}

// lengthOf reads a length of time; a plain number counts units, as other
// monitoring plugins have it.
func lengthOf(text string, unit time.Duration) (time.Duration, error) {
	var n int
	if _, err := fmt.Sscanf(text+" ", "%d ", &n); err == nil && fmt.Sprint(n) == text && n > 0 {
		return time.Duration(n) * unit, nil
	}
	d, err := parseDuration(text)
	if err == nil && d <= 0 {
		err = fmt.Errorf("%q is no length of time", text)
	}
	return time.Duration(d), err
}

// toCheck is the zones to look at: those named, all that PowerDNS has and that are no
// catalog zones, or those that rollover knows; without those of `check = false`, unless
// they are named.
func (w *world) toCheck(ctx context.Context, all bool, named []string) (zones, odd []string, err error) {
	switch {
	case all && len(named) > 0:
		return nil, nil, usage("either --all or zones, not both")
	case all:
		zones, odd, err = w.allZones(ctx)
	case len(named) > 0:
		return named, nil, nil
	default:
		zones, err = w.db.Zones()
	}
	zones = slices.DeleteFunc(zones, func(zone string) bool { return !yes(w.config.entry(zone).Check) })
	if err == nil && len(zones)+len(odd) == 0 {
		err = errors.New("there is no zone to check: name one, or use --all")
	}
	return zones, odd, err
}

// allZones is what PowerDNS has, without catalog zones.
func (w *world) allZones(ctx context.Context) (zones, odd []string, err error) {
	if zones, odd, err = w.tool.Zones(ctx); err != nil {
		return nil, nil, err
	}
	catalogs, err := w.tool.Catalogs(ctx)
	if err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(zones, func(zone string) bool { return slices.Contains(catalogs, zone) }), odd, nil
}

// checkAll looks at zones side by side. The results are in the order of the
// zones.
func (w *world) checkAll(ctx context.Context, zones []string, l rollover.Limits) []rollover.Checkup {
	out := make([]rollover.Checkup, len(zones))
	var wg sync.WaitGroup
	slots := make(chan struct{}, looksAtOnce)
	names := newSampler(w, len(zones))
	for i, zone := range zones {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := w.uncrashed(zone, func() error {
				out[i] = w.checkOne(ctx, zone, l, names)
				return nil
			})
			if err != nil {
				out[i] = rollover.Unseen(zone, err)
			}
		})
	}
	wg.Wait()
	return out
}

func (w *world) checkOne(ctx context.Context, zone string, l rollover.Limits, names *sampler) rollover.Checkup {
	d, err := w.db.Load(zone)
	if err != nil {
		return rollover.Unseen(zone, err)
	}
	d.Zone = zone
	setting := w.config.setting(zone)
	q := w.engine.Question(d)
	q.Opinions, q.Validators, q.Thorough = true, false, true
	q.Samples = names.of(ctx, zone, q.Samples)
	for _, sample := range usualSamples(zone) { // the ledger has none of what PowerDNS computes, as an ALIAS at the apex
		if !slices.Contains(q.Samples, sample) {
			q.Samples = append(q.Samples, sample)
		}
	}
	s, err := w.probe.Look(ctx, q)
	if err != nil {
		return rollover.Unseen(zone, err)
	}
	return rollover.Check(d, s, setting.Policy, l, time.Now())
}
