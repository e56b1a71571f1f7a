package rollover

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// telling is a rollover at a moment, made by hand.
type telling struct {
	what, kind, words string
	old               int
	after             time.Duration // since its step was entered
	change            func(*Dossier, *Policy)
}

func tellings() []telling {
	day := 24 * time.Hour
	ns1, ns2 := Server{RoleChild, "ns1.", "192.0.2.1:53"}, Server{RoleChild, "ns2.", "192.0.2.2:53"}
	p1 := Server{RoleParent, "p1.", "192.0.2.3:53"}
	need := func(n Need) func(*Dossier, *Policy) {
		return func(d *Dossier, _ *Policy) {
			n.Next, n.Waits, n.Records = "submit", []string{"DNSKEY has new in every cache"}, []Record{RecordDNSKEY}
			d.Roll.Need = &n
		}
	}
	lag := func(s Server, detail string) []Lag { return []Lag{{Server: s, Detail: detail}} }
	both := func(changes ...func(*Dossier, *Policy)) func(*Dossier, *Policy) {
		return func(d *Dossier, p *Policy) {
			for _, change := range changes {
				change(d, p)
			}
		}
	}
	state := func(s State) func(*Dossier, *Policy) {
		return func(d *Dossier, _ *Policy) { d.Roll.State = s }
	}
	asked := func(since time.Duration, sides ...Side) func(*Dossier, *Policy) {
		return func(d *Dossier, _ *Policy) {
			d.Roll.Step, d.Roll.Ask = "submit", &Ask{Sides: sides, Since: d.Roll.StepEnteredAt.Add(since)}
		}
	}
	looked := func(ago time.Duration) func(*Dossier, *Policy) {
		return func(d *Dossier, _ *Policy) {
			d.Roll.LastLook.Wall = d.Roll.LastLook.Wall.Add(-ago)
		}
	}
	failing := func(over time.Duration) func(*Dossier, *Policy) {
		return func(d *Dossier, _ *Policy) {
			d.Roll.Failing = &Failing{Since: d.Roll.StepEnteredAt, Text: "child ns1.: has no DNSKEY set", Until: d.Roll.StepEnteredAt.Add(day), Code: FindingKeys}
			if over > 0 {
				d.Roll.Failing.Over = d.Roll.StepEnteredAt.Add(over)
			}
		}
	}
	servers := func(d *Dossier, _ *Policy) {
		d.Roll.Servers = []ServerState{{Server: ns1, OK: true, Detail: "well", Serial: 7}, {Server: ns2, Detail: "timed out"}, {Server: p1, OK: true}}
	}
	you := need(Need{Actor: ActorYou})
	ksk := func(what string, after time.Duration, change func(*Dossier, *Policy)) telling {
		return telling{what, "ksk/double-ds", "257 257-", 1, after, change}
	}
	return []telling{
		ksk("nothing is said yet", time.Hour, func(*Dossier, *Policy) {}),
		ksk("caches", time.Hour, need(Need{Actor: ActorCaches, Remaining: 90 * time.Minute})),
		ksk("caches, seen a while ago", time.Hour, both(need(Need{Actor: ActorCaches, Remaining: 90 * time.Minute}), looked(20*time.Minute))),
		ksk("caches, seen long ago", time.Hour, both(need(Need{Actor: ActorCaches, Remaining: 90 * time.Minute}), looked(5*time.Hour))),
		ksk("caches that will take less", time.Hour, both(need(Need{Actor: ActorCaches, Remaining: time.Minute}), looked(5*time.Minute))),
		ksk("caches, and it is late", 3*day, need(Need{Actor: ActorCaches, Remaining: 1500 * time.Millisecond})),
		ksk("name servers", time.Hour, both(servers, need(Need{Actor: ActorServers, Remaining: time.Hour, Lagging: lag(ns1, "has no DNSKEY 5")}))),
		ksk("a name server that is silent", 3*day, both(servers, need(Need{Actor: ActorServers, Lagging: lag(ns2, "timed out")}))),
		ksk("no server", time.Hour, need(Need{Actor: ActorServers, Lagging: lag(Server{}, "no server could be asked")})),
		ksk("the parent's servers", time.Hour, need(Need{Actor: ActorParent, Lagging: lag(p1, "has no DS 5")})),
		ksk("resolvers", time.Hour, need(Need{Actor: ActorParent, Lagging: lag(p1, "unproven: "+otherResolver)})),
		ksk("gone", time.Hour, need(Need{Actor: ActorServers, Gone: true, Lagging: lag(ns1, "has no DNSKEY 5")})),
		ksk("gone, and paused", time.Hour, both(need(Need{Actor: ActorServers, Gone: true, Lagging: lag(ns1, "has no DNSKEY 5")}), state(StatePaused))),
		ksk("stopped by a finding", 3*day, need(Need{Actor: ActorYou, Findings: []Finding{{Code: FindingChain, Text: "it is broken", Remedy: "mend it"}}})),
		ksk("stopped by one without a remedy", time.Hour, need(Need{Actor: ActorYou, Findings: []Finding{{Code: FindingChain, Text: "it is broken"}}})),
		ksk("you, a moment ago", time.Hour, both(asked(0, Old, New), you)),
		ksk("you, for a week", 7*day, both(asked(0, Old, New), you)),
		ksk("you, for longer", 7*day+1, both(asked(0, Old, New), you)),
		ksk("you, and it is there already", time.Hour, both(asked(0, Old, New), you, func(d *Dossier, _ *Policy) {
			d.Roll.DSSeen = append(digestsOf(d.Roll.Old[0], 2), digestsOf(d.Roll.New[0], 2)...)
		})),
		ksk("you, to take one out", time.Hour, both(asked(0, New), you, func(d *Dossier, _ *Policy) {
			d.Roll.Step, d.Roll.DSSeen = "withdraw", append(digestsOf(d.Roll.Old[0], 2), digestsOf(d.Roll.New[0], 2)...)
		})),
		ksk("you, to exchange them", time.Hour, both(asked(0, New), you)),
		ksk("you, and it is not delegated", time.Hour, both(asked(0, Old, New), you, func(d *Dossier, _ *Policy) { d.Roll.Undelegated = "com. says that it does not delegate it" })),
		ksk("you, and nothing was asked", time.Hour, you),
		ksk("you, while it fails", time.Hour, both(asked(0, Old, New), you, failing(0))),
		ksk("asked later than the step", 3*day, both(asked(3*day-time.Hour, Old, New), need(Need{Actor: ActorParent, Lagging: lag(p1, "has no DS 5")}))),
		ksk("asked at the step", 3*day, both(asked(0, Old, New), need(Need{Actor: ActorParent, Lagging: lag(p1, "has no DS 5")}))),
		ksk("a parent that follows CDS, announced", time.Hour, both(asked(0, Old, New), you, func(d *Dossier, p *Policy) { d.Roll.Announced, p.CDS = "ns1. serves CDS 1", true })),
		ksk("announced", time.Hour, both(asked(0, Old, New), you, func(d *Dossier, _ *Policy) { d.Roll.Announced = "ns1. serves CDS 1" })),
		ksk("a stranger", time.Hour, func(d *Dossier, _ *Policy) { d.Roll.Strangers = []Stranger{{"ns9.example.net.", "ns2 192.0.2.2:53"}} }),
		ksk("announced before it was asked for", time.Hour, func(d *Dossier, _ *Policy) { d.Roll.Announced = "ns1. serves CDS 1" }),
		ksk("asked before the step", time.Hour, both(asked(-3*day, Old, New), need(Need{Actor: ActorParent, Lagging: lag(p1, "has no DS 5")}))),
		ksk("as late as its plan allows", 2*time.Hour, both(servers, need(Need{Actor: ActorServers, Lagging: lag(ns1, "has no DNSKEY 5")}))),
		ksk("active, and nobody has looked for a week", 8*day, looked(8*day)),
		ksk("late for its plan", 3*time.Hour, both(servers, need(Need{Actor: ActorServers, Lagging: lag(ns1, "has no DNSKEY 5")}))),
		ksk("the last step", 3*day, both(need(Need{Actor: ActorServers, Lagging: lag(ns1, "still has DNSKEY 5")}), func(d *Dossier, _ *Policy) { d.Roll.Step = "retire" })),
		ksk("after the last step", 3*day, both(need(Need{Actor: ActorServers, Lagging: lag(ns1, "still has DNSKEY 5")}), func(d *Dossier, _ *Policy) {
			kind, _ := d.Roll.kind()
			d.Roll.Step = kind.Steps[len(kind.Steps)-1].Name
		})),
		ksk("blocked", time.Hour, both(state(StateBlocked), asked(0, Old, New), func(d *Dossier, _ *Policy) {
			d.Roll.Block = &Block{Code: "x", Reason: "the keys were changed", Remedy: "change them back", Since: d.Roll.StepEnteredAt}
		})),
		ksk("blocked, and it fails", time.Hour, both(state(StateBlocked), failing(0), func(d *Dossier, _ *Policy) {
			d.Roll.Block = &Block{Code: "x", Reason: "the keys were changed", Remedy: "change them back", Since: d.Roll.StepEnteredAt}
		})),
		ksk("paused", 7*day, both(state(StatePaused), looked(7*day))),
		ksk("paused for longer", 7*day, both(state(StatePaused), looked(7*day+1), need(Need{Actor: ActorCaches, Remaining: time.Hour}))),
		ksk("done", 7*day, both(state(StateDone), failing(0), func(d *Dossier, _ *Policy) { d.Roll.EndedAt = d.Roll.StepEnteredAt.Add(day) })),
		ksk("done, and it has failed", 7*day, both(state(StateDone), failing(time.Hour), func(d *Dossier, _ *Policy) { d.Roll.EndedAt = d.Roll.StepEnteredAt.Add(day) })),
		ksk("cancelled", 7*day, both(state(StateCancelled), looked(7*day), func(d *Dossier, _ *Policy) {
			d.Roll.EndedAt, d.Misfits = d.Roll.StepEnteredAt.Add(day), []Misfit{{Finding: Finding{Text: "a misfit"}}}
		})),
		ksk("under way", time.Hour, func(d *Dossier, _ *Policy) { d.Roll.Intent = &Intent{Step: "submit"} }),
		ksk("under way, and applied", time.Hour, func(d *Dossier, _ *Policy) { d.Roll.Intent = &Intent{Step: "submit", Applied: true} }),
		ksk("under way, and it waits", time.Hour, both(need(Need{Actor: ActorCaches, Remaining: time.Hour}), func(d *Dossier, _ *Policy) { d.Roll.Intent = &Intent{Step: "submit"} })),
		ksk("in trouble", time.Hour, func(d *Dossier, _ *Policy) {
			d.Roll.Trouble = &Trouble{Text: "pdnsutil: no such file", Since: d.Roll.StepEnteredAt}
		}),
		ksk("in trouble, and paused", time.Hour, both(state(StatePaused), func(d *Dossier, _ *Policy) {
			d.Roll.Trouble = &Trouble{Text: "pdnsutil: no such file", Since: d.Roll.StepEnteredAt}
		})),
		ksk("unfit, and paused", time.Hour, both(state(StatePaused), func(d *Dossier, _ *Policy) {
			d.Misfits = []Misfit{{Finding: Finding{Code: FindingForeign, Severity: SeverityCritical, Server: "parent p1.", Text: "has a DS of nobody", Remedy: "take it out"}, Since: d.Roll.StepEnteredAt}}
		})),
		ksk("as long as may be stuck", 48*time.Hour, need(Need{Actor: ActorParent, Lagging: lag(p1, "has no DS 5")})),
		ksk("unfit", time.Hour, func(d *Dossier, _ *Policy) {
			d.Misfits = []Misfit{{Finding: Finding{Code: FindingForeign, Severity: SeverityCritical, Server: "parent p1.", Text: "has a DS of nobody", Remedy: "take it out"}, Since: d.Roll.StepEnteredAt}}
		}),
		ksk("it fails", time.Hour, both(failing(0), need(Need{Actor: ActorCaches, Remaining: time.Hour}))),
		ksk("it has failed", time.Hour, both(failing(time.Minute), need(Need{Actor: ActorCaches, Remaining: time.Hour}))),
		ksk("it fails, and a finding stops it", time.Hour, both(failing(0), need(Need{Actor: ActorYou, Findings: []Finding{{Code: FindingChain, Text: "it is broken", Remedy: "mend it"}}}))),
		ksk("nobody looks", time.Hour, both(looked(time.Hour), func(_ *Dossier, p *Policy) { p.MaxGap, p.CheckInterval = time.Hour, 30*time.Minute })),
		ksk("nobody looks for longer", time.Hour, both(looked(time.Hour+1), func(_ *Dossier, p *Policy) { p.MaxGap, p.CheckInterval = time.Hour, 30*time.Minute })),
		ksk("nobody looks, which is slower", time.Hour, both(looked(time.Hour+1), func(_ *Dossier, p *Policy) { p.MaxGap, p.CheckInterval = time.Minute, time.Hour })),
		ksk("a look by a clock ahead", time.Hour, looked(-time.Hour)),
		ksk("a look by a clock a little ahead", time.Hour, looked(-time.Minute)),
		ksk("an absence", time.Hour, func(d *Dossier, _ *Policy) {
			d.Roll.Absence = Absence{1, 4 * time.Hour, d.Roll.LastLook}
		}),
		ksk("absences", time.Hour, func(d *Dossier, _ *Policy) { d.Roll.Absence = Absence{2, 4 * time.Hour, d.Roll.LastLook} }),
		ksk("absences, and paused", time.Hour, both(state(StatePaused), func(d *Dossier, _ *Policy) { d.Roll.Absence = Absence{2, 4 * time.Hour, d.Roll.LastLook} })),
		ksk("a long gap", time.Hour, func(d *Dossier, p *Policy) { d.Roll.LastGap = p.MaxGap + time.Second }),
		ksk("a gap that counts", time.Hour, func(d *Dossier, p *Policy) { d.Roll.LastGap = p.MaxGap }),
		ksk("a clock that is not synchronised", time.Hour, func(d *Dossier, _ *Policy) { d.Roll.LastLook.Unsynchronised = true }),
		ksk("evidence plain", time.Hour, func(_ *Dossier, p *Policy) { p.Evidence = EvidencePlain }),
		ksk("evidence resolver", time.Hour, func(_ *Dossier, p *Policy) { p.Evidence = EvidenceResolver }),
		ksk("no margin", time.Hour, func(_ *Dossier, p *Policy) { p.Margin = packetCaches - 1 }),
		ksk("a margin for packet caches", time.Hour, func(_ *Dossier, p *Policy) { p.Margin = packetCaches }),
		ksk("held", time.Hour, both(func(d *Dossier, _ *Policy) {
			at := d.Roll.StepEnteredAt
			d.Roll.Held = map[string]map[string]Holding{"x": {"ns1": {Since: at.Add(time.Minute)}, "ns2": {Since: at.Add(2 * time.Minute)}}, "y": {"ns1": {Since: at.Add(time.Hour)}}}
			d.Roll.Need = &Need{Next: "submit", Waits: []string{"in every cache (x)"}, Actor: ActorCaches, Remaining: time.Hour}
		})),
		ksk("excluded", time.Hour, func(d *Dossier, _ *Policy) {
			d.Excluded = []Excluded{{Address: "192.0.2.9", Reason: "old", Since: d.Roll.StepEnteredAt}}
		}),
		{"a ZSK, evidence plain", "zsk/pre-publish", "256 256-", 1, time.Hour, func(_ *Dossier, p *Policy) { p.Evidence = EvidencePlain }},
		{"a ZSK, evidence resolver", "zsk/pre-publish", "256 256-", 1, time.Hour, func(_ *Dossier, p *Policy) { p.Evidence = EvidenceResolver }},
		{"an accepted signing", "sign/ds-last", "257", 0, time.Hour, func(d *Dossier, _ *Policy) { d.Roll.Accepted = []string{"a."} }},
		{"one that is done", "sign/ds-last", "257", 0, time.Hour, both(state(StateDone), func(d *Dossier, _ *Policy) { d.Roll.Accepted = []string{"a."} })},
		{"a key that is not known yet", "zsk/pre-publish", "256 256-", 1, time.Hour, func(d *Dossier, _ *Policy) { d.Roll.New[0].PublicKey = "" }},
		{"another version's", "ksk/double-ds", "257 257-", 1, 3 * day, both(servers, need(Need{Actor: ActorServers, Lagging: lag(ns1, "has no DNSKEY 5")}), func(d *Dossier, _ *Policy) { d.Roll.Kind = "ksk/magic" })},
		{"another version's step", "ksk/double-ds", "257 257-", 1, 3 * day, both(servers, need(Need{Actor: ActorServers, Lagging: lag(ns1, "has no DNSKEY 5")}), func(d *Dossier, _ *Policy) { d.Roll.Step = "magic" })},
	}
}

