package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// looked is a sound file with a tree of pages, looked at in memory.
type looked struct {
	t       *testing.T
	tx      *bbolt.Tx
	content []byte
	size    int // of a page
}

// lookedAt calls fn with a file in which the rollovers have a branch page, the
// due index is within its element, and one value is longer than a page.
func lookedAt(t *testing.T, fn func(l looked)) {
	t.Helper()
	entries := samples(60)
	entries[30].Dossier.Roll.ID = strings.Repeat("x", 3*os.Getpagesize())
	db := At(statePath(t))
	must(t, db.Save(entries...))
	must(t, db.Save(sample("a.example.", 1))) // the pages before it are free now
	content := contents(t, db.path)
	must(t, db.open(true, time.Second, func(raw *bbolt.DB, _ *os.File) error {
		return raw.View(func(tx *bbolt.Tx) error {
			fn(looked{t, tx, content, raw.Info().PageSize})
			return nil
		})
	}))
}

func (l looked) look(content []byte, all bool, spans ...span) error {
	return look(l.tx, bytes.NewReader(content), all, spans)
}

// meta are the root page and that of the list of free pages.
func (l looked) meta() (root, free int) {
	p := &pages{file: bytes.NewReader(l.content), size: uint64(l.size)}
	r, f, err := p.meta(l.tx)
	must(l.t, err)
	return int(r) * l.size, int(f) * l.size
}

func (l looked) branch() int { return int(l.tx.Bucket([]byte(bucketRollovers)).Root()) * l.size }

// leaves are the pages below the branch.
func (l looked) leaves() []int {
	var out []int
	branch := l.content[l.branch():]
	for i := range int(binary.NativeEndian.Uint16(branch[10:])) {
		out = append(out, int(binary.NativeEndian.Uint64(branch[pageHeader+i*pageElement+8:]))*l.size)
	}
	return out
}

// long is the leaf that goes on over more pages.
func (l looked) long() int {
	leaves := l.leaves()
	return leaves[slices.IndexFunc(leaves, func(at int) bool { return l.content[at+12] > 0 })]
}

// hole is a file with an octet that cannot be read.
type hole struct {
	content []byte
	at      int
}

