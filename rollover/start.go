package rollover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Order is what an operator asks for with start.
type Order struct {
	Zone   string
	Type   string // zsk, ksk, csk; empty: csk for a zone with a CSK, else zsk
	Method string // empty: what the policy says, pre-publish for a zsk
	// Algorithm and Bits are those of the new keys, of type algorithm and sign;
	// 0 bits means the usual size.
	Algorithm uint8
	Bits      int
	To        Layout // what keys the zone is to have; empty: as it has now
	Urgent    bool   // the old key is in the wrong hands: no margin, no courtesies
	// Accept is what a first signing may take away, "NAME" or "NAME/TYPE", as the
	// operator has given it up. Given to one that runs, it is added.
	Accept []string
}

// Start begins a rollover and takes it as far as it can go at once, which is
// at least the first step. It refuses whatever does not look as a zone must
// look before its keys are touched.
func (e *Engine) Start(ctx context.Context, o Order) (Report, error) {
	v, err := e.accept(o)
	if v == nil && err == nil {
		v, err = e.begin(ctx, o)
	}
	if err != nil {
		return Report{}, err
	}
	report := newReport()
	if err := e.save([]*visit{v}); err != nil {
		return report, err
	}
	err = e.run(ctx, []*visit{v})
	v.report(&report)
	return report, err
}

// begin is a rollover at its beginning, with the event that says so.
func (e *Engine) begin(ctx context.Context, o Order) (*visit, error) {
	v, err := e.prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := v.changeable(ctx); err != nil {
		return nil, err
	}
	v.event(EventStarted, "", v.roll.beginning())
	v.events[len(v.events)-1].By = e.By
	return v, nil
}

// Prepare does all that Start does before the first change, and returns the
// rollover as it would begin.
func (e *Engine) Prepare(ctx context.Context, o Order) (Dossier, error) {
	v, err := e.prepare(ctx, o)
	if err != nil {
		return Dossier{}, err
	}
	return v.dossier, nil
}

