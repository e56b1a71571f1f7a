package rollover

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Time is counted by the boot clock, and by the wall clock only over a boot; it
// never runs backwards.
func TestHowTimePasses(t *testing.T) {
	wall := time.Unix(1e9, 0)
	was := Instant{Wall: wall, Boot: time.Hour, BootID: "a"}
	for name, c := range map[string]struct {
		now          Instant
		since, drift time.Duration
	}{
		"both":                 {Instant{Wall: wall.Add(time.Minute), Boot: time.Hour + time.Minute, BootID: "a"}, time.Minute, 0},
		"the wall jumped":      {Instant{Wall: wall.Add(time.Hour), Boot: time.Hour + time.Minute, BootID: "a"}, time.Minute, 59 * time.Minute},
		"the wall was set":     {Instant{Wall: wall.Add(-time.Hour), Boot: time.Hour + time.Minute, BootID: "a"}, time.Minute, -61 * time.Minute},
		"after a boot":         {Instant{Wall: wall.Add(time.Hour), Boot: time.Second, BootID: "b"}, time.Hour, 0},
		"after a boot, before": {Instant{Wall: wall.Add(-time.Hour), Boot: time.Second, BootID: "b"}, 0, -time.Hour},
		"backwards":            {Instant{Wall: wall, Boot: 0, BootID: "a"}, 0, time.Hour},
	} {
		if since, drift := c.now.Since(was), c.now.drift(was); since != c.since || drift != c.drift {
			t.Errorf("%s: %v passed, drift %v; expected %v, %v", name, since, drift, c.since, c.drift)
		}
	}
	bare, later := Instant{Wall: wall, Boot: 1}, Instant{Wall: wall.Add(time.Minute), Boot: 2}
	if got := later.Since(bare); got != time.Minute {
		t.Errorf("where no boot is known %v passed", got)
	}
	for want, list := range map[bool][]Instant{true: {{}, {Boot: 1}}, false: {{Wall: wall}, {BootID: "a"}, was}} {
		for _, i := range list {
			if i.IsZero() != want {
				t.Errorf("%+v", i)
			}
		}
	}
}

// When a zone is looked at: in time; and at once when the clock was ahead.
func TestWhenAZoneIsDue(t *testing.T) {
	now, p := time.Unix(1e9, 0), Policy{CheckInterval: time.Hour}
	for name, c := range map[string]struct {
		next, furthest time.Duration
		want           bool
	}{
		"past": {-1, -1, true}, "now": {0, 0, true}, "soon": {1, 2, false}, "at the interval": {time.Hour, 2 * time.Hour, false},
		"beyond the interval": {time.Hour + 1, 2 * time.Hour, true}, "the clock may be behind": {time.Hour + 1, 0, false},
		"two days away": {49 * time.Hour, 0, false}, "too far": {49*time.Hour + 1, 0, true},
	} {
		if got := p.Due(now.Add(c.next), now.Add(c.furthest), now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// How often nobody looked for too long, and when that is forgotten.
func TestHowAbsenceIsCounted(t *testing.T) {
	at := func(d time.Duration) Instant { return Instant{Wall: time.Unix(1e9, 0).Add(d), Boot: d, BootID: "a"} }
	p := Policy{MaxGap: time.Hour}
	once := Absence{1, 3 * time.Hour, at(0)}
	for name, c := range map[string]struct {
		was      Absence
		last, at Instant
		want     Absence
	}{
		"the first look": {once, Instant{}, at(9 * time.Hour), once},
		"in time":        {once, at(0), at(time.Hour), once},
		"too long":       {once, at(0), at(5 * time.Hour), Absence{2, 5 * time.Hour, at(5 * time.Hour)}},
		"forgotten":      {once, at(2 * time.Hour), at(2*time.Hour + 2), Absence{}},
		"not yet":        {once, at(time.Hour), at(2 * time.Hour), once},
		"there was none": {Absence{Gap: 1}, at(2 * time.Hour), at(3 * time.Hour), Absence{Gap: 1}},
	} {
		if got := c.was.after(c.last, c.at, p); got != c.want {
			t.Errorf("%s: %+v, expected %+v", name, got, c.want)
		}
	}
	for says, a := range map[string]Absence{
		"advance runs every 3h0m0s, max_gap is 1h0m0s: no wait can ever end": {2, 3*time.Hour + 1, at(0)},
		"nobody looked for 3h0m0s, which is more than twice max_gap":         once,
	} {
		if got := a.sentence(p); !strings.HasPrefix(got, says) {
			t.Errorf("%s", got)
		}
	}
	if (Absence{}).sentence(p) != "" || !(Absence{}).IsZero() || once.IsZero() {
		t.Error("no absence has a sentence, or one is none")
	}
}

// Which DS records a strict validator insists on, and finds no key for: those of
// the strongest digest, of algorithms it knows, that lead to no key which signs.
func TestWhichDSRecordsLeadNowhere(t *testing.T) {
	signs, idle := aKey(1, KSK), aKey(2, KSK)
	zone := "example.com."
	set := KeyVersion{Keys: dnskeysOf(signs, idle), Signers: dnskeysOf(signs)}
	lone := KeyVersion{Keys: dnskeysOf(idle), Signers: dnskeysOf(signs)} // it signs, and is not in the set
	good, weak, strong, other := dsRecord(signs, 2), dsRecord(idle, 2), stranger(13, 4), stranger(8, 2)
	sha1 := DS{Tag: 1, Algorithm: 13, DigestType: 1, Digest: "AB"}
	unknown, unheard := stranger(13, 2), stranger(17, 2)
	unknown.DigestType = 3
	for name, c := range map[string]struct {
		ds   []DS
		keys KeyVersion
		want []DS
	}{
		"followed":           {[]DS{good}, set, nil},
		"a key that is idle": {[]DS{weak}, set, []DS{weak}},
		"one of two":         {[]DS{good, weak}, set, nil},
		"a stronger one":     {[]DS{good, strong}, set, []DS{strong}},
		"a weaker one":       {[]DS{good, sha1}, set, nil},
		"SHA-1 alone":        {[]DS{sha1}, set, []DS{sha1}},
		"another algorithm":  {[]DS{good, other}, set, []DS{other}},
		"unknown digest":     {[]DS{good, unknown}, set, nil},
		"unknown algorithm":  {[]DS{good, unheard}, set, nil},
		"not in the set":     {[]DS{good}, lone, []DS{good}},
		"none":               {nil, set, nil},
	} {
		if got := Unfollowed(zone, c.ds, c.keys); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, expected %v", name, got, c.want)
		}
	}
}
