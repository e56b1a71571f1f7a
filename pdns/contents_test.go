package pdns

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
)

func TestContentsOfTranscripts(t *testing.T) {
	for _, c := range []struct{ pattern, version, want string }{
		{"056-*", "", "serial 0, minimum 3600, largest 3600:"},
		{"065-*", "4.", "serial 2026112301, minimum 1800, largest 3600: example.com./TXT www.example.com.example.com./A ns1.example.com./A www.example.com./A"},
		{"065-*", "5.", "serial 2026112301, minimum 1800, largest 3600: ns1.example.com./A www.example.com./A"},
		{"304-*", "5.", "serial 2026115276, minimum 1800, largest 3600: ns1.example.com./A www.example.com./A"},
	} {
		for _, x := range transcripts(t, c.pattern) {
			got, err := parseContents("example.com.", []byte(x.stdout))
			if strings.HasPrefix(x.version, c.version) && (err != nil || describe(got) != c.want) {
				t.Errorf("%s of %s:\n%s, %v\nwant %s", x.name, x.version, describe(got), err, c.want)
			}
		}
	}
}

// parseContents is what Contents makes of an output.
func parseContents(zone string, stdout []byte) (rollover.Contents, error) {
	c := newContents(zone)
	l := &liner{each: c.line}
	_, _ = l.Write(stdout)
	if err := bothWell(l.close, c.end); err != nil {
		return rollover.Contents{}, err
	}
	return c.told()
}

func describe(c rollover.Contents) string {
	out := fmt.Sprintf("serial %d, minimum %d, largest %d:", c.Serial, c.Minimum, c.LargestTTL)
	for _, s := range c.Samples {
		out += " " + s.Name + "/" + s.Type
	}
	return out
}

// zoneText is list-zone of 4.7.3 for example.com with these further records,
// written "name ttl type content".
func zoneText(records ...string) []byte {
	var b strings.Builder
	b.WriteString("$ORIGIN .\nexample.com\t3600\tIN\tSOA\tns1.example.com h.example.com 7 10800 3600 604800 1800\n")
	for _, r := range records {
		f := strings.SplitN(r, " ", 4)
		fmt.Fprintf(&b, "%s\t%s\tIN\t%s\t%s\n", f[0], f[1], f[2], f[3])
	}
	return []byte(b.String())
}

func TestContents(t *testing.T) {
	for _, c := range []struct {
		name    string
		records []string
		want    string
	}{
		{"nothing but a SOA", nil, "serial 7, minimum 1800, largest 3600:"},
		{"a record below a delegation counts for the TTL only",
			[]string{"sub.example.com 86400 NS ns.sub.example.com.", "ns.sub.example.com 172800 A 192.0.2.1", "sub.example.com 60 DS 1 13 2 aa", "sub.example.com 60 A 192.0.2.1"},
			"serial 7, minimum 1800, largest 172800: sub.example.com./DS"},
		{"the first and the last delegation are asked for their DS, nothing below them",
			[]string{"b.example.com 60 NS ns.test.", "a.example.com 60 NS ns.test.", "c.example.com 60 NS ns.test.", "z.c.example.com 60 NS ns.test."},
			"serial 7, minimum 1800, largest 3600: a.example.com./DS c.example.com./DS"},
		{"a DNAME is asked, what is below it is not",
			[]string{"d.example.com 60 DNAME x.test", "a.d.example.com 60 A 192.0.2.1"},
			"serial 7, minimum 1800, largest 3600: d.example.com./DNAME"},
		{"a wildcard is asked as it is", []string{"*.w.example.com 60 A 192.0.2.1"}, "serial 7, minimum 1800, largest 3600: *.w.example.com./A"},
		{"computed types, odd names and types of DNSSEC are left out", []string{
			"a.example.com 60 ALIAS b.test", `l.example.com 60 LUA A "x"`, "e.example.com 60 ENT ", `a\032b.example.com 60 A 192.0.2.1`,
			"c.example.com 60 CDS 1 13 2 aa", "example.com 60 DNSKEY 257 3 13 aa", "t.example.com 60 ADDR \\# 0", "example.net 60 A 192.0.2.1", "xexample.com 60 A 192.0.2.1",
		}, "serial 7, minimum 1800, largest 3600:"},
		{"an RRset is asked once, in lower case", []string{"WWW.example.com. 60 A 192.0.2.1", "www.example.com 90 A 192.0.2.2"}, "serial 7, minimum 1800, largest 3600: www.example.com./A"},
		{"a line inside a text is no record, but its TTL counts",
			[]string{"t.example.com 60 TXT \"a \\\" b\nx.example.com\t9999\tIN\tNS\tevil.\nexample.com\t1\tIN\tSOA\tx\nend\" \"c\"", "x.example.com 60 A 192.0.2.1"},
			"serial 7, minimum 1800, largest 9999: t.example.com./TXT x.example.com./A"},
	} {
		got, err := parseContents("example.com.", zoneText(c.records...))
		if err != nil || describe(got) != c.want {
			t.Errorf("%s:\n%s, %v\nwant %s", c.name, describe(got), err, c.want)
		}
	}
}

