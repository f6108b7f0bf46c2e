package apikey

import (
	"encoding/binary"
	"sync"

	"wavegate/keychain/lookup"
)

// A memory has the keys that are in use, at most a number of them, and lets
// those go that were not used lately, by a clock (second chance); a key that was
// used only once has no such chance. A key that somebody holds is never let go;
// where those alone are more than the number, they are.
//
// Only keys of the store are in it: what strangers send finds or does not find,
// and writes nothing. Finding one takes a lock that is held for the change of
// one entry at most; the lock that a round of the clock needs is another one.
type memory struct {
	most   int
	shards [64]shard

	mu       sync.Mutex // guards the rest, and all changes of the shards
	ring     []*Key
	hand     int // where the clock stands in the ring
	ids      map[string]*Key
	users    map[string]map[*Key]struct{} // by user ID
	expiries *lookup.Expiries[*Key]
}

// A shard is one part of the table by hash. Eight bytes of a hash find a key in
// half of the time that all of it takes. Should two keys ever agree in them (one
// chance in fifty million where a million keys are remembered), the newer one
// takes the place and the other has ended, as if it had been changed.
type shard struct {
	mu    sync.RWMutex // guards known against being read while it is changed
	known map[uint64]*Key
	_     [32]byte // to the end of a cache line
}

// word is where a key with the hash is in its shard.
func word(hash *[32]byte) uint64 { return binary.LittleEndian.Uint64(hash[8:]) }

func newMemory(most int) *memory {
	m := &memory{most: most, ids: make(map[string]*Key), users: make(map[string]map[*Key]struct{})}
	m.expiries = lookup.NewExpiries(func(k *Key) int64 { return k.expires }, func(k *Key) *int { return &k.due })
	for i := range m.shards {
		m.shards[i].known = make(map[uint64]*Key)
	}
	return m
}

func (m *memory) shard(hash *[32]byte) *shard { return &m.shards[int(hash[0])%len(m.shards)] }

// get returns the key with the hash, or nil.
func (m *memory) get(hash *[32]byte) *Key {
	sh := m.shard(hash)
	sh.mu.RLock()
	k := sh.known[word(hash)]
	sh.mu.RUnlock()
	if k == nil || k.hash != *hash {
		return nil
	}
	if !k.hot.Load() {
		k.hot.Store(true)
	}
	return k
}

// put makes r what is remembered under fresh's hash. The *Key that is there takes
// it over; where that one lost something, or ended already, fresh takes its place
// and the caller has to end old.
func (m *memory) put(fresh *Key, r *Record, epoch, now int64) (k, old *Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k = fresh
	old = m.shard(&fresh.hash).known[word(&fresh.hash)]
	stays := old != nil && old.ended.Err() == nil && !losesTo(old.Record(), r, now)
	switch {
	case stays:
		k = old
		m.unindex(k)
	case old != nil:
		m.drop(old)
		old.over.Store(true)
		k.succeed(old)
	}
	k.adopt(r)
	k.confirmed.Store(now)
	k.epoch.Store(epoch)
	if stays {
		m.index(k)
		return k, nil
	}
	m.add(k)
	return k, old
}

// takeBack has a key again that was let go and is still used; what changed
// meanwhile was missed. It returns false where another has its place.
func (m *memory) takeBack(k *Key) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case k.over.Load():
		return false
	case k.refs.Load() > 0: // somebody was faster
		return true
	case m.shard(&k.hash).known[word(&k.hash)] != nil:
		k.over.Store(true)
		return false
	}
	k.refs.Add(-letGo)
	k.epoch.Store(-1)
	m.add(k)
	return true
}

// remove forgets a key for good, and reports whether it was there.
func (m *memory) remove(k *Key) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k.over.Store(true)
	if k.slot < 0 {
		return false
	}
	m.drop(k)
	return true
}

// add is for a key that is not there. The caller holds the lock.
func (m *memory) add(k *Key) {
	k.slot = len(m.ring)
	m.ring = append(m.ring, k)
	m.index(k)
	sh := m.shard(&k.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.known[word(&k.hash)] = k
}

// drop is for a key that is there. The caller holds the lock.
func (m *memory) drop(k *Key) {
	last := len(m.ring) - 1
	m.ring[k.slot], m.ring[last].slot = m.ring[last], k.slot
	m.ring[last] = nil
	m.ring = m.ring[:last]
	k.slot = -1
	m.unindex(k)
	sh := m.shard(&k.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.known, word(&k.hash))
}

// index lets a key be found by what its record says. The caller holds the lock.
func (m *memory) index(k *Key) {
	r := k.Record()
	m.ids[r.ID] = k
	if r.UserID != "" {
		if m.users[r.UserID] == nil {
			m.users[r.UserID] = make(map[*Key]struct{})
		}
		m.users[r.UserID][k] = struct{}{}
	}
	if at := k.Record().ExpiresAt; !at.IsZero() {
		k.expires = at.UnixMilli()
		m.expiries.Add(k)
	}
}

// unindex is the opposite of index.
func (m *memory) unindex(k *Key) {
	r := k.Record()
	if m.ids[r.ID] == k {
		delete(m.ids, r.ID)
	}
	if same := m.users[r.UserID]; same != nil {
		delete(same, k)
		if len(same) == 0 {
			delete(m.users, r.UserID)
		}
	}
	m.expiries.Remove(k)
}

// shrink lets keys go until there are not too many, and returns them. The newest
// stays: whoever looked it up had no time to hold it.
func (m *memory) shrink(newest *Key) (gone []*Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.ring) > m.most {
		k := m.coldest(newest)
		if k == nil {
			break
		}
		m.drop(k)
		gone = append(gone, k)
	}
	return gone
}

// coldest returns the key that the clock finds first without use since its last
// round and that nobody holds, marked as let go, or nil.
func (m *memory) coldest(newest *Key) *Key {
	for range 2 * len(m.ring) {
		if m.hand >= len(m.ring) {
			m.hand = 0
		}
		k := m.ring[m.hand]
		if k != newest && !k.hot.Swap(false) && k.refs.CompareAndSwap(0, letGo) {
			return k
		}
		m.hand++
	}
	return nil
}

// byID returns the key with the ID, or nil.
func (m *memory) byID(id string) *Key {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids[id]
}

// byUser returns the keys of a user.
func (m *memory) byUser(id string) (list []*Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.users[id] {
		list = append(list, k)
	}
	return list
}

// heldKeys returns the keys that somebody holds.
func (m *memory) heldKeys() (list []*Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.ring {
		if k.held() {
			list = append(list, k)
		}
	}
	return list
}

// expired returns the keys that have expired since the last call.
func (m *memory) expired(now int64) []*Key {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.expiries.Take(now)
}

func (m *memory) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.ring)
}
