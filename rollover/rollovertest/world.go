// Package rollovertest is a whole small world in fake time: a PowerDNS that
// signs, secondaries that lag, a parent that takes its time, and every cache
// that could exist. It is the Signer, the Observer and the Journal of the
// engine under test, so that the real engine and the real table run in it.
package rollovertest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollover/rollover"
	"rollover/rollover/product"
)

// Zone is the one zone of a world.
const Zone = "example.com."

// TTLs are what the servers of a world serve their records with.
type TTLs struct{ DS, DNSKEY, Data time.Duration }

// World is one zone, its two servers, the two servers of its parent, and all
// caches.
type World struct {
	Now rollover.Instant
	TTL TTLs
	// Lag is by how much each of ns1, ns2 and p1, p2 is behind its source.
	Lag map[string]time.Duration
	// Down are servers that do not answer.
	Down map[string]bool
	// Keys is PowerDNS's key table.
	Keys []rollover.Key
	// ReadLag is by how much the key table that show-zone reads is behind: a
	// replica of the database.
	ReadLag time.Duration
	// ZoneKind is Native or Master.
	ZoneKind string
	// Gone makes PowerDNS not know the zone.
	Gone bool
	// Operator is what is done at the parent when it is asked for a DS set; nil
	// does as asked at once.
	Operator func(w *World, want []rollover.DS)
	Metadata map[string][]string // of the zone
	Strays   rollover.Strays     // what list-zone shows of them
	// Do is called instead of applying a command at once, if set; it may call
	// Apply, and what it returns is what pdnsutil seemed to say.
	OnDo func(w *World, c rollover.Command) error
	// KillAt kills the program at this input or output (counted from 1); 0 never.
	// The effect of the one that kills is done if KillAfterEffect.
	KillAt          int
	KillAfterEffect bool
	Dead            bool
	Ops             int
	// Log is every command, bump, purge and notify, in order.
	Log []string
	// Clock jumps: the next looks see this much added to the wall clock.
	Skew time.Duration
	// Delegated is the name servers that the parent delegates to now; nil is both.
	Delegated []string
	// Transfers makes ns2 a secondary that takes over nothing before the serial rises.
	Transfers bool
	// Around is what PowerDNS has in the zone and beside it; Answer, what a name
	// server answers to questions that are compared; Announces, its CDS records.
	Around    rollover.Surroundings
	Answer    func(server string, asked rollover.Sample) rollover.AnswerSighting
	Announces map[string][]string
	// Undelegated is what the parent has in the place of a DS set that is empty.
	Undelegated rollover.NoDS
	// Tune changes each engine before it is used, if set.
	Tune func(*rollover.Engine)

	off     map[string]bool // servers that are switched off for good
	signed  bool            // from the beginning
	serial  uint32
	changes map[string][]change // per server, versions by the time from which it serves them
	parent  []rollover.DS
	caches  map[string]cached
	// verdicts are those of refused, by the ids of the three versions.
	verdicts map[[3]string]string
	stored   map[string][]byte
	decoded  string // what roll was decoded from
	roll     *rollover.Roll
	Events   []rollover.Event
	nextKey  int
	replayed []replayed
}

// replayed is the key table up to a moment.
type replayed struct {
	until time.Time
	keys  []rollover.Key
}

type change struct {
	at      time.Time
	version version
}

// version is what one server serves of one record.
type version struct {
	Record  rollover.Record
	Keys    []rollover.DNSKEY
	Signers []rollover.DNSKEY
	DS      []rollover.DS
	TTL     time.Duration
	Serial  uint32 // of data
}

type cached struct {
	version version
	until   time.Time
}

var errKilled = errors.New("the program was killed")

