package rollover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Terms is what the configuration said when a rollover was started. What start
// asked for was asked with that: a rollover goes on with the more careful of
// what it was started with and what the configuration says now, and takes over
// what is less careful, or another way to ask the parent, only when somebody
// says so by name (AcceptPolicy).
type Terms struct {
	Factor      float64       `json:"factor"`
	Margin      time.Duration `json:"margin"`
	MaxGap      time.Duration `json:"max_gap"`
	Evidence    Evidence      `json:"evidence"`
	DSDigests   []int         `json:"ds_digests"`
	CDS         bool          `json:"cds,omitempty"`
	Driver      string        `json:"driver"`
	ServersOnly bool          `json:"servers_only,omitempty"`
	Exclude     []string      `json:"exclude,omitempty"`
}

// Names of events about the configuration of a running rollover.
const (
	EventPolicyDiffers  = "policy-differs"  // the configuration says what the rollover does not take over by itself
	EventPolicyAccepted = "policy-accepted" // the operator had it taken over
)

// terms is what a setting says.
func (s Setting) terms() *Terms {
	p := s.Policy
	t := &Terms{
		Factor: p.Factor, Margin: p.Margin, MaxGap: p.MaxGap, Evidence: p.Evidence, CDS: p.CDS,
		Driver: s.Driver, ServersOnly: s.ServersOnly, Exclude: slices.Clone(s.Exclude),
	}
	for _, d := range p.DSDigests {
		t.DSDigests = append(t.DSDigests, int(d))
	}
	return t
}

// terms is what a running rollover was started with; nil for one that does not
// know, which goes by the configuration of now.
func (r *Roll) terms() *Terms {
	if r == nil || r.State.Ended() {
		return nil
	}
	return r.Terms
}

// proof orders levels of evidence, the weakest first.
func (e Evidence) proof() int {
	return slices.Index([]Evidence{EvidencePlain, EvidenceResolver, EvidenceValidated}, e)
}

// bind is a policy with the terms of a rollover: the more careful of both.
func (t *Terms) bind(p Policy) Policy {
	p.Factor, p.Margin, p.MaxGap = max(p.Factor, t.Factor), max(p.Margin, t.Margin), min(p.MaxGap, t.MaxGap)
	if p.Evidence.proof() >= 0 && t.Evidence.proof() > p.Evidence.proof() {
		p.Evidence = t.Evidence
	}
	p.CDS, p.DSDigests = t.CDS, nil
	for _, d := range t.DSDigests {
		p.DSDigests = append(p.DSDigests, uint8(d))
	}
	return p
}

// For is the policy as it holds for a rollover, with what that was started with.
func (p Policy) For(r *Roll) Policy { return p.of(r) }

// of is the setting as it holds for a rollover.
func (s Setting) of(r *Roll) Setting {
	s.Policy = s.Policy.of(r)
	t := r.terms()
	if t == nil {
		return s
	}
	s.ServersOnly = s.ServersOnly && t.ServersOnly
	s.Exclude = slices.DeleteFunc(slices.Clone(s.Exclude), func(x string) bool { return !slices.Contains(t.Exclude, x) })
	if t.Driver != s.Driver {
		s.Registrar, s.Driver = nil, t.Driver
		if s.Drivers != nil {
			s.Registrar = s.Drivers(t.Driver)
		}
	}
	return s
}

// differs is where the configuration says what a rollover does not take over by
// itself, in words.
func (t *Terms) differs(s Setting, urgent bool) []string {
	var out []string
	say := func(name string, now, then any) {
		out = append(out, fmt.Sprintf("the configuration says %s = %v, and this rollover goes on with %v, as it was started", name, now, then))
	}
	p := s.Policy
	if p.Factor < t.Factor && !urgent {
		say("factor", p.Factor, t.Factor)
	}
	if p.Margin < t.Margin && !urgent {
		say("margin", p.Margin, t.Margin)
	}
	if p.MaxGap > t.MaxGap {
		say("max_gap", p.MaxGap, t.MaxGap)
	}
	if p.Evidence.proof() < t.Evidence.proof() {
		say("evidence", p.Evidence, t.Evidence)
	}
	if now := s.terms(); !sameSet(now.DSDigests, t.DSDigests) {
		say("ds_digests", now.DSDigests, t.DSDigests)
	}
	if s.Driver != t.Driver {
		say("driver", s.Driver, t.Driver)
	}
	if s.ServersOnly && !t.ServersOnly {
		say("servers_only", true, false)
	}
	for _, x := range s.Exclude {
		if !slices.Contains(t.Exclude, x) {
			out = append(out, fmt.Sprintf("the configuration excludes %s, and this rollover asks it on, as it was started", x))
		}
	}
	return out
}

// accepting is the command that takes over what the configuration says.
func (r *Roll) accepting() string {
	return fmt.Sprintf("to take over what the configuration says: rollover resume --zone %s --accept-policy --reason WHY", r.Zone)
}

