// Package usage counts what was done: requests, refusals, errors, bytes and
// latencies by key, person, client and route, gathered in bounded memory and
// handed to a store in batches. It keeps nothing on disk itself: package store
// does. It decides nothing either: what a request belongs to is told by whoever
// calls Recorder.Add.
package usage

import (
	"context"
	"time"
)

// A Span is how long a bucket is.
type Span uint8

// The spans, each with how long its buckets are kept unless told otherwise.
const (
	Minute Span = iota // a day
	Hour               // a month
	Day                // two years
)

// Of returns the beginning of the bucket that a time falls into (UTC).
func (s Span) Of(t time.Time) time.Time {
	return t.UTC().Truncate([...]time.Duration{Minute: time.Minute, Hour: time.Hour, Day: 24 * time.Hour}[s])
}

// Dims are what is told apart. Empty is none.
type Dims struct {
	Key    string // API key's or access key's ID
	Owner  string // as apikey.Record.Owner, or "sub:…" of whoever signed in
	Client string // OAuth client
	Route  string // name of the route, or "api" for this server's own
}

// Bounds are the upper bounds of the latency buckets, in seconds; one more
// bucket takes what is longer.
var Bounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// A Sample is one request.
type Sample struct {
	Dims
	Refusal  string // code of the refusal: "insufficient_scope"; "" for none
	Failed   bool   // answered 5xx
	BytesIn  int64
	BytesOut int64
	Took     time.Duration // negative: it says nothing about latency
}

// Counts are what a bucket holds.
type Counts struct {
	Requests int64
	Errors   int64
	BytesIn  int64
	BytesOut int64
	Refusals map[string]int64 // by code; nil for none
	Latency  [len(Bounds) + 1]int64
}

// A Bucket is the counts of one time and one set of dimensions.
type Bucket struct {
	Span  Span
	Start time.Time
	Dims
	Counts
}

// A Query chooses and groups.
type Query struct {
	Span     Span
	From, To time.Time // of the buckets' starts: from, before to
	Key      string    // these alone; "" is all
	Owner    string
	Client   string
	Route    string
	By       []string // "time", "key", "owner", "client", "route": what is told apart; empty is one total
	Limit    int
}

// A Store keeps buckets.
type Store interface {
	// AddUsage adds counts of minutes; the store adds them up to hours and days.
	AddUsage(ctx context.Context, buckets []Bucket) error

	// SweepUsage removes buckets that are older than what is kept, at most limit.
	SweepUsage(ctx context.Context, before map[Span]time.Time, limit int) (int, error)
}
