package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// Mutant is one guard of a source file that can be broken.
type Mutant struct {
	File     string // as the paths of the module have it
	Line     int
	Function string // Type.Method or the function
	Text     string // what is changed; with the file and the function it names the mutant
	ID       int    // counted from 1 in a package; 0 is the program as it is

	edits []edit
}

// String is where a mutant is and what it does.
func (m Mutant) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", m.File, m.Line, m.Function, m.Text)
}

// edit puts text in the place of some octets; of none, to put it before or after
// an expression. A percent sign in it stands for the number of the mutant.
type edit struct {
	at, over int
	closes   bool // it ends something, so it comes before what begins there
	text     string
}

// breaker finds the guards of one file.
type breaker struct {
	file    string
	fset    *token.FileSet
	source  []byte
	within  string
	mutants []Mutant
	whole   map[ast.Expr]bool // conditions that are forced as a whole already
}

// Mutants is all mutants of one source file, outer ones before those within them.
func Mutants(file string, source []byte) ([]Mutant, error) {
	b := breaker{file: file, fset: token.NewFileSet(), source: source, whole: map[ast.Expr]bool{}}
	tree, err := parser.ParseFile(b.fset, file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			b.within = nameOf(f)
			ast.Inspect(f.Body, b.visit)
		}
	}
	number(b.mutants)
	return b.mutants, nil
}

func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// number tells apart mutants of one function with the same text.
func number(mutants []Mutant) {
	seen := map[string]int{}
	for i, m := range mutants {
		key := m.Function + "\n" + m.Text
		seen[key]++
		if n := seen[key]; n > 1 {
			mutants[i].Text += fmt.Sprintf(" (%d)", n)
		}
	}
}

func (b *breaker) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		b.condition(n.Cond, endsInJump(n.Body.List))
	case *ast.SwitchStmt:
		b.choices(n)
	case *ast.BinaryExpr:
		b.binary(n)
	case *ast.CallExpr:
		b.call(n)
	case *ast.BlockStmt:
		b.statements(n.List)
	case *ast.CaseClause:
		b.statements(n.Body)
	case *ast.CommClause:
		b.statements(n.Body)
	case *ast.GenDecl:
		return n.Tok != token.CONST
	}
	return true
}

// condition forces a condition; to true only where a guard would then always refuse.
func (b *breaker) condition(c ast.Expr, guard bool) {
	b.whole[c] = true
	b.around(c, "(!mutantIs(%) && (", "))", "never: "+b.text(c))
	if guard {
		b.around(c, "(mutantIs(%) || (", "))", "always: "+b.text(c))
	}
}

func endsInJump(body []ast.Stmt) bool {
	if len(body) == 0 {
		return false
	}
	switch body[len(body)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	}
	return false
}

// choices breaks the cases of a switch without a tag, which are conditions.
func (b *breaker) choices(s *ast.SwitchStmt) {
	if s.Tag != nil {
		return
	}
	for _, clause := range s.Body.List {
		clause := clause.(*ast.CaseClause)
		for _, c := range clause.List {
			b.condition(c, endsInJump(clause.Body))
		}
	}
}

var boundaries = map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}
var compares = map[token.Token]string{token.LSS: "mutantLess", token.LEQ: "mutantAtMost", token.GTR: "mutantMore", token.GEQ: "mutantAtLeast"}

func (b *breaker) binary(e *ast.BinaryExpr) {
	switch e.Op {
	case token.LAND, token.LOR:
		b.operands(e)
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		other := b.text(e.X) + " " + boundaries[e.Op] + " " + b.text(e.Y)
		b.mutant(e, b.text(e)+" -> "+other,
			edit{at: b.offset(e.Pos()), text: compares[e.Op] + "(%, "},
			edit{at: b.offset(e.OpPos), over: len(e.Op.String()), text: ","},
			edit{at: b.offset(e.End()), closes: true, text: ")"})
	case token.EQL, token.NEQ:
		if !b.whole[e] {
			b.around(e, "(mutantIs(%) != (", "))", "not: "+b.text(e))
		}
	}
}

// operands drops one side of "and" and "or".
func (b *breaker) operands(e *ast.BinaryExpr) {
	open := "(mutantIs(%) || ("
	if e.Op == token.LOR {
		open = "(!mutantIs(%) && ("
	}
	for _, operand := range []ast.Expr{e.X, e.Y} {
		if inner, ok := ast.Unparen(operand).(*ast.BinaryExpr); ok && inner.Op == e.Op {
			continue // its own operands are dropped one by one
		}
		b.around(operand, open, "))", fmt.Sprintf("without: %s in: %s", b.text(operand), b.text(e)))
	}
}

// negated are questions that are worth a wrong answer.
var negated = []string{"slices.Contains", "slices.ContainsFunc", "slices.Equal", "strings.Contains", "strings.HasPrefix", "strings.HasSuffix", "bytes.Equal", "errors.Is"}

