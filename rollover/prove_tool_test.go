package rollover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The tool in the proof is the real one: each tick is a run of the engine, with
// the table of kinds, the intent and the recovery that the program has, in a
// small world that plays signer, observer and journal. What it stores is split
// into a shape (all but hold times) and the hold times that can still matter.

// shape is a stored rollover without its hold times.
type shape struct {
	roll     Roll
	relevant []int // statements whose hold times can still matter, by index
	expected keyTable
	want     [4]version // what the parent is asked for; by an operator who replaces; who mistypes; who takes out what is to stay
	asks     bool
}

// learn gives a stored rollover its number. Mostly it is the one before.
func (p *proof) learn(r Roll, before uint16) uint16 {
	r = bareRoll(r)
	if len(p.shapes) > 0 && reflect.DeepEqual(r, p.shapes[before].roll) {
		return before
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // a Roll is made to be stored
	}
	if id, ok := p.shapeIDs[string(text)]; ok {
		return id
	}
	id := number[uint16](len(p.shapes))
	p.shapeIDs[string(text)] = id
	s := shape{roll: r, expected: tableOf(r.Keys), relevant: p.relevant(r)}
	if r.Ask != nil && r.State == StateActive {
		s.asked(p)
	}
	p.shapes = append(p.shapes, s)
	return id
}

// bare is a rollover without what is only for people, and without hold times.
func bareRoll(r Roll) Roll {
	if len(r.Held) == 0 {
		r.Held = map[string]map[string]Holding{} // nobody has looked since the start, or since it was resumed
	} else {
		r.Held = nil
	}
	r.LastLook, r.LastGap, r.Absence, r.Servers, r.Asked, r.Trouble = Instant{}, 0, Absence{}, nil, nil, nil
	r.StartedAt, r.StepEnteredAt, r.EndedAt, r.NextCheck = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	r.Phase, r.ID = "", ""
	r.Steps = slices.Clone(r.Steps)
	for i := range r.Steps {
		r.Steps[i].At = time.Time{}
	}
	if r.Need != nil {
		n := Need{Gone: r.Need.Gone, Hollow: r.Need.Hollow, Anew: r.Need.Anew}
		if r.Need = nil; n.Gone || n.Anew {
			r.Need = &n
		}
	}
	if r.Block != nil {
		r.Block = &Block{Code: r.Block.Code}
	}
	if r.Intent != nil {
		intent := *r.Intent
		intent.Since = time.Time{}
		r.Intent = &intent
	}
	if r.Ask != nil {
		r.Ask = &Ask{Sides: r.Ask.Sides}
	}
	return r
}

// asked fills in what an operator does who follows `rollover ds`: as it says,
// replacing where it says add, or with a typo in what is added.
func (s *shape) asked(p *proof) {
	roll := s.roll
	if roll.Held == nil {
		roll.Held = map[string]map[string]Holding{"": nil} // not empty
	}
	todo := roll.Parent(p.policy)
	if len(todo.Add)+len(todo.Remove) == 0 {
		return
	}
	s.asks = true
	s.want = [4]version{p.dsOf(slices.Concat(todo.Keep, todo.Add)), p.dsOf(todo.Add), {record: inDS, by: p.dsOf(todo.Add).has}, p.dsOf(todo.Remove)}
}

// dsOf is a DS set by the keys it points to.
func (p *proof) dsOf(set []DS) version {
	v := version{record: inDS}
	for _, d := range set {
		for i, k := range p.keys {
			if d.Tag != k.Tag {
				continue
			}
			if d == dsFor(k) {
				v.has |= 1 << i
			} else {
				v.by |= 1 << i
			}
		}
	}
	return v
}

func dsFor(k Key) DS {
	d, err := k.DNSKEY().DS(proofZone, 2)
	if err != nil {
		panic(err) // the keys of a cast decode
	}
	return d
}

