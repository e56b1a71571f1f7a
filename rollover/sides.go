package rollover

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Layout is which keys a zone has.
type Layout string

// The layouts: one key for everything, as `pdnsutil secure-zone` makes it, or
// a KSK and a ZSK.
const (
	LayoutCSK   Layout = "csk"
	LayoutSplit Layout = "split"
)

// layoutOf is the layout that a zone's keys have now.
func layoutOf(keys []Key) Layout {
	if slices.ContainsFunc(keys, func(k Key) bool { return k.Active && RoleOf(keys, k) == CSK }) {
		return LayoutCSK
	}
	return LayoutSplit
}

// specs is what the keys of a layout are made like.
func (l Layout) specs(algorithm uint8, bits int) []Key {
	key := func(flags uint16, role Role) Key {
		return Key{Flags: flags, Algorithm: algorithm, Bits: bits, Published: true, Role: role}
	}
	if l == LayoutCSK {
		return []Key{key(FlagsKSK, CSK)}
	}
	return []Key{key(FlagsKSK, KSK), key(FlagsZSK, ZSK)}
}

// chooseKind is the row of the table for an order.
func chooseKind(o Order, inv Inventory, p Policy) (Kind, error) {
	kindType := o.Type
	switch {
	case kindType != "":
	case layoutOf(inv.Keys) == LayoutCSK || o.To != "":
		kindType = "csk"
	default:
		kindType = "zsk"
	}
	converts := kindType == "csk" && o.To != "" && o.To != layoutOf(inv.Keys)
	method := cmp.Or(o.Method, o.urgentMethod(kindType, converts, p), usualMethod(kindType, p))
	if converts {
		method = "convert-" + strings.TrimPrefix(method, "convert-")
	}
	method = p.methodFor(kindType, method)
	kind, err := FindKind(kindType, method)
	if err != nil || kind.back() {
		return Kind{}, fmt.Errorf("%w: no rollover of type %q by method %q can be started: types are %s", ErrRefused, kindType, method, startable())
	}
	return kind, errors.Join(p.drives(kind), o.fits(kind))
}

// usualMethod is the method of a type when none is asked for.
func usualMethod(kindType string, p Policy) string {
	switch kindType {
	case "zsk":
		return "pre-publish"
	case "algorithm":
		return "conservative"
	case "sign":
		return "ds-last"
	case "unsign":
		return "ds-first"
	}
	return p.KSKMethod
}

// startable is the types and methods that can be ordered, in words.
func startable() string {
	var types []string
	methods := map[string][]string{}
	for _, k := range Kinds() {
		if k.back() || k.Type == "sign" || k.Type == "unsign" { // commands of their own
			continue
		}
		if methods[k.Type] == nil {
			types = append(types, k.Type)
		}
		methods[k.Type] = append(methods[k.Type], k.Method)
	}
	for i, t := range types {
		types[i] = fmt.Sprintf("%s (%s)", t, strings.Join(methods[t], ", "))
	}
	return strings.Join(types, ", ")
}

// fits refuses what an order says and its kind does not heed.
func (o Order) fits(kind Kind) error {
	switch {
	case o.To != "" && o.To != LayoutCSK && o.To != LayoutSplit:
		return fmt.Errorf("%w: there is no layout %q: there are csk (one key) and split (a KSK and a ZSK)", ErrRefused, o.To)
	case o.To != "" && kind.Role != "" && (kind.Type != "csk" || o.To != LayoutCSK):
		return fmt.Errorf("%w: a %s rollover does not change which keys a zone has: a target layout is for the types csk and algorithm", ErrRefused, kind.Type)
	case o.To != "" && kind.Type == "unsign":
		return fmt.Errorf("%w: a zone that is unsigned has no keys: there is no layout for them", ErrRefused)
	case (o.Algorithm != 0 || o.Bits != 0) && kind.Type != "algorithm" && kind.Type != "sign":
		return fmt.Errorf("%w: new keys of a %s rollover have the algorithm and size of the old ones: use --type algorithm for others", ErrRefused, kind.Type)
	}
	return nil
}

