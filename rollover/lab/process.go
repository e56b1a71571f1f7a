package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// patience is how long a server may take to end by itself when told to.
const patience = 3 * time.Second

// nursery starts processes that die when we die. Linux ties that promise to
// the thread that forked, not to the process: were it a thread of Go's pool,
// the server would be killed as soon as that thread retires. So one thread
// does all forking, and lives as long as the lab.
type nursery struct{ work chan func() }

func newNursery() *nursery {
	n := &nursery{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for do := range n.work {
			do()
		}
	}()
	return n
}

// close ends the thread, and with it every process that still lives.
func (n *nursery) close() { close(n.work) }

func (n *nursery) fork(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	n.work <- func() { result <- cmd.Start() }
	return <-result
}

// process is one running server program.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone and reaped
}

// start runs a command with its output appended to a log file.
func (n *nursery) start(command []string, log string) (*process, error) {
	return n.startAs(nil, "", command, log)
}

// startAs does so as another user, unless that is nil, and in a folder, unless
// that is empty.
func (n *nursery) startAs(user *syscall.Credential, dir string, command []string, log string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of a server: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir, cmd.SysProcAttr = dir, dieWithUs()
	cmd.SysProcAttr.Credential = user
	if err := n.fork(cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command[0], err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how a server of the lab ends interests nobody; its log tells
	}()
	return p, nil
}

// alive says whether the process has not been reaped yet.
func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop ends the process and waits until it is gone. A paused process cannot
// act on SIGTERM, so it is also told to continue.
func (p *process) stop() error {
	process := p.cmd.Process
	if err := errors.Join(process.Signal(syscall.SIGTERM), process.Signal(syscall.SIGCONT)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending process %d: %w", process.Pid, err)
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing process %d: %w", process.Pid, err)
	}
	<-p.ended
	return nil
}
