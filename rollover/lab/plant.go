package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// seedbed is a broken lab that is being built.
type seedbed struct {
	*Lab
	recipes []recipe

	planting sync.Mutex          // for what follows
	below    map[string]string   // by zone: the records that delegate its children
	ids      map[string][]string // by zone: the ids of its keys on the primary
}

// recipe says how one seed gets into the databases. In its questions and
// records names are relative to the zone. In orders $zone stands for the zone
// and $0, $1... for the ids of its keys, in the order in which they were made.
type recipe struct {
	code, story string
	questions   []Question
	where       where  // the server that shows the fault
	second      second // what the second server has
	records     string // beyond those that every zone has, in the format of zone files
	keys        []string
	unrectified bool
	orders      [][]string                     // to pdnsutil, after the keys are made
	later       [][]string                     // to pdnsutil, after the second server has transferred
	ds          func(key *dns.DNSKEY) []string // what the parent has; nil: what it should
	dsOf        int                            // the key that it is made of
	presigned   *presigning

	zone string // absolute; filled in
}

// where says which of the two servers of a zone shows its fault.
type where int

const (
	everywhere where = iota
	onFirst
	onSecond
)

// second says what the second server of a zone has.
type second int

const (
	transferred second = iota // by AXFR
	twin                      // the same, with the same keys, as by replication of the database
	unsigned                  // the zone without keys
	lame                      // nothing
	silent                    // no chance to say: it does not answer
)

// The keys that zones have.
var (
	split = []string{"ksk ecdsa256 256", "zsk ecdsa256 256"}
	none  = []string{}
)

