package rollover

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits are from when on things are worth telling.
type Limits struct {
	ExpiryWarning  time.Duration // a signature that expires sooner is a warning
	ExpiryCritical time.Duration // and sooner than this, critical
	Pending        time.Duration // for how long the operator may have something to do
	Stuck          time.Duration // for how long beyond its plan a step may take
}

// DefaultLimits are those of check when nothing is set.
func DefaultLimits() Limits {
	return Limits{ExpiryWarning: 5 * 24 * time.Hour, ExpiryCritical: 3 * 24 * time.Hour, Pending: 7 * 24 * time.Hour, Stuck: 2 * time.Hour}
}

// Health is what one complete look at a zone (all three records) shows that is
// not as it should be, worst first; none if all is well. It does not know of
// rollovers: see Expected.
func Health(s Sighting, p Policy, l Limits) []Finding {
	e := examination{sighting: s, policy: p, limits: l}
	e.silence()
	e.parents()
	e.children()
	e.agreement()
	e.algorithms()
	e.strictness()
	e.denials()
	e.anchored()
	e.lengths()
	e.strangers()
	return worstFirst(e.findings)
}

type examination struct {
	sighting Sighting
	policy   Policy
	limits   Limits
	findings []Finding
}

func (e *examination) add(code string, severity Severity, server Server, text, remedy string) {
	name := server.String()
	if server.Role != "" && name != "" {
		name = server.Role + " " + name
	}
	f := Finding{Code: code, Severity: severity, Server: name, Text: text, Remedy: remedy}
	if !slices.Contains(e.findings, f) {
		e.findings = append(e.findings, f)
	}
}

// silence finds servers without a usable answer. While another one answers it
// is a warning: resolvers go on to that one.
func (e *examination) silence() {
	for _, role := range []string{RoleParent, RoleChild} {
		var silent []ServerSighting
		asked := 0
		for _, v := range e.sighting.Servers {
			if v.Role != role || v.Unchecked != "" {
				continue
			}
			asked++
			if v.Unknown != "" {
				silent = append(silent, v)
			}
		}
		severity := SeverityWarning
		if len(silent) == asked {
			severity = SeverityCritical
		}
		for _, v := range silent {
			e.add(FindingSilent, severity, v.Server, v.Unknown, silentRemedy(e.sighting.Zone, v))
		}
		if asked == 0 && !(role == RoleParent && e.sighting.Alone) {
			e.add(FindingSilent, SeverityCritical, Server{}, "no "+role+" server could be asked", "see `servers` and `parent_servers` in the configuration")
		}
	}
}

// parents examines what the parent's servers say of the DS set.
func (e *examination) parents() {
	var first *DSVersion
	for _, v := range e.sighting.relevant(RecordDS) {
		if v.DS == nil {
			continue
		}
		e.proven(v)
		e.delegated(v)
		if first == nil {
			first = v.DS
		} else if !slices.Equal(sorted(first.Set), sorted(v.DS.Set)) {
			e.add(FindingDSDiffers, SeverityWarning, v.Server, fmt.Sprintf("has DS %s, where another server of the parent has %s", tags(v.DS.Set), tags(first.Set)), "wait for the parent's servers to agree; if they do not within a day, tell the registry")
		}
		e.digests(v)
	}
}

func (e *examination) proven(v ServerSighting) {
	if e.policy.Evidence != EvidenceValidated {
		return
	}
	why := v.DS.unvalidated()
	switch {
	case why == "":
		return
	case v.DS.insecure():
		e.unsignedParent(v)
		return
	}
	severity := SeverityWarning
	if v.DS.Standing != nil && v.DS.Standing.Security == Bogus {
		severity = SeverityCritical
	}
	remedy := "rollover trace " + e.sighting.Zone
	if v.DS.Standing != nil && v.DS.Standing.Resolver != "" {
		remedy = otherResolver
	}
	e.add(FindingUnproven, severity, v.Server, why, remedy)
}

