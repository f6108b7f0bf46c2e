package keychain

import (
	"context"
	"sync"
)

// A checker runs bcrypt: few at a time, one for all who ask about the same pair
// at the same moment. It has no goroutines of its own. Whoever asks first runs
// the comparison in its own goroutine; if it must leave before, one of the
// others takes over.
type checker struct {
	compare func(hash, secret string) bool // bcrypt; counted or cheap in tests
	slots   chan struct{}                  // holds one value for each comparison that runs
	most    int                            // flights that may be open at once

	mu   sync.Mutex // guards open and the askers of each flight
	open map[tag]*flight
}

// A flight is one comparison that is waiting or running.
type flight struct {
	askers int           // how many wait for it; guarded by checker.mu
	lead   chan struct{} // holds a value while somebody leads
	done   chan struct{} // closed when ok is set
	ok     bool
}

func newChecker(workers, queue int, compare func(hash, secret string) bool) *checker {
	return &checker{
		compare: compare,
		slots:   make(chan struct{}, workers),
		most:    workers + queue,
		open:    make(map[tag]*flight),
	}
}

// check reports whether secret belongs to the hash. t names the pair. known
// reports whether the pair is remembered by now and remember keeps it.
//
// Until its comparison begins, a caller leaves when ctx ends or admit objects;
// afterwards it stays for the outcome, so that every admitted guess is one that
// its caller hears about and can count.
func (c *checker) check(ctx context.Context, t tag, hash, secret string, admit func() error, e *entry) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	f, remembered, err := c.join(t, e)
	if remembered || err != nil {
		return remembered, err
	}
	select {
	case <-f.done:
		return f.ok, nil
	case <-ctx.Done():
		c.leave(t, f)
		return false, ctx.Err()
	case f.lead <- struct{}{}:
	}
	landed := false
	defer func() {
		if !landed { // the next asker leads
			<-f.lead
			c.leave(t, f)
		}
	}()
	if err := c.admitted(ctx, admit); err != nil {
		return false, err
	}
	defer func() { <-c.slots }()
	f.ok = inBackground(func() bool { return c.compare(hash, secret) })
	if f.ok {
		e.remember(t)
	}
	c.land(t, f)
	landed = true
	return f.ok, nil
}

// admitted waits for a slot and then asks whether the comparison may still be
// made. On error no slot is held.
func (c *checker) admitted(ctx context.Context, admit func() error) error {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	ok := false
	defer func() {
		if !ok { // also when admit panics
			<-c.slots
		}
	}()
	if err := ctx.Err(); err != nil { // select picks at random when both were ready
		return err
	}
	if admit != nil {
		if err := admit(); err != nil {
			return err
		}
	}
	ok = true
	return nil
}

// join returns the open flight of a pair or a new one. It looks at the memory
// once more under the lock: a flight that landed since the caller looked has
// written it before it was taken off the map.
func (c *checker) join(t tag, e *entry) (f *flight, remembered bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.remembers(&t) {
		return nil, true, nil
	}
	f = c.open[t]
	if f == nil {
		if len(c.open) >= c.most {
			return nil, false, ErrBusy
		}
		f = &flight{lead: make(chan struct{}, 1), done: make(chan struct{})}
		c.open[t] = f
	}
	f.askers++
	return f, false, nil
}

// leave takes one asker off a flight that did not begin for it, and the flight
// off the map with the last one.
func (c *checker) leave(t tag, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.askers--
	if f.askers == 0 && c.open[t] == f {
		delete(c.open, t)
	}
}

// land publishes the outcome. The lead is never given back.
func (c *checker) land(t tag, f *flight) {
	c.mu.Lock()
	delete(c.open, t)
	c.mu.Unlock()
	close(f.done)
}
