package pdns

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rollover/rollover"
)

// The lines of pdnsutil and pdns_control 4.7 to 5.1 that are read. White space
// is as printed: "  Active" and "Inactive" are padded to one width.
var (
	versionLine = regexp.MustCompile(`(?m)^pdnsutil (\d[!-~]*)(?:[ \t\r]|$)`)
	kindLine    = regexp.MustCompile(`^This is a (Native|Master|Slave|Producer|Consumer) zone$`)
	keyLine     = regexp.MustCompile(`^ID = ([1-9]\d*) \((CSK|KSK|ZSK)\), flags = (25[67]), tag = (\d+), algo = (\d+), bits = (\d+)\t(  Active|Inactive)\t( Published| Unpublished)  \( \S+ \) $`)
	dnskeyLine  = regexp.MustCompile(`^(CSK|KSK|ZSK) DNSKEY = (\S+) IN DNSKEY (\d+) 3 (\d+) (\S+) ; \( \S+ \)$`)
	dsLine      = regexp.MustCompile(`^DS = (\S+) IN DS (\d+) (\d+) (\d+) ([0-9a-f]+) ; \( .* digest \)$`)
	exportLine  = regexp.MustCompile(`^(\S+) IN DNSKEY (\d+) 3 (\d+) (\S+)$`)
	serialLine  = regexp.MustCompile(`^SOA serial for zone (\S+) set to (\d+)$`)
	notifyDone  = regexp.MustCompile(`^Added (\S+ )?to queue$`)
)

// Headings of show-zone. The order is: kind, metadata, presigned, NSEC or
// NSEC3, keys, options, catalog.
const (
	metadataHeading = "Metadata items: "
	presignedLine   = "Zone is presigned"
	keysHeading     = "keys: "
	noKeysLine      = "No keys for zone '" // on stderr, with exit code 0
)

// parseZoneList reads one name a line, as list-all-zones prints them.
func parseZoneList(stdout []byte) (zones, odd []string) {
	for _, line := range lines(stdout) {
		if isVariant(line) {
			continue
		}
		name, err := rollover.ParseZone(line)
		if err != nil {
			odd = append(odd, escaped(line))
			continue
		}
		zones = append(zones, name)
	}
	return zones, odd
}

// isVariant says whether a line is a variant of a zone, which PowerDNS 5 with LMDB and
// views lists as "example.com..internal": what some clients see in the place of the zone.
func isVariant(line string) bool {
	zone, variant, found := strings.Cut(line, "..")
	_, err := rollover.ParseZone(zone)
	odd := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' }
	return found && err == nil && variant != "" && !strings.ContainsFunc(strings.TrimSuffix(variant, "."), odd)
}

// longestOdd is how much of a name that is none is kept, in octets: a name of 255
// octets, each as \DDD.
const longestOdd = 4 * 255

// escaped is a line that anybody may have put there, fit for every view.
func escaped(line string) string {
	var out strings.Builder
	for _, c := range []byte(line) {
		if out.Len() >= longestOdd {
			break
		}
		if c > ' ' && c < 0x7f {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, `\%03d`, c)
		}
	}
	return out.String()
}

// lines splits output into lines without their line feeds.
func lines(text []byte) []string {
	text = bytes.TrimSuffix(text, []byte("\n"))
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(text), "\n")
}

// errKeyless is a back end that could not have keys: bind without a database for them
// (PowerDNS 4.7) has no metadata either.
var errKeyless = errors.New("show-zone printed no metadata heading: the back end of this zone keeps neither keys nor metadata (bind-dnssec-db, gmysql-dnssec and the like in pdns.conf)")

// parseInventory reads the output of show-zone. Metadata values and options
// are printed raw and may hold line feeds, so nothing in them may pass for a
// key: where that cannot be told apart, it is an error.
func parseInventory(zone string, stdout, stderr []byte) (rollover.Inventory, error) {
	all := lines(stdout)
	start := slices.IndexFunc(all, func(l string) bool { return strings.HasPrefix(l, metadataHeading) })
	switch {
	case start < 0 && bytes.Contains(stderr, []byte(noKeysLine)):
		return rollover.Inventory{}, errKeyless
	case start < 0:
		return rollover.Inventory{}, errors.New("show-zone printed no metadata heading")
	}
	kind, err := parseKind(all[:start])
	if err != nil {
		return rollover.Inventory{}, err
	}
	keysAt, err := findKeys(all[start:], stderr)
	if err != nil {
		return rollover.Inventory{}, err
	}
	body, section := all[start:start+keysAt], all[start+keysAt:]
	inv := rollover.Inventory{Zone: zone, Kind: kind, Presigned: slices.Contains(body, presignedLine), Metadata: parseMetadata(body)}
	if inv.Presigned || len(section) == 0 {
		return inv, nil
	}
	inv.Keys, err = parseKeys(zone, section[1:])
	if err != nil {
		return rollover.Inventory{}, err
	}
	return inv, nil
}