// In a large zone there are eight samples, the same every time, with the
// largest TTL and a wildcard, and from both ends.
func TestSamplesOfLargeZone(t *testing.T) {
	var records []string
	for i := range 300 {
		records = append(records, fmt.Sprintf("h%03d.example.com 300 A 192.0.2.1", i))
	}
	records[17] = "h017.example.com 301 A 192.0.2.1"
	records = append(records, "*.h020.example.com 300 AAAA 2001:db8::1")
	first, err := parseContents("example.com.", zoneText(records...))
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(records)
	second, err := parseContents("example.com.", zoneText(records...))
	if err != nil || !slices.Equal(first.Samples, second.Samples) {
		t.Errorf("in another order: %v, %v, not %v", second.Samples, err, first.Samples)
	}
	if len(first.Samples) != maxSamples {
		t.Errorf("%d samples, want %d: %v", len(first.Samples), maxSamples, first.Samples)
	}
	for _, want := range []rollover.Sample{{Name: "h017.example.com.", Type: "A"}, {Name: "*.h020.example.com.", Type: "AAAA"}, {Name: "h000.example.com.", Type: "A"}} {
		if !slices.Contains(first.Samples, want) {
			t.Errorf("%v is not in %v", want, first.Samples)
		}
	}
}

// What stands in the way of a rollover: DNSKEY records at the apex, and records
// that PowerDNS cannot read, which are asked for first.
func TestStrays(t *testing.T) {
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("h%02d.example.com 60 A 192.0.2.1", i))
	}
	for _, c := range []struct {
		record  string
		keys    int
		unread  string
		sampled bool
	}{
		{"example.com 60 DNSKEY 257 3 13 aa bb", 1, "[]", false},
		{"sub.example.com 60 DNSKEY 257 3 13 aa", 0, "[]", false},
		{"example.com 60 DNSKEY 257 3 x aa", 0, "[]", false},
		{`h17a.example.com 60 TXT "site-verification"content="abc"`, 0, "[{h17a.example.com. TXT}]", true},
		{"h17a.example.com 60 TXT bare", 0, "[{h17a.example.com. TXT}]", true},
		{`h17a.example.com 60 TXT "a" "b \" c"`, 0, "[]", false},
		{`h17a.example.com 60 TXT ""`, 0, "[]", false},
		{"h17a.example.com 60 A 192.0.2.300", 0, "[{h17a.example.com. A}]", true},
		{"h17a.example.com 60 A 192.0.002.1", 0, "[]", false},
		{"h17a.example.com 60 AAAA 192.0.2.1", 0, "[{h17a.example.com. AAAA}]", true},
		{"h17a.example.com 60 AAAA 2001:db8::1", 0, "[]", false},
	} {
		got, err := parseContents("example.com.", zoneText(append(many, c.record)...))
		if err != nil || len(got.Strays.Keys) != c.keys || fmt.Sprint(got.Strays.Unreadable) != c.unread || got.Strays.Absolute {
			t.Errorf("%s: %+v, %v", c.record, got.Strays, err)
		}
		if c.sampled && !slices.Contains(got.Samples, got.Strays.Unreadable[0]) {
			t.Errorf("%s is not in %v", c.record, got.Samples)
		}
	}
	text := strings.ReplaceAll(string(zoneText("example.com 60 DNSKEY 257 3 13 aabb")), "example.com\t", "example.com.\t")
	got, err := parseContents("example.com.", []byte(text))
	want := rollover.DNSKEY{Flags: 257, Algorithm: 13, PublicKey: "aabb"}
	if err != nil || !got.Strays.Absolute || !slices.Equal(got.Strays.Keys, []rollover.DNSKEY{want}) {
		t.Errorf("of 5.x: %+v, %v", got.Strays, err)
	}
}

