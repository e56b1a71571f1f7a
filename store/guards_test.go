package store

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

// A child that was given the lock keeps it when we are gone; one that was not
// given it does not have it.
func TestOnlyChildrenThatAreGivenTheLockKeepIt(t *testing.T) {
	for _, given := range []bool{true, false} {
		path := statePath(t)
		l, err := Lock(path)
		must(t, err)
		child := exec.Command("cat") // until its input ends
		if given {
			child.ExtraFiles = []*os.File{l.File()}
		}
		stdin, err := child.StdinPipe()
		must(t, err)
		must(t, child.Start())
		must(t, l.File().Close()) // as it is when we are killed: nobody unlocks
		second, err := Lock(path)
		if given != errors.Is(err, ErrBusy) {
			t.Errorf("given %v: a second lock: %v", given, err)
		}
		if err == nil {
			must(t, second.Unlock())
		}
		must(t, stdin.Close())
		must(t, child.Wait())
		third, err := Lock(path)
		must(t, err)
		must(t, third.Unlock())
	}
}
