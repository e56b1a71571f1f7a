package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"rollover/rollover"
)

// Sendmail tells by mail, through a program that takes a message on its
// standard input, as /usr/sbin/sendmail -t does.
type Sendmail struct {
	Program
	To   []string
	From string // empty: what the program puts there
	Now  func() time.Time
}

// Notify sends one mail.
func (s *Sendmail) Notify(ctx context.Context, n rollover.Notice) error {
	out := s.run(ctx, nil, s.message(n))
	if out.code != 0 {
		return errors.New(out.why())
	}
	return nil
}

// message is the mail (RFC 5322). It says that a machine sent it, so that no
// vacation notice comes back (RFC 3834).
func (s *Sendmail) message(n rollover.Notice) []byte {
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\n", name, line(value)) }
	if s.From != "" {
		header("From", s.From)
	}
	header("To", strings.Join(s.To, ", "))
	header("Subject", mime.QEncoding.Encode("utf-8", line(subject(n))))
	header("Date", s.Now().Format(time.RFC1123Z))
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("X-Rollover-Event", n.Event)
	header("X-Rollover-Notice", n.ID)
	fmt.Fprintf(&b, "\n%s\n", line(n.Text))
	for _, part := range []struct{ label, text string }{
		{"What to do", n.Command}, {"Add at the parent", mailLines(n, n.Add)}, {"Remove at the parent", mailLines(n, n.Remove)},
	} {
		if part.text != "" {
			fmt.Fprintf(&b, "\n%s:\n%s\n", part.label, part.text)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", footer(n))
	return b.Bytes()
}

// footer says what a notice is about, and where there is more.
func footer(n rollover.Notice) string {
	since := n.At.UTC().Format(time.RFC3339)
	if n.Source == rollover.SourceCheck {
		return fmt.Sprintf("Zone %s, seen by check, since %s.\nSee: rollover check %s", n.Zone, since, n.Zone)
	}
	return fmt.Sprintf("Zone %s, %s rollover (%s), step %s, since %s.\nSee: rollover status %s", n.Zone, n.Type, n.Method, n.Step, since, n.Zone)
}

func mailLines(n rollover.Notice, set []string) string {
	lines := make([]string, len(set))
	for i, d := range set {
		lines[i] = fmt.Sprintf("  %s IN DS %s", n.Zone, line(d))
	}
	return strings.Join(lines, "\n")
}

func subject(n rollover.Notice) string {
	out := fmt.Sprintf("[rollover] %s %s", n.Zone, n.Event)
	if n.Repeat > 0 {
		out += fmt.Sprintf(" (told %d times before)", n.Repeat)
	}
	return out
}
