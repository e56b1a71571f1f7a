package parent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// CDS is the cds driver: PowerDNS publishes CDS and CDNSKEY records (RFC 7344),
// and the parent takes the DS set from them, by polling or because it is told
// (RFC 9859).
type CDS struct {
	// Publish makes PowerDNS serve the records of the published keys, Delete
	// those that ask for the removal of the DS set (RFC 8078 section 4). Both say
	// whether there was anything to change; Show has them served once more.
	Publish func(ctx context.Context, zone string, digests []uint8, cdnskey bool) (changed bool, err error)
	Delete  func(ctx context.Context, zone string, cdnskey bool) (changed bool, err error)
	Show    func(ctx context.Context, zone string) error
	// Signal makes the records of a signalling name (RFC 9615) those given, none
	// if there are none, and says in which zone, and whether that changed it. It
	// wraps ErrUnknownZone where no zone for the name is in reach. With a nil
	// Signal the records are told, and nothing is written.
	Signal func(ctx context.Context, name string, cds, cdnskey []string) (zone string, changed bool, err error)
	// Signals says why Signal could write nowhere; nil if it is not asked.
	Signals func(ctx context.Context) error
	// Ask is how servers are asked. Proven is the records of a name, proven from a
	// trust anchor down, and the zone that it is in; ProvenBy those that a zone has
	// at its own name, as one server gives them, proven by these keys of it.
	Ask      Ask
	Proven   func(ctx context.Context, name string, rrtype uint16) (records []dns.RR, zone string, err error)
	ProvenBy func(ctx context.Context, server, zone string, keys []rollover.DNSKEY, rrtype uint16) ([]dns.RR, error)

	CDNSKEY    bool
	Notify     bool           // send NOTIFY(CDS) where the parent wants it
	Private    []netip.Prefix // that it may go to although they are not public
	Resolvers  []string       // to find the addresses of where that is
	Validators []string       // to see signalling records as a parent sees them
}

const (
	maxServers    = 256 // of a zone that are asked for its CDS records
	maxAnnounced  = 64  // records in one of their answers
	maxSignatures = 16  // on one of their record sets
)

var _ rollover.Registrar = (*CDS)(nil)

// Prepare asks, for a first DS, whether signalling records could be written.
func (d *CDS) Prepare(ctx context.Context, _, rollType string) error {
	if rollType != "sign" || d.Signals == nil {
		return nil
	}
	return d.Signals(ctx)
}

// Submit publishes the records, looks whether every server of the zone serves
// those that are wanted and no others, and tells the parent.
func (d *CDS) Submit(ctx context.Context, c rollover.Change) rollover.Answer {
	switch {
	case c.Over:
		return d.tidy(ctx, c)
	case !c.CDS:
		return rollover.Answer{State: rollover.SubmissionFailed, Text: fmt.Sprintf("the rollover was started for another driver (%s): CDS records cannot have the DS sets that it asks for", c.Method)}
	}
	changed, err := d.publish(ctx, c)
	if err != nil {
		state := rollover.SubmissionFailed
		if errors.Is(err, rollover.ErrUnavailable) {
			state = rollover.SubmissionLater
		}
		return rollover.Answer{State: state, Text: err.Error()}
	}
	children := ofZone(c)
	if len(children) > maxServers {
		return rollover.Answer{State: rollover.SubmissionLater, Text: fmt.Sprintf("too much: the zone has %d servers, and at most %d are asked", len(children), maxServers)}
	}
	worst := gravest(each(children, func(s rollover.Server) served { return d.serves(ctx, c, s) }))
	if worst.err != nil {
		if !changed && !errors.As(worst.err, new(*deafError)) {
			d.showAgain(ctx, c.Zone, &worst.answer)
		}
		return worst.answer
	}
	text := fmt.Sprintf("%d servers serve the CDS records", len(children))
	signals := d.signal(ctx, c)
	if signals.spreading {
		return rollover.Answer{State: rollover.SubmissionLater, Text: text + signals.text + "; the parent is told when they had time to spread", Missing: signals.missing}
	}
	return rollover.Answer{State: rollover.SubmissionAccepted, Text: text + signals.text + "; " + d.tell(ctx, c.Zone), Missing: signals.missing}
}

// ofZone is the servers of the zone.
func ofZone(c rollover.Change) []rollover.Server {
	return slices.DeleteFunc(slices.Clone(c.Servers), func(s rollover.Server) bool { return s.Role != rollover.RoleChild })
}

// served is what a server does not serve as it must be, and what the driver
// answers to that.
type served struct {
	answer rollover.Answer
	err    error
}

