package session

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"
)

// A memory knows every session that somebody in this process uses. It holds the
// sessions that were used last, up to a weight, by a clock (second chance); of
// those that it does not hold any more it still knows where they are for as long
// as a request or a socket holds them. A cache beside it could only know the
// first half, so the two are one.
//
// Only sessions of the store are in it: what strangers send finds or does not
// find, and writes nothing.
type memory struct {
	most    int64          // bytes
	evicted func(*Session) // told of each session that is let go; holds no lock of ours
	weight  atomic.Int64   // of all sessions that are held, bytes
	shards  [64]shard
}

// A shard is one part of the memory.
type shard struct {
	mu    sync.RWMutex // guards the rest; held for a look or a change of a few words
	known map[key]entry
	ring  []*Session // those that are held
	hand  int        // where the clock stands in the ring
}

// An entry is where a session is: held, or let go and perhaps still used.
type entry struct {
	held *Session // nil: let go
	gone weak.Pointer[Session]
}

func (e entry) session() *Session {
	if e.held != nil {
		return e.held
	}
	return e.gone.Value()
}

func newMemory(most int64, evicted func(*Session)) *memory {
	m := &memory{most: most, evicted: evicted}
	for i := range m.shards {
		m.shards[i].known = make(map[key]entry)
	}
	return m
}

func (m *memory) shard(k key) *shard { return &m.shards[int(k[0])%len(m.shards)] }

// get returns the session with the key, or nil.
func (m *memory) get(k key) *Session {
	sh := m.shard(k)
	sh.mu.RLock()
	e, ok := sh.known[k]
	sh.mu.RUnlock()
	if !ok {
		return nil
	}
	s := e.session()
	switch {
	case s == nil:
		return nil
	case e.held == nil:
		m.hold(s)
	case !s.hot.Load():
		s.hot.Store(true)
	}
	return s
}

// put returns the one session with the hash of r, which knows r then, also when
// it knew something older.
func (m *memory) put(r *Record) *Session {
	k := r.Hash.key()
	sh := m.shard(k)
	sh.mu.Lock()
	s := sh.known[k].session()
	if s == nil || s.over.Load() || s.hash != r.Hash {
		if s != nil {
			m.letGo(sh, s)
		}
		s = newSession(r)
	}
	s.adopt(r)
	m.take(sh, k, s)
	sh.mu.Unlock()
	m.shrink(k)
	return s
}

// renew makes r the present record of s, where it has not ended meanwhile. An
// older version than the present one is left alone.
func (m *memory) renew(s *Session, r *Record) {
	k := s.hash.key()
	sh := m.shard(k)
	sh.mu.Lock()
	if !s.over.Load() && r.Version >= s.Record().Version {
		s.replace(r)
		if s.slot >= 0 {
			m.take(sh, k, s)
		}
	}
	sh.mu.Unlock()
	m.shrink(k)
}

// hold takes a session back that was let go and is still used.
func (m *memory) hold(s *Session) {
	k := s.hash.key()
	sh := m.shard(k)
	sh.mu.Lock()
	if sh.known[k].session() == s && !s.over.Load() {
		s.hot.Store(true)
		m.take(sh, k, s)
	}
	sh.mu.Unlock()
	m.shrink(k)
}

// take holds a session and weighs it. The caller holds the shard's lock.
func (m *memory) take(sh *shard, k key, s *Session) {
	if s.slot < 0 {
		s.slot = len(sh.ring)
		sh.ring = append(sh.ring, s)
		sh.known[k] = entry{held: s}
	}
	w := weigh(s.Record())
	m.weight.Add(w - s.weight)
	s.weight = w
}

// letGo stops holding a session. The caller holds the shard's lock.
func (m *memory) letGo(sh *shard, s *Session) {
	if s.slot < 0 {
		return
	}
	last := len(sh.ring) - 1
	sh.ring[s.slot], sh.ring[last].slot = sh.ring[last], s.slot
	sh.ring[last] = nil
	sh.ring = sh.ring[:last]
	s.slot = -1
	m.weight.Add(-s.weight)
	s.weight = 0
}

// remove forgets a session for good.
func (m *memory) remove(s *Session) {
	k := s.hash.key()
	sh := m.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.letGo(sh, s)
	if e, ok := sh.known[k]; ok && (e.held == s || e.held == nil && e.gone == weak.Make(s)) {
		delete(sh.known, k)
	}
}

// shrink lets sessions go until the weight is right, from the shard of k on.
func (m *memory) shrink(k key) {
	first, n := int(k[0]), len(m.shards)
	for i := 0; m.weight.Load() > m.most && i < n; {
		if s := m.evict(&m.shards[(first+i)%n]); s != nil {
			m.evicted(s)
		} else {
			i++
		}
	}
}

// evict lets the session go that the clock finds first without use since its
// last round. It returns nil when the shard holds none.
func (m *memory) evict(sh *shard) *Session {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.ring) == 0 {
		return nil
	}
	for range 2 * len(sh.ring) { // users set hot again meanwhile; enough is enough
		if sh.hand >= len(sh.ring) {
			sh.hand = 0
		}
		if !sh.ring[sh.hand].hot.Swap(false) {
			break
		}
		sh.hand++
	}
	s := sh.ring[sh.hand%len(sh.ring)]
	m.letGo(sh, s)
	sh.known[s.hash.key()] = entry{gone: weak.Make(s)}
	s.guard()
	return s
}

// guard cancels the context of a session that nobody can reach any more. Only
// who kept the bare channel of Ended, and with it no way to be told of the end,
// notices: better closed than open for ever.
func (s *Session) guard() {
	if !s.guarded {
		s.guarded = true
		runtime.AddCleanup(s, func(end context.CancelFunc) { end() }, s.end)
	}
}

// each calls f with every session that is known, without a lock, and forgets
// where those were that nobody uses any more.
func (m *memory) each(f func(*Session)) {
	var batch []*Session
	for i := range m.shards {
		batch = m.shards[i].all(batch[:0])
		for _, s := range batch {
			f(s)
		}
		clear(batch)
	}
}

// all appends the sessions of the shard.
func (sh *shard) all(list []*Session) []*Session {
	var dead []key
	sh.mu.RLock()
	for k, e := range sh.known {
		if s := e.session(); s != nil {
			list = append(list, s)
		} else {
			dead = append(dead, k)
		}
	}
	sh.mu.RUnlock()
	if dead != nil {
		sh.forget(dead)
	}
	return list
}

func (sh *shard) forget(dead []key) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, k := range dead {
		if sh.known[k].session() == nil {
			delete(sh.known, k)
		}
	}
}

// sessionBytes is what a remembered session weighs beside its strings: itself,
// its view and Principal, its place in the maps.
const sessionBytes = 1500

// weigh estimates the memory of a session, in bytes.
func weigh(r *Record) int64 {
	n := sessionBytes + len(r.Sealed) + len(r.UserAgent) + len(r.IP) + len(r.Stamp) + len(r.SID) +
		len(r.Subject) + len(r.Issuer) + len(r.Provider) + len(r.Username) + len(r.Email)
	for _, list := range [][]string{r.Groups, r.Roles} {
		for _, text := range list {
			n += 16 + len(text)
		}
	}
	return int64(n)
}
