package store

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"rollover/rollover"
)

// What is saved comes back, in a file of our own; damage is told, and costs no
// more than what was in it.
func TestOutbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rollover.db")
	var none, one rollover.Outbox
	if got, err := Outbox(path); err != nil || !reflect.DeepEqual(got, none) {
		t.Fatalf("without a file: %+v, %v", got, err)
	}
	if err := SaveOutbox(path, none, none); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(path), "outbox.json")
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("an empty outbox was written: %v", err)
	}
	one.Queue(rollover.Notice{ID: "1", At: time.Unix(1, 0).UTC()}, []string{"exec"}, time.Unix(2, 0).UTC())
	if err := SaveOutbox(path, none, one); err != nil {
		t.Fatal(err)
	}
	if got, err := Outbox(path); err != nil || !reflect.DeepEqual(got, one) {
		t.Errorf("%+v came back as %+v, %v", one, got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Outbox(path); err == nil || !reflect.DeepEqual(got, none) {
		t.Errorf("a damaged file: %+v, %v", got, err)
	}
	if err := SaveOutbox(path, none, one); err != nil {
		t.Errorf("after damage: %v", err)
	}
	if files, err := filepath.Glob(file + "*"); err != nil || len(files) != 1 {
		t.Errorf("files %q, %v", files, err)
	}
}
