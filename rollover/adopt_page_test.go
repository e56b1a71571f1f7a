package rollover_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// The page about adopt has what is taken for what: every state of keys and DS set
// that a rollover can be stopped in, what adopt makes of it, and where it comes from.
func TestAdoptPageIsWhatAdoptDoes(t *testing.T) {
	rows, from := map[string]string{}, map[string][]string{}
	for _, c := range stoppable() {
		for _, m := range record(t, c, tight(), forMoments()[0]) {
			w := m.world.Clone()
			state := seenState(w)
			took := m.took(t, w)
			if was, known := rows[state]; known && was != took {
				t.Errorf("%s is taken for %s, and for %s", state, was, took)
			}
			rows[state] = took
			if here := m.kind + " " + m.where; !slices.Contains(from[state], here) {
				from[state] = append(from[state], here)
			}
		}
	}
	var lines []string
	for state, took := range rows {
		slices.Sort(from[state])
		lines = append(lines, fmt.Sprintf("| %s | %s | %s |\n", state, took, strings.Join(from[state], "; ")))
	}
	slices.Sort(lines)
	table := "| keys, the oldest first; DS | taken for | this is |\n|---|---|---|\n" + strings.Join(lines, "")
	comparePart(t, filepath.Join("..", "docs", "kinds", "adopt.md"), "adopt", table)
}

// seenState is all that adopt goes by, in words.
func seenState(w *rollovertest.World) string {
	var keys, ds []string
	two := slices.ContainsFunc(w.Keys, func(k rollover.Key) bool { return k.Algorithm != w.Keys[0].Algorithm })
	for i, k := range w.Keys {
		word := fmt.Sprint(k.Flags)
		if two {
			word += fmt.Sprintf(" (algorithm %d)", k.Algorithm)
		}
		if !k.Active {
			word += " inactive"
		}
		if !k.Published {
			word += " unpublished"
		}
		keys = append(keys, word)
		d, err := k.DNSKEY().DS(rollovertest.Zone, 2)
		if err == nil && slices.Contains(w.DSSet(), d) {
			ds = append(ds, ordinal(i))
		}
	}
	if len(ds) == 0 {
		ds = []string{"none"}
	}
	return strings.Join(keys, ", ") + "; DS " + strings.Join(ds, " and ")
}

func ordinal(i int) string { return []string{"1st", "2nd", "3rd", "4th"}[i] }

// took is what adopt makes of a moment, in words.
func (m moment) took(t *testing.T, w *rollovertest.World) string {
	t.Helper()
	err := m.adopted(t, w)
	place := func(id int) string {
		return ordinal(slices.IndexFunc(m.world.Keys, func(k rollover.Key) bool { return k.ID == id }))
	}
	if err != nil {
		return "refused: " + reasonOf(err, place)
	}
	sides := func(keys []rollover.Key) string {
		var out []string
		for _, k := range keys {
			out = append(out, fmt.Sprint(k.Role, " ", place(k.ID)))
		}
		return strings.Join(out, " and ")
	}
	// The event was saved before anything was done.
	i := slices.IndexFunc(w.Events, func(e rollover.Event) bool { return e.Event == rollover.EventAdopted })
	at := w.Events[i].Text
	at = at[strings.Index(at, " by "):strings.Index(at, ", from ")]
	at = strings.TrimSpace(strings.TrimPrefix(at, " by "+w.Roll().Method))
	out := fmt.Sprintf("%s %s, new %s", w.Roll().Type+"/"+w.Roll().Method, at, sides(w.Roll().New))
	if old := sides(w.Roll().Old); old != "" {
		out += ", old " + old
	}
	return out
}

var keyName = regexp.MustCompile(`(?:KSK|ZSK|CSK) \d+ \(id (\d+)\)`)

// reasonOf is why adopt refused, with keys by their place.
func reasonOf(err error, place func(int) string) string {
	text := err.Error()
	for _, start := range []string{"in the middle of no rollover that is known: ", rollovertest.Zone + " at server ns1 ns1: ", rollovertest.Zone + ": "} {
		if _, after, ok := strings.Cut(text, start); ok {
			text = after
			break
		}
	}
	text, _, _ = strings.Cut(text, "; PowerDNS has")
	return keyName.ReplaceAllStringFunc(text, func(name string) string {
		var id int
		fmt.Sscanf(name[strings.Index(name, "id "):], "id %d", &id)
		return "the " + place(id)
	})
}
