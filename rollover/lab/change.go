package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// DS returns the data of the DS records that the parent's primary serves for
// a zone, sorted, for instance "12345 13 2 AB12...".
func (l *Lab) DS(ctx context.Context, zone string) ([]string, error) {
	return l.dsAt(ctx, l.p1, dns.CanonicalName(zone))
}

func (l *Lab) dsAt(ctx context.Context, s *server, zone string) ([]string, error) {
	answer, err := ask(ctx, s.addr, zone, dns.TypeDS)
	if err != nil {
		return nil, err
	}
	if answer.Rcode != dns.RcodeSuccess {
		return nil, fmt.Errorf("asking %s for the DS records of %s: %s", s.addr, zone, dns.RcodeToString[answer.Rcode])
	}
	var data []string
	for _, rr := range answer.Answer {
		if rr.Header().Rrtype == dns.TypeDS {
			data = append(data, rdata(rr))
		}
	}
	slices.Sort(data)
	return data, nil
}

// rdata is a record without its owner, TTL, class and type.
func rdata(rr dns.RR) string { return strings.TrimPrefix(rr.String(), rr.Header().String()) }

// SetDS makes the parent serve exactly these DS records for a zone, none if
// there are none. It returns when both servers of the parent do; one that is
// held back, paused or stopped is not waited for.
func (l *Lab) SetDS(ctx context.Context, zone string, records []string) error {
	zone = dns.CanonicalName(zone)
	want, err := parseDS(zone, records)
	if err != nil {
		return err
	}
	if l.options.BIND {
		return errBIND
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.replace(ctx, l.p1, l.options.Parent, zone, "DS", l.options.DSTTL, want); err != nil {
		return err
	}
	if err := l.publish(ctx, l.p1, l.p2, l.options.Parent); err != nil {
		return err
	}
	for _, s := range []*server{l.p1, l.p2} {
		if err := l.awaitDS(ctx, s, zone, want); err != nil {
			return err
		}
	}
	return nil
}

func parseDS(zone string, records []string) ([]string, error) {
	var data []string
	for _, text := range records {
		rr, err := dns.NewRR(zone + " 0 IN DS " + text)
		if err != nil {
			return nil, fmt.Errorf("reading the DS record %q: %w", text, err)
		}
		data = append(data, rdata(rr))
	}
	slices.Sort(data)
	return slices.Compact(data), nil
}

func (l *Lab) awaitDS(ctx context.Context, s *server, zone string, want []string) error {
	if !s.answering() {
		return nil
	}
	return poll(ctx, 20*time.Millisecond, func() error {
		have, err := l.dsAt(ctx, s, zone)
		if err == nil && !slices.Equal(have, want) {
			err = fmt.Errorf("%s serves the DS records %q of %s, not %q", s.addr, have, zone, want)
		}
		return errors.Join(s.check(), err)
	})
}

// replace puts an RRset into a primary's database, or takes it out if there
// is no data. Nothing shows before publish.
func (l *Lab) replace(ctx context.Context, s *server, zone, name, rrtype string, ttl uint32, data []string) error {
	args := []string{"delete-rrset", bare(zone), l.operand(zone, name), rrtype}
	if len(data) > 0 {
		args[0] = "replace-rrset"
		args = append(append(args, strconv.FormatUint(uint64(ttl), 10)), data...)
	}
	_, err := l.util(ctx, s, args...)
	return err
}

// operand is a record's name as pdnsutil wants it: up to 4.9 relative to the
// zone and "@" for the zone itself, from 5.0 on absolute.
func (l *Lab) operand(zone, name string) string {
	switch {
	case l.major >= 5:
		return name
	case name == zone:
		return "@"
	}
	return strings.TrimSuffix(name, "."+zone)
}

// publish makes a change in a primary's database visible on it and, unless
// that is held back, paused or stopped, on its secondary. The order matters: a
// NOTIFY before the purge would have the secondary read the old serial.
func (l *Lab) publish(ctx context.Context, primary, secondary *server, zone string) error {
	for _, args := range [][]string{{"rectify-zone", bare(zone)}, {"increase-serial", bare(zone)}} {
		if _, err := l.util(ctx, primary, args...); err != nil {
			return err
		}
	}
	if !primary.answering() {
		return nil
	}
	for _, args := range [][]string{{"purge", bare(zone) + "$"}, {"notify", bare(zone)}} {
		if err := l.ctl(ctx, primary, args...); err != nil {
			return err
		}
	}
	return l.follow(ctx, secondary, zone)
}

// follow has a secondary transfer a zone and waits until it serves the
// serial of its primary, signed if that is.
func (l *Lab) follow(ctx context.Context, s *server, zone string) error {
	if !s.answering() || !s.primary.answering() {
		return nil
	}
	return poll(ctx, time.Second, func() error {
		if err := l.ctl(ctx, s, "retrieve", bare(zone)); err != nil {
			return &final{err}
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		return l.awaitSerial(ctx, s, zone)
	})
}

func (l *Lab) awaitSerial(ctx context.Context, s *server, zone string) error {
	return poll(ctx, 10*time.Millisecond, func() error {
		want, signed, err := l.serial(ctx, s.primary, zone)
		if err != nil {
			return errors.Join(s.primary.check(), err)
		}
		have, too, err := l.serial(ctx, s, zone)
		if err == nil && (have != want || signed != too) {
			err = fmt.Errorf("%s serves serial %d of %s (signed: %t), its primary %d (%t)", s.addr, have, zone, too, want, signed)
		}
		return errors.Join(s.check(), err)
	})
}

// serial asks a server for the serial of a zone, and whether it is signed.
func (l *Lab) serial(ctx context.Context, s *server, zone string) (serial uint32, signed bool, err error) {
	answer, err := ask(ctx, s.addr, zone, dns.TypeSOA)
	if err != nil {
		return 0, false, err
	}
	var soa *dns.SOA
	for _, rr := range answer.Answer {
		switch rr := rr.(type) {
		case *dns.SOA:
			soa = rr
		case *dns.RRSIG:
			signed = true
		}
	}
	if soa == nil {
		return 0, false, fmt.Errorf("%s has no SOA record of %s: %s", s.addr, zone, dns.RcodeToString[answer.Rcode])
	}
	return soa.Serial, signed, nil
}

// HoldParent2 keeps the secondary of the parent at what it has: it answers,
// but cannot transfer. When released it has caught up on return.
func (l *Lab) HoldParent2(ctx context.Context, hold bool) error {
	return l.hold(ctx, l.p2, hold, l.options.Parent)
}

// HoldChild2 does the same to the secondary of the children.
func (l *Lab) HoldChild2(ctx context.Context, hold bool) error {
	return l.hold(ctx, l.c2, hold, l.zoneNames()...)
}

func (l *Lab) zoneNames() []string {
	var names []string
	for _, z := range l.options.Zones {
		names = append(names, z.Name)
	}
	return names
}

// CutChild2 loses every packet between the secondary of the children and all
// others: questions and answers, NOTIFYs, transfers. Nobody is told. When it is
// joined again it has caught up on return. Only for labs that are Relayed.
func (l *Lab) CutChild2(ctx context.Context, cut bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c2.front == nil {
		return errors.New("no relay stands before the secondary of this lab")
	}
	for _, r := range []*relay{l.c2.front, l.c2.relay} {
		r.drop(cut)
	}
	l.c2.cut = cut
	return l.followAll(ctx, l.c2, l.zoneNames())
}

func (l *Lab) followAll(ctx context.Context, s *server, zones []string) error {
	for _, zone := range zones {
		if err := l.follow(ctx, s, zone); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) hold(ctx context.Context, s *server, hold bool, zones ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.relay.hold(hold)
	s.held = hold
	return l.followAll(ctx, s, zones)
}

// Pdnsutil runs pdnsutil on the children's primary, once, as an operator
// would by hand, and returns what it printed. Nothing is purged or notified.
func (l *Lab) Pdnsutil(ctx context.Context, args ...string) (string, error) {
	return l.utilOnce(ctx, l.c1, args...)
}

// Publish makes changes of a child zone visible, as an operator would after
// pdnsutil: serial, purge, NOTIFY. It returns when both servers serve the new
// serial; a secondary that is held back, paused or stopped is not waited for.
// Single answers may be older for some seconds: one that PowerDNS was making
// during the purge enters its packet cache afterwards.
func (l *Lab) Publish(ctx context.Context, zone string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.publish(ctx, l.c1, l.c2, dns.CanonicalName(zone))
}

// SetRecord replaces an RRset of a child zone by one record, or deletes it if
// content is empty, and publishes that. name is absolute.
func (l *Lab) SetRecord(ctx context.Context, zone, name, rrtype string, ttl uint32, content string) error {
	zone, name = dns.CanonicalName(zone), dns.CanonicalName(name)
	if !dns.IsSubDomain(zone, name) {
		return fmt.Errorf("%s is not a name in zone %s", name, zone)
	}
	var data []string
	if content != "" {
		data = []string{content}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.replace(ctx, l.c1, zone, name, rrtype, ttl, data); err != nil {
		return err
	}
	return l.publish(ctx, l.c1, l.c2, zone)
}

// SetMinimum changes the SOA minimum of a child zone and with it the TTL of
// its DNSKEY set.
func (l *Lab) SetMinimum(ctx context.Context, zone string, minimum uint32) error {
	answer, err := ask(ctx, l.c1.addr, zone, dns.TypeSOA)
	if err != nil {
		return err
	}
	for _, rr := range answer.Answer {
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Minttl = minimum
			return l.SetRecord(ctx, zone, zone, "SOA", soa.Hdr.Ttl, rdata(soa))
		}
	}
	return fmt.Errorf("%s has no SOA record of %s", l.c1.addr, zone)
}
