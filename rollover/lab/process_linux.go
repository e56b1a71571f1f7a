package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// dieWithUs gives a process its own group, so that Ctrl-C in a terminal
// reaches only us and we end the servers in order, and has the kernel kill it
// when the thread that started it ends.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// halted says whether every thread of a process has obeyed SIGSTOP, which
// each does when it next passes through the kernel.
func halted(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // the thread has ended
		}
		// "123 (name) T ...", and the name may contain anything.
		if _, state, _ := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" ")); !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return true
}
