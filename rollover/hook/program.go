// Package hook is the voice of rollover to programs of the operator: it hands
// changes of the DS set to a driver program, and events to notification
// programs, web servers and sendmail. It decides nothing, and nobody believes
// what it brings back.
package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rollover/rollover/guard"
)

const (
	defaultTimeout = 60 * time.Second
	// grace is how long a program that is told to end may take to do so.
	grace = 2 * time.Second
	// outputLimit is how much of what a program prints is kept, in bytes.
	outputLimit = 64 << 10
	// childPath is the PATH of what is started, whatever ours is.
	childPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

var errTimeout = errors.New("timed out and was killed")

// Program is a program of the operator's, run without a shell.
type Program struct {
	Command []string      // the first is an absolute path
	Timeout time.Duration // 60 s if zero
}

// outcome is how a program ended, and what it said.
type outcome struct {
	code   int // its exit code; -1 if it has none
	stdout string
	stderr string
	err    error // why it could not be run, or not to its end
}

// run runs the program to its end. Its environment is env and little else, its
// process group its own: when time is up it gets SIGTERM and then SIGKILL, with
// all its children.
func (p Program) run(ctx context.Context, env []string, stdin []byte) outcome {
	if err := p.trusted(); err != nil {
		return outcome{code: -1, err: err}
	}
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, stop := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w (after %s)", errTimeout, timeout))
	defer stop()
	cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
	stdout, stderr := &capped{}, &capped{}
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(baseEnv(), env...), strings.NewReader(string(stdin)), stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = grace
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	err := cmd.Run()
	if ctx.Err() != nil || errors.Is(err, exec.ErrWaitDelay) {
		endGroup(cmd)
	}
	out := outcome{code: -1, stdout: stdout.text(), stderr: stderr.text()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		out.err = context.Cause(ctx)
	case err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay):
		out.err = fmt.Errorf("could not be run: %w", err)
	default:
		out.code = cmd.ProcessState.ExitCode()
	}
	return out
}

// endGroup kills what is left of a command and of what it started.
func endGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nobody may be left
	}
}

// baseEnv is all that a program gets of our environment.
func baseEnv() []string {
	env := []string{"PATH=" + childPath, "LC_ALL=C", "TZ=UTC"}
	if home := os.Getenv("HOME"); home != "" {
		env = append(env, "HOME="+home)
	}
	return env
}

// trusted refuses a program that others could have put there or can change.
func (p Program) trusted() error {
	if len(p.Command) == 0 || !filepath.IsAbs(p.Command[0]) {
		return fmt.Errorf("%q is not an absolute path", strings.Join(p.Command, " "))
	}
	if err := guard.Trusted(p.Command[0]); err != nil {
		return fmt.Errorf("could not be run: %w", err)
	}
	return nil
}

// said is what a program said that is worth telling: the first line of its
// output if all went well, else the last one of its complaints.
func (o outcome) said() string {
	complaint := lines(o.stderr)
	output := lines(o.stdout)
	switch {
	case o.code == 0 && len(output) > 0:
		return output[0]
	case o.code != 0 && len(complaint) > 0:
		return complaint[len(complaint)-1]
	case len(output) > 0:
		return output[len(output)-1]
	}
	return ""
}

// why says how a program failed.
func (o outcome) why() string {
	said := o.said()
	switch {
	case o.err != nil && said != "":
		return fmt.Sprintf("%v; it said: %s", o.err, said)
	case o.err != nil:
		return o.err.Error()
	case said != "":
		return fmt.Sprintf("exit code %d: %s", o.code, said)
	}
	return fmt.Sprintf("exit code %d", o.code)
}

func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// capped keeps the beginning of what is written to it.
type capped struct{ kept []byte }

// Write implements io.Writer; it takes everything, so that a program that talks
// too much can still end.
func (c *capped) Write(p []byte) (int, error) {
	c.kept = append(c.kept, p[:min(len(p), outputLimit-len(c.kept))]...)
	return len(p), nil
}

func (c *capped) text() string { return strings.ToValidUTF8(string(c.kept), "?") }
