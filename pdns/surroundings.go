package pdns

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
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
	records := newSurvey(name)
	if err := t.listZone(ctx, name, records); err != nil {
		return rollover.Surroundings{}, err
	}
	all, _, err := t.Zones(ctx)
	if err != nil {
		return rollover.Surroundings{}, err
	}
	below := slices.DeleteFunc(all, func(other string) bool { return !isBelow(other, name, false) })
	return rollover.Surroundings{Zone: name, Records: records.stored(), Below: below, Settings: t.settings(ctx)}, nil
}

// mostSurveyed is how many RRsets of one zone a survey keeps, some 250 bytes for each:
// a quarter of a gigabyte.
const mostSurveyed = 1_000_000

// largestSet is how much content of one RRset is read, in bytes; an answer has room for
// 64 KiB.
const largestSet = 16 << 20

// survey takes in list-zone and keeps a sum of each RRset. The content is kept of the
// one that is being read: back ends print the records of an RRset together.
type survey struct {
	recordReader
	most     int // RRsets
	sets     map[rollover.Sample]surveyed
	now      rollover.Sample // that is being read
	contents []string        // of now
	size     int             // of contents, in bytes
}

// surveyed is what is kept of one RRset.
type surveyed struct {
	computes []string
	sum      uint64
}

func newSurvey(zone string) *survey {
	s := &survey{most: mostSurveyed, sets: make(map[rollover.Sample]surveyed)}
	s.recordReader = recordReader{zone: zone, each: s.record}
	return s
}

func (s *survey) record(r record) error {
	if !sampleName(s.zone, r.name) {
		return nil
	}
	if next := (rollover.Sample{Name: r.name, Type: r.typ}); next != s.now {
		s.finish()
		s.now = rollover.Sample{Name: strings.Clone(next.Name), Type: strings.Clone(next.Type)}
	}
	if len(s.sets) >= s.most {
		if _, known := s.sets[s.now]; !known {
			return &fullError{fmt.Sprintf("printed more than %d record sets, each of which a first signing compares before and after", s.most),
				"sign it by hand (`pdnsutil secure-zone`, and the DS when no cache has unsigned data any more), then `rollover adopt` takes it over"}
		}
	}
	if s.size += len(r.content); s.size > largestSet {
		return &fullError{fmt.Sprintf("printed more than %d bytes of %s %s", largestSet, s.now.Name, s.now.Type), "take out what nobody needs: no server can answer with that"}
	}
	s.contents = append(s.contents, r.content)
	return nil
}

// finish sums up the RRset that was read. One that is printed in several pieces has a
// sum of theirs, in whatever order they come.
func (s *survey) finish() {
	if len(s.contents) == 0 {
		return
	}
	slices.Sort(s.contents)
	hash := sha256.Sum256([]byte(strings.Join(s.contents, "\n")))
	earlier := s.sets[s.now]
	piece := surveyed{computes(s.now.Type, s.contents), earlier.sum + binary.BigEndian.Uint64(hash[:])}
	if len(earlier.computes) > 0 {
		piece.computes = slices.Compact(slices.Sorted(slices.Values(slices.Concat(earlier.computes, piece.computes))))
	}
	s.sets[s.now] = piece
	clear(s.contents)
	s.contents, s.size = s.contents[:0], 0
}

func (s *survey) end() error {
	s.finish()
	return s.recordReader.end()
}

// stored is the RRsets of a zone, each once, in canonical order.
func (s *survey) stored() []rollover.Stored {
	out := make([]rollover.Stored, 0, len(s.sets))
	for sample, kept := range s.sets {
		out = append(out, rollover.Stored{Sample: sample, Computes: kept.computes, Sum: fmt.Sprintf("%016x", kept.sum)})
	}
	slices.SortFunc(out, func(a, b rollover.Stored) int {
		return cmp.Or(compareNames(a.Name, b.Name), cmp.Compare(a.Type, b.Type))
	})
	return out
}

// longestType is how much of the name of a type is kept, in bytes; the longest, such as
// OPENPGPKEY, are a third of it.
const longestType = 32

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
			out = append(out, strings.Clone(strings.ToUpper(word[:min(len(word), longestType)])))
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
