package rollover

import (
	"slices"
	"testing"
)

// In every drawing each version that a cache may hold of one record validates
// with each that it may hold of the others, as docs/kinds.md says.
func TestStoriesValidate(t *testing.T) {
	for _, k := range Kinds() {
		s := k.story()
		for i, step := range k.Steps {
			for _, held := range []editions{s.settled[i], s.held[i+1]} {
				for _, keys := range held[RecordDNSKEY] {
					k.matches(t, step.Name, held, keys)
				}
			}
		}
	}
}

// matches compares one DNSKEY set with the DS sets and the data that caches hold.
func (k Kind) matches(t *testing.T, step string, held editions, keys edition) {
	t.Helper()
	secured := slices.ContainsFunc(held[RecordDS], func(ds edition) bool { return len(ds.sides) > 0 })
	for _, ds := range held[RecordDS] {
		if k.signsKeys() && len(ds.sides) > 0 && !meet(ds.sides, keys.sides, keys.by) {
			t.Errorf("%s, %s: DS %v with DNSKEY %v", k.Name(), step, ds, keys)
		}
	}
	for _, data := range held[RecordData] {
		if k.signsData() && secured && !meet(keys.sides, data.by) {
			t.Errorf("%s, %s: DNSKEY %v with data %v", k.Name(), step, keys, data)
		}
	}
}

// meet says whether some side is in all lists.
func meet(lists ...[]Side) bool {
	return slices.ContainsFunc([]Side{Old, New}, func(s Side) bool {
		return !slices.ContainsFunc(lists, func(list []Side) bool { return !slices.Contains(list, s) })
	})
}
