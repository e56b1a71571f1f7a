package rollover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Engine advances rollovers: it looks, decides, records the intent, acts,
// reads back, looks again, and records the result.
type Engine struct {
	Signer   Signer
	Observer Observer
	Journal  Journal
	// Setting is what the configuration says of a zone.
	Setting func(zone string) Setting
	// Product says which versions that caches may hold at the same moment do
	// not validate together, in words. It must be set: without it no step that
	// takes something away is entered.
	Product func(Cached) []string
	// Now reads the clocks; the only way for time to come in.
	Now func() Instant
	// Tell is called with each event after it was saved; nil is allowed.
	Tell func(Event)
	// By is who gives the orders, for the history.
	By string
	// Workers is how many zones are worked on at once, and Looks how many are
	// looked at; 1 if not set.
	Workers, Looks int
	// After is time.After. It must be set if Looks is more than 1: zones wait a
	// moment for each other then, to share a purge. Without it nothing is looked for
	// with patience that show-zone does not show at once.
	After func(time.Duration) <-chan time.Time
	// MaxLag is by how much what Signer reads may be behind what it writes: so long
	// no other key is made while one may still show. 0 where nothing lags.
	MaxLag time.Duration
	// kinds is run instead of the table of Kinds, if set: only the proof does
	// that, to see that each guard of the table is needed.
	kinds []Kind
	// ungated leaves the gates out: the proof sets it, to see that the table
	// alone is safe, and that each of its guards is needed.
	ungated bool

	handOvers handOvers
}

// Setting is what the configuration says of one zone.
type Setting struct {
	Policy        Policy
	Servers       []string
	ServersOnly   bool
	ParentServers []string
	Exclude       []string

	// Driver names the Registrar; nil is the operator, by hand.
	Driver    string
	Registrar Registrar
	// Drivers is the Registrar of that name, as it is configured, for a rollover
	// that was started with another driver; nil for one that could not work.
	Drivers  func(name string) Registrar
	Resubmit time.Duration // until an accepted change that the parent does not show is handed over again
	HandOver time.Duration // that the driver may take for one change; 90 s if zero
}

// visit is one zone in one tick.
type visit struct {
	engine  *Engine
	dossier Dossier
	roll    *Roll // dossier.Roll
	setting Setting
	events  []Event
	err     error
	dirty   bool // to be saved
	moved   bool // a step was entered in this round
	changed int
	blocked bool // in this tick
	ended   bool // in this tick
	gone    bool // in this tick
	// unproven: the last look could not prove what the parent says.
	unproven bool
	told     bool // err was told already, less than a day ago
	// sighting and inventory are what start has seen already, to be used once.
	sighting  *Sighting
	inventory *Inventory
	zoneKind  string  // as start or adopt has read it
	entering  Verdict // of this round
	// anew is why the zone is served anew in this round, empty if it is not, and
	// anewKind its kind, which says whether secondaries transfer it.
	anew, anewKind string
	creating       bool  // this round may ask for keys, and has written down that it does
	order          Order // what start was asked for
}

func (e *Engine) visit(d Dossier) *visit {
	d.Roll.rewind(e.Now().Wall)
	return &visit{engine: e, dossier: d, roll: d.Roll, setting: e.Setting(d.Zone).of(d.Roll)}
}

// kind is the row of the table that the rollover is run by.
func (v *visit) kind() (Kind, error) {
	if v.engine.kinds != nil {
		return v.roll.kindIn(v.engine.kinds)
	}
	return v.roll.kind()
}

// goesOn says whether a zone may have more to do in this tick.
func (v *visit) goesOn() bool {
	return v.moved && v.err == nil && v.roll.State == StateActive
}

func (v *visit) event(name, step, text string, evidence ...string) {
	v.events = append(v.events, Event{
		At: v.engine.Now().Wall, Zone: v.dossier.Zone, Roll: v.roll.ID, Event: name, Step: step, Text: text, Evidence: evidence,
	})
	v.dirty = true
}

// fail records a failure: the tick of this zone ends, the rollover stays as it is.
func (v *visit) fail(err error) {
	if v.err == nil {
		v.err = err
	}
	v.dirty = true
}

