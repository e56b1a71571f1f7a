package rollover

import (
	"fmt"
	"slices"
)

// What may happen next in a world: rollover ticks or does not, servers take
// over or lag, the parent acts or does not, time passes; and as many faults as
// the family allows.

type moveKind uint8

const (
	moveTime moveKind = iota
	moveTakeOver
	moveRegister
	moveTick
	moveOrder
	moveFault
	moveUndo
)

// move is one thing that happens.
type move struct {
	kind    moveKind
	at      uint8 // place, or order
	fault   fault
	variant variant
	bad     string // what rollover did that it must not do, whatever caches hold
}

// blame says who answers for a world in which something can break.
type blame uint8

const (
	blameTool        blame = iota
	blameEnvironment       // a fault that breaks the chain by itself is left out: nothing defends against it
	blameOthers            // one that must be followed further is noted, until the chain is whole again
)

// mover yields the moves of one world.
type mover struct {
	*proof
	from  world
	yield func(move, world)
}

func (p *proof) moves(w *world, yield func(move, world)) {
	m := mover{p, *w, yield}
	m.time()
	m.takeOver()
	m.register()
	m.ticks()
	if w.left != 0 && w.flags&hurt == 0 {
		m.environment()
	}
	m.hands()
}

// to yields a world. While the chain is hurt it is seen whether it is whole again.
func (m *mover) to(mv move, w world, who blame) {
	m.canonical(&w)
	if who != blameTool || w.flags&hurt != 0 {
		broken := m.broken(&w) != "" || (who == blameEnvironment || m.family.may[faultWrongDS] > 0) && m.dooms(w)
		switch {
		case broken && who == blameEnvironment && m.from.flags&hurt == 0:
			return
		case broken:
			w.flags |= hurt
		default:
			w.flags &^= hurt
		}
	}
	m.yield(mv, w)
}

// dooms says whether a world breaks as soon as the servers have taken over
// what was right before the fault.
func (m *mover) dooms(w world) bool {
	src := m.sourceOf(&w)
	for _, v := range []uint8{src[0], src[1], w.reg} {
		if !w.served(v) {
			w.remember(v, 1)
		}
	}
	return m.broken(&w) != ""
}

// spend takes one fault off the account; false if there is none left.
func (w *world) spend(f fault) bool {
	at := 2 * (f - 1)
	if w.left>>at&3 == 0 {
		return false
	}
	w.left -= 1 << at
	return true
}

func (m *mover) time() {
	w := m.from
	m.pass(&w)
	m.to(move{kind: moveTime}, w, blameTool)
}

// takeOver lets each server that is behind its source take it over.
func (m *mover) takeOver() {
	src := m.sourceOf(&m.from)
	for at := range places {
		newest, who := m.from.reg, blameTool
		switch {
		case placeRecord[at] == inKeys:
			newest = src[0]
		case placeRecord[at] == inData:
			newest = src[1]
		case m.from.flags&astray != 0:
			who = blameOthers
			gone := maskOf(m.new)&m.there(m.from.table) == 0 || m.family.may[faultWrongDS] > 0 && m.versions[newest].has&m.there(m.from.table) == 0
			if gone && !m.family.unseen {
				who = blameEnvironment // an order that lands after it was taken back, or too late to be mended
			}
		case m.from.flags&unasked != 0:
			who = blameEnvironment // nobody knows of it before a server of the parent shows it
		}
		if newest == m.from.serve[at] || m.from.unseen>>at&1 != 0 {
			continue
		}
		if placeRecord[at] != inDS && m.from.flags&byHand != 0 {
			who = blameOthers
			if m.meddled(&m.from) {
				who = blameEnvironment
			}
		}
		w := m.from
		m.note(&w, at, newest)
		m.change(&w, at, newest)
		m.to(move{kind: moveTakeOver, at: uint8(at)}, w, who)
	}
}

