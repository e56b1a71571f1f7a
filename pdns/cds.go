package pdns

import (
	"context"
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

// announcement is what the metadata behind CDS and CDNSKEY records is to be;
// an empty text for none.
type announcement struct{ cds, cdnskey string }

// PublishCDS makes PowerDNS serve CDS records with these digest types, and
// CDNSKEY records if asked for, of every published key of role KSK or CSK. It
// changes nothing if that is so already, and says whether it has changed anything.
func (t *Tool) PublishCDS(ctx context.Context, zone string, digests []uint8, cdnskey bool) (changed bool, err error) {
	value, err := digestList(digests)
	if err != nil {
		return false, err
	}
	want := announcement{cds: value}
	if cdnskey {
		want.cdnskey = "1"
	}
	return t.announceCDS(ctx, zone, want)
}

// PublishDelete makes PowerDNS serve the one CDS record, and the one CDNSKEY
// record if asked for, that ask the parent to remove the DS set (RFC 8078
// section 4), whatever keys there are. It says whether it has changed anything.
func (t *Tool) PublishDelete(ctx context.Context, zone string, cdnskey bool) (changed bool, err error) {
	want := announcement{cds: "0"}
	if cdnskey {
		want.cdnskey = "0"
	}
	return t.announceCDS(ctx, zone, want)
}

// RetractCDS takes out the metadata behind CDS and CDNSKEY records, if there is
// any; what is served is not touched before the caller has the server forget it.
// Without that PowerDNS serves the records that ask for the removal of the DS
// set for ever, of a zone without keys too, and signed by the next keys.
func (t *Tool) RetractCDS(ctx context.Context, zone string) error {
	_, err := t.setAnnouncement(ctx, zone, announcement{})
	return err
}

func (t *Tool) announceCDS(ctx context.Context, zone string, want announcement) (changed bool, err error) {
	inv, err := t.setAnnouncement(ctx, zone, want)
	if err != nil || inv == nil {
		return false, err
	}
	return true, t.announce(context.WithoutCancel(ctx), *inv)
}

// ShowCDS makes the running server and its secondaries show the CDS records as
// they are to be, once more: what was to do it may have died on the way.
func (t *Tool) ShowCDS(ctx context.Context, zone string) error {
	inv, err := t.Inventory(ctx, zone)
	if err != nil {
		return err
	}
	return t.announce(context.WithoutCancel(ctx), inv)
}

// setAnnouncement sets the metadata and returns the zone as it is then, nil if
// nothing had to be changed. The commands print nothing and return 0 whatever
// happens (pdnsutil 4.7 to 5.1), so the zone is looked up before, and read back
// after.
func (t *Tool) setAnnouncement(ctx context.Context, zone string, want announcement) (*rollover.Inventory, error) {
	inv, err := t.Inventory(ctx, zone)
	switch {
	case err != nil || want.is(inv):
		return nil, err
	case len(inv.Keys) == 0 && want.cds != "":
		return nil, fmt.Errorf("%w: %s has no key that could sign CDS records", rollover.ErrRefused, inv.Zone)
	}
	ctx = context.WithoutCancel(ctx)
	for _, args := range want.commands(plain(inv.Zone)) {
		if _, err := t.run(ctx, t.pdnsutil(inv.Zone, args...), outputLimit); err != nil {
			return nil, err
		}
	}
	seen, err := t.shown(func() (bool, error) {
		inv, err = t.Inventory(ctx, zone)
		return want.is(inv), err
	})
	if err == nil && !seen {
		err = t.pdnsutil(inv.Zone, want.commands(plain(inv.Zone))[0]...).unseen("show-zone does not show the metadata that it sets")
	}
	return &inv, err
}

func (a announcement) commands(name string) [][]string {
	cds := []string{"--", "set-publish-cds", name, a.cds}
	if a.cds == "" {
		cds = []string{"--", "unset-publish-cds", name}
	}
	cdnskey := []string{"--", "set-publish-cdnskey", name}
	switch a.cdnskey {
	case "":
		cdnskey[1] = "unset-publish-cdnskey"
	case "0":
		cdnskey = append(cdnskey, "delete")
	}
	return [][]string{cds, cdnskey}
}

func (a announcement) is(inv rollover.Inventory) bool {
	return strings.Join(inv.Metadata[metaCDS], " ") == a.cds && strings.Join(inv.Metadata[metaCDNSKEY], " ") == a.cdnskey
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
