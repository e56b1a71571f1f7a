//go:build linux && amd64

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// reaper kills the program at each edge of its system calls, once for each
// step of a rollover: an advance that acts dies at the first edge at which none
// has died in this step, so that the step goes on from edge to edge.
type reaper struct {
	*harness
	died  map[string]bool // the places, by zone and step
	all   map[string]int  // the kinds of places, and how often
	turn  map[string]int  // of commands that change keys: how many steps had them
	turns map[string]int  // by zone and step: which turn it is
	told  int             // how often status told of a step under way
	// once lets it die at each place once in each rollover, not in each step of it.
	once bool
}

// newReaper is one for a harness, which counts the keys made from now on.
func newReaper(h *harness) *reaper {
	h.countKeys()
	h.patience *= 4 // a run for each kill
	return &reaper{harness: h, died: map[string]bool{}, all: map[string]int{}, turn: map[string]int{}, turns: map[string]int{}}
}

// kills is how many there were.
func (r *reaper) kills() int {
	n := 0
	for _, times := range r.all {
		n += times
	}
	return n
}

// killing is a run that is to be killed.
type killing struct {
	scene
	*reaper
	step  string
	place string // where it died
}

// at decides at an edge. Before the first command of PowerDNS nothing is due,
// or nothing is known yet: that is left alone. The side after a call is a place
// of its own where the call changes something by itself.
func (s *killing) at(e edge) fate {
	s.hear(e)
	exact := fmt.Sprintf("%v %d, %s", e, s.seen[e], s.last)
	if s.last == "" || s.died[s.step+exact] || !s.counts(e) {
		return fate{}
	}
	s.died[s.step+exact], s.place = true, fmt.Sprintf("%v, %s", e, s.last)
	return fate{kill: true}
}

// counts says whether the program is to die at such an edge. What changes keys
// has one effect, which is the end of it if the program dies in the middle: it
// dies in turns while the command runs, when it has ended, and when it is about
// to be read back.
func (s *killing) counts(e edge) bool {
	turn := slices.Index([]edge{{"reap", false}, {"reap", true}, {"run", false}}, e)
	_, command, _ := strings.Cut(s.last, " ")
	if turn < 0 || !strings.HasSuffix(command, "-zone-key") {
		return e.call == "sync" || !e.after && e.call != "lock" || turn == 1
	}
	if _, ok := s.turns[s.step+command]; !ok {
		s.turns[s.step+command] = s.turn[command] % 3
		s.turn[command]++
	}
	return turn == s.turns[s.step+command]
}

// killed runs the program for a zone; true if it died on the way.
func (r *reaper) killed(zone, step string, args ...string) bool {
	r.t.Helper()
	died, o := r.tried(zone, step, args...)
	if !died && o.code != 0 {
		r.t.Fatalf("rollover %s: %v", strings.Join(args, " "), o)
	}
	return died
}

// tried is killed for a command that may be refused.
func (r *reaper) tried(zone, step string, args ...string) (died bool, o outcome) {
	r.t.Helper()
	cmd, _, _ := r.command(args...)
	s := &killing{scene: r.scene(), reaper: r, step: zone + " " + step + " "}
	if r.once {
		s.step = zone + " "
	}
	tracer := &tracer{at: s.at}
	o, err := tracer.run(cmd)
	if err != nil {
		r.t.Fatal(err)
	}
	if died = tracer.ended.Signaled(); died {
		r.all[s.place]++
	}
	return died, o
}

// start begins a rollover through kills. While nothing was stored it is simply
// given again; once there is one, advance goes on with it.
func (r *reaper) start(zone string, order ...string) {
	r.t.Helper()
	for r.killed(zone, "start", order...) {
		if r.rollover("status", zone).code == 0 {
			r.explained(zone)
			return
		}
	}
}

// push advances a zone through kills until one advance lives.
func (r *reaper) push(zone string) {
	r.t.Helper()
	for s := r.status(zone); !s.State.Ended() && r.killed(zone, s.Step, "advance", zone); s = r.explained(zone) {
	}
}

// goBack gives an order to go back, through kills; true if it was taken. A killed
// one was taken if it was stored.
func (r *reaper) goBack(zone, order string) bool {
	r.t.Helper()
	for {
		died, o := r.tried(zone, order, order, zone, "--reason", "a test")
		switch {
		case strings.HasPrefix(r.explained(zone).Kind, order+"/"):
			return true
		case died:
		case strings.Contains(o.stderr, "is behind"), strings.Contains(o.stderr, "--parent-unchanged"):
			return false // what was done has not arrived yet
		default:
			r.t.Fatalf("rollover %s %s: %v", order, zone, o)
		}
	}
}

// explained checks what status says after a kill.
func (r *reaper) explained(zone string) rollover.Status {
	r.t.Helper()
	s := r.harness.explained(zone)
	if strings.Contains(s.WaitingFor, "is under way") && strings.Contains(s.Command, "rollover advance") {
		r.told++
	}
	return s
}

