package lab

import (
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// What the seeds claim is what real validators say, server by server.
func TestSeeds(t *testing.T) {
	t.Parallel()
	l, seeds, err := StartBroken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	slots := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for _, seed := range seeds {
		for _, server := range seed.NameServers {
			for _, question := range seed.Questions {
				wg.Go(func() {
					slots <- struct{}{}
					defer func() { <-slots }()
					judge(t, l, seed, server, question)
				})
			}
		}
	}
	wg.Wait()
}

func judge(t *testing.T, l *Lab, seed Seed, server string, q Question) {
	name := q.Name + " " + dns.TypeToString[q.Type]
	verdict, text, err := l.Unbound(t.Context(), server, q.Name, q.Type)
	if want := seed.ExpectUnbound(q, server); err != nil || verdict != want {
		t.Errorf("Unbound via %s says of %s: %s, want %s: %s, %v", server, name, verdict, want, text, err)
	}
	verdict, text, err = l.Delv(t.Context(), server, q.Name, q.Type)
	if want := seed.ExpectDelv(q, server); err != nil || verdict != want {
		t.Errorf("delv via %s says of %s: %s, want %s: %v\n%s", server, name, verdict, want, err, text)
	}
}
