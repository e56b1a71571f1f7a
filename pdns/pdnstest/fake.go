package pdnstest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"rollover/rollover"
)

// Version is what the fake says of itself: the release that it imitates.
const Version = "4.7.3"

// Main is the main function of the fake: pdns_control when the process was
// started under that name, else pdnsutil. It returns the exit code.
func Main() int {
	return Run(filepath.Base(os.Args[0]), os.Args[1:], os.Stdout, os.Stderr)
}

// Exit runs Main and ends the process on the spot. os.Exit would also run what
// the race detector and the coverage tool have hooked up: a sleep of a second,
// and a warning on stderr that PowerDNS would not print.
func Exit() { syscall.Exit(Main()) }

// Run runs one command line; program is "pdnsutil" or "pdns_control".
func Run(program string, args []string, stdout, stderr io.Writer) int {
	line, err := parseLine(args)
	if err != nil {
		fmt.Fprintf(stderr, "Error: %v\n", err)
		return 1
	}
	if line.version {
		fmt.Fprintf(stdout, "%s %s\n", program, Version)
		return 0
	}
	if len(line.words) == 0 {
		fmt.Fprintf(stdout, "Usage: \n%s [options] <command> [params ..]\n", program)
		return 0
	}
	code := 1
	err = Update(line.dir, func(s *State) error {
		s.Calls = append(s.Calls, strings.Join(line.words, " "))
		c := command{state: s, name: line.words[0], args: line.words[1:], stdout: stdout, stderr: stderr}
		code = c.run(program)
		return nil
	})
	if err != nil {
		return noState(program, line.dir, stderr)
	}
	return code
}

// noState says what the real ones say when there is no configuration.
func noState(program, dir string, stderr io.Writer) int {
	if program == "pdns_control" {
		fmt.Fprintln(stderr, "Fatal error: Unable to connect to remote '/var/run/pdns/pdns.controlsocket': No such file or directory")
		return 1
	}
	fmt.Fprintf(stderr, "Warning: unable to read configuration file '%s/pdns.conf': No such file or directory\n", dir)
	fmt.Fprintln(stderr, "Error: No database backends configured for launch, unable to function")
	return 1
}

// commandLine is the options and the words of a command line.
type commandLine struct {
	dir     string
	version bool
	words   []string
}

// parseLine takes options anywhere until "--", as pdnsutil does.
func parseLine(args []string) (commandLine, error) {
	line := commandLine{dir: "/etc/powerdns"}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		dir, isDir := strings.CutPrefix(arg, "--config-dir=")
		switch {
		case arg == "--":
			line.words = append(line.words, args...)
			return line, nil
		case isDir:
			line.dir = dir
		case arg == "--config-dir" && len(args) > 0:
			line.dir, args = args[0], args[1:]
		case arg == "--version":
			line.version = true
		case arg == "--force" || arg == "-v" || arg == "--verbose":
		case strings.HasPrefix(arg, "-"):
			return line, fmt.Errorf("unrecognised option '%s'", arg)
		default:
			line.words = append(line.words, arg)
		}
	}
	return line, nil
}

// command is one command of pdnsutil or pdns_control being run.
type command struct {
	state          *State
	name           string
	args           []string
	stdout, stderr io.Writer
}

// run runs it and returns the exit code.
func (c command) run(program string) int {
	if program == "pdns_control" {
		return c.control()
	}
	known := map[string]func() int{
		"show-zone": c.showZone, "list-zone": c.listZone, "list-all-zones": c.listAllZones,
		"add-zone-key": c.addKey, "remove-zone-key": c.removeKey,
		"activate-zone-key":   c.changeKey(func(k *rollover.Key) { k.Active = true }),
		"deactivate-zone-key": c.changeKey(func(k *rollover.Key) { k.Active = false }),
		"publish-zone-key":    c.changeKey(func(k *rollover.Key) { k.Published = true }),
		"unpublish-zone-key":  c.changeKey(func(k *rollover.Key) { k.Published = false }),
		"export-zone-dnskey":  c.exportKey,
		"rectify-zone":        c.rectify,
		"increase-serial":     c.increaseSerial, "set-meta": c.setMeta, "get-meta": c.getMeta,
		"set-publish-cds": c.publishSwitch("PUBLISH-CDS", "2"), "set-publish-cdnskey": c.publishSwitch("PUBLISH-CDNSKEY", "1"),
		"unset-publish-cds": c.publishSwitch("PUBLISH-CDS", ""), "unset-publish-cdnskey": c.publishSwitch("PUBLISH-CDNSKEY", ""),
	}
	fn, ok := known[c.name]
	if !ok {
		return c.fail("Unknown command '%s'", c.name)
	}
	if len(c.args) == 0 && c.name != "list-all-zones" {
		fmt.Fprintf(c.stderr, "Syntax: pdnsutil %s ZONE\n", c.name)
		return 0 // so does 4.x for most commands
	}
	return fn()
}