// New is a world with a signed zone: "split" for KSK and ZSK, "csk" for one
// key, as secure-zone makes it. Its DS is at the parent. "unsigned" is a zone
// without keys and DS.
func New(layout string, ttl TTLs) *World {
	w := &World{
		Now: rollover.Instant{Wall: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), BootID: "boot-1"},
		TTL: ttl, Lag: map[string]time.Duration{}, Down: map[string]bool{}, ZoneKind: rollover.KindMaster,
		serial: 1, changes: map[string][]change{}, caches: map[string]cached{}, verdicts: map[[3]string]string{}, stored: map[string][]byte{},
	}
	w.signed = layout != "unsigned"
	if w.signed {
		w.AddKey(257, true, true)
	}
	if layout == "split" {
		w.AddKey(256, true, true)
	}
	clear(w.changes) // the zone was signed before anybody looked
	w.SetDS(w.DSOf(w.Keys...))
	w.publishZone()
	w.Advance(0)
	return w
}

// DSOf is the DS records of those keys that sign the DNSKEY set.
func (w *World) DSOf(keys ...rollover.Key) []rollover.DS {
	var out []rollover.DS
	for _, k := range keys {
		if !rollover.RoleOf(w.Keys, k).SignsKeys() {
			continue
		}
		d, err := k.DNSKEY().DS(Zone, 2)
		if err != nil {
			panic(err) // keys of a world are well-formed
		}
		out = append(out, d)
	}
	return out
}

// Clone is a world that goes its own way from here.
func (w *World) Clone() *World {
	out := *w
	out.Lag, out.Down, out.Metadata = maps.Clone(w.Lag), maps.Clone(w.Down), maps.Clone(w.Metadata)
	out.Keys, out.Log, out.Events, out.parent = slices.Clone(w.Keys), slices.Clone(w.Log), slices.Clone(w.Events), slices.Clone(w.parent)
	out.caches, out.stored, out.verdicts, out.changes = maps.Clone(w.caches), maps.Clone(w.stored), maps.Clone(w.verdicts), map[string][]change{}
	for where, list := range w.changes {
		out.changes[where] = slices.Clone(list)
	}
	return &out
}

// AddKey adds a key as an operator would by hand, algorithm 13.
func (w *World) AddKey(flags uint16, active, published bool) rollover.Key {
	k := w.newKey(rollover.Key{Flags: flags, Algorithm: 13, Bits: 256, Active: active, Published: published})
	w.Keys = append(w.Keys, k)
	w.publishZone()
	return k
}

// newKey makes a key. Ids are reused as PowerDNS does with sqlite: one more
// than the largest in use.
func (w *World) newKey(k rollover.Key) rollover.Key {
	w.nextKey++
	k.ID = 1
	for _, o := range w.Keys {
		k.ID = max(k.ID, o.ID+1)
	}
	number := sha256.Sum256(fmt.Append(nil, w.nextKey))
	k.PublicKey = base64.StdEncoding.EncodeToString(number[:])
	k.Tag = k.DNSKEY().Tag()
	return k
}

// Twin is another key with the tag of a key: the tag is a sum, and does not
// notice that two words of the public key have changed places.
func Twin(k rollover.DNSKEY) rollover.DNSKEY {
	public, err := base64.StdEncoding.DecodeString(k.PublicKey)
	if err != nil {
		panic(err) // keys of a world are well-formed
	}
	swapped := slices.Concat(public[2:4], public[:2], public[4:])
	k.PublicKey = base64.StdEncoding.EncodeToString(swapped)
	return k
}

// publishZone lets the servers take over what PowerDNS has now, each with its lag.
func (w *World) publishZone() {
	w.transfer("ns1")
	if !w.Transfers {
		w.transfer("ns2")
	}
}

// transfer lets one server take over what PowerDNS has now, with its lag. A zone
// without an active key is not signed, whatever is published.
func (w *World) transfer(ns string) {
	dnskey := version{Record: rollover.RecordDNSKEY, TTL: w.TTL.DNSKEY}
	data := version{Record: rollover.RecordData, TTL: w.TTL.Data, Serial: w.serial}
	signed := slices.ContainsFunc(w.Keys, func(k rollover.Key) bool { return k.Active })
	for _, k := range w.Keys {
		role := rollover.RoleOf(w.Keys, k)
		if k.Published && signed {
			dnskey.Keys = append(dnskey.Keys, k.DNSKEY())
		}
		if k.Active && role.SignsKeys() {
			dnskey.Signers = append(dnskey.Signers, k.DNSKEY())
		}
		if k.Active && role.SignsData() {
			data.Signers = append(data.Signers, k.DNSKEY())
		}
	}
	if w.off[ns] {
		return
	}
	at := w.Now.Wall.Add(w.Lag[ns])
	w.change(ns+"/DNSKEY", change{at, dnskey})
	w.change(ns+"/data", change{at, data})
}

