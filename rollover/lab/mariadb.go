package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// prepareMariaDB makes the data of a MariaDB without users and rights: it is on
// loopback, and nobody else's.
func (l *Lab) prepareMariaDB(ctx context.Context, d *database) error {
	data := filepath.Join(d.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return fmt.Errorf("making the folder of MariaDB: %w", err)
	}
	host, port, _ := net.SplitHostPort(d.behind) // built by us
	base := append(l.programs.database[:len(l.programs.database):len(l.programs.database)],
		"--no-defaults",
		"--datadir="+data,
		"--tmpdir="+d.dir,
		"--skip-grant-tables",
		"--innodb-flush-log-at-trx-commit=2", // to the kernel, so that a kill loses nothing, not to the disk
		"--innodb-log-file-size=4M",
		"--innodb-buffer-pool-size=8M",
		"--innodb-fast-shutdown=2",
		"--performance-schema=0",
	)
	if os.Geteuid() == 0 {
		base = append(base, "--user=root")
	}
	if err := d.runAs(ctx, "CREATE DATABASE "+databaseName+";\n", append(base[:len(base):len(base)], "--bootstrap")); err != nil {
		return err
	}
	d.command = append(base,
		"--skip-name-resolve",
		"--bind-address="+host,
		"--port="+port,
		"--socket="+filepath.Join(d.dir, "socket"),
		"--pid-file="+filepath.Join(d.dir, "pid"),
	)
	return nil
}
