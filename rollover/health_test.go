package rollover_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// seen is one complete look at a healthy world, changed.
func seen(t *testing.T, change func(*rollover.Sighting)) rollover.Sighting {
	t.Helper()
	w := rollovertest.New("split", unequal)
	s, err := w.Look(context.Background(), rollover.Question{Zone: rollovertest.Zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData, rollover.RecordDS}})
	if err != nil {
		t.Fatal(err)
	}
	change(&s)
	return s
}

// server changes what one server shows, without changing what others share.
func server(name string, change func(*rollover.ServerSighting)) func(*rollover.Sighting) {
	return func(s *rollover.Sighting) {
		for i := range s.Servers {
			v := &s.Servers[i]
			if v.Name != name {
				continue
			}
			if v.DNSKEY != nil {
				keys := *v.DNSKEY
				v.DNSKEY = &keys
			}
			if v.Data != nil {
				data := *v.Data
				v.Data = &data
			}
			if v.DS != nil {
				ds := *v.DS
				ds.Set = slices.Clone(ds.Set)
				v.DS = &ds
			}
			change(v)
		}
	}
}

const refusedAddress = "its address 127.0.0.1 is not asked: 127.0.0.0/8 is in `dns.dont_query`"

// ailing are looks at a zone of which something is wrong, and one at one that is well.
func ailing() map[string]func(*rollover.Sighting) {
	stranger := keyOfNobody(256)
	keysAt := func(name string, change func(*rollover.KeyVersion)) func(*rollover.Sighting) {
		return server(name, func(v *rollover.ServerSighting) { v.DNSKEY.Keys = slices.Clone(v.DNSKEY.Keys); change(v.DNSKEY) })
	}
	parents := func(change func(*rollover.DSVersion)) func(*rollover.Sighting) {
		return func(s *rollover.Sighting) {
			for _, p := range []string{"p1", "p2"} {
				server(p, func(v *rollover.ServerSighting) { change(v.DS) })(s)
			}
		}
	}
	standing := func(security rollover.Security, resolver string) func(*rollover.Sighting) {
		return server("p1", func(v *rollover.ServerSighting) {
			v.DS.Standing = &rollover.Standing{Security: security, Why: "unsigned", Resolver: resolver}
		})
	}
	expiring := func(left time.Duration) func(*rollover.Sighting) {
		return func(s *rollover.Sighting) {
			server("ns1", func(v *rollover.ServerSighting) { v.Data.Expires = s.At.Wall.Add(left) })(s)
		}
	}
	unusable := func(why string, names ...string) func(*rollover.Sighting) {
		return func(s *rollover.Sighting) {
			for _, name := range names {
				server(name, func(v *rollover.ServerSighting) { v.Unknown, v.DNSKEY, v.Data, v.DS = why, nil, nil, nil })(s)
			}
		}
	}
	only := func(role string) func(*rollover.Sighting) {
		return func(s *rollover.Sighting) {
			s.Servers = slices.DeleteFunc(s.Servers, func(v rollover.ServerSighting) bool { return v.Role != role })
		}
	}
	add := func(d rollover.DS) func(*rollover.Sighting) {
		return parents(func(v *rollover.DSVersion) { v.Set = append(v.Set, d) })
	}
	all := func(changes ...func(*rollover.Sighting)) func(*rollover.Sighting) {
		return func(s *rollover.Sighting) {
			for _, change := range changes {
				change(s)
			}
		}
	}
	bare := func(s *rollover.Sighting) {
		for _, ns := range []string{"ns1", "ns2"} {
			server(ns, func(v *rollover.ServerSighting) { v.DNSKEY, v.Data = &rollover.KeyVersion{}, &rollover.DataVersion{} })(s)
		}
	}
	noDS := parents(func(v *rollover.DSVersion) { v.Set = nil })
	return map[string]func(*rollover.Sighting){
		"validators": func(s *rollover.Sighting) {
			s.Validators = []rollover.ValidatorSighting{
				{Address: "v1", AD: true}, {Address: "v2", Bogus: true}, {Address: "v3", Bogus: true, Text: "EDE 9"}, {Address: "v4", Unknown: "timed out"},
				{Address: "v5", Authoritative: true}, {Address: "v6", Blind: true}, {Address: "v7"}, {Address: "v8", AD: true, Blind: true},
			}
		},
		"validators of an insecure zone": all(noDS, func(s *rollover.Sighting) { s.Validators = []rollover.ValidatorSighting{{Address: "v1"}} }),
		"one parent has no DS":           server("p1", func(v *rollover.ServerSighting) { v.DS.Set, v.DS.NoDS = nil, rollover.AbsentDS }),
		"well":                           func(*rollover.Sighting) {},
		"one server is behind": all(server("ns1", func(v *rollover.ServerSighting) { v.Serial = 4294967295 }), // serials wrap (RFC 1982)
			server("ns2", func(v *rollover.ServerSighting) { v.Serial = 3 })),
		"one serial is not known":                    server("ns1", func(v *rollover.ServerSighting) { v.Serial = 0 }),
		"the first server has no keys and no serial": server("ns1", func(v *rollover.ServerSighting) { v.Serial, v.DNSKEY = 0, nil }),
		"key sets differ":                            all(keysAt("ns2", func(v *rollover.KeyVersion) { v.Keys = append(v.Keys, stranger) }), server("ns2", func(v *rollover.ServerSighting) { v.Serial++ })),
		"key sets differ, serials do not":            keysAt("ns2", func(v *rollover.KeyVersion) { v.Keys = append(v.Keys, stranger) }),
		"the parent's servers differ":                server("p2", func(v *rollover.ServerSighting) { v.DS.Set = append(v.DS.Set, strange(13, 2)) }),
		"one of them is not seen":                    server("p1", func(v *rollover.ServerSighting) { v.DS = nil }),
		"a DS of another algorithm":                  server("p1", func(v *rollover.ServerSighting) { v.DS.Set = append(v.DS.Set, strange(8, 2)) }),
		"a DS of an algorithm that nobody checks":    add(strange(200, 2)),
		"a key of an algorithm that signs nothing": keysAt("ns1", func(v *rollover.KeyVersion) {
			other := stranger
			other.Algorithm = 15
			v.Keys = append(v.Keys, other)
		}),
		"keys of algorithms 7 and 8": keysAt("ns1", func(v *rollover.KeyVersion) {
			for _, algorithm := range []uint8{7, 7, 8} {
				other := stranger
				other.Algorithm = algorithm
				v.Keys = append(v.Keys, other)
			}
		}),
		"a TTL of ten days":      server("ns1", func(v *rollover.ServerSighting) { v.Data.TTL = 864000 }),
		"a TTL of a day":         server("ns1", func(v *rollover.ServerSighting) { v.Data.TTL = 86400 }),
		"no TCP":                 server("ns2", func(v *rollover.ServerSighting) { v.OverTCP = "connection refused" }),
		"one server is silent":   unusable("timed out", "ns2"),
		"one parent is silent":   unusable("timed out", "p1"),
		"all parents are silent": unusable("timed out", "p1", "p2"),
		"one cannot be asked": server("ns2", func(v *rollover.ServerSighting) {
			*v = rollover.ServerSighting{Server: v.Server, Unchecked: "no IPv6 route from here"}
		}),
		"the only one asked is silent": all(unusable("timed out", "ns1"), server("ns2", func(v *rollover.ServerSighting) {
			*v = rollover.ServerSighting{Server: v.Server, Unchecked: "no IPv6 route from here"}
		})),
		"no servers":            only(rollover.RoleParent),
		"no parent":             only(rollover.RoleChild),
		"no parent that counts": all(only(rollover.RoleChild), func(s *rollover.Sighting) { s.Alone = true }),
		"a serial, and no DNSKEY set": all(server("ns1", func(v *rollover.ServerSighting) { v.Unknown, v.DNSKEY = "DNSKEY: truncated even over TCP", nil }),
			server("ns2", func(v *rollover.ServerSighting) { v.Unknown, v.DNSKEY = "DNSKEY: truncated even over TCP", nil })),
		"expiry in five days":  expiring(5 * 24 * time.Hour),
		"expiry in less":       expiring(5*24*time.Hour - time.Second),
		"expiry in three days": expiring(3 * 24 * time.Hour),
		"expiry in two days":   expiring(2 * 24 * time.Hour),
		"expiry of keys in a day": all(func(s *rollover.Sighting) {
			server("ns2", func(v *rollover.ServerSighting) { v.DNSKEY.Expires, v.Data = s.At.Wall.Add(24*time.Hour), nil })(s)
		}),
		"no good signature":       server("ns1", func(v *rollover.ServerSighting) { v.Data.Expires = time.Time{} }),
		"one server without keys": server("ns2", func(v *rollover.ServerSighting) { v.DNSKEY, v.Data = &rollover.KeyVersion{}, nil }),
		"one DNSKEY set not signed": server("ns2", func(v *rollover.ServerSighting) {
			v.DNSKEY.Signers, v.DNSKEY.Faults = nil, []rollover.Signature{{Tag: 5, Fault: "expired"}}
		}),
		"signed by a key that is not in it": keysAt("ns2", func(v *rollover.KeyVersion) { v.Keys = v.Keys[1:] }),
		"data of one server unsigned": server("ns2", func(v *rollover.ServerSighting) {
			v.Data = &rollover.DataVersion{Faults: slices.Repeat([]rollover.Signature{{On: "a. A", Fault: "unsigned"}}, 4)}
		}),
		"data signed by two keys between them": server("ns2", func(v *rollover.ServerSighting) {
			v.Data.Signers = nil
			for _, k := range v.DNSKEY.Keys {
				v.Data.Traces = append(v.Data.Traces, rollover.Signature{Tag: k.Tag(), Algorithm: k.Algorithm})
			}
		}),
		"and by one that is not there": server("ns2", func(v *rollover.ServerSighting) {
			v.Data.Signers, v.Data.Traces = nil, append(v.Data.Traces, rollover.Signature{Tag: stranger.Tag(), Algorithm: 13})
		}),
		"by the tag of one, and another algorithm": server("ns2", func(v *rollover.ServerSighting) {
			v.Data.Signers, v.Data.Traces = nil, append(v.Data.Traces, rollover.Signature{Tag: v.DNSKEY.Keys[0].Tag(), Algorithm: 8})
		}),
		"data with a fault, and no signer": server("ns2", func(v *rollover.ServerSighting) {
			v.Data.Signers, v.Data.Faults = nil, []rollover.Signature{{Fault: "expired"}}
		}),
		"data without signatures":          server("ns2", func(v *rollover.ServerSighting) { v.Data = &rollover.DataVersion{} }),
		"a denial that proves nothing":     server("ns1", func(v *rollover.ServerSighting) { v.Denials = []rollover.Denial{{On: "a. A", Fault: "no NSEC"}} }),
		"SHA-1 only":                       parents(func(v *rollover.DSVersion) { v.Set[0] = digestOfFirst(1) }),
		"SHA-1 beside SHA-256":             parents(func(v *rollover.DSVersion) { v.Set = append(v.Set, digestOfFirst(1)) }),
		"SHA-1 beside another's SHA-256":   parents(func(v *rollover.DSVersion) { v.Set = []rollover.DS{digestOfFirst(1), strange(13, 2)} }),
		"SHA-1 beside another's SHA-384":   parents(func(v *rollover.DSVersion) { v.Set = []rollover.DS{digestOfFirst(1), strange(13, 4)} }),
		"SHA-256 beside another's SHA-384": add(strange(13, 4)),
		"a digest that nobody knows":       parents(func(v *rollover.DSVersion) { v.Set = []rollover.DS{strange(13, 200)} }),
		"no DS":                            noDS,
		"no DS, and not signed":            all(noDS, bare),
		"a DS, and not signed":             bare,
		"an anchor of its own":             all(noDS, func(s *rollover.Sighting) { s.Anchor = []rollover.DS{digestOfFirst(2)} }),
		"not delegated":                    parents(func(v *rollover.DSVersion) { v.Set, v.NoDS = nil, rollover.AbsentDelegation }),
		"not delegated, and proven":        parents(func(v *rollover.DSVersion) { v.Set, v.NoDS, v.Denied = nil, rollover.AbsentDelegation, true }),
		"a forged DS":                      standing(rollover.Bogus, ""),
		"a DS that nobody proved":          server("p1", func(v *rollover.ServerSighting) { v.DS.Standing = nil }),
		"resolvers that prove nothing":     standing(rollover.Indeterminate, "192.0.2.53"),
		"no DS, and no proof of that":      all(noDS, standing(rollover.Indeterminate, "")),
		"a proof that was not found":       standing(rollover.Indeterminate, ""),
		"an unsigned parent, and a DS of nobody": parents(func(v *rollover.DSVersion) {
			v.Set, v.Standing = []rollover.DS{strange(13, 2)}, &rollover.Standing{Security: rollover.Insecure, Why: "com. is not signed"}
		}),
		"an address that is not asked, of the zone": server("ns2", func(v *rollover.ServerSighting) {
			*v = rollover.ServerSighting{Server: v.Server, Unknown: refusedAddress}
		}),
		"an address that is not asked, of the parent": server("p2", func(v *rollover.ServerSighting) {
			*v = rollover.ServerSighting{Server: v.Server, Unknown: refusedAddress}
		}),
		"names that are made up": func(s *rollover.Sighting) {
			s.Strangers = []rollover.Stranger{{Name: "ns9.example.net.", By: "ns2 192.0.2.2:53"}, {Name: "ns9.example.net.", By: "resolver 192.0.2.53:53"}}
		},
		"nobody at all":                       func(s *rollover.Sighting) { s.Servers, s.Alone = nil, true },
		"no DS, and one server is not signed": all(noDS, server("ns2", func(v *rollover.ServerSighting) { v.DNSKEY, v.Data = &rollover.KeyVersion{}, &rollover.DataVersion{} })),
		"data by a key that is not there, with traces of those that are": server("ns2", func(v *rollover.ServerSighting) { v.Data.Signers = []rollover.DNSKEY{stranger} }),
		"the last serial but one, and none":                              all(server("ns1", func(v *rollover.ServerSighting) { v.Serial = 4294967295 }), server("ns2", func(v *rollover.ServerSighting) { v.Serial = 0 })),
		"the first server is ahead":                                      server("ns1", func(v *rollover.ServerSighting) { v.Serial++ }),
		"an unsigned parent": parents(func(v *rollover.DSVersion) {
			v.Standing = &rollover.Standing{Security: rollover.Insecure, Why: "com. is not signed"}
		}),
	}
}

