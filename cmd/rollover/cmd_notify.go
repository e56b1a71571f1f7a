package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
	"rollover/store"
)

func (m *mouth) notifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "notify",
		Usage:     "what was told outside and is not over, what waits to be told; --test tries every channel",
		ArgsUsage: "[ZONE]",
		Flags:     []cli.Flag{zoneFlag(), &cli.BoolFlag{Name: "test", Usage: "send a test by every channel that is configured"}},
		Action:    m.notify,
	}
}

func (m *mouth) notify(c *cli.Context) error {
	names, err := zones(c)
	if err != nil {
		return err
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	channels := w.config.Notify.channels()
	if len(channels) == 0 {
		return w.noChannel()
	}
	if c.Bool("test") {
		return m.notifyTest(c, channels, append(names, "example.com.")[0])
	}
	box, err := store.Outbox(w.config.State)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return m.json(map[string]any{"schema": 1, "open": box.Open, "pending": box.Pending, "channels": box.Channels})
	}
	m.outboxText(box, channels)
	return nil
}

// notifyTest tries each channel once and says how it went.
func (m *mouth) notifyTest(c *cli.Context, channels []channel, zone string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "a host without a name"
	}
	now := time.Now().UTC()
	n := rollover.Notice{
		Schema: 1, ID: fmt.Sprintf("%s/%s/%d", zone, rollover.NoticeTest, now.UnixNano()), Event: rollover.NoticeTest, Zone: zone, Type: "test", Method: "test",
		At: now, Text: "this is a test of the notifications of rollover on " + host + "; nothing has happened", Add: []string{}, Remove: []string{}, Findings: []rollover.Finding{},
	}
	var failed error
	for _, ch := range channels {
		if err := ch.notify(c.Context, n); err != nil {
			failed = errors.Join(errTold, rollover.ErrRefused)
			fmt.Fprintf(m.err, "rollover: %s failed: %s\n", ch.name, plain(err.Error()))
			continue
		}
		m.say(c, "%s ok", ch.name)
	}
	return failed
}

func (m *mouth) outboxText(box rollover.Outbox, channels []channel) {
	for _, ch := range channels {
		state := "ok"
		if s, ok := box.Channels[ch.name]; ok {
			state = fmt.Sprintf("fails since %s, tried again after %s: %s", stamp(s.Since), stamp(s.Next), s.Text)
		}
		fmt.Fprintf(m.out, "%-10s %s\n", ch.name, plain(state))
	}
	for _, t := range box.Open {
		fmt.Fprintf(m.out, "open       %s %s%s since %s, told again after %s\n", t.Notice.Zone, t.Notice.Event, foundBy(t.Notice), stamp(t.Notice.At), stamp(t.Next))
	}
	for _, d := range box.Pending {
		fmt.Fprintf(m.out, "waiting    %s %s for %q since %s\n", d.Notice.Zone, d.Notice.Event, d.Channels, stamp(d.Queued))
	}
}

// foundBy names who tells again what is open, if it is not advance.
func foundBy(n rollover.Notice) string {
	if n.Source == rollover.SourceCheck {
		return " (" + string(n.Severity) + ", by check)"
	}
	return ""
}
