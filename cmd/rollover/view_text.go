package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"rollover/rollover"
)

// The rules of speech: what was asked for goes to stdout, everything else to
// stderr. Sentences begin with a small letter and have no full stop. Times are
// UTC to the second. Text from DNS goes through plain first.

const timeFormat = "2006-01-02 15:04:05Z"

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(timeFormat)
}

// plain keeps control characters away from the terminal.
func plain(text string) string { return strings.Map(visible, text) }

func visible(r rune) rune {
	if r < ' ' || r >= 0x7f && r < 0xa0 {
		return '?'
	}
	return r
}

// printable lets nothing through to a terminal that is neither text, nor the end
// of a line, nor a tab.
type printable struct{ to io.Writer }

// Write implements io.Writer; no character is torn between two writes.
func (p printable) Write(text []byte) (int, error) {
	clean := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return visible(r)
	}, string(text))
	if _, err := io.WriteString(p.to, clean); err != nil {
		return 0, err
	}
	return len(text), nil
}

// table prints columns that stay aligned and can be cut by awk.
type table struct {
	columns []string
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) {
	out := bufio.NewWriter(w) // a line for each of 100,000 zones in few writes
	defer out.Flush()
	width := make([]int, len(t.columns))
	all := append([][]string{t.columns}, t.rows...)
	for _, row := range all {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range all {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// statusText tells one rollover in full.
func (m *mouth) statusText(s rollover.Status, p rollover.Policy) {
	line := func(label, text string) { fmt.Fprintf(m.out, "  %-12s %s\n", label, plain(text)) }
	if s.Failing != nil {
		fmt.Fprintf(m.out, "%s  %s\n", s.Zone, plain(s.Failing.Sentence()))
	}
	urgent := ""
	if s.Urgent {
		urgent = ", urgent"
	}
	fmt.Fprintf(m.out, "%s  %s rollover (%s), %s%s\n", s.Zone, strings.ToUpper(s.Type), s.Method, s.State, urgent)
	if s.Kind != s.Type+"/"+s.Method {
		line("going on as", s.Kind)
	}
	line("started", stamp(s.StartedAt))
	line("step", stepText(s))
	if s.EndedAt != nil {
		line("ended", stamp(*s.EndedAt))
	}
	line("waiting for", s.WaitingFor)
	if s.SeenEverywhereAt != nil {
		line("seen since", stamp(*s.SeenEverywhereAt)+" on every server")
	}
	if s.NotBefore != nil {
		line("not before", notBefore(s))
	}
	if s.Command != "" {
		line("what to do", s.Command)
	}
	m.actionText(s)
	m.missingText(s)
	if s.Trouble != nil {
		line("trouble", fmt.Sprintf("%s, since %s", s.Trouble.Text, stamp(s.Trouble.Since)))
	}
	for _, w := range s.Warnings {
		line("warning", w)
	}
	m.keysText(s)
	m.serversText(s)
	m.planText(s, p)
}

// notBefore is when the next step can come at the earliest: where somebody has to act
// yet, if all goes well.
func notBefore(s rollover.Status) string {
	out := fmt.Sprintf("%s (in %s)", stamp(*s.NotBefore), span(time.Until(*s.NotBefore)))
	if s.SeenEverywhereAt == nil {
		out += ", if all goes well"
	}
	return out
}

func stepText(s rollover.Status) string {
	if s.Step == "" {
		return fmt.Sprintf("none yet (%s)", s.Phase)
	}
	return fmt.Sprintf("%s, entered %s (%s)", s.Step, stamp(s.StepEnteredAt), s.Phase)
}

func (m *mouth) actionText(s rollover.Status) {
	if a := s.OperatorAction; a != nil {
		fmt.Fprintf(m.out, "  %-12s asked since %s\n", "the parent", stamp(a.Since))
		for _, d := range a.Add {
			fmt.Fprintf(m.out, "    add     %s IN DS %s\n", s.Zone, d)
		}
		for _, d := range a.Remove {
			fmt.Fprintf(m.out, "    remove  %s IN DS %s\n", s.Zone, d)
		}
		for _, d := range a.Keep {
			fmt.Fprintf(m.out, "    keep    %s IN DS %s\n", s.Zone, d)
		}
	}
}

// missingText is the records that could be put in for the parent to see a first
// DS confirmed.
func (m *mouth) missingText(s rollover.Status) {
	if s.Submission == nil || s.State.Ended() || len(s.Submission.Missing) == 0 {
		return
	}
	fmt.Fprintf(m.out, "  %-12s would confirm that (RFC 9615); nothing waits for it\n", "signalling")
	for _, record := range s.Submission.Missing {
		fmt.Fprintf(m.out, "    put in  %s\n", plain(record))
	}
}

func (m *mouth) keysText(s rollover.Status) {
	note := ""
	if s.Blocked != nil {
		note = ", as rollover left it"
	}
	m.sideText("old key", note, s.OldKeys)
	m.sideText("new key", note, s.NewKeys)
}

func (m *mouth) sideText(side, note string, keys []rollover.StatusKey) {
	for _, k := range keys {
		state := "gone"
		if k.Published {
			state = "published, does not sign"
		}
		if k.Active {
			state = "signs"
		}
		fmt.Fprintf(m.out, "  %-12s %s %d, id %d, flags %d, algorithm %d: %s%s\n", side, k.Role, k.Tag, k.ID, k.Flags, k.Algorithm, state, note)
	}
}

func (m *mouth) serversText(s rollover.Status) {
	if s.LastLookAt != nil {
		fmt.Fprintf(m.out, "  %-12s last look %s\n", "servers", stamp(*s.LastLookAt))
	}
	for _, server := range s.Servers {
		mark := "ok"
		if !server.OK {
			mark = "??"
		}
		fmt.Fprintf(m.out, "    %s %-6s %s  %s\n", mark, server.Role, plain(server.Server.String()), plain(server.Detail))
	}
	for _, x := range s.Excluded {
		fmt.Fprintf(m.out, "    -- excluded %s since %s: %s\n", plain(x.Address), stamp(x.Since), plain(x.Reason))
	}
}

// planText is the dated plan, with waits, formulas and commands.
func (m *mouth) planText(s rollover.Status, p rollover.Policy) {
	if s.Urgent {
		p = p.Hurried()
	}
	fmt.Fprintf(m.out, "  %-12s a settled wait is %g x the largest TTL + %s\n", "plan", p.Factor, span(p.Margin))
	for _, step := range s.Plan {
		when, mark := "", " "
		switch {
		case step.DoneAt != nil:
			when, mark = stamp(*step.DoneAt), "x"
		case step.Earliest != nil:
			when = stamp(*step.Earliest) + " at the earliest"
		}
		fmt.Fprintf(m.out, "    [%s] %-9s %s  %s\n", mark, step.Step, when, strings.Join(step.Actions, ", then "))
		if step.DoneAt != nil {
			continue
		}
		for _, w := range step.Waits {
			fmt.Fprintf(m.out, "          when %s\n", w)
		}
		if step.Hold != "" {
			fmt.Fprintf(m.out, "          held for %s\n", step.Hold)
		}
		for _, c := range step.Commands {
			fmt.Fprintf(m.out, "          $ %s\n", c)
		}
	}
}
