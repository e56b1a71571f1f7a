package rollover

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var prove = flag.Bool("prove", false, "search the large state spaces too (make prove)")

// enoughStates is more than any search has that ends; one that goes beyond is a failure.
const enoughStates = 100_000_000

// The everyday part of the proof. docs/proof.md says what is shown, with these tables.
func TestProof(t *testing.T) {
	parts := []struct {
		name  string
		table func(*testing.T) string
		found string
	}{{"circumstances", safeTable, ""}, {"mutants", mutantTable, ""}, {"limits", limitTable, ""}}
	t.Run("searches", func(t *testing.T) {
		for i := range parts {
			t.Run(parts[i].name, func(t *testing.T) {
				t.Parallel()
				parts[i].found = parts[i].table(t)
			})
		}
	})
	for _, part := range parts {
		compareTable(t, part.name, part.found)
	}
	if t.Failed() {
		t.Log("docs/proof.md is made anew by: go test ./rollover -run TestProof -update; read the diff")
	}
}

// startable are the rows that an operator can start; the others are come to
// by an order in the middle of one of these.
func startableKinds() []Kind {
	var out []Kind
	for _, k := range Kinds() {
		if k.Type != "cancel" && k.Type != "revert" {
			out = append(out, k)
		}
	}
	return out
}

func safeTable(t *testing.T) string {
	var kinds []Kind
	out := "| circumstances |"
	for _, k := range startableKinds() {
		kinds = append(kinds, k)
		out += " " + k.Name() + " |"
	}
	out += "\n|---|" + strings.Repeat("---|", len(kinds)) + "\n"
	for _, f := range circumstances() {
		out += "| " + f.name + " |"
		for _, k := range kinds {
			if cell := elsewhere(k, f); cell != "" {
				out += " " + cell + " |"
				continue
			}
			t.Run(k.Name()+" "+f.name, func(t *testing.T) { out += fmt.Sprintf(" %d |", safe(t, k, f)) })
		}
		out += "\n"
	}
	return out
}

// coreRows are the rows that are used most, and searched in all families each day.
func coreRows() []string {
	return []string{"zsk/pre-publish", "ksk/double-ds", "ksk/double-signature", "csk/double-ds", "csk/double-signature"}
}

// elsewhere is where a row is searched in a family if not every day; "-" where
// the family means nothing for it, or breaks it by itself (docs/proof.md).
func elsewhere(k Kind, f family) string {
	core := coreRows()
	fallsBack := f.may[faultFallBack] > 0 && k.CDS
	killed := f.may[faultCrash]+f.may[faultLie] > 0 && !f.lenient && k.Type == "algorithm"
	alike := f.lenient && k.Type != "algorithm" || f.urgent && !k.courteous()
	early := f.may[faultEarly] > 0 && (k.CDS || k.Role == ZSK || !k.mentions(New))
	wrong := f.may[faultWrongDS] > 0 && (k.CDS || k.Role == ZSK || !k.mentions(New) || !k.mentions(Old))
	alone := f.roles && (k.Role == CSK || !k.mentions(Old)) || f.aside && k.Role != KSK && k.Role != ZSK
	switch {
	case killed, alike, fallsBack, early, wrong, alone, f.may[faultCancel] > 0 && k.Cancel == "", f.may[faultRevert] > 0 && k.Revert == "":
		return "-"
	case f.many, f.heavy && (signsBoth(k) || !slices.Contains(core, k.Name())):
		return "`make prove`"
	case len(f.may) > 0 && !slices.Contains(core, k.Name()) && (k.Type == "csk" || !f.broad):
		return "`make prove`"
	}
	return ""
}

// courteous says whether a row has waits that an urgent rollover leaves out.
func (k Kind) courteous() bool {
	return slices.ContainsFunc(k.Steps, func(s Step) bool { return slices.ContainsFunc(s.Waits, func(w Wait) bool { return w.Courtesy }) })
}

// signsBoth says whether the keys of a row sign the DNSKEY set and data, so
// that both records change and there is a product of their states.
func signsBoth(k Kind) bool { return k.Role != KSK && k.Role != ZSK }

// safe searches one row in one family, and returns the number of states.
func safe(t *testing.T, k Kind, f family) int {
	t.Helper()
	p := newProof(k, f, tweak{})
	if r := p.search(enoughStates, nil); r.bad != "" {
		t.Error(r)
		return len(p.worlds)
	}
	p.checkHealing(t)
	return len(p.worlds)
}

// checkHealing: what a registrar breaks by replacing, rescue mends as soon as
// caches let it, which is after the TTL of the DNSKEY set.
func (p *proof) checkHealing(t *testing.T) {
	t.Helper()
	if most := int(p.family.ttl[inKeys][0]); p.family.may[faultReplace]+p.family.may[faultWrongDS] > 0 && p.family.may[faultCancel] == 0 && p.heals() > most {
		t.Errorf("a chain that the registrar broke stays broken for %d units, expected %d", p.heals(), most)
	}
}

