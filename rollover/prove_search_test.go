package rollover

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

// The search: from the first world, everything that may happen next, breadth
// first, each world once. It ends when there is nothing new, or at the first
// world in which some cache can break; the way there is the shortest.

// fault is one thing that goes wrong and is not just slow.
type fault uint8

const (
	none          fault = iota
	faultCrash          // the program is killed at any input or output
	faultLie            // pdnsutil fails after having done it, or before, or says it did
	faultSilent         // a server does not answer in one look
	faultFlap           // a server of the parent falls back to the first DS set
	faultFallBack       // a name server falls back to the first DNSKEY set or data
	faultReplace        // the registrar replaces instead of adds
	faultTypo           // the registrar adds a mistyped digest
	faultTTLDS          // the TTL of the DS set changes
	faultTTLKeys        // that of the DNSKEY set (the SOA minimum) changes
	faultTTLData        // the largest TTL of the zone changes
	faultForward        // the wall clock jumps forward
	faultBack           // the wall clock jumps back
	faultReboot         // the machine starts anew
	faultForged         // the answers of the parent are forged in one look
	faultEdit           // the keys are changed by hand
	faultCancel         // the operator cancels
	faultRevert         // the operator goes back to the old keys
	faultSwitch         // somebody switches from old to new by hand
	faultHide           // somebody unpublishes a key of old by hand
	faultEarly          // somebody puts in the DS of new before it is asked for
	faultAway           // nobody runs rollover for longer than twice max_gap
	faultPause          // the operator pauses
	faultWrongDS        // the operator takes out the DS that is to stay
)

// family is the circumstances of one search: what may go wrong how often, with
// which TTLs and which policy.
type family struct {
	name   string
	may    may
	ttl    [3][2]uint8 // low and high for DS, DNSKEY and data, in units
	high   uint8       // records that start with the high TTL, one bit for each
	policy func(*Policy)
	// heavy is left to `make prove` for rows whose keys sign both records.
	heavy bool
	// many sorts of faults at once are left to it for all rows; of one broad sort
	// every row is searched each day, where its keys sign one record.
	many, broad bool
	// lenient validators want one algorithm, strict ones every one of the set.
	lenient bool
	// urgent is a rollover without courtesies.
	urgent bool
	// unseen lets servers flap and TTLs change between two looks unnoticed.
	unseen bool
	jump   int8 // units by which a clock jumps
	// aside: what is changed by hand is a key of the zone that is of neither side.
	aside bool
	// roles: a moment before the start, no ZSK was active, and the entry point signed data.
	roles bool
}

// proof is one search.
type proof struct {
	cast
	family        family
	tweak         tweak
	kind          Kind
	kinds         []Kind
	policy        Policy
	statements    []Statement
	statementKeys []string
	enough        []time.Duration // hold times beyond which more makes no difference
	maxGap        int8
	multi, orders bool

	versions   []version
	versionIDs map[version]uint8
	sightings  []ServerSighting
	// sightingIDs is which version a sighting is of.
	sightingIDs map[seen]uint8
	tables      []keyTable
	tableIDs    map[keyTable]uint8
	shapes      []shape
	shapeIDs    map[string]uint16
	ledgers     []Ledger
	ledgerIDs   map[string]uint8
	ledgerSums  map[string]uint8
	sources     map[[2]uint8][2]uint8
	ticks       map[tickKey]outcome

	worlds []world
	parent []uint32
	next   []uint32 // where a world goes when nothing goes wrong any more
	index  []uint32 // open addressing: number of the world and one
	seed   maphash.Seed
	edges  int
}

// seen is what one sighting shows, by identity.
type seen struct {
	ds   *DSVersion
	keys *KeyVersion
	data *DataVersion
}

