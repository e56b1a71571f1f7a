// Command rollover rolls the DNSSEC keys of zones served by PowerDNS, step by
// step from cron, without ever breaking them. It is the mouth of the project:
// words, flags, exit codes and views; it decides nothing.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: arguments in, bytes and an exit code out.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	m := &mouth{ctx: ctx, out: stdout, err: printable{stderr}}
	defer func() {
		if p := recover(); p != nil {
			code = m.crashed(p)
		}
	}()
	app := m.app()
	if err := app.RunContext(ctx, permute(app, args)); err != nil {
		return m.fail(err)
	}
	return 0
}
