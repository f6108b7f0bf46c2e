package limit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ledgerTimeout bounds one call of the ledger, and how long a request waits for it.
const ledgerTimeout = 5 * time.Second

var errClosed = errors.New("limit: closed: nothing can be drawn any more")

// A flight is a draw under way. Whoever misses the same waits for it.
type flight struct {
	account string
	period  string
	forget  time.Time
	limit   int64
	want    int64
	back    int64 // given back before
	asked   int64 // microseconds

	done chan struct{}
	err  error // written before done is closed
}

// A drawn is what a flight brought.
type drawn struct {
	got, left   int64
	notReturned int64
	err         error
}

// draw starts to fill a budget, or joins who does. The state's lock is held. Bytes,
// for which nobody waits, take their turn with few others.
func (m *Memory) draw(s *state, b *budget, now *moment) *flight {
	if b.flight != nil {
		return b.flight
	}
	f := &flight{
		account: s.name, period: b.period, forget: b.forget,
		limit: b.limit, want: b.want(), back: b.back, asked: now.micro,
		done: make(chan struct{}),
	}
	start := m.jobs.start
	if b.kind == bytesMonth {
		start = m.jobs.queue
	}
	if !start(func() { m.fly(s, b, f) }) {
		f.err = errClosed
		close(f.done)
		return f
	}
	b.flight, b.back = f, 0
	return f
}

// fly asks the ledger and takes in what it says.
func (m *Memory) fly(s *state, b *budget, f *flight) {
	d := m.ask(f)
	s.mu.Lock()
	var after aftermath
	after.owe(b.land(f, d).of(f.account))
	if b.kind == bytesMonth && b.last() {
		after.last = append(after.last, reached{s.account, b.period, b.limit})
	}
	s.mu.Unlock()
	m.finish(&after)
	f.err = d.err
	close(f.done)
}

func (m *Memory) ask(f *flight) drawn {
	ctx, cancel := context.WithTimeout(context.Background(), ledgerTimeout)
	defer cancel()
	if f.back > 0 {
		if err := m.cfg.Ledger.Return(ctx, f.account, f.period, f.back); err != nil {
			return drawn{notReturned: f.back, err: fmt.Errorf("limit: give back %s of %s: %w", f.period, f.account, err)}
		}
	}
	got, left, err := m.cfg.Ledger.Draw(ctx, f.account, f.period, f.limit, f.want, f.forget)
	if err != nil {
		return drawn{err: fmt.Errorf("limit: draw %s of %s: %w", f.period, f.account, err)}
	}
	if got <= 0 {
		return drawn{}
	}
	return drawn{got: min(got, f.want), left: max(left, 0)}
}

// await waits for all flights, until ctx ends.
func await(ctx context.Context, flights []*flight) error {
	for _, f := range flights {
		select {
		case <-f.done:
		case <-ctx.Done():
			return fmt.Errorf("limit: wait for %s of %s: %w", f.period, f.account, ctx.Err())
		}
		if f.err != nil {
			return f.err
		}
	}
	return nil
}

// workers is how many of the queued jobs run at the same time.
const workers = 4

// A jobs runs what is done beside requests, and knows when all of it is done.
type jobs struct {
	mu      sync.Mutex // guards everything below
	waiting []func()
	workers int // that run what waits
	running int // goroutines
	closed  bool
	idle    chan struct{} // closed when nothing runs and nothing can begin
}

func newJobs() *jobs { return &jobs{idle: make(chan struct{})} }

// start runs f at once. It returns false where nothing may begin any more.
func (j *jobs) start(f func()) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false
	}
	j.running++
	go func() {
		f()
		j.mu.Lock()
		defer j.mu.Unlock()
		j.end()
	}()
	return true
}

// queue runs f when one of the workers is free.
func (j *jobs) queue(f func()) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false
	}
	j.waiting = append(j.waiting, f)
	if j.workers < workers {
		j.workers++
		j.running++
		go j.work()
	}
	return true
}

func (j *jobs) work() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.waiting) > 0 {
		f := j.waiting[0]
		j.waiting[0] = nil
		j.waiting = j.waiting[1:]
		j.mu.Unlock()
		f()
		j.mu.Lock()
	}
	j.waiting = nil
	j.workers--
	j.end()
}

func (j *jobs) end() {
	j.running--
	if j.closed && j.running == 0 {
		close(j.idle)
	}
}

// close lets nothing begin any more, and waits for what has.
func (j *jobs) close(ctx context.Context) error {
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		if j.running == 0 {
			close(j.idle)
		}
	}
	j.mu.Unlock()
	select {
	case <-j.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
