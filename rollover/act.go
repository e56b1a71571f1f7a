package rollover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// intend prepares the step to enter: it reads the keys, checks that they are
// those that rollover left, and writes down what is about to be done. A step
// that only asks the parent changes no key and needs no intent.
func (v *visit) intend(ctx context.Context) {
	step := v.entering.Enter
	if step == nil || v.roll.Intent != nil {
		return
	}
	commands := v.roll.commands(*step)
	if len(commands) == 0 && !step.TakesAway() && !step.changesKeys() {
		return
	}
	inv, err := v.known(ctx)
	if err != nil {
		return
	}
	rescued := v.entering.GoOn != "" && sameKeys(applyAll(v.roll.Keys, commands), inv.Keys) // by hand, before us
	if !rescued && !sameKeys(v.roll.Keys, inv.Keys) {
		v.block(v.roll.changed(v.roll.Keys, inv.Keys, v.explain))
		v.entering = Verdict{}
		return
	}
	if !v.publishes(inv, *step) {
		v.entering = Verdict{}
		return
	}
	if len(commands) == 0 && !step.changesKeys() || creates(commands) && !v.mayCreate() {
		return
	}
	v.roll.Phase = PhaseActing
	v.roll.Intent = &Intent{
		Step: step.Name, Before: inv.Keys, Commands: commands, Rectify: step.rectifies(), ZoneKind: inv.Kind, GoOn: v.entering.GoOn, Since: v.engine.Now().Wall,
	}
	v.inventory, v.dirty = &inv, true
}

// known is the reading of the zone that start has made, or a fresh one.
func (v *visit) known(ctx context.Context) (Inventory, error) {
	if inv := v.inventory; inv != nil {
		v.inventory = nil
		return *inv, nil
	}
	return v.read(ctx)
}

// reread reads the zone's records again before a step that changes who signs
// data, or has waited for data: a record with a larger TTL may have come in since
// start, and pdnsutil and databases change records without changing the SOA
// serial. If one has, the wait was too short.
func (v *visit) reread(ctx context.Context, kind Kind, s Sighting, verdict Verdict) Verdict {
	step := verdict.Enter
	if v.err != nil || step == nil || !step.concernsData() || !v.roll.signsData() {
		return verdict
	}
	c, err := v.engine.Signer.Contents(ctx, v.dossier.Zone)
	if err != nil {
		v.fail(fmt.Errorf("reading the records of %s for their largest TTL: %w", v.dossier.Zone, err))
		return verdict
	}
	ledger := &v.dossier.Ledger
	known := ledger.ZoneTTL
	ledger.learnContents(c, v.engine.Now().Wall)
	v.roll.Strays = c.Strays
	at, err := kind.index(v.roll.Step)
	if err != nil || verdict.GoOn != "" || ledger.ZoneTTL <= known {
		return verdict
	}
	if need := kind.unmet(v.roll, at, *ledger, s, v.setting.Policy); need != nil {
		return Verdict{Need: need}
	}
	return verdict
}

// concernsData says whether the step changes who signs data, or waits until all
// caches have data with some property.
func (s Step) concernsData() bool {
	return slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb == activate || a.Verb == activateEntry || a.Verb == deactivate }) ||
		slices.ContainsFunc(s.Waits, func(w Wait) bool { return w.Record == RecordData && w.Strength == StrengthSettled })
}

// signsData says whether a key of either side signs data, or will when it is made.
func (r *Roll) signsData() bool {
	return slices.ContainsFunc(slices.Concat(r.Old, r.New, r.SpecNew), func(k Key) bool { return k.Role.SignsData() })
}

// act carries out the open intent, or takes one up that an earlier run left:
// read, see how far it has come, do the next command, read back. The same loop
// serves both, so that recovery is not a path of its own. It stops between two
// commands when asked to.
func (v *visit) act(ctx context.Context) {
	intent := v.roll.Intent
	if intent == nil || intent.Applied || v.roll.Need != nil {
		return
	}
	inv, err := v.known(ctx)
	if err != nil {
		return
	}
	steps := actor{visit: v, intent: intent, inv: inv, last: -1}
	for range 2 * (len(intent.Commands) + maxCollisions) {
		done, err := steps.next(ctx)
		if err != nil {
			v.fail(err)
			return
		}
		if done || v.roll.State != StateActive {
			return
		}
	}
	v.fail(fmt.Errorf("step %q of %s did not come to an end: keys with tags that are taken were made %d times", intent.Step, v.dossier.Zone, maxCollisions))
}