// build fills the databases, then starts the servers, then waits.
func (b *seedbed) build(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		b.prepare, b.configure, b.plantAll, b.startChildren, b.finishAll, b.startParent, b.judges, b.awaitJudges,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepare adds the servers of the oracles and reads the table of recipes.
func (b *seedbed) prepare(context.Context) error {
	sink, err := newSink(address(9, b.port))
	if err != nil {
		return err
	}
	b.oracles = b.newOracles(sink)
	b.recipes = recipes()
	for i := range b.recipes {
		b.recipes[i].zone = b.recipes[i].code + "." + b.options.Parent
	}
	return nil
}

// configure is that of every lab, with DNAME records on top. PowerDNS shuffles
// RRsets too: a CNAME that comes before the DNAME it was made from is bogus to
// validators, at times.
func (b *seedbed) configure(ctx context.Context) error {
	if err := b.Lab.configure(ctx); err != nil {
		return err
	}
	for _, s := range []*server{b.c1, b.c2} {
		if err := appendFile(filepath.Join(s.dir, "pdns.conf"), "dname-processing=yes\nno-shuffle=yes\n"); err != nil {
			return err
		}
	}
	return nil
}

// plantAll plants what is deepest first, for a zone holds the DS records of
// its children.
func (b *seedbed) plantAll(ctx context.Context) error {
	depth := func(r recipe) int { return dns.CountLabel(r.zone) }
	byDepth := slices.Clone(b.recipes)
	slices.SortStableFunc(byDepth, func(r, s recipe) int { return cmp.Compare(depth(s), depth(r)) })
	for len(byDepth) > 0 {
		n := slices.IndexFunc(byDepth, func(r recipe) bool { return depth(r) < depth(byDepth[0]) })
		if n < 0 {
			n = len(byDepth)
		}
		if err := together(byDepth[:n], func(r recipe) error { return b.plant(ctx, r) }); err != nil {
			return err
		}
		byDepth = byDepth[n:]
	}
	return nil
}

// together does something for some recipes at a time: nearly all of it is
// waiting for programs to start.
func together(recipes []recipe, do func(recipe) error) error {
	errs := make([]error, len(recipes))
	slots := make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, r := range recipes {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := do(r); err != nil {
				errs[i] = fmt.Errorf("planting %s: %w", r.code, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// plant puts a zone into the databases of the children's servers and, unless
// there is something left for later, into that of its parent.
func (b *seedbed) plant(ctx context.Context, r recipe) error {
	if r.presigned != nil {
		return b.plantPresigned(ctx, r)
	}
	text := b.text(r)
	if err := b.loadZone(ctx, b.c1, r, text); err != nil {
		return err
	}
	if err := b.makeKeys(ctx, r); err != nil {
		return err
	}
	if err := b.plantSecond(ctx, r, text); err != nil {
		return err
	}
	if len(r.later) > 0 {
		return nil
	}
	if err := b.delegate(ctx, r); err != nil {
		return err
	}
	return b.give(ctx, b.c1, r, r.orders)
}

// text is the zone file of a seed.
func (b *seedbed) text(r recipe) string {
	text := Zone{Name: r.zone}.withDefaults().file()
	if r.second == silent {
		text = strings.ReplaceAll(text, b.c2.ip(), "127.0.53.9")
	}
	b.planting.Lock()
	defer b.planting.Unlock()
	return text + b.below[r.zone] + "$ORIGIN " + r.zone + "\n$TTL 300\n" + r.records + "\n"
}

func (b *seedbed) loadZone(ctx context.Context, s *server, r recipe, text string) error {
	file := filepath.Join(s.dir, "zone-"+r.code)
	if err := writeFile(file, text); err != nil {
		return err
	}
	_, err := b.util(ctx, s, "load-zone", bare(r.zone), file)
	return err
}

func (b *seedbed) makeKeys(ctx context.Context, r recipe) error {
	for _, key := range r.keys {
		order := append([]string{"add-zone-key", bare(r.zone), "active", "published"}, strings.Fields(key)...)
		if err := b.give(ctx, b.c1, r, [][]string{order}); err != nil {
			return err
		}
	}
	return b.rectify(ctx, b.c1, r)
}

// rectify makes the denials of a new zone right.
func (b *seedbed) rectify(ctx context.Context, s *server, r recipe) error {
	if r.unrectified || len(r.keys) == 0 {
		return nil
	}
	_, err := b.util(ctx, s, "rectify-zone", bare(r.zone))
	return err
}

// give gives orders about a zone to a server's pdnsutil, and remembers the ids
// of new keys.
func (b *seedbed) give(ctx context.Context, s *server, r recipe, orders [][]string) error {
	for _, order := range orders {
		out, err := b.util(ctx, s, b.spell(order, r.zone)...)
		if err != nil {
			return err
		}
		if order[0] == "add-zone-key" && s == b.c1 {
			b.addID(r.zone, strings.TrimSpace(out))
		}
	}
	return nil
}

// spell puts what they stand for in the place of $zone, $0...
func (b *seedbed) spell(order []string, zone string) []string {
	words := []string{"$zone", bare(zone)}
	for i, id := range b.keyIDs(zone) {
		words = append(words, "$"+strconv.Itoa(i), id)
	}
	replacer := strings.NewReplacer(words...)
	order = slices.Clone(order)
	for i := range order {
		order[i] = replacer.Replace(order[i])
	}
	return order
}

func (b *seedbed) addID(zone, id string) {
	b.planting.Lock()
	defer b.planting.Unlock()
	b.ids[zone] = append(b.ids[zone], id)
}

func (b *seedbed) keyIDs(zone string) []string {
	b.planting.Lock()
	defer b.planting.Unlock()
	return b.ids[zone]
}

// plantSecond gives the second server what it shall have.
func (b *seedbed) plantSecond(ctx context.Context, r recipe, text string) error {
	switch r.second {
	case transferred:
		_, err := b.util(ctx, b.c2, "create-secondary-zone", bare(r.zone), b.c2.relay.addr())
		return err
	case unsigned:
		return b.loadZone(ctx, b.c2, r, text)
	case twin:
		if err := b.loadZone(ctx, b.c2, r, text); err != nil {
			return err
		}
		return b.twinKeys(ctx, r)
	}
	return nil
}

// twinKeys gives the second server the keys of the first. The ids of both
// agree only by chance, so a twin cannot have orders that name keys.
func (b *seedbed) twinKeys(ctx context.Context, r recipe) error {
	for i, id := range b.keyIDs(r.zone) {
		private, err := b.util(ctx, b.c1, "export-zone-key", bare(r.zone), id)
		if err != nil {
			return err
		}
		file := filepath.Join(b.c2.dir, "key-"+r.code)
		if err := writeFile(file, private); err != nil {
			return err
		}
		role, _, _ := strings.Cut(r.keys[i], " ")
		if _, err := b.util(ctx, b.c2, "import-zone-key", bare(r.zone), file, "active", role, "published"); err != nil {
			return err
		}
	}
	return errors.Join(b.rectify(ctx, b.c2, r), b.give(ctx, b.c2, r, r.orders))
}

// delegate writes down the delegation of a zone for its parent's zone file.
func (b *seedbed) delegate(ctx context.Context, r recipe) error {
	if len(r.keys) == 0 {
		b.delegateWith(r, nil)
		return nil
	}
	key, err := b.publicKey(ctx, r.zone, b.keyIDs(r.zone)[r.dsOf])
	if err != nil {
		return err
	}
	b.delegateWith(r, key)
	return nil
}

func (b *seedbed) delegateWith(r recipe, key *dns.DNSKEY) {
	var text strings.Builder
	for i, addr := range b.nameServers(r) {
		host, _, _ := strings.Cut(addr, ":")
		fmt.Fprintf(&text, "%s 300 IN NS ns%d.%s\nns%d.%s 300 IN A %s\n", r.zone, i+1, r.zone, i+1, r.zone, host)
	}
	if key != nil {
		ds := rightDS
		if r.ds != nil {
			ds = r.ds
		}
		for _, ds := range ds(key) {
			fmt.Fprintf(&text, "%s 300 IN DS %s\n", r.zone, ds)
		}
	}
	_, parent, _ := strings.Cut(r.zone, ".")
	b.planting.Lock()
	defer b.planting.Unlock()
	b.below[parent] += text.String()
}

// publicKey reads a key from the primary.
func (b *seedbed) publicKey(ctx context.Context, zone, id string) (*dns.DNSKEY, error) {
	out, err := b.util(ctx, b.c1, "export-zone-dnskey", bare(zone), id)
	if err != nil {
		return nil, err
	}
	rr, err := dns.NewRR(out)
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	key, ok := rr.(*dns.DNSKEY)
	if !ok {
		return nil, fmt.Errorf("export-zone-dnskey printed no key but %q", out)
	}
	key.Hdr.Name = zone
	return key, nil
}

// startChildren starts the servers of the children and has the second
// transfer what it shall.
func (b *seedbed) startChildren(ctx context.Context) error {
	if err := b.launchAll(ctx, b.c1, b.c2); err != nil {
		return err
	}
	return together(b.recipes, func(r recipe) error {
		if r.second != transferred {
			return nil
		}
		return b.follow(ctx, b.c2, r.zone)
	})
}

func (l *Lab) launchAll(ctx context.Context, servers ...*server) error {
	for _, s := range servers {
		if err := l.launch(s); err != nil {
			return err
		}
	}
	for _, s := range servers {
		if err := l.awaitControl(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// finishAll does what was left for later. The zones are native and PowerDNS
// notifies nobody of them, so the second server stays behind.
func (b *seedbed) finishAll(ctx context.Context) error {
	for _, r := range b.recipes {
		if len(r.later) == 0 {
			continue
		}
		orders := append(slices.Clone(r.later), []string{"increase-serial", "$zone"})
		if err := b.give(ctx, b.c1, r, orders); err != nil {
			return err
		}
		if err := b.ctl(ctx, b.c1, "purge", bare(r.zone)+"$"); err != nil {
			return err
		}
		if err := b.delegate(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// startParent loads the parent zone with all delegations and starts its
// servers.
func (b *seedbed) startParent(ctx context.Context) error {
	parent := b.options.Parent
	if err := b.load(ctx, b.p1, parent, b.options.parentFile()+b.below[parent]); err != nil {
		return err
	}
	if err := b.sign(ctx, b.p1, Zone{Name: parent, Layout: CSK}); err != nil {
		return err
	}
	if _, err := b.util(ctx, b.p2, "create-secondary-zone", bare(parent), b.p2.relay.addr()); err != nil {
		return err
	}
	if err := b.launchAll(ctx, b.p1, b.p2); err != nil {
		return err
	}
	return b.follow(ctx, b.p2, parent)
}

// nameServers are the addresses of the servers of a seed.
func (b *seedbed) nameServers(r recipe) []string {
	if r.second == silent {
		return []string{b.c1.addr, b.oracles.sink.addr}
	}
	return b.ChildServers()
}

// judges starts the resolvers.
func (b *seedbed) judges(ctx context.Context) error {
	stubs := []stub{{b.options.Parent, b.ParentServers()}}
	for _, r := range b.recipes {
		stubs = append(stubs, stub{r.zone, b.nameServers(r)})
	}
	return b.startOracles(ctx, stubs)
}

// awaitJudges waits until every resolver resolves the parent.
func (b *seedbed) awaitJudges(ctx context.Context) error {
	for _, s := range append([]*server{b.validator}, b.oracles.resolvers...) {
		err := poll(ctx, 20*time.Millisecond, func() error {
			answer, err := ask(ctx, s.addr, b.options.Parent, dns.TypeSOA)
			if err == nil && answer.Rcode != dns.RcodeSuccess {
				err = fmt.Errorf("%s cannot resolve the parent: %s", s.name, reason(answer))
			}
			return errors.Join(s.check(), err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// seeds are the recipes as others see them, in the order of the table.
func (b *seedbed) seeds() []Seed {
	var seeds []Seed
	for _, r := range b.recipes {
		seed := Seed{Code: r.code, Zone: r.zone, Story: r.story, NameServers: b.nameServers(r)}
		switch r.where {
		case onFirst:
			seed.Servers = seed.NameServers[:1]
		case onSecond:
			seed.Servers = seed.NameServers[1:]
		}
		for _, q := range r.questions {
			q.Name = absolute(q.Name, r.zone)
			seed.Questions = append(seed.Questions, q)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

func absolute(name, zone string) string {
	if name == "@" {
		return zone
	}
	return name + "." + zone
}
