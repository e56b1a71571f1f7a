package rollover_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// FuzzParseZone: what is accepted is a name that the DNS has, that no command
// line takes for an option, and that is accepted again as the same, however its
// letters are written.
func FuzzParseZone(f *testing.F) {
	for _, s := range []string{".", "example.com", "Example.COM.", "-x", "a..b", "*.a", "0/25.2.0.192.in-addr.arpa", "a.-b", "\u212a.example", "\u0130", strings.Repeat("a.", 126) + "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := rollover.ParseZone(text)
		if err != nil {
			return
		}
		if again, err := rollover.ParseZone(name); err != nil || again != name {
			t.Errorf("%q is %q, which is %q: %v", text, name, again, err)
		}
		if strings.ContainsFunc(text, func(c rune) bool { return c > '~' }) {
			t.Errorf("%q is taken for %q", text, name)
		}
		if upper, err := rollover.ParseZone(strings.ToUpper(text)); err != nil || upper != name {
			t.Errorf("in capitals %q is %q and not %q: %v", text, upper, name, err)
		}
		if !strings.HasSuffix(name, ".") || len(name) > 254 || strings.HasPrefix(name, "-") || strings.Contains(name, "..") {
			t.Errorf("%q is accepted as %q", text, name)
		}
		if i := strings.IndexFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`\"'$;&|<>()`+"`", c) }); i >= 0 {
			t.Errorf("%q is accepted as %q", text, name)
		}
		if _, err := (rollover.DNSKEY{Flags: 257, Algorithm: 13}).DS(name, 2); err != nil {
			t.Errorf("%q has no wire form: %v", name, err)
		}
	})
}

// FuzzHold: no policy that a configuration can have makes a wait shorter than
// the TTL it is for, or than its margin.
func FuzzHold(f *testing.F) {
	f.Add(2.0, int64(time.Hour), uint32(3600))
	f.Add(1.0, int64(math.MaxInt64), uint32(math.MaxUint32))
	f.Fuzz(func(t *testing.T, factor float64, margin int64, ttl uint32) {
		if factor < 1 || margin < 0 {
			return
		}
		p := rollover.Policy{Factor: factor, Margin: time.Duration(margin)}
		if hold, least := p.Hold(time.Duration(ttl)*time.Second), time.Duration(ttl)*time.Second; hold < least || hold < p.Margin {
			t.Errorf("%g x %s + %s is %s", factor, least, p.Margin, hold)
		}
	})
}

// FuzzDossier: a dossier that says anything whatsoever, somewhere in it, does
// not make the engine or its words panic, nor break the zone: whatever it
// does, what is served then is a whole chain to resolvers with nothing in
// their caches. (That a dossier lies about time cannot be seen; the checksum
// is against that.)
func FuzzDossier(f *testing.F) {
	for i := range rollings() {
		for moment := range uint8(8) {
			f.Add(uint8(i), moment, uint8(0), uint16(moment)*7, `null`, uint16(99), `{"x":[1]}`)
		}
	}
	worlds := pastWorlds{}
	f.Fuzz(func(t *testing.T, roll, moment, order uint8, place1 uint16, value1 string, place2 uint16, value2 string) {
		w := worlds.at(t, int(roll)%len(rollings()), int(moment)%60)
		raw, ok := dossierWith(t, w, edit{place1, value1}, edit{place2, value2})
		if !ok {
			return
		}
		journal := &forged{raw: raw}
		e := w.Engine(tight())
		e.Journal = journal
		obey(e, order)
		if _, err := e.Tick(t.Context(), []string{rollovertest.Zone}); err != nil {
			t.Logf("tick: %v", err)
		}
		tell(t, w, journal)
		w.Advance(400 * unit) // until every cache is empty
		if bad := w.Broken(); bad != "" {
			t.Errorf("with the dossier %s: %s; done: %q", raw, bad, w.Log)
		}
	})
}

// pastWorlds is, for each sort of rollover, the worlds as they were after so
// many units with a tick in each: they are the same in every run.
type pastWorlds map[int][]*rollovertest.World

