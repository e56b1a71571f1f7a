package lab

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// recipes is the table of all seeds.
func recipes() []recipe {
	var all []recipe
	for _, group := range [][]recipe{delegationFaults(), keyFaults(), signatureFaults(), serverFaults(), denialFaults(), controls(), algorithms()} {
		all = append(all, group...)
	}
	return all
}

// q is a question, as in "www A", and the verdict on its answer.
func q(text string, verdict Verdict) Question {
	name, rrtype, _ := strings.Cut(text, " ")
	return Question{Name: name, Type: dns.StringToType[rrtype], Expect: verdict}
}

// delv notes that delv says something else, and why.
func (q Question) delv(verdict Verdict, why string) Question {
	q.Delv, q.Why = verdict, why
	return q
}

// unbound notes that Unbound says something else, and why.
func (q Question) unbound(verdict Verdict, why string) Question {
	q.Unbound, q.Why = verdict, why
	return q
}

// all are questions for an answer, a name that does not exist, a type that
// does not, a wildcard, and the keys, with the same verdict on all.
func all(verdict Verdict) []Question {
	return []Question{q("www A", verdict), q("no A", verdict), q("www MX", verdict), q("x.wild A", verdict), q("@ DNSKEY", verdict)}
}

func delegationFaults() []recipe {
	return []recipe{{
		code:      "ds-without-dnskey",
		story:     "a botched KSK roll: the new KSK was made and the old one removed, the DS record was left as it was",
		keys:      split,
		orders:    [][]string{{"add-zone-key", "$zone", "ksk", "active", "published", "ecdsa256", "256"}, {"remove-zone-key", "$zone", "$0"}},
		questions: append(all(Bogus), q("@ DS", Secure)),
	}, {
		code:      "ds-missing",
		story:     "signed and healthy, but nobody ever gave the parent a DS record",
		keys:      split,
		ds:        func(*dns.DNSKEY) []string { return nil },
		questions: append(all(Insecure), q("@ DS", Secure)),
	}, {
		code:      "ds-algorithm-typed",
		story:     "tag and digest were copied into the registrar's form, and the wrong algorithm picked from its list",
		keys:      split,
		ds:        func(key *dns.DNSKEY) []string { return []string{withAlgorithm(rightDS(key)[0], 8)} },
		questions: append(all(Bogus), q("@ DS", Secure)),
	}, {
		code:      "ds-algorithm-computed",
		story:     "the key was copied into the registrar's form with the wrong algorithm, and the form computed tag and digest from that",
		keys:      split,
		ds:        func(key *dns.DNSKEY) []string { return rightDS(otherAlgorithm(key, 8)) },
		questions: all(Bogus),
	}, {
		code:      "ds-algorithm-unknown",
		story:     "the only DS record is of an algorithm that nobody implements: the zone counts as unsigned",
		keys:      split,
		ds:        func(key *dns.DNSKEY) []string { return []string{withAlgorithm(rightDS(key)[0], 200)} },
		questions: all(Insecure),
	}, {
		code:  "ds-digest-unknown",
		story: "the only DS record is of a digest that nobody implements: the zone counts as unsigned",
		keys:  split,
		ds: func(key *dns.DNSKEY) []string {
			return []string{strings.Replace(rightDS(key)[0], " 2 ", " 200 ", 1)}
		},
		questions: all(Insecure),
	}, {
		code:      "ds-digest-typo",
		story:     "one digit of the digest is wrong in the DS record",
		keys:      split,
		ds:        func(key *dns.DNSKEY) []string { return []string{typo(rightDS(key)[0])} },
		questions: append(all(Bogus), q("@ DS", Secure)),
	}, {
		code:      "ds-typo-beside-good",
		story:     "one of two DS records of the same key has a typo, which the other makes good",
		keys:      split,
		ds:        func(key *dns.DNSKEY) []string { return append(rightDS(key), typo(rightDS(key)[0])) },
		questions: all(Secure),
	}, {
		code:      "ds-of-zsk",
		story:     "the DS record was made of the ZSK, which does not sign the keys",
		keys:      split,
		dsOf:      1,
		questions: all(Bogus),
	}, {
		code:      "unsigned-with-ds",
		story:     "DNSSEC was switched off while the DS record was still at the parent",
		keys:      split,
		second:    unsigned,
		orders:    [][]string{{"disable-dnssec", "$zone"}},
		questions: append(all(Bogus), q("@ DS", Secure)),
	}}
}

