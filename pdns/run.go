package pdns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"rollover/rollover"
	"rollover/rollover/guard"
)

const (
	// drainDelay is how long output may still come once the command itself
	// has ended: a child of it that keeps the pipe open must not hang us.
	drainDelay = 2 * time.Second
	// childPath is the PATH of what is started, whatever ours is.
	childPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

var (
	errTimeout = errors.New("timed out")
	errTooLong = errors.New("printed too much")
)

// output is what a command printed.
type output struct {
	stdout, stderr []byte
}

// run runs one command to its end and returns what it printed, or an *Error.
// limit is in bytes, for each stream.
func (t *Tool) run(ctx context.Context, c call, limit int) (output, error) {
	stdout := &capped{limit: limit}
	out, err := t.execute(ctx, c, limit, func(tooLong func()) io.Writer {
		stdout.exceeded = tooLong
		return stdout
	})
	out.stdout = stdout.kept
	if stdout.full {
		return out, c.printedTooMuch(limit)
	}
	return out, err
}

// execute runs one command to its end, with its standard output written to what
// open makes; that may end the command. limit is in bytes, for standard error.
func (t *Tool) execute(ctx context.Context, c call, limit int, open func(tooLong func()) io.Writer) (output, error) {
	program, err := c.judged()
	if err != nil {
		return output{}, err
	}
	done, err := t.slot(ctx, c)
	if err != nil {
		return output{}, err
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, t.timeout(c), errTimeout)
	defer stop()
	tooLong := func() { cancel(errTooLong) }
	stderr := &capped{limit: limit, exceeded: tooLong}
	cmd := command(ctx, c.argv)
	if program != "" {
		cmd.Path = program // what was judged, not what the PATH may lead to by now
	}
	if t.Inherit != nil {
		cmd.ExtraFiles = []*os.File{t.Inherit}
	}
	cmd.Stdout, cmd.Stderr = open(tooLong), stderr
	told := t.tellWaiting(c)
	err = cmd.Run()
	told()
	if errors.Is(err, exec.ErrWaitDelay) {
		// The command itself ended well; only a child of it still held the
		// pipe. What the command printed is complete.
		err = endGroup(cmd)
	}
	out := output{stderr: stderr.kept}
	if stderr.full {
		return out, c.printedTooMuch(limit)
	}
	if err != nil {
		return out, t.explain(ctx, c, cmd, err, out)
	}
	return out, nil
}

// judged is the path of the program, empty when there is none to be found.
func (c call) judged() (string, error) {
	if len(c.argv) == 0 || c.argv[0] == "" {
		return "", c.fail(rollover.ErrUnavailable, errNoCommand.Error(), "set the command of pdnsutil in the configuration")
	}
	program, err := guard.Program(c.argv[0])
	if program != "" && err != nil {
		return "", c.fail(err, "was not started", err.Error())
	}
	return program, nil
}

func (c call) printedTooMuch(limit int) *Error {
	return c.fail(errTooLong, fmt.Sprintf("printed more than %d bytes", limit), "run it by hand and look at what it prints")
}

// command prepares a process group of its own, so that all of it can be
// killed, with an environment that holds nothing of ours: the language of
// messages and the time zone are fixed because they are parsed.
func command(ctx context.Context, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + childPath, "LC_ALL=C", "TZ=UTC"}
	if home := os.Getenv("HOME"); home != "" {
		cmd.Env = append(cmd.Env, "HOME="+home) // ssh, docker and kubectl keep their settings there
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = drainDelay
	return cmd
}

// killGroup kills a command and everything that it started in its group;
// os.ErrProcessDone when nothing of it is left.
func killGroup(cmd *exec.Cmd) error {
	err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// endGroup kills what a command that has ended left behind.
func endGroup(cmd *exec.Cmd) error {
	err := killGroup(cmd)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// explain turns the failure of a command into an *Error.
func (t *Tool) explain(ctx context.Context, c call, cmd *exec.Cmd, err error, out output) error {
	switch cause := context.Cause(ctx); {
	case cmd.Process == nil && ctx.Err() == nil:
		return c.fail(errors.Join(rollover.ErrUnavailable, err), fmt.Sprintf("could not be started: %v", err),
			"install it, or correct the command in the configuration")
	case cause == errTimeout:
		return c.fail(rollover.ErrUnavailable, fmt.Sprintf("timed out after %v and was killed", t.timeout(c)), c.remedySlow())
	case errors.Is(cause, context.DeadlineExceeded):
		return c.fail(errors.Join(rollover.ErrUnavailable, cause), "timed out and was killed", c.remedySlow())
	case cause != nil:
		return c.fail(cause, "was interrupted and killed", "read the keys again: the change may have happened")
	}
	return c.exited(cmd.ProcessState, err, out)
}

const (
	remedyTimeout = "look for a locked or unreachable database; the change may have happened all the same, so the keys must be read again"
	remedyDeaf    = "look whether pdns_server hangs: it does not answer on its control socket"
)

// capped keeps what is written to it up to a limit, and calls exceeded when
// more comes.
type capped struct {
	kept     []byte
	limit    int
	full     bool
	exceeded func()
}

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	if len(c.kept)+len(p) > c.limit {
		c.full = true
		c.exceeded()
		return 0, errTooLong
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}
