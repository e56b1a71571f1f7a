package main

import (
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const guarded = `package p

func (t *T) f(a, b int, list []int) (err error) {
	if a < 1 || b == 2 && a != 3 {
		return err
	}
	switch {
	case slices.Contains(list, a), b > 1:
		t.n = max(a, b)
	}
	for i := range list {
		if v := list[i]; v >= a {
			continue
		}
		t.n++
	}
	defer t.close()
	return nil
}
`

// Each guard is broken in each way, and each way has a name.
func TestMutants(t *testing.T) {
	mutants, err := Mutants("p.go", []byte(guarded))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mutants {
		if m.File != "p.go" || m.Function != "T.f" {
			t.Errorf("%v", m)
		}
		got = append(got, m.Text)
	}
	want := []string{
		"removed: defer t.close()",
		"never: a < 1 || b == 2 && a != 3",
		"always: a < 1 || b == 2 && a != 3",
		"without: a < 1 in: a < 1 || b == 2 && a != 3",
		"without: b == 2 && a != 3 in: a < 1 || b == 2 && a != 3",
		"a < 1 -> a <= 1",
		"without: b == 2 in: b == 2 && a != 3",
		"without: a != 3 in: b == 2 && a != 3",
		"not: b == 2",
		"not: a != 3",
		"never: slices.Contains(list, a)",
		"never: b > 1",
		"b > 1 -> b >= 1",
		"removed: t.n = max(a, b)",
		"max(a, b) -> min",
		"removed: t.n++",
		"never: v >= a",
		"always: v >= a",
		"v >= a -> v > a",
		"removed: t.close()",
	}
	slices.Sort(got)
	slices.Sort(want)
	want = slices.DeleteFunc(want, func(s string) bool { return s == "removed: t.close()" })
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// All mutants fit into one file together, on the lines where they were.
func TestArm(t *testing.T) {
	mutants, err := Mutants("p.go", []byte(guarded))
	if err != nil {
		t.Fatal(err)
	}
	for i := range mutants {
		mutants[i].ID = i + 1
	}
	armed := string(Arm([]byte(guarded), mutants))
	if strings.Count(armed, "\n") != strings.Count(guarded, "\n") {
		t.Errorf("lines have moved:\n%s", armed)
	}
	if _, err := format.Source([]byte(armed)); err != nil {
		t.Errorf("%v:\n%s", err, armed)
	}
	if n := strings.Count(armed, "mutant"); n != len(mutants) {
		t.Errorf("%d of %d mutants are in it:\n%s", n, len(mutants), armed)
	}
}

// What has the same text in one function is told apart by a number.
func TestTwins(t *testing.T) {
	mutants, err := Mutants("p.go", []byte("package p\nfunc f() { g(); g() }\nfunc h() { g() }\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mutants {
		got = append(got, m.Function+" "+m.Text)
	}
	if want := []string{"f removed: g()", "f removed: g() (2)", "h removed: g()"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A row that is printed for a survivor, with a reason, is read as that survivor.
func TestAccepted(t *testing.T) {
	m := Mutant{File: "rollover/judge.go", Function: "Roll.f", Text: "never: a || b"}
	path := filepath.Join(t.TempDir(), "mutants.md")
	row := strings.TrimSuffix(m.row(), "|") + "cannot be |\n"
	if err := os.WriteFile(path, []byte("# Page\n\n| file | function | mutation | reason |\n|---|---|---|---|\n"+row), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := readAccepted(path)
	if err != nil || len(list) != 1 || acceptedFor(m, list) != list[0] || list[0].reason != "cannot be" {
		t.Errorf("%v, %+v", err, list)
	}
	if err := os.WriteFile(path, []byte(m.row()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAccepted(path); err == nil {
		t.Error("a row without a reason is read")
	}
}
