package session

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"
)

// tasks are the goroutines that a Manager has beside those of Run.
type tasks struct {
	mu     sync.Mutex // guards closed, and wg against being added to after it
	closed bool
	wg     sync.WaitGroup
}

// start runs f in a goroutine, or returns false when the Manager is at its end.
func (t *tasks) start(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.wg.Go(f)
	return true
}

// ending reports whether close was called.
func (t *tasks) ending() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// close lets nothing begin any more and waits for what has begun.
func (t *tasks) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wg.Wait()
}

// errPanicked is the outcome of something that panicked. What it panicked with
// may hold secrets and goes nowhere.
var errPanicked = errors.New("it panicked")

// safely calls f and makes an error of a panic.
func (m *Manager) safely(f func() error) (err error) {
	err = errPanicked // also when f leaves by runtime.Goexit
	defer func() {
		if p := recover(); p != nil {
			m.cfg.Log.Error("panic while a session was looked up or renewed", "stack", string(debug.Stack()))
		}
	}()
	return f()
}

// A gate lets a number of askers in and makes the others wait.
type gate chan struct{}

func newGate(n int) gate { return make(gate, n) }

var errBusy = errors.New("too many sessions are looked up at once")

// enter waits for a place, for as long as ctx and gateTimeout allow. Who has
// gone gets none, even where one is free.
func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return g.stay(ctx)
	default:
	}
	timer := time.NewTimer(gateTimeout)
	defer timer.Stop()
	select {
	case g <- struct{}{}:
		return g.stay(ctx)
	case <-ctx.Done():
		return unavailable(context.Cause(ctx))
	case <-timer.C:
		return unavailable(errBusy)
	}
}

func (g gate) stay(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	g.leave()
	return unavailable(context.Cause(ctx))
}

func (g gate) leave() { <-g }

// pause waits for d, or returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
