package rollover

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The world of the proof: what two name servers and two servers of the parent
// serve, and for how long at most any cache may still hold what they served
// before. A world is a small comparable value, so that millions of them can be
// told apart. docs/proof.md says in words what is written here.

const (
	proofZone = "example.com."
	proofUnit = time.Minute // of model time; only ratios matter
	maxCached = 12
	maxHeld   = 24
)

// The places something is served at. The two name servers are alike, and so
// are the two servers of the parent.
const (
	ns1Keys = iota
	ns1Data
	ns2Keys
	ns2Data
	p1DS
	p2DS
	places
)

var (
	placeServer = [places]string{"ns1", "ns1", "ns2", "ns2", "p1", "p2"}
	placeRecord = [places]uint8{inKeys, inData, inKeys, inData, inDS, inDS}
	recordNames = [...]Record{RecordDS, RecordDNSKEY, RecordData}
)

// Indices of records.
const (
	inDS uint8 = iota
	inKeys
	inData
)

// world is one state of everything: what is served, what is cached, what
// rollover has stored, and which faults may still come.
type world struct {
	left   uint64        // faults that may still come, two bits for each
	shape  uint16        // of the stored rollover, without its hold times
	ledger uint8         // what was learned of TTLs
	table  uint8         // the key table of PowerDNS
	reg    uint8         // version of the DS set at the registry
	serve  [places]uint8 // version served at each place
	gap    int8          // units since the last look
	skew   int8          // by which the wall clock jumped since then
	ttl    uint8         // one bit for each record: it is served with the high TTL
	unseen uint8         // one bit for each place: it does not change before the next look
	flags  uint8
	held   [maxHeld]uint8 // hold times of the statements that still matter, on each server
	cache  [maxCached]cachedVersion
}

// cachedVersion is one version that nobody serves any more, and for how many
// units some cache may still hold it.
type cachedVersion struct{ version, rem uint8 }

// Flags of a world.
const (
	rebooted uint8 = 1 << iota // since the last look
	astray                     // the registry holds what nobody asked for
	hurt                       // the environment alone has broken the chain; not yet whole again
	byHand                     // the key table was changed by hand, and rollover has not changed it since
	unasked                    // the registry holds what somebody's hand led to; a server of the parent may show it late
	away                       // nobody runs rollover, until for longer than twice max_gap nobody has looked
)

// version is one version of one record, by the keys in it and the keys that signed it.
type version struct {
	record uint8
	has    uint8 // keys in a DNSKEY set, or that DS point to
	by     uint8 // keys that signed it; in a DS set, keys whose DS is mistyped
	ttl    uint8 // units
}

// keyTable is the key table of PowerDNS: the state of each key there can be.
type keyTable [8]uint8

const (
	keyThere uint8 = 1 << iota
	keyPublished
	keyActive
)

// cast is the keys that can occur in the proof of one kind.
type cast struct {
	keys     []Key // ID is the index and one
	old, new []Key
	spec     []Key
	start    keyTable
	ds       uint8 // keys that the first DS set points to
	// algorithms is the keys of each algorithm.
	algorithms []uint8
}

// newCast derives from a row of the table which keys the proof is about. A
// side that the row never speaks of has no keys; a row without a role replaces
// a KSK and a ZSK together, and one for another algorithm has it on its new side.
func newCast(k Kind) cast {
	var c cast
	algorithm := uint8(13)
	if k.Type == "algorithm" {
		algorithm = 15
	}
	roles := []Role{k.Role}
	if k.Role == "" {
		roles = []Role{KSK, ZSK}
	}
	if k.mentions(Old) {
		for _, role := range roles {
			c.old = append(c.old, c.add(role, 13, keyThere|keyPublished|keyActive))
		}
	}
	for _, role := range []Role{KSK, ZSK} {
		if k.mentions(Old) && !slices.Contains(roles, role) && !slices.Contains(roles, CSK) {
			c.add(role, 13, keyThere|keyPublished|keyActive)
		}
	}
	for _, role := range roles {
		if k.mentions(New) {
			made := c.add(role, algorithm, 0)
			c.new = append(c.new, made)
			made.ID, made.Tag, made.PublicKey = 0, 0, ""
			made.Active, made.Published = false, true
			c.spec = append(c.spec, made)
		}
	}
	c.add(CSK, 13, 0) // a stranger's, for edits by hand
	for _, algorithm := range []uint8{13, 15} {
		c.algorithms = append(c.algorithms, c.having(algorithm))
	}
	return c
}

