package pdns

import "rollover/rollover"

// shown looks until it sees what a command did, or patience is at its end: reads may
// lag behind writes. It says whether it was seen.
func (t *Tool) shown(look func() (bool, error)) (bool, error) {
	for pauses := rollover.Pauses(); ; pauses = pauses[1:] {
		seen, err := look()
		if seen || err != nil || t.After == nil || len(pauses) == 0 {
			return seen, err
		}
		<-t.After(pauses[0])
	}
}
