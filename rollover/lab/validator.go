package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// startValidator starts Unbound with the parent's key as its only trust
// anchor. Whom to ask is told zone by zone, since the NS records cannot name
// the port; it asks nobody else.
func (l *Lab) startValidator(ctx context.Context) error {
	anchors, err := l.anchors(ctx)
	if err != nil {
		return err
	}
	if err := writeFile(l.AnchorFile(), anchorFile(l.options.Parent, anchors)); err != nil {
		return err
	}
	if err := l.writeAnchors(anchors); err != nil {
		return err
	}
	stubs := []stub{{l.options.Parent, l.ParentServers()}}
	for _, z := range l.options.Zones {
		stubs = append(stubs, stub{z.Name, l.ChildServers()})
	}
	var more []string
	if l.options.Strict {
		more = append(more, "harden-algo-downgrade: yes")
	}
	return l.launchResolver(l.validator, anchors, stubs, more...)
}

// stub tells a resolver which servers to ask for a zone.
type stub struct {
	zone    string
	servers []string // ip:port
}

// launchResolver starts an Unbound that is confined to the servers of its
// stubs. more are further settings.
func (l *Lab) launchResolver(s *server, anchors []string, stubs []stub, more ...string) error {
	file := filepath.Join(s.dir, "unbound.conf")
	if err := writeFile(file, l.resolverConfig(s, anchors, stubs, more)); err != nil {
		return err
	}
	s.command = append(l.programs.validator[:len(l.programs.validator):len(l.programs.validator)], "-d", "-p", "-c", file)
	return l.launch(s)
}

func (l *Lab) anchors(ctx context.Context) ([]string, error) {
	if l.options.BIND {
		return l.bindAnchors(ctx)
	}
	return l.exportDS(ctx, l.p1, l.options.Parent)
}

// AnchorFile is a file with the DS records of the parent zone in zone-file
// form, the only trust anchor of the lab.
func (l *Lab) AnchorFile() string { return filepath.Join(l.Dir, "anchors.zone") }

func anchorFile(zone string, records []string) string {
	var b strings.Builder
	for _, ds := range records {
		fmt.Fprintf(&b, "%s IN DS %s\n", zone, ds)
	}
	return b.String()
}

func (l *Lab) resolverConfig(s *server, anchors []string, stubs []stub, more []string) string {
	var b strings.Builder
	parent := l.options.Parent
	fmt.Fprintf(&b, "server:\n")
	for _, setting := range append([]string{
		"interface: " + s.ip(),
		fmt.Sprintf("port: %d", l.port),
		"outgoing-interface: " + s.ip(), // from here the kernel reaches loopback only
		"do-ip6: no",
		"do-not-query-localhost: no",
		"access-control: 127.0.0.0/8 allow",
		`local-zone: "." refuse`,
		fmt.Sprintf("local-zone: %q transparent", parent),
		`username: ""`,
		`chroot: ""`,
		fmt.Sprintf("directory: %q", s.dir),
		`pidfile: ""`,
		`logfile: ""`,
		"use-syslog: no",
		"num-threads: 1",
		"ede: yes",
		"aggressive-nsec: no", // random names shall be asked for, not denied by what is known
		`module-config: "validator iterator"`,
	}, more...) {
		fmt.Fprintf(&b, "  %s\n", setting)
	}
	for _, ds := range anchors {
		fmt.Fprintf(&b, "  trust-anchor: %q\n", parent+" DS "+ds)
	}
	fmt.Fprintf(&b, "remote-control:\n  control-enable: yes\n  control-interface: %q\n  control-use-cert: no\n", filepath.Join(s.dir, "control"))
	for _, stub := range stubs {
		fmt.Fprintf(&b, "stub-zone:\n  name: %q\n", stub.zone)
		for _, addr := range stub.servers {
			fmt.Fprintf(&b, "  stub-addr: %s\n", strings.Replace(addr, ":", "@", 1))
		}
	}
	return b.String()
}

// awaitSecure waits until the validator finds every signed zone secure.
func (l *Lab) awaitSecure(ctx context.Context) error {
	names := []string{l.options.Parent}
	for _, z := range l.options.Zones {
		if z.Layout != Unsigned {
			names = append(names, z.Name)
		}
	}
	for _, name := range names {
		err := poll(ctx, 20*time.Millisecond, func() error {
			answer, err := ask(ctx, l.validator.addr, name, dns.TypeSOA)
			if err == nil && !answer.AuthenticatedData {
				err = fmt.Errorf("the validator does not find %s secure: %s", name, dns.RcodeToString[answer.Rcode])
			}
			return errors.Join(l.validator.check(), err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// FlushValidator empties the caches of the validator, and of the other
// resolvers if there are any.
func (l *Lab) FlushValidator(ctx context.Context) error {
	for _, s := range append([]*server{l.validator}, l.oracles.resolvers...) {
		command := append(l.programs.validatorAgent[:len(l.programs.validatorAgent):len(l.programs.validatorAgent)],
			"-c", filepath.Join(s.dir, "unbound.conf"))
		for _, order := range [][]string{{"flush_zone", l.options.Parent}, {"flush_bogus"}, {"flush_infra", "all"}} {
			if _, err := run(ctx, append(command[:len(command):len(command)], order...)); err != nil {
				return err
			}
		}
	}
	return nil
}
