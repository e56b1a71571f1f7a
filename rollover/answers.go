package rollover

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// MaxAnswers is how many questions are asked of every server of a zone before
// its first signing and after it: one for each owner name and type, and some for
// what only wildcards answer. A larger zone is compared by a sample of that many,
// spread evenly in canonical order, with what signing is known to change first.
const MaxAnswers = 5000

// maxKnown is how many of those may be of one sort that signing is known to change.
const maxKnown = 1000

// madeUp is the first label of names that nobody has, which a wildcard answers or
// nothing does.
const madeUp = "rollover-looks-here"

// AnswerClass says what kind of answer a server gave: one of the constants, or
// the name of a response code, "SERVFAIL".
type AnswerClass string

// The classes of answers.
const (
	ClassData     AnswerClass = "data"
	ClassNoData   AnswerClass = "no-data"
	ClassNoName   AnswerClass = "no-name"
	ClassReferral AnswerClass = "referral"
	ClassForeign  AnswerClass = "foreign" // another zone answered, which the server has too
)

// String is the class in words.
func (c AnswerClass) String() string {
	switch c {
	case ClassData:
		return "records"
	case ClassNoData:
		return "no such records (NODATA)"
	case ClassNoName:
		return "no such name (NXDOMAIN)"
	case ClassReferral:
		return "a referral"
	case ClassForeign:
		return "an answer of another zone"
	}
	return string(c)
}

// AnswerSighting is what one server answered to one question.
type AnswerSighting struct {
	Sample
	Class   AnswerClass
	Sum     string // of the records, whatever their order and TTL; empty without any
	Fault   string // why a validator would not believe it, by the zone's own keys; empty when it would
	Unknown string // why there is no answer; empty when there is one
}

// Asked is one question to compare, and where its answer comes from.
type Asked struct {
	Sample
	From  Stored // the RRset that answers it: itself, or that of a wildcard
	Under string // the name that rectify makes an empty non-terminal, at which, or below which, this lies
	Loose bool   // the records themselves may differ from one moment to the next
}

