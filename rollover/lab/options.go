package lab

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/miekg/dns"
)

// The layouts of a zone's keys.
const (
	Split = "split" // a KSK and a ZSK
	CSK   = "csk"   // one key for both, as `pdnsutil secure-zone` makes it

	Unsigned = "unsigned" // no keys, and no DS at the parent
)

// defaultTTL is the TTL of everything for which the options say nothing.
const defaultTTL = 300

// Zone is one signed child zone of the lab. Zero values mean a default.
type Zone struct {
	Name    string // a name below the parent's
	Hosts   string // the zone in which its name servers have their names, ns1 and ns2; default Name
	Layout  string // Split (the default) or CSK
	Key     string // algorithm and size of the keys as pdnsutil takes them; default "ecdsa256 256"
	TTL     uint32 // of the data and the NS records; default 300
	LongTTL uint32 // of a TXT record at long.<zone>; 0: no such record
	Minimum uint32 // SOA minimum, which PowerDNS makes the TTL of the DNSKEY set; default TTL
	SOATTL  uint32 // of the SOA record; default TTL
}

// Options say which world Start builds.
type Options struct {
	Parent string // the parent zone; default "lab.test."
	DSTTL  uint32 // TTL of the DS sets, and of all else in the parent zone; default 300
	Zones  []Zone
	Extra  []string // more records of the parent zone: "name type data", names absolute
	BIND   bool     // the parent's primary is BIND, which takes dynamic updates, instead of PowerDNS

	// Backend is where the children's primary keeps its zones: GSQLite3 (the
	// default), GMySQL, GPgSQL, LMDB or Bind. All other servers use SQLite.
	Backend string

	// Direct makes the children's primary transfer CDS and CDNSKEY records that
	// are stored in a zone (direct-dnskey=yes); PowerDNS leaves them out else.
	Direct bool

	// Settings are more lines for the configuration of the children's primary;
	// $validator stands for the address of the validator.
	Settings []string

	// Relayed puts a relay before the children's secondary, so that CutChild2 can
	// cut it off. Its port stays open then when StopServer ends it.
	Relayed bool

	// Strict makes the validator insist on every algorithm of a DS set, as some do.
	Strict bool

	// PDNSRoot is a folder with the unpacked packages of another version of
	// PowerDNS and all that they depend on, libc included: /usr/sbin and so
	// on are looked for below it. Empty: the PowerDNS of this machine.
	PDNSRoot string
}

// withDefaults is o with canonical names and every default filled in.
func (o Options) withDefaults() (Options, error) {
	o.Parent = dns.CanonicalName(cmp.Or(o.Parent, "lab.test."))
	o.DSTTL = cmp.Or(o.DSTTL, defaultTTL)
	o.Backend = cmp.Or(o.Backend, GSQLite3)
	o.Zones = slices.Clone(o.Zones)
	if o.Parent == "." {
		return o, errors.New("the parent zone of a lab cannot be the root")
	}
	if !slices.Contains([]string{GSQLite3, GMySQL, GPgSQL, LMDB, Bind}, o.Backend) {
		return o, fmt.Errorf("the lab does not know the back end %q", o.Backend)
	}
	for i := range o.Zones {
		o.Zones[i] = o.Zones[i].withDefaults()
		if err := o.checkZone(i); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (z Zone) withDefaults() Zone {
	z.Name = dns.CanonicalName(z.Name)
	z.Hosts = dns.CanonicalName(cmp.Or(z.Hosts, z.Name))
	z.Layout = cmp.Or(z.Layout, Split)
	z.Key = cmp.Or(z.Key, "ecdsa256 256")
	z.TTL = cmp.Or(z.TTL, defaultTTL)
	z.Minimum = cmp.Or(z.Minimum, z.TTL)
	z.SOATTL = cmp.Or(z.SOATTL, z.TTL)
	return z
}

// checkZone refuses what the lab cannot serve: a zone elsewhere than directly
// below the parent zone, whose DS set would not be where SetDS puts it.
func (o Options) checkZone(i int) error {
	z := o.Zones[i]
	if _, ok := dns.IsDomainName(z.Name); !ok || z.Name == o.Parent || !dns.IsSubDomain(o.Parent, z.Name) {
		return fmt.Errorf("zone %q of the lab is not a name below %s", z.Name, o.Parent)
	}
	if z.Layout != Split && z.Layout != CSK && z.Layout != Unsigned {
		return fmt.Errorf("zone %s of the lab has layout %q: use %q, %q or %q", z.Name, z.Layout, Split, CSK, Unsigned)
	}
	for j, other := range o.Zones {
		if i != j && dns.IsSubDomain(other.Name, z.Name) {
			return fmt.Errorf("zone %s of the lab is inside zone %s", z.Name, other.Name)
		}
	}
	return nil
}
