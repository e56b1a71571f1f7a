package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

// report is what check found.
type report struct {
	at       time.Time
	options  checkOptions
	state    string
	checkups []rollover.Checkup
	clock    []rollover.Finding // about this machine
	resolver *rollover.ResolverFault
	machine  []rollover.Checkup // what is told of the resolvers; none if they were not examined
}

// blame finds out whether the resolvers are at fault for what zones are found
// with: those are then only counted.
func (r *report) blame(c *cli.Context, w *world) {
	suspect := slices.ContainsFunc(r.checkups, rollover.Checkup.Suspects)
	if !suspect && !c.Bool("notify") || c.Context.Err() != nil {
		return
	}
	fault := w.examineResolver(c.Context)
	if fault == nil || !suspect {
		r.machine = []rollover.Checkup{rollover.MachineCheckup()}
		return
	}
	worst := fault.Gather(r.checkups)
	r.resolver, r.machine = fault, []rollover.Checkup{rollover.MachineCheckup(fault.Finding(worst))}
}

// about is what is found of this machine: its resolvers and its clock.
func (r report) about() []rollover.Finding {
	var out []rollover.Finding
	for _, c := range r.machine {
		out = append(out, c.Findings...)
	}
	return append(out, r.clock...)
}

// first is the worst finding of a zone that is told with it; ok is whether there
// is one.
func first(c rollover.Checkup) (f rollover.Finding, ok bool) {
	for _, f := range c.Findings {
		if f.Severity != rollover.SeverityOK && !f.Unjudged() {
			return f, true
		}
	}
	return f, false
}

func (r report) worst() rollover.Severity {
	all := r.about()
	for _, c := range r.checkups {
		all = append(all, rollover.Finding{Severity: c.Severity})
	}
	return rollover.Worst(all)
}

// publish prints the report, or writes it into a file. With a file, a
// monitoring plugin still gets its first line.
func (m *mouth) publish(c *cli.Context, r report) error {
	var out bytes.Buffer
	var err error
	switch r.options.format {
	case "json":
		err = r.json(&out)
	case "prometheus":
		r.prometheus(&out)
	default:
		r.text(&out, c.Bool("verbose"))
	}
	if err != nil {
		return err
	}
	path := c.String("output")
	if path == "" {
		if !c.Bool("quiet") || r.options.format != "text" {
			_, err = m.out.Write(out.Bytes())
		}
		return err
	}
	if err := writeWhole(path, out.Bytes()); err != nil {
		return err
	}
	m.say(c, "%s", r.firstLine())
	return nil
}

// firstLine is that of a monitoring plugin: service, state, what, and
// performance data.
func (r report) firstLine() string {
	return fmt.Sprintf("ROLLOVER %s - %s | %s", strings.ToUpper(string(r.worst())), pipeless(r.headline()), r.performance())
}

// pipeless keeps the one character out of a text that means performance data.
func pipeless(text string) string { return strings.ReplaceAll(plain(text), "|", "/") }

// headline is the worst finding, and how many more zones have one.
func (r report) headline() string {
	worst, count := "", 0
	best := rollover.SeverityOK
	about := r.about()
	for _, f := range about {
		if worst == "" && f.Severity != rollover.SeverityOK && f.Severity == rollover.Worst(about) {
			worst, best = f.String(), f.Severity
		}
	}
	for _, c := range r.checkups {
		f, ok := first(c)
		if !ok {
			continue
		}
		count++
		if rollover.Worst([]rollover.Finding{f, {Severity: best}}) != best || worst == "" {
			worst, best = c.Zone+": "+findingLine(f), f.Severity
		}
	}
	switch {
	case worst == "":
		return fmt.Sprintf("%s well", plural(len(r.checkups), "zone"))
	case count > 1:
		return fmt.Sprintf("%s (and %s more of %d)", worst, plural(count-1, "zone"), len(r.checkups))
	}
	return worst
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// findingLine is a finding without its remedy, for one line.
func findingLine(f rollover.Finding) string {
	f.Remedy = ""
	return f.String()
}

// performance is the data for graphs: zones by severity, and the signature
// that expires first.
func (r report) performance() string {
	counts := map[rollover.Severity]int{}
	var first *time.Time
	for _, c := range r.checkups {
		counts[c.Severity]++
		if c.Expires != nil && (first == nil || c.Expires.Before(*first)) {
			first = c.Expires
		}
	}
	out := fmt.Sprintf("zones=%d warning=%d critical=%d unknown=%d", len(r.checkups), counts[rollover.SeverityWarning], counts[rollover.SeverityCritical], counts[rollover.SeverityUnknown])
	if first != nil {
		l := r.options.limits
		out += fmt.Sprintf(" rrsig_expiry=%ds;%d:;%d:", int64(first.Sub(r.at).Seconds()), int64(l.ExpiryWarning.Seconds()), int64(l.ExpiryCritical.Seconds()))
	}
	return out
}

// text is the first line, and a line for each finding.
func (r report) text(w io.Writer, verbose bool) {
	fmt.Fprintln(w, r.firstLine())
	for _, f := range r.about() {
		fmt.Fprintf(w, "%s: %s\n", strings.ToUpper(string(f.Severity)), pipeless(f.String()))
	}
	for _, c := range r.checkups {
		for _, f := range c.Findings {
			if (f.Severity != rollover.SeverityOK || verbose) && (!f.Unjudged() || verbose) {
				fmt.Fprintf(w, "%s: %s %s\n", strings.ToUpper(string(f.Severity)), pipeless(c.Zone), pipeless(f.String()))
			}
		}
		if c.Severity == rollover.SeverityOK && verbose {
			fmt.Fprintf(w, "OK: %s %s, %d servers%s%s\n", pipeless(c.Zone), c.Security, c.Servers, expiryWords(c.Expires), rollWords(c.Rollover))
		}
	}
}

func expiryWords(t *time.Time) string {
	if t == nil {
		return ""
	}
	return ", signatures until " + stamp(*t)
}

func rollWords(r *rollover.RunningRollover) string {
	if r == nil {
		return ""
	}
	return pipeless(fmt.Sprintf(", %s rollover at step %q", r.Type, r.Step))
}

func (r report) json(w io.Writer) error {
	clock := r.clock
	if clock == nil {
		clock = []rollover.Finding{}
	}
	return writeJSON(w, map[string]any{"schema": 1, "generated_at": r.at.UTC(), "severity": r.worst(), "clock": clock, "zones": r.checkups, "resolver": resolverJSON(r.resolver)})
}

// metric is one metric family of the text exposition format.
type metric struct {
	name, help string
	lines      []string
}

func (m *metric) add(value any, labels ...string) {
	var pairs []string
	for i := 0; i+1 < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+escapeLabel(labels[i+1])+`"`)
	}
	set := ""
	if len(pairs) > 0 {
		set = "{" + strings.Join(pairs, ",") + "}"
	}
	m.lines = append(m.lines, fmt.Sprintf("%s%s %v", m.name, set, value))
}

