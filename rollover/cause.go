package rollover

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Remedies go by what is wrong, not by who is waited for.

// servfailed is one record that was answered with SERVFAIL, where others were not.
var servfailed = regexp.MustCompile(`^(\S+\. [A-Z0-9]+): SERVFAIL`)

// diagnosis is what to do about an answer that says itself what is wrong; empty for
// others.
func diagnosis(zone string, v ServerSighting) string {
	if strings.Contains(v.Unknown, "`dns.dont_query`") {
		return "if that network is yours, take it out of `dont_query` of [dns] in the configuration; if not, mend the address in the DNS"
	}
	if v.Role != RoleChild {
		return ""
	}
	if m := servfailed.FindStringSubmatch(v.Unknown); m != nil {
		return cannotServe(zone, m[1])
	}
	zone = bare(zone)
	switch {
	case strings.Contains(v.Unknown, "SERVFAIL"):
		return fmt.Sprintf("that server has the zone and cannot serve it: see its log, and on the primary pdnsutil check-zone %[1]s; on a secondary whose copy has expired: pdns_control retrieve %[1]s", zone)
	case strings.Contains(v.Unknown, "REFUSED"), strings.Contains(v.Unknown, "lame"), strings.Contains(v.Unknown, "NOTAUTH"):
		return fmt.Sprintf("that server does not serve the zone: pdnsutil show-zone %s there; put the zone back, or take the server out of the NS records", zone)
	}
	return ""
}

// silentRemedy is what to do about a server without a usable answer.
func silentRemedy(zone string, v ServerSighting) string {
	return cmp.Or(diagnosis(zone, v), "repair it, or take it out of the NS records")
}

// mending is what to do about a server that must answer before anything is done,
// and why it does not. A server is given up only where another of its side answers.
func (s Sighting) mending(o ServerSighting, why string) string {
	o.Unknown = why
	if remedy := diagnosis(s.Zone, o); remedy != "" {
		return remedy
	}
	if !s.spared(o) {
		return fmt.Sprintf("repair it: no other server of the %s answers", o.Role)
	}
	return fmt.Sprintf("repair it, or, if it stays away for good, and no secondary transfers from it, take it out with `rollover exclude-server --zone %s %s --reason WHY`", s.Zone, o.place())
}

// spared says whether another server of the same side answers.
func (s Sighting) spared(o ServerSighting) bool {
	return slices.ContainsFunc(s.Servers, func(v ServerSighting) bool {
		return v.Role == o.Role && v.Server != o.Server && v.Unchecked == "" && v.lacking(s.Records...) == ""
	})
}

// otherResolver is what to do about resolvers that do not give what proofs need.
const otherResolver = "set `resolvers` in the configuration to one that answers, with signatures"

// serialRemedy is what to do about servers with different serials.
func serialRemedy(zone string, newest uint32) string {
	return fmt.Sprintf("pdns_control notify %[1]s; if the one with serial %[2]d is a secondary, it takes no transfer until the primary has a larger one: pdnsutil edit-zone %[1]s on the primary", bare(zone), newest)
}

// leftover is the DNSKEY that every server of the zone still has although PowerDNS
// has no such key: it stands as a record in the zone (direct-dnskey), and goes by no
// transfer. 0 if it is not that.
func (n Need) leftover(r *Roll) uint16 {
	children := 0
	for _, s := range r.Servers {
		if s.Role == RoleChild && !s.Unchecked {
			children++
		}
	}
	var tag uint16
	for _, lag := range n.Lagging {
		var t uint16
		if _, err := fmt.Sscanf(lag.Detail, "still has DNSKEY %d", &t); err != nil || lag.Role != RoleChild || tag != 0 && t != tag {
			return 0
		}
		tag = t
	}
	if tag == 0 || len(n.Lagging) < children || slices.ContainsFunc(r.Keys, func(k Key) bool { return k.Tag == tag && k.Published }) {
		return 0
	}
	return tag
}

// exclusion is the advice to take a server out that stays away for good; none
// where no other server of its side is left to be asked.
func (n Need) exclusion(r *Roll) string {
	others := func(role string) bool {
		return slices.ContainsFunc(r.Servers, func(s ServerState) bool {
			return s.Role == role && !s.Unchecked && s.OK && !slices.ContainsFunc(n.Lagging, func(l Lag) bool { return l.Server == s.Server })
		})
	}
	for _, lag := range n.Lagging {
		gone := slices.ContainsFunc(r.Servers, func(s ServerState) bool { return s.Server == lag.Server && !s.OK })
		if gone && others(lag.Role) {
			return fmt.Sprintf("; if %s stays away for good, and no secondary transfers from it: rollover exclude-server --zone %s %s --reason WHY", lag.Server, r.Zone, lag.Address)
		}
	}
	return ""
}

// ahead is what to do about a server that is behind with a larger serial than one
// that is not: it takes no transfer.
func (n Need) ahead(r *Roll) string {
	lags := func(s Server) bool { return slices.ContainsFunc(n.Lagging, func(l Lag) bool { return l.Server == s }) }
	for _, late := range r.Servers {
		for _, good := range r.Servers {
			if late.Role != RoleChild || good.Role != RoleChild || late.Serial == 0 || good.Serial == 0 || !lags(late.Server) || lags(good.Server) {
				continue
			}
			if int32(late.Serial-good.Serial) > 0 {
				return fmt.Sprintf("%s has serial %d, ahead of %d at %s, and takes no transfer until the primary has a larger one: there pdnsutil edit-zone %[5]s (serial over %[2]d), pdns_control purge %[5]s$, pdns_control notify %[5]s",
					late.Server, late.Serial, good.Serial, good.Server, bare(r.Zone))
			}
		}
	}
	return ""
}

// spreading is what to do while name servers do not show what is awaited.
func (n Need) spreading(r *Roll) string {
	zone := bare(r.Zone)
	if tag := n.leftover(r); tag != 0 {
		unwanted := slices.DeleteFunc(slices.Clone(r.Strays.Keys), func(d DNSKEY) bool { return d.Tag() != tag })
		return fmt.Sprintf("nothing, if it was just now; else DNSKEY %d is a record in the zone's own records (direct-dnskey), which no key is behind: %s", tag, r.Strays.takeOut(zone, unwanted))
	}
	for _, lag := range n.Lagging {
		v := ServerSighting{Server: lag.Server, Unknown: lag.Detail}
		if remedy := diagnosis(r.Zone, v); !lag.Bad && remedy != "" {
			return remedy
		}
	}
	if remedy := cmp.Or(r.Strays.unreadable(r.Zone), n.ahead(r)); remedy != "" {
		return remedy
	}
	return fmt.Sprintf("nothing, if it was just now: transfers take a moment; else look at that server, and at the transfer to it: rollover check %s; a zone of kind Native tells no secondaries (pdnsutil show-zone %s, pdnsutil set-kind %s primary)%s", r.Zone, zone, zone, n.exclusion(r))
}
