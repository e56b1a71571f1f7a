package pdnstest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"rollover/rollover"
)

// completeKey makes a public key where there is none, and fills what follows
// from it. Private keys are thrown away: the fake signs nothing.
func completeKey(k *rollover.Key) error {
	k.Role = ""
	if k.Algorithm == 0 {
		k.Algorithm = 13
	}
	if k.Bits == 0 {
		k.Bits = usualBits(k.Algorithm)
	}
	if k.PublicKey == "" {
		public, err := newPublicKey(k.Algorithm, k.Bits)
		if err != nil {
			return err
		}
		k.PublicKey = base64.StdEncoding.EncodeToString(public)
	}
	k.Tag = k.DNSKEY().Tag()
	return nil
}

func usualBits(algorithm uint8) int {
	switch algorithm {
	case 13, 15:
		return 256
	case 14:
		return 384
	case 16:
		return 456
	}
	return 2048
}

// newPublicKey is the public key field of a new key (RFC 6605 section 4, RFC
// 8080 section 3, RFC 3110 section 2). Those of the curves P-256, P-384 and
// Ed25519 are real; RSA and Ed448 ones only have the right shape.
func newPublicKey(algorithm uint8, bits int) ([]byte, error) {
	switch algorithm {
	case 13:
		return newPoint(elliptic.P256())
	case 14:
		return newPoint(elliptic.P384())
	case 15:
		public, _, err := ed25519.GenerateKey(rand.Reader)
		return public, err
	case 16:
		return randomBytes(57)
	case 8, 10:
		modulus, err := randomBytes(bits / 8)
		if err != nil {
			return nil, err
		}
		modulus[0] |= 0x80
		return append([]byte{3, 1, 0, 1}, modulus...), nil
	}
	return nil, fmt.Errorf("the fake PowerDNS makes no keys of algorithm %d", algorithm)
}

// newPoint is a new public key as x and y, without the leading 4 of the
// uncompressed form.
func newPoint(curve elliptic.Curve) ([]byte, error) {
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := private.PublicKey.ECDH()
	if err != nil {
		return nil, err
	}
	return point.Bytes()[1:], nil
}

func randomBytes(n int) ([]byte, error) {
	out := make([]byte, n)
	_, err := rand.Read(out)
	return out, err
}

// mnemonic is the name of an algorithm as pdnsutil prints it.
func mnemonic(algorithm uint8) string {
	switch algorithm {
	case 8:
		return "RSASHA256"
	case 10:
		return "RSASHA512"
	case 13:
		return "ECDSAP256SHA256"
	case 14:
		return "ECDSAP384SHA384"
	case 15:
		return "ED25519"
	}
	return "ED448"
}

// algorithmNumber is the number for a word of add-zone-key, 0 for no such word.
func algorithmNumber(word string) uint8 {
	switch word {
	case "rsasha256":
		return 8
	case "rsasha512":
		return 10
	case "ecdsa256", "ecdsap256sha256":
		return 13
	case "ecdsa384", "ecdsap384sha384":
		return 14
	case "ed25519":
		return 15
	case "ed448":
		return 16
	}
	return 0
}
