package probe

import (
	"context"
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// TraceQuestion is what to trace, and whom to ask.
type TraceQuestion struct {
	Name string // any name, not only of a zone
	Type string // "A", "SOA", "TYPE65"; empty is SOA
	// Servers are asked for the records of the zone that the name is in, in the
	// place of its name servers; resolvers will do.
	Servers []string
	// Setting is what the configuration says of a zone.
	Setting func(zone string) rollover.Setting
}

// Trace follows the chain of trust from an anchor down to a name. The name
// servers of the zone and of its parent are asked one by one, all zones above
// through the resolvers. Errors are about the question alone; what cannot be
// found or asked is a link of the trace.
func (c *Client) Trace(ctx context.Context, q TraceQuestion) (chain.Trace, error) {
	name := dns.CanonicalName(q.Name)
	if _, ok := dns.IsDomainName(name); !ok || q.Name == "" {
		return chain.Trace{}, fmt.Errorf("%w: %q", rollover.ErrZoneName, q.Name)
	}
	rrtype, ok := typeOf(q.Type)
	if q.Type == "" {
		rrtype, ok = dns.TypeSOA, true
	}
	if !ok {
		return chain.Trace{}, fmt.Errorf("there is no record type %q", q.Type)
	}
	s, err := c.scene(ctx, name, rrtype, q)
	if err != nil {
		return chain.Trace{}, err
	}
	goal := chain.Goal{Name: name, Type: rrtype, Zone: s.zone}
	if absent, ok := randomName(s.zone); ok && s.zone != "" {
		goal.Absent = absent
	}
	walk := chain.Walk{Ask: s.ask, Anchors: c.Anchors, Now: c.now().Wall}
	trace := walk.Follow(ctx, goal)
	if ctx.Err() != nil {
		return chain.Trace{}, context.Cause(ctx)
	}
	return trace, nil
}

// scene is the servers that a trace asks.
type scene struct {
	client   *Client
	zone     string // that the name is in; empty when it could not be found
	children []target
	parents  []target
	given    bool   // children are those of the question: they need no authority
	name     string // that the trace is about
	rrtype   uint16
	unfound  error // why the zone or its servers could not be found
	orphaned error // why the servers of its parent could not be found
}

// scene finds the servers of the zone that a name is in, and of its parent.
// Where those of the zone cannot be found the resolvers are asked, and the
// trace tells: what no server of the zone was asked about is not sound.
func (c *Client) scene(ctx context.Context, name string, rrtype uint16, q TraceQuestion) (*scene, error) {
	s := &scene{client: c, name: name, rrtype: rrtype, given: len(q.Servers) > 0}
	f := &finder{client: c, hosts: &hosts{client: c}}
	given := &roster{finder: f, role: rollover.RoleChild}
	if err := given.addPlaces(ctx, q.Servers); err != nil {
		return nil, err
	}
	s.children = given.sorted()
	zone, err := s.apex(ctx, name, f)
	if err != nil && rrtype == dns.TypeDS {
		zone, err = s.apex(ctx, above(name), f) // a DS set is the business of the parent, also where nobody serves the zone below
	}
	if err != nil {
		s.unfound = err
		return s, nil
	}
	s.zone = zone
	setting := rollover.Setting{}
	if q.Setting != nil {
		setting = q.Setting(zone)
	}
	f.q = rollover.Question{Zone: zone, Servers: setting.Servers, ServersOnly: setting.ServersOnly, ParentServers: setting.ParentServers, Exclude: setting.Exclude}
	return s, s.cast(ctx, f)
}

// apex is the zone that a name is in: what the given servers, or else the
// resolvers, name in an SOA.
func (s *scene) apex(ctx context.Context, name string, f *finder) (string, error) {
	for _, t := range s.children {
		answer, err := s.client.exchange(ctx, t.at, unchecked(name, dns.TypeSOA))
		if err != nil {
			continue
		}
		if zone, ok := ownerOfSOA(name, answer); ok {
			return zone, nil
		}
	}
	return f.enclosing(ctx, name)
}

// cast finds the servers of the zone and of its parent. A side that cannot be
// found is asked about through the resolvers, and the trace tells.
func (s *scene) cast(ctx context.Context, f *finder) error {
	var parents *roster
	var noParents error
	if !f.alone() {
		parents, noParents = f.parents(ctx)
	}
	switch {
	case parents == nil: // alone
	case noParents == nil:
		s.parents = parents.sorted()
	case errors.Is(noParents, rollover.ErrUnavailable):
		s.orphaned = noParents
	default:
		return noParents
	}
	if s.given {
		return nil
	}
	children, err := f.children(ctx, parents, noParents)
	switch {
	case err == nil:
		s.children = children.sorted()
	case errors.Is(err, rollover.ErrUnavailable):
		s.unfound = err
	default:
		return err
	}
	return nil
}

// above is the name one label up.
func above(name string) string {
	at, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[at:]
}

func ownerOfSOA(name string, m *dns.Msg) (string, bool) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, name) {
				return soa.Hdr.Name, true
			}
		}
	}
	return "", false
}

