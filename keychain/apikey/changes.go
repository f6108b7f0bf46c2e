package apikey

import (
	"context"
	"sync"
	"time"
)

// Changed forgets what is remembered of a key, by ID: it was changed in the
// store. Where the change took something away (revoked, other scopes, role,
// allow-list or an earlier expiry), which is found out by reading it again, the
// context of Ended is cancelled. A key that nobody holds is just forgotten. It
// returns at once; requests that come after it see the store.
func (m *Manager) Changed(id string) {
	m.changing(func(r *Record) bool { return r.ID == id })
	if k := m.memory.byID(id); k != nil {
		m.doubt(k)
	}
}

// ChangedUser is Changed for all keys of a user.
func (m *Manager) ChangedUser(userID string) {
	if userID == "" {
		return
	}
	m.changing(func(r *Record) bool { return r.UserID == userID })
	for _, k := range m.memory.byUser(userID) {
		m.doubt(k)
	}
}

// EndUnless ends the keys in use that keep does not keep: what decided that they
// open something is not in the store. They are looked up again by whoever comes
// next, who has to decide anew.
func (m *Manager) EndUnless(keep func(*Record) bool) {
	for _, k := range m.memory.heldKeys() {
		if !keep(k.Record()) {
			m.finish(k)
		}
	}
}

func (m *Manager) changing(chosen choice) {
	m.imported.doubt()
	m.negatives.Clear()
	m.loads.changing(chosen)
}

// Alive is told when the store was last followed, Lost that changes may have been
// missed: nothing that is remembered is believed without asking.
func (m *Manager) Alive(at time.Time) { raise(&m.alive, at.UnixMilli()) }

// Lost see Alive.
func (m *Manager) Lost() {
	m.epoch.Add(1)
	m.imported.doubt()
	m.negatives.Clear()
	for _, k := range m.memory.heldKeys() {
		m.recheck(k)
	}
}

// doubt stops believing what is remembered of a key. Those who hold it get to
// know of its end, so for them the store is asked; others ask themselves.
func (m *Manager) doubt(k *Key) {
	k.epoch.Store(-1)
	if k.held() {
		m.recheck(k)
	}
}

const (
	recheckers   = 4 // keys that are asked about at once
	recheckFirst = time.Second
	recheckMost  = 15 * time.Second
)

// doubts are the keys that the store is to be asked about without a request that
// waits for it. What fails is tried again after a pause that grows.
type doubts struct {
	mu      sync.Mutex // guards the rest
	open    map[*Key]*doubt
	queue   []*doubt // to be asked about now
	running int
}

// A doubt is a key that is held and not believed.
type doubt struct {
	key    *Key
	since  int64 // milliseconds since the epoch
	pause  int64 // after the last question, milliseconds; 0 before it
	at     int64 // when it is asked about again
	queued bool  // it is asked about now
}

// recheck lets the store be asked about a key soon.
func (m *Manager) recheck(k *Key) {
	d := &m.doubts
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.open[k]
	if q == nil {
		q = &doubt{key: k, since: m.now()}
	}
	if !q.queued && !k.over.Load() {
		m.enqueue(q)
	}
}

// enqueue has a key asked about now. The caller holds the lock of doubts.
func (m *Manager) enqueue(q *doubt) {
	d := &m.doubts
	q.queued = true
	d.open[q.key] = q
	d.queue = append(d.queue, q)
	if d.running < recheckers && m.tasks.Start(m.workOff) {
		d.running++
	}
}

// next takes a key off the queue. With the last one the worker is gone.
func (d *doubts) next() *doubt {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		d.running--
		d.queue = nil
		return nil
	}
	q := d.queue[0]
	d.queue = d.queue[1:]
	if d.open[q.key] == q {
		delete(d.open, q.key)
	}
	return q
}

// workOff asks the store about keys until none is left.
func (m *Manager) workOff() {
	for q := m.doubts.next(); q != nil; q = m.doubts.next() {
		if m.tasks.Ending() || !m.isDoubted(q.key) {
			continue
		}
		hashes := [][32]byte{q.key.hash, q.key.Record().Hash}
		_, err := m.load(context.Background(), q.key.hash, hashes) // what it says is in the memory
		if err != nil && m.isDoubted(q.key) {
			m.again(q)
		}
	}
}

// isDoubted reports whether somebody holds the key and it is not believed.
func (m *Manager) isDoubted(k *Key) bool {
	return k.held() && !k.over.Load() && k.epoch.Load() != m.epoch.Load()
}

// again waits before the next question. Should the key have come into doubt once
// more, that is asked about, and only the time stays.
func (m *Manager) again(q *doubt) {
	d := &m.doubts
	d.mu.Lock()
	defer d.mu.Unlock()
	if newer := d.open[q.key]; newer != nil {
		newer.since, newer.pause = q.since, max(newer.pause, q.pause)
		return
	}
	q.pause = min(max(2*q.pause, recheckFirst.Milliseconds()), recheckMost.Milliseconds())
	q.at, q.queued = m.now()+q.pause, false
	d.open[q.key] = q
}

// insist asks again about what is due, and ends the keys that the store said
// nothing about for too long: those who hold them might hold what was revoked.
func (m *Manager) insist() {
	for _, k := range m.unanswered(m.now()) {
		m.cfg.Log.Warn("an API key in use changed and the store cannot be asked how; its requests are ended", "id", k.Record().ID)
		m.finish(k)
	}
}

func (m *Manager) unanswered(now int64) (late []*Key) {
	d := &m.doubts
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, q := range d.open {
		switch {
		case !m.isDoubted(k):
			delete(d.open, k)
		case now-q.since > m.cfg.StaleAfter.Milliseconds():
			delete(d.open, k)
			late = append(late, k)
		case !q.queued && q.at <= now:
			m.enqueue(q)
		}
	}
	return late
}
