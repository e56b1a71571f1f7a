package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

func (m *mouth) versionCommand() *cli.Command {
	return &cli.Command{
		Name:   "version",
		Usage:  "the version of rollover, and of the pdnsutil that it would run",
		Action: m.version,
	}
}

func (m *mouth) version(c *cli.Context) error {
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	pdnsutil, err := w.tool.Version(c.Context)
	if err != nil {
		pdnsutil = "not available: " + err.Error()
	}
	pdnsutil = "pdnsutil " + pdnsutil
	if c.Bool("json") {
		return m.json(map[string]any{"schema": 1, "version": version, "go": runtime.Version(), "pdnsutil": pdnsutil})
	}
	fmt.Fprintf(m.out, "rollover %s (%s)\n%s\n", version, runtime.Version(), plain(pdnsutil))
	return nil
}
