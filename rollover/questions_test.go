package rollover

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// about is what PowerDNS has in a zone: "NAME TYPE", or "NAME TYPE=A,AAAA" for what is
// computed, names without the zone.
func about(zone string, records ...string) Surroundings {
	s := Surroundings{Zone: zone}
	for _, one := range records {
		name, typ, _ := strings.Cut(one, " ")
		typ, computes, computed := strings.Cut(typ, "=")
		stored := Stored{Sample: Sample{full(name, zone), typ}, Sum: "1"}
		if computed {
			stored.Computes = strings.Split(computes, ",")
		}
		s.Records = append(s.Records, stored)
	}
	return s
}

func full(name, zone string) string {
	if name == "@" {
		return zone
	}
	return name + "." + strings.TrimPrefix(zone, ".")
}

// What is asked before a first signing, each once: what is computed loosely, below
// wildcards a name that nobody has, and nothing that signing makes.
func TestQuestionsBeforeASigning(t *testing.T) {
	for _, c := range []struct {
		in    Surroundings
		wants []string
	}{
		{about("z.", "@ SOA", "@ NS", "@ DNSKEY", "@ CDS", "@ CDNSKEY", "@ NSEC3PARAM", "a RRSIG", "a NSEC", "a NSEC3"), []string{
			"z. SOA from z. SOA loose", "z. NS from z. NS", "rollover-looks-here.z. A from  "}},
		{about("z.", "@ ALIAS=A,AAAA", "*.w LUA=A", "u LUA=TXT"), []string{
			"z. A from z. ALIAS loose", "z. AAAA from z. ALIAS loose", "*.w.z. A from *.w.z. LUA loose", "u.z. TXT from u.z. LUA loose", "rollover-looks-here.z. A from  "}},
		{about("z.", "* A", "* TXT"), []string{
			"*.z. A from *.z. A", "rollover-looks-here.z. A from *.z. A", "*.z. TXT from *.z. TXT", "rollover-looks-here.z. TXT from *.z. TXT"}},
		{about("z.", "* A", "b.a A", "c.a A"), []string{
			"a.z. A from *.z. A under a.z.", "rollover-looks-here.a.z. A from *.z. A under a.z.",
			"*.z. A from *.z. A", "rollover-looks-here.z. A from *.z. A", "b.a.z. A from b.a.z. A", "c.a.z. A from c.a.z. A"}},
		{about("z.", "* LUA=A,TXT", "b.a MX"), []string{
			"*.z. A from *.z. LUA loose", "*.z. TXT from *.z. LUA loose",
			"a.z. A from *.z. LUA under a.z. loose", "rollover-looks-here.a.z. A from *.z. LUA under a.z. loose", "a.z. TXT from *.z. LUA under a.z. loose", "rollover-looks-here.a.z. TXT from *.z. LUA under a.z. loose",
			"b.a.z. MX from b.a.z. MX", "rollover-looks-here.z. A from  "}},
		{about(".", "@ SOA", "* A"), []string{". SOA from . SOA loose", "*. A from *. A", "rollover-looks-here. A from *. A"}},
	} {
		var got []string
		for _, a := range c.in.questions() {
			text := fmt.Sprintf("%s %s from %s %s", a.Name, a.Type, a.From.Name, a.From.Type)
			if a.Under != "" {
				text += " under " + a.Under
			}
			if a.Loose {
				text += " loose"
			}
			got = append(got, text)
		}
		if !slices.Equal(got, c.wants) {
			t.Errorf("of %v it asks\n%q, expected\n%q", c.in.Records, got, c.wants)
		}
	}
}

