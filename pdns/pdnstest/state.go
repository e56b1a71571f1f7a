package pdnstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"rollover/rollover"
)

// Zone is one zone of a PowerDNS, fake or real, as a test wants it.
type Zone struct {
	Name string `json:"name"` // with or without the trailing dot
	Kind string `json:"kind"` // rollover.KindNative when empty
	// Records is what is stored, one record each, the type in capitals. When
	// there is no SOA, one and an NS are added. A presigned zone shows its
	// DNSKEY records as keys.
	Records   []Record            `json:"records"`
	Metadata  map[string][]string `json:"metadata,omitempty"` // PRESIGNED 1 makes the zone presigned
	Keys      []rollover.Key      `json:"keys,omitempty"`     // ids and public keys are made where missing; Role is ignored
	Notified  uint32              `json:"notified"`           // last serial that secondaries were told
	NoSOA     bool                `json:"no_soa,omitempty"`   // do not add a SOA
	Primaries []string            `json:"primaries,omitempty"`
}

// Record is one stored record. Name is absolute, with or without the trailing
// dot; Content is as in a zone file.
type Record struct {
	Name    string `json:"name"`
	TTL     uint32 `json:"ttl"`
	Type    string `json:"type"`
	Content string `json:"content"`
}

// State is all that the fake remembers.
type State struct {
	Zones []Zone `json:"zones"`
	// Down makes pdns_control fail as if no server ran.
	Down bool `json:"down,omitempty"`
	// NotPrimary makes notify answer that the server is no primary.
	NotPrimary bool `json:"not_primary,omitempty"`
	// Calls is every command line that was run, oldest first, without options:
	// "add-zone-key example.com zsk inactive published 256 ecdsa256".
	Calls []string `json:"calls"`
}

const stateFile = "fake.json"

// Init makes the state of a fake PowerDNS with these zones in dir, which must
// exist, in place of any that was there.
func Init(dir string, zones ...Zone) error {
	state := State{Zones: []Zone{}}
	for _, z := range zones {
		complete, err := z.complete(state.nextID())
		if err != nil {
			return err
		}
		state.Zones = append(state.Zones, complete)
	}
	text, err := json.MarshalIndent(state, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding the state of the fake PowerDNS: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, stateFile), text, 0o600)
}

// Update changes the state in dir while no command runs; fn may also only
// look. Nothing is stored when it returns an error.
func Update(dir string, fn func(*State) error) error {
	file, err := os.OpenFile(filepath.Join(dir, stateFile), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening the state of the fake PowerDNS: %w", err)
	}
	return errors.Join(update(file, fn), file.Close())
}

// update holds the lock of the file, which ends with the file being closed.
func update(file *os.File, fn func(*State) error) error {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("locking the state of the fake PowerDNS: %w", err)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("reading the state of the fake PowerDNS: %w", err)
	}
	var state State
	if err := json.Unmarshal(text, &state); err != nil {
		return fmt.Errorf("decoding the state of the fake PowerDNS: %w", err)
	}
	if err := fn(&state); err != nil {
		return err
	}
	return rewrite(file, state)
}

func rewrite(file *os.File, state State) error {
	text, err := json.MarshalIndent(state, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding the state of the fake PowerDNS: %w", err)
	}
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("writing the state of the fake PowerDNS: %w", err)
	}
	_, err = file.WriteAt(text, 0)
	return err
}

// zone finds a zone by name, nil if there is none.
func (s *State) zone(name string) *Zone {
	i := slices.IndexFunc(s.Zones, func(z Zone) bool { return z.Name == canonical(name) })
	if i < 0 {
		return nil
	}
	return &s.Zones[i]
}

// nextID is the id of the next key: one more than the largest of all zones,
// so that the id of a removed newest key comes back, as sqlite does it.
func (s *State) nextID() int {
	largest := 0
	for _, z := range s.Zones {
		for _, k := range z.Keys {
			largest = max(largest, k.ID)
		}
	}
	return largest + 1
}

func (z *Zone) key(id int) *rollover.Key {
	i := slices.IndexFunc(z.Keys, func(k rollover.Key) bool { return k.ID == id })
	if i < 0 {
		return nil
	}
	return &z.Keys[i]
}

func (z *Zone) presigned() bool { return len(z.Metadata["PRESIGNED"]) > 0 }

// complete is the zone with everything filled in that a database would have;
// key ids count from nextID.
func (z Zone) complete(nextID int) (Zone, error) {
	z.Name = canonical(z.Name)
	if z.Kind == "" {
		z.Kind = rollover.KindNative
	}
	z.Records = z.allRecords()
	z.Keys = slices.Clone(z.Keys)
	for i := range z.Keys {
		k := &z.Keys[i]
		if k.ID == 0 {
			k.ID = nextID
		}
		nextID = max(nextID, k.ID+1)
		if err := completeKey(k); err != nil {
			return Zone{}, fmt.Errorf("zone %s: %w", z.Name, err)
		}
	}
	return z, nil
}

// allRecords is the records with canonical names, SOA and NS added.
func (z Zone) allRecords() []Record {
	out := slices.Clone(z.Records)
	for i := range out {
		out[i].Name = canonical(out[i].Name)
	}
	isSOA := func(r Record) bool { return r.Type == "SOA" }
	if z.NoSOA || slices.ContainsFunc(out, isSOA) {
		return out
	}
	apex := canonical(z.Name)
	return append(out,
		Record{apex, 3600, "SOA", "ns1.example.net. hostmaster.example.net. 1 10800 3600 604800 3600"},
		Record{apex, 3600, "NS", "ns1.example.net."})
}

// canonical is a name in lower case with the trailing dot; the empty name is
// the root, as for pdnsutil.
func canonical(name string) string {
	return strings.TrimSuffix(strings.ToLower(name), ".") + "."
}

// plain is a name as 4.7.3 prints it, without the trailing dot.
func plain(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}