// sides is the keys that an order replaces, and what the new ones are made like.
func sides(o Order, inv Inventory, kind Kind) (old, specs []Key, err error) {
	if kind.Role != "" {
		if old, err = outgoing(inv, kind.Role); err != nil {
			return nil, nil, err
		}
		k := old[0]
		if kind.Role.SignsKeys() {
			if err := withoutSEP(inv.Zone, k); err != nil {
				return nil, nil, err
			}
		}
		return old, []Key{{Flags: k.Flags, Algorithm: k.Algorithm, Bits: k.Bits, Published: true, Role: kind.Role}}, checkAlgorithm(inv.Zone, k)
	}
	switch kind.Type {
	case "sign":
		specs, err = o.firstKeys(inv)
		return nil, specs, err
	case "unsign":
		old, err = everyKey(inv)
		return old, nil, err
	}
	if old, err = outgoing(inv, ""); err != nil {
		return nil, nil, err
	}
	from, to := layoutOf(inv.Keys), o.To
	if to == "" {
		to = from
	}
	entry, _ := entryPoint(old)
	algorithm, bits := entry.Algorithm, entry.Bits
	if kind.Type == "algorithm" {
		algorithm, bits = o.Algorithm, o.Bits
		if algorithm == entry.Algorithm {
			return nil, nil, fmt.Errorf("%w: the keys of %s have algorithm %d already: use --type csk, ksk or zsk to replace keys by others like them", ErrRefused, inv.Zone, algorithm)
		}
	} else if from == to {
		return nil, nil, fmt.Errorf("%w: the keys of %s are %s already: a conversion needs another layout", ErrRefused, inv.Zone, to)
	} else if err := withoutSEP(inv.Zone, entry); err != nil {
		return nil, nil, err
	}
	bits, err = keySize(inv.Zone, algorithm, bits)
	return old, to.specs(algorithm, bits), err
}

// firstKeys is what the keys of a zone that has none are made like: as
// `pdnsutil secure-zone` would, unless the order says otherwise.
func (o Order) firstKeys(inv Inventory) ([]Key, error) {
	if len(inv.Keys) > 0 {
		return nil, fmt.Errorf("%w: %s has keys already (%s): to replace them use `rollover start --zone %s`", ErrRefused, inv.Zone, keyNames(withRoles(inv.Keys)), inv.Zone)
	}
	algorithm := cmp.Or(o.Algorithm, 13)
	bits, err := keySize(inv.Zone, algorithm, o.Bits)
	return cmp.Or(o.To, LayoutCSK).specs(algorithm, bits), err
}

// everyKey is all keys of a zone that is to have none, in whatever state.
func everyKey(inv Inventory) ([]Key, error) {
	if len(inv.Keys) == 0 {
		return nil, fmt.Errorf("%w: %s is not signed: it has no key, so there is none to take away", ErrRefused, inv.Zone)
	}
	return withRoles(inv.Keys), nil
}

// soundUnsigned checks that a server serves a zone without keys as such: with
// a DNSKEY set or signatures from elsewhere it is not ours to sign.
func (r *Roll) soundUnsigned(o ServerSighting) error {
	switch {
	case len(o.DNSKEY.Keys) > 0:
		return fmt.Errorf("expected no DNSKEY set, since PowerDNS has no key of %s, found tags %s: who signs it? %s", r.Zone, keyTags(o.DNSKEY.Keys), keyless)
	case len(o.Data.Traces) > 0:
		return fmt.Errorf("expected data without signatures, since PowerDNS has no key of %s, found some by %d", r.Zone, o.Data.Traces[0].Tag)
	}
	return nil
}

// keySize is the size of new keys of an algorithm, the usual one for 0 bits;
// algorithms and sizes that new keys must not have are refused.
func keySize(zone string, algorithm uint8, bits int) (int, error) {
	if algorithm == 0 {
		return 0, fmt.Errorf("%w: an algorithm rollover of %s needs the new algorithm: --algorithm ecdsa256, ed25519, ecdsa384 or rsasha256", ErrRefused, zone)
	}
	if err := checkAlgorithm(zone, Key{Algorithm: algorithm}); err != nil {
		return 0, err
	}
	fixed := map[uint8]int{13: 256, 14: 384, 15: 256}[algorithm]
	switch {
	case bits == 0 && fixed == 0:
		return 2048, nil
	case bits == 0 || bits == fixed:
		return fixed, nil
	case fixed == 0 && bits >= 1024 && bits <= 4096:
		return bits, nil
	case fixed == 0:
		return 0, fmt.Errorf("%w: a key of algorithm %d for %s cannot have %d bits: use 1024 to 4096", ErrRefused, algorithm, zone, bits)
	}
	return 0, fmt.Errorf("%w: a key of algorithm %d for %s cannot have %d bits: it has %d", ErrRefused, algorithm, zone, bits, fixed)
}

