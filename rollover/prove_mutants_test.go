package rollover

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// tweak takes one guard away, or weakens it, without another copy of what it
// guards: it changes the row of the table, the policy, or what the engine is
// shown of the world.
type tweak struct {
	policy      func(*Policy)
	kinds       func(table []Kind, r *Roll) []Kind
	clock       func(Instant) Instant
	look        func(*bench, *Sighting)
	inventory   func(*bench, []Key) []Key
	contents    func(*bench, *Contents)
	load        func(*bench) // before the run
	stored      func(*bench) // after it
	believeExit bool
	noIntent    bool
	rash        bool // the operator says that nobody was told what the parent was asked for last
}

// mutant is the program without one guard, in the circumstances that need it.
type mutant struct {
	name   string
	kind   Kind
	family family
	tweak  tweak
	// slow is for a guard that shortens an outage: how long it may last, in units.
	slow int
	// record is what a wait that was taken away is for.
	record Record
}

// wide are TTLs for waits on the wrong record and waits that are too short.
var (
	wide  = [3][2]uint8{{2, 2}, {3, 3}, {4, 4}}
	other = [3][2]uint8{{4, 4}, {2, 2}, {3, 3}}
	// late are TTLs for what data alone is waited for.
	late = [3][2]uint8{{1, 1}, {2, 2}, {6, 6}}
)

// waitMutants are two for each wait of the table that is settled and no
// courtesy: left out, and weakened to seen. Courtesies and the rescue are left out
// as well, or one of them could stand in for a missing wait.
func waitMutants() []mutant {
	var out []mutant
	for _, k := range Kinds() {
		hasty := without(k, func(w Wait) bool { return w.Courtesy })
		if !k.back() {
			hasty = unrescued(hasty)
		}
		for i, s := range hasty.Steps {
			for j, w := range s.Waits {
				if w.Strength != StrengthSettled {
					continue
				}
				name := fmt.Sprintf("%s, %s: %v", k.Name(), s.Name, w)
				missing, weak := reworked(hasty), reworked(hasty)
				missing.Steps[i].Waits = slices.Delete(missing.Steps[i].Waits, j, j+1)
				weak.Steps[i].Waits[j].Strength = StrengthSeen
				out = append(out, mutant{name: name + " left out", kind: missing, record: w.Record}, mutant{name: name + " weakened to seen", kind: weak, record: w.Record})
			}
		}
	}
	return out
}

// reworked is a kind whose steps can be changed.
func reworked(k Kind) Kind { return without(k, func(Wait) bool { return false }) }

// orderMutants have the actions of a step in reverse where the order matters.
func orderMutants() []mutant {
	var out []mutant
	for _, k := range Kinds() {
		for i, s := range k.Steps {
			on := slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb == activate })
			off := slices.ContainsFunc(s.Actions, func(a Action) bool { return a.Verb == deactivate })
			if !on || !off {
				continue
			}
			m := reworked(k)
			m.Steps[i].Actions = slices.Clone(s.Actions)
			slices.Reverse(m.Steps[i].Actions)
			out = append(out, mutant{name: fmt.Sprintf("%s, %s: deactivate before activate", k.Name(), s.Name), kind: m, family: family{may: crashing(k)}})
		}
	}
	return out
}

// crashing is a kill, and the order that leads to the row.
func crashing(k Kind) may {
	out := may{faultCrash: 1}
	switch k.Type {
	case "cancel":
		out[faultCancel] = 1
	case "revert":
		out[faultRevert] = 1
	}
	return out
}