// compare notes where the configuration differs from what the rollover goes on
// with, and tells it when that changes.
func (v *visit) compare() {
	var differs []string
	if t := v.roll.terms(); t != nil {
		differs = t.differs(v.engine.Setting(v.dossier.Zone), v.roll.Urgent)
	}
	if slices.Equal(differs, v.roll.Differs) {
		return
	}
	v.roll.Differs, v.dirty = differs, true
	if len(differs) > 0 {
		v.event(EventPolicyDiffers, v.roll.Step, strings.Join(differs, "; ")+"; "+v.roll.accepting())
	}
}

// disagreement is what compare noted, for status.
func (r *Roll) disagreement() []string {
	if len(r.Differs) == 0 || r.State.Ended() {
		return nil
	}
	return append(slices.Clone(r.Differs), r.accepting())
}

// proven forgets how long the parent has shown anything when better proof is
// asked for than before: what was earned was earned without.
func (v *visit) proven(kind Kind) {
	now := v.setting.Policy.Evidence
	if was := v.dossier.Proof; was != "" && now.proof() > was.proof() {
		v.roll.forgetParent(kind)
	}
	v.dossier.Proof = now
}

// forgetParent has everything that is awaited of the parent earned anew.
func (r *Roll) forgetParent(kind Kind) {
	held := map[string]map[string]Holding{}
	for name, servers := range r.Held {
		held[name] = servers
	}
	for _, st := range kind.statements() {
		if st.Record == RecordDS {
			delete(held, st.String())
		}
	}
	r.Held = held
}

// AcceptPolicy has a running rollover go on with what the configuration says
// now, though it is less careful than what it was started with, or asks the
// parent in another way. What start asks of that is asked again, of the keys and
// servers as they are. It resumes nothing.
func (e *Engine) AcceptPolicy(ctx context.Context, zone, reason string) error {
	return e.order(zone, func(v *visit) error {
		r := v.roll
		fresh := e.Setting(zone)
		t := r.terms()
		switch {
		case r.State.Ended():
			return fmt.Errorf("%w: the rollover of %s is %s: the next one goes by the configuration", ErrRefused, zone, r.State)
		case t == nil:
			return fmt.Errorf("%w: the rollover of %s does not know what it was started with, and goes by the configuration already", ErrRefused, zone)
		}
		differs := t.differs(fresh, r.Urgent)
		if len(differs) == 0 {
			return fmt.Errorf("%w: the rollover of %s goes by the configuration already: there is nothing to take over", ErrRefused, zone)
		}
		if err := v.acceptable(ctx, fresh); err != nil {
			return err
		}
		r.Terms, r.Differs, r.NextCheck = fresh.terms(), nil, e.Now().Wall
		if t.anew(r.Terms) {
			r.Held, r.Submission = map[string]map[string]Holding{}, nil
		}
		v.orderEvent(EventPolicyAccepted, "goes by the configuration from now on: "+strings.Join(differs, "; "), reason)
		return nil
	})
}

// anew says whether what was earned was earned under other terms.
func (t *Terms) anew(now *Terms) bool {
	return t.Evidence != now.Evidence || t.Driver != now.Driver || t.CDS != now.CDS || t.ServersOnly != now.ServersOnly ||
		!sameSet(t.DSDigests, now.DSDigests) || !sameSet(t.Exclude, now.Exclude)
}

// acceptable asks of another setting what start asks of it.
func (v *visit) acceptable(ctx context.Context, fresh Setting) error {
	kind, err := v.kind()
	if err != nil {
		return err
	}
	inv, err := v.engine.Signer.Inventory(ctx, v.dossier.Zone)
	if err != nil {
		return err
	}
	if err := fresh.Policy.drives(kind); err != nil {
		return err
	}
	if err := fresh.Policy.fitsCDS(inv, kind); err != nil {
		return err
	}
	roll := *v.roll
	roll.Terms = fresh.terms()
	d := v.dossier
	d.Roll = &roll
	next := v.engine.visit(d)
	s, err := v.engine.Observer.Look(ctx, next.thorough())
	if err != nil {
		return fmt.Errorf("looking at the name servers of %s: %w", v.dossier.Zone, err)
	}
	return next.stillSound(kind, s)
}

// stillSound is what start asks of servers, digests and other signers, in the
// middle of a rollover.
func (v *visit) stillSound(kind Kind, s Sighting) error {
	r, zone := v.roll, v.dossier.Zone
	for _, o := range s.Servers {
		if o.Unchecked == "" && o.Unknown != "" {
			return fmt.Errorf("%w: %s server %s of %s: %s: what it shows is needed to tell whether the configuration fits: %s",
				ErrUnavailable, o.Role, o.Server, zone, o.Unknown, s.mending(o, o.Unknown))
		}
		if o.DS == nil || !r.onlyOld(kind) || !r.pointsTo(Old, o.DS.Set) {
			continue
		}
		if err := r.soundDigests(o, v.setting.Policy); err != nil {
			return fmt.Errorf("%w: %s at the parent server %s: %w", ErrRefused, zone, o.Server, err)
		}
	}
	for _, m := range r.misfits(kind, s, v.setting) {
		if m.Holds {
			return fmt.Errorf("%w: %s: %v: mend that first", ErrRefused, zone, m.Finding)
		}
	}
	return nil
}
