package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// maxServers bounds the host names and the addresses of one role. No
// delegation has that many; an answer that says so is hostile.
const maxServers = 64

// target is one server to ask, or the reason why it cannot be asked.
type target struct {
	rollover.Server
	at     netip.AddrPort // not valid when no address is known
	doubt  string         // why this server is not asked, but counts as unknown
	silent error          // it did not answer while servers were being found
}

// find is every server that the question is about. Only the roles that the
// records need are there. The strangers are who was named and does not count.
func (c *Client) find(ctx context.Context, q rollover.Question) ([]target, []rollover.Stranger, error) {
	f := &finder{client: c, q: q, hosts: &hosts{client: c}}
	targets, err := f.find(ctx)
	return targets, f.strangers, err
}

func (f *finder) find(ctx context.Context) ([]target, error) {
	q := f.q
	needChild := slices.Contains(q.Records, rollover.RecordDNSKEY) || slices.Contains(q.Records, rollover.RecordData)
	needParent := slices.Contains(q.Records, rollover.RecordDS)
	var parents, children *roster
	var err error
	if apart := needChild && f.alone(); !apart && (needParent || needChild && !q.ServersOnly) {
		parents, err = f.parents(ctx)
		if err != nil && (needParent || !errors.Is(err, rollover.ErrUnavailable)) {
			return nil, err
		}
	}
	if needChild {
		if children, err = f.children(ctx, parents, err); err != nil {
			return nil, err
		}
	}
	var out []target
	if needParent && parents != nil {
		out = parents.sorted()
	}
	if needChild {
		out = append(out, children.sorted()...)
	}
	return out, nil
}

// finder finds the servers of one zone for one look.
type finder struct {
	client *Client
	q      rollover.Question
	hosts  *hosts

	delegators []target            // the servers of the parent
	strangers  []rollover.Stranger // at most maxStrangers

	trust   *chain.Trust      // what the keys of the zone are known by; nil before it was asked for
	keys    []rollover.DNSKEY // that are proven to be those of the zone
	learned int               // of how many servers in the roster of the zone
}

// notFound is the error when a role has no servers at all.
func (f *finder) notFound(role string, why error) error {
	setting := "`servers`"
	if role == rollover.RoleParent {
		setting = "`parent_servers`"
	}
	if why == nil {
		why = errors.New("all of them are excluded")
	}
	return fmt.Errorf("%w: expected name servers for the %s side of %s, found none (%w): set %s for the zone in the configuration, or repair the resolver (asked: %s)",
		rollover.ErrUnavailable, role, f.q.Zone, why, setting, strings.Join(f.client.Resolvers, ", "))
}

// roster is the servers of one role, each address once.
type roster struct {
	finder  *finder
	role    string
	targets []target
	hosts   []place // host names taken in
}

// addPlaces takes in configured servers. The error names one that does not parse.
func (r *roster) addPlaces(ctx context.Context, texts []string) error {
	var names []place
	for _, text := range texts {
		p, err := parsePlace(text, r.finder.client.port())
		if err != nil {
			return fmt.Errorf("%s servers of %s: %w", r.role, r.finder.q.Zone, err)
		}
		if p.host != "" {
			names = append(names, p)
			continue
		}
		r.addAddress(p.addr.String(), netip.AddrPortFrom(p.addr, p.port))
	}
	return r.addHosts(ctx, names, nil)
}

// addKnown takes in the servers of earlier looks. Those that had no address
// then may have one now.
func (r *roster) addKnown(ctx context.Context) error {
	var names []place
	for _, s := range r.finder.q.Known {
		if s.Role != r.role {
			continue
		}
		at, err := netip.ParseAddrPort(s.Address)
		switch {
		case err == nil && (!strings.HasSuffix(s.Name, ".") || !r.finder.client.permitted([]netip.Addr{at.Addr()}).failed):
			r.addAddress(s.Name, at)
		case isHost(s.Name) && !r.has(dns.CanonicalName(s.Name)):
			names = append(names, place{host: dns.CanonicalName(s.Name), port: r.finder.client.port()})
		}
	}
	return r.addHosts(ctx, names, nil)
}