// gravest is what a person must look at, else what is yet to come, else a server
// that gave no answer.
func gravest(all []served) served {
	weight := func(s served) int {
		switch {
		case s.err == nil:
			return 3
		case errors.As(s.err, new(*deafError)):
			return 2
		case s.answer.State == rollover.SubmissionLater:
			return 1
		}
		return 0
	}
	if len(all) == 0 {
		return served{}
	}
	return slices.MinFunc(all, func(a, b served) int { return weight(a) - weight(b) })
}

// showAgain has PowerDNS show the records once more that a server does not
// serve: the try that has changed them may have died before it came to that.
func (d *CDS) showAgain(ctx context.Context, zone string, answer *rollover.Answer) {
	if err := d.Show(ctx, zone); err != nil {
		answer.Text += "; and they cannot be shown again: " + err.Error()
	}
}

func (d *CDS) publish(ctx context.Context, c rollover.Change) (changed bool, err error) {
	if c.Delete {
		return d.Delete(ctx, c.Zone, d.CDNSKEY)
	}
	return d.Publish(ctx, c.Zone, c.Digests, d.CDNSKEY)
}

// deafError is that of a server that gave no answer.
type deafError struct{ error }

// serves says why a server does not serve CDS and CDNSKEY as they must be, and
// what the driver answers to that. What is missing comes with the next transfer;
// what is too much a person must look at, for the parent would make DS records of it.
func (d *CDS) serves(ctx context.Context, c rollover.Change, s rollover.Server) served {
	answer := func(state rollover.SubmissionState, err error) served {
		return served{rollover.Answer{State: state, Text: s.String() + " " + err.Error()}, err}
	}
	cds, err := d.ask(ctx, c, s, dns.TypeCDS)
	if err != nil {
		return answer(rollover.SubmissionLater, fmt.Errorf("serves no CDS records that the parent can take: %w", err))
	}
	want := wanted(c)
	if extra := without(cds, want.cds, want.leaving, want.foreign); len(extra) > 0 {
		return answer(rollover.SubmissionFailed, fmt.Errorf(
			"serves a CDS that nobody asked for, and the parent would take it: %s: look for a key that is published beside those of this rollover (pdnsutil show-zone %s)", strings.Join(extra, "; "), c.Zone))
	}
	var cdnskey []string
	if d.CDNSKEY {
		if cdnskey, err = d.ask(ctx, c, s, dns.TypeCDNSKEY); err != nil {
			return answer(rollover.SubmissionLater, fmt.Errorf("serves no CDNSKEY records that the parent can take: %w", err))
		}
	}
	if err := want.lacking(cds, cdnskey, d.CDNSKEY); err != nil {
		return answer(rollover.SubmissionLater, err)
	}
	return served{}
}

// lacking is what a server that answers has yet to take over; nil if nothing.
func (e expectation) lacking(cds, cdnskey []string, both bool) error {
	switch {
	case len(without(cds, e.cds, e.foreign)) > 0:
		return fmt.Errorf("still serves CDS %s", strings.Join(without(cds, e.cds, e.foreign), "; "))
	case len(without(e.cds, cds)) > 0:
		return fmt.Errorf("does not serve CDS %s yet", strings.Join(without(e.cds, cds), "; "))
	case both && len(without(e.cdnskey, cdnskey))+len(without(cdnskey, e.cdnskey)) > 0 && len(e.foreign) == 0:
		return errors.New("does not serve the CDNSKEY records of the same keys yet")
	}
	return nil
}

// The records that ask for the removal of the DS set (RFC 8078 section 4).
const (
	deleteCDS     = "0 0 0 00"
	deleteCDNSKEY = "0 3 0 AA=="
)

// expectation is the records as they must be served.
type expectation struct {
	cds, cdnskey []string
	leaving      []string // of keys that are being taken away, and of what was asked for before
	foreign      []string // of others, which the parent has too
}

func wanted(c rollover.Change) expectation {
	if c.Delete {
		return expectation{cds: []string{deleteCDS}, cdnskey: []string{deleteCDNSKEY}, leaving: allOf(c)}
	}
	e := expectation{leaving: []string{deleteCDS}}
	for _, k := range c.Keys {
		for _, digestType := range c.Digests {
			d, err := k.DNSKEY().DS(c.Zone, digestType)
			switch {
			case err != nil:
			case slices.Contains(c.Add, d) || slices.Contains(c.Keep, d):
				e.cds = append(e.cds, d.String())
				if !slices.Contains(e.cdnskey, k.DNSKEY().String()) {
					e.cdnskey = append(e.cdnskey, k.DNSKEY().String())
				}
			default:
				e.leaving = append(e.leaving, d.String())
			}
		}
	}
	for _, d := range c.Set {
		if !slices.Contains(e.cds, d.String()) && !slices.Contains(e.leaving, d.String()) {
			e.foreign = append(e.foreign, d.String())
		}
	}
	return e
}

