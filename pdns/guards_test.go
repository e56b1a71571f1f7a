package pdns

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollover/rollover"
)

// Each command holds the file that it is to inherit open, so that a lock
// on it outlives us with the command; without
// one it holds nothing of ours.
func TestCommandsHoldTheLockOpen(t *testing.T) {
	tool, dir := scripted(t, `ls -l /proc/self/fd > "$D/open"; exit 1`)
	lock, err := os.Create(filepath.Join(dir, "tick.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for name, do := range map[string]func(*testing.T, *Tool) error{
		"show-zone": inventory, "list-zone": contents, "increase-serial": bump, "add-zone-key": create, "activate-zone-key": activate, "remove-zone-key": remove, "purge": refresh,
		"rectify-zone":      func(t *testing.T, tool *Tool) error { return tool.Rectify(t.Context(), "example.com.") },
		"unset-publish-cds": func(t *testing.T, tool *Tool) error { return tool.RetractCDS(t.Context(), "example.com.") },
	} {
		for _, file := range []*os.File{lock, nil} {
			tool.Inherit = file
			_ = os.Remove(filepath.Join(dir, "open"))
			_ = do(t, tool) // the script fails, whatever it is asked
			if open := strings.Contains(read(t, filepath.Join(dir, "open")), lock.Name()); open != (file != nil) {
				t.Errorf("%s: the lock is open: %v, expected %v", name, open, file != nil)
			}
		}
	}
}

// A DNSKEY line is taken for the key before it only if it is that key by all that
// can be compared: each thing alone is enough to refuse it.
func TestPublicKeysThatDoNotFit(t *testing.T) {
	const zone, public = "example.com.", "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
	tag := func(flags uint16, algorithm uint8, public string) uint16 {
		return rollover.DNSKEY{Flags: flags, Algorithm: algorithm, PublicKey: public}.Tag()
	}
	key := func(flags uint16, algorithm uint8, tag uint16) listedKey {
		return listedKey{kind: "KSK", Key: rollover.Key{ID: 1, Flags: flags, Algorithm: algorithm, Tag: tag}}
	}
	line := func(kind, zone, flags, algorithm, public string) []string {
		return []string{"the line", kind, zone, flags, algorithm, public}
	}
	spaced := public + "\n"
	known := key(257, 13, tag(257, 13, public))
	known.PublicKey = public
	cases := map[string]struct {
		key  listedKey
		line []string
	}{
		"another kind":            {key(257, 13, tag(257, 13, public)), line("CSK", zone, "257", "13", public)},
		"another zone":            {key(257, 13, tag(257, 13, public)), line("KSK", "example.net.", "257", "13", public)},
		"other flags":             {key(257, 13, tag(256, 13, public)), line("KSK", zone, "256", "13", public)},
		"another algorithm":       {key(257, 14, tag(257, 13, public)), line("KSK", zone, "257", "13", public)},
		"another tag":             {key(257, 13, tag(257, 13, public)+1), line("KSK", zone, "257", "13", public)},
		"flags that are none":     {key(65535, 13, tag(65535, 13, public)), line("KSK", zone, "99999", "13", public)},
		"an algorithm of none":    {key(257, 255, tag(257, 255, public)), line("KSK", zone, "257", "999", public)},
		"a key that is no base64": {key(257, 13, tag(257, 13, "A*")), line("KSK", zone, "257", "13", "A*")},
		"base64 of another kind":  {key(257, 13, tag(257, 13, spaced)), line("KSK", zone, "257", "13", spaced)},
		"a second one":            {known, line("KSK", zone, "257", "13", public)},
	}
	good := key(257, 13, tag(257, 13, public))
	if err := good.addPublicKey(zone, line("KSK", zone, "257", "13", public)); err != nil || good.PublicKey != public {
		t.Fatalf("the right line: %v", err)
	}
	for name, c := range cases {
		if err := c.key.addPublicKey(zone, c.line); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// The same of export-zone-dnskey, of which exactly one line must fit.
func TestExportedKeysThatDoNotFit(t *testing.T) {
	const zone, public = "example.com.", "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
	k := rollover.Key{ID: 1, Flags: 256, Algorithm: 13}
	k.Tag = rollover.DNSKEY{Flags: 256, Algorithm: 13, PublicKey: public}.Tag()
	good := "example.com IN DNSKEY 256 3 13 " + public + "\n"
	for name, c := range map[string]struct {
		tag  uint16
		text string
		want string
	}{
		"the key":           {k.Tag, good, public},
		"with other lines":  {k.Tag, "a warning\n" + good, public},
		"nothing":           {k.Tag, "", ""},
		"twice":             {k.Tag, good + good, ""},
		"another zone":      {k.Tag, strings.Replace(good, "com", "net", 1), ""},
		"other flags":       {k.Tag, strings.Replace(good, "256", "257", 1), ""},
		"another algorithm": {k.Tag, strings.Replace(good, "3 13", "3 14", 1), ""},
		"another tag":       {k.Tag + 1, good, ""},
	} {
		asked := k
		asked.Tag = c.tag
		if got, err := parsePublicKey(zone, asked, []byte(c.text)); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
