package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"
)

// The drivers: how the parent is asked for another DS set.
const (
	driverManual   = "manual"
	driverExec     = "exec"
	driverNsupdate = "nsupdate"
	driverCDS      = "cds"
	driverPdnsutil = "pdnsutil"
)

// dsConfig is [ds], [policy.NAME.ds] and [zone.ds]. What a zone leaves out it
// takes from its policy, and that from [ds]; a table of a driver is taken whole.
type dsConfig struct {
	Driver   *string         `toml:"driver"`
	Resubmit *duration       `toml:"resubmit"`
	Deadline *duration       `toml:"deadline"`
	Exec     *execConfig     `toml:"exec"`
	Nsupdate *nsupdateConfig `toml:"nsupdate"`
	CDS      *cdsConfig      `toml:"cds"`
	Pdnsutil *parentConfig   `toml:"pdnsutil"`
}

type execConfig struct {
	Command []string `toml:"command"`
	Timeout duration `toml:"timeout"`
}

type nsupdateConfig struct {
	Server  string   `toml:"server"`
	KeyFile string   `toml:"key_file"`
	Zone    string   `toml:"zone"`
	TTL     duration `toml:"ttl"`
	Timeout duration `toml:"timeout"`
}

type cdsConfig struct {
	CDNSKEY *bool `toml:"cdnskey"`
	Notify  *bool `toml:"notify"`
	Signal  *bool `toml:"signal"`
	// SignalZones are the zones that signalling records may be written into.
	SignalZones []string `toml:"signal_zones"`
	// PrivateTargets are networks that NOTIFY may go to although they are not public.
	PrivateTargets []string `toml:"private_targets"`
}

// zones is the zones for signalling records, as they are stored.
func (c cdsConfig) zones() ([]string, error) {
	var out []string
	for _, text := range c.SignalZones {
		zone, err := parseZone(text)
		if err != nil {
			return nil, fmt.Errorf("cds.signal_zones: %w", err)
		}
		out = append(out, zone)
	}
	return out, nil
}

// networks is what NOTIFY may go to beside public addresses.
func (c cdsConfig) networks() ([]netip.Prefix, error) {
	return parseNetworks("cds.private_targets", c.PrivateTargets)
}

// parseNetworks reads networks as in 10.1.0.0/16, and addresses.
func parseNetworks(setting string, texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if address, errAddress := netip.ParseAddr(text); err != nil && errAddress == nil {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %q is neither a network, as 10.1.0.0/16, nor an address", setting, text)
		}
		out = append(out, network)
	}
	return out, nil
}

func (c cdsConfig) check() error {
	zones, err := c.zones()
	switch {
	case err != nil:
		return err
	case asked(c.Signal) && len(zones) == 0:
		return errors.New("cds.signal = true needs cds.signal_zones, the zones of your name servers' names, as in [\"example.net\"]: signalling records are written into no others")
	}
	_, err = c.networks()
	return err
}

// yes is a switch that is on unless it is switched off.
func yes(b *bool) bool { return b == nil || *b }

// asked is a switch that is off unless it is switched on.
func asked(b *bool) bool { return b != nil && *b }

// parentConfig is the PowerDNS that serves the parent zone; what is not set is
// as in [pdnsutil].
type parentConfig struct {
	Command    []string   `toml:"command"`
	Control    []string   `toml:"control"`
	Controls   [][]string `toml:"controls"`
	ConfigDir  string     `toml:"config_dir"`
	ConfigName string     `toml:"config_name"`
	Zone       string     `toml:"zone"`
	TTL        duration   `toml:"ttl"`
}

// other says whether this is another PowerDNS than that of the zones.
func (c parentConfig) other() bool {
	return len(c.Command) > 0 || len(c.Control) > 0 || len(c.Controls) > 0 || c.ConfigDir != "" || c.ConfigName != ""
}

const longestTTL = 366 * day

// The deadline of one change: a driver holds up all that come after it.
const (
	defaultDeadline  = duration(90 * time.Second)
	shortestDeadline = duration(10 * time.Second)
	longestDeadline  = duration(10 * time.Minute)
)

const defaultDSTTL = duration(time.Hour)