// fail prints an error and returns exit code 1.
func (c command) fail(format string, args ...any) int {
	fmt.Fprintf(c.stderr, format+"\n", args...)
	return 1
}

func (c command) zone() *Zone { return c.state.zone(c.args[0]) }

// spelling is the zone as it was given, which messages echo.
func (c command) spelling() string { return plain(c.args[0]) }

func (c command) showZone() int {
	if c.zone() == nil {
		return c.fail("No such zone in the database")
	}
	c.zone().show(c.spelling(), c.stdout, c.stderr)
	return 0
}

func (c command) listZone() int {
	if c.zone() == nil {
		return c.fail("Zone '%s' not found!", c.spelling())
	}
	c.zone().list(c.stdout)
	return 0
}

func (c command) listAllZones() int {
	for _, z := range c.state.Zones {
		if len(c.args) == 0 || strings.EqualFold(c.args[0], z.Kind) {
			fmt.Fprintln(c.stdout, plain(z.Name))
		}
	}
	return 0
}

// addKey returns 0 and prints no id when there is no such zone, as the real
// one does.
func (c command) addKey() int {
	z := c.zone()
	if z == nil {
		fmt.Fprintln(c.stderr, "No such zone in the database")
		return 0
	}
	k, complaint := newKeySpec(c.args[1:])
	if complaint != "" {
		return c.fail("%s", complaint)
	}
	sized := k.Bits != 0
	if err := completeKey(&k); err != nil {
		return c.fail("Error: %v", err)
	}
	k.ID = c.state.nextID()
	z.Keys = append(z.Keys, k)
	word, active := "ZSK", 0
	if k.Flags == rollover.FlagsKSK {
		word = "KSK"
	}
	if k.Active {
		active = 1
	}
	fmt.Fprintf(c.stderr, "Added a %s with algorithm = %d, active=%d\n", word, k.Algorithm, active)
	if sized {
		fmt.Fprintf(c.stderr, "Requested specific key size of %d bits\n", k.Bits)
	}
	fmt.Fprintln(c.stdout, k.ID)
	return 0
}

// newKeySpec reads the words of add-zone-key, which come in any order; the
// second result is what pdnsutil would complain about. The defaults are those
// of 4.x: an inactive, published ECDSA ZSK.
func newKeySpec(words []string) (rollover.Key, string) {
	k := rollover.Key{Flags: rollover.FlagsZSK, Algorithm: 13, Published: true}
	for _, word := range words {
		switch word = strings.ToLower(word); word {
		case "zsk":
			k.Flags = rollover.FlagsZSK
		case "ksk":
			k.Flags = rollover.FlagsKSK
		case "active", "inactive":
			k.Active = word == "active"
		case "published", "unpublished":
			k.Published = word == "published"
		default:
			if number := algorithmNumber(word); number != 0 {
				k.Algorithm = number
				continue
			}
			bits, err := strconv.Atoi(word)
			if err != nil || bits == 0 {
				return k, fmt.Sprintf("Unknown algorithm, key flag or size '%s'", word)
			}
			k.Bits = bits
		}
	}
	return k, sizeComplaint(k)
}

func sizeComplaint(k rollover.Key) string {
	switch {
	case k.Algorithm < 13 && k.Bits == 0:
		return fmt.Sprintf("Error: Creating an algorithm %d (%s) key requires the size (in bits) to be passed.", k.Algorithm, mnemonic(k.Algorithm))
	case k.Algorithm >= 13 && k.Bits != 0 && k.Bits != usualBits(k.Algorithm):
		return "Error: The algorithm does not support the given bit size."
	}
	return ""
}

// changeKey is a command that changes the state of one key.
func (c command) changeKey(change func(*rollover.Key)) func() int {
	return func() int {
		if len(c.args) < 2 {
			return c.fail("Syntax: pdnsutil %s ZONE KEY-ID", c.name)
		}
		id, err := strconv.Atoi(c.args[1])
		switch {
		case c.name == "deactivate-zone-key" && err != nil:
			return c.fail("Error: stoull")
		case c.name == "deactivate-zone-key" && id < 1:
			return c.fail("Invalid KEY-ID")
		case err != nil || id < 1:
			return c.fail("Invalid KEY-ID '%s'", c.args[1])
		}
		z := c.zone()
		if z == nil || z.key(id) == nil {
			return c.fail("Can't find a key with id %d for zone '%s'", id, c.spelling())
		}
		change(z.key(id))
		return 0
	}
}

// removeKey returns 0 whether or not there is such a key, as the real one does.
func (c command) removeKey() int {
	if len(c.args) < 2 {
		fmt.Fprintln(c.stderr, "Syntax: pdnsutil remove-zone-key ZONE KEY-ID")
		return 0
	}
	id, err := strconv.Atoi(c.args[1])
	if err != nil {
		return c.fail("Error: stoull")
	}
	if z := c.zone(); z != nil {
		z.Keys = slices.DeleteFunc(z.Keys, func(k rollover.Key) bool { return k.ID == id })
	}
	return 0
}

