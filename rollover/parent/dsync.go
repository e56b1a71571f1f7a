package parent

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Generalized NOTIFY (RFC 9859): a parent that wants to be told of new CDS
// records says so in DSYNC records.
const (
	typeDSYNC    uint16 = 66
	schemeNOTIFY        = 1
	dsyncLabel          = "_dsync"

	maxEndpoints = 4 // of one parent that are told
	maxAddresses = 4 // of one of them that are tried
)

// endpoint is where a parent wants NOTIFY(CDS) sent.
type endpoint struct {
	target string
	port   uint16
}

// String is "target:port".
func (e endpoint) String() string {
	return net.JoinHostPort(strings.TrimSuffix(e.target, "."), strconv.Itoa(int(e.port)))
}

// endpoints finds where the parent of a zone wants NOTIFY(CDS), as RFC 9859
// section 4.1 says; none if it does not. Only what is proven counts.
func (d *CDS) endpoints(ctx context.Context, zone string) ([]endpoint, error) {
	labels := dns.SplitDomainName(zone)
	if len(labels) < 2 {
		return nil, nil // the root has no DSYNC records for top level domains here
	}
	cut := 1 // labels in front of _dsync
	for more := true; more; {
		records, apex, err := d.Proven(ctx, dsyncName(labels, cut), typeDSYNC)
		if err != nil {
			return nil, err
		}
		if found := dsync(records); len(found) > 0 {
			return found, nil
		}
		labels, cut, more = further(labels, cut, apex)
	}
	return nil, nil
}

// further is where to look next, from the zone that has the name, if it is one
// above: first behind all labels that it does not have, then at it, then no more.
func further(labels []string, cut int, apex string) (next []string, at int, more bool) {
	inferred := len(labels) - dns.CountLabel(apex)
	switch {
	case cut > 0 && inferred > cut && dns.IsSubDomain(apex, dns.Fqdn(strings.Join(labels, "."))):
		return labels, inferred, true
	case cut > 0:
		return labels[cut:], 0, true
	}
	return nil, 0, false
}

// dsyncName is the name with _dsync after the first labels.
func dsyncName(labels []string, cut int) string {
	parts := append(append([]string{}, labels[:cut]...), dsyncLabel)
	return dns.Fqdn(strings.Join(append(parts, labels[cut:]...), "."))
}

// dsync reads the DSYNC records for CDS, each endpoint once; the library does not
// know the type (66), so its data comes as octets: type 2, scheme 1, port 2, target.
func dsync(records []dns.RR) []endpoint {
	var out []endpoint
	for _, rr := range records {
		raw, ok := rr.(*dns.RFC3597)
		if !ok || raw.Hdr.Rrtype != typeDSYNC {
			continue
		}
		data, err := hex.DecodeString(raw.Rdata)
		if err != nil || len(data) < 6 || binary.BigEndian.Uint16(data) != dns.TypeCDS || data[2] != schemeNOTIFY {
			continue
		}
		target, _, err := dns.UnpackDomainName(data, 5)
		if err == nil {
			target, err = rollover.ParseZone(target) // which has the letters that host names have
		}
		e := endpoint{target, binary.BigEndian.Uint16(data[3:])}
		if err == nil && target != "." && e.port > 0 && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// tell sends NOTIFY(CDS), and says what came of it: it is only a hint to the
// parent, which may poll as well.
func (d *CDS) tell(ctx context.Context, zone string) string {
	if !d.Notify {
		return "the parent must poll them"
	}
	endpoints, err := d.endpoints(ctx, zone)
	switch {
	case err != nil:
		return fmt.Sprintf("the parent must poll them: looking for its DSYNC records failed: %v", err)
	case len(endpoints) == 0:
		return "the parent must poll them: it has no DSYNC record"
	}
	said := each(endpoints[:min(len(endpoints), maxEndpoints)], func(e endpoint) string {
		if err := d.notify(ctx, zone, e); err != nil {
			return fmt.Sprintf("NOTIFY(CDS) to %s failed: %v", e, err)
		}
		return fmt.Sprintf("NOTIFY(CDS) sent to %s", e)
	})
	if n := len(endpoints) - maxEndpoints; n > 0 {
		said = append(said, fmt.Sprintf("%d more of its DSYNC records were left out", n))
	}
	return strings.Join(said, ", ")
}

// notify sends NOTIFY(CDS) to an endpoint; one address that takes it is enough.
func (d *CDS) notify(ctx context.Context, zone string, e endpoint) error {
	addresses, err := d.addresses(ctx, e.target)
	if err != nil {
		return err
	}
	err = fmt.Errorf("%s has no address", e.target)
	for _, address := range addresses[:min(len(addresses), maxAddresses)] {
		if !d.mayNotify(address) {
			err = fmt.Errorf("%s is not a public address: cds.private_targets may allow it", address)
			continue
		}
		m := new(dns.Msg).SetNotify(zone)
		m.Question[0].Qtype = dns.TypeCDS
		var answer *dns.Msg
		answer, err = d.Ask(ctx, netip.AddrPortFrom(address, e.port).String(), m)
		if err == nil && answer.Rcode == dns.RcodeSuccess {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%s answers %s", address, rcode(answer.Rcode))
		}
	}
	return err
}

// mayNotify says whether a packet may go to an address that a parent named.
func (d *CDS) mayNotify(a netip.Addr) bool {
	return public(a) || slices.ContainsFunc(d.Private, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (d *CDS) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	r := resolver{d.Ask, d.Resolvers}
	var out []netip.Addr
	var failed error
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := r.ask(ctx, name, qtype)
		if err != nil {
			failed = err
			continue
		}
		for _, rr := range answer.Answer {
			var raw net.IP
			switch rr := rr.(type) {
			case *dns.A:
				raw = rr.A
			case *dns.AAAA:
				raw = rr.AAAA
			}
			if a, ok := netip.AddrFromSlice(raw); ok {
				out = append(out, a.Unmap())
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, failed
}
