package hook_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/hook"
)

const examples = "../../docs/examples"

// example is a copy of an example that nobody else can write to.
func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every example in shell is one.
func TestExamplesParse(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join(examples, "*.sh"))
	if err != nil || len(scripts) < 4 {
		t.Fatalf("examples %q, %v", scripts, err)
	}
	for _, path := range scripts {
		if out, err := exec.Command("sh", "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}

// The example for a registrar's web interface: the token comes from its file,
// the key and the JSON arrive, and the answers mean what the contract says.
func TestExampleForARegistrar(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Zone string
			Set  []struct{ DS string }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Zone != "example.com." || len(in.Set) != 2 {
			t.Errorf("body %+v, %v", in, err)
		}
		c := change(t)
		if r.Method != http.MethodPut || r.URL.Path != "/v1/domains/example.com/ds" || r.Header.Get("Authorization") != "Bearer t0ken" || r.Header.Get("Idempotency-Key") != c.Key {
			t.Errorf("%s %s, header %v", r.Method, r.URL, r.Header)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte("because\nof this")) // curl sees it if not
	}))
	defer server.Close()
	token := filepath.Join(t.TempDir(), "registrar.curl")
	if err := os.WriteFile(token, []byte("header = \"Authorization: Bearer t0ken\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := hook.Driver{Program: hook.Program{Command: []string{example(t, "registrar-api.sh"), token, server.URL + "/v1"}}}
	for code, want := range map[int]rollover.Answer{
		200: {State: rollover.SubmissionAccepted, Text: "the registrar answers 200"},
		429: {State: rollover.SubmissionLater, Text: "the registrar answers 429, later"},
		503: {State: rollover.SubmissionLater, Text: "the registrar answers 503, later"},
		403: {State: rollover.SubmissionFailed, Text: "exit code 1: the registrar answers 403: because of this"},
	} {
		status = code
		if got := d.Submit(context.Background(), change(t)); got.State != want.State || strings.TrimSpace(got.Text) != want.Text {
			t.Errorf("%d: %+v, expected %+v", code, got, want)
		}
	}
	server.Close()
	if got := d.Submit(context.Background(), change(t)); got.State != rollover.SubmissionLater {
		t.Errorf("without a server: %+v", got)
	}
}
