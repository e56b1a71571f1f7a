package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"rollover/pdns/pdnstest"
)

// The test binary is rollover itself, and a fake pdnsutil and pdns_control,
// when it is called by those names.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rollover":          main,
		"fake-pdnsutil":     func() { os.Exit(pdnstest.Main()) },
		"fake-pdns_control": func() { os.Exit(pdnstest.Main()) },
	})
}