func (c command) exportKey() int {
	if len(c.args) < 2 {
		fmt.Fprintln(c.stderr, "Syntax: pdnsutil export-zone-dnskey ZONE KEY-ID")
		return 0
	}
	id, err := strconv.Atoi(c.args[1])
	z := c.zone()
	if err != nil || z == nil || z.key(id) == nil {
		return c.fail("Error: Can't find a key with id %s for zone '%s'", c.args[1], c.spelling())
	}
	fmt.Fprintf(c.stdout, "%s IN DNSKEY %v\n", c.spelling(), z.key(id).DNSKEY())
	return 0
}

// rectify counts the names whose place in the order it has written; the fake
// keeps none, so every name counts every time.
func (c command) rectify() int {
	z := c.zone()
	switch {
	case z == nil || z.soa().record == nil:
		return c.fail("No SOA known for '%s', is such a zone in the database?", c.spelling())
	case z.presigned():
		return c.fail("Rectify presigned zone '%s' is not allowed/necessary.", c.spelling())
	}
	fmt.Fprintf(c.stderr, "Adding NSEC ordering information for zone '%s', %d updates\n", c.spelling(), len(z.Records))
	return 0
}

func (c command) increaseSerial() int {
	z := c.zone()
	if z == nil || z.soa().record == nil {
		fmt.Fprintf(c.stderr, "No SOA for zone '%s'\n", c.spelling())
		return 255
	}
	if z.presigned() {
		fmt.Fprintf(c.stderr, "Serial increase of presigned zone '%s' is not allowed.\n", c.spelling())
		return 255
	}
	fmt.Fprintf(c.stdout, "SOA serial for zone %s set to %d\n", c.spelling(), z.soa().bump())
	return 0
}

func (c command) setMeta() int {
	z := c.zone()
	if z == nil {
		return c.fail("Invalid zone '%s'", c.spelling())
	}
	if len(c.args) < 2 {
		return c.fail("Syntax: pdnsutil set-meta ZONE KIND [VALUE VALUE ..]")
	}
	kind, values := c.args[1], c.args[2:]
	if z.Metadata == nil {
		z.Metadata = make(map[string][]string)
	}
	z.Metadata[kind] = values
	if len(values) == 0 {
		delete(z.Metadata, kind)
	}
	fmt.Fprintf(c.stdout, "Set '%s' meta %s = %s\n", c.spelling(), kind, strings.Join(values, ", "))
	return 0
}

// publishSwitch sets or clears metadata; it prints nothing and returns 0, also
// for a zone that is not there.
func (c command) publishSwitch(kind, usual string) func() int {
	return func() int {
		z := c.zone()
		if z == nil {
			return 0
		}
		if z.Metadata == nil {
			z.Metadata = make(map[string][]string)
		}
		value := usual
		if len(c.args) > 1 {
			value = c.args[1]
		}
		if value == "delete" { // of set-publish-cdnskey
			value = "0"
		}
		z.Metadata[kind] = []string{value}
		if value == "" {
			delete(z.Metadata, kind)
		}
		return 0
	}
}

func (c command) getMeta() int {
	z := c.zone()
	if z == nil {
		return c.fail("Invalid zone '%s'", c.spelling())
	}
	kinds := c.args[1:]
	if len(kinds) == 0 {
		kinds = z.metadataKinds()
	}
	fmt.Fprintf(c.stdout, "Metadata for '%s'\n", c.spelling())
	for _, kind := range kinds {
		fmt.Fprintf(c.stdout, "%s = %s\n", kind, strings.Join(z.Metadata[kind], ", "))
	}
	return 0
}

// control is pdns_control: everything but a server that is down returns 0.
func (c command) control() int {
	if c.state.Down {
		return c.fail("Fatal error: Unable to connect to remote '/run/pdns.controlsocket': Connection refused")
	}
	switch c.name {
	case "rping":
		fmt.Fprintln(c.stdout, "PONG")
	case "purge":
		fmt.Fprintln(c.stdout, len(c.args))
	case "notify":
		c.notify()
	default:
		return c.fail("Unknown command: '%s'", c.name)
	}
	return 0
}

func (c command) notify() {
	switch {
	case len(c.args) != 1:
		fmt.Fprintln(c.stdout, "syntax: notify zone")
	case c.state.NotPrimary:
		fmt.Fprintln(c.stdout, "PowerDNS not configured as primary (primary), or secondary (secondary) with re-notifications")
	case c.zone() == nil:
		fmt.Fprintln(c.stdout, "Failed to add to the queue - see log")
	default:
		c.zone().Notified = c.zone().soa().serial
		fmt.Fprintln(c.stdout, "Added to queue")
	}
}