// escapeLabel is a label value in the text exposition format.
func escapeLabel(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(plain(text))
}

// prometheus writes the text exposition format, for the textfile collector.
func (r report) prometheus(w io.Writer) {
	status := metric{name: "rollover_chain_status", help: "Severity of a zone: 0 ok, 1 warning, 2 critical, 3 unknown."}
	secure := metric{name: "rollover_chain_secure", help: "Whether the chain of trust to the zone verifies at every server."}
	expiry := metric{name: "rollover_rrsig_earliest_expiry_timestamp_seconds", help: "When the first signature seen expires."}
	parent := metric{name: "rollover_ds_parent_servers", help: "Servers of the parent, by how their DS set fits the zone."}
	findings := metric{name: "rollover_findings", help: "Findings of a zone, by code and severity."}
	active := metric{name: "rollover_active", help: "Whether a rollover of the zone has begun and not ended."}
	state := metric{name: "rollover_state", help: "The state of the rollover that runs."}
	since := metric{name: "rollover_step_entered_timestamp_seconds", help: "When the present step of the rollover was entered."}
	next := metric{name: "rollover_next_check_timestamp_seconds", help: "When the rollover is looked at again."}
	waiting := metric{name: "rollover_waiting_for_operator", help: "Whether the rollover waits for the operator."}
	for _, c := range r.checkups {
		status.add(exitOf(c.Severity), "zone", c.Zone)
		secure.add(number(c.Security == rollover.Secure), "zone", c.Zone)
		if c.Expires != nil {
			expiry.add(c.Expires.Unix(), "zone", c.Zone)
		}
		for _, match := range []string{"ok", "missing", "stale", "unreachable"} {
			parent.add(countMatch(c.Parent, match), "zone", c.Zone, "match", match)
		}
		countFindings(&findings, c)
		active.add(number(c.Rollover != nil), "zone", c.Zone)
		if v := c.Rollover; v != nil {
			state.add(1, "zone", c.Zone, "type", v.Type, "state", string(v.State), "step", v.Step)
			since.add(v.StepEnteredAt.Unix(), "zone", c.Zone)
			next.add(v.NextCheckAt.Unix(), "zone", c.Zone)
			waiting.add(number(v.NeedsOperator), "zone", c.Zone)
		}
	}
	run := metric{name: "rollover_check_timestamp_seconds", help: "When this check was made."}
	run.add(r.at.Unix())
	resolver := metric{name: "rollover_resolver_fault", help: "Whether the resolvers fail, whatever zone they are asked about."}
	resolver.add(number(r.resolver != nil))
	unjudged := metric{name: "rollover_resolver_zones", help: "Zones that cannot be judged for want of resolvers."}
	unjudged.add(len(slices.DeleteFunc(slices.Clone(r.checkups), func(c rollover.Checkup) bool { return !slices.ContainsFunc(c.Findings, rollover.Finding.Unjudged) })))
	clock := metric{name: "rollover_clock_findings", help: "Findings about the clock of this machine."}
	clock.add(len(r.clock))
	for _, m := range []metric{status, secure, expiry, parent, findings, active, state, since, next, waiting, resolver, unjudged, clock, run} {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n", m.name, m.help, m.name)
		for _, line := range m.lines {
			fmt.Fprintln(w, line)
		}
	}
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func countMatch(all []rollover.ParentDSMatch, match string) int {
	n := 0
	for _, m := range all {
		n += number(m.Match == match)
	}
	return n
}

func countFindings(m *metric, c rollover.Checkup) {
	counts := map[[2]string]int{}
	var order [][2]string
	for _, f := range c.Findings {
		key := [2]string{f.Code, string(f.Severity)}
		if counts[key] == 0 {
			order = append(order, key)
		}
		counts[key]++
	}
	for _, key := range order {
		m.add(counts[key], "zone", c.Zone, "code", key[0], "severity", key[1])
	}
}

// exitOf is the exit code of a severity, for monitoring plugins.
func exitOf(s rollover.Severity) int {
	return map[rollover.Severity]int{rollover.SeverityOK: 0, rollover.SeverityWarning: 1, rollover.SeverityCritical: 2, rollover.SeverityUnknown: 3}[s]
}