func (e *Engine) prepare(ctx context.Context, o Order) (*visit, error) {
	d, err := e.Journal.Load(o.Zone)
	if err != nil {
		return nil, fmt.Errorf("loading the state of %s: %w", o.Zone, err)
	}
	d.Zone = o.Zone
	if d.Roll != nil && !d.Roll.State.Ended() {
		return nil, fmt.Errorf("%w: a %s rollover of %s is %s already, at step %q: see `rollover status %s`", ErrRefused, d.Roll.Type, o.Zone, d.Roll.State, d.Roll.Step, o.Zone)
	}
	inv, err := e.Signer.Inventory(ctx, o.Zone)
	if err != nil {
		return nil, err
	}
	d.Roll, err = newRoll(o, inv, e.Setting(o.Zone).Policy, e.Now())
	if err != nil {
		return nil, err
	}
	d.Roll.Terms = e.Setting(o.Zone).terms()
	v := e.visit(d)
	v.inventory, v.zoneKind, v.order = &inv, inv.Kind, o
	if err := v.survey(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

// survey reads the zone's records and looks at all its servers, before the
// first change: TTLs from before it are what waits are computed from.
func (v *visit) survey(ctx context.Context) error {
	contents, err := v.engine.Signer.Contents(ctx, v.dossier.Zone)
	if err != nil {
		return fmt.Errorf("reading the records of %s: %w", v.dossier.Zone, err)
	}
	v.dossier.Misfits, v.dossier.Proof = nil, "" // of the rollover before
	v.dossier.Ledger.forget(v.soonest())
	v.dossier.Ledger.learnContents(contents, v.engine.Now().Wall)
	v.roll.Strays = contents.Strays
	if err := v.roll.leftBehind(contents.Strays); err != nil {
		return err
	}
	sign, err := v.prospect(ctx)
	if err != nil {
		return err
	}
	q := v.thorough()
	q.Answers = samplesOf(sign.asked)
	sighting, err := v.engine.Observer.Look(ctx, q)
	if err != nil {
		return fmt.Errorf("looking at the name servers of %s: %w", v.dossier.Zone, err)
	}
	sighting = v.dossier.Ledger.unmask(sighting)
	v.learn(sighting)
	v.describe(sighting)
	if err := v.roll.sound(sighting, v.setting.Policy); err != nil {
		return err
	}
	if err := v.fits(sighting); err != nil {
		return err
	}
	if findings := v.ailing(sighting); len(findings) > 0 {
		return fmt.Errorf("%w: %s: %v: mend that first, a rollover would make it worse", ErrRefused, v.dossier.Zone, findings[0])
	}
	if kind, err := v.kind(); err == nil { // else it is to be adopted, and not known yet
		if err := v.setting.Policy.unannounced(sighting, kind); err != nil {
			return err
		}
	}
	if err := v.foresee(sign, sighting); err != nil {
		return err
	}
	for _, o := range sighting.Servers {
		if o.DNSKEY != nil {
			v.roll.Foreign = append(v.roll.Foreign, v.roll.unknown(*o.DNSKEY)...)
		}
	}
	v.sighting = &sighting
	return nil
}

// rollable says why a zone's keys cannot be rolled here, whatever the plan.
func rollable(inv Inventory) error {
	show := fmt.Sprintf("`pdnsutil show-zone %s`", inv.Zone)
	switch {
	case inv.Presigned:
		return fmt.Errorf("%w: %s is presigned: its signatures come with the zone transfer, and its keys are on the server that signs: run rollover there (%s)", ErrRefused, inv.Zone, show)
	case inv.Kind == KindSlave || inv.Kind == KindConsumer:
		return fmt.Errorf("%w: %s is a secondary zone here (kind %s): run rollover on its primary (%s)", ErrRefused, inv.Zone, inv.Kind, show)
	}
	for _, marker := range []string{"X-PDNSKEYROLLER-STATE", "X-ROLLOVER"} {
		if value := inv.Metadata[marker]; len(value) > 0 {
			return fmt.Errorf("%w: %s carries the marker %s of another roller: stop that one, then clear it with `pdnsutil set-meta %s %s`", ErrRefused, inv.Zone, marker, inv.Zone, marker)
		}
	}
	return nil
}

// newRoll is a rollover at its beginning, or why none can begin.
func newRoll(o Order, inv Inventory, p Policy, now Instant) (*Roll, error) {
	if err := rollable(inv); err != nil {
		return nil, err
	}
	kind, err := chooseKind(o, inv, p)
	if err != nil {
		return nil, err
	}
	old, specs, err := sides(o, inv, kind)
	if err != nil {
		return nil, err
	}
	if err := p.fitsCDS(inv, kind); err != nil {
		return nil, err
	}
	return &Roll{
		ID:   fmt.Sprintf("%s%s-%s", o.Zone, kind.Type, now.Wall.UTC().Format("20060102T150405.000Z")),
		Zone: o.Zone, Type: kind.Type, Method: kind.Method, Kind: kind.Name(),
		State: StateActive, Phase: PhaseActing, StartedAt: now.Wall, StepEnteredAt: now.Wall, NextCheck: now.Wall,
		Urgent: o.Urgent, Old: old, SpecNew: specs, Keys: inv.Keys, Held: map[string]map[string]Holding{},
	}, nil
}

// checkAlgorithm refuses algorithms that new keys must not have (RFC 9904,
// RFC 9905) and that cannot be verified here.
func checkAlgorithm(zone string, k Key) error {
	switch k.Algorithm {
	case 8, 10, 13, 14, 15:
		return nil
	case 16:
		return fmt.Errorf("%w: %v of %s has algorithm 16 (Ed448), whose signatures rollover cannot verify", ErrRefused, k, zone)
	}
	return fmt.Errorf("%w: %v of %s has algorithm %d, which must not be used for new keys (RFC 9904, RFC 9905)", ErrRefused, k, zone, k.Algorithm)
}

func withRoles(keys []Key) []Key {
	out := slices.Clone(keys)
	for i := range out {
		out[i].Role = RoleOf(keys, out[i])
	}
	return out
}

func keyNames(keys []Key) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.String()
	}
	return strings.Join(names, ", ")
}

// sound says why a zone is not fit to be touched: a server that does not
// answer, or a chain from DS to data that is broken already.
func (r *Roll) sound(s Sighting, p Policy) error {
	children := s.relevant(RecordDNSKEY)
	if len(children) == 0 {
		return fmt.Errorf("%w: no name server of %s could be asked: see `servers` in the configuration", ErrRefused, r.Zone)
	}
	for _, o := range s.Servers {
		if why := o.lacking(RecordDNSKEY, RecordData, RecordDS); why != "" {
			return fmt.Errorf("%w: %s server %s of %s: %s: %s", ErrUnavailable, o.Role, o.Server, r.Zone, why, s.mending(o, why))
		}
	}
	for _, o := range children {
		if err := r.soundChild(o); err != nil {
			return fmt.Errorf("%w: %s at server %s: %w: mend that first, a rollover would make it worse", ErrRefused, r.Zone, o.Server, err)
		}
	}
	return r.soundParent(s, p)
}

// soundChild checks that a server shows the keys that PowerDNS has, signed,
// and data signed by them.
func (r *Roll) soundChild(o ServerSighting) error {
	if len(r.Keys) == 0 {
		return r.soundUnsigned(o)
	}
	if !r.authentic(*o.DNSKEY) {
		return fmt.Errorf("expected a DNSKEY set signed by a key of %s, found: %s", r.Zone, r.unsignedSet(*o.DNSKEY))
	}
	for _, k := range withRoles(r.Keys) {
		if k.Published && !slices.ContainsFunc(o.DNSKEY.Keys, k.Matches) {
			return fmt.Errorf("expected %v in the DNSKEY set, found tags %s", k, keyTags(o.DNSKEY.Keys))
		}
		if k.Active && k.Role.SignsData() && !slices.ContainsFunc(o.Data.Signers, k.Matches) {
			return fmt.Errorf("expected all data signed by %v%s", k, faultOf(o.Data.Faults, k))
		}
	}
	return nil
}

