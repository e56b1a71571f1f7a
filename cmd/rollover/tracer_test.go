//go:build linux && amd64

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

// edge is one side of a system call that the program makes: the moment before
// the kernel does it, or the one after.
type edge struct {
	call  string // what it is to us: save, sync, run, reap, lock
	after bool
}

// String names the edge.
func (e edge) String() string {
	if e.after {
		return "after " + e.call
	}
	return "before " + e.call
}

// fate is what a tracer does to the program at an edge.
type fate struct {
	kill bool
	fail syscall.Errno // before a call: it is not made, and returns this
}

// tracer runs the program and decides at every edge what becomes of it. It
// sees all threads of the program, which strace counts one by one, and none of
// the processes that it starts.
type tracer struct {
	at func(edge) fate

	pid   int
	calls map[int]*pending // by thread
	ended syscall.WaitStatus
}

// pending is a system call that a thread is in.
type pending struct {
	name string
	fail syscall.Errno
	arg0 uint64 // what was there before it was made to fail
}

// run runs a command to its end; stdout and stderr are kept together.
func (t *tracer) run(cmd *exec.Cmd) (o outcome, err error) {
	out, err := os.CreateTemp("", "rollover-traced-")
	if err != nil {
		return o, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	runtime.LockOSThread() // a tracer is a thread, not a process
	defer runtime.UnlockOSThread()
	process, err := os.StartProcess(cmd.Path, cmd.Args, &os.ProcAttr{
		Env:   append(cmd.Environ(), "GODEBUG=asyncpreemptoff=1"), // signals are stops that say nothing
		Files: []*os.File{nil, out, out},
		Sys:   &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return o, err
	}
	t.pid, t.calls = process.Pid, map[int]*pending{}
	if err := t.follow(); err != nil {
		return o, fmt.Errorf("tracing %v: %w", cmd.Args, err)
	}
	text, err := os.ReadFile(out.Name())
	return outcome{stderr: string(text), code: t.ended.ExitStatus()}, err
}

// follow goes from stop to stop until the program has ended. The process group
// stands for all of its threads: other children of ours are not waited for.
func (t *tracer) follow() error {
	const exitKill = 0x100000 // PTRACE_O_EXITKILL
	if _, err := t.wait(t.pid); err != nil {
		return fmt.Errorf("waiting for its start: %w", err)
	}
	if err := syscall.PtraceSetOptions(t.pid, syscall.PTRACE_O_TRACESYSGOOD|syscall.PTRACE_O_TRACECLONE|exitKill); err != nil {
		return fmt.Errorf("tracing its calls (status %v): %w", t.ended, err)
	}
	for tid, signal := t.pid, 0; ; {
		if err := syscall.PtraceSyscall(tid, signal); err != nil && err != syscall.ESRCH { // killed meanwhile
			return fmt.Errorf("going on: %w", err)
		}
		var err error
		if tid, err = t.wait(-t.pid); err != nil || tid == 0 {
			return err
		}
		if signal, err = t.stopped(tid); err != nil {
			return fmt.Errorf("looking at a stop: %w", err)
		}
	}
}

// wait is the next thread that stopped, 0 when the program has ended.
func (t *tracer) wait(who int) (int, error) {
	for {
		tid, err := syscall.Wait4(who, &t.ended, syscall.WALL, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, err
		case t.ended.Stopped():
			return tid, nil
		case tid == t.pid:
			return 0, nil
		}
	}
}

// stopped looks at why a thread stopped, and returns the signal to go on with.
func (t *tracer) stopped(tid int) (int, error) {
	const syscallStop = syscall.SIGTRAP | 0x80
	switch signal := t.ended.StopSignal(); signal {
	case syscallStop:
		return 0, t.edge(tid)
	case syscall.SIGTRAP, syscall.SIGSTOP: // a thread began
		return 0, nil
	default:
		return int(signal), nil
	}
}

// callInfo is struct ptrace_syscall_info of the kernel.
type callInfo struct {
	Op     uint8 // 1 at the entry, 2 at the exit
	_      [3]uint8
	_      uint32
	_, _   uint64
	Number uint64 // at the entry
	Args   [6]uint64
	_      [24]uint8
}

func (t *tracer) edge(tid int) error {
	const getSyscallInfo = 0x420e // PTRACE_GET_SYSCALL_INFO
	var info callInfo
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, getSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	switch {
	case errno == syscall.ESRCH:
		return nil
	case errno != 0:
		return errno
	case info.Op == 1:
		return t.entry(tid, info)
	}
	return t.exit(tid)
}

func (t *tracer) entry(tid int, info callInfo) error {
	name := t.name(info)
	delete(t.calls, tid)
	if name == "" {
		return nil
	}
	p := &pending{name: name}
	t.calls[tid] = p
	f := t.at(edge{name, false})
	if f.kill {
		return t.kill()
	}
	if p.fail = f.fail; p.fail == 0 {
		return nil
	}
	return t.alter(tid, func(r *syscall.PtraceRegs) { p.arg0, r.Rdi = r.Rdi, ^uint64(0) }) // no such file descriptor
}

func (t *tracer) exit(tid int) error {
	p := t.calls[tid]
	delete(t.calls, tid)
	if p == nil {
		return nil
	}
	if p.fail != 0 {
		return t.alter(tid, func(r *syscall.PtraceRegs) { r.Rdi, r.Rax = p.arg0, -uint64(p.fail) })
	}
	if t.at(edge{p.name, true}).kill {
		return t.kill()
	}
	return nil
}

func (t *tracer) alter(tid int, change func(*syscall.PtraceRegs)) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	change(&regs)
	return syscall.PtraceSetRegs(tid, &regs)
}

// name is what a system call is to us, empty for those that change nothing
// outside of the program.
func (t *tracer) name(info callInfo) string {
	switch info.Number {
	case syscall.SYS_PWRITE64:
		return t.ofState("save", info)
	case syscall.SYS_FDATASYNC, syscall.SYS_FSYNC:
		return t.ofState("sync", info)
	case syscall.SYS_FLOCK:
		return "lock"
	case syscall.SYS_WAIT4, syscall.SYS_WAITID:
		return "reap"
	case syscall.SYS_CLONE:
		if info.Args[0]&syscall.CLONE_VFORK != 0 {
			return "run"
		}
	case 435: // clone3, whose flags are first in its struct
		if t.peek(uintptr(info.Args[0]))&syscall.CLONE_VFORK != 0 {
			return "run"
		}
	}
	return ""
}

// peek reads a word of the program.
func (t *tracer) peek(address uintptr) uint64 {
	var word [8]byte
	if _, err := syscall.PtracePeekData(t.pid, address, word[:]); err != nil {
		return 0
	}
	return binary.NativeEndian.Uint64(word[:])
}

// ofState is a name if the call is about the state file.
func (t *tracer) ofState(name string, info callInfo) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, info.Args[0]))
	if err != nil || filepath.Base(path) != "rollover.db" {
		return ""
	}
	return name
}

