package rollover_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rollover/rollover"
)

// BenchmarkHostileZone is how much later the last of 50 honest zones enters its step
// because one more answers slowly. A look takes 20 ms and a command 20 ms, as on a
// small machine; the hostile zone takes 3 s for each look.
func BenchmarkHostileZone(b *testing.B) {
	for range b.N {
		without, with := lastStep(b, false), lastStep(b, true)
		b.ReportMetric(without.Seconds(), "s-without")
		b.ReportMetric(with.Seconds(), "s-with")
		b.ReportMetric(with.Seconds()/without.Seconds(), "times")
	}
}

func lastStep(b *testing.B, hostile bool) time.Duration {
	zones := []string{"a.example."}
	s := newStreet(b, zones...)
	s.ripe(b)
	for n := range 49 {
		zone := fmt.Sprintf("n%d.example.", n)
		zones, s.worlds[zone] = append(zones, zone), s.worlds["a.example."].Clone()
	}
	if hostile {
		zones, s.worlds["bad.example."] = append(zones, "bad.example."), s.worlds["a.example."].Clone()
	}
	s.look = func(_ context.Context, zone string) error {
		wait := 20 * time.Millisecond
		if zone == "bad.example." {
			wait = 3 * time.Second
		}
		time.Sleep(wait)
		return nil
	}
	e := s.engine()
	e.Looks, e.After, e.Signer = 64, time.After, slowHands{e.Signer}
	begun := time.Now()
	e.Now = func() rollover.Instant {
		now := s.worlds["a.example."].Now
		return rollover.Instant{Wall: now.Wall.Add(time.Since(begun)), Boot: now.Boot + time.Since(begun), BootID: now.BootID}
	}
	var last time.Duration
	e.Tell = func(event rollover.Event) {
		if event.Event == rollover.EventEntered && event.Zone != "bad.example." {
			last = time.Since(begun)
		}
	}
	if report, err := e.Tick(b.Context(), zones); err != nil || len(report.Failed) > 0 || last == 0 {
		b.Fatal(report.Failed, err, last)
	}
	return last
}

// slowHands takes 20 ms for each command.
type slowHands struct{ rollover.Signer }

func (s slowHands) Do(ctx context.Context, zone string, c rollover.Command) error {
	time.Sleep(20 * time.Millisecond)
	return s.Signer.Do(ctx, zone, c)
}

func (s slowHands) Inventory(ctx context.Context, zone string) (rollover.Inventory, error) {
	time.Sleep(20 * time.Millisecond)
	return s.Signer.Inventory(ctx, zone)
}
