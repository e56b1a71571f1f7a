package rollover_test

import (
	"context"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"rollover/rollover"
	"rollover/rollover/chain"
	"rollover/rollover/lab"
	"rollover/rollover/probe"
	"rollover/rollover/product"
	"rollover/rollover/rollovertest"
)

// combo is one combination of the model: keys, which of them the parent has DS
// of, which are in the DNSKEY set, and which sign that and data. Keys are bits,
// in the order of the list.
type combo struct {
	code          string
	keys          []lab.CombinedKey // by flag and algorithm
	ds            []lab.CombinedDS
	has, by, data uint8
	live          bool // PowerDNS makes it from a key table
}

// The keys of the model, as bits.
const (
	keyO uint8 = 1 << iota // old
	keyN                   // new
	keyZ                   // a ZSK that stays

	keyX = keyZ // a stranger's, where there is no ZSK
)

// keySet is a version of a DNSKEY set: what is in it, and who signed it.
type keySet struct {
	name    string
	has, by uint8
}

// dnskeys is every set of two keys with every signers of it: none, some, or a key
// that is not in it (signatures come before keys: RFC 6781 section 4.1.4).
func dnskeys() (out []keySet) {
	for name, has := range sets() {
		for signers, by := range sets() {
			if has != 0 {
				out = append(out, keySet{name + "-by-" + signers, has, by})
			}
		}
	}
	return out
}

// ownKeys is those that are signed, and by keys in them.
func ownKeys() []keySet {
	return slices.DeleteFunc(dnskeys(), func(k keySet) bool { return k.by == 0 || k.by&^k.has != 0 })
}

// sets are the sets that there are of two keys.
func sets() map[string]uint8 {
	return map[string]uint8{"none": 0, "o": keyO, "n": keyN, "on": keyO | keyN}
}

// dsRecords is DS records of keys, of one digest type.
func dsRecords(keys uint8, digest uint8) (out []lab.CombinedDS) {
	for i := range 8 {
		if keys&(1<<i) != 0 {
			out = append(out, lab.CombinedDS{Key: i, Digest: digest})
		}
	}
	return out
}

func plainKey(ksk bool, algorithm uint8) lab.CombinedKey {
	return lab.CombinedKey{KSK: ksk, Algorithm: algorithm}
}

// ofKSKs is every DS set with every DNSKEY set that a KSK has signed, in a zone
// with a ZSK.
func ofKSKs() (out []combo) {
	keys := []lab.CombinedKey{plainKey(true, 13), plainKey(true, 13), plainKey(false, 13)}
	for name, ds := range sets() {
		for _, k := range dnskeys() {
			if k.by != 0 {
				out = append(out, combo{"ksk-" + name + "-" + k.name, keys, dsRecords(ds, 2), k.has | keyZ, k.by, keyZ, true})
			}
		}
	}
	return out
}

// ofLoneZSKs is the same where no KSK is active: PowerDNS has the ZSK sign the
// DNSKEY set as well. The parent may have a DS of it.
func ofLoneZSKs() (out []combo) {
	keys := []lab.CombinedKey{plainKey(true, 13), plainKey(true, 13), plainKey(false, 13)}
	for ds := range keyZ << 1 {
		for name, has := range sets() {
			out = append(out, combo{fmt.Sprintf("lone-%d-%s", ds, name), keys, dsRecords(ds, 2), has | keyZ, keyZ, keyZ, true})
		}
	}
	return out
}

// ofZSKs is every DNSKEY set with data by every signer: bits one and two are
// the ZSKs here.
func ofZSKs() (out []combo) {
	keys := []lab.CombinedKey{plainKey(true, 13), plainKey(false, 13), plainKey(false, 13)}
	for name, has := range sets() {
		for signers, data := range sets() {
			if data != 0 { // else the KSK signs it
				out = append(out, combo{"zsk-" + name + "-by-" + signers, keys, dsRecords(1, 2), 1 | has<<1, 1, data << 1, true})
			}
		}
	}
	return out
}