// guardMutants are the guards that are not rows of the table.
func guardMutants() []mutant {
	zsk, ksk, csk := kindOf("zsk/pre-publish"), kindOf("ksk/double-ds"), kindOf("csk/double-signature")
	return []mutant{
		{"wait measured from the wrong event", otherWait(ksk), family{ttl: other}, tweak{}, 0, ""},
		{"one unit less than the TTL", ksk, family{ttl: wide}, tweak{policy: func(p *Policy) { p.Margin = -proofUnit }}, 0, ""},
		{"TTL of now instead of high water: DS", ksk, family{may: may{faultTTLDS: 1}, high: 1 << inDS}, tweak{load: forgetTTL}, 0, ""},
		{"TTL of now instead of high water: DNSKEY", ksk, family{may: may{faultTTLKeys: 1}, high: 1 << inKeys}, tweak{load: forgetTTL}, 0, ""},
		{"TTL of now instead of high water: data", zsk, family{may: may{faultTTLData: 1}, high: 1 << inData}, tweak{load: forgetTTL}, 0, ""},
		{"TTL as it is when a version is first seen", ksk, family{may: may{faultTTLKeys: 1, faultRevert: 1}, high: 1 << inKeys}, tweak{load: forgetRecent}, 0, ""},
		{"TTL of the names looked at instead of the largest of the zone", zsk, family{ttl: wide}, tweak{load: forgetZone, contents: sampled}, 0, ""},
		{"records not read again before the signer changes", zsk, family{may: may{faultTTLData: 1}}, tweak{contents: firstContents}, 0, ""},
		{"records not read again before new signs", csk, family{may: may{faultTTLData: 1}}, tweak{contents: firstContents}, 0, ""},
		{"no look in the tick that acts", ksk, family{may: may{faultFlap: 1}}, tweak{look: lookEarlier}, 0, ""},
		{"a bad look takes nothing away", ksk, family{may: may{faultFlap: 1}, ttl: wide}, tweak{stored: keepHeld}, 0, ""},
		{"the time up to a bad look counts again", ksk, family{may: may{faultFlap: 1}, ttl: wide}, tweak{stored: countFromBad}, 0, ""},
		{"no answer counts as a good one", ksk, family{may: may{faultSilent: 1}}, tweak{look: silentAgrees}, 0, ""},
		{"one server is enough", ksk, family{}, tweak{look: oneServer}, 0, ""},
		{"what earlier steps relied on is not watched", ksk, family{may: may{faultFallBack: 1}}, tweak{kinds: unwatched}, 0, ""},
		{"what fell back is good as soon as it is back", ksk, family{may: may{faultFallBack: 1}}, tweak{kinds: watchedSeen}, 0, ""},
		{"deadline by wall clock", ksk, family{may: may{faultForward: 1}, ttl: wide}, tweak{policy: uncapped, clock: wallOnly}, 0, ""},
		{"a gap counts in full", ksk, family{may: may{faultForward: 1, faultReboot: 1}, policy: withMargin, ttl: wide}, tweak{policy: uncapped, clock: wallOnly}, 0, ""},
		{"a gap over a reboot counts in full though no margin makes up for it", ksk, family{may: may{faultForward: 1, faultReboot: 1}, ttl: wide, jump: 2}, tweak{clock: wallOnly}, 0, ""},
		{"digest not compared", ksk, family{may: may{faultTypo: 1}}, tweak{look: readTypo}, 0, ""},
		{"parent's answers not proven", ksk, family{may: may{faultForged: 1}, policy: withValidator}, tweak{policy: func(p *Policy) { p.Evidence = EvidencePlain }}, 0, ""},
		{"exit code believed", zsk, family{may: may{faultLie: 1}}, tweak{believeExit: true}, 0, ""},
		{"exit code believed", ksk, family{may: may{faultLie: 1}}, tweak{believeExit: true}, 0, ""},
		{"key list not read before a change", zsk, family{may: may{faultEdit: 1}}, tweak{inventory: expectedKeys}, 0, ""},
		{"intent not stored", zsk, family{may: may{faultCrash: 1}}, tweak{noIntent: true}, 0, ""},
		{"open intent carried out without a look", unrescued(ksk), family{may: may{faultCrash: 1, faultFlap: 1}}, tweak{load: carryOut}, 0, ""},
		{"a key unpublished half done goes on without a look", kindOf("algorithm/conservative"), family{may: may{faultCrash: 1, faultFallBack: 1}, lenient: true}, tweak{load: unpublishOn}, 0, ""},
		{"gone is counted from before it was taken away", kindOf("algorithm/conservative"), family{may: may{faultCancel: 1, faultFallBack: 1}}, tweak{stored: keepEnded}, 0, ""},
		{"revert of an unsign while the parent may still remove the DS", kindOf("unsign/ds-first"), family{may: may{faultRevert: 1}}, tweak{rash: true}, 0, ""},
		{"what a DS rests on is not watched to the end", ksk, family{may: may{faultFallBack: 1}, urgent: true}, tweak{stored: notGone}, 0, ""},
		{"urgent, with CDS, before a name server shows the new key", courteousSubmit(kindOf("ksk/double-ds-cds")), family{may: may{faultEdit: 1}, urgent: true}, tweak{}, 0, ""},
		{"records not read again before what has waited for data", zsk, family{may: may{faultCancel: 1, faultSwitch: 1, faultTTLData: 1}}, tweak{contents: firstInCancel}, 0, ""},
		{"revert while what the parent was asked for may come", kindOf("ksk/double-signature"), family{may: may{faultRevert: 1}}, tweak{rash: true}, 0, ""},
		{"a first DS handed over though a name server fell back", kindOf("sign/ds-last"), family{may: may{faultFallBack: 1}}, tweak{stored: handOver}, 0, ""},
		{"a DS of a new algorithm handed over though a name server fell back", kindOf("algorithm/conservative"), family{may: may{faultFallBack: 1}}, tweak{stored: handOver}, 0, ""},
		{"no rescue", unrescued(ksk), family{may: may{faultReplace: 1}, ttl: other}, tweak{}, int(other[inKeys][0]), ""},
		{"no rescue of old", unrescued(ksk), family{may: may{faultWrongDS: 1}, ttl: other}, tweak{}, int(other[inKeys][0]), ""},
		{"no rescue of an algorithm that was unpublished", unrescued(kindOf("algorithm/conservative")), family{may: may{faultWrongDS: 1}, ttl: other}, tweak{}, int(other[inKeys][0]), ""},
		{"what was earned counts though nobody looked for long", ksk, family{may: may{faultAway: 1, faultFlap: 1}}, tweak{load: justShown}, 0, ""},
		{"what was earned counts though nobody looked for long, name servers", csk, family{may: may{faultAway: 1, faultFallBack: 1}}, tweak{load: justShown}, 0, ""},
		{"what was earned before a pause counts", ksk, family{may: may{faultPause: 1, faultFlap: 1}}, tweak{stored: keepPaused}, 0, ""},
	}
}

