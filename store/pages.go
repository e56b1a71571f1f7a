package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.etcd.io/bbolt"
)

// bbolt believes its pages. A flipped bit in one can send it round in a circle
// until the stack is full, make it ask for all memory of the machine, or be
// copied into the next transaction: none of that can be recovered from. So the
// pages that are about to be used are looked at first, with plain reads of the
// file. The layout is that of bbolt file format 2, in the byte order of the
// machine (bbolt internal/common/page.go, meta.go, bucket.go).
const (
	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	pageElement = 16 // leaf: flags, pos, ksize, vsize, 4 each; branch: pos 4, ksize 4, page id 8
	bucketHead  = 16 // root page id 8 (0: the page follows here), sequence 8

	flagsBranch   = 0x01
	flagsLeaf     = 0x02
	flagsFreelist = 0x10
	flagsBucket   = 0x01 // of an element

	manyIDs   = 0xFFFF // the count of a freelist that has its true count as first id
	unsynced  = ^uint64(0)
	deepest   = 32 // far more than 64-bit page ids allow
	metaRoot  = pageHeader + 16
	metaFree  = pageHeader + 32
	metaTxid  = pageHeader + 48
	metaWhole = pageHeader + 64
)

// span is the keys of a bucket, from low to high, that are about to be read.
type span struct {
	bucket    string
	low, high []byte // nil for no limit
	get       bool   // for Bucket.Get, which goes to one page, while a cursor goes on to the next at its end
}

func only(bucket, key string) span { return span{bucket, []byte(key), []byte(key), true} }

func whole(bucket string) span { return span{bucket: bucket} }

// pages looks at the pages of one transaction.
type pages struct {
	file io.ReaderAt
	size uint64   // octets of one page
	high uint64   // the first page id that is not in use
	seen []uint64 // a bit for each page, so that none is used twice
	// levels are what is open on the way from the root; used again and again,
	// as a list of all zones goes through thousands of pages.
	levels [deepest + 1]level
}

type level struct {
	buf  []byte
	keys [][]byte
}

// look examines the pages behind the spans, or all of them and the list of
// free pages.
func look(tx *bbolt.Tx, file io.ReaderAt, all bool, spans []span) error {
	p := &pages{file: file, size: uint64(tx.DB().Info().PageSize)}
	p.high = uint64(tx.Size()) / p.size
	p.seen = make([]uint64, p.high/64+1)
	root, free, err := p.meta(tx)
	if err != nil {
		return err
	}
	buckets := map[string][]byte{}
	if err := p.tree(tree{page: root, leaf: func(flags uint32, key, value []byte) error {
		buckets[string(key)] = bytes.Clone(value)
		return wantFlags(flags, flagsBucket)
	}}); err != nil {
		return err
	}
	if all {
		return p.all(buckets, free)
	}
	for _, s := range spans {
		if err := p.bucket(buckets[s.bucket], s); err != nil {
			return fmt.Errorf("bucket %s: %w", s.bucket, err)
		}
	}
	return nil
}

func (p *pages) all(buckets map[string][]byte, free uint64) error {
	for name, value := range buckets {
		if err := p.bucket(value, span{}); err != nil {
			return fmt.Errorf("bucket %.20q: %w", name, err)
		}
	}
	return p.freelist(free)
}

// meta reads where the transaction begins. bbolt has verified the checksum;
// which of the two meta pages it is, the transaction id says.
func (p *pages) meta(tx *bbolt.Tx) (root, free uint64, err error) {
	id := uint64(tx.ID())
	buf := make([]byte, metaWhole)
	if _, err := p.file.ReadAt(buf, int64(id%2*p.size)); err != nil {
		return 0, 0, fmt.Errorf("reading its meta page: %w", err)
	}
	if binary.NativeEndian.Uint64(buf[metaTxid:]) != id {
		return 0, 0, errors.New("its meta pages are mixed up")
	}
	return binary.NativeEndian.Uint64(buf[metaRoot:]), binary.NativeEndian.Uint64(buf[metaFree:]), nil
}

// page reads a page with its overflow, and marks it as used. The octets are
// good until the next page of this depth is read.
func (p *pages) page(id uint64, depth int) ([]byte, error) {
	if id < 2 || id >= p.high {
		return nil, fmt.Errorf("page %d is out of range", id)
	}
	l := &p.levels[depth]
	l.buf = slices.Grow(l.buf[:0], int(p.size))
	buf := l.buf[:p.size]
	if _, err := p.file.ReadAt(buf, int64(id*p.size)); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	overflow := uint64(binary.NativeEndian.Uint32(buf[12:]))
	if binary.NativeEndian.Uint64(buf) != id || id+overflow >= p.high {
		return nil, fmt.Errorf("page %d is not itself", id)
	}
	for i := id; i <= id+overflow; i++ {
		if err := p.mark(i); err != nil {
			return nil, err
		}
	}
	if overflow == 0 {
		return buf, nil
	}
	l.buf = slices.Grow(l.buf[:0], int((1+overflow)*p.size))
	buf = l.buf[:(1+overflow)*p.size]
	if _, err := p.file.ReadAt(buf, int64(id*p.size)); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	return buf, nil
}

func (p *pages) mark(id uint64) error {
	bit := uint64(1) << (id % 64)
	if p.seen[id/64]&bit != 0 {
		return fmt.Errorf("page %d is used twice", id)
	}
	p.seen[id/64] |= bit
	return nil
}