// ofCSKs is every DS set with every DNSKEY set, or none, and data by every
// signer, or by none; the new key may have another algorithm.
func ofCSKs(prefix string, algorithm uint8) (out []combo) {
	keys := []lab.CombinedKey{plainKey(true, 13), plainKey(true, algorithm)}
	for name, ds := range sets() {
		for _, k := range append(dnskeys(), keySet{name: "no-keys"}) {
			for signers, data := range sets() {
				out = append(out, combo{prefix + "-" + name + "-" + k.name + "-data-" + signers, keys, dsRecords(ds, 2), k.has, k.by, data, false})
			}
		}
	}
	return out
}

// ofBareZones is every DS set over a zone that PowerDNS serves without keys and
// signatures.
func ofBareZones() (out []combo) {
	keys := []lab.CombinedKey{plainKey(true, 13), plainKey(true, 13)}
	for name, ds := range sets() {
		out = append(out, combo{"bare-" + name, keys, dsRecords(ds, 2), 0, 0, 0, true})
	}
	return out
}

// ofStrangers is every DS set with DNSKEY sets that have somebody's third key,
// which signs nothing, some or all, beside the others or alone.
func ofStrangers() (out []combo) {
	keys := []lab.CombinedKey{plainKey(true, 13), plainKey(true, 13), plainKey(true, 13)}
	for name, ds := range sets() {
		add := func(code string, has, by, data uint8, live bool) {
			live = live && ds == keyO // a server sees nothing of the DS
			out = append(out, combo{"stranger-" + name + "-" + code, keys, dsRecords(ds, 2), has | keyX, by, data, live})
		}
		for _, k := range ownKeys() {
			add(k.name+"-silent", k.has, k.by, k.by, true)
			add(k.name+"-signs", k.has, k.by|keyX, k.by|keyX, true)
			add(k.name+"-signs-keys", k.has, k.by|keyX, k.by, false)
			add(k.name+"-signs-data", k.has, k.by, k.by|keyX, false)
			add(k.name+"-alone-signs-data", k.has, k.by, keyX, false)
			add(k.name+"-alone-signs-keys", k.has, keyX, k.by, false)
		}
		for has, signed := range map[string]uint8{"o": keyO, "n": keyN, "on": keyO | keyN} {
			add(has+"-alone-signs", signed, keyX, keyX, true)
		}
	}
	return out
}

// ofDigests is every mixture of digest types, with old alone signing, and, for
// one type for each key, with both.
func ofDigests() (out []combo) {
	keys := []lab.CombinedKey{plainKey(true, 13), plainKey(true, 13)}
	var mixtures [][]uint8
	for some := range 8 {
		var types []uint8
		for i, digest := range []uint8{1, 2, 4} {
			if some&(1<<i) != 0 {
				types = append(types, digest)
			}
		}
		mixtures = append(mixtures, types)
	}
	for _, old := range mixtures {
		for _, fresh := range mixtures {
			var ds []lab.CombinedDS
			for _, digest := range old {
				ds = append(ds, lab.CombinedDS{Key: 0, Digest: digest})
			}
			for _, digest := range fresh {
				ds = append(ds, lab.CombinedDS{Key: 1, Digest: digest})
			}
			if len(ds) == 0 {
				continue
			}
			code := strings.NewReplacer(" ", "", "[", "", "]", "").Replace(fmt.Sprintf("digests-o%v-n%v", old, fresh))
			out = append(out, combo{code + "-by-o", keys, ds, keyO | keyN, keyO, keyO | keyN, false})
			if len(old) <= 1 && len(fresh) <= 1 {
				out = append(out, combo{code + "-by-on", keys, ds, keyO | keyN, keyO | keyN, keyO | keyN, false})
			}
		}
	}
	return out
}