// digestOfFirst is a DS of the KSK of the world that looks are of.
func digestOfFirst(digestType uint8) rollover.DS {
	return digestOf(rollovertest.New("split", unequal).Keys[0], digestType)
}

// What check says of each, word for word; and, where that is different, what it says
// when nothing is proven.
func TestHealth(t *testing.T) {
	var out strings.Builder
	looks, p := ailing(), tight()
	says := func(name string, evidence rollover.Evidence) string {
		p.Evidence = evidence
		s := seen(t, looks[name])
		c := rollover.Check(rollover.Dossier{}, s, p, rollover.DefaultLimits(), s.At.Wall)
		text := fmt.Sprintf("\t%s, %s, %d servers, until %v, parent %+v\n", c.Severity, c.Security, c.Servers, c.Expires, c.Parent)
		for _, f := range c.Findings {
			text += fmt.Sprintf("\t%s %s: %v\n", f.Severity, f.Code, f)
		}
		return text
	}
	for _, name := range slices.Sorted(maps.Keys(looks)) {
		proven, plain := says(name, rollover.EvidenceValidated), says(name, rollover.EvidencePlain)
		out.WriteString(name + "\n" + proven)
		if plain != proven {
			out.WriteString(name + ", by evidence plain\n" + plain)
		}
	}
	rollover.Golden(t, "health.txt", out.String())
}