// note makes a raised TTL, and what somebody made by hand or by mistake, stay until
// it was seen: what nobody sees is beyond what any tool can know. The TTL of data is
// read from PowerDNS itself.
func (m *mover) note(w *world, at int, v uint8) {
	raised := placeRecord[at] != inData && m.versions[v].ttl > m.versions[w.serve[at]].ttl
	hand := byHand
	if placeRecord[at] == inDS {
		hand = unasked
	}
	wrong := placeRecord[at] == inDS && w.flags&astray != 0 && m.family.may[faultWrongDS] > 0
	if !m.family.unseen && (raised || wrong || w.flags&hand != 0) {
		w.unseen |= 1 << at
	}
}

// register lets the registry do what is asked of it.
func (m *mover) register() {
	s := m.shapes[m.from.shape]
	if m.from.unseen != 0 || m.unwatched() {
		return // who acts has read what the last look showed
	}
	var wants []uint8
	switch {
	case m.cdsDriven():
		one, two := m.versions[m.from.serve[ns1Keys]].has&m.pointable(), m.versions[m.from.serve[ns2Keys]].has&m.pointable()
		if one == two { // a parent must find the same at every name server (draft-ietf-dnsop-cds-consistency)
			wants = append(wants, m.version(version{record: inDS, has: one}, m.from.ttl))
		}
	case s.asks:
		wants = append(wants, m.version(s.want[0], m.from.ttl))
	}
	for _, want := range wants {
		if want == m.from.reg {
			continue
		}
		w := m.from
		w.reg, w.flags = want, w.flags&^(astray|unasked)
		blame := blameTool
		if m.cdsDriven() && w.flags&byHand != 0 {
			blame, w.flags = blameEnvironment, w.flags|unasked // the parent follows the keys that somebody changed
		}
		m.to(move{kind: moveRegister}, w, blame)
	}
}

// cdsDriven says whether the parent takes the DS set from CDS records.
func (p *proof) cdsDriven() bool { return p.kind.CDS }

// pointable is the keys that PowerDNS makes CDS records of.
func (p *proof) pointable() (keys uint8) {
	for i, k := range p.keys {
		if k.Role.SignsKeys() {
			keys |= 1 << i
		}
	}
	return keys
}

// ticks lets rollover run, well or killed or lied to.
func (m *mover) ticks() {
	if m.shapes[m.from.shape].roll.State != StateActive || m.from.flags&away != 0 && int(m.from.gap) < m.tooLong() {
		return
	}
	m.validators(m.tickWith)
}

// validators yields each DS set that a validator which is asked may have in its cache.
func (m *mover) validators(yield func(variant)) {
	if m.policy.Evidence != EvidenceResolver {
		yield(variant{})
		return
	}
	m.from.cacheable(func(v uint8) {
		if m.versions[v].record == inDS {
			yield(variant{validator: v})
		}
	})
}

func (m *mover) tickWith(v variant) {
	plain := m.ticked(v, m.from, moveTick, none)
	if w := m.from; w.spend(faultCrash) && (plain.did > 0 || plain.shape != m.from.shape) {
		m.killed(v, w, plain.ops)
	}
	if w := m.from; plain.did > 0 && w.spend(faultLie) {
		for v.lieAt = 1; v.lieAt <= plain.did; v.lieAt++ {
			for v.lie = doneButFail; v.lie <= notDone; v.lie++ {
				m.ticked(v, w, moveTick, faultLie)
			}
		}
		v.lie, v.lieAt = honest, 0
	}
	if w := m.from; w.spend(faultSilent) {
		for v.silent = 1; v.silent <= 4; v.silent++ {
			m.ticked(v, w, moveTick, faultSilent)
		}
		v.silent = 0
	}
	if w := m.from; w.spend(faultForged) {
		for _, has := range []uint8{maskOf(m.new), maskOf(m.new) | maskOf(m.old), maskOf(m.old)} {
			v.forged = m.version(version{record: inDS, has: has & m.pointable()}, w.ttl)
			if m.family.unseen || !m.possible(v.forged) {
				m.ticked(v, w, moveTick, faultForged)
			}
		}
	}
}