// TestPredicatesAgainstReality: every combination of the model is a zone on
// PowerDNS, and delv, Unbound, a strict Unbound and our own validator are asked
// what they make of it. They agree with what the program and the proof hold of
// it, and where not, as the table of differences says.
func TestPredicatesAgainstReality(t *testing.T) {
	t.Parallel()
	all := slices.Concat(ofKSKs(), ofLoneZSKs(), ofZSKs(), ofCSKs("csk", 13), ofCSKs("algorithm", 15), ofBareZones(), ofStrangers(), ofDigests())
	p := newPlace(t, all)
	var mu sync.Mutex
	met := map[string]int{}
	p.each(all, func(c combo) {
		found := p.ask(c)
		mu.Lock()
		defer mu.Unlock()
		for _, name := range p.compare(c, found) {
			met[name]++
		}
	})
	for _, d := range differences() {
		if met[d.name] == 0 {
			t.Errorf("nowhere met: %s", d.name)
		}
		t.Logf("%4d: %s: %s", met[d.name], d.name, d.why)
	}
	t.Logf("%d combinations", len(all))
}

// difference is where somebody decides otherwise than the predicate of the
// program, rightly or not, and why that is harmless.
type difference struct {
	name, why string
	who       func(*opinions) *bool // whose acceptance differs
	where     func(c combo) bool
	accepts   bool
}

// differences is all that there are.
func differences() []difference {
	return []difference{{
		name: "Unbound follows SHA-1 beside a stronger digest", why: "it may (RFC 4509 section 3 says that it should not); the program counts no such path",
		who: func(o *opinions) *bool { return &o.unbound }, where: combo.byWeakDigestOnly, accepts: true,
	}, {
		name: "worlds in fake time follow SHA-1 beside a stronger digest", why: "digest types are no part of them: rollover starts only where old and new have the same",
		who: func(o *opinions) *bool { return &o.world }, where: combo.byWeakDigestOnly, accepts: true,
	}, {
		name: "the proof follows SHA-1 beside a stronger digest", why: "as above",
		who: func(o *opinions) *bool { return &o.proof }, where: combo.byWeakDigestOnly, accepts: true,
	}, {
		name: "a strict Unbound refuses", why: "it wants the strongest digest type, and every algorithm that DS of it have, to sign keys and data",
		who: func(o *opinions) *bool { return &o.strict }, where: func(c combo) bool { return c.lax() && !c.strictly() }, accepts: false,
	}, {
		name: "the proof refuses", why: "it wants every algorithm of the DS set to sign the keys, and every one of the DNSKEY set to sign data, whatever the digest type: more than any validator here",
		who: func(o *opinions) *bool { return &o.proof }, where: func(c combo) bool { return c.lax() && !c.byBook() }, accepts: false,
	}}
}

// dsKeys is the keys that DS point to, those of digest types that count only.
func (c combo) dsKeys(counts func(digest uint8) bool) (out uint8) {
	for _, d := range c.ds {
		if counts(d.Digest) {
			out |= 1 << d.Key
		}
	}
	return out
}

func (c combo) strongest() (out uint8) {
	for _, d := range c.ds {
		out = max(out, d.Digest)
	}
	return out
}

func anyDigest(uint8) bool { return true }

// lax is one path to data, by digests that count (RFC 6840 section 5.11, RFC
// 4509 section 3): what the predicates of the program are to say.
func (c combo) lax() bool {
	counts := func(digest uint8) bool { return digest > 1 || c.strongest() == 1 }
	return c.dsKeys(counts)&c.has&c.by != 0 && c.has&c.data != 0
}

func (c combo) byWeakDigestOnly() bool {
	return !c.lax() && c.dsKeys(anyDigest)&c.has&c.by != 0 && c.has&c.data != 0
}

// mixed is more than one digest type, of which the proof knows nothing:
// rollover does not start there.
func (c combo) mixed() bool {
	return slices.ContainsFunc(c.ds, func(d lab.CombinedDS) bool { return d.Digest != c.strongest() })
}

// strictly is what harden-algo-downgrade of Unbound wants.
func (c combo) strictly() bool {
	trusted := c.dsKeys(func(digest uint8) bool { return digest == c.strongest() })
	for _, algorithm := range c.algorithms() {
		if trusted&algorithm != 0 && (trusted&algorithm&c.has&c.by == 0 || c.has&algorithm&c.data == 0) {
			return false
		}
	}
	return trusted != 0
}

