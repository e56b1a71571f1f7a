package pdns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"rollover/rollover"
)

// list-zone prints every record of a zone, hundreds of megabytes of some. It is read
// line by line, as it comes: what is bounded is a line, and what is kept, not what
// passes.

// longestLine is how long one line of list-zone may be, in bytes: a record of 64 KiB
// with each octet written as \DDD is a quarter of it.
const longestLine = 1 << 20

// listing takes in list-zone line by line. line is called for each in turn, and end
// when the command has ended well.
type listing interface {
	line(text string) error
	end() error
}

// listZone runs list-zone for a checked zone name.
func (t *Tool) listZone(ctx context.Context, name string, into listing) error {
	c := t.pdnsutil(name, "--", "list-zone", plain(name))
	lines := &liner{each: into.line}
	out, err := t.execute(ctx, c, outputLimit, func(stop func()) io.Writer {
		lines.stop = stop
		return lines
	})
	var full *fullError
	switch {
	case errors.As(lines.failed, &full):
		return c.fail(errors.Join(rollover.ErrRefused, full), full.what, full.remedy)
	case err != nil:
		return err
	}
	if err := bothWell(lines.close, into.end); err != nil {
		return c.misread(err, out)
	}
	return nil
}

// bothWell is the first error of two functions; the second is not called after one.
func bothWell(first, second func() error) error {
	if err := first(); err != nil {
		return err
	}
	return second()
}

// fullError is more than is kept of a zone: the command is ended at once.
type fullError struct{ what, remedy string }

// Error says what was too much.
func (e *fullError) Error() string { return e.what }

// liner calls each with every line that is written to it, without its line feed. After
// an error it lets all that follows pass unread: how the command ends says more.
type liner struct {
	each   func(line string) error
	stop   func() // ends the command
	part   []byte // of a line whose end has not come
	failed error
}

// Write implements io.Writer.
func (l *liner) Write(p []byte) (int, error) {
	rest := p
	for l.failed == nil && len(rest) > 0 {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if len(l.part)+len(line) > longestLine {
			l.fail(&fullError{fmt.Sprintf("printed a line of more than %d bytes", longestLine), "run it by hand and look at what it prints"})
			break
		}
		if !whole {
			l.part = append(l.part, line...)
			break
		}
		if len(l.part) > 0 {
			l.part = append(l.part, line...)
			line = l.part
		}
		l.fail(l.each(string(line)))
		l.part, rest = l.part[:0], after
	}
	return len(p), nil
}

func (l *liner) fail(err error) {
	l.failed = err
	var full *fullError
	if errors.As(err, &full) && l.stop != nil {
		l.stop()
	}
}

// close takes in a last line without a line feed.
func (l *liner) close() error {
	if l.failed == nil && len(l.part) > 0 {
		l.failed = l.each(string(l.part))
	}
	return l.failed
}

// recordReader finds the records in the lines of list-zone, and the largest TTL of any
// line that looks like one: a line inside a quoted text is no record, but a TTL taken
// too large only delays, and one taken too small breaks.
type recordReader struct {
	zone    string
	each    func(record) error
	largest uint32 // seconds
	soas    int    // at the apex
	soa     string // the content of the last of them
	quoted  bool   // a quoted text goes on
}

func (z *recordReader) line(text string) error {
	r, ok := parseRecord(text)
	z.largest = max(z.largest, r.ttl)
	switch {
	case z.quoted:
		z.quoted = quoteOpen(text, true)
		return nil
	case ok:
		z.quoted = quoteOpen(r.content, false)
		if r.typ == "SOA" && r.name == z.zone {
			z.soas, z.soa = z.soas+1, strings.Clone(r.content)
		}
		return z.each(r)
	case strings.Contains(text, "\t"):
		return fmt.Errorf("list-zone printed a record that is not understood: %q", text[:min(len(text), 1000)])
	}
	return nil // lines without a TAB are no records: $ORIGIN, and notes of 5.x
}

// end refuses a zone without its SOA record, too: an empty answer is not an empty zone.
func (z *recordReader) end() error {
	if z.quoted {
		return errors.New("list-zone printed a text whose quotes are not closed")
	}
	_, _, err := z.start()
	return err
}

// mostAsked is how many records of the names that are asked for are kept.
const mostAsked = 10_000

// records runs list-zone and keeps the records that are wanted.
func (t *Tool) records(ctx context.Context, zone string, wanted func(record) bool) ([]record, error) {
	var kept []record
	z := &recordReader{zone: zone, each: func(r record) error {
		if !wanted(r) {
			return nil
		}
		if len(kept) == mostAsked {
			return &fullError{fmt.Sprintf("printed more than %d records of one name", mostAsked), "run it by hand and take out what nobody needs"}
		}
		kept = append(kept, r)
		return nil
	}}
	err := t.listZone(ctx, zone, z)
	return kept, err
}
