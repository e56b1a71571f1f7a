package main

import (
	"errors"
	"fmt"
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

const defaultDSTTL = duration(time.Hour)

func defaultDS() dsConfig {
	driver, resubmit, on, off := driverManual, duration(6*time.Hour), true, false
	return dsConfig{
		Driver: &driver, Resubmit: &resubmit,
		Exec:     &execConfig{Command: []string{}, Timeout: duration(time.Minute)},
		Nsupdate: &nsupdateConfig{TTL: defaultDSTTL, Timeout: duration(10 * time.Second)},
		CDS:      &cdsConfig{CDNSKEY: &on, Notify: &on, Signal: &off},
		Pdnsutil: &parentConfig{Command: []string{}, Control: []string{}, Controls: [][]string{}, TTL: defaultDSTTL},
	}
}

// over is a table with what it leaves out taken from a more general one.
func (d dsConfig) over(general dsConfig) dsConfig {
	or(&d.Driver, general.Driver)
	or(&d.Resubmit, general.Resubmit)
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
	switch *d.Driver {
	case driverManual, driverCDS:
		return nil
	case driverExec:
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
