package provider

import (
	"context"
	"sync"

	"wavegate/keychain/lookup"
)

// A flight is something that is done once for all who want it at the same time.
// The zero value is on the ground.
type flight struct {
	mu   sync.Mutex // guards open
	open *landing
}

// A landing is how a flight ends.
type landing struct {
	done chan struct{} // closed when err is set
	err  error
}

// do does f in a goroutine of its own, unless that is being done already, and waits
// for its end, or for that of ctx.
func (f *flight) do(ctx context.Context, tasks *lookup.Tasks, what func() error) error {
	f.mu.Lock()
	l := f.open
	if l == nil {
		l = &landing{done: make(chan struct{}), err: lookup.ErrPanicked}
		f.open = l
		f.mu.Unlock()
		fly := func() {
			defer f.land(l)
			l.err = what()
		}
		if !tasks.Start(fly) {
			fly()
		}
	} else {
		f.mu.Unlock()
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *flight) land(l *landing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = nil
	close(l.done)
}