// relevant is the statements whose hold times can still decide something: those
// of settled waits that are still to come or under watch, in the row in force, in
// the one that a rescue goes on with, and in those that the operator can turn to.
func (p *proof) relevant(r Roll) []int {
	var out []int
	add := func(steps []Step) {
		for _, s := range steps {
			for _, w := range s.Waits {
				i := slices.Index(p.statementKeys, w.Statement.String())
				if w.Strength == StrengthSettled && !slices.Contains(out, i) {
					out = append(out, i)
				}
			}
		}
	}
	kind, err := r.kindIn(p.kinds)
	at, unknown := kind.index(r.Step)
	if err != nil || unknown != nil || r.State.Ended() {
		return nil
	}
	add(kind.Steps[at+1:])
	asks := func(s Step) bool {
		return slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb == askParent })
	}
	if slices.ContainsFunc(kind.Steps[at+1:], Step.TakesAway) || slices.ContainsFunc(kind.Steps, asks) {
		add(without(kind, func(w Wait) bool { return w.Courtesy }).Steps[:at+1])
	}
	if kind.Rescue.Kind != "" {
		add(p.kindNamed(kind.Rescue.Kind).Steps)
	}
	if p.orders && kind.Cancel != "" {
		add(p.kindNamed("cancel/" + kind.Cancel).Steps)
	}
	if p.family.may[faultRevert] > 0 && kind.Revert != "" {
		add(p.kindNamed("revert/" + kind.Revert).Steps)
	}
	slices.Sort(out)
	if 2*len(out) > maxHeld {
		panic("the proof has no room for so many hold times")
	}
	return out
}

// without is a kind without some of its waits.
func without(k Kind, drop func(Wait) bool) Kind {
	k.Steps = slices.Clone(k.Steps)
	for i := range k.Steps {
		k.Steps[i].Waits = slices.DeleteFunc(slices.Clone(k.Steps[i].Waits), drop)
	}
	return k
}

func (p *proof) kindNamed(name string) Kind {
	for _, k := range p.kinds {
		if k.Name() == name {
			return k
		}
	}
	return Kind{}
}

// Hold times are stored as one octet: 0 for a statement that was not good when
// it was last answered for, else the units earned, and whether the last look was good.
func (p *proof) encode(w *world, r Roll) {
	clear(w.held[:])
	for i, st := range p.shapes[w.shape].relevant {
		for j, server := range p.serversOf(st) {
			h := r.Held[p.statementKeys[st]][server]
			if h.Since.IsZero() {
				continue
			}
			earned := min(h.Earned, p.enough[st])
			w.held[2*i+j] = number[uint8](1 + 2*int(earned/proofUnit))
			if !h.Last.IsZero() {
				w.held[2*i+j]++
			}
		}
	}
}

func (p *proof) decode(w *world) map[string]map[string]Holding {
	out := map[string]map[string]Holding{}
	for i, st := range p.shapes[w.shape].relevant {
		servers := map[string]Holding{}
		for j, server := range p.serversOf(st) {
			if octet := w.held[2*i+j]; octet > 0 {
				h := Holding{Since: lastLook.Wall, Shown: lastLook, Earned: time.Duration((octet-1)/2) * proofUnit}
				if octet%2 == 0 {
					h.Good, h.Last = true, lastLook
				}
				servers[server] = h
			}
		}
		out[p.statementKeys[st]] = servers
	}
	return out
}

func (p *proof) serversOf(st int) [2]string {
	if p.statements[st].Record == RecordDS {
		return [2]string{"p1", "p2"}
	}
	return [2]string{"ns1", "ns2"}
}

// lastLook is when every world was looked at last; now is counted from it.
var lastLook = Instant{Wall: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Boot: 1000 * time.Hour, BootID: "boot-1"}

// jump is by how many units a clock jumps, if the family does not say it.
const jump = 5

func (p *proof) now(w *world) Instant {
	at := lastLook
	at.Wall = at.Wall.Add(time.Duration(int(w.gap)+int(p.family.jump)*int(w.skew)) * proofUnit)
	at.Boot += time.Duration(w.gap) * proofUnit
	if w.flags&rebooted != 0 {
		at.Boot, at.BootID = time.Minute, "boot-2"
	}
	if p.tweak.clock != nil {
		at = p.tweak.clock(at)
	}
	return at
}

