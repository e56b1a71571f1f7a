package rollover

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// State is where a rollover stands, and whose turn it is.
type State string

// The states of a rollover.
const (
	StateActive    State = "active"    // rollover goes on by itself at each tick
	StatePaused    State = "paused"    // the operator stopped it and must resume it
	StateBlocked   State = "blocked"   // something does not fit; the operator must look, the remedy says how
	StateDone      State = "done"      // nothing left to do
	StateCancelled State = "cancelled" // taken back on request; nothing left to do
)

// Ended says whether nothing will happen any more.
func (s State) Ended() bool { return s == StateDone || s == StateCancelled }

// Phase says what the next step waits for.
type Phase string

// The phases of an active rollover.
const (
	PhaseActing    Phase = "acting"    // the actions of the step are under way
	PhaseSpreading Phase = "spreading" // not yet seen on every server
	PhaseHolding   Phase = "holding"   // seen everywhere, not yet settled in every cache
	PhaseFinished  Phase = "finished"
)

// Block is why a rollover is blocked.
type Block struct {
	Code   string    `json:"code"` // "keys-changed", ...
	Reason string    `json:"reason"`
	Remedy string    `json:"remedy"`
	Since  time.Time `json:"since"`
}

// Block codes; scripts may branch on them.
const (
	BlockKeysChanged    = "keys-changed"    // the keys in PowerDNS are not those that rollover left
	BlockZoneChanged    = "zone-changed"    // the zone is gone, or became presigned or secondary
	BlockUnknownVersion = "unknown-version" // the state was written by another version of rollover
)

// Intent is what is about to be done, stored before the first effect, so that
// a run that died can be taken up: the key list before, and the commands.
type Intent struct {
	Step     string    `json:"step"`
	Before   []Key     `json:"before"`
	Commands []Command `json:"commands"`
	Rectify  bool      `json:"rectify,omitempty"` // the names of the zone must be ordered, too
	Applied  bool      `json:"applied"`           // all commands are in effect; serial, purge and notify may not be
	Raised   bool      `json:"raised,omitempty"`  // names and serial are done; purge and notify may not be
	ZoneKind string    `json:"zone_kind"`         // which says whether secondaries must be told
	GoOn     string    `json:"go_on,omitempty"`   // name of the kind to go on as (a rescue)
	Since    time.Time `json:"since"`
}

// Holding is how long one server has provably shown one statement.
type Holding struct {
	Good     bool          `json:"good"`               // its last answer showed it
	Unproven bool          `json:"unproven,omitempty"` // its last answer showed it, and nobody confirmed that
	Bad      bool          `json:"bad,omitempty"`      // its last answer showed something else
	Earned   time.Duration `json:"earned"`             // gaps between consecutive good looks, added up
	Since    time.Time     `json:"since,omitzero"`     // first good look of this run, for people
	Last     Instant       `json:"last"`               // the look that the next gap counts from; zero after a look without answer
	Shown    Instant       `json:"shown,omitzero"`     // the last look that showed it, whatever came after that
	Detail   string        `json:"detail,omitempty"`   // what the last answer showed instead, or why there was none
}

// ServerState is one server as the last look found it, for status.
type ServerState struct {
	Server
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	// Unchecked says that it was not asked at all, and does not count.
	Unchecked bool `json:"unchecked,omitempty"`
	// Serial is that of the SOA which it served; 0 when it was not asked.
	Serial uint32 `json:"serial,omitempty"`
}

// StepRecord is a step that was entered.
type StepRecord struct {
	Step string    `json:"step"`
	At   time.Time `json:"at"` // when its actions were in effect
}

// Ask is what was last asked of the parent: a DS set of exactly these sides.
type Ask struct {
	Sides []Side    `json:"sides"`
	Since time.Time `json:"since"`
}

// String is what was asked for, in words: "the DS of the new key alone".
func (a Ask) String() string {
	switch {
	case len(a.Sides) == 0:
		return "no DS"
	case len(a.Sides) == 1:
		return fmt.Sprintf("the DS of the %s key alone", a.Sides[0])
	}
	return "the DS of the old and of the new key"
}

