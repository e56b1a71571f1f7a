package rollover

import (
	"fmt"
	"strings"
)

// Manual is the table of kinds as docs/kinds.md prints it, in Markdown.
func Manual() string {
	var out strings.Builder
	out.WriteString("# Kinds of rollovers\n\n")
	out.WriteString("Made from the table in `rollover/kinds.go`, which the program runs; a test compares them.\n\n")
	out.WriteString("A step is entered when all its waits hold; then its actions are done in order. **Seen** means true on every\n")
	out.WriteString("authoritative server in this look. **Settled** means true in every cache: seen everywhere, and then held for\n")
	out.WriteString("factor x the largest TTL that any version without it ever had, + margin. A **courtesy** protects the operator\n")
	out.WriteString("(a way back, the registry's own checks), not the chain. How it decides: [decides.md](decides.md).\n")
	for _, k := range Kinds() {
		fmt.Fprintf(&out, "\n## %s (%s)\n\n", k.Type, k.Method)
		fmt.Fprintf(&out, "After %s.", k.Based)
		if k.CDS {
			out.WriteString(" The parent follows CDS, where PowerDNS lists every published key.")
		}
		if k.Rescue != "" {
			fmt.Fprintf(&out, " If the parent shows the DS of new without that of old while only old signs, new signs at once and it goes on as %s.", k.Rescue)
		}
		out.WriteString("\n\n| step | when | then |\n|---|---|---|\n")
		for _, s := range k.Steps {
			fmt.Fprintf(&out, "| %s | %s | %s |\n", s.Name, joined(s.Waits), joined(s.Actions))
		}
		fmt.Fprintf(&out, "\nCan be cancelled %s.%s\n", k.until(), k.reverts())
		if k.Drawn() {
			fmt.Fprintf(&out, "\n![Lanes of %s (%s)](kinds/%s)\n", k.Type, k.Method, k.DrawingName())
		}
	}
	return out.String()
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
	return fmt.Sprintf(" Then it can be reverted while every old key exists: see revert (%s).", k.Revert)
}
