package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errGone says that a server ended although nobody told it to.
var errGone = errors.New("a server of the lab has ended")

// server is one server of the lab with its folder, address and process.
type server struct {
	name    string
	dir     string
	addr    string  // ip:port
	behind  string  // ip:port where it listens if a relay stands at addr; else empty
	backend backend // where it keeps its zones
	command []string
	process *process // nil: not started, or stopped by StopServer
	primary *server  // whom a secondary follows
	direct  bool     // direct-dnskey
	extra   []string // more lines of its configuration
	relay   *relay   // through which it transfers
	front   *relay   // through which all others reach it; nil: directly
	held    bool     // the secondary must not transfer
	cut     bool     // its relays drop everything
	paused  bool     // SIGSTOP
}

func (s *server) ip() string {
	host, _, _ := net.SplitHostPort(s.addr) // built by us
	return host
}

func (s *server) log() string { return filepath.Join(s.dir, "log") }

// answering says whether the server can be expected to follow a change.
func (s *server) answering() bool { return s.process != nil && !s.held && !s.cut && !s.paused }

// check returns errGone, with what the server said last, if it has ended.
func (s *server) check() error {
	if s.process == nil || s.process.alive() {
		return nil
	}
	text, err := os.ReadFile(s.log())
	if err != nil {
		text = []byte(err.Error())
	}
	return fmt.Errorf("%w: %s on %s; the end of its log:\n%s", errGone, s.name, s.addr, text[max(0, len(text)-2000):])
}

// signal pauses or resumes the server.
func (s *server) signal(sig syscall.Signal) error {
	if s.process == nil {
		return fmt.Errorf("%s on %s is not running", s.name, s.addr)
	}
	if err := s.process.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("sending %v to %s: %w", sig, s.name, err)
	}
	s.paused = sig == syscall.SIGSTOP
	if !s.paused {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return poll(ctx, time.Millisecond, func() error {
		if halted(s.process.cmd.Process.Pid) {
			return nil
		}
		return fmt.Errorf("%s has not stopped yet", s.name)
	})
}

// configure writes pdns.conf. What is not named keeps PowerDNS' default.
func (s *server) configure(modules string, follower *server) error {
	listen, port, err := net.SplitHostPort(cmp.Or(s.behind, s.addr))
	if err != nil {
		return fmt.Errorf("configuring %s: %w", s.name, err)
	}
	lines := append(s.backend.settings[:len(s.backend.settings):len(s.backend.settings)],
		"socket-dir="+s.dir,
		"local-address="+listen,
		"local-port="+port,
		"query-local-address="+s.ip(), // else a secondary does not know who sent a NOTIFY
		"allow-axfr-ips=127.0.0.0/8",
		"only-notify=", // NS names would be notified on port 53
		"security-poll-suffix=",
		// An answer that is being made during a purge enters the packet cache
		// after it and lives there for cache-ttl, 20 s by default: a margin of
		// an hour covers that, the margin of seconds in a lab does not. The
		// keys stay cached for their default of 30 s.
		"cache-ttl=1", "query-cache-ttl=1", "negquery-cache-ttl=1",
		"disable-syslog=yes",
	)
	if s.direct {
		lines = append(lines, "direct-dnskey=yes")
	}
	lines = append(lines, s.extra...)
	if modules != "" {
		lines = append(lines, "module-dir="+modules)
	}
	if follower != nil {
		lines = append(lines, "primary=yes", "also-notify="+follower.addr)
	} else {
		// A NOTIFY that arrives during a transfer is looked at one cycle
		// later. Zones without a NOTIFY follow only their SOA refresh timer.
		lines = append(lines, "secondary=yes", "xfr-cycle-interval=1")
	}
	return writeFile(filepath.Join(s.dir, "pdns.conf"), strings.Join(lines, "\n")+"\n")
}

// util runs pdnsutil for a server. PowerDNS 4.7 does not wait for a database
// that its server is writing to: such a command changed nothing and is given
// again.
func (l *Lab) util(ctx context.Context, s *server, args ...string) (string, error) {
	var out string
	err := poll(ctx, 50*time.Millisecond, func() error {
		var err error
		out, err = l.utilOnce(ctx, s, args...)
		if err != nil && !strings.Contains(err.Error(), "database is locked") {
			return &final{err}
		}
		return err
	})
	return out, err
}

func (l *Lab) utilOnce(ctx context.Context, s *server, args ...string) (string, error) {
	words := append(l.programs.util[:len(l.programs.util):len(l.programs.util)], "--config-dir="+s.dir)
	if l.major >= 5 {
		words = append(words, "-q")
	}
	return run(ctx, append(append(words, "--"), args...))
}

// ctl runs pdns_control for a server. It exits with 0 whatever the server
// answers (PowerDNS 4.7 to 5.1), so callers look at what the server then does.
// It takes its options only as --name=value, unlike pdnsutil.
func (l *Lab) ctl(ctx context.Context, s *server, args ...string) error {
	words := append(l.programs.control[:len(l.programs.control):len(l.programs.control)], "--config-dir="+s.dir)
	_, err := run(ctx, append(words, args...))
	return err
}

// run runs a command to its end and returns what it printed.
func run(ctx context.Context, words []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = 10 * time.Second // nothing is left behind: it is the machine that may be slow
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("running %q: %w\n%s%s", words, err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// majorVersion is the 4 or 5 of "pdnsutil 4.7.3": 5 wants absolute names
// where 4 wants relative ones.
func majorVersion(ctx context.Context, util []string) (int, error) {
	out, err := run(ctx, append(util[:len(util):len(util)], "--version"))
	if err != nil {
		return 0, err
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(out), "pdnsutil "), ".")
	major, err := strconv.Atoi(version)
	if err != nil {
		return 0, fmt.Errorf("reading pdnsutil's version in %q: %w", out, err)
	}
	return major, nil
}

// final marks an error that trying again cannot mend.
type final struct{ error }

func (f *final) Unwrap() error { return f.error }

// poll tries until try succeeds, fails finally, or time is up.
func poll(ctx context.Context, every time.Duration, try func() error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		err := try()
		var f *final
		if err == nil || errors.As(err, &f) || errors.Is(err, errGone) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; the last try: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

func writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing a file of the lab: %w", err)
	}
	return nil
}

func appendFile(path, text string) error {
	have, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a file of the lab: %w", err)
	}
	return writeFile(path, string(have)+text)
}