// ask is who is asked: the DS set of the zone at every server of its parent,
// what the zone has at every server of its own, all else through the resolvers.
func (s *scene) ask(ctx context.Context, zone, name string, rrtype uint16) []chain.Reply {
	switch {
	case zone == s.zone && len(s.children) > 0:
		return s.askTargets(ctx, s.children, name, rrtype)
	case name == s.zone && rrtype == dns.TypeDS && len(s.parents) > 0:
		return s.askTargets(ctx, s.parents, name, rrtype)
	case s.unfound != nil && name == s.name && rrtype == s.rrtype && s.given:
		return s.askTargets(ctx, s.children, name, rrtype)
	}
	return append(s.client.askAnybody(ctx, zone, name, rrtype), s.doubts(name, rrtype)...)
}

// doubts is what goes beside the answers of the resolvers where the servers that
// are to be asked could not be found.
func (s *scene) doubts(name string, rrtype uint16) []chain.Reply {
	doubt := func(who string, why error) []chain.Reply {
		return []chain.Reply{{Server: who, Code: chain.CodeNoAnswer, Why: "not found: " + why.Error()}}
	}
	switch {
	case s.unfound != nil && name == s.name && rrtype == s.rrtype:
		return doubt("the name servers of the zone", s.unfound)
	case s.orphaned != nil && name == s.zone && rrtype == dns.TypeDS:
		return doubt("the servers of the parent", s.orphaned)
	}
	return nil
}

func (s *scene) askTargets(ctx context.Context, targets []target, name string, rrtype uint16) []chain.Reply {
	var asked []target
	for _, t := range targets {
		if t.at.IsValid() || t.doubt != "" {
			asked = append(asked, t)
		}
	}
	replies := each(asked, func(t target) chain.Reply { return s.reply(ctx, t, name, rrtype) })
	var out []chain.Reply
	for _, r := range replies {
		if r.Why != errNoRoute.Error() {
			out = append(out, r)
		}
	}
	return out
}

// reply is what one server says. Servers that were named need no authority:
// they may be resolvers, which must not check for us.
func (s *scene) reply(ctx context.Context, t target, name string, rrtype uint16) chain.Reply {
	server := t.Server.String()
	switch {
	case !t.at.IsValid():
		return chain.Reply{Server: server, Code: chain.CodeNoAnswer, Why: t.doubt}
	case s.given && t.Role == rollover.RoleChild:
		answer, err := s.client.exchange(ctx, t.at, unchecked(name, rrtype))
		return recursing(server, answer, err)
	case t.Role == rollover.RoleParent:
		answer, err := s.client.stream(ctx, t.at, direct(name, rrtype))
		return authoritative(server, answer, err)
	}
	answer, err := s.client.exchange(ctx, t.at, direct(name, rrtype))
	return authoritative(server, answer, err)
}

func recursing(server string, answer *dns.Msg, err error) chain.Reply {
	if err != nil {
		return chain.Reply{Server: server, Code: chain.CodeNoAnswer, Why: err.Error()}
	}
	if !answered(answer) {
		return chain.Reply{Server: server, Code: chain.CodeLame, Why: rcode(answer)}
	}
	return chain.Reply{Server: server, Message: answer}
}
