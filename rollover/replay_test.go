package rollover_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// signer is how the parent signs: with inceptions that are so old, in a zone
// with this serial.
type signer struct {
	age    time.Duration
	serial func(server string) uint32
}

// by shows what the parent's servers show as signed by a signer; nil is not shown.
func (g signer) by(w *rollovertest.World, only ...string) func(*rollover.Sighting) {
	return func(s *rollover.Sighting) {
		for i, o := range s.Servers {
			if o.DS == nil {
				continue
			}
			ds, standing := *o.DS, *o.DS.Standing
			standing.Signed = w.Now.Wall.Add(-time.Hour)
			if len(only) == 0 || slices.Contains(only, o.Name) {
				standing.Signed = w.Now.Wall.Add(-g.age)
			}
			ds.Standing = &standing
			s.Servers[i].DS, s.Servers[i].Serial = &ds, g.serial(o.Name)
		}
	}
}

// counting is a zone whose serial rises with time.
func counting(w *rollovertest.World) func(string) uint32 {
	begin := w.Now.Wall
	return func(string) uint32 { return 1000 + uint32(w.Now.Wall.Sub(begin)/time.Minute) }
}

// signedByAnother is a KSK rollover at submit, below a parent that signed an hour
// ago and then changes its signer.
func signedByAnother(t *testing.T) (*rollovertest.World, rollover.Policy) {
	t.Helper()
	w, p := rollovertest.New("split", unequal), tight()
	p.Evidence = rollover.EvidenceValidated
	sees(w, signer{time.Hour, counting(w)}.by(w))
	start(t, w, p, rollover.Order{Type: "ksk"})
	w.Operator = func(*rollovertest.World, []rollover.DS) {}
	toStep(t, w, p, "submit")
	w.SetDS(append(w.DSSet(), dsOfKey(w.Roll().New[0])))
	w.Advance(unit)
	return w, p
}

// within ticks for some time, and says whether a step was reached.
func within(t *testing.T, w *rollovertest.World, p rollover.Policy, d time.Duration, step string, change func(*rollover.Sighting)) bool {
	t.Helper()
	for end := w.Now.Wall.Add(d); w.Now.Wall.Before(end); whole(t, w, unit) {
		if !w.Roll().NextCheck.After(w.Clock().Wall) {
			tickSeeing(t, w, p, change)
		}
		if w.Roll().Step == step {
			return true
		}
	}
	return false
}

// A parent that changes to a signer with older inceptions is believed when all
// its servers have shown the same for an hour, in a zone that moves on; until
// then it is told what is going on.
func TestParentChangesItsSigner(t *testing.T) {
	w, p := signedByAnother(t)
	g := signer{72 * time.Hour, counting(w)}
	g.serial = func(string) uint32 { return 5000 + uint32(w.Now.Wall.Unix()%1e6) }
	if within(t, w, p, 50*time.Minute, "switch", g.by(w)) {
		t.Fatal("believed at once")
	}
	says(t, w, p, "perhaps its signer has changed")
	if !within(t, w, p, 3*time.Hour, "switch", g.by(w)) {
		t.Errorf("not believed after hours: %+v", w.Roll().Need)
	}
}

// The set that was seen last, signed by another, is believed after that hour too.
func TestOlderSignatureOverTheSameSet(t *testing.T) {
	w, p := signedByAnother(t)
	tickDue(t, w, p) // seen with a new signature
	tickDue(t, w, p)
	g := signer{72 * time.Hour, func(string) uint32 { return 5000 + uint32(w.Now.Wall.Unix()%1e6) }}
	if within(t, w, p, 50*time.Minute, "switch", g.by(w)) || !within(t, w, p, 3*time.Hour, "switch", g.by(w)) {
		t.Errorf("need %+v", w.Roll().Need)
	}
}

// What is no change of the signer stays a replay, however often it is shown.
func TestReplaysStayReplays(t *testing.T) {
	cases := map[string]struct {
		signer signer
		only   []string
		says   string
	}{
		"a server that is behind": {signer{72 * time.Hour, func(server string) uint32 {
			if server == "p2" {
				return 10
			}
			return 100000
		}}, []string{"p2"}, "is behind: it has serial 10"},
		"a zone that stands still":    {signer{72 * time.Hour, func(string) uint32 { return 1000 }}, nil, ""},
		"a parent without its serial": {signer{72 * time.Hour, func(string) uint32 { return 0 }}, nil, "replays an older DS set"},
		"a parent that went back":     {signer{72 * time.Hour, func(string) uint32 { return 900 }}, nil, "is behind"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w, p := signedByAnother(t)
			if within(t, w, p, 6*time.Hour, "switch", c.signer.by(w, c.only...)) {
				t.Errorf("believed after all")
			}
			says(t, w, p, c.says)
			w.Operator = nil
			drive(t, w, p, 300)
			finished(t, w)
		})
	}
}

