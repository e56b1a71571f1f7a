package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// Record is one of the three things of a zone that caches hold and that a
// rollover changes.
type Record string

// The records a wait can speak about. Each is cached together with its
// signatures (RFC 4035 section 4.5).
const (
	RecordDS     Record = "DS"     // at the parent
	RecordDNSKEY Record = "DNSKEY" // at the apex
	RecordData   Record = "data"   // every other signed RRset of the zone
)

// Side is one of the two parties of a rollover: the keys that leave and the
// keys that come.
type Side string

// The sides.
const (
	Old Side = "old"
	New Side = "new"
)

func (s Side) other() Side {
	if s == Old {
		return New
	}
	return Old
}

// Property is what a wait says of a record with respect to one side, or to none.
type Property struct {
	Verb propertyVerb
	Side Side
}

type propertyVerb string

const (
	has         propertyVerb = "has"
	lacks       propertyVerb = "lacks"
	signedBy    propertyVerb = "signed by"
	notSignedBy propertyVerb = "not signed by"
	empty       propertyVerb = "is empty"
	foundSecure propertyVerb = "found secure by validators"
)

// String is the property in words: "has new".
func (p Property) String() string { return strings.TrimSpace(string(p.Verb) + " " + string(p.Side)) }

// Has: the record contains every key (or DS) of the side.
func Has(s Side) Property { return Property{has, s} }

// Lacks: the record contains no key (or DS) of the side.
func Lacks(s Side) Property { return Property{lacks, s} }

// SignedBy: every RRset looked at carries a signature by the side that verifies.
func SignedBy(s Side) Property { return Property{signedBy, s} }

// NotSignedBy: no RRset looked at carries a signature by the side.
func NotSignedBy(s Side) Property { return Property{notSignedBy, s} }

// Empty: there is no such record at all, not even one of somebody else.
func Empty() Property { return Property{Verb: empty} }

// FoundSecure: every validating resolver that is configured, and answers, finds
// the zone secure. It is the proof of the pudding at the end; without validators
// it says nothing.
func FoundSecure() Property { return Property{Verb: foundSecure} }

// has says whether some property of the statement has the verb.
func (s Statement) has(verb propertyVerb) bool {
	return slices.ContainsFunc(s.Properties, func(p Property) bool { return p.Verb == verb })
}

// Strength is how sure a wait must be.
type Strength string

// The strengths. Seen: true on every authoritative server in this look.
// Settled: true in every cache, that is seen everywhere and then for the
// longest TTL that any version without it ever had.
const (
	StrengthSeen    Strength = "seen"
	StrengthSettled Strength = "settled"
)

// Statement is what a wait says of the world: one record, and the properties
// that it must have all at once. Hold times belong to the statement.
type Statement struct {
	Record     Record
	Properties []Property
}

// String is the statement in words, and its key in the state file:
// "DNSKEY has new, signed by new". It must not change for a released table.
func (s Statement) String() string {
	words := make([]string, len(s.Properties))
	for i, p := range s.Properties {
		words[i] = p.String()
	}
	return string(s.Record) + " " + strings.Join(words, ", ")
}

// Wait is a statement that must be true before a step. A courtesy protects
// the operator (a way back, the registry's own checks), not the chain.
type Wait struct {
	Statement
	Strength Strength
	Courtesy bool
}

// Seen is the wait for a statement to be true on every server.
func Seen(r Record, p ...Property) Wait {
	return Wait{Statement: Statement{r, p}, Strength: StrengthSeen}
}

// Settled is the wait for a statement to be true in every cache.
func Settled(r Record, p ...Property) Wait {
	return Wait{Statement: Statement{r, p}, Strength: StrengthSettled}
}

// Courtesy marks a wait as one that protects the operator.
func Courtesy(w Wait) Wait {
	w.Courtesy = true
	return w
}

// String is the wait as the manual prints it: "settled(DS has new)".
func (w Wait) String() string {
	out := fmt.Sprintf("%s(%s)", w.Strength, w.Statement)
	if w.Courtesy {
		out = "courtesy " + out
	}
	return out
}

// Action is one thing done to the keys of one side, or asked of the parent.
type Action struct {
	Verb  actionVerb
	Sides []Side
	Adds  bool // of asking the parent: there was nothing before, so nothing ends
}

type actionVerb string

const (
	publish       actionVerb = "publish"
	unpublish     actionVerb = "unpublish"
	activate      actionVerb = "activate"
	activateEntry actionVerb = "activate entry point of"
	deactivate    actionVerb = "deactivate"
	remove        actionVerb = "remove"
	rectify       actionVerb = "rectify"
	askParent     actionVerb = "ask parent"
)

// Publish puts the keys of the side into the DNSKEY set, making them first if
// they do not exist; they do not sign yet.
func Publish(s Side) Action { return Action{Verb: publish, Sides: []Side{s}} }

// Unpublish takes the keys of the side out of the DNSKEY set; those that sign
// go on signing.
func Unpublish(s Side) Action { return Action{Verb: unpublish, Sides: []Side{s}} }

// Activate lets the keys of the side sign. If they do not exist they are made,
// not published: they sign and are not in the DNSKEY set.
func Activate(s Side) Action { return Action{Verb: activate, Sides: []Side{s}} }

