package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollover/rollover"
	"rollover/store"
)

// examineResolver asks the resolvers something that no zone is at fault for; nil
// if they are well, and if it cannot be known any more.
func (w *world) examineResolver(ctx context.Context) *rollover.ResolverFault {
	limit := time.Duration(2*len(w.config.DNS.Resolvers)+1) * time.Duration(w.config.DNS.Timeout)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	fault := w.probe.Resolver(limited)
	if ctx.Err() != nil {
		return nil
	}
	return fault
}

// blame finds out whether what went wrong with zones is the fault of the
// resolvers. Those zones are then only counted, and their one cause is kept beside
// the state, for status, and until it is over. It is told if it is new, and once a day.
func (w *world) blame(ctx context.Context, looked []string, r *rollover.Report) (tell bool, err error) {
	suspects := slices.Clone(r.Suspects)
	for zone, err := range r.Failed {
		if errors.Is(err, rollover.ErrResolver) {
			suspects = append(suspects, zone)
		}
	}
	box, _ := store.Outbox(w.config.State) // what is wrong with it is told by who writes it
	if ctx.Err() != nil || len(suspects) == 0 && box.Resolver == nil {
		return false, nil
	}
	fault := w.examineResolver(ctx)
	slices.Sort(suspects)
	suspects = slices.Compact(suspects)
	if fault != nil {
		fault.Waiting = suspects
		for _, zone := range suspects {
			delete(r.Failed, zone)
		}
		w.spared = suspects
	}
	_, err = store.UpdateOutbox(w.config.State, func(box *rollover.Outbox) error {
		tell = box.Blame(fault, looked, time.Now())
		w.resolver = box.Resolver
		return nil
	})
	return tell, err
}

// machineConditions is what is so with this machine, and is told outside once for
// all zones.
func (w *world) machineConditions() []rollover.Notice {
	if w.resolver == nil || w.resolver.Zones == 0 || !slices.Contains(w.config.Notify.Events, rollover.NoticeCheckFailed) {
		return nil
	}
	return []rollover.Notice{w.resolver.Notice()}
}

// resolverJSON is a fault of the resolvers in JSON; null for none.
func resolverJSON(f *rollover.ResolverFault) any {
	if f == nil {
		return nil
	}
	return map[string]any{"code": f.Code, "text": f.Text, "since": f.Since, "zones": f.Zones, "waiting": list(f.Waiting)}
}

// resolverLine is a fault of the resolvers as status tells it, above all zones.
func (m *mouth) resolverLine(f *rollover.ResolverFault) {
	if f != nil {
		fmt.Fprintf(m.out, "TROUBLE of this machine since %s: %s\n\n", stamp(f.Since), plain(f.Sentence()))
	}
}
