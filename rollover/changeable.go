package rollover

import (
	"context"
	"fmt"
)

// changeable says, before the first key is touched, why a step could not be shown to
// secondaries or to the parent: a back end that reads records from files takes keys
// and no records. Nothing tells but a change, so the serial of a zone that secondaries
// transfer is raised once.
func (v *visit) changeable(ctx context.Context) error {
	zone := v.dossier.Zone
	if transferred(v.zoneKind) {
		if err := v.raiseSerial(ctx); err != nil {
			return fmt.Errorf("no key of %s was touched: secondaries would see no step, for its SOA serial cannot be raised: %w", zone, err)
		}
	}
	driver, ok := v.setting.Registrar.(Preparer)
	if !ok || !v.roll.usesParent() {
		return nil
	}
	if err := driver.Prepare(ctx, zone, v.roll.Type); err != nil {
		return fmt.Errorf("no key of %s was touched: the driver %s could not ask its parent: %w", zone, v.setting.Driver, err)
	}
	return nil
}
