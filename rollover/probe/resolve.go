package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// place is where a server is said to be: an address, or a host name that has
// yet to be resolved.
type place struct {
	host string // with the trailing dot, lower case; empty for an address
	addr netip.Addr
	port uint16
}

// parsePlace reads "host", "address", "host:port" and "address:port"; IPv6
// addresses with a port, or not, may stand in brackets.
func parsePlace(text string, port uint16) (place, error) {
	if at, err := netip.ParseAddrPort(text); err == nil && at.Port() != 0 {
		return place{addr: at.Addr().Unmap(), port: at.Port()}, nil
	}
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return place{addr: addr.Unmap(), port: port}, nil
	}
	host := text
	if name, number, err := net.SplitHostPort(text); err == nil {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 {
			return place{}, fmt.Errorf("server %q: port %q is not a number from 1 to 65535", text, number)
		}
		host, port = name, uint16(n)
	}
	if !isHost(host) {
		return place{}, fmt.Errorf("server %q is neither a host name nor an address, with or without :port", text)
	}
	return place{host: dns.CanonicalName(host), port: port}, nil
}

func isHost(name string) bool {
	_, ok := dns.IsDomainName(name)
	odd := func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`:[]/\`, c) }
	return ok && name != "." && !strings.ContainsFunc(name, odd)
}

// resolve asks the resolvers one after the other until one has an answer,
// which may be that there is nothing. The address is that of the resolver.
func (c *Client) resolve(ctx context.Context, name string, rrtype uint16) (*dns.Msg, netip.AddrPort, error) {
	return c.askResolvers(ctx, recursive(name, rrtype))
}

func (c *Client) askResolvers(ctx context.Context, query *dns.Msg) (*dns.Msg, netip.AddrPort, error) {
	if len(c.Resolvers) == 0 {
		return nil, netip.AddrPort{}, suspicion{errors.New("no resolver to ask: set `resolvers` in the configuration")}
	}
	var failures []string
	for _, text := range c.Resolvers {
		p, err := parsePlace(text, defaultPort)
		if err != nil || p.host != "" {
			failures = append(failures, fmt.Sprintf("resolver %q is not an address", text))
			continue
		}
		at := netip.AddrPortFrom(p.addr, p.port)
		answer, err := c.exchange(ctx, at, query)
		if err == nil && (answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError) {
			return answer, at, nil
		}
		if err == nil {
			err = errors.New(rcode(answer))
		}
		failures = append(failures, fmt.Sprintf("%v from %s", err, at))
	}
	return nil, netip.AddrPort{}, suspicion{errors.New(strings.Join(failures, ", "))}
}

// host is what the resolvers say of a host name.
type host struct {
	addrs  []netip.Addr
	doubt  string // why there are no addresses, or may be more; empty when there is nothing to say
	failed bool   // there may be addresses that are not among these: no resolver answered, or they are refused
	// refused is which address is not among these, and why.
	refused string
}

// hosts resolves each host name once in a look.
type hosts struct {
	client *Client
	mu     sync.Mutex
	known  map[string]func() host
}

func (h *hosts) lookUp(ctx context.Context, name string) host {
	h.mu.Lock()
	if h.known == nil {
		h.known = map[string]func() host{}
	}
	find := h.known[name]
	if find == nil {
		find = sync.OnceValue(func() host { return h.client.lookUp(ctx, name) })
		h.known[name] = find
	}
	h.mu.Unlock()
	return find()
}

// lookUp asks for both kinds of address. When one of the two questions has no
// answer, that is told even if the other gave addresses: servers may be hidden
// behind it.
func (c *Client) lookUp(ctx context.Context, name string) host {
	types := []uint16{dns.TypeA, dns.TypeAAAA}
	parts := each(types, func(rrtype uint16) host { return c.addresses(ctx, name, rrtype) })
	out := host{addrs: append(parts[0].addrs, parts[1].addrs...), failed: parts[0].failed || parts[1].failed, refused: cmp.Or(parts[0].refused, parts[1].refused)}
	for i, part := range parts {
		if part.doubt != "" {
			out.doubt = fmt.Sprintf("no %s found for %s (%s)", dns.Type(types[i]), name, part.doubt)
		}
	}
	if parts[0].doubt != "" && parts[1].doubt != "" {
		out.doubt = fmt.Sprintf("no address found for %s (%s)", name, parts[0].doubt)
	}
	out.doubt = cmp.Or(out.refused, out.doubt)
	return out
}

// addresses takes every address in the answer, whatever its owner: the
// resolver has followed aliases for us.
func (c *Client) addresses(ctx context.Context, name string, rrtype uint16) host {
	answer, from, err := c.resolve(ctx, name, rrtype)
	switch {
	case err != nil:
		return host{doubt: err.Error(), failed: true}
	case answer.Rcode == dns.RcodeNameError:
		return host{doubt: fmt.Sprintf("NXDOMAIN from %s", from)}
	}
	var found []netip.Addr
	for _, rr := range answer.Answer {
		if addr, ok := address(rr); ok {
			found = append(found, addr)
		}
	}
	return c.permitted(found)
}

// permitted leaves out addresses in DontQuery: anybody may write them into his zone,
// and they mean a machine that is near to us and not the one that others would ask.
func (c *Client) permitted(found []netip.Addr) host {
	var out host
	for _, addr := range found {
		in := slices.IndexFunc(c.DontQuery, func(p netip.Prefix) bool { return p.Contains(addr.WithZone("")) })
		if in < 0 {
			out.addrs = append(out.addrs, addr)
			continue
		}
		out.failed, out.refused = true, fmt.Sprintf("its address %s is not asked: %s is in `dns.dont_query`", addr, c.DontQuery[in])
	}
	return out
}

// address is that of an A or AAAA record.
func address(rr dns.RR) (netip.Addr, bool) {
	var raw net.IP
	switch rr := rr.(type) {
	case *dns.A:
		raw = rr.A
	case *dns.AAAA:
		raw = rr.AAAA
	}
	addr, ok := netip.AddrFromSlice(raw)
	return addr.Unmap(), ok
}