// Each guard, taken away, is missed. One whose removal is not found is not tested.
func mutantTable(t *testing.T) string {
	out := "| without | in | states | what happens |\n|---|---|---|---|\n"
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			p, r := hunt(m, 1_000_000)
			found := r.bad
			if m.slow > 0 && found == "" && p.heals() > m.slow {
				found = fmt.Sprintf("a chain that the registrar broke stays broken for %d units instead of %d", p.heals(), m.slow)
			}
			if found == "" || strings.HasPrefix(found, "not finished") {
				t.Errorf("the guard is not missed: it is not needed, or not tested (%d states)", len(p.worlds))
			}
			t.Log(r)
			out += fmt.Sprintf("| %s | %s | %d | %s |\n", m.name, p.kind.Name(), len(p.worlds), strings.ReplaceAll(found, "|", "\\|"))
		})
	}
	return out
}

func mutants() []mutant {
	out := waitMutants()
	out = append(out, orderMutants()...)
	return append(out, guardMutants()...)
}

// familiesFor is where a mutant of a wait is looked for: in lag alone, with TTLs
// unequal in two ways; and where the operator turns back, in what somebody did
// before that to the record that it waits for.
func familiesFor(m mutant) []family {
	switch {
	case m.family.may != nil || m.family.ttl != [3][2]uint8{}:
		return []family{m.family}
	case m.kind.Role == KSK && m.record == RecordData:
		return []family{asideFamily(m.kind)}
	case m.kind.Type == "revert":
		return []family{
			{may: may{faultRevert: 1}}, {may: may{faultRevert: 1}, ttl: wide}, {may: may{faultRevert: 1, faultHide: 1}},
			{may: may{faultRevert: 1, faultSwitch: 1}, ttl: wide},
		}
	case m.kind.Type == "cancel" && m.record == RecordDS:
		return []family{{may: may{faultCancel: 1, faultEarly: 1}}, {may: may{faultCancel: 1, faultReplace: 1}}, {may: may{faultCancel: 1, faultHide: 1}}}
	case m.kind.Type == "cancel":
		return []family{
			{may: may{faultCancel: 1, faultSwitch: 1}}, {may: may{faultCancel: 1, faultHide: 1}},
			{may: may{faultCancel: 1, faultHide: 1, faultEarly: 1}, lenient: true},
		}
	}
	return []family{{ttl: wide}, {ttl: other}}
}

// asideFamily is where a KSK signs data because somebody has changed the ZSK: before
// the start, or before it is taken back.
func asideFamily(k Kind) family {
	switch k.Type {
	case "cancel":
		return family{may: may{faultCancel: 1, faultSwitch: 1}, ttl: late, aside: true}
	case "revert":
		return family{may: may{faultRevert: 1, faultEdit: 1}, ttl: late, aside: true}
	}
	return family{roles: true, ttl: late}
}

// takesBack says whether a mutant is of the row by which another is taken back.
func (m mutant) takesBack(k Kind) bool {
	return m.kind.Type == "cancel" && k.Cancel == m.kind.Method || m.kind.Type == "revert" && k.Revert == m.kind.Method
}

// hunt searches for what a mutant breaks.
func hunt(m mutant, limit int) (p *proof, r result) {
	for _, k := range startableKinds() {
		if k.Name() != m.kind.Name() && !m.takesBack(k) {
			continue
		}
		if k.Name() == m.kind.Name() {
			k = m.kind
		}
		for _, f := range familiesFor(m) {
			p = newProof(k, f, m.tweak)
			p.replace(m.kind)
			if r = p.search(limit, nil); r.bad != "" && !strings.HasPrefix(r.bad, "not finished") {
				return p, r
			}
		}
	}
	return p, r
}

// What no guard can help against is found as well, so that it is known.
func limitTable(t *testing.T) string {
	out := "| what nobody sees | in | states | what happens |\n|---|---|---|---|\n"
	for _, m := range limits() {
		t.Run(m.name, func(t *testing.T) {
			p, r := hunt(m, 1_000_000)
			if r.bad == "" {
				t.Error("this is no limit any more: say so in docs/proof.md and docs/decides.md")
			}
			out += fmt.Sprintf("| %s | %s | %d | %s |\n", m.name, p.kind.Name(), len(p.worlds), strings.ReplaceAll(r.bad, "|", "\\|"))
		})
	}
	return out
}

