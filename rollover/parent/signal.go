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
	hosts := d.signalling(ctx, c)
	if len(hosts) == 0 {
		return signals{text: "; no signalling (RFC 9615) is possible, since every name server has its name inside the zone"}
	}
	want := wanted(c)
	if !d.CDNSKEY {
		want.cdnskey = nil
	}
	var good, bad, written []string
	var out signals
	for _, host := range hosts {
		zone, changed, why := d.write(ctx, c.Zone, host, want)
		if changed {
			written = append(written, zone)
			continue
		}
		if seen := d.signalled(ctx, c.Zone, host, want); seen == "" {
			good = append(good, host)
		} else {
			bad = append(bad, host+" ("+seen+why+")")
			out.missing = append(out.missing, want.below(c.Zone, host)...)
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

// write makes a signalling name have the records, if it may. why is what kept it
// from doing so, in words to be appended.
func (d *CDS) write(ctx context.Context, zone, host string, want expectation) (where string, changed bool, why string) {
	if d.Signal == nil {
		return "", false, ""
	}
	where, changed, err := d.Signal(ctx, signalName(zone, host), want.cds, want.cdnskey)
	switch {
	case errors.Is(err, rollover.ErrUnknownZone):
		return "", false, ", and its zone is not on this PowerDNS"
	case err != nil:
		return "", false, ", and writing them failed: " + err.Error()
	}
	return where, changed, fmt.Sprintf(", though zone %s has them on this PowerDNS: with direct-dnskey=yes in its pdns.conf secondaries get them too", where)
}

// tidy takes the signalling records away (RFC 9615 section 4.3), or says where
// there are some that somebody should take away.
func (d *CDS) tidy(ctx context.Context, c rollover.Change) rollover.Answer {
	if d.Signal == nil && !c.Over {
		return rollover.Answer{State: rollover.SubmissionAccepted}
	}
	var removed, left []string
	answer := rollover.Answer{State: rollover.SubmissionAccepted}
	for _, host := range d.signalling(ctx, c) {
		zone, changed, why := d.write(ctx, c.Zone, host, expectation{})
		switch {
		case changed:
			removed = append(removed, zone)
		case zone != "":
		case d.signalled(ctx, c.Zone, host, expectation{}) == othersThere:
			left = append(left, signalName(c.Zone, host)+" (CDS and CDNSKEY"+why+")")
			if d.Signal != nil && !strings.Contains(why, "not on this PowerDNS") {
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

// signalled says in which way what validators find at a signalling name is not
// what a parent must find there; empty if it is. All that answer must find it:
// one that asked a name server which is not behind proves little.
func (d *CDS) signalled(ctx context.Context, zone, host string, want expectation) string {
	why := "not looked at, for no validator is configured"
	for i, validator := range d.Validators {
		said, err := d.signalledTo(ctx, resolver{[]string{validator}, timeoutOf(d.Timeout)}, signalName(zone, host), want)
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

// signalling is the names of the zone's name servers that can signal for it: not
// those inside the zone (RFC 9615 section 4.1), and those with a name that is not
// too long for a name in front of it.
func (d *CDS) signalling(ctx context.Context, c rollover.Change) []string {
	var out []string
	for _, s := range c.Servers {
		for _, host := range d.hosts(ctx, c.Zone, s) {
			_, err := rollover.ParseZone(signalName(c.Zone, host))
			if err == nil && !dns.IsSubDomain(c.Zone, host) && !slices.Contains(out, host) {
				out = append(out, host)
			}
		}
	}
	slices.Sort(out)
	return out
}

// hosts is the names of the zone's name servers as one of its servers, or one
// of its parent's, tells them. One that does not answer tells none.
func (d *CDS) hosts(ctx context.Context, zone string, s rollover.Server) []string {
	m := new(dns.Msg).SetQuestion(zone, dns.TypeNS)
	m.RecursionDesired = false
	answer, err := exchange(ctx, m, s.Address, timeoutOf(d.Timeout))
	if err != nil {
		return nil
	}
	var out []string
	for _, rr := range slices.Concat(answer.Answer, answer.Ns) {
		if ns, ok := rr.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, zone) {
			out = append(out, dns.CanonicalName(ns.Ns))
		}
	}
	return out
}