// variant is what goes wrong in one tick.
type variant struct {
	kill      uint8 // at this input or output, counted from 1
	after     bool  // when its effect has happened
	lie       lie   // of one command to pdnsutil
	lieAt     uint8 // which one, counted from 1
	silent    uint8 // server that does not answer, counted from 1
	forged    uint8 // version of the DS set that is forged into all answers of the parent
	validator uint8 // version of the DS set that the validator has in its cache
}

type lie uint8

const (
	honest      lie = iota
	doneButFail     // done, and called a failure
	failed          // not done, and called a failure
	notDone         // not done, and called a success
)

// outcome is what a tick changes.
type outcome struct {
	shape         uint16
	ledger, table uint8
	held          [maxHeld]uint8
	looked        bool
	did           uint8 // commands given to pdnsutil
	ops           uint8
	dead, refused bool
}

// tickKey is everything that a tick can see.
type tickKey struct {
	shape         uint16
	ledger, table uint8
	serve         [places]uint8
	gap, skew     int8
	flags, ttl    uint8
	unseen        uint8
	held          [maxHeld]uint8
	variant       variant
	order         uint8
}

// tick runs the engine once. Equal ticks are run once only: the engine has
// nothing but its arguments.
func (p *proof) tick(w *world, v variant, order uint8) outcome {
	key := tickKey{w.shape, w.ledger, w.table, w.serve, w.gap, w.skew, w.flags & rebooted, 0, 0, w.held, v, order}
	if p.multi {
		key.ttl = w.ttl
	}
	if p.tweak.look != nil {
		key.unseen = w.unseen
	}
	if out, ok := p.ticks[key]; ok {
		return out
	}
	out := p.run(w, v, order)
	p.ticks[key] = out
	return out
}

func (p *proof) run(w *world, v variant, order uint8) outcome {
	b := &bench{proof: p, world: w, variant: v, keys: p.list(p.tables[w.table]), now: p.now(w)}
	roll := p.shapes[w.shape].roll
	if roll.Intent != nil {
		intent := *roll.Intent
		roll.Intent = &intent
	}
	roll.LastLook, roll.StepEnteredAt = lastLook, lastLook.Wall
	if roll.Held == nil {
		roll.Held = p.decode(w)
	}
	b.saved = Dossier{Zone: proofZone, Roll: &roll, Ledger: p.ledgers[w.ledger]}
	b.saved.Ledger.Entries = slices.Clone(b.saved.Ledger.Entries)
	if p.tweak.load != nil {
		p.tweak.load(b)
	}
	engine := &Engine{
		Signer: b, Observer: b, Journal: b, Now: func() Instant { return b.now }, Workers: 1, kinds: p.kindsFor(&roll), ungated: true,
		Setting: func(string) Setting { return Setting{Policy: p.policy} },
	}
	refused := false
	if order > 0 {
		refused = proofOrders[order-1].give(engine) != nil
	} else if err := engine.rounds(context.Background(), []*visit{engine.visit(b.loaded())}); err != nil && !b.dead {
		panic(err) // this world refuses nothing
	}
	if p.tweak.stored != nil {
		p.tweak.stored(b)
	}
	return p.outcome(w, b, refused)
}

func (p *proof) kindsFor(r *Roll) []Kind {
	if p.tweak.kinds == nil {
		return p.kinds
	}
	return p.tweak.kinds(p.kinds, r)
}

func (p *proof) outcome(w *world, b *bench, refused bool) outcome {
	after := *w
	after.shape = p.learn(*b.saved.Roll, w.shape)
	p.encode(&after, *b.saved.Roll)
	out := outcome{
		shape: after.shape, ledger: w.ledger, table: p.tableID(tableOf(b.keys)), held: after.held,
		looked: b.remembered, did: b.did, ops: b.ops, dead: b.dead, refused: refused,
	}
	if p.multi {
		out.ledger = p.ledgerID(b.saved.Ledger)
	}
	return out
}