func (b *breaker) call(e *ast.CallExpr) {
	switch name := b.text(e.Fun); {
	case name == "max" || name == "min":
		other := map[string]string{"max": "min", "min": "max"}[name]
		b.mutant(e, b.text(e)+" -> "+other,
			edit{at: b.offset(e.Pos()), over: len(name), text: "mutant" + strings.ToUpper(name[:1]) + name[1:]},
			edit{at: b.offset(e.Lparen) + 1, text: "%, "})
	case slices.Contains(negated, name) && !b.whole[e]:
		b.around(e, "(mutantIs(%) != ", ")", "not: "+b.text(e))
	}
}

// statements takes single calls, assignments and sends out.
func (b *breaker) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if !strings.HasPrefix(b.text(s), "panic(") {
				b.remove(s)
			}
		case *ast.IncDecStmt, *ast.DeferStmt, *ast.SendStmt:
			b.remove(s)
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE && !blank(s.Lhs) {
				b.remove(s)
			}
		}
	}
}

func (b *breaker) remove(s ast.Stmt) {
	b.around(s, "if !mutantIs(%) { ", " }", "removed: "+b.text(s))
}

func blank(list []ast.Expr) bool {
	return !slices.ContainsFunc(list, func(e ast.Expr) bool {
		id, ok := e.(*ast.Ident)
		return !ok || id.Name != "_"
	})
}

func (b *breaker) around(n ast.Node, before, after, text string) {
	b.mutant(n, text, edit{at: b.offset(n.Pos()), text: before}, edit{at: b.offset(n.End()), closes: true, text: after})
}

func (b *breaker) mutant(n ast.Node, text string, edits ...edit) {
	b.mutants = append(b.mutants, Mutant{File: b.file, Line: b.fset.Position(n.Pos()).Line, Function: b.within, Text: short(text), edits: edits})
}

func (b *breaker) offset(p token.Pos) int { return b.fset.Position(p).Offset }

func (b *breaker) text(n ast.Node) string {
	return string(bytes.TrimSpace(b.source[b.offset(n.Pos()):b.offset(n.End())]))
}

// short is a text in one line that still tells one mutant from another.
func short(text string) string {
	const most = 160
	out := []rune(strings.Join(strings.Fields(text), " "))
	if len(out) > most {
		out = append(out[:most], []rune("...")...)
	}
	return string(out)
}

// Arm is a source file with all its mutants in it, each asleep until its number is
// called. Lines stay where they are.
func Arm(source []byte, mutants []Mutant) []byte {
	var all []edit
	for _, m := range mutants {
		for _, e := range m.edits {
			e.text = strings.Replace(e.text, "%", fmt.Sprint(m.ID), 1)
			all = append(all, e)
		}
	}
	// What ends at a place comes before what begins there; of what ends there the
	// inner comes first, of what begins there the outer.
	var closing, opening []edit
	for _, e := range all {
		if e.closes {
			closing = append(closing, e)
		} else {
			opening = append(opening, e)
		}
	}
	slices.Reverse(closing)
	all = slices.Concat(closing, opening)
	slices.SortStableFunc(all, func(a, b edit) int {
		if a.at != b.at {
			return a.at - b.at
		}
		return a.over - b.over // what replaces comes last
	})
	var out []byte
	done := 0
	for _, e := range all {
		out = append(out, source[done:max(done, e.at)]...)
		out = append(out, e.text...)
		done = max(done, e.at+e.over)
	}
	return append(out, source[done:]...)
}

// switchboard is the file that is added to a package: it says which mutant is
// awake, and notes in a file which of them the tests have come by.
func switchboard(pkg string, most int) string {
	return fmt.Sprintf(`package %s

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
)

var (
	mutantAwake, _ = strconv.Atoi(os.Getenv("MUTANT"))
	mutantVisits   = os.Getenv("MUTANT_VISITS")
	mutantSeen     [%d]atomic.Bool
)

func mutantIs(n int) bool {
	if mutantVisits != "" && !mutantSeen[n].Swap(true) {
		if f, err := os.OpenFile(mutantVisits, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			f.WriteString(strconv.Itoa(n) + "\n")
			f.Close()
		}
	}
	return n == mutantAwake
}

func mutantLess[T cmp.Ordered](n int, a, b T) bool    { return a < b || a == b && mutantIs(n) }
func mutantAtMost[T cmp.Ordered](n int, a, b T) bool  { return a < b || a == b && !mutantIs(n) }
func mutantMore[T cmp.Ordered](n int, a, b T) bool    { return a > b || a == b && mutantIs(n) }
func mutantAtLeast[T cmp.Ordered](n int, a, b T) bool { return a > b || a == b && !mutantIs(n) }

func mutantMax[T cmp.Ordered](n int, all ...T) T {
	if mutantIs(n) {
		return slices.Min(all)
	}
	return slices.Max(all)
}

func mutantMin[T cmp.Ordered](n int, all ...T) T {
	if mutantIs(n) {
		return slices.Max(all)
	}
	return slices.Min(all)
}
`, pkg, most+1)
}
