package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms is who may import what beyond the standard library; for the mind the
// standard library is narrowed too. A folder without an entry has no room.
func rooms() map[string][]string {
	return map[string][]string{
		"rollover":                 {},
		"rollover/product":         {"rollover/rollover"},
		"rollover/chain":           {"rollover/rollover", "github.com/miekg/dns"},
		"rollover/chain/chaintest": {"rollover/rollover", "github.com/miekg/dns"},
		"rollover/probe":           {"rollover/rollover", "rollover/rollover/chain", "github.com/miekg/dns"},
		"rollover/guard":           {},
		"rollover/hook":            {"rollover/rollover", "rollover/rollover/guard"},
		"rollover/parent":          {"rollover/rollover", "github.com/miekg/dns"},
		"rollover/lab":             {"rollover/rollover", "github.com/miekg/dns", "golang.org/x/sys/unix"},
		"rollover/rollovertest":    {"rollover/rollover", "rollover/rollover/product"},
		"pdns":                     {"rollover/rollover", "rollover/rollover/guard", "golang.org/x/sys/unix"},
		"pdns/pdnstest":            {"rollover/rollover", "rollover/pdns", "golang.org/x/sys/unix"},
		"store":                    {"rollover/rollover", "go.etcd.io/bbolt", "go.etcd.io/bbolt/errors", "golang.org/x/sys/unix"},
		"cmd/rollover": {
			"rollover/rollover", "rollover/rollover/probe", "rollover/rollover/product", "rollover/rollover/chain", "rollover/rollover/lab", "rollover/pdns", "rollover/store",
			"rollover/rollover/guard", "rollover/rollover/hook", "rollover/rollover/parent",
			"github.com/urfave/cli/v2", "github.com/beevik/ntp", "github.com/pelletier/go-toml/v2", "golang.org/x/net/idna", "golang.org/x/sys/unix", "golang.org/x/term",
		},
	}
}

// mindBans is what the mind must not import: what decides has no input, no
// output and no clock.
var mindBans = []string{"os", "os/exec", "net", "net/http", "log", "log/slog", "io/fs", "syscall", "math/rand", "math/rand/v2"}

func TestEveryLineInItsRoom(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		room, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		checkFile(t, filepath.ToSlash(room), path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkFile(t *testing.T, room, path string) {
	t.Helper()
	allowed, ok := rooms()[room]
	if !ok {
		t.Errorf("%s: folder %s has no room: see the table in this test", path, room)
		return
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(allowed, name) {
			continue
		}
		first, _, _ := strings.Cut(name, "/")
		if strings.Contains(first, ".") || first == "rollover" {
			t.Errorf("%s imports %s, which %s may not", path, name, room)
		}
		if room == "rollover" && slices.Contains(mindBans, name) {
			t.Errorf("%s: the mind imports %s", path, name)
		}
	}
	if room == "rollover" {
		ast.Inspect(file, func(n ast.Node) bool { return noClock(t, path, n) })
	}
}

// noClock finds readings of the clock in the mind.
func noClock(t *testing.T, path string, n ast.Node) bool {
	t.Helper()
	call, ok := n.(*ast.SelectorExpr)
	if !ok {
		return true
	}
	if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker"}, call.Sel.Name) {
		t.Errorf("%s: the mind reads the clock with time.%s", path, call.Sel.Name)
	}
	return true
}