// maxCollisions is how often a key is made anew because its tag is taken. One
// in 65,536 is, so five in a row mean that something else is wrong.
const maxCollisions = 5

// actor carries out one intent.
type actor struct {
	*visit
	intent *Intent
	inv    Inventory
	last   int   // commands in effect when the last one was given
	failed error // what pdnsutil said to it; never believed, but told if nothing changed
}

// next does the next command of the intent and reads back; done says that all
// are in effect.
func (a *actor) next(ctx context.Context) (done bool, err error) {
	n, made, ok := a.intent.progress(a.inv.Keys)
	if !ok {
		a.block(a.roll.changed(a.intent.Before, a.inv.Keys, a.explain))
		return false, nil
	}
	if bad, collides := a.collision(made); collides {
		return false, a.do(ctx, Command{VerbRemove, bad}, func(found []Key) bool { return !slices.ContainsFunc(found, bad.isThe) })
	}
	if n == len(a.intent.Commands) {
		a.applied(made)
		return true, nil
	}
	if n <= a.last {
		return false, a.stuck(a.intent.Commands[a.last].resolve(made))
	}
	if ctx.Err() != nil {
		return false, fmt.Errorf("interrupted in step %q of %s, which goes on at the next advance: %w", a.intent.Step, a.dossier.Zone, context.Cause(ctx))
	}
	a.last = n
	return false, a.do(ctx, a.intent.Commands[n].resolve(made), func(found []Key) bool {
		now, _, ok := a.intent.progress(found)
		return ok && now > n
	})
}

// collision is a key made whose tag is taken, the last one first: the keys
// before it are what the commands before its own have made.
func (a *actor) collision(made []Key) (Key, bool) {
	for _, k := range slices.Backward(made) {
		if a.roll.collides(k, a.inv.Keys) {
			a.last = -1
			return k, true
		}
	}
	return Key{}, false
}

// applied notes that all commands are in effect.
func (a *actor) applied(made []Key) {
	a.intent.Applied = true
	if kind, err := a.kind(); err == nil { // else the next look blocks
		a.roll.restart(kind.statements(), *a.intent)
	}
	a.roll.Keys, a.roll.Need, a.roll.Creating = a.inv.Keys, nil, time.Time{}
	if len(made) > 0 {
		a.roll.New = withRole(made, a.roll.SpecNew)
	}
	a.roll.Old = current(a.roll.Old, a.inv.Keys)
	a.roll.New = current(a.roll.New, a.inv.Keys)
	a.dirty = true
}

// restart forgets for how long servers have been without what PowerDNS had up
// to now: each of them could take it over at any moment between two looks, and
// lose it again. What ends at the source is counted from there.
func (r *Roll) restart(statements []Statement, i Intent) {
	held := maps.Clone(r.Held)
	for _, st := range statements {
		if slices.ContainsFunc(i.Commands, func(c Command) bool { return r.ends(st, c, i.Before) }) {
			delete(held, st.String())
		}
	}
	r.Held = held
}

// ends says whether a command ends at the source what the statement says is gone.
// Who signed data up to then is known from the keys before the first command.
func (r *Roll) ends(st Statement, c Command, before []Key) bool {
	return slices.ContainsFunc(st.Properties, func(p Property) bool {
		if !slices.ContainsFunc(r.sideFor(p, st.Record), c.concerns) {
			return false
		}
		switch {
		case st.Record == RecordDNSKEY && p.Verb == lacks:
			return c.Key.Published && (c.Verb == VerbUnpublish || c.Verb == VerbRemove)
		case st.Record == RecordData && !RoleOf(before, c.Key).SignsData():
			return false
		case st.Record != RecordDS && p.Verb == notSignedBy:
			return c.Key.Active && (c.Verb == VerbDeactivate || c.Verb == VerbRemove)
		}
		return false
	})
}

// withRole gives keys that were made the role they were made for.
func withRole(made, specs []Key) []Key {
	for i := range made {
		for _, s := range specs {
			if s.Flags == made[i].Flags && s.Algorithm == made[i].Algorithm {
				made[i].Role = s.Role
			}
		}
	}
	return made
}

// current is a side with the states that its keys have now; keys that are
// gone keep the last state that was seen.
func current(side, keys []Key) []Key {
	out := make([]Key, len(side))
	for i, k := range side {
		out[i] = k
		for _, now := range keys {
			if now.ID == k.ID && now.Tag == k.Tag {
				now.Role = k.Role
				out[i] = now
			}
		}
		if !containsID(keys, k.ID) {
			out[i].Active, out[i].Published = false, false
		}
	}
	return out
}

