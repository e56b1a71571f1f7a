package lab

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// startLab starts a lab that ends with the test.
func startLab(t *testing.T, o Options) *Lab {
	t.Helper()
	o.PDNSRoot = cmp.Or(o.PDNSRoot, os.Getenv("PDNS_ROOT"))
	l, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lookup asks for a name and returns the answer.
func lookup(t *testing.T, addr, name string, qtype uint16) *dns.Msg {
	t.Helper()
	answer, err := ask(t.Context(), addr, name, qtype)
	must(t, err)
	return answer
}

// processesOf counts the processes that have the folder of a lab in their
// command line. A dead process that nobody reaped has no command line.
func processesOf(t *testing.T, dir string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	count := 0
	for _, line := range lines {
		text, err := os.ReadFile(line)
		if err == nil && bytes.Contains(text, []byte(dir)) {
			count++
		}
	}
	return count
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	l := startLab(t, Options{Parent: "Test", Zones: []Zone{{Name: "split.test", LongTTL: 900}, {Name: "csk.a.test", Layout: CSK}}})
	if n := processesOf(t, l.Dir); n != 5 {
		t.Errorf("%d processes, want 5", n)
	}
	if info, err := os.Stat(l.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v; want mode 0700", info, err)
	}
	for zone, keys := range map[string]int{"split.test.": 2, "csk.a.test.": 1} {
		ds, err := l.DS(t.Context(), zone)
		if err != nil || len(ds) != 1 {
			t.Errorf("DS of %s: %v, %v", zone, ds, err)
		}
		for _, addr := range l.ChildServers() {
			answer := lookup(t, addr, zone, dns.TypeDNSKEY)
			if got := len(plain(answer.Answer)); got != keys {
				t.Errorf("%s serves %d keys of %s, want %d", addr, got, zone, keys)
			}
		}
		for _, name := range []string{"www.", "any.wild.", "no."} {
			if answer := lookup(t, l.Validator(), name+zone, dns.TypeA); !answer.AuthenticatedData {
				t.Errorf("%s%s is not secure: %s", name, zone, reason(answer))
			}
		}
	}
	if answer := lookup(t, l.Validator(), "example.com.", dns.TypeA); answer.Rcode != dns.RcodeRefused {
		t.Errorf("the validator answers for the rest of the world: %s", reason(answer))
	}
	for range 2 {
		must(t, l.Stop())
	}
	if n := processesOf(t, l.Dir); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if _, err := os.Stat(l.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

// A lab whose program is killed leaves no servers behind. The test runs
// itself as that program.
func TestServersDieWithUs(t *testing.T) {
	if os.Getenv("LAB_TO_BE_KILLED") != "" {
		l, err := Start(context.Background(), Options{})
		must(t, err)
		fmt.Printf("lab at %s\n", l.Dir)
		select {}
	}
	t.Parallel()
	program := exec.Command(os.Args[0], "-test.run=^TestServersDieWithUs$")
	program.Env = append(os.Environ(), "LAB_TO_BE_KILLED=yes")
	out, err := program.StdoutPipe()
	must(t, err)
	must(t, program.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	dir := strings.TrimPrefix(strings.TrimSpace(line), "lab at ")
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	if n := processesOf(t, dir); n != 5 {
		t.Errorf("%d processes at %s, want 5", n, dir)
	}
	must(t, program.Process.Kill())
	if err := program.Wait(); err == nil {
		t.Error("the program was not killed")
	}
	must(t, eventually(t, func() error {
		if n := processesOf(t, dir); n > 0 {
			return fmt.Errorf("%d servers have survived", n)
		}
		return nil
	}))
}

func TestStartStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := Start(ctx, Options{}); err == nil {
		must(t, l.Stop())
		t.Error("started although the context was cancelled")
	}
}

func TestStartRefusesZonesItCannotServe(t *testing.T) {
	t.Parallel()
	for name, zones := range map[string][]Zone{
		"elsewhere":              {{Name: "example.com"}},
		"the parent itself":      {{Name: "lab.test"}},
		"the same zone twice":    {{Name: "a.lab.test"}, {Name: "A.lab.test."}},
		"a zone inside another":  {{Name: "b.a.lab.test"}, {Name: "a.lab.test."}},
		"a layout nobody knows":  {{Name: "a.lab.test", Layout: "three"}},
		"a name that is no name": {{Name: "a..lab.test"}},
	} {
		if _, err := (Options{Zones: zones}).withDefaults(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestMissing(t *testing.T) {
	if missing := Missing(""); len(missing) != 0 {
		t.Errorf("missing %v", missing)
	}
	if _, missing := findPrograms(t.TempDir(), ""); !slices.Equal(missing, []string{"pdns-server", "pdns-backend-sqlite3"}) {
		t.Errorf("missing in an empty folder: %v", missing)
	}
}

// Programs below PDNSRoot run through their own loader; here that is the
// machine's.
func TestStartBelowARoot(t *testing.T) {
	t.Parallel()
	l := startLab(t, Options{PDNSRoot: "/", Zones: []Zone{{Name: "one.lab.test"}}})
	if command := l.ChildPdnsutil(); len(command) != 4 || !strings.Contains(command[0], "ld-linux") {
		t.Errorf("pdnsutil is %q", command)
	}
	out, err := l.Pdnsutil(t.Context(), "list-keys", "one.lab.test")
	if err != nil || !strings.Contains(out, "ZSK") {
		t.Errorf("list-keys printed %q, %v", out, err)
	}
}

func TestValidatorNoticesAWrongDS(t *testing.T) {
	t.Parallel()
	l := startLab(t, Options{Zones: []Zone{{Name: "one.lab.test"}}})
	ctx := t.Context()
	right, err := l.DS(ctx, "one.lab.test")
	must(t, err)
	wrong := strings.Fields(right[0])
	wrong[3] = strings.Repeat("0", 63) + "1"
	for _, test := range []struct {
		ds    []string
		rcode int
		ad    bool
	}{
		{[]string{strings.Join(wrong, " ")}, dns.RcodeServerFailure, false},
		{nil, dns.RcodeSuccess, false},
		{right, dns.RcodeSuccess, true},
	} {
		must(t, l.SetDS(ctx, "one.lab.test", test.ds))
		must(t, l.FlushValidator(ctx))
		answer := lookup(t, l.Validator(), "www.one.lab.test.", dns.TypeA)
		if answer.Rcode != test.rcode || answer.AuthenticatedData != test.ad {
			t.Errorf("with DS %q: %s, AD %t", test.ds, reason(answer), answer.AuthenticatedData)
		}
	}
}

func TestSetDSAndHoldParent2(t *testing.T) {
	t.Parallel()
	l := startLab(t, Options{DSTTL: 7, Zones: []Zone{{Name: "one.lab.test"}}})
	ctx := t.Context()
	before, err := l.DS(ctx, "one.lab.test")
	must(t, err)
	after := append(slices.Clone(before), "12345 13 2 "+strings.Repeat("AB", 32))
	slices.Sort(after)
	serve := func(server *server, want []string) {
		t.Helper()
		if have, err := l.dsAt(ctx, server, "one.lab.test."); err != nil || !slices.Equal(have, want) {
			t.Errorf("%s serves %q, %v; want %q", server.name, have, err, want)
		}
	}
	must(t, l.SetDS(ctx, "one.lab.test", after))
	serve(l.p1, after)
	serve(l.p2, after)
	if ttl := lookup(t, l.p2.addr, "one.lab.test.", dns.TypeDS).Answer[0].Header().Ttl; ttl != 7 {
		t.Errorf("DS TTL %d, want 7", ttl)
	}
	must(t, l.HoldParent2(ctx, true))
	must(t, l.SetDS(ctx, "one.lab.test", before))
	serve(l.p1, before)
	serve(l.p2, after)
	must(t, l.HoldParent2(ctx, false))
	serve(l.p2, before)
}

func TestHoldChild2(t *testing.T) {
	t.Parallel()
	l := startLab(t, Options{Zones: []Zone{{Name: "one.lab.test"}, {Name: "two.lab.test"}}})
	ctx := t.Context()
	address := func(server *server) string {
		return rdata(plain(lookup(t, server.addr, "www.two.lab.test.", dns.TypeA).Answer)[0])
	}
	must(t, l.HoldChild2(ctx, true))
	must(t, l.SetRecord(ctx, "two.lab.test", "www.two.lab.test", "A", 5, "192.0.2.99"))
	awaitRefusal(t, l.c2)
	if a, b := address(l.c1), address(l.c2); a != "192.0.2.99" || b != "192.0.2.1" {
		t.Errorf("while held c1 serves %s, c2 %s", a, b)
	}
	must(t, l.HoldChild2(ctx, false))
	if b := address(l.c2); b != "192.0.2.99" {
		t.Errorf("after the release c2 serves %s", b)
	}
}

// What is cut off gets nothing and says nothing: no question, not even later,
// no NOTIFY, no transfer, not in a connection either.
func TestCutChild2(t *testing.T) {
	t.Parallel()
	const name = "www.one.lab.test."
	l := startLab(t, Options{Relayed: true, Zones: []Zone{{Name: "one.lab.test"}}})
	ctx := t.Context()
	lost := func(r *relay) int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.dropped
	}
	before := dial(t, "tcp", l.c2.addr)
	must(t, l.CutChild2(ctx, true))
	during := []*dns.Conn{before, dial(t, "tcp", l.c2.addr), dial(t, "udp", l.c2.addr)}
	for _, conn := range during {
		must(t, conn.WriteMsg(newQuestion(name, dns.TypeA)))
	}
	must(t, l.SetRecord(ctx, "one.lab.test", name, "A", 5, "192.0.2.99"))
	must(t, l.ctl(ctx, l.c2, "retrieve", "one.lab.test"))
	must(t, eventually(t, func() error {
		if front, back := lost(l.c2.front), lost(l.c2.relay); front < 4 || back == 0 { // three questions and a NOTIFY
			return fmt.Errorf("%d dropped on the way to it, %d on the way to its primary", front, back)
		}
		return nil
	}))
	if was := rdata(plain(lookup(t, l.c2.behind, name, dns.TypeA).Answer)[0]); was != "192.0.2.1" {
		t.Errorf("behind the cut it serves %s", was)
	}
	must(t, l.CutChild2(ctx, false))
	if is := rdata(plain(lookup(t, l.c2.addr, name, dns.TypeA).Answer)[0]); is != "192.0.2.99" {
		t.Errorf("after the cut it serves %s", is)
	}
	for i, conn := range during {
		must(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
		if answer, err := conn.ReadMsg(); err == nil {
			t.Errorf("question %d of the time of the cut was answered: %v", i, answer)
		}
	}
}

// dial is a connection to a server.
func dial(t *testing.T, network, addr string) *dns.Conn {
	t.Helper()
	conn, err := dns.DialTimeout(network, addr, answerTime)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// awaitRefusal waits until a secondary that is held has tried to transfer.
func awaitRefusal(t *testing.T, s *server) {
	t.Helper()
	must(t, eventually(t, func() error {
		s.relay.mu.Lock()
		defer s.relay.mu.Unlock()
		if s.relay.refused == 0 {
			return fmt.Errorf("%s does not try to transfer", s.name)
		}
		return nil
	}))
}

// eventually tries for ten seconds.
func eventually(t *testing.T, try func() error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return poll(ctx, 10*time.Millisecond, try)
}

// A NOTIFY is all that the secondary needs, also when it could not transfer
// before: programs under test send nothing else.
func TestSecondaryFollowsNotify(t *testing.T) {
	t.Parallel()
	for _, relayed := range []bool{false, true} {
		t.Run(fmt.Sprintf("relayed %t", relayed), func(t *testing.T) {
			t.Parallel()
			followsNotify(t, startLab(t, Options{Relayed: relayed, Zones: []Zone{{Name: "one.lab.test"}}}))
		})
	}
}

func followsNotify(t *testing.T, l *Lab) {
	t.Helper()
	ctx := t.Context()
	must(t, l.HoldChild2(ctx, true))
	must(t, l.Publish(ctx, "one.lab.test"))
	awaitRefusal(t, l.c2)
	must(t, l.HoldChild2(ctx, false))
	_, err := l.Pdnsutil(ctx, "increase-serial", "one.lab.test")
	must(t, err)
	control := append(l.ChildControl(), "--config-dir="+l.ChildConfigDir())
	for _, order := range []string{"purge", "notify"} {
		_, err := run(ctx, append(slices.Clone(control), order, "one.lab.test"))
		must(t, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	must(t, l.awaitSerial(ctx, l.c2, "one.lab.test"))
}

func TestSetRecordAndMinimum(t *testing.T) {
	t.Parallel()
	l := startLab(t, Options{Zones: []Zone{{Name: "one.lab.test", TTL: 60, Minimum: 50, SOATTL: 40}}})
	ctx := t.Context()
	must(t, l.SetMinimum(ctx, "one.lab.test", 5))
	must(t, l.SetRecord(ctx, "one.lab.test", "new.one.lab.test", "TXT", 9, `"hello"`))
	must(t, l.SetRecord(ctx, "one.lab.test", "www.one.lab.test", "A", 0, ""))
	for _, addr := range l.ChildServers() {
		for _, test := range []struct {
			name    string
			qtype   uint16
			records int
			ttl     uint32
		}{
			{"one.lab.test.", dns.TypeDNSKEY, 2, 5},
			{"one.lab.test.", dns.TypeSOA, 1, 40},
			{"new.one.lab.test.", dns.TypeTXT, 1, 9},
			{"www.one.lab.test.", dns.TypeA, 0, 0},
			{"www.one.lab.test.", dns.TypeAAAA, 1, 60},
		} {
			records := plain(lookup(t, addr, test.name, test.qtype).Answer)
			if len(records) != test.records || len(records) > 0 && records[0].Header().Ttl != test.ttl {
				t.Errorf("%s serves %v, want %d records with TTL %d", addr, records, test.records, test.ttl)
			}
		}
	}
	for _, name := range []string{"new.one.lab.test.", "www.one.lab.test.", "nobody.one.lab.test."} {
		if answer := lookup(t, l.Validator(), name, dns.TypeTXT); !answer.AuthenticatedData {
			t.Errorf("%s is not secure: %s", name, reason(answer))
		}
	}
	if err := l.SetRecord(ctx, "one.lab.test", "www.two.lab.test", "A", 5, "192.0.2.1"); err == nil {
		t.Error("a record of another zone is accepted")
	}
}

func TestPauseAndStopServer(t *testing.T) {
	t.Parallel()
	l := startLab(t, Options{Zones: []Zone{{Name: "one.lab.test"}}})
	ctx := t.Context()
	c1 := l.ChildServers()[0]
	answers := func() bool {
		_, err := askWithin(ctx, 200*time.Millisecond, c1, "one.lab.test.", dns.TypeSOA)
		return err == nil
	}
	must(t, l.PauseServer(c1))
	if answers() {
		t.Error("a paused server answers")
	}
	must(t, l.ResumeServer(c1))
	lookup(t, c1, "one.lab.test.", dns.TypeSOA)
	must(t, l.StopServer(c1))
	if answers() {
		t.Error("a stopped server answers")
	}
	if err := l.PauseServer(c1); err == nil {
		t.Error("a stopped server can be paused")
	}
	must(t, l.StartServer(ctx, c1))
	if !answers() {
		t.Error("a server that was started again does not answer")
	}
	if err := l.StopServer("127.0.0.1:53"); err == nil {
		t.Error("a server that is not of the lab can be stopped")
	}
	must(t, l.PauseServer(c1)) // Stop must cope with it
}

// rehearsal is a zone with short TTLs, watched from the start.
type rehearsal struct {
	*testing.T
	lab      *Lab
	zone     string
	asker    *Asker
	recorder *Recorder
}

func rehearse(t *testing.T) rehearsal {
	t.Helper()
	const zone = "one.lab.test."
	l := startLab(t, Options{DSTTL: 2, Zones: []Zone{{Name: zone, TTL: 1, Minimum: 1, SOATTL: 1, LongTTL: 2}}})
	return rehearsal{t, l, zone, l.Ask(t.Context(), zone), l.Record(t.Context(), zone)}
}

// util runs pdnsutil with the zone as the command's first operand.
func (r rehearsal) util(command string, args ...string) string {
	r.Helper()
	out, err := r.lab.Pdnsutil(r.Context(), append([]string{command, r.zone}, args...)...)
	must(r.T, err)
	return strings.TrimSpace(out)
}

func (r rehearsal) publish() {
	r.Helper()
	must(r.T, r.lab.Publish(r.Context(), r.zone))
}

// everywhere waits until every server shows, twice in a row, what was
// published. The purge is not enough: an answer that PowerDNS was just making
// enters its packet cache after it, and is served until its TTL ends.
func (r rehearsal) everywhere(new func(Version) bool) {
	r.Helper()
	good := 0
	must(r.T, eventually(r.T, func() error {
		good++
		for _, s := range r.lab.sights([]string{r.zone}) {
			if v, err := s.ask(r.Context()); err != nil || !new(v) {
				good = 0
				return fmt.Errorf("%s: %v, %v", s.server, v, err)
			}
		}
		if good < 2 {
			return errors.New("seen once")
		}
		return nil
	}))
}

// caches waits as long as caches keep what was just replaced. The second on
// top is for Unbound, which counts whole seconds, the rest for answers that
// were on their way.
func (r rehearsal) caches(ttl time.Duration) {
	<-time.After(ttl + time.Second + 250*time.Millisecond)
}

// key finds id and tag of the zone's only key of a role.
func (r rehearsal) key(role string) (id, tag string) {
	r.Helper()
	match := regexp.MustCompile(`ID = (\d+) \(`+role+`\), flags = \d+, tag = (\d+)`).FindAllStringSubmatch(r.util("show-zone"), -1)
	if len(match) != 1 {
		r.Fatalf("want one %s: %v", role, match)
	}
	return match[0][1], match[0][2]
}

// end stops the watchers and returns what they report.
func (r rehearsal) end() (Answers, []Violation) {
	r.Helper()
	answers, findings := r.asker.Stop(), r.recorder.Stop()
	if findings.Errors > findings.Polls/20 { // a busy machine loses a few
		r.Errorf("%d of %d polls failed, first %v", findings.Errors, findings.Polls, findings.FirstError)
	}
	r.Logf("answers %+v; %d polls, %d versions", answers, findings.Polls, len(findings.Versions))
	return answers, Check(findings.Versions)
}

// The steps are those of pre-publication, RFC 6781 section 4.1.1.1, the waits
// those of RFC 7583 section 3.2.1 with the propagation observed.
func TestCorrectRolloverIsClean(t *testing.T) {
	t.Parallel()
	r := rehearse(t)
	oldID, oldTag := r.key("ZSK")
	newID := r.util("add-zone-key", "zsk", "inactive", "published", "256", "ecdsa256")
	r.publish()
	r.everywhere(func(v Version) bool { return v.Type != dns.TypeDNSKEY || len(zoneKeys(v)) == 3 })
	r.caches(time.Second) // the DNSKEY set
	r.util("activate-zone-key", newID)
	r.util("deactivate-zone-key", oldID)
	r.publish()
	r.everywhere(func(v Version) bool { return v.Type == dns.TypeDNSKEY || !strings.Contains(v.String(), oldTag) })
	r.caches(2 * time.Second) // the longest of the data
	r.util("remove-zone-key", oldID)
	r.publish()
	r.caches(time.Second)
	answers, violations := r.end()
	if answers.ServFail > 0 || answers.Other > 0 || answers.AD == 0 {
		t.Errorf("answers: %+v; first failures %v, %v", answers, answers.FirstServFail, answers.FirstOther)
	}
	for _, v := range violations {
		t.Error(v)
	}
}

func TestRushedZSKRolloverIsNoticed(t *testing.T) {
	t.Parallel()
	r := rehearse(t)
	oldID, oldTag := r.key("ZSK")
	r.caches(time.Second)
	r.util("add-zone-key", "zsk", "active", "published", "256", "ecdsa256")
	r.util("remove-zone-key", oldID)
	r.publish()
	_, newTag := r.key("ZSK")
	r.caches(2 * time.Second)
	_, violations := r.end()
	expectStory(t, violations, `DNSKEY .*256/`+oldTag+`\b[^|]*A signed by `+newTag)
	expectStory(t, violations, `DNSKEY .*256/`+newTag+`\b[^|]*A signed by `+oldTag)
	expectStory(t, violations, `no long.one.lab.test. TXT|long.one.lab.test. TXT signed by `+oldTag)
}

func TestRushedKSKRolloverIsNoticed(t *testing.T) {
	t.Parallel()
	r := rehearse(t)
	oldID, oldTag := r.key("KSK")
	r.caches(time.Second)
	r.util("add-zone-key", "ksk", "active", "published", "256", "ecdsa256")
	r.util("remove-zone-key", oldID)
	r.publish()
	_, newTag := r.key("KSK")
	ds, err := r.lab.exportDS(t.Context(), r.lab.c1, r.zone)
	must(t, err)
	must(t, r.lab.SetDS(t.Context(), r.zone, ds))
	r.caches(2 * time.Second)
	answers, violations := r.end()
	if answers.Total != answers.AD+answers.ServFail+answers.Other {
		t.Errorf("the counts do not add up: %+v", answers)
	}
	expectStory(t, violations, `DS `+oldTag+`/SHA256[^|]*DNSKEY .*signed by `+newTag)
}

// expectStory looks for a violation whose story matches.
func expectStory(t *testing.T, violations []Violation, pattern string) {
	t.Helper()
	for _, v := range violations {
		if regexp.MustCompile(`(?s)` + pattern).MatchString(v.String()) {
			return
		}
	}
	t.Errorf("none of %d violations matches %s", len(violations), pattern)
	for _, v := range violations {
		t.Log(v)
	}
}

// An Asker counts what a user suffers while the chain is broken.
func TestAskerCountsServFail(t *testing.T) {
	t.Parallel()
	l := startLab(t, Options{Zones: []Zone{{Name: "one.lab.test"}}})
	ctx := t.Context()
	must(t, l.SetDS(ctx, "one.lab.test", []string{"1 13 2 " + strings.Repeat("0", 64)}))
	must(t, l.FlushValidator(ctx))
	asker := l.Ask(ctx, "one.lab.test")
	<-time.After(10 * askEvery)
	answers := asker.Stop()
	if answers.ServFail == 0 || answers.ServFail != answers.Total {
		t.Fatalf("answers: %+v", answers)
	}
	if f := answers.FirstServFail; f.At.IsZero() || !strings.Contains(f.String(), "www.one.lab.test. A: SERVFAIL, EDE 9") {
		t.Errorf("the first failure is %v", f)
	}
}
