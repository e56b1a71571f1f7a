package rollover

import (
	"context"
	"fmt"
	"time"
)

// Commands opens Roll.commands to the proof of the table.
func (r *Roll) Commands(s Step) []Command { return r.commands(s) }

// Specs opens Layout.specs to the proof of the table.
func Specs(l Layout, algorithm uint8) []Key { return l.specs(algorithm, 256) }

// Apply opens apply to tests.
func Apply(keys []Key, c Command) []Key { return apply(keys, c) }

// LearnSighting opens Ledger.learn to the proof of the table.
func (l *Ledger) LearnSighting(s Sighting) { l.learn(s) }

// Forget opens Ledger.forget to tests.
func (l *Ledger) Forget(now time.Time) { l.forget(now) }

// After opens Holding.after to tests: "good", "bad" or anything else for no answer.
func (h Holding) After(showed string, at Instant, p Policy) Holding {
	v := map[string]shown{"good": shownGood, "bad": shownNot}[showed]
	return h.after(v, showed, at, p.counts(h.Last, at))
}

// Ungate leaves the gates out, so that a test sees what the table alone decides.
func Ungate(e *Engine) { e.ungated = true }

// Keys of the statements of a kind, as they are stored.
func (k Kind) StatementKeys() []string {
	var out []string
	for _, s := range k.statements() {
		out = append(out, s.String())
	}
	return out
}

// Hold opens Policy.hold to tests.
func (p Policy) Hold(ttl time.Duration) time.Duration { return p.hold(ttl) }

// ProofAccepts is what the proof holds of a combination (prove_world_test.go).
// Keys are bits; algorithms is the keys of each algorithm.
func ProofAccepts(algorithms []uint8, ds, has, by, data uint8) bool {
	c := cast{algorithms: algorithms}
	keys := version{has: has, by: by}
	return ds == 0 || c.chained(version{has: ds}, keys) && c.signed(keys, version{by: data})
}

// Lives opens LedgerEntry.lives to tests.
func (e LedgerEntry) Lives(now Instant, looked bool) bool { return e.lives(now, looked) }

// Unmask opens Ledger.unmask to tests.
func (l *Ledger) Unmask(s Sighting) Sighting { return l.unmask(s) }

// Largest is the largest TTL of any version of a record.
func (l Ledger) Largest(record Record) time.Duration {
	return l.largest(record, func(LedgerEntry) bool { return false })
}

// OrderOfHandOvers is the order in which drivers are asked whose changes were
// missed so often; below 0 for none.
func OrderOfHandOvers(misses ...int) []int {
	var visits []*visit
	at := map[*visit]int{}
	for i, n := range misses {
		v := &visit{roll: &Roll{}}
		if n >= 0 {
			v.roll.Submission = &Submission{Misses: n}
		}
		at[v] = i
		visits = append(visits, v)
	}
	var out []int
	for _, v := range byMisses(visits) {
		out = append(out, at[v])
	}
	return out
}

// BegunHandOvers is how many of n zones are handed over while none comes back.
func BegunHandOvers(n int) int {
	var h handOvers
	begun := 0
	for i := range n {
		if h.begin(fmt.Sprint(i)) {
			begun++
		}
	}
	return begun
}

// HandOver hands a change of a zone to a driver, as often as there are drivers.
func HandOver(ctx context.Context, limit time.Duration, drivers ...Registrar) Answer {
	v := &visit{engine: &Engine{}}
	var last Answer
	for _, r := range drivers {
		v.setting = Setting{Registrar: r, HandOver: limit}
		func() {
			defer func() {
				if p := recover(); p != nil {
					last = Answer{Text: fmt.Sprint("panic: ", p)}
				}
			}()
			last = v.handOver(ctx, Change{Zone: "zone.example."})
		}()
	}
	return last
}
