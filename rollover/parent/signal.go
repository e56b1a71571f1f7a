package parent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Authenticated bootstrapping (RFC 9615): the CDS and CDNSKEY records of a zone
// that has no DS yet, once more below the name of each of its name servers,
// where a chain of trust leads already. A parent that finds the same there can
// put in the first DS at once.

// signalName is where a name server with this name signals for a zone.
func signalName(zone, host string) string { return "_dsboot." + zone + "_signal." + host }

// signals is what became of the signalling records of a change.
type signals struct {
	text      string   // to be appended, for people
	missing   []string // records that could be put in, as a zone file has them
	spreading bool     // some were written just now
}

// signal writes or looks at the signalling records for a first DS, and takes
// them away before any other change: they would signal what is no more true.
func (d *CDS) signal(ctx context.Context, c rollover.Change) signals {
	if !first(c) {
		return signals{text: after(d.tidy(ctx, c).Text)}
	}
	hosts, err := d.signalling(ctx, c)
	switch {
	case err != nil:
		return signals{text: "; no signalling (RFC 9615), which not every parent needs: " + err.Error()}
	case len(hosts) == 0:
		return signals{text: "; no signalling (RFC 9615) is possible, since every name server has its name inside the zone"}
	}
	want := wanted(c)
	if !d.CDNSKEY {
		want.cdnskey = nil
	}
	var good, bad, written []string
	var out signals
	entries := d.writeAll(ctx, c.Zone, hosts, want)
	for i, seen := range d.signalledAll(ctx, c.Zone, entries, want) {
		switch e := entries[i]; {
		case e.changed:
			written = append(written, e.zone)
		case seen == "":
			good = append(good, e.host)
		default:
			bad = append(bad, e.host+" ("+seen+e.why+")")
			out.missing = append(out.missing, want.below(c.Zone, e.host)...)
		}
	}
	out.spreading = len(written) > 0
	out.text = after(listed("signalling records (RFC 9615) were written into zone ", slices.Compact(written))) +
		after(listed("signalled (RFC 9615) and validated below ", good)) +
		after(listed("no good signalling (RFC 9615), which not every parent needs, below ", bad))
	return out
}

// after is text to be appended to other text.
func after(text string) string {
	if text == "" {
		return ""
	}
	return "; " + text
}

// listed is a list with words before it, nothing if it is empty.
func listed(words string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return words + strings.Join(list, " and ")
}

// below is the records of a signalling name as a zone file has them.
func (e expectation) below(zone, host string) []string {
	var out []string
	for _, data := range e.cds {
		out = append(out, signalName(zone, host)+" IN CDS "+data)
	}
	for _, data := range e.cdnskey {
		out = append(out, signalName(zone, host)+" IN CDNSKEY "+data)
	}
	return out
}

// entry is what became of the records below one name server's name.
type entry struct {
	host    string
	zone    string // where they are on this PowerDNS; empty if nowhere, or it may not be known
	changed bool
	failed  bool   // it should have been, and could not
	why     string // what kept them from being written, in words to be appended
}

// writeAll makes the signalling names have the records, where it may, one after
// the other: it is one PowerDNS.
func (d *CDS) writeAll(ctx context.Context, zone string, hosts []string, want expectation) []entry {
	var out []entry
	for _, host := range hosts {
		out = append(out, d.write(ctx, zone, host, want))
	}
	return out
}

func (d *CDS) write(ctx context.Context, zone, host string, want expectation) entry {
	e := entry{host: host}
	if d.Signal == nil {
		return e
	}
	where, changed, err := d.Signal(ctx, signalName(zone, host), want.cds, want.cdnskey)
	switch {
	case errors.Is(err, rollover.ErrUnnamed):
		e.why = ", and its zone is not one of cds.signal_zones"
	case errors.Is(err, rollover.ErrUnknownZone):
		e.why = ", and its zone is not on this PowerDNS"
	case errors.Is(err, rollover.ErrSynthesised):
		e.zone, e.why = where, fmt.Sprintf(", though PowerDNS makes them by itself in zone %s (SIGNALING-ZONE)", where)
	case err != nil:
		e.failed, e.why = true, ", and writing them failed: "+err.Error()
	default:
		e.zone, e.changed = where, changed
		e.why = fmt.Sprintf(", though zone %s has them on this PowerDNS: with direct-dnskey=yes in its pdns.conf secondaries get them too", where)
	}
	return e
}

