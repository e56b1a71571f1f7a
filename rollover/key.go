package rollover

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Flag values of a DNSKEY record (RFC 4034 section 2.1.1).
const (
	FlagsZSK uint16 = 256 // zone key
	FlagsKSK uint16 = 257 // zone key with the secure entry point bit
)

// DNSKEY is the identity of a key: what resolvers see of it. Two keys are the
// same key when their DNSKEYs are equal; tags collide and pdnsutil's ids are
// reused. PublicKey is base64 without white space.
type DNSKEY struct {
	Flags     uint16 `json:"flags"`
	Algorithm uint8  `json:"algorithm"`
	PublicKey string `json:"public_key"`
}

// String is the record data in presentation form, "257 3 13 base64".
func (k DNSKEY) String() string {
	return fmt.Sprintf("%d 3 %d %s", k.Flags, k.Algorithm, k.PublicKey)
}

func (k DNSKEY) wire() ([]byte, error) {
	public, err := base64.StdEncoding.DecodeString(k.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("decoding public key of a DNSKEY: %w", err)
	}
	head := binary.BigEndian.AppendUint16(nil, k.Flags)
	return append(append(head, 3, k.Algorithm), public...), nil
}

// Tag is the key tag (RFC 4034 appendix B), 0 if the key does not decode.
func (k DNSKEY) Tag() uint16 {
	wire, _ := k.wire() // nothing, of a key that does not decode
	var sum uint32
	for i, b := range wire {
		if i&1 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	sum += sum >> 16 & 0xFFFF
	return uint16(sum)
}

// DS is one delegation signer record as the parent holds it (RFC 4034 section 5).
// Digest is upper-case hex.
type DS struct {
	Tag        uint16 `json:"tag"`
	Algorithm  uint8  `json:"algorithm"`
	DigestType uint8  `json:"digest_type"`
	Digest     string `json:"digest"`
}

// String is the record data in presentation form, "12345 13 2 AB...".
func (d DS) String() string {
	return fmt.Sprintf("%d %d %d %s", d.Tag, d.Algorithm, d.DigestType, d.Digest)
}

// DS computes the DS record of the key for the zone (RFC 4034 section 5.1.4,
// RFC 4509, RFC 6605). Digest type 1 (SHA-1) is computed to recognise records
// that exist; only 2 (SHA-256) and 4 (SHA-384) are ever asked for.
func (k DNSKEY) DS(zone string, digestType uint8) (DS, error) {
	wire, err := k.wire()
	if err != nil {
		return DS{}, err
	}
	owner, err := wireName(zone)
	if err != nil {
		return DS{}, err
	}
	sum, err := digest(digestType, append(owner, wire...))
	if err != nil {
		return DS{}, err
	}
	return DS{Tag: k.Tag(), Algorithm: k.Algorithm, DigestType: digestType, Digest: strings.ToUpper(hex.EncodeToString(sum))}, nil
}

func digest(digestType uint8, data []byte) ([]byte, error) {
	switch digestType {
	case 1:
		sum := sha1.Sum(data)
		return sum[:], nil
	case 2:
		sum := sha256.Sum256(data)
		return sum[:], nil
	case 4:
		sum := sha512.Sum384(data)
		return sum[:], nil
	}
	return nil, fmt.Errorf("DS digest type %d cannot be computed: use 2 (SHA-256) or 4 (SHA-384)", digestType)
}

// Role says what a key does in its zone.
type Role string

// The roles of a key (RFC 9499): a KSK signs the DNSKEY set, a ZSK signs
// everything else, a CSK signs both.
const (
	KSK Role = "KSK"
	ZSK Role = "ZSK"
	CSK Role = "CSK"
)

// SignsKeys says whether a key of this role signs the DNSKEY set and so is
// what a DS at the parent points to.
func (r Role) SignsKeys() bool { return r == KSK || r == CSK }

// SignsData says whether a key of this role signs the zone's data.
func (r Role) SignsData() bool { return r == ZSK || r == CSK }

// Key is one key of a zone as pdnsutil lists it. PublicKey is empty for a ZSK
// until it was seen in a DNSKEY set signed by a key we know: show-zone does
// not print it. Role is filled where a key is a side of a rollover.
type Key struct {
	ID        int    `json:"id"`
	Tag       uint16 `json:"tag"`
	Flags     uint16 `json:"flags"`
	Algorithm uint8  `json:"algorithm"`
	Bits      int    `json:"bits"`
	Active    bool   `json:"active"`
	Published bool   `json:"published"`
	PublicKey string `json:"public_key,omitempty"`
	Role      Role   `json:"role,omitempty"`
}

// DNSKEY is the identity of the key; its PublicKey may still be unknown.
func (k Key) DNSKEY() DNSKEY {
	return DNSKEY{Flags: k.Flags, Algorithm: k.Algorithm, PublicKey: k.PublicKey}
}

// Matches says whether a DNSKEY record seen in DNS is this key. While the
// public key is unknown, flags, algorithm and tag must do.
func (k Key) Matches(d DNSKEY) bool {
	if k.Flags != d.Flags || k.Algorithm != d.Algorithm {
		return false
	}
	if k.PublicKey != "" {
		return k.PublicKey == d.PublicKey
	}
	return k.Tag == d.Tag()
}

// String names the key for people: "KSK 12345 (id 3)".
func (k Key) String() string {
	role := k.Role
	if role == "" {
		role = "key"
	}
	return fmt.Sprintf("%s %d (id %d)", role, k.Tag, k.ID)
}

func (k Key) state() string {
	active, published := "inactive", "unpublished"
	if k.Active {
		active = "active"
	}
	if k.Published {
		published = "published"
	}
	return active + ", " + published
}

// same says whether two readings show the same key in the same state. The
// public key counts where both readings show it.
func (k Key) same(o Key) bool {
	if k.PublicKey != "" && o.PublicKey != "" && k.PublicKey != o.PublicKey {
		return false
	}
	k.PublicKey, o.PublicKey, k.Role, o.Role = "", "", "", ""
	return k == o
}

// RoleOf derives the role of a key from its flags and the active keys of its
// algorithm, as PowerDNS does (DNSSECKeeper::getKeys): with an active 257 and
// an active 256 key, 257 means KSK and 256 means ZSK; otherwise every key of
// the algorithm is a CSK.
func RoleOf(keys []Key, key Key) Role {
	var sep, plain bool
	for _, k := range keys {
		if k.Algorithm == key.Algorithm && k.Active {
			sep = sep || k.Flags == FlagsKSK
			plain = plain || k.Flags == FlagsZSK
		}
	}
	switch {
	case !sep || !plain:
		return CSK
	case key.Flags == FlagsKSK:
		return KSK
	}
	return ZSK
}

// sameKeys says whether two key lists are the same, whatever their order.
func sameKeys(a, b []Key) bool { return len(diffKeys(a, b)) == 0 }

// diffKeys tells in sentences how the list found differs from the list expected.
func diffKeys(expected, found []Key) []string {
	var out []string
	for _, want := range expected {
		i := slices.IndexFunc(found, func(k Key) bool { return k.ID == want.ID })
		switch {
		case i < 0:
			out = append(out, fmt.Sprintf("%v is gone", want))
		case !want.same(found[i]):
			out = append(out, fmt.Sprintf("%v was %s, is now tag %d, %s", want, want.state(), found[i].Tag, found[i].state()))
		}
	}
	for _, got := range found {
		if !slices.ContainsFunc(expected, func(k Key) bool { return k.ID == got.ID }) {
			out = append(out, fmt.Sprintf("%v (%s) is not ours", got, got.state()))
		}
	}
	return out
}

// withPublicKeys copies what is known of public keys and roles from an earlier
// list into a fresh reading of the same keys.
func withPublicKeys(fresh, known []Key) []Key {
	out := slices.Clone(fresh)
	for i := range out {
		for _, k := range known {
			if k.ID == out[i].ID && k.Tag == out[i].Tag && k.Algorithm == out[i].Algorithm && k.Flags == out[i].Flags {
				if out[i].PublicKey == "" {
					out[i].PublicKey = k.PublicKey
				}
				if out[i].Role == "" {
					out[i].Role = k.Role
				}
			}
		}
	}
	return out
}
