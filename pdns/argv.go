package pdns

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rollover/rollover"
)

// call is one command to run: whole argument vector, and what it is about.
type call struct {
	zone string // zones it is about, for errors
	argv []string
	slow string // what to do when it takes too long
}

// pdnsutil is a call of pdnsutil. Callers pass "--" before the command,
// because pdnsutil 4.7 to 5.1 takes options anywhere, also after it.
func (t *Tool) pdnsutil(zone string, args ...string) call {
	return t.call(zone, remedyTimeout, t.Command, slices.Concat(t.options(), args))
}

func (t *Tool) control(zone string, args ...string) call {
	return t.call(zone, remedyDeaf, t.Control, slices.Concat(t.options(), args))
}

// call is a command with words added to it: quoted once for each program of
// the command that passes its words through a shell. The command itself is
// the operator's and stays as it was written.
func (t *Tool) call(zone, remedy string, command, words []string) call {
	argv := slices.Concat(command, words)
	added := argv[len(command):]
	for _, program := range command {
		if strings.HasPrefix(program, "-") || !slices.Contains(t.Shells, filepath.Base(program)) {
			continue
		}
		for i, word := range added {
			added[i] = quote(word)
		}
	}
	return call{zone, argv, remedy}
}

func (t *Tool) options() []string {
	var out []string
	if t.ConfigDir != "" {
		out = append(out, "--config-dir="+t.ConfigDir)
	}
	if t.ConfigName != "" {
		out = append(out, "--config-name="+t.ConfigName)
	}
	return out
}

// plain is a name as it is given to pdnsutil: without the trailing dot, but
// the root is "." (the empty string would be the root too, by accident).
func plain(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// changeArgs checks a change and spells it for pdnsutil. It returns the
// checked zone name, and the command with its operands.
func changeArgs(zone string, c rollover.Command) (string, []string, error) {
	name, err := rollover.ParseZone(zone)
	if err != nil {
		return "", nil, err
	}
	var args []string
	switch c.Verb {
	case rollover.VerbCreate:
		args, err = createArgs(name, c.Key)
	case rollover.VerbActivate, rollover.VerbDeactivate, rollover.VerbPublish, rollover.VerbUnpublish, rollover.VerbRemove:
		args, err = keyArgs(name, c)
	default:
		err = fmt.Errorf("there is no command for the verb %q", c.Verb)
	}
	if err != nil {
		return "", nil, fmt.Errorf("zone %s: %w: %w", name, rollover.ErrRefused, err)
	}
	return name, args, nil
}

// keyArgs is a command about an existing key. Ids beyond 32 bits are cut off
// silently by pdnsutil 4.7 to 5.1 and would name another key.
func keyArgs(name string, c rollover.Command) ([]string, error) {
	if c.Key.ID <= 0 || c.Key.ID > math.MaxInt32 {
		return nil, fmt.Errorf("%d is not a key id: it must be 1 or more", c.Key.ID)
	}
	return []string{string(c.Verb) + "-zone-key", plain(name), strconv.Itoa(c.Key.ID)}, nil
}

// createArgs spells every property out: the type left out means ZSK in 4.x and
// KSK in 5.x, and 5.x takes algorithm and size from pdns.conf, even a size
// that does not fit the algorithm given.
func createArgs(name string, k rollover.Key) ([]string, error) {
	word, err := typeWord(k.Flags)
	if err != nil {
		return nil, err
	}
	algorithm, bits, err := algorithmWord(k.Algorithm, k.Bits)
	if err != nil {
		return nil, err
	}
	active, published := "inactive", "unpublished"
	if k.Active {
		active = "active"
	}
	if k.Published {
		published = "published"
	}
	return []string{"add-zone-key", plain(name), word, active, published, strconv.Itoa(bits), algorithm}, nil
}

func typeWord(flags uint16) (string, error) {
	switch flags {
	case rollover.FlagsZSK:
		return "zsk", nil
	case rollover.FlagsKSK:
		return "ksk", nil
	}
	return "", fmt.Errorf("a key with flags %d cannot be made: use 256 or 257", flags)
}

// algorithm is how pdnsutil calls a DNSSEC algorithm, and its key sizes in
// bits: one for the curves, a range for RSA (RFC 5702, but nothing so short
// that it can be broken).
type algorithm struct {
	word      string
	usual     int
	low, high int
}

func algorithms() map[uint8]algorithm {
	return map[uint8]algorithm{
		8:  {"rsasha256", 2048, 1024, 4096},
		10: {"rsasha512", 2048, 1024, 4096},
		13: {"ecdsa256", 256, 256, 256},
		14: {"ecdsa384", 384, 384, 384},
		15: {"ed25519", 256, 256, 256},
		16: {"ed448", 456, 456, 456},
	}
}

// algorithmWord is the word for an algorithm number and the size to ask for;
// 0 bits means the usual size.
func algorithmWord(number uint8, bits int) (string, int, error) {
	a, ok := algorithms()[number]
	if !ok {
		return "", 0, fmt.Errorf("keys of algorithm %d are not made: use 8, 10, 13, 14, 15 or 16", number)
	}
	if bits == 0 {
		bits = a.usual
	}
	if bits < a.low || bits > a.high {
		return "", 0, fmt.Errorf("a key of algorithm %d (%s) cannot have %d bits: %s", number, a.word, bits, a.sizes())
	}
	return a.word, bits, nil
}

func (a algorithm) sizes() string {
	if a.low == a.high {
		return fmt.Sprintf("use %d", a.low)
	}
	return fmt.Sprintf("use %d to %d", a.low, a.high)
}

// quoteAll is an argument vector as one would type it into a POSIX shell.
func quoteAll(argv []string) string {
	words := make([]string, len(argv))
	for i, arg := range argv {
		words[i] = quote(arg)
	}
	return strings.Join(words, " ")
}

func quote(word string) string {
	harmless := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !harmless(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

var errNoCommand = errors.New("no command is configured")
