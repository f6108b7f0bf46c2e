package usage

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSpanOf(t *testing.T) {
	east := time.FixedZone("east", 5*60*60+30*60)
	for _, tt := range []struct {
		span Span
		at   time.Time
		want string
	}{
		{Minute, start, "2026-03-01T23:59:00Z"},
		{Hour, start, "2026-03-01T23:00:00Z"},
		{Day, start, "2026-03-01T00:00:00Z"},
		{Day, start.In(east), "2026-03-01T00:00:00Z"}, // there it is March 2
		{Hour, start.In(east), "2026-03-01T23:00:00Z"},
		{Day, time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), "2024-02-29T00:00:00Z"},
	} {
		want(t, fmt.Sprint(tt.span, tt.at), tt.span.Of(tt.at).Format(time.RFC3339Nano), tt.want)
	}
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(0, rapid.Int64Range(0, math.MaxInt64).Draw(t, "at"))
		for span, long := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour} {
			begins := Span(span).Of(at)
			if begins.After(at) || at.Sub(begins) >= long || !Span(span).Of(begins).Equal(begins) {
				t.Fatalf("the bucket of %v is %v", at, begins)
			}
		}
	})
}

func TestLatencyBuckets(t *testing.T) {
	for _, tt := range []struct {
		took time.Duration
		want int
	}{
		{-1, 0},
		{0, 0},
		{time.Millisecond, 0},
		{time.Millisecond + 1, 1},
		{2500 * time.Microsecond, 1},
		{time.Second, 9},
		{10 * time.Second, 12},
		{10*time.Second + 1, 13},
		{time.Hour, 13},
	} {
		want(t, tt.took.String(), bucketOf(tt.took), tt.want)
	}
}

func TestPercentile(t *testing.T) {
	counts := func(latency map[int]int64) *Counts {
		c := &Counts{}
		for i, n := range latency {
			c.Latency[i] = n
		}
		return c
	}
	for _, tt := range []struct {
		name string
		c    *Counts
		p    float64
		want time.Duration
	}{
		{"nothing", counts(nil), 0.5, 0},
		{"half of one bucket", counts(map[int]int64{0: 10}), 0.5, 500 * time.Microsecond},
		{"all of one bucket", counts(map[int]int64{6: 3}), 1, 100 * time.Millisecond},
		{"none of one bucket", counts(map[int]int64{6: 3}), 0, 50 * time.Millisecond},
		{"the end of the first of two", counts(map[int]int64{3: 50, 9: 50}), 0.5, 10 * time.Millisecond},
		{"within the second of two", counts(map[int]int64{3: 50, 9: 50}), 0.75, 750 * time.Millisecond},
		{"beyond the last bound", counts(map[int]int64{0: 1, 13: 99}), 0.99, 10 * time.Second},
		{"beyond the last bound alone", counts(map[int]int64{13: 1}), 0.5, 10 * time.Second},
		{"less than none", counts(map[int]int64{0: 10}), -1, 0},
		{"more than all", counts(map[int]int64{0: 10}), 2, time.Millisecond},
	} {
		if got := tt.c.Percentile(tt.p); got.Round(time.Microsecond) != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestPercentileIsInTheRightBucket compares the estimate with the sorted truth.
func TestPercentileIsInTheRightBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		took := rapid.SliceOfN(rapid.Int64Range(0, int64(15*time.Second)), 1, 50).Draw(t, "took")
		c := &Counts{}
		for _, d := range took {
			c.sample(&Sample{Took: time.Duration(d)})
		}
		slices.Sort(took)
		for k, d := range took {
			is := c.Percentile((float64(k) + 0.5) / float64(len(took)))
			if got, want := bucketOf(is), min(bucketOf(time.Duration(d)), len(Bounds)-1); got != want {
				t.Fatalf("%v for %v, which is number %d of %v", is, time.Duration(d), k, took)
			}
		}
	})
}

func TestCodesOfRefusalsAreBounded(t *testing.T) {
	a, b := &Counts{}, &Counts{}
	for i := range 100 {
		a.sample(&Sample{Refusal: fmt.Sprint("a", i)})
		b.sample(&Sample{Refusal: fmt.Sprint("b", i)})
	}
	a.sample(&Sample{Refusal: "a0"})
	want(t, "known code", a.Refusals["a0"], int64(2))
	want(t, "others", a.Refusals[Other], int64(100-maxCodes))
	a.Add(b)
	want(t, "codes", len(a.Refusals), maxCodes+1)
	var sum int64
	for _, n := range a.Refusals {
		sum += n
	}
	want(t, "refusals", sum, int64(201))
}