func (c *cast) add(role Role, algorithm, state uint8) Key {
	n := len(c.keys)
	key := Key{ID: n + 1, Flags: FlagsKSK, Algorithm: algorithm, Bits: 256, Role: role}
	if role == ZSK {
		key.Flags = FlagsZSK
	}
	number := sha256.Sum256([]byte{byte(n)})
	key.PublicKey = base64.StdEncoding.EncodeToString(number[:])
	key.Tag = key.DNSKEY().Tag()
	key.Active, key.Published = state&keyActive != 0, state&keyPublished != 0
	c.keys = append(c.keys, key)
	c.start[n] = state
	if state&keyActive != 0 && role.SignsKeys() {
		c.ds |= 1 << n
	}
	return key
}

func (c *cast) having(algorithm uint8) (keys uint8) {
	for i, k := range c.keys {
		if k.Algorithm == algorithm {
			keys |= 1 << i
		}
	}
	return keys
}

// mentions says whether a kind speaks of a side anywhere.
func (k Kind) mentions(side Side) bool {
	for _, s := range k.Steps {
		for _, w := range s.Waits {
			if slices.ContainsFunc(w.Properties, func(p Property) bool { return p.Side == side }) {
				return true
			}
		}
		if slices.ContainsFunc(s.Actions, func(a Action) bool { return slices.Contains(a.Sides, side) }) {
			return true
		}
	}
	return false
}

// list is a key table as PowerDNS lists it.
func (c *cast) list(t keyTable) []Key {
	var out []Key
	for i, state := range t[:len(c.keys)] {
		if state&keyThere != 0 {
			k := c.keys[i]
			k.Role, k.Active, k.Published = "", state&keyActive != 0, state&keyPublished != 0
			out = append(out, k)
		}
	}
	return out
}

// tableOf is the key table that a list shows.
func tableOf(keys []Key) keyTable {
	var t keyTable
	for _, k := range keys {
		t[k.ID-1] = keyThere
		if k.Published {
			t[k.ID-1] |= keyPublished
		}
		if k.Active {
			t[k.ID-1] |= keyActive
		}
	}
	return t
}

// made is the key that PowerDNS makes when it is asked for one like spec.
func (c *cast) made(spec Key, t keyTable) (Key, bool) {
	for _, k := range c.new {
		if t[k.ID-1] == 0 && k.Flags == spec.Flags && k.Algorithm == spec.Algorithm {
			k.Active, k.Published, k.Role = spec.Active, spec.Published, ""
			return k, true
		}
	}
	return Key{}, false
}

// source is what PowerDNS makes of a key table: a DNSKEY set and signed data. A
// zone without an active key is not signed, whatever is published.
func (c *cast) source(t keyTable) (keys, data version) {
	keys.record, data.record = inKeys, inData
	list := c.list(t)
	if !slices.ContainsFunc(list, func(k Key) bool { return k.Active }) {
		return keys, data
	}
	for _, k := range list {
		bit := uint8(1) << (k.ID - 1)
		role := RoleOf(list, k)
		if k.Published {
			keys.has |= bit
		}
		if k.Active && role.SignsKeys() {
			keys.by |= bit
		}
		if k.Active && role.SignsData() {
			data.by |= bit
		}
	}
	return keys, data
}

// covers says whether some keys have every algorithm that all of them have.
func (c *cast) covers(some, all uint8) bool {
	for _, ofOneAlgorithm := range c.algorithms {
		if all&ofOneAlgorithm != 0 && some&ofOneAlgorithm == 0 {
			return false
		}
	}
	return some != 0
}

// chained says whether validators accept a DNSKEY set under a DS set: some DS
// points to a key of the set that signed it (RFC 6840 section 5.11), and, for
// validators that demand more, one of each algorithm that the DS set has.
func (c *cast) chained(ds, keys version) bool {
	return c.covers(ds.has&keys.has&keys.by, ds.has)
}

// signed says whether validators accept data under a DNSKEY set: a key of the
// set signed it, and, for validators that demand more, one of each algorithm of the set.
func (c *cast) signed(keys, data version) bool {
	return c.covers(keys.has&data.by, keys.has)
}

// served says whether a version is served at some place.
func (w *world) served(v uint8) bool { return slices.Contains(w.serve[:], v) }

// change lets a place serve another version. The one before stays in caches
// for its whole TTL if nobody else serves it.
func (p *proof) change(w *world, at int, v uint8) {
	before := w.serve[at]
	w.serve[at] = v
	if !w.served(before) {
		w.remember(before, p.versions[before].ttl)
	}
	w.remember(v, 0)
}

// remember sets the remaining life of a cached version; 0 takes it out.
func (w *world) remember(v, rem uint8) {
	n := 0
	for _, c := range w.cache {
		if c.rem > 0 && c.version != v {
			w.cache[n] = c
			n++
		}
	}
	if rem > 0 {
		if n == maxCached {
			panic("the proof has no room for another cached version")
		}
		w.cache[n] = cachedVersion{v, rem}
		n++
	}
	clear(w.cache[n:])
}

