package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultMost  = 10_000
	defaultEvery = 2 * time.Second

	// endTime is how long the last flush may take.
	endTime = 5 * time.Second

	// flushedAtOnce is how many buckets Config.Flush is given: with their hours and
	// days some thousands of rows, which a database takes in a fraction of a second.
	flushedAtOnce = 1000

	// keptIntervals is how many times Most buckets are kept while Flush fails.
	keptIntervals = 4

	shards = 16 // a power of 2
)

// Config says where counts go.
type Config struct {
	// Most is how many distinct sets of dimensions are told apart between two
	// flushes; 0 is 10,000. Requests of more are counted by their route alone, with
	// Other as their key.
	Most int

	// Flush adds counts of minutes to what is kept: all of them, or none and an
	// error. Buckets of the same minute and dimensions come again and again.
	Flush func(context.Context, []Bucket) error

	// Every is the time between two flushes; 0 is 2 s. It is about as much as a
	// kill -9 loses.
	Every time.Duration

	// Log is told of flushes that fail and of counts that are lost; nil is nothing.
	Log *slog.Logger
}

// A Recorder counts requests in memory and hands the counts on. Add may be called
// by any number of goroutines; Run once.
type Recorder struct {
	cfg    Config
	seed   maphash.Seed
	sets   atomic.Int64 // of dimensions, in all shards
	shards [shards]shard

	kept     map[bucketKey]*Counts // not flushed yet; Run's alone
	failures int                   // of flushes in a row; Run's alone
}

// A shard is a part of what was counted since the last flush.
type shard struct {
	mu     sync.Mutex // guards counts, for some tens of nanoseconds
	counts map[bucketKey]*Counts
	_      [48]byte // the next shard's mutex has its own cache line
}

// A bucketKey is what a bucket is told apart by.
type bucketKey struct {
	minute int64 // since 1970
	Dims
}

// NewRecorder returns a Recorder. What it counts before Run begins is flushed by
// Run.
func NewRecorder(cfg Config) (*Recorder, error) {
	if cfg.Flush == nil || cfg.Most < 0 || cfg.Every < 0 {
		return nil, errors.New("a usage recorder needs a Flush, and Most and Every that are not negative")
	}
	cfg.Most = cmp.Or(cfg.Most, defaultMost)
	cfg.Every = cmp.Or(cfg.Every, defaultEvery)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	return &Recorder{cfg: cfg, seed: maphash.MakeSeed(), kept: map[bucketKey]*Counts{}}, nil
}

// Add counts a request of a time. It keeps nothing of s but the texts of
// dimensions and codes that are new.
func (r *Recorder) Add(now time.Time, s *Sample) {
	key := bucketKey{now.Unix() / 60, s.Dims}
	if r.count(key, s, int64(r.cfg.Most)) {
		return
	}
	key.Dims = Dims{Key: Other, Route: s.Route}
	if r.count(key, s, 2*int64(r.cfg.Most)) { // as many routes there may be
		return
	}
	key.Route = Other
	r.count(key, s, 1<<62)
}

// count counts a request, unless it is the first of its dimensions and there are
// most of them already.
func (r *Recorder) count(key bucketKey, s *Sample, most int64) bool {
	sh := &r.shards[maphash.Comparable(r.seed, key)%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.counts[key]
	if c == nil {
		if r.sets.Load() >= most { // by some few too many, as goroutines look at once
			return false
		}
		r.sets.Add(1)
		if sh.counts == nil {
			sh.counts = map[bucketKey]*Counts{}
		}
		c = &Counts{}
		sh.counts[key] = c
	}
	c.sample(s)
	return true
}

// Run flushes the counts again and again until ctx ends, and once more then, for
// at most five seconds. Counts that could not be flushed are kept for the next
// time; of too many the oldest are dropped.
func (r *Recorder) Run(ctx context.Context) {
	ticker := time.NewTicker(r.cfg.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.flush(ctx)
		case <-ctx.Done():
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
			defer cancel()
			r.flush(ending)
			if n := len(r.kept); n > 0 {
				r.cfg.Log.Error("usage counts are lost: they could not be stored before the end", "buckets", n)
			}
			return
		}
	}
}

// flush hands on everything that was counted, the oldest first.
func (r *Recorder) flush(ctx context.Context) {
	r.collect()
	order := slices.SortedFunc(maps.Keys(r.kept), compareKeys)
	var err error
	for some := range slices.Chunk(order, flushedAtOnce) {
		if err = r.cfg.Flush(ctx, r.buckets(some)); err != nil {
			break
		}
		for _, key := range some {
			delete(r.kept, key)
		}
	}
	r.report(ctx, err)
	r.drop()
}

// collect takes from the shards what they hold.
func (r *Recorder) collect() {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		counts := sh.counts
		sh.counts = nil
		r.sets.Add(-int64(len(counts)))
		sh.mu.Unlock()
		for key, c := range counts {
			if there := r.kept[key]; there != nil {
				there.Add(c)
			} else {
				r.kept[key] = c
			}
		}
	}
}

func (r *Recorder) buckets(keys []bucketKey) []Bucket {
	all := make([]Bucket, len(keys))
	for i, key := range keys {
		all[i] = Bucket{Span: Minute, Start: time.Unix(key.minute*60, 0).UTC(), Dims: key.Dims, Counts: *r.kept[key]}
	}
	return all
}

// report says once that flushes fail, and once that they succeed again.
func (r *Recorder) report(ctx context.Context, err error) {
	switch {
	case err == nil && r.failures > 0:
		r.cfg.Log.Info("usage counts are stored again", "failures", r.failures)
		r.failures = 0
	case err != nil:
		if r.failures++; r.failures == 1 && ctx.Err() == nil {
			r.cfg.Log.Warn("usage counts cannot be stored; they are kept and tried again", "error", err)
		}
	}
}

// drop forgets the oldest of what is kept beyond the bound.
func (r *Recorder) drop() {
	over := len(r.kept) - keptIntervals*r.cfg.Most
	if over <= 0 {
		return
	}
	var requests int64
	for _, key := range slices.SortedFunc(maps.Keys(r.kept), compareKeys)[:over] {
		requests += r.kept[key].Requests
		delete(r.kept, key)
	}
	r.cfg.Log.Error(fmt.Sprintf("usage counts are lost: more than %d buckets wait to be stored", keptIntervals*r.cfg.Most),
		"buckets", over, "requests", requests)
}

func compareKeys(a, b bucketKey) int {
	return cmp.Or(cmp.Compare(a.minute, b.minute), strings.Compare(a.Key, b.Key), strings.Compare(a.Owner, b.Owner),
		strings.Compare(a.Client, b.Client), strings.Compare(a.Route, b.Route))
}