func (v *visit) report(r *Report) {
	r.Changed += v.changed
	if v.blocked {
		r.Blocked = append(r.Blocked, v.dossier.Zone)
	}
	if v.gone {
		r.Gone = append(r.Gone, v.dossier.Zone)
	}
	if v.err == nil && v.unproven {
		r.Suspects = append(r.Suspects, v.dossier.Zone)
	}
	if v.err == nil {
		return
	}
	r.Failed[v.dossier.Zone] = v.err
	r.Told[v.dossier.Zone] = v.told
}

// block stops the rollover until the operator has looked.
func (v *visit) block(b *Block) {
	b.Since = v.engine.Now().Wall
	v.roll.State, v.roll.Block, v.blocked = StateBlocked, b, true
	v.changed++
	v.event(EventBlocked, v.roll.Step, b.Reason+"; "+b.Remedy)
}

// look looks at the zone and decides. An open intent of which nothing was done is
// decided anew, however long ago it was made. One that is half done is gone on
// with, but what it takes away needs the same look as ever.
func (v *visit) look(ctx context.Context) {
	v.entering, v.moved, v.anew, v.creating = Verdict{}, false, "", false
	if !v.open() {
		return
	}
	v.safely(func() {
		if v.roll.Intent == nil || v.reopen(ctx) {
			v.observe(ctx)
		}
	})
}

func (v *visit) observe(ctx context.Context) {
	kind, err := v.kind()
	if err != nil {
		v.block(&Block{Code: BlockUnknownVersion, Reason: err.Error(), Remedy: "use the version of rollover that wrote this state"})
		return
	}
	sighting, err := v.sight(ctx, kind)
	if err != nil {
		v.fail(err)
		return
	}
	v.unproven = sighting.unproven()
	v.compare()
	v.proven(kind)
	before, last := v.roll.Held, v.roll.LastLook
	sighting = v.dossier.Ledger.unmask(sighting)
	v.learn(sighting)
	roll, verdict := kind.Next(*v.roll, v.dossier.Ledger, sighting, v.setting.Policy)
	*v.roll = roll
	v.describe(sighting)
	v.watch(kind, sighting)
	v.fails(sighting)
	verdict = v.compared(ctx, kind, v.reread(ctx, kind, sighting, v.gated(ctx, verdict)))
	if v.err != nil {
		return
	}
	if v.roll.Intent != nil {
		v.judgeHalfDone(verdict)
		return
	}
	if (v.surprised(before, sighting) || v.overdue(verdict.Need, last)) && !v.keysAsExpected(ctx, sighting) {
		return
	}
	if v.overdue(verdict.Need, last) {
		v.recount(ctx)
	}
	if v.err != nil {
		return
	}
	v.judge(verdict)
	v.serveAnew(ctx, sighting)
}

// gated is a verdict after the gates: a step that takes something away is not
// entered while the zone is ill, or while caches could fail by it, and none while
// the parent could take by CDS what it is not asked for any more.
func (v *visit) gated(ctx context.Context, verdict Verdict) Verdict {
	step := verdict.Enter
	switch {
	case step == nil || verdict.GoOn != "":
		return verdict
	case v.roll.retracts(v.setting.Policy):
		return Verdict{Need: retracting(v.dossier.Zone, *step)}
	case v.heldBack(*step) != nil:
		return Verdict{Need: v.heldBack(*step)}
	case v.engine.ungated:
		return verdict
	case step.adds():
		if need := v.proves(ctx, *step); need != nil {
			return Verdict{Need: need}
		}
		return verdict
	case !step.TakesAway():
		return verdict
	}
	if need := v.gate(ctx, *step); need != nil {
		return Verdict{Need: need}
	}
	return verdict
}

// reopen says whether an open intent must be looked at before it is carried
// out. It reads the keys, which act then uses.
func (v *visit) reopen(ctx context.Context) bool {
	intent := v.roll.Intent
	v.roll.Need = nil
	if intent.Applied {
		return false
	}
	inv, err := v.read(ctx)
	if err != nil {
		return false
	}
	v.inventory = &inv
	done, _, ok := intent.progress(inv.Keys)
	if ok && creates(intent.Commands[done:]) && !v.mayCreate() {
		return false
	}
	if ok && done == 0 {
		v.roll.Intent = nil
		return true
	}
	if ok {
		v.roll.Keys = inv.Keys // a rescue must know who signs
	}
	return ok && slices.ContainsFunc(intent.Commands[done:], Command.takesAway)
}

