package lab

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Violation is two contents that could have met in somebody's cache, or in a
// validator behind it, and do not validate together.
type Violation struct {
	Zone  string
	Upper []Version // the DS set, or the DNSKEY set if Lower is data
	Lower []Version // the DNSKEY set, or data
	From  time.Time // the first moment both could be in caches
	Until time.Time // the last
	Why   string
}

// String tells the violation as a story.
func (v Violation) String() string {
	return fmt.Sprintf("%s from %s to %s (%v) a cache could hold\n  %s\n  together with\n  %s\n  but %s",
		v.Zone, v.From.Format(clock), v.Until.Format(clock), v.Until.Sub(v.From).Round(time.Millisecond),
		describe(v.Upper), describe(v.Lower), v.Why)
}

func describe(versions []Version) string {
	parts := []string{versions[0].String()}
	for _, v := range versions {
		parts = append(parts, fmt.Sprintf("at %s from %s to %s, cacheable until %s",
			v.Server, v.First.Format(clock), v.Last.Format(clock), v.until().Format(clock)))
	}
	return strings.Join(parts, "\n    ")
}

// Check returns every pair of versions that could have been in use together
// and does not validate. A version may be in use from when it was first seen
// until its TTL after it was last seen, fetched from any server, independently
// of all other RRsets; so every pair whose times overlap must be good: each DS
// set with each DNSKEY set, and each DNSKEY set with all data. While a zone
// has no DS set, nothing in it can be bogus; a zone whose DS set was never
// looked at is taken to have one.
func Check(versions []Version) []Violation {
	byZone := make(map[string][]Version)
	for _, v := range versions {
		byZone[v.Zone] = append(byZone[v.Zone], v)
	}
	var all []Violation
	for _, zone := range slices.Sorted(maps.Keys(byZone)) {
		all = append(all, checkZone(zone, byZone[zone])...)
	}
	slices.SortStableFunc(all, func(a, b Violation) int { return a.From.Compare(b.From) })
	return all
}

// group is all runs, at whatever server, of one content.
type group []Version

func checkZone(zone string, versions []Version) []Violation {
	var ds, keys, data []group
	for _, g := range groups(versions) {
		switch g[0].Type {
		case dns.TypeDS:
			ds = append(ds, g)
		case dns.TypeDNSKEY:
			keys = append(keys, g)
		default:
			data = append(data, g)
		}
	}
	memory := make(verified)
	secure := securePeriods(ds)
	var all []Violation
	note := func(upper, lower group, when []Version, why string) {
		if why == "" {
			return
		}
		if v, met := meet(upper, lower, when); met {
			v.Zone, v.Why = zone, why
			all = append(all, v)
		}
	}
	for _, k := range keys {
		for _, d := range ds {
			note(d, k, nil, memory.refuseKeys(d[0], k[0]))
		}
		for _, d := range data {
			note(k, d, secure, memory.refuseData(k[0], d[0]))
		}
	}
	return all
}

// groups gathers the versions by content, in order of appearance.
func groups(versions []Version) []group {
	index := make(map[string]int)
	var all []group
	for _, v := range versions {
		content := v.content()
		i, known := index[content]
		if !known {
			i = len(all)
			index[content] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], v)
	}
	return all
}

// securePeriods is when caches could hold a DS set that makes the zone
// secure: nil if that is not known.
func securePeriods(ds []group) []Version {
	if len(ds) == 0 {
		return nil
	}
	periods := []Version{}
	for _, g := range ds {
		if len(usableDS(g[0])) > 0 {
			periods = append(periods, g...)
		}
	}
	return periods
}

// meet finds the time in which some run of one content and some run of the
// other could be in caches together, during one of the periods (nil: always).
func meet(upper, lower group, periods []Version) (Violation, bool) {
	var v Violation
	uppers, lowers := make(map[int]bool), make(map[int]bool)
	for i, u := range upper {
		for j, w := range lower {
			from, until, met := overlap(u, w, periods)
			if !met {
				continue
			}
			if len(uppers) == 0 || from.Before(v.From) {
				v.From = from
			}
			v.Until = later(v.Until, until)
			uppers[i], lowers[j] = true, true
		}
	}
	v.Upper, v.Lower = pick(upper, uppers), pick(lower, lowers)
	return v, len(uppers) > 0
}

// overlap is the time that two versions have in common, from the first of the
// periods that it touches to the last.
func overlap(a, b Version, periods []Version) (from, until time.Time, met bool) {
	from, until = later(a.First, b.First), earlier(a.until(), b.until())
	if periods == nil {
		return from, until, from.Before(until)
	}
	var first, last time.Time
	for _, p := range periods {
		begin, end := later(from, p.First), earlier(until, p.until())
		if !begin.Before(end) {
			continue
		}
		if !met || begin.Before(first) {
			first = begin
		}
		last, met = later(last, end), true
	}
	return first, last, met
}

func pick(g group, wanted map[int]bool) []Version {
	var picked []Version
	for i, v := range g {
		if wanted[i] {
			picked = append(picked, v)
		}
	}
	return picked
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
