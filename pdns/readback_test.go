package pdns_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"rollover/pdns"
	"rollover/pdns/pdnstest"
	"rollover/rollover"
)

// lagging is a real pdnsutil whose next reads after each write, as many as lag says,
// show what was there before.
func lagging(t *testing.T, lag string) (w pdnstest.World, paused *int) {
	t.Helper()
	w = pdnstest.Real(t,
		pdnstest.Zone{Name: "test", Kind: rollover.KindMaster, Keys: []rollover.Key{{Flags: rollover.FlagsKSK, Active: true, Published: true, Algorithm: 13}},
			Records: []pdnstest.Record{{Name: "child.test", Type: "NS", TTL: 300, Content: "ns1.child.test"}}})
	paused = new(int)
	w.Tool.After = func(time.Duration) <-chan time.Time {
		*paused++
		at := make(chan time.Time, 1)
		at <- time.Time{}
		return at
	}
	w.Tool.Command = command(t, `cd %q; real="%s"
case " $* " in
*-rrset*|*-publish-cd*)
  for read in list-zone show-zone; do $real --config-dir=. -- $read test >was.$read 2>/dev/null; echo %s >left.$read; done ;;
*" list-zone "*|*" show-zone "*)
  for read in list-zone show-zone; do case " $* " in *" $read "*) break ;; esac; done
  left=0; [ -e left.$read ] && read left <left.$read
  [ $left -gt 0 ] && { echo $((left - 1)) >left.$read; cat was.$read; exit; } ;;
esac
exec $real "$@"
`, w.Dir, strings.Join(w.Tool.Command, " "), lag)
	return w, paused
}

// What a driver writes is looked for with patience, and what does not show then is
// tried later: it is no failure that somebody has to mend.
func TestDriversWhereReadsLag(t *testing.T) {
	t.Parallel()
	for lag, late := range map[string]bool{"0": false, "2": false, "100": true} {
		for name, write := range map[string]func(w pdnstest.World) error{
			"pdnsutil": func(w pdnstest.World) error {
				a := (&pdns.Parent{Tool: w.Tool, Turn: &sync.Mutex{}}).Submit(t.Context(), rollover.Change{Zone: "child.test.", Add: []rollover.DS{ds(2)}})
				switch a.State {
				case rollover.SubmissionAccepted:
					return nil
				case rollover.SubmissionLater:
					return errors.Join(rollover.ErrUnavailable, errors.New(a.Text))
				}
				return errors.New(a.Text)
			},
			"cds": func(w pdnstest.World) error {
				_, err := w.Tool.PublishCDS(t.Context(), "test.", []uint8{2}, true)
				return err
			},
			"signal": func(w pdnstest.World) error {
				s := &pdns.Signals{Tool: w.Tool, Turn: &sync.Mutex{}, Zones: []string{"test."}}
				_, _, err := s.Write(t.Context(), "_dsboot.example.org._signal.ns1.test.", []string{"1 13 2 " + strings.Repeat("AB", 32)}, nil)
				return err
			},
		} {
			w, paused := lagging(t, lag)
			err := write(w)
			if late != errors.Is(err, rollover.ErrUnavailable) || !late && err != nil || late && !strings.Contains(err.Error(), "primary database") {
				t.Errorf("%s, %s reads behind: %v", name, lag, err)
			}
			if free := lag == "0"; free != (*paused == 0) {
				t.Errorf("%s, %s reads behind: %d pauses", name, lag, *paused)
			}
		}
	}
}
