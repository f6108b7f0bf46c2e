package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// EndUnless ends the sessions in use here that keep does not keep, after who
// vouches for people changed. Sessions that nobody uses are left for keep to be
// asked when they are used again.
//
// They end in this process at once, their sockets with them, whatever the store
// does. The error names those that the store still has: Run ends them there when
// it can, and until then keep has to be asked about what is read from the store.
func (m *Manager) EndUnless(ctx context.Context, keep func(*Record) bool) error {
	var ids []string
	m.memory.each(func(s *Session) {
		if r := s.Record(); !keep(r) {
			m.finish(s)
			ids = append(ids, r.ID)
		}
	})
	var errs []error
	for _, id := range ids {
		if err := m.endStored(ctx, id); err != nil {
			m.unended.add(id)
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
		}
	}
	if n := len(errs) - mostErrors; n > 0 {
		errs = append(errs[:mostErrors], fmt.Errorf("and %d more", n))
	}
	return errors.Join(errs...)
}

// mostErrors is how many sessions an error of EndUnless names.
const mostErrors = 5

// endStored ends a session in the store, which this process has ended, and once
// more here, should it have been read meanwhile.
func (m *Manager) endStored(ctx context.Context, id string) error {
	f := Filter{ID: id}
	if _, err := m.store.End(ctx, f); err != nil {
		return unavailable(err)
	}
	m.ended(f)
	return nil
}

// unended are the sessions that this process has ended and the store has not.
type unended struct {
	mu   sync.Mutex // guards the rest
	ids  map[string]struct{}
	busy bool // they are being ended
}

func (u *unended) add(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ids[id] = struct{}{}
}

func (u *unended) remove(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.ids, id)
}

// begin returns the sessions, or none when somebody else is at them. Who got some
// calls end afterwards.
func (u *unended) begin() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy || len(u.ids) == 0 {
		return nil
	}
	u.busy = true
	return slices.Collect(maps.Keys(u.ids))
}

func (u *unended) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.busy = false
}

// endUnended tries again to end in the store what has ended here. It gives up at
// the first failure: a store that is down is not asked about each.
func (m *Manager) endUnended() {
	ids := m.unended.begin()
	if ids == nil {
		return
	}
	started := m.tasks.Start(func() {
		defer m.unended.end()
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		for _, id := range ids {
			if m.endStored(ctx, id) != nil {
				return
			}
			m.unended.remove(id)
		}
	})
	if !started {
		m.unended.end()
	}
}