// has says whether a host name was taken in, with whatever port.
func (r *roster) has(name string) bool {
	return slices.ContainsFunc(r.hosts, func(p place) bool { return p.host == name })
}

// addNames takes in name servers found in the DNS, with the addresses that
// came along with them.
func (r *roster) addNames(ctx context.Context, names []string, glue map[string][]netip.Addr) error {
	places := make([]place, len(names))
	for i, name := range names {
		places[i] = place{host: dns.CanonicalName(name), port: r.finder.client.port()}
	}
	return r.addHosts(ctx, places, glue)
}

// addHosts resolves host names, all at once, and takes in all their addresses.
// One that has none stays in the roster as unknown.
func (r *roster) addHosts(ctx context.Context, names []place, glue map[string][]netip.Addr) error {
	var fresh []place
	for _, p := range names {
		if !slices.Contains(r.hosts, p) && !r.finder.excluded(p.host, netip.AddrPort{}) {
			r.hosts = append(r.hosts, p)
			fresh = append(fresh, p)
		}
	}
	if len(r.hosts) > maxServers {
		return fmt.Errorf("%w: the %s side of %s has more than %d name servers: set its servers in the configuration", rollover.ErrUnavailable, r.role, r.finder.q.Zone, maxServers)
	}
	found := each(fresh, func(p place) host { return r.finder.hosts.lookUp(ctx, p.host) })
	for i, p := range fresh {
		r.addHost(p, found[i], glue[p.host])
	}
	if len(r.targets) > maxServers {
		return fmt.Errorf("%w: the %s side of %s has more than %d server addresses: set its servers in the configuration", rollover.ErrUnavailable, r.role, r.finder.q.Zone, maxServers)
	}
	return nil
}

func (r *roster) addHost(p place, found host, glue []netip.Addr) {
	permitted := r.finder.client.permitted(glue)
	addrs := append(slices.Clone(found.addrs), permitted.addrs...)
	for _, addr := range addrs {
		r.addAddress(p.host, netip.AddrPortFrom(addr, p.port))
	}
	doubt := cmp.Or(found.doubt, permitted.refused)
	if doubt == "" {
		doubt = fmt.Sprintf("no address found for %s (it has neither A nor AAAA)", p.host)
	}
	listed := func(t target) bool { return t.Name == p.host && t.doubt != "" }
	if (found.failed || permitted.failed || len(addrs) == 0) && !slices.ContainsFunc(r.targets, listed) {
		r.targets = append(r.targets, target{Server: rollover.Server{Role: r.role, Name: p.host}, doubt: doubt})
	}
}

// addAddress takes in an address unless it is there or excluded. A host name
// replaces an address that stood in for one.
func (r *roster) addAddress(name string, at netip.AddrPort) {
	if r.finder.excluded(name, at) {
		return
	}
	for i, t := range r.targets {
		if t.at == at {
			if !strings.HasSuffix(t.Name, ".") {
				r.targets[i].Name = name
			}
			return
		}
	}
	r.targets = append(r.targets, target{Server: rollover.Server{Role: r.role, Name: name, Address: at.String()}, at: at})
}

// sorted is the roster in a fixed order.
func (r *roster) sorted() []target {
	return slices.SortedFunc(slices.Values(r.targets), func(a, b target) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), a.at.Compare(b.at))
	})
}

// excluded says whether the operator took a server out, by its host name, its
// address, or its address and port.
func (f *finder) excluded(name string, at netip.AddrPort) bool {
	return slices.ContainsFunc(f.q.Exclude, func(text string) bool {
		if dns.CanonicalName(text) == name {
			return true
		}
		p, _ := parsePlace(text, at.Port()) // what is no place, or a host name, has no address
		return at.IsValid() && netip.AddrPortFrom(p.addr, p.port) == at
	})
}

// nameServers is the targets of the NS records that a name owns.
func nameServers(section []dns.RR, owner string) []string {
	var out []string
	for _, rr := range section {
		if ns, ok := rr.(*dns.NS); ok && ns.Hdr.Name == owner && ns.Hdr.Class == dns.ClassINET {
			out = append(out, dns.CanonicalName(ns.Ns))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
