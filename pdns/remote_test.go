package pdns

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
)

// A pdnsutil that is far away, behind a program that does to its words what
// ssh does, and behind one that passes them on, as docker exec does.

const (
	// likeSSH takes options and a host, joins the rest with spaces and gives
	// that to a shell: what ssh and sshd do together.
	likeSSH = `case $1 in -o*) shift ;; esac
shift
exec sh -c "$*"
`
	likeDocker = `[ "$1 $2 $3" = "exec -i pdns" ] || exit 125
shift 3
exec "$@"
`
	// farProgram notes its arguments, one a line, and plays PowerDNS.
	farProgram = `{ echo "${0##*/}"; for word in "$@"; do printf '<%s>\n' "$word"; done; } >>"$D/argv"
case " $* " in *" purge "*) echo 1 ;; *" notify "*) echo Added to queue ;; esac
`
)

// far is a folder with pdnsutil and pdns_control of another machine, and with
// the programs named; it is the working folder, as full of files that a * fits
// as a login folder may be.
func far(t *testing.T, programs map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range programs {
		write(t, filepath.Join(dir, name), "D="+quote(dir)+"\n"+text)
	}
	must(t, os.MkdirAll(filepath.Join(dir, "home", "0"), 0o700))
	for _, name := range []string{"a.test", "x.a.test", "0/25.2.0.192.in-addr.arpa$"} {
		write(t, filepath.Join(dir, "home", name), "")
	}
	t.Chdir(filepath.Join(dir, "home"))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sshTool is a Tool over ssh. The scripts are operands of sh, because a file
// just written cannot always be executed while other tests fork.
func sshTool(t *testing.T) (*Tool, string) {
	t.Helper()
	dir := far(t, map[string]string{"ssh": likeSSH, "pdnsutil": farProgram, "pdns_control": farProgram})
	on := func(program string) []string {
		return []string{"/bin/sh", filepath.Join(dir, "ssh"), "-oBatchMode=yes", "ns1", "/bin/sh", filepath.Join(dir, program)}
	}
	return &Tool{Command: on("pdnsutil"), Control: on("pdns_control"), Shells: []string{"ssh"}}, dir
}

func dockerTool(t *testing.T) (*Tool, string) {
	t.Helper()
	dir := far(t, map[string]string{"docker": likeDocker, "pdnsutil": farProgram, "pdns_control": farProgram})
	on := func(program string) []string {
		return []string{"/bin/sh", filepath.Join(dir, "docker"), "exec", "-i", "pdns", "/bin/sh", filepath.Join(dir, program)}
	}
	return &Tool{Command: on("pdnsutil"), Control: on("pdns_control"), Shells: []string{"ssh"}}, dir
}

// arrived is the argument vector that the far side saw, each word in <>.
func arrived(words ...string) string {
	text := ""
	for _, w := range words {
		text += "<" + w + ">\n"
	}
	return text
}

// Names that a shell would take for patterns, and the $ of purge, arrive as
// they were meant.
func TestFarNames(t *testing.T) {
	for name, make := range map[string]func(*testing.T) (*Tool, string){"ssh": sshTool, "docker": dockerTool} {
		for _, zone := range []string{"*.a.test", "_tcp.a.test", "0/25.2.0.192.in-addr.arpa", "a.test", "."} {
			tool, dir := make(t)
			tool.ConfigDir = "/etc/p d"
			must(t, tool.Refresh(t.Context(), []string{zone}, []string{zone}))
			_, _ = tool.Inventory(t.Context(), zone) // the far side prints no keys
			want := "pdns_control\n" + arrived("--config-dir=/etc/p d", "--", "purge", zone+"$") +
				"pdns_control\n" + arrived("--config-dir=/etc/p d", "--", "notify", zone) +
				"pdnsutil\n" + arrived("--config-dir=/etc/p d", "--", "show-zone", zone)
			if got := read(t, filepath.Join(dir, "argv")); got != want {
				t.Errorf("%s, zone %s: what arrived is\n%swant\n%s", name, zone, got, want)
			}
		}
	}
}

// hostile is words that no shell leaves alone. No zone name and no operand of
// ours holds such; the quoting must not depend on that.
func hostile() []string {
	return []string{
		"", " ", "two words", "a\tb", "a\nb", "$HOME", "$(touch ran)", "`touch ran`", "; touch ran", "&& touch ran", "| touch ran", "> ran",
		"'", "''", "'; touch ran; '", `"`, `\`, `\'`, "*", "?", "[a-z]*", "~", "~root", "{a,b}", "#no", "!!", "a$", "$$", "-n", "--", "=x", "é", "12345 13 2 ABCD",
	}
}

func TestHostileWordsArrive(t *testing.T) {
	tool, dir := sshTool(t)
	c := tool.pdnsutil("", hostile()...)
	_, err := tool.run(t.Context(), c, outputLimit)
	must(t, err)
	if got, want := read(t, filepath.Join(dir, "argv")), "pdnsutil\n"+arrived(hostile()...); got != want {
		t.Errorf("what arrived is\n%swant\n%s", got, want)
	}
	if _, err := os.Stat("ran"); err == nil {
		t.Error("a word was run")
	}
}

// Two hops are two shells, and a word of the command is never touched.
func TestQuotedOnceForEachShell(t *testing.T) {
	tool := &Tool{Shells: []string{"ssh", "far"}}
	for _, c := range []struct {
		command []string
		want    string
	}{
		{[]string{"pdns_control"}, "a.test$"},
		{[]string{"ssh", "ns1", "pdns_control"}, "'a.test$'"},
		{[]string{"env", "SSH_AUTH_SOCK=/run/agent $", "/usr/bin/ssh", "ns1", "pdns_control"}, "'a.test$'"},
		{[]string{"ssh", "hop", "ssh", "ns1", "pdns_control"}, `''\''a.test$'\'''`},
		{[]string{"/opt/far", "pdns_control"}, "'a.test$'"},
		{[]string{"docker", "exec", "-i", "pdns", "pdns_control"}, "a.test$"},
		{[]string{"kubectl", "exec", "-n", "dns", "deploy/pdns", "--", "pdns_control"}, "a.test$"},
		{[]string{"rsync", "--rsh=/usr/bin/ssh", "x"}, "a.test$"},
	} {
		was := slices.Clone(c.command)
		got := tool.call("", remedyTimeout, c.command, []string{"purge", "a.test$"}).argv
		if want := append(was, "purge", c.want); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Two hops, run.
func TestTwoHops(t *testing.T) {
	tool, dir := sshTool(t)
	tool.Control = slices.Concat(tool.Control[:4], tool.Control)
	must(t, tool.Refresh(t.Context(), []string{"*.a.test"}, nil))
	if got, want := read(t, filepath.Join(dir, "argv")), "pdns_control\n"+arrived("--", "purge", "*.a.test$"); got != want {
		t.Errorf("what arrived is\n%swant\n%s", got, want)
	}
}

// A command line that is printed for the operator does the same when it is typed.
func TestExplainOverSSH(t *testing.T) {
	tool, dir := sshTool(t)
	line := tool.Explain("*.a.test.", about(rollover.VerbActivate, 7))
	_, err := tool.run(t.Context(), call{argv: []string{"/bin/sh", "-c", line}}, outputLimit)
	must(t, err)
	if got, want := read(t, filepath.Join(dir, "argv")), "pdnsutil\n"+arrived("--", "activate-zone-key", "*.a.test", "7"); got != want {
		t.Errorf("what arrived is\n%swant\n%s", got, want)
	}
}

// Without quoting the far shell would put a file into the place of the zone:
// the test folder is one in which the quoting matters.
func TestUnquotedIsMisread(t *testing.T) {
	tool, dir := sshTool(t)
	tool.Shells = nil
	_, _ = tool.Inventory(t.Context(), "*.a.test")
	if got, want := read(t, filepath.Join(dir, "argv")), "pdnsutil\n"+arrived("--", "show-zone", "x.a.test"); got != want {
		t.Errorf("what arrived is\n%swant\n%s", got, want)
	}
}

// frontEnds is a Tool with three front ends that note what they are told; one
// that has a file NAME.down beside the script fails.
func frontEnds(t *testing.T) (*Tool, string) {
	t.Helper()
	tool, dir := scripted(t, `echo "$*" >> "$D/calls"; [ ! -e "$D/$1.down" ] || { echo "Fatal error: Unable to connect to remote" >&2; exit 1; }
case "$*" in *purge*) echo 1;; *) echo Added to queue;; esac`)
	on := func(name string) []string { return append(slices.Clone(tool.Command), name) }
	tool.Control, tool.FrontEnds, tool.ConfigDir = on("one"), [][]string{on("two"), on("three")}, "/d"
	return tool, dir
}

// All are purged before the first, and only the first, notifies.
func TestAllFrontEndsArePurged(t *testing.T) {
	tool, dir := frontEnds(t)
	must(t, tool.Refresh(t.Context(), []string{"a.test."}, []string{"b.test."}))
	want := "one --config-dir=/d -- purge a.test$ b.test$\ntwo -- purge a.test$ b.test$\nthree -- purge a.test$ b.test$\none --config-dir=/d -- notify b.test\n"
	if got := read(t, filepath.Join(dir, "calls")); got != want {
		t.Errorf("calls are\n%swant\n%s", got, want)
	}
}

// One that fails does not keep the others from being purged; nobody is notified.
func TestAFrontEndIsDown(t *testing.T) {
	for _, down := range []string{"one", "two", "three"} {
		tool, dir := frontEnds(t)
		write(t, filepath.Join(dir, down+".down"), "")
		err := tool.Refresh(t.Context(), []string{"a.test."}, []string{"a.test."})
		if !errors.Is(err, rollover.ErrUnavailable) || !strings.Contains(err.Error(), down) {
			t.Errorf("%s is down: got %v, want ErrUnavailable that names it", down, err)
		}
		if got := read(t, filepath.Join(dir, "calls")); strings.Count(got, "purge") != 3 || strings.Contains(got, "notify") {
			t.Errorf("%s is down: calls are\n%s", down, got)
		}
	}
}
