package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// ParentDS is what the parent must have now: what to add, to keep, to remove.
// Foreign records (other signers', standby keys') are kept and not listed.
type ParentDS struct {
	Add    []DS
	Keep   []DS
	Remove []DS
}

// Parent is the DS records that the rollover wants at the parent now, compared
// with what the parent's servers showed in the last look.
func (r *Roll) Parent(p Policy) ParentDS {
	p = p.of(r)
	if r.Ask == nil && r.entered(RescueStep) || r.reverting() {
		return ParentDS{Keep: slices.Clone(r.DSSeen)} // both keys sign: any of it is right until the one to stay is settled
	}
	var out ParentDS
	for _, want := range r.wanted(p) {
		if slices.Contains(r.DSSeen, want) {
			out.Keep = append(out.Keep, want)
		} else {
			out.Add = append(out.Add, want)
		}
	}
	for _, seen := range r.DSSeen {
		if r.Ask != nil && len(r.Ask.Sides) == 0 || r.unwanted(seen) || r.mistyped(seen, out) {
			out.Remove = append(out.Remove, seen)
		}
	}
	if r.unsettled() || r.Unfit {
		out.Keep, out.Remove = slices.Concat(out.Keep, out.Remove), nil
	}
	if r.State == StateBlocked || r.hollow() {
		out.Add = nil
	}
	return out
}

// hollow says that nothing must come at the parent either: a first DS, and one
// of another algorithm (which some validators insist on as soon as it is there),
// would meet a name server that does not show what it rests on.
func (r *Roll) hollow() bool {
	if r.Ask == nil || r.Type != "sign" && r.Type != "unsign" && r.Type != "algorithm" {
		return false
	}
	return len(r.Held) == 0 || r.Need != nil && r.Need.Hollow
}

// unsettled says that the keys or the servers are not as they were when the
// parent was asked, or that nobody has looked since the rollover was resumed:
// then nothing must go at the parent. While the rollover is blocked nothing
// must come either: the key that it is for may be gone. A DS of another algorithm
// that does not belong there is no help to anybody and breaks some validators:
// as long as the name servers are as they were it may go.
func (r *Roll) unsettled() bool {
	switch {
	case r.State == StateBlocked, r.Ask != nil && len(r.Held) == 0:
		return true
	case r.Need == nil:
		return false
	case r.Type == "algorithm":
		return r.Need.Hollow
	}
	return r.Need.Gone || r.Need.Anew
}

// wanted is the DS records of the sides last asked for; before anything was
// asked, those of old.
func (r *Roll) wanted(p Policy) []DS {
	sides := []Side{Old}
	if r.Ask != nil {
		sides = r.Ask.Sides
	}
	var out []DS
	for _, side := range sides {
		for _, k := range r.side(side) {
			if !k.Role.SignsKeys() {
				continue
			}
			out = append(out, r.recordsOf(k, p, side == New || k.Active)...)
		}
	}
	return out
}

// recordsOf is the DS records of one key: of the configured digest types if it
// signs or is to sign, for a DS of a key that has stopped helps nobody; and those
// that the parent has of it already and that are right.
func (r *Roll) recordsOf(k Key, p Policy, signs bool) []DS {
	var out []DS
	for _, digestType := range []uint8{2, 4} {
		d, err := k.DNSKEY().DS(r.Zone, digestType)
		if err != nil {
			continue
		}
		asked := signs && slices.Contains(p.DSDigests, digestType)
		if asked || slices.Contains(r.DSSeen, d) {
			out = append(out, d)
		}
	}
	return out
}

// unwanted says whether a DS seen belongs to a side that is not asked for.
func (r *Roll) unwanted(d DS) bool {
	for _, side := range []Side{Old, New} {
		if r.Ask == nil || slices.Contains(r.Ask.Sides, side) {
			continue
		}
		for _, k := range r.side(side) {
			if k.Role.SignsKeys() && k.Tag == d.Tag && k.Algorithm == d.Algorithm {
				return true
			}
		}
	}
	return false
}

// mistyped says whether a DS seen is meant to be one that is to be added, with
// a wrong digest.
func (r *Roll) mistyped(d DS, p ParentDS) bool {
	return slices.ContainsFunc(p.Add, func(w DS) bool {
		return w.Tag == d.Tag && w.Algorithm == d.Algorithm && w.DigestType == d.DigestType
	})
}

// parentTodo is what the operator must add and remove at the parent.
func (r *Roll) parentTodo(p Policy) (add, del []DS) {
	if r.Ask == nil {
		return nil, nil
	}
	todo := r.Parent(p)
	return todo.Add, todo.Remove
}

func todoText(add, del, keep []DS) string {
	var parts []string
	for _, d := range add {
		parts = append(parts, fmt.Sprintf("add DS %v", d))
	}
	for _, d := range del {
		parts = append(parts, fmt.Sprintf("remove DS %v", d))
	}
	if len(parts) == 0 {
		return "the parent has the DS set as it must be"
	}
	for _, d := range keep {
		parts = append(parts, fmt.Sprintf("keep DS %v", d))
	}
	return "at the parent: " + strings.Join(parts, "; ")
}
