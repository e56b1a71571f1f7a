package chain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// Goal is what a trace leads to.
type Goal struct {
	Name string // lower case, fully qualified
	Type uint16
	// Absent is a name in the zone of Name that does not exist, to see whether
	// the zone can prove that; empty: it is not asked for.
	Absent string
	// Zone is the zone that name servers were found to serve the name in; empty if
	// that is not known. The chain need not lead there.
	Zone string
}

// maxAliases is how many aliases are followed.
const maxAliases = 8

// Follow traces the chain to a name: every link, every server, and where it
// breaks. It never fails: what cannot be told is indeterminate.
func (w Walk) Follow(ctx context.Context, g Goal) Trace {
	t := Trace{Name: g.Name, Type: dns.Type(g.Type).String(), At: w.Now}
	name := g.Name
	for hop := 0; ; hop++ {
		d, alias := w.lead(ctx, name, g, hop == 0)
		t.Links = append(t.Links, d.links...)
		t.Security = d.verdict.Security
		if alias == "" || alias == name || hop == maxAliases || t.Security != rollover.Secure {
			t.conclude(d)
			return t
		}
		name = alias
	}
}

// lead follows the chain to one name; alias is where that points to, if it is one.
func (w Walk) lead(ctx context.Context, name string, g Goal, first bool) (d *descent, alias string) {
	to := name
	if g.Type == dns.TypeDS && name != "." {
		to = parentOf(name)
	}
	d = w.descend(ctx, to)
	switch {
	case d.verdict.Security == rollover.Insecure && d.verdict.Code != CodeUnknownDS:
		d.unsecured(ctx)
		return d, ""
	case d.verdict.Code == CodeNoAnchor && len(w.Anchors.Of(name)) > 0:
		d.verdict.Text = name + " is its own trust anchor, and there is none above: no DS of it is needed, and none could be proven"
		return d, ""
	case d.verdict.Security != rollover.Secure:
		return d, ""
	case g.Type == dns.TypeDNSKEY && d.zone.Name == name:
		return d, ""
	case g.Type == dns.TypeDS:
		d.parentSays(ctx, name)
		return d, ""
	}
	if first {
		if v, found := d.unled(ctx, g.Zone); found {
			d.verdict = v
			return d, ""
		}
	}
	answer, link := d.answer(ctx, LinkData, name, g.Type)
	if slices.ContainsFunc(link.Answers, func(a AnswerFact) bool { return a.Security == rollover.Bogus }) {
		if v, found := d.undelegated(ctx, name); found {
			answer.Verdict = v
		}
	}
	d.links, d.verdict = append(d.links, link), answer.Verdict
	if answer.told(name) != "" {
		d.told = name + " " + dns.Type(g.Type).String() + ": " + answer.told(name)
	}
	if answer.Security != rollover.Secure && d.doubt != nil {
		d.confirm()
	}
	if first && g.Absent != "" && dns.IsSubDomain(d.zone.Name, g.Absent) {
		_, denial := d.answer(ctx, LinkDenial, g.Absent, dns.TypeA)
		d.links = append(d.links, denial)
	}
	return d, answer.Alias
}

// confirm says that a suspicion was right: the chain breaks there.
func (d *descent) confirm() {
	d.verdict = *d.doubt
	for i := range d.links {
		if l := &d.links[i]; l.Kind == LinkDS && l.Name == d.broken {
			l.Mark = MarkBroken
		}
	}
}

// parentSays asks for a DS set as the goal. That there is none is as good an
// answer as one, if it is proven.
func (d *descent) parentSays(ctx context.Context, name string) {
	found, link := d.delegation(ctx, name)
	if found.Cut == CutUnsigned && !found.OptOut {
		found.Verdict, link.Security, link.Code = secure(), rollover.Secure, ""
		for i := range link.Answers {
			if link.Answers[i].Code == CodeUnsecured {
				link.Answers[i].Security, link.Answers[i].Code = rollover.Secure, ""
			}
		}
		link.Mark = link.mark()
	}
	if text := found.told(); text != "" {
		link.Text, d.told = text, name+" DS: "+text
	}
	d.links, d.verdict = append(d.links, link), found.Verdict
}

// unsecured looks whether a zone without DS is signed all the same: then the
// DS was never handed over, or got lost.
func (d *descent) unsecured(ctx context.Context) {
	zone := d.broken
	link := Link{Kind: LinkDNSKEY, Zone: zone, Name: zone, Type: "DNSKEY"}
	judge := func(m *dns.Msg) ([]rollover.DNSKEY, Verdict) {
		keys := selfSigned(zone, m, d.walk)
		if len(keys) == 0 {
			return nil, insecure(CodeUnsecured, "not signed")
		}
		return keys, insecure(CodeDSMissing, "signed by "+tagsOf(keys)+", and the parent has no DS")
	}
	var replies []Reply
	for _, r := range d.walk.Ask(ctx, zone, zone, dns.TypeDNSKEY) {
		if r.Message != nil {
			replies = append(replies, r)
		}
	}
	if len(replies) == 0 {
		return
	}
	keys, _ := consider(&link, replies, judge)
	for _, k := range keys {
		link.Keys = append(link.Keys, KeyFact{DNSKEY: k, Tag: k.Tag(), Signs: true})
	}
	d.links = append(d.links, link)
}

