package rollover_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"rollover/rollover"
	"rollover/rollover/rollovertest"
)

// filed is a Signer of zones in files: keys can be made, serials are not raised.
type filed struct{ *rollovertest.World }

func (filed) BumpSerial(context.Context, string) (uint32, error) {
	return 0, rollover.ErrRefused
}

// unable is a driver that knows beforehand that it cannot.
type unable struct{ rollover.Registrar }

func (unable) Prepare(_ context.Context, _, rollType string) error {
	if rollType == "zsk" {
		panic("nobody asks the parent for a ZSK")
	}
	return rollover.ErrRefused
}

// Where a step could be shown to nobody, no key is touched and nothing begins; a
// native zone has no serial to raise, and a ZSK no parent to ask.
func TestUnchangeableZonesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		zoneKind, rollType string
		files, driver      bool
		says               string
	}{
		"transferred":                      {rollover.KindMaster, "zsk", true, false, "serial cannot be raised"},
		"transferred, ksk":                 {rollover.KindMaster, "ksk", true, false, "serial cannot be raised"},
		"native":                           {rollover.KindNative, "zsk", true, false, ""},
		"the driver cannot":                {rollover.KindMaster, "ksk", false, true, "the driver pdnsutil could not ask"},
		"the driver cannot, native":        {rollover.KindNative, "ksk", false, true, "the driver pdnsutil could not ask"},
		"the driver cannot, and need not":  {rollover.KindMaster, "zsk", false, true, ""},
		"everything works as it should do": {rollover.KindMaster, "ksk", false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := rollovertest.New("split", unequal)
			w.ZoneKind = c.zoneKind
			before := len(w.Keys)
			w.Tune = func(e *rollover.Engine) {
				if c.files {
					e.Signer = filed{w}
				}
				if setting := e.Setting; c.driver {
					e.Setting = func(zone string) rollover.Setting {
						s := setting(zone)
						s.Driver, s.Registrar = "pdnsutil", unable{}
						return s
					}
				}
			}
			_, err := w.Engine(tight()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: c.rollType})
			if c.says == "" {
				if err != nil || len(w.Keys) != before+1 {
					t.Errorf("%v, %d keys", err, len(w.Keys))
				}
				return
			}
			if !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "no key of example.com. was touched") {
				t.Errorf("%v, expected to say %q", err, c.says)
			}
			if w.Roll() != nil || len(w.Keys) != before || made(w) > 0 {
				t.Errorf("something began: %v", w.Log)
			}
		})
	}
}

// A rollover that was begun by hand is not taken over either.
func TestUnchangeableZonesAreNotAdopted(t *testing.T) {
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	w.Forget()
	w.Tune = func(e *rollover.Engine) { e.Signer = filed{w} }
	if _, err := w.Engine(tight()).Adopt(context.Background(), rollovertest.Zone); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), "serial cannot be raised") {
		t.Errorf("%v", err)
	}
	if w.Roll() != nil {
		t.Error("it was taken over")
	}
}

// PowerDNS that shows no key at all has mostly been told to: the keys are not taken
// for lost, and the zone not for unsigned, without that question.
func TestNoKeyAtAll(t *testing.T) {
	const says = "DNSSEC was switched off for its back end in pdns.conf"
	w := rollovertest.New("split", unequal)
	start(t, w, tight(), rollover.Order{Type: "zsk"})
	keys := w.Keys
	w.Keys = nil
	drive(t, w, tight(), 10)
	r := w.Roll()
	if r.State != rollover.StateBlocked || r.Block.Code != rollover.BlockKeysChanged || !strings.Contains(r.Block.Remedy, says) {
		t.Fatalf("%s, %+v", r.State, r.Block)
	}
	w.Keys = keys
	if err := w.Engine(tight()).Resume(context.Background(), rollovertest.Zone, "put it back"); err != nil {
		t.Fatal(err)
	}
	drive(t, w, tight(), 200)
	finished(t, w)
	for _, rollType := range []string{"ksk", "sign"} {
		w := rollovertest.New("split", unequal)
		w.Keys = nil
		if _, err := w.Engine(tight()).Start(context.Background(), rollover.Order{Zone: rollovertest.Zone, Type: rollType}); !errors.Is(err, rollover.ErrRefused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", rollType, err)
		}
	}
}
