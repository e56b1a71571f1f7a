package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"rollover/rollover"
)

const defaultConfig = "/etc/rollover/rollover.toml"

// config is the configuration file, field by field; docs/rollover.toml has
// each with its default.
type config struct {
	State    string                  `toml:"state"`
	Pdnsutil pdnsutilConfig          `toml:"pdnsutil"`
	DNS      dnsConfig               `toml:"dns"`
	Policy   map[string]policyConfig `toml:"policy"`
	DS       dsConfig                `toml:"ds"`
	Notify   notifyConfig            `toml:"notify"`
	Zone     []zoneConfig            `toml:"zone"`

	path string
}

type pdnsutilConfig struct {
	Command    []string   `toml:"command"`
	Control    []string   `toml:"control"`
	Controls   [][]string `toml:"controls"`
	Shells     []string   `toml:"shells"`
	ConfigDir  string     `toml:"config_dir"`
	ConfigName string     `toml:"config_name"`
	Timeout    duration   `toml:"timeout"`
	Long       duration   `toml:"long_timeout"`
	Serial     []string   `toml:"serial"`
	MaxLag     duration   `toml:"max_lag"`
}

type dnsConfig struct {
	Resolvers    []string `toml:"resolvers"`
	Validators   []string `toml:"validators"`
	TrustAnchors string   `toml:"trust_anchors"`
	Timeout      duration `toml:"timeout"`
	LookTimeout  duration `toml:"look_timeout"`
	DontQuery    []string `toml:"dont_query"`
}

// neverPublic are networks in which no name server is that others can ask: this
// machine, its link, multicast and reserved, and where clouds answer for themselves.
func neverPublic() []string {
	return []string{
		"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.192", "100.100.100.200", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8", "fd00:ec2::254", "fd20:ce::254",
	}
}

// policyConfig has pointers where the zero value differs from "not set".
type policyConfig struct {
	Factor        *float64  `toml:"factor"`
	Margin        *duration `toml:"margin"`
	MaxGap        *duration `toml:"max_gap"`
	Evidence      *string   `toml:"evidence"`
	KSKMethod     *string   `toml:"ksk_method"`
	ZSKLifetime   *duration `toml:"zsk_lifetime"`
	KSKLifetime   *duration `toml:"ksk_lifetime"`
	CSKLifetime   *duration `toml:"csk_lifetime"`
	CheckInterval *duration `toml:"check_interval"`
	DSDigests     *[]uint8  `toml:"ds_digests"`
	DS            dsConfig  `toml:"ds"`
}

type zoneConfig struct {
	Name          string   `toml:"name"`
	Policy        string   `toml:"policy"`
	Servers       []string `toml:"servers"`
	ServersOnly   bool     `toml:"servers_only"`
	ParentServers []string `toml:"parent_servers"`
	Exclude       []string `toml:"exclude"`
	Check         *bool    `toml:"check"`
	DS            dsConfig `toml:"ds"`
}

// longest is how long list-zone and rectify-zone may take.
const longest = duration(10 * time.Minute)

func defaults() config {
	return config{
		State: "/var/lib/rollover/rollover.db",
		Pdnsutil: pdnsutilConfig{
			Command: []string{"pdnsutil"}, Control: []string{"pdns_control"}, Controls: [][]string{}, Shells: []string{"ssh"}, Timeout: duration(time.Minute),
			Long: longest, Serial: []string{}, MaxLag: duration(time.Minute),
		},
		DNS: dnsConfig{
			Validators: []string{"8.8.8.8", "1.1.1.1", "9.9.9.9"}, Timeout: duration(5 * time.Second), LookTimeout: duration(30 * time.Second), DontQuery: neverPublic(),
		},
		DS: defaultDS(), Notify: defaultNotify(),
	}
}

// loadConfig reads the configuration. The default file may be missing; one
// that was named may not.
func loadConfig(path string) (config, error) {
	c := defaults()
	c.path = path
	if path == "" {
		c.path = defaultConfig
	}
	if err := trusted(c.path); err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	raw, err := os.ReadFile(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && path == "":
		c.path = "(built-in defaults)"
	case err != nil:
		return c, fmt.Errorf("%w: reading it: %w", errConfig, err)
	}
	if err := c.decode(raw); err != nil {
		return c, fmt.Errorf("%w: %s: %s", errConfig, c.path, positioned(err))
	}
	if c.Pdnsutil.Long == longest {
		c.Pdnsutil.Long = max(longest, c.Pdnsutil.Timeout) // a file from before there was this setting
	}
	if len(c.DNS.Resolvers) == 0 {
		c.DNS.Resolvers = systemResolvers("/etc/resolv.conf")
	}
	if err := c.check(); err != nil {
		return c, fmt.Errorf("%w: %s: %w", errConfig, c.path, err)
	}
	return c, c.checkPrograms()
}

