package hook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
)

func webhook(address string) Webhook {
	return Webhook{URL: func() (string, error) { return address, nil }, Secret: func() ([]byte, error) { return nil, nil }, Now: time.Now}
}

// The signature as openssl dgst -sha256 -hmac makes it.
func TestSignatureOfABody(t *testing.T) {
	if got := Sign([]byte("s3cret"), "1000", []byte(`{"a":1}`)); got != "bead79479adfd3979f56c8c8ead5b99e08e19dbc7ccaf6482d40a6250bb4ecd6" {
		t.Error(got)
	}
}

// A webhook without secret and time-out posts what it should and signs nothing.
func TestWebhookWithoutSecret(t *testing.T) {
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	defer server.Close()
	w := webhook(server.URL)
	if err := w.Notify(context.Background(), rollover.Notice{ID: "id", Event: "done"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "rollover", "X-Rollover-Event": "done", "X-Rollover-Notice": "id", "X-Rollover-Signature": "", "X-Rollover-Timestamp": "",
	} {
		if got.Get(name) != want {
			t.Errorf("%s: %q, expected %q", name, got.Get(name), want)
		}
	}
}

// What cannot be sent as it should is not sent, and no success.
func TestNoticesThatCannotBeSent(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
	}))
	defer server.Close()
	far := rollover.Notice{At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} // which JSON cannot have
	w := webhook(server.URL)
	if err := w.Notify(context.Background(), rollover.Notice{}); err == nil || !strings.Contains(err.Error(), "reading the answer: ") {
		t.Errorf("half an answer: %v", err)
	}
	if err := w.Notify(context.Background(), far); err == nil || !strings.Contains(err.Error(), "encoding a notice") {
		t.Errorf("a notice that is no JSON: %v", err)
	}
	w.URL = func() (string, error) { return server.URL, errors.New("no address") }
	if err := w.Notify(context.Background(), rollover.Notice{}); err == nil || err.Error() != "no address" {
		t.Errorf("without an address: %v", err)
	}
	e := Exec{Program{Command: []string{program(t, t.TempDir(), "true")}}}
	if err := e.Notify(context.Background(), far); err == nil || !strings.Contains(err.Error(), "encoding a notice") {
		t.Errorf("to a program: %v", err)
	}
	if asked != 1 {
		t.Errorf("%d requests", asked)
	}
}

// No connection is left, however much the server says.
func TestNoConnectionIsLeft(t *testing.T) {
	for _, size := range []int{0, 4 * outputLimit} {
		closed := make(chan struct{}, 9)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(make([]byte, size))
			if size > 0 {
				w.(http.Flusher).Flush()
				<-r.Context().Done() // it does not end by itself
			}
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				closed <- struct{}{}
			}
		}
		server.Start()
		w := webhook(server.URL)
		if err := w.Notify(context.Background(), rollover.Notice{}); err != nil {
			t.Error(err)
		}
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Fatalf("after %d octets a connection is left", size)
		}
		server.Close()
	}
}