func (w *World) change(where string, c change) {
	w.changes[where] = append(w.changes[where], c)
}

// SetTTL changes the TTLs that are served from now on.
func (w *World) SetTTL(t TTLs) {
	w.TTL = t
	w.publishZone()
	w.SetDS(w.parent)
}

// SetDS sets the DS set at the parent's primary; its servers follow with their lag.
func (w *World) SetDS(set []rollover.DS) {
	w.parent = slices.Clone(set)
	for _, p := range []string{"p1", "p2"} {
		w.SetDSAt(p, set, w.Lag[p])
	}
}

// DSSet is the DS set at the parent's primary.
func (w *World) DSSet() []rollover.DS { return slices.Clone(w.parent) }

// SetDSAt sets the DS set at one server of the parent after a delay.
func (w *World) SetDSAt(server string, set []rollover.DS, delay time.Duration) {
	w.change(server+"/DS", change{w.Now.Wall.Add(delay), version{Record: rollover.RecordDS, DS: slices.Clone(set), TTL: w.TTL.DS}})
}

// SwitchOff takes a server of the zone off for good: what it served until now is
// in caches.
func (w *World) SwitchOff(ns string) {
	w.remember()
	w.Down[ns] = true
	w.off = map[string]bool{ns: true}
	delete(w.changes, ns+"/DNSKEY")
	delete(w.changes, ns+"/data")
}

// serving is what a server serves of a record now: the last change that has arrived.
func (w *World) serving(where string) version {
	var out version
	for _, c := range w.changes[where] {
		if !c.at.After(w.Now.Wall) {
			out = c.version
		}
	}
	return out
}

// Advance lets time pass and returns the first combination of versions that
// some resolver may hold and that does not validate; empty if there is none.
// Caches are exact: any resolver may have asked any server at any moment.
func (w *World) Advance(d time.Duration) string {
	bad := ""
	for end := w.Now.Wall.Add(d); ; {
		w.remember()
		if bad == "" {
			bad = w.Broken()
		}
		next, ok := w.nextChange(end)
		if !ok && w.Now.Wall.Equal(end) {
			return bad
		}
		if !ok {
			next = end
		}
		w.pass(next.Sub(w.Now.Wall))
	}
}

func (w *World) pass(d time.Duration) {
	w.Now.Wall, w.Now.Boot = w.Now.Wall.Add(d), w.Now.Boot+d
}

func (w *World) nextChange(end time.Time) (time.Time, bool) {
	var out time.Time
	for _, list := range w.changes {
		for _, c := range list {
			if c.at.After(w.Now.Wall) && !c.at.After(end) && (out.IsZero() || c.at.Before(out)) {
				out = c.at
			}
		}
	}
	return out, !out.IsZero()
}

// remember renews every cache with what is served now. What was served until
// another version came was cacheable until that moment, and is then forgotten
// by the server.
func (w *World) remember() {
	for where, list := range w.changes {
		for len(list) > 1 && !list[1].at.After(w.Now.Wall) {
			w.cache(list[0].version, list[1].at)
			list = list[1:]
		}
		w.changes[where] = list
		if !list[0].at.After(w.Now.Wall) {
			w.cache(list[0].version, w.Now.Wall)
		}
	}
}

// cache notes that a version could be fetched until a moment.
func (w *World) cache(v version, until time.Time) {
	key := v.id()
	if u := until.Add(v.TTL); u.After(w.caches[key].until) {
		w.caches[key] = cached{v, u}
	}
}

