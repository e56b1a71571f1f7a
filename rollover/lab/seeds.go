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
	}, {
		code:      "keys-inactive",
		story:     "all keys are published but none is active: nothing is signed",
		keys:      split,
		second:    unsigned,
		orders:    [][]string{{"deactivate-zone-key", "$zone", "$0"}, {"deactivate-zone-key", "$zone", "$1"}},
		questions: all(Bogus),
	}}
}

func signatureFaults() []recipe {
	keysFine := []Question{q("www A", Bogus), q("no A", Bogus), q("www MX", Bogus), q("x.wild A", Bogus), q("@ DNSKEY", Secure)}
	return []recipe{{
		code:      "expired-data",
		story:     "the signer stopped weeks ago: all signatures are expired but the one over the keys",
		presigned: &presigning{keys: present, data: past},
		questions: keysFine,
	}, {
		code:      "expired-all",
		story:     "the signer stopped weeks ago: all signatures are expired",
		presigned: &presigning{keys: past, data: past},
		questions: all(Bogus),
	}, {
		code:      "future-data",
		story:     "the clock of the signer is ahead: no signature is valid yet but the one over the keys",
		presigned: &presigning{keys: present, data: future},
		questions: keysFine,
	}, {
		code:      "future-all",
		story:     "the clock of the signer is ahead: no signature is valid yet",
		presigned: &presigning{keys: future, data: future},
		questions: all(Bogus),
	}, {
		code:      "presigned",
		story:     "healthy: signed elsewhere and served as it came",
		presigned: &presigning{keys: present, data: present},
		questions: append(all(Secure), q("sub DS", Secure)),
	}, {
		code:      "presigned-edited",
		story:     "a record was changed in a zone that is signed elsewhere: its signature is that of the old data",
		presigned: &presigning{keys: present, data: present},
		orders: [][]string{{"backend-cmd", "gsqlite3",
			"UPDATE records SET content = '192.0.2.99' WHERE name = 'www.$zone' AND type = 'A'"}},
		questions: []Question{q("www A", Bogus), q("www AAAA", Secure), q("no A", Secure), q("@ DNSKEY", Secure)},
	}, {
		code:      "expiring-soon",
		story:     "the signer has stopped, and within the hour all signatures expire: healthy still",
		presigned: &presigning{keys: soon, data: soon},
		questions: all(Secure),
	}}
}

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
		story:       "keys were added but the zone was never rectified: its only NSEC record says that nothing exists but the apex",
		keys:        split,
		second:      twin,
		unrectified: true,
		questions: []Question{
			q("www A", Secure), q("@ DNSKEY", Secure), q("@ MX", Secure), q("no A", Secure), q("www MX", Bogus),
			q("x.wild A", Bogus).unbound(Secure, "it asks for wild first (RFC 9156) and believes the proof that there is nothing"),
		},
	}, {
		code:  "denial-inserted",
		story: "a record was inserted into the database behind PowerDNS' back and the zone not rectified: the name exists, but is in no NSEC record",
		keys:  split,
		where: onFirst,
		orders: [][]string{{"backend-cmd", "gsqlite3",
			"INSERT INTO records (domain_id, name, type, content, ttl) SELECT id, 'new.$zone', 'A', '192.0.2.9', 300 FROM domains WHERE name = '$zone'"}},
		questions: []Question{q("www A", Secure), q("no A", Secure), q("new A", Secure), q("new MX", Bogus)},
	}, {
		code:      "denial-nsec3-unrectified",
		story:     "the salt was changed but the zone not rectified: the old hashes still make a ring, which has no hole, but no name is in it",
		keys:      split,
		second:    twin,
		orders:    [][]string{{"set-nsec3", "$zone", "1 0 0 -"}, {"rectify-zone", "$zone"}, {"set-nsec3", "$zone", "1 0 0 ab"}},
		questions: []Question{q("www A", Secure), q("@ DNSKEY", Secure), q("no A", Secure), q("www MX", Bogus), q("sub DS", Bogus)},
	}}
}

