package pdns_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"rollover/pdns"
	"rollover/pdns/pdnstest"
	"rollover/rollover"
)

// primary is what a PowerDNS prints of its one zone test, which is signed.
type primary struct{ head, keys, public string }

// newPrimary has the keys, and what is printed of them, from the fake.
func newPrimary(t *testing.T) primary {
	w := pdnstest.Fake(t, pdnstest.Zone{Name: "test", Kind: rollover.KindMaster, Keys: []rollover.Key{
		{Flags: rollover.FlagsKSK, Active: true, Published: true}, {Flags: rollover.FlagsZSK, Active: true},
	}})
	head, keys, ok := strings.Cut(w.Util("show-zone", "test"), "Metadata items: None\n")
	if !ok {
		t.Fatalf("no metadata in %q", head)
	}
	return primary{head + "Metadata items: \n", keys, w.Util("export-zone-dnskey", "test", "2")}
}

// failing is its pdnsutil and pdns_control, as a shell script, of which one command,
// by its number, does nothing. It starts no program that it can do without.
type failing struct {
	t    *testing.T
	dir  string
	tool pdns.Tool
}

const failingScript = `
[ "$1" = -- ] && shift
echo "$1" >>log
[ -p "gate$1" ] && { read x <"gate$1"; rm "gate$1"; }
read count <count
echo $((count + 1)) >count
read at how <plan
if [ $((count + 1)) = $at ]; then
  [ $how = silent ] && exit
  echo boom >&2
  exit 1
fi
case $1 in
--version) echo "pdnsutil 4.7.3" ;;
show-zone)
  [ "$2" = test ] || { echo "No such zone in the database" >&2; exit 1; }
  cat head cds cdnskey keys ;;
export-zone-dnskey) cat public ;;
set-publish-cds) printf '\tPUBLISH-CDS\t%s\n' $3 >cds ;;
set-publish-cdnskey) [ "$3" = delete ] && three=0 || three=1; printf '\tPUBLISH-CDNSKEY\t%s\n' $three >cdnskey ;;
unset-publish-cds) : >cds ;;
unset-publish-cdnskey) : >cdnskey ;;
list-zone) cat zone ;;
replace-rrset)
  name=$3 typ=$4
  shift 5
  for d; do printf '%s.test	60	IN	%s	%s\n' "$name" "$typ" "$d" >>zone; done ;;
increase-serial) echo "SOA serial for zone test set to 2" ;;
purge) echo 1 ;;
notify) echo "Added to queue" ;;
esac
`

func (p primary) start(t *testing.T) *failing {
	t.Helper()
	f := &failing{t: t, dir: t.TempDir()}
	zone := "test\t60\tIN\tSOA\tns1.test. host.test. 1 2 3 4 5\nchild.test\t300\tIN\tNS\tns1.child.test.\n"
	for name, content := range map[string]string{
		"script": fmt.Sprintf("cd %q\n%s", f.dir, failingScript), "zone": zone, "head": p.head, "keys": p.keys, "public": p.public, "cds": "", "cdnskey": "",
	} {
		f.write(name, content)
	}
	f.at(0, "fails")
	command := []string{"/bin/sh", filepath.Join(f.dir, "script")}
	f.tool = pdns.Tool{Command: command, Control: command, FrontEnds: [][]string{command}}
	return f
}

func (f *failing) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// at is the number of the command that does nothing from now on, and how: it
// fails, or it is silent and returns 0.
func (f *failing) at(n int, how string) {
	f.write("plan", fmt.Sprintf("%d %s\n", n, how))
	f.write("count", "0\n")
	f.write("log", "")
}

// calls is the commands since then.
func (f *failing) calls() []string {
	f.t.Helper()
	raw, err := os.ReadFile(filepath.Join(f.dir, "log"))
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.Fields(string(raw))
}

