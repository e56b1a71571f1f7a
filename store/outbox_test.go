package store

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"rollover/rollover"
)

// What is saved comes back, in a file of our own; damage is told, and costs no
// more than what was in it.
func TestOutbox(t *testing.T) {
	path := statePath(t)
	var none rollover.Outbox
	if got, err := Outbox(path); err != nil || !reflect.DeepEqual(got, none) {
		t.Fatalf("without a file: %+v, %v", got, err)
	}
	update(t, path, func(*rollover.Outbox) {})
	file := filepath.Join(filepath.Dir(path), "outbox.json")
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("an empty outbox was written: %v", err)
	}
	one := update(t, path, func(box *rollover.Outbox) {
		box.Queue(rollover.Notice{ID: "1", At: time.Unix(1, 0).UTC()}, []string{"exec"}, time.Unix(2, 0).UTC())
	})
	if got, err := Outbox(path); err != nil || !reflect.DeepEqual(got, one) {
		t.Errorf("%+v came back as %+v, %v", one, got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	must(t, os.WriteFile(file, []byte("{"), 0o600))
	if got, err := Outbox(path); err == nil || !reflect.DeepEqual(got, none) {
		t.Errorf("a damaged file: %+v, %v", got, err)
	}
	damage, err := UpdateOutbox(path, func(box *rollover.Outbox) error { *box = one; return nil })
	if damage == nil || err != nil {
		t.Errorf("after damage: %v, %v", damage, err)
	}
	if got, err := Outbox(path); err != nil || !reflect.DeepEqual(got, one) {
		t.Errorf("after damage there is %+v, %v", got, err)
	}
	if files, err := filepath.Glob(file + "*"); err != nil || len(files) != 1 {
		t.Errorf("files %q, %v", files, err)
	}
}

// update changes the notifications, and returns what they are then.
func update(t *testing.T, path string, change func(*rollover.Outbox)) (after rollover.Outbox) {
	t.Helper()
	damage, err := UpdateOutbox(path, func(box *rollover.Outbox) error {
		change(box)
		after = *box
		return nil
	})
	must(t, damage)
	must(t, err)
	return after
}

// Of many that take what is due at the same time each thing goes to one, and
// what each queues meanwhile is kept.
func TestOutboxOfMany(t *testing.T) {
	path := statePath(t)
	now := time.Now()
	const many = 8
	var mu sync.Mutex
	told := map[string]int{}
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			update(t, path, func(box *rollover.Outbox) {
				box.Queue(rollover.Notice{ID: fmt.Sprint(i)}, []string{"exec"}, now)
			})
			var taken map[string][]rollover.Notice
			update(t, path, func(box *rollover.Outbox) { taken = box.Take([]string{"exec"}, now) })
			update(t, path, func(box *rollover.Outbox) {
				for _, n := range taken["exec"] {
					box.Delivered("exec", n)
				}
				box.Give(taken)
			})
			mu.Lock()
			defer mu.Unlock()
			for _, n := range taken["exec"] {
				told[n.ID]++
			}
		})
	}
	wg.Wait()
	for id, times := range told {
		if times != 1 {
			t.Errorf("%s was told %d times", id, times)
		}
	}
	if len(told) != many {
		t.Errorf("%d of %d were told", len(told), many)
	}
	box, err := Outbox(path)
	must(t, err)
	if len(box.Pending) > 0 {
		t.Errorf("left: %+v", box.Pending)
	}
}
