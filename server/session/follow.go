package session

import (
	"context"
	"encoding/hex"
	"sync"
	"time"
)

// Apply takes changes over that some process made in the store. When it returns,
// no session that changed is believed before the store has said how; the store
// is asked at once, in other goroutines, so that sockets hear of the end too.
func (m *Manager) Apply(changes []Change) {
	users := map[string]bool{}
	for _, c := range changes {
		switch c.Kind {
		case ChangedSession:
			var h Hash
			if n, err := hex.Decode(h[:], []byte(c.Key[:min(len(c.Key), 2*len(h))])); err == nil && n == len(h) {
				m.changed(h)
			}
		case ChangedUser:
			users[c.Key] = true
		}
	}
	if len(users) > 0 {
		m.doubtAll(func(r *Record) bool { return users[r.UserID] })
	}
}

func (m *Manager) changed(h Hash) {
	m.loads.ending(func(r *Record) bool { return r.Hash == h })
	if s := m.remembered(&h); s != nil {
		m.doubt(s)
	}
}

// Alive says that the store was followed at a time.
func (m *Manager) Alive(at time.Time) { raise(&m.alive, at.UnixMilli()) }

// Lost says that changes may have been missed: nothing that is remembered is
// believed any more, and the store is asked about all of it.
func (m *Manager) Lost() { m.epoch.Add(1) }

// doubtAll is doubt for all chosen sessions.
func (m *Manager) doubtAll(chosen choice) {
	m.loads.ending(chosen)
	m.memory.each(func(s *Session) {
		if chosen(s.Record()) {
			m.doubt(s)
		}
	})
}

// doubt stops believing what is remembered of a session and asks the store.
func (m *Manager) doubt(s *Session) {
	s.epoch.Store(-1)
	m.recheck(s.hash)
}

// recheckers bounds how many sessions are asked about at once.
const recheckers = 4

// rechecks are the sessions that the store is to be asked about without a
// request that waits for it. What fails is tried again by watch.
type rechecks struct {
	mu      sync.Mutex // guards the rest
	queue   []Hash
	queued  map[Hash]struct{} // the same as a set
	running int
}

// next takes a session off the queue. With the last one the worker is gone.
func (r *rechecks) next() (h Hash, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		r.running--
		r.queue = nil
		return h, false
	}
	h, r.queue = r.queue[0], r.queue[1:]
	delete(r.queued, h)
	return h, true
}

// recheck lets the store be asked about a session soon.
func (m *Manager) recheck(h Hash) {
	r := &m.rechecks
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.queued[h]; ok {
		return
	}
	r.queue = append(r.queue, h)
	r.queued[h] = struct{}{}
	if r.running < recheckers && m.tasks.Start(m.workOff) {
		r.running++
	}
}

// workOff asks the store about sessions until none is left.
func (m *Manager) workOff() {
	for {
		h, ok := m.rechecks.next()
		if !ok {
			return
		}
		if m.tasks.Ending() {
			continue // nobody is left who could be told
		}
		_, _ = m.load(context.Background(), &h) // what it says is in the memory
	}
}
