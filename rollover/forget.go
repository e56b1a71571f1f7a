package rollover

import (
	"fmt"
	"slices"
)

// EventForgot is the name of the event that what was seen was forgotten.
const EventForgot = "forgot"

// Oblivion is what is to be forgotten of a zone: what a server showed, by its name or
// address, of a record; of all servers or all records where that is empty.
type Oblivion struct {
	Zone, Server string
	Record       Record
	Reason       string
}

// Forget takes what was seen out of the ledger, which a server may have made up: no
// wait counts its TTL any more, and nothing is held back by what it may have left in
// caches. If it was true, caches may still have it. All hold times start anew, so
// that nothing is entered at once. It returns how many versions were forgotten.
func (e *Engine) Forget(o Oblivion) (int, error) {
	d, err := e.Journal.Load(o.Zone)
	if err != nil {
		return 0, fmt.Errorf("loading the state of %s: %w", o.Zone, err)
	}
	d.Zone = o.Zone
	l := &d.Ledger
	before := len(l.Entries)
	l.Entries = slices.DeleteFunc(slices.Clone(l.Entries), o.fits)
	n := before - len(l.Entries)
	for record, beyond := range l.Beyond {
		if o.Server == "" && (o.Record == "" || o.Record == record) {
			n += beyond.Count
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("%w: nothing was seen of %s: rollover status --json %s has the servers", ErrRefused, o, o.Zone)
	}
	l.forgetSums(o)
	text := fmt.Sprintf("forgot what was seen of %s: %d versions; all waits start anew", o, n)
	event := Event{At: e.Now().Wall, Zone: o.Zone, Event: EventForgot, Text: text, Reason: o.Reason, By: e.By}
	if r := d.Roll; r != nil {
		r.Held, event.Roll, event.Step = map[string]map[string]Holding{}, r.ID, r.Step
	}
	if err := e.Journal.Save(Entry{d, []Event{event}}); err != nil {
		return 0, fmt.Errorf("saving the state of %s: %w", o.Zone, err)
	}
	if e.Tell != nil {
		e.Tell(event)
	}
	return n, nil
}

// forgetSums takes out the largest TTLs of the last look and of the versions that
// were too many; the next look has the true ones.
func (l *Ledger) forgetSums(o Oblivion) {
	recent, beyond := map[Record]uint32{}, map[Record]Beyond{}
	for record, ttl := range l.Recent {
		if o.Record != "" && o.Record != record {
			recent[record] = ttl
		}
	}
	for record, b := range l.Beyond {
		if o.Server != "" || o.Record != "" && o.Record != record {
			beyond[record] = b
		}
	}
	l.Recent, l.Beyond = recent, beyond
}

func (o Oblivion) fits(e LedgerEntry) bool {
	return (o.Record == "" || o.Record == e.Record) && (o.Server == "" || Server{Address: e.Server}.goesBy(o.Server))
}

// String is what is meant, in words.
func (o Oblivion) String() string {
	record, server := "all records", "all servers"
	if o.Record != "" {
		record = string(o.Record)
	}
	if o.Server != "" {
		server = o.Server
	}
	return fmt.Sprintf("%s of %s at %s", record, o.Zone, server)
}
