package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
	"rollover/rollover/hook"
	"rollover/store"
)

// notifyBudget is how long one run may spend on telling: it holds the lock, and
// a rollover must not wait for a mail server. What is left is told by the next run.
const notifyBudget = 15 * time.Second

// channel is one way of telling.
type channel struct {
	name   string
	notify func(context.Context, rollover.Notice) error
}

// channels are the ways of telling that are configured.
func (n notifyConfig) channels() []channel {
	var out []channel
	if len(n.Exec.Command) > 0 {
		e := &hook.Exec{Program: hook.Program{Command: n.Exec.Command, Timeout: time.Duration(n.Exec.Timeout)}}
		out = append(out, channel{"exec", e.Notify})
	}
	if n.Webhook.URL != "" || n.Webhook.URLFile != "" {
		w := &hook.Webhook{URL: n.Webhook.address, Secret: n.Webhook.secret, Timeout: time.Duration(n.Webhook.Timeout), Now: time.Now}
		out = append(out, channel{"webhook", w.Notify})
	}
	if len(n.Sendmail.To) > 0 {
		s := &hook.Sendmail{
			Program: hook.Program{Command: n.Sendmail.Command, Timeout: time.Duration(n.Sendmail.Timeout)},
			To:      n.Sendmail.To, From: n.Sendmail.From, Now: time.Now,
		}
		out = append(out, channel{"sendmail", s.Notify})
	}
	return out
}

// address is the address of the webhook, which may be a secret of its own.
func (w webhookConfig) address() (string, error) {
	if w.URLFile == "" {
		return w.URL, nil
	}
	text, err := readSecret(w.URLFile)
	return strings.TrimSpace(string(text)), err
}

func (w webhookConfig) secret() ([]byte, error) {
	if w.SecretFile == "" {
		return nil, nil
	}
	text, err := readSecret(w.SecretFile)
	return []byte(strings.TrimSpace(string(text))), err
}

// hear prints events, and keeps them for deliver.
func (m *mouth) hear(c *cli.Context, w *world) func(rollover.Event) {
	show := m.transitions(c)
	return func(e rollover.Event) {
		w.heard = append(w.heard, e)
		show(e)
	}
}

// deliver tells outside what happened, what is so with the zones that were
// worked on, and what is due to be told again. It runs under the lock and comes
// last; whatever goes wrong is said and changes nothing.
func (m *mouth) deliver(c *cli.Context, w *world, zones []string) {
	channels := w.config.Notify.channels()
	if len(channels) == 0 {
		return
	}
	if err := m.tellOutside(c.Context, w, channels, zones); err != nil {
		fmt.Fprintf(m.err, "rollover: %v; rollovers go on\n", err)
	}
}

func (m *mouth) tellOutside(ctx context.Context, w *world, channels []channel, zones []string) error {
	var failed error // of single zones: what there is to tell of the others is told
	err := m.post(ctx, w, channels, func(box *rollover.Outbox, queue func(rollover.Notice)) error {
		worth, err := w.worthALook(*box, zones)
		if err == nil {
			failed = w.fill(box, worth, queue)
		}
		return err
	})
	return errors.Join(err, failed)
}

// post has something queued, and delivers what is due. What is to be told is
// kept before it is told: a run that dies has it told later. While it is told
// nothing is locked, so that no other run waits for a mail server; what this one
// has taken no other one tells.
func (m *mouth) post(ctx context.Context, w *world, channels []channel, fill func(*rollover.Outbox, func(rollover.Notice)) error) error {
	names := make([]string, len(channels))
	for i, c := range channels {
		names[i] = c.name
	}
	var taken map[string][]rollover.Notice
	damage, err := store.UpdateOutbox(w.config.State, func(box *rollover.Outbox) error {
		box.Rewind(time.Now(), time.Duration(w.config.Notify.Repeat))
		err := fill(box, func(n rollover.Notice) {
			step := n.Event == rollover.NoticeRescued && slices.Contains(w.config.Notify.Events, rollover.NoticeStep) // as it was told once
			if step || slices.Contains(w.config.Notify.Events, n.Event) {
				box.Queue(n, names, time.Now())
			}
		})
		taken = box.Take(names, time.Now())
		return err
	})
	if damage != nil {
		fmt.Fprintf(m.err, "rollover: %v\n", damage)
	}
	if err != nil || len(slices.Concat(slices.Collect(maps.Values(taken))...)) == 0 {
		return err
	}
	results := send(ctx, taken, channels)
	_, err = store.UpdateOutbox(w.config.State, func(box *rollover.Outbox) error {
		m.note(box, results)
		box.Give(taken)
		return nil
	})
	return err
}

// deliverCheckups tells outside what check found, and what came to be well. No
// rollover waits for it: it takes no lock but that of the notifications. Whatever
// goes wrong is said, and the verdict of check stays what it is.
func (m *mouth) deliverCheckups(ctx context.Context, w *world, checkups []rollover.Checkup, looked time.Time) {
	err := m.tellCheckups(ctx, w, checkups, looked)
	if err != nil {
		fmt.Fprintf(m.err, "rollover: nothing is told outside: %v\n", err)
	}
}