func containsID(keys []Key, id int) bool {
	for _, k := range keys {
		if k.ID == id {
			return true
		}
	}
	return false
}

// applied says whether the keys are as intended and the servers must be told.
func (v *visit) applied() bool {
	return v.roll != nil && v.roll.Intent != nil && v.roll.Intent.Applied
}

// transfers says whether secondaries transfer the zone from this PowerDNS.
func (v *visit) transfers() bool {
	if v.applied() {
		return transferred(v.roll.Intent.ZoneKind)
	}
	return transferred(v.anewKind)
}

// transferred says whether secondaries transfer zones of a kind from PowerDNS.
func transferred(kind string) bool { return kind == KindMaster || kind == KindProducer }

// bump raises the SOA serial where secondaries compare it, and before that
// orders the names of a zone that got its first keys, and takes out of one that
// lost its last active key what it told its parent by CDS: the next would sign it.
// Once is enough: what an earlier tick did is not done again because the servers
// could not be told of it. A transfer after that has the keys and the serial of the
// database: by its source PowerDNS takes neither out of a cache for it.
func (v *visit) bump(ctx context.Context) {
	if v.raised() {
		return
	}
	if !v.roll.signs() && v.applied() {
		if err := v.engine.Signer.RetractCDS(context.WithoutCancel(ctx), v.dossier.Zone); err != nil {
			v.fail(fmt.Errorf("taking out the CDS records of %s: %w", v.dossier.Zone, err))
			return
		}
	}
	if v.applied() && v.roll.Intent.Rectify {
		if err := v.engine.Signer.Rectify(context.WithoutCancel(ctx), v.dossier.Zone); err != nil {
			v.fail(fmt.Errorf("rectifying %s: %w", v.dossier.Zone, err))
			return
		}
	}
	if v.transfers() {
		if err := v.raiseSerial(ctx); err != nil {
			v.fail(fmt.Errorf("raising the SOA serial of %s: %w", v.dossier.Zone, err))
			return
		}
	}
	v.raise()
}

// raised says whether an earlier tick has raised the serial for what is served now.
func (v *visit) raised() bool {
	if v.applied() {
		return v.roll.Intent.Raised
	}
	return v.roll.Raised == v.anew
}

// raise notes that the serial was raised for what is served now.
func (v *visit) raise() {
	if v.applied() {
		v.roll.Intent.Raised = true
	} else {
		v.roll.Raised = v.anew
	}
	v.dirty = true
}

// conclude ends the round of a zone: a step whose actions are in effect was
// entered; else the next look is set.
func (v *visit) conclude() {
	if !v.open() {
		return
	}
	v.servedAnew()
	switch intent := v.roll.Intent; {
	case intent != nil && intent.Applied:
		v.enter(intent.Step, intent.GoOn)
	case intent != nil:
		// half done, and not safe to go on with now
	case v.entering.Enter != nil:
		v.enter(v.entering.Enter.Name, "")
	}
	v.recovered()
	v.schedule()
}

// account notes how the round went wrong, if it did.
func (v *visit) account() {
	if v.err != nil && v.roll != nil && v.roll.State == StateActive {
		v.trouble()
	}
}

// trouble notes a failure of this tick; an unchanged one is told once a day.
// Being interrupted is none: the next tick goes on at once.
func (v *visit) trouble() {
	now := v.engine.Now().Wall
	v.roll.NextCheck, v.dirty = now, true
	if errors.Is(v.err, context.Canceled) {
		return
	}
	v.roll.NextCheck = now.Add(v.setting.Policy.CheckInterval)
	was := v.roll.Trouble
	if was != nil && was.Text == v.err.Error() && now.Sub(was.ToldAt) < 24*time.Hour {
		v.told = true
		return
	}
	v.roll.Trouble = &Trouble{Text: v.err.Error(), Since: now, ToldAt: now}
	v.event(EventTrouble, v.roll.Step, v.err.Error())
}

func (v *visit) recovered() {
	if v.roll.Trouble != nil {
		v.event(EventRecovered, v.roll.Step, "works again; the trouble was: "+v.roll.Trouble.Text)
		v.roll.Trouble = nil
	}
}

