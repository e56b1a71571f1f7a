package pdns

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rollover/rollover"
)

// recordLine is one record of list-zone. 4.x prints names without the
// trailing dot, 5.x with it; the content may hold TABs and even line feeds.
var recordLine = regexp.MustCompile(`^(\S+)\t(\d+)\tIN\t(\S+)\t(.*)$`)

// record is one record of a zone; its name is lower case with trailing dot.
type record struct {
	name, typ, content string
	ttl                uint32
}

// rrset is one RRset by name and type, with the largest TTL of its records.
type rrset struct {
	rollover.Sample
	ttl uint32
}

// parseContents reads the output of list-zone. It sees what is stored, so
// neither DNSKEY sets nor signatures; disabled records are not printed.
func parseContents(zone string, stdout []byte) (rollover.Contents, error) {
	records, largest, err := parseRecords(lines(stdout))
	if err != nil {
		return rollover.Contents{}, err
	}
	serial, minimum, err := parseSOA(zone, records)
	if err != nil {
		return rollover.Contents{}, err
	}
	return rollover.Contents{
		Serial: serial, Minimum: minimum, LargestTTL: max(largest, minimum),
		Samples: samples(zone, records),
		Strays:  rollover.Strays{Keys: storedKeys(zone, records), Unreadable: unreadables(zone, records), Absolute: dotted(zone, stdout)},
	}, nil
}

// dotted says whether names are printed with the trailing dot, as by 5.x, which
// takes names of records absolute.
func dotted(zone string, stdout []byte) bool {
	return zone != "." && slices.ContainsFunc(lines(stdout), func(line string) bool {
		return strings.HasPrefix(strings.ToLower(line), zone+"\t")
	})
}

// storedKeys is the DNSKEY records at the apex. Those of the keys that PowerDNS
// has are no records of the zone.
func storedKeys(zone string, records []record) []rollover.DNSKEY {
	var out []rollover.DNSKEY
	for _, r := range records {
		if r.name != zone || r.typ != "DNSKEY" {
			continue
		}
		f := strings.Fields(r.content)
		if len(f) < 4 {
			continue
		}
		flags, err1 := strconv.ParseUint(f[0], 10, 16)
		algorithm, err2 := strconv.ParseUint(f[2], 10, 8)
		if err1 == nil && err2 == nil {
			out = append(out, rollover.DNSKEY{Flags: uint16(flags), Algorithm: uint8(algorithm), PublicKey: strings.Join(f[3:], "")})
		}
	}
	return out
}

// maxUnreadable is how many RRsets that cannot be read are named.
const maxUnreadable = 3

// unreadables is RRsets whose content is not what PowerDNS reads. It knows the types
// whose content people write by hand most; others are found when they are asked for.
func unreadables(zone string, records []record) []rollover.Sample {
	var out []rollover.Sample
	for _, r := range records {
		s := rollover.Sample{Name: r.name, Type: r.typ}
		if len(out) < maxUnreadable && !r.readable() && sampleName(zone, r.name) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (r record) readable() bool {
	switch r.typ {
	case "A":
		return isIPv4(r.content)
	case "AAAA":
		a, err := netip.ParseAddr(r.content)
		return err == nil && a.Is6() && a.Zone() == ""
	case "TXT", "SPF":
		return isText(r.content)
	}
	return true
}

// isIPv4 says whether it is four numbers; PowerDNS takes leading zeros.
func isIPv4(text string) bool {
	parts := strings.Split(strings.TrimSpace(text), ".")
	return len(parts) == 4 && !slices.ContainsFunc(parts, func(p string) bool {
		_, err := strconv.ParseUint(p, 10, 8)
		return err != nil
	})
}

// isText says whether a text is quoted strings and white space alone; one that
// goes on in the next line is let pass.
func isText(text string) bool {
	open := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && open:
			i++
		case c == '"':
			open = !open
		case !open && c != ' ' && c != '\t':
			return false
		}
	}
	return true
}

