package apikey

import (
	"context"
	"errors"
	"sync"

	"wavegate/keychain/lookup"
)

// loads are the keys on their way from the store into memory: one look-up at a
// time for each, whoever asks.
//
// A key could be read here, changed there, and be remembered as it was before.
// Therefore whoever hears of changes says so to the loads under way (see
// changing), and a load that brings one of those reads it again before it is
// remembered.
type loads struct {
	mu   sync.Mutex // guards open and the changes of each load
	open map[[32]byte]*load
}

// A load is one look-up.
type load struct {
	changes []choice      // what changed since the read began; guarded by loads.mu
	done    chan struct{} // closed when the rest is set
	key     *Key
	err     error
}

// A choice says which keys are meant.
type choice func(*Record) bool

// join returns the load of a key and whether it is a new one, which the caller
// has to bring to its end with finish. What another load brought meanwhile is
// remembered, and needs none: then there is a key instead.
func (l *loads) join(hash [32]byte, remembered func(*[32]byte) *Key) (k *Key, ld *load, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ld = l.open[hash]; ld != nil {
		return nil, ld, false
	}
	if k = remembered(&hash); k != nil {
		return k, nil, false
	}
	ld = &load{done: make(chan struct{})}
	l.open[hash] = ld
	return nil, ld, true
}

// changing says that the chosen keys changed in the store.
func (l *loads) changing(chosen choice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ld := range l.open {
		ld.changes = append(ld.changes, chosen)
	}
}

// accept calls remember and takes the load off the list, unless the record was
// changed since it was read: then it has to be read again.
func (l *loads) accept(ld *load, hash [32]byte, r *Record, remember func() *Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, chosen := range ld.changes {
		if chosen(r) {
			ld.changes = nil
			return false
		}
	}
	ld.key = remember()
	delete(l.open, hash)
	return true
}

// finish tells those who wait, whatever happened.
func (l *loads) finish(ld *load, hash [32]byte) {
	l.mu.Lock()
	if l.open[hash] == ld {
		delete(l.open, hash)
	}
	l.mu.Unlock()
	if ld.key == nil && ld.err == nil {
		ld.err = unavailable(lookup.ErrPanicked)
	}
	close(ld.done)
}

// load asks the store for a key, which has one of the hashes, and remembers it
// under its own. The store is asked once for all who want to know at the same
// moment; the caller leaves when ctx ends.
func (m *Manager) load(ctx context.Context, hash [32]byte, hashes [][32]byte) (*Key, error) {
	k, ld, first := m.loads.join(hash, m.believed)
	if k != nil {
		return k, nil
	}
	if first {
		fetch := func() { m.fetch(ld, hash, hashes) }
		if !m.tasks.Start(fetch) {
			fetch()
		}
	}
	select {
	case <-ld.done:
		return ld.key, ld.err
	case <-ctx.Done():
		return nil, unavailable(context.Cause(ctx))
	}
}

// fetch brings a load to its end.
func (m *Manager) fetch(ld *load, hash [32]byte, hashes [][32]byte) {
	defer m.loads.finish(ld, hash)
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := lookup.Safely(m.cfg.Log, "an API key was looked up", func() error {
		for {
			epoch, era := m.epoch.Load(), m.negatives.Era()
			r, err := m.store.ByHash(ctx, hashes)
			if err != nil {
				return m.notRead(hash, era, unavailable(err))
			}
			var old *Key
			remember := func() (k *Key) {
				k, old = m.memory.put(newKey(m, &hash), &r, epoch, m.now())
				return k
			}
			if m.loads.accept(ld, hash, &r, remember) {
				m.settle(ld.key, old)
				return nil
			}
		}
	})
	if err != nil {
		ld.key, ld.err = nil, unavailable(err)
	}
}

// settle does what follows from a record that was remembered: its predecessor has
// ended, and others may have to make room.
func (m *Manager) settle(k, old *Key) {
	if old != nil {
		old.end()
	}
	if s := k.Status(m.cfg.Now()); s == Revoked || s == Expired {
		k.end()
	}
	for _, gone := range m.memory.shrink(k) {
		m.cfg.Evicted(*gone.Record())
	}
}

// notRead draws the conclusion of a key that could not be read.
func (m *Manager) notRead(hash [32]byte, era int64, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	if k := m.memory.get(&hash); k != nil {
		m.finish(k)
	}
	m.negatives.Add(hash, era, m.now())
	return err
}

// finish ends a key in this process: nobody gets it any more without the store,
// and requests under way are told.
func (m *Manager) finish(k *Key) {
	was := m.memory.remove(k)
	k.end()
	if was {
		m.cfg.Evicted(*k.Record())
	}
}
