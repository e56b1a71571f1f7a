package pdns

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"rollover/rollover"
)

var _ rollover.Surveyor = (*Tool)(nil)

// Surroundings runs list-zone, list-all-zones, and `pdns_control
// current-config`. Without a way to reach the running server, or when it does
// not tell, its settings are not known, which is no error.
func (t *Tool) Surroundings(ctx context.Context, zone string) (rollover.Surroundings, error) {
	name, err := rollover.ParseZone(zone)
	if err != nil {
		return rollover.Surroundings{}, err
	}
	c := t.pdnsutil(name, "--", "list-zone", plain(name))
	out, err := t.run(ctx, c, contentsLimit)
	if err != nil {
		return rollover.Surroundings{}, err
	}
	records, _, err := parseRecords(lines(out.stdout))
	if err != nil {
		return rollover.Surroundings{}, c.misread(err, out)
	}
	all, _, err := t.Zones(ctx)
	if err != nil {
		return rollover.Surroundings{}, err
	}
	below := slices.DeleteFunc(all, func(other string) bool { return !isBelow(other, name, false) })
	return rollover.Surroundings{Zone: name, Records: stored(name, records), Below: below, Settings: t.settings(ctx)}, nil
}

// stored is the RRsets of a zone, each once, in canonical order.
func stored(zone string, records []record) []rollover.Stored {
	contents := make(map[rollover.Sample][]string)
	for _, r := range records {
		if sampleName(zone, r.name) {
			sample := rollover.Sample{Name: r.name, Type: r.typ}
			contents[sample] = append(contents[sample], r.content)
		}
	}
	out := make([]rollover.Stored, 0, len(contents))
	for sample, all := range contents {
		slices.Sort(all)
		sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
		out = append(out, rollover.Stored{Sample: sample, Computes: computes(sample.Type, all), Sum: hex.EncodeToString(sum[:8])})
	}
	slices.SortFunc(out, func(a, b rollover.Stored) int {
		return cmp.Or(compareNames(a.Name, b.Name), cmp.Compare(a.Type, b.Type))
	})
	return out
}

// computes is the types that PowerDNS makes of records that it does not serve as
// they are stored; none for all others. A LUA record begins with its type.
func computes(typ string, contents []string) []string {
	switch typ {
	case "ALIAS":
		return []string{"A", "AAAA"}
	case "LUA":
		var out []string
		for _, content := range contents {
			word, _, _ := strings.Cut(content, " ")
			out = append(out, strings.ToUpper(word))
		}
		return slices.Compact(out)
	}
	return nil
}

// settings is what the running server was told, nil if it does not tell.
func (t *Tool) settings(ctx context.Context) map[string]string {
	if len(t.Control) == 0 {
		return nil
	}
	out, err := t.run(ctx, t.control("", "--", "current-config"), outputLimit)
	if err != nil {
		return nil
	}
	settings := make(map[string]string)
	for _, line := range lines(out.stdout) {
		key, value, found := strings.Cut(line, "=")
		if found && key != "" && !strings.ContainsAny(key, "# \t") {
			settings[key] = value
		}
	}
	if len(settings) == 0 {
		return nil
	}
	return settings
}