func TestContentsOfRoot(t *testing.T) {
	text := "$ORIGIN .\n.\t3600\tIN\tSOA\ta.test hostmaster 1 10800 3600 604800 3600\norg\t60\tIN\tNS\tns.test.\ntest\t60\tIN\tA\t192.0.2.1\n"
	got, err := parseContents(".", []byte(text))
	if want := "serial 1, minimum 3600, largest 3600: test./A org./DS"; err != nil || describe(got) != want {
		t.Errorf("%s, %v\nwant %s", describe(got), err, want)
	}
}

// The minimum counts, because it is the TTL of the DNSKEY set in PowerDNS.
func TestMinimumIsTheLargestTTL(t *testing.T) {
	text := "$ORIGIN .\nexample.com\t60\tIN\tSOA\ta b 1 10800 3600 604800 7200\n"
	got, err := parseContents("example.com.", []byte(text))
	if want := "serial 1, minimum 7200, largest 7200:"; err != nil || describe(got) != want {
		t.Errorf("%s, %v\nwant %s", describe(got), err, want)
	}
}

func TestContentsRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "0 SOA records"},
		{"no SOA", "$ORIGIN .\nexample.com\t60\tIN\tA\t192.0.2.1\n", "0 SOA records"},
		{"two SOA", string(zoneText("example.com 60 SOA a b 1 2 3 4 5")), "2 SOA records"},
		{"SOA with six fields", "example.com\t60\tIN\tSOA\ta b 1 2 3 4\n", "6 fields"},
		{"SOA with a huge serial", "example.com\t60\tIN\tSOA\ta b 4294967296 2 3 4 5\n", "impossible number"},
		{"TTL too large", string(zoneText("a.example.com 4294967296 A 192.0.2.1")), "not understood"},
		{"other class", string(zoneText()) + "a.example.com\t60\tCH\tA\t192.0.2.1\n", "not understood"},
		{"open quote", string(zoneText(`a.example.com 60 TXT "a`)), "not closed"},
	} {
		got, err := parseContents("example.com.", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, %v, want an error with %q", c.name, got, err, c.want)
		}
	}
}

// What PowerDNS cannot read is told of at most three sets, each once, and of none
// whose name cannot be asked for.
func TestUnreadableSetsAreNamedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		records []string
		want    string
	}{
		"the same twice":      {[]string{"a.example.com 60 A x", "a.example.com 60 A y"}, "[{a.example.com. A}]"},
		"three":               {[]string{"a.example.com 60 A x", "b.example.com 60 A x", "c.example.com 60 A x"}, "[{a.example.com. A} {b.example.com. A} {c.example.com. A}]"},
		"four":                {[]string{"a.example.com 60 A x", "b.example.com 60 A x", "c.example.com 60 A x", "d.example.com 60 A x"}, "[{a.example.com. A} {b.example.com. A} {c.example.com. A}]"},
		"an odd name":         {[]string{`a\032b.example.com 60 A x`, "a.example.net 60 A x"}, "[]"},
		"a scope":             {[]string{"a.example.com 60 AAAA fe80::1%eth0"}, "[{a.example.com. AAAA}]"},
		"no address":          {[]string{"a.example.com 60 AAAA x"}, "[{a.example.com. AAAA}]"},
		"three numbers":       {[]string{"a.example.com 60 A 192.0.2"}, "[{a.example.com. A}]"},
		"five numbers":        {[]string{"a.example.com 60 A 192.0.2.1.1"}, "[{a.example.com. A}]"},
		"a TAB between texts": {[]string{"a.example.com 60 TXT \"a\"\t\"b\""}, "[]"},
		"a bare backslash":    {[]string{`a.example.com 60 TXT \x`}, "[{a.example.com. TXT}]"},
	} {
		got, err := parseContents("example.com.", zoneText(c.records...))
		if err != nil || fmt.Sprint(got.Strays.Unreadable) != c.want {
			t.Errorf("%s: %v, %v, want %s", name, got.Strays.Unreadable, err, c.want)
		}
	}
}

