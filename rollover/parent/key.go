package parent

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"

	"github.com/miekg/dns"
)

// Key is a TSIG key. It has no exported field and no String that tells the
// secret, so that it cannot be printed by accident.
type Key struct{ name, algorithm, secret string }

// String is the name of the key.
func (k *Key) String() string { return "TSIG key " + k.name }

// GoString keeps the secret out of %#v.
func (k *Key) GoString() string { return k.String() }

// ParseKey reads a key file as tsig-keygen, ddns-confgen and rndc-confgen write
// it: key "name" { algorithm hmac-sha256; secret "base64"; };
// An error never has any of the text in it.
func ParseKey(text []byte) (*Key, error) {
	field := func(pattern string) string {
		if m := regexp.MustCompile(pattern).FindSubmatch(text); m != nil {
			return string(m[1])
		}
		return ""
	}
	k := &Key{
		name:      dns.CanonicalName(field(`(?m)^\s*key\s+"?([A-Za-z0-9._-]+)"?\s*\{`)),
		algorithm: dns.CanonicalName(field(`(?i)\balgorithm\s+"?([a-z0-9.-]+)"?\s*;`)),
		secret:    field(`\bsecret\s+"?([A-Za-z0-9+/=]+)"?\s*;`),
	}
	switch {
	case k.name == "." || k.algorithm == "." || k.secret == "":
		return nil, errors.New("it is not a TSIG key as tsig-keygen writes it: key \"name\" { algorithm hmac-sha256; secret \"...\"; };")
	case k.algorithm != dns.HmacSHA224 && k.algorithm != dns.HmacSHA256 && k.algorithm != dns.HmacSHA384 && k.algorithm != dns.HmacSHA512:
		return nil, fmt.Errorf("its algorithm %s is not one of hmac-sha224, hmac-sha256, hmac-sha384 and hmac-sha512", k.algorithm)
	}
	if _, err := base64.StdEncoding.DecodeString(k.secret); err != nil {
		return nil, errors.New("its secret is not base64")
	}
	return k, nil
}
