package main

import (
	"context"
	"time"

	"rollover/rollover"
)

const (
	// maxListed is up to how many zones check reads the records of, to know what to
	// ask for: each costs a run of pdnsutil. Beyond that the names of the last
	// rollover do, or the usual ones.
	maxListed = 200
	// listers is how many pdnsutil run side by side for that.
	listers = 4
	// listing is how long one may take.
	listing = 10 * time.Second
)

// sampler says which names to ask for.
type sampler struct {
	world *world
	slots chan struct{} // nil: records are not read
}

func newSampler(w *world, zones int) *sampler {
	s := &sampler{world: w}
	if zones <= maxListed {
		s.slots = make(chan struct{}, listers)
	}
	return s
}

// of is the names to ask of a zone: by its records as they are now, for a name
// that came in since the last rollover may be the one that does not validate; else
// the known ones. A zone that this PowerDNS does not have is no fault here.
func (s *sampler) of(ctx context.Context, zone string, known []rollover.Sample) []rollover.Sample {
	if fresh := s.fresh(ctx, zone); len(fresh) > 0 {
		return fresh
	}
	if len(known) == 0 {
		return usualSamples(zone)
	}
	return known
}

func (s *sampler) fresh(ctx context.Context, zone string) []rollover.Sample {
	if s.slots == nil {
		return nil
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-s.slots }()
	ctx, cancel := context.WithTimeout(ctx, listing)
	defer cancel()
	contents, err := s.world.tool.Contents(ctx, zone)
	if err != nil {
		return nil // what is served is examined all the same
	}
	return contents.Samples
}

// usualSamples are names that most zones have; one that is missing is answered
// with a proof, which is signed as well.
func usualSamples(zone string) []rollover.Sample {
	www := "www." + zone
	if zone == "." {
		www = "www."
	}
	return []rollover.Sample{{Name: zone, Type: "A"}, {Name: zone, Type: "MX"}, {Name: zone, Type: "TXT"}, {Name: www, Type: "A"}, {Name: www, Type: "AAAA"}}
}
