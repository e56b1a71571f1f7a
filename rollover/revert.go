package rollover

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Back is what an operator asks for with cancel and revert.
type Back struct {
	Zone   string
	Reason string
	// Unchanged says that the parent was not told, and will not be, what it was
	// last asked for.
	Unchanged bool
}

// Revert takes a rollover back after something was taken away, while the old
// keys still exist, as a plan of steps of its own: old signs again beside new,
// the parent gets the DS of old back, and new goes when no cache needs it. All
// hold times start anew.
//
// It begins only when all that was done has arrived on every server. A server
// that is behind shows old still, and would be taken for one that shows old again.
func (e *Engine) Revert(ctx context.Context, b Back) error {
	return e.order(b.Zone, func(v *visit) error {
		kind, err := v.roll.revertible()
		if err != nil {
			return err
		}
		inv, err := v.turnBack(ctx)
		if err != nil {
			return err
		}
		if err := v.arrived(ctx, b, kind); err != nil {
			return err
		}
		r := v.roll
		if r.Type == "unsign" {
			if err := v.retract(ctx, inv.Kind); err != nil {
				return err
			}
		}
		r.Kind, r.Step = "revert/"+kind.Revert, ""
		r.Intent, r.Need, r.Block, r.Ask = nil, nil, nil, nil
		r.Held = map[string]map[string]Holding{}
		r.State, r.NextCheck = StateActive, e.Now().Wall
		v.orderEvent(EventRevert, "reverting: advance goes back to the old keys, step by step", b.Reason)
		return nil
	})
}

// revertible says why a rollover cannot be reverted; nil if its kind and its
// state allow it.
func (r *Roll) revertible() (Kind, error) {
	kind, err := r.kind()
	switch {
	case err != nil:
		return kind, err
	case r.State.Ended():
		return kind, fmt.Errorf("%w: the rollover of %s is %s: there is nothing to revert; to replace the keys again: rollover start --zone %s", ErrRefused, r.Zone, r.State, r.Zone)
	case kind.back():
		return kind, fmt.Errorf("%w: the rollover of %s is being taken back already", ErrRefused, r.Zone)
	case r.cancellable() == nil:
		return kind, fmt.Errorf("%w: nothing was taken away from %s yet: take the rollover back with `rollover cancel --zone %s`", ErrRefused, r.Zone, r.Zone)
	case kind.Revert == "":
		return kind, fmt.Errorf("%w: a rollover of type %s cannot be reverted", ErrRefused, r.Type)
	}
	if seps, plain := byFlags(r.Old); len(seps) == 0 && len(plain) > 0 && kind.signsKeys() {
		return kind, fmt.Errorf("%w: %s of %s has no SEP flag (flags 257): it does not become the only entry point again: go on with `rollover advance --zone %s`", ErrRefused, keyNames(plain), r.Zone, r.Zone)
	}
	return kind, nil
}

