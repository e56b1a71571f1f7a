package rollover

import (
	"context"
	"fmt"
	"slices"
)

// order loads a zone's dossier, changes it, and saves it.
func (e *Engine) order(zone string, change func(*visit) error) error {
	d, err := e.Journal.Load(zone)
	if err != nil {
		return fmt.Errorf("loading the state of %s: %w", zone, err)
	}
	if d.Roll == nil {
		return fmt.Errorf("%w: no rollover of %s is known: see `rollover status`", ErrRefused, zone)
	}
	v := e.visit(d)
	if err := change(v); err != nil {
		return err
	}
	v.roll.unraise()
	v.dirty = true
	return e.save([]*visit{v})
}

// unraise forgets that the serial was raised: who gives an order may have changed
// the zone since.
func (r *Roll) unraise() {
	r.Raised = ""
	if r.Intent != nil {
		i := *r.Intent
		i.Raised = false
		r.Intent = &i
	}
}

// orderEvent records what the operator did, with the reason given.
func (v *visit) orderEvent(name, text, reason string) {
	v.event(name, v.roll.Step, text)
	last := &v.events[len(v.events)-1]
	last.Reason, last.By = reason, v.engine.By
}

// Pause stops a rollover until it is resumed. Nothing is undone. Nobody looks
// meanwhile, so that every wait starts anew when it is resumed.
func (e *Engine) Pause(zone, reason string) error {
	return e.order(zone, func(v *visit) error {
		if v.roll.State != StateActive {
			return fmt.Errorf("%w: the rollover of %s is %s: only an active one can be paused", ErrRefused, zone, v.roll.State)
		}
		v.roll.State = StatePaused
		v.orderEvent(EventPaused, "paused", reason)
		return nil
	})
}

// Resume lets a paused or blocked rollover go on. A blocked one goes on only
// if the keys in PowerDNS are again what rollover left, or fit what it was about
// to do.
func (e *Engine) Resume(ctx context.Context, zone, reason string) error {
	return e.order(zone, func(v *visit) error {
		switch v.roll.State {
		case StatePaused:
		case StateBlocked:
			if err := v.unblock(ctx); err != nil {
				return err
			}
			v.roll.Unserved = true
		default:
			return fmt.Errorf("%w: the rollover of %s is %s: there is nothing to resume", ErrRefused, zone, v.roll.State)
		}
		v.roll.Held = map[string]map[string]Holding{} // nobody looked, or the keys were changed: all is earned anew
		v.roll.State, v.roll.Block, v.roll.NextCheck = StateActive, nil, e.Now().Wall
		v.orderEvent(EventResumed, "resumed", reason)
		return nil
	})
}

func (v *visit) unblock(ctx context.Context) error {
	inv, err := v.engine.Signer.Inventory(ctx, v.dossier.Zone)
	if err != nil {
		return err
	}
	if err := rollable(inv); err != nil {
		return err
	}
	inv.Keys = withPublicKeys(inv.Keys, v.roll.allKeys())
	expected := v.roll.Keys
	if v.roll.Intent != nil {
		if _, _, ok := v.roll.Intent.progress(inv.Keys); ok {
			return nil
		}
		expected = v.roll.Intent.Before
	}
	if sameKeys(expected, inv.Keys) {
		return nil
	}
	b := v.roll.changed(expected, inv.Keys, v.explain)
	return fmt.Errorf("%w: %s stays blocked: %s: %s", ErrRefused, v.dossier.Zone, b.Reason, b.Remedy)
}

// Cancel takes a rollover back, as a plan of steps of its own: the DS of the
// new key first, then, when no cache can need it, the new key.
func (e *Engine) Cancel(ctx context.Context, zone, reason string) error {
	return e.CancelOrder(ctx, Back{Zone: zone, Reason: reason})
}

// CancelOrder is Cancel with all that an operator can say of it.
func (e *Engine) CancelOrder(ctx context.Context, b Back) error {
	zone, reason := b.Zone, b.Reason
	return e.order(zone, func(v *visit) error {
		if v.roll.State.Ended() {
			return fmt.Errorf("%w: the rollover of %s is %s: there is nothing to cancel", ErrRefused, zone, v.roll.State)
		}
		if err := v.roll.cancellable(); err != nil {
			return err
		}
		if err := v.rebase(ctx); err != nil {
			return err
		}
		kind, err := v.roll.kind()
		if err != nil {
			return err
		}
		if r := v.roll; r.Ask != nil && !slices.Contains(r.Ask.Sides, Old) {
			if err := v.arrived(ctx, b, kind); err != nil {
				return err
			}
		}
		v.roll.Kind = "cancel/" + kind.Cancel
		v.roll.Step, v.roll.Intent, v.roll.Need, v.roll.Block, v.roll.Ask = "", nil, nil, nil, nil
		v.roll.State, v.roll.NextCheck = StateActive, e.Now().Wall
		text := "cancelling: advance takes the new key out again, step by step"
		if left := v.roll.leaves(); left != "" {
			text += "; " + left
		}
		v.orderEvent(EventCancel, text, reason)
		return nil
	})
}

