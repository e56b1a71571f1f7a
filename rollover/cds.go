package rollover

import (
	"fmt"
	"strings"
)

// PowerDNS makes CDS and CDNSKEY records of every published KSK and CSK, active
// or not (pdnsutil 4.7 to 5.1). A parent that follows them (RFC 7344) can have
// the DS set of old and new, and of new alone only after old is unpublished.
// The kinds with this suffix are made for that; the others could never end.
const cdsSuffix = "-cds"

// methodFor is the method to roll keys of a type by, where the parent follows
// CDS records.
func (p Policy) methodFor(kindType, method string) string {
	if !p.CDS || kindType != "ksk" && kindType != "csk" || strings.HasSuffix(method, cdsSuffix) {
		return method
	}
	return method + cdsSuffix
}

// drives says why a kind does not fit the way in which the parent is asked.
func (p Policy) drives(k Kind) error {
	switch {
	case !k.signsKeys() || k.CDS == p.CDS:
		return nil
	case k.CDS:
		return fmt.Errorf("%w: %s is for parents that follow CDS records: set driver = \"cds\", or use --method %s", ErrRefused, k.Name(), strings.TrimSuffix(k.Method, cdsSuffix))
	}
	return fmt.Errorf("%w: %s asks for DS sets that CDS records cannot express, since PowerDNS lists every published key in them: use another driver for this rollover", ErrRefused, k.Name())
}
