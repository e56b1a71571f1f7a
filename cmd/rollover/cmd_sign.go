package main

import (
	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

func (m *mouth) signCommand() *cli.Command {
	return &cli.Command{
		Name:      "sign",
		Usage:     "sign a zone for the first time, up to a chain that validators accept",
		ArgsUsage: "[ZONE]",
		Description: "Makes the first keys, waits until no cache has unsigned data, and only then asks for the DS at the parent.\n" +
			"Refuses zones that have keys, or a DS at the parent, and, unless --accept names it, whatever signing would change:\n" +
			"ALIAS and LUA records, names that a wildcard answers for, zones below without NS records. Later, answers that are not\n" +
			"what they were before hold the DS back.",
		Flags: append(append([]cli.Flag{
			zoneFlag(), acceptFlag(), toFlag("which keys the zone is to have: `LAYOUT` csk (one key, the default) or split (KSK and ZSK)"),
		}, keyFlags("ecdsa256 if not given")...), beginFlags()...),
		Action: m.ordered(func(c *cli.Context) (rollover.Order, error) {
			o, err := order(c)
			o.Type, o.Accept = "sign", c.StringSlice("accept")
			return o, err
		}, m.begin),
	}
}

func acceptFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "accept", Usage: "what signing may change, `NAME/TYPE` or NAME as the refusal lists it; may be repeated, and added while it runs"}
}

func (m *mouth) unsignCommand() *cli.Command {
	return &cli.Command{
		Name:      "unsign",
		Usage:     "take a zone back to unsigned: the DS first, the keys when no cache has a DS any more",
		ArgsUsage: "[ZONE]",
		Description: "Asks for the removal of the DS at the parent; when it is proven gone and no cache can hold it, the keys are removed.\n" +
			"Until then the zone stays signed.",
		Flags: append([]cli.Flag{zoneFlag()}, beginFlags()...),
		Action: m.ordered(func(c *cli.Context) (rollover.Order, error) {
			name, err := zone(c)
			return rollover.Order{Zone: name, Type: "unsign"}, err
		}, m.begin),
	}
}