// A stored DNSKEY record is one of the zone itself that can be read; the root's
// names have their dot in all versions.
func TestStoredKeys(t *testing.T) {
	for text, want := range map[string]int{
		"example.com 60 DNSKEY 257 3 13 aa": 1, "example.com 60 DNSKEY x 3 13 aa": 0, "example.com 60 DNSKEY 257 3 x aa": 0, "example.com 60 DNSKEY 257 3 13": 0,
		"example.com 60 TXT 257 3 13 aa": 0, "a.example.com 60 DNSKEY 257 3 13 aa": 0,
	} {
		if got, err := parseContents("example.com.", zoneText(text)); err != nil || len(got.Strays.Keys) != want {
			t.Errorf("%s: %v, %v", text, got.Strays.Keys, err)
		}
	}
	if got, err := parseContents(".", []byte(".\t60\tIN\tSOA\ta b 1 2 3 4 5\n")); err != nil || got.Strays.Absolute {
		t.Error("the root does not tell")
	}
}

// The SOA is that of the apex.
func TestSOAOfAnotherName(t *testing.T) {
	got, err := parseContents("example.com.", zoneText("sub.example.com 60 SOA a b 9 2 3 4 5"))
	if err != nil || got.Serial != 7 {
		t.Errorf("serial %d, %v", got.Serial, err)
	}
}

// Few sets are all asked for; of many the first of those with the largest TTL, and
// they are spread over the zone.
func TestWhichSamples(t *testing.T) {
	var few, many, same []string
	for i := range maxSamples {
		few = append(few, fmt.Sprintf("h%d.example.com 60 A 192.0.2.1", i))
	}
	for i := range 80 {
		many = append(many, fmt.Sprintf("h%02d.example.com 60 A 192.0.2.1", i))
		same = append(same, fmt.Sprintf("h%02d.example.com %d A 192.0.2.1", i, 60+i%40/39))
	}
	for name, c := range map[string]struct {
		records []string
		want    string
	}{
		"as many as there may be": {few, "h0 h1 h2 h3 h4 h5 h6 h7"},
		"spread":                  {many, "h00 h11 h22 h33 h45 h56 h67 h79"},
		"two with the largest":    {same, "h00 h11 h22 h33 h39 h45 h56 h67"},
		"with delegations":        {append(few[:6:6], `a\032b.example.com 60 NS x.`, "d.example.com 60 NS x.", "e.example.com 60 NS x.", "f.example.com 60 NS x."), "h0 h1 h2 h3 h4 h5 d/DS f/DS"},
		"with two delegations":    {append(few[:1:1], "d.example.com 60 NS x.", "e.example.com 60 NS x."), "h0 d/DS e/DS"},
	} {
		got, err := parseContents("example.com.", zoneText(c.records...))
		var names []string
		for _, s := range got.Samples {
			names = append(names, strings.TrimSuffix(strings.TrimSuffix(s.Name, ".example.com.")+"/"+s.Type, "/A"))
		}
		if err != nil || strings.Join(names, " ") != c.want {
			t.Errorf("%s: %q, %v, want %q", name, names, err, c.want)
		}
	}
}

func TestSampleNames(t *testing.T) {
	for name, want := range map[string]bool{"a.example.com.": true, "A.example.com.": false, "a.example.com": false, `a\032b.example.com.`: false, "a.example.net.": false, "example.com.": true} {
		if got := sampleName("example.com.", name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	var c covering
	c.cuts.add("com.")
	c.cuts.add("example.com.")
	if c.beneath("example.com.", "example.com.") {
		t.Error("the apex is below nothing of the zone")
	}
}