// judgeHalfDone goes on with an intent if its step could be entered now as
// well; else it waits half done, which is safe since adding comes first. A
// rescue takes over: both sides sign then.
func (v *visit) judgeHalfDone(verdict Verdict) {
	v.dirty, v.roll.Need = true, verdict.Need
	switch {
	case verdict.Block != nil:
		v.block(verdict.Block)
	case verdict.GoOn != "":
		v.roll.Intent.Step, v.roll.Intent.GoOn = RescueStep, verdict.GoOn
		v.roll.Intent.Before, v.roll.Intent.Commands = v.inventory.Keys, v.roll.commands(*verdict.Enter)
	}
}

// judge notes a verdict.
func (v *visit) judge(verdict Verdict) {
	was := v.roll.Need
	v.dirty, v.roll.Need = true, verdict.Need
	if n := verdict.Need; n != nil && n.Gone && (was == nil || !was.Gone) {
		v.gone = true
		v.event(EventGone, v.roll.Step, "the zone may be breaking now: waiting for "+n.sentence())
	}
	switch {
	case verdict.Block != nil:
		v.block(verdict.Block)
	case verdict.Need != nil:
		v.roll.Phase = PhaseHolding
		if len(verdict.Need.Findings) > 0 && (was == nil || len(was.Findings) == 0) {
			v.event(EventStopped, v.roll.Step, "waiting for "+verdict.Need.sentence())
		}
		if len(verdict.Need.Lagging) > 0 {
			v.roll.Phase = PhaseSpreading
		}
	default:
		v.entering = verdict
	}
}

// sight asks the servers of every record that the next step and those before it
// rely on.
func (v *visit) sight(ctx context.Context, kind Kind) (Sighting, error) {
	if s := v.sighting; s != nil {
		v.sighting = nil
		return *s, nil
	}
	q := v.question(kind.records(v.roll.Step)...)
	if kind.asksValidators(v.roll.Step) {
		q.Validators, q.Resolve = true, true
	}
	s, err := v.engine.Observer.Look(ctx, q)
	if err != nil {
		return s, fmt.Errorf("looking at the name servers of %s: %w", v.dossier.Zone, err)
	}
	return s, nil
}

// records is what has to be looked at: what the waits of the next step and of
// the steps before it speak about, and the DS set wherever it hangs on the
// keys that are rolled, for the parent may change it at any time. The DNSKEY set
// is always looked at: it shows whether somebody else changed the keys. So is data,
// which shows who signs it, whatever the roles of the keys: a KSK does while no ZSK
// is active.
func (k Kind) records(step string) []Record {
	at, err := k.index(step)
	if err != nil {
		return nil
	}
	out := []Record{RecordDNSKEY, RecordData}
	for _, s := range k.Steps[:min(at+2, len(k.Steps))] {
		for _, w := range s.Waits {
			if !slices.Contains(out, w.Record) {
				out = append(out, w.Record)
			}
		}
	}
	if k.signsKeys() && !slices.Contains(out, RecordDS) {
		out = append(out, RecordDS)
	}
	return out
}

// Question is everything there is to ask about a zone of which a dossier is
// kept, or could be.
func (e *Engine) Question(d Dossier) Question {
	return e.visit(d).question(RecordDNSKEY, RecordData, RecordDS)
}

// asksValidators says whether the step after this one waits for what validating
// resolvers find.
func (k Kind) asksValidators(step string) bool {
	at, err := k.index(step)
	return err == nil && at+1 < len(k.Steps) && slices.ContainsFunc(k.Steps[at+1].Waits, func(w Wait) bool { return w.has(foundSecure) })
}

func (v *visit) question(records ...Record) Question {
	q := Question{
		Zone: v.dossier.Zone, Records: records, Samples: v.dossier.Ledger.Samples,
		Servers: v.setting.Servers, ServersOnly: v.setting.ServersOnly, ParentServers: v.setting.ParentServers,
		Exclude:    slices.Clone(v.setting.Exclude),
		Validators: v.setting.Policy.Evidence == EvidenceResolver && slices.Contains(records, RecordDS),
		Validate:   v.setting.Policy.Evidence == EvidenceValidated && slices.Contains(records, RecordDS),
	}
	for _, x := range v.dossier.Excluded {
		q.Exclude = append(q.Exclude, x.Address)
	}
	if v.roll == nil {
		return q
	}
	for _, k := range v.roll.allKeys() {
		if d := k.DNSKEY(); k.PublicKey != "" && !slices.Contains(q.Keys, d) {
			q.Keys = append(q.Keys, d)
		}
	}
	for _, s := range v.roll.Servers {
		q.Known = append(q.Known, s.Server)
	}
	return q
}