// delegated finds a parent that does not delegate the zone. One that proves it
// makes every validator fail, whether the zone is signed or not.
func (e *examination) delegated(v ServerSighting) {
	text := v.DS.undelegated(e.sighting.Zone)
	if text == "" {
		return
	}
	severity := SeverityWarning
	if v.DS.Denied {
		severity = SeverityCritical
	}
	e.add(FindingUndelegated, severity, v.Server, text, "a DS comes after that, if the zone is signed")
}

func (e *examination) digests(v ServerSighting) {
	if len(v.DS.Set) > 0 && !slices.ContainsFunc(v.DS.Set, func(d DS) bool { return d.DigestType != 1 }) {
		e.add(FindingWeak, SeverityWarning, v.Server, "has DS of digest type 1 (SHA-1) only", "add a DS of digest type 2 at the registrar")
	}
}

// dsSets is the DS sets that the parent's servers show, each once.
func (e *examination) dsSets() [][]DS {
	var out [][]DS
	for _, v := range e.sighting.relevant(RecordDS) {
		if v.DS == nil || v.DS.insecure() {
			continue
		}
		set := sorted(v.DS.Set)
		if !slices.ContainsFunc(out, func(o []DS) bool { return slices.Equal(o, set) }) {
			out = append(out, set)
		}
	}
	return out
}

// children examines, server by server, the chain from every DS set to data.
func (e *examination) children() {
	sets, signed := e.dsSets(), false
	for _, v := range e.sighting.relevant(RecordDNSKEY) {
		if v.DNSKEY == nil {
			continue
		}
		signed = signed || len(v.DNSKEY.Keys) > 0
		if v.OverTCP != "" {
			e.add(FindingTCP, SeverityWarning, v.Server, "answers over UDP, and not over TCP: "+v.OverTCP, "open TCP port 53: answers that do not fit into a packet need it (RFC 7766)")
		}
		for _, set := range sets {
			e.link(v, set)
		}
		if len(v.DNSKEY.Keys) > 0 {
			e.content(v)
		}
	}
	secured := len(e.sighting.Anchor) > 0 || slices.ContainsFunc(sets, func(set []DS) bool { return len(set) > 0 })
	switch {
	case e.sighting.undelegated() != "": // which is told, and comes first
	case signed && !secured && len(sets) > 0:
		e.add(FindingNoDS, SeverityWarning, Server{}, "the zone is signed, and the parent has no DS for it: nobody validates it", "hand the DS over to the registrar: pdnsutil export-zone-ds "+bare(e.sighting.Zone))
	case !signed && !secured:
		e.add(FindingUnsigned, SeverityOK, Server{}, "the zone is not signed", "")
	}
}

// link examines one DS set with the DNSKEY set of one server (RFC 4035 section 5.2).
func (e *examination) link(v ServerSighting, set []DS) {
	if len(set) == 0 || e.useless(set) {
		return
	}
	trace := "rollover trace " + e.sighting.Zone
	if len(v.DNSKEY.Keys) == 0 {
		e.add(FindingKeys, SeverityCritical, v.Server, "has no DNSKEY set, while the parent has DS "+tags(set)+": every validator fails there", trace)
		return
	}
	if Chained(e.sighting.Zone, set, *v.DNSKEY) {
		return
	}
	text := fmt.Sprintf("DS %s at the parent, DNSKEY %s signed by %s: no key that the DS is for has signed the DNSKEY set", tags(set), keyTags(v.DNSKEY.Keys), keyTags(v.DNSKEY.Signers))
	for _, f := range v.DNSKEY.Faults {
		text += fmt.Sprintf("; signature by %d: %s", f.Tag, f.Fault)
	}
	e.add(FindingChain, SeverityCritical, v.Server, text, trace)
}

