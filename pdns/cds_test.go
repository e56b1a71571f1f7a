package pdns

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rollover/rollover"
)

// What is to be served has its two commands, and is told by its metadata from all
// else.
func TestAnnouncements(t *testing.T) {
	all := map[announcement]string{
		{"2", "1"}: "-- set-publish-cds a 2 -- set-publish-cdnskey a", {"2,4", ""}: "-- set-publish-cds a 2,4 -- unset-publish-cdnskey a",
		{"0", "0"}: "-- set-publish-cds a 0 -- set-publish-cdnskey a delete", {"0", ""}: "-- set-publish-cds a 0 -- unset-publish-cdnskey a",
		{"", ""}: "-- unset-publish-cds a -- unset-publish-cdnskey a",
	}
	for a, want := range all {
		if got := strings.Join(slices.Concat(a.commands("a")...), " "); got != want {
			t.Errorf("%v: %q, want %q", a, got, want)
		}
		meta := map[string][]string{}
		for kind, value := range map[string]string{metaCDS: a.cds, metaCDNSKEY: a.cdnskey} {
			if value != "" {
				meta[kind] = []string{value}
			}
		}
		for other := range all {
			if got := other.is(rollover.Inventory{Metadata: meta}); got != (other == a) {
				t.Errorf("%v is %v: %v", a, other, got)
			}
		}
	}
}

// Digest types that break transfers, and none at all, are refused before anything
// is run; so is a zone without keys, unless its records are taken away.
func TestAnnouncementsThatAreRefused(t *testing.T) {
	for want, digests := range map[string][]uint8{"2,4": {4, 2}, "4": {4}, "": nil, "refused": {2, 3}} {
		got, err := digestList(digests)
		if refused := want == "" || want == "refused"; refused != errors.Is(err, rollover.ErrRefused) || !refused && got != want {
			t.Errorf("%v: %q, %v", digests, got, err)
		}
	}
	silent := &Tool{Command: []string{"/bin/false"}}
	if _, err := silent.PublishCDS(t.Context(), "a.", []uint8{1}, true); !errors.Is(err, rollover.ErrRefused) {
		t.Errorf("digest type 1: %v", err)
	}
	const bare = `echo "$@" >>"$D/log"; shift
case $1 in show-zone)
  echo "This is a Native zone"; echo "Zone is not actively secured"
  if [ -e "$D/meta" ]; then echo "Metadata items: "; printf '\tPUBLISH-CDS\t0\n'; else echo "Metadata items: None"; fi
  echo "No keys for zone '$2'." >&2 ;;
unset-publish-cds) rm "$D/meta" ;;
esac`
	tool, dir := scripted(t, bare)
	tool.Control = nil
	write(t, dir+"/meta", "")
	for _, err := range []error{second(tool.PublishCDS(t.Context(), "a.", []uint8{2}, true)), second(tool.PublishDelete(t.Context(), "a.", true))} {
		if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "has no key that could sign CDS records") || strings.Contains(read(t, dir+"/log"), "publish") {
			t.Errorf("without keys: %v, %s", err, read(t, dir+"/log"))
		}
	}
	if err := tool.RetractCDS(t.Context(), "a."); err != nil || !strings.Contains(read(t, dir+"/log"), "unset-publish-cds") {
		t.Errorf("taking away: %v", err)
	}
}

func second(_ bool, err error) error { return err }

// Who has secondaries tells them: a primary and a producer, and nobody else.
func TestWhoIsToldOfAChange(t *testing.T) {
	for kind, told := range map[string]bool{rollover.KindMaster: true, rollover.KindProducer: true, rollover.KindNative: false, rollover.KindSlave: false, rollover.KindConsumer: false} {
		tool, dir := scripted(t, `echo "$2" >>"$D/log"
case $2 in
increase-serial) echo "SOA serial for zone a set to 2" ;;
purge) echo 1 ;;
notify) echo "Added to queue" ;;
esac`)
		err := tool.announce(t.Context(), rollover.Inventory{Zone: "a.", Kind: kind})
		want := "purge\n"
		if told {
			want = "increase-serial\npurge\nnotify\n"
		}
		if got := read(t, dir+"/log"); err != nil || got != want {
			t.Errorf("%s: %q, %v", kind, got, err)
		}
	}
}
