package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// These bound how long a lab may take to come up, and one of many zones.
const (
	startTime       = time.Minute
	startBrokenTime = 3 * time.Minute
)

// Lab is a running lab. Its methods may be used by several goroutines; the
// ones that change something wait for each other.
type Lab struct {
	Dir string // holds everything: configurations, databases, sockets, logs

	options  Options
	port     int
	programs programs
	major    int // of PowerDNS' version
	nursery  *nursery

	mu             sync.Mutex
	p1, p2, c1, c2 *server
	validator      *server
	oracles        oracles
	frontEnd       *server   // nil: none was started
	database       *database // of the children's primary; nil: its back end has none
	stopped        bool
}

// Start builds a lab. It returns when every server answers for its zones with
// signatures, the secondaries have transferred, and the validator has found
// every child zone secure. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Lab, error) {
	return start(ctx, startTime, o, (*Lab).build)
}

func start(ctx context.Context, limit time.Duration, o Options, build func(*Lab, context.Context) error) (*Lab, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	l, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	err = build(l, ctx)
	l.mu.Unlock()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a lab: %w", err), l.Stop())
	}
	return l, nil
}

// prepare finds programs, a port, and makes the folder; nothing runs yet.
func prepare(ctx context.Context, o Options) (*Lab, error) {
	found, missing := findPrograms(o.PDNSRoot, o.Backend)
	if len(missing) > 0 {
		return nil, fmt.Errorf("a lab needs programs that are not installed, of the packages %s", strings.Join(missing, ", "))
	}
	major, err := majorVersion(ctx, found.util)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rollover-lab-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("making the folder of a lab: %w", err)
	}
	l := &Lab{Dir: dir, options: o, port: port, programs: found, major: major, nursery: newNursery()}
	l.p1, l.p2 = l.newServer("p1", 1), l.newServer("p2", 2)
	if o.BIND {
		l.p1.addr = bindAddress(port)
	}
	l.c1, l.c2 = l.newServer("c1", 3), l.newServer("c2", 4)
	if o.Relayed {
		l.c2.behind = address(behindHost, port)
	}
	l.validator = l.newServer("validator", 5)
	l.p2.primary, l.c2.primary = l.p1, l.c1
	for _, line := range o.Settings {
		l.c1.extra = append(l.c1.extra, strings.ReplaceAll(line, "$validator", l.validator.addr))
	}
	return l, nil
}

func (l *Lab) newServer(name string, host int) *server {
	dir := filepath.Join(l.Dir, name)
	return &server{name: name, dir: dir, addr: address(host, l.port)}
}

// behindHost is where a server listens that a relay stands before. The oracles of
// StartBroken have the addresses below.
const behindHost, lastHost = 18, 18

// address is where the servers of a lab live. Linux routes all of 127/8 to
// the machine itself.
func address(host, port int) string { return fmt.Sprintf("127.0.53.%d:%d", host, port) }

// freePort finds a port that is free at all addresses of the lab, below the
// range from which the kernel gives ports to clients.
func freePort() (int, error) {
	for range 100 {
		if port := 20000 + rand.IntN(12000); free(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port found that is free at 127.0.53.1 to 127.0.53.%d: is all of 127.0.0.0/8 loopback here?", lastHost)
}

func free(port int) bool {
	for host := 0; host <= lastHost; host++ {
		at := address(host, port)
		if host == 0 {
			at = bindAddress(port)
		}
		tcp, err := net.Listen("tcp", at)
		if err != nil {
			return false
		}
		defer tcp.Close()
		udp, err := net.ListenPacket("udp", at)
		if err != nil {
			return false
		}
		defer udp.Close()
	}
	return true
}

func (l *Lab) servers() []*server {
	all := append([]*server{l.p1, l.p2, l.c1, l.c2, l.validator}, l.oracles.resolvers...)
	if l.frontEnd != nil {
		all = append(all, l.frontEnd)
	}
	return all
}

// build fills the databases, then starts the servers, then waits.
func (l *Lab) build(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		l.startDatabase, l.configure, l.loadChildren, l.loadParent, l.startNameServers, l.transferAll, l.startValidator, l.awaitSecure,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) configure(ctx context.Context) error {
	for _, s := range l.servers() {
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			return fmt.Errorf("making the folder of %s: %w", s.name, err)
		}
	}
	var err error
	l.programs.validator, err = unconfined(l.programs.validator, filepath.Join(l.validator.dir, "unbound"), "/etc/apparmor.d/usr.sbin.unbound")
	if err != nil {
		return err
	}
	followers := make(map[*server]*server)
	for _, s := range []*server{l.p2, l.c2} {
		if err := s.makeRelays(); err != nil {
			return err
		}
		followers[s.primary] = s
	}
	for _, s := range []*server{l.p1, l.p2, l.c1, l.c2} {
		if s == l.p1 && l.options.BIND {
			if err := l.configureBIND(); err != nil {
				return err
			}
			continue
		}
		s.backend = l.sqliteBackend(s)
		if s == l.c1 {
			s.backend = l.backendOf(s)
		}
		s.command, s.direct = l.serverCommand(s), s == l.c1 && l.options.Direct
		if err := errors.Join(s.configure(l.programs.modules, followers[s]), l.createDatabase(ctx, s)); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) makeRelays() (err error) {
	if s.relay, err = newTransferRelay(s.primary.addr, s.addr); err == nil && s.behind != "" {
		s.front, err = newFrontRelay(s.addr, s.behind)
	}
	return err
}

func (l *Lab) serverCommand(s *server) []string {
	return append(slices.Clone(l.programs.server), "--config-dir="+s.dir, "--daemon=no", "--guardian=no", "--write-pid=no")
}

func (l *Lab) startNameServers(ctx context.Context) error {
	for _, s := range []*server{l.p1, l.p2, l.c1, l.c2} {
		if err := l.launch(s); err != nil {
			return err
		}
	}
	for _, s := range []*server{l.p1, l.p2, l.c1, l.c2} {
		if s == l.p1 && l.options.BIND {
			continue
		}
		if err := l.awaitControl(ctx, s); err != nil {
			return err
		}
	}
	if l.options.BIND {
		return l.awaitSigned(ctx)
	}
	return nil
}

func (l *Lab) launch(s *server) error {
	var err error
	s.process, err = l.nursery.start(s.command, s.log())
	return err
}

// awaitControl waits until a PowerDNS takes orders. Asking it for zones
// earlier could leave it with a cached "no such zone".
func (l *Lab) awaitControl(ctx context.Context, s *server) error {
	return poll(ctx, 10*time.Millisecond, func() error {
		return errors.Join(s.check(), l.ctl(ctx, s, "rping"))
	})
}

// transferAll fills the secondaries and waits for signed answers everywhere.
func (l *Lab) transferAll(ctx context.Context) error {
	if err := l.follow(ctx, l.p2, l.options.Parent); err != nil {
		return err
	}
	return l.followAll(ctx, l.c2, l.zoneNames())
}

// Stop ends every server, waits until they are gone, and removes the folder.
// It may be called again, and then does nothing.
func (l *Lab) Stop() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return nil
	}
	l.stopped = true
	errs := make(chan error)
	for _, s := range l.servers() {
		go func() { errs <- s.stop() }()
	}
	var all []error
	for range l.servers() {
		all = append(all, <-errs)
	}
	for _, s := range []*server{l.p2, l.c2} {
		all = append(all, s.relay.close(), s.front.close())
	}
	all = append(all, l.database.close())
	l.nursery.close()
	all = append(all, l.oracles.sink.close())
	if err := os.RemoveAll(l.Dir); err != nil {
		all = append(all, fmt.Errorf("removing the folder of the lab: %w", err))
	}
	return errors.Join(all...)
}

