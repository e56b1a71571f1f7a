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

// Property is what a wait says of a record with respect to one side.
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
)

// String is the property in words: "has new".
func (p Property) String() string { return string(p.Verb) + " " + string(p.Side) }

// Has: the record contains every key (or DS) of the side.
func Has(s Side) Property { return Property{has, s} }

// Lacks: the record contains no key (or DS) of the side.
func Lacks(s Side) Property { return Property{lacks, s} }

// SignedBy: every RRset looked at carries a signature by the side that verifies.
func SignedBy(s Side) Property { return Property{signedBy, s} }

// NotSignedBy: no RRset looked at carries a signature by the side.
func NotSignedBy(s Side) Property { return Property{notSignedBy, s} }

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
}

type actionVerb string

const (
	publish    actionVerb = "publish"
	activate   actionVerb = "activate"
	deactivate actionVerb = "deactivate"
	remove     actionVerb = "remove"
	askParent  actionVerb = "ask parent"
)

// Publish puts the keys of the side into the DNSKEY set, making them first if
// they do not exist; they do not sign yet.
func Publish(s Side) Action { return Action{publish, []Side{s}} }

// Activate lets the keys of the side sign.
func Activate(s Side) Action { return Action{activate, []Side{s}} }

// Deactivate stops the keys of the side from signing.
func Deactivate(s Side) Action { return Action{deactivate, []Side{s}} }

// Remove deletes the keys of the side from PowerDNS.
func Remove(s Side) Action { return Action{remove, []Side{s}} }

// AskParent asks for a DS set of exactly these sides (and of foreign keys that
// were there before).
func AskParent(sides ...Side) Action { return Action{askParent, sides} }

// String is the action in words: "ask parent for DS of old and new".
func (a Action) String() string {
	sides := make([]string, len(a.Sides))
	for i, s := range a.Sides {
		sides[i] = string(s)
	}
	if a.Verb == askParent {
		if len(sides) == 1 {
			return "ask parent for DS of " + sides[0] + " only"
		}
		return "ask parent for DS of " + strings.Join(sides, " and ")
	}
	return string(a.Verb) + " " + strings.Join(sides, " and ")
}

// takesAway says whether the action ends something that caches may rely on.
// Steps with such an action wait the full margin, are not entered while
// something that an earlier step relied on is gone, and end the time in which
// a rollover can be cancelled.
func (a Action) takesAway() bool {
	if a.Verb == askParent { // for one side only: the DS of the other goes
		return !slices.Contains(a.Sides, Old) || !slices.Contains(a.Sides, New)
	}
	return a.Verb == deactivate || a.Verb == remove
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

// Kind is one way to replace keys, as a table read from top to bottom.
type Kind struct {
	Type   string
	Method string
	Role   Role   // of the keys on both sides
	CDS    bool   // the parent takes the DS set from the CDS records that PowerDNS makes of every published key
	Based  string // the RFC sections that it follows
	Steps  []Step
	// Rescue names the method to go on with when the parent shows the DS of
	// new without that of old while only old signs (a registrar that replaces
	// instead of adds). Empty: this cannot happen.
	Rescue string
}

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
