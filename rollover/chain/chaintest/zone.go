package chaintest

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Zone is a small signed zone that answers as its authoritative server does,
// with the proofs that an answer needs.
type Zone struct {
	Name    string
	Key     Key
	NSEC3   bool
	OptOut  bool
	Records []dns.RR
	t       testing.TB
}

// NewZone is a zone with a CSK, an SOA and an NS record, and more records.
func NewZone(t testing.TB, name string, records ...string) *Zone {
	return KeyedZone(t, NewKey(t, name, 257, dns.ECDSAP256SHA256, 256), records...)
}

// KeyedZone is the zone of a key.
func KeyedZone(t testing.TB, key Key, records ...string) *Zone {
	name := key.Hdr.Name
	z := &Zone{Name: name, Key: key, t: t}
	ns := join("ns", name)
	z.Records = RRs(t, name+" 3600 IN SOA "+ns+" "+join("host", name)+" 1 2 3 4 300", name+" 3600 IN NS "+ns)
	z.Records = append(z.Records, RRs(t, records...)...)
	z.Records = append(z.Records, z.Key.DNSKEY)
	return z
}

// join is a name one label longer.
func join(label, name string) string { return label + "." + strings.TrimPrefix(name, ".") }

// Add adds records.
func (z *Zone) Add(records ...dns.RR) { z.Records = append(z.Records, records...) }

// Delegate hands a zone below over to its own servers, with its DS set.
func (z *Zone) Delegate(child *Zone) {
	z.Add(RR(z.t, child.Name+" 3600 IN NS ns."+child.Name), child.Key.ToDS(dns.SHA256))
}

// Answer is the answer to a question, signed.
func (z *Zone) Answer(name string, rrtype uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, rrtype)
	m.Response, m.Authoritative = true, true
	m.SetEdns0(1232, true)
	if set := z.set(name, rrtype); len(set) > 0 {
		m.Answer = z.Signed(set)
		return m
	}
	if set := z.set(name, dns.TypeCNAME); len(set) > 0 {
		m.Answer = z.Signed(set)
		return m
	}
	if !z.exists(name) && z.expand(m, name, rrtype) {
		return m
	}
	z.deny(m, name)
	return m
}

// expand answers from a wildcard, if there is one.
func (z *Zone) expand(m *dns.Msg, name string, rrtype uint16) bool {
	closest := z.closest(name)
	for _, t := range []uint16{rrtype, dns.TypeCNAME} {
		set := z.set(join("*", closest), t)
		if len(set) == 0 {
			continue
		}
		sig := z.Key.Sign(z.t, set)
		sig.Hdr.Name = name
		for _, rr := range set {
			rr = dns.Copy(rr)
			rr.Header().Name = name
			m.Answer = append(m.Answer, rr)
		}
		m.Answer = append(m.Answer, sig)
		m.Ns = z.cover(z.under(name, closest))
		return true
	}
	return false
}

func (z *Zone) deny(m *dns.Msg, name string) {
	m.Ns = z.Signed(z.set(z.Name, dns.TypeSOA))
	if z.exists(name) {
		m.Ns = append(m.Ns, z.prove(name)...)
		return
	}
	closest := z.closest(name)
	m.Ns = append(m.Ns, z.cover(z.under(name, closest))...)
	if z.NSEC3 {
		m.Ns = append(m.Ns, z.prove(closest)...)
	}
	if z.exists(join("*", closest)) {
		m.Ns = append(m.Ns, z.prove(join("*", closest))...)
		return
	}
	m.Rcode = dns.RcodeNameError
	m.Ns = append(m.Ns, z.cover(join("*", closest))...)
}

// under is the name one label below closest on the way to name; NSEC covers
// the whole name.
func (z *Zone) under(name, closest string) string {
	if !z.NSEC3 {
		return name
	}
	at := dns.Split(name)
	return name[at[len(at)-dns.CountLabel(closest)-1]:]
}

func (z *Zone) closest(name string) string {
	for !z.exists(name) {
		at, end := dns.NextLabel(name, 0)
		if end {
			return "."
		}
		name = name[at:]
	}
	return name
}

func (z *Zone) set(name string, rrtype uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range z.Records {
		if rr.Header().Name == name && rr.Header().Rrtype == rrtype {
			out = append(out, rr)
		}
	}
	return out
}

// Signed is a set with its signature.
func (z *Zone) Signed(set []dns.RR) []dns.RR {
	return append(slices.Clone(set), z.Key.Sign(z.t, set))
}

// exists says whether a name has records, or names below it.
func (z *Zone) exists(name string) bool {
	return slices.ContainsFunc(z.Records, func(rr dns.RR) bool { return dns.IsSubDomain(name, rr.Header().Name) })
}

// entry is one name of the denial chain.
type entry struct {
	name, key string
	types     []uint16
}

// entries is the names of the zone in the order of the denial chain.
func (z *Zone) entries() []entry {
	names := map[string][]uint16{}
	for _, rr := range z.Records {
		h := rr.Header()
		names[h.Name] = append(names[h.Name], h.Rrtype)
		for at := h.Name; z.NSEC3 && at != z.Name; at = at[dns.Split(at)[1]:] {
			names[at] = append(names[at], names[at]...)
		}
	}
	var out []entry
	for name, types := range names {
		delegated := name != z.Name && slices.Contains(types, dns.TypeNS)
		if delegated && z.NSEC3 && z.OptOut && !slices.Contains(types, dns.TypeDS) {
			continue
		}
		if !delegated || slices.Contains(types, dns.TypeDS) {
			types = append(types, dns.TypeRRSIG)
		}
		if !z.NSEC3 {
			types = append(types, dns.TypeNSEC)
		}
		slices.Sort(types)
		out = append(out, entry{name, z.key(name), slices.Compact(types)})
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	return out
}

// key sorts as the chain does; the names of tests are simple enough for that.
func (z *Zone) key(name string) string {
	if z.NSEC3 {
		return dns.HashName(name, dns.SHA1, 0, "")
	}
	labels := dns.SplitDomainName(name)
	slices.Reverse(labels)
	return strings.Join(labels, "\x00")
}

// prove is the record of a name that exists, cover that before one that does not.
func (z *Zone) prove(name string) []dns.RR {
	all := z.entries()
	i := slices.IndexFunc(all, func(e entry) bool { return e.name == name })
	if i < 0 {
		return z.cover(name) // an empty non-terminal with NSEC, or an opt-out
	}
	return z.link(all, i)
}

func (z *Zone) cover(name string) []dns.RR {
	all := z.entries()
	key := z.key(name)
	i := slices.IndexFunc(all, func(e entry) bool { return e.key > key })
	if i < 0 {
		i = len(all)
	}
	return z.link(all, (i+len(all)-1)%len(all))
}

func (z *Zone) link(all []entry, i int) []dns.RR {
	next := all[(i+1)%len(all)]
	if !z.NSEC3 {
		return z.Signed([]dns.RR{&dns.NSEC{Hdr: z.header(all[i].name, dns.TypeNSEC), NextDomain: next.name, TypeBitMap: all[i].types}})
	}
	flags := uint8(0)
	if z.OptOut {
		flags = 1
	}
	return z.Signed([]dns.RR{&dns.NSEC3{
		Hdr: z.header(strings.ToLower(all[i].key)+"."+z.Name, dns.TypeNSEC3), Hash: dns.SHA1, Flags: flags, NextDomain: next.key, HashLength: 20, TypeBitMap: all[i].types,
	}})
}

func (z *Zone) header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 300}
}
