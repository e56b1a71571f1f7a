package chain

import (
	"bytes"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// labelsOf is the labels of a name as octets in lower case, the last one first;
// nil for a name that does not fit the wire.
func labelsOf(name string) [][]byte {
	wire := make([]byte, 256)
	n, err := dns.PackDomainName(dns.CanonicalName(name), wire, 0, nil, false)
	if err != nil {
		return nil
	}
	var out [][]byte
	for at := 0; at < n && wire[at] != 0; at += 1 + int(wire[at]) {
		out = append(out, bytes.ToLower(wire[at+1:at+1+int(wire[at])]))
	}
	slices.Reverse(out)
	return out
}

// compare is the canonical order of names (RFC 4034 section 6.1).
func compare(a, b string) int {
	return slices.CompareFunc(labelsOf(a), labelsOf(b), bytes.Compare)
}

// parentOf is the name one label up; the root has none and is its own.
func parentOf(name string) string {
	at := dns.Split(name)
	if len(at) < 2 {
		return "."
	}
	return name[at[1]:]
}

// below says whether a name is in a zone and not its apex.
func below(zone, name string) bool { return name != zone && dns.IsSubDomain(zone, name) }

// nextCloser is the name that ends with the given number of labels of name,
// plus one (RFC 5155 section 1.3).
func nextCloser(name string, labels int) string {
	at := dns.Split(name)
	if i := len(at) - labels - 1; i >= 0 && i < len(at) {
		return name[at[i]:]
	}
	return name
}

// wildcardOf is the wildcard directly below a name.
func wildcardOf(name string) string { return "*." + strings.TrimPrefix(name, ".") }

// enclosers is the names from the parent of a name up to the zone.
func enclosers(zone, name string) []string {
	var out []string
	for below(zone, name) {
		name = parentOf(name)
		out = append(out, name)
	}
	return out
}

// common is the longest name that two names are both in.
func common(a, b string) string {
	n := dns.CompareDomainName(a, b)
	at := dns.Split(a)
	if n == 0 || n > len(at) {
		return "."
	}
	return a[at[len(at)-n]:]
}
