package rollover

import (
	"fmt"
	"slices"
	"strings"
)

// Manual is the table of kinds as the pages of docs have it, in Markdown: the
// text of each part that is made from the table, by its name. "kinds" is the
// list of all, the others are the names of the kinds.
func Manual() map[string]string {
	out := map[string]string{"kinds": contents()}
	for _, k := range Kinds() {
		out[k.Name()] = k.manual()
	}
	return out
}

// contents is the list of all kinds.
func contents() string {
	var out strings.Builder
	out.WriteString("| kind | after | steps | takes at most |\n|---|---|---|---|\n")
	for _, k := range Kinds() {
		names := make([]string, len(k.Steps))
		for i, s := range k.Steps {
			names[i] = s.Name
		}
		fmt.Fprintf(&out, "| [%s](kinds/%s.md#%s) | %s | %s | %s |\n", k.title(), k.Type, k.anchor(), k.Based, strings.Join(names, ", "), k.duration())
	}
	return out.String()
}

// title is a kind as headings have it, and anchor what GitHub makes of that.
func (k Kind) title() string  { return fmt.Sprintf("%s (%s)", k.Type, k.Method) }
func (k Kind) anchor() string { return k.Type + "-" + k.Method }

// manual is what the table says of one kind.
func (k Kind) manual() string {
	var out strings.Builder
	fmt.Fprintf(&out, "After %s.", k.Based)
	if k.CDS {
		out.WriteString(" The parent follows CDS, where PowerDNS lists every published key.")
	}
	if k.Rescue.Kind != "" {
		fmt.Fprintf(&out, " If the parent shows the DS of one side alone while only the other signs, both sign at once, and it goes on %s.", k.Rescue)
	}
	out.WriteString("\n\n| step | when | then |\n|---|---|---|\n")
	for _, s := range k.Steps {
		fmt.Fprintf(&out, "| %s | %s | %s |\n", s.Name, joined(s.Waits), joined(s.Actions))
	}
	fmt.Fprintf(&out, "\nTakes at most: %s. Can be cancelled %s.%s\n", k.duration(), k.until(), k.reverts())
	fmt.Fprintf(&out, "\n![Lanes of %s](%s)\n", k.title(), k.DrawingName())
	if from, step, ok := k.origin(); ok {
		fmt.Fprintf(&out, "\nDrawn from where %s is before step %s.\n", from.title(), from.Steps[step].Name)
	}
	return out.String()
}

// duration is the longest that a kind takes, as a sum of what its steps wait
// for: H of a record is the hold, P what the parent takes to show what it was
// asked for.
func (k Kind) duration() string {
	var parts []string
	for _, s := range k.Steps {
		switch terms := s.terms(); len(terms) {
		case 0:
		case 1:
			parts = append(parts, terms[0])
		default:
			parts = append(parts, "max("+strings.Join(terms, ", ")+")")
		}
	}
	return strings.Join(parts, " + ")
}

// terms is what a step waits for, as lengths of time.
func (s Step) terms() []string {
	var out []string
	for _, w := range s.Waits {
		term := fmt.Sprintf("H(%s)", w.Record)
		switch {
		case w.Record == RecordDS && w.Strength == StrengthSettled:
			term = "P + " + term
		case w.Record == RecordDS:
			term = "P"
		case w.Strength == StrengthSeen:
			continue // as long as transfers take
		}
		if !slices.Contains(out, term) {
			out = append(out, term)
		}
	}
	return out
}

func joined[T fmt.Stringer](list []T) string {
	if len(list) == 0 {
		return "-"
	}
	words := make([]string, len(list))
	for i, item := range list {
		words[i] = item.String()
	}
	return strings.Join(words, ", ")
}

// until says how long a rollover of the kind can be cancelled.
func (k Kind) until() string {
	if k.back() {
		return "no more: it is the way back"
	}
	if k.Cancel == "" {
		return "at no time"
	}
	for _, s := range k.Steps {
		if s.TakesAway() {
			return "until step " + s.Name + " begins, which takes something away"
		}
	}
	return "at any time"
}

// reverts says how the kind is taken back after that.
func (k Kind) reverts() string {
	if k.Revert == "" {
		return ""
	}
	return fmt.Sprintf(" Then it can be reverted while every old key exists: see [revert (%s)](revert.md#revert-%s).", k.Revert, k.Revert)
}
