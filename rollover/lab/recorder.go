package lab

import (
	"context"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const lookEvery = 25 * time.Millisecond

// Recorder looks at every server of the lab without pause and keeps every
// version of what it sees.
type Recorder struct {
	cancel  context.CancelFunc
	lookers sync.WaitGroup

	mu       sync.Mutex
	findings Findings
}

// Findings are what a Recorder has seen.
type Findings struct {
	Versions   []Version
	Polls      int   // questions asked
	Errors     int   // of them without a usable answer
	FirstError error // nil if there was none
}

// sight is one thing to look at: a question to a server.
type sight struct {
	zone, server, name string
	qtype              uint16
}

// Record starts a Recorder for child zones, for all of them if none is named.
// It ends with ctx or Stop.
func (l *Lab) Record(ctx context.Context, zones ...string) *Recorder {
	ctx, cancel := context.WithCancel(ctx)
	r := &Recorder{cancel: cancel}
	for _, s := range l.sights(zones) {
		r.lookers.Go(func() { r.look(ctx, s) })
	}
	return r
}

// sights lists what a Recorder looks at: at the parent's servers the DS set,
// at the children's one RRset of each way that PowerDNS signs and caches.
func (l *Lab) sights(zones []string) []sight {
	wanted := make(map[string]bool)
	for _, zone := range zones {
		wanted[dns.CanonicalName(zone)] = true
	}
	var all []sight
	for _, z := range l.options.Zones {
		if len(zones) > 0 && !wanted[z.Name] {
			continue
		}
		for _, server := range l.ParentServers() {
			all = append(all, sight{z.Name, server, z.Name, dns.TypeDS})
		}
		for _, server := range l.ChildServers() {
			all = append(all, z.sights(server)...)
		}
	}
	return all
}

func (z Zone) sights(server string) []sight {
	all := []sight{
		{z.Name, server, z.Name, dns.TypeDNSKEY},
		{z.Name, server, z.Name, dns.TypeSOA},
		{z.Name, server, "www." + z.Name, dns.TypeA},
		{z.Name, server, "nobody." + z.Name, dns.TypeA},
	}
	if z.LongTTL > 0 {
		all = append(all, sight{z.Name, server, "long." + z.Name, dns.TypeTXT})
	}
	return all
}

// Stop ends the recording and returns what was seen.
func (r *Recorder) Stop() Findings {
	r.cancel()
	r.lookers.Wait()
	return r.findings
}

// look asks one question again and again, and notes where runs of the same
// content begin and end. A run also ends when a server was silent for longer
// than caches remember what it said.
func (r *Recorder) look(ctx context.Context, s sight) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var run Version
	var content string
	for {
		seen, err := s.ask(ctx)
		if ctx.Err() != nil {
			break
		}
		r.count(err)
		switch now := seen.content(); {
		case err != nil:
		case now == content && seen.First.Before(run.until().Add(lookEvery)):
			run.Last, run.TTL = seen.Last, max(run.TTL, seen.TTL)
		default:
			r.keep(run)
			run, content = seen, now
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	r.keep(run)
}

func (s sight) ask(ctx context.Context) (Version, error) {
	answer, err := ask(ctx, s.server, s.name, s.qtype)
	if err != nil {
		return Version{}, err
	}
	return newVersion(s.zone, s.server, answer, time.Now())
}

func (r *Recorder) count(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings.Polls++
	if err != nil {
		r.findings.Errors++
		if r.findings.FirstError == nil {
			r.findings.FirstError = err
		}
	}
}

// keep stores a finished run; there is none before the first answer.
func (r *Recorder) keep(run Version) {
	if run.First.IsZero() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings.Versions = append(r.findings.Versions, run)
}