// Broken is a combination in caches that does not validate, in words.
func (w *World) Broken() string {
	var ds, keys, data []string
	for id, c := range w.caches {
		if !c.until.After(w.Now.Wall) {
			delete(w.caches, id)
			continue
		}
		switch c.version.Record {
		case rollover.RecordDS:
			ds = append(ds, id)
		case rollover.RecordDNSKEY:
			keys = append(keys, id)
		default:
			data = append(data, id)
		}
	}
	for _, k := range keys {
		for _, s := range data {
			for _, d := range ds {
				if why := w.judged(d, k, s); why != "" {
					return fmt.Sprintf("%s: a resolver may hold %v, %v and %v: %s", w.Now.Wall.Format(time.TimeOnly), w.caches[d].version, w.caches[k].version, w.caches[s].version, why)
				}
			}
		}
	}
	return ""
}

// judged is refused for three versions by id, worked out once.
func (w *World) judged(d, k, s string) string {
	id := [3]string{d, k, s}
	why, known := w.verdicts[id]
	if !known {
		why = w.refused(w.caches[d].version, w.caches[k].version, w.caches[s].version)
		w.verdicts[id] = why
	}
	return why
}

// refused says why some validator does not accept what it holds: one that takes
// any path (RFC 6840 section 5.11), one that insists on every algorithm of the
// DS set, of whose digest types it counts only the strongest (harden-algo-downgrade), or one that insists on every algorithm of the
// DNSKEY set, which a zone has to be signed with (RFC 4035 section 2.2).
//
// Without a DS a zone is insecure, and anything goes; but one that was signed from
// the beginning may be an island of trust.
func (w *World) refused(d, k, s version) string {
	switch {
	case len(d.DS) == 0 && (!w.signed || len(k.Signers) == 0 || len(s.Signers) == 0 || signed(k, s)):
		return ""
	case len(d.DS) > 0 && !chained(Zone, d, k):
		return "no DS points to a key that signed the DNSKEY set"
	case !signed(k, s):
		return "no key of the DNSKEY set signed the data"
	}
	for _, ds := range strongest(d.DS) {
		of := func(key rollover.DNSKEY) bool { return key.Algorithm == ds.Algorithm }
		only := d
		only.DS = slices.DeleteFunc(strongest(d.DS), func(o rollover.DS) bool { return o.Algorithm != ds.Algorithm })
		one := k
		one.Keys = slices.DeleteFunc(slices.Clone(k.Keys), func(key rollover.DNSKEY) bool { return !of(key) })
		if !chained(Zone, only, k) || !signed(one, s) {
			return fmt.Sprintf("algorithm %d of the DS set is not followed down to the data", ds.Algorithm)
		}
	}
	for _, key := range k.Keys {
		of := func(o rollover.DNSKEY) bool { return o.Algorithm == key.Algorithm }
		if !slices.ContainsFunc(k.Signers, of) || !slices.ContainsFunc(s.Signers, of) {
			return fmt.Sprintf("algorithm %d of the DNSKEY set did not sign everything", key.Algorithm)
		}
	}
	return ""
}

// strongest is the records of the strongest digest type, which are all that
// some validators count. Algorithms and types that no validator knows are as if
// they were not there.
func strongest(set []rollover.DS) []rollover.DS {
	known := slices.DeleteFunc(slices.Clone(set), func(d rollover.DS) bool {
		return d.DigestType != 1 && d.DigestType != 2 && d.DigestType != 4 || d.Algorithm < 5 || d.Algorithm > 16
	})
	most := uint8(0)
	for _, d := range known {
		most = max(most, d.DigestType)
	}
	return slices.DeleteFunc(known, func(d rollover.DS) bool { return d.DigestType != most })
}

// chained says whether some DS points to a key of the set that signed it.
func chained(zone string, d, k version) bool {
	for _, have := range d.DS {
		for _, key := range k.Signers {
			want, err := key.DS(zone, have.DigestType)
			if err == nil && have == want && slices.Contains(k.Keys, key) {
				return true
			}
		}
	}
	return false
}

