package pdns

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"rollover/rollover"
)

// FuzzParseInventory: whatever is printed, no panic; and what is accepted
// has keys with unique ids above 0, as many
// as there are lines that begin like one.
func FuzzParseInventory(f *testing.F) {
	for _, x := range transcripts(f, "*show*") {
		f.Add([]byte(x.stdout), []byte(x.stderr))
	}
	f.Add([]byte(headText+kskText+publicText+zskText), []byte(""))
	f.Add([]byte(headText+strings.Replace(kskText, "4817", "0", 1)+"CSK DNSKEY = example.com. IN DNSKEY 257 3 13 ! ; ( X )\n"), []byte(""))
	f.Fuzz(func(t *testing.T, stdout, stderr []byte) {
		inv, err := parseInventory("example.com.", stdout, stderr)
		if err != nil {
			return
		}
		if !slices.Contains([]string{rollover.KindNative, rollover.KindMaster, rollover.KindSlave, rollover.KindProducer, rollover.KindConsumer}, inv.Kind) {
			t.Errorf("kind is %q", inv.Kind)
		}
		for _, k := range inv.Keys {
			if k.ID <= 0 {
				t.Errorf("key is %+v", k)
			}
			if k.PublicKey != "" {
				checkPublicKey(t, k)
			}
		}
		checkKeyLines(t, string(stdout), inv)
	})
}

// checkPublicKey: the key is the one that a DNS library reads in the record of
// it, with the tag of the library, and has the text that the library writes.
func checkPublicKey(t *testing.T, k rollover.Key) {
	t.Helper()
	read, err := dns.NewRR("example.com. IN DNSKEY " + k.DNSKEY().String())
	if err != nil {
		t.Errorf("%v is no DNSKEY: %v", k.DNSKEY(), err)
		return
	}
	wire := make([]byte, dns.MaxMsgSize)
	n, err := dns.PackRR(read, wire, 0, nil, false)
	if err != nil {
		t.Errorf("%v is no DNSKEY: %v", k.DNSKEY(), err)
		return
	}
	again, _, err := dns.UnpackRR(wire[:n], 0)
	if err != nil || again.(*dns.DNSKEY).PublicKey != k.PublicKey || again.(*dns.DNSKEY).Flags != k.Flags || again.(*dns.DNSKEY).Algorithm != k.Algorithm {
		t.Errorf("%v came back as %v: %v", k.DNSKEY(), again, err)
	}
	// Of algorithm 1, which is long gone, the library knows the tag that it once had.
	if tag := read.(*dns.DNSKEY).KeyTag(); tag != k.Tag && k.Algorithm != dns.RSAMD5 {
		t.Errorf("%v has the tag %d, not %d", k.DNSKEY(), tag, k.Tag)
	}
}

// checkKeyLines: as many keys as lines that begin like one after the heading,
// and ids unique.
func checkKeyLines(t *testing.T, stdout string, inv rollover.Inventory) {
	ids := make(map[int]bool)
	for _, k := range inv.Keys {
		ids[k.ID] = true
	}
	_, section, _ := strings.Cut("\n"+stdout, "\n"+keysHeading+"\n")
	if n := strings.Count("\n"+section, "\nID = "); !inv.Presigned && (n != len(inv.Keys) || len(ids) != n) {
		t.Errorf("%d keys are on lines, %d were read, with %d ids", n, len(inv.Keys), len(ids))
	}
}