// Names that a wildcard answers for until they are known to exist, each once, by the
// wildcard that is closest.
func TestNamesThatAWildcardAnswersFor(t *testing.T) {
	for _, c := range []struct {
		in    Surroundings
		wants []string
	}{
		{about("z.", "* A", "x.a A", "y.a A", "y.c.b A"), []string{"a.z. by *.z.", "c.b.z. by *.z.", "b.z. by *.z."}},
		{about("z.", "* A", "x.a A", "a TXT"), nil},
		{about("z.", "x.a A"), nil},
		{about("z.", "* A", "*.b TXT", "x.a.b A"), []string{"b.z. by *.z.", "a.b.z. by *.b.z."}},
		{about("z.", "* A", "b TXT", "x.a.b A"), nil},
		{about("z.", "* A", "@ SOA"), nil},
		{about("z.", "* A", "c.b.a A", "d.a A"), []string{"b.a.z. by *.z.", "a.z. by *.z."}},
		{about("sub.z.", "x.a A", "* A"), []string{"a.sub.z. by *.sub.z."}},
		{about(".", "* A", "x.a A"), []string{"a. by *."}},
		{about(".", "x.a A"), nil},
	} {
		var got []string
		for _, e := range c.in.emptied() {
			got = append(got, e.name+" by "+e.wildcard[0].Name)
		}
		if !slices.Equal(got, c.wants) {
			t.Errorf("of %v: %q, expected %q", c.in.Records, got, c.wants)
		}
	}
	outside := about("sub.z.", "x.a A")
	outside.Records = append(outside.Records, Stored{Sample: Sample{"*.z.", "A"}})
	if got := outside.emptied(); len(got) > 0 {
		t.Errorf("by a wildcard above the zone: %v", got)
	}
}

