package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The relay to the database is at one address, the database at the next. Both
// have the lab's port.
const databaseRelayHost, databaseHost = 7, 8

const databaseName, databaseUser = "pdns", "pdns"

// database is the database server of the children's primary.
type database struct {
	dir     string // its own, since PostgreSQL runs as another user
	addr    string // ip:port of the relay
	behind  string // ip:port where it listens
	command []string
	user    *syscall.Credential // nil: as we are
	process *process            // nil: not started, or killed
	relay   *relay
}

var errNoDatabase = errors.New("this lab has no database server: its back end needs none")

// startDatabase makes and starts the database server that the back end needs, if any.
func (l *Lab) startDatabase(ctx context.Context) error {
	var prepare func(context.Context, *database) error
	switch l.options.Backend {
	case GMySQL:
		prepare = l.prepareMariaDB
	case GPgSQL:
		prepare = l.preparePostgreSQL
	default:
		return nil
	}
	dir, err := os.MkdirTemp("", "rollover-lab-database-")
	if err != nil {
		return fmt.Errorf("making the folder of the database: %w", err)
	}
	d := &database{dir: dir, addr: address(databaseRelayHost, l.port), behind: address(databaseHost, l.port)}
	l.database = d
	if err := prepare(ctx, d); err != nil {
		return err
	}
	if d.relay, err = newFrontRelay(d.addr, d.behind); err != nil {
		return err
	}
	return l.launchDatabase(ctx)
}

// launchDatabase starts the database server and waits until it takes
// connections. One that was killed may not start at once: PostgreSQL first
// waits for the last of its former children to go.
func (l *Lab) launchDatabase(ctx context.Context) error {
	d := l.database
	return poll(ctx, 20*time.Millisecond, func() error {
		if d.process == nil || !d.process.alive() {
			var err error
			if d.process, err = l.nursery.startAs(d.user, d.dir, d.command, d.log()); err != nil {
				return &final{err}
			}
		}
		return d.answers(ctx)
	})
}

func (d *database) log() string { return filepath.Join(d.dir, "log") }

// answers says whether the database takes connections; if not, with the end of its log.
func (d *database) answers(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.behind)
	if err == nil {
		return conn.Close()
	}
	text, err2 := os.ReadFile(d.log())
	return errors.Join(fmt.Errorf("the database does not answer: %w\n%s", err, text[max(0, len(text)-2000):]), err2)
}

// runAs runs a command of the database in its folder, with this input.
func (d *database) runAs(ctx context.Context, input string, words []string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir, cmd.Stdin, cmd.SysProcAttr = d.dir, strings.NewReader(input), &syscall.SysProcAttr{Credential: d.user}
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %q: %w\n%s", words, err, out)
	}
	return nil
}

// close ends the database and removes what it had.
func (d *database) close() error {
	if d == nil {
		return nil
	}
	err := d.relay.close()
	if d.process != nil {
		err = errors.Join(err, d.process.stop())
	}
	if err2 := os.RemoveAll(d.dir); err2 != nil {
		err = errors.Join(err, fmt.Errorf("removing the folder of the database: %w", err2))
	}
	return err
}

// KillDatabase kills the database server of the children's primary with
// SIGKILL. What was committed is kept: the kernel has it.
func (l *Lab) KillDatabase() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.database
	if d == nil || d.process == nil || !d.process.alive() {
		return errNoDatabase
	}
	if err := d.process.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing the database: %w", err)
	}
	<-d.process.ended
	return nil
}

// StartDatabase starts a database server that was killed, and waits until it
// has recovered.
func (l *Lab) StartDatabase(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.database == nil || l.stopped {
		return errNoDatabase
	}
	if err := l.launchDatabase(ctx); err != nil {
		return err
	}
	return l.awaitDatabase(ctx, l.c1)
}

// awaitDatabase waits until a database gives answers: it takes connections before
// that.
func (l *Lab) awaitDatabase(ctx context.Context, s *server) error {
	return poll(ctx, 50*time.Millisecond, func() error {
		_, err := l.utilOnce(ctx, s, "backend-cmd", s.backend.launch, "SELECT 1")
		return err
	})
}

// CutDatabase ends every connection to the database server and refuses new ones,
// or lets them be again.
func (l *Lab) CutDatabase(cut bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.database == nil || l.stopped {
		return errNoDatabase
	}
	l.database.relay.hold(cut)
	return nil
}

// SnapDatabase waits for a connection in which the database is told something
// with this text, and further pieces after it: with the last of them, which the
// database still gets, all connections to it end, and nobody hears an answer.
// New ones can be made at once. The channel is closed when that has happened.
func (l *Lab) SnapDatabase(text string, further int) (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.database == nil || l.stopped {
		return nil, errNoDatabase
	}
	return l.database.relay.snapAt(text, further), nil
}
