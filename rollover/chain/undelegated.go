package chain

import (
	"context"
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// undelegated looks for a zone between the present one and a name, which is
// served although the present zone proves that it is not delegated: whoever has
// both answers from the lower one, and no validator believes that. It is looked
// for only where some answer is bogus.
func (d *descent) undelegated(ctx context.Context, name string) (Verdict, bool) {
	for _, at := range path(d.zone.Name, name) {
		if !slices.ContainsFunc(d.walk.Ask(ctx, d.zone.Name, at, dns.TypeSOA), func(r Reply) bool { return hasZone(r.Message, at) }) {
			continue
		}
		return d.notDelegated(ctx, at)
	}
	return Verdict{}, false
}

// unled is that for a zone whose servers were found, where the chain ends above it.
func (d *descent) unled(ctx context.Context, zone string) (Verdict, bool) {
	if zone == "" || !below(d.zone.Name, zone) {
		return Verdict{}, false
	}
	return d.notDelegated(ctx, zone)
}

// notDelegated says that the present zone proves that it does not delegate one
// that is served; false if it does, or proves nothing.
func (d *descent) notDelegated(ctx context.Context, name string) (Verdict, bool) {
	found, link := d.delegation(ctx, name)
	if found.Security != rollover.Secure || found.Cut != CutNone && found.Cut != CutNoName {
		return Verdict{}, false
	}
	text := fmt.Sprintf("%s proves that there is no %s: add NS records there", d.zone.Name, name)
	if found.Cut == CutNone {
		text = fmt.Sprintf("%s proves that it does not delegate %s: add NS records there", d.zone.Name, name)
	}
	v := bogus(CodeUndelegated, text)
	link.Mark, link.Security, link.Code, link.Text = MarkBroken, v.Security, v.Code, v.Text
	d.links = append(d.links, link)
	return v, true
}

// hasZone says whether an answer shows that a zone is served at a name.
func hasZone(m *dns.Msg, name string) bool {
	return m != nil && slices.ContainsFunc(m.Answer, func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeSOA && dns.CanonicalName(rr.Header().Name) == name
	})
}