// turnBack takes the keys as they are for the start of a revert: every old key
// must still be there, and every new one.
func (v *visit) turnBack(ctx context.Context) (inv Inventory, err error) {
	r := v.roll
	if inv, err = v.engine.Signer.Inventory(ctx, v.dossier.Zone); err != nil {
		return inv, err
	}
	if err := rollable(inv); err != nil {
		return inv, err
	}
	inv.Keys = withPublicKeys(inv.Keys, r.allKeys())
	expected := r.Keys
	fits := sameKeys(expected, inv.Keys)
	if r.Intent != nil {
		_, _, fits = r.Intent.progress(inv.Keys)
		expected = r.Intent.Before
	}
	if !fits && r.State != StateBlocked {
		return inv, fmt.Errorf("%w: %s: %s; `rollover advance --zone %s` stops the rollover and says how to undo it", ErrRefused, r.Zone, r.changed(expected, inv.Keys, v.explain).Reason, r.Zone)
	}
	if err := v.undisturbed(expected, inv.Keys); err != nil {
		return inv, err
	}
	for _, k := range slices.Concat(r.Old, r.New) {
		i := slices.IndexFunc(inv.Keys, k.isThe)
		left := slices.ContainsFunc(expected, func(o Key) bool { return k.isThe(o) && o.Active })
		switch {
		case i < 0:
			return inv, fmt.Errorf("%w: %v of %s is gone: there is nothing to go back to or from; see `pdnsutil show-zone %s`", ErrRefused, k, r.Zone, r.Zone)
		case r.Type != "algorithm" && !inv.Keys[i].Published && containsID(r.Old, k.ID):
			return inv, fmt.Errorf("%w: %v of %s, which is to sign again, is not published any more: `%s`, and try again", ErrRefused, k, r.Zone, v.explain(Command{VerbPublish, inv.Keys[i]}))
		case !fits && left && !inv.Keys[i].Active:
			return inv, fmt.Errorf("%w: %v of %s signed, and was deactivated by somebody else: `%s`, and try again", ErrRefused, k, r.Zone, v.explain(Command{VerbActivate, inv.Keys[i]}))
		case r.Type == "algorithm" && !inv.Keys[i].Active:
			return inv, fmt.Errorf("%w: %v of %s has stopped signing: only going on is safe: `rollover advance --zone %s`", ErrRefused, k, r.Zone, r.Zone)
		}
	}
	r.Unserved = r.Unserved || r.Intent != nil || !fits
	r.Keys = inv.Keys
	r.Old, r.New = current(r.Old, inv.Keys), current(r.New, inv.Keys)
	return inv, nil
}

// undisturbed refuses to go back while a key of neither side does not do what it
// did: without an active ZSK the keys of both sides sign data, too.
func (v *visit) undisturbed(expected, found []Key) error {
	r := v.roll
	for _, k := range expected {
		if slices.ContainsFunc(slices.Concat(r.Old, r.New), k.isThe) {
			continue
		}
		i := slices.IndexFunc(found, k.isThe)
		switch {
		case i < 0:
			return fmt.Errorf("%w: %v of %s, which is no key of this rollover, is gone: %s", ErrRefused, k, r.Zone, r.remedyForLost(k))
		case k.Published && !found[i].Published:
			return fmt.Errorf("%w: %v of %s, which is no key of this rollover, was unpublished by somebody else: `%s`, and try again", ErrRefused, k, r.Zone, v.explain(Command{VerbPublish, found[i]}))
		case k.Active && !found[i].Active:
			return fmt.Errorf("%w: %v of %s, which is no key of this rollover, signed, and was deactivated by somebody else: `%s`, and try again", ErrRefused, k, r.Zone, v.explain(Command{VerbActivate, found[i]}))
		}
	}
	return nil
}

// retract takes out the CDS records that asked the parent to remove the DS set.
// Without any the parent changes nothing (RFC 7344), so this comes before all waits.
// Each try raises the serial: it is a person who tries, and since the last try a driver
// or a person may have put CDS records back, which a secondary would keep.
func (v *visit) retract(ctx context.Context, kind string) error {
	ctx = context.WithoutCancel(ctx)
	zone, signer := v.dossier.Zone, v.engine.Signer
	if err := signer.RetractCDS(ctx, zone); err != nil {
		return fmt.Errorf("taking out the CDS records of %s: %w", zone, err)
	}
	var notify []string
	if transferred(kind) {
		if err := v.raiseSerial(ctx); err != nil {
			return fmt.Errorf("raising the SOA serial of %s: %w", zone, err)
		}
		notify = []string{zone}
	}
	return signer.Refresh(ctx, []string{zone}, notify)
}

// arrived looks at all servers and says what is still on its way to one of them.
func (v *visit) arrived(ctx context.Context, b Back, kind Kind) error {
	r := v.roll
	s, err := v.sight(ctx, kind)
	if err != nil {
		return err
	}
	for i, o := range s.believed(v.setting.Policy).Servers {
		behind := ""
		switch {
		case o.Unchecked != "":
		case s.Servers[i].lacking(s.Records...) != "":
			behind = s.Servers[i].lacking(s.Records...)
		case o.DS == nil && s.Servers[i].DS != nil:
			behind = "its DS set cannot be believed: " + s.Servers[i].DS.unvalidated()
		case o.Role == RoleChild:
			behind = r.unlike(o)
		case !b.Unchanged && r.onItsWay(o, v.setting.Policy):
			return fmt.Errorf("%w: the parent was asked for %s, and %s has DS %s: wait until every server of the parent shows it; or, if %s: --parent-unchanged", ErrRefused, r.Ask, o.Server, tags(o.DS.Set), v.untold())
		}
		if behind != "" {
			return fmt.Errorf("%w: %s of %s is behind (%s): going back begins when the last change has arrived everywhere; %s, and try again", ErrRefused, o.Server, r.Zone, behind, r.hasten(o, s))
		}
	}
	return nil
}

