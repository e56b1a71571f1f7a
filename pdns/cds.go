package pdns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rollover/rollover"
)

// The metadata behind CDS and CDNSKEY records.
const (
	metaCDS     = "PUBLISH-CDS"
	metaCDNSKEY = "PUBLISH-CDNSKEY"
)

// PublishCDS makes PowerDNS serve CDS records with these digest types, and
// CDNSKEY records if asked for, of every published key of role KSK or CSK. It
// changes nothing if that is so already. The commands print nothing and return 0
// whatever happens (pdnsutil 4.7 to 5.1), so the zone is looked up before, and
// read back after.
func (t *Tool) PublishCDS(ctx context.Context, zone string, digests []uint8, cdnskey bool) error {
	inv, err := t.Inventory(ctx, zone)
	if err != nil || published(inv, digests, cdnskey) {
		return err
	}
	value, err := digestList(digests)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	name := plain(inv.Zone)
	cds := t.pdnsutil(inv.Zone, "--", "set-publish-cds", name, value)
	if _, err := t.run(ctx, cds, outputLimit); err != nil {
		return err
	}
	word := "unset-publish-cdnskey"
	if cdnskey {
		word = "set-publish-cdnskey"
	}
	if _, err := t.run(ctx, t.pdnsutil(inv.Zone, "--", word, name), outputLimit); err != nil {
		return err
	}
	if inv, err = t.Inventory(ctx, zone); err != nil {
		return err
	}
	if !published(inv, digests, cdnskey) {
		return cds.misread(errors.New("show-zone does not show the metadata that it sets"), output{})
	}
	return t.announce(ctx, inv)
}

// announce makes the running server and its secondaries show what was changed.
func (t *Tool) announce(ctx context.Context, inv rollover.Inventory) error {
	var notify []string
	if inv.Kind == rollover.KindMaster || inv.Kind == rollover.KindProducer {
		if _, err := t.BumpSerial(ctx, inv.Zone); err != nil {
			return err
		}
		notify = []string{inv.Zone}
	}
	return t.Refresh(ctx, []string{inv.Zone}, notify)
}

func published(inv rollover.Inventory, digests []uint8, cdnskey bool) bool {
	value, err := digestList(digests)
	if err != nil {
		return false
	}
	want := []string(nil)
	if cdnskey {
		want = []string{"1"}
	}
	return slices.Equal(inv.Metadata[metaCDS], []string{value}) && slices.Equal(inv.Metadata[metaCDNSKEY], want)
}

// digestList is digest types as set-publish-cds takes them. Another type than
// these would make PowerDNS answer SERVFAIL and break transfers of the zone.
func digestList(digests []uint8) (string, error) {
	var words []string
	for _, d := range slices.Sorted(slices.Values(digests)) {
		if d != 2 && d != 4 {
			return "", fmt.Errorf("%w: digest type %d cannot be in CDS records: use 2 or 4", rollover.ErrRefused, d)
		}
		words = append(words, strconv.Itoa(int(d)))
	}
	if len(words) == 0 {
		return "", fmt.Errorf("%w: no digest type is asked for", rollover.ErrRefused)
	}
	return strings.Join(words, ","), nil
}
