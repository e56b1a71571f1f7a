package pdns

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
)

// printZone has list-zone of example.com written, in pieces as of a pipe, until about
// so many bytes are written: hosts, one in ten of them delegated, and what is said last.
func printZone(l *liner, size int, last string) {
	var piece []byte
	piece = append(piece, "$ORIGIN .\nexample.com\t3600\tIN\tSOA\tns1.example.com h.example.com 7 10800 3600 604800 1800\n"...)
	for n, written := 0, 0; written < size; n++ {
		typ, content := "A", "192.0.2.1"
		if n%10 == 0 {
			typ, content = "NS", "ns1.example.net"
		}
		piece = fmt.Appendf(piece, "h%07d.example.com\t%d\tIN\t%s\t%s\n", n, 300+n%60, typ, content)
		if len(piece) >= 32<<10 {
			written += len(piece)
			_, _ = l.Write(piece)
			piece = piece[:0]
		}
	}
	_, _ = l.Write(append(piece, last...))
}

// keptOf is the bytes on the heap that reading a zone of that size leaves, and what
// was read.
func keptOf(t testing.TB, size int, last string) (uint64, rollover.Contents) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := newContents("example.com.")
	l := &liner{each: c.line}
	printZone(l, size, last)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err := bothWell(l.close, c.end); err != nil {
		t.Fatal(err)
	}
	got, err := c.told()
	if err != nil {
		t.Fatal(err)
	}
	return after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc), got
}

// Of a large zone the end counts as much as the beginning, and what is kept stays small.
func TestLargeZoneKeepsLittle(t *testing.T) {
	kept, got := keptOf(t, 40<<20, "z.example.com\t86400\tIN\tTXT\t\"last\"\nexample.com\t1\tIN\tDNSKEY\t257 3 13 aabb\n*.w.example.com\t60\tIN\tA\tx")
	if kept > 40<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
	if got.LargestTTL != 86400 || got.Serial != 7 || len(got.Strays.Keys) != 1 || len(got.Samples) != maxSamples {
		t.Errorf("contents are %+v", got)
	}
	for _, want := range []rollover.Sample{{Name: "z.example.com.", Type: "TXT"}, {Name: "*.w.example.com.", Type: "A"}} {
		if !slices.Contains(got.Samples, want) {
			t.Errorf("%v is not in %v", want, got.Samples)
		}
	}
	if slices.ContainsFunc(got.Samples, func(s rollover.Sample) bool { return s.Type == "A" && strings.HasSuffix(s.Name, "0.example.com.") }) {
		t.Errorf("a name of a delegation is in %v", got.Samples)
	}
}

// BenchmarkLargeZone is what reading 200 MiB of list-zone keeps, in parts of that.
func BenchmarkLargeZone(b *testing.B) {
	for b.Loop() {
		kept, _ := keptOf(b, 200<<20, "")
		b.ReportMetric(float64(kept)/(200<<20), "kept/printed")
	}
}

// What is kept of many depends on what they are, not on their order, and is never
// more than it may be.
func TestThinnedInAnyOrder(t *testing.T) {
	var all []rollover.Sample
	for n := range 5000 {
		all = append(all, rollover.Sample{Name: fmt.Sprintf("h%d.example.com.", n), Type: "A"})
	}
	read := func() thinned {
		out := thinned{most: 100}
		for _, s := range all {
			if out.add(s, 60); len(out.kept) > 100 {
				t.Fatalf("%d are kept", len(out.kept))
			}
		}
		return out
	}
	first := read()
	slices.Reverse(all)
	second := read()
	if len(first.kept) < 25 || fmt.Sprint(first.kept) != fmt.Sprint(second.kept) {
		t.Errorf("%d are kept, and %d in another order", len(first.kept), len(second.kept))
	}
}

