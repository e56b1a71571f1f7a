package main

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"rollover/pdns/pdnstest"
)

// The test binary is rollover itself, rollover on a full disk, and a fake
// pdnsutil and pdns_control, when it is called by those names. So no test hook
// is in the product.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rollover":              main,
		"rollover-on-full-disk": func() { fullDisk(); main() },
		"fake-pdnsutil":         func() { fake("pdnsutil") },
		"fake-pdns_control":     func() { fake("pdns_control") },
	})
}

func fake(program string) {
	os.Exit(pdnstest.Run(program, os.Args[1:], os.Stdout, os.Stderr))
}

// fullDisk makes every write beyond the first page of a file fail, as on a
// full disk.
func fullDisk() {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
		panic(err)
	}
}
