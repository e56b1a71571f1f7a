package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// loadChildren fills the databases of the children's servers and signs.
func (l *Lab) loadChildren(ctx context.Context) error {
	for _, z := range l.options.Zones {
		if err := l.load(ctx, l.c1, z.Name, z.file()); err != nil {
			return err
		}
		if z.Layout != Unsigned {
			if err := l.sign(ctx, l.c1, z); err != nil {
				return err
			}
		}
		if _, err := l.util(ctx, l.c2, "create-secondary-zone", bare(z.Name), l.c2.relay.addr()); err != nil {
			return err
		}
	}
	return nil
}

// loadParent fills the databases of the parent's servers, with the DS records
// of the children, and signs. The parent's own keys are of no interest.
func (l *Lab) loadParent(ctx context.Context) error {
	text := l.options.parentFile()
	for _, z := range l.options.Zones {
		if z.Layout == Unsigned {
			continue
		}
		records, err := l.exportDS(ctx, l.c1, z.Name)
		if err != nil {
			return err
		}
		for _, ds := range records {
			text += fmt.Sprintf("%s %d IN DS %s\n", z.Name, l.options.DSTTL, ds)
		}
	}
	err := l.loadParentPrimary(ctx, text)
	_, err2 := l.util(ctx, l.p2, "create-secondary-zone", bare(l.options.Parent), l.p2.relay.addr())
	return errors.Join(err, err2)
}

func (l *Lab) loadParentPrimary(ctx context.Context, text string) error {
	if l.options.BIND {
		return writeFile(filepath.Join(l.p1.dir, "zone.db"), text)
	}
	if err := l.load(ctx, l.p1, l.options.Parent, text); err != nil {
		return err
	}
	return l.sign(ctx, l.p1, Zone{Name: l.options.Parent, Layout: CSK}.withDefaults())
}

func (l *Lab) load(ctx context.Context, s *server, zone, text string) error {
	if s.backend.launch == Bind {
		return s.addFile(zone, text)
	}
	file := filepath.Join(s.dir, "zone")
	if err := writeFile(file, text); err != nil {
		return err
	}
	if _, err := l.util(ctx, s, "load-zone", bare(zone), file); err != nil {
		return err
	}
	_, err := l.util(ctx, s, "set-kind", bare(zone), "primary")
	return err
}

// sign gives a zone its first keys.
func (l *Lab) sign(ctx context.Context, s *server, z Zone) error {
	name := bare(z.Name)
	commands := [][]string{append([]string{"add-zone-key", name, "ksk", "active", "published"}, strings.Fields(z.Key)...)}
	if z.Layout == Split {
		commands = append(commands, append([]string{"add-zone-key", name, "zsk", "active", "published"}, strings.Fields(z.Key)...))
	}
	commands = append(commands, []string{"rectify-zone", name}) // else its denials prove nothing
	for _, args := range commands {
		if _, err := l.util(ctx, s, args...); err != nil {
			return err
		}
	}
	return nil
}

// exportDS returns the SHA-256 DS records of all KSKs and CSKs of a zone.
func (l *Lab) exportDS(ctx context.Context, s *server, zone string) ([]string, error) {
	out, err := l.util(ctx, s, "export-zone-ds", bare(zone))
	if err != nil {
		return nil, err
	}
	var records []string
	for _, match := range regexp.MustCompile(`(?m)^\S+ IN DS (\d+ \d+ 2 [0-9a-f]+) `).FindAllStringSubmatch(out, -1) {
		records = append(records, match[1])
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("no DS record of %s in what export-zone-ds printed: %q", zone, out)
	}
	return records, nil
}

// bare is a zone's name as pdnsutil takes it on every version.
func bare(zone string) string { return strings.TrimSuffix(zone, ".") }

func (z Zone) file() string {
	var b strings.Builder
	line := func(owner string, ttl uint32, data string) { fmt.Fprintf(&b, "%s %d IN %s\n", owner, ttl, data) }
	line(z.Name, z.SOATTL, soa(z.Name, z.Minimum))
	for i, ip := range []string{"127.0.53.3", "127.0.53.4"} {
		line(z.Name, z.TTL, fmt.Sprintf("NS ns%d.%s", i+1, z.Hosts))
		if z.Hosts == z.Name {
			line(fmt.Sprintf("ns%d.%s", i+1, z.Name), z.TTL, "A "+ip)
		}
	}
	line("www."+z.Name, z.TTL, "A 192.0.2.1")
	line("www."+z.Name, z.TTL, "AAAA 2001:db8::1")
	line("*.wild."+z.Name, z.TTL, "A 192.0.2.2")
	line("sub."+z.Name, z.TTL, "NS ns.sub."+z.Name)
	line("ns.sub."+z.Name, z.TTL, "A 127.0.53.6")
	if z.LongTTL > 0 {
		line("long."+z.Name, z.LongTTL, `TXT "lives longer in caches than the rest"`)
	}
	return b.String()
}

func (o Options) parentFile() string {
	var b strings.Builder
	line := func(owner, data string) { fmt.Fprintf(&b, "%s %d IN %s\n", owner, o.DSTTL, data) }
	line(o.Parent, soa(o.Parent, o.DSTTL))
	servers := func(zone, hosts string, first int) {
		for i := range 2 {
			line(zone, fmt.Sprintf("NS ns%d.%s", i+1, hosts))
			if hosts == zone {
				line(fmt.Sprintf("ns%d.%s", i+1, zone), fmt.Sprintf("A 127.0.53.%d", first+i))
			}
		}
	}
	servers(o.Parent, o.Parent, 1)
	for _, z := range o.Zones {
		servers(z.Name, z.Hosts, 3)
	}
	for _, extra := range o.Extra {
		name, data, _ := strings.Cut(extra, " ")
		line(name, data)
	}
	return b.String()
}

// soa has timers so long that a secondary never looks by itself.
func soa(zone string, minimum uint32) string {
	return fmt.Sprintf("SOA ns1.%s hostmaster.%s 1 10800 3600 604800 %d", zone, zone, minimum)
}