func (t *tracer) kill() error {
	if err := syscall.Kill(t.pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing %d: %w", t.pid, err)
	}
	return nil
}

// scene is one run of the program, as far as it has come.
type scene struct {
	h     *harness
	given int          // commands given to PowerDNS before
	last  string       // of those of this run: "in" it, or "after" it
	runs  int          // processes started
	seen  map[edge]int // since the last one began
}

func (h *harness) scene() scene {
	return scene{h: h, given: len(h.commands()), seen: map[edge]int{}}
}

// hear takes in an edge. The first process that Go starts is none of ours: it
// tries whether it can wait for children.
func (s *scene) hear(e edge) {
	switch {
	case e == edge{"run", true}:
		if s.runs++; s.runs > 1 {
			s.h.await("command begun", func() bool { return len(s.h.commands()) > s.given })
			s.given++
			s.last = "in " + s.h.commands()[s.given-1]
			clear(s.seen)
		}
	case e == edge{"reap", true} && s.last != "":
		s.last = "after " + s.h.commands()[s.given-1]
	}
	s.seen[e]++
}

// commands is those given to PowerDNS so far.
func (h *harness) commands() []string {
	h.t.Helper()
	raw, err := os.ReadFile(h.log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		_, rest, _ := strings.Cut(line, "-- ")
		command, _, _ := strings.Cut(rest, " ")
		out = append(out, command)
	}
	return out
}