// proofOrders are what an operator can order in the middle of a rollover.
var proofOrders = []struct {
	name string
	give func(*Engine) error
}{
	{"resume", func(e *Engine) error { return e.Resume(context.Background(), proofZone, "") }},
	{"cancel", func(e *Engine) error { return e.Cancel(context.Background(), proofZone, "") }},
	{"revert", func(e *Engine) error { return e.Revert(context.Background(), Back{Zone: proofZone}) }},
	{"revert --parent-unchanged", func(e *Engine) error { return e.Revert(context.Background(), Back{Zone: proofZone, Unchanged: true}) }},
	{"pause", func(e *Engine) error { return e.Pause(proofZone, "") }},
}

const (
	orderResume = iota + 1
	orderCancel
	orderRevert
	orderRevertUnchanged
	orderPause
)

// bench is the world as the engine meets it in one tick.
type bench struct {
	proof   *proof
	world   *world
	variant variant
	keys    []Key // of PowerDNS
	now     Instant
	saved   Dossier
	looked  bool
	// remembered says that what was looked at was stored: a run that is killed
	// before that has seen nothing.
	remembered bool
	did        uint8
	ops        uint8
	dead       bool
	fooled     []Key // what the key list is taken for, when exit codes are believed
}

var errProofKilled = errors.New("the program was killed")

// io is one input or output, and dies at the one chosen.
func (b *bench) io(effect func()) error {
	if b.dead {
		return errProofKilled
	}
	b.ops++
	if b.ops == b.variant.kill {
		b.dead = true
		if b.variant.after {
			effect()
		}
		return errProofKilled
	}
	effect()
	return nil
}

func (b *bench) Inventory(context.Context, string) (Inventory, error) {
	inv := Inventory{Zone: proofZone, Kind: KindMaster}
	err := b.io(func() { inv.Keys = b.shownKeys() })
	if b.proof.tweak.inventory != nil {
		inv.Keys = b.proof.tweak.inventory(b, inv.Keys)
	}
	return inv, err
}

func (b *bench) Contents(context.Context, string) (Contents, error) {
	c := Contents{LargestTTL: b.proof.ttl(inData, b.world.ttl)}
	if b.proof.tweak.contents != nil {
		b.proof.tweak.contents(b, &c)
	}
	return c, b.io(func() {})
}

func (b *bench) Do(_ context.Context, _ string, c Command) error {
	b.did++
	lying := honest
	if b.did == b.variant.lieAt {
		lying = b.variant.lie
	}
	before := b.shownKeys()
	err := b.io(func() {
		if lying != failed && lying != notDone {
			b.keys = b.applied(b.keys, c)
		}
	})
	if lying == doneButFail || lying == failed {
		err = errors.Join(err, errors.New("pdnsutil: exit status 1"))
	}
	if b.proof.tweak.believeExit && err == nil {
		b.fooled = b.applied(before, c)
	}
	return err
}

// applied is a key list after PowerDNS has done a command.
func (b *bench) applied(keys []Key, c Command) []Key {
	if c.Verb == VerbCreate {
		made, ok := b.proof.made(c.Key, tableOf(keys))
		if !ok {
			panic("the proof has no key like " + c.Key.String())
		}
		c.Key = made
	}
	return apply(keys, c)
}

// shownKeys is what the tool takes for the key list.
func (b *bench) shownKeys() []Key {
	if b.fooled != nil {
		return slices.Clone(b.fooled)
	}
	return slices.Clone(b.keys)
}

func (b *bench) Rectify(context.Context, string) error { return b.io(func() {}) }

// RetractCDS is no input or output here: the parent of the rows that end without
// a key does not follow CDS in the proof.
func (b *bench) RetractCDS(context.Context, string) error { return nil }

func (b *bench) BumpSerial(context.Context, string) (uint32, error) { return 0, b.io(func() {}) }

func (b *bench) Refresh(context.Context, []string, []string) error { return b.io(func() {}) }

func (b *bench) Explain(_ string, c Command) string { return fmt.Sprintf("%s %d", c.Verb, c.Key.ID) }

func (b *bench) Load(string) (Dossier, error) { return b.loaded(), nil }