// operation is something that takes several commands.
type operation struct {
	do      func(ctx context.Context, t *pdns.Tool) error
	calls   string // of one that goes well
	once    bool   // only that: the rest is as in another operation
	believe string // those whose silence is no sign of anything
}

// check lets each command of an operation fail in turn: no failure is taken for
// success, and nothing follows it but what other servers are told. The same for a
// command that does nothing and returns 0, as several of pdnsutil do.
func (o operation) check(t *testing.T, start func() *failing) {
	whole := start()
	if err := o.do(t.Context(), &whole.tool); err != nil {
		t.Fatal(err)
	}
	all := whole.calls()
	if got := strings.Join(all, " "); got != o.calls {
		t.Fatalf("it ran %q, expected %q", got, o.calls)
	}
	if o.once {
		return
	}
	for i, call := range all {
		for _, how := range []string{"fails", "silent"} {
			f := start()
			f.at(i+1, how)
			err := o.do(t.Context(), &f.tool)
			believed := how == "silent" && slices.Contains(strings.Fields(o.believe), call)
			if believed != (err == nil) || how == "fails" && !strings.Contains(err.Error(), "boom") {
				t.Errorf("%s, the command %d, %s: %v", call, i+1, how, err)
			}
			if last := f.calls(); how == "fails" && call != "purge" && len(last) != i+1 {
				t.Errorf("%s, the command %d, fails, and then %q follow", call, i+1, last[i+1:])
			}
		}
	}
}

// No command that fails, or does nothing, is taken for one that did its work.
func TestEachCommandMayFail(t *testing.T) {
	t.Parallel()
	const (
		reads = "show-zone export-zone-dnskey"
		shown = "increase-serial purge purge notify"
	)
	model := newPrimary(t)
	world := func() *failing { return model.start(t) }
	published := func() *failing {
		f := world()
		f.write("cds", "\tPUBLISH-CDS\t2\n")
		f.write("cdnskey", "\tPUBLISH-CDNSKEY\t1\n")
		return f
	}
	for name, c := range map[string]struct {
		of             func() *failing
		calls, believe string
		once           bool
		do             func(ctx context.Context, p *pdns.Tool) error
	}{
		"version":   {world, "--version", "", false, func(ctx context.Context, p *pdns.Tool) error { return second(p.Version(ctx)) }},
		"inventory": {world, reads, "", false, func(ctx context.Context, p *pdns.Tool) error { return second(p.Inventory(ctx, "test.")) }},
		"rectify":   {world, "rectify-zone", "rectify-zone", false, func(ctx context.Context, p *pdns.Tool) error { return p.Rectify(ctx, "test.") }},
		"contents":  {world, "list-zone", "", false, func(ctx context.Context, p *pdns.Tool) error { return second(p.Contents(ctx, "test.")) }},
		"publish": {world, reads + " set-publish-cds set-publish-cdnskey " + reads + " " + shown, "", false,
			func(ctx context.Context, p *pdns.Tool) error {
				return changes(true)(p.PublishCDS(ctx, "test.", []uint8{2, 4}, true))
			}},
		"publish nothing new": {published, reads, "", false,
			func(ctx context.Context, p *pdns.Tool) error {
				return changes(false)(p.PublishCDS(ctx, "test.", []uint8{2}, true))
			}},
		"publish CDS alone": {published, reads + " set-publish-cds unset-publish-cdnskey " + reads + " " + shown, "", true,
			func(ctx context.Context, p *pdns.Tool) error {
				return changes(true)(p.PublishCDS(ctx, "test.", []uint8{4}, false))
			}},
		"delete": {world, reads + " set-publish-cds set-publish-cdnskey " + reads + " " + shown, "", true,
			func(ctx context.Context, p *pdns.Tool) error {
				return changes(true)(p.PublishDelete(ctx, "test.", true))
			}},
		"retract": {published, reads + " unset-publish-cds unset-publish-cdnskey " + reads, "", false,
			func(ctx context.Context, p *pdns.Tool) error { return p.RetractCDS(ctx, "test.") }},
		"show": {world, reads + " " + shown, "", false, func(ctx context.Context, p *pdns.Tool) error { return p.ShowCDS(ctx, "test.") }},
		"DS":   {world, reads + " list-zone --version replace-rrset list-zone rectify-zone " + shown, "rectify-zone", false, submitDS},
		"signals": {world, "show-zone show-zone " + reads + " list-zone --version replace-rrset list-zone --version replace-rrset list-zone rectify-zone " + shown,
			"rectify-zone", false, signalCDS},
	} {
		t.Run(name, func(t *testing.T) { operation{c.do, c.calls, c.once, c.believe}.check(t, c.of) })
	}
}