// A zone below is delegated by NS records at its name or above it, whatever else is
// there, or is below another that this PowerDNS has; by the zone itself it is not.
func TestZonesBelowThatAreDelegated(t *testing.T) {
	for below, want := range map[string]string{
		"a.z.": "", "x.a.z.": "", "b.z.": "b.z.", "b.z. x.b.z.": "b.z.", "x.b.z.": "x.b.z.", "d.z.": "", "e.d.z.": "", "g.f.z.": "", "q.z. y.q.z.": "q.z.",
	} {
		s := about("z.", "@ NS", "a NS", "b A", "d NS", "d TXT", "g.f NS")
		s.Below = strings.Fields(below)
		var got []string
		for _, c := range s.undelegated() {
			got = append(got, c.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("zones %v: not delegated are %q, expected %q", s.Below, got, want)
		}
	}
}

// What somebody may give up, as it is stored.
func TestWhatCanBeAccepted(t *testing.T) {
	for text, want := range map[string]string{
		"a.z.": "a.z.", "a.z": "a.z.", "a.z./A": "a.z./A", "A.z/alias": "a.z./ALIAS", "0/25.2.0.192.in-addr.arpa.": "0/25.2.0.192.in-addr.arpa.",
		"0/25.2.0.192.in-addr.arpa./PTR": "0/25.2.0.192.in-addr.arpa./PTR", "a..b": "", "": "", "/A": "", "a..b/A": "", "./NS": "./NS",
	} {
		got, err := parseAllAccepted([]string{text})
		if want == "" {
			if !errors.Is(err, ErrRefused) || got != nil {
				t.Errorf("%q: %q, %v", text, got, err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%q: %q, expected %q, %v", text, got, want, err)
		}
	}
	if got, err := parseAllAccepted([]string{"b.", "a.", "b.", "a./A"}); err != nil || !slices.Equal(got, []string{"a.", "a./A", "b."}) {
		t.Errorf("each once, in order: %q, %v", got, err)
	}
	if got := acceptances([]string{"a.", "a..b", "b./A"}); !slices.Equal(got, []acceptance{{"a.", ""}, {"b.", "A"}}) {
		t.Errorf("read again: %v", got)
	}
}

// What was given up covers what it names, and nothing else.
func TestWhatAnAcceptanceCovers(t *testing.T) {
	one := acceptance{"a.z.", "WILDCARD"}
	for c, want := range map[change]bool{{Name: "a.z.", Type: "WILDCARD"}: true, {Name: "b.z.", Type: "WILDCARD"}: false, {Name: "a.z.", Type: "ALIAS"}: false} {
		if one.covers(c) != want {
			t.Errorf("%v for %v: %v", one, c, !want)
		}
		if all := (acceptance{"a.z.", ""}); all.covers(c) != (c.Name == "a.z.") {
			t.Errorf("%v for %v", all, c)
		}
	}
	a := func(name, typ, from, under string) Asked {
		return Asked{Sample: Sample{name, typ}, From: Stored{Sample: Sample{name, from}}, Under: under}
	}
	for text, covers := range map[string]map[*Asked]bool{
		"a.z.":          {ptr(a("a.z.", "A", "A", "")): true, ptr(a("x.a.z.", "A", "A", "a.z.")): true, ptr(a("x.a.z.", "A", "A", "")): false},
		"a.z./A":        {ptr(a("a.z.", "A", "A", "")): true, ptr(a("a.z.", "MX", "MX", "")): false, ptr(a("b.z.", "A", "A", "")): false, ptr(a("x.a.z.", "A", "A", "a.z.")): false},
		"a.z./WILDCARD": {ptr(a("x.a.z.", "A", "A", "a.z.")): true, ptr(a("a.z.", "A", "A", "")): false, ptr(a("x.b.z.", "A", "A", "b.z.")): false},
		"a.z./ALIAS":    {ptr(a("a.z.", "A", "ALIAS", "")): true, ptr(a("a.z.", "A", "A", "")): false, ptr(a("b.z.", "A", "ALIAS", "")): false},
		"a.z./LUA":      {ptr(a("a.z.", "A", "LUA", "")): true, ptr(a("a.z.", "A", "ALIAS", "")): false, ptr(a("b.z.", "A", "LUA", "")): false},
	} {
		for q, want := range covers {
			if got := acceptances([]string{text})[0].coversAnswer(*q); got != want {
				t.Errorf("%s for %+v: %v", text, *q, got)
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }

// Answers of before and after, word for word. A server that was not asked before, or
// gave no answer, is held to what the others said; one that said something else, to that.
func TestAnswersAreCompared(t *testing.T) {
	asked := []Asked{{Sample: Sample{"a.z.", "A"}, From: Stored{Sample: Sample{"a.z.", "A"}}}}
	answering := func(names []string, answers ...AnswerSighting) Sighting {
		s := Sighting{Zone: "z."}
		for i, name := range names {
			o := ServerSighting{Server: Server{RoleChild, name, name}}
			if answers[i].Class == "no server" {
				o.Unknown = "timed out"
			} else if answers[i] != (AnswerSighting{}) {
				answers[i].Sample = asked[0].Sample
				o.Answers = []AnswerSighting{answers[i]}
			}
			s.Servers = append(s.Servers, o)
		}
		return s
	}
	data := func(sum string) AnswerSighting { return AnswerSighting{Class: ClassData, Sum: sum} }
	failed := AnswerSighting{Class: "SERVFAIL"}
	two := []string{"ns1", "ns2"}
	remedy := " (mend it (pdnsutil check-zone z), or accept it: rollover sign --zone z. --accept a.z./A)"
	for _, c := range []struct {
		what          string
		before, after []AnswerSighting
		accepted      []string
		says          []string
	}{
		{"the same", []AnswerSighting{data("1"), data("1")}, []AnswerSighting{data("1"), data("1")}, nil, nil},
		{"each its own", []AnswerSighting{data("1"), data("2")}, []AnswerSighting{data("1"), data("2")}, nil, nil},
		{"the other's", []AnswerSighting{data("1"), data("2")}, []AnswerSighting{data("1"), data("1")}, nil, []string{"ns2: a.z. A: before the signing other records, and what is stored was not changed since" + remedy}},
		{"long sums that begin alike", []AnswerSighting{data("123456789"), {}}, []AnswerSighting{data("12345678"), {}}, nil, nil},
		{"not asked before", []AnswerSighting{data("1"), {}}, []AnswerSighting{data("1"), data("2")}, nil, []string{"ns2: a.z. A: before the signing other records, and what is stored was not changed since" + remedy}},
		{"nothing known, nothing answered", []AnswerSighting{{}, {}}, []AnswerSighting{{Unknown: "timed out"}, {}}, nil, nil},
		{"no answer before", []AnswerSighting{{Unknown: "timed out"}, {Unknown: "timed out"}}, []AnswerSighting{data("1"), {Unknown: "timed out"}}, nil, nil},
		{"no answer before, and none that is believed", []AnswerSighting{{Unknown: "timed out"}, {}}, []AnswerSighting{{Class: ClassNoName, Fault: "no NSEC"}, {}}, nil, []string{"ns1: a.z. A: no such name (NXDOMAIN), and validators will not believe that: no NSEC" + remedy}},
		{"no answer any more", []AnswerSighting{data("1"), {}}, []AnswerSighting{{Unknown: "timed out"}, {}}, nil, []string{"ns1: a.z. A: before the signing records, now no answer: timed out" + remedy}},
		{"SERVFAIL as before", []AnswerSighting{failed, failed}, []AnswerSighting{failed, {Class: "SERVFAIL", Fault: "no signature"}}, nil, nil},
		{"data as before, unsigned", []AnswerSighting{data("1"), {}}, []AnswerSighting{{Class: ClassData, Sum: "1", Fault: "no signature"}, {}}, nil, []string{"ns1: a.z. A: records, and validators will not believe that: no signature" + remedy}},
		{"nothing as before, unproven", []AnswerSighting{{Class: ClassNoData}, {}}, []AnswerSighting{{Class: ClassNoData, Fault: "no NSEC"}, {}}, nil, []string{"ns1: a.z. A: no such records (NODATA), and validators will not believe that: no NSEC" + remedy}},
		{"no name as before, unproven", []AnswerSighting{{Class: ClassNoName}, {}}, []AnswerSighting{{Class: ClassNoName, Fault: "no NSEC"}, {}}, nil, []string{"ns1: a.z. A: no such name (NXDOMAIN), and validators will not believe that: no NSEC" + remedy}},
		{"another class", []AnswerSighting{data("1"), {}}, []AnswerSighting{{Class: ClassReferral}, {}}, nil, []string{"ns1: a.z. A: before the signing records, now a referral" + remedy}},
		{"of another zone", []AnswerSighting{{Class: ClassForeign}, {}}, []AnswerSighting{failed, {}}, nil, []string{"ns1: a.z. A: before the signing an answer of another zone, now SERVFAIL" + remedy}},
		{"the same, accepted", []AnswerSighting{data("1"), {}}, []AnswerSighting{failed, {}}, []string{"a.z."}, nil},
		{"something else accepted", []AnswerSighting{data("1"), {}}, []AnswerSighting{failed, {}}, []string{"b.z.", "a.z./MX"}, []string{"ns1: a.z. A: before the signing records, now SERVFAIL" + remedy}},
		{"a server is silent", []AnswerSighting{data("1"), data("1")}, []AnswerSighting{data("1"), {Class: "no server"}}, nil, []string{"ns2: its answers cannot be compared with those from before: timed out"}},
	} {
		before := baseline(asked, answering(two, c.before...))
		var got []string
		for _, f := range before.differences("z.", asked, answering(two, c.after...), c.accepted) {
			got = append(got, f.String())
			if f.Code != FindingAnswers || f.Severity != SeverityCritical {
				t.Errorf("%s: %+v", c.what, f)
			}
		}
		if !slices.Equal(got, c.says) {
			t.Errorf("%s: %q, expected %q", c.what, got, c.says)
		}
	}
	loose := asked[0]
	loose.Loose = true
	for _, g := range []struct {
		asked Asked
		got   AnswerSighting
		want  string
	}{{asked[0], data("123456789"), "data 12345678"}, {asked[0], data("1"), "data 1"}, {asked[0], failed, "SERVFAIL"}, {loose, data("1"), "data"}} {
		if got := g.asked.gist(g.got); got != g.want {
			t.Errorf("of %+v is kept %q, expected %q", g.got, got, g.want)
		}
	}
	same := baseline(asked, answering(two, data("1"), data("1")))
	if len(same.Answers) != 1 || len(same.Apart) != 0 {
		t.Errorf("servers that said the same do not share it: %+v", same)
	}
}

// At most so many are told by name, and the rest is counted.
func TestFewerAreTold(t *testing.T) {
	for _, n := range []int{0, maxTold, maxTold + 1, maxTold + 5} {
		findings, changes := make([]Finding, n), make([]change, n)
		got, lines, words := fewer(findings), listed(changes), acceptWords(changes)
		if more := n - maxTold; more > 0 {
			if len(got) != maxTold+1 || got[maxTold].Text != fmt.Sprintf("and %d more answers", more) || got[maxTold].Severity != SeverityCritical || !strings.HasSuffix(lines, fmt.Sprintf("\n  and %d more", more)) {
				t.Errorf("%d: %v, %q", n, got, lines)
			}
		} else if len(got) != n || strings.Contains(lines, " more") {
			t.Errorf("%d: %v, %q", n, got, lines)
		}
		if told := strings.Count(words, "--accept "); told != min(n, maxTold) {
			t.Errorf("%d: %d words", n, told)
		}
	}
	list := []int{0, 1, 2, 3, 4}
	for n, want := range map[int][]int{0: {}, 2: {0, 2}, 3: {0, 1, 3}, 4: {0, 1, 2, 3}, 5: list, 9: list} {
		if got := spread(list, n); !slices.Equal(got, want) {
			t.Errorf("%d of %v: %v, expected %v", n, list, got, want)
		}
	}
}