// rebase takes the keys as they are for the start of a cancel: the old ones
// must sign as before, the new ones may be there or not.
func (v *visit) rebase(ctx context.Context) error {
	r := v.roll
	inv, err := v.engine.Signer.Inventory(ctx, v.dossier.Zone)
	if err != nil {
		return err
	}
	if err := rollable(inv); err != nil {
		return err
	}
	inv.Keys = withPublicKeys(inv.Keys, r.allKeys())
	for _, k := range r.Old {
		if !slices.ContainsFunc(inv.Keys, func(o Key) bool { return o.ID == k.ID && o.same(k) && o.Active && o.Published }) {
			return fmt.Errorf("%w: the old key of %s, %v, does not sign as before: taking the new one out would break the zone; see `pdnsutil show-zone %s`", ErrRefused, r.Zone, k, r.Zone)
		}
	}
	if err := v.undisturbed(r.before(), inv.Keys); err != nil {
		return err
	}
	if r.Intent != nil {
		_, made, ok := r.Intent.progress(inv.Keys)
		if until := v.awaits(); ok && len(made) == 0 && !until.IsZero() {
			return fmt.Errorf("%w: whether a key is to be taken out again is not known yet: %s", ErrUnavailable, v.awaited(until))
		}
		if !ok {
			return fmt.Errorf("%w: the keys of %s are neither as before step %q nor after it: %s", ErrRefused, r.Zone, r.Intent.Step, r.changed(r.Intent.Before, inv.Keys, v.explain).Remedy)
		}
		if len(made) > 0 {
			r.New = withRole(made, r.SpecNew)
		}
	}
	r.Unserved = r.Unserved || r.Intent != nil || !sameKeys(r.Keys, inv.Keys)
	r.Keys = inv.Keys
	return nil
}

// before is the keys as rollover left them, before a step that is under way.
func (r *Roll) before() []Key {
	if r.Intent != nil {
		return r.Intent.Before
	}
	return r.Keys
}

// Abandon ends a rollover and touches nothing: the keys and the DS set stay as
// they are, whatever that is.
func (e *Engine) Abandon(zone, reason string) error {
	return e.order(zone, func(v *visit) error {
		if v.roll.State.Ended() {
			return fmt.Errorf("%w: the rollover of %s is %s: there is nothing to abandon", ErrRefused, zone, v.roll.State)
		}
		v.roll.State, v.roll.EndedAt, v.roll.Phase = StateCancelled, e.Now().Wall, PhaseFinished
		text := "abandoned: keys and DS were left as they are"
		if !v.roll.Creating.IsZero() {
			text += fmt.Sprintf("; a key that was asked for at %s may still show: pdnsutil show-zone %s", hour(v.roll.Creating), zone)
		}
		if v.setting.Policy.CDS {
			text += ", and so were the CDS records, by which the parent may still act: pdnsutil unset-publish-cds " + zone
		}
		v.orderEvent(EventCancelled, text, reason)
		return nil
	})
}

// Exclude takes one server address of a zone out of all looks, from now on and
// for later rollovers too.
// A server that the zone does not have is refused.
func (e *Engine) Exclude(zone, address, reason string) error {
	return e.ExcludeOrder(context.Background(), zone, address, reason)
}

// ExcludeOrder is Exclude with a context for the look that it may take.
func (e *Engine) ExcludeOrder(ctx context.Context, zone, address, reason string) error {
	d, err := e.Journal.Load(zone)
	if err != nil {
		return fmt.Errorf("loading the state of %s: %w", zone, err)
	}
	d.Zone = zone
	if slices.ContainsFunc(d.Excluded, func(x Excluded) bool { return x.Address == address }) {
		return fmt.Errorf("%w: %s is excluded for %s already", ErrRefused, address, zone)
	}
	if err := e.visit(d).hasServer(ctx, address); err != nil {
		return err
	}
	now := e.Now().Wall
	d.Excluded = append(d.Excluded, Excluded{Address: address, Reason: reason, Since: now})
	if d.Roll != nil {
		d.Roll.Servers = slices.DeleteFunc(d.Roll.Servers, func(s ServerState) bool { return s.Address == address || s.Name == address })
	}
	event := Event{At: now, Zone: zone, Event: EventExcluded, Text: "server " + address + " is not asked any more", Reason: reason, By: e.By}
	return e.saveTelling(d, event)
}

func (e *Engine) saveTelling(d Dossier, event Event) error {
	if err := e.Journal.Save(Entry{d, []Event{event}}); err != nil {
		return err
	}
	if e.Tell != nil {
		e.Tell(event)
	}
	return nil
}

// Include takes an excluded server address back in.
func (e *Engine) Include(zone, address, reason string) error {
	d, err := e.Journal.Load(zone)
	if err != nil {
		return fmt.Errorf("loading the state of %s: %w", zone, err)
	}
	n := len(d.Excluded)
	d.Excluded = slices.DeleteFunc(d.Excluded, func(x Excluded) bool { return x.Address == address })
	if len(d.Excluded) == n {
		return fmt.Errorf("%w: %s is not excluded for %s", ErrRefused, address, zone)
	}
	event := Event{At: e.Now().Wall, Zone: zone, Event: EventExcluded, Text: "server " + address + " is asked again", Reason: reason, By: e.By}
	return e.saveTelling(d, event)
}
