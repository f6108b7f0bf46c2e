// Package lookup is what the memories of API keys, of sessions and of OAuth clients
// and tokens share: a gate before the store, a short memory of what the store did
// not know, a queue of what expires, and goroutines that end with their owner. It
// knows none of these, and asks no store itself.
package lookup

import (
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
)

// Tasks are the goroutines that an owner starts beside its own. The zero value has
// none.
type Tasks struct {
	mu     sync.Mutex // guards closed, and wg against being added to after it
	closed bool
	wg     sync.WaitGroup
}

// Start runs f in a goroutine, or returns false when the owner is at its end.
func (t *Tasks) Start(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.wg.Go(f)
	return true
}

// Ending reports whether Close was called.
func (t *Tasks) Ending() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// Close lets nothing begin any more and waits for what has begun.
func (t *Tasks) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wg.Wait()
}

// ErrPanicked is the outcome of something that panicked. What it panicked with
// may hold secrets and goes nowhere.
var ErrPanicked = errors.New("it panicked")

// Safely calls f and makes an error of a panic, which is logged with what was being
// done.
func Safely(log *slog.Logger, doing string, f func() error) (err error) {
	err = ErrPanicked // also when f leaves by runtime.Goexit
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic while "+doing, "stack", string(debug.Stack()))
		}
	}()
	return f()
}
