package chain

import (
	"fmt"
	"strings"
)

// remedy is what to do about a fault, with the records to hand over where
// they can be told. at is the link that it was found on, -1 for none.
func remedy(code Code, t Trace, at int) string {
	zone, name := t.lowest(), t.lowest()
	if at >= 0 {
		zone, name = t.Links[at].Zone, t.Links[at].Name // whose keys sign it, also a DS: what commands are about is a zone, and not any name
	}
	show := "pdnsutil show-zone " + strings.TrimSuffix(zone, ".")
	switch code {
	case CodeDSMissing:
		return "hand the DS over to the registrar: " + t.rightDS(at)
	case CodeDSMismatch, CodeDSKeySilent:
		return "let the key that the DS is for sign again if it still exists (" + show + "), which mends it at once; else replace the DS at the registrar by " + t.rightDS(at)
	case CodeContradiction:
		return "compare the serials of the servers (rollover trace " + zone + " SOA): transfer the zone to those that are behind (pdns_control retrieve); where they are equal the records differ all the same: pdnsutil increase-serial " + strings.TrimSuffix(zone, ".") + " and pdns_control notify; records that a server computes (LUA, ALIAS) do not pass a transfer"
	case CodeAlgorithm, CodeDigest, CodeUnknownDS:
		return "correct the DS at the registrar, by copying: " + t.rightDS(at)
	case CodeUndelegated:
		return "add NS records for " + name + " to " + zone + ", and then, if it is signed, its DS"
	case CodeKeysMissing:
		return "have the registrar remove the DS of " + zone + ", or bring its keys back from a backup; for two TTLs of the DS validators fail all the same"
	case CodeKeyMissing:
		return "publish the key that signs: pdnsutil publish-zone-key " + strings.TrimSuffix(zone, ".") + " ID (" + show + ")"
	case CodeExpired:
		return "have the zone signed anew: on its primary check the clock, and pdnsutil rectify-zone and increase-serial; on a secondary check that transfers arrive"
	case CodeFuture:
		return "set the clock of the server that signs, and of this machine (chronyc tracking, timedatectl)"
	case CodeSignature, CodeSigner, CodeKeyUnfit:
		return "look at the server that signs " + zone + ": " + show + ", pdnsutil check-zone; and purge its caches (pdns_control purge " + strings.TrimSuffix(zone, ".") + "$)"
	case CodeUnsigned:
		return "have every server of " + zone + " serve the signed zone: transfer it anew (pdns_control retrieve), or sign it there; a resolver that meets the unsigned answer fails"
	case CodeDenial:
		return "have the NSEC or NSEC3 chain made anew: pdnsutil rectify-zone " + strings.TrimSuffix(zone, ".") + ", then pdnsutil increase-serial, purge and notify"
	case CodeTTL:
		return "look for something between you and the server that changes TTLs; caches that do not validate keep the records longer than the zone wants"
	case CodeLame:
		return "have that server serve the zone, or take it out of the NS records at the parent and in the zone"
	case CodeNoAnswer:
		return "make the server reachable over UDP and TCP port 53, or name servers that are with --server"
	case CodeLagging:
		return "transfer the zone to that server: pdns_control notify on the primary, pdns_control retrieve on the secondary; check its allow-notify and the primary's allow-axfr"
	case CodeIterations:
		return "pdnsutil set-nsec3 " + strings.TrimSuffix(zone, ".") + " '1 0 0 -' (RFC 9276)"
	case CodeNoAnchor:
		return "name a file with the trust anchor of that zone or of one above it: trust_anchors in the configuration"
	case CodeUncheckable, CodeTooMuch:
		return "ask a validating resolver instead: delv, or unbound-host -D"
	}
	return ""
}

// rightDS is the DS records of the keys that sign the DNSKEY set of the zone
// of a link, those with the SEP flag if there are any.
func (t Trace) rightDS(at int) string {
	var sep, all []string
	for _, l := range t.Links {
		if l.Kind != LinkDNSKEY || at >= 0 && l.Zone != t.Links[at].Name {
			continue
		}
		for _, k := range l.Keys {
			d, err := k.DS(l.Zone, 2)
			if err != nil || !k.Signs {
				continue
			}
			text := fmt.Sprintf("%s IN DS %s", l.Zone, d)
			all = append(all, text)
			if k.Flags&1 == 1 {
				sep = append(sep, text)
			}
		}
	}
	if len(sep) > 0 {
		all = sep
	}
	if len(all) == 0 {
		return "what `pdnsutil export-zone-ds` prints for an active key"
	}
	return strings.Join(all, "; ")
}
