package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// frontEndHost is where the front end lives, between the validator and the oracles.
const frontEndHost = 6

// FrontEnd is a further server on the database of the children's primary, with
// caches of its own.
type FrontEnd struct {
	Address   string // ip:port
	ConfigDir string
}

// StartFrontEnd starts a further server on the database of the children's
// primary. It notifies nobody, and nobody of the lab asks it; it ends with the lab.
func (l *Lab) StartFrontEnd(ctx context.Context) (FrontEnd, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.frontEnd != nil {
		return FrontEnd{}, errors.New("the lab is stopped, or has a front end already")
	}
	s := l.newServer("front-end", frontEndHost)
	s.backend = l.c1.backend
	s.command = l.serverCommand(s)
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return FrontEnd{}, fmt.Errorf("making the folder of %s: %w", s.name, err)
	}
	if err := s.configure(l.programs.modules, nil); err != nil {
		return FrontEnd{}, err
	}
	if err := l.launch(s); err != nil {
		return FrontEnd{}, err
	}
	l.frontEnd = s
	return FrontEnd{s.addr, s.dir}, l.awaitControl(ctx, s)
}
