package apikey

import (
	"context"
	"sync"
	"time"
)

const (
	watchEvery = time.Second
	flushEvery = 10 * time.Second
)

// Run writes last uses to the store in batches, every ten seconds and once more
// when ctx ends, and ends keys that expire. It returns the error of the last
// write. It is called once, and its ctx should end after the last request.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { every(ctx, watchEvery, m.watch) })
	wg.Go(func() { every(ctx, flushEvery, func() { m.flushAndLog(ctx) }) })
	wg.Wait()
	m.tasks.Close()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return m.flush(last, true)
}

// watch ends the keys that have expired, and sees after those in doubt.
func (m *Manager) watch() {
	for _, k := range m.memory.expired(m.now()) {
		k.end()
	}
	m.insist()
}

func (m *Manager) flushAndLog(ctx context.Context) {
	if err := m.flush(ctx, false); err != nil && ctx.Err() == nil {
		m.cfg.Log.Warn("the last use of API keys could not be written to the store, it is tried again", "error", err)
	}
}

// every calls f again and again until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}
