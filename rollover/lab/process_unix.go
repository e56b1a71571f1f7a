//go:build unix && !linux

package lab

import "syscall"

// dieWithUs leaves the process in our group: without the kernel's promise to
// end it with us, a Ctrl-C that reaches it is better than nothing.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{}
}

// halted cannot tell here whether a process has obeyed SIGSTOP.
func halted(int) bool { return true }