// What status, check and notifications say of each, word for word: of the status what
// is not as in the first.
func TestWhatIsTold(t *testing.T) {
	var out strings.Builder
	entered := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var first map[string]json.RawMessage
	for _, c := range tellings() {
		r, kind := amid(c.kind, c.words, c.old)
		now, p := entered.Add(c.after), DefaultPolicy()
		r.ID, r.Step, r.Phase = "example.com.test", kind.Steps[0].Name, PhaseSpreading
		r.StartedAt, r.StepEnteredAt, r.NextCheck, r.LastLook.Wall = entered, entered, entered.Add(time.Hour), now
		r.Steps[0].At = entered
		r.SpecNew = specsOf(r.New)
		if c.old > 0 {
			r.DSSeen = digestsOf(r.Old[0], 2)
		}
		d := Dossier{Zone: r.Zone, Roll: r, Ledger: Ledger{ZoneTTL: 3600, Minimum: 600}}
		c.change(&d, &p)
		fmt.Fprintf(&out, "%s:\n", c.what)
		s, err := Describe(d, p, now, func(Command) string { return "pdnsutil" })
		if err != nil {
			fmt.Fprintf(&out, "\tstatus fails: %v\n", err)
		} else {
			fields := fieldsOf(s)
			if first == nil {
				first = fields
				fmt.Fprintf(&out, "\t%s\n", asJSON(s))
			}
			for _, name := range slices.Sorted(maps.Keys(fields)) {
				if string(fields[name]) != string(first[name]) && name != "plan" {
					fmt.Fprintf(&out, "\t%s: %s\n", name, fields[name])
				}
			}
			fmt.Fprintf(&out, "\tdates: %v\n", datesOf(s.Plan))
			if s.Failing != nil {
				fmt.Fprintf(&out, "\t%s\n", s.Failing.Sentence())
			}
			for _, n := range Conditions(d, s, 48*time.Hour, now) {
				fmt.Fprintf(&out, "\tis told: %s at %s: %s => %q, add %d, remove %d, keep %d\n", n.ID, n.At.Format(time.RFC3339), n.Text, n.Command, len(n.Add), len(n.Remove), len(n.Keep))
			}
		}
		look := Sighting{Zone: r.Zone, Alone: true}
		well := Health(look, p, DefaultLimits())
		check := Check(d, look, p, DefaultLimits(), now)
		if check.Rollover != nil {
			fmt.Fprintf(&out, "\tcheck: %s %s at %q, needs you %v, waits for %q\n", check.Rollover.Type, check.Rollover.State, check.Rollover.Step, check.Rollover.NeedsOperator, check.Rollover.WaitingFor)
		}
		for _, f := range check.Findings {
			if !slices.Contains(well, f) {
				fmt.Fprintf(&out, "\t%s %s: %v\n", f.Severity, f.Code, f)
			}
		}
	}
	Golden(t, "told.txt", out.String())
}