// Chained says whether some key of a DNSKEY set is what a DS set points to and
// has signed the set: one valid path is enough (RFC 6840 section 5.11). A
// SHA-1 DS does not count beside a stronger one (RFC 4509 section 3).
func Chained(zone string, set []DS, keys KeyVersion) bool {
	strong := slices.ContainsFunc(set, func(d DS) bool { return d.DigestType == 2 || d.DigestType == 4 })
	return slices.ContainsFunc(keys.Signers, func(k DNSKEY) bool {
		return slices.Contains(keys.Keys, k) && slices.ContainsFunc(set, func(d DS) bool {
			want, err := k.DS(zone, d.DigestType)
			return err == nil && want == d && !(strong && d.DigestType == 1)
		})
	})
}

// Covered says whether the keys of a DNSKEY set have signed data: one of them
// every RRset looked at, or, where two keys share the RRsets between them
// (packet caches in the middle of a switch), each by one of them.
func Covered(keys KeyVersion, data DataVersion) bool {
	if slices.ContainsFunc(data.Signers, func(k DNSKEY) bool { return slices.Contains(keys.Keys, k) }) {
		return true
	}
	if len(data.Signers) > 0 || len(data.Faults) > 0 || len(data.Traces) == 0 {
		return false
	}
	return !slices.ContainsFunc(data.Traces, func(t Signature) bool {
		return !slices.ContainsFunc(keys.Keys, func(k DNSKEY) bool { return k.Tag() == t.Tag && k.Algorithm == t.Algorithm })
	})
}

// content examines the signatures of one server.
func (e *examination) content(v ServerSighting) {
	trace := "rollover trace " + e.sighting.Zone
	if v.Data != nil && !Covered(*v.DNSKEY, *v.Data) {
		text := "data that no key of its DNSKEY set has signed"
		for _, f := range v.Data.Faults[:min(3, len(v.Data.Faults))] {
			text += fmt.Sprintf("; %s: %s", strings.TrimSpace(f.On+" signature"), f.Fault)
		}
		e.add(FindingData, SeverityCritical, v.Server, text, trace)
	}
	for _, expires := range []time.Time{v.DNSKEY.Expires, v.Data.expires()} {
		e.expiry(v, expires)
	}
	if v.Data != nil && v.Data.TTL > maxSaneTTL {
		e.add(FindingTTL, SeverityWarning, v.Server, fmt.Sprintf("a TTL of %d s: more than %d s makes rollovers slow, and signatures that are nearly as short-lived fail in caches", v.Data.TTL, maxSaneTTL), "lower it")
	}
}

// lengths finds TTLs of which waits count a part only.
func (e *examination) lengths() {
	for _, v := range e.sighting.Servers {
		for _, record := range []Record{RecordDNSKEY, RecordData, RecordDS} {
			if ttl, shown := v.claimed(record); shown && cachedFor(ttl) < ttl {
				e.add(FindingTTL, SeverityWarning, v.Server, fmt.Sprintf("a TTL of %d s of %s: rollover waits for %d s of it, which is the most that resolvers keep anything", ttl, record, cachedFor(ttl)),
					fmt.Sprintf("lower it, if it is yours; if the server made it up: rollover forget %s --record %s --reason WHY", e.sighting.Zone, record))
			}
		}
	}
}

// maxSaneTTL is a day; a TTL that was mistyped once let 11,026 signatures of
// one zone expire (RIPE NCC, TIMING 22).
const maxSaneTTL = 86400

func (v *DataVersion) expires() time.Time {
	if v == nil {
		return time.Time{}
	}
	return v.Expires
}

// expiry finds signatures that end soon; one that has ended is a broken chain.
func (e *examination) expiry(v ServerSighting, expires time.Time) {
	if expires.IsZero() {
		return
	}
	left := expires.Sub(e.sighting.At.Wall)
	severity := SeverityWarning
	switch {
	case left < e.limits.ExpiryCritical:
		severity = SeverityCritical
	case left >= e.limits.ExpiryWarning:
		return
	}
	e.add(FindingExpiry, severity, v.Server, fmt.Sprintf("signatures expire at %s, in %s", expires.UTC().Format(time.RFC3339), left.Round(time.Minute)),
		"on the server that signs check its clock; on a secondary check that transfers arrive (SOA-EDIT must raise the serial every week)")
}