// pass lets one unit of time pass.
func (p *proof) pass(w *world) {
	n := 0
	for _, c := range w.cache {
		if c.rem > 1 {
			w.cache[n] = cachedVersion{c.version, c.rem - 1}
			n++
		}
	}
	clear(w.cache[n:])
	w.gap = min(w.gap+1, p.maxGap)
}

// cacheable is every version that some cache may hold.
func (w *world) cacheable(yield func(v uint8)) {
	for i, v := range w.serve {
		if !slices.Contains(w.serve[:i], v) {
			yield(v)
		}
	}
	for _, c := range w.cache {
		if c.rem > 0 {
			yield(c.version)
		}
	}
}

// broken is a combination that some resolver may hold and that does not
// validate, in words; empty if there is none.
func (p *proof) broken(w *world) string {
	var held [3][places + maxCached]version
	var n [3]int
	w.cacheable(func(id uint8) {
		v := p.versions[id]
		held[v.record][n[v.record]] = v
		n[v.record]++
	})
	ds, keys, data := held[inDS][:n[inDS]], held[inKeys][:n[inKeys]], held[inData][:n[inData]]
	secure := false // without DS nothing is validated
	for _, d := range ds {
		if d.has|d.by == 0 {
			continue
		}
		secure = true
		for _, k := range keys {
			if !p.chained(d, k) {
				return p.pair(d, k)
			}
		}
	}
	for _, k := range keys {
		for _, s := range data {
			if secure && !p.signed(k, s) {
				return p.pair(k, s)
			}
		}
	}
	return ""
}

func (p *proof) pair(a, b version) string {
	return fmt.Sprintf("a resolver may hold %s and %s", p.describe(a), p.describe(b))
}

// describe is a version in words: "DNSKEY {old new | by old}".
func (p *proof) describe(v version) string {
	switch v.record {
	case inDS:
		typo := ""
		if v.by != 0 {
			typo = " mistyped " + p.names(v.by)
		}
		return fmt.Sprintf("DS {%s%s}", p.names(v.has), typo)
	case inKeys:
		return fmt.Sprintf("DNSKEY {%s | by %s}", p.names(v.has), p.names(v.by))
	}
	return fmt.Sprintf("data {by %s}", p.names(v.by))
}

// names is a set of keys in words.
func (p *proof) names(keys uint8) string {
	var out []string
	for i, k := range p.keys {
		if keys&(1<<i) == 0 {
			continue
		}
		name := "stranger"
		switch {
		case slices.ContainsFunc(p.old, func(o Key) bool { return o.ID == k.ID }):
			name = "old"
		case slices.ContainsFunc(p.new, func(o Key) bool { return o.ID == k.ID }):
			name = "new"
		case p.start[i] != 0:
			name = string(k.Role)
		}
		if len(p.old) > 1 || len(p.new) > 1 {
			name += " " + string(k.Role)
		}
		out = append(out, name)
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, " ")
}

// canonical makes worlds equal that differ only in which of two like servers
// is the first, or in the order of what is cached.
func (p *proof) canonical(w *world) {
	slices.SortFunc(w.cache[:], func(a, b cachedVersion) int {
		return cmp.Or(cmp.Compare(b.version, a.version), cmp.Compare(b.rem, a.rem))
	})
	relevant := p.shapes[w.shape].relevant
	if p.swapped(w, relevant, ns1Keys, ns2Keys, RoleChild) {
		p.swap(w, relevant, ns1Keys, ns2Keys, 2, RoleChild)
	}
	if p.swapped(w, relevant, p1DS, p2DS, RoleParent) {
		p.swap(w, relevant, p1DS, p2DS, 1, RoleParent)
	}
}

// swapped says whether the second of two like servers must come first.
func (p *proof) swapped(w *world, relevant []int, a, b int, role string) bool {
	for i := range b - a {
		if role == RoleParent && i > 0 {
			break
		}
		if c := cmp.Or(cmp.Compare(w.serve[a+i], w.serve[b+i]), cmp.Compare(w.unseen>>(a+i)&1, w.unseen>>(b+i)&1)); c != 0 {
			return c > 0
		}
	}
	for i, st := range relevant {
		if p.statements[st].Record.on() == role && w.held[2*i] != w.held[2*i+1] {
			return w.held[2*i] > w.held[2*i+1]
		}
	}
	return false
}

func (p *proof) swap(w *world, relevant []int, a, b, n int, role string) {
	for i := range n {
		w.serve[a+i], w.serve[b+i] = w.serve[b+i], w.serve[a+i]
		x, y := w.unseen>>(a+i)&1, w.unseen>>(b+i)&1
		w.unseen = w.unseen&^(1<<(a+i)|1<<(b+i)) | y<<(a+i) | x<<(b+i)
	}
	for i, st := range relevant {
		if p.statements[st].Record.on() == role {
			w.held[2*i], w.held[2*i+1] = w.held[2*i+1], w.held[2*i]
		}
	}
}
