package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

func (m *mouth) versionCommand() *cli.Command {
	return &cli.Command{
		Name:   "version",
		Usage:  "the version of rollover, and of the pdnsutil that it would run",
		Action: m.version,
	}
}

// build is what this program was made of. Without a repository, or with
// -buildvcs=false, there is neither commit nor date.
type build struct {
	version  string
	commit   string // empty if not known
	date     string // of the commit, RFC 3339
	modified bool   // from files that were not committed
}

func buildOf(info *debug.BuildInfo) build {
	b := build{version: cmp.Or(info.Main.Version, "unknown")}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.time":
			b.date = s.Value
		case "vcs.modified":
			b.modified, _ = strconv.ParseBool(s.Value) // what is no truth value is none
		}
	}
	return b
}

func (b build) String() string {
	parts := []string{"commit not known"}
	if b.commit != "" {
		parts = []string{"commit " + b.commit, b.date}
	}
	if b.modified {
		parts = append(parts, "modified")
	}
	return fmt.Sprintf("%s (%s, %s)", b.version, strings.Join(parts, ", "), runtime.Version())
}

func (m *mouth) version(c *cli.Context) error {
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	b := build{version: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		b = buildOf(info)
	}
	pdnsutil, err := w.tool.Version(c.Context)
	if err != nil {
		pdnsutil = "not available: " + err.Error()
	}
	pdnsutil = "pdnsutil " + pdnsutil
	if c.Bool("json") {
		return m.json(map[string]any{"schema": 1, "version": b.version, "commit": b.commit, "date": b.date, "modified": b.modified, "go": runtime.Version(), "pdnsutil": pdnsutil})
	}
	fmt.Fprintf(m.out, "rollover %s\n%s\n", b, plain(pdnsutil))
	return nil
}