func newProof(k Kind, f family, t tweak) *proof {
	p := &proof{
		cast: newCast(k), family: f, tweak: t, kind: k, kinds: Kinds(), policy: proofPolicy(),
		versionIDs: map[version]uint8{}, tableIDs: map[keyTable]uint8{}, shapeIDs: map[string]uint16{},
		ledgerIDs: map[string]uint8{}, ledgerSums: map[string]uint8{}, sightingIDs: map[seen]uint8{}, sources: map[[2]uint8][2]uint8{}, ticks: map[tickKey]outcome{},
		versions: make([]version, 1), sightings: make([]ServerSighting, 1), // number 0 stands for none
		seed: maphash.MakeSeed(), index: make([]uint32, 1<<12),
	}
	p.replace(k)
	if f.lenient {
		p.algorithms = []uint8{1<<len(p.keys) - 1}
	}
	if f.ttl == [3][2]uint8{} {
		p.family.ttl = [3][2]uint8{{1, 2}, {2, 3}, {1, 2}}
	}
	if f.jump == 0 {
		p.family.jump = jump
	}
	if f.policy != nil {
		f.policy(&p.policy)
	}
	if t.policy != nil {
		t.policy(&p.policy)
	}
	p.orders = f.may[faultCancel] > 0
	p.multi = f.may[faultTTLDS]+f.may[faultTTLKeys]+f.may[faultTTLData] > 0
	p.setStatements()
	return p
}

// replace puts a row in the place of the one of its name.
func (p *proof) replace(k Kind) {
	for i := range p.kinds {
		if p.kinds[i].Name() == k.Name() {
			p.kinds[i] = k
		}
	}
}

// proofPolicy is the tightest policy: with less, waits would be too short.
func proofPolicy() Policy {
	p := DefaultPolicy()
	p.Factor, p.Margin, p.MaxGap, p.CheckInterval, p.Evidence = 1, 0, proofUnit, proofUnit, EvidencePlain
	return p
}

// setStatements collects the statements of every row that this proof can come to.
func (p *proof) setStatements() {
	longest := time.Duration(0)
	for _, k := range p.kinds {
		if !p.reaches(k) {
			continue
		}
		for _, st := range k.statements() {
			if slices.Contains(p.statementKeys, st.String()) {
				continue
			}
			record := slices.Index(recordNames[:], st.Record)
			hold := p.policy.hold(time.Duration(max(p.family.ttl[record][0], p.family.ttl[record][1])) * proofUnit)
			hold = (hold + proofUnit - 1).Truncate(proofUnit)
			longest = max(longest, hold)
			p.statements, p.statementKeys, p.enough = append(p.statements, st), append(p.statementKeys, st.String()), append(p.enough, hold)
		}
	}
	p.maxGap = int8(min(p.policy.MaxGap, longest) / proofUnit)
	if p.family.may[faultBack]+p.family.may[faultForward] > 0 {
		p.maxGap += p.family.jump
	}
	if p.family.may[faultAway] > 0 {
		p.maxGap = max(p.maxGap, int8(p.tooLong()))
	}
}

// tooLong is from how many units on a gap is more than twice max_gap. It does not
// depend on the policy of a mutant.
func (p *proof) tooLong() int { return int(2*proofPolicy().MaxGap/proofUnit) + 1 }

// reaches says whether a rollover of this proof can come to be run by a row: its
// own, the one it is rescued to, and those that it is taken back by.
func (p *proof) reaches(k Kind) bool {
	switch k.Type {
	case "cancel":
		return k.Method == p.kind.Cancel
	case "revert":
		return k.Method == p.kind.Revert
	}
	return k.Type == p.kind.Type
}

// ttl is the TTL of a record in seconds.
func (p *proof) ttl(record, bits uint8) uint32 {
	return uint32(p.family.ttl[record][bits>>record&1]) * uint32(proofUnit/time.Second)
}

// version gives a version its number.
func (p *proof) version(v version, ttl uint8) uint8 {
	v.ttl = p.family.ttl[v.record][ttl>>v.record&1]
	if id, ok := p.versionIDs[v]; ok {
		return id
	}
	id := number[uint8](len(p.versions))
	p.versionIDs[v] = id
	shown := p.sight(v)
	p.sightingIDs[seen{shown.DS, shown.DNSKEY, shown.Data}] = id
	p.versions, p.sightings = append(p.versions, v), append(p.sightings, shown)
	return id
}