// parseRecords reads all records, and the largest TTL of any line that looks
// like one: a line inside a quoted text is no record, but a TTL taken too
// large only delays, and one taken too small breaks.
func parseRecords(all []string) ([]record, uint32, error) {
	var records []record
	var largest uint32
	quoted := false
	for _, line := range all {
		r, ok := parseRecord(line)
		largest = max(largest, r.ttl)
		switch {
		case quoted:
			quoted = quoteOpen(line, true)
		case ok:
			records = append(records, r)
			quoted = quoteOpen(r.content, false)
		case strings.Contains(line, "\t"):
			return nil, 0, fmt.Errorf("list-zone printed a record that is not understood: %q", line)
		}
		// Lines without a TAB are no records: $ORIGIN, and notes of 5.x.
	}
	if quoted {
		return nil, 0, errors.New("list-zone printed a text whose quotes are not closed")
	}
	return records, largest, nil
}

func parseRecord(line string) (record, bool) {
	m := recordLine.FindStringSubmatch(line)
	if m == nil {
		return record{}, false
	}
	ttl, err := strconv.ParseUint(m[2], 10, 32)
	if err != nil {
		return record{}, false
	}
	name := strings.ToLower(m[1])
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	return record{name: name, typ: m[3], content: m[4], ttl: uint32(ttl)}, true
}

// quoteOpen says whether a quoted text is still open at the end of a line, when
// it was open or not at the beginning. PowerDNS escapes quotes and backslashes
// in a text, but not line feeds.
func quoteOpen(text string, open bool) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			open = !open
		}
	}
	return open
}