// hasten is what to type when a server is behind.
func (r *Roll) hasten(o ServerSighting, s Sighting) string {
	if o.Role == RoleParent && o.Unknown == "" {
		return fmt.Sprintf("look with `rollover advance --zone %s`", r.Zone)
	}
	if remedy := diagnosis(r.Zone, o); remedy != "" {
		return remedy
	}
	var ways []string
	if o.Role == RoleChild {
		ways = append(ways, fmt.Sprintf("tell it once more with `pdnsutil increase-serial %[1]s` and `pdns_control notify %[1]s`", r.Zone))
	}
	switch {
	case s.spared(o):
		ways = append(ways, fmt.Sprintf("if it will never answer again, and no secondary transfers from it, `rollover exclude-server --zone %s %s --reason WHY`", r.Zone, o.place()))
	case o.Unknown != "":
		ways = append(ways, "repair it: no other server of its side answers")
	}
	return strings.Join(ways, ", or, ")
}

// untold is what makes it certain that the parent does not do what it was last
// asked for.
func (v *visit) untold() string {
	if v.setting.Policy.CDS {
		return "the parent does not follow CDS records, which have told it"
	}
	return "the registrar was not told and will not be"
}

// onItsWay says whether a parent server does not show yet what was asked for
// last, where that was no DS, or the DS of new without that of old: it may come at
// any time, and take away what the way back rests on. A parent that was asked for
// no DS by CDS records looks at them again.
func (r *Roll) onItsWay(o ServerSighting, p Policy) bool {
	if r.Ask != nil && len(r.Ask.Sides) == 0 {
		return !p.CDS && len(o.DS.Set) > 0
	}
	alone := r.Ask != nil && slices.Contains(r.Ask.Sides, New) && !slices.Contains(r.Ask.Sides, Old)
	return alone && (!r.pointsTo(New, o.DS.Set) || r.pointsTo(Old, o.DS.Set))
}

// unlike says in which way a server does not show the keys of both sides as
// PowerDNS has them now.
func (r *Roll) unlike(o ServerSighting) string {
	for _, k := range withRoles(r.Keys) {
		if !slices.ContainsFunc(slices.Concat(r.Old, r.New), k.isThe) {
			continue
		}
		in := slices.ContainsFunc(o.DNSKEY.Keys, k.Matches)
		signs := slices.ContainsFunc(o.DNSKEY.Signers, k.Matches)
		data := o.Data == nil || slices.ContainsFunc(o.Data.Signers, k.Matches)
		switch {
		case in != k.Published:
			return fmt.Sprintf("DNSKEY %s, where %v is %s", keyTags(o.DNSKEY.Keys), k, k.state())
		case k.Published && signs != (k.Active && k.Role.SignsKeys()):
			return fmt.Sprintf("DNSKEY set signed by %s, where %v is %s", keyTags(o.DNSKEY.Signers), k, k.state())
		case k.Active && k.Role.SignsData() && !data:
			return fmt.Sprintf("not all data is signed by %v%s", k, faultOf(o.Data.Faults, k))
		case !k.Active && o.Data != nil && slices.ContainsFunc(o.Data.Traces, func(t Signature) bool { return t.Tag == k.Tag && t.Algorithm == k.Algorithm }):
			return fmt.Sprintf("still has signatures by %d", k.Tag)
		}
	}
	return ""
}

// reverting says whether a rollover goes back and has not asked the parent for
// anything yet: until it does, what the parent has must stay.
func (r *Roll) reverting() bool { return r.Ask == nil && strings.HasPrefix(r.Kind, "revert/") }