// parseKind finds the kind in what comes before the metadata.
func parseKind(head []string) (string, error) {
	var kinds []string
	for _, line := range head {
		if m := kindLine.FindStringSubmatch(line); m != nil {
			kinds = append(kinds, m[1])
		}
	}
	if len(kinds) != 1 {
		return "", fmt.Errorf("show-zone printed %d lines that say the kind of the zone, not 1", len(kinds))
	}
	return kinds[0], nil
}

// findKeys is the index of the keys heading, or the length when there are no
// keys, which is said on stderr only.
func findKeys(body []string, stderr []byte) (int, error) {
	var at []int
	for i, line := range body {
		if line == keysHeading {
			at = append(at, i)
		}
	}
	none := slices.ContainsFunc(lines(stderr), func(l string) bool { return strings.HasPrefix(l, noKeysLine) })
	switch {
	case len(at) == 0 && none:
		return len(body), nil
	case len(at) == 0:
		return 0, errors.New("show-zone printed neither keys nor that there are none")
	case len(at) > 1 || none:
		return 0, errors.New("show-zone printed a second keys heading: some metadata value or option of the zone contains a line that looks like it; remove that")
	}
	return at[0], nil
}

// parseMetadata reads "TAB kind TAB value" lines. A line without a TAB goes on
// with the value before it, unless it is a heading.
func parseMetadata(body []string) map[string][]string {
	out := make(map[string][]string)
	last := ""
	for _, line := range body[1:] {
		kind, value, ok := strings.Cut(strings.TrimPrefix(line, "\t"), "\t")
		switch {
		case strings.HasPrefix(line, "\t") && ok && kind != "":
			out[kind] = append(out[kind], value)
			last = kind
		case endsMetadata(line):
			last = ""
		case last != "":
			values := out[last]
			values[len(values)-1] += "\n" + line
		}
	}
	return out
}

func endsMetadata(line string) bool {
	return line == presignedLine || strings.HasPrefix(line, "Zone has ") || endsKeys(line)
}

// endsKeys says whether a line begins what may follow the keys. 5.x may add a
// warning about files that it created at the very end.
func endsKeys(line string) bool {
	return strings.HasPrefix(line, "Options:") || strings.HasPrefix(line, "Catalog: ") || strings.HasPrefix(line, "WARNING: ")
}

// parseKeys reads the lines after the keys heading. Every line must be
// understood: a key that is overlooked would be a key that is not waited for.
func parseKeys(zone string, section []string) ([]rollover.Key, error) {
	end := slices.IndexFunc(section, endsKeys)
	if end < 0 {
		end = len(section)
	}
	if slices.ContainsFunc(section[end:], func(l string) bool { return strings.HasPrefix(l, "ID = ") }) {
		return nil, errors.New("show-zone printed a key after the end of the keys")
	}
	var keys []listedKey
	for _, line := range section[:end] {
		var err error
		if keys, err = addKeyLine(zone, keys, line); err != nil {
			return nil, err
		}
	}
	return checkKeys(keys)
}

// listedKey is a key, and the type that PowerDNS derives for it.
type listedKey struct {
	rollover.Key
	kind string
}

// addKeyLine adds what one line says: a new key, or the public key or a DS of
// the one before it.
func addKeyLine(zone string, keys []listedKey, line string) ([]listedKey, error) {
	if m := keyLine.FindStringSubmatch(line); m != nil {
		key, err := newKey(m)
		return append(keys, key), err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("show-zone printed %q where a key should be", line)
	}
	last := &keys[len(keys)-1]
	if m := dnskeyLine.FindStringSubmatch(line); m != nil {
		return keys, last.addPublicKey(zone, m)
	}
	if m := dsLine.FindStringSubmatch(line); m != nil && m[2] == strconv.Itoa(int(last.Tag)) {
		return keys, nil
	}
	return nil, fmt.Errorf("show-zone printed a line about keys that is not understood: %q", line)
}