// parseSOA reads serial and minimum of the SOA record at the apex.
func parseSOA(zone string, records []record) (serial, minimum uint32, err error) {
	var found []record
	for _, r := range records {
		if r.name == zone && r.typ == "SOA" {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return 0, 0, fmt.Errorf("list-zone printed %d SOA records of the zone, not 1 (a disabled one is not printed)", len(found))
	}
	fields := strings.Fields(found[0].content)
	if len(fields) != 7 {
		return 0, 0, fmt.Errorf("the SOA record has %d fields, not 7: %q", len(fields), found[0].content)
	}
	first, firstErr := strconv.ParseUint(fields[2], 10, 32)
	last, lastErr := strconv.ParseUint(fields[6], 10, 32)
	if err := errors.Join(firstErr, lastErr); err != nil {
		return 0, 0, fmt.Errorf("the SOA record has an impossible number: %q: %w", found[0].content, err)
	}
	return uint32(first), uint32(last), nil
}

// maxSamples is how many RRsets are asked on every server at each look.
const maxSamples = 8

// samples picks the RRsets to look at: those that PowerDNS may not be able to read,
// the one with the largest TTL, because
// it stays longest in caches, one wildcard, because its signatures are made
// differently (RFC 4035 section 5.3.4), and others spread evenly over the zone
// in canonical order; of the delegations the first and the last, which are asked
// for their DS: that there is none must be proven. The same zone always gives the
// same samples.
func samples(zone string, records []record) []rollover.Sample {
	sets, cuts := eligible(zone, records), delegations(zone, records)
	chosen := make(map[int]bool)
	choose := func(i int) {
		if i >= 0 && i < len(sets) && len(chosen) < maxSamples-len(cuts) {
			chosen[i] = true
		}
	}
	bad := unreadables(zone, records)
	for _, s := range bad[:min(2, len(bad))] { // whether it is one, an answer tells
		choose(slices.IndexFunc(sets, func(o rrset) bool { return o.Sample == s }))
	}
	choose(largestTTL(sets))
	choose(slices.IndexFunc(sets, func(s rrset) bool { return strings.HasPrefix(s.Name, "*.") }))
	for n := range maxSamples {
		choose(n * (len(sets) - 1) / (maxSamples - 1))
	}
	for i := range sets {
		choose(i) // as many as there can be, where the spread met the same twice
	}
	var out []rollover.Sample
	for i, s := range sets {
		if chosen[i] {
			out = append(out, s.Sample)
		}
	}
	return append(out, cuts...)
}

// delegations is the first and the last delegation of a zone.
func delegations(zone string, records []record) []rollover.Sample {
	covers := coverings(zone, records)
	var names []string
	for name := range covers.cuts {
		if sampleName(zone, name) && !covers.beneath(zone, name) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, compareNames)
	if len(names) > 2 {
		names = []string{names[0], names[len(names)-1]}
	}
	var out []rollover.Sample
	for _, name := range names {
		out = append(out, rollover.Sample{Name: name, Type: "DS"})
	}
	return out
}

// largestTTL is the index of the first RRset with the largest TTL, -1 for none.
func largestTTL(sets []rrset) int {
	best := -1
	for i, s := range sets {
		if best < 0 || s.ttl > sets[best].ttl {
			best = i
		}
	}
	return best
}

// eligible is every RRset that PowerDNS signs and serves as it is stored, in
// canonical order (RFC 4034 section 6.1), each once.
func eligible(zone string, records []record) []rrset {
	covers := coverings(zone, records)
	ttls := make(map[rollover.Sample]uint32)
	for _, r := range records {
		if sampleType(r.typ) && sampleName(zone, r.name) && !covers.hide(zone, r) {
			sample := rollover.Sample{Name: r.name, Type: r.typ}
			ttls[sample] = max(ttls[sample], r.ttl)
		}
	}
	var out []rrset
	for sample, ttl := range ttls {
		out = append(out, rrset{sample, ttl})
	}
	slices.SortFunc(out, func(a, b rrset) int {
		return cmp.Or(compareNames(a.Name, b.Name), cmp.Compare(a.Type, b.Type))
	})
	return out
}

// sampleType says whether a type is asked (NS of the apex is, without us): those whose name means the same to
// every DNS library and whose records are served as stored. So not ALIAS and
// LUA, which PowerDNS computes, and nothing that DNSSEC adds.
func sampleType(typ string) bool {
	switch typ {
	case "A", "AAAA", "CAA", "CERT", "CNAME", "DNAME", "HINFO", "HTTPS", "LOC", "MX", "NAPTR", "OPENPGPKEY",
		"PTR", "RP", "SMIMEA", "SPF", "SRV", "SSHFP", "SVCB", "TLSA", "TXT", "URI":
		return true
	}
	return false
}

// sampleName says whether a name can be asked: one in the zone, of the octets
// that zone names may have. PowerDNS prints others with escapes.
func sampleName(zone, name string) bool {
	parsed, err := rollover.ParseZone(name)
	return err == nil && parsed == name && isBelow(name, zone, true)
}

// isBelow says whether a name lies below another, or is it, where same allows that.
func isBelow(name, parent string, same bool) bool {
	if name == parent {
		return same
	}
	return parent == "." || strings.HasSuffix(name, "."+parent)
}

// covering is the owners of delegations and DNAMEs: what lies below them is in
// the database, but not in the zone.
type covering struct {
	cuts, dnames map[string]bool
}

func coverings(zone string, records []record) covering {
	c := covering{make(map[string]bool), make(map[string]bool)}
	for _, r := range records {
		switch {
		case r.typ == "NS" && r.name != zone:
			c.cuts[r.name] = true
		case r.typ == "DNAME":
			c.dnames[r.name] = true
		}
	}
	return c
}

// hide says whether a record of the zone lies at or below a delegation, or
// below a DNAME.
func (c covering) hide(zone string, r record) bool {
	return c.cuts[r.name] || c.beneath(zone, r.name)
}

// beneath says whether a name lies below a delegation or a DNAME.
func (c covering) beneath(zone, name string) bool {
	for name != zone && name != "." {
		name = parentOf(name)
		if c.cuts[name] || c.dnames[name] {
			return true
		}
	}
	return false
}

func parentOf(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	if parent == "" {
		return "."
	}
	return parent
}

// compareNames compares two names label by label from the right.
func compareNames(a, b string) int {
	left, right := labels(a), labels(b)
	slices.Reverse(left)
	slices.Reverse(right)
	return slices.Compare(left, right)
}

func labels(name string) []string { return strings.Split(strings.TrimSuffix(name, "."), ".") }
