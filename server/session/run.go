package session

import (
	"context"
	"sync"
	"time"
)

const (
	watchEvery = time.Second
	usedFor    = time.Minute // after its last use a session counts as in use
	sweepEvery = time.Minute
	sweepFirst = 5 * time.Second        // after the start, when others want the store more
	sweepBatch = 500                    // sessions
	sweepPause = 100 * time.Millisecond // between batches: the store has other work
	touchBatch = 1000                   // sessions

	watchRenewals = 16 // that begin each time; the others come next
)

// Run does what time brings until ctx ends: it writes down who was seen, ends
// sessions that time has ended, also those that only a socket holds, and has the
// store swept. At the end it waits for renewals and look-ups under way, begins no
// more, and writes the last uses; the error says that they could not be written.
// It is called once, and its ctx should end after the last request.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { every(ctx, watchEvery, watchEvery, m.watch) })
	wg.Go(func() { every(ctx, m.flushEvery(), m.flushEvery(), func() { m.flushAndLog(ctx) }) })
	wg.Go(func() { every(ctx, sweepFirst, sweepEvery, func() { m.sweep(ctx) }) })
	wg.Wait()
	m.tasks.Close()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	m.memory.each(func(s *Session) {
		m.touched.add(s, 1)
	})
	return m.flush(last)
}

// every calls f after first and then again and again until ctx ends.
func every(ctx context.Context, first, then time.Duration, f func()) {
	for d := first; pause(ctx, d); d = then {
		f()
	}
}

// watch ends the sessions that time has ended. Idle ones are asked about first,
// since another process may have seen their owners; so are those that are not
// believed. Those in use are renewed when that is due: what only a socket holds
// may see no request for hours.
func (m *Manager) watch() {
	now, epoch, renewals := m.now(), m.epoch.Load(), 0
	m.memory.each(func(s *Session) {
		switch {
		case now >= s.expires:
			m.finish(s)
		case s.epoch.Load() != epoch || s.deadAt(now, m.idle()):
			m.recheck(s.hash)
		case renewals < watchRenewals && m.inUse(s, now) && m.due(s):
			if _, began := m.renewing(s, m.due); began {
				renewals++
			}
		}
	})
	m.endUnended()
}

// inUse reports whether a session is used, now or a moment ago: nobody waits for
// what the provider says of any other.
func (m *Manager) inUse(s *Session, now int64) bool {
	return m.cfg.Renew != nil && (s.watched() || now-s.seen.Load() <= usedFor.Milliseconds())
}

// sweep has sessions removed from the store that time has ended. Uses that other
// processes have not yet written get some time to arrive.
func (m *Manager) sweep(ctx context.Context) {
	for {
		now := m.cfg.Now()
		slack := m.cfg.Idle/20 + 2*m.flushEvery() + time.Minute
		n, err := m.store.Sweep(ctx, now, now.Add(-m.cfg.Idle-slack), sweepBatch)
		if err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("ended sessions could not be removed from the store", "error", err)
		}
		if err != nil || n < sweepBatch || !pause(ctx, sweepPause) {
			return
		}
	}
}

// touched are the sessions whose use is to be written to the store.
type touched struct {
	mu   sync.Mutex // guards list
	list []*Session // each with queued set
}

// add queues a session whose newest use is at least worth milliseconds after the
// one that the store knows. It looks again once the place in the queue is its own:
// a write that ended meanwhile may have taken the use along.
func (t *touched) add(s *Session, worth int64) {
	if !s.queued.CompareAndSwap(false, true) {
		return
	}
	if s.seen.Load()-s.written.Load() < worth {
		s.queued.Store(false)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, s)
}

func (t *touched) takeAll() []*Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.list
	t.list = nil
	return list
}

func (t *touched) giveBack(list []*Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, list...)
}

// evicted is told of a session that the memory lets go: its last use must not
// go with it.
func (m *Manager) evicted(s *Session) {
	if !s.over.Load() {
		m.touched.add(s, 1)
	}
}

func (m *Manager) flushAndLog(ctx context.Context) {
	if err := m.flush(ctx); err != nil && ctx.Err() == nil {
		m.cfg.Log.Warn("the last use of sessions could not be written to the store, it is tried again", "error", err)
	}
}

// flush writes uses to the store. What cannot be written stays for the next time.
func (m *Manager) flush(ctx context.Context) error {
	list := m.touched.takeAll()
	for len(list) > 0 {
		batch := list[:min(len(list), touchBatch)]
		if err := m.writeUses(ctx, batch); err != nil {
			m.touched.giveBack(list)
			return unavailable(err)
		}
		list = list[len(batch):]
	}
	return nil
}

func (m *Manager) writeUses(ctx context.Context, batch []*Session) error {
	touches := make([]Touch, 0, len(batch))
	for _, s := range batch {
		if !s.over.Load() {
			touches = append(touches, Touch{Hash: s.hash, SeenAt: time.UnixMilli(s.seen.Load()).UTC()})
		}
	}
	if len(touches) > 0 {
		if err := m.store.Touch(ctx, touches); err != nil {
			return err
		}
	}
	wrote := 0
	for _, s := range batch {
		if wrote < len(touches) && touches[wrote].Hash == s.hash {
			raise(&s.written, touches[wrote].SeenAt.UnixMilli())
			wrote++
		}
		s.queued.Store(false)
	}
	return nil
}

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
