package store

import (
	"fmt"
	"testing"
	"time"
)

// A tick with nothing due must not cost more with more zones.
func BenchmarkDueNothing(b *testing.B) {
	for _, zones := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(zones, " zones"), func(b *testing.B) {
			db := filled(b, zones)
			b.ReportAllocs()
			for b.Loop() {
				due, err := db.Due(epoch().Add(-time.Hour), 0)
				must(b, err)
				if len(due) > 0 {
					b.Fatal(due)
				}
			}
		})
	}
}

func BenchmarkDueAll(b *testing.B) {
	db := filled(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		due, err := db.Due(epoch().AddDate(1, 0, 0), 0)
		must(b, err)
		if len(due) != 100_000 {
			b.Fatal(len(due))
		}
	}
}

func BenchmarkHeaders(b *testing.B) {
	db := filled(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		must(b, db.Headers(func(Header) bool { n++; return true }))
		if n != 100_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	db := filled(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		_, err := db.Load(zoneName(50_000))
		must(b, err)
	}
}

func BenchmarkSaveOne(b *testing.B) {
	for _, zones := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(zones, " zones"), func(b *testing.B) {
			db := filled(b, zones)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				must(b, db.Save(sample(zoneName(n*7919%zones), n)))
			}
		})
	}
}

// The first save of a process looks at all pages before.
func BenchmarkSaveFirst(b *testing.B) {
	for _, zones := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(zones, " zones"), func(b *testing.B) {
			path := filled(b, zones).path
			b.SetBytes(int64(len(contents(b, path))))
			n := 0
			for b.Loop() {
				n++
				must(b, At(path).Save(sample(zoneName(n*7919%zones), n)))
			}
		})
	}
}

func BenchmarkSaveMany(b *testing.B) {
	entries := samples(100_000)
	for b.Loop() {
		must(b, At(statePath(b)).Save(entries...))
	}
}
