package rollover

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// witness is a ledger that is shown answers of the parent, one look after another.
type witness struct {
	ledger Ledger
	at     Instant
}

func newWitness() *witness {
	return &witness{at: Instant{Wall: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), BootID: "a"}}
}

// shows is one server's answer: the tag in its DS set, how many hours ago it was
// signed, and the serial of the parent zone.
func (w *witness) shows(name string, tag uint16, hours int, serial uint32) ServerSighting {
	return ServerSighting{
		Server: Server{Role: RoleParent, Address: name}, Serial: serial,
		DS: &DSVersion{Set: []DS{{Tag: tag}}, Standing: &Standing{
			Security: Secure, Signed: w.at.Wall.Add(-time.Duration(hours) * time.Hour), Expires: w.at.Wall.Add(1000 * time.Hour)}},
	}
}

// look is which of the answers are taken for replays, in order: "p1 p2".
func (w *witness) look(answers ...ServerSighting) string {
	given := fmt.Sprint(answers)
	s := w.ledger.unmask(Sighting{At: w.at, Servers: answers})
	if fmt.Sprint(answers) != given {
		panic("the sighting that was given has changed")
	}
	w.ledger.learn(s)
	var out []string
	for _, v := range s.Servers {
		if v.DS != nil && v.DS.replayed() {
			out = append(out, v.Address)
		}
	}
	return strings.Join(out, " ")
}

func (w *witness) later(d time.Duration) { w.at.Wall, w.at.Boot = w.at.Wall.Add(d), w.at.Boot+d }

// changes is a parent of two servers that showed tag 1 an hour after it was
// signed, and then something else, look after look: does it ever count?
func changes(looks int, second func(w *witness, n int) []ServerSighting) bool {
	w := newWitness()
	w.look(w.shows("p1", 1, 1, 10), w.shows("p2", 1, 1, 10))
	w.later(15 * time.Minute)
	w.look(w.shows("p1", 1, 1, 10), w.shows("p2", 1, 1, 10))
	for n := range looks {
		w.later(15 * time.Minute)
		if w.look(second(w, n)...) == "" && n > 0 {
			return true
		}
	}
	return false
}

