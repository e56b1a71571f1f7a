package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	s := l.validator
	file := filepath.Join(s.dir, "unbound.conf")
	if err := writeFile(file, l.validatorConfig(anchors)); err != nil {
		return err
	}
	s.command = append(l.programs.validator, "-d", "-p", "-c", file)
	return l.launch(s)
}

func (l *Lab) anchors(ctx context.Context) ([]string, error) {
	if l.options.BIND {
		return l.bindAnchors(ctx)
	}
	return l.exportDS(ctx, l.p1, l.options.Parent)
}

func (l *Lab) validatorConfig(anchors []string) string {
	var b strings.Builder
	parent, s := l.options.Parent, l.validator
	fmt.Fprintf(&b, "server:\n")
	for _, setting := range []string{
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
	} {
		fmt.Fprintf(&b, "  %s\n", setting)
	}
	for _, ds := range anchors {
		fmt.Fprintf(&b, "  trust-anchor: %q\n", parent+" DS "+ds)
	}
	fmt.Fprintf(&b, "remote-control:\n  control-enable: yes\n  control-interface: %q\n  control-use-cert: no\n", filepath.Join(s.dir, "control"))
	stub(&b, parent, l.p1, l.p2)
	for _, z := range l.options.Zones {
		stub(&b, z.Name, l.c1, l.c2)
	}
	return b.String()
}

func stub(b *strings.Builder, zone string, servers ...*server) {
	fmt.Fprintf(b, "stub-zone:\n  name: %q\n", zone)
	for _, s := range servers {
		host, port, _ := net.SplitHostPort(s.addr) // built by us
		fmt.Fprintf(b, "  stub-addr: %s@%s\n", host, port)
	}
}

// awaitSecure waits until the validator finds every zone secure.
func (l *Lab) awaitSecure(ctx context.Context) error {
	for _, name := range append(l.zoneNames(), l.options.Parent) {
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

// FlushValidator empties the caches of the validator.
func (l *Lab) FlushValidator(ctx context.Context) error {
	command := append(l.programs.validatorAgent[:len(l.programs.validatorAgent):len(l.programs.validatorAgent)],
		"-c", filepath.Join(l.validator.dir, "unbound.conf"))
	for _, order := range [][]string{{"flush_zone", l.options.Parent}, {"flush_bogus"}, {"flush_infra", "all"}} {
		if _, err := run(ctx, append(command[:len(command):len(command)], order...)); err != nil {
			return err
		}
	}
	return nil
}