func (h hole) ReadAt(p []byte, from int64) (int, error) {
	if int(from) <= h.at && h.at < int(from)+len(p) {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(p, h.content[from:]), nil
}

func number32(content []byte, at int, n uint32) { binary.NativeEndian.PutUint32(content[at:], n) }

func number64(content []byte, at int, n uint64) { binary.NativeEndian.PutUint64(content[at:], n) }

// key is where the key of an element of a branch is.
func key(content []byte, page, i int) []byte {
	at := page + pageHeader + i*pageElement
	start := at + int(binary.NativeEndian.Uint32(content[at:]))
	return content[start : start+int(binary.NativeEndian.Uint32(content[at+4:]))]
}

// lastKey is where the last key of a leaf is.
func lastKey(content []byte, page int) []byte {
	at := page + pageHeader + (int(binary.NativeEndian.Uint16(content[page+10:]))-1)*pageElement
	start := at + int(binary.NativeEndian.Uint32(content[at+4:]))
	return content[start : start+int(binary.NativeEndian.Uint32(content[at+8:]))]
}

// Whatever bbolt would believe of its pages is examined before.
func TestEveryFieldOfAPageIsLookedAt(t *testing.T) {
	lookedAt(t, func(l looked) {
		root, free := l.meta()
		branch, leaves, long := l.branch(), l.leaves(), l.long()
		high := uint64(l.tx.Size()) / uint64(l.size)
		last := len(leaves) - 1
		for i, c := range []struct {
			says  string
			alter func(b []byte)
		}{
			{"", func([]byte) {}},
			{"unknown kind", func(b []byte) { b[root+8] = 0 }},
			{"is not itself", func(b []byte) { b[root]++ }},
			{"an element is of the wrong kind", func(b []byte) { b[root+pageHeader] = 0 }},
			{"unknown kind", func(b []byte) { b[branch+8] = 0 }},
			{"not a branch", func(b []byte) { b[branch+10] = 0 }},
			{"used twice", func(b []byte) { number64(b, branch+pageHeader+8, uint64(branch/l.size)) }},
			{"keys are out of place", func(b []byte) { number64(b, branch+pageHeader+8, uint64(leaves[1]/l.size)) }},
			{"page 1 is out of range", func(b []byte) { number64(b, branch+pageHeader+8, 1) }},
			{fmt.Sprintf("page %d is out of range", high), func(b []byte) { number64(b, branch+pageHeader+8, high) }},
			{"keys are out of order", func(b []byte) { key(b, branch, 1)[0] = '0' }},
			{"keys are out of order", func(b []byte) { copy(key(b, branch, 2), key(b, branch, 1)) }},
			{"keys are out of place", func(b []byte) { k := key(b, branch, last); k[0] = '~' }},
			{"keys are out of place", func(b []byte) { k := key(b, branch, 1); copy(k, key(b, branch, 0)); k[len(k)-1]++ }},
			{"an element is longer than the page", func(b []byte) { number32(b, branch+pageHeader, uint32(l.size)) }},
			{"an element is longer than the page", func(b []byte) { number32(b, branch+pageHeader+4, 3<<30) }},
			{"too many elements", func(b []byte) { b[branch+10], b[branch+11] = 0xFF, 0xFF }},
			{"an element is of the wrong kind", func(b []byte) { b[leaves[0]+pageHeader] = flagsBucket }},
			{"an element is longer than the page", func(b []byte) { number32(b, leaves[0]+pageHeader+4, uint32(16*l.size)) }},
			{"an element is longer than the page", func(b []byte) { number32(b, leaves[0]+pageHeader+8, 3<<30) }},
			{"an element is longer than the page", func(b []byte) { number32(b, leaves[0]+pageHeader+12, 3<<30) }},
			{"", func(b []byte) { b[leaves[0]+10] = 0 }},
			{"keys are out of place", func(b []byte) { copy(lastKey(b, leaves[0]), key(b, branch, 1)) }},
			{"too many elements", func(b []byte) { b[leaves[0]+10], b[leaves[0]+11] = 0xFF, 0xFF }},
			{"used twice", func(b []byte) { number32(b, long+12, uint32(b[long+12])+1) }},
			{"is not itself", func(b []byte) { number32(b, long+12, 1<<31) }},
			{"is not itself", func(b []byte) { number32(b, long+12, uint32(high)-uint32(long/l.size)) }},
			{"an element is longer than the page", func(b []byte) { b[long+12] = 0 }},
			{"its list of free pages is not one", func(b []byte) { b[free+8] = flagsLeaf }},
			{"its list of free pages is too long", func(b []byte) { number32(b, free+8, flagsFreelist|uint32((l.size-pageHeader)/8+1)<<16) }},
			{"free page 1 is out of range", func(b []byte) { number64(b, free+pageHeader, 1) }},
			{fmt.Sprintf("free page %d is out of range", high), func(b []byte) { number64(b, free+pageHeader, high) }},
			{"list of free pages: page", func(b []byte) { number64(b, free+pageHeader, uint64(branch/l.size)) }},
			{"list of free pages: page", func(b []byte) { copy(b[free+pageHeader+8:], b[free+pageHeader:free+pageHeader+8]) }},
			{"list of free pages: page", func(b []byte) { b[free]++ }},
			{"", func(b []byte) { // with its count as the first number
				n := uint64(b[free+10])
				copy(b[free+pageHeader+8:], b[free+pageHeader:free+pageHeader+8*int(n)])
				number32(b, free+8, flagsFreelist|manyIDs<<16)
				number64(b, free+pageHeader, n)
			}},
			{"its list of free pages is too long", func(b []byte) {
				number32(b, free+8, flagsFreelist|manyIDs<<16)
				number64(b, free+pageHeader, uint64((l.size-pageHeader)/8))
			}},
			{"its meta pages are mixed up", func(b []byte) { b[l.size*(l.tx.ID()%2)+metaTxid]++ }},
			{"it has no list of free pages", func(b []byte) { number64(b, l.size*(l.tx.ID()%2)+metaFree, unsynced) }},
		} {
			b := bytes.Clone(l.content)
			c.alter(b)
			if err := l.look(b, true); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%d: %v, expected %q", i, err, c.says)
			}
		}
		for at, says := range map[int]string{
			l.size*(l.tx.ID()%2) + metaTxid: "reading its meta page",
			branch:                          fmt.Sprintf("reading page %d: ", branch/l.size),
			long:                            fmt.Sprintf("reading page %d: ", long/l.size),
			long + l.size:                   fmt.Sprintf("reading page %d: ", long/l.size),
			free:                            fmt.Sprintf("list of free pages: reading page %d: ", free/l.size),
		} {
			if err := look(l.tx, hole{l.content, at}, true, nil); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("unreadable at %d: %v, expected %q", at, err, says)
			}
		}
		deep := &pages{file: bytes.NewReader(l.content), size: uint64(l.size), high: high, seen: make([]uint64, high)}
		if err := deep.branches(l.content[branch:branch+l.size], tree{depth: deepest}); err == nil || !strings.Contains(err.Error(), "not a branch") {
			t.Errorf("too deep: %v", err)
		}
	})
}