// strangers finds name servers that somebody has made up, or that lost the signature
// of the set that they stand in.
func (e *examination) strangers() {
	for _, s := range e.sighting.Strangers {
		e.add(FindingStranger, SeverityWarning, Server{}, s.By+" names "+s.Name+" as a name server of the zone, which the delegation does not, in an NS set that no key of the zone has signed: it is not asked", "if it is one of yours, have the zone signed anew or put it into `servers` of the zone; if not, find out who answers in the place of "+s.By)
	}
}

// agreement compares serials and key sets of the zone's servers.
func (e *examination) agreement() {
	var newest, first *ServerSighting
	for _, v := range e.sighting.relevant(RecordDNSKEY) {
		if v.Serial != 0 && (newest == nil || int32(v.Serial-newest.Serial) > 0) {
			newest = &v
		}
		if v.DNSKEY == nil {
			continue
		}
		if first == nil {
			first = &v
		} else if !slices.Equal(first.DNSKEY.Keys, v.DNSKEY.Keys) {
			e.unlike(v, *first)
		}
	}
	for _, v := range e.sighting.relevant(RecordDNSKEY) {
		if v.Serial != 0 && v.Serial != newest.Serial {
			e.add(FindingSerial, SeverityWarning, v.Server, fmt.Sprintf("has serial %d, where %s has %d", v.Serial, newest.Server, newest.Serial), serialRemedy(e.sighting.Zone, newest.Serial))
		}
	}
}

// algorithms finds algorithms that are announced and do not sign (RFC 4035
// section 2.2): validators that insist on all of them fail.
func (e *examination) algorithms() {
	for _, v := range e.sighting.relevant(RecordDNSKEY) {
		if v.DNSKEY == nil || len(v.DNSKEY.Keys) == 0 {
			continue
		}
		for _, set := range e.dsSets() {
			e.announced(v, set)
		}
		for _, algorithm := range algorithmsOf(v.DNSKEY.Keys) {
			if algorithm <= 7 {
				e.add(FindingWeak, SeverityWarning, v.Server, fmt.Sprintf("has keys of algorithm %d, which must not be used any more (RFC 9905)", algorithm), "roll to algorithm 13")
			}
			if v.Data != nil && len(v.Data.Traces) > 0 && !slices.ContainsFunc(v.Data.Traces, func(t Signature) bool { return t.Algorithm == algorithm }) {
				e.add(FindingAlgorithm, SeverityWarning, v.Server, fmt.Sprintf("has a key of algorithm %d, and no data is signed with it", algorithm), "let a key of that algorithm sign, or take it out")
			}
		}
	}
}

// announced: every algorithm of the DS set must sign the DNSKEY set, or
// validators that harden against downgrades fail.
func (e *examination) announced(v ServerSighting, set []DS) {
	for _, d := range set {
		if checkedAlgorithm(d.Algorithm) && !slices.ContainsFunc(v.DNSKEY.Signers, func(k DNSKEY) bool { return k.Algorithm == d.Algorithm }) {
			e.add(FindingAlgorithm, SeverityWarning, v.Server, fmt.Sprintf("the parent has a DS of algorithm %d, and no key of that algorithm signs the DNSKEY set", d.Algorithm), "take that DS out at the registrar, or let such a key sign")
		}
	}
}

func checkedAlgorithm(a uint8) bool { return a == 8 || a == 10 || a == 13 || a == 14 || a == 15 }

func algorithmsOf(keys []DNSKEY) []uint8 {
	var out []uint8
	for _, k := range keys {
		if !slices.Contains(out, k.Algorithm) {
			out = append(out, k.Algorithm)
		}
	}
	return out
}

// bare is a zone name as pdnsutil prints it.
func bare(zone string) string {
	if zone == "." {
		return zone
	}
	return strings.TrimSuffix(zone, ".")
}