// at is a world of its own at a moment of a rollover.
func (p pastWorlds) at(t *testing.T, roll, moment int) *rollovertest.World {
	t.Helper()
	if len(p[roll]) == 0 {
		c := rollings()[roll]
		w := rollovertest.New(c.layout, unequal)
		start(t, w, tight(), c.order)
		p[roll] = append(p[roll], w)
	}
	for len(p[roll]) <= moment {
		w := p[roll][len(p[roll])-1].Clone()
		tick(t, w, tight())
		w.ServeParent(tight())
		w.Advance(unit)
		p[roll] = append(p[roll], w)
	}
	return p[roll][moment].Clone()
}

// edit puts a JSON value in the place of another; text that is no JSON is put
// there as a string.
type edit struct {
	place uint16
	value string
}

// dossierWith is the dossier of a world as it is stored, edited; false if it
// does not decode any more.
func dossierWith(t *testing.T, w *rollovertest.World, edits ...edit) ([]byte, bool) {
	t.Helper()
	d, err := w.Load(rollovertest.Zone)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		n := int(e.place) % (count(tree) + 1) // 0 leaves it as it is
		tree = replaced(tree, &n, e.parse())
	}
	if raw, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	_, err = (&forged{raw: raw}).Load(rollovertest.Zone)
	return raw, err == nil
}

func (e edit) parse() any {
	var out any
	if json.Unmarshal([]byte(e.value), &out) != nil {
		return e.value
	}
	return out
}

// count is the number of values in a JSON tree, itself apart.
func count(tree any) int {
	n := 0
	for _, child := range children(tree) {
		n += 1 + count(child)
	}
	return n
}

// children are the values in a JSON value, in an order that is always the same.
func children(tree any) []any {
	var out []any
	switch tree := tree.(type) {
	case map[string]any:
		for _, name := range names(tree) {
			out = append(out, tree[name])
		}
	case []any:
		out = tree
	}
	return out
}

func names(tree map[string]any) []string {
	var out []string
	for name := range tree {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// replaced is a tree whose n-th value, from 1, is another one.
func replaced(tree any, n *int, value any) any {
	put := func(child any) any {
		if *n--; *n == 0 {
			return value
		}
		return replaced(child, n, value)
	}
	switch tree := tree.(type) {
	case map[string]any:
		for _, name := range names(tree) {
			tree[name] = put(tree[name])
		}
	case []any:
		for i := range tree {
			tree[i] = put(tree[i])
		}
	}
	return tree
}

// obey gives an order that an operator may give.
func obey(e *rollover.Engine, order uint8) {
	ctx, zone := context.Background(), rollovertest.Zone
	switch order % 6 { // an order may be refused: that is not what is tested
	case 1:
		_ = e.Resume(ctx, zone, "")
	case 2:
		_ = e.Cancel(ctx, zone, "")
	case 3:
		_ = e.Pause(zone, "")
	case 4:
		_ = e.Exclude(zone, "ns2", "")
	case 5:
		_ = e.Abandon(zone, "")
	}
}

// tell says all that is said of a dossier.
func tell(t *testing.T, w *rollovertest.World, journal *forged) {
	t.Helper()
	d, err := journal.Load(rollovertest.Zone)
	if err != nil {
		t.Fatalf("what was saved does not decode: %v", err)
	}
	q := w.Engine(tight()).Question(d)
	sighting, err := w.Look(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	now := w.Clock().Wall
	rollover.Check(d, sighting, tight(), rollover.DefaultLimits(), now)
	if d.Roll == nil {
		return
	}
	explain := func(c rollover.Command) string { return w.Explain(d.Zone, c) }
	s, err := rollover.Describe(d, tight(), now, explain)
	if err != nil {
		return
	}
	rollover.Conditions(d, s, time.Hour, now)
}

// forged is a journal with a dossier that rollover has not written.
type forged struct{ raw []byte }

func (j *forged) Load(zone string) (rollover.Dossier, error) {
	var d rollover.Dossier
	err := json.Unmarshal(j.raw, &d)
	d.Zone = zone // as the store does
	return d, errors.Join(err, d.Sound())
}

func (j *forged) Save(entries ...rollover.Entry) error {
	raw, err := json.Marshal(entries[0].Dossier)
	if err == nil {
		j.raw = raw
	}
	return err
}
