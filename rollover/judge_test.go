package rollover

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"
)

// aKey is an active, published key as PowerDNS shows it; its number tells it from others.
func aKey(n int, role Role) Key {
	sum := sha256.Sum256(fmt.Append(nil, n))
	k := Key{ID: n, Flags: FlagsKSK, Algorithm: 13, Bits: 256, Active: true, Published: true, Role: role, PublicKey: base64.StdEncoding.EncodeToString(sum[:])}
	if role == ZSK {
		k.Flags = FlagsZSK
	}
	k.Tag = k.DNSKEY().Tag()
	return k
}

func dnskeysOf(keys ...Key) []DNSKEY {
	var out []DNSKEY
	for _, k := range keys {
		out = append(out, k.DNSKEY())
	}
	return out
}

func dsRecord(k Key, digestType uint8) DS {
	d, err := k.DNSKEY().DS("example.com.", digestType)
	if err != nil {
		panic(err) // keys of these tests are well-formed
	}
	return d
}

// What one answer says of one statement, and the sentence for it.
func TestJudgement(t *testing.T) {
	old, fresh, zskOld, zskNew := aKey(1, KSK), aKey(2, KSK), aKey(3, ZSK), aKey(4, ZSK)
	r := Roll{Zone: "example.com.", Old: []Key{old, zskOld}, New: []Key{fresh, zskNew}, Keys: []Key{old, zskOld, fresh, zskNew}}
	half := r
	half.New = []Key{fresh, {ID: 4, Tag: zskNew.Tag, Flags: FlagsZSK, Algorithm: 13, Role: ZSK}}
	lone := r
	lone.New = nil
	bare := r
	bare.Keys = nil
	all := dnskeysOf(old, zskOld, fresh, zskNew)
	set := func(keys []DNSKEY, signers ...Key) ServerSighting {
		return ServerSighting{DNSKEY: &KeyVersion{Keys: keys, Signers: dnskeysOf(signers...)}}
	}
	faulty := func(v ServerSighting, faults ...Signature) ServerSighting {
		if v.DNSKEY != nil {
			v.DNSKEY.Faults = faults
		} else {
			v.Data.Faults = faults
		}
		return v
	}
	signed := func(signers []Key, traces ...Signature) ServerSighting {
		return ServerSighting{Data: &DataVersion{Signers: dnskeysOf(signers...), Traces: traces}}
	}
	ds := func(standing *Standing, set ...DS) ServerSighting {
		return ServerSighting{DS: &DSVersion{Set: set, Standing: standing}}
	}
	wrong := dsRecord(fresh, 2)
	wrong.Digest = dsRecord(old, 2).Digest
	typo := dsRecord(old, 2)
	typo.Digest = wrong.Digest[:60] + "ABCD"
	byTag := func(k Key) Signature { return Signature{Tag: k.Tag, Algorithm: 13} }
	fault := func(tag uint16, algorithm uint8, on string) Signature {
		return Signature{Tag: tag, Algorithm: algorithm, On: on, Fault: "expired"}
	}
	n := func(format string, keys ...Key) string {
		var tags []any
		for _, k := range keys {
			tags = append(tags, k.Tag)
		}
		return fmt.Sprintf(format, tags...)
	}
	plain := Policy{Evidence: EvidencePlain, DSDigests: []uint8{2}}
	proof := Policy{Evidence: EvidenceValidated, DSDigests: []uint8{2}}
	byResolver := Policy{Evidence: EvidenceResolver, DSDigests: []uint8{2}}
	hasNew, both := Seen(RecordDS, Has(New)), []DS{dsRecord(old, 2), dsRecord(fresh, 2)}
	for name, c := range map[string]struct {
		roll   Roll
		wait   Wait
		answer ServerSighting
		policy Policy
		all    Sighting
		want   shown
		says   string
	}{
		"DNSKEY not asked": {r, Seen(RecordDNSKEY, Has(New)), ServerSighting{}, plain, Sighting{}, shownUnknown, "was not asked for DNSKEY"},
		"data not asked":   {r, Seen(RecordData, SignedBy(New)), set(all, old), plain, Sighting{}, shownUnknown, "was not asked for data"},
		"DS not asked":     {r, hasNew, set(all, old), plain, Sighting{}, shownUnknown, "was not asked for DS"},
		"silent":           {r, hasNew, ServerSighting{Unknown: "timed out"}, plain, Sighting{}, shownUnknown, "timed out"},

		"all keys":        {r, Seen(RecordDNSKEY, Has(New), Has(Old)), set(all, old), plain, Sighting{}, shownGood, ""},
		"a stranger":      {r, Seen(RecordDNSKEY, Has(New)), set(all, aKey(9, KSK)), plain, Sighting{}, shownNot, "DNSKEY set is not signed by a key of this zone"},
		"expired":         {r, Seen(RecordDNSKEY, Has(New)), faulty(set(all), fault(7, 13, "")), plain, Sighting{}, shownNot, "DNSKEY set is not signed by a key of this zone (signature by 7: expired)"},
		"no set":          {r, Seen(RecordDNSKEY, Lacks(Old)), set(nil), plain, Sighting{}, shownNot, "has no DNSKEY set"},
		"unsigned by us":  {bare, Seen(RecordDNSKEY, Lacks(Old)), set(nil), plain, Sighting{}, shownGood, ""},
		"unsigned, a set": {bare, Seen(RecordDNSKEY, Lacks(New)), set(dnskeysOf(zskOld)), plain, Sighting{}, shownNot, "DNSKEY set is not signed by a key of this zone"},
		"one is missing":  {r, Seen(RecordDNSKEY, Has(New)), set(dnskeysOf(old, fresh), old), plain, Sighting{}, shownNot, n("has no DNSKEY %d", zskNew)},
		"one is left":     {r, Seen(RecordDNSKEY, Lacks(Old)), set(dnskeysOf(fresh, zskOld), fresh), plain, Sighting{}, shownNot, n("still has DNSKEY %d", zskOld)},
		"gone":            {r, Seen(RecordDNSKEY, Lacks(Old)), set(dnskeysOf(fresh), fresh), plain, Sighting{}, shownGood, ""},
		"one must sign":   {r, Seen(RecordDNSKEY, SignedBy(New)), set(all, fresh), plain, Sighting{}, shownGood, ""},
		"another signs":   {r, Seen(RecordDNSKEY, SignedBy(New)), faulty(set(all, old), fault(old.Tag, 13, "its"), fault(fresh.Tag, 8, "its"), fault(fresh.Tag, 13, ""), fault(0, 0, "its")), plain, Sighting{}, shownNot, n("DNSKEY set is not signed by %d (signature: expired)", fresh)},
		"the last counts": {r, Seen(RecordDNSKEY, Has(New), SignedBy(New)), set(all, old), plain, Sighting{}, shownNot, n("DNSKEY set is not signed by %d", fresh)},
		"tag alone":       {half, Seen(RecordDNSKEY, Has(New)), set(all, old), plain, Sighting{}, shownNot, n("shows a key with tag %d, as other servers do, but not the same one: which of them is ours is not known", zskNew)},
		"tag alone, signs": {half, Seen(RecordData, SignedBy(New)), signed([]Key{zskNew}), plain, Sighting{}, shownNot,
			n("shows a key with tag %d, as other servers do, but not the same one: which of them is ours is not known", zskNew)},
		"tag alone, missing": {half, Seen(RecordDNSKEY, Has(New)), set(dnskeysOf(old, fresh), old), plain, Sighting{}, shownNot, n("has no DNSKEY %d", zskNew)},
		"tag alone, gone":    {half, Seen(RecordDNSKEY, Lacks(New)), set(dnskeysOf(old), old), plain, Sighting{}, shownGood, ""},
		"no key to have":     {lone, Seen(RecordDNSKEY, Has(New)), set(all, old), plain, Sighting{}, shownNot, "there is no key on the new side"},
		"no key to sign":     {lone, Seen(RecordDNSKEY, SignedBy(New)), set(all, old), plain, Sighting{}, shownNot, "there is no key on the new side"},
		"no key to lack":     {lone, Seen(RecordDNSKEY, Lacks(New)), set(all, old), plain, Sighting{}, shownGood, ""},
		"no key not to sign": {lone, Seen(RecordData, NotSignedBy(New)), signed([]Key{zskOld}, byTag(fresh)), plain, Sighting{}, shownGood, ""},
		"keys are left":      {r, Seen(RecordDNSKEY, Empty()), set(dnskeysOf(old), old), plain, Sighting{}, shownNot, n("still has DNSKEY %d", old)},
		"no keys":            {bare, Seen(RecordDNSKEY, Empty()), set(nil), plain, Sighting{}, shownGood, ""},

		"data of both":      {r, Seen(RecordData, SignedBy(New), SignedBy(Old)), signed([]Key{zskNew, zskOld}), plain, Sighting{}, shownGood, ""},
		"data of the other": {r, Seen(RecordData, SignedBy(New)), faulty(signed([]Key{zskOld, fresh}), fault(0, 0, "www.example.com. A")), plain, Sighting{}, shownNot, n("not all data is signed by %d (www.example.com. A signature: expired)", zskNew)},
		"data, left":        {r, Seen(RecordData, NotSignedBy(Old)), signed(nil, byTag(zskNew), byTag(old)), plain, Sighting{}, shownNot, n("still has signatures by %d", old)},
		"data, another":     {r, Seen(RecordData, NotSignedBy(Old)), signed(nil, Signature{Tag: old.Tag, Algorithm: 8}, byTag(zskNew)), plain, Sighting{}, shownGood, ""},

		"both DS":        {r, hasNew, ds(nil, both...), plain, Sighting{}, shownGood, ""},
		"no DS":          {r, hasNew, ds(nil), plain, Sighting{}, shownNot, n("has no DS %d 13 2", fresh)},
		"DS of old":      {r, hasNew, ds(nil, both[0]), plain, Sighting{}, shownNot, n("has no DS %d 13 2", fresh)},
		"wrong DS":       {r, hasNew, ds(nil, both[0], wrong), plain, Sighting{}, shownNot, fmt.Sprintf("has a wrong DS %d: expected %v, found %v: correct it at the registrar", fresh.Tag, both[1], wrong)},
		"DS, other type": {r, hasNew, ds(nil, both[0], dsRecord(fresh, 4)), plain, Sighting{}, shownNot, n("has no DS %d 13 2; the parent has the right key with digest type 4: set ds_digests, or ask for type 2", fresh)},
		"DS of both types": {r, hasNew, ds(nil, both[0], both[1], dsRecord(old, 4)), plain, Sighting{}, shownNot,
			n("has DS of %d with a weaker digest type than DS %d/4: validators that count only the strongest would not get to it: add DS of %d with type 4 (ds_digests), or take DS %d/4 out", fresh, old, fresh, old)},
		"DS unknown":        {r, hasNew, ds(nil, both...), Policy{Evidence: EvidencePlain, DSDigests: []uint8{3}}, Sighting{}, shownNot, "DS digest type 3 cannot be computed: use 2 (SHA-256) or 4 (SHA-384)"},
		"not delegated":     {r, hasNew, ServerSighting{DS: &DSVersion{NoDS: AbsentName, Parent: "com."}}, plain, Sighting{}, shownNot, n("has no DS %d 13 2: com. says that there is no example.com.: add NS records there", fresh)},
		"DS is left":        {r, Seen(RecordDS, Lacks(Old)), ds(nil, both[1], both[0]), plain, Sighting{}, shownNot, n("still has DS %d", old)},
		"mistyped, left":    {r, Seen(RecordDS, Lacks(Old)), ds(nil, typo), plain, Sighting{}, shownNot, n("still has DS %d", old)},
		"DS is gone":        {r, Seen(RecordDS, Lacks(Old)), ds(nil, both[1], DS{Tag: old.Tag, Algorithm: 8, DigestType: 2}), plain, Sighting{}, shownGood, ""},
		"a DS where none":   {r, Seen(RecordDS, Empty()), ds(nil, both[1]), plain, Sighting{}, shownNot, n("still has DS %d/2", fresh)},
		"none":              {r, Seen(RecordDS, Empty()), ds(nil), plain, Sighting{}, shownGood, ""},
		"none, and keys":    {r, Seen(RecordDS, Empty()), ServerSighting{DS: &DSVersion{}, DNSKEY: &KeyVersion{Keys: all}}, plain, Sighting{}, shownGood, ""},
		"data is not empty": {r, Seen(RecordData, Empty()), signed([]Key{old}), plain, Sighting{}, shownGood, ""},

		"not validated":   {r, hasNew, ds(nil, both...), proof, Sighting{}, shownUnproven, "the answer was not validated"},
		"secure":          {r, hasNew, ds(&Standing{Security: Secure}, both...), proof, Sighting{}, shownGood, ""},
		"insecure":        {r, hasNew, ds(&Standing{Security: Insecure, Why: "unsigned"}, both...), proof, Sighting{}, shownUnproven, `shows it, but cannot be believed: unsigned: for a parent that is not signed set evidence to "resolver" or "plain"`},
		"the resolver's":  {r, hasNew, ds(&Standing{Security: Bogus, Why: "no RRSIG", Resolver: "no signatures"}, both...), proof, Sighting{}, shownUnproven, "shows it, but cannot be believed (bogus: no RRSIG): not this server is at fault, the resolver is: no signatures: " + otherResolver},
		"bogus":           {r, hasNew, ds(&Standing{Security: Bogus, Why: "no RRSIG"}, both...), proof, Sighting{}, shownUnproven, "shows it, but cannot be believed (bogus): no RRSIG"},
		"replayed":        {r, hasNew, ds(&Standing{Security: Bogus, Why: "replays", Replayed: true}, both...), proof, Sighting{}, shownNot, "replays"},
		"replayed, plain": {r, hasNew, ds(&Standing{Security: Bogus, Why: "replays", Replayed: true}, both...), plain, Sighting{}, shownNot, "replays"},
		"bad and bogus":   {r, hasNew, ds(&Standing{Security: Bogus, Why: "no RRSIG"}, both[0]), proof, Sighting{}, shownNot, n("has no DS %d 13 2", fresh)},
		"odd evidence":    {r, hasNew, ds(nil, both...), Policy{Evidence: "hearsay", DSDigests: []uint8{2}}, Sighting{}, shownUnproven, `evidence "hearsay" is not known: it must be "validated", "resolver" or "plain"`},
		"keys need none":  {r, Seen(RecordDNSKEY, Has(New)), set(all, old), proof, Sighting{}, shownGood, ""},

		"no validator":      {r, hasNew, ds(nil, both...), byResolver, Sighting{}, shownUnproven, `unproven: no validator was asked: set validators in the configuration, or evidence to "plain"`},
		"validator":         {r, hasNew, ds(nil, both...), byResolver, Sighting{Validators: []ValidatorSighting{{Address: "v", AD: true, Set: []DS{both[1], both[0]}}}}, shownGood, ""},
		"validator, cached": {r, hasNew, ds(nil, both...), byResolver, Sighting{Validators: []ValidatorSighting{{Address: "v", AD: true, Set: both[:1]}}}, shownUnproven, n("unproven: validator v has another DS set, perhaps still cached: %d/2", old)},
		"validator, none":   {r, hasNew, ds(nil, both...), byResolver, Sighting{Validators: []ValidatorSighting{{Address: "v", AD: true}}}, shownUnproven, "unproven: validator v has another DS set, perhaps still cached: none"},
		"validator, silent": {r, hasNew, ds(nil, both...), byResolver, Sighting{Validators: []ValidatorSighting{{Address: "v", Unknown: "timed out"}}}, shownUnproven, "unproven: validator v: timed out"},
		"validator, bogus":  {r, hasNew, ds(nil, both...), byResolver, Sighting{Validators: []ValidatorSighting{{Address: "v", Bogus: true}}}, shownUnproven, "unproven: validator v says the DS set is bogus"},
		"validator, no AD":  {r, hasNew, ds(nil, both...), byResolver, Sighting{Validators: []ValidatorSighting{{Address: "v", Set: both}}}, shownUnproven, "unproven: validator v did not validate the DS set (no AD flag)"},

		"found secure":     {r, Seen(RecordDS, Has(New), FoundSecure()), ds(nil, both...), plain, Sighting{Validators: []ValidatorSighting{{Finds: Secure}, {}}}, shownGood, ""},
		"found otherwise":  {r, Seen(RecordDS, Has(New), FoundSecure()), ds(nil, both...), plain, Sighting{Validators: []ValidatorSighting{{Finds: Secure}, {Address: "v", Finds: Bogus}}}, shownUnproven, "validator v finds the zone bogus, perhaps still by what it has cached"},
		"nobody cares yet": {r, hasNew, ds(nil, both...), plain, Sighting{Validators: []ValidatorSighting{{Address: "v", Finds: Bogus}}}, shownGood, ""},
	} {
		got, detail := c.roll.judge(c.wait.Statement, c.answer, c.all, c.policy)
		if got != c.want || detail != c.says {
			t.Errorf("%s: %d %q\nexpected %d %q", name, got, detail, c.want, c.says)
		}
	}
}

