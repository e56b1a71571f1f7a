package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"rollover/rollover/chain"
	"rollover/rollover/guard"
)

// debianAnchors is where Debian's dns-root-data keeps the trust anchors of the
// root, the form that names digests first.
func debianAnchors() []string { return []string{"/usr/share/dns/root.ds", defaultAnchors} }

const defaultAnchors = "/usr/share/dns/root.key"

// loadAnchors reads the trust anchors: from the file that was named, which
// must be there, whatever its name is; by default from where Debian keeps them, else those built in.
func loadAnchors(path string) (chain.Anchors, error) {
	if path != "" {
		return readAnchors(path)
	}
	for _, path := range debianAnchors() {
		anchors, err := readAnchors(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return anchors, err
	}
	return chain.RootAnchors(), nil
}

// readAnchors reads trust anchors that nobody else can change: they say whom to
// believe.
func readAnchors(path string) (chain.Anchors, error) {
	if err := trusted(path); err != nil {
		return nil, fmt.Errorf("dns.trust_anchors: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: dns.trust_anchors: %w", errConfig, err)
	}
	defer file.Close()
	anchors, err := chain.ParseAnchors(file, path)
	if err != nil {
		return nil, fmt.Errorf("%w: dns.trust_anchors: %w", errConfig, err)
	}
	return anchors, nil
}

// trusted refuses a file that others can change. What is not there is left to
// who opens it.
func trusted(path string) error {
	err := guard.Trusted(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
