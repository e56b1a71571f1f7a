package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// commands is what the actions of a step mean for the keys as they are. Asking
// the parent and rectifying are no changes of keys; a key that is gone already
// needs none to be removed.
func (r *Roll) commands(step Step) []Command {
	var out []Command
	for _, a := range step.Actions {
		switch a.Verb {
		case publish, activate:
			if made := r.making(a, out); made != nil {
				out = append(out, made...)
				continue
			}
			out = append(out, r.each(verbOf(a.Verb), a.Sides[0])...)
		case activateEntry:
			out = append(out, slices.DeleteFunc(r.each(VerbActivate, a.Sides[0]), func(c Command) bool { return !c.Key.Role.SignsKeys() })...)
		case unpublish, deactivate, remove:
			out = append(out, r.each(verbOf(a.Verb), a.Sides[0])...)
		}
	}
	return out
}

func verbOf(v actionVerb) Verb {
	return map[actionVerb]Verb{
		publish: VerbPublish, unpublish: VerbUnpublish, activate: VerbActivate, deactivate: VerbDeactivate, remove: VerbRemove,
	}[v]
}

// making is the commands that make the new keys, if an action is the first one
// of the rollover to speak of them: publish makes keys that do not sign, activate
// keys that are not published.
func (r *Roll) making(a Action, earlier []Command) []Command {
	if a.Sides[0] != New || len(r.New) > 0 || len(earlier) > 0 {
		return nil
	}
	var out []Command
	for _, spec := range r.SpecNew {
		spec.Active, spec.Published = a.Verb == activate, a.Verb == publish
		out = append(out, Command{VerbCreate, spec})
	}
	return out
}

// each is one command for every key of a side. Keys that are still to be
// created stand as their spec, with ID 0.
func (r *Roll) each(verb Verb, side Side) []Command {
	keys := r.side(side)
	if side == New && len(keys) == 0 {
		keys = r.SpecNew
	}
	var out []Command
	for _, k := range keys {
		there := k.ID == 0 || slices.ContainsFunc(r.Keys, k.isThe)
		if there || verb != VerbRemove {
			out = append(out, Command{verb, k})
		}
	}
	return out
}

// isThe says whether another reading is of this very key, in whatever state.
// The number alone does not say it: PowerDNS gives numbers away again.
func (k Key) isThe(o Key) bool {
	o.Active, o.Published = k.Active, k.Published
	return k.same(o)
}

// apply is the key list after a command, as it must turn out.
func apply(keys []Key, c Command) []Key {
	out := slices.Clone(keys)
	if c.Verb == VerbCreate {
		return append(out, c.Key)
	}
	for i := range out {
		if !c.concerns(out[i]) {
			continue
		}
		switch c.Verb {
		case VerbActivate:
			out[i].Active = true
		case VerbDeactivate:
			out[i].Active = false
		case VerbPublish:
			out[i].Published = true
		case VerbUnpublish:
			out[i].Published = false
		case VerbRemove:
			return slices.Delete(out, i, i+1)
		}
	}
	return out
}

// applyAll is the key list after several commands.
func applyAll(keys []Key, commands []Command) []Key {
	for _, c := range commands {
		keys = apply(keys, c)
	}
	return keys
}

// concerns says whether a command is about a key; a key still to be created
// is known by its ID 0 and its algorithm and flags.
func (c Command) concerns(k Key) bool {
	return c.Key.ID == k.ID && c.Key.Algorithm == k.Algorithm && c.Key.Flags == k.Flags && (k.ID == 0 || c.Key.Tag == k.Tag)
}

// progress says how many of the intent's commands are in effect, by comparing
// the key list found with the list before and after each prefix of them; and
// which new keys were made, in order. ok is false when the list fits none:
// somebody else changed the keys.
func (i Intent) progress(found []Key) (done int, made []Key, ok bool) {
	for n := len(i.Commands); n >= 0; n-- {
		if made, ok := adopt(applyAll(i.Before, i.Commands[:n]), found); ok {
			return n, made, true
		}
	}
	return 0, nil, false
}

