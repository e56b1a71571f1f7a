package pdns

import (
	"hash/fnv"
	"maps"
	"math/bits"
	"strings"

	"rollover/rollover"
)

// thinned keeps RRsets with their largest TTL, all of them while they are few, and an
// even part of them when they are more than most. Which part depends on the RRsets
// alone, not on the order in which they come, so that one zone always gives the same.
type thinned struct {
	most  int
	level int // what is kept has a hash with as many zeros in front
	kept  map[rollover.Sample]uint32
}

func (t *thinned) add(s rollover.Sample, ttl uint32) {
	if old, ok := t.kept[s]; ok {
		t.kept[s] = max(old, ttl)
		return
	}
	if !t.admits(s) {
		return
	}
	if t.kept == nil {
		t.kept = make(map[rollover.Sample]uint32)
	}
	t.kept[rollover.Sample{Name: strings.Clone(s.Name), Type: strings.Clone(s.Type)}] = ttl
	for len(t.kept) > t.most {
		t.level++
		maps.DeleteFunc(t.kept, func(s rollover.Sample, _ uint32) bool { return !t.admits(s) })
	}
}

func (t *thinned) admits(s rollover.Sample) bool {
	return bits.LeadingZeros64(hashed(s.Name, s.Type)) >= t.level
}

// hashed is a hash of words, the same in every run.
func hashed(words ...string) uint64 {
	h := fnv.New64a()
	for _, word := range words {
		_, _ = h.Write([]byte(word + "\t"))
	}
	sum := h.Sum64()
	sum = (sum ^ sum>>33) * 0xff51afd7ed558ccd // the bits of FNV differ in how good they are
	return sum ^ sum>>33
}

const (
	mostExact  = 100_000 // names that nameSet keeps one by one
	filterBits = 1 << 26 // 8 MiB, for further ones
)

// nameSet is a set of names, in bounded memory. What was added is in it; of more than
// mostExact, now and then something that was not seems to be, one in a thousand of a
// million.
type nameSet struct {
	exact  map[uint64]bool
	filter []uint64
}

func (n *nameSet) add(name string) {
	h := hashed(name)
	if n.filter != nil {
		n.mark(h)
		return
	}
	if n.exact == nil {
		n.exact = make(map[uint64]bool)
	}
	if n.exact[h] = true; len(n.exact) > mostExact {
		n.filter = make([]uint64, filterBits/64)
		for h := range n.exact {
			n.mark(h)
		}
		n.exact = nil
	}
}

func (n *nameSet) has(name string) bool {
	h := hashed(name)
	if n.filter == nil {
		return n.exact[h]
	}
	for _, at := range places(h) {
		if n.filter[at/64]&(1<<(at%64)) == 0 {
			return false
		}
	}
	return true
}

func (n *nameSet) mark(h uint64) {
	for _, at := range places(h) {
		n.filter[at/64] |= 1 << (at % 64)
	}
}

// places is where a hash is marked in a filter.
func places(h uint64) [4]uint64 {
	a, b := h&0xffffffff, h>>32|1
	return [4]uint64{a % filterBits, (a + b) % filterBits, (a + 2*b) % filterBits, (a + 3*b) % filterBits}
}