// roll takes zones from start to end through all kills.
func (r *reaper) roll(orders map[string][]string) {
	r.t.Helper()
	var zones []string
	for zone := range orders {
		zones = append(zones, zone)
	}
	slices.Sort(zones)
	r.witnessed(zones, func() {
		for _, zone := range zones {
			r.start(zone, append([]string{"start", zone}, orders[zone]...)...)
		}
		r.until("done", zones, func() {
			for _, zone := range zones {
				r.push(zone)
			}
		}, done)
	})
	for _, zone := range zones {
		r.finished(zone)
	}
	r.madeKeys(len(zones))
}

// covers checks that it was killed wherever an advance can be that acts: on
// both sides of the intent, of each command, of reading back, and of the commit.
func (r *reaper) covers() {
	r.t.Helper()
	for _, place := range []string{
		"before save, after show-zone", "before sync, after show-zone", "after sync, after show-zone", // the intent
		"before save, after list-zone", "before sync, after list-zone", "after sync, after list-zone",
		"before run, after show-zone", "before run, after list-zone", // a command
		"before reap, in add-zone-key", "before reap, in activate-zone-key", "before reap, in deactivate-zone-key", "before reap, in remove-zone-key",
		"after reap, after add-zone-key", "after reap, after activate-zone-key", "after reap, after deactivate-zone-key", "after reap, after remove-zone-key",
		"before run, after add-zone-key", "before run, after activate-zone-key", "before run, after deactivate-zone-key", "before run, after remove-zone-key",
		"before reap, in show-zone", "after reap, after show-zone", // reading back
		"after reap, after increase-serial", "after reap, after purge", "after reap, after notify",
		"before save, after notify", "before sync, after notify", "after sync, after notify", // the commit
	} {
		if r.all[place] == 0 {
			r.t.Errorf("never killed %s", place)
		}
	}
}

// report tells where it was killed, and how often.
func (r *reaper) report() {
	r.t.Logf("%d kills; %d times status told of a step under way", r.kills(), r.told)
	for _, place := range sorted(r.all) {
		r.t.Logf("%4d %s", r.all[place], place)
	}
}

func sorted(counts map[string]int) []string {
	var out []string
	for place := range counts {
		out = append(out, place)
	}
	slices.Sort(out)
	return out
}

// Every kind of rollover, killed with SIGKILL at each edge of a system call by
// which it stores, starts a command or learns that it ended: between any two
// effects. No key is made twice, nothing is lost, and status tells where it is.
func TestKilledAtEverySystemCall(t *testing.T) {
	t.Parallel()
	var ds, signature *reaper
	t.Run("rolls", func(t *testing.T) {
		t.Run("double-ds", func(t *testing.T) {
			t.Parallel()
			ds = killedThrough(t, "zsk", "ksk --method double-ds", "csk --method double-ds")
			ds.covers()
		})
		t.Run("double-signature", func(t *testing.T) {
			t.Parallel()
			signature = killedThrough(t, "ksk --method double-signature", "csk --method double-signature")
		})
	})
	if t.Failed() {
		return
	}
	if kills := ds.kills() + signature.kills(); kills < 500 {
		t.Errorf("only %d kills", kills)
	}
	if told := ds.told + signature.told; told < 100 {
		t.Errorf("status told only %d times of a step under way", told)
	}
}

// killedThrough rolls zones, one for each order, through all kills.
func killedThrough(t *testing.T, orders ...string) *reaper {
	t.Helper()
	o, _ := three()
	zones := map[string][]string{}
	for _, order := range orders {
		words := strings.Fields("--type " + order)
		zones[words[1]+".lab.test."] = words
	}
	o.Zones = slices.DeleteFunc(o.Zones, func(z lab.Zone) bool { return zones[z.Name] == nil })
	r := newReaper(newHarness(t, "2s", o))
	r.roll(zones)
	r.report()
	return r
}

// doomed is a zone whose rollover is killed on the way, and what its keys are in
// the end.
type doomed struct {
	lab   lab.Zone
	order []string // what begins it, without the zone
	want  string
	made  int    // keys that are made on the way
	back  string // order to go back, if any
	at    string // step at which it is given
}