func (m *mouth) tellCheckups(ctx context.Context, w *world, checkups []rollover.Checkup, looked time.Time) error {
	channels := w.config.Notify.channels()
	switch {
	case len(channels) == 0:
		return w.noChannel()
	case !slices.Contains(w.config.Notify.Events, rollover.NoticeCheckFailed):
		return fmt.Errorf("%w: %s: %s is not among the events of [notify]", errConfig, w.config.path, rollover.NoticeCheckFailed)
	case ctx.Err() != nil: // what was not looked at then says nothing of a zone
		return context.Cause(ctx)
	}
	return m.post(ctx, w, channels, func(box *rollover.Outbox, queue func(rollover.Notice)) error {
		for _, n := range box.SettleCheckups(checkups, looked, time.Duration(w.config.Notify.Repeat)) {
			queue(n)
		}
		return nil
	})
}

// noChannel says that nothing can be told.
func (w *world) noChannel() error {
	return fmt.Errorf("%w: %s: no notification is configured: set notify.exec.command, notify.webhook.url or notify.sendmail.to", errConfig, w.config.path)
}

// fill queues what there is to tell of rollovers. A zone that it cannot be known
// of keeps the others from nothing.
func (w *world) fill(box *rollover.Outbox, zones []string, queue func(rollover.Notice)) error {
	heard := w.heard
	w.heard = nil
	var failed error
	for _, n := range box.Settle(rollover.MachineZone, w.machineConditions(), time.Now(), time.Duration(w.config.Notify.Repeat)) {
		queue(n)
	}
	zones = slices.DeleteFunc(zones, func(zone string) bool { return zone == rollover.MachineZone })
	for _, zone := range zones {
		failed = errors.Join(failed, w.fillOne(box, zone, heard, queue))
	}
	return failed
}

func (w *world) fillOne(box *rollover.Outbox, zone string, heard []rollover.Event, queue func(rollover.Notice)) error {
	d, err := w.db.Load(zone)
	if err != nil {
		return err
	}
	for _, e := range heard {
		if n, ok := rollover.NoticeOf(e, d.Roll); ok && e.Zone == zone {
			queue(n)
		}
	}
	if slices.Contains(w.spared, zone) {
		return nil // what is open stays open: nothing was seen
	}
	conditions, err := w.conditions(d)
	if err != nil {
		return err
	}
	for _, n := range box.Settle(zone, conditions, time.Now(), time.Duration(w.config.Notify.Repeat)) {
		queue(n)
	}
	return nil
}

// worthALook is the zones that were worked on, those that need somebody and
// were not told of, and those that are due to be told again.
func (w *world) worthALook(box rollover.Outbox, zones []string) ([]string, error) {
	out := slices.Clone(zones)
	for _, e := range w.heard {
		out = append(out, e.Zone)
	}
	open := box.Zones()
	err := w.db.Headers(func(h store.Header) bool {
		if h.NeedsOperator && !slices.Contains(open, h.Zone) {
			out = append(out, h.Zone)
		}
		return true
	})
	out = append(out, box.Again(time.Now())...)
	slices.Sort(out)
	return slices.Compact(out), err
}

// conditions is what is so with a zone, as far as it is to be told.
func (w *world) conditions(d rollover.Dossier) ([]rollover.Notice, error) {
	if d.Roll == nil {
		return nil, nil
	}
	s, err := w.describe(d)
	if err != nil {
		return nil, err
	}
	all := rollover.Conditions(d, s, time.Duration(w.config.Notify.StuckAfter), time.Now())
	return slices.DeleteFunc(all, func(n rollover.Notice) bool { return !slices.Contains(w.config.Notify.Events, n.Event) }), nil
}

// result is how it went with a channel: what it got, and what kept it from the
// rest.
type result struct {
	channel string
	told    []rollover.Notice
	failure error
}

// send gives each channel what is for it, until it fails or time is up.
func send(ctx context.Context, notices map[string][]rollover.Notice, channels []channel) []result {
	ctx, cancel := context.WithTimeout(ctx, notifyBudget)
	defer cancel()
	out := make([]result, len(channels))
	for i, c := range channels {
		out[i].channel = c.name
		for _, n := range notices[c.name] {
			if ctx.Err() != nil {
				break
			}
			if out[i].failure = c.notify(ctx, n); out[i].failure != nil {
				break
			}
			out[i].told = append(out[i].told, n)
		}
	}
	return out
}

// note keeps how it went, and says what failed.
func (m *mouth) note(box *rollover.Outbox, results []result) {
	for _, r := range results {
		for _, n := range r.told {
			box.Delivered(r.channel, n)
		}
		if r.failure != nil && box.Failed(r.channel, r.failure.Error(), time.Now()) {
			fmt.Fprintf(m.err, "rollover: notification by %s failed: %s; it is tried again, and rollovers go on\n", r.channel, plain(r.failure.Error()))
		}
	}
}
