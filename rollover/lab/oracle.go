package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Verdict is what a validator holds of an answer (RFC 4035 section 4.3).
type Verdict string

// The verdicts. Indeterminate is an answer that was not to be had.
const (
	Secure        Verdict = "secure"
	Insecure      Verdict = "insecure"
	Bogus         Verdict = "bogus"
	Indeterminate Verdict = "indeterminate"
)

// oracles are what a lab of StartBroken has beyond others: resolvers that see
// only one server of the children, so that the fault of one server shows.
type oracles struct {
	resolvers []*server
	via       map[string]view // by the server of the children; "": any of them
	strict    *server
	sink      *sink
}

// view is the world through one server of the children: a resolver that
// validates, and one that does not. delv asks the latter, because it asks
// without CD at first and cannot judge a SERVFAIL.
type view struct{ validating, plain *server }

func (l *Lab) newOracles(sink *sink) oracles {
	o := oracles{sink: sink, strict: l.newServer("strict", 10), via: map[string]view{
		"":        {l.validator, l.newServer("plain", 11)},
		l.c1.addr: {l.newServer("c1-validating", 12), l.newServer("c1-plain", 13)},
		l.c2.addr: {l.newServer("c2-validating", 14), l.newServer("c2-plain", 15)},
		sink.addr: {l.newServer("sink-validating", 16), l.newServer("sink-plain", 17)},
	}}
	o.resolvers = []*server{o.strict, o.via[""].plain}
	for _, addr := range []string{l.c1.addr, l.c2.addr, sink.addr} {
		o.resolvers = append(o.resolvers, o.via[addr].validating, o.via[addr].plain)
	}
	return o
}

// MissingForOracles names the Debian packages that must be installed for a
// lab with oracles, none if all is there.
func MissingForOracles() []string {
	found, missing := findPrograms("", "")
	if found.delv == nil {
		missing = append(missing, "bind9-dnsutils")
	}
	return missing
}

// Resolver is the validating resolver that asks only one server of the
// children, or any of them if server is empty.
func (l *Lab) Resolver(server string) (string, error) {
	if server == "" {
		return l.validator.addr, nil
	}
	view, ok := l.oracles.via[server]
	if !ok {
		return "", fmt.Errorf("no resolver of the lab asks only %s", server)
	}
	return view.validating.addr, nil
}

// StrictResolver is a resolver with harden-algo-downgrade: it wants signatures
// of every algorithm that is in the DS set. Only labs of StartBroken have one.
func (l *Lab) StrictResolver() string {
	if l.oracles.strict == nil {
		return ""
	}
	return l.oracles.strict.addr
}

// TrustAnchors are the DS records of the parent zone, in presentation format.
func (l *Lab) TrustAnchors(ctx context.Context) ([]string, error) {
	return l.exportDS(ctx, l.p1, l.options.Parent)
}

// Unbound has Unbound validate, which sees only one server of the children, or
// all if server is empty. The text is the rcode with the extended error.
func (l *Lab) Unbound(ctx context.Context, server, name string, qtype uint16) (Verdict, string, error) {
	resolver, err := l.Resolver(server)
	if err != nil {
		return "", "", err
	}
	return UnboundAt(ctx, resolver, name, qtype)
}

// UnboundAt has the resolver at an address of the lab validate.
func UnboundAt(ctx context.Context, resolver, name string, qtype uint16) (Verdict, string, error) {
	answer, err := askPatiently(ctx, resolver, newQuestion(name, qtype))
	if err != nil {
		return "", "", err
	}
	text := reason(answer)
	switch {
	case answer.AuthenticatedData:
		return Secure, text, nil
	case answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError:
		return Insecure, text, nil
	}
	question := newQuestion(name, qtype)
	question.CheckingDisabled = true
	unchecked, err := askPatiently(ctx, resolver, question)
	if err != nil {
		return "", "", err
	}
	if unchecked.Rcode == dns.RcodeSuccess || unchecked.Rcode == dns.RcodeNameError {
		return Bogus, text, nil
	}
	return Indeterminate, text, nil
}

// askPatiently asks a resolver as users do, again when it takes too long: it
// may have to find out first that a server does not answer.
func askPatiently(ctx context.Context, resolver string, question *dns.Msg) (*dns.Msg, error) {
	answer, err := exchange(ctx, resolveTime, resolver, question)
	if err != nil {
		answer, err = exchange(ctx, resolveTime, resolver, question)
	}
	return answer, err
}

