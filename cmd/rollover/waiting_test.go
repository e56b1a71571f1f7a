package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Only a terminal is told what takes its time: cron would send a mail.
func TestWaitingIsToldToTerminals(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0) // as much a terminal as its other end
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, c := range map[string]struct {
		to   io.Writer
		told bool
	}{
		"a terminal": {terminal, true}, "a terminal, made printable": {printable{terminal}, true},
		"a file": {printable{file}, false}, "no file": {&bytes.Buffer{}, false},
	} {
		if tell := (&mouth{err: c.to}).waiting(); (tell != nil) != c.told {
			t.Errorf("%s is told: %v", name, tell != nil)
		}
	}
}

func TestLongTimeoutOfConfiguration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 10 * time.Minute, `timeout = "20m"`: 20 * time.Minute, `long_timeout = "5m"`: 5 * time.Minute,
	} {
		if c, err := configOf(t, "[pdnsutil]\n"+text+"\n"); err != nil || time.Duration(c.Pdnsutil.Long) != want {
			t.Errorf("%q: %v, %v, expected %v", text, time.Duration(c.Pdnsutil.Long), err, want)
		}
	}
	for _, text := range []string{`long_timeout = "0s"`, "timeout = \"5m\"\nlong_timeout = \"1m\""} {
		if _, err := configOf(t, "[pdnsutil]\n"+text+"\n"); err == nil || !strings.Contains(err.Error(), "long_timeout") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