// adopt compares a predicted list with the one found. Keys predicted with
// ID 0 stand for keys that PowerDNS numbered; each must be found exactly once
// among those that were not there before.
func adopt(predicted, found []Key) (made []Key, ok bool) {
	if len(predicted) != len(found) {
		return nil, false
	}
	rest := slices.Clone(found)
	for _, want := range predicted {
		if want.ID == 0 {
			continue
		}
		i := slices.IndexFunc(rest, want.same)
		if i < 0 {
			return nil, false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	for _, want := range predicted {
		if want.ID != 0 {
			continue
		}
		i := slices.IndexFunc(rest, want.madeAs)
		if i < 0 {
			return nil, false
		}
		made = append(made, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return made, true
}

// madeAs says whether a key found is what a spec asked for.
func (k Key) madeAs(found Key) bool {
	return k.Flags == found.Flags && k.Algorithm == found.Algorithm && k.Bits == found.Bits &&
		k.Active == found.Active && k.Published == found.Published
}

// collides says whether a new key has the tag of another key of the zone or of
// a DS at the parent. Validators tell keys apart by tag and algorithm first;
// three keys with one tag took a top-level domain off the net (.de, 2026).
func (r *Roll) collides(made Key, keys []Key) bool {
	for _, k := range slices.Concat(keys, r.Old) {
		if k.ID != made.ID && k.Tag == made.Tag {
			return true
		}
	}
	return slices.ContainsFunc(r.DSSeen, func(d DS) bool { return d.Tag == made.Tag }) ||
		slices.ContainsFunc(r.Foreign, func(d DNSKEY) bool { return d.Tag() == made.Tag })
}

// resolve fills in the number of a key that was made by an earlier command.
func (c Command) resolve(made []Key) Command {
	if c.Verb == VerbCreate || c.Key.ID != 0 {
		return c
	}
	for _, k := range made {
		if k.Algorithm == c.Key.Algorithm && k.Flags == c.Key.Flags {
			c.Key = k
		}
	}
	return c
}

// changed is the block for a key list that is not what rollover left.
func (r *Roll) changed(expected, found []Key, explain func(Command) string) *Block {
	diffs := diffKeys(expected, found)
	return &Block{
		Code:   BlockKeysChanged,
		Reason: "the keys in PowerDNS are not those that rollover left: " + strings.Join(diffs, "; "),
		Remedy: r.remedyForKeys(expected, found, explain),
	}
}

func (r *Roll) remedyForKeys(expected, found []Key, explain func(Command) string) string {
	if len(found) == 0 && len(expected) > 0 {
		return fmt.Sprintf("%s; then: rollover resume --zone %s; if the keys are lost, restore them from the backup of the PowerDNS database, or leave all as it is: rollover cancel --abandon --zone %s", keyless, r.Zone, r.Zone)
	}
	for _, k := range expected {
		if k.ID != 0 && !slices.ContainsFunc(found, k.isThe) {
			return r.remedyForLost(k)
		}
	}
	undo := undoing(expected, found)
	if undo == nil {
		return fmt.Sprintf("look with `pdnsutil show-zone %s`, undo the change, then: rollover resume --zone %s", r.Zone, r.Zone)
	}
	words := make([]string, len(undo))
	for i, c := range undo {
		words[i] = explain(c) + caution(c)
	}
	return fmt.Sprintf("undo it, in this order: %s; then: rollover resume --zone %s", strings.Join(words, "; "), r.Zone)
}

// keyless is what to look at when PowerDNS shows no key where there were some. Keys
// are rarely lost all at once.
const keyless = "see whether DNSSEC was switched off for its back end in pdns.conf (gmysql-dnssec, gpgsql-dnssec, gsqlite3-dnssec, bind-dnssec-db), and whether pdnsutil reads that pdns.conf and that database"

// caution is what must be true before a command of a remedy is typed: what a
// key has signed is in caches, and so are DS sets from before.
func caution(c Command) string {
	switch c.Verb {
	case VerbDeactivate:
		return " (only after every parent server has shown the DS of a key that goes on signing for twice its TTL and an hour)"
	case VerbRemove:
		return " (if it has signed anything, only after the largest TTL of the zone)"
	case VerbUnpublish:
		return " (only after twice the largest TTL of the zone and an hour, if it has signed anything)"
	}
	return ""
}

// undoing is the commands that bring a key list back to what it was, those
// that let a key sign or show it first: a role must never be without an active
// key, nor signatures without their key. A stranger that signs is only
// deactivated: what it signed is in caches.
func undoing(expected, found []Key) []Command {
	var first, then, last []Command
	for _, k := range found {
		i := slices.IndexFunc(expected, k.isThe)
		if i < 0 {
			if k.Active {
				then = append(then, Command{VerbDeactivate, k})
			} else {
				last = append(last, Command{VerbRemove, k})
			}
			continue
		}
		was := expected[i]
		if was.Published && !k.Published {
			first = append(first, Command{VerbPublish, k})
		}
		switch {
		case was.Active && !k.Active:
			first = append(first, Command{VerbActivate, k})
		case !was.Active && k.Active:
			then = append(then, Command{VerbDeactivate, k})
		}
		if !was.Published && k.Published {
			last = append(last, Command{VerbUnpublish, k})
		}
	}
	return slices.Concat(first, then, last)
}

func (r *Roll) remedyForLost(k Key) string {
	if r.cancellable() == nil && slices.ContainsFunc(r.New, func(n Key) bool { return n.ID == k.ID }) {
		return fmt.Sprintf("the old key still signs: take the rollover back with `rollover cancel --zone %s`, then start again", r.Zone)
	}
	return fmt.Sprintf("restore key %d of %s from the backup of the PowerDNS database, then: rollover resume --zone %s; or leave the keys as they are with: rollover cancel --abandon --zone %s", k.Tag, r.Zone, r.Zone, r.Zone)
}

// cancellable says why a rollover cannot be taken back any more, nil if it
// can: no step that takes something away was entered or begun, and no rescue.
func (r *Roll) cancellable() error {
	kind, err := r.kind()
	if err != nil {
		return err
	}
	if kind.back() {
		return fmt.Errorf("%w: the rollover of %s is being taken back already", ErrRefused, r.Zone)
	}
	if kind.Cancel == "" {
		return fmt.Errorf("%w: a rollover of type %s cannot be cancelled; see `rollover revert --zone %s`", ErrRefused, r.Type, r.Zone)
	}
	if r.entered(RescueStep) || r.Intent != nil && r.Intent.Step == RescueStep {
		return fmt.Errorf("%w: %s was rescued (the parent replaced the DS set): the new key must stay for now; to go back to the old one: rollover revert --zone %s", ErrRefused, r.Zone, r.Zone)
	}
	for _, s := range kind.Steps {
		begun := r.Intent != nil && r.Intent.Step == s.Name
		if s.TakesAway() && (begun || r.entered(s.Name)) {
			return fmt.Errorf("%w: step %q of %s has begun, and it takes something away: go on, or back to the old key with `rollover revert --zone %s`", ErrRefused, s.Name, r.Zone, r.Zone)
		}
	}
	return nil
}
