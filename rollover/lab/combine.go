package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Combination is one zone of a lab of StartCombinations: which keys it has,
// what each of them does, and which of them the parent has DS records of.
type Combination struct {
	Code string // a label; the zone is named by it
	Keys []CombinedKey
	DS   []CombinedDS
	// Presigned is a zone that the lab signs itself, for what no key table of
	// PowerDNS brings about. Else PowerDNS signs with what its key table says.
	Presigned bool

	zone string
}

// CombinedKey is one key of a Combination.
type CombinedKey struct {
	KSK       bool  // has the flag SEP
	Algorithm uint8 // 13 or 15
	Published bool
	// What it signs. PowerDNS knows only active and inactive keys, and decides
	// itself what an active one signs.
	SignsKeys, SignsData bool
}

// CombinedDS is a DS record of the key with an index, of a digest type.
type CombinedDS struct {
	Key    int
	Digest uint8
}

// words is a key in words of pdnsutil.
func (k CombinedKey) words() []string {
	words := []string{"inactive", "published", "zsk", map[uint8]string{13: "ecdsa256", 15: "ed25519"}[k.Algorithm], "256"}
	if k.KSK {
		words[2] = "ksk"
	}
	if k.SignsKeys || k.SignsData {
		words[0] = "active"
	}
	if !k.Published {
		words[1] = "unpublished"
	}
	return words
}

// StartCombinations builds a lab with one zone for each combination, directly
// below the parent zone, on one server: whole chains and broken ones, for
// validators to judge. ctx bounds the start only.
func StartCombinations(ctx context.Context, all []Combination) (*Lab, error) {
	if missing := MissingForOracles(); len(missing) > 0 {
		return nil, fmt.Errorf("a lab of combinations needs programs that are not installed, of the packages %s", strings.Join(missing, ", "))
	}
	return start(ctx, startBrokenTime, Options{}, func(l *Lab, ctx context.Context) error {
		l.oracles = l.newJudges()
		g := &grid{seedbed: &seedbed{Lab: l, below: make(map[string]string), ids: make(map[string][]string)}}
		for _, c := range all {
			c.zone = c.Code + "." + l.options.Parent
			g.all = append(g.all, c)
		}
		return g.build(ctx)
	})
}

// newJudges are the resolvers that ask any server: one that validates, one
// that is strict, and one that does not validate, for delv.
func (l *Lab) newJudges() oracles {
	o := oracles{strict: l.newServer("strict", 10), via: map[string]view{"": {l.validator, l.newServer("plain", 11)}}}
	o.resolvers = []*server{o.strict, o.via[""].plain}
	return o
}

// grid is a lab of combinations that is being built.
type grid struct {
	*seedbed
	all []Combination
}

