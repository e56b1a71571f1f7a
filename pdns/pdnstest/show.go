package pdnstest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rollover/rollover"
)

// show prints what show-zone of 4.7.3 prints; the name is echoed as given.
func (z *Zone) show(name string, stdout, stderr io.Writer) {
	z.showHead(stdout)
	z.showMetadata(stdout)
	if z.presigned() {
		fmt.Fprintln(stdout, "Zone is presigned")
		z.showPresigned(stdout, stderr, name)
		return
	}
	if len(z.Keys) == 0 {
		fmt.Fprintf(stderr, "No keys for zone '%s'.\n", name)
		return
	}
	z.showDenial(stdout)
	fmt.Fprintln(stdout, "keys: ")
	for _, k := range z.sortedKeys() {
		z.showKey(stdout, name, k)
	}
}

func (z *Zone) showHead(stdout io.Writer) {
	fmt.Fprintf(stdout, "This is a %s zone\n", z.Kind)
	soa := z.soa()
	switch z.Kind {
	case rollover.KindMaster, rollover.KindProducer:
		relation := "=="
		if z.Notified != soa.serial {
			relation = "!="
		}
		fmt.Fprintf(stdout, "Last SOA serial number we notified: %d %s %d (serial in the database)\n", z.Notified, relation, soa.serial)
	case rollover.KindSlave, rollover.KindConsumer:
		word := "Primaries"
		if len(z.Primaries) == 1 {
			word = "Primary"
		}
		fmt.Fprintf(stdout, "%s: %s\n", word, strings.Join(append(slices.Clone(z.Primaries), ""), " "))
		fmt.Fprintln(stdout, "Last time we got update from primary: Never")
		if soa.record == nil {
			fmt.Fprintln(stdout, "No SOA serial found in database")
		} else {
			fmt.Fprintf(stdout, "SOA serial in database: %d\nRefresh interval: %s seconds\n", soa.serial, soa.fields[3])
		}
	}
	active := slices.ContainsFunc(z.Keys, func(k rollover.Key) bool { return k.Active })
	if !active && !z.presigned() {
		fmt.Fprintln(stdout, "Zone is not actively secured")
	}
}

func (z *Zone) showMetadata(stdout io.Writer) {
	if len(z.Metadata) == 0 {
		fmt.Fprintln(stdout, "Metadata items: None")
		return
	}
	fmt.Fprintln(stdout, "Metadata items: ")
	for _, kind := range z.metadataKinds() {
		for _, value := range z.Metadata[kind] {
			fmt.Fprintf(stdout, "\t%s\t%s\n", kind, value)
		}
	}
}

func (z *Zone) showDenial(stdout io.Writer) {
	param := z.Metadata["NSEC3PARAM"]
	switch {
	case len(param) == 0:
		fmt.Fprintln(stdout, "Zone has NSEC semantics")
	case len(z.Metadata["NSEC3NARROW"]) > 0:
		fmt.Fprintln(stdout, "Zone has NARROW hashed NSEC3 semantics, configuration:", param[0])
	default:
		fmt.Fprintln(stdout, "Zone has hashed NSEC3 semantics, configuration:", param[0])
	}
}

