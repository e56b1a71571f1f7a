package rollover

import "context"

// Zone kinds as PowerDNS names them in show-zone (5.x still says Master and Slave).
const (
	KindNative   = "Native"
	KindMaster   = "Master"
	KindSlave    = "Slave"
	KindProducer = "Producer"
	KindConsumer = "Consumer"
)

// Inventory is what one `pdnsutil show-zone` told of a zone.
type Inventory struct {
	Zone      string
	Kind      string // KindNative, KindMaster, ...
	Presigned bool   // signatures come with the transfer; keys are elsewhere
	Keys      []Key  // in pdnsutil's order; Role and, for published ZSKs, PublicKey are empty
	Metadata  map[string][]string
}

// Contents is what one `pdnsutil list-zone` told of a zone.
type Contents struct {
	Serial     uint32 // as stored, before SOA-EDIT
	LargestTTL uint32 // seconds; over all records, SOA minimum included
	Minimum    uint32 // seconds; SOA minimum, which is the TTL of the DNSKEY set in PowerDNS
	Samples    []Sample
	Strays     Strays // what stands in the way of a rollover
}

// Verb is one thing that can be done to a key of a zone.
type Verb string

// The verbs of a command to the signer.
const (
	VerbCreate     Verb = "create"
	VerbActivate   Verb = "activate"
	VerbDeactivate Verb = "deactivate"
	VerbPublish    Verb = "publish"
	VerbUnpublish  Verb = "unpublish"
	VerbRemove     Verb = "remove"
)

// Command is one change of one key. For VerbCreate the key says flags,
// algorithm, bits and the state to create it in, its ID being 0; for the
// others it is the key as last read.
type Command struct {
	Verb Verb `json:"verb"`
	Key  Key  `json:"key"`
}

// takesAway says whether the command ends something that caches may rely on: a
// key in the DNSKEY set, its signatures, or both.
func (c Command) takesAway() bool {
	return c.Verb == VerbUnpublish || c.Verb == VerbDeactivate || c.Verb == VerbRemove
}

// Signer is PowerDNS as the engine needs it. None of its answers but those of
// Inventory is believed: after Do returns, or fails, only Inventory tells the truth.
type Signer interface {
	// Inventory reads the zone's keys, kind and metadata. It wraps
	// ErrUnknownZone when PowerDNS does not have the zone.
	Inventory(ctx context.Context, zone string) (Inventory, error)
	// Contents reads all records of the zone.
	Contents(ctx context.Context, zone string) (Contents, error)
	// Do changes one key. It is called at most once between two calls of Inventory.
	Do(ctx context.Context, zone string, c Command) error
	// Rectify orders the names of the zone for denials of existence, which the
	// first keys of a zone need; more than once does no harm.
	Rectify(ctx context.Context, zone string) error
	// RetractCDS takes out what makes PowerDNS serve CDS and CDNSKEY records of
	// the zone, if there is anything; more than once does no harm.
	RetractCDS(ctx context.Context, zone string) error
	// BumpSerial raises the zone's SOA serial and returns the new one as stored.
	BumpSerial(ctx context.Context, zone string) (uint32, error)
	// Refresh makes the running server forget what it has cached of the zones
	// (purge), all zones in one call, and then tells the secondaries of those
	// listed in notify. Without a way to reach the server it does nothing.
	Refresh(ctx context.Context, zones, notify []string) error
	// Explain is the command line that Do would run, for plans and remedies.
	Explain(zone string, c Command) string
}

// Surveyor is a Signer that tells more of a zone than its keys: what a first
// signing would change. It is asked before one begins.
type Surveyor interface {
	Surroundings(ctx context.Context, zone string) (Surroundings, error)
}

// Surroundings is what PowerDNS has in a zone, and beside it.
type Surroundings struct {
	Zone    string
	Records []Stored // every RRset as stored, each once, in canonical order
	Below   []string // zones with names below the zone that this PowerDNS has as well
	// Settings is what the running server was told (pdns.conf), nil if nobody
	// could ask it.
	Settings map[string]string
}

// Stored is one RRset as PowerDNS stores it.
type Stored struct {
	Sample
	Computes []string // the types that PowerDNS makes of it (ALIAS, LUA); none: it is served as it is
	Sum      string   // of its content: another one says that somebody changed it
}

// Observer is the eyes. A server that did not answer is in the Sighting as
// unknown, never left out; an error means that nothing could be looked at.
type Observer interface {
	Look(ctx context.Context, q Question) (Sighting, error)
}

// Journal is the memory. When Save returns nil, a power cut does not forget it.
type Journal interface {
	// Load returns the zone's dossier, an empty one if there is none.
	Load(zone string) (Dossier, error)
	// Save stores the dossiers and appends their events, all in one transaction.
	Save(entries ...Entry) error
}

// Entry is one dossier to save, with what happened since the last save.
type Entry struct {
	Dossier Dossier
	Events  []Event
}