func (s *server) stop() error {
	if s.process == nil {
		return nil
	}
	err := s.process.stop()
	s.process, s.paused = nil, false
	return err
}

// Port is the port that every server of the lab listens on.
func (l *Lab) Port() int { return l.port }

// Parent is the name of the parent zone.
func (l *Lab) Parent() string { return l.options.Parent }

// ParentServers are the two servers of the parent zone, "ip:port", the
// primary first.
func (l *Lab) ParentServers() []string { return []string{l.p1.addr, l.p2.addr} }

// ChildServers are the two servers of the child zones, the primary first.
func (l *Lab) ChildServers() []string { return []string{l.c1.addr, l.c2.addr} }

// Validator is the validating resolver, "ip:port".
func (l *Lab) Validator() string { return l.validator.addr }

// ChildConfigDir is the --config-dir of the children's primary.
func (l *Lab) ChildConfigDir() string { return l.c1.dir }

// ParentConfigDir is the --config-dir of the parent's primary.
func (l *Lab) ParentConfigDir() string { return l.p1.dir }

// ChildPdnsutil is the command that runs pdnsutil, without any argument.
func (l *Lab) ChildPdnsutil() []string { return slices.Clone(l.programs.util) }

// ChildControl is the command that runs pdns_control, without any argument.
func (l *Lab) ChildControl() []string { return slices.Clone(l.programs.control) }

// PauseServer makes the server at an address deaf without closing its
// sockets: questions to it time out.
func (l *Lab) PauseServer(addr string) error { return l.signal(addr, syscall.SIGSTOP) }

// ResumeServer ends a pause. Questions asked meanwhile are still answered.
func (l *Lab) ResumeServer(addr string) error { return l.signal(addr, syscall.SIGCONT) }

func (l *Lab) signal(addr string, sig syscall.Signal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.at(addr)
	if err != nil {
		return err
	}
	return s.signal(sig)
}

// StopServer ends the server at an address: its port is closed afterwards.
func (l *Lab) StopServer(addr string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.at(addr)
	if err != nil {
		return err
	}
	return s.stop()
}

// StartServer starts a server that StopServer ended and waits until it
// answers for all its zones.
func (l *Lab) StartServer(ctx context.Context, addr string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.at(addr)
	if err != nil {
		return err
	}
	if s.process != nil {
		return fmt.Errorf("%s on %s is already running", s.name, addr)
	}
	if err := l.launch(s); err != nil {
		return err
	}
	zones := []string{l.options.Parent}
	if s == l.c1 || s == l.c2 || s == l.frontEnd {
		zones = l.zoneNames()
	}
	return poll(ctx, 10*time.Millisecond, func() error {
		for _, zone := range zones {
			if _, _, err := l.serial(ctx, s, zone); err != nil {
				return errors.Join(s.check(), err)
			}
		}
		return nil
	})
}

func (l *Lab) at(addr string) (*server, error) {
	if l.stopped {
		return nil, errors.New("the lab is stopped")
	}
	for _, s := range l.servers() {
		if s.addr == addr {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no server of the lab is at %s; its port is %d", addr, l.port)
}