func signed(k, s version) bool {
	return slices.ContainsFunc(s.Signers, func(d rollover.DNSKEY) bool { return slices.Contains(k.Keys, d) })
}

// Accepted is what worlds hold of a combination that some resolver has: a DS
// set, a DNSKEY set and data.
func Accepted(zone string, ds []rollover.DS, keys rollover.KeyVersion, data rollover.DataVersion) bool {
	k := version{Keys: keys.Keys, Signers: keys.Signers}
	return len(ds) == 0 || chained(zone, version{DS: ds}, k) && signed(k, version{Signers: data.Signers})
}

// id is a version by all that makes it different from others.
func (v version) id() string {
	if v.Record == rollover.RecordDS {
		return fmt.Sprint("DS ", v.DS) // a digest may be wrong
	}
	return v.String()
}

// String is a version by its key tags.
func (v version) String() string {
	tags := func(keys []rollover.DNSKEY) (out []uint16) {
		for _, k := range keys {
			out = append(out, k.Tag())
		}
		return out
	}
	switch v.Record {
	case rollover.RecordDS:
		var out []uint16
		for _, d := range v.DS {
			out = append(out, d.Tag)
		}
		return fmt.Sprintf("DS %v", out)
	case rollover.RecordDNSKEY:
		return fmt.Sprintf("DNSKEY %v signed by %v", tags(v.Keys), tags(v.Signers))
	}
	return fmt.Sprintf("data signed by %v", tags(v.Signers))
}

// io counts one input or output, and says whether the program lives on. The
// effect runs if the program is alive, or dies right after it.
func (w *World) io(effect func()) error {
	if w.Dead {
		return errKilled
	}
	w.Ops++
	if w.Ops == w.KillAt {
		w.Dead = true
		if w.KillAfterEffect {
			effect()
		}
		return errKilled
	}
	effect()
	return nil
}

// Revive starts the program again after a kill.
func (w *World) Revive() { w.Dead, w.KillAt = false, 0 }

// Inventory is the Signer's.
func (w *World) Inventory(_ context.Context, zone string) (rollover.Inventory, error) {
	inv := rollover.Inventory{Zone: zone, Kind: w.ZoneKind, Metadata: w.Metadata}
	err := w.io(func() {
		w.Log = append(w.Log, "show-zone")
		keys := w.replica()
		for _, k := range keys {
			if k.Published && !rollover.RoleOf(keys, k).SignsKeys() {
				k.PublicKey = "" // show-zone does not print those of ZSKs
			}
			inv.Keys = append(inv.Keys, k)
		}
	})
	if err == nil && (w.Gone || zone != Zone) {
		return inv, fmt.Errorf("%s: %w", zone, rollover.ErrUnknownZone)
	}
	return inv, err
}

// replica is the key table as it is read.
func (w *World) replica() []rollover.Key {
	at := w.Now.Wall.Add(-w.ReadLag)
	for _, was := range w.replayed {
		if at.Before(was.until) {
			return was.keys
		}
	}
	return w.Keys
}

// Contents is the Signer's.
func (w *World) Contents(context.Context, string) (rollover.Contents, error) {
	c := rollover.Contents{Serial: w.serial, LargestTTL: uint32(w.TTL.Data.Seconds()), Minimum: uint32(w.TTL.DNSKEY.Seconds()), Strays: w.Strays}
	return c, w.io(func() { w.Log = append(w.Log, "list-zone") })
}

// Surroundings is the Surveyor's: nothing, unless the world has some.
func (w *World) Surroundings(context.Context, string) (rollover.Surroundings, error) {
	return w.Around, nil
}

// Do is the Signer's.
func (w *World) Do(_ context.Context, _ string, c rollover.Command) error {
	var result error
	err := w.io(func() {
		w.Log = append(w.Log, fmt.Sprintf("%s %d", c.Verb, c.Key.ID))
		if w.OnDo != nil {
			result = w.OnDo(w, c)
			return
		}
		w.Apply(c)
	})
	return errors.Join(err, result)
}

