package hook

import (
	"bytes"
	"encoding/json"
	"net/mail"
	"strings"
	"testing"
	"time"

	"rollover/rollover"
)

// FuzzMessage: whatever a notice says, the mail has the headers that it should
// and no other, and the notice is JSON that says the same.
func FuzzMessage(f *testing.F) {
	f.Add("example.com.", "done", "id", "a text", "a command", "1 13 2 ab")
	f.Add("a\nBcc: x@example.com", "a\r\n\r\nb", "\x00", "\xff", "\n.\n", "\u2028")
	f.Fuzz(func(t *testing.T, zone, event, id, text, command, ds string) {
		n := rollover.Notice{Zone: zone, Event: event, ID: id, Text: text, Command: command, Add: []string{ds}, Remove: []string{}}
		s := Sendmail{To: []string{"root@localhost"}, From: "rollover@localhost", Now: func() time.Time { return time.Unix(0, 0) }}
		m, err := mail.ReadMessage(bytes.NewReader(s.message(n)))
		if err != nil {
			t.Fatalf("the mail does not parse: %v", err)
		}
		if len(m.Header) != 9 || m.Header.Get("Bcc") != "" || m.Header.Get("To") != "root@localhost" {
			t.Errorf("the headers are %q", m.Header)
		}
		for name, values := range m.Header {
			if len(values) != 1 || strings.ContainsAny(values[0], "\r\n\x00") {
				t.Errorf("%s is %q", name, values)
			}
		}
		raw, err := json.Marshal(n)
		var again rollover.Notice
		if err != nil || json.Unmarshal(raw, &again) != nil || strings.ContainsAny(string(raw), "\n\x00") {
			t.Errorf("as JSON it is %q: %v", raw, err)
		}
	})
}
