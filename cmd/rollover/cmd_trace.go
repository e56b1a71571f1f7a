package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
	"rollover/rollover/chain"
	"rollover/rollover/probe"
)

func (m *mouth) traceCommand() *cli.Command {
	return &cli.Command{
		Name:      "trace",
		Usage:     "the chain of trust from the anchor to a name, link by link, and where and why it breaks",
		ArgsUsage: "NAME [TYPE]",
		Description: "Asks every name server of the zone and of its parent one by one, and the resolvers about all zones above, with checking\n" +
			"disabled; believes signatures alone. TYPE is SOA unless given. With --server the named servers (or resolvers) are asked\n" +
			"in the place of the zone's own. Exits 0 when nothing has to be done, 1 when a link is broken or a server is at fault.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "server", Usage: "ask `SERVER`, address or name with or without :port, for what the zone has; may be repeated"},
			&cli.StringFlag{Name: "svg", Usage: "draw the chain into `FILE`, - for standard output"},
			&cli.StringFlag{Name: "html", Usage: "write the chain with its drawing as a page into `FILE`, - for standard output"},
		},
		Action: m.trace,
	}
}

// errBroken is the exit code of a trace that found something; the trace has
// told it.
var errBroken = fmt.Errorf("%w: the chain is not sound", errTold)

func (m *mouth) trace(c *cli.Context) error {
	q, err := traceQuestion(c)
	if err != nil {
		return err
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	q.Setting = w.config.setting
	t, err := w.probe.Trace(c.Context, q)
	if err != nil {
		return err
	}
	if err := m.showTrace(c, t); err != nil {
		return err
	}
	if !t.Sound() {
		return errBroken
	}
	return nil
}

func traceQuestion(c *cli.Context) (probe.TraceQuestion, error) {
	words := c.Args().Slice()
	if len(words) < 1 || len(words) > 2 {
		return probe.TraceQuestion{}, usage("rollover trace takes a name and, if need be, a type: rollover trace NAME [TYPE]")
	}
	name, err := parseZone(words[0])
	if err != nil {
		return probe.TraceQuestion{}, err
	}
	q := probe.TraceQuestion{Name: name, Servers: c.StringSlice("server")}
	if len(words) == 2 {
		q.Type = strings.ToUpper(words[1])
	}
	return q, nil
}

func (m *mouth) showTrace(c *cli.Context, t chain.Trace) error {
	drawn, err := m.draw(c, t)
	switch {
	case err != nil:
		return err
	case c.Bool("json"):
		return m.json(map[string]any{"schema": 1, "trace": t})
	case drawn || c.Bool("quiet"):
		return nil
	}
	m.traceText(t)
	return nil
}

// draw writes the pictures asked for; drawn says that one of them went to
// standard output.
func (m *mouth) draw(c *cli.Context, t chain.Trace) (drawn bool, err error) {
	for _, picture := range []struct {
		path string
		make func(chain.Trace) ([]byte, error)
	}{{c.String("svg"), traceSVG}, {c.String("html"), traceHTML}} {
		if picture.path == "" {
			continue
		}
		raw, err := picture.make(t)
		if err != nil {
			return drawn, err
		}
		if picture.path == "-" {
			drawn = true
			if _, err := m.out.Write(raw); err != nil {
				return drawn, err
			}
			continue
		}
		if err := writeWhole(picture.path, raw); err != nil {
			return drawn, err
		}
	}
	return drawn, nil
}

// marks are the ticks, in ASCII where the terminal may not know others.
func marks() map[chain.Mark]string {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		value := strings.ToUpper(os.Getenv(name))
		if value == "" {
			continue
		}
		if strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8") {
			return map[chain.Mark]string{chain.MarkGood: "✓", chain.MarkWarning: "!", chain.MarkBroken: "✗"}
		}
		break
	}
	return map[chain.Mark]string{chain.MarkGood: "ok", chain.MarkWarning: "!!", chain.MarkBroken: "XX"}
}