// A version in the ledger has a statement only with all its properties.
func TestHoldsInTheLedger(t *testing.T) {
	old, fresh := aKey(1, KSK), aKey(2, KSK)
	r := Roll{Zone: "example.com.", Old: []Key{old}, New: []Key{fresh}}
	st := Seen(RecordDNSKEY, Has(New), SignedBy(New)).Statement
	for name, c := range map[string]struct {
		entry LedgerEntry
		want  bool
	}{
		"nothing":   {LedgerEntry{}, false},
		"a DS":      {LedgerEntry{DS: &DSVersion{}}, false},
		"one":       {LedgerEntry{DNSKEY: &KeyVersion{Keys: dnskeysOf(fresh)}}, false},
		"the other": {LedgerEntry{DNSKEY: &KeyVersion{Signers: dnskeysOf(fresh)}}, false},
		"both":      {LedgerEntry{DNSKEY: &KeyVersion{Keys: dnskeysOf(fresh), Signers: dnskeysOf(fresh)}}, true},
	} {
		if got := r.holdsIn(st, c.entry, Policy{}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Which servers count for a record: those of its side that are asked, and those
// of it that were asked before and cannot be any more.
func TestWhichServersCount(t *testing.T) {
	server := func(role, name, unchecked string) ServerSighting {
		return ServerSighting{Server: Server{Role: role, Name: name}, Unchecked: unchecked}
	}
	s := Sighting{Servers: []ServerSighting{
		server(RoleChild, "c1", ""), server(RoleChild, "c2", "no route"), server(RoleChild, "c3", "no route"),
		server(RoleParent, "p1", ""), server(RoleParent, "p2", "no route"), server(RoleParent, "p3", "no route"),
	}}
	r := Roll{Asked: []string{"c1", "c3", "p1", "p3"}}
	for record, want := range map[Record][]string{RecordDNSKEY: {"c1", "c3"}, RecordData: {"c1", "c3"}, RecordDS: {"p1", "p3"}} {
		var got []string
		for _, v := range r.counting(record, s) {
			got = append(got, v.Name)
			if lost := v.Name[1] == '3'; lost != (v.Unknown == "no route") || v.Unchecked != "" {
				t.Errorf("%s: %+v", record, v)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, expected %q", record, got, want)
		}
	}
	if s.Servers[2].Unchecked == "" {
		t.Error("the sighting itself was changed")
	}
}

func TestNamesOfServers(t *testing.T) {
	for _, c := range []struct {
		server      Server
		name, place string
	}{
		{Server{Name: "ns1.example.", Address: "192.0.2.1:53"}, "ns1.example. 192.0.2.1:53", "192.0.2.1:53"},
		{Server{Name: "ns1.example.", Address: "ns1.example:53"}, "ns1.example:53", "ns1.example:53"},
		{Server{Name: "ns1.example."}, "ns1.example.", "ns1.example."},
	} {
		if c.server.String() != c.name || c.server.place() != c.place {
			t.Errorf("%+v: %q at %q", c.server, c.server.String(), c.server.place())
		}
	}
}

// A look earns only after a good one, and never more than counts; one that shows
// something else loses all; none earns and loses nothing.
func TestWhatALookEarns(t *testing.T) {
	base := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) Instant { return Instant{Wall: base.Add(d), Boot: d, BootID: "a"} }
	good := Holding{Good: true, Earned: time.Minute, Since: base, Last: at(0), Shown: at(0), Detail: "before"}
	silent := Holding{Earned: time.Minute, Since: base, Shown: at(0), Detail: "before"}
	for name, c := range map[string]struct {
		before Holding
		v      shown
		want   Holding
	}{
		"first good":   {Holding{}, shownGood, Holding{Good: true, Since: base.Add(time.Hour), Last: at(time.Hour), Shown: at(time.Hour)}},
		"good again":   {good, shownGood, Holding{Good: true, Earned: 11 * time.Minute, Since: base, Last: at(time.Hour), Shown: at(time.Hour)}},
		"after none":   {silent, shownGood, Holding{Good: true, Earned: time.Minute, Since: base, Last: at(time.Hour), Shown: at(time.Hour)}},
		"after bad":    {Holding{Bad: true, Detail: "x"}, shownGood, Holding{Good: true, Since: base.Add(time.Hour), Last: at(time.Hour), Shown: at(time.Hour)}},
		"none":         {good, shownUnknown, Holding{Earned: time.Minute, Since: base, Shown: at(0), Detail: "now"}},
		"unproven":     {good, shownUnproven, Holding{Earned: time.Minute, Since: base, Shown: at(0), Detail: "now", Unproven: true}},
		"bad":          {good, shownNot, Holding{Detail: "now", Bad: true}},
		"none, bad":    {Holding{Bad: true}, shownUnknown, Holding{Detail: "now"}},
		"after unsure": {Holding{Unproven: true, Since: base, Shown: at(0)}, shownGood, Holding{Good: true, Since: base, Last: at(time.Hour), Shown: at(time.Hour)}},
	} {
		detail := "now"
		if got := c.before.after(c.v, detail, at(time.Hour), 10*time.Minute); got != c.want {
			t.Errorf("%s: %+v, expected %+v", name, got, c.want)
		}
	}
}

// A statement that nothing judges would count as true on every server, so the table
// makes none.
func TestTheTableSaysOnlyWhatIsJudged(t *testing.T) {
	judged := map[Record][]propertyVerb{
		RecordDNSKEY: {has, lacks, signedBy},
		RecordData:   {signedBy, notSignedBy},
		RecordDS:     {has, lacks, empty, foundSecure},
	}
	for _, k := range Kinds() {
		for _, step := range k.Steps {
			for _, w := range step.Waits {
				for _, p := range w.Properties {
					if !slices.Contains(judged[w.Record], p.Verb) {
						t.Errorf("%s, %s: nothing judges %q", k.Name(), step.Name, w)
					}
				}
			}
		}
	}
}