// decode takes in what the text of a configuration file sets.
func (c *config) decode(raw []byte) error {
	if err := unitless(raw); err != nil {
		return err
	}
	decoder := toml.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	return decoder.Decode(c)
}

// positioned is an error of the TOML decoder with the line and a caret.
func positioned(err error) string {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		return "unknown field\n" + strict.String()
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		return decode.Error() + "\n" + decode.String()
	}
	return err.Error()
}

// systemResolvers is the nameserver lines of resolv.conf, with port 53.
func systemResolvers(path string) []string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil // no resolver: finding servers will say so, with the remedy
	}
	return resolversIn(string(raw))
}

func resolversIn(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if address, err := netip.ParseAddr(words[1]); err == nil {
			out = append(out, netip.AddrPortFrom(address, 53).String())
		}
	}
	return out
}

// check refuses what cannot be meant, before the first key is touched.
func (c config) check() error {
	switch {
	case len(c.Pdnsutil.Command) == 0 || c.Pdnsutil.Command[0] == "":
		return errors.New("pdnsutil.command is empty: it must name the program, as in [\"pdnsutil\"]")
	case c.Pdnsutil.Timeout <= 0 || c.DNS.Timeout <= 0 || c.DNS.LookTimeout <= 0:
		return errors.New("a timeout must be longer than 0")
	case c.Pdnsutil.Long < c.Pdnsutil.Timeout:
		return fmt.Errorf("pdnsutil.long_timeout = %q is shorter than pdnsutil.timeout = %q: it is for the commands that take longest", time.Duration(c.Pdnsutil.Long), time.Duration(c.Pdnsutil.Timeout))
	case c.Pdnsutil.MaxLag < 0 || c.Pdnsutil.MaxLag > duration(day):
		return errors.New("pdnsutil.max_lag must be 0 to a day: how far what pdnsutil reads may be behind what it writes")
	}
	if _, err := parseNetworks("dns.dont_query", c.DNS.DontQuery); err != nil {
		return err
	}
	if err := checkControls(c.Pdnsutil.Control, c.Pdnsutil.Controls); err != nil {
		return fmt.Errorf("pdnsutil: %w", err)
	}
	for name := range c.Policy {
		p, err := c.policy(name)
		if err != nil {
			return err
		}
		if err := checkPolicy(p); err != nil {
			return fmt.Errorf("policy.%s: %w", name, err)
		}
		if err := c.Policy[name].checkLifetimes(); err != nil {
			return fmt.Errorf("policy.%s: %w", name, err)
		}
	}
	if err := c.checkZones(); err != nil {
		return err
	}
	if err := c.Notify.check(); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return c.checkDrivers()
}

// checkControls refuses further front ends that nobody could notify for, and
// commands without a program.
func checkControls(control []string, controls [][]string) error {
	if len(controls) > 0 && len(control) == 0 {
		return errors.New("controls has servers and control has none: put the one that notifies secondaries into control")
	}
	for _, command := range controls {
		if len(command) == 0 || command[0] == "" {
			return errors.New("controls is a list of commands, as in [[\"ssh\", \"ns2\", \"pdns_control\"], [\"ssh\", \"ns3\", \"pdns_control\"]]; one of them is empty")
		}
	}
	return nil
}

func (c config) checkZones() error {
	for _, z := range c.Zone {
		if _, err := parseZone(strings.TrimPrefix(z.Name, "*.")); err != nil {
			return fmt.Errorf("zone name: %w", err)
		}
		if z.Policy != "" && z.Policy != "default" && !hasPolicy(c.Policy, z.Policy) {
			return fmt.Errorf("zone %s: there is no policy %q", z.Name, z.Policy)
		}
	}
	return nil
}

func hasPolicy(policies map[string]policyConfig, name string) bool {
	_, ok := policies[name]
	return ok
}

