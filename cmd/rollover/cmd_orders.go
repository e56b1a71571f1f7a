package main

import (
	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

func (m *mouth) pauseCommand() *cli.Command {
	return m.orderCommand("pause", "stop a rollover where it stands, until resume", func(c *cli.Context, w *world, zone string) error {
		return w.engine.Pause(zone, c.String("reason"))
	})
}

func (m *mouth) resumeCommand() *cli.Command {
	command := m.orderCommand("resume", "let a paused or blocked rollover go on", func(c *cli.Context, w *world, zone string) error {
		if !c.Bool("accept-policy") {
			return w.engine.Resume(c.Context, zone, c.String("reason"))
		}
		if c.String("reason") == "" {
			return usage("rollover resume --accept-policy needs --reason WHY: it is kept in the history")
		}
		if err := w.engine.AcceptPolicy(c.Context, zone, c.String("reason")); err != nil {
			return err
		}
		d, err := w.db.Load(zone)
		if err != nil || d.Roll.State == rollover.StateActive {
			return err
		}
		return w.engine.Resume(c.Context, zone, c.String("reason"))
	})
	command.Description = "--accept-policy takes over what the configuration says now where that is less careful than what the rollover was started with,\n" +
		"or asks the parent in another way (ds_digests, driver). What start asks of it is asked again."
	command.Flags = append(command.Flags, &cli.BoolFlag{Name: "accept-policy", Usage: "go by what the configuration says now"})
	return command
}

func (m *mouth) cancelCommand() *cli.Command {
	command := m.orderCommand("cancel", "take a rollover back while nothing was taken away", func(c *cli.Context, w *world, zone string) error {
		if c.Bool("abandon") {
			if err := m.assent(c, "abandoning the rollover of "+zone, "abandoning", zone,
				"keys and DS stay as they are, half done as that may be, and nobody goes on with it"); err != nil {
				return err
			}
			return w.engine.Abandon(zone, c.String("reason"))
		}
		return w.engine.CancelOrder(c.Context, back(c, zone))
	})
	command.Description = "The DS of the new key is withdrawn first, if it was asked for, then the new key removed; advance does it step by step.\n" +
		"--abandon ends the rollover at once and leaves keys and DS as they are."
	command.Flags = append(command.Flags, &cli.BoolFlag{Name: "abandon", Usage: "touch nothing: leave keys and DS as they are"}, unchangedFlag(), &cli.BoolFlag{Name: "yes", Usage: "do not ask back before --abandon"})
	return command
}

func (m *mouth) revertCommand() *cli.Command {
	command := m.orderCommand("revert", "go back to the old keys after the switch, while they exist", func(c *cli.Context, w *world, zone string) error {
		return w.engine.Revert(c.Context, back(c, zone))
	})
	command.Description = "Old signs again beside new, the parent gets the DS of old back, and new is removed when no cache needs it;\n" +
		"advance does it step by step. It begins only when the last change has arrived on every server, at the parent too.\n" +
		"Before something was taken away, use cancel."
	command.Flags = append(command.Flags, unchangedFlag())
	return command
}

func unchangedFlag() cli.Flag {
	return &cli.BoolFlag{Name: "parent-unchanged", Usage: "the registrar was not told what was last asked of the parent, and will not be"}
}

func back(c *cli.Context, zone string) rollover.Back {
	return rollover.Back{Zone: zone, Reason: c.String("reason"), Unchanged: c.Bool("parent-unchanged")}
}

// orderCommand is a command that changes one rollover while no advance runs.
func (m *mouth) orderCommand(name, use string, do func(*cli.Context, *world, string) error) *cli.Command {
	return &cli.Command{
		Name: name, Usage: use, ArgsUsage: "[ZONE]", Flags: []cli.Flag{zoneFlag(), reasonFlag()},
		Action: func(c *cli.Context) error {
			name, err := zone(c)
			if err != nil {
				return err
			}
			return m.order(c, func(w *world) error { return do(c, w, name) })
		},
	}
}

func (m *mouth) order(c *cli.Context, do func(*world) error) error {
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	w.engine.Tell, w.engine.By = m.hear(c, w), who()
	return w.locked(c.Context, func() error {
		defer m.deliver(c, w, nil)
		return do(w)
	})
}

func (m *mouth) excludeCommand() *cli.Command {
	return &cli.Command{
		Name:      "exclude-server",
		Usage:     "do not ask one server of a zone any more; it is recorded",
		ArgsUsage: "[ZONE] ADDRESS",
		Description: "ADDRESS is an address, an address:port or a name as status prints it. Caches that ask that server are not looked after\n" +
			"any more: exclude only what is switched off for good. What is no server of the zone or its parent is refused. --undo asks it again.",
		Flags:  []cli.Flag{zoneFlag(), reasonFlag(), &cli.BoolFlag{Name: "undo", Usage: "ask it again"}},
		Action: m.exclude,
	}
}

func (m *mouth) exclude(c *cli.Context) error {
	words := c.Args().Slice()
	name := c.String("zone")
	if name == "" && len(words) == 2 {
		name, words = words[0], words[1:]
	}
	if len(words) != 1 {
		return usage("rollover exclude-server needs a zone and one address: --zone NAME ADDRESS --reason WHY")
	}
	zone, err := parseZone(name)
	if err != nil {
		return err
	}
	if c.String("reason") == "" {
		return usage("rollover exclude-server needs --reason WHY: it is kept in the history")
	}
	return m.order(c, func(w *world) error {
		if c.Bool("undo") {
			return w.engine.Include(zone, words[0], c.String("reason"))
		}
		return w.engine.ExcludeOrder(c.Context, zone, words[0], c.String("reason"))
	})
}
