package store

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"rollover/rollover"
)

// pagesOf are the offsets of the pages of a kind in a file.
func pagesOf(content []byte, flags uint16) []int {
	var out []int
	for at := 0; at+pageHeader < len(content); at += os.Getpagesize() {
		id := binary.NativeEndian.Uint64(content[at:])
		if id == uint64(at/os.Getpagesize()) && binary.NativeEndian.Uint16(content[at+8:]) == flags {
			out = append(out, at)
		}
	}
	return out
}

// Each of these would end the process, or the memory of the machine, or spread
// into other zones, if bbolt came to see it.
func TestDamageThatBboltWouldNotSurviveIsSeenBefore(t *testing.T) {
	const zones = 60
	original := filled(t, zones)
	must(t, original.Save(sample(zoneName(0), 1)))
	for _, c := range []struct {
		name  string
		flags uint16
		alter func(page []byte, at int)
	}{
		{"a branch points at itself", flagsBranch, func(page []byte, at int) {
			binary.NativeEndian.PutUint64(page[pageHeader+8:], uint64(at/os.Getpagesize()))
		}},
		{"a value has 3 GiB", flagsLeaf, func(page []byte, _ int) { binary.NativeEndian.PutUint32(page[pageHeader+12:], 3<<30) }},
		{"a key has 3 GiB", flagsLeaf, func(page []byte, _ int) { binary.NativeEndian.PutUint32(page[pageHeader+8:], 3<<30) }},
		{"a page goes on over all others", flagsLeaf, func(page []byte, _ int) { binary.NativeEndian.PutUint32(page[12:], 1<<31) }},
		{"a page has 65,535 elements", flagsLeaf, func(page []byte, _ int) { binary.NativeEndian.PutUint16(page[10:], 0xFFFF) }},
		{"used pages are called free", flagsFreelist, func(page []byte, _ int) {
			binary.NativeEndian.PutUint16(page[10:], 9)
			for i := range 9 {
				binary.NativeEndian.PutUint64(page[pageHeader+8*i:], uint64(i+2))
			}
		}},
	} {
		content := contents(t, original.path)
		for _, at := range pagesOf(content, c.flags) {
			c.alter(content[at:], at)
		}
		db := write(t, content)
		if err := db.Save(sample(zoneName(0), 2)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: saving: %v", c.name, err)
		}
		if string(contents(t, db.path)) != string(content) {
			t.Errorf("%s: the file was altered", c.name)
		}
		for _, err := range everyRead(db, zones) {
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestASoundFileIsNeverCalledDamaged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	path := statePath(t)
	for range 60 {
		var entries []rollover.Entry
		for range 1 + random.IntN(40) {
			e := sample(zoneName(random.IntN(400)), random.IntN(1000))
			e.Dossier.Roll.ID = strings.Repeat("x", random.IntN(9000)) // longer than a page
			if random.IntN(3) == 0 {
				e.Dossier.Roll = nil
			}
			e.Events = make([]rollover.Event, random.IntN(3))
			entries = append(entries, e)
		}
		db := At(path) // which looks at all pages
		must(t, db.Save(entries...))
		for _, err := range everyRead(db, 20) {
			must(t, err)
		}
		_, err := db.History(zoneName(random.IntN(400)))
		must(t, err)
	}
}