// Roll is one rollover of one zone: its kind, its sides, how far it has come,
// and since when its waits hold. It is stored as JSON between ticks.
type Roll struct {
	ID     string `json:"id"`
	Zone   string `json:"zone"`
	Type   string `json:"type"`   // as it was started: zsk, ksk, csk, algorithm, sign, unsign
	Method string `json:"method"` // as it was started
	Kind   string `json:"kind"`   // name of the row of the table in force; another one after a rescue or cancel
	Urgent bool   `json:"urgent,omitempty"`
	State  State  `json:"state"`
	Step   string `json:"step"` // last step entered
	Phase  Phase  `json:"phase"`

	StartedAt     time.Time    `json:"started_at"`
	StepEnteredAt time.Time    `json:"step_entered_at"`
	EndedAt       time.Time    `json:"ended_at,omitzero"`
	Steps         []StepRecord `json:"steps"`

	Old  []Key `json:"old"`
	New  []Key `json:"new"`
	Keys []Key `json:"keys"` // every key of the zone as it must be now
	// SpecNew is what the new keys are made like, one for each; ID is 0.
	SpecNew []Key `json:"spec_new"`
	// Foreign are DNSKEYs that were in the served set though PowerDNS does not
	// list them as keys (multi-signer, direct-dnskey); they are left alone.
	Foreign []DNSKEY `json:"foreign,omitempty"`

	// Strays are what was in the way in the zone's own records when they were last read.
	Strays Strays `json:"strays,omitzero"`

	Ask    *Ask    `json:"ask,omitempty"`
	Block  *Block  `json:"block,omitempty"`
	Intent *Intent `json:"intent,omitempty"`
	// Serial is what the last raise of the zone's serial came to.
	Serial uint32 `json:"serial,omitempty"`
	// Creating is when PowerDNS was asked for keys that were not read back yet.
	Creating time.Time `json:"creating,omitzero"`
	Need     *Need     `json:"need,omitempty"` // why it pauses, as of the last look

	// Held says for each statement, and each server by address, for how long
	// it has held.
	Held     map[string]map[string]Holding `json:"held"`
	LastLook Instant                       `json:"last_look"`
	LastGap  time.Duration                 `json:"last_gap"` // between the last two looks
	Absence  Absence                       `json:"absence,omitzero"`
	Servers  []ServerState                 `json:"servers"`
	Asked    []string                      `json:"asked"`   // places of all servers that were ever asked
	DSSeen   []DS                          `json:"ds_seen"` // union over the parent's servers in the last look that asked them

	// Strangers are who was named as a name server and does not count, as of the last look.
	Strangers []Stranger `json:"strangers,omitempty"`
	// Undelegated says that a server of the parent does not delegate the zone, as
	// of the last look that asked them; empty if they do.
	Undelegated string `json:"undelegated,omitempty"`

	NextCheck time.Time `json:"next_check"`
	Trouble   *Trouble  `json:"trouble,omitempty"`

	// Terms is what the configuration said at the start; nil: what it says now
	// counts. Differs is where it says what the rollover does not take over by
	// itself.
	Terms   *Terms   `json:"terms,omitempty"`
	Differs []string `json:"differs,omitempty"`
	// Unfit says that some misfit of the dossier holds.
	Unfit bool `json:"unfit,omitempty"`
	// Unserved says that the keys were taken over as somebody else left them, so
	// that the servers may not show them. Unlike is what servers with different key
	// sets showed in the last look, ServedAnew when the zone was last served anew.
	Unserved   bool    `json:"unserved,omitempty"`
	Unlike     string  `json:"unlike,omitempty"`
	ServedAnew Instant `json:"served_anew,omitzero"`
	// Raised is why the serial was raised outside of a step, while the servers were
	// not made to show it yet; empty for none.
	Raised string `json:"raised,omitempty"`

	// Failing is that the zone fails, or did so lately, as looks have shown it.
	Failing *Failing `json:"failing,omitempty"`

	// Accepted is what a first signing may take away, and Before what the servers
	// answered before it; Emptied are the names that rectify-zone makes empty
	// non-terminals where a wildcard answered. Compared says that the answers were
	// found to be the same after the first step; Announced, what a server said to
	// the parent by CDS records then.
	Accepted  []string  `json:"accepted,omitempty"`
	Before    *Baseline `json:"before,omitempty"`
	Emptied   []string  `json:"emptied,omitempty"`
	Compared  bool      `json:"compared,omitempty"`
	Announced string    `json:"announced,omitempty"`

	// Submission is the last change that was handed to a driver.
	Submission *Submission `json:"submission,omitempty"`
}

// Trouble is the last failure of a tick; it neither advances nor blocks.
type Trouble struct {
	Text   string    `json:"text"`
	Since  time.Time `json:"since"`
	ToldAt time.Time `json:"told_at"` // an unchanged failure is told once a day
}

// Need is why a rollover pauses: what is awaited, which servers lag, how long
// still, and who acts. Waiting is a value, not an error.
type Need struct {
	Next      string        `json:"next"`    // the step that waits
	Waits     []string      `json:"waits"`   // the waits that do not hold yet, as the manual prints them
	Lagging   []Lag         `json:"lagging"` // servers that do not show it
	Remaining time.Duration `json:"remaining"`
	Actor     Actor         `json:"actor"`
	Gone      bool          `json:"gone,omitempty"`     // what an earlier step relied on is not seen any more
	Hollow    bool          `json:"hollow,omitempty"`   // what a new DS rests on at the zone's name servers is gone, or being earned anew
	Anew      bool          `json:"anew,omitempty"`     // it was gone, or not answered for by a server, and is being earned anew
	Findings  []Finding     `json:"findings,omitempty"` // why a step that takes something away is not entered, though its waits hold
	Adds      bool          `json:"adds,omitempty"`     // the step that is not entered asks for a first DS
	Records   []Record      `json:"records"`            // that the waits speak of
}

