package rollover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is a rollover as told to a person or a script: what is true, what it
// waits for and since when, who must act, not before when, and the command to
// type. Its JSON is schema 1: fields are added, never renamed.
type Status struct {
	ID               string          `json:"id"`
	Zone             string          `json:"zone"`
	Type             string          `json:"type"`
	Method           string          `json:"method"`
	Kind             string          `json:"kind"`
	Urgent           bool            `json:"urgent"`
	State            State           `json:"state"`
	Step             string          `json:"step"`
	Phase            Phase           `json:"phase"`
	StartedAt        time.Time       `json:"started_at"`
	StepEnteredAt    time.Time       `json:"step_entered_at"`
	EndedAt          *time.Time      `json:"ended_at"`
	SeenEverywhereAt *time.Time      `json:"seen_everywhere_at"`
	NotBefore        *time.Time      `json:"not_before"`
	NextCheckAt      *time.Time      `json:"next_check_at"`
	LastLookAt       *time.Time      `json:"last_look_at"`
	WaitingFor       string          `json:"waiting_for"`
	Actor            Actor           `json:"actor"`
	Remaining        int64           `json:"remaining_seconds"`
	NextStep         string          `json:"next_step"`
	Command          string          `json:"command"` // the command to type, when somebody must
	Blocked          *Block          `json:"blocked"`
	Trouble          *Trouble        `json:"trouble"`
	Failing          *StatusFailing  `json:"failing"` // what comes first when it is so
	OperatorAction   *OperatorAction `json:"operator_action"`
	Submission       *Submission     `json:"submission"` // what a driver said to that
	OldKeys          []StatusKey     `json:"old_keys"`
	NewKeys          []StatusKey     `json:"new_keys"`
	Servers          []ServerState   `json:"servers"`
	Excluded         []Excluded      `json:"excluded"`
	Plan             []PlanStep      `json:"plan"`
	Warnings         []string        `json:"warnings"`
	Accepted         []string        `json:"accepted"` // what a first signing may change
}

// OperatorAction is what the operator must do at the parent.
type OperatorAction struct {
	Action string    `json:"action"` // add-ds, remove-ds or replace-ds
	Add    []string  `json:"add"`
	Remove []string  `json:"remove"`
	Keep   []string  `json:"keep"` // what must stay
	Since  time.Time `json:"since"`
}

// StatusKey is a key as status shows it, with its DNSKEY record data.
type StatusKey struct {
	Key
	Record string `json:"dnskey"` // empty while the public key of a ZSK is unknown
}

// Describe tells the rollover of a dossier. The dossier must have one.
func Describe(d Dossier, p Policy, now time.Time, explain func(Command) string) (Status, error) {
	r := d.Roll
	p = p.of(r)
	plan, err := Plan(*r, d.Ledger, p, now, explain)
	if err != nil {
		return Status{}, fmt.Errorf("describing the rollover of %s: %w", d.Zone, err)
	}
	s := Status{
		ID: r.ID, Zone: r.Zone, Type: r.Type, Method: r.Method, Kind: r.Kind, Urgent: r.Urgent, State: r.State, Step: r.Step, Phase: r.Phase,
		StartedAt: r.StartedAt, StepEnteredAt: r.StepEnteredAt, EndedAt: date(r.EndedAt), LastLookAt: date(r.LastLook.Wall),
		Blocked: r.Block, Trouble: r.Trouble, OldKeys: statusKeys(r.Old), NewKeys: statusKeys(r.New),
		Servers: list(r.Servers), Excluded: list(d.Excluded), Plan: plan, Accepted: list(r.Accepted), Warnings: list(slices.Concat(d.misfitting(), d.lengthy(), r.disagreement(), r.unattended(p, now), r.warnings(p))),
	}
	if r.State == StateActive {
		s.NextCheckAt = date(r.NextCheck)
	}
	s.OperatorAction = r.operatorAction(p)
	s.Submission = r.submission(p)
	s.waiting(r, p, now)
	s.failing(r)
	s.undated(r)
	return s, nil
}

