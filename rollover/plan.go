package rollover

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PlanStep is one step of a dated plan. Earliest is an estimate: time is
// earned by looking, and the parent and the name servers take what they take.
type PlanStep struct {
	Step     string     `json:"step"`
	DoneAt   *time.Time `json:"done_at"`
	Earliest *time.Time `json:"earliest"`
	Hold     string     `json:"hold"`    // formula of the longest wait, "2 x 3600 s + 3600 s"; empty if it waits for no cache
	Waits    []string   `json:"waits"`   // as the manual prints them
	Actions  []string   `json:"actions"` // in words
	Commands []string   `json:"commands"`
}

// formula is the hold of a TTL as it is computed, "2 x 3600 s + 3600 s".
func (p Policy) formula(ttl time.Duration) string {
	return fmt.Sprintf("%g x %d s + %d s", p.Factor, int64(ttl.Seconds()), int64(p.Margin.Seconds()))
}

// Plan dates the steps of a rollover: done ones by when they were done, those
// to come by what is still to be earned and by the TTLs in the ledger.
func Plan(r Roll, l Ledger, p Policy, now time.Time, explain func(Command) string) ([]PlanStep, error) {
	kind, err := r.kind()
	if err != nil {
		return nil, err
	}
	at, err := kind.index(r.Step)
	if err != nil {
		return nil, err
	}
	out := make([]PlanStep, len(kind.Steps))
	earliest := now
	for i, s := range kind.Steps {
		out[i] = r.planStep(s, l, p, explain)
		if len(r.New) == 0 && slices.ContainsFunc(r.commands(s), func(c Command) bool { return c.Verb == VerbCreate }) {
			r.New = r.SpecNew // what comes after finds them made
		}
		if i <= at {
			out[i].DoneAt, out[i].Commands = r.doneAt(s.Name), []string{}
			continue
		}
		if r.State.Ended() {
			out[i].Commands = []string{}
			continue
		}
		wait := r.longest(s, l, p, r.startsHere)
		if i == at+1 && r.Need != nil {
			wait = min(wait, r.Need.Remaining)
		}
		earliest = latest(earliest.Add(wait), r.StartedAt.Add(r.longest(s, l, p, r.heldFromStart)))
		date := earliest
		out[i].Earliest = &date
	}
	return out, nil
}

func (r *Roll) planStep(s Step, l Ledger, p Policy, explain func(Command) string) PlanStep {
	out := PlanStep{Step: s.Name, Waits: []string{}, Actions: []string{}, Commands: []string{}}
	longest := time.Duration(-1)
	for _, w := range s.Waits {
		out.Waits = append(out.Waits, w.String())
		if ttl := r.ttl(w.Statement, l, p); w.Strength == StrengthSettled && ttl > longest && r.startsHere(w) {
			longest, out.Hold = ttl, p.formula(ttl)
		}
	}
	for _, a := range s.Actions {
		out.Actions = append(out.Actions, a.String())
	}
	for _, c := range r.commands(s) {
		out.Commands = append(out.Commands, spelled(c, explain))
	}
	return out
}

// unmade stands in a command line for the number of a key that is still to be
// made; no key has it.
const unmade = math.MaxInt32

// spelled is a command as it would be typed, with NEW for a key still to be made.
func spelled(c Command, explain func(Command) string) string {
	if c.Verb == VerbCreate || c.Key.ID != 0 {
		return explain(c)
	}
	c.Key.ID = unmade
	return strings.Replace(explain(c), strconv.Itoa(unmade), "NEW", 1)
}

// heldFromStart says whether a wait is earned from the start of the rollover on: that
// an old key which signs no data has signed none.
func (r *Roll) heldFromStart(w Wait) bool {
	return w.Record == RecordData && !slices.ContainsFunc(w.Properties, func(p Property) bool {
		return p.Verb == signedBy || p.Side != Old || slices.ContainsFunc(r.Old, func(k Key) bool { return k.Role.SignsData() })
	})
}

// startsHere says whether a wait is earned from the step before it on.
func (r *Roll) startsHere(w Wait) bool { return !r.heldFromStart(w) }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// longest is the longest of those holds of a step that are asked for.
func (r *Roll) longest(s Step, l Ledger, p Policy, asked func(Wait) bool) time.Duration {
	out := time.Duration(0)
	for _, w := range s.Waits {
		if w.Strength == StrengthSettled && asked(w) {
			out = max(out, p.hold(r.ttl(w.Statement, l, p)))
		}
	}
	return out
}

func (r *Roll) doneAt(step string) *time.Time {
	for i := len(r.Steps) - 1; i >= 0; i-- {
		if r.Steps[i].Step == step {
			return &r.Steps[i].At
		}
	}
	return nil
}
