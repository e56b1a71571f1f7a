package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"rollover/rollover"
)

func (m *mouth) dsCommand() *cli.Command {
	return &cli.Command{
		Name:      "ds",
		Usage:     "what the parent must have now: add, keep, remove",
		ArgsUsage: "[ZONE]",
		Description: "bind: the DS records as a zone file has them. dnskey: the DNSKEY records, for registrars that compute the DS.\n" +
			"json: both, for programs. epp: the secDNS elements (RFC 5910).",
		Flags:  []cli.Flag{zoneFlag(), &cli.StringFlag{Name: "format", Value: "bind", Usage: "`FORMAT`: bind, dnskey, json or epp"}},
		Action: m.ds,
	}
}

func (m *mouth) ds(c *cli.Context) error {
	name, err := zone(c)
	if err != nil {
		return err
	}
	w, err := m.open(c)
	if err != nil {
		return err
	}
	defer w.close()
	all, err := w.dossiers([]string{name})
	if err != nil {
		return err
	}
	roll := all[0].Roll
	policy := w.config.setting(name).Policy.For(roll)
	todo, missing := roll.Parent(policy), roll.Missing(policy)
	format := c.String("format")
	if c.Bool("json") {
		format = "json"
	}
	switch format {
	case "bind":
		m.dsBind(name, todo)
		for _, record := range missing {
			fmt.Fprintf(m.out, "; signal\n%s\n", plain(record))
		}
	case "dnskey":
		m.dsDNSKEY(roll, todo)
	case "json":
		out := dsJSON(roll, todo)
		out["signal"] = list(missing)
		return m.json(out)
	case "epp":
		m.dsEPP(todo)
	default:
		return usage("there is no format %q: there are bind, dnskey, json and epp", format)
	}
	return nil
}

type dsGroup struct {
	word string
	set  []rollover.DS
}

func groups(p rollover.ParentDS) []dsGroup {
	return []dsGroup{{"add", p.Add}, {"keep", p.Keep}, {"remove", p.Remove}}
}

func (m *mouth) dsBind(zone string, p rollover.ParentDS) {
	for _, g := range groups(p) {
		for _, d := range g.set {
			fmt.Fprintf(m.out, "; %s\n%s IN DS %s\n", g.word, zone, d)
		}
	}
}

// dsDNSKEY prints the DNSKEY behind each DS; of a DS that belongs to none of
// the keys known, only the DS can be told.
func (m *mouth) dsDNSKEY(r *rollover.Roll, p rollover.ParentDS) {
	for _, g := range groups(p) {
		for _, d := range g.set {
			if k, ok := keyOf(r, d); ok {
				fmt.Fprintf(m.out, "; %s\n%s IN DNSKEY %s\n", g.word, r.Zone, k)
			} else {
				fmt.Fprintf(m.out, "; %s the DS %s\n", g.word, d)
			}
		}
	}
}

func keyOf(r *rollover.Roll, d rollover.DS) (rollover.DNSKEY, bool) {
	for _, keys := range [][]rollover.Key{r.New, r.Old} {
		for _, k := range keys {
			if k.Tag == d.Tag && k.Algorithm == d.Algorithm && k.PublicKey != "" {
				return k.DNSKEY(), true
			}
		}
	}
	return rollover.DNSKEY{}, false
}

func dsJSON(r *rollover.Roll, p rollover.ParentDS) map[string]any {
	out := map[string]any{"schema": 1, "zone": r.Zone}
	for _, g := range groups(p) {
		list := []map[string]any{}
		for _, d := range g.set {
			item := map[string]any{"ds": d.String(), "tag": d.Tag, "algorithm": d.Algorithm, "digest_type": d.DigestType, "digest": d.Digest}
			if k, ok := keyOf(r, d); ok {
				item["dnskey"], item["flags"], item["public_key"] = k.String(), k.Flags, k.PublicKey
			}
			list = append(list, item)
		}
		out[g.word] = list
	}
	return out
}

// dsEPP prints the children of a secDNS:update (RFC 5910 section 5.2.5).
func (m *mouth) dsEPP(p rollover.ParentDS) {
	fmt.Fprintln(m.out, `<secDNS:update xmlns:secDNS="urn:ietf:params:xml:ns:secDNS-1.1">`)
	for _, g := range []dsGroup{{"rem", p.Remove}, {"add", p.Add}} {
		if len(g.set) == 0 {
			continue
		}
		fmt.Fprintf(m.out, "  <secDNS:%s>\n", g.word)
		for _, d := range g.set {
			fmt.Fprintf(m.out, "    <secDNS:dsData><secDNS:keyTag>%d</secDNS:keyTag><secDNS:alg>%d</secDNS:alg><secDNS:digestType>%d</secDNS:digestType><secDNS:digest>%s</secDNS:digest></secDNS:dsData>\n",
				d.Tag, d.Algorithm, d.DigestType, strings.ToUpper(d.Digest))
		}
		fmt.Fprintf(m.out, "  </secDNS:%s>\n", g.word)
	}
	fmt.Fprintln(m.out, "</secDNS:update>")
}
