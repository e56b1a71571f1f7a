package pdns

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
)

// TestInventoryOfTranscripts: see summary for the notation.
func TestInventoryOfTranscripts(t *testing.T) {
	for _, c := range []struct{ pattern, zone, want string }{
		{"066-*", "example.com.", "Native"},
		{"073-*", "example.com.", "Native 1:257/13/256AP+"},
		{"080-*", "split.test.", "Native 4:256/13/256AP 3:257/13/256AP+"},
		{"084-*", "zonly.test.", "Native 5:256/13/256AP+"},
		{"088-*", "rsa.test.", "Native 7:256/8/1024AP 6:257/8/2048AP+"},
		{"092-*", "mixed.test.", "Native 8:257/15/256AP+ 9:256/13/256AP+"},
		{"192-*", "state.test.", "Native 33:257/13/256AP+ 35:256/13/256IP+"},
		{"195-*", "state.test.", "Native 33:257/13/256IP+ 35:256/13/256IP+"},
		{"300-*", "imp.test.", "Native 37:256/13/256IP+ 38:256/13/256IP+ 39:257/13/256AP+"},
		{"314-*", "split.test.", `Native 4:256/13/256AP 3:257/13/256AP+ NSEC3PARAM=["1 0 0 -"]`},
		{"317-*", "split.test.", `Native 4:256/13/256AP 3:257/13/256AP+ NSEC3NARROW=["1"] NSEC3PARAM=["1 0 1 abcd"]`},
		{"320-*", "example.com.", "Master 1:257/13/256AP+"},
		{"322-*", "example.com.", "Master 1:257/13/256AP+"},
		{"325-*", "pre.test.", `Native presigned PRESIGNED=["1"]`},
		{"327-*", "pre.test.", `Native presigned PRESIGNED=["1"]`},
		{"338-*", "sec.test.", "Slave"},
		{"341-*", "sec.test.", "Slave 41:257/13/256AP+"},
		{"347-*", "sec.test.", "Slave 41:257/13/256AP+ 42:256/13/256IP+"},
		{"412-*", ".", "Native 53:257/13/256AP+"},
		{"422-*", "2.0.192.in-addr.arpa.", "Native 55:257/13/256AP+"},
		{"432-*", "0/25.2.0.192.in-addr.arpa.", "Native 57:257/13/256AP+"},
		{"803-*", "x1.test.", `Slave presigned PRESIGNED=["1"]`},
		{"902-*", "ids.test.", "Native 7:256/13/256IP+ 9999:256/13/256IP+ 10000:256/13/256IP+ 99999:256/13/256IP+ 100000:256/13/256IP+ 1234567:256/13/256IP+"},
		{"952-*", "mem.test.", `Master 1:257/13/256AP+ TSIG-ALLOW-AXFR=["k1"] X-KASPOR=["a" "b c"]`},
		{"954-*", "cat.test.", "Producer"},
		{"975-*", "example.com.", "Native 1:257/13/256AP+"},
	} {
		for _, x := range transcripts(t, c.pattern) {
			inv, err := parseInventory(c.zone, []byte(x.stdout), []byte(x.stderr))
			if err != nil || summary(inv) != c.want || inv.Zone != c.zone {
				t.Errorf("%s of %s: %q, %v\nwant %q", x.name, x.version, summary(inv), err, c.want)
			}
		}
	}
}

