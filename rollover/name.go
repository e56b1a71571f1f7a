package rollover

import (
	"errors"
	"fmt"
	"strings"
)

// ErrZoneName is wrapped by every error of ParseZone.
var ErrZoneName = errors.New("not a zone name")

// ParseZone checks a zone name and returns it as rollover stores it: lower
// case, ASCII, with the trailing dot. Labels hold letters, digits, hyphen,
// underscore, slash (RFC 2317) or are a lone asterisk; none begins with a
// hyphen. The empty string is refused, because pdnsutil takes it for the root
// (PowerDNS: `show-zone ”` acts on "."), and so is anything that a command
// line could take for an option.
func ParseZone(text string) (string, error) {
	switch {
	case text == "":
		return "", fmt.Errorf("%w: it is empty; pdnsutil would take that for the root zone: give the zone with --zone NAME", ErrZoneName)
	case strings.HasPrefix(text, "-"):
		return "", fmt.Errorf("%w: %q looks like an option: give the zone with --zone NAME", ErrZoneName, text)
	case text == ".":
		return ".", nil
	}
	name := strings.Map(lower, strings.TrimSuffix(text, "."))
	if len(name) > 253 {
		return "", fmt.Errorf("%w: %q is longer than 253 octets (RFC 1035 section 2.3.4)", ErrZoneName, text)
	}
	for _, label := range strings.Split(name, ".") {
		if err := checkLabel(label); err != nil {
			return "", fmt.Errorf("%w: %q: %w", ErrZoneName, text, err)
		}
	}
	return name + ".", nil
}

// lower makes small letters of the capitals of ASCII only: unicode.ToLower has
// a K (the Kelvin sign) and an I (of Turkish) that become letters of ASCII.
func lower(c rune) rune {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("it has an empty label (two dots in a row)")
	case len(label) > 63:
		return errors.New("it has a label of more than 63 octets (RFC 1035 section 2.3.4)")
	case label[0] == '-':
		return errors.New("it has a label that begins with a hyphen")
	case label == "*":
		return nil
	}
	for _, c := range []byte(label) {
		if !isLabelOctet(c) {
			return fmt.Errorf("the octet %q is not allowed in a zone name here", c)
		}
	}
	return nil
}

func isLabelOctet(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '/'
}

// wireName is the canonical wire form of a name that ParseZone returned
// (RFC 4034 section 6.2).
func wireName(zone string) ([]byte, error) {
	zone, err := ParseZone(zone)
	if err != nil {
		return nil, err
	}
	if zone == "." {
		return []byte{0}, nil
	}
	var out []byte
	for _, label := range strings.Split(strings.TrimSuffix(zone, "."), ".") {
		out = append(append(out, byte(len(label))), label...)
	}
	return append(out, 0), nil
}
