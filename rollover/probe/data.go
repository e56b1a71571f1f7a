package probe

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
)

// dataReader gathers what the answers of one server show of the zone's data.
type dataReader struct {
	zone   string
	pool   *chain.Pool
	serial uint32
	signs  bool // the server shows a DNSKEY set

	denials []rollover.Denial

	looked  bool
	signers []rollover.DNSKEY // of every RRset so far
	traces  []rollover.Signature
	faults  []rollover.Signature
	ttl     uint32
	expires time.Time // the first of the good signatures
}

// newDataReader tries the keys of the question first, so that keys which only
// the server shows cannot push them out.
func newDataReader(q rollover.Question, served *rollover.KeyVersion, now time.Time, budget *chain.Budget) *dataReader {
	keys := slices.Clone(q.Keys)
	if served != nil {
		keys = append(keys, served.Keys...)
	}
	return &dataReader{zone: q.Zone, signs: served != nil && len(served.Keys) > 0, pool: chain.NewPool(q.Zone, now, keys...).Within(budget)}
}

// read takes in one answer. The error is why it cannot be used.
func (d *dataReader) read(i inquiry, m *dns.Msg) error {
	down := d.referral(i, m)
	if err := usable(m); err != nil && !down {
		return err
	}
	if d.foreign(m) {
		return nil
	}
	sets, err := chain.Sets(m.Answer, m.Ns)
	if err != nil {
		return err
	}
	if err := d.apex(i, sets, m); err != nil {
		return err
	}
	if len(m.Answer) > 0 && !answers(i, m.Answer) {
		return errors.New("the answer has records, but not those asked for")
	}
	for _, s := range sets {
		if d.signed(s, sets) {
			d.look(s)
		}
	}
	if len(m.Answer) == 0 && !down {
		d.denial(i, sets, m)
	}
	if !down {
		d.verify(i, m)
	}
	return nil
}

// referral says whether an answer points down to a zone below, as it should
// for a name that is delegated away. Such an answer is not authoritative.
func (d *dataReader) referral(i inquiry, m *dns.Msg) bool {
	if m.Rcode != dns.RcodeSuccess || m.IsEdns0() == nil || len(m.Answer) > 0 {
		return false
	}
	return slices.ContainsFunc(m.Ns, func(rr dns.RR) bool {
		owner := rr.Header().Name
		return rr.Header().Rrtype == dns.TypeNS && d.below(owner) && dns.IsSubDomain(owner, i.name)
	})
}

func (d *dataReader) below(name string) bool {
	return name != d.zone && dns.IsSubDomain(d.zone, name)
}

// foreign says whether a zone below answered, which the server has too.
func (d *dataReader) foreign(m *dns.Msg) bool {
	return slices.ContainsFunc(m.Ns, func(rr dns.RR) bool {
		_, ok := rr.(*dns.SOA)
		return ok && d.below(rr.Header().Name)
	})
}

// apex makes sure that what every zone has at its apex was answered.
func (d *dataReader) apex(i inquiry, sets []chain.Set, m *dns.Msg) error {
	if i.name != d.zone || i.rrtype != dns.TypeSOA && i.rrtype != dns.TypeNS {
		return nil
	}
	s, ok := chain.Find(sets, d.zone, i.rrtype)
	if !ok || len(m.Answer) == 0 {
		return errors.New("does not serve the zone: " + rcode(m) + " without the record")
	}
	if soa, ok := s.Records[0].(*dns.SOA); ok {
		d.serial = soa.Serial
	}
	return nil
}

// answers says whether the records are about the name: those asked for, or an
// alias.
func answers(i inquiry, records []dns.RR) bool {
	return slices.ContainsFunc(records, func(rr dns.RR) bool {
		switch h := rr.Header(); h.Rrtype {
		case i.rrtype, dns.TypeCNAME:
			return h.Name == i.name
		case dns.TypeDNAME:
			return dns.IsSubDomain(h.Name, i.name)
		}
		return false
	})
}

// signed says whether the zone must have signed a set (RFC 4035 section 2.2):
// not the NS of a delegation, not an alias that a DNAME made (RFC 6672 section
// 5.3.1), not what another zone signed, nor what belongs to the keys.
func (d *dataReader) signed(s chain.Set, sets []chain.Set) bool {
	switch {
	case !dns.IsSubDomain(d.zone, s.Owner), ofKeys(s.Type):
		return false
	case s.Type == dns.TypeNS && s.Owner != d.zone:
		return false
	case s.Type == dns.TypeCNAME && len(s.Signatures) == 0 && synthesised(s, sets):
		return false
	}
	return len(s.Signatures) == 0 || slices.ContainsFunc(s.Signatures, func(sig *dns.RRSIG) bool {
		return !d.below(dns.CanonicalName(sig.SignerName))
	})
}

func synthesised(alias chain.Set, sets []chain.Set) bool {
	return slices.ContainsFunc(sets, func(s chain.Set) bool {
		return s.Type == dns.TypeDNAME && s.Owner != alias.Owner && dns.IsSubDomain(s.Owner, alias.Owner)
	})
}

// look takes in one set that the zone must have signed.
func (d *dataReader) look(s chain.Set) {
	proof := d.pool.Prove(s)
	if d.looked {
		d.signers = slices.DeleteFunc(d.signers, func(k rollover.DNSKEY) bool { return !slices.Contains(proof.Signers, k) })
	} else {
		d.signers, d.looked = proof.Signers, true
	}
	d.faults = append(d.faults, faultsOf(s, proof)...)
	for _, sig := range s.Signatures {
		d.traces = append(d.traces, rollover.Signature{Tag: sig.KeyTag, Algorithm: sig.Algorithm})
	}
	d.ttl = max(d.ttl, s.TTL())
	d.expires = sooner(d.expires, proof.Expires)
}

// denial: an answer that there is nothing must prove it (RFC 4035 section
// 3.1.3), and stays in caches for the negative TTL.
func (d *dataReader) denial(i inquiry, sets []chain.Set, m *dns.Msg) {
	proven := slices.ContainsFunc(sets, func(s chain.Set) bool {
		return (s.Type == dns.TypeNSEC || s.Type == dns.TypeNSEC3) && dns.IsSubDomain(d.zone, s.Owner)
	})
	if !proven {
		d.signers, d.looked = nil, true
		d.faults = append(d.faults, rollover.Signature{On: i.label, Fault: "unsigned"})
	}
	if ttl, err := denied(m, func(owner string) bool { return owner == d.zone }); err == nil {
		d.ttl = max(d.ttl, ttl)
	}
}

func (d *dataReader) version() *rollover.DataVersion {
	slices.SortFunc(d.traces, func(a, b rollover.Signature) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Algorithm, b.Algorithm))
	})
	return &rollover.DataVersion{
		Signers: distinct(d.signers), Traces: slices.Compact(d.traces), Faults: distinctFaults(d.faults), TTL: d.ttl, Expires: d.expires,
	}
}
