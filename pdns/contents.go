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

// How much of a zone is kept while it is read, whatever its size: enough to choose
// samples from, and DNSKEY records that are no key of PowerDNS.
const (
	mostSets    = 20_000 // RRsets, and delegations
	mostSpecial = 1_000  // wildcards, and RRsets with the largest TTL
	mostStored  = 64     // DNSKEY records at the apex
)

// zoneContents takes in list-zone. It sees what is stored, so neither DNSKEY sets nor
// signatures; disabled records are not printed.
type zoneContents struct {
	recordReader
	absolute   bool
	keys       []rollover.DNSKEY
	unreadable []rollover.Sample // the first maxUnreadable
	// The RRsets that may be samples: a part of all, of those with the largest TTL,
	// of the wildcards, and those that cannot be read; and the delegations.
	sets, largestSets, wild, bad, cuts thinned
	largestTTL                         uint32 // of largestSets, seconds
	covers                             covering
}

func newContents(zone string) *zoneContents {
	c := &zoneContents{
		sets: thinned{most: mostSets}, largestSets: thinned{most: mostSpecial}, wild: thinned{most: mostSpecial},
		bad: thinned{most: maxUnreadable}, cuts: thinned{most: mostSets},
	}
	c.recordReader = recordReader{zone: zone, each: c.record}
	return c
}

func (c *zoneContents) line(text string) error {
	// Names are printed with the trailing dot by 5.x, which takes names of records absolute.
	c.absolute = c.absolute || c.zone != "." && len(text) > len(c.zone) && text[len(c.zone)] == '\t' && strings.EqualFold(text[:len(c.zone)], c.zone)
	return c.recordReader.line(text)
}

func (c *zoneContents) record(r record) error {
	c.covers.add(c.zone, r)
	if r.name == c.zone && r.typ == "DNSKEY" {
		return c.key(r)
	}
	if !sampleName(c.zone, r.name) {
		return nil
	}
	s := rollover.Sample{Name: r.name, Type: r.typ}
	if r.typ == "NS" && r.name != c.zone {
		c.cuts.add(rollover.Sample{Name: r.name, Type: "DS"}, r.ttl)
	}
	c.unread(r, s)
	if sampleType(r.typ) {
		c.candidate(s, r.ttl)
	}
	return nil
}

// unread notes RRsets whose content is not what PowerDNS reads. It knows the types
// whose content people write by hand most; others are found when they are asked for.
func (c *zoneContents) unread(r record, s rollover.Sample) {
	if !slices.Contains(c.unreadable, s) {
		if len(c.unreadable) == maxUnreadable || r.readable() {
			return
		}
		c.unreadable = append(c.unreadable, rollover.Sample{Name: strings.Clone(s.Name), Type: strings.Clone(s.Type)})
	}
	c.bad.add(s, r.ttl)
}

func (c *zoneContents) candidate(s rollover.Sample, ttl uint32) {
	c.sets.add(s, ttl)
	if strings.HasPrefix(s.Name, "*.") {
		c.wild.add(s, ttl)
	}
	if ttl > c.largestTTL {
		c.largestTTL, c.largestSets = ttl, thinned{most: mostSpecial}
	}
	if ttl == c.largestTTL {
		c.largestSets.add(s, ttl)
	}
}

// key notes a DNSKEY record at the apex. Those of the keys that PowerDNS has are no
// records of the zone.
func (c *zoneContents) key(r record) error {
	k, ok := storedKey(r.content)
	switch {
	case !ok:
		return nil
	case len(c.keys) == mostStored:
		return &fullError{fmt.Sprintf("printed more than %d DNSKEY records of the zone itself", mostStored), "take out those that no signer needs"}
	}
	c.keys = append(c.keys, k)
	return nil
}

// told is what list-zone told, when it has come to its end.
func (c *zoneContents) told() (rollover.Contents, error) {
	serial, minimum, err := c.start()
	if err != nil {
		return rollover.Contents{}, err
	}
	return rollover.Contents{
		Serial: serial, Minimum: minimum, LargestTTL: max(c.largest, minimum),
		Samples: c.samples(),
		Strays:  rollover.Strays{Keys: c.keys, Unreadable: c.unreadable, Absolute: c.absolute},
	}, nil
}

func storedKey(content string) (rollover.DNSKEY, bool) {
	f := strings.Fields(content)
	if len(f) < 4 {
		return rollover.DNSKEY{}, false
	}
	flags, err1 := strconv.ParseUint(f[0], 10, 16)
	algorithm, err2 := strconv.ParseUint(f[2], 10, 8)
	return rollover.DNSKEY{Flags: uint16(flags), Algorithm: uint8(algorithm), PublicKey: strings.Join(f[3:], "")}, err1 == nil && err2 == nil
}

// maxUnreadable is how many RRsets that cannot be read are named.
const maxUnreadable = 3

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

// start reads serial and minimum of the SOA record at the apex.
func (z *recordReader) start() (serial, minimum uint32, err error) {
	if z.soas != 1 {
		return 0, 0, fmt.Errorf("list-zone printed %d SOA records of the zone, not 1 (a disabled one is not printed)", z.soas)
	}
	fields := strings.Fields(z.soa)
	if len(fields) != 7 {
		return 0, 0, fmt.Errorf("the SOA record has %d fields, not 7: %q", len(fields), z.soa)
	}
	first, firstErr := strconv.ParseUint(fields[2], 10, 32)
	last, lastErr := strconv.ParseUint(fields[6], 10, 32)
	if err := errors.Join(firstErr, lastErr); err != nil {
		return 0, 0, fmt.Errorf("the SOA record has an impossible number: %q: %w", z.soa, err)
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
func (c *zoneContents) samples() []rollover.Sample {
	sets, cuts := c.eligible(), c.delegations()
	chosen := make(map[int]bool)
	choose := func(i int) {
		if i >= 0 && i < len(sets) && len(chosen) < maxSamples-len(cuts) {
			chosen[i] = true
		}
	}
	for _, s := range c.unreadable[:min(2, len(c.unreadable))] { // whether it is one, an answer tells
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

// delegations is the first and the last delegation of a zone, of those that are kept.
func (c *zoneContents) delegations() []rollover.Sample {
	var names []string
	for cut := range c.cuts.kept {
		if !c.covers.beneath(c.zone, cut.Name) {
			names = append(names, cut.Name)
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

// eligible is the RRsets that PowerDNS signs and serves as it is stored, of those that
// are kept, in canonical order (RFC 4034 section 6.1), each once.
func (c *zoneContents) eligible() []rrset {
	ttls := make(map[rollover.Sample]uint32)
	for _, from := range []thinned{c.sets, c.largestSets, c.wild, c.bad} {
		for s, ttl := range from.kept {
			if !c.covers.hide(c.zone, s.Name) {
				ttls[s] = max(ttls[s], ttl)
			}
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
	cuts, dnames nameSet
}

func (c *covering) add(zone string, r record) {
	switch {
	case r.typ == "NS" && r.name != zone:
		c.cuts.add(r.name)
	case r.typ == "DNAME":
		c.dnames.add(r.name)
	}
}

// hide says whether a name of the zone lies at or below a delegation, or below a
// DNAME.
func (c covering) hide(zone, name string) bool {
	return c.cuts.has(name) || c.beneath(zone, name)
}

// beneath says whether a name lies below a delegation or a DNAME.
func (c covering) beneath(zone, name string) bool {
	for name != zone && name != "." {
		name = parentOf(name)
		if c.cuts.has(name) || c.dnames.has(name) {
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
