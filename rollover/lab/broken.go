package lab

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// Seed is one zone of a lab of StartBroken: a fault that happens to operators,
// or a healthy control.
type Seed struct {
	Code  string // names the fault, for instance "digest-typo"
	Zone  string
	Story string // how it came about, in one line

	Questions   []Question
	NameServers []string // all servers of the zone, "ip:port"
	Servers     []string // those where the fault shows; empty: all
}

// Question is one question about a Seed and what a validator says of the
// answer where the fault shows.
type Question struct {
	Name   string
	Type   uint16
	Expect Verdict

	// Delv and Unbound are what they say if it is something else, and Why.
	Delv, Unbound Verdict
	Why           string
}

// Faulty says whether the fault shows at a server. Elsewhere all is secure.
func (s Seed) Faulty(server string) bool {
	return len(s.Servers) == 0 || slices.Contains(s.Servers, server)
}

// Expect is the right verdict on what a server answers.
func (s Seed) Expect(q Question, server string) Verdict { return s.expect(q.Expect, server) }

// ExpectDelv is what delv says of what a server answers.
func (s Seed) ExpectDelv(q Question, server string) Verdict {
	return s.expect(cmp.Or(q.Delv, q.Expect), server)
}

// ExpectUnbound is what Unbound says of what a server answers.
func (s Seed) ExpectUnbound(q Question, server string) Verdict {
	return s.expect(cmp.Or(q.Unbound, q.Expect), server)
}

func (s Seed) expect(verdict Verdict, server string) Verdict {
	if s.Faulty(server) {
		return verdict
	}
	return Secure
}

// StartBroken builds a lab whose zones are broken, each in its own way, with
// healthy ones between them, and with resolvers to judge them by. pdnsRoot is
// the PDNSRoot of Options. ctx bounds the start only.
func StartBroken(ctx context.Context, pdnsRoot string) (*Lab, []Seed, error) {
	if missing := MissingForOracles(); len(missing) > 0 {
		return nil, nil, fmt.Errorf("a broken lab needs programs that are not installed, of the packages %s", strings.Join(missing, ", "))
	}
	var b *seedbed
	l, err := start(ctx, startBrokenTime, Options{PDNSRoot: pdnsRoot}, func(l *Lab, ctx context.Context) error {
		b = &seedbed{Lab: l, below: make(map[string]string), ids: make(map[string][]string)}
		return b.build(ctx)
	})
	if err != nil {
		return nil, nil, err
	}
	return l, b.seeds(), nil
}
