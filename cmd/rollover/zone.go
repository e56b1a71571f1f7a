package main

import (
	"fmt"

	"golang.org/x/net/idna"

	"rollover/rollover"
)

// parseZone turns what a person types into a zone name as rollover stores it.
// Names with other than ASCII letters are turned into their A-labels (RFC
// 5890), because pdnsutil would take the raw octets for another zone.
func parseZone(text string) (string, error) {
	ascii := text
	for i := range len(text) {
		if text[i] < 0x80 {
			continue
		}
		profile := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))
		var err error
		if ascii, err = profile.ToASCII(text); err != nil {
			return "", fmt.Errorf("%w: %q: %w", rollover.ErrZoneName, text, err)
		}
		break
	}
	return rollover.ParseZone(ascii)
}
