package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// Remedies go by what is wrong, not by who is waited for.

// silentRemedy is what to do about a server without a usable answer.
func silentRemedy(zone string, v ServerSighting) string {
	zone = bare(zone)
	switch {
	case v.Role == RoleChild && strings.Contains(v.Unknown, "SERVFAIL"):
		return fmt.Sprintf("PowerDNS cannot serve that record: pdnsutil check-zone %s names it; such a record also ends every transfer of the zone", zone)
	case v.Role == RoleChild && (strings.Contains(v.Unknown, "REFUSED") || strings.Contains(v.Unknown, "lame") || strings.Contains(v.Unknown, "NOTAUTH")):
		return fmt.Sprintf("that server does not serve the zone: pdnsutil show-zone %s there; put the zone back, or take the server out of the NS records", zone)
	}
	return "repair it, or take it out of the NS records"
}

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

// spreading is what to do while name servers do not show what is awaited.
func (n Need) spreading(r *Roll) string {
	zone := bare(r.Zone)
	if tag := n.leftover(r); tag != 0 {
		return fmt.Sprintf("nothing, if it was just now; else DNSKEY %d is a record in the zone's own records (direct-dnskey), which no key is behind: pdnsutil delete-rrset %[2]s %[2]s DNSKEY; pdnsutil increase-serial %[2]s; pdns_control purge %[2]s$", tag, zone)
	}
	for _, lag := range n.Lagging {
		v := ServerSighting{Server: lag.Server, Unknown: lag.Detail}
		if remedy := silentRemedy(r.Zone, v); !lag.Bad && remedy != silentRemedy(r.Zone, ServerSighting{}) {
			return remedy
		}
	}
	return fmt.Sprintf("nothing, if it was just now: transfers take a moment; else look at that server, and at the transfer to it: rollover check %s; a zone of kind Native tells no secondaries (pdnsutil show-zone %s, pdnsutil set-kind %s primary)%s", r.Zone, zone, zone, n.exclusion(r))
}