// selfSigned is the keys of a DNSKEY set that have signed it.
func selfSigned(zone string, m *dns.Msg, w Walk) []rollover.DNSKEY {
	sets, err := Sets(m.Answer)
	if err != nil {
		return nil
	}
	s, ok := Find(sets, zone, dns.TypeDNSKEY)
	if !ok || len(s.Records) > MaxKeys {
		return nil
	}
	return NewPool(zone, w.Now, KeysOf(s)...).Prove(s).Signers
}

// laggards marks servers whose serial is behind that of others (RFC 1982).
func (l *Link) laggards() {
	var newest uint32
	for _, a := range l.Answers {
		if a.Serial != 0 && (newest == 0 || int32(a.Serial-newest) > 0) {
			newest = a.Serial
		}
	}
	for i := range l.Answers {
		a := &l.Answers[i]
		if a.Serial == 0 || a.Serial == newest {
			continue
		}
		behind := fmt.Sprintf("has serial %d where others have %d", a.Serial, newest)
		a.Text, a.Code = behind, CodeLagging
		if l.Mark == MarkGood {
			l.Mark = MarkWarning
		}
	}
}

// conclude finds the first fault and says it in one sentence.
func (t *Trace) conclude(d *descent) {
	t.blame()
	i := slices.IndexFunc(t.Links, func(l Link) bool { return l.Mark == MarkBroken })
	if i < 0 {
		i = slices.IndexFunc(t.Links, func(l Link) bool { return l.Mark == MarkWarning })
	}
	switch {
	case i >= 0:
		t.accuse(t.Links[i])
	case t.Security == rollover.Insecure:
		t.Sentence = fmt.Sprintf("%s is not secured, on purpose: %s", t.Name, d.verdict.Text)
	case t.Security == rollover.Secure && d.told != "":
		t.Sentence = d.told + ", and every link from the trust anchor down verifies on every server asked"
	case t.Security == rollover.Secure:
		t.Sentence = fmt.Sprintf("%s %s is secure: every link from the trust anchor down verifies on every server asked", t.Name, t.Type)
	default:
		t.Code, t.Sentence = d.verdict.Code, d.verdict.Text
	}
	if t.Code != "" {
		t.Remedy = remedy(t.Code, *t, i)
	}
}

// accuse takes a link as the one that the sentence is about. Where only some
// servers are at fault, they are named.
func (t *Trace) accuse(l Link) {
	t.Code = l.Code
	what := fmt.Sprintf("%s %s", l.Name, l.Type)
	if l.Kind == LinkDenial {
		what = "the denial of names in " + l.Zone
	}
	bad := l.faulty()
	if l.Mark == MarkBroken && len(bad) == len(l.Answers) || len(bad) == 0 {
		t.Sentence = fmt.Sprintf("the chain breaks at %s: %s", what, l.Text)
		if l.Mark == MarkWarning {
			t.Sentence = fmt.Sprintf("%s: %s", what, l.Text)
		}
		return
	}
	var names []string
	for _, a := range bad {
		names = append(names, fmt.Sprintf("%s %s", a.Server, a.Text))
	}
	t.Code = bad[0].Code
	t.Sentence = fmt.Sprintf("%d of %d servers are at fault with %s: %s", len(bad), len(l.Answers), what, strings.Join(names, "; "))
}

// faulty is the answers that are not as good as the link.
func (l Link) faulty() []AnswerFact {
	var out []AnswerFact
	for _, a := range l.Answers {
		broken := a.Security == rollover.Bogus || a.Security == rollover.Indeterminate
		if a.Security != l.Security || broken || a.Code == CodeLagging {
			out = append(out, a)
		}
	}
	return out
}

// blame says of a server that is at fault why: one that lags has old keys and
// signatures, and one that serves an unsigned copy has none.
func (t *Trace) blame() {
	behind := map[string]string{}
	for _, l := range t.Links {
		for _, a := range l.Answers {
			if a.Code == CodeLagging {
				behind[a.Server] = a.Text
			}
		}
	}
	for i := range t.Links {
		l := &t.Links[i]
		for j := range l.Answers {
			a := &l.Answers[j]
			if text := behind[a.Server]; text != "" && a.Code != CodeLagging && a.Security == rollover.Bogus && l.Zone == t.lowest() {
				a.Code, a.Text = CodeLagging, text+", and so its keys and signatures"
			}
			if l.Security == rollover.Secure && a.Code == CodeKeysMissing {
				a.Code, a.Text = CodeUnsigned, "serves the zone unsigned: it has no DNSKEY set"
			}
		}
	}
}

// lowest is the zone that the chain ends in.
func (t *Trace) lowest() string {
	if len(t.Links) == 0 {
		return ""
	}
	return t.Links[len(t.Links)-1].Zone
}