// tidy takes the signalling records away (RFC 9615 section 4.3), or says where
// there are some that somebody should take away.
func (d *CDS) tidy(ctx context.Context, c rollover.Change) rollover.Answer {
	if d.Signal == nil && !c.Over {
		return rollover.Answer{State: rollover.SubmissionAccepted}
	}
	hosts, err := d.signalling(ctx, c)
	if err != nil {
		hosts = outside(c.Zone, d.told(ctx, c))
	}
	entries := d.writeAll(ctx, c.Zone, hosts, expectation{})
	var removed, left []string
	answer := rollover.Answer{State: rollover.SubmissionAccepted}
	for i, seen := range d.signalledAll(ctx, c.Zone, entries, expectation{}) {
		switch e := entries[i]; {
		case e.changed:
			removed = append(removed, e.zone)
		case e.zone != "":
		case seen == othersThere:
			left = append(left, signalName(c.Zone, e.host)+" (CDS and CDNSKEY"+e.why+")")
			if e.failed {
				answer.State = rollover.SubmissionFailed
			}
		}
	}
	answer.Text = strings.TrimPrefix(after(listed("the signalling records (RFC 9615) are removed from zone ", slices.Compact(removed)))+
		after(listed("signalling records (RFC 9615) that can be taken out by hand now: ", left)), "; ")
	return answer
}

// othersThere is what is said of records at a signalling name that must not be there.
const othersThere = "others than those of the zone"

// signalledAll is signalled for all names that were not just written.
func (d *CDS) signalledAll(ctx context.Context, zone string, entries []entry, want expectation) []string {
	return each(entries, func(e entry) string {
		if e.changed {
			return ""
		}
		return d.signalled(ctx, zone, e.host, want)
	})
}

// signalled says in which way what validators find at a signalling name is not
// what a parent must find there; empty if it is. All that answer must find it:
// one that asked a name server which is not behind proves little.
func (d *CDS) signalled(ctx context.Context, zone, host string, want expectation) string {
	why := "not looked at, for no validator is configured"
	for i, validator := range d.Validators {
		said, err := d.signalledTo(ctx, resolver{d.Ask, []string{validator}}, signalName(zone, host), want)
		switch {
		case said != "":
			return said
		case err == nil:
			why = ""
		case i == 0:
			why = err.Error()
		}
	}
	return why
}

func (d *CDS) signalledTo(ctx context.Context, r resolver, name string, want expectation) (string, error) {
	for qtype, data := range map[uint16][]string{dns.TypeCDS: want.cds, dns.TypeCDNSKEY: want.cdnskey} {
		if qtype == dns.TypeCDNSKEY && !d.CDNSKEY {
			continue
		}
		answer, err := r.ask(ctx, name, qtype)
		if err != nil {
			return "", err
		}
		found, _, _ := announced(answer)
		switch {
		case len(found) == 0 && len(data) > 0:
			return "none", nil
		case len(without(found, data))+len(without(data, found)) > 0:
			return othersThere, nil
		case !answer.AuthenticatedData && len(data) > 0:
			return "there, and validators do not find them secure", nil
		}
	}
	return "", nil
}

// maxHosts is how many name servers' names are looked at, the first by name.
const maxHosts = 32

// signalling is the names of the zone's name servers that can signal for it. They
// are those of NS records that the keys of the zone have signed: a server may
// name whom it likes, and a delegation has no signature. The error is why there
// is no such set at any server.
func (d *CDS) signalling(ctx context.Context, c rollover.Change) ([]string, error) {
	var keys []rollover.DNSKEY
	for _, k := range c.Keys {
		keys = append(keys, k.DNSKEY())
	}
	err := errors.New("no server of the zone could be asked for its NS records")
	var names []string
	type found struct {
		records []dns.RR
		err     error
	}
	servers := ofZone(c)
	for _, f := range each(servers[:min(len(servers), maxServers)], func(s rollover.Server) found {
		records, err := d.ProvenBy(ctx, s.Address, c.Zone, keys, dns.TypeNS)
		return found{records, err}
	}) {
		if f.err != nil {
			err = f.err
		}
		names = append(names, targets(c.Zone, f.records)...)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("the NS records of the zone are not proven: %w", err)
	}
	return outside(c.Zone, names), nil
}

// told is the names of the zone's name servers as its servers tell them, proven
// or not: enough to take away what is below them about this very zone.
func (d *CDS) told(ctx context.Context, c rollover.Change) []string {
	m := new(dns.Msg).SetQuestion(c.Zone, dns.TypeNS)
	m.RecursionDesired = false
	m.SetEdns0(1232, true)
	servers := ofZone(c)
	return slices.Concat(each(servers[:min(len(servers), maxServers)], func(s rollover.Server) []string {
		answer, err := d.Ask(ctx, s.Address, m.Copy())
		if err != nil {
			return nil
		}
		return targets(c.Zone, answer.Answer)
	})...)
}

// targets is the name servers' names in the NS records of a zone.
func targets(zone string, records []dns.RR) []string {
	var out []string
	for _, rr := range records {
		if ns, ok := rr.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, zone) {
			out = append(out, dns.CanonicalName(ns.Ns))
		}
	}
	return out
}

// outside is the names that can signal for a zone: not those inside it (RFC 9615
// section 4.1), and those that are not too long for a name in front of them.
func outside(zone string, hosts []string) []string {
	out := slices.DeleteFunc(slices.Clone(hosts), func(host string) bool {
		_, err := rollover.ParseZone(signalName(zone, host))
		return err != nil || dns.IsSubDomain(zone, host)
	})
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxHosts)]
}
