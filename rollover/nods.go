package rollover

import "fmt"

// NoDS is what a server of the parent has in the place of a DS set. That
// there is no answer at all is no absence: the server is unknown then.
type NoDS string

// The absences. The empty one is not known: a parent that is not signed does not
// say which it is.
const (
	AbsentDS         NoDS = "no-ds"         // it delegates the zone, without DS
	AbsentDelegation NoDS = "not-delegated" // it has the name, and does not delegate it
	AbsentName       NoDS = "no-such-name"  // it does not have the name
)

// undelegated says that the parent does not delegate the zone, and what helps;
// empty where it does, or where that is not known.
func (v DSVersion) undelegated(zone string) string {
	parent := v.Parent
	if parent == "" {
		parent = "the parent"
	}
	verb := "says"
	if v.Denied {
		verb = "proves"
	}
	switch {
	case len(v.Set) > 0:
		return ""
	case v.NoDS == AbsentName:
		return fmt.Sprintf("%s %s that there is no %s: add NS records there", parent, verb, zone)
	case v.NoDS == AbsentDelegation:
		return fmt.Sprintf("%s %s that it does not delegate %s: add NS records there", parent, verb, zone)
	}
	return ""
}

// undelegated is that of the first server of the parent that says so.
func (s Sighting) undelegated() string {
	for _, o := range s.relevant(RecordDS) {
		if o.DS != nil && o.DS.undelegated(s.Zone) != "" {
			return o.DS.undelegated(s.Zone)
		}
	}
	return ""
}
