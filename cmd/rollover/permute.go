package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves options in front of the operands of the command they belong
// to, because urfave/cli stops reading options at the first operand and takes
// the rest for operands in silence: `start example.com --type ksk` would start
// a rollover of another type. What follows "--" is left as it is.
func permute(app *cli.App, args []string) []string {
	at := slices.IndexFunc(args[min(1, len(args)):], func(a string) bool { return app.Command(a) != nil })
	if at < 0 {
		return args
	}
	at++
	command := app.Command(args[at])
	var options, operands []string
	for rest := args[at+1:]; len(rest) > 0; {
		switch word := rest[0]; {
		case word == "--":
			operands = append(operands, rest...)
			rest = nil
		case !strings.HasPrefix(word, "-") || word == "-":
			operands, rest = append(operands, word), rest[1:]
		case takesValue(command.Flags, word) && len(rest) > 1:
			options, rest = append(options, rest[:2]...), rest[2:]
		default:
			options, rest = append(options, word), rest[1:]
		}
	}
	return slices.Concat(args[:at+1], options, operands)
}

// takesValue says whether an option word is followed by its value.
func takesValue(flags []cli.Flag, word string) bool {
	if strings.Contains(word, "=") {
		return false
	}
	name := strings.TrimLeft(word, "-")
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			_, boolean := f.(*cli.BoolFlag)
			return !boolean
		}
	}
	return false
}
