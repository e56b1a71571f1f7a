package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// preparePostgreSQL makes the data of a PostgreSQL. It trusts everybody on
// loopback, and it refuses to run as root.
func (l *Lab) preparePostgreSQL(ctx context.Context, d *database) error {
	if err := d.unprivileged("postgres"); err != nil {
		return err
	}
	data := filepath.Join(d.dir, "data")
	server := l.programs.database[0]
	initdb := filepath.Join(filepath.Dir(server), "initdb")
	if err := d.runAs(ctx, "", []string{initdb, "-D", data, "-U", databaseUser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"}); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(d.behind) // built by us
	d.command = []string{server, "-D", data}
	for _, setting := range []string{
		"listen_addresses=" + host,
		"port=" + port,
		"unix_socket_directories=",
		"fsync=off",
		"shared_buffers=8MB",
		"max_connections=50",
	} {
		d.command = append(d.command, "-c", setting)
	}
	create := []string{server, "--single", "-D", data, "postgres"}
	return d.runAs(ctx, "CREATE DATABASE "+databaseName+";\n", create)
}

// unprivileged makes the database run as a user of the system, who gets its
// folder, if we are root.
func (d *database) unprivileged(name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	who, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err1 := strconv.ParseUint(who.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(who.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		return fmt.Errorf("user %s has the numbers %q and %q", name, who.Uid, who.Gid)
	}
	d.user = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	if err := os.Chown(d.dir, int(uid), int(gid)); err != nil {
		return fmt.Errorf("giving a folder to %s: %w", name, err)
	}
	return nil
}