// sortedKeys is the keys in the order of show-zone: KSKs last, then by id.
func (z *Zone) sortedKeys() []rollover.Key {
	out := slices.Clone(z.Keys)
	rank := func(k rollover.Key) int {
		if rollover.RoleOf(z.Keys, k) == rollover.KSK {
			return 1
		}
		return 0
	}
	slices.SortFunc(out, func(a, b rollover.Key) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func (z *Zone) showKey(stdout io.Writer, name string, k rollover.Key) {
	role := rollover.RoleOf(z.Keys, k)
	active, published := "Inactive", " Unpublished"
	if k.Active {
		active = "  Active"
	}
	if k.Published {
		published = " Published"
	}
	fmt.Fprintf(stdout, "ID = %d (%s), flags = %d, tag = %d, algo = %d, bits = %d\t%s\t%s  ( %s ) \n",
		k.ID, role, k.Flags, k.Tag, k.Algorithm, k.Bits, active, published, mnemonic(k.Algorithm))
	if role == rollover.ZSK {
		return // the public key of a ZSK is not shown
	}
	fmt.Fprintf(stdout, "%s DNSKEY = %s IN DNSKEY %v ; ( %s )\n", role, canonical(name), k.DNSKEY(), mnemonic(k.Algorithm))
	showDS(stdout, name, k.DNSKEY())
}

func showDS(stdout io.Writer, name string, k rollover.DNSKEY) {
	for digestType, word := range digests() {
		ds, err := k.DS(canonical(name), digestType)
		if err != nil {
			continue // a key of a test that does not decode has no DS
		}
		fmt.Fprintf(stdout, "DS = %s IN DS %d %d %d %s ; ( %s digest )\n",
			canonical(name), ds.Tag, ds.Algorithm, ds.DigestType, strings.ToLower(ds.Digest), word)
	}
}

// digests yields the digest types that show-zone prints, in its order.
func digests() func(func(uint8, string) bool) {
	return func(yield func(uint8, string) bool) {
		_ = yield(2, "SHA256") && yield(4, "SHA-384")
	}
}

// showPresigned prints the DNSKEY records of the zone as keys without ids.
func (z *Zone) showPresigned(stdout, stderr io.Writer, name string) {
	keys := z.dnskeyRecords()
	if len(keys) == 0 {
		fmt.Fprintf(stderr, "No keys for zone '%s'.\n", name)
		return
	}
	z.showDenial(stdout)
	fmt.Fprintln(stdout, "keys: ")
	for _, k := range keys {
		role := rollover.ZSK
		if k.Flags == rollover.FlagsKSK {
			role = rollover.KSK
		}
		fmt.Fprintf(stdout, "%s, tag = %d, algo = %d, bits = %d\n", role, k.Tag(), k.Algorithm, usualBits(k.Algorithm))
		fmt.Fprintf(stdout, "DNSKEY = %s IN DNSKEY %v; ( %s ) \n", canonical(name), k, mnemonic(k.Algorithm))
		showDS(stdout, name, k)
	}
}

func (z *Zone) dnskeyRecords() []rollover.DNSKEY {
	var out []rollover.DNSKEY
	for _, r := range z.Records {
		fields := strings.Fields(r.Content)
		if r.Type != "DNSKEY" || r.Name != z.Name || len(fields) != 4 {
			continue
		}
		flags, flagsErr := strconv.ParseUint(fields[0], 10, 16)
		algo, algoErr := strconv.ParseUint(fields[2], 10, 8)
		if flagsErr == nil && algoErr == nil {
			out = append(out, rollover.DNSKEY{Flags: uint16(flags), Algorithm: uint8(algo), PublicKey: fields[3]})
		}
	}
	return out
}

// list prints what list-zone of 4.7.3 prints: names and SOA content without
// trailing dots, other content as it is stored.
func (z *Zone) list(stdout io.Writer) {
	records := slices.Clone(z.Records)
	slices.SortStableFunc(records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(plain(a.Name), plain(b.Name)), cmp.Compare(a.Type, b.Type))
	})
	fmt.Fprintln(stdout, "$ORIGIN .")
	for _, r := range records {
		content := r.Content
		if r.Type == "SOA" {
			content = strings.ReplaceAll(content, ". ", " ")
		}
		fmt.Fprintf(stdout, "%s\t%d\tIN\t%s\t%s\n", plain(r.Name), r.TTL, r.Type, content)
	}
}

// startOfAuthority is the SOA record of a zone; record is nil for none.
type startOfAuthority struct {
	record *Record
	fields []string
	serial uint32
}

func (z *Zone) soa() startOfAuthority {
	for i := range z.Records {
		r := &z.Records[i]
		fields := strings.Fields(r.Content)
		if r.Type != "SOA" || r.Name != z.Name || len(fields) != 7 {
			continue
		}
		serial, err := strconv.ParseUint(fields[2], 10, 32)
		if err == nil {
			return startOfAuthority{r, fields, uint32(serial)}
		}
	}
	return startOfAuthority{}
}

// bump raises the serial by one; 4294967295 becomes 0.
func (s startOfAuthority) bump() uint32 {
	s.fields[2] = strconv.FormatUint(uint64(s.serial+1), 10)
	s.record.Content = strings.Join(s.fields, " ")
	return s.serial + 1
}

func (z *Zone) metadataKinds() []string { return slices.Sorted(maps.Keys(z.Metadata)) }
