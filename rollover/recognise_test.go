package rollover_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// keyed is a zone with these keys, and a DS of some of them, as it is in the middle
// of nothing that is known; each key in one word: flags, an algorithm other than 13
// after a slash, "-" for inactive, "!" for unpublished, "*" for a DS.
func keyed(words string) *rollovertest.World {
	w := rollovertest.New("unsigned", unequal)
	var of []rollover.Key
	for i, word := range strings.Fields(words) {
		flags := map[string]uint16{"256": rollover.FlagsZSK, "257": rollover.FlagsKSK}[word[:3]]
		w.AddKey(flags, !strings.Contains(word, "-"), !strings.Contains(word, "!"))
		for name, algorithm := range map[string]uint8{"/8": 8, "/14": 14, "/15": 15} {
			if strings.Contains(word, name) {
				algorithmOf(w, i, algorithm)
			}
		}
		if strings.Contains(word, "*") {
			of = append(of, w.Keys[i])
		}
	}
	w.SetTTL(unequal)
	var set []rollover.DS
	for _, k := range of {
		d, err := k.DNSKEY().DS(rollovertest.Zone, 2)
		if err != nil {
			panic(err) // the world made the key
		}
		set = append(set, d)
	}
	w.SetDS(set)
	w.Advance(80 * unit)
	return w
}

// What fits no step is refused: it says what is wrong, what there is, and what to
// type; nothing is touched.
func TestAdoptRefusesWithAWayOut(t *testing.T) {
	for words, says := range map[string][2]string{
		"257-":                          {"no key of example.com. signs", "rollover sign example.com."},
		"257- 256-":                     {"no key of example.com. signs", "remove-zone-key"},
		"257*":                          {"nothing is half done", "rollover start example.com."},
		"257* 256":                      {"nothing is half done", "rollover start example.com."},
		"256*":                          {"none of its keys has the SEP flag", "--type algorithm"},
		"256":                           {"the parent has no DS", "pdnsutil remove-zone-key example.com. 1"},
		"256* 256":                      {"none of its keys has the SEP flag", "--type algorithm"},
		"257* 256 256!":                 {"signs and is not published", "pdnsutil publish-zone-key example.com. 3"},
		"257* 257-!":                    {"is not published", "pdnsutil remove-zone-key example.com. 2"},
		"257* 256-":                     {"all CSKs", "pdnsutil remove-zone-key example.com. 2"},
		"257- 256*":                     {"never becomes the only entry point", "--type algorithm"},
		"257* 256 256 256":              {"two keys of one role", "docs/recovery.md"},
		"257* 256 257- 256-":            {"two keys of one role", "docs/recovery.md"},
		"257* 256- 256-":                {"no ZSK signs", "pdnsutil activate-zone-key example.com. 2"},
		"257- 256* 256":                 {"does not sign", "pdnsutil activate-zone-key example.com. 1"},
		"257 257":                       {"no chain to roll", "export-zone-ds"},
		"257 256 257-":                  {"no chain to roll", "export-zone-ds"},
		"257- 257* 256-":                {"is older and", "docs/recovery.md"},
		"257* 257/14 257/15":            {"more than two algorithms", "docs/recovery.md"},
		"257* 256 257/15 257/15 256/15": {"more than a KSK and a ZSK", "docs/recovery.md"},
		"257* 256 257/15 256-/15":       {"every key does", "pdnsutil activate-zone-key example.com. 4"},
		"257* 256 257-!/15":             {"every key does", "pdnsutil remove-zone-key example.com. 3"},
		"257* 256 257-!/15 256!/15":     {"another key of its algorithm does", "pdnsutil activate-zone-key example.com. 3"},
		"257* 256 256!/15":              {"never becomes the only entry point", "pdnsutil unpublish-zone-key example.com. 3"},
		"257* 256 256-!/15":             {"never becomes the only entry point", "pdnsutil remove-zone-key example.com. 3"},
		"257 256 257/15 256/15":         {"no chain to roll", "export-zone-ds"},
		"257* 256! 257*/15 256/15":      {"no step of an algorithm rollover", "publish every key"},
	} {
		w := keyed(words)
		keys := slices.Clone(w.Keys)
		err := adopt(w)
		for _, want := range says {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: adopt says %v, expected %q", words, err, want)
			}
		}
		if w.Roll() != nil || !slices.Equal(keys, w.Keys) {
			t.Errorf("%s: a refused adoption changed something: %v, %v", words, w.Roll(), w.Keys)
		}
	}
}

// A DS of the new key is not asked for beside one of the old key with another
// digest type; one that is there already is.
func TestAdoptLooksAtDigestTypes(t *testing.T) {
	p := tight()
	p.DSDigests = []uint8{4}
	for words, refused := range map[string]bool{"257* 257-": true, "257* 256 257": true, "257* 257-*": false, "257* 256 256-": false, "257* 257!/15": false} {
		_, err := keyed(words).Engine(p).Adopt(context.Background(), rollovertest.Zone)
		if refused != (err != nil && strings.Contains(err.Error(), "digest types")) || !refused && err != nil {
			t.Errorf("%s: adopt says %v", words, err)
		}
	}
}
