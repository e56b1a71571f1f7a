package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/hook"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func notice() rollover.Notice {
	return rollover.Notice{
		Schema: 1, ID: "example.com.ksk-1/ds-needed/1", Event: "ds-needed", Zone: "example.com.", Roll: "example.com.ksk-1", Type: "ksk", Method: "double-ds",
		State: "active", Step: "submit", At: noon, Repeat: 1, Text: "you: it\r\nBcc: x@example.net\x1b[31m waits", Command: "at the registrar: add DS", Add: []string{"1 13 2 AB"}, Remove: []string{},
	}
}

// A signed POST, whose signature the receiver can check; nothing follows a
// redirect, and no error tells the address.
func TestWebhook(t *testing.T) {
	secret := []byte("s3cret")
	status := http.StatusNoContent
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		stamp := r.Header.Get("X-Rollover-Timestamp")
		if r.Header.Get("X-Rollover-Signature") != "sha256="+hook.Sign(secret, stamp, body) || stamp != fmt.Sprint(noon.Unix()) {
			t.Errorf("signature %q at %q", r.Header.Get("X-Rollover-Signature"), stamp)
		}
		var n rollover.Notice
		if err := json.Unmarshal(body, &n); err != nil || n.ID != notice().ID || r.Header.Get("X-Rollover-Notice") != n.ID {
			t.Errorf("body %s, %v", body, err)
		}
		seen = append(seen, r.URL.Path)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	address := server.URL + "/hook/t0ken"
	w := hook.Webhook{
		URL: func() (string, error) { return address, nil }, Secret: func() ([]byte, error) { return secret, nil },
		Now: func() time.Time { return noon }, Timeout: time.Second,
	}
	for _, c := range []struct {
		status int
		fails  string
	}{{204, ""}, {200, ""}, {302, "302"}, {500, "500"}, {404, "404"}} {
		status = c.status
		if err := w.Notify(context.Background(), notice()); (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("status %d: %v", c.status, err)
		}
	}
	if len(seen) != 5 || seen[2] != "/hook/t0ken" {
		t.Errorf("requests %q", seen)
	}
	server.Close()
	for _, bad := range []string{address, "http://127.0.0.1:1/t0ken", "t0ken://x/", "http://[t0ken"} {
		address = bad
		if err := w.Notify(context.Background(), notice()); err == nil || strings.Contains(err.Error(), "t0ken/") || strings.Contains(err.Error(), "/t0ken") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	w.Secret = func() ([]byte, error) { return nil, errors.New("no secret") }
	if err := w.Notify(context.Background(), notice()); err == nil || err.Error() != "no secret" {
		t.Errorf("without the secret: %v", err)
	}
}

// A server that never answers costs the time-out and no more.
func TestWebhookThatHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	w := hook.Webhook{
		URL: func() (string, error) { return server.URL, nil }, Secret: func() ([]byte, error) { return nil, nil },
		Now: time.Now, Timeout: 100 * time.Millisecond,
	}
	if err := w.Notify(context.Background(), notice()); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// A mail with nothing in its header that was not put there.
func TestSendmail(t *testing.T) {
	dir := t.TempDir()
	program := script(t, fmt.Sprintf(`cat >%s/mail; echo "$@" >%[1]s/argv`, dir))
	s := hook.Sendmail{Program: hook.Program{Command: []string{program, "-t", "-i"}}, To: []string{"dns@example.net", "ops@example.net"}, From: "rollover@example.net", Now: func() time.Time { return noon }}
	if err := s.Notify(context.Background(), notice()); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "mail"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m, err := mail.ReadMessage(file)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 2 || m.Header.Get("Bcc") != "" || m.Header.Get("Subject") != "[rollover] example.com. ds-needed (told 1 times before)" || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("header %v, %v", m.Header, err)
	}
	if date, err := m.Header.Date(); err != nil || !date.Equal(noon) {
		t.Errorf("date %v, %v", date, err)
	}
	for _, want := range []string{"  example.com. IN DS 1 13 2 AB\n", "at the registrar: add DS\n", "rollover status example.com."} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the mail lacks %q:\n%s", want, body)
		}
	}
	if strings.ContainsAny(string(body), "\r\x1b") || strings.Contains(string(body), "Remove at") {
		t.Errorf("mail %q", body)
	}
	s.Command = []string{script(t, "echo mail queue is full >&2; exit 75")}
	if err := s.Notify(context.Background(), notice()); err == nil || !strings.Contains(err.Error(), "mail queue is full") {
		t.Errorf("a sendmail that fails: %v", err)
	}
}

func TestExecNotice(t *testing.T) {
	dir := t.TempDir()
	e := hook.Exec{Program: hook.Program{Command: []string{script(t, fmt.Sprintf(`cat >%s/stdin; printf '%%s|' "$ROLLOVER_EVENT" "$ROLLOVER_ZONE" "$ROLLOVER_REPEAT" "$ROLLOVER_DS_ADD" "$ROLLOVER_TEXT" >%[1]s/env`, dir))}}}
	if err := e.Notify(context.Background(), notice()); err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "ds-needed|example.com.|1|1 13 2 AB|you: it  Bcc: x@example.net [31m waits|"; string(env) != want {
		t.Errorf("environment %q, expected %q", env, want)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "stdin"))
	if err != nil {
		t.Fatal(err)
	}
	var n rollover.Notice
	if err := json.Unmarshal(raw, &n); err != nil || n.Schema != 1 || n.Event != "ds-needed" {
		t.Errorf("JSON %s, %v", raw, err)
	}
	e.Command = []string{script(t, "exit 4")}
	if err := e.Notify(context.Background(), notice()); err == nil || err.Error() != "exit code 4" {
		t.Errorf("a program that fails: %v", err)
	}
}

// A mail about what check found names no rollover.
func TestMailOfCheck(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sendmail")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncat >"+dir+"/mail\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := hook.Sendmail{Program: hook.Program{Command: []string{path}}, To: []string{"dns@example.net"}, Now: func() time.Time { return noon }}
	n := rollover.Notice{Schema: 1, ID: "a./check-failed/1", Event: "check-failed", Zone: "a.", At: noon, Source: rollover.SourceCheck, Severity: rollover.SeverityCritical, Text: "CRITICAL: broken", Command: "mend it"}
	if err := s.Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "mail"))
	want := "\n\nCRITICAL: broken\n\nWhat to do:\nmend it\n\nZone a., seen by check, since 2026-11-25T12:00:00Z.\nSee: rollover check a.\n"
	if err != nil || !strings.HasSuffix(string(raw), want) {
		t.Errorf("the mail is %q, %v", raw, err)
	}
}
