package product

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
)

const zone = "example.com."

// key is a key of a zone by a letter.
func key(letter string) rollover.DNSKEY {
	return rollover.DNSKEY{Flags: 257, Algorithm: 13, PublicKey: strings.Repeat(letter, 86) + "=="}
}

func keys(letters string) []rollover.DNSKEY {
	var out []rollover.DNSKEY
	for _, letter := range letters {
		out = append(out, key(string(letter)))
	}
	return out
}

func ds(t *testing.T, letters string, digestType uint8) rollover.DSVersion {
	t.Helper()
	var out rollover.DSVersion
	for _, k := range keys(letters) {
		d, err := k.DS(zone, digestType)
		if err != nil {
			t.Fatal(err)
		}
		out.Set = append(out.Set, d)
	}
	return out
}

func set(in, signers string) rollover.KeyVersion {
	return rollover.KeyVersion{Keys: keys(in), Signers: keys(signers)}
}

func data(signers string) rollover.DataVersion {
	return rollover.DataVersion{Signers: keys(signers)}
}

// The table of docs/decides.md: every DS set with every DNSKEY set of a KSK
// rollover, o for old, n for new, z for the ZSK.
func TestFailingPairs(t *testing.T) {
	sets := map[string]rollover.KeyVersion{"K0": set("oz", "o"), "K1": set("onz", "o"), "K2": set("onz", "n"), "K3": set("nz", "n"), "Kb": set("onz", "on")}
	fails := map[string]bool{"o K2": true, "o K3": true, "n K0": true, "n K1": true}
	for _, letters := range []string{"o", "on", "n"} {
		for name, k := range sets {
			got := Check(rollover.Cached{Zone: zone, DS: []rollover.DSVersion{ds(t, letters, 2)}, Keys: []rollover.KeyVersion{k}, Data: []rollover.DataVersion{data("z")}})
			if (len(got) > 0) != fails[letters+" "+name] {
				t.Errorf("DS {%s} with %s: got %q", letters, name, got)
			}
		}
	}
}

func TestProduct(t *testing.T) {
	good := func() rollover.Cached {
		return rollover.Cached{Zone: zone, DS: []rollover.DSVersion{ds(t, "o", 2)}, Keys: []rollover.KeyVersion{set("oz", "o")}, Data: []rollover.DataVersion{data("z")}}
	}
	partly := rollover.DataVersion{Traces: []rollover.Signature{{Tag: key("z").Tag(), Algorithm: 13}, {Tag: key("y").Tag(), Algorithm: 13}}}
	typo := ds(t, "o", 2)
	typo.Set[0].Digest = strings.Repeat("0", 64)
	cases := map[string]struct {
		change func(*rollover.Cached)
		expect string
	}{
		"as it should be":                 {func(*rollover.Cached) {}, ""},
		"no DS at all":                    {func(c *rollover.Cached) { c.DS, c.Data = []rollover.DSVersion{{}}, []rollover.DataVersion{{}} }, ""},
		"one cache without DS":            {func(c *rollover.Cached) { c.DS = append(c.DS, rollover.DSVersion{}) }, ""},
		"a foreign DS beside ours":        {func(c *rollover.Cached) { c.DS[0] = ds(t, "of", 2) }, ""},
		"a typo in the digest":            {func(c *rollover.Cached) { c.DS[0] = typo }, "DS {"},
		"SHA-1 beside SHA-256 of another": {func(c *rollover.Cached) { c.DS[0].Set = append(ds(t, "o", 1).Set, ds(t, "n", 2).Set...) }, "DS {"},
		"SHA-1 alone":                     {func(c *rollover.Cached) { c.DS[0] = ds(t, "o", 1) }, ""},
		"the DNSKEY set is not signed":    {func(c *rollover.Cached) { c.Keys[0] = set("oz", "") }, "signed by none"},
		"signed by a key that is not in":  {func(c *rollover.Cached) { c.Keys[0] = set("z", "o") }, "DS {"},
		"no DNSKEY set":                   {func(c *rollover.Cached) { c.Keys = nil }, "nothing is known"},
		"no data":                         {func(c *rollover.Cached) { c.Data = nil }, "nothing is known"},
		"data by another key":             {func(c *rollover.Cached) { c.Data = append(c.Data, data("y")) }, "with data signed by"},
		"data by two keys of the set":     {func(c *rollover.Cached) { c.Keys[0], c.Data[0] = set("ozy", "o"), partly }, ""},
		"data in part by another key":     {func(c *rollover.Cached) { c.Data[0] = partly }, "in part"},
		"data unsigned": {func(c *rollover.Cached) {
			c.Data[0] = rollover.DataVersion{Faults: []rollover.Signature{{Fault: "unsigned"}}}
		}, "with data signed by none"},
		"an older DNSKEY set with new data": {func(c *rollover.Cached) {
			c.Keys, c.Data = append(c.Keys, set("oy", "o")), []rollover.DataVersion{data("y")}
		}, "with data"},
	}
	for name, tc := range cases {
		c := good()
		tc.change(&c)
		got := strings.Join(Check(c), "; ")
		if tc.expect == "" && got != "" || !strings.Contains(got, tc.expect) {
			t.Errorf("%s: expected %q, got %q", name, tc.expect, got)
		}
	}
}

