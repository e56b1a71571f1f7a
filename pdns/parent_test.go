package pdns_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rollover/pdns"
	"rollover/pdns/pdnstest"
	"rollover/rollover"
)

// scripted is a pdnsutil of some version that has the zone test and writes its
// calls to a log. What replace-rrset sets is shown by list-zone afterwards.
func scripted(t *testing.T, version, records string) (*pdns.Tool, func() string) {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`#!/bin/sh
cd %q
[ "$1" = --version ] && { echo "pdnsutil %s"; exit; }
shift
echo "$@" >>log
case $1 in
show-zone)
  [ "$2" = test ] || { echo "No such zone in the database" >&2; exit 1; }
  echo "This is a Native zone"; echo "Zone is not actively secured"; echo "Metadata items: None"; echo "No keys for zone '$2'." >&2 ;;
list-zone) printf '$ORIGIN .\ntest	60	IN	SOA	ns1.test. host.test. 1 2 3 4 5\n'; cat zone ;;
replace-rrset) shift 5; grep -v '	DS	' zone >new; for d; do printf 'child.test	60	IN	DS	%%s\n' "$d" >>new; done; [ -e deaf ] || mv new zone ;;
increase-serial) echo "SOA serial for zone test set to 2" ;;
esac
`, dir, version)
	for name, content := range map[string]string{"pdnsutil": text, "zone": records} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return &pdns.Tool{Command: []string{filepath.Join(dir, "pdnsutil")}}, func() string {
		raw, err := os.ReadFile(filepath.Join(dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
}

func ds(tag uint16) rollover.DS {
	return rollover.DS{Tag: tag, Algorithm: 13, DigestType: 2, Digest: strings.Repeat("AB", 32)}
}

const delegated = "child.test\t300\tIN\tNS\tns1.child.test.\nchild.test\t60\tIN\tDS\t1 13 2 " +
	"abababababababababababababababababababababababababababababababab\nchild.test\t60\tIN\tDS\t9 13 2 abababababababababababababababababababababababababababababababab\n"

// Names are relative in 4.x and absolute in 5.x; foreign records and the TTL stay.
func TestWritesDSOfEachVersion(t *testing.T) {
	for version, owner := range map[string]string{"4.7.3": "child", "4.9.18": "child", "5.1.5": "child.test."} {
		tool, log := scripted(t, version, delegated)
		p := pdns.Parent{Turn: new(sync.Mutex), Tool: tool, TTL: 3600}
		a := p.Submit(context.Background(), rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}, Remove: []rollover.DS{ds(1)}})
		if a.State != rollover.SubmissionAccepted {
			t.Fatalf("%s: %+v", version, a)
		}
		if want := fmt.Sprintf("replace-rrset test %s DS 60 %v %v\n", owner, ds(2), ds(9)); !strings.Contains(log(), want) {
			t.Errorf("%s: calls %q, expected %q", version, log(), want)
		}
	}
}

// The first DS has the TTL that is set, or an hour.
func TestWritesFirstDS(t *testing.T) {
	for ttl, want := range map[uint32]string{0: "DS 3600", 60: "DS 60"} {
		tool, log := scripted(t, "4.7.3", "child.test\t300\tIN\tNS\tns1.child.test.\n")
		p := pdns.Parent{Turn: new(sync.Mutex), Tool: tool, TTL: ttl}
		a := p.Submit(context.Background(), rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}})
		if a.State != rollover.SubmissionAccepted || !strings.Contains(log(), want) {
			t.Errorf("%+v, calls %q", a, log())
		}
	}
}