// tree is a page with all below it.
type tree struct {
	page       uint64
	depth      int
	span              // what is about to be read
	from, upTo []byte // what the page above says of the keys: not less, and less; nil for nothing
	leaf       func(flags uint32, key, value []byte) error
}

func (p *pages) tree(t tree) error {
	buf, err := p.page(t.page, t.depth)
	if err != nil {
		return err
	}
	switch binary.NativeEndian.Uint16(buf[8:]) {
	case flagsLeaf:
		err = p.leaves(buf, t)
	case flagsBranch:
		return p.branches(buf, t)
	default:
		err = errors.New("unknown kind")
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", t.page, err)
	}
	return nil
}

func (p *pages) branches(buf []byte, t tree) error {
	keys, err := p.elements(buf, false, t)
	if len(keys) == 0 || t.depth == deepest {
		return fmt.Errorf("page %d: not a branch (%v)", t.page, err)
	}
	first, last := 0, len(keys)-1
	for i, key := range keys {
		if bytes.Compare(key, t.low) <= 0 {
			first = i
		}
		if t.high != nil && bytes.Compare(key, t.high) > 0 {
			last = i // the neighbour to the right
			break
		}
	}
	if t.get {
		last = first
	}
	for i := first; i <= last; i++ {
		below := t
		below.page, below.depth, below.from = binary.NativeEndian.Uint64(buf[pageHeader+i*pageElement+8:]), t.depth+1, keys[i]
		if i+1 < len(keys) {
			below.upTo = keys[i+1]
		}
		if err := p.tree(below); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) leaves(buf []byte, t tree) error {
	keys, err := p.elements(buf, true, t)
	if err != nil {
		return err
	}
	for i, key := range keys {
		at := pageHeader + i*pageElement
		start := uint64(at) + uint64(binary.NativeEndian.Uint32(buf[at+4:])) + uint64(len(key))
		value := buf[start : start+uint64(binary.NativeEndian.Uint32(buf[at+12:]))]
		if err := t.leaf(binary.NativeEndian.Uint32(buf[at:]), key, value); err != nil {
			return err
		}
	}
	return nil
}

// elements are the keys of a page. They and their values must be within the
// page, in order, and where the page above says.
func (p *pages) elements(buf []byte, leaf bool, t tree) ([][]byte, error) {
	count := int(binary.NativeEndian.Uint16(buf[10:]))
	if pageHeader+count*pageElement > len(buf) {
		return nil, errors.New("too many elements")
	}
	l := &p.levels[t.depth]
	l.keys = slices.Grow(l.keys[:0], count)
	keys := l.keys[:count]
	for i := range keys {
		at := pageHeader + i*pageElement
		word := func(n int) uint64 { return uint64(binary.NativeEndian.Uint32(buf[at+4*n:])) }
		pos, key, value := word(0), word(1), uint64(0)
		if leaf {
			pos, key, value = word(1), word(2), word(3)
		}
		start := uint64(at) + pos
		if start+key+value > uint64(len(buf)) {
			return nil, errors.New("an element is longer than the page")
		}
		keys[i] = buf[start : start+key]
		if i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 {
			return nil, errors.New("keys are out of order")
		}
	}
	if count > 0 && (bytes.Compare(keys[0], t.from) < 0 || t.upTo != nil && bytes.Compare(keys[count-1], t.upTo) >= 0) {
		return nil, errors.New("keys are out of place")
	}
	return keys, nil
}

// bucket examines the keys of a span in a bucket, given its element in the
// tree of buckets. A small bucket is a page within that element. A bucket that
// is missing is for others to complain about.
func (p *pages) bucket(value []byte, s span) error {
	if value == nil {
		return nil
	}
	if len(value) < bucketHead {
		return errors.New("its head is too short")
	}
	t := tree{span: s, leaf: func(flags uint32, _, _ []byte) error { return wantFlags(flags, 0) }}
	if t.page = binary.NativeEndian.Uint64(value); t.page != 0 {
		return p.tree(t)
	}
	inline := value[bucketHead:]
	if len(inline) < pageHeader || binary.NativeEndian.Uint16(inline[8:]) != flagsLeaf {
		return errors.New("its page is not one")
	}
	return p.leaves(inline, t)
}

func wantFlags(found, want uint32) error {
	if found != want {
		return errors.New("an element is of the wrong kind")
	}
	return nil
}

// freelist examines the list of pages that may be overwritten: none of them
// may be in use. All trees must have been examined before.
func (p *pages) freelist(id uint64) error {
	if id == unsynced {
		return errors.New("it has no list of free pages")
	}
	buf, err := p.page(id, 0)
	if err != nil {
		return fmt.Errorf("list of free pages: %w", err)
	}
	if binary.NativeEndian.Uint16(buf[8:]) != flagsFreelist {
		return errors.New("its list of free pages is not one")
	}
	ids, count := buf[pageHeader:], uint64(binary.NativeEndian.Uint16(buf[10:]))
	if count == manyIDs {
		ids, count = ids[8:], binary.NativeEndian.Uint64(ids)
	}
	if count > uint64(len(ids))/8 {
		return errors.New("its list of free pages is too long")
	}
	for i := range count {
		free := binary.NativeEndian.Uint64(ids[8*i:])
		if free < 2 || free >= p.high {
			return fmt.Errorf("free page %d is out of range", free)
		}
		if err := p.mark(free); err != nil {
			return fmt.Errorf("list of free pages: %w", err)
		}
	}
	return nil
}