func controls() []recipe {
	const wildcards = "*.alias CNAME www\nalias2 CNAME www\nbroken CNAME www.ds-digest-typo.lab.test.\nplain CNAME www.ds-missing.lab.test.\n"
	return []recipe{{
		code:      "split",
		story:     "healthy: a KSK and a ZSK, NSEC",
		keys:      split,
		questions: append(all(Secure), q("@ SOA", Secure), q("@ DS", Secure), q("sub DS", Secure), q("x.wild MX", Secure)),
	}, {
		code:      "csk",
		story:     "healthy: one key for both",
		keys:      []string{"ksk ecdsa256 256"},
		questions: all(Secure),
	}, {
		code:      "unsigned",
		story:     "neither signed nor with a DS record",
		keys:      none,
		second:    unsigned,
		questions: append(all(Insecure), q("@ DS", Secure)),
	}, {
		code:      "nsec3",
		story:     "healthy: NSEC3 without salt or iterations",
		keys:      split,
		orders:    nsec3("1 0 0 -"),
		questions: append(all(Secure), q("sub DS", Secure), q("x.wild MX", Secure), q("a.b.ent A", Secure), q("b.ent A", Secure)),
		records:   "a.b.ent A 192.0.2.3",
	}, {
		code:      "nsec3-salted",
		story:     "healthy, against all advice: NSEC3 with salt and 10 iterations",
		keys:      split,
		orders:    nsec3("1 0 10 abcd"),
		questions: all(Secure),
	}, {
		code:   "nsec3-optout",
		story:  "healthy: NSEC3 with opt-out",
		keys:   split,
		orders: nsec3("1 1 0 -"),
		questions: []Question{
			q("www A", Secure), q("www MX", Secure), q("@ DNSKEY", Secure), q("x.wild A", Insecure), q("www.under A", Insecure),
			q("no A", Insecure).delv(Secure, lenient), q("sub DS", Insecure).delv(Secure, lenient),
		},
	}, {
		code:      "nsec3-narrow",
		story:     "healthy: NSEC3 made up on the fly for each answer",
		keys:      split,
		second:    twin,
		orders:    [][]string{{"set-nsec3", "$zone", "1 0 0 -", "narrow"}, {"rectify-zone", "$zone"}},
		questions: append(all(Secure), q("sub DS", Secure), q("x.wild MX", Secure)),
	}, {
		code:    "names",
		story:   "healthy: empty non-terminals, CNAME, wildcard CNAME, DNAME, and CNAMEs to a broken and an unsigned zone",
		keys:    split,
		records: wildcards + "a.b.ent A 192.0.2.3\nmoved DNAME wild\n",
		questions: []Question{
			q("a.b.ent A", Secure), q("b.ent A", Secure), q("ent MX", Secure), q("c.b.ent A", Secure),
			q("alias2 A", Secure), q("alias2 CNAME", Secure), q("x.alias A", Secure), q("x.alias CNAME", Secure),
			q("moved DNAME", Secure), q("x.moved A", Secure), q("broken A", Bogus), q("plain A", Insecure),
		},
	}, {
		code:  "delegations",
		story: "healthy: one child signed, one unsigned, one with a typo in its DS record",
		keys:  split,
		questions: []Question{
			q("www A", Secure), q("unsigned DS", Secure), q("signed DS", Secure), q("broken DS", Secure),
			q("www.signed A", Secure), q("no.signed A", Secure), q("www.unsigned A", Insecure), q("no.unsigned A", Insecure), q("www.broken A", Bogus),
		},
	}, {
		code:      "signed.delegations",
		story:     "healthy: a signed child of a child",
		keys:      split,
		questions: []Question{q("www A", Secure), q("no A", Secure)},
	}, {
		code:      "unsigned.delegations",
		story:     "an unsigned child of a signed zone",
		keys:      none,
		second:    unsigned,
		questions: []Question{q("www A", Insecure), q("no A", Insecure), q("@ DS", Secure)},
	}, {
		code:      "island.unsigned.delegations",
		story:     "a signed zone below an unsigned one, which has a DS record for it that nobody can believe",
		keys:      split,
		questions: []Question{q("www A", Insecure), q("no A", Insecure), q("@ DS", Insecure)},
	}, {
		code:      "broken.delegations",
		story:     "a child of a signed zone with the wrong digest in its DS record",
		keys:      split,
		ds:        func(key *dns.DNSKEY) []string { return []string{typo(rightDS(key)[0])} },
		questions: []Question{q("www A", Bogus), q("no A", Bogus)},
	}, {
		code:      "under.nsec3-optout",
		story:     "an unsigned child of a zone with opt-out",
		keys:      none,
		second:    unsigned,
		questions: []Question{q("www A", Insecure), q("no A", Insecure), q("@ DS", Insecure).delv(Secure, lenient)},
	}}
}

// lenient is why delv calls denials secure that only show that there is
// nothing signed.
const lenient = "a denial with opt-out does not deny unsigned names (RFC 5155 section 9.2); delv does not mind"

func nsec3(parameters string) [][]string {
	return [][]string{{"set-nsec3", "$zone", parameters}, {"rectify-zone", "$zone"}}
}

func algorithms() []recipe {
	var list []recipe
	for _, algorithm := range []struct{ code, key, story string }{
		{"rsasha1", "ksk rsasha1 2048", "algorithm 5, which must not be used for signing any more"},
		{"rsasha256", "ksk rsasha256 2048", "algorithm 8"},
		{"rsasha512", "ksk rsasha512 2048", "algorithm 10"},
		{"ecdsa384", "ksk ecdsa384 384", "algorithm 14"},
		{"ed25519", "ksk ed25519 256", "algorithm 15"},
		{"ed448", "ksk ed448 456", "algorithm 16"},
	} {
		list = append(list, recipe{
			code:      algorithm.code,
			story:     "healthy: " + algorithm.story,
			keys:      []string{algorithm.key},
			questions: []Question{q("www A", Secure), q("no A", Secure), q("@ DNSKEY", Secure)},
		})
	}
	return append(list, recipe{
		code:      "ds-sha1",
		story:     "healthy: the only DS record has a SHA-1 digest",
		keys:      split,
		ds:        func(key *dns.DNSKEY) []string { return []string{rdata(key.ToDS(dns.SHA1))} },
		questions: []Question{q("www A", Secure), q("no A", Secure)},
	}, recipe{
		code:      "ds-sha384",
		story:     "healthy: the only DS record has a SHA-384 digest",
		keys:      split,
		ds:        func(key *dns.DNSKEY) []string { return []string{rdata(key.ToDS(dns.SHA384))} },
		questions: []Question{q("www A", Secure), q("no A", Secure)},
	}, recipe{
		code:      "ds-of-two-algorithms",
		story:     "a DS record of an algorithm with which the zone does not sign beside the right one: validators may object",
		keys:      split,
		ds:        func(key *dns.DNSKEY) []string { return append(rightDS(key), rightDS(otherAlgorithm(key, 15))...) },
		questions: []Question{q("www A", Secure), q("no A", Secure)},
	})
}

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
