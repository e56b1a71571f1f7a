package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// parents is the servers of the parent zone: the configured ones, or else
// those that the resolvers know.
func (f *finder) parents(ctx context.Context) (*roster, error) {
	r := &roster{finder: f, role: rollover.RoleParent}
	var why error
	if len(f.q.ParentServers) > 0 {
		if err := r.addPlaces(ctx, f.q.ParentServers); err != nil {
			return r, err
		}
	} else if names, err := f.parentNames(ctx); err != nil {
		why = err
	} else if err := r.addNames(ctx, names, nil); err != nil {
		return r, err
	}
	if err := r.addKnown(ctx); err != nil {
		return r, err
	}
	if len(r.targets) == 0 {
		return r, f.notFound(rollover.RoleParent, why)
	}
	return r, nil
}

func (f *finder) parentNames(ctx context.Context) ([]string, error) {
	parent, err := f.parentZone(ctx)
	if err != nil {
		return nil, err
	}
	answer, from, err := f.client.resolve(ctx, parent, dns.TypeNS)
	if err != nil {
		return nil, fmt.Errorf("asking for NS of %s: %w", parent, err)
	}
	names := nameServers(answer.Answer, parent)
	if len(names) == 0 {
		return nil, suspicion{fmt.Errorf("%s knows no NS of %s: %s", from, parent, rcode(answer))}
	}
	return names, nil
}

// parentZone is the zone that the zone is delegated from: the owner of the SOA
// that the resolvers give for the name above it. Nothing is guessed from the
// labels, since b.example may well have its parent two labels up.
func (f *finder) parentZone(ctx context.Context) (string, error) {
	if f.q.Zone == "." {
		return "", errors.New("the root zone has no parent")
	}
	var last error
	for _, at := range dns.Split(f.q.Zone)[1:] {
		if owner, err := f.enclosing(ctx, f.q.Zone[at:]); err == nil {
			return owner, nil
		} else {
			last = err
		}
	}
	owner, err := f.enclosing(ctx, ".")
	if err != nil && last != nil {
		err = last
	}
	return owner, err
}

// enclosing is the zone that a name is in. An SOA from elsewhere, at the end
// of an alias, does not count.
func (f *finder) enclosing(ctx context.Context, name string) (string, error) {
	answer, from, err := f.client.resolve(ctx, name, dns.TypeSOA)
	if err != nil {
		return "", fmt.Errorf("asking for SOA of %s: %w", name, err)
	}
	if owner, ok := ownerOfSOA(name, answer); ok {
		return owner, nil
	}
	return "", suspicion{fmt.Errorf("%s does not tell in which zone %s is: %s, without an SOA", from, name, rcode(answer))}
}

// delegation is what the parent's servers say of the zone.
type delegation struct {
	names []string
	glue  map[string][]netip.Addr
	err   error // why a server told nothing
}

// delegation asks every parent server where the zone is delegated to. The
// error is why none of them told; that there is no delegation is an answer.
func (f *finder) delegation(ctx context.Context, parents *roster) (delegation, error) {
	answers := each(parents.targets, func(t target) delegation {
		if !t.at.IsValid() {
			return delegation{err: errors.New(t.doubt)}
		}
		answer, err := f.client.exchange(ctx, t.at, direct(f.q.Zone, dns.TypeNS))
		if err != nil {
			return delegation{err: err}
		}
		return readDelegation(f.q.Zone, answer)
	})
	out := delegation{glue: map[string][]netip.Addr{}}
	told := false
	for i, a := range answers {
		parents.targets[i].noteSilence(a.err)
		if a.err != nil {
			out.err = fmt.Errorf("asking %s for the delegation: %w", parents.targets[i].Server.Name, a.err)
			continue
		}
		told = true
		out.names = append(out.names, a.names...)
		for name, addrs := range a.glue {
			out.glue[name] = append(out.glue[name], addrs...)
		}
	}
	if told {
		out.err = nil
	}
	return out, out.err
}

// readDelegation takes NS records from a referral, or from the answer of a
// server that has parent and child. Glue counts only within the zone, where
// nobody else can know the address (RFC 9471); all else is asked for.
func readDelegation(zone string, answer *dns.Msg) delegation {
	out := delegation{names: append(nameServers(answer.Answer, zone), nameServers(answer.Ns, zone)...), glue: map[string][]netip.Addr{}}
	if len(out.names) == 0 {
		out.err = usable(answer)
	}
	for _, rr := range answer.Extra {
		name := rr.Header().Name
		if addr, ok := address(rr); ok && dns.IsSubDomain(zone, name) {
			out.glue[name] = append(out.glue[name], addr)
		}
	}
	return out
}

// noteSilence remembers that a server does not answer, so that it is not
// waited for again in the same look.
func (t *target) noteSilence(err error) {
	if errors.Is(err, errTimedOut) || errors.Is(err, errRefused) {
		t.silent = err
	}
}