// traceText tells a trace, a line for each link.
func (m *mouth) traceText(t chain.Trace) {
	sign := marks()
	fmt.Fprintf(m.out, "%s %s: %s\n", t.Name, t.Type, t.Security)
	table := table{columns: []string{"  ", "NAME", "TYPE", "WHAT"}}
	for _, l := range t.Links {
		table.add("  "+sign[l.Mark], plain(linkName(l)), linkType(l), plain(linkWhat(l)+linkAsked(l)))
		for _, line := range linkServers(l) {
			table.add("", "", "", plain(line))
		}
	}
	table.print(m.out)
	fmt.Fprintf(m.out, "%s\n", plain(t.Sentence))
	if t.Remedy != "" {
		fmt.Fprintf(m.out, "what to do: %s\n", plain(t.Remedy))
	}
}

func linkName(l chain.Link) string {
	if l.Kind == chain.LinkDenial {
		return "(no such name)." + l.Zone
	}
	return l.Name
}

func linkType(l chain.Link) string {
	switch l.Kind {
	case chain.LinkAnchor:
		return "anchor"
	case chain.LinkDenial:
		return "denial"
	}
	return l.Type
}

// linkWhat is what a link consists of: digests, keys, signatures with their
// windows.
func linkWhat(l chain.Link) string {
	var parts []string
	switch {
	case l.Kind == chain.LinkDenial && l.Security == rollover.Secure:
		parts = append(parts, "proven: there is no such name")
	case len(l.DS) > 0:
		parts = append(parts, dsWords(l.DS))
	case len(l.Keys) > 0:
		parts = append(parts, keyWords(l.Keys))
	}
	if s := signatureWords(l.Signatures); s != "" {
		parts = append(parts, s)
	}
	if l.Text != "" {
		parts = append(parts, l.Text)
	}
	return strings.Join(parts, "; ")
}

func dsWords(set []chain.DSFact) string {
	words := make([]string, len(set))
	for i, d := range set {
		fits := ""
		if !d.Fits && !d.Untried {
			fits = " (no such key)"
		}
		words[i] = fmt.Sprintf("%d/%s digest %d %s%s", d.Tag, algorithmName(d.Algorithm), d.DigestType, shorten(d.Digest), fits)
	}
	return strings.Join(words, ", ")
}

func shorten(digest string) string {
	if len(digest) <= 12 {
		return digest
	}
	return digest[:12] + "..."
}

func keyWords(keys []chain.KeyFact) string {
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = fmt.Sprintf("key %d/%s", k.Tag, algorithmName(k.Algorithm))
		if k.Flags&1 == 1 {
			words[i] += " SEP"
		}
		if k.Trusted {
			words[i] += " trusted"
		}
	}
	return strings.Join(words, ", ")
}

func signatureWords(all []chain.SignatureFact) string {
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = fmt.Sprintf("signed by %d/%s %s to %s", s.Tag, algorithmName(s.Algorithm), s.Inception.Format(dayFormat), s.Expiration.Format(dayFormat))
		if s.Fault != "" && s.Fault != "no such key" {
			words[i] += " (" + s.Fault + ")"
		}
	}
	return strings.Join(words, ", ")
}

const dayFormat = "2006-01-02T15:04Z"

// algorithmName is the mnemonic of a DNSSEC algorithm (IANA).
func algorithmName(algorithm uint8) string {
	names := map[uint8]string{
		5: "RSASHA1", 7: "RSASHA1-NSEC3", 8: "RSASHA256", 10: "RSASHA512", 13: "ECDSAP256", 14: "ECDSAP384", 15: "ED25519", 16: "ED448",
	}
	if name, ok := names[algorithm]; ok {
		return name
	}
	return fmt.Sprint(algorithm)
}

// unanimous says whether all servers said the same.
func unanimous(l chain.Link) bool {
	return !slices.ContainsFunc(l.Answers, func(a chain.AnswerFact) bool {
		return a.Security != l.Answers[0].Security || a.Code != l.Answers[0].Code
	})
}

// linkAsked is who was asked, where all said the same.
func linkAsked(l chain.Link) string {
	if len(l.Answers) == 0 || !unanimous(l) {
		return ""
	}
	names := make([]string, len(l.Answers))
	for i, a := range l.Answers {
		names[i] = a.Server
	}
	return " [" + strings.Join(names, ", ") + "]"
}

// linkServers is a line for each server, where they did not say the same.
func linkServers(l chain.Link) []string {
	if unanimous(l) {
		return nil
	}
	var lines []string
	for _, a := range l.Answers {
		line := fmt.Sprintf("  %s: %s", a.Server, a.Security)
		if a.Text != "" {
			line += ": " + a.Text
		}
		lines = append(lines, line)
	}
	return lines
}