// Apply does a command to the key table.
func (w *World) Apply(c rollover.Command) {
	if w.ReadLag > 0 {
		w.replayed = append(w.replayed, replayed{w.Now.Wall, slices.Clone(w.Keys)})
	}
	if c.Verb == rollover.VerbCreate {
		w.Keys = append(w.Keys, w.newKey(c.Key))
	}
	for i := range w.Keys {
		if w.Keys[i].ID != c.Key.ID {
			continue
		}
		switch c.Verb {
		case rollover.VerbActivate:
			w.Keys[i].Active = true
		case rollover.VerbDeactivate:
			w.Keys[i].Active = false
		case rollover.VerbPublish:
			w.Keys[i].Published = true
		case rollover.VerbUnpublish:
			w.Keys[i].Published = false
		case rollover.VerbRemove:
			w.Keys = slices.Delete(w.Keys, i, i+1)
			w.publishZone()
			return
		}
	}
	w.publishZone()
}

// Rectify is the Signer's.
func (w *World) Rectify(context.Context, string) error {
	return w.io(func() { w.Log = append(w.Log, "rectify-zone") })
}

// RetractCDS is the Signer's; there is nothing to take out unless a test has put it in.
func (w *World) RetractCDS(context.Context, string) error {
	if len(w.Metadata) == 0 {
		return nil
	}
	return w.io(func() { w.Metadata = nil; w.Log = append(w.Log, "unset-publish-cds") })
}

// BumpSerial is the Signer's.
func (w *World) BumpSerial(context.Context, string) (uint32, error) {
	err := w.io(func() {
		w.serial++
		w.Log = append(w.Log, "increase-serial")
		w.transfer("ns1")
		w.transfer("ns2")
	})
	return w.serial, err
}

// Refresh is the Signer's.
func (w *World) Refresh(_ context.Context, zones, notify []string) error {
	return w.io(func() { w.Log = append(w.Log, fmt.Sprintf("purge %v notify %v", zones, notify)) })
}

// Explain is the Signer's.
func (w *World) Explain(zone string, c rollover.Command) string {
	return fmt.Sprintf("pdnsutil %s %s %d", c.Verb, zone, c.Key.ID)
}

// Clock reads the clocks of the machine that rollover runs on.
func (w *World) Clock() rollover.Instant {
	now := w.Now
	now.Wall = now.Wall.Add(w.Skew)
	return now
}

// Look is the Observer's.
func (w *World) Look(_ context.Context, q rollover.Question) (rollover.Sighting, error) {
	s := rollover.Sighting{Zone: q.Zone, Records: q.Records}
	err := w.io(func() {
		for _, name := range []string{"ns1", "ns2", "p1", "p2"} {
			if !slices.Contains(q.Exclude, name) && w.asked(name, q) {
				s.Servers = append(s.Servers, w.compared(name, w.ask(name, q.Records), q))
			}
		}
	})
	s.At = w.Clock()
	return s, err
}

// compared adds what a name server answers to questions that are compared.
func (w *World) compared(name string, s rollover.ServerSighting, q rollover.Question) rollover.ServerSighting {
	if q.Thorough && s.Role == rollover.RoleChild {
		s.Announces = w.Announces[name]
	}
	if s.Role != rollover.RoleChild || w.Answer == nil {
		return s
	}
	for _, sample := range q.Answers {
		answer := w.Answer(name, sample)
		answer.Sample = sample
		s.Answers = append(s.Answers, answer)
	}
	return s
}

// asked says whether a look asks a server: one that is delegated to, or was asked before.
func (w *World) asked(name string, q rollover.Question) bool {
	known := func(s rollover.Server) bool { return s.Name == name }
	return name[0] == 'p' || w.Delegated == nil || slices.Contains(w.Delegated, name) || slices.ContainsFunc(q.Known, known)
}