func checkPolicy(p rollover.Policy) error {
	switch {
	case !(p.Factor >= 1 && p.Factor <= 100): // nan is neither
		return fmt.Errorf("factor = %g: it must not be below 1, or caches would outlive the wait, nor above 100", p.Factor)
	case p.Margin < 0 || p.Margin > longestTTL:
		return errors.New("margin must be a length of time, at most a year")
	case p.MaxGap <= 0 || p.CheckInterval <= 0:
		return errors.New("max_gap and check_interval must be longer than 0")
	case p.CheckInterval > p.MaxGap:
		return fmt.Errorf("check_interval (%s) is longer than max_gap (%s): waits would never be earned in full", p.CheckInterval, p.MaxGap)
	case !slices.Contains([]rollover.Evidence{rollover.EvidenceValidated, rollover.EvidenceResolver, rollover.EvidencePlain}, p.Evidence):
		return fmt.Errorf("evidence = %q: it must be \"validated\" (proven up to a trust anchor), \"resolver\" (confirmed by a trusted validating resolver) or \"plain\" (no proof)", p.Evidence)
	case len(p.DSDigests) == 0 || slices.ContainsFunc(p.DSDigests, func(d uint8) bool { return d != 2 && d != 4 }):
		return fmt.Errorf("ds_digests = %v: allowed are 2 (SHA-256) and 4 (SHA-384)", p.DSDigests)
	}
	_, err := rollover.FindKind("ksk", p.KSKMethod)
	return err
}

func (p policyConfig) checkLifetimes() error {
	for name, lifetime := range map[string]*duration{"zsk_lifetime": p.ZSKLifetime, "ksk_lifetime": p.KSKLifetime, "csk_lifetime": p.CSKLifetime} {
		if lifetime != nil && *lifetime != never {
			return fmt.Errorf("%s = %q: starting rollovers by lifetime is not there yet: set it to \"never\" and use rollover start", name, lifetime)
		}
	}
	return nil
}

// policy is a policy by name: the built-in defaults, changed by what the
// configuration sets for "default", changed by what it sets for the name.
func (c config) policy(name string) (rollover.Policy, error) {
	p := rollover.DefaultPolicy()
	c.Policy["default"].apply(&p)
	if name == "" || name == "default" {
		return p, nil
	}
	named, ok := c.Policy[name]
	if !ok {
		return p, fmt.Errorf("there is no policy %q", name)
	}
	named.apply(&p)
	p.Name = name
	return p, nil
}

func (c policyConfig) apply(p *rollover.Policy) {
	set(&p.Factor, c.Factor)
	set(&p.KSKMethod, c.KSKMethod)
	set(&p.DSDigests, c.DSDigests)
	for field, value := range map[*time.Duration]*duration{&p.Margin: c.Margin, &p.MaxGap: c.MaxGap, &p.CheckInterval: c.CheckInterval} {
		if value != nil {
			*field = time.Duration(*value)
		}
	}
	if c.Evidence != nil {
		p.Evidence = rollover.Evidence(*c.Evidence)
	}
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// setting is what the configuration says of a zone: the entry of its own name,
// else the longest pattern that fits, else the defaults.
func (c config) setting(zone string) rollover.Setting {
	best, p := c.entry(zone), c.zonePolicy(zone)
	ds := c.ds(best)
	p.CDS = *ds.Driver == driverCDS
	return rollover.Setting{
		Driver: *ds.Driver, Resubmit: time.Duration(*ds.Resubmit),
		Policy: p, Servers: best.Servers, ServersOnly: best.ServersOnly, ParentServers: best.ParentServers, Exclude: best.Exclude,
	}
}

// zonePolicy is the policy of a zone.
func (c config) zonePolicy(zone string) rollover.Policy {
	p, err := c.policy(c.entry(zone).Policy)
	if err != nil {
		return rollover.DefaultPolicy() // checkZones has excluded that
	}
	return p
}

// soonestLook is the shortest check interval of any policy.
func (c config) soonestLook() time.Duration {
	out := c.zonePolicy("").CheckInterval
	for name := range c.Policy {
		if p, err := c.policy(name); err == nil {
			out = min(out, p.CheckInterval)
		}
	}
	return out
}

// entry is the entry that counts for a zone; an empty one if none fits.
func (c config) entry(zone string) zoneConfig {
	var best zoneConfig
	rank := -1
	for _, z := range c.Zone {
		if r := z.fits(zone); r > rank {
			best, rank = z, r
		}
	}
	return best
}

// fits says how well an entry fits a zone: -1 not at all, an exact name best,
// a longer pattern better than a shorter one.
func (z zoneConfig) fits(zone string) int {
	parent, pattern := strings.CutPrefix(z.Name, "*.")
	name, err := parseZone(parent)
	switch {
	case err != nil:
		return -1
	case !pattern && name == zone:
		return 1000
	case pattern && strings.HasSuffix(zone, "."+name):
		return len(name)
	}
	return -1
}
