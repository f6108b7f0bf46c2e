package session

import (
	"context"
	"sync"

	"wavegate/keychain/lookup"
)

// loads are the sessions on their way from the store into memory: one look-up at
// a time for each, whoever asks.
//
// A session could be read here, ended there, and be remembered after it ended.
// Therefore whoever ends sessions says so to the loads under way (see ending),
// and a load that brings one of those reads it again before it is remembered.
type loads struct {
	mu   sync.Mutex // guards open and the endings of each load
	open map[Hash]*load
}

// A load is one look-up.
type load struct {
	endings []choice      // what was ended or changed since the read began; guarded by loads.mu
	done    chan struct{} // closed when the rest is set
	session *Session
	err     error
}

// A choice says which sessions are meant.
type choice func(*Record) bool

// join returns the load of a session and whether it is a new one, which the
// caller has to bring to its end with finish.
func (l *loads) join(h *Hash) (ld *load, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ld = l.open[*h]; ld != nil {
		return ld, false
	}
	ld = &load{done: make(chan struct{})}
	l.open[*h] = ld
	return ld, true
}

// ending says that the chosen sessions ended or changed in the store.
func (l *loads) ending(chosen choice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ld := range l.open {
		ld.endings = append(ld.endings, chosen)
	}
}

// accept calls remember and takes the load off the list, unless the record was
// ended or changed since it was read: then it has to be read again.
func (l *loads) accept(ld *load, r *Record, remember func() *Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, chosen := range ld.endings {
		if chosen(r) {
			ld.endings = nil
			return false
		}
	}
	ld.session = remember()
	delete(l.open, r.Hash)
	return true
}

// finish tells those who wait, whatever happened.
func (l *loads) finish(ld *load, h *Hash) {
	l.mu.Lock()
	if l.open[*h] == ld {
		delete(l.open, *h)
	}
	l.mu.Unlock()
	if ld.session == nil && ld.err == nil {
		ld.err = unavailable(lookup.ErrPanicked)
	}
	close(ld.done)
}

// find returns the session with the hash: the remembered one where it is
// believed, otherwise what the store says.
func (m *Manager) find(ctx context.Context, h *Hash, now int64) (*Session, error) {
	s := m.remembered(h)
	if s != nil && m.believes(s, now) {
		return s, nil
	}
	g := m.known
	if s == nil {
		if m.negative.Has(h.key(), now) {
			return nil, ErrNoSession
		}
		g = m.strangers
	}
	if err := g.Enter(ctx); err != nil {
		return nil, unavailable(err)
	}
	defer g.Leave()
	if s := m.remembered(h); s != nil && m.believes(s, m.now()) { // somebody was faster
		return s, nil
	}
	if m.negative.Has(h.key(), m.now()) {
		return nil, ErrNoSession
	}
	return m.load(ctx, h)
}

// remembered returns the session with the hash that memory knows, or nil.
func (m *Manager) remembered(h *Hash) *Session {
	s := m.memory.get(h.key())
	if s == nil || s.hash != *h {
		return nil
	}
	return s
}

// believes reports whether what is remembered of a session will do. Time that
// seems to have ended it does not do: another process may have seen its owner.
func (m *Manager) believes(s *Session, now int64) bool {
	return !s.over.Load() && s.epoch.Load() == m.epoch.Load() && !s.deadAt(now, m.idle()) &&
		now-max(m.alive.Load(), s.confirmed.Load()) <= m.cfg.StaleAfter.Milliseconds()
}

// load asks the store for a session and remembers it. It is asked once for all
// who want to know at the same moment; the caller leaves when ctx ends.
func (m *Manager) load(ctx context.Context, h *Hash) (*Session, error) {
	ld, first := m.loads.join(h)
	if first {
		if s := m.remembered(h); s != nil && m.believes(s, m.now()) { // a load came to its end in this moment
			ld.session = s
			m.loads.finish(ld, h)
			return s, nil
		}
		hash := *h // h stays on the stack of those who find their session in memory
		fetch := func() {
			ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
			defer cancel()
			m.fetch(ctx, ld, hash, m.store.Session)
		}
		if !m.tasks.Start(fetch) {
			fetch()
		}
	}
	select {
	case <-ld.done:
		return ld.session, ld.err
	case <-ctx.Done():
		return nil, unavailable(context.Cause(ctx))
	}
}

// fetch brings a load to its end. What read says first may be of another kind
// (a sign-in); should it have to be said again, the store's Session says it.
func (m *Manager) fetch(ctx context.Context, ld *load, h Hash, read func(context.Context, Hash) (Record, error)) {
	defer m.loads.finish(ld, &h)
	err := lookup.Safely(m.cfg.Log, "a session was looked up or renewed", func() error {
		for {
			epoch := m.epoch.Load()
			r, err := read(ctx, h)
			if err != nil {
				return m.notRead(h, err)
			}
			remember := func() *Session { return m.remember(&r, epoch) }
			if m.loads.accept(ld, &r, remember) {
				break
			}
			read = m.store.Session
		}
		if ld.session.deadAt(m.now(), m.idle()) {
			m.finish(ld.session)
			return ErrNoSession
		}
		return nil
	})
	if ld.err = unavailable(err); err != nil {
		ld.session = nil
	}
}

// remember puts what the store said into memory.
func (m *Manager) remember(r *Record, epoch int64) *Session {
	s := m.memory.put(r)
	s.confirmed.Store(m.now())
	s.epoch.Store(epoch)
	return s
}

// notRead draws the conclusion of a session that could not be read.
func (m *Manager) notRead(h Hash, err error) error {
	if err = unavailable(err); !isGone(err) {
		return err
	}
	if s := m.remembered(&h); s != nil {
		m.finish(s)
	}
	m.negative.Add(h.key(), m.negative.Era(), m.now())
	return err
}

// finish ends a session in this process: nobody gets it any more, and sockets
// are told.
func (m *Manager) finish(s *Session) {
	s.over.Store(true)
	m.memory.remove(s)
	s.end()
}