func date(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// list is never null in JSON.
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

func statusKeys(keys []Key) []StatusKey {
	out := []StatusKey{}
	for _, k := range keys {
		record := ""
		if k.PublicKey != "" {
			record = k.DNSKEY().String()
		}
		out = append(out, StatusKey{k, record})
	}
	return out
}

// operatorAction is what must be done at the parent, nil while nothing must.
func (r *Roll) operatorAction(p Policy) *OperatorAction {
	if r.Ask == nil || r.State.Ended() {
		return nil
	}
	add, del := r.parentTodo(p)
	out := &OperatorAction{Add: records(add), Remove: records(del), Keep: records(r.Parent(p).Keep), Since: r.Ask.Since}
	switch {
	case len(add) > 0 && len(del) > 0:
		out.Action = "replace-ds"
	case len(add) > 0:
		out.Action = "add-ds"
	case len(del) > 0:
		out.Action = "remove-ds"
	default:
		return nil
	}
	return out
}

func records(set []DS) []string {
	out := []string{}
	for _, d := range set {
		out = append(out, d.String())
	}
	return out
}

// waiting fills in the sentence, the dates and the command.
func (s *Status) waiting(r *Roll, p Policy, now time.Time) {
	switch {
	case r.State == StateBlocked:
		s.WaitingFor, s.Actor = "you: "+r.Block.Reason, ActorYou
		s.Command = r.Block.Remedy
		return
	case r.State == StatePaused:
		s.WaitingFor, s.Actor = "you: it is paused", ActorYou
		s.Command = "rollover resume --zone " + r.Zone
		return
	case r.State.Ended():
		s.WaitingFor = "nothing: it is " + string(r.State)
		return
	case r.Intent != nil && r.Need == nil:
		s.WaitingFor = fmt.Sprintf("the next advance: step %q is under way (%s)", r.Intent.Step, intentText(r.Intent))
		s.NextStep, s.Command = r.Intent.Step, "rollover advance --zone "+r.Zone
		return
	case r.Need == nil:
		s.WaitingFor, s.Command = "the next advance", "rollover advance --zone "+r.Zone
		return
	}
	s.need(r, r.driven(*r.Need, p), p, now)
	s.told(r, p)
}

func intentText(i *Intent) string {
	if i.Applied {
		return "the keys are changed, the servers are not told yet"
	}
	return "it may have been begun; the key list will tell"
}

func (s *Status) need(r *Roll, n Need, p Policy, now time.Time) {
	s.NextStep, s.Actor, s.Remaining = n.Next, n.Actor, int64((n.Remaining+time.Second-1)/time.Second)
	switch {
	case n.Remaining > 0 && len(n.Lagging) > 0:
		s.NotBefore = date(now.Add(n.Remaining)) // if who must act acts now
	case n.Remaining > 0:
		s.NotBefore = date(now.Add(max(0, n.Remaining-min(now.Sub(r.LastLook.Wall), p.MaxGap))))
	}
	if len(n.Lagging) == 0 && len(n.Findings) == 0 {
		s.SeenEverywhereAt = date(r.seenSince(n))
	}
	s.WaitingFor = n.sentence()
	s.Command = n.command(r, s.OperatorAction)
}

// seenSince is since when the statements awaited have been seen on all servers.
func (r *Roll) seenSince(n Need) time.Time {
	var out time.Time
	for statement, servers := range r.Held {
		if !slices.ContainsFunc(n.Waits, func(w string) bool { return strings.Contains(w, "("+statement+")") }) {
			continue
		}
		for _, h := range servers {
			if h.Since.After(out) {
				out = h.Since
			}
		}
	}
	return out
}

// sentence is the need in words.
func (n Need) sentence() string {
	if len(n.Findings) > 0 {
		return n.stopped()
	}
	what := strings.Join(n.Waits, " and ")
	if len(n.Lagging) == 0 {
		return fmt.Sprintf("caches, before step %q: %s; every server shows it, and it must be held for %s more", n.Next, what, n.Remaining.Round(time.Second))
	}
	prefix := ""
	if n.Gone {
		prefix = "what an earlier step relied on is not there: "
	}
	lags := make([]string, len(n.Lagging))
	for i, lag := range n.Lagging {
		lags[i] = lag.String() + " " + lag.Detail
		if lag.place() == "" {
			lags[i] = lag.Detail
		}
	}
	return fmt.Sprintf("%s, before step %q: %s%s: %s", n.Actor, n.Next, prefix, what, strings.Join(lags, "; "))
}

// command is what to type, or to do at the registrar.
func (n Need) command(r *Roll, action *OperatorAction) string {
	if len(n.Findings) > 0 {
		return cmp.Or(n.Findings[0].Remedy, "rollover check "+r.Zone) + "; rollover goes on by itself when it is mended"
	}
	switch n.Actor {
	case ActorYou:
		if r.Undelegated != "" {
			return r.Undelegated + "; then, at the registrar, what `rollover ds --zone " + r.Zone + "` says"
		}
		if action == nil {
			return fmt.Sprintf("look at the parent: rollover ds --zone %s", r.Zone)
		}
		return fmt.Sprintf("at the registrar: %s (rollover ds --zone %s)", action.sentence(), r.Zone)
	case ActorParent:
		if slices.ContainsFunc(n.Lagging, func(l Lag) bool { return strings.Contains(l.Detail, otherResolver) }) {
			return otherResolver
		}
		return "nothing to type: the parent's servers must agree" + n.exclusion(r)
	case ActorServers:
		return n.spreading(r)
	}
	return "nothing: rollover advance from cron goes on by itself"
}

func (a OperatorAction) sentence() string {
	var parts []string
	if len(a.Add) > 0 {
		parts = append(parts, "add DS "+strings.Join(a.Add, " and DS "))
	}
	if len(a.Remove) > 0 {
		parts = append(parts, "remove DS "+strings.Join(a.Remove, " and DS "))
	}
	if len(a.Keep) > 0 {
		parts = append(parts, "keep DS "+strings.Join(a.Keep, " and DS "))
	}
	return strings.Join(parts, ", and ")
}

// packetCaches is how long a name server may serve an old answer to one client
// while it serves the new one to us (cache-ttl + dnssec-key-cache-ttl).
const packetCaches = 50 * time.Second

// warnings are things that are no reason to stop and yet must be known.
func (r *Roll) warnings(p Policy) []string {
	var out []string
	if p.Evidence == EvidenceResolver && r.usesParent() {
		out = append(out, "evidence is \"resolver\": answers of the parent are believed when the validators confirm them, and those are believed as the network delivers them")
	}
	if p.Evidence == EvidencePlain && r.usesParent() {
		out = append(out, "evidence is \"plain\": answers of the parent are believed unproven; whoever can forge them can make a step come too early")
	}
	switch {
	case r.Ask == nil:
	case r.State == StateBlocked:
		out = append(out, "do not change the DS set at the parent now: the keys are not as they were when that was asked for")
	case r.unsettled():
		out = append(out, "do not remove any DS at the parent now: the zone is not as it was when that was asked for")
	}
	if p.Margin < packetCaches {
		out = append(out, fmt.Sprintf("margin is %s: name servers may serve an old answer from their packet caches for longer than that (PowerDNS for 20 s, unpurged for 50 s)", p.Margin))
	}
	if text := r.Absence.sentence(p); text != "" {
		out = append(out, text)
	} else if r.LastGap > p.MaxGap {
		out = append(out, fmt.Sprintf("the last two looks were %s apart, of which only max_gap (%s) counts: run `rollover advance` more often", r.LastGap.Round(time.Second), p.MaxGap))
	}
	if text := r.acceptedText(); text != "" && !r.State.Ended() {
		out = append(out, "what signing changes is "+text)
	}
	if r.Announced != "" && r.Ask != nil && !p.CDS {
		out = append(out, r.Announced+": a parent that follows CDS records may put in the DS by itself")
	}
	for _, s := range r.Strangers {
		out = append(out, s.Name+" is not asked: "+s.By+" names it as a name server, which the delegation does not, in an NS set that no key of the zone has signed")
	}
	if r.LastLook.Unsynchronised {
		out = append(out, "the clock of this machine is not synchronised (adjtimex): signatures may be judged wrongly")
	}
	if unmade := r.early(); unmade != "" {
		out = append(out, unmade)
	}
	return out
}

// unattended warns that nobody runs advance.
func (r *Roll) unattended(p Policy, now time.Time) []string {
	silent := now.Sub(r.LastLook.Wall)
	if r.State == StateActive && silent < -time.Minute {
		return []string{fmt.Sprintf("the last look was by a clock that was ahead (%s): `rollover advance` makes another one", r.LastLook.Wall.UTC().Format(time.RFC3339))}
	}
	if r.State != StateActive || silent <= max(p.MaxGap, 2*p.CheckInterval) {
		return nil
	}
	return []string{fmt.Sprintf("nobody has looked for %s: is `rollover advance` in cron, and does it run? time that passes unwatched does not count", silent.Round(time.Second))}
}

func (r *Roll) usesParent() bool {
	return slices.ContainsFunc(slices.Concat(r.Old, r.SpecNew), func(k Key) bool { return k.Role.SignsKeys() })
}

// early warns an operator who might take the old DS away too soon.
func (r *Roll) early() string {
	if r.Ask == nil || r.State.Ended() || !slices.Contains(r.Ask.Sides, Old) || len(r.Ask.Sides) < 2 {
		return ""
	}
	old, ok := entryPoint(r.Old)
	if !ok {
		return ""
	}
	return fmt.Sprintf("do not remove DS %d yet: it must stay until rollover asks for that", old.Tag)
}