// What takes an older answer for that of a new signer, and what does not.
func TestWhatIsANewSigner(t *testing.T) {
	for name, c := range map[string]struct {
		second func(w *witness, n int) []ServerSighting
		want   bool
	}{
		"another set, moved on": {func(w *witness, n int) []ServerSighting {
			return []ServerSighting{w.shows("p1", 2, 90, 11), w.shows("p2", 2, 90, 11)}
		}, true},
		"the same set, moved on": {func(w *witness, n int) []ServerSighting {
			return []ServerSighting{w.shows("p1", 1, 90, 11), w.shows("p2", 1, 90, 11)}
		}, true},
		"serials that wrap": {func(w *witness, n int) []ServerSighting {
			return []ServerSighting{w.shows("p1", 2, 90, 1<<31+9), w.shows("p2", 2, 90, 1<<31+9)}
		}, true},
		"serials that went back": {func(w *witness, n int) []ServerSighting {
			return []ServerSighting{w.shows("p1", 2, 90, 9), w.shows("p2", 2, 90, 11)}
		}, false},
		"a serial that stands": {func(w *witness, n int) []ServerSighting {
			return []ServerSighting{w.shows("p1", 2, 90, 11), w.shows("p2", 2, 90, 10)}
		}, false},
		"no serial": {func(w *witness, n int) []ServerSighting {
			return []ServerSighting{w.shows("p1", 2, 90, 0), w.shows("p2", 2, 90, 11)}
		}, false},
		"one signs anew": {func(w *witness, n int) []ServerSighting {
			return []ServerSighting{w.shows("p1", 2, 90, 11), w.shows("p2", 2, 1, 10)}
		}, true},
		"one is silent": {func(w *witness, n int) []ServerSighting {
			return []ServerSighting{w.shows("p1", 2, 90, 11), {Server: Server{Role: RoleParent, Address: "p2"}, Unknown: "timed out"}}
		}, false},
		"one is unsigned": {func(w *witness, n int) []ServerSighting {
			v := w.shows("p2", 2, 90, 11)
			v.DS.Standing.Security = Insecure
			return []ServerSighting{w.shows("p1", 2, 90, 11), v}
		}, false},
		"one is not validated": {func(w *witness, n int) []ServerSighting {
			v := w.shows("p2", 2, 90, 11)
			v.DS.Standing = nil
			return []ServerSighting{w.shows("p1", 2, 90, 11), v}
		}, false},
		"of no known age": {func(w *witness, n int) []ServerSighting {
			v := w.shows("p2", 2, 90, 11)
			v.DS.Standing.Signed = time.Time{}
			return []ServerSighting{w.shows("p1", 2, 90, 11), v}
		}, false},
		"two sets": {func(w *witness, n int) []ServerSighting {
			return []ServerSighting{w.shows("p1", 2, 90, 11), w.shows("p2", 3, 90, 11)}
		}, false},
		"now this, now that": {func(w *witness, n int) []ServerSighting {
			tag := uint16(2 + n%2)
			return []ServerSighting{w.shows("p1", tag, 90, 11), w.shows("p2", tag, 90, 11)}
		}, false},
		"interrupted": {func(w *witness, n int) []ServerSighting {
			if n%3 == 2 {
				return []ServerSighting{w.shows("p1", 2, 90, 11), w.shows("p2", 2, 90, 9)}
			}
			return []ServerSighting{w.shows("p1", 2, 90, 11), w.shows("p2", 2, 90, 11)}
		}, false},
	} {
		if got := changes(12, c.second); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The hour counts once: who signs with yet older signatures is doubted anew.
func TestEachNewSignerIsDoubtedAnew(t *testing.T) {
	w := newWitness()
	w.look(w.shows("p1", 1, 1, 10))
	believed := func(hours int, serial uint32) (looks int) {
		for looks = 1; looks < 20; looks++ {
			w.later(20 * time.Minute)
			if w.look(w.shows("p1", 2, hours, serial)) == "" {
				return looks
			}
		}
		return looks
	}
	if n := believed(90, 11); n != 4 || w.ledger.Doubt != nil {
		t.Errorf("believed after %d looks, doubt %+v", n, w.ledger.Doubt)
	}
	w.later(20 * time.Minute)
	if got := w.look(w.shows("p1", 2, 90, 11)); got != "" {
		t.Error("doubted again")
	}
	if n := believed(900, 12); n != 4 {
		t.Errorf("the next one after %d", n)
	}
}

// A look that shows what is newer ends a doubt; one that shows nothing does not.
func TestWhatEndsADoubt(t *testing.T) {
	doubted := func() *witness {
		w := newWitness()
		w.look(w.shows("p1", 1, 1, 10))
		w.later(20 * time.Minute)
		w.look(w.shows("p1", 2, 90, 11))
		if w.ledger.Doubt == nil {
			t.Fatal("no doubt")
		}
		return w
	}
	w := doubted()
	w.look(ServerSighting{Server: Server{Role: RoleParent, Address: "p1"}, Unknown: "timed out"})
	if w.ledger.Doubt == nil {
		t.Error("silence has ended it")
	}
	w.look(w.shows("p1", 1, 1, 11))
	if w.ledger.Doubt != nil {
		t.Error("it outlives a newer answer")
	}
}

// A set that was seen is news only while the newest answer says the same and is
// valid; and only what was proven, at that server, was seen.
func TestASetThatWasSeenIsNoNews(t *testing.T) {
	set := []DS{{Tag: 2}}
	entry := func(server string, version *DSVersion) LedgerEntry {
		return LedgerEntry{Record: RecordDS, Server: server, DS: version}
	}
	w := newWitness()
	v := w.shows("p1", 2, 90, 11)
	for name, c := range map[string]struct {
		entry LedgerEntry
		want  bool
	}{
		"proven":       {entry("p1", &DSVersion{Set: set, Standing: &Standing{Security: Secure}}), true},
		"elsewhere":    {entry("p2", &DSVersion{Set: set, Standing: &Standing{Security: Secure}}), false},
		"not proven":   {entry("p1", &DSVersion{Set: set, Standing: &Standing{Security: Bogus}}), false},
		"unknown":      {entry("p1", &DSVersion{Set: set}), false},
		"another":      {entry("p1", &DSVersion{Set: []DS{{Tag: 3}}, Standing: &Standing{Security: Secure}}), false},
		"no DS at all": {LedgerEntry{Record: RecordDNSKEY, Server: "p1", DNSKEY: &KeyVersion{}}, false},
	} {
		l := Ledger{Entries: []LedgerEntry{c.entry}}
		if got := l.seen(v); got != c.want {
			t.Errorf("%s: seen %v", name, got)
		}
	}
	now := w.at.Wall
	newest := Proven{Signed: now.Add(-time.Hour), Expires: now.Add(time.Hour), Set: set}
	for name, c := range map[string]struct {
		change func(l *Ledger, p *Proven)
		want   bool
	}{
		"the same":          {func(*Ledger, *Proven) {}, true},
		"expired":           {func(_ *Ledger, p *Proven) { p.Expires = now }, false},
		"another set":       {func(_ *Ledger, p *Proven) { p.Set = nil }, false},
		"not the newest":    {func(_ *Ledger, p *Proven) { p.Signed = now.Add(-2 * time.Hour) }, false},
		"of another server": {func(l *Ledger, _ *Proven) { l.Proven = nil }, false},
	} {
		p := newest
		l := Ledger{Signed: map[string]time.Time{"p1": newest.Signed}}
		l.Proven = map[string]Proven{}
		c.change(&l, &p)
		if l.Proven != nil {
			l.Proven["p1"] = p
		}
		if got := l.repeats(v, now); got != c.want {
			t.Errorf("%s: repeats %v", name, got)
		}
	}
}

// What an older answer may come from is told by the serial.
func TestWhatIsSuspected(t *testing.T) {
	w := newWitness()
	for name, c := range map[string]struct {
		then, now uint32
		doubt     *Doubt
		says      string
	}{
		"doubt":         {10, 12, &Doubt{Since: w.at.Wall, Earned: 20 * time.Minute}, "; all servers of the parent show it since 2026-11-23T12:00:00Z, and its zone has moved on (serial 12, then 10): perhaps its signer has changed; it is believed when they have shown it for 40m0s more"},
		"no serial":     {10, 0, nil, ""},
		"no serial yet": {0, 10, nil, ""},
		"behind":        {10, 9, nil, "; this server of the parent is behind: it has serial 9, and had 10"},
		"unchanged":     {10, 10, nil, "; the parent zone has not changed since (serial 10)"},
		"moved on":      {10, 11, nil, "; the parent zone has moved on (serial 11, then 10), so perhaps its signer has changed; but this set was seen there before, or not all of its servers show it: it is believed when it is signed later than that"},
	} {
		l := Ledger{Proven: map[string]Proven{"p1": {Serial: c.then}}, Doubt: c.doubt}
		if got := l.suspicion(w.shows("p1", 2, 90, c.now)); got != c.says {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A replay is marked in a copy: what the eyes have shown stays as it was.
func TestAReplayIsMarkedInACopy(t *testing.T) {
	w := newWitness()
	w.look(w.shows("p1", 1, 1, 10), w.shows("p2", 1, 1, 10))
	if got := w.look(w.shows("p1", 1, 3, 10), w.shows("p2", 1, 1, 10)); got != "p1" {
		t.Errorf("replays at %q", got)
	}
	v := w.shows("p1", 1, 3, 10)
	answers := []ServerSighting{v}
	s := w.ledger.unmask(Sighting{At: w.at, Servers: answers})
	if answers[0].DS != v.DS || v.DS.Standing.Replayed || s.Servers[0].DS == v.DS {
		t.Error("the answer itself was changed")
	}
	if why := s.Servers[0].DS.Standing.Why; s.Servers[0].DS.Standing.Security != Bogus || !strings.HasPrefix(why, "replays an older DS set: it was signed at 2026-11-23T09:00:00Z, and one signed at 2026-11-23T11:00:00Z was seen there before") {
		t.Errorf("%q", why)
	}
}

// Servers that are not looked at any more leave the ledger when their side is
// looked at, once, and come back.
func TestServersThatLeave(t *testing.T) {
	var l Ledger
	at := func(n int) Instant { return Instant{Wall: time.Unix(int64(1e9+n), 0), BootID: "a"} }
	l.Entries = []LedgerEntry{{Record: RecordDNSKEY, Server: "c1"}, {Record: RecordDS, Server: "p1"}}
	server := func(role, address string) ServerSighting {
		return ServerSighting{Server: Server{Role: role, Address: address}}
	}
	child, parent := func(n string) ServerSighting { return server(RoleChild, n) }, func(n string) ServerSighting { return server(RoleParent, n) }
	for n, c := range []struct {
		servers []ServerSighting
		want    [2]Instant
	}{
		1: {[]ServerSighting{child("c1"), child("c2")}, [2]Instant{}},
		2: {[]ServerSighting{child("c2"), child("c3")}, [2]Instant{at(2)}},
		3: {[]ServerSighting{child("c2"), parent("p2"), child("c3")}, [2]Instant{at(2), at(3)}},
		4: {[]ServerSighting{parent("p2")}, [2]Instant{at(2), at(3)}},
		5: {[]ServerSighting{parent("p1"), parent("p2")}, [2]Instant{at(2), {}}},
		6: {[]ServerSighting{child("c1"), child("c2"), parent("p2")}, [2]Instant{{}, at(6)}},
	} {
		if n == 0 {
			continue
		}
		l.leave(Sighting{At: at(n), Servers: c.servers})
		if got := [2]Instant{l.Entries[0].Left, l.Entries[1].Left}; got != c.want {
			t.Errorf("look %d: %+v, expected %+v", n, got, c.want)
		}
	}
}

// Of the others no more counts than what a server that left had earned itself.
func TestWhoLeavesTakesWhatWasNotEarned(t *testing.T) {
	st := Seen(RecordDNSKEY, Has(New)).Statement
	for name, c := range map[string]struct {
		was    map[string]Holding
		earned [2]time.Duration
	}{
		"nobody left":    {map[string]Holding{"a": {}, "b": {}}, [2]time.Duration{50, 30}},
		"it had more":    {map[string]Holding{"a": {}, "x": {Good: true, Earned: 90}}, [2]time.Duration{50, 30}},
		"it had less":    {map[string]Holding{"x": {Good: true, Earned: 40}}, [2]time.Duration{40, 30}},
		"two left":       {map[string]Holding{"x": {Good: true, Earned: 40}, "y": {Good: true, Earned: 20}}, [2]time.Duration{20, 20}},
		"it was silent":  {map[string]Holding{"x": {Earned: 90}}, [2]time.Duration{}},
		"less than none": {map[string]Holding{"x": {Good: true, Earned: -10}}, [2]time.Duration{}},
	} {
		r := Roll{Held: map[string]map[string]Holding{st.String(): c.was}}
		got := r.without(st, map[string]Holding{"a": {Earned: 50}, "b": {Earned: 30}})
		if out := [2]time.Duration{got["a"].Earned, got["b"].Earned}; out != c.earned || len(got) != 2 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A server has moved on when its serial has, and both are known (RFC 1982).
func TestWhoHasMovedOn(t *testing.T) {
	w := newWitness()
	for _, c := range []struct {
		then, now uint32
		want      bool
	}{{10, 11, true}, {10, 10, false}, {10, 9, false}, {0, 11, false}, {3e9, 0, false}, {3e9, 10, true}, {0, 0, false}} {
		l := Ledger{Signed: map[string]time.Time{"p1": w.at.Wall}, Proven: map[string]Proven{"p1": {Serial: c.then}}}
		if got := l.movedOn(w.shows("p1", 2, 90, c.now)); got != c.want {
			t.Errorf("from %d to %d: %v", c.then, c.now, got)
		}
	}
}
