package rollover

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Adopt takes over a rollover that was begun by hand, or by a rollover whose
// state is lost: it recognises it by the states of the keys and by the DS set,
// and goes on from there. Nothing that happened before is believed to have
// lasted: all hold times start at zero.
func (e *Engine) Adopt(ctx context.Context, zone string) (Report, error) {
	v, err := e.prepareAdoption(ctx, zone)
	if err != nil {
		return Report{}, err
	}
	if err := v.changeable(ctx); err != nil {
		return Report{}, err
	}
	r := v.roll
	v.event(EventAdopted, r.Step, r.adoption())
	v.events[len(v.events)-1].By = e.By
	report := newReport()
	if err := e.save([]*visit{v}); err != nil {
		return report, err
	}
	err = e.rounds(ctx, []*visit{v})
	v.report(&report)
	return report, err
}

// adoption says in words what was adopted.
func (r *Roll) adoption() string {
	at := "before its first step"
	switch {
	case r.Intent != nil:
		at = "in the middle of step " + r.Intent.Step
	case r.Step != "":
		at = "after step " + r.Step
	}
	return fmt.Sprintf("adopted a %s rollover by %s %s, from %s to %s; all waits start anew", r.Type, r.Method, at, keyNames(r.Old), keyNames(r.New))
}

// PrepareAdoption does all that Adopt does before the first change, and returns
// the rollover as it would go on.
func (e *Engine) PrepareAdoption(ctx context.Context, zone string) (Dossier, error) {
	v, err := e.prepareAdoption(ctx, zone)
	if err != nil {
		return Dossier{}, err
	}
	return v.dossier, nil
}

func (e *Engine) prepareAdoption(ctx context.Context, zone string) (*visit, error) {
	d, err := e.Journal.Load(zone)
	if err != nil {
		return nil, fmt.Errorf("loading the state of %s: %w", zone, err)
	}
	d.Zone = zone
	if d.Roll != nil && !d.Roll.State.Ended() {
		return nil, fmt.Errorf("%w: a %s rollover of %s is %s already, at step %q: see `rollover status %s`", ErrRefused, d.Roll.Type, zone, d.Roll.State, d.Roll.Step, zone)
	}
	inv, err := e.Signer.Inventory(ctx, zone)
	if err != nil {
		return nil, err
	}
	if err := rollable(inv); err != nil {
		return nil, err
	}
	if len(inv.Keys) == 0 {
		return nil, fmt.Errorf("%w: %s is not signed: it has no key, so nothing was begun", ErrRefused, zone)
	}
	if !slices.ContainsFunc(inv.Keys, func(k Key) bool { return k.Active }) {
		return nil, fmt.Errorf("%w: no key of %s signs (%s), so PowerDNS does not sign it: without a DS at the parent, remove the keys with `pdnsutil remove-zone-key %s ID`, and then `rollover sign %s`; with one, let the key sign that the DS is of: `pdnsutil activate-zone-key %s ID`", ErrRefused, zone, keyNames(withRoles(inv.Keys)), zone, zone, zone)
	}
	// Who is old and who is new is known only after a look at the parent.
	d.Roll = &Roll{Zone: zone, Keys: inv.Keys, Old: withRoles(inv.Keys)}
	v := e.visit(d)
	v.zoneKind = inv.Kind
	set, err := v.parentSet(ctx)
	if err != nil {
		return nil, err
	}
	found, err := recognise(zone, v.roll.Keys, set)
	if err != nil {
		return nil, err
	}
	return v, v.adopt(found, inv)
}

// parentSet looks at all servers, and returns the DS set that every server of
// the parent shows.
func (v *visit) parentSet(ctx context.Context) ([]DS, error) {
	if err := v.survey(ctx); err != nil {
		return nil, err
	}
	parents := v.sighting.relevant(RecordDS)
	if len(parents) == 0 {
		return nil, fmt.Errorf("%w: no name server of the parent of %s was asked: what the parent has decides how a rollover goes on", ErrRefused, v.dossier.Zone)
	}
	for _, o := range parents[1:] {
		if !slices.Equal(sorted(o.DS.Set), sorted(parents[0].DS.Set)) {
			return nil, fmt.Errorf("%w: the parent's servers have different DS sets of %s (%s; %s): wait until they agree", ErrRefused, v.dossier.Zone, tags(parents[0].DS.Set), tags(o.DS.Set))
		}
	}
	return parents[0].DS.Set, nil
}