// newKey is the key of a line that keyLine matched.
func newKey(m []string) (listedKey, error) {
	id, idErr := strconv.ParseInt(m[1], 10, 32)
	flags, flagsErr := strconv.ParseUint(m[3], 10, 16)
	tag, tagErr := strconv.ParseUint(m[4], 10, 16)
	algo, algoErr := strconv.ParseUint(m[5], 10, 8)
	bits, bitsErr := strconv.ParseInt(m[6], 10, 32)
	if err := errors.Join(idErr, flagsErr, tagErr, algoErr, bitsErr); err != nil {
		return listedKey{}, fmt.Errorf("show-zone printed a key with an impossible number: %q: %w", m[0], err)
	}
	return listedKey{kind: m[2], Key: rollover.Key{
		ID: int(id), Flags: uint16(flags), Tag: uint16(tag), Algorithm: uint8(algo), Bits: int(bits),
		Active: m[7] == "  Active", Published: m[8] == " Published",
	}}, nil
}

// addPublicKey fills the public key from a line that dnskeyLine matched, if it
// is of this key by everything that can be compared.
func (k *listedKey) addPublicKey(zone string, m []string) error {
	flags, flagsErr := strconv.ParseUint(m[3], 10, 16)
	algo, algoErr := strconv.ParseUint(m[4], 10, 8)
	record := rollover.DNSKEY{Flags: uint16(flags), Algorithm: uint8(algo), PublicKey: m[5]}
	fits := flagsErr == nil && algoErr == nil && k.PublicKey == "" && m[1] == k.kind && m[2] == zone &&
		record.Flags == k.Flags && record.Algorithm == k.Algorithm && record.Tag() == k.Tag && isPublicKey(m[5])
	if !fits {
		return fmt.Errorf("show-zone printed a DNSKEY that does not fit %v before it: %q", k.Key, m[0])
	}
	k.PublicKey = record.PublicKey
	return nil
}

// isPublicKey says whether a text is a public key as servers show it too: base64
// that is written again as the same. The tag does not tell: that of a text which
// does not decode is 0, and so is that of one key in 65,536.
func isPublicKey(text string) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	return err == nil && base64.StdEncoding.EncodeToString(raw) == text
}

// checkKeys refuses lists that cannot be: no key under the heading, an id
// twice, or a KSK or CSK without its DNSKEY.
func checkKeys(listed []listedKey) ([]rollover.Key, error) {
	if len(listed) == 0 {
		return nil, errors.New("show-zone printed a heading for keys and no key")
	}
	seen := make(map[int]bool)
	var keys []rollover.Key
	for _, k := range listed {
		if seen[k.ID] {
			return nil, fmt.Errorf("show-zone printed key id %d twice", k.ID)
		}
		if k.kind != string(rollover.ZSK) && k.PublicKey == "" {
			return nil, fmt.Errorf("show-zone printed no DNSKEY for the %s with id %d", k.kind, k.ID)
		}
		seen[k.ID] = true
		keys = append(keys, k.Key)
	}
	return keys, nil
}

// parsePublicKey reads the output of export-zone-dnskey for one key, which must
// be that key by everything that can be compared.
func parsePublicKey(zone string, k rollover.Key, stdout []byte) (string, error) {
	var found []string
	for _, line := range lines(stdout) {
		m := exportLine.FindStringSubmatch(line)
		if m == nil || m[1] != plain(zone) || m[2] != strconv.Itoa(int(k.Flags)) || m[3] != strconv.Itoa(int(k.Algorithm)) {
			continue
		}
		d := rollover.DNSKEY{Flags: k.Flags, Algorithm: k.Algorithm, PublicKey: m[4]}
		if d.Tag() == k.Tag && isPublicKey(m[4]) {
			found = append(found, d.PublicKey)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("export-zone-dnskey printed %d keys that fit %v, not 1", len(found), k)
	}
	return found[0], nil
}

// parseSerial reads the output of increase-serial for the zone.
func parseSerial(zone string, stdout []byte) (uint32, error) {
	var found []string
	for _, line := range lines(stdout) {
		if m := serialLine.FindStringSubmatch(line); m != nil && m[1] == plain(zone) {
			found = append(found, m[2])
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("increase-serial printed %d new serials of the zone, not 1", len(found))
	}
	serial, err := strconv.ParseUint(found[0], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("increase-serial printed a serial that is not a 32-bit number: %w", err)
	}
	return uint32(serial), nil
}

// parseNewID reads the id that add-zone-key printed on a line of its own.
// 4.x prints 0, and 5.x nothing, when the backend did not store the key.
func parseNewID(stdout []byte) (int, error) {
	var found []string
	for _, line := range lines(stdout) {
		if isNumber(line) {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("add-zone-key printed %d key ids, not 1", len(found))
	}
	id, err := strconv.ParseInt(found[0], 10, 32)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("add-zone-key printed %q as key id: the key was not stored", found[0])
	}
	return int(id), nil
}

func parseVersion(stdout []byte) (string, error) {
	m := versionLine.FindSubmatch(stdout)
	if m == nil {
		return "", errors.New("it printed no version")
	}
	return string(m[1]), nil
}
