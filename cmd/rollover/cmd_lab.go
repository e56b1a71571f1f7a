package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
	"rollover/rollover/lab"
)

func (m *mouth) labCommand() *cli.Command {
	return &cli.Command{
		Name:  "lab",
		Usage: "roll the keys of a throw-away zone on a throw-away PowerDNS, under a validator's eyes",
		Description: "Starts, on loopback and in a temporary folder: a signed parent zone on two servers, a signed child zone on a primary and a\n" +
			"secondary, and a validating resolver (unbound). Rolls the ZSK, then the KSK, plays the registrar, and asks the validator all\n" +
			"the time. Takes about a minute. Everything is stopped and removed at the end, also on Ctrl-C. Needs no root.",
		Flags:  []cli.Flag{&cli.UintFlag{Name: "ttl", Value: 3, Usage: "TTL of all records, in `SECONDS`"}},
		Action: m.lab,
	}
}

const labZone = "example.lab.test."

func (m *mouth) lab(c *cli.Context) (err error) {
	if missing := lab.Missing(""); len(missing) > 0 {
		return fmt.Errorf("%w: the lab needs these Debian packages: sudo apt-get install %s", rollover.ErrUnavailable, strings.Join(missing, " "))
	}
	ttl := uint32(c.Uint("ttl"))
	m.say(c, "starting two parent servers, a primary, a secondary and a validator on loopback ...")
	l, err := lab.Start(c.Context, lab.Options{DSTTL: ttl, Zones: []lab.Zone{{Name: labZone, Layout: lab.Split, TTL: ttl, Minimum: ttl, SOATTL: ttl}}})
	if err != nil {
		return fmt.Errorf("starting the lab: %w", err)
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	s := &stage{mouth: m, c: c, lab: l, begun: time.Now()}
	if err := s.open(); err != nil {
		return err
	}
	defer s.world.close()
	return s.play()
}

// stage is one run of the lab.
type stage struct {
	*mouth
	c     *cli.Context
	lab   *lab.Lab
	world *world
	begun time.Time
	acts  []act
}

// act is one rollover played, for the table at the end.
type act struct {
	rollType string
	steps    []rollover.StepRecord
	from     time.Time
}

var labConfig = template.Must(template.New("").Parse(`
state = "{{.Dir}}/state/rollover.db"
[pdnsutil]
command = {{.Command}}
control = {{.Control}}
config_dir = "{{.ConfigDir}}"
[dns]
resolvers = ["{{.Validator}}"]
validators = ["{{.Validator}}"]
trust_anchors = "{{.Anchors}}"
dont_query = []
[policy.default]
margin = "2s"
check_interval = "1s"
max_gap = "10s"
[[zone]]
name = "*.lab.test"
servers = {{.Servers}}
servers_only = true
parent_servers = {{.Parents}}
`))

// open writes a configuration for the lab and opens it as any other.
func (s *stage) open() error {
	path := filepath.Join(s.lab.Dir, "rollover.toml")
	var text strings.Builder
	err := labConfig.Execute(&text, map[string]string{
		"Dir": s.lab.Dir, "Command": tomlList(s.lab.ChildPdnsutil()), "Control": tomlList(s.lab.ChildControl()), "ConfigDir": s.lab.ChildConfigDir(),
		"Validator": s.lab.Validator(), "Anchors": s.lab.AnchorFile(), "Servers": tomlList(s.lab.ChildServers()), "Parents": tomlList(s.lab.ParentServers()),
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return err
	}
	s.world, err = s.openFile(path, "")
	return err
}

func tomlList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// play rolls the ZSK, then the KSK, and tells how it went.
func (s *stage) play() error {
	ctx := s.c.Context
	asker, recorder := s.lab.Ask(ctx, labZone), s.lab.Record(ctx, labZone)
	var failed error
	for _, rollType := range []string{"zsk", "ksk"} {
		if failed = s.roll(ctx, rollType); failed != nil {
			break
		}
	}
	answers, findings := asker.Stop(), recorder.Stop()
	if failed != nil {
		return failed
	}
	return s.verdict(answers, findings)
}

func (s *stage) roll(ctx context.Context, rollType string) error {
	s.say(s.c, "\n$ rollover start --zone %s --type %s", labZone, rollType)
	s.world.engine.Tell = func(e rollover.Event) { s.say(s.c, "%6.1fs  %s", time.Since(s.begun).Seconds(), e.Text) }
	from := time.Now()
	report, err := s.world.engine.Start(ctx, rollover.Order{Zone: labZone, Type: rollType})
	if err != nil {
		return err
	}
	for {
		if err := report.Failed[labZone]; err != nil {
			return err
		}
		d, err := s.world.db.Load(labZone)
		if err != nil {
			return err
		}
		if d.Roll.State != rollover.StateActive {
			s.acts = append(s.acts, act{rollType, d.Roll.Steps, from})
			return s.ended(d.Roll)
		}
		if err := s.registrar(ctx, d); err != nil {
			return err
		}
		if err := s.countdown(ctx, d); err != nil {
			return err
		}
		if report, err = s.world.engine.Tick(ctx, []string{labZone}); err != nil {
			return err
		}
	}
}

func (s *stage) ended(r *rollover.Roll) error {
	if r.State == rollover.StateDone {
		return nil
	}
	return fmt.Errorf("the rollover is %s at step %q: %+v", r.State, r.Step, r.Block)
}

// registrar does at the parent what the rollover asks for, as an operator
// would with a registrar's web page.
func (s *stage) registrar(ctx context.Context, d rollover.Dossier) error {
	todo := d.Roll.Parent(s.world.config.setting(labZone).Policy)
	if d.Roll.Ask == nil || len(todo.Add)+len(todo.Remove) == 0 {
		return nil
	}
	var records []string
	for _, ds := range slices.Concat(todo.Keep, todo.Add) {
		records = append(records, ds.String())
	}
	slices.Sort(records)
	now, err := s.lab.DS(ctx, labZone)
	if err != nil {
		return err
	}
	if equalDS(now, records) {
		return nil
	}
	s.say(s.c, "%6.1fs  (the registrar puts in place: DS %s)", time.Since(s.begun).Seconds(), strings.Join(records, ", DS "))
	return s.lab.SetDS(ctx, labZone, records)
}

func equalDS(a, b []string) bool {
	fold := func(in []string) []string {
		out := make([]string, len(in))
		for i, s := range in {
			out[i] = strings.ToUpper(strings.Join(strings.Fields(s), " "))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(fold(a), fold(b))
}

// countdown waits for the next look, and shows on a terminal how long still.
func (s *stage) countdown(ctx context.Context, d rollover.Dossier) error {
	status, err := s.world.describe(d)
	if err != nil {
		return err
	}
	view := s.live(s.c)
	if view.terminal && !view.quiet {
		line := []rune("        " + plain(countdown(status)+": "+status.WaitingFor))
		fmt.Fprintf(s.out, "\r\x1b[2K%s\r", string(line[:min(len(line), view.width-1)]))
		defer fmt.Fprint(s.out, "\r\x1b[2K")
	}
	return pause(ctx, min(s.world.untilDue(), 200*time.Millisecond))
}

// verdict prints the table, and is an error if a single answer was bogus.
func (s *stage) verdict(answers lab.Answers, findings lab.Findings) error {
	t := table{columns: []string{"ROLL", "STEP", "ENTERED", "WAITED"}}
	for _, a := range s.acts {
		last := a.from
		for _, step := range a.steps {
			t.add(a.rollType, step.Step, fmt.Sprintf("%6.1fs", step.At.Sub(s.begun).Seconds()), fmt.Sprintf("%.1fs", step.At.Sub(last).Seconds()))
			last = step.At
		}
	}
	fmt.Fprintln(s.out)
	t.print(s.out)
	violations := slices.DeleteFunc(lab.Check(findings.Versions), func(v lab.Violation) bool { return v.Torn(findings.Versions) })
	fmt.Fprintf(s.out, "\n%d queries to the validator: %d validated answers (AD), SERVFAIL %d, other %d\n",
		answers.Total, answers.AD, answers.ServFail, answers.Other)
	fmt.Fprintf(s.out, "%d looks at the servers: %d versions of DS, DNSKEY and data; combinations that caches could hold and that do not validate: %d\n",
		findings.Polls, len(findings.Versions), len(violations))
	switch {
	case answers.ServFail > 0:
		return fmt.Errorf("%d answers of the validator were SERVFAIL, the first: %v", answers.ServFail, answers.FirstServFail)
	case len(violations) > 0:
		return fmt.Errorf("a cache could have broken: %v", violations[0])
	}
	return nil
}