// possible says whether somebody serves a DS set, with whatever TTL, or may have it cached.
func (m *mover) possible(forged uint8) (found bool) {
	set := m.versions[forged]
	m.from.cacheable(func(o uint8) {
		v := m.versions[o]
		found = found || v.record == inDS && v.has == set.has && v.by == set.by
	})
	return found
}

func maskOf(keys []Key) (mask uint8) {
	for _, k := range keys {
		mask |= 1 << (k.ID - 1)
	}
	return mask
}

// killed yields what a run leaves that is killed at each input or output,
// before its effect and after it, each different world once.
func (m *mover) killed(v variant, w world, ops uint8) {
	var seen []outcome
	for v.kill = 1; v.kill <= ops; v.kill++ {
		for _, v.after = range []bool{false, true} {
			out := m.tick(&w, v, 0)
			out.ops, out.did = 0, 0
			if !slices.Contains(seen, out) {
				seen = append(seen, out)
				m.ticked(v, w, moveTick, faultCrash)
			}
		}
	}
}

// ticked yields the world after one run. Commands given although somebody else
// has changed the keys are what rollover must not do.
func (m *mover) ticked(v variant, w world, kind moveKind, f fault) outcome {
	out := m.tick(&w, v, 0)
	mv := move{kind: kind, fault: f, variant: v}
	if out.did > 0 && m.meddled(&m.from) {
		mv.bad = "rollover changed keys that somebody else had changed"
	}
	if role := m.vacant(out.table); out.did > 0 && role != "" && mv.bad == "" {
		mv.bad = "there is no active " + string(role)
	}
	w.shape, w.ledger, w.table, w.held = out.shape, out.ledger, out.table, out.held
	if out.looked {
		w.gap, w.skew, w.flags = 0, 0, w.flags&^(rebooted|away)
		w.unseen &= silence[v.silent] | m.masked(v)
	}
	if out.did > 0 {
		w.flags &^= byHand
	}
	m.to(mv, w, blameTool)
	return out
}

// masked is the places that forged answers hide.
func (mover) masked(v variant) uint8 {
	if v.forged == 0 {
		return 0
	}
	return 1<<p1DS | 1<<p2DS
}

// vacant is a role that had an active key at the start and has none, so that
// PowerDNS gives its work to the others. What is to end unsigned may.
func (p *proof) vacant(table uint8) Role {
	if !p.kind.mentions(New) {
		return ""
	}
	active := map[Role]bool{}
	for i, k := range p.keys {
		active[k.Role] = active[k.Role] || p.tables[table][i]&keyActive != 0
	}
	for i, k := range p.keys {
		if p.start[i]&keyActive != 0 && !active[k.Role] {
			return k.Role
		}
	}
	return ""
}

// silence is, for each server that does not answer, the places not looked at.
var silence = [5]uint8{0, 1<<ns1Keys | 1<<ns1Data, 1<<ns2Keys | 1<<ns2Data, 1 << p1DS, 1 << p2DS}

// meddled says whether the keys are neither what rollover left nor what it was
// about to make of them.
func (p *proof) meddled(w *world) bool {
	s := p.shapes[w.shape]
	if s.roll.Intent != nil {
		_, _, ok := s.roll.Intent.progress(p.list(p.tables[w.table]))
		return !ok
	}
	return s.expected != p.tables[w.table]
}

// environment yields the faults that are not of one tick.
func (m *mover) environment() {
	m.fallBacks()
	m.registrar()
	m.haste()
	m.ttls()
	m.clocks()
	m.absence()
}

// absence lets nobody run rollover for long.
func (m *mover) absence() {
	if w := m.from; w.flags&away == 0 && w.spend(faultAway) {
		w.flags |= away
		m.to(move{kind: moveFault, fault: faultAway}, w, blameTool)
	}
}