// Delv has BIND's delv validate, with the parent's key as its trust anchor. It
// fetches everything through a resolver that does not validate and sees only
// one server of the children, or all if server is empty. The text is its
// output. Only labs of StartBroken can do that.
func (l *Lab) Delv(ctx context.Context, server, name string, qtype uint16) (Verdict, string, error) {
	view, ok := l.oracles.via[server]
	if !ok {
		return "", "", fmt.Errorf("delv has no resolver that asks only %q", server)
	}
	_, port, err := net.SplitHostPort(view.plain.addr)
	if err != nil {
		return "", "", fmt.Errorf("running delv: %w", err)
	}
	out, err := runDelv(ctx, append(l.programs.delv[:len(l.programs.delv):len(l.programs.delv)],
		"-4", "@"+view.plain.ip(), "-p", port,
		"-b", view.plain.ip(), // from here the kernel reaches loopback only
		"-a", l.anchorFile(), "+root="+bare(l.options.Parent),
		"-q", dns.Fqdn(name), "-t", dns.TypeToString[qtype]))
	if err != nil {
		return "", out, err
	}
	verdict, err := delvVerdict(out)
	return verdict, out, err
}

// runDelv returns all that delv printed. Its exit code says nothing that the
// output does not.
func runDelv(ctx context.Context, words []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (ctx.Err() != nil || !errors.As(err, &exit)) {
		return string(out), fmt.Errorf("running %q: %w", words, err)
	}
	return string(out), nil
}

// delvVerdict reads delv's output. It comments on every RRset of an answer:
// one that is unsigned makes the whole insecure.
func delvVerdict(out string) (Verdict, error) {
	failure := ""
	if _, after, ok := strings.Cut(out, ";; resolution failed: "); ok {
		failure, _, _ = strings.Cut(after, "\n")
	}
	switch {
	case failure != "" && !strings.HasPrefix(failure, "ncache "):
		return delvFailure(out, failure), nil
	case strings.Contains(out, "unsigned answer"):
		return Insecure, nil
	case strings.Contains(out, "fully validated"):
		return Secure, nil
	}
	return "", fmt.Errorf("no verdict in what delv printed: %q", out)
}

// delvFailure tells answers that do not validate from those that did not come.
func delvFailure(out, failure string) Verdict {
	switch failure {
	case "SERVFAIL", "REFUSED", "timed out", "failure":
		return Indeterminate
	}
	return Bogus
}

// anchorFile is the trust anchor in the language of BIND.
func (l *Lab) anchorFile() string { return filepath.Join(l.Dir, "anchors") }

func (l *Lab) writeAnchors(anchors []string) error {
	var b strings.Builder
	b.WriteString("trust-anchors {\n")
	for _, ds := range anchors {
		words := strings.Fields(ds)
		fmt.Fprintf(&b, "  %q static-ds %s %s %s %q;\n", l.options.Parent, words[0], words[1], words[2], strings.Join(words[3:], ""))
	}
	b.WriteString("};\n")
	return writeFile(l.anchorFile(), b.String())
}

// startOracles starts the resolvers that see only one server, all with the
// same zones.
func (l *Lab) startOracles(ctx context.Context, stubs []stub) error {
	anchors, err := l.TrustAnchors(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(l.writeAnchors(anchors), writeFile(l.AnchorFile(), anchorFile(l.options.Parent, anchors))); err != nil {
		return err
	}
	if err := l.launchResolver(l.oracles.strict, anchors, stubs, "harden-algo-downgrade: yes"); err != nil {
		return err
	}
	for server, view := range l.oracles.via {
		seen, more := stubs, []string(nil)
		if server != "" {
			seen = only(server, stubs)
		}
		if l.oracles.sink != nil && server == l.oracles.sink.addr {
			// Nobody has to be waited for here: give up after 100 and 200 ms.
			more = append(more, "outbound-msg-retry: 2", "unknown-server-time-limit: 100")
		}
		err := errors.Join(
			l.launchResolver(view.validating, anchors, seen, more...),
			l.launchResolver(view.plain, nil, seen, append(slices.Clone(more), `module-config: "iterator"`)...))
		if err != nil {
			return err
		}
	}
	return nil
}

// only leaves a resolver no choice but one server, the parent's apart: it
// believes that the server has every zone.
func only(server string, stubs []stub) []stub {
	stubs = slices.Clone(stubs)
	for i := range stubs[1:] {
		stubs[i+1].servers = []string{server}
	}
	return stubs
}

// sink is a server that takes questions and never answers, as behind a
// firewall that drops them.
type sink struct {
	addr string
	tcp  net.Listener
	udp  net.PacketConn
}

func newSink(addr string) (*sink, error) {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("making a server that never answers: %w", err)
	}
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a server that never answers: %w", err), tcp.Close())
	}
	return &sink{addr: addr, tcp: tcp, udp: udp}, nil
}

func (s *sink) close() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.tcp.Close(), s.udp.Close())
}