// byBook is that everything announced signs (RFC 4035 section 2.2).
func (c combo) byBook() bool {
	ds := c.dsKeys(anyDigest)
	for _, algorithm := range c.algorithms() {
		if ds&algorithm != 0 && ds&algorithm&c.has&c.by == 0 || c.has&algorithm != 0 && c.has&algorithm&c.data == 0 {
			return false
		}
	}
	return true
}

// algorithms is the keys of each algorithm.
func (c combo) algorithms() []uint8 {
	out := make([]uint8, 2)
	for i, k := range c.keys {
		out[k.Algorithm/15] |= 1 << i
	}
	return out
}

// combination is a combo as the lab builds it.
func (c combo) combination() lab.Combination {
	out := lab.Combination{Code: c.code, DS: c.ds, Presigned: !c.live}
	for i, k := range c.keys {
		bit := uint8(1) << i
		k.Published, k.SignsKeys, k.SignsData = c.has&bit != 0, c.by&bit != 0, c.data&bit != 0
		out.Keys = append(out.Keys, k)
	}
	return out
}

// place is a lab with all combinations, and our eyes on it.
type place struct {
	t   *testing.T
	lab *lab.Lab
	eye *probe.Client
}

func newPlace(t *testing.T, all []combo) *place {
	t.Helper()
	var zones []lab.Combination
	for _, c := range all {
		zones = append(zones, c.combination())
	}
	l, err := lab.StartCombinations(t.Context(), zones)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(l.AnchorFile())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	anchors, err := chain.ParseAnchors(file, "the lab")
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, lab: l, eye: &probe.Client{Resolvers: []string{l.Validator()}, Anchors: anchors, Timeout: 5 * time.Second}}
	t.Cleanup(func() {
		if err := p.eye.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// each does something with some combinations at a time.
func (p *place) each(all []combo, do func(combo)) {
	slots := make(chan struct{}, 4)
	var running sync.WaitGroup
	for _, c := range all {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			do(c)
		})
	}
	running.Wait()
}

// opinions is who accepts a combination. Without DS acceptance is that it is
// taken for unsigned.
type opinions struct {
	delv, unbound, strict, own       bool // validators, of what is served
	program, product, world, proof   bool // predicates, of what our eyes saw
	text                             string
	keys, keySigners, data, dataSeen int
}

// ask asks all validators and all predicates of one zone.
func (p *place) ask(c combo) opinions {
	var o opinions
	zone, want := c.code+"."+p.lab.Parent(), lab.Secure
	if len(c.ds) == 0 {
		want = lab.Insecure
	}
	accepts := func(who string, verdict lab.Verdict, text string, err error) bool {
		if err != nil || verdict != want && verdict != lab.Bogus {
			p.t.Errorf("%s: %s says %s: %v\n%s", c.code, who, verdict, err, text)
		}
		o.text += fmt.Sprintf("\n%s: %s: %s", who, verdict, strings.TrimSpace(text))
		return verdict == want
	}
	ctx := p.t.Context()
	verdict, text, err := p.lab.Delv(ctx, "", "www."+zone, dns.TypeA)
	o.delv = accepts("delv", verdict, text, err)
	verdict, text, err = p.lab.Unbound(ctx, "", "www."+zone, dns.TypeA)
	o.unbound = accepts("Unbound", verdict, text, err)
	verdict, text, err = lab.UnboundAt(ctx, p.lab.StrictResolver(), "www."+zone, dns.TypeA)
	o.strict = accepts("a strict Unbound", verdict, text, err)
	trace, err := p.eye.Trace(ctx, probe.TraceQuestion{Name: "www." + zone, Type: "A", Setting: p.setting})
	o.own = accepts("our own", lab.Verdict(trace.Security), trace.Sentence, err)
	p.predict(ctx, c, zone, &o)
	return o
}