// tableID gives a key table its number.
func (p *proof) tableID(t keyTable) uint8 {
	if id, ok := p.tableIDs[t]; ok {
		return id
	}
	id := number[uint8](len(p.tables))
	p.tableIDs[t] = id
	p.tables = append(p.tables, t)
	return id
}

// ledgerID gives a ledger its number. Ledgers are equal when they know the same
// largest TTLs of versions without each statement.
func (p *proof) ledgerID(l Ledger) uint8 {
	sum := p.sum(l)
	if id, ok := p.ledgerSums[sum]; ok {
		return id
	}
	id := p.newLedger(l)
	p.ledgerSums[sum] = id
	return id
}

// sum is what a ledger knows: the largest TTL of each version, whoever served it.
func (p *proof) sum(l Ledger) string {
	ttls := make([]uint32, len(p.versions)+3)
	ttls[0] = l.ZoneTTL
	for i, record := range recordNames {
		ttls[1+i] = l.Recent[record]
	}
	for _, e := range l.Entries {
		id, ok := p.sightingIDs[seen{e.DS, e.DNSKEY, e.Data}]
		if !ok {
			panic("the ledger holds what was not seen here")
		}
		ttls[id+3] = max(ttls[id+3], e.TTL) // numbers of versions begin with 1
	}
	var out []byte
	for i, ttl := range ttls {
		if ttl > 0 {
			out = append(out, number[uint8](i), number[uint8](int(seconds(ttl)/proofUnit)))
		}
	}
	return string(out)
}

func (p *proof) newLedger(l Ledger) uint8 {
	full := Roll{Zone: proofZone, Old: p.old, New: p.new}
	key := fmt.Append(nil, l.ZoneTTL, l.Recent)
	for _, record := range recordNames {
		key = fmt.Append(key, " ", l.largest(record, func(LedgerEntry) bool { return true }))
	}
	for _, st := range p.statements {
		known := l
		known.Entries = slices.DeleteFunc(slices.Clone(l.Entries), func(e LedgerEntry) bool {
			return e.Record != st.Record || full.holdsIn(st, e, p.policy)
		})
		key = fmt.Append(key, " ", known.largest(st.Record, func(LedgerEntry) bool { return false }))
	}
	if id, ok := p.ledgerIDs[string(key)]; ok {
		return id
	}
	for i := range l.Entries {
		l.Entries[i].Server = "" // of a look before this one
	}
	id := number[uint8](len(p.ledgers))
	p.ledgerIDs[string(key)] = id
	p.ledgers = append(p.ledgers, l)
	return id
}

// number is the next number of something. Two things with one number would be
// one world, and what is never searched is never found.
func number[N uint8 | uint16 | uint32](n int) N {
	if uint64(n) > uint64(^N(0)) {
		panic("the proof has no number left")
	}
	return N(n)
}

// source is the numbers of what PowerDNS makes of its key table.
func (p *proof) sourceOf(w *world) [2]uint8 {
	key := [2]uint8{w.table, w.ttl}
	out, ok := p.sources[key]
	if !ok {
		keys, data := p.source(p.tables[w.table])
		out = [2]uint8{p.version(keys, w.ttl), p.version(data, w.ttl)}
		p.sources[key] = out
	}
	return out
}

