package main

import (
	"context"
	"fmt"
	"time"

	"rollover/pdns"
	"rollover/rollover"
	"rollover/rollover/hook"
	"rollover/rollover/parent"
)

// setting is what the configuration says of a zone, with the driver that asks
// its parent.
func (w *world) setting(zone string) rollover.Setting {
	s := w.config.setting(zone)
	ds := w.config.ds(w.config.entry(zone))
	s.Registrar, s.HandOver = w.registrar(ds), time.Duration(*ds.Deadline)
	s.Drivers = func(name string) rollover.Registrar {
		ds.Driver = &name
		if ds.check() != nil {
			return nil // its table is gone: by hand, as status says
		}
		return w.registrar(ds)
	}
	return s
}

// registrar is the driver as it is configured; nil for the operator's hands.
func (w *world) registrar(ds dsConfig) rollover.Registrar {
	switch *ds.Driver {
	case driverExec:
		return &hook.Driver{Program: hook.Program{Command: ds.Exec.Command, Timeout: time.Duration(ds.Exec.Timeout)}}
	case driverNsupdate:
		n := ds.Nsupdate
		return &parent.Nsupdate{
			Server: n.Server, Zone: canonical(n.Zone), TTL: seconds(n.TTL), Timeout: time.Duration(n.Timeout),
			Key: func() (*parent.Key, error) { return readKey(n.KeyFile) }, Ask: w.probe.AskSigned,
		}
	case driverCDS:
		return w.byCDS(*ds.CDS)
	case driverPdnsutil:
		return &pdns.Parent{Tool: w.parentTool(*ds.Pdnsutil), Zone: canonical(ds.Pdnsutil.Zone), TTL: seconds(ds.Pdnsutil.TTL), Turn: &w.turn}
	}
	return nil
}

// byCDS is the driver cds. A zone may signal for others while it is told to
// publish CDS records itself, so that both wait for their turn.
func (w *world) byCDS(c cdsConfig) *parent.CDS {
	zones, _ := c.zones() // what check has let through
	networks, _ := c.networks()
	d := &parent.CDS{
		Publish: func(ctx context.Context, zone string, digests []uint8, cdnskey bool) (bool, error) {
			return inTurn(ctx, w, func() (bool, error) { return w.tool.PublishCDS(ctx, zone, digests, cdnskey) })
		},
		Delete: func(ctx context.Context, zone string, cdnskey bool) (bool, error) {
			return inTurn(ctx, w, func() (bool, error) { return w.tool.PublishDelete(ctx, zone, cdnskey) })
		},
		Show: func(ctx context.Context, zone string) error {
			_, err := inTurn(ctx, w, func() (bool, error) { return true, w.tool.ShowCDS(ctx, zone) })
			return err
		},
		Ask: w.probe.Ask, Proven: w.probe.Proven, ProvenBy: w.probe.ProvenBy,
		CDNSKEY: yes(c.CDNSKEY), Notify: yes(c.Notify), Private: networks,
		Resolvers: w.config.DNS.Resolvers, Validators: w.config.DNS.Validators,
	}
	if asked(c.Signal) {
		signals := &pdns.Signals{Tool: w.tool, Turn: &w.turn, Zones: zones}
		d.Signal, d.Signals = signals.Write, signals.Prepare
	}
	return d
}

// inTurn does something to zones when no other driver does. What comes too late
// for its turn is not begun.
func inTurn(ctx context.Context, w *world, do func() (bool, error)) (bool, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	if ctx.Err() != nil {
		return false, fmt.Errorf("%w: %w", rollover.ErrUnavailable, context.Cause(ctx))
	}
	return do()
}

// parentTool is the PowerDNS of the parent zone: that of the zones, changed by
// what is set for it. Another PowerDNS has other front ends.
func (w *world) parentTool(c parentConfig) *pdns.Tool {
	tool := *w.tool
	if c.other() {
		tool.FrontEnds = c.Controls
	}
	if len(c.Command) > 0 {
		tool.Command = c.Command
	}
	if len(c.Control) > 0 {
		tool.Control = c.Control
	}
	if c.ConfigDir != "" {
		tool.ConfigDir = c.ConfigDir
	}
	if c.ConfigName != "" {
		tool.ConfigName = c.ConfigName
	}
	return &tool
}

// canonical is a zone name that checkParent has let through, or nothing.
func canonical(name string) string {
	if name == "" {
		return ""
	}
	zone, err := parseZone(name)
	if err != nil {
		return ""
	}
	return zone
}

func seconds(d duration) uint32 { return uint32(time.Duration(d) / time.Second) }

// readKey reads a TSIG key; no error tells any of its text.
func readKey(path string) (*parent.Key, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	key, err := parent.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