func datesOf(plan []PlanStep) (dates []string) {
	for _, step := range plan {
		date := "none"
		if step.Earliest != nil {
			date = step.Earliest.Format(time.RFC3339)
		}
		dates = append(dates, date)
	}
	return dates
}

func fieldsOf(s Status) map[string]json.RawMessage {
	var out map[string]json.RawMessage
	if err := json.Unmarshal([]byte(asJSON(s)), &out); err != nil {
		panic(err) // it was made here
	}
	return out
}

func asJSON(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return string(out)
}

// What a plan makes happen is no finding while it is fresh.
func TestWhatARolloverExpects(t *testing.T) {
	l := DefaultLimits()
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		code   string
		change func(*Roll)
		after  time.Duration
		want   bool
	}{
		{FindingSerial, nil, l.Stuck - 1, true}, {FindingSerial, nil, l.Stuck, false},
		{FindingKeysDiffer, nil, l.Stuck - 1, true}, {FindingKeysDiffer, nil, l.Stuck, false},
		{FindingDSDiffers, nil, 0, false}, {FindingDSDiffers, func(r *Roll) { r.Ask = &Ask{} }, 0, true},
		{FindingAlgorithm, nil, 0, false}, {FindingAlgorithm, func(r *Roll) { r.New[0].Algorithm = 15 }, 0, true}, {FindingAlgorithm, func(r *Roll) { r.New, r.SpecNew = nil, []Key{{Algorithm: 15}} }, 0, true},
		{FindingNoDS, nil, 0, false}, {FindingNoDS, func(r *Roll) { r.Type = "sign" }, 0, true}, {FindingUnsigned, func(r *Roll) { r.Type = "unsign" }, 0, true}, {FindingNoAD, func(r *Roll) { r.Type = "sign" }, 0, true},
		{FindingChain, func(r *Roll) { r.Type = "sign" }, 0, false},
	} {
		r, _ := amid("ksk/double-ds", "257 257-", 1)
		r.StepEnteredAt = at
		if c.change != nil {
			c.change(r)
		}
		if got := r.expects(Finding{Code: c.code}, l, at.Add(c.after)); got != c.want {
			t.Errorf("%s after %s of %s: %v", c.code, c.after, r.Type, got)
		}
	}
}

