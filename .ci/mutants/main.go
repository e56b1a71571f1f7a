// Mutants breaks the guards of this program one at a time, in memory, and says
// which of them no test misses. See docs/mutants.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

type options struct {
	pkg, file, function, text string
	only, skip                string
	sample                    int
	seed                      uint64
	list, verbose             bool
	accepted                  string
}

func main() {
	var o options
	flag.StringVar(&o.pkg, "package", "", "only this package, such as ./rollover")
	flag.StringVar(&o.file, "file", "", "only this file, such as judge.go; several with commas")
	flag.StringVar(&o.function, "func", "", "only this function, such as authentic or Roll.authentic; several with commas")
	flag.StringVar(&o.text, "text", "", "only mutants whose text has this in it")
	flag.StringVar(&o.only, "run", "", "only these tests")
	flag.StringVar(&o.skip, "skip", "", "leave these tests out too, such as the slowest; what lives then may be killed by them")
	flag.IntVar(&o.sample, "sample", 0, "only so many of each package, drawn by the seed")
	flag.Uint64Var(&o.seed, "seed", 1, "of the sample")
	flag.BoolVar(&o.list, "list", false, "say what would be broken, and run nothing")
	flag.BoolVar(&o.verbose, "v", false, "say what killed each mutant")
	flag.StringVar(&o.accepted, "accepted", "docs/mutants.md", "the survivors that are known")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	survived, err := o.run(ctx)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	case survived > 0:
		os.Exit(1)
	}
}

// run returns how many mutants lived that the list does not have.
func (o options) run(ctx context.Context) (int, error) {
	root, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	known, err := readAccepted(filepath.Join(root, o.accepted))
	if err != nil {
		return 0, err
	}
	survived := 0
	for _, pkg := range packages() {
		all, err := mutantsOf(root, pkg.dir)
		if err != nil {
			return survived, err
		}
		for _, m := range all {
			if a := acceptedFor(m, known); a != nil {
				a.used = true
			}
		}
		if !o.wants(pkg) {
			continue
		}
		n, err := o.test(ctx, root, pkg, o.choose(all), known)
		survived += n
		if err != nil {
			return survived, err
		}
	}
	for _, a := range known {
		if !a.used {
			fmt.Printf("%s: %s: %s: is in %s, and there is no such mutant any more\n", a.file, a.function, a.text, o.accepted)
		}
	}
	return survived, nil
}

func (o options) wants(pkg tested) bool {
	return o.pkg == "" || filepath.Clean(o.pkg) == pkg.dir
}

// choose is the mutants that the options are about.
func (o options) choose(all []Mutant) []Mutant {
	files, functions := strings.Split(o.file, ","), strings.Split(o.function, ",")
	var out []Mutant
	for _, m := range all {
		_, method, _ := strings.Cut(m.Function, ".")
		switch {
		case o.file != "" && !slices.Contains(files, filepath.Base(m.File)):
		case o.function != "" && !slices.Contains(functions, m.Function) && !slices.Contains(functions, method):
		case !strings.Contains(m.Text, o.text):
		default:
			out = append(out, m)
		}
	}
	if o.sample > 0 && o.sample < len(out) {
		draw := rand.New(rand.NewPCG(o.seed, 0))
		draw.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		out = out[:o.sample]
		slices.SortFunc(out, func(a, b Mutant) int { return a.ID - b.ID }) // outer ones first, as Arm needs them
	}
	return out
}

// mutantsOf is all mutants of the files of a package.
func mutantsOf(root, dir string) ([]Mutant, error) {
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var out []Mutant
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		more, err := Mutants(filepath.ToSlash(filepath.Join(dir, filepath.Base(file))), source)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	for i := range out {
		out[i].ID = i + 1
	}
	return out, nil
}

// test tries the mutants of one package, and tells those that live.
func (o options) test(ctx context.Context, root string, pkg tested, mutants []Mutant, known []*accepted) (int, error) {
	if o.list {
		for _, m := range mutants {
			fmt.Println(m)
		}
		return 0, nil
	}
	if len(mutants) == 0 {
		return 0, nil
	}
	if o.skip != "" {
		pkg.skip = strings.TrimPrefix(pkg.skip+"|"+o.skip, "|")
	}
	scratch, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(scratch)
	b := bench{root: root, scratch: scratch, pkg: pkg, only: o.only, mutants: mutants}
	refused, err := b.build(ctx)
	if err != nil {
		return 0, err
	}
	for _, m := range refused {
		fmt.Printf("cannot be built, left out: %v\n", m)
	}
	if err := b.survey(ctx); err != nil {
		return 0, err
	}
	count := map[Verdict]int{}
	unknown := 0
	for i, m := range b.mutants {
		verdict, why, err := b.try(ctx, m)
		if err != nil {
			return unknown, err
		}
		count[verdict]++
		a := acceptedFor(m, known)
		switch {
		case verdict.lives() && a == nil:
			unknown++
			fmt.Printf("%s: %v\n\t%s\n", strings.ToUpper(string(verdict)), m, m.row())
		case !verdict.lives() && a != nil:
			fmt.Printf("%v: is in %s, and is noticed now: %s %s\n", m, o.accepted, verdict, why)
		case o.verbose:
			fmt.Printf("%d/%d %s: %v %s\n", i+1, len(b.mutants), verdict, m, why)
		}
	}
	fmt.Printf("%s: %d mutants: %d killed, %d ran out of time, %d survived, of them %d without any test that comes by; %d of the survivors are not in %s\n",
		pkg.dir, len(b.mutants), count[Killed], count[Hung], count[Survived]+count[Unvisited], count[Unvisited], unknown, o.accepted)
	return unknown, nil
}