// key is what an answer is remembered by. It changes when somebody changes what
// is stored, so that such a change is not taken for one that signing made.
func (a Asked) key() string {
	sum := sha256.Sum256([]byte(a.Name + " " + a.Type + " " + a.From.Name + " " + a.From.Type + " " + a.From.Sum))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// Baseline is what the servers of a zone answered before it was signed: for each
// question the class and a digest of the records. Servers that said the same
// share what they said.
type Baseline struct {
	At      Instant                      `json:"at"`
	Answers map[string]string            `json:"answers"`
	Apart   map[string]map[string]string `json:"apart,omitempty"` // by server, where it said something else
}

// gist is an answer as a baseline keeps it.
func (a Asked) gist(s AnswerSighting) string {
	if a.Loose || s.Sum == "" {
		return string(s.Class)
	}
	return string(s.Class) + " " + s.Sum[:min(8, len(s.Sum))]
}

// baseline keeps what was answered. What was not answered is not in it.
func baseline(asked []Asked, s Sighting) *Baseline {
	b := &Baseline{At: s.At, Answers: map[string]string{}, Apart: map[string]map[string]string{}}
	for _, o := range s.relevant(RecordDNSKEY) {
		byName := o.answers()
		for _, a := range asked {
			got, ok := byName[a.Sample]
			if !ok || got.Unknown != "" {
				continue
			}
			key, gist := a.key(), a.gist(got)
			if was, known := b.Answers[key]; !known {
				b.Answers[key] = gist
			} else if was != gist {
				if b.Apart[o.place()] == nil {
					b.Apart[o.place()] = map[string]string{}
				}
				b.Apart[o.place()][key] = gist
			}
		}
	}
	return b
}

// was is what a server answered before; one that was not asked then is taken to
// have said what the others did.
func (b *Baseline) was(server, key string) (gist string, known bool) {
	if gist, known = b.Apart[server][key]; known {
		return gist, true
	}
	gist, known = b.Answers[key]
	return gist, known
}

func (v ServerSighting) answers() map[Sample]AnswerSighting {
	out := make(map[Sample]AnswerSighting, len(v.Answers))
	for _, a := range v.Answers {
		out[a.Sample] = a
	}
	return out
}

// questions are what to ask before a first signing and after it.
func (s Surroundings) questions() []Asked {
	var computed, under, rest []Asked
	for _, one := range s.Records {
		switch {
		case len(one.Computes) > 0:
			for _, typ := range one.Computes {
				computed = append(computed, Asked{Sample: Sample{one.Name, typ}, From: one, Loose: true})
			}
			continue
		case madeByDNSSEC(one.Type):
			continue
		}
		rest = append(rest, Asked{Sample: one.Sample, From: one, Loose: one.Type == "SOA"})
		if above, ok := strings.CutPrefix(one.Name, "*."); ok {
			rest = append(rest, Asked{Sample: Sample{madeUp + "." + above, one.Type}, From: one, Loose: len(one.Computes) > 0})
		}
	}
	rest = append(rest, Asked{Sample: Sample{madeUp + "." + strings.TrimPrefix(s.Zone, "."), "A"}})
	for _, e := range s.emptied() {
		under = append(under, e.asked()...)
	}
	out := slices.Concat(spread(computed, maxKnown), spread(under, maxKnown))
	return once(append(out, spread(rest, MaxAnswers-len(out))...))
}

// once leaves out questions that are there already.
func once(asked []Asked) []Asked {
	seen := map[Sample]bool{}
	return slices.DeleteFunc(asked, func(a Asked) bool {
		was := seen[a.Sample]
		seen[a.Sample] = true
		return was
	})
}

func madeByDNSSEC(typ string) bool {
	return slices.Contains([]string{"DNSKEY", "CDS", "CDNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM"}, typ)
}

// spread is at most n of a list, evenly spread over it.
func spread[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	out := make([]T, n)
	for i := range n {
		out[i] = list[i*len(list)/n]
	}
	return out
}

// emptied is a name without records of its own that a wildcard answers for, until
// rectify-zone stores that it exists: records are below it.
type emptied struct {
	name     string
	wildcard []Stored
}

func (e emptied) asked() []Asked {
	var out []Asked
	for _, w := range e.wildcard {
		types := w.Computes
		if len(types) == 0 {
			types = []string{w.Type}
		}
		for _, typ := range types {
			out = append(out, Asked{Sample: Sample{e.name, typ}, From: w, Under: e.name, Loose: len(w.Computes) > 0})
			out = append(out, Asked{Sample: Sample{madeUp + "." + e.name, typ}, From: w, Under: e.name, Loose: len(w.Computes) > 0})
		}
	}
	return out
}

// emptied is all such names, in canonical order of the records below them.
func (s Surroundings) emptied() []emptied {
	at := map[string][]Stored{}
	for _, one := range s.Records {
		at[one.Name] = append(at[one.Name], one)
	}
	var out []emptied
	seen := map[string]bool{}
	for _, one := range s.Records {
		for name := above(one.Name); len(name) > len(s.Zone) && !seen[name]; name = above(name) {
			seen[name] = true
			if wildcard := s.wildcardFor(at, name); at[name] == nil && len(wildcard) > 0 {
				out = append(out, emptied{name, wildcard})
			}
		}
	}
	return out
}

// wildcardFor is the records that answer for a name without any: those of the
// wildcard at the closest name above that has records.
func (s Surroundings) wildcardFor(at map[string][]Stored, name string) []Stored {
	for name != s.Zone && name != "." {
		name = above(name)
		if wildcard := at["*."+strings.TrimPrefix(name, ".")]; wildcard != nil {
			return wildcard
		}
		if at[name] != nil {
			return nil
		}
	}
	return nil
}

func above(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	if rest == "" {
		return "."
	}
	return rest
}

// Words for what signing changes, by which an operator accepts it.
const (
	changeAlias    = "ALIAS"
	changeLua      = "LUA"
	changeWildcard = "WILDCARD"
	changeZone     = "ZONE"
)

// change is one thing that a first signing will make different.
type change struct {
	Name, Type string
	Why        string
}

// word is how it is accepted on the command line.
func (c change) word() string { return c.Name + "/" + c.Type }

// String is it in words.
func (c change) String() string { return c.word() + ": " + c.Why }

// changes are what a first signing is known to change. before is what the servers
// answer now, without which nobody knows whether the zone was rectified already.
func (s Surroundings) changes(transfers bool, before Sighting) []change {
	var out []change
	for _, one := range s.Records {
		switch {
		case one.Type == "ALIAS":
			out = append(out, change{one.Name, changeAlias, "PowerDNS does not sign what it makes of an ALIAS: validators will answer SERVFAIL; store the addresses themselves"})
		case one.Type == "LUA" && transfers:
			out = append(out, change{one.Name, changeLua, "a secondary transfers the zone with proofs that there is no such " + strings.Join(one.Computes, ", ") + ": validators will believe those; store the records themselves, or serve the zone from PowerDNS with its database alone"})
		case len(one.Computes) > 0 && one.Type != "LUA":
			out = append(out, change{one.Name, one.Type, "PowerDNS computes it, and it may not be signed"})
		}
	}
	for _, e := range s.emptied() {
		if e.answers(before) {
			out = append(out, change{e.name, changeWildcard, fmt.Sprintf("the wildcard %s answers for it now; signing needs `pdnsutil rectify-zone %s`, after which the name exists without records, and neither it nor names below it are answered from the wildcard (RFC 4592): add the records to it, if they are wanted", e.wildcard[0].Name, bare(s.Zone))})
		}
	}
	return append(out, s.undelegated()...)
}

// answers says whether some server answers for such a name now.
func (e emptied) answers(before Sighting) bool {
	for _, o := range before.relevant(RecordDNSKEY) {
		byName := o.answers()
		for _, a := range e.asked() {
			if byName[a.Sample].Class == ClassData {
				return true
			}
		}
	}
	return false
}

// undelegated are the zones below that this PowerDNS has, and that the zone does
// not delegate: it will prove that they do not exist.
func (s Surroundings) undelegated() []change {
	cuts := map[string]bool{}
	for _, one := range s.Records {
		cuts[one.Name] = cuts[one.Name] || one.Type == "NS"
	}
	var out []change
	for _, below := range s.Below {
		delegated := false
		for name := below; len(name) > len(s.Zone); name = above(name) {
			delegated = delegated || cuts[name] || name != below && slices.Contains(s.Below, name)
		}
		if !delegated {
			out = append(out, change{below, changeZone, fmt.Sprintf("this PowerDNS has that zone, and %s has no NS records for it: signed, it will prove that there is no such zone, and validators will not believe its answers: add NS records for %s to %s", s.Zone, below, s.Zone)})
		}
	}
	return out
}

// acceptance is one thing that an operator gave up by name: NAME alone, or
// NAME/TYPE.
type acceptance struct{ name, typ string }

// parseAccepted reads what an operator accepts. Names may have slashes
// themselves (RFC 2317), so that only a known word after the last one is a type.
func parseAccepted(text string) (acceptance, error) {
	name, typ := text, ""
	if at := strings.LastIndexByte(text, '/'); at >= 0 && !strings.Contains(text[at:], ".") {
		name, typ = text[:at], strings.ToUpper(text[at+1:])
	}
	name, err := ParseZone(name)
	if err != nil {
		return acceptance{}, fmt.Errorf("%w: --accept %q is neither NAME nor NAME/TYPE: %w", ErrRefused, text, err)
	}
	return acceptance{name, typ}, nil
}

// parseAllAccepted reads all, in a fixed order, each once.
func parseAllAccepted(texts []string) ([]string, error) {
	var out []string
	for _, text := range texts {
		a, err := parseAccepted(text)
		if err != nil {
			return nil, err
		}
		out = append(out, a.String())
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// String is it as it is stored, and read again.
func (a acceptance) String() string {
	if a.typ == "" {
		return a.name
	}
	return a.name + "/" + a.typ
}

// acceptances reads what is stored; it was checked before.
func acceptances(texts []string) []acceptance {
	var out []acceptance
	for _, text := range texts {
		if a, err := parseAccepted(text); err == nil {
			out = append(out, a)
		}
	}
	return out
}

// covers says whether a change was accepted.
func (a acceptance) covers(c change) bool {
	return a.name == c.Name && (a.typ == "" || a.typ == c.Type)
}

// coversAnswer says whether another answer to a question was accepted.
func (a acceptance) coversAnswer(q Asked) bool {
	switch a.typ {
	case "":
		return a.name == q.Name || a.name == q.Under
	case changeWildcard:
		return a.name == q.Under
	case changeAlias, changeLua:
		return a.name == q.Name && a.typ == q.From.Type
	}
	return a.name == q.Name && a.typ == q.Type
}

// unaccepted are the changes that nobody has accepted.
func unaccepted(changes []change, accepted []string) []change {
	all := acceptances(accepted)
	return slices.DeleteFunc(slices.Clone(changes), func(c change) bool {
		return slices.ContainsFunc(all, func(a acceptance) bool { return a.covers(c) })
	})
}

// differences compares what the servers answer now with what they answered
// before, and says what a validator would not believe. Accepted ones are left out.
func (b *Baseline) differences(zone string, asked []Asked, s Sighting, accepted []string) []Finding {
	all := acceptances(accepted)
	var out []Finding
	for _, o := range s.relevant(RecordDNSKEY) {
		if o.Unknown != "" {
			out = append(out, Finding{Code: FindingAnswers, Severity: SeverityCritical, Server: o.Server.String(), Text: "its answers cannot be compared with those from before: " + o.Unknown})
			continue
		}
		byName := o.answers()
		for _, a := range asked {
			given := slices.ContainsFunc(all, func(one acceptance) bool { return one.coversAnswer(a) })
			got, ok := byName[a.Sample]
			if given || !ok {
				continue
			}
			if text := b.difference(o.place(), a, got); text != "" {
				out = append(out, Finding{Code: FindingAnswers, Severity: SeverityCritical, Server: o.Server.String(), Text: fmt.Sprintf("%s %s: %s", a.Name, a.Type, text),
					Remedy: fmt.Sprintf("mend it (pdnsutil check-zone %s), or accept it: rollover sign --zone %s --accept %s/%s", bare(zone), zone, a.Name, a.Type)})
			}
		}
	}
	return out
}

// difference says in which way one answer is not what it was, or not to be
// believed; empty if it is as it should be.
func (b *Baseline) difference(server string, a Asked, got AnswerSighting) string {
	was, known := b.was(server, a.key())
	now := a.gist(got)
	before, _, _ := strings.Cut(was, " ")
	switch {
	case got.Unknown != "" && !known:
		return ""
	case got.Unknown != "":
		return fmt.Sprintf("before the signing %s, now no answer: %s", AnswerClass(before), got.Unknown)
	case known && was == now && !provable(got.Class):
		return "" // no worse than before
	case known && AnswerClass(before) != got.Class:
		return fmt.Sprintf("before the signing %s, now %s", AnswerClass(before), got.Class)
	case known && was != now:
		return "before the signing other records, and what is stored was not changed since"
	case got.Fault != "":
		return fmt.Sprintf("%s, and validators will not believe that: %s", got.Class, got.Fault)
	}
	return ""
}

// provable says whether the zone must have signed an answer of the class.
func provable(c AnswerClass) bool { return c == ClassData || c == ClassNoData || c == ClassNoName }

// maxTold is how many things of one sort are told by name.
const maxTold = 20

// fewer is at most maxTold findings, the last of which counts the others.
func fewer(all []Finding) []Finding {
	if len(all) <= maxTold {
		return all
	}
	more := fmt.Sprintf("and %d more answers", len(all)-maxTold)
	return append(slices.Clone(all[:maxTold]), Finding{Code: FindingAnswers, Severity: SeverityCritical, Text: more})
}