// unwatched says whether nobody looks for longer than rollover counts: because
// nobody runs it, or because it is paused.
func (m *mover) unwatched() bool {
	return m.from.flags&away != 0 || m.shapes[m.from.shape].roll.State == StatePaused
}

// fallBacks lets a server serve its first version again, until it was seen; while
// nobody looks, for as long as it likes.
func (m *mover) fallBacks() {
	first := m.worlds[0].serve
	for at := range places {
		f := faultFallBack
		if placeRecord[at] == inDS {
			f = faultFlap
		}
		w := m.from
		if w.serve[at] == first[at] || w.unseen>>at&1 != 0 || !w.spend(f) {
			continue
		}
		m.change(&w, at, first[at])
		if !m.family.unseen && !m.unwatched() {
			w.unseen |= 1 << at
		}
		m.to(move{kind: moveFault, at: uint8(at), fault: f}, w, blameEnvironment)
	}
}

// registrar lets it replace where it was to add, or mistype what it adds.
func (m *mover) registrar() {
	s := m.shapes[m.from.shape]
	if !s.asks || m.from.unseen != 0 || m.cdsDriven() {
		return
	}
	if w := m.from; w.spend(faultReplace) && s.want[1].has != 0 {
		if w.reg = m.version(s.want[1], w.ttl); w.reg != m.version(s.want[0], w.ttl) {
			w.flags |= astray
			m.to(move{kind: moveFault, fault: faultReplace}, w, blameTool)
		}
	}
	if w := m.from; w.spend(faultWrongDS) && s.want[3].has != 0 {
		if w.reg = m.version(s.want[3], w.ttl); w.reg != m.version(s.want[0], w.ttl) {
			w.flags |= astray
			m.to(move{kind: moveFault, fault: faultWrongDS}, w, blameTool)
		}
	}
	if w := m.from; w.spend(faultTypo) && s.want[1].has != 0 {
		typo := m.versions[w.reg]
		typo.by |= s.want[2].by &^ typo.has
		w.reg = m.version(typo, w.ttl)
		m.to(move{kind: moveFault, fault: faultTypo}, w, blameEnvironment)
	}
}

// haste lets somebody put in the DS that PowerDNS prints for the keys of new,
// before it is asked for.
func (m *mover) haste() {
	set := m.versions[m.from.reg]
	set.has |= maskOf(m.new) & m.there(m.from.table) & m.pointable()
	w := m.from
	if m.shapes[w.shape].asks || m.cdsDriven() || set == m.versions[w.reg] || !w.spend(faultEarly) {
		return
	}
	w.reg, w.flags = m.version(set, w.ttl), w.flags|unasked
	m.to(move{kind: moveFault, fault: faultEarly}, w, blameEnvironment)
}

// ttls flips the TTL that a record is served with from now on.
func (m *mover) ttls() {
	for record, f := range []fault{faultTTLDS, faultTTLKeys, faultTTLData} {
		w := m.from
		if !w.spend(f) {
			continue
		}
		w.ttl ^= 1 << record
		if uint8(record) == inDS {
			w.reg = m.version(m.versions[w.reg], w.ttl)
		}
		m.to(move{kind: moveFault, fault: f}, w, blameEnvironment)
	}
}

// clocks lets the clock of the machine jump, and the machine start anew.
func (m *mover) clocks() {
	for i, f := range []fault{faultForward, faultBack} {
		if w := m.from; w.skew == 0 && w.spend(f) {
			w.skew = int8(1 - 2*i)
			m.to(move{kind: moveFault, fault: f}, w, blameEnvironment)
		}
	}
	if w := m.from; w.flags&rebooted == 0 && w.spend(faultReboot) {
		w.flags |= rebooted
		m.to(move{kind: moveFault, fault: faultReboot}, w, blameEnvironment)
	}
}