func limits() []mutant {
	ksk := kindOf("ksk/double-ds")
	return []mutant{
		{name: "killed between the publishing of two keys of a new algorithm, for validators that insist on every algorithm of the DNSKEY set", kind: kindOf("algorithm/conservative"), family: family{may: may{faultCrash: 1}}},
		{name: "pdnsutil fails between the publishing of two keys of a new algorithm, for the same validators", kind: kindOf("algorithm/conservative"), family: family{may: may{faultLie: 1}}},
		{name: "the machine is off for long, its clock stands still, and the parent falls back", kind: ksk, family: family{may: may{faultAway: 1, faultBack: 1, faultReboot: 1, faultFlap: 1}, policy: withMargin}},
		{name: "the parent falls back and comes back between two looks", kind: ksk, family: family{may: may{faultFlap: 1}, unseen: true}},
		{name: "the TTL of the DS is raised and lowered between two looks", kind: ksk, family: family{may: may{faultTTLDS: 2}, unseen: true}},
		{name: "the largest TTL of the zone is raised and lowered between two readings of its records", kind: kindOf("zsk/pre-publish"), family: family{may: may{faultTTLData: 2}}},
		{name: "what the registrar was asked lands, replacing, after the cancel has ended", kind: ksk, family: family{may: may{faultCancel: 1, faultReplace: 1}, unseen: true}},
		{name: "the DS set of one server of the parent is replayed as the answer of another that lags", kind: ksk, family: family{may: may{faultForged: 1}, policy: withValidator, unseen: true}},
	}
}

// compareTable compares a table with the one in docs/proof.md, or puts it there.
func compareTable(t *testing.T, name, table string) {
	t.Helper()
	path := filepath.Join("..", "docs", "proof.md")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), "<!-- "+name+" -->\n")
	old, tail, closed := strings.Cut(rest, "<!-- end -->")
	if !ok || !closed {
		t.Fatalf("docs/proof.md has no place for the table of %s", name)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(head+"<!-- "+name+" -->\n"+table+"<!-- end -->"+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != table && !t.Failed() {
		t.Errorf("the table of %s in docs/proof.md is not what the search finds: go test ./rollover -run TestProof -update, and read the diff", name)
	}
}

// The whole proof: every row in all circumstances, then with faults of many
// sorts in one history. It prints rows for docs/proof.md.
func TestProofOfEverything(t *testing.T) {
	if !*prove {
		t.Skip("takes long: make prove")
	}
	for _, k := range startableKinds() {
		for _, f := range everyFamily(k) {
			if elsewhere(k, f) != "`make prove`" {
				continue
			}
			t.Run(k.Name()+" "+f.name, func(t *testing.T) { proveOne(t, k, f) })
		}
	}
}

// everyFamily is all that a row is searched in. Two circumstances at once are
// for rows whose keys sign one record: for others there would be too many.
func everyFamily(k Kind) []family {
	out := append(circumstances(), together(k)...)
	if !signsBoth(k) || k.Type == "algorithm" {
		out = append(out, pairs()...)
	}
	return slices.Concat(out, leniently(out), hurriedly(circumstances()))
}

func proveOne(t *testing.T, k Kind, f family) {
	runtime.GC()
	start := time.Now()
	p := newProof(k, f, tweak{})
	r := p.search(enoughStates, func(p *proof) {
		fmt.Fprintf(os.Stderr, "  %s, %s: %d states, %d edges, %v\n", k.Name(), f.name, len(p.worlds), p.edges, time.Since(start).Round(time.Second))
	})
	if r.bad != "" {
		t.Error(r)
	}
	p.checkHealing(t)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("| %s | %s | %d | %d | %d | %v | %d MB |\n", k.Name(), f.name, len(p.worlds), p.edges, len(p.ticks), time.Since(start).Round(100*time.Millisecond), m.HeapAlloc>>20)
}

// together is many sorts of faults in one history. Where both records change,
// clocks and TTLs are searched apart.
func together(k Kind) []family {
	out := []family{
		{name: "kill, lie, silence, fall back", may: may{faultCrash: 1, faultLie: 1, faultSilent: 1, faultFlap: 1, faultFallBack: 1}},
		{name: "kill, typo, replace, cancel", may: may{faultCrash: 1, faultTypo: 1, faultReplace: 1, faultCancel: 1}},
		{name: "kill, typo, clock, TTLs of DS and DNSKEY", may: may{faultCrash: 1, faultTypo: 1, faultForward: 1, faultReboot: 1, faultTTLDS: 1, faultTTLKeys: 1}, policy: withMargin},
	}
	if signsBoth(k) {
		out[2] = family{name: "kill, typo, clock", may: may{faultCrash: 1, faultTypo: 1, faultForward: 1, faultReboot: 1}, policy: withMargin}
		out = append(out, family{name: "kill, TTLs of DS and DNSKEY", may: may{faultCrash: 1, faultTTLDS: 1, faultTTLKeys: 1}})
	}
	for i := range out {
		out[i].many = true
	}
	return out
}
