package usage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	start     = time.Date(2026, 3, 1, 23, 59, 30, 0, time.UTC)
	errFailed = errors.New("the store failed")
)

func newRecorder(t testing.TB, cfg Config) *Recorder {
	t.Helper()
	r, err := NewRecorder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A sink adds up what is flushed.
type sink struct {
	mu    sync.Mutex // guards the rest
	all   map[bucketKey]*Counts
	calls int
	fails func(call int) bool // nil never
}

func (s *sink) flush(_ context.Context, buckets []Bucket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.fails != nil && s.fails(s.calls) {
		return errFailed
	}
	if s.all == nil {
		s.all = map[bucketKey]*Counts{}
	}
	for _, b := range buckets {
		key := bucketKey{b.Start.Unix() / 60, b.Dims}
		if s.all[key] == nil {
			s.all[key] = &Counts{}
		}
		s.all[key].Add(&b.Counts)
	}
	return nil
}

func (s *sink) total() (c Counts) {
	for _, one := range s.all {
		c.Add(one)
	}
	return c
}

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestNewRecorderRefusesNonsense(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no Flush":       {},
		"negative Most":  {Flush: discard, Most: -1},
		"negative Every": {Flush: discard, Every: -1},
	} {
		if _, err := NewRecorder(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestFlushedIsWhatWasAdded counts from many goroutines while flushes go on and
// every other one fails: nothing is lost and nothing counted twice.
func TestFlushedIsWhatWasAdded(t *testing.T) {
	s := &sink{fails: func(call int) bool { return call%2 == 1 }}
	r := newRecorder(t, Config{Flush: s.flush, Every: time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	var running, adding sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	parts := make([]map[bucketKey]*Counts, 8)
	for i := range parts {
		parts[i] = map[bucketKey]*Counts{}
		adding.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 5000 {
				now, sample := start.Add(time.Duration(random.IntN(120))*time.Second), randomSample(random)
				r.Add(now, &sample)
				key := bucketKey{now.Unix() / 60, sample.Dims}
				if parts[i][key] == nil {
					parts[i][key] = &Counts{}
				}
				parts[i][key].sample(&sample)
			}
		})
	}
	adding.Wait()
	stop()
	running.Wait()
	s.fails = nil
	r.flush(t.Context()) // what the last flush of Run failed to store
	added := map[bucketKey]*Counts{}
	for _, part := range parts {
		for key, c := range part {
			if added[key] == nil {
				added[key] = &Counts{}
			}
			added[key].Add(c)
		}
	}
	want(t, "flushed", s.all, added)
	if r.sets.Load() != 0 || len(r.kept) != 0 {
		t.Errorf("%d sets and %d buckets are left", r.sets.Load(), len(r.kept))
	}
}

func randomSample(random *rand.Rand) Sample {
	return Sample{
		Dims: Dims{
			Key: fmt.Sprint("key_", random.IntN(5)), Owner: fmt.Sprint("sub:", random.IntN(3)),
			Client: fmt.Sprint("client", random.IntN(2)), Route: fmt.Sprint("route", random.IntN(3)),
		},
		Refusal: []string{"", "", "insufficient_scope", "rate_limit_exceeded"}[random.IntN(4)],
		Failed:  random.IntN(10) == 0,
		BytesIn: random.Int64N(1000), BytesOut: random.Int64N(100_000),
		Took: time.Duration(random.Int64N(int64(20 * time.Second))),
	}
}

func TestAddAllocatesNothingForKnownDimensions(t *testing.T) {
	r := newRecorder(t, Config{Flush: discard})
	s := &Sample{Dims: Dims{Key: "key_1", Owner: "sub:1", Route: "streams"}, Refusal: "locked_out", Took: time.Second}
	if n := testing.AllocsPerRun(100, func() { r.Add(start, s) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// TestMemoryIsBoundedWhateverComes counts keys and then routes without end.
func TestMemoryIsBoundedWhateverComes(t *testing.T) {
	s := &sink{}
	r := newRecorder(t, Config{Flush: s.flush, Most: 100})
	const many = 5000
	for i := range many {
		r.Add(start, &Sample{Dims: Dims{Key: fmt.Sprint(i), Owner: "ann", Route: "streams"}, BytesIn: 1})
	}
	if n := r.sets.Load(); n != 101 {
		t.Errorf("%d sets, want 100 and one more", n)
	}
	for i := range many {
		r.Add(start, &Sample{Dims: Dims{Route: fmt.Sprint("route", i)}, BytesIn: 1})
	}
	if n := r.sets.Load(); n != 201 {
		t.Errorf("%d sets, want 200 and one more", n)
	}
	r.flush(t.Context())
	total := s.total()
	want(t, "requests and bytes", []int64{total.Requests, total.BytesIn}, []int64{2 * many, 2 * many})
	minute := start.Unix() / 60
	want(t, "requests together", s.all[bucketKey{minute, Dims{Key: Other, Route: "streams"}}].Requests, int64(many-100))
	want(t, "routes together", s.all[bucketKey{minute, Dims{Key: Other, Route: Other}}].Requests, int64(many-99))
	r.Add(start, &Sample{Dims: Dims{Key: "9999"}})
	r.flush(t.Context())
	want(t, "after a flush there is room", s.all[bucketKey{minute, Dims{Key: "9999"}}].Requests, int64(1))
}

// TestFailedFlushKeepsCounts has some thousands of buckets, of which the second
// part fails at first: the first part is not flushed again.
func TestFailedFlushKeepsCounts(t *testing.T) {
	s := &sink{fails: func(call int) bool { return call == 2 }}
	r := newRecorder(t, Config{Flush: s.flush})
	add := func() {
		for i := range 2*flushedAtOnce + 1 {
			r.Add(start, &Sample{Dims: Dims{Key: fmt.Sprint(i)}})
		}
	}
	add()
	r.flush(t.Context())
	want(t, "flushed at first", s.total().Requests, int64(flushedAtOnce))
	add()
	r.flush(t.Context())
	want(t, "flushed then", s.total().Requests, int64(2*(2*flushedAtOnce+1)))
	want(t, "calls", s.calls, 5)
}

// TestFailingStoreDropsTheOldest lets every flush of ten minutes fail.
func TestFailingStoreDropsTheOldest(t *testing.T) {
	var log bytes.Buffer
	s := &sink{fails: func(int) bool { return true }}
	r := newRecorder(t, Config{Flush: s.flush, Most: 10, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for minute := range 10 {
		for i := range 10 {
			r.Add(start.Add(time.Duration(minute)*time.Minute), &Sample{Dims: Dims{Key: fmt.Sprint(i)}})
		}
		r.flush(t.Context())
		want(t, "kept", len(r.kept), min(10*(minute+1), 40))
	}
	s.fails = nil
	r.flush(t.Context())
	want(t, "stored", s.total().Requests, int64(40))
	for key := range s.all {
		if key.minute < start.Unix()/60+6 {
			t.Errorf("minute %d was kept in place of a later one", key.minute-start.Unix()/60)
		}
	}
	for text, times := range map[string]int{"cannot be stored; they are kept": 1, "counts are lost": 6, "requests=10": 6, "stored again": 1} {
		if n := strings.Count(log.String(), text); n != times {
			t.Errorf("the log says %q %d times, want %d:\n%s", text, n, times, &log)
		}
	}
}

// TestRunFlushesAgainAndAgainAndAtTheEnd lives through two intervals.
func TestRunFlushesAgainAndAgainAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		r := newRecorder(t, Config{Flush: s.flush})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		for n := range int64(3) {
			want(t, "flushed before", s.total().Requests, n)
			r.Add(start, &Sample{})
			if n == 2 {
				break
			}
			time.Sleep(defaultEvery)
			synctest.Wait()
		}
		stop()
		running.Wait()
		want(t, "flushed at the end", s.total().Requests, int64(3))
	})
}

// TestHangingStoreDelaysTheEndByFiveSeconds has a store that never answers.
func TestHangingStoreDelaysTheEndByFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		hang := func(ctx context.Context, _ []Bucket) error {
			<-ctx.Done()
			return ctx.Err()
		}
		r := newRecorder(t, Config{Flush: hang, Log: slog.New(slog.NewTextHandler(&log, nil))})
		r.Add(start, &Sample{})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		began := time.Now()
		r.Run(ctx)
		want(t, "took", time.Since(began), endTime)
		if !strings.Contains(log.String(), "usage counts are lost") {
			t.Errorf("the log is %q", &log)
		}
	})
}
