package rollover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Report is what a tick did. Failed holds the zones whose tick failed, with
// the error; their rollovers go on at the next tick from where they were.
type Report struct {
	Changed int      // steps entered, rollovers blocked
	Blocked []string // zones that became blocked; the event tells why
	Gone    []string // zones that lost something that an earlier step relied on
	Failed  map[string]error
	// Suspects are zones of which the last look could not prove what the parent
	// says, which may be the fault of the resolvers.
	Suspects []string
	// Told says for a failed zone that this failure was told within a day.
	Told map[string]bool
}

func newReport() Report { return Report{Failed: map[string]error{}, Told: map[string]bool{}} }

// Add takes in the report of a later tick.
func (r *Report) Add(later Report) {
	r.Changed += later.Changed
	r.Blocked = append(r.Blocked, later.Blocked...)
	r.Gone = append(r.Gone, later.Gone...)
	r.Suspects = append(r.Suspects, later.Suspects...)
	if r.Failed == nil {
		r.Failed, r.Told = map[string]error{}, map[string]bool{}
	}
	for zone, err := range later.Failed {
		_, failed := r.Failed[zone]
		r.Told[zone] = later.Told[zone] && (!failed || r.Told[zone])
		r.Failed[zone] = err
	}
}

// batch is how many zones go through a tick together: few enough to keep memory
// small.
const batch = 1000

// Tick takes each zone as far as it can go now. A zone whose state cannot be read
// or saved fails alone; the error is what ends the tick for all.
func (e *Engine) Tick(ctx context.Context, zones []string) (Report, error) {
	report := newReport()
	for part := range slices.Chunk(unique(zones), batch) {
		visits := make([]*visit, 0, len(part))
		for _, zone := range part {
			d, err := e.Journal.Load(zone)
			if err != nil {
				report.Failed[zone] = fmt.Errorf("loading the state of %s: %w", zone, err)
				continue
			}
			visits = append(visits, e.visit(d))
		}
		if len(visits) == 0 {
			return report, report.Failed[part[0]]
		}
		err := e.run(ctx, visits)
		for _, v := range visits {
			v.report(&report)
		}
		if err != nil {
			return report, err
		}
	}
	return report, nil
}

// unique leaves out repetitions: a zone must not be worked on twice at once.
func unique(zones []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(zones)))
}

// run takes visits as far as they can go, and then hands over what the parents
// are to be asked for.
func (e *Engine) run(ctx context.Context, visits []*visit) error {
	if err := e.rounds(ctx, visits); err != nil {
		return err
	}
	return e.submit(ctx, visits)
}

// rounds takes visits through rounds of look, decide, intend, act, serve and
// save, until nothing moves any more. Who was looked at goes on at once, with
// all that are as far by then, and waits for nobody who is still looked at.
func (e *Engine) rounds(ctx context.Context, visits []*visit) error {
	l := e.lookout(ctx, visits)
	defer l.close()
	for {
		group := l.seen()
		if len(group) == 0 {
			return nil
		}
		if err := e.settle(ctx, group); err != nil {
			return err
		}
		if ctx.Err() == nil {
			l.again(slices.DeleteFunc(slices.Clone(group), func(v *visit) bool { return !v.goesOn() }))
		}
	}
}

// settle takes visits that were looked at through the rest of a round. What is about
// to be done is on disk before it is done.
func (e *Engine) settle(ctx context.Context, group []*visit) error {
	e.each(group, func(v *visit) { v.intend(ctx) })
	if err := e.save(group); err != nil {
		return err
	}
	e.each(group, func(v *visit) { v.act(ctx) })
	e.serve(ctx, group)
	for _, v := range group {
		v.safely(v.conclude)
		v.safely(v.account)
	}
	return e.save(group)
}

// each runs f for the visits that are not at their end, a few at a time.
func (e *Engine) each(visits []*visit, f func(*visit)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(e.Workers, 1))
	for _, v := range visits {
		if !v.open() {
			continue
		}
		if e.Workers <= 1 {
			v.safely(func() { f(v) })
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			v.safely(func() { f(v) })
		})
	}
	wg.Wait()
}

// open says whether there may be something to do for a zone.
func (v *visit) open() bool {
	return v.err == nil && v.roll != nil && v.roll.State == StateActive
}

// save stores what has changed, all zones in one transaction, and then tells
// the events. A zone that cannot be stored is left out, and fails alone.
func (e *Engine) save(visits []*visit) error {
	dirty := slices.DeleteFunc(slices.Clone(visits), func(v *visit) bool { return !v.dirty })
	for len(dirty) > 0 {
		err := e.Journal.Save(entries(dirty)...)
		var alone Unsavable
		switch {
		case err == nil:
			e.saved(dirty)
			return nil
		case !errors.As(err, &alone):
			return fmt.Errorf("saving the state of %s (and of %d more zones): %w", dirty[0].dossier.Zone, len(dirty)-1, err)
		}
		before := len(dirty)
		dirty = slices.DeleteFunc(dirty, func(v *visit) bool { return v.unsaved(alone) })
		if len(dirty) == before {
			return err
		}
	}
	return nil
}

// unsaved says whether it is this zone that cannot be stored, and ends its tick:
// what is not on disk is not done.
func (v *visit) unsaved(u Unsavable) bool {
	if v.dossier.Zone != u.Zone {
		return false
	}
	v.fail(u)
	v.dirty, v.events = false, nil
	return true
}

func entries(visits []*visit) []Entry {
	out := make([]Entry, len(visits))
	for i, v := range visits {
		out[i] = Entry{v.dossier, v.events}
	}
	return out
}

func (e *Engine) saved(visits []*visit) {
	for _, v := range visits {
		events := v.events
		v.dirty, v.events = false, nil
		for _, event := range events {
			if e.Tell != nil {
				e.Tell(event)
			}
		}
	}
}

// serve makes the running servers show what was done: for each zone that
// secondaries transfer the SOA serial, then one purge for all, then notify.
// In any other order secondaries stay behind until their refresh timer.
func (e *Engine) serve(ctx context.Context, visits []*visit) {
	acted := slices.DeleteFunc(slices.Clone(visits), func(v *visit) bool { return v.err != nil || !v.applied() && v.anew == "" })
	e.each(acted, func(v *visit) { v.bump(ctx) })
	var zones, notify []string
	for _, v := range acted {
		if v.err != nil {
			continue
		}
		zones = append(zones, v.dossier.Zone)
		if v.transfers() {
			notify = append(notify, v.dossier.Zone)
		}
	}
	if len(zones) == 0 {
		return
	}
	if err := e.Signer.Refresh(context.WithoutCancel(ctx), zones, notify); err != nil {
		for _, v := range acted {
			v.fail(fmt.Errorf("making the running server show the change of %s: %w", v.dossier.Zone, err))
		}
	}
}