// A set of names has each that was added, however many.
func TestNameSet(t *testing.T) {
	var set nameSet
	name := func(n int) string { return fmt.Sprintf("h%d.example.com.", n) }
	for n := range 3 * mostExact {
		set.add(name(n))
	}
	wrong := 0
	for n := range 3 * mostExact {
		if !set.has(name(n)) {
			t.Fatalf("%s is lost", name(n))
		}
		if set.has("x" + name(n)) {
			wrong++
		}
	}
	if set.exact != nil || wrong > 3*mostExact/1000 {
		t.Errorf("%d of %d names seem to be in it", wrong, 3*mostExact)
	}
}

// What is more than is kept ends the command, and says what to do.
func TestTooMuchOfAZone(t *testing.T) {
	const soa = `printf 'example.com\t60\tIN\tSOA\ta b 1 2 3 4 5\n'; `
	for name, c := range map[string]struct{ script, what, remedy string }{
		"a line":      {soa + `head -c 1100000 /dev/zero | tr '\0' x; exec sleep 60`, "line of more than 1048576 bytes", "look at what it prints"},
		"stored keys": {soa + `i=0; while [ $i -lt 65 ]; do printf 'example.com\t60\tIN\tDNSKEY\t257 3 13 aabb\n'; i=$((i+1)); done; exec sleep 60`, "more than 64 DNSKEY records", "no signer needs"},
	} {
		tool, _ := scripted(t, c.script)
		err := contents(t, tool)
		if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), c.what) || !strings.Contains(err.Error(), c.remedy) || !strings.Contains(err.Error(), "example.com.") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := newSurvey("example.com.")
	s.most = 2
	var err error
	for _, name := range []string{"a", "b", "a", "c", "d"} {
		if err = s.line(name + ".example.com\t60\tIN\tA\t192.0.2.1"); err != nil {
			break
		}
	}
	var full *fullError
	if !errors.As(err, &full) || !strings.Contains(full.what, "more than 2 record sets") || !strings.Contains(full.remedy, "rollover adopt") {
		t.Errorf("sets: %v", err)
	}
	s = newSurvey("example.com.")
	for err = nil; err == nil; {
		err = s.line("a.example.com\t60\tIN\tTXT\t\"" + strings.Repeat("x", 1<<19) + "\"")
	}
	if !errors.As(err, &full) || !strings.Contains(full.what, "16777216 bytes of a.example.com. TXT") {
		t.Errorf("one set: %v", err)
	}
}

// The sum of an RRset is the one that earlier versions have stored, and does not
// depend on the order of its records, nor of its pieces.
func TestSumOfRRset(t *testing.T) {
	sum := func(order string) string {
		s := newSurvey("example.com.")
		for _, c := range order {
			if err := s.line(fmt.Sprintf("%c.example.com\t60\tIN\tA\t192.0.2.%d", map[bool]rune{true: 'o', false: 'a'}[c == '-'], c-'0'+1)); err != nil {
				t.Fatal(err)
			}
		}
		s.finish()
		return s.stored()[0].Sum
	}
	hash := sha256.Sum256([]byte("192.0.2.2\n192.0.2.3"))
	if want := hex.EncodeToString(hash[:8]); sum("12") != want || sum("21") != want {
		t.Errorf("it is %s and %s, expected %s", sum("12"), sum("21"), want)
	}
	if sum("1-2") != sum("2-1") || sum("1-2") == sum("1-3") || sum("1-1") == sum("2-2") {
		t.Errorf("in pieces: %s and %s; of others %s", sum("1-2"), sum("2-1"), sum("1-3"))
	}
}

// A failing list-zone tells why it failed, not what could not be read of it.
func TestFailureOfListZoneComesFirst(t *testing.T) {
	tool, _ := scripted(t, `printf 'no\trecord\n'; echo "Error: No such zone in the database" >&2; exit 1`)
	if err := contents(t, tool); !errors.Is(err, rollover.ErrUnknownZone) {
		t.Error(err)
	}
}
