package main

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"rollover/rollover"
)

// notifyConfig is [notify]: what is told outside, and how.
type notifyConfig struct {
	Events     []string       `toml:"events"`
	Repeat     duration       `toml:"repeat"`
	StuckAfter duration       `toml:"stuck_after"`
	Exec       execConfig     `toml:"exec"`
	Webhook    webhookConfig  `toml:"webhook"`
	Sendmail   sendmailConfig `toml:"sendmail"`
}

type webhookConfig struct {
	URL        string   `toml:"url"`
	URLFile    string   `toml:"url_file"`
	SecretFile string   `toml:"secret_file"`
	Timeout    duration `toml:"timeout"`
}

type sendmailConfig struct {
	Command []string `toml:"command"`
	To      []string `toml:"to"`
	From    string   `toml:"from"`
	Timeout duration `toml:"timeout"`
}

const notifyTimeout = duration(10 * time.Second)

func defaultNotify() notifyConfig {
	return notifyConfig{
		Events: slices.DeleteFunc(rollover.NoticeNames(), func(name string) bool { return name == rollover.NoticeStep }),
		Repeat: duration(day), StuckAfter: duration(2 * day),
		Exec:     execConfig{Command: []string{}, Timeout: notifyTimeout},
		Webhook:  webhookConfig{Timeout: notifyTimeout},
		Sendmail: sendmailConfig{Command: []string{"/usr/sbin/sendmail", "-t", "-i"}, To: []string{}, Timeout: notifyTimeout},
	}
}

func (n notifyConfig) check() error {
	for _, name := range n.Events {
		if !slices.Contains(rollover.NoticeNames(), name) {
			return fmt.Errorf("events: there is no event %q: there are %q", name, rollover.NoticeNames())
		}
	}
	if n.Repeat <= 0 || n.StuckAfter <= 0 {
		return errors.New("repeat and stuck_after must be longer than 0")
	}
	if n.Exec.Timeout < 0 || n.Webhook.Timeout < 0 || n.Sendmail.Timeout < 0 {
		return errors.New("a timeout must be longer than 0")
	}
	if len(n.Exec.Command) > 0 && !filepath.IsAbs(n.Exec.Command[0]) {
		return errors.New("exec.command must begin with the absolute path of a program")
	}
	return errors.Join(n.Webhook.check(), n.Sendmail.check())
}

func (w webhookConfig) check() error {
	if w.URL != "" && w.URLFile != "" {
		return errors.New("webhook: url and url_file are both set")
	}
	if w.URL == "" {
		return nil
	}
	address, err := url.Parse(w.URL)
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
		return errors.New("webhook.url must be an address as https://host/path")
	}
	return nil
}

func (s sendmailConfig) check() error {
	for _, address := range s.To {
		if _, err := mail.ParseAddress(address); err != nil {
			return fmt.Errorf("sendmail.to: %q is not a mail address", address)
		}
	}
	if _, err := mail.ParseAddress(s.From); s.From != "" && err != nil {
		return fmt.Errorf("sendmail.from: %q is not a mail address", s.From)
	}
	if len(s.To) > 0 && (len(s.Command) == 0 || !filepath.IsAbs(s.Command[0])) {
		return errors.New("sendmail.command must begin with the absolute path of a program")
	}
	return nil
}
