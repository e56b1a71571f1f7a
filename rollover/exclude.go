package rollover

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// hasServer refuses to take a server out that the zone does not have. It has those of
// the last look and of the configuration, and, if what is named is none of them,
// those that a look finds now.
func (v *visit) hasServer(ctx context.Context, named string) error {
	fits := func(s Server) bool { return s.goesBy(named) }
	var servers []Server
	if v.roll != nil {
		for _, s := range v.roll.Servers {
			servers = append(servers, s.Server)
		}
	}
	configured := slices.Concat(v.setting.Servers, v.setting.ParentServers)
	if slices.ContainsFunc(servers, fits) || slices.ContainsFunc(configured, func(c string) bool { return Server{Name: c, Address: c}.goesBy(named) }) {
		return nil
	}
	s, err := v.engine.Observer.Look(ctx, v.question(RecordDNSKEY, RecordDS))
	if err != nil {
		return fmt.Errorf("%w: %s is none of the servers of %s that are known, and the others cannot be found out: %w", ErrRefused, named, v.dossier.Zone, err)
	}
	for _, o := range s.Servers {
		servers = append(servers, o.Server)
	}
	if slices.ContainsFunc(servers, fits) {
		return nil
	}
	var words []string
	for _, one := range servers {
		if !slices.Contains(words, one.String()) {
			words = append(words, one.String())
		}
	}
	return fmt.Errorf("%w: %s is no server of %s nor of its parent, which has %s: name one of them, by address or name", ErrRefused, named, v.dossier.Zone, strings.Join(append(words, configured...), ", "))
}

// goesBy says whether somebody may have meant this server: by its address, with or
// without port, or by its name.
func (s Server) goesBy(named string) bool {
	bare := func(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
	host := s.Address
	if i := strings.LastIndex(host, ":"); i >= 0 && (strings.Count(host, ":") == 1 || strings.HasPrefix(host, "[")) {
		host = strings.Trim(host[:i], "[]")
	}
	return named != "" && (named == s.Address || strings.Trim(named, "[]") == host || s.Name != "" && bare(named) == bare(s.Name))
}
