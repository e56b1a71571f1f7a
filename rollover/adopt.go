package rollover

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
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
	r := v.roll
	v.event(EventAdopted, r.Step, fmt.Sprintf("adopted a %s rollover by %s after step %s, from %s to %s; all waits start anew", r.Type, r.Method, r.Step, keyNames(r.Old), keyNames(r.New)))
	report := Report{Failed: map[string]error{}, Told: map[string]bool{}}
	if err := e.save([]*visit{v}); err != nil {
		return report, err
	}
	err = e.rounds(ctx, []*visit{v})
	v.report(&report)
	return report, err
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
	// Who is old and who is new is known only after a look at the parent.
	d.Roll = &Roll{Zone: zone, Keys: inv.Keys, Old: withRoles(inv.Keys)}
	v := e.visit(d)
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
	for _, o := range parents[1:] {
		if !slices.Equal(sorted(o.DS.Set), sorted(parents[0].DS.Set)) {
			return nil, fmt.Errorf("%w: the parent's servers have different DS sets of %s (%s; %s): wait until they agree", ErrRefused, v.dossier.Zone, tags(parents[0].DS.Set), tags(o.DS.Set))
		}
	}
	return parents[0].DS.Set, nil
}

// adopt makes the rollover that was recognised.
func (v *visit) adopt(f adoption, inv Inventory) error {
	kind, err := FindKind(f.kindType, f.method)
	if err != nil {
		return err
	}
	if err := v.setting.Policy.fitsCDS(inv, kind); err != nil {
		return err
	}
	now := v.engine.Now().Wall
	seen := v.roll
	*v.roll = Roll{
		ID:   fmt.Sprintf("%s%s-%s", v.dossier.Zone, kind.Type, now.UTC().Format("20060102T150405.000Z")),
		Zone: v.dossier.Zone, Type: kind.Type, Method: kind.Method, Kind: kind.Name(),
		State: StateActive, Phase: PhaseSpreading, Step: f.step, Steps: []StepRecord{{f.step, now}},
		StartedAt: now, StepEnteredAt: now, NextCheck: now,
		Old: f.old, New: f.new, SpecNew: specsOf(f.new), Keys: seen.Keys, Foreign: seen.Foreign,
		Servers: seen.Servers, Asked: seen.Asked, DSSeen: seen.DSSeen, Terms: v.setting.terms(), Held: map[string]map[string]Holding{},
	}
	at, err := kind.index(f.step)
	if err != nil {
		return err
	}
	for _, s := range kind.Steps[:at+1] {
		for _, a := range s.Actions {
			if a.Verb == askParent {
				v.roll.Ask = &Ask{Sides: a.Sides, Since: now}
			}
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

// adoption is what a half-done rollover was recognised as.
type adoption struct {
	kindType, method, step string
	old, new               []Key
}

// recogniser holds what there is to see.
type recogniser struct {
	zone string
	keys []Key // with roles, by id: the older one first
	set  []DS
}

// recognise finds the rollover that keys and DS set are in the middle of. What
// fits none is refused with what was seen. Of two keys the one with the larger
// id is new; a wrong guess is safe, for it only decides which one stays.
func recognise(zone string, keys []Key, set []DS) (adoption, error) {
	r := recogniser{zone, withRoles(keys), set}
	slices.SortFunc(r.keys, func(a, b Key) int { return cmp.Compare(a.ID, b.ID) })
	groups := map[uint8][]Key{}
	for _, k := range r.keys {
		groups[k.Algorithm] = append(groups[k.Algorithm], k)
	}
	if len(groups) == 2 {
		older := groups[r.keys[0].Algorithm]
		delete(groups, r.keys[0].Algorithm)
		for _, newer := range groups {
			return r.algorithm(older, newer)
		}
	}
	if len(groups) == 1 {
		return r.pair()
	}
	return adoption{}, r.refuse("its keys have more than two algorithms")
}

func (r recogniser) refuse(why string) error {
	words := make([]string, len(r.keys))
	for i, k := range r.keys {
		words[i] = fmt.Sprintf("%v algorithm %d %s", k, k.Algorithm, k.state())
	}
	return fmt.Errorf("%w: %s is in the middle of no rollover that is known: %s; PowerDNS has %s, and the parent DS %s (pdnsutil show-zone %s)", ErrRefused, r.zone, why, strings.Join(words, ", "), tags(r.set), r.zone)
}

// hasDS says whether the parent has a right DS of some key.
func (r recogniser) hasDS(keys ...Key) bool {
	roll := Roll{Zone: r.zone}
	return slices.ContainsFunc(keys, func(k Key) bool { return k.Role.SignsKeys() && len(roll.digests(k, r.set)) > 0 })
}

// pair recognises a rollover of one of two keys of a role.
func (r recogniser) pair() (adoption, error) {
	roles := map[Role][]Key{}
	for _, k := range r.keys {
		roles[k.Role] = append(roles[k.Role], k)
		if !k.Published {
			return adoption{}, r.refuse(fmt.Sprintf("%v is not published", k))
		}
	}
	if slices.ContainsFunc(roles[CSK], func(k Key) bool { return k.Flags != roles[CSK][0].Flags }) {
		return adoption{}, r.refuse("keys with flags 256 and 257 that are all CSKs, by the rule of PowerDNS")
	}
	for role, keys := range roles {
		others := 0
		for other, list := range roles {
			if other != role && len(list) != 1 {
				others++
			}
		}
		if len(keys) != 2 || others > 0 {
			continue
		}
		if role == ZSK {
			return r.zsks(keys[0], keys[1])
		}
		return r.entries(strings.ToLower(string(role)), keys[0], keys[1])
	}
	return adoption{}, r.refuse("a rollover in the middle has two keys of one role")
}

func (r recogniser) zsks(older, newer Key) (adoption, error) {
	found := adoption{"zsk", "pre-publish", "publish", []Key{older}, []Key{newer}}
	switch {
	case older.Active && newer.Active:
		found.method = "double-signature"
	case newer.Active:
		found.step = "switch"
	}
	return found, nil
}

// entries recognises a rollover of keys that a DS points to.
func (r recogniser) entries(kindType string, older, newer Key) (adoption, error) {
	found := adoption{kindType, "double-ds", "", []Key{older}, []Key{newer}}
	hasOld, hasNew := r.hasDS(older), r.hasDS(newer)
	switch {
	case older.Active && newer.Active && !hasNew:
		found.method, found.step = "double-signature", "publish"
	case older.Active && newer.Active && hasOld:
		found.method, found.step = "double-signature", "publish"
	case older.Active && newer.Active:
		found.method, found.step = "double-signature", "submit"
	case older.Active && hasOld && !hasNew:
		found.step = "publish"
	case older.Active && hasOld:
		found.step = "submit"
	case newer.Active && hasNew && hasOld:
		found.step = "switch"
	case newer.Active && hasNew:
		found.step = "withdraw"
	default:
		return found, r.refuse("the parent has no DS of the key that signs")
	}
	return found, nil
}

// algorithm recognises an algorithm rollover.
func (r recogniser) algorithm(older, newer []Key) (adoption, error) {
	found := adoption{"algorithm", "conservative", "", older, newer}
	for _, k := range r.keys {
		if !k.Active {
			return found, r.refuse(fmt.Sprintf("%v does not sign: in an algorithm rollover every key does", k))
		}
	}
	published := func(keys []Key) (all, none bool) {
		for _, k := range keys {
			all, none = all || k.Published, none || !k.Published
		}
		return all && !none, none && !all
	}
	oldIn, oldOut := published(older)
	newIn, newOut := published(newer)
	hasOld, hasNew := r.hasDS(older...), r.hasDS(newer...)
	switch {
	case len(older) > 2 || len(newer) > 2:
		return found, r.refuse("more than a KSK and a ZSK of one algorithm")
	case oldIn && newOut && hasOld && !hasNew:
		found.step = "sign"
	case oldIn && newIn && hasOld && !hasNew:
		found.step = "publish"
	case oldIn && newIn && hasNew:
		found.step = "submit"
	case oldOut && newIn && hasNew && !hasOld:
		found.step = "unpublish"
	default:
		return found, r.refuse("no step of an algorithm rollover leaves keys and DS like this")
	}
	return found, nil
}