// A plan of a rollover whose keys are not made yet has NEW where their number will be;
// what is done has a date and no commands, and the largest TTL is what is held for.
func TestPlanBeforeTheKeysAreMade(t *testing.T) {
	r, _ := amid("csk/convert-double-ds", "257 257- 256-", 1)
	r.Old[0].Role = CSK
	r.SpecNew, r.New, r.Step, r.Steps, r.Keys = specsOf(r.New), nil, "", nil, r.Keys[:1]
	explain := func(c Command) string { return fmt.Sprintf("%s %s %d", c.Verb, r.Zone, c.Key.ID) }
	var out strings.Builder
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, state := range []State{StateActive, StateCancelled} {
		for _, step := range []string{"", "submit"} {
			r.State, r.Step, r.StartedAt = state, step, now
			r.Steps = nil
			if step != "" {
				r.Steps = []StepRecord{{"publish", now}, {"submit", now.Add(time.Minute)}}
			}
			plan, err := Plan(*r, Ledger{ZoneTTL: 7200, Minimum: 600}, DefaultPolicy(), now, explain)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s after %q:\n", state, step)
			for _, one := range plan {
				fmt.Fprintf(&out, "\t%s\n", asJSON(one))
			}
		}
	}
	Golden(t, "plan.txt", out.String())
}