func (p *place) setting(string) rollover.Setting {
	return rollover.Setting{Servers: p.lab.ChildServers()[:1], ServersOnly: true, ParentServers: p.lab.ParentServers()}
}

// predict asks the predicates of what our eyes see.
func (p *place) predict(ctx context.Context, c combo, zone string, o *opinions) {
	at := p.setting(zone)
	s, err := p.eye.Look(ctx, rollover.Question{
		Zone: zone, Records: []rollover.Record{rollover.RecordDS, rollover.RecordDNSKEY, rollover.RecordData},
		Servers: at.Servers, ServersOnly: true, ParentServers: at.ParentServers[:1], Validate: true,
	})
	if err != nil || len(s.Servers) != 2 || s.Servers[0].DNSKEY == nil && s.Servers[1].DNSKEY == nil {
		p.t.Errorf("%s: looking at it: %+v, %v", c.code, s, err)
		return
	}
	var ds rollover.DSVersion
	var keys rollover.KeyVersion
	var data rollover.DataVersion
	for _, v := range s.Servers {
		if v.DS != nil {
			ds = *v.DS
		} else if v.DNSKEY != nil && v.Data != nil {
			keys, data = *v.DNSKEY, *v.Data
		}
	}
	o.keys, o.keySigners, o.data, o.dataSeen = len(keys.Keys), len(keys.Signers), len(data.Signers), len(signersSeen(data))
	unsigned := len(ds.Set) == 0
	o.program = unsigned || rollover.Chained(zone, ds.Set, keys) && rollover.Covered(keys, data)
	o.product = len(product.Check(rollover.Cached{Zone: zone, DS: []rollover.DSVersion{ds}, Keys: []rollover.KeyVersion{keys}, Data: []rollover.DataVersion{data}})) == 0
	o.world = rollovertest.Accepted(zone, ds.Set, keys, data)
	o.proof = rollover.ProofAccepts(c.algorithms(), c.dsKeys(anyDigest), c.has, c.by, c.data)
	if len(ds.Set) != len(c.ds) {
		p.t.Errorf("%s: %d DS are at the parent, not %d", c.code, len(ds.Set), len(c.ds))
	}
}

func signersSeen(data rollover.DataVersion) (out []rollover.Signature) {
	for _, s := range data.Traces {
		s = rollover.Signature{Tag: s.Tag, Algorithm: s.Algorithm}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// compare tells everything that is not as it should be, and returns the names
// of the differences that were met.
func (p *place) compare(c combo, got opinions) (met []string) {
	p.served(c, got)
	if got.proof && !got.strict && !c.mixed() {
		p.t.Errorf("%s: the proof calls safe what a strict validator refuses%s", c.code, got.text)
	}
	accept := len(c.ds) == 0 || c.lax()
	want := opinions{delv: accept, unbound: accept, strict: accept, own: accept, program: accept, product: accept, world: accept, proof: accept}
	if len(c.ds) > 0 {
		for _, d := range differences() {
			if d.where(c) {
				*d.who(&want) = d.accepts
				met = append(met, d.name)
			}
		}
	}
	want.text, want.keys, want.keySigners, want.data, want.dataSeen = got.text, got.keys, got.keySigners, got.data, got.dataSeen
	if got != want {
		got.text, want.text = "", ""
		p.t.Errorf("%s: expected\n%+v, found\n%+v", c.code, want, got)
	}
	return met
}

// served checks that the zone is what the combination says.
func (p *place) served(c combo, got opinions) {
	has, by, both, data := bits.OnesCount8(c.has), bits.OnesCount8(c.by&c.has), bits.OnesCount8(c.has&c.data), bits.OnesCount8(c.data)
	if got.keys != has || got.keySigners != by || got.data != both || got.dataSeen != data {
		p.t.Errorf("%s: %d keys, %d of them signing keys, %d data, and %d signers of data in all: expected %d, %d, %d and %d%s",
			c.code, got.keys, got.keySigners, got.data, got.dataSeen, has, by, both, data, got.text)
	}
}