// checkup is what check says of a world with a rollover, at some time.
func checkup(t *testing.T, w *rollovertest.World, later time.Duration) rollover.Checkup {
	t.Helper()
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.Look(context.Background(), rollover.Question{Zone: rollovertest.Zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData, rollover.RecordDS}})
	if err != nil {
		t.Fatal(err)
	}
	return rollover.Check(d, s, tight(), rollover.DefaultLimits(), w.Clock().Wall.Add(later))
}

func codes(c rollover.Checkup) []string {
	var out []string
	for _, f := range c.Findings {
		out = append(out, f.Code)
	}
	return out
}

// What a plan makes happen is no finding while it is fresh; a rollover that
// gets nowhere is one.
func TestCheckOfARollover(t *testing.T) {
	w, p := rollovertest.New("split", unequal), tight()
	w.Lag["ns2"] = 30 * unit
	start(t, w, p, rollover.Order{Type: "ksk"})
	if c := checkup(t, w, 0); len(c.Findings) > 0 || c.Rollover == nil || c.Security != rollover.Secure {
		t.Errorf("while it spreads: %+v", c)
	}
	if c := checkup(t, w, 3*time.Hour); !slices.Contains(codes(c), rollover.FindingKeysDiffer) || !slices.Contains(codes(c), rollover.FindingStuck) || !slices.Contains(codes(c), rollover.FindingUnattended) {
		t.Errorf("three hours later: %v", codes(c))
	}
	w.Lag["ns2"] = 0
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	whole(t, w, 31*unit)
	toStep(t, w, p, "submit")
	if c := checkup(t, w, time.Hour); slices.Contains(codes(c), rollover.FindingPending) || slices.Contains(codes(c), rollover.FindingStuck) {
		t.Errorf("while the operator is waited for: %v", codes(c))
	}
	if c := checkup(t, w, 8*24*time.Hour); !slices.Contains(codes(c), rollover.FindingPending) {
		t.Errorf("a week later: %v", codes(c))
	}
}
