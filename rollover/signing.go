package rollover

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// What a first signing takes away: told and refused before it begins, and looked
// for after its first step, before the DS is asked for.

// surroundings is what PowerDNS has in the zone and beside it; nothing, if this
// signer does not tell.
func (v *visit) surroundings(ctx context.Context) (Surroundings, error) {
	surveyor, ok := v.engine.Signer.(Surveyor)
	if !ok {
		return Surroundings{}, nil
	}
	s, err := surveyor.Surroundings(ctx, v.dossier.Zone)
	if err != nil {
		return s, fmt.Errorf("reading what PowerDNS has in %s and below it: %w", v.dossier.Zone, err)
	}
	return s, nil
}

// samples are the questions as the eyes are asked.
func samplesOf(asked []Asked) []Sample {
	out := make([]Sample, len(asked))
	for i, a := range asked {
		out[i] = a.Sample
	}
	return out
}

// prospect is what is looked at before a first signing; nothing for all others.
type prospect struct {
	around Surroundings
	asked  []Asked
}

func (v *visit) prospect(ctx context.Context) (prospect, error) {
	if v.roll.Type != "sign" || v.order.Type != "sign" {
		return prospect{}, nil
	}
	around, err := v.surroundings(ctx)
	if around.Zone == "" {
		return prospect{}, err
	}
	return prospect{around, around.questions()}, err
}

// foresee refuses a first signing that would change answers, unless the operator
// has accepted that by name; and remembers the answers as they are.
func (v *visit) foresee(sign prospect, s Sighting) error {
	r := v.roll
	if sign.around.Zone == "" {
		return nil
	}
	accepted, err := parseAllAccepted(v.order.Accept)
	if err != nil {
		return err
	}
	if err := sign.around.announces(r.Zone); err != nil {
		return err
	}
	changes := sign.around.changes(transferred(v.inventory.Kind), s)
	if left := unaccepted(changes, accepted); len(left) > 0 {
		return fmt.Errorf("%w: signing %s would change what it answers:%s\nmend that first, or accept it by name: %s", ErrRefused, r.Zone, listed(left), acceptWords(left))
	}
	r.Accepted, r.Before = accepted, baseline(sign.asked, s)
	for _, c := range changes {
		if c.Type == changeWildcard {
			r.Emptied = append(r.Emptied, c.Name)
		}
	}
	r.Emptied = r.Emptied[:min(len(r.Emptied), maxTold)]
	return nil
}

// listed is changes on a line each.
func listed(changes []change) string {
	out := ""
	for _, c := range changes[:min(len(changes), maxTold)] {
		out += "\n  " + c.String()
	}
	if more := len(changes) - maxTold; more > 0 {
		out += fmt.Sprintf("\n  and %d more", more)
	}
	return out
}

func acceptWords(changes []change) string {
	var words []string
	for _, c := range changes[:min(len(changes), maxTold)] {
		words = append(words, "--accept "+c.word())
	}
	return strings.Join(words, " ")
}

// announces refuses a first signing where the server would serve CDS records at
// once: the parent may take a first DS from them before caches are ready for it.
func (s Surroundings) announces(zone string) error {
	for _, setting := range []string{"default-publish-cds", "default-publish-cdnskey"} {
		if value := s.Settings[setting]; value != "" && value != "no" && (setting == "default-publish-cds" || value != "0") {
			return fmt.Errorf("%w: the PowerDNS that serves %s runs with %s=%s, so the parent may take a first DS from the zone before caches are ready for it: take that out of pdns.conf, restart pdns_server, and set it for zones by `pdnsutil set-publish-cds ZONE`", ErrRefused, zone, setting, value)
		}
	}
	return nil
}

// accept adds to what an operator has given up by name for a first signing that
// runs; nil if none runs, or nothing is given up.
func (e *Engine) accept(o Order) (*visit, error) {
	if o.Type != "sign" || len(o.Accept) == 0 {
		return nil, nil
	}
	d, err := e.Journal.Load(o.Zone)
	if err != nil {
		return nil, fmt.Errorf("loading the state of %s: %w", o.Zone, err)
	}
	if d.Roll == nil || d.Roll.State.Ended() || d.Roll.Kind != "sign/ds-last" {
		return nil, nil
	}
	accepted, err := parseAllAccepted(o.Accept)
	if err != nil {
		return nil, err
	}
	v := e.visit(d)
	v.roll.Accepted, err = parseAllAccepted(slices.Concat(v.roll.Accepted, accepted))
	v.event(EventAccepted, v.roll.Step, "accepted: "+strings.Join(accepted, ", "))
	v.events[len(v.events)-1].By = e.By
	return v, err
}