func second[T any](_ T, err error) error { return err }

// changes makes an error of a change where none was expected, and the reverse.
func changes(expected bool) func(changed bool, err error) error {
	return func(changed bool, err error) error {
		if err == nil && changed != expected {
			err = fmt.Errorf("boom: changed: %v", changed)
		}
		return err
	}
}

// What was begun is ended, also when nobody waits for it any more: a zone that is
// half changed is worse than a late exit.
func TestWhatWasBegunIsEnded(t *testing.T) {
	t.Parallel()
	model := newPrimary(t)
	for name, c := range map[string]struct {
		gate string // the command that is under way when the context ends
		do   func(ctx context.Context, p *pdns.Tool) error
	}{
		"publish": {"set-publish-cds", func(ctx context.Context, p *pdns.Tool) error {
			return second(p.PublishCDS(ctx, "test.", []uint8{2}, true))
		}},
		"retract": {"unset-publish-cdnskey", func(ctx context.Context, p *pdns.Tool) error {
			if err := second(p.PublishCDS(context.WithoutCancel(ctx), "test.", []uint8{2}, true)); err != nil {
				return err
			}
			return p.RetractCDS(ctx, "test.")
		}},
		"show":    {"increase-serial", func(ctx context.Context, p *pdns.Tool) error { return p.ShowCDS(ctx, "test.") }},
		"DS":      {"--version", submitDS},
		"signals": {"--version", signalCDS},
	} {
		t.Run(name, func(t *testing.T) {
			f := model.start(t)
			gate := filepath.Join(f.dir, "gate"+c.gate)
			if err := syscall.Mkfifo(gate, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			opened := make(chan error)
			go func() {
				w, err := os.OpenFile(gate, os.O_WRONLY, 0) // waits for the command
				if err == nil {
					cancel()
					_, err = w.WriteString("go on\n")
					err = errors.Join(err, w.Close())
				}
				opened <- err
			}()
			err := c.do(ctx, &f.tool)
			if r, missed := os.OpenFile(gate, os.O_RDONLY|syscall.O_NONBLOCK, 0); missed == nil { // lets the writer go
				defer r.Close()
				err = errors.Join(err, errors.New("the command was never run"))
			}
			if err := errors.Join(err, <-opened); err != nil {
				t.Errorf("%v, after %q", err, f.calls())
			}
		})
	}
}

func submitDS(ctx context.Context, p *pdns.Tool) error {
	a := (&pdns.Parent{Tool: p, Turn: new(sync.Mutex)}).Submit(ctx, rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}})
	if a.State != rollover.SubmissionAccepted {
		return errors.New(a.Text)
	}
	return nil
}

func signalCDS(ctx context.Context, p *pdns.Tool) error {
	const cdnskey = "257 3 13 MbTbzwZLz9BlivUAskzyt4SE76gYqF8F6VFl17gjUetqpOhQVuiEwMpasjLkkp63ImcAFPZMwgAEqa58M2H3nw=="
	_, changed, err := (&pdns.Signals{Tool: p, Zones: []string{"test."}, Turn: new(sync.Mutex)}).Write(ctx, "_dsboot.b._signal.ns1.test.", []string{ds(1).String()}, []string{cdnskey})
	return changes(true)(changed, err)
}
