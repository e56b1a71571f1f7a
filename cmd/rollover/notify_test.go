package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rollover/rollover"
	"rollover/rollover/hook"
	"rollover/rollover/lab"
)

// receiver is a web server that takes signed notices.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	notices []rollover.Notice
}

func newReceiver(t *testing.T, secret string) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		if got, want := request.Header.Get("X-Rollover-Signature"), "sha256="+hook.Sign([]byte(secret), request.Header.Get("X-Rollover-Timestamp"), body); got != want {
			t.Errorf("signature %q, expected %q", got, want)
		}
		var n rollover.Notice
		if err := json.Unmarshal(body, &n); err != nil {
			t.Errorf("%v in %s", err, body)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.notices = append(r.notices, n)
	}))
	t.Cleanup(r.Close)
	return r
}

// got is what came for a zone, "event" or "event/repetition", without what came
// more often than once in a row.
func (r *receiver) got(zone string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, n := range r.notices {
		text := n.Event
		if n.Repeat > 0 {
			text = fmt.Sprintf("%s/%d", n.Event, n.Repeat)
		}
		if n.Zone == zone {
			out = append(out, text)
		}
	}
	return out
}

// A rollover whose operator is late, by which everything is told: at the right
// moments, each thing once, again while nothing is done; a channel that fails
// and one that hangs hold nothing up.
func TestNotificationsEndToEnd(t *testing.T) {
	t.Parallel()
	zone := "ksk.lab.test."
	h := newHarness(t, "2s", lab.Options{DSTTL: 1, Zones: []lab.Zone{{Name: zone, TTL: 1, Minimum: 1, SOATTL: 1}}})
	r := newReceiver(t, "s3cret")
	log := filepath.Join(t.TempDir(), "log")
	h.configure(fmt.Sprintf(`
[notify]
events = ["started", "step-entered", "ds-needed", "blocked", "done", "check-failed", "recovered"]
repeat = "2s"
exec.command = ["%s"]
webhook.url_file = "%s"
webhook.secret_file = "%s"
sendmail.command = ["%s"]
sendmail.to = ["dns@example.net"]
sendmail.timeout = "300ms"
`, h.write("notify", fmt.Sprintf("#!/bin/sh\necho \"$ROLLOVER_EVENT $ROLLOVER_ZONE\" >>%s\n", log), 0o700),
		h.write("url", r.URL+"/t0ken\n", 0o600), h.write("secret", "s3cret\n", 0o600), h.write("sendmail", "#!/bin/sh\nsleep 600\n", 0o700)))
	h.driven = false
	if o := h.rollover("notify", "--test"); o.code != 1 || !strings.Contains(o.stdout, "exec ok\nwebhook ok\n") || !strings.Contains(o.stderr, "sendmail failed: timed out and was killed") {
		t.Errorf("notify --test: %v", o)
	}
	h.late[zone] = true
	told := 0
	advance := func() {
		told += strings.Count(h.must("advance").stderr, "notification by sendmail failed")
	}
	first := h.must("start", zone, "--type", "ksk")
	told += strings.Count(first.stderr, "notification by sendmail failed")
	h.until("told twice more", []string{zone}, advance, func(rollover.Status) bool {
		return strings.Contains(strings.Join(r.got(zone), " "), "ds-needed/2")
	})
	h.late[zone] = false
	h.until("done", []string{zone}, advance, done)
	advance()
	got := r.got(zone)
	want := []string{"started", "step-entered", "step-entered", "ds-needed", "ds-needed/1", "ds-needed/2"}
	if len(got) < len(want) || strings.Join(got[:len(want)], " ") != strings.Join(want, " ") || got[len(got)-1] != "done" {
		t.Errorf("the webhook got %q", got)
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(string(raw), zone)
	if lines != len(got) || !strings.Contains(string(raw), "test example.com.\n") {
		t.Errorf("the program was told %d things, the webhook %d:\n%s", lines, len(got), raw)
	}
	if told != 1 {
		t.Errorf("that sendmail fails was said %d times", told)
	}
	if o := h.must("notify"); !strings.Contains(o.stdout, "sendmail   fails since") || !strings.Contains(o.stdout, "waiting    "+zone) {
		t.Errorf("notify: %v", o)
	}
}