// compares says whether the answers must be compared before a step: it asks for
// the first DS of a zone whose answers from before are known.
func (r *Roll) compares(s Step) bool {
	return r.Before != nil && slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb == askParent && a.Adds })
}

// compared is a verdict after the answers were compared with those from before
// the signing: what differs holds the DS back. It is looked at before the DS is
// asked for, and as soon as every server shows the first step, so that nobody
// has to wait for caches to be told.
func (v *visit) compared(ctx context.Context, kind Kind, verdict Verdict) Verdict {
	at, err := kind.index(v.roll.Step)
	if err != nil || at < 0 || at+1 >= len(kind.Steps) || !v.roll.compares(kind.Steps[at+1]) || v.err != nil {
		return verdict
	}
	waits := verdict.Need != nil && len(verdict.Need.Lagging) == 0 && !v.roll.Compared
	if verdict.Enter == nil && !waits {
		return verdict
	}
	findings, err := v.compareAnswers(ctx)
	if err != nil {
		v.fail(err)
		return verdict
	}
	v.roll.Compared = len(findings) == 0
	if len(findings) == 0 {
		return verdict
	}
	need := &Need{Next: kind.Steps[at+1].Name, Waits: []string{}, Findings: fewer(findings), Actor: ActorYou, Records: []Record{RecordDNSKEY, RecordData, RecordDS}}
	return Verdict{Need: need}
}

// compareAnswers asks every server what it was asked before the signing.
func (v *visit) compareAnswers(ctx context.Context) ([]Finding, error) {
	around, err := v.surroundings(ctx)
	if err != nil {
		return nil, err
	}
	asked := around.questions()
	q := v.question(RecordDNSKEY)
	q.Answers, q.Thorough = samplesOf(asked), true
	s, err := v.engine.Observer.Look(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("comparing the answers of %s with those from before: %w", v.dossier.Zone, err)
	}
	v.roll.Announced = s.announced()
	var out []Finding
	for _, c := range unaccepted(around.computed(), v.roll.Accepted) {
		out = append(out, Finding{Code: FindingAnswers, Severity: SeverityCritical, Text: c.String(), Remedy: fmt.Sprintf("mend it, or accept it: rollover sign --zone %s --accept %s", v.dossier.Zone, c.word())})
	}
	return append(out, v.roll.Before.differences(v.dossier.Zone, asked, s, v.roll.Accepted)...), nil
}

// computed are the changes that no comparison of answers can find: what differs
// from one moment to the next, and zones below.
func (s Surroundings) computed() []change { return s.changes(false, Sighting{}) }

// announced is what a name server says to the parent by CDS records.
func (s Sighting) announced() string {
	for _, o := range s.relevant(RecordDNSKEY) {
		if len(o.Announces) > 0 {
			return fmt.Sprintf("%s serves %s", o.Server, o.Announces[0])
		}
	}
	return ""
}

// acceptedText is what was given up, for history and status.
func (r *Roll) acceptedText() string {
	if len(r.Accepted) == 0 {
		return ""
	}
	return "accepted: " + strings.Join(r.Accepted, ", ")
}

// leaves is what taking a first signing back does not bring back: rectify-zone
// adds names and never takes any out (pdnsutil 4.7), keys or not.
func (r *Roll) leaves() string {
	if r.Type != "sign" || len(r.Emptied) == 0 || !r.entered("sign") && r.Intent == nil {
		return ""
	}
	return fmt.Sprintf("what rectify-zone has added stays: %s (and names below) are not answered from a wildcard any more; to undo that too, when it is cancelled: pdnsutil list-zone %s >FILE && pdnsutil load-zone %s FILE && pdnsutil increase-serial %s (disabled records are not listed, and would be lost)",
		strings.Join(r.Emptied, ", "), bare(r.Zone), bare(r.Zone), bare(r.Zone))
}