// FuzzParseContents: no panic; the largest TTL is not below the minimum nor
// below that of any line that looks like a record; there are at most eight
// samples, each once, each a name in the zone that can be asked.
func FuzzParseContents(f *testing.F) {
	for _, x := range transcripts(f, "*list-zone*") {
		f.Add([]byte(x.stdout))
	}
	f.Add(zoneText("*.a.example.com 60 TXT \"x\ny\"", "b.example.com 9 NS c.", "d.example.com 5 DNAME e."))
	f.Fuzz(func(t *testing.T, stdout []byte) {
		got, err := parseContents("example.com.", stdout)
		if err != nil {
			return
		}
		for _, line := range lines(stdout) {
			if r, ok := parseRecord(line); ok && r.ttl > got.LargestTTL {
				t.Errorf("largest TTL is %d, but there is %q", got.LargestTTL, line)
			}
		}
		if got.LargestTTL < got.Minimum || len(got.Samples) > maxSamples {
			t.Errorf("contents are %+v", got)
		}
		for i, s := range got.Samples {
			if name, err := rollover.ParseZone(s.Name); err != nil || name != s.Name || !isBelow(name, "example.com.", true) || slices.Index(got.Samples, s) != i {
				t.Errorf("sample %d is %v of %v", i, s, got.Samples)
			}
		}
	})
}

// FuzzParseSerial: no panic; what is accepted is on a line of its own.
func FuzzParseSerial(f *testing.F) {
	for _, x := range transcripts(f, "*increase-serial*") {
		f.Add([]byte(x.stdout))
	}
	f.Fuzz(func(t *testing.T, stdout []byte) {
		serial, err := parseSerial("example.com.", stdout)
		if err != nil {
			return
		}
		found := slices.ContainsFunc(lines(stdout), func(l string) bool {
			text, ok := strings.CutPrefix(l, "SOA serial for zone example.com set to ")
			return ok && strings.TrimLeft(text, "0") == strings.TrimLeft(strconv.Itoa(int(serial)), "0")
		})
		if !found {
			t.Errorf("serial %d is not on a line of %q", serial, stdout)
		}
	})
}

// FuzzParseNewID: no panic; what is accepted is above 0 and on a line of its own.
func FuzzParseNewID(f *testing.F) {
	for _, x := range transcripts(f, "*add-zone-key*") {
		f.Add([]byte(x.stdout))
	}
	f.Fuzz(func(t *testing.T, stdout []byte) {
		id, err := parseNewID(stdout)
		if err != nil {
			return
		}
		found := slices.ContainsFunc(lines(stdout), func(l string) bool { return strings.TrimLeft(l, "0") == strconv.Itoa(id) })
		if id < 1 || !found {
			t.Errorf("id %d is not on a line of %q", id, stdout)
		}
	})
}

// FuzzParseZoneList: no line is lost, and what is taken for a zone is the name
// on its line.
func FuzzParseZoneList(f *testing.F) {
	f.Add([]byte("example.com\n.\nb\xc3\xbcro.example\n\n-x\n"))
	f.Fuzz(func(t *testing.T, stdout []byte) {
		zones, odd := parseZoneList(stdout)
		if len(zones)+len(odd) != len(lines(stdout)) {
			t.Errorf("%q is the zones %q and the odd lines %q", stdout, zones, odd)
		}
		for _, zone := range zones {
			again, err := rollover.ParseZone(zone)
			found := slices.ContainsFunc(lines(stdout), func(l string) bool {
				return strings.EqualFold(strings.TrimSuffix(l, "."), plain(zone)) || zone == "." && l == "."
			})
			if err != nil || again != zone || !found {
				t.Errorf("%q is not a name on a line of %q", zone, stdout)
			}
		}
	})
}

// FuzzParseDS: what is accepted is a DS record that is written as it was read.
func FuzzParseDS(f *testing.F) {
	f.Add("12345 13 2 abcd ef01")
	f.Add("0 0 0 00")
	f.Add("70000 13 2 ab")
	f.Fuzz(func(t *testing.T, content string) {
		ds, err := parseDS(content)
		if err != nil {
			return
		}
		if again, err := parseDS(ds.String()); err != nil || again != ds {
			t.Errorf("%q is %v, which is %v: %v", content, ds, again, err)
		}
		if strings.Trim(ds.Digest, "0123456789ABCDEF") != "" || len(ds.Digest)%2 != 0 {
			t.Errorf("%q has the digest %q", content, ds.Digest)
		}
	})
}