func (g *grid) build(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		g.configure, g.plantLive, g.plantPresigned, g.startChild, g.startParent, g.judges, g.awaitJudges,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (g *grid) startChild(ctx context.Context) error { return g.launchAll(ctx, g.c1) }

// plantLive makes the zones that PowerDNS signs.
func (g *grid) plantLive(ctx context.Context) error {
	var live []recipe
	byCode := make(map[string]Combination)
	for _, c := range g.all {
		if !c.Presigned {
			live = append(live, recipe{code: c.Code, zone: c.zone})
			byCode[c.Code] = c
		}
	}
	return together(live, func(r recipe) error { return g.plantOne(ctx, r, byCode[r.code]) })
}

func (g *grid) plantOne(ctx context.Context, r recipe, c Combination) error {
	if err := g.loadZone(ctx, g.c1, r, g.zoneFile(c)); err != nil {
		return err
	}
	keys := make([]*dns.DNSKEY, len(c.Keys))
	for i, k := range c.Keys {
		if err := g.give(ctx, g.c1, r, [][]string{append([]string{"add-zone-key", "$zone"}, k.words()...)}); err != nil {
			return err
		}
		var err error
		if keys[i], err = g.publicKey(ctx, c.zone, g.keyIDs(c.zone)[i]); err != nil {
			return err
		}
	}
	g.entrust(c, keys)
	_, err := g.util(ctx, g.c1, "rectify-zone", bare(c.zone))
	return err
}

// zoneFile is the least that a zone needs.
func (g *grid) zoneFile(c Combination) string {
	return fmt.Sprintf("%[1]s 300 IN %[2]s\n%[1]s 300 IN NS ns1.%[1]s\nns1.%[1]s 300 IN A %[3]s\nwww.%[1]s 300 IN A 192.0.2.1\n",
		c.zone, soa(c.zone, defaultTTL), g.c1.ip())
}

// entrust writes down the delegation of a zone, with its DS records.
func (g *grid) entrust(c Combination, keys []*dns.DNSKEY) {
	var text strings.Builder
	fmt.Fprintf(&text, "%[1]s 300 IN NS ns1.%[1]s\nns1.%[1]s 300 IN A %[2]s\n", c.zone, g.c1.ip())
	for _, d := range c.DS {
		fmt.Fprintf(&text, "%s 300 IN DS %s\n", c.zone, rdata(keys[d.Key].ToDS(d.Digest)))
	}
	g.planting.Lock()
	defer g.planting.Unlock()
	g.below[g.options.Parent] += text.String()
}

// plantPresigned makes the zones that come signed. There are many, so one
// pdnsutil loads all of them, and another says how they are served: in the
// order of their names, as they are.
func (g *grid) plantPresigned(ctx context.Context) error {
	words := []string{"load-zone"}
	for _, c := range g.all {
		if !c.Presigned {
			continue
		}
		text, err := g.signedFile(c)
		if err != nil {
			return err
		}
		file := filepath.Join(g.c1.dir, "zone-"+c.Code)
		if err := writeFile(file, text); err != nil {
			return err
		}
		words = append(words, bare(c.zone), file)
	}
	if len(words) == 1 {
		return nil
	}
	_, err := g.util(ctx, g.c1, words...)
	_, err2 := g.util(ctx, g.c1, "backend-cmd", "gsqlite3",
		"INSERT INTO domainmetadata (domain_id, kind, content) SELECT id, 'PRESIGNED', '1' FROM domains WHERE id NOT IN (SELECT domain_id FROM cryptokeys)",
		`UPDATE records SET auth = 1, ordername = (SELECT CASE WHEN records.name = d.name THEN '' ELSE substr(records.name, 1, length(records.name) - length(d.name) - 1) END
		FROM domains d WHERE d.id = domain_id) WHERE domain_id NOT IN (SELECT domain_id FROM cryptokeys)`)
	return errors.Join(err, err2)
}

// signedFile is the zone with its keys and signatures. It also writes down the
// delegation.
func (g *grid) signedFile(c Combination) (string, error) {
	keys := make([]signingKey, len(c.Keys))
	public := make([]*dns.DNSKEY, len(c.Keys))
	var published []dns.RR
	for i, k := range c.Keys {
		flags := uint16(256)
		if k.KSK {
			flags = 257
		}
		var err error
		if keys[i], err = newKey(c.zone, flags, k.Algorithm); err != nil {
			return "", err
		}
		public[i] = keys[i].DNSKEY
		if k.Published {
			published = append(published, public[i])
		}
	}
	g.entrust(c, public)
	records, err := parseZone(g.zoneFile(c))
	if err != nil {
		return "", err
	}
	records = append(records, published...)
	return c.signed(records, keys, time.Now())
}

// signed is records, and signatures by the keys that sign.
func (c Combination) signed(records []dns.RR, keys []signingKey, now time.Time) (string, error) {
	var b strings.Builder
	for _, rr := range records {
		fmt.Fprintln(&b, rr)
	}
	for _, set := range rrsets(append(records, denials(records, c.zone)...)) {
		for i, k := range c.Keys {
			signs := k.SignsData
			if set[0].Header().Rrtype == dns.TypeDNSKEY {
				signs = k.SignsKeys
			}
			if !signs {
				continue
			}
			sig, err := signature(set, c.zone, keys[i], present, now)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&b, sig)
		}
	}
	return b.String(), nil
}

// judges starts the resolvers.
func (g *grid) judges(ctx context.Context) error {
	stubs := []stub{{g.options.Parent, g.ParentServers()}}
	for _, c := range g.all {
		stubs = append(stubs, stub{c.zone, []string{g.c1.addr}})
	}
	return g.startOracles(ctx, stubs)
}
