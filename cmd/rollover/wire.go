package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"rollover/pdns"
	"rollover/rollover"
	"rollover/rollover/probe"
	"rollover/rollover/product"
	"rollover/store"
)

// mouth is what the commands share: where they speak to.
type mouth struct {
	ctx      context.Context
	out, err io.Writer
}

// world is the memory, the hands and the eyes of one run, given to an engine.
type world struct {
	config config
	db     *store.DB
	tool   *pdns.Tool
	probe  *probe.Client
	engine *rollover.Engine
	heard  []rollover.Event // that are to be told outside
	turn   sync.Mutex       // of drivers that change zones by pdnsutil
	err    io.Writer        // for what must not get lost, such as where this program failed

	resolver *rollover.ResolverFault // as the last tick found it, nil for none
	spared   []string                // zones that wait for want of resolvers: they are only counted
}

// looksAtOnce is how many zones are looked at side by side, by advance and by
// check. Each server is asked a limited number of questions at once whatever this is.
const looksAtOnce = 64

// open wires a run together from the configuration; nothing is touched yet.
func (m *mouth) open(c *cli.Context) (*world, error) {
	w, err := m.openFile(c.String("config"), c.String("state"))
	if err == nil && !c.Bool("quiet") {
		w.tool.Waiting = m.waiting()
	}
	return w, err
}

// openFile is open for a configuration file and, if not empty, a state file.
func (m *mouth) openFile(path, state string) (*world, error) {
	config, err := loadConfig(path)
	if err != nil {
		return nil, err
	}
	if state != "" {
		config.State = state
	}
	anchors, err := loadAnchors(config.DNS.TrustAnchors)
	if err != nil {
		return nil, err
	}
	dontQuery, err := parseNetworks("dns.dont_query", config.DNS.DontQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConfig, err)
	}
	w := &world{config: config, db: store.At(config.State), err: m.err}
	w.tool = &pdns.Tool{
		Command: config.Pdnsutil.Command, Control: config.Pdnsutil.Control, FrontEnds: config.Pdnsutil.Controls, Shells: config.Pdnsutil.Shells,
		ConfigDir: config.Pdnsutil.ConfigDir, ConfigName: config.Pdnsutil.ConfigName, Timeout: time.Duration(config.Pdnsutil.Timeout), Serial: config.Pdnsutil.Serial,
		LongTimeout: time.Duration(config.Pdnsutil.Long), Slots: make(chan struct{}, max(2, runtime.NumCPU())), LongSlots: make(chan struct{}, max(1, runtime.NumCPU()-1)),
		After: time.After,
	}
	w.probe = &probe.Client{
		Resolvers: config.DNS.Resolvers, Validators: config.DNS.Validators, Timeout: time.Duration(config.DNS.Timeout), LookTimeout: time.Duration(config.DNS.LookTimeout), Now: readClocks, Anchors: anchors,
		DontQuery: dontQuery,
	}
	w.engine = &rollover.Engine{
		Signer: w.tool, Observer: w.probe, Journal: w.db, Setting: w.setting, Product: product.Check, Now: readClocks, Workers: runtime.NumCPU(), Looks: looksAtOnce, After: time.After, MaxLag: time.Duration(config.Pdnsutil.MaxLag),
	}
	return w, nil
}

// waiting tells a person at a terminal what takes its time; nobody else, for cron
// would send a mail.
func (m *mouth) waiting() func(doing string, sofar time.Duration) {
	if !m.terminal() {
		return nil
	}
	return func(doing string, sofar time.Duration) {
		fmt.Fprintf(m.err, "rollover: %s, %d s so far\n", doing, int(sofar.Seconds()))
	}
}

// terminal says whether a person reads standard error as it comes.
func (m *mouth) terminal() bool {
	to := m.err
	if p, ok := to.(printable); ok {
		to = p.to
	}
	f, ok := to.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (w *world) close() {
	w.probe.Close()
}

// lockWait is how long a command of a person waits for a running advance.
const lockWait = 20 * time.Second

// lock takes the lock of the state, which the commands of PowerDNS inherit: a
// pdnsutil that is still at work after we were killed must not be joined by
// another one, which would not see its change coming.
func (w *world) lock() (unlock func() error, err error) {
	lock, err := store.Lock(w.config.State)
	if err != nil {
		return nil, err
	}
	w.tool.Inherit = lock.File()
	return func() error {
		w.tool.Inherit = nil
		return lock.Unlock()
	}, nil
}

// locked runs f while no advance can run.
func (w *world) locked(ctx context.Context, f func() error) (err error) {
	unlock, err := w.lock()
	for waited := time.Duration(0); isBusy(err) && waited < lockWait; waited += lockPoll {
		if err := pause(ctx, lockPoll); err != nil {
			return err
		}
		unlock, err = w.lock()
	}
	if err != nil {
		return err
	}
	defer func() {
		if unlocked := unlock(); err == nil {
			err = unlocked
		}
	}()
	return f()
}

const lockPoll = 200 * time.Millisecond

// pause waits, or returns the cause when the run is to end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("interrupted; no rollover is stopped by that: %w", context.Cause(ctx))
	case <-timer.C:
		return nil
	}
}