// justShown takes every statement for one that was shown a moment ago.
func justShown(b *bench) {
	for _, servers := range b.saved.Roll.Held {
		for server, h := range servers {
			h.Shown = b.now
			servers[server] = h
		}
	}
}

// keepPaused gives back the hold times that a pause has ended.
func keepPaused(b *bench) {
	if len(b.saved.Roll.Held) == 0 && b.saved.Roll.LastLook == lastLook {
		b.saved.Roll.Held = b.proof.decode(b.world)
	}
}

// handOver lets the operator be asked for a DS whatever the name servers show.
func handOver(b *bench) {
	if b.saved.Roll.Need != nil {
		b.saved.Roll.Need.Hollow = false
	}
}

func kindOf(name string) Kind {
	kindType, method, _ := strings.Cut(name, "/")
	k, err := FindKind(kindType, method)
	if err != nil {
		panic(err) // the proof names kinds of the table
	}
	return k
}

// otherWait lets the DS be withdrawn by the clock of the DS, as the crate
// domain does.
func otherWait(k Kind) Kind {
	k = reworked(k)
	for i := range k.Steps {
		if k.Steps[i].Name == "withdraw" {
			k.Steps[i].Waits = []Wait{Settled(RecordDS, Has(New)), Seen(RecordDNSKEY, Has(New), SignedBy(New))}
		}
	}
	return k
}

func unrescued(k Kind) Kind {
	k.Rescue = Place{}
	return k
}

// forgetTTL lets the ledger know the TTLs of now only.
func forgetTTL(b *bench) {
	for i := range b.saved.Ledger.Entries {
		e := &b.saved.Ledger.Entries[i]
		e.TTL = b.proof.ttl(uint8(slices.Index(recordNames[:], e.Record)), b.world.ttl)
	}
	b.saved.Ledger.ZoneTTL = b.proof.ttl(inData, b.world.ttl)
}

// forgetRecent lets the ledger know nothing of what a version was served with
// before it was seen.
func forgetRecent(b *bench) { b.saved.Ledger.Recent = nil }

// firstInCancel is what a cancel would know that does not read the records again.
func firstInCancel(b *bench, c *Contents) {
	if strings.HasPrefix(b.saved.Roll.Kind, "cancel/") {
		firstContents(b, c)
	}
}

// notGone forgets that what earlier steps relied on is not there any more.
func notGone(b *bench) {
	if n := b.saved.Roll.Need; n != nil {
		n.Gone, n.Anew = false, false
	}
}

// courteousSubmit takes for a courtesy that servers show the new key before the
// parent is asked.
func courteousSubmit(k Kind) Kind {
	k = reworked(k)
	for i := range k.Steps {
		if k.Steps[i].Name == "submit" {
			k.Steps[i].Waits = []Wait{Courtesy(Seen(RecordDNSKEY, Has(New)))}
		}
	}
	return k
}

// keepEnded gives back the hold times that ended with what was taken away.
func keepEnded(b *bench) {
	for st, servers := range b.proof.decode(b.world) {
		for server, was := range servers {
			if now := b.saved.Roll.Held[st][server]; now.Good && now.Earned < was.Earned {
				now.Earned = was.Earned
				b.saved.Roll.Held[st][server] = now
			}
		}
	}
}

func forgetZone(b *bench) { b.saved.Ledger.ZoneTTL = 0 }