// soundParent checks the DS set at every server of the parent against the keys
// that sign the DNSKEY set.
func (r *Roll) soundParent(s Sighting, p Policy) error {
	if err := r.soundAnchor(s); err != nil || s.Alone {
		return err
	}
	parents := s.relevant(RecordDS)
	if len(parents) == 0 {
		return fmt.Errorf("%w: no name server of the parent of %s could be asked: see `parent_servers` in the configuration", ErrRefused, r.Zone)
	}
	for _, o := range parents {
		if r.Type == "sign" && o.DS.insecure() {
			return fmt.Errorf("%w: %s: a zone above is not signed (%s): a DS there protects nobody, and no validator would ever find the zone secure: sign the parent first", ErrRefused, r.Zone, o.DS.Standing.Why)
		}
		// Where a zone has no key, nothing hangs on the proof that it has no DS.
		if why := r.unproven(RecordDS, o, s, p); why != "" && r.Type != "sign" && !r.indifferent(o, s) {
			return fmt.Errorf("%w: DS of %s at %s: %s", ErrRefused, r.Zone, o.Server, why)
		}
		if o.DS.insecure() && r.indifferent(o, s) {
			continue
		}
		if err := r.soundDS(o, p); err != nil {
			return fmt.Errorf("%w: %s at the parent server %s: %w", ErrRefused, r.Zone, o.Server, err)
		}
	}
	return nil
}

func (r *Roll) soundDS(o ServerSighting, p Policy) error {
	switch {
	case r.Type == "sign" && len(o.DS.Set) > 0:
		return fmt.Errorf("%s has no key, and a DS there (%s): it is broken already, for every validator: remove that DS first", r.Zone, tags(o.DS.Set))
	case r.Type == "sign" && o.DS.undelegated(r.Zone) != "":
		return fmt.Errorf("%s; a DS there would make the zone fail", o.DS.undelegated(r.Zone))
	case r.Type == "sign", (r.Type == "unsign" || r.Type == "") && len(o.DS.Set) == 0: // "": to be adopted, which says what may come of it
		return nil
	}
	if len(o.DS.Set) == 0 {
		if !r.usesParent() {
			return nil // an island of trust: nothing at the parent depends on a ZSK
		}
		if text := o.DS.undelegated(r.Zone); text != "" {
			return fmt.Errorf("%s, so there is no chain to roll: %s; then submit the DS (pdnsutil export-zone-ds %s)", r.Zone+" has no DS there", text, bare(r.Zone))
		}
		return fmt.Errorf("%s has no DS there, so there is no chain to roll: submit the DS first (pdnsutil export-zone-ds %s)", r.Zone, r.Zone)
	}
	for _, k := range withRoles(r.Keys) {
		if k.Role.SignsKeys() && len(r.digests(k, o.DS.Set)) > 0 {
			return r.soundDigests(o, p)
		}
	}
	return fmt.Errorf("expected a DS of a key of %s, found %s: the chain is broken already", r.Zone, tags(o.DS.Set))
}

// digests is the digest types with which a set holds a right DS of a key.
func (r *Roll) digests(k Key, set []DS) []uint8 {
	var out []uint8
	for _, digestType := range []uint8{1, 2, 4} {
		if d, err := k.DNSKEY().DS(r.Zone, digestType); err == nil && slices.Contains(set, d) {
			out = append(out, digestType)
		}
	}
	return out
}

// soundDigests refuses digest types that would make the double-DS window fail:
// validators ignore SHA-1 beside SHA-256 (RFC 4509 section 3), and some count
// only the strongest type present. Old and new must have the same.
// Where old and new sign all the while, as in an algorithm rollover, it does not
// matter which of them counts.
func (r *Roll) soundDigests(o ServerSighting, p Policy) error {
	from, ok := entryPoint(r.Old)
	if !ok || r.Type == "algorithm" || r.Type == "unsign" || r.Type == "" { // "": to be adopted, what was asked for is history
		return nil
	}
	old := r.digests(from, o.DS.Set)
	if len(old) > 1 && old[0] == 1 {
		old = old[1:]
	}
	asked := slices.Sorted(slices.Values(p.DSDigests))
	if slices.Equal(old, asked) {
		return nil
	}
	return fmt.Errorf("expected DS records of %v with the digest types asked for the new key (ds_digests = %v), found types %v: set ds_digests to those, or add the missing DS first; in between, validators that count only the strongest digest would fail", from, asked, old)
}

// Age is how long a rollover has been running, or ran.
func (r *Roll) Age(now time.Time) time.Duration {
	if !r.EndedAt.IsZero() {
		now = r.EndedAt
	}
	return now.Sub(r.StartedAt)
}