// hands yields what people do: orders to rollover, and edits of the keys.
func (m *mover) hands() {
	s := m.shapes[m.from.shape]
	meddled := m.meddled(&m.from)
	if meddled && m.from.flags&byHand != 0 && s.roll.State == StateBlocked {
		w := m.from
		before := s.expected
		if s.roll.Intent != nil {
			before = tableOf(s.roll.Intent.Before)
		}
		w.table = m.tableID(before)
		m.to(move{kind: moveUndo}, w, blameOthers)
	}
	if s.roll.State == StateBlocked && !meddled || s.roll.State == StatePaused {
		m.ordered(orderResume, m.from)
	}
	if w := m.from; s.roll.State == StateActive && w.spend(faultPause) {
		m.ordered(orderPause, w)
	}
	if w := m.from; !s.roll.State.Ended() && w.spend(faultCancel) {
		m.ordered(orderCancel, w)
	}
	if w := m.from; !s.roll.State.Ended() && w.spend(faultRevert) {
		order := uint8(orderRevert)
		if m.tweak.rash {
			order = orderRevertUnchanged
		}
		m.ordered(order, w)
	}
	if meddled || s.roll.State.Ended() || m.from.flags&hurt != 0 {
		return
	}
	if w := m.from; w.spend(faultEdit) {
		m.edits(w)
	}
	if w := m.from; w.spend(faultSwitch) {
		m.switchedByHand(w)
	}
	if w := m.from; w.spend(faultHide) {
		m.hidden(w)
	}
}

// hidden yields each key of old unpublished by hand: the edit that takes a key
// from the DNSKEY set, and from CDS records, while it signs.
func (m *mover) hidden(w world) {
	for _, k := range m.old {
		t := m.tables[w.table]
		t[k.ID-1] &^= keyPublished
		m.edited(w, t)
	}
}

// ordered yields the world after an order. One that is killed has stored it or
// not: there is nothing in between.
func (m *mover) ordered(order uint8, w world) {
	m.validators(func(v variant) {
		out := m.tick(&w, v, order)
		if out.refused {
			return
		}
		after := w
		after.shape, after.held = out.shape, out.held
		m.to(move{kind: moveOrder, at: order, variant: v}, after, blameTool)
	})
}

// edits yields every change of one key of either side or of a stranger's; aside, of
// one of neither side.
func (m *mover) edits(w world) {
	t := m.tables[w.table]
	stranger := m.keys[len(m.keys)-1]
	edited := slices.Concat(m.old, m.new, []Key{stranger})
	if m.family.aside {
		edited = m.bystanders()
	}
	for _, k := range edited {
		i := k.ID - 1
		states := []uint8{0, t[i] ^ keyActive, t[i] ^ keyPublished}
		if t[i] == 0 {
			states = nil
		}
		if k.ID == stranger.ID {
			states = []uint8{keyThere | keyPublished, keyThere | keyPublished | keyActive}
		}
		for _, state := range states {
			after := t
			after[i] = state
			m.edited(w, after)
		}
	}
}

// bystanders is the keys of the zone that are of neither side: the ZSK while a KSK
// is rolled, and the KSK while a ZSK is.
func (m *mover) bystanders() (out []Key) {
	for i, k := range m.keys {
		if m.start[i] != 0 && !slices.ContainsFunc(m.old, func(o Key) bool { return o.ID == k.ID }) {
			out = append(out, k)
		}
	}
	return out
}

// switchedByHand yields a switch from old to new by somebody in a hurry; aside, the
// ZSK beside them is off, too, so that new alone signs everything.
func (m *mover) switchedByHand(w world) {
	t := m.tables[w.table]
	for _, o := range m.old {
		t[o.ID-1] &^= keyActive
	}
	for _, n := range m.new {
		t[n.ID-1] |= keyActive
	}
	if maskOf(m.new)&m.there(w.table) != maskOf(m.new) {
		return
	}
	for _, k := range m.bystanders() {
		if m.family.aside {
			t[k.ID-1] &^= keyActive
		}
	}
	m.edited(w, t)
}