// learn takes a sighting into the ledger, learns the public keys of ZSKs from
// DNSKEY sets that are signed by a key PowerDNS showed us, and reports a clock
// that jumped.
func (v *visit) learn(s Sighting) {
	v.dossier.Ledger.rewind(s.At)
	v.dossier.Ledger.learn(s)
	v.roll.learnPublicKeys(s)
	was := v.dossier.Clock
	v.dossier.Clock = s.At
	if was.IsZero() {
		return
	}
	if d := s.At.drift(was); d > maxDrift || d < -maxDrift {
		v.event(EventClock, v.roll.Step, fmt.Sprintf("the wall clock moved by %s against the boot clock since the last tick; waits are counted by the boot clock and are not affected", d.Round(time.Second)))
	}
}

func (r *Roll) learnPublicKeys(s Sighting) {
	for _, list := range []*[]Key{&r.Keys, &r.Old, &r.New} {
		fresh := slices.Clone(*list)
		for i := range fresh {
			if fresh[i].PublicKey == "" {
				fresh[i].PublicKey = r.publicKey(fresh[i], s)
			}
		}
		*list = fresh
	}
}

// publicKey is the one public key with the key's flags, algorithm and tag in
// the authentic DNSKEY sets of a sighting; empty when there is none or several.
func (r *Roll) publicKey(k Key, s Sighting) string {
	found := ""
	for _, v := range s.Servers {
		if v.DNSKEY == nil || !r.authentic(*v.DNSKEY) {
			continue
		}
		for _, d := range v.DNSKEY.Keys {
			if !k.Matches(d) || d.PublicKey == found {
				continue
			}
			if found != "" {
				return ""
			}
			found = d.PublicKey
		}
	}
	return found
}

// describe notes for status what each server showed.
func (v *visit) describe(s Sighting) {
	r := v.roll
	var servers []ServerState
	for _, old := range r.Servers {
		asked := slices.ContainsFunc(s.Servers, func(o ServerSighting) bool { return o.Role == old.Role })
		if !asked {
			servers = append(servers, old)
		}
	}
	for _, o := range s.Servers {
		servers = append(servers, r.serverState(o))
	}
	for _, o := range s.Servers {
		if o.Unchecked == "" && !slices.Contains(r.Asked, o.place()) {
			r.Asked = append(r.Asked, o.place())
		}
	}
	r.Servers = servers
	if slices.Contains(s.Records, RecordDNSKEY) {
		r.Strangers = s.Strangers
	}
	if believed := s.believed(v.setting.Policy); slices.ContainsFunc(believed.Servers, func(o ServerSighting) bool { return o.DS != nil }) {
		r.DSSeen = believed.dsSeen() // when nobody answers, what was seen last stands
		r.Undelegated = s.undelegated()
	}
}

// serverState sums up what one server showed of the statements that count.
func (r *Roll) serverState(o ServerSighting) ServerState {
	state := ServerState{Server: o.Server, OK: o.Unknown == "", Detail: o.Unknown, Serial: o.Serial}
	switch {
	case o.Unchecked != "":
		state.Detail, state.Unchecked = "not checked: "+o.Unchecked, true
	case o.Unknown != "":
	case o.Role == RoleParent && o.DS != nil:
		state.Detail = "DS " + tags(o.DS.Set) + o.DS.standing()
		if text := o.DS.undelegated(r.Zone); text != "" {
			state.Detail += ": " + text
		}
	case o.DNSKEY != nil:
		state.Detail = "DNSKEY " + keyTags(o.DNSKEY.Keys) + ", signed by " + keyTags(o.DNSKEY.Signers)
	}
	return state
}

// believed is the sighting without the DS sets that would have to be proven
// and are not: the operator is not sent to the registrar by a forger.
func (s Sighting) believed(p Policy) Sighting {
	if p.Evidence != EvidenceValidated {
		return s
	}
	s.Servers = slices.Clone(s.Servers)
	for i, o := range s.Servers {
		if o.DS != nil && o.DS.unvalidated() != "" {
			s.Servers[i].DS = nil
		}
	}
	return s
}