// Of a bucket with its page within its element that page is examined too.
func TestSmallBucketsAreLookedAt(t *testing.T) {
	inline := make([]byte, bucketHead+pageHeader)
	inline[bucketHead+8] = flagsLeaf
	with := func(at int, octet byte) []byte { out := bytes.Clone(inline); out[at] = octet; return out }
	for says, value := range map[string][]byte{
		"":                      inline,
		"its head is too short": inline[:bucketHead-1],
		"its page is not one":   with(bucketHead+8, flagsBranch),
		"too many elements":     with(bucketHead+10, 1),
		"out of range":          with(0, 9),
	} {
		if err := (&pages{size: 4096, high: 4}).bucket(value, span{}); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%v, expected %q", err, says)
		}
	}
	if err := (&pages{}).bucket(inline[:len(inline)-1], span{}); err == nil || !strings.Contains(err.Error(), "its page is not one") {
		t.Errorf("half a page: %v", err)
	}
	if err := (&pages{}).bucket(nil, span{}); err != nil {
		t.Errorf("no bucket: %v", err)
	}
}

// A list of free pages may fill its page.
func TestAFullListOfFreePages(t *testing.T) {
	const size = pageHeader + 16
	content := make([]byte, 5*size)
	number64(content, 2*size, 2)
	number32(content, 2*size+8, flagsFreelist|2<<16)
	number64(content, 2*size+pageHeader, 3)
	number64(content, 2*size+pageHeader+8, 4)
	must(t, (&pages{file: bytes.NewReader(content), size: size, high: 5, seen: make([]uint64, 1)}).freelist(2))
}

// All pages that a read comes by are examined: for one key its own, for a walk
// those of all keys up to the first that is not wanted, wherever that is.
func TestPagesOfASpanAreLookedAt(t *testing.T) {
	lookedAt(t, func(l looked) {
		leaves := l.leaves()
		first := func(i int) []byte { return bytes.Clone(key(l.content, l.branch(), i)) }
		between := func(i int) []byte { return append(first(i), '0') } // behind the first key of a leaf
		for i, at := range leaves {
			broken := bytes.Clone(l.content)
			broken[at+8] = 0
			for j := range leaves {
				for _, k := range [][]byte{first(j), between(j)} {
					if err := l.look(broken, false, span{bucketRollovers, k, k, true}); (err != nil) != (i == j) {
						t.Errorf("leaf %d is broken, and a key of leaf %d: %v", i, j, err)
					}
					walk := span{bucket: bucketRollovers, low: k}
					if err := l.look(broken, false, walk); (err != nil) != (i >= j) {
						t.Errorf("leaf %d is broken, and from leaf %d on: %v", i, j, err)
					}
					walk = span{bucket: bucketRollovers, high: k}
					if err := l.look(broken, false, walk); (err != nil) != (i <= j+1) {
						t.Errorf("leaf %d is broken, and up to leaf %d: %v", i, j, err)
					}
				}
			}
			if err := l.look(broken, false, whole(bucketRollovers)); err == nil {
				t.Errorf("leaf %d is broken, and all of the bucket", i)
			}
			must(t, l.look(broken, false, whole(bucketDue), whole("missing")))
		}
	})
}
