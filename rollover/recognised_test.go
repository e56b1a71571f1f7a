package rollover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// standing is keys in one word each, as in keyed: flags, an algorithm other than 13
// after a slash, "-" for inactive, "!" for unpublished, "*" for a DS at the parent.
func standing(words string) (keys []Key, set []DS) {
	for i, word := range strings.Fields(words) {
		k := Key{ID: i + 1, Flags: FlagsKSK, Algorithm: 13, Active: !strings.Contains(word, "-"), Published: !strings.Contains(word, "!"), PublicKey: fmt.Sprintf("AAA%d", i)}
		if strings.HasPrefix(word, "256") {
			k.Flags = FlagsZSK
		}
		if strings.Contains(word, "/15") {
			k.Algorithm = 15
		}
		if strings.Contains(word, "/14") {
			k.Algorithm = 14
		}
		k.Tag = k.DNSKEY().Tag()
		keys = append(keys, k)
		if strings.Contains(word, "*") {
			d, err := k.DNSKEY().DS("example.com.", 2)
			if err != nil {
				panic(err) // the key is well-formed
			}
			set = append(set, d)
		}
	}
	return keys, set
}

// states are the keys with all that may be so of each of them, in every combination.
func states(keys []string, marks []string) []string {
	out := []string{""}
	for _, key := range keys {
		var longer []string
		for _, one := range out {
			for _, mark := range marks {
				if strings.Contains(mark, "*") && strings.HasPrefix(key, "256") && len(keys) > 2 {
					continue // no DS is of it
				}
				longer = append(longer, strings.TrimSpace(one+" "+key+mark))
			}
		}
		out = longer
	}
	return out
}

// What adopt takes each state of one, two and three keys for, and of keys of two
// algorithms, whether or not a rollover leads there.
func TestWhatIsRecognised(t *testing.T) {
	var words []string
	for _, keys := range []string{"257", "256", "257 257", "257 256", "256 256", "257 257 256", "257 256 257", "256 257 257", "257 256 256"} {
		words = append(words, states(strings.Fields(keys), []string{"", "-", "*", "-*"})...)
	}
	words = append(words, states([]string{"257", "257/15"}, []string{"", "-", "!", "-!", "*", "-*", "!*"})...)
	words = append(words, states([]string{"257", "256", "257/15"}, []string{"", "!", "*", "-!", "!*"})...)
	words = append(words, states([]string{"257*", "256/15"}, []string{"", "-", "!", "-!"})...)
	for _, one := range states([]string{"257", "256"}, []string{"", "!", "-!"}) {
		words = append(words, one+" 257/15* 256/15", one+" 257*/15", "257* 256 "+strings.Replace(strings.Replace(one, "257", "257/15", 1), "256", "256/15", 1))
	}
	words = append(words, "257!", "257-!", "257 256 256 256", "257 257 256 256", "257 257 257", "257 257/14 257/15", "256* 257/15", "256 257*/15", "256* 256/15", "257 257 257/15", "257* 257/15 257/15", "257* 256 256 257/15", "257* 257/15 256/15 256/15")
	var out strings.Builder
	for _, w := range words {
		keys, set := standing(w)
		if !slices.ContainsFunc(keys, func(k Key) bool { return k.Active }) {
			continue // refused before
		}
		found, err := recognise("example.com.", keys, set)
		if err != nil {
			fmt.Fprintf(&out, "%s: %v\n", w, shortened(err))
			continue
		}
		fmt.Fprintf(&out, "%s: %s/%s after %q, begun %q, from %s to %s\n", w, found.kindType, found.method, found.step, found.begun, keyNames(found.old), keyNames(found.new))
	}
	Golden(t, "recognised.txt", out.String())
}

// shortened leaves out what adopt says that it saw.
func shortened(err error) string {
	before, after, _ := strings.Cut(err.Error(), "; PowerDNS has ")
	_, help, _ := strings.Cut(after, "): ")
	return strings.TrimPrefix(before, "refused: example.com. is in the middle of no rollover that is known: ") + " => " + help
}
