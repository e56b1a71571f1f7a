package probe

import (
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rollover/rollover"
	"rollover/rollover/lab"
)

// What a look at a zone may cost that has nothing but hostile servers, as many as are
// asked.
const (
	mostMemory = 64 << 20 // octets above idle
	mostCPU    = 2 * time.Second
)

// worst are the attacks on memory and on the processor.
func worst() map[string]func() (*lab.Hostile, error) {
	return map[string]func() (*lab.Hostile, error){
		"babblers":   func() (*lab.Hostile, error) { return lab.NewBabbler(maxRecords - 1) },
		"chatterers": func() (*lab.Hostile, error) { return lab.NewBabbler(maxRecords + 88) },
		"sigjams":    func() (*lab.Hostile, error) { return lab.NewSigJam(zone) },
	}
}

// BenchmarkWorstServers is what a look costs at a zone with 64 hostile servers, as
// parts of what it may. The servers run in the same process, so their share is in it.
func BenchmarkWorstServers(b *testing.B) {
	for name, make := range worst() {
		b.Run(name, func(b *testing.B) {
			c, q := besieged(b, make, maxServers)
			for range b.N {
				memory, cpu := cost(func() {
					if _, err := c.Look(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				})
				b.ReportMetric(float64(memory)/mostMemory, "of-64-MB")
				b.ReportMetric(cpu.Seconds()/mostCPU.Seconds(), "of-2-CPU-s")
			}
		})
	}
}

// besieged is a question about a zone all of whose servers are hostile.
func besieged(t testing.TB, hostile func() (*lab.Hostile, error), n int) (*Client, rollover.Question) {
	q := rollover.Question{Zone: zone, Records: []rollover.Record{rollover.RecordDNSKEY, rollover.RecordData}, ServersOnly: true, Thorough: true}
	for range n {
		h, err := hostile()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() }) // it has no work left
		q.Servers = append(q.Servers, h.Addr())
	}
	c := &Client{Timeout: 10 * time.Second}
	t.Cleanup(func() { _ = c.Close() })
	return c, q
}

// cost is the most memory that objects take while f runs, above what they take before,
// and the time of all processors.
func cost(f func()) (octets uint64, cpu time.Duration) {
	runtime.GC()
	idle, before := objects(), used()
	var most atomic.Uint64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for ticker := time.NewTicker(time.Millisecond); ; {
			most.Store(max(most.Load(), objects()))
			select {
			case <-done:
				ticker.Stop()
				return
			case <-ticker.C:
			}
		}
	}()
	f()
	close(done)
	<-ended
	return most.Load() - min(idle, most.Load()), used() - before
}

func objects() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail with this argument
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Each of the attacks ends at a bound that is named, and none at a server that is
// believed.
func TestTheWorstServers(t *testing.T) {
	for name, hostile := range worst() {
		t.Run(name, func(t *testing.T) {
			servers := 24
			if name == "sigjams" {
				servers = 8 // whose answers are not too large together
			}
			c, q := besieged(t, hostile, servers)
			s, err := c.Look(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, v := range s.Servers {
				told = append(told, v.Unknown)
				for _, f := range slices.Concat(faults(v.DNSKEY), dataFaults(v.Data)) {
					told = append(told, f.Fault)
				}
				if v.DNSKEY != nil && len(v.DNSKEY.Signers) > 0 || v.Data != nil && len(v.Data.Signers) > 0 {
					t.Errorf("%s is believed", v.Server)
				}
			}
			want := map[string]string{"sigjams": "more signatures to check in what all servers show", "chatterers": "too much: an answer with 601 records", "babblers": "too much: the answers of all servers"}[name]
			if !strings.Contains(strings.Join(told, "\n"), want) {
				slices.Sort(told)
				t.Errorf("expected %q in %q", want, slices.Compact(told))
			}
		})
	}
}

func faults(v *rollover.KeyVersion) []rollover.Signature {
	if v == nil {
		return nil
	}
	return v.Faults
}

func dataFaults(v *rollover.DataVersion) []rollover.Signature {
	if v == nil {
		return nil
	}
	return v.Faults
}
