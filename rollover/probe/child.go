package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// children is the servers of the zone itself: those of the delegation, those
// that the zone names, those that earlier looks and the configuration know.
// noParents is why there is no parent server to ask, if so.
func (f *finder) children(ctx context.Context, parents *roster, noParents error) (*roster, error) {
	r := &roster{finder: f, role: rollover.RoleChild}
	if parents != nil {
		f.delegators = parents.targets
	}
	if err := r.addPlaces(ctx, f.q.Servers); err != nil {
		return r, err
	}
	if err := r.addKnown(ctx); err != nil {
		return r, err
	}
	var why error
	switch {
	case !f.q.ServersOnly:
		if err := f.addDelegation(ctx, r, parents, noParents); err != nil {
			return r, err
		}
		why = f.addApex(ctx, r)
	case len(f.q.Servers) == 0 && len(r.targets) == 0:
		why = errors.New("`servers_only` is set, but `servers` is empty")
	}
	if len(r.targets) == 0 {
		return r, f.notFound(rollover.RoleChild, why)
	}
	return r, why
}

// addDelegation takes in what the parent says. A parent that tells nothing at
// all would hide servers, so that is an error, unless earlier looks have seen
// what it said.
func (f *finder) addDelegation(ctx context.Context, r, parents *roster, noParents error) error {
	if f.alone() {
		return nil
	}
	known := slices.ContainsFunc(f.q.Known, func(s rollover.Server) bool { return s.Role == rollover.RoleChild })
	if noParents != nil {
		if known {
			return nil
		}
		return noParents
	}
	d, err := f.delegation(ctx, parents)
	switch {
	case err == nil:
		return r.addNames(ctx, d.names, d.glue)
	case known:
		return nil
	}
	return fmt.Errorf("%w: no server of the parent tells to which name servers %s is delegated (%w): set `parent_servers`, or `servers` with `servers_only`, for the zone in the configuration",
		rollover.ErrUnavailable, f.q.Zone, err)
}

// addApex takes in the name servers that the zone names at its apex, through
// the resolvers and on every server found, until no new one turns up.
func (f *finder) addApex(ctx context.Context, r *roster) error {
	answer, from, why := f.client.askResolvers(ctx, unchecked(f.q.Zone, dns.TypeNS))
	if why == nil {
		if err := f.addNamings(ctx, r, []naming{{by: "resolver " + from.String(), answer: answer}}); err != nil {
			return err
		}
		if len(nameServers(answer.Answer, f.q.Zone)) == 0 {
			why = suspicion{fmt.Errorf("%s knows no NS of %s: %s", from, f.q.Zone, rcode(answer))}
		}
	}
	if len(r.targets) == 0 {
		return why
	}
	for asked, times := 0, 0; asked < len(r.targets); times++ {
		if times == maxFollowed {
			return fmt.Errorf("%w: name servers of %s name others, which name others, and so on: %d times they were followed: set its servers in the configuration", rollover.ErrUnavailable, f.q.Zone, maxFollowed)
		}
		fresh := r.targets[asked:]
		asked = len(r.targets)
		if err := f.addNamings(ctx, r, f.apex(ctx, fresh)); err != nil {
			return err
		}
	}
	return nil
}

// apex is what the servers say are the name servers of the zone.
func (f *finder) apex(ctx context.Context, targets []target) []naming {
	replies := each(targets, func(t target) reply {
		if !t.at.IsValid() {
			return reply{}
		}
		answer, err := f.client.exchange(ctx, t.at, direct(f.q.Zone, dns.TypeNS))
		return reply{answer: answer, err: err}
	})
	var out []naming
	for i, r := range replies {
		targets[i].noteSilence(r.err)
		if r.answer != nil && usable(r.answer) == nil {
			out = append(out, naming{by: targets[i].Server.String(), answer: r.answer})
		}
	}
	return out
}