func (s Sighting) dsSeen() []DS {
	var out []DS
	for _, v := range s.Servers {
		if v.DS == nil {
			continue
		}
		for _, d := range v.DS.Set {
			if !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	return sorted(out)
}

// standing is what is said of an answer that was to be proven.
func (v DSVersion) standing() string {
	switch {
	case v.Standing == nil:
		return ""
	case v.Standing.Security == Secure:
		return ", validated"
	}
	return fmt.Sprintf(", %s: %s", v.Standing.Security, v.Standing.Why)
}

func keyTags(keys []DNSKEY) string {
	if len(keys) == 0 {
		return "none"
	}
	out := ""
	for i, k := range keys {
		if i > 0 {
			out += ", "
		}
		out += fmt.Sprint(k.Tag())
	}
	return out
}

// surprised says whether a look gives reason to read the key list although no
// step is due: a server showed a key that nobody knows, or does not show any
// more what it had shown.
func (v *visit) surprised(before map[string]map[string]Holding, s Sighting) bool {
	for _, o := range s.Servers {
		if o.DNSKEY != nil && v.roll.authentic(*o.DNSKEY) && len(v.roll.unknown(*o.DNSKEY)) > 0 {
			return true
		}
	}
	for statement, servers := range v.roll.Held {
		for address, h := range servers {
			if before[statement][address].Good && h.Since.IsZero() {
				return true
			}
		}
	}
	return false
}

// overdue says, about once in max_gap, that a server still does not show the
// keys as they must be: perhaps it does not lag, but somebody took the new key
// away before any server showed it.
func (v *visit) overdue(need *Need, last Instant) bool {
	if need == nil || !slices.ContainsFunc(need.Lagging, func(l Lag) bool { return l.Role == RoleChild && l.Bad }) {
		return false
	}
	times := func(at Instant) time.Duration { return at.Wall.Sub(v.roll.StepEnteredAt) / v.setting.Policy.MaxGap }
	return times(last) != times(v.roll.LastLook)
}

func (r *Roll) unknown(k KeyVersion) []DNSKEY {
	var out []DNSKEY
	for _, d := range k.Keys {
		ours := slices.ContainsFunc(r.allKeys(), func(k Key) bool { return k.Matches(d) })
		if !ours && !slices.Contains(r.Foreign, d) {
			out = append(out, d)
		}
	}
	return out
}

// keysAsExpected reads the key list and blocks the rollover if it is not what
// rollover left. What is served beyond it is foreign from now on.
func (v *visit) keysAsExpected(ctx context.Context, s Sighting) bool {
	inv, err := v.read(ctx)
	if err != nil {
		return false
	}
	if !sameKeys(v.roll.Keys, inv.Keys) {
		v.block(v.roll.changed(v.roll.Keys, inv.Keys, v.explain))
		return false
	}
	for _, o := range s.Servers {
		if o.DNSKEY != nil && v.roll.authentic(*o.DNSKEY) {
			v.roll.Foreign = append(v.roll.Foreign, v.roll.unknown(*o.DNSKEY)...)
		}
	}
	return true
}

func (v *visit) explain(c Command) string { return v.engine.Signer.Explain(v.dossier.Zone, c) }

// read reads the zone from PowerDNS; what cannot be rolled blocks.
func (v *visit) read(ctx context.Context) (Inventory, error) {
	inv, err := v.engine.Signer.Inventory(ctx, v.dossier.Zone)
	switch {
	case errors.Is(err, ErrUnknownZone):
		v.block(&Block{Code: BlockZoneChanged, Reason: "PowerDNS does not have the zone any more",
			Remedy: fmt.Sprintf("restore the zone, or the back end that has it (`launch` in pdns.conf), then: rollover resume --zone %s; or: rollover cancel --abandon --zone %s", v.dossier.Zone, v.dossier.Zone)})
		return inv, err
	case err != nil:
		v.fail(fmt.Errorf("reading the keys of %s: %w", v.dossier.Zone, err))
		return inv, err
	}
	if err := rollable(inv); err != nil {
		v.block(&Block{Code: BlockZoneChanged, Reason: err.Error(), Remedy: fmt.Sprintf("undo that, then: rollover resume --zone %s", v.dossier.Zone)})
		return inv, err
	}
	inv.Keys = withPublicKeys(inv.Keys, v.roll.allKeys())
	return inv, nil
}