// A set that was seen before is never taken for that of a new signer: it is what
// can be replayed. The parent lost the DS of new, and the answers from before
// come again from all its servers, in a zone that has moved on.
func TestReplayedSetIsNeverNews(t *testing.T) {
	w, p := signedByAnother(t)
	tickDue(t, w, p)
	both := func(r *rollover.Roll) []rollover.DS { return []rollover.DS{dsOfKey(r.Old[0]), dsOfKey(r.New[0])} }
	w.SetDS(w.DSSet()[:1])
	w.Advance(unit)
	tickDue(t, w, p) // seen without
	replay := func(s *rollover.Sighting) {
		claiming(both, w, &rollover.Standing{Security: rollover.Secure, Signed: w.Now.Wall.Add(-72 * time.Hour), Expires: w.Now.Wall.Add(time.Hour)})(s)
		for i := range s.Servers {
			s.Servers[i].Serial = 100000
		}
	}
	if within(t, w, p, 6*time.Hour, "switch", replay) {
		t.Error("a replay was believed")
	}
	if s := describe(t, w, p); !strings.Contains(s.WaitingFor, "this set was seen there before") {
		t.Errorf("status says %q", s.WaitingFor)
	}
}

// Servers of the parent that do not say the same are no new signer.
func TestNewSignerIsOneForAll(t *testing.T) {
	var l rollover.Ledger
	at := rollover.Instant{Wall: time.Unix(1e9, 0), BootID: "a"}
	look := func(age time.Duration, sets ...[]rollover.DS) (out []rollover.Security) {
		at.Wall, at.Boot = at.Wall.Add(20*time.Minute), at.Boot+20*time.Minute
		s := rollover.Sighting{At: at}
		for i, set := range sets {
			s.Servers = append(s.Servers, rollover.ServerSighting{
				Server: rollover.Server{Role: rollover.RoleParent, Address: []string{"p1", "p2"}[i]}, Serial: uint32(at.Wall.Unix()),
				DS: &rollover.DSVersion{Set: set, Standing: &rollover.Standing{Security: rollover.Secure, Signed: at.Wall.Add(-age)}},
			})
		}
		s = l.Unmask(s)
		l.LearnSighting(s)
		for _, v := range s.Servers {
			out = append(out, v.DS.Standing.Security)
		}
		return out
	}
	one, two, three := []rollover.DS{{Tag: 1}}, []rollover.DS{{Tag: 2}}, []rollover.DS{{Tag: 3}}
	look(time.Hour, one, one)
	for range 12 {
		if got := look(100*time.Hour, two, three); slices.Contains(got, rollover.Secure) {
			t.Fatalf("believed: %v", got)
		}
	}
	for range 12 {
		look(100*time.Hour, two, two)
	}
	if got := look(100*time.Hour, two, two); slices.Contains(got, rollover.Bogus) {
		t.Errorf("not believed when they are alike: %v", got)
	}
}

// Looks that nobody made do not count for a new signer.
func TestNewSignerNeedsLooks(t *testing.T) {
	var l rollover.Ledger
	at := rollover.Instant{Wall: time.Unix(1e9, 0), BootID: "a"}
	look := func(later, age time.Duration, tag uint16) rollover.Security {
		at.Wall, at.Boot = at.Wall.Add(later), at.Boot+later
		standing := &rollover.Standing{Security: rollover.Secure, Signed: at.Wall.Add(-age), Expires: at.Wall.Add(240 * time.Hour)}
		s := rollover.Sighting{At: at, Servers: []rollover.ServerSighting{{
			Server: rollover.Server{Role: rollover.RoleParent, Address: "p1"}, Serial: uint32(at.Wall.Unix()),
			DS: &rollover.DSVersion{Set: []rollover.DS{{Tag: tag}}, Standing: standing},
		}}}
		s = l.Unmask(s)
		l.LearnSighting(s)
		return s.Servers[0].DS.Standing.Security
	}
	if look(0, time.Hour, 1) != rollover.Secure || look(time.Minute, 100*time.Hour, 2) != rollover.Bogus {
		t.Fatal("expected a good answer and a replay")
	}
	if look(48*time.Hour, 100*time.Hour, 2) != rollover.Bogus {
		t.Error("believed after a single look two days later")
	}
	look(20*time.Minute, 100*time.Hour, 2)
	if look(20*time.Minute, 100*time.Hour, 2) != rollover.Secure {
		t.Error("not believed after four looks in an hour")
	}
}