// Strict validators count only the strongest digest type, and want every
// algorithm of it. What they cannot follow to any DNSKEY set, waiting does not mend.
func TestStrictValidators(t *testing.T) {
	other := key("f")
	other.Algorithm = 15
	stranger, err := other.DS(zone, 2)
	if err != nil {
		t.Fatal(err)
	}
	both := rollover.KeyVersion{Keys: append(keys("o"), other), Signers: append(keys("o"), other)}
	digests := append(ds(t, "on", 2).Set, ds(t, "n", 4).Set...)
	cases := map[string]struct {
		ds     []rollover.DS
		keys   []rollover.KeyVersion
		expect bool
	}{
		"a stronger digest of a key that does not sign": {digests, []rollover.KeyVersion{set("on", "o")}, false},
		"one that begins to sign":                       {digests, []rollover.KeyVersion{set("on", "o"), set("on", "n")}, true},
		"both sign":                                     {digests, []rollover.KeyVersion{set("on", "on"), set("on", "n")}, false},
		"an algorithm that signs, and then does not":    {append(ds(t, "o", 2).Set, stranger), []rollover.KeyVersion{both, set("o", "o")}, true},
		"an algorithm of a weaker digest":               {append(ds(t, "o", 4).Set, stranger), []rollover.KeyVersion{both, set("o", "o")}, false},
	}
	for name, c := range cases {
		got := Check(rollover.Cached{Zone: zone, DS: []rollover.DSVersion{{Set: c.ds}}, Keys: c.keys, Data: []rollover.DataVersion{data("o")}})
		got = slices.DeleteFunc(got, func(text string) bool { return strings.Contains(text, "with data") })
		if (len(got) > 0) != c.expect {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// Each combination is told once, by the tags of its records.
func TestCombinationsAreToldByTheirTags(t *testing.T) {
	o, n, y, z := key("o").Tag(), key("n").Tag(), key("y").Tag(), key("z").Tag()
	trace := func(k rollover.DNSKEY) rollover.Signature { return rollover.Signature{Tag: k.Tag(), Algorithm: 13} }
	in := []rollover.Signature{trace(key("y")), trace(key("n"))}
	got := Check(rollover.Cached{
		Zone: zone, DS: []rollover.DSVersion{ds(t, "ny", 2), ds(t, "ny", 2)}, Keys: []rollover.KeyVersion{set("oz", "o"), set("oz", "o")},
		Data: []rollover.DataVersion{data("yn"), {Traces: in}, {}, {Signers: keys("y"), Traces: in}},
	})
	keySet := fmt.Sprintf("DNSKEY {%d, %d, signed by %d}", o, z, o)
	want := []string{
		fmt.Sprintf("DS {%d/2, %d/2} with %s", n, y, keySet),
		fmt.Sprintf("%s with data signed by %d, %d", keySet, y, n),
		fmt.Sprintf("%s with data signed by %d, %d in part", keySet, y, n),
		keySet + " with data signed by none",
		fmt.Sprintf("%s with data signed by %d", keySet, y),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, expected %q", got, want)
	}
}