// The other kinds, first and last signings and ways back: killed once at each
// place of a rollover, with a registrar who does what he is told.
func TestEveryKindKilled(t *testing.T) {
	t.Parallel()
	zone := func(name, layout string, ttl, minimum uint32) lab.Zone {
		return lab.Zone{Name: name + ".lab.test.", Layout: layout, TTL: ttl, Minimum: minimum, SOATTL: 1}
	}
	for name, zones := range map[string][]doomed{
		"turns": {
			{lab: zone("algorithm", lab.Split, 2, 1), order: []string{"start", "--type", "algorithm", "--algorithm", "ed25519"}, want: "256/15 257/15", made: 2},
			{lab: zone("tosplit", lab.CSK, 1, 2), order: []string{"start", "--to", "split"}, want: "256/13 257/13", made: 2},
			{lab: zone("tocsk", lab.Split, 2, 1), order: []string{"start", "--to", "csk", "--method", "double-signature"}, want: "257/13", made: 1},
		},
		"signings": {
			{lab: zone("first", lab.Unsigned, 2, 1), order: []string{"sign", "--to", "split"}, want: "256/13 257/13", made: 2},
			{lab: zone("last", lab.CSK, 1, 2), order: []string{"unsign", "--yes"}},
			{lab: zone("zsk", lab.Split, 2, 1), order: []string{"start", "--type", "zsk", "--method", "double-signature"}, want: "256/13 257/13", made: 1},
			{lab: zone("ksk", lab.Split, 1, 2), order: []string{"start", "--type", "ksk", "--method", "double-rrset"}, want: "256/13 257/13", made: 1},
		},
		"ways back": {
			{lab: zone("cancelled", lab.Split, 1, 2), order: []string{"start", "--type", "ksk"}, want: "256/13 257/13", made: 1, back: "cancel", at: "submit"},
			{lab: zone("reverted", lab.Split, 2, 1), order: []string{"start", "--type", "zsk"}, want: "256/13 257/13", made: 1, back: "revert", at: "switch"},
			{lab: zone("csk", lab.CSK, 2, 1), order: []string{"start"}, want: "257/13", made: 1, back: "revert", at: "switch"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := lab.Options{DSTTL: 2, Strict: true}
			for _, z := range zones {
				o.Zones = append(o.Zones, z.lab)
			}
			r := newReaper(newHarness(t, "2s", o))
			r.once = true
			r.ends(zones, r.push)
			r.report()
			if n := r.kills(); n < 40*len(zones) {
				t.Errorf("only %d kills", n)
			}
		})
	}
}

// The same where the parent follows CDS: the records that PowerDNS is told to
// publish are there at the end of a first signing, and gone after an unsign.
func TestCDSDriverKilled(t *testing.T) {
	t.Parallel()
	first, last, ksk := "first.lab.test.", "last.lab.test.", "ksk.lab.test."
	zones := []doomed{
		{lab: lab.Zone{Name: first, Layout: lab.Unsigned, TTL: 2, Minimum: 1, SOATTL: 1}, order: []string{"sign"}, want: "257/13", made: 1},
		{lab: lab.Zone{Name: last, Layout: lab.CSK, TTL: 1, Minimum: 2, SOATTL: 1}, order: []string{"unsign", "--yes"}},
		{lab: lab.Zone{Name: ksk, Layout: lab.Split, TTL: 1, Minimum: 2, SOATTL: 1}, order: []string{"start", "--type", "ksk"}, want: "256/13 257/13", made: 1},
	}
	registry := newlySigned(t, zones[0].lab, zones[1].lab, zones[2].lab)
	registry.script = registry.h.write("follow", follow, 0o700)
	registry.h.configure("[ds]\ndriver = \"cds\"\ncds.private_targets = [\"127.0.0.1\"]\n")
	r := newReaper(registry.h)
	r.once = true
	r.ends(zones, func(zone string) {
		r.push(zone)
		switch zone {
		case first:
			registry.bootstraps(zone)
		case last:
			registry.deletes(zone)
		default:
			registry.follows(zone)
		}
	})
	r.report()
	for _, command := range []string{"set-publish-cds", "set-publish-cdnskey", "unset-publish-cds", "unset-publish-cdnskey"} {
		if r.all["before reap, in "+command]+r.all["after reap, after "+command] == 0 {
			t.Errorf("never killed at %s", command)
		}
	}
	for zone, publishes := range map[string]bool{first: true, last: false, ksk: true} {
		if cds, _ := registry.consistent(zone); len(cds) > 0 != publishes {
			t.Errorf("%s has the CDS records %q in the end", zone, cds)
		}
	}
}

// ends takes rollovers to their end through all kills, and checks their keys.
func (r *reaper) ends(zones []doomed, push func(zone string)) {
	r.t.Helper()
	var all []string
	made := 0
	for _, z := range zones {
		all = append(all, z.lab.Name)
		made += z.made
	}
	turned := map[string]bool{}
	r.witnessed(all, func() {
		for _, z := range zones {
			r.start(z.lab.Name, append([]string{z.order[0], z.lab.Name}, z.order[1:]...)...)
		}
		r.until("at its end", all, func() {
			for _, z := range zones {
				push(z.lab.Name)
				if z.back != "" && !turned[z.lab.Name] && r.status(z.lab.Name).Step == z.at {
					turned[z.lab.Name] = r.goBack(z.lab.Name, z.back)
				}
			}
		}, func(s rollover.Status) bool { return s.State.Ended() })
	})
	for _, z := range zones {
		r.hasKeys(z.lab.Name, z.want)
		if s := r.status(z.lab.Name); (s.State == rollover.StateCancelled) != (z.back != "") {
			r.t.Errorf("%s is %s, by %s", z.lab.Name, s.State, s.Kind)
		}
	}
	r.madeKeys(made)
}