func keyFaults() []recipe {
	return []recipe{{
		code:      "zsk-unpublished",
		story:     "the ZSK signs but is not published",
		keys:      split,
		orders:    [][]string{{"unpublish-zone-key", "$zone", "$1"}},
		questions: []Question{q("www A", Bogus), q("no A", Bogus), q("www MX", Bogus), q("x.wild A", Bogus), q("@ DNSKEY", Secure)},
	}, {
		code:      "ksk-unpublished",
		story:     "the KSK signs but is not published",
		keys:      split,
		orders:    [][]string{{"unpublish-zone-key", "$zone", "$0"}},
		questions: all(Bogus),
	}, {
		code:      "ksk-inactive",
		story:     "the KSK that the DS record names is published but was deactivated: the ZSK signs the keys",
		keys:      split,
		orders:    [][]string{{"deactivate-zone-key", "$zone", "$0"}},
		questions: all(Bogus),
	}}
}

func signatureFaults() []recipe { return nil }

func serverFaults() []recipe {
	return []recipe{{
		code:      "secondary-unsigned",
		story:     "the second server serves a copy without signatures",
		keys:      split,
		where:     onSecond,
		second:    unsigned,
		questions: all(Bogus),
	}, {
		code:  "secondary-lagging",
		story: "KSK and ZSK were replaced, DS record included, while the second server was stuck at an old serial with the old keys",
		keys:  split,
		where: onSecond,
		later: [][]string{
			{"add-zone-key", "$zone", "ksk", "active", "published", "ecdsa256", "256"},
			{"add-zone-key", "$zone", "zsk", "active", "published", "ecdsa256", "256"},
			{"remove-zone-key", "$zone", "$0"},
			{"remove-zone-key", "$zone", "$1"},
		},
		dsOf:      2,
		questions: all(Bogus),
	}, {
		code:      "secondary-lame",
		story:     "the second server is in the NS set but does not have the zone",
		keys:      split,
		where:     onSecond,
		second:    lame,
		questions: all(Indeterminate),
	}, {
		code:      "secondary-silent",
		story:     "the second server does not answer",
		keys:      split,
		where:     onSecond,
		second:    silent,
		questions: []Question{q("www A", Indeterminate)},
	}}
}

func denialFaults() []recipe {
	return []recipe{{
		code:        "denial-unrectified",
		story:       "keys were added, but the zone was never rectified: what exists is fine, what does not is not proven",
		keys:        split,
		second:      twin,
		unrectified: true,
		questions:   []Question{q("www A", Secure), q("@ DNSKEY", Secure), q("no A", Bogus), q("www MX", Bogus), q("x.wild A", Bogus)},
	}}
}

func controls() []recipe {
	return []recipe{{
		code:      "split",
		story:     "healthy: a KSK and a ZSK, NSEC",
		keys:      split,
		questions: append(all(Secure), q("@ SOA", Secure), q("@ DS", Secure), q("sub DS", Secure), q("x.wild MX", Secure)),
	}}
}

func algorithms() []recipe { return nil }

// rightDS is the DS record that a key should have.
func rightDS(key *dns.DNSKEY) []string { return []string{rdata(key.ToDS(dns.SHA256))} }

func withAlgorithm(ds string, algorithm int) string {
	words := strings.Fields(ds)
	words[1] = fmt.Sprint(algorithm)
	return strings.Join(words, " ")
}

func otherAlgorithm(key *dns.DNSKEY, algorithm uint8) *dns.DNSKEY {
	other := *key
	other.Algorithm = algorithm
	return &other
}

// typo makes another digit of the last one.
func typo(ds string) string {
	last := "0"
	if strings.HasSuffix(ds, "0") {
		last = "1"
	}
	return ds[:len(ds)-1] + last
}