// ActivateEntry lets those keys of the side sign that a DS points to (secure
// entry points, RFC 4034 section 2.1.1), and leaves the others as they are.
func ActivateEntry(s Side) Action { return Action{Verb: activateEntry, Sides: []Side{s}} }

// Deactivate stops the keys of the side from signing.
func Deactivate(s Side) Action { return Action{Verb: deactivate, Sides: []Side{s}} }

// Remove deletes the keys of the side from PowerDNS.
func Remove(s Side) Action { return Action{Verb: remove, Sides: []Side{s}} }

// Rectify orders the names of the zone, so that denials of existence prove
// something. The first keys of a zone need it; no other change of keys does.
func Rectify() Action { return Action{Verb: rectify} }

// AskParent asks for a DS set of exactly these sides (and of foreign keys that
// were there before). Without a side: for none at all, foreign ones included.
func AskParent(sides ...Side) Action { return Action{Verb: askParent, Sides: sides} }

// AddDS asks for the first DS set, where the parent has none.
func AddDS(s Side) Action { return Action{Verb: askParent, Sides: []Side{s}, Adds: true} }

// String is the action in words: "ask parent for DS of old and new".
func (a Action) String() string {
	sides := make([]string, len(a.Sides))
	for i, s := range a.Sides {
		sides[i] = string(s)
	}
	words := strings.Join(sides, " and ")
	switch {
	case a.Verb != askParent:
		return strings.TrimSpace(string(a.Verb) + " " + words)
	case len(sides) == 0:
		return "ask parent for no DS"
	case len(sides) == 1 && !a.Adds:
		words += " only"
	}
	return "ask parent for DS of " + words
}

// takesAway says whether the action ends something that caches may rely on.
// Steps with such an action wait the full margin, are not entered while
// something that an earlier step relied on is gone, and end the time in which
// a rollover can be cancelled.
func (a Action) takesAway() bool {
	switch a.Verb {
	case askParent: // for one side only: the DS of the other goes
		return !a.Adds && (!slices.Contains(a.Sides, Old) || !slices.Contains(a.Sides, New))
	case unpublish, deactivate, remove:
		return true
	}
	return false
}

// Step is one row of a kind: when all its waits hold, its actions are done in order.
type Step struct {
	Name    string
	Waits   []Wait
	Actions []Action
}

// TakesAway says whether some action of the step ends something that caches
// may rely on.
func (s Step) TakesAway() bool { return slices.ContainsFunc(s.Actions, Action.takesAway) }

func (s Step) rectifies() bool {
	return slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb == rectify })
}

// Kind is one way to replace keys, as a table read from top to bottom.
type Kind struct {
	Type   string
	Method string
	// Role is that of the keys on both sides; empty when the sides are all keys
	// of the zone, each with a role of its own.
	Role  Role
	CDS   bool   // the parent takes the DS set from the CDS records that PowerDNS makes of every published key
	Based string // the RFC sections that it follows
	Steps []Step
	// Rescue is where to go on when the parent shows the DS of one side alone
	// while only the other signs: both are published and sign from then on. Empty:
	// this cannot happen, or nothing helps.
	Rescue Place
	// Cancel and Revert name the methods, among the rows of type cancel and
	// revert, that take it back: before something was taken away, and after.
	// Empty: it cannot be taken back like that.
	Cancel, Revert string
}

// Place is where in the table a rollover stands: the name of a kind, and of the last
// step entered, empty before the first.
type Place struct{ Kind, Step string }

// String is the place in words: "as ksk/double-signature after its step publish".
func (p Place) String() string {
	if p.Step == "" {
		return "as " + p.Kind + " from its beginning"
	}
	return "as " + p.Kind + " after its step " + p.Step
}

// signsKeys says whether some key of the kind signs the DNSKEY set, so that a
// DS may point to it.
func (k Kind) signsKeys() bool { return k.Role == "" || k.Role.SignsKeys() }

// signsData says whether some key of the kind is to sign data. One that is not may
// have done so all the same, as long as the zone had no active ZSK.
func (k Kind) signsData() bool { return k.Role == "" || k.Role.SignsData() }

// back says whether the kind is a way back, which no order starts.
func (k Kind) back() bool { return k.Type == "cancel" || k.Type == "revert" }

// Name is "type/method", unique in the table, and stored in the state file.
func (k Kind) Name() string { return k.Type + "/" + k.Method }

// index is the position of a step by name, -1 for none entered ("").
func (k Kind) index(step string) (int, error) {
	if step == "" {
		return -1, nil
	}
	i := slices.IndexFunc(k.Steps, func(s Step) bool { return s.Name == step })
	if i < 0 {
		return 0, fmt.Errorf("the rollover is at step %q, which kind %s does not have: this state was written by another version of rollover", step, k.Name())
	}
	return i, nil
}

// statements are the statements of all waits of the kind, each once.
func (k Kind) statements() []Statement {
	var out []Statement
	for _, s := range k.Steps {
		for _, w := range s.Waits {
			if !slices.ContainsFunc(out, func(o Statement) bool { return o.String() == w.Statement.String() }) {
				out = append(out, w.Statement)
			}
		}
	}
	return out
}