// Lag is one server that does not show what is awaited.
type Lag struct {
	Server
	Detail   string `json:"detail"`
	Unproven bool   `json:"unproven,omitempty"` // it shows it, but no validator confirms that yet
	Bad      bool   `json:"bad,omitempty"`      // it answered, and shows something else
}

// Actor is who must act so that a rollover can go on.
type Actor string

// The actors.
const (
	ActorCaches  Actor = "caches"       // time must pass
	ActorServers Actor = "name servers" // transfers must arrive
	ActorParent  Actor = "parent"       // the parent's servers must agree
	ActorYou     Actor = "you"          // the operator, at the registrar
	ActorDriver  Actor = "driver"       // what asks the parent for us
)

// Excluded is one server address that the operator took out, by name.
type Excluded struct {
	Address string    `json:"address"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
}

// Dossier is all that is remembered of one zone: its rollover, its ledger, and
// what the operator said of it. It outlives its rollovers.
type Dossier struct {
	Zone     string     `json:"zone"`
	Roll     *Roll      `json:"roll,omitempty"` // the last one, running or ended
	Ledger   Ledger     `json:"ledger"`
	Excluded []Excluded `json:"excluded,omitempty"`
	Clock    Instant    `json:"clock"` // of the last tick that touched this zone

	// Misfits is what start of the running rollover would have refused, as of the
	// last look; Proof is the evidence by which its hold times were earned.
	Misfits []Misfit `json:"misfits,omitempty"`
	Proof   Evidence `json:"proof,omitempty"`
}

// Sound says why a dossier is none that rollover has stored, though it decodes;
// nil if it may be one.
func (d Dossier) Sound() error {
	r := d.Roll
	switch {
	case r == nil:
		return nil
	case r.Zone != d.Zone:
		return fmt.Errorf("its rollover is of the zone %q", r.Zone)
	case !slices.Contains([]State{StateActive, StatePaused, StateBlocked, StateDone, StateCancelled}, r.State):
		return fmt.Errorf("its rollover has the state %q", r.State)
	case r.State == StateBlocked && r.Block == nil:
		return errors.New("its rollover is blocked, and does not say why")
	}
	return nil
}

// Event is one line of history, never changed once written.
type Event struct {
	At       time.Time `json:"at"`
	Zone     string    `json:"zone"`
	Roll     string    `json:"roll,omitempty"` // id
	Event    string    `json:"event"`
	Step     string    `json:"step,omitempty"`
	Text     string    `json:"text"`
	Reason   string    `json:"reason,omitempty"` // the operator's --reason
	By       string    `json:"by,omitempty"`     // who gave the order; empty for what advance does by itself
	Evidence []string  `json:"evidence,omitempty"`
}

// Names of events.
const (
	EventStarted   = "started"
	EventEntered   = "step-entered"
	EventRescued   = "rescued"
	EventDSNeeded  = "ds-needed"
	EventBlocked   = "blocked"
	EventDone      = "done"
	EventPaused    = "paused"
	EventResumed   = "resumed"
	EventCancel    = "cancel-requested"
	EventCancelled = "cancelled"
	EventAdopted   = "adopted"
	EventAccepted  = "accepted" // what a first signing may take away
	EventRevert    = "revert-requested"
	EventExcluded  = "server-excluded"
	EventServed    = "served-anew" // serial, purge and notify without a change of keys
	EventFails     = "fails"       // the zone fails for validating resolvers, as a look has shown
	EventTrouble   = "trouble"
	EventRecovered = "recovered"
	EventClock     = "clock"
	EventStopped   = "stopped" // a step that takes something away is not entered, for what was found
	EventGone      = "gone"    // what an earlier step relied on is not seen any more
)

func (r *Roll) kind() (Kind, error) { return r.kindIn(Kinds()) }

func (r *Roll) kindIn(table []Kind) (Kind, error) {
	for _, k := range table {
		if k.Name() == r.Kind {
			if r.Urgent {
				k = k.hurried()
			}
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("the rollover is of kind %q, which this version of rollover does not have", r.Kind)
}

// side is the keys of one side.
func (r *Roll) side(s Side) []Key {
	if s == Old {
		return r.Old
	}
	return r.New
}

func (r *Roll) entered(step string) bool {
	return slices.ContainsFunc(r.Steps, func(s StepRecord) bool { return s.Step == step })
}