// first is the world before the first step: everything quiet, and looked at.
func (p *proof) first() world {
	w := world{ttl: p.family.high, table: p.tableID(p.start)}
	for f, n := range p.family.may {
		w.left |= uint64(n) << (2 * (f - 1)) // at most 3
	}
	src := p.sourceOf(&w)
	w.reg = p.version(version{record: inDS, has: p.ds}, w.ttl)
	w.serve = [places]uint8{src[0], src[1], src[0], src[1], w.reg, w.reg}
	roll := Roll{
		Zone: proofZone, Urgent: p.family.urgent, Type: p.kind.Type, Method: p.kind.Method, Kind: p.kind.Name(), State: StateActive,
		Old: p.old, SpecNew: p.spec, Keys: p.list(p.start), DSSeen: p.shown(w.reg).DS.Set,
	}
	ledger := Ledger{ZoneTTL: p.ttl(inData, w.ttl)}
	for _, v := range []uint8{src[0], src[1], w.reg} {
		ledger.learn(Sighting{Servers: []ServerSighting{p.shown(v)}})
	}
	w.ledger = p.ledgerID(ledger)
	w.shape = p.learn(roll, 0)
	if p.family.roles {
		v := p.version(p.beforeRoles(), w.ttl)
		w.remember(v, p.versions[v].ttl)
	}
	return w
}

// beforeRoles is the data as it was served when no ZSK was active.
func (p *proof) beforeRoles() version {
	t := p.start
	for i, k := range p.keys {
		if k.Role == ZSK {
			t[i] &^= keyActive
		}
	}
	_, data := p.source(t)
	return data
}

// result is how a search ended.
type result struct {
	bad   string // what can break; empty: nothing can
	story []string
}

// search goes through every world there is, at most limit of them.
func (p *proof) search(limit int, progress func(*proof)) result {
	p.add(p.first(), 0)
	for i := uint32(0); int(i) < len(p.worlds); i++ {
		if r := p.expand(i); r.bad != "" {
			return r
		}
		if progress != nil && i%(1<<18) == 1<<18-1 {
			progress(p)
		}
		if len(p.worlds) > limit {
			return result{bad: fmt.Sprintf("not finished: more than %d states", limit)}
		}
	}
	return p.live()
}

// expand goes one move further from a world, in every way.
func (p *proof) expand(i uint32) (found result) {
	from, best := p.worlds[i], rankNone
	p.next = append(p.next, i)
	p.moves(&from, func(m move, w world) {
		p.edges++
		if found.bad != "" {
			return
		}
		id, fresh := p.add(w, i)
		if rank := m.rank(&from); rank < best && w != from {
			best, p.next[i] = rank, id
		}
		switch {
		case m.bad != "":
			found = result{m.bad, append(p.story(i), p.tell(m, &from, &w))}
		case fresh && w.flags&hurt == 0 && p.broken(&w) != "":
			found = result{p.broken(&w), p.story(id)}
		}
	})
	return found
}

// The order in which things happen when nothing goes wrong any more.
const (
	rankUndo = iota
	rankTick
	rankTakeOver
	rankRegister
	rankTime
	rankNone
)

func (m move) rank(from *world) int {
	fresh := m.variant.validator == 0 || m.variant.validator == from.serve[p1DS]
	switch {
	case m.kind == moveUndo, m.kind == moveOrder && m.at == orderResume:
		return rankUndo
	case m.kind == moveTick && m.fault == none && fresh:
		return rankTick
	case m.kind == moveTakeOver:
		return rankTakeOver
	case m.kind == moveRegister:
		return rankRegister
	case m.kind == moveTime:
		return rankTime
	}
	return rankNone
}

// live says that from every world, when nothing goes wrong any more, the
// rollover comes to its end with a whole chain, or from where it does not.
func (p *proof) live() result {
	ends := make([]bool, len(p.worlds))
	var path []uint32
	for i := range p.worlds {
		path = path[:0]
		at := uint32(i)
		for !ends[at] {
			w := &p.worlds[at]
			if p.shapes[w.shape].roll.State.Ended() && w.flags&hurt == 0 {
				break
			}
			path = append(path, at)
			if p.next[at] == at || len(path) > len(p.worlds) {
				return result{"it never ends, though nothing goes wrong any more: " + p.stuck(w), p.story(at)}
			}
			at = p.next[at]
		}
		if at == uint32(i) {
			if bad := p.ending(at); bad != "" {
				return result{bad, p.story(at)}
			}
		}
		ends[at] = true
		for _, id := range path {
			ends[id] = true
		}
	}
	return result{}
}

