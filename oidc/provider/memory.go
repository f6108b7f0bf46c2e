package provider

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wavegate/keychain/lookup"
)

const (
	mostTokens   = 50_000 // that are remembered
	tokenLookups = 16     // at the same time

	// staleAfter is how long what is remembered is believed when the store cannot be
	// asked or followed.
	staleAfter = 2 * time.Minute
)

// memory is the access tokens in use, at most a number of them. It lets those go
// that were not used lately, by a clock (second chance). A token that somebody holds
// is never let go; where those alone are more than the number, they are.
//
// Only tokens that the store let stand are in it: what strangers send writes
// nothing. Finding one takes a lock that is held for the change of one entry at
// most; the lock that a round of the clock needs is another one.
//
// What is remembered is believed while the store is followed. A token about which
// the store said something is believed again only when the store was asked.
type memory struct {
	most   int
	shards [64]shard

	loads   loads
	gate    lookup.Gate             // before the store
	revoked *lookup.Negatives[Hash] // tokens that had ended a moment ago
	doubts  doubts
	tasks   lookup.Tasks

	alive atomic.Int64 // when the store was last followed, milliseconds since the epoch
	epoch atomic.Int64 // raised by lost; tokens of an earlier epoch are not believed

	mu       sync.Mutex // guards the rest, and all changes of the shards
	ring     []*AccessToken
	hand     int // where the clock stands in the ring
	expiries *lookup.Expiries[*AccessToken]
}

// A shard is one part of the table by hash.
type shard struct {
	mu    sync.RWMutex // guards known against being read while it is changed
	known map[Hash]*AccessToken
	_     [32]byte // to the end of a cache line
}

func newMemory() *memory {
	m := &memory{
		most:     mostTokens,
		expiries: lookup.NewExpiries(func(t *AccessToken) int64 { return t.expires }, func(t *AccessToken) *int { return &t.due }),
		loads:    loads{open: make(map[Hash]*load)},
		gate:     lookup.NewGate(tokenLookups),
		revoked:  lookup.NewNegatives[Hash](),
		doubts:   doubts{open: make(map[*AccessToken]int64)},
	}
	for i := range m.shards {
		m.shards[i].known = make(map[Hash]*AccessToken)
	}
	return m
}

func (m *memory) shard(hash *Hash) *shard { return &m.shards[int(hash[0])%len(m.shards)] }

// get returns the token with the hash, or nil.
func (m *memory) get(hash *Hash) *AccessToken {
	sh := m.shard(hash)
	sh.mu.RLock()
	t := sh.known[*hash]
	sh.mu.RUnlock()
	if t != nil && !t.hot.Load() {
		t.hot.Store(true)
	}
	return t
}

// believes reports whether what is remembered of a token will do.
func (m *memory) believes(t *AccessToken, now int64) bool {
	return t.epoch.Load() == m.epoch.Load() && now-max(m.alive.Load(), t.confirmed.Load()) <= staleAfter.Milliseconds()
}

// put remembers that the store let a token of a user stand. The *AccessToken that
// is there stays, unless it has ended.
func (m *memory) put(t *AccessToken, userID string, epoch, now int64) *AccessToken {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.shard(&t.hash).known[t.hash]
	if known == nil {
		known = t.anew(userID)
		m.add(known)
	}
	known.confirmed.Store(now)
	known.epoch.Store(epoch)
	return known
}

// takeBack has a token again that was let go and is still used; what changed
// meanwhile was missed. It returns false where another has its place.
func (m *memory) takeBack(t *AccessToken) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case t.over.Load():
		return false
	case t.refs.Load() > 0: // somebody was faster
		return true
	case m.shard(&t.hash).known[t.hash] != nil:
		t.over.Store(true)
		return false
	}
	t.refs.Add(-letGo)
	t.epoch.Store(-1)
	m.add(t)
	return true
}

// finish ends a token in this process: nobody gets it any more without the store,
// and those who hold it are told.
func (m *memory) finish(t *AccessToken) {
	m.mu.Lock()
	t.over.Store(true)
	if t.slot >= 0 {
		m.drop(t)
	}
	m.mu.Unlock()
	t.end()
}

// add is for a token that is not there. The caller holds the lock.
func (m *memory) add(t *AccessToken) {
	t.slot = len(m.ring)
	m.ring = append(m.ring, t)
	m.expiries.Add(t)
	sh := m.shard(&t.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.known[t.hash] = t
}

// drop is for a token that is there. The caller holds the lock.
func (m *memory) drop(t *AccessToken) {
	last := len(m.ring) - 1
	m.ring[t.slot], m.ring[last].slot = m.ring[last], t.slot
	m.ring[last] = nil
	m.ring = m.ring[:last]
	t.slot = -1
	m.expiries.Remove(t)
	sh := m.shard(&t.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.known, t.hash)
}

// shrink lets tokens go until there are not too many. The newest stays: whoever
// looked it up had no time to hold it.
func (m *memory) shrink(newest *AccessToken) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.ring) > m.most {
		t := m.coldest(newest)
		if t == nil {
			return
		}
		m.drop(t)
	}
}

// coldest returns the token that the clock finds first without use since its last
// round and that nobody holds, marked as let go, or nil.
func (m *memory) coldest(newest *AccessToken) *AccessToken {
	for range 2 * len(m.ring) {
		if m.hand >= len(m.ring) {
			m.hand = 0
		}
		t := m.ring[m.hand]
		if t != newest && !t.hot.Swap(false) && t.refs.CompareAndSwap(0, letGo) {
			return t
		}
		m.hand++
	}
	return nil
}

// all returns the tokens that are remembered.
func (m *memory) all() []*AccessToken {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ring)
}

// expire ends the tokens that have expired.
func (m *memory) expire(now int64) {
	m.mu.Lock()
	due := m.expiries.Take(now)
	m.mu.Unlock()
	for _, t := range due {
		m.finish(t)
	}
}