// enter records that a step was entered: its actions are in effect.
func (v *visit) enter(name, goOn string) {
	now := v.engine.Now().Wall
	r := v.roll
	side := r.lent()
	r.Intent, r.Need, r.Raised = nil, nil, ""
	r.Steps = append(r.Steps, StepRecord{name, now})
	r.StepEnteredAt, v.moved, v.dirty = now, true, true
	v.changed++
	if goOn != "" {
		v.rescued(name, goOn, side)
		return
	}
	r.Step = name
	kind, err := v.kind()
	if err != nil {
		v.fail(err)
		return
	}
	at, err := kind.index(name)
	if err != nil {
		v.fail(err)
		return
	}
	step := kind.Steps[at]
	v.event(EventEntered, name, describeActions(step), v.evidence(step)...)
	v.asked(step)
	if at == len(kind.Steps)-1 {
		v.finish(kind)
	}
}

// rescued goes on where a rescue leads to: both sides are published and sign.
// The parent is asked anew, when caches have what that rests on.
func (v *visit) rescued(name, goOn string, side Side) {
	kind, err := v.kind()
	if err != nil {
		v.fail(err)
		return
	}
	r := v.roll
	r.Kind, r.Step, r.Ask = goOn, kind.Rescue.Step, nil
	v.event(EventRescued, name, fmt.Sprintf("%s: the %s key signs beside the %s one from now on; going on as %s", r.missed(side), side, side.other(), goOn))
}

// lent is the side that an open intent, of a rescue, lets sign.
func (r *Roll) lent() Side {
	if i := r.Intent; i != nil && len(i.Commands) > 0 && slices.ContainsFunc(r.Old, func(k Key) bool { return k.isThe(i.Commands[0].Key) }) {
		return Old
	}
	return New
}

func describeActions(s Step) string {
	if len(s.Actions) == 0 {
		return s.Name
	}
	words := make([]string, len(s.Actions))
	for i, a := range s.Actions {
		words[i] = a.String()
	}
	return s.Name + ": " + strings.Join(words, ", then ")
}

// evidence is what made a step possible, for the history: each wait with what
// every server had earned.
func (v *visit) evidence(step Step) []string {
	var out []string
	for _, w := range step.Waits {
		hold := ""
		if w.Strength == StrengthSettled {
			hold = ", needed " + v.setting.Policy.formula(v.roll.ttl(w.Statement, v.dossier.Ledger, v.setting.Policy))
		}
		out = append(out, w.String()+hold)
		for _, s := range v.roll.Servers {
			if h, ok := v.roll.Held[w.Statement.String()][s.place()]; ok {
				out = append(out, fmt.Sprintf("%s: since %s, earned %s", s.Server, h.Since.UTC().Format(time.RFC3339), h.Earned.Round(time.Millisecond)))
			}
		}
	}
	return out
}

// asked notes what the parent is asked for from this step on.
func (v *visit) asked(step Step) {
	for _, a := range step.Actions {
		if a.Verb == askParent {
			v.roll.Before = nil // the answers were compared, and are not needed any more
			v.roll.Ask, v.roll.Submission = &Ask{Sides: a.Sides, Since: v.roll.StepEnteredAt}, nil
			add, del := v.roll.parentTodo(v.setting.Policy)
			v.event(EventDSNeeded, step.Name, todoText(add, del, v.roll.Parent(v.setting.Policy).Keep))
		}
	}
}

// finish ends the rollover.
func (v *visit) finish(kind Kind) {
	r := v.roll
	r.Phase, r.EndedAt, v.ended = PhaseFinished, r.StepEnteredAt, true
	if kind.back() {
		r.State = StateCancelled
		text := "taken back: the zone has its old keys as before"
		if r.Type == "sign" {
			text = "taken back: the zone has no keys, as before"
		}
		if left := r.leaves(); left != "" {
			text += "; " + left
		}
		v.event(EventCancelled, r.Step, text)
		return
	}
	r.State = StateDone
	v.event(EventDone, r.Step, fmt.Sprintf("%s rollover done in %s", r.Type, r.EndedAt.Sub(r.StartedAt).Round(time.Second)))
}

// schedule sets the next look: when an unmet wait is to be looked at again, or
// when enough time can have been earned, whichever is sooner. Shortly after a
// step, when secondaries are just about to transfer, it looks more often:
// every hold begins with the first sight of the change.
func (v *visit) schedule() {
	now := v.engine.Now().Wall
	wait := v.setting.Policy.CheckInterval
	switch n := v.roll.Need; {
	case v.moved:
		wait = 0
	case n != nil && len(n.Lagging) == 0:
		wait = min(wait, n.Remaining)
	default:
		wait = min(wait, max(soonest, now.Sub(v.roll.StepEnteredAt)/4))
	}
	v.roll.NextCheck = now.Add(wait)
	v.dirty = true
}

// soonest is how soon a condition that does not hold is looked at again.
const soonest = 200 * time.Millisecond