// ending is what is wrong with the zone when a rollover has ended and everything
// has arrived; empty if it is what it was to become.
func (p *proof) ending(at uint32) string {
	for p.next[at] != at {
		at = p.next[at]
	}
	w, roll := &p.worlds[at], p.shapes[p.worlds[at].shape].roll
	ds := p.versions[w.reg]
	secure := roll.Type != "unsign" && roll.Type != "sign" || (roll.Type == "sign") == (roll.State == StateDone)
	keys, data := p.source(p.tables[w.table])
	switch {
	case p.meddled(w), w.flags&(astray|unasked) != 0:
		return "" // what somebody else has changed is for him to mend
	case !secure && ds.has != 0:
		return "it ends with a DS of a zone that is not signed: " + p.describe(ds)
	case secure && (!p.chained(ds, keys) || !p.signed(keys, data)):
		return fmt.Sprintf("it ends with %s, %s and %s", p.describe(ds), p.describe(keys), p.describe(data))
	}
	return ""
}

func (p *proof) stuck(w *world) string {
	r := p.shapes[w.shape].roll
	if r.Block != nil {
		return "blocked, " + r.Block.Code
	}
	return fmt.Sprintf("%s at step %q", r.State, r.Step)
}

// heals is the longest time that a chain which the environment broke stays
// broken when nothing goes wrong any more, in units.
func (p *proof) heals() int {
	longest := 0
	for i := range p.worlds {
		units := 0
		for at := uint32(i); p.worlds[at].flags&hurt != 0 && p.next[at] != at; at = p.next[at] {
			if p.worlds[at].cache != p.worlds[p.next[at]].cache && p.worlds[at].serve == p.worlds[p.next[at]].serve {
				units++
			}
		}
		longest = max(longest, units)
	}
	return longest
}

// add notes a world, and says its number and whether it is new.
func (p *proof) add(w world, from uint32) (id uint32, fresh bool) {
	if len(p.worlds)*2 > len(p.index) {
		p.grow()
	}
	slot := p.slot(&w)
	if p.index[slot] != 0 {
		return p.index[slot] - 1, false
	}
	p.worlds, p.parent = append(p.worlds, w), append(p.parent, from)
	p.index[slot] = number[uint32](len(p.worlds))
	return p.index[slot] - 1, true
}

func (p *proof) slot(w *world) int {
	mask := len(p.index) - 1
	slot := int(maphash.Comparable(p.seed, *w)) & mask
	for p.index[slot] != 0 && p.worlds[p.index[slot]-1] != *w {
		slot = (slot + 1) & mask
	}
	return slot
}

func (p *proof) grow() {
	p.index = make([]uint32, 4*len(p.index))
	for i := range p.worlds {
		p.index[p.slot(&p.worlds[i])] = uint32(i + 1)
	}
}

// story tells how a world came about.
func (p *proof) story(id uint32) []string {
	path := []uint32{id}
	for path[0] != 0 {
		path = slices.Insert(path, 0, p.parent[path[0]])
	}
	var out []string
	for i, from := range path[:len(path)-1] {
		told := ""
		p.moves(&p.worlds[from], func(m move, w world) {
			if told == "" && w == p.worlds[path[i+1]] {
				told = p.tell(m, &p.worlds[from], &w)
			}
		})
		out = append(out, told)
	}
	return joinTimes(out)
}

// joinTimes puts units that pass one after the other into one line.
func joinTimes(lines []string) []string {
	var out []string
	units := 0
	flush := func() {
		if units > 0 {
			out = append(out, fmt.Sprintf("%d units pass", units))
		}
		units = 0
	}
	for _, line := range lines {
		if line == "time passes" {
			units++
			continue
		}
		flush()
		out = append(out, line)
	}
	flush()
	return out
}

func (r result) String() string {
	return r.bad + "\n    " + strings.Join(r.story, "\n    ")
}