func sampled(_ *bench, c *Contents) { c.LargestTTL = uint32(proofUnit / time.Second) }

func firstContents(b *bench, c *Contents) {
	c.LargestTTL = b.proof.ttl(inData, b.proof.family.high)
}

// lookEarlier shows, for a server that fell back, what it had shown before.
func lookEarlier(b *bench, s *Sighting) {
	for at, server := range placeServer {
		if b.world.unseen>>at&1 == 0 || placeRecord[at] != inDS {
			continue
		}
		for i := range s.Servers {
			if s.Servers[i].Name == server {
				s.Servers[i].DS = b.proof.shown(b.world.reg).DS
			}
		}
	}
}

// keepHeld gives back what a bad look took.
func keepHeld(b *bench) {
	eachBad(b, func(h *Holding, before Holding) { h.Since, h.Earned = before.Since, before.Earned })
}

// countFromBad lets the next gap count from the bad look on.
func countFromBad(b *bench) {
	eachBad(b, func(h *Holding, _ Holding) { h.Since, h.Last = b.now.Wall, b.now })
}

func eachBad(b *bench, change func(h *Holding, before Holding)) {
	before := b.proof.decode(b.world)
	for st, servers := range b.saved.Roll.Held {
		for server, h := range servers {
			if was := before[st][server]; h.Bad && !was.Since.IsZero() {
				change(&h, was)
				servers[server] = h
			}
		}
	}
}

// silentAgrees shows of a silent server what the other one shows.
func silentAgrees(_ *bench, s *Sighting) {
	for i, o := range s.Servers {
		if o.Unknown != "" {
			like := s.Servers[i^1]
			like.Server = o.Server
			s.Servers[i] = like
		}
	}
}

// oneServer leaves one server of each side.
func oneServer(_ *bench, s *Sighting) {
	s.Servers = []ServerSighting{s.Servers[1], s.Servers[3]}
}

// unwatched takes the waits of steps that were entered out of the table.
func unwatched(table []Kind, r *Roll) []Kind {
	return pastWaits(table, r, func([]Wait) []Wait { return nil })
}

// watchedSeen weakens them to seen.
func watchedSeen(table []Kind, r *Roll) []Kind {
	return pastWaits(table, r, func(waits []Wait) []Wait {
		for i := range waits {
			waits[i].Strength = StrengthSeen
		}
		return waits
	})
}

func pastWaits(table []Kind, r *Roll, change func([]Wait) []Wait) []Kind {
	out := slices.Clone(table)
	for i := range out {
		at, err := out[i].index(r.Step)
		if err != nil || out[i].Name() != r.Kind {
			continue
		}
		out[i] = reworked(out[i])
		for j := range out[i].Steps[:at+1] {
			out[i].Steps[j].Waits = change(out[i].Steps[j].Waits)
		}
	}
	return out
}

func uncapped(p *Policy) { p.MaxGap = 100 * proofUnit }

// wallOnly takes the wall clock for the boot clock.
func wallOnly(at Instant) Instant {
	at.BootID, at.Boot = lastLook.BootID, lastLook.Boot+at.Wall.Sub(lastLook.Wall)
	return at
}

// readTypo takes a mistyped DS for the right one.
func readTypo(b *bench, s *Sighting) {
	for i := range s.Servers {
		v := s.Servers[i].DS
		if v == nil {
			continue
		}
		read := DSVersion{TTL: v.TTL}
		for _, d := range v.Set {
			for _, k := range b.proof.keys {
				if right := dsFor(k); right.Tag == d.Tag {
					d = right
				}
			}
			read.Set = append(read.Set, d)
		}
		s.Servers[i].DS = &read
	}
}

// expectedKeys shows, until something is done, the keys as rollover left them.
func expectedKeys(b *bench, found []Key) []Key {
	if b.did > 0 || b.saved.Roll.Intent != nil {
		return found
	}
	return b.saved.Roll.Keys
}

// unpublishOn does the rest of a step that was killed halfway through unpublishing.
func unpublishOn(b *bench) {
	if intent := b.saved.Roll.Intent; intent == nil || intent.Commands[0].Verb != VerbUnpublish {
		return
	}
	if done, _, ok := b.saved.Roll.Intent.progress(b.keys); ok && done > 0 {
		carryOut(b)
	}
}

// carryOut does what an open intent says before anything is looked at.
func carryOut(b *bench) {
	intent := b.saved.Roll.Intent
	if intent == nil || intent.Applied {
		return
	}
	done, made, ok := intent.progress(b.keys)
	if !ok {
		return
	}
	for _, c := range intent.Commands[done:] {
		b.keys = b.applied(b.keys, c.resolve(made))
	}
}
