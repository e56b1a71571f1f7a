package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
	"rollover/store"
)

// app is the command line.
func (m *mouth) app() *cli.App {
	return &cli.App{
		Name:                 "rollover",
		Usage:                "roll the DNSSEC keys of zones served by PowerDNS, without ever breaking them",
		Writer:               m.out,
		ErrWriter:            io.Discard,
		HideHelpCommand:      true,
		HideVersion:          true,
		EnableBashCompletion: false,
		ExitErrHandler:       func(*cli.Context, error) {},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return usage("%v: options come after the command, as in rollover status --config FILE", err)
		},
		Action: m.noCommand,
		Commands: m.common([]*cli.Command{
			m.startCommand(), m.statusCommand(), m.advanceCommand(), m.planCommand(), m.dsCommand(), m.watchCommand(), m.historyCommand(),
			m.signCommand(), m.unsignCommand(), m.adoptCommand(), m.pauseCommand(), m.resumeCommand(), m.cancelCommand(), m.revertCommand(),
			m.excludeCommand(), m.forgetCommand(), m.notifyCommand(), m.checkCommand(), m.traceCommand(), m.labCommand(), m.versionCommand(),
		}),
	}
}

func (m *mouth) noCommand(c *cli.Context) error {
	if c.Args().Present() {
		names := make([]string, len(c.App.Commands))
		for i, command := range c.App.Commands {
			names[i] = command.Name
		}
		return usage("there is no command %q: there are %s", c.Args().First(), strings.Join(names, ", "))
	}
	return cli.ShowAppHelp(c)
}

// common adds what every command has: the options, and a refusal of operands
// that look like options.
func (m *mouth) common(commands []*cli.Command) []*cli.Command {
	for _, c := range commands {
		c.Flags = append(c.Flags,
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but errors"},
			&cli.StringFlag{Name: "config", Usage: "configuration `FILE`; " + defaultConfig + " if there is one, else built-in defaults"},
			&cli.StringFlag{Name: "state", Usage: "state `FILE`, instead of the configured one"},
		)
		if c.OnUsageError != nil {
			continue
		}
		c.OnUsageError = func(c *cli.Context, err error, _ bool) error {
			return usage("%v: see rollover %s --help", err, c.Command.Name)
		}
	}
	return commands
}

func zoneFlag() cli.Flag {
	return &cli.StringFlag{Name: "zone", Aliases: []string{"z"}, Usage: "the `ZONE`; may be given as an operand as well"}
}

func reasonFlag() cli.Flag {
	return &cli.StringFlag{Name: "reason", Usage: "why, for the history"}
}

// zones is the zones named by --zone and operands.
func zones(c *cli.Context) ([]string, error) {
	words := c.Args().Slice()
	if c.IsSet("zone") {
		words = append([]string{c.String("zone")}, words...)
	}
	var out []string
	for _, word := range words {
		if word == "--" {
			continue
		}
		zone, err := parseZone(word)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, zone) {
			out = append(out, zone)
		}
	}
	return out, nil
}

// zone is the one zone named by --zone or the operand.
func zone(c *cli.Context) (string, error) {
	all, err := zones(c)
	switch {
	case err != nil:
		return "", err
	case len(all) == 0:
		return "", usage("rollover %s needs a zone: --zone NAME", c.Command.Name)
	case len(all) > 1:
		return "", usage("rollover %s takes one zone, not %d (%s)", c.Command.Name, len(all), strings.Join(all, ", "))
	}
	return all[0], nil
}

func isBusy(err error) bool { return errors.Is(err, store.ErrBusy) }

// say prints a line of talk unless --quiet.
func (m *mouth) say(c *cli.Context, format string, args ...any) {
	if !c.Bool("quiet") {
		fmt.Fprintf(m.out, format+"\n", args...)
	}
}

// dossiers is the dossiers of zones that have a rollover, running or ended.
func (w *world) dossiers(zones []string) ([]rollover.Dossier, error) {
	named := len(zones) > 0
	if !named {
		var err error
		if zones, err = w.db.Zones(); err != nil {
			return nil, err
		}
	}
	var out []rollover.Dossier
	for _, zone := range zones {
		d, err := w.db.Load(zone)
		if err != nil {
			return nil, err
		}
		if d.Roll == nil {
			if named {
				return nil, fmt.Errorf("%w: no rollover of %s is known: start one with `rollover start --zone %s`", rollover.ErrRefused, zone, zone)
			}
			continue
		}
		out = append(out, d)
	}
	return out, nil
}

func (w *world) describe(d rollover.Dossier) (s rollover.Status, err error) {
	policy := w.config.setting(d.Zone).Policy
	err = w.uncrashed(d.Zone, func() error {
		s, err = rollover.Describe(d, policy, readClocks().Wall, func(c rollover.Command) string { return w.tool.Explain(d.Zone, c) })
		return err
	})
	return s, err
}