// FuzzParsePublicKey: what is accepted as the public key of a key makes it the
// DNSKEY that a DNS library reads on exactly one line of the zone, with the
// flags, algorithm and tag that the key had before.
func FuzzParsePublicKey(f *testing.F) {
	f.Add([]byte(publicText), uint16(257), uint8(13), uint16(0))
	for _, k := range exported(f) {
		f.Add([]byte("example.com IN DNSKEY "+k.DNSKEY().String()+"\n"), k.Flags, k.Algorithm, k.Tag)
		f.Add([]byte("example.org IN DNSKEY "+k.DNSKEY().String()+"\n"), k.Flags, k.Algorithm, k.Tag)
	}
	zeros := "example.com IN DNSKEY 256 3 13 AAAA\n"
	f.Add([]byte(zeros+zeros), uint16(256), uint8(13), uint16(0x40d)) // the tag of a key of zeros
	f.Add([]byte("example.com IN DNSKEY 256 3 8 AAAA\n"), uint16(256), uint8(13), uint16(0x40d))
	f.Add([]byte(zeros), uint16(256), uint8(13), uint16(1))
	f.Add([]byte("example.com IN DNSKEY 256 3 13 !\n"), uint16(256), uint8(13), uint16(0))
	f.Fuzz(func(t *testing.T, stdout []byte, flags uint16, algorithm uint8, tag uint16) {
		k := rollover.Key{ID: 1, Flags: flags, Algorithm: algorithm, Tag: tag}
		public, err := parsePublicKey("example.com.", k, stdout)
		if err != nil {
			return
		}
		k.PublicKey = public
		checkPublicKey(t, k)
		line := "example.com IN DNSKEY " + k.DNSKEY().String()
		printed := lines(stdout)
		if others := slices.DeleteFunc(slices.Clone(printed), func(l string) bool { return l == line }); len(printed)-len(others) != 1 {
			t.Errorf("%q is not on one line of %q", line, stdout)
		}
	})
}

// exported is keys as real versions of PowerDNS have shown them.
func exported(f *testing.F) []rollover.Key {
	f.Helper()
	var out []rollover.Key
	for _, x := range transcripts(f, "*show-zone*") {
		if inv, err := parseInventory("example.com.", []byte(x.stdout), []byte(x.stderr)); err == nil {
			out = append(out, inv.Keys...)
		}
	}
	out = slices.DeleteFunc(out, func(k rollover.Key) bool { return k.PublicKey == "" })
	if len(out) == 0 {
		f.Fatal("no transcript shows a key of example.com")
	}
	return out
}

// FuzzParseVersion: what is accepted is one word, begins with a digit, can be
// printed as it is, and is the word after the program's name on a line.
func FuzzParseVersion(f *testing.F) {
	for _, x := range transcripts(f, "*version*") {
		f.Add([]byte(x.stdout))
	}
	f.Add([]byte("Warning: no configuration\npdnsutil 5.0.0-rc1 (built on x)\n"))
	f.Add([]byte("pdnsutil \x1b[2J\n"))
	f.Fuzz(func(t *testing.T, stdout []byte) {
		version, err := parseVersion(stdout)
		if err != nil {
			return
		}
		if version == "" || version[0] < '0' || version[0] > '9' || strings.ContainsFunc(version, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("the version is %q", version)
		}
		found := slices.ContainsFunc(lines(stdout), func(l string) bool {
			rest, ok := strings.CutPrefix(l, "pdnsutil "+version)
			return ok && (rest == "" || strings.ContainsRune(" \t\r", rune(rest[0])))
		})
		if again, err := parseVersion([]byte("pdnsutil " + version + "\n")); !found || err != nil || again != version {
			t.Errorf("%q of %q is %q the next time: %v", version, stdout, again, err)
		}
	})
}