func (w *World) ask(name string, records []rollover.Record) rollover.ServerSighting {
	out := rollover.ServerSighting{Server: rollover.Server{Role: rollover.RoleChild, Name: name, Address: name}}
	if name[0] == 'p' {
		out.Role = rollover.RoleParent
	}
	if w.Down[name] {
		out.Unknown = "timed out"
		return out
	}
	ttl := func(v version) uint32 { return uint32(v.TTL.Seconds()) }
	for _, record := range records {
		v := w.serving(name + "/" + string(record))
		switch {
		case record == rollover.RecordDS && out.Role == rollover.RoleParent:
			out.DS = &rollover.DSVersion{NoDS: w.Undelegated, Denied: w.Undelegated != "", Parent: "com.", Set: v.DS, TTL: ttl(v), Standing: &rollover.Standing{Security: rollover.Secure, Signed: w.Now.Wall, Expires: w.expiry()}}
		case record == rollover.RecordDNSKEY && out.Role == rollover.RoleChild:
			out.DNSKEY = &rollover.KeyVersion{Keys: v.Keys, Signers: v.Signers, TTL: ttl(v), Expires: w.expiry()}
		case record == rollover.RecordData && out.Role == rollover.RoleChild:
			out.Data, out.Serial = &rollover.DataVersion{Signers: v.Signers, TTL: ttl(v), Expires: w.expiry()}, v.Serial
			for _, k := range v.Signers {
				out.Data.Traces = append(out.Data.Traces, rollover.Signature{Tag: k.Tag(), Algorithm: k.Algorithm})
			}
		}
	}
	return out
}

// expiry is when the signatures that are made now expire, by the clock of the
// machine that rollover runs on: a clock that is wrong by weeks is not what
// these worlds are about.
func (w *World) expiry() time.Time { return w.Clock().Wall.Add(10 * 24 * time.Hour) }

// Load is the Journal's. What is stored is JSON, as in the real one.
func (w *World) Load(zone string) (rollover.Dossier, error) {
	d := rollover.Dossier{Zone: zone}
	if raw, ok := w.stored[zone]; ok {
		if err := json.Unmarshal(raw, &d); err != nil {
			return d, err
		}
	}
	return d, nil
}

// Forget loses the state file.
func (w *World) Forget() { clear(w.stored) }

// Save is the Journal's.
func (w *World) Save(entries ...rollover.Entry) error {
	var failed error
	err := w.io(func() {
		for _, e := range entries {
			raw, err := json.Marshal(e.Dossier)
			if err != nil {
				failed = err
				return
			}
			w.stored[e.Dossier.Zone] = raw
			w.Events = append(w.Events, e.Events...)
		}
	})
	return errors.Join(err, failed)
}

// Roll is the rollover as it is stored. Tests ask for it all the time, so it is
// decoded once for each time it was saved.
func (w *World) Roll() *rollover.Roll {
	if raw := string(w.stored[Zone]); raw != w.decoded {
		d, err := w.Load(Zone)
		if err != nil {
			panic(err) // the world stored it itself
		}
		w.decoded, w.roll = raw, d.Roll
	}
	if w.roll == nil {
		return nil
	}
	r := *w.roll
	return &r
}

// Engine is a fresh engine in this world, as a new process has it.
func (w *World) Engine(p rollover.Policy) *rollover.Engine {
	e := &rollover.Engine{
		Signer: w, Observer: w, Journal: w, Product: product.Check, Now: w.Clock, Workers: 1,
		Setting: func(string) rollover.Setting { return rollover.Setting{Policy: p} },
	}
	if w.Tune != nil {
		w.Tune(e)
	}
	return e
}

// ServeParent does at the parent what the rollover asks for, as Operator says.
func (w *World) ServeParent(p rollover.Policy) {
	r := w.Roll()
	if r == nil || r.Ask == nil {
		return
	}
	todo := r.Parent(p)
	if len(todo.Add)+len(todo.Remove) == 0 {
		return
	}
	want := slices.Concat(todo.Keep, todo.Add)
	if same(want, w.parent) {
		return
	}
	if w.Operator != nil {
		w.Operator(w, want)
		return
	}
	w.SetDS(want)
}

func same(a, b []rollover.DS) bool {
	if len(a) != len(b) {
		return false
	}
	for _, d := range a {
		if !slices.Contains(b, d) {
			return false
		}
	}
	return true
}