// allOf is the CDS records of all keys of a change.
func allOf(c rollover.Change) []string {
	var out []string
	for _, k := range c.Keys {
		for _, digestType := range []uint8{2, 4} {
			if d, err := k.DNSKEY().DS(c.Zone, digestType); err == nil {
				out = append(out, d.String())
			}
		}
	}
	return out
}

// without is a list without those of others.
func without(list []string, others ...[]string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(item string) bool {
		return slices.ContainsFunc(others, func(o []string) bool { return slices.Contains(o, item) })
	})
}

// ask is the data of the CDS or CDNSKEY records of a zone at one of its servers.
// There must be some, signed by a key that the parent can trust.
func (d *CDS) ask(ctx context.Context, c rollover.Change, s rollover.Server, qtype uint16) ([]string, error) {
	m := new(dns.Msg).SetQuestion(c.Zone, qtype)
	m.RecursionDesired = false
	m.SetEdns0(1232, true)
	answer, err := d.Ask(ctx, s.Address, m)
	switch {
	case err != nil:
		return nil, &deafError{err}
	case answer.Rcode != dns.RcodeSuccess || !answer.Authoritative:
		return nil, fmt.Errorf("it answers %s, authoritative %v", rcode(answer.Rcode), answer.Authoritative)
	}
	out, set, signatures := announced(answer)
	switch {
	case len(set) == 0:
		return nil, errors.New("there are none")
	case len(set) > maxAnnounced || len(signatures) > maxSignatures:
		return nil, fmt.Errorf("too much: there are %d, with %d signatures", len(set), len(signatures))
	}
	return out, signed(c, set, signatures)
}

// announced is the CDS or CDNSKEY records of an answer, their data as text, and
// the signatures.
func announced(answer *dns.Msg) (data []string, set []dns.RR, signatures []*dns.RRSIG) {
	for _, rr := range answer.Answer {
		switch rr := rr.(type) {
		case *dns.CDS:
			data = append(data, rollover.DS{Tag: rr.KeyTag, Algorithm: rr.Algorithm, DigestType: rr.DigestType, Digest: strings.ToUpper(rr.Digest)}.String())
			set = append(set, rr)
		case *dns.CDNSKEY:
			data = append(data, fmt.Sprintf("%d %d %d %s", rr.Flags, rr.Protocol, rr.Algorithm, rr.PublicKey))
			set = append(set, rr)
		case *dns.RRSIG:
			signatures = append(signatures, rr)
		}
	}
	return data, set, signatures
}

// signed says why no signature of a set is one that the parent can check. The
// set must be that of the zone: its keys sign what is below it too.
func signed(c rollover.Change, set []dns.RR, signatures []*dns.RRSIG) error {
	if owner := set[0].Header().Name; !strings.EqualFold(owner, c.Zone) {
		return fmt.Errorf("they are those of %s", owner)
	}
	for _, k := range c.Keys {
		if !trusted(c, k) {
			continue
		}
		key := &dns.DNSKEY{
			Hdr:   dns.RR_Header{Name: c.Zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET},
			Flags: k.Flags, Protocol: 3, Algorithm: k.Algorithm, PublicKey: k.PublicKey,
		}
		for _, s := range signatures {
			if s.ValidityPeriod(time.Now()) && s.Verify(key, set) == nil {
				return nil
			}
		}
	}
	if first(c) {
		return errors.New("they are not signed by a key that the first DS is to name")
	}
	return errors.New("they are not signed by a key that has its DS at the parent")
}

// bare says whether the parent has no DS of the zone now.
func bare(c rollover.Change) bool {
	return len(c.Set) == len(c.Add) && len(c.Keep)+len(c.Remove) == 0
}

// first says whether a first DS is asked for (RFC 8078 section 3).
func first(c rollover.Change) bool { return bare(c) && len(c.Add) > 0 }

// trusted says whether the parent can check what a key has signed: by a DS that
// it has (RFC 7344 section 4.1), or that it is asked for as its first. Where it
// has none to remove, any key of the zone will do.
func trusted(c rollover.Change, k rollover.Key) bool {
	switch {
	case first(c):
		return pointed(c, k, c.Add)
	case bare(c):
		return c.Delete
	}
	return pointed(c, k, c.Keep) || pointed(c, k, c.Remove)
}

// pointed says whether a DS of a set is one of the key.
func pointed(c rollover.Change, k rollover.Key, set []rollover.DS) bool {
	for _, digestType := range []uint8{1, 2, 4} {
		if d, err := k.DNSKEY().DS(c.Zone, digestType); err == nil && slices.Contains(set, d) {
			return true
		}
	}
	return false
}