// loaded is what is stored, as a process reads it that can change its copy.
func (b *bench) loaded() Dossier {
	d := b.saved
	d.Roll = stored(d.Roll)
	d.Ledger.Entries = slices.Clone(d.Ledger.Entries)
	return d
}

func (b *bench) Save(entries ...Entry) error {
	return b.io(func() {
		b.remembered = b.looked
		b.saved = entries[0].Dossier
		b.saved.Roll = stored(b.saved.Roll)
		if b.proof.tweak.noIntent {
			b.saved.Roll.Intent = nil
		}
		b.saved.Ledger.Entries = slices.Clone(b.saved.Ledger.Entries)
	})
}

func stored(r *Roll) *Roll {
	out := *r
	if r.Intent != nil {
		intent := *r.Intent
		out.Intent = &intent
	}
	out.Held = maps.Clone(r.Held)
	return &out
}

// Look is what every server shows of the records asked for.
func (b *bench) Look(_ context.Context, q Question) (Sighting, error) {
	s := Sighting{Zone: proofZone, At: b.now, Records: q.Records}
	err := b.io(func() { b.looked = true })
	for i, name := range []string{"ns1", "ns2", "p1", "p2"} {
		role := RoleChild
		if i >= 2 {
			role = RoleParent
		}
		o := ServerSighting{Server: Server{Role: role, Name: name, Address: name}}
		if int(b.variant.silent) == i+1 {
			o.Unknown = "timed out"
		} else {
			b.ask(&o, q.Records)
		}
		s.Servers = append(s.Servers, o)
	}
	if v := b.variant.validator; b.proof.policy.Evidence == EvidenceResolver {
		set := b.proof.shown(v).DS.Set
		s.Validators = []ValidatorSighting{{Address: "validator", AD: true, Set: set}}
	}
	if b.proof.tweak.look != nil {
		b.proof.tweak.look(b, &s)
	}
	return s, err
}

// ask is one server's answers.
func (b *bench) ask(o *ServerSighting, records []Record) {
	for at, server := range placeServer {
		if server != o.Name || !slices.Contains(records, recordNames[placeRecord[at]]) {
			continue
		}
		v := b.world.serve[at]
		if placeRecord[at] == inDS && b.variant.forged != 0 {
			v = b.variant.forged
		}
		shown := b.proof.shown(v)
		switch placeRecord[at] {
		case inDS:
			o.DS = shown.DS
		case inKeys:
			o.DNSKEY = shown.DNSKEY
		case inData:
			o.Data = shown.Data
		}
	}
}

// shown is a version as the eyes report it.
func (p *proof) shown(id uint8) ServerSighting { return p.sightings[id] }

// sight makes of a version what the eyes report of it. Data is sampled, and the
// names sampled have a smaller TTL than the largest of the zone.
func (p *proof) sight(v version) ServerSighting {
	ttl := uint32(time.Duration(v.ttl) * proofUnit / time.Second)
	pick := func(keys uint8) (out []DNSKEY) {
		for i, k := range p.keys {
			if keys&(1<<i) != 0 {
				out = append(out, k.DNSKEY())
			}
		}
		return out
	}
	switch v.record {
	case inDS:
		set := []DS{}
		for i, k := range p.keys {
			if d := dsFor(k); v.has&(1<<i) != 0 {
				set = append(set, d)
			} else if v.by&(1<<i) != 0 {
				d.Digest = strings.Repeat("0", len(d.Digest))
				set = append(set, d)
			}
		}
		return ServerSighting{DS: &DSVersion{Set: set, TTL: ttl}}
	case inKeys:
		return ServerSighting{DNSKEY: &KeyVersion{Keys: pick(v.has), Signers: pick(v.has & v.by), TTL: ttl}}
	}
	data := &DataVersion{Signers: pick(v.by), TTL: uint32(proofUnit / time.Second)}
	for _, d := range data.Signers {
		data.Traces = append(data.Traces, Signature{Tag: d.Tag(), Algorithm: d.Algorithm})
	}
	return ServerSighting{Data: data}
}
