package store

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"rollover/rollover"
)

// The test binary runs itself as another process, with the role in childRole
// and the state file in childPath.
const (
	childRole = "ROLLOVER_STORE_TEST_ROLE"
	childPath = "ROLLOVER_STORE_TEST_PATH"
)

func TestMain(m *testing.M) {
	path := os.Getenv(childPath)
	switch os.Getenv(childRole) {
	case "":
		os.Exit(m.Run())
	case "hold file":
		holdFile(path)
	case "hold lock":
		holdLock(path)
	case "save for ever":
		saveForEver(path)
	case "save with little room":
		saveWithLittleRoom(path, 1<<16)
	case "save without room":
		saveWithLittleRoom(path, 1<<12)
	case "be nobody":
		beNobody(path)
	}
}

// child is another process; what it prints is read line by line.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	stdin io.WriteCloser
}

func startChild(t *testing.T, role, path string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childPath+"="+path)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return &child{cmd, bufio.NewScanner(stdout), stdin}
}

// line is the next line that the child prints.
func (c *child) line(t *testing.T) string {
	t.Helper()
	if !c.lines.Scan() {
		t.Fatalf("the other process printed nothing more: %v", c.lines.Err())
	}
	return c.lines.Text()
}

func untilStdinCloses() { _, _ = io.Copy(io.Discard, os.Stdin) }

func giveUp(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func holdFile(path string) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Minute})
	giveUp(err)
	fmt.Println("held")
	untilStdinCloses()
	giveUp(db.Close())
}

func holdLock(path string) {
	_, err := Lock(path)
	giveUp(err)
	fmt.Println("held")
	untilStdinCloses()
}

// saveForEver acknowledges each save on stdout after it returned.
func saveForEver(path string) {
	db := At(path)
	d, err := db.Load("example.org.")
	giveUp(err)
	n := 0
	if d.Roll != nil {
		n, err = strconv.Atoi(d.Roll.Step)
		giveUp(err)
	}
	for {
		n++
		giveUp(db.Save(numbered(n)))
		fmt.Println(n)
	}
}

// numbered is an entry that tells which save it was.
func numbered(n int) rollover.Entry {
	e := sample("example.org.", n)
	e.Dossier.Roll.Step = strconv.Itoa(n)
	e.Events = []rollover.Event{{Zone: "example.org.", Event: rollover.EventEntered, Step: strconv.Itoa(n)}}
	return e
}

// saveWithLittleRoom saves until files may not grow any more, prints how many
// saves were acknowledged, then the error.
func saveWithLittleRoom(path string, octets uint64) {
	signal.Ignore(syscall.SIGXFSZ) // so that writes fail with EFBIG
	giveUp(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: octets, Max: octets}))
	db := At(path)
	for n := range 10_000 {
		if err := db.Save(sample(zoneName(n), n)); err != nil {
			fmt.Println(n)
			fmt.Println(err)
			for i := range n {
				_, err := db.Load(zoneName(i))
				giveUp(err)
			}
			return
		}
	}
}

// beNobody reads the state as a user who may not, and says what that was.
func beNobody(path string) {
	if os.Geteuid() == 0 {
		giveUp(syscall.Setgid(65534))
		giveUp(syscall.Setuid(65534))
	}
	_, err := At(path).Load("example.org.")
	fmt.Println(isPermission(err))
	fmt.Println(isPermission(At(path).Save(sample("example.org.", 1))))
	_, err = Lock(path)
	fmt.Println(isPermission(err))
}