func defaultDS() dsConfig {
	driver, resubmit, deadline, on, off := driverManual, duration(6*time.Hour), defaultDeadline, true, false
	return dsConfig{
		Driver: &driver, Resubmit: &resubmit, Deadline: &deadline,
		Exec:     &execConfig{Command: []string{}, Timeout: duration(time.Minute)},
		Nsupdate: &nsupdateConfig{TTL: defaultDSTTL, Timeout: duration(10 * time.Second)},
		CDS:      &cdsConfig{CDNSKEY: &on, Notify: &on, Signal: &off, SignalZones: []string{}, PrivateTargets: []string{}},
		Pdnsutil: &parentConfig{Command: []string{}, Control: []string{}, Controls: [][]string{}, TTL: defaultDSTTL},
	}
}

// over is a table with what it leaves out taken from a more general one.
func (d dsConfig) over(general dsConfig) dsConfig {
	or(&d.Driver, general.Driver)
	or(&d.Resubmit, general.Resubmit)
	or(&d.Deadline, general.Deadline)
	or(&d.Exec, general.Exec)
	or(&d.Nsupdate, general.Nsupdate)
	or(&d.CDS, general.CDS)
	or(&d.Pdnsutil, general.Pdnsutil)
	return d
}

func or[T any](field **T, general *T) {
	if *field == nil {
		*field = general
	}
}

// ds is how the parent of zones with this entry is asked.
func (c config) ds(z zoneConfig) dsConfig {
	policy := c.Policy["default"].DS.over(c.DS)
	if z.Policy != "" && z.Policy != "default" {
		policy = c.Policy[z.Policy].DS.over(policy)
	}
	return z.DS.over(policy)
}

// checkDrivers refuses a driver that could not work, for every zone entry and
// for zones without one.
func (c config) checkDrivers() error {
	if err := c.DS.check(); err != nil {
		return fmt.Errorf("ds: %w", err)
	}
	for _, z := range c.Zone {
		if err := c.ds(z).check(); err != nil {
			return fmt.Errorf("zone %s: %w", z.Name, err)
		}
	}
	for name := range c.Policy {
		if err := c.ds(zoneConfig{Policy: name}).check(); err != nil {
			return fmt.Errorf("policy.%s.ds: %w", name, err)
		}
	}
	return nil
}

func (d dsConfig) check() error {
	if *d.Resubmit <= 0 {
		return errors.New("resubmit must be longer than 0")
	}
	if *d.Deadline < shortestDeadline || *d.Deadline > longestDeadline {
		return fmt.Errorf("deadline must be from %s to %s", time.Duration(shortestDeadline), time.Duration(longestDeadline))
	}
	switch *d.Driver {
	case driverManual:
		return nil
	case driverCDS:
		return d.CDS.check()
	case driverExec:
		if d.Exec.Timeout > *d.Deadline {
			return fmt.Errorf("exec.timeout = %s is longer than the deadline of a change, %s: set a longer deadline beside driver", time.Duration(d.Exec.Timeout), time.Duration(*d.Deadline))
		}
		return d.Exec.check()
	case driverNsupdate:
		return d.Nsupdate.check()
	case driverPdnsutil:
		if err := checkControls(d.Pdnsutil.Control, d.Pdnsutil.Controls); err != nil {
			return fmt.Errorf("pdnsutil: %w", err)
		}
		return checkParent(d.Pdnsutil.Zone, d.Pdnsutil.TTL)
	}
	return fmt.Errorf("driver = %q: there are %q, %q, %q, %q and %q", *d.Driver, driverManual, driverExec, driverNsupdate, driverCDS, driverPdnsutil)
}

func (e execConfig) check() error {
	switch {
	case len(e.Command) == 0 || !filepath.IsAbs(e.Command[0]):
		return errors.New("driver = \"exec\" needs exec.command with the absolute path of a program, as in [\"/etc/rollover/hooks/registrar\"]")
	case e.Timeout < 0:
		return errors.New("exec.timeout must be longer than 0")
	}
	return nil
}

func (n nsupdateConfig) check() error {
	switch {
	case n.Server == "":
		return errors.New("driver = \"nsupdate\" needs nsupdate.server, the address of the parent's primary")
	case n.KeyFile == "":
		return errors.New("driver = \"nsupdate\" needs nsupdate.key_file, a file with mode 0600 that tsig-keygen made")
	case n.Timeout < 0:
		return errors.New("nsupdate.timeout must be longer than 0")
	}
	return checkParent(n.Zone, n.TTL)
}

func checkParent(zone string, ttl duration) error {
	if ttl < 0 || time.Duration(ttl) > longestTTL {
		return errors.New("ttl must be a length of time, at most a year")
	}
	if zone == "" {
		return nil
	}
	_, err := parseZone(zone)
	return err
}
