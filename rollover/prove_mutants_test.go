package rollover

// tweak takes one guard away, or weakens it, without another copy of what it
// guards: it changes the row of the table, the policy, or what the engine is
// shown of the world.
type tweak struct {
	policy      func(*Policy)
	kinds       func(table []Kind, r *Roll) []Kind
	clock       func(Instant) Instant
	look        func(*bench, *Sighting)
	inventory   func(*bench, []Key) []Key
	contents    func(*bench, *Contents)
	load        func(*bench) // before the run
	stored      func(*bench) // after it
	believeExit bool
}
