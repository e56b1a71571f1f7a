package main

import (
	"strconv"
	"strings"
)

// parseAlgorithm is the number of a DNSSEC algorithm, given as a number, by the
// word of pdnsutil, or by its mnemonic; 0 for the empty text.
func parseAlgorithm(text string) (uint8, error) {
	switch strings.ToLower(text) {
	case "":
		return 0, nil
	case "rsasha256":
		return 8, nil
	case "rsasha512":
		return 10, nil
	case "ecdsa256", "ecdsap256sha256":
		return 13, nil
	case "ecdsa384", "ecdsap384sha384":
		return 14, nil
	case "ed25519":
		return 15, nil
	case "ed448":
		return 16, nil
	}
	number, err := strconv.ParseUint(text, 10, 8)
	if err != nil || number == 0 {
		return 0, usage("there is no algorithm %q: there are ecdsa256 (13), ed25519 (15), ecdsa384 (14), rsasha256 (8) and rsasha512 (10)", text)
	}
	return uint8(number), nil
}