// TestInventoryKeepsLaws on every show-zone, with the zone that it names.
func TestInventoryKeepsLaws(t *testing.T) {
	named := regexp.MustCompile(`DNSKEY = (\S+) IN`)
	for _, x := range transcripts(t, "*show*") {
		zone := "example.com."
		if m := named.FindStringSubmatch(x.stdout); m != nil {
			zone = m[1]
		}
		inv, err := parseInventory(zone, []byte(x.stdout), []byte(x.stderr))
		if x.rc != "0" {
			if err == nil {
				t.Errorf("%s of %s: no error where pdnsutil had one", x.name, x.version)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s of %s: %v", x.name, x.version, err)
		}
		checkInventory(t, x.stdout, inv)
	}
}

// checkInventory: every key has a unique id above 0, a public key has its tag,
// and each key line of the output is the line of one key and the other way
// round, so that none is overlooked.
func checkInventory(t *testing.T, stdout string, inv rollover.Inventory) {
	t.Helper()
	printed := lines([]byte(stdout))
	seen := make(map[int]bool)
	for _, k := range inv.Keys {
		if k.ID <= 0 || seen[k.ID] {
			t.Errorf("key id %d is not above 0, or not unique", k.ID)
		}
		seen[k.ID] = true
		if k.PublicKey != "" && k.DNSKEY().Tag() != k.Tag {
			t.Errorf("%v has a public key with tag %d", k, k.DNSKEY().Tag())
		}
		if !slices.ContainsFunc([]string{"KSK", "ZSK", "CSK"}, func(role string) bool { return slices.Contains(printed, renderKey(k, role)) }) {
			t.Errorf("%+v is not on any line", k)
		}
	}
	if inv.Presigned && len(inv.Keys) > 0 {
		t.Error("a presigned zone has keys")
	}
	if _, section, ok := strings.Cut("\n"+stdout, "\n"+keysHeading+"\n"); ok && !inv.Presigned {
		if n := strings.Count("\n"+section, "\nID = "); n != len(inv.Keys) {
			t.Errorf("%d keys are on lines, %d were read", n, len(inv.Keys))
		}
	}
}

func renderKey(k rollover.Key, role string) string {
	active, published := "Inactive", " Unpublished"
	if k.Active {
		active = "  Active"
	}
	if k.Published {
		published = " Published"
	}
	mnemonics := map[uint8]string{5: "RSASHA1", 8: "RSASHA256", 10: "RSASHA512", 13: "ECDSAP256SHA256", 14: "ECDSAP384SHA384", 15: "ED25519", 16: "ED448"}
	return fmt.Sprintf("ID = %d (%s), flags = %d, tag = %d, algo = %d, bits = %d\t%s\t%s  ( %s ) ",
		k.ID, role, k.Flags, k.Tag, k.Algorithm, k.Bits, active, published, mnemonics[k.Algorithm])
}

// The pieces of a show-zone to build wrong ones from.
const (
	headText   = "This is a Native zone\nMetadata items: None\nZone has NSEC semantics\nkeys: \n"
	kskText    = "ID = 1 (CSK), flags = 257, tag = 4817, algo = 13, bits = 256\t  Active\t Published  ( ECDSAP256SHA256 ) \n"
	publicText = "CSK DNSKEY = example.com. IN DNSKEY 257 3 13 c6lGzTl8379Of5L+1TjNp1HqL+eC+l937v77FUJGcs7l9UeP0p990ZvwFOXKrDlxdz/D4sh/uKDZBldg9QeeqA== ; ( ECDSAP256SHA256 )\n"
	zskText    = "ID = 2 (ZSK), flags = 256, tag = 1, algo = 13, bits = 256\t  Active\t Published  ( ECDSAP256SHA256 ) \n"
	defunct    = "ID = 3 (KSK) <key missing or defunct, perhaps you should run 'pdnsutil hsm create-key'>\n"
)

func TestInventoryRefuses(t *testing.T) {
	const noKeys = "No keys for zone 'example.com'.\n"
	for _, c := range []struct{ name, stdout, stderr, want string }{
		{"nothing", "", "", "no metadata heading"},
		{"usage", "", "Syntax: pdnsutil show-zone ZONE\n", "no metadata heading"},
		{"no kind", "Metadata items: None\n", noKeys, "0 lines that say the kind"},
		{"two kinds", "This is a Native zone\nThis is a Slave zone\nMetadata items: None\n", noKeys, "2 lines that say the kind"},
		{"new kind", "This is a Primary zone\nMetadata items: None\n", noKeys, "0 lines that say the kind"},
		{"cut off before the keys", "This is a Native zone\nMetadata items: None\n", "", "neither keys nor"},
		{"cut off at the keys", headText, "", "no key"},
		{"keys and none", headText + kskText + publicText, noKeys, "second keys heading"},
		{"two headings", headText + kskText + publicText + "Options:\n{\"a\":\nkeys: \n}\n", "", "second keys heading"},
		{"defunct key", headText + kskText + publicText + defunct, "", "not understood"},
		{"defunct key first", headText + defunct, "", "where a key should be"},
		{"id twice", headText + kskText + publicText + kskText + publicText, "", "twice"},
		{"no public key", headText + kskText + zskText, "", "no DNSKEY"},
		{"public key of another zone", headText + kskText + strings.Replace(publicText, "example.com", "example.net", 1), "", "does not fit"},
		{"public key with other flags", headText + kskText + strings.Replace(publicText, "257", "256", 1), "", "does not fit"},
		{"public key with other tag", headText + strings.Replace(kskText, "4817", "4818", 1) + publicText, "", "does not fit"},
		{"public key twice", headText + kskText + publicText + publicText, "", "does not fit"},
		{"public key first", headText + publicText + kskText, "", "where a key should be"},
		{"id 0", headText + strings.Replace(kskText, "ID = 1", "ID = 0", 1) + publicText, "", "where a key should be"},
		{"huge id", headText + strings.Replace(kskText, "ID = 1", "ID = 4294967299", 1) + publicText, "", "impossible number"},
		{"DS of nothing", headText + "DS = example.com. IN DS 1 13 2 aa ; ( SHA256 digest )\n", "", "where a key should be"},
		{"key after the end", headText + kskText + publicText + "Catalog: \nx\n" + zskText, "", "after the end"},
		{"empty line", headText + kskText + publicText + "\n" + zskText, "", "not understood"},
	} {
		inv, err := parseInventory("example.com.", []byte(c.stdout), []byte(c.stderr))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, %v, want an error with %q", c.name, inv, err, c.want)
		}
	}
}