// there is the keys that a table holds.
func (p *proof) there(table uint8) (keys uint8) {
	for i, state := range p.tables[table] {
		if state != 0 {
			keys |= 1 << i
		}
	}
	return keys
}

func (m *mover) edited(w world, t keyTable) {
	w.table = m.tableID(t)
	w.flags |= byHand
	if m.meddled(&w) {
		m.to(move{kind: moveFault, fault: faultEdit}, w, blameEnvironment)
	}
}

// tell is a move as a line of a story.
func (p *proof) tell(m move, from, to *world) string {
	switch m.kind {
	case moveTime:
		return "time passes"
	case moveTakeOver:
		return fmt.Sprintf("%s takes over %s", placeServer[m.at], p.describe(p.versions[p.newest(from, int(m.at))]))
	case moveRegister:
		return "the parent registers " + p.describe(p.versions[to.reg])
	case moveOrder:
		return "the operator orders " + proofOrders[m.at-1].name
	case moveUndo:
		return "the change by hand is undone"
	case moveTick:
		return "rollover ticks" + p.tellTick(m, from, to)
	}
	return p.tellFault(m, from, to)
}

func (p *proof) newest(w *world, at int) uint8 {
	src := p.sourceOf(w)
	switch placeRecord[at] {
	case inKeys:
		return src[0]
	case inData:
		return src[1]
	}
	return w.reg
}

func (p *proof) tellTick(m move, from, to *world) string {
	var out string
	v := m.variant
	switch {
	case v.kill > 0:
		out += fmt.Sprintf(" and is killed at its operation %d", v.kill)
	case v.lie > 0:
		out += []string{"", ", pdnsutil fails after having done it", ", pdnsutil fails", ", pdnsutil does nothing and says it did"}[v.lie]
	case v.silent > 0:
		out += fmt.Sprintf(", %s does not answer", []string{"", "ns1", "ns2", "p1", "p2"}[v.silent])
	case v.forged > 0:
		out += ", the parent's answers are forged: " + p.describe(p.versions[v.forged])
	}
	before, after := p.shapes[from.shape].roll, p.shapes[to.shape].roll
	if before.Step != after.Step || before.Kind != after.Kind {
		out += fmt.Sprintf(": %s is entered", after.Step)
	}
	if after.Block != nil {
		out += ": blocked, " + after.Block.Code
	}
	if from.table != to.table {
		keys, data := p.source(p.tables[to.table])
		out += fmt.Sprintf("; PowerDNS now makes %s, %s", p.describe(keys), p.describe(data))
	}
	return out
}

func (p *proof) tellFault(m move, from, to *world) string {
	switch m.fault {
	case faultFlap, faultFallBack:
		return fmt.Sprintf("%s falls back to %s", placeServer[m.at], p.describe(p.versions[p.worlds[0].serve[m.at]]))
	case faultReplace:
		return "the registrar replaces instead of adds: " + p.describe(p.versions[to.reg])
	case faultTypo:
		return "the registrar mistypes: " + p.describe(p.versions[to.reg])
	case faultAway:
		return "nobody runs rollover any more, for longer than twice max_gap"
	case faultWrongDS:
		return "the DS that is to stay is taken out: " + p.describe(p.versions[to.reg])
	case faultEarly:
		return "somebody puts in what was not asked for: " + p.describe(p.versions[to.reg])
	case faultForward:
		return "the wall clock jumps forward"
	case faultBack:
		return "the wall clock jumps back"
	case faultReboot:
		return "the machine starts anew"
	case faultEdit, faultSwitch:
		keys, data := p.source(p.tables[to.table])
		return fmt.Sprintf("somebody changes the keys by hand: PowerDNS now makes %s, %s", p.describe(keys), p.describe(data))
	}
	low := to.ttl&^from.ttl == 0
	return fmt.Sprintf("the TTL of %s is %s", recordNames[m.fault-faultTTLDS], map[bool]string{true: "lowered", false: "raised"}[low])
}
