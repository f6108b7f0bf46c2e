package oidc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The pause after a failed request: it doubles from the first to the last.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// A document is something that the provider publishes: its metadata, its keys.
// It is fetched when it is first wanted, by one request for all who wait; not
// again soon after a failure; and again in the background when it is old, while
// the old one serves, also for as long as that fails.
type document[T any] struct {
	fetch   func(context.Context) (T, error)
	life    *lifetime
	now     func() time.Time
	timeout time.Duration

	mu       sync.Mutex // guards what follows
	value    T
	fetched  time.Time     // when value was; zero: there is none
	tried    time.Time     // when the last request ended
	failures int           // since the last success
	err      error         // why the last request failed; nil when it did not
	flight   chan struct{} // closed when the request under way ends; nil: none is
}

func newDocument[T any](life *lifetime, cfg Config, fetch func(context.Context) (T, error)) *document[T] {
	return &document[T]{fetch: fetch, life: life, now: cfg.Now, timeout: cfg.Timeout}
}

// get returns the document. It waits only while there is none yet.
func (d *document[T]) get(ctx context.Context) (T, error) {
	d.mu.Lock()
	if !d.fetched.IsZero() {
		defer d.mu.Unlock()
		if d.now().Sub(d.fetched) >= freshFor && d.pause() <= 0 {
			d.depart()
		}
		return d.value, nil
	}
	return d.wait(ctx)
}

// renew fetches the document again unless the last request was less than rest
// ago, and returns what there is then.
func (d *document[T]) renew(ctx context.Context, rest time.Duration) (T, error) {
	d.mu.Lock()
	if d.flight == nil && !d.fetched.IsZero() && d.now().Sub(d.tried) < rest {
		defer d.mu.Unlock()
		return d.value, nil
	}
	return d.wait(ctx)
}

// wait is called with d.mu held and gives it back. It waits for the request
// that is under way, or for one that it starts unless the last one failed just
// now, and returns its outcome.
func (d *document[T]) wait(ctx context.Context) (T, error) {
	var none T
	if d.flight == nil {
		if pause := d.pause(); pause > 0 {
			defer d.mu.Unlock()
			return none, again(d.err, pause)
		}
		d.depart()
	}
	flight := d.flight
	d.mu.Unlock()
	if flight == nil {
		return none, failure(Unreachable, "wavegate is stopping")
	}
	select {
	case <-ctx.Done():
		return none, failure(Unreachable, "waiting for the provider: %w", context.Cause(ctx))
	case <-flight:
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return none, d.err
	}
	return d.value, nil
}

// pause returns how long no request is to be made because the last ones failed.
// It is called with d.mu held.
func (d *document[T]) pause() time.Duration {
	if d.failures == 0 {
		return 0
	}
	pause := lastPause
	if doublings := d.failures - 1; doublings < 6 {
		pause = min(lastPause, firstPause<<doublings)
	}
	return pause - d.now().Sub(d.tried)
}

// depart starts a request unless one is under way. It is called with d.mu held.
func (d *document[T]) depart() {
	if d.flight != nil {
		return
	}
	flight := make(chan struct{})
	if d.life.start(func() { d.fly(flight) }) {
		d.flight = flight
	}
}

// fly makes the request, for however long those who wait for it may stay.
func (d *document[T]) fly(flight chan struct{}) {
	ctx, cancel := context.WithTimeout(d.life.ctx, d.timeout)
	defer cancel()
	value, err := d.fetch(ctx)

	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.tried, d.flight = err, d.now(), nil
	if err != nil {
		d.failures++
	} else {
		d.failures, d.value, d.fetched = 0, value, d.tried
	}
	close(flight)
}

func (d *document[T]) status() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// again is err, which happened before, with the time until the next attempt.
func again(err error, pause time.Duration) error {
	repeated := Error{Kind: Unreachable, err: err}
	if e, ok := errors.AsType[*Error](err); ok {
		repeated = *e
	}
	repeated.err = fmt.Errorf("%w (asked again in %s)", repeated.err, pause.Round(time.Second).String())
	return &repeated
}