// outgoing is the keys that a rollover replaces: the one of a role, or all of
// them. States that no plan starts from are refused with what was seen.
func outgoing(inv Inventory, role Role) ([]Key, error) {
	if len(inv.Keys) == 0 {
		return nil, fmt.Errorf("%w: %s is not signed: it has no key; sign it with `rollover sign --zone %s` first. Or, if it was signed: %s", ErrRefused, inv.Zone, inv.Zone, keyless)
	}
	if err := signing(inv); err != nil {
		return nil, err
	}
	roles := map[Role][]Key{}
	for _, k := range withRoles(inv.Keys) {
		roles[k.Role] = append(roles[k.Role], k)
	}
	if role != "" && len(roles[role]) == 0 {
		return nil, fmt.Errorf("%w: %s has no %s, its keys are %s: use --type %s%s", ErrRefused, inv.Zone, role, keyNames(withRoles(inv.Keys)), strings.ToLower(string(RoleOf(inv.Keys, inv.Keys[0]))), converting(role))
	}
	var old []Key
	for _, one := range []Role{KSK, ZSK, CSK} {
		if role != "" && role != one {
			continue
		}
		if len(roles[one]) > 1 {
			return nil, fmt.Errorf("%w: %s has %d active keys of role %s (%s): a rollover replaces one: end what was begun by hand first (pdnsutil show-zone %s)", ErrRefused, inv.Zone, len(roles[one]), one, keyNames(roles[one]), inv.Zone)
		}
		old = append(old, roles[one]...)
	}
	return old, nil
}

// converting is what to type for who wants another layout.
func converting(role Role) string {
	if role == CSK {
		return "; or convert it to one key with --to csk"
	}
	return "; or convert it to a KSK and a ZSK with --to split"
}

// signing refuses a zone in which some key does not sign or is not published,
// or whose keys have several algorithms.
func signing(inv Inventory) error {
	algorithms := map[uint8]bool{}
	for _, k := range withRoles(inv.Keys) {
		algorithms[k.Algorithm] = true
		switch {
		case k.Active && k.Published:
		case k.Active:
			return fmt.Errorf("%w: %v of %s is active but not published: publish it or remove it first (pdnsutil show-zone %s)", ErrRefused, k, inv.Zone, inv.Zone)
		default:
			return fmt.Errorf("%w: %v of %s is %s: no plan starts with a key that does not sign; if another host rolls this zone, let it; if the key is left over, and has not signed anything for longer than the largest TTL of the zone, remove it with `pdnsutil remove-zone-key %s %d`", ErrRefused, k, inv.Zone, k.state(), inv.Zone, k.ID)
		}
	}
	if layout := oddLayout(inv.Zone, withRoles(inv.Keys)); layout != "" {
		return fmt.Errorf("%w: %s: %s", ErrRefused, inv.Zone, layout)
	}
	if len(algorithms) > 1 {
		return fmt.Errorf("%w: the keys of %s have several algorithms: end the algorithm rollover first (pdnsutil show-zone %s)", ErrRefused, inv.Zone, inv.Zone)
	}
	return nil
}

// entryPoint is the key of a side that a DS points to.
func entryPoint(side []Key) (Key, bool) {
	i := slices.IndexFunc(side, func(k Key) bool { return k.Role.SignsKeys() })
	if i < 0 {
		return Key{}, false
	}
	return side[i], true
}

// beginning says in words what a rollover is about to do.
func (r *Roll) beginning() string {
	switch r.Type {
	case "sign":
		return strings.TrimSuffix("first signing, with "+specNames(r.SpecNew)+"; "+r.acceptedText(), "; ")
	case "unsign":
		return "back to unsigned: taking away " + keyNames(r.Old)
	}
	text := fmt.Sprintf("%s rollover by %s: replacing %s", r.Type, r.Method, keyNames(r.Old))
	if r.Urgent {
		text = "urgent " + text
	}
	if len(r.Old) == len(r.SpecNew) && len(r.Old) > 0 && r.Old[0].Algorithm == r.SpecNew[0].Algorithm {
		return text
	}
	return text + " by " + specNames(r.SpecNew)
}

func specNames(specs []Key) string {
	words := make([]string, len(specs))
	for i, k := range specs {
		words[i] = fmt.Sprintf("a %s of algorithm %d", k.Role, k.Algorithm)
	}
	return strings.Join(words, " and ")
}
