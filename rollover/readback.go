package rollover

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// What a command did is read back, and what is read may lag behind what was
// written: a replica of the database, or a proxy that sends reads to one. So an
// effect is looked for with patience; and a key that was asked for and does not show
// is not asked for again at once: it would be there twice, and one of them a stranger.

// Pauses are those after which the effect of a command is looked for again, where it
// does not show at once: 6.3 s in all.
func Pauses() []time.Duration {
	var out []time.Duration
	for pause := 100 * time.Millisecond; pause < 4*time.Second; pause *= 2 {
		out = append(out, pause)
	}
	return out
}

// creates says whether commands make keys.
func creates(commands []Command) bool {
	return slices.ContainsFunc(commands, func(c Command) bool { return c.Verb == VerbCreate })
}

// mayCreate says whether this round may ask for keys, and writes down that it does,
// before it does; else the tick fails, with the moment from which another may.
func (v *visit) mayCreate() bool {
	if v.creating {
		return true
	}
	if until := v.awaits(); !until.IsZero() {
		v.fail(fmt.Errorf("%w: %s", ErrUnavailable, v.awaited(until)))
		return false
	}
	v.roll.Creating, v.creating, v.dirty = v.engine.Now().Wall, true, true
	return true
}

// awaits is the moment up to which a key that was asked for may still show; zero if
// none is awaited.
func (v *visit) awaits() time.Time {
	until := v.roll.Creating.Add(v.engine.MaxLag)
	if v.roll.Creating.IsZero() || !v.engine.Now().Wall.Before(until) {
		return time.Time{}
	}
	return until
}

// awaited says in words what is awaited, and what it looks like.
func (v *visit) awaited(until time.Time) string {
	return fmt.Sprintf("PowerDNS was asked for a key of %s at %s, and show-zone does not show it: either the command failed, or what pdnsutil reads is behind what it writes (a replica, or a proxy that splits reads); no other one is made before %s (max_lag); if reads lag, connect pdnsutil to the primary database",
		v.dossier.Zone, hour(v.roll.Creating), hour(until))
}

// hour is a time of today, for people.
func hour(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// do gives one command and reads the key list back, until it shows what is to be
// seen or patience is at its end. A command that failed has nothing to show. Once
// begun it is not interrupted: a half-run pdnsutil is worse than a late exit.
func (a *actor) do(ctx context.Context, c Command, seen func([]Key) bool) error {
	ctx = context.WithoutCancel(ctx)
	a.failed = a.engine.Signer.Do(ctx, a.dossier.Zone, c)
	for pauses := Pauses(); ; pauses = pauses[1:] {
		inv, err := a.read(ctx)
		if err != nil {
			if a.failed != nil {
				return fmt.Errorf("step %q of %s: %w (and the keys cannot be read back)", a.intent.Step, a.dossier.Zone, a.failed)
			}
			return a.err
		}
		a.inv = inv
		if seen(inv.Keys) || a.failed != nil || a.engine.After == nil || len(pauses) == 0 {
			return nil
		}
		<-a.engine.After(pauses[0])
	}
}

// stuck is the error for a command that had no effect.
func (a *actor) stuck(c Command) error {
	if a.failed != nil {
		return fmt.Errorf("step %q of %s: %w", a.intent.Step, a.dossier.Zone, a.failed)
	}
	if c.Verb == VerbCreate {
		return fmt.Errorf("%w: step %q of %s: %q ended well, but show-zone does not show its effect: %s", ErrUnavailable, a.intent.Step, a.dossier.Zone, a.explain(c), a.awaited(a.roll.Creating.Add(a.engine.MaxLag)))
	}
	return fmt.Errorf("%w: step %q of %s: %q ended well, but show-zone does not show its effect: what pdnsutil reads is behind what it writes (a replica, or a proxy that splits reads), or the command does nothing: run it by hand and look; if reads lag, connect pdnsutil to the primary database", ErrUnavailable, a.intent.Step, a.dossier.Zone, a.explain(c))
}

// raiseSerial raises the zone's serial to another than the last raise came to. Where
// reads lag increase-serial counts from an old serial and comes to the same number
// again, which a secondary that has it already does not transfer.
func (v *visit) raiseSerial(ctx context.Context) error {
	for pauses := Pauses(); ; pauses = pauses[1:] {
		serial, err := v.engine.Signer.BumpSerial(context.WithoutCancel(ctx), v.dossier.Zone)
		switch {
		case err != nil:
			return err
		case serial != v.roll.Serial || v.engine.After == nil:
			v.roll.Serial, v.dirty = serial, true
			return nil
		case len(pauses) == 0:
			return fmt.Errorf("%w: increase-serial came to %d for %s, as the time before: what pdnsutil reads is behind what it writes (a replica, or a proxy that splits reads): connect it to the primary database", ErrUnavailable, serial, v.dossier.Zone)
		}
		<-v.engine.After(pauses[0])
	}
}