// adopt makes the rollover that was recognised.
func (v *visit) adopt(f adoption, inv Inventory) error {
	kind, err := f.row(v.setting.Policy)
	if err != nil {
		return err
	}
	if err := v.setting.Policy.fitsCDS(inv, kind); err != nil {
		return err
	}
	if err := v.setting.Policy.unannounced(*v.sighting, kind); err != nil {
		return err
	}
	now := v.engine.Now().Wall
	seen := v.roll
	*v.roll = Roll{
		ID:   fmt.Sprintf("%s%s-%s", v.dossier.Zone, kind.Type, now.UTC().Format("20060102T150405.000Z")),
		Zone: v.dossier.Zone, Type: kind.Type, Method: kind.Method, Kind: kind.Name(),
		State: StateActive, Phase: PhaseSpreading, Step: f.step,
		StartedAt: now, StepEnteredAt: now, NextCheck: now,
		Old: f.old, New: f.new, SpecNew: specsOf(f.new), Keys: seen.Keys, Foreign: seen.Foreign, Strays: seen.Strays,
		Servers: seen.Servers, Asked: seen.Asked, DSSeen: seen.DSSeen, Terms: v.setting.terms(), Unserved: true, Held: map[string]map[string]Holding{},
	}
	if f.step != "" {
		v.roll.Steps = []StepRecord{{f.step, now}}
	}
	v.roll.take(kind, f, inv.Kind, now)
	return v.fitsDigests()
}

// row is the row of the table that is gone on with: where the parent follows CDS
// records one that they can express.
func (f *adoption) row(p Policy) (Kind, error) {
	if p.CDS && f.method == "double-rrset" {
		f.method, f.step = "double-signature", "submit" // which keeps the DS of both
	}
	kind, err := FindKind(f.kindType, p.methodFor(f.kindType, f.method))
	if err != nil {
		return kind, err
	}
	if _, err := kind.index(f.step); kind.CDS && err != nil {
		f.step = "switch" // the parent withdraws by itself, when old is gone
	}
	return kind, p.drives(kind)
}

// take notes what the parent was asked for by the steps that count as done, and
// what was begun of the next one.
func (r *Roll) take(kind Kind, f adoption, zoneKind string, now time.Time) {
	for _, s := range kind.Steps {
		if f.begun == s.Name {
			r.Intent = &Intent{Step: s.Name, Before: f.before(r.Keys), Commands: r.commands(s), ZoneKind: zoneKind, Since: now}
		}
	}
	at, err := kind.index(f.step)
	if err != nil {
		return
	}
	for _, s := range kind.Steps[:at+1] {
		for _, a := range s.Actions {
			if a.Verb == askParent {
				r.Ask = &Ask{Sides: a.Sides, Since: now}
			}
		}
	}
}

// before is the keys as they were before the step that was begun let new ones sign.
func (f adoption) before(keys []Key) []Key {
	out := slices.Clone(keys)
	for i := range out {
		if containsID(f.new, out[i].ID) {
			out[i].Active = false
		}
	}
	return out
}

// fitsDigests refuses to have a DS of new put in beside one of old with other
// digest types, as start does. One that is there already was asked for before.
func (v *visit) fitsDigests() error {
	for _, o := range v.sighting.relevant(RecordDS) {
		if v.roll.pointsTo(New, o.DS.Set) {
			continue
		}
		if err := v.roll.soundDigests(o, v.setting.Policy); err != nil {
			return fmt.Errorf("%w: %s at the parent server %s: %w", ErrRefused, v.roll.Zone, o.Server, err)
		}
	}
	return nil
}

func specsOf(keys []Key) []Key {
	out := slices.Clone(keys)
	for i := range out {
		out[i] = Key{Flags: out[i].Flags, Algorithm: out[i].Algorithm, Bits: out[i].Bits, Published: true, Role: out[i].Role}
	}
	return out
}