// What cannot be done fails, with the reason, and writes nothing.
func TestWritesNoDS(t *testing.T) {
	change := rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}}
	for _, c := range []struct {
		name, records, zone, says string
		change                    rollover.Change
	}{
		{"no delegation", "other.test\t300\tIN\tNS\tns.other.test.\n", "", "has no delegation", change},
		{"no parent here", delegated, "", "no zone above it", rollover.Change{Zone: "child.example.", Add: []rollover.DS{ds(2)}}},
		{"a parent that is not here", delegated, "example.", "example", change},
		{"nonsense", delegated + "child.test\t60\tIN\tDS\tx y z 0\n", "", "impossible number", change},
	} {
		tool, log := scripted(t, "4.7.3", c.records)
		p := pdns.Parent{Turn: new(sync.Mutex), Tool: tool, Zone: c.zone, TTL: 3600}
		a := p.Submit(context.Background(), c.change)
		if a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, c.says) || strings.Contains(log(), "rrset") {
			t.Errorf("%s: %+v, calls %q", c.name, a, log())
		}
	}
}

// A pdnsutil that returns 0 and does nothing is found out.
func TestDSThatIsNotWritten(t *testing.T) {
	tool, _ := scripted(t, "4.7.3", delegated)
	if err := os.WriteFile(filepath.Join(filepath.Dir(tool.Command[0]), "deaf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := pdns.Parent{Turn: new(sync.Mutex), Tool: tool}
	if a := p.Submit(context.Background(), rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}}); a.State != rollover.SubmissionLater || !strings.Contains(a.Text, "does not show the DS records") {
		t.Errorf("%+v", a)
	}
}

// A zone that is changed elsewhere is not changed here, nor what lies in it.
func TestZonesThatAreNotChangedHere(t *testing.T) {
	t.Parallel()
	for name, zone := range map[string]pdnstest.Zone{
		"presigned": {Name: "test", Kind: rollover.KindMaster, Metadata: map[string][]string{"PRESIGNED": {"1"}}},
		"secondary": {Name: "test", Kind: rollover.KindSlave}, "consumer": {Name: "test", Kind: rollover.KindConsumer},
	} {
		w := pdnstest.Fake(t, zone)
		for _, above := range []string{"", "test."} {
			p := pdns.Parent{Turn: new(sync.Mutex), Tool: w.Tool, Zone: above}
			a := p.Submit(t.Context(), rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}})
			if a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "the zone test. is presigned or a secondary here: change it on its primary") {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
}

// What is not there now may be there later; all else has failed. The turn is given
// back either way.
func TestAnswersOfASubmission(t *testing.T) {
	turn := new(sync.Mutex)
	p := pdns.Parent{Turn: turn, Tool: &pdns.Tool{Command: []string{filepath.Join(t.TempDir(), "nothing")}}}
	for range 2 {
		a := p.Submit(t.Context(), rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}})
		if a.State != rollover.SubmissionLater || !turn.TryLock() {
			t.Fatalf("%+v", a)
		}
		turn.Unlock()
	}
}

// A DS record that cannot be read is an error and never another record.
func TestDSThatCannotBeRead(t *testing.T) {
	for content, says := range map[string]string{"1 13 2": "3 fields", "x 13 2 AB": "impossible number", "1 x 2 AB": "impossible number", "1 13 x AB": "impossible number", "1 13 2 XY": "not hex"} {
		tool, log := scripted(t, "4.7.3", delegated+"child.test\t60\tIN\tDS\t"+content+"\n")
		p := pdns.Parent{Turn: new(sync.Mutex), Tool: tool}
		a := p.Submit(t.Context(), rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}})
		if a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, says) || strings.Contains(log(), "rrset") {
			t.Errorf("%s: %+v, calls %q", content, a, log())
		}
	}
}

// A version that is not understood names no record.
func TestWritesNothingOfAVersionThatIsNotUnderstood(t *testing.T) {
	tool, log := scripted(t, "4x.7", delegated)
	p := pdns.Parent{Turn: new(sync.Mutex), Tool: tool}
	a := p.Submit(t.Context(), rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}})
	if a.State != rollover.SubmissionFailed || !strings.Contains(a.Text, "is not understood") || strings.Contains(log(), "rrset") {
		t.Errorf("%+v, calls %q", a, log())
	}
}
