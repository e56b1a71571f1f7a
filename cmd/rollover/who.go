package main

import (
	"fmt"
	"os"
	"os/user"
)

// who is who gives an order, for the history: the user, and, behind sudo, the one
// who called it. Nothing is decided by it: both can be made up by who may write
// the history.
func who() string {
	name := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	return throughSudo(name, os.Getenv("SUDO_USER"))
}

func throughSudo(name, caller string) string {
	if caller == "" || caller == name {
		return name
	}
	if len(caller) > 64 {
		caller = caller[:64]
	}
	return plain(caller) + " as " + name
}
