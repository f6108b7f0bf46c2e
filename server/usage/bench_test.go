package usage

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func discard(context.Context, []Bucket) error { return nil }

// BenchmarkAdd counts requests of 1,000 keys, as one goroutine and as many.
func BenchmarkAdd(b *testing.B) {
	var samples [1000]Sample
	for i := range samples {
		samples[i] = Sample{
			Dims:    Dims{Key: fmt.Sprintf("key_%026d", i), Owner: "sub:usr_01234567890123456789012345", Route: "streams"},
			BytesIn: 100, BytesOut: 4000, Took: time.Duration(i) * 100 * time.Microsecond,
		}
	}
	b.Run("one", func(b *testing.B) {
		r := newRecorder(b, Config{Flush: discard})
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			r.Add(start, &samples[i%len(samples)])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		r := newRecorder(b, Config{Flush: discard})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				r.Add(start, &samples[i%len(samples)])
			}
		})
	})
	b.Run("one key in parallel", func(b *testing.B) {
		r := newRecorder(b, Config{Flush: discard})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r.Add(start, &samples[0])
			}
		})
	})
}
