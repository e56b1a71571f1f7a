package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// answerTime is how long a server on loopback may take to answer.
const answerTime = 2 * time.Second

// ask puts one question with DO set to a server, over UDP, and over TCP if
// the answer is truncated.
func ask(ctx context.Context, addr, name string, qtype uint16) (*dns.Msg, error) {
	return askWithin(ctx, answerTime, addr, name, qtype)
}

func askWithin(ctx context.Context, timeout time.Duration, addr, name string, qtype uint16) (*dns.Msg, error) {
	return exchange(ctx, timeout, addr, newQuestion(name, qtype))
}

func exchange(ctx context.Context, timeout time.Duration, addr string, question *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Net: "udp", Timeout: timeout}
	answer, _, err := client.ExchangeContext(ctx, question, addr)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, question, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s for %s %s: %w", addr, question.Question[0].Name, dns.TypeToString[question.Question[0].Qtype], err)
	}
	return answer, nil
}

func newQuestion(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	m.SetEdns0(1232, true)
	m.AuthenticatedData = true
	return m
}