// Metadata values are printed raw: a line feed in one must not make a key, nor
// hide one.
func TestInventoryOfMetadataWithLineFeeds(t *testing.T) {
	meta := "This is a Native zone\nMetadata items: \n\tX-A\ta\n" + zskText + "\tb\tc\n\tX-E\t\nZone has NSEC semantics\n"
	inv, err := parseInventory("example.com.", []byte(meta+"keys: \n"+kskText+publicText+"WARNING: local files have been created\nBe sure\n"), nil)
	if err != nil || len(inv.Keys) != 1 || inv.Keys[0].ID != 1 {
		t.Errorf("keys are %v, %v, want the one with id 1", inv.Keys, err)
	}
	if got := inv.Metadata["X-A"]; len(got) != 1 || got[0] != "a\n"+strings.TrimSuffix(zskText, "\n") {
		t.Errorf("metadata X-A is %q", got)
	}
	if got := inv.Metadata["X-E"]; len(got) != 1 || got[0] != "" {
		t.Errorf("metadata X-E is %q, want one empty value", got)
	}
}

func TestZoneList(t *testing.T) {
	for _, tr := range transcripts(t, "349-*") {
		zones, odd := parseZoneList([]byte(tr.stdout))
		if len(zones) != 16 || !slices.Contains(zones, "example.com.") || len(odd) > 0 {
			t.Errorf("%s: zones %v, odd %v", tr.version, zones, odd)
		}
	}
	zones, odd := parseZoneList([]byte("a.test\nb\\195\\188cher.test\n.\n"))
	if !slices.Equal(zones, []string{"a.test.", "."}) || len(odd) != 1 {
		t.Errorf("zones %v, odd %v", zones, odd)
	}
}

// What nobody would call a name is shown, and cannot do harm where it is.
func TestOddNamesAreEscaped(t *testing.T) {
	_, odd := parseZoneList([]byte("\x1b]0;owned\a.test\nb\u009b31m\xff.test\nc\r\"d|e f.test\n" + strings.Repeat("\x00", 1<<20) + "\n"))
	want := []string{`\027]0;owned\007.test`, `b\194\15531m\255.test`, `c\013"d|e\032f.test`, strings.Repeat(`\000`, 255)}
	if !slices.Equal(odd, want) {
		t.Errorf("odd names %q, expected %q", odd, want)
	}
}

func TestNewID(t *testing.T) {
	for _, c := range []struct {
		stdout string
		want   int // 0 for an error
	}{
		{"11\n", 11}, {"7", 7}, {"WARNING: local files\n12\nthe authoritative server\n", 12},
		{"", 0}, {"0\n", 0}, {"1\n2\n", 0}, {"-1\n", 0}, {" 3\n", 0}, {"3x\n", 0}, {"4294967299\n", 0}, {"99999999999999999999\n", 0},
	} {
		got, err := parseNewID([]byte(c.stdout))
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("parseNewID(%q) = %d, %v, want %d", c.stdout, got, err, c.want)
		}
	}
	for _, x := range transcripts(t, "*-add-zone-key-*") {
		_, err := parseNewID([]byte(x.stdout))
		stored := x.rc == "0" && !strings.Contains(x.name, "unknown-zone") && !strings.Contains(x.name, "in-second")
		if (err == nil) != stored {
			t.Errorf("%s of %s: %v", x.name, x.version, err)
		}
	}
}

func TestSerial(t *testing.T) {
	for _, c := range []struct{ pattern, zone, want string }{
		{"209-*", "example.com.", "2026112302 <nil>"},
		{"218-*", "wrap.test.", "0 <nil>"},
	} {
		for _, x := range transcripts(t, c.pattern) {
			serial, err := parseSerial(c.zone, []byte(x.stdout))
			if got := fmt.Sprint(serial, err); got != c.want {
				t.Errorf("%s of %s: %s, want %s", x.name, x.version, got, c.want)
			}
		}
	}
	for _, stdout := range []string{
		"", "SOA serial for zone example.net set to 5\n", "SOA serial for zone example.com set to 4294967296\n",
		"SOA serial for zone example.com set to 5\nSOA serial for zone example.com set to 6\n",
	} {
		if serial, err := parseSerial("example.com.", []byte(stdout)); err == nil {
			t.Errorf("parseSerial(%q) = %d, want an error", stdout, serial)
		}
	}
	if serial, err := parseSerial(".", []byte("SOA serial for zone . set to 1\n")); err != nil || serial != 1 {
		t.Errorf("serial of the root is %d, %v", serial, err)
	}
}

// Variants of zones in views are left out; what only looks like one is told.
func TestVariantsAreNoZones(t *testing.T) {
	zones, odd := parseZoneList([]byte("example.com\nexample.com..internal\nexample.net..de-1_x.\nexample.com..\nexample.com..A\n..internal\nexample.com..a..b\n"))
	if fmt.Sprint(zones) != "[example.com.]" || fmt.Sprint(odd) != "[example.com.. example.com..A ..internal example.com..a..b]" {
		t.Errorf("zones %v, odd %v", zones, odd)
	}
}
